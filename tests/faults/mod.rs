//! Faults under load, on a broker of each test's own: whatever happens to processors, broker and
//! group, what comes of the log is what would have come of it anyway.
//!
//! What must come is said by engines that were never interrupted ([`Log::expected`]). Each kind of
//! defence has a switch that takes it away; with it the same scenario must be seen to do damage, or
//! it would prove nothing. The store is in memory, so that every kill is also a store deleted.
//!
//! `QUORATE_TEST_SEED` repeats a run as far as time allows, `QUORATE_SOAK` makes it
//! many times longer, and `QUORATE_RELIABILITY` names a file that takes a line of figures for each scenario.

mod blackboard;
mod broker;
mod early;
mod group;
mod kills;
mod lag;
mod moves;
mod pending;
mod poison;
mod worst;
mod zombies;

use std::fmt::Display;
use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;

use crate::support::load::{self, Appended, Load, Random};
use crate::support::oracle::{Damage, Findings, Log};
use crate::support::{House, Processor};

const PARTITIONS: i32 = 3;
/// How long anything may take before a test fails; nothing waits that long when it works, however
/// few processors the machine has.
const CATCH_UP: Duration = Duration::from_secs(600);
/// Outcomes without which a scenario proves little; a load goes on until they are there.
const ENOUGH: usize = 200;
/// How long nothing new comes of a log before it is worth the while to compare all of it.
const QUIET: Duration = Duration::from_secs(2);
/// How long what is missing from a log may still come before a switch is tried again.
const MAY_COME: Duration = Duration::from_secs(180);
/// Looks at a log after which what is wrong with it counts as staying so.
const LOOKS: usize = 8;
/// How often a switch may be tried until it shows.
#[cfg(debug_assertions)]
const ATTEMPTS: usize = 20;

fn house() -> House {
    let partitions = PARTITIONS.unsigned_abs();
    House::alone(partitions, &load::agents(), load::POLICIES)
}

fn house_on_blackboard() -> House {
    let partitions = PARTITIONS.unsigned_abs();
    House::on_blackboard(partitions, &load::agents(), load::POLICIES)
}

/// How many times a fault is played, in `make test` and in `make soak`.
fn times(short: usize, long: usize) -> usize {
    if std::env::var_os("QUORATE_SOAK").is_some() {
        long
    } else {
        short
    }
}

/// Lets a load and a fault go on for some milliseconds.
fn wait(millis: i64) {
    thread::sleep(Duration::from_millis(millis.unsigned_abs()));
}

/// Waits until something is so.
#[track_caller]
fn until(is_so: impl FnMut() -> bool) {
    assert!(within(CATCH_UP, is_so), "waited in vain: it never was so");
}

/// Waits until something is so, but not for longer than that; whether it came to be so.
fn within(patience: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !is_so() {
        if Instant::now() > until {
            return false;
        }
        // Only how often to look.
        wait(100);
    }
    true
}

/// Stops a processor's clock in the middle of a transaction.
fn stopped_in_a_transaction(processor: &Processor) {
    until(|| {
        processor.pause();
        let open = !processor.diary().open.is_empty();
        if !open {
            processor.resume();
        }
        open
    });
}

/// A load with a fault in it, and what came of both.
struct Played {
    log: Log,
    appended: Appended,
    found: Findings,
    expected: Findings,
}

impl Played {
    fn damage(&self) -> Damage {
        self.found.damage(&self.expected)
    }
}

/// Lets the fault play while a load runs; the processors that are left.
fn under_load(
    house: &House,
    random: &mut Random,
    fault: impl FnOnce(&mut Random) -> Vec<Processor>,
) -> (Appended, Vec<Processor>) {
    let stop = AtomicBool::new(false);
    let load = Load::on(house, PARTITIONS, random.fork());
    thread::scope(|scope| {
        let loading: ScopedJoinHandle<'_, Appended> = scope.spawn(|| load.run(&stop));
        // Whatever the fault does, the load ends, or a failure would never be heard of.
        let played = std::panic::catch_unwind(AssertUnwindSafe(|| fault(random)));
        stop.store(true, Ordering::Relaxed);
        let appended = loading.join().unwrap();
        let left = played.unwrap_or_else(|why| std::panic::resume_unwind(why));
        (appended, left)
    })
}

/// Plays, and waits until what came of the log is what must; nothing may be said twice or too much.
fn play(
    house: &House,
    random: &mut Random,
    fault: impl FnOnce(&mut Random) -> Vec<Processor>,
) -> Played {
    let (appended, processors) = under_load(house, random, |random| {
        let left = fault(random);
        let log = Log::at(house.place(), PARTITIONS);
        // Deadlines pass while a broker is away, and a round may take a slow machine its time.
        until(|| log.count(Topic::Outcomes) >= ENOUGH);
        left
    });
    played(house, appended, processors)
}

/// Waits until what came of the log is what must, then stops the processors and looks again.
fn played(house: &House, appended: Appended, processors: Vec<Processor>) -> Played {
    let log = Log::at(house.place(), PARTITIONS);
    caught_up(&log);
    processors.into_iter().for_each(Processor::stop);
    // Nothing more is said by then; whatever was said twice is there.
    let (expected, found) = (log.expected(), log.found());
    assert_eq!(found.differ(&expected), "");
    let played = Played {
        log,
        appended,
        found,
        expected,
    };
    assert_eq!(played.damage(), Damage::default());
    played
}

