//! Every kind against the reference implementation of Avro: same bytes, same values.

use std::fmt::Debug;

use apache_avro::rabin::Rabin;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value as Avro;
use quorate_core::ids::Digest;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::samples::{Dice, for_kind, framed, sample};
use super::{Codec, Kind, Record, digest_of, json, schemas};

const SAMPLES: u64 = 200;

fn every_sample(check: impl Fn(Kind, Avro)) {
    for &kind in Kind::ALL {
        for seed in 0..SAMPLES {
            check(kind, sample(kind, &mut Dice(seed)));
        }
    }
}

fn re_encode<'a, T>(codec: &Codec, value: &'a [u8]) -> Vec<u8>
where
    T: Record + Deserialize<'a> + PartialEq + Debug,
{
    let (record, digest) = codec.decode::<T>(value).unwrap();
    assert_eq!(digest, Digest(Sha256::digest(&value[10..]).into()));
    assert_eq!(digest, digest_of(&record).unwrap());
    codec.encode(&record).unwrap()
}

#[test]
fn what_the_reference_writes_is_read_and_written_back_byte_for_byte() {
    let codec = Codec::single_object();
    every_sample(|kind, sample| {
        let value = framed(kind, sample.clone());
        let back = for_kind!(kind, re_encode(&codec, &value));
        assert_eq!(back, value, "{kind}");
        let schema = &schemas::shape(kind).reader;
        let reader = GenericDatumReader::builder(schema).build().unwrap();
        assert_eq!(
            reader.read_value(&mut &back[10..]).unwrap(),
            sample,
            "{kind}"
        );
    });
}

fn through_json<'a, T>(codec: &Codec, value: &'a [u8]) -> String
where
    T: Record + Deserialize<'a> + PartialEq + Debug,
{
    let (record, _) = codec.decode::<T>(value).unwrap();
    // Leaked, so that a record may borrow from it.
    let text: &'static str = json::to_string_pretty(&record).unwrap().leak();
    assert_eq!(json::from_str_strict::<T>(text).unwrap(), record);
    let tree: &'static _ = Box::leak(Box::new(json::to_value(&record).unwrap()));
    assert_eq!(json::from_value_strict::<T>(tree).unwrap(), record);
    json::to_string(&record).unwrap()
}

#[test]
fn every_record_survives_json() {
    let codec = Codec::single_object();
    every_sample(|kind, sample| {
        let value = framed(kind, sample);
        let text = for_kind!(kind, through_json(&codec, &value));
        assert_eq!(kind.to_json(&codec, &value), Ok(text));
    });
}

/// Where a sample has symbols: JSON pointers, and the places people are shown.
fn symbols(sample: &Avro, pointer: &str, place: &str, found: &mut Vec<(String, String)>) {
    match sample {
        Avro::Enum(..) => found.push((pointer.to_owned(), place.to_owned())),
        Avro::Union(_, inner) => symbols(inner, pointer, place, found),
        Avro::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let (pointer, place) = (format!("{pointer}/{at}"), format!("{place}[{at}]"));
                symbols(item, &pointer, &place, found);
            }
        }
        Avro::Record(fields) => {
            for (name, value) in fields {
                let (pointer, place) = (format!("{pointer}/{name}"), format!("{place}.{name}"));
                symbols(value, &pointer, &place, found);
            }
        }
        _ => {}
    }
}

fn refused<'a, T>(codec: &Codec, value: &'a [u8], places: &[(String, String)])
where
    T: Record + Deserialize<'a> + PartialEq + Debug,
{
    let (record, _) = codec.decode::<T>(value).unwrap();
    let written = json::to_value(&record).unwrap();
    for (pointer, place) in places {
        let mut tree = written.clone();
        let symbol = tree.pointer_mut(pointer).unwrap();
        *symbol = Value::String(format!("{}?", symbol.as_str().unwrap()));
        // Leaked, so that a record may borrow from it.
        let error = json::from_value_strict::<T>(Box::leak(Box::new(tree))).unwrap_err();
        let begins = format!("`{}` is one of ", place.trim_start_matches('.'));
        assert!(error.to_string().starts_with(&begins), "{error}");
    }
}

#[test]
fn a_symbol_nobody_knows_is_refused_wherever_it_stands_in_json() {
    let codec = Codec::single_object();
    for &kind in Kind::ALL {
        for seed in 0..8 {
            let sample = sample(kind, &mut Dice(seed));
            let mut places = Vec::new();
            symbols(&sample, "", "", &mut places);
            let value = framed(kind, sample);
            for_kind!(kind, refused(&codec, &value, &places));
        }
    }
}

#[test]
fn the_reference_agrees_on_every_fingerprint() {
    // It leaves `{"type":"long"}` of a timestamp, where the specification and Java have `"long"`.
    const TIMESTAMP: &str = r#"{"type": "long", "logicalType": "timestamp-millis"}"#;
    for &kind in Kind::ALL {
        let bare = kind.schema().replace(TIMESTAMP, "\"long\"");
        let theirs = apache_avro::Schema::parse_str(&bare)
            .unwrap()
            .fingerprint::<Rabin>();
        assert_eq!(theirs.bytes, schemas::fingerprint(kind), "{kind}");
    }
}
