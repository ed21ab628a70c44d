//! Schema resolution against the reference implementation: writers that are older, newer and
//! otherwise different, of every kind.

use std::fmt::Debug;

use apache_avro::reader::datum::GenericDatumReader;
use quorate_core::records::{Proposal, Response, Stakes, Verdict};
use serde::Deserialize;
use serde_json::{Value, json};

use super::samples::{Dice, datum, for_kind, sample_of};
use super::schemas::{self, Shape};
use super::{Codec, Error, Kind, Record};

/// The id other writers' schemas are registered under.
const ID: i32 = 41;

fn under_id(datum: &[u8]) -> Vec<u8> {
    [&[0], &ID.to_be_bytes()[..], datum].concat()
}

fn re_encode<'a, T>(codec: &Codec, value: &'a [u8]) -> Vec<u8>
where
    T: Record + Deserialize<'a> + PartialEq + Debug,
{
    let (record, _) = codec.decode::<T>(value).unwrap();
    codec.encode(&record).unwrap()[10..].to_vec()
}

/// A schema that a kind's can be resolved from, made from it: fields in another order, left out
/// where they have a default, or added; types that are promoted; symbols nobody knows.
struct Mutation<'a> {
    shape: &'a Shape,
    dice: Dice,
    defined: Vec<String>,
}

impl Mutation<'_> {
    fn of(kind: Kind, seed: u64) -> Value {
        let shape = schemas::shape(kind);
        let mut mutation = Mutation {
            shape,
            dice: Dice(seed),
            defined: Vec::new(),
        };
        let mut schema = mutation.node(&shape.json);
        schema["namespace"] = json!("acp.v1");
        schema
    }

    fn node(&mut self, node: &Value) -> Value {
        let change = self.dice.roll(3) == 0;
        if let Some(branches) = node.as_array() {
            let branch = self.node(&branches[1]);
            return match self.dice.roll(4) {
                0 => branch,
                1 => json!([branch, "null"]),
                _ => json!(["null", branch]),
            };
        }
        match (node.as_str(), node["type"].as_str()) {
            (Some("long"), _) | (_, Some("long")) if change => json!("int"),
            (Some("double"), _) if change => {
                let types = ["int", "long", "float"];
                let promoted = types[usize::try_from(self.dice.roll(3)).unwrap()];
                json!({"type": promoted, "logicalType": "unit"})
            }
            (Some("string"), _) if change => json!({"type": "bytes", "logicalType": "text"}),
            (Some("bytes"), _) if change => json!("string"),
            (Some(name), _) => match self.shape.names.get(name) {
                Some(definition) => self.named(definition),
                None => node.clone(),
            },
            (_, Some("array")) => json!({"type": "array", "items": self.node(&node["items"])}),
            (_, Some("record" | "enum" | "fixed")) => self.named(node),
            _ => node.clone(),
        }
    }

    fn named(&mut self, node: &Value) -> Value {
        let name = node["name"].as_str().unwrap().to_owned();
        if self.defined.contains(&name) {
            return json!(name);
        }
        self.defined.push(name);
        let mut node = node.clone();
        match node["type"].as_str().unwrap() {
            "enum" if !node["default"].is_null() => {
                let symbols = node["symbols"].as_array_mut().unwrap();
                let at = usize::try_from(self.dice.roll(symbols.len() as u64 + 1)).unwrap();
                symbols.insert(at, json!("NOVEL"));
            }
            "record" => node["fields"] = self.fields(node["fields"].as_array().unwrap()),
            _ => {}
        }
        node
    }

    fn fields(&mut self, fields: &[Value]) -> Value {
        let mut left: Vec<_> = fields.to_vec();
        left.retain(|field| field.get("default").is_none() || self.dice.roll(2) == 0);
        left.push(json!({"name": "novel_text", "type": "string"}));
        left.push(json!({"name": "novel_numbers", "type": {"type": "array", "items": "double"}}));
        let mut mutated = Vec::new();
        while !left.is_empty() {
            let at = usize::try_from(self.dice.roll(left.len() as u64)).unwrap();
            let mut field = left.swap_remove(at);
            field["type"] = self.node(&field["type"].clone());
            field.as_object_mut().unwrap().remove("default");
            mutated.push(field);
        }
        json!(mutated)
    }
}

