//! A partition's rounds, and when each next needs attention.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::HashMap;
use quorate_core::fault::{self, Fault};
use quorate_core::ids::{AgentId, Millis, Offset, ProposalId, Timestamp};
use quorate_core::records::{Closed, Opening, Policy, Round, RoundState};
use quorate_core::round::{OpenRound, REMEMBERED_MIN, due};

use super::kept::Kept;
use super::marks::Marks;
use super::panels::Panels;
use super::past::Past;
use super::refresh::Behind;
use super::subjects::Subjects;
use crate::store::{Packed, Packer};

/// Other rounds on the same subject that a package lists.
const RELATED_MAX: usize = 16;

/// Rounds written again with one commit.
const AT_ONCE: usize = 1_024;

/// Every round the partition knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    slots: HashMap<ProposalId, Slot>,
    deadlines: BTreeSet<(Timestamp, ProposalId)>,
    /// Open rounds by the stream time they were opened at.
    opened: BTreeSet<(Timestamp, ProposalId)>,
    /// Open rounds by the first record of `acp.responses` that changed them.
    heard: BTreeSet<(Offset, Timestamp, ProposalId)>,
    /// How many ballots open rounds hold.
    admitted: usize,
    /// Open rounds whose snapshots would be too large to write.
    unwieldy: BTreeSet<ProposalId>,
    pub(super) panels: Panels,
    dues: BTreeSet<(Timestamp, ProposalId)>,
    pub(super) past: Past,
    /// Rounds whose deadlines `acp.proposals` has not passed, whether they are still open or not.
    running: BTreeSet<(Timestamp, ProposalId, AgentId)>,
    running_of: HashMap<AgentId, i32>,
    /// Results that wait for the last outcomes of their rounds.
    pub(super) parked: BTreeSet<(Offset, Timestamp, ProposalId)>,
    /// Open and escalated rounds.
    by_subject: Subjects,
    pub(super) marks: Marks,
    packer: Packer,
}

/// The rounds open in a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// How many.
    pub count: usize,
    /// The stream time at which the oldest was opened.
    pub oldest: Option<Timestamp>,
    /// The deadline that passes first.
    pub deadline: Option<Timestamp>,
}

/// A round as it stands.
#[derive(Clone, Debug, PartialEq)]
enum Slot {
    Open(Box<Live>),
    Escalated(Box<Waiting>),
}

/// An escalated round, put away until somebody decides.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    packed: Packed,
    policy: Arc<Policy>,
    due: Timestamp,
    parked: Vec<Kept>,
}

impl Waiting {
    fn ended(&self) -> Option<Ended> {
        let ended = Ended::recorded(self.packed.round()?, Arc::clone(&self.policy));
        Some(Ended {
            parked: self.parked.clone(),
            ..ended
        })
    }
}

/// A round that takes responses.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) round: OpenRound,
    /// What agents bring to it.
    pub(super) panel: usize,
    /// The first record of `acp.responses` that changed it, with the stream time there.
    pub(super) first: Option<(Offset, Timestamp)>,
    /// Records of `acp.responses` below it are in the round's snapshot.
    pub(super) upto: Offset,
    /// What its action is done to.
    subject: Arc<str>,
    /// How many of its ballots are counted among all.
    counted: usize,
}

impl Live {
    /// A round nobody has answered to.
    pub(super) fn new(round: OpenRound, panel: usize, subject: &str) -> Self {
        Self {
            round,
            panel,
            subject: subject.into(),
            first: None,
            upto: Offset(0),
            counted: 0,
        }
    }
}

impl PartialEq for Live {
    /// Equal in everything but the number of its panel.
    fn eq(&self, other: &Self) -> bool {
        self.round == other.round
            && self.first == other.first
            && self.upto == other.upto
            && self.subject == other.subject
            && self.counted == other.counted
    }
}

/// A round that has closed, escalated ones included.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) round: Round,
    pub(super) policy: Arc<Policy>,
    /// Results that wait for the last outcome, in offset order.
    pub(super) parked: Vec<Kept>,
}

impl Ended {
    /// A round as its record has it.
    pub(super) const fn recorded(round: Round, policy: Arc<Policy>) -> Self {
        Self {
            round,
            policy,
            parked: Vec::new(),
        }
    }

