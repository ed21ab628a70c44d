//! What must have come of the inputs on the log, said by engines that were never interrupted, and
//! what did come of them, as a reader of committed records sees it.
//!
//! The two are compared by outcome, package digest, what results taught, every trust score, and the
//! code of every dead letter. The engines here read in another order than any processor did
//! (proposals and responses by append time, then all that people and results say), which must make
//! no difference. Of what the processors wrote they are given only the pins their rounds were opened
//! at, the trust scores those pins name, and the order of the trust updates; the latter two are
//! compared as well.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::engine::{Config, Detail, Headers, Input, Output, Partition, Record, Tables};
use quorate::transport::kafka::Gauge;
use quorate::transport::{Error, Reading, Stored};
use quorate::wire::{self, Codec};
use quorate_core::ids::{Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{
    Control, DeadLetter, DecisionPackage, Judged, Outcome, Pins, Round, RoundState, Status,
    TrustScore, TrustUpdate,
};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

use super::place::Place;

/// How long a broker may take to answer again, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(600);

/// How long a record may be stamped before it can be read, in milliseconds: moments, but where a
/// broker has just been started again.
const UNSEEN: i64 = 1_000;

/// How many outcomes, and how many lessons, are told all about at most.
const TOLD_MAX: usize = 2;

/// What a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decided {
    /// The round.
    pub(crate) id: ProposalId,
    /// 1: the protocol's; 2: the last one of an escalated round.
    pub(crate) resolution: i32,
    /// Whether no further outcome follows.
    pub(crate) is_final: bool,
    /// Of the decision part.
    pub(crate) digest: Digest,
    /// Of all that the outcome says, its coordinates too.
    pub(crate) whole: Digest,
}

/// Where a refused record lies, and its code.
pub(crate) type Refused = (String, i32, Offset, String);

/// What came of a log, each as often as it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Outcomes.
    pub(crate) decided: BTreeMap<Decided, usize>,
    /// Escalations, with their package's digest.
    pub(crate) escalated: BTreeMap<(ProposalId, Digest), usize>,
    /// Dead letters.
    pub(crate) refused: BTreeMap<Refused, usize>,
    /// What results taught, by trust domain and the result's id and time, with the row of
    /// `acp.agents` its reporter was judged by.
    pub(crate) taught: BTreeMap<(String, String, Timestamp, Offset, Digest), usize>,
    /// Trust scores, by trust domain, agent and revision.
    pub(crate) scored: BTreeMap<(String, String, i64, Digest), usize>,
    /// Whether a round is open, and its decision's digest, as its last record has it.
    pub(crate) rounds: BTreeMap<ProposalId, (bool, Option<Digest>)>,
    /// Outcomes to tell where they were decided, and lessons to tell all about, by digest.
    wanted: BTreeSet<Digest>,
    /// All about them.
    told: Vec<String>,
}

/// What these findings have that the others have not, in a few lines.
fn more<K: Ord + std::fmt::Debug>(
    what: &str,
    ours: &BTreeMap<K, usize>,
    theirs: &BTreeMap<K, usize>,
) -> String {
    let extra = |(key, count): &(&K, &usize)| theirs.get(key) != Some(count);
    let extra: Vec<_> = ours.iter().filter(extra).collect();
    if extra.is_empty() {
        return String::new();
    }
    let few: Vec<_> = extra.iter().take(5).collect();
    format!("{} {what}: {few:?}\n", extra.len())
}

impl Findings {
    /// In what they differ from what was expected; nothing if they do not.
    pub(crate) fn differ(&self, expected: &Self) -> String {
        let mut text = String::new();
        for (one, other, how) in [(self, expected, "too many"), (expected, self, "missing")] {
            text += &more(&format!("outcomes {how}"), &one.decided, &other.decided);
            text += &more(
                &format!("escalations {how}"),
                &one.escalated,
                &other.escalated,
            );
            text += &more(&format!("dead letters {how}"), &one.refused, &other.refused);
            text += &more(&format!("lessons {how}"), &one.taught, &other.taught);
            text += &more(&format!("scores {how}"), &one.scored, &other.scored);
        }
        if self.rounds != expected.rounds {
            text += "rounds differ\n";
        }
        text
    }

