//! Lints a policy's own terms: what they mean whoever takes part.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::Severity::{Error, Note, Warning};
use super::{Finding, symbol};
use crate::millionths::{Millionths, Sum};
use crate::records::{Mode, Policy, Stakes};
use crate::trust::{self, State};

/// The confidence at which the reach of agents is told: a settled one, but not a certain one.
pub(super) const USUAL: u32 = 900_000;

/// Everything to be said about the terms alone.
pub(super) fn lint(policy: &Policy, findings: &mut Vec<Finding>) {
    let mut find = |severity, code, text| findings.push(Finding::new(severity, code, text));
    find(Note, "newcomers", newcomers(policy));
    match policy.mode {
        Mode::Live => {}
        Mode::Shadow => {
            let text = "shadow mode: every round escalates, with what it would have come to";
            find(Note, "shadow", text.to_string());
        }
        Mode::Suspended => find(Warning, "suspended", "every round escalates".to_string()),
    }
    if policy.escalate_at_stakes == Stakes::Low {
        let text = "`escalate_at_stakes` is LOW: every round escalates".to_string();
        find(Warning, "always_escalates", text);
    }
    if policy.max_open_per_proposer == 0 {
        let text = "`max_open_per_proposer` is 0: every proposal is refused".to_string();
        find(Error, "nothing_can_be_proposed", text);
    }
    if policy.action_types.as_ref().is_some_and(Vec::is_empty) {
        let text = "`action_types` is empty: every proposal is refused".to_string();
        find(Error, "nothing_can_be_proposed", text);
    }
    if policy.quorum_margin == Some(Millionths::ONE) && !policy.veto_domains.is_empty() {
        let text = "`veto_domains` adds nothing: at a `quorum_margin` of 1 any counted challenge \
                    escalates"
            .to_string();
        find(Note, "veto_adds_nothing", text);
    }
    for (key, names) in [
        ("required_domains", policy.required_domains.as_slice()),
        ("veto_domains", &policy.veto_domains),
        (
            "action_types",
            policy.action_types.as_deref().unwrap_or_default(),
        ),
        ("reporters", policy.reporters.as_deref().unwrap_or_default()),
    ] {
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            find(Warning, "named_twice", format!("`{key}` names one twice"));
        }
    }
    floors(policy, &mut find);
}

fn floors(policy: &Policy, find: &mut impl FnMut(super::Severity, &'static str, String)) {
    for floor in &policy.stakes_floor {
        if let Some(only) = floor
            .action_type
            .as_ref()
            .filter(|only| !policy.allows(only))
        {
            let text = format!("a stakes floor concerns `{only}`, which may not be proposed here");
            find(Warning, "floor_adds_nothing", text);
        }
        if floor.stakes == Stakes::Low {
            let text = format!(
                "the stakes floor on `{}` raises to {}, which no stakes are below",
                floor.parameter,
                symbol(floor.stakes)
            );
            find(Warning, "floor_adds_nothing", text);
        }
    }
}

/// How many newcomers who agree carry a proposal.
fn newcomers(policy: &Policy) -> String {
    // Each weighs alike, so no cap binds, and a round of 2,000 ballots is full.
    const MOST: u64 = 2_000;
    let confidence = Millionths::new(USUAL).unwrap_or(Millionths::ONE);
    let each = trust::weight(Millionths::ONE, confidence, State::newcomer().trust());
    let (least, unit) = (
        policy.min_weight.get(),
        u128::from(policy.evidence_unit.get()),
    );
    let carries = |n: u64| {
        let weight = n * each;
        let evidence = u128::from(weight).pow(2) >= u128::from(n) * unit.pow(2);
        weight >= least && (policy.quorum_margin.is_some() || evidence)
    };
    let asked = policy.quorum_margin.map_or_else(
        || {
            format!(
                "the margin of `target_error` {}",
                shown(policy.target_error)
            )
        },
        |_| format!("`min_weight` {}", policy.min_weight),
    );
    let Some(enough) = (1..=MOST).find(|&n| carries(n)) else {
        return format!("no number of newcomers who agree at confidence 0.9 meets {asked}");
    };
    let reach = |n: u64| Sum::new(n * each);
    match enough - 1 {
        0 => format!(
            "at confidence 0.9 one newcomer reaches {} and meets {asked}",
            reach(1)
        ),
        1 => format!(
            "at confidence 0.9 one newcomer reaches {} and does not meet {asked}; 2 reach {} and \
             do",
            reach(1),
            reach(2)
        ),
        fewer => format!(
            "at confidence 0.9 {fewer} newcomers reach {} and do not meet {asked}; {enough} reach \
             {} and do",
            reach(fewer),
            reach(enough)
        ),
    }
}

fn shown(error: Option<Millionths>) -> String {
    error.map_or_else(String::new, |error| error.to_string())
}
