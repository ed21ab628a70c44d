//! `quorate watch`: what comes of the rounds, as it comes.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use quorate_core::records::{DeadLetter, DecisionPackage, Outcome, Proposal, TrustScore};
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use super::Output;
use super::client::Client;
use crate::config::Config;
use crate::transport::{Reading, Start, Stored};
use crate::wire::{Codec, Error, json as text};

/// Nothing came in time.
const TIMED_OUT: u8 = 3;
/// Longest wait before looking at the time again.
const LOOK: Duration = Duration::from_millis(50);

/// What to show, and until when.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Only these; all but the proposals if none is given
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<Watched>,
    /// Only records of this round
    #[arg(long)]
    proposal: Option<String>,
    /// Start with the oldest record
    #[arg(long)]
    from_beginning: bool,
    /// End with the last record there is now
    #[arg(long, conflicts_with_all = ["count", "timeout"])]
    to_end: bool,
    /// End after so many records
    #[arg(long)]
    count: Option<usize>,
    /// End after so many seconds, with exit code 3 if `--count` were not there by then
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// Lines for people or for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Watched {
    Proposals,
    Outcomes,
    Escalations,
    DeadLetters,
    Trust,
}

impl Watched {
    const fn topic(self) -> Topic {
        match self {
            Self::Proposals => Topic::Proposals,
            Self::Outcomes => Topic::Outcomes,
            Self::Escalations => Topic::Escalations,
            Self::DeadLetters => Topic::DeadLetters,
            Self::Trust => Topic::Trust,
        }
    }
}

