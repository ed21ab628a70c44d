//! Takes what lies on the log: rows of tables, and what processors put out.

use quorate_core::ids::Offset;
use quorate_core::records::{DeadLetter, DecisionPackage, Outcome, Policy, Round, TrustUpdate};
use quorate_core::topic::Topic;
use serde::de::DeserializeOwned;

use super::alone;
use super::claims::{
    Norm, id_of, letter_claim, outcome_claim, package_claim, round_claim, score_claim, tombstone,
    update_claim,
};
use super::ledger::Claim;
use super::report::Finding;
use super::{Depth, Verifier};
use crate::engine::Row;
use crate::history::Choice;
use crate::transport::Stored;
use crate::wire::{self, Codec, Record};

impl Verifier {
    /// Takes a row of a table.
    pub(super) fn row(&mut self, stored: &Stored) {
        let codec = self.codec();
        let (topic, offset) = (stored.topic, Offset(stored.offset));
        let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
        let time = stored.timestamp.unwrap_or_default();
        let taken = self.tables.apply(&codec, topic, offset, time, key, value);
        if topic == Topic::Agents {
            self.report
                .unverified("agents' rows, but for what rounds rest on");
        }
        let Some(value) = value else { return };
        let is_sealed = match topic {
            Topic::Policies => sealed(&codec, value),
            _ => Ok(()),
        };
        let unread = match topic {
            Topic::Trust => taken.err().map(|reject| reject.code().to_owned()),
            _ => is_sealed.err(),
        };
        if let Some(why) = unread {
            let place = (topic, stored.partition, stored.offset);
            self.report
                .broken(Finding::of_record("row", None, place, why, None));
        } else if taken.is_err() {
            self.report
                .unverified("rows of tables that are passed over");
        } else if topic == Topic::Trust
            && let Ok(Row::Score(score)) = Row::read(&codec, topic, key, value)
            && self.options.depth == Depth::Tables
        {
            self.ledger
                .find(score_claim(&score, 0, Some(stored.offset)));
        } else if topic == Topic::Policies {
            if let Ok(Row::Policy(policy)) = Row::read(&codec, topic, key, value) {
                self.policies.insert(policy.digest, *policy);
            }
            self.report.verified("policy");
        }
    }

    /// Takes what a processor put out.
    pub(super) fn found(&mut self, stored: &Stored) {
        // A tick: it has ended what a transaction left open there.
        if stored.key.is_none() && stored.value.is_none() {
            return;
        }
        let codec = self.codec();
        let taken = match stored.topic {
            Topic::Rounds => self.found_round(&codec, stored),
            Topic::Outcomes => self.found_outcome(&codec, stored),
            Topic::Escalations => self.found_package(&codec, stored),
            Topic::TrustUpdates => self.found_update(&codec, stored),
            _ => self.found_letter(&codec, stored),
        };
        match taken {
            Ok(Some(claim)) if self.options.depth == Depth::Tables => self.ledger.find(claim),
            Ok(_) => {}
            Err(why) => {
                let place = (stored.topic, stored.partition, stored.offset);
                let id = stored.key.as_deref().and_then(id_of);
                let finding = Finding::of_record("record", id, place, why, None);
                self.report.broken(finding);
            }
        }
    }

    fn found_round(&mut self, codec: &Codec, stored: &Stored) -> Result<Option<Claim>, String> {
        if stored.value.is_none() {
            // No round ever has an id that is not made of a time: there is nothing to forget.
            let id = stored.key.as_deref().and_then(id_of);
            let id = id.filter(|id| id.v7_time().is_some());
            return Ok(id.map(|id| tombstone(id, stored.partition, Some(stored.offset))));
        }
        let mut round: Round = record(codec, stored)?;
        check_key(stored, &round.proposal_id.to_string())?;
        if round.snapshot.take().is_some() {
            self.report.unverified("snapshots of open rounds");
        }
        let opening = &round.opening;
        let choice = Choice {
            id: round.proposal_id,
            pins: opening.pins,
            responses_time: Some(opening.responses_time),
        };
        let offset = opening.proposal_offset;
        self.course(stored.partition).choose(offset, choice);
        if let Some(closed) = &mut round.closed {
            let norm = self.norm(stored.partition);
            norm.rows(&mut closed.approvals);
            norm.rows(&mut closed.coordinates.judged);
        }
        let claim = round_claim(&round, stored.partition, Some(stored.offset));
        Ok(Some(claim))
    }

    fn found_outcome(&mut self, codec: &Codec, stored: &Stored) -> Result<Option<Claim>, String> {
        let mut outcome: Outcome = record(codec, stored)?;
        check_key(stored, &outcome.proposal_id.to_string())?;
        self.alone(&outcome, stored);
        if let Some(bound) = &mut self.bound {
            bound.outcome(&outcome, stored);
        }
        let at = &outcome.coordinates;
        let choice = Choice {
            id: outcome.proposal_id,
            pins: at.pins,
            responses_time: None,
        };
        let offset = at.proposal_offset;
        self.course(stored.partition).choose(offset, choice);
        let norm = self.norm(stored.partition);
        norm.rows(&mut outcome.coordinates.judged);
        Ok(Some(outcome_claim(
            &outcome,
            stored.partition,
            Some(stored.offset),
        )))
    }

