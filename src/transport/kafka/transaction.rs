//! The one place that owns the rule of transactions: after any error that does not say "again",
//! the producer is thrown away, and the next one with its id fences whatever it left.
//!
//! librdkafka has no defence of its own against an end of a transaction that arrives late and hits
//! the next one. A new epoch is that defence, so a producer whose commit or abort ended in doubt
//! is never used again. The client also asks again by itself, says nothing of it, and reports
//! success; only the time that takes shows it, so a commit that took as long counts as in doubt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::fault::{self, Fault};
use quorate_core::topic::Topic;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::util::Timeout;

use super::append::{drain_while, record, send};
use super::attempts::Attempts;
use super::connection::{PATIENCE, RETRY_BACKOFF, note};
use super::settle::{Left, left, settle};
use super::writer::Write;
use super::{Connection, Error};
use crate::telemetry::Vitals;
use crate::transport::Entry;

/// Whoever was answered sooner than this cannot have asked twice.
const SURELY_ONCE: Duration = RETRY_BACKOFF.saturating_sub(Duration::from_millis(60));

/// How long a broker that was lost is given before looking what became of transactions.
const SETTLES: Duration = Duration::from_secs(3);

/// How long the end of a transaction is given to take along what is left of those before it.
const AGAIN: Duration = Duration::from_millis(500);

/// How long a single call may keep us from noticing that we are to stop.
const LOOK: Duration = Duration::from_millis(500);

/// A transactional producer, and whether it has begun.
pub(super) struct Transaction {
    connection: Connection,
    id: String,
    producer: BaseProducer<Written>,
    timeout: Duration,
    open: bool,
    noted: Noted,
    /// When to look what became of those that are in doubt.
    look: Instant,
    /// Whether something was left of them when last looked.
    seen: bool,
    vitals: Arc<Vitals>,
}

impl Transaction {
    /// Takes over the transactional id: whoever had it is fenced, and what it left open aborted.
    /// That takes a while where no broker answers, but not beyond the order to stop.
    ///
    /// `again`: something went wrong under this id before, so that what its last transactions wrote
    /// may be open still where no end of theirs ever came; see [`settle`].
    pub(super) fn take_over(
        connection: &Connection,
        id: &str,
        timeout: Duration,
        vitals: Arc<Vitals>,
        stop: &AtomicBool,
        attempts: Attempts,
        again: bool,
    ) -> Result<Self, Error> {
        let id = if fault::is_on(Fault::FencingOff) {
            format!("{id}-{}", uuid::Uuid::now_v7().simple())
        } else {
            id.to_owned()
        };
        if again && !fault::is_on(Fault::PositionsLeftPending) {
            let member = stranger(connection)?;
            let member =
                member.ok_or_else(|| Error::Unfit("a consumer has no group".to_owned()))?;
            // It is not used again: what was left is ended under an epoch of its own.
            let producer = producer(connection, &id, timeout, stop, &Noted::default())?;
            settle(connection, &producer, &member, &attempts.kept(), timeout)?;
            attempts.forget();
        }
        let noted = Noted {
            attempts,
            ..Noted::default()
        };
        Ok(Self {
            vitals,
            connection: connection.clone(),
            producer: producer(connection, &id, timeout, stop, &noted)?,
            id,
            timeout,
            open: false,
            noted,
            look: Instant::now(),
            seen: false,
        })
    }

    /// Looks what became of the last transactions, if a broker was lost since: their ends may not
    /// have come everywhere, though their success was told.
    ///
    /// # Errors
    /// [`Error::Unfit`] if they have not; whoever takes the id over ends them ([`settle`]).
    fn check(&mut self) -> Result<(), Error> {
        self.notice();
        self.stay_safe()?;
        // ORDER: not while one is under way. Given up for an error here, it would take along what
        // is left of those that were committed; committed, it heals where it has written.
        if self.open || Instant::now() < self.look {
            return Ok(());
        }
        let doubtful = self.noted.attempts.doubtful();
        if doubtful.is_empty() {
            return Ok(());
        }
        match left(&self.connection, &doubtful) {
            Ok(Left::Nothing) => self.noted.attempts.trust(),
            // The end of one that has just been committed may be on its way, and takes it along.
            Ok(Left::Committed) if !self.seen => {
                self.seen = true;
                self.look = Instant::now() + AGAIN;
            }
            Ok(Left::Committed | Left::Undone) => {
                let why = "the end of a transaction did not come everywhere";
                return Err(Error::Unfit(why.to_owned()));
            }
            Err(error) => {
                tracing::debug!(%error, "cannot look what became of transactions; later again");
                self.look = Instant::now() + SETTLES;
            }
        }
        Ok(())
    }

