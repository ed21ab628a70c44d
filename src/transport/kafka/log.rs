//! Kafka as a log: a member of the consumer group, a transaction, and a producer beside it.
//!
//! What a rebalance brings is noted where librdkafka says it, inside `poll`, and taken up by the
//! engine's loop: partitions are given back to the client only once what was read of them is
//! committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};

use super::attempts::Book;
use super::connection::{PATIENCE, is_passing};
use super::lookup::Lookup;
use super::refused::Refused;
use super::seat::{Change, Rebalances, Seat};
use super::source::Side;
use super::transaction::{Ends, Transaction};
use super::waits::Waits;
use super::writer::Writer;
use super::{Appender, Connection, Error, Reader, group, read};
use crate::engine::Record;
use crate::transport::{Committed, Delivery, Entry, Event, INPUTS, Log, Settings, positions};
use crate::wire::Codec;

/// How long a single look for what the group says takes.
const LOOK: Duration = Duration::from_millis(50);

/// What members of the group have in common.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) connection: Connection,
    pub(super) codec: Arc<Codec>,
    pub(super) lookup: Lookup,
    /// What the engines' last transactions touched.
    pub(super) book: Book,
}

/// A member's consumer, its producers, and how far each topic was handed to the engine.
pub(super) struct Membership {
    group: Group,
    /// ORDER: dropped before the consumer, so that nobody leaves the group amid a commit.
    writer: Writer<(TopicPartitionList, ConsumerGroupMetadata)>,
    ends: Ends,
    consumer: Seat<Rebalances>,
    appender: Appender,
    /// The offset of each topic to hand on next; a partition that is not here is not read.
    next: BTreeMap<(i32, Topic), i64>,
    waits: Waits,
    /// What this engine is called.
    name: String,
    /// How long it takes at most until a member hears that another has its place.
    hearsay: Duration,
    /// Topics of partitions that are not read for now.
    held: BTreeSet<(i32, Topic)>,
}

/// A record that still belongs to the client.
pub(super) struct Delivered<'a> {
    message: BorrowedMessage<'a>,
    topic: Topic,
    offset: Offset,
    timestamp: Timestamp,
}

impl<'a> Delivered<'a> {
    fn new(message: BorrowedMessage<'a>, topic: Topic) -> Result<Self, Error> {
        let timestamp = read::append_time(&message);
        let timestamp = timestamp.ok_or_else(|| Error::untimed(topic, message.partition()))?;
        Ok(Self {
            topic,
            offset: Offset(message.offset()),
            timestamp,
            message,
        })
    }
}

impl Delivery for Delivered<'_> {
    fn partition(&self) -> i32 {
        self.message.partition()
    }

    fn record(&self) -> Record<'_> {
        Record {
            topic: self.topic,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.message.key(),
            value: self.message.payload(),
            headers: read::headers(&self.message),
        }
    }
}

impl Membership {
    /// Becomes a member of the group, unless told to stop first.
    pub(super) fn join(
        group: Group,
        name: &str,
        settings: &Settings,
        stop: &AtomicBool,
        again: bool,
    ) -> Result<Self, Error> {
        let connection = &group.connection;
        // ORDER: taking the id over ends what a predecessor left open, which tables and positions
        // would otherwise be waited for.
        let vitals = Arc::clone(&group.lookup.vitals);
        let timeout = settings.transaction_timeout;
        let attempts = group.book.of(name);
        let transaction =
            Transaction::take_over(connection, name, timeout, vitals, stop, attempts, again);
        let transaction = transaction.map_err(|error| group::judged(connection, name, error))?;
        let ends = transaction.ends();
        let writer = Writer::start(transaction, name)?;
        let appender = Appender::open(connection)?;
        let config = connection.member(settings.comes_back.then_some(name));
        let heartbeat = config.get("heartbeat.interval.ms");
        let heartbeat = heartbeat.and_then(|millis| millis.parse().ok());
        let consumer: BaseConsumer<Rebalances> = config
            .create_with_context(Rebalances::default())
            .map_err(Error::kafka("make a consumer"))?;
        let names = INPUTS.map(|topic| connection.topic(topic));
        consumer
            .subscribe(&names.each_ref().map(String::as_str))
            .map_err(Error::kafka("join the group"))?;
        Ok(Self {
            group,
            writer,
            ends,
            consumer: Seat::new(consumer, name),
            appender,
            next: BTreeMap::new(),
            waits: Waits::default(),
            name: name.to_owned(),
            hearsay: heartbeat.map_or(PATIENCE, |millis| Duration::from_millis(millis) * 2),
            held: BTreeSet::new(),
        })
    }

