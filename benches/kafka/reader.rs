//! The bare reader: what it costs to read `acp.responses` and decode it, and to do nothing with it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use quorate::wire::Kind;
use quorate_core::records::Response;
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::house::House;
use super::meter;
use super::progress::Progress;
use super::sizes::PARTITIONS;
use super::table::Run;

/// Length of the framing header before a datum.
const HEADER: usize = 5;

pub(crate) fn bare(house: &House<'_>) -> Run {
    let records: i64 = Progress::of(house).ends().values().sum();
    let consumer: BaseConsumer = house
        .client([
            ("group.id", format!("{}reader", house.prefix)),
            ("enable.auto.commit", "false".to_owned()),
            ("fetch.queue.backoff.ms", "5".to_owned()),
            ("fetch.wait.max.ms", "50".to_owned()),
            ("check.crcs", "false".to_owned()),
        ])
        .create()
        .unwrap();
    let schema: serde_avro_fast::Schema = Kind::Response.schema().parse().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let name = house.topic(Topic::Responses);
        list.add_partition_offset(&name, partition, Offset::Beginning)
            .unwrap();
    }
    by_us(house, "bare reader", || {
        consumer.assign(&list).unwrap();
        for _ in 0..records {
            let message = consumer.poll(Duration::from_secs(10)).unwrap().unwrap();
            if let Some(datum) = message.payload().and_then(|value| value.get(HEADER..)) {
                let read = serde_avro_fast::from_datum_slice::<Response<'_>>(datum, &schema);
                black_box(read.unwrap());
            }
        }
        records
    })
}

/// What the bench itself takes to do something with so many responses.
pub(crate) fn by_us(house: &House<'_>, who: &str, work: impl FnOnce() -> i64) -> Run {
    let (us, broker) = (std::process::id(), house.parts.broker);
    let (own, before) = (meter::cpu(us), meter::cpu(broker));
    let began = Instant::now();
    let responses = work() as f64;
    let took = began.elapsed().as_secs_f64();
    let (own, broker) = (meter::cpu(us) - own, meter::cpu(broker) - before);
    Run::new("drain", who)
        .with("responses/s", responses / took)
        .with("CPU µs a response", own * 1e6 / responses)
        .with("broker CPU µs a response", broker * 1e6 / responses)
}
