//! What a replay takes for a response: 100,000 recorded rounds of twenty answers in one file, five
//! thousand open at a time, a result for one in fifty, gone through by the program on one
//! processor. `scripts/bench.sh replay`; `ROUNDS=1000` is a quick run.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[expect(dead_code, reason = "the bench on a broker measures more")]
#[path = "kafka/meter.rs"]
mod meter;
#[expect(dead_code, reason = "the bench on a broker says more")]
#[path = "kafka/rounds.rs"]
mod rounds;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::engine::{Config, Detail, Headers, Input, Output, Partition, Record, TICK, Tables};
use quorate::wire::history::{Entry, FORMAT, Header, History, Part, Writer};
use quorate::wire::{Codec, Parts, files, partition_of, seal_policy};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{Basis, Result as Report, ResultKind};
use quorate_core::topic::Topic;

use rounds::{Numbers, Round};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: i64 = 100_000;
const PARTITIONS: i32 = 4;
const PER: u64 = 20;
/// Replays of each kind, one after the other.
const REPEATS: usize = 3;
/// One of so many rounds has a result.
const REPORTED: i64 = 50;
/// Rounds are proposed one a millisecond and open for so long.
const DEADLINE: i64 = 5_000;
const NOW: i64 = 1_790_000_000_000;
/// The processor that the program is kept on.
const PROCESSOR: &str = "0";
/// Who reports what turned out.
const REPORTER: &str =
    "[[agent]]\nagent_id = \"ledger\"\nkind = \"REPORTER\"\nprincipal = \"books\"\n";

