//! A case as it lies in its file, and the round it stands for.

use std::sync::Arc;

use quorate_core::electorate::{Standing, standing};
use quorate_core::ids::{AgentId, Bytes, Digest, Millis, Offset, ProposalId};
use quorate_core::millionths::Millionths;
use quorate_core::policy::governing;
use quorate_core::records::{Agent, Opening, Pins, Policy, Proposal, Response, TrustScore};
use quorate_core::reject::Reject;
use quorate_core::resolve::RULES_REVISION;
use quorate_core::round::{OpenRound, Speaker, check_proposer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::wire::{self, Codec, Datum};

/// The id of a proposal that names none.
const PROPOSAL_ID: &str = "019b76da-ac00-7000-8000-000000000001";

/// One case, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    /// A policy file's entry.
    policy: Value,
    /// Agent files' entries.
    agents: Vec<Value>,
    /// Track records; an agent that has none here is a newcomer or starts from its prior.
    #[serde(default)]
    trust: Vec<Score>,
    /// A proposal; `proposal_id` may be left out.
    proposal: Map<String, Value>,
    /// Responses in the order they came; ids may be left out.
    #[serde(default)]
    responses: Vec<Map<String, Value>>,
}

/// An agent's trust in the policy's trust domain.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Score {
    agent_id: AgentId,
    trust: Millionths,
}

/// A response that was not admitted.
#[derive(Clone, Debug, Serialize)]
pub struct Refused {
    /// Whose.
    pub agent_id: String,
    /// The stable reason code.
    pub reason: &'static str,
    /// What it means.
    pub detail: &'static str,
}

