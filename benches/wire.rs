//! What a response costs on the wire: decoded, encoded and digested, by us and by the reference
//! implementation of Avro. `cargo bench --bench wire`.
#![expect(clippy::unwrap_used, reason = "a bench that cannot run should stop")]

use std::hint::black_box;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use divan::Bencher;
use quorate::wire::{Codec, Kind, digest_of};
use quorate_core::ids::Digest;
use quorate_core::records::Verdict;
use serde::{Deserialize, Serialize};

fn main() {
    divan::Divan::default()
        .sample_size(1_000)
        .config_with_args()
        .main();
}

/// A response with its own strings, as decoders that do not borrow need it.
#[derive(Serialize, Deserialize)]
struct Response {
    response_id: String,
    proposal_id: String,
    proposal_digest: Option<Digest>,
    agent_id: String,
    verdict: Verdict,
    confidence: f64,
    reasoning: String,
    evidence: Vec<String>,
}

/// A response of ordinary length: a datum of 215 bytes.
fn response() -> quorate_core::records::Response<'static> {
    quorate_core::records::Response {
        response_id: "0192f0c1-2346-7abc-8def-0123456789ab".into(),
        proposal_id: "0192f0c1-2345-7abc-8def-0123456789ab".into(),
        proposal_digest: Some(Digest([7; 32])),
        agent_id: "fraud-detection-1".into(),
        verdict: Verdict::Challenge,
        confidence: 0.87,
        reasoning: "The card was used in two countries within the hour.".into(),
        evidence: vec!["https://cases.example/4711".to_owned()],
    }
}

fn value() -> Vec<u8> {
    Codec::single_object().encode(&response()).unwrap()
}

fn datum() -> Vec<u8> {
    value().split_off(10)
}

fn fast() -> serde_avro_fast::Schema {
    Kind::Response.schema().parse().unwrap()
}

fn reference() -> Schema {
    Schema::parse_str(Kind::Response.schema()).unwrap()
}

#[divan::bench]
fn decode_with_digest(bencher: Bencher<'_, '_>) {
    let (codec, value) = (Codec::single_object(), value());
    bencher.bench_local(|| {
        let decoded = codec.decode::<quorate_core::records::Response<'_>>(black_box(&value));
        decoded.unwrap().1
    });
}

#[divan::bench]
fn decode_borrowed(bencher: Bencher<'_, '_>) {
    let (schema, datum) = (fast(), datum());
    bencher.bench_local(|| {
        let decoded = serde_avro_fast::from_datum_slice(black_box(&datum), &schema);
        let response: quorate_core::records::Response<'_> = decoded.unwrap();
        response.confidence
    });
}

#[divan::bench]
fn decode_owned(bencher: Bencher<'_, '_>) {
    let (schema, datum) = (fast(), datum());
    bencher.bench_local(|| {
        let decoded = serde_avro_fast::from_datum_slice::<Response>(black_box(&datum), &schema);
        decoded.unwrap()
    });
}

#[divan::bench]
fn decode_reference_value(bencher: Bencher<'_, '_>) {
    let (schema, datum) = (reference(), datum());
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    bencher.bench_local(|| reader.read_value(&mut black_box(&*datum)).unwrap());
}

#[divan::bench]
fn decode_reference_serde(bencher: Bencher<'_, '_>) {
    let (schema, datum) = (reference(), datum());
    let reader = GenericDatumReader::builder(&schema)
        .human_readable(true)
        .build()
        .unwrap();
    bencher.bench_local(|| {
        reader
            .read_deser::<Response>(&mut black_box(&*datum))
            .unwrap()
    });
}

#[divan::bench]
fn encode(bencher: Bencher<'_, '_>) {
    let (codec, response) = (Codec::single_object(), response());
    bencher.bench_local(|| codec.encode(black_box(&response)).unwrap());
}

#[divan::bench]
fn encode_reference_value(bencher: Bencher<'_, '_>) {
    let (schema, datum) = (reference(), datum());
    let reader = GenericDatumReader::builder(&schema).build().unwrap();
    let value: Value = reader.read_value(&mut &*datum).unwrap();
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    bencher.bench_local(|| {
        writer
            .write_value_ref(&mut Vec::new(), black_box(&value))
            .unwrap()
    });
}

#[divan::bench]
fn encode_reference_serde(bencher: Bencher<'_, '_>) {
    let (schema, response) = (reference(), response());
    let writer = GenericDatumWriter::builder(&schema).build().unwrap();
    bencher.bench_local(|| writer.write_ser_to_vec(black_box(&response)).unwrap());
}

#[divan::bench]
fn digest(bencher: Bencher<'_, '_>) {
    let response = response();
    bencher.bench_local(|| digest_of(black_box(&response)).unwrap());
}
