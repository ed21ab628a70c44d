//! A record to append, kept until then.

use quorate_core::topic::Topic;

use super::Entry;

/// A record to append, kept until then.
#[derive(Debug)]
pub(super) struct Owned {
    topic: Topic,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Owned {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        let header = |&(name, value): &(&str, &[u8])| (name.to_owned(), value.to_vec());
        Self {
            topic: entry.topic,
            partition: entry.partition,
            key: entry.key.map(<[u8]>::to_vec),
            value: entry.value.map(<[u8]>::to_vec),
            headers: entry.headers.iter().map(header).collect(),
        }
    }

    /// Its headers, as an entry has them.
    pub(super) fn headers(&self) -> Vec<(&str, &[u8])> {
        let headers = self.headers.iter();
        headers
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect()
    }

    /// The record, with its headers.
    pub(super) fn entry<'a>(&'a self, headers: &'a [(&'a str, &'a [u8])]) -> Entry<'a> {
        Entry {
            topic: self.topic,
            partition: self.partition,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers,
        }
    }
}
