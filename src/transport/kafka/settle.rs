//! Ends what a transaction left behind whose end did not reach everything it had touched.
//!
//! A coordinator that comes back after all brokers of a partition were gone, with a transaction it
//! had begun to end, may take partitions without a leader for deleted ones and call the transaction
//! ended: brokers 4.3.1, and others (KAFKA-20734). Records then stay open for good, or until the
//! next end of a transaction of the same producer takes them along: positions that were to be
//! committed with outputs would be lost, and the outputs come twice.
//!
//! What the last transactions of the id touched is looked at, partition by partition. One of which
//! anything is visible was committed, so the rest of it is committed; one of which nothing is, and
//! whose positions are not, is aborted where it is open still.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use quorate_core::fault::{self, Fault};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use rdkafka::util::Timeout;

use super::append::{drain, record, send};
use super::attempts::Attempt;
use super::connection::PATIENCE;
use super::read::Quiet;
use super::transaction::Written;
use super::{Connection, Error, Gauge, Reader, partitions};
use crate::transport::Reading;
use crate::wire;

/// What became of a transaction in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Its records can be read.
    Committed,
    /// They cannot, though what is committed goes beyond them.
    Aborted,
    /// They are open still.
    Open,
    /// There is nothing of it.
    Nothing,
}

/// Whether a transaction was committed, by what is seen of it and by whether the positions put into
/// it are reached; none if nobody ever asked for its commit.
///
/// Of one that is open everywhere nothing was seen by anybody, so that it may as well be aborted.
fn was_committed(seen: &[Seen], reached: Option<bool>) -> bool {
    let Some(reached) = reached else {
        return false;
    };
    if seen.contains(&Seen::Committed) {
        return true;
    }
    reached && !seen.contains(&Seen::Aborted)
}

/// What is to be done about what was left.
#[derive(Debug, Default)]
struct Rest {
    /// Positions of a transaction that was committed, which the group does not have.
    positions: Option<TopicPartitionList>,
    /// Where records of committed transactions are open.
    commit: BTreeSet<(Topic, i32)>,
    /// Where records of others are.
    abort: BTreeSet<(Topic, i32)>,
}

impl Rest {
    /// Whether there is anything to be done.
    fn is_some(&self) -> bool {
        self.positions.is_some() || !self.commit.is_empty() || !self.abort.is_empty()
    }
}

/// Looks at partitions and positions from outside.
struct Look {
    gauge: Gauge,
    reader: Reader,
    group: BaseConsumer<Quiet>,
}

impl Look {
    fn open(connection: &Connection) -> Result<Self, Error> {
        let mut config = connection.reader(&connection.group());
        // Positions as they are, whatever is pending.
        config.set("isolation.level", "read_uncommitted");
        let group = config.create_with_context(Quiet);
        Ok(Self {
            gauge: Gauge::open(connection)?,
            reader: Reader::open(connection)?,
            group: group.map_err(Error::kafka("make a consumer"))?,
        })
    }

    fn rest(&self, attempts: &[Attempt]) -> Result<Rest, Error> {
        let mut rest = Rest::default();
        for attempt in attempts {
            let mut places = Vec::new();
            for (&(topic, partition), &last) in &attempt.written {
                places.push(((topic, partition), self.seen(topic, partition, last)?));
            }
            let positions = attempt.positions.as_ref();
            let reached = positions.map(|list| self.is_reached(list)).transpose()?;
            let seen: Vec<_> = places.iter().map(|(_, seen)| *seen).collect();
            let committed = was_committed(&seen, reached);
            tracing::debug!(?places, ?reached, committed, "what a transaction left");
            if committed && reached == Some(false) {
                rest.positions = positions.cloned();
            }
            let open = places.iter().filter(|(_, seen)| *seen == Seen::Open);
            let open = open.map(|(place, _)| *place);
            if committed {
                rest.commit.extend(open);
            } else {
                rest.abort.extend(open);
            }
        }
        // One end takes all along that a producer has open in a partition.
        rest.abort.retain(|place| !rest.commit.contains(place));
        Ok(rest)
    }

    fn seen(&self, topic: Topic, partition: i32, last: Option<i64>) -> Result<Seen, Error> {
        let ends = self.gauge.ends(topic, partition)?;
        let Some(last) = last.filter(|last| *last < ends.stable) else {
            return Ok(if ends.is_held() {
                Seen::Open
            } else {
                Seen::Nothing
            });
        };
        let mut found = false;
        let mut each = |_| {
            found = true;
            Ok(ControlFlow::Break(()))
        };
        Reading::read_to(&self.reader, topic, partition, last, last + 1, &mut each)?;
        Ok(if found {
            Seen::Committed
        } else {
            Seen::Aborted
        })
    }

    /// Whether the group's positions are these, or beyond.
    fn is_reached(&self, positions: &TopicPartitionList) -> Result<bool, Error> {
        let mut list = TopicPartitionList::new();
        for wanted in positions.elements() {
            list.add_partition(wanted.topic(), wanted.partition());
        }
        let found = self.group.committed_offsets(list, PATIENCE * 2);
        let found = found.map_err(Error::kafka("ask for committed positions"))?;
        Ok(positions.elements().iter().all(|wanted| {
            let found = found.find_partition(wanted.topic(), wanted.partition());
            let found = found.and_then(|found| found.offset().to_raw());
            found >= wanted.offset().to_raw()
        }))
    }
}

