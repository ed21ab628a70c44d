//! What people did: who, when, what, on which package, and where it lies.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use quorate_core::ids::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::json;
use crate::gateway::http::Gateway;
use crate::gateway::http::ask::look;
use crate::gateway::http::query::{PAGE, Parameter, asked, both, cursor, no_place};
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Action, Field, Known, When, when};

/// What it is looked through by, in pages and for a file.
pub(super) const ACTION: &[Parameter] = &[
    Parameter::By(Field::By),
    Parameter::By(Field::Sort),
    Parameter::By(Field::From),
    Parameter::By(Field::To),
];
/// What may be asked of it.
pub(in crate::gateway::http) const QUERY: &[Parameter] = &both::<6>(ACTION, PAGE);

/// What people did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct HumanActions {
    /// The latest first.
    actions: Vec<HumanAction>,
    /// To be given as `after`, if there is more.
    next: Option<String>,
    /// Why claims, or the latest of them, are not among these, if they are not.
    lacks: Option<String>,
}

/// Something that a person did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::gateway::http) struct HumanAction {
    /// Its append time, in milliseconds since the epoch.
    pub(super) timestamp: i64,
    /// The topic it lies on, without prefix.
    pub(super) topic: &'static str,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// What sort of thing it is: `decision`, `result`, `suspension`, `agent`, `policy` or
    /// `claim`.
    pub(super) kind: &'static str,
    /// Who did it, if that is told: of the records of agents and policies those that suspend or
    /// resume say it.
    pub(super) by: Option<String>,
    /// The round, agent or pattern it is about.
    pub(super) about: String,
    /// What it says: a verdict, a result, a status, a mode, `CLAIMED` or `RELEASED`.
    pub(super) says: String,
    /// The reviewer's code for the reason, or how a result is known.
    pub(super) code: String,
    /// The first of why, in words; untrusted text.
    pub(super) words: String,
    /// Of the decision package that was seen, or of the policy.
    pub(super) digest: Option<String>,
    /// The code by which processors refused it, if they did; `already_claimed` where somebody
    /// else had claimed it.
    pub(super) refused: Option<String>,
}

/// What people did, a page of it.
pub(in crate::gateway::http) async fn audit(
    State(gateway): State<Arc<Gateway>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = asked(query, QUERY)?;
    let after = asked.after.as_deref();
    let after = after.map(|after| when(after).ok_or_else(no_place));
    let after = after.transpose()?;
    let page = look(&gateway.desk, |known| {
        let (found, next) = known.actions(&asked.filter, after, asked.limit);
        HumanActions {
            actions: found.iter().map(|found| told(known, *found)).collect(),
            next: next.map(|next| cursor(&next)),
            lacks: gateway.desk.claims().lacks(),
        }
    })?;
    json(&page)
}

pub(super) fn told(known: &Known, (when, action): (When, &Action)) -> HumanAction {
    let (Timestamp(timestamp), place) = when;
    let (topic, partition, offset) = place;
    HumanAction {
        timestamp,
        topic: topic.name(),
        partition,
        offset,
        kind: action.sort.name(),
        by: action.by.as_deref().map(str::to_owned),
        about: action.about.to_string(),
        says: action.says.to_string(),
        code: action.code.to_string(),
        words: action.words.to_string(),
        digest: action.digest.map(|digest| digest.to_string()),
        refused: action
            .void
            .or_else(|| known.refused(&place))
            .map(str::to_owned),
    }
}
