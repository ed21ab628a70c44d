//! Processors as members of their group: what a name is worth, and who is not taken.

use std::time::{Duration, Instant};

use crate::support::{House, Processor};

/// One expert who decides alone, and rounds that close as soon as it was heard.
const AGENTS: &str = r#"
[[agent]]
agent_id = "desk"

[[agent]]
agent_id = "ada"
domains = [{ domain = "pay", authority = 1.0, prior = { right = 57, wrong = 3, source = "test" } }]
"#;
const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
revision = "first"
early_close = true
deadline_default = "5 min"
proposer_counts = false
"#;

fn house(partitions: u32) -> House {
    House::alone(partitions, AGENTS, POLICIES)
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < until, "{what}: it never was so");
        // Only how often to look.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Starts a processor, and waits until it has restored so many partitions.
fn serving(house: &House, instance: &str, partitions: usize) -> Processor {
    let before = house.logged("restored");
    let processor = house.run_as(instance);
    until(instance, || house.logged("restored") >= before + partitions);
    processor
}

#[test]
fn a_processor_that_comes_back_soon_gets_its_partitions_and_nobody_else_notices() {
    let house = house(4);
    let one = serving(&house, "one", 4);
    let two = house.run_as("two");
    // Two engines each: once all four are members, each has one partition, and it stays so.
    let alone = |instance, partition| {
        let line = format!("assigned partitions=[{partition}]\n");
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
    let id = house.propose(&[
        "--proposer",
        "desk",
        "--domain",
        "pay",
        "--type",
        "payment.release",
        "--subject",
        "p-7",
        "--confidence",
        "0.9",
        "--stakes",
        "LOW",
    ]);
    house.respond(&id, "ada", "endorse", "0.9");
    house.records("outcomes", Some(&id), 1);
    newer.stop();
}
