//! A member's share of the partitions: an engine each, stepped with what is read, and one
//! transaction over all of them.
//!
//! Between commits nothing here is true yet. After any error the whole share is dropped and taken
//! up again from what is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;
use rdkafka::consumer::{Consumer, ConsumerContext};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};

use super::connection::PATIENCE;
use super::lookup::{Answer, Asked, unknown_in};
use super::positions::{self, Committed, INPUTS};
use super::restore::{Source, Step};
use super::tables::Follower;
use super::transaction::Transaction;
use super::{Appender, Error, read};
use crate::engine::{self, Forward, Input, ORIGIN_HEADER, Output, Partition, Record, TICK_HEADER};
use crate::transport::ticks::Ticks;

/// What a member holds.
pub(super) struct Share {
    pub(super) source: Source,
    pub(super) follower: Follower,
    pub(super) transaction: Transaction,
    pub(super) appender: Appender,
    pub(super) slots: BTreeMap<i32, Slot>,
    /// What is to be restored from now on, if that has changed since the member last looked.
    pub(super) fresh: Option<Vec<i32>>,
    /// What went wrong where nobody could be told.
    pub(super) failed: Option<Error>,
    /// Nothing of this may be committed any more.
    pub(super) abandoned: bool,
    pub(super) ticks: Ticks,
    lookups: BTreeMap<Asked, Receiver<Answer>>,
    refused: BTreeSet<Asked>,
}

/// One partition's engine and where it stands.
pub(super) struct Slot {
    engine: Partition,
    committed: Committed,
    next: BTreeMap<Topic, i64>,
    live: bool,
    /// Whether something was read since the last commit.
    dirty: bool,
    /// The schema whose record is read next, once it is known.
    waiting: Option<Asked>,
    /// Whether responses are held back because too much waits for its proposals.
    held: bool,
}

