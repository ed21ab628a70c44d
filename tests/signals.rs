//! How a processor ends when it is told to: everything read is committed, and whatever does not
//! answer keeps it for a bounded time only.

use std::time::Duration;

use quorate_core::topic::Topic;
use rdkafka::producer::Producer as _;

use crate::observe::{LONG, hanging};
use crate::registry::{
    AGENTS, HASTY, POLICIES, counted, endorse, later_schema, log_of, passed, prompt, propose_on,
};
use crate::support::proxy::Stage;
use crate::support::registry::{Door, Mood};
use crate::support::{House, Processor, load, parts, until_within};

/// Waits until a processor has come to something.
fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(Duration::from_secs(120), what, is_so);
}

fn propose(house: &House) {
    let who = ["--proposer", "desk", "--domain", "pay", "--stakes", "LOW"];
    let what = ["--type", "payment.release", "--subject", "payment-7"];
    house.propose(&[&who[..], &what[..], &["--confidence", "0.9"]].concat());
}

#[test]
fn a_processor_told_to_stop_before_a_broker_was_there_stops() {
    let house = House::at("127.0.0.1:1", "");
    let processor = house.run();
    // Left alone it would fail by itself, for want of a broker.
    until("it has started", || processor.listens());
    processor.stop();
}

#[test]
fn a_processor_told_to_stop_ends_what_it_began_and_told_again_ends_at_once() {
    let (house, proxy) = House::behind_proxy(1, &load::agents(), load::POLICIES);
    let mut processor = house.run();
    until("it serves", || house.logged("restored") == 1);
    proxy.hold(true);
    until("a commit is held back", || {
        propose(&house);
        proxy.stage() == Stage::Arrived
    });
    processor.signal("-TERM");
    assert_eq!(processor.status(), None, "it did not wait for its commit");
    proxy.hold(false);
    assert!(processor.ended().success());

    processor = house.run();
    until("it serves again", || house.logged("restored") == 2);
    proxy.hold(true);
    until("a commit is held back", || {
        propose(&house);
        proxy.stage() == Stage::Arrived
    });
    let mut ended = None;
    until("it ends although its commit does not", || {
        processor.signal("-TERM");
        ended = processor.status();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(130));
}

#[test]
fn a_processor_whose_broker_is_gone_still_stops() {
    let mut house = House::alone(1, &load::agents(), load::POLICIES);
    let processor = house.run();
    until("it serves", || house.logged("restored") == 1);
    house.lose_broker();
    processor.signal("-TERM");
    // How it ends depends on whether something was left to commit; that it ends does not.
    processor.ended();
}

/// A house whose rounds wait for two experts, and a door in front of its registry.
fn waiting() -> (House, Door) {
    let door = Door::before(&parts().registry);
    let policies = prompt(&POLICIES.replace("6s", "10 min"));
    (House::served_by(door.url(), 2, AGENTS, &policies), door)
}

/// A round that the first of two experts has endorsed, read to there, and nobody at work.
fn half_heard(house: &House, schema: Option<i32>) -> String {
    let processor = house.run_observed("one", HASTY);
    let id = propose_on(house, 0);
    match schema {
        Some(schema) => endorse(house, &id, "ada", schema, true),
        None => house.respond(&id, "ada", "endorse", "0.9"),
    }
    until("both are passed", || passed(&processor) >= 2.0);
    processor.stop();
    id
}

/// Tells a processor to stop that waits for something: it ends in peace, and gives nothing up.
fn stopped(house: &House, mut processor: Processor, awaited: &str) {
    let log = || std::fs::read_to_string(log_of(house)).unwrap();
    until("it waits", || log().contains(awaited));
    processor.signal("-TERM");
    let mut ended = None;
    until("it ends", || {
        ended = processor.status();
        ended.is_some()
    });
    let log = log();
    assert!(ended.unwrap().success(), "{ended:?}\n{log}");
    assert!(log.contains("stopped"), "{log}");
    for wrong in ["engine failed", "panicked"] {
        assert!(!log.contains(wrong), "{log}");
    }
}

/// Lets the second expert be heard by a processor that starts anew: the first was not forgotten.
fn nothing_was_lost(house: &House, id: &str) {
    let processor = house.run_configured("one", HASTY);
    house.respond(id, "ben", "endorse", "0.9");
    let outcome = house.records("outcomes", Some(id), 1).remove(0);
    assert_eq!(counted(&outcome), ["ada", "ben"]);
    processor.stop();
}

#[test]
fn a_processor_told_to_stop_while_the_registry_takes_its_time_stops() {
    let (house, door) = waiting();
    let schema = later_schema(&parts().registry, "tempo");
    // All that it asks by itself takes longer than anybody waits here.
    door.set(Mood::Slow);
    let processor = house.run_logged("one", HASTY, &log_of(&house));
    let id = propose_on(&house, 0);
    endorse(&house, &id, "ada", schema, true);
    stopped(&house, processor, "waiting for a schema");
    door.set(Mood::Sound);
    nothing_was_lost(&house, &id);
}

#[test]
fn a_processor_told_to_stop_while_a_partition_cannot_be_restored_without_the_registry_stops() {
    let (house, door) = waiting();
    let schema = later_schema(&parts().registry, "tide");
    let id = half_heard(&house, Some(schema));
    door.set(Mood::Deaf);
    let processor = house.run_logged("one", HASTY, &log_of(&house));
    stopped(&house, processor, "waits to be restored");
    door.set(Mood::Sound);
    nothing_was_lost(&house, &id);
}

#[test]
fn a_processor_told_to_stop_while_it_restores_stops() {
    let (house, _door) = waiting();
    let id = half_heard(&house, None);
    // A restore reads the scores to their end, which this hides.
    let stranger = hanging(&house, Topic::Trust);
    let processor = house.run_logged("one", HASTY, &log_of(&house));
    stopped(&house, processor, "assigned partitions=[0");
    stranger.abort_transaction(LONG).unwrap();
    nothing_was_lost(&house, &id);
}
