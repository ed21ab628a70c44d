//! Reads partitions from somewhere to an end, or on and on, without a group.

use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};

use super::connection::{PATIENCE, is_passing, note};
use super::{Connection, Error};
use crate::engine::{CONTROL_HEADER, Headers, ORIGIN_HEADER};
use crate::transport::{Header, Reading, Start, Stored};
use crate::wire::check_traceparent;

/// How long a single look for records takes.
const LOOK: Duration = Duration::from_millis(50);

/// Copies a record of ours out of the client; none if the topic is not one of ours.
pub(super) fn copy(connection: &Connection, message: &BorrowedMessage<'_>) -> Option<Stored> {
    let stored = Stored {
        topic: connection.named(message.topic())?,
        partition: message.partition(),
        offset: message.offset(),
        timestamp: append_time(message),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        control: false,
        forwarded: false,
        traceparent: None,
        headers: Vec::new(),
    };
    let header = |header: BorrowedHeader<'_>| Header {
        key: header.key.to_owned(),
        value: header.value.map(<[u8]>::to_vec),
    };
    Some(match message.headers() {
        Some(headers) => stored.with_headers(headers.iter().map(header).collect()),
        None => stored,
    })
}

type BorrowedHeader<'a> = rdkafka::message::Header<'a, &'a [u8]>;

/// What a record's headers say to an engine.
pub(super) fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Headers<'a> {
    let mut found = Headers::default();
    let Some(headers) = message.headers() else {
        return found;
    };
    for header in headers.iter() {
        match header.key {
            CONTROL_HEADER => found.control = true,
            ORIGIN_HEADER => found.forwarded = true,
            "traceparent" => {
                let value = header.value.and_then(|value| str::from_utf8(value).ok());
                found.traceparent = value.filter(|text| check_traceparent(text).is_ok());
            }
            _ => {}
        }
    }
    found
}

/// When the broker appended a record; none if the time is whatever its sender said.
pub(super) fn append_time(message: &BorrowedMessage<'_>) -> Option<Timestamp> {
    match message.timestamp() {
        rdkafka::Timestamp::LogAppendTime(time) => Some(Timestamp(time)),
        _ => None,
    }
}

/// Where a partition begins and ends, or why that is not known, in the brokers' words.
///
/// What a client may not know of a topic it may take for a topic without partitions.
fn ends(asker: &BaseConsumer<Quiet>, name: &str, partition: i32) -> KafkaResult<(i64, i64)> {
    asker
        .fetch_watermarks(name, partition, PATIENCE)
        .map_err(|error| {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::UnknownPartition) {
                return error;
            }
            let told = asker.fetch_metadata(Some(name), PATIENCE).ok();
            let why = told.and_then(|told| told.topics().first()?.error());
            why.map_or(error, |why| KafkaError::MetadataFetch(why.into()))
        })
}

/// A consumer that reads what it is told to.
pub struct Reader {
    connection: Connection,
    consumer: BaseConsumer<Quiet>,
    /// For questions. Asked by the one that reads, they would wait behind its fetches, which
    /// brokers hold back until there is something to send.
    asker: BaseConsumer<Quiet>,
    /// For questions about what is not committed yet, made by the first of them.
    far: OnceLock<BaseConsumer<Quiet>>,
}

/// A consumer's context that takes the end of a partition as news, not as an error.
pub(super) struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of committed records.
    ///
    /// # Errors
    /// [`Error::Log`] if there is no client to be had.
    pub fn open(connection: &Connection) -> Result<Self, Error> {
        Self::of_group(connection, &format!("{}reader", connection.prefix()))
    }

    /// A reader that can also be asked for a group's positions.
    pub(super) fn of_group(connection: &Connection, group: &str) -> Result<Self, Error> {
        let mut config = connection.reader(group);
        config.set("enable.partition.eof", "true");
        let client = || {
            config
                .create_with_context(Quiet)
                .map_err(Error::kafka("make a consumer"))
        };
        Ok(Self {
            connection: connection.clone(),
            consumer: client()?,
            asker: client()?,
            far: OnceLock::new(),
        })
    }

    /// The client that reads.
    pub(super) const fn consumer(&self) -> &BaseConsumer<Quiet> {
        &self.consumer
    }

    /// Goes to these places; what was read before is left.
    ///
    /// # Errors
    /// [`Error::Log`] if the client does not take it.
    pub fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        let doing = || Error::kafka("read topics");
        let mut list = TopicPartitionList::new();
        for &(topic, partition, start) in places {
            self.meet(topic)?;
            let place = match start {
                Start::Beginning => Place::Beginning,
                Start::End => Place::End,
                Start::At(offset) => Place::Offset(offset),
            };
            list.add_partition_offset(&self.connection.topic(topic), partition, place)
                .map_err(doing())?;
        }
        self.consumer.assign(&list).map_err(doing())
    }

    /// Lets the client that reads learn who leads a topic it may not know yet. Left to itself, it
    /// looks for the leaders of unknown topics once a second.
    fn meet(&self, topic: Topic) -> Result<(), Error> {
        let name = self.connection.topic(topic);
        let answer = self.consumer.fetch_metadata(Some(&name), PATIENCE);
        answer
            .map(drop)
            .map_err(Error::kafka(format!("ask who leads `{name}`")))
    }

    /// The next record, if one comes within the time.
    ///
    /// # Errors
    /// [`Error::Log`] for what the client does not recover from by itself.
    pub fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error> {
        match self.poll(timeout)? {
            Seen::Record(message) => Ok(copy(&self.connection, &message)),
            Seen::End | Seen::Nothing => Ok(None),
        }
    }

    fn poll(&self, timeout: Duration) -> Result<Seen<'_>, Error> {
        match self.consumer.poll(timeout) {
            None => Ok(Seen::Nothing),
            Some(Ok(message)) => Ok(Seen::Record(message)),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(Seen::End),
            Some(Err(error)) if is_passing(&error) => {
                tracing::debug!(%error, "broker does not answer yet");
                Ok(Seen::Nothing)
            }
            Some(Err(error)) => Err(Error::kafka("read records")(error)),
        }
    }

    /// The first offset still there, and the one after the last committed record.
    ///
    /// # Errors
    /// [`Error::Log`] if no broker answers.
    pub fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        let name = self.connection.topic(topic);
        ends(&self.asker, &name, partition)
            .map_err(Error::kafka(format!("ask for the end of `{name}`")))
    }

    /// Reads a partition from a place up to an offset, exclusive.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if nothing came for a while although the end is not reached: somebody's
    /// transaction is open for too long. [`Error::Log`] or what `each` says.
    pub fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        mut each: impl FnMut(Stored) -> Result<(), Error>,
    ) -> Result<(), Error> {
        Reading::read_to(self, topic, partition, from, end, &mut |stored| {
            each(stored).map(ControlFlow::Continue)
        })
    }
}

