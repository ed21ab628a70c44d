//! Why an edge does not do what it was asked: each edge says it in its own protocol's way.

use std::time::Duration;

use super::claims::Standing;
use crate::transport;
use crate::wire;

/// Why something asked for is not done, or was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Of which sort it is.
    pub sort: Sort,
    /// A stable code: the protocol's where it has one.
    pub code: String,
    /// The reason in words; may quote what was sent, so untrusted text.
    pub detail: String,
    /// The id of the record it is about, if it has one.
    pub id: Option<String>,
    /// How long to leave it before the same is tried again, where that helps.
    pub wait: Duration,
    /// The claim that stands against it, if one does.
    pub claim: Option<Standing>,
}

/// What whoever asked can do about a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Show a token that is known.
    Unknown,
    /// Nothing in its own name.
    Forbidden,
    /// Ask for something else.
    Bad,
    /// Say less.
    TooLarge,
    /// Look elsewhere: there is no such thing.
    Missing,
    /// Begin anew: what was asked for is not remembered.
    Gone,
    /// Ask for it in another way.
    NotAllowed,
    /// Say something else: the protocol refused the record.
    Refused,
    /// Wait until somebody else is done with it.
    Taken,
    /// Ask less often.
    TooMany,
    /// Try again later.
    Away,
}

impl Refusal {
    /// A refusal in words.
    pub fn new(sort: Sort, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            sort,
            code: code.into(),
            detail: detail.into(),
            id: None,
            wait: Duration::from_secs(1),
            claim: None,
        }
    }

    /// The same, about a record.
    #[must_use]
    pub fn about(self, id: &str) -> Self {
        let id = Some(id.to_owned());
        Self { id, ..self }
    }

    /// The same, because of a claim.
    #[must_use]
    pub fn with_claim(self, claim: Standing) -> Self {
        let claim = Some(claim);
        Self { claim, ..self }
    }

    /// The same, to be tried again after a while.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }
}

impl From<wire::Error> for Refusal {
    fn from(error: wire::Error) -> Self {
        let sort = match error {
            wire::Error::Malformed(_) => Sort::Bad,
            wire::Error::TooLarge { .. } => Sort::TooLarge,
            wire::Error::UnknownSchema(_) => Sort::Away,
        };
        Self::new(sort, error.reject().code(), error.to_string())
    }
}

/// What exactly is wrong with a log is for those who run it, and is logged.
impl From<transport::Error> for Refusal {
    fn from(error: transport::Error) -> Self {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the log does not answer"
        );
        if let transport::Error::Unwritable { hindrance, .. } = error {
            let detail = format!("the log takes nothing for now: {}", hindrance.meaning());
            return Self::new(Sort::Away, hindrance.code(), detail);
        }
        let detail = "the log does not answer; what was sent may be there all the same, and to \
                      send the same record again, under its id, changes nothing then";
        Self::new(Sort::Away, "log_unavailable", detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_fails_is_away_and_tells_nothing_of_itself() {
        let error = transport::Error::Unfit("`/secret/place` is gone".to_owned());
        let refusal = Refusal::from(error);
        assert_eq!(refusal.sort, Sort::Away);
        assert!(!refusal.detail.contains("secret"));
    }
}
