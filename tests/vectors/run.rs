//! Steps a vector through the engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use quorate::engine::{
    Config, Detail, Headers, Input, Output, Partition, Position, Record, Tables, trust_key,
};
use quorate::wire::{self, Codec};
use quorate_core::ids::{Digest, Offset, Timestamp};
use quorate_core::records::{
    Agent, Control, Decision, Policy, Proposal, Response, Result as Report, Round, TrustScore,
    TrustUpdate,
};
use quorate_core::topic::Topic;
use serde_json::{Value, json};

use super::format::{Kind, Step, T, Vector};

/// A step as bytes on a log.
#[derive(Clone, Debug)]
pub(super) struct Laid {
    pub(super) topic: Topic,
    pub(super) offset: Offset,
    timestamp: Timestamp,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    control: bool,
    forwarded: bool,
    traceparent: Option<String>,
    pub(super) lost_below: Option<Offset>,
}

/// An engine, its tables, and where each topic stands.
pub(super) struct Bench {
    pub(super) codec: Arc<Codec>,
    pub(super) tables: Tables,
    pub(super) partition: Partition,
    next: BTreeMap<Topic, i64>,
    now: i64,
    last_update: Option<TrustUpdate>,
    last_scores: Vec<TrustScore>,
    /// The digest of each escalated round's package.
    packages: BTreeMap<String, Digest>,
}

impl Bench {
    pub(super) fn new(vector: &Vector) -> Self {
        let codec = Arc::new(Codec::single_object());
        let config = Config {
            partition: vector.partition,
            partitions: vector.partitions,
            detail: Detail::Records,
        };
        Self {
            partition: Partition::new(config, Arc::clone(&codec)),
            codec,
            tables: Tables::default(),
            next: BTreeMap::new(),
            now: T,
            last_update: None,
            last_scores: Vec::new(),
            packages: BTreeMap::new(),
        }
    }

    /// Lays a step's records on the log; `previous` scores are one record each.
    pub(super) fn lay(&mut self, step: &Step) -> Vec<Laid> {
        let topic = Topic::named(&step.topic).unwrap_or_else(|| panic!("topic {}", step.topic));
        if let Some(at) = &step.timestamp {
            self.now = at.millis();
        }
        let previous = step
            .record
            .as_ref()
            .is_some_and(|record| record == "previous");
        let records: Vec<(Option<String>, Option<Vec<u8>>)> = if previous {
            self.previous(topic)
        } else if step.tick || step.lost_below.is_some() {
            vec![(None, None); step.each().len()]
        } else {
            let each = step.each();
            each.iter().map(|step| self.written(topic, step)).collect()
        };
        let next = self.next.entry(topic).or_insert(0);
        if let Some(offset) = step.offset {
            *next = offset;
        }
        let now = self.now;
        let mut lay = |(key, value): (Option<String>, Option<Vec<u8>>)| {
            let offset = Offset(*next);
            *next += 1;
            Laid {
                topic,
                offset,
                timestamp: Timestamp(now),
                key: key.map(String::into_bytes),
                value,
                control: step.kind == Some(Kind::Control),
                forwarded: step.forwarded_from.is_some(),
                traceparent: step.traceparent.clone(),
                lost_below: step.lost_below.map(Offset),
            }
        };
        let laid: Vec<Laid> = records.into_iter().map(&mut lay).collect();
        if let Some(below) = step.lost_below {
            self.next.insert(topic, below);
        }
        laid
    }

    fn previous(&self, topic: Topic) -> Vec<(Option<String>, Option<Vec<u8>>)> {
        match topic {
            Topic::TrustUpdates => {
                let update = self.last_update.as_ref().expect("an earlier trust update");
                let value = self.codec.encode(update).unwrap();
                vec![(Some(update.trust_domain.clone()), Some(value))]
            }
            Topic::Trust => {
                let score = |score: &TrustScore| {
                    (
                        Some(trust_key(score)),
                        Some(self.codec.encode(score).unwrap()),
                    )
                };
                self.last_scores.iter().map(score).collect()
            }
            _ => panic!("nothing previous for {topic}"),
        }
    }

