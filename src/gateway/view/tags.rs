//! What records can be looked for by, and what is looked for.

use axum::body::Bytes;
use quorate_core::domain::covers;
use quorate_core::ids::Timestamp;
use quorate_core::topic::Topic;

/// Something that records can be looked for by; named as in Avro.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) enum Field {
    /// A domain, looked for by a prefix.
    Domain,
    /// Where a round stands.
    State,
    /// The stakes: the declared ones of a round, those that counted of what it came to.
    Stakes,
    /// What a round came to.
    Status,
    /// Whether an agent takes part.
    Standing,
    /// Who proposed.
    Proposer,
    /// What an action is done to.
    Subject,
    /// How that begins.
    SubjectPrefix,
    /// Who resolved a round.
    ResolvedBy,
    /// When something was over, at the earliest, in milliseconds since the epoch.
    From,
    /// Before when.
    To,
    /// Who did something.
    By,
    /// What sort of thing somebody did.
    Sort,
    /// An agent.
    AgentId,
    /// A trust domain, looked for by a prefix.
    TrustDomain,
    /// The topic a refused record lay on.
    Topic,
    /// Why it was refused.
    Reason,
}

impl Field {
    /// Its name.
    pub(in crate::gateway) const fn name(self) -> &'static str {
        match self {
            Self::Domain => "domain",
            Self::State => "state",
            Self::Stakes => "stakes",
            Self::Status | Self::Standing => "status",
            Self::Proposer => "proposer",
            Self::Subject => "subject",
            Self::SubjectPrefix => "subject_prefix",
            Self::ResolvedBy => "resolved_by",
            Self::From => "from",
            Self::To => "to",
            Self::By => "by",
            Self::Sort => "kind",
            Self::AgentId => "agent_id",
            Self::TrustDomain => "trust_domain",
            Self::Topic => "topic",
            Self::Reason => "reason",
        }
    }

    /// What is looked for by it, in a line.
    pub(in crate::gateway) const fn meaning(self) -> &'static str {
        match self {
            Self::Domain => "Of domains under this prefix alone.",
            Self::State => "Where the round stands.",
            Self::Stakes => "The stakes.",
            Self::Status => "What the round came to.",
            Self::Standing => "Whether the agent takes part.",
            Self::Proposer => "Who proposed.",
            Self::Subject => "What the action is done to.",
            Self::SubjectPrefix => "How what the action is done to begins.",
            Self::ResolvedBy => "Who resolved the round.",
            Self::From => "Closed, or done, then or later: milliseconds since the epoch.",
            Self::To => "Closed, or done, before then: milliseconds since the epoch.",
            Self::By => "Who did it.",
            Self::Sort => "What sort of thing was done.",
            Self::AgentId => "Whose.",
            Self::TrustDomain => "Of trust domains under this prefix alone.",
            Self::Topic => "The topic the refused record lies on, without prefix.",
            Self::Reason => "The stable code of why it was refused.",
        }
    }

    /// What it may be, if that is not anything.
    pub(in crate::gateway) fn symbols(self) -> Option<Vec<&'static str>> {
        Some(match self {
            Self::State => vec!["OPEN", "ESCALATED", "CLOSED"],
            Self::Stakes => vec!["LOW", "MEDIUM", "HIGH", "CRITICAL"],
            Self::Status => vec!["APPROVED", "REJECTED", "ESCALATED"],
            Self::Standing => vec!["ACTIVE", "RETIRED", "SUSPENDED"],
            Self::ResolvedBy => vec!["PROTOCOL", "HUMAN", "TIMEOUT"],
            Self::Sort => super::actions::Sort::NAMES.to_vec(),
            Self::Topic => Topic::ALL.iter().map(|topic| topic.name()).collect(),
            _ => return None,
        })
    }

    /// Whether it is a time.
    pub(in crate::gateway) const fn is_time(self) -> bool {
        matches!(self, Self::From | Self::To)
    }

    const fn is_domain(self) -> bool {
        matches!(self, Self::Domain | Self::TrustDomain)
    }
}

/// What one record can be found by; of a field it may have several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::gateway) struct Tags {
    all: Vec<(Field, Box<str>)>,
    /// When it was over.
    at: Option<Timestamp>,
}

