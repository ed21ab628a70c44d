//! What is remembered of rounds: those that run, whatever they take, and of the others the latest,
//! as far as there is room.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::sync::OnceLock;

use axum::body::Bytes;
use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::RoundState;

use super::marks::{Mark, Marks};
use super::open::{Invitation, Open, Turn};
use super::tags::{Field, Item, Tags};
use super::taken::{About, Came, Held, Waits, symbol};

/// Most answers of an agent to a round that are remembered; one of them is enough.
const ANSWERS_MAX: usize = 16;
/// About how many bytes are taken by what is remembered of a round, besides what it holds.
const ROUND: usize = 256;

/// The rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    all: BTreeMap<ProposalId, Seen>,
    /// Those that take responses.
    pub(super) open: Open,
    /// Of each partition, the offset after the last proposal a round was opened by.
    opened: BTreeMap<i32, i64>,
    /// Those that wait for people.
    escalated: BTreeSet<ProposalId>,
    /// Those that do not run, by when something was last heard of them.
    over: BTreeSet<(Timestamp, ProposalId)>,
    /// About how many bytes these take.
    weight: usize,
    /// About how many they may take.
    bound: usize,
}

/// A round as far as it is known.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Seen {
    /// When something was last heard of it.
    at: Timestamp,
    /// Its last record and what is needed of it; none if it is not known to have been opened.
    pub(in crate::gateway) round: Option<Held>,
    about: Option<About>,
    /// What the round can be found by.
    tags: Tags,
    /// Its outcomes as they lie.
    pub(in crate::gateway) outcomes: Vec<Item>,
    /// The same, as far as it is asked for.
    pub(in crate::gateway) came: Vec<Came>,
    /// Where its records lie.
    pub(super) marks: Marks,
    /// The last of its decision packages.
    pub(in crate::gateway) package: Option<Item>,
    /// How long that waits.
    waits: Option<Waits>,
    /// Where each agent's answers lie, as long as the round is open; none of them refused.
    answers: BTreeMap<String, Vec<i64>>,
    /// Where the dead letter lies by which an agent was left without one.
    refused: BTreeMap<String, (i32, i64)>,
}

impl Seen {
    fn state(&self) -> Option<RoundState> {
        self.round.as_ref().map(|held| held.state)
    }

    fn is_over(&self) -> bool {
        !matches!(self.state(), Some(RoundState::Open | RoundState::Escalated))
    }

    /// What it is about, if that is known.
    pub(super) const fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// Whether an agent has answered.
    pub(super) fn is_answered_by(&self, agent: &str) -> bool {
        self.answers.contains_key(agent)
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let answers = self.answers.iter();
        let answers = answers.map(|(agent, offsets)| ROUND / 2 + agent.len() + offsets.len() * 8);
        let refused = self.refused.keys().map(|agent| ROUND / 2 + agent.len());
        ROUND
            + self.round.as_ref().map_or(0, Held::weight)
            + self.about.as_ref().map_or(0, About::weight)
            + self.tags.weight()
            + self.outcomes.iter().map(Item::weight).sum::<usize>()
            + self.package.as_ref().map_or(0, Item::weight)
            + self.came.len() * size_of::<Came>()
            + self.marks.weight()
            + answers.sum::<usize>()
            + refused.sum::<usize>()
    }
}

impl Rounds {
    /// None, and how many bytes those that do not run may take.
    pub(super) fn new(bound: usize) -> Self {
        Self {
            all: BTreeMap::new(),
            open: Open::default(),
            opened: BTreeMap::new(),
            escalated: BTreeSet::new(),
            over: BTreeSet::new(),
            weight: 0,
            bound,
        }
    }

    /// About how many bytes those take that do not run.
    pub(super) const fn weight(&self) -> usize {
        self.weight
    }

    pub(super) fn get(&self, id: &ProposalId) -> Option<&Seen> {
        self.all.get(id)
    }

    /// Whether a round waits for people.
    pub(super) fn is_escalated(&self, id: &ProposalId) -> bool {
        self.escalated.contains(id)
    }

