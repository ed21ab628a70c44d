//! The engine and the second implementation, in `spec/reference/`, come to the same outputs on
//! random rounds.
//!
//! Python makes up the records and steps them through its own reading of the specification; the
//! same bytes go through the engine here, and Python compares every output, field by field. The
//! seed is printed; `REFERENCE_SEED` and `REFERENCE_ROUNDS` set it and how many rounds are tried.

use std::hash::{BuildHasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, thread};

use quorate::engine::{
    Config, Detail, Headers, Input, Output, Partition, Record, Tables, trust_key,
};
use quorate::wire::Codec;
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{TrustScore, TrustUpdate};
use quorate_core::topic::Topic;
use serde::Deserialize;
use serde_json::Value;

use crate::vectors::view;

/// How many rounds are compared where the environment does not say.
const ROUNDS: u64 = 3_000;

/// A line from Python: what to step next.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Whether a new partition begins.
    fresh: bool,
    /// How many partitions there are; this one is the first.
    partitions: i32,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    topic: String,
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Option<String>,
    control: bool,
    forwarded: bool,
    /// Instead of a record: those below `offset` are lost.
    lost: bool,
    /// Instead of a value: the last trust update, or the last scores, go back in.
    feed: bool,
}

/// A key and a value, as they lie.
type Laid = (Option<Vec<u8>>, Option<Vec<u8>>);

/// The engine under test, and what it put out that goes back in.
struct Subject {
    partition: Partition,
    tables: Tables,
    codec: Arc<Codec>,
    update: Option<TrustUpdate>,
    scores: Vec<TrustScore>,
}

impl Subject {
    fn new(partitions: i32) -> Self {
        let codec = Arc::new(Codec::single_object());
        let config = Config {
            partition: 0,
            partitions,
            detail: Detail::Records,
        };
        Self {
            partition: Partition::new(config, Arc::clone(&codec)),
            tables: Tables::default(),
            codec,
            update: None,
            scores: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Vec<Value> {
        let topic = Topic::named(&step.topic).unwrap();
        let outputs = if step.lost {
            let below = Offset(step.offset);
            let lost = Input::Lost { topic, below };
            self.partition.step(&self.tables, lost).unwrap()
        } else {
            self.values(step, topic)
                .into_iter()
                .zip(step.offset..)
                .flat_map(|((key, value), offset)| {
                    self.read(step, topic, offset, key.as_deref(), value.as_deref())
                })
                .collect()
        };
        self.keep(topic, &outputs);
        outputs.iter().map(view).collect()
    }

    /// The keys and values a step stands for.
    fn values(&self, step: &Step, topic: Topic) -> Vec<Laid> {
        let bytes = |text: &Option<String>| text.as_ref().map(|text| hex::decode(text).unwrap());
        if !step.feed {
            return vec![(bytes(&step.key), bytes(&step.value))];
        }
        if topic == Topic::TrustUpdates {
            let update = self.update.as_ref().unwrap();
            let key = update.trust_domain.clone().into_bytes();
            return vec![(Some(key), Some(self.codec.encode(update).unwrap()))];
        }
        let feed = |score: &TrustScore| {
            let key = trust_key(score);
            (
                Some(key.into_bytes()),
                Some(self.codec.encode(score).unwrap()),
            )
        };
        self.scores.iter().map(feed).collect()
    }

    fn read(
        &mut self,
        step: &Step,
        topic: Topic,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Vec<Output> {
        let (offset, timestamp) = (Offset(offset), Timestamp(step.timestamp));
        if topic.is_table() {
            // A record that is passed over is passed over by both.
            let _ = self
                .tables
                .apply(&self.codec, topic, offset, timestamp, key, value);
            return Vec::new();
        }
        let record = Record {
            topic,
            offset,
            timestamp,
            key,
            value,
            headers: Headers {
                control: step.control,
                forwarded: step.forwarded,
                traceparent: None,
            },
        };
        self.partition
            .step(&self.tables, Input::Record(record))
            .unwrap()
    }

    fn keep(&mut self, topic: Topic, outputs: &[Output]) {
        if topic == Topic::TrustUpdates {
            self.scores.clear();
        }
        for output in outputs {
            match output {
                Output::TrustUpdate(update) => self.update = Some((**update).clone()),
                Output::TrustScore(score) => self.scores.push(score.clone()),
                _ => {}
            }
        }
    }
}

/// Python, about to run a module of the second implementation.
fn python(arguments: &[&str]) -> Command {
    let mut python = Command::new("python3");
    python
        .arg("-m")
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec"));
    python
}

/// Runs one Python process to its end against the engine; its closing line, or what differed.
fn compare(seed: u64, rounds: u64) -> Result<String, String> {
    let (seed, rounds) = (seed.to_string(), rounds.to_string());
    let mut python = python(&["reference.compare", &seed, &rounds])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("python3 is needed to compare: {error}"))?;
    let mut answers = python.stdin.take().unwrap();
    let lines = BufReader::new(python.stdout.take().unwrap()).lines();
    let (mut subject, mut closing) = (Subject::new(1), String::new());
    for line in lines.map(Result::unwrap) {
        let Ok(batch) = serde_json::from_str::<Batch>(&line) else {
            closing.push_str(&line);
            closing.push('\n');
            continue;
        };
        if batch.fresh {
            subject = Subject::new(batch.partitions);
        }
        let outputs: Vec<_> = batch.steps.iter().map(|step| subject.step(step)).collect();
        let answer = serde_json::to_string(&outputs).unwrap();
        writeln!(answers, "{answer}").map_err(|error| error.to_string())?;
    }
    let ended = python.wait().unwrap();
    if ended.success() {
        Ok(closing)
    } else {
        Err(closing)
    }
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn random_rounds_come_to_the_same_outputs_in_both_implementations() {
    let any = || RandomState::new().hash_one(()) >> 32;
    let seed = number("REFERENCE_SEED").unwrap_or_else(any);
    let rounds = number("REFERENCE_ROUNDS").unwrap_or(ROUNDS);
    let workers = thread::available_parallelism().map_or(2, |n| n.get() as u64);
    println!("REFERENCE_SEED={seed}, {rounds} rounds");
    let started: Vec<_> = (0..workers)
        .map(|worker| {
            let seed = seed + worker * 1_000_000_007;
            thread::spawn(move || compare(seed, rounds.div_ceil(workers)))
        })
        .collect();
    let ended: Vec<_> = started
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .collect();
    for closing in ended {
        match closing {
            Ok(counts) => print!("{counts}"),
            Err(different) => panic!("REFERENCE_SEED={seed}: {different}"),
        }
    }
}

#[test]
fn the_second_implementation_passes_its_own_examples() {
    let tests = ["unittest", "discover", "-t", ".", "-s", "reference/tests"];
    let ended = python(&tests).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success() && said.contains("OK"), "{said}");
}

#[test]
fn the_second_implementation_passes_every_vector() {
    let ended = python(&["reference.vectors", "vectors"]).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stdout);
    assert!(
        ended.status.success() && said.contains(", 0 failed"),
        "{said}"
    );
}