    /// Gives the client what it was assigned; nothing of it is read yet.
    fn assign(&self, list: &TopicPartitionList) -> Result<Vec<i32>, Error> {
        let doing = || Error::kafka("take up what was assigned");
        let all = group::whole(&self.group.connection, list)?;
        self.consumer.assign(list).map_err(doing())?;
        self.answer();
        self.consumer.pause(list).map_err(doing())?;
        Ok(all)
    }

    /// Takes note that the client was told what became of a change.
    fn answer(&self) {
        self.consumer.context().answer();
    }

    /// Goes on with partitions whose schema was found, or will not be.
    fn answered(&mut self) -> Result<(), Error> {
        let Group { codec, lookup, .. } = &self.group;
        for partition in self.waits.answered(lookup, codec) {
            self.go_on(partition)?;
        }
        Ok(())
    }

    /// Whether a failed commit means that somebody has our place.
    ///
    /// Whoever takes it takes our transactional id over first, and one given up for its time looks
    /// the same; what the group says next tells them apart. To take the id back before that is
    /// known would end the one that came, and so on for ever.
    fn judge(&self, error: Error) -> Error {
        let error = group::judged(&self.group.connection, &self.name, error);
        let until = Instant::now() + self.hearsay;
        while group::is_taken_over(&error) && Instant::now() < until {
            // What was read and not committed is read again by whoever comes next.
            let _unread = self.consumer.poll(LOOK);
            if let Some(refused) = group::fatal(&self.consumer, &self.name) {
                return refused;
            }
        }
        error
    }

    /// Reads a partition on from what was last handed to the engine.
    ///
    /// ORDER: seek while it is paused; resuming goes on from there.
    fn go_on(&self, partition: i32) -> Result<(), Error> {
        for topic in INPUTS {
            let name = self.group.connection.topic(topic);
            let next = self.next.get(&(partition, topic)).copied();
            let place = Place::Offset(next.unwrap_or_default());
            self.consumer
                .seek(&name, partition, place, PATIENCE)
                .map_err(Error::kafka(format!("go to a position in `{name}`")))?;
        }
        let read = INPUTS.into_iter();
        let read = read.filter(|&topic| !self.held.contains(&(partition, topic)));
        let list = self.group.connection.partition(partition, read);
        self.consumer
            .resume(&list)
            .map_err(Error::kafka("resume a partition"))
    }
}

impl Log for Membership {
    type Source = Side;
    type Delivery<'a> = Delivered<'a>;

    fn source(&self) -> Result<Side, Error> {
        let Group {
            connection,
            codec,
            lookup,
            ..
        } = self.group.clone();
        Ok(Side {
            reader: Reader::of_group(&connection, &connection.group())?,
            refused: Refused::of(&connection, &codec, &lookup),
            connection,
        })
    }

