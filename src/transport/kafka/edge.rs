//! Kafka from its edge: records appended outside transactions, and what is committed read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::topic::Topic;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connection::PATIENCE;
use super::shared::Sharing;
use super::source::committed;
use super::topics::present;
use super::{Appended, Appender, Connection, Error, Reader, Schemas, partitions};
use crate::transport::together::Together;
use crate::transport::{Committed, Entry, Handle, Reading, Shared};
use crate::wire::{Codec, Kind};

/// Producers, among which partitions are shared out: a leader that does not answer keeps no more
/// than these waiting.
const PRODUCERS: usize = 4;

/// A cluster to whoever is no processor, with the schemas registered there.
#[derive(Debug)]
pub struct Edge {
    connection: Connection,
    codec: Arc<Codec>,
    /// Kept once they are made, which takes half a second.
    producers: [Together<Appender>; PRODUCERS],
    /// What the processors' group is asked by, once somebody wants to know.
    asks: Mutex<Option<Reader>>,
}

impl Edge {
    /// Reads which schemas are registered.
    ///
    /// # Errors
    /// [`Error::Unfit`] if a kind's built-in schema was never registered; [`Error::Log`].
    pub fn open(connection: &Connection) -> Result<Self, Error> {
        let schemas = Schemas::load(connection)?;
        Ok(Self {
            connection: connection.clone(),
            codec: Arc::clone(schemas.codec()),
            producers: Default::default(),
            asks: Mutex::default(),
        })
    }
}

impl Edge {
    /// Somebody who can be asked for the group's positions.
    fn asker<'a>(&self, asks: &'a mut Option<Reader>) -> Result<&'a Reader, Error> {
        let open = || Reader::of_group(&self.connection, &self.connection.group());
        Ok(match asks {
            Some(reader) => reader,
            none => none.insert(open()?),
        })
    }

    /// Where each of these came to lie, in their order: those of a partition lie in the order in
    /// which one producer was given them.
    fn in_order(&self, entries: &[Entry<'_>], appended: Vec<Appended>) -> Vec<Appended> {
        let mut places: BTreeMap<(String, i32), BTreeMap<i64, Appended>> = BTreeMap::new();
        for place in appended {
            let of = (place.topic.clone(), place.partition);
            places.entry(of).or_default().insert(place.offset, place);
        }
        let next = |entry: &Entry<'_>| {
            let of = (self.connection.topic(entry.topic), entry.partition);
            Some(places.get_mut(&of)?.pop_first()?.1)
        };
        entries.iter().filter_map(next).collect()
    }
}

impl Handle for Edge {
    fn partitions(&self) -> Result<i32, Error> {
        partitions(&self.connection)
    }

    fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    fn append(&self, entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error> {
        let partition = entries.first().map_or(0, |entry| entry.partition);
        let at = usize::try_from(partition).unwrap_or_default() % PRODUCERS;
        let Some(producer) = self.producers.get(at) else {
            return Ok(Vec::new());
        };
        let append = |appender: &mut Appender, entries: &[Entry<'_>]| {
            for entry in entries {
                let Entry {
                    topic,
                    partition,
                    key,
                    value,
                    headers,
                } = *entry;
                appender.append(topic, partition, key, value, headers)?;
            }
            Ok(self.in_order(entries, appender.settle()?))
        };
        // One that failed may still hold records, or what became of them: it is not used again.
        producer.append(entries, || Appender::open(&self.connection), append)
    }

    fn lacks(&self, topic: Topic) -> Result<Option<String>, Error> {
        let name = self.connection.topic(topic);
        let there = present(&self.connection.admin()?)?;
        if !there.contains_key(&name) {
            let mend = "run `quorate topics apply`";
            return Ok(Some(format!("topic `{name}` is not there; {mend}")));
        }
        let kind = Kind::of(topic);
        let mend = "run `quorate schemas register`, and start this anew";
        let what = || {
            let subject = kind.subject(self.connection.prefix());
            format!("the schema of `{subject}` is not registered; {mend}")
        };
        Ok((!self.codec.writes(kind)).then(what))
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Reader::open(&self.connection)?))
    }

    fn share(&self, name: &str, topic: Topic) -> Result<Box<dyn Shared>, Error> {
        Ok(Box::new(Sharing::join(&self.connection, name, topic)?))
    }

    /// It waits while a transaction holds the position.
    fn committed(&self, topic: Topic, partition: i32) -> Result<Option<i64>, Error> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = self.asker(&mut asks)?;
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.connection.topic(topic), partition);
        let answer = reader.consumer().committed_offsets(list, PATIENCE);
        let answer = answer.map_err(Error::kafka("ask for committed positions"))?;
        let elements = answer.elements();
        let Some(found) = elements.first() else {
            return Ok(None);
        };
        found
            .error()
            .map_err(Error::kafka("read committed positions"))?;
        Ok(found.offset().to_raw().filter(|next| *next >= 0))
    }

    /// It waits while a transaction holds one of them.
    fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error> {
        let count = self.partitions()?;
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = self.asker(&mut asks)?;
        let mut known = BTreeMap::new();
        // One by one: there may be no moment at which no partition of any is held.
        for partition in 0..count {
            let found = committed(&self.connection, reader, &[partition])?;
            let found = found.into_iter();
            known.extend(found.filter_map(|(partition, found)| Some((partition, found?))));
        }
        Ok(known)
    }
}
