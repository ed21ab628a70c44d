//! An engine's state, to be put away and taken up where it was, as long as the tables are the same.
//!
//! Rounds are their records, those that are open with what was said in them, and come back as they
//! do at a restart. Unlike there, what waits is here too, and nothing is stepped again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use quorate_core::ids::{AgentId, Offset, Timestamp};
use quorate_core::records::{Pins, Round, RoundState, TrustScore};
use quorate_core::topic::Topic;
use serde::{Deserialize, Serialize};

use super::ahead::Ahead;
use super::gap::Loss;
use super::io::Halt;
use super::kept::Kept;
use super::lead::Lead;
use super::orphans::Orphans;
use super::partition::{Clock, Config, Partition};
use super::tables::Tables;
use crate::wire::Codec;

/// All that bears on what follows.
#[derive(Debug, Serialize, Deserialize)]
pub struct Saved {
    clocks: BTreeMap<Topic, Clock>,
    rounds: Vec<SavedRound>,
    orphans: Orphans,
    decisions: VecDeque<Kept>,
    results: VecDeque<Kept>,
    scores: BTreeMap<String, BTreeMap<AgentId, TrustScore>>,
    pins: Pins,
    lost: Option<Loss>,
    lead: Lead,
    ahead: Ahead,
}

/// A round, in whatever state.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRound {
    round: Round,
    /// Of one that is open, the first record of `acp.responses` that changed it.
    first: Option<(Offset, Timestamp)>,
    /// Of one that is escalated, the results that wait.
    parked: Vec<Kept>,
}

impl SavedRound {
    const fn ended(round: Round, parked: Vec<Kept>) -> Self {
        Self {
            round,
            first: None,
            parked,
        }
    }
}

impl Partition {
    /// The state as it is between two steps.
    #[must_use]
    pub fn saved(&self) -> Saved {
        let open = self.rounds.open_ids().into_iter().filter_map(|id| {
            let live = self.rounds.live(&id)?;
            Some(SavedRound {
                round: Round {
                    proposal_id: id,
                    state: RoundState::Open,
                    opening: live.round.opening.clone(),
                    closed: None,
                    snapshot: Some(live.round.snapshot(live.upto)),
                },
                first: live.first,
                parked: Vec::new(),
            })
        });
        let escalated = self.rounds.escalated_ids().into_iter().filter_map(|id| {
            let ended = self.rounds.escalated(&id)?;
            Some(SavedRound::ended(ended.round, ended.parked))
        });
        let past = self.rounds.past.all();
        let past = past.map(|round| SavedRound::ended(round, Vec::new()));
        Saved {
            clocks: self.clocks.clone(),
            rounds: open.chain(escalated).chain(past).collect(),
            orphans: self.orphans.clone(),
            decisions: self.decisions.clone(),
            results: self.results.clone(),
            scores: self.scores.clone(),
            pins: self.pins,
            lost: self.lost,
            lead: self.lead.clone(),
            ahead: self.ahead.clone(),
        }
    }

    /// An engine as it was.
    ///
    /// # Errors
    /// [`Halt`] if rounds rest on rules or table records that are not there.
    pub fn of_saved(
        config: Config,
        codec: Arc<Codec>,
        tables: &Tables,
        saved: Saved,
    ) -> Result<Self, Halt> {
        let mut engine = Self {
            clocks: saved.clocks,
            orphans: saved.orphans,
            decisions: saved.decisions,
            results: saved.results,
            scores: saved.scores,
            pins: saved.pins,
            lost: saved.lost,
            lead: saved.lead,
            ahead: saved.ahead,
            ..Self::new(config, codec)
        };
        for SavedRound {
            round,
            first,
            parked,
        } in saved.rounds
        {
            let id = round.proposal_id;
            engine.restore_round(tables, round)?;
            if let Some(place) = first {
                engine.rounds.touch(&id, place);
            }
            if !parked.is_empty()
                && let Some(mut ended) = engine.rounds.take_ended(&id)
            {
                ended.parked = parked;
                engine.rounds.end(&ended);
            }
        }
        engine.rounds.pass(engine.time(Topic::Proposals));
        Ok(engine)
    }
}