    fn written(&self, topic: Topic, step: &Step) -> (Option<String>, Option<Vec<u8>>) {
        if let Some(hex) = &step.value_hex {
            return (step.key.clone(), Some(hex::decode(hex).unwrap()));
        }
        let record = step.record.as_ref();
        let mut record = record.expect("a record, a value or a tick").clone();
        if record["package_digest"] == "previous" {
            let id = record["proposal_id"].as_str().expect("a proposal id");
            let digest = self.packages.get(id).expect("an earlier package");
            record["package_digest"] = json!(digest.to_string());
        }
        let (id, mut value) = encode(&self.codec, topic, step.kind, &record);
        if let Some(bytes) = step.pad.get("value") {
            value.resize(*bytes, b'x');
        }
        (step.key.clone().or(id), Some(value))
    }

    pub(super) fn take(&mut self, laid: &Laid) -> Vec<Output> {
        if laid.topic.is_table() {
            let (key, value) = (laid.key.as_deref(), laid.value.as_deref());
            // What is unsound is passed over, which shows in what follows.
            let _ = self.tables.apply(
                &self.codec,
                laid.topic,
                laid.offset,
                laid.timestamp,
                key,
                value,
            );
            return Vec::new();
        }
        let outputs = self.partition.step(&self.tables, laid.input()).unwrap();
        let scores: Vec<TrustScore> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::TrustScore(score) => Some(score.clone()),
                _ => None,
            })
            .collect();
        if !scores.is_empty() {
            self.last_scores = scores;
        }
        for output in &outputs {
            match output {
                Output::TrustUpdate(update) => self.last_update = Some((**update).clone()),
                Output::Escalation(package) => {
                    let id = package.proposal_id.to_string();
                    self.packages.insert(id, package.package_digest);
                }
                _ => {}
            }
        }
        outputs
    }
}

impl Laid {
    pub(super) fn input(&self) -> Input<'_> {
        if let Some(below) = self.lost_below {
            return Input::Lost {
                topic: self.topic,
                below,
            };
        }
        Input::Record(Record {
            topic: self.topic,
            offset: self.offset,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: Headers {
                control: self.control,
                forwarded: self.forwarded,
                traceparent: self.traceparent.as_deref(),
            },
        })
    }
}

