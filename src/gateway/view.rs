//! What an edge remembers of the log, so that nobody's question reads it again.
//!
//! One thread follows the topics from their beginning and keeps what is asked for: rounds with
//! what was said in them and what they came to, what was refused, who is listed. It is bounded:
//! what is over for an hour, by append times, is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use quorate_core::domain::covers;
use quorate_core::ids::{Millis, Offset, ProposalId, Timestamp};
use quorate_core::records::{
    Agent, AgentStatus, DeadLetter, Proposal, Response, Round, RoundState,
};
use quorate_core::topic::Topic;
use tokio::sync::watch;

use crate::transport::Stored;
use crate::wire::{Codec, Error};

/// How long what is over is remembered.
const MEMORY: Millis = Millis(60 * 60 * 1000);
/// How often, by append times, is looked for what is to be forgotten.
const SWEEP: Millis = Millis(60 * 1000);
/// Most answers of an agent to a round that are remembered; one of them is enough.
const ANSWERS_MAX: usize = 16;

/// What is known by now, and a way to wait for more.
#[derive(Debug)]
pub(super) struct View {
    known: RwLock<Known>,
    /// How often something has come.
    news: watch::Sender<u64>,
}

/// What is known by now.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Whether the log was read to its end, and is being followed.
    follows: bool,
    /// The latest append time.
    now: Timestamp,
    swept: Timestamp,
    rounds: BTreeMap<ProposalId, Seen>,
    /// The rounds that take responses.
    open: BTreeSet<ProposalId>,
    letters: BTreeMap<Place, Letter>,
    /// Every record of each agent, by offset: a round is answered by those of its pins.
    agents: BTreeMap<String, Vec<(Offset, Agent)>>,
    /// The offset to read next.
    next: BTreeMap<(Topic, i32), i64>,
}

/// Where a record lies.
pub(super) type Place = (Topic, i32, i64);

/// A round as far as it is known.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When something was last heard of it.
    at: Timestamp,
    /// Its last record and what is needed of it; none if it is not known to have been opened.
    pub(super) round: Option<Held>,
    /// Its outcomes as they lie.
    pub(super) outcomes: Vec<Vec<u8>>,
    /// Where each agent's answers lie, as long as the round is open; none of them refused.
    answers: BTreeMap<String, Vec<i64>>,
}

/// A round's last record.
#[derive(Debug)]
pub(super) struct Held {
    /// As it lies.
    pub(super) value: Vec<u8>,
    pub(super) round: Round,
    /// What is proposed, while the round is open.
    pub(super) proposal: Option<Proposal>,
}

/// Why a record was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    at: Timestamp,
    pub(super) reason: String,
    pub(super) detail: String,
}

impl Default for View {
    fn default() -> Self {
        Self {
            known: RwLock::default(),
            news: watch::Sender::new(0),
        }
    }
}

impl View {
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
    }

    /// Says whether the log is being followed.
    pub(super) fn set_follows(&self, follows: bool) {
        self.change().follows = follows;
    }

    /// Says how far a partition is read where no record tells it.
    pub(super) fn read_to(&self, topic: Topic, partition: i32, next: i64) {
        let mut known = self.change();
        let place = known.next.entry((topic, partition)).or_default();
        *place = next.max(*place);
    }

    /// Takes a record; what cannot be read, or is not asked for, only counts as read.
    pub(super) fn take(&self, codec: &Codec, stored: &Stored) {
        let taken = Taken::of(codec, stored);
        let mut known = self.change();
        known
            .next
            .insert((stored.topic, stored.partition), stored.offset + 1);
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
        if known.now.since(known.swept) >= SWEEP {
            known.sweep();
        }
    }
}

/// What a record says, as far as it is remembered.
enum Taken {
    Round(ProposalId, Box<Held>),
    Gone(ProposalId),
    Answer(ProposalId, String),
    Outcome(ProposalId, Vec<u8>),
    Letter(Box<DeadLetter>),
    Agent(Box<Agent>),
}

