//! One partition's state machine: every record of its topics goes in, in offset order per topic.
//!
//! The order in which topics are read against each other decides nothing: what comes too early
//! waits. Nothing here reads a clock; time is the append time of the records.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use quorate_core::fault::{self, Fault};
use quorate_core::ids::{AgentId, Bytes, Offset, Timestamp};
use quorate_core::records::{DeadLetter, Pins, TrustScore};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::gap::Loss;
use super::io::{Forward, Halt, Input, Output, Record};
use super::kept::{Kept, Refusal};
use super::lead::Lead;
use super::orphans::Orphans;
use super::refresh::Behind;
use super::rounds::{Open, Rounds};
use super::tables::Tables;
use crate::wire::{self, Codec, Parts};

/// Which partition an engine is for, and what it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Its number, of every round-keyed topic and of `acp.trust-updates`.
    pub partition: i32,
    /// How many there are.
    pub partitions: i32,
    /// How much of a round it works out.
    pub detail: Detail,
}

/// How much of a round an engine works out beside what is decided and taught.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// All that its records say.
    #[default]
    Records,
    /// No digest of its decision, nobody's influence on it and no package: for whoever asks what
    /// was decided and keeps no records. Who decides an escalated round names its package by its
    /// proposal's digest.
    Gist,
}

/// How far a topic has been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The offset to read next: what is committed.
    pub next: Offset,
    /// The offset to read from after a restart; at most `next`.
    pub low: Offset,
    /// Stream time at `low`.
    pub low_time: Timestamp,
    /// Stream time at `next`: the largest append time read.
    pub time: Timestamp,
    /// What lies below needs no more than to be known. Of `acp.results`: results below it were
    /// judged, or wait with their escalated rounds. Of `acp.proposals`: records of `acp.rounds`
    /// below it are of rounds that are closed, or are not their rounds' last ones. Of
    /// `acp.responses`: those below it whose rounds nobody knows were refused, unless their
    /// proposals may still come; 0 where it is `next`.
    pub settled: Offset,
}

/// One partition's rounds and everything that waits.
#[derive(Clone, Debug)]
pub struct Partition {
    pub(super) config: Config,
    pub(super) codec: Arc<Codec>,
    pub(super) clocks: BTreeMap<Topic, Clock>,
    pub(super) rounds: Rounds,
    pub(super) orphans: Orphans,
    pub(super) decisions: VecDeque<Kept>,
    pub(super) results: VecDeque<Kept>,
    pub(super) scores: BTreeMap<String, BTreeMap<AgentId, TrustScore>>,
    pub(super) pins: Pins,
    pub(super) lost: Option<Loss>,
    pub(super) lead: Lead,
    /// Rounds opened ahead of the responses.
    pub(super) ahead: Ahead,
    /// Responses below it were judged before a restart, but for those whose proposals may come.
    pub(super) replayed: Offset,
    /// Whether records are stepped again whose outputs are committed.
    pub(super) replaying: bool,
    /// Results below it were judged before a restart, or wait with their rounds.
    pub(super) judged: Offset,
    pub(super) behind: Behind,
    /// Parts of what the last step put out.
    pub(super) parts: Parts,
}

/// A topic's next offset and stream time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clock {
    pub(super) next: Offset,
    pub(super) time: Timestamp,
}

impl Partition {
    /// An empty partition.
    #[must_use]
    pub fn new(config: Config, codec: Arc<Codec>) -> Self {
        Self {
            config,
            codec,
            clocks: BTreeMap::new(),
            rounds: Rounds::default(),
            orphans: Orphans::default(),
            decisions: VecDeque::new(),
            results: VecDeque::new(),
            scores: BTreeMap::new(),
            pins: Pins::NONE,
            lost: None,
            lead: Lead::default(),
            ahead: Ahead::default(),
            replayed: Offset(0),
            replaying: false,
            judged: Offset(0),
            behind: Behind::default(),
            parts: Parts::default(),
        }
    }

    /// Takes the next input and returns what follows from it, in order.
    ///
    /// Before a decision, a result or a control record is stepped, `tables` must have been read to
    /// an end asked for after that record was read. A refused record changes nothing but the
    /// stream time of its topic, and is put out as a dead letter.
    ///
    /// # Errors
    /// [`Halt`]: the partition cannot go on; nothing of this step may be committed.
    pub fn step(&mut self, tables: &Tables, input: Input<'_>) -> Result<Vec<Output>, Halt> {
        let mut out = Vec::new();
        self.parts.clear();
        match input {
            Input::Lost { topic, below } => self.lose(topic, below),
            Input::Record(record) => {
                self.advance(&record);
                self.take(tables, &record, &mut out)?;
            }
        }
        self.settle_waiting(tables, &mut out)?;
        Ok(out)
    }

    /// Parts of what the last step put out, by which that is encoded sooner.
    #[must_use]
    pub const fn parts(&self) -> &Parts {
        &self.parts
    }

