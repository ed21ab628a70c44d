//! Who takes part in a random history, under which policies, and how both move while it goes on.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use quorate::wire::{Codec, files, seal_policy};
use quorate_core::domain;
use quorate_core::ids::{AgentId, Offset};
use quorate_core::millionths::Millionths;
use quorate_core::records::{Agent, AgentStatus, Control, Grant, Mode, Policy, Revision};
use quorate_core::topic::Topic;

use crate::support::load::Random;

/// Agents that may answer.
const VOTERS: usize = 30;
/// People who may decide, and who may report.
const PEOPLE: usize = 6;
/// What agents are granted, from shorter to longer.
const GRANTED: [&str; 10] = [
    "pay",
    "pay.cards",
    "pay.cards.eu",
    "fraud",
    "fraud.wire",
    "loan",
    "ops",
    "even",
    "risk",
    "legal",
];
/// What proposals are about; the last is covered by none of the patterns at first.
pub(super) const DOMAINS: [&str; 20] = [
    "pay.out",
    "pay.cards.eu",
    "pay.cards.us",
    "fraud.check",
    "fraud.wire.big",
    "loan.new",
    "ops.restart",
    "even.odds",
    "pay.out",
    "pay.out",
    "pay.cards.eu",
    "pay.cards.us",
    "fraud.check",
    "fraud.wire.big",
    "fraud.wire",
    "loan.new",
    "ops",
    "even.odds",
    "even.more",
    "elsewhere",
];
/// How many are suspended at a time before one of them is taken back.
const SUSPENDED_MAX: usize = 3;
/// What an agent may be trusted with, more often much than nothing.
const AUTHORITIES: [u32; 6] = [1_000_000, 1_000_000, 900_000, 666_667, 300_000, 0];

/// The policies at first: every key that decides has one where it differs from its default.
pub(super) const POLICIES: &str = r#"
[[policy]]
pattern = "pay"
min_weight = 0.1
half_life = 20
veto_domains = ["legal"]
deadline_min = "500 ms"
deadline_default = "1500 ms"

[[policy]]
pattern = "pay.cards"
target_error = 0.1
max_share_per_principal = 0.5
deadline_min = "500 ms"
deadline_default = "1500 ms"
reporters = ["r0", "r1", "a1"]
self_report = true
result_window = "1200 ms"

[[policy]]
pattern = "fraud"
quorum_margin = 0.2
min_weight = 0.1
required_domains = ["risk"]
veto_domains = ["legal"]
max_share_per_model_family = 0.6
deadline_min = "500 ms"
deadline_default = "1500 ms"

[[policy]]
pattern = "fraud.wire"
min_weight = 0.1
min_responders = 2
proposer_counts = false
revision = "first"
early_close = true
trust_domain = "fraud"
deadline_min = "500 ms"
deadline_default = "1500 ms"

[[policy]]
pattern = "loan"
min_weight = 0.05
min_confidence = 0.6
escalate_at_stakes = "MEDIUM"
decision_deadline = "2 s"
action_types = ["act", "grant"]
deadline_min = "500 ms"
deadline_default = "1500 ms"
max_open_per_proposer = 6
approvals_needed = { MEDIUM = 2 }

[[policy.stakes_floor]]
action_type = "grant"
parameter = "amount"
at_least = 500
stakes = "HIGH"

[[policy]]
pattern = "ops"
mode = "shadow"
min_weight = 0.0
half_life = "none"
decision_deadline = "3 s"
on_decision_timeout = "REJECT"
deadline_min = "500 ms"
deadline_default = "1500 ms"

[[policy]]
pattern = "even"
min_weight = 0.0
min_responders = 3
revision = "first"
deadline_min = "500 ms"
deadline_default = "1500 ms"
"#;

/// One that proposes more than it may, and is never suspended.
const BUSY: &str = r#"
[[agent]]
agent_id = "busy"
principal = "p0"
domains = [{ domain = "loan", authority = 0.9 }]

"#;

/// The agents at first, as `agents apply` takes them.
pub(super) fn agents(random: &mut Random) -> String {
    let mut text = String::from(BUSY);
    for number in 0..VOTERS {
        let principal = number % 8;
        write!(text, "[[agent]]\nagent_id = \"a{number}\"\n").unwrap();
        writeln!(text, "principal = \"p{principal}\"").unwrap();
        if random.percent(60) {
            writeln!(text, "model_family = \"m{}\"", random.within(0..3)).unwrap();
        }
        let grants: Vec<_> = GRANTED.iter().filter_map(|d| granted(random, d)).collect();
        writeln!(text, "domains = [{}]\n", grants.join(", ")).unwrap();
    }
    for number in 0..PEOPLE {
        // The last ones belong to principals that vote.
        let principal = if number < 4 { "house" } else { "p1" };
        writeln!(
            text,
            "[[agent]]\nagent_id = \"h{number}\"\nkind = \"HUMAN\"\nprincipal = \"{principal}\"\n\
             reviews = [{{ domain = \"*\", up_to_stakes = \"{}\" }}]\n\n\
             [[agent]]\nagent_id = \"r{number}\"\nkind = \"REPORTER\"\n\
             principal = \"{principal}\"\n",
            random.one_of(&["CRITICAL", "CRITICAL", "MEDIUM"]),
        )
        .unwrap();
    }
    text
}

