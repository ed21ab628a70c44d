//! Reads what a partition's engine is restored from, on a thread of its own.
//!
//! Committed positions first; then the rounds up to the last stable offset (only the owner wrote
//! there, so what lay open is fenced or was waited for); scores up to the high watermark, since
//! others write there too; then the inputs again from their low-water offsets. The engine's thread
//! takes it step by step, so that it keeps polling and the tables stay its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use quorate_core::ids::ProposalId;
use quorate_core::records::{Round, TrustScore};
use quorate_core::topic::Topic;

use super::positions::{self, Committed, INPUTS};
use super::{Error, Source, Stored};
use crate::engine::Position;
use crate::telemetry::{Restored, Vitals};
use crate::wire::{self, Codec};

/// Batches of steps read ahead of the engine.
const AHEAD: usize = 8;
/// Most steps in a batch.
const BATCH: usize = 256;

/// One step of restoring a partition, in this order.
#[derive(Debug)]
pub(super) enum Step {
    /// Nothing was committed since the member had it: its engine stands as it stood.
    Kept,
    /// Positions as committed; the tables must reach the pins before what follows.
    Begin(Committed),
    /// Closed rounds that lie further back are given once the partition is live.
    Unindexed,
    /// A round as it was last written, and its offset.
    Round(i64, Box<Round>),
    /// A round that was forgotten.
    Tombstone(ProposalId),
    /// A score of one of the partition's trust domains.
    Score(TrustScore),
    /// Rounds, up to this offset, and scores are complete.
    Positions(i64),
    /// Records of a topic below an offset are gone.
    Lost(Topic, i64),
    /// An input below the committed position.
    Input(Stored),
    /// The partition is as it was when its positions were committed.
    Done,
    /// A round from further back; of several, each replaces the one before.
    Index(Box<Round>),
    /// A round from further back that was forgotten.
    IndexTombstone(ProposalId),
    /// Nothing lies further back.
    Indexed,
}

/// Steps of one partition.
pub(super) type Batch = (i32, Vec<Step>);

/// What is to be restored, and what it is checked against.
#[derive(Debug)]
pub(super) struct Wanted {
    /// The partitions, and where the member left off those it had before.
    pub(super) partitions: BTreeMap<i32, Option<Committed>>,
    pub(super) codec: Arc<Codec>,
    pub(super) vitals: Arc<Vitals>,
    /// How many partitions there are.
    pub(super) of: i32,
}

/// Starts to read what these partitions are restored from, one after the other.
pub(super) fn start<S>(source: S, wanted: Wanted) -> Receiver<Result<Batch, Error>>
where
    S: Source + Send + 'static,
{
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || {
        let mut restore = Restore {
            source: &source,
            wanted: &wanted,
            restored: Restored::default(),
            steps: Steps {
                sender: &sender,
                partition: 0,
                batch: Vec::new(),
            },
        };
        if let Err(Stop::Failed(error)) = restore.run() {
            // Nobody listens any more if the partitions have been taken away.
            let _unheard = sender.send(Err(error));
        }
    });
    receiver
}

/// Why reading ended before its end.
enum Stop {
    /// It failed.
    Failed(Error),
    /// Nobody wants it any more.
    Unwanted,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Steps on their way to the engine.
struct Steps<'a> {
    sender: &'a SyncSender<Result<Batch, Error>>,
    partition: i32,
    batch: Vec<Step>,
}

impl Steps<'_> {
    fn send(&mut self, step: Step) -> Result<(), Stop> {
        self.batch.push(step);
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.flush()
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let batch = std::mem::take(&mut self.batch);
        let sent = self.sender.send(Ok((self.partition, batch)));
        sent.map_err(|_| Stop::Unwanted)
    }
}

struct Restore<'a, S> {
    source: &'a S,
    wanted: &'a Wanted,
    restored: Restored,
    steps: Steps<'a>,
}

/// A round, or none where it is forgotten, and the offset that says so.
type Found = (i64, Option<Box<Round>>);

