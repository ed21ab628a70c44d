//! What an edge remembers of the log, so that nobody's question reads it again.
//!
//! One thread follows the topics from their beginning and keeps what is asked for: rounds with
//! what was said in them and what they came to, what was refused, the last records of the tables.
//! It is bounded by a [`Memory`]: what is over for so long, by append times, is forgotten, and the
//! oldest of it sooner where that is too much.

mod actions;
mod asked;
mod deciders;
mod health;
mod letters;
mod listed;
mod marks;
mod memory;
mod open;
mod pages;
mod recent;
mod rounds;
mod ruled;
mod share;
mod streams;
mod tags;
mod taken;
mod taking;
mod tracks;
mod waiting;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Instant;

use quorate_core::domain::covers;
use quorate_core::ids::{Millis, Offset, ProposalId, Timestamp};
use quorate_core::records::Agent;
use quorate_core::topic::Topic;
use tokio::sync::watch;

use self::actions::Actions;
pub(super) use self::actions::{Action, When, read as when};
pub(super) use self::deciders::Bar;
pub(super) use self::health::Pending;
use self::letters::{Letter, Letters};
use self::listed::Listed;
pub(super) use self::marks::Mark;
pub use self::memory::Memory;
pub(super) use self::open::{Due, Invitation};
pub(super) use self::pages::{Page, Shelf};
pub(super) use self::recent::{Cursor, Entry, Position};
use self::rounds::Rounds;
pub(super) use self::rounds::Seen;
use self::ruled::Ruled;
pub(super) use self::share::Share;
use self::streams::Streams;
pub(super) use self::tags::{Field, Filter, Item};
use self::taken::Taken;
pub(super) use self::taken::symbol;
use self::tracks::Tracks;
pub(super) use self::tracks::{Learnt, Step, Track};
use self::waiting::Waiting;
pub(super) use self::waiting::{Change, Told};
use super::heard::is_silent;
use crate::transport::Stored;
use crate::wire::Codec;

/// How often, by append times, is looked for records of agents that are to be forgotten.
const SWEEP: Millis = Millis(60 * 1000);

/// What is known by now, and a way to wait for more.
#[derive(Debug)]
pub(super) struct View {
    known: RwLock<Known>,
    /// How often something has come.
    news: watch::Sender<u64>,
    /// The same of each topic that is followed.
    news_of: BTreeMap<Topic, watch::Sender<u64>>,
}

/// What is known by now.
#[derive(Debug)]
pub(super) struct Known {
    /// Whether the log was read to its end, and is being followed.
    follows: bool,
    /// When it was last known to be there, and read to its end.
    heard: Option<Instant>,
    /// How long what is over is remembered.
    span: Millis,
    /// The latest append time.
    now: Timestamp,
    /// When records of agents were last looked through, and where these ended then.
    swept: (Timestamp, Offset),
    rounds: Rounds,
    letters: Letters,
    agents: Listed,
    policies: Ruled,
    /// The last records of trust, by key.
    trust: BTreeMap<String, Item>,
    actions: Actions,
    tracks: Tracks,
    streams: Streams,
    waiting: Waiting,
    /// The offset to read next.
    next: BTreeMap<(Topic, i32), i64>,
    /// How many records were taken.
    records: u64,
}

/// Where a record lies.
pub(super) type Place = (Topic, i32, i64);

impl Default for View {
    fn default() -> Self {
        Self::within(Memory::default())
    }
}

impl View {
    /// A view of nothing yet.
    pub(super) fn within(memory: Memory) -> Self {
        Self {
            known: RwLock::new(Known::within(memory)),
            news: watch::Sender::new(0),
            news_of: streams::TOPICS
                .map(|topic| (topic, watch::Sender::new(0)))
                .into(),
        }
    }

    /// What is known by now.
    pub(super) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A way to wait for more.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Says that something has come.
    pub(super) fn tell(&self) {
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
        let known = self.known();
        for (topic, news) in &self.news_of {
            let end = known.streams.end(*topic);
            news.send_if_modified(|told| std::mem::replace(told, end) != end);
        }
    }

