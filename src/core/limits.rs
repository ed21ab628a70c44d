//! What a record's texts may hold; longer ones are refused with a code.

use alloc::string::String;

use crate::reject::Reject;

/// Bytes of a reasoning or rationale.
pub const REASONING_MAX: usize = 8 * 1024;
/// Pieces of evidence.
pub const EVIDENCE_MAX: usize = 16;
/// Bytes of a piece of evidence.
pub const EVIDENCE_PIECE_MAX: usize = 1024;

/// Checks texts of agents and people.
///
/// # Errors
/// [`Reject::ReasoningTooLarge`].
pub fn check_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<(), Reject> {
    let too_large = texts.into_iter().any(|text| text.len() > REASONING_MAX);
    if too_large {
        Err(Reject::ReasoningTooLarge)
    } else {
        Ok(())
    }
}

/// Checks pieces of evidence.
///
/// # Errors
/// [`Reject::EvidenceTooLarge`].
pub fn check_evidence(evidence: &[String]) -> Result<(), Reject> {
    let too_large = evidence.len() > EVIDENCE_MAX
        || evidence
            .iter()
            .any(|piece| piece.len() > EVIDENCE_PIECE_MAX);
    if too_large {
        Err(Reject::EvidenceTooLarge)
    } else {
        Ok(())
    }
}
