//! A broker that is killed under load, and started again with what was on its disk.
//!
//! Brokers of 4.3.1 can forget then to end a transaction in its partitions that was to be
//! committed (`src/transport/kafka/settle.rs`): what it wrote stays open, and ends with another one. How
//! often they do hangs on the machine, so that a proxy brings it about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use quorate::transport::kafka::Appender;
use quorate_core::topic::Topic;

#[cfg(debug_assertions)]
use super::ATTEMPTS;
use super::zombies::behind_proxy;
use super::{CATCH_UP, PARTITIONS, play, tell, times, until, wait, within};
use crate::support::load::{self, Random};
use crate::support::mortal::Mortal;
use crate::support::oracle::{Damage, Log};
use crate::support::proxy::Proxy;
use crate::support::{House, Processor};

/// How long what waits for a lost broker is waited for in turn, if it gives up at all; an engine
/// does so after a little more than fifteen seconds.
const GIVES_UP: Duration = Duration::from_secs(20);

/// How often a broker may be lost until that leaves what is looked for.
const TURNS: usize = 20;

/// How long what nobody will say is waited for.
#[cfg(debug_assertions)]
const STAYS_OUT: Duration = Duration::from_secs(15);

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
        assert!(
            turn < TURNS * times(1, 10),
            "waited in vain: nothing was left to be ended"
        );
        let outcomes = log.count(Topic::Outcomes);
        // Where it is not looked after on purpose, all may stand still by the last turn.
        let may_end = enough(turn + 1);
        let patience = if may_end { GIVES_UP * 3 } else { CATCH_UP };
        if !within(patience, || log.count(Topic::Outcomes) > outcomes) {
            assert!(may_end, "waited in vain: nothing comes any more");
            break;
        }
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

/// Appends what will be refused.
fn poison(appender: &Appender) {
    let (key, value) = (Some(&b"nobody"[..]), Some(&b"nothing"[..]));
    appender
        .append(Topic::Responses, 1, key, value, &[])
        .unwrap();
}

/// A single refusal whose transaction ended everywhere but where it was written, and nothing after
/// it.
fn refuse_once(house: &House, proxy: &Proxy) -> Log {
    let log = Log::at(house.connection(), PARTITIONS);
    until(|| house.logged("restored") >= PARTITIONS.unsigned_abs() as usize);
    proxy.lose_markers_in(".dead-letters");
    let appender = Appender::open(&house.connection()).unwrap();
    poison(&appender);
    appender.settle().unwrap();
    until(|| proxy.is_down());
    wait(300);
    proxy.come_back();
    log
}

#[test]
fn what_is_left_where_nothing_follows_is_ended() {
    let (house, proxy) = behind_proxy();
    let one = house.run_alone();
    let log = refuse_once(&house, &proxy);
    until(|| !log.letters().is_empty());
    until(|| house.logged("committed the rest of a transaction") > 0);
    one.stop();
    // Whoever reads it goes on: what ended it says nothing.
    let letters = house.ok(&["dead-letters", "list", "--output", "json"]);
    assert_eq!(letters.matches("\"malformed\"").count(), 1, "{letters}");
}

#[cfg(debug_assertions)]
#[test]
fn what_is_left_where_nothing_follows_would_be_missed() {
    let (house, proxy) = behind_proxy();
    let one = house.run_alone_with(Some("torn-left"));
    let log = refuse_once(&house, &proxy);
    let is_seen = || !log.letters().is_empty();
    assert!(!within(STAYS_OUT, is_seen), "it came to be seen");
    one.stop();
}

