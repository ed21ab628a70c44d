//! Responses at a steady rate, each by an agent of its own, each answered when it is known to be
//! admitted. A latency counts from when its response was due, whatever held up the one before.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::client::{Caller, desk, propose};
use super::house::{House, agent};
use super::meter::{cpu, peak, percentile};
use super::number;
use super::parts::Parts;
use super::table::Run;

const REASONING: &str = "the amount is within what this customer usually pays, the counterparty has \
    been known for years, nothing in the last hour differs from the pattern of the weeks before, and \
    the account was not used from elsewhere";

/// Responses of one run.
struct Sizes {
    rate: usize,
    seconds: usize,
    /// Seconds that are not looked at.
    warm: usize,
}

pub(crate) fn at_a_rate(parts: Option<&Parts>) -> Run {
    let sizes = Sizes {
        rate: number("RATE", 500, 500),
        seconds: number("SECONDS", 20, 5),
        warm: 5,
    };
    // Every agent answers once a second, each time another round.
    let house = House::furnished(parts, sizes.rate);
    let processor = house.run();
    let (gateway, address) = house.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let processes = [gateway.id(), processor.id()];
    let broker = parts.map(|parts| parts.broker);
    let (mut late, spent) = runtime.block_on(respond(&address, &sizes, processes, broker));
    let each = (sizes.rate * sizes.seconds) as f64 / 1e6;
    let [gateway_spent, processor_spent, broker_spent] = spent;
    let run = Run::new("respond", house.log())
        .with("p50 ms", percentile(&mut late, 0.5) / 1e3)
        .with("p90 ms", percentile(&mut late, 0.9) / 1e3)
        .with("p99 ms", percentile(&mut late, 0.99) / 1e3)
        .with("max ms", percentile(&mut late, 1.0) / 1e3)
        .with("gateway µs each", gateway_spent / each)
        .with("processor µs each", processor_spent / each)
        .with("gateway peak MB", peak(gateway.id()));
    match parts {
        Some(_) => run.with("broker µs each", broker_spent / each),
        None => run,
    }
}

/// Latencies in microseconds, and processor seconds of gateway, processor and broker.
async fn respond(
    address: &str,
    sizes: &Sizes,
    processes: [u32; 2],
    broker: Option<u32>,
) -> (Vec<i64>, [f64; 3]) {
    let mut desk = desk(address).await;
    let mut rounds = Vec::new();
    for _ in 0..sizes.warm + sizes.seconds {
        rounds.push(propose(&mut desk, "pay.out").await);
    }
    let rounds = Arc::new(rounds);
    let began = Instant::now() + Duration::from_secs(1);
    let mut agents = JoinSet::new();
    for number in 0..sizes.rate {
        let caller = Caller::new(address, agent(number)).await;
        let offset = Duration::from_secs_f64(number as f64 / sizes.rate as f64);
        agents.spawn(answer_all(caller, Arc::clone(&rounds), began + offset));
    }
    let spent = || {
        let of = |process: Option<u32>| process.map_or(0.0, cpu);
        [of(Some(processes[0])), of(Some(processes[1])), of(broker)]
    };
    sleep_until(began + Duration::from_secs(sizes.warm as u64)).await;
    let before = spent();
    sleep_until(began + Duration::from_secs((sizes.warm + sizes.seconds) as u64)).await;
    let after = spent();
    let mut all = Vec::new();
    for mut late in agents.join_all().await {
        all.extend(late.split_off(sizes.warm));
    }
    let [a, b, c] = after;
    let [d, e, f] = before;
    (all, [a - d, b - e, c - f])
}

async fn answer_all(mut caller: Caller, rounds: Arc<Vec<String>>, first: Instant) -> Vec<i64> {
    let mut late = Vec::new();
    for (at, round) in rounds.iter().enumerate() {
        let due = first + Duration::from_secs(at as u64);
        sleep_until(due).await;
        let response = json!({
            "proposal_id": round, "verdict": "ENDORSE", "confidence": 0.9, "reasoning": REASONING,
        });
        let (status, body) = caller.post("/v1/responses?wait=30", &response).await;
        assert_eq!(status, 200, "{body}");
        late.push(i64::try_from(due.elapsed().as_micros()).unwrap());
    }
    late
}
