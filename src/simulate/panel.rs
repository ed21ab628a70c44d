//! A panel of agents that vote on items: how good, how alike, how sure, and who is hostile.

use std::io::{self, Write};

use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;

use crate::evaluate::history::{History, Item, NO_DOMAIN, Notes, Vote};

/// How far items differ in difficulty: the standard deviation of the log-odds of being right.
const DIFFICULTY: f64 = 0.7;
/// No agent is more sure, or better, than this; nor less than one minus it.
const SUREST: f64 = 0.999;

/// A panel to draw votes of.
#[derive(Clone, Debug)]
pub struct Panel {
    /// Items voted on.
    pub items: usize,
    /// The share of them that is good.
    pub base_rate: f64,
    /// The share of items that an agent votes on.
    pub turnout: f64,
    /// Who votes.
    pub voters: Vec<Voter>,
    /// Where random numbers start from.
    pub seed: u64,
}

/// One agent of a panel.
#[derive(Clone, Debug)]
pub struct Voter {
    /// Its name.
    pub agent_id: String,
    /// How often it is right on an item of middling difficulty, in the beginning.
    pub accuracy: f64,
    /// How much that has changed in the end.
    pub drift: f64,
    /// What the log-odds it reports are, of those it should: 1 is calibrated, more too sure.
    pub assurance: f64,
    /// Agents of one family err on the same items.
    pub family: usize,
    /// The share of items on which it says what its family says.
    pub alike: f64,
    /// What it is after.
    pub conduct: Conduct,
}

/// What an agent is after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// It says what it thinks.
    Honest,
    /// It endorses whatever comes, surely.
    AlwaysEndorse,
    /// It challenges whatever comes, surely.
    AlwaysChallenge,
    /// It says the contrary of what it thinks.
    Contrary,
    /// It is honest for the first half, and then says the contrary.
    Turncoat,
}

impl Panel {
    /// Draws what each agent says on each item, and what turns out.
    #[must_use]
    pub fn draw(&self) -> History {
        let mut random = Pcg64::seed_from_u64(self.seed);
        let families = self.voters.iter().map(|voter| voter.family + 1).max();
        let items = (0..self.items).map(|at| {
            let good = random.random::<f64>() < self.base_rate;
            let difficulty = DIFFICULTY * normal(&mut random);
            let lots: Vec<f64> = (0..families.unwrap_or(0))
                .map(|_| random.random())
                .collect();
            let progress = at as f64 / self.items.max(1) as f64;
            let mut votes = Vec::new();
            for (agent, voter) in self.voters.iter().enumerate() {
                // As many numbers are drawn whatever comes of them: panels that differ in one
                // agent alone are alike in the others.
                let (votes_at_all, own, copies) =
                    (random.random::<f64>(), random.random(), random.random());
                if votes_at_all >= self.turnout {
                    continue;
                }
                let shared: f64 = lots.get(voter.family).copied().unwrap_or(own);
                let lot = if voter.alike > copies { shared } else { own };
                let (endorses, confidence) = voter.says(good, difficulty, progress, lot);
                votes.push(Vote {
                    agent,
                    endorses,
                    confidence,
                });
            }
            Item {
                id: format!("item-{:07}", at + 1),
                domain: 0,
                good,
                votes,
            }
        });
        History {
            items: items.collect(),
            agents: self
                .voters
                .iter()
                .map(|voter| AgentId::from(voter.agent_id.as_str()))
                .collect(),
            domains: vec![NO_DOMAIN.to_owned()],
            notes: Notes::default(),
        }
    }
}

impl Voter {
    /// An honest, calibrated agent that errs by itself.
    #[must_use]
    pub fn honest(agent_id: String, accuracy: f64) -> Self {
        Self {
            agent_id,
            accuracy,
            drift: 0.0,
            assurance: 1.0,
            family: 0,
            alike: 0.0,
            conduct: Conduct::Honest,
        }
    }

    fn says(&self, good: bool, difficulty: f64, progress: f64, lot: f64) -> (bool, Millionths) {
        let skill = (self.accuracy + progress * self.drift).clamp(1.0 - SUREST, SUREST);
        let odds = log_odds(skill) + difficulty;
        let thinks = if lot < probability(odds) { good } else { !good };
        // Who is worse than a coin does not know it.
        let claimed = probability(self.assurance * odds.abs());
        let sure = (Millionths::ONE, true);
        let (confidence, says) = match self.conduct {
            Conduct::Honest => (confidence(claimed), thinks),
            Conduct::AlwaysEndorse => sure,
            Conduct::AlwaysChallenge => (Millionths::ONE, false),
            Conduct::Contrary => (confidence(claimed), !thinks),
            Conduct::Turncoat => (confidence(claimed), thinks == (progress < 0.5)),
        };
        (says, confidence)
    }
}

/// Writes a history as the files that are read: votes, and truths in order.
///
/// # Errors
/// What writing comes to.
pub fn write(history: &History, votes: impl Write, truth: impl Write) -> io::Result<()> {
    let mut votes = csv::Writer::from_writer(votes);
    let mut truth = csv::Writer::from_writer(truth);
    votes.write_record(["item_id", "agent_id", "vote", "confidence", "domain"])?;
    truth.write_record(["item_id", "truth"])?;
    for item in &history.items {
        truth.write_record([item.id.as_str(), digit(item.good)])?;
        for vote in &item.votes {
            let Some(agent) = history.agents.get(vote.agent) else {
                continue;
            };
            let probability = f64::midpoint(1.0, vote.confidence.to_f64()).to_string();
            let domain = history.domain(item);
            let domain = if domain == NO_DOMAIN { "" } else { domain };
            votes.write_record([
                item.id.as_str(),
                agent.as_str(),
                digit(vote.endorses),
                &probability,
                domain,
            ])?;
        }
    }
    votes.flush()?;
    truth.flush()
}

