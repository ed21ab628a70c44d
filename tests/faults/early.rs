//! Responses that are read, and committed, before their proposals: nothing but the low-water offset
//! remembers them when their processor is killed.

use std::sync::Arc;

use quorate::clock::{Clock as _, System};
use quorate::transport::kafka::{Appender, Schemas};
use quorate::wire::{Codec, partition_of};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

#[cfg(debug_assertions)]
use super::ATTEMPTS;
use super::{PARTITIONS, Played, house, played, tell, times, until};
use crate::support::load::{self, Appended, Random};
use crate::support::oracle::Log;
use crate::support::{House, Processor, records};

/// Rounds whose responses come first, at a time.
const ROUNDS: usize = 80;
const NONSENSE: &[u8] = b"nonsense";

/// Agents who are ahead of their proposals.
struct Ahead<'a> {
    house: &'a House,
    appender: Appender,
    codec: Arc<Codec>,
    random: Random,
    refused: usize,
    appended: Appended,
}

impl<'a> Ahead<'a> {
    fn of(house: &'a House, random: Random) -> Self {
        let connection = house.connection();
        Self {
            house,
            appender: Appender::open(&connection).unwrap(),
            codec: Arc::clone(Schemas::load(&connection).unwrap().codec()),
            random,
            refused: 0,
            appended: Appended::default(),
        }
    }

    fn append(&self, topic: Topic, partition: i32, key: &str, value: &[u8]) {
        let key = Some(key.as_bytes());
        self.appender
            .append(topic, partition, key, Some(value), &[])
            .unwrap();
    }

    /// Everybody answers rounds that are not there; which.
    fn respond(&mut self) -> Vec<String> {
        let started = System.now();
        let ids: Vec<_> = (0..ROUNDS)
            .map(|_| records::id(&mut self.random, started))
            .collect();
        for id in &ids {
            let partition = partition_of(id.as_bytes(), PARTITIONS);
            for agent in 0..load::AGENTS {
                let agent = format!("a{agent}");
                let value = records::answer(&mut self.random, id, &agent, 70);
                let value = self.codec.encode(&value).unwrap();
                self.append(Topic::Responses, partition, id, &value);
                self.appended.responses += 1;
            }
        }
        self.appender.settle().unwrap();
        self.appended.millis += System.now().since(started).0.max(1);
        ids
    }

    /// What is refused of both topics, the proposals last: when that is known, everything before is
    /// committed, and nothing of the proposals is awaited.
    fn refuse(&mut self, log: &Log) {
        for topic in [Topic::Responses, Topic::Proposals] {
            (0..PARTITIONS).for_each(|partition| self.append(topic, partition, "k", NONSENSE));
            self.appender.settle().unwrap();
            self.refused += PARTITIONS.unsigned_abs() as usize;
            until(|| log.refused(Reject::Malformed) == self.refused);
        }
    }

    fn propose(&mut self, ids: &[String]) {
        let deadline = System.now().0 + 5_000;
        for id in ids {
            let value = records::proposal(id, "pay", deadline);
            let value = self.codec.encode(&value).unwrap();
            let partition = partition_of(id.as_bytes(), PARTITIONS);
            self.append(Topic::Proposals, partition, id, &value);
        }
        self.appender.settle().unwrap();
        self.appended.rounds += ids.len();
    }

    /// Responses, a kill, then the proposals.
    fn play(&mut self, kills: usize, start: impl Fn(&str) -> Processor) -> Vec<Processor> {
        let mut one = start("one");
        let log = Log::at(self.house.connection(), PARTITIONS);
        // It must be at work before the responses come: they are waited for, not it.
        self.refuse(&log);
        for _ in 0..kills {
            let ids = self.respond();
            self.refuse(&log);
            one.kill();
            self.propose(&ids);
            one = start("one");
            let decided = self.appended.rounds;
            until(|| log.count(Topic::Outcomes) >= decided);
        }
        vec![one]
    }
}

#[test]
fn responses_that_come_before_their_proposals_survive_a_kill() {
    let fault = "`kill -9` between responses and their proposals";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    let count = times(3, 40);
    let mut ahead = Ahead::of(&house, random.fork());
    let left = ahead.play(count, |name| house.run_as(name));
    let played: Played = played(&house, ahead.appended, left);
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn responses_that_are_forgotten_before_their_proposals_would_be_seen() {
    let switch = "orphans-forgotten";
    let mut random = Random::of_this_run(switch);
    let house = house();
    let mut ahead = Ahead::of(&house, random.fork());
    let log = Log::at(house.connection(), PARTITIONS);
    // A machine so slow that the proposals come too late for the responses shows nothing.
    let shows = |attempt| {
        let left = ahead.play(1, |name| house.run_faulty(name, switch));
        let damage = super::lasting_damage(&house, &log);
        drop(left);
        eprintln!("{switch}, attempt {attempt}: {damage:?}");
        damage.is_wrong()
    };
    assert!((1..=ATTEMPTS).any(shows), "{switch} was not noticed");
}
