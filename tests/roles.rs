//! The access lists that `quorate topics acls` prints, on a broker that holds everybody to them:
//! each role can do its work, and nothing else.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use quorate::transport::kafka::{Appender, Connection, Reader};
use quorate_core::topic::Topic;
use serde_json::Value;

use crate::support::people::{people, prompt_policies};
use crate::support::secured::{Listener, PASSWORD, ROLES, Secured, kafka_tool, secured};
use crate::support::{House, until};

const AGENTS: &str = people!(desk ada rita ledger);

const POLICIES: &str = prompt_policies!();

/// A house that everybody comes to under their role's name.
pub(crate) struct Roles {
    broker: &'static Secured,
    prefix: String,
}

impl Roles {
    pub(crate) fn new() -> Self {
        let broker = secured();
        let prefix = House::bare().prefix;
        Self { broker, prefix }
    }

    /// The house as a role sees it.
    pub(crate) fn house(&self, role: &str) -> House {
        let name = format!("quorate-{role}");
        assert!(ROLES.contains(&name.as_str()));
        let told = self.broker.by_name("sasl_ssl", "SCRAM-SHA-512", &name);
        let house = self.broker.house(Listener::SaslSsl, &told);
        house.under(&self.prefix)
    }

    /// Runs the command lines that `topics acls` prints, as they stand, at the listener where
    /// everybody may do everything.
    pub(crate) fn allow(&self) {
        let house = House::at(self.broker.open(), "").under(&self.prefix);
        let printed = house.ok(&["topics", "acls"]);
        let tool = kafka_tool("org.apache.kafka.tools.AclCommand");
        let lines: Vec<_> = printed
            .lines()
            .filter_map(|line| line.strip_prefix("kafka-acls "))
            .collect();
        assert!(lines.len() > ROLES.len(), "{printed}");
        for some in lines.chunks(4) {
            std::thread::scope(|scope| {
                for line in some {
                    let command = format!("{tool} {line}");
                    scope.spawn(move || {
                        let done = Command::new("sh").args(["-c", &command]).output().unwrap();
                        assert!(done.status.success(), "{command}: {done:?}");
                    });
                }
            });
        }
    }

