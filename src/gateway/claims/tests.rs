//! Who has a claim, whatever the order in which gateways wrote.

use super::*;

const ID: ProposalId = ProposalId::from_bytes([7; 16]);
const OTHER: ProposalId = ProposalId::from_bytes([8; 16]);
const LONG: i64 = LASTS.0;

/// Claims as they are read, one a millisecond after another unless it is said when.
struct Told {
    claims: Claims,
    offset: i64,
}

impl Told {
    fn new() -> Self {
        let claims = Claims::default();
        Self { claims, offset: 0 }
    }

    fn claim(&mut self, reviewer: &str, at: i64, lasts: i64) {
        self.claim_of(ID, reviewer, at, lasts);
    }

    fn claim_of(&mut self, id: ProposalId, reviewer: &str, at: i64, lasts: i64) {
        let claim = Claim {
            proposal_id: id.to_string(),
            reviewer: reviewer.to_owned(),
            lasts_ms: Millis(lasts),
        };
        self.claims.take(&claim, Timestamp(at), (0, self.offset));
        self.offset += 1;
    }

    /// Whose claim it is at a time, and until when.
    fn at(&self, now: i64) -> Option<(String, i64)> {
        let standing = self.claims.of(&ID, Timestamp(now))?;
        Some((standing.reviewer.to_string(), standing.until.0))
    }
}

#[test]
fn the_first_who_finds_no_living_claim_has_it_and_the_second_does_not() {
    let mut told = Told::new();
    told.claim("rita", 10, LONG);
    told.claim("olga", 11, LONG);
    assert_eq!(told.at(12), Some(("rita".to_owned(), 10 + LONG)));
    told.claim("olga", 12, 0);
    assert!(told.at(13).is_some(), "nobody releases another's");
    told.claim("rita", 13, 0);
    assert_eq!(told.at(13), None);
    told.claim("olga", 14, LONG);
    assert_eq!(told.at(15), Some(("olga".to_owned(), 14 + LONG)));
}

#[test]
fn a_claim_that_ran_out_is_free_again_and_to_renew_ones_own_extends_it() {
    let mut told = Told::new();
    told.claim("rita", 0, LONG);
    assert!(told.at(LONG - 1).is_some());
    assert_eq!(told.at(LONG), None);
    told.claim("rita", LONG - 1, LONG);
    assert_eq!(told.at(LONG), Some(("rita".to_owned(), 2 * LONG - 1)));
    told.claim("olga", 2 * LONG - 2, LONG);
    assert_eq!(told.at(2 * LONG - 2).unwrap().0, "rita");
    told.claim("olga", 2 * LONG - 1, LONG);
    assert_eq!(told.at(2 * LONG - 1).unwrap().0, "olga");
}

#[test]
fn no_claim_stands_for_longer_than_the_longest() {
    let mut told = Told::new();
    told.claim("rita", 0, i64::MAX);
    assert_eq!(told.at(1), Some(("rita".to_owned(), LONGEST.0)));
    told.claim("rita", 1, -5);
    assert_eq!(told.at(1), None);
}

#[test]
fn whoever_follows_is_told_each_round_once_as_it_stands_by_then() {
    let mut told = Told::new();
    told.claim("rita", 0, LONG);
    told.claim_of(OTHER, "olga", 1, LONG);
    told.claim("rita", 2, LONG);
    let (changed, count) = told.claims.since(0, Timestamp(3));
    assert_eq!(
        changed.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        [OTHER, ID]
    );
    assert!(changed.iter().all(|(_, standing)| standing.is_some()));
    assert!(told.claims.since(count, Timestamp(3)).0.is_empty());
    told.claim("olga", 4, LONG);
    assert!(
        told.claims.since(count, Timestamp(5)).0.is_empty(),
        "nothing has changed"
    );
    told.claim("rita", 5, 0);
    assert_eq!(told.claims.since(count, Timestamp(6)).0, [(ID, None)]);
}

#[test]
fn claims_that_are_long_over_are_forgotten() {
    let mut told = Told::new();
    for number in 0..200_u8 {
        told.claim_of(ProposalId::from_bytes([number; 16]), "rita", 0, LONG);
    }
    for at in 0..56 {
        told.claim("rita", 2 * LONGEST.0 + at, LONG);
    }
    let read = told.claims.read.read().unwrap();
    assert_eq!((read.last.len(), read.changes.len()), (1, 1));
}
