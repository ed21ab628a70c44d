//! Policy and agent files: TOML as operators write it, and the same closed keys in JSON.
//!
//! `[[policy]]` and `[[agent]]` entries give what differs from the defaults; an unknown key or
//! symbol refuses the file and names the nearest. Files are checked ([`Policy::check`],
//! [`Agent::check`]); entries read from JSON are not, since a log may hold unsound records.
//! A policy's digest is left zero, for whoever encodes it.

mod entry;
mod source;

use serde_json::Value;

use quorate_core::ids::Millis;
use quorate_core::records::{
    Agent, AgentKind, AgentStatus, ApprovalsNeeded, Grant, Policy, Prior, Review, StakesFloor,
};
use quorate_core::unsound::Unsound;

use entry::{Entry, Flaw, Step};
use source::Source;

/// Why a policy or agent file is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}`{key}` {why}", line.map_or_else(String::new, |line| format!("line {line}: ")))]
pub struct FileError {
    /// The line, from 1; none for JSON.
    pub line: Option<usize>,
    /// The key concerned, with those it lies in, dotted.
    pub key: String,
    /// What is wrong with it.
    pub why: String,
}

const POLICY_KEYS: &[&str] = &[
    "pattern",
    "quorum_margin",
    "target_error",
    "min_responders",
    "min_weight",
    "min_confidence",
    "escalate_at_stakes",
    "stakes_floor",
    "proposer_counts",
    "required_domains",
    "veto_domains",
    "max_share_per_principal",
    "max_share_per_model_family",
    "deadline_default",
    "deadline_min",
    "deadline_max",
    "revision",
    "early_close",
    "approvals_needed",
    "decision_deadline",
    "on_decision_timeout",
    "reporters",
    "self_report",
    "result_window",
    "max_open_per_proposer",
    "action_types",
    "mode",
    "trust_domain",
    "half_life",
];

const AGENT_KEYS: &[&str] = &[
    "agent_id",
    "kind",
    "display_name",
    "principal",
    "model_family",
    "domains",
    "reviews",
    "public_keys",
    "status",
];

const STAKES: &[&str] = &["LOW", "MEDIUM", "HIGH", "CRITICAL"];

/// The policies of a TOML file, in its order, sound and each of another pattern.
///
/// # Errors
/// [`FileError`] names the first line and key that is not as it must be.
pub fn policies(text: &str) -> Result<Vec<Policy>, FileError> {
    let source = Source::parse(text)?;
    let read = || {
        source.entries("policy", |value| {
            let policy = policy(value)?;
            policy.check()?;
            Ok(policy)
        })
    };
    let distinct = |policies: Vec<Policy>| {
        let patterns = policies.iter().map(|policy| policy.pattern.as_str());
        entry::distinct(patterns, "policy", "pattern").map(|()| policies)
    };
    read()
        .and_then(distinct)
        .map_err(|flaw| source.locate(&flaw))
}

/// The agents of a TOML file, in its order, sound and each of another id.
///
/// # Errors
/// [`FileError`] names the first line and key that is not as it must be.
pub fn agents(text: &str) -> Result<Vec<Agent>, FileError> {
    let source = Source::parse(text)?;
    let read = || {
        source.entries("agent", |value| {
            let agent = agent(value)?;
            agent.check()?;
            meaningful(&agent)?;
            Ok(agent)
        })
    };
    let distinct = |agents: Vec<Agent>| {
        let ids = agents.iter().map(|agent| agent.agent_id.as_str());
        entry::distinct(ids, "agent", "agent_id").map(|()| agents)
    };
    read()
        .and_then(distinct)
        .map_err(|flaw| source.locate(&flaw))
}

/// A policy from the same keys in JSON; not checked.
///
/// # Errors
/// [`FileError`] names the key that is unknown or of the wrong kind.
pub fn policy_from_json(value: &Value) -> Result<Policy, FileError> {
    policy(value).map_err(FileError::from)
}

