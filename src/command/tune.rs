//! `quorate policies tune`: the margin for a wanted error, or for what people can look at.

use std::process::ExitCode;

use clap::Args;

use super::Output;
use super::evaluate::{Electorate, Feedback, Rules, plan};
use super::recorded::Source;
use crate::config::Config;
use crate::evaluate::tune::{Key, Refused, Tried, Tuned, Wanted, tune};
use crate::wire;

/// Which margin keeps to what is wanted, by votes whose truth is known.
#[derive(Debug, Args)]
pub(super) struct Tune {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    wish: Wish,
    /// Tune `quorum_margin` instead of `target_error`
    #[arg(long)]
    relative: bool,
    #[command(flatten)]
    rules: Rules,
    #[command(flatten)]
    electorate: Electorate,
    #[command(flatten)]
    feedback: Feedback,
    /// A table for people, or JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
}

/// What is wanted: one of the two.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Wish {
    /// At most this share of automatic decisions wrong
    #[arg(long, value_name = "SHARE")]
    error: Option<f64>,
    /// At most this share of rounds before people
    #[arg(long, value_name = "SHARE")]
    load: Option<f64>,
}

impl Tune {
    /// Prints what the history says; fails if it bears no promise.
    pub(super) fn call(self, config: &Config) -> anyhow::Result<ExitCode> {
        let wanted = match (self.wish.error, self.wish.load) {
            (Some(error), _) => Wanted::Error(error),
            (None, load) => Wanted::Load(load.unwrap_or(0.0)),
        };
        let (Wanted::Error(share) | Wanted::Load(share)) = wanted;
        let is_share = share > 0.0 && share < 1.0;
        anyhow::ensure!(is_share, "what is wanted, `{share}`, is not in (0, 1)");
        let recorded = self.source.read(config)?;
        let policies = self.rules.policies(&recorded)?;
        let plan = plan(&recorded, &policies, &self.electorate, &self.feedback)?;
        let key = if self.relative {
            Key::QuorumMargin
        } else {
            Key::TargetError
        };
        let tuned = tune(&plan, key, wanted);
        match self.output {
            Output::Json => super::answer(&wire::json::to_string_pretty(&tuned)?)?,
            Output::Text => super::answer(words(&tuned).trim_end())?,
        }
        Ok(match tuned.chosen {
            Some(_) => ExitCode::SUCCESS,
            None => ExitCode::FAILURE,
        })
    }
}

fn words(tuned: &Tuned) -> String {
    let key = match tuned.key {
        Key::TargetError => "target_error",
        Key::QuorumMargin => "quorum_margin",
    };
    let mut text = format!(
        "{} items; {key}, strictest first; bounds hold 95 times of a hundred\n\n\
        {:<14}{:>10}{:>8}{:>8}{:>10}{:>11}{:>10}{:>8}\n",
        tuned.items, key, "automatic", "wrong", "error", "at most", "escalated", "at most", "flips"
    );
    for tried in &tuned.tried {
        text.push_str(&line(
            tried,
            &tried.value.map_or_else(String::new, |v| v.to_string()),
        ));
    }
    text.push_str(&line(&tuned.now, "as it is"));
    text.push('\n');
    let wanted = match tuned.wanted {
        Wanted::Error(error) => format!("an error of at most {}", percent(error)),
        Wanted::Load(load) => format!("at most {} of rounds before people", percent(load)),
    };
    match (&tuned.chosen, &tuned.refused) {
        (Some(chosen), _) => text.push_str(&promised(chosen, key, &wanted)),
        (None, Some(refused)) => text.push_str(&not_promised(refused, key, &wanted)),
        (None, None) => {}
    }
    text
}

fn line(tried: &Tried, name: &str) -> String {
    format!(
        "{name:<14}{:>10}{:>8}{:>8}{:>10}{:>11}{:>10}{:>8}\n",
        tried.automatic,
        tried.approved_wrong + tried.rejected_wrong,
        tried.error.map_or_else(|| "–".to_owned(), percent),
        percent(tried.error_high),
        percent(tried.escalated),
        percent(tried.escalated_high),
        tried.flips.values().sum::<usize>()
    )
}

fn promised(chosen: &Tried, key: &str, wanted: &str) -> String {
    let value = chosen.value.unwrap_or(0.0);
    let mut text = format!(
        "{key} = {value}\n  keeps to {wanted}, if what comes is like the history: {} approved \
        and {} rejected wrongly\n  of {} decided without a person\n",
        chosen.approved_wrong, chosen.rejected_wrong, chosen.automatic
    );
    for (flip, count) in &chosen.flips {
        text.push_str(&format!("  {count} from {flip}\n"));
    }
    text
}

fn not_promised(refused: &Refused, key: &str, wanted: &str) -> String {
    match (refused.items_needed, refused.nearest) {
        (Some(items), Some(value)) => format!(
            "{}: no margin is promised for {wanted}: the history is too short\n  \
            {key} = {value} would need some {items} items, if it goes on as it did\n",
            refused.code
        ),
        _ if refused.code == "too_few" => format!(
            "{}: no margin is promised for {wanted}: the history is too short to say more\n",
            refused.code
        ),
        _ => format!(
            "{}: no margin that was tried reaches {wanted}\n",
            refused.code
        ),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
