//! How much an edge remembers: for how long, and in how many bytes.

use quorate_core::ids::Millis;

const MEBIBYTE: usize = 1024 * 1024;

/// How much an edge remembers of what is over; the oldest goes first.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// How long, by append times.
    pub span: Millis,
    /// About how many bytes of rounds that do not run.
    pub rounds: usize,
    /// About how many bytes of dead letters.
    pub letters: usize,
    /// About how many bytes of the last records of each topic that is followed.
    pub recent: usize,
    /// About how many bytes of what people did, of how track records moved, and of the tables'
    /// former records: of each. Their age does not matter.
    pub history: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            span: Millis(7 * 24 * 60 * 60 * 1000),
            rounds: 256 * MEBIBYTE,
            letters: 64 * MEBIBYTE,
            recent: 32 * MEBIBYTE,
            history: 64 * MEBIBYTE,
        }
    }
}
