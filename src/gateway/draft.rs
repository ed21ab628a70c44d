//! What somebody says, as JSON, made into a record: checked for form, never judged.

use quorate_core::ids::ProposalId;
use quorate_core::records::input::Result as Turned;
use quorate_core::records::{Decision, Proposal, Response};
use quorate_core::topic::Topic;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::access::{Caller, Verb};
use super::refusal::{Refusal, Sort};
use crate::wire::json::{confidence_of, from_value_strict, parse_strict};
use crate::wire::{Codec, Kind, Record};

/// What can be said at an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A proposal.
    Proposal,
    /// A response.
    Response,
    /// A decision.
    Decision,
    /// A result.
    Result,
}

impl Said {
    /// The topic it is appended to.
    #[must_use]
    pub const fn topic(self) -> Topic {
        match self {
            Self::Proposal => Topic::Proposals,
            Self::Response => Topic::Responses,
            Self::Decision => Topic::Decisions,
            Self::Result => Topic::Results,
        }
    }

    /// What is done by saying it.
    #[must_use]
    pub const fn verb(self) -> Verb {
        match self {
            Self::Proposal => Verb::Propose,
            Self::Response => Verb::Respond,
            Self::Decision => Verb::Decide,
            Self::Result => Verb::Report,
        }
    }

    /// The kind of its record.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::Proposal => Kind::Proposal,
            Self::Response => Kind::Response,
            Self::Decision => Kind::Decision,
            Self::Result => Kind::Result,
        }
    }

    /// Whether it says how sure the speaker is.
    #[must_use]
    pub const fn has_confidence(self) -> bool {
        matches!(self, Self::Proposal | Self::Response)
    }

    /// The field with its id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Proposal => "proposal_id",
            Self::Response => "response_id",
            Self::Decision => "decision_id",
            Self::Result => "result_id",
        }
    }

    /// The field that says who says it.
    #[must_use]
    pub const fn speaker(self) -> &'static str {
        match self {
            Self::Proposal => "proposer",
            Self::Response => "agent_id",
            Self::Decision => "reviewer",
            Self::Result => "reporter",
        }
    }
}

/// A record to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is.
    pub said: Said,
    /// Its own id.
    pub id: String,
    /// The round it belongs to, as it is written: the record's key.
    pub key: String,
    /// The record in the log's framing.
    pub value: Vec<u8>,
}

impl Draft {
    /// Makes a record of JSON: its id is made, and the speaker filled in, where they are left out.
    ///
    /// # Errors
    /// A [`Refusal`] if the caller may not say it, or it is no such record.
    pub fn of(codec: &Codec, caller: &Caller, said: Said, body: &[u8]) -> Result<Self, Refusal> {
        caller.may(said.verb())?;
        let Value::Object(mut object) = parse_strict(body)? else {
            return Err(malformed("not a JSON object"));
        };
        let subject = || Value::String(caller.subject.clone());
        object.entry(said.speaker()).or_insert_with(subject);
        if let Some(Value::String(name)) = object.get(said.speaker()) {
            caller.speaks_as(name)?;
        }
        object.entry(said.id()).or_insert_with(new_id);
        if said.has_confidence() {
            take_probability(&mut object)?;
        }
        let text = |field| match object.get(field) {
            Some(Value::String(text)) => text.clone(),
            _ => String::new(),
        };
        let (id, key) = (text(said.id()), text("proposal_id"));
        let object = Value::Object(object);
        let value = match said {
            Said::Proposal => encode::<Proposal>(codec, &object),
            Said::Response => encode::<Response<'_>>(codec, &object),
            Said::Decision => encode::<Decision>(codec, &object),
            Said::Result => encode::<Turned>(codec, &object),
        };
        let value = value.map_err(|refusal| refusal.about(&id))?;
        Ok(Self {
            said,
            id,
            key,
            value,
        })
    }

    /// The round it belongs to, if its key can be one's.
    #[must_use]
    pub fn round(&self) -> Option<ProposalId> {
        self.key.parse().ok()
    }
}

/// A record's value by its JSON.
fn encode<'a, T: Record + Deserialize<'a>>(
    codec: &Codec,
    object: &'a Value,
) -> Result<Vec<u8>, Refusal> {
    let record: T = from_value_strict(object)?;
    Ok(codec.encode(&record)?)
}

/// Puts the confidence that a probability of being right stands for in its place.
fn take_probability(object: &mut Map<String, Value>) -> Result<(), Refusal> {
    let Some(given) = object.remove("probability") else {
        return Ok(());
    };
    let probability = given.as_f64();
    let probability = probability.ok_or_else(|| malformed("`probability` is not a number"))?;
    if object.contains_key("confidence") {
        return Err(malformed(
            "`probability` and `confidence` say the same; give one",
        ));
    }
    if probability < 0.5 {
        let detail = format!(
            "probability {probability} says that it is more likely wrong than right: challenge it \
             with probability {} instead",
            1.0 - probability
        );
        return Err(Refusal::new(Sort::Bad, "probability_below_half", detail));
    }
    let confidence = confidence_of(probability);
    let confidence = confidence.ok_or_else(|| malformed("`probability` is above 1"))?;
    object.insert("confidence".to_owned(), json!(confidence));
    Ok(())
}

fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(Sort::Bad, "malformed", detail)
}

/// An id that sorts by the time it was made at.
fn new_id() -> Value {
    Value::String(uuid::Uuid::now_v7().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::access::Role;

    fn ada(role: Role) -> Caller {
        Caller {
            is_guest: false,
            until: None,
            subject: "ada".to_owned(),
            roles: [role].into(),
        }
    }

    fn respond(body: &Value) -> Result<Draft, Refusal> {
        let body = body.to_string();
        Draft::of(
            &Codec::single_object(),
            &ada(Role::Agent),
            Said::Response,
            body.as_bytes(),
        )
    }

    fn code(body: &Value) -> String {
        respond(body).unwrap_err().code
    }

    #[test]
    fn who_speaks_and_the_id_are_filled_in() {
        let said = json!({"proposal_id": "p", "verdict": "ENDORSE", "probability": 0.95});
        let draft = respond(&said).unwrap();
        let codec = Codec::single_object();
        let (response, _) = codec.decode::<Response<'_>>(&draft.value).unwrap();
        assert_eq!((&*response.agent_id, &*response.proposal_id), ("ada", "p"));
        assert_eq!(response.response_id, draft.id);
        assert_eq!(response.confidence, 0.9);
        assert_eq!(draft.key, "p");
    }

    #[test]
    fn a_role_is_asked_before_the_body_is_looked_at() {
        let codec = Codec::single_object();
        for (said, fits) in [
            (Said::Proposal, Role::Agent),
            (Said::Response, Role::Agent),
            (Said::Decision, Role::Reviewer),
            (Said::Result, Role::Reporter),
        ] {
            for role in [Role::Agent, Role::Reviewer, Role::Reporter, Role::Operator] {
                let refusal = Draft::of(&codec, &ada(role), said, b"{").unwrap_err();
                let code = if role == fits {
                    "malformed"
                } else {
                    "role_missing"
                };
                assert_eq!(refusal.code, code, "{said:?} {role:?}");
            }
        }
    }

    #[test]
    fn a_probability_is_below_half_or_said_twice_in_vain() {
        let with = |probability: Value| {
            let mut said = json!({"proposal_id": "p", "verdict": "ENDORSE"});
            said["probability"] = probability;
            said
        };
        let refusal = respond(&with(json!(0.25))).unwrap_err();
        assert_eq!(refusal.code, "probability_below_half");
        assert!(refusal.detail.contains("0.75"), "{}", refusal.detail);
        assert_eq!(code(&with(json!(1.5))), "malformed");
        assert_eq!(code(&with(json!("0.9"))), "malformed");
        let mut both = with(json!(0.9));
        both["confidence"] = json!(0.8);
        assert_eq!(code(&both), "malformed");
    }

    #[test]
    fn a_symbol_nobody_knows_is_not_taken_for_another() {
        for verdict in ["endorse", "ENDORSED", ""] {
            let said = json!({"proposal_id": "p", "verdict": verdict, "confidence": 0.9});
            let refusal = respond(&said).unwrap_err();
            assert_eq!((refusal.sort, &*refusal.code), (Sort::Bad, "malformed"));
            let symbols = "`verdict` is one of ENDORSE, CHALLENGE, ABSTAIN";
            assert!(refusal.detail.starts_with(symbols), "{}", refusal.detail);
        }
    }

    #[test]
    fn a_key_given_twice_is_malformed() {
        let said = r#"{"proposal_id": "p", "verdict": "ENDORSE", "confidence": 0.9, KEY: 0.1}"#;
        // Of the record, or taken from it before it is one.
        for key in ["confidence", "probability"] {
            let quoted = format!("\"{key}\"");
            let body = said
                .replace("\"confidence\"", &quoted)
                .replace("KEY", &quoted);
            let codec = Codec::single_object();
            let ada = ada(Role::Agent);
            let refusal = Draft::of(&codec, &ada, Said::Response, body.as_bytes()).unwrap_err();
            assert_eq!((refusal.sort, &*refusal.code), (Sort::Bad, "malformed"));
            let twice = format!("key `{key}` is given twice");
            assert!(refusal.detail.contains(&twice), "{}", refusal.detail);
        }
    }

    #[test]
    fn what_is_no_record_is_malformed_and_what_is_too_long_too_large() {
        let said = json!({"proposal_id": "p", "verdict": "ENDORSE", "confidence": 0.9});
        for (field, value) in [
            ("wight", json!(1)),
            ("agent_id", json!(7)),
            ("response_id", json!(null)),
            ("confidence", json!("high")),
        ] {
            let mut said = said.clone();
            said[field] = value;
            assert_eq!(code(&said), "malformed", "{field}");
        }
        let mut long = said.clone();
        long["reasoning"] = "x".repeat(70_000).into();
        assert_eq!(code(&long), "record_too_large");
        let mut other = said;
        other["agent_id"] = "bob".into();
        assert_eq!(code(&other), "not_yourself");
    }
}
