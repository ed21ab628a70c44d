//! What a processor reads of a cluster beside its share: committed positions, rounds, tables.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use quorate_core::records::Pins;
use quorate_core::topic::Topic;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connection::PATIENCE;
use super::refused::Refused;
use super::{Connection, Error, Reader};
use crate::transport::{Committed, INPUTS, Reading, Source, Start, Stored, positions};

/// A reader with the group's positions at hand, and what was refused.
pub(super) struct Side {
    pub(super) connection: Connection,
    pub(super) reader: Reader,
    pub(super) refused: Refused,
}

impl Reading for Side {
    fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        self.reader.ends(topic, partition)
    }

    fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        self.reader.far_ends(topic, partition)
    }

    fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        Reading::read_to(&self.reader, topic, partition, from, end, each)
    }

    fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        self.reader.go_to(places)
    }

    fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error> {
        self.reader.next(timeout)
    }

    fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.reader.position(topic, partition)
    }
}

impl Source for Side {
    fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<Committed>>, Error> {
        committed(&self.connection, &self.reader, partitions)
    }

    fn as_it_was(&self, stored: Stored) -> Result<Option<Stored>, Error> {
        self.refused.as_it_was(stored)
    }
}

/// What the processors' group has committed of partitions, by a reader of that group.
pub(super) fn committed(
    connection: &Connection,
    reader: &Reader,
    partitions: &[i32],
) -> Result<BTreeMap<i32, Option<Committed>>, Error> {
    let mut list = TopicPartitionList::new();
    for &partition in partitions {
        for topic in INPUTS {
            list.add_partition(&connection.topic(topic), partition);
        }
    }
    // Stable offsets only: it waits while a predecessor's transaction holds some.
    let answer = reader.consumer().committed_offsets(list, PATIENCE * 2);
    let answer = answer.map_err(Error::kafka("ask for committed positions"))?;
    let of = |&partition: &i32| Ok((partition, said_of(connection, &answer, partition)?));
    partitions.iter().map(of).collect()
}

/// What the answer says of a partition.
fn said_of(
    connection: &Connection,
    answer: &TopicPartitionList,
    partition: i32,
) -> Result<Option<Committed>, Error> {
    let mut committed = Committed {
        positions: BTreeMap::new(),
        pins: Pins::NONE,
    };
    for topic in INPUTS {
        let found = answer.find_partition(&connection.topic(topic), partition);
        let Some(found) = found else { continue };
        found
            .error()
            .map_err(Error::kafka("read committed positions"))?;
        let Some(next) = found.offset().to_raw().filter(|next| *next >= 0) else {
            continue;
        };
        let (position, pins) = positions::read(next, found.metadata()).ok_or_else(|| {
            let why = "its committed offset is not of our making; if somebody reset \
                       the group's offsets, restore them by `quorate offsets restore`";
            Error::halted(partition, format!("{topic}: {why}"))
        })?;
        committed.positions.insert(topic, position);
        committed.pins = committed.pins.max(pins);
    }
    Ok((!committed.positions.is_empty()).then_some(committed))
}
