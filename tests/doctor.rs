//! What an operator asks of a cluster, on a real one: what is planned, who may do what, what ails.

use quorate::transport::kafka::{Appender, Connection, Registry};
use quorate::wire::{Codec, Record, files, partition_of};
use quorate_core::records::{Response, Verdict};
use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::support::{House, parts};

const AGENTS: &str = "[[agent]]\nagent_id = \"ada\"\n\
    domains = [{ domain = \"pay\", authority = 1.0 }]\n";
const POLICIES: &str = "[[policy]]\npattern = \"pay\"\n";

/// Somebody else's client, set up as they please.
#[expect(
    clippy::disallowed_methods,
    reason = "this is somebody else's tool, not ours"
)]
fn strange() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &parts().bootstrap);
    config
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap().block_on(future)
}

/// Leaves a topic with one setting of its own, as somebody with a tool might.
fn meddle(house: &House, topic: Topic, key: &str, value: &str) {
    let name = format!("{}{topic}", house.prefix);
    let admin: AdminClient<DefaultClientContext> = strange().create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set(key, value);
    let altered = wait_for(admin.alter_configs([&change], &AdminOptions::new()));
    altered.unwrap().remove(0).unwrap();
}

/// Appends a record as its sender likes, by the schema that is registered.
fn append<T: Record>(house: &House, partition: i32, key: &str, record: &T) {
    let registry = Registry::new(&parts().registry, "", None).unwrap();
    let (kind, subject) = (T::KIND, T::KIND.subject(&house.prefix));
    let id = wait_for(registry.register(&subject, kind.schema())).unwrap();
    let value = Codec::confluent([(kind, id)]).encode(record).unwrap();
    let properties = std::collections::BTreeMap::new();
    let connection = Connection::new(&parts().bootstrap, &house.prefix, properties).unwrap();
    let appender = Appender::open(&connection).unwrap();
    let key = Some(key.as_bytes());
    appender
        .append(kind.topic(), partition, key, Some(&value), &[])
        .unwrap();
    appender.settle().unwrap();
}

/// What the doctor says of a check that is not ok: what, and how to mend it.
fn wrong(said: &str, check: &str) -> Vec<(String, String)> {
    let findings = said
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let wrong = findings.filter(|f| f["check"] == check && f["state"] == "why");
    let text = |f: &Value, field: &str| f[field].as_str().unwrap().to_owned();
    wrong
        .map(|f| (text(&f, "what"), text(&f, "mend")))
        .collect()
}

/// What a verb says and its exit code, asked until that is so: brokers tell each other of changed
/// settings with some delay.
fn said_when(house: &House, arguments: &[&str], code: i32) -> String {
    let mut said = String::new();
    for _ in 0..20 {
        let output = house.call(arguments);
        said = String::from_utf8(output.stdout).unwrap();
        if output.status.code() == Some(code) {
            return said;
        }
    }
    panic!("{arguments:?} never ended with {code}: {said}");
}

/// Settings that a topic's line of a plan names, each `key from→to`.
fn planned<'a>(plan: &'a str, house: &House, topic: Topic) -> &'a str {
    let start = format!("{}{topic}: ", house.prefix);
    plan.lines().find_map(|l| l.strip_prefix(&start)).unwrap()
}

#[test]
fn a_plan_is_empty_once_it_is_carried_out() {
    let house = House::bare();
    let arguments = ["topics", "plan", "--partitions", "2"];
    let before = said_when(&house, &arguments, 1);
    assert_eq!(
        planned(&before, &house, Topic::Proposals),
        "create, 2 partitions"
    );
    assert_eq!(
        planned(&before, &house, Topic::Agents),
        "create, 1 partitions"
    );
    house.ok(&["topics", "apply", "--partitions", "2"]);
    let after = said_when(&house, &arguments, 0);
    for &topic in Topic::ALL {
        assert_eq!(planned(&after, &house, topic), "ok");
    }
    let other = house.call(&["topics", "plan", "--partitions", "3", "--output", "json"]);
    assert_eq!(other.status.code(), Some(1));
    let said = String::from_utf8(other.stdout).unwrap();
    let line: Value = serde_json::from_str(said.lines().next().unwrap()).unwrap();
    assert_eq!(line["topic"], format!("{}proposals", house.prefix));
    let why = line["step"]["refused"].as_str().unwrap();
    assert!(why.contains("2 partitions, not 3"), "{why}");
}

#[test]
fn a_setting_somebody_changed_is_named_and_put_right() {
    let house = House::bare();
    house.ok(&["topics", "apply", "--partitions", "1"]);
    meddle(
        &house,
        Topic::Responses,
        "message.timestamp.type",
        "CreateTime",
    );
    let arguments = ["topics", "plan", "--partitions", "1"];
    let plan = said_when(&house, &arguments, 1);
    let step = planned(&plan, &house, Topic::Responses);
    let changed = "message.timestamp.type CreateTime→LogAppendTime";
    assert!(step.starts_with("set ") && step.contains(changed), "{step}");
    assert_eq!(planned(&plan, &house, Topic::Proposals), "ok");
    let applied = house.ok(&["topics", "apply", "--partitions", "1"]);
    let start = format!("{}responses: altered ", house.prefix);
    let altered = applied.lines().find(|line| line.starts_with(&start));
    assert!(altered.unwrap().contains("message.timestamp.type"));
    said_when(&house, &arguments, 0);
}

