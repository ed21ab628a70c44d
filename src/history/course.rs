//! One partition gone through again: its engine, stepped with what lay there.
//!
//! What a processor had read when it opened a round is a choice that is recorded, and not made
//! again: the pins, and the time of the responses. Everything else follows. Topics race, and the
//! order in which they are read must not decide; but a round that was opened before an order was
//! read is opened before it here too, since what the order bears on rests on that.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::records::{Control, Pins};
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use super::Error;
use crate::engine::{Config, Input, Output, Partition, Saved, Tables};
use crate::transport::{self, Stored};
use crate::wire::Codec;

/// What whoever opened a round had read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The round.
    pub id: ProposalId,
    /// The tables' offsets.
    pub pins: Pins,
    /// The time of the responses; none if that is not known, and bears on nothing.
    pub responses_time: Option<Timestamp>,
}

/// What was chosen in a partition.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Of rounds that were opened, by their proposals' offsets.
    pub opened: BTreeMap<Offset, Choice>,
    /// The tables that proposals were refused by.
    pub refused: BTreeMap<Offset, Pins>,
    /// Times of the responses that rounds were opened at, and that have not come yet.
    pub times: BTreeSet<Timestamp>,
    /// Records that nobody could read when they came.
    pub unread: BTreeSet<(Topic, Offset)>,
}

/// What was made of an input.
#[derive(Clone, Debug)]
pub struct Made {
    /// The last append time of what it follows from.
    pub due: Timestamp,
    /// What it is.
    pub output: Output,
}

/// A course put away, but for what was chosen, which the history tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Halfway {
    engine: Saved,
    proposals: VecDeque<Stored>,
    responses: VecDeque<Stored>,
    next_proposal: Offset,
    next_response: Offset,
    responses_time: Timestamp,
    now: Timestamp,
    trust: Option<Offset>,
}

/// A partition's engine, and what waits to be stepped.
#[derive(Debug)]
pub struct Course {
    engine: Partition,
    codec: Arc<Codec>,
    partition: i32,
    /// What was chosen.
    pub choices: Choices,
    proposals: VecDeque<Stored>,
    responses: VecDeque<Stored>,
    /// The offset of the next proposal to be stepped, at least.
    next_proposal: Offset,
    next_response: Offset,
    /// Stream time of the responses.
    responses_time: Timestamp,
    /// The last append time of anything stepped.
    now: Timestamp,
    /// The scores that rounds are opened by, in place of those on record.
    trust: Option<Offset>,
}

impl Course {
    /// Of a partition, from its beginning.
    #[must_use]
    pub fn new(config: Config, codec: &Arc<Codec>) -> Self {
        Self {
            engine: Partition::new(config, Arc::clone(codec)),
            codec: Arc::clone(codec),
            partition: config.partition,
            choices: Choices::default(),
            proposals: VecDeque::new(),
            responses: VecDeque::new(),
            next_proposal: Offset(0),
            next_response: Offset(0),
            responses_time: Timestamp::default(),
            now: Timestamp::default(),
            trust: None,
        }
    }

    /// Has rounds opened from now on rest on other scores than those on record.
    pub const fn trust_at(&mut self, offset: Offset) {
        self.trust = Some(offset);
    }

    /// Takes what whoever opened a round had read, unless that round is opened here already.
    pub fn choose(&mut self, offset: Offset, choice: Choice) {
        if offset < self.next_proposal {
            return;
        }
        let times = choice.responses_time.into_iter();
        // The responses stand there already.
        let to_come = times.filter(|time| *time != self.responses_time);
        self.choices.times.extend(to_come);
        let known = self.choices.opened.entry(offset);
        let known = known.or_insert(choice);
        if choice.responses_time.is_some() {
            *known = choice;
        }
    }

    /// Takes the tables that a proposal was refused by, unless it is refused here already.
    pub fn refuse(&mut self, offset: Offset, pins: Pins) {
        if offset >= self.next_proposal {
            self.choices.refused.insert(offset, pins);
        }
    }

    /// The proposals below it were stepped.
    #[must_use]
    pub const fn next_proposal(&self) -> Offset {
        self.next_proposal
    }

    /// The course as far as it has come.
    #[must_use]
    pub fn halfway(&self) -> Halfway {
        Halfway {
            engine: self.engine.saved(),
            proposals: self.proposals.clone(),
            responses: self.responses.clone(),
            next_proposal: self.next_proposal,
            next_response: self.next_response,
            responses_time: self.responses_time,
            now: self.now,
            trust: self.trust,
        }
    }

    /// Goes on from where a course had come, by the same tables and choices.
    ///
    /// # Errors
    /// [`Error::Engine`] if what it rests on is not there.
    pub fn go_on_from(
        &mut self,
        config: Config,
        tables: &Tables,
        halfway: Halfway,
    ) -> Result<(), Error> {
        let engine = Partition::of_saved(config, Arc::clone(&self.codec), tables, halfway.engine);
        self.engine = engine.map_err(|source| Error::Engine {
            partition: self.partition,
            source,
        })?;
        self.proposals = halfway.proposals;
        self.responses = halfway.responses;
        self.next_proposal = halfway.next_proposal;
        self.next_response = halfway.next_response;
        self.responses_time = halfway.responses_time;
        self.now = halfway.now;
        self.trust = halfway.trust;
        Ok(())
    }

    /// The engine as it is now.
    #[must_use]
    pub const fn engine(&self) -> &Partition {
        &self.engine
    }

