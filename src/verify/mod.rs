//! Whether what was put out is what follows: recomputed from the topics alone, by the one engine.
//!
//! Nothing of a processor's state is asked for, nor how far it has committed. Every item is
//! *verified*, *broken*, or *not evaluated*, where what it follows from is not there. What was
//! put out is met before the inputs it follows from, remembered in few bytes, and forgotten when
//! the engine makes the same.

mod alone;
mod bound;
mod claims;
mod follow;
mod intake;
mod judge;
mod ledger;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quorate_core::ids::{Digest, Millis, Offset, ProposalId, Timestamp};
use quorate_core::records::{Pins, Policy};
use quorate_core::topic::Topic;

use crate::engine::{Config, Detail, Output, Tables};
use crate::history::{About, Course, Error, History, INPUTS, Made, Recorded};
use crate::transport::Stored;
use crate::wire::Codec;
use bound::Bound;
use claims::Norm;
pub use follow::{Follower, Standing};
use ledger::{Key, Ledger};
pub use report::{Finding, Report, Verdict};

/// How far it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Each outcome against itself: its digest, and what its ballots come to under its policy.
    Outcome = 1,
    /// Against the round's records: what its ballots, approvals and lessons name is on the log.
    Records = 2,
    /// Against everything: recomputed from the inputs and the tables as of the pins.
    Tables = 3,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How far to look.
    pub depth: Depth,
    /// What a processor may still be about to put out: what fell due so shortly before the
    /// history was read.
    pub grace: Millis,
    /// One round alone is reported.
    pub round: Option<ProposalId>,
}

/// Verifies a history.
///
/// # Errors
/// What keeps it from being read. What is broken is in the report.
pub fn verify(
    history: &mut dyn History,
    options: &Options,
    shown: &mut dyn FnMut(i64),
) -> Result<Report, Error> {
    let mut verifier = Verifier::new(history.about().clone(), *options);
    let mut records = 0;
    history.each(&mut |stored| {
        records += 1;
        shown(records);
        verifier.take(stored.clone())
    })?;
    Ok(verifier.finish())
}

/// A history being verified.
struct Verifier {
    options: Options,
    about: About,
    recorded: Recorded,
    /// What reads records, once the table of schemas has been read.
    codec: Option<Arc<Codec>>,
    tables: Tables,
    courses: BTreeMap<i32, Course>,
    /// Partitions whose engines cannot go on.
    halted: BTreeSet<i32>,
    ledger: Ledger,
    /// What is named; nothing while a log is followed, where all of it is made anew.
    bound: Option<Bound>,
    /// Every policy there ever was.
    policies: BTreeMap<Digest, Policy>,
    /// By partition: below which offset of the proposals choices were looked at, and the last pins.
    looked: BTreeMap<i32, (Offset, Pins)>,
    report: Report,
}

impl Verifier {
    fn new(about: About, options: Options) -> Self {
        Self {
            report: Report::new(options.round),
            options,
            about,
            recorded: Recorded::default(),
            codec: None,
            tables: Tables::default(),
            courses: BTreeMap::new(),
            halted: BTreeSet::new(),
            ledger: Ledger::default(),
            bound: (options.depth >= Depth::Records).then(Bound::default),
            policies: BTreeMap::new(),
            looked: BTreeMap::new(),
        }
    }

    fn codec(&mut self) -> Arc<Codec> {
        let (recorded, prefix) = (&self.recorded, &self.about.prefix);
        Arc::clone(self.codec.get_or_insert_with(|| recorded.codec(prefix)))
    }

    fn course(&mut self, partition: i32) -> &mut Course {
        let (codec, partitions) = (self.codec(), self.about.partitions);
        let config = Config {
            partition,
            partitions,
            detail: Detail::Records,
        };
        let course = self.courses.entry(partition);
        course.or_insert_with(|| Course::new(config, &codec))
    }

    fn take(&mut self, stored: Stored) -> Result<(), Error> {
        if INPUTS.contains(&stored.topic) {
            self.input(stored);
            return Ok(());
        }
        self.meet(&stored);
        if stored.topic == Topic::TrustUpdates {
            self.step(stored);
        }
        Ok(())
    }

    /// Takes a row of a table, or what a processor put out.
    fn meet(&mut self, stored: &Stored) {
        if self.recorded.take(stored) {
            if let Some(codec) = &self.codec {
                self.recorded.teach(&self.about.prefix, codec);
            }
            return;
        }
        match stored.topic {
            Topic::Agents | Topic::Policies | Topic::Trust => self.row(stored),
            _ => self.found(stored),
        }
    }

