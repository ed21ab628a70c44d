//! Which failed tests `make test` runs once more, by what `cargo test` printed (`scripts/again.py`).

use std::io::Write as _;
use std::process::Command;

use tempfile::NamedTempFile;

const IN_VAIN: &str =
    "thread 'x' panicked at tests/support/waiting.rs:16:9:\nwaited in vain: an outcome\n";
const LOST: &str = "thread 'x' panicked at tests/faults/mod.rs:186:5:\nassertion failed: lost 1\n";

/// What cargo prints of failed tests, each with what it printed.
fn log(binary: &str, failed: &[(&str, &str)]) -> String {
    let printed = failed
        .iter()
        .map(|(name, printed)| format!("---- {name} stdout ----\n{printed}\n\n"));
    let names = failed.iter().map(|(name, _)| format!("    {name}\n"));
    format!(
        "     Running {binary} (target/debug/deps/x)\n\nrunning 9 tests\ntest some ... ok\n\u{1b}[0m\n\
         failures:\n\n{}\nfailures:\n{}\ntest result: FAILED. 7 passed; 2 failed\n",
        printed.collect::<String>(),
        names.collect::<String>(),
    )
}

/// The tests that are to run again; none if what failed stands.
fn again(log: &str) -> Option<Vec<String>> {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(log.as_bytes()).unwrap();
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/again.py"));
    let told = command.arg(file.path()).output().unwrap();
    let names = String::from_utf8(told.stdout).unwrap();
    let names = names
        .lines()
        .map(str::to_owned)
        .filter(|name| !name.is_empty());
    told.status.success().then(|| names.collect())
}

#[test]
fn only_tests_that_waited_in_vain_are_run_again() {
    let suite = "tests/main.rs";
    let two = [("a::one", IN_VAIN), ("b::two", IN_VAIN)];
    assert_eq!(again(&log(suite, &two)).unwrap(), ["a::one", "b::two"]);
    let of_a_page = [("console::one", "locator.click: Timeout 60000ms exceeded.\n")];
    assert_eq!(again(&log(suite, &of_a_page)).unwrap(), ["console::one"]);
}

#[test]
fn whatever_else_fails_stands() {
    let suite = "tests/main.rs";
    assert_eq!(again(&log(suite, &[("a::one", LOST)])), None);
    let one_of_two = [("a::one", IN_VAIN), ("b::two", LOST)];
    assert_eq!(again(&log(suite, &one_of_two)), None);
    let elsewhere = log("unittests src/lib.rs", &[("a::one", IN_VAIN)]);
    assert_eq!(again(&elsewhere), None);
    let both = log(suite, &[("a::one", IN_VAIN)]) + &elsewhere;
    assert_eq!(again(&both), None);
    let names = ["a", "b", "c", "d"];
    let four = names.map(|name| (name, IN_VAIN));
    assert_eq!(again(&log(suite, &four)), None);
    assert_eq!(again("error: could not compile `quorate`\n"), None);
}