    /// Forgets what does not run and is old.
    pub(super) fn forget(&mut self, is_old: impl Fn(Timestamp) -> bool) {
        while self.over.first().is_some_and(|(at, _)| is_old(*at)) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some((_, id)) = self.over.first().copied() {
            self.remove(&id);
        }
    }

    /// Forgets a round.
    pub(super) fn remove(&mut self, id: &ProposalId) {
        self.open.remove(id);
        self.escalated.remove(id);
        if let Some(seen) = self.all.remove(id) {
            self.leave(id, &seen);
        }
    }

    /// Takes it that a record of a round lies there.
    pub(super) fn mark(&mut self, id: ProposalId, mark: Mark) {
        self.change(id, mark.at, |seen| seen.marks.take(mark));
    }

    /// Takes it that processors have forgotten a round: what it came to stays remembered.
    pub(super) fn give_up(&mut self, id: &ProposalId) {
        if self.get(id).is_some_and(|seen| !seen.is_over()) {
            self.remove(id);
        }
    }

    fn leave(&mut self, id: &ProposalId, seen: &Seen) {
        if self.over.remove(&(seen.at, *id)) {
            self.weight = self.weight.saturating_sub(seen.weight());
        }
    }

    /// Changes what is remembered of a round, from nothing if need be.
    fn change<T>(&mut self, id: ProposalId, at: Timestamp, how: impl FnOnce(&mut Seen) -> T) -> T {
        let mut seen = self.all.remove(&id).unwrap_or_default();
        self.leave(&id, &seen);
        seen.at = seen.at.max(at);
        let made = how(&mut seen);
        if seen.is_over() {
            self.over.insert((seen.at, id));
            self.weight += seen.weight();
        }
        self.all.insert(id, seen);
        while self.weight > self.bound && !self.over.is_empty() {
            self.forget_first();
        }
        made
    }

    /// Takes a round's record, from a partition; as it can be found, if it tells what it is about,
    /// and what it changes for those who may answer.
    pub(super) fn take(
        &mut self,
        id: ProposalId,
        held: Held,
        about: Option<About>,
        at: Timestamp,
        partition: i32,
    ) -> (Option<Item>, Turn) {
        let (state, Offset(proposed)) = (held.state, held.proposal_offset);
        let opened = self.opened.entry(partition).or_default();
        *opened = (*opened).max(proposed + 1);
        let invitation = about.as_ref().map(|about| Invitation {
            proposal_id: id,
            deadline: held.deadline,
            domain: about.domain.clone(),
            proposer: held.proposer.clone(),
            agents: held.agents,
            value: held.value.clone(),
            place: (partition, proposed),
            told: OnceLock::new(),
        });
        let value = held.value.clone();
        let (item, answered) = self.change(id, at, |seen| {
            seen.about = about.or_else(|| seen.about.take());
            seen.tags = held.tags(seen.about.as_ref());
            seen.round = Some(held);
            let tags = seen.about.as_ref().map(|_| seen.tags.clone());
            let item = tags.map(|tags| Item { value, tags });
            if state == RoundState::Open {
                return (item, BTreeSet::new());
            }
            seen.refused.clear();
            let answers = std::mem::take(&mut seen.answers);
            (item, answers.into_keys().collect())
        });
        if state == RoundState::Escalated {
            self.escalated.insert(id);
        } else {
            self.escalated.remove(&id);
        }
        let turn = match (state, invitation) {
            (RoundState::Open, Some(invitation)) => self.open.insert(invitation),
            _ => match self.open.remove(&id) {
                Some(invitation) => Turn::Left(invitation, answered),
                None => Turn::None,
            },
        };
        (item, turn)
    }

    /// The offset after the last proposal a round of a partition was opened by.
    pub(super) fn opened(&self, partition: i32) -> i64 {
        self.opened.get(&partition).copied().unwrap_or(0)
    }

    /// Where the dead letter lies by which an agent was left without an answer to a round.
    pub(super) fn refused(&self, id: &ProposalId, agent: &str) -> Option<(i32, i64)> {
        self.all.get(id)?.refused.get(agent).copied()
    }

    /// Whether it is known what a round is about.
    pub(super) fn knows(&self, id: &ProposalId) -> bool {
        self.all.get(id).is_some_and(|seen| seen.about.is_some())
    }