    /// Whether a record may be written: not where a broker was lost that may have forgotten what
    /// was ending. Given up, the next transaction would take that along, so that none begins, and
    /// of one that has begun nothing gets there, before it was looked after.
    fn is_safe(&self) -> bool {
        !self.noted.shaken.load(Ordering::Relaxed)
            || !self.noted.attempts.may_be_ending()
            || fault::is_on(Fault::BrokersLostUnseen)
    }

    fn stay_safe(&self) -> Result<(), Error> {
        if !self.is_safe() {
            let why = "a broker was lost while a transaction may have been ending";
            return Err(Error::Unfit(why.to_owned()));
        }
        self.noted.shaken.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Takes note of the loss of a broker.
    fn notice(&mut self) {
        if self.noted.lost.swap(false, Ordering::Relaxed) {
            self.noted.attempts.doubt();
            self.look = Instant::now() + SETTLES;
            self.seen = false;
        }
    }

    /// One who never joined the group, whom brokers do not fence: a fault put in, else none.
    fn stranger(&self) -> Result<Option<ConsumerGroupMetadata>, Error> {
        if !fault::is_on(Fault::FencingOff) {
            return Ok(None);
        }
        stranger(&self.connection)
    }

    fn begin(&mut self) -> Result<(), Error> {
        if !self.open {
            // ORDER: before those that are in doubt make room for this one.
            self.notice();
            self.stay_safe()?;
            let begun = self.producer.begin_transaction();
            begun.map_err(Error::kafka("begin a transaction"))?;
            self.noted.attempts.begin();
            tracing::debug!(id = self.id, "transaction begun");
            self.open = true;
        }
        Ok(())
    }

    /// Where the rounds' partitions are known to end.
    pub(super) fn ends(&self) -> Ends {
        self.noted.ends.clone()
    }
}

impl Write for Transaction {
    type Positions = (TopicPartitionList, ConsumerGroupMetadata);

    fn append(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.begin()?;
        let &Entry {
            topic,
            partition,
            key,
            value,
            headers,
        } = entry;
        self.noted.attempts.touch(topic, partition);
        let name = self.connection.name(topic);
        let sent = send(&self.producer, record(name, partition, key, value, headers));
        sent.map_err(|error| Error::kafka(format!("append to `{name}`"))(error))
    }

    /// Commits what was appended, with the positions it was read up to.
    ///
    /// ORDER: everything is delivered first, since `commit_transaction` would wait for it in steps
    /// of 100 ms; then positions, then the commit. An error leaves it open which of the two it is:
    /// the caller drops this and everything it rests on.
    fn commit(&mut self, (positions, member): Self::Positions) -> Result<(), Error> {
        self.begin()?;
        let delivered = drain_while(&self.producer, self.timeout, || self.is_safe());
        self.stay_safe()?;
        if !delivered {
            return Err(Error::TimedOut(
                "deliver a transaction's records".to_owned(),
            ));
        }
        let stranger = self.stranger()?;
        let member = stranger.unwrap_or(member);
        self.noted.attempts.asked(&positions);
        let asked = Instant::now();
        let offsets = self
            .producer
            .send_offsets_to_transaction(&positions, &member, self.timeout);
        offsets.map_err(Error::kafka("put positions into a transaction"))?;
        // Never: the wait is bounded by the transaction's own timeout, and a shorter one would
        // leave the outcome in doubt.
        let commit = self.producer.commit_transaction(Timeout::Never);
        commit.map_err(Error::kafka("commit a transaction"))?;
        self.open = false;
        self.noted.attempts.done();
        tracing::debug!(id = self.id, took = ?asked.elapsed(), "committed");
        let in_doubt = asked.elapsed() >= SURELY_ONCE;
        if in_doubt && !fault::is_on(Fault::ProducerKept) {
            // It is committed, but an earlier end of it may still be under way, and would end the
            // next one halfway: a new epoch makes it a stranger.
            tracing::debug!(took = ?asked.elapsed(), "slow commit; taking a new producer");
            self.vitals.producer_rebuilt();
            let never = AtomicBool::new(false);
            let next = producer(
                &self.connection,
                &self.id,
                self.timeout,
                &never,
                &self.noted,
            );
            self.producer = next?;
        }
        Ok(())
    }

