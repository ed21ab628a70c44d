//! Positions left pending in the group by a transaction that its coordinator knows has ended: no end
//! of it will reach them, and whoever asks for stable positions waits for ever.
//!
//! A request to put positions into a transaction, held back by the network until that has ended,
//! leaves them so. Brokers ask the coordinator before they take one, since 3.6 and unless they are
//! told not to, as here; what came out of two kills of a broker once looked the same.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use quorate::transport::INPUTS;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use super::{CATCH_UP, PARTITIONS, house, play, tell, times, until};
use crate::support::House;
use crate::support::load::Random;

const INIT_PRODUCER_ID: i16 = 22;
const ADD_OFFSETS: i16 = 25;
const END: i16 = 26;
const COMMIT_OFFSETS: i16 = 28;

/// What an engine says that waited for stable positions in vain.
const IN_VAIN: &str = "ask for committed positions";

/// Has the broker take positions without asking the coordinator whether their transaction is open.
#[expect(
    clippy::disallowed_methods,
    reason = "an operator's tools are not of our making"
)]
fn trust_whoever_commits(house: &House) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", house.bootstrap());
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Broker(1))
        .set("transaction.partition.verification.enable", "false");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let (runtime, options) = (runtime.unwrap(), AdminOptions::new());
    let altered = runtime.block_on(admin.alter_configs(&[change], &options));
    assert!(altered.unwrap().iter().all(Result::is_ok));
}

/// A client that speaks Kafka's frames by hand, since no library says anything out of turn.
struct Client {
    stream: TcpStream,
    /// The transactional id, as frames have it.
    id: Vec<u8>,
    /// The consumer group, as frames have it.
    group: Vec<u8>,
}

impl Client {
    /// One that goes by an engine's transactional id.
    fn as_engine(house: &House, engine: &str) -> Self {
        let stream = TcpStream::connect(house.bootstrap()).unwrap();
        stream.set_read_timeout(Some(CATCH_UP)).unwrap();
        Self {
            stream,
            id: text(&format!("{}{engine}", house.prefix)),
            group: text(&format!("{}processor", house.prefix)),
        }
    }

    /// Asks in the oldest version there is of a request; the answer after its throttle time.
    fn ask(&mut self, key: i16, body: &[u8]) -> Vec<u8> {
        let no_client_id = (-1_i16).to_be_bytes();
        let head = [&key.to_be_bytes()[..], &[0; 6], &no_client_id, body].concat();
        let length = u32::try_from(head.len()).unwrap();
        self.stream.write_all(&length.to_be_bytes()).unwrap();
        self.stream.write_all(&head).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.stream.read_exact(&mut answer).unwrap();
        answer.split_off(8)
    }

    /// Takes the id over, once what is under way with it has ended; producer id and epoch.
    fn take_over(&mut self) -> Vec<u8> {
        let body = [&self.id[..], &10_000_i32.to_be_bytes()].concat();
        let mut answer = Vec::new();
        until(|| {
            answer = self.ask(INIT_PRODUCER_ID, &body);
            answer.starts_with(&[0, 0])
        });
        answer.split_off(2)
    }

    /// Puts the first offset of everything into a transaction; the codes of the answer.
    fn commit_offsets(&mut self, house: &House, producer: &[u8]) -> Vec<[u8; 2]> {
        let partition = |number: i32| {
            let no_metadata = (-1_i16).to_be_bytes();
            [&number.to_be_bytes()[..], &[0; 8], &no_metadata].concat()
        };
        let topic = |topic| {
            let name = text(&format!("{}{topic}", house.prefix));
            let partitions = (0..PARTITIONS).flat_map(partition);
            [&name[..], &PARTITIONS.to_be_bytes()]
                .concat()
                .into_iter()
                .chain(partitions)
                .collect::<Vec<_>>()
        };
        let topics: Vec<_> = INPUTS.into_iter().flat_map(topic).collect();
        let count = i32::try_from(INPUTS.len()).unwrap().to_be_bytes();
        let body = [&self.id[..], &self.group, producer, &count, &topics].concat();
        let answer = self.ask(COMMIT_OFFSETS, &body);
        codes(&answer)
    }

    /// A transaction of which nothing is left but positions that came too late.
    fn leave_pending(mut self, house: &House) {
        let producer = self.take_over();
        let add = [&self.id[..], &producer, &self.group].concat();
        let added = self.ask(ADD_OFFSETS, &add);
        assert_eq!(added, [0, 0]);
        let all_well = vec![[0, 0]; INPUTS.len() * PARTITIONS.unsigned_abs() as usize];
        assert_eq!(self.commit_offsets(house, &producer), all_well);
        let abort = [&self.id[..], &producer, &[0]].concat();
        assert_eq!(self.ask(END, &abort), [0, 0]);
        // Taken over is only what has ended.
        self.take_over();
        assert_eq!(self.commit_offsets(house, &producer), all_well);
    }
}

/// A text as frames have it.
fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

/// The codes in an answer that has a list of partitions for each of a list of topics.
fn codes(answer: &[u8]) -> Vec<[u8; 2]> {
    let mut rest = answer;
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at(count);
        rest = left;
        taken
    };
    let mut codes = Vec::new();
    for _ in 0..number(take(4)) {
        let name = number(take(2));
        take(name);
        for _ in 0..number(take(4)) {
            take(4);
            codes.push(take(2).try_into().unwrap());
        }
    }
    codes
}

fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | usize::from(*byte))
}

#[test]
fn positions_left_pending_by_a_transaction_that_has_ended_are_given_up() {
    let fault = "positions of a transaction left pending in the group after its end";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    trust_whoever_commits(&house);
    let count = times(1, 5);
    let played = play(&house, &mut random, |_| {
        let mut one = house.run_as("one");
        let mut in_the_way = 0;
        for attempt in 0.. {
            let before = house.logged(IN_VAIN);
            until(|| one.diary().live.len() == 3);
            // Nothing is shown by what was not in the way: an engine that fails for want of time
            // gives positions up before it has waited for them.
            in_the_way += usize::from(house.logged(IN_VAIN) > before);
            if in_the_way == count {
                break;
            }
            assert!(attempt < count + 10, "they were never in the way");
            one.stop();
            Client::as_engine(&house, "one-0").leave_pending(&house);
            one = house.run_as("one");
        }
        vec![one]
    });
    tell(fault, count, seed, &house, &played);
}

#[cfg(debug_assertions)]
#[test]
fn positions_left_pending_that_nobody_gives_up_would_be_seen() {
    let house = house();
    trust_whoever_commits(&house);
    let one = house.run_as("one");
    until(|| one.diary().live.len() == 3);
    one.stop();
    Client::as_engine(&house, "one-0").leave_pending(&house);
    let one = house.run_faulty("one", "positions-left-pending");
    // Both engines, in the life that only finds them and in the next one.
    until(|| house.logged(IN_VAIN) >= 4);
    assert!(one.diary().live.is_empty());
}
