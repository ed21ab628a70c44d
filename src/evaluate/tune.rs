//! Which margin keeps to a wanted error, or to what people can look at, by a history.
//!
//! What is learnt does not depend on the margin, or, where only approved items have a result, is
//! what the policy as it is lets be known: one pass over the history, by the core, decides every
//! item under every margin tried. A margin is promised only where the history bears it: the
//! exact 95 % bound of its error (Clopper and Pearson 1934), not the error itself, must keep to
//! what is wanted. Margins are tried from the strictest on, and the first that does not keep ends
//! it (testing in a fixed order: Angelopoulos, Bates et al. 2021): trying many promises no more.

use std::collections::BTreeMap;

use quorate_core::millionths::{Millionths, Sum};
use quorate_core::records::{Policy, Status};
use serde::Serialize;
use statrs::distribution::{Beta, ContinuousCDF as _};

use super::run::Plan;

/// What a promise may fail by.
const DOUBT: f64 = 0.05;
/// A margin is looked at if it decides so much that this part of the wanted error could be told
/// from it: the strictest ones decide too little to say anything.
const TELLING: f64 = 3.0;
/// A margin that decides less by itself is no way to a wanted error.
const DECIDED_LEAST: f64 = 0.02;

/// The margins tried, strictest first, in millionths.
const ERRORS: [u32; 20] = [
    1_000, 2_000, 5_000, 7_500, 10_000, 15_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000,
    100_000, 120_000, 150_000, 200_000, 250_000, 300_000, 400_000, 500_000,
];
const MARGINS: [u32; 20] = [
    1_000_000, 950_000, 900_000, 850_000, 800_000, 750_000, 700_000, 650_000, 600_000, 550_000,
    500_000, 450_000, 400_000, 350_000, 300_000, 250_000, 200_000, 150_000, 100_000, 50_000,
];

/// What is wanted of a margin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Wanted {
    /// At most this share of automatic decisions wrong.
    Error(f64),
    /// At most this share of items escalated.
    Load(f64),
}

/// The key of a policy that is tuned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Key {
    /// The evidence margin's.
    TargetError,
    /// The relative margin.
    QuorumMargin,
}

/// What a history says of margins.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tuned {
    /// What is wanted.
    pub wanted: Wanted,
    /// The key that is tuned.
    pub key: Key,
    /// Items of the history.
    pub items: usize,
    /// The margin that keeps to it, as far as the history tells; none: no promise.
    pub chosen: Option<Tried>,
    /// Why there is no promise.
    pub refused: Option<Refused>,
    /// The policy as it is.
    pub now: Tried,
    /// Every margin tried, strictest first.
    pub tried: Vec<Tried>,
}

/// Why no margin is promised.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Refused {
    /// A stable code: `too_few` or `out_of_reach`.
    pub code: &'static str,
    /// The margin that came nearest to it.
    pub nearest: Option<f64>,
    /// Items a history must have to promise that one, if it goes on as it did; none where none do.
    pub items_needed: Option<usize>,
}

/// What a margin would have done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// The margin; none for a policy that has the other kind.
    pub value: Option<f64>,
    /// Items decided without a person.
    pub automatic: usize,
    /// Approved that were not good.
    pub approved_wrong: usize,
    /// Rejected that were good.
    pub rejected_wrong: usize,
    /// The share of automatic decisions that were wrong; none without any.
    pub error: Option<f64>,
    /// What the error does not exceed, 95 times of a hundred.
    pub error_high: f64,
    /// The share of items escalated.
    pub escalated: f64,
    /// What that does not exceed, 95 times of a hundred.
    pub escalated_high: f64,
    /// Items that come out otherwise than under the policy as it is, by what they would turn from
    /// and to.
    pub flips: BTreeMap<String, usize>,
}

/// One margin's counts.
#[derive(Clone, Debug, Default)]
struct Counts {
    items: usize,
    automatic: usize,
    approved_wrong: usize,
    rejected_wrong: usize,
    flips: BTreeMap<String, usize>,
}

