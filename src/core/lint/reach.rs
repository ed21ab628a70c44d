//! Lints what an electorate can reach under a policy: at its best, and today.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Severity::{Error, Note, Warning};
use super::house::{House, Imagined, Proposer};
use super::{Finding, Severity, named};
use crate::electorate;
use crate::ids::AgentId;
use crate::millionths::Millionths;
use crate::records::{DecisionPart, Reason, Status};

/// Everything to be said about who could decide what in one domain.
pub(super) fn lint(house: &House<'_>, findings: &mut Vec<Finding>) {
    let mut find = |severity, code, text| findings.push(Finding::new(severity, code, text));
    let domain = house.domain;
    if !house
        .seats
        .iter()
        .any(|seat| seat.standing.authority.get() > 0)
    {
        let text = format!("no active agent has authority in `{domain}`: every round escalates");
        find(Error, "nobody_qualified", text);
        return;
    }
    weightless(house, &mut find);
    vetoes(house, &mut find);
    caps(house, &mut find);
    for required in &house.policy.required_domains {
        if !house
            .seats
            .iter()
            .any(|seat| electorate::holds(seat.agent, required))
        {
            let text = format!(
                "no active agent holds the required domain `{required}`: every round in \
                 `{domain}` escalates"
            );
            find(Error, "required_domain_without_holder", text);
        }
    }
    if ever(house, &mut find) {
        today(house, &mut find);
    }
}

type Find<'a> = dyn FnMut(Severity, &'static str, String) + 'a;

/// What stands in the way of a decision even at trust and confidence 1; whether none does.
fn ever(house: &House<'_>, find: &mut Find<'_>) -> bool {
    let mut stopped: BTreeMap<Vec<Reason>, Vec<&str>> = BTreeMap::new();
    let mut best: Option<DecisionPart> = None;
    let mut passes = false;
    for proposer in house.proposers() {
        let round = house.unanimous(Imagined::AtBest, proposer);
        let mut reasons = round.reasons.clone();
        reasons.retain(|reason| *reason != Reason::MarginMet);
        if reasons.is_empty() {
            passes = true;
        } else {
            stopped
                .entry(reasons)
                .or_default()
                .push(proposer.agent_id.as_str());
        }
        let count = round.reasons.len();
        if best.as_ref().is_none_or(|best| count < best.reasons.len()) {
            best = Some(round);
        }
    }
    if passes {
        for (reasons, proposers) in stopped {
            let text = format!(
                "what {} proposes in `{}` always escalates: {}",
                named(proposers),
                house.domain,
                words(&reasons)
            );
            find(Note, "proposer_cannot_pass", text);
        }
    } else if let Some(best) = best {
        for reason in &best.reasons {
            unreachable(house, *reason, &best, find);
        }
    }
    passes
}

/// Says what nobody's proposal can meet.
fn unreachable(house: &House<'_>, reason: Reason, best: &DecisionPart, find: &mut Find<'_>) {
    let (policy, domain) = (house.policy, house.domain);
    let (code, why) = match reason {
        Reason::RequiredMissing => (
            "required_domains_unreachable",
            "a required domain has no holder but whoever proposes".into(),
        ),
        Reason::QuorumNotMet => {
            let principals: BTreeSet<_> = house
                .seats
                .iter()
                .filter(|seat| seat.standing.authority.get() > 0)
                .map(|seat| &seat.agent.principal)
                .collect();
            let why = format!(
                "{} principals are qualified, and `min_responders` asks for {} besides the \
                 proposer's",
                principals.len(),
                policy.min_responders
            );
            ("min_responders_unreachable", why)
        }
        Reason::Unproven => (
            "min_weight_unreachable",
            format!(
                "all reach {} and `min_weight` is {}",
                best.endorse, policy.min_weight
            ),
        ),
        Reason::MarginNotMet => (
            "margin_unreachable",
            format!(
                "all reach {} and need {}",
                best.margin_reached, best.margin_needed
            ),
        ),
        _ => return,
    };
    let text = format!(
        "nothing can ever be decided in `{domain}`: even at trust 1 and confidence 1 {why}"
    );
    find(Error, code, text);
}

