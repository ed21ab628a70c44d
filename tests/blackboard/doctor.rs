//! What the doctor says of a file, and what a copy of one is worth.

use std::process::Command;

use quorate_core::topic::Topic;
use serde_json::Value;

use super::{AGENTS, POLICIES, proposed};
use crate::support::{House, until};

/// What is said of each check: how it stands, and what.
fn said(house: &House) -> Vec<(String, String, String)> {
    let answer = house.call(&["doctor", "--output", "json"]);
    let lines = String::from_utf8(answer.stdout).unwrap();
    let line = |line: &str| {
        let said: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| said[name].as_str().unwrap().to_owned();
        assert_eq!(said["state"] == "why", said["mend"].is_string(), "{said}");
        (field("check"), field("state"), field("what"))
    };
    let said: Vec<_> = lines.lines().map(line).collect();
    let ails = said.iter().any(|(_, state, _)| state == "why");
    assert_eq!(answer.status.success(), !ails, "{said:?}");
    said
}

/// The one thing that is wrong.
fn wrong(house: &House) -> (String, String) {
    let said = said(house).into_iter();
    let mut wrong = said.filter(|(_, state, _)| state == "why");
    let (check, _, what) = wrong.next().expect("nothing is wrong");
    assert_eq!(wrong.next(), None, "beside `{check}`: {what}");
    (check, what)
}

fn sql(house: &House, statements: &str) {
    let file = rusqlite::Connection::open(house.file()).unwrap();
    file.execute_batch(statements).unwrap();
}

#[test]
fn everything_is_well_and_each_thing_that_is_not_is_named() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let mut well = said(&house);
    well.retain(|(_, state, _)| state == "ok");
    let checks: Vec<_> = well.iter().map(|(check, ..)| check.as_str()).collect();
    for check in [
        "file",
        "journal",
        "writing",
        "space",
        "tables",
        "schemas",
        "append times",
        "partitioners",
        "clocks",
    ] {
        assert!(checks.contains(&check), "{check} is not in {well:?}");
    }
    // Nobody processes what waits.
    let round = proposed(&house, "CRITICAL");
    let (check, what) = wrong(&house);
    assert_eq!(check, "engines");
    assert!(what.starts_with("nobody owns partition"), "{what}");
    assert!(what.ends_with("and 1 records wait"), "{what}");
    let processor = house.run();
    house.records("outcomes", Some(&round), 1);
    until("everything is well", || {
        let said = said(&house);
        let owned = |what: &str| what.starts_with("2 share the file and own 2 of 2 partitions");
        said.iter()
            .any(|(_, state, what)| state == "ok" && owned(what))
    });
    // An engine that stands still.
    processor.pause();
    until("its session ends", || {
        let said = said(&house);
        let dead = |what: &str| what.contains("and its session is 4000 ms");
        said.iter()
            .any(|(_, state, what)| state == "why" && dead(what))
    });
    processor.resume();
    processor.stop();
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    sql(&house, "UPDATE state SET time = time + 3600000");
    let (check, what) = wrong(&house);
    assert_eq!(check, "clocks");
    assert!(what.contains("stand still"), "{what}");
    sql(&house, "UPDATE state SET time = time - 3600000");
    let file = rusqlite::Connection::open(house.file()).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (check, what) = wrong(&house);
    assert_eq!(check, "writing");
    assert!(what.contains("locked"), "{what}");
    drop(file);
    sql(&house, "PRAGMA journal_mode = delete");
    assert_eq!(wrong(&house).0, "journal");
    house.ok(&["topics", "apply", "--partitions", "1"]);
    sql(
        &house,
        "INSERT INTO agents (key, value) VALUES ('ada', x'00')",
    );
    let (check, what) = wrong(&house);
    assert_eq!(check, "tables");
    assert!(what.contains("key `ada`"), "{what}");
}

#[test]
fn a_copy_taken_while_processors_run_goes_on_from_where_it_was() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let processor = house.run();
    let decided = proposed(&house, "CRITICAL");
    house.records("outcomes", Some(&decided), 1);
    let open = proposed(&house, "CRITICAL");
    until("it is opened", || {
        house.ok(&["show", &open]).contains("state OPEN")
    });
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("copy.db");
    // As the page says, by a tool that is nothing of ours.
    let copies = "import sqlite3, sys; \
                  sqlite3.connect(sys.argv[1]).backup(sqlite3.connect(sys.argv[2]))";
    let made = Command::new("python3")
        .args(["-c", copies])
        .args([house.file(), &path])
        .status();
    assert!(made.unwrap().success());
    processor.stop();
    let copy = House::of_file(&path);
    let processor = copy.run();
    let outcome = copy.records("outcomes", Some(&open), 1).remove(0);
    assert_eq!(outcome["decision"]["reasons"][0], "HIGH_STAKES");
    assert_eq!(copy.records_so_far("outcomes", &decided).len(), 1);
    assert_eq!(copy.count(Topic::Proposals, 2), 2);
    processor.stop();
}
