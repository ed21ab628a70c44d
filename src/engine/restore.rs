//! Taking a partition over: rounds as `acp.rounds` has them, scores as `acp.trust` has them, then
//! the inputs again from their low-water offsets.
//!
//! The runtime steps the partition with the records from each topic's `low` to its committed
//! `next`, in offset order per topic, and throws their outputs away: what they led to is committed.

use std::sync::Arc;

use quorate_core::ids::{AgentId, Offset, ProposalId};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Opening, Pins, Policy, Proposal, Round, RoundState, Snapshot, TrustScore,
};
use quorate_core::resolve::RULES_REVISION;
use quorate_core::round::OpenRound;
use quorate_core::topic::Topic;

use super::io::Halt;
use super::partition::{Clock, Partition, Position};
use super::rounds::{Ended, Live};
use super::tables::Tables;

impl Partition {
    /// Takes a round over as its last record in `acp.rounds` has it.
    ///
    /// # Errors
    /// [`Halt`] if it rests on rules or table records this program does not have.
    pub fn restore_round(&mut self, tables: &Tables, round: Round) -> Result<(), Halt> {
        let (id, opening) = (round.proposal_id, &round.opening);
        if opening.rules_revision > RULES_REVISION {
            return Err(Halt::NewerRules {
                id,
                revision: opening.rules_revision,
            });
        }
        let policy = policy_of(tables, &round)?;
        self.rounds.forget(&id);
        if round.state == RoundState::Open {
            let live = self.restore_live(tables, id, (round.opening, round.snapshot), policy)?;
            self.rounds.open(live);
            return Ok(());
        }
        self.rounds
            .count(opening.deadline, id, opening.proposer.clone());
        self.rounds.end(&Ended::recorded(round, policy));
        Ok(())
    }

    fn restore_live(
        &mut self,
        tables: &Tables,
        id: ProposalId,
        (opening, snapshot): (Opening, Option<Snapshot>),
        policy: Arc<Policy>,
    ) -> Result<Live, Halt> {
        let (proposal, _) = self.codec.decode::<Proposal>(&opening.proposal.0)?;
        let missing = |agent: &AgentId| Halt::TableIncomplete {
            id,
            what: format!("`{agent}`"),
        };
        let (pins, proposer) = (opening.pins, opening.proposer.clone());
        let confidence = Millionths::admit(proposal.confidence).map_err(|_| missing(&proposer))?;
        let panels = &mut self.rounds.panels;
        let panel = panels.join(pins, &proposal.domain, &policy);
        let standing = panels.standing(tables, panel, pins.trust, proposer.as_str());
        let standing = standing.ok_or_else(|| missing(&proposer))?;
        let mut live = Live::new(
            OpenRound::open(id, opening, &proposal, confidence, policy, standing),
            panel,
            &proposal.action.subject,
        );
        let round = &mut live.round;
        if round.policy.early_close {
            round.await_agents(panels.active(tables, panel, pins.trust));
        }
        if let Some(snapshot) = snapshot {
            live.upto = snapshot.upto;
            let standing = |agent: &AgentId| {
                let speaker = panels.speaker(tables, panel, pins.trust, agent.as_str());
                speaker.map(|speaker| Arc::clone(speaker.standing))
            };
            let taken_up = round.take_up(snapshot, standing);
            taken_up.map_err(|agent| missing(&agent))?;
        }
        Ok(live)
    }

    /// Forgets a round that `acp.rounds` has a tombstone for.
    pub fn restore_tombstone(&mut self, id: &ProposalId) {
        self.rounds.forget(id);
        self.rounds.past.note_newer(*id);
    }

    /// Takes a score of this partition's trust domains over.
    pub fn restore_score(&mut self, score: TrustScore) {
        let of_domain = self.scores.entry(score.trust_domain.clone()).or_default();
        of_domain.insert(score.agent_id.clone(), score);
    }

    /// Sets where the topics stand before their records from `low` on are stepped again.
    pub fn restore_positions(
        &mut self,
        positions: impl IntoIterator<Item = (Topic, Position)>,
        pins: Pins,
    ) {
        self.pins = pins;
        self.replaying = true;
        (self.replayed, self.judged) = (Offset(0), Offset(0));
        for (topic, position) in positions {
            match topic {
                Topic::Responses if position.settled > Offset(0) => {
                    self.replayed = position.settled;
                }
                Topic::Responses => self.replayed = position.next,
                Topic::Results => self.judged = position.settled,
                _ => {}
            }
            let read_again = matches!(topic, Topic::Responses | Topic::Decisions | Topic::Results);
            let clock = if read_again {
                Clock {
                    next: position.low,
                    time: position.low_time,
                }
            } else {
                Clock {
                    next: position.next,
                    time: position.time,
                }
            };
            self.clocks.insert(topic, clock);
        }
        self.rounds.pass(self.time(Topic::Proposals));
    }

    /// Sets the stream time a topic had at its committed position, once it is read there again.
    pub fn restored(&mut self, positions: impl IntoIterator<Item = (Topic, Position)>) {
        for (topic, position) in positions {
            let clock = self.clocks.entry(topic).or_default();
            clock.next = clock.next.max(position.next);
            clock.time = clock.time.max(position.time);
        }
        self.replaying = false;
    }
}

/// The policy a round was opened under.
pub(super) fn policy_of(tables: &Tables, round: &Round) -> Result<Arc<Policy>, Halt> {
    let opening = &round.opening;
    let policy = tables
        .policy(&opening.pattern, opening.pins.policies)
        .filter(|policy| policy.digest == opening.policy_digest);
    policy.cloned().ok_or_else(|| Halt::TableIncomplete {
        id: round.proposal_id,
        what: format!("policy `{}`", opening.pattern),
    })
}
