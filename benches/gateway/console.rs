//! How soon a person can do something in a page: the queue where very many wait, and a decision on which
//! very many have voted. In a browser, with nothing of the pages kept from before.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::transport::blackboard::{Blackboard, Edge, Reader};
use quorate::transport::{Handle as _, Reading as _};
use quorate::wire::partition_of;
use quorate_core::ids::Timestamp;
use quorate_core::records::Verdict;
use quorate_core::topic::Topic;

use super::file::{MANY, entry, proposal, response};
use super::house::{House, PARTITIONS};
use super::meter::percentile;
use super::number;
use super::table::{Run, Table};

/// After how long rounds close: all that belongs to them is there by then.
const OPEN: i64 = 10_000;

/// How many agents there are where very many rounds wait.
const FEW: usize = 8;

pub(crate) fn all(table: &mut Table) {
    let voters = number("BALLOTS", 2_000, 200);
    let waiting = number("WAITING", 10_000, 500);
    table.add(page("queue", &format!("{waiting} waiting"), waiting, FEW));
    table.add(page("decision", &format!("{voters} ballots"), 0, voters));
}

/// A page where so many rounds wait beside one on which everybody has voted.
fn page(name: &str, of: &str, waiting: usize, voters: usize) -> Run {
    let house = House::furnished(None, voters);
    let most_said = fill(&house, waiting, voters);
    let _processor = house.run();
    let board = Blackboard::open(&house.path("bank.db")).unwrap();
    let reader = Reader::open(&board).unwrap();
    let escalated = || -> i64 {
        let end = |partition| reader.ends(Topic::Escalations, partition).unwrap().1;
        (0..PARTITIONS).map(end).sum()
    };
    while escalated() <= i64::try_from(waiting).unwrap() {
        thread::sleep(Duration::from_millis(100));
    }
    let (_gateway, address) = house.serve();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let told = Command::new(root.join("scripts/node.sh"))
        .arg(root.join("tests/console"))
        .args(["timing.mjs", &format!("http://{address}"), name, &most_said])
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(told.status.success(), "the pages were not there");
    let mut times: Vec<i64> = serde_json::from_slice(&told.stdout).unwrap();
    Run::new(name, of)
        .with("ms to act, least", percentile(&mut times, 0.0))
        .with("ms to act, median", percentile(&mut times, 0.5))
        .with("ms to act, 90 %", percentile(&mut times, 0.9))
}

/// Rounds on which two disagree, and one on which everybody has voted; its id.
fn fill(house: &House<'_>, waiting: usize, voters: usize) -> String {
    let board = Blackboard::open(&house.path("bank.db")).unwrap();
    let edge = Edge::new(board);
    let deadline = Timestamp(System.now().0 + OPEN);
    let says = |of: usize| match of % 2 {
        0 => Verdict::Endorse,
        _ => Verdict::Challenge,
    };
    let mut records = Vec::new();
    let mut open = |answers: usize| {
        let id = uuid::Uuid::now_v7().to_string();
        records.push((Topic::Proposals, id.clone(), proposal(&id, deadline)));
        let answers = (0..answers).map(|of| response(&id, of, says(of)));
        records.extend(answers.map(|value| (Topic::Responses, id.clone(), value)));
        id
    };
    let most_said = open(voters);
    for _ in 0..waiting {
        open(2);
    }
    for some in records.chunks(MANY) {
        let entries = some.iter().map(|(topic, id, value)| {
            entry(*topic, partition_of(id.as_bytes(), PARTITIONS), id, value)
        });
        edge.append(&entries.collect::<Vec<_>>()).unwrap();
    }
    assert!(
        System.now() < deadline,
        "this machine is too slow: the rounds have closed"
    );
    most_said
}
