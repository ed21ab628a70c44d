//! Where humans decide, in a real browser: tests/console/*.mjs act in it and look at it; and what keeps
//! somebody signed in, and everybody else out.

use quorate::wire::sha256;
use serde_json::json;

use crate::support::people::people;
use crate::support::web::{POLICIES, Web, token, tokens};
use crate::support::{House, node};

const AGENTS: &str = concat!(
    people!(desk ada bob rita),
    "\n[[agent]]\nagent_id = \"olga\"\nkind = \"HUMAN\"\n\
     reviews = [{ domain = \"pay\", up_to_stakes = \"CRITICAL\" }]\n\
     \n[[agent]]\nagent_id = \"rosa\"\nkind = \"HUMAN\"\n\
     reviews = [{ domain = \"pay\", up_to_stakes = \"LOW\" }]\n"
);

fn everybody() -> String {
    tokens(&[
        ("ledger", "reporter"),
        ("desk", "agent"),
        ("ada", "agent"),
        ("bob", "agent"),
        ("rita", "reviewer"),
        ("olga", "reviewer"),
        ("rosa", "reviewer"),
        ("op", "operator"),
    ])
}

/// Tokens for an agent whose name looks like `ada`, and for a reviewer whose name is everything that
/// somebody may write who means no good.
fn disguised_tokens() -> String {
    let every = PAYLOADS.join(" | ");
    let token = |name: &str, subject: &str, role: &str| {
        let digest = sha256(token(name).as_bytes());
        let subject = toml::Value::from(subject);
        format!("[[token]]\nsha256 = \"{digest}\"\nsubject = {subject}\nroles = [\"{role}\"]\n")
    };
    token("double", "\u{430}da", "agent") + &token("stranger", &every, "reviewer")
}

/// Has a script act in a browser, on a gateway and a processor.
fn acted(name: &str) {
    acted_where(name, "");
}

/// The same, where the gateway is told this besides.
fn acted_where(name: &str, besides: &str) {
    acted_in(
        &House::on_blackboard(2, AGENTS, POLICIES),
        name,
        besides,
        &[],
    );
}

/// The same in a house, by a script that is told this.
fn acted_in(house: &House, name: &str, besides: &str, told: &[(&str, &str)]) {
    let processor = house.run();
    let web = house.serve_told(Some(&(everybody() + &disguised_tokens())), besides);
    let mut command = node("console", name);
    command.arg(web.url("")).envs(told.iter().copied());
    // For whoever wants to look at the pages.
    command.args(std::env::var_os("PICTURES"));
    let acted = command.output().unwrap();
    let complaint = String::from_utf8_lossy(&acted.stderr);
    assert!(acted.status.success(), "{complaint}");
    web.stop();
    processor.stop();
}

#[test]
fn a_person_decides_by_keys_and_nothing_decided_is_lost() {
    acted("decide.mjs");
}

#[test]
fn a_reviewer_is_shown_what_they_may_decide_and_why_not_the_rest() {
    acted("mine.mjs");
}

#[test]
fn an_operator_suspends_and_resumes_in_the_console() {
    acted_where("operate.mjs", "operates = true\n");
}

#[test]
fn several_review_and_each_is_told_what_the_others_did() {
    acted("people.mjs");
}

#[test]
fn an_escalation_is_one_reviewers_who_claims_it() {
    acted("claims.mjs");
}

#[test]
fn twenty_are_decided_with_three_keys_each() {
    acted("twenty.mjs");
}

#[test]
fn a_house_sets_links_reasons_keys_and_whether_reviewers_judge_first() {
    let set = r#"
        [[console.domains]]
        domain = "*"
        links.subject = "https://elsewhere.example/{subject}"
        hide_lean = false
        [[console.domains]]
        domain = "pay"
        links.subject = "https://files.bank.example/payments/{subject}?from=quorate"
        hide_lean = true
        reason_codes.reject = ["payee_known", "amount_usual"]
        [console.keys]
        approve = "y"
    "#;
    acted_where("settings.mjs", set);
}

/// What somebody may write who means no good.
const PAYLOADS: &[&str] = &[
    "<script>window.ran = 1; alert(1)</script>",
    "<img src=x onerror=\"window.ran = 1\">",
    "<svg onload=window.ran=1><a xlink:href=javascript:window.ran=1>x</a></svg>",
    "\"><iframe srcdoc=\"<script>parent.ran = 1</script>\"></iframe>",
    "javascript:window.ran=1",
    "</bdi></main><h1>APPROVED</h1><button>Approve</button>",
    "{{constructor.constructor('window.ran=1')()}} ${window.ran=1}",
    "amount \u{202E}000021\u{202C} of \u{2066}turned\u{2069} text",
    "pay\u{200B}ment\u{2060} with\u{AD} gaps\u{FEFF}",
    "tags \u{E0061}\u{E0070}\u{E0070}\u{E0072}\u{E006F}\u{E0076}\u{E0065} within",
    "p\u{430}yment, and \u{1D5BA}da, who is another",
    "\n\n\u{2705} APPROVED by olga\n----------\nDecided: nothing is left to do",
    "terminal \u{1B}[31mred\u{1B}[0m \u{1B}]0;title\u{7} \u{9B}2J",
    "=HYPERLINK(\"http://x\")",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\0",
];

