//! How far the reading of what a partition is restored from has come.

use super::Vitals;

/// Records between one word to [`Vitals`] and the next.
const SELDOM: u64 = 512;

/// Records read, and offsets passed of those to pass: compaction leaves fewer records than offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Records read.
    pub(super) records: u64,
    /// Offsets to pass, as far as is known.
    expected: u64,
    /// Offsets of what is read to its end.
    passed: u64,
    /// Offsets passed of what is being read.
    reached: u64,
}

impl Restored {
    /// Takes note that offsets are to be passed, up to one that is not.
    pub fn expect(&mut self, from: i64, to: i64) {
        self.expected += span(from, to);
    }

    /// Takes note of a record read, so many offsets after the first expected.
    pub fn reach(&mut self, after: i64, partition: i32, vitals: &Vitals) {
        self.records += 1;
        self.reached = span(0, after) + 1;
        if self.records.is_multiple_of(SELDOM) {
            vitals.restoring(partition, self);
        }
    }

    /// Takes note that what was expected has been read to its end.
    pub fn pass(&mut self, from: i64, to: i64, partition: i32, vitals: &Vitals) {
        self.passed += span(from, to);
        self.reached = 0;
        vitals.restoring(partition, self);
    }

    /// Offsets passed.
    pub(super) const fn done(&self) -> u64 {
        self.passed + self.reached
    }

    /// What part of the way that is, from 0 to 1; 0 before the way is known.
    pub(super) fn part(&self) -> f64 {
        if self.expected == 0 {
            return 0.0;
        }
        (self.done() as f64 / self.expected as f64).min(1.0)
    }
}

fn span(from: i64, to: i64) -> u64 {
    u64::try_from(to.saturating_sub(from)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_topic_read_to_its_end_counts_whole_however_few_records_are_left() {
        let vitals = Vitals::new(Duration::ZERO);
        let mut restored = Restored::default();
        restored.expect(10, 110);
        restored.expect(0, 100);
        restored.reach(49, 0, &vitals);
        assert!((restored.part() - 0.25).abs() < 1e-9);
        restored.pass(10, 110, 0, &vitals);
        assert!((restored.part() - 0.5).abs() < 1e-9);
        restored.pass(0, 100, 0, &vitals);
        assert!((restored.part() - 1.0).abs() < 1e-9);
        assert_eq!(restored.records, 1);
    }
}
