//! The JSON of records as JSON Schema has it, made of their Avro schemas.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, SchemaType};
use utoipa::openapi::{
    AllOfBuilder, ArrayBuilder, KnownFormat, Object, ObjectBuilder, OneOfBuilder, Ref, RefOr,
    Schema, SchemaFormat, Type,
};

use crate::gateway::draft::Said;
use crate::wire::Kind;

/// What is described, by name.
pub(in crate::gateway::http) type Schemas = BTreeMap<String, RefOr<Schema>>;

/// Whether something is told, so that every field is there; or said, so that fields with a default
/// may be left out, and nothing else may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Told,
    Said,
}

impl Way {
    /// What a record of that name is called.
    fn name(self, record: &str) -> String {
        match self {
            Self::Told => record.to_owned(),
            Self::Said => format!("{record}Said"),
        }
    }
}

/// A record as it is told.
pub(super) fn told(kind: Kind, schemas: &mut Schemas) -> RefOr<Schema> {
    schema_of(&avro(kind), Way::Told, schemas)
}

/// A record as it may be said: its id and who says it may be left out as well.
pub(super) fn said(said: Said, schemas: &mut Schemas) -> RefOr<Schema> {
    let (schema, kind) = (avro(said.kind()), said.kind().name());
    let is_made = |name: &str| name == said.id() || name == said.speaker();
    let has_confidence = said.has_confidence();
    let is_either = |name: &str| has_confidence && name == "confidence";
    let mut object = record(&schema, Way::Said, schemas);
    let required = &mut object.required;
    required.retain(|name| !(is_made(name) || is_either(name)));
    let schema = if has_confidence {
        let properties = &mut object.properties;
        properties.insert("probability".to_owned(), probability().into());
        let one = |name: &str| ObjectBuilder::new().required(name);
        let either = OneOfBuilder::new().item(one("confidence"));
        let either = either.item(one("probability"));
        AllOfBuilder::new().item(object).item(either).into()
    } else {
        object.into()
    };
    let name = Way::Said.name(kind);
    schemas.insert(name.clone(), schema);
    Ref::from_schema_name(name).into()
}

/// A record's fields.
fn record(avro: &Value, way: Way, schemas: &mut Schemas) -> Object {
    let mut object = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(text(avro, "doc")));
    for field in items(avro, "fields") {
        let name = text(field, "name");
        object = object.property(name, field_of(field, way, schemas));
        if way == Way::Told || field.get("default").is_none() {
            object = object.required(name);
        }
    }
    if way == Way::Said {
        let nothing = AdditionalProperties::FreeForm(false);
        object = object.additional_properties(Some(nothing));
    }
    object.build()
}

fn probability() -> ObjectBuilder {
    let doc =
        "How probable it is that the speaker is right, in place of `confidence`, which is 2p - 1.";
    number()
        .minimum(Some(0.5))
        .maximum(Some(1.0))
        .description(Some(doc))
}

/// An Avro schema's, with a name if it has one.
fn schema_of(avro: &Value, way: Way, schemas: &mut Schemas) -> RefOr<Schema> {
    match avro {
        Value::String(name) => match plain(name) {
            Some((object, _)) => object.into(),
            None => {
                let is_record = schemas.contains_key(&way.name(name));
                let name = if is_record {
                    way.name(name)
                } else {
                    name.clone()
                };
                Ref::from_schema_name(name).into()
            }
        },
        Value::Array(branches) => union_of(branches, way, schemas),
        avro => match text(avro, "type") {
            "array" => {
                let of = avro.get("items").unwrap_or(&Value::Null);
                let items = ArrayItems::RefOrSchema(Box::new(schema_of(of, way, schemas)));
                ArrayBuilder::new().items(items).into()
            }
            "record" => {
                let name = way.name(text(avro, "name"));
                let defined = record(avro, way, schemas);
                schemas.insert(name.clone(), defined.into());
                Ref::from_schema_name(name).into()
            }
            "enum" | "fixed" => {
                let name = text(avro, "name").to_owned();
                let defined = named(avro);
                schemas.insert(name.clone(), defined);
                Ref::from_schema_name(name).into()
            }
            plainly => schema_of(&plainly.into(), way, schemas),
        },
    }
}