impl Tags {
    /// With one more.
    #[must_use]
    pub(super) fn with(mut self, field: Field, text: impl Into<Box<str>>) -> Self {
        self.all.push((field, text.into()));
        self
    }

    /// Over at a time.
    #[must_use]
    pub(super) const fn at(mut self, at: Timestamp) -> Self {
        self.at = Some(at);
        self
    }

    /// What is there of a field, the first of it.
    pub(in crate::gateway) fn first(&self, field: Field) -> Option<&str> {
        let mut all = self.all.iter();
        all.find(|(of, _)| *of == field).map(|(_, text)| &**text)
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        let texts = self.all.iter().map(|(_, text)| text.len());
        texts.sum::<usize>() + self.all.len() * size_of::<(Field, Box<str>)>()
    }
}

/// A record as it lies, and what it can be found by.
#[derive(Clone, Debug)]
pub(in crate::gateway) struct Item {
    /// Its value.
    pub(in crate::gateway) value: Bytes,
    pub(in crate::gateway) tags: Tags,
}

impl Item {
    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.value.len() + self.tags.weight() + size_of::<Self>()
    }
}

/// What is looked for: all of it must be found.
#[derive(Clone, Debug, Default)]
pub(in crate::gateway) struct Filter(Vec<(Field, String)>);

impl Filter {
    /// Looks for this, too.
    pub(in crate::gateway) fn and(&mut self, field: Field, text: String) {
        self.0.push((field, text));
    }

    /// Takes what is looked for of a field out of it.
    pub(in crate::gateway) fn take(&mut self, field: Field) -> Option<String> {
        let at = self.0.iter().position(|(of, _)| *of == field)?;
        Some(self.0.swap_remove(at).1)
    }

    /// Whether a record has all of it.
    pub(super) fn finds(&self, tags: &Tags) -> bool {
        self.0.iter().all(|(field, wanted)| match field {
            Field::From | Field::To => {
                let edge = wanted.parse().ok().map(Timestamp);
                let is_from = *field == Field::From;
                tags.at.is_some_and(|at| (Some(at) >= edge) == is_from)
            }
            Field::SubjectPrefix => {
                let subject = tags.first(Field::Subject);
                subject.is_some_and(|subject| subject.starts_with(&**wanted))
            }
            _ => {
                let mut of_field = tags.all.iter().filter(|(of, _)| of == field);
                of_field.any(|(_, text)| match field.is_domain() {
                    true => covers(wanted, text),
                    false => **text == **wanted,
                })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_looked_for_must_be_there_and_domains_begin_with_it() {
        let tags = Tags::default().with(Field::Domain, "pay.out");
        let tags = tags.with(Field::Domain, "fraud").with(Field::State, "OPEN");
        let finds = |wanted: &[(Field, &str)]| {
            let mut filter = Filter::default();
            for (field, text) in wanted {
                filter.and(*field, (*text).to_owned());
            }
            filter.finds(&tags)
        };
        assert!(finds(&[]));
        assert!(finds(&[(Field::Domain, "pay"), (Field::State, "OPEN")]));
        assert!(finds(&[
            (Field::Domain, "fraud"),
            (Field::Domain, "pay.out")
        ]));
        assert!(!finds(&[(Field::Domain, "pa")]));
        assert!(!finds(&[(Field::State, "OPE")]));
        assert!(!finds(&[(Field::State, "OPEN"), (Field::Domain, "garden")]));
        assert!(!finds(&[(Field::Subject, "")]), "it is not known");
    }

    #[test]
    fn times_are_from_and_before_and_subjects_begin_with_it() {
        let tags = Tags::default().with(Field::Subject, "payment-12");
        let tags = tags.at(Timestamp(10));
        let finds = |field, text: &str| {
            let mut filter = Filter::default();
            filter.and(field, text.to_owned());
            filter.finds(&tags)
        };
        assert!(finds(Field::From, "10") && !finds(Field::From, "11"));
        assert!(finds(Field::To, "11") && !finds(Field::To, "10"));
        assert!(finds(Field::SubjectPrefix, "payment-1"));
        assert!(!finds(Field::SubjectPrefix, "ayment"));
        let mut filter = Filter::default();
        filter.and(Field::From, "0".to_owned());
        assert!(!filter.finds(&Tags::default()), "it is not over");
    }
}