/// Tries every margin on a history.
#[must_use]
pub fn tune(plan: &Plan<'_>, key: Key, wanted: Wanted) -> Tuned {
    let values = match key {
        Key::TargetError => ERRORS,
        Key::QuorumMargin => MARGINS,
    };
    let values = values.map(|value| Millionths::new(value).unwrap_or(Millionths::ONE));
    // One variant of every domain's policy for each margin.
    let variants: Vec<Vec<Policy>> = values
        .iter()
        .map(|value| plan.policies.iter().map(|p| with(p, key, *value)).collect())
        .collect();
    let order: Vec<usize> = (0..plan.history.items.len()).collect();
    let mut counts = vec![Counts::default(); values.len()];
    let mut now = Counts::default();
    plan.ours(&order, |item, decision, course| {
        let is = decision.would_be;
        now.count(is, is, item.good);
        for (counts, policies) in counts.iter_mut().zip(&variants) {
            let Some(policy) = policies.get(item.domain) else {
                continue;
            };
            let domain = plan.history.domain(item);
            let decided = course.decide(policy, domain, plan.answers(item));
            counts.count(is, decided.decision.would_be, item.good);
        }
    });
    let value_now = plan.policies.first().and_then(|policy| match key {
        Key::TargetError => policy.target_error,
        Key::QuorumMargin => policy.quorum_margin,
    });
    let tried: Vec<Tried> = counts
        .iter()
        .zip(values)
        .map(|(counts, value)| counts.tried(Some(value.to_f64())))
        .collect();
    let (chosen, refused) = choose(wanted, &tried, order.len());
    Tuned {
        wanted,
        key,
        items: order.len(),
        chosen,
        refused,
        now: now.tried(value_now.map(Millionths::to_f64)),
        tried,
    }
}

/// A policy with another margin and every gate as it was.
fn with(policy: &Policy, key: Key, value: Millionths) -> Policy {
    match key {
        Key::TargetError => Policy {
            min_weight: policy.min_weight,
            min_confidence: policy.min_confidence,
            ..policy.clone().with_target_error(value)
        },
        Key::QuorumMargin => Policy {
            quorum_margin: Some(value),
            target_error: None,
            evidence_unit: Sum::ZERO,
            ..policy.clone()
        },
    }
}

impl Counts {
    fn count(&mut self, from: Status, to: Status, good: bool) {
        self.items += 1;
        self.automatic += usize::from(to != Status::Escalated);
        self.approved_wrong += usize::from(to == Status::Approved && !good);
        self.rejected_wrong += usize::from(to == Status::Rejected && good);
        if from != to {
            let flip = format!("{from:?} to {to:?}")
                .to_uppercase()
                .replace(" TO ", " to ");
            *self.flips.entry(flip).or_default() += 1;
        }
    }

    fn tried(&self, value: Option<f64>) -> Tried {
        let wrong = self.approved_wrong + self.rejected_wrong;
        let escalated = self.items - self.automatic;
        Tried {
            value,
            automatic: self.automatic,
            approved_wrong: self.approved_wrong,
            rejected_wrong: self.rejected_wrong,
            error: (self.automatic > 0).then(|| wrong as f64 / self.automatic as f64),
            error_high: upper_bound(wrong, self.automatic),
            escalated: escalated as f64 / self.items.max(1) as f64,
            escalated_high: upper_bound(escalated, self.items),
            flips: self.flips.clone(),
        }
    }
}

/// The share that is not exceeded, 95 times of a hundred, where so many of all were.
#[must_use]
pub fn upper_bound(count: usize, of: usize) -> f64 {
    if count >= of {
        return 1.0;
    }
    Beta::new(count as f64 + 1.0, (of - count) as f64)
        .map_or(1.0, |shares| shares.inverse_cdf(1.0 - DOUBT))
}

fn choose(wanted: Wanted, tried: &[Tried], items: usize) -> (Option<Tried>, Option<Refused>) {
    let chosen = match wanted {
        Wanted::Error(error) => loosest(tried, error),
        // The strictest that people can keep up with.
        Wanted::Load(load) => tried.iter().find(|tried| tried.escalated_high <= load),
    };
    if let Some(chosen) = chosen {
        return (Some(chosen.clone()), None);
    }
    (None, Some(refuse(wanted, tried, items)))
}

/// The last of those that keep to an error in an unbroken row, from the strictest on that decides
/// so much that a third of the error could be told from it.
fn loosest(tried: &[Tried], error: f64) -> Option<&Tried> {
    let enough = trials_needed(error / TELLING, error).unwrap_or(usize::MAX);
    let could = |tried: &&Tried| tried.automatic >= enough;
    let kept = |tried: &&Tried| tried.error_high <= error;
    let from = tried.iter().skip_while(|tried| !could(tried));
    from.take_while(kept).last()
}

