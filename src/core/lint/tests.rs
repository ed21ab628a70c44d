//! Unit tests of lint: each finding once where it belongs, and not where it does not.

use alloc::borrow::ToOwned;
use alloc::vec;

use super::*;
use crate::ids::Offset;
use crate::millionths::Millionths;
use crate::records::{AgentKind, AgentStatus, Grant, Mode, Prior, Review, StakesFloor};

fn share(millionths: u32) -> Millionths {
    Millionths::new(millionths).unwrap()
}

fn agent(id: &str, grants: &[(&str, u32)]) -> Agent {
    Agent {
        agent_id: id.into(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: format!("{id}-team"),
        model_family: None,
        domains: grants
            .iter()
            .map(|&(domain, authority)| grant(domain, authority))
            .collect(),
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    }
}

fn grant(domain: &str, authority: u32) -> Grant {
    Grant {
        domain: domain.to_owned(),
        authority: share(authority),
        prior: None,
    }
}

fn reviewer(id: &str, up_to_stakes: Stakes) -> Agent {
    let review = Review {
        domain: "*".to_owned(),
        up_to_stakes,
    };
    Agent {
        kind: AgentKind::Human,
        reviews: vec![review],
        ..agent(id, &[])
    }
}

/// Three newcomers of full authority in `fraud`, and two people who may review everything.
fn electorate() -> Vec<Agent> {
    let mut agents: Vec<_> = ["a", "b", "c"]
        .map(|id| agent(id, &[("fraud", 1_000_000)]))
        .into();
    agents.extend(["r", "s"].map(|id| reviewer(id, Stakes::Critical)));
    agents
}

fn score(trust_domain: &str, id: &str) -> TrustScore {
    TrustScore {
        trust_domain: trust_domain.to_owned(),
        agent_id: id.into(),
        trust: share(800_000),
        a: 0,
        b: 0,
        ln_m: 0,
        a0: 0,
        b0: 0,
        revision: 1,
        update_partition: 0,
        update_offset: Offset(0),
    }
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

fn with(change: impl FnOnce(&mut Policy)) -> Vec<Finding> {
    let mut policy = Policy::defaults("fraud");
    change(&mut policy);
    lint(&policy, &[], &electorate(), &[])
}

fn among(change: impl FnOnce(&mut Vec<Agent>)) -> Vec<Finding> {
    let mut agents = electorate();
    change(&mut agents);
    lint(&Policy::defaults("fraud"), &[], &agents, &[])
}

#[track_caller]
fn assert_finds(findings: &[Finding], severity: Severity, code: &str) {
    let found = findings
        .iter()
        .any(|f| f.code == code && f.severity == severity);
    assert!(found, "{findings:#?}");
}

#[track_caller]
fn text<'a>(findings: &'a [Finding], code: &str) -> &'a str {
    &findings
        .iter()
        .find(|finding| finding.code == code)
        .unwrap()
        .text
}

#[test]
fn a_policy_that_works_gets_notes_alone() {
    let findings = with(|_| {});
    assert_eq!(codes(&findings), ["newcomers", "reach_today"]);
    assert_eq!(
        text(&findings, "newcomers"),
        "at confidence 0.9 2 newcomers reach 0.271518 and do not meet `min_weight` 0.300000; 3 \
         reach 0.407277 and do"
    );
    assert_eq!(
        text(&findings, "reach_today"),
        "today all 3 qualified in `fraud`, agreeing at confidence 0.9, reach 0.407277 and decide"
    );
}

#[test]
fn newcomers_are_counted_under_the_evidence_margin_too() {
    let policy = Policy::defaults("fraud").with_target_error(share(100_000));
    let findings = lint(&policy, &[], &[], &[]);
    // k = .478165: 12 × .135759² < k² ≤ 13 × .135759².
    assert_eq!(
        text(&findings, "newcomers"),
        "at confidence 0.9 12 newcomers reach 1.629108 and do not meet the margin of \
         `target_error` 0.100000; 13 reach 1.764867 and do"
    );
    assert_finds(&findings, Severity::Note, "no_electorate");
    let open = with(|p| p.min_weight = share(135_759));
    assert!(text(&open, "newcomers").contains("one newcomer reaches 0.135759 and meets"));
    let two = with(|p| p.min_weight = share(135_760));
    assert!(text(&two, "newcomers").contains("does not meet `min_weight` 0.135760; 2 reach"));
}

