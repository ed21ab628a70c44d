//! Where Kafka is, and how every client of ours is set up.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::TopicPartitionList;

use super::Error;
use super::properties::{Side, is_reserved};

/// How long a question to a broker may take before we give up.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// The largest record the processor writes, with room for keys and headers, in bytes.
pub(super) const LARGEST_RECORD: usize = crate::wire::MAX_OUTPUT + 64 * 1024;

/// How long a transactional producer waits, give or take a fifth, before it asks again.
pub(super) const RETRY_BACKOFF: Duration = Duration::from_millis(250);

/// Takes note of what a client of ours says of itself.
pub(super) fn note(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        // Asked for, and handed over with the records.
        Some(RDKafkaErrorCode::PartitionEOF) => {}
        _ if is_passing(error) => tracing::debug!(%error, reason, "client goes on"),
        _ => tracing::error!(%error, reason, "client is in trouble"),
    }
}

/// Whether the client gets over an error by itself.
pub(super) fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::OperationTimedOut
                | Code::Resolve
                | Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
                | Code::CoordinatorLoadInProgress
        )
    )
}

/// A Kafka cluster, and the prefix of what is ours there.
#[derive(Clone)]
pub struct Connection {
    bootstrap: String,
    prefix: String,
    /// Every topic's name, in the order of [`Topic::ALL`].
    names: Arc<[String]>,
    properties: BTreeMap<String, String>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secret.
        f.debug_struct("Connection")
            .field("bootstrap", &self.bootstrap)
            .field("prefix", &self.prefix)
            .field("properties", &self.properties.keys())
            .finish()
    }
}

impl Connection {
    /// A cluster by its bootstrap servers, the prefix of topics, and further librdkafka properties.
    ///
    /// # Errors
    /// [`Error::Unfit`] if a property is one that what we promise rests on.
    pub fn new(
        bootstrap: &str,
        prefix: &str,
        properties: BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        if let Some(key) = properties.keys().find(|key| is_reserved(key)) {
            let why = "may not be set: the protocol's promises rest on it";
            return Err(Error::Unfit(format!("kafka property `{key}` {why}")));
        }
        Ok(Self {
            bootstrap: bootstrap.to_owned(),
            prefix: prefix.to_owned(),
            names: Topic::ALL.iter().map(|t| format!("{prefix}{t}")).collect(),
            properties,
        })
    }

    /// The brokers to start from.
    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// What the names of topics, groups and transactional ids begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A topic's name in this cluster.
    #[must_use]
    pub fn topic(&self, topic: Topic) -> String {
        self.name(topic).to_owned()
    }

    /// A topic's name in this cluster, borrowed.
    pub(super) fn name(&self, topic: Topic) -> &str {
        // Every topic has one: they are made from all there are.
        self.names.get(topic as usize).map_or("", String::as_str)
    }

