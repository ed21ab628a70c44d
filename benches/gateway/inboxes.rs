//! Very many agents who wait for something to do, and then there is something.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::client::{Caller, desk, propose};
use super::house::{House, agent};
use super::meter::{cpu, percentile, resident};
use super::number;
use super::table::Run;

/// For how long nothing happens.
const IDLE: Duration = Duration::from_secs(5);
/// How many may be connecting at a time.
const AT_ONCE: usize = 64;

/// How agents wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// A request that is answered once there is something.
    Polls,
    /// A stream of events.
    Events,
}

pub(crate) fn open(by: By) -> Run {
    let agents = number("INBOXES", 10_000, 1_000);
    let house = House::furnished(None, agents);
    let _processor = house.run();
    let (gateway, address) = house.serve();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(wait_for_a_round(&address, agents, gateway.id(), by))
}

/// Of how many rounds somebody is told at once.
async fn told(caller: &mut Caller, by: By) -> usize {
    if by == By::Events {
        let round = caller.event("/v1/inbox?domain=pay.next", "waiting").await;
        let id = round.get("proposal_id");
        return usize::from(id.is_some_and(Value::is_string));
    }
    let (status, body) = caller.get("/v1/inbox?wait=30&domain=pay.next").await;
    assert_eq!(status, 200, "{body}");
    let rounds = body.get("rounds").and_then(Value::as_array);
    rounds.map_or(0, Vec::len)
}

async fn wait_for_a_round(address: &str, agents: usize, gateway: u32, by: By) -> Run {
    let mut desk = desk(address).await;
    let bare = resident(gateway);
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    let mut callers = JoinSet::new();
    for number in 0..agents {
        let (address, doors) = (address.to_owned(), Arc::clone(&doors));
        callers.spawn(async move {
            let _door = doors.acquire().await.unwrap();
            let mut caller = Caller::new(&address, agent(number)).await;
            let (status, body) = caller.get("/v1/inbox").await;
            assert_eq!(status, 200, "{body}");
            caller
        });
    }
    // Everybody has the round there is; what is waited for is the next.
    let mut waiting = JoinSet::new();
    for mut caller in callers.join_all().await {
        waiting.spawn(async move {
            let told = told(&mut caller, by).await;
            (Instant::now(), told)
        });
    }
    sleep(Duration::from_secs(2)).await;
    let before = cpu(gateway);
    sleep(IDLE).await;
    let (idle, memory) = (cpu(gateway) - before, resident(gateway));
    let before = cpu(gateway);
    let asked = Instant::now();
    propose(&mut desk, "pay.next").await;
    let admitted = asked.elapsed();
    let mut late = Vec::new();
    for (at, told) in waiting.join_all().await {
        assert_eq!(told, 1, "somebody was told of {told} rounds");
        let since = at.saturating_duration_since(asked);
        late.push(i64::try_from(since.as_micros()).unwrap());
    }
    let who = if by == By::Polls { "polls" } else { "events" };
    Run::new("inboxes", who)
        .with("inboxes", agents as f64)
        .with("resident MB", memory)
        .with("kB an inbox", (memory - bare) * 1024.0 / agents as f64)
        .with("cores while idle", idle / IDLE.as_secs_f64())
        .with("proposal admitted ms", admitted.as_secs_f64() * 1e3)
        .with("told p50 ms", percentile(&mut late, 0.5) / 1e3)
        .with("told all ms", percentile(&mut late, 1.0) / 1e3)
        .with("CPU s to tell all", cpu(gateway) - before)
}
