//! What an operator asks of a cluster, on a real one: what is planned, who may do what, what ails.

use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use serde_json::Value;

use crate::support::{House, parts};

/// Leaves a topic with one setting of its own, as somebody with a tool might.
#[expect(
    clippy::disallowed_methods,
    reason = "this is somebody else's tool, not ours"
)]
fn meddle(house: &House, topic: Topic, key: &str, value: &str) {
    let name = format!("{}{topic}", house.prefix);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &parts().bootstrap);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(&name)).set(key, value);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let options = AdminOptions::new();
    let altered = runtime
        .unwrap()
        .block_on(admin.alter_configs([&change], &options));
    altered.unwrap().remove(0).unwrap();
}

/// What a verb says and its exit code, asked until that is so: brokers tell each other of changed
/// settings with some delay.
fn said_when(house: &House, arguments: &[&str], code: i32) -> String {
    for _ in 0..200 {
        let output = house.call(arguments);
        if output.status.code() == Some(code) {
            return String::from_utf8(output.stdout).unwrap();
        }
    }
    panic!("{arguments:?} never ended with {code}");
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
