//! `quorate schemas`: what records look like, known to a registry.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Subcommand;

use super::client;
use crate::config::Config;
use crate::transport::kafka;
use crate::wire::schemas;

/// What to do with the schemas.
#[derive(Debug, Subcommand)]
pub(super) enum Schemas {
    /// Register every schema, fully compatible with all before it, and record its id on the log
    Register,
    /// Write every schema to a directory, one `.avsc` a kind of record
    Export {
        /// Made if it is not there
        directory: PathBuf,
    },
}

impl Schemas {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::Register => register(config),
            Self::Export { directory } => {
                let cannot = || format!("cannot write to `{}`", directory.display());
                for path in schemas::export(&directory).with_context(cannot)? {
                    super::answer(&format!("{}", path.display()))?;
                }
                Ok(())
            }
        }
    }
}

fn register(config: &Config) -> anyhow::Result<()> {
    let connection = client::connection(config)?;
    let registry = client::registry(config)?;
    let registering = kafka::register(&connection, &registry);
    for registered in client::runtime()?.block_on(registering)? {
        let change = if registered.recorded {
            "recorded"
        } else {
            "unchanged"
        };
        super::answer(&format!(
            "{}: id {}, {change}",
            registered.subject, registered.id
        ))?;
    }
    Ok(())
}
