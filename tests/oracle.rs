//! The oracle: the second implementation recomputes a random history from the topics alone, and
//! finds nothing to differ; with a fault put into the program it finds that.

use std::process::Command;

use crate::support::history::History;
use crate::support::load::Random;
use crate::support::{House, python};

/// How long nothing must have been appended before a history is over, in seconds: longer than
/// ticks are ever apart.
const QUIET: &str = "6";

/// What the second implementation says of all that lies on the topics: whether it is as it must
/// be, and its report.
fn audit(house: &House) -> (bool, String) {
    let ended = Command::new(python())
        .args(["-m", "reference.history"])
        .args([house.bootstrap(), &house.prefix, QUIET])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains(" broken\n"), "{said}{complaint}");
    (ended.status.success(), said)
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn a_random_history_is_what_the_second_implementation_makes_of_it() {
    let mut random = Random::of_this_run("oracle");
    let rounds = number("QUORATE_ORACLE_ROUNDS").unwrap_or(20_000);
    let (house, history) = History::begin(4, &mut random);
    let processor = house.run();
    let appended = history.run(rounds, 250);
    let (sound, said) = audit(&house);
    eprintln!("{appended:?}\n{said}");
    assert!(sound, "{said}");
    processor.stop();
}
