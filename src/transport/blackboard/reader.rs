//! Reads the file: partitions from a place to an end, or on and on, and what was committed.

use std::cell::{Ref, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::ids::Timestamp;
use quorate_core::records::Pins;
use quorate_core::topic::Topic;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::feed::Feed;
use super::file::{Blackboard, all_committed, committed, next};
use super::open::{Reads, sql};
use super::schemas::Schemas;
use crate::transport::unread::refused_for_schema;
use crate::transport::{Committed, Error, Header, Reading, Source, Start, Stored, positions};

/// Most records read at a time.
const PAGE: usize = 256;
/// Bytes at which a page is full, however few its records.
const FULL: usize = 1024 * 1024;
/// How long to sleep before looking again.
const LOOK: Duration = Duration::from_millis(2);

/// Somebody who reads the file.
pub struct Reader {
    board: Blackboard,
    reads: RefCell<Reads>,
    feed: RefCell<Feed>,
    /// What was refused for its schema, where that was looked up.
    refused: RefCell<BTreeMap<(Topic, i32), BTreeSet<i64>>>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader of a blackboard.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn open(board: &Blackboard) -> Result<Self, Error> {
        Ok(Self {
            board: board.clone(),
            reads: RefCell::new(board.reads()?),
            feed: RefCell::default(),
            refused: RefCell::default(),
        })
    }

    /// The file as it is now.
    fn file(&self) -> Result<Ref<'_, Connection>, Error> {
        if self.reads.borrow_mut().thaw(self.board.path())? {
            self.feed.borrow_mut().look_again();
        }
        Ok(Ref::map(self.reads.borrow(), |reads| &reads.file))
    }

    /// A position as it was committed, with what goes with it.
    pub(super) fn committed_at(
        &self,
        topic: Topic,
        partition: i32,
    ) -> Result<Option<(i64, String)>, Error> {
        let file = self.file()?;
        committed(&file, topic, partition).map_err(sql("ask for positions"))
    }
}

impl Reader {
    /// What is committed of every partition, all of it of one moment.
    pub(super) fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error> {
        let all = all_committed(&*self.file()?).map_err(sql("ask for positions"))?;
        let mut known = BTreeMap::new();
        for (topic, partition, next, metadata) in all {
            let Some(topic) = Topic::named(&topic) else {
                continue;
            };
            let (position, pins) = positions::read(next, &metadata).ok_or_else(|| {
                let why = format!("the position of {topic} is not of our making: {metadata}");
                Error::halted(partition, why)
            })?;
            let committed = known.entry(partition).or_insert_with(|| Committed {
                positions: BTreeMap::new(),
                pins: Pins::NONE,
            });
            committed.positions.insert(topic, position);
            committed.pins = committed.pins.max(pins);
        }
        Ok(known)
    }

    fn was_refused(&self, stored: &Stored) -> Result<bool, Error> {
        let place = (stored.topic, stored.partition);
        if !self.refused.borrow().contains_key(&place) {
            // Nobody else refuses what lies before the committed position.
            let (start, end) = self.ends(Topic::DeadLetters, stored.partition)?;
            let codec = self.board.schemas.codec();
            let found = refused_for_schema(self, codec, stored, start, end)?;
            self.refused.borrow_mut().insert(place, found);
        }
        let refused = self.refused.borrow();
        let offsets = refused.get(&place);
        Ok(offsets.is_some_and(|offsets| offsets.contains(&stored.offset)))
    }
}

/// The records of a partition from an offset on, at most a page of them.
pub(super) fn page(
    file: &Connection,
    schemas: &Schemas,
    topic: Topic,
    partition: i32,
    from: i64,
) -> Result<Vec<(i64, Stored)>, Error> {
    let read = || -> rusqlite::Result<Vec<(i64, Stored)>> {
        let mut rows = file.prepare_cached(
            r#"SELECT id, "offset", time, key, value, headers FROM records
            WHERE topic = ?1 AND partition = ?2 AND "offset" >= ?3
            ORDER BY "offset""#,
        )?;
        let mut rows = rows.query(params![topic.name(), partition, from])?;
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < PAGE
            && bytes < FULL
            && let Some(row) = rows.next()?
        {
            let stored = stored(topic, partition, row)?;
            bytes += stored.value.as_ref().map_or(0, Vec::len);
            page.push((row.get(0)?, stored));
        }
        Ok(page)
    };
    let page = read().map_err(sql("read records"))?;
    schemas.meet(file, page.iter().map(|(_, stored)| stored))?;
    Ok(page)
}