impl Reading for Reader {
    fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        Self::ends(self, topic, partition)
    }

    // The end is the high watermark.
    fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        let name = self.connection.topic(topic);
        let far = match self.far.get() {
            Some(far) => far,
            None => {
                let mut config = self.connection.reader(&self.connection.group());
                config.set("isolation.level", "read_uncommitted");
                let made = config.create_with_context(Quiet);
                let made = made.map_err(Error::kafka("make a consumer"))?;
                self.far.get_or_init(|| made)
            }
        };
        ends(far, &name, partition)
            .map_err(Error::kafka(format!("ask for the far end of `{name}`")))
    }

    fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut position = from;
        let mut moved = Instant::now();
        if position >= end {
            return Ok(());
        }
        let mut doubt = Doubt::default();
        doubt.asked(self.ends(topic, partition)?.1 >= end);
        self.go_to(&[(topic, partition, Start::At(position))])?;
        while position < end {
            if moved.elapsed() > PATIENCE * 2 {
                let name = self.connection.topic(topic);
                return Err(Error::TimedOut(format!("read `{name}` to offset {end}")));
            }
            match self.poll(LOOK)? {
                Seen::Record(message) => {
                    if message.offset() >= end {
                        return Ok(());
                    }
                    position = message.offset() + 1;
                    moved = Instant::now();
                    doubt = Doubt::default();
                    if let Some(stored) = copy(&self.connection, &message)
                        && each(stored)?.is_break()
                    {
                        return Ok(());
                    }
                }
                Seen::End => {
                    // Transaction markers leave no record to see, but move the client on.
                    position = position.max(self.position(topic, partition).unwrap_or(from));
                    if position >= end || doubt.is_over() {
                        return Ok(());
                    }
                    let why = "less is shown than was asked for";
                    tracing::debug!(%topic, partition, position, end, why);
                    doubt.asked(self.ends(topic, partition)?.1 >= end);
                    // What a broker does not show yet takes it moments.
                    std::thread::sleep(LOOK);
                    self.go_to(&[(topic, partition, Start::At(position))])?;
                }
                Seen::Nothing => {}
            }
        }
        Ok(())
    }

    fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        Self::go_to(self, places)
    }

    fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error> {
        Self::next(self, timeout)
    }

    fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        let name = self.connection.topic(topic);
        let positions = self.consumer.position().ok()?;
        positions
            .find_partition(&name, partition)?
            .offset()
            .to_raw()
            .filter(|offset| *offset >= 0)
    }
}

/// Whether the end of a partition, seen before the offset that was asked for, is the end of what
/// there is to see.
///
/// Where the last records were compacted away, it is, and nothing but that event tells it. But a
/// broker that has just come to lead the partition, or was started again, shows less for a moment
/// than it or another one had shown, and says that this is the end. So the end is believed when it
/// was met again and again, each time after a broker had said that what is committed goes beyond.
#[derive(Clone, Copy, Debug, Default)]
struct Doubt {
    times: usize,
    known: bool,
}

impl Doubt {
    /// How often the end has to be met.
    const ENOUGH: usize = 5;

    /// Takes note of whether what is committed was just said to reach the offset asked for.
    const fn asked(&mut self, reaches: bool) {
        self.known = reaches;
    }

    /// Takes note of the partition's end; whether it is believed.
    const fn is_over(&mut self) -> bool {
        self.times = if self.known { self.times + 1 } else { 0 };
        self.times >= Self::ENOUGH
    }
}

/// What one look gave.
enum Seen<'a> {
    Record(BorrowedMessage<'a>),
    End,
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_believed_when_it_is_met_again_and_again_with_more_known_to_be_there() {
        let mut doubt = Doubt::default();
        let mut meet = |known| {
            doubt.asked(known);
            doubt.is_over()
        };
        assert_eq!([true; 3].map(&mut meet), [false; 3]);
        assert!(!meet(false), "what is committed was not known to go so far");
        assert_eq!([true; 5].map(&mut meet), [false, false, false, false, true]);
    }
}
