//! Verifies a log that goes on, reading after reading, and holds no more than what is under way.
//!
//! Each reading asks, in this order, how far processors have committed, where what they put out
//! ends, and where the tables do. Inputs are stepped as far as was committed, once what was put out
//! is read up to an end asked for after that: whatever was chosen is known then. What follows and
//! is not there is missing once its topic is read up to an end asked for after it was stepped; what
//! is there and does not follow is made up once all inputs are stepped that were committed when it
//! was found. So nothing is called broken because one topic is read further than another, whatever
//! becomes of the processors meanwhile.

use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;

use super::judge::Due;
use super::ledger::{Claim, Key, Seen, Settle};
use super::report::{Finding, Report};
use super::{Options, Verifier};
use crate::engine::Position;
use crate::history::{
    About, Choices, Course, Error, INPUTS, OUTPUTS, Range, TABLES, read_in_order,
};
use crate::transport::{self, Committed, Handle, Reading, Stored};
use crate::wire::history::Part;

/// What a partition's inputs are stepped by: what it opened rounds at, and what it refused.
const CHOICES: [Topic; 3] = [Topic::Rounds, Topic::Outcomes, Topic::DeadLetters];
/// Ends of a partition that are remembered before it is read up to the first of them.
const ENDS: usize = 64;

/// Where something lies: topic and partition.
type Place = (Topic, i32);

/// Verifies a log that goes on.
pub struct Follower<'a> {
    handle: &'a dyn Handle,
    reader: Box<dyn Reading + Send>,
    verifier: Verifier,
    /// How many readings were begun.
    reading: u64,
    /// The offset to read next; of an input, and of trust updates as an input, to step next.
    read: BTreeMap<Place, i64>,
    stepped: BTreeMap<Place, i64>,
    ends: BTreeMap<Place, Ends>,
    /// What was committed of each partition, that is not stepped yet.
    ahead: BTreeMap<i32, VecDeque<Cut>>,
    cuts: BTreeMap<i32, Cut>,
}

/// How far a log is verified.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Records of inputs that are not stepped yet, by topic.
    pub behind: BTreeMap<Topic, i64>,
    /// What was found and not yet expected.
    pub found: usize,
    /// What is expected and was not yet found.
    pub expected: usize,
    /// Rounds that are not forgotten: open, escalated, or closed for less than their window.
    pub rounds: usize,
    /// What is remembered besides, of rounds and of what lies on one side.
    pub notes: usize,
}

/// Far ends of a partition as readings were told them, and the last reading to whose end it is
/// read.
#[derive(Clone, Debug, Default)]
struct Ends {
    asked: VecDeque<(u64, i64)>,
    whole: u64,
    last: i64,
}

impl Ends {
    fn ask(&mut self, reading: u64, end: i64) {
        self.last = end;
        if self.asked.len() >= ENDS {
            self.asked.pop_back();
        }
        self.asked.push_back((reading, end));
    }

    fn read(&mut self, to: i64) {
        while let Some((reading, _)) = self.asked.pop_front_if(|(_, end)| *end <= to) {
            self.whole = reading;
        }
    }
}

/// What a reading was told that a partition's processor had committed.
#[derive(Clone, Debug, Default)]
struct Cut {
    reading: u64,
    positions: BTreeMap<Topic, Position>,
}

impl std::fmt::Debug for Follower<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("reading", &self.reading)
            .finish_non_exhaustive()
    }
}

