//! Recorded rounds under other rules: another policy file, another electorate, another half-life.
//! Nothing is touched.
//!
//! The one engine goes through what lay there again, with other tables. What a processor had read
//! when it opened a round stays what it was; what humans said to a package they say to the one
//! they would have seen; what is not on record (what they would have said to others) nobody knows.

mod checkpoint;
mod held;
mod parts;
mod resume;
mod rules;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{
    DeadLetter, Decision, DecisionPackage, Outcome, Reason, Result as Reported, ResultKind, Round,
    RoundState, Status, TrustScore, TrustUpdate,
};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::engine::{Config, Detail, Output, Tables};
use crate::history::{About, Choice, Course, Error, INPUTS, Made, Recorded};
use crate::transport::Stored;
use crate::wire::{Codec, Head, Record};
pub use checkpoint::Keeping;
use held::Held;
use parts::Heads;
pub use resume::replay;
pub use rules::{HalfLife, Rules};
pub use told::{Change, Count, Moved, Replayed};

/// Bytes of inputs that are held at a time, at least.
const HELD: usize = 64 * 1024 * 1024;

/// What was recorded of a round.
#[derive(Clone, Debug, Default)]
struct Was {
    first: Option<(Status, Reason)>,
    /// Whether `acp.rounds` says what it was opened by.
    is_chosen: bool,
    package: Option<Digest>,
    result: Option<ResultKind>,
}

/// What becomes of it now.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Is {
    first: Option<(Status, Reason)>,
    /// Once it is opened, its proposal, by which its package goes here ([`Detail::Gist`]).
    proposal: Option<Digest>,
    /// Why its proposal is refused.
    refused: Option<String>,
}

struct Replay<'a> {
    rules: &'a Rules,
    about: About,
    recorded: Recorded,
    codec: Option<(Arc<Codec>, Arc<Heads>)>,
    /// What the replayed rounds' lessons are written with.
    own: Codec,
    tables: Tables,
    courses: BTreeMap<i32, Course>,
    was: BTreeMap<ProposalId, Was>,
    is: BTreeMap<ProposalId, Is>,
    /// The last score of every agent as it was recorded, and as it is now.
    scores: BTreeMap<(String, AgentId), (Option<TrustScore>, Option<TrustScore>)>,
    /// Where lessons were recorded: the time, and the offset.
    taught: BTreeMap<(String, ProposalId, Offset), (Timestamp, i64)>,
    /// The stream time of each partition of lessons that were recorded.
    taught_at: BTreeMap<i32, Timestamp>,
    /// Lessons to be folded once all are known, in the order in which they were recorded.
    waiting: Vec<((Timestamp, i64), TrustUpdate)>,
    /// Where the next lesson of a partition lies.
    lessons: BTreeMap<i32, i64>,
    /// Where the last replayed score lies.
    trust: Offset,
    responses: u64,
    /// Inputs to be stepped, by partition, and about how many bytes they are.
    held: BTreeMap<i32, Held>,
    held_bytes: usize,
}

impl<'a> Replay<'a> {
    fn new(about: About, rules: &'a Rules) -> Self {
        Self {
            rules,
            about,
            recorded: Recorded::default(),
            codec: None,
            own: Codec::single_object(),
            tables: Tables::default(),
            courses: BTreeMap::new(),
            was: BTreeMap::new(),
            is: BTreeMap::new(),
            scores: BTreeMap::new(),
            taught: BTreeMap::new(),
            waiting: Vec::new(),
            taught_at: BTreeMap::new(),
            lessons: BTreeMap::new(),
            trust: Offset::NONE,
            responses: 0,
            held: BTreeMap::new(),
            held_bytes: 0,
        }
    }

    fn codec(&mut self) -> Arc<Codec> {
        Arc::clone(&self.reads().0)
    }

    fn reads(&mut self) -> &(Arc<Codec>, Arc<Heads>) {
        let (recorded, prefix) = (&self.recorded, &self.about.prefix);
        let made = || {
            let heads = Heads::of(recorded, prefix);
            (recorded.codec(prefix), Arc::new(heads))
        };
        self.codec.get_or_insert_with(made)
    }

