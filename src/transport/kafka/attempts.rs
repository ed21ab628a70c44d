//! What the last transactions of an id have touched, for the case that their ends do not reach all
//! of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rdkafka::topic_partition_list::TopicPartitionList;

/// How long the end of a transaction may be on its way, at most.
const ENDS: Duration = Duration::from_secs(30);

/// A transaction, as far as its producer knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    /// The partitions written to, with the last offset there that a broker acknowledged.
    pub(super) written: BTreeMap<(Topic, i32), Option<i64>>,
    /// The positions put into it, once it was to be committed.
    pub(super) positions: Option<TopicPartitionList>,
    /// When its commit was told to be a success.
    pub(super) done: Option<Instant>,
}

/// The last transactions of one id: the one under way, and the one before it, whose end may still
/// be on its way when its success has been told; and those that are in doubt.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts(Arc<Mutex<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    last: VecDeque<Attempt>,
    /// Committed before a broker was lost, and not looked after since; oldest first.
    doubtful: Vec<Attempt>,
}

impl Attempts {
    /// How many of the last ones are kept.
    const KEPT: usize = 2;

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note that a transaction has begun.
    pub(super) fn begin(&self) {
        let last = &mut self.lock().last;
        last.push_back(Attempt::default());
        while last.len() > Self::KEPT {
            last.pop_front();
        }
    }

    /// Takes note that a record is on its way to a partition.
    pub(super) fn touch(&self, topic: Topic, partition: i32) {
        if let Some(attempt) = self.lock().last.back_mut() {
            attempt.written.entry((topic, partition)).or_default();
        }
    }

    /// Takes note of where a record came to lie.
    pub(super) fn delivered(&self, topic: Topic, partition: i32, offset: i64) {
        if let Some(attempt) = self.lock().last.back_mut() {
            let last = attempt.written.entry((topic, partition)).or_default();
            *last = (*last).max(Some(offset));
        }
    }

    /// Takes note that the transaction is to be committed, with these positions.
    pub(super) fn asked(&self, positions: &TopicPartitionList) {
        if let Some(attempt) = self.lock().last.back_mut() {
            attempt.positions = Some(positions.clone());
        }
    }

    /// Takes note that the commit was told to be a success.
    pub(super) fn done(&self) {
        if let Some(attempt) = self.lock().last.back_mut() {
            attempt.done = Some(Instant::now());
        }
    }

    /// Puts those whose success was told in doubt: a broker was lost. They are kept however many
    /// others follow, and whatever becomes of their producer.
    pub(super) fn doubt(&self) {
        let noted = &mut *self.lock();
        let (done, open) = noted
            .last
            .drain(..)
            .partition(|attempt| attempt.done.is_some());
        let done: VecDeque<Attempt> = done;
        noted.doubtful.extend(done);
        noted.last = open;
    }

    /// Whether the last one whose success was told may be ending still. It has ended once a record
    /// of the next one has come to lie anywhere.
    pub(super) fn may_be_ending(&self) -> bool {
        let noted = self.lock();
        let lies = |attempt: &Attempt| attempt.written.values().any(Option::is_some);
        if noted
            .last
            .back()
            .is_some_and(|next| next.done.is_none() && lies(next))
        {
            return false;
        }
        let mut all = noted.doubtful.iter().chain(&noted.last).rev();
        let done = all.find_map(|attempt| attempt.done);
        done.is_some_and(|at| at.elapsed() < ENDS)
    }

    /// Those in doubt, oldest first.
    pub(super) fn doubtful(&self) -> Vec<Attempt> {
        self.lock().doubtful.clone()
    }

    /// Takes note that those in doubt have ended everywhere.
    pub(super) fn trust(&self) {
        self.lock().doubtful.clear();
    }

    /// What is kept, oldest first.
    pub(super) fn kept(&self) -> Vec<Attempt> {
        let noted = self.lock();
        noted.doubtful.iter().chain(&noted.last).cloned().collect()
    }

    /// Forgets all of it: it has ended everywhere.
    pub(super) fn forget(&self) {
        *self.lock() = Noted::default();
    }
}

/// The attempts of every engine of a process, which outlive its sessions.
#[derive(Clone, Debug, Default)]
pub(super) struct Book(Arc<Mutex<BTreeMap<String, Attempts>>>);

impl Book {
    /// Those of one transactional id.
    pub(super) fn of(&self, id: &str) -> Attempts {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(id.to_owned()).or_default().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transaction_under_way_is_kept_with_the_one_before_it() {
        let attempts = Attempts::default();
        for offset in [3, 5, 9] {
            attempts.begin();
            attempts.touch(Topic::Outcomes, 1);
            attempts.touch(Topic::Rounds, 1);
            attempts.delivered(Topic::Outcomes, 1, offset);
            attempts.delivered(Topic::Outcomes, 1, offset - 1);
        }
        let written =
            |last| BTreeMap::from([((Topic::Outcomes, 1), last), ((Topic::Rounds, 1), None)]);
        let kept: Vec<_> = attempts.kept().into_iter().map(|a| a.written).collect();
        assert_eq!(kept, [written(Some(5)), written(Some(9))]);
        attempts.forget();
        assert!(attempts.kept().is_empty());
    }

    #[test]
    fn one_that_is_done_may_be_ending_until_the_next_has_written() {
        let attempts = Attempts::default();
        assert!(!attempts.may_be_ending());
        attempts.begin();
        attempts.touch(Topic::Outcomes, 1);
        assert!(!attempts.may_be_ending(), "nobody said it is done");
        attempts.done();
        assert!(attempts.may_be_ending());
        attempts.begin();
        attempts.touch(Topic::Outcomes, 1);
        assert!(attempts.may_be_ending());
        attempts.doubt();
        assert!(attempts.may_be_ending(), "doubted or not");
        attempts.delivered(Topic::Outcomes, 1, 7);
        assert!(!attempts.may_be_ending());
        attempts.done();
        assert!(attempts.may_be_ending(), "the next one");
    }

    #[test]
    fn those_in_doubt_are_kept_until_they_are_trusted() {
        let attempts = Attempts::default();
        let transaction = |partition, is_done| {
            attempts.begin();
            attempts.touch(Topic::Outcomes, partition);
            if is_done {
                attempts.done();
            }
        };
        let partitions = |attempts: Vec<Attempt>| -> Vec<i32> {
            let places = attempts.into_iter().flat_map(|attempt| attempt.written);
            places.map(|((_, partition), _)| partition).collect()
        };
        (0..3).for_each(|partition| transaction(partition, true));
        transaction(3, false);
        attempts.doubt();
        attempts.doubt();
        assert_eq!(partitions(attempts.doubtful()), [2]);
        attempts.done();
        attempts.doubt();
        (4..7).for_each(|partition| transaction(partition, true));
        assert_eq!(partitions(attempts.kept()), [2, 3, 5, 6]);
        attempts.trust();
        assert_eq!(partitions(attempts.kept()), [5, 6]);
    }
}
