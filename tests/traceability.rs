//! Every requirement of the specification is shown by a vector or says why none can show it, and
//! no vector names a requirement that does not exist.
//!
//! A requirement is a list item `- **ACP-NUM-001** …` of `spec/*.md`; an exclusion ends it with
//! `*(excluded: why)*`. A vector names ids under `requirements`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A requirement as it is written: its text on one line.
struct Requirement {
    id: String,
    text: String,
}

impl Requirement {
    fn exclusion(&self) -> Option<&str> {
        let (_, rest) = self.text.split_once("*(excluded: ")?;
        rest.strip_suffix(")*")
    }
}

fn spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec")
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    files.sort();
    files
}

fn requirements() -> Vec<Requirement> {
    files(&spec(), "md")
        .iter()
        .flat_map(|path| items(&fs::read_to_string(path).unwrap()))
        .collect()
}

/// The list items of a chapter that are requirements: each goes on to the next line that is not
/// indented.
fn items(chapter: &str) -> Vec<Requirement> {
    let mut found: Vec<Requirement> = Vec::new();
    let mut within = false;
    for line in chapter.lines() {
        if let Some((id, text)) = line
            .strip_prefix("- **ACP-")
            .and_then(|rest| rest.split_once("** "))
        {
            let id = format!("ACP-{id}");
            let text = text.to_owned();
            found.push(Requirement { id, text });
            within = true;
        } else if let (true, Some(rest)) = (within, line.strip_prefix("  ")) {
            let last = found.last_mut().unwrap();
            last.text.push(' ');
            last.text.push_str(rest);
        } else {
            within = false;
        }
    }
    found
}

/// Which vectors name which id.
fn named_by_vectors() -> BTreeMap<String, Vec<String>> {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in files(&spec().join("vectors"), "json") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let vector: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        for id in vector["requirements"].as_array().unwrap() {
            let id = id.as_str().unwrap().to_owned();
            named.entry(id).or_default().push(name.clone());
        }
    }
    named
}

#[test]
fn every_requirement_is_shown_by_a_vector_or_says_why_none_can() {
    let named = named_by_vectors();
    let untested: Vec<_> = requirements()
        .into_iter()
        .filter(|requirement| requirement.exclusion().is_none())
        .filter(|requirement| !named.contains_key(&requirement.id))
        .map(|requirement| requirement.id)
        .collect();
    assert!(untested.is_empty(), "no vector names {untested:?}");
}

#[test]
fn every_requirement_a_vector_names_exists() {
    let known: BTreeSet<_> = requirements().into_iter().map(|it| it.id).collect();
    for (id, vectors) in named_by_vectors() {
        assert!(known.contains(&id), "`{id}`, named by {vectors:?}");
    }
}

#[test]
fn requirements_have_an_id_of_their_own_and_say_what_binds() {
    let mut seen = BTreeSet::new();
    for Requirement { id, text } in requirements() {
        let (_, number) = id.rsplit_once('-').unwrap();
        assert!(
            number.len() == 3 && number.bytes().all(|c| c.is_ascii_digit()),
            "`{id}`"
        );
        let binds = ["MUST", "SHOULD", "MAY"]
            .iter()
            .any(|word| text.contains(word));
        assert!(binds, "`{id}` has no word of BCP 14");
        assert!(seen.insert(id.clone()), "`{id}` is there twice");
    }
    assert!(
        seen.len() > 150,
        "only {} requirements were found",
        seen.len()
    );
}

#[test]
fn an_exclusion_has_a_reason_and_ends_its_requirement() {
    for requirement in requirements() {
        if requirement.text.contains("(excluded") {
            let reason = requirement.exclusion();
            assert!(
                reason.is_some_and(|why| why.len() > 5),
                "`{}`",
                requirement.id
            );
        }
    }
}
