//! What is asked for in pages.

use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use quorate_core::records::RoundState;
use serde_json::{Map, Value};

use super::ask::look;
use super::claims::{Beside, beside, beside_of};
use super::query::{Asked, PAGE, Parameter, asked, both, cursor, no_place};
use super::{Gateway, answer, stream};
use crate::gateway::access::Caller;
use crate::gateway::desk::Desk;
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Field, Page, Shelf};
use crate::wire::{Error, Kind};

/// Something that is told in pages.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    /// What it is called in the answer.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    shelf: Shelf,
    /// What its query may ask.
    pub(super) query: &'static [Parameter],
}

pub(super) const ROUNDS: List = List {
    name: "rounds",
    kind: Kind::Round,
    shelf: Shelf::Rounds,
    query: &[
        Parameter::By(Field::Domain),
        Parameter::By(Field::State),
        Parameter::By(Field::Stakes),
        Parameter::By(Field::Proposer),
        Parameter::By(Field::Subject),
        Parameter::Limit,
        Parameter::After,
    ],
};

/// What outcomes are looked for by, in a list and for a file.
pub(super) const OUTCOME: &[Parameter] = &[
    Parameter::By(Field::Domain),
    Parameter::By(Field::Status),
    Parameter::By(Field::ResolvedBy),
    Parameter::By(Field::Stakes),
    Parameter::By(Field::Proposer),
    Parameter::By(Field::Subject),
    Parameter::By(Field::SubjectPrefix),
    Parameter::By(Field::From),
    Parameter::By(Field::To),
];

pub(super) const OUTCOMES: List = List {
    name: "outcomes",
    kind: Kind::Outcome,
    shelf: Shelf::Outcomes,
    query: &both::<11>(OUTCOME, PAGE),
};

pub(super) const ESCALATIONS: List = List {
    name: "escalations",
    kind: Kind::DecisionPackage,
    shelf: Shelf::Escalations(RoundState::Escalated),
    query: &[
        Parameter::By(Field::Domain),
        Parameter::By(Field::State),
        Parameter::By(Field::Stakes),
        Parameter::By(Field::Proposer),
        Parameter::By(Field::Subject),
        Parameter::Mine,
        Parameter::Limit,
        Parameter::After,
    ],
};

pub(super) const AGENTS: List = List {
    name: "agents",
    kind: Kind::Agent,
    shelf: Shelf::Agents,
    query: &[
        Parameter::By(Field::Domain),
        Parameter::By(Field::Standing),
        Parameter::Limit,
        Parameter::After,
    ],
};

pub(super) const TRUST: List = List {
    name: "trust",
    kind: Kind::TrustScore,
    shelf: Shelf::Trust,
    query: &[
        Parameter::By(Field::AgentId),
        Parameter::By(Field::TrustDomain),
        Parameter::Limit,
        Parameter::After,
    ],
};

pub(super) const POLICIES: List = List {
    name: "policies",
    kind: Kind::Policy,
    shelf: Shelf::Policies,
    query: PAGE,
};

pub(super) const DEAD_LETTERS: List = List {
    name: "dead_letters",
    kind: Kind::DeadLetter,
    shelf: Shelf::DeadLetters,
    query: &[
        Parameter::By(Field::Topic),
        Parameter::By(Field::Reason),
        Parameter::Limit,
        Parameter::After,
    ],
};

/// A page of a list, or what comes, if that is asked for.
pub(super) async fn list(
    list: List,
    State(gateway): State<Arc<Gateway>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    if stream::is_wanted(&headers) {
        return stream::records(list, gateway, caller, &headers, query).await;
    }
    let desk = &gateway.desk;
    let mut asked = asked(query, list.query)?;
    let shelf = shelf(list.shelf, &mut asked);
    let mine = asked.mine.then_some(&*caller.subject);
    let (page, claims, position) = look(desk, |known| {
        let after = asked.after.as_deref();
        let page = known.page(shelf, &asked.filter, mine, after, asked.limit);
        let keys = page.iter().flat_map(|page| &page.keys);
        let claim = |key: &String| Some(beside_of(desk, known, &key.parse().ok()?, &caller));
        let claims = (list.kind == Kind::DecisionPackage).then(|| keys.map(claim).collect());
        let position = known.position(list.kind.topic(), desk.partitions());
        (page, claims, position)
    })?;
    let Page { values, next, .. } = page.ok_or_else(no_place)?;
    let mut records = told(desk, list.kind, &values)?;
    let claims: Vec<Option<Beside>> = claims.unwrap_or_default();
    for (record, told) in records.iter_mut().zip(&claims) {
        if let Some(told) = told {
            *record = beside(record, told);
        }
    }
    let position = Map::from_iter([("position".to_owned(), position.text().into())]);
    let body = page_of(position, list.name, &records, next.as_deref());
    Ok(answer(StatusCode::OK, [], &body))
}

/// Where to look: escalations are kept by the state of their rounds.
fn shelf(shelf: Shelf, asked: &mut Asked) -> Shelf {
    let state = match shelf {
        Shelf::Escalations(_) => asked.filter.take(Field::State),
        _ => None,
    };
    match state.as_deref() {
        Some("OPEN") => Shelf::Escalations(RoundState::Open),
        Some("CLOSED") => Shelf::Escalations(RoundState::Closed),
        _ => shelf,
    }
}

/// Records as JSON by the schemas they were written with.
pub(super) fn told(desk: &Desk, kind: Kind, values: &[Bytes]) -> Result<Vec<String>, Error> {
    let values = values.iter();
    values
        .map(|value| kind.to_json(desk.codec(), value))
        .collect()
}

/// A page as JSON: what else is told, records, and where to go on if there may be more.
pub(super) fn page_of<T: AsRef<str>>(
    mut besides: Map<String, Value>,
    name: &str,
    records: &[T],
    next: Option<&str>,
) -> String {
    let next = next.map_or(Value::Null, |next| cursor(next).into());
    besides.insert("next".to_owned(), next);
    let records: Vec<&str> = records.iter().map(AsRef::as_ref).collect();
    let besides = Value::Object(besides).to_string();
    let rest = besides.strip_prefix('{').unwrap_or(&besides);
    format!("{{\"{name}\":[{}],{rest}", records.join(","))
}
