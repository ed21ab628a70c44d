//! `quorate resolve FILE`: one case from a file, decided and explained; nothing is read or written
//! but that file.

mod case;
mod flips;
mod words;

use std::path::PathBuf;

use anyhow::Context;
use quorate_core::records::DecisionPart;
use serde::Serialize;

use super::Output;
use crate::wire;
use case::Case;
pub use case::{CaseError, Refused};
use flips::Flip;
pub(super) use words::of_decision;

/// Resolves one case: policy, agents, proposal and responses from a JSON file.
#[derive(Debug, clap::Args)]
pub struct Resolve {
    /// The case; `-` reads it from standard input.
    file: PathBuf,
    /// Words for people, or JSON for machines.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What a case came to.
#[derive(Debug, Serialize)]
struct Report {
    decision: DecisionPart,
    decision_digest: quorate_core::ids::Digest,
    refused: Vec<Refused>,
    flips: Vec<Flip>,
}

impl Resolve {
    /// Decides the case and says why.
    ///
    /// # Errors
    /// If the case cannot be read, or is not one.
    pub fn call(&self) -> anyhow::Result<()> {
        let text = super::input(&self.file)?;
        let report =
            report(&text).with_context(|| format!("cannot resolve `{}`", self.file.display()))?;
        if self.output == Output::Json {
            super::answer(&wire::json::to_string_pretty(&report)?)?;
        } else {
            super::answer(words::of(&report).trim_end())?;
        }
        Ok(())
    }
}

fn report(text: &str) -> anyhow::Result<Report> {
    let (case, refused) = Case::parse(text)?.round()?;
    let decision = case.resolve();
    let flips = flips::of(&case, &decision);
    let decision_digest = wire::digest_of(&decision)?;
    Ok(Report {
        decision,
        decision_digest,
        refused,
        flips,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASE: &str = r#"{
        "policy": {"pattern": "fraud"},
        "agents": [
            {"agent_id": "expert", "domains": [{"domain": "fraud", "authority": 1,
                "prior": {"right": 57, "wrong": 3, "source": "test"}}]},
            {"agent_id": "weak", "domains": [{"domain": "fraud", "authority": 0.2}]},
            {"agent_id": "proposer"}
        ],
        "proposal": {"proposer": "proposer", "domain": "fraud.detection",
            "action": {"type": "payment.block", "subject": "p-1"}, "confidence": 0.9,
            "stakes": "LOW"},
        "responses": [
            {"agent_id": "expert", "verdict": "ENDORSE", "confidence": 0.95},
            {"agent_id": "weak", "verdict": "CHALLENGE", "confidence": 0.4, "reasoning": "no"},
            {"agent_id": "nobody", "verdict": "CHALLENGE", "confidence": 1, "reasoning": "no"}
        ]
    }"#;

    #[test]
    fn a_case_is_decided_explained_and_what_was_refused_is_said() {
        let report = report(CASE).unwrap();
        let words = words::of(&report);
        assert!(words.contains("APPROVED"), "{words}");
        assert!(words.contains("agent_not_listed"), "{words}");
        assert!(words.contains("expert is pivotal"), "{words}");
        assert_eq!(report.refused.len(), 1);
    }

    #[test]
    fn a_proposer_that_is_suspended_is_refused_as_on_the_log() {
        let text = CASE.replace(
            "{\"agent_id\": \"proposer\"}",
            "{\"agent_id\": \"proposer\", \"status\": \"SUSPENDED\"}",
        );
        let error = format!("{:#}", report(&text).unwrap_err());
        assert!(error.contains("agent_not_active"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let text = CASE.replace("\"agents\"", "\"agnets\"");
        let error = format!("{:#}", report(&text).unwrap_err());
        assert!(error.contains("agnets"), "{error}");
    }

    #[test]
    fn a_key_given_twice_is_refused_wherever_it_stands() {
        for (once, twice) in [
            (
                "\"verdict\": \"ENDORSE\"",
                "\"verdict\": \"CHALLENGE\", \"verdict\": \"ENDORSE\"",
            ),
            ("\"policy\":", "\"policy\": {}, \"policy\":"),
        ] {
            let text = CASE.replace(once, twice);
            let error = format!("{:#}", report(&text).unwrap_err());
            assert!(error.contains("is given twice"), "{error}");
        }
    }
}