/// Who came nearest, and how many items it would take.
fn refuse(wanted: Wanted, tried: &[Tried], items: usize) -> Refused {
    let needed = |tried: &Tried| {
        let (share, aim, of_all) = match wanted {
            Wanted::Error(aim) => {
                let decided = tried.automatic as f64 / items.max(1) as f64;
                if decided < DECIDED_LEAST {
                    return None;
                }
                // Few decisions without an error say little: a third of the error is taken.
                (tried.error?.max(aim / TELLING), aim, decided)
            }
            Wanted::Load(aim) => (tried.escalated, aim, 1.0),
        };
        let trials = trials_needed(share, aim)? as f64;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of items, rounded up"
        )]
        let needed = (trials / of_all).ceil() as usize;
        Some((needed, tried.value))
    };
    let is_told = match wanted {
        Wanted::Error(error) => {
            let enough = trials_needed(error / TELLING, error).unwrap_or(usize::MAX);
            tried.iter().any(|tried| tried.automatic >= enough)
        }
        Wanted::Load(_) => true,
    };
    // One that has enough and was not promised lies behind one that does not keep to it.
    let nearest = tried
        .iter()
        .filter_map(needed)
        .filter(|(needed, _)| *needed > items);
    match nearest.min_by_key(|(needed, _)| *needed) {
        Some((needed, value)) => Refused {
            code: "too_few",
            nearest: value,
            items_needed: Some(needed),
        },
        None => Refused {
            code: if is_told { "out_of_reach" } else { "too_few" },
            nearest: None,
            items_needed: None,
        },
    }
}

/// How many trials of which this share fails it takes until the bound is within the aim.
fn trials_needed(share: f64, aim: f64) -> Option<usize> {
    let is_enough = |trials: usize| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of failures, rounded up"
        )]
        let failures = (share * trials as f64).ceil() as usize;
        upper_bound(failures, trials) <= aim
    };
    // Doubled until it is enough, then halved down to the least.
    let most = (0..30)
        .map(|power| 1_usize << power)
        .find(|n| is_enough(*n))?;
    let (mut low, mut high) = (most / 2, most);
    while low + 1 < high {
        let middle = usize::midpoint(low, high);
        if is_enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(value: f64, automatic: usize, wrong: usize) -> Tried {
        let counts = Counts {
            items: 1_000,
            automatic,
            approved_wrong: wrong,
            ..Counts::default()
        };
        counts.tried(Some(value))
    }

    #[test]
    fn bounds_are_those_of_clopper_and_pearson() {
        // One-sided 95 %: 1 − 0.05^(1/n) without a failure; tables have 0.3942 for 1 of 10.
        assert!((upper_bound(0, 30) - (1.0 - 0.05_f64.powf(1.0 / 30.0))).abs() < 1e-6);
        assert!((upper_bound(1, 10) - 0.3942).abs() < 1e-4);
        assert_eq!(upper_bound(10, 10), 1.0);
        assert_eq!(upper_bound(0, 0), 1.0);
    }

    #[test]
    fn the_loosest_margin_of_an_unbroken_row_is_chosen() {
        let row = [
            tried(0.01, 10, 0),   // too few to tell
            tried(0.05, 300, 3),  // keeps
            tried(0.10, 600, 20), // keeps
            tried(0.20, 800, 70), // 8.75 %: does not
            tried(0.30, 900, 30), // keeps, but is not looked at
        ];
        let (chosen, refused) = choose(Wanted::Error(0.08), &row, 1_000);
        assert_eq!(chosen.unwrap().value, Some(0.10));
        assert_eq!(refused, None);
    }

    #[test]
    fn an_error_as_wanted_is_no_promise_where_its_bound_is_not() {
        // 7 % of 300 were wrong: one could do it again and have 9.9 %.
        let row = [tried(0.05, 300, 3), tried(0.10, 300, 21)];
        let (chosen, _) = choose(Wanted::Error(0.08), &row, 1_000);
        assert_eq!(chosen.unwrap().value, Some(0.05));
        let (chosen, refused) = choose(Wanted::Error(0.08), &row[1..], 1_000);
        assert_eq!(chosen, None);
        assert!(refused.unwrap().items_needed > Some(1_000));
    }

    #[test]
    fn a_load_is_kept_by_the_strictest_margin_that_does() {
        let row = [
            tried(0.01, 100, 0),
            tried(0.05, 700, 9),
            tried(0.1, 950, 40),
        ];
        let (chosen, _) = choose(Wanted::Load(0.35), &row, 1_000);
        assert_eq!(chosen.unwrap().value, Some(0.05));
    }

    #[test]
    fn few_items_promise_nothing_and_say_how_many_would() {
        let row = [tried(0.05, 20, 0)];
        let (chosen, refused) = choose(Wanted::Error(0.1), &row, 40);
        assert_eq!(chosen, None);
        let refused = refused.unwrap();
        assert_eq!(refused.code, "too_few");
        // Some sixty decisions with a third of 10 % wrong bound it by 10 %; half are decided.
        let needed = refused.items_needed.unwrap();
        assert!((100..=160).contains(&needed), "{needed}");
    }

    #[test]
    fn what_no_margin_reaches_is_refused_without_a_number() {
        let row = [tried(0.05, 500, 100), tried(0.1, 900, 300)];
        let (chosen, refused) = choose(Wanted::Error(0.1), &row, 1_000);
        assert_eq!(chosen, None);
        let refused = refused.unwrap();
        assert_eq!((refused.code, refused.items_needed), ("out_of_reach", None));
    }
}