    fn course(&mut self, partition: i32) -> &mut Course {
        let (codec, partitions) = (self.codec(), self.about.partitions);
        let config = Config {
            partition,
            partitions,
            detail: Detail::Gist,
        };
        let is_replayed = self.rules.is_trust_replayed();
        let trust = self.trust;
        self.courses.entry(partition).or_insert_with(|| {
            let mut course = Course::new(config, &codec);
            if is_replayed {
                course.trust_at(trust);
            }
            course
        })
    }

    fn take(&mut self, stored: &Stored) -> Result<(), Error> {
        if self.recorded.take(stored) {
            return Ok(());
        }
        if INPUTS.contains(&stored.topic) {
            self.pass(stored);
            return self.hold(stored);
        }
        self.go_through()?;
        let codec = self.codec();
        match stored.topic {
            Topic::Agents | Topic::Policies | Topic::Trust => self.row(&codec, stored),
            Topic::Rounds => self.round(&codec, stored),
            Topic::Outcomes => self.outcome(&codec, stored),
            Topic::Escalations => self.package(&codec, stored),
            Topic::DeadLetters => self.letter(&codec, stored),
            Topic::TrustUpdates => self.lesson(&codec, stored),
            _ => self.step(stored)?,
        }
        Ok(())
    }

    /// Keeps an input until there are many, unless what follows from it bears on other partitions.
    fn hold(&mut self, stored: &Stored) -> Result<(), Error> {
        if self.rules.is_trust_replayed() {
            return self.go_on(stored);
        }
        let share = HELD / usize::try_from(self.about.partitions).unwrap_or(1).max(1);
        let held = self.held.entry(stored.partition);
        let held = held.or_insert_with(|| Held::with_room(share));
        self.held_bytes += held.push(stored);
        if self.held_bytes >= HELD {
            self.go_through()?;
        }
        Ok(())
    }

    /// Steps the inputs that are held, a partition at a time: its rounds then stay at hand.
    fn go_through(&mut self) -> Result<(), Error> {
        self.held_bytes = 0;
        let mut held = std::mem::take(&mut self.held);
        for (partition, held) in &mut held {
            held.drain(*partition, &mut |stored| self.go_on(stored))?;
        }
        // Their room is for the next ones.
        self.held = held;
        Ok(())
    }

    /// Steps an input.
    fn go_on(&mut self, stored: &Stored) -> Result<(), Error> {
        if stored.topic == Topic::Decisions {
            let codec = self.codec();
            if let Some(stored) = self.to_what_is_seen(&codec, stored) {
                return self.step(&stored);
            }
        }
        self.step(stored)
    }

    /// Takes a row of a table, unless the rules have rows of their own.
    fn row(&mut self, codec: &Codec, stored: &Stored) {
        let (topic, offset) = (stored.topic, Offset(stored.offset));
        let time = stored.timestamp.unwrap_or_default();
        let mut value = stored.value.clone();
        if topic == Topic::Trust {
            if let Some(score) = read::<TrustScore>(codec, stored) {
                let of = (score.trust_domain.clone(), score.agent_id.clone());
                self.scores.entry(of).or_default().0 = Some(score);
            }
            if self.rules.is_trust_replayed() {
                return;
            }
        }
        if self.rules.replaces(topic) {
            value = None;
        } else if topic == Topic::Policies {
            value = value.map(|value| self.rules.altered(codec, &self.own, value));
        }
        let key = stored.key.as_deref();
        let taken = self
            .tables
            .apply(codec, topic, offset, time, key, value.as_deref());
        if let Err(reject) = taken {
            tracing::debug!(%topic, offset = offset.0, %reject, "table record passed over");
        }
        if offset == Offset(0) {
            self.rules.put(&mut self.tables, &self.own, topic, time);
        }
    }

    fn round(&mut self, codec: &Codec, stored: &Stored) {
        let heads = Arc::clone(&self.reads().1);
        let head = head::<parts::Round>(heads.round.as_ref(), stored);
        let Some(round) = head.or_else(|| part::<Round, parts::Round>(codec, stored)) else {
            return;
        };
        let opening = &round.opening;
        let choice = Choice {
            id: round.proposal_id,
            pins: opening.pins,
            responses_time: Some(opening.responses_time),
        };
        let offset = opening.proposal_offset;
        self.was.entry(round.proposal_id).or_default().is_chosen = true;
        self.course(stored.partition)
            .choices
            .opened
            .insert(offset, choice);
    }

