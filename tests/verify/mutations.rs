//! What can be done to a history: records altered, deleted, inserted, exchanged. Each is of a kind
//! that something which was put out rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use quorate::transport::Stored;
use quorate::verify::Finding;
use quorate::wire::{Codec, Kind, unframed};
use quorate_core::ids::Digest;
use quorate_core::records::{DeadLetter, Outcome, Response, TrustUpdate};
use quorate_core::topic::Topic;
use serde_json::Value;

use crate::support::load::Random;

/// How long the header is before a record, as a blackboard has it.
const FRAMED: i64 = 10;

/// What is done, and to records of which topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mutation {
    how: How,
    topic: Topic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Alter,
    Delete,
    Insert,
    Exchange,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Alter => "altered",
            How::Delete => "deleted",
            How::Insert => "inserted",
            How::Exchange => "exchanged",
        };
        write!(f, "{how} in `{}`", self.topic)
    }
}

const fn mutation(how: How, topic: Topic) -> Mutation {
    Mutation { how, topic }
}

/// Every kind of mutation.
pub(super) const KINDS: &[Mutation] = &[
    mutation(How::Alter, Topic::Proposals),
    mutation(How::Alter, Topic::Responses),
    mutation(How::Alter, Topic::Decisions),
    mutation(How::Alter, Topic::Results),
    mutation(How::Alter, Topic::Policies),
    mutation(How::Alter, Topic::Rounds),
    mutation(How::Alter, Topic::Outcomes),
    mutation(How::Alter, Topic::Escalations),
    mutation(How::Alter, Topic::TrustUpdates),
    mutation(How::Alter, Topic::Trust),
    mutation(How::Alter, Topic::DeadLetters),
    mutation(How::Delete, Topic::Proposals),
    mutation(How::Delete, Topic::Responses),
    mutation(How::Delete, Topic::Decisions),
    mutation(How::Delete, Topic::Results),
    mutation(How::Delete, Topic::Policies),
    mutation(How::Delete, Topic::Rounds),
    mutation(How::Delete, Topic::Outcomes),
    mutation(How::Delete, Topic::Escalations),
    mutation(How::Delete, Topic::TrustUpdates),
    mutation(How::Delete, Topic::Trust),
    mutation(How::Delete, Topic::DeadLetters),
    mutation(How::Insert, Topic::Proposals),
    mutation(How::Insert, Topic::Responses),
    mutation(How::Insert, Topic::Decisions),
    mutation(How::Insert, Topic::Results),
    mutation(How::Insert, Topic::Outcomes),
    mutation(How::Insert, Topic::Escalations),
    mutation(How::Insert, Topic::TrustUpdates),
    mutation(How::Insert, Topic::Trust),
    mutation(How::Insert, Topic::DeadLetters),
    mutation(How::Exchange, Topic::Proposals),
    mutation(How::Exchange, Topic::Responses),
    mutation(How::Exchange, Topic::Decisions),
    mutation(How::Exchange, Topic::Results),
    mutation(How::Exchange, Topic::TrustUpdates),
];

/// What is to be changed of a history.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// These records lie at these places instead.
    Put(Vec<(usize, Stored)>),
    /// The record at a place is gone.
    Remove(usize),
    /// There is one more at a place.
    Insert(usize, Stored),
}

impl Change {
    /// Whether it is about the record that is inserted.
    pub(super) fn inserts(&self, finding: &Finding) -> bool {
        let Self::Insert(_, stored) = self else {
            return false;
        };
        let place = (stored.topic.name(), stored.partition, Some(stored.offset));
        place == (finding.topic, finding.partition, finding.offset)
    }
}

/// A history, and what of it something rests on.
pub(super) struct Known {
    records: Vec<Stored>,
    codec: Codec,
    /// Digests of responses, decisions and results that outcomes and lessons name.
    named: BTreeSet<Digest>,
    /// Where records lie that were refused.
    refused: BTreeSet<(Topic, i32, i64)>,
    /// Policies that rounds were decided under.
    policies: BTreeSet<Digest>,
    /// The last record of every round, by its key.
    last: BTreeMap<Vec<u8>, i64>,
}

impl Known {
    pub(super) fn of(records: Vec<Stored>) -> Self {
        let codec = Codec::single_object();
        let mut known = Self {
            named: BTreeSet::new(),
            refused: BTreeSet::new(),
            policies: BTreeSet::new(),
            last: BTreeMap::new(),
            records: Vec::new(),
            codec,
        };
        for stored in &records {
            known.learn(stored);
        }
        known.records = records;
        known
    }