#[test]
fn a_sound_house_is_ok_throughout() {
    let house = House::with(2, AGENTS, POLICIES);
    let arguments = ["doctor", "--tick", "--output", "json"];
    let said = said_when(&house, &arguments, 0);
    let findings: Vec<Value> = said
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for check in [
        "brokers",
        "versions",
        "partitions",
        "topics",
        "registry",
        "tables",
        "last stable offset",
        "append times",
        "partitioners",
        "clocks",
    ] {
        let mut of = findings.iter().filter(|finding| finding["check"] == check);
        assert!(
            of.any(|finding| finding["state"] == "ok"),
            "{check}: {said}"
        );
    }
    let text = house.ok(&["doctor"]);
    assert!(
        text.lines()
            .all(|l| l.starts_with("ok   ") || l.starts_with("note ")),
        "{text}"
    );
}

#[test]
fn an_unsound_agent_and_a_topic_with_its_senders_time_are_named() {
    let house = House::with(1, AGENTS, POLICIES);
    let mut bob = files::agents(AGENTS).unwrap().remove(0);
    bob.agent_id = "bob".into();
    bob.principal = String::new();
    append(&house, 0, "bob", &bob);
    meddle(
        &house,
        Topic::Results,
        "message.timestamp.type",
        "CreateTime",
    );
    let arguments = ["doctor", "--output", "json"];
    let topic = format!("{}results", house.prefix);
    let named = |said: &str| {
        let wrong = wrong(said, "topics");
        wrong.into_iter().find(|(what, _)| {
            what.starts_with(&format!("`{topic}` has message.timestamp.type CreateTime"))
        })
    };
    // The broker may tell of the change a moment later.
    let looked = (0..20).map(|_| said_when(&house, &arguments, 1));
    let said = looked.into_iter().find(|said| named(said).is_some());
    let said = said.expect("the doctor names the topic");
    let (_, mend) = named(&said).unwrap();
    assert_eq!(mend, "run `quorate topics apply`");
    let table = format!("`{}agents`@1 (key `bob`) ", house.prefix);
    let tables = wrong(&said, "tables");
    assert_eq!(tables.len(), 1, "{said}");
    assert!(tables[0].0.starts_with(&table), "{said}");
    assert!(tables[0].0.contains("`principal` is empty"), "{said}");
    // A sound record of that key mends it.
    bob.principal = "bank".to_owned();
    append(&house, 0, "bob", &bob);
    house.ok(&["topics", "apply", "--partitions", "1"]);
    said_when(&house, &arguments, 0);
}

#[test]
fn a_sender_whose_partitioner_is_not_murmur2_is_named() {
    let house = House::with(3, AGENTS, POLICIES);
    let id = uuid::Uuid::now_v7().to_string();
    let response = Response {
        response_id: "r".into(),
        proposal_id: id.as_str().into(),
        proposal_digest: None,
        agent_id: "ada".into(),
        verdict: Verdict::Endorse,
        confidence: 0.9,
        reasoning: "seen".into(),
        evidence: Vec::new(),
    };
    let right = partition_of(id.as_bytes(), 3);
    append(&house, right, &id, &response);
    let arguments = ["doctor", "--output", "json"];
    said_when(&house, &arguments, 0);
    append(&house, (right + 1) % 3, &id, &response);
    let said = said_when(&house, &arguments, 1);
    let misplaced = wrong(&said, "partitioners");
    assert_eq!(misplaced.len(), 1, "{said}");
    assert!(
        misplaced[0].0.contains("is not murmur2 (`ada`): 1 of 2"),
        "{said}"
    );
}

#[test]
fn a_transaction_that_hangs_is_named_until_it_ends() {
    let house = House::with(1, AGENTS, POLICIES);
    let mut config = strange();
    config.set("transactional.id", format!("{}stranger", house.prefix));
    let producer: BaseProducer = config.create().unwrap();
    let patience = std::time::Duration::from_secs(60);
    producer.init_transactions(patience).unwrap();
    producer.begin_transaction().unwrap();
    let topic = format!("{}responses", house.prefix);
    let record = BaseRecord::<[u8], [u8]>::to(&topic).key(b"k").payload(b"v");
    producer.send(record).unwrap();
    producer.flush(patience).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("q.toml");
    std::fs::write(&file, "[run]\ntransaction_timeout_ms = 1\n").unwrap();
    let file = file.to_str().unwrap();
    let arguments = ["doctor", "--output", "json", "--config", file];
    let said = said_when(&house, &arguments, 1);
    let held = wrong(&said, "last stable offset");
    assert_eq!(held.len(), 1, "{said}");
    assert!(
        held[0]
            .0
            .starts_with(&format!("`{topic}`/0 has stood at 0 ")),
        "{said}"
    );
    assert!(
        held[0].1.contains("kafka-transactions describe-producers"),
        "{said}"
    );
    producer.abort_transaction(patience).unwrap();
    said_when(&house, &arguments, 0);
}