/// What everybody together reaches today, and who needs nobody else.
fn today(house: &House<'_>, find: &mut Find<'_>) {
    let outsider = Proposer {
        agent_id: &AgentId::from(""),
        principal: "",
    };
    let round = house.unanimous(Imagined::Today, outsider);
    let reach = format!(
        "today all {} qualified in `{}`, agreeing at confidence 0.9, reach {}",
        house.seats.len(),
        house.domain,
        round.endorse
    );
    if round.status == Status::Approved {
        find(Note, "reach_today", format!("{reach} and decide"));
    } else {
        let text = format!("{reach} and escalate: {}", words(&round.reasons));
        find(Warning, "out_of_reach_today", text);
    }
    let alone: Vec<_> = house
        .seats
        .iter()
        .filter(|seat| house.alone(seat).status == Status::Approved)
        .map(|seat| seat.agent.agent_id.as_str())
        .collect();
    if !alone.is_empty() {
        let text = format!(
            "what {} proposes in `{}` is approved if nobody answers: `min_responders` is 0",
            named(alone),
            house.domain
        );
        find(Warning, "decides_alone", text);
    }
}

/// Qualified agents whose votes weigh nothing.
fn weightless(house: &House<'_>, find: &mut Find<'_>) {
    let zero: Vec<_> = house
        .seats
        .iter()
        .filter(|seat| seat.standing.authority == Millionths::ZERO)
        .map(|seat| seat.agent.agent_id.as_str())
        .collect();
    if !zero.is_empty() {
        let text = format!(
            "{} are granted authority 0 in `{}`: their votes weigh nothing",
            named(zero),
            house.domain
        );
        find(Warning, "zero_weight", text);
    }
}

/// Vetoes that nobody can cast, or that would be an observer's.
fn vetoes(house: &House<'_>, find: &mut Find<'_>) {
    let domain = house.domain;
    for veto in &house.policy.veto_domains {
        let holders: Vec<_> = house
            .agents
            .iter()
            .filter(|agent| electorate::holds(agent, veto))
            .collect();
        if holders.is_empty() {
            let text = format!("no active agent holds the veto domain `{veto}`");
            find(Warning, "veto_without_holder", text);
        }
        let heard = |id: &AgentId| {
            let mut seats = house.seats.iter();
            seats.any(|seat| seat.agent.agent_id == *id && seat.standing.authority.get() > 0)
        };
        let unheard: Vec<_> = holders
            .iter()
            .filter(|agent| !heard(&agent.agent_id))
            .map(|agent| agent.agent_id.as_str())
            .collect();
        if !unheard.is_empty() {
            let text = format!(
                "{} hold the veto domain `{veto}` and have no authority in `{domain}`: their \
                 challenges bar nothing",
                named(unheard)
            );
            find(Warning, "veto_of_observer", text);
        }
    }
}

/// Caps under which there is only one group, and so nobody to be capped against.
fn caps(house: &House<'_>, find: &mut Find<'_>) {
    let seats = || {
        house
            .seats
            .iter()
            .filter(|seat| seat.standing.authority.get() > 0)
    };
    let principals: BTreeSet<_> = seats().map(|seat| &seat.agent.principal).collect();
    let families: BTreeSet<_> = seats()
        .map(|seat| match &seat.agent.model_family {
            Some(family) => (Some(family), None),
            None => (None, Some(&seat.agent.agent_id)),
        })
        .collect();
    let policy = house.policy;
    for (key, share, groups) in [
        (
            "max_share_per_principal",
            policy.max_share_per_principal,
            principals.len(),
        ),
        (
            "max_share_per_model_family",
            policy.max_share_per_model_family,
            families.len(),
        ),
    ] {
        if share < Millionths::ONE && groups < 2 {
            let text = format!(
                "`{key}` can never bind in `{}`: all who are qualified are of one group",
                house.domain
            );
            find(Warning, "cap_never_binds", text);
        }
    }
}

/// Reasons in words, with their codes.
fn words(reasons: &[Reason]) -> String {
    let words: Vec<_> = reasons
        .iter()
        .filter_map(|reason| match reason {
            Reason::RequiredMissing => Some("a required domain is missing (REQUIRED_MISSING)"),
            Reason::QuorumNotMet => Some("too few principals speak (QUORUM_NOT_MET)"),
            Reason::Unproven => Some("it weighs too little (UNPROVEN)"),
            Reason::LowConfidence => Some("confidence is too low (LOW_CONFIDENCE)"),
            Reason::MarginNotMet => Some("the margin is not met (MARGIN_NOT_MET)"),
            _ => None,
        })
        .collect();
    words.join(", ")
}
