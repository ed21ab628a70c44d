//! `quorate agents`: who takes part.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Subcommand;
use quorate_core::records::Agent;

use super::client::{self, Client};
use super::{Output, in_force};
use crate::config::Config;
use crate::wire::files;

/// What to do with the agents.
#[derive(Debug, Subcommand)]
pub(super) enum Agents {
    /// Write the agents of a file that are new or have changed
    Apply {
        /// TOML, `[[agent]]` an entry; `-` for standard input
        file: PathBuf,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Show who is listed: the record in force of each, and its offset
    List {
        /// Lines for people, or JSON for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

impl Agents {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Apply { file, output } => apply(&file, output, config),
            Self::List { output } => in_force::list(&Client::open(config)?, output, line),
        }
    }
}

fn apply(file: &Path, output: Output, config: &Config) -> anyhow::Result<()> {
    let text = super::input(file)?;
    let agents = files::agents(&text).with_context(|| format!("in `{}`", file.display()))?;
    let records = agents
        .into_iter()
        .map(|agent| (agent.agent_id.to_string(), agent))
        .collect();
    client::print_applied(&Client::open(config)?.apply(records)?, output)?;
    Ok(())
}

fn line(agent: &Agent) -> String {
    let grants = agent.domains.iter();
    let grants = grants.map(|grant| format!("{} {}", grant.domain, grant.authority));
    let reviews = agent.reviews.iter();
    let reviews = reviews.map(|of| {
        let stakes = format!("{:?}", of.up_to_stakes).to_uppercase();
        format!("reviews {} to {stakes}", of.domain)
    });
    let may: Vec<_> = grants.chain(reviews).collect();
    let line = format!(
        "{:<24} {:<9} {:<8} of {}: {}",
        agent.agent_id.as_str(),
        format!("{:?}", agent.status).to_uppercase(),
        format!("{:?}", agent.kind).to_uppercase(),
        agent.principal,
        may.join(", "),
    );
    line.escape_debug().to_string()
}
