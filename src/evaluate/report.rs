//! Everything an evaluation says, as its JSON and its pages have it.

use quorate_core::records::Policy;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_pcg::Pcg64;
use serde::Serialize;

use super::baselines;
use super::bootstrap::{Intervals, intervals};
use super::history::{History, Notes};
use super::run::{Plan, Results};
use super::scores::{Bin, Measures, Row, Sums, accuracy_on_the_rest, measures, reliability};
use super::variants;
use super::watch::Watch;

/// The name of the protocol's own rule.
pub const OURS: &str = "quorate";
/// Where the protocol's own rule comes from.
const OURS_SOURCE: &str = "this program: log-odds weights times a novelty factor, its own margin";
/// Shares escalated of which the accuracy on the rest is told.
const SHARES: [f64; 3] = [0.05, 0.10, 0.20];
/// Points of the curve of risk against escalation.
const RISK_POINTS: usize = 50;

/// A change to the rule: its name, what it is, and what it makes of items in an order.
type Variant = (
    &'static str,
    &'static str,
    fn(&Plan<'_>, &[usize]) -> Vec<Row>,
);

/// Changes to the rule that nobody has adopted.
const VARIANTS: [Variant; 2] = [
    (
        "separate_trust",
        "quorate with a track record for endorsements and one for challenges",
        variants::separate_trust,
    ),
    (
        "self_tuned",
        "quorate with a margin that moves until the error settles at the target",
        variants::self_tuned,
    ),
];

/// What to measure beside the plan.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Random orders beside the history's own.
    pub orders: usize,
    /// Where random numbers start from.
    pub seed: u64,
    /// Whether changes to the rule that nobody has adopted are measured, too.
    pub variants: bool,
}

/// An evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Items decided.
    pub items: usize,
    /// Agents that voted.
    pub agents_voting: usize,
    /// Votes on those items.
    pub votes: usize,
    /// The share of items that was good.
    pub base_rate: f64,
    /// Under which rules.
    pub settings: Settings,
    /// What of the files bears on nothing.
    pub notes: Notes,
    /// Votes of agents that the electorate does not list.
    pub agent_not_listed: usize,
    /// Every rule, the protocol's first.
    pub rules: Vec<OfRule>,
    /// Every domain.
    pub domains: Vec<OfDomain>,
    /// Every agent in every trust domain it was heard in.
    pub agents: Vec<OfAgent>,
    /// How the trust of those with most weight moved.
    pub trust: Vec<Moved>,
}

/// Under which rules an evaluation was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// The policies, by pattern, each with its margin.
    pub policies: Vec<OfPolicy>,
    /// How many items later a result is known.
    pub result_delay: usize,
    /// Of which items a result is known.
    pub results: Results,
    /// Draws of the bootstrap.
    pub draws: usize,
    /// Random orders beside the history's own.
    pub orders: usize,
    /// Where random numbers start from.
    pub seed: u64,
}

/// A policy, as far as it bears on an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfPolicy {
    /// What it covers.
    pub pattern: String,
    /// Its relative margin.
    pub quorum_margin: Option<f64>,
    /// Its wanted error.
    pub target_error: Option<f64>,
    /// Own results after which a record has faded by half; none: never.
    pub half_life: Option<i32>,
    /// Where its track records are kept.
    pub trust_domain: String,
}

/// What a rule is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfRule {
    /// Its name.
    pub name: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Its measures, in the history's own order.
    #[serde(flatten)]
    pub measures: Measures,
    /// Accuracy on the rest once the least sure share of items is escalated.
    pub accuracy_escalating: Vec<Escalating>,
    /// 95 % intervals by items drawn again, differences from the first rule on the same draws;
    /// none without draws.
    pub intervals: Option<Intervals>,
    /// Items by tenths of p.
    pub reliability: Vec<Bin>,
    /// The error on the rest, for shares escalated from 0 on in steps of a fiftieth.
    pub risk: Vec<f64>,
    /// The same in random orders; none if none were asked for.
    pub orders: Option<Orders>,
}

/// Accuracy where a share of items is left to people.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Escalating {
    /// The share escalated.
    pub escalated: f64,
    /// Accuracy on the rest.
    pub accuracy: f64,
}

/// A rule's accuracy and Brier score in random orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Orders {
    /// Mean accuracy.
    pub accuracy: f64,
    /// The least.
    pub accuracy_least: f64,
    /// The most.
    pub accuracy_most: f64,
    /// Mean Brier score.
    pub brier: f64,
}

