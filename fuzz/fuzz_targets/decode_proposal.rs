//! A proposal's value as it may lie on the log, framing included.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use quorate::wire::Kind;

fuzz_target!(|value: &[u8]| {
    support::round_trip(Kind::Proposal, &support::SINGLE_OBJECT, value);
    support::round_trip(Kind::Proposal, &support::CONFLUENT, value);
});
