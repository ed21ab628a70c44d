//! Writes a history to a file.

use std::io::Write;

use serde_avro_fast::object_container_file_encoding as container;
use serde_avro_fast::ser::SerializerConfig;

use super::{End, Entry, FileError, History, Object, SCHEMA};
use crate::wire::container::Digested;

/// Bytes of a block before it is compressed.
const BLOCK: u32 = 256 * 1024;

/// Writes a history to a file.
pub struct Writer<W: Write> {
    pub(super) container: container::Writer<'static, 'static, Digested<W>>,
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
        let config = SerializerConfig::new(&SCHEMA);
        let builder = container::WriterBuilder::with_owned_config(config);
        let deflate = container::Compression::Deflate {
            level: container::CompressionLevel::new(6),
        };
        let builder = builder.compression(deflate).approx_block_size(BLOCK);
        let container = builder.build(Digested::new(into));
        let mut writer = Self {
            container: container.map_err(unwritten)?,
            entries: 0,
            buffer: Vec::new(),
        };
        let begun = writer.container.serialize(Object::History(history));
        begun.map_err(unwritten)?;
        Ok(writer)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`FileError::Unwritten`].
    pub fn put(&mut self, entry: &Entry<'_>) -> Result<(), FileError> {
        self.entries += 1;
        self.buffer.clear();
        entry.write(&mut self.buffer);
        let pushed = self.container.push_serialized(&self.buffer, 1);
        pushed.map_err(unwritten)
    }

    /// Ends the file; how many records it has.
    ///
    /// # Errors
    /// [`FileError::Unwritten`].
    pub fn end(mut self) -> Result<(W, i64), FileError> {
        let entries = self.entries;
        self.container.finish_block().map_err(unwritten)?;
        let digest = self.container.inner().so_far();
        let end = Object::End(End { entries, digest });
        self.container.serialize(end).map_err(unwritten)?;
        let mut into = self.container.into_inner().map_err(unwritten)?;
        into.flush().map_err(unwritten)?;
        Ok((into.file, entries))
    }
}

fn unwritten(error: impl std::fmt::Display) -> FileError {
    FileError::Unwritten(error.to_string())
}
