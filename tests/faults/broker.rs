//! A broker that is killed under load, and started again with what was on its disk.
//!
//! Brokers of 4.3.1 can forget then to end a transaction in its partitions that was to be
//! committed (`src/transport/kafka/settle.rs`): what it wrote stays open, and ends with another one. How
//! often they do hangs on the machine, so that a proxy brings it about.

use std::time::Duration;

use quorate_core::topic::Topic;

use super::zombies::behind_proxy;
use super::{PARTITIONS, play, tell, times, until, wait, within};
use crate::support::load::{self, Random};
use crate::support::mortal::Mortal;
use crate::support::oracle::{Damage, Log};
use crate::support::proxy::Proxy;
use crate::support::{House, Processor};

/// How long what waits for a lost broker is waited for in turn, if it gives up at all.
const GIVES_UP: Duration = Duration::from_secs(15);

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

/// Has the coordinator call a transaction ended that it did not end, as a broker does that
/// comes back when its partitions have no leader yet; the broker is lost in that moment.
fn forget(
    house: &House,
    proxy: &Proxy,
    random: &mut Random,
    start: impl Fn(&str) -> Processor,
    enough: impl Fn(usize) -> bool,
) -> Vec<Processor> {
    let one = start("one");
    let log = Log::at(house.connection(), PARTITIONS);
    for turn in 0.. {
        if enough(turn) {
            break;
        }
        assert!(turn < 20, "waited in vain: nothing was left to be ended");
        let outcomes = log.count(Topic::Outcomes);
        until(|| log.count(Topic::Outcomes) > outcomes);
        wait(random.within(500..1_500));
        let failed = house.logged("engine failed");
        proxy.lose_markers();
        until(|| proxy.is_down());
        // Every other time what waits for the broker may give up first, and begin anew; who has nothing
        // under way does not. Else all goes on, and nothing is amiss but what was forgotten.
        if turn % 2 == 0 {
            let _gave_up = within(GIVES_UP, || house.logged("engine failed") > failed);
        } else {
            wait(random.within(500..2_500));
        }
        let looked = house.logged("what a transaction left");
        proxy.come_back();
        // Nothing else is lost before that was looked after.
        within(GIVES_UP, || {
            house.logged("what a transaction left") > looked
        });
    }
    vec![one]
}

#[test]
fn a_transaction_whose_ends_were_forgotten_is_ended_as_it_began_to_end() {
    let fault = "a transaction that the broker, lost, took for ended and was not";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let (house, proxy) = behind_proxy();
    let count = times(2, 40);
    let forgotten = || house.logged("the rest of a transaction");
    let played = play(&house, &mut random, |random| {
        let start = |name: &str| house.run_as(name);
        forget(&house, &proxy, random, start, |_| forgotten() >= count)
    });
    let count = forgotten();
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn a_transaction_whose_ends_were_forgotten_would_be_seen() {
    let switch = "torn-left";
    let (house, proxy) = behind_proxy();
    // Its partition may also stand still: positions stay pending, and nothing comes any more.
    super::must_show_as(switch, &house, Damage::is_some, |random| {
        let start = |name: &str| house.run_faulty(name, switch);
        forget(&house, &proxy, random, start, |turns| turns == 2)
    });
}

/// The same by a broker that is truly killed: whether it forgets depends on how soon its partitions
/// have a leader again, and so on the machine.
#[test]
fn a_broker_killed_while_it_ended_a_transaction_loses_nothing() {
    let fault = "`kill -9` of the broker while it ended a transaction";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let (broker, address, proxy) = Mortal::behind_proxy();
    let house = House::at(&address, "");
    house.furnish(PARTITIONS.unsigned_abs(), &load::agents(), load::POLICIES);
    let count = times(2, 20);
    let played = play(&house, &mut random, |random| {
        let one = house.run_as("one");
        let log = Log::at(house.connection(), PARTITIONS);
        for _ in 0..count {
            let outcomes = log.count(Topic::Outcomes);
            until(|| log.count(Topic::Outcomes) > outcomes);
            wait(random.within(500..1_500));
            let kept = proxy.kept();
            proxy.keep_markers(true);
            until(|| proxy.kept() > kept);
            broker.kill();
            proxy.keep_markers(false);
            broker.start_again();
        }
        vec![one]
    });
    let forgot = house.logged("the rest of a transaction");
    tell(
        fault,
        format!("{count}, {forgot} forgotten"),
        seed,
        &house,
        &played,
    );
}
