//! The broker and the registry, started for this run and ended with it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Where the parts are.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Kafka, `host:port`.
    pub(crate) bootstrap: String,
    /// The broker's process.
    pub(crate) broker: u32,
    /// The registry's base URL.
    pub(crate) registry: String,
    /// They end when the standard inputs of these do.
    _keepers: [Child; 2],
}

impl Parts {
    /// Starts both, on free ports.
    pub(crate) fn start() -> Self {
        let (kafka, bootstrap) = run("kafka.sh");
        let (other, registry) = run("registry.sh");
        Self {
            bootstrap,
            broker: java_below(kafka.id()).unwrap(),
            registry,
            _keepers: [kafka, other],
        }
    }
}

fn run(script: &str) -> (Child, String) {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let mut child = Command::new(scripts.join(script))
        // Or whoever joins first has all partitions for a while, and restores them for nothing.
        .env("KAFKA_GATHERS", "1000")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut address = String::new();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    lines.read_line(&mut address).unwrap();
    assert!(!address.is_empty(), "{script} did not start");
    (child, address.trim().to_owned())
}

/// The Java process that a script started.
fn java_below(script: u32) -> Option<u32> {
    let children = format!("/proc/{script}/task/{script}/children");
    let children = std::fs::read_to_string(children).ok()?;
    let is_java = |id: &&str| {
        std::fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "java")
    };
    children.split_whitespace().find(is_java)?.parse().ok()
}
