//! What a record says, as far as it is remembered; read before anybody is kept waiting for it.

use axum::body::Bytes;
use quorate_core::ids::{Offset, ProposalId, Timestamp};
use quorate_core::millionths::Millionths;
use quorate_core::records::input::Result as Told;
use quorate_core::records::{
    Agent, Closed, Control, DeadLetter, Decision, DecisionPackage, Outcome, Policy, Proposal,
    Reason, ResolvedBy, Response, ResultKind, Round, RoundState, Stakes, Status, TrustScore,
    TrustUpdate,
};
use quorate_core::topic::Topic;

use super::actions::{Action, Sort};
use super::marks::{Mark, clipped};
use super::tags::{Field, Item, Tags};
use crate::engine::{OPERATOR_HEADER, Row};
use crate::transport::Stored;
use crate::wire::{Codec, Error};

/// What a record says.
pub(super) enum Taken {
    Round(ProposalId, Box<Held>, Option<About>),
    Gone(ProposalId),
    /// What a proposal is about, wherever it lies.
    About(ProposalId, About),
    Answer(ProposalId, String, Mark),
    Outcome(ProposalId, Bytes, Came, Mark),
    Package(ProposalId, Item, Mark, Waits),
    Letter(Box<DeadLetter>, Item),
    /// With who had it written, if that is told.
    Agent(Box<Agent>, Item, Option<Box<str>>),
    Policy(Box<Policy>, Item, Option<Box<str>>),
    Score(Box<TrustScore>, Item),
    /// Something that a person did, in a round if it is about one.
    Done(Option<ProposalId>, Action, Option<Mark>),
    /// A result to be folded.
    Learnt(Box<TrustUpdate>),
}

/// What a round came to, as far as it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Came {
    pub(in crate::gateway) status: Status,
    pub(in crate::gateway) would_be: Status,
    pub(in crate::gateway) resolved_by: ResolvedBy,
    /// Whether the policy only tried it out.
    pub(in crate::gateway) shadow: bool,
    /// When it closed, or was decided by people.
    pub(in crate::gateway) at: Timestamp,
}

/// Since when a decision package waits for people, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waits {
    /// When its round closed.
    pub(super) since: Timestamp,
    pub(super) due: Timestamp,
}

/// What a round is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) domain: Box<str>,
    subject: Box<str>,
    stakes: Stakes,
}

/// A round's last record, as far as it is asked for.
#[derive(Debug)]
pub(in crate::gateway) struct Held {
    /// As it lies.
    pub(in crate::gateway) value: Bytes,
    pub(in crate::gateway) state: RoundState,
    pub(super) proposer: Box<str>,
    /// The pattern of the governing policy.
    pub(in crate::gateway) pattern: Box<str>,
    pub(in crate::gateway) proposal_offset: Offset,
    pub(super) proposal_time: Timestamp,
    pub(super) deadline: Timestamp,
    /// The offset of `acp.agents` it is answered by.
    pub(super) agents: Offset,
    /// Where among the responses it closed, once it did.
    pub(in crate::gateway) closing_offset: Option<Offset>,
    /// The stakes that counted, once it closed.
    pub(super) stakes: Stakes,
    /// Who has approved it, as long as more must.
    pub(super) approved_by: Vec<Box<str>>,
    /// The decisions that were admitted.
    pub(in crate::gateway) judged: Vec<Offset>,
    /// The result in force.
    pub(in crate::gateway) settled: Option<Offset>,
    /// What that says.
    pub(in crate::gateway) turned_out: Option<ResultKind>,
}

impl Taken {
    pub(super) fn of(codec: &Codec, stored: &Stored) -> Result<Option<Self>, Error> {
        let value = stored.value.as_deref();
        match (stored.topic, value) {
            (Topic::Agents | Topic::Policies | Topic::Trust, Some(value)) => {
                Ok(Self::row(codec, stored, value))
            }
            (Topic::DeadLetters, Some(value)) => {
                let (letter, _) = codec.decode::<DeadLetter>(value)?;
                let tags = Tags::default().with(Field::Topic, &*letter.topic);
                let item = item(value, tags.with(Field::Reason, &*letter.reason));
                Ok(Some(Self::Letter(Box::new(letter), item)))
            }
            (Topic::TrustUpdates, Some(value)) => {
                let (update, _) = codec.decode::<TrustUpdate>(value)?;
                Ok(Some(Self::Learnt(Box::new(update))))
            }
            (Topic::Responses, Some(value)) if stored.control => {
                let (control, _) = codec.decode::<Control>(value)?;
                Ok(Some(Self::Done(None, ordered(control), None)))
            }
            _ => match stored.key.as_deref().and_then(id) {
                Some(id) => Self::of_round(codec, stored, id, value),
                None => Ok(None),
            },
        }
    }

