//! Restarts as a processor makes them: from the low-water of the rounds, with snapshots, and with
//! the closed rounds below indexed while other things go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate::engine::{Behind, Config, Detail, Output, Partition, Position, Tables, trust_key};
use quorate::wire::Parts;
use quorate_core::ids::{Offset, ProposalId};
use quorate_core::records::{Pins, Round, TrustScore};
use quorate_core::topic::Topic;

use super::format::Vector;
use super::run::{Bench, Laid, decision_of, is_free};
use super::{files, read};

/// What a processor has written, and how far it had read.
#[derive(Clone, Default)]
struct Written {
    rounds: Vec<(ProposalId, Option<Vec<u8>>)>,
    scores: BTreeMap<String, TrustScore>,
    positions: BTreeMap<Topic, Position>,
    pins: Option<Pins>,
}

/// A partition at work, and everything it has read and written.
struct Works {
    bench: Bench,
    config: Config,
    behind: Behind,
    inputs: Vec<Laid>,
    written: Written,
    snapshots: usize,
    rewritten: usize,
}

impl Works {
    fn new(vector: &Vector, behind: Behind) -> Self {
        let mut bench = Bench::new(vector);
        bench.partition.set_behind(behind);
        Self {
            bench,
            config: Config {
                partition: vector.partition,
                partitions: vector.partitions,
                detail: Detail::Records,
            },
            behind,
            inputs: Vec::new(),
            written: Written::default(),
            snapshots: 0,
            rewritten: 0,
        }
    }

    fn take(&mut self, laid: &Laid) -> Vec<Output> {
        let outputs = self.bench.take(laid);
        if !laid.topic.is_table() {
            self.inputs.push(laid.clone());
        }
        self.write(&outputs);
        outputs
    }

    /// An output's value, the same whether its parts are known or not.
    fn value(&self, output: &Output) -> Option<Vec<u8>> {
        let Bench {
            codec, partition, ..
        } = &self.bench;
        let value = output.encode(codec, partition.parts()).unwrap();
        assert_eq!(value, output.encode(codec, &Parts::default()).unwrap());
        value
    }

    fn write(&mut self, outputs: &[Output]) {
        for output in outputs {
            self.value(output);
        }
        for output in outputs {
            match output {
                Output::Round(round) => {
                    self.snapshots += usize::from(round.snapshot.is_some());
                    let value = self.value(output);
                    self.written.rounds.push((round.proposal_id, value));
                }
                Output::Tombstone(id) => self.written.rounds.push((*id, None)),
                Output::TrustScore(score) => {
                    self.written.scores.insert(trust_key(score), score.clone());
                }
                _ => {}
            }
        }
    }

    fn commit(&mut self) {
        let again = self.bench.partition.refresh().unwrap();
        self.rewritten += again.len();
        self.write(&again);
        let partition = &mut self.bench.partition;
        self.written.positions = partition.positions().into_iter().collect();
        self.written.pins = Some(partition.pins());
        partition.rounds_end(Offset(self.written.rounds.len().try_into().unwrap()));
    }

    /// A partition taken over as it was committed last; closed rounds are yet to be indexed.
    fn taken_over(&self, order: [Topic; 3]) -> Partition {
        let tables = &self.bench.tables;
        let mut partition = Partition::new(self.config, Arc::clone(&self.bench.codec));
        partition.set_behind(self.behind);
        partition.expect_index();
        for at in self.low()..self.written.rounds.len() {
            partition.rounds_end(Offset(at.try_into().unwrap()));
            match self.round(at) {
                (_, Some(round)) => partition.restore_round(tables, round).unwrap(),
                (id, None) => partition.restore_tombstone(&id),
            }
        }
        partition.rounds_end(Offset(self.written.rounds.len().try_into().unwrap()));
        for score in self.written.scores.values() {
            partition.restore_score(score.clone());
        }
        let positions = &self.written.positions;
        partition.restore_positions(positions.clone(), self.written.pins.unwrap());
        for topic in order {
            let Some(position) = positions.get(&topic) else {
                continue;
            };
            for laid in self.inputs.iter().filter(|laid| laid.topic == topic) {
                let lost = laid.lost_below.is_some_and(|below| position.low < below);
                if lost || (laid.lost_below.is_none() && laid.offset >= position.low) {
                    partition.step(tables, laid.input()).unwrap();
                }
            }
        }
        partition.restored(positions.clone());
        partition
    }

    fn low(&self) -> usize {
        let proposals = self.written.positions.get(&Topic::Proposals);
        let settled = proposals.map_or(0, |position| position.settled.0);
        settled.try_into().unwrap()
    }

    fn round(&self, at: usize) -> (ProposalId, Option<Round>) {
        let (id, value) = &self.written.rounds[at];
        let decode = |value: &Vec<u8>| self.bench.codec.decode::<Round>(value).unwrap().0;
        (*id, value.as_ref().map(decode))
    }

