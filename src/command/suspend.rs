//! `quorate suspend` and `quorate resume`: automation taken away from running rounds, given back to
//! later ones.
//!
//! Suspending writes the table first and then, naming its offset, one order to every partition:
//! the table is what authenticates it (protocol section 5). Both halves can be repeated, so that
//! what was cut off in between is completed by the same command.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_core::ids::Offset;
use quorate_core::records::{Agent, AgentStatus, Control, Mode, Policy};
use quorate_core::topic::Topic;

use super::Output;
use super::client::{self, Client};
use super::in_force::{Placed, history, in_force};
use crate::config::Config;
use crate::engine::CONTROL_HEADER;
use crate::transport::kafka::{Appended, Appender, partitions};
use crate::wire::{Record, seal_policy};

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
}

/// What to give back to rounds opened from now on.
#[derive(Debug, Subcommand)]
pub(super) enum Resume {
    /// An agent, active again
    Agent {
        /// Its id
        id: String,
    },
    /// A policy, in the mode it had
    Pattern {
        /// Its pattern
        pattern: String,
        /// The mode it takes [default: the one before, if the table still has it]
        #[arg(long, value_parser = ["live", "shadow"])]
        mode: Option<String>,
    },
}

impl Suspend {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        let (offset, agent_id, pattern, order) = match self {
            Self::Agent { id, order } => (suspend_agent(&client, &id)?, Some(id), None, order),
            Self::Pattern { pattern, order } => {
                let offset = suspend_pattern(&client, &pattern)?;
                (offset, None, Some(pattern), order)
            }
        };
        let control = Control {
            control_id: client::new_id(),
            agent_id,
            pattern,
            table_offset: offset,
            operator: order.operator,
            reason: order.reason,
        };
        let told = tell(&client, &control).with_context(|| {
            format!(
                "the table says so since offset {}, but not every running round was told; \
                 repeat the command",
                offset.0
            )
        })?;
        client::print_appended(&control.control_id, &told, Output::Text)?;
        Ok(())
    }
}

impl Resume {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        match self {
            Self::Agent { id } => resume_agent(&client, &id),
            Self::Pattern { pattern, mode } => resume_pattern(&client, &pattern, mode.as_deref()),
        }
    }
}

/// Makes the table say that an agent is suspended; the offset at which it does.
fn suspend_agent(client: &Client, id: &str) -> anyhow::Result<Offset> {
    let Placed { offset, mut record } = agent(client, id)?;
    if record.status == AgentStatus::Suspended {
        print_unchanged(id)?;
        return Ok(offset);
    }
    record.status = AgentStatus::Suspended;
    write(client, id, record)
}

fn suspend_pattern(client: &Client, pattern: &str) -> anyhow::Result<Offset> {
    let (Placed { offset, mut record }, _) = policy(client, pattern)?;
    if record.mode == Mode::Suspended {
        print_unchanged(pattern)?;
        return Ok(offset);
    }
    record.mode = Mode::Suspended;
    seal_policy(&mut record)?;
    write(client, pattern, record)
}

fn resume_agent(client: &Client, id: &str) -> anyhow::Result<()> {
    let mut record = agent(client, id)?.record;
    match record.status {
        AgentStatus::Active => print_unchanged(id),
        AgentStatus::Retired => anyhow::bail!("agent `{id}` is retired, not suspended"),
        AgentStatus::Suspended => {
            record.status = AgentStatus::Active;
            write(client, id, record).map(drop)
        }
    }
}

fn resume_pattern(client: &Client, pattern: &str, mode: Option<&str>) -> anyhow::Result<()> {
    let (Placed { mut record, .. }, before) = policy(client, pattern)?;
    if record.mode != Mode::Suspended {
        return print_unchanged(pattern);
    }
    record.mode = match mode {
        Some("live") => Mode::Live,
        Some(_) => Mode::Shadow,
        None => before.with_context(|| {
            format!("the table no longer has the mode of `{pattern}` before; say `--mode`")
        })?,
    };
    seal_policy(&mut record)?;
    write(client, pattern, record).map(drop)
}

fn agent(client: &Client, id: &str) -> anyhow::Result<Placed<Agent>> {
    let found = in_force::<Agent>(client)?.remove(id);
    found.with_context(|| format!("no agent `{id}` is listed"))
}

/// The policy in force of a pattern, and the last mode it was not suspended in.
fn policy(client: &Client, pattern: &str) -> anyhow::Result<(Placed<Policy>, Option<Mode>)> {
    let mut versions = history::<Policy>(client)?.remove(pattern);
    let mut modes = versions
        .iter()
        .flatten()
        .rev()
        .map(|version| version.record.mode);
    let before = modes.find(|mode| *mode != Mode::Suspended);
    let found = versions.as_mut().and_then(Vec::pop);
    let found = found.with_context(|| format!("no policy has the pattern `{pattern}`"))?;
    Ok((found, before))
}

/// Appends a record to its table, and waits for its offset.
fn write<T: Record>(client: &Client, key: &str, record: T) -> anyhow::Result<Offset> {
    let appended = client.append(&[(key, record)])?;
    client::print_appended(key, &appended, Output::Text)?;
    let place = appended.first().context("the brokers named no offset")?;
    Ok(Offset(place.offset))
}

/// Appends an order to every partition of the responses.
fn tell(client: &Client, control: &Control) -> anyhow::Result<Vec<Appended>> {
    let value = client.codec().encode(control)?;
    let headers = [(CONTROL_HEADER, &b"1"[..])];
    let appender = Appender::open(client.connection())?;
    for partition in 0..partitions(client.connection())? {
        appender.append(Topic::Responses, partition, None, Some(&value), &headers)?;
    }
    let mut told = appender.settle()?;
    told.sort_by_key(|place| place.partition);
    Ok(told)
}

fn print_unchanged(key: &str) -> anyhow::Result<()> {
    super::answer(&format!("{key}: unchanged"))?;
    Ok(())
}
