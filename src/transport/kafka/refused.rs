//! Reads a partition's records again as they were read first, whatever the registry has learned
//! or forgotten since.
//!
//! A record by a schema that only the registry vouches for was either read or refused. The
//! partition's dead letters say which.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rdkafka::consumer::Consumer;
use rdkafka::topic_partition_list::{Offset as Place, TopicPartitionList};

use super::connection::PATIENCE;
use super::lookup::Lookup;
use super::{Connection, Error, Reader, Stored};
use crate::transport::Reading as _;
use crate::transport::unread::refused_for_schema;
use crate::wire::Codec;

/// How far leaders' clocks may be apart: a dead letter may seem that much older than its record.
const APART_MS: i64 = 60_000;

/// Offsets of a topic's partition that were refused for their schema.
type Offsets = BTreeSet<i64>;

/// What was refused for want of a schema, looked up where that is in doubt.
#[derive(Debug)]
pub(super) struct Refused {
    connection: Connection,
    codec: Arc<Codec>,
    lookup: Lookup,
    found: RefCell<BTreeMap<(Topic, i32), Offsets>>,
}

impl Refused {
    pub(super) fn of(connection: &Connection, codec: &Arc<Codec>, lookup: &Lookup) -> Self {
        Self {
            connection: connection.clone(),
            codec: Arc::clone(codec),
            lookup: lookup.clone(),
            found: RefCell::default(),
        }
    }

    /// A record below the committed position, as the engine took it: one that was refused for its
    /// schema did nothing but pass time, one that was read is readable. None while the registry is
    /// silent.
    ///
    /// # Errors
    /// [`Error::Halted`] if the registry has lost the schema.
    pub(super) fn as_it_was(&self, stored: Stored) -> Result<Option<Stored>, Error> {
        let Some(asked) = self.lookup.doubtful(&self.codec, &stored) else {
            return Ok(Some(stored));
        };
        if self.was_refused(&stored)? {
            let value = None;
            return Ok(Some(Stored { value, ..stored }));
        }
        let known = self.lookup.recall(&self.codec, stored.partition, asked)?;
        Ok(known.then_some(stored))
    }

    fn was_refused(&self, stored: &Stored) -> Result<bool, Error> {
        let place = (stored.topic, stored.partition);
        if !self.found.borrow().contains_key(&place) {
            // Records are read in order: none of this partition asked for later is older.
            let found = self.read(stored)?;
            self.found.borrow_mut().insert(place, found);
        }
        let found = self.found.borrow();
        let offsets = found.get(&place);
        Ok(offsets.is_some_and(|offsets| offsets.contains(&stored.offset)))
    }

    /// Which records of a topic's partition were refused for their schema, from one on.
    fn read(&self, first: &Stored) -> Result<Offsets, Error> {
        let reader = Reader::open(&self.connection)?;
        // Whoever had the partition may have been refusing behind a transaction that is still open.
        let (start, end) = reader.far_ends(Topic::DeadLetters, first.partition)?;
        let since = first.timestamp.unwrap_or_default().0 - APART_MS;
        let from = self.place_of(&reader, first.partition, Timestamp(since.max(0)))?;
        let from = from.map_or(end, |from| from.max(start));
        refused_for_schema(&reader, &self.codec, first, from, end)
    }

    /// The first dead letter appended at a time or later; none if there is none.
    fn place_of(
        &self,
        reader: &Reader,
        partition: i32,
        since: Timestamp,
    ) -> Result<Option<i64>, Error> {
        let name = self.connection.topic(Topic::DeadLetters);
        let doing = || Error::kafka(format!("look for a time in `{name}`"));
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&name, partition, Place::Offset(since.0))
            .map_err(doing())?;
        let found = reader.consumer().offsets_for_times(list, PATIENCE);
        let found = found.map_err(doing())?;
        let place = found.find_partition(&name, partition);
        Ok(place.and_then(|place| place.offset().to_raw().filter(|offset| *offset >= 0)))
    }
}
