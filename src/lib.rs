//! Quorate: the Agent Consensus Protocol on an ordered log.

pub mod clock;
pub mod command;
pub mod config;
pub mod console;
pub mod engine;
pub mod evaluate;
pub mod gateway;
pub mod history;
pub mod replay;
pub mod simulate;
pub mod store;
pub mod telemetry;
pub mod transport;
pub mod verify;
pub mod wire;