    /// What is passed over by processors is passed over here, too.
    fn row(codec: &Codec, stored: &Stored, value: &[u8]) -> Option<Self> {
        let row = Row::read(codec, stored.topic, stored.key.as_deref(), value);
        Some(match row.ok()? {
            Row::Agent(agent) => {
                let domains = agent.domains.iter();
                let tags = domains.fold(Tags::default(), |tags, grant| {
                    tags.with(Field::Domain, &*grant.domain)
                });
                let tags = tags.with(Field::Standing, symbol(&agent.status));
                Self::Agent(agent, item(value, tags), operator(stored))
            }
            Row::Policy(policy) => {
                Self::Policy(policy, item(value, Tags::default()), operator(stored))
            }
            Row::Score(score) => {
                let TrustScore {
                    trust_domain,
                    agent_id,
                    ..
                } = &*score;
                let tags = Tags::default().with(Field::TrustDomain, &**trust_domain);
                let tags = tags.with(Field::AgentId, agent_id.as_str());
                Self::Score(score, item(value, tags))
            }
        })
    }

    fn of_round(
        codec: &Codec,
        stored: &Stored,
        id: ProposalId,
        value: Option<&[u8]>,
    ) -> Result<Option<Self>, Error> {
        let Some(value) = value else {
            return Ok((stored.topic == Topic::Rounds).then_some(Self::Gone(id)));
        };
        Ok(match stored.topic {
            Topic::Rounds => {
                let (round, _) = codec.decode::<Round>(value)?;
                // Empty once it is closed.
                let proposal = codec.decode::<Proposal>(&round.opening.proposal.0);
                let about = proposal.ok().map(|(proposal, _)| About::of(proposal));
                Some(Self::Round(id, Box::new(Held::of(round, value)), about))
            }
            Topic::Proposals => {
                let (proposal, _) = codec.decode::<Proposal>(value)?;
                Some(Self::About(id, About::of(proposal)))
            }
            Topic::Responses if !stored.control => {
                let (response, _) = codec.decode::<Response<'_>>(value)?;
                let mark = Mark::new(Topic::Responses, symbol(&response.verdict))
                    .by(&response.agent_id, &response.response_id)
                    .with(&response.reasoning);
                let confidence = Millionths::admit(response.confidence).ok();
                let mark = Mark { confidence, ..mark };
                Some(Self::Answer(id, response.agent_id.into_owned(), mark))
            }
            Topic::Outcomes => {
                let (outcome, _) = codec.decode::<Outcome>(value)?;
                let value = Bytes::copy_from_slice(value);
                let status = symbol(&outcome.decision.status);
                let first = outcome.decision.reasons.first().map(symbol);
                let mark = Mark::new(Topic::Outcomes, status).with(&first.unwrap_or_default());
                Some(Self::Outcome(id, value, Came::of(&outcome), mark))
            }
            Topic::Escalations => {
                let (package, _) = codec.decode::<DecisionPackage>(value)?;
                let waits = Waits {
                    since: package.coordinates.closing_time,
                    due: package.due,
                };
                let (proposal, stakes) =
                    (package.content.proposal, package.content.decision.stakes);
                let tags = Tags::default().with(Field::Proposer, &*proposal.proposer);
                let about = About {
                    stakes,
                    ..About::of(proposal)
                };
                let mark = Mark::new(Topic::Escalations, format!("tier {}", package.tier));
                Some(Self::Package(
                    id,
                    item(value, about.tell(tags)),
                    mark,
                    waits,
                ))
            }
            Topic::Decisions => {
                let (decision, _) = codec.decode::<Decision>(value)?;
                let mark = Mark::new(Topic::Decisions, symbol(&decision.verdict))
                    .by(&decision.reviewer, &decision.decision_id)
                    .with(&decision.rationale);
                let action = Action {
                    sort: Sort::Decision,
                    by: mark.by.clone(),
                    about: id.to_string().into(),
                    says: mark.says.clone(),
                    code: clipped(&decision.reason_code),
                    words: clipped(&decision.rationale),
                    digest: Some(decision.package_digest),
                    void: None,
                };
                Some(Self::Done(Some(id), action, Some(mark)))
            }
            Topic::Results => {
                let (result, _) = codec.decode::<Told>(value)?;
                let mark = Mark::new(Topic::Results, symbol(&result.result))
                    .by(&result.reporter, &result.result_id)
                    .with(&result.note);
                let action = Action {
                    sort: Sort::Result,
                    by: mark.by.clone(),
                    about: id.to_string().into(),
                    says: mark.says.clone(),
                    code: symbol(&result.basis).into(),
                    words: clipped(&result.note),
                    digest: None,
                    void: None,
                };
                Some(Self::Done(Some(id), action, Some(mark)))
            }
            _ => None,
        })
    }
}

