//! What verbs at the edge share: reading a record's JSON, appending it, reading a table.

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Output;
use crate::config::{Config, Given, Secret};
use crate::transport::blackboard::{self, Blackboard};
use crate::transport::kafka::{Connection, Edge, Registry};
use crate::transport::{Appended, Entry, Handle, Stored};
use crate::wire::{self, Codec, Record, TraceError, check_traceparent};

/// Secret of the Kafka connection.
const KAFKA_PASSWORD: &str = "QUORATE_KAFKA_PASSWORD";
/// Secret of our certificate's key.
const KAFKA_KEY_PASSWORD: &str = "QUORATE_KAFKA_KEY_PASSWORD";
/// Secret of the schema registry.
const REGISTRY_PASSWORD: &str = "QUORATE_REGISTRY_PASSWORD";

/// The blackboard the configuration names, if it names one.
pub(super) fn blackboard(config: &Config) -> anyhow::Result<Option<Blackboard>> {
    let path = Path::new(&config.blackboard);
    let named = (path != Path::new("")).then(|| Blackboard::open(path));
    Ok(named.transpose()?)
}

/// The cluster the configuration names, once a broker of it has let us in.
pub(super) fn connection(config: &Config) -> anyhow::Result<Connection> {
    let connection = unreached(config)?;
    connection.reach(|| false)?;
    Ok(connection)
}

/// The cluster the configuration names, whether or not it is there.
pub(super) fn unreached(config: &Config) -> anyhow::Result<Connection> {
    anyhow::ensure!(
        config.blackboard.is_empty(),
        "this is about Kafka, and the log is the blackboard `{}`",
        config.blackboard
    );
    let properties = config.properties(Given {
        password: std::env::var(KAFKA_PASSWORD).ok(),
        key_password: std::env::var(KAFKA_KEY_PASSWORD).ok(),
    })?;
    Ok(Connection::new(
        &config.bootstrap,
        &config.prefix,
        properties,
    )?)
}

/// The schema registry the configuration names.
pub(super) fn registry(config: &Config) -> anyhow::Result<Registry> {
    let given = std::env::var(REGISTRY_PASSWORD).ok();
    let password = Secret::find(given, &config.registry_password_file)?;
    let file = &config.registry_ca_location;
    let certificates = (!file.is_empty()).then(|| {
        let read = std::fs::read(file);
        read.with_context(|| format!("cannot read certificates `{file}`"))
    });
    Ok(Registry::trusting(
        &config.registry,
        &config.registry_user,
        password.map(Secret::reveal),
        certificates.transpose()?.as_deref(),
    )?)
}

/// A runtime for what is asked of brokers and the registry.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let builder = builder.worker_threads(1).enable_all();
    builder.build().context("cannot start a runtime")
}

/// Somebody who appends to the log and reads its tables.
pub(super) struct Client {
    handle: Box<dyn Handle>,
}

