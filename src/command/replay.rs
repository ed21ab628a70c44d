//! `quorate replay`: recorded rounds under other rules, touching nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use clap::Args;
use quorate_core::records::{Reason, Status};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::Output;
use super::history::{Progress, Which};
use super::watch::symbols;
use crate::config::Config;
use crate::replay::{Change, Count, HalfLife, Keeping, Replayed, Rules, replay};
use crate::wire::{self, files};

/// Flips, and track records, that are shown to people.
const SHOWN: usize = 20;

/// Which rounds, and what is to be otherwise.
#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    which: Which,
    /// Policies in place of those recorded: TOML, `[[policy]]` an entry
    #[arg(long, value_name = "FILE")]
    policies: Option<PathBuf>,
    /// Agents in place of those recorded: TOML, `[[agent]]` an entry
    #[arg(long, value_name = "FILE")]
    agents: Option<PathBuf>,
    /// Results after which a track record has faded by half, in every policy, or `none`
    #[arg(long, value_name = "RESULTS", value_parser = half_life)]
    half_life: Option<HalfLife>,
    /// Weigh by the trust that follows from the replayed rounds, not by the trust on record
    #[arg(long)]
    replay_trust: bool,
    /// File to put the replay away in, and to go on from if it is there
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Records between two checkpoints
    #[arg(long, value_name = "RECORDS", default_value = "5000000", requires = "checkpoint",
        value_parser = clap::value_parser!(i64).range(1..))]
    checkpoint_every: i64,
    /// Words for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

fn half_life(text: &str) -> Result<HalfLife, String> {
    if text == "none" {
        return Ok(HalfLife::Of(None));
    }
    let count = text.parse().ok().filter(|count| *count > 0);
    let count = count.ok_or("it is a number of results above 0, or `none`")?;
    Ok(HalfLife::Of(Some(count)))
}

impl Replay {
    pub(super) fn call(self, config: &Config) -> anyhow::Result<()> {
        let read = |file: &PathBuf| super::input(file);
        let within = |file: &PathBuf| format!("in `{}`", file.display());
        let policies = self
            .policies
            .as_ref()
            .map(|file| files::policies(&read(file)?).with_context(|| within(file)));
        let agents = self
            .agents
            .as_ref()
            .map(|file| files::agents(&read(file)?).with_context(|| within(file)));
        let rules = Rules {
            policies: policies.transpose()?,
            agents: agents.transpose()?,
            half_life: self.half_life.unwrap_or(HalfLife::AsTheySay),
            replay_trust: self.replay_trust,
        };
        let keeping = self
            .checkpoint
            .map(|path| keeping(path, self.checkpoint_every));
        let keeping = keeping.transpose()?;
        let mut history = self.which.open(config)?;
        let mut progress = Progress::of("replaying:", history.about().expected());
        let shown = &mut |done| progress.show(done);
        let replayed = replay(&mut *history, &rules, keeping.as_ref(), shown);
        progress.end();
        let replayed = replayed?;
        super::answer(&match self.output {
            Output::Text => words(&replayed),
            Output::Json => wire::json::to_string_pretty(&replayed)?,
        })?;
        Ok(())
    }
}

/// Where it is put away, also when it is told to stop.
fn keeping(path: PathBuf, every: i64) -> anyhow::Result<Keeping> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // The second time it ends the process as if nobody listened.
        signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&stop))
            .context("cannot listen for signals")?;
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .context("cannot listen for signals")?;
    }
    Ok(Keeping { path, every, stop })
}

fn words(replayed: &Replayed) -> String {
    let head = format!("{:<10} {:>12} {:>12}\n", "", "recorded", "replayed");
    let mut text = head;
    let Replayed {
        recorded: was,
        replayed: is,
        ..
    } = replayed;
    let known = |count: &Count| format!("{} of {}", count.wrong, count.known);
    for (what, was, is) in [
        (
            "approved",
            was.approved.to_string(),
            is.approved.to_string(),
        ),
        (
            "rejected",
            was.rejected.to_string(),
            is.rejected.to_string(),
        ),
        (
            "escalated",
            was.escalated.to_string(),
            is.escalated.to_string(),
        ),
        ("wrong", known(was), known(is)),
    ] {
        text.push_str(&format!("{what:<10} {was:>12} {is:>12}\n"));
    }
    for change in replayed.flips.iter().take(SHOWN) {
        text.push_str(&line(change));
    }
    let more = replayed.flips.len().saturating_sub(SHOWN);
    if more > 0 {
        text.push_str(&format!("{more} more rounds come out otherwise\n"));
    }
    let moved = replayed
        .trust
        .iter()
        .filter(|one| one.recorded != one.replayed);
    for one in moved.take(SHOWN) {
        let told =
            |trust: Option<f64>| trust.map_or_else(|| "none".to_owned(), |t| format!("{t:.3}"));
        let line = format!(
            "trust of {} in {}: {} was {}\n",
            one.agent_id,
            one.trust_domain,
            told(one.replayed),
            told(one.recorded),
        );
        text.push_str(&line.escape_debug().to_string().replace("\\n", "\n"));
    }
    let (flips, responses) = (replayed.flips.len(), replayed.responses);
    text.push_str(&format!(
        "{flips} rounds come out otherwise, {responses} responses"
    ));
    text
}

fn line(change: &Change) -> String {
    let told = |status: Option<Status>, reason: Option<Reason>, is_open| match (status, reason) {
        (Some(status), Some(reason)) => {
            format!("{} ({})", symbols(&[status]), symbols(&[reason]))
        }
        _ if is_open => "open still".to_owned(),
        _ => "not opened".to_owned(),
    };
    let refused = change
        .refused
        .as_ref()
        .map_or(String::new(), |code| format!(", {code}"));
    format!(
        "{}: {} -> {}{refused}\n",
        change.proposal_id,
        told(change.from, change.from_reason, false),
        told(change.to, change.to_reason, change.open),
    )
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::ProposalId;

    use super::*;

    #[test]
    fn a_round_that_comes_out_otherwise_is_told_in_the_protocols_words() {
        let change = Change {
            proposal_id: ProposalId::from_bytes([0; 16]),
            from: Some(Status::Approved),
            to: Some(Status::Escalated),
            from_reason: Some(Reason::MarginMet),
            to_reason: Some(Reason::HighStakes),
            open: false,
            refused: None,
            result: None,
        };
        let told = line(&change);
        let (_, told) = told.split_once(": ").unwrap();
        assert_eq!(told, "APPROVED (MARGIN_MET) -> ESCALATED (HIGH_STAKES)\n");
        let refused = Change {
            to: None,
            to_reason: None,
            refused: Some("agent_not_listed".to_owned()),
            ..change
        };
        let told = line(&refused);
        assert!(
            told.ends_with("-> not opened, agent_not_listed\n"),
            "{told}"
        );
    }
}
