//! Processors that join and leave in good order, while partitions move between them.

use std::collections::BTreeMap;

use super::{house, play, tell, times, wait};
use crate::support::Processor;
use crate::support::load::Random;

const NAMES: [&str; 3] = ["one", "two", "three"];

#[test]
fn processors_may_join_and_leave_at_any_time() {
    let fault = "a processor joins, or leaves on SIGTERM";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    let count = times(8, 100);
    let played = play(&house, &mut random, |random| {
        let mut running = BTreeMap::from([(NAMES[0], house.run_as(NAMES[0]))]);
        for _ in 0..count {
            wait(random.within(1_000..4_000));
            let name = NAMES[usize::try_from(random.within(0..3)).unwrap()];
            match running.remove(name) {
                Some(processor) => Processor::stop(processor),
                None => drop(running.insert(name, house.run_as(name))),
            }
        }
        // Somebody has to go on.
        let last = running.remove(NAMES[0]);
        let last = last.unwrap_or_else(|| house.run_as(NAMES[0]));
        running.into_values().chain([last]).collect()
    });
    tell(fault, count, seed, &house, &played);
}
