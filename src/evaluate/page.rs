//! An evaluation as one page that needs nothing else: tables, and plots as SVG.

use std::fmt::{Result, Write};

use super::bootstrap::Intervals;
use super::plot::{Axis, Plot, Series, escaped};
use super::report::{OfRule, Report};
use super::run::Results;

/// The page's style: colours for light and dark, and one for each series.
const STYLE: &str = include_str!("page.css");
/// Agents in the table; JSON has all of them.
const AGENTS_TOLD: usize = 200;
/// The radius of a dot that stands for all items, in the units of the drawing.
const DOT_MOST: f64 = 22.0;
/// Up to which share escalated risk is drawn: what is left beyond is few items.
const RISK_DRAWN: f64 = 0.8;

/// The page as HTML.
#[must_use]
pub fn page(report: &Report) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write_page(&mut text, report);
    text
}

fn write_page(text: &mut String, report: &Report) -> Result {
    writeln!(
        text,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
        <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
        <meta http-equiv=\"Content-Security-Policy\" \
        content=\"default-src 'none'; style-src 'unsafe-inline'\">\
        <title>How good the decisions would have been</title>\n<style>{STYLE}</style></head><body>\
        <main><h1>How good the decisions would have been</h1>"
    )?;
    write_head(text, report)?;
    write_rules(text, report)?;
    write_risk(text, report)?;
    write_reliability(text, report)?;
    write_trust(text, report)?;
    write_domains(text, report)?;
    write_agents(text, report)?;
    writeln!(text, "</main></body></html>")
}

fn write_head(text: &mut String, report: &Report) -> Result {
    writeln!(
        text,
        "<p>{} items, {} votes by {} agents; {} of the items are good. Each item was decided \
        before its result was shown.</p><ul>",
        report.items,
        report.votes,
        report.agents_voting,
        percent(report.base_rate)
    )?;
    for policy in &report.settings.policies {
        let margin = match (policy.target_error, policy.quorum_margin) {
            (Some(error), _) => format!("target error {error}"),
            (None, margin) => format!("margin {}", margin.unwrap_or(1.0)),
        };
        let half_life = policy
            .half_life
            .map_or_else(|| "none".to_owned(), |results| results.to_string());
        let pattern = escaped(&policy.pattern);
        writeln!(
            text,
            "<li>policy {pattern}: {margin}, half-life {half_life}</li>"
        )?;
    }
    let settings = &report.settings;
    if settings.result_delay > 0 {
        let delay = settings.result_delay;
        writeln!(text, "<li>a result is known {delay} items later</li>")?;
    }
    if settings.results == Results::ApprovedOnly {
        writeln!(text, "<li>only what was approved has a result</li>")?;
    }
    for (count, what) in report.bears_on_nothing() {
        writeln!(text, "<li>{count} {what}</li>")?;
    }
    writeln!(text, "</ul>")
}

