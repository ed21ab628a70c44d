//! `quorate suspend` and `quorate resume`: automation taken away from running rounds, given back to
//! later ones.
//!
//! What is done, a gateway does as well; here it is asked for by the command line, and told.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_core::records::{Control, Mode};
use serde_json::json;

use super::Output;
use super::client::{self, Client};
use crate::config::Config;
use crate::gateway::suspend::{self, Row};

/// What to suspend.
#[derive(Debug, Subcommand)]
pub(super) enum Suspend {
    /// An agent: its ballots weigh nothing, and rounds they would have changed escalate
    Agent {
        /// Its id
        id: String,
        #[command(flatten)]
        order: Order,
    },
    /// A policy: every round under it escalates
    Pattern {
        /// Its pattern
        pattern: String,
        #[command(flatten)]
        order: Order,
    },
}

/// Who orders it, and why.
#[derive(Debug, Args)]
pub(super) struct Order {
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who orders it
    #[arg(long, value_name = "NAME")]
    operator: String,
    /// Lines for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// Who gives it back.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// Who gives it back
    #[arg(long, value_name = "NAME")]
    operator: Option<String>,
    /// Lines for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What to give back to rounds opened from now on.
#[derive(Debug, Subcommand)]
pub(super) enum Resume {
    /// An agent, active again
    Agent {
        /// Its id
        id: String,
        #[command(flatten)]
        given: Given,
    },
    /// A policy, in the mode it had
    Pattern {
        /// Its pattern
        pattern: String,
        /// The mode it takes [default: the one before, if the table still has it]
        #[arg(long, value_parser = ["live", "shadow"])]
        mode: Option<String>,
        #[command(flatten)]
        given: Given,
    },
}

impl Suspend {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        let log = client.handle();
        let (row, agent_id, pattern, order) = match self {
            Self::Agent { id, order } => {
                let row = suspend::suspend_agent(log, &id, Some(&order.operator))?;
                (row, Some(id), None, order)
            }
            Self::Pattern { pattern, order } => {
                let row = suspend::suspend_pattern(log, &pattern, Some(&order.operator))?;
                (row, None, Some(pattern), order)
            }
        };
        let key = agent_id.as_ref().or(pattern.as_ref());
        tell(key.map_or("", |key| key), &row, order.output)?;
        let control = Control {
            control_id: client::new_id(),
            agent_id,
            pattern,
            table_offset: row.offset,
            operator: order.operator,
            reason: order.reason,
        };
        let told = suspend::order(log, &control).with_context(|| {
            format!(
                "the table says so since offset {}, but not every running round was told; \
                 repeat the command",
                row.offset.0
            )
        })?;
        client::print_appended(&control.control_id, &told, order.output)?;
        Ok(())
    }
}

impl Resume {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        let log = client.handle();
        match self {
            Self::Agent { id, given } => {
                let row = suspend::resume_agent(log, &id, given.operator.as_deref())?;
                tell(&id, &row, given.output)
            }
            Self::Pattern {
                pattern,
                mode,
                given,
            } => {
                let mode = mode.map(|mode| match &*mode {
                    "live" => Mode::Live,
                    _ => Mode::Shadow,
                });
                let row = suspend::resume_pattern(log, &pattern, mode, given.operator.as_deref());
                let row = row.map_err(|error| match error {
                    suspend::Error::NoMode(_) => anyhow::anyhow!("{error}, by `--mode`"),
                    error => error.into(),
                })?;
                tell(&pattern, &row, given.output)
            }
        }
    }
}

/// Prints what a table has come to say of a key.
fn tell(key: &str, row: &Row, output: Output) -> anyhow::Result<()> {
    let Some(place) = &row.written else {
        return Ok(client::print_applied(&[(key.to_owned(), false)], output)?);
    };
    if output == Output::Text {
        client::print_appended(key, std::slice::from_ref(place), Output::Text)?;
    } else {
        let line = json!({
            "key": key, "change": "written",
            "topic": place.topic, "partition": place.partition, "offset": place.offset,
        });
        super::answer(&line.to_string())?;
    }
    Ok(())
}
