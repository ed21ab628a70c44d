//! A blackboard from its edge: records appended one transaction at a time, and what is there read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rusqlite::Connection;

use super::file::{all_or_nothing, append, has, next, now};
use super::open::sql;
use super::shared::Sharing;
use super::{Blackboard, Reader};
use crate::transport::together::Together;
use crate::transport::{Appended, Committed, Entry, Error, Handle, Reading, Shared};
use crate::wire::Codec;

/// A blackboard to whoever is no processor.
#[derive(Debug)]
pub struct Edge {
    board: Blackboard,
    /// Which file it is, whatever stands in its place later: by device and number.
    file: Option<(u64, u64)>,
    writes: Together<Connection>,
    /// What is asked how far processors are, once somebody wants to know.
    asks: Mutex<Option<Reader>>,
}

impl Edge {
    /// The edge of a blackboard.
    #[must_use]
    pub fn new(board: Blackboard) -> Self {
        Self {
            file: which(&board),
            board,
            writes: Together::default(),
            asks: Mutex::default(),
        }
    }
}

/// Which file stands in a blackboard's place.
fn which(board: &Blackboard) -> Option<(u64, u64)> {
    let found = std::fs::metadata(board.path()).ok()?;
    Some((found.dev(), found.ino()))
}

impl Handle for Edge {
    fn partitions(&self) -> Result<i32, Error> {
        Ok(self.board.partitions())
    }

    fn codec(&self) -> &Arc<Codec> {
        self.board.schemas.codec()
    }

    /// All of them or none, and with them what others append at the same time: to have it on the
    /// disk takes as long for many as for one.
    fn append(&self, entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error> {
        let told = self.board.time();
        let append = |file: &mut Connection, entries: &[Entry<'_>]| {
            append_all(file, entries, told).map_err(sql("append to a topic"))
        };
        self.writes.append(entries, || self.board.writer(), append)
    }

    /// Who has a file open reads on in it when it is moved away, or another is put in its place.
    fn check(&self) -> Result<(), Error> {
        if which(&self.board) == self.file {
            return Ok(());
        }
        let path = self.board.path().display();
        let why = format!("`{path}` is not the file any more that it was");
        Err(Error::Unfit(why))
    }

    fn lacks(&self, topic: Topic) -> Result<Option<String>, Error> {
        let is_there = has(&self.board.reader()?, topic).map_err(sql("look for a topic"))?;
        let path = self.board.path().display();
        let what = || format!("`{path}` has no `{topic}`; run `quorate topics apply`");
        Ok((!is_there).then(what))
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Reader::open(&self.board)?))
    }

    fn share(&self, name: &str, topic: Topic) -> Result<Box<dyn Shared>, Error> {
        Ok(Box::new(Sharing::join(&self.board, name, topic)?))
    }

    fn committed(&self, topic: Topic, partition: i32) -> Result<Option<i64>, Error> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *asks {
            Some(reader) => reader,
            none => none.insert(Reader::open(&self.board)?),
        };
        let found = reader.committed_at(topic, partition)?;
        Ok(found.map(|(next, _)| next))
    }

    fn positions(&self) -> Result<BTreeMap<i32, Committed>, Error> {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = match &mut *asks {
            Some(reader) => reader,
            none => none.insert(Reader::open(&self.board)?),
        };
        reader.positions()
    }
}

fn append_all(
    file: &mut Connection,
    entries: &[Entry<'_>],
    told: Option<i64>,
) -> rusqlite::Result<Vec<Appended>> {
    let append_one = |file: &Connection, entry: &Entry<'_>| {
        append(file, entry, told)?;
        Ok(Appended {
            topic: entry.topic.name().to_owned(),
            partition: entry.partition,
            offset: next(file, entry.topic, entry.partition)? - 1,
            timestamp: Some(Timestamp(now(file)?)),
            ahead: None,
        })
    };
    all_or_nothing(file, |file| {
        let appended = entries.iter().map(|entry| append_one(file, entry));
        appended.collect()
    })
}