    /// Says whether the log is being followed. Whoever waits is cut off where it is not any more.
    pub(super) fn set_follows(&self, follows: bool) {
        let mut known = self.change();
        known.follows = follows;
        known.release();
        if follows {
            known.heard = Some(Instant::now());
        } else {
            self.cut_off(known);
        }
    }

    /// Says when the log was last known to be there, and read to its end. Whoever waits is cut off
    /// where that is too long ago.
    pub(super) fn set_heard(&self, heard: Option<Instant>) {
        let mut known = self.change();
        known.heard = known.heard.max(heard);
        if is_silent(known.heard) {
            self.cut_off(known);
        }
    }

    fn cut_off(&self, mut known: RwLockWriteGuard<'_, Known>) {
        known.waiting.cut_all();
        drop(known);
        for news in self.news_of.values() {
            news.send_modify(|_| ());
        }
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Says where a partition begins, and up to where it was read before, if it was.
    pub(super) fn begin(&self, topic: Topic, partition: i32, start: i64, next: Option<i64>) {
        let mut known = self.change();
        known.streams.begin(topic, partition, start);
        if next.is_some_and(|next| next < start) {
            // What lay in between is gone.
            known.streams.push(topic, (partition, start - 1), None);
        }
    }

    /// Says how far a partition is read where no record tells it.
    pub(super) fn read_to(&self, topic: Topic, partition: i32, next: i64) {
        let mut known = self.change();
        let place = known.next.entry((topic, partition)).or_default();
        *place = next.max(*place);
    }

    /// Takes a record; what cannot be read, or is not asked for, only counts as read.
    pub(super) fn take(&self, codec: &Codec, stored: &Stored) {
        let taken = if self.known().wants(stored) {
            Taken::of(codec, stored)
        } else {
            Ok(None)
        };
        let mut known = self.change();
        known
            .next
            .insert((stored.topic, stored.partition), stored.offset + 1);
        known.records += 1;
        let at = stored.timestamp.unwrap_or_default();
        known.now = known.now.max(at);
        match taken {
            Ok(Some(taken)) => known.take(taken, at, (stored.partition, stored.offset)),
            Ok(None) => {}
            Err(error) => {
                let (topic, offset) = (stored.topic, stored.offset);
                tracing::debug!(%topic, offset, %error, "record cannot be read");
            }
        }
        known.release();
        known.forget();
    }
}

impl Known {
    fn within(memory: Memory) -> Self {
        Self {
            span: memory.span,
            follows: false,
            heard: None,
            now: Timestamp::default(),
            swept: (Timestamp::default(), Offset::NONE),
            rounds: Rounds::new(memory.rounds),
            letters: Letters::new(memory.letters),
            agents: Listed::default(),
            policies: Ruled::new(memory.history),
            trust: BTreeMap::new(),
            actions: Actions::new(memory.history),
            tracks: Tracks::new(memory.history),
            streams: Streams::new(memory.recent),
            waiting: Waiting::default(),
            next: BTreeMap::new(),
            records: 0,
        }
    }

    /// Whether the log was read to its end, is being followed, and was heard of lately.
    pub(super) fn follows(&self) -> bool {
        self.follows && !is_silent(self.heard)
    }

    /// A round, if something is known of it.
    pub(super) fn round(&self, id: &ProposalId) -> Option<&Seen> {
        self.rounds.get(id)
    }

    /// Whether a round waits for people.
    pub(super) fn waits_for_people(&self, id: &ProposalId) -> bool {
        self.rounds.is_escalated(id)
    }

    /// Whether a round waits for people to decide by this package.
    pub(super) fn has_last(&self, id: &ProposalId, package: &[u8]) -> bool {
        let seen = self.rounds.get(id).filter(|_| self.waits_for_people(id));
        let last = seen.and_then(|seen| seen.package.as_ref());
        last.is_some_and(|last| *last.value == *package)
    }

