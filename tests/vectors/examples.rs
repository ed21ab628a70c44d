//! The examples' rounds as vectors: their policies and agents are those of `config/`, so that
//! neither the files nor the vectors can drift.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use quorate::wire::files;
use quorate_core::records::{Agent, Policy};
use serde_json::Value;

use super::format::Vector;

const EXAMPLES: [&str; 4] = ["bank-loan", "fraud", "marketing", "supply-chain"];

fn config(kind: &str, example: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(format!("config/{kind}/{example}.toml"))).unwrap()
}

/// The vectors of an example.
fn vectors(example: &str) -> Vec<Vector> {
    let prefix = format!("example-{example}-");
    let of_example = |path: &std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(&prefix)
    };
    let paths = super::files().into_iter().filter(of_example);
    paths.map(|path| super::read(&path)).collect()
}

fn records<'a>(vector: &'a Vector, topic: &str) -> impl Iterator<Item = &'a Value> {
    let of_topic = move |step: &&super::format::Step| step.topic == topic;
    let steps = vector.steps.iter().filter(of_topic);
    let records: Vec<&Value> = steps.filter_map(|step| step.record.as_ref()).collect();
    records.into_iter()
}

#[test]
fn the_rounds_of_an_example_are_held_by_its_files() {
    for example in EXAMPLES {
        let policies = files::policies(&config("policies", example)).unwrap();
        let agents = files::agents(&config("agents", example)).unwrap();
        for vector in vectors(example) {
            let held: Vec<Policy> = records(&vector, "policies")
                .map(|record| files::policy_from_json(record).unwrap())
                .collect();
            assert_eq!(held, policies, "{}", vector.description);
            let took_part: Vec<Agent> = records(&vector, "agents")
                .map(|record| files::agent_from_json(record).unwrap())
                .collect();
            assert_eq!(took_part, agents, "{}", vector.description);
        }
    }
}

#[test]
fn each_example_approves_rejects_and_escalates() {
    for example in EXAMPLES {
        let outputs = vectors(example)
            .into_iter()
            .flat_map(|vector| vector.steps)
            .flat_map(|step| step.outputs);
        let status = |output: Value| {
            let status = output["outcome"]["decision"]["status"].as_str();
            status.map(str::to_owned)
        };
        let came_to: BTreeSet<String> = outputs.filter_map(status).collect();
        assert_eq!(came_to.len(), 3, "{example}: {came_to:?}");
    }
}
