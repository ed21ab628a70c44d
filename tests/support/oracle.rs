//! What must have come of the inputs on the log, said by engines that were never interrupted, and
//! what did come of them, as a reader of committed records sees it.
//!
//! The two are compared by decision digest, package digest, and the code of every dead letter. The
//! engines here read in another order than any processor did (by append time, across topics), which
//! must make no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate::engine::{Config, Headers, Input, Output, Partition, Record, Tables};
use quorate::transport::kafka::{Connection, Reader, Schemas, Stored};
use quorate::wire::Codec;
use quorate_core::ids::{Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{DeadLetter, DecisionPackage, Outcome, Round, RoundState, Status};
use quorate_core::topic::Topic;

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decided {
    id: ProposalId,
    resolution: i32,
    is_final: bool,
    digest: Digest,
    /// Where the round was proposed, and when it was due.
    proposed: (i32, Offset, Timestamp),
}

/// Where a refused record lies, and its code.
type Refused = (String, i32, Offset, String);

/// What came of a log, each as often as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Outcomes.
    pub(crate) decided: BTreeMap<Decided, usize>,
    /// Escalations, with their package's digest.
    pub(crate) escalated: BTreeMap<(ProposalId, Digest), usize>,
    /// Dead letters.
    pub(crate) refused: BTreeMap<Refused, usize>,
    /// Whether a round is open, and its decision's digest, as its last record has it.
    pub(crate) rounds: BTreeMap<ProposalId, (bool, Option<Digest>)>,
}

/// What these findings have that the others have not, in a few lines.
fn more<K: Ord + std::fmt::Debug>(
    what: &str,
    ours: &BTreeMap<K, usize>,
    theirs: &BTreeMap<K, usize>,
) -> String {
    let extra = |(key, count): &(&K, &usize)| theirs.get(key) != Some(count);
    let extra: Vec<_> = ours.iter().filter(extra).collect();
    if extra.is_empty() {
        return String::new();
    }
    let few: Vec<_> = extra.iter().take(5).collect();
    format!("{} {what}: {few:?}\n", extra.len())
}

impl Findings {
    /// In what they differ from what was expected; nothing if they do not.
    pub(crate) fn differ(&self, expected: &Self) -> String {
        let mut text = String::new();
        for (one, other, how) in [(self, expected, "too many"), (expected, self, "missing")] {
            text += &more(&format!("outcomes {how}"), &one.decided, &other.decided);
            text += &more(
                &format!("escalations {how}"),
                &one.escalated,
                &other.escalated,
            );
            text += &more(&format!("dead letters {how}"), &one.refused, &other.refused);
        }
        if self.rounds != expected.rounds {
            text += "rounds differ\n";
        }
        text
    }

    fn decide(&mut self, outcome: &Outcome) {
        let coordinates = &outcome.coordinates;
        let offset = coordinates.proposal_offset;
        let decided = Decided {
            id: outcome.proposal_id,
            resolution: outcome.resolution,
            is_final: outcome.r#final,
            digest: outcome.decision_digest,
            proposed: (coordinates.partition, offset, coordinates.deadline),
        };
        assert_eq!(
            outcome.r#final,
            outcome.decision.status != Status::Escalated,
            "{outcome:?}"
        );
        *self.decided.entry(decided).or_default() += 1;
    }

    fn escalate(&mut self, package: &DecisionPackage) {
        let escalated = (package.proposal_id, package.package_digest);
        *self.escalated.entry(escalated).or_default() += 1;
    }

    fn refuse(&mut self, letter: DeadLetter) {
        let DeadLetter {
            topic,
            partition,
            offset,
            reason,
            ..
        } = letter;
        let refused = (topic, partition, offset, reason);
        *self.refused.entry(refused).or_default() += 1;
    }

    fn keep(&mut self, round: &Round) {
        let digest = round.closed.as_ref().map(|closed| closed.decision_digest);
        let open = round.state == RoundState::Open;
        self.rounds.insert(round.proposal_id, (open, digest));
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Outcome(outcome) => self.decide(&outcome),
            Output::Escalation(package) => self.escalate(&package),
            Output::DeadLetter(letter) => self.refuse(letter),
            Output::Round(round) => self.keep(&round),
            _ => {}
        }
    }

    /// The codes of refusals, with how many there are of each.
    pub(crate) fn codes(&self) -> BTreeMap<&str, usize> {
        let mut codes = BTreeMap::new();
        for ((_, _, _, code), count) in &self.refused {
            *codes.entry(code.as_str()).or_default() += count;
        }
        codes
    }
}

/// A log, read from outside.
pub(crate) struct Log {
    connection: Connection,
    codec: Arc<Codec>,
    partitions: i32,
}

impl Log {
    /// The one at this place.
    pub(crate) fn at(connection: Connection, partitions: i32) -> Self {
        let schemas = Schemas::load(&connection).unwrap();
        Self {
            codec: Arc::clone(schemas.codec()),
            connection,
            partitions,
        }
    }

