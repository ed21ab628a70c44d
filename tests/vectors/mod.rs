//! Every behaviour in `spec/vectors/*.json`, run through the engine.
//!
//! Each vector's outputs are compared step by step. After every step the partition is also rebuilt
//! from what had been written, and must equal the one that never stopped; and a step that only
//! refuses must leave the state as it was. `UPDATE=1` rewrites the outputs.

mod codes;
mod examples;
mod format;
mod layout;
mod pairs;
mod restart;
mod run;

use std::fs;
use std::path::{Path, PathBuf};

use format::Vector;
pub(crate) use run::view;

pub(crate) fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/vectors");
    let entries = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Vector {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_vector_puts_out_what_it_says() {
    let mut wrong = Vec::new();
    for path in files() {
        let vector = read(&path);
        let outputs = run::outputs(&vector);
        if std::env::var_os("UPDATE").is_some() {
            let text = layout::rewritten(&fs::read_to_string(&path).unwrap(), &outputs);
            fs::write(&path, text).unwrap();
            continue;
        }
        for (at, (step, got)) in vector.steps.iter().zip(&outputs).enumerate() {
            if step.outputs != *got {
                let got = serde_json::to_string_pretty(got).unwrap();
                let want = serde_json::to_string_pretty(&step.outputs).unwrap();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!("{name}, step {at}:\n got {got}\nwant {want}"));
                break;
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} vectors differ:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    assert!(!files().is_empty());
}

#[test]
fn every_vector_says_what_it_shows() {
    for path in files() {
        let vector = read(&path);
        assert!(
            !vector.description.is_empty(),
            "{} says nothing",
            path.display()
        );
        assert!(
            !vector.requirements.is_empty(),
            "{} shows no requirement",
            path.display()
        );
    }
}

#[test]
fn a_partition_rebuilt_after_any_step_equals_the_one_that_never_stopped() {
    for path in files() {
        run::check_restores(&read(&path), &path);
    }
}

#[test]
fn a_refusal_changes_nothing_but_stream_time() {
    let refusals: usize = files()
        .iter()
        .map(|path| run::check_refusals(&read(path), path))
        .sum();
    assert!(refusals > 0);
}

#[test]
fn reading_topics_in_another_order_decides_nothing() {
    let checked = files()
        .iter()
        .filter(|path| run::check_reading_order(&read(path), path))
        .count();
    assert!(checked > 0);
}

#[test]
fn a_record_that_lies_twice_on_the_log_decides_nothing() {
    for path in files() {
        run::check_duplicates(&read(&path), &path);
    }
}
