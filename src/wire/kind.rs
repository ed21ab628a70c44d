//! The kinds of record there are: their names, topics, subjects and built-in schemas.

use std::fmt;

use quorate_core::records;
use quorate_core::topic::Topic;
use serde::Serialize;

use super::schemas::{self, Shape};
use super::{Codec, Error, json};

macro_rules! schema {
    ($($part:expr),+) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/", $($part),+))
    };
}

macro_rules! kinds {
    ($(
        $(#[doc = $doc:literal])+
        $kind:ident($record:ty) in $topic:ident, released $($version:literal)+;
    )+) => {
        /// A kind of record; its name is the record's in Avro.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// Every kind, in the order of the protocol's topics.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The record's name, without namespace.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind),)+ }
            }

            /// The topic its records lie in.
            #[must_use]
            pub const fn topic(self) -> Topic {
                match self { $(Self::$kind => Topic::$topic,)+ }
            }

            /// The built-in schema: the text of `schemas/<name>.avsc`.
            #[must_use]
            pub const fn schema(self) -> &'static str {
                match self { $(Self::$kind => schema!(stringify!($kind), ".avsc"),)+ }
            }

            /// Every schema ever released for it, oldest first: `schemas/released/<name>/`.
            #[must_use]
            pub const fn released(self) -> &'static [&'static str] {
                match self {
                    $(Self::$kind => &[
                        $(schema!("released/", stringify!($kind), "/", $version, ".avsc"),)+
                    ],)+
                }
            }

            /// A value of this kind as JSON, whatever the kind: for people to read.
            ///
            /// # Errors
            /// As [`Codec::decode`] and [`json::to_string`].
            pub fn to_json(self, codec: &Codec, value: &[u8]) -> Result<String, Error> {
                match self {
                    $(Self::$kind => json::to_string(&codec.decode::<$record>(value)?.0),)+
                }
            }
        }

        $(
            impl Datum for $record {
                fn shape() -> &'static Shape {
                    schemas::shape(Self::KIND)
                }
            }

            impl Record for $record {
                const KIND: Kind = Kind::$kind;
            }
        )+
    };
}

/// Anything with a datum of its own, so that it has a digest.
pub trait Datum: Serialize {
    /// Its built-in schema.
    fn shape() -> &'static Shape;
}

/// A record of the log.
pub trait Record: Datum {
    /// Which one.
    const KIND: Kind;
}

kinds! {
    /// What some agent wants done.
    Proposal(records::Proposal) in Proposals, released 1;
    /// An agent's answer.
    Response(records::Response<'_>) in Responses, released 1;
    /// An operator's order among the responses; a header names it.
    Control(records::Control) in Responses, released 1;
    /// A human's decision.
    Decision(records::Decision) in Decisions, released 1;
    /// What later turned out.
    Result(records::input::Result) in Results, released 1;
    /// An agent as the operator lists it.
    Agent(records::Agent) in Agents, released 1;
    /// The rules of a domain.
    Policy(records::Policy) in Policies, released 1;
    /// A schema as it was registered.
    SchemaEntry(records::SchemaEntry) in Schemas, released 1;
    /// A round's state.
    Round(records::Round) in Rounds, released 1 2;
    /// What a round came to.
    Outcome(records::Outcome) in Outcomes, released 1;
    /// An escalation.
    DecisionPackage(records::DecisionPackage) in Escalations, released 1;
    /// A result to be folded.
    TrustUpdate(records::TrustUpdate) in TrustUpdates, released 1;
    /// An agent's track record.
    TrustScore(records::TrustScore) in Trust, released 1;
    /// A refused record.
    DeadLetter(records::DeadLetter) in DeadLetters, released 1;
    /// Which reviewer is at an escalation.
    Claim(records::Claim) in Claims, released 1;
}

impl Datum for records::DecisionPart {
    fn shape() -> &'static Shape {
        &schemas::DECISION_PART
    }
}

impl Datum for records::PackageContent {
    fn shape() -> &'static Shape {
        &schemas::PACKAGE_CONTENT
    }
}

impl Kind {
    /// The kind of a topic's records; a [`Kind::Control`] lies among the responses.
    #[must_use]
    pub const fn of(topic: Topic) -> Self {
        match topic {
            Topic::Proposals => Self::Proposal,
            Topic::Responses => Self::Response,
            Topic::Decisions => Self::Decision,
            Topic::Results => Self::Result,
            Topic::Agents => Self::Agent,
            Topic::Policies => Self::Policy,
            Topic::Schemas => Self::SchemaEntry,
            Topic::Rounds => Self::Round,
            Topic::Outcomes => Self::Outcome,
            Topic::Escalations => Self::DecisionPackage,
            Topic::TrustUpdates => Self::TrustUpdate,
            Topic::Trust => Self::TrustScore,
            Topic::DeadLetters => Self::DeadLetter,
            Topic::Claims => Self::Claim,
        }
    }

    /// The registry's subject for topics with a prefix, such as `acp.`.
    ///
    /// `<topic>-value`, as clients have it by default. A control record is the second kind of its
    /// topic, so its subject is what the strategy for such topics makes of it:
    /// `<topic>-acp.v1.Control`.
    #[must_use]
    pub fn subject(self, prefix: &str) -> String {
        let topic = self.topic();
        match self {
            Self::Control => format!("{prefix}{topic}-acp.v1.Control"),
            _ => format!("{prefix}{topic}-value"),
        }
    }

    /// The kind whose subject it is under a prefix. Without a prefix, as in a history that was
    /// imported, that of the subject's end: there it may have begun with one.
    #[must_use]
    pub fn of_subject(prefix: &str, subject: &str) -> Option<Self> {
        let is_under = |kind: &&Self| match prefix {
            "" => subject.ends_with(&kind.subject("")),
            prefix => subject == kind.subject(prefix),
        };
        let kinds = Self::ALL.iter().filter(is_under);
        kinds.max_by_key(|kind| kind.subject("").len()).copied()
    }

    /// Whether agents, people or operators send it: at most 64 KiB, and refused one by one.
    #[must_use]
    pub const fn is_input(self) -> bool {
        matches!(
            self,
            Self::Proposal | Self::Response | Self::Control | Self::Decision | Self::Result
        )
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_topic_has_its_kind_and_every_kind_its_subject() {
        for &topic in Topic::ALL {
            assert_eq!(Kind::of(topic).topic(), topic);
        }
        let subjects: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.subject("acp.")).collect();
        assert_eq!(subjects.len(), Kind::ALL.len());
        assert_eq!(Kind::Proposal.subject("acp."), "acp.proposals-value");
        assert_eq!(Kind::Control.subject(""), "responses-acp.v1.Control");
    }
}
