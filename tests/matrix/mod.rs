//! Who may do what, tried: everybody, everything that can be done, at every edge. What is found is
//! what `docs/roles.md` says.

mod blackboard;
mod http;
mod kafka;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::roles::{proposed, status};
use crate::support::people::{people, prompt_policies};
use crate::support::{House, until};

const AGENTS: &str = people!(desk ada bob rita ledger);
const POLICIES: &str = prompt_policies!();

/// Somebody for each of those who try, to be suspended.
fn listed_for(who: &str) -> String {
    format!("listed-for-{}", who.replace(' ', "-"))
}

/// Takes rounds so far that there is something to see in every topic, and lists somebody for each of
/// those who will try; a round that waits for a person.
fn prepared(agent: &House, reporter: &House, operator: &House, who: &[&str]) -> String {
    let listed = who
        .iter()
        .map(|who| format!("[[agent]]\nagent_id = \"{}\"\n", listed_for(who)));
    operator.told(&["agents", "apply", "-"], &listed.collect::<String>());
    let low = proposed(agent, "LOW");
    agent.respond(&low, "bob", "endorse", "0.9");
    assert_eq!(status(agent, &low, 0), "APPROVED");
    let right = ["--reporter", "ledger", "--result", "right"];
    reporter.ok(&[&["report", "--proposal", &low][..], &right].concat());
    agent.respond(&low, "eve", "endorse", "0.9");
    let round = proposed(agent, "HIGH");
    agent.respond(&round, "bob", "endorse", "0.9");
    assert_eq!(status(agent, &round, 0), "ESCALATED");
    for topic in ["trust", "dead-letters"] {
        let seen = ["watch", "--from-beginning", "--to-end", "--topic", topic];
        until("there is something in each topic", || {
            !operator.ok(&seen).is_empty()
        });
    }
    round
}

/// Command lines that need a log, of a round that is there, with a folder for their files: what each
/// is called, and its words. Each does something new, so that none is spared for want of a change.
fn command_lines(
    house: &House,
    who: &str,
    round: &str,
    folder: &str,
) -> Vec<(&'static str, Vec<String>)> {
    let file = |name: &str, text: &str| {
        let path = format!("{folder}/{name}-{}.toml", uuid::Uuid::now_v7());
        std::fs::write(&path, text).unwrap();
        path
    };
    let new = uuid::Uuid::now_v7().simple().to_string();
    let agents = file("agents", &format!("[[agent]]\nagent_id = \"a{new}\"\n"));
    let policies = format!("[[policy]]\npattern = \"p{new}\"\ndeadline_default = \"5 min\"\n");
    let policies = file("policies", &policies);
    static SPANS: AtomicU32 = AtomicU32::new(100_000_000);
    let span = SPANS.fetch_add(1, Ordering::Relaxed);
    let settings = format!("{}[topics]\nretention_ms = {span}\n", house.settings());
    let (settings, listed) = (file("settings", &settings), listed_for(who));
    let saved = format!("{folder}/offsets-{new}.json");
    let exported = format!("{folder}/history-{new}.avro");
    let digest = "00".repeat(32);
    let lines = [
        (
            "propose",
            "propose --proposer desk --domain pay --stakes HIGH --type payment.release \
             --subject payment-7 --confidence 0.9",
        ),
        (
            "respond",
            "respond --proposal ROUND --agent bob --verdict endorse --confidence 0.9",
        ),
        (
            "decide",
            "decide --proposal ROUND --reviewer rita --package DIGEST --verdict approve",
        ),
        (
            "report",
            "report --proposal ROUND --reporter ledger --result right",
        ),
        ("watch --topic proposals", ""),
        ("watch --topic outcomes", ""),
        ("watch --topic escalations", ""),
        ("watch --topic dead-letters", ""),
        ("watch --topic trust", ""),
        ("show", "show ROUND"),
        ("explain", "explain ROUND"),
        ("dead-letters list", "dead-letters list"),
        ("agents list", "agents list"),
        ("agents apply", "agents apply AGENTS"),
        ("policies list", "policies list"),
        ("policies apply", "policies apply POLICIES"),
        (
            "suspend",
            "suspend agent LISTED --operator olga --reason because",
        ),
        (
            "topics apply",
            "topics apply --partitions 1 --config SETTINGS",
        ),
        ("offsets save", "offsets save SAVED"),
        ("export", "export EXPORTED"),
        ("verify", "verify"),
        ("replay", "replay"),
    ];
    let words = |(name, line): (&'static str, &str)| {
        let line = match line {
            "" => format!("{name} --from-beginning --to-end"),
            line => line.to_owned(),
        };
        let word = |word: &str| match word {
            "ROUND" => round.to_owned(),
            "DIGEST" => digest.clone(),
            "AGENTS" => agents.clone(),
            "POLICIES" => policies.clone(),
            "SETTINGS" => settings.clone(),
            "LISTED" => listed.clone(),
            "SAVED" => saved.clone(),
            "EXPORTED" => exported.clone(),
            word => word.to_owned(),
        };
        (name, line.split(' ').map(word).collect())
    };
    lines.map(words).to_vec()
}
