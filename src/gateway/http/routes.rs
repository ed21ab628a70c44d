//! Every route, once: the router is made of this table, and so is what is told of it.

use std::sync::Arc;

use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post as taken, put};

use super::history::{Described, audit, described, export, records, rules, track};
use super::lists::{self, List};
use super::operate::{self, Of};
use super::query::Parameter;
use super::{Gateway, ask, claims, health, inbox, openapi, post};
use crate::gateway::access::Verb;
use crate::gateway::draft::Said;
use crate::wire::Kind;

/// Where an escalation is claimed, and given up.
const CLAIM: &str = "/v1/escalations/{proposal_id}/claim";
/// Where an agent, or a policy, is suspended and resumed.
const AGENT: &str = "/v1/agents/{agent_id}/suspension";
const POLICY: &str = "/v1/policies/{pattern}/suspension";

/// Something that can be asked for or said.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    /// By which programs that are made for it call it.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) summary: &'static str,
    /// What its query may ask.
    pub(super) query: &'static [Parameter],
    /// What is said by it.
    pub(super) takes: Option<Said>,
    pub(super) gives: Gives,
    /// Whether no token is needed.
    pub(super) is_public: bool,
    pub(super) handler: MethodRouter<Arc<Gateway>>,
}

impl Route {
    /// Whether it can be told as it comes.
    pub(super) const fn is_told(&self) -> bool {
        matches!(self.gives, Gives::Page(..) | Gives::Inbox)
    }

    /// What one does by it, for who may; none: nobody may.
    pub(super) fn verb(&self) -> Option<Verb> {
        if let Some(said) = self.takes {
            return Some(said.verb());
        }
        match self.name {
            "inbox" => Some(Verb::Inbox),
            "round" | "rounds" => Some(Verb::Rounds),
            "outcomes" | "outcomes_export" | "round_outcomes" => Some(Verb::Outcomes),
            "escalation" | "escalations" => Some(Verb::Escalations),
            "claim" | "release" => Some(Verb::Claim),
            "suspend_agent" | "resume_agent" | "suspend_policy" | "resume_policy" => {
                Some(Verb::Suspend)
            }
            "agent" | "agents" => Some(Verb::Agents),
            "policies" | "policy_history" | "policy_findings" | "policy_shadow" => {
                Some(Verb::Policies)
            }
            "trust" | "agent_trust" => Some(Verb::Trust),
            "dead_letters" | "dead_letter_codes" => Some(Verb::DeadLetters),
            "round_records" => Some(Verb::Records),
            "audit" | "audit_export" => Some(Verb::Audit),
            "health" => Some(Verb::Health),
            _ => None,
        }
    }
}

