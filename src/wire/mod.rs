//! Bytes ↔ records: the only place that knows Avro, JSON and what a registry's ids mean.
//!
//! The built-in schemas are the truth and a registry is a convenience (ADR 0004). A record is
//! decoded by the schema it was written with and read by field name, so that either side may be
//! the older one. Digests are SHA-256 over the datum as it lies, after the framing header; nobody
//! re-encodes to check one. Nothing here allocates more than a small multiple of its input.

mod codec;
mod container;
mod digest;
mod error;
#[cfg(test)]
mod evolution;
pub mod files;
mod head;
pub mod history;
#[cfg(test)]
mod hostile;
pub mod json;
mod kind;
mod partition;
mod parts;
mod resolution;
#[cfg(test)]
mod same_names;
#[cfg(test)]
mod samples;
pub mod schemas;
#[cfg(test)]
mod second_opinion;
mod trace;

pub use codec::{Codec, MAX_INPUT, MAX_OUTPUT, built_in_ids, unframed};
pub use digest::{digest_of, policy_digest, seal_policy, sha256};
pub use error::Error;
pub use head::Head;
pub use kind::{Datum, Kind, Record};
pub use partition::partition_of;
pub use parts::Parts;
pub use trace::{TraceError, check_traceparent};
