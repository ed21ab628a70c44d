//! A broker that is killed under load, and started again with what was on its disk.
//!
//! Brokers of 4.3.1 can forget then to end a transaction in its partitions that was to be
//! committed (`src/transport/kafka/settle.rs`): what it wrote stays open, and ends with another one.

use quorate_core::topic::Topic;

use super::{PARTITIONS, play, tell, times, until, wait};
use crate::support::load::{self, Random};
use crate::support::mortal::Mortal;
use crate::support::oracle::{Damage, Log};
use crate::support::proxy::Proxy;
use crate::support::{House, Processor};

#[test]
fn a_broker_killed_and_started_again_loses_nothing_that_was_acknowledged() {
    let fault = "`kill -9` of the broker, started again on its data";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let broker = Mortal::start();
    let house = House::at(broker.address(), "");
    house.furnish(PARTITIONS.unsigned_abs(), &load::agents(), load::POLICIES);
    let count = times(2, 20);
    let played = play(&house, &mut random, |random| {
        let processors = ["one", "two"].map(|name| house.run_as(name));
        let log = Log::at(house.connection(), PARTITIONS);
        let goes_on = || {
            let outcomes = log.count(Topic::Outcomes);
            until(|| log.count(Topic::Outcomes) > outcomes + 50);
        };
        for _ in 0..count {
            goes_on();
            wait(random.within(0..1_000));
            broker.kill();
            wait(random.within(0..1_000));
            broker.start_again();
        }
        goes_on();
        processors.into()
    });
    tell(fault, count, seed, &house, &played);
}

fn behind_proxy() -> (House, Mortal, Proxy) {
    let (broker, address, proxy) = Mortal::behind_proxy();
    let house = House::at(&address, "");
    house.furnish(PARTITIONS.unsigned_abs(), &load::agents(), load::POLICIES);
    (house, broker, proxy)
}

/// Kills the broker while the end of a transaction is kept from every partition. Started again, it
/// goes on with that when its partitions have no leader yet.
fn forget(
    house: &House,
    broker: &Mortal,
    proxy: &Proxy,
    random: &mut Random,
    start: impl Fn(&str) -> Processor,
    enough: impl Fn(usize) -> bool,
) -> Vec<Processor> {
    let one = start("one");
    let log = Log::at(house.connection(), PARTITIONS);
    for kills in 0.. {
        if enough(kills) {
            break;
        }
        assert!(kills < 20, "it never forgot");
        let outcomes = log.count(Topic::Outcomes);
        until(|| log.count(Topic::Outcomes) > outcomes);
        wait(random.within(500..1_500));
        let (kept, failed) = (proxy.kept(), house.logged("engine failed"));
        proxy.keep_markers(true);
        until(|| proxy.kept() > kept);
        broker.kill();
        proxy.keep_markers(false);
        // Every other time what waits for the broker gives up first, and begins anew; else all goes
        // on, and nothing is amiss but what was forgotten.
        if kills % 2 == 0 {
            until(|| house.logged("engine failed") > failed);
        }
        broker.start_again();
    }
    vec![one]
}

#[test]
fn a_transaction_whose_ends_were_forgotten_is_ended_as_it_began_to_end() {
    let fault = "a transaction that the broker, killed, forgot to end in its partitions";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let (house, broker, proxy) = behind_proxy();
    let count = times(1, 10);
    let forgotten = || house.logged("the rest of a transaction");
    let played = play(&house, &mut random, |random| {
        let start = |name: &str| house.run_as(name);
        forget(&house, &broker, &proxy, random, start, |_| {
            forgotten() >= count
        })
    });
    let count = forgotten();
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn a_transaction_whose_ends_were_forgotten_would_be_seen() {
    let switch = "torn-left";
    let (house, broker, proxy) = behind_proxy();
    // Its partition may also stand still: positions stay pending, and nothing comes any more.
    super::must_show_as(switch, &house, Damage::is_some, |random| {
        let start = |name: &str| house.run_faulty(name, switch);
        forget(&house, &broker, &proxy, random, start, |kills| kills == 1)
    });
}
