//! A random history is verified as it lies, and whatever is changed of it is found.

mod choices;
mod decided;
mod depths;
mod follow;
mod memory;
mod mutations;
mod rehearsed;
mod resumed;
mod veil;

use std::collections::BTreeMap;
use std::path::Path;

use quorate::history::{About, Error, File, History};
use quorate::transport::Stored;
use quorate::verify::{Depth, Finding, Options, Report, verify};
use quorate_core::ids::Millis;
use quorate_core::topic::Topic;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::history::History as Making;
use crate::support::load::Random;
use crate::support::until;
use crate::support::{House, Processor};
use mutations::{KINDS, Known};

/// What a processor is told: not to wait long for schemas nobody registered.
const SETTINGS: &str = "[run]\nschema_wait_ms = 500\n";
/// Rounds of the history.
const ROUNDS: usize = 60;
/// Histories that are made at most until one has something of every kind.
const HISTORIES: usize = 5;
/// Mutations that are tried, if not `QUORATE_VERIFY_MUTATIONS`.
const MUTATIONS: usize = 100;

/// How many are tried at a time.
const AT_A_TIME: usize = 2;

/// A history in memory.
#[derive(Clone)]
struct Held {
    about: About,
    records: Vec<Stored>,
}

impl Held {
    fn of(file: &Path) -> Self {
        let mut file = File::open(file).unwrap();
        let mut records = Vec::new();
        let each = file.each(&mut |stored| {
            records.push(stored.clone());
            Ok(())
        });
        each.unwrap();
        Self {
            about: file.about().clone(),
            records,
        }
    }

    fn verified(self, depth: Depth) -> Report {
        let options = Options {
            depth,
            grace: Millis(0),
            round: None,
        };
        verify(&mut { self }, &options, &mut |_| {}).unwrap()
    }
}

impl History for Held {
    fn about(&self) -> &About {
        &self.about
    }

    fn each(&mut self, each: &mut dyn FnMut(&Stored) -> Result<(), Error>) -> Result<(), Error> {
        self.records.iter().try_for_each(each)
    }
}

/// How mutations were found: by what was done, the kinds of the first findings, counted.
type Found = BTreeMap<String, BTreeMap<&'static str, usize>>;

/// What lies at a log's very end is for a processor to judge: until then it is said to wait.
fn waits(history: &Held) {
    let known = Known::of(history.records.clone());
    let verified = |records: Vec<Stored>| {
        let held = Held {
            records,
            ..history.clone()
        };
        held.verified(Depth::Tables)
    };
    for topic in [Topic::Decisions, Topic::Results] {
        let change = known.waiting(topic);
        let report = verified(known.changed(&change));
        // Its time may be later than any there, so that what waited for that is missed now.
        let is_missed = |one: &Finding| one.recorded.is_none();
        assert!(report.broken.iter().all(is_missed), "{:#?}", report.broken);
        let more: Vec<_> = report
            .waiting
            .iter()
            .filter(|one| change.inserts(one))
            .collect();
        // It may be refused as it lies there, too.
        let told = more.len() + report.broken.len();
        assert!(told > 0, "{:#?}", report.waiting);
    }
}

/// Tries so many mutations, and tells how each was found, and which were not.
fn tried(history: &Held, random: &mut Random, count: usize) -> (Found, Vec<String>) {
    let known = Known::of(history.records.clone());
    let mut mutations = Vec::new();
    let mut kinds = KINDS.iter().cycle();
    while mutations.len() < count {
        let kind = kinds.next().unwrap();
        let mutated = known.mutate(*kind, random);
        mutations.extend(mutated.map(|(change, what)| (kind, change, what)));
    }
    let find = |some: &[(_, mutations::Change, String)]| {
        let verified = |change: &mutations::Change| {
            let records = known.changed(change);
            let held = Held {
                records,
                ..history.clone()
            };
            let report = held.verified(Depth::Tables);
            // What nothing follows from yet is told of where it lies.
            let waits = |finding: &&Finding| change.inserts(finding);
            let waits = report.waiting.iter().find(waits).map(|_| "waiting");
            report.broken.first().map(|first| first.kind).or(waits)
        };
        some.iter()
            .map(|(_, change, _)| verified(change))
            .collect::<Vec<_>>()
    };
    let share = mutations.len().div_ceil(AT_A_TIME);
    let findings: Vec<_> = std::thread::scope(|scope| {
        let parts = mutations
            .chunks(share)
            .map(|some| scope.spawn(|| find(some)));
        let parts: Vec<_> = parts.collect();
        let ended = parts.into_iter().map(|part| part.join().unwrap());
        ended.flatten().collect()
    });
    let (mut found, mut missed) = (Found::new(), Vec::new());
    for ((kind, _, what), finding) in mutations.iter().zip(findings) {
        match finding {
            Some(finding) => {
                let by = found.entry(kind.to_string()).or_default();
                *by.entry(finding).or_default() += 1;
            }
            None => missed.push(format!("{kind}: {what}")),
        }
    }
    (found, missed)
}

/// The table of `docs/verify.md`.
fn table(found: &Found) -> String {
    let mut text = "| What was done | Times | First found as |\n| --- | --- | --- |\n".to_owned();
    for (what, by) in found {
        let count: usize = by.values().sum();
        let told: Vec<_> = by.iter().map(|(kind, n)| format!("`{kind}` {n}")).collect();
        text += &format!("| {what} | {count} | {} |\n", told.join(", "));
    }
    text
}

/// Puts the table where it belongs.
fn write_down(found: &Found) {
    between("mutations", &table(found));
}

