//! The offsets of the processors' group: saved, deleted, and restored so that processors go on.

use std::path::Path;

use quorate::wire::partition_of;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::people::{people, prompt_policies};
use crate::support::{House, until};

const AGENTS: &str = people!(desk ada bob cyd);
const POLICIES: &str = prompt_policies!();
/// Processors that are missed soon.
const HASTY: &str = "[kafka]\n\"session.timeout.ms\" = \"6000\"\n";

/// A proposal on a partition of two.
fn propose_on(house: &House, partition: i32) -> String {
    let ids = std::iter::repeat_with(|| uuid::Uuid::now_v7().to_string());
    let mut here = ids.filter(|id| partition_of(id.as_bytes(), 2) == partition);
    propose(house, &["--id", &here.next().unwrap()])
}

fn propose(house: &House, more: &[&str]) -> String {
    let who = ["--proposer", "desk", "--domain", "pay", "--stakes", "LOW"];
    let what = ["--type", "payment.release", "--subject", "payment-7"];
    house.propose(&[&who[..], &what[..], &["--confidence", "0.9"], more].concat())
}

/// What is saved, if anything is.
fn saved(house: &House) -> Vec<Value> {
    let said = house.call(&["offsets", "save", "-"]);
    let saved: Value = serde_json::from_slice(&said.stdout).unwrap_or_default();
    saved["offsets"].as_array().cloned().unwrap_or_default()
}

/// What a call that is refused says.
fn refused(house: &House, arguments: &[&str]) -> String {
    let said = house.call(arguments);
    assert_eq!(said.status.code(), Some(1), "{arguments:?}: {said:?}");
    String::from_utf8(said.stderr).unwrap()
}

/// A file of offsets with something changed.
fn changed(file: &Path, change: impl FnOnce(&mut Value)) -> String {
    let mut saved: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    change(&mut saved);
    let other = file.with_extension(uuid::Uuid::now_v7().simple().to_string());
    std::fs::write(&other, saved.to_string()).unwrap();
    other.to_str().unwrap().to_owned()
}

/// Deletes the group, once nobody is in it any more.
#[expect(
    clippy::disallowed_methods,
    reason = "an operator's tools are not of our making"
)]
fn delete_group(house: &House) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", house.bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().unwrap();
    let group = format!("{}processor", house.prefix);
    until("the group is deleted", || {
        let deleted = admin.delete_groups(&[&group], &AdminOptions::new());
        runtime.block_on(deleted).unwrap().iter().all(Result::is_ok)
    });
}

#[test]
fn offsets_that_were_saved_and_lost_are_restored_and_processors_go_on() {
    let house = House::with(2, AGENTS, POLICIES);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("offsets.json");
    let name = file.to_str().unwrap();
    let save = ["offsets", "save", name];
    let restore = ["offsets", "restore", name];
    let none = refused(&house, &save);
    assert!(none.contains("no committed offsets"), "{none}");
    assert!(!file.exists());

    let processor = house.run_observed("one", HASTY);
    let ids = [0, 1].map(|partition| propose_on(&house, partition));
    for id in &ids {
        house.respond(id, "ada", "endorse", "0.9");
    }
    until("it is committed", || {
        let saved = saved(&house);
        let mut responses = saved.iter().filter(|at| at["topic"] == "responses");
        saved.len() == 10 && responses.all(|at| at["offset"] == 1)
    });
    processor.stop();
    let said = house.ok(&[&save[..], &["--output", "json"]].concat());
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (&said["offsets"], &said["file"]),
        (&json!(10), &json!(name))
    );
    let again = refused(&house, &save);
    assert!(again.contains("cannot write"), "{again}");
    delete_group(&house);

    let halted = house.run_observed("one", HASTY);
    until("it halts, and says what to do", || {
        let why = halted.get("/readyz").1;
        why.matches("`quorate offsets restore`").count() == 2
    });
    let busy = refused(&house, &restore);
    assert!(busy.contains("stop every processor first"), "{busy}");
    halted.stop();
    let mut lines = Vec::new();
    until("nobody is in the group", || {
        let said = house.call(&[&restore[..], &["--output", "json"]].concat());
        lines = String::from_utf8(said.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .collect();
        said.status.success()
    });
    assert_eq!(lines.len(), 10);
    assert!(
        lines.iter().all(|line| line["change"] == "restored"),
        "{lines:?}"
    );
    let same = house.ok(&restore);
    assert!(
        same.lines().all(|line| line.ends_with(": unchanged")),
        "{same}"
    );
    // What is saved of what was restored is the same to the letter.
    let copy = folder.path().join("copy.json");
    house.ok(&["offsets", "save", copy.to_str().unwrap()]);
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&file).unwrap());

    let processor = house.run_observed("one", HASTY);
    for id in &ids {
        for agent in ["bob", "cyd"] {
            house.respond(id, agent, "endorse", "0.9");
        }
        let outcome = house.records("outcomes", Some(id), 1).remove(0);
        let ballots = outcome["decision"]["ballots"].as_array().unwrap().iter();
        let counted: Vec<_> = ballots
            .filter(|ballot| ballot["counted"] == true)
            .map(|ballot| &ballot["agent_id"])
            .collect();
        assert_eq!(counted, ["ada", "bob", "cyd"]);
    }
    processor.stop();
    // Going back would put out again what is put out.
    let mut why = String::new();
    until("nobody is in the group", || {
        why = refused(&house, &restore);
        !why.contains("stop every processor first")
    });
    assert!(why.contains("processors have worked since"), "{why}");
}

#[test]
fn a_file_that_is_not_of_this_group_or_not_whole_is_refused() {
    let house = House::with(1, AGENTS, POLICIES);
    let processor = house.run_observed("", HASTY);
    let id = propose(&house, &[]);
    for agent in ["ada", "bob", "cyd"] {
        house.respond(&id, agent, "endorse", "0.9");
    }
    house.records("outcomes", Some(&id), 1);
    processor.stop();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("offsets.json");
    std::fs::write(&file, house.ok(&["offsets", "save", "-"])).unwrap();
    type Change = fn(&mut Value);
    let wrong: [(&str, Change); 8] = [
        ("version 2 is not one this program reads", |saved| {
            saved["version"] = json!(2)
        }),
        ("`version` is missing", |saved| *saved = json!([])),
        ("under prefix `other.`", |saved| {
            saved["prefix"] = json!("other.")
        }),
        ("of 2 partitions; there are 1", |saved| {
            saved["partitions"] = json!(2)
        }),
        ("is not one a processor committed", |saved| {
            saved["offsets"][0]["metadata"] = json!("");
        }),
        ("trust-updates/0 has none", |saved| {
            saved["offsets"].as_array_mut().unwrap().pop();
        }),
        ("`outcomes` is no topic processors read", |saved| {
            saved["offsets"][0]["topic"] = json!("outcomes");
        }),
        ("before the file's offset 99", |saved| {
            saved["offsets"][0]["offset"] = json!(99);
        }),
    ];
    for (why, change) in wrong {
        let file = changed(&file, change);
        let said = refused(&house, &["offsets", "restore", &file]);
        assert!(said.contains(why), "{said}");
    }
    house.ok(&["offsets", "restore", file.to_str().unwrap()]);
}