impl Client {
    /// Connects, and reads which schemas are registered.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let handle: Box<dyn Handle> = match blackboard(config)? {
            Some(board) => Box::new(blackboard::Edge::new(board)),
            None => Box::new(Edge::open(&connection(config)?)?),
        };
        Ok(Self { handle })
    }

    /// The same, of a log that is open.
    pub(super) fn of(handle: Box<dyn Handle>) -> Self {
        Self { handle }
    }

    /// The log.
    pub(super) fn handle(&self) -> &dyn Handle {
        self.handle.as_ref()
    }

    /// The log, to be shared.
    pub(super) fn into_handle(self) -> Arc<dyn Handle> {
        Arc::from(self.handle)
    }

    /// What reads and writes records.
    pub(super) fn codec(&self) -> &Codec {
        self.handle.codec()
    }

    /// Appends records of one kind where their keys belong, and waits until they are there.
    pub(super) fn append<T: Record>(&self, records: &[(&str, T)]) -> anyhow::Result<Vec<Appended>> {
        self.append_traced(records, None)
    }

    /// As [`Client::append`], with the trace they belong to.
    fn append_traced<T: Record>(
        &self,
        records: &[(&str, T)],
        trace: Option<&str>,
    ) -> anyhow::Result<Vec<Appended>> {
        let trace = trace.map(|trace| ("traceparent", trace.as_bytes()));
        let topic = T::KIND.topic();
        let partitions = if topic.is_table() {
            1
        } else {
            self.handle.partitions()?
        };
        let encoded = records
            .iter()
            .map(|(_, record)| self.codec().encode(record));
        let values = encoded.collect::<Result<Vec<_>, _>>()?;
        let entries: Vec<_> = records
            .iter()
            .zip(&values)
            .map(|((key, _), value)| Entry {
                topic,
                partition: wire::partition_of(key.as_bytes(), partitions),
                key: Some(key.as_bytes()),
                value: Some(value),
                headers: trace.as_slice(),
            })
            .collect();
        Ok(self.handle.append(&entries)?)
    }

    /// Reads what a partition has now, oldest first.
    pub(super) fn scan(
        &self,
        topic: Topic,
        partition: i32,
        mut each: impl FnMut(Stored),
    ) -> anyhow::Result<()> {
        let reader = self.handle.reader()?;
        let (start, end) = reader.ends(topic, partition)?;
        reader.read_to(topic, partition, start, end, &mut |stored| {
            each(stored);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }

    /// The last record of every key of a table.
    pub(super) fn table<T>(&self, topic: Topic) -> anyhow::Result<BTreeMap<Vec<u8>, T>>
    where
        T: Record + DeserializeOwned,
    {
        let mut latest = BTreeMap::new();
        self.scan(topic, 0, |stored| {
            if let (Some(key), Some(value)) = (stored.key, stored.value)
                && let Ok((record, _)) = self.codec().decode::<T>(&value)
            {
                latest.insert(key, record);
            }
        })?;
        Ok(latest)
    }

    /// Appends what differs from a table's last record of its key, and says which did.
    pub(super) fn apply<T>(&self, records: Vec<(String, T)>) -> anyhow::Result<Vec<(String, bool)>>
    where
        T: Record + DeserializeOwned + PartialEq + Clone,
    {
        let known = self.table::<T>(T::KIND.topic())?;
        let differs = |key: &str, record: &T| known.get(key.as_bytes()) != Some(record);
        let changed: Vec<_> = records
            .iter()
            .filter(|(key, record)| differs(key, record))
            .map(|(key, record)| (key.as_str(), record.clone()))
            .collect();
        if !changed.is_empty() {
            self.append(&changed)?;
        }
        let said = |(key, record): (String, T)| {
            let differs = differs(&key, &record);
            (key, differs)
        };
        Ok(records.into_iter().map(said).collect())
    }
}

/// Prints what applying did, a line each.
pub(super) fn print_applied(applied: &[(String, bool)], output: Output) -> io::Result<()> {
    for (key, changed) in applied {
        let change = if *changed { "written" } else { "unchanged" };
        super::answer(&match output {
            Output::Text => format!("{key}: {change}"),
            Output::Json => json!({ "key": key, "change": change }).to_string(),
        })?;
    }
    Ok(())
}

/// Prints where a record lies: its id, then topic, partition and offset.
pub(super) fn print_appended(id: &str, appended: &[Appended], output: Output) -> io::Result<()> {
    for place in appended {
        let Appended {
            topic,
            partition,
            offset,
            ..
        } = place;
        super::answer(&match output {
            Output::Text => format!("{id} {topic}/{partition}@{offset}"),
            Output::Json => {
                let place = json!({
                    "id": id, "topic": topic, "partition": partition, "offset": offset,
                });
                place.to_string()
            }
        })?;
    }
    Ok(())
}

/// How one record is sent, and how that is told.
#[derive(Debug, Args)]
pub(super) struct Sending {
    /// A line for people, or of JSON for machines
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// W3C trace context the record belongs to; goes on with what follows from it
    #[arg(long, value_name = "00-TRACE-PARENT-FLAGS", value_parser = traceparent)]
    traceparent: Option<String>,
}

fn traceparent(text: &str) -> Result<String, TraceError> {
    check_traceparent(text)?;
    Ok(text.to_owned())
}

/// Appends one record, and prints where it lies.
pub(super) fn send<T: Record>(
    config: &Config,
    sending: &Sending,
    id: &str,
    key: &str,
    record: T,
) -> anyhow::Result<()> {
    let trace = sending.traceparent.as_deref();
    let appended = Client::open(config)?.append_traced(&[(key, record)], trace)?;
    print_appended(id, &appended, sending.output)?;
    Ok(())
}

/// A record in the making: a file's JSON, with flags laid over it.
pub(super) struct Draft(Map<String, Value>);

impl Draft {
    /// Starts from a file's JSON, or from nothing.
    pub(super) fn from(file: Option<&Path>) -> anyhow::Result<Self> {
        let Some(path) = file else {
            return Ok(Self(Map::new()));
        };
        let text = super::input(path)?;
        match wire::json::parse_strict(text.as_bytes()) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            Ok(_) => anyhow::bail!("`{}` is not a JSON object", path.display()),
            Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        }
    }

    /// Sets a field, if there is a value for it.
    pub(super) fn set(&mut self, field: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
    }

    /// Sets a field that has no value yet.
    pub(super) fn or_set(&mut self, field: &str, value: impl FnOnce() -> String) {
        self.0
            .entry(field)
            .or_insert_with(|| Value::String(value()));
    }

    /// A field that is an object, made if it is not there.
    pub(super) fn object(&mut self, field: &str) -> Option<&mut Map<String, Value>> {
        let inner = self.0.entry(field).or_insert_with(|| Map::new().into());
        inner.as_object_mut()
    }

    /// The JSON as it stands.
    pub(super) fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// A confidence as given, or as a probability of being right gives it.
pub(super) fn confidence(
    confidence: Option<f64>,
    probability: Option<f64>,
) -> anyhow::Result<Option<f64>> {
    let Some(probability) = probability else {
        return Ok(confidence);
    };
    let confidence = wire::json::confidence_of(probability).with_context(|| {
        format!(
            "probability `{probability}` is not between 0.5 and 1; what is more likely wrong than \
             right is better said the other way round"
        )
    })?;
    Ok(Some(confidence))
}

/// An id that sorts by the time it was made at.
pub(super) fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probability_is_turned_into_a_confidence() {
        assert_eq!(confidence(Some(0.3), None).unwrap(), Some(0.3));
        assert_eq!(confidence(None, Some(0.95)).unwrap(), Some(0.9));
        assert_eq!(confidence(None, Some(0.5)).unwrap(), Some(0.0));
        assert!(confidence(None, Some(0.4)).is_err());
        assert!(confidence(None, Some(f64::NAN)).is_err());
    }
}
