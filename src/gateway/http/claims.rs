//! Who is at an escalation: claimed, given up, and told beside the records, which say nothing of
//! it.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use quorate_core::ids::ProposalId;
use serde_json::{Value, json};

use super::{Gateway, answer};
use crate::gateway::access::Caller;
use crate::gateway::claims::Standing;
use crate::gateway::desk::Desk;
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Bar, Known};

/// Claims an escalation, or renews a claim.
pub(super) async fn claim(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let standing = gateway.desk.claim(&caller, &id).await?;
    Ok(answer(StatusCode::OK, [], &told(&standing)))
}

/// Gives up one's claim.
pub(super) async fn release(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    gateway.desk.release(&caller, &id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// A claim as it is told.
pub(super) fn told(standing: &Standing) -> Value {
    json!({ "reviewer": standing.reviewer, "until": standing.until })
}

/// A change of a round's claim, as it is told to those who follow.
pub(super) fn change(id: &ProposalId, standing: Option<&Standing>) -> Value {
    json!({ "proposal_id": id, "claim": standing.map(told) })
}

/// What is told of an escalation beside its record.
pub(super) struct Beside {
    /// Who is at it.
    claim: Option<Standing>,
    /// Why the caller may not decide it now, if not.
    bar: Option<Bar>,
}

/// What is told of an escalation to a caller.
pub(super) fn beside_of(desk: &Desk, known: &Known, id: &ProposalId, caller: &Caller) -> Beside {
    Beside {
        claim: desk.claim_of(known, id),
        bar: known.may_decide(id, &caller.subject).err(),
    }
}

/// A record's JSON with that beside its fields.
pub(super) fn beside(record: &str, Beside { claim, bar }: &Beside) -> String {
    let claim = claim.as_ref().map_or(Value::Null, told);
    let may = json!({
        "allowed": bar.is_none(),
        "code": bar.map(|bar| bar.reject().code()),
        "detail": bar.map(Bar::meaning),
    });
    let fields = record.strip_suffix('}').unwrap_or(record);
    format!("{fields},\"claim\":{claim},\"may_decide\":{may}}}")
}