#[test]
fn an_unsound_policy_gets_one_error() {
    let findings = with(|p| p.min_responders = -1);
    assert_eq!(codes(&findings), ["unsound"]);
    assert_eq!(findings[0].text, "`min_responders` is negative");
}

#[test]
fn nobody_qualified_is_an_error() {
    let findings = lint(&Policy::defaults("credit"), &[], &electorate(), &[]);
    assert_finds(&findings, Severity::Error, "nobody_qualified");
    let retired = among(|a| a.iter_mut().for_each(|a| a.status = AgentStatus::Retired));
    assert_finds(&retired, Severity::Error, "nobody_qualified");
}

#[test]
fn a_required_domain_without_holder_is_an_error() {
    let findings = with(|p| p.required_domains = vec!["compliance".to_owned()]);
    assert_finds(&findings, Severity::Error, "required_domain_without_holder");
    let mut policy = Policy::defaults("fraud");
    policy.required_domains = vec!["compliance".to_owned()];
    let mut agents = electorate();
    agents.push(agent("d", &[("compliance", 500_000)]));
    let held = lint(&policy, &[], &agents, &[]);
    assert!(
        held.iter()
            .all(|finding| finding.severity < Severity::Error),
        "{held:#?}"
    );
    let text = text(&held, "proposer_cannot_pass");
    assert!(
        text.contains("what `d` proposes") && text.contains("REQUIRED_MISSING"),
        "{text}"
    );
}

#[test]
fn more_responders_than_principals_is_an_error_and_as_many_a_note() {
    let findings = with(|p| p.min_responders = 4);
    assert_finds(&findings, Severity::Error, "min_responders_unreachable");
    let findings = with(|p| p.min_responders = 3);
    let text = text(&findings, "proposer_cannot_pass");
    assert!(
        text.starts_with("what `a`, `b`, `c` proposes in `fraud` always"),
        "{text}"
    );
}

#[test]
fn a_weight_nobody_can_reach_is_an_error_and_not_today_a_warning() {
    let weak = |policy: &Policy| {
        let agents: Vec<_> = ["a", "b"].map(|id| agent(id, &[("fraud", 100_000)])).into();
        lint(policy, &[], &agents, &[])
    };
    let findings = weak(&Policy::defaults("fraud"));
    assert_finds(&findings, Severity::Error, "min_weight_unreachable");
    let mut policy = Policy::defaults("fraud");
    policy.min_weight = share(200_000);
    let findings = weak(&policy);
    assert!(!codes(&findings).contains(&"min_weight_unreachable"));
    assert_finds(&findings, Severity::Warning, "out_of_reach_today");
    assert!(text(&findings, "out_of_reach_today").contains("(UNPROVEN)"));
}

#[test]
fn an_evidence_margin_nobody_can_reach_is_an_error() {
    let policy = Policy::defaults("fraud").with_target_error(share(1));
    let findings = lint(&policy, &[], &electorate(), &[]);
    // Three at trust 1 reach √3 × 1.732 = 3 < 3.006562.
    assert_finds(&findings, Severity::Error, "margin_unreachable");
    let policy = Policy::defaults("fraud").with_target_error(share(100_000));
    let findings = lint(&policy, &[], &electorate(), &[]);
    assert_finds(&findings, Severity::Warning, "out_of_reach_today");
}

#[test]
fn todays_reach_counts_scores_and_priors() {
    let prior = Prior {
        right: 57,
        wrong: 3,
        source: "evaluation".to_owned(),
    };
    let findings = among(|a| a[0].domains[0].prior = Some(prior));
    assert!(
        text(&findings, "reach_today").contains("0.848215"),
        "{findings:#?}"
    );
    let policy = Policy::defaults("fraud");
    let scored = lint(
        &policy,
        &[],
        &electorate(),
        &[score("fraud", "a"), score("credit", "b")],
    );
    assert!(
        text(&scored, "reach_today").contains("0.991518"),
        "{scored:#?}"
    );
}

