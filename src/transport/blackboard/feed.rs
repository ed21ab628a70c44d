//! Records of several partitions, nearly in the order in which they were appended.
//!
//! Each partition is in its own order; between them the one appended first comes first, as far as
//! what was read of each goes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::topic::Topic;
use rusqlite::Connection;

use super::reader::{page, version};
use super::schemas::Schemas;
use crate::transport::{Error, Stored};

/// Where each partition of a topic is read on.
#[derive(Debug, Default)]
pub(super) struct Feed {
    places: BTreeMap<(i32, Topic), Place>,
    /// What is not read for now, whether or not it is known yet where it would be.
    held: BTreeSet<(i32, Topic)>,
    /// The file as it was when it was last looked at for more.
    seen: Option<i64>,
}

#[derive(Debug, Default)]
struct Place {
    /// The offset to ask for next.
    ask: i64,
    /// Records read and not handed on, with their places among all.
    ready: VecDeque<(i64, Stored)>,
    /// Whether there was no more when it was last asked.
    dry: bool,
}

impl Feed {
    /// Reads a topic of a partition from an offset on.
    pub(super) fn go_to(&mut self, partition: i32, topic: Topic, offset: i64) {
        let place = Place {
            ask: offset,
            ..Place::default()
        };
        self.places.insert((partition, topic), place);
    }

    /// Stops or goes on reading a topic of a partition.
    pub(super) fn hold(&mut self, partition: i32, topic: Topic, held: bool) {
        if held {
            self.held.insert((partition, topic));
        } else {
            self.held.remove(&(partition, topic));
        }
    }

    /// Looks for more, whether or not the file seems to have changed.
    pub(super) fn look_again(&mut self) {
        self.seen = None;
    }

    /// Reads nothing any more.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.held.clear();
    }

    /// The offset of a topic of a partition to hand on next, as far as that is known.
    pub(super) fn position(&self, partition: i32, topic: Topic) -> Option<i64> {
        let place = self.places.get(&(partition, topic))?;
        let first = place.ready.front().map(|(_, stored)| stored.offset);
        Some(first.unwrap_or(place.ask))
    }

    /// The next record, if there is one by now.
    pub(super) fn next(
        &mut self,
        file: &Connection,
        schemas: &Schemas,
    ) -> Result<Option<Stored>, Error> {
        loop {
            self.fill(file, schemas)?;
            if let Some(stored) = self.take() {
                return Ok(Some(stored));
            }
            // ORDER: the version before what there is, so that nothing comes unseen in between.
            let now = version(file)?;
            if self.seen == Some(now) {
                return Ok(None);
            }
            self.seen = Some(now);
            for place in self.places.values_mut() {
                place.dry = false;
            }
        }
    }

    /// Reads on where nothing is left and more may be there.
    fn fill(&mut self, file: &Connection, schemas: &Schemas) -> Result<(), Error> {
        for (at, place) in &mut self.places {
            if place.dry || !place.ready.is_empty() || self.held.contains(at) {
                continue;
            }
            let (partition, topic) = *at;
            place.ready = page(file, schemas, topic, partition, place.ask)?.into();
            place.dry = place.ready.is_empty();
            if let Some((_, last)) = place.ready.back() {
                place.ask = last.offset + 1;
            }
        }
        Ok(())
    }

    /// The first of what was read.
    fn take(&mut self) -> Option<Stored> {
        let Self { places, held, .. } = self;
        let ready = places.iter_mut().filter(|(at, _)| !held.contains(at));
        let first = ready.filter_map(|(_, place)| {
            let (id, _) = place.ready.front()?;
            Some((*id, place))
        });
        let (_, place) = first.min_by_key(|(id, _)| *id)?;
        place.ready.pop_front().map(|(_, stored)| stored)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Blackboard;
    use super::super::file::append;
    use super::*;
    use crate::transport::Entry;

    fn put(file: &Connection, topic: Topic, value: &[u8]) {
        let entry = Entry {
            topic,
            partition: 0,
            key: None,
            value: Some(value),
            headers: &[],
        };
        append(file, &entry, None).unwrap();
    }

    #[test]
    fn topics_come_in_the_order_of_their_records_and_what_is_held_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (board, _) = Blackboard::make(&folder.path().join("log.db"), 1, -1).unwrap();
        let (writes, reads) = (board.writer().unwrap(), board.reader().unwrap());
        let mut feed = Feed::default();
        // Held before it is known where it is read from.
        feed.hold(0, Topic::Proposals, true);
        for topic in [Topic::Proposals, Topic::Responses, Topic::Decisions] {
            feed.go_to(0, topic, 0);
        }
        let all = [
            Topic::Responses,
            Topic::Proposals,
            Topic::Decisions,
            Topic::Responses,
        ];
        for topic in all {
            put(&writes, topic, b"v");
        }
        let next = |feed: &mut Feed| {
            feed.next(&reads, &board.schemas)
                .unwrap()
                .map(|stored| stored.topic)
        };
        assert_eq!(next(&mut feed), Some(Topic::Responses));
        assert_eq!(next(&mut feed), Some(Topic::Decisions));
        assert_eq!(next(&mut feed), Some(Topic::Responses));
        assert_eq!(next(&mut feed), None);
        assert_eq!(feed.position(0, Topic::Responses), Some(2));
        feed.hold(0, Topic::Proposals, false);
        assert_eq!(next(&mut feed), Some(Topic::Proposals));
        put(&writes, Topic::Responses, b"v");
        assert_eq!(next(&mut feed), Some(Topic::Responses));
        assert_eq!(next(&mut feed), None);
    }
}