    fn read(&self, topic: Topic, partition: i32) -> Vec<Stored> {
        let reader = Reader::open(&self.connection).unwrap();
        let (start, end) = reader.ends(topic, partition).unwrap();
        let mut all = Vec::new();
        let read = reader.read_to(topic, partition, start, end, |stored| {
            all.push(stored);
            Ok(())
        });
        read.unwrap();
        all
    }

    fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        for topic in [Topic::Agents, Topic::Policies] {
            for stored in self.read(topic, 0) {
                let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
                let (offset, time) = (Offset(stored.offset), stored.timestamp.unwrap());
                let taken = tables.apply(&self.codec, topic, offset, time, key, value);
                taken.unwrap();
            }
        }
        tables
    }

    /// What must come of all that is on the log now, once its deadlines have passed.
    pub(crate) fn expected(&self) -> Findings {
        let tables = self.tables();
        let mut findings = Findings::default();
        for partition in 0..self.partitions {
            let config = Config {
                partition,
                partitions: self.partitions,
            };
            let mut engine = Partition::new(config, Arc::clone(&self.codec));
            let mut step = |record| {
                let outputs = engine.step(&tables, Input::Record(record)).unwrap();
                outputs.into_iter().for_each(|output| findings.take(output));
            };
            let inputs =
                merged([Topic::Proposals, Topic::Responses].map(|t| self.read(t, partition)));
            for stored in &inputs {
                step(record(stored));
            }
            for topic in [Topic::Responses, Topic::Proposals] {
                step(tick_past_everything(topic, &inputs));
            }
        }
        findings
    }

    /// What did come of it.
    pub(crate) fn found(&self) -> Findings {
        let mut findings = Findings::default();
        for partition in 0..self.partitions {
            for stored in self.read(Topic::Outcomes, partition) {
                findings.decide(&self.decode(&stored));
            }
            for stored in self.read(Topic::Escalations, partition) {
                findings.escalate(&self.decode(&stored));
            }
            for stored in self.read(Topic::DeadLetters, partition) {
                findings.refuse(self.decode(&stored));
            }
            for stored in self.read(Topic::Rounds, partition) {
                findings.keep(&self.decode(&stored));
            }
        }
        findings
    }

    fn decode<T>(&self, stored: &Stored) -> T
    where
        T: quorate::wire::Record + serde::de::DeserializeOwned,
    {
        let value = stored.value.as_deref().unwrap();
        self.codec.decode(value).unwrap().0
    }

    /// When transactions of the processors were given up after records had been written in them:
    /// between which append times of outputs.
    ///
    /// A committed transaction leaves one offset in a partition without a record, its marker; one
    /// that was given up leaves its records' offsets too.
    pub(crate) fn given_up(&self) -> BTreeSet<(Timestamp, Timestamp)> {
        let mut found = BTreeSet::new();
        for topic in [Topic::Rounds, Topic::Outcomes, Topic::DeadLetters] {
            for partition in 0..self.partitions {
                let records = self.read(topic, partition);
                for pair in records.windows(2) {
                    if pair[1].offset - pair[0].offset > 3 {
                        let time = |at: usize| pair[at].timestamp.unwrap();
                        found.insert((time(0), time(1)));
                    }
                }
            }
        }
        found
    }
}

/// The records of two topics' partitions by append time, each topic's in the order of its offsets.
fn merged(topics: [Vec<Stored>; 2]) -> Vec<Stored> {
    let mut stamped = Vec::new();
    for records in topics {
        let mut time = Timestamp::default();
        for stored in records {
            time = time.max(stored.timestamp.unwrap());
            stamped.push((time, stored));
        }
    }
    stamped.sort_by_key(|(time, _)| *time);
    stamped.into_iter().map(|(_, stored)| stored).collect()
}

fn record(stored: &Stored) -> Record<'_> {
    Record {
        topic: stored.topic,
        offset: Offset(stored.offset),
        timestamp: stored.timestamp.unwrap(),
        key: stored.key.as_deref(),
        value: stored.value.as_deref(),
        headers: Headers {
            control: stored.control,
            forwarded: stored.forwarded,
            traceparent: None,
        },
    }
}

/// A tick of a topic, an hour after everything.
fn tick_past_everything(topic: Topic, inputs: &[Stored]) -> Record<'static> {
    let of_topic = inputs.iter().filter(|stored| stored.topic == topic);
    let offset = of_topic.map(|stored| stored.offset + 1).max();
    let time = inputs.iter().filter_map(|stored| stored.timestamp).max();
    Record {
        topic,
        offset: Offset(offset.unwrap_or_default()),
        timestamp: Timestamp(time.unwrap_or_default().0 + 3_600_000),
        key: None,
        value: None,
        headers: Headers::default(),
    }
}