impl<S: Source> Restore<'_, S> {
    fn run(&mut self) -> Result<(), Stop> {
        let partitions: Vec<i32> = self.wanted.partitions.keys().copied().collect();
        let mut committed = self.source.committed(&partitions)?;
        // ORDER: asked for after the positions, so that no score that follows from them is missed.
        let scores = self.scores()?;
        let mut further_back = Vec::new();
        for (&partition, left) in &self.wanted.partitions {
            self.steps.partition = partition;
            self.restored = Restored::default();
            let found = committed.remove(&partition).flatten();
            if found.is_some() && found == *left {
                self.steps.send(Step::Kept)?;
            } else {
                let unindexed = self.partition(partition, found, &scores)?;
                further_back.extend(unindexed.map(|place| (partition, place)));
            }
            self.steps.flush()?;
        }
        for (partition, (start, low)) in further_back {
            self.steps.partition = partition;
            self.index(partition, start, low)?;
        }
        Ok(())
    }

    /// Restores a partition; what lies further back in `acp.rounds` than it had to read.
    fn partition(
        &mut self,
        partition: i32,
        found: Option<Committed>,
        scores: &[TrustScore],
    ) -> Result<Option<(i64, i64)>, Stop> {
        let (start, end) = self.source.ends(Topic::Rounds, partition)?;
        let low = found.as_ref().map_or(start, |found| found.rounds_low());
        let low = low.clamp(start, end);
        let rounds = self.rounds(partition, low, end)?;
        let committed = self.start_from(partition, found, &rounds)?;
        let inputs = committed.positions.clone();
        for position in inputs.values() {
            self.restored.expect(position.low.0, position.next.0);
        }
        self.steps.send(Step::Begin(committed))?;
        let unindexed = (low > start).then_some((start, low));
        if unindexed.is_some() {
            self.steps.send(Step::Unindexed)?;
        }
        for (id, (offset, round)) in rounds {
            self.steps.send(match round {
                Some(round) => Step::Round(offset, round),
                None => Step::Tombstone(id),
            })?;
        }
        for score in scores {
            let domain = score.trust_domain.as_bytes();
            if wire::partition_of(domain, self.wanted.of) == partition {
                self.steps.send(Step::Score(score.clone()))?;
            }
        }
        self.steps.send(Step::Positions(end))?;
        for (topic, position) in inputs {
            self.inputs(topic, partition, position)?;
        }
        self.steps.send(Step::Done)?;
        Ok(unindexed)
    }

    /// The last record of every round that has one from an offset on.
    fn rounds(
        &mut self,
        partition: i32,
        from: i64,
        end: i64,
    ) -> Result<BTreeMap<ProposalId, Found>, Error> {
        let mut rounds = BTreeMap::new();
        let (source, wanted) = (self.source, self.wanted);
        let restored = &mut self.restored;
        restored.expect(from, end);
        source.read_to(Topic::Rounds, partition, from, end, &mut |stored| {
            restored.reach(stored.offset - from, partition, &wanted.vitals);
            let (id, round) = decode(wanted, &stored)?;
            rounds.insert(id, (stored.offset, round));
            Ok(())
        })?;
        restored.pass(from, end, partition, &wanted.vitals);
        Ok(rounds)
    }

    /// What lies further back, while the partition is live already.
    fn index(&mut self, partition: i32, start: i64, low: i64) -> Result<(), Stop> {
        let mut unwanted = false;
        let (source, wanted) = (self.source, self.wanted);
        let steps = &mut self.steps;
        source.read_to(Topic::Rounds, partition, start, low, &mut |stored| {
            if !unwanted {
                let (id, round) = decode(wanted, &stored)?;
                let step = round.map_or(Step::IndexTombstone(id), Step::Index);
                unwanted = steps.send(step).is_err();
            }
            Ok(())
        })?;
        if unwanted {
            return Err(Stop::Unwanted);
        }
        steps.send(Step::Indexed)?;
        steps.flush()
    }

    /// Every score's last record, of all trust domains.
    fn scores(&self) -> Result<Vec<TrustScore>, Error> {
        let (start, end) = self.source.far_ends(Topic::Trust, 0)?;
        let mut scores = BTreeMap::new();
        self.source
            .read_to(Topic::Trust, 0, start, end, &mut |stored| {
                if let Some(value) = &stored.value {
                    let decoded = self.wanted.codec.decode::<TrustScore>(value);
                    let (score, _) = decoded.map_err(Error::codec("a trust score of ours"))?;
                    scores.insert(stored.key, score);
                }
                Ok(())
            })?;
        Ok(scores.into_values().collect())
    }

    /// Where to go on from, checked against what is there.
    fn start_from(
        &self,
        partition: i32,
        found: Option<Committed>,
        rounds: &BTreeMap<ProposalId, Found>,
    ) -> Result<Committed, Error> {
        let mut ends = BTreeMap::new();
        for topic in INPUTS {
            ends.insert(topic, self.source.ends(topic, partition)?);
        }
        let opened = |(id, (_, round)): (&ProposalId, &Found)| {
            let round = round.as_ref()?;
            Some((*id, round.opening.proposal_offset))
        };
        let opened: Vec<_> = rounds.iter().filter_map(opened).collect();
        positions::start_from(found, &ends, &opened).map_err(|why| Error::halted(partition, why))
    }

    /// The records of an input between its low-water offset and its committed position.
    fn inputs(&mut self, topic: Topic, partition: i32, position: Position) -> Result<(), Stop> {
        let (start, _) = self.source.ends(topic, partition)?;
        if start > position.low.0 {
            self.steps.send(Step::Lost(topic, start))?;
        }
        let from = position.low.0.max(start);
        let (source, steps, restored) = (self.source, &mut self.steps, &mut self.restored);
        let vitals = &self.wanted.vitals;
        let mut unwanted = false;
        source.read_to(topic, partition, from, position.next.0, &mut |stored| {
            restored.reach(stored.offset - position.low.0, partition, vitals);
            if !unwanted {
                let stored = source.as_it_was(stored)?;
                unwanted = steps.send(Step::Input(stored)).is_err();
            }
            Ok(())
        })?;
        if unwanted {
            return Err(Stop::Unwanted);
        }
        restored.pass(position.low.0, position.next.0, partition, vitals);
        Ok(())
    }
}

/// What a record of `acp.rounds` says of which round.
fn decode(wanted: &Wanted, stored: &Stored) -> Result<(ProposalId, Option<Box<Round>>), Error> {
    let halted = |why: &str| {
        let at = format!("rounds at offset {}: {why}", stored.offset);
        Error::halted(stored.partition, at)
    };
    let key = stored.key.as_deref().unwrap_or_default();
    let id = str::from_utf8(key).ok().and_then(|key| key.parse().ok());
    let id: ProposalId = id.ok_or_else(|| halted("its key is not a proposal's id"))?;
    if wire::partition_of(key, wanted.of) != stored.partition {
        return Err(halted(
            "it belongs on another partition; the number of partitions was changed, which \
             nothing can be decided over: restore the topics as they were",
        ));
    }
    let Some(value) = &stored.value else {
        return Ok((id, None));
    };
    let decoded = wanted.codec.decode::<Round>(value);
    let (round, _) = decoded.map_err(Error::codec("a round of ours"))?;
    Ok((id, Some(Box::new(round))))
}
