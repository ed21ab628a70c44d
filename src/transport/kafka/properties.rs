//! Which librdkafka properties may be given from outside, and which client is told of which.
//!
//! The client warns of a consumer's property given to a producer and the reverse, at every start
//! of every client; so each is told only what it knows. What is in no list both are told.

/// Properties that what we promise rests on; nobody sets them from outside.
const RESERVED: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.instance.id",
    "group.protocol",
    "group.protocol.type",
    "group.remote.assignor",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "retry.backoff.ms",
    "transaction.timeout.ms",
    "transactional.id",
];

/// What librdkafka's CONFIGURATION.md (2.12) marks as a consumer's, without what is reserved.
const CONSUMER: &[&str] = &[
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "check.crcs",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "heartbeat.interval.ms",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "offset.store.method",
    "offset.store.path",
    "offset.store.sync.interval.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "session.timeout.ms",
];

/// What it marks as a producer's, without what is reserved.
const PRODUCER: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.gapless.guarantee",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queue.buffering.max.ms",
    "queuing.strategy",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
];

/// What a client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It reads.
    Consumer,
    /// It appends, or asks.
    Producer,
}

impl Side {
    /// Whether this side knows a property.
    pub(super) fn knows(self, property: &str) -> bool {
        let others = match self {
            Self::Consumer => PRODUCER,
            Self::Producer => CONSUMER,
        };
        !others.contains(&property)
    }
}

/// Whether a property may not be given from outside.
pub(super) fn is_reserved(property: &str) -> bool {
    RESERVED.contains(&property)
}
