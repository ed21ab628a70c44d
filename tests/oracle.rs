//! The oracle: the second implementation recomputes a random history from the log alone, topics or a
//! file, and finds nothing to differ; with a fault put into the program it finds that.

use std::process::Command;
use std::thread;

use crate::support::history::History;
use crate::support::load::Random;
use crate::support::place::Place;
use crate::support::{House, Processor, python};

/// How long nothing must have been appended before a history is over, in seconds: longer than
/// ticks are ever apart.
const QUIET: &str = "6";
/// For how long closed rounds are kept at least with the fault `forgotten-early`, in milliseconds.
const FORGOTTEN_EARLY: &str = "10000";

/// Faults of the rules that can be put into the program.
const FAULTS: [&str; 14] = [
    "caps-skipped",
    "control-unchecked",
    "early-too-soon",
    "half-life-ignored",
    "late-counted",
    "newest-trust",
    "pins-go-back",
    "quorum-of-agents",
    "revision-swapped",
    "shortest-grant",
    "suspended-counted",
    "tie-unseen",
    "veto-ignored",
    "weight-rounded-up",
];
/// Rounds of the history in which a fault must be found.
const ROUNDS_WITH_A_FAULT: usize = 400;
/// How many of them go on at a time.
const AT_A_TIME: usize = 8;

/// Rounds that the long history opens, if not `QUORATE_ORACLE_ROUNDS`.
const ROUNDS: usize = 20_000;
/// How many are proposed a second at most: more than most machines take.
const A_SECOND: i64 = 500;
/// Rounds of a history on a blackboard, and how many are proposed a second at most.
const ROUNDS_IN_A_FILE: usize = 2_000;
const A_SECOND_IN_A_FILE: i64 = 100;

/// What a processor is told: not to wait long for schemas nobody registered, and to commit less often,
/// which costs a broker most.
const SETTINGS: &str = "[run]\nschema_wait_ms = 500\ncommit_interval_ms = 250\n";

fn run(house: &House, fault: Option<&str>) -> Processor {
    house.run_with("one", SETTINGS, fault)
}

/// What the second implementation says of all that lies on the log: whether it is as it must
/// be, and its report.
fn audit(house: &House, told: &[&str]) -> (bool, String) {
    let (interpreter, place) = match house.place() {
        Place::Kafka(_) => (python(), [house.bootstrap(), &house.prefix]),
        // Python's standard library is enough for a file.
        Place::Blackboard(_) => ("python3", ["--blackboard", house.file().to_str().unwrap()]),
    };
    let ended = Command::new(interpreter)
        .args(["-m", "reference.history"])
        .args(place)
        .args(told)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains(" broken\n"), "{said}{complaint}");
    (ended.status.success(), said)
}

