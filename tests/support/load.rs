//! A steady load of rounds, as agents of every kind would make it: most answer in time, some late,
//! twice, with nonsense, or on the wrong partition. Results follow, people decide what escalates,
//! and all the while an operator grants, changes policies, suspends and resumes. Everything but the
//! time comes from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::wire::{Codec, partition_of};
use quorate_core::ids::Timestamp;
use quorate_core::records::{ResultKind, Stakes};
use quorate_core::topic::Topic;

use super::desk::{Operator, Reviewer};
use super::place::Pen;
use super::{House, records};

/// How often a round is opened, in milliseconds.
const EVERY: i64 = 32;
/// Agents that may answer.
pub(crate) const AGENTS: usize = 24;
/// How often the operator does something.
const ORDER_EVERY: Duration = Duration::from_millis(700);

/// Numbers that follow from a seed (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The seed that `QUORATE_TEST_SEED` names, else one of the time; it is printed.
    pub(crate) fn of_this_run(test: &str) -> Self {
        let named = std::env::var("QUORATE_TEST_SEED").ok();
        let named = named.map(|seed| seed.parse().expect("a seed is a number"));
        let seed = named.unwrap_or_else(|| System.now().0.unsigned_abs());
        eprintln!("{test}: QUORATE_TEST_SEED={seed}");
        Self(seed)
    }

    /// What would make these anew.
    pub(crate) const fn seed(&self) -> u64 {
        self.0
    }

    /// Others, that follow from these.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of these.
    pub(crate) fn within(&mut self, range: std::ops::Range<i64>) -> i64 {
        let span = (range.end - range.start).unsigned_abs();
        range.start + i64::try_from(self.next() % span).unwrap()
    }

    /// Whether something happens that does so often.
    pub(crate) fn percent(&mut self, of_hundred: i64) -> bool {
        self.within(0..100) < of_hundred
    }

    /// One of these.
    pub(crate) fn one_of<'a, T>(&mut self, these: &'a [T]) -> &'a T {
        let count = i64::try_from(these.len()).unwrap();
        &these[usize::try_from(self.within(0..count)).unwrap()]
    }

    /// The id of a round proposed at a time.
    pub(crate) fn id(&mut self, now: Timestamp) -> String {
        records::id(self, now)
    }
}

/// The agents that take part, as `agents apply` takes them.
pub(crate) fn agents() -> String {
    let voter = |number| {
        let right = 30 + number;
        format!(
            "[[agent]]\nagent_id = \"a{number}\"\ndomains = [{{ domain = \"pay\", authority = 1.0, \
             prior = {{ right = {right}, wrong = 3, source = \"test\" }} }}]\n"
        )
    };
    let voters: String = (0..AGENTS).map(voter).collect();
    format!("[[agent]]\nagent_id = \"desk\"\n\n{voters}{PEOPLE}")
}

/// Those who decide, and a source of results.
const PEOPLE: &str = r#"
[[agent]]
agent_id = "rita"
kind = "HUMAN"
reviews = [{ domain = "pay", up_to_stakes = "CRITICAL" }]

[[agent]]
agent_id = "max"
kind = "HUMAN"
reviews = [{ domain = "pay", up_to_stakes = "CRITICAL" }]

[[agent]]
agent_id = "ledger"
kind = "REPORTER"
"#;

/// The policies their rounds are resolved under; some close as soon as nobody could change them.
pub(crate) const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
proposer_counts = false
max_open_per_proposer = 1000000

[[policy]]
pattern = "pay.fast"
trust_domain = "pay"
revision = "first"
early_close = true
proposer_counts = false
max_open_per_proposer = 1000000
"#;

/// A record that is appended in its time.
pub(super) struct Entry {
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// What was appended, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Appended {
    /// Rounds proposed.
    pub(crate) rounds: usize,
    /// Records of responses.
    pub(crate) responses: usize,
    /// Milliseconds from the first to the last.
    pub(crate) millis: i64,
}

/// A load that goes on until it is stopped.
pub(crate) struct Load {
    pen: Pen,
    codec: Arc<Codec>,
    partitions: i32,
    random: Random,
    waiting: BTreeMap<(Timestamp, u64), Entry>,
    scheduled: u64,
    appended: Appended,
    operator: Option<Operator>,
    reviewer: Reviewer,
}

impl Load {
    /// One on these topics.
    pub(crate) fn on(house: &House, partitions: i32, random: Random) -> Self {
        let place = house.place();
        let codec = place.codec();
        let mut random = random;
        Self {
            operator: Some(Operator::of(&place, &codec, partitions, random.fork())),
            reviewer: Reviewer::of(&place, &codec, partitions, random.fork()),
            pen: place.pen(),
            codec,
            partitions,
            random,
            waiting: BTreeMap::new(),
            scheduled: 0,
            appended: Appended::default(),
        }
    }