    /// Whether the last package of a round that waits for people is looked for.
    pub(super) fn seeks(&self, id: &ProposalId, filter: &Filter) -> bool {
        let seen = self.rounds.get(id).filter(|_| self.waits_for_people(id));
        let package = seen.and_then(|seen| seen.package.as_ref());
        package.is_some_and(|package| filter.finds(&package.tags))
    }

    /// Who is listed under a name.
    pub(super) fn agent(&self, name: &str) -> Option<&Agent> {
        self.agents.last(name)
    }

    /// The last record of an agent, as it lies.
    pub(super) fn agent_item(&self, name: &str) -> Option<&Item> {
        self.agents.item(name)
    }

    /// Everybody who is listed.
    pub(super) fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.everybody()
    }

    /// Why a record was refused, if it was.
    pub(super) fn letter(&self, place: &Place) -> Option<&Letter> {
        self.letters.about(place)
    }

    /// Whether a record may have been refused without anybody remembering it.
    pub(super) fn may_be_forgotten(&self, place: &Place) -> bool {
        self.letters.may_be_forgotten(place)
    }

    /// The offset to read next of a partition.
    pub(super) fn next(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.next.get(&(topic, partition)).copied()
    }

    /// The first open rounds an agent has a say in and has not answered, nearest deadline first:
    /// of domains under a prefix if one is given, due after a place if one is given.
    pub(super) fn inbox(
        &self,
        agent: &str,
        prefix: Option<&str>,
        after: Option<Due>,
        count: usize,
    ) -> Vec<Arc<Invitation>> {
        let domains = self.agents.domains(agent);
        let suits = |invitation: &Invitation| {
            prefix.is_none_or(|prefix| covers(prefix, &invitation.domain))
                && self.can_answer(agent, invitation)
        };
        self.rounds.open.first(&domains, after, count, suits)
    }

