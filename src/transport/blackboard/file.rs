//! The file: made once, opened by whoever has a part in it.
//!
//! One statement appends a record, for us and for whoever writes SQL: an insert into the view of
//! its topic. It takes the offset and the time inside the writer's transaction, of which there is
//! one at a time, so that both are in the order in which records come to be seen.

use std::path::{Path, PathBuf};
use std::time::Duration;

use quorate_core::topic::Topic;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, OptionalExtension as _, TransactionBehavior, params,
};

use crate::transport::{Entry, Error};

/// "ACPb": what tells the file from others of SQLite.
const APPLICATION: i32 = i32::from_be_bytes(*b"ACPb");
/// Which form of the tables this program knows.
const VERSION: i32 = 1;
/// How long to wait for whoever writes.
const PATIENCE: Duration = Duration::from_secs(15);
/// The time now, in milliseconds since 1970; the same in all of one statement.
pub(super) const NOW: &str = "(CAST(strftime('%s', 'now') AS INTEGER) * 1000 \
     + CAST(substr(strftime('%f', 'now'), 4, 3) AS INTEGER))";

/// A log in a file on this machine.
#[derive(Clone, Debug)]
pub struct Blackboard {
    path: PathBuf,
    /// How many partitions the topics routed by proposal have.
    pub(super) partitions: i32,
}

/// What making a blackboard changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// The file and everything in it.
    Created,
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
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let mut file = connect(path, flags)?;
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
        let altered = set_retention(&file, retention_ms).map_err(sql("set the retention"))?;
        let change = match (made, altered) {
            (true, _) => Made::Created,
            (false, true) => Made::Altered,
            (false, false) => Made::Unchanged,
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
        let file = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        check(&file, path)?;
        let count = "SELECT count(*) FROM partitions WHERE topic = ?1";
        let partitions = file.query_row(count, [Topic::Proposals.name()], |row| row.get(0));
        Ok(Self {
            path: path.to_owned(),
            partitions: partitions.map_err(sql("count partitions"))?,
        })
    }

    /// How many partitions the topics routed by proposal have.
    #[must_use]
    pub const fn partitions(&self) -> i32 {
        self.partitions
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

    /// A connection that reads and writes.
    pub(super) fn writer(&self) -> Result<Connection, Error> {
        connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// A connection that only reads; to share the file's memory it has to be able to write there.
    pub(super) fn reader(&self) -> Result<Connection, Error> {
        let file = self.writer()?;
        let only = file.pragma_update(None, "query_only", true);
        only.map_err(sql("open the file to be read"))?;
        Ok(file)
    }
}

/// Wraps what SQLite says.
pub(super) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |source| Error::Log {
        doing: format!("{doing} of the blackboard"),
        source: Box::new(source),
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || -> rusqlite::Result<Connection> {
        let file = Connection::open_with_flags(path, flags)?;
        file.busy_timeout(PATIENCE)?;
        // What is committed is on the disk.
        file.pragma_update(None, "synchronous", "full")?;
        file.set_prepared_statement_cache_capacity(64);
        Ok(file)
    };
    open().map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => stranger(path),
        _ => Error::Log {
            doing: format!("open blackboard `{}`", path.display()),
            source: Box::new(error),
        },
    })
}

fn stranger(path: &Path) -> Error {
    Error::Unfit(format!("`{}` is no blackboard", path.display()))
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
    let partition = "INSERT INTO partitions (topic, partition) VALUES (?1, ?2)";
    for topic in Topic::ALL {
        file.execute("INSERT INTO topics VALUES (?1, -1)", [topic.name()])?;
        let of_topic = if topic.is_table() { 1 } else { partitions };
        for number in 0..of_topic {
            file.execute(partition, params![topic.name(), number])?;
        }
        file.execute_batch(&view(*topic))?;
    }
    for number in 0..partitions {
        file.execute("INSERT INTO owners (partition) VALUES (?1)", [number])?;
    }
    Ok(())
}

/// Whether that was not how long records are kept already.
fn set_retention(file: &Connection, retention_ms: i64) -> rusqlite::Result<bool> {
    let set = "UPDATE topics SET retention_ms = ?2 WHERE topic = ?1 AND retention_ms <> ?2";
    let mut changed = 0;
    for topic in Topic::ALL.iter().filter(|topic| is_deleted(**topic)) {
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

/// Appends a record inside the caller's transaction.
pub(super) fn append(file: &Connection, entry: &Entry<'_>) -> rusqlite::Result<()> {
    let topic = entry.topic;
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
