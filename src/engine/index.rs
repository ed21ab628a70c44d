//! The index of closed rounds, where it was lost: filled behind the back of what goes on.
//!
//! What needs every closed round to be known waits until it is: proposals, decisions and results
//! are not read, and a response to a round nobody knows waits. Nothing is guessed.

use quorate_core::ids::ProposalId;
use quorate_core::records::{Round, RoundState};
use quorate_core::topic::Topic;

use super::io::{Halt, Output};
use super::partition::Partition;
use super::rounds::Ended;
use super::tables::Tables;

impl Partition {
    /// Says that closed rounds will be given by [`Partition::index_round`]. The rounds whose last
    /// records do not lie below [`super::Position::settled`] of `acp.proposals` are restored after
    /// this and not given again.
    pub fn expect_index(&mut self) {
        self.rounds.past.expect_index();
    }

    /// Whether every closed round is known.
    #[must_use]
    pub const fn is_indexed(&self) -> bool {
        self.rounds.past.is_indexed()
    }

    /// Whether a topic must not be read until every closed round is known.
    pub(super) fn waits_for_index(&self, topic: Topic) -> bool {
        let needs = matches!(topic, Topic::Proposals | Topic::Decisions | Topic::Results);
        needs && !self.is_indexed()
    }

    /// Takes a record of `acp.rounds` below the low-water, in offset order; a later one of the same
    /// round replaces it. Late responses that waited for the round are judged now.
    ///
    /// # Errors
    /// [`Halt`] if the round rests on table records that are not there.
    pub fn index_round(&mut self, tables: &Tables, round: Round) -> Result<Vec<Output>, Halt> {
        let id = round.proposal_id;
        let mut out = Vec::new();
        // Below the low-water an open or escalated round's record is never its last.
        if round.state != RoundState::Closed || !self.may_index(&id) {
            return Ok(out);
        }
        let policy = super::restore::policy_of(tables, &round)?;
        let opening = &round.opening;
        if opening.deadline >= self.time(Topic::Proposals) {
            let (deadline, proposer) = (opening.deadline, opening.proposer.clone());
            self.rounds.count(deadline, id, proposer);
        }
        self.rounds.past.index(&Ended::recorded(round, policy));
        for kept in self.orphans.take(id) {
            // What was read before the restart was judged before it.
            if kept.offset < self.replayed {
                continue;
            }
            let record = kept.record();
            if let Err(refusal) = self.hear(tables, &record, kept.time, &mut out)? {
                out.push(self.dead_letter(tables, &record, refusal));
            }
        }
        Ok(out)
    }

    /// Takes a tombstone of `acp.rounds` below the low-water, in offset order.
    pub fn index_tombstone(&mut self, id: &ProposalId) {
        if self.may_index(id) {
            self.rounds.past.take(id);
        }
    }

    /// Whether what the index has of a round may be the last that is known of it.
    fn may_index(&self, id: &ProposalId) -> bool {
        !self.rounds.is_running(id) && self.rounds.past.may_index(id)
    }

    /// Says that every closed round has been given; what waited for that is judged now.
    ///
    /// # Errors
    /// [`Halt`], as [`Partition::step`].
    pub fn indexed(&mut self, tables: &Tables) -> Result<Vec<Output>, Halt> {
        self.rounds.past.end_index();
        let mut out = Vec::new();
        self.expire_orphans(tables, &mut out);
        self.settle_waiting(tables, &mut out)?;
        Ok(out)
    }
}
