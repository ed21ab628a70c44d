//! A history as one file: an Avro object container of what it is, its records, and an end that
//! vouches for them (`schemas/files/History.avsc`).
//!
//! It is written and read in one pass, a block at a time. A file that ends early, or of which a
//! byte was changed, is told by its end, which is a block of its own: how many entries there are,
//! and the digest of the file up to that block.

mod entry;
mod writer;

use std::io::BufRead;
use std::sync::LazyLock;

use quorate_core::ids::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};

use super::container::{Container, Fault};
use super::{Error, Kind, MAX_OUTPUT};
use entry::BRANCH;
pub use entry::{Entry, Header};
pub use writer::Writer;

/// The form of the file that this program writes and reads.
pub const FORMAT: i32 = 2;

/// The schema of a file's objects.
const TEXT: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/schemas/files/History.avsc"
));
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

/// What vouches for all that is before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    entries: i64,
    digest: Digest,
}

/// An object of a file, but for its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Object {
    #[serde(rename = "acp.v1.file.History")]
    History(History),
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
    #[error("it is of form {0}, and this program knows form {FORMAT} (file_form)")]
    Form(i32),
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

/// Reads a history from a file.
pub struct Reader<R: BufRead> {
    container: Container<R>,
    /// How many objects of the block are still to be read, and where the next one begins.
    left: i64,
    at: usize,
    history: History,
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
    /// [`FileError::Unknown`], [`FileError::Form`].
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
            entries: 0,
        };
        if !reader.is_more()? {
            return Err(FileError::Truncated(0));
        }
        match reader.object()? {
            Object::History(history) => reader.history = history,
            Object::End(_) => return Err(altered("it does not say what it is")),
        }
        if reader.history.format != FORMAT {
            return Err(FileError::Form(reader.history.format));
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
    pub fn entry(&mut self) -> Result<Option<Entry<'_>>, FileError> {
        if !self.is_more()? {
            return Err(FileError::Truncated(self.entries));
        }
        if rest(&self.container, self.at).first() != Some(&BRANCH) {
            return self.check().map(|()| None);
        }
        let (entry, length) = Entry::read(rest(&self.container, self.at))?;
        if length > LONGEST {
            return Err(altered("a record is longer than any may be"));
        }
        self.entries += 1;
        self.left -= 1;
        self.at += length;
        Ok(Some(entry))
    }

    /// Lets the end vouch for all that was read.
    fn check(&mut self) -> Result<(), FileError> {
        let is_alone = (self.left, self.at) == (1, 0);
        let Object::End(end) = self.object()? else {
            return Err(altered("it begins twice"));
        };
        if !is_alone {
            return Err(altered("its end is not a block of its own"));
        }
        if end.entries != self.entries || end.digest != self.container.before() {
            return Err(altered("its digest is that of another file"));
        }
        match self.is_more()? {
            false => Ok(()),
            true => Err(altered("something comes after its end")),
        }
    }

    /// Whether there is another object, at which it stands then.
    fn is_more(&mut self) -> Result<bool, FileError> {
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
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads an object that is no entry.
    fn object(&mut self) -> Result<Object, FileError> {
        let (object, length) = read(rest(&self.container, self.at))?;
        self.left -= 1;
        self.at += length;
        Ok(object)
    }
}

/// What of a block is still to be read.
fn rest<R: BufRead>(container: &Container<R>, at: usize) -> &[u8] {
    container.block().get(at..).unwrap_or_default()
}

/// Reads the first of several objects, which is no entry, and how many bytes it takes.
fn read(from: &[u8]) -> Result<(Object, usize), FileError> {
    let mut config = DeserializerConfig::new(&SCHEMA);
    config.max_seq_size = from.len();
    let mut state = DeserializerState::with_config(SliceRead::new(from), config);
    let object = Object::deserialize(state.deserializer()).map_err(altered)?;
    let mut rest = state.into_reader();
    let left = rest.fill_buf().map_or(0, <[u8]>::len);
    Ok((object, from.len() - left))
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

    fn entry(offset: i64) -> Entry<'static> {
        Entry {
            topic: "proposals",
            partition: 1,
            offset,
            timestamp: Some(Timestamp(1_000 + offset)),
            key: Some(b"k"),
            value: (offset != 2).then_some(&[b'v'; 300]),
            headers: vec![Header {
                key: "acp-tick",
                value: None,
            }],
        }
    }

    fn written(count: i64) -> Vec<u8> {
        let mut writer = Writer::begin(Vec::new(), history()).unwrap();
        (0..count).for_each(|offset| writer.put(&entry(offset)).unwrap());
        let (file, entries) = writer.end().unwrap();
        assert_eq!(entries, count);
        file
    }

    /// What a file is, and its entries in words.
    fn read(file: &[u8]) -> Result<(History, Vec<String>), FileError> {
        let mut reader = Reader::begin(file)?;
        let mut entries = Vec::new();
        while let Some(entry) = reader.entry()? {
            entries.push(format!("{entry:?}"));
        }
        Ok((reader.history().clone(), entries))
    }

    #[test]
    fn a_history_is_read_as_it_was_written() {
        let (head, entries) = read(&written(3)).unwrap();
        assert_eq!(head, history());
        let expected = (0..3).map(|offset| format!("{:?}", entry(offset)));
        assert_eq!(entries, expected.collect::<Vec<_>>());
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
        let sync = &file[file.len() - 16..];
        let markers = file.windows(16).enumerate();
        let markers = markers.filter(|(_, bytes)| *bytes == sync);
        let [.., (marker, _), _] = markers.collect::<Vec<_>>()[..] else {
            panic!("each block has its marker")
        };
        for at in 0..file.len() {
            for flip in [1, 0x80] {
                let mut other = file.clone();
                other[at] ^= flip;
                let Ok(found) = read(&other) else { continue };
                // The end itself may be packed in more than one way.
                assert!(at >= marker + 16, "{at}");
                assert_eq!(found, said, "{at}");
            }
        }
    }

    #[test]
    fn an_end_vouches_for_whole_blocks_alone() {
        let mut writer = Writer::begin(Vec::new(), history()).unwrap();
        writer.put(&entry(0)).unwrap();
        let (entries, digest) = (1, writer.container.inner().so_far());
        writer
            .container
            .serialize(Object::End(End { entries, digest }))
            .unwrap();
        let file = writer.container.into_inner().unwrap().file;
        let refused = read(&file).unwrap_err().to_string();
        assert!(refused.contains("block of its own"), "{refused}");
    }

    #[test]
    fn a_block_of_any_length_that_may_be_is_read_and_no_longer_one() {
        let long = vec![0; 3 * 1024 * 1024];
        let mut writer = Writer::begin(Vec::new(), history()).unwrap();
        let value = Some(&*long);
        writer.put(&Entry { value, ..entry(0) }).unwrap();
        let (file, _) = writer.end().unwrap();
        let mut reader = Reader::begin(&*file).unwrap();
        assert_eq!(reader.entry().unwrap().unwrap().value, value);
        assert_eq!(reader.entry().unwrap(), None);
        // Packed it is far shorter.
        let mut container = Container::begin(&*file, 1024 * 1024).unwrap();
        let refused = loop {
            match container.next() {
                Ok(block) => assert!(block.is_some(), "it is read"),
                Err(fault) => break fault.to_string(),
            }
        };
        assert!(refused.contains("longer than any may be"), "{refused}");
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
        assert!(matches!(read(&file), Err(FileError::Form(3))));
    }
}
