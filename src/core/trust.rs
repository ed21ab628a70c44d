//! How trust moves: the log-odds rule of independent voters times a novelty factor.
//!
//! An agent's record in a trust domain is kept in whole billionths; floats live only inside one
//! step, with `libm`'s functions and never the platform's, so that every machine computes the
//! same. A round's result is folded in the order of its partition, from the trust in force there.

use alloc::vec::Vec;

use crate::fault::{self, Fault};
use crate::ids::{AgentId, Offset};
use crate::millionths::{Millionths, ONE, Sum};
use crate::records::{Lesson, ResultKind, Start, TrustScore, TrustUpdate, Verdict};

/// A newcomer's right count, in billionths.
pub const NEWCOMER_A: i64 = 2_000_000_000;
/// A newcomer's wrong count, in billionths.
pub const NEWCOMER_B: i64 = 1_000_000_000;

/// ln 99: authority, confidence and trust 1 make a 99 % vote.
const L: f64 = 4.595_119_850_134_59;
/// ln 20: the novelty factor lies between a twentieth and twenty.
const LN_M_MAX: f64 = 2.995_732_273_553_991;
/// The least trust.
const FLOOR: f64 = 0.01;
const NANO: f64 = 1e9;

/// The weight of a ballot in millionths: ⌊authority × confidence × trust⌋, exactly.
#[must_use]
pub fn weight(authority: Millionths, confidence: Millionths, trust: Millionths) -> u64 {
    let product = authority.get() * confidence.get() * trust.get();
    if fault::is_on(Fault::WeightRoundedUp) {
        return product.div_ceil(ONE * ONE);
    }
    product / (ONE * ONE)
}

/// An agent's record in one trust domain, in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// Right counts.
    pub a: i64,
    /// Wrong counts.
    pub b: i64,
    /// Logarithm of the novelty factor.
    pub ln_m: i64,
    /// The right count it fades towards.
    pub a0: i64,
    /// The wrong count it fades towards.
    pub b0: i64,
}

impl State {
    /// The record of somebody of whom nothing is known.
    #[must_use]
    pub const fn newcomer() -> Self {
        Self::with_prior(NEWCOMER_A, NEWCOMER_B)
    }

    /// The record of somebody of whom only a prior is known, in billionths.
    #[must_use]
    pub const fn with_prior(a0: i64, b0: i64) -> Self {
        Self {
            a: a0,
            b: b0,
            ln_m: 0,
            a0,
            b0,
        }
    }

    /// The record of somebody without a score: a prior, or an inherited start.
    #[must_use]
    pub fn beginning(a0: i64, b0: i64, start: Option<Start>) -> Self {
        let prior = Self::with_prior(a0, b0);
        start.map_or(prior, |Start { a, b, ln_m }| Self {
            a,
            b,
            ln_m,
            ..prior
        })
    }

    /// What its votes are multiplied by: at least a hundredth, at most one.
    #[must_use]
    pub fn trust(&self) -> Millionths {
        let skill = clip(libm::log(float(self.a) / float(self.b)) / L, FLOOR, 1.0);
        let factor = libm::exp(float(self.ln_m) / NANO);
        Millionths::admit(clip(factor * skill, FLOOR, 1.0)).unwrap_or(Millionths::ZERO)
    }

    /// Learns from a ballot and what turned out, where the collective expected `p`.
    #[must_use]
    pub fn learn(&self, ballot: &Vote, good: bool, p: f64, half_life: Option<i32>) -> Self {
        let (a0, b0) = (float(self.a0) / NANO, float(self.b0) / NANO);
        let (mut a, mut b) = (float(self.a) / NANO, float(self.b) / NANO);
        let mut ln_m = float(self.ln_m) / NANO;
        if let Some(half_life) = half_life.filter(fades) {
            let g = libm::exp(-core::f64::consts::LN_2 / f64::from(half_life));
            a = a0 + g * (a - a0);
            b = b0 + g * (b - b0);
            ln_m *= g;
        }
        let rate = 0.5 / libm::sqrt(1.0 + (a + b - a0 - b0) / 30.0);
        let surprise = f64::from(u8::from(good)) - p;
        let sign = if ballot.endorses { 1.0 } else { -1.0 };
        ln_m += rate.max(0.1) * ballot.confidence.to_f64() * sign * surprise;
        if ballot.endorses == good {
            a += news(good, p);
        } else {
            b += 1.0;
        }
        Self {
            a: nano(a),
            b: nano(b),
            ln_m: nano(clip(ln_m, -LN_M_MAX, LN_M_MAX)),
            ..*self
        }
    }

    /// Takes back what a result taught, and learns its correction; none: only the taking back.
    #[must_use]
    pub fn correct(&self, endorses: bool, was_good: bool, is_good: Option<bool>, p: f64) -> Self {
        let (a0, b0) = (float(self.a0) / NANO, float(self.b0) / NANO);
        let (mut a, mut b) = (float(self.a) / NANO, float(self.b) / NANO);
        if endorses == was_good {
            a = (a - news(was_good, p)).max(a0);
        } else {
            b = (b - 1.0).max(b0);
        }
        match is_good {
            Some(good) if endorses == good => a += news(good, p),
            Some(_) => b += 1.0,
            None => {}
        }
        Self {
            a: nano(a),
            b: nano(b),
            ..*self
        }
    }
}

