//! Live: from a round's deadline to its outcome as somebody who acts on it sees it, under a steady
//! load, and where a partition falls silent after one answer.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate::clock::{Clock as _, System};
use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::topic::Topic;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::house::House;
use super::load::{Load, Plan};
use super::meter::{self, percentile};
use super::parts::Parts;
use super::progress::Progress;
use super::sizes::{PARTITIONS, PER, Sizes};
use super::table::Run;

/// Responses a second.
const RATE: usize = 2_000;
/// From proposal to deadline, in milliseconds.
const DEADLINE: i64 = 1_000;

type Times = BTreeMap<ProposalId, Timestamp>;

pub(crate) fn under_load(parts: &Parts, sizes: &Sizes) -> Run {
    let house = House::furnished(parts);
    let processor = house.run(sizes.engines);
    let mut load = settled(&house);
    let plan = Plan {
        rounds: RATE / PER * sizes.seconds,
        pace: Some(RATE / PER),
        per: PER,
        deadline: DEADLINE,
        within: 900,
        verdict: None,
    };
    let mut deadlines = Times::new();
    let stop = AtomicBool::new(false);
    let outcomes = watcher(&house);
    let (arrived, cores, broker) = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&outcomes, &stop));
        let began = Instant::now();
        let (own, broker) = (meter::cpu(processor.id()), meter::cpu(parts.broker));
        load.follow(plan, |id, deadline| {
            deadlines.insert(id, deadline);
        });
        let took = began.elapsed().as_secs_f64();
        let cores = (meter::cpu(processor.id()) - own) / took;
        let broker = (meter::cpu(parts.broker) - broker) / took;
        thread::sleep(Duration::from_millis(DEADLINE.unsigned_abs() + 5_000));
        stop.store(true, Ordering::Relaxed);
        (watch.join().unwrap(), cores, broker)
    });
    let first = deadlines.values().min().unwrap().0 + i64::try_from(sizes.warm).unwrap() * 1_000;
    deadlines.retain(|_, deadline| deadline.0 >= first);
    said("live", &deadlines, &arrived)
        .with("cores", cores)
        .with("broker cores", broker)
        .with("peak MB", meter::peak(processor.id()))
}

pub(crate) fn silence(parts: &Parts, sizes: &Sizes) -> Run {
    let house = House::furnished(parts);
    let _processor = house.run(sizes.engines);
    let mut load = settled(&house);
    let mut deadlines = Times::new();
    let stop = AtomicBool::new(false);
    let outcomes = watcher(&house);
    let arrived = thread::scope(|scope| {
        let watch = scope.spawn(|| watch(&outcomes, &stop));
        for _ in 0..sizes.silences * usize::try_from(PARTITIONS).unwrap() {
            let (round, _, deadline) = load.propose(DEADLINE);
            load.respond(&round, 0, None);
            load.flush();
            deadlines.insert(round.id(), deadline);
            // One after the other, so that no round's answer is another's stream time.
            thread::sleep(Duration::from_millis(DEADLINE.unsigned_abs() + 700));
        }
        stop.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });
    said("silence", &deadlines, &arrived)
}

/// A load, once the processor has taken a first round to its outcome.
fn settled(house: &House<'_>) -> Load {
    let mut load = Load::on(house, 2);
    for _ in 0..64 {
        let (round, ..) = load.propose(DEADLINE);
        load.respond(&round, 0, None);
    }
    load.flush();
    let progress = Progress::of(house);
    progress.wait("start", |now| now.values().all(|next| *next > 0));
    thread::sleep(Duration::from_secs(3));
    load
}

fn watcher(house: &House<'_>) -> BaseConsumer {
    let settings = [
        ("group.id", format!("{}watch", house.prefix)),
        ("enable.auto.commit", "false".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
    ];
    let consumer: BaseConsumer = house.client(settings).create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let name = house.topic(Topic::Outcomes);
        list.add_partition_offset(&name, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&list).unwrap();
    consumer
}

/// When each outcome was seen first.
fn watch(outcomes: &BaseConsumer, stop: &AtomicBool) -> Times {
    let mut arrived = Times::new();
    while !stop.load(Ordering::Relaxed) {
        let Some(message) = outcomes.poll(Duration::from_millis(50)) else {
            continue;
        };
        let now = System.now();
        let message = message.unwrap();
        let key = std::str::from_utf8(message.key().unwrap()).unwrap();
        arrived.entry(key.parse().unwrap()).or_insert(now);
    }
    arrived
}

/// Latencies of the rounds that were looked at, all of which must have an outcome.
fn said(stage: &str, deadlines: &Times, arrived: &Times) -> Run {
    let late =
        |(id, deadline): (&ProposalId, &Timestamp)| Some(arrived.get(id)?.since(*deadline).0);
    let mut late: Vec<i64> = deadlines.iter().filter_map(late).collect();
    assert_eq!(late.len(), deadlines.len(), "outcomes are missing");
    Run::new(stage, "quorate")
        .with("p50 ms", percentile(&mut late, 0.5))
        .with("p90 ms", percentile(&mut late, 0.9))
        .with("p99 ms", percentile(&mut late, 0.99))
        .with("max ms", percentile(&mut late, 1.0))
}
