//! The vital signs of a processor: told by its engines in passing, read by whoever asks.
//!
//! Every call is one short lock, made per turn, commit or partition, never per record. Partitions
//! that are taken away leave nothing behind, so that nobody is alarmed by what another owns now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::ids::Millis;
use quorate_core::topic::Topic;

use super::{Restored, Tally};
use crate::engine::Open;

/// Upper bounds of the classes commits are counted in, in seconds.
pub(super) const TOOK: [f64; 8] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

/// What a processor's engines say of themselves.
#[derive(Debug)]
pub struct Vitals {
    /// How long something may stand still before that is an illness.
    pub(super) patience: Duration,
    state: Mutex<State>,
}

/// Everything that was said.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) engines: BTreeMap<u16, Engine>,
    pub(super) partitions: BTreeMap<i32, Partition>,
    /// Partitions that cannot go on, with the engine that found out and why.
    pub(super) halted: BTreeMap<i32, (u16, String)>,
    /// Since when the registry has not answered.
    pub(super) registry_silent: Option<Instant>,
    pub(super) counts: Counts,
    pub(super) clocks: BTreeMap<(Topic, i32), Ahead>,
    /// Since when no engine has run.
    pub(super) idle: Option<Instant>,
    /// When the backlog was last measured.
    pub(super) measured: Option<Instant>,
}

/// What only grows.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) tally: Tally,
    pub(super) passed: BTreeMap<Topic, u64>,
    pub(super) commits: u64,
    pub(super) commit_seconds: f64,
    /// How many commits took at most each of [`TOOK`] and more than the one before.
    pub(super) commits_within: [u64; TOOK.len()],
    pub(super) aborts: u64,
    pub(super) producers_rebuilt: u64,
    pub(super) restored_records: u64,
    pub(super) ticks: u64,
    pub(super) table_records_passed_over: BTreeMap<Topic, u64>,
}

/// A thread that runs engines of partitions.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    /// When it last came round.
    pub(super) turned: Instant,
    /// Whether it has been told what its share is.
    pub(super) member: bool,
}

/// A partition of ours.
#[derive(Clone, Debug)]
pub(super) struct Partition {
    pub(super) engine: u16,
    pub(super) stage: Stage,
    /// When it last got on with what it is about.
    pub(super) moved: Instant,
    pub(super) restore: Restore,
    pub(super) open: Open,
    pub(super) places: BTreeMap<Topic, Place>,
}

/// What a partition is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Restoring,
    Live,
    /// For a schema that its next record names.
    Waiting(String),
}

/// How far restoring is, or was when it ended, and how long it took so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Restore {
    pub(super) since: Instant,
    pub(super) took: Duration,
    pub(super) restored: Restored,
}

/// Where a partition of an input stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    /// The offset to go on from, as committed.
    pub(super) next: i64,
    /// When that last changed.
    pub(super) moved: Option<Instant>,
    /// Committed records from there on, and since when there have been any.
    pub(super) backlog: u64,
    pub(super) behind: Option<Instant>,
    /// The last stable offset, and since when it stands below the high watermark.
    pub(super) stable: i64,
    pub(super) stalled: Option<Instant>,
}

/// How far a leader's clock is ahead of this machine's: at least, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// At least; negative: it is behind by at most as much.
    pub least: Millis,
    /// At most.
    pub most: Millis,
}

impl Ahead {
    /// By how much it is ahead for sure, below 0 behind; 0 if it may be right.
    #[must_use]
    pub fn surely(self) -> Millis {
        Millis(self.least.0.max(0) + self.most.0.min(0))
    }

    /// By how much two of them differ at least: what one is at least ahead, and another at most.
    #[must_use]
    pub fn apart(all: impl Iterator<Item = Self> + Clone) -> Millis {
        let least = all.clone().map(|ahead| ahead.least.0).max();
        let most = all.map(|ahead| ahead.most.0).min();
        let apart = least
            .zip(most)
            .map(|(least, most)| least.saturating_sub(most));
        Millis(apart.unwrap_or_default().max(0))
    }
}

