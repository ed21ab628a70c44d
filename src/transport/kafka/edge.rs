//! Kafka from its edge: records appended outside transactions, and what is committed read.

use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::topic::Topic;
use rdkafka::consumer::Consumer as _;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connection::PATIENCE;
use super::{Appended, Appender, Connection, Error, Reader, Schemas, partitions};
use crate::transport::{Entry, Handle, Reading};
use crate::wire::Codec;

/// Most producers kept for the next record; more are made while more are needed at once.
const IDLE_MAX: usize = 8;

/// A cluster to whoever is no processor, with the schemas registered there.
#[derive(Debug)]
pub struct Edge {
    connection: Connection,
    codec: Arc<Codec>,
    /// Producers that wait for something to append: to make one takes half a second.
    idle: Mutex<Vec<Appender>>,
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
            idle: Mutex::default(),
            asks: Mutex::default(),
        })
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
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = idle().pop();
        let appender = match waiting {
            Some(appender) => appender,
            None => Appender::open(&self.connection)?,
        };
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
        // One that failed may still hold records, or what became of them: it is not used again.
        let appended = appender.settle()?;
        let mut idle = idle();
        if idle.len() < IDLE_MAX {
            idle.push(appender);
        }
        Ok(appended)
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Reader::open(&self.connection)?))
    }

    /// It waits while a transaction holds the position.
    fn committed(&self, topic: Topic, partition: i32) -> Result<Option<i64>, Error> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *asks {
            Some(reader) => reader,
            none => none.insert(Reader::of_group(
                &self.connection,
                &self.connection.group(),
            )?),
        };
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
}
