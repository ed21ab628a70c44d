//! What operators write, and where refused records go: agents, schemas, dead letters.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::input::Stakes;
use super::outcome::Pins;
use crate::ids::{AgentId, Bytes, Offset, Timestamp};
use crate::millionths::Millionths;

/// An agent, person or reporter as the operator lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id; the record's key.
    pub agent_id: AgentId,
    /// What it is.
    pub kind: AgentKind,
    /// For people; untrusted text.
    #[serde(default)]
    pub display_name: String,
    /// The accountable owner: a team, vendor or company.
    pub principal: String,
    /// The model it is built on.
    #[serde(default)]
    pub model_family: Option<String>,
    /// What it is qualified for.
    #[serde(default)]
    pub domains: Vec<Grant>,
    /// What it may decide when rounds escalate.
    #[serde(default)]
    pub reviews: Vec<Review>,
    /// Keys its records will be signed with.
    #[serde(default)]
    pub public_keys: Vec<String>,
    /// Whether it takes part.
    pub status: AgentStatus,
}

/// What an agent is; unknown symbols read as [`AgentKind::Agent`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AgentKind {
    /// A person.
    Human,
    /// A source of results.
    Reporter,
    /// A program that proposes and responds.
    #[default]
    #[serde(other)]
    Agent,
}

/// Whether an agent takes part; unknown symbols read as [`AgentStatus::Suspended`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AgentStatus {
    /// It does.
    Active,
    /// Not any more.
    Retired,
    /// Not for now.
    #[default]
    #[serde(other)]
    Suspended,
}

/// An agent's authority in a domain and everything below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// A domain prefix by whole segments.
    pub domain: String,
    /// How relevant its expertise is there.
    pub authority: Millionths,
    /// A better-founded start than a newcomer's.
    #[serde(default)]
    pub prior: Option<Prior>,
}

/// Counts of an offline evaluation, the newcomer's own 2 and 1 included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prior {
    /// Items judged rightly, at least 1.
    pub right: i32,
    /// Items judged wrongly, at least 1; with `right` at most 60.
    pub wrong: i32,
    /// Where the counts come from.
    #[serde(default)]
    pub source: String,
}

/// Leave to decide escalations of a domain up to some stakes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// A domain prefix by whole segments, or `*`.
    pub domain: String,
    /// The highest stakes it covers.
    pub up_to_stakes: Stakes,
}

/// A schema as it was registered: an id is trusted only if fingerprint and subject agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaEntry {
    /// The registry's subject; the record's key.
    pub subject: String,
    /// The registry's id, as in the Confluent wire format.
    pub schema_id: i32,
    /// CRC-64-AVRO fingerprint of the schema's parsing canonical form, 8 bytes.
    pub fingerprint: Bytes,
    /// The schema's JSON as registered.
    pub schema: String,
}

/// A record that was refused: nothing is dropped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Topic it lay on, without prefix.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: Offset,
    /// Its append time.
    pub timestamp: Timestamp,
    /// Its key, as it lay.
    pub key: Option<Bytes>,
    /// Its value, as it lay.
    pub value: Option<Bytes>,
    /// The stable reason code.
    pub reason: String,
    /// The reason in words; may quote the record, so untrusted text.
    pub detail: String,
    /// The table positions it was judged by.
    pub judged_by: Pins,
}