    /// Where to gather all about the outcomes and lessons here that others have not.
    fn beyond(&self, others: &Self) -> Self {
        let outcomes = self.decided.keys();
        let outcomes = outcomes.filter(|outcome| !others.decided.contains_key(outcome));
        let lessons = self.taught.keys();
        let lessons = lessons.filter(|lesson| !others.taught.contains_key(lesson));
        let outcomes = outcomes.map(|outcome| outcome.whole).take(TOLD_MAX);
        let lessons = lessons.map(|(.., digest)| *digest).take(TOLD_MAX);
        Self {
            wanted: outcomes.chain(lessons).collect(),
            ..Self::default()
        }
    }

    fn decide(&mut self, outcome: &Outcome) {
        let decided = Decided {
            id: outcome.proposal_id,
            resolution: outcome.resolution,
            is_final: outcome.r#final,
            digest: outcome.decision_digest,
            whole: wire::digest_of(outcome).unwrap(),
        };
        assert_eq!(
            outcome.r#final,
            outcome.decision.status != Status::Escalated,
            "{outcome:?}"
        );
        // What was decided has a digest of its own.
        self.tell(decided.whole, &(outcome.proposal_id, &outcome.coordinates));
        *self.decided.entry(decided).or_default() += 1;
    }

    fn tell(&mut self, digest: Digest, what: &impl std::fmt::Debug) {
        if self.wanted.contains(&digest) {
            self.told.push(format!("{what:?}"));
        }
    }

    fn escalate(&mut self, package: &DecisionPackage) {
        let escalated = (package.proposal_id, package.package_digest);
        *self.escalated.entry(escalated).or_default() += 1;
    }

    fn refuse(&mut self, letter: DeadLetter) {
        let DeadLetter {
            topic,
            partition,
            offset,
            reason,
            ..
        } = letter;
        let refused = (topic, partition, offset, reason);
        *self.refused.entry(refused).or_default() += 1;
    }

    fn teach(&mut self, update: &TrustUpdate) {
        let (domain, result) = (update.trust_domain.clone(), update.result_id.clone());
        let (time, row) = (update.result_time, update.agents_offset);
        let digest = wire::digest_of(update).unwrap();
        self.tell(digest, update);
        let taught = (domain, result, time, row, digest);
        *self.taught.entry(taught).or_default() += 1;
    }

    fn score(&mut self, score: &TrustScore) {
        let (domain, agent) = (score.trust_domain.clone(), score.agent_id.to_string());
        let digest = wire::digest_of(score).unwrap();
        let scored = (domain, agent, score.revision, digest);
        *self.scored.entry(scored).or_default() += 1;
    }

    fn keep(&mut self, round: &Round) {
        let digest = round.closed.as_ref().map(|closed| closed.decision_digest);
        let open = round.state == RoundState::Open;
        self.rounds.insert(round.proposal_id, (open, digest));
    }

    fn take(&mut self, output: Output) {
        match output {
            Output::Outcome(outcome) => self.decide(&outcome),
            Output::Escalation(package) => self.escalate(&package),
            Output::DeadLetter(letter, _) => self.refuse(letter),
            Output::Round(round) => self.keep(&round),
            Output::TrustUpdate(update) => self.teach(&update),
            Output::TrustScore(score) => self.score(&score),
            _ => {}
        }
    }

    /// The codes of refusals, with how many there are of each.
    pub(crate) fn codes(&self) -> BTreeMap<&str, usize> {
        let mut codes = BTreeMap::new();
        for ((_, _, _, code), count) in &self.refused {
            *codes.entry(code.as_str()).or_default() += count;
        }
        codes
    }
}

/// How much was lost, doubled and otherwise, of everything that came of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Damage {
    /// What should have come and did not.
    pub(crate) lost: usize,
    /// What came more than once.
    pub(crate) doubled: usize,
    /// What came and should not have.
    pub(crate) different: usize,
}

