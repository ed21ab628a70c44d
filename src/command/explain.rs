//! `quorate explain ID`: what a round came to, in words, and where on the log that was decided.

use std::fmt::{Result, Write};

use clap::Args;
use quorate_core::records::Outcome;
use quorate_core::topic::Topic;

use super::Output;
use super::client::Client;
use super::on_log::time;
use super::resolve;
use crate::config::Config;
use crate::wire;

/// Which round.
#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The proposal's id
    id: String,
    /// Words for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Explain {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let id = &self.id;
        let outcomes = outcomes(&Client::open(config)?, id)?;
        anyhow::ensure!(
            !outcomes.is_empty(),
            "`{id}` has no outcome on the log; `quorate show {id}` tells what else there is of it"
        );
        if self.output == Output::Json {
            super::answer(&wire::json::to_string_pretty(&outcomes)?)?;
            return Ok(());
        }
        for outcome in &outcomes {
            let mut text = resolve::of_decision(&outcome.decision);
            // Writing to a string does not fail.
            let _infallible = write_rest(&mut text, outcome);
            super::answer(&text)?;
        }
        Ok(())
    }
}

/// A round's outcomes, first to last.
fn outcomes(client: &Client, id: &str) -> anyhow::Result<Vec<Outcome>> {
    let count = client.handle().partitions()?;
    let partition = wire::partition_of(id.as_bytes(), count);
    let mut outcomes = Vec::new();
    client.scan(Topic::Outcomes, partition, |stored| {
        if stored.key.as_deref() != Some(id.as_bytes()) {
            return;
        }
        match stored
            .value
            .as_deref()
            .map(|value| client.codec().decode(value))
        {
            Some(Ok((outcome, _))) => outcomes.push(outcome),
            Some(Err(error)) => {
                tracing::warn!(%error, offset = stored.offset, "outcome cannot be read");
            }
            None => {}
        }
    })?;
    Ok(outcomes)
}

/// What the log adds to a decision: who mattered and who judged, then where and when.
fn write_rest(text: &mut String, outcome: &Outcome) -> Result {
    write_people(text, outcome)?;
    write_place(text, outcome)?;
    writeln!(text, "\ndecision_digest {}", outcome.decision_digest)
}

fn write_people(text: &mut String, outcome: &Outcome) -> Result {
    let (decision, at) = (&outcome.decision, &outcome.coordinates);
    for one in &decision.influence {
        if one.status != decision.status {
            let agent = one.agent_id.as_str().escape_debug();
            let status = format!("{:?}", one.status).to_uppercase();
            writeln!(text, "  {agent} is pivotal: without it, {status}")?;
        }
    }
    for replaced in &at.superseded {
        let agent = replaced.agent_id.as_str().escape_debug();
        let further = usize::try_from(replaced.further).unwrap_or_default();
        let count = replaced.response_digests.len().saturating_add(further);
        writeln!(text, "  {agent} said more, not counted: {count}")?;
    }
    for judged in &at.judged {
        let reviewer = judged.reviewer.escape_debug();
        let (partition, offset, when) = (at.partition, judged.offset.0, time(judged.timestamp));
        writeln!(
            text,
            "  {reviewer} judged it: decisions/{partition}@{offset}, {when}"
        )?;
    }
    Ok(())
}

fn write_place(text: &mut String, outcome: &Outcome) -> Result {
    let (decision, at) = (&outcome.decision, &outcome.coordinates);
    let (partition, pins) = (at.partition, at.pins);
    writeln!(text, "\nWhere it was decided")?;
    let (offset, when) = (at.proposal_offset.0, time(at.proposal_time));
    writeln!(text, "  proposed: proposals/{partition}@{offset}, {when}")?;
    let (offset, when) = (at.closing_offset.0, time(at.closing_time));
    writeln!(text, "  closed: responses/{partition}@{offset}, {when}")?;
    let early = if at.closed_early {
        ", not waited for"
    } else {
        ""
    };
    writeln!(text, "  deadline: {}{early}", time(at.deadline))?;
    writeln!(
        text,
        "  tables: up to agents@{}, policies@{}, trust@{}",
        pins.agents.0, pins.policies.0, pins.trust.0
    )?;
    let (policy, rules) = (decision.policy_digest, decision.rules_revision);
    writeln!(text, "  policy: {policy}, rules revision {rules}")?;
    let last = if outcome.r#final {
        "the last"
    } else {
        "a human decides"
    };
    writeln!(text, "  resolution: {}, {last}", outcome.resolution)
}
