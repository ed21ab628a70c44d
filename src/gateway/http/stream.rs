//! What comes, told as it comes: server-sent events, each with the position after it, from which
//! any gateway goes on.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use futures_util::Stream;
use futures_util::stream::unfold;
use quorate_core::domain::covers;
use quorate_core::ids::ProposalId;
use quorate_core::topic::Topic;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::ask::look;
use super::lists::List;
use super::query::{Parameter, asked};
use super::{Gateway, claims};
use crate::clock::{Clock as _, System};
use crate::gateway::access::Caller;
use crate::gateway::refusal::{Refusal, Sort};
use crate::gateway::view::{Bar, Change, Cursor, Entry, Field, Filter, Invitation, Position, Told};
use crate::wire::{Error, Kind};

/// How often whoever hears nothing is told that nothing is to be told.
const SILENCE: Duration = Duration::from_secs(15);
/// How many records are held ready for one reader.
const READY_MAX: usize = 16;

/// Whether what comes is asked for, not what is there.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|value| value.to_str().ok());
    accepted.any(|value| value.contains("text/event-stream"))
}

/// What may be asked of a stream: what to look for.
fn sought(query: &[Parameter], state: bool) -> Vec<Parameter> {
    let is_sought = |parameter: &&Parameter| match parameter {
        Parameter::By(Field::State) => state,
        Parameter::By(_) | Parameter::Mine => true,
        _ => false,
    };
    query.iter().filter(is_sought).copied().collect()
}

/// From where on whoever comes again is to be told.
fn given(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let given = headers.get("last-event-id").map(|value| value.to_str());
    given.transpose().map_err(|_| no_position())
}

/// Tells the records of a list as they come.
pub(super) async fn records(
    list: List,
    gateway: Arc<Gateway>,
    caller: Caller,
    headers: &HeaderMap,
    query: Option<String>,
) -> Result<Response, Refusal> {
    // A package does not change with its round's state, so that it is no news there.
    let topic = list.kind.topic();
    let known = sought(list.query, topic != Topic::Escalations);
    let asked = asked(query, &known)?;
    let desk = &gateway.desk;
    let count = if topic.is_table() {
        1
    } else {
        desk.partitions()
    };
    let news = desk.view().news_of(topic);
    let position = match given(headers)? {
        Some(text) => {
            let position = Position::read(text, count).ok_or_else(no_position)?;
            may_be(&gateway, topic, &position).await?;
            position
        }
        None => look(desk, |known| known.position(topic, count))?,
    };
    let cursor = look(desk, |known| known.follow(topic, position))?;
    let following = Following {
        kind: list.kind,
        cursor: cursor.map_err(|_| forgotten())?,
        filter: asked.filter,
        mine: asked.mine.then_some(caller.subject),
        news,
        claims: (list.kind == Kind::DecisionPackage).then(|| (desk.claims().news(), 0)),
        ready: VecDeque::new(),
        frames: VecDeque::new(),
        gateway,
    };
    Ok(events(unfold(following, Following::next)))
}

/// Tells what comes into an agent's inbox, and what leaves it.
pub(super) async fn inbox(
    agent: &str,
    gateway: Arc<Gateway>,
    headers: &HeaderMap,
    query: Option<String>,
) -> Result<Response, Refusal> {
    let mut asked = asked(query, &[Parameter::By(Field::Domain)])?;
    let desk = &gateway.desk;
    let told = match given(headers)? {
        Some(text) => {
            let told = Told::read(text, desk.partitions()).ok_or_else(no_position)?;
            may_be(&gateway, Topic::Proposals, told.opened()).await?;
            Some(told)
        }
        None => None,
    };
    look(desk, |_| ())?;
    let inbox = desk.view().wait(agent, told, desk.partitions());
    let mut waiting = Waiting {
        domain: asked.filter.take(Field::Domain),
        first: inbox.first.into(),
        told: inbox.told,
        then: inbox.then,
        changes: inbox.changes,
        frames: VecDeque::new(),
        gateway,
    };
    waiting.settle();
    Ok(events(unfold(waiting, Waiting::next)))
}

/// A position ahead of what is read is good if the log goes that far: another gateway was quicker.
async fn may_be(gateway: &Gateway, topic: Topic, position: &Position) -> Result<(), Refusal> {
    let reaches = gateway.desk.reaches(topic, position.offsets().collect());
    if reaches.await? {
        Ok(())
    } else {
        Err(no_position())
    }
}

/// What is told of a stream: each event in frames of which the long one is everybody's, so that a
/// thousand readers who take little do not hold a thousand copies.
fn events(stream: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let head = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (head, Body::from_stream(stream)).into_response()
}

/// An event, in frames.
fn event(id: &str, name: &str, data: Arc<str>) -> [Bytes; 3] {
    let head = format!("id: {id}\nevent: {name}\ndata: ");
    let shared = Bytes::from_owner(Shared(data));
    [head.into(), shared, Bytes::from_static(b"\n\n")]
}

/// A text that is everybody's.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What is told where nothing is to be told.
const NOTHING: Bytes = Bytes::from_static(b":\n\n");

/// Somebody who follows a topic.
struct Following {
    gateway: Arc<Gateway>,
    kind: Kind,
    cursor: Cursor,
    filter: Filter,
    /// Who is told only what they may decide, if anybody is.
    mine: Option<String>,
    news: watch::Receiver<u64>,
    /// News of claims, where they are told, and up to which change they were.
    claims: Option<(watch::Receiver<u64>, u64)>,
    ready: VecDeque<(Arc<Entry>, String)>,
    frames: VecDeque<Bytes>,
}

