//! How a processor ends when it is told to: everything read is committed, and whatever does not
//! answer keeps it for a bounded time only.

use std::time::Duration;

use crate::support::proxy::Stage;
use crate::support::{House, load, until_within};

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
