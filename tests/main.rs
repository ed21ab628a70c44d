//! Everything that is tested from outside, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail where it stands"
)]

mod blackboard;
mod demo;
mod dev;
mod doctor;
mod examples;
mod faults;
mod foreign;
mod golden;
mod http;
mod kafka;
mod membership;
mod observe;
mod offsets;
mod operators;
mod oracle;
mod reference;
mod registry;
mod roles;
mod schemas;
mod security;
mod signals;
mod support;
mod tidy;
mod traceability;
mod vectors;
