//! What is asked for: a round, its outcomes, what an agent has still to answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Gateway, answer, asked};
use crate::gateway::access::{Caller, Role};
use crate::gateway::desk::{Desk, follows};
use crate::gateway::refusal::{Refusal, Sort};
use crate::wire::Kind;
use crate::wire::json::to_value;

/// Most rounds told at once.
const INBOX_MAX: usize = 100;

/// The last record of a round.
pub(super) async fn round(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let desk = &gateway.desk;
    let known = desk.view().known();
    follows(&known)?;
    let id = id.parse().map_err(|_| no_round())?;
    let seen = known.round(&id).and_then(|seen| seen.round.as_ref());
    let held = seen.ok_or_else(no_round)?;
    let round = decoded(desk, Kind::Round, &held.value)?;
    Ok(answer(StatusCode::OK, [], &round))
}

/// What a round has come to so far.
pub(super) async fn outcomes(
    State(gateway): State<Arc<Gateway>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let desk = &gateway.desk;
    let known = desk.view().known();
    follows(&known)?;
    let id = id.parse().map_err(|_| no_round())?;
    let seen = known.round(&id).filter(|seen| seen.round.is_some());
    let seen = seen.ok_or_else(no_round)?;
    let outcomes = seen.outcomes.iter();
    let outcomes = outcomes.map(|value| decoded(desk, Kind::Outcome, value));
    let outcomes: Vec<Value> = outcomes.collect::<Result<_, _>>()?;
    Ok(answer(StatusCode::OK, [], &json!({ "outcomes": outcomes })))
}

/// The open rounds the caller has a say in and has not answered; waits for one, if asked to.
pub(super) async fn inbox(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    caller.in_role(Role::Agent)?;
    let asked = asked(query, &["domain", "wait"])?;
    let span = asked.wait.unwrap_or(Duration::ZERO);
    let (view, domain) = (gateway.desk.view(), asked.domain.as_deref());
    let mut news = view.news();
    let look = async {
        loop {
            news.borrow_and_update();
            let rounds = waiting(&gateway.desk, &caller.subject, domain)?;
            if !rounds.is_empty() || news.changed().await.is_err() {
                return Ok(rounds);
            }
        }
    };
    let rounds = timeout(span, look).await;
    let rounds = rounds.unwrap_or_else(|_| waiting(&gateway.desk, &caller.subject, domain))?;
    Ok(answer(StatusCode::OK, [], &json!({ "rounds": rounds })))
}

fn waiting(desk: &Desk, agent: &str, domain: Option<&str>) -> Result<Vec<Value>, Refusal> {
    let known = desk.view().known();
    follows(&known)?;
    let found = known.inbox(agent, domain).into_iter().take(INBOX_MAX);
    let told = found.map(|(held, proposal)| {
        let opening = &held.round.opening;
        Ok(json!({
            "proposal_id": held.round.proposal_id,
            "deadline": opening.deadline,
            "proposal_digest": to_value(&opening.proposal_digest)?,
            "proposal": to_value(proposal)?,
        }))
    });
    told.collect()
}

/// A value as JSON by the schema it was written with.
fn decoded(desk: &Desk, kind: Kind, value: &[u8]) -> Result<Value, Refusal> {
    let text = kind.to_json(desk.codec(), value)?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

fn no_round() -> Refusal {
    let detail = "no such round is open, or closed within the last hour; `quorate show` finds any";
    Refusal::new(Sort::Missing, "unknown_round", detail)
}
