//! Processors killed at random moments: some at work, some while they restore.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate_core::ids::Timestamp;

use super::{house, play, tell, times, wait, within};
use crate::support::diary::Diary;
use crate::support::load::Random;
use crate::support::oracle::Log;
use crate::support::{House, Processor};

const NAMES: [&str; 2] = ["one", "two"];
/// How long the partitions may take to be given out and restored before a kill comes anyway.
const SETTLING: Duration = Duration::from_secs(15);
/// How long a kill at work waits for a transaction to hit.
const NUDGE: Duration = Duration::from_secs(2);

/// What is known of the kills.
#[derive(Default)]
struct Kills {
    times: Vec<Timestamp>,
    /// Where the killed ones stood, as they had logged it.
    stood: Vec<Diary>,
}

impl Kills {
    fn with_a_transaction_open(&self) -> usize {
        self.stood
            .iter()
            .filter(|diary| !diary.open.is_empty())
            .count()
    }

    fn while_restoring(&self) -> usize {
        self.stood
            .iter()
            .filter(|diary| !diary.restoring.is_empty())
            .count()
    }

    /// Of the kills, those that made the brokers give up records already written in a transaction.
    fn given_up(&self, log: &Log) -> usize {
        let blame = |(_, to): &(Timestamp, Timestamp)| self.times.iter().rposition(|at| at < to);
        let blamed: BTreeSet<_> = log.given_up().iter().filter_map(blame).collect();
        blamed.len()
    }
}

/// Kills one of two processors again and again; those that are left.
fn kill(
    random: &mut Random,
    kills: usize,
    start: impl Fn(&str) -> Processor,
) -> (Kills, Vec<Processor>) {
    let mut running: Vec<_> = NAMES.iter().map(|name| start(name)).collect();
    let mut known = Kills::default();
    for number in 0..kills {
        // The one that was started last is the last one.
        let which = if number % 4 == 3 {
            // As soon as it restores what it left behind when it was killed before.
            running[1].waits_to_log(r#""restoring""#, SETTLING);
            wait(random.within(0..25));
            1
        } else {
            within(SETTLING, || are_at_work(&running));
            wait(random.within(200..2_000));
            let which = usize::from(random.percent(50));
            // Most of the time one is open; a machine short of processors needs the nudge.
            within(NUDGE, || !running[which].diary().open.is_empty());
            which
        };
        known.times.push(System.now());
        let (name, stood) = running.remove(which).kill_and_read();
        known.stood.push(stood);
        running.push(start(&name));
    }
    (known, running)
}

/// Whether every partition has an engine at work.
fn are_at_work(running: &[Processor]) -> bool {
    let live: BTreeSet<i64> = running.iter().flat_map(|one| one.diary().live).collect();
    live.len() == super::PARTITIONS.unsigned_abs() as usize
}

#[test]
fn a_processor_killed_again_and_again_loses_and_doubles_nothing() {
    let fault = "`kill -9` of a processor";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    let count = times(10, 200);
    let mut kills = Kills::default();
    let played = play(&house, &mut random, |random| {
        let (known, left) = kill(random, count, |name| house.run_as(name));
        kills = known;
        left
    });
    let (open, restoring) = (kills.with_a_transaction_open(), kills.while_restoring());
    let given_up = kills.given_up(&played.log);
    let fault = format!(
        "{fault}, {open} of them with a transaction open ({given_up} gave up records written), \
         {restoring} during restore"
    );
    tell(&fault, count, seed, &house, &played);
    assert!(
        open * 2 >= count,
        "{open} of {count} kills hit an open transaction"
    );
    assert!(restoring > 0, "no kill hit a restore");
    assert!(given_up > 0);
}

#[cfg(debug_assertions)]
#[test]
fn outputs_of_restored_inputs_would_be_seen() {
    let switch = "restore-speaks";
    let house: House = house();
    super::must_show(switch, &house, |random| {
        kill(random, 2, |name| house.run_faulty(name, switch)).1
    });
}