    fn input(&mut self, stored: Stored) {
        let codec = self.codec();
        if let Some(bound) = &mut self.bound {
            bound.meet(&codec, &stored);
        }
        if stored.value.is_none() {
            self.report.unverified("ticks");
        }
        if !stored.headers.is_empty() {
            self.report.unverified("headers");
        }
        if self.options.depth < Depth::Tables {
            return;
        }
        let place = (stored.topic, Offset(stored.offset));
        let course = self.courses.get(&stored.partition);
        if course.is_some_and(|course| course.choices.unread.contains(&place)) {
            self.ledger
                .expect(claims::unread(&stored), &mut self.report);
        }
        if stored.forwarded {
            let claim = claims::forwarded(&stored);
            self.ledger.find_forwarded(claim, &mut self.report);
        }
        self.step(stored);
    }

    /// Steps the engine of a record's partition.
    fn step(&mut self, stored: Stored) {
        if self.options.depth < Depth::Tables || self.halted.contains(&stored.partition) {
            return;
        }
        let partition = stored.partition;
        self.course(partition);
        let mut made = Vec::new();
        let Some(course) = self.courses.get_mut(&partition) else {
            return;
        };
        let stepped = course.take(&mut self.tables, &stored, &mut |one| made.push(one));
        self.made(partition, stepped, made);
    }

    fn made(&mut self, partition: i32, stepped: Result<(), Error>, made: Vec<Made>) {
        if let Err(error) = stepped {
            self.halted.insert(partition);
            let why = match std::error::Error::source(&error) {
                Some(source) => source.to_string(),
                None => error.to_string(),
            };
            self.report.broken(Finding::of_partition(partition, why));
        }
        for one in made {
            self.expect(partition, one);
        }
    }

    fn expect(&mut self, partition: i32, made: Made) {
        let choices = self.courses.get(&partition).map(|course| &course.choices);
        let norm = Norm {
            tables: &self.tables,
            choices,
            partitions: self.about.partitions,
        };
        if matches!(made.output, Output::Tombstone(_)) {
            self.ledger.forget(&made);
        }
        if let Some(claim) = norm.expected(partition, made) {
            self.ledger.expect(claim, &mut self.report);
        }
    }

    /// Steps what waits still, now that all inputs there are were taken.
    fn step_the_rest(&mut self) {
        for partition in self.courses.keys().copied().collect::<Vec<_>>() {
            if self.halted.contains(&partition) {
                continue;
            }
            let mut made = Vec::new();
            let Some(course) = self.courses.get_mut(&partition) else {
                continue;
            };
            let stepped = course.finish(&mut self.tables, &mut |one| made.push(one));
            self.made(partition, stepped, made);
        }
    }

    fn finish(mut self) -> Report {
        self.step_the_rest();
        if self.options.depth == Depth::Tables {
            let all = |_: &Course| Offset(i64::MAX);
            self.look_at_choices(all);
        }
        if let Some(bound) = &mut self.bound {
            bound.end(&self.about, &mut self.report);
        }
        self.count();
        if self.options.depth == Depth::Tables {
            let settled = Timestamp(self.about.read_at.0 - self.options.grace.0);
            let settle = ledger::Settle {
                about: &self.about,
                settled,
                halted: &self.halted,
            };
            self.ledger.settle(&settle, &mut self.report);
        }
        self.report
    }

    /// Counts the rounds that are open, and what waits.
    fn count(&mut self) {
        let open = self.courses.values();
        let open: usize = open.map(|of| of.engine().open_rounds().count).sum();
        self.report.open = u64::try_from(open).unwrap_or(u64::MAX);
        self.report.waiting.clear();
        for (partition, course) in &self.courses {
            for waiting in course.engine().waiting() {
                let waiting = Finding::of_waiting(*partition, &waiting);
                self.report.waiting(waiting);
            }
        }
    }

    /// Pins never go back and name what was there; a time of the responses was one. Each choice
    /// below an offset of the proposals is looked at once.
    fn look_at_choices(&mut self, below: impl Fn(&Course) -> Offset) {
        let ends = self.tables.pins();
        for (partition, course) in &mut self.courses {
            let looked = self.looked.entry(*partition);
            let (from, before) = looked.or_insert((Offset(0), Pins::NONE));
            let upto = below(course);
            for (offset, choice) in course.choices.opened.range(*from..upto) {
                let is_sound = choice.pins.covers(*before) && ends.covers(choice.pins);
                if is_sound {
                    self.report.verified(Key::Pins(choice.id).kind());
                } else {
                    let what = format!("{:?} after {before:?}, of {ends:?}", choice.pins);
                    let place = (Topic::Proposals, *partition, *offset);
                    self.report.broken(Finding::of_pins(choice.id, place, what));
                }
                *before = before.max(choice.pins);
                let time = choice.responses_time.unwrap_or_default();
                let is_none = time.0 > 0 && course.choices.times.contains(&time);
                if is_none && !self.halted.contains(partition) {
                    let what = format!("no time of the responses is {}", time.0);
                    let place = (Topic::Proposals, *partition, *offset);
                    self.report.broken(Finding::of_pins(choice.id, place, what));
                }
            }
            *from = upto.max(*from);
        }
    }
}
