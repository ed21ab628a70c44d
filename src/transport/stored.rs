//! A record as it lay on a log, owned, and where reading starts.

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;

use crate::engine::{Headers, Record};

/// Where reading starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record still there.
    Beginning,
    /// After the last record there is.
    End,
    /// At an offset.
    At(i64),
}

/// A record as it lay on the log, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its append time; none if the topic does not stamp it.
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Option<Vec<u8>>,
    /// Its value.
    pub value: Option<Vec<u8>>,
    /// Whether a header says it is a control record.
    pub control: bool,
    /// Whether a header says it was forwarded.
    pub forwarded: bool,
    /// Its trace context.
    pub traceparent: Option<String>,
}

impl Stored {
    /// The record as an engine takes it; none without an append time.
    pub(super) fn record(&self) -> Option<Record<'_>> {
        self.timestamp.map(|timestamp| self.record_at(timestamp))
    }

    /// The record as an engine takes it, appended at a time.
    pub(super) fn record_at(&self, timestamp: Timestamp) -> Record<'_> {
        Record {
            topic: self.topic,
            offset: Offset(self.offset),
            timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers {
                control: self.control,
                forwarded: self.forwarded,
                traceparent: self.traceparent.as_deref(),
            },
        }
    }
}
