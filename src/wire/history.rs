//! A history as one file: an Avro object container of what it is, its records, and an end that
//! vouches for them (`schemas/files/History.avsc`).
//!
//! It is written and read in one pass, a block at a time. A file that ends early, or of which a
//! byte was changed, is told by its end: how many entries there are, and the digest of all.

use std::io::{BufRead, Write};
use std::sync::LazyLock;

use quorate_core::ids::{Bytes, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::object_container_file_encoding as container;
use serde_avro_fast::ser::SerializerConfig;
use sha2::{Digest as _, Sha256};

use super::container::{Container, Fault};
use super::{Error, Kind, MAX_OUTPUT};

/// The form of the file that this program writes and reads.
pub const FORMAT: i32 = 1;

/// The schema of a file's objects.
const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/schemas/files/History.avsc"
));
/// Bytes of a block before it is compressed.
const BLOCK: u32 = 256 * 1024;
/// Bytes that nothing of a file is longer than: a record with its headers, or what it begins with.
const LONGEST: usize = 4 * MAX_OUTPUT;

#[expect(clippy::expect_used, reason = "built-in text, which a test parses")]
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| TEXT.parse().expect("the schema of files is sound"));

/// What an exported history is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Form of the file.
    pub format: i32,
    /// Program that wrote it, with its version.
    pub program: String,
    /// By the clock of whoever exported.
    pub exported_at: Timestamp,
    /// Where it lay: `kafka` or `blackboard`.
    pub transport: String,
    /// What the names of topics began with there.
    pub prefix: String,
    /// How many partitions the topics routed by proposal have.
    pub partitions: i32,
    /// Records of inputs and outputs appended before it are left out.
    pub from: Option<Timestamp>,
    /// Those appended at it or later are left out.
    pub to: Option<Timestamp>,
    /// The partitions that are here.
    pub parts: Vec<Part>,
    /// Every schema that was ever released.
    pub schemas: Vec<Released>,
}

/// A partition of a topic that is in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its topic's name without prefix.
    pub topic: String,
    /// Its number.
    pub partition: i32,
    /// First offset that was still there.
    pub start: i64,
    /// Offset after the last committed record.
    pub end: i64,
}

/// A schema that was released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// The record's name.
    pub record: String,
    /// Its text.
    pub schema: String,
}

/// A record as it lay on the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its topic's name without prefix.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its append time; none where the topic does not stamp it.
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value, framing header included.
    pub value: Option<Bytes>,
    /// Its headers in their order.
    pub headers: Vec<Header>,
}

/// A header of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: Option<Bytes>,
}

/// What vouches for all that is before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    entries: i64,
    digest: Digest,
}

/// An object of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Object {
    #[serde(rename = "acp.v1.file.History")]
    History(History),
    #[serde(rename = "acp.v1.file.Entry")]
    Entry(Entry),
    #[serde(rename = "acp.v1.file.End")]
    End(End),
}

/// Why a file is not a history that can be relied on.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is something else.
    #[error("it is not an exported history (file_unknown)")]
    Unknown(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It is of a form that this program does not know.
    #[error("it is of form {0}, and this program knows form {FORMAT} (file_newer)")]
    Newer(i32),
    /// It ends before its end.
    #[error("it ends early, after {0} records (file_truncated)")]
    Truncated(i64),
    /// It is not as it was written.
    #[error("it was altered after it was written: {0} (file_altered)")]
    Altered(String),
    /// It cannot be written.
    #[error("cannot write it: {0}")]
    Unwritten(String),
}

impl History {
    /// Every schema that was ever released, for a file's beginning.
    #[must_use]
    pub fn released() -> Vec<Released> {
        let released = |kind: &Kind| {
            let record = kind.name();
            let texts = kind.released().iter();
            texts.map(move |text| Released {
                record: record.to_owned(),
                schema: (*text).to_owned(),
            })
        };
        Kind::ALL.iter().flat_map(released).collect()
    }
}

/// Writes a history to a file.
pub struct Writer<W: Write> {
    container: container::Writer<'static, 'static, W>,
    config: SerializerConfig<'static>,
    digest: Sha256,
    entries: i64,
    buffer: Vec<u8>,
}

