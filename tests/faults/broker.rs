//! A broker that is killed under load, and started again with what was on its disk.

use quorate_core::topic::Topic;

use super::{PARTITIONS, play, tell, times, until, wait};
use crate::support::House;
use crate::support::load::{self, Random};
use crate::support::mortal::Mortal;
use crate::support::oracle::Log;

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
