//! A topic shared by a consumer group of its own, whose committed offsets say how far it is done
//! with.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use quorate_core::topic::Topic;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::connection::{PATIENCE, is_passing, note};
use super::seat::{Leave, Seat};
use super::{Connection, Error, read};
use crate::transport::{Share, Shared};

/// A member of such a group.
pub(super) struct Sharing {
    connection: Connection,
    consumer: Seat<Changes>,
    topic: Topic,
}

/// What was assigned, or that nothing is any more, as nobody has taken it up.
#[derive(Default)]
struct Changes(Mutex<VecDeque<Vec<i32>>>);

impl ClientContext for Changes {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Changes {
    fn post_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let partitions = match rebalance {
            Rebalance::Assign(list) => {
                let elements = list.elements();
                elements.iter().map(|element| element.partition()).collect()
            }
            Rebalance::Revoke(_) | Rebalance::Error(_) => Vec::new(),
        };
        let mut changes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_back(partitions);
    }
}

impl Leave for Changes {}

impl Sharing {
    /// Joins the group of a name.
    pub(super) fn join(connection: &Connection, name: &str, topic: Topic) -> Result<Self, Error> {
        let config = connection.sharer(name);
        let consumer: BaseConsumer<Changes> = config
            .create_with_context(Changes::default())
            .map_err(Error::kafka("make a consumer"))?;
        let joined = consumer.subscribe(&[connection.name(topic)]);
        joined.map_err(Error::kafka("join a group"))?;
        Ok(Self {
            connection: connection.clone(),
            consumer: Seat::new(consumer, name),
            topic,
        })
    }

    fn change(&self) -> Option<Vec<i32>> {
        let mut changes = self.consumer.context().0.lock();
        let changes = changes.as_mut().ok()?;
        // Only how it stands now is of use.
        changes.drain(..).next_back()
    }

    /// How far what was assigned is done with.
    fn mine(&self, partitions: &[i32]) -> Result<Share, Error> {
        let doing = || Error::kafka("ask how far a group is");
        let mut list = TopicPartitionList::new();
        for &partition in partitions {
            list.add_partition(self.connection.name(self.topic), partition);
        }
        if partitions.is_empty() {
            return Ok(Share::Mine(BTreeMap::new()));
        }
        let answer = self.consumer.committed_offsets(list, PATIENCE);
        let answer = answer.map_err(doing())?;
        let mut mine = BTreeMap::new();
        for element in answer.elements() {
            element.error().map_err(doing())?;
            let next = element.offset().to_raw().filter(|next| *next >= 0);
            mine.insert(element.partition(), next);
        }
        Ok(Share::Mine(mine))
    }
}

impl Shared for Sharing {
    fn next(&mut self, patience: Duration) -> Result<Share, Error> {
        let stored = match self.consumer.poll(patience) {
            None => None,
            Some(Ok(message)) => read::copy(&self.connection, &message),
            Some(Err(error)) if is_passing(&error) => {
                tracing::debug!(%error, "broker does not answer yet");
                None
            }
            Some(Err(error)) => return Err(Error::kafka("read records")(error)),
        };
        if let Some(partitions) = self.change() {
            // ORDER: a record that came with it is read again, from where the partition is done.
            if let Some(stored) = stored {
                let back = Offset::Offset(stored.offset);
                let name = self.connection.name(self.topic);
                let seek = self.consumer.seek(name, stored.partition, back, PATIENCE);
                seek.map_err(Error::kafka("go back in a topic"))?;
            }
            return self.mine(&partitions);
        }
        Ok(stored.map_or(Share::Nothing, Share::Record))
    }

    fn hold(&mut self, held: bool) -> Result<(), Error> {
        let list = self.consumer.assignment();
        let list = list.map_err(Error::kafka("ask what is assigned"))?;
        let done = if held {
            self.consumer.pause(&list)
        } else {
            self.consumer.resume(&list)
        };
        done.map_err(Error::kafka("hold a topic"))
    }

    fn done(&mut self, next: &BTreeMap<i32, i64>) -> Result<(), Error> {
        let doing = || Error::kafka("commit how far a group is");
        let mut list = TopicPartitionList::new();
        for (&partition, &next) in next {
            let name = self.connection.name(self.topic);
            let added = list.add_partition_offset(name, partition, Offset::Offset(next));
            added.map_err(doing())?;
        }
        match self.consumer.commit(&list, CommitMode::Sync) {
            // They are being shared out anew: whoever gets them does it again.
            Err(KafkaError::ConsumerCommit(
                RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::RebalanceInProgress,
            )) => Ok(()),
            done => done.map_err(doing()),
        }
    }
}
