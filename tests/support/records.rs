//! Records as agents, reporters and reviewers would write them, for tests to change and append.

use quorate_core::ids::{Digest, ProposalId, Timestamp};
use quorate_core::records::{
    Action, Basis, Decision, DecisionVerdict, Proposal, Response, Result as Report, ResultKind,
    Stakes, Verdict,
};

use super::load::Random;

/// A proposal's id, made at that time.
pub(crate) fn id(random: &mut Random, now: Timestamp) -> String {
    let mut bytes = random.next().to_be_bytes().repeat(2);
    bytes[8..].copy_from_slice(&random.next().to_be_bytes());
    bytes[..6].copy_from_slice(&now.0.to_be_bytes()[2..]);
    bytes[6] = 0x70 | (bytes[6] & 0x0f);
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    ProposalId::from_bytes(bytes.try_into().unwrap()).to_string()
}

/// A proposal of little stakes by `desk`.
pub(crate) fn proposal(id: &str, domain: &str, deadline: i64) -> Proposal {
    Proposal {
        proposal_id: id.to_owned(),
        proposer: "desk".to_owned(),
        domain: domain.to_owned(),
        action: Action {
            r#type: "payment.release".to_owned(),
            subject: id.to_owned(),
            parameters: Vec::new(),
        },
        summary: String::new(),
        rationale: String::new(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: Some(Timestamp(deadline)),
        supersedes: None,
        labels: Vec::new(),
    }
}

/// A response with a reason.
pub(crate) fn response<'a>(
    id: &'a str,
    agent: &'a str,
    verdict: Verdict,
    confidence: f64,
) -> Response<'a> {
    Response {
        response_id: format!("{agent}-{confidence}").into(),
        proposal_id: id.into(),
        proposal_digest: None,
        agent_id: agent.into(),
        verdict,
        confidence,
        reasoning: "seen".into(),
        evidence: Vec::new(),
    }
}

/// A response, most likely to endorse with that many of a hundred.
pub(crate) fn answer<'a>(
    random: &mut Random,
    id: &'a str,
    agent: &'a str,
    lean: i64,
) -> Response<'a> {
    let verdict = if random.percent(4) {
        Verdict::Abstain
    } else if random.percent(lean) {
        Verdict::Endorse
    } else {
        Verdict::Challenge
    };
    let confidence = i32::try_from(random.within(200..1_000)).unwrap();
    let mut response = response(id, agent, verdict, f64::from(confidence) / 1_000.0);
    response.response_id = format!("r{}", random.next()).into();
    if random.percent(2) {
        response.reasoning = "".into();
    }
    response
}

/// A decision that names a package.
pub(crate) fn decision(
    id: &str,
    reviewer: &str,
    package_digest: Digest,
    verdict: DecisionVerdict,
) -> Decision {
    Decision {
        decision_id: format!("d-{reviewer}"),
        proposal_id: id.to_owned(),
        package_digest,
        reviewer: reviewer.to_owned(),
        verdict,
        reason_code: String::new(),
        rationale: "seen".to_owned(),
    }
}

/// A first result.
pub(crate) fn report(id: &str, result_id: &str, reporter: &str, result: ResultKind) -> Report {
    Report {
        result_id: result_id.to_owned(),
        proposal_id: id.to_owned(),
        reporter: reporter.to_owned(),
        result,
        basis: Basis::Observed,
        corrects: None,
        note: String::new(),
    }
}