/// A record from JSON with its schema's names; unknown keys are refused.
fn parse<'a, T: wire::Datum + serde::Deserialize<'a>>(text: &'a str) -> T {
    wire::json::from_str_strict(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// A record's id and value.
fn encode(
    codec: &Codec,
    topic: Topic,
    kind: Option<Kind>,
    record: &Value,
) -> (Option<String>, Vec<u8>) {
    let mut record = record.clone();
    // JSON has no NaN and no infinity, so a vector may write a double as text.
    let confidence = record.get("confidence").and_then(Value::as_str);
    let confidence: Option<f64> = confidence.map(|text| text.parse().unwrap());
    if confidence.is_some() {
        record["confidence"] = json!(0);
    }
    let text = record.to_string();
    if kind == Some(Kind::Control) {
        return (None, codec.encode(&parse::<Control>(&text)).unwrap());
    }
    match topic {
        Topic::Proposals => {
            let mut proposal: Proposal = parse(&text);
            proposal.confidence = confidence.unwrap_or(proposal.confidence);
            (
                Some(proposal.proposal_id.clone()),
                codec.encode(&proposal).unwrap(),
            )
        }
        Topic::Responses => {
            let mut response: Response<'_> = parse(&text);
            response.confidence = confidence.unwrap_or(response.confidence);
            (
                Some(response.proposal_id.to_string()),
                codec.encode(&response).unwrap(),
            )
        }
        Topic::Decisions => {
            let decision: Decision = parse(&text);
            (
                Some(decision.proposal_id.clone()),
                codec.encode(&decision).unwrap(),
            )
        }
        Topic::Results => {
            let report: Report = parse(&text);
            (
                Some(report.proposal_id.clone()),
                codec.encode(&report).unwrap(),
            )
        }
        Topic::Agents => {
            let agent: Agent = wire::files::agent_from_json(&record).unwrap();
            (
                Some(agent.agent_id.to_string()),
                codec.encode(&agent).unwrap(),
            )
        }
        Topic::Policies => {
            let mut policy: Policy = wire::files::policy_from_json(&record).unwrap();
            wire::seal_policy(&mut policy).unwrap();
            (Some(policy.pattern.clone()), codec.encode(&policy).unwrap())
        }
        Topic::Trust => {
            let score: TrustScore = parse(&text);
            (Some(trust_key(&score)), codec.encode(&score).unwrap())
        }
        Topic::TrustUpdates => {
            let update: TrustUpdate = parse(&text);
            (
                Some(update.trust_domain.clone()),
                codec.encode(&update).unwrap(),
            )
        }
        _ => panic!("{topic} is no input"),
    }
}

/// What each step of a vector puts out, as the vector shows it.
pub(crate) fn outputs(vector: &Vector) -> Vec<Vec<Value>> {
    let mut bench = Bench::new(vector);
    let mut of_steps = Vec::new();
    for step in &vector.steps {
        let mut views = Vec::new();
        for laid in bench.lay(step) {
            views.extend(bench.take(&laid).iter().map(view));
        }
        of_steps.push(views);
    }
    of_steps
}

/// An output as a vector shows it.
pub(crate) fn view(output: &Output) -> Value {
    match output {
        Output::Round(round) => {
            let state = serde_json::to_value(round.state).unwrap();
            let opening = &round.opening;
            json!({"round": {"state": state, "proposal_id": round.proposal_id.to_string(),
                "deadline": opening.deadline, "pins": opening.pins}})
        }
        Output::Tombstone(id) => json!({"tombstone": id.to_string()}),
        Output::Outcome(outcome) => {
            let decision = wire::json::to_value(&outcome.decision).unwrap();
            let mut view = json!({
                "proposal_id": outcome.proposal_id.to_string(),
                "resolution": outcome.resolution,
                "final": outcome.r#final,
                "decision": decision,
                "decision_digest": outcome.decision_digest.to_string(),
                "closing_offset": outcome.coordinates.closing_offset,
                "closing_time": outcome.coordinates.closing_time,
                "closed_early": outcome.coordinates.closed_early,
            });
            if !outcome.coordinates.superseded.is_empty() {
                view["superseded"] = wire::json::to_value(&outcome.coordinates.superseded).unwrap();
            }
            json!({"outcome": view})
        }
        Output::Escalation(package) => {
            let content = &package.content;
            let reviewers: Vec<&String> = package
                .approvals
                .iter()
                .map(|approval| &approval.reviewer)
                .collect();
            let agent = |argument: &Option<quorate_core::records::Argument>| {
                argument
                    .as_ref()
                    .map(|argument| argument.agent_id.to_string())
            };
            let statements: Vec<Value> = content
                .statements
                .iter()
                .map(|said| json!({"agent_id": said.agent_id.to_string(), "inlined": said.inlined}))
                .collect();
            json!({"escalation": {
                "proposal_id": package.proposal_id.to_string(),
                "tier": package.tier,
                "due": package.due,
                "package_digest": package.package_digest.to_string(),
                "approvals": reviewers,
                "approvals_needed": package.approvals_needed,
                "silent": content.silent.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "strongest_for": agent(&content.strongest_for),
                "strongest_against": agent(&content.strongest_against),
                "statements": statements,
            }})
        }
        Output::TrustUpdate(update) => {
            let whole = wire::json::to_value(update).unwrap();
            let shown = [
                "trust_domain",
                "proposal_id",
                "result_id",
                "result",
                "corrects",
                "half_life",
                "ballots",
            ];
            let fields = shown
                .iter()
                .map(|name| ((*name).to_owned(), whole[*name].clone()));
            json!({"trust_update": fields.collect::<serde_json::Map<_, _>>()})
        }
        Output::TrustScore(score) => json!({"trust_score": wire::json::to_value(score).unwrap()}),
        Output::DeadLetter(letter, _) => json!({"dead_letter":
            {"topic": letter.topic, "offset": letter.offset, "reason": letter.reason}}),
        Output::Forward(forward) => json!({"forward":
            {"topic": forward.topic.name(), "partition": forward.partition, "offset": forward.offset}}),
    }
}

/// Rebuilds the partition after every step from what had been written by then.
pub(crate) fn check_restores(vector: &Vector, path: &Path) {
    let mut bench = Bench::new(vector);
    let mut read: Vec<Laid> = Vec::new();
    let mut rounds: BTreeMap<String, Round> = BTreeMap::new();
    let mut scores: BTreeMap<String, TrustScore> = BTreeMap::new();
    for (at, step) in vector.steps.iter().enumerate() {
        for laid in bench.lay(step) {
            let outputs = bench.take(&laid);
            if !laid.topic.is_table() {
                read.push(laid);
            }
            for output in outputs {
                match output {
                    Output::Round(round) => {
                        rounds.insert(round.proposal_id.to_string(), *round);
                    }
                    Output::Tombstone(id) => {
                        rounds.remove(&id.to_string());
                    }
                    Output::TrustScore(score) => {
                        scores.insert(trust_key(&score), score);
                    }
                    _ => {}
                }
            }
        }
        let saved = postcard::to_allocvec(&bench.partition.saved()).unwrap();
        let saved = postcard::from_bytes(&saved).unwrap();
        let config = Config {
            partition: vector.partition,
            partitions: vector.partitions,
            detail: Detail::Records,
        };
        let codec = Arc::clone(&bench.codec);
        let taken_up = Partition::of_saved(config, codec, &bench.tables, saved).unwrap();
        assert_eq!(
            taken_up,
            bench.partition,
            "{}: taken up after step {at}",
            path.display()
        );
        let restored = restored(&bench, vector, &rounds, &scores, &read);
        assert_eq!(
            restored,
            bench.partition,
            "{}: restored after step {at}",
            path.display()
        );
    }
}

fn restored(
    bench: &Bench,
    vector: &Vector,
    rounds: &BTreeMap<String, Round>,
    scores: &BTreeMap<String, TrustScore>,
    read: &[Laid],
) -> Partition {
    let live = &bench.partition;
    let config = Config {
        partition: vector.partition,
        partitions: vector.partitions,
        detail: Detail::Records,
    };
    let mut restored = Partition::new(config, Arc::clone(&bench.codec));
    let positions: BTreeMap<Topic, Position> = live.positions().into_iter().collect();
    for round in rounds.values() {
        restored
            .restore_round(&bench.tables, round.clone())
            .unwrap();
    }
    for score in scores.values() {
        restored.restore_score(score.clone());
    }
    restored.restore_positions(positions.clone(), live.pins());
    // Per topic the order is the log's; between topics none is promised, so take the worst one.
    for topic in [Topic::Results, Topic::Decisions, Topic::Responses] {
        let Some(position) = positions.get(&topic) else {
            continue;
        };
        for laid in read.iter().filter(|laid| laid.topic == topic) {
            let lost = laid.lost_below.is_some_and(|below| position.low < below);
            if lost || (laid.lost_below.is_none() && laid.offset >= position.low) {
                restored.step(&bench.tables, laid.input()).unwrap();
            }
        }
    }
    restored.restored(positions);
    restored
}

/// Steps that put out a dead letter of their own record: a tick in its place must have led to the
/// same state and the same other outputs.
pub(crate) fn check_refusals(vector: &Vector, path: &Path) -> usize {
    let mut bench = Bench::new(vector);
    let mut refusals = 0;
    for (at, step) in vector.steps.iter().enumerate() {
        let records = bench.lay(step);
        if records.len() > 1 {
            records.iter().for_each(|laid| drop(bench.take(laid)));
            continue;
        }
        for laid in records {
            let mut ticked = bench.partition.clone();
            let mut outputs = bench.take(&laid);
            let all = outputs.len();
            outputs.retain(|output| match output {
                Output::DeadLetter(letter, _) => {
                    letter.offset != laid.offset || letter.topic != laid.topic.name()
                }
                _ => true,
            });
            if outputs.len() == all {
                continue;
            }
            refusals += 1;
            let tick = Laid {
                key: None,
                value: None,
                control: false,
                ..laid
            };
            let by_tick = ticked.step(&bench.tables, tick.input()).unwrap();
            let path = path.display();
            assert_eq!(outputs, by_tick, "{path}: the refusal at step {at}");
            assert_eq!(bench.partition, ticked, "{path}: the refusal at step {at}");
        }
    }
    refusals
}

/// Whether nothing in a vector rests on a choice: tables are read first and deadlines explicit.
pub(super) fn is_free(vector: &Vector) -> bool {
    let is_table = |step: &Step| Topic::named(&step.topic).is_some_and(Topic::is_table);
    let inputs = vector
        .steps
        .iter()
        .position(|step| !is_table(step))
        .unwrap_or(0);
    vector.steps.iter().skip(inputs).all(|step| {
        let explicit = step
            .record
            .as_ref()
            .is_none_or(|record| record.get("deadline").is_some());
        !is_table(step)
            && step.topic != "trust-updates"
            && step.lost_below.is_none()
            && (step.topic != "proposals" || explicit)
    })
}

/// Reads the same logs in other orders between topics, and compares what was decided and refused.
///
/// Only where nothing rests on a choice: tables are read first and deadlines are explicit.
pub(crate) fn check_reading_order(vector: &Vector, path: &Path) -> bool {
    if !is_free(vector) {
        return false;
    }
    let mut bench = Bench::new(vector);
    let mut laid: Vec<Laid> = Vec::new();
    for step in &vector.steps {
        let records = bench.lay(step);
        records.iter().for_each(|laid| drop(bench.take(laid)));
        laid.extend(records);
    }
    let decided = |order: &[Topic]| {
        let mut bench = Bench::new(vector);
        let mut sorted: Vec<&Laid> = laid.iter().collect();
        sorted.sort_by_key(|laid| order.iter().position(|topic| *topic == laid.topic));
        let outputs: Vec<Output> = sorted.iter().flat_map(|laid| bench.take(laid)).collect();
        let mut decided: Vec<String> = outputs.iter().filter_map(decision_of).collect();
        decided.sort();
        decided
    };
    let (p, r) = (Topic::Proposals, Topic::Responses);
    let (d, s) = (Topic::Decisions, Topic::Results);
    let usual = decided(&[p, r, d, s]);
    for order in [[r, p, d, s], [s, d, r, p], [d, p, s, r], [r, s, p, d]] {
        assert_eq!(
            decided(&order),
            usual,
            "{}: read in order {order:?}",
            path.display()
        );
    }
    true
}

/// What must not depend on the order of reading.
pub(super) fn decision_of(output: &Output) -> Option<String> {
    match output {
        Output::Outcome(outcome) => Some(format!(
            "{} {} {:?}",
            outcome.proposal_id, outcome.decision_digest, outcome.coordinates
        )),
        Output::Escalation(package) => Some(format!(
            "{} {} {} {:?}",
            package.proposal_id, package.tier, package.package_digest, package.due
        )),
        Output::DeadLetter(letter, _) => Some(format!(
            "{} {:?} {}",
            letter.topic, letter.offset, letter.reason
        )),
        Output::TrustUpdate(update) => Some(format!("{} {}", update.proposal_id, update.result_id)),
        _ => None,
    }
}

/// Lays every proposal and response twice, and compares what was decided.
pub(crate) fn check_duplicates(vector: &Vector, path: &Path) {
    let decided = |twice: bool| {
        let mut bench = Bench::new(vector);
        let mut digests = Vec::new();
        for step in &vector.steps {
            let copies = twice
                && matches!(step.topic.as_str(), "proposals" | "responses")
                && step.kind.is_none()
                && step.record.is_some();
            for laid in bench.lay(step) {
                let mut copy = laid.clone();
                copy.offset = laid.offset.next();
                let mut outputs = bench.take(&laid);
                if copies {
                    outputs.extend(bench.take(&copy));
                }
                digests.extend(outputs.iter().filter_map(|output| match output {
                    Output::Outcome(outcome) => Some((
                        outcome.proposal_id,
                        outcome.resolution,
                        outcome.decision_digest,
                    )),
                    _ => None,
                }));
            }
        }
        digests
    };
    assert_eq!(decided(true), decided(false), "{}", path.display());
}
