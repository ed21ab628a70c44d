//! The rules a user would otherwise pick, each as its literature has it.
//!
//! A rule gives the probability that an item is good before its result is shown, and learns from
//! the result. Where it only weighs votes, its probability is the share of the weight that
//! endorses. An agent of whom nothing is known weighs as much as any other.

use super::history::Vote;

/// A rule that predicts and learns.
pub trait Rule: Send {
    /// The name in reports.
    fn name(&self) -> &'static str;
    /// Where the rule comes from.
    fn source(&self) -> &'static str;
    /// The probability that what was voted on is good; one half where nobody has weight.
    fn predict(&self, votes: &[Vote]) -> f64;
    /// Learns what turned out.
    fn learn(&mut self, votes: &[Vote], good: bool);
}

/// Every baseline, as if nothing had been learnt.
#[must_use]
pub fn all(agents: usize) -> Vec<Box<dyn Rule>> {
    vec![
        Box::new(Majority),
        Box::new(ConfidentMajority),
        Box::new(MovingAverage {
            right: vec![0.5; agents],
        }),
        Box::new(WeightedMajority {
            mistakes: vec![0; agents],
        }),
        Box::new(Hedge::new(agents, false)),
        Box::new(Hedge::new(agents, true)),
        Box::new(LogOdds {
            counts: vec![(2.0, 1.0); agents],
        }),
    ]
}

/// The share of the weight that endorses.
fn share(weights: impl Iterator<Item = (bool, f64)>) -> f64 {
    let (mut endorse, mut total) = (0.0, 0.0);
    for (endorses, weight) in weights {
        total += weight;
        endorse += if endorses { weight } else { 0.0 };
    }
    if total > 0.0 { endorse / total } else { 0.5 }
}

/// One agent, one vote.
struct Majority;

impl Rule for Majority {
    fn name(&self) -> &'static str {
        "majority"
    }

    fn source(&self) -> &'static str {
        "one agent, one vote (Condorcet 1785)"
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        share(votes.iter().map(|vote| (vote.endorses, 1.0)))
    }

    fn learn(&mut self, _: &[Vote], _: bool) {}
}

/// Each vote weighs as much as its agent is sure.
struct ConfidentMajority;

impl Rule for ConfidentMajority {
    fn name(&self) -> &'static str {
        "confidence_weighted_majority"
    }

    fn source(&self) -> &'static str {
        "votes weighed by their confidence alone"
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        let weighed = |vote: &Vote| (vote.endorses, vote.confidence.to_f64());
        share(votes.iter().map(weighed))
    }

    fn learn(&mut self, _: &[Vote], _: bool) {}
}

/// Confidence times an exponentially weighted moving average of correctness.
struct MovingAverage {
    right: Vec<f64>,
}

/// What one result moves the average by.
const SMOOTHING: f64 = 0.1;

impl Rule for MovingAverage {
    fn name(&self) -> &'static str {
        "moving_average"
    }

    fn source(&self) -> &'static str {
        "confidence times a moving average of correctness, smoothing 0.1 (Roberts 1959)"
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        let weighed = |vote: &Vote| {
            let right = self.right.get(vote.agent).copied().unwrap_or(0.5);
            (vote.endorses, right * vote.confidence.to_f64())
        };
        share(votes.iter().map(weighed))
    }

    fn learn(&mut self, votes: &[Vote], good: bool) {
        for vote in votes {
            if let Some(right) = self.right.get_mut(vote.agent) {
                let turned_out = f64::from(u8::from(vote.is_right(good)));
                *right += SMOOTHING * (turned_out - *right);
            }
        }
    }
}

/// Every mistake halves an agent's weight.
struct WeightedMajority {
    mistakes: Vec<u32>,
}

impl Rule for WeightedMajority {
    fn name(&self) -> &'static str {
        "weighted_majority"
    }

    fn source(&self) -> &'static str {
        "a mistake halves the weight (Littlestone and Warmuth 1994)"
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        let mistakes = |vote: &Vote| self.mistakes.get(vote.agent).copied().unwrap_or(0);
        // Weights are ratios: the fewest mistakes of those who vote are taken as none.
        let least = votes.iter().map(mistakes).min().unwrap_or(0);
        let weight = |vote: &Vote| 0.5_f64.powf(f64::from(mistakes(vote) - least));
        share(votes.iter().map(|vote| (vote.endorses, weight(vote))))
    }

    fn learn(&mut self, votes: &[Vote], good: bool) {
        for vote in votes.iter().filter(|vote| !vote.is_right(good)) {
            if let Some(mistakes) = self.mistakes.get_mut(vote.agent) {
                *mistakes += 1;
            }
        }
    }
}

/// Weights e^(−η·losses), η = √(8 ln N / t); agents who do not vote sleep.
struct Hedge {
    losses: Vec<f64>,
    results: f64,
    by_confidence: bool,
}

impl Hedge {
    fn new(agents: usize, by_confidence: bool) -> Self {
        Self {
            losses: vec![0.0; agents],
            results: 0.0,
            by_confidence,
        }
    }
}

