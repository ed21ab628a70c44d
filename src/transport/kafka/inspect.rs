//! What a cluster tells of itself, for whoever looks after it. Nothing here writes.

use std::collections::BTreeMap;

use quorate_core::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;

use super::connection::PATIENCE;
use super::topics::present;
use super::{Connection, Error, Reader};
use crate::transport::Reading as _;

/// A cluster as it tells of itself.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Its id, if a broker gives it.
    pub id: Option<String>,
    /// Its brokers.
    pub brokers: Vec<Broker>,
    /// How many partitions those of our topics have that are there.
    pub partitions: BTreeMap<Topic, i32>,
}

/// A broker as it tells of itself.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Its number.
    pub id: i32,
    /// `host:port`, as clients reach it.
    pub address: String,
    /// Its settings, or why it does not tell them.
    pub settings: Result<BTreeMap<String, String>, String>,
}

impl Cluster {
    /// Asks the brokers.
    ///
    /// # Errors
    /// [`Error::Log`] if none answers.
    pub async fn ask(connection: &Connection) -> Result<Self, Error> {
        let admin = connection.admin()?;
        let metadata = admin.inner().fetch_metadata(None, PATIENCE);
        let metadata = metadata.map_err(Error::kafka("ask the brokers who they are"))?;
        let mut brokers = Vec::new();
        for broker in metadata.brokers() {
            brokers.push(Broker {
                id: broker.id(),
                address: format!("{}:{}", broker.host(), broker.port()),
                settings: settings(&admin, broker.id()).await,
            });
        }
        let present = present(&admin)?;
        let ours = |topic: &Topic| Some((*topic, *present.get(&connection.topic(*topic))?));
        Ok(Self {
            id: admin.inner().fetch_cluster_id(PATIENCE),
            brokers,
            partitions: Topic::ALL.iter().filter_map(ours).collect(),
        })
    }
}

async fn settings(
    admin: &AdminClient<DefaultClientContext>,
    broker: i32,
) -> Result<BTreeMap<String, String>, String> {
    let resource = ResourceSpecifier::Broker(broker);
    let described = admin.describe_configs([&resource], &AdminOptions::new());
    let mut settings = BTreeMap::new();
    for described in described.await.map_err(|error| error.to_string())? {
        let described = described.map_err(|code| KafkaError::AdminOp(code).to_string())?;
        for entry in described.entries {
            settings.insert(entry.name, entry.value.unwrap_or_default());
        }
    }
    // The client does not pass on that it was refused, but no broker is without settings.
    if settings.is_empty() {
        return Err("it does not tell them to this principal".to_owned());
    }
    Ok(settings)
}

/// Where a partition ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The offset that the next committed record to be read lies below: the last stable offset.
    pub stable: i64,
    /// The offset of the next record appended: the high watermark.
    pub high: i64,
}

impl Ends {
    /// Whether a transaction is open in front of what was appended.
    #[must_use]
    pub const fn is_held(self) -> bool {
        self.stable < self.high
    }
}

/// Compares what is committed with what is appended.
#[derive(Debug)]
pub struct Gauge {
    reader: Reader,
}

impl Gauge {
    /// A gauge for this cluster.
    ///
    /// # Errors
    /// [`Error::Log`] if there is no client to be had.
    pub fn open(connection: &Connection) -> Result<Self, Error> {
        let reader = Reader::open(connection)?;
        Ok(Self { reader })
    }

    /// Where a partition ends now.
    ///
    /// # Errors
    /// [`Error::Log`] if no broker answers.
    pub fn ends(&self, topic: Topic, partition: i32) -> Result<Ends, Error> {
        // ORDER: the stable one first, so that what is appended meanwhile only looks like a
        // transaction that was open, never the other way round.
        let (_, stable) = self.reader.ends(topic, partition)?;
        let (_, high) = self.reader.far_ends(topic, partition)?;
        Ok(Ends { stable, high })
    }
}
