//! What an engine holds of a record: until it can be judged, or because it was refused.

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::Pins;
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use super::io::{Halt, Headers, Record};
use crate::wire;

/// A record kept until it can be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) topic: Topic,
    pub(super) offset: Offset,
    /// Append time.
    pub(super) timestamp: Timestamp,
    /// Stream time at its offset.
    pub(super) time: Timestamp,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) forwarded: bool,
    /// Its trace context.
    pub(super) traceparent: Option<Box<str>>,
}

impl Kept {
    pub(super) fn new(record: &Record<'_>, time: Timestamp) -> Self {
        Self {
            topic: record.topic,
            offset: record.offset,
            timestamp: record.timestamp,
            time,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            forwarded: record.headers.forwarded,
            traceparent: record.headers.traceparent.map(Box::from),
        }
    }

    /// What is left of a record that only passes time.
    pub(super) fn passing(self) -> Self {
        Self {
            key: None,
            value: None,
            forwarded: false,
            traceparent: None,
            ..self
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let (key, value) = (self.key.as_ref(), self.value.as_ref());
        let trace = self.traceparent.as_ref().map_or(0, |trace| trace.len());
        key.map_or(0, Vec::len) + value.map_or(0, Vec::len) + trace
    }

    pub(super) fn record(&self) -> Record<'_> {
        Record {
            topic: self.topic,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers {
                forwarded: self.forwarded,
                traceparent: self.traceparent.as_deref(),
                ..Headers::default()
            },
        }
    }
}

/// A refusal with its words and the table positions it was judged by.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) reject: Reject,
    pub(super) detail: String,
    pub(super) judged_by: Option<Pins>,
}

impl From<Reject> for Refusal {
    fn from(reject: Reject) -> Self {
        Self {
            reject,
            detail: reject.meaning().to_owned(),
            judged_by: None,
        }
    }
}

impl From<wire::Error> for Refusal {
    fn from(error: wire::Error) -> Self {
        Self {
            reject: error.reject(),
            detail: error.to_string(),
            judged_by: None,
        }
    }
}

/// What judging one record comes to: outputs, a refusal of the record, or a halt of the partition.
pub(super) type Judged = Result<Result<(), Refusal>, Halt>;
