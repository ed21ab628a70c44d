//! What an agent has still to answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use quorate_core::ids::Timestamp;
use serde_json::Map;
use tokio::time::timeout;

use super::ask::look;
use super::lists::page_of;
use super::query::{Parameter, asked, no_place};
use super::{Gateway, answer, stream};
use crate::gateway::access::Caller;
use crate::gateway::desk::Desk;
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Due, Field, Invitation};

/// What can be asked of it.
pub(super) const QUERY: &[Parameter] = &[
    Parameter::By(Field::Domain),
    Parameter::Wait,
    Parameter::Limit,
    Parameter::After,
];

/// Whose inbox is looked into, and for what.
struct Wanted {
    agent: String,
    domain: Option<String>,
    after: Option<Due>,
    limit: usize,
}

/// The open rounds the caller has a say in and has not answered; waits for one, if asked to, or
/// tells them as they come.
pub(super) async fn inbox(
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    if stream::is_wanted(&headers) {
        return stream::inbox(&caller.subject, gateway, &headers, query).await;
    }
    let mut asked = asked(query, QUERY)?;
    let wanted = Wanted {
        agent: caller.subject,
        domain: asked.filter.take(Field::Domain),
        after: asked.after.as_deref().map(due).transpose()?,
        limit: asked.limit,
    };
    let desk = &gateway.desk;
    let span = asked.wait.unwrap_or(Duration::ZERO);
    let wait = async {
        loop {
            // ORDER: first whoever tells of changes, then what there is.
            let mut changes = desk.view().changes(&wanted.agent);
            let found = waiting(desk, &wanted)?;
            if !found.0.is_empty() {
                return Ok(found);
            }
            // Whether something came, or nobody tells any more: it is looked again.
            let _change = changes.recv().await;
        }
    };
    let found = match span {
        Duration::ZERO => waiting(desk, &wanted)?,
        span => {
            let found = timeout(span, wait).await;
            found.unwrap_or_else(|_| waiting(desk, &wanted))?
        }
    };
    let (mut rounds, position) = found;
    let more = rounds.len() > wanted.limit;
    rounds.truncate(wanted.limit);
    let last = rounds.last().filter(|_| more);
    let next = last.map(|last| {
        let (Timestamp(at), id) = last.due();
        format!("{at}.{id}")
    });
    let rounds = rounds
        .iter()
        .map(|invitation| invitation.tell(desk.codec()));
    let rounds = rounds.collect::<Result<Vec<_>, _>>()?;
    let whose = [
        ("agent_id", wanted.agent.clone().into()),
        ("position", position.into()),
    ];
    let whose = Map::from_iter(whose.map(|(name, text)| (name.to_owned(), text)));
    let body = page_of(whose, "rounds", &rounds, next.as_deref());
    Ok(answer(StatusCode::OK, [], &body))
}

/// What waits, and one more if there is more than was asked for; how far that tells of it.
fn waiting(desk: &Desk, wanted: &Wanted) -> Result<(Vec<Arc<Invitation>>, String), Refusal> {
    let domain = wanted.domain.as_deref();
    look(desk, |known| {
        let rounds = known.inbox(&wanted.agent, domain, wanted.after, wanted.limit + 1);
        (rounds, known.told(desk.partitions()).text())
    })
}

fn due(text: &str) -> Result<Due, Refusal> {
    let due = || {
        let (at, id) = text.split_once('.')?;
        Some((Timestamp(at.parse().ok()?), id.parse().ok()?))
    };
    due().ok_or_else(no_place)
}
