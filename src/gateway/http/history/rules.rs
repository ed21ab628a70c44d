//! The rules: what was written before, what they can reach today, and how those did that are only
//! tried out; and what was refused, by code.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use quorate_core::lint::{self, Finding};
use quorate_core::records::{Policy, TrustScore};
use serde::Serialize;
use serde_json::Value;
use tokio::task::spawn_blocking;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{described, json};
use crate::gateway::http::Gateway;
use crate::gateway::http::ask::look;
use crate::gateway::http::openapi::Schemas;
use crate::gateway::http::query::{PAGE, Parameter, asked, cursor, no_place};
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::Share;
use crate::wire::Kind;

/// What may be asked of what was written before.
pub(in crate::gateway::http) const HISTORY: &[Parameter] = PAGE;

/// What was written of policies.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct PolicyHistory {
    /// The latest first.
    versions: Vec<PolicyVersion>,
    /// To be given as `after`, if there is more.
    next: Option<String>,
}

/// A record of a policy.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyVersion {
    /// Its offset in `acp.policies`.
    offset: i64,
    /// Its append time, in milliseconds since the epoch.
    timestamp: i64,
    /// The policy, as the record has it.
    #[schema(value_type = Object)]
    policy: Value,
}

/// What policies can and cannot reach.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct PolicyFindings {
    /// Those in force, by pattern.
    policies: Vec<PolicyFinding>,
}

/// What a policy can and cannot reach, with everybody who is listed and their track records.
#[derive(Debug, Serialize, ToSchema)]
struct PolicyFinding {
    pattern: String,
    /// Its digest.
    digest: String,
    /// The most serious first.
    #[schema(value_type = Vec<LintFinding>)]
    findings: Vec<Finding>,
}

/// One thing an operator should know about a policy.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it describes what another crate has")]
struct LintFinding {
    /// `error`, `warning` or `note`.
    severity: String,
    /// Its stable code.
    code: String,
    /// What it is, in words.
    text: String,
}

/// How policies did that are only tried out.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct ShadowRecord {
    /// By pattern, of the rounds that are remembered.
    policies: Vec<ShadowPolicy>,
}

/// How a policy did that is only tried out.
#[derive(Debug, Serialize, ToSchema)]
struct ShadowPolicy {
    pattern: String,
    /// Rounds under it.
    rounds: u64,
    /// Those it would have approved.
    would_approve: u64,
    /// Those it would have rejected.
    would_reject: u64,
    /// Those it would have escalated.
    would_escalate: u64,
    /// Of those it would have decided and people did, those they decided otherwise.
    people_disagreed: Share,
    /// Of those it would have decided and it is known of how they turned out, those that it would
    /// have got wrong.
    wrong: Share,
}

/// What was refused, by code.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct RefusedCodes {
    /// The most frequent first.
    codes: Vec<RefusedCode>,
}

/// What was refused for one reason.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedCode {
    /// The stable code.
    reason: String,
    /// The topic the records lie on, without prefix.
    topic: String,
    /// How many are remembered.
    count: u64,
    /// When the first of them was refused, in milliseconds since the epoch.
    first: i64,
    /// When the last one was.
    last: i64,
}

/// What was written of policies.
pub(in crate::gateway::http) async fn history(
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = asked(query, HISTORY)?;
    let after = asked.after.as_deref();
    let after = after.map(|after| after.parse::<i64>().map_err(|_| no_place()));
    let after = after.transpose()?;
    let mut found = look(&gateway.desk, |known| {
        let all = known.policies_before(after).take(asked.limit + 1);
        all.cloned().collect::<Vec<_>>()
    })?;
    let has_more = found.len() > asked.limit;
    found.truncate(asked.limit);
    let last = found.last().filter(|_| has_more);
    let next = last.map(|last| cursor(&last.offset.to_string()));
    let codec = gateway.desk.codec();
    let mut versions = Vec::new();
    for version in found {
        let text = Kind::Policy.to_json(codec, &version.item.value)?;
        versions.push(PolicyVersion {
            offset: version.offset,
            timestamp: version.at.0,
            policy: serde_json::from_str(&text).unwrap_or_default(),
        });
    }
    json(&PolicyHistory { versions, next })
}

/// How that is described.
pub(in crate::gateway::http) fn findings_described(schemas: &mut Schemas) -> RefOr<Schema> {
    described::<LintFinding>(schemas);
    described::<PolicyFindings>(schemas)
}

/// What policies can and cannot reach today.
pub(in crate::gateway::http) async fn findings(
    State(gateway): State<Arc<Gateway>>,
) -> Result<Response, Refusal> {
    let (policies, agents, scores) = look(&gateway.desk, |known| known.in_force())?;
    let linted = spawn_blocking(move || {
        let codec = gateway.desk.codec();
        let scores = scores.iter();
        let scores = scores.filter_map(|score| codec.decode::<TrustScore>(&score.value).ok());
        let scores: Vec<_> = scores.map(|(score, _)| score).collect();
        let of = |policy: &Policy| {
            let others = policies.iter().filter(|other| *other != policy);
            let others: Vec<_> = others.cloned().collect();
            PolicyFinding {
                pattern: policy.pattern.clone(),
                digest: policy.digest.to_string(),
                findings: lint::lint(policy, &others, &agents, &scores),
            }
        };
        policies.iter().map(of).collect()
    });
    let policies = linted.await.map_err(|error| {
        tracing::error!(%error, "policies cannot be looked at");
        Refusal::new(Sort::Away, "log_unavailable", "it was given up")
    })?;
    json(&PolicyFindings { policies })
}

/// How policies did that are only tried out.
pub(in crate::gateway::http) async fn shadow(
    State(gateway): State<Arc<Gateway>>,
) -> Result<Response, Refusal> {
    let policies = look(&gateway.desk, |known| {
        let tried = known.tried().into_iter();
        let told = tried.map(|(pattern, tried)| ShadowPolicy {
            pattern: pattern.to_owned(),
            rounds: tried.rounds,
            would_approve: tried.approve,
            would_reject: tried.reject,
            would_escalate: tried.escalate,
            people_disagreed: tried.otherwise,
            wrong: tried.wrong,
        });
        told.collect()
    })?;
    json(&ShadowRecord { policies })
}

/// What was refused, by code.
pub(in crate::gateway::http) async fn codes(
    State(gateway): State<Arc<Gateway>>,
) -> Result<Response, Refusal> {
    let mut codes: Vec<RefusedCode> = look(&gateway.desk, |known| {
        let all = known.refusals().into_iter();
        let told = all.map(|((reason, topic), count)| RefusedCode {
            reason: reason.to_owned(),
            topic: topic.to_owned(),
            count: count.count,
            first: count.first.0,
            last: count.last.0,
        });
        told.collect()
    })?;
    codes.sort_by_key(|code| std::cmp::Reverse(code.count));
    json(&RefusedCodes { codes })
}
