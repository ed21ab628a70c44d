//! What a decision costs: admitting a response, resolving a round with everybody's influence, and
//! folding a result. `cargo bench --bench decision`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use std::sync::Arc;

use divan::Bencher;
use quorate::engine::{Config, Detail, Headers, Input, Partition, Record, Tables};
use quorate::wire::{Codec, seal_policy};
use quorate_core::electorate::Standing;
use quorate_core::ids::{Digest, Offset, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Action, Agent, AgentKind, AgentStatus, Basis, Coordinates, Grant, Lesson, Pins, Policy, Prior,
    Proposal, Response, ResultKind, Stakes, TrustUpdate, Verdict,
};
use quorate_core::resolve::{Case, Voice, resolve};
use quorate_core::topic::Topic;
use quorate_core::trust::fold;

const PROPOSAL_ID: &str = "019b76da-ac00-7000-8000-000000000001";
const NOW: i64 = 1_767_225_600_000;
const RESPONSES: usize = 1_000;

fn main() {
    divan::main();
}

/// A round of that many ballots, a third of them challenges, no two weights alike.
fn voices(ballots: u32) -> Vec<Voice> {
    let voice = |at: u32| Voice {
        agent_id: format!("agent-{at:05}").as_str().into(),
        response_digest: Digest([at.to_le_bytes()[0]; 32]),
        verdict: if at.is_multiple_of(3) {
            Verdict::Challenge
        } else {
            Verdict::Endorse
        },
        confidence: Millionths::new(500_000 + at * 7 % 500_000).unwrap(),
        standing: Arc::new(Standing {
            qualified: true,
            authority: Millionths::new(400_000 + at * 13 % 600_000).unwrap(),
            trust: Millionths::new(100_000 + at * 31 % 800_000).unwrap(),
            trust_revision: 1,
            principal: format!("principal-{}", at % 40).as_str().into(),
            model_family: None,
            required: 0,
            veto: false,
            a0: 2_000_000_000,
            b0: 1_000_000_000,
            start: None,
        }),
        suspended: false,
    };
    (0..ballots).map(voice).collect()
}

fn resolved(bencher: Bencher<'_, '_>, ballots: u32, policy: &Policy) {
    let voices = voices(ballots);
    let case = Case {
        proposal_digest: Digest([1; 32]),
        policy,
        stakes: Stakes::Low,
        proposer: &"proposer".into(),
        proposer_principal: "nobody",
        voices: &voices,
        pattern_suspended: false,
        input_lost: false,
    };
    bencher.bench_local(|| resolve(divan::black_box(&case)));
}

#[divan::bench(args = [3, 30, 300, 1_000])]
fn resolve_by_relative_margin(bencher: Bencher<'_, '_>, ballots: u32) {
    resolved(bencher, ballots, &Policy::defaults("fraud"));
}

#[divan::bench(args = [3, 30, 300, 1_000])]
fn resolve_by_evidence_margin(bencher: Bencher<'_, '_>, ballots: u32) {
    let policy = Policy::defaults("fraud").with_target_error(Millionths::new(100_000).unwrap());
    resolved(bencher, ballots, &policy);
}

#[divan::bench(args = [3, 30, 300, 1_000])]
fn resolve_with_principals_capped(bencher: Bencher<'_, '_>, ballots: u32) {
    let mut policy = Policy::defaults("fraud");
    policy.max_share_per_principal = Millionths::new(500_000).unwrap();
    resolved(bencher, ballots, &policy);
}

#[divan::bench(args = [3, 30, 1_000])]
fn fold_a_result(bencher: Bencher<'_, '_>, ballots: u32) {
    let lesson = |voice: Voice| Lesson {
        agent_id: voice.agent_id,
        verdict: voice.verdict,
        confidence: voice.confidence,
        authority: voice.standing.authority,
        a0: 57_000_000_000,
        b0: 3_000_000_000,
        start: None,
    };
    let update = TrustUpdate {
        trust_domain: "fraud".into(),
        proposal_id: PROPOSAL_ID.parse().unwrap(),
        result_id: "result".into(),
        result_digest: Digest::default(),
        reporter: "reporter".into(),
        result: ResultKind::Right,
        basis: Basis::Observed,
        corrects: None,
        half_life: Some(100),
        decision_digest: Digest::default(),
        outcome: coordinates(),
        result_offset: Offset(0),
        result_time: Timestamp(NOW),
        agents_offset: Offset(0),
        ballots: voices(ballots).into_iter().map(lesson).collect(),
    };
    bencher.bench_local(|| fold(divan::black_box(&update), (0, Offset(0)), |_| None));
}