impl From<&TrustScore> for State {
    fn from(score: &TrustScore) -> Self {
        Self {
            a: score.a,
            b: score.b,
            ln_m: score.ln_m,
            a0: score.a0,
            b0: score.b0,
        }
    }
}

/// An endorsement or challenge, as it teaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vote {
    /// For the proposal, or against it.
    pub endorses: bool,
    /// How sure.
    pub confidence: Millionths,
}

/// The collective's probability that a proposal is good: what E against C by n voters says.
///
/// One half where nobody spoke, though an outcome publishes 0 there.
#[must_use]
pub fn collective(endorse: Sum, challenge: Sum, n: usize) -> f64 {
    if n == 0 {
        return 0.5;
    }
    let lead = (endorse.get() as f64 - challenge.get() as f64) / 1e6;
    let z = L * lead / libm::sqrt(n as f64);
    1.0 / (1.0 + libm::exp(-z))
}

/// What a fold saw and did.
#[derive(Clone, Debug, PartialEq)]
pub struct Fold {
    /// Summed weight of the endorsements, from the trust in force and without caps.
    pub endorse: Sum,
    /// Summed weight of the challenges.
    pub challenge: Sum,
    /// Ballots of weight above 0.
    pub n: usize,
    /// The collective's probability that the proposal was good.
    pub p: f64,
    /// The scores that follow, one for each of those ballots, in their order.
    pub scores: Vec<TrustScore>,
}

/// Folds one update into the scores in force; `at` are its partition and offset.
///
/// Ballots whose weight is 0 here are left out and not updated. A first UNKNOWN teaches nothing.
pub fn fold<'a>(
    update: &TrustUpdate,
    at: (i32, Offset),
    mut score: impl FnMut(&AgentId) -> Option<&'a TrustScore>,
) -> Fold {
    let mut fold = Fold {
        endorse: Sum::ZERO,
        challenge: Sum::ZERO,
        n: 0,
        p: 0.0,
        scores: Vec::new(),
    };
    let mut counted: Vec<(&Lesson, State, i64)> = Vec::new();
    for lesson in &update.ballots {
        let current = score(&lesson.agent_id);
        let beginning = || State::beginning(lesson.a0, lesson.b0, lesson.start);
        let state = current.map_or_else(beginning, State::from);
        let weight = weight(lesson.authority, lesson.confidence, state.trust());
        let side = match lesson.verdict {
            Verdict::Endorse => &mut fold.endorse,
            Verdict::Challenge => &mut fold.challenge,
            Verdict::Abstain => continue,
        };
        if weight == 0 {
            continue;
        }
        *side = Sum::new(side.get() + weight);
        counted.push((lesson, state, current.map_or(0, |score| score.revision)));
    }
    fold.n = counted.len();
    fold.p = collective(fold.endorse, fold.challenge, fold.n);
    let p = fold.p;
    let moved = |(lesson, state, revision): (&Lesson, State, i64)| {
        let state = teach(update, &state, lesson, p)?;
        Some(TrustScore {
            trust_domain: update.trust_domain.clone(),
            agent_id: lesson.agent_id.clone(),
            trust: state.trust(),
            a: state.a,
            b: state.b,
            ln_m: state.ln_m,
            a0: state.a0,
            b0: state.b0,
            revision: revision.saturating_add(1),
            update_partition: at.0,
            update_offset: at.1,
        })
    };
    fold.scores = counted.into_iter().filter_map(moved).collect();
    fold
}

/// One agent's record after the update; none if the update says nothing.
fn teach(update: &TrustUpdate, state: &State, lesson: &Lesson, p: f64) -> Option<State> {
    let vote = Vote {
        endorses: lesson.verdict == Verdict::Endorse,
        confidence: lesson.confidence,
    };
    let is_good = good(update.result);
    match &update.corrects {
        None => Some(state.learn(&vote, is_good?, p, update.half_life)),
        Some(old) => Some(state.correct(vote.endorses, good(old.result)?, is_good, p)),
    }
}

const fn good(result: ResultKind) -> Option<bool> {
    match result {
        ResultKind::Right => Some(true),
        ResultKind::Wrong => Some(false),
        ResultKind::Unknown => None,
    }
}

/// Whether a record fades with this half-life.
fn fades(half_life: &i32) -> bool {
    *half_life > 0 && !fault::is_on(Fault::HalfLifeIgnored)
}

/// What being right teaches: little where everybody knew.
fn news(good: bool, p: f64) -> f64 {
    let surprise = f64::from(u8::from(good)) - p;
    (2.0 * surprise.abs()).min(1.0)
}

/// Limits a number; one that is none (an unsound record's) becomes the least.
const fn clip(x: f64, least: f64, most: f64) -> f64 {
    x.max(least).min(most)
}

const fn float(x: i64) -> f64 {
    x as f64
}

/// Billionths, half to even.
fn nano(x: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float saturates as an integer; only an unsound record comes near"
    )]
    let billionths = libm::rint(x * NANO) as i64;
    billionths
}

#[cfg(test)]
mod tests;