    fn outcome(&mut self, codec: &Codec, stored: &Stored) {
        let heads = Arc::clone(&self.reads().1);
        let head = head::<parts::Outcome>(heads.outcome.as_ref(), stored);
        let Some(outcome) = head.or_else(|| part::<Outcome, parts::Outcome>(codec, stored)) else {
            return;
        };
        let was = self.was.entry(outcome.proposal_id).or_default();
        if outcome.resolution == 1 {
            was.first = Some(outcome.first());
        }
        if was.is_chosen {
            return;
        }
        if let Some(opened) = part::<Outcome, parts::Opened>(codec, stored) {
            let at = &opened.coordinates;
            let choice = Choice {
                id: outcome.proposal_id,
                pins: at.pins,
                responses_time: None,
            };
            let opened = &mut self.course(stored.partition).choices.opened;
            opened.entry(at.proposal_offset).or_insert(choice);
        }
    }

    fn package(&mut self, codec: &Codec, stored: &Stored) {
        if let Some(package) = part::<DecisionPackage, parts::Package>(codec, stored) {
            let was = self.was.entry(package.proposal_id).or_default();
            was.package = Some(package.package_digest);
        }
    }

    fn letter(&mut self, codec: &Codec, stored: &Stored) {
        let Some(letter) = part::<DeadLetter, parts::Letter<'_>>(codec, stored) else {
            return;
        };
        let Some(topic) = Topic::named(&letter.topic) else {
            return;
        };
        let choices = &mut self.course(stored.partition).choices;
        if topic == Topic::Proposals {
            choices.refused.insert(letter.offset, letter.judged_by);
        }
        if letter.reason == "unknown_schema" {
            choices.unread.insert((topic, letter.offset));
        }
    }

    fn result(&mut self, codec: &Codec, stored: &Stored) {
        if let Some(report) = read::<Reported>(codec, stored)
            && report.result != ResultKind::Unknown
            && let Ok(id) = report.proposal_id.parse()
        {
            self.was.entry(id).or_default().result = Some(report.result);
        }
    }

    /// A decision on the package that its reviewer would have seen; none if it stays as it is.
    fn to_what_is_seen(&self, codec: &Codec, stored: &Stored) -> Option<Stored> {
        let mut decision = read::<Decision>(codec, stored)?;
        let id = decision.proposal_id.parse::<ProposalId>().ok()?;
        let (was, is) = (self.was.get(&id)?, self.is.get(&id)?.proposal?);
        let has_seen_it = match was.package {
            Some(package) => decision.package_digest == package,
            // What was shown is not on record, but that something was.
            None => was
                .first
                .is_some_and(|(status, _)| status == Status::Escalated),
        };
        if !has_seen_it {
            return None;
        }
        decision.package_digest = is;
        Some(Stored {
            value: Some(self.own.encode(&decision).ok()?),
            ..stored.clone()
        })
    }

    fn step(&mut self, stored: &Stored) -> Result<(), Error> {
        let partition = stored.partition;
        if !self.courses.contains_key(&partition) {
            self.course(partition);
        }
        let mut made = Vec::new();
        if let Some(course) = self.courses.get_mut(&partition) {
            course.take(&mut self.tables, stored, &mut |one| made.push(one))?;
        }
        self.made(made)
    }

    fn made(&mut self, made: Vec<Made>) -> Result<(), Error> {
        for Made { due, output } in made {
            match output {
                Output::Outcome(outcome) if outcome.resolution == 1 => {
                    let is = self.is.entry(outcome.proposal_id).or_default();
                    is.first = Some(parts::first_of(&outcome));
                }
                Output::Round(round) if round.state == RoundState::Open => {
                    let is = self.is.entry(round.proposal_id).or_default();
                    is.proposal = Some(round.opening.proposal_digest);
                }
                Output::DeadLetter(letter, _) if letter.topic == Topic::Proposals.name() => {
                    let key = letter
                        .key
                        .as_ref()
                        .and_then(|key| str::from_utf8(&key.0).ok());
                    if let Some(id) = key.and_then(|key| key.parse().ok()) {
                        self.is.entry(id).or_default().refused = Some(letter.reason);
                    }
                }
                Output::TrustUpdate(update) if self.rules.is_trust_replayed() => {
                    self.teach(&update, due)?;
                }
                Output::TrustUpdate(update) => {
                    let place = self.taught.get(&named(&update));
                    let place = place.copied().unwrap_or((due, i64::MAX));
                    self.waiting.push((place, *update));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Takes where a lesson was recorded.
    fn lesson(&mut self, codec: &Codec, stored: &Stored) {
        if let Some(update) = part::<TrustUpdate, parts::Update>(codec, stored) {
            // Append times may go back where two write to a partition; stream times do not.
            let time = self.taught_at.entry(stored.partition).or_default();
            *time = stored.timestamp.unwrap_or_default().max(*time);
            let named = (
                update.trust_domain,
                update.proposal_id,
                update.result_offset,
            );
            self.taught.insert(named, (*time, stored.offset));
        }
    }

    /// Folds a lesson, by the engine that holds its trust domain.
    fn teach(&mut self, update: &TrustUpdate, due: Timestamp) -> Result<(), Error> {
        let key = update.trust_domain.clone().into_bytes();
        let home = crate::wire::partition_of(&key, self.about.partitions);
        let offset = self.lessons.entry(home).or_default();
        let stored = Stored {
            topic: Topic::TrustUpdates,
            partition: home,
            offset: *offset,
            timestamp: Some(due),
            key: Some(key),
            value: self.own.encode(update).ok(),
            control: false,
            forwarded: false,
            traceparent: None,
            headers: Vec::new(),
        };
        *offset += 1;
        self.course(home);
        let mut made = Vec::new();
        if let Some(course) = self.courses.get_mut(&home) {
            course.take(&mut self.tables, &stored, &mut |one| made.push(one))?;
        }
        for one in made {
            if let Output::TrustScore(score) = one.output {
                self.score(score, due);
            }
        }
        Ok(())
    }

    fn score(&mut self, score: TrustScore, due: Timestamp) {
        if self.rules.is_trust_replayed() {
            let offset = self.trust.next();
            self.replayed_row(offset, &score, due);
            for course in self.courses.values_mut() {
                course.trust_at(offset);
            }
        }
        let place = checkpoint::place(&score);
        self.scores.entry(place).or_default().1 = Some(score);
    }

    /// Takes a score that follows from the replayed rounds into the table.
    fn replayed_row(&mut self, offset: Offset, score: &TrustScore, due: Timestamp) {
        let key = crate::engine::trust_key(score);
        let value = self.own.encode(score).ok();
        let (key, value) = (Some(key.as_bytes()), value.as_deref());
        let taken = self
            .tables
            .apply(&self.own, Topic::Trust, offset, due, key, value);
        if let Err(reject) = taken {
            tracing::warn!(offset = offset.0, %reject, "replayed score is passed over");
        }
        self.trust = offset;
    }

    fn finish(mut self) -> Result<Replayed, Error> {
        self.go_through()?;
        for partition in self.courses.keys().copied().collect::<Vec<_>>() {
            let mut made = Vec::new();
            if let Some(course) = self.courses.get_mut(&partition) {
                course.finish(&mut self.tables, &mut |one| made.push(one))?;
            }
            self.made(made)?;
        }
        // Those of one trust domain lie on one partition, where offsets are their order; those that
        // nobody recorded come as their results do.
        let mut waiting = std::mem::take(&mut self.waiting);
        let reported = |of: &TrustUpdate| (of.result_time, of.outcome.partition, of.result_offset);
        waiting.sort_by_key(|(place, update)| (*place, reported(update)));
        for ((time, _), update) in waiting {
            self.teach(&update, time)?;
        }
        Ok(told::of(self.was, self.is, self.scores, self.responses))
    }
}

/// What a lesson is known by: a result's id may be given again, the place where it lies may not.
fn named(update: &TrustUpdate) -> (String, ProposalId, Offset) {
    let domain = update.trust_domain.clone();
    (domain, update.proposal_id, update.result_offset)
}

fn read<T: Record + DeserializeOwned>(codec: &Codec, stored: &Stored) -> Option<T> {
    Some(codec.decode(stored.value.as_deref()?).ok()?.0)
}

/// What is needed of a record, where that comes first.
fn head<'a, P: Deserialize<'a>>(head: Option<&Head>, stored: &'a Stored) -> Option<P> {
    head?.read(stored.value.as_deref()?)
}

/// What is needed of a record.
fn part<'a, T: Record, P: Deserialize<'a>>(codec: &Codec, stored: &'a Stored) -> Option<P> {
    codec.decode_part::<T, P>(stored.value.as_deref()?).ok()
}
