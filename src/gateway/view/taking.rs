//! How records change what is remembered.

use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::{Agent, AgentKind, Claim, DeadLetter, Policy, TrustUpdate};
use quorate_core::topic::Topic;

use super::actions::{Action, Sort};
use super::marks::{Mark, clipped};
use super::streams::Parked;
use super::tags::Item;
use super::taken::{Taken, symbol};
use super::{Known, SWEEP, View, letters, streams};
use crate::engine::trust_key;
use crate::gateway::claims::releases;
use crate::transport::Stored;

impl View {
    /// Takes a claim to an escalation, which comes beside everything else; whether it stands.
    pub(in crate::gateway) fn take_claim(
        &self,
        claim: &Claim,
        stands: bool,
        at: Timestamp,
        (partition, offset): (i32, i64),
    ) {
        let place = (Topic::Claims, partition, offset);
        self.change()
            .actions
            .take(at, place, claimed(claim, stands));
    }
}

impl Known {
    fn is_old(&self, at: Timestamp) -> bool {
        self.now.since(at) >= self.span
    }

    /// Whether a record says something that is not known: what a round is about, it mostly says
    /// itself.
    pub(super) fn wants(&self, stored: &Stored) -> bool {
        let key = stored
            .key
            .as_deref()
            .and_then(|key| str::from_utf8(key).ok());
        let id = || key.and_then(|key| key.parse().ok());
        stored.topic != Topic::Proposals
            || id().is_some_and(|id| self.rounds.lacks_about(&id, stored.offset))
    }

    pub(super) fn take(&mut self, taken: Taken, at: Timestamp, place: (i32, i64)) {
        let (partition, offset) = place;
        match taken {
            Taken::Agent(agent, item, by) => {
                self.streams.push(Topic::Agents, place, Some(item.clone()));
                let name = agent.agent_id.as_str().to_owned();
                let listed = listed(&agent, by);
                self.actions
                    .take(at, (Topic::Agents, partition, offset), listed);
                if self.agents.take(*agent, item, Offset(offset), at) {
                    self.waiting.cut(&name);
                }
            }
            Taken::Policy(policy, item, by) => {
                self.streams
                    .push(Topic::Policies, place, Some(item.clone()));
                let ruled = ruled(&policy, by);
                self.actions
                    .take(at, (Topic::Policies, partition, offset), ruled);
                self.policies.take(*policy, item, (at, offset));
            }
            Taken::Score(score, item) => {
                self.streams.push(Topic::Trust, place, Some(item.clone()));
                self.tracks.score(&score, at);
                self.trust.insert(trust_key(&score), item);
            }
            Taken::Learnt(update) => self.take_update(&update, at, place),
            Taken::Done(id, action, mark) => {
                let topic = match action.sort {
                    Sort::Decision => Topic::Decisions,
                    Sort::Result => Topic::Results,
                    _ => Topic::Responses,
                };
                if let (Some(id), Some(mark)) = (id, mark) {
                    self.mark(id, mark, at, place);
                }
                if action.sort != Sort::Result || self.is_person(action.by.as_deref()) {
                    self.actions.take(at, (topic, partition, offset), action);
                }
            }
            // What a closed round came to is remembered for as long as anything.
            Taken::Gone(id) => self.rounds.give_up(&id),
            Taken::Round(id, held, about) => {
                let is_gone = held.is_closed() && self.is_old(at);
                let settled = held.turned_out.as_ref().map(symbol);
                let mark = Mark::new(Topic::Rounds, symbol(&held.state));
                let mark = mark.with(&settled.unwrap_or_default());
                let (item, turn) = self.rounds.take(id, *held, about, at, partition);
                self.streams.push(Topic::Rounds, place, item);
                self.turn(turn);
                if is_gone {
                    self.rounds.remove(&id);
                } else {
                    self.mark(id, mark, at, place);
                }
            }
            Taken::About(id, about) => self.rounds.take_about(id, about, offset),
            Taken::Answer(id, agent, mark) => {
                self.mark(id, mark, at, place);
                self.take_answer(id, agent, at, place);
            }
            Taken::Outcome(id, value, came, mark) => {
                self.mark(id, mark, at, place);
                let outcome = Parked {
                    id,
                    value,
                    came,
                    at,
                    offset,
                };
                self.streams.park(partition, outcome);
            }
            Taken::Package(id, package, mark, waits) => {
                self.mark(id, mark, at, place);
                self.streams
                    .push(Topic::Escalations, place, Some(package.clone()));
                if self.remembers(&id, at) {
                    self.rounds.take_package(id, package, waits, at);
                }
            }
            Taken::Letter(letter, item) => {
                self.streams
                    .push(Topic::DeadLetters, place, Some(item.clone()));
                self.take_letter(*letter, item, (at, partition, offset));
            }
        }
    }

    fn take_answer(&mut self, id: ProposalId, agent: String, at: Timestamp, place: (i32, i64)) {
        let (partition, offset) = place;
        let place = (Topic::Responses, partition, offset);
        if let Some((_, partition, letter)) = self.letters.lies(&place) {
            self.rounds.refuse(id, agent, (partition, letter));
            return;
        }
        if !self.remembers(&id, at) {
            return;
        }
        if self.rounds.take_answer(id, agent.clone(), at, offset) {
            self.tell_one(&agent, &id, None);
        }
    }

