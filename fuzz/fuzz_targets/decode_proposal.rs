//! A proposal's value as it may lie on the log, framing included.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::wire::Kind;
use quorate_fuzz::{CONFLUENT, SINGLE_OBJECT, round_trip};

fuzz_target!(|value: &[u8]| {
    round_trip(Kind::Proposal, &SINGLE_OBJECT, value);
    round_trip(Kind::Proposal, &CONFLUENT, value);
});
