//! Reads what a partition's engine is restored from, on a thread of its own.
//!
//! Committed positions first; then the rounds up to the last stable offset (only the owner wrote
//! there, so what lay open is fenced or was waited for); scores up to the high watermark, since
//! others write there too; then the inputs again from their low-water offsets. The engine's thread
//! takes it step by step, so that it keeps polling and the tables stay its own.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use quorate_core::ids::{Offset, ProposalId};
use quorate_core::records::{Round, TrustScore};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

use super::positions::{self, Committed, INPUTS};
use super::{Error, Source, Stored};
use crate::engine::{Position, Tables};
use crate::telemetry::{Restored, Vitals};
use crate::wire::{self, Codec};

/// Batches of steps read ahead of the engine.
const AHEAD: usize = 8;
/// Most steps in a batch.
const BATCH: usize = 256;
/// How long to wait before looking again whether a partition can go on.
const PAUSE: Duration = Duration::from_millis(500);

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

/// Starts to read what these partitions are restored from, one after the other; one that cannot go
/// on for now lets the others pass.
pub(super) fn start<S>(source: S, wanted: Wanted) -> Receiver<Result<Batch, Error>>
where
    S: Source + Send + 'static,
{
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || {
        let mut restore = Restore {
            source: &source,
            wanted: &wanted,
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
    steps: Steps<'a>,
}

/// A partition whose inputs are being read again.
struct Reread {
    partition: i32,
    restored: Restored,
    /// The inputs still to be read.
    left: VecDeque<(Topic, Position)>,
    /// Where to read on in the first of them, if not at its low-water offset.
    from: Option<i64>,
    /// What lies further back in `acp.rounds` than had to be read.
    unindexed: Option<(i64, i64)>,
}

impl<S: Source> Restore<'_, S> {
    fn run(&mut self) -> Result<(), Stop> {
        let partitions: Vec<i32> = self.wanted.partitions.keys().copied().collect();
        let mut committed = self.source.committed(&partitions)?;
        // ORDER: asked for after the positions, so that no score that follows from them is missed.
        let scores = self.scores()?;
        let (mut waiting, mut read) = (Vec::new(), Vec::new());
        for (&partition, left) in &self.wanted.partitions {
            self.steps.partition = partition;
            let found = committed.remove(&partition).flatten();
            if found.is_some() && found == *left {
                self.steps.send(Step::Kept)?;
                self.steps.flush()?;
                continue;
            }
            let mut reading = self.begin(partition, found, &scores)?;
            if self.go_on(&mut reading)? {
                read.push(reading);
            } else {
                tracing::info!(partition, "waits to be restored; the others go on");
                waiting.push(reading);
            }
        }
        loop {
            for reading in read.drain(..) {
                self.index(&reading)?;
            }
            if waiting.is_empty() {
                return Ok(());
            }
            thread::sleep(PAUSE);
            for mut reading in std::mem::take(&mut waiting) {
                let done = self.go_on(&mut reading)?;
                if done { &mut read } else { &mut waiting }.push(reading);
            }
        }
    }

    /// Gives a partition's rounds and scores; its inputs are next.
    fn begin(
        &mut self,
        partition: i32,
        found: Option<Committed>,
        scores: &[Arc<TrustScore>],
    ) -> Result<Reread, Stop> {
        let mut restored = Restored::default();
        // ORDER: as far as anything is appended, asked for after the positions. One thought dead
        // may have a transaction open in front of rounds that whoever came after it wrote.
        let (start, end) = self.source.far_ends(Topic::Rounds, partition)?;
        let low = found.as_ref().map_or(start, |found| found.rounds_low());
        let low = low.clamp(start, end);
        let rounds = self.rounds(partition, (low, end), &mut restored)?;
        let are_rounds = rounds.values().any(|stored| stored.value.is_some());
        let committed = self.start_from(partition, found, are_rounds)?;
        let inputs = committed.positions.clone();
        let next = inputs
            .get(&Topic::Proposals)
            .copied()
            .unwrap_or_default()
            .next;
        for position in inputs.values() {
            restored.expect(position.low.0, position.next.0);
        }
        self.steps.send(Step::Begin(committed))?;
        let unindexed = (low > start).then_some((start, low));
        if unindexed.is_some() {
            self.steps.send(Step::Unindexed)?;
        }
        for (id, stored) in rounds {
            let step = match decode(&self.wanted.codec, &stored)? {
                Some(round) => {
                    let opened = positions::check_opened(next, id, round.opening.proposal_offset);
                    opened.map_err(|why| Error::halted(partition, why))?;
                    Step::Round(stored.offset, round)
                }
                None => Step::Tombstone(id),
            };
            self.steps.send(step)?;
        }
        for score in scores {
            let domain = score.trust_domain.as_bytes();
            if wire::partition_of(domain, self.wanted.of) == partition {
                self.steps.send(Step::Score(TrustScore::clone(score)))?;
            }
        }
        self.steps.send(Step::Positions(end))?;
        Ok(Reread {
            partition,
            restored,
            left: inputs.into_iter().collect(),
            from: None,
            unindexed,
        })
    }

    /// Reads a partition's inputs on; whether to their end, and not to where it has to wait.
    fn go_on(&mut self, reading: &mut Reread) -> Result<bool, Stop> {
        self.steps.partition = reading.partition;
        while let Some(&(topic, position)) = reading.left.front() {
            reading.from = self.inputs(topic, position, reading)?;
            if reading.from.is_some() {
                self.steps.flush()?;
                return Ok(false);
            }
            reading.left.pop_front();
        }
        self.steps.send(Step::Done)?;
        self.steps.flush()?;
        Ok(true)
    }

    /// The last record of every round that has one from an offset on, as it lies there: most are
    /// replaced by later ones, and all of them together take much less than what they say.
    fn rounds(
        &mut self,
        partition: i32,
        (from, end): (i64, i64),
        restored: &mut Restored,
    ) -> Result<BTreeMap<ProposalId, Stored>, Error> {
        let mut rounds = BTreeMap::new();
        let (source, wanted) = (self.source, self.wanted);
        restored.expect(from, end);
        source.read_to(Topic::Rounds, partition, from, end, &mut |stored| {
            restored.reach(stored.offset - from, partition, &wanted.vitals);
            rounds.insert(id_of(wanted, &stored)?, stored);
            Ok(ControlFlow::Continue(()))
        })?;
        restored.pass(from, end, partition, &wanted.vitals);
        Ok(rounds)
    }

    /// What lies further back, while the partition is live already.
    fn index(&mut self, reading: &Reread) -> Result<(), Stop> {
        let (partition, Some((start, low))) = (reading.partition, reading.unindexed) else {
            return Ok(());
        };
        let mut wanted_still = true;
        let (source, wanted) = (self.source, self.wanted);
        let steps = &mut self.steps;
        steps.partition = partition;
        source.read_to(Topic::Rounds, partition, start, low, &mut |stored| {
            let id = id_of(wanted, &stored)?;
            let round = decode(&wanted.codec, &stored)?;
            let step = round.map_or(Step::IndexTombstone(id), Step::Index);
            wanted_still = steps.send(step).is_ok();
            Ok(on_while(wanted_still))
        })?;
        if !wanted_still {
            return Err(Stop::Unwanted);
        }
        steps.send(Step::Indexed)?;
        steps.flush()
    }

    /// Every score's last sound record, of all trust domains: what rounds are weighed by is what
    /// results are folded into.
    fn scores(&self) -> Result<Vec<Arc<TrustScore>>, Error> {
        let (start, end) = self.source.far_ends(Topic::Trust, 0)?;
        let (mut table, mut unknown) = (Tables::default(), BTreeMap::new());
        let each = &mut |stored: Stored| {
            let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
            let time = stored.timestamp.unwrap_or_default();
            let (codec, offset) = (&self.wanted.codec, Offset(stored.offset));
            // What else is unsound is passed over, and said by whoever reads the tables.
            match table.apply(codec, Topic::Trust, offset, time, key, value) {
                Err(Reject::UnknownSchema) => drop(unknown.insert(stored.key, stored.offset)),
                Err(_) => {}
                Ok(()) => drop(unknown.remove(&stored.key)),
            }
            Ok(ControlFlow::Continue(()))
        };
        self.source.read_to(Topic::Trust, 0, start, end, each)?;
        for (key, offset) in &unknown {
            self.check_unknown(key.as_deref().unwrap_or_default(), *offset)?;
        }
        Ok(table.scores().map(Arc::clone).collect())
    }

    /// A score by a schema nobody recorded, a newer program's perhaps: whoever owns its trust
    /// domain must not fold results into the one before it.
    fn check_unknown(&self, key: &[u8], offset: i64) -> Result<(), Error> {
        let domain = key.split(|&byte| byte == b':').next().unwrap_or_default();
        let partition = wire::partition_of(domain, self.wanted.of);
        if !self.wanted.partitions.contains_key(&partition) {
            return Ok(());
        }
        let why = format!(
            "trust at offset {offset}: its schema is not known; run `quorate schemas register` of \
             the program that wrote it"
        );
        Err(Error::halted(partition, why))
    }

    /// Where to go on from, checked against what is there.
    fn start_from(
        &self,
        partition: i32,
        found: Option<Committed>,
        are_rounds: bool,
    ) -> Result<Committed, Error> {
        let mut ends = BTreeMap::new();
        for topic in INPUTS {
            ends.insert(topic, self.source.ends(topic, partition)?);
        }
        positions::start_from(found, &ends, are_rounds).map_err(|why| Error::halted(partition, why))
    }

    /// Gives the records of an input between its low-water offset, or where it had to wait, and its
    /// committed position; where it has to wait, if it does.
    fn inputs(
        &mut self,
        topic: Topic,
        position: Position,
        reading: &mut Reread,
    ) -> Result<Option<i64>, Stop> {
        let (partition, low) = (reading.partition, position.low.0);
        let (source, steps, restored) = (self.source, &mut self.steps, &mut reading.restored);
        let vitals = &self.wanted.vitals;
        let from = reading.from.unwrap_or(low);
        let (start, _) = source.ends(topic, partition)?;
        if start > from {
            steps.send(Step::Lost(topic, start))?;
        }
        let from = from.max(start);
        let (mut wanted_still, mut waits) = (true, None);
        source.read_to(topic, partition, from, position.next.0, &mut |stored| {
            let offset = stored.offset;
            match source.as_it_was(stored)? {
                Some(stored) => {
                    restored.reach(offset - low, partition, vitals);
                    wanted_still = steps.send(Step::Input(stored)).is_ok();
                }
                None => waits = Some(offset),
            }
            Ok(on_while(wanted_still && waits.is_none()))
        })?;
        if !wanted_still {
            return Err(Stop::Unwanted);
        }
        if waits.is_none() {
            restored.pass(low, position.next.0, partition, vitals);
        }
        Ok(waits)
    }
}

/// Whether to read on.
const fn on_while(so: bool) -> ControlFlow<()> {
    if so {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// Which round a record of `acp.rounds` is of.
fn id_of(wanted: &Wanted, stored: &Stored) -> Result<ProposalId, Error> {
    let key = stored.key.as_deref().unwrap_or_default();
    let id = str::from_utf8(key).ok().and_then(|key| key.parse().ok());
    let id = id.ok_or_else(|| halted(stored, "its key is not a proposal's id"))?;
    if wire::partition_of(key, wanted.of) != stored.partition {
        return Err(halted(
            stored,
            "it belongs on another partition; the number of partitions was changed, which \
             nothing can be decided over: restore the topics as they were",
        ));
    }
    Ok(id)
}

/// What a record of `acp.rounds` says; none where its round is forgotten.
fn decode(codec: &Codec, stored: &Stored) -> Result<Option<Box<Round>>, Error> {
    let Some(value) = &stored.value else {
        return Ok(None);
    };
    // A newer program's, perhaps; whoever starts over comes to it again, so the others go on.
    let decoded = codec.decode::<Round>(value);
    let unread = |why| halted(stored, &format!("it cannot be read by this program: {why}"));
    let (round, _) = decoded.map_err(unread)?;
    Ok(Some(Box::new(round)))
}

fn halted(stored: &Stored, why: &str) -> Error {
    let at = format!("rounds at offset {}: {why}", stored.offset);
    Error::halted(stored.partition, at)
}
