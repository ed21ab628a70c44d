//! Why a policy or agent record is unsound: such a record is ignored as if it were not there.
//!
//! Soundness concerns one record alone. What is sound and still unwise is `lint`'s.

use alloc::collections::BTreeSet;

/// The refusal of a policy or agent record: one of its keys does not hold what it must.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {why}")]
pub struct Unsound {
    /// The key as the record has it.
    pub key: &'static str,
    /// What is wrong with it, in words.
    pub why: &'static str,
}

/// Refuses a key unless something holds.
pub(crate) fn require(holds: bool, key: &'static str, why: &'static str) -> Result<(), Unsound> {
    if holds {
        Ok(())
    } else {
        Err(Unsound { key, why })
    }
}

/// Refuses a list that names something twice.
pub(crate) fn distinct<'a>(
    names: impl IntoIterator<Item = &'a str>,
    key: &'static str,
) -> Result<(), Unsound> {
    let mut seen = BTreeSet::new();
    let all = names.into_iter().all(|name| seen.insert(name));
    require(all, key, "names one twice")
}

/// Refuses a list of which one is no domain.
pub(crate) fn domains<'a>(
    names: impl IntoIterator<Item = &'a str>,
    key: &'static str,
) -> Result<(), Unsound> {
    let sound = names.into_iter().all(is_domain);
    require(sound, key, "is not made of dotted, non-empty segments")
}

/// Refuses a list of which one is empty.
pub(crate) fn names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    key: &'static str,
) -> Result<(), Unsound> {
    let given = names.into_iter().all(|name| !name.is_empty());
    require(given, key, "has an empty entry")
}

/// Whether a text is a domain as policies and agents may name it: dotted, non-empty segments
/// without `*`, spaces and ASCII controls.
pub(crate) fn is_domain(text: &str) -> bool {
    text.split('.').all(|segment| {
        !segment.is_empty()
            && !segment
                .chars()
                .any(|c| c == '*' || c == ' ' || c.is_ascii_control())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_whole_segments_and_no_wildcard() {
        for text in ["fraud", "fraud.detection", "credit.sme.de-by", "größe"] {
            assert!(is_domain(text), "{text}");
        }
        for text in [
            "", ".", "fraud.", ".fraud", "a..b", "*", "fraud.*", "a b", "a\n",
        ] {
            assert!(!is_domain(text), "{text}");
        }
    }
}
