//! Real parts for tests: Kafka and a schema registry, started once a test binary, and the built
//! program driven as a person would.
//!
//! `QUORATE_TEST_BOOTSTRAP` and `QUORATE_TEST_REGISTRY` name parts that run already. Else they are
//! containers where an engine has the images, else the jars that `scripts/` fetches. Whatever is
//! started ends with the test process, however that ends.

mod containers;
mod desk;
pub(crate) mod diary;
pub(crate) mod history;
pub(crate) mod load;
mod markers;
pub(crate) mod mortal;
mod observed;
pub(crate) mod oidc;
pub(crate) mod oracle;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod place;
pub(crate) mod proxy;
pub(crate) mod records;
pub(crate) mod registry;
pub(crate) mod secured;
mod waiting;
pub(crate) mod web;

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diary::Diary;
pub(crate) use observed::Observed;
use place::Place;
use proxy::Proxy;
use quorate::transport::blackboard::Blackboard;
use quorate::transport::kafka::Connection;
use serde_json::Value;
use tempfile::TempDir;
pub(crate) use waiting::{until, until_within};

/// How long anything may take before a test fails, in seconds; nothing waits that long when it
/// works.
const PATIENCE: &str = "90";

/// Where the parts are.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Kafka, `host:port`.
    pub(crate) bootstrap: String,
    /// The registry's base URL.
    pub(crate) registry: String,
    /// What keeps them running: they end when its standard input does.
    _keepers: Vec<Child>,
}

/// The parts, started by whoever asks first.
pub(crate) fn parts() -> &'static Parts {
    static PARTS: OnceLock<Parts> = OnceLock::new();
    PARTS.get_or_init(|| {
        let mut keepers = Vec::new();
        let mut start = |variable: &str, script: &str, contained: fn() -> Option<Started>| {
            std::env::var(variable).unwrap_or_else(|_| {
                let started = contained().unwrap_or_else(|| run_script(script, &[]));
                keepers.extend(started.keeper);
                started.address
            })
        };
        Parts {
            bootstrap: start("QUORATE_TEST_BOOTSTRAP", "kafka.sh", || {
                containers::kafka(None)
            }),
            registry: start("QUORATE_TEST_REGISTRY", "registry.sh", containers::registry),
            _keepers: keepers,
        }
    })
}

/// A part that runs.
#[derive(Debug)]
pub(crate) struct Started {
    address: String,
    /// What keeps it running; none if somebody else does.
    keeper: Option<Child>,
}

fn start_kafka(advertised: Option<&str>) -> Started {
    let variables: Vec<_> = advertised
        .map(|to| ("KAFKA_ADVERTISED", to))
        .into_iter()
        .collect();
    containers::kafka(advertised).unwrap_or_else(|| run_script("kafka.sh", &variables))
}

/// Where a script of the project is.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(name)
}

/// What runs a script of a folder of the tests in Node.js.
pub(crate) fn node(folder: &str, name: &str) -> Command {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut command = Command::new(script("node.sh"));
    command.arg(tests.join(folder)).arg(name);
    command
}

fn run_script(name: &str, variables: &[(&str, &str)]) -> Started {
    let (address, keeper) = started(Command::new(script(name)).envs(variables.iter().copied()));
    Started {
        address,
        keeper: Some(keeper),
    }
}

/// Starts a part for as long as a test takes; its address, and what ends it with its standard input.
fn started(part: &mut Command) -> (String, Child) {
    let mut keeper = part
        .env("PART_BRIEF", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("scripts are part of the project");
    let mut address = String::new();
    let mut lines = BufReader::new(keeper.stdout.take().unwrap());
    lines.read_line(&mut address).unwrap();
    assert!(!address.is_empty(), "{part:?} did not start");
    (address.trim().to_owned(), keeper)
}

/// An interpreter with the clients that the example agents are written with.
pub(crate) fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| python_with(&[]))
}

