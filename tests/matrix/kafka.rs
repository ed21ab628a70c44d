//! On Kafka, with the access lists that `quorate topics acls` prints: every topic and every command
//! line, as every principal, on a broker that holds everybody to them.

use std::thread;
use std::time::Duration;

use quorate::transport::Start;
use quorate::transport::kafka::{Appender, Reader};
use quorate_core::topic::Topic;
use tempfile::TempDir;

use super::{AGENTS, POLICIES, command_lines, prepared};
use crate::roles::Roles;
use crate::support::page::{Table, mark};
use crate::support::web::tokens;
use crate::support::{House, until};

/// Every principal, by its role.
const ROLES: [&str; 8] = [
    "agent",
    "reporter",
    "reviewer",
    "operator",
    "processor",
    "gateway",
    "consumer",
    "auditor",
];

#[test]
fn on_kafka_everybody_may_what_the_page_says() {
    let roles = Roles::new();
    roles.allow();
    let operator = roles.house("operator");
    operator.furnish(1, AGENTS, POLICIES);
    let host = roles.house("processor");
    let processor = host.run();
    let [agent, reporter] = ["agent", "reporter"].map(|role| roles.house(role));
    let round = prepared(&agent, &reporter, &operator, &ROLES);
    command_lines_are_obeyed_as_the_page_says(&roles, &round);
    gateways_serve_as_the_page_says(&roles, &round);
    processor.stop();
    a_doctor_sees_what_a_role_lacks(&roles);
    topics_are_as_the_page_says(&roles);
    settings_one_may_not_alter_are_not_altered(&roles);
}

fn command_lines_are_obeyed_as_the_page_says(roles: &Roles, round: &str) {
    let folder = TempDir::new().unwrap();
    let folder = folder.path().to_str().unwrap();
    let tried = thread::scope(|scope| {
        let tries = ROLES.map(|role| {
            let house = roles.house(role);
            scope.spawn(move || {
                let lines = command_lines(&house, role, round, folder).into_iter();
                let does = |(name, line): (_, Vec<String>)| (name, obeys(&house, role, &line));
                let mut tried: Vec<_> = lines.map(does).collect();
                // Another processor is there already, and this is how long it takes to say no.
                let runs = ["run", "--engines", "1", "--instance", role].map(str::to_owned);
                tried.push(("run", role == "processor" || obeys(&house, role, &runs)));
                tried
            })
        });
        tries.map(|tried| tried.join().unwrap())
    });
    let mut table = Table::headed(&ROLES);
    for (at, &(name, _)) in tried[0].iter().enumerate() {
        let marks = tried.each_ref().map(|tried| mark(tried[at].1));
        table.row(&format!("`quorate {name}`"), &marks);
    }
    table.is_that_of("By the command line, on Kafka");
}

/// Whether what is asked is done, or refused for want of a right.
fn obeys(house: &House, role: &str, line: &[String]) -> bool {
    let line: Vec<_> = line.iter().map(String::as_str).collect();
    let said = house.call(&line);
    let complaint = String::from_utf8_lossy(&said.stderr).to_lowercase();
    // A topic one may not know of is not there, nor are its settings; a producer that may write
    // nothing throws away what it was handed; who may not know a group asks for it until time is up.
    let refused = [
        "authorization failed",
        "purgequeue",
        "unknown partition",
        "is not there",
        "no broker tells",
        "ask for committed positions: meta data fetch error: operationtimedout",
    ];
    match said.status.code() {
        Some(0 | 3) => true,
        Some(1) if refused.iter().any(|why| complaint.contains(why)) => false,
        code => panic!("{role}, {line:?}: {code:?} {complaint}"),
    }
}

/// A gateway does its work with what it may, and no role of people is one.
fn gateways_serve_as_the_page_says(roles: &Roles, round: &str) {
    let people = tokens(&[("op", "operator"), ("desk", "agent"), ("rita", "reviewer")]);
    let house = roles.house("gateway");
    let web = house.serve(Some(&people));
    web.get("op", &format!("/v1/rounds/{round}")).with(200);
    let body = serde_json::json!({
        "domain": "pay", "probability": 0.95, "stakes": "LOW",
        "action": { "type": "payment.release", "subject": "payment-8" },
    });
    let said = web.post("desk", "/v1/proposals?wait=30", &body).with(200);
    assert_eq!(said["state"], "admitted");
    let place = format!("/v1/escalations/{round}");
    let package = web.get("rita", &place).with(200)["package_digest"].take();
    let body = serde_json::json!({
        "proposal_id": round, "package_digest": package, "verdict": "APPROVE",
    });
    let said = web.post("rita", "/v1/decisions?wait=30", &body).with(200);
    assert_eq!(said["state"], "admitted");
    web.stop();
}

