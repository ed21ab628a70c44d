//! What is asked of the past: a round's records, what people did, how track records moved, which
//! rules there were, and how those did that are only tried out.

use std::collections::BTreeMap;

use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::records::{Agent, Policy, ResolvedBy, ResultKind, Status};
use quorate_core::topic::Topic;

use super::actions::{self, Action, When};
use super::letters::Letter;
use super::marks::Mark;
use super::rounds::Seen;
use super::ruled::Version;
use super::share::Share;
use super::tags::{Field, Filter, Item, Tags};
use super::tracks::Track;
use super::{Known, Place};

/// Most that is looked at for one page.
const LOOKED_AT_MAX: usize = 10_000;

/// How refusals of a sort came.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct Count {
    pub(in crate::gateway) count: u64,
    pub(in crate::gateway) first: Timestamp,
    pub(in crate::gateway) last: Timestamp,
}

/// How a policy did that was only tried out.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Tried {
    pub(in crate::gateway) rounds: u64,
    pub(in crate::gateway) approve: u64,
    pub(in crate::gateway) reject: u64,
    pub(in crate::gateway) escalate: u64,
    /// Of those that people decided, those they decided otherwise.
    pub(in crate::gateway) otherwise: Share,
    /// Of those it is known of how they turned out, those it would have got wrong.
    pub(in crate::gateway) wrong: Share,
}

impl Known {
    /// The records of a round, in the order in which they were appended, and how many more there
    /// are; none if nothing is known of it.
    pub(in crate::gateway) fn records(&self, id: &ProposalId) -> Option<(Vec<&Mark>, usize)> {
        let seen = self.rounds.get(id)?;
        Some((seen.marks.sorted(), seen.marks.more))
    }

    /// The proposal's place in that, if the round was opened: by whom, and when.
    pub(in crate::gateway) fn proposed(&self, id: &ProposalId) -> Option<Mark> {
        let seen = self.rounds.get(id)?;
        let held = seen.round.as_ref()?;
        let partition = seen.marks.sorted().first().map_or(0, |mark| mark.place.1);
        let mark = Mark::new(Topic::Proposals, "ENDORSE").by(&held.proposer, &id.to_string());
        Some(Mark {
            place: (Topic::Proposals, partition, held.proposal_offset.0),
            at: held.proposal_time,
            ..mark
        })
    }

    /// Why a record of a round was refused, if it was.
    pub(in crate::gateway) fn refusal(&self, mark: &Mark) -> Option<&Letter> {
        self.letters.about(&mark.place)
    }

