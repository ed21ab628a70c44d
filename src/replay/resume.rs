//! Goes through a history in one go, or from where a replay was put away.

use std::collections::BTreeMap;

use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;

use super::checkpoint::{self, Checkpoint, Keeping, State, mark, other_history};
use super::{Replay, Replayed, Rules};
use crate::engine::{Config, Detail};
use crate::history::{Error, History, INPUTS};
use crate::transport::Stored;

/// Goes through a history under other rules, from where it was put away if it was.
///
/// # Errors
/// What keeps it from being read, or from being gone through; [`Error::Interrupted`] if it was told
/// to stop.
pub fn replay(
    history: &mut dyn History,
    rules: &Rules,
    keeping: Option<&Keeping>,
    shown: &mut dyn FnMut(i64),
) -> Result<Replayed, Error> {
    let mut before = match keeping {
        Some(keeping) => Checkpoint::read(&keeping.path, rules)?,
        None => None,
    };
    let other = || keeping.map_or(Error::Interrupted, |keep| other_history(&keep.path));
    if before
        .as_ref()
        .is_some_and(|before| !history.hold(&before.about))
    {
        return Err(other());
    }
    let mut replay = Replay::new(history.about().clone(), rules);
    let (mut records, mut passed_over) = (0, 0_i64);
    history.each(&mut |stored| {
        records += 1;
        shown(records);
        let is_input = INPUTS.contains(&stored.topic);
        if let Some(found) = before.take_if(|before| before.records == records) {
            if !found.is_last(stored)? {
                return Err(other());
            }
            replay.pass(stored);
            passed_over += 1;
            tracing::info!(records, passed_over, "goes on where it was put away");
            return replay.go_on_from(found.state);
        }
        let Some(keeping) = keeping else {
            return replay.take(stored);
        };
        let is_stopped = keeping.is_stopped();
        if before.is_some() && is_input {
            replay.pass(stored);
            passed_over += 1;
        } else if is_input && (is_stopped || records % keeping.every == 0) {
            let last = (records, mark(stored)?);
            replay.take(stored)?;
            replay.go_through()?;
            let state = replay.halfway();
            Checkpoint::of(rules, &replay.about, last, state)?.write(&keeping.path)?;
            if is_stopped {
                tracing::info!(records, "put away");
            }
        } else {
            replay.take(stored)?;
        }
        match is_stopped {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    })?;
    if before.is_some() {
        return Err(other());
    }
    let replayed = replay.finish()?;
    keeping.map_or(Ok(()), |keeping| checkpoint::remove(&keeping.path))?;
    Ok(replayed)
}

impl Replay<'_> {
    /// Takes what is known of an input whether it is gone through or was before.
    pub(super) fn pass(&mut self, stored: &Stored) {
        match stored.topic {
            Topic::Results => {
                let codec = self.codec();
                self.result(&codec, stored);
            }
            Topic::Responses => self.responses += u64::from(stored.value.is_some()),
            _ => {}
        }
    }

    /// All that the history does not tell.
    fn halfway(&self) -> State {
        let courses = self.courses.iter();
        let scores = self.scores.values().filter_map(|(_, is)| is.clone());
        let trust = match self.rules.is_trust_replayed() {
            true => self.tables.every_score(),
            false => BTreeMap::new(),
        };
        State {
            courses: courses
                .map(|(at, course)| (*at, course.halfway()))
                .collect(),
            is: self.is.clone(),
            scores: scores.collect(),
            waiting: self.waiting.clone(),
            lessons: self.lessons.clone(),
            trust: trust
                .into_iter()
                .map(|(at, score)| (at, (**score).clone()))
                .collect(),
        }
    }

    /// Goes on from where it was.
    fn go_on_from(&mut self, state: State) -> Result<(), Error> {
        for (offset, score) in state.trust {
            self.replayed_row(offset, &score, Timestamp::default());
        }
        for score in state.scores {
            let place = checkpoint::place(&score);
            self.scores.entry(place).or_default().1 = Some(score);
        }
        self.is = state.is;
        self.waiting = state.waiting;
        self.lessons = state.lessons;
        for (partition, halfway) in state.courses {
            let config = Config {
                partition,
                partitions: self.about.partitions,
                detail: Detail::Gist,
            };
            self.course(partition);
            if let Some(course) = self.courses.get_mut(&partition) {
                course.go_on_from(config, &self.tables, halfway)?;
            }
        }
        Ok(())
    }
}
