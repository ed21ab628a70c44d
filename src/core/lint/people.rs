//! Lints who may review, who may report, and whose track record a policy would leave behind.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::Severity::{Error, Note, Warning};
use super::house::{House, is_active};
use super::{Finding, named, symbol};
use crate::electorate;
use crate::policy;
use crate::records::{Agent, AgentKind, Policy, Stakes, TrustScore};

const STAKES: [Stakes; 4] = [Stakes::Low, Stakes::Medium, Stakes::High, Stakes::Critical];

/// Whether enough people may decide what escalates in one domain, at any stakes.
pub(super) fn reviewers(house: &House<'_>, findings: &mut Vec<Finding>) {
    let domain = house.domain;
    let reviewers = |stakes| {
        let may = move |agent: &&Agent| electorate::may_review(agent, domain, stakes);
        house.agents.iter().copied().filter(may)
    };
    let nobody: Vec<_> = STAKES
        .into_iter()
        .filter(|&stakes| reviewers(stakes).next().is_none())
        .map(symbol)
        .collect();
    if !nobody.is_empty() {
        let text = format!(
            "nobody may decide escalations of `{domain}` at stakes {}",
            nobody.join(", ")
        );
        findings.push(Finding::new(Error, "nobody_reviews", text));
    }
    for stakes in STAKES {
        let needed = usize::try_from(house.policy.approvals_needed.at(stakes)).unwrap_or(0);
        let all = reviewers(stakes).count();
        if (1..needed).contains(&all) {
            let text = format!(
                "{needed} reviewers must approve escalations of `{domain}` at stakes {}, and \
                 only {all} may",
                symbol(stakes)
            );
            findings.push(Finding::new(Error, "too_few_reviewers", text));
        }
        // Programs propose; a person who reviews and proposes knows who is left.
        let barred: BTreeSet<_> = house
            .agents
            .iter()
            .filter(|agent| agent.kind == AgentKind::Agent)
            .map(|agent| agent.principal.as_str())
            .filter(|&own| {
                reviewers(stakes)
                    .filter(|agent| agent.principal != own)
                    .count()
                    < needed
            })
            .collect();
        if all >= needed && !barred.is_empty() {
            let text = format!(
                "what principals {} propose in `{domain}` cannot be approved by people at stakes \
                 {}: too few reviewers are of other principals",
                named(barred),
                symbol(stakes)
            );
            findings.push(Finding::new(Warning, "reviewers_of_proposer", text));
        }
    }
}

/// Whether anybody may report what later turned out: else trust never moves.
pub(super) fn reporters(policy: &Policy, agents: &[Agent], findings: &mut Vec<Finding>) {
    let mut find = |code, text| findings.push(Finding::new(Warning, code, text));
    let active = || agents.iter().filter(|agent| is_active(agent));
    let Some(listed) = &policy.reporters else {
        let may = |agent: &Agent| matches!(agent.kind, AgentKind::Reporter | AgentKind::Human);
        if !active().any(may) {
            let text = "no active agent is a reporter or a human: no result can be reported, and \
                        trust never moves"
                .to_string();
            find("no_reporter", text);
        }
        return;
    };
    let absent: Vec<_> = listed
        .iter()
        .map(alloc::string::String::as_str)
        .filter(|name| !active().any(|agent| agent.agent_id.as_str() == *name))
        .collect();
    if absent.len() == listed.len() {
        let text = "none of `reporters` is listed and active: no result can be reported, and \
                    trust never moves"
            .to_string();
        find("no_reporter", text);
    } else if !absent.is_empty() {
        let text = format!("of `reporters` {} are not listed and active", named(absent));
        find("reporter_not_active", text);
    }
}

/// Who starts over because a longer pattern does not name the trust domain in force above it.
pub(super) fn starting_over(
    policy: &Policy,
    others: &[Policy],
    scores: &[TrustScore],
    findings: &mut Vec<Finding>,
) {
    let others = others
        .iter()
        .filter(|other| other.pattern != policy.pattern);
    let Some(above) = policy::governing(others, &policy.pattern) else {
        return;
    };
    let (old, new) = (&above.trust_domain, &policy.trust_domain);
    if old == new {
        return;
    }
    let known_in = |domain: &str| -> BTreeSet<&str> {
        scores
            .iter()
            .filter(|score| score.trust_domain == *domain)
            .map(|score| score.agent_id.as_str())
            .collect()
    };
    let (before, since) = (known_in(old), known_in(new));
    let lost: Vec<_> = before.difference(&since).copied().collect();
    let apart = format!(
        "`{}` keeps track records in `{new}`, apart from `{old}` of `{}`",
        policy.pattern, above.pattern
    );
    findings.push(if lost.is_empty() {
        Finding::new(Note, "own_trust_domain", apart)
    } else {
        Finding::new(
            Warning,
            "starts_over",
            format!("{apart}: {} start over", named(lost)),
        )
    });
}
