//! Agents written by others: Python with `confluent-kafka`, Python with `aiokafka` and `fastavro`,
//! Rust with `rdkafka`, and the command line, with different partitioners and compression. Whatever
//! each says counts in the round it was said of, once, and `kcat` reads what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use quorate::transport::kafka::{Appender, Schemas};
use quorate::wire::partition_of;
use quorate_core::records::{Action, Proposal, Stakes};
use quorate_core::topic::Topic;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{House, Processor, parts, python};

#[path = "../examples/agents/by_rust.rs"]
#[expect(
    dead_code,
    reason = "it is a program, too, and here its `main` is not called"
)]
mod by_rust;

const PARTITIONS: i32 = 6;
const ROUNDS: usize = 30;

const SCRIPTS: [(&str, &str); 3] = [
    ("confluent", "by_confluent.py"),
    ("aiokafka", "by_aiokafka.py"),
    ("command", "by_command.py"),
];
const RUST: &str = "rust";

fn agents() -> Vec<&'static str> {
    SCRIPTS
        .iter()
        .map(|(agent, _)| *agent)
        .chain([RUST])
        .collect()
}

/// Each holds a domain of its own that must be heard, so that no round closes before all were.
fn electorate() -> String {
    let listed = |agent: &&str| {
        let domain = |name: &str| {
            let prior = "{ right = 57, wrong = 3, source = \"test\" }";
            format!("{{ domain = \"{name}\", authority = 1.0, prior = {prior} }}")
        };
        let (general, own) = (domain("pay"), domain(&format!("heard.{agent}")));
        format!(
            "[[agent]]\nagent_id = \"{agent}\"\nprincipal = \"{agent}\"\n\
             domains = [{general}, {own}]\n"
        )
    };
    let voters: String = agents().iter().map(listed).collect();
    format!("[[agent]]\nagent_id = \"desk\"\n\n{voters}")
}

fn policies() -> String {
    let required: Vec<_> = agents()
        .iter()
        .map(|agent| format!("heard.{agent}"))
        .collect();
    format!(
        "[[policy]]\npattern = \"pay\"\nproposer_counts = false\nrevision = \"first\"\n\
         early_close = true\ndeadline_default = \"30 min\"\nrequired_domains = {required:?}\n"
    )
}

/// How sure an agent is of a round: of that one and no other.
fn confidence(agent: usize, round: usize) -> f64 {
    let hundredths = u32::try_from(40 + round).unwrap();
    f64::from(hundredths * 100 + u32::try_from(agent).unwrap()) / 10_000.0
}

fn subject(round: usize) -> String {
    format!("payment-{round}")
}

/// What each agent thinks of each payment, a file an agent.
fn opinions(folder: &Path) -> BTreeMap<&'static str, PathBuf> {
    let files = agents().into_iter().enumerate().map(|(number, agent)| {
        let of_round = |round| {
            let opinion = json!(["ENDORSE", confidence(number, round), subject(round)]);
            (subject(round), opinion)
        };
        let opinions: serde_json::Map<_, _> = (0..ROUNDS).map(of_round).collect();
        let file = folder.join(format!("{agent}.json"));
        std::fs::write(&file, Value::Object(opinions).to_string()).unwrap();
        (agent, file)
    });
    files.collect()
}

/// Agents that run until they are let go.
struct Hired(Vec<Child>);

impl Hired {
    /// Starts the scripts, and waits until all of them read.
    fn new(house: &House, opinions: &BTreeMap<&str, PathBuf>) -> Self {
        let parts = parts();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut hired = Self(Vec::new());
        for (agent, script) in SCRIPTS {
            let mut command = Command::new(python());
            // What a client thinks of its own dependencies is not this test's concern.
            command.env("PYTHONWARNINGS", "ignore");
            command.arg(root.join("examples/agents").join(script));
            command.arg(agent).arg(&opinions[agent]);
            let (bootstrap, registry) = (&parts.bootstrap, &parts.registry);
            if script == "by_command.py" {
                command.arg(env!("CARGO_BIN_EXE_quorate"));
                command.args(["--bootstrap", bootstrap, "--registry", registry]);
                command.args(["--prefix", &house.prefix]);
            } else {
                command.args([bootstrap, registry, &house.prefix]);
            }
            hired
                .0
                .push(command.stdout(Stdio::piped()).spawn().unwrap());
        }
        for child in &mut hired.0 {
            let mut line = String::new();
            let mut lines = BufReader::new(child.stdout.as_mut().unwrap());
            lines.read_line(&mut line).unwrap();
            assert_eq!(line, "reading\n");
        }
        hired
    }
}

impl Drop for Hired {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // By the signal on which an agent ends what it started, too.
            let _told = Command::new("kill").arg(child.id().to_string()).status();
            let _ended = child.wait();
        }
    }
}

