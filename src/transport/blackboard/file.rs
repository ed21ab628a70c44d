//! The file: made once, opened by whoever has a part in it.
//!
//! One statement appends a record, for us and for whoever writes SQL: an insert into the view of
//! its topic. It takes the offset and the time inside the writer's transaction, of which there is
//! one at a time, so that both are in the order in which records come to be seen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::topic::Topic;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, TransactionBehavior, params};

use super::open::{self, Reads, sql, stranger};
use super::rehearsal::Told;
use super::schemas::Schemas;
use crate::clock::Clock as _;
use crate::transport::{CLAIMS_KEPT, Entry, Error};
use crate::wire::Codec;

/// "ACPb": what tells the file from others of SQLite.
const APPLICATION: i32 = i32::from_be_bytes(*b"ACPb");
/// Which form of the tables this program knows.
const VERSION: i32 = 1;
/// The time now, in milliseconds since 1970; the same in all of one statement.
pub(super) const NOW: &str = "(CAST(strftime('%s', 'now') AS INTEGER) * 1000 \
     + CAST(substr(strftime('%f', 'now'), 4, 3) AS INTEGER))";

/// A log in a file on this machine.
#[derive(Clone, Debug)]
pub struct Blackboard {
    path: PathBuf,
    pub(super) schemas: Arc<Schemas>,
    /// How many partitions the topics routed by proposal have.
    pub(super) partitions: i32,
    /// The time, where it is told.
    pub(super) told: Option<Told>,
}

/// What making a blackboard changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The file and everything in it.
    Created,
    /// Topics that an earlier release did not know, and perhaps how long records are kept.
    Added,
    /// How long records are kept.
    Altered,
    /// Nothing.
    Unchanged,
}

impl Blackboard {
    /// The log in a file, made if there is none, with so many partitions, whose records are kept
    /// for so many milliseconds (-1: for ever); what that changed.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the file is something else, or has another number of partitions;
    /// [`Error::Log`].
    pub fn make(path: &Path, partitions: i32, retention_ms: i64) -> Result<(Self, Made), Error> {
        let mut file = open::writer(path, true)?;
        let making = || sql("make the tables");
        // Before anything is written: it cannot be changed inside a transaction.
        let journal = file.pragma_update(None, "journal_mode", "wal");
        journal.map_err(making())?;
        let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = transaction.map_err(making())?;
        let made = is_empty(&transaction)?;
        if made {
            lay_out(&transaction, partitions).map_err(making())?;
        }
        transaction.commit().map_err(making())?;
        let board = Self::open(path)?;
        if board.partitions != partitions {
            return Err(Error::Unfit(format!(
                "`{}` has {} partitions, which is never changed; not {partitions}",
                path.display(),
                board.partitions
            )));
        }
        let altered = all_or_nothing(&mut file, |file| {
            let added = add_topics(file, partitions)?;
            Ok((added, set_retention(file, retention_ms)?))
        });
        let change = match (made, altered.map_err(making())?) {
            (true, _) => Made::Created,
            (false, (true, _)) => Made::Added,
            (false, (false, true)) => Made::Altered,
            (false, (false, false)) => Made::Unchanged,
        };
        Ok((board, change))
    }

    /// The log in a file that is there.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there is none, or one of a form that this program does not know.
    pub fn open(path: &Path) -> Result<Self, Error> {
        if !path.exists() {
            let path = path.display();
            return Err(Error::Unfit(format!(
                "there is no `{path}`; make it by `quorate topics apply --blackboard {path}`"
            )));
        }
        let Reads { file, .. } = Reads::open(path)?;
        check(&file, path)?;
        let count = "SELECT count(*) FROM partitions WHERE topic = ?1";
        let partitions = file.query_row(count, [Topic::Proposals.name()], |row| row.get(0));
        let schemas = Arc::<Schemas>::default();
        schemas.look(&file)?;
        Ok(Self {
            path: path.to_owned(),
            schemas,
            told: None,
            partitions: partitions.map_err(sql("count partitions"))?,
        })
    }

    /// How many partitions the topics routed by proposal have.
    #[must_use]
    pub const fn partitions(&self) -> i32 {
        self.partitions
    }

    /// What records are written with, and read with.
    #[must_use]
    pub fn codec(&self) -> &Arc<Codec> {
        self.schemas.codec()
    }

