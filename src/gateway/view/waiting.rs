//! Who waits for rounds to answer, so that news wakes those it concerns and nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ids::{Offset, ProposalId};
use quorate_core::topic::Topic;
use tokio::sync::mpsc;

use super::open::{Invitation, Turn};
use super::recent::Position;
use super::{Known, View};

/// How many changes somebody may be behind before being cut off.
const BEHIND_MAX: usize = 64;

/// Those who wait, by agent.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<String, Vec<mpsc::Sender<Change>>>);

/// What changes in an agent's inbox.
#[derive(Clone, Debug)]
pub(in crate::gateway) enum Change {
    /// A round waits for its answer: since it was opened, or since an answer was refused by a dead
    /// letter that lies there.
    Waits(Arc<Invitation>, Option<(i32, i64)>),
    /// It does not any more.
    Left(Arc<Invitation>),
}

/// How far somebody was told of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Told {
    /// By the offsets of proposals: rounds are opened in their order.
    opened: Position,
    /// From where on records of agents were not heeded.
    agents: i64,
    /// From where on dead letters were not heeded.
    letters: Position,
}

impl Told {
    /// As it is told, and given back.
    pub(in crate::gateway) fn text(&self) -> String {
        let (opened, letters) = (self.opened.text(), self.letters.text());
        format!("{opened}/{}/{letters}", self.agents)
    }

    /// What a text tells, of so many partitions.
    pub(in crate::gateway) fn read(text: &str, partitions: i32) -> Option<Self> {
        let (opened, rest) = text.split_once('/')?;
        let (agents, letters) = rest.split_once('/')?;
        Some(Self {
            opened: Position::read(opened, partitions)?,
            agents: agents.parse().ok().filter(|offset| *offset >= 0)?,
            letters: Position::read(letters, partitions)?,
        })
    }

    /// By the offsets of proposals.
    pub(in crate::gateway) const fn opened(&self) -> &Position {
        &self.opened
    }

    /// Takes it that all was told that another one knows of.
    pub(in crate::gateway) fn join(&mut self, other: &Self) {
        for (partition, offset) in other.opened.offsets() {
            self.opened.reach(partition, offset);
        }
        for (partition, offset) in other.letters.offsets() {
            self.letters.reach(partition, offset);
        }
        self.agents = self.agents.max(other.agents);
    }

    /// Takes it that a change was told; whether it was not before.
    pub(in crate::gateway) fn take(&mut self, change: &Change) -> bool {
        match change {
            Change::Waits(invitation, None) => {
                let (partition, offset) = invitation.place;
                let is_new = offset >= self.opened.of(partition);
                self.opened.reach(partition, offset + 1);
                is_new
            }
            Change::Waits(_, Some((partition, offset))) => {
                let is_new = *offset >= self.letters.of(*partition);
                self.letters.reach(*partition, offset + 1);
                is_new
            }
            Change::Left(_) => true,
        }
    }
}

/// Somebody who waits, and what there was to be told at first.
#[derive(Debug)]
pub(in crate::gateway) struct Inbox {
    /// What waits and was not told, in the order in which it was opened.
    pub(in crate::gateway) first: Vec<Arc<Invitation>>,
    /// What was told before.
    pub(in crate::gateway) told: Told,
    /// What was told once all of the first are.
    pub(in crate::gateway) then: Told,
    /// What comes after; it ends where too much was not taken.
    pub(in crate::gateway) changes: mpsc::Receiver<Change>,
}

impl Waiting {
    fn join(&mut self, agent: &str) -> mpsc::Receiver<Change> {
        let (sender, receiver) = mpsc::channel(BEHIND_MAX);
        let of_agent = self.0.entry(agent.to_owned()).or_default();
        of_agent.retain(|other| !other.is_closed());
        of_agent.push(sender);
        receiver
    }

    fn waits(&self, agent: &str) -> bool {
        self.0.contains_key(agent)
    }

    /// Tells an agent; whoever is too far behind, or gone, is cut off.
    fn tell(&mut self, agent: &str, change: &Change) {
        if let Some(of_agent) = self.0.get_mut(agent) {
            of_agent.retain(|sender| sender.try_send(change.clone()).is_ok());
            if of_agent.is_empty() {
                self.0.remove(agent);
            }
        }
    }