impl Watch {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self.watch(config) {
            // Whoever reads has seen enough, as in `quorate watch | head`.
            Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
            watched => watched,
        }
    }

    fn watch(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let client = Client::open(config)?;
        let (handle, codec) = (client.handle(), client.codec());
        let reader = handle.reader()?;
        let start = if self.from_beginning {
            Start::Beginning
        } else {
            Start::End
        };
        let count = handle.partitions()?;
        let mut places = Vec::new();
        for watched in Watched::value_variants() {
            let unasked = self.topics.is_empty() && *watched != Watched::Proposals;
            if unasked || self.topics.contains(watched) {
                let topic = watched.topic();
                let of_topic = if topic.is_table() { 1 } else { count };
                places.extend((0..of_topic).map(|partition| (topic, partition, start)));
            }
        }
        if self.to_end {
            for (topic, partition, _) in places {
                let (start, end) = reader.ends(topic, partition)?;
                let mut shown = Ok(true);
                reader.read_to(topic, partition, start, end, &mut |stored| {
                    if shown.is_ok() {
                        shown = self.show(codec, &stored);
                    }
                    Ok(ControlFlow::Continue(()))
                })?;
                shown?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        reader.go_to(&places)?;
        self.follow(reader.as_ref(), codec)
    }

    /// Shows what comes, until there is enough of it or time is up.
    fn follow(&self, reader: &dyn Reading, codec: &Codec) -> anyhow::Result<ExitCode> {
        let span = self.timeout.map(Duration::try_from_secs_f64).transpose();
        let until = span.context("`--timeout` is not a span")?;
        let until = until.map(|span| Instant::now() + span);
        let mut shown = 0;
        while self.count.is_none_or(|count| shown < count) {
            if until.is_some_and(|until| Instant::now() > until) {
                let code = if self.count.is_some() { TIMED_OUT } else { 0 };
                return Ok(ExitCode::from(code));
            }
            if let Some(stored) = reader.next(LOOK)?
                && self.show(codec, &stored)?
            {
                shown += 1;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints a record if it is wanted; whether it was.
    fn show(&self, codec: &Codec, stored: &Stored) -> io::Result<bool> {
        if !self.wants(stored) {
            return Ok(false);
        }
        let mut out = io::stdout().lock();
        match self.line(codec, stored) {
            Ok(None) => return Ok(false),
            Ok(Some(line)) => writeln!(out, "{line}")?,
            Err(error) => writeln!(out, "{}@{}: {error}", stored.topic, stored.offset)?,
        }
        out.flush()?;
        Ok(true)
    }

    fn wants(&self, stored: &Stored) -> bool {
        let wanted = self.proposal.as_ref().map(String::as_bytes);
        wanted.is_none() || stored.key.as_deref() == wanted
    }

    /// A record's line; none for what has no value.
    fn line(&self, codec: &Codec, stored: &Stored) -> Result<Option<String>, Error> {
        let Some(value) = stored.value.as_deref() else {
            return Ok(None);
        };
        let (record, line) = match stored.topic {
            Topic::Proposals => {
                let (proposal, _) = codec.decode::<Proposal>(value)?;
                (text::to_value(&proposal)?, proposal_line(&proposal))
            }
            Topic::Outcomes => {
                let (outcome, _) = codec.decode::<Outcome>(value)?;
                (text::to_value(&outcome)?, outcome_line(&outcome))
            }
            Topic::Escalations => {
                let (package, _) = codec.decode::<DecisionPackage>(value)?;
                (text::to_value(&package)?, package_line(&package))
            }
            Topic::Trust => {
                let (score, _) = codec.decode::<TrustScore>(value)?;
                (text::to_value(&score)?, score_line(&score))
            }
            _ => {
                let (letter, _) = codec.decode::<DeadLetter>(value)?;
                (text::to_value(&letter)?, letter_line(&letter))
            }
        };
        Ok(Some(match self.output {
            Output::Text => line,
            Output::Json => in_place(stored, &record).to_string(),
        }))
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A record's JSON, with where it lies.
fn in_place(stored: &Stored, record: &Value) -> Value {
    json!({
        "topic": stored.topic.name(),
        "partition": stored.partition,
        "offset": stored.offset,
        "timestamp": stored.timestamp,
        "record": record,
    })
}

/// Symbols as the schemas have them, joined.
pub(super) fn symbols<T: serde::Serialize>(of: &[T]) -> String {
    let symbol = |one: &T| match text::to_value(one) {
        Ok(Value::String(symbol)) => symbol,
        _ => String::new(),
    };
    of.iter().map(symbol).collect::<Vec<_>>().join(" ")
}

fn proposal_line(proposal: &Proposal) -> String {
    let Proposal {
        proposal_id,
        proposer,
        domain,
        action,
        ..
    } = proposal;
    let (kind, subject) = (action.r#type.escape_debug(), action.subject.escape_debug());
    format!(
        "proposal    {proposal_id} by {} in {}: {kind} of {subject}",
        proposer.escape_debug(),
        domain.escape_debug(),
    )
}

fn outcome_line(outcome: &Outcome) -> String {
    let decision = &outcome.decision;
    let mut line = format!(
        "outcome     {} {} ({}) by {}: for {} against {} of {}; margin {} of {}",
        outcome.proposal_id,
        symbols(&[decision.status]),
        symbols(&decision.reasons),
        symbols(&[decision.resolved_by]),
        decision.endorse,
        decision.challenge,
        decision.n,
        decision.margin_reached,
        decision.margin_needed,
    );
    for ballot in &decision.ballots {
        let kept = ballot.reason.map(|reason| symbols(&[reason]));
        // Writing to a string does not fail.
        let _infallible = write!(
            line,
            "\n  {:24} {:9} confidence {} x authority {} x trust {} = {}{}",
            ballot.agent_id.as_str(),
            symbols(&[ballot.verdict]),
            ballot.confidence,
            ballot.authority,
            ballot.trust,
            ballot.weight,
            kept.map_or_else(String::new, |kept| format!(" ({kept})")),
        );
    }
    line
}

fn package_line(package: &DecisionPackage) -> String {
    let DecisionPackage {
        proposal_id,
        content,
        package_digest,
        tier,
        approvals_needed,
        ..
    } = package;
    format!(
        "escalation  {proposal_id} ({}) tier {tier}, {approvals_needed} to approve: \
         quorate decide --proposal {proposal_id} --package {package_digest} \
         --reviewer ID --verdict APPROVE|REJECT|SEND_BACK",
        symbols(&content.decision.reasons),
    )
}

fn score_line(score: &TrustScore) -> String {
    format!(
        "trust       {} in {}: {} (revision {})",
        score.agent_id, score.trust_domain, score.trust, score.revision
    )
}

fn letter_line(letter: &DeadLetter) -> String {
    format!(
        "dead letter {}/{}@{}: {} ({})",
        letter.topic,
        letter.partition,
        letter.offset.0,
        letter.reason,
        letter.detail.escape_debug()
    )
}
