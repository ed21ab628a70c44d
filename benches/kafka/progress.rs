//! How far a processor has come, as anybody can see it: what its group committed, and what lies in
//! its topics.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

use quorate::transport::kafka::Schemas;
use quorate_core::ids::ProposalId;
use quorate_core::records::{Outcome, Status};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::house::House;
use super::sizes::PARTITIONS;

const ANSWER: Duration = Duration::from_secs(10);
/// How long nothing may move before a run is given up.
const PATIENCE: Duration = Duration::from_secs(120);

/// Offsets by partition.
pub(crate) type Places = BTreeMap<i32, i64>;

/// An observer of a processor's group.
pub(crate) struct Progress {
    consumer: BaseConsumer,
    topic: String,
}

impl Progress {
    /// How far responses are read.
    pub(crate) fn of(house: &House<'_>) -> Self {
        Self::on(house, Topic::Responses)
    }

    /// How far a topic is read.
    pub(crate) fn on(house: &House<'_>, topic: Topic) -> Self {
        let settings = [
            ("group.id", format!("{}processor", house.prefix)),
            ("enable.auto.commit", "false".to_owned()),
            // What is committed last, whether or not more is under way.
            ("isolation.level", "read_uncommitted".to_owned()),
        ];
        Self {
            consumer: house.client(settings).create().unwrap(),
            topic: house.topic(topic),
        }
    }

    /// The ends of the topic.
    pub(crate) fn ends(&self) -> Places {
        let end = |partition| {
            let marks = self
                .consumer
                .fetch_watermarks(&self.topic, partition, ANSWER);
            (partition, marks.unwrap().1)
        };
        (0..PARTITIONS).map(end).collect()
    }

    /// What is committed of the topic.
    pub(crate) fn committed(&self) -> Places {
        let mut list = TopicPartitionList::new();
        list.add_partition_range(&self.topic, 0, PARTITIONS - 1);
        let answer = self.consumer.committed_offsets(list, ANSWER).unwrap();
        let place = |element: rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
            (
                element.partition(),
                element.offset().to_raw().unwrap_or(0).max(0),
            )
        };
        answer.elements().into_iter().map(place).collect()
    }

    /// Looks until it is so; what is committed then.
    pub(crate) fn wait(&self, what: &str, done: impl Fn(&Places) -> bool) -> Places {
        let (mut last, mut moved) = (Places::new(), Instant::now());
        loop {
            let now = self.committed();
            if done(&now) {
                return now;
            }
            if now != last {
                (last, moved) = (now, Instant::now());
            }
            assert!(
                moved.elapsed() < PATIENCE,
                "{what}: stands still at {last:?}"
            );
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether every partition is there.
pub(crate) fn reached(now: &Places, ends: &Places) -> bool {
    ends.iter()
        .all(|(partition, end)| now.get(partition).is_some_and(|now| now >= end))
}

/// What the outcomes of a run are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Found {
    pub(crate) outcomes: usize,
    pub(crate) doubled: usize,
    pub(crate) escalated: usize,
    pub(crate) bytes: usize,
    pub(crate) refused: i64,
}

/// Reads all outcomes, as somebody who acts on them would.
pub(crate) fn outcomes(house: &House<'_>) -> Found {
    let settings = [
        ("group.id", format!("{}look", house.prefix)),
        ("enable.auto.commit", "false".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("enable.partition.eof", "true".to_owned()),
        ("fetch.queue.backoff.ms", "5".to_owned()),
    ];
    let consumer: BaseConsumer = house.client(settings).create().unwrap();
    let schemas = Schemas::load(&house.connection()).unwrap();
    let mut list = TopicPartitionList::new();
    let name = house.topic(Topic::Outcomes);
    for partition in 0..PARTITIONS {
        list.add_partition_offset(&name, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    let mut found = Found::default();
    let mut seen = BTreeSet::<ProposalId>::new();
    let mut ended = BTreeSet::new();
    while ended.len() < usize::try_from(PARTITIONS).unwrap() {
        match consumer.poll(ANSWER) {
            Some(Ok(message)) => {
                let value = message.payload().unwrap();
                let (outcome, _) = schemas.codec().decode::<Outcome>(value).unwrap();
                found.outcomes += 1;
                found.bytes += value.len();
                found.doubled += usize::from(!seen.insert(outcome.proposal_id));
                found.escalated += usize::from(outcome.decision.status == Status::Escalated);
            }
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(partition))) => {
                ended.insert(partition);
            }
            other => panic!("outcomes cannot be read: {other:?}"),
        }
    }
    let letters = house.topic(Topic::DeadLetters);
    let count = |partition| {
        consumer
            .fetch_watermarks(&letters, partition, ANSWER)
            .unwrap()
            .1
    };
    found.refused = (0..PARTITIONS).map(count).sum();
    found
}
