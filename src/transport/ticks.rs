//! When to append a tick to a topic that has fallen silent: a schedule, without a clock of its own.
//!
//! First 50 ms after the time that waits, then every 250 ms, doubling to 5 s, until stream time
//! has passed. A tick too many is harmless.

use std::collections::BTreeMap;

use quorate_core::ids::{Millis, Timestamp};
use quorate_core::topic::Topic;

/// How long after its time a first tick is due.
const GRACE: Millis = Millis(50);
/// How long after the first tick the second is due.
const FIRST_WAIT: Millis = Millis(250);
/// The longest time between ticks.
const LONGEST_WAIT: i64 = 5_000;

/// What waits on stream time, by partition and topic.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    waiting: BTreeMap<(i32, Topic), Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// The time stream time must pass.
    due: Timestamp,
    /// When the next tick is due, by the runtime's clock.
    next: Timestamp,
    /// How long to wait after that one.
    wait: Millis,
}

impl Ticks {
    /// Takes what a partition waits on now; what it no longer waits on is forgotten.
    pub(super) fn wait_for(&mut self, partition: i32, due: &[(Topic, Timestamp)]) {
        let still = |topic: Topic| due.iter().any(|&(waited, _)| waited == topic);
        self.waiting
            .retain(|&(of, topic), _| of != partition || still(topic));
        for &(topic, due) in due {
            let fresh = || Waiting {
                due,
                next: due.plus(GRACE),
                wait: FIRST_WAIT,
            };
            let waiting = self.waiting.entry((partition, topic)).or_insert_with(fresh);
            if waiting.due != due {
                *waiting = fresh();
            }
        }
    }

    /// Forgets a partition.
    pub(super) fn forget(&mut self, partition: i32) {
        self.waiting.retain(|&(of, _), _| of != partition);
    }

    /// The partitions of topics to append a tick to now.
    pub(super) fn fire(&mut self, now: Timestamp) -> Vec<(i32, Topic)> {
        let mut fired = Vec::new();
        for (&at, waiting) in &mut self.waiting {
            if waiting.next <= now {
                fired.push(at);
                waiting.next = now.plus(waiting.wait);
                waiting.wait = Millis((waiting.wait.0 * 2).min(LONGEST_WAIT));
            }
        }
        fired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSES: Topic = Topic::Responses;

    #[test]
    fn ticks_start_after_the_grace_and_slow_down_to_five_seconds() {
        let mut ticks = Ticks::default();
        ticks.wait_for(3, &[(RESPONSES, Timestamp(1_000))]);
        assert_eq!(ticks.fire(Timestamp(1_049)), []);
        let mut at = Vec::new();
        for now in 1_050..20_000 {
            ticks.wait_for(3, &[(RESPONSES, Timestamp(1_000))]);
            if ticks.fire(Timestamp(now)) == [(3, RESPONSES)] {
                at.push(now);
            }
        }
        assert_eq!(
            at,
            [1_050, 1_300, 1_800, 2_800, 4_800, 8_800, 13_800, 18_800]
        );
    }

    #[test]
    fn what_no_longer_waits_is_not_ticked_and_a_later_time_starts_over() {
        let mut ticks = Ticks::default();
        ticks.wait_for(0, &[(RESPONSES, Timestamp(1_000))]);
        assert_eq!(ticks.fire(Timestamp(2_000)).len(), 1);
        ticks.wait_for(0, &[(RESPONSES, Timestamp(2_000))]);
        assert_eq!(ticks.fire(Timestamp(2_049)), []);
        assert_eq!(ticks.fire(Timestamp(2_050)).len(), 1);
        ticks.wait_for(0, &[]);
        assert_eq!(ticks.fire(Timestamp(9_000)), []);
    }

    #[test]
    fn a_partition_that_goes_takes_its_ticks_with_it() {
        let mut ticks = Ticks::default();
        ticks.wait_for(0, &[(RESPONSES, Timestamp(0))]);
        ticks.wait_for(1, &[(RESPONSES, Timestamp(0))]);
        ticks.forget(0);
        assert_eq!(ticks.fire(Timestamp(50)), [(1, RESPONSES)]);
    }
}
