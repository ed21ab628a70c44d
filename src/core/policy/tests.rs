//! Unit tests of a policy's rules.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::records::Parameter;
use crate::samples::cases;

fn refused(change: impl FnOnce(&mut Policy)) -> &'static str {
    let mut policy = Policy::defaults("fraud");
    change(&mut policy);
    policy.check().unwrap_err().key
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

fn share(millionths: u32) -> Millionths {
    Millionths::new(millionths).unwrap()
}

#[test]
fn the_defaults_are_sound_but_for_the_star_that_must_name_its_trust_domain() {
    assert_eq!(Policy::defaults("fraud").check(), Ok(()));
    assert_eq!(Policy::defaults("fraud.detection").check(), Ok(()));
    let mut star = Policy::defaults("*");
    assert_eq!(star.check().unwrap_err().key, "trust_domain");
    star.trust_domain = "everything-else".to_owned();
    assert_eq!(star.check(), Ok(()));
}

#[test]
fn the_evidence_margin_has_its_own_defaults_and_is_sound() {
    let policy = Policy::defaults("fraud").with_target_error(share(100_000));
    assert_eq!(policy.check(), Ok(()));
    assert_eq!(policy.min_weight, Millionths::ZERO);
    assert_eq!(policy.min_confidence, Millionths::ZERO);
    assert_eq!(policy.evidence_unit, Sum::new(478_165));
}

#[test]
fn exactly_one_margin_must_be_given() {
    assert_eq!(refused(|p| p.quorum_margin = None), "quorum_margin");
    assert_eq!(refused(|p| p.target_error = Some(share(1))), "target_error");
    assert_eq!(
        refused(|p| p.quorum_margin = Some(Millionths::ZERO)),
        "quorum_margin"
    );
    let with = |error| {
        Policy::defaults("fraud")
            .with_target_error(share(error))
            .check()
    };
    assert_eq!(with(500_000), Ok(()));
    assert_eq!(with(1), Ok(()));
    assert_eq!(with(500_001).unwrap_err().key, "target_error");
    assert_eq!(with(0).unwrap_err().key, "target_error");
}

#[test]
fn an_evidence_unit_that_does_not_follow_from_the_error_is_refused() {
    assert_eq!(refused(|p| p.evidence_unit = Sum::new(1)), "evidence_unit");
    let mut policy = Policy::defaults("fraud").with_target_error(share(100_000));
    policy.evidence_unit = Sum::new(478_164);
    assert_eq!(policy.check().unwrap_err().key, "evidence_unit");
}

#[test]
fn names_that_are_no_names_are_refused() {
    for pattern in ["", "fraud.", "fraud.*", "a b"] {
        assert_eq!(
            refused(|p| p.pattern = pattern.to_owned()),
            "pattern",
            "{pattern}"
        );
    }
    for trust_domain in ["", "*", "a:b"] {
        assert_eq!(
            refused(|p| p.trust_domain = trust_domain.to_owned()),
            "trust_domain"
        );
    }
    assert_eq!(
        refused(|p| p.required_domains = names(&["a..b"])),
        "required_domains"
    );
    assert_eq!(
        refused(|p| p.required_domains = names(&["*"])),
        "required_domains"
    );
    assert_eq!(refused(|p| p.veto_domains = names(&[""])), "veto_domains");
    assert_eq!(refused(|p| p.reporters = Some(names(&[""]))), "reporters");
    assert_eq!(
        refused(|p| p.action_types = Some(names(&["x", ""]))),
        "action_types"
    );
}

#[test]
fn naming_a_domain_twice_changes_nothing_and_is_sound() {
    let mut policy = Policy::defaults("fraud");
    policy.required_domains = names(&["a", "a"]);
    policy.veto_domains = names(&["a", "a"]);
    assert_eq!(policy.check(), Ok(()));
}

#[test]
fn more_than_sixty_four_required_domains_are_refused() {
    let many = |n: usize| (0..n).map(|i| alloc::format!("d{i}")).collect::<Vec<_>>();
    let mut policy = Policy::defaults("fraud");
    policy.required_domains = many(64);
    assert_eq!(policy.check(), Ok(()));
    assert_eq!(
        refused(|p| p.required_domains = many(65)),
        "required_domains"
    );
}

