//! Attacks on a house, over many seeds: what attackers weigh, and what they cost.

use quorate_core::records::Policy;
use serde::Serialize;

use super::attempts::{self, Measured};

/// An attack, and how it is tried.
#[derive(Clone, Copy, Debug)]
pub struct Attack {
    /// Its name.
    pub name: &'static str,
    /// Who does what.
    pub what: &'static str,
    attempt: fn(&Policy, u64) -> Measured,
}

/// Every attack.
pub const ATTACKS: &[Attack] = &[
    Attack {
        name: "always_endorse",
        what: "four of ten endorse whatever comes, always sure; the others are 85 % right",
        attempt: attempts::always_endorse,
    },
    Attack {
        name: "hostile_third",
        what: "three of nine are hostile from the start, always sure; against the other six alone",
        attempt: attempts::hostile_third,
    },
    Attack {
        name: "clones",
        what: "eight of one model say one thing, beside five of other models; all are 85 % right",
        attempt: attempts::clones,
    },
    Attack {
        name: "turncoats",
        what: "three of nine are as good as the others for 100 rounds, and then say the contrary",
        attempt: attempts::turncoats,
    },
    Attack {
        name: "farming",
        what: "some endorse 200 proposals that everybody knows to be good, and then a bad one",
        attempt: attempts::farming,
    },
    Attack {
        name: "over_confident",
        what: "three of nine are 55 % right and always sure",
        attempt: attempts::over_confident,
    },
    Attack {
        name: "whitewashing",
        what: "some endorse 20 bad proposals, are retired, and come back under new ids for another",
        attempt: attempts::whitewashing,
    },
    Attack {
        name: "sub_domain_shopping",
        what: "three of nine are wrong 50 times in one domain, and strike in another",
        attempt: attempts::sub_domain_shopping,
    },
    Attack {
        name: "flood",
        what: "three of nine, new, put up 200 bad proposals and endorse them, to tire reviewers",
        attempt: attempts::flood,
    },
];

/// What an attack comes to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The attack's name.
    pub name: &'static str,
    /// Who does what.
    pub what: &'static str,
    /// What was measured.
    pub measures: Vec<Measure>,
}

/// One thing that was measured, over all seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What it is.
    pub name: String,
    /// Its mean.
    pub mean: f64,
    /// Its median.
    pub median: f64,
    /// What nine in ten seeds do not exceed.
    pub percentile_90: f64,
}

impl Attack {
    /// Tries the attack from that many seeds, the first of them given.
    #[must_use]
    pub fn run(&self, policy: &Policy, seeds: u64, first: u64) -> Outcome {
        let each = (0..seeds).map(|at| (self.attempt)(policy, first.wrapping_add(at)));
        let mut measures: Vec<(String, Vec<f64>)> = Vec::new();
        for measured in each {
            if measures.is_empty() {
                let names = measured.iter().map(|(name, _)| (name.clone(), Vec::new()));
                measures = names.collect();
            }
            for ((_, values), (_, value)) in measures.iter_mut().zip(measured) {
                values.push(value);
            }
        }
        Outcome {
            name: self.name,
            what: self.what,
            measures: measures.into_iter().map(|(n, v)| summed_up(n, v)).collect(),
        }
    }
}

fn summed_up(name: String, mut values: Vec<f64>) -> Measure {
    values.sort_by(f64::total_cmp);
    let at = |part: usize| {
        let place = (values.len() * part).div_ceil(100).saturating_sub(1);
        values.get(place).copied().unwrap_or(0.0)
    };
    Measure {
        name,
        mean: values.iter().sum::<f64>() / values.len().max(1) as f64,
        median: at(50),
        percentile_90: at(90),
    }
}