    fn learn(&mut self, stored: &Stored) {
        let Some(value) = &stored.value else { return };
        match stored.topic {
            Topic::Outcomes => {
                let (outcome, _) = self.codec.decode::<Outcome>(value).unwrap();
                let decision = outcome.decision;
                self.policies.insert(decision.policy_digest);
                self.named
                    .extend(decision.ballots.iter().map(|ballot| ballot.response_digest));
                let superseded = outcome.coordinates.superseded;
                self.named
                    .extend(superseded.into_iter().flat_map(|one| one.response_digests));
            }
            Topic::TrustUpdates => {
                let (update, _) = self.codec.decode::<TrustUpdate>(value).unwrap();
                self.named.insert(update.result_digest);
            }
            Topic::DeadLetters => {
                let (letter, _) = self.codec.decode::<DeadLetter>(value).unwrap();
                let topic = Topic::named(&letter.topic).unwrap();
                let place = (topic, letter.partition, letter.offset.0);
                // One of a schema that came later is taken as it is.
                if letter.reason != "unknown_schema" {
                    self.refused.insert(place);
                }
            }
            Topic::Rounds => {
                let key = stored.key.clone().unwrap();
                self.last.insert(key, stored.offset);
            }
            _ => {}
        }
    }

    /// The history with a change made to it.
    pub(super) fn changed(&self, change: &Change) -> Vec<Stored> {
        let mut records = self.records.clone();
        match change {
            Change::Put(placed) => {
                for (at, stored) in placed {
                    records[*at] = stored.clone();
                }
            }
            Change::Remove(at) => drop(records.remove(*at)),
            Change::Insert(at, stored) => records.insert(*at, stored.clone()),
        }
        records
    }

    /// Something to be done to the history, and what; none if there is nothing to do it to.
    pub(super) fn mutate(
        &self,
        Mutation { how, topic }: Mutation,
        random: &mut Random,
    ) -> Option<(Change, String)> {
        let of_topic = (0..self.records.len()).filter(|at| {
            let stored = &self.records[*at];
            stored.topic == topic && self.matters(*at, how)
        });
        let chosen: Vec<_> = of_topic.collect();
        if chosen.is_empty() {
            return None;
        }
        let at = *random.one_of(&chosen);
        let one = &self.records[at];
        let place = format!("{}/{}@{}", one.topic, one.partition, one.offset);
        let change = match how {
            How::Alter => {
                let value = Some(self.altered(one, random)?);
                let other = Stored {
                    value,
                    ..one.clone()
                };
                (Change::Put(vec![(at, other)]), place)
            }
            How::Delete => (Change::Remove(at), place),
            How::Insert => {
                let (after, mut more) = self.again(at, random.within(0..2) == 0);
                if topic == Topic::Results || topic == Topic::Responses || topic == Topic::Proposals
                {
                    // Another one: a copy would change nothing.
                    more.value = Some(self.altered_soundly(one, random)?);
                }
                let what = format!("{place} again at {}", more.offset);
                (Change::Insert(after, more), what)
            }
            How::Exchange => {
                let other = self.partner(at, &chosen, random)?;
                let (a, b) = (self.records[at].clone(), self.records[other].clone());
                let said = |place: &Stored, by: &Stored| Stored {
                    offset: place.offset,
                    timestamp: place.timestamp,
                    ..by.clone()
                };
                let what = format!("{place} and {}", b.offset);
                let placed = vec![(at, said(&a, &b)), (other, said(&b, &a))];
                (Change::Put(placed), what)
            }
        };
        Some(change)
    }

    /// A record once more, as its partition's last one, and before which place; if it is a decision
    /// or a result, perhaps appended at a time that the responses have not passed.
    fn again(&self, at: usize, is_late: bool) -> (usize, Stored) {
        let one = &self.records[at];
        let of = |topic| {
            let here =
                move |stored: &Stored| (stored.topic, stored.partition) == (topic, one.partition);
            let last = self.records.iter().rposition(here);
            last.map(|last| (last, &self.records[last]))
        };
        let (after, last) = of(one.topic).unwrap();
        let waits = matches!(one.topic, Topic::Decisions | Topic::Results) && is_late;
        let passed = of(Topic::Responses).filter(|_| waits);
        let passed = passed.and_then(|(_, response)| response.timestamp);
        let more = Stored {
            offset: last.offset + 1,
            timestamp: last.timestamp.max(passed),
            ..one.clone()
        };
        (after + 1, more)
    }

    /// A decision or result that was heard, once more, at a time that the responses have not passed.
    pub(super) fn waiting(&self, topic: Topic) -> Change {
        let is_heard =
            |at: &usize| self.records[*at].topic == topic && self.matters(*at, How::Exchange);
        let at = (0..self.records.len()).find(is_heard).unwrap();
        let (after, more) = self.again(at, true);
        Change::Insert(after, more)
    }

