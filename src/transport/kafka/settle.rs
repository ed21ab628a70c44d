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
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::fault::{self, Fault};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::producer::{BaseProducer, Producer as _};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};
use rdkafka::util::Timeout;

use super::append::{drain, record, send};
use super::attempts::{Attempt, Attempts};
use super::connection::PATIENCE;
use super::read::Quiet;
use super::transaction::Written;
use super::{Connection, Error, Gauge, Reader, partitions};
use crate::engine::TICK;
use crate::transport::Reading;
use crate::wire;

const ENDING: &str = "end what a transaction left behind";
const GIVING_UP: &str = "give up what a transaction left behind";

/// How often to look whether an end has come.
const LOOK: Duration = Duration::from_millis(20);

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
    /// Whether one came to nothing whose success was told.
    undone: bool,
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
            rest.undone |= attempt.done.is_some() && !committed;
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

/// What is left of transactions whose success was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing: they have ended everywhere.
    Nothing,
    /// They are committed, and some of it is open still: the end of the next transaction takes it
    /// along, in the partitions that one touches.
    Committed,
    /// Something that was not committed.
    Undone,
}

/// What is left of these transactions.
pub(super) fn left(connection: &Connection, attempts: &[Attempt]) -> Result<Left, Error> {
    let rest = Look::open(connection)?.rest(attempts)?;
    Ok(if rest.undone || !rest.abort.is_empty() {
        Left::Undone
    } else if rest.positions.is_some() || !rest.commit.is_empty() {
        Left::Committed
    } else {
        Left::Nothing
    })
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
    let end = End {
        connection,
        producer,
        member,
        timeout,
    };
    end.commit(&rest)?;
    end.give_up(&rest.abort)?;
    if !rest.abort.is_empty() {
        tracing::warn!(abort = ?rest.abort, "aborted the rest of a transaction");
    }
    Ok(())
}

/// Ends what others left by the end of a transaction of its own, which takes along whatever the
/// same producer has open in the partitions it has written to.
struct End<'a> {
    connection: &'a Connection,
    producer: &'a BaseProducer<Written>,
    member: &'a ConsumerGroupMetadata,
    timeout: Duration,
}

impl End<'_> {
    /// Commits what is open of transactions that were committed, and their positions.
    fn commit(&self, rest: &Rest) -> Result<(), Error> {
        if rest.positions.is_none() && rest.commit.is_empty() {
            return Ok(());
        }
        let doing = || Error::kafka(ENDING);
        self.producer.begin_transaction().map_err(doing())?;
        self.noted().begin();
        self.write(&rest.commit, ENDING)?;
        if !drain(self.producer, self.timeout) {
            return Err(too_long());
        }
        if let Some(positions) = &rest.positions {
            let put =
                self.producer
                    .send_offsets_to_transaction(positions, self.member, self.timeout);
            put.map_err(doing())?;
        }
        let committed = self.producer.commit_transaction(Timeout::Never);
        committed.map_err(doing())?;
        self.await_end()?;
        tracing::warn!(commit = ?rest.commit, "committed the rest of a transaction");
        Ok(())
    }

    /// Aborts what is open in these partitions, and pending in the group.
    ///
    /// ORDER: the positions first. Aborted without them, the records would be lost, since the next
    /// commit takes pending positions along.
    fn give_up(&self, places: &BTreeSet<(Topic, i32)>) -> Result<(), Error> {
        let doing = || Error::kafka(GIVING_UP);
        self.producer.begin_transaction().map_err(doing())?;
        let mut list = TopicPartitionList::new();
        let responses = self.connection.name(Topic::Responses);
        list.add_partition_offset(responses, 0, Place::Offset(0))
            .map_err(doing())?;
        let put = self
            .producer
            .send_offsets_to_transaction(&list, self.member, self.timeout);
        self.noted().begin();
        if put.is_ok() {
            self.write(places, GIVING_UP)?;
            drain(self.producer, self.timeout);
        }
        // ORDER: aborted whatever became of it; never committed.
        let aborted = self.producer.abort_transaction(self.timeout);
        aborted.map_err(doing())?;
        match put {
            Err(error) if places.is_empty() => {
                tracing::debug!(%error, "the group takes no positions from a stranger");
            }
            put => put.map_err(doing())?,
        }
        self.await_end()
    }

    /// Writes to every one of these partitions what says nothing.
    fn write(&self, places: &BTreeSet<(Topic, i32)>, doing: &str) -> Result<(), Error> {
        for &(topic, partition) in places {
            // A compacted topic takes none without a key. What never was is forgotten.
            let nobody = match topic {
                Topic::Rounds => Some(nobodys(partition, partitions(self.connection)?)),
                Topic::Trust => Some(nobodys(partition, 1)),
                _ => None,
            };
            let headers: &[_] = if nobody.is_none() { &[TICK] } else { &[] };
            let name = self.connection.name(topic);
            let empty = record(name, partition, nobody.as_deref(), None, headers);
            self.noted().touch(topic, partition);
            send(self.producer, empty).map_err(Error::kafka(doing))?;
        }
        Ok(())
    }

    /// Waits until the end of this transaction has come everywhere. Its success is told before; if
    /// a broker is lost meanwhile, it may be forgotten like that of those it ends.
    fn await_end(&self) -> Result<(), Error> {
        let written = self.noted().kept().pop().unwrap_or_default().written;
        if written.is_empty() || fault::is_on(Fault::EndsTrusted) {
            return Ok(());
        }
        let gauge = Gauge::open(self.connection)?;
        let until = Instant::now() + self.timeout;
        for (&(topic, partition), last) in &written {
            // Where the record did not come, nothing was ended.
            let last = last.ok_or_else(too_long)?;
            while gauge.ends(topic, partition)?.stable <= last {
                if Instant::now() >= until {
                    return Err(too_long());
                }
                thread::sleep(LOOK);
            }
        }
        Ok(())
    }

    fn noted(&self) -> &Attempts {
        &self.producer.context().noted.attempts
    }
}

fn too_long() -> Error {
    Error::TimedOut(ENDING.to_owned())
}

/// A key that never was, which belongs on a partition. Nor will it be: proposals have ids of
/// version 7, and this is one of version 8.
fn nobodys(partition: i32, of: i32) -> Vec<u8> {
    loop {
        let bytes = uuid::Uuid::now_v7().into_bytes();
        let id = uuid::Builder::from_custom_bytes(bytes).into_uuid();
        let key = id.to_string().into_bytes();
        if wire::partition_of(&key, of) == partition {
            return key;
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::ProposalId;

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
            let id: ProposalId = str::from_utf8(&key).unwrap().parse().unwrap();
            assert_eq!(id.v7_time(), None, "no proposal has it");
        }
    }
}