/// Agents and policies with such names.
fn disguised() -> House {
    let every = toml::Value::from(PAYLOADS.join(" | "));
    // Keys on the log are parted by colons.
    let parted = toml::Value::from(PAYLOADS.join(" | ").replace(':', ""));
    let agents = format!(
        "{AGENTS}{}{}\n[[agent]]\nagent_id = \"\u{430}da\"\ndisplay_name = {every}\n\
         principal = {every}\nmodel_family = {every}\n\
         domains = [{{ domain = \"pay\", authority = 1.0 }}]\n",
        people!(ledger),
        PAYLOADS
            .iter()
            .map(|name| format!("\n[[agent]]\nagent_id = {}\n", toml::Value::from(*name)))
            .collect::<String>(),
    );
    let policies = format!(
        "{POLICIES}\n[[policy]]\npattern = \"strange\"\naction_types = [{every}]\n\
         trust_domain = {parted}\nreporters = [{every}]\n\
         stakes_floor = [{{ action_type = {every}, parameter = {every}, at_least = \"1\", \
         stakes = \"HIGH\" }}]\n"
    );
    House::on_blackboard(2, &agents, &policies)
}

#[test]
fn what_anybody_writes_is_shown_and_does_nothing() {
    let payloads = json!(PAYLOADS).to_string();
    acted_in(
        &disguised(),
        "untrusted.mjs",
        "",
        &[("PAYLOADS", &payloads)],
    );
}

#[test]
fn what_is_over_is_told_and_whoever_may_reports_it() {
    let agents = people!(desk ada bob rita ledger);
    let house = House::on_blackboard(2, agents, POLICIES);
    acted_in(&house, "past.mjs", "", &[]);
}

#[test]
fn every_page_can_be_read_by_everybody() {
    acted("looks.mjs");
}

/// The cookie of a session.
fn session(web: &Web, name: &str) -> String {
    let body = json!({ "token": format!("token-of-{name}") });
    let answer = web.ask("POST", "/console/session", &[], &body.to_string());
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    assert!(
        cookie.contains("HttpOnly; SameSite=Strict; Path=/"),
        "{cookie}"
    );
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_session_lets_in_its_own_pages_alone() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let web = house.serve(Some(&everybody()));
    let signed_in = session(&web, "rita");
    let come = |cookie: &str, more: &[&str]| {
        let head = [format!("Cookie: {cookie}")];
        let more = more.iter().map(|&line| line.to_owned());
        let head: Vec<String> = head.into_iter().chain(more).collect();
        let decision = json!({
            "proposal_id": "0192f0c1-2345-7abc-8def-0123456789ab",
            "package_digest": "00".repeat(32),
            "verdict": "APPROVE",
        });
        web.ask("POST", "/v1/decisions", &head, &decision.to_string())
    };
    come(&signed_in, &["Sec-Fetch-Site: same-origin"]).with(202);
    for strange in [
        "Sec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Origin: http://elsewhere",
        "Origin: null",
    ] {
        let refused = come(&signed_in, &[strange]);
        assert_eq!(refused.with(403)["code"], "other_origin", "{strange}");
    }
    // Of nobody, somebody else's, or not as it was given.
    let changed = signed_in.replace("quorate_session=", "quorate_session=A");
    for cookie in ["", "quorate_session=rita", &changed] {
        assert_eq!(
            come(cookie, &[]).with(401)["code"],
            "unauthenticated",
            "{cookie}"
        );
    }
    // Only in its own roles.
    let head = [format!("Cookie: {signed_in}")];
    let refused = web.ask("POST", "/v1/results", &head, "{}");
    assert_eq!(refused.with(403)["code"], "role_missing");
    let who = web.ask("GET", "/console/session", &head, "");
    assert_eq!(who.with(200)["subject"], "rita");
    let set = |head: &[String]| web.ask("GET", "/console/settings", head, "");
    assert_eq!(set(&head).with(200)["keys"]["approve"], "a");
    assert_eq!(set(&[]).with(401)["code"], "unauthenticated");
    let named = web.ask("POST", "/console/session", &[], r#"{"name": "rita"}"#);
    assert_eq!(
        named.with(401)["code"],
        "unauthenticated",
        "a name is enough in `dev` alone"
    );
    let gone = web.ask("DELETE", "/console/session", &head, "");
    assert!(gone.header("set-cookie").unwrap().contains("Max-Age=0"));
    web.stop();
}
