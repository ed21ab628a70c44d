//! Reads an Avro object container, one block at a time.
//!
//! A block is inflated whole, so that its objects are read from memory as they were written: what
//! is digested are the bytes themselves, and no object is copied to be decoded.

use std::io::{BufRead, ErrorKind, Read as _};

use flate2::{Decompress, FlushDecompress, Status};

/// What a container begins with.
const MAGIC: [u8; 4] = *b"Obj\x01";
/// Bytes that nothing in a container's header is longer than: a schema, most of all.
const HEADER_MAX: usize = 1024 * 1024;
/// Things a header may say.
const METADATA_MAX: usize = 64;

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

/// A container being read.
pub(super) struct Container<R> {
    from: R,
    /// The text of its schema.
    pub(super) schema: String,
    inflate: Option<Decompress>,
    sync: [u8; 16],
    /// Bytes that no block is longer than, inflated or not.
    longest: usize,
    packed: Vec<u8>,
    block: Vec<u8>,
}

impl<R: BufRead> Container<R> {
    /// Reads a container's header.
    pub(super) fn begin(mut from: R, longest: usize) -> Result<Self, Fault> {
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
        let inflate = match codec.as_deref() {
            Some(b"deflate") => Some(Decompress::new(false)),
            None | Some(b"null") => None,
            Some(_) => return Err(unsound("it is packed by neither `deflate` nor nothing")),
        };
        Ok(Self {
            schema: String::from_utf8(schema).map_err(unsound)?,
            sync: exactly(&mut from)?,
            from,
            inflate,
            longest,
            packed: Vec::new(),
            block: Vec::new(),
        })
    }

    /// The next block's objects, as bytes, and how many they are; none after the last.
    pub(super) fn next(&mut self) -> Result<Option<i64>, Fault> {
        self.block.clear();
        if self.from.fill_buf().map_err(read)?.is_empty() {
            return Ok(None);
        }
        let count = long(&mut self.from)?;
        let length = usize::try_from(long(&mut self.from)?).ok();
        let length = length.filter(|length| *length <= self.longest);
        let length = length.ok_or_else(|| unsound("a block is longer than any may be"))?;
        if count < 0 {
            return Err(unsound("a block has fewer objects than none"));
        }
        let into = match self.inflate {
            None => &mut self.block,
            Some(_) => &mut self.packed,
        };
        into.clear();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        let taken = self.from.by_ref().take(limit).read_to_end(into);
        if taken.map_err(read)? < length {
            return Err(Fault::Ended);
        }
        self.inflate()?;
        if exactly::<16>(&mut self.from)? != self.sync {
            return Err(unsound("a block does not end as the header says"));
        }
        Ok(Some(count))
    }

    /// The block that was read last.
    pub(super) fn block(&self) -> &[u8] {
        &self.block
    }

    fn inflate(&mut self) -> Result<(), Fault> {
        let Some(inflate) = &mut self.inflate else {
            return Ok(());
        };
        inflate.reset(false);
        loop {
            let taken = usize::try_from(inflate.total_in()).unwrap_or(usize::MAX);
            let rest = self.packed.get(taken..).unwrap_or_default();
            if self.block.len() == self.block.capacity() {
                if self.block.len() >= self.longest {
                    return Err(unsound("a block is longer than any may be"));
                }
                self.block.reserve(self.block.len().max(64 * 1024));
            }
            let before = (inflate.total_in(), self.block.len());
            let status = inflate.decompress_vec(rest, &mut self.block, FlushDecompress::None);
            let is_over = status.map_err(unsound)? == Status::StreamEnd;
            if is_over && inflate.total_in() == self.packed.len() as u64 {
                return Ok(());
            }
            let is_stuck = before == (inflate.total_in(), self.block.len());
            if is_over || is_stuck && self.block.len() < self.block.capacity() {
                return Err(unsound("a block cannot be unpacked"));
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

fn exactly<const N: usize>(from: &mut impl BufRead) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes).map_err(read)?;
    Ok(bytes)
}

/// A number as Avro writes it: seven bits a byte, zigzag.
fn long(from: &mut impl BufRead) -> Result<i64, Fault> {
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

fn bytes(from: &mut impl BufRead) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(long(from)?).ok();
    let length = length.filter(|length| *length <= HEADER_MAX);
    let length = length.ok_or_else(|| unsound("its header is longer than any may be"))?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).map_err(read)?;
    Ok(bytes)
}