impl Damage {
    /// Whether there is any.
    pub(crate) fn is_some(self) -> bool {
        self != Self::default()
    }

    /// Whether something is there that should not be; what is missing may still come.
    pub(crate) const fn is_wrong(self) -> bool {
        self.doubled + self.different > 0
    }

    fn count<K: Ord>(&mut self, expected: &BTreeMap<K, usize>, found: &BTreeMap<K, usize>) {
        self.lost += expected
            .keys()
            .filter(|key| !found.contains_key(key))
            .count();
        for (key, count) in found {
            self.different += usize::from(!expected.contains_key(key));
            self.doubled += count - 1;
        }
    }
}

impl Findings {
    /// What became of what was expected.
    pub(crate) fn damage(&self, expected: &Self) -> Damage {
        let mut damage = Damage::default();
        damage.count(&expected.decided, &self.decided);
        damage.count(&expected.escalated, &self.escalated);
        damage.count(&expected.refused, &self.refused);
        damage.count(&expected.taught, &self.taught);
        damage.count(&expected.scored, &self.scored);
        damage
    }
}

/// A partition's records as read so far, and where it goes on.
type Read = (Rc<Vec<Stored>>, i64);

/// A log, read from outside; what was read once is not read again.
pub(crate) struct Log {
    codec: Arc<Codec>,
    partitions: i32,
    place: Place,
    reader: RefCell<Box<dyn Reading + Send>>,
    read: RefCell<BTreeMap<(Topic, i32), Read>>,
}

impl Log {
    /// The one at this place.
    pub(crate) fn at(place: impl Into<Place>, partitions: i32) -> Self {
        let place = place.into();
        Self {
            codec: place.codec(),
            reader: RefCell::new(place.reader()),
            place,
            partitions,
            read: RefCell::default(),
        }
    }