fn main() {
    let rounds = std::env::var("ROUNDS").map_or(ROUNDS, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.avro");
    Log::of(rounds).write(&path);
    let bytes = path.metadata().unwrap().len();
    println!(
        "{rounds} rounds of {PER} answers in {:.0} MB",
        bytes as f64 / 1e6
    );
    // What a process touches first of a machine's memory is the machine's business.
    replayed(&path, &[], rounds);
    for _ in 0..REPEATS {
        for rules in [&[][..], &["--replay-trust"]] {
            println!("{}", replayed(&path, rules, rounds));
        }
    }
}

/// Has the program go through a file, and says what that took.
fn replayed(path: &Path, rules: &[&str], rounds: i64) -> String {
    let said = tempfile::tempfile().unwrap();
    let mut command = Command::new("taskset");
    command.args(["-c", PROCESSOR, env!("CARGO_BIN_EXE_quorate"), "replay"]);
    command
        .args(["--output", "json", "--export"])
        .arg(path)
        .args(rules);
    command.stdout(Stdio::from(said.try_clone().unwrap()));
    let (before, began) = (meter::cpu(std::process::id()), Instant::now());
    let mut child = command.spawn().unwrap();
    let mut peak: f64 = 0.0;
    let ended = loop {
        peak = peak.max(meter::peak(child.id()));
        match child.try_wait().unwrap() {
            Some(ended) => break ended,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let (took, cpu) = (
        began.elapsed().as_secs_f64(),
        meter::cpu(std::process::id()) - before,
    );
    assert!(ended.success(), "{ended}");
    let mut said = said;
    std::io::Seek::rewind(&mut said).unwrap();
    let told: serde_json::Value = serde_json::from_reader(said).unwrap();
    let of = |what: &str| told.get(what).unwrap();
    let responses = of("responses").as_u64().unwrap();
    assert_eq!(responses, rounds.unsigned_abs() * PER);
    if rules.is_empty() {
        assert_eq!(*of("flips"), serde_json::json!([]));
        assert_eq!(of("recorded"), of("replayed"));
    }
    format!(
        "replay{}: {:.0} responses a second of CPU ({:.0} by the clock), {cpu:.2} CPU s, \
         {:.2} CPU µs a response, {peak:.0} MB at most",
        rules
            .iter()
            .map(|rule| format!(" {rule}"))
            .collect::<String>(),
        responses as f64 / cpu,
        responses as f64 / took,
        cpu * 1e6 / responses as f64,
    )
}

/// A record that is to come: when, of which topic and partition, and what it is.
type Coming = BTreeMap<(i64, Topic, i32, u64), (Option<String>, Option<Vec<u8>>)>;

/// A record that lies there.
struct Lying {
    topic: Topic,
    partition: i32,
    offset: i64,
    at: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

impl Lying {
    fn entry(&self) -> Entry<'_> {
        let (key, value) = TICK;
        let tick = Header {
            key,
            value: Some(value),
        };
        let is_tick = self.value.is_none() && self.key.is_none();
        Entry {
            topic: self.topic.name(),
            partition: self.partition,
            offset: self.offset,
            timestamp: Some(Timestamp(self.at)),
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: is_tick.then_some(tick).into_iter().collect(),
        }
    }
}

/// A log that engines have gone through, as it is exported.
struct Log {
    codec: Arc<Codec>,
    tables: Tables,
    engines: Vec<Partition>,
    /// By topic and partition, in the order of offsets.
    parts: BTreeMap<(Topic, i32), Vec<Lying>>,
    /// The inputs in the order in which they came.
    inputs: Vec<Lying>,
    ends: BTreeMap<(Topic, i32), i64>,
}

impl Log {
    fn of(rounds: i64) -> Self {
        let codec = Arc::new(Codec::single_object());
        let engine = |partition| {
            let config = Config {
                partition,
                partitions: PARTITIONS,
                detail: Detail::Records,
            };
            Partition::new(config, Arc::clone(&codec))
        };
        let mut log = Self {
            engines: (0..PARTITIONS).map(engine).collect(),
            codec,
            tables: Tables::default(),
            parts: BTreeMap::new(),
            inputs: Vec::new(),
            ends: BTreeMap::new(),
        };
        log.list();
        let mut coming = Coming::new();
        for number in 0..rounds {
            log.propose(number, &mut coming);
            let now = NOW + number;
            while coming
                .first_key_value()
                .is_some_and(|(key, _)| key.0 <= now)
            {
                log.come(&mut coming);
            }
        }
        while !coming.is_empty() {
            log.come(&mut coming);
        }
        for partition in 0..PARTITIONS {
            for topic in [Topic::Responses, Topic::Results] {
                log.take(NOW + rounds + 3 * DEADLINE, topic, partition, None, None);
            }
        }
        log
    }

    /// Writes the tables of agents and policies.
    fn list(&mut self) {
        let agents = rounds::agents() + REPORTER;
        for agent in files::agents(&agents).unwrap() {
            let value = self.codec.encode(&agent).unwrap();
            self.row(NOW - 1, Topic::Agents, agent.agent_id.to_string(), value);
        }
        for mut policy in files::policies(&rounds::policies()).unwrap() {
            seal_policy(&mut policy).unwrap();
            let value = self.codec.encode(&policy).unwrap();
            self.row(NOW - 1, Topic::Policies, policy.pattern, value);
        }
    }

    fn row(&mut self, at: i64, topic: Topic, key: String, value: Vec<u8>) {
        let entry = self.entry(at, topic, 0, Some(key.into_bytes()), Some(value));
        let (offset, time) = (Offset(entry.offset), Timestamp(at));
        let (key, value) = (entry.key.as_deref(), entry.value.as_deref());
        self.tables
            .apply(&self.codec, topic, offset, time, key, value)
            .unwrap();
        self.parts.entry((topic, 0)).or_default().push(entry);
    }

    fn propose(&self, number: i64, coming: &mut Coming) {
        let at = NOW + number;
        let round = Round {
            run: 7,
            number: number.unsigned_abs(),
            at: Timestamp(at),
        };
        let id = round.id().to_string();
        let partition = partition_of(id.as_bytes(), PARTITIONS);
        let mut add = |time, topic, order, value| {
            let place = (time, topic, partition, round.number << 8 | order);
            coming.insert(place, (Some(id.clone()), Some(value)));
        };
        let proposal = round.proposal(id.clone(), Timestamp(at + DEADLINE));
        add(
            at,
            Topic::Proposals,
            0,
            self.codec.encode(&proposal).unwrap(),
        );
        let mut dice = Numbers(round.number);
        for answer in 0..PER {
            let delay = 1 + dice.below(DEADLINE.unsigned_abs() - 1);
            let value = self.codec.encode(&round.response(&id, answer)).unwrap();
            add(
                at + delay.cast_signed(),
                Topic::Responses,
                1 + answer,
                value,
            );
        }
        if number % REPORTED == 0 {
            let kinds = [ResultKind::Right, ResultKind::Wrong];
            let report = Report {
                result_id: format!("result-{number}"),
                proposal_id: id.clone(),
                reporter: "ledger".to_owned(),
                result: *kinds.get(usize::from(dice.below(4) == 0)).unwrap(),
                basis: Basis::Observed,
                corrects: None,
                note: String::new(),
            };
            let value = self.codec.encode(&report).unwrap();
            add(at + 2 * DEADLINE, Topic::Results, 0, value);
        }
    }

    fn come(&mut self, coming: &mut Coming) {
        let ((at, topic, partition, _), (key, value)) = coming.pop_first().unwrap();
        let key = key.map(String::into_bytes);
        self.take(at, topic, partition, key, value);
    }

    /// Steps an engine with a record, and writes what it puts out.
    fn take(
        &mut self,
        at: i64,
        topic: Topic,
        partition: i32,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) {
        let entry = self.entry(at, topic, partition, key, value);
        let record = Record {
            topic,
            offset: Offset(entry.offset),
            timestamp: Timestamp(at),
            key: entry.key.as_deref(),
            value: entry.value.as_deref(),
            headers: Headers::default(),
        };
        let engine = self.engines.get_mut(usize::try_from(partition).unwrap());
        let outputs = engine.unwrap().step(&self.tables, Input::Record(record));
        if topic == Topic::TrustUpdates {
            self.parts
                .entry((topic, partition))
                .or_default()
                .push(entry);
        } else {
            self.inputs.push(entry);
        }
        for output in outputs.unwrap() {
            self.put(at, partition, &output);
        }
    }

    fn put(&mut self, at: i64, partition: i32, output: &Output) {
        let (topic, key) = (output.topic(), output.key());
        let to = output.partition(partition, PARTITIONS);
        let value = output.encode(&self.codec, &Parts::default()).unwrap();
        match topic {
            Topic::Trust => {
                let key = String::from_utf8(key.unwrap()).unwrap();
                self.row(at, topic, key, value.unwrap());
            }
            Topic::TrustUpdates => self.take(at, topic, to, key, value),
            _ => {
                let entry = self.entry(at, topic, to, key, value);
                self.parts.entry((topic, to)).or_default().push(entry);
            }
        }
    }

    fn entry(
        &mut self,
        at: i64,
        topic: Topic,
        partition: i32,
        key: Option<Vec<u8>>,
        value: Option<Vec<u8>>,
    ) -> Lying {
        let end = self.ends.entry((topic, partition)).or_default();
        let offset = *end;
        *end += 1;
        Lying {
            topic,
            partition,
            offset,
            at,
            key,
            value,
        }
    }

    fn write(self, path: &Path) {
        let part = |((topic, partition), end): (&(Topic, i32), &i64)| Part {
            topic: topic.name().to_owned(),
            partition: *partition,
            start: 0,
            end: *end,
        };
        let head = History {
            format: FORMAT,
            program: "a bench".to_owned(),
            exported_at: Timestamp(NOW),
            transport: "blackboard".to_owned(),
            prefix: String::new(),
            partitions: PARTITIONS,
            from: None,
            to: None,
            parts: self.ends.iter().map(part).collect(),
            schemas: History::released(),
        };
        let file = BufWriter::new(File::create(path).unwrap());
        let mut writer = Writer::begin(file, head).unwrap();
        let mut parts = self.parts;
        for topic in quorate::history::TABLES
            .into_iter()
            .chain(quorate::history::OUTPUTS)
        {
            for partition in 0..PARTITIONS {
                for entry in parts.remove(&(topic, partition)).unwrap_or_default() {
                    writer.put(&entry.entry()).unwrap();
                }
            }
        }
        for entry in self.inputs {
            writer.put(&entry.entry()).unwrap();
        }
        // On the disk, so that writing it takes nothing from who reads it.
        let (file, _) = writer.end().unwrap();
        file.into_inner().unwrap().sync_all().unwrap();
    }
}
