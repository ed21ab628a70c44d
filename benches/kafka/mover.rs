//! The floor: a process that reads what a processor reads and writes what it writes, to the byte,
//! exactly once, and works nothing out. Nobody who does the job through this client takes less.

use std::collections::BTreeMap;
use std::iter::Cycle;
use std::slice;
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::house::House;
use super::load;
use super::progress::Progress;
use super::reader::by_us;
use super::sizes::{PARTITIONS, Sizes};
use super::table::Run;

/// As the product commits.
const COMMITS: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(30);
/// What a processor puts out for a round.
const OUTPUTS: [Topic; 3] = [Topic::Rounds, Topic::Outcomes, Topic::Escalations];
/// What it reads of one.
const INPUTS: [Topic; 2] = [Topic::Proposals, Topic::Responses];
/// Records of each topic that are written again and again.
const SAMPLE: usize = 2_000;

/// Moves what a processor moved that has drained `house`, with as many threads as it had engines.
pub(crate) fn bare(house: &House<'_>, sizes: &Sizes) -> Run {
    let to = House::furnished(house.parts);
    let samples = OUTPUTS.map(|topic| Sample::of(house, &to, topic));
    let engines = i32::try_from(sizes.engines).unwrap();
    let one = |engine| {
        let partitions = (0..PARTITIONS).filter(|partition| partition % engines == engine);
        let mut mover = Mover::new((house, &to), engine, &partitions.collect::<Vec<_>>());
        mover.run(samples.iter().map(Flow::of).collect())
    };
    let all = || {
        thread::scope(|scope| {
            let movers = (0..engines).map(|engine| scope.spawn(move || one(engine)));
            let movers: Vec<_> = movers.collect();
            movers.into_iter().map(|mover| mover.join().unwrap()).sum()
        })
    };
    by_us(house, "bare mover", all)
}

/// A record's key, and its value if it has one.
type Written = (Vec<u8>, Option<Vec<u8>>);

/// Some of what a processor wrote to a topic, and how much of it there was for a response.
struct Sample {
    /// Where it is written again.
    to: String,
    records: Vec<Written>,
    a_response: f64,
}

impl Sample {
    fn of(house: &House<'_>, to: &House<'_>, topic: Topic) -> Self {
        let consumer: BaseConsumer = reader(house, "sample").create().unwrap();
        let ends = Progress::on(house, topic).ends();
        let written: i64 = ends.values().sum();
        let responses: i64 = Progress::of(house).ends().values().sum();
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&house.topic(topic), 0, Offset::Beginning)
            .unwrap();
        consumer.assign(&list).unwrap();
        let first = ends.get(&0).copied().unwrap();
        let enough = SAMPLE.min(usize::try_from(first).unwrap() / 2);
        let mut records = Vec::new();
        while records.len() < enough {
            let message = consumer.poll(PATIENCE).unwrap().unwrap();
            let key = message.key().unwrap_or_default().to_vec();
            records.push((key, message.payload().map(<[u8]>::to_vec)));
        }
        Self {
            to: to.topic(topic),
            records,
            // Ends of transactions are counted with it, a few in ten thousand.
            a_response: written as f64 / responses as f64,
        }
    }
}

/// A sample that is being written.
struct Flow<'a> {
    sample: &'a Sample,
    records: Cycle<slice::Iter<'a, Written>>,
    owed: f64,
}

impl<'a> Flow<'a> {
    fn of(sample: &'a Sample) -> Self {
        Self {
            sample,
            records: sample.records.iter().cycle(),
            owed: 0.0,
        }
    }
}

/// A consumer as an engine's.
fn reader(house: &House<'_>, group: &str) -> ClientConfig {
    house.client([
        ("group.id", format!("{}{group}", house.prefix)),
        ("enable.auto.commit", "false".to_owned()),
        ("enable.auto.offset.store", "false".to_owned()),
        ("isolation.level", "read_committed".to_owned()),
        ("fetch.queue.backoff.ms", "5".to_owned()),
        ("fetch.wait.max.ms", "50".to_owned()),
        ("fetch.message.max.bytes", "524288".to_owned()),
        ("queued.max.messages.kbytes", "1024".to_owned()),
    ])
}

/// What an engine is without what it works out.
struct Mover {
    consumer: BaseConsumer,
    producer: BaseProducer,
    responses: String,
    /// How far each partition of each input is read, and its end.
    places: BTreeMap<(String, i32), (i64, i64)>,
}

impl Mover {
    fn new((from, to): (&House<'_>, &House<'_>), engine: i32, partitions: &[i32]) -> Self {
        let consumer: BaseConsumer = reader(from, &format!("mover-{engine}")).create().unwrap();
        // As an engine's.
        let producer: BaseProducer = to
            .client([
                ("transactional.id", format!("{}mover-{engine}", to.prefix)),
                ("linger.ms", "10".to_owned()),
                ("batch.size", "262144".to_owned()),
                ("compression.type", "lz4".to_owned()),
                ("message.max.bytes", "10000000".to_owned()),
            ])
            .create()
            .unwrap();
        let mut places = BTreeMap::new();
        let mut list = TopicPartitionList::new();
        for topic in INPUTS {
            let (name, ends) = (from.topic(topic), Progress::on(from, topic).ends());
            for partition in partitions {
                list.add_partition_offset(&name, *partition, Offset::Beginning)
                    .unwrap();
                let end = ends.get(partition).copied().unwrap();
                places.insert((name.clone(), *partition), (0, end));
            }
        }
        consumer.assign(&list).unwrap();
        producer.init_transactions(PATIENCE).unwrap();
        Self {
            consumer,
            producer,
            responses: from.topic(Topic::Responses),
            places,
        }
    }

    /// Moves everything; how many responses there were.
    fn run(&mut self, mut flows: Vec<Flow<'_>>) -> i64 {
        let mut responses = 0;
        let mut committed = Instant::now();
        let mut left = self.places.len();
        self.producer.begin_transaction().unwrap();
        while left > 0 {
            if let Some(message) = self.consumer.poll(Duration::from_millis(10)) {
                let message = message.unwrap();
                let place = (message.topic().to_owned(), message.partition());
                let (next, end) = self.places.get_mut(&place).unwrap();
                *next = message.offset() + 1;
                left -= usize::from(next == end);
                if place.0 == self.responses {
                    responses += 1;
                    for flow in &mut flows {
                        write(&self.producer, place.1, flow);
                    }
                }
            }
            if committed.elapsed() >= COMMITS {
                self.commit();
                committed = Instant::now();
                self.producer.begin_transaction().unwrap();
            }
        }
        self.commit();
        responses
    }

    fn commit(&self) {
        self.producer.flush(PATIENCE).unwrap();
        let mut positions = TopicPartitionList::new();
        for ((topic, partition), (next, _)) in &self.places {
            positions
                .add_partition_offset(topic, *partition, Offset::Offset(*next))
                .unwrap();
        }
        let member = self.consumer.group_metadata().unwrap();
        self.producer
            .send_offsets_to_transaction(&positions, &member, PATIENCE)
            .unwrap();
        self.producer.commit_transaction(PATIENCE).unwrap();
    }
}

/// Writes what is due once another response has been read.
fn write(producer: &BaseProducer, partition: i32, flow: &mut Flow<'_>) {
    flow.owed += flow.sample.a_response;
    while flow.owed >= 1.0 {
        flow.owed -= 1.0;
        let (key, value) = flow.records.next().unwrap();
        let mut record = BaseRecord::to(&flow.sample.to)
            .partition(partition)
            .key(key);
        record.payload = value.as_ref();
        load::send(producer, record);
    }
}
