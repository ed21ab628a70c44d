//! An evaluation as tables for a terminal; what files named is escaped.

use std::fmt::{Result, Write};

use crate::evaluate::report::{OfRule, Report};
use crate::evaluate::run::Results;

/// Agents that are listed; JSON has all of them.
const AGENTS_TOLD: usize = 25;

/// The report as text.
pub(super) fn of(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, report);
    text
}

fn write(text: &mut String, report: &Report) -> Result {
    writeln!(
        text,
        "{} items, {} votes by {} agents; {} of the items are good",
        report.items,
        report.votes,
        report.agents_voting,
        percent(report.base_rate)
    )?;
    settings(text, report)?;
    notes(text, report)?;
    rules(text, report)?;
    orders(text, report)?;
    domains(text, report)?;
    agents(text, report)
}

fn settings(text: &mut String, report: &Report) -> Result {
    for policy in &report.settings.policies {
        let margin = match (policy.target_error, policy.quorum_margin) {
            (Some(error), _) => format!("target error {error}"),
            (None, Some(margin)) => format!("margin {margin}"),
            (None, None) => "no margin".to_owned(),
        };
        let half_life = policy
            .half_life
            .map_or_else(|| "none".to_owned(), |results| results.to_string());
        let pattern = policy.pattern.escape_debug();
        writeln!(text, "policy `{pattern}`: {margin}, half-life {half_life}")?;
    }
    if report.settings.result_delay > 0 {
        let delay = report.settings.result_delay;
        writeln!(text, "a result is known {delay} items later")?;
    }
    if report.settings.results == Results::ApprovedOnly {
        writeln!(text, "only what was approved has a result")?;
    }
    Ok(())
}

fn notes(text: &mut String, report: &Report) -> Result {
    report
        .bears_on_nothing()
        .try_for_each(|(count, what)| writeln!(text, "{count} {what}"))
}

fn rules(text: &mut String, report: &Report) -> Result {
    writeln!(
        text,
        "\n{:<29}{:>9}{:>16}{:>8}{:>9}{:>8}{:>11}{:>8}{:>8}{:>8}",
        "rule",
        "accuracy",
        "95 %",
        "Brier",
        "log loss",
        "wrong",
        "escalated",
        "at 5 %",
        "10 %",
        "20 %"
    )?;
    for rule in &report.rules {
        let measures = &rule.measures;
        let interval = rule.intervals.as_ref().map_or_else(
            || "–".to_owned(),
            |of| format!("{:.3} to {:.3}", of.accuracy.low, of.accuracy.high),
        );
        write!(
            text,
            "{:<29}{:>9.4}{:>16}{:>8.4}{:>9.4}{:>8}{:>11}",
            rule.name,
            measures.accuracy,
            interval,
            measures.brier,
            measures.log_loss,
            measures
                .error_automatic
                .map_or_else(|| "–".to_owned(), percent),
            percent(measures.escalated),
        )?;
        for escalating in &rule.accuracy_escalating {
            write!(text, "{:>8.4}", escalating.accuracy)?;
        }
        writeln!(text)?;
    }
    writeln!(
        text,
        "wrong: of automatic decisions; at 5, 10, 20 %: accuracy if the least sure are escalated"
    )?;
    differences(text, report)
}

fn differences(text: &mut String, report: &Report) -> Result {
    let Some((first, others)) = report.rules.split_first() else {
        return Ok(());
    };
    if first.intervals.is_none() {
        return Ok(());
    }
    writeln!(text, "\n{} against each, on the same draws", first.name)?;
    for rule in others {
        let Some(of) = &rule.intervals else {
            continue;
        };
        let accuracy = of.accuracy_difference;
        let verdict = if accuracy.high < 0.0 {
            "better"
        } else if accuracy.low > 0.0 {
            "worse"
        } else {
            "not told apart"
        };
        let lead = first.measures.accuracy - rule.measures.accuracy;
        writeln!(
            text,
            "  {:<29}accuracy {:>+7.4} ({:>+6.3} to {:>+6.3})  {verdict}",
            rule.name,
            lead,
            0.0 - accuracy.high,
            0.0 - accuracy.low,
        )?;
    }
    Ok(())
}

fn orders(text: &mut String, report: &Report) -> Result {
    let of = |rule: &OfRule| rule.orders.map(|orders| (rule.name, orders));
    let told: Vec<_> = report.rules.iter().filter_map(of).collect();
    if told.is_empty() {
        return Ok(());
    }
    writeln!(text, "\nin {} random orders", report.settings.orders)?;
    for (name, orders) in told {
        writeln!(
            text,
            "  {name:<29}accuracy {:.4} ({:.4} to {:.4}), Brier {:.4}",
            orders.accuracy, orders.accuracy_least, orders.accuracy_most, orders.brier
        )?;
    }
    Ok(())
}

fn domains(text: &mut String, report: &Report) -> Result {
    if report.domains.len() < 2 {
        return Ok(());
    }
    let width = 27;
    writeln!(
        text,
        "\n{:<width$}{:>8}{:>9}{:>10}{:>8}{:>8}{:>11}  best of the others",
        "domain", "items", "good", "accuracy", "Brier", "wrong", "escalated"
    )?;
    for domain in &report.domains {
        let Some((ours, others)) = domain.rules.split_first() else {
            continue;
        };
        let best = others
            .iter()
            .max_by(|one, other| one.measures.accuracy.total_cmp(&other.measures.accuracy));
        writeln!(
            text,
            "{:<width$}{:>8}{:>9}{:>10.4}{:>8.4}{:>8}{:>11}  {}",
            domain.domain.escape_debug().to_string(),
            domain.items,
            percent(domain.base_rate),
            ours.measures.accuracy,
            ours.measures.brier,
            ours.measures
                .error_automatic
                .map_or_else(|| "–".to_owned(), percent),
            percent(ours.measures.escalated),
            best.map_or_else(String::new, |best| {
                format!("{} {:.4}", best.name, best.measures.accuracy)
            }),
        )?;
    }
    Ok(())
}

fn agents(text: &mut String, report: &Report) -> Result {
    let width = 29;
    writeln!(
        text,
        "\n{:<width$}{:>7}{:>8}{:>9}{:>10}{:>8}{:>8}",
        "agent", "votes", "right", "claimed", "endorsed", "share", "trust"
    )?;
    let is_one = report.settings.policies.len() < 2;
    for agent in report.agents.iter().take(AGENTS_TOLD) {
        let mut name = agent.agent_id.escape_debug().to_string();
        if !is_one {
            name = format!("{name} ({})", agent.trust_domain.escape_debug());
        }
        writeln!(
            text,
            "{name:<width$}{:>7}{:>8}{:>9}{:>10}{:>8}{:>8.3}",
            agent.votes,
            percent(agent.right),
            percent(agent.claimed),
            percent(agent.endorsed),
            percent(agent.share),
            agent.trust
        )?;
    }
    match report.agents.len().saturating_sub(AGENTS_TOLD) {
        0 => Ok(()),
        more => writeln!(text, "and {more} more; --output json has all of them"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