fn write_rules(text: &mut String, report: &Report) -> Result {
    let first = report.rules.first().map_or("", |rule| rule.name);
    writeln!(
        text,
        "<h2>Rules</h2><div class=\"wide\"><table class=\"rules\"><thead><tr><th>rule\
        <th>accuracy<th>95 %\
        <th>{first} ahead by<th>Brier<th>log loss<th>wrong, of automatic<th>escalated\
        <th>at 5 %<th>at 10 %<th>at 20 %</tr></thead><tbody>"
    )?;
    for (at, rule) in report.rules.iter().enumerate() {
        let measures = &rule.measures;
        let between = |interval: &dyn Fn(&Intervals) -> (f64, f64), is_signed: bool| {
            let told = rule.intervals.as_ref().map(interval);
            told.map_or_else(
                || "–".to_owned(),
                |(low, high)| {
                    if is_signed {
                        format!("{low:+.3} to {high:+.3}")
                    } else {
                        format!("{low:.3} to {high:.3}")
                    }
                },
            )
        };
        let own = between(&|of| (of.accuracy.low, of.accuracy.high), false);
        let ahead = |of: &Intervals| {
            (
                0.0 - of.accuracy_difference.high,
                0.0 - of.accuracy_difference.low,
            )
        };
        let lead = if at == 0 {
            "–".to_owned()
        } else {
            between(&ahead, true)
        };
        write!(
            text,
            "<tr><th title=\"{}\">{}<td>{:.4}<td>{own}<td>{lead}<td>{:.4}<td>{:.4}\
            <td>{}<td>{}",
            escaped(rule.source),
            rule.name,
            measures.accuracy,
            measures.brier,
            measures.log_loss,
            measures
                .error_automatic
                .map_or_else(|| "–".to_owned(), percent),
            percent(measures.escalated)
        )?;
        for escalating in &rule.accuracy_escalating {
            write!(text, "<td>{:.4}", escalating.accuracy)?;
        }
        writeln!(text, "</tr>")?;
    }
    writeln!(
        text,
        "</tbody></table></div><p>At 5, 10 and 20 %: accuracy on the rest, where the least sure \
        items are escalated. Intervals: items drawn again, the same for every rule.</p>"
    )
}

fn write_risk(text: &mut String, report: &Report) -> Result {
    let highest = report.rules.iter().flat_map(|rule| &rule.risk);
    let most = ceiling(highest.copied().fold(0.01, f64::max));
    let series = |rule: &OfRule| Series {
        name: rule.name.to_owned(),
        points: of_curve(&rule.risk),
        radii: None,
    };
    let plot = Plot {
        says: "The share of wrong decisions among those left, against the share escalated",
        x: share("escalated, least sure first", RISK_DRAWN),
        y: share("wrong, of the rest", most),
        diagonal: false,
        series: report.rules.iter().map(series).collect(),
    };
    writeln!(text, "<h2>Risk against escalation</h2>")?;
    plot.write(text)
}

/// Values at equal steps of [0, 1).
fn of_curve(values: &[f64]) -> Vec<(f64, f64)> {
    let steps = values.len().max(1) as f64;
    let numbered = values.iter().enumerate();
    numbered
        .map(|(at, value)| (at as f64 / steps, *value))
        .take_while(|(escalated, _)| *escalated <= RISK_DRAWN)
        .collect()
}

fn write_reliability(text: &mut String, report: &Report) -> Result {
    let items = report.items.max(1) as f64;
    let series = |rule: &OfRule| Series {
        name: rule.name.to_owned(),
        points: rule
            .reliability
            .iter()
            .map(|bin| (bin.p, bin.good))
            .collect(),
        radii: Some(
            rule.reliability
                .iter()
                .map(|bin| (DOT_MOST * (bin.items as f64 / items).sqrt()).max(2.0))
                .collect(),
        ),
    };
    let plot = Plot {
        says: "How often what was given a probability turned out good, against that probability",
        x: share("p, the probability that it is good", 1.0),
        y: share("was good", 1.0),
        diagonal: true,
        // Ours and the one without any skill: more cannot be told apart.
        series: report.rules.iter().take(2).map(series).collect(),
    };
    writeln!(
        text,
        "<h2>Reliability</h2><p>On the dashed line what is claimed turns out; a dot's area is its \
        share of the items.</p>"
    )?;
    plot.write(text)
}

fn write_trust(text: &mut String, report: &Report) -> Result {
    let is_one = report.settings.policies.len() < 2;
    let series = report.trust.iter().map(|moved| Series {
        name: if is_one {
            moved.agent_id.clone()
        } else {
            format!("{} ({})", moved.agent_id, moved.trust_domain)
        },
        points: moved
            .points
            .iter()
            .map(|(at, trust)| (*at as f64, *trust))
            .collect(),
        radii: None,
    });
    let plot = Plot {
        says: "The trust of the agents with most weight, item by item",
        x: Axis {
            label: "items decided",
            most: report.items.max(1) as f64,
            is_percent: false,
        },
        y: Axis {
            label: "trust",
            most: 1.0,
            is_percent: false,
        },
        diagonal: false,
        series: series.collect(),
    };
    writeln!(text, "<h2>Trust over time</h2>")?;
    plot.write(text)
}

