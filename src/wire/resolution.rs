//! Avro's schema resolution, decided once for a writer's schema and not for each of its records.
//!
//! Records are read by field name, with the defaults of their types, which are the schemas'
//! (a test compares them). What is left to decide here is whether every record of the writer can
//! be read so, and what a decoder must not misunderstand: text and bytes have one encoding, so
//! the reader's reading is written into the writer's schema, and logical types are taken out.

use std::collections::BTreeMap;

use apache_avro::Schema as Reader;
use serde_avro_fast::schema::{RegularType, SchemaKey, SchemaMut};

use super::Error;

/// Longest schema text accepted, in bytes; the longest of ours is a tenth of it.
const MAX_SCHEMA: usize = 256 * 1024;

/// Parses a writer's schema.
pub(super) fn parse(text: &str) -> Result<(SchemaMut, Reader), Error> {
    if text.len() > MAX_SCHEMA {
        return Err(Error::unknown(format!(
            "schema is longer than {MAX_SCHEMA} bytes"
        )));
    }
    // The second parser is the stricter one: names, defaults, duplicates.
    let strict = Reader::parse_str(text).map_err(Error::unknown)?;
    let graph = text.parse().map_err(Error::unknown)?;
    Ok((graph, strict))
}

/// The writer's schema, ready to read its records as the reader's.
///
/// # Errors
/// [`Error::UnknownSchema`] if a record of the writer could not be read.
pub(super) fn resolve(writer: &str, reader: &Reader) -> Result<serde_avro_fast::Schema, Error> {
    let (mut graph, _) = parse(writer)?;
    let mut resolution = Resolution {
        writer: &graph,
        names: BTreeMap::new(),
        relabelled: Vec::new(),
    };
    resolution
        .fit(SchemaKey::root(), reader)
        .map_err(|misfit| Error::unknown(format!("schema does not resolve: {misfit}")))?;
    let relabelled = resolution.relabelled;
    let nodes = graph.nodes_mut();
    for node in nodes.iter_mut() {
        node.logical_type = None;
    }
    for (at, label) in relabelled {
        if let Some(node) = nodes.get_mut(at) {
            node.type_ = label;
        }
    }
    graph.freeze().map_err(Error::unknown)
}

/// One walk along both schemas; its depth is the reader's, and none of ours is recursive.
struct Resolution<'s> {
    writer: &'s SchemaMut,
    /// What the reader has defined so far.
    names: BTreeMap<String, &'s Reader>,
    /// Nodes to be read as text instead of bytes, or the other way round.
    relabelled: Vec<(usize, RegularType)>,
}

impl<'s> Resolution<'s> {
    /// Whether every value of the writer's type can be read as the reader's.
    fn fit(&mut self, key: SchemaKey, reader: &'s Reader) -> Result<(), String> {
        use RegularType as W;
        let reader = self.define(reader)?;
        let node = self.writer.get(key).ok_or("a type is missing")?;
        match (&node.type_, reader) {
            (W::Union(union), Reader::Union(_)) => {
                let nulls = union
                    .variants
                    .iter()
                    .filter(|&&variant| self.is_null(variant));
                if (union.variants.len(), nulls.count()) != (2, 1) {
                    return Err("a union is not one of null and one type".to_owned());
                }
                union
                    .variants
                    .iter()
                    .try_for_each(|&variant| self.fit(variant, reader))
            }
            (_, Reader::Union(union)) => {
                let mut fits = union.variants().iter().map(|branch| self.fit(key, branch));
                fits.find(Result::is_ok)
                    .unwrap_or_else(|| Err(describe(&node.type_)))
            }
            (W::Null, Reader::Null)
            | (W::Boolean, Reader::Boolean)
            | (W::Int, Reader::Int)
            | (W::Int | W::Long, Reader::Long | Reader::TimestampMillis)
            | (W::Int | W::Long | W::Float | W::Double, Reader::Double)
            | (W::String, Reader::String)
            | (W::Bytes, Reader::Bytes) => Ok(()),
            (W::Bytes, Reader::String) => self.relabel(key, W::String),
            (W::String, Reader::Bytes) => self.relabel(key, W::Bytes),
            (W::Fixed(fixed), Reader::Fixed(wanted))
                if fixed.size == wanted.size && fixed.name.name() == wanted.name.name() =>
            {
                Ok(())
            }
            (W::Array(array), Reader::Array(wanted)) => self.fit(array.items, &wanted.items),
            (W::Enum(symbols), Reader::Enum(wanted))
                if symbols.name.name() == wanted.name.name() =>
            {
                let known = |symbol| wanted.default.is_some() || wanted.symbols.contains(symbol);
                match symbols.symbols.iter().find(|symbol| !known(symbol)) {
                    Some(symbol) => Err(format!("symbol `{symbol}` is unknown")),
                    None => Ok(()),
                }
            }
            (W::Record(record), Reader::Record(wanted))
                if record.name.name() == wanted.name.name() =>
            {
                self.fit_fields(record, wanted)
            }
            (other, _) => Err(describe(other)),
        }
    }