    /// Takes the next record of a topic; `made` is given what follows.
    ///
    /// # Errors
    /// [`Error::Engine`] if the engine cannot go on; [`Error::Log`] for a record without a time.
    pub fn take(
        &mut self,
        tables: &mut Tables,
        stored: &Stored,
        made: &mut dyn FnMut(Made),
    ) -> Result<(), Error> {
        match stored.topic {
            Topic::Proposals if self.proposals.is_empty() && self.is_due(stored) => {
                self.propose(tables, stored, made)?;
            }
            Topic::Proposals => self.proposals.push_back(stored.clone()),
            Topic::Responses if self.is_next(stored) => self.respond(tables, stored, made)?,
            Topic::Responses => self.responses.push_back(stored.clone()),
            _ => self.step(tables, stored, made)?,
        }
        while self.go_on(tables, made)? {}
        Ok(())
    }

    /// Steps what waits still, whatever it waits for.
    ///
    /// # Errors
    /// As [`Course::take`].
    pub fn finish(&mut self, tables: &mut Tables, made: &mut dyn FnMut(Made)) -> Result<(), Error> {
        loop {
            while self.go_on(tables, made)? {}
            if let Some(stored) = self.proposals.pop_front() {
                self.propose(tables, &stored, made)?;
            } else if let Some(stored) = self.responses.pop_front() {
                self.respond(tables, &stored, made)?;
            } else {
                return Ok(());
            }
        }
    }

    fn go_on(&mut self, tables: &mut Tables, made: &mut dyn FnMut(Made)) -> Result<bool, Error> {
        let is_due = self
            .proposals
            .front()
            .is_some_and(|first| self.is_due(first));
        if is_due && let Some(stored) = self.proposals.pop_front() {
            self.propose(tables, &stored, made)?;
            return Ok(true);
        }
        let is_held = self
            .responses
            .front()
            .is_some_and(|next| self.is_held(next));
        if is_held {
            return Ok(false);
        }
        let Some(stored) = self.responses.pop_front() else {
            return Ok(false);
        };
        self.respond(tables, &stored, made)?;
        Ok(true)
    }

    /// Whether the responses have come as far as they had when a proposal was read.
    fn is_due(&self, stored: &Stored) -> bool {
        let choice = self.choices.opened.get(&Offset(stored.offset));
        let time = choice.and_then(|choice| choice.responses_time);
        time.is_none_or(|time| time <= self.responses_time)
    }

    /// Whether a response is what is to be stepped next.
    fn is_next(&self, stored: &Stored) -> bool {
        self.proposals.is_empty() && self.responses.is_empty() && !self.is_held(stored)
    }

    /// Whether a record is an order that rounds yet to be opened were opened before.
    fn is_held(&self, stored: &Stored) -> bool {
        let value = stored.value.as_deref().filter(|_| stored.control);
        let control = value.and_then(|value| self.codec.decode::<Control>(value).ok());
        let Some((control, _)) = control else {
            return false;
        };
        let mut to_come = self.choices.opened.range(self.next_proposal..);
        // One that was opened when the responses had come further was opened after it.
        let is_before = |choice: &Choice| {
            let time = choice.responses_time;
            time.is_none_or(|time| time <= self.responses_time)
        };
        to_come.any(|(_, choice)| {
            let pin = match control.pattern {
                None => choice.pins.agents,
                Some(_) => choice.pins.policies,
            };
            pin < control.table_offset && is_before(choice)
        })
    }

    fn propose(
        &mut self,
        tables: &mut Tables,
        stored: &Stored,
        made: &mut dyn FnMut(Made),
    ) -> Result<(), Error> {
        let offset = Offset(stored.offset);
        self.next_proposal = offset.next();
        let chosen = self.choices.opened.get(&offset).map(|choice| choice.pins);
        let chosen = chosen.or_else(|| self.choices.refused.get(&offset).copied());
        let (read, least) = (tables.pins(), self.engine.pins());
        let mut pins = chosen.map_or(least, |chosen| chosen.max(least));
        if let Some(trust) = self.trust {
            pins.trust = trust;
        }
        tables.set_pins(pins);
        let stepped = self.step(tables, stored, made);
        tables.set_pins(read);
        stepped
    }

    fn respond(
        &mut self,
        tables: &mut Tables,
        stored: &Stored,
        made: &mut dyn FnMut(Made),
    ) -> Result<(), Error> {
        let offset = Offset(stored.offset);
        // Nobody appends to the responses in a transaction: an offset left out is a record gone.
        if offset > self.next_response {
            let lost = Input::Lost {
                topic: Topic::Responses,
                below: offset,
            };
            self.put(tables, lost, made)?;
        }
        self.next_response = offset.next();
        let time = stored.timestamp.unwrap_or_default();
        self.responses_time = self.responses_time.max(time);
        self.choices.times.remove(&self.responses_time);
        self.step(tables, stored, made)
    }

    fn step(
        &mut self,
        tables: &Tables,
        stored: &Stored,
        made: &mut dyn FnMut(Made),
    ) -> Result<(), Error> {
        let Some(mut record) = stored.record() else {
            return Err(transport::Error::untimed(stored.topic, self.partition).into());
        };
        if self.choices.unread.remove(&(record.topic, record.offset)) {
            record.value = None;
        }
        self.now = self.now.max(record.timestamp);
        self.put(tables, Input::Record(record), made)
    }

    fn put(
        &mut self,
        tables: &Tables,
        input: Input<'_>,
        made: &mut dyn FnMut(Made),
    ) -> Result<(), Error> {
        let outputs = self.engine.step(tables, input);
        let outputs = outputs.map_err(|source| Error::Engine {
            partition: self.partition,
            source,
        })?;
        let due = self.now;
        outputs
            .into_iter()
            .for_each(|output| made(Made { due, output }));
        Ok(())
    }
}
