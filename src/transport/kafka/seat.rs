//! A seat in the consumer group: what rebalances bring to it, and how it is left.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;

use super::connection::{PATIENCE, note};

/// What rebalances brought and nobody has taken up.
#[derive(Default)]
pub(super) struct Rebalances {
    changes: Mutex<VecDeque<Change>>,
    /// Whether the client still waits to be told that one was taken up.
    unanswered: AtomicBool,
    closing: AtomicBool,
}

/// What a rebalance came to.
pub(super) enum Change {
    Assigned(TopicPartitionList),
    Revoked,
}

impl ClientContext for Rebalances {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Rebalances {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if self.closing.load(Ordering::Relaxed) {
            // Nothing of what was read is committed any more: somebody else reads it again.
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "cannot give partitions back");
            }
            return;
        }
        let change = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assigned(list.clone()),
            _ => Change::Revoked,
        };
        self.unanswered.store(true, Ordering::Relaxed);
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.push_back(change);
    }
}

impl Rebalances {
    /// The next change, in the order they came.
    pub(super) fn take(&self) -> Option<Change> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.pop_front()
    }

    /// Takes note that the client was told what became of a change.
    pub(super) fn answer(&self) {
        self.unanswered.store(false, Ordering::Relaxed);
    }
}

/// What is to be done before a consumer is let go.
pub(super) trait Leave: ConsumerContext + Sized {
    fn leave(_consumer: &BaseConsumer<Self>) {}
}

impl Leave for Rebalances {
    fn leave(consumer: &BaseConsumer<Self>) {
        let Self {
            closing,
            unanswered,
            ..
        } = consumer.context().as_ref();
        closing.store(true, Ordering::Relaxed);
        // A change nobody has taken up would keep the client from leaving the group. One that it
        // has not told us of yet is answered when it does.
        if unanswered.load(Ordering::Relaxed)
            && let Err(error) = consumer.unassign()
        {
            tracing::debug!(%error, "nothing to give back");
        }
    }
}

/// A member's consumer. Left, it holds nobody up for long.
pub(super) struct Seat<C: Leave + 'static> {
    consumer: Option<BaseConsumer<C>>,
    /// What its member is called.
    name: String,
}

impl<C: Leave> Seat<C> {
    pub(super) fn new(consumer: BaseConsumer<C>, name: &str) -> Self {
        Self {
            consumer: Some(consumer),
            name: name.to_owned(),
        }
    }
}

impl<C: Leave> Deref for Seat<C> {
    type Target = BaseConsumer<C>;

    fn deref(&self) -> &Self::Target {
        // INVARIANT: it is there until the seat is dropped.
        #[expect(clippy::expect_used, reason = "only `drop` takes it")]
        self.consumer.as_ref().expect("the seat is taken")
    }
}

impl<C: Leave> Drop for Seat<C> {
    /// Leaves the group.
    ///
    /// A client that brings two changes in a row while it leaves can be gone by the answer to the
    /// first: whoever answers the second then waits for ever (librdkafka's `rd_kafka_assign` asks a
    /// queue nobody serves any more). So that is done by a thread that may be left behind; its
    /// consumer has no place in the group by then, and what an engine wrote last is fenced.
    fn drop(&mut self) {
        let Some(consumer) = self.consumer.take() else {
            return;
        };
        let (done, left) = mpsc::channel();
        thread::spawn(move || {
            C::leave(&consumer);
            drop(consumer);
            // Nobody may wait for it any more.
            let _heard = done.send(());
        });
        if left.recv_timeout(PATIENCE).is_err() {
            tracing::warn!(
                name = self.name,
                after = ?PATIENCE,
                "a consumer does not end; it is left behind"
            );
        }
    }
}
