//! Who may decide what waits for people, by the core's own rule.

use quorate_core::ids::ProposalId;
use quorate_core::records::RoundState;
use quorate_core::reject::Reject;
use quorate_core::round::{Asked, Barred, may_decide};

use super::Known;

/// Why somebody may not decide a round now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Bar {
    /// It still takes responses, or nothing is known of it.
    Open,
    /// It is decided.
    Decided,
    /// They may not decide it at all.
    Reviewer(Barred),
    /// They have approved it, and more are needed.
    Approved,
}

impl Bar {
    /// As what a decision would be refused.
    pub(in crate::gateway) fn reject(self) -> Reject {
        match self {
            Self::Open => Reject::RoundOpen,
            Self::Decided => Reject::AlreadyDecided,
            Self::Reviewer(barred) => barred.into(),
            Self::Approved => Reject::AlreadyApproved,
        }
    }

    /// The reason in words, for whom it is about.
    pub(in crate::gateway) const fn meaning(self) -> &'static str {
        match self {
            Self::Open => "it is not before people yet",
            Self::Decided => "it is decided",
            Self::Reviewer(Barred::Unlisted) => "you are not listed among the agents",
            Self::Reviewer(Barred::Inactive) => "you are suspended, or have left",
            Self::Reviewer(Barred::NoReviewer) => {
                "you do not review this domain, or not up to these stakes"
            }
            Self::Reviewer(Barred::Proposer) => "you have proposed it",
            Self::Reviewer(Barred::Principal) => "you belong to whom the proposer belongs to",
            Self::Approved => "you have approved it; somebody else must, too",
        }
    }
}

impl Known {
    /// Whether somebody may decide a round now, as far as is known: by the agents as they are
    /// listed last, and the proposer's principal as of the round's pins.
    ///
    /// # Errors
    /// [`Bar`], if not.
    pub(in crate::gateway) fn may_decide(&self, id: &ProposalId, name: &str) -> Result<(), Bar> {
        let seen = self.rounds.get(id).ok_or(Bar::Open)?;
        let held = seen.round.as_ref().ok_or(Bar::Open)?;
        match held.state {
            RoundState::Open => return Err(Bar::Open),
            RoundState::Closed => return Err(Bar::Decided),
            RoundState::Escalated => {}
        }
        let about = seen.about().ok_or(Bar::Open)?;
        let proposer = self.agents.as_of(&held.proposer, held.agents);
        let asked = Asked {
            proposer: &held.proposer,
            principal: proposer.map_or("", |proposer| &proposer.principal),
            domain: &about.domain,
            stakes: held.stakes,
        };
        may_decide(self.agents.last(name), asked).map_err(Bar::Reviewer)?;
        if held.approved_by.iter().any(|reviewer| **reviewer == *name) {
            return Err(Bar::Approved);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::{AgentStatus, Stakes};

    use super::*;
    use crate::gateway::told::{ID, Told, reviewer};

    fn bar(told: &Told, name: &str) -> Option<Bar> {
        told.view.known().may_decide(&ID, name).err()
    }

    #[test]
    fn who_may_decide_is_said_as_a_decision_would_be_judged() {
        use Barred::{Inactive, NoReviewer, Principal, Proposer, Unlisted};
        let mut told = Told::new();
        for (name, principal) in [("desk", "bank"), ("rita", "office"), ("paul", "bank")] {
            told.agent(&reviewer(name, principal, Stakes::High));
        }
        told.agent(&reviewer("low", "office", Stakes::Low));
        told.agent(&reviewer("anne", "office", Stakes::High));
        assert_eq!(
            bar(&told, "rita"),
            Some(Bar::Open),
            "nothing is known of it"
        );
        told.round(ID, RoundState::Open, 1);
        assert_eq!(bar(&told, "rita"), Some(Bar::Open));
        told.escalated(ID, 2, Stakes::Medium, &["anne"]);
        assert_eq!(bar(&told, "rita"), None);
        let reviewer_bar = |name| match bar(&told, name) {
            Some(Bar::Reviewer(barred)) => Some(barred),
            _ => None,
        };
        assert_eq!(reviewer_bar("zoe"), Some(Unlisted));
        assert_eq!(reviewer_bar("ada"), Some(NoReviewer));
        assert_eq!(reviewer_bar("low"), Some(NoReviewer));
        assert_eq!(reviewer_bar("desk"), Some(Proposer));
        assert_eq!(reviewer_bar("paul"), Some(Principal));
        assert_eq!(bar(&told, "anne"), Some(Bar::Approved));
        // Whom the proposer belonged to when the round was opened counts, and who reviews now.
        told.agent(&reviewer("desk", "office", Stakes::High));
        assert_eq!(bar(&told, "rita"), None);
        let mut rita = reviewer("rita", "office", Stakes::High);
        rita.status = AgentStatus::Suspended;
        told.agent(&rita);
        assert_eq!(bar(&told, "rita"), Some(Bar::Reviewer(Inactive)));
        told.round(ID, RoundState::Closed, 3);
        assert_eq!(bar(&told, "rita"), Some(Bar::Decided));
    }
}