impl Following {
    /// The next frame; none where the log is lost, or more came than was taken. Whoever comes
    /// again then is told what is the matter, or goes on.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some((Ok(frame), self));
            }
            if let Some((entry, id)) = self.ready.pop_front() {
                let told = noted(entry.tell(self.kind, self.gateway.desk.codec()))?;
                if self.is_sought(&told) {
                    self.frames = event(&id, self.kind.name(), told).into();
                }
                continue;
            }
            let is_all = self.fill()?;
            self.tell_claims();
            if is_all && self.ready.is_empty() && self.frames.is_empty() {
                match timeout(SILENCE, self.news()).await {
                    Ok(news) => news.ok()?,
                    Err(_) => self.frames.push_back(NOTHING),
                }
            }
        }
    }

    /// Whether a package is of a round that they may decide, where only such are told: one of a
    /// round whose record is still to be read may be.
    fn is_sought(&self, told: &str) -> bool {
        #[derive(serde::Deserialize)]
        struct Of {
            proposal_id: ProposalId,
        }
        let Some(name) = &self.mine else {
            return true;
        };
        let known = self.gateway.desk.view().known();
        serde_json::from_str(told).is_ok_and(|Of { proposal_id }| {
            let may = known.may_decide(&proposal_id, name);
            matches!(may, Ok(()) | Err(Bar::Open))
        })
    }

    /// Waits for something to tell.
    async fn news(&mut self) -> Result<(), watch::error::RecvError> {
        match &mut self.claims {
            None => self.news.changed().await,
            Some((claims, _)) => tokio::select! {
                news = self.news.changed() => news,
                claimed = claims.changed() => claimed,
            },
        }
    }

    /// Makes ready which claims have changed, of rounds that are looked for; at first, which stand.
    /// They have no position: whoever comes again is told anew which stand.
    fn tell_claims(&mut self) {
        let Some((news, told)) = &mut self.claims else {
            return;
        };
        news.borrow_and_update();
        let desk = &self.gateway.desk;
        let (changed, count) = desk.claims().since(*told, System.now());
        let is_first = std::mem::replace(told, count) == 0;
        if changed.is_empty() {
            return;
        }
        let (known, id) = (desk.view().known(), self.cursor.position().text());
        for (round, standing) in changed {
            if (standing.is_some() || !is_first) && known.seeks(&round, &self.filter) {
                let data = claims::change(&round, standing.as_ref()).to_string();
                self.frames.extend(event(&id, "Claim", data.into()));
            }
        }
    }

    /// Makes ready what comes next; whether that is all there is.
    fn fill(&mut self) -> Option<bool> {
        self.news.borrow_and_update();
        let topic = self.kind.topic();
        let known = self.gateway.desk.view().known();
        if !known.follows() {
            return None;
        }
        let found = known.read(topic, &mut self.cursor, &self.filter, READY_MAX);
        self.ready = found.ok()?.into();
        Some(known.is_at_end(topic, &self.cursor))
    }
}

/// Somebody who waits for rounds to answer.
struct Waiting {
    gateway: Arc<Gateway>,
    domain: Option<String>,
    first: VecDeque<Arc<Invitation>>,
    told: Told,
    then: Told,
    changes: mpsc::Receiver<Change>,
    frames: VecDeque<Bytes>,
}

impl Waiting {
    /// The next frame; none where the log is lost, or more came than was taken.
    async fn next(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Some((Ok(frame), self));
            }
            let change = match self.first.pop_front() {
                Some(invitation) => {
                    let change = Change::Waits(invitation, None);
                    self.told.take(&change);
                    self.settle();
                    change
                }
                None => match timeout(SILENCE, self.changes.recv()).await {
                    Ok(change) => {
                        let change = change?;
                        if !self.told.take(&change) {
                            continue;
                        }
                        change
                    }
                    Err(_) => {
                        self.frames.push_back(NOTHING);
                        continue;
                    }
                },
            };
            self.tell(&change)?;
        }
    }

    /// Once all that waited at first is told, everything is known that there was then.
    fn settle(&mut self) {
        if self.first.is_empty() {
            self.told.join(&self.then);
        }
    }

    /// Makes ready what is told of a change; nothing, if it is of another domain.
    fn tell(&mut self, change: &Change) -> Option<()> {
        let (Change::Waits(invitation, _) | Change::Left(invitation)) = change;
        let domain = self.domain.as_deref();
        if domain.is_none_or(|prefix| covers(prefix, &invitation.domain)) {
            let (name, data) = match change {
                Change::Waits(..) => {
                    let told = invitation.tell(self.gateway.desk.codec());
                    ("waiting", noted(told)?)
                }
                Change::Left(_) => {
                    let (_, id) = invitation.due();
                    let left = json!({ "proposal_id": id });
                    ("left", left.to_string().into())
                }
            };
            self.frames = event(&self.told.text(), name, data).into();
        }
        Some(())
    }
}

/// What cannot be told although it was read ends a stream, and is logged.
fn noted(told: Result<Arc<str>, Error>) -> Option<Arc<str>> {
    told.inspect_err(|error| {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "a record that was read cannot be told"
        );
    })
    .ok()
}

fn no_position() -> Refusal {
    let detail = "`Last-Event-ID` is not the `id` of an event of this stream, nor a `position`";
    Refusal::new(Sort::Bad, "bad_position", detail)
}

fn forgotten() -> Refusal {
    let detail = "what came after `Last-Event-ID` is not remembered; the list says what there is, \
                  and by `position` from where to go on";
    Refusal::new(Sort::Gone, "position_forgotten", detail)
}