    fn look_after(&mut self) -> Result<(), Error> {
        // Lets the client take note of deliveries.
        self.producer.poll(Duration::ZERO);
        self.check()
    }
}

/// The offset after the last record known to lie in each partition of `acp.rounds`.
#[derive(Clone, Debug, Default)]
pub(super) struct Ends(Arc<Mutex<BTreeMap<i32, i64>>>);

impl Ends {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i32, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That of a partition, if anything was written there.
    pub(super) fn of(&self, partition: i32) -> Option<i64> {
        self.lock().get(&partition).copied()
    }
}

/// What producers of one id have noted, one after the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted {
    pub(super) attempts: Attempts,
    ends: Ends,
    /// Whether a broker was lost since last looked.
    lost: Arc<AtomicBool>,
    /// Whether one that was there is gone, until it is safe to write again.
    shaken: Arc<AtomicBool>,
}

/// Takes note of where records came to lie, and of brokers that are lost.
pub(super) struct Written {
    connection: Connection,
    pub(super) noted: Noted,
}

impl ClientContext for Written {
    fn error(&self, error: KafkaError, reason: &str) {
        self.noted.lost.store(true, Ordering::Relaxed);
        if is_loss(&error, reason) {
            self.noted.shaken.store(true, Ordering::Relaxed);
        }
        note(&error, reason);
    }
}

impl ProducerContext for Written {
    type DeliveryOpaque = ();

    /// What did not arrive fails the commit, which waits for all of it.
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Ok(message) = result else { return };
        let Some(topic) = self.connection.named(message.topic()) else {
            return;
        };
        let (partition, offset) = (message.partition(), message.offset());
        self.noted.attempts.delivered(topic, partition, offset);
        if topic == Topic::Rounds {
            self.noted.ends.lock().insert(partition, offset + 1);
        }
    }
}

/// Whether a broker was there until now. Tries to reach one that is away are errors, too, and go on
/// for as long as it is; the client tells the two apart in words alone.
fn is_loss(error: &KafkaError, reason: &str) -> bool {
    let all_are_lost = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
    all_are_lost || reason.contains("in state UP")
}

/// A member's place in the group that nobody ever took.
fn stranger(connection: &Connection) -> Result<Option<ConsumerGroupMetadata>, Error> {
    let consumer: BaseConsumer = connection
        .member(None)
        .create()
        .map_err(Error::kafka("make a consumer"))?;
    Ok(consumer.group_metadata())
}

/// A producer with this transactional id; what others with it left open is aborted.
fn producer(
    connection: &Connection,
    id: &str,
    timeout: Duration,
    stop: &AtomicBool,
    noted: &Noted,
) -> Result<BaseProducer<Written>, Error> {
    let doing = || Error::kafka(format!("take over transactional id `{id}`"));
    let config = connection.transactional(id, timeout);
    let written = Written {
        connection: connection.clone(),
        noted: noted.clone(),
    };
    let producer: BaseProducer<Written> = config.create_with_context(written).map_err(doing())?;
    match again(|| producer.init_transactions(LOOK), stop) {
        // Whoever is told to stop by then has begun nothing.
        Err(_) if stop.load(Ordering::Relaxed) => Err(Error::Stopped),
        taken => taken.map(|()| producer).map_err(doing()),
    }
}

/// Calls again what says it may be called again, with the same arguments, for a while.
fn again(
    mut call: impl FnMut() -> Result<(), KafkaError>,
    stop: &AtomicBool,
) -> Result<(), KafkaError> {
    let until = Instant::now() + PATIENCE * 2;
    loop {
        match call() {
            Err(KafkaError::Transaction(error))
                if error.is_retriable()
                    && !error.is_fatal()
                    && Instant::now() < until
                    && !stop.load(Ordering::Relaxed) => {}
            answer => return answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_stays_away_is_lost_once() {
        let error = KafkaError::Global;
        let transport = error(RDKafkaErrorCode::BrokerTransportFailure);
        let of = |reason| is_loss(&transport, reason);
        assert!(of(
            "127.0.0.1:9092/1: Disconnected: connection closed by peer: receive 0 after POLLIN \
             (after 5342ms in state UP)"
        ));
        assert!(!of(
            "127.0.0.1:9092/1: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after \
             0ms in state CONNECT, 30 identical error(s) suppressed)"
        ));
        let all = error(RDKafkaErrorCode::AllBrokersDown);
        assert!(is_loss(&all, "1/1 brokers are down"));
    }
}
