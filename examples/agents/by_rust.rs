//! An agent written against the topics alone, with `rdkafka`, `apache-avro` and `reqwest`; nothing
//! of ours.
//!
//! usage: `by_rust AGENT OPINIONS BOOTSTRAP REGISTRY PREFIX`
//!
//! OPINIONS is a file of `{subject: [verdict, confidence, reasoning]}`; a real agent would form its
//! opinion where it is looked up. It partitions as Java clients do, which librdkafka has to be told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::{Record, Value};
use apache_avro::writer::datum::GenericDatumWriter;
use apache_avro::{Schema, from_value};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const VERDICTS: [&str; 3] = ["ENDORSE", "CHALLENGE", "ABSTAIN"];
/// What nothing takes unless something is wrong.
const PATIENCE: Duration = Duration::from_secs(60);

/// A verdict, how sure, and why.
type Opinion = (String, f64, String);

/// What this agent reads of a proposal.
#[derive(Debug, Deserialize)]
struct Proposal {
    proposal_id: String,
    action: Action,
}

#[derive(Debug, Deserialize)]
struct Action {
    subject: String,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    run(&arguments, &AtomicBool::new(false))
}

/// Answers proposals until told to stop.
pub(crate) fn run(arguments: &[&str], stop: &AtomicBool) -> anyhow::Result<()> {
    let [agent, opinions, bootstrap, registry, prefix] = *arguments else {
        anyhow::bail!("usage: by_rust AGENT OPINIONS BOOTSTRAP REGISTRY PREFIX");
    };
    let opinions: BTreeMap<String, Opinion> =
        serde_json::from_str(&std::fs::read_to_string(opinions)?)?;
    let mut schemas = Schemas::of(registry)?;
    let (written_by, _) = schemas.latest(&format!("{prefix}responses-value"))?;
    let producer: BaseProducer = settings(&[
        ("bootstrap.servers", bootstrap),
        ("enable.idempotence", "true"),
        ("compression.type", "gzip"),
        ("partitioner", "murmur2_random"),
    ])
    .create()?;
    let consumer: BaseConsumer = settings(&[
        ("bootstrap.servers", bootstrap),
        ("group.id", &format!("{prefix}agent.{agent}")),
        ("auto.offset.reset", "earliest"),
        ("isolation.level", "read_committed"),
    ])
    .create()?;
    consumer.subscribe(&[&format!("{prefix}proposals")])?;
    while !stop.load(Ordering::Relaxed) {
        // A broker that is away comes back; the client sees to that.
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
            continue;
        };
        // A record without a value only carries time.
        let Some(value) = message.payload() else {
            continue;
        };
        let (id, mut datum) = framed(value)?;
        let digest = Sha256::digest(datum);
        let reader = GenericDatumReader::builder(schemas.schema(id)?).build()?;
        let proposal: Proposal = from_value(&reader.read_value(&mut datum)?)?;
        if let Some(opinion) = opinions.get(&proposal.action.subject) {
            let schema = schemas.schema(written_by)?;
            let datum = response(
                schema,
                agent,
                &proposal.proposal_id,
                digest.to_vec(),
                opinion,
            )?;
            let value = [&[0], &written_by.to_be_bytes()[..], &datum].concat();
            let topic = format!("{prefix}responses");
            let record = BaseRecord::to(&topic).key(&proposal.proposal_id);
            producer
                .send(record.payload(&value))
                .map_err(|(error, _)| error)?;
            producer.flush(PATIENCE)?;
        }
    }
    Ok(())
}

fn settings(properties: &[(&str, &str)]) -> ClientConfig {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    properties.iter().map(owned).collect()
}

/// The schema's id that a value begins with, after a zero byte, and the record behind it.
fn framed(value: &[u8]) -> anyhow::Result<(u32, &[u8])> {
    match value.split_at_checked(5) {
        Some((&[0, a, b, c, d], datum)) => Ok((u32::from_be_bytes([a, b, c, d]), datum)),
        _ => anyhow::bail!("a value is not framed"),
    }
}

fn response(
    schema: &Schema,
    agent: &str,
    proposal_id: &str,
    digest: Vec<u8>,
    (verdict, confidence, reasoning): &Opinion,
) -> anyhow::Result<Vec<u8>> {
    let number = VERDICTS.iter().position(|known| known == verdict);
    let number = u32::try_from(number.with_context(|| format!("nobody says `{verdict}`"))?)?;
    let mut record = Record::new(schema).context("a response is no record")?;
    // Of the agent and the proposal, so that answering twice is answering once.
    record.put("response_id", format!("{agent}.{proposal_id}"));
    record.put("proposal_id", proposal_id);
    // The answer stands for these bytes and no others.
    let digest = Value::Fixed(digest.len(), digest);
    record.put("proposal_digest", Value::Union(1, Box::new(digest)));
    record.put("agent_id", agent);
    record.put("verdict", Value::Enum(number, verdict.clone()));
    record.put("confidence", *confidence);
    record.put("reasoning", reasoning.as_str());
    record.put("evidence", Value::Array(Vec::new()));
    let writer = GenericDatumWriter::builder(schema).build()?;
    Ok(writer.write_value_to_vec(record)?)
}

/// Schemas of a registry by their ids, each asked for once.
struct Schemas {
    registry: String,
    runtime: tokio::runtime::Runtime,
    known: BTreeMap<u32, Schema>,
}

/// A registry's answer.
#[derive(Debug, Deserialize)]
struct Registered {
    id: Option<u32>,
    schema: String,
}

impl Schemas {
    fn of(registry: &str) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            registry: registry.to_owned(),
            runtime,
            known: BTreeMap::new(),
        })
    }

    fn latest(&mut self, subject: &str) -> anyhow::Result<(u32, &Schema)> {
        let found = self.get(&format!("subjects/{subject}/versions/latest"))?;
        let id = found.id.context("a subject's version has no id")?;
        Ok((
            id,
            self.known
                .entry(id)
                .or_insert(Schema::parse_str(&found.schema)?),
        ))
    }

    fn schema(&mut self, id: u32) -> anyhow::Result<&Schema> {
        if !self.known.contains_key(&id) {
            let found = self.get(&format!("schemas/ids/{id}"))?;
            self.known.insert(id, Schema::parse_str(&found.schema)?);
        }
        self.known.get(&id).context("it was just put there")
    }

    fn get(&self, path: &str) -> anyhow::Result<Registered> {
        let url = format!("{}/{path}", self.registry);
        let asked = async { reqwest::get(url).await?.error_for_status()?.text().await };
        Ok(serde_json::from_str(&self.runtime.block_on(asked)?)?)
    }
}