/// One grant of an agent's, if it has it.
fn granted(random: &mut Random, domain: &str) -> Option<String> {
    if !random.percent(55) {
        return None;
    }
    let authority = f64::from(*random.one_of(&AUTHORITIES)) / 1e6;
    // Those who are even start alike, so that they tie.
    let prior = if domain != "even" && random.percent(40) {
        let (right, wrong) = (random.within(1..40), random.within(1..8));
        format!(", prior = {{ right = {right}, wrong = {wrong}, source = \"test\" }}")
    } else {
        String::new()
    };
    let authority = if domain == "even" { 1.0 } else { authority };
    Some(format!(
        "{{ domain = \"{domain}\", authority = {authority:?}{prior} }}"
    ))
}

/// A change of a table, to be appended at once; then, perhaps, what every partition is told.
pub(super) struct Change {
    pub(super) topic: Topic,
    pub(super) key: String,
    pub(super) value: Option<Vec<u8>>,
    /// The control record for the offset at which the table has the change.
    pub(super) control: Option<Control>,
}

/// The tables as they stand.
pub(super) struct World {
    random: Random,
    agents: BTreeMap<String, Agent>,
    policies: BTreeMap<String, Policy>,
    replaced: usize,
    /// In which mode a suspended policy was before.
    before: BTreeMap<String, Mode>,
}

impl World {
    /// As the files had it.
    pub(super) fn of(random: Random, agents: &str) -> Self {
        let named = |agent: Agent| (agent.agent_id.as_str().to_owned(), agent);
        let policies = files::policies(POLICIES).unwrap().into_iter();
        Self {
            random,
            agents: files::agents(agents)
                .unwrap()
                .into_iter()
                .map(named)
                .collect(),
            policies: policies.map(|p| (p.pattern.clone(), p)).collect(),
            replaced: 0,
            before: BTreeMap::new(),
        }
    }

    /// An agent that votes, be it suspended or retired.
    pub(super) fn voter(&self, random: &mut Random) -> String {
        let voters = self.agents.keys().filter(|id| id.starts_with('a'));
        random.one_of(&voters.collect::<Vec<_>>()).to_string()
    }

    /// One that may speak.
    pub(super) fn active(&self, random: &mut Random) -> String {
        let active = |agent: &&Agent| agent.status == AgentStatus::Active;
        let ids = self
            .agents
            .values()
            .filter(active)
            .map(|agent| agent.agent_id.as_str());
        random
            .one_of(&ids.filter(|id| id.starts_with('a')).collect::<Vec<_>>())
            .to_string()
    }

    /// One that may speak and is granted something there, if it is easily found.
    pub(super) fn expert(&self, random: &mut Random, domain: &str) -> String {
        let covers = |grant: &Grant| domain::covers(&grant.domain, domain);
        for _ in 0..8 {
            let id = self.active(random);
            if self.agents[&id].domains.iter().any(covers) {
                return id;
            }
        }
        self.active(random)
    }

    /// How the tables move next.
    pub(super) fn change(&mut self, codec: &Codec) -> Change {
        let suspended = |agent: &&Agent| agent.status == AgentStatus::Suspended;
        let stopped = |policy: &&Policy| policy.mode == Mode::Suspended;
        let stopped = self.policies.values().find(stopped).cloned();
        if let Some(mut policy) = stopped.filter(|_| self.random.percent(60)) {
            policy.mode = self.before[&policy.pattern];
            return self.enact(codec, policy);
        }
        if self.agents.values().filter(suspended).count() > SUSPENDED_MAX {
            return self.resume(codec);
        }
        match self.random.within(0..100) {
            0..30 => self.grant(codec),
            30..65 => self.suspend(codec),
            65..70 => self.replace(codec),
            70..76 => self.unsound(codec),
            76..80 => self.suspend_pattern(codec),
            80..82 => self.cover_the_rest(codec),
            _ => self.tune(codec),
        }
    }

    fn agent(&mut self, status: AgentStatus) -> Option<Agent> {
        let voters = self.agents.values();
        let of_status =
            voters.filter(|agent| agent.status == status && agent.agent_id.as_str() < "b");
        let found: Vec<_> = of_status.cloned().collect();
        (!found.is_empty()).then(|| self.random.one_of(&found).clone())
    }

    fn list(&mut self, codec: &Codec, agent: Agent) -> Change {
        let key = agent.agent_id.as_str().to_owned();
        let value = codec.encode(&agent).unwrap();
        self.agents.insert(key.clone(), agent);
        Change {
            topic: Topic::Agents,
            key,
            value: Some(value),
            control: None,
        }
    }

    fn enact(&mut self, codec: &Codec, mut policy: Policy) -> Change {
        seal_policy(&mut policy).unwrap();
        let (key, value) = (policy.pattern.clone(), codec.encode(&policy).unwrap());
        self.policies.insert(key.clone(), policy);
        Change {
            topic: Topic::Policies,
            key,
            value: Some(value),
            control: None,
        }
    }