/// How often a report says something was verified or given as a code or reason.
fn counted(said: &str, what: &str) -> usize {
    let Some((_, from)) = said.split_once(&format!("'{what}': ")) else {
        return 0;
    };
    let digits = from.split(|c: char| !c.is_ascii_digit()).next().unwrap();
    digits.parse().unwrap()
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_random_history_is_what_the_second_implementation_makes_of_it() {
    let mut random = Random::of_this_run("oracle");
    let rounds = number("QUORATE_ORACLE_ROUNDS").unwrap_or(ROUNDS);
    let (house, history) = History::begin(4, &mut random);
    let history = history.begun_with_loss(&house, || run(&house, None));
    let processor = run(&house, None);
    let appended = history.crowded().run(rounds, A_SECOND);
    let (sound, said) = audit(&house, &[QUIET]);
    eprintln!("{appended:?}\n{said}");
    assert!(sound, "{said}");
    assert!(counted(&said, "rounds") >= rounds, "{said}");
    for seen in [
        "INPUT_LOST",
        "round_full",
        "rounds full of observers",
        "rounds full of qualified",
        "result_too_late",
        "unknown_schema",
    ] {
        assert!(counted(&said, seen) > 0, "no `{seen}` in {said}");
    }
    processor.stop();
}

#[test]
fn a_random_history_in_a_file_is_what_the_second_implementation_makes_of_it() {
    let mut random = Random::of_this_run("oracle of a file");
    let (house, history) = History::begin_on_blackboard(4, &mut random);
    let history = history.begun_with_loss(&house, || run(&house, None));
    let processor = run(&house, None);
    let appended = history.crowded().run(ROUNDS_IN_A_FILE, A_SECOND_IN_A_FILE);
    let (sound, said) = audit(&house, &[QUIET]);
    eprintln!("{appended:?}\n{said}");
    assert!(sound, "{said}");
    assert!(counted(&said, "rounds") >= ROUNDS_IN_A_FILE, "{said}");
    for seen in [
        "INPUT_LOST",
        "rounds full of qualified",
        "trust scores",
        "forwards",
        "unknown_schema",
    ] {
        assert!(counted(&said, seen) > 0, "no `{seen}` in {said}");
    }
    processor.stop();
    // What it holds against the log is what lies there: a decision less is missed.
    let file = rusqlite::Connection::open(house.file()).unwrap();
    let gone = "DELETE FROM records WHERE id = (SELECT max(id) FROM outcomes)";
    assert_eq!(file.execute(gone, []).unwrap(), 1);
    let (sound, said) = audit(&house, &[]);
    assert!(!sound && said.contains("broken: outcomes: 0 of"), "{said}");
}

#[test]
fn a_fault_put_into_the_program_is_found_and_nothing_without_one() {
    let mut random = Random::of_this_run("faulty");
    let faults = FAULTS.map(Some).into_iter().chain([None]);
    let histories: Vec<_> = faults.map(|fault| (fault, random.fork())).collect();
    let mut mistaken = Vec::new();
    for some in histories.chunks(AT_A_TIME) {
        let found = thread::scope(|scope| {
            let playing: Vec<_> = some
                .iter()
                .map(|(fault, random)| scope.spawn(|| finds(*fault, random.clone())))
                .collect();
            let found = playing.into_iter().map(|playing| playing.join().unwrap());
            found.collect::<Vec<_>>()
        });
        let judged = some.iter().map(|(fault, _)| *fault).zip(found);
        mistaken.extend(judged.filter(|(fault, found)| fault.is_some() != *found));
    }
    assert!(mistaken.is_empty(), "{mistaken:?}");
}

/// Whether anything is found in a history with this fault, or with none.
fn finds(fault: Option<&str>, mut random: Random) -> bool {
    // Where a machine is slow, trust moves late in a history, and a longer one shows it.
    let longest = if fault.is_some() { 3 } else { 1 };
    (1..=longest).any(|times| found_in(fault, &mut random, times * ROUNDS_WITH_A_FAULT))
}

fn found_in(fault: Option<&str>, random: &mut Random, rounds: usize) -> bool {
    let (house, history) = History::begin(2, random);
    let _processor = run(&house, fault);
    history.run(rounds, 40);
    let (sound, said) = audit(&house, &[QUIET]);
    eprintln!("{fault:?}:\n{said}");
    !sound
}

#[test]
fn a_round_forgotten_is_unknown_to_what_comes_after_and_one_forgotten_early_is_found() {
    let mut random = Random::of_this_run("forgotten");
    let (house, history) = History::begin(2, &mut random);
    let processor = run(&house, Some("forgotten-early"));
    history.forgetful().run(ROUNDS_WITH_A_FAULT, 40);
    // The last is forgotten so long after it closed; nothing is to be read just then.
    let (sound, said) = audit(&house, &["12", FORGOTTEN_EARLY]);
    assert!(sound, "{said}");
    assert!(counted(&said, "tombstones") > 0, "{said}");
    let came_after = counted(&said, "results of forgotten rounds");
    assert!(came_after > 0, "{said}");
    let (sound, said) = audit(&house, &[]);
    assert!(
        !sound && said.contains("broken: tombstones not to be"),
        "{said}"
    );
    processor.stop();
}

#[test]
fn responses_lost_and_not_missed_are_found() {
    let mut random = Random::of_this_run("lost");
    let (house, history) = History::begin(2, &mut random);
    let history = history.begun_with_loss(&house, || run(&house, Some("loss-unseen")));
    let processor = run(&house, Some("loss-unseen"));
    history.run(1, 40);
    let (sound, said) = audit(&house, &[QUIET]);
    assert!(!sound && said.contains("INPUT_LOST"), "{said}");
    processor.stop();
}
