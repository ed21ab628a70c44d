//! Quorate: the Agent Consensus Protocol on an ordered log.

pub mod command;
pub mod engine;
pub mod wire;
