//! `quorate agents`: who takes part.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::client::{self, Client};
use crate::config::Config;
use crate::wire::files;

/// What to do with the agents.
#[derive(Debug, Subcommand)]
pub(super) enum Agents {
    /// Write the agents of a file that are new or have changed
    Apply {
        /// TOML, `[[agent]]` an entry; `-` for standard input
        file: PathBuf,
    },
}

impl Agents {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let Self::Apply { file } = self;
        let text = super::input(&file)?;
        let agents = files::agents(&text).with_context(|| format!("in `{}`", file.display()))?;
        let records = agents
            .into_iter()
            .map(|agent| (agent.agent_id.to_string(), agent))
            .collect();
        client::print_applied(&Client::open(config)?.apply(records)?)?;
        Ok(())
    }
}