    /// Whether a round does not tell what it is about, and this proposal does.
    pub(super) fn lacks_about(&self, id: &ProposalId, offset: i64) -> bool {
        let seen = self.all.get(id).filter(|seen| seen.about.is_none());
        let held = seen.and_then(|seen| seen.round.as_ref());
        held.is_some_and(|held| held.proposal_offset == Offset(offset))
    }

    /// Takes what a round is about, where its record does not tell any more; only the proposal it
    /// was opened by counts.
    pub(super) fn take_about(&mut self, id: ProposalId, about: About, offset: i64) {
        if !self.lacks_about(&id, offset) {
            return;
        }
        self.change(id, Timestamp::default(), |seen| {
            let tags = seen.round.as_ref().map(|held| held.tags(Some(&about)));
            seen.tags = tags.unwrap_or_default();
            seen.about = Some(about);
        });
    }

    /// Takes an answer; whether it is the agent's first to an open round.
    pub(super) fn take_answer(
        &mut self,
        id: ProposalId,
        agent: String,
        at: Timestamp,
        offset: i64,
    ) -> bool {
        let state = self.all.get(&id).and_then(Seen::state);
        if !matches!(state, None | Some(RoundState::Open)) {
            return false;
        }
        self.change(id, at, |seen| {
            let answers = seen.answers.entry(agent).or_default();
            if answers.len() < ANSWERS_MAX {
                answers.push(offset);
            }
            answers.len() == 1
        })
    }

    /// Takes it that an agent's answer to an open round was refused before it was read.
    pub(super) fn refuse(&mut self, id: ProposalId, agent: String, letter: (i32, i64)) {
        if self.open.get(&id).is_some() {
            self.change(id, Timestamp::default(), |seen| {
                let last = seen.refused.entry(agent).or_insert(letter);
                *last = letter.max(*last);
            });
        }
    }

    /// What was refused is no answer; who has answered no more.
    pub(super) fn unanswer(
        &mut self,
        id: ProposalId,
        offset: i64,
        letter: (i32, i64),
    ) -> Option<String> {
        let mut answers = self.all.get(&id)?.answers.iter();
        let (agent, _) = answers.find(|(_, offsets)| offsets.contains(&offset))?;
        let agent = agent.clone();
        self.change(id, Timestamp::default(), |seen| {
            let offsets = seen.answers.get_mut(&agent)?;
            offsets.retain(|of| *of != offset);
            if !offsets.is_empty() {
                return None;
            }
            seen.answers.remove(&agent);
            seen.refused.insert(agent.clone(), letter);
            Some(agent)
        })
    }

    /// Takes an outcome; as it can be found.
    pub(super) fn take_outcome(
        &mut self,
        id: ProposalId,
        value: Bytes,
        came: Came,
        at: Timestamp,
    ) -> Item {
        self.change(id, at, |seen| {
            let tags = Tags::default().with(Field::Status, symbol(&came.status));
            let tags = tags.with(Field::ResolvedBy, symbol(&came.resolved_by));
            let tags = tags.at(came.at);
            let held = seen.round.as_ref();
            let tags = held.map_or_else(
                || tags.clone(),
                |held| tags.clone().with(Field::Proposer, held.proposer.clone()),
            );
            let about = seen.about.as_ref();
            let tags = about.map_or_else(|| tags.clone(), |about| about.tell(tags.clone()));
            let item = Item { value, tags };
            seen.outcomes.push(item.clone());
            seen.came.push(came);
            item
        })
    }

    /// Takes a decision package, which replaces the one before.
    pub(super) fn take_package(
        &mut self,
        id: ProposalId,
        package: Item,
        waits: Waits,
        at: Timestamp,
    ) {
        self.change(id, at, |seen| {
            seen.package = Some(package);
            seen.waits = Some(waits);
        });
    }

