//! `quorate evaluate`: how good decisions would have been on votes whose truth is known.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;
use quorate_core::records::{Agent, Policy};

use super::Output;
use super::recorded::{Recorded, Source};
use crate::config::Config;
use crate::evaluate::page::page;
use crate::evaluate::report::{Asked, Report, report, steps};
use crate::evaluate::run::{self, Plan, Results};
use crate::wire::{self, files};

mod words;

/// Decides each item before its result is shown, beside the rules one would otherwise pick.
#[derive(Debug, Args)]
pub(super) struct Evaluate {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    electorate: Electorate,
    #[command(flatten)]
    feedback: Feedback,
    /// Random orders to try beside the files' own
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    orders: usize,
    /// Where random numbers start from
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// How often items are drawn again for the intervals
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    draws: usize,
    /// Measure changes to the rule that nobody has adopted, too
    #[arg(long)]
    variants: bool,
    /// File to write a page to, with plots, that needs nothing else
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// A table for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// By which policies.
#[derive(Debug, Args)]
pub(super) struct Rules {
    /// Policies (TOML); one alone governs every item, of several the closest to its domain
    /// [default: a target error of 0.10]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Wanted error among automatic decisions, instead of the policy's margin
    #[arg(long, value_name = "SHARE")]
    target_error: Option<f64>,
    /// Relative margin, instead of the policy's
    #[arg(long, value_name = "SHARE", conflicts_with = "target_error")]
    quorum_margin: Option<f64>,
    /// Own results after which a record has faded by half, or `none`, instead of the policy's
    #[arg(long, value_name = "RESULTS")]
    half_life: Option<HalfLife>,
}

/// Of which agents.
#[derive(Debug, Args)]
pub(super) struct Electorate {
    /// Who the agents are (TOML): authority, priors, owners [default: all alike]
    #[arg(long, value_name = "FILE")]
    electorate: Option<PathBuf>,
}

/// What is known of results, and when.
#[derive(Debug, Args)]
pub(super) struct Feedback {
    /// How many items later a result is known
    #[arg(long = "result-delay", default_value_t = 0, value_name = "ITEMS")]
    pub(super) delay: usize,
    /// Of which items a result is known
    #[arg(long, value_enum, default_value = "all")]
    results: Known,
}

impl Feedback {
    pub(super) const fn results(&self) -> Results {
        match self.results {
            Known::All => Results::All,
            Known::ApprovedOnly => Results::ApprovedOnly,
        }
    }
}

/// Of which items a result is known.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Known {
    /// Of every one
    All,
    /// Of those the rule, or a person it asked, approved
    ApprovedOnly,
}

/// A half-life in results, or none.
#[derive(Clone, Copy, Debug)]
struct HalfLife(Option<i32>);

impl std::str::FromStr for HalfLife {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let results = text.parse().ok().filter(|results| *results >= 1);
        let results = results.ok_or("is neither a whole number of results nor `none`")?;
        Ok(Self(Some(results)))
    }
}

impl Evaluate {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let recorded = self.source.read(config)?;
        let policies = self.rules.policies(&recorded)?;
        let plan = plan(&recorded, &policies, &self.electorate, &self.feedback)?;
        let asked = Asked {
            draws: self.draws,
            orders: self.orders,
            seed: self.seed,
            variants: self.variants,
        };
        let bar = super::progress::bar(steps(asked));
        let report = report(&plan, asked, &|| bar.inc(1));
        bar.finish_and_clear();
        if let Some(file) = &self.html {
            let cannot = || format!("cannot write `{}`", file.display());
            fs::write(file, page(&report)).with_context(cannot)?;
        }
        self.print(&report)
    }

    fn print(&self, report: &Report) -> anyhow::Result<()> {
        match self.output {
            Output::Json => super::answer(&wire::json::to_string_pretty(report)?)?,
            Output::Text => super::answer(words::of(report).trim_end())?,
        }
        Ok(())
    }
}

/// What is gone through, by agents as they are listed and results as they are known.
pub(super) fn plan<'a>(
    recorded: &'a Recorded,
    policies: &'a [Policy],
    electorate: &Electorate,
    feedback: &Feedback,
) -> anyhow::Result<Plan<'a>> {
    let history = &recorded.history;
    Ok(Plan {
        agents: electorate.agents(recorded)?,
        policies: run::policies(history, policies)?,
        history,
        delay: feedback.delay,
        results: feedback.results(),
    })
}

impl Rules {
    /// The policies of a file, of the log, or the usual one, with what the flags say laid over
    /// them.
    pub(super) fn policies(&self, recorded: &Recorded) -> anyhow::Result<Vec<Policy>> {
        self.over(recorded.policies.clone())
    }

    /// As [`Rules::policies`], where there is no history.
    pub(super) fn alone(&self) -> anyhow::Result<Vec<Policy>> {
        self.over(Vec::new())
    }

    fn over(&self, recorded: Vec<Policy>) -> anyhow::Result<Vec<Policy>> {
        let mut policies = match &self.policy {
            Some(file) => {
                let cannot = || format!("in `{}`", file.display());
                files::policies(&super::input(file)?).with_context(cannot)?
            }
            None if recorded.is_empty() => vec![usual()],
            None => recorded,
        };
        for policy in &mut policies {
            if let Some(error) = self.target_error {
                let error = share("--target-error", error)?;
                *policy = policy.clone().with_target_error(error);
            }
            if let Some(margin) = self.quorum_margin {
                policy.quorum_margin = Some(share("--quorum-margin", margin)?);
                policy.target_error = None;
                policy.evidence_unit = quorate_core::millionths::Sum::ZERO;
            }
            if let Some(HalfLife(half_life)) = self.half_life {
                policy.half_life = half_life;
            }
            policy.check()?;
        }
        Ok(policies)
    }
}

impl Electorate {
    /// The agents of the history as they are listed, in a file or on its log.
    pub(super) fn agents(&self, recorded: &Recorded) -> anyhow::Result<Vec<Option<Agent>>> {
        let listed = match (&self.electorate, &recorded.agents) {
            (Some(file), _) => {
                let cannot = || format!("cannot read `{}`", file.display());
                &files::agents(&super::input(file)?).with_context(cannot)?
            }
            (None, Some(listed)) => listed,
            (None, None) => return Ok(run::equals(&recorded.history)),
        };
        let find = |id: &AgentId| listed.iter().find(|agent| agent.agent_id == *id).cloned();
        Ok(recorded.history.agents.iter().map(find).collect())
    }
}

/// What is evaluated where no policy is given: an evidence margin of 10 %, for every domain.
fn usual() -> Policy {
    let policy = Policy {
        trust_domain: crate::evaluate::history::NO_DOMAIN.to_owned(),
        ..Policy::defaults("*")
    };
    let error = Millionths::new(100_000).unwrap_or(Millionths::ONE);
    policy.with_target_error(error)
}

fn share(flag: &str, number: f64) -> anyhow::Result<Millionths> {
    Millionths::admit(number).with_context(|| format!("{flag} `{number}`"))
}
