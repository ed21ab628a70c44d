//! A round's records: what its ballots, its approvals and its lessons name lies on the log.

use std::collections::BTreeMap;

use quorate_core::ids::{Digest, ProposalId};
use quorate_core::millionths::Millionths;
use quorate_core::records::{
    Ballot, Decision, Judged, Outcome, Proposal, Response, Result as Reported, TrustUpdate, Verdict,
};
use quorate_core::topic::Topic;

use super::report::{Finding, Report};
use crate::history::About;
use crate::transport::Stored;
use crate::wire::Codec;

/// What is named, by round and digest, and where it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Bound {
    named: BTreeMap<(ProposalId, Digest), Named>,
}

/// What was named: by whom, and what it must say.
#[derive(Clone, Debug)]
struct Named {
    topic: Topic,
    /// Where the record lies that names it.
    by: (Topic, i32, i64),
    says: String,
    is_there: bool,
}

impl Bound {
    /// Takes what an outcome names.
    pub(super) fn outcome(&mut self, outcome: &Outcome, stored: &Stored) {
        let id = outcome.proposal_id;
        let by = (stored.topic, stored.partition, stored.offset);
        let proposal = outcome.decision.proposal_digest;
        self.name(id, proposal, Topic::Proposals, by, String::new());
        for ballot in &outcome.decision.ballots {
            if ballot.response_digest != proposal {
                let says = said(ballot);
                self.name(id, ballot.response_digest, Topic::Responses, by, says);
            }
        }
        for judged in &outcome.coordinates.judged {
            self.name(id, judged.digest, Topic::Decisions, by, decided(judged));
        }
    }

    /// Takes what a trust update names.
    pub(super) fn update(&mut self, update: &TrustUpdate, stored: &Stored) {
        let by = (stored.topic, stored.partition, stored.offset);
        let says = update.result_id.clone();
        self.name(
            update.proposal_id,
            update.result_digest,
            Topic::Results,
            by,
            says,
        );
    }

    fn name(
        &mut self,
        id: ProposalId,
        digest: Digest,
        topic: Topic,
        by: (Topic, i32, i64),
        says: String,
    ) {
        let named = Named {
            topic,
            by,
            says,
            is_there: false,
        };
        self.named.entry((id, digest)).or_insert(named);
    }

    /// Takes a record of an input.
    pub(super) fn meet(&mut self, codec: &Codec, stored: &Stored) {
        let Some(value) = stored.value.as_deref().filter(|_| !stored.control) else {
            return;
        };
        let id = stored
            .key
            .as_deref()
            .and_then(|key| str::from_utf8(key).ok());
        let Some(id) = id.and_then(|id| id.parse::<ProposalId>().ok()) else {
            return;
        };
        let Some((digest, says)) = read(codec, stored.topic, value) else {
            return;
        };
        let named = self.named.get_mut(&(id, digest));
        if let Some(named) = named.filter(|named| named.topic == stored.topic) {
            named.is_there |= named.says == says;
        }
    }

    /// Tells what is named and was not met.
    pub(super) fn end(&mut self, about: &About, report: &mut Report) {
        for ((id, digest), named) in std::mem::take(&mut self.named) {
            if named.is_there {
                report.verified_of(kind(named.topic), Some(id));
                continue;
            }
            let partition = named.by.1;
            let follows = format!("no such record lies in `{}`", named.topic);
            let recorded = format!("{digest} {}", named.says);
            let finding = Finding::of_record(
                kind(named.topic),
                Some(id),
                named.by,
                recorded,
                Some(follows),
            );
            let of_update = named.by.0 == Topic::TrustUpdates;
            let parts = about
                .parts
                .iter()
                .filter(|part| part.topic == named.topic.name());
            let mut parts = parts.filter(|part| of_update || part.partition == partition);
            let is_whole = about.range.from.is_none() && about.range.to.is_none();
            let is_there = about.part(named.topic, 0).is_some();
            if is_whole && is_there && parts.all(|part| part.start == 0) {
                report.broken(finding);
            } else {
                report.not_evaluated(finding);
            }
        }
    }
}

/// What kind of thing is named.
const fn kind(topic: Topic) -> &'static str {
    match topic {
        Topic::Proposals => "proposal_named",
        Topic::Responses => "response_named",
        Topic::Decisions => "decision_named",
        _ => "result_named",
    }
}

/// The digest of an input, and what is recorded of it elsewhere.
fn read(codec: &Codec, topic: Topic, value: &[u8]) -> Option<(Digest, String)> {
    Some(match topic {
        Topic::Proposals => (codec.decode::<Proposal>(value).ok()?.1, String::new()),
        Topic::Responses => {
            let (response, digest) = codec.decode::<Response<'_>>(value).ok()?;
            let confidence = Millionths::admit(response.confidence).ok()?;
            let says = words(&response.agent_id, response.verdict, confidence);
            (digest, says)
        }
        Topic::Decisions => {
            let (decision, digest) = codec.decode::<Decision>(value).ok()?;
            (
                digest,
                format!("{} {}", decision.reviewer, decision.decision_id),
            )
        }
        Topic::Results => {
            let (report, digest) = codec.decode::<Reported>(value).ok()?;
            (digest, report.result_id)
        }
        _ => return None,
    })
}

fn said(ballot: &Ballot) -> String {
    words(ballot.agent_id.as_str(), ballot.verdict, ballot.confidence)
}

fn words(agent: &str, verdict: Verdict, confidence: Millionths) -> String {
    format!("{agent} {verdict:?} {confidence}")
}

fn decided(judged: &Judged) -> String {
    format!("{} {}", judged.reviewer, judged.decision_id)
}
