//! Processors as members of their group: what a name is worth, and who is not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};

use crate::support::people::{people, prompt_policies};
use crate::support::{House, Processor, until_within};

/// One expert who decides alone, and rounds that close as soon as it was heard.
const AGENTS: &str = people!(desk ada);
const POLICIES: &str = prompt_policies!();

fn house(partitions: u32) -> House {
    House::alone(partitions, AGENTS, POLICIES)
}

/// Waits until the group has come to something.
fn until(what: &str, is_so: impl Fn() -> bool) {
    until_within(Duration::from_secs(120), what, is_so);
}

/// Starts a processor, and waits until it has restored so many partitions.
fn serving(house: &House, instance: &str, partitions: usize) -> Processor {
    let before = house.logged("restored");
    let processor = house.run_as(instance);
    until(instance, || house.logged("restored") >= before + partitions);
    processor
}

/// Takes a proposal through the house.
fn decided(house: &House) {
    let who = ["--proposer", "desk", "--domain", "pay", "--stakes", "LOW"];
    let what = ["--type", "payment.release", "--subject", "payment-7"];
    let id = house.propose(&[&who[..], &what[..], &["--confidence", "0.9"]].concat());
    house.respond(&id, "ada", "endorse", "0.9");
    house.records("outcomes", Some(&id), 1);
}

#[test]
fn a_processor_that_comes_back_soon_gets_its_partitions_and_nobody_else_notices() {
    let house = house(4).patient();
    let one = serving(&house, "one", 4);
    let two = house.run_as("two");
    // Two engines each: once all four are members, each has one partition, and it stays so.
    let alone = |instance, partition| {
        let line = format!(r#""message":"assigned","partitions":"[{partition}]""#);
        house.logged_by(instance, &line) > 0
    };
    until("all are served", || {
        (0..2).all(|partition| alone("one", partition))
            && (2..4).all(|partition| alone("two", partition))
            && house.logged_by("two", "restored") >= 2
    });
    let served = house.logged_by("two", "restored");
    let noticed = || {
        let by = |text| house.logged_by("one", text);
        (by("revoked"), by("assigned"))
    };
    let before = noticed();

    two.kill();
    let two = house.run_as("two");
    until("two is back", || {
        house.logged_by("two", "restored") == served + 2
    });
    assert_eq!(noticed(), before, "the other was disturbed");

    two.stop();
    let two = house.run_as("two");
    until("two is back again", || {
        house.logged_by("two", "restored") == served + 4
    });
    assert_eq!(noticed(), before, "the other was disturbed");
    one.stop();
    two.stop();
}

#[test]
fn of_two_processors_with_one_name_the_older_one_ends_and_says_why() {
    let house = house(2);
    let older = serving(&house, "one", 2);
    let newer = serving(&house, "one", 2);
    let status = older.ended();
    assert_eq!(status.code(), Some(1));
    assert!(house.logged("another processor has started under the name") > 0);
    assert!(house.logged("--instance") > 0);
    // The newer one was not harmed.
    decided(&house);
    newer.stop();
}

/// Somebody else's consumer in the group of a house's processors, until it is let go.
struct Stranger {
    leave: Arc<AtomicBool>,
    stays: Option<JoinHandle<()>>,
}

impl Stranger {
    /// Joins, and returns once it has been given something.
    fn join(house: &House, settings: &[(&str, &str)]) -> Self {
        let group = format!("{}processor", house.prefix);
        let own = [
            ("bootstrap.servers", house.bootstrap()),
            ("group.id", &group),
        ];
        let own = own.iter().chain(settings);
        let config: ClientConfig = own
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        let consumer: BaseConsumer = config.create().unwrap();
        let topic = format!("{}responses", house.prefix);
        consumer.subscribe(&[&topic]).unwrap();
        until("the stranger joins", || {
            let _nothing = consumer.poll(Duration::from_millis(10));
            consumer.assignment().unwrap().count() > 0
        });
        let leave = Arc::new(AtomicBool::new(false));
        let left = Arc::clone(&leave);
        let stays = std::thread::spawn(move || {
            while !left.load(Ordering::Relaxed) {
                let _nothing = consumer.poll(Duration::from_millis(10));
            }
        });
        let stays = Some(stays);
        Self { leave, stays }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
        self.stays.take().unwrap().join().unwrap();
    }
}

#[test]
fn a_group_in_use_under_another_assignor_is_refused_until_it_is_free() {
    let house = house(2);
    let stranger = Stranger::join(&house, &[("partition.assignment.strategy", "roundrobin")]);
    let status = house.run_as("one").ended();
    assert_eq!(status.code(), Some(1));
    assert!(house.logged("by another rule than `range`") > 0);
    assert!(house.logged("kafka-consumer-groups --describe --group") > 0);
    drop(stranger);
    serving(&house, "one", 2).stop();
}

#[test]
fn nobody_works_on_a_part_of_a_partition() {
    let house = house(2);
    let one = serving(&house, "one", 2);
    // Under the newer protocol the broker shares the partitions, by a rule of its own.
    let stranger = Stranger::join(&house, &[("group.protocol", "consumer")]);
    until("the processor says why it does not work", || {
        house.logged("but not of responses") > 0
    });
    drop(stranger);
    decided(&house);
    one.stop();
}