    /// The records of a partition, in the order of their offsets.
    pub(crate) fn read(&self, topic: Topic, partition: i32) -> Rc<Vec<Stored>> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.try_read(topic, partition) {
                Ok(read) => return read,
                // A broker that was started again does not answer at once, and a client that was
                // told so remembers it.
                Err(error) => assert!(Instant::now() < until, "{error:?}"),
            }
            std::thread::sleep(Duration::from_millis(250));
            self.reader.replace(self.place.reader());
        }
    }

    fn try_read(&self, topic: Topic, partition: i32) -> Result<Rc<Vec<Stored>>, Error> {
        let reader = self.reader.borrow();
        let (start, end) = reader.ends(topic, partition)?;
        let mut read = self.read.borrow_mut();
        let (all, next) = read.entry((topic, partition)).or_default();
        let from = start.max(*next);
        let more = Rc::make_mut(all);
        reader.read_to(topic, partition, from, end, &mut |stored| {
            *next = stored.offset + 1;
            more.push(stored);
            Ok(ControlFlow::Continue(()))
        })?;
        *next = end.max(*next);
        Ok(Rc::clone(all))
    }

    /// How many records of a topic there are.
    pub(crate) fn count(&self, topic: Topic) -> usize {
        let of = |partition| self.read(topic, partition).len();
        self.partitions_of(topic).map(of).sum()
    }

    fn partitions_of(&self, topic: Topic) -> std::ops::Range<i32> {
        0..if topic.is_table() { 1 } else { self.partitions }
    }

    /// Partitions that an open transaction holds back, with where, for whoever misses something.
    pub(crate) fn held(&self) -> Vec<(Topic, i32, i64)> {
        let Place::Kafka(connection) = &self.place else {
            return Vec::new();
        };
        let gauge = Gauge::open(connection).unwrap();
        let of = |topic| self.partitions_of(topic).map(move |number| (topic, number));
        let all = Topic::ALL.iter().copied().flat_map(of);
        all.filter_map(|(topic, number)| {
            let ends = gauge.ends(topic, number).unwrap();
            ends.is_held().then_some((topic, number, ends.stable))
        })
        .collect()
    }

    /// What a partition's records say: one without a value has ended what a transaction left open
    /// (`src/transport/kafka/settle.rs`), or is a tombstone.
    fn said<T>(&self, topic: Topic, partition: i32) -> Vec<T>
    where
        T: wire::Record + serde::de::DeserializeOwned,
    {
        let read = self.read(topic, partition);
        let said = read.iter().filter(|stored| stored.value.is_some());
        said.map(|stored| self.decode(stored)).collect()
    }

    /// What was refused, and why.
    pub(crate) fn letters(&self) -> BTreeMap<Refused, usize> {
        let mut findings = Findings::default();
        for partition in 0..self.partitions {
            for letter in self.said(Topic::DeadLetters, partition) {
                findings.refuse(letter);
            }
        }
        findings.refused
    }

    /// How many records were refused for a reason.
    pub(crate) fn refused(&self, reject: Reject) -> usize {
        let letters = self.letters();
        let of_reason = letters
            .iter()
            .filter(|((.., code), _)| code == reject.code());
        of_reason.map(|(_, count)| count).sum()
    }

    fn rows(&self) -> Rows {
        let of = |topic| (*self.read(topic, 0)).clone().into();
        Rows {
            tables: Tables::default(),
            waiting: [Topic::Agents, Topic::Policies, Topic::Trust].map(|topic| (topic, of(topic))),
        }
    }

    /// The pins of each round of a partition, by its proposal's offset.
    fn pins(&self, partition: i32) -> BTreeMap<Offset, Pins> {
        let rounds = self.said::<Round>(Topic::Rounds, partition).into_iter();
        let opening = rounds.map(|round| round.opening);
        let pins: BTreeMap<_, _> = opening.map(|o| (o.proposal_offset, o.pins)).collect();
        let mut highest = Pins::NONE;
        for pins in pins.values() {
            assert!(pins.covers(highest), "pins went back: {pins:?}");
            highest = *pins;
        }
        pins
    }

    /// What must come of all that is on the log now, once its deadlines have passed.
    pub(crate) fn expected(&self) -> Findings {
        self.follow(Findings::default())
    }

    /// What did come of it.
    pub(crate) fn found(&self) -> Findings {
        self.look(Findings::default())
    }

    /// All about some outcomes and lessons that came and should not have, and some that should.
    pub(crate) fn details(&self, found: &Findings, expected: &Findings) -> String {
        let came = self.look(found.beyond(expected)).told;
        let follows = self.follow(expected.beyond(found)).told;
        format!(
            "came:\n{}\nfollows:\n{}",
            came.join("\n"),
            follows.join("\n")
        )
    }

    fn follow(&self, mut findings: Findings) -> Findings {
        // ORDER: the rounds before the tables, which have what they are pinned to by then.
        let pins: Vec<_> = (0..self.partitions)
            .map(|partition| self.pins(partition))
            .collect();
        let rows = self.rows();
        let mut full = rows.clone();
        full.take_up_to(&self.codec, END);
        for (partition, pins) in (0..).zip(pins) {
            let config = Config {
                partition,
                partitions: self.partitions,
                detail: Detail::Records,
            };
            let mut replay = Replay {
                codec: &self.codec,
                engine: Partition::new(config, Arc::clone(&self.codec)),
                proposals: timed(&self.read(Topic::Proposals, partition)).into(),
                pins,
                pinned: rows.clone(),
                full: &full.tables,
                findings: &mut findings,
            };
            let of = |topic| self.read(topic, partition);
            let responses = merged([Topic::Responses, Topic::TrustUpdates].map(of));
            // What people and results say is judged by tables read to their end, which those that
            // a round is opened with here are not.
            let judged = merged([Topic::Decisions, Topic::Results].map(of));
            replay.run(&responses, &judged);
        }
        findings
    }

    fn look(&self, mut findings: Findings) -> Findings {
        let judges = Judges(timed(&self.read(Topic::Agents, 0)));
        for partition in 0..self.partitions {
            for mut outcome in self.said::<Outcome>(Topic::Outcomes, partition) {
                judges.rows(&mut outcome.coordinates.judged);
                findings.decide(&outcome);
            }
            for package in self.said(Topic::Escalations, partition) {
                findings.escalate(&package);
            }
            for letter in self.said(Topic::DeadLetters, partition) {
                findings.refuse(letter);
            }
            for round in self.said(Topic::Rounds, partition) {
                findings.keep(&round);
            }
            for mut update in self.said::<TrustUpdate>(Topic::TrustUpdates, partition) {
                update.agents_offset = judges.told(update.result_time, update.agents_offset);
                judges.rows(&mut update.outcome.judged);
                findings.teach(&update);
            }
        }
        for score in self.said(Topic::Trust, 0) {
            findings.score(&score);
        }
        findings
    }

    /// The record of a value of ours.
    pub(crate) fn decode<T>(&self, stored: &Stored) -> T
    where
        T: wire::Record + serde::de::DeserializeOwned,
    {
        let value = stored.value.as_deref().unwrap();
        self.codec.decode(value).unwrap().0
    }

    /// When transactions of the processors were given up after records had been written in them:
    /// between which append times of outputs.
    ///
    /// A committed transaction leaves one offset in a partition without a record, its marker; one
    /// that was given up leaves its records' offsets too.
    pub(crate) fn given_up(&self) -> BTreeSet<(Timestamp, Timestamp)> {
        let mut found = BTreeSet::new();
        for topic in [Topic::Rounds, Topic::Outcomes, Topic::DeadLetters] {
            for partition in 0..self.partitions {
                let records = self.read(topic, partition);
                for pair in records.windows(2) {
                    if pair[1].offset - pair[0].offset > 3 {
                        let time = |at: usize| pair[at].timestamp.unwrap();
                        found.insert((time(0), time(1)));
                    }
                }
            }
        }
        found
    }
}

