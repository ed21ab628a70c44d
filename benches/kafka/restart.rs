//! Restart: after many rounds have closed, and with many open, the processor is killed and started
//! again with nothing but the log.

use std::thread;
use std::time::Instant;

use quorate_core::records::Verdict;
use quorate_core::topic::Topic;

use super::house::House;
use super::load::{Load, Plan};
use super::meter;
use super::parts::Parts;
use super::progress::{Progress, reached};
use super::sizes::{PER, Sizes};
use super::table::Run;

/// Rounds proposed a second while rounds close.
const PACE: usize = 40_000;
/// Deadline of those that are open when it is killed: nothing that happens here takes as long.
const FAR: i64 = 6 * 3_600_000;
/// Of a hundred open rounds, those whose answers come after the kill.
const AFTER: usize = 3;

pub(crate) fn ours(parts: &Parts, sizes: &Sizes) -> Run {
    let house = House::furnished(parts);
    let progress = Progress::of(&house);
    let processor = house.run(sizes.engines);
    let mut load = Load::on(&house, 20);
    let closed = Plan {
        rounds: sizes.closed,
        pace: Some(PACE),
        per: 1,
        deadline: 1_000,
        within: 800,
        // One that nobody is asked about, which would not be over.
        verdict: Some(Verdict::Endorse),
    };
    load.follow(closed, |_, _| {});
    let after = sizes.rounds * AFTER / 100;
    let open = Plan {
        rounds: sizes.rounds - after,
        pace: None,
        per: PER,
        deadline: FAR,
        within: 1,
        verdict: None,
    };
    load.follow(open, |_, _| {});
    let ends = progress.ends();
    let before = progress.wait("before the kill", |now| reached(now, &ends));
    let asked: i64 = Progress::on(&house, Topic::Escalations)
        .ends()
        .values()
        .sum();
    assert_eq!(asked, 0, "rounds that have closed were to be approved");
    let peak = meter::peak(processor.id());
    drop(processor);
    let killed = Instant::now();
    let processor = house.run(sizes.engines);
    let rest = Plan {
        rounds: after,
        ..open
    };
    let (first, restored) = thread::scope(|scope| {
        let loading = scope.spawn(move || {
            load.follow(rest, |_, _| {});
        });
        progress.wait("first record", |now| {
            now.iter().any(|(p, next)| before.get(p) < Some(next))
        });
        let first = killed.elapsed().as_secs_f64();
        progress.wait("every partition", |now| {
            now.iter().all(|(p, next)| before.get(p) < Some(next))
        });
        let restored = killed.elapsed().as_secs_f64();
        loading.join().unwrap();
        (first, restored)
    });
    Run::new("restart", "quorate")
        .with("kill to first record s", first)
        .with("kill to all partitions s", restored)
        .with("CPU s", meter::cpu(processor.id()))
        .with("peak MB before", peak)
        .with("peak MB", meter::peak(processor.id()))
}