    /// How long records are kept that are not tables or rounds, in milliseconds; -1: for ever.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn retention_ms(&self) -> Result<i64, Error> {
        let asked = "SELECT retention_ms FROM topics WHERE topic = ?1";
        let asked = self
            .reader()?
            .query_row(asked, [Topic::Outcomes.name()], |row| row.get(0));
        asked.map_err(sql("ask for the retention"))
    }

    /// Topics that are not there, as an earlier release made the file: [`Blackboard::make`] adds
    /// them.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn missing(&self) -> Result<Vec<Topic>, Error> {
        let file = self.reader()?;
        let mut missing = Vec::new();
        for &topic in Topic::ALL {
            if !has(&file, topic).map_err(sql("look for a topic"))? {
                missing.push(topic);
            }
        }
        Ok(missing)
    }

    /// A connection that reads and writes.
    pub(super) fn writer(&self) -> Result<Connection, Error> {
        let file = open::writer(&self.path, false)?;
        if self.told.is_some() {
            // What is made up can be made up again.
            let relaxed = file.pragma_update(None, "synchronous", "off");
            relaxed.map_err(sql("relax the writing"))?;
        }
        Ok(file)
    }

    /// The same log, whose append times are told.
    #[must_use]
    pub fn told(&self, time: &Told) -> Self {
        Self {
            told: Some(time.clone()),
            ..self.clone()
        }
    }

    /// The append time of what is written next, where it is told.
    pub(super) fn time(&self) -> Option<i64> {
        self.told.as_ref().map(|told| told.now().0)
    }

    /// A connection that only reads.
    pub(super) fn reader(&self) -> Result<Connection, Error> {
        Ok(self.reads()?.file)
    }

    /// The same, for whoever keeps it.
    pub(super) fn reads(&self) -> Result<Reads, Error> {
        Reads::open(&self.path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Whether nothing was ever made in a file.
fn is_empty(file: &Connection) -> Result<bool, Error> {
    let count = "SELECT count(*) FROM sqlite_schema";
    let tables: i64 = file
        .query_row(count, [], |row| row.get(0))
        .map_err(sql("look at the tables"))?;
    Ok(tables == 0)
}

fn check(file: &Connection, path: &Path) -> Result<(), Error> {
    let number = |name| file.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let application =
        number("application_id").map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => stranger(path),
            _ => sql("look at the header")(error),
        })?;
    if application != APPLICATION {
        return Err(stranger(path));
    }
    let version = number("user_version").map_err(sql("look at the header"))?;
    if version != VERSION {
        let path = path.display();
        return Err(Error::Unfit(format!(
            "`{path}` is of form {version}, and this program knows form {VERSION}"
        )));
    }
    Ok(())
}

fn lay_out(file: &Connection, partitions: i32) -> rusqlite::Result<()> {
    file.pragma_update(None, "application_id", APPLICATION)?;
    file.pragma_update(None, "user_version", VERSION)?;
    file.execute_batch(include_str!("schema.sql"))?;
    add_topics(file, partitions)?;
    for number in 0..partitions {
        file.execute("INSERT INTO owners (partition) VALUES (?1)", [number])?;
    }
    Ok(())
}

/// Adds the topics that are not there; whether that changed anything.
fn add_topics(file: &Connection, partitions: i32) -> rusqlite::Result<bool> {
    let partition = "INSERT INTO partitions (topic, partition) VALUES (?1, ?2)";
    let mut added = false;
    for &topic in Topic::ALL {
        if has(file, topic)? {
            continue;
        }
        let kept = if topic == Topic::Claims {
            CLAIMS_KEPT.0
        } else {
            -1
        };
        file.execute(
            "INSERT INTO topics VALUES (?1, ?2)",
            params![topic.name(), kept],
        )?;
        let of_topic = if topic.is_table() { 1 } else { partitions };
        for number in 0..of_topic {
            file.execute(partition, params![topic.name(), number])?;
        }
        file.execute_batch(&view(topic))?;
        added = true;
    }
    Ok(added)
}

/// Whether a topic is there: files that an earlier release made may be without some.
pub(super) fn has(file: &Connection, topic: Topic) -> rusqlite::Result<bool> {
    let asked = "SELECT 1 FROM topics WHERE topic = ?1";
    file.prepare_cached(asked)?.exists([topic.name()])
}

/// Whether that was not how long records are kept already.
fn set_retention(file: &Connection, retention_ms: i64) -> rusqlite::Result<bool> {
    let set = "UPDATE topics SET retention_ms = ?2 WHERE topic = ?1 AND retention_ms <> ?2";
    let mut changed = 0;
    let of_all = |topic: &&Topic| is_deleted(**topic) && **topic != Topic::Claims;
    for topic in Topic::ALL.iter().filter(of_all) {
        changed += file.execute(set, params![topic.name(), retention_ms])?;
    }
    Ok(changed > 0)
}

/// Whether records of a topic are deleted for their age; of the others the last ones are needed.
pub(super) fn is_deleted(topic: Topic) -> bool {
    !topic.is_table() && topic != Topic::Rounds
}

