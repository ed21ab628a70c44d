//! Edges: each translates between a protocol of others and what is ours, and decides nothing.

pub mod access;
pub mod observe;
pub mod refusal;
