//! Appends rounds: as fast as may be, or at a pace, each answer after a delay of its own.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use quorate::clock::{Clock as _, System};
use quorate::engine::TICK;
use quorate::transport::kafka::Schemas;
use quorate::wire::{Codec, partition_of};
use quorate_core::ids::{ProposalId, Timestamp};
use quorate_core::records::Verdict;
use quorate_core::topic::Topic;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders, ToBytes};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::house::House;
use super::rounds::{Numbers, Round};
use super::sizes::PARTITIONS;

/// What is appended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many rounds.
    pub(crate) rounds: usize,
    /// How many are proposed a second; none: as fast as may be.
    pub(crate) pace: Option<usize>,
    /// Answers to each.
    pub(crate) per: usize,
    /// From proposal to deadline, in milliseconds.
    pub(crate) deadline: i64,
    /// The answers come within so many milliseconds.
    pub(crate) within: u64,
    /// What all of them say; none: what the dice say.
    pub(crate) verdict: Option<Verdict>,
}

/// A producer of agents' records.
pub(crate) struct Load {
    producer: BaseProducer,
    codec: Arc<Codec>,
    names: [String; 2],
    run: u64,
    proposed: u64,
}

impl Load {
    /// One on these topics; records wait `linger` for others to go with.
    pub(crate) fn on(house: &House<'_>, linger: u32) -> Self {
        let connection = house.connection();
        let producer = house.client([
            ("acks", "all".to_owned()),
            ("linger.ms", linger.to_string()),
            ("batch.size", "262144".to_owned()),
            ("batch.num.messages", "100000".to_owned()),
            ("queue.buffering.max.messages", "500000".to_owned()),
            ("compression.type", "lz4".to_owned()),
        ]);
        Self {
            producer: producer.create().unwrap(),
            codec: Arc::clone(Schemas::load(&connection).unwrap().codec()),
            names: [Topic::Proposals, Topic::Responses].map(|topic| connection.topic(topic)),
            run: Numbers(System.now().0.unsigned_abs()).next(),
            proposed: 0,
        }
    }

    /// Proposes the next round now.
    pub(crate) fn propose(&mut self, deadline: i64) -> (Round, String, Timestamp) {
        let at = System.now();
        let round = Round {
            run: self.run,
            number: self.proposed,
            at,
        };
        self.proposed += 1;
        let (id, deadline) = (round.id().to_string(), Timestamp(at.0 + deadline));
        let value = self
            .codec
            .encode(&round.proposal(id.clone(), deadline))
            .unwrap();
        self.send(0, &id, &value);
        (round, id, deadline)
    }

    /// Appends one of a round's answers.
    pub(crate) fn respond(&self, round: &Round, number: u64, verdict: Option<Verdict>) {
        let id = round.id().to_string();
        let mut response = round.response(&id, number);
        if let Some(verdict) = verdict {
            response.verdict = verdict;
            response.agent_id = round.stranger().into();
        }
        let value = self.codec.encode(&response).unwrap();
        self.send(1, &id, &value);
    }

    /// Appends what a plan says; `each` is told of every proposal and its deadline.
    pub(crate) fn follow(&mut self, plan: Plan, mut each: impl FnMut(ProposalId, Timestamp)) {
        let started = System.now();
        let mut dice = Numbers(self.run);
        let mut answers = BinaryHeap::new();
        let mut proposed = 0;
        while proposed < plan.rounds || !answers.is_empty() {
            let now = System.now();
            let elapsed = usize::try_from(now.0 - started.0).unwrap();
            let due = plan.pace.map_or(plan.rounds, |pace| pace * elapsed / 1000);
            let due = due.min(plan.rounds).min(proposed + 1_000);
            while proposed < due {
                let (round, _, deadline) = self.propose(plan.deadline);
                each(round.id(), deadline);
                for number in 0..plan.per {
                    let delay = i64::try_from(1 + dice.below(plan.within)).unwrap();
                    let answer = (Timestamp(round.at.0 + delay), round.number, number as u64);
                    answers.push(Reverse((answer, round.at)));
                }
                proposed += 1;
            }
            let rush = plan.pace.is_none() && proposed == plan.rounds;
            while let Some(Reverse(((due, number, answer), at))) = answers.peek().copied() {
                if due > now && !rush {
                    break;
                }
                answers.pop();
                let run = self.run;
                self.respond(&Round { run, number, at }, answer, plan.verdict);
            }
            self.producer.poll(Duration::ZERO);
            if plan.pace.is_some() {
                // The pace of a load, nothing that is waited for.
                thread::sleep(Duration::from_micros(500));
            }
        }
        self.flush();
    }

    /// Waits until everything is appended.
    pub(crate) fn flush(&self) {
        self.producer.flush(Duration::from_secs(120)).unwrap();
    }

    /// Lets stream time pass on both topics.
    pub(crate) fn tick(&self) {
        for name in &self.names {
            for partition in 0..PARTITIONS {
                let (key, value) = TICK;
                let value = Some(value);
                let headers = OwnedHeaders::new().insert(Header { key, value });
                let record = BaseRecord::<(), ()>::to(name)
                    .partition(partition)
                    .headers(headers);
                self.producer
                    .send(record)
                    .map_err(|(error, _)| error)
                    .unwrap();
            }
        }
        self.flush();
    }

    fn send(&self, topic: usize, key: &str, value: &[u8]) {
        let name = self.names.get(topic).unwrap();
        let partition = partition_of(key.as_bytes(), PARTITIONS);
        let record = BaseRecord::to(name)
            .partition(partition)
            .key(key)
            .payload(value);
        send(&self.producer, record);
    }
}

/// Hands a record over, once there is room for it.
pub(crate) fn send<K, P>(producer: &BaseProducer, mut record: BaseRecord<'_, K, P>)
where
    K: ToBytes + ?Sized,
    P: ToBytes + ?Sized,
{
    let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
    loop {
        match producer.send(record) {
            Ok(()) => return,
            Err((error, back)) if error == full => {
                producer.poll(Duration::from_millis(1));
                record = back;
            }
            Err((error, _)) => panic!("{error}"),
        }
    }
}