/// A topic to read and to append to.
fn view(topic: Topic) -> String {
    let here = format!("topic = '{topic}' AND partition = coalesce(NEW.partition, 0)");
    format!(
        r#"CREATE VIEW "{topic}" AS
  SELECT id, partition, "offset", time, CAST(key AS TEXT) AS key, value, headers
  FROM records WHERE topic = '{topic}';
CREATE TRIGGER "append to {topic}" INSTEAD OF INSERT ON "{topic}" BEGIN
  SELECT RAISE(ABORT, '{topic} has no such partition')
    WHERE NOT EXISTS (SELECT 1 FROM partitions WHERE {here});
  UPDATE state SET time = max(time, {NOW});
  INSERT INTO records (topic, partition, "offset", time, key, value, headers)
    SELECT topic, partition, next, (SELECT time FROM state),
      CAST(NEW.key AS BLOB), CAST(NEW.value AS BLOB), NEW.headers
    FROM partitions WHERE {here};
  UPDATE partitions SET next = next + 1 WHERE {here};
END;
CREATE TRIGGER "{topic} stays as it is" INSTEAD OF UPDATE ON "{topic}" BEGIN
  SELECT RAISE(ABORT, 'a record is never changed');
END;"#
    )
}

/// One transaction that writes: all of it or nothing.
pub(super) fn all_or_nothing<T>(
    file: &mut Connection,
    change: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = change(&transaction)?;
    transaction.commit()?;
    Ok(done)
}

/// The position of an input that is committed, and what goes with it.
pub(super) fn committed(
    file: &Connection,
    topic: Topic,
    partition: i32,
) -> rusqlite::Result<Option<(i64, String)>> {
    let asked = "SELECT next, metadata FROM positions WHERE topic = ?1 AND partition = ?2";
    let mut asked = file.prepare_cached(asked)?;
    let found = asked.query_row(params![topic.name(), partition], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    found.optional()
}

/// Every position that is committed: topic, partition, the position, and what goes with it.
pub(super) fn all_committed(
    file: &Connection,
) -> rusqlite::Result<Vec<(String, i32, i64, String)>> {
    let mut asked =
        file.prepare_cached("SELECT topic, partition, next, metadata FROM positions")?;
    let rows = asked.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    rows.collect()
}

/// Appends a record inside the caller's transaction, now or when it is told to be.
pub(super) fn append(
    file: &Connection,
    entry: &Entry<'_>,
    told: Option<i64>,
) -> rusqlite::Result<()> {
    let topic = entry.topic;
    if let Some(time) = told {
        return append_then(file, entry, time);
    }
    let insert = format!(
        r#"INSERT INTO "{topic}" (partition, key, value, headers) VALUES (?1, ?2, ?3, ?4)"#
    );
    let mut insert = file.prepare_cached(&insert)?;
    insert.execute(params![
        entry.partition,
        entry.key,
        entry.value,
        headers(entry.headers)
    ])?;
    Ok(())
}

/// What an insert into a topic's view does, at another time than now.
fn append_then(file: &Connection, entry: &Entry<'_>, time: i64) -> rusqlite::Result<()> {
    let Entry {
        topic, partition, ..
    } = *entry;
    let later = "UPDATE state SET time = max(time, ?1)";
    file.prepare_cached(later)?.execute([time])?;
    let insert = r#"INSERT INTO records (topic, partition, "offset", time, key, value, headers)
        SELECT topic, partition, next, (SELECT time FROM state), ?3, ?4, ?5
        FROM partitions WHERE topic = ?1 AND partition = ?2"#;
    file.prepare_cached(insert)?.execute(params![
        topic.name(),
        partition,
        entry.key,
        entry.value,
        headers(entry.headers)
    ])?;
    let next = "UPDATE partitions SET next = next + 1 WHERE topic = ?1 AND partition = ?2";
    let mut next = file.prepare_cached(next)?;
    next.execute(params![topic.name(), partition]).map(drop)
}

/// Headers as JSON; none if there are none.
fn headers(headers: &[(&str, &[u8])]) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    let text = |&(name, value): &(&str, &[u8])| {
        let value = String::from_utf8_lossy(value).into_owned();
        (name.to_owned(), serde_json::Value::String(value))
    };
    let object: serde_json::Map<_, _> = headers.iter().map(text).collect();
    Some(serde_json::Value::Object(object).to_string())
}

/// The time of the last record of all.
pub(super) fn now(file: &Connection) -> rusqlite::Result<i64> {
    let mut time = file.prepare_cached("SELECT time FROM state")?;
    time.query_row([], |row| row.get(0))
}

