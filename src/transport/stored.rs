//! A record as it lay on a log, owned, and where reading starts.

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use crate::engine::{CONTROL_HEADER, Headers, ORIGIN_HEADER, Record};
use crate::wire::{Codec, Kind, check_traceparent};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Every header, as it lies, in their order.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

impl Stored {
    /// A record as its headers say what it is.
    pub(crate) fn with_headers(self, headers: Vec<Header>) -> Self {
        let named = |name: &str| headers.iter().rfind(|header| header.key == name);
        let trace = named("traceparent").and_then(|header| header.value.as_deref());
        let trace = trace.and_then(|value| str::from_utf8(value).ok());
        let sound = trace.filter(|text| check_traceparent(text).is_ok());
        Self {
            control: named(CONTROL_HEADER).is_some(),
            forwarded: named(ORIGIN_HEADER).is_some(),
            traceparent: sound.map(str::to_owned),
            headers,
            ..self
        }
    }
}

impl Stored {
    /// What it is to be read as.
    pub(super) fn kind(&self) -> Kind {
        if self.control {
            Kind::Control
        } else {
            Kind::of(self.topic)
        }
    }

    /// Whether it names, by its fingerprint, a schema that is not of ours.
    pub(super) fn is_foreign(&self) -> bool {
        let value = self.value.as_deref();
        value.is_some_and(|value| Codec::is_foreign(self.kind(), value))
    }

    /// The record as an engine takes it; none without an append time.
    pub(crate) fn record(&self) -> Option<Record<'_>> {
        self.timestamp.map(|timestamp| self.record_at(timestamp))
    }

    /// The record as an engine takes it, appended at a time.
    pub(crate) fn record_at(&self, timestamp: Timestamp) -> Record<'_> {
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