    /// Gives one closed round, or a tombstone, of those below the low-water.
    fn index(&self, partition: &mut Partition, tables: &Tables, at: usize) -> Vec<Output> {
        match self.round(at) {
            (_, Some(round)) => partition.index_round(tables, round).unwrap(),
            (id, None) => {
                partition.index_tombstone(&id);
                Vec::new()
            }
        }
    }
}

const ORDERS: [[Topic; 3]; 2] = [
    [Topic::Results, Topic::Decisions, Topic::Responses],
    [Topic::Responses, Topic::Decisions, Topic::Results],
];

/// From writing everything again with every commit to never.
const BEHIND: [Behind; 3] = [behind(0, 0), behind(2, 3), behind(1_000, 1_000)];

const fn behind(responses: usize, rounds: usize) -> Behind {
    Behind {
        responses,
        rounds,
        each: 0,
    }
}

#[test]
fn a_partition_restored_from_snapshots_and_a_late_index_equals_the_one_that_never_stopped() {
    let (mut snapshots, mut rewritten, mut indexed) = (0, 0, 0);
    for path in files() {
        let vector = read(&path);
        for limit in BEHIND {
            let mut works = Works::new(&vector, limit);
            for (at, step) in vector.steps.iter().enumerate() {
                for laid in works.bench.lay(step) {
                    works.take(&laid);
                }
                works.commit();
                for order in ORDERS {
                    let mut partition = works.taken_over(order);
                    for below in 0..works.low() {
                        let said = works.index(&mut partition, &works.bench.tables, below);
                        assert_eq!(said, [], "{}: step {at}, {limit:?}", path.display());
                        indexed += 1;
                    }
                    let said = partition.indexed(&works.bench.tables).unwrap();
                    let path = path.display();
                    assert_eq!(said, [], "{path}: after step {at}, {limit:?}");
                    assert_eq!(
                        partition, works.bench.partition,
                        "{path}: restored after step {at}, {limit:?}"
                    );
                }
            }
            snapshots += works.snapshots;
            rewritten += works.rewritten;
        }
    }
    assert!(
        snapshots > 100 && rewritten > snapshots,
        "{snapshots} {rewritten}"
    );
    assert!(indexed > 1_000, "{indexed}");
}

/// Runs a vector with one restart, and says what was decided and refused in all.
fn decided_with_restart(
    vector: &Vector,
    limit: Behind,
    restart: usize,
    delay: usize,
) -> Vec<String> {
    let mut works = Works::new(vector, limit);
    let mut outputs = Vec::new();
    let (before, after) = vector.steps.split_at(restart);
    for step in before {
        for laid in works.bench.lay(step) {
            outputs.extend(works.take(&laid));
        }
        works.commit();
    }
    if !before.is_empty() {
        works.bench.partition = works.taken_over(ORDERS[delay % 2]);
    }
    let end = works.low();
    let (mut next, mut held) = (0, Vec::<Laid>::new());
    for (at, step) in after.iter().enumerate() {
        for laid in works.bench.lay(step) {
            if works.bench.partition.holds().contains(&laid.topic) {
                held.push(laid);
            } else {
                outputs.extend(works.take(&laid));
            }
        }
        // Some of the index with every step, all of it by the last.
        let upto = if at + 1 >= delay.min(after.len()) {
            end
        } else {
            end.min(next + 1)
        };
        outputs.extend(index(&mut works, next..upto));
        next = upto;
        if next == end && !works.bench.partition.is_indexed() {
            let bench = &mut works.bench;
            let said = bench.partition.indexed(&bench.tables).unwrap();
            works.write(&said);
            outputs.extend(said);
            for laid in std::mem::take(&mut held) {
                outputs.extend(works.take(&laid));
            }
        }
        works.commit();
    }
    let mut decided: Vec<String> = outputs.iter().filter_map(decision_of).collect();
    decided.sort();
    decided
}

fn index(works: &mut Works, range: std::ops::Range<usize>) -> Vec<Output> {
    let mut outputs = Vec::new();
    let empty = Partition::new(works.config, Arc::clone(&works.bench.codec));
    let mut partition = std::mem::replace(&mut works.bench.partition, empty);
    for at in range {
        outputs.extend(works.index(&mut partition, &works.bench.tables, at));
    }
    works.bench.partition = partition;
    works.write(&outputs);
    outputs
}

#[test]
fn what_is_decided_does_not_depend_on_a_restart_or_on_when_its_index_is_complete() {
    let mut restarts = 0;
    for path in files() {
        let vector = read(&path);
        if !is_free(&vector) {
            continue;
        }
        let usual = decided_with_restart(&vector, BEHIND[2], 0, 0);
        for restart in 1..vector.steps.len() {
            // Every third of the ways with each restart, and each of them with every third.
            let ways = [(BEHIND[0], 4), (BEHIND[1], 99), (BEHIND[2], 1)];
            let (limit, delay) = ways[restarts % ways.len()];
            assert_eq!(
                decided_with_restart(&vector, limit, restart, delay),
                usual,
                "{}: restarted before step {restart}, {limit:?}, index after {delay}",
                path.display()
            );
            restarts += 1;
        }
    }
    assert!(restarts > 500, "{restarts}");
}
