//! The blackboard: a log in one file on this machine, shared by several processes through SQLite.
//!
//! Whoever writes does so one after the other, so that offsets and append times are in the order in
//! which records come to be seen, and nothing is ever open that others wait for. Outputs and
//! positions are one transaction. There is no broker, no registry, and nothing to be set up.

mod clean;
mod edge;
mod feed;
mod file;
mod fill;
mod group;
mod inspect;
mod log;
mod open;
mod reader;
mod rehearsal;
mod schemas;
mod shared;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use edge::Edge;
pub use file::{Blackboard, Made};
pub use inspect::{Engine, Inspected, Share};
pub use reader::Reader;
pub use rehearsal::{Told, rehearse};
pub use schemas::record;

use log::Membership;

use super::processor::Processor;
use super::{Error, Settings};
use crate::telemetry::Vitals;

/// Runs a processor until `stop` is set; everything read by then is committed.
///
/// # Errors
/// [`Error::Replaced`] if another took its name. Other failures are logged and worked through; a
/// partition that cannot go on is left alone.
pub fn run(
    board: &Blackboard,
    settings: &Settings,
    vitals: &Arc<Vitals>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let processor = Processor {
        settings,
        codec: board.schemas.codec(),
        partitions: board.partitions(),
        stop,
        vitals,
    };
    processor.run(|number, _again| {
        let name = format!("{}-{number}", settings.instance);
        Membership::join(board, &name, settings)
    })
}
