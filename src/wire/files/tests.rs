//! Unit tests of policy and agent files: what is read, what is refused, and where.

use proptest::prelude::*;
use serde_json::json;

use quorate_core::ids::Digest;
use quorate_core::millionths::{Millionths, Sum};
use quorate_core::records::{Mode, OnDecisionTimeout, Revision, Stakes};

use super::*;

fn policy_refused(toml: &str) -> String {
    policies(toml).unwrap_err().to_string()
}

fn agent_refused(toml: &str) -> String {
    agents(toml).unwrap_err().to_string()
}

fn share(millionths: u32) -> Millionths {
    Millionths::new(millionths).unwrap()
}

#[test]
fn an_entry_gives_what_differs_from_the_defaults() {
    let read = policies("[[policy]]\npattern = \"fraud\"\nmin_weight = 0.5\n").unwrap();
    let mut expected = Policy::defaults("fraud");
    expected.min_weight = share(500_000);
    assert_eq!(read, [expected]);
    assert_eq!(policies("").unwrap(), []);
}

#[test]
fn every_key_of_a_policy_is_read() {
    let text = r#"
        [[policy]]
        pattern = "credit"
        target_error = 0.1
        min_responders = 2
        min_weight = 0.1
        min_confidence = 0.2
        escalate_at_stakes = "CRITICAL"
        stakes_floor = [
            { action_type = "loan", parameter = "amount", at_least = 1e4, stakes = "HIGH" },
        ]
        proposer_counts = false
        required_domains = ["compliance"]
        veto_domains = ["security"]
        max_share_per_principal = 0.5
        max_share_per_model_family = 0.6
        deadline_default = "2 min"
        deadline_min = "500 ms"
        deadline_max = "1 d"
        revision = "first"
        early_close = true
        approvals_needed = { HIGH = 2 }
        decision_deadline = "72 h"
        on_decision_timeout = "REJECT"
        reporters = ["ledger"]
        self_report = true
        result_window = 86400000
        max_open_per_proposer = 5
        action_types = ["loan"]
        mode = "shadow"
        trust_domain = "lending"
        half_life = "none"
    "#;
    let policy = &policies(text).unwrap()[0];
    let expected = Policy {
        pattern: "credit".to_owned(),
        quorum_margin: None,
        target_error: Some(share(100_000)),
        evidence_unit: Sum::new(478_165),
        min_responders: 2,
        min_weight: share(100_000),
        min_confidence: share(200_000),
        escalate_at_stakes: Stakes::Critical,
        stakes_floor: vec![StakesFloor {
            action_type: Some("loan".to_owned()),
            parameter: "amount".to_owned(),
            at_least: "10000.0".to_owned(),
            stakes: Stakes::High,
        }],
        proposer_counts: false,
        required_domains: vec!["compliance".to_owned()],
        veto_domains: vec!["security".to_owned()],
        max_share_per_principal: share(500_000),
        max_share_per_model_family: share(600_000),
        deadline_default: Millis(120_000),
        deadline_min: Millis(500),
        deadline_max: Millis(86_400_000),
        revision: Revision::First,
        early_close: true,
        approvals_needed: ApprovalsNeeded {
            low: 1,
            medium: 1,
            high: 2,
            critical: 2,
        },
        decision_deadline: Millis(259_200_000),
        on_decision_timeout: OnDecisionTimeout::Reject,
        reporters: Some(vec!["ledger".to_owned()]),
        self_report: true,
        result_window: Millis(86_400_000),
        max_open_per_proposer: 5,
        action_types: Some(vec!["loan".to_owned()]),
        mode: Mode::Shadow,
        trust_domain: "lending".to_owned(),
        half_life: None,
        digest: Digest::default(),
    };
    assert_eq!(*policy, expected);
}

