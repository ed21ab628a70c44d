//! `quorate policies`: the rules rounds are resolved by.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use quorate_core::lint::lint;
use quorate_core::records::{Agent, Policy, TrustScore};
use quorate_core::topic::Topic;
use serde_json::json;

use super::client::{self, Client};
use super::lint::Lint;
use super::tune::Tune;
use super::{Output, in_force};
use crate::config::Config;
use crate::wire::{files, seal_policy};

/// What to do with the policies.
#[derive(Debug, Subcommand)]
pub(super) enum Policies {
    /// Write the policies of a file that are new or have changed, and say what they come to
    Apply {
        /// TOML, `[[policy]]` an entry; `-` for standard input
        file: PathBuf,
        /// Lines for people or for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Show the policies there are: the record in force of each pattern, and its offset
    List {
        /// Lines for people, or JSON for machines
        #[arg(long, value_enum, default_value = "text")]
        output: Output,
    },
    /// Say what the policies of a file can and cannot reach, without a broker
    Lint(Lint),
    /// Say which margin keeps to a wanted error, or to what people can look at, by a history
    Tune(Tune),
}

impl Policies {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        match self {
            Self::Apply { file, output } => apply(&file, output, config),
            Self::List { output } => {
                in_force::list(&Client::open(config)?, output, line)?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Lint(verb) => verb.call(),
            Self::Tune(verb) => verb.call(config),
        }
    }
}

fn apply(file: &Path, output: Output, config: &Config) -> anyhow::Result<ExitCode> {
    let text = super::input(file)?;
    let mut policies =
        files::policies(&text).with_context(|| format!("in `{}`", file.display()))?;
    for policy in &mut policies {
        seal_policy(policy)?;
    }
    let client = Client::open(config)?;
    print_findings(&client, &policies, output)?;
    let records = policies
        .into_iter()
        .map(|policy| (policy.pattern.clone(), policy))
        .collect();
    client::print_applied(&client.apply(records)?, output)?;
    Ok(ExitCode::SUCCESS)
}

fn line(policy: &Policy) -> String {
    let margin = match (policy.quorum_margin, policy.target_error) {
        (Some(margin), _) => format!("margin {margin}"),
        (None, Some(error)) => format!("target error {error}"),
        (None, None) => "no margin".to_owned(),
    };
    let line = format!(
        "{:<24} {:<9} {margin}; {} responders, weight {}; escalates at {}",
        policy.pattern,
        format!("{:?}", policy.mode).to_lowercase(),
        policy.min_responders,
        policy.min_weight,
        format!("{:?}", policy.escalate_at_stakes).to_uppercase(),
    );
    format!("{}  digest {}", line.escape_debug(), policy.digest)
}

/// Says of each policy what can and cannot be reached, with the electorate as it is.
fn print_findings(client: &Client, policies: &[Policy], output: Output) -> anyhow::Result<()> {
    let agents: Vec<_> = client
        .table::<Agent>(Topic::Agents)?
        .into_values()
        .collect();
    let scores: Vec<_> = client
        .table::<TrustScore>(Topic::Trust)?
        .into_values()
        .collect();
    let mut others = client.table::<Policy>(Topic::Policies)?;
    for policy in policies {
        others.insert(policy.pattern.clone().into_bytes(), policy.clone());
    }
    let others: Vec<_> = others.into_values().collect();
    for policy in policies {
        for finding in lint(policy, &others, &agents, &scores) {
            let severity = format!("{:?}", finding.severity).to_lowercase();
            let (pattern, text) = (&policy.pattern, &finding.text);
            super::answer(&match output {
                Output::Text => format!("{pattern}: {severity}: {text}"),
                Output::Json => {
                    json!({ "key": pattern, "severity": severity, "text": text }).to_string()
                }
            })?;
        }
    }
    Ok(())
}