    /// Cuts off those who wait for an agent: they come again, and learn all that has changed.
    pub(super) fn cut(&mut self, agent: &str) {
        self.0.remove(agent);
    }

    /// Cuts off everybody.
    pub(super) fn cut_all(&mut self) {
        self.0.clear();
    }
}

impl View {
    /// What changes in an agent's inbox from now on.
    pub(in crate::gateway) fn changes(&self, agent: &str) -> mpsc::Receiver<Change> {
        self.change().waiting.join(agent)
    }

    /// What an agent's inbox has, except for what was told before, and what changes in it.
    pub(in crate::gateway) fn wait(&self, agent: &str, told: Option<Told>, count: i32) -> Inbox {
        let mut known = self.change();
        let changes = known.waiting.join(agent);
        let then = known.told(count);
        let told = told.unwrap_or_else(|| Told {
            opened: Position(vec![0; then.opened.0.len()]),
            ..then.clone()
        });
        let mut first = known.inbox(agent, None, None, usize::MAX);
        first.retain(|invitation| known.is_news(agent, invitation, &told));
        first.sort_by_key(|invitation| invitation.place);
        Inbox {
            first,
            told,
            then,
            changes,
        }
    }
}

impl Known {
    /// How far whoever knows all of an inbox was told of it.
    pub(in crate::gateway) fn told(&self, partitions: i32) -> Told {
        let opened = (0..partitions).map(|partition| self.rounds.opened(partition));
        Told {
            opened: Position(opened.collect()),
            agents: self.next(Topic::Agents, 0).unwrap_or(0),
            letters: self.position(Topic::DeadLetters, partitions),
        }
    }

    /// Whether a round that waits was not told as such.
    fn is_news(&self, agent: &str, invitation: &Invitation, told: &Told) -> bool {
        let (partition, offset) = invitation.place;
        let refused = self.rounds.refused(&invitation.proposal_id, agent);
        offset >= told.opened.of(partition)
            || self.agents.turned(agent) >= Some(Offset(told.agents))
            || refused.is_some_and(|(partition, offset)| offset >= told.letters.of(partition))
    }

    /// Tells those whom it concerns that a round takes responses, or does not any more.
    pub(super) fn turn(&mut self, turn: Turn) {
        let (invitation, change) = match turn {
            Turn::Opened(invitation) => (Arc::clone(&invitation), Change::Waits(invitation, None)),
            Turn::Left(invitation, answered) => {
                let change = Change::Left(Arc::clone(&invitation));
                for agent in self.concerned(&invitation) {
                    if !answered.contains(&agent) {
                        self.waiting.tell(&agent, &change);
                    }
                }
                return;
            }
            Turn::None => return,
        };
        for agent in self.concerned(&invitation) {
            let seen = self.rounds.get(&invitation.proposal_id);
            if !seen.is_some_and(|seen| seen.is_answered_by(&agent)) {
                self.waiting.tell(&agent, &change);
            }
        }
    }

    /// Those who wait and have a say in a round.
    fn concerned(&self, invitation: &Invitation) -> Vec<String> {
        let holders = self.agents.holders(&invitation.domain);
        let waiting = holders.filter(|agent| self.waiting.waits(agent));
        let concerned = waiting.filter(|agent| self.agents.has_a_say(agent, invitation));
        concerned.map(str::to_owned).collect()
    }

