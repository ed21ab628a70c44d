//! The log in a file, by the verbs and by plain SQL: the same records come of the same words.

use std::path::Path;
use std::process::Command;

use crate::support::{House, until};

const AGENTS: &str = r#"
[[agent]]
agent_id = "desk"

[[agent]]
agent_id = "expert"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 57, wrong = 3, source = "test" } }]

[[agent]]
agent_id = "rita"
kind = "HUMAN"
reviews = [{ domain = "pay", up_to_stakes = "CRITICAL" }]

[[agent]]
agent_id = "ledger"
kind = "REPORTER"
"#;

const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
deadline_default = "2 s"
deadline_min = "1 s"
"#;

fn proposed(house: &House, stakes: &str) -> String {
    house.propose(&[
        "--proposer",
        "desk",
        "--domain",
        "pay.out",
        "--type",
        "payment.block",
        "--subject",
        "payment-1",
        "--confidence",
        "0.9",
        "--stakes",
        stakes,
    ])
}

#[test]
fn a_round_goes_all_its_way_by_the_verbs_without_a_broker() {
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let processor = house.run();
    let round = proposed(&house, "CRITICAL");
    house.respond(&round, "expert", "endorse", "0.9");
    house.respond(&round, "stranger", "endorse", "0.9");
    let first = house.records("outcomes", Some(&round), 1).remove(0);
    assert_eq!(first["decision"]["status"], "ESCALATED");
    assert_eq!(first["decision"]["reasons"][0], "HIGH_STAKES");
    let package = house.records("escalations", Some(&round), 1).remove(0);
    let digest = package["package_digest"].as_str().unwrap();
    for name in ["rita", "nobody"] {
        let arguments = ["decide", "--proposal", &round, "--package", digest];
        house.ok(&[
            &arguments[..],
            &["--reviewer", name, "--verdict", "approve"],
        ]
        .concat());
    }
    house.ok(&[
        "suspend",
        "agent",
        "expert",
        "--operator",
        "op",
        "--reason",
        "test",
    ]);
    house.ok(&["resume", "agent", "expert"]);
    let letters = || house.ok(&["dead-letters", "list"]);
    until("a refused decision", || {
        letters().contains("reviewer_not_allowed")
    });
    let told = house.ok(&["explain", &round]);
    assert!(told.contains("ESCALATED"), "{told}");
    let shown = house.ok(&["show", &round]);
    assert!(
        shown.contains("stranger") && shown.contains("rita"),
        "{shown}"
    );
    assert!(letters().contains("agent_not_listed"));
    processor.stop();
}

#[test]
fn what_is_about_brokers_says_so() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    for verb in [&["doctor"][..], &["offsets", "save", "-"]] {
        let answer = house.call(verb);
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert!(
            !answer.status.success() && complaint.contains("this is about Kafka"),
            "{verb:?}: {complaint}"
        );
    }
    let answer = house.ok(&["topics", "plan", "--partitions", "1"]);
    assert!(answer.contains("ok, 1 partitions"), "{answer}");
    let answer = house.call(&["topics", "apply", "--partitions", "2"]);
    assert!(!answer.status.success());
}

#[test]
fn a_day_at_a_bank_is_played_without_a_broker() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The play ends where what comes is not what its script says.
    let played = Command::new("python3")
        .arg(root.join("scripts/demo"))
        .args(["--blackboard", "--answer-in", "6", "--pace", "0"])
        .args([env!("CARGO_BIN_EXE_quorate"), "python3"])
        .output()
        .unwrap();
    let said = String::from_utf8(played.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&played.stderr);
    assert!(played.status.success(), "{said}\n{complaint}");
    assert!(
        said.contains("SQL and Python's standard library (by_sql.py)"),
        "{said}"
    );
    for status in [
        "APPROVED: ",
        "REJECTED: ",
        "ESCALATED: ",
        "SUSPENDED",
        "UNPROVEN",
        "▼",
        "▲",
    ] {
        assert!(said.contains(status), "{status} is not in\n{said}");
    }
    for line in said.lines() {
        assert!(
            line.chars().count() <= 100 || line.contains("--blackboard"),
            "{line}"
        );
    }
}
