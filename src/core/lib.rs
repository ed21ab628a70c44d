//! The decision core of the Agent Consensus Protocol: given what was said, what is the outcome?
//!
//! Everything here is a function of its arguments. There is no I/O, no clock, no randomness, no
//! thread, no unordered map and no hashing: time and digests come in as values. The crate is
//! `no_std`, so that none of them compiles.
#![no_std]

extern crate alloc;

pub mod agent;
pub mod decimal;
pub mod domain;
pub mod early;
pub mod electorate;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod lint;
pub mod millionths;
pub mod package;
pub mod policy;
pub mod records;
pub mod reject;
pub mod resolve;
pub mod round;
pub mod topic;
pub mod trust;
pub mod unsound;

#[cfg(test)]
mod samples;