const fn digit(is_one: bool) -> &'static str {
    if is_one { "1" } else { "0" }
}

/// ln(p / (1 − p)).
pub(super) fn log_odds(p: f64) -> f64 {
    (p / (1.0 - p)).ln()
}

fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds).exp())
}

/// The confidence of an agent that claims to be right with this probability, to the percent.
fn confidence(claimed: f64) -> Millionths {
    let percent = (100.0 * claimed).round() / 100.0;
    Millionths::admit((2.0 * percent - 1.0).clamp(0.0, 1.0)).unwrap_or(Millionths::ZERO)
}

/// A number of the standard normal distribution, near enough: the sum of twelve uniform ones.
fn normal(random: &mut Pcg64) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(voters: Vec<Voter>) -> History {
        let panel = Panel {
            items: 4_000,
            base_rate: 0.3,
            turnout: 1.0,
            voters,
            seed: 5,
        };
        panel.draw()
    }

    fn voter(name: &str) -> Voter {
        Voter::honest(name.into(), 0.8)
    }

    /// How often agents are right, over a part of the items.
    fn right(history: &History, agent: usize, of: std::ops::Range<usize>) -> f64 {
        let items = &history.items[of];
        let is_right = |item: &&Item| item.votes[agent].is_right(item.good);
        items.iter().filter(is_right).count() as f64 / items.len() as f64
    }

    fn agree(history: &History, one: usize, other: usize) -> f64 {
        let items = &history.items;
        let is_alike = |item: &&Item| item.votes[one].endorses == item.votes[other].endorses;
        items.iter().filter(is_alike).count() as f64 / items.len() as f64
    }

    #[test]
    fn agents_are_as_good_as_told_and_drift() {
        let mut fading = voter("fading");
        fading.drift = -0.3;
        let history = panel(vec![voter("steady"), fading]);
        assert!((history.base_rate() - 0.3).abs() < 0.03);
        // Items differ in difficulty, which takes a little from the skill in the middle.
        let steady = right(&history, 0, 0..4_000);
        assert!((0.74..0.82).contains(&steady), "{steady}");
        let (early, late) = (
            right(&history, 1, 0..1_000),
            right(&history, 1, 3_000..4_000),
        );
        assert!((0.10..0.30).contains(&(early - late)), "{early} {late}");
    }

    #[test]
    fn agents_of_a_family_err_together() {
        let of = |name: &str, alike| Voter {
            alike,
            family: 1,
            ..voter(name)
        };
        let history = panel(vec![of("a", 1.0), of("b", 1.0), of("c", 0.0)]);
        assert_eq!(agree(&history, 0, 1), 1.0);
        // Two that err apart agree where both are right or both wrong.
        let apart = agree(&history, 0, 2);
        assert!((0.62..0.75).contains(&apart), "{apart}");
    }

    #[test]
    fn who_is_calibrated_is_right_as_often_as_claimed_and_who_is_too_sure_is_not() {
        let mut boastful = voter("boastful");
        boastful.assurance = 3.0;
        let history = panel(vec![voter("calibrated"), boastful]);
        let claimed = |agent: usize| {
            let votes = history.items.iter().map(|item| item.votes[agent]);
            let claims = votes.map(|vote| f64::midpoint(1.0, vote.confidence.to_f64()));
            claims.sum::<f64>() / 4_000.0
        };
        let over = |agent| claimed(agent) - right(&history, agent, 0..4_000);
        assert!(over(0).abs() < 0.04, "{}", over(0));
        assert!(over(1) > 0.1, "{}", over(1));
    }

    #[test]
    fn hostile_agents_do_what_they_are_after() {
        let hostile = |conduct| Voter {
            conduct,
            ..voter("hostile")
        };
        let history = panel(vec![
            hostile(Conduct::AlwaysEndorse),
            hostile(Conduct::AlwaysChallenge),
            hostile(Conduct::Contrary),
            hostile(Conduct::Turncoat),
        ]);
        let votes = |agent: usize| history.items.iter().map(move |item| item.votes[agent]);
        assert!(votes(0).all(|vote| vote.endorses));
        assert!(votes(1).all(|vote| !vote.endorses));
        assert!(right(&history, 2, 0..4_000) < 0.3);
        let halves = (
            right(&history, 3, 0..2_000),
            right(&history, 3, 2_000..4_000),
        );
        assert!(halves.0 > 0.7 && halves.1 < 0.3, "{halves:?}");
    }

    #[test]
    fn what_is_written_is_read_back_the_same() {
        use crate::evaluate::reading::{File, read};
        let history = Panel {
            items: 30,
            base_rate: 0.5,
            turnout: 0.6,
            voters: (0..5).map(|at| voter(&format!("agent-{at}"))).collect(),
            seed: 2,
        }
        .draw();
        let (mut votes, mut truth) = (Vec::new(), Vec::new());
        write(&history, &mut votes, &mut truth).unwrap();
        let file = |text| File {
            name: String::new(),
            text: io::Cursor::new(text),
        };
        let again = read(file(votes), file(truth)).unwrap();
        let said = |history: &History| -> Vec<_> {
            let named = |vote: &Vote| {
                let id = history.agents[vote.agent].as_str().to_owned();
                (id, vote.endorses, vote.confidence)
            };
            let items = history.items.iter();
            items
                .map(|item| {
                    let votes: Vec<_> = item.votes.iter().map(named).collect();
                    (item.id.clone(), item.good, votes)
                })
                .collect()
        };
        assert_eq!(said(&again), said(&history));
        assert!(history.votes() < 130 && history.votes() > 50);
    }
}
