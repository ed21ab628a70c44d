//! A random history: rounds of every kind, with everything that can go wrong with them, while the
//! tables move, people decide and results come in. Everything but the time comes from a seed.

mod afterwards;
mod crowd;
mod loss;
mod odds;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::engine::CONTROL;
use quorate::transport::kafka::Schemas;
use quorate::transport::{Reading, Start};
use quorate::wire::{Codec, Record, partition_of, unframed};
use quorate_core::ids::{Digest, Offset, Timestamp};
use quorate_core::records::{
    Action, Control, DecisionPackage, Parameter, Proposal, Response, Stakes, Verdict,
};
use quorate_core::topic::Topic;

use super::load::Random;
use super::place::{Pen, Place};
use super::{House, records};
pub(crate) use loss::forget;
use world::{DOMAINS, POLICIES, World};

/// How often a table moves, in milliseconds.
const MOVES_EVERY: i64 = 200;
/// How long people may still be asked after the last round was opened, in milliseconds.
const AFTERWARDS: i64 = 7_000;

/// Rounds that may be proposed and not opened, beside one of four that is refused.
const AHEAD: usize = 400;
/// How far it may be behind its pace and make up for it, in milliseconds.
const BEHIND: i64 = 100;
/// How long after the last round its crowds are listed, and at most none is proposed, in milliseconds.
const CROWDED_AFTER: i64 = 1_500;
const PATIENCE: i64 = 120_000;

#[derive(Clone, Debug)]
struct Entry {
    topic: Topic,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    control: bool,
}

/// What was appended, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appended {
    /// Rounds proposed.
    pub(crate) rounds: usize,
    /// Rounds opened.
    pub(crate) opened: usize,
    /// Records of inputs.
    pub(crate) inputs: usize,
    /// Records of tables.
    pub(crate) moves: usize,
}

/// A history in the making.
pub(crate) struct History {
    appender: Pen,
    operator: Pen,
    /// What comes of it: rounds and escalations.
    seen: Box<dyn Reading + Send>,
    codec: Arc<Codec>,
    partitions: i32,
    random: Random,
    world: World,
    waiting: BTreeMap<(i64, u64), Entry>,
    scheduled: u64,
    /// The last records of the tables of agents and policies.
    agents_end: Offset,
    policies_end: Offset,
    /// Ids of the registry's, where there is one.
    schemas: Vec<i32>,
    /// Whether the last rounds are to be filled with as many as may speak.
    crowded: bool,
    /// Whether some results come when their rounds are forgotten.
    forgetful: bool,
    appended: Appended,
    /// The rounds that were opened, by their keys.
    opened: BTreeSet<Vec<u8>>,
    /// When the next round may be proposed, in microseconds.
    next: i64,
}

/// What is said about a round.
struct Said<'a> {
    id: &'a str,
    proposer: &'a str,
    domain: &'a str,
    proposed: i64,
    deadline: i64,
    digest: Digest,
}

/// A round that is to be opened, whatever else happens.
struct Plain {
    id: String,
    proposer: String,
    domain: &'static str,
    proposed: i64,
    deadline: i64,
    digest: Digest,
}

impl Plain {
    fn said(&self) -> Said<'_> {
        Said {
            id: &self.id,
            proposer: &self.proposer,
            domain: self.domain,
            proposed: self.proposed,
            deadline: self.deadline,
            digest: self.digest,
        }
    }
}

fn now() -> i64 {
    System.now().0
}

impl History {
    /// Topics with so many partitions and the tables as they are at first, and a history on them.
    pub(crate) fn begin(partitions: i32, random: &mut Random) -> (House, Self) {
        Self::begin_in(House::with, partitions, random)
    }

    /// The same on a blackboard.
    pub(crate) fn begin_on_blackboard(partitions: i32, random: &mut Random) -> (House, Self) {
        Self::begin_in(House::on_blackboard, partitions, random)
    }

