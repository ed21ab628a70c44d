//! What a gateway says of how the house is, and who is told; on either transport.

use serde_json::{Value, json};

use crate::support::people::prompt_policies;
use crate::support::web::{AGENTS, Web, everybody};
use crate::support::{House, until};

/// As elsewhere; with a deadline that somebody can be in time to see pass.
const POLICIES: &str = prompt_policies!(
    "\n[[policy]]\npattern = \"pay.big\"\ndeadline_default = \"1 s\"\ndeadline_min = \"1 s\"\n\
     proposer_counts = false\n\n[[policy]]\npattern = \"pay.soon\"\ndeadline_default = \"6 s\"\n\
     deadline_min = \"1 s\"\nproposer_counts = false\n"
);
const PATH: &str = "/v1/health";
const NAMES: [&str; 7] = [
    "log",
    "rounds",
    "escalations",
    "dead_letters",
    "processors",
    "claims",
    "operates",
];

/// One of the checks.
fn check(web: &Web, name: &str) -> Value {
    let told = web.get("op", PATH).with(200);
    let checks = told["checks"].as_array().unwrap().clone();
    let names: Vec<_> = checks.iter().map(|check| &check["name"]).collect();
    assert_eq!(names, NAMES, "always all of them");
    let mut found = checks.into_iter().filter(|check| check["name"] == name);
    found.next().unwrap()
}

fn is(web: &Web, name: &str, state: &str) -> bool {
    check(web, name)["state"] == state
}

/// Proposes something; its id.
fn propose(web: &Web, domain: &str, wait: &str) -> Value {
    let proposal = json!({
        "domain": domain, "confidence": 0.9, "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-1" },
    });
    let told = web.post("desk", &format!("/v1/proposals?wait={wait}"), &proposal);
    told.body["id"].clone()
}

#[test]
fn a_house_that_is_well_says_so_and_one_whose_processor_stopped_does_not() {
    tells_how_it_is(&House::on_blackboard(2, AGENTS, POLICIES));
}

#[test]
fn on_kafka_a_house_that_is_well_says_so_and_one_whose_processor_stopped_does_not() {
    tells_how_it_is(&House::with(2, AGENTS, POLICIES));
}

fn tells_how_it_is(house: &House) {
    let processor = house.run();
    let web = house.serve(Some(&everybody()));
    let id = propose(&web, "pay.out", "30");
    for name in NAMES {
        until(name, || is(&web, name, "OK"));
    }
    assert_eq!(check(&web, "rounds")["value"]["open"], 1);
    assert_eq!(check(&web, "log")["value"]["follows"], true);
    assert_eq!(check(&web, "operates")["value"]["operates"], false);
    until("all is read", || {
        check(&web, "processors")["value"]["behind"] == 0
    });

    // What is refused is counted, by code.
    let answer = json!({ "proposal_id": id, "verdict": "CHALLENGE", "confidence": 0.9 });
    for _ in 0..2 {
        web.post("ada", "/v1/responses?wait=30", &answer)
            .problem(422, "reasoning_missing");
    }
    let letters = check(&web, "dead_letters");
    assert_eq!(letters["state"], "WARN");
    let counted = json!({ "last_hour": 2, "codes": { "reasoning_missing": 2 } });
    assert_eq!(letters["value"], counted);
    assert!(
        letters["detail"]
            .as_str()
            .unwrap()
            .contains("reasoning_missing 2")
    );

    // Nobody answers, so that people are asked.
    propose(&web, "pay.big", "30");
    until("it waits for people", || {
        check(&web, "escalations")["value"]["waiting"] == 1
    });

    // Nobody processes any more, with a deadline to come.
    until("its deadline is far enough", || {
        propose(&web, "pay.soon", "30");
        processor.pause();
        let open = check(&web, "rounds")["value"]["open"] == 2;
        if !open {
            processor.resume();
        }
        open
    });
    propose(&web, "pay.out", "0");
    until("it is not read", || {
        check(&web, "processors")["value"]["behind"] == 1
    });
    until("the deadline has passed", || is(&web, "rounds", "WARN"));
    let rounds = check(&web, "rounds");
    assert_eq!(rounds["value"]["open"], 2);
    assert_eq!(rounds["value"]["overdue"], 1);
    let overdue = rounds["value"]["longest_overdue_ms"].as_i64().unwrap();
    assert!(overdue > 5_000, "{overdue}");
    processor.resume();
    for name in ["rounds", "processors"] {
        until(name, || is(&web, name, "OK"));
    }
    until("it has caught up", || {
        check(&web, "processors")["value"]["behind"] == 0
    });

    for name in ["ada", "ledger"] {
        web.get(name, PATH).problem(403, "role_missing");
    }
    web.get("rita", PATH).with(200);
    web.stop();
    processor.stop();
}
