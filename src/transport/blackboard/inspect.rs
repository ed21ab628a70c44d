//! How a file stands: what an operator asks when something is wrong.

use std::path::Path;
use std::time::Duration;

use quorate_core::ids::{Millis, Timestamp};
use rusqlite::{Connection, params_from_iter};

use super::Blackboard;
use super::file::{NOW, now};
use super::open::{beside, sql};
use crate::transport::{Error, INPUTS};

/// For how long somebody else may be writing.
const PATIENCE: Duration = Duration::from_secs(3);

/// How a file stands.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// Its length, in bytes.
    pub bytes: u64,
    /// The length of what is written and not in it yet, in bytes.
    pub ahead: u64,
    /// How it keeps what is being written: `wal`, as it should.
    pub journal: String,
    /// What is wrong with its pages; none if nothing is.
    pub damage: Option<String>,
    /// The last append time.
    pub time: Timestamp,
    /// The engines that are there.
    pub engines: Vec<Engine>,
    /// The partitions of topics routed by proposal.
    pub shares: Vec<Share>,
}

/// An engine that shares the file.
#[derive(Clone, Debug)]
pub struct Engine {
    /// Its name: its processor's instance, and a number.
    pub name: String,
    /// For how long it was not seen.
    pub unseen: Millis,
    /// After how long that means that it is dead.
    pub session: Millis,
}

/// A partition of the topics routed by proposal.
#[derive(Clone, Debug)]
pub struct Share {
    /// Its number.
    pub partition: i32,
    /// The engine that owns it.
    pub owner: Option<String>,
    /// Records of inputs that lie there and no engine has committed as read.
    pub behind: i64,
}

impl Blackboard {
    /// How the file stands.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn inspect(&self) -> Result<Inspected, Error> {
        let file = self.reader()?;
        let length = |path: &Path| path.metadata().map_or(0, |found| found.len());
        let asked = || -> rusqlite::Result<Inspected> {
            let check: String = file.pragma_query_value(None, "quick_check", |row| row.get(0))?;
            Ok(Inspected {
                bytes: length(self.path()),
                ahead: length(&beside(self.path(), "-wal")),
                journal: file.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
                damage: (check != "ok").then_some(check),
                time: Timestamp(now(&file)?),
                engines: engines(&file)?,
                shares: shares(&file)?,
            })
        };
        asked().map_err(sql("look into the state"))
    }

    /// Whether a record could be appended; nothing is.
    ///
    /// # Errors
    /// [`Error::Unwritable`]; [`Error::Log`] if somebody else has been writing for three seconds.
    pub fn try_to_write(&self) -> Result<(), Error> {
        let file = self.writer()?;
        let write = || -> rusqlite::Result<()> {
            file.busy_timeout(PATIENCE)?;
            file.execute_batch("BEGIN IMMEDIATE; UPDATE state SET time = time; ROLLBACK")
        };
        write().map_err(sql("write to a table"))
    }
}

fn engines(file: &Connection) -> rusqlite::Result<Vec<Engine>> {
    let all = format!("SELECT name, {NOW} - seen, session FROM members ORDER BY name");
    let mut all = file.prepare(&all)?;
    let engine = |row: &rusqlite::Row<'_>| {
        Ok(Engine {
            name: row.get(0)?,
            unseen: Millis(row.get(1)?),
            session: Millis(row.get(2)?),
        })
    };
    all.query_map([], engine)?.collect()
}

fn shares(file: &Connection) -> rusqlite::Result<Vec<Share>> {
    let inputs = vec!["?"; INPUTS.len()].join(", ");
    let all = format!(
        "SELECT partition, member, sum(partitions.next - coalesce(positions.next, 0))
        FROM owners JOIN partitions USING (partition) LEFT JOIN positions USING (topic, partition)
        WHERE topic IN ({inputs}) GROUP BY partition, member ORDER BY partition"
    );
    let mut all = file.prepare(&all)?;
    let share = |row: &rusqlite::Row<'_>| {
        Ok(Share {
            partition: row.get(0)?,
            owner: row.get(1)?,
            behind: row.get(2)?,
        })
    };
    let inputs = INPUTS.iter().map(|topic| topic.name());
    all.query_map(params_from_iter(inputs), share)?.collect()
}