/// The rows of `acp.agents` that people and reporters are judged by.
///
/// A broker stamps a record before others can read it, so that the rows appended just before what
/// somebody says may not be among those its author was judged by. Which was the last is in what
/// follows; it is told here as it would be, had each row been there to read when it was stamped.
struct Judges(Vec<(Timestamp, Stored)>);

impl Judges {
    fn last(&self, at: Timestamp) -> Offset {
        let count = self.0.partition_point(|(time, _)| *time <= at);
        let last = count.checked_sub(1);
        last.map_or(Offset::NONE, |last| Offset(self.0[last].1.offset))
    }

    fn told(&self, at: Timestamp, row: Offset) -> Offset {
        let (first, last) = (self.last(Timestamp(at.0 - UNSEEN)), self.last(at));
        let among = first <= row && row <= last;
        if among { last } else { row }
    }

    fn rows(&self, judged: &mut [Judged]) {
        for judged in judged {
            judged.agents_offset = self.told(judged.timestamp, judged.agents_offset);
        }
    }
}

/// Pins nothing lies beyond.
const END: Pins = Pins {
    agents: Offset(i64::MAX),
    policies: Offset(i64::MAX),
    trust: Offset(i64::MAX),
};

/// Tables, and the records of them that have not been taken.
#[derive(Clone)]
struct Rows {
    tables: Tables,
    waiting: [(Topic, VecDeque<Stored>); 3],
}

impl Rows {
    fn take_up_to(&mut self, codec: &Codec, pins: Pins) {
        let Pins {
            agents,
            policies,
            trust,
        } = pins;
        for ((topic, waiting), pin) in self.waiting.iter_mut().zip([agents, policies, trust]) {
            while let Some(stored) = waiting.pop_front_if(|stored| stored.offset <= pin.0) {
                let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
                let (offset, time) = (Offset(stored.offset), stored.timestamp.unwrap());
                let taken = self.tables.apply(codec, *topic, offset, time, key, value);
                taken.unwrap();
            }
        }
    }
}

/// One partition's engine, and what it is stepped with.
struct Replay<'a> {
    codec: &'a Codec,
    engine: Partition,
    proposals: VecDeque<(Timestamp, Stored)>,
    pins: BTreeMap<Offset, Pins>,
    /// The tables as they were when the last round was opened.
    pinned: Rows,
    full: &'a Tables,
    findings: &'a mut Findings,
}