#[test]
fn counts_and_shares_out_of_range_are_refused() {
    assert_eq!(refused(|p| p.min_responders = -1), "min_responders");
    assert_eq!(
        refused(|p| p.max_open_per_proposer = -1),
        "max_open_per_proposer"
    );
    assert_eq!(refused(|p| p.half_life = Some(0)), "half_life");
    let key = "max_share_per_principal";
    assert_eq!(refused(|p| p.max_share_per_principal = share(499_999)), key);
    let key = "max_share_per_model_family";
    assert_eq!(refused(|p| p.max_share_per_model_family = share(0)), key);
    assert_eq!(refused(|p| p.approvals_needed.low = 0), "approvals_needed");
    assert_eq!(
        refused(|p| p.approvals_needed.critical = -1),
        "approvals_needed"
    );
    let mut half = Policy::defaults("fraud");
    half.max_share_per_principal = share(500_000);
    half.half_life = None;
    half.min_responders = 0;
    assert_eq!(half.check(), Ok(()));
}

#[test]
fn times_out_of_order_are_refused() {
    assert_eq!(refused(|p| p.deadline_min = Millis(0)), "deadline_min");
    assert_eq!(
        refused(|p| p.deadline_min = Millis(60_001)),
        "deadline_default"
    );
    assert_eq!(refused(|p| p.deadline_max = Millis(59_999)), "deadline_max");
    assert_eq!(
        refused(|p| p.decision_deadline = Millis(0)),
        "decision_deadline"
    );
    assert_eq!(refused(|p| p.result_window = Millis(-1)), "result_window");
    let mut one = Policy::defaults("fraud");
    (one.deadline_min, one.deadline_max) = (Millis(60_000), Millis(60_000));
    assert_eq!(one.check(), Ok(()));
}

#[test]
fn early_close_needs_the_first_revision() {
    assert_eq!(refused(|p| p.early_close = true), "early_close");
    let mut policy = Policy::defaults("fraud");
    (policy.early_close, policy.revision) = (true, Revision::First);
    assert_eq!(policy.check(), Ok(()));
}

fn floor(action_type: Option<&str>, at_least: &str, stakes: Stakes) -> StakesFloor {
    StakesFloor {
        action_type: action_type.map(ToOwned::to_owned),
        parameter: "amount".to_owned(),
        at_least: at_least.to_owned(),
        stakes,
    }
}

fn action(action_type: &str, amounts: &[&str]) -> Action {
    let parameter = |value: &&str| Parameter {
        key: "amount".to_owned(),
        value: (*value).to_owned(),
    };
    Action {
        r#type: action_type.to_owned(),
        subject: "account".to_owned(),
        parameters: amounts.iter().map(parameter).collect(),
    }
}

#[test]
fn a_floor_that_is_no_rule_is_refused() {
    assert_eq!(
        refused(|p| p.stakes_floor = vec![floor(None, "much", Stakes::High)]),
        "stakes_floor"
    );
    assert_eq!(
        refused(|p| p.stakes_floor = vec![floor(Some(""), "1", Stakes::High)]),
        "stakes_floor"
    );
    let nameless = StakesFloor {
        parameter: String::new(),
        ..floor(None, "1", Stakes::High)
    };
    assert_eq!(refused(|p| p.stakes_floor = vec![nameless]), "stakes_floor");
}

#[test]
fn the_higher_of_declared_and_floor_counts() {
    let mut policy = Policy::defaults("credit");
    policy.stakes_floor = vec![
        floor(None, "10000", Stakes::Medium),
        floor(None, "1e6", Stakes::Critical),
    ];
    let counted =
        |amounts: &[&str], declared| policy.stakes_that_count(&action("loan", amounts), declared);
    assert_eq!(
        counted(&["9999.999999999999999999"], Stakes::Low),
        Stakes::Low
    );
    assert_eq!(counted(&["10000"], Stakes::Low), Stakes::Medium);
    assert_eq!(counted(&["10000"], Stakes::High), Stakes::High);
    assert_eq!(counted(&["1000000.0"], Stakes::Low), Stakes::Critical);
    assert_eq!(counted(&["5", "2e4", "-1"], Stakes::Low), Stakes::Medium);
}

