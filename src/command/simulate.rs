//! `quorate simulate`: panels to try policies on, and attacks on a house that never was.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use quorate_core::records::Policy;

use super::Output;
use super::evaluate::Rules;
use crate::simulate::attacks::{ATTACKS, Attack, Outcome};
use crate::simulate::panel::{Conduct, Panel, Voter, write};
use crate::wire;

/// What to simulate.
#[derive(Debug, Subcommand)]
pub(super) enum Simulate {
    /// Draw the votes of a panel, and what turns out, as files that `evaluate` reads
    Panel(Drawn),
    /// Attack a house, from many seeds, and say what attackers weigh and what they cost
    Attacks(Attacked),
}

/// A panel to draw.
#[derive(Debug, Args)]
pub(super) struct Drawn {
    /// File to write the votes to (CSV)
    votes: PathBuf,
    /// File to write to what turned out (CSV)
    truth: PathBuf,
    /// Items voted on
    #[arg(long, default_value_t = 1000, value_name = "NUMBER")]
    items: usize,
    /// Agents that vote, hostile ones among them
    #[arg(long, default_value_t = 10, value_name = "NUMBER")]
    agents: usize,
    /// How often agents are right, from the least to the most able, as in 0.6..0.9
    #[arg(long, default_value = "0.6..0.9", value_name = "FROM..TO", value_parser = span)]
    accuracy: (f64, f64),
    /// The share of items that is good
    #[arg(long, default_value_t = 0.5, value_name = "SHARE", value_parser = share)]
    base_rate: f64,
    /// The share of items that an agent votes on
    #[arg(long, default_value_t = 1.0, value_name = "SHARE", value_parser = share)]
    turnout: f64,
    /// Families of agents, such as models they are built on
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    families: usize,
    /// The share of items on which an agent says what its family says
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share)]
    correlation: f64,
    /// The log-odds agents report, of those they should: 1 is calibrated, 2 is far too sure
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    assurance: f64,
    /// How much more, or less, often agents are right in the end than in the beginning
    #[arg(
        long,
        default_value_t = 0.0,
        value_name = "CHANGE",
        allow_negative_numbers = true
    )]
    drift: f64,
    /// How many of the agents are hostile: the least able ones
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    attackers: usize,
    /// What those do
    #[arg(long, value_enum, default_value = "always-endorse")]
    attack: Hostile,
    /// Where random numbers start from
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

/// What hostile agents of a panel do.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Hostile {
    /// Endorse whatever comes, surely
    AlwaysEndorse,
    /// Challenge whatever comes, surely
    AlwaysChallenge,
    /// Say the contrary of what they think
    Contrary,
    /// Be honest for the first half, and then say the contrary
    Turncoat,
}

/// Which attacks, and how often.
#[derive(Debug, Args)]
pub(super) struct Attacked {
    /// Names of attacks [default: all of them]
    attacks: Vec<String>,
    #[command(flatten)]
    rules: Rules,
    /// How often each is tried
    #[arg(long, default_value_t = 200, value_name = "NUMBER")]
    seeds: u64,
    /// Where random numbers start from
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
    /// Tables for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

impl Simulate {
    pub(super) fn call(self) -> anyhow::Result<()> {
        match self {
            Self::Panel(drawn) => drawn.call(),
            Self::Attacks(attacked) => attacked.call(),
        }
    }
}

impl Drawn {
    fn call(self) -> anyhow::Result<()> {
        let panel = Panel {
            items: self.items,
            base_rate: self.base_rate,
            turnout: self.turnout,
            voters: (0..self.agents).map(|at| self.voter(at)).collect(),
            seed: self.seed,
        };
        let create = |path: &Path| {
            let file = File::create(path);
            let cannot = || format!("cannot write `{}`", path.display());
            anyhow::Ok(BufWriter::new(file.with_context(cannot)?))
        };
        let history = panel.draw();
        write(&history, create(&self.votes)?, create(&self.truth)?)
            .context("cannot write votes and truths")?;
        let (items, votes) = (history.items.len(), history.votes());
        super::answer(&format!("{items} items, {votes} votes"))?;
        Ok(())
    }

    /// Agents from the least able on; families are dealt in turn.
    fn voter(&self, at: usize) -> Voter {
        let (from, to) = self.accuracy;
        let part = at as f64 / self.agents.saturating_sub(1).max(1) as f64;
        let hostile = match self.attack {
            Hostile::AlwaysEndorse => Conduct::AlwaysEndorse,
            Hostile::AlwaysChallenge => Conduct::AlwaysChallenge,
            Hostile::Contrary => Conduct::Contrary,
            Hostile::Turncoat => Conduct::Turncoat,
        };
        let is_hostile = at < self.attackers;
        let name = if is_hostile { "hostile" } else { "agent" };
        Voter {
            drift: self.drift,
            assurance: self.assurance,
            family: at % self.families.max(1),
            alike: self.correlation,
            conduct: if is_hostile { hostile } else { Conduct::Honest },
            ..Voter::honest(format!("{name}-{at:03}"), from + part * (to - from))
        }
    }
}

impl Attacked {
    fn call(self) -> anyhow::Result<()> {
        let policies = self.rules.alone()?;
        let [policy] = &policies[..] else {
            anyhow::bail!(
                "attacks are tried on one policy, and there are {}",
                policies.len()
            );
        };
        anyhow::ensure!(self.seeds > 0, "--seeds is 0");
        let attacks = self.chosen()?;
        let bar = super::progress::bar(attacks.len());
        let run = |attack: &&Attack| {
            let outcome = attack.run(policy, self.seeds, self.seed);
            bar.inc(1);
            outcome
        };
        let outcomes: Vec<Outcome> = attacks.iter().map(run).collect();
        bar.finish_and_clear();
        match self.output {
            Output::Json => super::answer(&wire::json::to_string_pretty(&outcomes)?)?,
            Output::Text => super::answer(words(&outcomes, policy, self.seeds).trim_end())?,
        }
        Ok(())
    }

    fn chosen(&self) -> anyhow::Result<Vec<&'static Attack>> {
        if self.attacks.is_empty() {
            return Ok(ATTACKS.iter().collect());
        }
        let find = |name: &String| {
            let found = ATTACKS.iter().find(|attack| attack.name == name);
            found.with_context(|| {
                let names: Vec<&str> = ATTACKS.iter().map(|attack| attack.name).collect();
                format!(
                    "there is no attack `{name}`; there are {}",
                    names.join(", ")
                )
            })
        };
        self.attacks.iter().map(find).collect()
    }
}

fn words(outcomes: &[Outcome], policy: &Policy, seeds: u64) -> String {
    let half_life = policy
        .half_life
        .map_or_else(|| "none".to_owned(), |results| results.to_string());
    let mut text = format!("{seeds} seeds, half-life {half_life}\n");
    for outcome in outcomes {
        text.push_str(&format!("\n{}: {}\n", outcome.name, outcome.what));
        text.push_str(&format!(
            "  {:<66}{:>9}{:>9}{:>9}\n",
            "", "mean", "median", "90 %"
        ));
        for measure in &outcome.measures {
            text.push_str(&format!(
                "  {:<66}{:>9.3}{:>9.3}{:>9.3}\n",
                measure.name, measure.mean, measure.median, measure.percentile_90
            ));
        }
    }
    text
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse()
        .ok()
        .filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "is no number in [0, 1]".to_owned())
}

fn span(text: &str) -> Result<(f64, f64), String> {
    let (from, to) = text.split_once("..").unwrap_or((text, text));
    Ok((share(from)?, share(to)?))
}
