//! A topic shared by those of one name: one of them has all of it for as long as it is heard of,
//! and how far it is done with is kept in the file.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rusqlite::{Connection, params};

use super::Blackboard;
use super::feed::Feed;
use super::file::{NOW, all_or_nothing};
use super::open::sql;
use super::schemas::Schemas;
use crate::transport::{Error, Share, Shared};

/// For how long somebody who is not heard of keeps it, in milliseconds.
const LEASE: i64 = 10_000;
/// How often whoever has it, or waits for it, says so.
const RENEW: Duration = Duration::from_secs(2);
/// How long to sleep before looking again.
const LOOK: Duration = Duration::from_millis(10);

/// Whose a shared topic is, until when, and how far each partition is done with.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS shares (
  name TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (
  name TEXT NOT NULL,
  partition INTEGER NOT NULL,
  next INTEGER NOT NULL,
  PRIMARY KEY (name, partition)
) WITHOUT ROWID;";

/// Somebody who shares a topic.
pub(super) struct Sharing {
    file: Connection,
    feed: Feed,
    schemas: std::sync::Arc<Schemas>,
    topic: Topic,
    partitions: i32,
    name: String,
    /// What tells it from others of its name.
    me: String,
    is_mine: bool,
    is_held: bool,
    renewed: Option<Instant>,
}

impl Sharing {
    /// Joins those of a name.
    pub(super) fn join(board: &Blackboard, name: &str, topic: Topic) -> Result<Self, Error> {
        let file = board.writer()?;
        let made = file.execute_batch(TABLES);
        made.map_err(sql("make the tables of what is shared"))?;
        Ok(Self {
            file,
            feed: Feed::default(),
            schemas: std::sync::Arc::clone(&board.schemas),
            topic,
            partitions: board.partitions(),
            name: name.to_owned(),
            me: uuid::Uuid::now_v7().to_string(),
            is_mine: false,
            is_held: false,
            renewed: None,
        })
    }

    /// Takes it, or keeps it; what that changed.
    fn renew(&mut self) -> Result<Option<Share>, Error> {
        if self.renewed.is_some_and(|at| at.elapsed() < RENEW) {
            return Ok(None);
        }
        let take = format!(
            "INSERT INTO shares VALUES (?1, ?2, {NOW} + {LEASE})
             ON CONFLICT (name) DO UPDATE SET owner = ?2, until = {NOW} + {LEASE}
             WHERE owner = ?2 OR until < {NOW}"
        );
        let taken = self.file.execute(&take, params![self.name, self.me]);
        let is_mine = taken.map_err(sql("share a topic"))? > 0;
        self.renewed = Some(Instant::now());
        if std::mem::replace(&mut self.is_mine, is_mine) == is_mine {
            return Ok(None);
        }
        (self.feed, self.is_held) = (Feed::default(), false);
        if !is_mine {
            return Ok(Some(Share::Mine(BTreeMap::new())));
        }
        let mut mine = BTreeMap::new();
        for partition in 0..self.partitions {
            let done = self
                .done_with(partition)
                .map_err(sql("ask how far it is"))?;
            self.feed.go_to(partition, self.topic, done.unwrap_or(0));
            mine.insert(partition, done);
        }
        Ok(Some(Share::Mine(mine)))
    }

    fn done_with(&self, partition: i32) -> rusqlite::Result<Option<i64>> {
        let asked = "SELECT max(next) FROM done WHERE name = ?1 AND partition = ?2";
        self.file
            .query_row(asked, params![self.name, partition], |row| row.get(0))
    }
}

impl Shared for Sharing {
    fn next(&mut self, patience: Duration) -> Result<Share, Error> {
        let until = Instant::now() + patience;
        loop {
            if let Some(share) = self.renew()? {
                return Ok(share);
            }
            if self.is_mine
                && !self.is_held
                && let Some(stored) = self.feed.next(&self.file, &self.schemas)?
            {
                return Ok(Share::Record(stored));
            }
            if Instant::now() >= until {
                return Ok(Share::Nothing);
            }
            thread::sleep(LOOK);
        }
    }

