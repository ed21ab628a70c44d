//! The group's committed offsets, deleted and restored.

use std::time::Duration;

use quorate::transport::INPUTS;
use quorate_core::topic::Topic;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::{ClientConfig, TopicPartitionList};

use super::{PARTITIONS, house, play, tell, times, until, wait};
use crate::support::House;
use crate::support::load::Random;
use crate::support::oracle::Log;

const PATIENCE: Duration = Duration::from_secs(30);

/// What an operator has at hand beside this program.
struct Group<'a> {
    house: &'a House,
    config: ClientConfig,
    name: String,
}

impl<'a> Group<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "an operator's tools are not of our making"
    )]
    fn of(house: &'a House) -> Self {
        let name = format!("{}processor", house.prefix);
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", house.bootstrap())
            .set("group.id", &name);
        Self {
            house,
            config,
            name,
        }
    }

    fn consumer(&self) -> BaseConsumer {
        self.config.create().unwrap()
    }

    /// The offsets, with what is kept beside them.
    fn backup(&self) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for topic in INPUTS {
            let name = format!("{}{topic}", self.house.prefix);
            list.add_partition_range(&name, 0, PARTITIONS - 1);
        }
        self.consumer().committed_offsets(list, PATIENCE).unwrap()
    }

    /// Deletes the group, once nobody is in it any more.
    fn delete(&self) {
        let admin: AdminClient<DefaultClientContext> = self.config.create().unwrap();
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let (runtime, names) = (runtime.unwrap(), [self.name.as_str()]);
        until(|| {
            let deleted = runtime.block_on(admin.delete_groups(&names, &options));
            deleted.is_ok_and(|groups| groups.iter().all(Result::is_ok))
        });
    }

    /// Commits the offsets for it, once nobody is in it any more.
    fn restore(&self, backup: &TopicPartitionList) {
        let consumer = self.consumer();
        until(|| consumer.commit(backup, CommitMode::Sync).is_ok());
    }
}

#[test]
fn a_partition_whose_offsets_are_gone_halts_until_they_are_restored() {
    let fault = "the group's offsets deleted, then restored from a backup";
    let mut random = Random::of_this_run(fault);
    let seed = random.seed();
    let house = house();
    let group = Group::of(&house);
    let count = times(1, 10);
    let played = play(&house, &mut random, |random| {
        let log = Log::at(house.connection(), PARTITIONS);
        let mut one = house.run_as("one");
        for _ in 0..count {
            until(|| one.diary().live.len() == 3);
            wait(random.within(3_000..5_000));
            // A partition that never had a round may well begin anew.
            let rounds = |partition| !log.read(Topic::Rounds, partition).is_empty();
            until(|| (0..PARTITIONS).all(rounds));
            one.stop();
            let backup = group.backup();
            group.delete();
            let halted = house.run_as("one");
            // One that is handed on halts again where it goes.
            until(|| halted.diary().halted.len() >= 3);
            for why in halted.diary().halted {
                assert!(
                    why.contains("restore the group's offsets from a backup"),
                    "{why}"
                );
            }
            halted.stop();
            group.restore(&backup);
            one = house.run_as("one");
        }
        until(|| one.diary().live.len() == 3);
        wait(2_000);
        vec![one]
    });
    tell(fault, count, seed, &house, &played);
}