    /// Those that wait for people: since when and until when each, if its package is known.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Option<Waits>> {
        let ids = self.escalated.iter();
        ids.map(|id| self.all.get(id).and_then(|seen| seen.waits))
    }

    /// Those known to have been opened, the latest first, of those before one if that is given.
    pub(super) fn before(
        &self,
        id: Option<ProposalId>,
    ) -> impl Iterator<Item = (ProposalId, &Tags, &Bytes)> {
        self.seen_before(id).filter_map(|(id, seen)| {
            let held = seen.round.as_ref()?;
            Some((*id, &seen.tags, &held.value))
        })
    }

    /// All that is remembered.
    pub(super) fn all(&self) -> impl Iterator<Item = &Seen> {
        self.all.values()
    }

    /// Outcomes, those of the latest rounds first, the last one of each first; of those before one
    /// if that is given by its round and its number.
    pub(super) fn outcomes_before(
        &self,
        place: Option<(ProposalId, usize)>,
    ) -> impl Iterator<Item = ((ProposalId, usize), &Item)> {
        let upto = place.map_or(Unbounded, |(id, _)| Included(id));
        let seen = self.all.range((Unbounded, upto)).rev();
        let all = seen.flat_map(|(id, seen)| {
            let outcomes = seen.outcomes.iter().enumerate().rev();
            outcomes.map(|(at, item)| ((*id, at), item))
        });
        all.skip_while(move |(at, _)| place.is_some_and(|place| *at >= place))
    }

    /// The lowest offset of `acp.agents` that a round is answered by which runs, or waits for
    /// people.
    pub(super) fn first_pin(&self) -> Option<Offset> {
        let waiting = self.escalated.iter().filter_map(|id| self.all.get(id));
        let pins = waiting.filter_map(|seen| Some(seen.round.as_ref()?.agents));
        pins.chain(self.open.first_pin()).min()
    }

    /// The last packages of rounds in a state, the oldest first, of those after one if that is
    /// given.
    pub(super) fn packages_after(
        &self,
        state: RoundState,
        id: Option<ProposalId>,
    ) -> impl Iterator<Item = (ProposalId, &Item)> {
        let from = (id.map_or(Unbounded, Excluded), Unbounded);
        let waiting = (state == RoundState::Escalated).then(|| {
            let ids = self.escalated.range(from);
            ids.filter_map(|id| Some((id, self.all.get(id)?)))
        });
        let others = (state != RoundState::Escalated).then(|| self.all.range(from));
        let seen = waiting
            .into_iter()
            .flatten()
            .chain(others.into_iter().flatten());
        let seen = seen.filter(move |(_, seen)| seen.state() == Some(state));
        seen.filter_map(|(id, seen)| Some((*id, seen.package.as_ref()?)))
    }

    fn seen_before(&self, id: Option<ProposalId>) -> impl Iterator<Item = (&ProposalId, &Seen)> {
        let upto = id.map_or(Unbounded, Excluded);
        self.all.range((Unbounded, upto)).rev()
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::{ResolvedBy, Status};

    use super::*;

    const HERE: Timestamp = Timestamp(1);

    fn id(number: u8) -> ProposalId {
        ProposalId::from_bytes([number; 16])
    }

    #[test]
    fn answers_of_one_agent_are_bounded() {
        let mut rounds = Rounds::new(usize::MAX);
        for offset in 0..100 {
            rounds.take_answer(id(1), "ada".to_owned(), HERE, offset);
        }
        assert_eq!(rounds.all[&id(1)].answers["ada"].len(), ANSWERS_MAX);
    }

    #[test]
    fn of_what_does_not_run_the_latest_is_kept_within_the_bound() {
        const BOUND: usize = 100_000;
        let mut rounds = Rounds::new(BOUND);
        let value = Bytes::from(vec![0; 1_000]);
        let came = Came {
            status: Status::Approved,
            would_be: Status::Approved,
            resolved_by: ResolvedBy::Protocol,
            shadow: false,
            at: HERE,
        };
        for number in 0..=255 {
            let at = Timestamp(number.into());
            rounds.take_outcome(id(number), value.clone(), came, at);
            let all = rounds.all.values().filter(|seen| seen.is_over());
            let weight: usize = all.map(Seen::weight).sum();
            assert_eq!(rounds.weight, weight, "what is counted is what is there");
            assert!(weight <= BOUND, "{weight}");
        }
        let kept = rounds.all.len();
        assert!((50..100).contains(&kept), "{kept}");
        assert!(rounds.get(&id(255)).is_some() && rounds.get(&id(0)).is_none());
    }
}
