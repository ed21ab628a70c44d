//! Counts voices: which ballots count, with which weight, and why the others do not.

use alloc::vec::Vec;

use super::{Case, Voice, caps};
use crate::fault::{self, Fault};
use crate::millionths::Millionths;
use crate::records::{Ballot, Uncounted, Verdict};
use crate::trust;

/// What is done about agents that a control record suspended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// Their ballots weigh nothing.
    Obeyed,
    /// Their ballots are put back, all at once, to see what they would have brought about.
    Undone,
}

/// A voice as it counts.
#[derive(Clone, Debug)]
pub(super) struct Counted<'a> {
    pub(super) voice: &'a Voice,
    /// Millionths, after caps; 0 unless it speaks.
    pub(super) weight: u64,
    /// Why it is not counted.
    pub(super) reason: Option<Uncounted>,
}

impl Counted<'_> {
    /// Whether it is counted, if only as heard.
    pub(super) const fn is_counted(&self) -> bool {
        self.reason.is_none()
    }

    /// Whether it is a counted endorsement or challenge.
    pub(super) fn speaks(&self) -> bool {
        self.is_counted() && self.voice.verdict != Verdict::Abstain
    }

    /// As it is published; an observer's shows no authority and no trust.
    pub(super) fn ballot(&self) -> Ballot {
        let Voice { standing, .. } = self.voice;
        let (authority, trust, trust_revision) = match self.reason {
            Some(Uncounted::Observer) => (Millionths::ZERO, Millionths::ZERO, 0),
            _ => (standing.authority, standing.trust, standing.trust_revision),
        };
        Ballot {
            agent_id: self.voice.agent_id.clone(),
            response_digest: self.voice.response_digest,
            verdict: self.voice.verdict,
            confidence: self.voice.confidence,
            authority,
            trust,
            trust_revision,
            weight: super::millionths(self.weight),
            counted: self.is_counted(),
            reason: self.reason,
        }
    }
}

/// Every voice as it counts, after caps, sorted by agent.
pub(super) fn count<'a>(case: &Case<'a>, control: Control) -> Vec<Counted<'a>> {
    let mut voices: Vec<_> = case
        .voices
        .iter()
        .map(|voice| uncapped(case, voice, control))
        .collect();
    voices.sort_by(|one, other| one.voice.agent_id.cmp(&other.voice.agent_id));
    caps::apply(case.policy, &mut voices);
    for counted in &mut voices {
        if counted.speaks() && counted.weight == 0 {
            counted.reason = Some(Uncounted::ZeroWeight);
        }
    }
    voices
}

/// The weights of counted ballots of one verdict.
pub(super) fn weights(voices: &[Counted<'_>], verdict: Verdict) -> Vec<u64> {
    voices
        .iter()
        .filter(|counted| counted.speaks() && counted.voice.verdict == verdict)
        .map(|counted| counted.weight)
        .collect()
}

/// Whether a fault lets the suspended count.
fn is_unheeded() -> bool {
    fault::is_on(Fault::SuspendedCounted)
}

/// A voice with its whole weight. One of an observer is none whether suspended or not.
pub(super) fn uncapped<'a>(case: &Case<'a>, voice: &'a Voice, control: Control) -> Counted<'a> {
    let standing = &voice.standing;
    let observes = voice.agent_id == *case.proposer && !case.policy.proposer_counts;
    let reason = if observes || !standing.qualified {
        Some(Uncounted::Observer)
    } else if voice.suspended && control == Control::Obeyed && !is_unheeded() {
        Some(Uncounted::Suspended)
    } else {
        None
    };
    let speaks = reason.is_none() && voice.verdict != Verdict::Abstain;
    let weight = trust::weight(standing.authority, voice.confidence, standing.trust);
    Counted {
        voice,
        weight: if speaks { weight } else { 0 },
        reason,
    }
}
