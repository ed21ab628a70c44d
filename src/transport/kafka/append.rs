//! Appends records from the edge: proposals, responses, tables, ticks and forwards.
//!
//! Idempotent, acknowledged by every replica in sync, never in a transaction: whoever dies here
//! leaves nothing open in somebody else's input. The partition is ours to compute, since the
//! client's own default is not Java's.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::connection::{PATIENCE, note};
use super::{Appended, Connection, Error, read};
use crate::clock::{Clock, System};
use crate::telemetry::Ahead;

/// How long to wait before looking again whether the brokers have answered.
const LOOK: Duration = Duration::from_micros(500);

/// A producer for records outside transactions.
pub struct Appender {
    connection: Connection,
    producer: BaseProducer<Deliveries>,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appender")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// Keeps what the brokers said of each record until it is asked for.
#[derive(Default)]
struct Deliveries {
    kept: Mutex<Vec<Result<Appended, KafkaError>>>,
    /// No record that is under way was handed over before this time.
    since: AtomicI64,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = match result {
            Ok(message) => {
                let timestamp = read::append_time(message);
                Ok(Appended {
                    topic: message.topic().to_owned(),
                    partition: message.partition(),
                    offset: message.offset(),
                    timestamp,
                    ahead: timestamp.map(|stamped| self.ahead(stamped)),
                })
            }
            Err((error, _)) => Err(error.clone()),
        };
        self.kept().push(outcome);
    }
}

impl Deliveries {
    fn kept(&self) -> MutexGuard<'_, Vec<Result<Appended, KafkaError>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The leader stamped a record between its being handed over and its being answered for.
    fn ahead(&self, stamped: Timestamp) -> Ahead {
        let since = self.since.load(Ordering::Relaxed);
        Ahead {
            least: stamped.since(System.now()),
            most: stamped.since(Timestamp(since)),
        }
    }
}

impl Appender {
    /// An appender to this cluster.
    ///
    /// # Errors
    /// [`Error::Log`] if there is no client to be had.
    pub fn open(connection: &Connection) -> Result<Self, Error> {
        let producer = connection
            .appender()
            .create_with_context(Deliveries::default())
            .map_err(Error::kafka("make a producer"))?;
        Ok(Self {
            connection: connection.clone(),
            producer,
        })
    }

    /// Hands a record over; [`Appender::settle`] says whether it arrived.
    ///
    /// # Errors
    /// [`Error::Log`] if the client does not take it.
    pub fn append(
        &self,
        topic: Topic,
        partition: i32,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) -> Result<(), Error> {
        let name = self.connection.name(topic);
        if self.producer.in_flight_count() == 0 {
            let since = &self.producer.context().since;
            since.store(System.now().0, Ordering::Relaxed);
        }
        send(&self.producer, record(name, partition, key, value, headers))
            .map_err(|error| Error::kafka(format!("append to `{name}`"))(error))
    }

    /// Whether something handed over has not been answered for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.producer.poll(Duration::ZERO);
        self.producer.in_flight_count() > 0
    }

    /// Waits until everything handed over is answered for, and says where it lies, in the order of
    /// the answers.
    ///
    /// # Errors
    /// [`Error::Log`] for the first record that did not arrive; [`Error::TimedOut`].
    pub fn settle(&self) -> Result<Vec<Appended>, Error> {
        let doing = "append records";
        if !drain(&self.producer, PATIENCE * 2) {
            return Err(Error::TimedOut(doing.to_owned()));
        }
        let answers = std::mem::take(&mut *self.producer.context().kept()).into_iter();
        answers
            .collect::<Result<_, _>>()
            .map_err(Error::kafka(doing))
    }
}

/// A record for a producer.
pub(super) fn record<'a>(
    topic: &'a str,
    partition: i32,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
    headers: &[(&str, &[u8])],
) -> BaseRecord<'a, [u8], [u8]> {
    let mut record = BaseRecord::to(topic).partition(partition);
    record.key = key;
    record.payload = value;
    if !headers.is_empty() {
        let owned = OwnedHeaders::new_with_capacity(headers.len());
        record.headers = Some(headers.iter().fold(owned, |owned, (key, value)| {
            owned.insert(Header {
                key,
                value: Some(*value),
            })
        }));
    }
    record
}

/// Gives a record to a producer, waiting while its queue is full.
pub(super) fn send<C>(
    producer: &BaseProducer<C>,
    record: BaseRecord<'_, [u8], [u8]>,
) -> Result<(), KafkaError>
where
    C: ProducerContext<DeliveryOpaque = ()>,
{
    let mut record = record;
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, back)) if error == full => {
                producer.poll(Duration::ZERO);
                thread::sleep(LOOK);
                record = back;
            }
            Err((error, _)) => return Err(error),
        }
    }
}

/// Serves a producer until nothing is under way; whether it came to that within the time.
///
/// Not `flush`, which looks in steps of 100 ms, nor `poll` with a time, which spins through the
/// last millisecond of it.
pub(super) fn drain<C: ProducerContext>(producer: &BaseProducer<C>, patience: Duration) -> bool {
    drain_while(producer, patience, || true)
}

/// As [`drain`], as long as something is so.
pub(super) fn drain_while<C: ProducerContext>(
    producer: &BaseProducer<C>,
    patience: Duration,
    is_so: impl Fn() -> bool,
) -> bool {
    let until = Instant::now() + patience;
    let mut left = producer.in_flight_count();
    while left > 0 {
        producer.poll(Duration::ZERO);
        let now = producer.in_flight_count();
        if now == left {
            if Instant::now() > until || !is_so() {
                return false;
            }
            thread::sleep(LOOK);
        }
        left = now;
    }
    producer.poll(Duration::ZERO);
    true
}