fn write_domains(text: &mut String, report: &Report) -> Result {
    if report.domains.len() < 2 {
        return Ok(());
    }
    writeln!(
        text,
        "<h2>Domains</h2><div class=\"wide\"><table><thead><tr><th>domain<th>items<th>good"
    )?;
    for rule in &report.rules {
        write!(text, "<th>{}", rule.name)?;
    }
    writeln!(text, "</tr></thead><tbody>")?;
    for domain in &report.domains {
        write!(
            text,
            "<tr><th>{}<td>{}<td>{}",
            escaped(&domain.domain),
            domain.items,
            percent(domain.base_rate)
        )?;
        for rule in &domain.rules {
            write!(text, "<td>{:.4}", rule.measures.accuracy)?;
        }
        writeln!(text, "</tr>")?;
    }
    writeln!(text, "</tbody></table></div><p>Accuracy of each rule.</p>")
}

fn write_agents(text: &mut String, report: &Report) -> Result {
    writeln!(
        text,
        "<h2>Agents</h2><div class=\"wide\"><table><thead><tr><th>agent<th>trust domain<th>votes\
        <th>right<th>claimed<th>endorsed<th>share of weight<th>trust</tr></thead><tbody>"
    )?;
    for agent in report.agents.iter().take(AGENTS_TOLD) {
        writeln!(
            text,
            "<tr><th>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{}<td>{:.3}</tr>",
            escaped(&agent.agent_id),
            escaped(&agent.trust_domain),
            agent.votes,
            percent(agent.right),
            percent(agent.claimed),
            percent(agent.endorsed),
            percent(agent.share),
            agent.trust
        )?;
    }
    writeln!(text, "</tbody></table></div>")?;
    match report.agents.len().saturating_sub(AGENTS_TOLD) {
        0 => Ok(()),
        more => writeln!(text, "<p>And {more} more.</p>"),
    }
}

fn share(label: &str, most: f64) -> Axis<'_> {
    Axis {
        label,
        most,
        is_percent: true,
    }
}

/// The next twentieth: where an axis may end.
fn ceiling(most: f64) -> f64 {
    (most * 20.0).ceil() / 20.0
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::reading::{File, read};
    use crate::evaluate::report::{Asked, report};
    use crate::evaluate::run::{Plan, equals, policies};
    use quorate_core::records::Policy;

    #[test]
    fn names_of_agents_and_domains_are_text_on_the_page() {
        let votes = "item_id,agent_id,vote,confidence,domain\n\
            a,<script>alert(1)</script>,1,,x&y\nb,\"q\"\"'\",0,,\u{202e}z\n";
        let text = |text: &'static str| File {
            name: String::new(),
            text: text.as_bytes(),
        };
        let history = read(text(votes), text("item_id,truth\na,1\nb,0\n")).unwrap();
        let policy = Policy {
            trust_domain: "all".into(),
            ..Policy::defaults("*")
        };
        let plan = Plan {
            history: &history,
            agents: equals(&history),
            policies: policies(&history, std::slice::from_ref(&policy)).unwrap(),
            delay: 0,
            results: Results::All,
        };
        let asked = Asked {
            draws: 2,
            orders: 0,
            seed: 1,
            variants: true,
        };
        let page = page(&report(&plan, asked, &|| {}));
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains('\u{202e}'), "{page}");
        for shown in ["&lt;script&gt;", "x&amp;y", "q&quot;&#39;"] {
            assert!(page.contains(shown), "{shown}");
        }
        assert_eq!(page.matches("<svg").count(), 3);
        assert_eq!(page.matches("</svg>").count(), 3);
    }
}