fn stored(topic: Topic, partition: i32, row: &Row<'_>) -> rusqlite::Result<Stored> {
    let headers: Option<String> = row.get(5)?;
    let headers = headers.and_then(|text| serde_json::from_str(&text).ok());
    let headers: serde_json::Map<String, serde_json::Value> = headers.unwrap_or_default();
    let header = |(key, value): (String, serde_json::Value)| Header {
        key,
        value: value.as_str().map(|text| text.as_bytes().to_vec()),
    };
    let stored = Stored {
        topic,
        partition,
        offset: row.get(1)?,
        timestamp: Some(Timestamp(row.get(2)?)),
        key: row.get(3)?,
        value: row.get(4)?,
        control: false,
        forwarded: false,
        traceparent: None,
        headers: Vec::new(),
    };
    Ok(stored.with_headers(headers.into_iter().map(header).collect()))
}

/// A number that is another one whenever somebody else has changed the file.
pub(super) fn version(file: &Connection) -> Result<i64, Error> {
    let asked = file.prepare_cached("PRAGMA data_version");
    asked
        .and_then(|mut asked| asked.query_row([], |row| row.get(0)))
        .map_err(sql("look for news"))
}

impl Reading for Reader {
    fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        let asking = || sql("ask for the ends");
        let file = self.file()?;
        let end = next(&file, topic, partition).map_err(asking())?;
        let first = r#"SELECT "offset" FROM records WHERE topic = ?1 AND partition = ?2
            ORDER BY "offset" LIMIT 1"#;
        let mut first = file.prepare_cached(first).map_err(asking())?;
        let first = first.query_row(params![topic.name(), partition], |row| row.get(0));
        let first = first.optional().map_err(asking())?.unwrap_or(end);
        // What came since the end was asked for is not before it.
        Ok((first.min(end), end))
    }

    fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error> {
        self.ends(topic, partition)
    }

    fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let mut from = from;
        while from < end {
            let page = page(&*self.file()?, &self.board.schemas, topic, partition, from)?;
            let Some((_, last)) = page.last() else {
                return Ok(());
            };
            from = last.offset + 1;
            for (_, stored) in page {
                if stored.offset >= end || each(stored)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error> {
        let mut feed = Feed::default();
        for &(topic, partition, start) in places {
            let offset = match start {
                Start::Beginning => 0,
                Start::End => self.ends(topic, partition)?.1,
                Start::At(offset) => offset,
            };
            feed.go_to(partition, topic, offset);
        }
        *self.feed.borrow_mut() = feed;
        Ok(())
    }

    fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error> {
        let until = (!timeout.is_zero()).then(|| Instant::now() + timeout);
        loop {
            let file = self.file()?;
            if let Some(stored) = self.feed.borrow_mut().next(&file, &self.board.schemas)? {
                return Ok(Some(stored));
            }
            if until.is_none_or(|until| Instant::now() >= until) {
                return Ok(None);
            }
            drop(file);
            thread::sleep(LOOK);
        }
    }

    fn position(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.feed.borrow().position(partition, topic)
    }
}

impl Source for Reader {
    fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<Committed>>, Error> {
        let mut known = self.positions()?;
        let of = |&partition: &i32| (partition, known.remove(&partition));
        Ok(partitions.iter().map(of).collect())
    }

    /// One by a schema that is not of ours was read, or refused where nobody had recorded that yet.
    fn as_it_was(&self, stored: Stored) -> Result<Option<Stored>, Error> {
        if !stored.is_foreign() || !self.was_refused(&stored)? {
            return Ok(Some(stored));
        }
        let value = None;
        Ok(Some(Stored { value, ..stored }))
    }
}