    /// Allows a role something besides, as `kafka-acls` has it.
    pub(crate) fn allow_besides(&self, role: &str, what: &str) {
        let tool = kafka_tool("org.apache.kafka.tools.AclCommand");
        let at = self.broker.open();
        let who = format!("--bootstrap-server {at} --add --allow-principal User:quorate-{role}");
        let done = Command::new("sh")
            .args(["-c", &format!("{tool} {who} {what}")])
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// How a role comes to the broker.
    pub(crate) fn connection(&self, role: &str) -> Connection {
        let properties = BTreeMap::from(
            [
                ("security.protocol", "sasl_ssl"),
                ("sasl.mechanism", "SCRAM-SHA-256"),
                ("sasl.username", &format!("quorate-{role}")),
                ("sasl.password", PASSWORD),
                ("ssl.ca.location", &self.broker.file("ca.pem")),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let at = self.broker.address(Listener::SaslSsl);
        Connection::new(at, &self.prefix, properties).unwrap()
    }

    /// How somebody comes whom nobody asks who it is.
    pub(crate) fn master(&self) -> Connection {
        Connection::new(self.broker.open(), &self.prefix, BTreeMap::new()).unwrap()
    }

    /// Whether the broker lets a role append to a topic.
    pub(crate) fn may_append(&self, role: &str, topic: Topic) -> bool {
        let connection = self.connection(role);
        let appender = Appender::open(&connection).unwrap();
        let appended = appender.append(topic, 0, Some(b"key"), Some(b"nonsense"), &[]);
        match appended.and_then(|()| appender.settle()) {
            Ok(_) => true,
            Err(error) => {
                let why = format!("{:#}", anyhow::Error::from(error));
                // Who may write nothing at all is not even given an idempotent producer's id, upon
                // which the client throws away what it was handed.
                let refused = ["authorization failed", "PurgeQueue"];
                assert!(
                    refused.iter().any(|said| why.contains(said)),
                    "{role}, {topic}: {why}"
                );
                false
            }
        }
    }
}

#[track_caller]
fn refused(said: &Output) {
    let complaint = String::from_utf8_lossy(&said.stderr);
    assert_eq!(said.status.code(), Some(1), "{complaint}");
    let why = complaint.to_lowercase();
    assert!(why.contains("authorization failed"), "{complaint}");
}

pub(crate) fn proposed(agent: &House, stakes: &str) -> String {
    let who = ["--proposer", "desk", "--domain", "pay", "--stakes", stakes];
    let what = ["--type", "payment.release", "--subject", "payment-7"];
    let id = agent.propose(&[&who[..], &what[..], &["--confidence", "0.9"]].concat());
    agent.respond(&id, "ada", "endorse", "0.9");
    id
}

#[test]
fn each_role_can_do_its_work_and_nothing_else() {
    let roles = Roles::new();
    roles.allow();
    let operator = roles.house("operator");
    operator.furnish(1, AGENTS, POLICIES);
    operator.ok(&["topics", "plan", "--partitions", "1"]);
    let host = roles.house("processor");
    let processor = host.run();

    let agent = roles.house("agent");
    let id = proposed(&agent, "LOW");
    assert_eq!(status(&agent, &id, 0), "APPROVED");
    roles.house("reporter").ok(&[
        "report",
        "--proposal",
        &id,
        "--reporter",
        "ledger",
        "--result",
        "right",
    ]);

    let id = proposed(&agent, "HIGH");
    assert_eq!(status(&agent, &id, 0), "ESCALATED");
    let reviewer = roles.house("reviewer");
    let package = reviewer.records("escalations", Some(&id), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    let who = ["decide", "--proposal", &id, "--reviewer", "rita"];
    reviewer.ok(&[&who[..], &["--package", digest, "--verdict", "approve"]].concat());
    assert_eq!(status(&agent, &id, 1), "APPROVED");
    let by = ["--operator", "olga", "--reason", "it misbehaves"];
    operator.ok(&[&["suspend", "agent", "ada"], &by[..]].concat());

    let writers = [
        ("agent", &[Topic::Proposals, Topic::Responses][..]),
        ("reviewer", &[Topic::Decisions]),
        ("reporter", &[Topic::Results]),
        ("consumer", &[]),
        ("auditor", &[]),
    ];
    for (role, own) in writers {
        for &topic in Topic::ALL {
            let may = roles.may_append(role, topic);
            assert_eq!(may, own.contains(&topic), "{role}, {topic}");
        }
    }
    // Whoever could open a transaction could hold the rounds of its partition with it.
    for role in ["agent", "operator"] {
        let said = roles.house(role).call(&["run", "--instance", "stranger"]);
        refused(&said);
    }
    refused(&agent.call(&["agents", "list"]));
    audited(&roles.house("auditor"));
    refused(&roles.house("consumer").call(&["verify"]));
    // However soon a client asks: a topic it is told nothing of is not one without partitions.
    for _ in 0..20 {
        let reader = Reader::open(&roles.connection("consumer")).unwrap();
        let why = reader.ends(Topic::Schemas, 0).unwrap_err();
        let why = format!("{:#}", anyhow::Error::from(why));
        assert!(why.contains("authorization failed"), "{why}");
    }
    processor.stop();
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("offsets.json");
    // The same numbers, written otherwise, so that there is something to commit.
    let saved = operator.ok(&["offsets", "save", "-"]);
    let anew = saved.replace("\"metadata\": \"2 ", "\"metadata\": \"2 0");
    std::fs::write(&file, anew).unwrap();
    let file = file.to_str().unwrap();
    let mut said = String::new();
    until("it is restored", || {
        let restored = operator.call(&["offsets", "restore", file]);
        said = String::from_utf8(restored.stdout).unwrap();
        restored.status.success()
    });
    assert!(said.contains(": restored\n"), "{said}");
}

/// An auditor verifies what is there and what comes, and takes a copy of it.
fn audited(auditor: &House) {
    let said = auditor.ok(&["verify"]);
    assert!(said.contains(" 0 broken, 0 not evaluated"), "{said}");
    let verifier = auditor.verify_on(&[]);
    until("what is there is compared", || {
        verifier.get("/readyz").0 == 200
    });
    let (code, said) = verifier.verified();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(" 0 broken, 0 not evaluated"), "{said}");
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("history.avro");
    let file = file.to_str().unwrap();
    auditor.ok(&["export", file]);
    let replayed = auditor.ok(&["replay"]);
    assert!(
        replayed.contains("0 rounds come out otherwise"),
        "{replayed}"
    );
    assert_eq!(auditor.ok(&["replay", "--export", file]), replayed);
}

/// How a round stands by one of its outcomes.
pub(crate) fn status(house: &House, id: &str, which: usize) -> String {
    let outcomes: Vec<Value> = house.records("outcomes", Some(id), which + 1);
    outcomes[which]["decision"]["status"]
        .as_str()
        .unwrap()
        .to_owned()
}
