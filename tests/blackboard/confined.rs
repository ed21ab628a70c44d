//! Tests that run again in a process of their own, which may less, or has a disk of its own.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// What tells a test that it runs confined already, and which folder is its own.
const FOLDER: &str = "QUORATE_TEST_CONFINED";

fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Runs a test where modes of files and folders bind it, whoever it runs as.
pub(crate) fn by_modes(test: &str, body: impl FnOnce(&Path)) {
    let bound = ["setpriv", "--bounding-set=-dac_override"];
    confined(test, if is_root() { &bound } else { &[] }, body);
}

/// Runs a test with a disk of so many megabytes as its folder, which nobody else sees.
pub(crate) fn to_a_disk(test: &str, megabytes: usize, body: impl FnOnce(&Path)) {
    let mount = format!("mount -t tmpfs -o size={megabytes}m none \"${FOLDER}\" && exec \"$@\"");
    let mut wrapper = vec!["unshare", "--mount"];
    if !is_root() {
        wrapper.extend(["--user", "--map-root-user"]);
    }
    wrapper.extend(["sh", "-c", &mount, "sh"]);
    confined(test, &wrapper, body);
}

fn confined(test: &str, wrapper: &[&str], body: impl FnOnce(&Path)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(&PathBuf::from(folder));
    }
    let folder = TempDir::new().unwrap();
    let itself = std::env::current_exe().unwrap();
    let mut words = wrapper.to_vec();
    words.extend([itself.to_str().unwrap(), test, "--exact", "--nocapture"]);
    let ended = Command::new(words[0])
        .args(&words[1..])
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    let complaint = String::from_utf8_lossy(&ended.stderr);
    eprintln!("{complaint}");
    assert!(ended.status.success(), "{said}");
    assert!(
        said.contains("1 passed"),
        "no test is called `{test}`: {said}"
    );
}