#[test]
fn the_keys_of_files_are_those_of_the_record_but_for_what_is_derived() {
    let record = serde_json::to_value(Policy::defaults("x")).unwrap();
    let mut keys: Vec<_> = record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.retain(|key| !["digest", "evidence_unit"].contains(key));
    let mut known = POLICY_KEYS.to_vec();
    known.sort_unstable();
    keys.sort_unstable();
    assert_eq!(known, keys);
    let agent = agent_from_json(&json!({ "agent_id": "a" })).unwrap();
    let record = serde_json::to_value(agent).unwrap();
    let mut keys: Vec<_> = record
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut known = AGENT_KEYS.to_vec();
    known.sort_unstable();
    keys.sort_unstable();
    assert_eq!(known, keys);
}

#[test]
fn every_key_refuses_what_is_of_the_wrong_kind() {
    let wrong = json!({ "neither": "text", "nor": "number" });
    for key in POLICY_KEYS {
        let mut entry = json!({ "pattern": "x" });
        entry[*key] = wrong.clone();
        let error = policy_from_json(&entry).unwrap_err();
        assert!(error.key.starts_with(key), "{key}: {error}");
    }
    for key in AGENT_KEYS {
        let mut entry = json!({ "agent_id": "x" });
        entry[*key] = wrong.clone();
        let error = agent_from_json(&entry).unwrap_err();
        assert!(error.key.starts_with(key), "{key}: {error}");
    }
}

#[test]
fn the_evidence_margin_lowers_the_other_defaults_unless_they_are_given() {
    let read = |entry| policy_from_json(&entry).unwrap();
    let policy = read(json!({ "pattern": "x", "target_error": 0.1 }));
    assert_eq!(
        policy,
        Policy::defaults("x").with_target_error(share(100_000))
    );
    let policy = read(json!({ "pattern": "x", "target_error": 0.1, "min_weight": 0.3 }));
    assert_eq!(policy.min_weight, share(300_000));
    let both = read(json!({ "pattern": "x", "target_error": 0.1, "quorum_margin": 0.5 }));
    assert_eq!(both.check().unwrap_err().key, "target_error");
}

#[test]
fn an_unknown_key_is_refused_naming_line_and_nearest() {
    assert_eq!(
        policy_refused("[[policy]]\npattern = \"x\"\n\nquorum_margn = 0.5\n"),
        "line 4: `policy.quorum_margn` is not a key here; the nearest is `quorum_margin`"
    );
    assert_eq!(
        policy_refused("[[polices]]\npattern = \"x\"\n"),
        "line 1: `polices` is not a key here; the nearest is `policy`"
    );
    let nested = "[[policy]]\npattern = \"x\"\n[[policy.stakes_floor]]\nparameter = \"a\"\n\
                  at_leest = 1\nstakes = \"LOW\"\n";
    assert_eq!(
        policy_refused(nested),
        "line 5: `policy.stakes_floor.at_leest` is not a key here; the nearest is `at_least`"
    );
    let digest = policy_refused("[[policy]]\npattern = \"x\"\ndigest = \"00\"\n");
    assert!(
        digest.starts_with("line 3: `policy.digest` is not a key here"),
        "{digest}"
    );
    let agent = agent_refused("[[agent]]\nagent_id = \"a\"\ndomain = []\n");
    assert_eq!(
        agent,
        "line 3: `agent.domain` is not a key here; the nearest is `domains`"
    );
}

#[test]
fn an_unknown_symbol_is_refused_and_never_read_as_the_fallback() {
    assert_eq!(
        policy_refused("[[policy]]\npattern = \"x\"\nmode = \"Live\"\n"),
        "line 3: `policy.mode` is not `Live`; the nearest is `live`"
    );
    for (key, symbol) in [
        ("escalate_at_stakes", "high"),
        ("revision", "newest"),
        ("on_decision_timeout", "ESCALATE"),
    ] {
        let error = policy_from_json(&json!({ "pattern": "x", key: symbol })).unwrap_err();
        assert_eq!(error.key, key);
    }
    for (key, symbol) in [("kind", "ROBOT"), ("status", "active")] {
        let error = agent_from_json(&json!({ "agent_id": "x", key: symbol })).unwrap_err();
        assert_eq!(error.key, key);
    }
}