#[test]
fn whoever_decides_alone_is_named() {
    let mut policy = Policy::defaults("fraud");
    policy.min_responders = 0;
    let findings = lint(&policy, &[], &electorate(), &[score("fraud", "a")]);
    let alone = text(&findings, "decides_alone");
    assert!(
        alone.starts_with("what `a` proposes in `fraud` is approved"),
        "{alone}"
    );
    let answered = lint(
        &Policy::defaults("fraud"),
        &[],
        &electorate(),
        &[score("fraud", "a")],
    );
    assert!(!codes(&answered).contains(&"decides_alone"));
}

#[test]
fn an_authority_of_zero_is_a_vote_that_weighs_nothing() {
    let findings = among(|a| a[1].domains[0].authority = Millionths::ZERO);
    assert!(text(&findings, "zero_weight").starts_with("`b` are granted authority 0"));
}

#[test]
fn a_veto_nobody_can_cast_is_told_from_one_an_observer_would() {
    let veto = |p: &mut Policy| p.veto_domains = vec!["security".to_owned()];
    assert_finds(&with(veto), Severity::Warning, "veto_without_holder");
    let mut policy = Policy::defaults("fraud");
    veto(&mut policy);
    let mut agents = electorate();
    agents.push(agent("guard", &[("security", 1_000_000)]));
    let findings = lint(&policy, &[], &agents, &[]);
    assert!(text(&findings, "veto_of_observer").contains("`guard`"));
    agents.last_mut().unwrap().domains.push(grant("fraud", 1));
    let findings = lint(&policy, &[], &agents, &[]);
    assert!(
        !codes(&findings).contains(&"veto_of_observer"),
        "{findings:#?}"
    );
}

#[test]
fn a_veto_adds_nothing_to_unanimity() {
    let all = with(|p| {
        p.quorum_margin = Some(Millionths::ONE);
        p.veto_domains = vec!["fraud".to_owned()];
    });
    assert_finds(&all, Severity::Note, "veto_adds_nothing");
    let some = with(|p| p.veto_domains = vec!["fraud".to_owned()]);
    assert!(!codes(&some).contains(&"veto_adds_nothing"));
}

#[test]
fn a_cap_needs_two_groups_to_bind() {
    let capped = |p: &mut Policy| {
        p.max_share_per_principal = share(500_000);
        p.max_share_per_model_family = share(500_000);
    };
    assert!(!codes(&with(capped)).contains(&"cap_never_binds"));
    let mut policy = Policy::defaults("fraud");
    capped(&mut policy);
    let mut agents = electorate();
    agents
        .iter_mut()
        .for_each(|a| a.principal = "one".to_owned());
    let findings = lint(&policy, &[], &agents, &[]);
    assert!(text(&findings, "cap_never_binds").contains("max_share_per_principal"));
}

#[test]
fn a_longer_pattern_says_who_starts_over_unless_it_names_the_old_trust_domain() {
    let above = Policy::defaults("fraud");
    let mut below = Policy::defaults("fraud.cards");
    let scores = [
        score("fraud", "a"),
        score("fraud", "b"),
        score("fraud.cards", "b"),
    ];
    let findings = lint(
        &below,
        core::slice::from_ref(&above),
        &electorate(),
        &scores,
    );
    assert!(
        text(&findings, "starts_over").ends_with(": `a` start over"),
        "{findings:#?}"
    );
    let fresh = lint(
        &below,
        core::slice::from_ref(&above),
        &electorate(),
        &scores[2..],
    );
    assert_finds(&fresh, Severity::Note, "own_trust_domain");
    below.trust_domain = "fraud".to_owned();
    let findings = lint(&below, &[above], &electorate(), &scores);
    assert!(!codes(&findings).contains(&"starts_over"));
}

#[test]
fn stakes_that_nobody_or_too_few_may_decide_are_errors() {
    let findings = among(|a| a.truncate(3));
    assert_eq!(
        text(&findings, "nobody_reviews"),
        "nobody may decide escalations of `fraud` at stakes LOW, MEDIUM, HIGH, CRITICAL"
    );
    let findings = among(|a| a.truncate(4));
    assert!(text(&findings, "too_few_reviewers").contains("at stakes CRITICAL, and only 1 may"));
    let findings = among(|a| a[4] = reviewer("s", Stakes::High));
    assert_finds(&findings, Severity::Error, "too_few_reviewers");
}