/// Whether all that these transactions touched has been ended.
pub(super) fn is_settled(connection: &Connection, attempts: &[Attempt]) -> Result<bool, Error> {
    Ok(!Look::open(connection)?.rest(attempts)?.is_some())
}

/// Ends what is left of the last transactions of an id, by a producer that has just taken it over.
///
/// The positions a transaction left pending in the group are given up in any case, since whoever
/// asks for stable positions waits for their end.
///
/// # Errors
/// [`Error`] if it did not come to that; what was done is then done again by the next one.
pub(super) fn settle(
    connection: &Connection,
    producer: &BaseProducer<Written>,
    member: &ConsumerGroupMetadata,
    attempts: &[Attempt],
    timeout: Duration,
) -> Result<(), Error> {
    let rest = if attempts.is_empty() || fault::is_on(Fault::TornLeft) {
        Rest::default()
    } else {
        Look::open(connection)?.rest(attempts)?
    };
    let Rest {
        positions,
        commit,
        abort,
    } = rest;
    let doing = || Error::kafka("end what a transaction left behind");
    if positions.is_some() || commit.iter().any(|(topic, _)| is_restored(*topic)) {
        producer.begin_transaction().map_err(doing())?;
        for &(topic, partition) in &commit {
            // What never was is forgotten. Elsewhere nothing can be written that nobody would read;
            // what is open there ends with the next record.
            if is_restored(topic) {
                let id = nobodys(partition, partitions(connection)?);
                let forgotten = record(connection.name(topic), partition, Some(&id), None, &[]);
                send(producer, forgotten).map_err(doing())?;
            }
        }
        if !drain(producer, timeout) {
            let doing = "end what a transaction left behind";
            return Err(Error::TimedOut(doing.to_owned()));
        }
        if let Some(positions) = positions {
            let put = producer.send_offsets_to_transaction(&positions, member, timeout);
            put.map_err(doing())?;
        }
        producer
            .commit_transaction(Timeout::Never)
            .map_err(doing())?;
        tracing::warn!(?commit, "committed the rest of a transaction");
    }
    give_up(connection, producer, member, &abort, timeout)?;
    if !abort.is_empty() {
        tracing::warn!(?abort, "aborted the rest of a transaction");
    }
    Ok(())
}

/// Whether it is read to its end before an engine begins: none would, so that nobody would ever
/// write the record that ends what is open there.
const fn is_restored(topic: Topic) -> bool {
    matches!(topic, Topic::Rounds | Topic::Trust)
}

/// Aborts what is open in these partitions, and pending in the group.
///
/// ORDER: the positions first. Aborted without them, the records would be lost, since the next
/// commit takes pending positions along.
fn give_up(
    connection: &Connection,
    producer: &BaseProducer<Written>,
    member: &ConsumerGroupMetadata,
    places: &BTreeSet<(Topic, i32)>,
    timeout: Duration,
) -> Result<(), Error> {
    let doing = || Error::kafka("give up what a transaction left behind");
    producer.begin_transaction().map_err(doing())?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(connection.name(Topic::Responses), 0, Place::Offset(0))
        .map_err(doing())?;
    let put = producer.send_offsets_to_transaction(&list, member, timeout);
    let noted = &producer.context().attempts;
    noted.begin();
    if put.is_ok() {
        for &(topic, partition) in places {
            noted.touch(topic, partition);
            let name = connection.name(topic);
            // Nobody will see it; a compacted topic takes none without a key.
            let nothing = record(name, partition, Some(b"nothing"), None, &[]);
            send(producer, nothing).map_err(doing())?;
        }
        drain(producer, timeout);
    }
    // ORDER: aborted whatever became of it; never committed.
    producer.abort_transaction(timeout).map_err(doing())?;
    let attempt = noted.kept().pop().unwrap_or_default();
    match put {
        Err(error) if places.is_empty() => {
            tracing::debug!(%error, "the group takes no positions from a stranger");
        }
        put => put.map_err(doing())?,
    }
    // Where the record did not come, nothing was ended.
    if attempt.written.values().any(Option::is_none) {
        let doing = "give up what a transaction left behind";
        return Err(Error::TimedOut(doing.to_owned()));
    }
    Ok(())
}

/// A key that never was, which belongs on a partition.
fn nobodys(partition: i32, of: i32) -> Vec<u8> {
    loop {
        let key = uuid::Uuid::now_v7().to_string().into_bytes();
        if wire::partition_of(&key, of) == partition {
            return key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_was_committed_if_anything_of_it_is_visible() {
        use Seen::{Aborted, Committed, Nothing, Open};
        for reached in [false, true] {
            let reached = Some(reached);
            assert!(was_committed(&[Open, Committed, Nothing], reached));
            assert!(!was_committed(&[Open, Aborted, Nothing], reached));
        }
        assert!(was_committed(&[Open, Open], Some(true)), "by its positions");
        assert!(!was_committed(&[Open, Open], Some(false)), "nobody saw any");
        assert!(was_committed(&[], Some(true)));
        assert!(!was_committed(&[Open], None), "nobody asked");
        assert!(!was_committed(&[], Some(false)));
    }

    #[test]
    fn a_key_of_no_round_belongs_where_it_is_wanted() {
        for partition in 0..7 {
            let key = nobodys(partition, 7);
            assert_eq!(wire::partition_of(&key, 7), partition);
        }
    }
}