    fn hold(&mut self, held: bool) -> Result<(), Error> {
        self.is_held = held;
        Ok(())
    }

    fn done(&mut self, next: &BTreeMap<i32, i64>) -> Result<(), Error> {
        let (name, me) = (&self.name, &self.me);
        let write = "INSERT INTO done SELECT ?1, ?2, ?3
            WHERE EXISTS (SELECT 1 FROM shares WHERE name = ?1 AND owner = ?4)
            ON CONFLICT (name, partition) DO UPDATE SET next = excluded.next";
        let written = all_or_nothing(&mut self.file, |file| {
            for (partition, next) in next {
                file.execute(write, params![name, partition, next, me])?;
            }
            Ok(())
        });
        written.map_err(sql("keep how far it is"))
    }
}

impl Drop for Sharing {
    /// Others need not wait until it is not heard of.
    fn drop(&mut self) {
        let leave = "DELETE FROM shares WHERE name = ?1 AND owner = ?2";
        if let Err(error) = self.file.execute(leave, params![self.name, self.me]) {
            tracing::debug!(%error, "a share is not given back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::append;
    use super::*;
    use crate::transport::Entry;

    fn put(file: &Connection) {
        let entry = Entry {
            topic: Topic::Escalations,
            partition: 1,
            key: Some(b"k"),
            value: Some(b"v"),
            headers: &[],
        };
        append(file, &entry, None).unwrap();
    }

    fn board(folder: &tempfile::TempDir) -> Blackboard {
        Blackboard::make(&folder.path().join("log.db"), 2, -1)
            .unwrap()
            .0
    }

    fn next(sharing: &mut Sharing) -> Share {
        sharing.renewed = None;
        sharing.next(Duration::ZERO).unwrap()
    }

    fn offset(sharing: &mut Sharing) -> Option<i64> {
        match next(sharing) {
            Share::Record(stored) => Some(stored.offset),
            _ => None,
        }
    }

    #[test]
    fn one_has_it_and_the_next_goes_on_where_it_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let board = board(&folder);
        let file = board.writer().unwrap();
        let join = || Sharing::join(&board, "hooks", Topic::Escalations).unwrap();
        let (mut first, mut second) = (join(), join());
        assert!(matches!(next(&mut first), Share::Mine(mine) if mine[&1].is_none()));
        assert!(matches!(next(&mut second), Share::Nothing));
        for _ in 0..3 {
            put(&file);
        }
        assert_eq!(offset(&mut first), Some(0));
        assert_eq!(offset(&mut first), Some(1));
        first.hold(true).unwrap();
        assert_eq!(offset(&mut first), None);
        first.done(&BTreeMap::from([(1, 1)])).unwrap();
        // What is not one's own is not kept.
        second.done(&BTreeMap::from([(1, 3)])).unwrap();
        drop(first);
        assert!(matches!(next(&mut second), Share::Mine(mine) if mine[&1] == Some(1)));
        assert_eq!(offset(&mut second), Some(1), "it was not done with");
        assert_eq!(offset(&mut second), Some(2));
    }

    #[test]
    fn whoever_is_not_heard_of_loses_it() {
        let folder = tempfile::tempdir().unwrap();
        let board = board(&folder);
        let join = || Sharing::join(&board, "hooks", Topic::Escalations).unwrap();
        let (mut first, mut second) = (join(), join());
        assert!(matches!(next(&mut first), Share::Mine(mine) if mine.len() == 2));
        let late = "UPDATE shares SET until = 0";
        first.file.execute(late, []).unwrap();
        assert!(matches!(next(&mut second), Share::Mine(mine) if mine.len() == 2));
        assert!(matches!(next(&mut first), Share::Mine(mine) if mine.is_empty()));
    }
}
