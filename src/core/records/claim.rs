//! Who is at an escalation, so that nobody else begins with it. Nothing is decided by it.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::ids::Millis;

/// A reviewer's claim to an escalation. Of those on the log the first stands that finds no living
/// one of somebody else; a later one of the same reviewer replaces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The round that waits; the record's key.
    pub proposal_id: String,
    /// Who claims it.
    pub reviewer: String,
    /// For how long it stands, from its append time on; 0 releases what the reviewer holds.
    pub lasts_ms: Millis,
}