    /// Takes it that a record of a round lies there.
    fn mark(&mut self, id: ProposalId, mark: Mark, at: Timestamp, place: (i32, i64)) {
        if self.remembers(&id, at) {
            let (topic, ..) = mark.place;
            let place = (topic, place.0, place.1);
            self.rounds.mark(id, Mark { place, at, ..mark });
        }
    }

    fn take_update(&mut self, update: &TrustUpdate, at: Timestamp, place: (i32, i64)) {
        self.tracks.learn(update, place);
        let mark = Mark::new(Topic::TrustUpdates, symbol(&update.result));
        self.mark(update.proposal_id, mark, at, place);
    }

    /// Whether somebody who is listed is a person.
    fn is_person(&self, name: Option<&str>) -> bool {
        let agent = name.and_then(|name| self.agents.last(name));
        agent.is_some_and(|agent| agent.kind == AgentKind::Human)
    }

    /// Takes the outcomes of which it is known by now what their rounds are about, as those who
    /// look for that must be told, and those of which it will not be.
    pub(super) fn release(&mut self) {
        let now = self.now;
        let rounds = &self.rounds;
        let may_go = |outcome: &Parked| {
            rounds.knows(&outcome.id) || now.since(outcome.at) >= streams::PARKED_MAX
        };
        for (partition, outcome) in self.streams.release(may_go) {
            let Parked {
                id,
                value,
                came,
                at,
                offset,
            } = outcome;
            let mut item = None;
            if self.remembers(&id, at) {
                let is_known = self.rounds.knows(&id);
                let taken = self.rounds.take_outcome(id, value, came, at);
                item = is_known.then_some(taken);
            }
            self.streams
                .push(Topic::Outcomes, (partition, offset), item);
        }
    }

    /// Whether what is said of a round is remembered: not if it is old and nothing is known of
    /// the round.
    fn remembers(&self, id: &ProposalId, at: Timestamp) -> bool {
        !self.is_old(at) || self.rounds.get(id).is_some()
    }

    fn take_letter(&mut self, letter: DeadLetter, item: Item, lies: letters::Lies) {
        let key = letter.key.as_ref();
        let key = key.and_then(|key| str::from_utf8(&key.0).ok());
        let id = key.and_then(|key| key.parse().ok());
        if let Some(id) = id {
            let (at, partition, offset) = lies;
            let mark = Mark::new(Topic::DeadLetters, &*letter.reason).with(&letter.detail);
            self.mark(id, mark, at, (partition, offset));
        }
        if Topic::named(&letter.topic) == Some(Topic::Responses) {
            let Offset(offset) = letter.offset;
            if let Some(id) = id {
                let (_, partition, at) = lies;
                if let Some(agent) = self.rounds.unanswer(id, offset, (partition, at)) {
                    self.tell_one(&agent, &id, Some((partition, at)));
                }
            }
        }
        if !self.is_old(lies.0) {
            self.letters.take(letter, item, lies);
        }
    }

    /// Forgets what is over for long enough.
    pub(super) fn forget(&mut self) {
        let (now, span) = (self.now, self.span);
        let is_old = |at: Timestamp| now.since(at) >= span;
        self.letters.forget(is_old);
        self.rounds.forget(is_old);
        let (swept, pin) = self.swept;
        if self.follows && now.since(swept) >= SWEEP {
            // Rounds that are read next may have been opened a while ago.
            let pin = self.rounds.first_pin().map_or(pin, |first| first.min(pin));
            self.agents.forget(pin);
            let next = self.next(Topic::Agents, 0).map_or(Offset::NONE, Offset);
            self.swept = (now, next);
        }
    }
}

/// What an operator wrote of an agent.
fn listed(agent: &Agent, by: Option<Box<str>>) -> Action {
    Action {
        sort: Sort::Agent,
        by,
        about: agent.agent_id.as_str().into(),
        says: symbol(&agent.status).into(),
        code: symbol(&agent.kind).into(),
        words: "".into(),
        digest: None,
        void: None,
    }
}

/// What somebody claimed, or gave up.
fn claimed(claim: &Claim, stands: bool) -> Action {
    let says = if releases(claim) {
        "RELEASED"
    } else {
        "CLAIMED"
    };
    Action {
        sort: Sort::Claim,
        by: Some(clipped(&claim.reviewer)),
        about: clipped(&claim.proposal_id),
        says: says.into(),
        code: "".into(),
        words: "".into(),
        digest: None,
        void: (!stands).then_some("already_claimed"),
    }
}

/// What an operator wrote of a pattern.
fn ruled(policy: &Policy, by: Option<Box<str>>) -> Action {
    Action {
        sort: Sort::Policy,
        by,
        about: policy.pattern.as_str().into(),
        says: symbol(&policy.mode).into(),
        code: "".into(),
        words: "".into(),
        digest: Some(policy.digest),
        void: None,
    }
}