impl<W: Write> std::fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.entries;
        f.debug_struct("Writer").field("entries", &entries).finish()
    }
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// [`FileError::Unwritten`].
    pub fn begin(into: W, history: History) -> Result<Self, FileError> {
        let config = || SerializerConfig::new(&SCHEMA);
        let builder = container::WriterBuilder::with_owned_config(config());
        let deflate = container::Compression::Deflate {
            level: container::CompressionLevel::new(6),
        };
        let builder = builder.compression(deflate).approx_block_size(BLOCK);
        let mut writer = Self {
            container: builder.build(into).map_err(unwritten)?,
            config: config(),
            digest: Sha256::new(),
            entries: 0,
            buffer: Vec::new(),
        };
        writer.push(&Object::History(history))?;
        Ok(writer)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`FileError::Unwritten`].
    pub fn put(&mut self, entry: Entry) -> Result<(), FileError> {
        self.entries += 1;
        self.push(&Object::Entry(entry))
    }

    /// Ends the file; how many records it has.
    ///
    /// # Errors
    /// [`FileError::Unwritten`].
    pub fn end(mut self) -> Result<(W, i64), FileError> {
        let entries = self.entries;
        let digest = Digest(std::mem::take(&mut self.digest).finalize().into());
        self.push(&Object::End(End { entries, digest }))?;
        let mut into = self.container.into_inner().map_err(unwritten)?;
        into.flush().map_err(unwritten)?;
        Ok((into, entries))
    }

    fn push(&mut self, object: &Object) -> Result<(), FileError> {
        let buffer = std::mem::take(&mut self.buffer);
        let datum = serde_avro_fast::to_datum(object, buffer, &mut self.config);
        let mut datum = datum.map_err(unwritten)?;
        self.digest.update(&datum);
        let pushed = self.container.push_serialized(&datum, 1);
        datum.clear();
        self.buffer = datum;
        pushed.map_err(unwritten)
    }
}

/// Reads a history from a file.
pub struct Reader<R: BufRead> {
    container: Container<R>,
    /// How many objects of the block are still to be read, and where the next one begins.
    left: i64,
    at: usize,
    history: History,
    digest: Sha256,
    entries: i64,
}

impl<R: BufRead> std::fmt::Debug for Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let entries = self.entries;
        f.debug_struct("Reader").field("entries", &entries).finish()
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads what a file is.
    ///
    /// # Errors
    /// [`FileError::Unknown`], [`FileError::Newer`].
    pub fn begin(from: R) -> Result<Self, FileError> {
        let container = Container::begin(from, 2 * LONGEST);
        let container = container.map_err(|fault| FileError::Unknown(fault.into()))?;
        let schema = container.schema.parse::<Schema>();
        let schema = schema.map_err(|error| FileError::Unknown(error.into()))?;
        if schema.rabin_fingerprint() != SCHEMA.rabin_fingerprint() {
            let why = Error::unknown("its objects have another schema");
            return Err(FileError::Unknown(why.into()));
        }
        let mut reader = Self {
            container,
            left: 0,
            at: 0,
            history: History::default(),
            digest: Sha256::new(),
            entries: 0,
        };
        match reader.object()? {
            Some(Object::History(history)) => reader.history = history,
            Some(_) => return Err(altered("it does not say what it is")),
            None => return Err(FileError::Truncated(0)),
        }
        if reader.history.format != FORMAT {
            return Err(FileError::Newer(reader.history.format));
        }
        Ok(reader)
    }

    /// What it is.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The next record; none once the end has vouched for all of them.
    ///
    /// # Errors
    /// [`FileError::Truncated`], [`FileError::Altered`]: nothing that was read may be relied on.
    pub fn entry(&mut self) -> Result<Option<Entry>, FileError> {
        match self.object()? {
            Some(Object::Entry(entry)) => {
                self.entries += 1;
                Ok(Some(entry))
            }
            Some(Object::End(end)) => self.check(&end).map(|()| None),
            Some(Object::History(_)) => Err(altered("it begins twice")),
            None => Err(FileError::Truncated(self.entries)),
        }
    }

    fn check(&mut self, end: &End) -> Result<(), FileError> {
        let digest = Digest(std::mem::take(&mut self.digest).finalize().into());
        if (end.entries, end.digest) != (self.entries, digest) {
            return Err(altered("its digest is that of other records"));
        }
        match self.object()? {
            None => Ok(()),
            Some(_) => Err(altered("something comes after its end")),
        }
    }

    /// Reads an object, and takes it into the digest as it was written, unless it is the end.
    fn object(&mut self) -> Result<Option<Object>, FileError> {
        while self.left == 0 {
            if self.at < self.container.block().len() {
                return Err(altered("a block is longer than its objects"));
            }
            self.at = 0;
            let entries = self.entries;
            let next = self.container.next().map_err(|fault| match fault {
                Fault::Ended => FileError::Truncated(entries),
                Fault::Unsound(why) => altered(why),
            });
            match next? {
                Some(count) => self.left = count,
                None => return Ok(None),
            }
        }
        let rest = self.container.block().get(self.at..).unwrap_or_default();
        let (object, length) = read(rest)?;
        if length > LONGEST {
            return Err(altered("a record is longer than any may be"));
        }
        if !matches!(object, Object::End(_)) {
            self.digest.update(rest.get(..length).unwrap_or_default());
        }
        self.left -= 1;
        self.at += length;
        Ok(Some(object))
    }
}