    fn advance(&mut self, record: &Record<'_>) {
        let clock = self.clocks.entry(record.topic).or_default();
        clock.next = record.offset.next();
        clock.time = clock.time.max(record.timestamp);
        let now = clock.time;
        if record.topic == Topic::Responses {
            let proposals = self.time(Topic::Proposals);
            self.lead.note(now, record.offset, proposals);
            self.ahead.pass(now);
        }
    }

    /// Stream time of a topic.
    pub(super) fn time(&self, topic: Topic) -> Timestamp {
        self.clocks
            .get(&topic)
            .map_or_else(Timestamp::default, |clock| clock.time)
    }

    fn take(
        &mut self,
        tables: &Tables,
        record: &Record<'_>,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        match record.topic {
            Topic::Proposals if !self.is_indexed() => return Err(Halt::NotIndexed),
            Topic::Proposals => {
                self.rounds.pass(self.time(Topic::Proposals));
                self.lead.forget(self.time(Topic::Proposals));
                self.expire_orphans(tables, out);
            }
            Topic::Responses => self.close_due(tables, record, out)?,
            _ => {}
        }
        if let Some(forward) = self.misplaced(record) {
            if record.topic == Topic::Decisions {
                let time = self.time(Topic::Decisions);
                self.decisions.push_back(Kept::new(record, time).passing());
            }
            out.push(match self.sound(record) {
                Ok(()) => Output::Forward(forward),
                Err(refusal) => self.dead_letter(tables, record, refusal),
            });
            return Ok(());
        }
        if record.value.is_none() && record.topic != Topic::Decisions {
            return Ok(());
        }
        let judged = match record.topic {
            Topic::Proposals => self.propose(tables, record, out)?,
            Topic::Responses if record.headers.control => self.control(tables, record),
            Topic::Responses => self.respond(tables, record, out)?,
            Topic::Decisions => self.queue_decision(record),
            Topic::Results => self.queue_result(record),
            Topic::TrustUpdates => self.fold(record, out),
            _ => Ok(()),
        };
        if let Err(refusal) = judged {
            out.push(self.dead_letter(tables, record, refusal));
        }
        Ok(())
    }

    /// Whether a record is worth forwarding: what is unsound in itself is refused where it lies.
    fn sound(&self, record: &Record<'_>) -> Result<(), Refusal> {
        match record.topic {
            Topic::Proposals => self.read_proposal(record).map(drop),
            Topic::Responses => self.read_response(record).map(drop),
            Topic::Decisions => self.read_decision(record).map(drop),
            Topic::Results => self.read_report(record).map(drop),
            _ => self.read_update(record).map(drop),
        }
    }

    /// A record whose key belongs on another partition, unless it was forwarded here; a control
    /// record is for the partition it lies on.
    fn misplaced(&self, record: &Record<'_>) -> Option<Forward> {
        let (key, value) = (record.key?, record.value?);
        let partition = wire::partition_of(key, self.config.partitions);
        let headers = record.headers;
        if partition == self.config.partition || headers.forwarded || headers.control {
            return None;
        }
        Some(Forward {
            topic: record.topic,
            partition,
            offset: record.offset,
            key: key.to_vec(),
            value: value.to_vec(),
            traceparent: record.headers.traceparent.map(str::to_owned),
        })
    }

    /// Judges what waited, as long as anything can be judged, then forgets old rounds.
    pub(super) fn settle_waiting(
        &mut self,
        tables: &Tables,
        out: &mut Vec<Output>,
    ) -> Result<(), Halt> {
        if self.replaying {
            // Decisions, due times and what is over were settled as far as they can be.
            self.judge_results(tables, out);
            self.end_loss();
            return Ok(());
        }
        if self.decisions.is_empty() {
            // A round may have closed behind due times that decisions have passed long since.
            self.time_out_before(tables, self.time(Topic::Decisions), out)?;
        }
        while self.judge_decisions(tables, out)? | self.judge_results(tables, out) {}
        let proposals = self.time(Topic::Proposals);
        let passed = proposals.min(self.time(Topic::Results));
        let over = |time| time < passed;
        if self.is_indexed() && self.rounds.past.first_over().is_some_and(over) {
            let queued = self.decisions.iter().chain(&self.results);
            let awaited = queued.filter_map(|kept| self.round_of(kept)).collect();
            let forgotten = self.rounds.past.forget_before(passed, &awaited);
            out.extend(forgotten.into_iter().map(Output::Tombstone));
        }
        self.end_loss();
        Ok(())
    }

    pub(super) fn dead_letter(
        &self,
        tables: &Tables,
        record: &Record<'_>,
        refusal: Refusal,
    ) -> Output {
        let letter = DeadLetter {
            topic: record.topic.name().to_owned(),
            partition: self.config.partition,
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(|key| Bytes(key.to_vec())),
            value: record.value.map(|value| Bytes(value.to_vec())),
            reason: refusal.reject.code().to_owned(),
            detail: refusal.detail,
            judged_by: refusal.judged_by.unwrap_or_else(|| tables.pins()),
        };
        Output::DeadLetter(letter, record.headers.traceparent.map(str::to_owned))
    }

    /// The topics whose stream time must pass a time before something that waits can go on: where
    /// one falls silent, a tick is due once the clock has passed that time.
    #[must_use]
    pub fn due(&self) -> Vec<(Topic, Timestamp)> {
        let heads = || {
            self.decisions
                .front()
                .into_iter()
                .chain(self.results.front())
        };
        let head = heads().map(|kept| kept.timestamp).min();
        let unknown = heads()
            .filter(|kept| !self.is_known(kept))
            .map(|kept| kept.timestamp)
            .min();
        let earliest = |times: &[Option<Timestamp>]| times.iter().flatten().min().copied();
        let forgotten = self.rounds.past.first_over();
        let of = [
            (
                Topic::Proposals,
                earliest(&[
                    self.orphans.first_expiry(),
                    unknown,
                    forgotten,
                    self.lead.wants_tick(),
                ]),
            ),
            (
                Topic::Responses,
                earliest(&[self.rounds.first_deadline(), head, self.ahead.wants_tick()]),
            ),
            (Topic::Decisions, self.rounds.first_due()),
            (Topic::Results, forgotten),
        ];
        let due = of
            .into_iter()
            .filter_map(|(topic, time)| Some((topic, time?)));
        due.filter(|(topic, time)| self.time(*topic) <= *time)
            .filter(|(topic, _)| !self.waits_for_index(*topic))
            .collect()
    }

    /// The rounds that are open, for whoever watches; it decides nothing.
    #[must_use]
    pub fn open_rounds(&self) -> Open {
        self.rounds.open_now()
    }

    /// The topics that should not be read for now: responses, where they are too far ahead of the
    /// proposals, or the other way round; what needs every closed round to be known, until it is.
    #[must_use]
    pub fn holds(&self) -> Vec<Topic> {
        let congested = self.orphans.is_full() || self.lead.is_full();
        let held = |topic: &&Topic| match topic {
            Topic::Responses => congested,
            Topic::Proposals if self.ahead.is_full() => true,
            topic => self.waits_for_index(**topic),
        };
        Topic::ALL.iter().filter(held).copied().collect()
    }

    /// Whether responses are so far ahead of the proposals that they should not be read for now.
    #[must_use]
    pub fn congested(&self) -> bool {
        self.holds().contains(&Topic::Responses)
    }

    /// How far every input topic has been read, and from where it must be read after a restart.
    #[must_use]
    pub fn positions(&self) -> Vec<(Topic, Position)> {
        let position = |(topic, clock): (&Topic, &Clock)| {
            let kept = match topic {
                Topic::Responses => {
                    let gap = self.lost.map(|lost| lost.place());
                    let forgotten = fault::is_on(Fault::OrphansForgotten);
                    let orphan = self.orphans.first().filter(|_| !forgotten);
                    let waiting = earlier(self.rounds.first_heard(), orphan);
                    earlier(earlier(waiting, gap), self.lead.first())
                }
                Topic::Decisions => self.decisions.front().map(|kept| (kept.offset, kept.time)),
                Topic::Results => {
                    let queued = self.results.front().map(|kept| (kept.offset, kept.time));
                    earlier(queued, self.rounds.first_parked())
                }
                _ => None,
            };
            let (low, low_time) = kept.unwrap_or((clock.next, clock.time));
            let settled = match topic {
                Topic::Proposals => self.rounds.marks.low(),
                Topic::Results => self.results.front().map_or(clock.next, |kept| kept.offset),
                // Until every closed round is known, all of them wait.
                Topic::Responses if !self.is_indexed() => clock.next.min(self.replayed),
                _ => Offset(0),
            };
            (
                *topic,
                Position {
                    next: clock.next,
                    low,
                    low_time,
                    time: clock.time,
                    settled,
                },
            )
        };
        self.clocks.iter().map(position).collect()
    }

    /// Says that records of `acp.rounds` to come will not lie below an offset: at a restart where
    /// each record that is restored lies, then the end, then what becomes known of those written.
    pub fn rounds_end(&mut self, next: Offset) {
        self.rounds.marks.set_next(next);
    }

    /// The highest pins rounds were opened at; a new owner opens nothing before its tables have
    /// reached them.
    #[must_use]
    pub const fn pins(&self) -> Pins {
        self.pins
    }
}

impl PartialEq for Partition {
    /// Equal in everything that bears on what follows.
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
            && self.clocks == other.clocks
            && self.rounds == other.rounds
            && self.orphans == other.orphans
            && self.decisions == other.decisions
            && self.results == other.results
            && self.scores == other.scores
            && self.pins == other.pins
            && self.lost == other.lost
            && self.lead == other.lead
    }
}

/// Refuses a record whose key is not the id its payload names.
pub(super) fn check_key(record: &Record<'_>, id: &str) -> Result<(), Reject> {
    if record.key == Some(id.as_bytes()) {
        Ok(())
    } else {
        Err(Reject::KeyMismatch)
    }
}

/// The earlier of two places on a topic.
pub(super) fn earlier(
    a: Option<(Offset, Timestamp)>,
    b: Option<(Offset, Timestamp)>,
) -> Option<(Offset, Timestamp)> {
    a.into_iter().chain(b).min()
}
