//! An escalated round in few bytes: its package repeats the decision, the proposal and, in words,
//! what people and models say again and again.

use std::fmt;

use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};
use quorate_core::records::Round;

/// Bytes of memory that are kept for the next round.
const ROOM_MAX: usize = 1 << 20;

/// A round that waits for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    /// Its size unpacked, four bytes, little end first; then LZ4.
    Small(Box<[u8]>),
    /// As it is: it would lose something.
    Whole(Box<Round>),
}

/// What packing needs besides, kept for the next round.
#[derive(Default)]
pub struct Packer {
    table: CompressTable,
    whole: Vec<u8>,
    small: Vec<u8>,
}

impl Packer {
    /// A round in few bytes.
    pub fn pack(&mut self, round: &Round) -> Packed {
        let packed = self.small(round).map(|bytes| Packed(Form::Small(bytes)));
        debug_assert!(
            packed.as_ref().and_then(Packed::round).as_ref() == Some(round),
            "a packed round must be read back as it was"
        );
        packed.unwrap_or_else(|| Packed(Form::Whole(Box::new(round.clone()))))
    }

    fn small(&mut self, round: &Round) -> Option<Box<[u8]>> {
        let mut whole = std::mem::take(&mut self.whole);
        whole.clear();
        whole.shrink_to(ROOM_MAX);
        self.whole = postcard::to_extend(round, whole).ok()?;
        let size = u32::try_from(self.whole.len()).ok()?.to_le_bytes();
        let room = size.len() + get_maximum_output_size(self.whole.len());
        self.small.truncate(ROOM_MAX.max(room));
        self.small.shrink_to(ROOM_MAX);
        if self.small.len() < room {
            self.small.resize(room, 0);
        }
        let (head, body) = self.small.split_first_chunk_mut()?;
        *head = size;
        let packed = compress_into_with_table(&self.whole, body, &mut self.table).ok()?;
        self.small.get(..size.len() + packed).map(Box::from)
    }
}

impl Packed {
    /// The round as it was; none never, unless memory is broken.
    #[must_use]
    pub fn round(&self) -> Option<Round> {
        match &self.0 {
            Form::Small(bytes) => {
                let bytes = lz4_flex::decompress_size_prepended(bytes).ok()?;
                postcard::from_bytes(&bytes).ok()
            }
            Form::Whole(round) => Some((**round).clone()),
        }
    }
}

impl Clone for Packer {
    /// Nothing in it is worth copying.
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}
