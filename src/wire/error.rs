//! What can be wrong with bytes, with a schema, or with text: each has its refusal code.

use quorate_core::reject::Reject;

/// Longest detail kept of a decoder's message, in bytes: it may quote the record.
const MAX_DETAIL: usize = 256;

/// Why bytes are not a record, or a schema not one of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a datum of the schema, or the text is not the record's JSON.
    #[error("{0}")]
    Malformed(String),
    /// The value names a schema nobody vouched for.
    #[error("{0}")]
    UnknownSchema(String),
    /// The record is longer than its kind may be; both in bytes.
    #[error("record of {length} bytes is longer than {limit}")]
    TooLarge {
        /// What it is.
        length: usize,
        /// What it may be.
        limit: usize,
    },
}

impl Error {
    /// The stable code the record is refused with.
    #[must_use]
    pub const fn reject(&self) -> Reject {
        match self {
            Self::Malformed(_) => Reject::Malformed,
            Self::UnknownSchema(_) => Reject::UnknownSchema,
            Self::TooLarge { .. } => Reject::RecordTooLarge,
        }
    }

    /// Malformed, in the words of whoever noticed.
    pub(super) fn malformed(why: impl ToString) -> Self {
        Self::Malformed(shorten(why.to_string()))
    }

    /// Unknown, in the words of whoever noticed.
    pub(crate) fn unknown(why: impl ToString) -> Self {
        Self::UnknownSchema(shorten(why.to_string()))
    }
}

/// Keeps a message on one line and within bounds.
fn shorten(mut text: String) -> String {
    if text.len() > MAX_DETAIL {
        text.truncate(text.floor_char_boundary(MAX_DETAIL));
        text.push('…');
    }
    if text.contains('\n') {
        text = text.replace('\n', " ");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_stays_on_one_line() {
        let Error::Malformed(text) = Error::malformed("ä\n".repeat(1_000)) else {
            panic!("not malformed")
        };
        assert!(text.len() <= MAX_DETAIL + '…'.len_utf8(), "{}", text.len());
        assert!(!text.contains('\n'));
    }
}
