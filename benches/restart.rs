//! What a restart costs an engine, apart from reading the log: rounds and responses a second, with
//! and without snapshots, and the index of closed rounds.
//! `cargo bench --bench restart [ROUNDS]`, 200,000 unless said otherwise.
#![expect(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "a bench that cannot run should stop, and prints rounded figures"
)]

use std::sync::Arc;
use std::time::Instant;

use quorate::engine::{Behind, Config, Detail, Headers, Input, Output, Partition, Record, Tables};
use quorate::wire::{Codec, Parts, seal_policy};
use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Action, Agent, AgentKind, AgentStatus, Grant, Pins, Policy, Prior, Proposal, Response, Round,
    Stakes, Verdict,
};
use quorate_core::topic::Topic;

const NOW: i64 = 1_767_225_600_000;
const AGENTS: usize = 1_000;
const BALLOTS: usize = 8;

fn main() {
    let rounds = std::env::args().skip(1).find_map(|said| said.parse().ok());
    let rounds: usize = rounds.unwrap_or(200_000);
    let bench = Bench::new(rounds);
    let opened = bench.opened();
    let live = bench.responded(restored(&bench, &opened), "step responses");
    let snapshots = snapshots(&live);
    drop(live);
    drop(restored(&bench, &snapshots));
    let partition = restored(&bench, &opened);
    let closed = bench.closed(bench.responded(partition, "step responses again"));
    indexed(&bench, &closed);
}

/// What is read: proposals and responses, with the tables they are judged by.
struct Bench {
    codec: Arc<Codec>,
    tables: Tables,
    ids: Vec<String>,
    responses: Vec<Vec<u8>>,
}

impl Bench {
    fn new(rounds: usize) -> Self {
        let codec = Arc::new(Codec::single_object());
        let ids: Vec<String> = (0..rounds).map(id).collect();
        // Every round hears from one agent before any hears from the next.
        let each =
            (0..BALLOTS).flat_map(|ballot| ids.iter().enumerate().map(move |of| (ballot, of)));
        let responses = each
            .map(|(ballot, (at, id))| response(&codec, id, at, ballot))
            .collect();
        Self {
            tables: tables(&codec),
            codec,
            ids,
            responses,
        }
    }

    fn partition(&self) -> Partition {
        let config = Config {
            partition: 0,
            partitions: 1,
            detail: Detail::Records,
        };
        Partition::new(config, Arc::clone(&self.codec))
    }

    /// Every round as it was written when it was opened.
    fn opened(&self) -> Vec<Vec<u8>> {
        let mut partition = self.partition();
        let mut written = Vec::new();
        for (offset, (at, id)) in (0_i64..).zip(self.ids.iter().enumerate()) {
            let value = proposal(&self.codec, id, at);
            let record = record(Topic::Proposals, offset, id, &value);
            let outputs = partition.step(&self.tables, Input::Record(record)).unwrap();
            written.extend(outputs.iter().map(|output| self.value(output)));
        }
        assert_eq!(written.len(), self.ids.len());
        written
    }

    fn value(&self, output: &Output) -> Vec<u8> {
        output
            .encode(&self.codec, &Parts::default())
            .unwrap()
            .unwrap()
    }

    fn responded(&self, mut partition: Partition, what: &str) -> Partition {
        let begun = Instant::now();
        let ids = self.ids.iter().cycle();
        for (at, (value, id)) in (0_i64..).zip(self.responses.iter().zip(ids)) {
            let record = record(Topic::Responses, at, id, value);
            let outputs = partition.step(&self.tables, Input::Record(record)).unwrap();
            assert!(outputs.is_empty());
        }
        say(what, self.responses.len(), begun);
        partition
    }

    /// Every round as it was written when it closed.
    fn closed(&self, mut partition: Partition) -> Vec<Vec<u8>> {
        let tick = Record {
            topic: Topic::Responses,
            offset: Offset(self.responses.len().try_into().unwrap()),
            timestamp: Timestamp(NOW + 3_600_000),
            key: None,
            value: None,
            headers: Headers::default(),
        };
        let begun = Instant::now();
        let outputs = partition.step(&self.tables, Input::Record(tick)).unwrap();
        say("close rounds", self.ids.len(), begun);
        let rounds = outputs
            .iter()
            .filter(|output| output.topic() == Topic::Rounds);
        let closed: Vec<Vec<u8>> = rounds.map(|output| self.value(output)).collect();
        assert_eq!(closed.len(), self.ids.len());
        closed
    }

    fn round(&self, value: &[u8]) -> Round {
        self.codec.decode::<Round>(value).unwrap().0
    }
}

fn restored(bench: &Bench, written: &[Vec<u8>]) -> Partition {
    let mut partition = bench.partition();
    let begun = Instant::now();
    for value in written {
        partition
            .restore_round(&bench.tables, bench.round(value))
            .unwrap();
    }
    let bytes = written.iter().map(Vec::len).sum::<usize>() / written.len();
    say(
        &format!("restore rounds of {bytes} B"),
        written.len(),
        begun,
    );
    partition.restore_positions([], Pins::NONE);
    partition.restored([]);
    partition
}

