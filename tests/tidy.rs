//! The shape of the house, kept by reading its files: which part may name which, and how large a
//! file may grow. Each failure names the rule and the line.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A part of the tree, and what may stand behind `crate::` in it.
const LAYERS: &[(&str, &[&str])] = &[
    ("src/console/", &["console"]),
    ("src/wire/", &["wire"]),
    ("src/store/", &["store", "wire"]),
    ("src/engine/", &["engine", "store", "wire"]),
    ("src/evaluate/", &["evaluate"]),
    ("src/simulate/", &["simulate", "evaluate"]),
    ("src/telemetry/", &["telemetry", "engine", "config"]),
    (
        "src/transport/",
        &["transport", "engine", "store", "wire", "clock", "telemetry"],
    ),
    ("src/history/", &["history", "transport", "engine", "wire"]),
    (
        "src/replay/",
        &["replay", "history", "transport", "engine", "wire"],
    ),
    (
        "src/verify/",
        &["verify", "history", "transport", "engine", "wire"],
    ),
    (
        "src/gateway/",
        &[
            "gateway",
            "transport",
            "engine",
            "wire",
            "clock",
            "telemetry",
        ],
    ),
    (
        "src/command/",
        &[
            "command",
            "console",
            "gateway",
            "history",
            "verify",
            "replay",
            "transport",
            "engine",
            "evaluate",
            "simulate",
            "wire",
            "config",
            "telemetry",
            "clock",
        ],
    ),
];

/// A library, and the only part of the tree that may name it.
const OWNERS: &[(&str, &str)] = &[
    ("apache_avro", "src/wire/"),
    ("serde_avro_fast", "src/wire/"),
    ("sha2", "src/wire/"),
    ("libdeflater", "src/wire/"),
    ("murmur2", "src/wire/"),
    ("rdkafka", "src/transport/kafka/"),
    ("rusqlite", "src/transport/blackboard/"),
    ("schema_registry_converter", "src/transport/kafka/"),
    ("clap", "src/command/"),
    ("indicatif", "src/command/"),
    ("axum", "src/gateway/"),
    ("axum_extra", "src/gateway/"),
    ("governor", "src/gateway/access/"),
    ("jsonwebtoken", "src/gateway/access/"),
    ("prometheus_client", "src/telemetry/"),
];

/// The crates the core may name.
const CORE: &[&str] = &[
    "core",
    "alloc",
    "crate",
    "super",
    "self",
    "serde",
    "thiserror",
    "libm",
];

const LINES_MAX: usize = 500;
const COLUMNS_MAX: usize = 100;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn table(file: &str) -> toml::Table {
    let text = fs::read_to_string(root().join(file)).unwrap();
    text.parse().unwrap()
}

fn sources(folder: &str, end: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == end) {
                let name = path
                    .strip_prefix(root())
                    .unwrap()
                    .to_string_lossy()
                    .into_owned();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "{folder} has no .{end} files");
    found
}

/// The lines of a file up to its unit tests.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let code = text.get(..tests).unwrap_or(text).lines().enumerate();
    code.map(|(at, line)| (at + 1, line.split("//").next().unwrap_or("")))
}

/// The words that stand before `::` in a line.
fn paths(line: &str) -> impl Iterator<Item = (&str, &str)> {
    line.match_indices("::").filter_map(|(at, _)| {
        let before = line.get(..at)?;
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let start = before.rfind(|c| !is_word(c)).map_or(0, |found| found + 1);
        let starts_path = !before.get(..start)?.ends_with("::");
        starts_path.then_some((before.get(start..)?, line.get(at + 2..)?))
    })
}

#[test]
fn arrows_point_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src", "rs") {
        let layer = LAYERS.iter().find(|(folder, _)| file.starts_with(folder));
        for (line, text) in code(&text) {
            for (head, rest) in paths(text) {
                let to = rest
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next();
                let to = to.unwrap_or("");
                if let (Some((_, allowed)), "crate") = (layer, head)
                    && !to.is_empty()
                    && !allowed.contains(&to)
                {
                    wrong.push(format!("{file}:{line} may not name crate::{to}"));
                }
                let owner = OWNERS.iter().find(|(library, _)| *library == head);
                if let Some((library, owner)) = owner
                    && !file.starts_with(owner)
                    && file != "src/main.rs"
                {
                    wrong.push(format!("{file}:{line} names {library}: only {owner} may"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_names_nothing_but_itself() {
    let mut wrong = Vec::new();
    for (file, text) in sources("src/core", "rs") {
        for (line, text) in code(&text).filter(|(_, text)| text.starts_with("use ")) {
            let head = text
                .trim_start_matches("use ")
                .split("::")
                .next()
                .unwrap_or("");
            let sibling = root()
                .join(&file)
                .with_file_name(format!("{head}.rs"))
                .exists();
            if !CORE.contains(&head)
                && !sibling
                && !file.contains("test")
                && !file.ends_with("samples.rs")
            {
                wrong.push(format!("{file}:{line} names {head}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_depends_on_three_crates_that_need_no_standard_library() {
    let manifest = table("src/core/Cargo.toml");
    let mut names: Vec<&String> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .collect();
    names.sort();
    assert_eq!(names, ["libm", "serde", "thiserror"]);
}

#[test]
fn fuzz_targets_lock_what_the_program_depends_on() {
    let (manifest, lock) = (table("Cargo.toml"), table("fuzz/Cargo.lock"));
    let wanted: BTreeSet<&str> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let packages = lock["package"].as_array().unwrap();
    let ours = packages
        .iter()
        .find(|package| package["name"].as_str() == Some("quorate"));
    // A name, and a version where there are several of it.
    let locked: BTreeSet<&str> = ours.unwrap()["dependencies"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package.as_str()?.split(' ').next())
        .collect();
    assert_eq!(
        locked, wanted,
        "`cargo metadata` in fuzz/ writes its lock file anew"
    );
}

#[test]
fn files_and_lines_stay_short_and_named() {
    let mut wrong = Vec::new();
    let named_for_nothing = ["types.rs", "utils.rs", "util.rs", "helpers.rs", "common.rs"];
    for (file, text) in sources("src", "rs")
        .into_iter()
        .chain(sources("tests", "rs"))
    {
        let name = Path::new(&file)
            .file_name()
            .unwrap()
            .to_string_lossy()
            .into_owned();
        if named_for_nothing.contains(&name.as_str()) {
            wrong.push(format!("{file} does not say what it is for"));
        }
        if !text.starts_with("//!") && !text.starts_with("#!") {
            wrong.push(format!("{file} does not open by saying what it is"));
        }
        let is_test = file.contains("test");
        if !is_test && code(&text).count() > LINES_MAX {
            wrong.push(format!("{file} has more than {LINES_MAX} lines"));
        }
        for (at, line) in text.lines().enumerate() {
            if !is_test && line.chars().count() > COLUMNS_MAX {
                wrong.push(format!(
                    "{file}:{} is longer than {COLUMNS_MAX} columns",
                    at + 1
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_left_behind() {
    // Written in two halves, so that this file does not name them itself.
    let left = [
        ["TO", "DO"],
        ["FIX", "ME"],
        ["XX", "X:"],
        ["dbg", "!("],
        ["#[igno", "re"],
    ];
    let mut wrong = Vec::new();
    for (file, text) in sources("src", "rs")
        .into_iter()
        .chain(sources("tests", "rs"))
    {
        for (at, line) in text.lines().enumerate() {
            for [a, b] in left {
                if line.contains(&format!("{a}{b}")) {
                    wrong.push(format!("{file}:{}: {a}{b}", at + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
