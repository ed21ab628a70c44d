//! One life of an engine's thread: a consumer, a producer, and the partitions it is given.
//!
//! It reads, steps and commits until it is told to stop or something fails. There is no half-way
//! recovery: after an error the next session starts from what is committed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::connection::{is_passing, note};
use super::positions::INPUTS;
use super::restore::{self, Source, Step};
use super::share::Share;
use super::tables::Follower;
use super::transaction::Transaction;
use super::{Appender, Error};
use crate::clock::Clock;

/// Longest wait for a record; it bounds how late ticks and commits are.
const LOOK: Duration = Duration::from_millis(5);
/// Most records read before anything else is looked after.
const BATCH: usize = 512;

/// What a session is started with.
pub(super) struct Session<'a> {
    pub(super) source: Source,
    /// What this engine is called, the same after a restart.
    pub(super) id: String,
    pub(super) transaction_timeout: Duration,
    pub(super) commit_interval: Duration,
    pub(super) clock: &'a dyn Clock,
    pub(super) stop: &'a AtomicBool,
    /// Partitions that cannot go on: left alone.
    pub(super) halted: &'a BTreeSet<i32>,
}

/// The consumer's side of a share: what rebalances do to it, inside `poll`.
struct Member(Mutex<Share>);

impl Member {
    fn share(&self) -> MutexGuard<'_, Share> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Member {
    fn error(&self, error: KafkaError, reason: &str) {
        note(&error, reason);
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            let mut share = self.share();
            // Whether the partitions are still ours is for the broker to say: it fences.
            if let Err(error) = share.commit(consumer) {
                share.failed = Some(error);
                share.abandoned = true;
            }
            tracing::info!(partitions = ?partitions(list), "revoked");
            // Under the classic protocol all are revoked before any is assigned.
            share.forget();
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            let mut share = self.share();
            // Nothing is read before the engines are restored, which is done outside this callback.
            if let Err(error) = consumer.pause(list) {
                share.failed = Some(Error::kafka("pause what was assigned")(error));
            }
            let fresh = partitions(list);
            tracing::info!(partitions = ?fresh, "assigned");
            share.fresh = Some(fresh);
        }
    }
}

/// The partitions of a list, each once.
fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    let all: BTreeSet<_> = list.elements().iter().map(|e| e.partition()).collect();
    all.into_iter().collect()
}

type Restoring = Receiver<Result<(i32, Step), Error>>;

impl Session<'_> {
    /// Works until told to stop.
    pub(super) fn run(&self) -> Result<(), Error> {
        let consumer = self.join()?;
        let worked = self.work(&consumer);
        if worked.is_err() {
            consumer.context().share().abandoned = true;
        }
        worked
    }

    /// Becomes a member of the group, with everything that needs.
    fn join(&self) -> Result<BaseConsumer<Member>, Error> {
        let connection = &self.source.connection;
        // ORDER: taking the id over ends what a predecessor left open, which tables and positions
        // would otherwise be waited for.
        let transaction = Transaction::take_over(connection, &self.id, self.transaction_timeout)?;
        let share = Share::new(
            self.source.clone(),
            Follower::open(connection, self.source.codec.clone())?,
            transaction,
            Appender::open(connection)?,
        );
        let consumer: BaseConsumer<Member> = connection
            .member()
            .create_with_context(Member(Mutex::new(share)))
            .map_err(Error::kafka("make a consumer"))?;
        let names = INPUTS.map(|topic| connection.topic(topic));
        consumer
            .subscribe(&names.each_ref().map(String::as_str))
            .map_err(Error::kafka("join the group"))?;
        Ok(consumer)
    }

    fn work(&self, consumer: &BaseConsumer<Member>) -> Result<(), Error> {
        let mut restoring = None;
        let mut committed = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let patience = if restoring.is_some() {
                Duration::ZERO
            } else {
                LOOK
            };
            read(consumer, patience)?;
            let mut share = consumer.context().share();
            if let Some(error) = share.failed.take() {
                return Err(error);
            }
            share.follower.follow()?;
            self.restore(consumer, &mut share, &mut restoring)?;
            share.answer(consumer)?;
            share.hold(consumer)?;
            share.tick(self.clock.now())?;
            if committed.elapsed() >= self.commit_interval {
                share.commit(consumer)?;
                committed = Instant::now();
            }
        }
        consumer.context().share().commit(consumer)
    }

    /// Starts to restore what was assigned, and takes the steps that are there.
    fn restore(
        &self,
        consumer: &BaseConsumer<Member>,
        share: &mut Share,
        restoring: &mut Option<Restoring>,
    ) -> Result<(), Error> {
        if let Some(mut wanted) = share.fresh.take() {
            wanted.retain(|partition| !self.halted.contains(partition));
            let any = !wanted.is_empty();
            *restoring = any.then(|| restore::start(self.source.clone(), wanted));
        }
        let Some(steps) = restoring else {
            return Ok(());
        };
        for _ in 0..BATCH {
            match steps.recv_timeout(LOOK) {
                Ok(Ok((partition, step))) => {
                    if share.restore(partition, step)? {
                        tracing::info!(partition, "restored");
                        share.go_on(consumer, partition)?;
                    }
                }
                Ok(Err(error)) => return Err(error),
                Err(RecvTimeoutError::Timeout) => break,
                Err(_) => {
                    *restoring = None;
                    break;
                }
            }
        }
        Ok(())
    }
}

/// Reads what is there, up to a batch, and steps the engines with it.
fn read(consumer: &BaseConsumer<Member>, patience: Duration) -> Result<(), Error> {
    let mut patience = patience;
    for _ in 0..BATCH {
        match consumer.poll(patience) {
            None => break,
            Some(Ok(message)) => consumer.context().share().take(consumer, &message)?,
            Some(Err(error)) if is_passing(&error) => {
                tracing::debug!(%error, "broker does not answer yet");
                break;
            }
            Some(Err(error)) => return Err(Error::kafka("read inputs")(error)),
        }
        patience = Duration::ZERO;
    }
    Ok(())
}