#[test]
fn reviewers_of_the_proposers_principal_are_left_out() {
    let findings = among(|a| a[3].principal = "a-team".to_owned());
    let text = text(&findings, "reviewers_of_proposer");
    assert!(
        text.contains("`a-team`") && text.contains("CRITICAL"),
        "{text}"
    );
}

#[test]
fn without_reporters_trust_never_moves() {
    let findings = among(|a| a.iter_mut().for_each(|a| a.kind = AgentKind::Agent));
    assert_finds(&findings, Severity::Warning, "no_reporter");
    let named = |names: &[&str]| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        with(|p| p.reporters = Some(names))
    };
    assert_finds(&named(&["nobody"]), Severity::Warning, "no_reporter");
    assert_finds(
        &named(&["r", "nobody"]),
        Severity::Warning,
        "reporter_not_active",
    );
    assert!(!codes(&named(&["r"])).contains(&"no_reporter"));
}

#[test]
fn terms_that_stop_everything_are_told() {
    assert_finds(
        &with(|p| p.mode = Mode::Suspended),
        Severity::Warning,
        "suspended",
    );
    assert_finds(&with(|p| p.mode = Mode::Shadow), Severity::Note, "shadow");
    let low = with(|p| p.escalate_at_stakes = Stakes::Low);
    assert_finds(&low, Severity::Warning, "always_escalates");
    let none = with(|p| p.max_open_per_proposer = 0);
    assert_finds(&none, Severity::Error, "nothing_can_be_proposed");
    let none = with(|p| p.action_types = Some(Vec::new()));
    assert_finds(&none, Severity::Error, "nothing_can_be_proposed");
}

#[test]
fn names_given_twice_are_told() {
    let twice = with(|p| p.veto_domains = vec!["fraud".to_owned(), "fraud".to_owned()]);
    assert_eq!(
        text(&twice, "named_twice"),
        "`veto_domains` names one twice"
    );
}

#[test]
fn floors_that_raise_nothing_are_told() {
    let floor = |action_type: Option<&str>, stakes| StakesFloor {
        action_type: action_type.map(ToOwned::to_owned),
        parameter: "amount".to_owned(),
        at_least: "1".to_owned(),
        stakes,
    };
    let low = with(|p| p.stakes_floor = vec![floor(None, Stakes::Low)]);
    assert_finds(&low, Severity::Warning, "floor_adds_nothing");
    let other = with(|p| {
        p.action_types = Some(vec!["block".to_owned()]);
        p.stakes_floor = vec![floor(Some("loan"), Stakes::High)];
    });
    assert_finds(&other, Severity::Warning, "floor_adds_nothing");
}

#[test]
fn a_policy_is_judged_in_the_domains_below_it_that_agents_are_granted() {
    let mut policy = Policy::defaults("*");
    policy.trust_domain = "rest".to_owned();
    let findings = lint(&policy, &[], &electorate(), &[]);
    assert!(text(&findings, "reach_today").contains("`fraud`"));
    let governed = lint(&policy, &[Policy::defaults("fraud")], &electorate(), &[]);
    assert!(!codes(&governed).contains(&"reach_today"), "{governed:#?}");
    let mut agents = electorate();
    agents[0].domains[0].domain = "fraud.cards".to_owned();
    let findings = lint(&Policy::defaults("fraud"), &[], &agents[..1], &[]);
    let texts: String = findings
        .iter()
        .map(|finding| finding.text.as_str())
        .collect();
    assert!(
        texts.contains("`fraud.cards`") && !texts.contains("`fraud`"),
        "{texts}"
    );
}

#[test]
fn the_most_serious_findings_come_first() {
    let findings = among(|a| a.truncate(3));
    assert!(findings.is_sorted_by(|one, other| one.severity >= other.severity));
    assert_eq!(findings[0].severity, Severity::Error);
}

#[test]
fn long_lists_are_cut() {
    assert_eq!(named(["a", "b"]), "`a`, `b`");
    assert_eq!(
        named(["a", "b", "c", "d", "e", "f", "g"]),
        "`a`, `b`, `c`, `d`, `e` and 2 more"
    );
}
