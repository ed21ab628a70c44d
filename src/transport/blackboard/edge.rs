//! A blackboard from its edge: records appended one transaction at a time, and what is there read.

use std::sync::{Arc, Mutex, PoisonError};

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rusqlite::Connection;

use super::file::{all_or_nothing, append, next, now, sql};
use super::{Blackboard, Reader};
use crate::transport::{Appended, Entry, Error, Handle, Reading};
use crate::wire::Codec;

/// A blackboard to whoever is no processor.
#[derive(Debug)]
pub struct Edge {
    board: Blackboard,
    codec: Arc<Codec>,
    /// What writes, once something is to be written.
    writes: Mutex<Option<Connection>>,
    /// What is asked how far processors are, once somebody wants to know.
    asks: Mutex<Option<Reader>>,
}

impl Edge {
    /// The edge of a blackboard.
    #[must_use]
    pub fn new(board: Blackboard) -> Self {
        Self {
            board,
            codec: super::codec(),
            writes: Mutex::default(),
            asks: Mutex::default(),
        }
    }
}

impl Handle for Edge {
    fn partitions(&self) -> Result<i32, Error> {
        Ok(self.board.partitions())
    }

    fn codec(&self) -> &Arc<Codec> {
        &self.codec
    }

    /// All of them or none.
    fn append(&self, entries: &[Entry<'_>]) -> Result<Vec<Appended>, Error> {
        let mut writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *writes {
            Some(file) => file,
            none => none.insert(self.board.writer()?),
        };
        append_all(file, entries).map_err(sql("append to a topic"))
    }

    fn reader(&self) -> Result<Box<dyn Reading + Send>, Error> {
        Ok(Box::new(Reader::open(&self.board)?))
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
}

fn append_all(file: &mut Connection, entries: &[Entry<'_>]) -> rusqlite::Result<Vec<Appended>> {
    let append_one = |file: &Connection, entry: &Entry<'_>| {
        append(file, entry)?;
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