    fn next(&mut self, patience: Duration) -> Result<Event<Delivered<'_>>, Error> {
        self.answered()?;
        if !patience.is_zero() {
            // What was said is written while nobody has anything to say.
            let flushed = self.writer.flush();
            flushed.map_err(|error| self.judge(error))?;
        }
        match self.consumer.context().take() {
            Some(Change::Revoked) => return Ok(Event::Revoked),
            Some(Change::Assigned(list)) => return self.assign(&list).map(Event::Assigned),
            None => {}
        }
        let Self {
            group,
            consumer,
            next,
            waits,
            name,
            ..
        } = self;
        let mut patience = patience;
        loop {
            let message = match consumer.poll(patience) {
                None => return Ok(Event::Nothing),
                Some(Ok(message)) => message,
                Some(Err(error)) if is_passing(&error) => {
                    tracing::debug!(%error, "broker does not answer yet");
                    return Ok(Event::Nothing);
                }
                Some(Err(error)) => {
                    let refused = group::fatal(consumer, name);
                    let refused =
                        refused.or_else(|| group::refusal(&group.connection, name, &error));
                    return Err(refused.unwrap_or_else(|| Error::kafka("read inputs")(error)));
                }
            };
            patience = Duration::ZERO;
            let Some(topic) = group.connection.named(message.topic()) else {
                continue;
            };
            let partition = message.partition();
            let Some(next) = next.get_mut(&(partition, topic)) else {
                continue;
            };
            // What the client had fetched before it was told to stop or to go elsewhere.
            if message.offset() < *next || waits.is_waiting(partition) {
                continue;
            }
            let delivered = Delivered::new(message, topic)?;
            if let Some(asked) = Waits::wants(&group.lookup, &group.codec, &delivered.record()) {
                waits.wait(&group.lookup, &group.codec, partition, asked);
                consumer
                    .pause(&group.connection.partition(partition, INPUTS))
                    .map_err(Error::kafka("pause a partition"))?;
                continue;
            }
            *next = delivered.offset.0 + 1;
            return Ok(Event::Record(delivered));
        }
    }

    fn release(&mut self) -> Result<(), Error> {
        self.next.clear();
        self.waits.clear();
        self.held.clear();
        let released = self.consumer.unassign();
        released.map_err(Error::kafka("give partitions back"))?;
        self.answer();
        Ok(())
    }

    fn read_from(&mut self, partition: i32, offsets: &BTreeMap<Topic, i64>) -> Result<(), Error> {
        for (&topic, &offset) in offsets {
            self.next.insert((partition, topic), offset);
        }
        self.go_on(partition)
    }

    fn hold(&mut self, partition: i32, topic: Topic, held: bool) -> Result<(), Error> {
        let list = self.group.connection.partition(partition, [topic]);
        let set = if held {
            self.held.insert((partition, topic));
            self.consumer.pause(&list)
        } else {
            self.held.remove(&(partition, topic));
            // A partition that waits for a schema goes on with all it may read once it is known.
            if self.waits.is_waiting(partition) {
                return Ok(());
            }
            self.consumer.resume(&list)
        };
        set.map_err(Error::kafka(format!("hold `{topic}` back")))
    }

    fn put(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        let put = self.writer.put(entry);
        put.map_err(|error| self.judge(error))
    }

    fn post(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.appender.append(
            entry.topic,
            entry.partition,
            entry.key,
            entry.value,
            entry.headers,
        )
    }

    fn is_posting(&self) -> bool {
        self.appender.is_waiting()
    }

    fn rounds_end(&self, partition: i32) -> Option<i64> {
        self.ends.of(partition)
    }

    fn commit(&mut self, read: &BTreeMap<i32, Committed>) -> Result<(), Error> {
        for appended in self.appender.settle()? {
            let topic = self.group.connection.named(&appended.topic);
            if let Some((topic, ahead)) = topic.zip(appended.ahead) {
                let vitals = &self.group.lookup.vitals;
                vitals.clock(topic, appended.partition, ahead);
            }
        }
        let mut list = TopicPartitionList::new();
        for (&partition, committed) in read {
            for (&topic, position) in &committed.positions {
                let name = self.group.connection.topic(topic);
                let mut place = list.add_partition(&name, partition);
                let set = place.set_offset(Place::Offset(position.next.0));
                set.map_err(Error::kafka("name a position"))?;
                place.set_metadata(positions::write(position, committed.pins));
            }
        }
        let member = self.consumer.group_metadata().ok_or_else(|| {
            Error::Unfit("cannot commit: not a member of the consumer group".to_owned())
        })?;
        let ordered = self.writer.commit((list, member));
        ordered.map_err(|error| self.judge(error))
    }

    fn is_committing(&mut self) -> Result<bool, Error> {
        let is_committing = self.writer.is_committing();
        is_committing.map_err(|error| self.judge(error))
    }

    fn settle(&mut self) -> Result<(), Error> {
        let settled = self.writer.settle();
        settled.map_err(|error| self.judge(error))
    }
}
