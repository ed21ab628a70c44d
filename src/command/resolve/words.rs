//! A report in words, for a terminal; what agents wrote is escaped.

use std::fmt::{Result, Write};

use quorate_core::records::{Ballot, DecisionPart, Reason, Uncounted, Verdict};

use super::Report;
use super::flips::Flip;

/// The report as text that ends with a line break.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, report);
    text
}

/// A decision as text that ends with a line break: what it is, why, and every ballot.
pub(in crate::command) fn of_decision(decision: &DecisionPart) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_decision(&mut text, decision);
    text
}

fn write_decision(text: &mut String, decision: &DecisionPart) -> Result {
    writeln!(text, "{}", format!("{:?}", decision.status).to_uppercase())?;
    for reason in &decision.reasons {
        writeln!(text, "  {}", because(*reason, decision))?;
    }
    writeln!(text, "\nBallots: authority × confidence × trust = weight")?;
    for ballot in &decision.ballots {
        writeln!(text, "  {}", line(ballot))?;
    }
    writeln!(
        text,
        "  for {}, against {}, from {}; probability that it is good {}",
        decision.endorse, decision.challenge, decision.n, decision.p
    )?;
    writeln!(
        text,
        "  margin {} of {} needed",
        decision.margin_reached, decision.margin_needed
    )
}

fn write(text: &mut String, report: &Report) -> Result {
    write_decision(text, &report.decision)?;
    if !report.refused.is_empty() {
        writeln!(text, "\nRefused")?;
    }
    for refused in &report.refused {
        let agent = refused.agent_id.escape_debug();
        writeln!(text, "  {agent}: {} ({})", refused.reason, refused.detail)?;
    }
    writeln!(text, "\nWhat would have flipped it")?;
    if report.flips.is_empty() {
        writeln!(text, "  no one ballot, taken out, turned round or added")?;
    }
    for flip in &report.flips {
        writeln!(text, "  {}", words(flip))?;
    }
    writeln!(text, "\ndecision_digest {}", report.decision_digest)
}

fn because(reason: Reason, decision: &DecisionPart) -> String {
    let (e, c) = (decision.endorse, decision.challenge);
    match reason {
        Reason::InputLost => "records of the round are gone from the log".into(),
        Reason::Suspended => "the policy, or an agent that mattered, is suspended".into(),
        Reason::HighStakes => {
            format!("the stakes are {:?}: a human decides", decision.stakes).to_lowercase()
        }
        Reason::RequiredMissing => "a required domain was not heard".into(),
        Reason::QuorumNotMet => "too few spoke with weight".into(),
        Reason::Unproven => format!("they spoke, but {e} and {c} together weigh too little"),
        Reason::LowConfidence => {
            format!(
                "they are not sure enough: {} on average",
                decision.mean_confidence
            )
        }
        Reason::Veto => "a domain that may veto challenged it".into(),
        Reason::Shadow => format!("shadow mode: it would be {:?}", decision.would_be),
        Reason::MarginMet if e > c => format!("{e} for it carry against {c}"),
        Reason::MarginMet => format!("{c} against it carry over {e}"),
        Reason::Tie => format!("{e} for and {c} against: a tie"),
        Reason::MarginNotMet => format!("neither {e} for it nor {c} against it carry"),
        Reason::HumanDecision => "a human decided".into(),
        Reason::SentBack => "a human sent it back".into(),
        Reason::DecisionTimeout => "nobody decided in time".into(),
        Reason::Other => "a reason of later rules".into(),
    }
}

fn line(ballot: &Ballot) -> String {
    let says = match ballot.verdict {
        Verdict::Endorse => "endorses",
        Verdict::Challenge => "challenges",
        Verdict::Abstain => "abstains",
    };
    let agent = ballot.agent_id.as_str().escape_debug().to_string();
    let product = format!(
        "{} × {} × {} = {}",
        ballot.authority, ballot.confidence, ballot.trust, ballot.weight
    );
    let why = match ballot.reason {
        None => "",
        Some(Uncounted::Observer) => "  not counted: an observer",
        Some(Uncounted::ZeroWeight) => "  not counted: it weighs nothing",
        Some(Uncounted::Suspended) => "  not counted: suspended",
        Some(Uncounted::Other) => "  not counted: a reason of later rules",
    };
    format!("{agent:<20} {says:<10} {product}{why}")
}

fn words(flip: &Flip) -> String {
    let said = |status: &_| format!("{status:?}").to_uppercase();
    match flip {
        Flip::Without { agent_id, status } => format!(
            "{} is pivotal: without it, {}",
            agent_id.as_str().escape_debug(),
            said(status)
        ),
        Flip::Turned { agent_id, status } => format!(
            "had {} said the contrary, {}",
            agent_id.as_str().escape_debug(),
            said(status)
        ),
        Flip::Further {
            verdict,
            weight,
            status,
        } => format!(
            "one more certain {} of weight {weight}, {}",
            format!("{verdict:?}").to_lowercase(),
            said(status)
        ),
    }
}
