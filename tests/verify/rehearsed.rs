//! A log whose time is told, so that days pass in seconds: what agents and operators append comes at
//! that time, and a processor goes on with it when it is asked to.

use std::time::Duration;

use quorate::transport::blackboard::{Blackboard, Edge, Told, rehearse};
use quorate::transport::{Entry, Error, Handle as _, Settings};
use quorate::wire::{Record, files, partition_of, seal_policy};
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;
use tempfile::TempDir;

use crate::support::load::Random;
use crate::support::{House, records};

/// When it begins.
pub(super) const BEGINS: i64 = 1_790_000_000_000;

/// The log, and what time it is there.
pub(super) struct Rehearsed {
    folder: TempDir,
    board: Blackboard,
    pub(super) edge: Edge,
    told: Told,
    pub(super) now: i64,
    pub(super) random: Random,
}

impl Rehearsed {
    /// With so many partitions, and these tables.
    pub(super) fn begin(partitions: i32, agents: &str, policies: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("log.db");
        let (board, _) = Blackboard::make(&path, partitions, -1).unwrap();
        let told = Told::default();
        let board = board.told(&told);
        let mut rehearsed = Self {
            folder,
            edge: Edge::new(board.clone()),
            board,
            told,
            now: BEGINS,
            random: Random::of_this_run("rehearsed"),
        };
        rehearsed.wait(0);
        rehearsed.list(agents);
        rehearsed.rule(policies);
        rehearsed
    }

    /// Lets so many milliseconds pass.
    pub(super) fn wait(&mut self, ms: i64) {
        self.now += ms;
        self.told.set(Timestamp(self.now));
    }

    /// The house it is in.
    pub(super) fn house(&self) -> House {
        House::of_file(&self.folder.path().join("log.db"))
    }

    /// Another edge of it.
    pub(super) fn edge(&self) -> Box<Edge> {
        Box::new(Edge::new(self.board.clone()))
    }

    /// Lists agents.
    pub(super) fn list(&self, agents: &str) {
        for agent in files::agents(agents).unwrap() {
            self.append(Topic::Agents, &agent.agent_id.to_string(), &agent);
        }
    }

    /// Puts policies in force.
    pub(super) fn rule(&self, policies: &str) {
        for mut policy in files::policies(policies).unwrap() {
            seal_policy(&mut policy).unwrap();
            self.append(Topic::Policies, &policy.pattern, &policy);
        }
    }

    /// Has somebody propose something to be decided in so many milliseconds; its id.
    pub(super) fn propose(&mut self, proposer: &str, deadline: i64) -> String {
        let id = self.random.id(Timestamp(self.now));
        let mut proposal = records::proposal(&id, "pay", self.now + deadline);
        proposer.clone_into(&mut proposal.proposer);
        self.append(Topic::Proposals, &id, &proposal);
        id
    }

    pub(super) fn append<T: Record>(&self, topic: Topic, key: &str, record: &T) {
        let value = self.edge.codec().encode(record).unwrap();
        self.put(topic, key, &[value]);
    }

    /// Puts values there that are of one key.
    pub(super) fn put(&self, topic: Topic, key: &str, values: &[Vec<u8>]) {
        let partition = match topic.is_table() {
            true => 0,
            false => partition_of(key.as_bytes(), self.edge.partitions().unwrap()),
        };
        let entry = |value| Entry {
            topic,
            partition,
            key: Some(key.as_bytes()),
            value: Some(value),
            headers: &[],
        };
        let entries: Vec<_> = values.iter().map(|value| entry(&value[..])).collect();
        self.edge.append(&entries).unwrap();
    }

    /// Plays something with a processor, which goes on until nothing is left to do when it is asked.
    pub(super) fn play(&mut self, play: impl FnOnce(&mut Self, &mut dyn FnMut())) {
        let settings = Settings {
            engines: 1,
            instance: "rehearsed".to_owned(),
            comes_back: false,
            commit_interval: Duration::from_millis(100),
            transaction_timeout: Duration::from_secs(10),
            session: Duration::from_secs(10),
            schema_wait: Duration::ZERO,
            measure: false,
        };
        let board = self.board.clone();
        let played = rehearse(&board, &settings, |settle| -> Result<(), Error> {
            play(self, &mut || settle().unwrap());
            Ok(())
        });
        played.unwrap();
    }
}