#[test]
fn an_entry_without_its_name_is_refused_at_its_line() {
    let second = "[[policy]]\npattern = \"x\"\n\n[[policy]]\nmin_weight = 0.5\n";
    assert_eq!(
        policy_refused(second),
        "line 4: `policy.pattern` is missing"
    );
    assert_eq!(
        agent_refused("[[agent]]\n"),
        "line 1: `agent.agent_id` is missing"
    );
}

#[test]
fn two_entries_of_one_name_are_refused() {
    let text = "[[policy]]\npattern = \"x\"\n[[policy]]\npattern = \"x\"\n";
    assert_eq!(
        policy_refused(text),
        "line 4: `policy.pattern` is `x` a second time"
    );
    let text = "[[agent]]\nagent_id = \"a\"\n[[agent]]\nagent_id = \"a\"\n";
    assert_eq!(
        agent_refused(text),
        "line 4: `agent.agent_id` is `a` a second time"
    );
}

#[test]
fn a_file_with_an_unsound_entry_is_refused_while_json_is_not_checked() {
    let text = "[[policy]]\npattern = \"x\"\nmin_responders = -1\n";
    assert_eq!(
        policy_refused(text),
        "line 3: `policy.min_responders` is negative"
    );
    let star = policy_refused("[[policy]]\npattern = \"*\"\n");
    assert!(
        star.starts_with("line 1: `policy.trust_domain` is not named"),
        "{star}"
    );
    let text = "[[agent]]\nagent_id = \"a\"\ndomains = [{ domain = \"*\", authority = 1 }]\n";
    assert_eq!(
        agent_refused(text),
        "line 3: `agent.domains.domain` is `*`, which grants nothing"
    );
    let text = "[[agent]]\nagent_id = \"a\"\ndomains = [{ domain = \"a.\", authority = 1 }]\n";
    assert!(agent_refused(text).starts_with("line 3: `agent.domains` is not made of dotted"));
    let unsound = policy_from_json(&json!({ "pattern": "x", "min_responders": -1 })).unwrap();
    assert!(unsound.check().is_err());
}

#[test]
fn numbers_that_are_none_are_refused_and_never_clamped() {
    for number in [
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-0.1",
        "1.0000005",
        "\"0.5\"",
        "2",
    ] {
        let text = format!("[[policy]]\npattern = \"x\"\nmin_weight = {number}\n");
        assert!(
            policy_refused(&text).starts_with("line 3: `policy.min_weight` is"),
            "{number}"
        );
    }
    for number in ["99999999999999999999", "2147483648", "1.0", "true"] {
        let text = format!("[[policy]]\npattern = \"x\"\nmin_responders = {number}\n");
        let refused = policy_refused(&text);
        assert!(
            refused.starts_with("line 3: `policy.min_responders` is"),
            "{refused}"
        );
    }
    let read = |number: &str| {
        policies(&format!(
            "[[policy]]\npattern = \"x\"\nmax_open_per_proposer = {number}\n"
        ))
    };
    assert_eq!(read("1_000").unwrap()[0].max_open_per_proposer, 1000);
    assert_eq!(read("0x10").unwrap()[0].max_open_per_proposer, 16);
    assert_eq!(read("+7").unwrap()[0].max_open_per_proposer, 7);
}

#[test]
fn a_floor_is_a_number_or_text_of_any_precision() {
    let floor = |at_least: Value| {
        let floor = json!([{ "parameter": "amount", "at_least": at_least, "stakes": "HIGH" }]);
        let policy = policy_from_json(&json!({ "pattern": "x", "stakes_floor": floor }));
        policy.unwrap().stakes_floor[0].at_least.clone()
    };
    assert_eq!(floor(json!(10000)), "10000");
    assert_eq!(floor(json!(0.1)), "0.1");
    assert_eq!(
        floor(json!("10000.00000000000000000001")),
        "10000.00000000000000000001"
    );
}

