//! Writing again what a restart would otherwise have to look far back for.
//!
//! A restart reads `acp.rounds` from the last record of the oldest round that is not closed, and
//! `acp.responses` from the first ballot that no snapshot has. What lags too far behind is written
//! anew, a little with every commit. How far is too far grows with what there is, so that what is
//! written again stays a fraction of what is read.

use quorate_core::ids::ProposalId;
use quorate_core::records::{Round, RoundState};

use super::io::{Halt, Output};
use super::partition::Partition;
use super::rounds::Slot;

/// Records of `acp.rounds` a restart may read beyond two for each round that is not closed.
const ROUNDS_BEHIND: usize = 100_000;
/// Rounds looked at before a commit.
const ROUNDS_MAX: usize = 256;
/// Bytes written again with a commit, but for the last record.
const BYTES_MAX: usize = 1024 * 1024;

impl Partition {
    /// Writes rounds again that lag far behind; to be called before a commit, which takes what it
    /// returns with it.
    ///
    /// # Errors
    /// [`Halt::Codec`] if a round cannot be written.
    pub fn refresh(&mut self) -> Result<Vec<Output>, Halt> {
        let mut out = Vec::new();
        let mut bytes = 0;
        for id in self.rounds.behind(ROUNDS_BEHIND, ROUNDS_MAX) {
            let Some(round) = self.recorded(&id) else {
                continue;
            };
            bytes += self.codec.encode(&round)?.len();
            self.rounds.marks.renew(id);
            out.push(Output::Round(Box::new(round)));
            if bytes >= BYTES_MAX {
                break;
            }
        }
        Ok(out)
    }

    /// A round that is not closed, as it is written.
    fn recorded(&self, id: &ProposalId) -> Option<Round> {
        match self.rounds.get(id)? {
            Slot::Open(live) => Some(Round {
                proposal_id: *id,
                state: RoundState::Open,
                opening: live.round.opening.clone(),
                closed: None,
            }),
            Slot::Ended(ended) => Some(ended.round.clone()),
        }
    }
}
