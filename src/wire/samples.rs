//! Values of every kind, made from its schema and a seed, for tests.

use apache_avro::Schema;
use apache_avro::types::Value as Avro;
use apache_avro::writer::datum::GenericDatumWriter;
use serde_json::Value;

use super::Kind;
use super::schemas::{self, Shape};

/// What a sample is made with: SplitMix64.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// A value of a kind that its Rust type holds too: ids are UUIDs, numbers millionths.
pub(super) fn sample(kind: Kind, dice: &mut Dice) -> Avro {
    sample_of(schemas::shape(kind), dice)
}

/// A value of any schema made of one of ours.
pub(super) fn sample_of(shape: &Shape, dice: &mut Dice) -> Avro {
    value(&shape.json, shape, "", dice)
}

/// The same in single-object framing, as the reference implementation encodes it.
pub(super) fn framed(kind: Kind, value: Avro) -> Vec<u8> {
    let datum = datum(&schemas::shape(kind).reader, value);
    [&[0xC3, 0x01][..], &schemas::fingerprint(kind), &datum].concat()
}

/// A value as the reference implementation encodes it.
pub(super) fn datum(schema: &Schema, value: Avro) -> Vec<u8> {
    let writer = GenericDatumWriter::builder(schema).build().unwrap();
    writer.write_value_to_vec(value).unwrap()
}

fn value(schema: &Value, shape: &Shape, field: &str, dice: &mut Dice) -> Avro {
    if let Some(name) = schema.as_str() {
        return primitive(name, shape, field, dice);
    }
    if let Some(branches) = schema.as_array() {
        let branch = dice.roll(2);
        let value = value(
            &branches[usize::try_from(branch).unwrap()],
            shape,
            field,
            dice,
        );
        return Avro::Union(u32::try_from(branch).unwrap(), Box::new(value));
    }
    let named = |schema: &Value| schema["name"].as_str().unwrap().to_owned();
    match schema["type"].as_str().unwrap() {
        "long" if schema["logicalType"] == "timestamp-millis" => {
            Avro::TimestampMillis(dice.roll(1 << 50).cast_signed())
        }
        // Markers of a type that was promoted: what it holds must fit what it is read as.
        "int" if schema["logicalType"] == "unit" => Avro::Int(0),
        "long" if schema["logicalType"] == "unit" => Avro::Long(1),
        "float" if schema["logicalType"] == "unit" => Avro::Float(0.25),
        "bytes" if schema["logicalType"] == "text" => {
            match primitive("string", shape, field, dice) {
                Avro::String(text) => Avro::Bytes(text.into_bytes()),
                other => panic!("{other:?}"),
            }
        }
        "fixed" => Avro::Fixed(32, bytes(32, dice)),
        "enum" => {
            let symbols = schema["symbols"].as_array().unwrap();
            let at = dice.roll(symbols.len() as u64);
            let symbol = symbols[usize::try_from(at).unwrap()].as_str().unwrap();
            Avro::Enum(u32::try_from(at).unwrap(), symbol.to_owned())
        }
        "array" => {
            let items = 0..dice.roll(4);
            Avro::Array(
                items
                    .map(|_| value(&schema["items"], shape, field, dice))
                    .collect(),
            )
        }
        "record" => {
            let fields = schema["fields"].as_array().unwrap().iter();
            let field = |field: &Value| {
                let name = named(field);
                let value = value(&field["type"], shape, &name, dice);
                (name, value)
            };
            Avro::Record(fields.map(field).collect())
        }
        other => panic!("no sample of {other}"),
    }
}

fn primitive(name: &str, shape: &Shape, field: &str, dice: &mut Dice) -> Avro {
    let any = dice.roll(u64::MAX).cast_signed() >> dice.roll(64);
    match name {
        "null" => Avro::Null,
        "boolean" => Avro::Boolean(dice.roll(2) == 1),
        "int" => Avro::Int(i32::try_from(any % (1 << 31)).unwrap()),
        "long" => Avro::Long(any),
        "double" => Avro::Double(f64::from(u32::try_from(dice.roll(1_000_001)).unwrap()) / 1e6),
        "bytes" => {
            let length = dice.roll(40);
            Avro::Bytes(bytes(length, dice))
        }
        "string" if matches!(field, "proposal_id" | "related") => Avro::String(uuid(dice)),
        "string" => {
            let words = [
                "",
                "a",
                "fraud.detection",
                "Zürich",
                "\"quoted\\\n",
                "🦀",
                "0.34",
            ];
            let at = usize::try_from(dice.roll(words.len() as u64)).unwrap();
            Avro::String(words[at].repeat(usize::try_from(dice.roll(3)).unwrap()))
        }
        defined => value(&shape.names[defined], shape, field, dice),
    }
}

fn bytes(length: u64, dice: &mut Dice) -> Vec<u8> {
    (0..length)
        .map(|_| u8::try_from(dice.roll(256)).unwrap())
        .collect()
}

fn uuid(dice: &mut Dice) -> String {
    let hex = hex::encode(bytes(16, dice));
    let cuts = [0..8, 8..12, 12..16, 16..20, 20..32];
    cuts.map(|cut| hex[cut].to_owned()).join("-")
}

/// Does the same for the record type of every kind.
macro_rules! for_kind {
    ($kind:expr, $run:ident($($argument:expr),*)) => {
        match $kind {
            Kind::Proposal => $run::<quorate_core::records::Proposal>($($argument),*),
            Kind::Response => $run::<quorate_core::records::Response<'_>>($($argument),*),
            Kind::Control => $run::<quorate_core::records::Control>($($argument),*),
            Kind::Decision => $run::<quorate_core::records::Decision>($($argument),*),
            Kind::Result => $run::<quorate_core::records::input::Result>($($argument),*),
            Kind::Agent => $run::<quorate_core::records::Agent>($($argument),*),
            Kind::Policy => $run::<quorate_core::records::Policy>($($argument),*),
            Kind::SchemaEntry => $run::<quorate_core::records::SchemaEntry>($($argument),*),
            Kind::Round => $run::<quorate_core::records::Round>($($argument),*),
            Kind::Outcome => $run::<quorate_core::records::Outcome>($($argument),*),
            Kind::DecisionPackage => $run::<quorate_core::records::DecisionPackage>($($argument),*),
            Kind::TrustUpdate => $run::<quorate_core::records::TrustUpdate>($($argument),*),
            Kind::TrustScore => $run::<quorate_core::records::TrustScore>($($argument),*),
            Kind::DeadLetter => $run::<quorate_core::records::DeadLetter>($($argument),*),
            Kind::Claim => $run::<quorate_core::records::Claim>($($argument),*),
        }
    };
}
pub(super) use for_kind;
