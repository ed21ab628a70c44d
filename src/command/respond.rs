//! `quorate respond`: one agent's answer to one proposal.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::Response;

use super::client::{self, Draft, Sending};
use crate::config::Config;
use crate::wire::json::from_value_strict;

/// A response, as JSON, as flags, or as JSON with flags laid over it.
#[derive(Debug, Args)]
pub(super) struct Respond {
    /// JSON of the response; `-` for standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
    /// The sender's id for it [default: made now]
    #[arg(long)]
    id: Option<String>,
    /// The proposal answered
    #[arg(long)]
    proposal: Option<String>,
    /// The agent that answers
    #[arg(long)]
    agent: Option<String>,
    /// ENDORSE, CHALLENGE or ABSTAIN
    #[arg(long)]
    verdict: Option<String>,
    /// How sure: 0 is a coin flip, 1 is certain
    #[arg(long, conflicts_with = "probability")]
    confidence: Option<f64>,
    /// The same as a probability of being right, 0.5 to 1
    #[arg(long)]
    probability: Option<f64>,
    /// Why; a challenge must say
    #[arg(long)]
    reasoning: Option<String>,
    /// What it rests on
    #[arg(long)]
    evidence: Vec<String>,
    /// SHA-256 of the proposal it is for; another proposal refuses it
    #[arg(long)]
    proposal_digest: Option<String>,
}

impl Respond {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let mut draft = Draft::from(self.file.as_deref())?;
        draft.set("response_id", self.id);
        draft.or_set("response_id", client::new_id);
        draft.set("proposal_id", self.proposal);
        draft.set("agent_id", self.agent);
        draft.set(
            "verdict",
            self.verdict.map(|verdict| verdict.to_uppercase()),
        );
        let confidence = client::confidence(self.confidence, self.probability)?;
        draft.set("confidence", confidence);
        draft.set("reasoning", self.reasoning);
        draft.set("proposal_digest", self.proposal_digest);
        draft.set(
            "evidence",
            Some(self.evidence).filter(|given| !given.is_empty()),
        );
        let value = draft.into_value();
        let response: Response<'_> = from_value_strict(&value).context("not a response")?;
        let (id, key) = (response.response_id.clone(), response.proposal_id.clone());
        client::send(config, &self.sending, &id, &key, response)
    }
}
