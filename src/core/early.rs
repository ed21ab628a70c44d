//! Closes a round early: whether anybody who has not spoken could still change its status.
//!
//! Each unheard agent may keep silent, abstain, or speak either way with any confidence. Instead
//! of trying all that, every ballot's weight is bounded (caps make it move with what others say)
//! and the margins, which move one way with each weight, are tried at the ends. The answer may be
//! a needless no; it is never a wrong yes.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use crate::electorate::{REQUIRED_DOMAINS_MAX, Standing};
use crate::millionths::ONE;
use crate::records::{Mode, Status, Verdict};
use crate::resolve::bounds::{Bounds, Pending, bounds};
use crate::resolve::{Case, Voice, carries, would_be};

/// Whether no unheard qualified agent could change the round's status any more.
///
/// `unheard` is the standing of every other agent that has no admitted response, those suspended
/// by control included. The proposer need not be among them: while its proposal is its ballot it
/// may still answer, and is taken for unheard here. Only sound where the policy's revision is
/// `first`; that is the caller's to check. In shadow mode what would be is what must stand.
pub fn settled_early<'a>(case: &Case<'a>, unheard: impl IntoIterator<Item = &'a Standing>) -> bool {
    if is_foregone(case) {
        return true;
    }
    let (heard, proposer): (Vec<&Voice>, Vec<&Voice>) = case
        .voices
        .iter()
        .partition(|voice| !may_yet_answer(case, voice));
    let proposer = proposer
        .into_iter()
        .map(|voice| Pending::new(&voice.standing, true));
    let pending: Vec<Pending<'_>> = unheard
        .into_iter()
        .map(|standing| Pending::new(standing, false))
        .chain(proposer)
        .filter(|pending| pending.standing.qualified)
        .collect();
    if pending.is_empty() {
        return true;
    }
    if case.voices.iter().any(|voice| voice.suspended) {
        return false;
    }
    let outlook = Outlook {
        case,
        ballots: bounds(case, &heard, &pending),
        pending,
    };
    outlook.stands(would_be(case))
}

/// Whether the round escalates whatever is said.
fn is_foregone(case: &Case<'_>) -> bool {
    case.input_lost
        || case.pattern_suspended
        || case.policy.mode == Mode::Suspended
        || case.stakes >= case.policy.escalate_at_stakes
}

/// Whether a voice is the proposal itself, which its proposer's first response will replace.
fn may_yet_answer(case: &Case<'_>, voice: &Voice) -> bool {
    case.policy.proposer_counts
        && voice.agent_id == *case.proposer
        && voice.response_digest == case.proposal_digest
}

/// Which end of everything that may happen is looked at, for a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Everything turns out against it.
    Worst,
    /// Everything turns out for it.
    Best,
}

/// What has been said, with what it may come to weigh, and who may yet speak.
struct Outlook<'a> {
    case: &'a Case<'a>,
    ballots: Vec<Bounds<'a>>,
    pending: Vec<Pending<'a>>,
}