/// Proposes every payment; the round of each.
fn propose(house: &House) -> Vec<String> {
    let connection = house.connection();
    let schemas = Schemas::load(&connection).unwrap();
    let appender = Appender::open(&connection).unwrap();
    let propose = |round| {
        let id = uuid::Uuid::now_v7().to_string();
        let proposal = Proposal {
            proposal_id: id.clone(),
            proposer: "desk".to_owned(),
            domain: "pay.out".to_owned(),
            action: Action {
                r#type: "payment.release".to_owned(),
                subject: subject(round),
                parameters: Vec::new(),
            },
            summary: String::new(),
            rationale: String::new(),
            confidence: 0.9,
            stakes: Stakes::Low,
            deadline: None,
            supersedes: None,
            labels: Vec::new(),
        };
        let value = schemas.codec().encode(&proposal).unwrap();
        let (key, partition) = (id.as_bytes(), partition_of(id.as_bytes(), PARTITIONS));
        appender
            .append(Topic::Proposals, partition, Some(key), Some(&value), &[])
            .unwrap();
        id
    };
    let ids = (0..ROUNDS).map(propose).collect();
    appender.settle().unwrap();
    ids
}

/// What `kcat` prints of a topic, in a format of its own.
fn kcat(house: &House, topic: &str, format: &str) -> Vec<u8> {
    let output = Command::new("kcat")
        .args(["-q", "-C", "-e", "-b", &parts().bootstrap])
        .args(["-t", &format!("{}{topic}", house.prefix), "-f", format])
        .output()
        .expect("kcat is installed");
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

/// The outcomes as `kcat` reads them, decoded by what the registry says of them.
fn outcomes(house: &House) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/agents/avro_to_json.py");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), kcat(house, "outcomes", "%R%s")).unwrap();
    let output = Command::new(python())
        .arg(script)
        .arg(&parts().registry)
        .stdin(file.reopen().unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn agents_of_every_kind_are_heard_in_the_right_rounds() {
    let house = House::with(PARTITIONS.unsigned_abs(), &electorate(), &policies());
    let processors = [house.run_as("one"), house.run_as("two")];
    let folder = TempDir::new().unwrap();
    let opinions = opinions(folder.path());
    let stop = AtomicBool::new(false);
    let ids = thread::scope(|scope| {
        let told = [
            RUST,
            opinions[RUST].to_str().unwrap(),
            &parts().bootstrap,
            &parts().registry,
            &house.prefix,
        ];
        let stop = &stop;
        let rust = scope.spawn(move || by_rust::run(&told, stop).unwrap());
        let hired = Hired::new(&house, &opinions);
        let ids = propose(&house);
        house.records("outcomes", None, ROUNDS);
        stop.store(true, Ordering::Relaxed);
        rust.join().unwrap();
        drop(hired);
        ids
    });
    // Once they have stopped, nothing more is on its way.
    processors.into_iter().for_each(Processor::stop);
    every_answer_counts_once(&outcomes(&house), &ids);
    what_lay_astray_was_forwarded_once(&house, &ids);
    let refused = ["--topic", "dead-letters", "--from-beginning", "--to-end"];
    assert_eq!(house.ok(&[&["watch"], &refused[..]].concat()), "");
}

fn every_answer_counts_once(outcomes: &[Value], ids: &[String]) {
    assert_eq!(outcomes.len(), ROUNDS, "one outcome a round");
    for (round, id) in ids.iter().enumerate() {
        let outcome = outcomes.iter().find(|one| one["proposal_id"] == **id);
        let outcome = outcome.unwrap_or_else(|| panic!("{id} has no outcome"));
        let decision = &outcome["decision"];
        assert_eq!(decision["status"], "APPROVED", "{decision:#}");
        let right = partition_of(id.as_bytes(), PARTITIONS);
        assert_eq!(outcome["coordinates"]["partition"], right);
        let ballots = decision["ballots"].as_array().unwrap();
        for (number, agent) in agents().iter().enumerate() {
            let of_agent = ballots
                .iter()
                .filter(|ballot| ballot["agent_id"] == **agent);
            let [ballot] = of_agent.collect::<Vec<_>>()[..] else {
                panic!("{agent} is not there once: {ballots:#?}");
            };
            assert_eq!(ballot["counted"], true, "{agent}");
            assert_eq!(ballot["confidence"], confidence(number, round), "{agent}");
        }
    }
}

/// Each round has four answers on its own partition; what was written elsewhere came there by one
/// forward, and nothing else did.
fn what_lay_astray_was_forwarded_once(house: &House, ids: &[String]) {
    let printed = String::from_utf8(kcat(house, "responses", "%p|%k|%h\n")).unwrap();
    let (mut at_home, mut astray) = (BTreeMap::new(), BTreeMap::new());
    let mut forwarded = BTreeMap::new();
    for line in printed.lines() {
        let mut fields = line.splitn(3, '|');
        let partition: i32 = fields.next().unwrap().parse().unwrap();
        let (key, headers) = (fields.next().unwrap(), fields.next().unwrap());
        if key.is_empty() {
            continue;
        }
        let home = partition == partition_of(key.as_bytes(), PARTITIONS);
        let count = if home { &mut at_home } else { &mut astray };
        *count.entry(key.to_owned()).or_insert(0) += 1;
        if headers.contains("acp-origin") {
            assert!(home, "{line}");
            *forwarded.entry(key.to_owned()).or_insert(0) += 1;
        }
    }
    let all: BTreeSet<_> = ids.iter().cloned().collect();
    assert_eq!(at_home.keys().cloned().collect::<BTreeSet<_>>(), all);
    assert!(at_home.values().all(|count| *count == 4), "{at_home:?}");
    assert_eq!(forwarded, astray);
    assert!(!astray.is_empty(), "the partitioners do not differ");
}