    /// What its package says it is about.
    fn subject(&self) -> &str {
        let package = self.closed().and_then(|closed| closed.package.as_ref());
        package.map_or("", |content| &content.proposal.action.subject)
    }

    fn closed(&self) -> Option<&Closed> {
        self.round.closed.as_ref()
    }

    fn is_escalated(&self) -> bool {
        self.round.state == RoundState::Escalated
    }

    /// When its tier ends, by the stream time of `acp.decisions`.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.closed()
            .filter(|_| self.is_escalated())
            .map(|closed| due(closed, &self.policy))
    }

    /// When it is forgotten, by the stream times of `acp.proposals` and `acp.results`.
    pub(super) fn forgotten(&self) -> Option<Timestamp> {
        let window = self.policy.result_window.max(remembered());
        let closed = self.closed().filter(|_| !self.is_escalated())?;
        Some(closed.coordinates.closing_time.plus(window))
    }
}

impl Rounds {
    /// Whether a round is open or escalated.
    pub(super) fn is_running(&self, id: &ProposalId) -> bool {
        self.slots.contains_key(id)
    }

    /// An escalated round.
    pub(super) fn escalated(&self, id: &ProposalId) -> Option<Ended> {
        match self.slots.get(id)? {
            Slot::Open(_) => None,
            Slot::Escalated(waiting) => waiting.ended(),
        }
    }

