//! What would have flipped a decision: one ballot gone, one turned round, one more.

use std::sync::Arc;

use quorate_core::electorate::Standing;
use quorate_core::ids::{AgentId, Digest};
use quorate_core::millionths::Millionths;
use quorate_core::records::{DecisionPart, Status, Verdict};
use quorate_core::resolve::{Case, Voice, resolve};
use quorate_core::round::OpenRound;
use serde::Serialize;

/// One change after which the status is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub(super) enum Flip {
    /// A counted ballot taken out.
    Without {
        /// Whose.
        agent_id: AgentId,
        /// The status then.
        status: Status,
    },
    /// A counted ballot turned into its contrary.
    Turned {
        /// Whose.
        agent_id: AgentId,
        /// The status then.
        status: Status,
    },
    /// A further ballot, certain, of another principal, of the least weight that suffices.
    Further {
        /// What it says.
        verdict: Verdict,
        /// Its weight.
        weight: Millionths,
        /// The status then.
        status: Status,
    },
}

/// Everything that flips a decision, in that order.
pub(super) fn of(round: &OpenRound, decision: &DecisionPart) -> Vec<Flip> {
    let voices = round.voices();
    let case = round.case(&voices);
    let was = decision.status;
    let counted = || decision.ballots.iter().filter(|ballot| ballot.counted);
    let without = decision
        .influence
        .iter()
        .filter(|influence| influence.status != was)
        .map(|influence| Flip::Without {
            agent_id: influence.agent_id.clone(),
            status: influence.status,
        });
    let turned = counted().filter_map(|ballot| {
        let status = status(&case, turn(&voices, &ballot.agent_id)?);
        (status != was).then(|| Flip::Turned {
            agent_id: ballot.agent_id.clone(),
            status,
        })
    });
    let further = [Verdict::Endorse, Verdict::Challenge]
        .into_iter()
        .filter_map(|verdict| further(&case, verdict, was));
    without.chain(turned).chain(further).collect()
}

fn status(case: &Case<'_>, voices: Vec<Voice>) -> Status {
    resolve(&Case {
        voices: &voices,
        ..*case
    })
    .status
}

/// The voices with one endorsement or challenge turned round; none for an abstention.
fn turn(voices: &[Voice], agent: &AgentId) -> Option<Vec<Voice>> {
    let mut voices = voices.to_vec();
    let voice = voices.iter_mut().find(|voice| voice.agent_id == *agent)?;
    voice.verdict = match voice.verdict {
        Verdict::Endorse => Verdict::Challenge,
        Verdict::Challenge => Verdict::Endorse,
        Verdict::Abstain => return None,
    };
    Some(voices)
}

/// The least weight of a further ballot that changes the status, by halving.
fn further(case: &Case<'_>, verdict: Verdict, was: Status) -> Option<Flip> {
    let then = |weight: u32| {
        let mut voices = case.voices.to_vec();
        voices.push(newcomer(verdict, Millionths::new(weight)?));
        Some(status(case, voices))
    };
    let (mut low, mut high) = (0, 1_000_000);
    if then(high)? == was {
        return None;
    }
    while low + 1 < high {
        let middle = u32::midpoint(low, high);
        if then(middle)? == was {
            low = middle
        } else {
            high = middle
        }
    }
    Some(Flip::Further {
        verdict,
        weight: Millionths::new(high)?,
        status: then(high)?,
    })
}

/// An agent nobody knows, of its own principal, whose ballot weighs its authority.
fn newcomer(verdict: Verdict, weight: Millionths) -> Voice {
    Voice {
        agent_id: "\u{0}one more".into(),
        response_digest: Digest::default(),
        verdict,
        confidence: Millionths::ONE,
        standing: Arc::new(Standing {
            qualified: true,
            authority: weight,
            trust: Millionths::ONE,
            trust_revision: 0,
            principal: "\u{0}one more".into(),
            model_family: None,
            required: 0,
            veto: false,
            a0: 0,
            b0: 0,
            start: None,
        }),
        suspended: false,
    }
}
