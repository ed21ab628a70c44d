//! A history on a log: as much of it as was there when it was opened.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::ops::{ControlFlow, Range as Offsets};

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;

use super::{About, Error, History, INPUTS, OUTPUTS, Range, TABLES};
use crate::transport::{self, Handle, Reading, Stored};
use crate::wire::history::Part;

/// Bytes of inputs held at a time, over all partitions.
const HELD: usize = 64 * 1024 * 1024;
/// The least of them held of one partition of a topic.
const HELD_LEAST: usize = 64 * 1024;
/// Most records held of one partition of a topic.
const RECORDS: usize = 8_192;

/// What a log does not tell of itself.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What the names of its topics begin with.
    pub prefix: String,
    /// The time now.
    pub now: Timestamp,
    /// From when to when it is to be read.
    pub range: Range,
    /// Which topics; all if none is named.
    pub topics: Vec<Topic>,
}

/// A history on a log.
pub struct Live {
    about: About,
    reader: Box<dyn Reading + Send>,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live").field("about", &self.about).finish()
    }
}

impl Live {
    /// All that is on a log now.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn open(handle: &dyn Handle, origin: Origin) -> Result<Self, Error> {
        let (partitions, reader) = (handle.partitions()?, handle.reader()?);
        let mut parts = Vec::new();
        // ORDER: outputs, then inputs, then tables, so that what an output follows from is there.
        for topic in OUTPUTS.into_iter().chain(INPUTS).chain(TABLES) {
            if !origin.topics.is_empty() && !origin.topics.contains(&topic) {
                continue;
            }
            for partition in 0..(if topic.is_table() { 1 } else { partitions }) {
                let (start, end) = reader.ends(topic, partition)?;
                parts.push(Part {
                    topic: topic.name().to_owned(),
                    partition,
                    start,
                    end,
                });
            }
        }
        parts.sort_by_key(|part| (Topic::named(&part.topic), part.partition));
        let about = About {
            partitions,
            prefix: origin.prefix,
            read_at: origin.now,
            range: origin.range,
            parts,
        };
        Ok(Self { about, reader })
    }

    fn read(
        &self,
        part: &Part,
        topic: Topic,
        each: &mut dyn FnMut(&Stored) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut failed = None;
        let (mut time, range) = (Timestamp::default(), self.about.range);
        let Part { start, end, .. } = *part;
        let reading = &mut |stored: Stored| {
            time = time.max(stored.timestamp.unwrap_or_default());
            // What a later record replaces is needed whenever it was written.
            let is_kept = topic.is_table() || topic == Topic::Rounds || range.has(time);
            if is_kept && let Err(error) = each(&stored) {
                failed = Some(error);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        };
        self.reader
            .read_to(topic, part.partition, start, end, reading)?;
        failed.map_or(Ok(()), Err)
    }
}

impl History for Live {
    fn about(&self) -> &About {
        &self.about
    }

    fn hold(&mut self, before: &About) -> bool {
        let same = |now: &About| {
            (now.partitions, &now.prefix, now.range, now.parts.len())
                == (
                    before.partitions,
                    &before.prefix,
                    before.range,
                    before.parts.len(),
                )
        };
        let is_there = |part: &Part| {
            let topic = Topic::named(&part.topic);
            let now = topic.and_then(|topic| self.about.part(topic, part.partition));
            now.is_some_and(|now| now.start == part.start && now.end >= part.end)
        };
        let is_held = same(&self.about) && before.parts.iter().all(is_there);
        if is_held {
            self.about = before.clone();
        }
        is_held
    }

    fn each(&mut self, each: &mut dyn FnMut(&Stored) -> Result<(), Error>) -> Result<(), Error> {
        for topic in TABLES.into_iter().chain(OUTPUTS) {
            for part in self
                .about
                .parts
                .iter()
                .filter(|part| part.topic == topic.name())
            {
                self.read(part, topic, each)?;
            }
        }
        let mut parts = Vec::new();
        for topic in INPUTS {
            let of_topic = self.about.parts.iter();
            let of_topic = of_topic.filter(|part| part.topic == topic.name());
            parts.extend(of_topic.map(|part| (topic, part.partition, part.start..part.end)));
        }
        let range = self.about.range;
        read_in_order(&*self.reader, parts, &mut |time, stored| {
            if range.has(time) {
                each(&stored)
            } else {
                Ok(())
            }
        })
    }
}

/// Reads partitions of inputs from places to ends, all of them by stream time.
///
/// # Errors
/// What keeps them from being read, or what `each` says.
pub fn read_in_order(
    reader: &dyn Reading,
    parts: impl IntoIterator<Item = (Topic, i32, Offsets<i64>)>,
    each: &mut dyn FnMut(Timestamp, Stored) -> Result<(), Error>,
) -> Result<(), Error> {
    let cursors = parts.into_iter();
    let mut cursors: Vec<_> = cursors.map(Cursor::new).collect();
    let held = (HELD / cursors.len().max(1)).max(HELD_LEAST);
    let mut heads = BinaryHeap::new();
    for (at, cursor) in cursors.iter_mut().enumerate() {
        let head = cursor.head(reader, held)?;
        heads.extend(head.map(|head| Reverse((head, at))));
    }
    while let Some(Reverse(((time, ..), at))) = heads.pop() {
        let Some(cursor) = cursors.get_mut(at) else {
            break;
        };
        if let Some((_, stored)) = cursor.held.pop_front() {
            each(time, stored)?;
        }
        let head = cursor.head(reader, held)?;
        heads.extend(head.map(|head| Reverse((head, at))));
    }
    Ok(())
}

/// Where a partition of an input is, with what was read ahead of it.
struct Cursor {
    topic: Topic,
    partition: i32,
    next: i64,
    end: i64,
    /// Stream time.
    time: Timestamp,
    held: VecDeque<(Timestamp, Stored)>,
}

impl Cursor {
    fn new((topic, partition, offsets): (Topic, i32, Offsets<i64>)) -> Self {
        Self {
            topic,
            partition,
            next: offsets.start,
            end: offsets.end,
            time: Timestamp::default(),
            held: VecDeque::new(),
        }
    }

    /// What the next record is placed by; none if there is no more.
    fn head(
        &mut self,
        reader: &dyn Reading,
        most: usize,
    ) -> Result<Option<(Timestamp, Topic, i32)>, Error> {
        if self.held.is_empty() {
            self.fill(reader, most)?;
        }
        let head = self.held.front();
        Ok(head.map(|(time, _)| (*time, self.topic, self.partition)))
    }

    fn fill(&mut self, reader: &dyn Reading, most: usize) -> Result<(), Error> {
        let Self {
            topic,
            partition,
            next,
            end,
            time,
            held,
        } = self;
        let mut bytes = 0;
        let is_full = |bytes, count| bytes >= most || count >= RECORDS;
        let mut broke = false;
        reader.read_to(*topic, *partition, *next, *end, &mut |stored| {
            let at = stored.timestamp;
            *time = (*time).max(at.ok_or_else(|| transport::Error::untimed(*topic, *partition))?);
            *next = stored.offset + 1;
            bytes += stored.value.as_ref().map_or(0, Vec::len) + size_of::<Stored>();
            held.push_back((*time, stored));
            broke = is_full(bytes, held.len());
            Ok(match broke {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        if !broke {
            *next = *end;
        }
        Ok(())
    }
}