/// What is answered, as JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gives {
    /// Where a record lies.
    Appended,
    /// A record.
    Record(Kind),
    /// A record under a tag, which is not told again to who has it.
    Tagged(Kind),
    /// Records, under a name.
    List(&'static str, Kind),
    /// Some of the records there are, under a name, and where to go on.
    Page(&'static str, Kind),
    /// A claim that stands.
    Claim,
    /// What has come of an order.
    Ordered,
    /// Nothing but that it is done.
    Nothing,
    /// Rounds that wait for an answer, and where to go on.
    Inbox,
    /// An answer that is described so.
    Made(Described),
    /// A file to be kept.
    File,
    /// Something that is described elsewhere.
    Anything,
}

/// All of them.
pub(super) fn all() -> Vec<Route> {
    use Gives::{Anything, Claim, File, Inbox, List, Made, Nothing, Record, Tagged};
    let openapi = get_of(
        ("openapi", "/v1/openapi.json", "This document"),
        (&[], Anything),
        get(openapi::serve),
    );
    vec![
        say(
            ("propose", "/v1/proposals", "Proposes an action"),
            Said::Proposal,
        ),
        say(
            ("respond", "/v1/responses", "Answers a proposal"),
            Said::Response,
        ),
        say(
            ("decide", "/v1/decisions", "Decides an escalation"),
            Said::Decision,
        ),
        say(
            ("report", "/v1/results", "Tells how an action turned out"),
            Said::Result,
        ),
        list(
            ("rounds", "/v1/rounds", "Rounds, the latest first"),
            lists::ROUNDS,
        ),
        get_of(
            (
                "round",
                "/v1/rounds/{proposal_id}",
                "The last record of a round",
            ),
            (&[], Tagged(Kind::Round)),
            get(ask::round),
        ),
        get_of(
            (
                "round_outcomes",
                "/v1/rounds/{proposal_id}/outcomes",
                "What a round came to: nothing yet, one outcome, or two",
            ),
            (&[], List("outcomes", Kind::Outcome)),
            get(ask::outcomes),
        ),
        list(
            (
                "outcomes",
                "/v1/outcomes",
                "What rounds came to, the latest round first",
            ),
            lists::OUTCOMES,
        ),
        list(
            (
                "escalations",
                "/v1/escalations",
                "What people need to decide, the oldest round first",
            ),
            lists::ESCALATIONS,
        ),
        get_of(
            (
                "escalation",
                "/v1/escalations/{proposal_id}",
                "What a person needs to decide a round",
            ),
            (&[], Record(Kind::DecisionPackage)),
            get(ask::escalation),
        ),
        Route {
            method: Method::PUT,
            ..get_of(
                (
                    "claim",
                    CLAIM,
                    "Claims an escalation, or renews one's claim",
                ),
                (&[], Claim),
                put(claims::claim),
            )
        },
        Route {
            method: Method::DELETE,
            ..get_of(
                ("release", CLAIM, "Gives up one's claim, if there is one"),
                (&[], Nothing),
                delete(claims::release),
            )
        },
        list(("agents", "/v1/agents", "Who is listed"), lists::AGENTS),
        get_of(
            (
                "agent",
                "/v1/agents/{agent_id}",
                "The last record of an agent",
            ),
            (&[], Tagged(Kind::Agent)),
            get(ask::agent),
        ),
        suspend(("suspend_agent", AGENT, "Suspends an agent"), Of::Agent),
        resume(
            ("resume_agent", AGENT, "Gives an agent back to later rounds"),
            Of::Agent,
        ),
        suspend(("suspend_policy", POLICY, "Suspends a policy"), Of::Policy),
        resume(
            (
                "resume_policy",
                POLICY,
                "Gives a policy back to later rounds",
            ),
            Of::Policy,
        ),
        list(("trust", "/v1/trust", "Track records"), lists::TRUST),
        list(
            ("policies", "/v1/policies", "The rules of domains"),
            lists::POLICIES,
        ),
        list(
            (
                "dead_letters",
                "/v1/dead-letters",
                "What was refused, the latest first",
            ),
            lists::DEAD_LETTERS,
        ),
        get_of(
            (
                "inbox",
                "/v1/inbox",
                "The open rounds the caller has a say in and has not answered",
            ),
            (inbox::QUERY, Inbox),
            get(inbox::inbox),
        ),
        get_of(
            (
                "round_records",
                "/v1/rounds/{proposal_id}/records",
                "Where every record of a round lies, and what it says in a word",
            ),
            (records::QUERY, Made(described::<records::RoundRecords>)),
            get(records::records),
        ),
        get_of(
            (
                "outcomes_export",
                "/v1/outcomes/export",
                "What rounds came to, as a file",
            ),
            (export::OUTCOMES, File),
            get(export::outcomes),
        ),
        get_of(
            (
                "agent_trust",
                "/v1/agents/{agent_id}/trust",
                "How an agent's trust moved, and whether it was as sure as it was right",
            ),
            (track::QUERY, Made(described::<track::TrackRecord>)),
            get(track::track),
        ),
        get_of(
            (
                "policy_history",
                "/v1/policies/history",
                "What was written of policies, the latest first",
            ),
            (rules::HISTORY, Made(described::<rules::PolicyHistory>)),
            get(rules::history),
        ),
        get_of(
            (
                "policy_findings",
                "/v1/policies/findings",
                "What the policies in force can and cannot reach today",
            ),
            (&[], Made(rules::findings_described)),
            get(rules::findings),
        ),
        get_of(
            (
                "policy_shadow",
                "/v1/policies/shadow",
                "How policies did that are only tried out",
            ),
            (&[], Made(described::<rules::ShadowRecord>)),
            get(rules::shadow),
        ),
        get_of(
            (
                "dead_letter_codes",
                "/v1/dead-letters/codes",
                "What was refused, by code",
            ),
            (&[], Made(described::<rules::RefusedCodes>)),
            get(rules::codes),
        ),
        get_of(
            ("audit", "/v1/audit", "What people did, the latest first"),
            (audit::QUERY, Made(described::<audit::HumanActions>)),
            get(audit::audit),
        ),
        get_of(
            (
                "audit_export",
                "/v1/audit/export",
                "What people did, as a file",
            ),
            (export::AUDIT, File),
            get(export::audit),
        ),
        get_of(
            ("health", "/v1/health", "Whether the house is well"),
            (&[], Made(described::<health::Health>)),
            get(health::health),
        ),
        Route {
            is_public: true,
            ..openapi
        },
    ]
}

/// Something to be asked for: by its name, path and summary; what its query may ask, and what it
/// gives.
fn get_of(
    (name, path, summary): (&'static str, &'static str, &'static str),
    (query, gives): (&'static [Parameter], Gives),
    handler: MethodRouter<Arc<Gateway>>,
) -> Route {
    Route {
        method: Method::GET,
        path,
        name,
        summary,
        query,
        takes: None,
        gives,
        is_public: false,
        handler,
    }
}

/// Something to be taken out of running rounds: by its name, path and summary.
fn suspend(named: (&'static str, &'static str, &'static str), of: Of) -> Route {
    let handler =
        put(move |state, caller, path, body| operate::suspend(of, state, caller, path, body));
    Route {
        method: Method::PUT,
        ..get_of(named, (&[], Gives::Ordered), handler)
    }
}

/// Something to be given back: by its name, path and summary.
fn resume(named: (&'static str, &'static str, &'static str), of: Of) -> Route {
    let handler = delete(move |state, caller, path| operate::resume(of, state, caller, path));
    Route {
        method: Method::DELETE,
        ..get_of(named, (&[], Gives::Ordered), handler)
    }
}

/// Something to be said: by its name, path and summary.
fn say((name, path, summary): (&'static str, &'static str, &'static str), said: Said) -> Route {
    let handler = taken(move |state, caller, query, headers, body| {
        post::say(said, state, caller, query, headers, body)
    });
    Route {
        method: Method::POST,
        takes: Some(said),
        ..get_of(
            (name, path, summary),
            (post::QUERY, Gives::Appended),
            handler,
        )
    }
}

/// Something that is told in pages: by its name, path and summary.
fn list((name, path, summary): (&'static str, &'static str, &'static str), list: List) -> Route {
    let handler =
        get(move |state, caller, headers, query| lists::list(list, state, caller, headers, query));
    let gives = Gives::Page(list.name, list.kind);
    get_of((name, path, summary), (list.query, gives), handler)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_every_route_it_is_said_who_may() {
        for route in all() {
            let is_said = route.verb().is_some_and(|verb| !verb.roles().is_empty());
            assert_eq!(is_said, !route.is_public, "{}", route.path);
        }
    }
}