    fn grant(&mut self, codec: &Codec) -> Change {
        let mut agent = self.agent(AgentStatus::Active).unwrap();
        let domain = *self.random.one_of(&GRANTED);
        let authority = Millionths::new(*self.random.one_of(&AUTHORITIES)).unwrap();
        agent.domains.retain(|grant| grant.domain != domain);
        if self.random.percent(80) {
            agent.domains.push(Grant {
                domain: domain.to_owned(),
                authority,
                prior: None,
            });
        }
        self.list(codec, agent)
    }

    fn suspend(&mut self, codec: &Codec) -> Change {
        let mut agent = self.agent(AgentStatus::Active).unwrap();
        agent.status = AgentStatus::Suspended;
        let id = agent.agent_id.clone();
        let mut change = self.list(codec, agent);
        if self.random.percent(85) {
            change.control = Some(control(Some(id.as_str()), None));
        }
        change
    }

    fn resume(&mut self, codec: &Codec) -> Change {
        match self.agent(AgentStatus::Suspended) {
            Some(mut agent) => {
                agent.status = AgentStatus::Active;
                self.list(codec, agent)
            }
            None => self.suspend(codec),
        }
    }

    /// Retires an agent, or lets another of its principal take the place of one retired.
    fn replace(&mut self, codec: &Codec) -> Change {
        let retired = self.agent(AgentStatus::Retired);
        if let Some(mut agent) = retired.filter(|_| self.random.percent(60)) {
            self.replaced += 1;
            let id = format!("{}.{}", agent.agent_id, self.replaced);
            agent.agent_id = AgentId::from(&*id);
            agent.status = AgentStatus::Active;
            for grant in &mut agent.domains {
                grant.prior = None;
            }
            return self.list(codec, agent);
        }
        let mut agent = self.agent(AgentStatus::Active).unwrap();
        agent.status = AgentStatus::Retired;
        self.list(codec, agent)
    }

    /// A record that is passed over, as if it were not there.
    fn unsound(&mut self, codec: &Codec) -> Change {
        let before = self.agents.clone();
        let mut agent = self.agent(AgentStatus::Active).unwrap();
        agent.principal = String::new();
        let mut change = self.list(codec, agent);
        self.agents = before;
        match self.random.within(0..10) {
            0..3 => change.key = "a1".to_owned(),
            3..5 => change.value = None,
            _ => {}
        }
        change
    }

    fn suspend_pattern(&mut self, codec: &Codec) -> Change {
        let patterns: Vec<_> = self.policies.keys().cloned().collect();
        let mut policy = self.policies[self.random.one_of(&patterns)].clone();
        let mode = std::mem::replace(&mut policy.mode, Mode::Suspended);
        if mode != Mode::Suspended {
            self.before.insert(policy.pattern.clone(), mode);
        }
        let pattern = policy.pattern.clone();
        let mut change = self.enact(codec, policy);
        change.control = Some(control(None, Some(&pattern)));
        change
    }

    /// A policy for everything that no other covers.
    fn cover_the_rest(&mut self, codec: &Codec) -> Change {
        let mut policy = self.policies["pay"].clone();
        policy.pattern = "*".to_owned();
        policy.mode = Mode::Live;
        policy.trust_domain = "rest".to_owned();
        self.enact(codec, policy)
    }

    fn tune(&mut self, codec: &Codec) -> Change {
        let live = |policy: &&Policy| policy.mode != Mode::Suspended;
        let live: Vec<_> = self.policies.values().filter(live).cloned().collect();
        let mut policy = self.random.one_of(&live).clone();
        let random = &mut self.random;
        let percent = |random: &mut Random, range: std::ops::Range<i64>| {
            Millionths::new(u32::try_from(random.within(range)).unwrap() * 10_000).unwrap()
        };
        match random.within(0..7) {
            0 if policy.target_error.is_none() => {
                policy.quorum_margin = Some(percent(random, 10..90));
            }
            0 | 1 => policy.min_weight = percent(random, 0..30),
            2 => policy.min_confidence = percent(random, 0..80),
            3 => policy.half_life = Some(i32::try_from(random.within(5..200)).unwrap()),
            4 => policy.max_share_per_principal = percent(random, 50..101),
            5 => policy.max_share_per_model_family = percent(random, 50..101),
            _ => match (policy.early_close, policy.revision) {
                (true, _) => policy.early_close = false,
                (false, Revision::Last) => policy.revision = Revision::First,
                (false, Revision::First) if random.percent(50) => policy.early_close = true,
                (false, Revision::First) => policy.revision = Revision::Last,
            },
        }
        self.enact(codec, policy)
    }
}

/// An order, but for the offset it is for.
pub(super) fn control(agent: Option<&str>, pattern: Option<&str>) -> Control {
    Control {
        control_id: "c".to_owned(),
        agent_id: agent.map(str::to_owned),
        pattern: pattern.map(str::to_owned),
        table_offset: Offset(0),
        operator: "op".to_owned(),
        reason: String::new(),
    }
}
