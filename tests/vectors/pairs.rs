//! Pairs of vectors: each key of a policy has two that differ in that key alone and come out
//! differently, and the order in which responses were read has six that come out alike.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Fields of a policy that an operator does not set, or that name the policy.
const NOT_KEYS: [&str; 3] = ["pattern", "digest", "evidence_unit"];

/// The fields of the published policy schema that are keys.
fn keys() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/Policy.avsc");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let fields = schema["fields"].as_array().unwrap().iter();
    fields
        .map(|field| field["name"].as_str().unwrap().to_owned())
        .filter(|name| !NOT_KEYS.contains(&name.as_str()))
        .collect()
}

fn named(prefix: &str) -> Vec<PathBuf> {
    let is_named = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(prefix)
    };
    super::files().into_iter().filter(is_named).collect()
}

fn steps(path: &Path) -> Vec<Value> {
    let vector: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    vector["steps"].as_array().unwrap().clone()
}

/// A step without its outputs and, in a policy, without the key; a decision names the package
/// that was seen, whose digest covers the policy's.
fn input(step: &Value, key: &str) -> (Value, Option<Value>) {
    let mut step = step.clone();
    step.as_object_mut().unwrap().remove("outputs");
    let topic = step["topic"].clone();
    let record = step.get_mut("record").and_then(Value::as_object_mut);
    let taken = record.and_then(|record| match topic.as_str() {
        Some("policies") => Some(record.remove(key).unwrap_or(Value::Null)),
        Some("decisions") => record.remove("package_digest").and(None),
        _ => None,
    });
    (step, taken)
}

/// Everything a vector puts out, without what differs wherever a policy does.
fn outputs(steps: &[Value]) -> Vec<Value> {
    steps
        .iter()
        .map(|step| without_digests(&step["outputs"]))
        .collect()
}

fn without_digests(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_digests).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !name.contains("digest"));
            kept.map(|(name, item)| (name.clone(), without_digests(item)))
                .collect()
        }
        scalar => scalar.clone(),
    }
}

#[test]
fn each_policy_key_has_a_pair_of_vectors_that_it_alone_flips() {
    let keys = keys();
    assert!(keys.contains(&"half_life".to_owned()));
    for key in &keys {
        let paths = named(&format!("policy-{}-", key.replace('_', "-")));
        let [one, other] = paths.as_slice() else {
            panic!("`{key}` has {} vectors and not a pair", paths.len());
        };
        let (one, other) = (steps(one), steps(other));
        assert_eq!(one.len(), other.len(), "`{key}`: other steps");
        let mut values = Vec::new();
        for (one, other) in one.iter().zip(&other) {
            let ((one, value), (other, other_value)) = (input(one, key), input(other, key));
            assert_eq!(one, other, "`{key}`: more than it differs");
            values.extend(value.zip(other_value));
        }
        assert!(
            values.iter().any(|(one, other)| one != other),
            "`{key}` is the same in both"
        );
        assert_ne!(outputs(&one), outputs(&other), "`{key}` flips nothing");
    }
}

#[test]
fn six_orders_of_reading_give_one_decision_digest() {
    let paths = named("sums-in-order-");
    assert_eq!(paths.len(), 6);
    let outcome = |path: &PathBuf| {
        let steps = steps(path);
        let outcome = &steps.last().unwrap()["outputs"][0]["outcome"];
        outcome["decision_digest"].as_str().unwrap().to_owned()
    };
    let digests: BTreeSet<String> = paths.iter().map(outcome).collect();
    assert_eq!(digests.len(), 1);
}
