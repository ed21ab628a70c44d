//! The files under `schemas/`: what they say of themselves, of each other and of their history.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use quorate::wire::{Kind, schemas};
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;
use serde_json::{Value, json};

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas"))
}

fn parsed(kind: Kind) -> Value {
    serde_json::from_str(kind.schema()).unwrap()
}

/// Visits every type of a schema, outermost first.
fn every_type<'a>(schema: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    visit(schema);
    for branch in schema.as_array().into_iter().flatten() {
        every_type(branch, visit);
    }
    for field in schema["fields"].as_array().into_iter().flatten() {
        every_type(&field["type"], visit);
    }
    if let Some(items) = schema.get("items") {
        every_type(items, visit);
    }
}

/// A type with the named types in it reduced to their names.
fn by_reference(schema: &Value, outermost: bool) -> Value {
    if let (false, Some(name)) = (outermost, schema.get("name")) {
        return name.clone();
    }
    let mut schema = schema.clone();
    for branch in schema.as_array_mut().into_iter().flatten() {
        *branch = by_reference(branch, false);
    }
    if let Some(object) = schema.as_object_mut() {
        object.remove("namespace");
        if let Some(items) = object.get_mut("items") {
            *items = by_reference(items, false);
        }
        for field in object
            .get_mut("fields")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            field["type"] = by_reference(&field["type"], false);
        }
    }
    schema
}

#[test]
fn every_file_is_a_records_and_every_record_has_its_file() {
    let mut files: Vec<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".avsc"))
        .collect();
    files.sort();
    let mut names: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| format!("{kind}.avsc"))
        .collect();
    names.sort();
    assert_eq!(files, names);
    for &kind in Kind::ALL {
        let schema = parsed(kind);
        assert_eq!(schema["name"], kind.name());
        assert_eq!(schema["namespace"], "acp.v1");
    }
}

#[test]
fn every_type_and_field_is_documented_and_no_map_is_used() {
    for &kind in Kind::ALL {
        let schema = parsed(kind);
        every_type(&schema, &mut |node| {
            assert_ne!(node["type"], "map", "{kind}");
            if node.get("name").is_some() {
                assert!(
                    node["doc"].as_str().is_some_and(|doc| doc.ends_with('.')),
                    "{node}"
                );
            }
            for field in node["fields"].as_array().into_iter().flatten() {
                let doc = field["doc"].as_str().unwrap_or_default();
                assert!(doc.ends_with('.'), "{kind}: {field}");
                let number = ["int", "long", "double"].iter().any(|number| {
                    field["type"] == **number || field["type"] == json!(["null", number])
                });
                let ranges = [
                    "At least", "At most", "Above", "In ", " to ", "at least", "1:", "1 or",
                ];
                let ranged = ranges.iter().any(|words| doc.contains(words));
                assert!(!number || ranged, "{kind}: no range: {field}");
                let optional = field["type"][0] == "null";
                let null = field.get("default") == Some(&Value::Null);
                assert_eq!(optional, null, "{kind}: {field}");
            }
        });
    }
}

#[test]
fn a_nested_type_is_the_same_wherever_it_is() {
    let mut seen: BTreeMap<String, (Kind, Value)> = BTreeMap::new();
    let mut repeated = 0;
    for &kind in Kind::ALL {
        let schema = parsed(kind);
        every_type(&schema, &mut |node| {
            let Some(name) = node.get("name").and_then(Value::as_str) else {
                return;
            };
            let reduced = by_reference(node, true);
            match seen.get(name) {
                Some((other, same)) => {
                    assert_eq!(&reduced, same, "{name} of {kind} and of {other}");
                    repeated += 1;
                }
                None => {
                    seen.insert(name.to_owned(), (kind, reduced));
                }
            }
        });
    }
    assert!(repeated > 20, "{repeated}");
}

/// Whether each of a pair reads the other's records, as a registry's FULL asks.
fn full(one: &str, other: &str) -> Result<(), String> {
    for (writer, reader) in [(one, other), (other, one)] {
        schemas::fits(writer, reader).map_err(|error| error.to_string())?;
    }
    let [one, other] = [one, other].map(|text| Schema::parse_str(text).unwrap());
    match SchemaCompatibility::mutual_read(&one, &other) {
        Ok(Compatibility::Full) => Ok(()),
        Ok(Compatibility::Partial) => Err("the reference says: partial".to_owned()),
        Err(error) => Err(format!("the reference says: {error}")),
    }
}