/// An agent from the same keys in JSON; not checked.
///
/// # Errors
/// [`FileError`] names the key that is unknown or of the wrong kind.
pub fn agent_from_json(value: &Value) -> Result<Agent, FileError> {
    agent(value).map_err(FileError::from)
}

fn policy(value: &Value) -> Result<Policy, Flaw> {
    let entry = Entry::closed(value, POLICY_KEYS)?;
    let mut policy = Policy::defaults(&entry.required("pattern", entry::text)?);
    if let Some(target_error) = entry.read("target_error", entry::share)? {
        policy = policy.with_target_error(target_error);
    }
    if let Some(margin) = entry.read("quorum_margin", entry::share)? {
        policy.quorum_margin = Some(margin);
    }
    if value.get("half_life").is_some_and(Value::is_null) {
        // A record's null never forgets, an entry's would be the default: neither is guessed.
        return Err(Flaw::of(
            "half_life",
            "is null; never to forget is \"none\"",
        ));
    }
    counting(&entry, &mut policy)?;
    timing(&entry, &mut policy)?;
    people(&entry, &mut policy)?;
    Ok(policy)
}

/// What decides how ballots count.
fn counting(entry: &Entry<'_>, policy: &mut Policy) -> Result<(), Flaw> {
    entry.set("min_responders", &mut policy.min_responders, entry::count)?;
    entry.set("min_weight", &mut policy.min_weight, entry::share)?;
    entry.set("min_confidence", &mut policy.min_confidence, entry::share)?;
    let stakes = |value: &Value| entry::symbol(value, STAKES);
    entry.set("escalate_at_stakes", &mut policy.escalate_at_stakes, stakes)?;
    let floors = |value: &Value| entry::list(value, stakes_floor);
    entry.set("stakes_floor", &mut policy.stakes_floor, floors)?;
    entry.set("proposer_counts", &mut policy.proposer_counts, entry::flag)?;
    entry.set(
        "required_domains",
        &mut policy.required_domains,
        entry::texts,
    )?;
    entry.set("veto_domains", &mut policy.veto_domains, entry::texts)?;
    let cap = &mut policy.max_share_per_principal;
    entry.set("max_share_per_principal", cap, entry::share)?;
    let cap = &mut policy.max_share_per_model_family;
    entry.set("max_share_per_model_family", cap, entry::share)?;
    entry.set("trust_domain", &mut policy.trust_domain, entry::text)?;
    entry.set("half_life", &mut policy.half_life, half_life)
}

/// What decides when a round ends.
fn timing(entry: &Entry<'_>, policy: &mut Policy) -> Result<(), Flaw> {
    entry.set(
        "deadline_default",
        &mut policy.deadline_default,
        entry::span,
    )?;
    entry.set("deadline_min", &mut policy.deadline_min, entry::span)?;
    entry.set("deadline_max", &mut policy.deadline_max, entry::span)?;
    let revision = |value: &Value| entry::symbol(value, &["last", "first"]);
    entry.set("revision", &mut policy.revision, revision)?;
    entry.set("early_close", &mut policy.early_close, entry::flag)?;
    let mode = |value: &Value| entry::symbol(value, &["live", "shadow", "suspended"]);
    entry.set("mode", &mut policy.mode, mode)
}

/// Who may propose, decide and report.
fn people(entry: &Entry<'_>, policy: &mut Policy) -> Result<(), Flaw> {
    entry.set(
        "approvals_needed",
        &mut policy.approvals_needed,
        approvals_needed,
    )?;
    entry.set(
        "decision_deadline",
        &mut policy.decision_deadline,
        entry::span,
    )?;
    let timeout = |value: &Value| entry::symbol(value, &["ESCALATE_AGAIN", "REJECT"]);
    entry.set(
        "on_decision_timeout",
        &mut policy.on_decision_timeout,
        timeout,
    )?;
    policy.reporters = entry.read("reporters", entry::texts)?;
    entry.set("self_report", &mut policy.self_report, entry::flag)?;
    entry.set("result_window", &mut policy.result_window, entry::span)?;
    entry.set(
        "max_open_per_proposer",
        &mut policy.max_open_per_proposer,
        entry::count,
    )?;
    policy.action_types = entry.read("action_types", entry::texts)?;
    Ok(())
}

