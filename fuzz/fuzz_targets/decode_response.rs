//! A response's value as it may lie on the log, framing included.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use quorate::wire::Kind;

fuzz_target!(|value: &[u8]| {
    support::round_trip(Kind::Response, &support::SINGLE_OBJECT, value);
    support::round_trip(Kind::Response, &support::CONFLUENT, value);
});