/// Puts a table between its marks in `docs/verify.md`.
fn between(marks: &str, table: &str) {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.md");
    let text = std::fs::read_to_string(page).unwrap();
    let mark = [
        format!("<!-- {marks} -->\n"),
        format!("<!-- end of {marks} -->"),
    ];
    let (before, rest) = text.split_once(&mark[0]).unwrap();
    let (_, after) = rest.split_once(&mark[1]).unwrap();
    let text = [before, &mark[0], table, &mark[1], after].concat();
    std::fs::write(page, text).unwrap();
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What a replay of a file says, as JSON.
fn replay(house: &House, file: &str, rules: &[&str]) -> Value {
    let all = [&["replay", "--export", file, "--output", "json"], rules].concat();
    serde_json::from_str(&house.ok(&all)).unwrap()
}

/// Goes through a history again: as it was by the same rules, and otherwise by others.
fn replayed(house: &House, folder: &Path, file: &str) {
    let same = replay(house, file, &[]);
    assert_eq!(same["flips"], serde_json::json!([]), "{same:#}");
    assert_eq!(same["recorded"], same["replayed"]);
    let decided = |told: &Value| {
        let of = |what: &str| told["replayed"][what].as_u64().unwrap();
        (of("approved") + of("rejected"), of("escalated"))
    };
    let (automatic, escalated) = decided(&same);
    assert!(automatic > 0 && escalated > 0, "{same:#}");
    let trust = |told: &Value| {
        let scores = told["trust"].as_array().unwrap().clone();
        assert!(!scores.is_empty());
        let differs = |score: &&Value| score["recorded"] != score["replayed"];
        scores.iter().filter(differs).count()
    };
    assert_eq!(trust(&same), 0, "{same:#}");

    let policy = "[[policy]]\npattern = \"*\"\ntrust_domain = \"all\"\nmode = \"shadow\"\n\
        deadline_default = \"1 s\"\n";
    let policies = folder.join("shadow.toml");
    std::fs::write(&policies, policy).unwrap();
    let shadow = replay(house, file, &["--policies", policies.to_str().unwrap()]);
    let (none, all) = decided(&shadow);
    assert_eq!(none, 0, "{shadow:#}");
    assert!(all > 0, "{shadow:#}");
    let flips = shadow["flips"].as_array().unwrap();
    assert!(flips.len() as u64 >= automatic, "{shadow:#}");
    let is_told = |flip: &Value| {
        let is_open = flip["open"] == true;
        flip["to"] == "ESCALATED" || flip["refused"].is_string() || is_open
    };
    assert!(flips.iter().all(is_told), "{shadow:#}");

    let nobody = folder.join("agents.toml");
    let agent = "[[agent]]\nagent_id = \"someone-else\"\nprincipal = \"elsewhere\"\n";
    std::fs::write(&nobody, agent).unwrap();
    let alone = replay(house, file, &["--agents", nobody.to_str().unwrap()]);
    // A copy of a proposal may have been refused for something else.
    let is_unlisted = |flip: &Value| flip["refused"] == "agent_not_listed";
    let flips = alone["flips"].as_array().unwrap();
    assert!(flips.iter().any(is_unlisted), "{alone:#}");
    assert_eq!(decided(&alone), (0, 0));

    let faded = replay(house, file, &["--half-life", "1"]);
    assert!(trust(&faded) > 0, "{faded:#}");
}

/// Stops a processor once everything is put out that follows.
fn rest(house: &House, mut processor: Processor) {
    let verify = ["verify", "--grace", "0", "--output", "json"];
    let is_verified = || house.call(&verify).status.code() == Some(0);
    for again in 0.. {
        // What was appended last is put out in its time.
        until("everything is put out", is_verified);
        processor.stop();
        // What fell due after it was looked at may be there in part: a result's trust comes last.
        if is_verified() {
            break;
        }
        assert!(again < 10, "it never comes to rest");
        processor = house.run_with("one", SETTINGS, None);
    }
}

/// A house at rest, and its history in a file of a folder; none if something is not in it that a check
/// is tried on.
fn made(random: &mut Random) -> Option<(House, TempDir, Held)> {
    let (house, history) = Making::begin_on_blackboard(2, random);
    let processor = house.run_with("one", SETTINGS, None);
    history.run(ROUNDS, 60);
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("history.avro");
    rest(&house, processor);
    house.ok(&["export", file.to_str().unwrap()]);
    let history = Held::of(&file);
    depths::has_all(&history).then_some((house, folder, history))
}

#[test]
fn a_history_is_verified_and_whatever_is_changed_of_it_is_found() {
    let mut random = Random::of_this_run("verified");
    let made = (0..HISTORIES).find_map(|_| made(&mut random));
    let (house, folder, history) = made.expect("a history has something of every kind");
    let file = folder.path().join("history.avro");
    let named = file.to_str().unwrap();
    let said = house.ok(&["verify", "--grace", "0", "--export", named]);
    assert!(said.contains(" 0 broken, 0 not evaluated"), "{said}");
    for depth in ["1", "2"] {
        let said = house.ok(&["verify", "--depth", depth, "--export", named]);
        assert!(said.contains(" 0 broken, 0 not evaluated"), "{said}");
    }
    replayed(&house, folder.path(), named);
    resumed::all(&house, folder.path(), &file);
    waits(&history);
    depths::each_check_finds_what_it_is_for(&history);
    let count = number("QUORATE_VERIFY_MUTATIONS").unwrap_or(MUTATIONS);
    let (found, missed) = tried(&history, &mut random, count);
    eprintln!("{}", table(&found));
    assert!(missed.is_empty(), "{missed:#?}");
    if std::env::var_os("UPDATE").is_some() {
        write_down(&found);
    }
}
