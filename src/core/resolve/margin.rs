//! The two margins, and how each stands with one ballot taken out.
//!
//! The evidence margin is monotone: the lightest supporters of a side may be left out where that
//! helps, opponents never. A [`Ladder`] holds one side's prefixes of supporters, heaviest first,
//! so that the question "and without this ballot?" costs a look-up and not another pass.

use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::millionths::{Millionths, ONE};
use crate::records::{Policy, Status, Verdict};

/// The policy's margin over a round's counted ballots.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one lives for as long as its round is resolved"
)]
pub(super) enum Margin {
    /// (E − C) ≥ needed × (E + C), in millionths.
    Relative {
        needed: u64,
        endorse: u64,
        challenge: u64,
    },
    /// E > C and (E − C)² ≥ n·k², for the best prefix of supporters.
    Evidence { endorse: Ladder, challenge: Ladder },
}

impl Margin {
    /// The margin over weights in any order.
    pub(super) fn new(policy: &Policy, mut endorse: Vec<u64>, mut challenge: Vec<u64>) -> Self {
        for weights in [&mut endorse, &mut challenge] {
            weights.retain(|weight| *weight > 0);
            weights.sort_unstable_by_key(|weight| Reverse(*weight));
        }
        if policy.target_error.is_some() {
            let unit = policy.evidence_unit.get();
            let voters = endorse.len() + challenge.len();
            let needs: Vec<u128> = (0..=voters).map(|voters| need(voters, unit)).collect();
            return Self::Evidence {
                endorse: Ladder::new(&endorse, &challenge, &needs),
                challenge: Ladder::new(&challenge, &endorse, &needs),
            };
        }
        Self::Relative {
            needed: policy.quorum_margin.unwrap_or(Millionths::ONE).get(),
            endorse: endorse.iter().sum(),
            challenge: challenge.iter().sum(),
        }
    }

    /// The side that meets it: approved, rejected, or escalated for none.
    pub(super) fn carries(&self) -> Status {
        match self {
            Self::Relative {
                needed,
                endorse,
                challenge,
            } => relative(*needed, *endorse, *challenge),
            Self::Evidence { endorse, challenge } => side(endorse.is_met(), challenge.is_met()),
        }
    }

    /// The side that meets it once this counted ballot is taken out.
    pub(super) fn carries_without(&self, verdict: Verdict, weight: u64) -> Status {
        match (self, verdict) {
            (_, Verdict::Abstain) => self.carries(),
            (
                Self::Relative {
                    needed,
                    endorse,
                    challenge,
                },
                Verdict::Endorse,
            ) => relative(*needed, endorse.saturating_sub(weight), *challenge),
            (
                Self::Relative {
                    needed,
                    endorse,
                    challenge,
                },
                Verdict::Challenge,
            ) => relative(*needed, *endorse, challenge.saturating_sub(weight)),
            (Self::Evidence { endorse, challenge }, Verdict::Endorse) => side(
                endorse.is_met_without_supporter(weight),
                challenge.is_met_without_opponent(weight),
            ),
            (Self::Evidence { endorse, challenge }, Verdict::Challenge) => side(
                endorse.is_met_without_opponent(weight),
                challenge.is_met_without_supporter(weight),
            ),
        }
    }

    /// The margin reached and the margin needed, as they are published.
    pub(super) fn published(&self) -> (u64, u64) {
        match self {
            Self::Relative {
                needed,
                endorse,
                challenge,
            } => {
                let lead = u128::from(endorse.abs_diff(*challenge)) * u128::from(ONE);
                let total = u128::from(*endorse) + u128::from(*challenge);
                let reached = lead.checked_div(total).unwrap_or(0);
                (u64::try_from(reached).unwrap_or(ONE), *needed)
            }
            Self::Evidence { endorse, challenge } => {
                let leader = if endorse.total >= endorse.against {
                    endorse
                } else {
                    challenge
                };
                leader.published()
            }
        }
    }
}

const fn side(endorse: bool, challenge: bool) -> Status {
    match (endorse, challenge) {
        (true, _) => Status::Approved,
        (false, true) => Status::Rejected,
        (false, false) => Status::Escalated,
    }
}