/// Refusals without a pause, while a transaction ends everywhere but where they are written, and
/// whoever wrote it is away for longer than its session lasts, so that the next one is given up;
/// whether all of them are seen, before somebody's patience is over.
fn refuse_on(house: &House, proxy: &Proxy, patience: Duration) -> bool {
    let log = Log::at(house.connection(), PARTITIONS);
    let before = log.letters().len();
    let stop = AtomicBool::new(false);
    let appended = thread::scope(|scope| {
        let poisoning = scope.spawn(|| {
            let appender = Appender::open(&house.connection()).unwrap();
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                poison(&appender);
                count += 1;
                wait(5);
            }
            appender.settle().unwrap();
            count
        });
        until(|| log.letters().len() > before);
        proxy.lose_markers_in(".dead-letters");
        until(|| proxy.is_down());
        // Its session is over by then, and it has not given up yet what it has begun.
        wait(2_700);
        proxy.come_back();
        stop.store(true, Ordering::Relaxed);
        poisoning.join().unwrap()
    });
    within(patience, || log.letters().len() == before + appended)
}

#[test]
fn what_is_ending_as_a_broker_is_lost_is_not_given_up_with_the_next() {
    let (house, proxy) = behind_proxy();
    let one = house.run_alone();
    for _ in 0..times(2, 20) {
        assert!(refuse_on(&house, &proxy, CATCH_UP), "they are not all seen");
    }
    one.stop();
}

#[cfg(debug_assertions)]
#[test]
fn what_is_given_up_with_the_next_would_be_missed() {
    let (house, proxy) = behind_proxy();
    let one = house.run_alone_with(Some("brokers-lost-unseen"));
    // A client may be too late to come back within the time, and then does no harm.
    let is_missed = |_| !refuse_on(&house, &proxy, STAYS_OUT);
    assert!((0..ATTEMPTS).any(is_missed), "all of them are seen");
    one.stop();
}

/// Has what ends a forgotten transaction be forgotten as well, while whoever ends it tries; whether
/// outcomes go on coming then, before somebody's patience is over.
fn forget_again(house: &House, proxy: &Proxy, random: &mut Random, patience: Duration) -> bool {
    let log = Log::at(house.connection(), PARTITIONS);
    let goes_on = |patience| {
        let outcomes = log.count(Topic::Outcomes);
        within(patience, || log.count(Topic::Outcomes) > outcomes)
    };
    // Who has nothing under way as the broker is lost gives nothing up, and begins nothing anew.
    let gives_up = |_| {
        assert!(goes_on(CATCH_UP), "waited in vain: nothing is decided");
        wait(random.within(500..1_500));
        let failed = house.logged("engine failed");
        proxy.lose_markers();
        until(|| proxy.is_down());
        let gave_up = within(GIVES_UP, || house.logged("engine failed") > failed);
        if !gave_up {
            proxy.come_back();
        }
        gave_up
    };
    let gave_up = (0..TURNS).any(gives_up);
    assert!(gave_up, "waited in vain: nothing is ever under way");
    let looked = house.logged("what a transaction left");
    proxy.be_deaf(true);
    proxy.come_back();
    until(|| house.logged("what a transaction left") > looked);
    wait(random.within(2_000..4_000));
    proxy.be_deaf(false);
    goes_on(patience)
}

#[test]
fn the_end_of_what_was_forgotten_is_not_forgotten_in_its_turn() {
    let fault = "an end that was forgotten, and what ended it then, too";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let (house, proxy) = behind_proxy();
    let played = play(&house, &mut random, |random| {
        let one = house.run_alone();
        let goes_on = forget_again(&house, &proxy, random, CATCH_UP);
        assert!(goes_on, "waited in vain: nothing is decided any more");
        vec![one]
    });
    tell(fault, 1, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn the_end_of_what_was_forgotten_would_be_missed() {
    let switch = "ends-trusted";
    let mut random = Random::of_this_run(switch);
    let (house, proxy) = behind_proxy();
    let mut goes_on = true;
    super::under_load(&house, &mut random, |random| {
        let one = house.run_alone_with(Some(switch));
        goes_on = forget_again(&house, &proxy, random, STAYS_OUT);
        vec![one]
    });
    // Rounds that are open there are read to their end before anything else, which never comes.
    assert!(!goes_on, "all goes on");
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
