//! What an engine takes for a response when nothing else is in its way: rounds of eight answers,
//! ten thousand open at a time, stepped, closed and encoded. `cargo bench --bench engine`; `ROUNDS`,
//! `PER` (answers a round) and `OPEN` (rounds open at a time) change one thing each.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

#[expect(dead_code, reason = "the bench on a broker measures more")]
#[path = "kafka/meter.rs"]
mod meter;
#[expect(dead_code, reason = "the bench on a broker says more")]
#[path = "kafka/rounds.rs"]
mod rounds;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;

use quorate::engine::{Config, Detail, Headers, Input, Partition, Record, Tables};
use quorate::wire::{Codec, Kind, files, seal_policy};
use quorate_core::ids::{Offset, Timestamp};
use quorate_core::topic::Topic;

use rounds::{Numbers, Round};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: i64 = 40_000;
const PER: i64 = 8;
/// Rounds are proposed one a millisecond and open for so long.
const OPEN: i64 = 10_000;
const NOW: i64 = 1_790_000_000_000;

/// What is played.
struct Size {
    rounds: i64,
    per: u64,
    open: i64,
}

/// A record before it is appended: by time, then as it was made.
type Log = BTreeMap<(i64, u64), (Topic, String, Vec<u8>)>;

fn main() {
    let kinds = Kind::ALL.iter().zip(1..);
    let codec = Arc::new(Codec::confluent(kinds.map(|(kind, id)| (*kind, id))));
    let tables = tables(&codec);
    let number = |name, usual| std::env::var(name).map_or(usual, |text| text.parse().unwrap());
    let size = Size {
        rounds: number("ROUNDS", ROUNDS),
        per: number("PER", PER).unsigned_abs(),
        open: number("OPEN", OPEN),
    };
    let log = log(&codec, &size);
    let config = Config {
        partition: 0,
        partitions: 1,
        detail: Detail::Records,
    };
    let before = meter::resident(std::process::id());
    let mut engine = Partition::new(config, Arc::clone(&codec));
    let mut next = [0, 0];
    let (mut outputs, mut bytes) = (0, 0);
    let began = meter::cpu(std::process::id());
    for ((time, _), (topic, key, value)) in &log {
        let next = next
            .get_mut(usize::from(*topic == Topic::Responses))
            .unwrap();
        let record = Record {
            topic: *topic,
            offset: Offset(*next),
            timestamp: Timestamp(*time),
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: Headers::default(),
        };
        *next += 1;
        for output in engine.step(&tables, Input::Record(record)).unwrap() {
            outputs += 1;
            bytes += output
                .encode(&codec, engine.parts())
                .unwrap()
                .map_or(0, |value| value.len());
            black_box(output.key());
        }
    }
    let took = meter::cpu(std::process::id()) - began;
    let responses = (size.rounds.unsigned_abs() * size.per) as f64;
    println!(
        "engine: {:.2} CPU µs a response, {:.2} outputs of {:.0} bytes a round, {:.0} MB kept",
        took * 1e6 / responses,
        f64::from(outputs) / size.rounds as f64,
        bytes as f64 / f64::from(outputs),
        meter::resident(std::process::id()) - before,
    );
}

fn tables(codec: &Codec) -> Tables {
    let mut tables = Tables::default();
    let at = Timestamp(NOW - 1);
    for (offset, agent) in (0..).zip(files::agents(&rounds::agents()).unwrap()) {
        let (key, value) = (agent.agent_id.to_string(), codec.encode(&agent).unwrap());
        let (key, value) = (Some(key.as_bytes()), Some(&*value));
        tables
            .apply(codec, Topic::Agents, Offset(offset), at, key, value)
            .unwrap();
    }
    for (offset, mut policy) in (0..).zip(files::policies(&rounds::policies()).unwrap()) {
        seal_policy(&mut policy).unwrap();
        let value = codec.encode(&policy).unwrap();
        let (key, value) = (Some(policy.pattern.as_bytes()), Some(&*value));
        tables
            .apply(codec, Topic::Policies, Offset(offset), at, key, value)
            .unwrap();
    }
    tables
}

fn log(codec: &Codec, size: &Size) -> Log {
    let mut log = Log::new();
    let mut dice = Numbers(42);
    let mut made = 0;
    let mut add = |time: i64, topic, key: &str, value| {
        made += 1;
        log.insert((time, made), (topic, key.to_owned(), value));
    };
    for number in 0..size.rounds {
        let at = Timestamp(NOW + number);
        let round = Round {
            run: 7,
            number: number.unsigned_abs(),
            at,
        };
        let id = round.id().to_string();
        let proposal = round.proposal(id.clone(), Timestamp(at.0 + size.open));
        add(
            at.0,
            Topic::Proposals,
            &id,
            codec.encode(&proposal).unwrap(),
        );
        for answer in 0..size.per {
            let delay = i64::try_from(1 + dice.below(size.open.unsigned_abs() - 1)).unwrap();
            let value = codec.encode(&round.response(&id, answer)).unwrap();
            add(at.0 + delay, Topic::Responses, &id, value);
        }
    }
    log
}
