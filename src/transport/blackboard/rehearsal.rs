//! A blackboard that is written at times it is told: the same engine and the same file, so that
//! days can pass in seconds. Nothing that decides knows of it: it asks no clock anyway.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use quorate_core::ids::Timestamp;

use super::file::Blackboard;
use super::log::Membership;
use crate::clock::Clock;
use crate::telemetry::Vitals;
use crate::transport::member::{Member, Orders};
use crate::transport::{Error, Settings};

/// A time that is told.
#[derive(Clone, Debug, Default)]
pub struct Told(Arc<AtomicI64>);

impl Told {
    /// Tells it.
    pub fn set(&self, time: Timestamp) {
        self.0.store(time.0, Ordering::Relaxed);
    }
}

impl Clock for Told {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// Has `play` go on with a processor that works when it is called, until nothing is left to do at
/// the time that is told then. The blackboard must be one whose time is told.
///
/// # Errors
/// As [`super::run`], or what `play` says.
pub fn rehearse<E: From<Error>>(
    board: &Blackboard,
    settings: &Settings,
    play: impl FnOnce(&mut dyn FnMut() -> Result<(), Error>) -> Result<(), E>,
) -> Result<(), E> {
    let Some(told) = &board.told else {
        let why = "a rehearsal needs a blackboard whose time is told".to_owned();
        return Err(Error::Unfit(why).into());
    };
    let vitals = Arc::new(Vitals::new(settings.session));
    let (stop, halted) = (AtomicBool::new(false), BTreeSet::new());
    let orders = Orders {
        number: 0,
        vitals: &vitals,
        codec: board.schemas.codec(),
        partitions: board.partitions,
        commit_interval: settings.commit_interval,
        clock: told,
        stop: &stop,
        halted: &halted,
    };
    let name = format!("{}-0", settings.instance);
    let log = Membership::join(board, &name, settings)?;
    let mut member = Member::new(log, orders)?;
    play(&mut || member.settle())
}
