//! The positions the processors' group has committed, with the metadata kept beside them: read to
//! be saved, and put back.
//!
//! Brokers take positions from somebody who is no member only while the group has none, so nothing
//! is put under the feet of a processor at work.

use std::collections::BTreeMap;

use quorate_core::topic::Topic;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};

use super::connection::PATIENCE;
use super::{Connection, Error, Reader, partitions};
use crate::transport::{INPUTS, positions};

/// A position as the group has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The offset to read next.
    pub offset: i64,
    /// What is kept beside it.
    pub metadata: String,
}

impl Kept {
    /// Whether a processor can go on from it.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        positions::read(self.offset, &self.metadata).is_some()
    }
}

/// Positions by topic and partition.
pub type Places = BTreeMap<(Topic, i32), Kept>;

/// The group of a cluster's processors.
#[derive(Debug)]
pub struct Positions {
    connection: Connection,
    partitions: i32,
    reader: Reader,
}

impl Positions {
    /// The group of the processors under a connection's prefix.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the topics are not as they must be; [`Error::Log`].
    pub fn of(connection: &Connection) -> Result<Self, Error> {
        Ok(Self {
            partitions: partitions(connection)?,
            reader: Reader::of_group(connection, &connection.group())?,
            connection: connection.clone(),
        })
    }

    /// The group's name.
    #[must_use]
    pub fn group(&self) -> String {
        self.connection.group()
    }

    /// How many partitions there are.
    #[must_use]
    pub const fn partitions(&self) -> i32 {
        self.partitions
    }

    /// How many members the group has.
    ///
    /// # Errors
    /// [`Error::Log`] if no broker answers.
    pub fn members(&self) -> Result<usize, Error> {
        let group = self.group();
        let consumer = self.reader.consumer();
        let answer = consumer.fetch_group_list(Some(&group), PATIENCE);
        let answer = answer.map_err(Error::kafka(format!("ask who is in group `{group}`")))?;
        let found = answer.groups().iter().filter(|of| of.name() == group);
        Ok(found.map(|of| of.members().len()).sum())
    }

    /// What is committed. It waits while a transaction holds some of it.
    ///
    /// # Errors
    /// [`Error::Log`] if no broker answers.
    pub fn committed(&self) -> Result<Places, Error> {
        let mut list = TopicPartitionList::new();
        for topic in INPUTS {
            for partition in 0..self.partitions {
                list.add_partition(self.connection.name(topic), partition);
            }
        }
        let answer = self.reader.consumer().committed_offsets(list, PATIENCE * 2);
        let answer = answer.map_err(Error::kafka("ask for committed positions"))?;
        let mut places = Places::new();
        for found in answer.elements() {
            let doing = Error::kafka("read committed positions");
            found.error().map_err(doing)?;
            let topic = self.connection.named(found.topic());
            let offset = found.offset().to_raw().filter(|offset| *offset >= 0);
            if let (Some(topic), Some(offset)) = (topic, offset) {
                let metadata = found.metadata().to_owned();
                places.insert((topic, found.partition()), Kept { offset, metadata });
            }
        }
        Ok(places)
    }

    /// The offset after the last committed record of a topic's partition.
    ///
    /// # Errors
    /// [`Error::Log`] if no broker answers.
    pub fn end(&self, topic: Topic, partition: i32) -> Result<i64, Error> {
        Ok(self.reader.ends(topic, partition)?.1)
    }

    /// Commits these positions for the group, and looks whether it has them.
    ///
    /// # Errors
    /// [`Error::Log`] if the group does not take them, as while it has members.
    pub fn commit(&self, places: &Places) -> Result<(), Error> {
        let doing = || Error::kafka(format!("commit positions of group `{}`", self.group()));
        let mut list = TopicPartitionList::new();
        for (&(topic, partition), kept) in places {
            let mut place = list.add_partition(self.connection.name(topic), partition);
            let set = place.set_offset(Place::Offset(kept.offset));
            set.map_err(doing())?;
            place.set_metadata(&kept.metadata);
        }
        let committed = self.reader.consumer().commit(&list, CommitMode::Sync);
        committed.map_err(doing())?;
        // The client calls it a success if some were taken.
        let now = self.committed()?;
        let lost = places.iter().find(|(at, kept)| now.get(at) != Some(kept));
        if let Some(((topic, partition), _)) = lost {
            return Err(Error::Unfit(format!(
                "group `{}` did not take the offset of {topic}/{partition}; repeat the command",
                self.group()
            )));
        }
        Ok(())
    }
}