    fn begin_in(
        house: impl FnOnce(u32, &str, &str) -> House,
        partitions: i32,
        random: &mut Random,
    ) -> (House, Self) {
        let agents = world::agents(random);
        let house = house(partitions.unsigned_abs(), &agents, POLICIES);
        let place = house.place();
        let schemas = match &place {
            Place::Kafka(connection) => Schemas::load(connection).unwrap().entries().to_vec(),
            Place::Blackboard(_) => Vec::new(),
        };
        let seen = place.reader();
        let last = |table| Offset(seen.ends(table, 0).unwrap().1 - 1);
        let (agents_end, policies_end) = (last(Topic::Agents), last(Topic::Policies));
        let topics = [Topic::Rounds, Topic::Escalations].into_iter();
        let places = topics.flat_map(|t| (0..partitions).map(move |p| (t, p, Start::Beginning)));
        seen.go_to(&places.collect::<Vec<_>>()).unwrap();
        let history = Self {
            appender: place.pen(),
            operator: place.pen(),
            seen,
            codec: place.codec(),
            partitions,
            world: World::of(random.fork(), &agents),
            random: random.fork(),
            waiting: BTreeMap::new(),
            scheduled: 0,
            agents_end,
            policies_end,
            schemas: schemas.iter().map(|entry| entry.schema_id).collect(),
            crowded: false,
            forgetful: false,
            appended: Appended::default(),
            opened: BTreeSet::new(),
            next: 0,
        };
        (house, history)
    }

    /// Has results come when rounds of a short window are forgotten.
    pub(crate) const fn forgetful(mut self) -> Self {
        self.forgetful = true;
        self
    }

    /// Proposes, at most so many a second, until so many rounds are open, and appends all that is to
    /// come of them.
    pub(crate) fn run(mut self, rounds: usize, a_second: i64) -> Appended {
        let mut moved = now();
        let mut last = moved;
        loop {
            let now = now();
            self.read(now);
            let going_on = self.appended.opened < rounds;
            while going_on && self.may_propose(now) {
                self.round(now);
                let earliest = (now - BEHIND) * 1_000;
                self.next = earliest.max(self.next) + 1_000_000 / a_second;
                last = now;
            }
            if now > moved + MOVES_EVERY && going_on {
                self.move_tables(now);
                moved = now;
            }
            if self.crowded && !going_on && now > last + CROWDED_AFTER {
                self.crowd(now);
                self.crowded = false;
                last = now;
            }
            self.append_due(now);
            assert!(!going_on || now < last + PATIENCE, "{:?}", self.appended);
            if !going_on && now > last + AFTERWARDS && self.waiting.is_empty() {
                self.appender.settle().unwrap();
                return self.appended;
            }
            // The pace of a history, nothing that is waited for.
            std::thread::sleep(Duration::from_millis(4));
        }
    }

    /// Counts what was opened, and has people decide what escalated.
    fn read(&mut self, now: i64) {
        while let Some(stored) = self.seen.next(Duration::ZERO).unwrap() {
            if stored.topic == Topic::Rounds {
                self.opened.extend(stored.key);
                self.appended.opened = self.opened.len();
                continue;
            }
            let value = stored.value.unwrap();
            let (package, _) = self.codec.decode::<DecisionPackage>(&value).unwrap();
            self.decide(now, &package);
        }
    }

    /// Whether it is time for another round, and the processor is not too far behind with them:
    /// what is read after its deadline is refused.
    fn may_propose(&self, now: i64) -> bool {
        let (proposed, opened) = (self.appended.rounds, self.appended.opened);
        self.next <= now * 1_000 && proposed * 3 / 4 < opened + AHEAD
    }

    /// Appends what its time has come for.
    fn append_due(&mut self, now: i64) {
        let later = self.waiting.split_off(&(now + 1, 0));
        for entry in std::mem::replace(&mut self.waiting, later).into_values() {
            self.append(&entry);
        }
        self.appender.go_on();
    }

    fn append(&mut self, entry: &Entry) {
        let headers = [CONTROL];
        let headers = if entry.control { &headers[..] } else { &[] };
        let (key, value) = (entry.key.as_deref(), entry.value.as_deref());
        self.appender
            .append(entry.topic, entry.partition, key, value, headers);
        self.appended.inputs += 1;
    }

    fn at(&mut self, at: i64, entry: Entry) {
        self.scheduled += 1;
        self.waiting.insert((at, self.scheduled), entry);
    }