    /// What people did, the latest first, after where another page ended; and where to go on.
    pub(in crate::gateway) fn actions<'a>(
        &'a self,
        filter: &Filter,
        after: Option<When>,
        limit: usize,
    ) -> (Vec<(When, &'a Action)>, Option<String>) {
        let (mut found, mut last) = (Vec::new(), None);
        for (looked_at, (when, action)) in self.actions.before(after).enumerate() {
            if found.len() == limit || looked_at == LOOKED_AT_MAX {
                return (found, last.map(actions::text));
            }
            if filter.finds(&tags(when.0, action)) {
                found.push((when, action));
            }
            last = Some(when);
        }
        (found, None)
    }

    /// Outcomes as they can be found, after where another page ended; and where to go on.
    pub(in crate::gateway) fn outcomes<'a>(
        &'a self,
        filter: &Filter,
        after: Option<(ProposalId, usize)>,
        limit: usize,
    ) -> (Vec<&'a Item>, Option<(ProposalId, usize)>) {
        let (mut found, mut last) = (Vec::new(), None);
        for (looked_at, (place, item)) in self.rounds.outcomes_before(after).enumerate() {
            if found.len() == limit || looked_at == LOOKED_AT_MAX {
                return (found, last);
            }
            if filter.finds(&item.tags) {
                found.push(item);
            }
            last = Some(place);
        }
        (found, None)
    }

    /// Why something that was done was refused, if it was.
    pub(in crate::gateway) fn refused(&self, place: &Place) -> Option<&str> {
        let letter = self.letters.about(place)?;
        Some(&letter.reason)
    }

    /// An agent's track records, by trust domain.
    pub(in crate::gateway) fn tracks<'a>(
        &'a self,
        agent: &'a str,
    ) -> impl Iterator<Item = &'a Track> {
        self.tracks.of(agent)
    }

    /// When it was written that an agent takes part, or does not.
    pub(in crate::gateway) fn standing_since(&self, agent: &str) -> Option<Timestamp> {
        self.agents.turned_at(agent)
    }

    /// The principal of somebody who is listed.
    pub(in crate::gateway) fn principal(&self, name: &str) -> Option<&str> {
        self.agent(name).map(|agent| &*agent.principal)
    }

    /// Every record of a policy, the latest first, of those before an offset if one is given.
    pub(in crate::gateway) fn policies_before(
        &self,
        offset: Option<i64>,
    ) -> impl Iterator<Item = &Version> {
        self.policies.before(offset)
    }

    /// What is in force: policies, agents, and track records as they lie.
    pub(in crate::gateway) fn in_force(&self) -> (Vec<Policy>, Vec<Agent>, Vec<Item>) {
        let policies = self.policies.in_force().cloned().collect();
        let agents = self.agents().cloned().collect();
        (policies, agents, self.trust.values().cloned().collect())
    }

    /// What was refused, by code and topic.
    pub(in crate::gateway) fn refusals(&self) -> BTreeMap<(&str, &str), Count> {
        let mut counts: BTreeMap<(&str, &str), Count> = BTreeMap::new();
        for ((at, ..), item) in self.letters.before(None) {
            let of = |field| item.tags.first(field).unwrap_or_default();
            let count = counts.entry((of(Field::Reason), of(Field::Topic)));
            let count = count.or_insert_with(|| Count {
                last: at,
                ..Count::default()
            });
            count.count += 1;
            count.first = at;
        }
        counts
    }

    /// How policies did that were only tried out, by pattern.
    pub(in crate::gateway) fn tried(&self) -> BTreeMap<&str, Tried> {
        let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
        for seen in self.rounds.all() {
            let first = seen.came.first().filter(|came| came.shadow);
            if let (Some(held), Some(first)) = (&seen.round, first) {
                let tally = tallies.entry(&held.pattern).or_default();
                tally.take(seen, first.would_be, held.turned_out);
            }
        }
        let tried = tallies.into_iter();
        tried
            .map(|(pattern, tally)| (pattern, tally.tried()))
            .collect()
    }
}

/// What something that was done can be found by.
fn tags(at: Timestamp, action: &Action) -> Tags {
    let tags = Tags::default().with(Field::Sort, action.sort.name()).at(at);
    match &action.by {
        Some(by) => tags.with(Field::By, by.clone()),
        None => tags,
    }
}

/// What is counted of a policy that is only tried out.
#[derive(Default)]
struct Tally {
    rounds: u64,
    approve: u64,
    reject: u64,
    decided: u64,
    otherwise: u64,
    known: u64,
    wrong: u64,
}

impl Tally {
    fn take(&mut self, seen: &Seen, would_be: Status, turned_out: Option<ResultKind>) {
        self.rounds += 1;
        match would_be {
            Status::Approved => self.approve += 1,
            Status::Rejected => self.reject += 1,
            // Whoever would have been asked was asked.
            Status::Escalated => return,
        }
        let people = seen.came.iter();
        let mut people = people.filter(|came| came.resolved_by == ResolvedBy::Human);
        if let Some(came) = people.next_back() {
            self.decided += 1;
            self.otherwise += u64::from(came.status != would_be);
        }
        let is_wrong = match turned_out {
            Some(ResultKind::Right) => would_be != Status::Approved,
            Some(ResultKind::Wrong) => would_be == Status::Approved,
            _ => return,
        };
        self.known += 1;
        self.wrong += u64::from(is_wrong);
    }

    fn tried(self) -> Tried {
        Tried {
            rounds: self.rounds,
            approve: self.approve,
            reject: self.reject,
            escalate: self.rounds - self.approve - self.reject,
            otherwise: Share::new(self.otherwise, self.decided),
            wrong: Share::new(self.wrong, self.known),
        }
    }
}
