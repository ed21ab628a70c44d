//! Records of several partitions, nearly in the order in which they were appended.
//!
//! Each partition is in its own order; between them the one appended first comes first, as far as
//! what was read of each goes.

use std::collections::{BTreeMap, VecDeque};

use quorate_core::topic::Topic;
use rusqlite::Connection;

use super::reader::{page, version};
use crate::transport::{Error, Stored};

/// Where each partition of a topic is read on.
#[derive(Debug, Default)]
pub(super) struct Feed {
    places: BTreeMap<(i32, Topic), Place>,
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
    held: bool,
}

impl Feed {
    /// Reads a topic of a partition from an offset on.
    pub(super) fn go_to(&mut self, partition: i32, topic: Topic, offset: i64) {
        let held = self.places.get(&(partition, topic));
        let place = Place {
            ask: offset,
            held: held.is_some_and(|place| place.held),
            ..Place::default()
        };
        self.places.insert((partition, topic), place);
    }

    /// Stops or goes on reading a topic of a partition.
    pub(super) fn hold(&mut self, partition: i32, topic: Topic, held: bool) {
        if let Some(place) = self.places.get_mut(&(partition, topic)) {
            place.held = held;
        }
    }

    /// Reads nothing any more.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }

    /// The offset of a topic of a partition to hand on next, as far as that is known.
    pub(super) fn position(&self, partition: i32, topic: Topic) -> Option<i64> {
        let place = self.places.get(&(partition, topic))?;
        let first = place.ready.front().map(|(_, stored)| stored.offset);
        Some(first.unwrap_or(place.ask))
    }

    /// The next record, if there is one by now.
    pub(super) fn next(&mut self, file: &Connection) -> Result<Option<Stored>, Error> {
        let mut read = self.places.values_mut().filter(|place| !place.held);
        if read.all(|place| place.ready.is_empty() && place.dry) {
            let now = version(file)?;
            if self.seen == Some(now) {
                return Ok(None);
            }
            self.seen = Some(now);
            for place in self.places.values_mut() {
                place.dry = false;
            }
        }
        for (&(partition, topic), place) in &mut self.places {
            if !place.held && place.ready.is_empty() && !place.dry {
                place.ready = page(file, topic, partition, place.ask)?.into();
                place.dry = place.ready.is_empty();
                if let Some((_, last)) = place.ready.back() {
                    place.ask = last.offset + 1;
                }
            }
        }
        let ready = self.places.values_mut().filter(|place| !place.held);
        let first = ready.min_by_key(|place| {
            let first = place.ready.front().map(|(id, _)| *id);
            first.unwrap_or(i64::MAX)
        });
        Ok(first.and_then(|place| place.ready.pop_front().map(|(_, stored)| stored)))
    }
}
