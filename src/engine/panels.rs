//! What agents bring to rounds of one domain, opened at the same pins but for trust: worked out
//! once for all of them as long as an agent's record stays what it is, forgotten with the last.
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

/// Standings of one agent that are kept: as many of its results fall between the opening of one
/// round and that of another, both of them open, in all but very busy domains.
const KEPT_MAX: usize = 64;

/// The panels of the rounds that are open.
#[derive(Clone, Debug, Default)]
pub(super) struct Panels {
    /// Which panel is for a domain, of those at the same pins.
    numbers: BTreeMap<[Offset; 2], BTreeMap<String, usize>>,
    panels: BTreeMap<usize, Panel>,
    next: usize,
}

/// What agents bring to a domain under its policy, at the pins.
#[derive(Clone, Debug)]
struct Panel {
    /// The trust pin is the first round's, and not looked at.
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
    /// By the pins they hold from.
    standings: Vec<Held>,
}

/// What an agent brings, from one trust pin through another.
#[derive(Clone, Debug)]
struct Held {
    from: Offset,
    through: Offset,
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

    /// An agent at a panel's pins and a trust pin; none if the tables do not have it there.
    pub(super) fn speaker(
        &mut self,
        tables: &Tables,
        number: usize,
        trust: Offset,
        agent: &str,
    ) -> Option<Speaker<'_>> {
        let panel = self.panels.get_mut(&number)?;
        let place = match panel.places.get(agent) {
            Some(place) => *place,
            None => {
                let agent = tables.agent(agent, panel.pins.agents)?;
                let place = panel.known.len();
                panel.places.insert(agent.agent_id.clone(), place);
                panel.known.push(Known {
                    agent: Arc::clone(agent),
                    standings: Vec::new(),
                });
                place
            }
        };
        let Panel {
            pins,
            domain,
            policy,
            known,
            ..
        } = panel;
        let Known { agent, standings } = known.get_mut(place)?;
        let held = find(standings, trust).unwrap_or_else(|| {
            let pins = Pins { trust, ..*pins };
            hold(standings, tables, agent, (domain, policy), pins)
        });
        let standing = &standings.get(held)?.standing;
        Some(Speaker { agent, standing })
    }

    /// What an agent brings that is there at a panel's pins and a trust pin.
    pub(super) fn standing(
        &mut self,
        tables: &Tables,
        number: usize,
        trust: Offset,
        agent: &str,
    ) -> Option<Arc<Standing>> {
        let speaker = self.speaker(tables, number, trust, agent);
        speaker.map(|speaker| Arc::clone(speaker.standing))
    }

    /// The agents that are qualified and active at a panel's pins, by id. What is known of their
    /// trust bears on neither.
    pub(super) fn qualified(&mut self, tables: &Tables, number: usize) -> Arc<[AgentId]> {
        let Some(panel) = self.panels.get_mut(&number) else {
            return Arc::default();
        };
        if let Some(qualified) = &panel.qualified {
            return Arc::clone(qualified);
        }
        let active = panel.active(tables, panel.pins.trust);
        let qualified = active.filter(|(_, standing)| standing.qualified);
        let qualified: Arc<[AgentId]> = qualified.map(|(id, _)| id).collect();
        panel.qualified = Some(Arc::clone(&qualified));
        qualified
    }

    /// The agents that are active at a panel's pins, by id, with what they bring at a trust pin.
    pub(super) fn active(
        &self,
        tables: &Tables,
        number: usize,
        trust: Offset,
    ) -> impl Iterator<Item = (AgentId, Arc<Standing>)> {
        let panel = self.panels.get(&number).into_iter();
        panel.flat_map(move |panel| panel.active(tables, trust))
    }
}

/// Pins as they are looked up.
const fn place(pins: Pins) -> [Offset; 2] {
    [pins.agents, pins.policies]
}

/// Which standing holds at a trust pin, if one is kept that does.
fn find(standings: &[Held], trust: Offset) -> Option<usize> {
    let later = standings.partition_point(|held| held.from <= trust);
    let last = later.checked_sub(1)?;
    (standings.get(last)?.through >= trust).then_some(last)
}

/// Works out what an agent brings, or finds that it is what it brought before, and keeps it; where.
fn hold(
    standings: &mut Vec<Held>,
    tables: &Tables,
    agent: &Agent,
    (domain, policy): (&str, &Policy),
    pins: Pins,
) -> usize {
    let (from, through) = tables.standing_holds(agent, policy, pins).into_inner();
    let place = standings.binary_search_by_key(&from, |held| held.from);
    if let Some((place, held)) = place.ok().and_then(|at| Some((at, standings.get_mut(at)?))) {
        held.through = held.through.max(through);
        return place;
    }
    if standings.len() == KEPT_MAX {
        standings.remove(0);
    }
    let place = standings.partition_point(|held| held.from < from);
    let standing = Arc::new(tables.standing(agent, domain, policy, pins));
    let held = Held {
        from,
        through,
        standing,
    };
    standings.insert(place, held);
    place
}

