//! What a package holds, in which order, and up to which size.

use alloc::format;
use alloc::string::ToString;

use super::*;
use crate::millionths::ONE;
use crate::records::{Action, Stakes};
use crate::samples::{Round, digest, plain, policy};
use Verdict::{Abstain, Challenge, Endorse};

fn proposal() -> Proposal {
    Proposal {
        proposal_id: "0192f0c1-2345-7abc-8def-0123456789ab".into(),
        proposer: "agent 0".into(),
        domain: "bank".into(),
        action: Action::default(),
        summary: "a loan".into(),
        rationale: "they can pay".into(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: None,
        supersedes: None,
        labels: vec![],
    }
}

fn package(votes: &[(Verdict, f64)], reasoning: &[String]) -> PackageContent {
    let mut round = Round::new(policy(), plain(votes));
    round.proposer = "agent 0".into();
    round.voices[0].response_digest = digest("the proposal");
    let decision = round.resolve();
    let proposal = proposal();
    let round = Escalated {
        proposal_bytes: b"bytes",
        proposal: &proposal,
        decision: &decision,
        decision_digest: digest("the decision"),
    };
    let words = reasoning.iter().enumerate().map(|(at, reasoning)| Words {
        response_digest: digest(&format!("agent {at}")),
        reasoning,
        evidence: &[],
    });
    content(round, words, ["z".into(), "b".into(), "z".into()])
}

#[test]
fn statements_come_heaviest_first_then_by_agent() {
    let votes = [
        (Endorse, 0.5),
        (Challenge, 0.9),
        (Abstain, 1.0),
        (Endorse, 0.5),
    ];
    let said: Vec<String> = (0..4).map(|at| format!("reason {at}")).collect();
    let package = package(&votes, &said);
    let order: Vec<&str> = package
        .statements
        .iter()
        .map(|s| s.agent_id.as_str())
        .collect();
    assert_eq!(order, ["agent 1", "agent 0", "agent 3", "agent 2"]);
    assert_eq!(
        package.statements[1].reasoning, "they can pay",
        "the proposal speaks itself"
    );
    assert_eq!(package.statements[0].reasoning, "reason 1");
    assert!(package.statements.iter().all(|statement| statement.inlined));
    let for_it = package.strongest_for.unwrap();
    assert_eq!(
        (for_it.agent_id.as_str(), for_it.response_digest),
        ("agent 0", digest("the proposal"))
    );
    assert_eq!(
        package.strongest_against.unwrap().agent_id.as_str(),
        "agent 1"
    );
    assert_eq!(package.silent, ["b".into(), "z".into()]);
}

#[test]
fn text_is_inlined_up_to_the_limit_and_the_rest_is_pointed_to() {
    let votes = [
        (Endorse, 0.1),
        (Challenge, 0.9),
        (Challenge, 0.8),
        (Challenge, 0.7),
    ];
    let fits = "x".repeat(INLINED_BYTES_MAX);
    let inlined = |first: &str, second: &str| -> Vec<bool> {
        let said = [
            "".to_string(),
            first.to_string(),
            second.to_string(),
            "short".to_string(),
        ];
        let package = package(&votes, &said);
        package
            .statements
            .iter()
            .map(|statement| statement.inlined)
            .collect()
    };
    assert_eq!(inlined(&fits, ""), [true, true, false, false]);
    assert_eq!(inlined("y", &fits), [true, false, false, false]);
    let package = package(&votes, &["".into(), "y".into(), fits, "short".into()]);
    assert_eq!(package.statements[1].reasoning, "");
    assert_eq!(package.statements[1].response_digest, digest("agent 2"));
}

#[test]
fn confidences_are_counted_by_verdict_in_tenths() {
    let votes = [
        (Endorse, 1.0),
        (Endorse, 0.9),
        (Endorse, 0.1),
        (Abstain, 0.05),
        (Challenge, 0.0),
    ];
    let confidences = package(&votes, &[]).confidences;
    let of = |at: usize| confidences.histograms[at].tenths.clone();
    assert_eq!(of(0), [0, 1, 0, 0, 0, 0, 0, 0, 0, 2]);
    assert_eq!(of(1), [0; 10], "of weight 0, it is not counted");
    assert_eq!(of(2), [1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(confidences.mean.get(), 2_050_000 / 4);
    assert_eq!(confidences.spread.get(), ONE - 50_000);
}