/// An interpreter with what a file of requirements names, by default that of [`python`].
pub(crate) fn python_with(requirements: &[&str]) -> String {
    let mut command = Command::new(script("python.sh"));
    let made = command.args(requirements).output().unwrap();
    let complaint = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{complaint}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// A shell that does something when this process is gone, unless it is told that all is done.
fn guard(command: &str) -> Child {
    Command::new("sh")
        .args(["-c", &format!("read -r done || {command}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("there is a shell")
}

/// Topics of a test's own, and the program that works on them.
#[derive(Debug)]
pub(crate) struct House {
    /// What the names of its topics begin with.
    pub(crate) prefix: String,
    /// A broker that it shares with nobody, and where its settings and logs are.
    own: Option<Own>,
    /// A registry that it shares with nobody.
    registry: Option<String>,
    /// The file that is its log, instead of a broker's topics.
    blackboard: Option<PathBuf>,
}

#[derive(Debug)]
struct Own {
    broker: Started,
    folder: TempDir,
}

/// What a processor is told where others are to notice soon that it has gone.
const IMPATIENT: &str = r#"
[kafka]
"session.timeout.ms" = "2500"
"heartbeat.interval.ms" = "500"

[run]
transaction_timeout_ms = 8000
session_ms = 4000

[log]
level = "info,quorate=debug"
format = "json"
"#;

impl House {
    /// Topics with so many partitions, schemas, and a file of agents and one of policies applied.
    pub(crate) fn with(partitions: u32, agents: &str, policies: &str) -> Self {
        let house = Self::bare();
        house.furnish(partitions, agents, policies);
        house
    }

    /// The same on a blackboard of its own, whose processors write what they log to files.
    pub(crate) fn on_blackboard(partitions: u32, agents: &str, policies: &str) -> Self {
        let house = Self::bare_on_blackboard();
        house.furnish(partitions, agents, policies);
        house
    }

    /// The same, of a file that is not there yet.
    pub(crate) fn bare_on_blackboard() -> Self {
        let (address, keeper) = (String::new(), None);
        let mut house = Self::empty(Started { address, keeper }, "");
        let folder = house.own.as_ref().map(|own| own.folder.path());
        house.blackboard = folder.map(|folder| folder.join("blackboard.db"));
        house
    }

    /// The same on a broker of its own, whose processors notice soon that one has gone and write
    /// what they log to files.
    pub(crate) fn alone(partitions: u32, agents: &str, policies: &str) -> Self {
        let broker = start_kafka(None);
        Self::of(broker, partitions, agents, policies)
    }

    /// The same with a proxy in front of the broker.
    pub(crate) fn behind_proxy(partitions: u32, agents: &str, policies: &str) -> (Self, Proxy) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let broker = start_kafka(Some(&address));
        let proxy = Proxy::between(listener, broker.address.clone());
        let broker = Started { address, ..broker };
        (Self::of(broker, partitions, agents, policies), proxy)
    }

    /// The same as [`House::with`] with a registry that it shares with nobody.
    pub(crate) fn served_by(registry: &str, partitions: u32, agents: &str, policies: &str) -> Self {
        let registry = Some(registry.to_owned());
        let house = Self {
            registry,
            ..Self::bare()
        };
        house.furnish(partitions, agents, policies);
        house
    }

    fn of(broker: Started, partitions: u32, agents: &str, policies: &str) -> Self {
        let house = Self::empty(broker, "");
        house.furnish(partitions, agents, policies);
        house
    }

    /// A prefix on a broker that others share, and nothing there yet; what its program is told
    /// beyond where that is.
    pub(crate) fn at(bootstrap: &str, told: &str) -> Self {
        let address = bootstrap.to_owned();
        let keeper = None;
        Self::empty(Started { address, keeper }, told)
    }

    fn empty(broker: Started, told: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let told = format!("{IMPATIENT}{told}");
        std::fs::write(folder.path().join("quorate.toml"), told).unwrap();
        Self {
            own: Some(Own { broker, folder }),
            ..Self::bare()
        }
    }

    /// Topics with so many partitions, schemas, and a file of agents and one of policies applied.
    pub(crate) fn furnish(&self, partitions: u32, agents: &str, policies: &str) {
        self.ok(&["topics", "apply", "--partitions", &partitions.to_string()]);
        if self.blackboard.is_none() {
            self.ok(&["schemas", "register"]);
        }
        self.told(&["agents", "apply", "-"], agents);
        self.told(&["policies", "apply", "-"], policies);
    }

    /// The same house's topics, as somebody else comes to them.
    pub(crate) fn under(self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        Self { prefix, ..self }
    }

    /// The same house, whose processors may be away for a minute before others notice.
    pub(crate) fn patient(self) -> Self {
        let told = IMPATIENT.replace("= \"2500\"", "= \"60000\"");
        assert_ne!(told, IMPATIENT);
        let folder = self.own.as_ref().unwrap().folder.path();
        std::fs::write(folder.join("quorate.toml"), told).unwrap();
        self
    }

    /// Where its broker is, `host:port`.
    pub(crate) fn bootstrap(&self) -> &str {
        let own = self.own.as_ref().map(|own| &own.broker.address);
        own.unwrap_or_else(|| &parts().bootstrap)
    }

    fn registry(&self) -> &str {
        let own = self.registry.as_deref();
        own.unwrap_or_else(|| &parts().registry)
    }

    /// Where it is, for what a test does itself.
    pub(crate) fn connection(&self) -> Connection {
        let properties = std::collections::BTreeMap::new();
        Connection::new(self.bootstrap(), &self.prefix, properties).unwrap()
    }

    /// The same, whatever kind of log it is.
    pub(crate) fn place(&self) -> Place {
        match &self.blackboard {
            Some(file) => Place::Blackboard(Blackboard::open(file).unwrap()),
            None => self.connection().into(),
        }
    }

    /// Ends the broker it has to itself.
    pub(crate) fn lose_broker(&mut self) {
        let keeper = self.own.as_mut().unwrap().broker.keeper.take();
        let mut keeper = keeper.unwrap();
        drop(keeper.stdin.take());
        keeper.wait().unwrap();
    }

    /// How many lines of what its processors logged hold a text.
    pub(crate) fn logged(&self, text: &str) -> usize {
        let logs = self.own.iter().flat_map(Own::logs);
        logs.map(|log| log.matches(text).count()).sum()
    }

    /// As [`House::logged`], by the processors of one name.
    pub(crate) fn logged_by(&self, instance: &str, text: &str) -> usize {
        let own = self.own.as_ref().unwrap();
        let logs = own.logs_of(&format!("-{instance}.log"));
        logs.iter().map(|log| log.matches(text).count()).sum()
    }

    /// What its program is told, where that is kept in a file of its own.
    pub(crate) fn settings(&self) -> String {
        let file = self
            .own
            .as_ref()
            .map(|own| own.folder.path().join("quorate.toml"));
        file.map_or_else(String::new, |file| std::fs::read_to_string(file).unwrap())
    }

    /// A prefix, and nothing there yet.
    pub(crate) fn bare() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let run = uuid::Uuid::now_v7().simple();
        Self {
            prefix: format!("t{run}-{number}."),
            own: None,
            registry: None,
            blackboard: None,
        }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        if let Some(own) = &self.own
            && !arguments.contains(&"--config")
        {
            command
                .arg("--config")
                .arg(own.folder.path().join("quorate.toml"));
        }
        match &self.blackboard {
            Some(file) => command.arg("--blackboard").arg(file),
            None => command
                .args(["--bootstrap", self.bootstrap()])
                .args(["--registry", self.registry()])
                .args(["--prefix", &self.prefix]),
        };
        command.args(arguments);
        command
    }

    /// Calls the program, whatever it answers.
    pub(crate) fn call(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Calls the program, which must succeed; what it says.
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        answered(arguments, self.call(arguments))
    }

    /// Calls the program with something on its standard input.
    pub(crate) fn told(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input.as_bytes()).unwrap();
        drop(pipe);
        answered(arguments, child.wait_with_output().unwrap())
    }

    /// The first records of a topic, of one round if an id is given, waited for.
    pub(crate) fn records(&self, topic: &str, proposal: Option<&str>, count: usize) -> Vec<Value> {
        let count = count.to_string();
        let mut arguments = vec!["watch", "--from-beginning", "--output", "json"];
        arguments.extend(["--topic", topic, "--count", &count, "--timeout", PATIENCE]);
        arguments.extend(proposal.iter().flat_map(|id| ["--proposal", id]));
        let said = self.ok(&arguments);
        let line = |line| serde_json::from_str::<Value>(line).unwrap()["record"].take();
        said.lines().map(line).collect()
    }

    /// Every record a topic has now, of one round.
    pub(crate) fn records_so_far(&self, topic: &str, proposal: &str) -> Vec<Value> {
        let arguments = [
            "watch",
            "--from-beginning",
            "--output",
            "json",
            "--topic",
            topic,
            "--proposal",
            proposal,
            "--to-end",
        ];
        let said = self.ok(&arguments);
        let line = |line| serde_json::from_str::<Value>(line).unwrap()["record"].take();
        said.lines().map(line).collect()
    }

    /// Proposes, and returns the proposal's id.
    pub(crate) fn propose(&self, arguments: &[&str]) -> String {
        let said = self.ok(&[&["propose"], arguments].concat());
        said.split_whitespace().next().unwrap().to_owned()
    }

    /// Lets an agent answer.
    pub(crate) fn respond(&self, proposal: &str, agent: &str, verdict: &str, confidence: &str) {
        let reasoning = format!("{agent} looked at it");
        self.ok(&[
            "respond",
            "--proposal",
            proposal,
            "--agent",
            agent,
            "--verdict",
            verdict,
            "--confidence",
            confidence,
            "--reasoning",
            &reasoning,
        ]);
    }

    /// Starts a processor.
    pub(crate) fn run(&self) -> Processor {
        self.run_as("one")
    }

    /// Starts a processor of one engine: once it has its partitions, nobody comes to share them.
    pub(crate) fn run_alone(&self) -> Processor {
        self.run_alone_with(None)
    }

    /// The same with a fault put into it, if one is named.
    pub(crate) fn run_alone_with(&self, fault: Option<&str>) -> Processor {
        self.start("one", &["--engines", "1"], fault)
    }

    /// Starts a processor of a name; with another's name it fences that one.
    pub(crate) fn run_as(&self, instance: &str) -> Processor {
        self.start(instance, &[], None)
    }

    /// Starts a processor into which a fault was put; only a build with debug assertions has any.
    pub(crate) fn run_faulty(&self, instance: &str, fault: &str) -> Processor {
        self.start(instance, &[], Some(fault))
    }

    /// Starts a processor that is told more by a file of its own, and logs to another.
    pub(crate) fn run_logged(&self, instance: &str, config: &str, log: &Path) -> Processor {
        let file = std::env::temp_dir().join(format!("{}{instance}.toml", self.prefix));
        std::fs::write(&file, config).unwrap();
        let told = ["--config", file.to_str().unwrap()];
        let arguments = ["run", "--engines", "2", "--instance", instance];
        let mut command = self.command(&[&arguments[..], &told].concat());
        command.stderr(File::create(log).unwrap());
        Processor::start(instance, command, Some(log.to_owned()))
    }

    /// Starts a processor that is told more by a file of its own.
    pub(crate) fn run_configured(&self, instance: &str, config: &str) -> Processor {
        self.run_with(instance, config, None)
    }

    /// The same with a fault put into it, if one is named.
    pub(crate) fn run_with(&self, instance: &str, config: &str, fault: Option<&str>) -> Processor {
        let file = std::env::temp_dir().join(format!("{}{instance}.toml", self.prefix));
        std::fs::write(&file, config).unwrap();
        self.start(instance, &["--config", file.to_str().unwrap()], fault)
    }

    /// Starts a processor by way of a shell, which executes it in the end: its words are `"$@"`.
    pub(crate) fn run_by(&self, script: &str, instance: &str) -> Processor {
        self.start_by(Some(script), instance, &[], None)
    }

    /// Starts everything in one process on the house's blackboard, with a round of its own every so
    /// many seconds.
    pub(crate) fn run_dev(&self, every: &str) -> Processor {
        let own = self.own.as_ref().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        command.args(["dev", "--every", every, "--dir"]);
        command.arg(own.folder.path());
        command.stdout(Stdio::null());
        self.started("dev", command)
    }

    fn start(&self, instance: &str, told: &[&str], fault: Option<&str>) -> Processor {
        self.start_by(None, instance, told, fault)
    }

    fn start_by(
        &self,
        script: Option<&str>,
        instance: &str,
        told: &[&str],
        fault: Option<&str>,
    ) -> Processor {
        let mut arguments = vec!["run", "--instance", instance];
        if !told.contains(&"--engines") {
            arguments.extend(["--engines", "2"]);
        }
        arguments.extend(told);
        let mut command = self.command(&arguments);
        if let Some(script) = script {
            let mut shell = Command::new("sh");
            shell.args(["-c", script, "sh"]).arg(command.get_program());
            shell.args(command.get_args());
            command = shell;
        }
        command.envs(fault.map(|fault| ("QUORATE_FAULT", fault)));
        self.started(instance, command)
    }

    /// Starts a command, which logs to a file where the house has a folder.
    fn started(&self, instance: &str, mut command: Command) -> Processor {
        static STARTS: AtomicU32 = AtomicU32::new(0);
        let log = self.own.as_ref().map(|own| {
            let number = STARTS.fetch_add(1, Ordering::Relaxed);
            own.folder
                .path()
                .join(format!("{number:04}-{instance}.log"))
        });
        if let Some(log) = &log {
            command.stderr(File::create(log).unwrap());
        }
        Processor::start(instance, command, log)
    }
}

impl Own {
    fn logs(&self) -> Vec<String> {
        self.logs_of(".log")
    }

    /// What lies in the logs whose names end so, in the order of their starts.
    fn logs_of(&self, end: &str) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        paths.retain(|path| path.to_str().is_some_and(|path| path.ends_with(end)));
        paths.sort();
        let read = |path| std::fs::read_to_string(path).unwrap();
        paths.into_iter().map(read).collect()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for log in self.logs() {
                let unusual = |line: &&str| !line.contains(r#""level":"DEBUG""#);
                let lines: Vec<_> = log.lines().filter(unusual).collect();
                eprintln!("a processor logged:\n{}", lines.join("\n"));
            }
        }
    }
}

