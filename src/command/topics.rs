//! `quorate topics`: the topics as the protocol needs them.

use clap::Subcommand;

use super::client;
use crate::config::Config;
use crate::transport::kafka::{self, Layout};

/// What to do with the topics.
#[derive(Debug, Subcommand)]
pub(super) enum Topics {
    /// Create what is missing and put right what differs; partitions are never changed
    Apply {
        /// Partitions of the topics routed by proposal
        #[arg(long)]
        partitions: Option<i32>,
    },
}

impl Topics {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let Self::Apply { partitions } = self;
        let layout = Layout {
            partitions: partitions.unwrap_or(config.topics.partitions),
            replication: config.topics.replication_factor,
            retention_ms: config.topics.retention_ms,
        };
        anyhow::ensure!(layout.partitions > 0, "`--partitions` must be above 0");
        let connection = client::connection(config)?;
        let applied = client::runtime()?.block_on(kafka::apply(&connection, &layout))?;
        for (topic, change) in applied {
            super::answer(&format!("{}: {change}", connection.topic(topic)))?;
        }
        Ok(())
    }
}