    /// Tells an agent that a round waits for its answer, or does not any more.
    pub(super) fn tell_one(&mut self, agent: &str, id: &ProposalId, refused: Option<(i32, i64)>) {
        let Some(invitation) = self.rounds.open.get(id) else {
            return;
        };
        if self.waiting.waits(agent) && self.agents.has_a_say(agent, invitation) {
            let change = match refused {
                Some(letter) => Change::Waits(Arc::clone(invitation), Some(letter)),
                None => Change::Left(Arc::clone(invitation)),
            };
            self.waiting.tell(agent, &change);
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::records::{AgentStatus, RoundState};
    use tokio::sync::mpsc::error::TryRecvError;

    use super::*;
    use crate::gateway::told::{ID, OTHER, Told};

    #[test]
    fn news_wakes_those_it_concerns_and_nobody_else() {
        let mut told = Told::new();
        told.list("eve", "garden", AgentStatus::Active);
        told.list("bob", "pay.out", AgentStatus::Active);
        told.list("cyd", "pay", AgentStatus::Suspended);
        let names = ["ada", "bob", "cyd", "desk", "eve", "zoe"];
        let mut waiting = names.map(|name| told.view.changes(name));
        let mut woken = || {
            let woken = names.iter().zip(&mut waiting);
            let woken = woken.filter_map(|(name, changes)| Some((*name, changes.try_recv().ok()?)));
            let word = |(name, change)| match change {
                Change::Waits(..) => format!("{name} waits"),
                Change::Left(_) => format!("{name} left"),
            };
            woken.map(word).collect::<Vec<_>>()
        };
        told.round(ID, RoundState::Open, 1);
        assert_eq!(woken(), ["ada waits", "bob waits"]);
        told.round(ID, RoundState::Open, 2);
        assert!(woken().is_empty(), "it was open before");
        let first = told.answer(3);
        assert_eq!(woken(), ["ada left"]);
        told.answer(4);
        assert!(woken().is_empty(), "it had answered");
        told.refuse(first, 5);
        assert!(woken().is_empty(), "the other answer stands");
        told.refuse(first + 1, 6);
        assert_eq!(woken(), ["ada waits"]);
        told.answer(7);
        assert_eq!(woken(), ["ada left"]);
        told.round(ID, RoundState::Closed, 8);
        assert_eq!(woken(), ["bob left"]);
    }

    #[test]
    fn whoever_is_too_far_behind_is_cut_off() {
        let mut told = Told::new();
        let mut slow = told.view.changes("ada");
        for number in 0..100 {
            told.round(ProposalId::from_bytes([number; 16]), RoundState::Open, 1);
        }
        let mut heard = 0;
        while slow.try_recv().is_ok() {
            heard += 1;
        }
        assert_eq!(heard, BEHIND_MAX);
        assert_eq!(slow.try_recv().unwrap_err(), TryRecvError::Disconnected);
        assert!(
            !told.view.known().waiting.waits("ada"),
            "nothing is kept of it"
        );
    }

    #[test]
    fn those_who_went_away_are_forgotten() {
        let told = Told::new();
        for _ in 0..100 {
            let _gone = told.view.changes("ada");
        }
        assert_eq!(told.view.known().waiting.0["ada"].len(), 1);
    }

    #[test]
    fn whoever_comes_again_is_told_what_was_not_told() {
        let mut told = Told::new();
        told.round(ID, RoundState::Open, 1);
        let all = told.view.wait("ada", None, 1);
        assert_eq!(all.first.len(), 1);
        let mut position = all.told;
        position.take(&Change::Waits(Arc::clone(&all.first[0]), None));
        position.join(&all.then);
        let again = || super::Told::read(&position.text(), 1);
        assert_eq!(again().as_ref(), Some(&position));
        let first = |told: &Told| told.view.wait("ada", again(), 1).first.len();
        assert_eq!(first(&told), 0);
        // Whichever is read first, the answer or why it was refused.
        told.refuse(told.offset + 1, 2);
        told.answer(3);
        assert_eq!(first(&told), 1);
        told.answer(4);
        assert_eq!(first(&told), 0, "it has answered since");
        told.list("ada", "pay", AgentStatus::Active);
        assert_eq!(first(&told), 0, "nothing has changed for it");
        told.list("ada", "pay", AgentStatus::Suspended);
        told.list("ada", "pay", AgentStatus::Active);
        told.round(OTHER, RoundState::Open, 5);
        assert_eq!(first(&told), 1, "of what it has not answered");
    }

    #[test]
    fn a_log_that_is_lost_cuts_everybody_off() {
        let told = Told::new();
        let mut ada = told.view.changes("ada");
        told.view.set_follows(false);
        assert_eq!(ada.try_recv().unwrap_err(), TryRecvError::Disconnected);
    }
}
