//! A writer's schema of any kind, and a datum by it after a zero byte.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::wire::{Codec, Kind, Record};
use quorate_fuzz::for_kind;
use serde::Deserialize;

fn decode<'a, T: Record + Deserialize<'a>>(codec: &Codec, value: &'a [u8]) {
    if let Ok((record, _)) = codec.decode::<T>(value) {
        let written = Codec::single_object().encode(&record);
        assert!(written.is_ok() || value.len() > 32 * 1024, "{written:?}");
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else {
        return;
    };
    let kind = Kind::ALL[usize::from(which) % Kind::ALL.len()];
    let mut parts = rest.splitn(2, |byte| *byte == 0);
    let (Some(schema), Some(datum)) = (parts.next(), parts.next()) else {
        return;
    };
    let Ok(schema) = std::str::from_utf8(schema) else {
        return;
    };
    let codec = Codec::confluent([]);
    if codec.learn(kind, 1, schema).is_ok() {
        let value = [&[0, 0, 0, 0, 1][..], datum].concat();
        for_kind!(kind, decode(&codec, &value));
    }
});
