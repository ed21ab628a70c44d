//! What is told of the gateway is what it does: the document is that of the code, and a stranger who
//! has nothing but it tries everything it tells.

use std::path::{Path, PathBuf};
use std::process::Command;

use quorate::gateway::http::openapi;
use quorate::wire::sha256;
use quorate_core::topic::Topic;
use serde_json::json;

use crate::support::people::{people, prompt_policies};
use crate::support::web::tokens;
use crate::support::{House, python_with};

const AGENTS: &str = people!(desk ada bob rita ledger);
const POLICIES: &str = prompt_policies!();

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A token in every role, so that nothing is refused for want of one.
fn anything() -> String {
    let digest = sha256(b"token-of-ada");
    let roles = r#"["agent", "reviewer", "reporter", "operator"]"#;
    let ada = format!("[[token]]\nsha256 = \"{digest}\"\nsubject = \"ada\"\nroles = {roles}\n");
    ada + &tokens(&[("op", "operator")])
}

/// `UPDATE=1` writes it.
#[test]
fn the_document_is_that_of_the_code() {
    let path = file("schemas/openapi.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, openapi::text()).unwrap();
        return;
    }
    let told = std::fs::read_to_string(&path).unwrap();
    assert!(told == openapi::text(), "UPDATE=1 writes it anew");
}

#[test]
fn the_document_is_there_for_everybody() {
    let house = House::on_blackboard(1, AGENTS, POLICIES);
    let web = house.serve(Some(&anything()));
    let answer = web.ask("GET", "/v1/openapi.json", &[], "");
    assert_eq!(answer.with(200)["openapi"], "3.1.0");
    web.stop();
}

/// Schemathesis makes requests of the document alone, sound ones and others, and looks whether the
/// answers are such as it tells: statuses, content, headers and bodies; that nothing fails, that
/// what is not sound is refused, and that nobody is let in without a token. `SEED` has it make
/// others.
#[test]
fn a_stranger_finds_everything_as_it_is_told() {
    let python = python_with(&[file("tests/schemathesis/requirements.txt")
        .to_str()
        .unwrap()]);
    let house = House::on_blackboard(2, AGENTS, POLICIES);
    let processor = house.run();
    let web = house.serve(Some(&anything()));
    let proposal = json!({
        "domain": "pay.small",
        "action": { "type": "payment.block", "subject": "payment-1" },
        "confidence": 0.9,
    });
    let answer = web.post("ada", "/v1/proposals?wait=30", &proposal);
    let round = answer.with(200)["id"].as_str().unwrap().to_owned();
    let before = house.count(Topic::Responses, 2);
    let folder = tempfile::TempDir::new().unwrap();
    let mut stranger = Command::new(Path::new(&python).with_file_name("schemathesis"));
    stranger.current_dir(&folder).env("ROUND", round);
    stranger.env("PYTHONPATH", file("tests/schemathesis"));
    stranger
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .arg("--config-file");
    stranger.arg(file("tests/schemathesis/schemathesis.toml"));
    stranger.args(["run", &web.url("/v1/openapi.json"), "--checks", "all"]);
    stranger.args(["--header", "Authorization: Bearer token-of-ada"]);
    stranger.args(["--max-examples", "40", "--suppress-health-check", "all"]);
    stranger.args(["--request-timeout", "60", "--no-color"]);
    let seed = std::env::var("SEED").unwrap_or_else(|_| "1".to_owned());
    let said = stranger.args(["--seed", &seed]).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}");
    println!("{text}");
    // It has said something, and not been turned away.
    assert!(house.count(Topic::Responses, 2) > before + 40, "{text}");
    web.stop();
    processor.stop();
}
