//! Responses that are gone before anybody read them: what happened while the processor was away.

use std::time::Duration;

use quorate::wire::partition_of;
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::{History, Plain};
use crate::support::oracle::Log;
use crate::support::place::Place;
use crate::support::{House, Processor, until};

/// Rounds on each partition that loses responses, before they are gone and after.
const ROUNDS: usize = 12;
/// How long they are open, in milliseconds: until a processor has stopped and another is there.
const OPEN: i64 = 20_000;
/// Where a processor was before, and where nobody was.
const LOSES: [i32; 2] = [0, 1];

impl History {
    /// Begins with rounds some of whose responses are gone when the processor comes (back).
    pub(crate) fn begun_with_loss(mut self, house: &House, run: impl Fn() -> Processor) -> Self {
        let log = Log::at(house.place(), self.partitions);
        let processor = run();
        let now = super::now();
        let mut open = self.rounds_at(LOSES[0], now);
        self.append_due(now);
        until("rounds to lose responses of", || {
            log.read(Topic::Rounds, LOSES[0]).len() == ROUNDS
        });
        processor.stop();
        let now = super::now();
        for partition in LOSES {
            open.extend(self.rounds_at(partition, now));
        }
        self.answer_all(&open, now);
        for partition in LOSES {
            forget_half(house, partition);
        }
        self.answer_all(&open, super::now());
        self
    }

    fn rounds_at(&mut self, partition: i32, now: i64) -> Vec<Plain> {
        let mut rounds = Vec::new();
        while rounds.len() < ROUNDS {
            let id = self.random.id(Timestamp(now));
            if partition_of(id.as_bytes(), self.partitions) == partition {
                let proposer = self.world.active(&mut self.random);
                rounds.push(self.plain(&proposer, "pay.out", now, now + OPEN, Some(id)));
            }
        }
        rounds
    }

    fn answer_all(&mut self, open: &[Plain], now: i64) {
        for round in open {
            for _ in 0..6 {
                let agent = self.world.expert(&mut self.random, "pay.out");
                self.answer(&round.said(), &agent, 70, now);
            }
        }
        self.append_due(now);
        self.appender.settle().unwrap();
    }
}

/// Deletes the first half of a partition's responses.
fn forget_half(house: &House, partition: i32) {
    let reader = house.place().reader();
    let (_, end) = reader.ends(Topic::Responses, partition).unwrap();
    forget(house, Topic::Responses, partition, end / 2);
}

/// Deletes what lies in a partition before an offset.
pub(crate) fn forget(house: &House, topic: Topic, partition: i32, before: i64) {
    match house.place() {
        Place::Kafka(_) => forget_on_kafka(house, topic, partition, before),
        Place::Blackboard(_) => {
            let file = rusqlite::Connection::open(house.file()).unwrap();
            let old = r#"DELETE FROM records
                WHERE topic = ?1 AND partition = ?2 AND "offset" < ?3"#;
            file.execute(old, (topic.name(), partition, before))
                .unwrap();
        }
    }
    let (start, _) = house.place().reader().ends(topic, partition).unwrap();
    assert_eq!(start, before);
}

#[expect(
    clippy::disallowed_methods,
    reason = "an operator's tools are not of our making"
)]
fn forget_on_kafka(house: &House, topic: Topic, partition: i32, before: i64) {
    let name = house.connection().topic(topic);
    let mut below = TopicPartitionList::new();
    below
        .add_partition_offset(&name, partition, Offset::Offset(before))
        .unwrap();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", house.bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(admin.delete_records(&below, &options))
        .unwrap();
}
