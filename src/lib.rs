//! Quorate: the Agent Consensus Protocol on an ordered log.

pub mod engine;
pub mod wire;
