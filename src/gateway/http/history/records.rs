//! Every record of a round: where it lies, who wrote it, and what it says in a word.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::gateway::http::Gateway;
use crate::gateway::http::ask::{look, no_round};
use crate::gateway::http::query::{PAGE, Parameter, asked, cursor, no_place};
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Known, Mark};

/// What may be asked of it.
pub(in crate::gateway::http) const QUERY: &[Parameter] = PAGE;

/// The records of a round.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct RoundRecords {
    /// The round.
    proposal_id: String,
    /// In the order in which they were appended.
    records: Vec<RoundRecord>,
    /// To be given as `after`, if there is more.
    next: Option<String>,
    /// How many there are that were too many to be remembered.
    #[schema(minimum = 0)]
    more: usize,
}

/// A record of a round.
#[derive(Debug, Serialize, ToSchema)]
struct RoundRecord {
    /// The topic it lies on, without prefix.
    topic: &'static str,
    /// Its partition.
    partition: i32,
    /// Its offset.
    offset: i64,
    /// Its append time, in milliseconds since the epoch.
    timestamp: i64,
    /// Who wrote it, if that was no processor: as it says itself.
    by: Option<String>,
    /// Whose that is, as listed now.
    principal: Option<String>,
    /// The id its writer gave it.
    id: Option<String>,
    /// What it says: a verdict, a state, a status, a result, a tier or a code.
    says: String,
    /// How sure, 0 = coin flip, 1 = certain.
    confidence: Option<f64>,
    /// The first of what its writer said in words; untrusted text.
    words: Option<String>,
    /// Why it was refused, if it was.
    refused: Option<RefusedRecord>,
}

/// Why a record was refused.
#[derive(Debug, Serialize, ToSchema)]
struct RefusedRecord {
    /// The stable code.
    code: String,
    /// The reason in words; untrusted text.
    detail: String,
}

/// The records of a round.
pub(in crate::gateway::http) async fn records(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = asked(query, QUERY)?;
    let from = match asked.after.as_deref() {
        Some(after) => after.parse().map_err(|_| no_place())?,
        None => 0,
    };
    let found = look(&gateway.desk, |known| {
        of_round(known, &id, from, asked.limit)
    })?;
    json(&found.ok_or_else(no_round)?)
}

fn of_round(known: &Known, text: &str, from: usize, limit: usize) -> Option<RoundRecords> {
    let id = text.parse().ok()?;
    let (marks, more) = known.records(&id)?;
    let proposed = known.proposed(&id);
    let all: Vec<&Mark> = proposed.iter().chain(marks).collect();
    let records = all.iter().skip(from).take(limit);
    let end = from.saturating_add(limit);
    Some(RoundRecords {
        proposal_id: text.to_owned(),
        records: records.map(|mark| record(known, mark)).collect(),
        next: (end < all.len()).then(|| cursor(&end.to_string())),
        more,
    })
}

fn record(known: &Known, mark: &Mark) -> RoundRecord {
    let (topic, partition, offset) = mark.place;
    let Timestamp(timestamp) = mark.at;
    let is_own = topic == Topic::DeadLetters;
    let letter = known.refusal(mark).filter(|_| !is_own);
    let owned = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let principal = mark.by.as_deref().and_then(|by| known.principal(by));
    RoundRecord {
        topic: topic.name(),
        partition,
        offset,
        timestamp,
        by: owned(&mark.by),
        principal: principal.map(str::to_owned),
        id: owned(&mark.id),
        says: mark.says.to_string(),
        confidence: mark.confidence.map(|confidence| confidence.to_f64()),
        words: owned(&mark.words),
        refused: letter.map(|letter| RefusedRecord {
            code: letter.reason.clone(),
            detail: letter.detail.clone(),
        }),
    }
}