impl Share {
    pub(super) fn new(
        source: Source,
        follower: Follower,
        transaction: Transaction,
        appender: Appender,
    ) -> Self {
        Self {
            source,
            follower,
            transaction,
            appender,
            slots: BTreeMap::new(),
            fresh: None,
            failed: None,
            abandoned: false,
            ticks: Ticks::default(),
            lookups: BTreeMap::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Lets go of every partition, restored or not; what is not committed is gone.
    pub(super) fn forget(&mut self) {
        for partition in std::mem::take(&mut self.slots).into_keys() {
            self.ticks.forget(partition);
        }
        self.fresh = Some(Vec::new());
    }

    /// Takes a step of restoring a partition; whether it was the last.
    pub(super) fn restore(&mut self, partition: i32, step: Step) -> Result<bool, Error> {
        let halted = |why: engine::Halt| Error::halted(partition, why);
        if let Step::Begin(committed) = step {
            self.follower.reach(committed.pins)?;
            let slot = Slot::new(partition, &self.source, committed);
            self.slots.insert(partition, slot);
            return Ok(false);
        }
        let tables = self.follower.tables();
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(false);
        };
        let engine = &mut slot.engine;
        match step {
            Step::Begin(_) => {}
            Step::Round(round) => engine.restore_round(tables, *round).map_err(halted)?,
            Step::Score(score) => engine.restore_score(score),
            Step::Positions => {
                let positions = slot.committed.positions.clone();
                engine.restore_positions(positions, slot.committed.pins);
            }
            Step::Lost(topic, below) => {
                let below = Offset(below);
                let lost = engine.step(tables, Input::Lost { topic, below });
                lost.map_err(halted)?;
                slot.pass(topic, below.0);
            }
            Step::Input(stored) => {
                let record = stored.record();
                let record = record.ok_or_else(|| untimed(stored.topic, partition))?;
                // What followed from it is committed.
                engine.step(tables, Input::Record(record)).map_err(halted)?;
            }
            Step::Done => {
                engine.restored(slot.committed.positions.clone());
                slot.live = true;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Steps an engine with a record just read.
    pub(super) fn take<C>(
        &mut self,
        consumer: &impl Consumer<C>,
        message: &BorrowedMessage<'_>,
    ) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        let (partition, offset) = (message.partition(), message.offset());
        let Some(topic) = self.source.connection.named(message.topic()) else {
            return Ok(());
        };
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(());
        };
        if !slot.live || slot.waiting.is_some() || offset < slot.next(topic) {
            return Ok(());
        }
        let headers = read::headers(message);
        let timestamp = read::append_time(message).ok_or_else(|| untimed(topic, partition))?;
        let codec = &self.source.codec;
        let unknown = unknown_in(codec, topic, headers.control, message.payload());
        if let Some(asked) = unknown.filter(|asked| !self.refused.contains(asked)) {
            return self.wait_for(consumer, partition, asked);
        }
        if matches!(topic, Topic::Decisions | Topic::Results) || headers.control {
            self.follower.reach_end()?;
        }
        let record = Record {
            topic,
            offset: Offset(offset),
            timestamp,
            key: message.key(),
            value: message.payload(),
            headers,
        };
        let stepped = slot
            .engine
            .step(self.follower.tables(), Input::Record(record));
        let outputs = stepped.map_err(|why| Error::halted(partition, why))?;
        slot.pass(topic, offset + 1);
        slot.dirty = true;
        outputs
            .iter()
            .try_for_each(|output| self.put(partition, output))
    }

    /// Puts what an engine said where it belongs.
    fn put(&mut self, own: i32, output: &Output) -> Result<(), Error> {
        if let Output::Forward(forward) = output {
            return self.forward(own, forward);
        }
        let encoded = output.encode(&self.source.codec);
        let value = encoded.map_err(Error::codec(format!("a record for {}", output.topic())))?;
        let trace = output.traceparent().map(str::as_bytes);
        let headers: Vec<_> = trace.iter().map(|trace| ("traceparent", *trace)).collect();
        self.transaction.append(
            &self.source.connection.topic(output.topic()),
            output.partition(own, self.source.partitions),
            output.key().as_deref(),
            value.as_deref(),
            &headers,
        )
    }

    /// ORDER: forwards and ticks go outside the transaction, so that a crash leaves nothing open in
    /// an input; they are acknowledged before the position they follow from is committed.
    fn forward(&self, own: i32, forward: &Forward) -> Result<(), Error> {
        let origin = format!("{own}:{}", forward.offset.0);
        let mut headers = vec![(ORIGIN_HEADER, origin.as_bytes())];
        if let Some(trace) = &forward.traceparent {
            headers.push(("traceparent", trace.as_bytes()));
        }
        let (key, value) = (Some(&*forward.key), Some(&*forward.value));
        self.appender
            .append(forward.topic, forward.partition, key, value, &headers)
    }

    /// Appends the ticks that are due, unless earlier ones have not arrived.
    pub(super) fn tick(&mut self, now: Timestamp) -> Result<(), Error> {
        for (&partition, slot) in &self.slots {
            if slot.live {
                self.ticks.wait_for(partition, &slot.engine.due());
            }
        }
        if self.appender.is_waiting() {
            return Ok(());
        }
        for (partition, topic) in self.ticks.fire(now) {
            tracing::trace!(partition, %topic, "tick");
            let headers = [(TICK_HEADER, &b"1"[..])];
            self.appender
                .append(topic, partition, None, None, &headers)?;
        }
        Ok(())
    }

    /// Commits outputs, rounds and positions of every partition that moved, in one transaction.
    pub(super) fn commit<C>(&mut self, consumer: &impl Consumer<C>) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        if self.abandoned || !self.slots.values().any(|slot| slot.dirty) {
            self.transaction.serve();
            return Ok(());
        }
        self.appender.settle()?;
        let mut list = TopicPartitionList::new();
        for (&partition, slot) in self.slots.iter().filter(|(_, slot)| slot.dirty) {
            let pins = slot.engine.pins();
            for (topic, position) in slot.engine.positions() {
                let name = self.source.connection.topic(topic);
                let mut place = list.add_partition(&name, partition);
                let set = place.set_offset(Place::Offset(position.next.0));
                set.map_err(Error::kafka("name a position"))?;
                place.set_metadata(positions::write(&position, pins));
            }
        }
        let member = consumer.group_metadata().ok_or_else(|| {
            Error::Unfit("cannot commit: not a member of the consumer group".to_owned())
        })?;
        self.transaction.commit(&list, &member)?;
        for slot in self.slots.values_mut() {
            slot.dirty = false;
        }
        Ok(())
    }

    /// Holds responses back, or lets them come, as each engine can take them.
    pub(super) fn hold<C>(&mut self, consumer: &impl Consumer<C>) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        for (&partition, slot) in &mut self.slots {
            let held = slot.engine.congested();
            if held == slot.held || slot.waiting.is_some() {
                continue;
            }
            let mut list = TopicPartitionList::new();
            list.add_partition(&self.source.connection.topic(Topic::Responses), partition);
            let set = if held {
                consumer.pause(&list)
            } else {
                consumer.resume(&list)
            };
            set.map_err(Error::kafka("hold responses back"))?;
            slot.held = held;
        }
        Ok(())
    }