impl Rule for Hedge {
    fn name(&self) -> &'static str {
        if self.by_confidence {
            "hedge_by_confidence"
        } else {
            "hedge"
        }
    }

    fn source(&self) -> &'static str {
        if self.by_confidence {
            "as hedge, votes weighed by their confidence, too"
        } else {
            "Hedge (Freund and Schapire 1997), rate sqrt(8 ln N / t) (Cesa-Bianchi and Lugosi 2006)"
        }
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        let agents = self.losses.len().max(2) as f64;
        let rate = (8.0 * agents.ln() / self.results.max(1.0)).sqrt();
        let loss = |vote: &Vote| self.losses.get(vote.agent).copied().unwrap_or(0.0);
        let least = votes.iter().map(loss).fold(f64::INFINITY, f64::min);
        let weighed = |vote: &Vote| {
            let weight = (-rate * (loss(vote) - least)).exp();
            let confidence = if self.by_confidence {
                vote.confidence.to_f64()
            } else {
                1.0
            };
            (vote.endorses, weight * confidence)
        };
        share(votes.iter().map(weighed))
    }

    fn learn(&mut self, votes: &[Vote], good: bool) {
        self.results += 1.0;
        for vote in votes.iter().filter(|vote| !vote.is_right(good)) {
            if let Some(loss) = self.losses.get_mut(vote.agent) {
                *loss += 1.0;
            }
        }
    }
}

/// Each vote adds confidence times ln(right / wrong) to the log-odds.
struct LogOdds {
    /// Right and wrong, from 2 and 1.
    counts: Vec<(f64, f64)>,
}

impl Rule for LogOdds {
    fn name(&self) -> &'static str {
        "log_odds"
    }

    fn source(&self) -> &'static str {
        "votes weighed by confidence times ln(right / wrong) (Nitzan and Paroush 1982)"
    }

    fn predict(&self, votes: &[Vote]) -> f64 {
        let evidence = |vote: &Vote| {
            let (right, wrong) = self.counts.get(vote.agent).copied().unwrap_or((2.0, 1.0));
            vote.sign() * vote.confidence.to_f64() * (right / wrong).ln()
        };
        let sum: f64 = votes.iter().map(evidence).sum();
        1.0 / (1.0 + (-sum).exp())
    }

    fn learn(&mut self, votes: &[Vote], good: bool) {
        for vote in votes {
            if let Some((right, wrong)) = self.counts.get_mut(vote.agent) {
                let count = if vote.is_right(good) { right } else { wrong };
                *count += 1.0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::millionths::Millionths;

    use super::*;

    fn vote(agent: usize, endorses: bool, confidence: f64) -> Vote {
        Vote {
            agent,
            endorses,
            confidence: Millionths::admit(confidence).unwrap(),
        }
    }

    fn named(name: &str) -> Box<dyn Rule> {
        all(4).into_iter().find(|rule| rule.name() == name).unwrap()
    }

    fn near(one: f64, other: f64) {
        assert!((one - other).abs() < 1e-12, "{one} is not {other}");
    }

    #[test]
    fn before_anything_is_learnt_agents_are_alike() {
        let votes = [vote(0, true, 1.0), vote(1, true, 1.0), vote(2, false, 1.0)];
        for rule in all(4) {
            // Of log-odds, ln 2 each, one for it is left in the end: two to one as well.
            near(rule.predict(&votes), 2.0 / 3.0);
            near(rule.predict(&[]), 0.5);
        }
    }

    #[test]
    fn each_learns_as_its_literature_has_it() {
        let lesson = [vote(0, true, 1.0), vote(1, false, 1.0)];
        let learnt = |name: &str| {
            let mut rule = named(name);
            rule.learn(&lesson, true);
            rule.predict(&lesson)
        };
        near(learnt("majority"), 0.5);
        near(learnt("confidence_weighted_majority"), 0.5);
        near(learnt("moving_average"), 0.55);
        near(learnt("weighted_majority"), 1.0 / 1.5);
        let rate = (8.0 * 4.0_f64.ln()).sqrt();
        near(learnt("hedge"), 1.0 / (1.0 + (-rate).exp()));
        // 3 of 4 against 2 of 4.
        near(learnt("log_odds"), 3.0 / 4.0);
    }

    #[test]
    fn confidence_weighs_where_the_rule_says_so() {
        let votes = [vote(0, true, 0.2), vote(1, false, 0.6)];
        near(named("majority").predict(&votes), 0.5);
        near(named("hedge").predict(&votes), 0.5);
        for name in [
            "confidence_weighted_majority",
            "moving_average",
            "hedge_by_confidence",
        ] {
            near(named(name).predict(&votes), 0.25);
        }
    }

    #[test]
    fn ten_thousand_mistakes_of_everybody_leave_a_rule_with_an_opinion() {
        let votes = [vote(0, true, 1.0), vote(1, true, 1.0), vote(2, false, 1.0)];
        let mut rule = named("weighted_majority");
        for _ in 0..5_000 {
            rule.learn(&votes, true);
            rule.learn(&votes, false);
        }
        near(rule.predict(&votes), 2.0 / 3.0);
    }
}