    fn found_package(&mut self, codec: &Codec, stored: &Stored) -> Result<Option<Claim>, String> {
        let mut package: DecisionPackage = record(codec, stored)?;
        check_key(stored, &package.proposal_id.to_string())?;
        let digest = wire::digest_of(&package.content).map_err(|error| error.to_string())?;
        if digest != package.package_digest {
            let place = (stored.topic, stored.partition, stored.offset);
            let (recorded, follows) = (package.package_digest.to_string(), digest.to_string());
            let id = Some(package.proposal_id);
            let finding = Finding::of_record("package", id, place, recorded, Some(follows));
            self.report.broken(finding);
        }
        if !package.related.is_empty() {
            self.report.unverified("related rounds of packages");
        }
        let norm = self.norm(stored.partition);
        norm.rows(&mut package.approvals);
        norm.rows(&mut package.coordinates.judged);
        Ok(Some(package_claim(
            package,
            stored.partition,
            Some(stored.offset),
        )))
    }

    fn found_update(&mut self, codec: &Codec, stored: &Stored) -> Result<Option<Claim>, String> {
        let mut update: TrustUpdate = record(codec, stored)?;
        check_key(stored, &update.trust_domain)?;
        if let Some(bound) = &mut self.bound {
            bound.update(&update, stored);
        }
        let norm = self.norm(stored.partition);
        update.agents_offset = norm.at(update.agents_offset, update.result_time);
        norm.rows(&mut update.outcome.judged);
        Ok(Some(update_claim(
            &update,
            stored.partition,
            Some(stored.offset),
        )))
    }

    fn found_letter(&mut self, codec: &Codec, stored: &Stored) -> Result<Option<Claim>, String> {
        let mut letter: DeadLetter = record(codec, stored)?;
        if letter.key.as_ref().map(|key| &key.0) != stored.key.as_ref() {
            return Err("its key is not that of the record refused".to_owned());
        }
        let Some(topic) = Topic::named(&letter.topic) else {
            return Err(format!("there is no topic `{}`", letter.topic));
        };
        if letter.partition != stored.partition {
            return Err(format!("it is of partition {}", letter.partition));
        }
        let course = self.course(stored.partition);
        if topic == Topic::Proposals {
            course.refuse(letter.offset, letter.judged_by);
        }
        let value = letter.value.as_ref().map(|value| &value.0[..]);
        if letter.reason == "unknown_schema" && value.is_some_and(|value| is_foreign(topic, value))
        {
            // Nobody can tell any more what was recorded by then.
            course.choices.unread.insert((topic, letter.offset));
            letter.detail.clear();
            self.report.unverified("records of schemas that came later");
        }
        let pins = letter.judged_by;
        Ok(Some(letter_claim(
            letter,
            topic,
            Some(stored.offset),
            Some(pins),
        )))
    }

    fn norm(&self, partition: i32) -> Norm<'_> {
        let course = self.courses.get(&partition);
        Norm {
            tables: &self.tables,
            choices: course.map(|course| &course.choices),
            partitions: self.about.partitions,
        }
    }

    /// An outcome against itself.
    fn alone(&mut self, outcome: &Outcome, stored: &Stored) {
        let id = Some(outcome.proposal_id);
        let place = (stored.topic, stored.partition, stored.offset);
        let policy = self.policies.get(&outcome.decision.policy_digest);
        match alone::check(outcome, policy) {
            Ok(what) => self.report.verified_of(what, id),
            Err((recorded, follows)) => {
                let finding =
                    Finding::of_record("outcome_itself", id, place, recorded, Some(follows));
                self.report.broken(finding);
            }
        }
    }
}

fn record<T: Record + DeserializeOwned>(codec: &Codec, stored: &Stored) -> Result<T, String> {
    let value = stored.value.as_deref().ok_or("it has no value")?;
    let (record, _) = codec.decode(value).map_err(|error| error.to_string())?;
    Ok(record)
}

fn check_key(stored: &Stored, key: &str) -> Result<(), String> {
    if stored.key.as_deref() == Some(key.as_bytes()) {
        return Ok(());
    }
    Err("its key is not what it is about".to_owned())
}

/// Whether a policy is what its digest says.
fn sealed(codec: &Codec, value: &[u8]) -> Result<(), String> {
    let (policy, _) = codec
        .decode::<Policy>(value)
        .map_err(|error| error.to_string())?;
    let digest = wire::policy_digest(&policy).map_err(|error| error.to_string())?;
    if digest == policy.digest {
        return Ok(());
    }
    Err(format!("digest {} of a policy of {digest}", policy.digest))
}

/// Whether a value names a schema that is not one of ours.
fn is_foreign(topic: Topic, value: &[u8]) -> bool {
    Codec::schema_id(value).is_some() || Codec::is_foreign(wire::Kind::of(topic), value)
}
