//! How far measures may be off: items drawn again, all rules on the same draws.

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use serde::Serialize;

use super::scores::{Measures, Row, Sums};

/// Between these two lies what is measured, 95 times of a hundred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Interval {
    /// The 2.5th percentile.
    pub low: f64,
    /// The 97.5th percentile.
    pub high: f64,
}

/// The intervals of a rule's measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Intervals {
    /// Of the accuracy.
    pub accuracy: Interval,
    /// Of the Brier score.
    pub brier: Interval,
    /// Of the log loss.
    pub log_loss: Interval,
    /// Of the error among automatic decisions; none where there may be none.
    pub error_automatic: Option<Interval>,
    /// Of the share escalated.
    pub escalated: Interval,
    /// Of this rule's accuracy less the first one's.
    pub accuracy_difference: Interval,
    /// Of this rule's Brier score less the first one's.
    pub brier_difference: Interval,
}

/// Draws as many items as there are, so many times, and looks at every rule on each draw; none
/// without draws.
///
/// `rules` have rows of the same items in the same order; the first is what others are compared
/// with. `done` hears of each draw.
#[must_use]
pub fn intervals(
    rules: &[Vec<Row>],
    draws: usize,
    seed: u64,
    done: impl Fn() + Sync,
) -> Vec<Option<Intervals>> {
    let items = rules.first().map_or(0, Vec::len);
    if items == 0 || draws == 0 {
        return vec![None; rules.len()];
    }
    // The sums of one item lie together: a draw reads each item's once.
    let sums: Vec<Vec<Sums>> = (0..items)
        .map(|at| {
            rules
                .iter()
                .filter_map(|rows| Some(rows.get(at)?.sums()))
                .collect()
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(draws);
    let drawn = |draw: usize| {
        // Each draw has a stream of its own: threads do not matter.
        let mut random = Pcg64::seed_from_u64(seed.wrapping_add(draw as u64));
        let mut totals = vec![Sums::default(); rules.len()];
        for _ in 0..items {
            let Some(of_item) = sums.get(random.random_range(0..items)) else {
                continue;
            };
            for (total, of_rule) in totals.iter_mut().zip(of_item) {
                total.add(of_rule);
            }
        }
        done();
        totals.iter().map(Sums::measures).collect::<Vec<_>>()
    };
    let drawn = &drawn;
    let measured: Vec<Vec<Measures>> = std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let draws = (part..draws).step_by(threads);
                scope.spawn(move || draws.map(drawn).collect::<Vec<_>>())
            })
            .collect();
        let joined = parts.into_iter().filter_map(|part| part.join().ok());
        joined.flatten().collect()
    });
    (0..rules.len())
        .map(|rule| Some(of_rule(&measured, rule)))
        .collect()
}

fn of_rule(measured: &[Vec<Measures>], rule: usize) -> Intervals {
    let each = |value: &dyn Fn(&Measures, &Measures) -> Option<f64>| {
        let values = measured.iter().map(|of_draw| {
            let (first, own) = (of_draw.first()?, of_draw.get(rule)?);
            value(own, first)
        });
        interval(values.collect::<Option<Vec<f64>>>()?)
    };
    let of = |value: fn(&Measures) -> f64| each(&|own, _| Some(value(own))).unwrap_or_default();
    let less = |value: fn(&Measures) -> f64| {
        each(&|own, first| Some(value(own) - value(first))).unwrap_or_default()
    };
    Intervals {
        accuracy: of(|measures| measures.accuracy),
        brier: of(|measures| measures.brier),
        log_loss: of(|measures| measures.log_loss),
        error_automatic: each(&|own, _| own.error_automatic),
        escalated: of(|measures| measures.escalated),
        accuracy_difference: less(|measures| measures.accuracy),
        brier_difference: less(|measures| measures.brier),
    }
}

/// The middle 95 of a hundred of some values; none without values.
#[must_use]
pub fn interval(mut values: Vec<f64>) -> Option<Interval> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    // Rounded outwards: an interval may be too wide, not too narrow.
    let low = values.get(last * 25 / 1000)?;
    let high = values.get((last * 975).div_ceil(1000))?;
    Some(Interval {
        low: *low,
        high: *high,
    })
}

#[cfg(test)]
mod tests {
    use quorate_core::records::Status;

    use super::*;

    fn rows(items: usize, right: impl Fn(usize) -> bool) -> Vec<Row> {
        let p = |at| if right(at) { 0.9 } else { 0.1 };
        (0..items)
            .map(|at| Row::new(at, true, p(at), Status::Approved))
            .collect()
    }

    #[test]
    fn an_interval_covers_what_was_measured_and_narrows_with_more_items() {
        let of = |items| {
            let rows = rows(items, |at| at.is_multiple_of(4));
            let [Some(one)] = intervals(&[rows], 400, 7, || {})[..] else {
                panic!("one rule, one interval")
            };
            one.accuracy
        };
        let (few, many) = (of(40), of(4_000));
        assert!(few.low < 0.25 && 0.25 < few.high, "{few:?}");
        assert!(many.low < 0.25 && 0.25 < many.high, "{many:?}");
        // A proportion of ¼ has a standard error of √(3/16n): 95 % are 3.92 of them.
        let expected = 3.92 * (3.0 / 16.0 / 4_000.0_f64).sqrt();
        let width = many.high - many.low;
        assert!((width / expected - 1.0).abs() < 0.25, "{width} {expected}");
        assert!(few.high - few.low > 5.0 * width);
    }

    #[test]
    fn rules_are_compared_on_the_same_draws() {
        // The second rule is right wherever the first is, and on one item in ten besides.
        let first = rows(500, |at| at.is_multiple_of(2));
        let second = rows(500, |at| at.is_multiple_of(2) || at % 10 == 1);
        let [_, Some(of_second)] = intervals(&[first, second], 300, 7, || {})[..] else {
            panic!("two rules, two intervals")
        };
        let Interval { low, high } = of_second.accuracy_difference;
        assert!(
            0.06 < low && low < 0.1 && 0.1 < high && high < 0.14,
            "{low} {high}"
        );
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let rows = vec![rows(50, |at| at.is_multiple_of(3))];
        let draw = |seed| intervals(&rows, 60, seed, || {});
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
    }
}