fn a_doctor_sees_what_a_role_lacks(roles: &Roles) {
    let examined = |role: &str, of: &str| {
        let said = roles.house(role).call(&["doctor", "--role", of]);
        let findings = String::from_utf8(said.stdout).unwrap();
        (said.status.code(), findings)
    };
    let (code, findings) = examined("gateway", "gateway");
    assert_eq!(code, Some(0), "{findings}");
    assert!(
        findings.starts_with("ok   role: this client may read the"),
        "{findings}"
    );
    assert!(
        findings.contains("note role: whether it may append to"),
        "{findings}"
    );
    let (code, findings) = examined("auditor", "auditor");
    assert_eq!(code, Some(0), "{findings}");
    // It appends nothing, so there is nothing more to say.
    assert_eq!(findings.lines().count(), 1, "{findings}");
    let (code, findings) = examined("agent", "gateway");
    assert_eq!(code, Some(1), "{findings}");
    for lacks in ["cannot read `", "cannot ask how far processors are"] {
        let line = findings.lines().find(|line| line.contains(lacks)).unwrap();
        assert!(line.starts_with("why  role: "), "{line}");
        assert!(
            line.ends_with("allow it as `quorate topics acls` says of `gateway`"),
            "{line}"
        );
    }
    let cannot = format!("cannot read `{}", roles.house("agent").prefix);
    let lacks = |topic: Topic| findings.contains(&format!("{cannot}{topic}`"));
    assert!(
        lacks(Topic::Rounds) && !lacks(Topic::Proposals),
        "{findings}"
    );
}

/// Who may see settings and not alter them is told so, and not that they were altered.
fn settings_one_may_not_alter_are_not_altered(roles: &Roles) {
    let house = roles.house("agent");
    let prefix = format!("--topic {} --resource-pattern-type prefixed", house.prefix);
    roles.allow_besides("agent", &format!("--operation DescribeConfigs {prefix}"));
    let folder = TempDir::new().unwrap();
    let folder = folder.path().to_str().unwrap();
    let mut lines = command_lines(&house, "agent", "", folder).into_iter();
    let line = lines.find(|(name, _)| *name == "topics apply");
    let (_, words) = line.unwrap();
    let said = house.call(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(1), "{complaint}");
    assert!(
        complaint.contains("does not have the settings it was given"),
        "{complaint}"
    );
}

fn topics_are_as_the_page_says(roles: &Roles) {
    // Something to read in each.
    let pen = Appender::open(&roles.master()).unwrap();
    for &topic in Topic::ALL {
        pen.append(topic, 0, Some(b"key"), Some(b"nonsense"), &[])
            .unwrap();
    }
    pen.settle().unwrap();
    let tried = thread::scope(|scope| {
        let tries = ROLES.map(|role| {
            scope.spawn(move || {
                let reads = |topic| may_read(roles, role, topic);
                let does = |&topic| (reads(topic), roles.may_append(role, topic));
                Topic::ALL.iter().map(does).collect::<Vec<_>>()
            })
        });
        tries.map(|tried| tried.join().unwrap())
    });
    let mut table = Table::headed(&ROLES);
    for (at, topic) in Topic::ALL.iter().enumerate() {
        let cells = tried.each_ref().map(|tried| match tried[at] {
            (true, true) => "read, append",
            (true, false) => "read",
            (false, true) => "append",
            (false, false) => "–",
        });
        table.row(&format!("`acp.{topic}`"), &cells);
    }
    table.is_that_of("On Kafka");
}

/// Whether the broker lets a role read a topic.
fn may_read(roles: &Roles, role: &str, topic: Topic) -> bool {
    let reader = Reader::open(&roles.connection(role)).unwrap();
    reader.go_to(&[(topic, 0, Start::Beginning)]).unwrap();
    let mut may = None;
    until(&format!("{role} reads {topic}, or is refused"), || {
        let read = match reader.next(Duration::from_secs(1)) {
            // Nothing is ever said to a reader of a topic that one may not even know of.
            Ok(None) => reader.ends(topic, 0).map(|_| ()),
            Ok(Some(_)) => {
                may = Some(true);
                Ok(())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            let why = format!("{:#}", anyhow::Error::from(error)).to_lowercase();
            let refused = ["authorization failed", "unknown partition"];
            assert!(
                refused.iter().any(|refusal| why.contains(refusal)),
                "{role}, {topic}: {why}"
            );
            may = Some(false);
        }
        may.is_some()
    });
    may.unwrap()
}
