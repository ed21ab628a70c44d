//! `quorate verify`: whether what was put out is what follows.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Args, Error};
use quorate_core::ids::{Millis, ProposalId};
use serde_json::{Value, json};

use super::Output;
use super::follow::Follow;
use super::history::{Progress, Which};
use crate::config::Config;
use crate::verify::{Depth, Finding, Options, Report, Verdict, verify};
use crate::wire;

/// Findings of a kind that are shown to people.
const SHOWN: usize = 8;

/// What, and how far.
#[derive(Debug, Args)]
pub(super) struct Verify {
    #[command(flatten)]
    which: Which,
    /// Report one round alone; all of the history is gone through all the same
    #[arg(long, value_name = "ID")]
    round: Option<ProposalId>,
    /// 1: outcomes against themselves; 2: against their rounds' records; 3: against everything
    #[arg(long, default_value = "3", value_parser = depth)]
    depth: Depth,
    /// For how long before the history was read outputs may still be missing, in seconds; while
    /// following, for how long after processors have committed what they follow from
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    grace: u32,
    /// Go on with the log of the configuration until told to stop, at depth 3
    #[arg(long, conflicts_with_all = ["export", "round"])]
    follow: bool,
    /// While following: where to serve /metrics, /healthz and /readyz
    #[arg(long, value_name = "HOST:PORT", requires = "follow")]
    observe: Option<String>,
    /// Words for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn depth(text: &str) -> Result<Depth, String> {
    match text {
        "1" => Ok(Depth::Outcome),
        "2" => Ok(Depth::Records),
        "3" => Ok(Depth::Tables),
        _ => Err("it is 1, 2 or 3".to_owned()),
    }
}

impl Verify {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        let options = Options {
            depth: self.depth,
            grace: Millis(i64::from(self.grace) * 1_000),
            round: self.round,
        };
        if self.follow && self.depth < Depth::Tables {
            // All that the lesser depths look at is looked at there, too.
            let why = "`--follow` verifies at depth 3, which looks at all that 1 and 2 do: leave \
                       `--depth` out\n";
            Error::raw(ErrorKind::ArgumentConflict, why).print()?;
            return Ok(ExitCode::from(2));
        }
        if self.follow {
            let follow = Follow {
                options,
                observe: self.observe.unwrap_or_default(),
                output: self.output,
            };
            return follow.call(config);
        }
        let mut history = self.which.open(config)?;
        let mut progress = Progress::of("verifying:", history.about().expected());
        let report = verify(&mut *history, &options, &mut |done| progress.show(done));
        progress.end();
        let report = report?;
        super::answer(&match self.output {
            Output::Text => words(&report),
            Output::Json => wire::json::to_string_pretty(&told(&report)?)?,
        })?;
        Ok(exit(report.verdict()))
    }
}

/// The exit code of what it came to.
pub(super) fn exit(verdict: Verdict) -> ExitCode {
    match verdict {
        Verdict::Verified => ExitCode::SUCCESS,
        Verdict::Broken => ExitCode::from(1),
        Verdict::NotEvaluated => ExitCode::from(2),
    }
}

/// The report as JSON: what it comes to, then all of it.
fn told(report: &Report) -> anyhow::Result<Value> {
    Ok(json!({
        "verdict": report.verdict(),
        "counts": {
            "verified": report.verified,
            "broken": Report::counted(&report.broken),
            "not_evaluated": Report::counted(&report.not_evaluated),
            "waiting": Report::counted(&report.waiting),
        },
        "broken": wire::json::to_value(&report.broken)?,
        "not_evaluated": wire::json::to_value(&report.not_evaluated)?,
        "waiting": wire::json::to_value(&report.waiting)?,
        "unverified": report.unverified,
        "open": report.open,
        "pending": report.pending,
    }))
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    findings(&mut text, "broken", &report.broken);
    findings(&mut text, "not evaluated", &report.not_evaluated);
    findings(&mut text, "waiting", &report.waiting);
    for (what, count) in &report.unverified {
        text.push_str(&format!("unverified: {count} {what}\n"));
    }
    for (kind, count) in &report.verified {
        text.push_str(&format!("verified: {count} {kind}\n"));
    }
    if report.open + report.pending > 0 {
        let (open, pending) = (report.open, report.pending);
        text.push_str(&format!("{open} rounds open, {pending} outputs pending\n"));
    }
    let verified: u64 = report.verified.values().sum();
    text.push_str(&format!(
        "{verified} verified, {} broken, {} not evaluated",
        report.broken.len(),
        report.not_evaluated.len()
    ));
    if !report.waiting.is_empty() {
        text.push_str(&format!(", {} waiting", report.waiting.len()));
    }
    text
}

/// The first of each kind, and how many there are.
fn findings(text: &mut String, what: &str, findings: &[Finding]) {
    for (kind, count) in Report::counted(findings) {
        let of_kind = findings.iter().filter(|finding| finding.kind == kind);
        for finding in of_kind.take(SHOWN) {
            text.push_str(&format!("{what}: {}\n", line(finding)));
        }
        let more = usize::try_from(count)
            .unwrap_or(usize::MAX)
            .saturating_sub(SHOWN);
        if more > 0 {
            text.push_str(&format!("{what}: {kind}: {more} more\n"));
        }
    }
}

pub(super) fn line(finding: &Finding) -> String {
    let Finding {
        kind,
        topic,
        partition,
        ..
    } = finding;
    let offset = finding
        .offset
        .map_or(String::new(), |offset| format!("@{offset}"));
    let round = finding
        .proposal_id
        .map_or(String::new(), |id| format!(" of {id}"));
    let side = |text: &Option<String>| match text {
        Some(text) => text.escape_debug().to_string(),
        None => "nothing".to_owned(),
    };
    let (recorded, follows) = (side(&finding.recorded), side(&finding.follows));
    format!("{kind}{round}, {topic}/{partition}{offset}: recorded {recorded}; follows {follows}")
}
