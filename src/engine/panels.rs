//! What agents bring to rounds of one domain, opened at the same pins: worked out once for all of
//! them, when an agent first speaks in any, and forgotten with the last of these rounds.
//!
//! It is a cache, and decides nothing: everything here follows from the tables at the pins.

use std::collections::BTreeMap;
use std::sync::Arc;

use foldhash::HashMap;
use quorate_core::electorate::Standing;
use quorate_core::ids::{AgentId, Offset};
use quorate_core::records::{Agent, AgentStatus, Pins, Policy};
use quorate_core::round::Speaker;

use super::tables::Tables;

/// The panels of the rounds that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    /// Which panel is for a domain, of those at the same pins.
    numbers: BTreeMap<[Offset; 3], BTreeMap<String, usize>>,
    panels: BTreeMap<usize, Panel>,
    next: usize,
}

/// What agents bring to a domain under its policy, at the pins.
#[derive(Clone, Debug)]
struct Panel {
    pins: Pins,
    domain: String,
    policy: Arc<Policy>,
    /// How many open rounds it is for.
    rounds: usize,
    /// Where an agent is among those known.
    places: HashMap<AgentId, usize>,
    known: Vec<Known>,
    /// The qualified and active agents, once somebody asked.
    qualified: Option<Arc<[AgentId]>>,
}

#[derive(Clone, Debug)]
struct Known {
    agent: Arc<Agent>,
    standing: Arc<Standing>,
}

impl Panels {
    /// The panel of one more round.
    pub(super) fn join(&mut self, pins: Pins, domain: &str, policy: &Arc<Policy>) -> usize {
        let known = self.numbers.get(&place(pins)).and_then(|of| of.get(domain));
        if let Some((number, panel)) =
            known.and_then(|number| Some((*number, self.panels.get_mut(number)?)))
        {
            panel.rounds += 1;
            return number;
        }
        let number = self.next;
        self.next += 1;
        let of_pins = self.numbers.entry(place(pins)).or_default();
        of_pins.insert(domain.to_owned(), number);
        let panel = Panel {
            pins,
            domain: domain.to_owned(),
            policy: Arc::clone(policy),
            rounds: 1,
            places: HashMap::default(),
            known: Vec::new(),
            qualified: None,
        };
        self.panels.insert(number, panel);
        number
    }

    /// Says that one of its rounds is not open any more.
    pub(super) fn leave(&mut self, number: usize) {
        let Some(panel) = self.panels.get_mut(&number) else {
            return;
        };
        panel.rounds -= 1;
        if panel.rounds > 0 {
            return;
        }
        if let Some(of_pins) = self.numbers.get_mut(&place(panel.pins)) {
            of_pins.remove(&panel.domain);
            if of_pins.is_empty() {
                self.numbers.remove(&place(panel.pins));
            }
        }
        self.panels.remove(&number);
    }

    /// An agent at a panel's pins; none if the tables do not have it there.
    pub(super) fn speaker(
        &mut self,
        tables: &Tables,
        number: usize,
        agent: &str,
    ) -> Option<Speaker<'_>> {
        let panel = self.panels.get_mut(&number)?;
        let place = match panel.places.get(agent) {
            Some(place) => *place,
            None => {
                let agent = tables.agent(agent, panel.pins.agents)?;
                let standing = panel.standing(tables, agent);
                let place = panel.known.len();
                panel.places.insert(agent.agent_id.clone(), place);
                let agent = Arc::clone(agent);
                panel.known.push(Known { agent, standing });
                place
            }
        };
        let Known { agent, standing } = panel.known.get(place)?;
        Some(Speaker { agent, standing })
    }

    /// What an agent brings that is there at a panel's pins.
    pub(super) fn standing(
        &mut self,
        tables: &Tables,
        number: usize,
        agent: &str,
    ) -> Option<Arc<Standing>> {
        let speaker = self.speaker(tables, number, agent);
        speaker.map(|speaker| Arc::clone(speaker.standing))
    }

    /// The agents that are qualified and active at a panel's pins, by id.
    pub(super) fn qualified(&mut self, tables: &Tables, number: usize) -> Arc<[AgentId]> {
        let Some(panel) = self.panels.get_mut(&number) else {
            return Arc::default();
        };
        if let Some(qualified) = &panel.qualified {
            return Arc::clone(qualified);
        }
        let active = panel.active(tables);
        let qualified = active.filter(|(_, standing)| standing.qualified);
        let qualified: Arc<[AgentId]> = qualified.map(|(id, _)| id).collect();
        panel.qualified = Some(Arc::clone(&qualified));
        qualified
    }

    /// The agents that are active at a panel's pins, by id, with what they bring.
    pub(super) fn active(
        &self,
        tables: &Tables,
        number: usize,
    ) -> impl Iterator<Item = (AgentId, Arc<Standing>)> {
        let panel = self.panels.get(&number).into_iter();
        panel.flat_map(|panel| panel.active(tables))
    }
}

/// Pins as they are looked up.
const fn place(pins: Pins) -> [Offset; 3] {
    [pins.agents, pins.policies, pins.trust]
}

impl Panel {
    fn standing(&self, tables: &Tables, agent: &Agent) -> Arc<Standing> {
        Arc::new(tables.standing(agent, &self.domain, &self.policy, self.pins))
    }

    fn active(&self, tables: &Tables) -> impl Iterator<Item = (AgentId, Arc<Standing>)> {
        let listed = tables.agents(self.pins.agents);
        let active = listed.filter(|agent| agent.status == AgentStatus::Active);
        active.map(|agent| {
            let place = self.places.get(agent.agent_id.as_str());
            let known = place.and_then(|place| self.known.get(*place));
            let standing = match known {
                Some(known) => Arc::clone(&known.standing),
                None => self.standing(tables, agent),
            };
            (agent.agent_id.clone(), standing)
        })
    }
}
