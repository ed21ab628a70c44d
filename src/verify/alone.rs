//! An outcome against itself: its digest, and what its own ballots come to under the policy whose
//! digest it names. Nothing is looked up but that policy.
//!
//! Whose principal an agent is of, and which required domains it holds, an outcome does not say;
//! so what rests on these is left to those who look further.

use std::sync::Arc;

use quorate_core::electorate::Standing;
use quorate_core::records::{Ballot, Outcome, Policy, Reason, Status, Uncounted};
use quorate_core::resolve::{Case, Voice, resolve};

use crate::wire;

/// What of an outcome holds, or what was recorded and what follows.
pub(super) fn check(
    outcome: &Outcome,
    policy: Option<&Policy>,
) -> Result<&'static str, (String, String)> {
    let decision = &outcome.decision;
    let digest = wire::digest_of(decision).unwrap_or_default();
    if digest != outcome.decision_digest {
        return Err((outcome.decision_digest.to_string(), digest.to_string()));
    }
    let is_final = decision.status != Status::Escalated;
    if outcome.r#final != is_final {
        let told = |is_final| format!("final {is_final}");
        return Err((told(outcome.r#final), told(is_final)));
    }
    let Some(policy) = policy else {
        return Ok("outcome_digest");
    };
    let is_capped = policy.max_share_per_principal < quorate_core::millionths::Millionths::ONE
        || policy.max_share_per_model_family < quorate_core::millionths::Millionths::ONE;
    if is_capped {
        return Ok("outcome_digest");
    }
    let voices: Vec<_> = decision.ballots.iter().map(voice).collect();
    let Some(proposer) = decision.ballots.first().map(|ballot| &ballot.agent_id) else {
        return Ok("outcome_digest");
    };
    let by_proposal = |ballot: &&Ballot| ballot.response_digest == decision.proposal_digest;
    let proposed = decision.ballots.iter().find(by_proposal);
    // Who observes says so: whether that is the proposer makes no difference here.
    let policy = Policy {
        proposer_counts: true,
        ..policy.clone()
    };
    let again = resolve(&Case {
        proposal_digest: decision.proposal_digest,
        policy: &policy,
        stakes: decision.stakes,
        proposer: proposed.map_or(proposer, |ballot| &ballot.agent_id),
        proposer_principal: "",
        voices: &voices,
        pattern_suspended: decision.reasons.contains(&Reason::Suspended),
        input_lost: decision.reasons.contains(&Reason::InputLost),
    });
    let told = |part: &quorate_core::records::DecisionPart| {
        format!(
            "E {} C {} of {}, p {}, margin {} of {}, confidence {}",
            part.endorse,
            part.challenge,
            part.n,
            part.p,
            part.margin_reached,
            part.margin_needed,
            part.mean_confidence
        )
    };
    if told(&again) != told(decision) || again.ballots != decision.ballots {
        return Err((told(decision), told(&again)));
    }
    Ok("outcome_itself")
}

/// A ballot as it was heard.
fn voice(ballot: &Ballot) -> Voice {
    Voice {
        agent_id: ballot.agent_id.clone(),
        response_digest: ballot.response_digest,
        verdict: ballot.verdict,
        confidence: ballot.confidence,
        standing: Arc::new(Standing {
            qualified: ballot.reason != Some(Uncounted::Observer),
            authority: ballot.authority,
            trust: ballot.trust,
            trust_revision: ballot.trust_revision,
            principal: Arc::from(ballot.agent_id.as_str()),
            model_family: None,
            required: 0,
            veto: false,
            a0: 0,
            b0: 0,
            start: None,
        }),
        suspended: ballot.reason == Some(Uncounted::Suspended),
    }
}
