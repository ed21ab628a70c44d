//! The engine: one partition's state machine, records in, records out, without I/O.
//!
//! The same [`Partition::step`] runs under every transport, the test vectors, replay and verify.
//! The engine owns what is decided and in which order; the runtime owns when: it reads, commits
//! outputs and positions atomically, keeps [`Tables`] read, and appends ticks where a topic falls
//! silent ([`Partition::due`]).

mod ahead;
mod closing;
mod decisions;
mod gap;
mod index;
mod io;
mod kept;
mod lead;
mod marks;
mod orphans;
mod panels;
mod partition;
mod past;
mod proposals;
mod refresh;
mod responses;
mod restore;
mod results;
mod rounds;
mod saved;
mod subjects;
mod tables;
mod waiting;

pub use io::{
    CONTROL, CONTROL_HEADER, Forward, Halt, Headers, Input, OPERATOR_HEADER, ORIGIN_HEADER, Output,
    Record, TICK, trust_key,
};
pub use partition::{Config, Detail, Partition, Position};
pub use refresh::Behind;
pub use rounds::Open;
pub use saved::Saved;
pub use tables::{Row, Tables};
pub use waiting::Waiting;
