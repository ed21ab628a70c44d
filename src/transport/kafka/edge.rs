//! Kafka from its edge: records appended outside transactions, and what is committed read.

use std::sync::Arc;

use super::{Appended, Appender, Connection, Error, Reader, Schemas, partitions};
use crate::transport::{Entry, Handle, Reading};
use crate::wire::Codec;

/// A cluster to whoever is no processor, with the schemas registered there.
#[derive(Debug)]
pub struct Edge {
    connection: Connection,
    codec: Arc<Codec>,
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
        let appender = Appender::open(&self.connection)?;
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
        appender.settle()
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Reader::open(&self.connection)?))
    }
}
