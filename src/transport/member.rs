//! One life of an engine's thread: a member of a log, and an engine for each partition it is given.
//!
//! It reads, steps and commits until it is told to stop or something fails. Between commits
//! nothing here is true yet; there is no half-way recovery: after an error the next life starts
//! from what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;

use super::restore::{self, Batch, Step, Wanted};
use super::slot::Slot;
use super::tables::Follower;
use super::ticks::Ticks;
use super::{Committed, Delivery as _, Entry, Error, Event, Log};
use crate::clock::Clock;
use crate::engine::{Config, Detail, Forward, ORIGIN_HEADER, Output, Record, TICK};
use crate::telemetry::{Tally, Vitals};
use crate::wire::{Codec, Parts};

/// Longest wait for a record; it bounds how late ticks and commits are.
const LOOK: Duration = Duration::from_millis(5);
/// Most records read before anything else is looked after.
const BATCH: usize = 512;
/// Most batches of steps taken at a time while restoring.
const STEPS: usize = 16;

/// What a member is told.
#[derive(Clone, Copy)]
pub(super) struct Orders<'a> {
    /// The engine's number in this process.
    pub(super) number: u16,
    pub(super) vitals: &'a Arc<Vitals>,
    pub(super) codec: &'a Arc<Codec>,
    /// How many partitions there are.
    pub(super) partitions: i32,
    pub(super) commit_interval: Duration,
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a AtomicBool,
    /// Partitions that cannot go on: left alone.
    pub(super) halted: &'a BTreeSet<i32>,
}

/// A member at work.
pub(super) struct Member<'a, L: Log> {
    orders: Orders<'a>,
    log: L,
    follower: Follower<'a, L::Source>,
    slots: BTreeMap<i32, Slot>,
    /// Engines of partitions that were taken away, as they were committed; they may come back.
    parked: BTreeMap<i32, Slot>,
    restoring: Option<Receiver<Result<Batch, Error>>>,
    ticks: Ticks,
    /// What the next commit holds.
    tally: Tally,
    /// The commit under way.
    under_way: Option<UnderWay>,
    /// When the last commit was asked for.
    committed: Instant,
}

/// A commit that was asked for.
struct UnderWay {
    asked: Instant,
    read: BTreeMap<i32, Committed>,
    tally: Tally,
}

impl<'a, L: Log> Member<'a, L> {
    /// A member that has its tables.
    pub(super) fn new(log: L, orders: Orders<'a>) -> Result<Self, Error> {
        let Orders {
            codec,
            vitals,
            stop,
            ..
        } = orders;
        let follower = Follower::open(log.source()?, codec, vitals, stop)?;
        Ok(Self {
            orders,
            log,
            follower,
            slots: BTreeMap::new(),
            parked: BTreeMap::new(),
            restoring: None,
            ticks: Ticks::default(),
            tally: Tally::default(),
            under_way: None,
            committed: Instant::now(),
        })
    }

    /// Works until told to stop; everything read by then is committed.
    pub(super) fn work(mut self) -> Result<(), Error> {
        while !self.orders.stop.load(Ordering::Relaxed) {
            match self.turn() {
                // What it waited for is not counted as read.
                Err(Error::Stopped) => break,
                turned => turned?,
            }
        }
        self.commit_now()
    }

