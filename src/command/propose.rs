//! `quorate propose`: an action somebody wants taken.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::Proposal;
use serde_json::{Value, json};

use super::client::{self, Draft, Sending};
use crate::config::Config;
use crate::wire::json::from_value_strict;

/// A proposal, as JSON, as flags, or as JSON with flags laid over it.
#[derive(Debug, Args)]
pub(super) struct Propose {
    /// JSON of the proposal; `-` for standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
    /// UUIDv7 [default: made now]
    #[arg(long)]
    id: Option<String>,
    /// The agent that proposes
    #[arg(long)]
    proposer: Option<String>,
    /// Dotted domain, such as fraud.detection
    #[arg(long)]
    domain: Option<String>,
    /// Kind of action, such as payment.block
    #[arg(long = "type")]
    action_type: Option<String>,
    /// What it is done to
    #[arg(long)]
    subject: Option<String>,
    /// A parameter of the action
    #[arg(long = "parameter", value_name = "KEY=VALUE")]
    parameters: Vec<String>,
    /// One line for people
    #[arg(long)]
    summary: Option<String>,
    /// Why
    #[arg(long)]
    rationale: Option<String>,
    /// How sure: 0 is a coin flip, 1 is certain
    #[arg(long, conflicts_with = "probability")]
    confidence: Option<f64>,
    /// The same as a probability of being right, 0.5 to 1
    #[arg(long)]
    probability: Option<f64>,
    /// LOW, MEDIUM, HIGH or CRITICAL
    #[arg(long)]
    stakes: Option<String>,
    /// Milliseconds since the epoch [default: the policy's]
    #[arg(long)]
    deadline: Option<i64>,
}

impl Propose {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let mut draft = Draft::from(self.file.as_deref())?;
        draft.set("proposal_id", self.id);
        draft.or_set("proposal_id", client::new_id);
        draft.set("proposer", self.proposer);
        draft.set("domain", self.domain);
        draft.set("summary", self.summary);
        draft.set("rationale", self.rationale);
        let confidence = client::confidence(self.confidence, self.probability)?;
        draft.set("confidence", confidence);
        draft.set("stakes", self.stakes.map(|stakes| stakes.to_uppercase()));
        draft.set("deadline", self.deadline);
        let action = draft
            .object("action")
            .context("`action` is not an object")?;
        for (field, value) in [("type", self.action_type), ("subject", self.subject)] {
            if let Some(value) = value {
                action.insert(field.to_owned(), Value::String(value));
            }
        }
        if !self.parameters.is_empty() {
            let parameters: anyhow::Result<Vec<_>> =
                self.parameters.iter().map(|text| parameter(text)).collect();
            action.insert("parameters".to_owned(), Value::Array(parameters?));
        }
        let value = draft.into_value();
        let proposal: Proposal = from_value_strict(&value).context("not a proposal")?;
        let id = proposal.proposal_id.clone();
        client::send(config, &self.sending, &id, id.as_str(), proposal)
    }
}

fn parameter(text: &str) -> anyhow::Result<Value> {
    let (key, value) = text
        .split_once('=')
        .with_context(|| format!("parameter `{text}` is not KEY=VALUE"))?;
    Ok(json!({ "key": key, "value": value }))
}
