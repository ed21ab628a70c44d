//! Reads an Avro object container, one block at a time.
//!
//! A block is inflated whole, so that its objects are read from memory as they were written, and
//! none is copied to be decoded. What is digested is the file as it lies: packed it is a third.

use std::io::{BufRead, ErrorKind, Read, Write};

use libdeflater::{DecompressionError, Decompressor};
use quorate_core::ids::Digest;
use sha2::{Digest as _, Sha256};

/// What a container begins with.
const MAGIC: [u8; 4] = *b"Obj\x01";
/// Bytes that nothing in a container's header is longer than: a schema, most of all.
const HEADER_MAX: usize = 1024 * 1024;
/// Things a header may say.
const METADATA_MAX: usize = 64;
/// Room for an inflated block at first, in bytes.
const ROOM: usize = 512 * 1024;

/// Why a container cannot be read further.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It ends within something.
    #[error("it ends early")]
    Ended,
    /// It is not what it must be.
    #[error("{0}")]
    Unsound(String),
}

/// A file of which all that was read or written is digested.
pub(super) struct Digested<F> {
    pub(super) file: F,
    digest: Sha256,
}

impl<F> Digested<F> {
    pub(super) fn new(file: F) -> Self {
        let digest = Sha256::new();
        Self { file, digest }
    }

    /// The digest of the file up to here.
    pub(super) fn so_far(&self) -> Digest {
        Digest(self.digest.clone().finalize().into())
    }
}

impl<R: Read> Read for Digested<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.file.read(into)?;
        self.digest.update(into.get(..length).unwrap_or_default());
        Ok(length)
    }
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.digest.update(bytes.get(..length).unwrap_or_default());
        Ok(length)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

/// A container being read.
pub(super) struct Container<R> {
    from: Digested<R>,
    /// The text of its schema.
    pub(super) schema: String,
    inflate: Decompressor,
    sync: [u8; 16],
    /// Bytes that no block is longer than, inflated or not.
    longest: usize,
    /// The file up to the block that was read last.
    before: Digest,
    packed: Vec<u8>,
    /// Room for a block, of which the last one takes as much as its length.
    room: Vec<u8>,
    length: usize,
}

impl<R: BufRead> Container<R> {
    /// Reads a container's header.
    pub(super) fn begin(from: R, longest: usize) -> Result<Self, Fault> {
        let mut from = Digested::new(from);
        if exactly::<4>(&mut from)? != MAGIC {
            return Err(unsound("it does not begin as a container does"));
        }
        let (mut schema, mut codec, mut said) = (None, None, 0);
        loop {
            let count = long(&mut from)?;
            if count == 0 {
                break;
            }
            if count < 0 {
                // Readers that skip are told how many bytes there are.
                long(&mut from)?;
            }
            for _ in 0..count.unsigned_abs() {
                said += 1;
                if said > METADATA_MAX {
                    return Err(unsound("its header says too much"));
                }
                let (name, value) = (bytes(&mut from)?, bytes(&mut from)?);
                match &*name {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = Some(value),
                    _ => {}
                }
            }
        }
        let schema = schema.ok_or_else(|| unsound("it has no schema"))?;
        if codec.as_deref() != Some(b"deflate") {
            return Err(unsound("it is not packed by `deflate`"));
        }
        Ok(Self {
            schema: String::from_utf8(schema).map_err(unsound)?,
            sync: exactly(&mut from)?,
            before: from.so_far(),
            from,
            inflate: Decompressor::new(),
            longest,
            packed: Vec::new(),
            room: Vec::new(),
            length: 0,
        })
    }

    /// The next block's objects, as bytes, and how many they are; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<i64>, Fault> {
        self.length = 0;
        if self.from.file.fill_buf().map_err(read)?.is_empty() {
            return Ok(None);
        }
        self.before = self.from.so_far();
        let count = long(&mut self.from)?;
        let length = usize::try_from(long(&mut self.from)?).ok();
        let length = length.filter(|length| *length <= self.longest);
        let length = length.ok_or_else(|| unsound("a block is longer than any may be"))?;
        if count < 0 {
            return Err(unsound("a block has fewer objects than none"));
        }
        self.packed.resize(length, 0);
        self.from.read_exact(&mut self.packed).map_err(read)?;
        self.inflate()?;
        if exactly::<16>(&mut self.from)? != self.sync {
            return Err(unsound("a block does not end as the header says"));
        }
        Ok(Some(count))
    }

    /// The block that was read last.
    pub(super) fn block(&self) -> &[u8] {
        self.room.get(..self.length).unwrap_or_default()
    }

    /// The digest of the file up to the block that was read last.
    pub(super) const fn before(&self) -> Digest {
        self.before
    }

    fn inflate(&mut self) -> Result<(), Fault> {
        loop {
            let inflated = self
                .inflate
                .deflate_decompress(&self.packed, &mut self.room);
            match inflated {
                Ok(length) => {
                    self.length = length;
                    return Ok(());
                }
                Err(DecompressionError::BadData) => {
                    return Err(unsound("a block cannot be unpacked"));
                }
                Err(DecompressionError::InsufficientSpace) if self.room.len() >= self.longest => {
                    return Err(unsound("a block is longer than any may be"));
                }
                Err(DecompressionError::InsufficientSpace) => {
                    let more = (2 * self.room.len()).max(ROOM);
                    self.room.resize(more.min(self.longest), 0);
                }
            }
        }
    }
}

fn unsound(why: impl std::fmt::Display) -> Fault {
    Fault::Unsound(why.to_string())
}

fn read(error: std::io::Error) -> Fault {
    match error.kind() {
        ErrorKind::UnexpectedEof => Fault::Ended,
        _ => unsound(error),
    }
}

fn exactly<const N: usize>(from: &mut impl Read) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(read)?;
    Ok(bytes)
}

/// A number as Avro writes it: seven bits a byte, zigzag.
fn long(from: &mut impl Read) -> Result<i64, Fault> {
    let mut number: u64 = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = exactly(from)?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed());
        }
    }
    Err(unsound("a number does not end"))
}

fn bytes(from: &mut impl Read) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(long(from)?).ok();
    let length = length.filter(|length| *length <= HEADER_MAX);
    let length = length.ok_or_else(|| unsound("its header is longer than any may be"))?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(read)?;
    Ok(bytes)
}