/// Reads the first of several objects, and how many bytes it takes.
fn read(from: &[u8]) -> Result<(Object, usize), FileError> {
    let mut config = DeserializerConfig::new(&SCHEMA);
    config.max_seq_size = from.len();
    let mut state = DeserializerState::with_config(SliceRead::new(from), config);
    let object = Object::deserialize(state.deserializer()).map_err(altered)?;
    let mut rest = state.into_reader();
    let left = rest.fill_buf().map_or(0, <[u8]>::len);
    Ok((object, from.len() - left))
}

fn unwritten(error: impl std::fmt::Display) -> FileError {
    FileError::Unwritten(error.to_string())
}

fn altered(why: impl std::fmt::Display) -> FileError {
    FileError::Altered(why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History {
            format: FORMAT,
            program: "test".to_owned(),
            exported_at: Timestamp(7),
            transport: "blackboard".to_owned(),
            prefix: String::new(),
            partitions: 2,
            from: None,
            to: Some(Timestamp(9)),
            parts: vec![Part {
                topic: "proposals".to_owned(),
                partition: 1,
                start: 0,
                end: 3,
            }],
            schemas: Vec::new(),
        }
    }

    fn entry(offset: i64) -> Entry {
        let bytes = |text: &str| Some(Bytes(text.as_bytes().to_vec()));
        Entry {
            topic: "proposals".to_owned(),
            partition: 1,
            offset,
            timestamp: Some(Timestamp(1_000 + offset)),
            key: bytes("k"),
            value: (offset != 2).then(|| Bytes(vec![b'v'; 300])),
            headers: vec![Header {
                key: "acp-tick".to_owned(),
                value: None,
            }],
        }
    }

    fn written(count: i64) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), history()).unwrap();
        (0..count).for_each(|offset| writer.put(entry(offset)).unwrap());
        let (file, entries) = writer.end().unwrap();
        assert_eq!(entries, count);
        file
    }

    fn read(file: &[u8]) -> Result<(History, Vec<Entry>), FileError> {
        let mut reader = Reader::begin(file)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.entry()? {
            entries.push(entry);
        }
        Ok((reader.history().clone(), entries))
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let (head, entries) = read(&written(3)).unwrap();
        assert_eq!(head, history());
        assert_eq!(entries, (0..3).map(entry).collect::<Vec<_>>());
        // Longer than a block.
        assert_eq!(read(&written(5_000)).unwrap().1.len(), 5_000);
    }

    #[test]
    fn a_file_that_ends_early_is_refused_wherever_it_does() {
        let file = written(3);
        let refused = (0..file.len()).map(|length| read(&file[..length]).unwrap_err());
        let truncated = refused.filter(|error| matches!(error, FileError::Truncated(_)));
        // The first block is that of the head; what is cut before it is no such file.
        assert!(truncated.count() > 50);
    }

    #[test]
    fn a_file_of_which_a_byte_was_changed_is_refused_or_says_the_same() {
        let file = written(3);
        let said = read(&file).unwrap();
        let mut refused = 0;
        for at in 0..file.len() {
            for flip in [1, 0x80] {
                let mut other = file.clone();
                other[at] ^= flip;
                match read(&other) {
                    // What is in words about the schema.
                    Ok(found) => assert_eq!(found, said, "{at}"),
                    Err(_) => refused += 1,
                }
            }
        }
        assert!(refused > 600, "{refused}");
    }

    #[test]
    fn what_is_appended_to_a_file_or_taken_out_of_it_is_noticed() {
        let mut twice = written(3);
        let head = written(0);
        let block = &twice.clone()[head.len() - 1..];
        twice.extend(block);
        assert!(read(&twice).is_err());
        assert!(matches!(
            read(b"nothing of the kind"),
            Err(FileError::Unknown(_))
        ));
        let newer = History {
            format: FORMAT + 1,
            ..history()
        };
        let (file, _) = Writer::begin(Vec::new(), newer).unwrap().end().unwrap();
        assert!(matches!(read(&file), Err(FileError::Newer(2))));
    }
}
