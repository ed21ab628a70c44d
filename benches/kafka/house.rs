//! Topics of a run's own, and the processor that works on them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use quorate::transport::kafka::Connection;
use quorate_core::topic::Topic;
use rdkafka::ClientConfig;

use super::parts::Parts;
use super::rounds;
use super::running::Running;
use super::sizes::PARTITIONS;

/// A prefix with everything under it.
#[derive(Debug)]
pub(crate) struct House<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) prefix: String,
}

impl<'a> House<'a> {
    /// Makes topics and applies schemas, agents and policies.
    pub(crate) fn furnished(parts: &'a Parts) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let house = Self {
            parts,
            prefix: format!("bench-{}-{number}.", std::process::id()),
        };
        house.call(
            &["topics", "apply", "--partitions", &PARTITIONS.to_string()],
            "",
        );
        house.call(&["schemas", "register"], "");
        house.call(&["agents", "apply", "-"], &rounds::agents());
        house.call(&["policies", "apply", "-"], &rounds::policies());
        house
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command
            .args(["--bootstrap", &self.parts.bootstrap])
            .args(["--registry", &self.parts.registry])
            .args(["--prefix", &self.prefix]);
        command
    }

    fn call(&self, arguments: &[&str], input: &str) {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        assert!(child.wait().unwrap().success(), "quorate {arguments:?}");
    }

    /// Starts the processor; it ends with what this returns.
    pub(crate) fn run(&self, engines: usize) -> Running {
        let mut command = self.command();
        let engines = engines.to_string();
        command.args(["run", "--instance", "bench", "--engines", &engines]);
        Running::of(&mut command)
    }

    /// A connection as the product makes it.
    pub(crate) fn connection(&self) -> Connection {
        Connection::new(&self.parts.bootstrap, &self.prefix, BTreeMap::new()).unwrap()
    }

    /// A topic's name.
    pub(crate) fn topic(&self, topic: Topic) -> String {
        format!("{}{topic}", self.prefix)
    }

    /// Settings of a client of the bench's own.
    pub(crate) fn client<const N: usize>(&self, settings: [(&str, String); N]) -> ClientConfig {
        let broker = ("bootstrap.servers", self.parts.bootstrap.clone());
        let all = settings.into_iter().chain([broker]);
        all.map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

impl Drop for House<'_> {
    /// Takes the topics away: runs after this one should find no more on the disk than this did.
    fn drop(&mut self) {
        let admin: rdkafka::admin::AdminClient<_> = self.client([]).create().unwrap();
        let names: Vec<String> = Topic::ALL.iter().map(|topic| self.topic(*topic)).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let gone = admin.delete_topics(&names, &rdkafka::admin::AdminOptions::new());
        if let Err(error) = runtime.block_on(gone) {
            eprintln!("topics are left behind: {error}");
        }
    }
}
