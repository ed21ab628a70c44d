//! A replay that is interrupted, wherever, goes on and comes to what it would have come to.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate::history::{Error, File, INPUTS};
use quorate::replay::{HalfLife, Keeping, Rules, replay};
use quorate::wire::{files, sha256};
use quorate_core::ids::Timestamp;
use serde_json::Value;

use crate::support::{House, until};

use super::Held;

/// What a checkpoint begins with.
const MAGIC: &[u8] = b"quorate replay checkpoint 1\n";
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

/// Kills a replay once it has put itself away, and has it go on.
fn killed(house: &House, which: &[&str], at: &Path) {
    let (call, named) = (["replay", "--output", "json"], at.to_str().unwrap());
    let whole = house.ok(&[&call[..], which].concat());
    let keep = ["--checkpoint", named, "--checkpoint-every", "1"];
    let kept = [&call[..], which, &keep[..]].concat();
    until("a replay was killed before it ended", || {
        let mut child = spawn(house, &kept);
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
    let said = refused(house, &ours, &["--half-life", "none"]);
    assert!(said.contains("checkpoint_rules"), "{said}");
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
    let mut altered = whole.clone();
    *altered.last_mut().unwrap() ^= 1;
    std::fs::write(&at, altered).unwrap();
    let said = refused(house, &ours, &[]);
    assert!(said.contains("checkpoint_unknown"), "{said}");

    let version = env!("CARGO_PKG_VERSION").as_bytes();
    let mut body = whole[MAGIC.len() + 32..].to_vec();
    let program = &mut body[1..=version.len()];
    assert_eq!(program, version);
    program[0] ^= 1;
    let other = [MAGIC, &sha256(&body).0, &body].concat();
    std::fs::write(&at, &other).unwrap();
    let said = refused(house, &ours, &[]);
    assert!(said.contains("checkpoint_version"), "{said}");
    assert_eq!(std::fs::read(&at).unwrap(), other);

    std::fs::write(&at, whole).unwrap();
    assert_eq!(house.ok(&ours), house.ok(&["replay", "--export", file]));
}

/// All of it, for a history in a file and on the log it was exported from.
pub(super) fn all(house: &House, folder: &Path, file: &Path) {
    interrupted(file, folder);
    let at = folder.join("killed.checkpoint");
    killed(house, &["--export", file.to_str().unwrap()], &at);
    killed(house, &["--half-life", "3"], &at);
    of_something_else(house, folder, file);
}
