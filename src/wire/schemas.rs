//! The built-in schemas, parsed once: what every record is encoded by and read as.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::{fmt, fs, io};

use serde_json::Value;

use super::resolution;
use super::{Error, Kind};

/// A built-in schema, parsed.
pub struct Shape {
    /// As the codec needs it.
    pub(super) avro: serde_avro_fast::Schema,
    /// As resolution needs it.
    pub(super) reader: apache_avro::Schema,
    /// As it is written.
    pub(super) json: Value,
    /// What it defines, by name.
    pub(super) names: BTreeMap<String, Value>,
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Shape({})",
            self.json.get("name").unwrap_or(&Value::Null)
        )
    }
}

static SHAPES: LazyLock<BTreeMap<Kind, Shape>> = LazyLock::new(|| {
    let shape = |&kind: &Kind| (kind, Shape::built_in(kind, None));
    Kind::ALL.iter().map(shape).collect()
});

/// The part of an outcome that has a digest.
pub(super) static DECISION_PART: LazyLock<Shape> =
    LazyLock::new(|| Shape::built_in(Kind::Outcome, Some("DecisionPart")));

/// The part of a decision package that has a digest.
pub(super) static PACKAGE_CONTENT: LazyLock<Shape> =
    LazyLock::new(|| Shape::built_in(Kind::DecisionPackage, Some("PackageContent")));

/// A schema that was released, ready to be read as the built-in one.
struct Released {
    kind: Kind,
    fingerprint: [u8; 8],
    schema: Arc<serde_avro_fast::Schema>,
}

static RELEASED: LazyLock<Vec<Released>> = LazyLock::new(|| {
    let versions = |&kind: &Kind| kind.released().iter().map(move |text| (kind, *text));
    let resolve = |(kind, text): (Kind, &str)| {
        Some(Released {
            kind,
            fingerprint: fingerprint_of(text).ok()?,
            schema: Arc::new(resolution::resolve(text, &shape(kind).reader).ok()?),
        })
    };
    let all = Kind::ALL.iter().flat_map(versions);
    all.filter_map(resolve).collect()
});

/// The released schema of a kind that a fingerprint names.
pub(super) fn released(kind: Kind, fingerprint: [u8; 8]) -> Option<Arc<serde_avro_fast::Schema>> {
    let named = |version: &&Released| (version.kind, version.fingerprint) == (kind, fingerprint);
    RELEASED
        .iter()
        .find(named)
        .map(|version| Arc::clone(&version.schema))
}

/// The built-in schema of a kind.
#[expect(
    clippy::expect_used,
    reason = "every kind has a schema: a test looks at each"
)]
pub(super) fn shape(kind: Kind) -> &'static Shape {
    SHAPES.get(&kind).expect("every kind has a schema")
}

impl Shape {
    /// A kind's schema, or that of a record nested in it.
    #[expect(clippy::expect_used, reason = "built-in text, which a test parses")]
    fn built_in(kind: Kind, nested: Option<&str>) -> Self {
        Self::parse(kind.schema(), nested).expect("built-in schemas are sound")
    }

    /// The same with records of these names that have no fields: nothing is written of them.
    #[expect(clippy::expect_used, reason = "built-in text, which a test parses")]
    pub(super) fn hollow(kind: Kind, nested: Option<&str>, parts: &[&str]) -> Self {
        let whole = Self::built_in(kind, nested);
        let mut defined = BTreeSet::new();
        let json = without_fields(&whole.json, &whole.names, parts, &mut defined);
        Self::parse(&json.to_string(), None).expect("built-in schemas are sound")
    }