impl Replay<'_> {
    /// Steps proposals and responses by append time, then what people and results say, then past
    /// every deadline.
    ///
    /// A round that was opened before an order was read is opened before it here too: what the
    /// order bears on rests on that, as its pins say.
    fn run(&mut self, responses: &[(Timestamp, Stored)], judged: &[(Timestamp, Stored)]) {
        let mut last = Timestamp::default();
        for (time, stored) in responses {
            while self
                .proposals
                .front()
                .is_some_and(|(first, _)| first <= time)
            {
                self.propose();
            }
            if stored.control {
                let opened_before = self.opened_before(stored);
                (0..opened_before).for_each(|_| self.propose());
            }
            self.step(record(stored));
            last = last.max(*time);
        }
        while let Some((time, _)) = self.proposals.front() {
            last = last.max(*time);
            self.propose();
        }
        for (time, stored) in judged {
            self.step(record(stored));
            last = last.max(*time);
        }
        for topic in [Topic::Responses, Topic::Proposals] {
            self.step(tick_past_everything(topic, last));
        }
    }

    /// How many of the next proposals there are up to the last one opened below an order's offset.
    fn opened_before(&self, control: &Stored) -> usize {
        let Ok((control, _)) = self
            .codec
            .decode::<Control>(control.value.as_deref().unwrap())
        else {
            return 0;
        };
        let below = |(_, stored): &(Timestamp, Stored)| {
            let pins = self.pins.get(&Offset(stored.offset));
            pins.is_some_and(|pins| match control.pattern {
                None => pins.agents < control.table_offset,
                Some(_) => pins.policies < control.table_offset,
            })
        };
        self.proposals
            .iter()
            .rposition(below)
            .map_or(0, |at| at + 1)
    }

    fn propose(&mut self) {
        let (_, stored) = self.proposals.pop_front().unwrap();
        if let Some(pins) = self.pins.get(&Offset(stored.offset)) {
            self.pinned.take_up_to(self.codec, *pins);
            assert_eq!(self.pinned.tables.pins(), *pins, "pins name no record");
        } else {
            self.pinned.take_up_to(self.codec, self.engine.pins());
        }
        let input = Input::Record(record(&stored));
        let outputs = self.engine.step(&self.pinned.tables, input).unwrap();
        outputs
            .into_iter()
            .for_each(|output| self.findings.take(output));
    }

    fn step(&mut self, record: Record<'_>) {
        let outputs = self.engine.step(self.full, Input::Record(record)).unwrap();
        outputs
            .into_iter()
            .for_each(|output| self.findings.take(output));
    }
}

/// A topic's records in the order of their offsets, each with its stream time.
fn timed(records: &[Stored]) -> Vec<(Timestamp, Stored)> {
    let mut time = Timestamp::default();
    let stamp = |stored: &Stored| {
        time = time.max(stored.timestamp.unwrap());
        (time, stored.clone())
    };
    records.iter().map(stamp).collect()
}

/// The records of several topics by append time, each topic's in the order of its offsets.
fn merged<const N: usize>(topics: [Rc<Vec<Stored>>; N]) -> Vec<(Timestamp, Stored)> {
    let mut stamped: Vec<_> = topics.iter().flat_map(|records| timed(records)).collect();
    stamped.sort_by_key(|(time, _)| *time);
    stamped
}

fn record(stored: &Stored) -> Record<'_> {
    Record {
        topic: stored.topic,
        offset: Offset(stored.offset),
        timestamp: stored.timestamp.unwrap(),
        key: stored.key.as_deref(),
        value: stored.value.as_deref(),
        headers: Headers {
            control: stored.control,
            forwarded: stored.forwarded,
            traceparent: None,
        },
    }
}

/// A tick of a topic, an hour after everything.
fn tick_past_everything(topic: Topic, last: Timestamp) -> Record<'static> {
    Record {
        topic,
        offset: Offset(i64::MAX - 1),
        timestamp: Timestamp(last.0 + 3_600_000),
        key: None,
        value: None,
        headers: Headers::default(),
    }
}
