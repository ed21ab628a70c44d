//! Writing again what a restart would otherwise have to look far back for.
//!
//! A restart reads `acp.rounds` from the last record of the oldest round that is not closed, and
//! `acp.responses` from the first ballot that no snapshot has. What lags too far behind is written
//! anew, a little with every commit. How far is too far grows with what there is, so that what is
//! written again stays a fraction of what is read. A snapshot too large to be one record is not
//! written: its round is restored from its responses, however far back they lie.

use quorate_core::ids::{Offset, ProposalId};
use quorate_core::records::{Round, RoundState};
use quorate_core::topic::Topic;

use super::io::{Halt, Output};
use super::partition::Partition;
use crate::wire;

/// How far rounds may lag behind before they are written again. Set for a restart within seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Records of `acp.responses`.
    pub responses: usize,
    /// Records of `acp.rounds`.
    pub rounds: usize,
    /// More of the former for each ballot of an open round, and of the latter for each round that
    /// is not closed. With two, at most one record is written again for two that are read.
    pub each: usize,
}

impl Default for Behind {
    fn default() -> Self {
        Self {
            responses: 500_000,
            rounds: 100_000,
            each: 2,
        }
    }
}

/// Bytes written again with a commit, but for the last record, and of the largest snapshot.
const BYTES_MAX: usize = 1024 * 1024;

impl Partition {
    /// Sets how far rounds may lag behind.
    pub const fn set_behind(&mut self, behind: Behind) {
        self.behind = behind;
    }

    /// Writes rounds again that lag far behind; to be called before each commit, which takes what
    /// it returns with it.
    ///
    /// # Errors
    /// [`Halt::Codec`] if a round cannot be written.
    pub fn refresh(&mut self) -> Result<Vec<Output>, Halt> {
        let upto = self.clocks.get(&Topic::Responses).map(|clock| clock.next);
        let upto = upto.unwrap_or_default();
        let mut out = Vec::new();
        let mut bytes = 0;
        for id in self.rounds.behind(upto, &self.behind) {
            let Some(round) = self.as_written(&id, upto) else {
                continue;
            };
            let size = match self.codec.encode(&round) {
                Ok(value) => value.len(),
                Err(wire::Error::TooLarge { length, .. }) => length,
                Err(error) => return Err(error.into()),
            };
            let is_open = round.state == RoundState::Open;
            if is_open && size > BYTES_MAX {
                self.rounds.leave_behind(id);
                continue;
            }
            if is_open {
                self.rounds.snapped(&id, upto);
            }
            self.rounds.marks.renew(id);
            out.push(Output::Round(Box::new(round)));
            bytes += size;
            if bytes >= BYTES_MAX {
                break;
            }
        }
        Ok(out)
    }

    /// A round that is not closed, complete in itself.
    fn as_written(&self, id: &ProposalId, upto: Offset) -> Option<Round> {
        if let Some(ended) = self.rounds.escalated(id) {
            return Some(ended.round);
        }
        let live = self.rounds.live(id)?;
        Some(Round {
            proposal_id: *id,
            state: RoundState::Open,
            opening: live.round.opening.clone(),
            closed: None,
            snapshot: Some(live.round.snapshot(upto)),
        })
    }
}