/// What every rule is worth in one domain.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfDomain {
    /// The domain.
    pub domain: String,
    /// Items in it.
    pub items: usize,
    /// The share of them that was good.
    pub base_rate: f64,
    /// Every rule's measures, in the order of the rules.
    pub rules: Vec<InDomain>,
}

/// One rule's measures in one domain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct InDomain {
    /// The rule.
    pub name: &'static str,
    /// Its measures there.
    #[serde(flatten)]
    pub measures: Measures,
}

/// What an agent is worth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OfAgent {
    /// Whose.
    pub agent_id: String,
    /// Where its track record is kept.
    pub trust_domain: String,
    /// How often it voted.
    pub votes: usize,
    /// The share of its votes that was right.
    pub right: f64,
    /// The share it said would be: the mean of (1 + confidence) / 2.
    pub claimed: f64,
    /// The share of its votes that endorsed.
    pub endorsed: f64,
    /// Its mean share of the weight of the rounds it was counted in.
    pub share: f64,
    /// Its trust in the end.
    pub trust: f64,
}

/// How an agent's trust moved.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moved {
    /// Whose.
    pub agent_id: String,
    /// Where its track record is kept.
    pub trust_domain: String,
    /// Items decided before, and the trust then.
    pub points: Vec<(usize, f64)>,
}

/// Measures everything.
///
/// `step` hears of each pass over the history and each draw of the bootstrap; [`steps`] says how
/// many there are.
#[must_use]
pub fn report(plan: &Plan<'_>, asked: Asked, step: &(dyn Fn() + Sync)) -> Report {
    let history = plan.history;
    let order: Vec<usize> = (0..history.items.len()).collect();
    let mut watch = Watch::new(plan);
    let (rows, course) = plan.ours(&order, |item, decision, course| {
        watch.see(item, decision, course);
    });
    let (agents, trust) = watch.told(&course);
    step();
    let mut rules = vec![(OURS, OURS_SOURCE, rows)];
    for mut rule in baselines::all(history.agents.len()) {
        let rows = plan.baseline(&order, &mut *rule);
        rules.push((rule.name(), rule.source(), rows));
        step();
    }
    if asked.variants {
        for (name, source, variant) in VARIANTS {
            rules.push((name, source, variant(plan, &order)));
            step();
        }
    }
    let domains = of_domains(history, &rules);
    let mut orders = in_orders(plan, asked, step);
    orders.resize(rules.len(), None);
    let (heads, rows): (Vec<_>, Vec<_>) = rules.into_iter().map(|(n, s, r)| ((n, s), r)).unzip();
    let intervals = intervals(&rows, asked.draws, asked.seed, step);
    let each = heads.into_iter().zip(&rows).zip(intervals).zip(orders);
    let rules = each.map(|((((name, source), rows), intervals), orders)| {
        of_rule(name, source, rows, intervals, orders)
    });
    Report {
        items: history.items.len(),
        agents_voting: history.agents.len(),
        votes: history.votes(),
        base_rate: history.base_rate(),
        settings: settings(plan, asked),
        notes: history.notes,
        agent_not_listed: not_listed(plan),
        rules: rules.collect(),
        domains,
        agents,
        trust,
    }
}

impl Report {
    /// What was read and bears on nothing, counted, in words; what did not occur is left out.
    pub fn bears_on_nothing(&self) -> impl Iterator<Item = (usize, &'static str)> {
        let notes = [
            (
                self.notes.votes_without_truth,
                "votes on items without a truth: not looked at",
            ),
            (
                self.notes.superseded,
                "votes replaced by a later one of the same agent",
            ),
            (
                self.notes.other_domain,
                "votes that name another domain than their item's first",
            ),
            (
                self.agent_not_listed,
                "votes of agents the electorate does not list: not counted",
            ),
        ];
        notes.into_iter().filter(|(count, _)| *count > 0)
    }
}

/// How many steps a report takes.
#[must_use]
pub fn steps(asked: Asked) -> usize {
    let variants = if asked.variants { VARIANTS.len() } else { 0 };
    (1 + baselines::all(0).len()) * (1 + asked.orders) + variants + asked.draws
}

fn settings(plan: &Plan<'_>, asked: Asked) -> Settings {
    let mut policies: Vec<OfPolicy> = Vec::new();
    for policy in &plan.policies {
        if !policies.iter().any(|known| known.pattern == policy.pattern) {
            policies.push(of_policy(policy));
        }
    }
    Settings {
        policies,
        result_delay: plan.delay,
        results: plan.results,
        draws: asked.draws,
        orders: asked.orders,
        seed: asked.seed,
    }
}

