//! What is played in `quorate dev`: a shop's desk proposes refunds, its rules and its customer care
//! answer, and the returns desk tells how those turned out that were granted.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::ids::Millis;
use quorate_core::records::input::Result as Turned;
use quorate_core::records::{
    Action, Basis, Parameter, Proposal, Response, ResultKind, Stakes, Verdict,
};

use crate::clock::{Clock as _, System};
use crate::command::client::{self, Client};

/// What refunds are about, one after the other: little, arguable, and too much for agents alone.
const AMOUNTS: [u32; 6] = [25, 310, 60, 950, 140, 40];
/// How long a round is open.
const OPEN: Millis = Millis(4_000);
/// How long after a proposal the desk's own agents answer.
const ANSWERS: Duration = Duration::from_millis(800);
/// How long after a proposal it is known how it turned out.
const TURNS_OUT: Duration = Duration::from_secs(12);
/// Every so many refunds that were granted turn out wrong.
const WRONG: usize = 5;
/// Up to this amount the rules grant a refund.
const LITTLE: u32 = 100;
/// How often to look what is due.
const LOOK: Duration = Duration::from_millis(50);

/// What is to be said, and when.
struct Due {
    at: Instant,
    proposal: String,
    amount: u32,
}

/// Plays until told to stop; what the log does not take now is left out, and said.
pub(super) fn play(client: &Client, every: Duration, stop: &AtomicBool) {
    let mut played = Played::default();
    let mut next = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let now = Instant::now();
        let opens = !every.is_zero() && now >= next;
        if opens {
            next = now + every;
        }
        if let Err(error) = played.turn(client, now, opens) {
            let why = format!("{error:#}");
            tracing::warn!(why, "a sample round goes without some of its records");
        }
        thread::sleep(LOOK);
    }
}

/// What is still to be said, and what was played so far.
#[derive(Default)]
struct Played {
    answers: VecDeque<Due>,
    results: VecDeque<Due>,
    opened: usize,
    granted: usize,
}

impl Played {
    fn turn(&mut self, client: &Client, now: Instant, opens: bool) -> anyhow::Result<()> {
        if opens {
            let amount = AMOUNTS.get(self.opened % AMOUNTS.len());
            let amount = amount.copied().unwrap_or_default();
            self.opened += 1;
            let proposal = propose(client, amount)?;
            self.answers
                .push_back(due(now + ANSWERS, &proposal, amount));
            if amount < LITTLE {
                let turns_out = due(now + TURNS_OUT, &proposal, amount);
                self.results.push_back(turns_out);
            }
        }
        if let Some(due) = take(&mut self.answers, now) {
            answer(client, &due)?;
        }
        if let Some(due) = take(&mut self.results, now) {
            self.granted += 1;
            report(client, &due, self.granted.is_multiple_of(WRONG))?;
        }
        Ok(())
    }
}

fn due(at: Instant, proposal: &str, amount: u32) -> Due {
    Due {
        at,
        proposal: proposal.to_owned(),
        amount,
    }
}

fn take(waiting: &mut VecDeque<Due>, now: Instant) -> Option<Due> {
    waiting.front().filter(|due| due.at <= now)?;
    waiting.pop_front()
}

fn propose(client: &Client, amount: u32) -> anyhow::Result<String> {
    let id = client::new_id();
    let proposal = Proposal {
        proposal_id: id.clone(),
        proposer: "refund-desk".to_owned(),
        domain: "sample.refunds".to_owned(),
        action: Action {
            r#type: "refund.grant".to_owned(),
            subject: format!("order-{}", id.rsplit('-').next().unwrap_or_default()),
            parameters: vec![Parameter {
                key: "amount".to_owned(),
                value: amount.to_string(),
            }],
        },
        summary: format!("give {amount} back to a customer who is not content"),
        rationale: String::new(),
        confidence: 0.6,
        stakes: Stakes::Low,
        deadline: Some(System.now().plus(OPEN)),
        supersedes: None,
        labels: Vec::new(),
    };
    client.append(&[(id.as_str(), proposal)])?;
    Ok(id)
}

fn answer(client: &Client, due: &Due) -> anyhow::Result<()> {
    let rules = if due.amount < LITTLE {
        (Verdict::Endorse, "below the shop's limit")
    } else {
        (Verdict::Challenge, "above the shop's limit")
    };
    let care = (Verdict::Endorse, "the customer has waited long enough");
    for (agent, (verdict, reasoning)) in [("refund-rules", rules), ("customer-care", care)] {
        let response = Response {
            response_id: format!("{agent}.{}", due.proposal).into(),
            proposal_id: due.proposal.as_str().into(),
            proposal_digest: None,
            agent_id: agent.into(),
            verdict,
            confidence: 0.8,
            reasoning: reasoning.into(),
            evidence: Vec::new(),
        };
        client.append(&[(due.proposal.as_str(), response)])?;
    }
    Ok(())
}

fn report(client: &Client, due: &Due, wrong: bool) -> anyhow::Result<()> {
    let (result, note) = if wrong {
        (ResultKind::Wrong, "nothing was ever sent back")
    } else {
        (ResultKind::Right, "it came back as described")
    };
    let turned = Turned {
        result_id: format!("returns-desk.{}", due.proposal),
        proposal_id: due.proposal.clone(),
        reporter: "returns-desk".to_owned(),
        result,
        basis: Basis::Observed,
        corrects: None,
        note: note.to_owned(),
    };
    client.append(&[(due.proposal.as_str(), turned)])?;
    Ok(())
}
