//! A replay that is interrupted, wherever, goes on and comes to what it would have come to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate::history::{About, Error, File, History as _, INPUTS, Live, Origin, Range};
use quorate::replay::{HalfLife, Keeping, Rules, replay};
use quorate::transport::blackboard::Edge;
use quorate::wire::{files, sha256};
use quorate_core::ids::Timestamp;
use quorate_core::resolve::RULES_REVISION;
use quorate_core::topic::Topic;
use serde_json::Value;

use crate::support::history::{History as Making, forget};
use crate::support::load::Random;
use crate::support::people::people;
use crate::support::{House, until};

use super::rehearsed::Rehearsed;
use super::{Held, SETTINGS};

/// What a checkpoint begins with.
const MAGIC: &[u8] = b"quorate replay checkpoint 2\n";
/// How many records apart the places are at which a replay is interrupted.
const STEP: usize = 97;

fn rules(policies: Option<&str>, half_life: HalfLife) -> Rules {
    Rules {
        policies: policies.map(|text| files::policies(text).unwrap()),
        agents: None,
        half_life,
        replay_trust: false,
    }
}

/// Put away only where it is interrupted.
fn keeping(at: &Path) -> Keeping {
    Keeping {
        path: at.to_owned(),
        every: i64::MAX,
        stop: Arc::new(AtomicBool::new(false)),
    }
}

/// What a replay comes to, interrupted after so many records or not, or why it does not.
fn kept(file: &Path, rules: &Rules, at: &Path, stop_at: Option<i64>) -> Result<Value, Error> {
    let keeping = keeping(at);
    let stop = &keeping.stop;
    let mut history = File::open(file).unwrap();
    let shown = &mut |records| stop.store(Some(records) == stop_at, Ordering::Relaxed);
    let replayed = replay(&mut history, rules, Some(&keeping), shown)?;
    Ok(serde_json::to_value(&replayed).unwrap())
}

/// Interrupts replays of a file by several rules, each at many places, and goes on.
fn interrupted(file: &Path, folder: &Path) {
    let shadow =
        "[[policy]]\npattern = \"*\"\ntrust_domain = \"all\"\ndeadline_default = \"1 s\"\n";
    let held = Held::of(file);
    let first = held
        .records
        .iter()
        .position(|one| INPUTS.contains(&one.topic));
    let places: Vec<_> = (first.unwrap()..held.records.len()).step_by(STEP).collect();
    assert!(places.len() > 3, "{} records", held.records.len());
    for rules in [
        rules(None, HalfLife::AsTheySay),
        rules(None, HalfLife::Of(Some(1))),
        rules(Some(shadow), HalfLife::AsTheySay),
    ] {
        let whole = replay(&mut File::open(file).unwrap(), &rules, None, &mut |_| {});
        let whole = serde_json::to_value(whole.unwrap()).unwrap();
        let at = folder.join("replay.checkpoint");
        // Each goes on from where the one before was interrupted.
        for place in &places {
            let stopped = kept(file, &rules, &at, Some(*place as i64 + 1));
            assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
        }
        assert_eq!(kept(file, &rules, &at, None).unwrap(), whole);
        assert!(!at.exists(), "a replay that has ended leaves nothing");
    }
}

/// What a program that is not let go on says.
fn refused(house: &House, call: &[&str], more: &[&str]) -> String {
    let said = house.call(&[call, more].concat());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    String::from_utf8(said.stderr).unwrap()
}

/// A number in the line of a log, of either format, that has these words.
fn number(log: &str, words: &str, name: &str) -> i64 {
    let mut lines = log.lines();
    let line = lines.find(|line| line.contains(words));
    let line = line.unwrap_or_else(|| panic!("`{words}` is not said: {log}"));
    let (_, value) = line.split_once(name).unwrap();
    let value = value.trim_start_matches(|c: char| !c.is_ascii_digit());
    let end = value.find(|c: char| !c.is_ascii_digit());
    value[..end.unwrap_or(value.len())].parse().unwrap()
}

