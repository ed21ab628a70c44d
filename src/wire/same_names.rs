//! Whether the schemas are the records': the same names, fields and symbols, in the same order.

use std::collections::BTreeMap;

use quorate_core::records;
use serde::de::{Deserialize, Deserializer, Error as _, Visitor, value::Error};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::{Kind, schemas};

/// Asked for a type, it answers with what the type is called and made of.
struct Probe;

fn answer<T>(name: &str, parts: &[&str]) -> Result<T, Error> {
    Err(Error::custom(format!("{name}: {}", parts.join(" "))))
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("neither a struct nor an enum"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        answer(name, fields)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        symbols: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        answer(name, symbols)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

fn asked<'de, T: Deserialize<'de>>() -> String {
    match T::deserialize(Probe) {
        Err(answer) => answer.to_string(),
        Ok(_) => panic!("the probe answers nothing else"),
    }
}

/// What a schema says of a named type, in the probe's words; none for a `fixed`.
fn written(name: &str, definition: &Value) -> Option<String> {
    let names = |list: &str, name: fn(&Value) -> &str| {
        let parts = definition.get(list)?.as_array()?;
        Some(parts.iter().map(name).collect::<Vec<_>>().join(" "))
    };
    let parts = names("fields", |field| field["name"].as_str().unwrap())
        .or_else(|| names("symbols", |symbol| symbol.as_str().unwrap()))?;
    Some(format!("{name}: {parts}"))
}

#[test]
fn every_type_has_the_names_of_its_record_in_their_order() {
    let mut schemas = BTreeMap::new();
    for &kind in Kind::ALL {
        for (name, definition) in &schemas::shape(kind).names {
            if let Some(text) = written(name, definition) {
                schemas.insert(name.clone(), text);
            }
        }
    }
    macro_rules! types {
        ($($type:ident)+) => {
            vec![
                asked::<records::Response<'_>>(),
                asked::<records::input::Result>(),
                $(asked::<records::$type>(),)+
            ]
        };
    }
    let mut types = types! {
        Action Agent AgentKind AgentStatus ApprovalsNeeded Argument Ballot Basis Claim Closed
        Confidences Control Coordinates Correction DeadLetter Decision DecisionPackage
        DecisionPart DecisionVerdict Grant Histogram Influence Judged Label Lesson Mode
        OnDecisionTimeout Opening Outcome PackageContent Parameter Pins Policy Prior Proposal
        Reason ResolvedBy ResultKind Review Revision Round RoundState SchemaEntry
        Settlement Snapshot Stakes StakesFloor Start Stated Statement Status Superseded TrustScore
        TrustUpdate Uncounted Verdict
    };
    types.sort();
    assert_eq!(types, schemas.into_values().collect::<Vec<_>>());
}
