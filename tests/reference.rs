//! The engine and the second implementation, in `spec/reference/`, come to the same outputs on
//! random rounds.
//!
//! Python makes up the records and steps them through its own reading of the specification; the
//! same bytes go through the engine here, and Python compares every output, field by field. The
//! seed is printed; `REFERENCE_SEED` and `REFERENCE_ROUNDS` set it and how many rounds are tried.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::{env, thread};

use quorate::engine::{Config, Headers, Input, Output, Partition, Record, Tables, trust_key};
use quorate::wire::{Codec, json};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{TrustScore, TrustUpdate};
use quorate_core::topic::Topic;
use serde::Deserialize;
use serde_json::{Value, json};

/// How many rounds are compared where the environment does not say.
const ROUNDS: u64 = 3_000;

/// A record's key and value.
type Laid = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A line from Python: what to step next.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    /// Whether a new partition begins.
    fresh: bool,
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

/// The engine under test, and what it put out that goes back in.
struct Subject {
    partition: Partition,
    tables: Tables,
    codec: Arc<Codec>,
    update: Option<TrustUpdate>,
    scores: Vec<TrustScore>,
}

impl Subject {
    fn new() -> Self {
        let codec = Arc::new(Codec::single_object());
        let config = Config {
            partition: 0,
            partitions: 1,
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

/// An output as the vectors show it.
fn view(output: &Output) -> Value {
    match output {
        Output::Round(round) => json!({"round": {
            "proposal_id": round.proposal_id,
            "state": round.state,
            "deadline": round.opening.deadline,
            "pins": round.opening.pins,
        }}),
        Output::Tombstone(id) => json!({"tombstone": id}),
        Output::Outcome(outcome) => json!({"outcome": {
            "proposal_id": outcome.proposal_id,
            "resolution": outcome.resolution,
            "final": outcome.r#final,
            "decision": json::to_value(&outcome.decision).unwrap(),
            "decision_digest": outcome.decision_digest.to_string(),
            "closing_offset": outcome.coordinates.closing_offset,
            "closing_time": outcome.coordinates.closing_time,
            "closed_early": outcome.coordinates.closed_early,
            "superseded": json::to_value(&outcome.coordinates.superseded).unwrap(),
        }}),
        Output::Escalation(package) => json!({"escalation": {
            "proposal_id": package.proposal_id,
            "tier": package.tier,
            "due": package.due,
            "package_digest": package.package_digest.to_string(),
            "approvals": package.approvals.iter().map(|a| &a.reviewer).collect::<Vec<_>>(),
            "approvals_needed": package.approvals_needed,
            "silent": package.content.silent,
            "strongest_for": json::to_value(&package.content.strongest_for).unwrap(),
            "strongest_against": json::to_value(&package.content.strongest_against).unwrap(),
            "statements": package.content.statements.iter().map(|s| json!({
                "agent_id": s.agent_id,
                "inlined": s.inlined,
            })).collect::<Vec<_>>(),
        }}),
        Output::TrustUpdate(update) => json!({"trust_update": {
            "trust_domain": update.trust_domain,
            "proposal_id": update.proposal_id,
            "result_id": update.result_id,
            "result": update.result,
            "corrects": update.corrects,
            "half_life": update.half_life,
            "ballots": update.ballots,
        }}),
        Output::TrustScore(score) => json!({"trust_score": score}),
        Output::DeadLetter(letter) => json!({"dead_letter": {
            "topic": letter.topic,
            "offset": letter.offset,
            "reason": letter.reason,
        }}),
        Output::Forward(forward) => json!({"forward": {
            "topic": forward.topic.name(),
            "partition": forward.partition,
            "offset": forward.offset,
        }}),
    }
}

/// Runs one Python process to its end against the engine; its closing line, or what differed.
fn compare(seed: u64, rounds: u64) -> Result<String, String> {
    let spec = concat!(env!("CARGO_MANIFEST_DIR"), "/spec");
    let mut python = Command::new("python3")
        .args([
            "-m",
            "reference.compare",
            &seed.to_string(),
            &rounds.to_string(),
        ])
        .current_dir(spec)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("python3 is needed to compare: {error}"))?;
    let mut answers = python.stdin.take().unwrap();
    let lines = BufReader::new(python.stdout.take().unwrap()).lines();
    let (mut subject, mut closing) = (Subject::new(), String::new());
    for line in lines.map(Result::unwrap) {
        let Ok(batch) = serde_json::from_str::<Batch>(&line) else {
            closing.push_str(&line);
            closing.push('\n');
            continue;
        };
        if batch.fresh {
            subject = Subject::new();
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

/// Another seed at every run.
fn any_seed() -> u64 {
    u64::from(uuid::Uuid::now_v7().as_fields().3[7]) << 8 | u64::from(std::process::id())
}

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn random_rounds_come_to_the_same_outputs_in_both_implementations() {
    let seed = number("REFERENCE_SEED").unwrap_or_else(any_seed);
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
