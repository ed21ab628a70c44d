//! `quorate verify --follow`: verifies a log as it goes on, until it is told to stop.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::Output;
use super::client::{self, Client};
use super::observed::{Observed, told_to_stop};
use super::verify::line;
use crate::clock::{Clock as _, System};
use crate::config::Config;
use crate::gateway::observe;
use crate::history::Error;
use crate::telemetry::{Compared, Verified};
use crate::transport;
use crate::verify::{Finding, Follower, Options, Report, Standing, Verdict};
use crate::wire;

/// Between two readings.
const PAUSE: Duration = Duration::from_millis(250);
/// How often it is looked meanwhile whether it is told to stop.
const LOOK: Duration = Duration::from_millis(25);

/// How to follow.
#[derive(Debug)]
pub(super) struct Follow {
    pub(super) options: Options,
    /// Where to serve metrics and health; nowhere if that is empty.
    pub(super) observe: String,
    pub(super) output: Output,
}

/// What it came to so far, counted by kind.
#[derive(Debug, Default)]
struct Counts {
    broken: BTreeMap<&'static str, u64>,
    not_evaluated: BTreeMap<&'static str, u64>,
}

impl Follow {
    pub(super) fn call(&self, config: &Config) -> anyhow::Result<ExitCode> {
        let stop = told_to_stop()?;
        let runtime = client::runtime()?;
        let patience = Duration::from_millis(config.run.stall_ms);
        let verified = Arc::new(Verified::new(patience));
        let shown = Arc::clone(&verified);
        let serve = |listener, stopped| observe::serve_verifier(listener, shown, stopped);
        let observed = Observed::start(&runtime, &self.observe, serve)?;
        let ended = self.follow(config, &verified, &stop);
        if let Some(observed) = observed {
            observed.stop(&runtime)?;
        }
        ended
    }

    fn follow(
        &self,
        config: &Config,
        verified: &Verified,
        stop: &AtomicBool,
    ) -> anyhow::Result<ExitCode> {
        let client = Client::open(config)?;
        let prefix = match config.blackboard.is_empty() {
            true => config.prefix.clone(),
            false => String::new(),
        };
        let mut follower = Follower::open(client.handle(), prefix, self.options)?;
        let (mut counts, mut standing) = (Counts::default(), Standing::default());
        let mut has_begun = false;
        while !stop.load(Ordering::Relaxed) {
            let now = System.now();
            match follower.go_on(now, stop) {
                Ok(stands) => standing = stands,
                Err(Error::Log(transport::Error::Stopped)) => break,
                Err(error) if is_passing(&error) => {
                    tracing::warn!(error = %chain(&error), "cannot read on for now");
                    pause(stop);
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let report = follower.report();
            self.tell(report, &mut counts)?;
            let mut compared = compared(report, &counts, &standing);
            compared.at = now;
            verified.note(&compared);
            if !std::mem::replace(&mut has_begun, true) {
                tracing::info!("what was there is compared, and what comes will be");
            }
            pause(stop);
        }
        let report = follower.report();
        self.tell(report, &mut counts)?;
        self.end(report, &counts, &standing)
    }

    /// Writes what was found to be broken, a line each, and counts it.
    fn tell(&self, report: &mut Report, counts: &mut Counts) -> anyhow::Result<()> {
        let (broken, not_evaluated) = report.take();
        for finding in &broken {
            *counts.broken.entry(finding.kind).or_default() += 1;
            write(&match self.output {
                Output::Text => format!("broken: {}", line(finding)),
                Output::Json => in_json(finding)?.to_string(),
            })?;
        }
        for finding in &not_evaluated {
            *counts.not_evaluated.entry(finding.kind).or_default() += 1;
        }
        Ok(())
    }

    /// Writes what it came to.
    fn end(
        &self,
        report: &Report,
        counts: &Counts,
        standing: &Standing,
    ) -> anyhow::Result<ExitCode> {
        let sum = |of: &BTreeMap<&str, u64>| of.values().sum::<u64>();
        let [verified, broken, not_evaluated] =
            [&report.verified, &counts.broken, &counts.not_evaluated].map(sum);
        let verdict = match (broken, not_evaluated) {
            (0, 0) => Verdict::Verified,
            (0, _) => Verdict::NotEvaluated,
            _ => Verdict::Broken,
        };
        let behind: i64 = standing.behind.values().sum();
        let waiting = report.waiting.len();
        write(&match self.output {
            Output::Text => format!(
                "{verified} verified, {broken} broken, {not_evaluated} not evaluated, \
                 {waiting} waiting; {behind} records behind"
            ),
            Output::Json => json!({
                "verdict": verdict,
                "counts": {
                    "verified": report.verified,
                    "broken": counts.broken,
                    "not_evaluated": counts.not_evaluated,
                    "waiting": Report::counted(&report.waiting),
                },
                "unverified": report.unverified,
                "open": report.open,
                "behind": behind,
            })
            .to_string(),
        })?;
        Ok(super::verify::exit(verdict))
    }
}

/// What is shown of a comparison, but for its time.
fn compared(report: &Report, counts: &Counts, standing: &Standing) -> Compared {
    let mut items = Vec::new();
    for (verdict, counts) in [
        ("verified", &report.verified),
        ("broken", &counts.broken),
        ("not_evaluated", &counts.not_evaluated),
    ] {
        items.extend(counts.iter().map(|(kind, count)| (verdict, *kind, *count)));
    }
    let behind = standing.behind.iter();
    Compared {
        items,
        waiting: Report::counted(&report.waiting).into_iter().collect(),
        under_way: [("found", standing.found), ("expected", standing.expected)],
        behind: behind
            .map(|(topic, count)| (topic.name(), *count))
            .collect(),
        open: report.open,
        held: [("rounds", standing.rounds), ("notes", standing.notes)],
        ..Compared::default()
    }
}

/// A finding as JSON, with what it came to.
fn in_json(finding: &Finding) -> anyhow::Result<Value> {
    let mut value = wire::json::to_value(finding)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("verdict".to_owned(), json!(Verdict::Broken));
    }
    Ok(value)
}

/// Writes a line that is there once this returns.
fn write(line: &str) -> io::Result<()> {
    super::answer(line)?;
    io::stdout().flush()
}

/// Whether it may be otherwise the next time: nobody answered, or not in time.
const fn is_passing(error: &Error) -> bool {
    matches!(
        error,
        Error::Log(transport::Error::Log { .. } | transport::Error::TimedOut(_))
    )
}

/// An error with what it rests on.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// Waits until it is time to read on, or it is told to stop.
fn pause(stop: &AtomicBool) {
    let mut left = PAUSE;
    while !left.is_zero() && !stop.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}