/// A replay that is told to stop says where it is put away, and goes on there: how many records it
/// had read, and what it comes to.
fn told_to_stop(house: &House, which: &[&str], at: &Path) -> (i64, String) {
    let named = ["--checkpoint", at.to_str().unwrap()];
    let kept = [&["replay", "--output", "json"], which, &named].concat();
    // To put itself away after each record takes it long.
    let slow = [&kept[..], &["--checkpoint-every", "1"]].concat();
    let mut said = None;
    until("a replay was told to stop before it ended", || {
        let mut command: Command = house.command(&slow);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut ended = None;
        until("it put itself away", || {
            ended = child.try_wait().unwrap();
            at.exists() || ended.is_some()
        });
        if ended.is_none() {
            let id = child.id().to_string();
            let told = Command::new("kill").args(["-TERM", &id]).status();
            assert!(told.unwrap().success());
        }
        let ended = child.wait_with_output().unwrap();
        let is_put_away = !ended.status.success();
        said = is_put_away.then_some(ended);
        is_put_away
    });
    let said = said.unwrap();
    let log = String::from_utf8(said.stderr).unwrap();
    assert_eq!(said.status.code(), Some(1), "{log}");
    assert!(
        log.contains("interrupted: the same command goes on"),
        "{log}"
    );
    let records = number(&log, "put away", "records");
    let again = house.call(&kept);
    let log = String::from_utf8(again.stderr).unwrap();
    assert!(again.status.success(), "{log}");
    assert_eq!(number(&log, "goes on where", "records"), records, "{log}");
    assert!(!at.exists(), "a replay that has ended leaves nothing");
    let passed_over = number(&log, "goes on where", "passed_over");
    assert!((1..records).contains(&passed_over), "{log}");
    (records, String::from_utf8(again.stdout).unwrap())
}

