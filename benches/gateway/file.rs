//! What a file takes: records appended one by one and many at a time, durably, and what a processor
//! makes of them.

use std::thread;
use std::time::{Duration, Instant};

use quorate::clock::{Clock as _, System};
use quorate::transport::blackboard::{Blackboard, Edge, Reader};
use quorate::transport::{Entry, Handle as _};
use quorate::wire::{Codec, partition_of};
use quorate_core::ids::Timestamp;
use quorate_core::records::{Action, Proposal, Response, Stakes, Verdict};
use quorate_core::topic::Topic;

use super::house::{House, PARTITIONS, agent};
use super::meter::{cpu, peak};
use super::number;
use super::table::{Run, Table};

/// Answers to a round.
const PER: usize = 8;
/// Records of a transaction where there are many.
pub(crate) const MANY: usize = 256;
const REASONING: &str = "the amount is within what this customer usually pays, the counterparty has \
    been known for years, nothing in the last hour differs from the pattern of the weeks before, and \
    the account was not used from elsewhere";

pub(crate) fn all(table: &mut Table) {
    for writers in [1, 4] {
        table.add(one_by_one(writers));
    }
    table.add(many_at_a_time());
}

/// Each record in a transaction of its own: it is on the disk when its append has returned.
fn one_by_one(writers: usize) -> Run {
    let house = House::furnished(None, PER);
    let board = Blackboard::open(&house.path("bank.db")).unwrap();
    let each = number("APPENDS", 4_000, 400) / writers;
    let value = response("01890000-0000-7000-8000-000000000000", 0, Verdict::Endorse);
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..writers {
            let (edge, value) = (Edge::new(board.clone()), &value);
            scope.spawn(move || {
                for _ in 0..each {
                    let entry = entry(Topic::Responses, 0, "k", value);
                    edge.append(&[entry]).unwrap();
                }
            });
        }
    });
    let rate = (each * writers) as f64 / began.elapsed().as_secs_f64();
    Run::new("one by one", &format!("{writers} writers")).with("records/s", rate)
}

/// Rounds and their answers, many to a transaction; then a processor reads all of them.
fn many_at_a_time() -> Run {
    let house = House::furnished(None, PER);
    let board = Blackboard::open(&house.path("bank.db")).unwrap();
    let edge = Edge::new(board.clone());
    let rounds = number("ROUNDS", 10_000, 500);
    let in_an_hour = Timestamp(System.now().0 + 3_600_000);
    let mut records = Vec::new();
    for _ in 0..rounds {
        let id = uuid::Uuid::now_v7().to_string();
        records.push((Topic::Proposals, id.clone(), proposal(&id, in_an_hour)));
        records.extend((0..PER).map(|of| {
            (
                Topic::Responses,
                id.clone(),
                response(&id, of, Verdict::Endorse),
            )
        }));
    }
    let began = Instant::now();
    for some in records.chunks(MANY) {
        let entries = some.iter().map(|(topic, id, value)| {
            entry(*topic, partition_of(id.as_bytes(), PARTITIONS), id, value)
        });
        edge.append(&entries.collect::<Vec<_>>()).unwrap();
    }
    let appended = records.len() as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    let processor = house.run();
    while !is_read(&edge, &board) {
        thread::sleep(Duration::from_millis(20));
    }
    let took = began.elapsed().as_secs_f64();
    let responses = (rounds * PER) as f64;
    Run::new("many at a time", "blackboard")
        .with("appended records/s", appended)
        .with("responses/s processed", responses / took)
        .with("CPU µs a response", cpu(processor.id()) / responses * 1e6)
        .with("peak MB", peak(processor.id()))
}

/// Whether processors have committed that they read every response.
fn is_read(edge: &Edge, board: &Blackboard) -> bool {
    use quorate::transport::Reading as _;
    let reader = Reader::open(board).unwrap();
    (0..PARTITIONS).all(|partition| {
        let (_, end) = reader.ends(Topic::Responses, partition).unwrap();
        edge.committed(Topic::Responses, partition).unwrap() >= Some(end)
    })
}

pub(crate) fn entry<'a>(topic: Topic, partition: i32, key: &'a str, value: &'a [u8]) -> Entry<'a> {
    Entry {
        topic,
        partition,
        key: Some(key.as_bytes()),
        value: Some(value),
        headers: &[],
    }
}

pub(crate) fn proposal(id: &str, deadline: Timestamp) -> Vec<u8> {
    let proposal = Proposal {
        proposal_id: id.to_owned(),
        proposer: "desk".to_owned(),
        domain: "pay.out".to_owned(),
        action: Action {
            r#type: "payment.block".to_owned(),
            subject: "payment-1".to_owned(),
            parameters: Vec::new(),
        },
        summary: String::new(),
        rationale: REASONING.to_owned(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: Some(deadline),
        supersedes: None,
        labels: Vec::new(),
    };
    Codec::single_object().encode(&proposal).unwrap()
}

pub(crate) fn response(id: &str, of: usize, verdict: Verdict) -> Vec<u8> {
    let response = Response {
        response_id: uuid::Uuid::now_v7().to_string().into(),
        proposal_id: id.into(),
        proposal_digest: None,
        agent_id: agent(of).into(),
        verdict,
        confidence: 0.9,
        reasoning: REASONING.into(),
        evidence: Vec::new(),
    };
    Codec::single_object().encode(&response).unwrap()
}
