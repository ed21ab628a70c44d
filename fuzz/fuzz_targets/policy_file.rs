//! A file of policies, or after a first byte of an odd value of agents, as operators write it.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use quorate::wire::{Codec, Record, files};
use serde::de::DeserializeOwned;

fuzz_target!(|input: &[u8]| {
    let Some((&which, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    if which & 1 == 0 {
        for policy in files::policies(text).into_iter().flatten() {
            round_trip(&policy);
        }
    } else {
        for agent in files::agents(text).into_iter().flatten() {
            round_trip(&agent);
        }
    }
});

/// What a file holds can be put on the log, and comes back as it was.
fn round_trip<T: Record + DeserializeOwned + PartialEq + Debug>(record: &T) {
    let codec = Codec::single_object();
    let value = codec.encode(record).expect("what was read can be written");
    let (back, _) = codec
        .decode::<T>(&value)
        .expect("what was written can be read");
    assert_eq!(&back, record);
}
