//! What a processor shows of itself, on a real broker: metrics after a history that is known,
//! readiness while it restores, health where it does not get on, and the trace of a proposal.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::{House, Observed, until};

/// Two experts and a proposer without a vote.
const AGENTS: &str = r#"
[[agent]]
agent_id = "desk"

[[agent]]
agent_id = "ada"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 57, wrong = 3, source = "test" } }]

[[agent]]
agent_id = "bob"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 57, wrong = 3, source = "test" } }]
"#;

/// Closes as soon as both were heard, so that nothing has to wait for a deadline.
const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
proposer_counts = false
revision = "first"
early_close = true
deadline_default = "10 min"
"#;

const PROPOSE: &[&str] = &[
    "--proposer",
    "desk",
    "--domain",
    "pay.out",
    "--type",
    "payment.release",
    "--subject",
    "p1",
    "--confidence",
    "0.9",
    "--stakes",
    "LOW",
];

/// The metrics by name and labels, as they are written.
fn metrics(observed: &Observed) -> BTreeMap<String, f64> {
    let (status, text) = observed.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    samples.map(sample).collect()
}

fn sum(metrics: &BTreeMap<String, f64>, name: &str) -> f64 {
    let named = metrics.iter().filter(|(of, _)| {
        of.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
    });
    named.map(|(_, value)| value).sum()
}

fn asked(observed: &Observed, path: &str) -> (u16, Value) {
    let (status, text) = observed.get(path);
    (status, serde_json::from_str(&text).unwrap())
}

#[test]
fn metrics_tell_a_history_that_is_known() {
    let house = House::with(2, AGENTS, POLICIES);
    let observed = house.run_observed("one", "");
    until("it is ready", || observed.get("/readyz").0 == 200);
    let decided = house.propose(PROPOSE);
    house.respond(&decided, "ada", "endorse", "0.9");
    house.respond(&decided, "bob", "endorse", "0.9");
    let open = house.propose(PROPOSE);
    house.respond(&open, "nobody", "endorse", "0.9");
    house.respond(&open, "stranger", "endorse", "0.9");
    house.respond(&open, "ada", "endorse", "0.9");
    house.records("outcomes", Some(&decided), 1);
    house.records("dead-letters", Some(&open), 2);
    until("everything is passed", || {
        let seen = metrics(&observed);
        sum(&seen, "quorate_passed_records_total{topic=\"responses\"}") >= 5.0
            && sum(&seen, "quorate_backlog_records") == 0.0
    });
    let seen = metrics(&observed);
    assert_eq!(seen["quorate_rounds_opened_total"], 2.0);
    assert_eq!(
        seen["quorate_rejects_total{code=\"agent_not_listed\"}"],
        2.0
    );
    assert_eq!(sum(&seen, "quorate_rejects_total"), 2.0);
    assert_eq!(sum(&seen, "quorate_outcomes_total"), 1.0);
    assert_eq!(sum(&seen, "quorate_open_rounds"), 1.0);
    assert!(sum(&seen, "quorate_oldest_open_round_seconds") > 0.0);
    assert!(seen["quorate_commits_total"] >= 1.0);
    assert_eq!(seen["quorate_partitions{state=\"live\"}"], 2.0);
    let (status, health) = asked(&observed, "/healthz");
    assert_eq!(
        (status, &health["ok"]),
        (200, &Value::Bool(true)),
        "{health}"
    );
    assert_eq!(health["partitions"].as_array().unwrap().len(), 2);
}
