//! Records on their way from an engine to the thread that writes them, their bytes in one piece.

use std::ops::Range;

use quorate_core::topic::Topic;

use crate::transport::Entry;

/// How many bytes there is room for; a record that is longer has a batch of its own.
const ROOM: usize = 256 * 1024;

/// Records to append, in order.
#[derive(Debug)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    records: Vec<Lying>,
}

/// A record, and where its bytes lie.
#[derive(Debug)]
struct Lying {
    topic: Topic,
    partition: i32,
    key: Option<Range<usize>>,
    value: Option<Range<usize>>,
    headers: Vec<(String, Range<usize>)>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: Vec::with_capacity(ROOM),
            records: Vec::new(),
        }
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether a record may be put here, too.
    pub(super) fn has_room_for(&self, entry: &Entry<'_>) -> bool {
        let headers = entry.headers.iter().map(|(_, value)| *value);
        let pieces = entry.key.into_iter().chain(entry.value).chain(headers);
        let bytes: usize = pieces.map(<[u8]>::len).sum();
        self.is_empty() || self.bytes.len() + bytes <= ROOM
    }

    /// Forgets the records; their room is kept.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(ROOM);
        self.records.clear();
    }

    /// Takes a copy of a record.
    pub(super) fn put(&mut self, entry: &Entry<'_>) {
        let key = entry.key.map(|key| self.lay(key));
        let value = entry.value.map(|value| self.lay(value));
        let headers = entry.headers.iter();
        let headers = headers.map(|(name, value)| ((*name).to_owned(), self.lay(value)));
        let headers = headers.collect();
        self.records.push(Lying {
            topic: entry.topic,
            partition: entry.partition,
            key,
            value,
            headers,
        });
    }

    fn lay(&mut self, bytes: &[u8]) -> Range<usize> {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        begin..self.bytes.len()
    }

    /// Every record, in order, until one fails.
    pub(super) fn each<E>(
        &self,
        mut take: impl FnMut(&Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // INVARIANT: every range was laid by `lay`, and nothing is taken away but all of it.
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.records.iter().try_for_each(|record| {
            let headers = record.headers.iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (name.as_str(), at(value)))
                .collect();
            take(&Entry {
                topic: record.topic,
                partition: record.partition,
                key: record.key.as_ref().map(at),
                value: record.value.as_ref().map(at),
                headers: &headers,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_full_before_it_would_have_to_grow() {
        let mut batch = Batch::default();
        let entry = |value| Entry {
            topic: Topic::Outcomes,
            partition: 0,
            key: Some(b"key"),
            value: Some(value),
            headers: &[("one", b"1")],
        };
        let fits = vec![0; ROOM - 4];
        assert!(batch.has_room_for(&entry(&fits)));
        batch.put(&entry(&fits[1..]));
        assert!(!batch.has_room_for(&entry(b"")));
        assert_eq!(batch.bytes.capacity(), ROOM);
        batch.clear();
        let longer = vec![0; ROOM * 2];
        assert!(batch.has_room_for(&entry(&longer)), "alone");
        batch.put(&entry(&longer));
        batch.clear();
        assert!(batch.bytes.capacity() < ROOM * 2);
    }

    #[test]
    fn records_come_back_as_they_were_put() {
        let mut batch = Batch::default();
        let entry = |partition| Entry {
            topic: Topic::Outcomes,
            partition,
            key: Some(b"key"),
            value: Some(b"value"),
            headers: &[("one", b"1"), ("two", b"")],
        };
        let tombstone = Entry {
            value: None,
            headers: &[],
            ..entry(3)
        };
        let entries = [entry(0), entry(1), tombstone];
        for _ in 0..2 {
            assert!(batch.is_empty());
            entries.iter().for_each(|entry| batch.put(entry));
            let mut left = entries.iter();
            let taken: Result<(), ()> = batch.each(|entry| {
                let put = left.next().unwrap();
                assert_eq!(format!("{entry:?}"), format!("{put:?}"));
                Ok(())
            });
            assert_eq!((taken, left.next().is_none()), (Ok(()), true));
            batch.clear();
        }
        batch.put(&tombstone);
        assert_eq!(batch.each(|_| Err(7)), Err(7));
    }
}
