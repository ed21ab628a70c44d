//! Bytes made to hurt: each is refused with its code, in memory bounded by their length.

use quorate_core::records::{Agent, Proposal, Response};
use quorate_core::reject::Reject;
use serde::Deserialize;

use super::codec::{MAX_INPUT, MAX_OUTPUT, unframed};
use super::samples::{Dice, for_kind, framed, sample};
use super::{Codec, Kind, Record, schemas};

fn refused<'a, T: Record + Deserialize<'a>>(value: &'a [u8]) -> Option<Reject> {
    let decoded = Codec::single_object().decode::<T>(value);
    decoded.err().map(|error| error.reject())
}

fn single_object(kind: Kind, datum: &[u8]) -> Vec<u8> {
    [&[0xC3, 0x01][..], &schemas::fingerprint(kind), datum].concat()
}

/// The datum of a response up to its evidence: ids a, b and c, endorsing at 0, no reasoning.
const UP_TO_EVIDENCE: &[u8] = &[2, b'a', 2, b'b', 0, 2, b'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

fn with_evidence(evidence: &[u8]) -> Vec<u8> {
    single_object(Kind::Response, &[UP_TO_EVIDENCE, evidence].concat())
}

/// A number as Avro writes it.
fn long(number: i64) -> Vec<u8> {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while left >= 0x80 {
        bytes.push(u8::try_from(left & 0x7F).unwrap() | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap());
    bytes
}

#[test]
fn every_truncation_of_every_kind_is_malformed() {
    for &kind in Kind::ALL {
        for seed in 0..20 {
            let value = framed(kind, sample(kind, &mut Dice(seed)));
            assert_eq!(for_kind!(kind, refused(&value)), None, "{kind}");
            for length in 0..value.len() {
                let cut = &value[..length];
                let code = for_kind!(kind, refused(cut));
                assert_eq!(code, Some(Reject::Malformed), "{kind} {seed} {length}");
            }
        }
    }
}

#[test]
fn a_byte_too_many_is_malformed_in_every_kind() {
    for &kind in Kind::ALL {
        let mut value = framed(kind, sample(kind, &mut Dice(1)));
        value.push(0);
        assert_eq!(
            for_kind!(kind, refused(&value)),
            Some(Reject::Malformed),
            "{kind}"
        );
    }
}

#[test]
fn a_flipped_bit_never_panics() {
    for &kind in Kind::ALL {
        let value = framed(kind, sample(kind, &mut Dice(2)));
        for at in 10..value.len().min(2_000) {
            for bit in 0..8 {
                let mut flipped = value.clone();
                flipped[at] ^= 1 << bit;
                let code = for_kind!(kind, refused(&flipped));
                assert!(
                    matches!(code, None | Some(Reject::Malformed)),
                    "{kind} {at} {bit}"
                );
            }
        }
    }
}

#[test]
fn a_value_without_a_known_header_is_refused() {
    let datum = [UP_TO_EVIDENCE, &[0]].concat();
    assert_eq!(refused::<Response<'_>>(&[]), Some(Reject::Malformed));
    assert_eq!(refused::<Response<'_>>(&datum), Some(Reject::Malformed));
    let other_kind = single_object(Kind::Proposal, &datum);
    assert_eq!(
        refused::<Response<'_>>(&other_kind),
        Some(Reject::UnknownSchema)
    );
    for id in [0, 1, -1, i32::MAX, i32::MIN] {
        let value = [&[0], &id.to_be_bytes()[..], &datum].concat();
        assert_eq!(
            refused::<Response<'_>>(&value),
            Some(Reject::UnknownSchema),
            "{id}"
        );
    }
}

#[test]
fn block_counts_and_lengths_that_lie_are_malformed() {
    for evidence in [
        // More items than there are bytes.
        long(1_000_000_000),
        long(i64::MAX),
        long(i64::MIN),
        [long(-1_000_000_000), long(1)].concat(),
        // As many items as announced in all, but in blocks that never end.
        [long(1), long(0)].concat().repeat(3),
        // A text longer than the rest, of negative length, of the largest.
        [long(1), long(1_000)].concat(),
        [long(1), long(-1)].concat(),
        [long(1), long(i64::MAX)].concat(),
        [long(1), long(i64::MIN)].concat(),
        // Numbers that do not end, or not in 64 bits.
        vec![0xFF; 9],
        vec![0xFF; 10],
        [&[0xFF; 9][..], &[0x7F]].concat(),
        vec![0x80; 100],
    ] {
        let value = with_evidence(&evidence);
        assert_eq!(
            refused::<Response<'_>>(&value),
            Some(Reject::Malformed),
            "{evidence:?}"
        );
    }
}

#[test]
fn a_negative_block_count_carries_a_size_and_is_read() {
    let evidence = [long(-2), long(4), b"\x02x\x02y".to_vec(), long(0)].concat();
    let value = with_evidence(&evidence);
    let (response, _) = Codec::single_object()
        .decode::<Response<'_>>(&value)
        .unwrap();
    assert_eq!(response.evidence, ["x", "y"]);
}

#[test]
fn unknown_branches_symbols_and_truths_are_malformed() {
    let response = |digest: i64, verdict: i64| {
        let confidence = [0; 8];
        let parts = [
            b"\x02a\x02b",
            &*long(digest),
            b"\x02c",
            &long(verdict),
            &confidence,
        ];
        single_object(Kind::Response, &[&parts.concat()[..], &[0, 0]].concat())
    };
    assert_eq!(refused::<Response<'_>>(&response(0, 2)), None);
    for number in [-1, 3, 1 << 33, i64::MAX, i64::MIN] {
        let (branch, symbol) = (response(number, 0), response(0, number));
        assert_eq!(
            refused::<Response<'_>>(&branch),
            Some(Reject::Malformed),
            "{number}"
        );
        assert_eq!(
            refused::<Response<'_>>(&symbol),
            Some(Reject::Malformed),
            "{number}"
        );
    }
}

#[test]
fn an_int_past_32_bits_is_malformed_and_not_cut() {
    let prior = |right: i64| {
        let grant = [&[2, 2, b'd'][..], &[0; 8], &[2], &long(right), &[2, 0, 0]].concat();
        single_object(
            Kind::Agent,
            &[&[2, b'a', 0, 0, 0, 0][..], &grant, &[0, 0, 0]].concat(),
        )
    };
    assert_eq!(refused::<Agent>(&prior(i64::from(i32::MAX))), None);
    assert_eq!(refused::<Agent>(&prior(1 << 31)), Some(Reject::Malformed));
    assert_eq!(
        refused::<Agent>(&prior((1 << 32) + 1)),
        Some(Reject::Malformed)
    );
}

#[test]
fn text_that_is_not_utf_8_is_malformed() {
    for text in [
        &[0xFF][..],
        &[0xC0, 0x80],
        &[0xED, 0xA0, 0x80],
        &[0xF4, 0x90, 0x80, 0x80],
    ] {
        let length = i64::try_from(text.len()).unwrap();
        let evidence = [&long(1), &long(length), text, &[0]].concat();
        let value = with_evidence(&evidence);
        assert_eq!(
            refused::<Response<'_>>(&value),
            Some(Reject::Malformed),
            "{text:?}"
        );
    }
}

#[test]
fn numbers_that_are_none_reach_whoever_judges_them() {
    for number in [f64::NAN, f64::INFINITY, -1.0, 1.000_000_5] {
        let mut datum = [UP_TO_EVIDENCE, &[0]].concat();
        datum[8..16].copy_from_slice(&number.to_le_bytes());
        let value = single_object(Kind::Response, &datum);
        let (response, _) = Codec::single_object()
            .decode::<Response<'_>>(&value)
            .unwrap();
        assert_eq!(response.confidence.to_bits(), number.to_bits());
    }
}

#[test]
fn nesting_past_any_record_is_malformed() {
    let tree = r#"{"type": "record", "name": "Tree", "fields": [
        {"name": "kids", "type": {"type": "array", "items": "Tree"}}]}"#;
    let schema = Kind::Proposal.schema().replacen(
        "\"fields\": [",
        &format!("\"fields\": [{{\"name\": \"tree\", \"type\": {tree}}},"),
        1,
    );
    let codec = Codec::confluent([]);
    codec.learn(Kind::Proposal, 1, &schema).unwrap();
    let nested = |depth: usize| {
        let tree = [vec![2; depth], vec![0; depth + 1]].concat();
        [&[0, 0, 0, 0, 1][..], &tree, &[0; 20]].concat()
    };
    assert!(codec.decode::<Proposal>(&nested(3)).is_ok());
    let refusal = codec.decode::<Proposal>(&nested(30_000)).unwrap_err();
    assert_eq!(refusal.reject(), Reject::Malformed);
}

#[test]
fn a_record_past_its_kinds_limit_is_too_large_before_anything_else() {
    for &kind in Kind::ALL {
        let limit = if kind.is_input() {
            MAX_INPUT
        } else {
            MAX_OUTPUT
        };
        let mut value = vec![0xFF; limit];
        assert_eq!(
            for_kind!(kind, refused(&value)),
            Some(Reject::Malformed),
            "{kind}"
        );
        value.push(0xFF);
        assert_eq!(
            for_kind!(kind, refused(&value)),
            Some(Reject::RecordTooLarge),
            "{kind}"
        );
    }
}

#[test]
fn what_is_too_large_to_be_read_is_not_written() {
    let value = with_evidence(&[0]);
    let codec = Codec::single_object();
    let (mut response, _) = codec.decode::<Response<'_>>(&value).unwrap();
    let room = MAX_INPUT - unframed(&value).unwrap().len();
    // The length takes two more bytes than that of no text.
    response.reasoning = "x".repeat(room - 2).into();
    let largest = codec.encode(&response).unwrap();
    assert_eq!(unframed(&largest).unwrap().len(), MAX_INPUT);
    assert_eq!(refused::<Response<'_>>(&largest), None);
    response.reasoning.to_mut().push('x');
    let refusal = codec.encode(&response).unwrap_err();
    assert_eq!(refusal.reject(), Reject::RecordTooLarge);
}