    /// Opens rounds until told to stop, then appends what is still to come of them.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Appended {
        let mut operator = self.operator.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    operator.order(System.now());
                    std::thread::sleep(ORDER_EVERY);
                }
            });
            self.go_on(stop);
        });
        self.appended
    }

    fn go_on(&mut self, stop: &AtomicBool) {
        let started = System.now();
        let mut next = started;
        while !stop.load(Ordering::Relaxed) || !self.waiting.is_empty() {
            let now = System.now();
            if !stop.load(Ordering::Relaxed) {
                // Whatever held it up, as many rounds are opened in a time.
                while now >= next {
                    self.round(now);
                    next = Timestamp(next.0 + EVERY);
                }
                for (at, topic, key, value) in self.reviewer.look(now) {
                    self.later(at, topic, &key, &value);
                }
            }
            let later = self.waiting.split_off(&(Timestamp(now.0 + 1), 0));
            for entry in std::mem::replace(&mut self.waiting, later).into_values() {
                self.append(&entry);
            }
            self.pen.go_on();
            // The pace of a load, nothing that is waited for.
            std::thread::sleep(Duration::from_millis(2));
        }
        if let Err(error) = self.pen.settle() {
            // A client whose broker was away for too long; what it gave up may lie there or not.
            eprintln!("the load lost patience: {error}");
        }
        self.appended.millis = System.now().since(started).0;
    }

    fn append(&mut self, entry: &Entry) {
        let (key, value) = (Some(entry.key.as_bytes()), Some(&entry.value[..]));
        self.pen
            .append(entry.topic, entry.partition, key, value, &[]);
        self.appended.responses += usize::from(entry.topic == Topic::Responses);
    }

    fn later(&mut self, at: i64, topic: Topic, key: &str, value: &[u8]) {
        let right = partition_of(key.as_bytes(), self.partitions);
        let astray = i32::from(topic != Topic::Proposals && self.random.percent(3));
        let entry = Entry {
            topic,
            partition: (right + astray) % self.partitions,
            key: key.to_owned(),
            value: value.to_vec(),
        };
        self.scheduled += 1;
        self.waiting.insert((Timestamp(at), self.scheduled), entry);
    }

    /// Everything about one round, each with its time.
    fn round(&mut self, now: Timestamp) {
        self.appended.rounds += 1;
        let id = self.random.id(now);
        let deadline = now.0 + self.random.within(2_000..4_500);
        let proposed = now.0 + self.random.within(0..200);
        self.propose(&id, proposed, deadline);
        let lean = self.random.within(10..95);
        for number in 0..AGENTS {
            let at = match self.random.within(0..100) {
                0..12 => continue,
                12..20 => deadline + self.random.within(50..2_000),
                _ => self.random.within(now.0..deadline - 50),
            };
            self.respond(&id, &format!("a{number}"), lean, at);
        }
        self.nonsense(&id, now.0, deadline);
        self.report(&id, deadline);
    }

    /// What turns out, some of it too soon, twice, corrected, or said by who may not.
    fn report(&mut self, id: &str, deadline: i64) {
        if !self.random.percent(50) {
            return;
        }
        let at = deadline + self.random.within(-300..3_000);
        let reporter = if self.random.percent(8) {
            "a1"
        } else {
            "ledger"
        };
        let first = format!("s{}", self.random.next());
        let result = if self.random.percent(75) {
            ResultKind::Right
        } else {
            ResultKind::Wrong
        };
        let mut report = records::report(id, &first, reporter, result);
        let value = self.codec.encode(&report).unwrap();
        self.later(at, Topic::Results, id, &value);
        if !self.random.percent(15) {
            return;
        }
        report.result_id = format!("s{}", self.random.next());
        report.corrects = self.random.percent(70).then_some(first);
        report.result = ResultKind::Wrong;
        let value = self.codec.encode(&report).unwrap();
        let after = at + self.random.within(1..3_000);
        self.later(after, Topic::Results, id, &value);
    }

    fn propose(&mut self, id: &str, at: i64, deadline: i64) {
        let fast = self.random.percent(20);
        let domain = if fast { "pay.fast.out" } else { "pay.out" };
        let mut proposal = records::proposal(id, domain, deadline);
        proposal.stakes = match self.random.within(0..100) {
            0..12 => Stakes::High,
            12..16 => Stakes::Critical,
            _ => Stakes::Low,
        };
        let value = self.codec.encode(&proposal).unwrap();
        self.later(at, Topic::Proposals, id, &value);
        if self.random.percent(8) {
            let again = at + self.random.within(1..6_000);
            self.later(again, Topic::Proposals, id, &value);
        }
        if self.random.percent(4) {
            proposal.summary = "another".to_owned();
            let value = self.codec.encode(&proposal).unwrap();
            let after = at + self.random.within(1..6_000);
            self.later(after, Topic::Proposals, id, &value);
        }
    }

    fn respond(&mut self, id: &str, agent: &str, lean: i64, at: i64) {
        let value = self.response(id, agent, lean);
        self.later(at, Topic::Responses, id, &value);
        if self.random.percent(5) {
            let again = at + self.random.within(1..4_000);
            self.later(again, Topic::Responses, id, &value);
        }
        if self.random.percent(5) {
            let value = self.response(id, agent, 100 - lean);
            let after = at + self.random.within(1..4_000);
            self.later(after, Topic::Responses, id, &value);
        }
    }

    fn response(&mut self, id: &str, agent: &str, lean: i64) -> Vec<u8> {
        let response = records::answer(&mut self.random, id, agent, lean);
        self.codec.encode(&response).unwrap()
    }

    /// What is refused whatever happens.
    fn nonsense(&mut self, id: &str, from: i64, to: i64) {
        let mut maybe = |of_hundred| {
            let at = self.random.within(from..to);
            self.random.percent(of_hundred).then_some(at)
        };
        let times = [maybe(20), maybe(5), maybe(5), maybe(5), maybe(5)];
        if let Some(at) = times[0] {
            self.later(at, Topic::Responses, id, b"nonsense");
        }
        if let Some(at) = times[1] {
            self.later(at, Topic::Proposals, id, b"nonsense");
        }
        if let Some(at) = times[2] {
            let stranger = self.response(id, "nobody", 50);
            self.later(at, Topic::Responses, id, &stranger);
        }
        let other = self.random.id(Timestamp(from));
        let about_nothing = self.response(&other, "a1", 50);
        if let Some(at) = times[3] {
            self.later(at, Topic::Responses, &other, &about_nothing);
        }
        if let Some(at) = times[4] {
            self.later(at, Topic::Responses, id, &about_nothing);
        }
    }
}