#[test]
fn other_writers_records_are_read_as_the_reference_resolves_them() {
    for &kind in Kind::ALL {
        for seed in 0..150 {
            let schema = Mutation::of(kind, seed).to_string();
            let writer = Shape::parse(&schema, None).unwrap();
            let codec = Codec::single_object();
            codec.learn(kind, ID, &schema).unwrap();
            for roll in 0..4 {
                let written = datum(&writer.reader, sample_of(&writer, &mut Dice(roll)));
                let reader = &schemas::shape(kind).reader;
                let resolving = GenericDatumReader::builder(&writer.reader)
                    .reader_schema(reader)
                    .build()
                    .unwrap();
                let resolved = resolving.read_value(&mut &*written).unwrap();
                let value = under_id(&written);
                let ours = for_kind!(kind, re_encode(&codec, &value));
                assert_eq!(
                    ours,
                    datum(reader, resolved),
                    "{kind} {seed} {roll}: {schema}"
                );
            }
        }
    }
}

/// A kind's schema with one edit.
fn edited(kind: Kind, edit: impl FnOnce(&mut Value)) -> String {
    let mut schema = schemas::shape(kind).json.clone();
    edit(&mut schema);
    schema.to_string()
}

fn refusal(kind: Kind, schema: &str) -> String {
    match Codec::single_object().learn(kind, ID, schema) {
        Err(Error::UnknownSchema(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_schema_that_cannot_always_be_read_is_refused_with_the_place() {
    let without = |field: &'static str| {
        move |schema: &mut Value| {
            let fields = schema["fields"].as_array_mut().unwrap();
            fields.retain(|candidate| candidate["name"] != field);
        }
    };
    let typed = |field: &'static str, to: Value| {
        move |schema: &mut Value| {
            let fields = schema["fields"].as_array_mut().unwrap();
            let field = fields
                .iter_mut()
                .find(|candidate| candidate["name"] == field);
            field.unwrap()["type"] = to;
        }
    };
    for (kind, schema, why) in [
        (
            Kind::Response,
            edited(Kind::Response, without("agent_id")),
            "field `agent_id` is missing",
        ),
        (
            Kind::DeadLetter,
            edited(Kind::DeadLetter, typed("partition", json!("long"))),
            "partition: long does not fit",
        ),
        (
            Kind::Response,
            edited(Kind::Response, typed("confidence", json!("string"))),
            "confidence: string does not fit",
        ),
        (
            Kind::Response,
            edited(Kind::Response, typed("agent_id", json!(["null", "string"]))),
            "agent_id: a union does not fit",
        ),
        (
            Kind::Control,
            edited(
                Kind::Control,
                typed("pattern", json!(["null", "string", "long"])),
            ),
            "pattern: a union is not one of null and one type",
        ),
        (
            Kind::Response,
            edited(Kind::Response, |schema| schema["name"] = json!("Answer")),
            "record `Answer` does not fit",
        ),
        (
            Kind::Round,
            edited(Kind::Round, |schema| {
                let symbols = &mut schema["fields"][1]["type"]["symbols"];
                symbols.as_array_mut().unwrap().push(json!("MERGED"));
            }),
            "state: symbol `MERGED` is unknown",
        ),
        (Kind::Response, "{".to_owned(), ""),
        (Kind::Response, " ".repeat(1 << 20), "schema is longer than"),
    ] {
        let found = refusal(kind, &schema);
        assert!(found.contains(why), "{found} is not {why}");
    }
}

#[test]
fn what_a_dropped_field_holds_does_not_matter() {
    let schema = edited(Kind::Response, |schema| {
        let fields = schema["fields"].as_array_mut().unwrap();
        let tree = json!({"type": "record", "name": "Tree", "fields": [
            {"name": "price", "type": {
                "type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}},
            {"name": "by", "type": {"type": "map", "values": "long"}},
            {"name": "kids", "type": {"type": "array", "items": "Tree"}}]});
        fields.insert(0, json!({"name": "tree", "type": tree}));
    });
    let codec = Codec::single_object();
    codec.learn(Kind::Response, ID, &schema).unwrap();
    // Two trees, one in the other; a price too long for any number.
    let tree = [&[80][..], &[0xFF; 40], &[0, 2, 0, 0, 0, 0]].concat();
    let response = [&tree[..], RESPONSE].concat();
    let value = under_id(&response);
    let (response, _) = codec.decode::<Response<'_>>(&value).unwrap();
    assert_eq!(response.agent_id, "c");
}

/// A response by the built-in schema: ids a, b and c, endorsing at 0.
const RESPONSE: &[u8] = &[
    2, b'a', 2, b'b', 0, 2, b'c', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

#[test]
fn unknown_stakes_are_critical_and_an_unknown_verdict_is_an_abstention() {
    let novel = |at: usize| {
        move |schema: &mut Value| {
            let symbols = &mut schema["fields"][at]["type"]["symbols"];
            symbols.as_array_mut().unwrap().insert(0, json!("NOVEL"));
        }
    };
    let codec = Codec::single_object();
    let verdict = edited(Kind::Response, novel(4));
    codec.learn(Kind::Response, ID, &verdict).unwrap();
    let value = under_id(RESPONSE);
    let (response, _) = codec.decode::<Response<'_>>(&value).unwrap();
    assert_eq!(response.verdict, Verdict::Abstain);

    let codec = Codec::single_object();
    let stakes = edited(Kind::Proposal, novel(7));
    codec.learn(Kind::Proposal, ID, &stakes).unwrap();
    let value = under_id(&[0; 20]);
    let (proposal, _) = codec.decode::<Proposal>(&value).unwrap();
    assert_eq!(proposal.stakes, Stakes::Critical);
}

#[test]
fn an_id_means_one_schema_of_one_kind() {
    let codec = Codec::confluent([(Kind::Response, 7)]);
    assert!(codec.knows(Kind::Response, 7));
    assert!(!codec.knows(Kind::Proposal, 7));
    codec
        .learn(Kind::Response, 7, Kind::Response.schema())
        .unwrap();
    let other = edited(Kind::Response, |schema| {
        schema["fields"].as_array_mut().unwrap().swap(0, 1);
    });
    assert!(codec.learn(Kind::Response, 7, &other).is_err());
    assert!(
        codec
            .learn(Kind::Proposal, 7, Kind::Proposal.schema())
            .is_err()
    );

    codec.learn(Kind::Response, ID, &other).unwrap();
    codec.learn(Kind::Response, ID, &other).unwrap();
    assert!(
        codec
            .learn(Kind::Response, ID, Kind::Response.schema())
            .is_err()
    );
    assert!(
        codec
            .learn(Kind::Proposal, ID, Kind::Proposal.schema())
            .is_err()
    );
    assert!(codec.knows(Kind::Response, ID));
    assert!(!codec.knows(Kind::Proposal, ID));

    let value = under_id(&[0; 20]);
    let refused = codec.decode::<Proposal>(&value).unwrap_err();
    assert!(matches!(refused, Error::UnknownSchema(_)), "{refused}");
}

#[test]
fn a_learned_schema_is_also_known_by_its_fingerprint() {
    let other = edited(Kind::Response, |schema| {
        schema["fields"].as_array_mut().unwrap().swap(0, 1);
    });
    let fingerprint = schemas::fingerprint_of(&other).unwrap();
    let value = [&[0xC3, 0x01][..], &fingerprint, RESPONSE].concat();
    let codec = Codec::single_object();
    assert!(matches!(
        codec.decode::<Response<'_>>(&value),
        Err(Error::UnknownSchema(_))
    ));
    codec.learn(Kind::Response, ID, &other).unwrap();
    let (response, _) = codec.decode::<Response<'_>>(&value).unwrap();
    assert_eq!((&*response.proposal_id, &*response.response_id), ("a", "b"));
}
