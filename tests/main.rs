//! Everything that is tested from outside, in one binary.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails should fail where it stands"
)]

mod blackboard;
mod claims;
mod console;
mod demo;
mod dev;
mod doctor;
mod empties;
mod evaluate;
mod examples;
mod faults;
mod foreign;
mod golden;
mod health;
mod history;
mod http;
mod kafka;
mod limits;
mod matrix;
mod membership;
mod notify;
mod observe;
mod offsets;
mod oidc;
mod openapi;
mod operating;
mod operators;
mod oracle;
mod past;
mod patience;
mod reads;
mod reference;
mod registry;
mod roles;
mod schemas;
mod security;
mod signals;
mod signin;
mod streams;
mod support;
mod tidy;
mod traceability;
mod vectors;
mod verify;
mod webhooks;