impl Outlook<'_> {
    /// Whether the status stands whatever is yet said.
    fn stands(&self, status: Status) -> bool {
        let is_sure = |verdict| self.passes(End::Worst) && self.carries(verdict, End::Worst);
        let is_possible = |verdict| self.passes(End::Best) && self.carries(verdict, End::Best);
        match status {
            Status::Approved => is_sure(Verdict::Endorse) && !self.is_vetoed(End::Worst),
            Status::Rejected => is_sure(Verdict::Challenge),
            Status::Escalated => {
                let is_approvable = is_possible(Verdict::Endorse) && !self.is_vetoed(End::Best);
                !is_approvable && !is_possible(Verdict::Challenge)
            }
        }
    }

    /// Whether a side meets the margin: at worst its ballots weigh least and everybody else joins
    /// the other side, at best the reverse.
    fn carries(&self, side: Verdict, end: End) -> bool {
        let mut mine = Vec::new();
        let mut theirs = Vec::new();
        for ballot in self.ballots.iter().filter(|ballot| ballot.speaks()) {
            if ballot.voice.verdict == side {
                mine.push(ballot.weight(end == End::Best));
            } else {
                theirs.push(ballot.weight(end == End::Worst));
            }
        }
        let joined = if end == End::Best {
            &mut mine
        } else {
            &mut theirs
        };
        joined.extend(self.pending.iter().map(|pending| pending.weight));
        let (endorse, challenge, wanted) = match side {
            Verdict::Endorse => (mine, theirs, Status::Approved),
            _ => (theirs, mine, Status::Rejected),
        };
        carries(self.case.policy, endorse, challenge) == wanted
    }

    /// Whether a veto bars approval: at worst one that may yet be raised, at best one that stays.
    fn is_vetoed(&self, end: End) -> bool {
        let raised = self.ballots.iter().any(|ballot| {
            ballot.voice.verdict == Verdict::Challenge
                && ballot.voice.standing.veto
                && ballot.weight(end == End::Worst) > 0
        });
        let holds = |pending: &Pending<'_>| pending.standing.veto && pending.weight > 0;
        raised || (end == End::Worst && self.pending.iter().any(holds))
    }

    /// Whether what bars either decision is out of the way.
    fn passes(&self, end: End) -> bool {
        self.has_required(end)
            && self.has_responders(end)
            && self.has_weight(end)
            && self.has_confidence(end)
    }

    fn has_required(&self, end: End) -> bool {
        let is_counted = |ballot: &&Bounds<'_>| match ballot.voice.verdict {
            Verdict::Abstain => true,
            _ => ballot.weight(end == End::Best) > 0,
        };
        let heard = self
            .ballots
            .iter()
            .filter(|ballot| ballot.voice.agent_id != *self.case.proposer)
            .filter(is_counted)
            .fold(0, |bits, ballot| bits | ballot.voice.standing.required);
        let pending = self.pending.iter().filter(|pending| !pending.is_proposer);
        let held = match end {
            End::Worst => heard,
            End::Best => pending.fold(heard, |bits, pending| bits | pending.standing.required),
        };
        let mut required = 0..self.case.policy.required_domains.len();
        required.all(|at| at < REQUIRED_DOMAINS_MAX && held >> at & 1 == 1)
    }

    fn has_responders(&self, end: End) -> bool {
        let heard = self
            .ballots
            .iter()
            .filter(|ballot| ballot.speaks() && ballot.weight(end == End::Best) > 0)
            .map(|ballot| &*ballot.voice.standing.principal);
        let pending = self
            .pending
            .iter()
            .filter(|pending| end == End::Best && pending.weight > 0)
            .map(|pending| &*pending.standing.principal);
        let principals: BTreeSet<&str> = heard
            .chain(pending)
            .filter(|principal| *principal != self.case.proposer_principal)
            .collect();
        principals.len() >= usize::try_from(self.case.policy.min_responders).unwrap_or(0)
    }

    fn has_weight(&self, end: End) -> bool {
        let best = end == End::Best;
        let heard: u64 = self.ballots.iter().map(|ballot| ballot.weight(best)).sum();
        let pending: u64 = self.pending.iter().map(|pending| pending.weight).sum();
        let weight = if best { heard + pending } else { heard };
        weight > 0 && weight >= self.case.policy.min_weight.get()
    }

    /// Whether Σ w·(c − m) is not below 0, for the mean confidence m the policy asks for.
    fn has_confidence(&self, end: End) -> bool {
        let least = i128::from(self.case.policy.min_confidence.get());
        let surplus = |ballot: &Bounds<'_>| {
            let over = i128::from(ballot.voice.confidence.get()) - least;
            // What is sure enough helps by its weight, what is not harms by it.
            i128::from(ballot.weight((over >= 0) == (end == End::Best))) * over
        };
        let pending = |pending: &Pending<'_>| match (pending.weight, end) {
            (0, _) => 0,
            (weight, End::Best) => i128::from(weight) * (i128::from(ONE) - least),
            // w ≤ (weight + 1)·c, and c·(c − m) is least at c = m / 2.
            (weight, End::Worst) => {
                let harm = i128::from(weight + 1) * least * least;
                -(harm / (4 * i128::from(ONE)) + 1)
            }
        };
        let heard: i128 = self.ballots.iter().map(surplus).sum();
        heard + self.pending.iter().map(pending).sum::<i128>() >= 0
    }
}

#[cfg(test)]
mod tests;
