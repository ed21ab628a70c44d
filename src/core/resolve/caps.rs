//! Caps the share of one principal or one model family, so that copies of an opinion are not many.
//!
//! A group of summed weight S against R of everybody else's may weigh at most R·s/(1 − s), which
//! is the share s of the capped total. Both keys start from the uncapped weights, and a ballot
//! takes the lesser of its two results. What is capped decides; trust is taught without caps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::count::Counted;
use crate::millionths::{Millionths, ONE};
use crate::records::Policy;

/// Ballots that share one cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Group<'a> {
    Principal(&'a str),
    Family(&'a str),
    /// An agent that names no family is its own.
    Alone(&'a str),
}

/// Replaces each ballot's whole weight by its capped one.
pub(super) fn apply(policy: &Policy, voices: &mut [Counted<'_>]) {
    let by_principal = capped(policy.max_share_per_principal, voices, |counted| {
        Group::Principal(&counted.voice.standing.principal)
    });
    let by_family = capped(
        policy.max_share_per_model_family,
        voices,
        |counted| match &counted.voice.standing.model_family {
            Some(family) => Group::Family(family),
            None => Group::Alone(counted.voice.agent_id.as_str()),
        },
    );
    for weights in [by_principal, by_family].into_iter().flatten() {
        for (counted, weight) in voices.iter_mut().zip(weights) {
            counted.weight = counted.weight.min(weight);
        }
    }
}

/// The weights under one cap, in order; none if it is off.
fn capped<'a>(
    share: Millionths,
    voices: &[Counted<'a>],
    group: impl Fn(&Counted<'a>) -> Group<'a>,
) -> Option<Vec<u64>> {
    if share == Millionths::ONE {
        return None;
    }
    let mut sums: BTreeMap<Group<'a>, u128> = BTreeMap::new();
    let mut total: u128 = 0;
    for counted in voices {
        let weight = u128::from(counted.weight);
        *sums.entry(group(counted)).or_default() += weight;
        total += weight;
    }
    let limit = |counted: &Counted<'a>| {
        let sum = sums.get(&group(counted)).copied().unwrap_or(0);
        limited(counted.weight, sum, total - sum, share)
    };
    Some(voices.iter().map(limit).collect())
}

/// One ballot's weight in a group of weight `sum` against `rest`.
fn limited(weight: u64, sum: u128, rest: u128, share: Millionths) -> u64 {
    let share = u128::from(share.get());
    let other = u128::from(ONE) - share;
    if rest == 0 || sum * other <= rest * share {
        return weight;
    }
    let cap = rest * share / other;
    u64::try_from(u128::from(weight) * cap / sum).unwrap_or(weight)
}
