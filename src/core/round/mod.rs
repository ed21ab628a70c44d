//! The round as a state machine: open, then closed or escalated, decided, settled.
//!
//! ```text
//!            close                    decide / time_out
//!   OPEN ───────────────▶ ESCALATED ────────────────────▶ CLOSED ──▶ (tombstone)
//!     └──────────────────────────────────────────────────▶ CLOSED
//!                                                          settle: result, correction
//! ```
//!
//! A transition takes records and times and returns records. A refusal is an `Err` and leaves the
//! round as it was.

mod escalation;
mod open;
mod seats;
mod settlement;
mod snapshot;

pub use escalation::{
    Asked, Barred, Decided, TIERS_MAX, TimedOut, decide, due, may_decide, second_part, time_out,
};
pub use open::{
    Heard, OpenRound, Speaker, check_grace, check_proposer, check_speaker, check_time, late,
    lessons,
};
pub use settlement::{Reported, must_wait, reporter_allowed, settle};

use crate::ids::{Millis, Timestamp};
use crate::records::{Closed, Opening};

/// How long after a response its proposal may come (protocol section 5).
pub const ORPHAN_GRACE: Millis = Millis(10_000);
/// How long a closed round is remembered at least.
pub const REMEMBERED_MIN: Millis = Millis(2 * 24 * 3_600_000);
/// Qualified agents' ballots a round may hold.
pub const QUALIFIED_MAX: usize = 2_000;
/// Observers' ballots a round may hold.
pub const OBSERVERS_MAX: usize = 500;
/// Superseded responses listed an agent.
pub const SUPERSEDED_MAX: usize = 16;

/// Whether a record of that append time came while the round was open.
#[must_use]
pub fn came_while_open(opening: &Opening, closed: &Closed, at: Timestamp) -> bool {
    if closed.coordinates.closed_early {
        at < closed.coordinates.closing_time
    } else {
        at <= opening.deadline
    }
}