impl Panel {
    fn active(
        &self,
        tables: &Tables,
        trust: Offset,
    ) -> impl Iterator<Item = (AgentId, Arc<Standing>)> {
        let listed = tables.agents(self.pins.agents);
        let active = listed.filter(|agent| agent.status == AgentStatus::Active);
        active.map(move |agent| {
            let place = self.places.get(agent.agent_id.as_str());
            let known = place.and_then(|place| self.known.get(*place));
            let held = known.and_then(|known| {
                let place = find(&known.standings, trust)?;
                known.standings.get(place)
            });
            let standing = match held {
                Some(held) => Arc::clone(&held.standing),
                None => {
                    let pins = Pins { trust, ..self.pins };
                    Arc::new(tables.standing(agent, &self.domain, &self.policy, pins))
                }
            };
            (agent.agent_id.clone(), standing)
        })
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::Timestamp;
    use quorate_core::millionths::Millionths;
    use quorate_core::records::TrustScore;
    use quorate_core::topic::Topic;

    use super::*;
    use crate::engine::trust_key;
    use crate::wire::{Codec, files, seal_policy};

    /// One whose principal has nobody else, one who may inherit what another left, and that one.
    const AGENTS: &str = "[[agent]]\nagent_id = \"alone\"\nprincipal = \"one\"\n\
        domains = [{ domain = \"pay\", authority = 0.9 }]\n\
        [[agent]]\nagent_id = \"heir\"\nprincipal = \"other\"\n\
        domains = [{ domain = \"pay\", authority = 0.8 }]\n\
        [[agent]]\nagent_id = \"left\"\nprincipal = \"other\"\nstatus = \"RETIRED\"\n\
        domains = [{ domain = \"pay\", authority = 0.7 }]\n";
    const IDS: [&str; 3] = ["alone", "heir", "left"];

    struct Log {
        codec: Codec,
        tables: Tables,
        rows: i64,
    }

    impl Log {
        fn begin() -> Self {
            let (codec, tables) = (Codec::single_object(), Tables::default());
            let mut log = Self {
                codec,
                tables,
                rows: 0,
            };
            for (offset, agent) in (0..).zip(files::agents(AGENTS).unwrap()) {
                let value = log.codec.encode(&agent).unwrap();
                log.put(Topic::Agents, offset, agent.agent_id.as_str(), &value);
            }
            for mut policy in files::policies("[[policy]]\npattern = \"pay\"\n").unwrap() {
                seal_policy(&mut policy).unwrap();
                let value = log.codec.encode(&policy).unwrap();
                log.put(Topic::Policies, 0, &policy.pattern, &value);
            }
            log
        }

        fn put(&mut self, topic: Topic, offset: i64, key: &str, value: &[u8]) {
            let (key, at) = (Some(key.as_bytes()), Timestamp(0));
            let (offset, value) = (Offset(offset), Some(value));
            let taken = self
                .tables
                .apply(&self.codec, topic, offset, at, key, value);
            taken.unwrap();
        }

        /// The next score, an agent's or one of another trust domain.
        fn score(&mut self, trust_domain: &str, agent: &str) {
            let score = TrustScore {
                trust_domain: trust_domain.to_owned(),
                agent_id: agent.into(),
                trust: Millionths::admit(0.001 + 0.0001 * self.rows as f64).unwrap(),
                a: 1_000_000_000,
                b: 2_000_000_000 + self.rows,
                ln_m: 0,
                a0: 2_000_000_000,
                b0: 1_000_000_000,
                revision: self.rows,
                update_partition: 0,
                update_offset: Offset(self.rows),
            };
            let value = self.codec.encode(&score).unwrap();
            self.put(Topic::Trust, self.rows, &trust_key(&score), &value);
            self.rows += 1;
        }
    }

    #[test]
    fn an_agent_brings_what_the_tables_say_at_every_trust_pin() {
        let mut log = Log::begin();
        let policy = Arc::clone(log.tables.policy("pay", Offset(0)).unwrap());
        let domain = policy.trust_domain.to_string();
        let mut panels = Panels::default();
        let number = panels.join(log.tables.pins(), "pay", &policy);
        let mut dice = 1_u64;
        let mut below = |limit: i64| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            i64::try_from(dice >> 33).unwrap() % limit
        };
        let mut inherited = 0;
        for row in 0..6 * KEPT_MAX {
            // At first nobody has a record, then the one who left, then all.
            match (row, below(4)) {
                (0..9, _) | (_, 0) => log.score("elsewhere", "alone"),
                (9..29, _) | (_, 1) => log.score(&domain, "left"),
                (_, 2) => log.score(&domain, "heir"),
                _ => log.score(&domain, "alone"),
            }
            for _ in 0..4 {
                // Mostly late ones, as rounds are opened; now and then one from before the first.
                let back = below(log.rows + 1);
                let trust = Offset(log.rows - 1 - below(1 + back));
                for id in IDS {
                    let agent = log.tables.agent(id, Offset(2)).unwrap();
                    let pins = Pins {
                        trust,
                        ..log.tables.pins()
                    };
                    let wanted = log.tables.standing(agent, "pay", &policy, pins);
                    inherited += i32::from(wanted.start.is_some());
                    let found = panels.standing(&log.tables, number, trust, id);
                    assert_eq!(found.as_deref(), Some(&wanted), "{id} at {trust:?}");
                    let mut active = panels.active(&log.tables, number, trust);
                    let listed = active.find(|(listed, _)| listed.as_str() == id);
                    let listed = listed.map(|(_, standing)| standing);
                    let expected = (id != "left").then_some(&wanted);
                    assert_eq!(listed.as_deref(), expected, "{id} at {trust:?}");
                }
            }
        }
        assert!(inherited > 0);
        let known = &panels.panels[&number].known;
        assert!(known.iter().any(|known| known.standings.len() == KEPT_MAX));
        // As long as nobody's record moves, nothing is worked out again.
        let last = Offset(log.rows - 1);
        let before = panels.standing(&log.tables, number, last, "alone").unwrap();
        log.score("elsewhere", "heir");
        let after = panels.standing(&log.tables, number, Offset(log.rows - 1), "alone");
        assert!(Arc::ptr_eq(&before, &after.unwrap()));
    }
}
