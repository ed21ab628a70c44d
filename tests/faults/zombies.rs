//! Those that are thought dead and are not: a paused processor that comes back, and an end of a
//! transaction that arrives late.

use super::{
    PARTITIONS, has_halted, house, play, stopped_in_a_transaction, tell, times, until, wait,
};
use crate::support::load::{self, Random};
use crate::support::proxy::{Proxy, Stage};
use crate::support::{House, Processor};

/// Pauses processors so often, and on until `enough`, for longer than their sessions last and every
/// third time for longer than their transactions do too; the one that is left was among them.
fn pause(
    house: &House,
    random: &mut Random,
    pauses: usize,
    start: impl Fn(&str) -> Processor,
    enough: impl Fn() -> bool,
) -> Vec<Processor> {
    let one = start("one");
    let two = start("two");
    for number in 0.. {
        if number >= pauses && enough() {
            break;
        }
        // Where in its work one is paused is left to chance, and chance is given time.
        assert!(number < pauses + 20, "it never was enough");
        let (paused, other) = if number % 2 == 0 {
            (&one, "two")
        } else {
            (&two, "one")
        };
        let millis = if number % 3 == 2 { 10_000 } else { 5_500 };
        wait(random.within(3_500..5_500));
        let taken = || ["restored", "kept"].map(|how| house.logged_by(other, how));
        let before = taken();
        stopped_in_a_transaction(paused);
        wait(millis);
        // A broker with little time has not given its place away sooner than this.
        until(|| taken() > before);
        paused.resume();
    }
    wait(random.within(3_000..5_000));
    // What is decided from here on, the one that was paused decides alone.
    two.stop();
    wait(2_000);
    vec![one]
}

#[test]
fn a_paused_processor_is_fenced() {
    let fault = "SIGSTOP past the session timeout, then SIGCONT";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    let count = times(3, 30);
    let played = play(&house, &mut random, |random| {
        let fenced = || house.logged("engine failed") > 0;
        pause(&house, random, count, |name| house.run_as(name), fenced)
    });
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn a_paused_processor_that_is_not_fenced_would_be_seen() {
    let switch = "fencing-off";
    let house = house();
    super::must_show(switch, &house, |random| {
        let start = |name: &str| house.run_faulty(name, switch);
        pause(&house, random, 2, start, || true)
    });
}

/// A house whose broker is behind a proxy.
pub(super) fn behind_proxy() -> (House, Proxy) {
    let partitions = PARTITIONS.unsigned_abs();
    House::behind_proxy(partitions, &load::agents(), load::POLICIES)
}

/// Holds ends of transactions back until the next one is under way, then kills whose it is.
fn hold(
    house: &House,
    proxy: &Proxy,
    random: &mut Random,
    ends: usize,
    start: impl Fn(&str) -> Processor,
) -> Vec<Processor> {
    let taken = house.logged("restored");
    let mut one = start("one");
    until(|| house.logged("restored") > taken);
    for _ in 0..ends {
        wait(random.within(1_500..2_500));
        proxy.hold(true);
        // An engine whose partition has halted for the damage begins no other transaction.
        until(|| proxy.stage() == Stage::Arrived || has_halted(house));
        // What the late end would have committed of an open transaction is there now, and the
        // positions are not; no other end passes until it is killed.
        wait(100);
        one.kill();
        proxy.hold(false);
        one = start("one");
    }
    vec![one]
}

#[test]
fn an_end_of_a_transaction_that_arrives_late_ends_no_other() {
    let fault = "an EndTxn held back until the next transaction, then `kill -9`";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let (house, proxy) = behind_proxy();
    let count = times(3, 40);
    let played = play(&house, &mut random, |random| {
        hold(&house, &proxy, random, count, |name| house.run_as(name))
    });
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn an_end_of_a_transaction_that_hits_the_next_would_be_seen() {
    let switch = "producer-kept";
    let (house, proxy) = behind_proxy();
    super::must_show(switch, &house, |random| {
        hold(&house, &proxy, random, 2, |name| {
            house.run_faulty(name, switch)
        })
    });
}
