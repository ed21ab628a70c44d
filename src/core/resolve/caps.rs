//! Caps the share of one principal or one model family, so that copies of an opinion are not many.
//!
//! A group of summed weight S against R of everybody else's may weigh at most R·s/(1 − s), which
//! is the share s of the capped total. Both keys start from the uncapped weights, and a ballot
//! takes the lesser of its two results. What is capped decides; trust is taught without caps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::count::Counted;
use crate::electorate::Standing;
use crate::fault::{self, Fault};
use crate::millionths::{Millionths, ONE};
use crate::records::Policy;

/// The two keys of a policy that cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cap {
    Principal,
    Family,
}

/// Ballots that share one cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Group<'a> {
    Principal(&'a str),
    Family(&'a str),
    /// An agent that names no family is its own.
    Alone(&'a str),
}

impl Cap {
    pub(super) const ALL: [Self; 2] = [Self::Principal, Self::Family];

    /// The largest share of one group; none if the cap is off.
    pub(super) fn share(self, policy: &Policy) -> Option<Millionths> {
        let share = match self {
            Self::Principal => policy.max_share_per_principal,
            Self::Family => policy.max_share_per_model_family,
        };
        (share < Millionths::ONE).then_some(share)
    }

    /// The group of an agent.
    pub(super) fn group<'a>(self, standing: &'a Standing, agent_id: &'a str) -> Group<'a> {
        self.shared_group(standing)
            .unwrap_or(Group::Alone(agent_id))
    }

    /// The group an agent may share with others; none if it is its own.
    pub(super) fn shared_group(self, standing: &Standing) -> Option<Group<'_>> {
        match self {
            Self::Principal => Some(Group::Principal(&standing.principal)),
            Self::Family => standing.model_family.as_deref().map(Group::Family),
        }
    }

    fn group_of<'a>(self, counted: &Counted<'a>) -> Group<'a> {
        self.group(&counted.voice.standing, counted.voice.agent_id.as_str())
    }
}

/// Replaces each ballot's whole weight by its capped one.
pub(super) fn apply(policy: &Policy, voices: &mut [Counted<'_>]) {
    if fault::is_on(Fault::CapsSkipped) {
        return;
    }
    for weights in Cap::ALL
        .map(|cap| capped(cap, policy, voices))
        .into_iter()
        .flatten()
    {
        for (counted, weight) in voices.iter_mut().zip(weights) {
            counted.weight = counted.weight.min(weight);
        }
    }
}

/// The weights under one cap, in order; none if it is off.
fn capped(cap: Cap, policy: &Policy, voices: &[Counted<'_>]) -> Option<Vec<u64>> {
    let share = cap.share(policy)?;
    let mut sums: BTreeMap<Group<'_>, u128> = BTreeMap::new();
    let mut total: u128 = 0;
    for counted in voices {
        let weight = u128::from(counted.weight);
        *sums.entry(cap.group_of(counted)).or_default() += weight;
        total += weight;
    }
    let limit = |counted: &Counted<'_>| {
        let sum = sums.get(&cap.group_of(counted)).copied().unwrap_or(0);
        limited(counted.weight, sum, total - sum, share)
    };
    Some(voices.iter().map(limit).collect())
}

/// One ballot's weight in a group of weight `sum` against `rest`.
pub(super) fn limited(weight: u64, sum: u128, rest: u128, share: Millionths) -> u64 {
    let share = u128::from(share.get());
    let other = u128::from(ONE) - share;
    if rest == 0 || sum * other <= rest * share {
        return weight;
    }
    let cap = rest * share / other;
    u64::try_from(u128::from(weight) * cap / sum).unwrap_or(weight)
}