/// Why a case cannot be resolved.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The file is not a case.
    #[error("it is not a case")]
    Json(#[from] serde_json::Error),
    /// The file is not JSON, or gives a key twice.
    #[error("it is not a case")]
    Text(#[source] wire::Error),
    /// An entry of it is wrong.
    #[error("its {0} cannot be read")]
    Entry(
        &'static str,
        #[source] Box<dyn std::error::Error + Send + Sync>,
    ),
    /// The policy is not sound.
    #[error("its policy is not sound")]
    Unsound(#[from] quorate_core::unsound::Unsound),
    /// Its proposal would not be admitted.
    #[error("its proposal is refused: {reject} ({})", reject.meaning())]
    Refused {
        /// The stable reason code.
        reject: Reject,
    },
    /// A record cannot be written.
    #[error("a record of it cannot be encoded")]
    Wire(#[from] wire::Error),
}

impl Case {
    pub(super) fn parse(text: &str) -> Result<Self, CaseError> {
        let value = wire::json::parse_strict(text.as_bytes()).map_err(CaseError::Text)?;
        Ok(serde_json::from_value(value)?)
    }

    /// The round with every response heard, and those that were refused.
    pub(super) fn round(self) -> Result<(OpenRound, Vec<Refused>), CaseError> {
        let policy = self.policy()?;
        let agents = self.agents()?;
        let find = |id: &str| agents.iter().find(|agent| agent.agent_id.as_str() == id);
        let score = |agent: &Agent| {
            let score = self
                .trust
                .iter()
                .find(|score| score.agent_id == agent.agent_id)?;
            Some(track_record(&policy, score))
        };
        let standing = |agent: &Agent, domain: &str, policy: &Policy| -> Standing {
            standing(agent, domain, policy, score(agent).as_ref(), None)
        };
        let (mut round, domain) = self.open(&policy, find, standing)?;
        let id = round.proposal_id.to_string();
        let mut refused = Vec::new();
        for (at, entry) in (1_i64..).zip(&self.responses) {
            let (text, digest) = self.response(entry, &id, at)?;
            let response: Response<'_> = read(&text, "response")?;
            let stream_time = round.opening.proposal_time.plus(Millis(at));
            let agent = find(&response.agent_id);
            let standing =
                agent.map(|agent| (agent, Arc::new(standing(agent, &domain, &round.policy))));
            let speaker = standing
                .as_ref()
                .map(|(agent, standing)| Speaker { agent, standing });
            let heard = round.hear(&response, digest, stream_time, speaker);
            if let Err(reject) = heard {
                refused.push(Refused {
                    agent_id: response.agent_id.into_owned(),
                    reason: reject.code(),
                    detail: reject.meaning(),
                });
            }
        }
        Ok((round, refused))
    }

    fn policy(&self) -> Result<Policy, CaseError> {
        let mut policy = wire::files::policy_from_json(&self.policy)
            .map_err(|error| CaseError::Entry("policy", Box::new(error)))?;
        policy.check()?;
        wire::seal_policy(&mut policy)?;
        Ok(policy)
    }

    fn agents(&self) -> Result<Vec<Agent>, CaseError> {
        let read = |entry| {
            let agent = wire::files::agent_from_json(entry)
                .map_err(|error| CaseError::Entry("agent", Box::new(error)))?;
            agent.check()?;
            Ok(agent)
        };
        self.agents.iter().map(read).collect()
    }

    fn open<'a>(
        &self,
        policy: &Policy,
        find: impl Fn(&str) -> Option<&'a Agent>,
        standing: impl Fn(&Agent, &str, &Policy) -> Standing,
    ) -> Result<(OpenRound, String), CaseError> {
        let mut entry = self.proposal.clone();
        entry
            .entry("proposal_id")
            .or_insert_with(|| json!(PROPOSAL_ID));
        let proposal: Proposal = read(&Value::Object(entry).to_string(), "proposal")?;
        let refuse = |reject| CaseError::Refused { reject };
        let proposal_id: ProposalId = proposal
            .proposal_id
            .parse()
            .map_err(|_| refuse(Reject::BadId))?;
        let now = proposal_id.v7_time().ok_or_else(|| refuse(Reject::BadId))?;
        let confidence =
            Millionths::admit(proposal.confidence).map_err(|_| refuse(Reject::BadNumber))?;
        let policy_of = governing(std::iter::once(policy), &proposal.domain);
        let (agent, policy) =
            check_proposer(&proposal, find(&proposal.proposer), policy_of).map_err(refuse)?;
        let value = Codec::single_object().encode(&proposal)?;
        let opening = Opening {
            proposal_offset: Offset(0),
            proposal_time: now,
            responses_time: now,
            deadline: proposal
                .deadline
                .unwrap_or_else(|| now.plus(policy.deadline_default)),
            proposal_digest: wire::digest_of(&proposal)?,
            proposal: Bytes(value),
            proposer: agent.agent_id.clone(),
            pattern: policy.pattern.clone(),
            policy_digest: policy.digest,
            rules_revision: RULES_REVISION,
            pins: Pins::NONE,
            traceparent: None,
        };
        let standing = Arc::new(standing(agent, &proposal.domain, policy));
        let policy = Arc::new(policy.clone());
        let round = OpenRound::open(
            proposal_id,
            opening,
            &proposal,
            confidence,
            policy,
            standing,
        );
        Ok((round, proposal.domain))
    }

    fn response(
        &self,
        entry: &Map<String, Value>,
        proposal_id: &str,
        at: i64,
    ) -> Result<(String, Digest), CaseError> {
        let mut entry = entry.clone();
        entry
            .entry("proposal_id")
            .or_insert_with(|| json!(proposal_id));
        entry
            .entry("response_id")
            .or_insert_with(|| json!(format!("r{at}")));
        let text = Value::Object(entry).to_string();
        let response: Response<'_> = read(&text, "response")?;
        let digest = wire::digest_of(&response)?;
        Ok((text, digest))
    }
}

/// A score of which a case gives the trust alone; nothing else of it bears on a decision.
fn track_record(policy: &Policy, score: &Score) -> TrustScore {
    TrustScore {
        trust_domain: policy.trust_domain.clone(),
        agent_id: score.agent_id.clone(),
        trust: score.trust,
        a: 0,
        b: 0,
        ln_m: 0,
        a0: 0,
        b0: 0,
        revision: 1,
        update_partition: 0,
        update_offset: Offset::NONE,
    }
}

fn read<'a, T: Datum + Deserialize<'a>>(text: &'a str, what: &'static str) -> Result<T, CaseError> {
    wire::json::from_str_strict(text).map_err(|error| CaseError::Entry(what, Box::new(error)))
}
