//! The file as a log: an engine's place among its owners, what it reads, and what it commits.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::fault::{self, Fault};
use quorate_core::topic::Topic;
use rusqlite::{Connection, TransactionBehavior, params};

use super::clean::Broom;
use super::feed::Feed;
use super::file::{Blackboard, all_or_nothing, append, next};
use super::group::{Change, Place};
use super::open::sql;
use super::reader::Reader;
use crate::engine::Record;
use crate::transport::owned::Owned;
use crate::transport::{
    Committed, Delivery, Entry, Error, Event, Log, Settings, Stored, positions,
};

/// How often something is cleaned.
const SWEEP: Duration = Duration::from_secs(2);
/// How long to sleep before looking again.
const LOOK: Duration = Duration::from_millis(1);

/// A member's place, and its two connections: what one of them writes is news to the other.
pub(super) struct Membership {
    board: Blackboard,
    place: Place,
    reads: Connection,
    writes: Connection,
    feed: Feed,
    /// For the next commit.
    put: Vec<Owned>,
    /// To be appended whatever becomes of it.
    posted: Vec<Owned>,
    /// The offset after the last record of each partition of the rounds.
    ends: BTreeMap<i32, i64>,
    /// What cleans each partition, and when that was last done.
    brooms: BTreeMap<i32, Broom>,
    swept: Instant,
}

fn append_owned(file: &Connection, owned: &Owned, told: Option<i64>) -> rusqlite::Result<()> {
    append(file, &owned.entry(&owned.headers()), told)
}

/// A record as it was read.
pub(super) struct Delivered(Stored);

impl Delivery for Delivered {
    fn partition(&self) -> i32 {
        self.0.partition
    }

    fn record(&self) -> Record<'_> {
        // A column of the file: there is none without.
        let timestamp = self.0.timestamp.unwrap_or_default();
        self.0.record_at(timestamp)
    }
}

impl Membership {
    /// Takes a place among those that share the file.
    pub(super) fn join(board: &Blackboard, name: &str, settings: &Settings) -> Result<Self, Error> {
        let mut writes = board.writer()?;
        let place = Place::take(&mut writes, name, settings.comes_back, settings.session)?;
        Ok(Self {
            board: board.clone(),
            place,
            reads: board.reader()?,
            writes,
            feed: Feed::default(),
            put: Vec::new(),
            posted: Vec::new(),
            ends: BTreeMap::new(),
            brooms: BTreeMap::new(),
            swept: Instant::now(),
        })
    }

    /// Cleans a little now and then.
    fn sweep(&mut self) -> Result<(), Error> {
        if self.swept.elapsed() < SWEEP || self.board.told.is_some() {
            return Ok(());
        }
        self.swept = Instant::now();
        for &partition in self.place.owned() {
            let broom = self.brooms.entry(partition).or_default();
            let gone = broom.sweep(&mut self.writes, partition)?;
            tracing::debug!(partition, gone, "swept");
        }
        Ok(())
    }

    /// Appends what was posted.
    fn flush(&mut self) -> Result<(), Error> {
        if self.posted.is_empty() {
            return Ok(());
        }
        let posted = std::mem::take(&mut self.posted);
        let told = self.board.time();
        let appended = all_or_nothing(&mut self.writes, |file| {
            posted
                .iter()
                .try_for_each(|owned| append_owned(file, owned, told))
        });
        appended.map_err(sql("append to a topic"))
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Err(error) = self.place.leave(&mut self.writes) {
            tracing::debug!(%error, "cannot leave; a session will end it");
        }
    }
}

impl Log for Membership {
    type Source = Reader;
    type Delivery<'a> = Delivered;

    fn source(&self) -> Result<Reader, Error> {
        Reader::open(&self.board)
    }

    fn next(&mut self, patience: Duration) -> Result<Event<Delivered>, Error> {
        self.flush()?;
        match self.place.look(&mut self.writes)? {
            Some(Change::Assigned(partitions)) => return Ok(Event::Assigned(partitions)),
            Some(Change::Revoked) => return Ok(Event::Revoked),
            None => self.sweep()?,
        }
        let mut waited = Duration::ZERO;
        loop {
            if let Some(stored) = self.feed.next(&self.reads, &self.board.schemas)? {
                return Ok(Event::Record(Delivered(stored)));
            }
            if waited >= patience {
                return Ok(Event::Nothing);
            }
            thread::sleep(LOOK);
            waited += LOOK;
        }
    }

    fn release(&mut self) -> Result<(), Error> {
        self.feed.clear();
        self.place.release(&mut self.writes)
    }

    fn read_from(&mut self, partition: i32, offsets: &BTreeMap<Topic, i64>) -> Result<(), Error> {
        for (&topic, &offset) in offsets {
            self.feed.go_to(partition, topic, offset);
        }
        Ok(())
    }

    fn hold(&mut self, partition: i32, topic: Topic, held: bool) -> Result<(), Error> {
        self.feed.hold(partition, topic, held);
        Ok(())
    }

    fn put(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.put.push(Owned::of(entry));
        Ok(())
    }

    fn post(&mut self, entry: &Entry<'_>) -> Result<(), Error> {
        self.posted.push(Owned::of(entry));
        Ok(())
    }

    fn is_posting(&self) -> bool {
        !self.posted.is_empty()
    }

    fn rounds_end(&self, partition: i32) -> Option<i64> {
        self.ends.get(&partition).copied()
    }

    fn commit(&mut self, read: &BTreeMap<i32, Committed>) -> Result<(), Error> {
        self.flush()?;
        let put = std::mem::take(&mut self.put);
        let told = self.board.time();
        let (place, ends) = (&self.place, &mut self.ends);
        let writes = &mut self.writes;
        let mut commit = || -> rusqlite::Result<bool> {
            let transaction = writes.transaction_with_behavior(TransactionBehavior::Immediate)?;
            // ORDER: asked inside the transaction, so that nobody can take them in between.
            for &partition in read.keys() {
                if !place.owns(&transaction, partition)? && !fault::is_on(Fault::FencingOff) {
                    return Ok(false);
                }
            }
            put.iter()
                .try_for_each(|owned| append_owned(&transaction, owned, told))?;
            let mut position = transaction.prepare_cached(
                "INSERT INTO positions (topic, partition, next, metadata) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (topic, partition) DO UPDATE SET next = ?3, metadata = ?4",
            )?;
            for (partition, committed) in read {
                for (topic, at) in &committed.positions {
                    let metadata = positions::write(at, committed.pins);
                    position.execute(params![topic.name(), partition, at.next.0, metadata])?;
                }
                ends.insert(*partition, next(&transaction, Topic::Rounds, *partition)?);
            }
            drop(position);
            transaction.commit()?;
            Ok(true)
        };
        if commit().map_err(sql("commit what was read"))? {
            return Ok(());
        }
        Err(self.place.lost(&self.writes))
    }

    fn is_committing(&mut self) -> Result<bool, Error> {
        Ok(false)
    }

    fn settle(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