impl Taken {
    fn of(codec: &Codec, stored: &Stored) -> Result<Option<Self>, Error> {
        if stored.topic == Topic::Agents {
            let value = stored.value.as_deref();
            let agent = value
                .map(|value| codec.decode::<Agent>(value))
                .transpose()?;
            return Ok(agent.map(|(agent, _)| Self::Agent(Box::new(agent))));
        }
        if stored.topic == Topic::DeadLetters {
            let value = stored.value.as_deref();
            let letter = value.map(|value| codec.decode(value)).transpose()?;
            return Ok(letter.map(|(letter, _)| Self::Letter(Box::new(letter))));
        }
        let key = stored.key.as_deref().map(str::from_utf8);
        let Some(Ok(Ok(id))) = key.map(|key| key.map(str::parse::<ProposalId>)) else {
            return Ok(None);
        };
        let Some(value) = stored.value.as_deref() else {
            return Ok((stored.topic == Topic::Rounds).then_some(Self::Gone(id)));
        };
        Ok(match stored.topic {
            Topic::Rounds => {
                let (round, _) = codec.decode::<Round>(value)?;
                let lies = &round.opening.proposal.0;
                let is_open = round.state == RoundState::Open;
                let proposal = is_open
                    .then(|| codec.decode::<Proposal>(lies))
                    .transpose()?;
                let proposal = proposal.map(|(proposal, _)| proposal);
                let value = value.to_vec();
                let held = Held {
                    value,
                    round,
                    proposal,
                };
                Some(Self::Round(id, Box::new(held)))
            }
            Topic::Responses if !stored.control => {
                let (response, _) = codec.decode::<Response<'_>>(value)?;
                Some(Self::Answer(id, response.agent_id.into_owned()))
            }
            Topic::Outcomes => Some(Self::Outcome(id, value.to_vec())),
            _ => None,
        })
    }
}

impl Known {
    /// Whether the log was read to its end, and is being followed.
    pub(super) const fn follows(&self) -> bool {
        self.follows
    }

    /// A round, if something is known of it.
    pub(super) fn round(&self, id: &ProposalId) -> Option<&Seen> {
        self.rounds.get(id)
    }

    /// Who is listed under a name.
    pub(super) fn agent(&self, name: &str) -> Option<&Agent> {
        let (_, last) = self.agents.get(name)?.last()?;
        Some(last)
    }

    /// Why a record was refused, if it was.
    pub(super) fn letter(&self, place: &Place) -> Option<&Letter> {
        self.letters.get(place)
    }

    /// The offset to read next of a partition.
    pub(super) fn next(&self, topic: Topic, partition: i32) -> Option<i64> {
        self.next.get(&(topic, partition)).copied()
    }

    /// The open rounds an agent has a say in and has not answered, nearest deadline first.
    pub(super) fn inbox(&self, agent: &str, domain: Option<&str>) -> Vec<(&Held, &Proposal)> {
        let records = self.agents.get(agent).map_or(&[][..], |records| records);
        let now = self.agent(agent);
        let wanted = |held: &Held, proposal: &Proposal| {
            let (of, pin) = (&proposal.domain, held.round.opening.pins.agents);
            let upto = records.partition_point(|(offset, _)| *offset <= pin);
            let listed = upto.checked_sub(1).and_then(|last| records.get(last));
            let is_active = |agent: &Agent| agent.status == AgentStatus::Active;
            let listed = listed.filter(|(_, then)| is_active(then) && now.is_some_and(is_active));
            let grants = listed.map_or(&[][..], |(_, agent)| &agent.domains);
            let granted = grants.iter().any(|grant| covers(&grant.domain, of));
            granted && domain.is_none_or(|prefix| covers(prefix, of)) && proposal.proposer != agent
        };
        let mut found: Vec<_> = self
            .open
            .iter()
            .filter_map(|id| self.rounds.get(id))
            .filter(|seen| !seen.answers.contains_key(agent))
            .filter_map(|seen| {
                let held = seen.round.as_ref()?;
                Some((held, held.proposal.as_ref()?))
            })
            .filter(|(held, proposal)| wanted(held, proposal))
            .collect();
        found.sort_by_key(|(held, _)| (held.round.opening.deadline, held.round.proposal_id));
        found
    }

    fn is_old(&self, at: Timestamp) -> bool {
        self.now.since(at) >= MEMORY
    }

    fn take(&mut self, taken: Taken, at: Timestamp, place: (i32, i64)) {
        match taken {
            Taken::Agent(agent) => {
                let name = agent.agent_id.as_str().to_owned();
                let records = self.agents.entry(name).or_default();
                records.push((Offset(place.1), *agent));
            }
            Taken::Gone(id) => {
                self.rounds.remove(&id);
                self.open.remove(&id);
            }
            Taken::Round(id, held) => self.take_round(id, *held, at),
            Taken::Answer(id, agent) => self.take_answer(id, agent, at, place),
            Taken::Outcome(id, value) => {
                if let Some(seen) = self.seen(id, at) {
                    seen.outcomes.push(value);
                }
            }
            Taken::Letter(letter) => self.take_letter(*letter, at),
        }
    }