    /// Whether something that was put out rests on a record, or it is itself something put out.
    fn matters(&self, at: usize, how: How) -> bool {
        let stored = &self.records[at];
        let Some(value) = &stored.value else {
            return false;
        };
        let place = (stored.topic, stored.partition, stored.offset);
        if stored.control {
            return false;
        }
        let is_refused = self.refused.contains(&place);
        let is_named = |digest: &Digest| self.named.contains(digest);
        match stored.topic {
            Topic::Responses => {
                let read = self.codec.decode::<Response<'_>>(value).ok();
                let is_heard = read.is_some_and(|(_, digest)| is_named(&digest));
                is_heard && !self.is_copy(at)
                    || is_refused && how != How::Exchange && how != How::Insert
            }
            Topic::Results => {
                let digest = unframed(value).ok().map(quorate::wire::sha256);
                let has_taught = digest.is_some_and(|digest| is_named(&digest));
                has_taught && !self.is_copy(at) || is_refused && how != How::Insert
            }
            Topic::Proposals if how == How::Insert => !is_refused,
            Topic::Proposals => !self.is_copy(at) || is_refused,
            // One that lies there twice may have been in force by the other only.
            Topic::Policies if how == How::Delete => {
                let digest = self.policy(value);
                let others = self.records.iter().enumerate().filter(|(other, stored)| {
                    let other_value = stored.value.as_deref();
                    *other != at
                        && stored.topic == Topic::Policies
                        && other_value.is_some_and(|value| self.policy(value) == digest)
                });
                digest.is_some_and(|digest| self.policies.contains(&digest)) && others.count() == 0
            }
            Topic::Rounds if how == How::Delete => {
                self.last[stored.key.as_ref().unwrap()] == stored.offset
            }
            _ => true,
        }
    }

    /// The digest of a policy, if it is one.
    fn policy(&self, value: &[u8]) -> Option<Digest> {
        let policy = self.codec.decode::<quorate_core::records::Policy>(value);
        Some(policy.ok()?.0.digest)
    }

    /// Whether the same lies elsewhere, which changes nothing.
    fn is_copy(&self, at: usize) -> bool {
        let one = &self.records[at];
        let same = |(other_at, other): (usize, &Stored)| {
            other_at != at
                && other.topic == one.topic
                && other.key == one.key
                && other.value == one.value
        };
        self.records.iter().enumerate().any(same)
    }

    /// Another record to exchange one with, so that it makes a difference.
    fn partner(&self, at: usize, chosen: &[usize], random: &mut Random) -> Option<usize> {
        let one = &self.records[at];
        let differs = |other: &&usize| {
            let other = &self.records[**other];
            other.partition == one.partition && other.key != one.key && other.value != one.value
        };
        let others = chosen.iter().filter(differs);
        let fits = |other: &&usize| {
            // Where responses lie is on record of those alone that were refused.
            let refused = |stored: &Stored| {
                let place = (stored.topic, stored.partition, stored.offset);
                self.refused.contains(&place)
            };
            one.topic != Topic::Responses || refused(one) || refused(&self.records[**other])
        };
        let others: Vec<_> = others.filter(fits).copied().collect();
        (!others.is_empty()).then(|| *random.one_of(&others))
    }

    /// A value with some of its bytes changed: it decodes to another record, or not at all.
    fn altered(&self, stored: &Stored, random: &mut Random) -> Option<Vec<u8>> {
        let value = stored.value.as_ref()?;
        let before = self.read(stored, value);
        let length = i64::try_from(value.len()).unwrap();
        if length <= FRAMED {
            return None;
        }
        for _ in 0..20 {
            let mut other = value.clone();
            let at = usize::try_from(random.within(FRAMED..length)).unwrap();
            other[at] ^= u8::try_from(random.within(1..256)).unwrap();
            let after = self.read(stored, &other);
            if before.is_none() || after != before {
                return Some(other);
            }
        }
        None
    }

    /// The same, which decodes.
    fn altered_soundly(&self, stored: &Stored, random: &mut Random) -> Option<Vec<u8>> {
        (0..200).find_map(|_| {
            let value = self.altered(stored, random)?;
            let (old, new) = (
                self.read(stored, stored.value.as_ref()?)?,
                self.read(stored, &value)?,
            );
            let same = |name: &str| old.get(name) == new.get(name);
            (same("proposal_id") && same("result") && same("corrects")).then_some(value)
        })
    }

    /// A record as JSON, without what nobody vouches for.
    fn read(&self, stored: &Stored, value: &[u8]) -> Option<Value> {
        let kind = Kind::of(stored.topic);
        let text = kind.to_json(&self.codec, value).ok()?;
        let mut record: Value = serde_json::from_str(&text).ok()?;
        if let Some(object) = record.as_object_mut() {
            match stored.topic {
                Topic::DeadLetters => drop(object.remove("judged_by")),
                Topic::Escalations => drop(object.remove("related")),
                _ => {}
            }
        }
        Some(record)
    }
}
