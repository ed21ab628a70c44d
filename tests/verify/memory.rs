//! What a verifier holds that follows a log, while days pass in which rounds are opened, decided and
//! forgotten: it goes with the rounds of the last two days, not with the log.

use std::time::Duration;

use quorate::transport::Handle as _;
use quorate_core::records::{ResultKind, Verdict};
use quorate_core::topic::Topic;

use super::follow::{is_through, metric};
use super::number;
use super::rehearsed::Rehearsed;
use crate::support::people::people;
use crate::support::{Observed, records, until, until_within};

/// Rounds, if not `QUORATE_FOLLOW_ROUNDS`.
const ROUNDS: usize = 2_000;
const PARTITIONS: i32 = 2;
/// Days over which they are.
const DAYS: usize = 16;
/// How long a closed round is remembered, in days: the least there may be.
const WINDOW: usize = 2;
const DAY: i64 = 86_400_000;
/// Rounds between two looks of the processor.
const AT_ONCE: usize = 50;
/// One of so many has a result, is refused, escalates.
const REPORTED: usize = 50;
const REFUSED: usize = 40;
const SPLIT: usize = 10;

const AGENTS: &str = people!(desk ada bob ledger);
const POLICIES: &str = "[[policy]]\npattern = \"pay\"\nresult_window = \"2 d\"\n\
    decision_deadline = \"1 h\"\non_decision_timeout = \"REJECT\"\n";

/// Bytes of inputs that are held at a time.
const HELD: u64 = 64 << 20;
/// Bytes that it may take for each round there ever was, where it begins.
const BEGUN: u64 = 3_000;

/// How long a verifier may take for what there is.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a verifier holds.
#[derive(Debug)]
struct Held {
    rounds: f64,
    bytes: u64,
    peak: u64,
}

/// What it holds once it is through, and has let go of what it met: no more notes than these.
fn held(verifier: &Observed, log: &Rehearsed, notes: usize) -> Held {
    let reader = log.edge.reader().unwrap();
    let end = |partition| reader.ends(Topic::Outcomes, partition).unwrap().1;
    let outcomes: i64 = (0..PARTITIONS).map(end).sum();
    let verified = "verdict=\"verified\",kind=\"outcome\"";
    until_within(PATIENCE, "what is there is verified", || {
        let all = metric(verifier, "quorate_verify_items_total", verified);
        all == outcomes as f64 && is_through(verifier)
    });
    let of = |of: &str| metric(verifier, "quorate_verify_held_items", &format!("\"{of}\""));
    until("what was met is let go", || of("notes") <= notes as f64);
    let (bytes, peak) = verifier.memory();
    Held {
        rounds: of("rounds"),
        bytes,
        peak,
    }
}

/// Proposes something, to which both experts say something.
fn round(log: &mut Rehearsed, number: usize) -> String {
    let proposer = match number % REFUSED {
        0 => "nobody",
        _ => "desk",
    };
    let id = log.propose(proposer, 2_000);
    let verdict = match number % SPLIT {
        0 => Verdict::Challenge,
        _ => Verdict::Endorse,
    };
    let codec = log.edge.codec();
    let said = [("ada", Verdict::Endorse), ("bob", verdict)].map(|(who, verdict)| {
        let response = records::response(&id, who, verdict, 0.9);
        codec.encode(&response).unwrap()
    });
    log.put(Topic::Responses, &id, &said);
    id
}

/// A quarter of the rounds, and what becomes of them.
fn quarter(log: &mut Rehearsed, rounds: usize, settle: &mut dyn FnMut()) {
    let pause = DAY * DAYS as i64 / rounds as i64;
    let mut reported = Vec::new();
    for number in 0..rounds / 4 {
        let id = round(log, number);
        if number % REPORTED == 1 {
            reported.push(id);
        }
        log.wait(pause);
        if number % AT_ONCE == 0 {
            settle();
            for id in reported.drain(..) {
                let report = records::report(&id, &id, "ledger", ResultKind::Right);
                log.append(Topic::Results, &id, &report);
            }
        }
    }
    settle();
}

/// Writes the table of `docs/verify.md`.
fn write_down(rounds: usize, told: &[Held], anew: &Held) {
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let mut table =
        "| Rounds so far | Rounds held | In memory, MB | Most so far, MB |\n| --: | --: | --: | --: |\n"
            .to_owned();
    let quarters = told.iter().enumerate();
    let rows = quarters.map(|(at, held)| (format!("{}", (at + 1) * rounds / 4), held));
    let anew = [(format!("{rounds}, begun anew with all of them"), anew)];
    for (what, held) in rows.chain(anew) {
        let (now, peak) = (mb(held.bytes), mb(held.peak));
        table += &format!("| {what} | {} | {now:.0} | {peak:.0} |\n", held.rounds);
    }
    super::between("memory", &table);
}

#[test]
fn what_a_verifier_holds_does_not_grow_with_the_log() {
    let asked = number("QUORATE_FOLLOW_ROUNDS");
    let rounds = asked.unwrap_or(ROUNDS);
    // Of escalated rounds their last records are remembered; they escalate again for some hours.
    let notes = rounds / DAYS / SPLIT;
    let mut log = Rehearsed::begin(PARTITIONS, AGENTS, POLICIES);
    let house = log.house();
    let verifier = house.verify_on(&["--output", "json"]);
    let mut told = Vec::new();
    log.play(|log, settle| {
        for _ in 0..4 {
            quarter(log, rounds, settle);
            told.push(held(&verifier, log, notes));
        }
    });
    let (code, said) = verifier.verified();
    assert_eq!(code, Some(0), "{said}");
    let verifier = house.verify_on(&["--output", "json"]);
    let anew = held(&verifier, &log, notes);
    drop(verifier);
    eprintln!("{told:#?} {anew:#?}");
    // Those of the window, and some of the day in which they are forgotten.
    let most = (rounds * (WINDOW + 1) / DAYS) as f64;
    assert!(told.iter().all(|held| held.rounds <= most), "{told:#?}");
    assert!(anew.rounds <= most, "{anew:#?}");
    // The first quarter was longer than the window.
    let least = told[0].bytes;
    let is_steady = |held: &Held| held.bytes <= least + least / 2;
    assert!(told.iter().all(is_steady), "{told:#?}");
    // What all outputs say comes before the first input, of which there is a bounded part at a time.
    let begun = least + HELD + rounds as u64 * BEGUN;
    assert!(anew.peak <= begun, "{anew:#?}, but {begun} bytes at most");
    if asked.is_some() && std::env::var_os("UPDATE").is_some() {
        write_down(rounds, &told, &anew);
    }
}
