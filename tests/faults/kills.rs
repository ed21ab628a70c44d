//! Processors killed at random moments: some with a transaction open, some while they restore, and
//! some wherever they stand.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate_core::ids::Timestamp;

use super::{house, play, stopped_in_a_transaction, tell, times, wait, within};
use crate::support::diary::Diary;
use crate::support::load::Random;
use crate::support::oracle::Log;
use crate::support::{House, Processor};

const NAMES: [&str; 2] = ["one", "two"];
/// How long the partitions may take to be given out and restored before a kill comes anyway.
const SETTLING: Duration = Duration::from_secs(15);

/// What is known of the kills.
#[derive(Default)]
struct Kills {
    times: Vec<Timestamp>,
    /// Where the killed ones stood, as they had logged it.
    stood: Vec<Diary>,
}

impl Kills {
    fn number(&self) -> usize {
        self.times.len()
    }

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

    /// Whether they hit whatever they are meant to.
    fn hit_everything(&self, log: &Log) -> bool {
        self.with_a_transaction_open() * 2 >= self.number()
            && self.while_restoring() > 0
            && self.given_up(log) > 0
    }

    /// Kills one of the running ones, and starts it again.
    fn kill(&mut self, random: &mut Random, running: &mut Vec<Processor>) -> String {
        // The one that was started last is the last one.
        let which = match self.number() % 4 {
            // As soon as it restores what it left behind when it was killed before.
            3 => {
                running[1].waits_to_log(r#""restoring""#, SETTLING);
                wait(random.within(0..25));
                1
            }
            aim => {
                within(SETTLING, || are_at_work(running));
                wait(random.within(200..2_000));
                let which = usize::from(random.percent(50));
                if aim < 2 {
                    stopped_in_a_transaction(&running[which]);
                }
                which
            }
        };
        self.times.push(System.now());
        let (name, stood) = running.remove(which).kill_and_read();
        self.stood.push(stood);
        name
    }
}

/// Kills one of two processors so often, and on until `enough`; those that are left.
fn kill(
    random: &mut Random,
    kills: usize,
    start: impl Fn(&str) -> Processor,
    enough: impl Fn(&Kills) -> bool,
) -> (Kills, Vec<Processor>) {
    let mut running: Vec<_> = NAMES.iter().map(|name| start(name)).collect();
    let mut known = Kills::default();
    while known.number() < kills || !enough(&known) {
        // Which moments are hit is left to chance, and chance is given time.
        assert!(known.number() < kills * 2 + 40, "they never hit");
        let name = known.kill(random, &mut running);
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
        let log = Log::at(house.connection(), super::PARTITIONS);
        let enough = |known: &Kills| known.hit_everything(&log);
        let (known, left) = kill(random, count, |name| house.run_as(name), enough);
        kills = known;
        left
    });
    assert!(kills.hit_everything(&played.log));
    let times = format!(
        "{}: {} with a transaction open, {} gave up records written, {} during restore",
        kills.number(),
        kills.with_a_transaction_open(),
        kills.given_up(&played.log),
        kills.while_restoring()
    );
    tell(fault, times, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn outputs_of_restored_inputs_would_be_seen() {
    let switch = "restore-speaks";
    let house: House = house();
    super::must_show(switch, &house, |random| {
        let start = |name: &str| house.run_faulty(name, switch);
        kill(random, 2, start, |_| true).1
    });
}