impl Vitals {
    /// Vitals of a processor in which nothing should stand still for longer than this.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self {
            patience,
            state: Mutex::new(State {
                idle: Some(Instant::now()),
                ..State::default()
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything as it stands.
    pub(super) fn read(&self) -> State {
        self.state().clone()
    }

    /// An engine's thread has come round: said at its start and once a turn.
    pub fn turned(&self, engine: u16) {
        let mut state = self.state();
        state.engine(engine).turned = Instant::now();
    }

    /// An engine was given partitions, none perhaps; each is to be restored.
    pub fn assigned(&self, engine: u16, partitions: &[i32]) {
        let mut state = self.state();
        state.engine(engine).member = true;
        for &partition in partitions {
            state.partitions.insert(partition, Partition::new(engine));
        }
    }

    /// An engine holds nothing any more until it is told its share (again).
    pub fn left(&self, engine: u16) {
        let mut state = self.state();
        state.engine(engine).member = false;
        state.forget(engine);
    }

    /// An engine's thread has ended, and turns no more.
    pub fn ended(&self, engine: u16) {
        let mut state = self.state();
        state.forget(engine);
        state.engines.remove(&engine);
        state.idle = state.engines.is_empty().then(Instant::now);
    }

    /// Restoring a partition has come this far.
    pub fn restoring(&self, partition: i32, restored: &Restored) {
        let mut state = self.state();
        let Some(known) = state.partitions.get_mut(&partition) else {
            return;
        };
        let restore = &mut known.restore;
        let more = restored.records.saturating_sub(restore.restored.records);
        if restored.done() > restore.restored.done() {
            known.moved = Instant::now();
        }
        restore.restored = *restored;
        restore.took = restore.since.elapsed();
        state.counts.restored_records += more;
    }

    /// A partition is restored and worked on; what it passes next is told by [`Vitals::passed`].
    pub fn live(&self, partition: i32) {
        self.at(partition, |known| {
            if known.stage == Stage::Restoring {
                known.restore.took = known.restore.since.elapsed();
            }
            known.stage = Stage::Live;
        });
    }

    /// A partition goes on once something is there that it waits for, such as a schema.
    pub fn waiting(&self, partition: i32, what: impl Into<String>) {
        self.at(partition, |known| known.stage = Stage::Waiting(what.into()));
    }

    /// A partition cannot go on before an operator has done something.
    pub fn halted(&self, engine: u16, partition: i32, why: impl Into<String>) {
        let mut state = self.state();
        state.halted.insert(partition, (engine, why.into()));
    }

    /// A partition's engine goes on from this offset of a topic, as committed: said once it is
    /// live, and after every commit.
    pub fn passed(&self, partition: i32, topic: Topic, next: i64) {
        let mut state = self.state();
        let Some(known) = state.partitions.get_mut(&partition) else {
            return;
        };
        let place = known.places.entry(topic).or_insert_with(|| Place {
            next,
            ..Place::default()
        });
        let more = next.saturating_sub(place.next);
        if more != 0 {
            place.moved = Some(Instant::now());
        }
        place.next = next;
        *state.counts.passed.entry(topic).or_default() += u64::try_from(more).unwrap_or(0);
    }

    /// The rounds open in a partition.
    pub fn rounds(&self, partition: i32, open: Open) {
        self.at(partition, |known| known.open = open);
    }

    /// A transaction with all this in it is committed; it took so long.
    pub fn committed(&self, took: Duration, tally: Tally) {
        let mut state = self.state();
        let counts = &mut state.counts;
        counts.tally.absorb(tally);
        counts.commits += 1;
        counts.commit_seconds += took.as_secs_f64();
        let within = TOOK.iter().position(|limit| took.as_secs_f64() <= *limit);
        if let Some(class) = within.and_then(|at| counts.commits_within.get_mut(at)) {
            *class += 1;
        }
    }

    /// Work was thrown away, to be done again from what is committed.
    pub fn aborted(&self) {
        self.state().counts.aborts += 1;
    }

    /// A transactional producer was thrown away for another one.
    pub fn producer_rebuilt(&self) {
        self.state().counts.producers_rebuilt += 1;
    }

    /// A tick was appended.
    pub fn ticked(&self) {
        self.state().counts.ticks += 1;
    }

    /// A table's record is unsound, and is read as if it were not there.
    pub fn passed_over(&self, topic: Topic) {
        let mut state = self.state();
        let counts = &mut state.counts.table_records_passed_over;
        *counts.entry(topic).or_default() += 1;
    }

    /// Whether something waits for a registry that does not answer.
    pub fn waiting_for_registry(&self, waiting: bool) {
        let mut state = self.state();
        if waiting != state.registry_silent.is_some() {
            state.registry_silent = waiting.then(Instant::now);
        }
    }

    /// A leader's clock was measured.
    pub fn clock(&self, topic: Topic, partition: i32, ahead: Ahead) {
        self.state().clocks.insert((topic, partition), ahead);
    }

    /// The partitions worked on and where each stands, for whoever measures how far that is from
    /// the end.
    #[must_use]
    pub fn places(&self) -> Vec<(i32, Topic, i64)> {
        let state = self.state();
        let of = |(&partition, known): (&i32, &Partition)| {
            let places = known.places.iter();
            let places = places.map(move |(&topic, place)| (partition, topic, place.next));
            places.collect::<Vec<_>>()
        };
        state.partitions.iter().flat_map(of).collect()
    }

    /// So many committed records of a topic lie before a partition.
    pub fn backlog(&self, partition: i32, topic: Topic, records: u64) {
        self.place(partition, topic, |place| {
            place.backlog = records;
            place.behind = (records > 0).then(|| place.behind.unwrap_or_else(Instant::now));
        });
    }

    /// The last stable offset of a partition, and whether something lies beyond it.
    pub fn stable(&self, partition: i32, topic: Topic, stable: i64, held: bool) {
        self.place(partition, topic, |place| {
            let goes_on = place.stalled.filter(|_| place.stable == stable);
            place.stalled = held.then(|| goes_on.unwrap_or_else(Instant::now));
            place.stable = stable;
        });
    }

    /// Backlog and last stable offsets of every partition were measured.
    pub fn measured(&self) {
        self.state().measured = Some(Instant::now());
    }

    fn place(&self, partition: i32, topic: Topic, change: impl FnOnce(&mut Place)) {
        self.at(partition, |known| {
            if let Some(place) = known.places.get_mut(&topic) {
                change(place);
            }
        });
    }

    fn at(&self, partition: i32, change: impl FnOnce(&mut Partition)) {
        if let Some(known) = self.state().partitions.get_mut(&partition) {
            change(known);
        }
    }
}

impl State {
    fn engine(&mut self, number: u16) -> &mut Engine {
        self.idle = None;
        self.engines.entry(number).or_insert_with(|| Engine {
            turned: Instant::now(),
            member: false,
        })
    }

    fn forget(&mut self, engine: u16) {
        self.partitions.retain(|_, known| known.engine != engine);
        let left = &self.partitions;
        self.clocks
            .retain(|(_, partition), _| left.contains_key(partition));
    }
}

impl Partition {
    fn new(engine: u16) -> Self {
        let now = Instant::now();
        Self {
            engine,
            stage: Stage::Restoring,
            moved: now,
            restore: Restore {
                since: now,
                took: Duration::ZERO,
                restored: Restored::default(),
            },
            open: Open::default(),
            places: BTreeMap::new(),
        }
    }
}
