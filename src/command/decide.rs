//! `quorate decide`: what a person says to an escalation.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::Decision;

use super::client::{self, Draft, Sending};
use crate::config::Config;
use crate::wire::json::from_value_strict;

/// A decision, as JSON, as flags, or as JSON with flags laid over it.
#[derive(Debug, Args)]
pub(super) struct Decide {
    /// JSON of the decision; `-` for standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
    /// The reviewer's id for it [default: made now]
    #[arg(long)]
    id: Option<String>,
    /// The round decided
    #[arg(long)]
    proposal: Option<String>,
    /// Digest of the decision package that was seen
    #[arg(long)]
    package: Option<String>,
    /// Who decides
    #[arg(long)]
    reviewer: Option<String>,
    /// APPROVE, REJECT or SEND_BACK
    #[arg(long)]
    verdict: Option<String>,
    /// The reviewer's own code for the reason
    #[arg(long)]
    reason_code: Option<String>,
    /// Why
    #[arg(long)]
    rationale: Option<String>,
}

impl Decide {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let mut draft = Draft::from(self.file.as_deref())?;
        let verdict = self
            .verdict
            .map(|text| text.to_uppercase().replace('-', "_"));
        draft.set("decision_id", self.id);
        draft.or_set("decision_id", client::new_id);
        draft.set("proposal_id", self.proposal);
        draft.set("package_digest", self.package);
        draft.set("reviewer", self.reviewer);
        draft.set("verdict", verdict);
        draft.set("reason_code", self.reason_code);
        draft.set("rationale", self.rationale);
        let value = draft.into_value();
        let decision: Decision = from_value_strict(&value).context("not a decision")?;
        let (id, key) = (decision.decision_id.clone(), decision.proposal_id.clone());
        client::send(config, &self.sending, &id, key.as_str(), decision)
    }
}
