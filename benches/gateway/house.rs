//! A log of a run's own, a file or topics, with the processes that work on it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use quorate::wire::sha256;
use tempfile::TempDir;

use super::parts::Parts;
use super::running::Running;

/// Partitions of every topic routed by proposal.
pub(crate) const PARTITIONS: i32 = 4;
/// Nothing closes while it is measured.
const POLICIES: &str = "[[policy]]\npattern = \"pay\"\ndeadline_default = \"1 h\"\n\
    proposer_counts = false\nmax_open_per_proposer = 1000000\n";

/// A log with agents `a0` and on in the domain `pay`, `desk`, who proposes, and `rita`, who decides.
#[derive(Debug)]
pub(crate) struct House<'a> {
    folder: TempDir,
    /// None: a blackboard.
    parts: Option<&'a Parts>,
    prefix: String,
}

/// The name of an agent, and its token.
pub(crate) fn agent(number: usize) -> String {
    format!("a{number}")
}

impl<'a> House<'a> {
    pub(crate) fn furnished(parts: Option<&'a Parts>, agents: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let house = Self {
            folder: TempDir::new().unwrap(),
            parts,
            prefix: format!("gateway-{}-{number}.", std::process::id()),
        };
        let partitions = PARTITIONS.to_string();
        house.call(&["topics", "apply", "--partitions", &partitions], "");
        if parts.is_some() {
            house.call(&["schemas", "register"], "");
        }
        let names: Vec<String> = (0..agents).map(agent).collect();
        let listed = names.iter().map(|name| {
            format!(
                "[[agent]]\nagent_id = \"{name}\"\ndomains = [{{ domain = \"pay\", \
                 authority = 1.0, prior = {{ right = 57, wrong = 3, source = \"bench\" }} }}]\n"
            )
        });
        let listed: String = listed.collect();
        let all = format!(
            "[[agent]]\nagent_id = \"desk\"\n\n[[agent]]\nagent_id = \"rita\"\nkind = \"HUMAN\"\n\
             reviews = [{{ domain = \"pay\", up_to_stakes = \"CRITICAL\" }}]\n\n{listed}"
        );
        house.call(&["agents", "apply", "-"], &all);
        house.call(&["policies", "apply", "-"], POLICIES);
        let names = names.iter().map(String::as_str).chain(["desk"]);
        let people = names
            .map(|name| (name, "agent"))
            .chain([("rita", "reviewer")]);
        let tokens = people.map(|(name, role)| {
            let digest = sha256(name.as_bytes());
            format!(
                "[[token]]\nsha256 = \"{digest}\"\nsubject = \"{name}\"\nroles = [\"{role}\"]\n"
            )
        });
        std::fs::write(house.path("tokens.toml"), tokens.collect::<String>()).unwrap();
        let config = format!(
            "[gateway]\ntokens_file = \"{}\"\n",
            house.path("tokens.toml").display()
        );
        std::fs::write(house.path("quorate.toml"), config).unwrap();
        house
    }

    /// A file of the run's own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the log lies.
    pub(crate) fn log(&self) -> &'static str {
        if self.parts.is_some() {
            "Kafka"
        } else {
            "blackboard"
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        if let Some(parts) = self.parts {
            command
                .args(["--bootstrap", &parts.bootstrap])
                .args(["--registry", &parts.registry])
                .args(["--prefix", &self.prefix]);
        } else {
            command.arg("--blackboard").arg(self.path("bank.db"));
        }
        command.args(arguments);
        command
    }

    fn call(&self, arguments: &[&str], input: &str) {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        assert!(child.wait().unwrap().success(), "quorate {arguments:?}");
    }

    /// Starts a processor.
    pub(crate) fn run(&self) -> Running {
        Running::of(&mut self.command(&["run", "--instance", "bench", "--engines", "1"]))
    }

    /// Starts a gateway; where it listens.
    pub(crate) fn serve(&self) -> (Running, String) {
        let config = self.path("quorate.toml");
        let mut command = self.command(&["serve", "--config", config.to_str().unwrap()]);
        let mut running = Running::of(command.stdout(Stdio::piped()));
        let mut address = String::new();
        let mut said = BufReader::new(running.child.stdout.take().unwrap());
        said.read_line(&mut address).unwrap();
        (running, address.trim().replace("http://", ""))
    }
}