    /// Works until nothing is left to do now, for whoever tells the time.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        loop {
            self.orders.vitals.turned(self.orders.number);
            self.follower.follow()?;
            let mut moved = self.read(Duration::ZERO)?;
            self.restore()?;
            self.hold()?;
            self.tick()?;
            moved |= self.restoring.is_some() || self.log.is_posting();
            // What is committed is read again, where it is an input.
            self.commit_now()?;
            if !moved {
                return Ok(());
            }
        }
    }

    fn turn(&mut self) -> Result<(), Error> {
        self.orders.vitals.turned(self.orders.number);
        self.read(LOOK)?;
        self.follower.follow()?;
        self.restore()?;
        self.hold()?;
        self.tick()?;
        self.note_commit()?;
        if self.is_commit_due() {
            self.commit()?;
        }
        Ok(())
    }

    /// Whether to commit, which waits for the commit under way.
    fn is_commit_due(&self) -> bool {
        self.under_way.is_none() && self.committed.elapsed() >= self.orders.commit_interval
    }

    /// Reads what is there, up to a batch, and steps the engines with it.
    ///
    /// Whether there was anything.
    fn read(&mut self, patience: Duration) -> Result<bool, Error> {
        let mut patience = match self.restoring {
            Some(_) => Duration::ZERO,
            None => patience,
        };
        for number in 0..BATCH {
            let (partition, outputs) = match self.look(patience)? {
                Event::Nothing => return Ok(number > 0),
                Event::Revoked => return self.revoked().map(|()| true),
                Event::Assigned(partitions) => return self.assigned(partitions).map(|()| true),
                Event::Record(stepped) => stepped,
            };
            outputs
                .iter()
                .try_for_each(|output| self.put(partition, output))?;
            patience = Duration::ZERO;
            // However slow a record is, what it begins does not stay open for a whole batch. Slow
            // are those that something follows from; the others need no look at the clock.
            if !outputs.is_empty() && self.is_commit_due() {
                break;
            }
        }
        Ok(true)
    }

    /// What happens next, a record stepped into its engine.
    fn look(&mut self, patience: Duration) -> Result<Event<(i32, Vec<Output>)>, Error> {
        let delivery = match self.log.next(patience)? {
            Event::Record(delivery) => delivery,
            Event::Nothing => return Ok(Event::Nothing),
            Event::Revoked => return Ok(Event::Revoked),
            Event::Assigned(partitions) => return Ok(Event::Assigned(partitions)),
        };
        let partition = delivery.partition();
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(Event::Record((partition, Vec::new())));
        };
        let record = delivery.record();
        if asks_for_tables(&record) {
            self.follower
                .cover(partition, record.topic, record.offset)?;
        }
        let outputs = slot.step(self.follower.tables(), record)?;
        Ok(Event::Record((partition, outputs)))
    }

    /// Whether the partitions are still ours is for the log to say: it fences.
    fn revoked(&mut self) -> Result<(), Error> {
        self.commit_now()?;
        let gone: Vec<i32> = self.slots.keys().copied().collect();
        tracing::info!(partitions = ?gone, "revoked");
        self.orders.vitals.left(self.orders.number);
        self.restoring = None;
        self.parked = std::mem::take(&mut self.slots);
        self.parked.retain(|_, slot| slot.is_whole());
        for &partition in self.parked.keys() {
            self.ticks.forget(partition);
        }
        self.log.release()
    }

    fn assigned(&mut self, partitions: Vec<i32>) -> Result<(), Error> {
        tracing::info!(?partitions, "assigned");
        self.orders.vitals.assigned(self.orders.number, &partitions);
        let mine = |partition: &i32| !self.orders.halted.contains(partition);
        let wanted: BTreeSet<i32> = partitions.into_iter().filter(mine).collect();
        self.parked
            .retain(|partition, _| wanted.contains(partition));
        let left = |partition| {
            let parked = self.parked.get_mut(&partition);
            (partition, parked.map(Slot::park))
        };
        let wanted = Wanted {
            partitions: wanted.into_iter().map(left).collect(),
            codec: Arc::clone(self.orders.codec),
            vitals: Arc::clone(self.orders.vitals),
            of: self.orders.partitions,
        };
        if !wanted.partitions.is_empty() {
            self.restoring = Some(restore::start(self.log.source()?, wanted));
        }
        Ok(())
    }

    /// Takes the steps of restoring that are there.
    fn restore(&mut self) -> Result<(), Error> {
        for _ in 0..STEPS {
            let Some(steps) = &self.restoring else {
                return Ok(());
            };
            match steps.recv_timeout(LOOK) {
                Ok(batch) => {
                    let (partition, steps) = batch?;
                    for step in steps {
                        self.restore_step(partition, step)?;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => {
                    self.restoring = None;
                    self.parked.clear();
                }
            }
        }
        Ok(())
    }

    fn restore_step(&mut self, partition: i32, step: Step) -> Result<(), Error> {
        match step {
            Step::Kept => {
                let Some(slot) = self.parked.remove(&partition) else {
                    return Ok(());
                };
                self.slots.insert(partition, slot);
                tracing::info!(partition, "kept");
                return self.go_live(partition);
            }
            Step::Begin(committed) => {
                tracing::info!(partition, "restoring");
                self.follower.take_over(committed.pins)?;
                let config = Config {
                    partition,
                    partitions: self.orders.partitions,
                    detail: Detail::Records,
                };
                let slot = Slot::new(config, Arc::clone(self.orders.codec), committed);
                self.slots.insert(partition, slot);
                return Ok(());
            }
            _ => {}
        }
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(());
        };
        let was_live = slot.live;
        let is_last = matches!(step, Step::Indexed);
        let outputs = slot.restore(self.follower.tables(), step)?;
        let is_live = slot.live;
        slot.dirty |= was_live && !outputs.is_empty();
        outputs
            .iter()
            .try_for_each(|output| self.put(partition, output))?;
        if is_last {
            tracing::info!(partition, "closed rounds indexed");
        }
        if is_live && !was_live {
            tracing::info!(partition, "restored");
            self.go_live(partition)?;
        }
        Ok(())
    }

    /// Lets a partition's records come.
    fn go_live(&mut self, partition: i32) -> Result<(), Error> {
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(());
        };
        for (topic, held) in slot.holds() {
            self.log.hold(partition, topic, held)?;
        }
        let next = slot.next();
        let vitals = self.orders.vitals;
        vitals.live(partition);
        vitals.rounds(partition, slot.open_now());
        for (&topic, &next) in &next {
            vitals.passed(partition, topic, next);
        }
        self.log.read_from(partition, &next)
    }

    /// Puts what an engine said where it belongs.
    fn put(&mut self, own: i32, output: &Output) -> Result<(), Error> {
        self.tally.take(own, output);
        self.append(own, output)
    }

    /// As [`Self::put`], of what was counted before.
    fn append(&mut self, own: i32, output: &Output) -> Result<(), Error> {
        if let Output::Forward(forward) = output {
            return self.forward(own, forward);
        }
        let encoded = match self.slots.get(&own) {
            Some(slot) => output.encode(self.orders.codec, slot.parts()),
            None => output.encode(self.orders.codec, &Parts::default()),
        };
        // Whoever starts over comes to it again, so the others go on.
        let unfit = |why| {
            let why = format!("a record for {} cannot be written: {why}", output.topic());
            Error::halted(own, why)
        };
        let value = encoded.map_err(unfit)?;
        let trace = output.traceparent().map(str::as_bytes);
        let headers: Vec<_> = trace.iter().map(|trace| ("traceparent", *trace)).collect();
        self.log.put(&Entry {
            topic: output.topic(),
            partition: output.partition(own, self.orders.partitions),
            key: output.key().as_deref(),
            value: value.as_deref(),
            headers: &headers,
        })
    }

    /// ORDER: forwards and ticks go outside the transaction, so that a crash leaves nothing open in
    /// an input; they are acknowledged before the position they follow from is committed.
    fn forward(&mut self, own: i32, forward: &Forward) -> Result<(), Error> {
        let origin = format!("{own}:{}", forward.offset.0);
        let mut headers = vec![(ORIGIN_HEADER, origin.as_bytes())];
        if let Some(trace) = &forward.traceparent {
            headers.push(("traceparent", trace.as_bytes()));
        }
        self.log.post(&Entry {
            topic: forward.topic,
            partition: forward.partition,
            key: Some(&forward.key),
            value: Some(&forward.value),
            headers: &headers,
        })
    }

    /// Holds topics back, or lets them come, as each engine can take them.
    fn hold(&mut self) -> Result<(), Error> {
        for (&partition, slot) in &mut self.slots {
            for (topic, held) in slot.holds() {
                tracing::debug!(partition, %topic, held, "held back, or not any more");
                self.log.hold(partition, topic, held)?;
            }
        }
        Ok(())
    }

    /// Appends the ticks that are due, unless earlier ones have not arrived.
    fn tick(&mut self) -> Result<(), Error> {
        for (&partition, slot) in &self.slots {
            self.ticks.wait_for(partition, &slot.due());
        }
        if self.log.is_posting() {
            return Ok(());
        }
        for (partition, topic) in self.ticks.fire(self.orders.clock.now()) {
            tracing::trace!(partition, %topic, "tick");
            self.orders.vitals.ticked();
            self.log.post(&Entry {
                topic,
                partition,
                key: None,
                value: None,
                headers: &[TICK],
            })?;
        }
        Ok(())
    }

    /// Has rounds written anew that a restart would go far back for.
    fn refresh(&mut self) -> Result<(), Error> {
        let mut refreshed = Vec::new();
        for (&partition, slot) in self.slots.iter_mut().filter(|(_, slot)| slot.dirty) {
            if let Some(end) = self.log.rounds_end(partition) {
                slot.rounds_end(end);
            }
            refreshed.push((partition, slot.refresh()?));
        }
        for (partition, outputs) in refreshed {
            outputs
                .iter()
                .try_for_each(|output| self.append(partition, output))?;
        }
        Ok(())
    }

    /// Commits everything that was read by now, and waits until that is done.
    fn commit_now(&mut self) -> Result<(), Error> {
        self.settle_commit()?;
        self.commit()?;
        self.settle_commit()
    }

    /// Has outputs, rounds and positions of every partition that moved committed, all or nothing.
    /// Meanwhile records are read on, whose outputs are for the next commit.
    fn commit(&mut self) -> Result<(), Error> {
        self.committed = Instant::now();
        self.refresh()?;
        let dirty = self.slots.iter().filter(|(_, slot)| slot.dirty);
        let read: BTreeMap<_, _> = dirty.map(|(&p, slot)| (p, slot.committed())).collect();
        if read.is_empty() {
            return Ok(());
        }
        let asked = Instant::now();
        self.log.commit(&read)?;
        for slot in self.slots.values_mut() {
            slot.dirty = false;
        }
        self.under_way = Some(UnderWay {
            asked,
            read,
            tally: std::mem::take(&mut self.tally),
        });
        self.note_commit()
    }

    fn settle_commit(&mut self) -> Result<(), Error> {
        self.log.settle()?;
        self.note_commit()
    }

    /// Takes note of a commit that is done.
    fn note_commit(&mut self) -> Result<(), Error> {
        if self.log.is_committing()? {
            return Ok(());
        }
        let Some(done) = self.under_way.take() else {
            return Ok(());
        };
        let UnderWay { asked, read, tally } = done;
        let vitals = self.orders.vitals;
        vitals.committed(asked.elapsed(), tally);
        for (&partition, committed) in &read {
            for (&topic, position) in &committed.positions {
                vitals.passed(partition, topic, position.next.0);
            }
            if let Some(slot) = self.slots.get(&partition) {
                vitals.rounds(partition, slot.open_now());
            }
        }
        Ok(())
    }
}

/// Whether a record is judged by the tables as they stand when it is read.
fn asks_for_tables(record: &Record<'_>) -> bool {
    matches!(record.topic, Topic::Decisions | Topic::Results) || record.headers.control
}