    /// Stops a partition until the registry has said what a schema is.
    fn wait_for<C>(
        &mut self,
        consumer: &impl Consumer<C>,
        partition: i32,
        asked: Asked,
    ) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        let (kind, id) = asked;
        tracing::info!(partition, %kind, id, "waiting for a schema");
        let source = &self.source;
        self.lookups
            .entry(asked)
            .or_insert_with(|| source.lookup.ask(&source.codec, asked));
        if let Some(slot) = self.slots.get_mut(&partition) {
            slot.waiting = Some(asked);
        }
        let list = self.inputs(partition);
        consumer
            .pause(&list)
            .map_err(Error::kafka("pause a partition"))
    }

    /// Goes on with partitions whose schema was found, or will not be.
    pub(super) fn answer<C>(&mut self, consumer: &impl Consumer<C>) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        let answered = |receiver: &Receiver<Answer>| match receiver.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Answer::Silence),
        };
        let answers: Vec<_> = self
            .lookups
            .iter()
            .filter_map(|(&asked, receiver)| Some((asked, answered(receiver)?)))
            .collect();
        for (asked, answer) in answers {
            if answer == Answer::Silence {
                // A registry that is away refuses nothing: the partition waits for it.
                let again = self.source.lookup.ask(&self.source.codec, asked);
                self.lookups.insert(asked, again);
                continue;
            }
            self.lookups.remove(&asked);
            if answer != Answer::Known {
                self.refused.insert(asked);
            }
            let waiting = |(_, slot): &(&i32, &Slot)| slot.waiting == Some(asked);
            let partitions: Vec<i32> = self.slots.iter().filter(waiting).map(|(p, _)| *p).collect();
            for partition in partitions {
                self.go_on(consumer, partition)?;
            }
        }
        Ok(())
    }

    /// Reads a partition on from where its engine stands.
    ///
    /// ORDER: seek while it is paused; resuming goes on from there.
    pub(super) fn go_on<C>(
        &mut self,
        consumer: &impl Consumer<C>,
        partition: i32,
    ) -> Result<(), Error>
    where
        C: ConsumerContext,
    {
        let list = self.inputs(partition);
        let Some(slot) = self.slots.get_mut(&partition) else {
            return Ok(());
        };
        slot.waiting = None;
        slot.held = false;
        for topic in INPUTS {
            let name = self.source.connection.topic(topic);
            let place = Place::Offset(slot.next(topic));
            consumer
                .seek(&name, partition, place, PATIENCE)
                .map_err(Error::kafka(format!("go to a position in `{name}`")))?;
        }
        consumer
            .resume(&list)
            .map_err(Error::kafka("resume a partition"))
    }

    /// A partition of every input.
    pub(super) fn inputs(&self, partition: i32) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for topic in INPUTS {
            list.add_partition(&self.source.connection.topic(topic), partition);
        }
        list
    }
}

impl Slot {
    fn new(partition: i32, source: &Source, committed: Committed) -> Self {
        let config = engine::Config {
            partition,
            partitions: source.partitions,
        };
        let next = committed
            .positions
            .iter()
            .map(|(&topic, position)| (topic, position.next.0))
            .collect();
        Self {
            engine: Partition::new(config, Arc::clone(&source.codec)),
            committed,
            next,
            live: false,
            dirty: false,
            waiting: None,
            held: false,
        }
    }

    /// The offset of a topic to read next.
    fn next(&self, topic: Topic) -> i64 {
        self.next.get(&topic).copied().unwrap_or_default()
    }

    /// Goes on past an offset.
    fn pass(&mut self, topic: Topic, next: i64) {
        let known = self.next.entry(topic).or_default();
        *known = next.max(*known);
    }
}

/// A record whose time is whatever its sender said.
fn untimed(topic: Topic, partition: i32) -> Error {
    let why = "does not take its time from the broker (message.timestamp.type is not \
               LogAppendTime); run `quorate topics apply`, and use a new prefix if records \
               were already appended";
    Error::halted(partition, format!("topic {topic} {why}"))
}