    /// How a round was opened, whatever has become of it.
    pub(super) fn opening(&self, id: &ProposalId) -> Option<Cow<'_, Opening>> {
        match self.slots.get(id) {
            Some(Slot::Open(live)) => Some(Cow::Borrowed(&live.round.opening)),
            Some(Slot::Escalated(waiting)) => Some(Cow::Owned(waiting.ended()?.round.opening)),
            None => self
                .past
                .get(id)
                .map(|ended| Cow::Owned(ended.round.opening)),
        }
    }

    /// Whether a round is known as its last record has it.
    pub(super) fn knows(&self, id: &ProposalId) -> bool {
        self.slots.contains_key(id) || self.past.knows(id)
    }

    /// An open round.
    pub(super) fn live(&self, id: &ProposalId) -> Option<&Live> {
        match self.slots.get(id)? {
            Slot::Open(live) => Some(live),
            Slot::Escalated(_) => None,
        }
    }

    /// An open round, to be changed.
    pub(super) fn live_mut(&mut self, id: &ProposalId) -> Option<&mut Live> {
        match self.slots.get_mut(id)? {
            Slot::Open(live) => Some(live),
            Slot::Escalated(_) => None,
        }
    }

    /// The open rounds, in the order of their deadlines.
    pub(super) fn open_ids(&self) -> Vec<ProposalId> {
        self.deadlines.iter().map(|(_, id)| *id).collect()
    }

    /// Notes that a record of `acp.responses` changed an open round.
    pub(super) fn touch(&mut self, id: &ProposalId, place: (Offset, Timestamp)) {
        self.change(id, place, |_, _| ((), true));
    }

    /// Lets a record of `acp.responses` do something to a round, if it is open, and notes whether
    /// that changed it.
    pub(super) fn change<T>(
        &mut self,
        id: &ProposalId,
        place: (Offset, Timestamp),
        change: impl FnOnce(&mut Live, &mut Panels) -> (T, bool),
    ) -> Option<T> {
        let Some(Slot::Open(live)) = self.slots.get_mut(id) else {
            return None;
        };
        let (done, changed) = change(live, &mut self.panels);
        if !changed {
            return Some(done);
        }
        let admitted = live.round.admitted();
        self.admitted += admitted.saturating_sub(live.counted);
        live.counted = admitted;
        if place.0 < live.upto {
            return Some(done);
        }
        let first = live.first.map_or(place, |first| first.min(place));
        if live.first == Some(first) {
            return Some(done);
        }
        if let Some((offset, time)) = live.first.replace(first) {
            self.heard.remove(&(offset, time, *id));
        }
        self.heard.insert((first.0, first.1, *id));
        Some(done)
    }

    pub(super) fn open(&mut self, mut live: Live) {
        let (id, opening) = (live.round.proposal_id, &live.round.opening);
        self.deadlines.insert((opening.deadline, id));
        self.opened.insert((opening.proposal_time, id));
        if let Some((offset, time)) = live.first {
            self.heard.insert((offset, time, id));
        }
        let (deadline, proposer) = (opening.deadline, opening.proposer.clone());
        self.count(deadline, id, proposer);
        self.by_subject.add(&live.subject, id);
        self.marks.keep(id);
        live.counted = live.round.admitted();
        self.admitted += live.counted;
        self.slots.insert(id, Slot::Open(Box::new(live)));
    }

    /// Takes an open round out, to be closed; it leaves its panel when that is done.
    pub(super) fn take_live(&mut self, id: &ProposalId) -> Option<Box<Live>> {
        if !matches!(self.slots.get(id)?, Slot::Open(_)) {
            return None;
        }
        let Some(Slot::Open(live)) = self.slots.remove(id) else {
            return None;
        };
        let opening = &live.round.opening;
        self.deadlines.remove(&(opening.deadline, *id));
        self.opened.remove(&(opening.proposal_time, *id));
        if let Some((offset, time)) = live.first {
            self.heard.remove(&(offset, time, *id));
        }
        self.by_subject.remove(&live.subject, id);
        self.marks.drop(id);
        self.unwieldy.remove(id);
        self.admitted = self.admitted.saturating_sub(live.counted);
        Some(live)
    }

    /// Takes a round that has ended out, to be changed and put back by [`Rounds::end`].
    pub(super) fn take_ended(&mut self, id: &ProposalId) -> Option<Ended> {
        let waiting = match self.slots.get(id) {
            None => return self.past.take(id),
            Some(Slot::Open(_)) => return None,
            Some(Slot::Escalated(waiting)) => waiting,
        };
        let (ended, due) = (waiting.ended()?, waiting.due);
        self.slots.remove(id);
        self.dues.remove(&(due, *id));
        for kept in &ended.parked {
            self.parked.remove(&(kept.offset, kept.time, *id));
        }
        self.by_subject.remove(ended.subject(), id);
        Some(ended)
    }

    /// Takes a round that has ended, escalated or closed.
    pub(super) fn end(&mut self, ended: &Ended) {
        let id = ended.round.proposal_id;
        let Some(due) = ended.due() else {
            self.marks.drop(&id);
            self.past.put(ended);
            return;
        };
        self.marks.keep(id);
        self.dues.insert((due, id));
        for kept in &ended.parked {
            self.parked.insert((kept.offset, kept.time, id));
        }
        self.by_subject.add(&ended.subject().into(), id);
        let waiting = Waiting {
            packed: self.packer.pack(&ended.round),
            policy: Arc::clone(&ended.policy),
            due,
            parked: ended.parked.clone(),
        };
        self.slots.insert(id, Slot::Escalated(Box::new(waiting)));
    }

    /// Other open or escalated rounds on a subject, by id.
    pub(super) fn related(&self, subject: &str, but: &ProposalId) -> Vec<ProposalId> {
        let others = self.by_subject.of(subject).filter(|id| id != but);
        others.take(RELATED_MAX).collect()
    }

    /// Counts a round as its proposer's until `acp.proposals` passes its deadline.
    ///
    /// Not until it closes: that depends on how far the responses have been read, and the order of
    /// reading must not decide whether a proposal is over the limit.
    pub(super) fn count(&mut self, deadline: Timestamp, id: ProposalId, proposer: AgentId) {
        if self.running.insert((deadline, id, proposer.clone())) {
            *self.running_of.entry(proposer).or_default() += 1;
        }
    }

    /// Stops counting rounds whose deadlines a stream time of `acp.proposals` has passed.
    pub(super) fn pass(&mut self, now: Timestamp) {
        while self
            .running
            .first()
            .is_some_and(|(deadline, ..)| *deadline < now)
        {
            let Some((_, _, proposer)) = self.running.pop_first() else {
                break;
            };
            if let Some(running) = self.running_of.get_mut(&proposer) {
                *running -= 1;
                if *running <= 0 {
                    self.running_of.remove(&proposer);
                }
            }
        }
    }

    /// How many rounds of a proposer count towards its limit.
    pub(super) fn running_of(&self, proposer: &AgentId) -> i32 {
        self.running_of.get(proposer).copied().unwrap_or(0)
    }

    /// What is open, for whoever watches.
    pub(super) fn open_now(&self) -> Open {
        Open {
            count: self.opened.len(),
            oldest: self.opened.first().map(|(opened, _)| *opened),
            deadline: self.first_deadline(),
        }
    }

    pub(super) fn first_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// The first round whose deadline that stream time has passed.
    pub(super) fn past_deadline(&self, now: Timestamp) -> Option<ProposalId> {
        self.deadlines
            .first()
            .filter(|(deadline, _)| *deadline < now)
            .map(|(_, id)| *id)
    }

    /// The escalated rounds, in the order of their due times.
    pub(super) fn escalated_ids(&self) -> Vec<ProposalId> {
        self.dues.iter().map(|(_, id)| *id).collect()
    }

    pub(super) fn first_due(&self) -> Option<Timestamp> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// The first round whose tier that stream time has passed.
    pub(super) fn past_due(&self, now: Timestamp) -> Option<ProposalId> {
        self.dues
            .first()
            .filter(|(due, _)| *due < now)
            .map(|(_, id)| *id)
    }

    /// The first record of `acp.responses` an open round rests on.
    pub(super) fn first_heard(&self) -> Option<(Offset, Timestamp)> {
        self.heard.first().map(|(offset, time, _)| (*offset, *time))
    }

    /// The first result that is parked with an escalated round.
    pub(super) fn first_parked(&self) -> Option<(Offset, Timestamp)> {
        let first = self.parked.first();
        first.map(|(offset, time, _)| (*offset, *time))
    }
}