    /// Whether each of the reader's fields is there and fits, or has a default.
    fn fit_fields(
        &mut self,
        record: &serde_avro_fast::schema::Record,
        wanted: &'s apache_avro::schema::RecordSchema,
    ) -> Result<(), String> {
        for field in &wanted.fields {
            let name = &field.name;
            match record
                .fields
                .iter()
                .find(|candidate| candidate.name == *name)
            {
                Some(found) => self
                    .fit(found.type_, &field.schema)
                    .map_err(|misfit| format!("{name}: {misfit}"))?,
                // What it would have defined may be referred to by a later field.
                None if field.default.is_some() => self.define_all(&field.schema),
                None => return Err(format!("field `{name}` is missing and has no default")),
            }
        }
        Ok(())
    }

    /// What a reader's type is, by its definition if it is a name; notes what it defines.
    fn define(&mut self, reader: &'s Reader) -> Result<&'s Reader, String> {
        if let Reader::Ref { name } = reader {
            let known = self.names.get(name.name()).copied();
            return known.ok_or_else(|| format!("`{name}` is not defined"));
        }
        if let Some(name) = reader.name() {
            self.names.insert(name.name().to_owned(), reader);
        }
        Ok(reader)
    }

    /// Notes everything a reader's type defines.
    fn define_all(&mut self, reader: &'s Reader) {
        if self.define(reader).is_err() {
            return;
        }
        match reader {
            Reader::Array(array) => self.define_all(&array.items),
            Reader::Union(union) => {
                union
                    .variants()
                    .iter()
                    .for_each(|branch| self.define_all(branch));
            }
            Reader::Record(record) => {
                record
                    .fields
                    .iter()
                    .for_each(|field| self.define_all(&field.schema));
            }
            _ => {}
        }
    }

    fn is_null(&self, key: SchemaKey) -> bool {
        let node = self.writer.get(key);
        node.is_some_and(|node| matches!(node.type_, RegularType::Null))
    }

    #[expect(clippy::unnecessary_wraps, reason = "ends an arm of `fit`")]
    fn relabel(&mut self, key: SchemaKey, label: RegularType) -> Result<(), String> {
        self.relabelled.push((key.idx(), label));
        Ok(())
    }
}

/// A writer's type that is not what the reader needs, in words.
fn describe(writer: &RegularType) -> String {
    let what = match writer {
        RegularType::Null => "null",
        RegularType::Boolean => "boolean",
        RegularType::Int => "int",
        RegularType::Long => "long",
        RegularType::Float => "float",
        RegularType::Double => "double",
        RegularType::Bytes => "bytes",
        RegularType::String => "string",
        RegularType::Array(_) => "an array",
        RegularType::Map(_) => "a map",
        RegularType::Union(_) => "a union",
        RegularType::Record(record) => {
            return format!("record `{}` does not fit", record.name.name());
        }
        RegularType::Enum(symbols) => {
            return format!("enum `{}` does not fit", symbols.name.name());
        }
        RegularType::Fixed(fixed) => return format!("fixed `{}` does not fit", fixed.name.name()),
    };
    format!("{what} does not fit")
}