/// The offset of the next record of a partition.
pub(super) fn next(file: &Connection, topic: Topic, partition: i32) -> rusqlite::Result<i64> {
    let next = "SELECT next FROM partitions WHERE topic = ?1 AND partition = ?2";
    let mut next = file.prepare_cached(next)?;
    next.query_row(params![topic.name(), partition], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board(folder: &tempfile::TempDir) -> Blackboard {
        let (board, made) = Blackboard::make(&folder.path().join("log.db"), 3, -1).unwrap();
        assert_eq!(made, Made::Created);
        board
    }

    #[test]
    fn a_file_is_made_once_and_its_partitions_stay() {
        let folder = tempfile::tempdir().unwrap();
        board(&folder);
        let path = folder.path().join("log.db");
        let (again, made) = Blackboard::make(&path, 3, -1).unwrap();
        assert_eq!((made, again.partitions()), (Made::Unchanged, 3));
        let (_, made) = Blackboard::make(&path, 3, 1_000).unwrap();
        assert_eq!(made, Made::Altered);
        let error = Blackboard::make(&path, 4, -1).unwrap_err().to_string();
        assert!(error.contains("has 3 partitions"), "{error}");
    }

    #[test]
    fn topics_that_an_earlier_release_did_not_know_are_added() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = board(&folder);
        let file = earlier.writer().unwrap();
        file.execute_batch(
            "DROP VIEW claims; DELETE FROM topics WHERE topic = 'claims';
             DELETE FROM partitions WHERE topic = 'claims'",
        )
        .unwrap();
        assert_eq!(earlier.missing().unwrap(), [Topic::Claims]);
        let path = folder.path().join("log.db");
        let (board, made) = Blackboard::make(&path, 3, -1).unwrap();
        assert_eq!(made, Made::Added);
        assert!(board.missing().unwrap().is_empty());
        file.execute("INSERT INTO claims (partition, key) VALUES (2, 'k')", [])
            .unwrap();
        let kept = "SELECT retention_ms FROM topics WHERE topic = 'claims'";
        let kept: i64 = file.query_row(kept, [], |row| row.get(0)).unwrap();
        assert_eq!(kept, CLAIMS_KEPT.0);
    }

    #[test]
    fn what_is_no_blackboard_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let missing = Blackboard::open(&path).unwrap_err().to_string();
        assert!(missing.contains("topics apply"), "{missing}");
        Connection::open(&path)
            .unwrap()
            .execute_batch("CREATE TABLE mine (a)")
            .unwrap();
        for opened in [
            Blackboard::open(&path),
            Blackboard::make(&path, 1, -1).map(|(board, _)| board),
        ] {
            assert!(opened.unwrap_err().to_string().contains("no blackboard"));
        }
        std::fs::write(
            &path,
            "neither this, which is only some text of a certain length",
        )
        .unwrap();
        let error = Blackboard::open(&path).unwrap_err().to_string();
        assert!(error.contains("no blackboard"), "{error}");
    }

    #[test]
    fn rows_put_into_a_topic_get_offsets_and_times_that_never_go_back() {
        let folder = tempfile::tempdir().unwrap();
        let file = board(&folder).writer().unwrap();
        let ahead = "UPDATE state SET time = 9000000000000";
        let insert = r#"INSERT INTO "dead-letters" (partition, key, value) VALUES (2, 'k', x'00')"#;
        file.execute(insert, []).unwrap();
        file.execute(ahead, []).unwrap();
        file.execute(insert, []).unwrap();
        let rows = r#"SELECT "offset", time, key FROM "dead-letters" ORDER BY id"#;
        let mut rows = file.prepare(rows).unwrap();
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let rows: Vec<(i64, i64, String)> = rows
            .query_map([], read)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!((rows[0].0, rows[1].0), (0, 1));
        assert!(rows[0].1 > 1_700_000_000_000 && rows[1].1 == 9_000_000_000_000);
        assert_eq!(rows[1].2, "k");
    }

    #[test]
    fn what_would_break_the_log_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let file = board(&folder).writer().unwrap();
        let tell = |statement: &str| file.execute(statement, []).unwrap_err().to_string();
        let said = tell("INSERT INTO proposals (partition) VALUES (3)");
        assert!(said.contains("no such partition"), "{said}");
        file.execute("INSERT INTO proposals (key) VALUES ('k')", [])
            .unwrap();
        for statement in [
            "UPDATE records SET value = NULL",
            "UPDATE proposals SET key = 'x'",
        ] {
            assert!(tell(statement).contains("never changed"));
        }
        let said = tell("INSERT INTO proposals (headers) VALUES ('[]')");
        assert!(said.contains("CHECK"), "{said}");
    }
}
