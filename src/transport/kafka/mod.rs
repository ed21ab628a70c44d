//! Kafka: topics, a schema registry, clients at the edge, and the processor.
//!
//! [`Connection`] makes every client, so that what the protocol rests on is set in one place.
//! [`run`] is the processor: threads that each read a consumer group's share of the
//! partitions, step their engines, and commit outputs, rounds and positions in one transaction.
//! Why each piece is as it is, is said where it is.

mod append;
mod connection;
mod error;
mod inspect;
mod lookup;
mod plan;
mod positions;
mod processor;
mod read;
mod registry;
mod restore;
mod schemas;
mod session;
mod share;
mod tables;
mod topics;
mod transaction;

pub use append::{Appended, Appender};
pub use connection::Connection;
pub use error::Error;
pub use inspect::{Broker, Cluster, Ends, Gauge};
pub use plan::{Planned, Setting, Step, plan};
pub use processor::{Settings, run};
pub use read::{Reader, Start, Stored};
pub use registry::{COMPATIBILITY, Registry};
pub use schemas::{Registered, Schemas, register};
pub use topics::{Change, Layout, TRUST_LAG, apply, partitions};