fn answered(arguments: &[&str], output: Output) -> String {
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{arguments:?}: {:?}\n{said}\n{complaint}",
        output.status
    );
    said
}

/// A processor that runs until it is stopped or let go.
#[derive(Debug)]
pub(crate) struct Processor {
    name: String,
    child: Child,
    guard: Child,
    /// The file it logs to, if it does not log where the test does.
    log: Option<PathBuf>,
}

impl Processor {
    fn start(name: &str, mut command: Command, log: Option<PathBuf>) -> Self {
        let child = command.spawn().unwrap();
        Self {
            name: name.to_owned(),
            guard: guard(&format!("kill -9 {}", child.id())),
            child,
            log,
        }
    }

    /// Asks it to stop, and waits until it has; it must call that a success.
    pub(crate) fn stop(mut self) {
        self.signal("-TERM");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status:?}");
    }

    /// Waits until it ends by itself.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// Stops its clock: once every thread of it has, it does nothing, and knows nothing of it.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
        until("every thread stops", || self.stands_still());
    }

    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        // One that has ended meanwhile stands still, too.
        let stats =
            threads.filter_map(|it| std::fs::read_to_string(it.unwrap().path().join("stat")).ok());
        let states = stats.map(|stat| stat.rsplit_once(") ").unwrap().1.chars().next());
        states
            .into_iter()
            .all(|state| matches!(state, Some('T' | 'Z' | 'X')))
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// How it ended, if it has.
    pub(crate) fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Whether it would hear of a signal that asks it to stop.
    pub(crate) fn listens(&self) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:\t"));
        let caught = u64::from_str_radix(caught.unwrap(), 16).unwrap();
        caught & (1 << 14) != 0
    }

    /// How many bytes it has in memory.
    pub(crate) fn memory(&self) -> u64 {
        self.bytes("VmRSS:")
    }

    /// How many bytes it ever had in memory at a time.
    pub(crate) fn peak(&self) -> u64 {
        self.bytes("VmHWM:")
    }

    fn bytes(&self, of: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(of)).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Lets no file that it writes grow beyond so many bytes, or `unlimited`.
    pub(crate) fn limit_files(&self, bytes: &str) {
        let id = self.child.id().to_string();
        let limit = format!("--fsize={bytes}:unlimited");
        let told = Command::new("prlimit")
            .args(["--pid", &id, &limit])
            .status();
        assert!(told.unwrap().success());
    }

    /// Sends it a signal, by what `kill` calls it.
    pub(crate) fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(told.success());
    }

    /// Kills it where it stands.
    pub(crate) fn kill(self) {
        let _words = self.kill_and_read();
    }

    /// Kills it where it stands; its name, and what it had logged by then.
    pub(crate) fn kill_and_read(mut self) -> (String, Diary) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        (self.name.clone(), self.diary())
    }

    /// Waits until it has logged that, but not for longer than so.
    pub(crate) fn waits_to_log(&self, text: &str, patience: Duration) {
        let (log, until) = (self.log.as_ref().unwrap(), Instant::now() + patience);
        while !std::fs::read_to_string(log).unwrap().contains(text) && Instant::now() < until {
            // Only how often to look.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// What it has logged so far.
    pub(crate) fn diary(&self) -> Diary {
        let read = |path| std::fs::read_to_string(path).unwrap();
        Diary::of(&self.log.as_ref().map_or_else(String::new, read))
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        // It may have ended already; what counts is that it has.
        let _ended = self.child.kill();
        let _status = self.child.wait();
        if let Some(mut guard) = self.guard.stdin.take() {
            let _done = guard.write_all(b"done\n");
        }
        let _guard = self.guard.wait();
    }
}
