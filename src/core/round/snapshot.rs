//! What was said in an open round so far, written down and taken up again.
//!
//! What an agent brings is not in it: that follows from the tables at the round's pins.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::open::OpenRound;
use super::seats::{Besides, Said, Seat};
use crate::electorate::Standing;
use crate::ids::{AgentId, Offset};
use crate::records::{Snapshot, Stated};

impl OpenRound {
    /// What was said by the responses before an offset; all of them must have been heard.
    #[must_use]
    pub fn snapshot(&self, upto: Offset) -> Snapshot {
        let by_agent = self.seats.by_agent();
        let spoken = by_agent.into_iter().filter(|seat| !seat.is_proposal);
        Snapshot {
            upto,
            ballots: spoken.map(Seat::stated).collect(),
            unlisted: self.unlisted.iter().copied().collect(),
            suspended: self.suspended.iter().cloned().collect(),
            pattern_suspended: self.pattern_suspended,
            input_lost: self.input_lost,
        }
    }

    /// Takes up what was said in a round just opened.
    ///
    /// # Errors
    /// The agent for whom `standing` finds nothing.
    pub fn take_up(
        &mut self,
        snapshot: Snapshot,
        mut standing: impl FnMut(&AgentId) -> Option<Arc<Standing>>,
    ) -> Result<(), AgentId> {
        for stated in snapshot.ballots {
            let Some(standing) = standing(&stated.agent_id) else {
                return Err(stated.agent_id);
            };
            self.unheard.remove(&stated.agent_id);
            self.admitted += 1 + stated.superseded.len();
            let besides = Besides {
                superseded: stated.superseded,
                further: stated.further,
            };
            let place = self.seats.place(stated.agent_id.as_str());
            let seat = Seat {
                agent_id: stated.agent_id,
                standing,
                said: Said {
                    digest: stated.response_digest,
                    verdict: stated.verdict,
                    confidence: stated.confidence,
                    reasoning: stated.reasoning.into(),
                    evidence: stated.evidence.into(),
                },
                is_proposal: false,
                besides: (besides != Besides::default()).then(|| Box::new(besides)),
            };
            self.seats.put(place, seat);
        }
        self.admitted += snapshot.unlisted.len();
        self.unlisted.extend(snapshot.unlisted);
        self.suspended.extend(snapshot.suspended);
        self.pattern_suspended |= snapshot.pattern_suspended;
        self.input_lost |= snapshot.input_lost;
        Ok(())
    }

    /// How many responses were admitted.
    #[must_use]
    pub const fn admitted(&self) -> usize {
        self.admitted
    }
}

impl Seat {
    fn stated(&self) -> Stated {
        Stated {
            agent_id: self.agent_id.clone(),
            response_digest: self.said.digest,
            verdict: self.said.verdict,
            confidence: self.said.confidence,
            reasoning: (*self.said.reasoning).into(),
            evidence: self.said.evidence.to_vec(),
            superseded: self.superseded().to_vec(),
            further: self.besides.as_deref().map_or(0, |besides| besides.further),
        }
    }
}
