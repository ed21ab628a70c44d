//! A history in a file.

use std::io::BufReader;
use std::path::Path;

use quorate_core::topic::Topic;

use super::{About, Error, History, Range};
use crate::transport::{Header, Stored};
use crate::wire::history::{self as wire, FileError};

/// Bytes read at a time.
const BUFFER: usize = 1024 * 1024;

/// A history in a file.
#[derive(Debug)]
pub struct File {
    path: String,
    reader: wire::Reader<BufReader<std::fs::File>>,
    about: About,
}

impl File {
    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Disk`], [`Error::File`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let named = path.display().to_string();
        let file = std::fs::File::open(path).map_err(|source| Error::Disk {
            doing: "open",
            path: named.clone(),
            source,
        })?;
        let unfit = |source| Error::File {
            path: named.clone(),
            source,
        };
        let reader = wire::Reader::begin(BufReader::with_capacity(BUFFER, file)).map_err(unfit)?;
        let history = reader.history();
        let about = About {
            partitions: history.partitions,
            prefix: history.prefix.clone(),
            read_at: history.exported_at,
            range: Range {
                from: history.from,
                to: history.to,
            },
            parts: history.parts.clone(),
        };
        if !(1..=i32::from(i16::MAX)).contains(&about.partitions) {
            let why = format!("it has {} partitions", about.partitions);
            return Err(unfit(FileError::Altered(why)));
        }
        Ok(Self {
            path: named,
            reader,
            about,
        })
    }

    /// What it says of itself.
    #[must_use]
    pub const fn history(&self) -> &wire::History {
        self.reader.history()
    }
}

impl History for File {
    fn about(&self) -> &About {
        &self.about
    }

    fn each(&mut self, each: &mut dyn FnMut(&Stored) -> Result<(), Error>) -> Result<(), Error> {
        let Self {
            path,
            reader,
            about,
        } = self;
        let unfit = |source| Error::File {
            path: path.clone(),
            source,
        };
        let mut room = Room::default();
        while let Some(entry) = reader.entry().map_err(unfit)? {
            let stored = stored(entry, about.partitions, &mut room).map_err(unfit)?;
            each(&stored)?;
            room = Room {
                key: stored.key.or(room.key),
                value: stored.value.or(room.value),
            };
        }
        Ok(())
    }
}

/// Where keys and values are put, one after the other.
#[derive(Default)]
struct Room {
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

/// Bytes, where others were.
fn refilled(room: &mut Option<Vec<u8>>, bytes: &[u8]) -> Vec<u8> {
    let mut room = room.take().unwrap_or_default();
    room.clear();
    room.extend_from_slice(bytes);
    room
}

/// A record of the log as a file has it.
fn stored(entry: wire::Entry<'_>, partitions: i32, room: &mut Room) -> Result<Stored, FileError> {
    let unknown = || FileError::Altered(format!("it has a record of `{}`", entry.topic));
    let topic = Topic::named(entry.topic).ok_or_else(unknown)?;
    let partitions = if topic.is_table() { 1 } else { partitions };
    if !(0..partitions).contains(&entry.partition) || entry.offset < 0 {
        return Err(unknown());
    }
    let header = |header: wire::Header<'_>| Header {
        key: header.key.to_owned(),
        value: header.value.map(<[u8]>::to_vec),
    };
    let stored = Stored {
        topic,
        partition: entry.partition,
        offset: entry.offset,
        timestamp: entry.timestamp,
        key: entry.key.map(|key| refilled(&mut room.key, key)),
        value: entry.value.map(|value| refilled(&mut room.value, value)),
        control: false,
        forwarded: false,
        traceparent: None,
        headers: Vec::new(),
    };
    if entry.headers.is_empty() {
        return Ok(stored);
    }
    Ok(stored.with_headers(entry.headers.into_iter().map(header).collect()))
}

/// A record of the log as a file takes it.
pub(super) fn entry(stored: &Stored) -> wire::Entry<'_> {
    fn header(header: &Header) -> wire::Header<'_> {
        wire::Header {
            key: &header.key,
            value: header.value.as_deref(),
        }
    }
    wire::Entry {
        topic: stored.topic.name(),
        partition: stored.partition,
        offset: stored.offset,
        timestamp: stored.timestamp,
        key: stored.key.as_deref(),
        value: stored.value.as_deref(),
        headers: stored.headers.iter().map(header).collect(),
    }
}
