//! Drain: everything lies there when the processor starts. Rounds close as it reads on, about ten
//! thousand of them open at any time.

use std::thread;
use std::time::{Duration, Instant};

use quorate_core::topic::Topic;

use super::house::House;
use super::load::{Load, Plan};
use super::meter;
use super::parts::Parts;
use super::progress::{self, Places, Progress, reached};
use super::sizes::{PER, Sizes};
use super::table::Run;

/// Rounds proposed a second, each open for two seconds: ten thousand at a time.
const PACE: usize = 5_000;
/// How long a round is open, and within which time its answers come, in milliseconds.
const DEADLINE: i64 = 2_000;
const WITHIN: u64 = 1_500;
/// Of a thousand answers, so many may be late because the machine was busy as they were appended.
const LATE: f64 = 10.0;

/// Topics with the rounds to drain.
pub(crate) fn filled<'a>(parts: &'a Parts, sizes: &Sizes) -> House<'a> {
    let house = House::furnished(parts);
    let mut load = Load::on(&house, 20);
    let plan = Plan {
        rounds: sizes.rounds,
        pace: Some(PACE),
        per: PER,
        deadline: DEADLINE,
        within: WITHIN,
        verdict: None,
    };
    load.follow(plan, |_, _| {});
    // Stream time then passes the last deadline.
    thread::sleep(Duration::from_millis(DEADLINE.unsigned_abs() + 100));
    load.tick();
    house
}

pub(crate) fn ours(house: &House<'_>, sizes: &Sizes) -> Run {
    let parts = house.parts;
    let progress = Progress::of(house);
    let ends = progress.ends();
    let (broker, busy, started) = (meter::cpu(parts.broker), meter::busy(), Instant::now());
    let processor = house.run(sizes.engines);
    let first = progress.wait("drain", |now| total(now) > 0);
    let began = Instant::now();
    progress.wait("drain", |now| reached(now, &ends));
    // The last responses may have waited for their proposals.
    let proposals = Progress::on(house, Topic::Proposals);
    let all = proposals.ends();
    proposals.wait("drain", |now| reached(now, &all));
    let took = began.elapsed().as_secs_f64();
    let (cpu, peak) = (meter::cpu(processor.id()), meter::peak(processor.id()));
    let resident = meter::resident(processor.id());
    let wall = started.elapsed().as_secs_f64();
    let broker = meter::cpu(parts.broker) - broker;
    let others = (meter::busy() - busy - cpu - broker) / wall;
    drop(processor);
    let found = progress::outcomes(house);
    assert_eq!(found.outcomes, sizes.rounds, "{found:?}");
    let responses = (sizes.rounds * PER) as f64;
    let late = found.refused as f64 / responses;
    assert!(found.doubled == 0 && late * 1e3 < LATE, "{found:?}");
    let run = Run::new("drain", "quorate");
    run.with("responses/s", (total(&ends) - total(&first)) as f64 / took)
        .with("CPU µs a response", cpu * 1e6 / responses)
        .with("broker CPU µs a response", broker * 1e6 / responses)
        .with("peak MB", peak)
        .with("MB at the end", resident)
        .with("start to end s", wall)
        .with(
            "escalated %",
            100.0 * found.escalated as f64 / found.outcomes as f64,
        )
        .with("outcome bytes", found.bytes as f64 / found.outcomes as f64)
        .with("late %", 100.0 * late)
        .with("others' cores", others)
}

fn total(places: &Places) -> i64 {
    places.values().sum()
}