/// Who had a record of a table written, if its header says so.
fn operator(stored: &Stored) -> Option<Box<str>> {
    let mut headers = stored.headers.iter().rev();
    let header = headers.find(|header| header.key == OPERATOR_HEADER)?;
    let name = str::from_utf8(header.value.as_deref()?).ok()?;
    Some(clipped(name))
}

/// An operator's order.
fn ordered(control: Control) -> Action {
    let (says, about) = match (control.agent_id, control.pattern) {
        (Some(agent), _) => ("agent", agent),
        (None, pattern) => ("pattern", pattern.unwrap_or_default()),
    };
    Action {
        sort: Sort::Suspension,
        by: Some(control.operator.into()),
        about: about.into(),
        says: says.into(),
        code: control.control_id.into(),
        words: clipped(&control.reason),
        digest: None,
        void: None,
    }
}

impl Came {
    fn of(outcome: &Outcome) -> Self {
        let Outcome {
            decision,
            coordinates,
            ..
        } = outcome;
        let judged = coordinates.judged.last();
        Self {
            status: decision.status,
            would_be: decision.would_be,
            resolved_by: decision.resolved_by,
            shadow: decision.reasons.contains(&Reason::Shadow),
            at: judged.map_or(coordinates.closing_time, |judged| judged.timestamp),
        }
    }
}

impl About {
    fn of(proposal: Proposal) -> Self {
        Self {
            domain: proposal.domain.into(),
            subject: proposal.action.subject.into(),
            stakes: proposal.stakes,
        }
    }

    /// Tags with what it says.
    pub(super) fn tell(&self, tags: Tags) -> Tags {
        tags.with(Field::Domain, self.domain.clone())
            .with(Field::Subject, self.subject.clone())
            .with(Field::Stakes, symbol(&self.stakes))
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.domain.len() + self.subject.len() + size_of::<Self>()
    }
}

impl Held {
    fn of(round: Round, value: &[u8]) -> Self {
        let closed = round.closed.as_ref();
        let judged = |closed: &Closed| {
            let judged = closed.approvals.iter().chain(&closed.coordinates.judged);
            judged.map(|judged| judged.offset).collect()
        };
        let approved = |closed: &Closed| {
            let approvals = closed.approvals.iter();
            approvals.map(|of| of.reviewer.as_str().into()).collect()
        };
        Self {
            value: Bytes::copy_from_slice(value),
            state: round.state,
            proposal_offset: round.opening.proposal_offset,
            proposal_time: round.opening.proposal_time,
            pattern: round.opening.pattern.as_str().into(),
            deadline: round.opening.deadline,
            agents: round.opening.pins.agents,
            closing_offset: closed.map(|closed| closed.coordinates.closing_offset),
            stakes: closed.map(|closed| closed.stakes).unwrap_or_default(),
            approved_by: closed.map(approved).unwrap_or_default(),
            judged: closed.map(judged).unwrap_or_default(),
            settled: closed.and_then(|closed| Some(closed.settlement.as_ref()?.offset)),
            turned_out: closed.and_then(|closed| Some(closed.settlement.as_ref()?.result)),
            proposer: round.opening.proposer.as_str().into(),
        }
    }

    /// Whether nothing more is decided.
    pub(super) const fn is_closed(&self) -> bool {
        matches!(self.state, RoundState::Closed)
    }

    /// What the round can be found by.
    pub(super) fn tags(&self, about: Option<&About>) -> Tags {
        let tags = Tags::default().with(Field::State, symbol(&self.state));
        let tags = tags.with(Field::Proposer, self.proposer.clone());
        about.map_or_else(|| tags.clone(), |about| about.tell(tags.clone()))
    }

    /// About how many bytes it takes.
    pub(super) fn weight(&self) -> usize {
        self.value.len()
            + self.proposer.len()
            + self.pattern.len()
            + self.judged.len() * 8
            + size_of::<Self>()
    }
}

fn item(value: &[u8], tags: Tags) -> Item {
    let value = Bytes::copy_from_slice(value);
    Item { value, tags }
}

fn id(key: &[u8]) -> Option<ProposalId> {
    str::from_utf8(key).ok()?.parse().ok()
}

/// A symbol as Avro and JSON have it.
pub(in crate::gateway) fn symbol<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        _ => String::new(),
    }
}