fn stakes_floor(value: &Value) -> Result<StakesFloor, Flaw> {
    let entry = Entry::closed(value, &["action_type", "parameter", "at_least", "stakes"])?;
    Ok(StakesFloor {
        action_type: entry.read("action_type", entry::text)?,
        parameter: entry.required("parameter", entry::text)?,
        at_least: entry.required("at_least", entry::decimal)?,
        stakes: entry.required("stakes", |value| entry::symbol(value, STAKES))?,
    })
}

fn approvals_needed(value: &Value) -> Result<ApprovalsNeeded, Flaw> {
    let entry = Entry::closed(value, STAKES)?;
    let mut needed = ApprovalsNeeded::default();
    entry.set("LOW", &mut needed.low, entry::count)?;
    entry.set("MEDIUM", &mut needed.medium, entry::count)?;
    entry.set("HIGH", &mut needed.high, entry::count)?;
    entry.set("CRITICAL", &mut needed.critical, entry::count)?;
    Ok(needed)
}

fn half_life(value: &Value) -> Result<Option<i32>, Flaw> {
    if value == "none" {
        return Ok(None);
    }
    entry::count(value)
        .map(Some)
        .map_err(|_| Flaw::here("is neither a whole number of results nor \"none\""))
}

fn agent(value: &Value) -> Result<Agent, Flaw> {
    let entry = Entry::closed(value, AGENT_KEYS)?;
    let agent_id = entry.required("agent_id", entry::text)?;
    let mut agent = Agent {
        agent_id: agent_id.as_str().into(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: agent_id,
        model_family: entry.read("model_family", entry::text)?,
        domains: Vec::new(),
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    };
    let kind = |value: &Value| entry::symbol(value, &["AGENT", "HUMAN", "REPORTER"]);
    entry.set("kind", &mut agent.kind, kind)?;
    entry.set("display_name", &mut agent.display_name, entry::text)?;
    entry.set("principal", &mut agent.principal, entry::text)?;
    entry.set("domains", &mut agent.domains, |value| {
        entry::list(value, grant)
    })?;
    entry.set("reviews", &mut agent.reviews, |value| {
        entry::list(value, review)
    })?;
    entry.set("public_keys", &mut agent.public_keys, entry::texts)?;
    let status = |value: &Value| entry::symbol(value, &["ACTIVE", "SUSPENDED", "RETIRED"]);
    entry.set("status", &mut agent.status, status)?;
    Ok(agent)
}

/// Refuses a grant that a log may hold and nobody would write on purpose.
fn meaningful(agent: &Agent) -> Result<(), Flaw> {
    match agent.domains.iter().position(|grant| grant.domain == "*") {
        Some(at) => Err(Flaw::of("domain", "is `*`, which grants nothing")
            .within(Step::At(at))
            .within(Step::Key("domains".to_owned()))),
        None => Ok(()),
    }
}

fn grant(value: &Value) -> Result<Grant, Flaw> {
    let entry = Entry::closed(value, &["domain", "authority", "prior"])?;
    Ok(Grant {
        domain: entry.required("domain", entry::text)?,
        authority: entry.required("authority", entry::share)?,
        prior: entry.read("prior", prior)?,
    })
}

fn prior(value: &Value) -> Result<Prior, Flaw> {
    let entry = Entry::closed(value, &["right", "wrong", "source"])?;
    Ok(Prior {
        right: entry.required("right", entry::count)?,
        wrong: entry.required("wrong", entry::count)?,
        source: entry.read("source", entry::text)?.unwrap_or_default(),
    })
}

fn review(value: &Value) -> Result<Review, Flaw> {
    let entry = Entry::closed(value, &["domain", "up_to_stakes"])?;
    Ok(Review {
        domain: entry.required("domain", entry::text)?,
        up_to_stakes: entry.required("up_to_stakes", |value| entry::symbol(value, STAKES))?,
    })
}

#[cfg(test)]
mod tests;