    /// Whether an open round waits for an agent's answer.
    fn can_answer(&self, agent: &str, invitation: &Invitation) -> bool {
        let seen = self.rounds.get(&invitation.due().1);
        !seen.is_some_and(|seen| seen.is_answered_by(agent))
            && self.agents.has_a_say(agent, invitation)
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::{AgentStatus, RoundState};

    use super::*;
    use crate::gateway::told::{ID, OTHER, Told};

    const HOUR: i64 = 60 * 60 * 1000;

    /// A view that remembers an hour.
    fn an_hour() -> Told {
        let memory = Memory {
            span: Millis(HOUR),
            ..Memory::default()
        };
        Told::to(Arc::new(View::within(memory)))
    }

    #[test]
    fn what_was_refused_is_no_answer_whichever_is_read_first() {
        let mut told = Told::new();
        told.round(ID, RoundState::Open, 1);
        let first = told.answer(2);
        let second = told.answer(3);
        assert_eq!(told.inbox(), 0);
        told.refuse(first, 4);
        assert_eq!(told.inbox(), 0, "the other one stands");
        told.refuse(second, 5);
        assert_eq!(told.inbox(), 1);
        told.refuse(told.offset + 1, 6);
        told.answer(7);
        assert_eq!(told.inbox(), 1);
        told.answer(8);
        assert_eq!(told.inbox(), 0);
    }

    #[test]
    fn an_answer_may_be_read_before_its_round() {
        let mut told = Told::new();
        told.answer(1);
        told.round(ID, RoundState::Open, 2);
        assert_eq!(told.inbox(), 0);
    }

    #[test]
    fn only_the_listed_and_active_are_asked_where_they_have_a_say() {
        let mut told = Told::new();
        told.list("eve", "garden", AgentStatus::Active);
        told.list("desk", "pay", AgentStatus::Active);
        told.round(ID, RoundState::Open, 1);
        assert_eq!(told.inbox(), 1);
        told.list("ada", "pay", AgentStatus::Suspended);
        assert_eq!(told.inbox(), 0);
        assert!(told.view.known().inbox("bob", None, None, 9).is_empty());
        assert!(told.view.known().inbox("eve", None, None, 9).is_empty());
        assert!(
            told.view
                .known()
                .inbox("eve", Some("pay"), None, 9)
                .is_empty()
        );
        let own = told.view.known().inbox("desk", None, None, 9).len();
        assert_eq!(own, 0, "a proposal is its proposer's answer");
        told.list("zoe", "pay", AgentStatus::Active);
        let before = told.view.known().inbox("zoe", None, None, 9).len();
        assert_eq!(before, 0, "the round was opened before it was listed");
    }

    #[test]
    fn what_is_over_for_an_hour_is_forgotten_and_what_is_open_is_not() {
        let mut told = an_hour();
        told.round(ID, RoundState::Open, 1);
        told.round(OTHER, RoundState::Closed, 2);
        told.refuse(9, 2);
        let now = ProposalId::from_bytes([9; 16]);
        told.round(now, RoundState::Closed, HOUR);
        assert!(told.knows(OTHER) && told.refused(9));
        told.round(now, RoundState::Closed, 2 * HOUR);
        assert!(!told.knows(OTHER) && !told.refused(9));
        assert!(told.knows(ID) && told.knows(now));
        assert_eq!(told.inbox(), 1);
    }

    #[test]
    fn what_is_old_when_it_is_read_is_not_remembered() {
        let mut told = an_hour();
        told.round(ID, RoundState::Open, 2 * HOUR);
        told.round(OTHER, RoundState::Closed, HOUR);
        told.refuse(9, HOUR);
        assert!(!told.knows(OTHER) && !told.refused(9));
        told.answer(HOUR);
        assert_eq!(told.inbox(), 0, "to an open round it is");
        told.round(ID, RoundState::Closed, HOUR);
        told.answer(HOUR);
        assert!(!told.knows(ID));
    }

    #[test]
    fn a_closed_round_is_about_what_its_proposal_says() {
        let mut told = Told::new();
        told.round(ID, RoundState::Closed, 1);
        let found = |told: &Told, domain: &str| {
            let mut filter = Filter::default();
            filter.and(Field::Domain, domain.to_owned());
            let page = told
                .view
                .known()
                .page(Shelf::Rounds, &filter, None, None, 9);
            page.unwrap().values.len()
        };
        assert_eq!(found(&told, "pay"), 0, "its record does not tell any more");
        told.propose(ID, "garden", 5);
        assert_eq!(found(&told, "garden"), 0, "it was not opened by that one");
        told.propose(ID, "pay.out", 0);
        assert_eq!(found(&told, "pay"), 1);
        told.propose(ID, "garden", 0);
        assert_eq!(found(&told, "pay"), 1, "nothing is left to be said");
    }

    #[test]
    fn what_may_have_been_refused_is_not_called_admitted_once_that_is_forgotten() {
        let letters = 10_000;
        let memory = Memory {
            letters,
            ..Memory::default()
        };
        let mut told = Told::to(Arc::new(View::within(memory)));
        for offset in 0..200 {
            told.refuse(offset, 1);
        }
        let known = told.view.known();
        let place = |offset| (Topic::Responses, 0, offset);
        let first = (0..200).find(|offset| known.letter(&place(*offset)).is_some());
        let first = first.unwrap();
        assert!(first > 100, "the latest are remembered: {first}");
        assert!(known.letter(&place(199)).is_some());
        assert!(known.may_be_forgotten(&place(first - 1)));
        assert!(!known.may_be_forgotten(&place(first)));
        assert!(!known.may_be_forgotten(&(Topic::Responses, 1, 0)));
    }

    #[test]
    fn records_that_processors_pass_over_are_passed_over() {
        let mut told = Told::new();
        told.list_under("eve", "zoe", "pay");
        let known = told.view.known();
        assert!(known.agent("eve").is_none() && known.agent("zoe").is_none());
    }
}