#[test]
fn spans_are_milliseconds_or_a_number_with_its_unit() {
    let read = |span: Value| {
        let entry = json!({ "pattern": "x", "decision_deadline": span });
        policy_from_json(&entry).map(|policy| policy.decision_deadline.0)
    };
    for (text, millis) in [
        ("500 ms", 500),
        ("60 s", 60_000),
        ("60s", 60_000),
        ("5 min", 300_000),
        ("72 h", 259_200_000),
        ("7 d", 604_800_000),
    ] {
        assert_eq!(read(json!(text)), Ok(millis), "{text}");
    }
    assert_eq!(read(json!(250)), Ok(250));
    for span in [
        "",
        "60",
        "s",
        "-1 s",
        "1.5 h",
        "1 m",
        "1 week",
        "9223372036854775807 d",
    ] {
        assert!(read(json!(span)).is_err(), "{span}");
    }
    assert!(read(json!(1.5)).is_err());
}

#[test]
fn a_half_life_is_a_number_or_none() {
    let read = |value: Value| {
        policy_from_json(&json!({ "pattern": "x", "half_life": value })).map(|p| p.half_life)
    };
    assert_eq!(read(json!("none")), Ok(None));
    assert_eq!(read(json!(20)), Ok(Some(20)));
    assert!(read(Value::Null).is_err());
    assert!(read(json!("never")).is_err());
}

#[test]
fn an_agent_is_its_own_principal_and_active_unless_it_says_otherwise() {
    let agent = agent_from_json(&json!({ "agent_id": "a" })).unwrap();
    assert_eq!(agent.principal, "a");
    assert_eq!(
        (agent.kind, agent.status),
        (AgentKind::Agent, AgentStatus::Active)
    );
    let text = r#"
        [[agent]]
        agent_id = "kim"
        kind = "HUMAN"
        display_name = "Kim"
        principal = "risk"
        model_family = "none"
        public_keys = ["k"]
        status = "RETIRED"
        reviews = [{ domain = "*", up_to_stakes = "HIGH" }]
        [[agent.domains]]
        domain = "credit"
        authority = 0.9
        prior = { right = 57, wrong = 3, source = "backtest 2025" }
    "#;
    let expected = Agent {
        agent_id: "kim".into(),
        kind: AgentKind::Human,
        display_name: "Kim".to_owned(),
        principal: "risk".to_owned(),
        model_family: Some("none".to_owned()),
        domains: vec![Grant {
            domain: "credit".to_owned(),
            authority: share(900_000),
            prior: Some(Prior {
                right: 57,
                wrong: 3,
                source: "backtest 2025".to_owned(),
            }),
        }],
        reviews: vec![Review {
            domain: "*".to_owned(),
            up_to_stakes: Stakes::High,
        }],
        public_keys: vec!["k".to_owned()],
        status: AgentStatus::Retired,
    };
    assert_eq!(agents(text).unwrap(), [expected]);
}

#[test]
fn text_that_is_no_toml_is_refused_at_its_line() {
    let error = policies("[[policy]]\npattern = \"x\"\nmode = \n").unwrap_err();
    assert_eq!(error.line, Some(3));
    assert!(error.why.starts_with("does not parse"), "{error}");
    assert!(policy_refused("policy = 1").starts_with("line 1: `policy` is not a list"));
    let twice = policies("[[policy]]\npattern = \"x\"\npattern = \"y\"\n").unwrap_err();
    assert_eq!(twice.line, Some(3));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(
        text in "(\\[\\[policy\\]\\]\n)?([a-z_]{1,9} = [-0-9a-z\"\\[\\]{}.]{0,9}\n){0,3}"
    ) {
        if let Ok(read) = policies(&text) {
            prop_assert!(read.iter().all(|policy| policy.check().is_ok()));
        }
    }
}