    /// The topic of that name in this cluster.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Topic> {
        let known = self.names.iter().position(|known| known == name)?;
        Topic::ALL.get(known).copied()
    }

    /// A partition of these topics.
    pub(super) fn partition(
        &self,
        partition: i32,
        topics: impl IntoIterator<Item = Topic>,
    ) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_partition(self.name(topic), partition);
        }
        list
    }

    /// The consumer group of the processors.
    pub(super) fn group(&self) -> String {
        format!("{}processor", self.prefix)
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is where every client is made"
    )]
    fn base(&self, side: Side) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap);
        self.pass_on(config, side)
    }

    /// Lays what was given from outside over what is ours to change.
    fn pass_on(&self, config: ClientConfig, side: Side) -> ClientConfig {
        let mut config = config;
        for (key, value) in self.properties.iter().filter(|(key, _)| side.knows(key)) {
            config.set(key, value);
        }
        config
    }

    /// A client that only asks.
    pub(super) fn asker(&self) -> ClientConfig {
        self.base(Side::Producer)
    }

    /// A client for topics and their settings.
    pub(super) fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Error> {
        self.asker()
            .create()
            .map_err(Error::kafka("make an admin client"))
    }

    /// A consumer that reads what it is told to and commits nothing.
    pub(super) fn reader(&self, group: &str) -> ClientConfig {
        let mut config = self.base(Side::Consumer);
        config
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "earliest")
            .set("allow.auto.create.topics", "false")
            // The default of 1,000 ms stops fetching for as long whenever the queue is full.
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.wait.max.ms", "50")
            .set("queued.max.messages.kbytes", "4096");
        self.pass_on(config, Side::Consumer)
    }

    /// The consumer of an engine: a member of the group that shares the partitions. By a name that
    /// is the same after a restart it keeps its place in the group while it is away for less than
    /// a session; without one it leaves when it stops.
    pub(super) fn member(&self, name: Option<&str>) -> ClientConfig {
        let mut config = self.reader(&self.group());
        if let Some(name) = name {
            config.set("group.instance.id", format!("{}{name}", self.prefix));
        }
        config
            // What waits for an engine that is behind, of each partition of each topic: the client
            // holds as much as it has fetched at once, and that unpacked.
            .set("fetch.message.max.bytes", "524288")
            .set("queued.max.messages.kbytes", "1024")
            .set("group.protocol", "classic")
            // Only `range` gives the same partition of every topic to the same member.
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "60000");
        self.pass_on(config, Side::Consumer)
    }

    /// A consumer that shares a topic with others under a name, which is its group's.
    pub(super) fn sharer(&self, name: &str) -> ClientConfig {
        let mut config = self.reader(&format!("{}{name}", self.prefix));
        config
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000")
            .set("max.poll.interval.ms", "60000");
        self.pass_on(config, Side::Consumer)
    }

    /// A producer whose records are there once, in order, on every replica in sync.
    pub(super) fn appender(&self) -> ClientConfig {
        let mut config = self.base(Side::Producer);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "15000")
            .set("message.max.bytes", LARGEST_RECORD.to_string());
        config
    }

    /// The producer of an engine, which writes in transactions only.
    pub(super) fn transactional(&self, id: &str, timeout: Duration) -> ClientConfig {
        let mut config = self.appender();
        let timeout = timeout.as_millis().to_string();
        config
            .set("transactional.id", format!("{}{id}", self.prefix))
            .set("transaction.timeout.ms", &timeout)
            .set("message.timeout.ms", &timeout)
            .set("retry.backoff.ms", RETRY_BACKOFF.as_millis().to_string())
            // A commit waits for what lingers; what fills a batch meanwhile costs brokers and us a
            // fraction of what single records do.
            .set("linger.ms", "10")
            .set("batch.size", "262144")
            .set("compression.type", "lz4");
        self.pass_on(config, Side::Producer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rdkafka::ClientContext;
    use rdkafka::config::RDKafkaLogLevel;
    use rdkafka::consumer::{BaseConsumer, ConsumerContext};
    use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};

    use super::*;

    #[test]
    fn a_property_the_promises_rest_on_is_refused() {
        let set = |key: &str| {
            let properties = BTreeMap::from([(key.to_owned(), "x".to_owned())]);
            Connection::new("localhost:1", "acp.", properties)
        };
        for key in ["isolation.level", "transactional.id", "retry.backoff.ms"] {
            assert!(set(key).is_err(), "{key}");
        }
        assert!(set("client.rack").is_ok());
    }

    #[test]
    fn a_consumers_property_given_from_outside_stands() {
        let given = BTreeMap::from([("session.timeout.ms".to_owned(), "7000".to_owned())]);
        let connection = Connection::new("localhost:1", "acp.", given).unwrap();
        let member = connection.member(None);
        assert_eq!(member.get("session.timeout.ms"), Some("7000"));
    }

    /// Takes note of what the client library has to say of a configuration.
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl ClientContext for Heard {
        fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
            self.0.lock().unwrap().push(format!("{facility}: {text}"));
        }
    }

    impl ConsumerContext for Heard {}

    impl ProducerContext for Heard {
        type DeliveryOpaque = ();

        fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
    }

    #[test]
    fn a_client_is_told_only_what_it_knows() {
        let given = [("session.timeout.ms", "7000"), ("compression.type", "zstd")];
        let given = given.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let connection = Connection::new("localhost:1", "acp.", BTreeMap::from(given)).unwrap();
        let heard = Heard::default();
        let _consumer: BaseConsumer<Heard> = connection
            .member(Some("one-0"))
            .create_with_context(heard.clone())
            .unwrap();
        let _producer: BaseProducer<Heard> = connection
            .transactional("one-0", Duration::from_secs(10))
            .create_with_context(heard.clone())
            .unwrap();
        let complaints = heard.0.lock().unwrap();
        let warned: Vec<_> = complaints
            .iter()
            .filter(|text| text.starts_with("CONFWARN"))
            .collect();
        assert_eq!(warned, [] as [&String; 0]);
        let appender = connection.appender();
        assert_eq!(appender.get("compression.type"), Some("zstd"));
    }

    #[test]
    fn a_member_with_a_name_keeps_its_place() {
        let connection = Connection::new("localhost:1", "acp.", BTreeMap::new()).unwrap();
        let named = connection.member(Some("one-0"));
        assert_eq!(named.get("group.instance.id"), Some("acp.one-0"));
        assert_eq!(connection.member(None).get("group.instance.id"), None);
    }

    #[test]
    fn what_is_passed_on_is_not_shown() {
        let given = BTreeMap::from([("sasl.password".to_owned(), "hunter2".to_owned())]);
        let connection = Connection::new("localhost:1", "acp.", given).unwrap();
        let shown = format!("{connection:?}");
        assert!(shown.contains("sasl.password"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn topics_carry_the_prefix_both_ways() {
        let connection = Connection::new("localhost:1", "bank.", BTreeMap::new()).unwrap();
        assert_eq!(connection.topic(Topic::TrustUpdates), "bank.trust-updates");
        assert_eq!(
            connection.named("bank.trust-updates"),
            Some(Topic::TrustUpdates)
        );
        assert_eq!(connection.named("acp.trust-updates"), None);
    }
}