fn of_policy(policy: &Policy) -> OfPolicy {
    OfPolicy {
        pattern: policy.pattern.clone(),
        quorum_margin: policy.quorum_margin.map(|margin| margin.to_f64()),
        target_error: policy.target_error.map(|error| error.to_f64()),
        half_life: policy.half_life,
        trust_domain: policy.trust_domain.clone(),
    }
}

fn not_listed(plan: &Plan<'_>) -> usize {
    let votes = plan.history.items.iter().flat_map(|item| &item.votes);
    let is_listed = |agent: usize| plan.agents.get(agent).is_some_and(Option::is_some);
    votes.filter(|vote| !is_listed(vote.agent)).count()
}

fn of_rule(
    name: &'static str,
    source: &'static str,
    rows: &[Row],
    intervals: Option<Intervals>,
    orders: Option<Orders>,
) -> OfRule {
    let curve: Vec<f64> = (0..RISK_POINTS)
        .map(|at| at as f64 / RISK_POINTS as f64)
        .collect();
    let escalating = SHARES.iter().zip(accuracy_on_the_rest(rows, &SHARES));
    let rest = accuracy_on_the_rest(rows, &curve);
    OfRule {
        name,
        source,
        measures: measures(rows),
        accuracy_escalating: escalating
            .map(|(&escalated, accuracy)| Escalating {
                escalated,
                accuracy,
            })
            .collect(),
        intervals,
        reliability: reliability(rows),
        risk: rest.into_iter().map(|accuracy| 1.0 - accuracy).collect(),
        orders,
    }
}

/// Every rule in every domain, in one pass over each rule's rows: there may be many of both.
fn of_domains(
    history: &History,
    rules: &[(&'static str, &'static str, Vec<Row>)],
) -> Vec<OfDomain> {
    let mut items = vec![(0_usize, 0_usize); history.domains.len()];
    for item in &history.items {
        if let Some((all, good)) = items.get_mut(item.domain) {
            *all += 1;
            *good += usize::from(item.good);
        }
    }
    let mut domains: Vec<OfDomain> = history
        .domains
        .iter()
        .zip(&items)
        .map(|(domain, (all, good))| OfDomain {
            domain: domain.clone(),
            items: *all,
            base_rate: *good as f64 / (*all).max(1) as f64,
            rules: Vec::with_capacity(rules.len()),
        })
        .collect();
    for (name, _, rows) in rules {
        let mut sums = vec![Sums::default(); history.domains.len()];
        for row in rows {
            let domain = history.items.get(row.item).map(|item| item.domain);
            if let Some(sums) = domain.and_then(|domain| sums.get_mut(domain)) {
                sums.add(&row.sums());
            }
        }
        for (domain, sums) in domains.iter_mut().zip(&sums) {
            domain.rules.push(InDomain {
                name,
                measures: sums.measures(),
            });
        }
    }
    domains
}

/// Every rule's accuracy in random orders, in the order of the rules.
fn in_orders(plan: &Plan<'_>, asked: Asked, step: &(dyn Fn() + Sync)) -> Vec<Option<Orders>> {
    let agents = plan.history.agents.len();
    let rules = 1 + baselines::all(agents).len();
    if asked.orders == 0 {
        return vec![None; rules];
    }
    let mut measured: Vec<Vec<Measures>> = vec![Vec::new(); rules];
    for at in 0..asked.orders {
        let order = shuffled(plan.history.items.len(), asked.seed.wrapping_add(at as u64));
        let mut each: Vec<Measures> = vec![measures(&plan.ours(&order, |_, _, _| {}).0)];
        step();
        for mut rule in baselines::all(agents) {
            each.push(measures(&plan.baseline(&order, &mut *rule)));
            step();
        }
        for (all, one) in measured.iter_mut().zip(each) {
            all.push(one);
        }
    }
    measured.iter().map(|all| Some(of_orders(all))).collect()
}

/// Places in a random order.
#[must_use]
pub fn shuffled(items: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items).collect();
    order.shuffle(&mut Pcg64::seed_from_u64(seed));
    order
}

fn of_orders(all: &[Measures]) -> Orders {
    let count = all.len().max(1) as f64;
    let accuracies = || all.iter().map(|measures| measures.accuracy);
    Orders {
        accuracy: accuracies().sum::<f64>() / count,
        accuracy_least: accuracies().fold(f64::INFINITY, f64::min),
        accuracy_most: accuracies().fold(f64::NEG_INFINITY, f64::max),
        brier: all.iter().map(|measures| measures.brier).sum::<f64>() / count,
    }
}
