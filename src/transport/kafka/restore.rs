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
use quorate_core::records::{Pins, Round, TrustScore};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connection::PATIENCE;
use super::lookup::{self, Lookup};
use super::positions::{self, Committed, INPUTS};
use super::read::{Quiet, Stored};
use super::{Connection, Error, Reader};
use crate::engine::Position;
use crate::wire::{self, Codec};

/// Steps read ahead of the engine.
const AHEAD: usize = 1_024;

/// One step of restoring a partition, in this order.
#[derive(Debug)]
pub(super) enum Step {
    /// Positions as committed; the tables must reach the pins before what follows.
    Begin(Committed),
    /// A round as it was last written.
    Round(Box<Round>),
    /// A score of one of the partition's trust domains.
    Score(TrustScore),
    /// Rounds and scores are complete.
    Positions,
    /// Records of a topic below an offset are gone.
    Lost(Topic, i64),
    /// An input below the committed position.
    Input(Stored),
    /// The partition is as it was when its positions were committed.
    Done,
}

/// What a restoring thread needs.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) connection: Connection,
    pub(super) codec: Arc<Codec>,
    pub(super) lookup: Lookup,
    pub(super) partitions: i32,
}

/// Starts to read what these partitions are restored from, one after the other.
pub(super) fn start(source: Source, wanted: Vec<i32>) -> Receiver<Result<(i32, Step), Error>> {
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || {
        let restore = Restore {
            source,
            sender: &sender,
        };
        if let Err(Stop::Failed(error)) = restore.run(&wanted) {
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

struct Restore<'a> {
    source: Source,
    sender: &'a SyncSender<Result<(i32, Step), Error>>,
}

impl Restore<'_> {
    fn send(&self, partition: i32, step: Step) -> Result<(), Stop> {
        let sent = self.sender.send(Ok((partition, step)));
        sent.map_err(|_| Stop::Unwanted)
    }

    fn run(&self, wanted: &[i32]) -> Result<(), Stop> {
        let connection = &self.source.connection;
        let reader = Reader::of_group(connection, &connection.group())?;
        let committed = self.committed(&reader, wanted)?;
        // ORDER: asked for after the positions, so that no score that follows from them is missed.
        let scores = self.scores(&reader)?;
        for &partition in wanted {
            let rounds = self.rounds(&reader, partition)?;
            let found = committed.get(&partition).cloned().flatten();
            let committed = self.start_from(&reader, partition, found, &rounds)?;
            let inputs = committed.positions.clone();
            self.send(partition, Step::Begin(committed))?;
            for round in rounds.into_values() {
                self.send(partition, Step::Round(Box::new(round)))?;
            }
            for score in &scores {
                let domain = score.trust_domain.as_bytes();
                if wire::partition_of(domain, self.source.partitions) == partition {
                    self.send(partition, Step::Score(score.clone()))?;
                }
            }
            self.send(partition, Step::Positions)?;
            for (topic, position) in inputs {
                self.inputs(&reader, topic, partition, position)?;
            }
            self.send(partition, Step::Done)?;
        }
        Ok(())
    }

    /// What the group committed of each partition; none where nothing was ever committed.
    fn committed(
        &self,
        reader: &Reader,
        wanted: &[i32],
    ) -> Result<BTreeMap<i32, Option<Committed>>, Error> {
        let connection = &self.source.connection;
        let mut list = TopicPartitionList::new();
        for &partition in wanted {
            for topic in INPUTS {
                list.add_partition(&connection.topic(topic), partition);
            }
        }
        // Stable offsets only: it waits while a predecessor's transaction holds some.
        let answer = reader.consumer().committed_offsets(list, PATIENCE * 2);
        let answer = answer.map_err(Error::kafka("ask for committed positions"))?;
        let of = |partition| {
            let mut committed = Committed {
                positions: BTreeMap::new(),
                pins: Pins::NONE,
            };
            for topic in INPUTS {
                let found = answer.find_partition(&connection.topic(topic), partition);
                let Some(found) = found else { continue };
                found
                    .error()
                    .map_err(Error::kafka("read committed positions"))?;
                let Some(next) = found.offset().to_raw().filter(|next| *next >= 0) else {
                    continue;
                };
                let (position, pins) =
                    positions::read(next, found.metadata()).ok_or_else(|| {
                        let why = "its committed offset is not of our making; if somebody reset \
                                   the group's offsets, restore them";
                        Error::halted(partition, format!("{topic}: {why}"))
                    })?;
                committed.positions.insert(topic, position);
                committed.pins = committed.pins.max(pins);
            }
            Ok((!committed.positions.is_empty()).then_some(committed))
        };
        wanted
            .iter()
            .map(|&partition| Ok((partition, of(partition)?)))
            .collect()
    }

    /// The last record of every round; tombstones leave none.
    fn rounds(
        &self,
        reader: &Reader,
        partition: i32,
    ) -> Result<BTreeMap<ProposalId, Round>, Error> {
        let mut rounds = BTreeMap::new();
        let (start, end) = reader.ends(Topic::Rounds, partition)?;
        reader.read_to(Topic::Rounds, partition, start, end, |stored| {
            let halted = |why: &str| {
                let at = format!("rounds at offset {}: {why}", stored.offset);
                Error::halted(partition, at)
            };
            let key = stored.key.as_deref().unwrap_or_default();
            let id = str::from_utf8(key).ok().and_then(|key| key.parse().ok());
            let id: ProposalId = id.ok_or_else(|| halted("its key is not a proposal's id"))?;
            if wire::partition_of(key, self.source.partitions) != partition {
                return Err(halted(
                    "it belongs on another partition; the number of partitions was changed, \
                     which nothing can be decided over: restore the topics as they were",
                ));
            }
            match &stored.value {
                None => {
                    rounds.remove(&id);
                }
                Some(value) => {
                    let decoded = self.source.codec.decode::<Round>(value);
                    let (round, _) = decoded.map_err(Error::codec("a round of ours"))?;
                    rounds.insert(id, round);
                }
            }
            Ok(())
        })?;
        Ok(rounds)
    }

    /// Every score's last record, of all trust domains.
    fn scores(&self, reader: &Reader) -> Result<Vec<TrustScore>, Error> {
        let connection = &self.source.connection;
        let mut config = connection.reader(&connection.group());
        config.set("isolation.level", "read_uncommitted");
        let uncommitted: BaseConsumer<Quiet> = config
            .create_with_context(Quiet)
            .map_err(Error::kafka("make a consumer"))?;
        let name = connection.topic(Topic::Trust);
        let ends = uncommitted.fetch_watermarks(&name, 0, PATIENCE);
        let (start, end) = ends.map_err(Error::kafka(format!("ask for the end of `{name}`")))?;
        let mut scores = BTreeMap::new();
        reader.read_to(Topic::Trust, 0, start, end, |stored| {
            if let Some(value) = &stored.value {
                let decoded = self.source.codec.decode::<TrustScore>(value);
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
        reader: &Reader,
        partition: i32,
        found: Option<Committed>,
        rounds: &BTreeMap<ProposalId, Round>,
    ) -> Result<Committed, Error> {
        let mut ends = BTreeMap::new();
        for topic in INPUTS {
            ends.insert(topic, reader.ends(topic, partition)?);
        }
        let opened = |(id, round): (&ProposalId, &Round)| (*id, round.opening.proposal_offset);
        let opened: Vec<_> = rounds.iter().map(opened).collect();
        positions::start_from(found, &ends, &opened).map_err(|why| Error::halted(partition, why))
    }

    /// The records of an input between its low-water offset and its committed position.
    fn inputs(
        &self,
        reader: &Reader,
        topic: Topic,
        partition: i32,
        position: Position,
    ) -> Result<(), Stop> {
        let (start, _) = reader.ends(topic, partition)?;
        if start > position.low.0 {
            self.send(partition, Step::Lost(topic, start))?;
        }
        let from = position.low.0.max(start);
        let mut unwanted = false;
        reader.read_to(topic, partition, from, position.next.0, |stored| {
            if unwanted {
                return Ok(());
            }
            // What was read once under this schema must be read so again, so a registry that is
            // silent is waited for.
            if let Some(asked) = lookup::unknown(&self.source.codec, &stored) {
                self.source.lookup.insist(&self.source.codec, asked)?;
            }
            unwanted = self.send(partition, Step::Input(stored)).is_err();
            Ok(())
        })?;
        if unwanted {
            Err(Stop::Unwanted)
        } else {
            Ok(())
        }
    }
}
