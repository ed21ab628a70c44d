//! Standing as it follows from an agent's profile, the policy and its record.

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::ids::Offset;
use crate::records::Review;
use crate::samples::{agent, grant, millionths, policy, prior};

fn score(id: &str, trust: f64) -> TrustScore {
    TrustScore {
        trust_domain: "bank".into(),
        agent_id: id.into(),
        trust: millionths(trust),
        a: 3,
        b: 4,
        ln_m: 5,
        a0: NEWCOMER_A,
        b0: NEWCOMER_B,
        revision: 9,
        update_partition: 0,
        update_offset: Offset(0),
    }
}

fn standing_in(agent: &Agent, domain: &str) -> Standing {
    standing(agent, domain, &policy(), None, None)
}

#[test]
fn authority_is_that_of_the_longest_matching_grant_even_where_it_is_zero() {
    let mut expert = agent("a", "bank", 0.5);
    expert.domains.push(grant("bank.loans", 0.9));
    expert.domains.push(grant("bank.loans.small", 0.0));
    assert_eq!(
        standing_in(&expert, "bank.cards").authority,
        millionths(0.5)
    );
    assert_eq!(
        standing_in(&expert, "bank.loans").authority,
        millionths(0.9)
    );
    let none = standing_in(&expert, "bank.loans.small.car");
    assert!(none.qualified);
    assert_eq!(none.authority, Millionths::ZERO);
    expert.domains.push(grant("bank", 0.6));
    assert_eq!(
        standing_in(&expert, "bank").authority,
        millionths(0.5),
        "the first of two"
    );
    let observer = standing_in(&expert, "banking");
    assert!(!observer.qualified);
    assert_eq!(
        (observer.trust, observer.trust_revision),
        (Millionths::ZERO, 0)
    );
    assert!(
        !standing_in(&agent("b", "*", 1.0), "bank").qualified,
        "a star grants nothing"
    );
}

#[test]
fn a_holder_of_a_required_domain_is_qualified_with_the_highest_it_holds() {
    let mut policy = policy();
    policy.required_domains = vec!["risk".into(), "law".into(), "audit".into()];
    policy.veto_domains = vec!["audit.internal".into()];
    let mut holder = agent("a", "risk", 0.3);
    holder.domains.push(grant("law", 0.7));
    holder.domains.push(grant("audit", 0.0));
    let found = standing(&holder, "bank", &policy, None, None);
    assert!(found.qualified && !found.veto);
    assert_eq!((found.authority, found.required), (millionths(0.7), 0b011));
    // Its match for the proposal's own domain goes before.
    holder.domains.push(grant("bank", 0.1));
    let found = standing(&holder, "bank", &policy, None, None);
    assert_eq!((found.authority, found.required), (millionths(0.1), 0b011));
}

#[test]
fn holding_asks_for_any_grant_above_zero_and_a_veto_does_not_qualify() {
    let mut policy = policy();
    policy.required_domains = vec!["risk.credit".into()];
    let mut holder = agent("a", "risk", 0.4);
    holder.domains.push(grant("risk.credit", 0.0));
    let found = standing(&holder, "bank", &policy, None, None);
    // It holds by `risk`, but the longest match for the required domain is worth nothing.
    assert_eq!((found.required, found.authority), (1, Millionths::ZERO));
    policy.required_domains.clear();
    policy.veto_domains = vec!["risk".into()];
    let found = standing(&holder, "bank", &policy, None, None);
    assert!(!found.qualified && !found.veto);
    holder.domains.push(grant("bank", 0.2));
    assert!(standing(&holder, "bank", &policy, None, None).veto);
}

#[test]
fn trust_is_the_score_else_the_prior_else_what_was_inherited() {
    let start = Some(Start {
        a: 1_000_000_000,
        b: 1_000_000_000,
        ln_m: 0,
    });
    let policy = policy();
    let plain = agent("a", "bank", 1.0);
    let newcomer = standing(&plain, "bank", &policy, None, None);
    assert_eq!(newcomer.trust, millionths(0.150_844));
    let inherits = standing(&plain, "bank", &policy, None, start);
    assert_eq!((inherits.trust, inherits.start), (millionths(0.01), start));
    let mut evaluated = plain.clone();
    evaluated.domains[0].prior = prior(57, 3);
    let found = standing(&evaluated, "bank", &policy, None, start);
    assert_eq!((found.trust, found.start), (millionths(0.640_775), None));
    assert_eq!((found.a0, found.b0), (57_000_000_000, 3_000_000_000));
    let known = standing(&evaluated, "bank", &policy, Some(&score("a", 0.33)), start);
    assert_eq!((known.trust, known.trust_revision), (millionths(0.33), 9));
    assert_eq!(known.start, None);
}

#[test]
fn a_new_id_inherits_the_poorest_record_its_principal_left_behind() {
    let of = |id: &str, status, trust| {
        let mut other = agent(id, "bank", 1.0);
        other.principal = "vendor".into();
        other.status = status;
        (other, score(id, trust))
    };
    let mut newcomer = agent("new", "bank", 1.0);
    newcomer.principal = "vendor".into();
    let poor = |others: &[(Agent, TrustScore)]| -> Option<Start> {
        inherited(
            &newcomer,
            others.iter().map(|(agent, score)| (agent, score)),
        )
    };
    use AgentStatus::{Active, Retired, Suspended};
    assert_eq!(poor(&[of("a", Active, 0.02)]), None, "it is still there");
    assert_eq!(
        poor(&[of("a", Retired, 0.150_844)]),
        None,
        "not below a newcomer's"
    );
    assert!(poor(&[of("a", Retired, 0.150_843)]).is_some());
    assert_eq!(
        poor(&[of("new", Retired, 0.02)]),
        None,
        "it is the same agent"
    );
    let mut others = [
        of("z", Retired, 0.02),
        of("b", Suspended, 0.02),
        of("c", Retired, 0.05),
    ];
    others[1].1.a = 77;
    assert_eq!(poor(&others).map(|start| start.a), Some(77));
    others[1].0.principal = "another".into();
    others[0].1.a = 78;
    assert_eq!(poor(&others).map(|start| start.a), Some(78));
}

#[test]
fn any_review_that_covers_domain_and_stakes_will_do() {
    let mut reviewer = agent("a", "bank", 0.0);
    let review = |domain: &str, up_to_stakes| Review {
        domain: domain.into(),
        up_to_stakes,
    };
    reviewer.reviews = vec![review("*", Stakes::High), review("bank.loans", Stakes::Low)];
    assert!(may_review(&reviewer, "bank.loans", Stakes::High));
    assert!(!may_review(&reviewer, "bank.loans", Stakes::Critical));
    reviewer.reviews.remove(0);
    assert!(may_review(&reviewer, "bank.loans.car", Stakes::Low));
    assert!(!may_review(&reviewer, "bank", Stakes::Low));
    let gone: Vec<AgentStatus> = vec![AgentStatus::Suspended, AgentStatus::Retired];
    for status in gone {
        reviewer.status = status;
        assert!(!may_review(&reviewer, "bank.loans", Stakes::Low));
    }
}