impl<'a> Follower<'a> {
    /// Begins with the first record there is.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn open(handle: &'a dyn Handle, prefix: String, options: Options) -> Result<Self, Error> {
        let about = About {
            partitions: handle.partitions()?,
            prefix,
            read_at: Timestamp::default(),
            range: Range::default(),
            parts: Vec::new(),
        };
        let mut verifier = Verifier::new(about, options);
        verifier.bound = None;
        Ok(Self {
            reader: handle.reader()?,
            handle,
            verifier,
            reading: 0,
            read: BTreeMap::new(),
            stepped: BTreeMap::new(),
            ends: BTreeMap::new(),
            ahead: BTreeMap::new(),
            cuts: BTreeMap::new(),
        })
    }

    /// Reads what has come, at a time of the clock, and tells what can be told; after an error it
    /// may be called again.
    ///
    /// # Errors
    /// [`transport::Error::Stopped`] once it is told to stop; what else keeps the log from being
    /// read.
    pub fn go_on(&mut self, now: Timestamp, stop: &AtomicBool) -> Result<Standing, Error> {
        self.handle.check()?;
        let ends = self.ask(now)?;
        for topic in TABLES.into_iter().chain(OUTPUTS) {
            for partition in self.partitions_of(topic) {
                self.read_to((topic, partition), &ends, stop)?;
            }
        }
        self.step(stop)?;
        self.verifier.step_the_rest();
        self.verifier.look_at_choices(Course::next_proposal);
        self.forget();
        self.judge(now);
        self.verifier.count();
        let (found, expected) = self.verifier.ledger.left_over();
        let (rounds, notes) = self.held();
        let behind = INPUTS.map(|topic| (topic, self.behind(topic)));
        Ok(Standing {
            behind: behind.into_iter().collect(),
            found,
            expected,
            rounds,
            notes,
        })
    }

    /// Rounds that are held, and what else is.
    fn held(&self) -> (usize, usize) {
        let Verifier {
            courses, ledger, ..
        } = &self.verifier;
        let choices = || courses.values().map(|course| &course.choices);
        let rounds = choices().map(|choices| choices.opened.len()).sum();
        let others =
            |choices: &Choices| choices.refused.len() + choices.times.len() + choices.unread.len();
        (rounds, ledger.held() + choices().map(others).sum::<usize>())
    }

    /// What was verified, counted, and what was found since it was last asked for.
    pub const fn report(&mut self) -> &mut Report {
        &mut self.verifier.report
    }

    fn partitions_of(&self, topic: Topic) -> std::ops::Range<i32> {
        match topic.is_table() {
            true => 0..1,
            false => 0..self.verifier.about.partitions,
        }
    }

    /// Begins a reading: where what may be read of tables and outputs ends.
    fn ask(&mut self, now: Timestamp) -> Result<BTreeMap<Place, i64>, Error> {
        self.reading += 1;
        self.verifier.about.read_at = now;
        self.verifier.ledger.now = Seen {
            reading: self.reading,
            at: now,
        };
        // ORDER: what is committed, then what was put out, then the tables.
        self.take_cuts(self.handle.positions()?);
        let mut ends = BTreeMap::new();
        for topic in OUTPUTS.into_iter().chain(INPUTS).chain(TABLES) {
            for partition in self.partitions_of(topic) {
                let place = (topic, partition);
                if !INPUTS.contains(&topic) {
                    ends.insert(place, self.reader.ends(topic, partition)?.1);
                }
                let (start, far) = self.reader.far_ends(topic, partition)?;
                self.begin(place, start);
                let known = self.ends.entry(place).or_default();
                known.ask(self.reading, far);
            }
        }
        Ok(ends)
    }

    fn take_cuts(&mut self, mut committed: BTreeMap<i32, Committed>) {
        for partition in 0..self.verifier.about.partitions {
            let committed = committed.remove(&partition);
            let positions = committed.map(|of| of.positions).unwrap_or_default();
            let ahead = self.ahead.entry(partition).or_default();
            if ahead.back().is_some_and(|cut| cut.positions == positions) || ahead.len() >= ENDS {
                ahead.pop_back();
            }
            ahead.push_back(Cut {
                reading: self.reading,
                positions,
            });
        }
    }

    /// Notes the first record there is of a partition: what is gone before it was read cannot be
    /// told.
    fn begin(&mut self, place: Place, start: i64) {
        let (topic, partition) = place;
        let parts = &mut self.verifier.about.parts;
        let same = |part: &&mut Part| part.topic == topic.name() && part.partition == partition;
        let Some(part) = parts.iter_mut().find(same) else {
            parts.push(Part {
                topic: topic.name().to_owned(),
                partition,
                start,
                end: start,
            });
            self.read.insert(place, start);
            self.stepped.insert(place, start);
            return;
        };
        let next = match INPUTS.contains(&topic) {
            true => self.stepped.entry(place).or_default(),
            false => self.read.entry(place).or_default(),
        };
        if *next < start {
            part.start = start;
            *next = start;
        }
    }

    /// Reads a table, or what was put out, up to its end.
    fn read_to(
        &mut self,
        place: Place,
        ends: &BTreeMap<Place, i64>,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let (topic, partition) = place;
        let next = self.read.entry(place).or_default();
        let end = ends.get(&place).copied().unwrap_or_default();
        let verifier = &mut self.verifier;
        let from = *next;
        let each = &mut |stored: Stored| {
            go_on(stop)?;
            *next = stored.offset + 1;
            verifier.meet(&stored);
            Ok(ControlFlow::Continue(()))
        };
        self.reader.read_to(topic, partition, from, end, each)?;
        *next = end.max(*next);
        let read = *next;
        self.ends.entry(place).or_default().read(read);
        Ok(())
    }

    /// Steps inputs as far as is committed and everything is known that was chosen there.
    fn step(&mut self, stop: &AtomicBool) -> Result<(), Error> {
        let whole = |ends: &BTreeMap<Place, Ends>, partition| {
            let of = CHOICES.map(|topic| ends.get(&(topic, partition)).map_or(0, |of| of.whole));
            of.into_iter().min().unwrap_or_default()
        };
        for (partition, ahead) in &mut self.ahead {
            let whole = whole(&self.ends, *partition);
            while let Some(cut) = ahead.pop_front_if(|cut| cut.reading <= whole) {
                self.cuts.insert(*partition, cut);
            }
        }
        let mut parts = Vec::new();
        for (partition, cut) in &self.cuts {
            for (topic, position) in &cut.positions {
                let from = self.stepped.get(&(*topic, *partition)).copied();
                parts.push((
                    *topic,
                    *partition,
                    from.unwrap_or_default()..position.next.0,
                ));
            }
        }
        let updates = parts.extract_if(.., |(topic, ..)| *topic == Topic::TrustUpdates);
        let updates: Vec<_> = updates.collect();
        let (verifier, stepped) = (&mut self.verifier, &mut self.stepped);
        for part in [updates, parts] {
            let ends = part.clone();
            read_in_order(&*self.reader, part, &mut |_, stored| {
                go_on(stop)?;
                stepped.insert((stored.topic, stored.partition), stored.offset + 1);
                match stored.topic {
                    Topic::TrustUpdates => verifier.step(stored),
                    _ => verifier.input(stored),
                }
                Ok(())
            })?;
            for (topic, partition, offsets) in ends {
                let next = stepped.entry((topic, partition)).or_default();
                *next = offsets.end.max(*next);
                if INPUTS.contains(&topic) {
                    let ends = self.ends.entry((topic, partition)).or_default();
                    ends.read(*next);
                }
            }
        }
        Ok(())
    }

    /// Records of an input that are not stepped.
    fn behind(&self, topic: Topic) -> i64 {
        let of = self.partitions_of(topic).map(|partition| {
            let end = self.ends.get(&(topic, partition)).map_or(0, |of| of.last);
            let stepped = self.stepped.get(&(topic, partition)).copied();
            (end - stepped.unwrap_or_default()).max(0)
        });
        of.sum()
    }

    /// Forgets how proposals were judged that are stepped, and how rounds were opened that are
    /// forgotten.
    fn forget(&mut self) {
        let Verifier {
            courses, ledger, ..
        } = &mut self.verifier;
        let is_over = |id: &_| ledger.forgotten.get(id) == Some(&self.reading);
        let is_any = ledger
            .forgotten
            .values()
            .any(|since| *since == self.reading);
        for course in courses.values_mut() {
            let next = course.next_proposal();
            let choices = &mut course.choices;
            choices.refused = choices.refused.split_off(&next);
            if is_any {
                choices.opened.retain(|_, choice| !is_over(&choice.id));
            }
        }
    }

    /// Tells what is under way no more.
    fn judge(&mut self, now: Timestamp) {
        let Self {
            verifier,
            stepped,
            ends,
            cuts,
            ..
        } = self;
        let partitions = verifier.about.partitions;
        let reached = |partition| cuts.get(&partition).map_or(0, |cut: &Cut| cut.reading);
        let all_reached = (0..partitions).map(reached).min().unwrap_or_default();
        let whole = |place: Place| ends.get(&place).map(|of| of.whole);
        let is_stale = |claim: &Claim| {
            let seen = claim.seen.reading;
            match &claim.key {
                Key::Forward(topic, _) => claim.key.origin().is_none_or(|(partition, offset)| {
                    let place = (*topic, partition);
                    let next = stepped.get(&place).copied().unwrap_or_default();
                    next > offset || whole(place).is_none_or(|whole| whole >= seen)
                }),
                // Whichever partition's processor may have put it out.
                Key::Update(..) | Key::Score(..) => all_reached > seen,
                _ if claim.partition >= partitions => true,
                _ => reached(claim.partition) > seen,
            }
        };
        let is_covered = |claim: &Claim| {
            let whole = whole((claim.key.topic(), claim.partition));
            whole.is_none_or(|whole| whole >= claim.seen.reading)
        };
        let low = |partition| {
            let cut = cuts.get(&partition)?;
            Some(cut.positions.get(&Topic::Responses)?.low)
        };
        let grace = verifier.options.grace;
        let is_overdue = |claim: &Claim| {
            // A processor that indexes its closed rounds lets responses wait that are for one.
            let may_wait = match claim.key {
                Key::Letter(Topic::Responses, partition, offset) => {
                    low(partition).is_none_or(|low: Offset| low <= offset)
                }
                _ => false,
            };
            let is_patient = now.since(claim.seen.at) >= grace;
            is_covered(claim) && is_patient && !may_wait
        };
        let due = Due {
            settle: Settle {
                about: &verifier.about,
                settled: Timestamp(i64::MAX),
                halted: &verifier.halted,
            },
            is_stale: &is_stale,
            is_covered: &is_covered,
            is_overdue: &is_overdue,
        };
        verifier.ledger.judge(&due, &mut verifier.report);
    }
}

/// Whether it is not told to stop.
fn go_on(stop: &AtomicBool) -> Result<(), transport::Error> {
    match stop.load(Ordering::Relaxed) {
        true => Err(transport::Error::Stopped),
        false => Ok(()),
    }
}

impl Report {
    /// What was found to be broken, or could not be evaluated, since it was last taken.
    pub fn take(&mut self) -> (Vec<Finding>, Vec<Finding>) {
        let broken = std::mem::take(&mut self.broken);
        (broken, std::mem::take(&mut self.not_evaluated))
    }
}
