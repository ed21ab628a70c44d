//! Domains are dotted names; a prefix covers what lies below it, by whole segments.

use core::cmp::Reverse;

/// Whether a prefix covers a domain: `fraud` covers `fraud.detection`, not `fraudulent`.
#[must_use]
pub fn covers(prefix: &str, domain: &str) -> bool {
    domain
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        && !prefix.is_empty()
        && prefix != "*"
}

/// Whether a pattern covers a domain: a prefix, or `*` for every one.
#[must_use]
pub fn matches(pattern: &str, domain: &str) -> bool {
    pattern == "*" || covers(pattern, domain)
}

/// How close a pattern is: compare two that match, and the greater one wins; `*` is last.
#[must_use]
pub fn closeness(pattern: &str) -> (Reverse<bool>, usize) {
    (Reverse(pattern == "*"), pattern.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_covers_whole_segments_only() {
        assert!(covers("fraud", "fraud"));
        assert!(covers("fraud", "fraud.detection"));
        assert!(!covers("fraud", "fraudulent"));
        assert!(!covers("fraud.detection", "fraud"));
        assert!(!covers("", "fraud"));
        assert!(!covers("*", "fraud"));
        assert!(!covers("*", "*"));
        assert!(matches("*", "fraud"));
    }

    #[test]
    fn the_longest_pattern_is_closest_and_the_star_last() {
        assert!(closeness("fraud.detection") > closeness("fraud"));
        assert!(closeness("f") > closeness("*"));
    }
}
