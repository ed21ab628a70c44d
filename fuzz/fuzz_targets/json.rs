//! A record of any kind as JSON: what is read is written, and reads again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::wire::{Kind, Record, json};
use quorate_fuzz::for_kind;
use serde::Deserialize;

fn read_and_write<'a, T: Record + Deserialize<'a>>(text: &'a str) -> Option<String> {
    let record: T = json::from_str_strict(text).ok()?;
    Some(json::to_string(&record).expect("what was read can be written"))
}

fuzz_target!(|input: &[u8]| {
    let Some((&which, text)) = input.split_first() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else {
        return;
    };
    let kind = Kind::ALL[usize::from(which) % Kind::ALL.len()];
    let Some(once) = for_kind!(kind, read_and_write(text)) else {
        return;
    };
    let twice = for_kind!(kind, read_and_write(&once));
    assert_eq!(Some(&once), twice.as_ref(), "reads as something else");
});
