//! `quorate suspend` and `quorate resume`: automation taken away from running rounds, given back to
//! later ones.
//!
//! Suspending writes the table first and then, naming its offset, one order to every partition:
//! the table is what authenticates it (protocol section 5). Both halves can be repeated, so that
//! what was cut off in between is completed by the same command.

use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use quorate_core::ids::{Millis, Offset, Timestamp};
use quorate_core::records::{Agent, AgentStatus, Control, Mode, Policy};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Output;
use super::client::{self, Client};
use super::in_force::{Placed, history, in_force};
use crate::config::Config;
use crate::engine::CONTROL_HEADER;
use crate::transport::{Appended, Entry};
use crate::wire::{Record, seal_policy};

/// How often an order is given to a partition whose leader's clock is behind that of the table's.
const TIMES: usize = 10;
/// Longest wait for a clock that is behind.
const BEHIND: Duration = Duration::from_secs(5);

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

/// What to give back to rounds opened from now on.
#[derive(Debug, Subcommand)]
pub(super) enum Resume {
    /// An agent, active again
    Agent {
        /// Its id
        id: String,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// A policy, in the mode it had
    Pattern {
        /// Its pattern
        pattern: String,
        /// The mode it takes [default: the one before, if the table still has it]
        #[arg(long, value_parser = ["live", "shadow"])]
        mode: Option<String>,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
}

/// What is suspended or resumed where, and how that is told.
struct Verb {
    client: Client,
    output: Output,
}

impl Suspend {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        let (Self::Agent { order, .. } | Self::Pattern { order, .. }) = &self;
        let output = order.output;
        let verb = Verb { client, output };
        let (offset, since, agent_id, pattern, order) = match self {
            Self::Agent { id, order } => {
                let offset = verb.suspend_agent(&id)?;
                let since = since::<Agent>(&verb.client, offset)?;
                (offset, since, Some(id), None, order)
            }
            Self::Pattern { pattern, order } => {
                let offset = verb.suspend_pattern(&pattern)?;
                let since = since::<Policy>(&verb.client, offset)?;
                (offset, since, None, Some(pattern), order)
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
        let told = tell(&verb.client, &control, since).with_context(|| {
            format!(
                "the table says so since offset {}, but not every running round was told; \
                 repeat the command",
                offset.0
            )
        })?;
        client::print_appended(&control.control_id, &told, output)?;
        Ok(())
    }
}

impl Resume {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let client = Client::open(config)?;
        let (Self::Agent { output, .. } | Self::Pattern { output, .. }) = self;
        let verb = Verb { client, output };
        match self {
            Self::Agent { id, .. } => verb.resume_agent(&id),
            Self::Pattern { pattern, mode, .. } => verb.resume_pattern(&pattern, mode.as_deref()),
        }
    }
}

impl Verb {
    /// Makes the table say that an agent is suspended; the offset at which it does.
    fn suspend_agent(&self, id: &str) -> anyhow::Result<Offset> {
        let Placed {
            offset, mut record, ..
        } = agent(&self.client, id)?;
        if record.status == AgentStatus::Suspended {
            self.print_unchanged(id)?;
            return Ok(offset);
        }
        record.status = AgentStatus::Suspended;
        self.write(id, record)
    }

    fn suspend_pattern(&self, pattern: &str) -> anyhow::Result<Offset> {
        let (
            Placed {
                offset, mut record, ..
            },
            _,
        ) = policy(&self.client, pattern)?;
        if record.mode == Mode::Suspended {
            self.print_unchanged(pattern)?;
            return Ok(offset);
        }
        record.mode = Mode::Suspended;
        seal_policy(&mut record)?;
        self.write(pattern, record)
    }

    fn resume_agent(&self, id: &str) -> anyhow::Result<()> {
        let mut record = agent(&self.client, id)?.record;
        match record.status {
            AgentStatus::Active => self.print_unchanged(id),
            AgentStatus::Retired => anyhow::bail!("agent `{id}` is retired, not suspended"),
            AgentStatus::Suspended => {
                record.status = AgentStatus::Active;
                self.write(id, record).map(drop)
            }
        }
    }

    fn resume_pattern(&self, pattern: &str, mode: Option<&str>) -> anyhow::Result<()> {
        let (Placed { mut record, .. }, before) = policy(&self.client, pattern)?;
        if record.mode != Mode::Suspended {
            return self.print_unchanged(pattern);
        }
        record.mode = match mode {
            Some("live") => Mode::Live,
            Some(_) => Mode::Shadow,
            None => before.with_context(|| {
                format!("the table no longer has the mode of `{pattern}` before; say `--mode`")
            })?,
        };
        seal_policy(&mut record)?;
        self.write(pattern, record).map(drop)
    }

    /// Appends a record to its table, and waits for its offset.
    fn write<T: Record>(&self, key: &str, record: T) -> anyhow::Result<Offset> {
        let appended = self.client.append(&[(key, record)])?;
        let place = appended.first().context("the brokers named no offset")?;
        if self.output == Output::Text {
            client::print_appended(key, &appended, Output::Text)?;
        } else {
            let line = json!({
                "key": key, "change": "written",
                "topic": place.topic, "partition": place.partition, "offset": place.offset,
            });
            super::answer(&line.to_string())?;
        }
        Ok(Offset(place.offset))
    }

    fn print_unchanged(&self, key: &str) -> anyhow::Result<()> {
        client::print_applied(&[(key.to_owned(), false)], self.output)?;
        Ok(())
    }
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

/// The latest time at which a table was appended to, up to an offset.
fn since<T>(client: &Client, offset: Offset) -> anyhow::Result<Timestamp>
where
    T: Record + DeserializeOwned,
{
    let versions = history::<T>(client)?.into_values().flatten();
    let by_then = versions.filter(|version| version.offset <= offset);
    let latest = by_then.map(|version| version.time).max();
    latest.context("the table does not have what was written to it")
}

/// Appends an order to every partition of the responses.
fn tell(client: &Client, control: &Control, since: Timestamp) -> anyhow::Result<Vec<Appended>> {
    let value = client.codec().encode(control)?;
    let headers = [(CONTROL_HEADER, &b"1"[..])];
    let entry = |&partition: &i32| Entry {
        topic: Topic::Responses,
        partition,
        key: None,
        value: Some(&value),
        headers: &headers,
    };
    let order = |partitions: &[i32]| {
        let entries: Vec<_> = partitions.iter().map(entry).collect();
        Ok(client.handle().append(&entries)?)
    };
    let all = (0..client.handle().partitions()?).collect();
    tell_in_time(all, since, order, thread::sleep)
}

/// Orders, and orders again what came to lie at an earlier time than what the table says, as where
/// leaders' clocks differ: it is refused there.
fn tell_in_time(
    partitions: Vec<i32>,
    since: Timestamp,
    mut order: impl FnMut(&[i32]) -> anyhow::Result<Vec<Appended>>,
    wait: impl Fn(Duration),
) -> anyhow::Result<Vec<Appended>> {
    let (mut left, mut told) = (partitions, Vec::new());
    for _ in 0..TIMES {
        let mut behind = Millis(0);
        let mut early = Vec::new();
        for place in order(&left)? {
            match place.timestamp.filter(|time| *time < since) {
                Some(time) => {
                    behind = behind.max(since.since(time));
                    early.push(place.partition);
                }
                None => told.push(place),
            }
        }
        left = early;
        if left.is_empty() {
            told.sort_by_key(|place| place.partition);
            return Ok(told);
        }
        wait(Duration::from_millis(behind.0.unsigned_abs()).min(BEHIND));
    }
    anyhow::bail!(
        "the leaders of partitions {left:?} of the responses have clocks far behind that of the \
         table's leader; see `quorate doctor`"
    )
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Two partitions, the second one's clock behind; what was ordered in all.
    fn told(behind: i64) -> (anyhow::Result<Vec<Appended>>, usize) {
        let (clock, mut orders) = (Cell::new(1_000), 0);
        let order = |partitions: &[i32]| {
            orders += partitions.len();
            let place = |&partition: &i32| Appended {
                topic: "acp.responses".to_owned(),
                partition,
                offset: clock.get(),
                timestamp: Some(Timestamp(clock.get() - i64::from(partition) * behind)),
                ahead: None,
            };
            Ok(partitions.iter().map(place).collect())
        };
        let wait = |time: Duration| {
            let millis = i64::try_from(time.as_millis()).unwrap();
            clock.set(clock.get() + millis);
        };
        let told = tell_in_time(vec![0, 1], Timestamp(1_000), order, wait);
        (told, orders)
    }

    #[test]
    fn an_order_is_given_again_where_it_lies_before_what_the_table_says() {
        let (told, orders) = told(300);
        let places: Vec<_> = told
            .unwrap()
            .iter()
            .map(|p| (p.partition, p.offset))
            .collect();
        assert_eq!((places, orders), (vec![(0, 1_000), (1, 1_300)], 3));
    }

    #[test]
    fn a_clock_that_is_too_far_behind_is_said_to_be() {
        let (told, _) = told(3_600_000);
        let why = told.unwrap_err().to_string();
        assert!(why.contains("partitions [1]"), "{why}");
    }
}