    /// What is remembered of a round; none if it is too old to begin with.
    fn seen(&mut self, id: ProposalId, at: Timestamp) -> Option<&mut Seen> {
        if self.is_old(at) && !self.rounds.contains_key(&id) {
            return None;
        }
        let seen = self.rounds.entry(id).or_default();
        seen.at = seen.at.max(at);
        Some(seen)
    }

    fn take_round(&mut self, id: ProposalId, held: Held, at: Timestamp) {
        let state = held.round.state;
        if state == RoundState::Closed && self.is_old(at) {
            self.rounds.remove(&id);
            self.open.remove(&id);
            return;
        }
        let seen = self.rounds.entry(id).or_default();
        seen.at = seen.at.max(at);
        seen.round = Some(held);
        if state == RoundState::Open {
            self.open.insert(id);
        } else {
            seen.answers.clear();
            self.open.remove(&id);
        }
    }

    fn take_answer(&mut self, id: ProposalId, agent: String, at: Timestamp, place: (i32, i64)) {
        let (partition, offset) = place;
        if self
            .letters
            .contains_key(&(Topic::Responses, partition, offset))
        {
            return;
        }
        let Some(seen) = self.seen(id, at) else {
            return;
        };
        let is_over = |held: &Held| held.round.state != RoundState::Open;
        if seen.round.as_ref().is_some_and(is_over) {
            return;
        }
        let answers = seen.answers.entry(agent).or_default();
        if answers.len() < ANSWERS_MAX {
            answers.push(offset);
        }
    }

    fn take_letter(&mut self, letter: DeadLetter, at: Timestamp) {
        let Some(topic) = Topic::named(&letter.topic) else {
            return;
        };
        let Offset(offset) = letter.offset;
        if topic == Topic::Responses {
            self.unanswer(&letter, offset);
        }
        if self.is_old(at) {
            return;
        }
        let place = (topic, letter.partition, offset);
        let (reason, detail) = (letter.reason, letter.detail);
        self.letters.insert(place, Letter { at, reason, detail });
    }

    /// What was refused is no answer.
    fn unanswer(&mut self, letter: &DeadLetter, offset: i64) {
        let key = letter
            .key
            .as_ref()
            .and_then(|key| str::from_utf8(&key.0).ok());
        let id = key.and_then(|key| key.parse::<ProposalId>().ok());
        if let Some(seen) = id.and_then(|id| self.rounds.get_mut(&id)) {
            seen.answers.retain(|_, offsets| {
                offsets.retain(|at| *at != offset);
                !offsets.is_empty()
            });
        }
    }

    /// Forgets what is over for long enough.
    fn sweep(&mut self) {
        self.swept = self.now;
        let (now, is_old) = (self.now, |now: Timestamp, at| now.since(at) >= MEMORY);
        self.letters.retain(|_, letter| !is_old(now, letter.at));
        self.rounds.retain(|_, seen| {
            let runs = |held: &Held| held.round.state != RoundState::Closed;
            seen.round.as_ref().is_some_and(runs) || !is_old(now, seen.at)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::told::{ID, OTHER, Told};

    const HOUR: i64 = MEMORY.0;

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
        assert!(told.view.known().inbox("bob", None).is_empty());
        assert!(told.view.known().inbox("eve", None).is_empty());
        assert!(told.view.known().inbox("eve", Some("pay")).is_empty());
        let own = told.view.known().inbox("desk", None).len();
        assert_eq!(own, 0, "a proposal is its proposer's answer");
        told.list("zoe", "pay", AgentStatus::Active);
        let before = told.view.known().inbox("zoe", None).len();
        assert_eq!(before, 0, "the round was opened before it was listed");
    }

    #[test]
    fn what_is_over_for_an_hour_is_forgotten_and_what_is_open_is_not() {
        let mut told = Told::new();
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
        let mut told = Told::new();
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
    fn answers_of_one_agent_are_bounded() {
        let mut told = Told::new();
        told.round(ID, RoundState::Open, 1);
        for _ in 0..100 {
            told.answer(2);
        }
        let known = told.view.known();
        let answers = &known.round(&ID).unwrap().answers;
        assert_eq!(answers["ada"].len(), ANSWERS_MAX);
    }
}