/// An enum or bytes with a name.
fn named(avro: &Value) -> RefOr<Schema> {
    let doc = Some(text(avro, "doc"));
    if text(avro, "type") == "enum" {
        let symbols = items(avro, "symbols").iter().cloned();
        let object = ObjectBuilder::new().schema_type(Type::String);
        return object.enum_values(Some(symbols)).description(doc).into();
    }
    let size = avro.get("size").and_then(Value::as_u64).unwrap_or_default();
    hexadecimal(&format!("{{{size}}}")).description(doc).into()
}

/// A field's, which tells what the field is.
fn field_of(field: &Value, way: Way, schemas: &mut Schemas) -> RefOr<Schema> {
    let avro = field.get("type").unwrap_or(&Value::Null);
    let doc = text(field, "doc");
    match schema_of(avro, way, schemas) {
        RefOr::T(Schema::Object(mut object)) => {
            object.description = Some(doc.to_owned());
            object.into()
        }
        RefOr::T(Schema::Array(mut array)) => {
            array.description = Some(doc.to_owned());
            array.into()
        }
        RefOr::T(Schema::OneOf(mut either)) => {
            either.description = Some(doc.to_owned());
            RefOr::T(Schema::OneOf(either))
        }
        RefOr::Ref(mut named) => {
            named.description = doc.to_owned();
            named.into()
        }
        other => other,
    }
}

/// Null or something.
fn union_of(branches: &[Value], way: Way, schemas: &mut Schemas) -> RefOr<Schema> {
    let something = branches.iter().find(|branch| *branch != "null");
    let something = something.unwrap_or(&Value::Null);
    let plainly = something.as_str().or_else(|| {
        let is_plain = something.get("logicalType").is_some();
        is_plain.then(|| text(something, "type"))
    });
    if let Some((object, of)) = plainly.and_then(plain) {
        let either = SchemaType::from_iter([of, Type::Null]);
        return object.schema_type(either).into();
    }
    let nothing = ObjectBuilder::new().schema_type(Type::Null);
    let something = schema_of(something, way, schemas);
    OneOfBuilder::new().item(something).item(nothing).into()
}

/// A type that has no name.
fn plain(avro: &str) -> Option<(ObjectBuilder, Type)> {
    let whole = |format| {
        let format = Some(SchemaFormat::KnownFormat(format));
        let object = ObjectBuilder::new().schema_type(Type::Integer);
        (object.format(format), Type::Integer)
    };
    Some(match avro {
        "string" => {
            let object = ObjectBuilder::new().schema_type(Type::String);
            (object, Type::String)
        }
        "boolean" => {
            let object = ObjectBuilder::new().schema_type(Type::Boolean);
            (object, Type::Boolean)
        }
        "double" => (number(), Type::Number),
        "bytes" => (hexadecimal("*"), Type::String),
        "long" => whole(KnownFormat::Int64),
        "int" => whole(KnownFormat::Int32),
        _ => return None,
    })
}

fn number() -> ObjectBuilder {
    let format = SchemaFormat::KnownFormat(KnownFormat::Double);
    let object = ObjectBuilder::new().schema_type(Type::Number);
    object.format(Some(format))
}

/// Bytes, this many times.
fn hexadecimal(times: &str) -> ObjectBuilder {
    let object = ObjectBuilder::new().schema_type(Type::String);
    object.pattern(Some(format!("^([0-9a-f]{{2}}){times}$")))
}

/// A kind's built-in schema; a test reads each.
fn avro(kind: Kind) -> Value {
    serde_json::from_str(kind.schema()).unwrap_or_default()
}

fn text<'a>(avro: &'a Value, name: &str) -> &'a str {
    avro.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn items<'a>(avro: &'a Value, name: &str) -> &'a [Value] {
    avro.get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