impl Rounds {
    /// Forgets a round in whatever state.
    pub(super) fn forget(&mut self, id: &ProposalId) {
        match self.take_live(id) {
            Some(live) => self.panels.leave(live.panel),
            None => drop(self.take_ended(id)),
        }
        self.marks.drop(id);
    }

    /// Some of the rounds that should be written again: those whose last records in `acp.rounds`,
    /// or first ballots without a snapshot in `acp.responses`, lie too far back.
    pub(super) fn behind(&self, next: Offset, limit: &Behind) -> Vec<ProposalId> {
        let allowed = limit.responses + limit.each * self.admitted;
        let allowed = i64::try_from(allowed).unwrap_or(i64::MAX);
        let old = move |(at, ..): &&(Offset, Timestamp, ProposalId)| {
            next.0.saturating_sub(at.0) > allowed
        };
        let unsaved = self.heard.iter().take_while(old).map(|(.., id)| *id);
        let behind = unsaved.chain(self.marks.behind(limit));
        let writable = behind.filter(|id| !self.unwieldy.contains(id));
        writable.take(AT_ONCE).collect()
    }

    /// Notes that a round was written with a snapshot of what was said before an offset.
    pub(super) fn snapped(&mut self, id: &ProposalId, upto: Offset) {
        if let Some(Slot::Open(live)) = self.slots.get_mut(id) {
            live.upto = upto;
            if let Some((offset, time)) = live.first.take() {
                self.heard.remove(&(offset, time, *id));
            }
        }
    }

    /// Notes that a round's snapshot is too large to be written: it lags on.
    pub(super) fn leave_behind(&mut self, id: ProposalId) {
        self.unwieldy.insert(id);
    }
}

impl PartialEq for Rounds {
    /// Equal in everything but what only a restart reads.
    fn eq(&self, other: &Self) -> bool {
        self.slots == other.slots
            && self.deadlines == other.deadlines
            && self.heard == other.heard
            && self.admitted == other.admitted
            && self.dues == other.dues
            && self.parked == other.parked
            && self.past == other.past
            && self.running == other.running
            && self.running_of == other.running_of
            && self.by_subject == other.by_subject
    }
}

/// How long a closed round is remembered at least.
fn remembered() -> Millis {
    if fault::is_on(Fault::ForgottenEarly) {
        Millis(10_000)
    } else {
        REMEMBERED_MIN
    }
}
