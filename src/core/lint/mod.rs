//! Lints a policy with the electorate at hand: what cannot be reached, today and ever, in words.
//!
//! A sound policy may still be one under which nothing is ever decided, or one agent decides all.
//! Whatever is said about reach comes from resolving rounds, not from a second set of rules.
//! Findings never change a decision: an operator reads them before applying a policy.

mod house;
mod people;
mod reach;
mod terms;

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cmp::Reverse;

use serde::Serialize;

use crate::electorate;
use crate::policy;
use crate::records::{Agent, Policy, Stakes, TrustScore};

use house::House;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant.
    Warning,
    /// Something the policy promises can never happen.
    Error,
}

/// One thing an operator should know about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Its stable code, in snake case.
    pub code: &'static str,
    /// What it is, in words; quotes names from the records.
    pub text: String,
}

impl Finding {
    const fn new(severity: Severity, code: &'static str, text: String) -> Self {
        Self {
            severity,
            code,
            text,
        }
    }
}

/// Lints a policy among the other policies in force, with the electorate and its track records.
///
/// The most serious findings come first. Without agents only the policy itself is judged; an
/// unsound policy gets the one finding `unsound`. A policy of the same pattern among `others` is
/// the one it replaces.
#[must_use]
pub fn lint(
    policy: &Policy,
    others: &[Policy],
    agents: &[Agent],
    scores: &[TrustScore],
) -> Vec<Finding> {
    if let Err(unsound) = policy.check() {
        return [Finding::new(
            Severity::Error,
            "unsound",
            unsound.to_string(),
        )]
        .into();
    }
    let mut findings = Vec::new();
    terms::lint(policy, &mut findings);
    if agents.is_empty() {
        let text = "no electorate given: nothing is said about who could meet it".to_string();
        findings.push(Finding::new(Severity::Note, "no_electorate", text));
    } else {
        people::reporters(policy, agents, &mut findings);
        people::starting_over(policy, others, scores, &mut findings);
        for domain in governed(policy, others, agents) {
            let house = House::new(policy, domain, agents, scores);
            reach::lint(&house, &mut findings);
            people::reviewers(&house, &mut findings);
        }
    }
    findings.sort_by_key(|finding| Reverse(finding.severity));
    findings
}

/// The domains a policy is judged in: its pattern and the domains it governs that agents are
/// granted. The pattern itself is left out where agents are qualified only below it.
fn governed<'a>(policy: &'a Policy, others: &'a [Policy], agents: &'a [Agent]) -> Vec<&'a str> {
    let others = others
        .iter()
        .filter(|other| other.pattern != policy.pattern);
    let governs = |name: &str| {
        let in_force = others.clone().chain([policy]);
        policy::governing(in_force, name).is_some_and(|found| found.pattern == policy.pattern)
    };
    let active = || agents.iter().filter(|agent| house::is_active(agent));
    let mut domains: BTreeSet<&str> = active()
        .flat_map(|agent| &agent.domains)
        .map(|grant| grant.domain.as_str())
        .filter(|name| governs(name))
        .collect();
    let covered = active().any(|agent| {
        let mut required = policy.required_domains.iter();
        electorate::closest(agent, &policy.pattern).is_some()
            || required.any(|domain| electorate::holds(agent, domain))
    });
    if policy.pattern != "*" && (covered || domains.is_empty()) {
        domains.insert(&policy.pattern);
    }
    domains.into_iter().collect()
}

/// Names for people: the first few, and how many more there are.
fn named<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<_> = names.into_iter().collect();
    let shown: Vec<_> = names
        .iter()
        .take(SHOWN)
        .map(|name| format!("`{name}`"))
        .collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Stakes as records have them.
const fn symbol(stakes: Stakes) -> &'static str {
    match stakes {
        Stakes::Low => "LOW",
        Stakes::Medium => "MEDIUM",
        Stakes::High => "HIGH",
        Stakes::Critical => "CRITICAL",
    }
}

#[cfg(test)]
mod tests;