/// Waits until what came of the log is what must.
fn caught_up(log: &Log) {
    let until = Instant::now() + CATCH_UP;
    loop {
        quiet(log);
        let looked = Instant::now();
        let (expected, found) = (log.expected(), log.found());
        let differ = found.differ(&expected);
        if differ.is_empty() {
            return;
        }
        // What is said is asked for only if it is said.
        assert!(
            Instant::now() < until,
            "not caught up:\n{differ}\nheld: {:?}\n{}",
            log.held(),
            log.details(&found, &expected)
        );
        // Only how often to look.
        thread::sleep(looked.elapsed().max(Duration::from_millis(500)));
    }
}

/// Waits until nothing new comes of the log.
fn quiet(log: &Log) {
    let count =
        || [Topic::Outcomes, Topic::DeadLetters, Topic::Trust].map(|topic| log.count(topic));
    let (mut last, mut since) = (count(), Instant::now());
    while since.elapsed() < QUIET {
        // Only how often to look.
        wait(200);
        let now = count();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
}

/// Plays with a defence taken away; the damage that is left when nothing changes any more.
#[cfg(debug_assertions)]
fn spoil(
    house: &House,
    random: &mut Random,
    fault: impl FnOnce(&mut Random) -> Vec<Processor>,
) -> Damage {
    let (_, processors) = under_load(house, random, fault);
    let log = Log::at(house.place(), PARTITIONS);
    let damage = lasting_damage(house, &log);
    drop(processors);
    damage
}

/// Whether a processor found a partition so damaged that it does not go on with it.
fn has_halted(house: &House) -> bool {
    house.logged("partition halted") > 0
}

#[cfg(debug_assertions)]
fn lasting_damage(house: &House, log: &Log) -> Damage {
    let until = Instant::now() + MAY_COME;
    let (mut last, mut same) = (Damage::default(), 0);
    while Instant::now() < until && !has_halted(house) {
        // Pins may have gone back, which no engine goes through.
        let Ok(expected) = std::panic::catch_unwind(AssertUnwindSafe(|| log.expected())) else {
            return Damage {
                different: 1,
                ..Damage::default()
            };
        };
        let damage = log.found().damage(&expected);
        if damage.doubled > 0 || !damage.is_some() {
            return damage;
        }
        // What is missing may still come; what is there and should not be stays.
        let stays = damage.different > 0 && damage == last;
        same = if stays { same + 1 } else { 0 };
        if same == LOOKS {
            return damage;
        }
        last = damage;
        // Only how often to look.
        wait(500);
    }
    last
}

/// Prints what a scenario came to, and adds it to the table of figures; `times` may say of what kind.
fn tell(fault: &str, times: impl Display, seed: u64, house: &House, played: &Played) {
    let Appended {
        rounds,
        responses,
        millis,
    } = played.appended;
    let rate = i64::try_from(responses).unwrap() * 1_000 / millis;
    let Damage {
        lost,
        doubled,
        different,
    } = played.damage();
    let found = &played.found;
    let outcomes = found.decided.len();
    eprintln!(
        "{fault}: {times} times, {rounds} rounds, {responses} responses in {millis} ms ({rate}/s); \
         {outcomes} outcomes, {} escalations, {} lessons, {} scores, dead letters {:?}; \
         {} engines failed",
        found.escalated.len(),
        found.taught.len(),
        found.scored.len(),
        found.codes(),
        house.logged("engine failed"),
    );
    assert!(outcomes >= ENOUGH, "{outcomes} outcomes prove little");
    if let Ok(file) = std::env::var("QUORATE_RELIABILITY") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(file);
        let row = format!(
            "| {fault} | {times} | {rate} | {rounds} | {outcomes} | {lost} | {doubled} | \
             {different} | {seed} |\n"
        );
        file.unwrap().write_all(row.as_bytes()).unwrap();
    }
}

/// A defence taken away must be seen; if not at once, since what it defends against takes some luck,
/// then after a few times on the same log.
#[cfg(debug_assertions)]
fn must_show(switch: &str, house: &House, fault: impl Fn(&mut Random) -> Vec<Processor>) {
    must_show_as(switch, house, Damage::is_wrong, fault);
}

/// As [`must_show`], by damage of a kind.
#[cfg(debug_assertions)]
fn must_show_as(
    switch: &str,
    house: &House,
    shows: impl Fn(Damage) -> bool,
    fault: impl Fn(&mut Random) -> Vec<Processor>,
) {
    let mut random = Random::of_this_run(switch);
    for attempt in 1..=ATTEMPTS {
        let damage = spoil(house, &mut random, &fault);
        let halted = has_halted(house);
        eprintln!("{switch}, attempt {attempt}: {damage:?}, halted: {halted}");
        if shows(damage) || halted {
            return;
        }
    }
    panic!("{switch} was not noticed in {ATTEMPTS} attempts");
}
