//! An escalated round in few bytes: its package repeats the decision, the proposal and, in words,
//! what people and models say again and again.

use quorate_core::records::Round;

/// A round that waits for people.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed(Form);

#[derive(Clone, Debug, PartialEq)]
enum Form {
    Small(Box<[u8]>),
    /// As it is: it would lose something.
    Whole(Box<Round>),
}

impl Packed {
    /// A round in few bytes.
    #[must_use]
    pub fn of(round: &Round) -> Self {
        let small = postcard::to_allocvec(round).ok();
        let small = small.map(|bytes| lz4_flex::compress_prepend_size(&bytes).into());
        let packed = small.map(|bytes| Self(Form::Small(bytes)));
        debug_assert!(
            packed.as_ref().and_then(Self::round).as_ref() == Some(round),
            "a packed round must be read back as it was"
        );
        packed.unwrap_or_else(|| Self(Form::Whole(Box::new(round.clone()))))
    }

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