#[test]
fn every_version_reads_every_other_and_the_newest_is_the_built_in_one() {
    for &kind in Kind::ALL {
        let released = kind.released();
        assert_eq!(
            released.last(),
            Some(&kind.schema()),
            "{kind}: release the change"
        );
        for (at, one) in released.iter().enumerate() {
            for other in &released[at..] {
                full(one, other).unwrap_or_else(|why| panic!("{kind}: {why}"));
            }
        }
        let files = fs::read_dir(folder().join("released").join(kind.name())).unwrap();
        assert_eq!(
            files.count(),
            released.len(),
            "{kind}: a version is not built in"
        );
    }
}

#[test]
fn a_change_that_is_not_full_is_noticed() {
    let with = |change: &dyn Fn(&mut Vec<Value>)| {
        let mut schema = parsed(Kind::Proposal);
        change(schema["fields"].as_array_mut().unwrap());
        full(Kind::Proposal.schema(), &schema.to_string())
    };
    let field = |default: Option<Value>| {
        let mut field = json!({"name": "urgency", "type": "string", "doc": "How soon."});
        if let Some(default) = default {
            field["default"] = default;
        }
        field
    };
    assert_eq!(with(&|_| {}), Ok(()));
    assert_eq!(
        with(&|fields| fields.push(field(Some(json!("soon"))))),
        Ok(())
    );
    assert_eq!(
        with(&|fields| fields.retain(|field| field["name"] != "labels")),
        Ok(())
    );
    let missing = with(&|fields| fields.push(field(None))).unwrap_err();
    assert!(missing.contains("`urgency` is missing"), "{missing}");
    let gone = with(&|fields| fields.retain(|field| field["name"] != "proposer")).unwrap_err();
    assert!(gone.contains("`proposer` is missing"), "{gone}");
    // Readable one way only: a double is not read as an int.
    let promoted = with(&|fields| fields[6]["type"] = json!("int")).unwrap_err();
    assert!(promoted.contains("confidence"), "{promoted}");
}

#[test]
fn the_readme_lists_every_topic_with_its_records() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let rows: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("| `acp."))
        .collect();
    assert_eq!(rows.len(), Kind::ALL.len());
    for (row, kind) in rows.iter().zip(Kind::ALL) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[1], format!("`acp.{}`", kind.topic()));
        assert_eq!(cells[4], format!("[`{kind}`]({kind}.avsc)"));
        assert_eq!(cells[5], format!("`{}`", kind.subject("acp.")));
        assert_eq!(
            cells[6].starts_with("table"),
            kind.topic().is_table(),
            "{kind}"
        );
    }
    for topic in Topic::ALL {
        assert!(
            Kind::ALL.iter().any(|kind| kind.topic() == *topic),
            "{topic}"
        );
    }
}

#[test]
fn the_readme_lists_every_reason_code_with_its_meaning() {
    let readme = fs::read_to_string(folder().join("README.md")).unwrap();
    let table = readme
        .split("| Code | Meaning |\n| --- | --- |\n")
        .nth(1)
        .unwrap();
    let rows: Vec<&str> = table
        .lines()
        .take_while(|line| line.starts_with('|'))
        .collect();
    let codes: Vec<String> = Reject::ALL
        .iter()
        .map(|reject| format!("| `{}` | {} |", reject.code(), reject.meaning()))
        .collect();
    assert_eq!(rows, codes);
}

#[test]
fn an_export_is_every_file_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("new/schemas");
    let paths = schemas::export(&target).unwrap();
    assert_eq!(paths.len(), Kind::ALL.len());
    for &kind in Kind::ALL {
        let name = format!("{kind}.avsc");
        let exported = fs::read_to_string(target.join(&name)).unwrap();
        assert_eq!(
            exported,
            fs::read_to_string(folder().join(&name)).unwrap(),
            "{kind}"
        );
    }
}
