//! `quorate report`: how an action turned out, or would have.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::input::Result as Turned;

use super::client::{self, Draft, Sending};
use crate::config::Config;
use crate::wire::json::from_value_strict;

/// A result, as JSON, as flags, or as JSON with flags laid over it.
#[derive(Debug, Args)]
pub(super) struct Report {
    /// JSON of the result; `-` for standard input
    file: Option<PathBuf>,
    #[command(flatten)]
    sending: Sending,
    /// The reporter's id for it [default: made now]
    #[arg(long)]
    id: Option<String>,
    /// The round it concerns
    #[arg(long)]
    proposal: Option<String>,
    /// Who reports
    #[arg(long)]
    reporter: Option<String>,
    /// RIGHT, WRONG or UNKNOWN
    #[arg(long)]
    result: Option<String>,
    /// OBSERVED, AUDITED or COUNTERFACTUAL
    #[arg(long)]
    basis: Option<String>,
    /// The result in force that this one takes back
    #[arg(long)]
    corrects: Option<String>,
    /// For people
    #[arg(long)]
    note: Option<String>,
}

impl Report {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let mut draft = Draft::from(self.file.as_deref())?;
        draft.set("result_id", self.id);
        draft.or_set("result_id", client::new_id);
        draft.set("proposal_id", self.proposal);
        draft.set("reporter", self.reporter);
        draft.set("result", self.result.map(|result| result.to_uppercase()));
        draft.set("basis", self.basis.map(|basis| basis.to_uppercase()));
        draft.set("corrects", self.corrects);
        draft.set("note", self.note);
        let value = draft.into_value();
        let result: Turned = from_value_strict(&value).context("not a result")?;
        let (id, key) = (result.result_id.clone(), result.proposal_id.clone());
        client::send(config, &self.sending, &id, key.as_str(), result)
    }
}
