//! Connections to the file, and what it means where there is none to be had.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use crate::transport::{Error, Hindrance};

/// How long to wait for whoever writes.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long to wait before trying again; left to SQLite it would come to a tenth of a second, when
/// most who write are done in a hundredth.
const PAUSE: Duration = Duration::from_millis(1);
/// How long a file that nobody can write to is taken to stay as it is.
const FROZEN: Duration = Duration::from_secs(1);

/// A connection that reads and writes, to a file that is there or may be made.
pub(super) fn writer(path: &Path, makes: bool) -> Result<Connection, Error> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, makes);
    let mut file = opened(path, path, flags)?;
    if !may_write(&file) {
        let read_only = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(refused(
            path,
            rusqlite::Error::SqliteFailure(read_only, None),
        ));
    }
    match set_up(&mut file) {
        Ok(()) => Ok(file),
        Err(error) => Err(refused(path, error)),
    }
}

/// ORDER: asked before anything is read. What SQLite makes beside a file to read it has the mode of
/// that file, and would keep everybody from writing when the file may be written again.
fn may_write(file: &Connection) -> bool {
    file.is_readonly(MAIN_DB).is_ok_and(|read_only| !read_only)
}

/// A connection that only reads.
#[derive(Debug)]
pub(super) struct Reads {
    pub(super) file: Connection,
    /// Since when it shows the file as it was then, which nobody could write to.
    frozen: Option<Instant>,
}

impl Reads {
    /// To share the file with those who write it, a reader has to write beside it, too. Where it
    /// may not, and nobody has the file open for writing, it is read as it lies there.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let mut file = opened(path, path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        if !may_write(&file) && !is_shared(path) {
            return Self::as_it_lies(path);
        }
        let shared = set_up(&mut file)
            .and_then(|()| file.pragma_update(None, "query_only", true))
            .and_then(|()| file.pragma_query_value(None, "application_id", |_| Ok(())));
        match shared {
            Ok(()) => Ok(Self { file, frozen: None }),
            // It may be written, but not the folder.
            Err(error) if hindrance(&error).is_some() && !is_shared(path) => Self::as_it_lies(path),
            Err(error) => Err(refused(path, error)),
        }
    }

    fn as_it_lies(path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let mut file = opened(path, &immutable(path), flags)?;
        set_up(&mut file).map_err(|error| refused(path, error))?;
        tracing::debug!(path = %path.display(), "read as it lies, since it may not be written");
        let frozen = Some(Instant::now());
        Ok(Self { file, frozen })
    }

    /// Opens a file anew that may have thawed or changed by now; whether it did.
    pub(super) fn thaw(&mut self, path: &Path) -> Result<bool, Error> {
        if self.frozen.is_none_or(|since| since.elapsed() < FROZEN) {
            return Ok(false);
        }
        *self = Self::open(path)?;
        Ok(true)
    }
}

/// Whether there is what those who have it open for writing share.
fn is_shared(path: &Path) -> bool {
    beside(path, "-wal").exists()
}

/// What SQLite keeps beside the file.
pub(super) fn beside(path: &Path, which: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(which);
    name.into()
}

/// A file as SQLite is told that it does not change.
fn immutable(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02x}"));
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

/// SQLite alone opens the file: whoever else closes it lets go of the locks of the whole process.
fn opened(path: &Path, named: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let opened = Connection::open_with_flags(named, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    opened.map_err(|error| refused(path, error))
}

fn refused(path: &Path, error: rusqlite::Error) -> Error {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => stranger(path),
        _ => failed(format!("open blackboard `{}`", path.display()), error),
    }
}

/// Whether to try again to write, for the time of that number.
fn wait_for_whoever_writes(tried: i32) -> bool {
    let is_patient = PAUSE * tried.unsigned_abs() < PATIENCE;
    if is_patient {
        thread::sleep(PAUSE);
    }
    is_patient
}

fn set_up(file: &mut Connection) -> rusqlite::Result<()> {
    file.busy_handler(Some(wait_for_whoever_writes))?;
    // What is committed is on the disk.
    file.pragma_update(None, "synchronous", "full")?;
    file.set_prepared_statement_cache_capacity(64);
    Ok(())
}

pub(super) fn stranger(path: &Path) -> Error {
    Error::Unfit(format!("`{}` is no blackboard", path.display()))
}

/// Wraps what SQLite says.
pub(super) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| failed(format!("{doing} of the blackboard"), error)
}

fn failed(doing: String, error: rusqlite::Error) -> Error {
    let hindrance = hindrance(&error);
    let source = Box::new(error);
    match hindrance {
        Some(hindrance) => Error::Unwritable {
            doing,
            hindrance,
            source,
        },
        None => Error::Log { doing, source },
    }
}

/// What keeps the file from being written, if that is what went wrong.
fn hindrance(error: &rusqlite::Error) -> Option<Hindrance> {
    match error.sqlite_error_code()? {
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Some(Hindrance::ReadOnly),
        ErrorCode::DiskFull => Some(Hindrance::Full),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_writes_is_waited_for_and_not_for_ever() {
        assert!(wait_for_whoever_writes(0));
        let tries = PATIENCE.as_millis() / PAUSE.as_millis();
        assert!(!wait_for_whoever_writes(i32::try_from(tries).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.db");
        let holds = writer(&path, true).unwrap();
        holds.execute_batch("CREATE TABLE a (b)").unwrap();
        holds.execute_batch("BEGIN IMMEDIATE").unwrap();
        let waits = thread::spawn(move || {
            let waits = writer(&path, false).unwrap();
            waits.execute_batch("BEGIN IMMEDIATE; ROLLBACK")
        });
        thread::yield_now();
        holds.execute_batch("ROLLBACK").unwrap();
        waits.join().unwrap().unwrap();
    }

    #[test]
    fn a_place_may_be_called_as_it_likes() {
        let named = immutable(Path::new("/a b/50%?#.db"));
        assert_eq!(named, Path::new("file:/a%20b/50%25%3f%23.db?immutable=1"));
    }
}