fn snapshots(partition: &Partition) -> Vec<Vec<u8>> {
    let codec = Codec::single_object();
    let mut partition = partition.clone();
    partition.set_behind(Behind {
        responses: 0,
        rounds: usize::MAX / 2,
        each: 0,
    });
    let mut written = Vec::new();
    let begun = Instant::now();
    loop {
        let outputs = partition.refresh().unwrap();
        if outputs.is_empty() {
            break;
        }
        let values = outputs
            .iter()
            .map(|output| output.encode(&codec, &Parts::default()).unwrap().unwrap());
        written.extend(values);
    }
    say("write snapshots", written.len(), begun);
    written
}

fn indexed(bench: &Bench, closed: &[Vec<u8>]) {
    let mut partition = bench.partition();
    partition.expect_index();
    let begun = Instant::now();
    for value in closed {
        partition
            .index_round(&bench.tables, bench.round(value))
            .unwrap();
    }
    partition.indexed(&bench.tables).unwrap();
    let bytes = closed.iter().map(Vec::len).sum::<usize>() / closed.len();
    say(&format!("index rounds of {bytes} B"), closed.len(), begun);
}

fn say(what: &str, count: usize, begun: Instant) {
    let seconds = begun.elapsed().as_secs_f64();
    let each = seconds * 1e6 / count as f64;
    println!("{what}: {count} in {seconds:.2} s, {each:.2} µs each");
}

fn id(at: usize) -> String {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&NOW.to_be_bytes()[2..]);
    bytes[6] = 0x70;
    bytes[8] = 0x80;
    // Spread, as random parts are.
    let spread = (at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bytes[9..].copy_from_slice(&spread.to_be_bytes()[..7]);
    ProposalId::from_bytes(bytes).to_string()
}

fn record<'a>(topic: Topic, offset: i64, key: &'a str, value: &'a [u8]) -> Record<'a> {
    Record {
        topic,
        offset: Offset(offset),
        timestamp: Timestamp(NOW),
        key: Some(key.as_bytes()),
        value: Some(value),
        headers: Headers::default(),
    }
}

fn proposal(codec: &Codec, id: &str, at: usize) -> Vec<u8> {
    let proposal = Proposal {
        proposal_id: id.into(),
        proposer: format!("agent-{:05}", at % AGENTS),
        domain: "fraud.detection".into(),
        action: Action {
            r#type: "payment.block".into(),
            subject: format!("payment-{at}"),
            ..Action::default()
        },
        summary: "hold the payment".into(),
        rationale: "the device is new and the amount unusual".into(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: None,
        supersedes: None,
        labels: Vec::new(),
    };
    codec.encode(&proposal).unwrap()
}

fn response(codec: &Codec, id: &str, at: usize, ballot: usize) -> Vec<u8> {
    let response = Response {
        response_id: format!("response-{at}-{ballot}").into(),
        proposal_id: id.into(),
        proposal_digest: None,
        agent_id: format!("agent-{:05}", (at + ballot + 1) % AGENTS).into(),
        verdict: Verdict::Endorse,
        confidence: 0.8,
        reasoning: "the device is known and the amount is within the usual range".into(),
        evidence: Vec::new(),
    };
    codec.encode(&response).unwrap()
}

fn tables(codec: &Codec) -> Tables {
    let mut tables = Tables::default();
    let mut policy = Policy::defaults("fraud");
    policy.max_open_per_proposer = 1_000_000;
    seal_policy(&mut policy).unwrap();
    let value = codec.encode(&policy).unwrap();
    put(&mut tables, codec, (Topic::Policies, 0), "fraud", &value);
    for (offset, at) in (0_i64..).zip(0..AGENTS) {
        let agent = agent(at);
        let value = codec.encode(&agent).unwrap();
        let at = (Topic::Agents, offset);
        put(&mut tables, codec, at, agent.agent_id.as_str(), &value);
    }
    tables
}

fn put(tables: &mut Tables, codec: &Codec, at: (Topic, i64), key: &str, value: &[u8]) {
    let key = Some(key.as_bytes());
    let (topic, offset) = at;
    tables
        .apply(
            codec,
            topic,
            Offset(offset),
            Timestamp(NOW),
            key,
            Some(value),
        )
        .unwrap();
}

fn agent(at: usize) -> Agent {
    Agent {
        agent_id: format!("agent-{at:05}").as_str().into(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: format!("principal-{}", at % 40),
        model_family: None,
        domains: vec![Grant {
            domain: "fraud".into(),
            authority: Millionths::ONE,
            prior: Some(Prior {
                right: 18,
                wrong: 2,
                source: "bench".into(),
            }),
        }],
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    }
}
