//! Every code there is, against what the vectors put out: none is without a vector, none unknown.

use std::collections::BTreeSet;

use quorate_core::records::{Reason, Uncounted};
use quorate_core::reject::Reject;
use serde_json::Value;

use super::{files, read};

/// The reason after one; naming each, so that a new one does not compile until it is here.
const fn next_reason(reason: Reason) -> Option<Reason> {
    match reason {
        Reason::InputLost => Some(Reason::Suspended),
        Reason::Suspended => Some(Reason::HighStakes),
        Reason::HighStakes => Some(Reason::RequiredMissing),
        Reason::RequiredMissing => Some(Reason::QuorumNotMet),
        Reason::QuorumNotMet => Some(Reason::Unproven),
        Reason::Unproven => Some(Reason::LowConfidence),
        Reason::LowConfidence => Some(Reason::Veto),
        Reason::Veto => Some(Reason::Shadow),
        Reason::Shadow => Some(Reason::MarginMet),
        Reason::MarginMet => Some(Reason::Tie),
        Reason::Tie => Some(Reason::MarginNotMet),
        Reason::MarginNotMet => Some(Reason::HumanDecision),
        Reason::HumanDecision => Some(Reason::SentBack),
        Reason::SentBack => Some(Reason::DecisionTimeout),
        // What later rules may say is written by none.
        Reason::DecisionTimeout | Reason::Other => None,
    }
}

const fn next_uncounted(uncounted: Uncounted) -> Option<Uncounted> {
    match uncounted {
        Uncounted::Observer => Some(Uncounted::ZeroWeight),
        Uncounted::ZeroWeight => Some(Uncounted::Suspended),
        Uncounted::Suspended | Uncounted::Other => None,
    }
}

fn symbols<T: Copy + serde::Serialize>(first: T, next: fn(T) -> Option<T>) -> BTreeSet<String> {
    let all = std::iter::successors(Some(first), |code| next(*code));
    let symbol = |code| serde_json::to_value(code).unwrap();
    all.map(|code| symbol(code).as_str().unwrap().to_owned())
        .collect()
}

/// What stands at a path in the vectors' outputs; `*` goes through a list.
fn put_out(path: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for vector in files().iter().map(|file| read(file)) {
        for output in vector.steps.iter().flat_map(|step| &step.outputs) {
            collect(output, path, &mut found);
        }
    }
    found
}

fn collect(value: &Value, path: &[&str], found: &mut BTreeSet<String>) {
    match (path, value) {
        ([], Value::String(text)) => {
            found.insert(text.clone());
        }
        (["*", rest @ ..], Value::Array(items)) => {
            items.iter().for_each(|item| collect(item, rest, found));
        }
        ([key, rest @ ..], Value::Object(fields)) => {
            if let Some(value) = fields.get(*key) {
                collect(value, rest, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_refusal_code_is_produced_by_a_vector_and_none_is_unknown() {
    let codes = Reject::ALL.iter().map(|reject| reject.code().to_owned());
    assert_eq!(
        put_out(&["dead_letter", "reason"]),
        codes.collect::<BTreeSet<_>>()
    );
}

#[test]
fn every_reason_is_produced_by_a_vector_and_none_is_unknown() {
    assert_eq!(
        put_out(&["outcome", "decision", "reasons", "*"]),
        symbols(Reason::InputLost, next_reason)
    );
}

#[test]
fn every_way_not_to_count_is_produced_by_a_vector_and_none_is_unknown() {
    assert_eq!(
        put_out(&["outcome", "decision", "ballots", "*", "reason"]),
        symbols(Uncounted::Observer, next_uncounted)
    );
}
