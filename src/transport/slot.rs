//! One partition of a member's share: its engine, and whether it is as it was committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::fault::{self, Fault};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;

use super::positions::Committed;
use super::restore::Step;
use super::{Error, Stored};
use crate::engine::{Config, Halt, Input, Open, Output, Partition, Record, Tables};
use crate::wire::{Codec, Parts};

/// A partition's engine and where it stands.
pub(super) struct Slot {
    partition: i32,
    engine: Partition,
    committed: Committed,
    /// Whether the engine is as it was committed, and takes what comes.
    pub(super) live: bool,
    /// Whether something was read since the last commit.
    pub(super) dirty: bool,
    /// Topics that are not read for now.
    held: BTreeSet<Topic>,
}

impl Slot {
    /// An engine to restore from what was committed.
    pub(super) fn new(config: Config, codec: Arc<Codec>, committed: Committed) -> Self {
        Self {
            partition: config.partition,
            engine: Partition::new(config, codec),
            committed,
            live: false,
            dirty: false,
            held: BTreeSet::new(),
        }
    }

    /// The rounds open now.
    pub(super) fn open_now(&self) -> Open {
        self.engine.open_rounds()
    }

    /// Takes a step of restoring. What followed from it once is committed; what follows from the
    /// index of closed rounds, while the partition is live, is put out.
    pub(super) fn restore(&mut self, tables: &Tables, step: Step) -> Result<Vec<Output>, Error> {
        let partition = self.partition;
        let halted = |why: Halt| Error::halted(partition, why);
        let engine = &mut self.engine;
        match step {
            Step::Kept | Step::Begin(_) => {}
            Step::Unindexed => engine.expect_index(),
            Step::Round(offset, round) => {
                engine.rounds_end(Offset(offset));
                engine.restore_round(tables, *round).map_err(halted)?;
            }
            Step::Tombstone(id) => engine.restore_tombstone(&id),
            Step::Score(score) => engine.restore_score(score),
            Step::Positions(end) => {
                engine.rounds_end(Offset(end));
                let positions = self.committed.positions.clone();
                engine.restore_positions(positions, self.committed.pins);
            }
            Step::Lost(topic, below) => {
                let below = Offset(below);
                let lost = engine.step(tables, Input::Lost { topic, below });
                lost.map_err(halted)?;
                if let Some(position) = self.committed.positions.get_mut(&topic) {
                    position.next = position.next.max(below);
                }
            }
            Step::Input(stored) => {
                let record = record(&stored)?;
                let outputs = engine.step(tables, Input::Record(record));
                let outputs = outputs.map_err(halted)?;
                if fault::is_on(Fault::RestoreSpeaks) {
                    return Ok(outputs);
                }
            }
            Step::Done => {
                engine.restored(self.committed.positions.clone());
                self.live = true;
            }
            Step::Index(round) => return engine.index_round(tables, *round).map_err(halted),
            Step::IndexTombstone(id) => engine.index_tombstone(&id),
            Step::Indexed => return engine.indexed(tables).map_err(halted),
        }
        Ok(Vec::new())
    }

    /// Whether it is live and knows every closed round.
    pub(super) const fn is_whole(&self) -> bool {
        self.live && self.engine.is_indexed()
    }

    /// Steps the engine with a record just read.
    pub(super) fn step(
        &mut self,
        tables: &Tables,
        record: Record<'_>,
    ) -> Result<Vec<Output>, Error> {
        self.dirty = true;
        let stepped = self.engine.step(tables, Input::Record(record));
        stepped.map_err(|why| Error::halted(self.partition, why))
    }

    /// Parts of what its last step put out.
    pub(super) const fn parts(&self) -> &Parts {
        self.engine.parts()
    }

    /// How far it is read, to be committed with what followed.
    pub(super) fn committed(&self) -> Committed {
        Committed {
            positions: self.engine.positions().into_iter().collect(),
            pins: self.engine.pins(),
        }
    }

    /// The offset of each topic to read next, once it is restored.
    pub(super) fn next(&self) -> BTreeMap<Topic, i64> {
        let positions = self.committed.positions.iter();
        positions
            .map(|(&topic, position)| (topic, position.next.0))
            .collect()
    }

    /// Takes note that what it stands at is where it goes on from.
    pub(super) fn park(&mut self) -> Committed {
        self.committed = self.committed();
        self.held.clear();
        self.committed.clone()
    }

    /// Takes note of where the last record it wrote to `acp.rounds` lies.
    pub(super) fn rounds_end(&mut self, end: i64) {
        self.engine.rounds_end(Offset(end));
    }

    /// Rounds written anew, so that a restart need not go further back for them.
    pub(super) fn refresh(&mut self) -> Result<Vec<Output>, Error> {
        let refreshed = self.engine.refresh();
        refreshed.map_err(|why| Error::halted(self.partition, why))
    }

    /// What waits on stream time.
    pub(super) fn due(&self) -> Vec<(Topic, Timestamp)> {
        if self.live {
            self.engine.due()
        } else {
            Vec::new()
        }
    }

    /// The topics to stop or to go on reading, since last asked.
    pub(super) fn holds(&mut self) -> Vec<(Topic, bool)> {
        if !self.live {
            return Vec::new();
        }
        let wanted: BTreeSet<Topic> = self.engine.holds().into_iter().collect();
        let changed = wanted.symmetric_difference(&self.held);
        let changed = changed.map(|&topic| (topic, wanted.contains(&topic)));
        let changed: Vec<_> = changed.collect();
        self.held = wanted;
        changed
    }
}

/// A record as the engine takes it; one whose time is whatever its sender said is not taken.
fn record(stored: &Stored) -> Result<Record<'_>, Error> {
    let record = stored.record();
    record.ok_or_else(|| Error::untimed(stored.topic, stored.partition))
}
