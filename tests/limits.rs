//! How much the gateway takes of one: each subject, each address, and guests.

use serde_json::json;

use crate::support::House;
use crate::support::people::{people, prompt_policies};
use crate::support::web::{Web, bearer, tokens};

const AGENTS: &str = people!(desk ada);
const POLICIES: &str = prompt_policies!();

fn house() -> House {
    House::on_blackboard(1, AGENTS, POLICIES)
}

/// A gateway that takes so much, of a table's options.
fn serve(house: &House, options: &str) -> Web {
    let people = tokens(&[("op", "operator"), ("ada", "agent"), ("bob", "agent")]);
    house.serve_told(Some(&people), options)
}

#[test]
fn a_subject_that_asks_too_much_is_told_to_wait() {
    let house = house();
    let web = serve(&house, "rate = 1\nburst = 50\n");
    let asks = |name: &str| web.get(name, "/v1/inbox");
    let limited = (0..2000).find(|_| asks("ada").status == 429);
    assert!(limited.is_some_and(|times| times >= 50), "{limited:?}");
    let answer = asks("ada");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    answer.problem(429, "rate_limited");
    web.post("ada", "/v1/responses", &json!({}))
        .problem(429, "rate_limited");
    asks("bob").with(200);
}

#[test]
fn an_address_that_shows_no_known_token_is_not_looked_at_after_some_times() {
    let house = house();
    let options = "failure_rate = 1\nfailure_burst = 20\naddress_header = \"x-real-ip\"\n";
    let web = serve(&house, options);
    let shows = |name: &str, from: &str| {
        let head = [bearer(name), format!("X-Real-IP: {from}")];
        web.ask("GET", "/v1/inbox", &head, "")
    };
    let limited = (0..2000).find(|_| shows("mallory", "192.0.2.7").status == 429);
    assert!(limited.is_some_and(|times| times > 20), "{limited:?}");
    let answer = shows("mallory", "192.0.2.7");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    answer.problem(429, "rate_limited");
    shows("mallory", "192.0.2.8").problem(401, "unauthenticated");
    // Whoever has a token is let in from wherever.
    shows("ada", "192.0.2.7").with(200);
}