#[test]
fn a_missing_or_unreadable_parameter_counts_as_critical() {
    let mut policy = Policy::defaults("credit");
    policy.stakes_floor = vec![floor(Some("loan"), "10000", Stakes::Medium)];
    let counted = |kind: &str, amounts: &[&str]| {
        policy.stakes_that_count(&action(kind, amounts), Stakes::Low)
    };
    assert_eq!(counted("loan", &[]), Stakes::Critical);
    assert_eq!(counted("loan", &["12,000"]), Stakes::Critical);
    assert_eq!(counted("loan", &["1", ""]), Stakes::Critical);
    assert_eq!(counted("loan", &["1"]), Stakes::Low);
    assert_eq!(counted("refund", &[]), Stakes::Low);
}

#[test]
fn the_longest_pattern_governs_and_the_star_what_is_left() {
    let policies = ["*", "fraud", "fraud.cards"].map(Policy::defaults);
    let of = |domain| governing(policies.iter(), domain).map(|p| p.pattern.as_str());
    assert_eq!(of("fraud.cards.eu"), Some("fraud.cards"));
    assert_eq!(of("fraud.cardsharp"), Some("fraud"));
    assert_eq!(of("fraudulent"), Some("*"));
    assert!(governing(policies[1..].iter(), "credit").is_none());
}

#[test]
fn only_listed_action_types_are_allowed_and_any_without_a_list() {
    let mut policy = Policy::defaults("credit");
    assert!(policy.allows("loan"));
    policy.action_types = Some(names(&["loan"]));
    assert!(policy.allows("loan"));
    assert!(!policy.allows("loa"));
    policy.action_types = Some(Vec::new());
    assert!(!policy.allows("loan"));
}

#[test]
fn approvals_are_by_the_stakes_that_counted() {
    let needed = ApprovalsNeeded {
        low: 1,
        medium: 2,
        high: 3,
        critical: 4,
    };
    let stakes = [Stakes::Low, Stakes::Medium, Stakes::High, Stakes::Critical];
    assert_eq!(stakes.map(|s| needed.at(s)), [1, 2, 3, 4]);
    assert_eq!(
        stakes.map(|s| ApprovalsNeeded::default().at(s)),
        [1, 1, 1, 2]
    );
}

#[test]
fn the_evidence_unit_is_exact_for_every_error() {
    let (mut nearest, mut last) = (f64::MAX, f64::MAX);
    // Miri is slow, and looks for something else than wrong numbers.
    let step = if cfg!(miri) { 10_000 } else { 1 };
    for error in (step..=500_000_u32).step_by(step as usize) {
        let units = evidence_units(u64::from(error));
        let unit = evidence_unit(share(error));
        assert!(units < last, "not falling at {error}");
        last = units;
        if error == 10_000 || error == 500_000 {
            continue;
        }
        nearest = nearest.min((units - libm::rint(units)).abs());
        assert_eq!(unit.get() as f64, libm::ceil(units - 1e-9), "{error}");
        assert_eq!(unit.get() as f64, libm::ceil(units + 1e-9), "{error}");
    }
    // A double near 10^6 is wrong by some 10^-9; no error comes that near to a whole number.
    assert!(nearest > 1e-8, "{nearest}");
    assert_eq!(evidence_unit(share(10_000)), Sum::new(1_000_000));
    assert_eq!(evidence_unit(share(500_000)), Sum::ZERO);
}

#[test]
fn evidence_units_are_those_of_the_protocol() {
    assert_eq!(evidence_unit(share(100_000)), Sum::new(478_165));
    assert_eq!(evidence_unit(share(50_000)), Sum::new(640_776));
    assert_eq!(evidence_unit(share(1)), Sum::new(3_006_562));
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn stakes_are_never_lowered(
        amount in "-?[0-9]{1,9}",
        at_least in "-?[0-9]{1,9}",
        rank in 0_usize..4,
    ) {
        let declared = [Stakes::Low, Stakes::Medium, Stakes::High, Stakes::Critical][rank];
        let mut policy = Policy::defaults("credit");
        policy.stakes_floor = vec![floor(None, &at_least, Stakes::High)];
        let counted = policy.stakes_that_count(&action("loan", &[&amount]), declared);
        let reaches = amount.parse::<i64>().unwrap() >= at_least.parse().unwrap();
        let expected = if reaches { declared.max(Stakes::High) } else { declared };
        prop_assert_eq!(counted, expected);
    }
}