/// Kills a replay once it has put itself away, and has it go on.
fn killed(house: &House, which: &[&str], at: &Path) {
    let (call, named) = (["replay", "--output", "json"], at.to_str().unwrap());
    let whole = house.ok(&[&call[..], which].concat());
    let kept = [&call[..], which, &["--checkpoint", named]].concat();
    let slow = [&kept[..], &["--checkpoint-every", "1"]].concat();
    until("a replay was killed before it ended", || {
        let mut child = spawn(house, &slow);
        let mut ended = None;
        until("it put itself away", || {
            ended = child.try_wait().unwrap();
            at.exists() || ended.is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        at.exists()
    });
    assert_eq!(house.ok(&kept), whole);
    assert!(!at.exists(), "a replay that has ended leaves nothing");
}

fn spawn(house: &House, arguments: &[&str]) -> std::process::Child {
    let mut command: Command = house.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Checkpoints that are not as they were written, or of other versions, sound in every other
/// respect; and how each is refused.
fn unfit(whole: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let body = &whole[MAGIC.len() + 32..];
    let sealed = |magic: &[u8], body: &[u8]| [magic, &sha256(body).0, body].concat();
    assert_eq!(sealed(MAGIC, body), whole);
    let changed = |at: usize, to: u8| {
        let mut body = body.to_vec();
        body[at] = to;
        body
    };
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    assert_eq!(&body[1..=version.len()], version);
    // The revision of the rules follows, in zigzag.
    let revision = 1 + version.len();
    assert_eq!(i32::from(body[revision]), 2 * RULES_REVISION);
    let another = b"quorate replay checkpoint 1\n";
    assert_eq!(another.len(), MAGIC.len());
    let mut altered = whole.to_vec();
    *altered.last_mut().unwrap() ^= 1;
    vec![
        ("checkpoint_unknown", sealed(another, body)),
        ("checkpoint_unknown", altered),
        ("checkpoint_unknown", whole[..MAGIC.len() + 31].to_vec()),
        ("checkpoint_unknown", Vec::new()),
        ("checkpoint_unknown", sealed(MAGIC, b"")),
        ("checkpoint_version", sealed(MAGIC, &changed(1, b'x'))),
        (
            "checkpoint_version",
            sealed(MAGIC, &changed(revision, body[revision] + 2)),
        ),
        ("checkpoint_version", sealed(MAGIC, &body[..body.len() / 2])),
    ]
}

/// A checkpoint of something else is refused, and left where it is.
fn of_something_else(house: &House, folder: &Path, file: &Path) {
    let at = folder.join("replay.checkpoint");
    let (named, file) = (at.to_str().unwrap(), file.to_str().unwrap());
    let same = rules(None, HalfLife::AsTheySay);
    let records = Held::of(Path::new(file)).records.len() as i64;
    let stopped = kept(Path::new(file), &same, &at, Some(records - 1));
    assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
    let call = ["replay", "--checkpoint", named];
    let ours = [&call[..], &["--export", file]].concat();
    let [policies, agents] = ["policies", "agents"].map(|name| folder.join(format!("{name}.toml")));
    std::fs::write(&policies, "[[policy]]\npattern = \"pay\"\n").unwrap();
    std::fs::write(&agents, "[[agent]]\nagent_id = \"a\"\n").unwrap();
    for others in [
        &["--half-life", "none"][..],
        &["--replay-trust"],
        &["--policies", policies.to_str().unwrap()],
        &["--agents", agents.to_str().unwrap()],
    ] {
        let said = refused(house, &ours, others);
        assert!(said.contains("checkpoint_rules"), "{said}");
    }
    let part = folder.join("part.avro");
    let part = part.to_str().unwrap();
    house.ok(&["export", part, "--from", "1"]);
    let said = refused(house, &call, &["--export", part]);
    assert!(said.contains("checkpoint_history"), "{said}");
    // The same in every other way, it has another record there, or has not come so far.
    let held = Held::of(Path::new(file));
    let (mut other, mut shorter) = (held.clone(), held);
    let last = &mut other.records[usize::try_from(records).unwrap() - 2];
    last.timestamp = last.timestamp.map(|at| Timestamp(at.0 + 1));
    shorter
        .records
        .truncate(usize::try_from(records).unwrap() - 2);
    for mut history in [other, shorter] {
        let keeping = keeping(&at);
        let refused = replay(&mut history, &same, Some(&keeping), &mut |_| {}).unwrap_err();
        assert!(
            refused.to_string().contains("checkpoint_history"),
            "{refused}"
        );
    }

    let whole = std::fs::read(&at).unwrap();
    for (code, other) in unfit(&whole) {
        std::fs::write(&at, &other).unwrap();
        let said = refused(house, &ours, &[]);
        assert!(said.contains(code), "{code}: {said}");
        assert_eq!(std::fs::read(&at).unwrap(), other);
    }
    let said = refused(house, &["replay", "--export", file], &["--checkpoint", "/"]);
    assert!(said.contains("cannot read `/`"), "{said}");

    std::fs::write(&at, whole).unwrap();
    assert_eq!(house.ok(&ours), house.ok(&["replay", "--export", file]));
}

/// A replay that is told to stop before it has come to where it was put away leaves that as it is.
fn told_to_stop_too_early(file: &Path, folder: &Path) {
    let at = folder.join("early.checkpoint");
    let same = rules(None, HalfLife::AsTheySay);
    let records = Held::of(file).records.len() as i64;
    let mut before = Vec::new();
    for stop_at in [records - 1, records - 2] {
        let stopped = kept(file, &same, &at, Some(stop_at));
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
        let now = std::fs::read(&at).unwrap();
        assert!(before.is_empty() || before == now);
        before = now;
    }
    std::fs::remove_file(&at).unwrap();
}

/// All of it, for a history in a file and on the log it was exported from.
pub(super) fn all(house: &House, folder: &Path, file: &Path) {
    interrupted(file, folder);
    told_to_stop_too_early(file, folder);
    let at = folder.join("killed.checkpoint");
    killed(house, &["--export", file.to_str().unwrap()], &at);
    killed(house, &["--half-life", "3"], &at);
    let which = ["--export", file.to_str().unwrap()];
    let whole = house.ok(&[&["replay", "--output", "json"], &which[..]].concat());
    let (records, again) = told_to_stop(house, &which, &at);
    assert!(records < Held::of(file).records.len() as i64);
    assert_eq!(again, whole);
    of_something_else(house, folder, file);
}

#[test]
fn a_replay_of_topics_that_was_told_to_stop_goes_on_with_what_was_there_then() {
    let mut random = Random::of_this_run("replayed on kafka");
    let (house, history) = Making::begin(2, &mut random);
    let processor = house.run_with("one", SETTINGS, None);
    history.run(30, 30);
    processor.stop();
    let folder = tempfile::TempDir::new().unwrap();
    let at = folder.path().join("replay.checkpoint");
    let replay = ["replay", "--output", "json"];
    let whole = house.ok(&replay);
    let (_, again) = told_to_stop(&house, &[], &at);
    assert_eq!(again, whole);
    killed(&house, &["--half-life", "3"], &at);

    // What comes after it began is left out.
    let named = at.to_str().unwrap();
    let kept = [&replay[..], &["--checkpoint", named]].concat();
    let interrupt = || {
        let mut child = spawn(&house, &[&kept[..], &["--checkpoint-every", "1"]].concat());
        until("it put itself away", || {
            at.exists() || child.try_wait().unwrap().is_some()
        });
        child.kill().unwrap();
        child.wait().unwrap();
        at.exists()
    };
    until("a replay was killed before it ended", interrupt);
    let who = [
        "--proposer",
        "busy",
        "--domain",
        "pay.out",
        "--stakes",
        "LOW",
    ];
    let what = ["--type", "act", "--subject", "s", "--confidence", "0.9"];
    house.propose(&[&who[..], &what[..]].concat());
    assert_eq!(house.ok(&kept), whole);

    // What was there when it began may not be gone.
    until("a replay was killed before it ended", interrupt);
    forget(&house, Topic::Responses, 0, 1);
    let said = refused(&house, &kept, &[]);
    assert!(said.contains("checkpoint_history"), "{said}");
}

#[test]
fn a_log_is_gone_on_with_only_if_all_that_was_there_still_is() {
    let log = Rehearsed::begin(2, people!(desk ada), "[[policy]]\npattern = \"pay\"\n");
    let edge: Box<Edge> = log.edge();
    let open = || {
        let origin = Origin {
            prefix: String::new(),
            now: Timestamp(log.now),
            range: Range::default(),
            topics: Vec::new(),
        };
        Live::open(&*edge, origin).unwrap()
    };
    let whole = open().about().clone();
    let agents = |about: &mut About, change: fn(&mut i64, &mut i64)| {
        let mut parts = about.parts.iter_mut();
        let part = parts.find(|part| part.topic == Topic::Agents.name());
        let part = part.unwrap();
        change(&mut part.start, &mut part.end);
    };
    type Change<'a> = &'a dyn Fn(&mut About);
    let held = |change: Change<'_>| {
        let mut before = whole.clone();
        change(&mut before);
        let mut live = open();
        let is_held = live.hold(&before);
        // As much of it is read then, and no more.
        assert_eq!(*live.about() == before, is_held);
        is_held
    };
    assert!(held(&|before| before.read_at = Timestamp(0)));
    assert!(held(&|before| agents(before, |_, end| *end -= 1)));
    let changes: [(&str, Change<'_>); 7] = [
        ("partitions", &|before| before.partitions += 1),
        ("prefix", &|before| "other.".clone_into(&mut before.prefix)),
        ("range", &|before| before.range.from = Some(Timestamp(1))),
        ("a part less", &|before| drop(before.parts.pop())),
        ("no such topic", &|before| before.parts[0].topic.push('x')),
        ("a later start", &|before| {
            agents(before, |start, _| *start -= 1)
        }),
        ("a nearer end", &|before| agents(before, |_, end| *end += 1)),
    ];
    for (what, change) in changes {
        assert!(!held(change), "{what}");
    }
}