fn relative(needed: u64, endorse: u64, challenge: u64) -> Status {
    let lead = u128::from(endorse.abs_diff(challenge)) * u128::from(ONE);
    let total = u128::from(endorse) + u128::from(challenge);
    let is_met = lead > 0 && lead >= u128::from(needed) * total;
    side(is_met && endorse > challenge, is_met)
}

/// One side of the evidence margin: its supporters, heaviest first, against all its opponents.
#[derive(Clone, Debug)]
pub(super) struct Ladder {
    weights: Vec<u64>,
    /// Summed weight of all supporters.
    total: u64,
    /// Summed weight of all opponents.
    against: u64,
    /// Lead and need of the shortest prefix that meets the margin, with its length.
    shortest: Option<(usize, u64, u64)>,
    /// Lead and need of all supporters.
    whole: (u64, u64),
    /// By rank: the most weight that one supporter of this rank or a heavier one may take away
    /// from a longer prefix that then still meets the margin with one voter less.
    slack: Vec<i128>,
    /// The least weight of an opponent without whom the margin is met.
    relief: i128,
}

impl Ladder {
    /// Sorted supporters against opponents; `needs` are the leads needed by number of voters.
    pub(super) fn new(supporters: &[u64], opponents: &[u64], needs: &[u128]) -> Self {
        let against: u64 = opponents.iter().sum();
        let needed = |voters: usize| needs.get(voters).copied().unwrap_or(u128::MAX);
        let mut ladder = Self {
            weights: supporters.to_vec(),
            total: 0,
            against,
            shortest: None,
            whole: (against, published(needed(opponents.len()))),
            slack: Vec::with_capacity(supporters.len()),
            relief: i128::MAX,
        };
        for (rank, weight) in supporters.iter().enumerate() {
            ladder.total += weight;
            let voters = rank + 1 + opponents.len();
            let lead = i128::from(ladder.total) - i128::from(against);
            let distance = ladder.total.abs_diff(against);
            let over = |voters| lead - signed(needed(voters));
            ladder.whole = (distance, published(needed(voters)));
            if ladder.shortest.is_none() && lead > 0 && over(voters) >= 0 {
                ladder.shortest = Some((rank + 1, ladder.whole.0, ladder.whole.1));
            }
            // The prefix that ends here, with one voter less: how much weight may go with it?
            let over_one_less = (lead - 1).min(over(voters - 1));
            ladder.slack.push(over_one_less);
            ladder.relief = ladder.relief.min(-over_one_less);
        }
        ladder.slack_of_longer();
        ladder
    }

    /// Turns each prefix's own slack into the greatest of all longer prefixes'.
    fn slack_of_longer(&mut self) {
        let mut greatest = i128::MIN;
        for slack in self.slack.iter_mut().rev() {
            let own = *slack;
            *slack = greatest;
            greatest = greatest.max(own);
        }
    }

    pub(super) const fn is_met(&self) -> bool {
        self.shortest.is_some()
    }

    /// Whether it is met without one supporter of this weight; equal ones are alike.
    pub(super) fn is_met_without_supporter(&self, weight: u64) -> bool {
        let rank = self.weights.partition_point(|other| *other > weight);
        let before = self.shortest.is_some_and(|(length, ..)| length <= rank);
        let slack = self.slack.get(rank).copied().unwrap_or(i128::MIN);
        before || slack >= i128::from(weight)
    }

    /// Whether it is met without one opponent of this weight.
    pub(super) fn is_met_without_opponent(&self, weight: u64) -> bool {
        self.relief <= i128::from(weight)
    }

    /// Lead and need of the shortest prefix that meets it, else of all.
    const fn published(&self) -> (u64, u64) {
        match (self.total + self.against, self.shortest) {
            (0, _) => (0, 0),
            (_, Some((_, lead, need))) => (lead, need),
            (_, None) => self.whole,
        }
    }
}

/// ⌈√(n·k²)⌉: a lead of whole millionths meets the margin exactly if it reaches this.
fn need(voters: usize, unit: u64) -> u128 {
    let square = (voters as u128).saturating_mul(u128::from(unit) * u128::from(unit));
    let root = square.isqrt();
    root + u128::from(root * root < square)
}

fn signed(need: u128) -> i128 {
    i128::try_from(need).unwrap_or(i128::MAX)
}

fn published(need: u128) -> u64 {
    u64::try_from(need).unwrap_or(u64::MAX)
}
