//! Logs the protocol runs over, and the processor that runs over any of them.
//!
//! A [`Log`] gives a member its share of the partitions, their records in order, and one atomic
//! commit of what follows from them and how far they were read. Everything that is the same
//! whatever the log is (engines, restoring, ticks, when to commit) is in `member`; nothing here
//! decides anything.

pub mod blackboard;
mod error;
mod handle;
pub mod kafka;
mod member;
mod owned;
mod positions;
mod processor;
mod restore;
mod shared;
mod slot;
mod stored;
mod tables;
mod ticks;
mod together;
mod unread;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use quorate_core::ids::Millis;
use quorate_core::topic::Topic;

pub use error::{Error, Hindrance};
pub use handle::{Appended, Handle};
pub use positions::{Committed, INPUTS};
pub use processor::Settings;
pub use shared::{Share, Shared};
pub use stored::{Header, Start, Stored};

use crate::engine::Record;

/// How long `acp.trust` is left uncompacted: above the longest default deadline (seven days) and a
/// day, so that open rounds find the scores they pinned.
pub const TRUST_LAG: Millis = Millis(9 * 24 * 60 * 60 * 1_000);

/// How long all of `acp.claims` is kept: many times as long as any claim lasts, so that whoever
/// reads it from its beginning knows which of two was first. What is older says nothing any more.
pub const CLAIMS_KEPT: Millis = Millis(24 * 60 * 60 * 1_000);

/// A member's side of a log: the partitions it is given, and what it makes of them.
///
/// After an error nothing more may be asked of it: it is dropped, and the next one goes on from
/// what is committed.
pub trait Log {
    /// A way to read what is there.
    type Source: Source + Send + 'static;
    /// A record as the log hands it over.
    type Delivery<'a>: Delivery
    where
        Self: 'a;

    /// Makes a way to read what is there, which may be taken to another thread.
    ///
    /// # Errors
    /// [`Error::Log`] if there is none to be had.
    fn source(&self) -> Result<Self::Source, Error>;

    /// What happens next, if something does within the time.
    ///
    /// # Errors
    /// [`Error::Halted`] for a record without an append time; [`Error::Log`].
    fn next(&mut self, patience: Duration) -> Result<Event<Self::Delivery<'_>>, Error>;

    /// Lets go of what [`Event::Revoked`] took away; what was read of it is committed or given up.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn release(&mut self) -> Result<(), Error>;

    /// Reads a partition from these offsets on, one for each input; before, nothing is read of it.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn read_from(&mut self, partition: i32, offsets: &BTreeMap<Topic, i64>) -> Result<(), Error>;

    /// Stops or goes on reading one topic of a partition.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn hold(&mut self, partition: i32, topic: Topic, held: bool) -> Result<(), Error>;

    /// Puts a record into the next commit.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn put(&mut self, entry: &Entry<'_>) -> Result<(), Error>;

    /// Appends a record at once, whatever becomes of the next commit: a tick, or a forward. The
    /// next commit waits until it has arrived.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn post(&mut self, entry: &Entry<'_>) -> Result<(), Error>;

    /// Whether something posted has not arrived.
    fn is_posting(&self) -> bool;

    /// The offset after the last record put into a partition of `acp.rounds`, as far as that is
    /// known; only its owner writes there.
    fn rounds_end(&self, partition: i32) -> Option<i64>;

    /// Commits what was put, with how far these partitions are read: all of it or nothing. What
    /// is put from here on belongs to the next commit, which may not be asked for before this one
    /// is done ([`Log::is_committing`], [`Log::settle`]).
    ///
    /// # Errors
    /// [`Error::Log`], [`Error::TimedOut`]; whether it was committed is then open.
    fn commit(&mut self, read: &BTreeMap<i32, Committed>) -> Result<(), Error>;

    /// Whether the last commit is under way still.
    ///
    /// # Errors
    /// As of [`Log::commit`], of the one that was under way.
    fn is_committing(&mut self) -> Result<bool, Error>;

    /// Waits until the last commit is done.
    ///
    /// # Errors
    /// As of [`Log::commit`], of the one that was under way.
    fn settle(&mut self) -> Result<(), Error>;
}

/// Reads what is there: partitions from a place to an end, or on and on.
pub trait Reading {
    /// The first offset still there, and the one after the last committed record.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error>;

    /// As [`Reading::ends`], but with what others may yet commit before that end.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn far_ends(&self, topic: Topic, partition: i32) -> Result<(i64, i64), Error>;

    /// Reads a partition from a place up to an offset, exclusive, or until `each` has enough.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if the end does not come; [`Error::Log`] or what `each` says.
    fn read_to(
        &self,
        topic: Topic,
        partition: i32,
        from: i64,
        end: i64,
        each: &mut dyn FnMut(Stored) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error>;

    /// Goes to these places; what was read before is left.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn go_to(&self, places: &[(Topic, i32, Start)]) -> Result<(), Error>;

    /// The next record of those places, if one comes within the time.
    ///
    /// # Errors
    /// [`Error::Log`].
    fn next(&self, timeout: Duration) -> Result<Option<Stored>, Error>;

    /// The offset to read next, past what leaves no record; none before anything was read.
    fn position(&self, topic: Topic, partition: i32) -> Option<i64>;
}

/// What a member reads beside its share: what is there, and how far it was read.
pub trait Source: Reading {
    /// What was committed of each partition; none where nothing ever was.
    ///
    /// # Errors
    /// [`Error::Halted`] if what is there is not of our making; [`Error::Log`].
    fn committed(&self, partitions: &[i32]) -> Result<BTreeMap<i32, Option<Committed>>, Error>;

    /// A record below the committed position, as the engine took it when it was read first; none
    /// if that cannot be told for now, and is to be asked again.
    ///
    /// # Errors
    /// [`Error::Halted`] if it cannot be read as it was; [`Error::Log`].
    fn as_it_was(&self, stored: Stored) -> Result<Option<Stored>, Error>;
}

/// What happens to a member.
#[derive(Debug)]
pub enum Event<D> {
    /// Nothing, within the time.
    Nothing,
    /// These partitions are the member's from now on; nothing of them is read yet.
    Assigned(Vec<i32>),
    /// Every partition is taken away, once [`Log::release`] lets go of them.
    Revoked,
    /// The next record of a topic of a partition.
    Record(D),
}

/// A record that still belongs to the log's client.
pub trait Delivery {
    /// The partition it lies on.
    fn partition(&self) -> i32;

    /// The record.
    fn record(&self) -> Record<'_>;
}

/// A record to append.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: i32,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [(&'a str, &'a [u8])],
}