/// One thousand responses of as many agents to an open round: decoded, digested, admitted.
#[divan::bench]
fn admit_a_thousand_responses(bencher: Bencher<'_, '_>) {
    let codec = Arc::new(Codec::single_object());
    let tables = tables(&codec);
    let values: Vec<Vec<u8>> = (0..RESPONSES).map(|at| response(&codec, at)).collect();
    bencher
        .counter(divan::counter::ItemsCount::new(RESPONSES))
        .with_inputs(|| open(&codec, &tables))
        .bench_local_values(|mut partition| {
            for (offset, value) in (0_i64..).zip(&values) {
                let record = record(Topic::Responses, offset, PROPOSAL_ID, value);
                divan::black_box(partition.step(&tables, Input::Record(record)).unwrap());
            }
            partition
        });
}

fn record<'a>(topic: Topic, offset: i64, key: &'a str, value: &'a [u8]) -> Record<'a> {
    Record {
        topic,
        offset: Offset(offset),
        timestamp: Timestamp(NOW + offset),
        key: Some(key.as_bytes()),
        value: Some(value),
        headers: Headers::default(),
    }
}

fn tables(codec: &Codec) -> Tables {
    let mut tables = Tables::default();
    let mut policy = Policy::defaults("fraud");
    seal_policy(&mut policy).unwrap();
    put(
        &mut tables,
        codec,
        (Topic::Policies, 0),
        "fraud",
        &codec.encode(&policy).unwrap(),
    );
    for (offset, at) in (0_i64..).zip(0..=RESPONSES) {
        let agent = agent(at);
        let value = codec.encode(&agent).unwrap();
        put(
            &mut tables,
            codec,
            (Topic::Agents, offset),
            agent.agent_id.as_str(),
            &value,
        );
    }
    tables
}

fn put(tables: &mut Tables, codec: &Codec, at: (Topic, i64), key: &str, value: &[u8]) {
    let key = Some(key.as_bytes());
    tables
        .apply(codec, at.0, Offset(at.1), Timestamp(NOW), key, Some(value))
        .unwrap();
}

fn agent(at: usize) -> Agent {
    let prior = Some(Prior {
        right: 18,
        wrong: 2,
        source: "bench".into(),
    });
    Agent {
        agent_id: format!("agent-{at:05}").as_str().into(),
        kind: AgentKind::Agent,
        display_name: String::new(),
        principal: format!("principal-{}", at % 40),
        model_family: None,
        domains: vec![Grant {
            domain: "fraud".into(),
            authority: Millionths::ONE,
            prior,
        }],
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    }
}

/// A partition with one open round.
fn open(codec: &Arc<Codec>, tables: &Tables) -> Partition {
    let mut partition = Partition::new(
        Config {
            partition: 0,
            partitions: 1,
            detail: Detail::Records,
        },
        Arc::clone(codec),
    );
    let proposal = Proposal {
        proposal_id: PROPOSAL_ID.into(),
        proposer: format!("agent-{RESPONSES:05}"),
        domain: "fraud.detection".into(),
        action: Action {
            r#type: "payment.block".into(),
            ..Action::default()
        },
        summary: String::new(),
        rationale: String::new(),
        confidence: 0.9,
        stakes: Stakes::Low,
        deadline: None,
        supersedes: None,
        labels: Vec::new(),
    };
    let value = codec.encode(&proposal).unwrap();
    let record = record(Topic::Proposals, 0, PROPOSAL_ID, &value);
    partition.step(tables, Input::Record(record)).unwrap();
    partition
}

fn response(codec: &Codec, at: usize) -> Vec<u8> {
    let response = Response {
        response_id: format!("response-{at}").into(),
        proposal_id: PROPOSAL_ID.into(),
        proposal_digest: None,
        agent_id: format!("agent-{at:05}").into(),
        verdict: Verdict::Endorse,
        confidence: 0.8,
        reasoning: "the device is known and the amount is within the usual range".into(),
        evidence: Vec::new(),
    };
    codec.encode(&response).unwrap()
}

fn coordinates() -> Coordinates {
    Coordinates {
        partition: 0,
        proposal_offset: Offset(0),
        proposal_time: Timestamp(NOW),
        deadline: Timestamp(NOW),
        closing_offset: Offset(0),
        closing_time: Timestamp(NOW),
        closed_early: false,
        pins: Pins::NONE,
        superseded: Vec::new(),
        judged: Vec::new(),
        traceparent: None,
    }
}
