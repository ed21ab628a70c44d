//! The blackboard: a log in one file on this machine, shared by several processes through SQLite.
//!
//! Whoever writes does so one after the other, so that offsets and append times are in the order in
//! which records come to be seen, and nothing is ever open that others wait for. Outputs and
//! positions are one transaction. There is no broker, no registry, and nothing to be set up.

mod clean;
mod edge;
mod feed;
mod file;
mod group;
mod log;
mod reader;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use edge::Edge;
pub use file::{Blackboard, Made};
pub use reader::Reader;

use log::Membership;

use super::processor::Processor;
use super::{Error, Settings};
use crate::telemetry::Vitals;
use crate::wire::Codec;

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
    let codec = codec();
    let processor = Processor {
        settings,
        codec: &codec,
        partitions: board.partitions(),
        stop,
        vitals,
    };
    processor.run(|number, _again| {
        let name = format!("{}-{number}", settings.instance);
        Membership::join(board, &name, settings)
    })
}

/// What records on a blackboard are written with: there is no registry to ask for another.
fn codec() -> Arc<Codec> {
    Arc::new(Codec::single_object())
}
