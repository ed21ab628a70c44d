//! Processors that are killed and paused under load, on a broker of each test's own: whatever
//! happens to them, what comes of the log is what would have come of it anyway.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use quorate::clock::{Clock as _, System};
use quorate_core::ids::Timestamp;

use crate::support::load::{self, Appended, Load, Random};
use crate::support::oracle::{Findings, Log};
use crate::support::proxy::Stage;
use crate::support::{House, Processor};

const PARTITIONS: i32 = 3;
/// How long the processors have to catch up with a load that has ended.
const CATCH_UP: Duration = Duration::from_secs(90);

fn house() -> House {
    let partitions = PARTITIONS.unsigned_abs();
    House::alone(partitions, &load::agents(), load::POLICIES)
}

/// Lets a load and a fault go on for some milliseconds.
fn wait(millis: i64) {
    thread::sleep(Duration::from_millis(millis.unsigned_abs()));
}

/// Waits until something is so.
fn until(is_so: impl Fn() -> bool) {
    let until = Instant::now() + CATCH_UP;
    while !is_so() {
        assert!(Instant::now() < until, "it never was so");
        // Only how often to look.
        wait(50);
    }
}

/// Waits until what came of the log is what must; what that is.
fn caught_up(log: &Log) -> Findings {
    let until = Instant::now() + CATCH_UP;
    loop {
        let (expected, found) = (log.expected(), log.found());
        let differ = found.differ(&expected);
        if differ.is_empty() {
            return found;
        }
        assert!(Instant::now() < until, "not caught up:\n{differ}");
        // Only how often to look.
        wait(1_000);
    }
}

/// Lets the fault play while a load runs; what was appended, and what came of it.
fn under_load(
    house: &House,
    random: &mut Random,
    fault: impl FnOnce(&mut Random) -> Vec<Processor>,
) -> (Log, Appended, Findings) {
    let stop = AtomicBool::new(false);
    let load = Load::on(house, PARTITIONS, random.fork());
    let (appended, processors) = thread::scope(|scope| {
        let loading: ScopedJoinHandle<'_, Appended> = scope.spawn(|| load.run(&stop));
        // Whatever the fault does, the load ends, or a failure would never be heard of.
        let fault = std::panic::AssertUnwindSafe(|| fault(random));
        let played = std::panic::catch_unwind(fault);
        stop.store(true, Ordering::Relaxed);
        let appended = loading.join().unwrap();
        (
            appended,
            played.unwrap_or_else(|why| std::panic::resume_unwind(why)),
        )
    });
    let log = Log::at(house.connection(), PARTITIONS);
    caught_up(&log);
    processors.into_iter().for_each(Processor::stop);
    // Nothing more is said by then; whatever was said twice is there.
    let (expected, found) = (log.expected(), log.found());
    assert_eq!(found.differ(&expected), "");
    assert!(found.decided.values().all(|count| *count == 1));
    assert!(found.refused.values().all(|count| *count == 1));
    (log, appended, found)
}

fn tell(test: &str, house: &House, appended: Appended, found: &Findings) {
    let Appended {
        rounds,
        responses,
        millis,
    } = appended;
    let count = i64::try_from(responses).unwrap();
    let rate = count * 1_000 / millis;
    eprintln!(
        "{test}: {rounds} rounds, {responses} responses in {millis} ms ({rate}/s); {} outcomes, {} \
         escalations, dead letters {:?}; {} sessions failed",
        found.decided.len(),
        found.escalated.len(),
        found.codes(),
        house.logged("engine failed"),
    );
    assert!(rounds >= 200, "{rounds} rounds");
    assert!(
        found.decided.len() >= rounds - rounds / 20,
        "{rounds} rounds"
    );
}

/// The kills that made an open transaction be given up: the last one before its successor wrote.
fn hits(log: &Log, kills: &[Timestamp]) -> usize {
    let given_up = log.given_up();
    let blame = |(_, to): &(Timestamp, Timestamp)| kills.iter().rposition(|kill| kill < to);
    let blamed: std::collections::BTreeSet<_> = given_up.iter().filter_map(blame).collect();
    blamed.len()
}

#[test]
fn a_processor_killed_again_and_again_loses_and_doubles_nothing() {
    let test = "killed again and again";
    let mut random = Random::of_this_run(test);
    let house = house();
    let names = ["one", "two"];
    let mut kills = Vec::new();
    let (log, appended, found) = under_load(&house, &mut random, |random| {
        let mut running = names.map(|name| Some(house.run_as(name)));
        for number in 0..10 {
            // Every third one soon after a restart, while partitions move or are restored.
            let pause = if number % 3 == 2 {
                random.within(200..1_500)
            } else {
                random.within(4_500..6_500)
            };
            wait(pause);
            let which = usize::try_from(random.within(0..2)).unwrap();
            kills.push(System.now());
            running[which].take().unwrap().kill();
            running[which] = Some(house.run_as(names[which]));
        }
        running.into_iter().flatten().collect()
    });
    let hits = hits(&log, &kills);
    eprintln!(
        "{test}: {} kills, {hits} with a transaction open",
        kills.len()
    );
    tell(test, &house, appended, &found);
    assert!(hits > 0);
}

#[test]
fn a_paused_processor_is_fenced() {
    let test = "paused";
    let mut random = Random::of_this_run(test);
    let house = house();
    let (_, appended, found) = under_load(&house, &mut random, |random| {
        let one = house.run_as("one");
        let two = house.run_as("two");
        // First for longer than its session lasts, then than its transaction does too.
        for (paused, seconds) in [(&one, 4), (&two, 4), (&one, 9)] {
            wait(random.within(5_000..7_000));
            let taken = house.logged("restored");
            paused.pause();
            wait(seconds * 1_000);
            paused.resume();
            until(|| house.logged("restored") > taken);
        }
        wait(random.within(3_000..5_000));
        // What is decided from here on, the one that was paused decides alone.
        two.stop();
        wait(2_000);
        vec![one]
    });
    tell(test, &house, appended, &found);
    assert!(house.logged("engine failed") > 0, "nobody was fenced");
}

#[test]
fn an_end_of_a_transaction_that_arrives_late_ends_no_other() {
    let test = "late end";
    let mut random = Random::of_this_run(test);
    let partitions = PARTITIONS.unsigned_abs();
    let (house, proxy) = House::behind_proxy(partitions, &load::agents(), load::POLICIES);
    let (_, appended, found) = under_load(&house, &mut random, |random| {
        let mut one = house.run_as("one");
        until(|| house.logged("restored") > 0);
        for _ in 0..3 {
            wait(random.within(1_500..2_500));
            proxy.hold(true);
            until(|| proxy.stage() == Stage::Arrived);
            // What the late end would have committed of an open transaction is there now, and the
            // positions are not; no other end passes until it is killed.
            wait(100);
            one.kill();
            proxy.hold(false);
            one = house.run_as("one");
        }
        vec![one]
    });
    tell(test, &house, appended, &found);
}
