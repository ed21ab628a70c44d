//! Kafka: topics, a schema registry, clients at the edge, and the processor.
//!
//! [`Connection`] makes every client, so that what the protocol rests on is set in one place.
//! [`run`] is the processor over it: each engine thread is a member of the consumer group, and
//! commits outputs, rounds and positions in one transaction. Why each piece is as it is, is said
//! where it is.

mod append;
mod attempts;
mod batch;
mod compare;
mod connection;
mod edge;
mod error;
mod gauges;
mod group;
mod inspect;
mod log;
mod lookup;
mod offsets;
mod plan;
mod properties;
mod reach;
mod read;
mod refused;
mod registry;
mod schemas;
mod seat;
mod settle;
mod shared;
mod source;
mod topics;
mod transaction;
mod waits;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;

use tokio::runtime::Handle;

pub use append::Appender;
pub use compare::{Compared, Difference, compare};
pub use connection::Connection;
pub use edge::Edge;
pub use inspect::{Broker, Cluster, Ends, Gauge};
pub use offsets::{Kept, Places, Positions};
pub use plan::{Planned, Setting, Step, plan};
pub use read::Reader;
pub use registry::{COMPATIBILITY, Registry};
pub use schemas::{Registered, Schemas, entries, register};
pub use topics::{Change, Layout, apply, partitions};

use super::processor::Processor;
pub use super::{Appended, Error, Settings, Start, Stored};
use attempts::Book;
use log::{Group, Membership};
use lookup::Lookup;

use crate::telemetry::Vitals;

/// Runs a processor until `stop` is set; everything read by then is committed.
///
/// # Errors
/// [`Error::Unfit`] if topics or schemas are not as they must be at the start; [`Error::Refused`]
/// if the group does not take the processor, or not any more. Other failures are logged and worked
/// through; a partition that cannot go on is left alone.
pub fn run(
    connection: &Connection,
    registry: &Registry,
    settings: &Settings,
    runtime: &Handle,
    vitals: &Arc<Vitals>,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let partitions = partitions(connection)?;
    let schemas = Schemas::load(connection)?;
    let group = Group {
        connection: connection.clone(),
        codec: Arc::clone(schemas.codec()),
        lookup: Lookup::new(
            registry.clone(),
            runtime.clone(),
            settings.schema_wait,
            Arc::clone(vitals),
        ),
        book: Book::default(),
    };
    let processor = Processor {
        settings,
        codec: schemas.codec(),
        partitions,
        stop,
        vitals,
    };
    let join = |number, again| {
        let name = format!("{}-{number}", settings.instance);
        Membership::join(group.clone(), &name, settings, stop, again)
    };
    thread::scope(|scope| {
        if settings.measure {
            scope.spawn(|| gauges::watch(connection, vitals, stop));
        }
        let (prefix, entries) = (connection.prefix(), schemas.entries());
        scope.spawn(move || compare::watch(prefix, entries, registry, runtime, stop));
        processor.run(join)
    })
}
