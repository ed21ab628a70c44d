//! `quorate policies lint FILE`: what a policy can and cannot reach, today and ever, in words.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use quorate_core::lint::{Finding, Severity, lint};
use quorate_core::records::Agent;
use serde::Serialize;

use super::Output;
use crate::wire::{self, files};

/// Says what policies can and cannot reach.
#[derive(Debug, clap::Args)]
pub struct Lint {
    /// A file of policies.
    file: PathBuf,
    /// The agents' file to lint them with; without one nobody is at hand.
    #[arg(long, value_name = "FILE")]
    electorate: Option<PathBuf>,
    /// Words for people, or JSON for machines.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// The findings of one policy.
#[derive(Debug, Serialize)]
struct Linted {
    pattern: String,
    findings: Vec<Finding>,
}

impl Lint {
    /// Prints the findings; fails if one is an error.
    ///
    /// # Errors
    /// If a file cannot be read, or a policy or agent in it is not sound.
    pub fn call(&self) -> anyhow::Result<ExitCode> {
        let linted = self.lint()?;
        if self.output == Output::Json {
            super::answer(&wire::json::to_string_pretty(&linted)?)?;
        } else {
            super::answer(words(&linted).trim_end())?;
        }
        let mut findings = linted.iter().flat_map(|linted| &linted.findings);
        let fails = findings.any(|finding| finding.severity == Severity::Error);
        Ok(if fails {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        })
    }

    fn lint(&self) -> anyhow::Result<Vec<Linted>> {
        let text = super::input(&self.file)?;
        let cannot = || format!("cannot lint `{}`", self.file.display());
        let policies = files::policies(&text).with_context(cannot)?;
        let agents: Vec<Agent> = match &self.electorate {
            Some(file) => files::agents(&super::input(file)?)
                .with_context(|| format!("cannot read `{}`", file.display()))?,
            None => Vec::new(),
        };
        let of = |policy: &quorate_core::records::Policy| {
            let others: Vec<_> = policies.iter().filter(|p| *p != policy).cloned().collect();
            let findings = lint(policy, &others, &agents, &[]);
            Linted {
                pattern: policy.pattern.clone(),
                findings,
            }
        };
        Ok(policies.iter().map(of).collect())
    }
}

fn words(linted: &[Linted]) -> String {
    let mut text = String::new();
    for policy in linted {
        text.push_str(&format!("{}\n", policy.pattern.escape_debug()));
        if policy.findings.is_empty() {
            text.push_str("  nothing to say\n");
        }
        for finding in &policy.findings {
            let severity = match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            text.push_str(&format!(
                "  {severity:<8}{}: {}\n",
                finding.code, finding.text
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lint_of(policies: &str, agents: &str) -> Vec<Linted> {
        let folder = tempfile::tempdir().unwrap();
        let (file, electorate) = (folder.path().join("p.toml"), folder.path().join("a.toml"));
        std::fs::write(&file, policies).unwrap();
        std::fs::write(&electorate, agents).unwrap();
        Lint {
            file,
            electorate: Some(electorate),
            output: Output::Text,
        }
        .lint()
        .unwrap()
    }

    #[test]
    fn a_policy_nobody_can_reach_is_an_error_in_words() {
        let agents = "[[agent]]\nagent_id = \"a\"\nprincipal = \"p\"\n\
            domains = [{ domain = \"fraud\", authority = 0.1 }]\n";
        let linted = lint_of("[[policy]]\npattern = \"fraud\"\n", agents);
        let worst = linted[0]
            .findings
            .iter()
            .map(|finding| finding.severity)
            .max();
        assert_eq!(worst, Some(Severity::Error), "{}", words(&linted));
        assert!(words(&linted).contains("error"));
    }
}