    /// Appends a value at a time: where its key belongs, or sometimes elsewhere.
    fn value(&mut self, at: i64, topic: Topic, key: &str, value: Vec<u8>) {
        let right = partition_of(key.as_bytes(), self.partitions);
        let astray = i32::from(self.random.percent(3));
        let entry = Entry {
            topic,
            partition: (right + astray) % self.partitions,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value),
            control: false,
        };
        self.at(at, entry);
    }

    /// The same for a record; sometimes twice, sometimes with something wrong with its bytes.
    fn record<T: Record>(&mut self, at: i64, topic: Topic, key: &str, record: &T) {
        let value = self.codec.encode(record).unwrap();
        if self.random.percent(4) {
            let again = at + self.random.within(1..3_000);
            self.value(again, topic, key, value.clone());
        }
        if self.random.within(0..1_000) == 0 {
            return self.misnamed(at, topic, key, &value);
        }
        let (key, value) = match self.random.within(0..200) {
            0 => (key, value[..value.len() / 2].to_vec()),
            1 => (
                key,
                [
                    &[0xc3, 1, 9, 9, 9, 9, 9, 9, 9, 9],
                    unframed(&value).unwrap(),
                ]
                .concat(),
            ),
            2 => (key, [&value[..], b"more"].concat()),
            3 => ("another", value),
            4 => (key, b"nonsense".to_vec()),
            5 => (key, [&value[..], &[0; 65 * 1024]].concat()),
            _ => (key, value),
        };
        self.value(at, topic, key, value);
    }

    fn word(&mut self) -> String {
        format!("{:016x}", self.random.next())
    }

    /// Mostly one of a few, so that there are ties; sometimes any, or none at all.
    fn confidence(&mut self) -> f64 {
        match self.random.within(0..200) {
            0 => *self
                .random
                .one_of(&[f64::NAN, 1.000_001, -0.1, f64::INFINITY]),
            1..120 => *self.random.one_of(&[0.5, 0.7, 0.9, 1.0]),
            _ => self.random.within(0..1_000_001) as f64 / 1e6,
        }
    }

    // The tables

    fn move_tables(&mut self, now: i64) {
        let change = self.world.change(&self.codec);
        let (key, value) = (Some(change.key.as_bytes()), change.value.as_deref());
        self.operator.append(change.topic, 0, key, value, &[]);
        let placed = self.operator.settle().unwrap();
        self.appended.moves += 1;
        let offset = Offset(placed[0].offset);
        if change.topic == Topic::Agents {
            self.agents_end = offset;
        } else {
            self.policies_end = offset;
        }
        let control = match change.control {
            Some(control) => Control {
                table_offset: offset,
                ..control
            },
            None => self.unfounded(),
        };
        let at = now + self.random.within(0..600);
        self.order(at, &control);
    }

    /// An order that the table does not bear out, or that names nobody.
    fn unfounded(&mut self) -> Control {
        let agent = self.world.active(&mut self.random);
        let control = match self.random.within(0..6) {
            0 => world::control(None, None),
            1 => world::control(None, Some("pay")),
            2 => world::control(Some("nobody"), None),
            _ => world::control(Some(&agent), None),
        };
        // One that is not there yet may be there when the order is read: then it depends on who is
        // quick. This one is there for nobody.
        let table_offset = match &control.pattern {
            _ if self.random.percent(10) => Offset(i64::MAX / 2),
            Some(_) => self.policies_end,
            None => self.agents_end,
        };
        Control {
            table_offset,
            ..control
        }
    }

    /// Tells every partition, not all at once.
    fn order(&mut self, at: i64, control: &Control) {
        let value = self.codec.encode(control).unwrap();
        let key = self.random.percent(3).then(|| b"key".to_vec());
        for partition in 0..self.partitions {
            let entry = Entry {
                topic: Topic::Responses,
                partition,
                key: key.clone(),
                value: Some(value.clone()),
                control: true,
            };
            let later = self.random.within(0..100);
            self.at(at + later, entry);
        }
    }

    // Rounds

    /// Everything about one round, each with its time.
    fn round(&mut self, now: i64) {
        self.appended.rounds += 1;
        let made = match self.random.within(0..200) {
            0 => now - 2 * 86_400_000,
            _ => now,
        };
        let mut id = self.random.id(Timestamp(made));
        if self.random.percent(1) {
            id.replace_range(14..15, "4");
        }
        let proposer = match self.random.within(0..100) {
            0 => "nobody".to_owned(),
            1..6 => "busy".to_owned(),
            6..9 => self.world.voter(&mut self.random),
            _ => self.world.active(&mut self.random),
        };
        let proposed = now + self.random.within(0..300);
        let deadline = proposed + self.random.within(1_000..3_000);
        let domain = *self.random.one_of(&DOMAINS);
        let asked = match self.random.within(0..100) {
            0 => Some(proposed - 1_000),
            1 => Some(proposed + 8 * 86_400_000),
            2..14 => None,
            _ => Some(deadline),
        };
        let digest = self.propose(&id, &proposer, domain, proposed, asked);
        let said = Said {
            domain,
            id: &id,
            proposer: &proposer,
            proposed,
            deadline,
            digest,
        };
        let lean = self.random.within(15..95);
        for _ in 0..self.random.within(1..11) {
            self.respond(&said, lean);
        }
        self.odds(&said);
        if self.random.percent(60) {
            self.report(&said, lean);
        }
    }

    fn propose(
        &mut self,
        id: &str,
        proposer: &str,
        domain: &str,
        at: i64,
        deadline: Option<i64>,
    ) -> Digest {
        let mut parameters = Vec::new();
        if self.random.percent(70) {
            let value = match self.random.within(0..10) {
                0 => "much".to_owned(),
                _ => self.random.within(1..1_000).to_string(),
            };
            let key = "amount".to_owned();
            parameters.push(Parameter { key, value });
        }
        let stakes = match self.random.within(0..10) {
            0 | 1 => vec![Stakes::Medium, Stakes::High, Stakes::Critical],
            _ => vec![Stakes::Low],
        };
        let act = [
            "act",
            "act",
            "act",
            "act",
            "act",
            "grant",
            "grant",
            "forbidden",
        ];
        let mut proposal = Proposal {
            proposal_id: id.to_owned(),
            proposer: proposer.to_owned(),
            domain: domain.to_owned(),
            action: Action {
                r#type: (*self.random.one_of(&act)).to_owned(),
                subject: format!("s{}", self.random.within(0..1_000)),
                parameters,
            },
            summary: String::new(),
            rationale: "because".to_owned(),
            confidence: self.confidence(),
            stakes: *self.random.one_of(&stakes),
            deadline: deadline.map(Timestamp),
            supersedes: None,
            labels: Vec::new(),
        };
        self.record(at, Topic::Proposals, id, &proposal);
        let value = self.codec.encode(&proposal).unwrap();
        let (_, digest) = self.codec.decode::<Proposal>(&value).unwrap();
        if self.random.percent(3) {
            proposal.summary = "another".to_owned();
            let after = at + self.random.within(1..3_000);
            self.record(after, Topic::Proposals, id, &proposal);
        }
        digest
    }

    /// Proposes what nothing is wrong with.
    fn plain(
        &mut self,
        proposer: &str,
        domain: &'static str,
        proposed: i64,
        deadline: i64,
        id: Option<String>,
    ) -> Plain {
        let id = id.unwrap_or_else(|| self.random.id(Timestamp(proposed)));
        let proposal = Proposal {
            proposer: proposer.to_owned(),
            ..records::proposal(&id, domain, deadline)
        };
        let value = self.codec.encode(&proposal).unwrap();
        let (_, digest) = self.codec.decode::<Proposal>(&value).unwrap();
        let entry = Entry {
            topic: Topic::Proposals,
            partition: partition_of(id.as_bytes(), self.partitions),
            key: Some(id.as_bytes().to_vec()),
            value: Some(value),
            control: false,
        };
        self.at(proposed, entry);
        Plain {
            id,
            proposer: proposer.to_owned(),
            domain,
            proposed,
            deadline,
            digest,
        }
    }

    fn respond(&mut self, said: &Said<'_>, lean: i64) {
        let agent = match self.random.within(0..100) {
            0 => "nobody".to_owned(),
            1..8 => said.proposer.to_owned(),
            8..16 => self.world.voter(&mut self.random),
            _ => self.world.expert(&mut self.random, said.domain),
        };
        let at = match self.random.within(0..100) {
            0..6 => said.proposed - self.random.within(1..900),
            6..16 => said.deadline + self.random.within(-40..40),
            16..24 => said.deadline + self.random.within(40..1_500),
            _ => self.random.within(said.proposed..said.deadline),
        };
        self.answer(said, &agent, lean, at);
        if self.random.percent(8) {
            let after = at + self.random.within(1..800);
            self.answer(said, &agent, 100 - lean, after);
        }
    }

    fn answer(&mut self, said: &Said<'_>, agent: &str, lean: i64, at: i64) {
        let verdict = if self.random.percent(5) {
            Verdict::Abstain
        } else if self.random.percent(lean) {
            Verdict::Endorse
        } else {
            Verdict::Challenge
        };
        let named = match self.random.within(0..100) {
            0 => Some(Digest([7; 32])),
            1..30 => Some(said.digest),
            _ => None,
        };
        let reasoning = match self.random.within(0..200) {
            0..3 => " ".to_owned(),
            3 => "x".repeat(8 * 1_024 + 1),
            _ => format!("{agent} looked"),
        };
        let evidence = if self.random.percent(1) { 17 } else { 1 };
        let response = Response {
            response_id: self.word().into(),
            proposal_id: said.id.to_owned().into(),
            proposal_digest: named,
            agent_id: agent.to_owned().into(),
            verdict,
            confidence: self.confidence(),
            reasoning: reasoning.into(),
            evidence: vec!["seen".to_owned(); evidence],
        };
        self.record(at, Topic::Responses, said.id, &response);
    }
}
