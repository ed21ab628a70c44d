//! What operators take out of running rounds, and give back: as `quorate suspend` and `resume` do.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use quorate_core::ids::Offset;
use quorate_core::records::Control;
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{Gateway, answer};
use crate::gateway::access::Caller;
use crate::gateway::desk::Desk;
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::suspend::{self, Error, Row};
use crate::transport::{Appended, Handle};
use crate::wire::json::parse_strict;

/// The longest reason, in characters.
const REASON_MAX: usize = 2_000;

/// How long what was done may take to be known here.
const SEEN: Duration = Duration::from_secs(5);

/// What is taken out of running rounds, or given back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    /// An agent.
    Agent,
    /// A policy.
    Policy,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// Why; it is kept with the order.
    #[schema(min_length = 1, max_length = 2000)]
    reason: String,
}

/// What has come of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ordered {
    /// `written`, or `unchanged` where the table said so before.
    change: &'static str,
    /// The offset from which on the table says so.
    table_offset: i64,
    /// The id of the order to running rounds; none where something is given back, which concerns
    /// only those opened from then on.
    control_id: Option<String>,
    /// Where the order lies, in each partition of `acp.responses`.
    orders: Vec<Place>,
}

/// Where a record lies.
#[derive(Debug, Serialize, ToSchema)]
struct Place {
    /// The topic's full name.
    topic: String,
    partition: i32,
    offset: i64,
}

/// Suspends an agent or a policy: the table first, then every partition.
pub(super) async fn suspend(
    of: Of,
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let reason = reason(&body)?;
    let operator = caller.subject;
    tracing::info!(operator, ?of, name, reason, "suspending");
    ordered(&gateway, of, move |log| {
        let row = match of {
            Of::Agent => suspend::suspend_agent(log, &name, Some(&operator))?,
            Of::Policy => suspend::suspend_pattern(log, &name, Some(&operator))?,
        };
        let (agent_id, pattern) = match of {
            Of::Agent => (Some(name), None),
            Of::Policy => (None, Some(name)),
        };
        let control = Control {
            control_id: uuid::Uuid::now_v7().to_string(),
            agent_id,
            pattern,
            table_offset: row.offset,
            operator,
            reason,
        };
        let orders = suspend::order(log, &control)?;
        Ok((row, Some(control.control_id), orders))
    })
    .await
}

/// Gives an agent or a policy back to rounds opened from now on.
pub(super) async fn resume(
    of: Of,
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, Refusal> {
    let operator = caller.subject;
    tracing::info!(operator, ?of, name, "resuming");
    ordered(&gateway, of, move |log| {
        let row = match of {
            Of::Agent => suspend::resume_agent(log, &name, Some(&operator))?,
            Of::Policy => suspend::resume_pattern(log, &name, None, Some(&operator))?,
        };
        Ok((row, None, Vec::new()))
    })
    .await
}

/// What came of something done to the log, where this gateway does such things.
async fn ordered(
    gateway: &Gateway,
    of: Of,
    done: impl FnOnce(&dyn Handle) -> Result<(Row, Option<String>, Vec<Appended>), Error>
    + Send
    + 'static,
) -> Result<Response, Refusal> {
    if !gateway.operates {
        let detail = "this gateway suspends and resumes nothing; `quorate suspend` does, or one \
                      with `gateway.operates`";
        return Err(Refusal::new(Sort::Forbidden, "not_operating", detail));
    }
    let log = gateway.desk.handle();
    let done = spawn_blocking(move || done(log.as_ref())).await;
    let ended = |_| Refusal::new(Sort::Away, "log_unavailable", "it was broken off");
    let (row, control_id, orders) = done.map_err(ended)?.map_err(refused)?;
    seen(&gateway.desk, of, row.offset).await;
    let place = |place: Appended| Place {
        topic: place.topic,
        partition: place.partition,
        offset: place.offset,
    };
    let ordered = Ordered {
        change: row.written.map_or("unchanged", |_| "written"),
        table_offset: row.offset.0,
        control_id,
        orders: orders.into_iter().map(place).collect(),
    };
    let body = serde_json::to_string(&ordered);
    let body = body.map_err(|error| Refusal::new(Sort::Away, "malformed", error.to_string()))?;
    Ok(answer(StatusCode::OK, [], &body))
}

/// Waits until what a table says is known here, so that whoever asks next is told it; not for long.
async fn seen(desk: &Desk, of: Of, offset: Offset) {
    let topic = match of {
        Of::Agent => Topic::Agents,
        Of::Policy => Topic::Policies,
    };
    let mut news = desk.view().news();
    let look = async {
        loop {
            news.borrow_and_update();
            let next = desk.view().known().next(topic, 0);
            if next > Some(offset.0) || news.changed().await.is_err() {
                return;
            }
        }
    };
    // It is so whether or not it is known here.
    let _seen = timeout(SEEN, look).await;
}

fn reason(body: &[u8]) -> Result<String, Refusal> {
    let malformed = |detail: String| Refusal::new(Sort::Bad, "malformed", detail);
    let order: Order = serde_json::from_value(parse_strict(body)?)
        .map_err(|error| malformed(error.to_string()))?;
    if !(1..=REASON_MAX).contains(&order.reason.chars().count()) {
        let detail = format!("`reason` is empty, or longer than {REASON_MAX} characters");
        return Err(malformed(detail));
    }
    Ok(order.reason)
}

fn refused(error: Error) -> Refusal {
    let detail = error.to_string();
    match error {
        Error::NoAgent(_) => Refusal::new(Sort::Missing, "unknown_agent", detail),
        Error::NoPolicy(_) => Refusal::new(Sort::Missing, "unknown_policy", detail),
        Error::Retired(_) => Refusal::new(Sort::Bad, "agent_retired", detail),
        Error::NoMode(_) => Refusal::new(Sort::Bad, "mode_unknown", detail),
        Error::Log(error) => error.into(),
        Error::Wire(error) => error.into(),
        Error::NotThere | Error::Behind(_) => Refusal::new(
            Sort::Away,
            "log_unavailable",
            format!("{detail}; not every running round was told: do the same again"),
        ),
    }
}