    /// Parses a schema, or that of a record nested in it before any it refers to is defined.
    pub(super) fn parse(text: &str, nested: Option<&str>) -> Result<Self, Error> {
        let mut json: Value = serde_json::from_str(text).map_err(Error::unknown)?;
        if let Some(name) = nested {
            let namespace = json.get("namespace").cloned();
            json = definitions(&json).remove(name).unwrap_or_default();
            if let (Some(record), Some(namespace)) = (json.as_object_mut(), namespace) {
                record.insert("namespace".to_owned(), namespace);
            }
        }
        let text = json.to_string();
        Ok(Self {
            avro: text.parse().map_err(Error::unknown)?,
            reader: apache_avro::Schema::parse_str(&text).map_err(Error::unknown)?,
            names: definitions(&json),
            json,
        })
    }
}

/// A schema whose records of some names have no fields. What only those defined is defined where it
/// is named next.
fn without_fields(
    node: &Value,
    known: &BTreeMap<String, Value>,
    parts: &[&str],
    defined: &mut BTreeSet<String>,
) -> Value {
    match node {
        Value::String(name) => match known.get(name) {
            Some(definition) if !defined.contains(name) => {
                without_fields(definition, known, parts, defined)
            }
            _ => node.clone(),
        },
        Value::Array(branches) => {
            let each = |branch| without_fields(branch, known, parts, defined);
            branches.iter().map(each).collect()
        }
        Value::Object(object) => {
            let mut object = object.clone();
            let name = object.get("name").and_then(Value::as_str);
            let name = name.unwrap_or_default().to_owned();
            let is_part = parts.contains(&name.as_str());
            defined.insert(name);
            if let Some(Value::Array(fields)) = object.get_mut("fields") {
                if is_part {
                    fields.clear();
                }
                for of in fields.iter_mut().filter_map(|field| field.get_mut("type")) {
                    *of = without_fields(of, known, parts, defined);
                }
            }
            if let Some(items) = object.get_mut("items") {
                *items = without_fields(items, known, parts, defined);
            }
            Value::Object(object)
        }
        _ => node.clone(),
    }
}

/// Every named type a schema defines, by its name without namespace.
fn definitions(schema: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let mut left = vec![schema];
    while let Some(node) = left.pop() {
        match node {
            Value::Array(branches) => left.extend(branches),
            Value::Object(object) => {
                if let Some(name) = object.get("name").and_then(Value::as_str) {
                    found.insert(name.to_owned(), node.clone());
                }
                let fields = object.get("fields").and_then(Value::as_array);
                left.extend(
                    fields
                        .into_iter()
                        .flatten()
                        .filter_map(|field| field.get("type")),
                );
                left.extend(object.get("items"));
            }
            _ => {}
        }
    }
    found
}

/// The eight bytes that name a kind's built-in schema: CRC-64-AVRO of its canonical form, little
/// end first.
#[must_use]
pub fn fingerprint(kind: Kind) -> [u8; 8] {
    *shape(kind).avro.rabin_fingerprint()
}

/// The eight bytes that name any schema, as [`fingerprint`].
///
/// # Errors
/// [`Error::UnknownSchema`] if the text is not an Avro schema.
pub fn fingerprint_of(schema: &str) -> Result<[u8; 8], Error> {
    Ok(*resolution::parse(schema)?
        .0
        .freeze()
        .map_err(Error::unknown)?
        .rabin_fingerprint())
}

/// Whether records of one schema can be read as another's, without loss of what it needs.
///
/// This is Avro's resolution without its partial answers, as a registry's `FULL` asks it: every
/// record that the writer's schema allows must be readable.
///
/// # Errors
/// [`Error::UnknownSchema`] that says what does not fit, and where.
pub fn fits(writer: &str, reader: &str) -> Result<(), Error> {
    let reader = apache_avro::Schema::parse_str(reader).map_err(Error::unknown)?;
    resolution::resolve(writer, &reader).map(drop)
}

/// Writes every built-in schema to a directory, one `.avsc` a kind, and returns their paths.
///
/// # Errors
/// As creating the directory or writing a file fails.
pub fn export(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::create_dir_all(directory)?;
    let write = |kind: &Kind| {
        let path = directory.join(format!("{kind}.avsc"));
        fs::write(&path, kind.schema())?;
        Ok(path)
    };
    Kind::ALL.iter().map(write).collect()
}
