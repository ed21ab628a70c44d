//! A datum of any kind in either framing: the first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::wire::{Kind, schemas};
use quorate_fuzz::{CONFLUENT, SINGLE_OBJECT, round_trip};

fuzz_target!(|input: &[u8]| {
    let Some((&which, datum)) = input.split_first() else {
        return;
    };
    let at = usize::from(which >> 1) % Kind::ALL.len();
    let kind = Kind::ALL[at];
    let (codec, header) = if which & 1 == 0 {
        (
            &*SINGLE_OBJECT,
            [&[0xC3, 0x01][..], &schemas::fingerprint(kind)].concat(),
        )
    } else {
        (&*CONFLUENT, vec![0, 0, 0, 0, u8::try_from(at).unwrap()])
    };
    let value = [&header[..], datum].concat();
    round_trip(kind, codec, &value);
});
