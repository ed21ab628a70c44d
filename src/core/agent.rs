//! What an agent record says by itself: whether it is sound. What it may do where is
//! the electorate's.

use crate::records::{Agent, Prior};
use crate::unsound::{self, Unsound, require};

/// Most counts a prior may claim, right and wrong together.
pub const PRIOR_MAX: i64 = 60;

impl Agent {
    /// Whether the record may be obeyed.
    ///
    /// # Errors
    /// [`Unsound`] names the first key that does not hold what it must.
    pub fn check(&self) -> Result<(), Unsound> {
        require(!self.agent_id.as_str().is_empty(), "agent_id", "is empty")?;
        require(!self.principal.is_empty(), "principal", "is empty")?;
        let family = self.model_family.as_deref() != Some("");
        require(family, "model_family", "is empty")?;
        let granted = self.domains.iter().map(|grant| grant.domain.as_str());
        // A grant of `*` has no meaning, and so harms nothing; two of one domain contradict.
        unsound::domains(granted.clone().filter(|&domain| domain != "*"), "domains")?;
        unsound::distinct(granted, "domains")?;
        self.domains
            .iter()
            .filter_map(|grant| grant.prior.as_ref())
            .try_for_each(Prior::check)?;
        let reviewed = self.reviews.iter().map(|review| review.domain.as_str());
        unsound::domains(reviewed.filter(|&domain| domain != "*"), "reviews")?;
        unsound::names(
            self.public_keys.iter().map(|key| key.as_str()),
            "public_keys",
        )
    }
}

impl Prior {
    fn check(&self) -> Result<(), Unsound> {
        let key = "prior";
        require(self.right >= 1, key, "has fewer than 1 right")?;
        require(self.wrong >= 1, key, "has fewer than 1 wrong")?;
        let together = i64::from(self.right) + i64::from(self.wrong);
        require(
            together <= PRIOR_MAX,
            key,
            "has more than 60 counts together",
        )
    }
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;
    use crate::millionths::Millionths;
    use crate::records::{AgentKind, AgentStatus, Grant, Review, Stakes};

    fn agent() -> Agent {
        Agent {
            agent_id: "scorer".into(),
            kind: AgentKind::Agent,
            display_name: String::new(),
            principal: "credit-team".to_owned(),
            model_family: None,
            domains: vec![grant("credit", 900_000), grant("credit.sme", 0)],
            reviews: vec![review("credit", Stakes::Critical), review("*", Stakes::Low)],
            public_keys: Vec::new(),
            status: AgentStatus::Active,
        }
    }

    fn grant(domain: &str, authority: u32) -> Grant {
        Grant {
            domain: domain.to_owned(),
            authority: Millionths::new(authority).unwrap(),
            prior: None,
        }
    }

    fn review(domain: &str, up_to_stakes: Stakes) -> Review {
        Review {
            domain: domain.to_owned(),
            up_to_stakes,
        }
    }

    fn refused(change: impl FnOnce(&mut Agent)) -> &'static str {
        let mut agent = agent();
        change(&mut agent);
        agent.check().unwrap_err().key
    }

    fn with_prior(right: i32, wrong: i32) -> Result<(), Unsound> {
        let mut agent = agent();
        agent.domains[0].prior = Some(Prior {
            right,
            wrong,
            source: String::new(),
        });
        agent.check()
    }

    #[test]
    fn a_sound_agent_passes() {
        assert_eq!(agent().check(), Ok(()));
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(refused(|a| a.agent_id = "".into()), "agent_id");
        assert_eq!(refused(|a| a.principal.clear()), "principal");
        assert_eq!(
            refused(|a| a.model_family = Some(String::new())),
            "model_family"
        );
        assert_eq!(
            refused(|a| a.public_keys = vec![String::new()]),
            "public_keys"
        );
    }

    #[test]
    fn grants_and_reviews_must_name_domains_and_a_grant_each_but_once() {
        for domain in ["", "credit.", "a b", "credit.*"] {
            assert_eq!(
                refused(|a| a.domains.push(grant(domain, 1))),
                "domains",
                "{domain}"
            );
        }
        assert_eq!(refused(|a| a.domains.push(grant("credit", 1))), "domains");
        assert_eq!(
            refused(|a| a.reviews.push(review("credit.*", Stakes::Low))),
            "reviews"
        );
    }

    #[test]
    fn what_harms_nothing_is_sound() {
        let mut agent = agent();
        agent.domains.push(grant("*", 1_000_000));
        agent.reviews.push(review("*", Stakes::High));
        assert_eq!(agent.check(), Ok(()));
    }

    #[test]
    fn a_prior_has_at_least_one_of_each_and_at_most_sixty() {
        assert_eq!(with_prior(57, 3), Ok(()));
        assert_eq!(with_prior(1, 1), Ok(()));
        for (right, wrong) in [(58, 3), (0, 3), (3, 0), (-1, 3), (i32::MAX, i32::MAX)] {
            assert_eq!(
                with_prior(right, wrong).unwrap_err().key,
                "prior",
                "{right}/{wrong}"
            );
        }
    }
}
