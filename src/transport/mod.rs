//! Logs the protocol runs over: each reads records in order, commits outputs and positions
//! atomically, and appends ticks where a topic falls silent.

pub mod kafka;
pub mod ticks;
