//! The days as they pass: what is said when, and what is said to what comes of it.

mod mishaps;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_core::ids::{Digest, Millis, ProposalId, Timestamp};
use quorate_core::records::input::Result as Turned;
use quorate_core::records::{
    Action, AgentStatus, Basis, Decision, DecisionPackage, DecisionVerdict, Outcome, Parameter,
    Proposal, Response, ResultKind, Stakes, Verdict,
};
use quorate_core::topic::Topic;

use super::cast::{AGAINST, APPROVES, FOR, LIAR, REJECTS, SCENES, Scene, Voter};
use super::chance::Chance;
use crate::command::client::Client;
use crate::transport::blackboard::Told;
use crate::transport::{Error, Reading};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// What everything that is made up follows from.
const SEED: u64 = 20_261_121;
/// How long after a deadline a silent topic is looked after.
const LATER: i64 = 100;

/// Something that is to happen.
enum Act {
    /// A round of a scene is proposed; the number is that of its subject.
    Propose(usize, u64),
    Say(Box<Response<'static>>),
    Decide(Box<Decision>),
    Report(Box<Turned>),
    /// Takes an agent out of running rounds, or gives it back.
    Stand(&'static str, AgentStatus, &'static str),
    /// A record that is none.
    Garble,
    /// Somebody proposes something else under a known id.
    Conflict,
    /// Nobody says anything: only time passes.
    Pass,
}

/// What is known of a round, by those who made it up.
struct Made {
    scene: &'static Scene,
    /// Whether it would be right.
    is_good: bool,
    subject: u64,
}

/// Two days.
pub(super) struct Days<'a> {
    client: &'a Client,
    told: &'a Told,
    until: Timestamp,
    chance: Chance,
    reader: Box<dyn Reading + Send>,
    /// What is to happen, by when and in which order it was thought of.
    agenda: BTreeMap<(Timestamp, u64), Act>,
    thought_of: u64,
    rounds: BTreeMap<ProposalId, Made>,
    /// How far escalations and outcomes were read.
    read: BTreeMap<Topic, i64>,
    /// The last round there was.
    last: Option<ProposalId>,
}

impl<'a> Days<'a> {
    /// Two days from one time to another, of which nothing has passed.
    pub(super) fn new(
        client: &'a Client,
        told: &'a Told,
        begins: Timestamp,
        until: Timestamp,
    ) -> anyhow::Result<Self> {
        let mut days = Self {
            client,
            told,
            until,
            chance: Chance::new(SEED),
            reader: client.handle().reader()?,
            agenda: BTreeMap::new(),
            thought_of: 0,
            rounds: BTreeMap::new(),
            read: BTreeMap::new(),
            last: None,
        };
        days.plan(begins);
        Ok(days)
    }

    /// What happens whatever comes of it.
    fn plan(&mut self, begins: Timestamp) {
        let at = |minutes: i64| begins.plus(Millis(minutes * MINUTE));
        let end = self.until.since(begins).0 / MINUTE;
        for (number, scene) in SCENES.iter().enumerate() {
            let (mut minute, mut subject) = (self.chance.between(2, 20), 1_000);
            while minute < end {
                let second = Millis(self.chance.between(0, MINUTE));
                subject += 1;
                self.think(at(minute).plus(second), Act::Propose(number, subject));
                minute += self.chance.between(scene.every / 2, scene.every * 3 / 2);
            }
        }
        for minute in (0..end).step_by(10) {
            self.think(at(minute), Act::Pass);
        }
        let suspended = AgentStatus::Suspended;
        let feed = "its feed has stood still since noon";
        self.think(at(20 * 60), Act::Stand("device-signals", suspended, feed));
        let back = Act::Stand("device-signals", AgentStatus::Active, "");
        self.think(at(23 * 60), back);
        let liar = "endorses whatever is proposed; under review";
        self.think(at(41 * 60), Act::Stand("wire-watcher", suspended, liar));
        for hour in [7, 19, 33, 45] {
            self.think(at(hour * 60 + 5), Act::Garble);
            self.think(at(hour * 60 + 25), Act::Conflict);
        }
    }

    fn think(&mut self, at: Timestamp, act: Act) {
        self.thought_of += 1;
        self.agenda.insert((at, self.thought_of), act);
    }

    /// Lets them pass.
    pub(super) fn play(
        mut self,
        settle: &mut dyn FnMut() -> Result<(), Error>,
    ) -> anyhow::Result<()> {
        while let Some(((at, _), act)) = self.agenda.pop_first() {
            if at >= self.until {
                break;
            }
            self.told.set(at);
            self.act(act, at)?;
            settle()?;
            self.look(at)?;
        }
        self.told.set(self.until);
        Ok(settle()?)
    }

    fn act(&mut self, act: Act, at: Timestamp) -> anyhow::Result<()> {
        match act {
            Act::Propose(scene, subject) => {
                if let Some(scene) = SCENES.get(scene) {
                    self.propose(scene, subject, at)?;
                }
            }
            Act::Say(response) => {
                let id = response.proposal_id.clone().into_owned();
                self.client.append(&[(&id, *response)])?;
            }
            Act::Decide(decision) => {
                let id = decision.proposal_id.clone();
                self.client.append(&[(&id, *decision)])?;
            }
            Act::Report(turned) => {
                let id = turned.proposal_id.clone();
                self.client.append(&[(&id, *turned)])?;
            }
            Act::Stand(agent, status, reason) => self.stand(agent, status, reason, at)?,
            Act::Garble => self.garble()?,
            Act::Conflict => self.conflict(at)?,
            Act::Pass => {}
        }
        Ok(())
    }

    fn propose(
        &mut self,
        scene: &'static Scene,
        subject: u64,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let id = self.id(at);
        let text = id.to_string();
        let proposer = self.chance.one(scene.proposers).unwrap_or_default();
        let proposal = self.proposal(scene, subject, &text, proposer);
        self.client.append(&[(&text, proposal)])?;
        self.last = Some(id);
        let is_good = self.chance.happens(700);
        self.rounds.insert(
            id,
            Made {
                scene,
                is_good,
                subject,
            },
        );
        let closes = at.plus(Millis(scene.open * SECOND));
        for voter in scene.voters.iter().filter(|voter| voter.name != proposer) {
            self.answer(scene, voter, &text, is_good, (at, closes));
        }
        self.think(closes.plus(Millis(LATER)), Act::Pass);
        self.think(closes.plus(Millis(8 * LATER)), Act::Pass);
        Ok(())
    }

    fn proposal(&mut self, scene: &Scene, subject: u64, id: &str, proposer: &str) -> Proposal {
        let amount = self.chance.one(scene.amounts).unwrap_or_default();
        let hundredths = u8::try_from(self.chance.below(40)).unwrap_or(0);
        Proposal {
            proposal_id: id.to_owned(),
            proposer: proposer.to_owned(),
            domain: scene.domain.to_owned(),
            action: Action {
                r#type: scene.action.to_owned(),
                subject: format!("{}-{subject}", scene.subject),
                parameters: vec![Parameter {
                    key: scene.parameter.to_owned(),
                    value: amount.to_string(),
                }],
            },
            summary: self
                .chance
                .one(scene.summaries)
                .unwrap_or_default()
                .to_owned(),
            rationale: self.chance.one(FOR).unwrap_or_default().to_owned(),
            confidence: 0.55 + f64::from(hundredths) / 100.0,
            stakes: Stakes::Low,
            deadline: None,
            supersedes: None,
            labels: Vec::new(),
        }
    }

    /// What somebody says to a proposal, as well as it can; some are silent, and some too late.
    fn answer(
        &mut self,
        scene: &Scene,
        voter: &Voter,
        id: &str,
        is_good: bool,
        (from, to): (Timestamp, Timestamp),
    ) {
        if self.chance.happens(60) {
            return;
        }
        let is_liar = voter.right == LIAR;
        let endorses = is_liar || self.chance.happens(voter.right) == is_good;
        let verdict = match (endorses, !is_liar && self.chance.happens(50)) {
            (_, true) => Verdict::Abstain,
            (true, false) => Verdict::Endorse,
            (false, false) => Verdict::Challenge,
        };
        let is_tie = scene.action == "refund.grant" && self.rounds.len() % 40 == 5;
        let spread = if is_tie { 0 } else { self.chance.below(25) };
        let sure = (voter.sure + spread).saturating_sub(12).min(99);
        let reasons = if endorses { FOR } else { AGAINST };
        let mut reasoning = self.chance.one(reasons).unwrap_or_default();
        if verdict == Verdict::Challenge && self.chance.happens(12) {
            // It is refused.
            reasoning = "";
        }
        let mut agent = voter.name;
        if self.chance.happens(6) {
            // Listed by nobody.
            agent = "intern-bot";
        }
        let span = to.since(from).0;
        let mut at = from.plus(Millis(self.chance.between(span / 10, span * 9 / 10)));
        if self.chance.happens(25) {
            at = to.plus(Millis(self.chance.between(SECOND, 20 * SECOND)));
        }
        let response = Response {
            response_id: format!("{agent}.{id}").into(),
            proposal_id: id.to_owned().into(),
            proposal_digest: None,
            agent_id: agent.into(),
            verdict,
            confidence: f64::from(u8::try_from(sure).unwrap_or(50)) / 100.0,
            reasoning: reasoning.into(),
            evidence: Vec::new(),
        };
        if self.chance.happens(40) {
            // Somebody thinks again.
            let before = Response {
                response_id: format!("{agent}.{id}.first").into(),
                confidence: 0.5,
                ..response.clone()
            };
            let early = from.plus(Millis(span / 20));
            self.think(early, Act::Say(Box::new(before)));
        }
        self.think(at, Act::Say(Box::new(response)));
    }

    /// Takes what came of it: people decide, and it is told how it turned out.
    fn look(&mut self, now: Timestamp) -> anyhow::Result<()> {
        for package in self.come::<DecisionPackage>(Topic::Escalations)? {
            if package.tier == 1 && package.approvals.is_empty() {
                self.decide(&package, now);
            }
        }
        for outcome in self.come::<Outcome>(Topic::Outcomes)? {
            if outcome.r#final {
                self.report(outcome.proposal_id, now);
            }
        }
        Ok(())
    }

    /// What has come of a topic since.
    fn come<T>(&mut self, topic: Topic) -> anyhow::Result<Vec<T>>
    where
        T: crate::wire::Record + serde::de::DeserializeOwned,
    {
        let from = self.read.entry(topic).or_default();
        let (_, end) = self.reader.ends(topic, 0)?;
        let (codec, mut all) = (self.client.codec(), Vec::new());
        self.reader.read_to(topic, 0, *from, end, &mut |stored| {
            if let Some(Ok((record, _))) = stored.value.map(|value| codec.decode::<T>(&value)) {
                all.push(record);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        *from = end;
        Ok(all)
    }

    fn decide(&mut self, package: &DecisionPackage, now: Timestamp) {
        let Some(made) = self.rounds.get(&package.proposal_id) else {
            return;
        };
        let (scene, is_good) = (made.scene, made.is_good);
        let left = self.until.since(now).0 / MINUTE;
        if left < scene.waiting && self.chance.happens(600) {
            // It waits still.
            return;
        }
        let is_right = self.chance.happens(920);
        let verdict = match (self.chance.happens(50), is_good == is_right) {
            (true, _) => DecisionVerdict::SendBack,
            (false, true) => DecisionVerdict::Approve,
            (false, false) => DecisionVerdict::Reject,
        };
        let (from, to) = scene.decided;
        let mut at = now.plus(Millis(self.chance.between(from * MINUTE, to * MINUTE)));
        let first = self.chance.below(7);
        let people = usize::try_from(package.approvals_needed).unwrap_or(1);
        let reviewers = scene.reviewers.iter().cycle();
        let reviewers = reviewers.skip(usize::try_from(first).unwrap_or(0));
        for (number, reviewer) in reviewers
            .take(people.min(scene.reviewers.len()))
            .enumerate()
        {
            let id = package.proposal_id.to_string();
            let digest = match self.chance.happens(15) {
                // Of another package: it is refused, and nobody notices.
                true => Digest::default(),
                false => package.package_digest,
            };
            let codes = match verdict {
                DecisionVerdict::Approve => APPROVES,
                _ => REJECTS,
            };
            let reasons = match verdict {
                DecisionVerdict::Approve => FOR,
                _ => AGAINST,
            };
            let decision = Decision {
                decision_id: format!("{reviewer}.{number}.{id}"),
                proposal_id: id,
                package_digest: digest,
                reviewer: (*reviewer).to_owned(),
                verdict,
                reason_code: self.chance.one(codes).unwrap_or_default().to_owned(),
                rationale: self.chance.one(reasons).unwrap_or_default().to_owned(),
            };
            self.think(at, Act::Decide(Box::new(decision)));
            at = at.plus(Millis(self.chance.between(2 * MINUTE, 15 * MINUTE)));
        }
    }

    fn report(&mut self, id: ProposalId, now: Timestamp) {
        let Some(made) = self.rounds.get(&id) else {
            return;
        };
        let (scene, is_good, subject) = (made.scene, made.is_good, made.subject);
        if !self.chance.happens(720) {
            return;
        }
        let kind = match (self.chance.happens(30), is_good) {
            (true, _) => ResultKind::Unknown,
            (false, true) => ResultKind::Right,
            (false, false) => ResultKind::Wrong,
        };
        let note = match kind {
            ResultKind::Right => "it went as it was said it would",
            ResultKind::Wrong => "it should not have been done",
            ResultKind::Unknown => "nobody can tell any more",
        };
        let at = now.plus(Millis(self.chance.between(30 * MINUTE, 7 * HOUR)));
        let turned = Turned {
            result_id: format!("{}.{subject}.{id}", scene.reporter),
            proposal_id: id.to_string(),
            reporter: scene.reporter.to_owned(),
            result: kind,
            basis: self
                .chance
                .one(&[Basis::Observed, Basis::Audited])
                .unwrap_or_default(),
            corrects: None,
            note: note.to_owned(),
        };
        if kind == ResultKind::Wrong && self.chance.happens(60) {
            // It was not so bad after all.
            let again = Turned {
                result_id: format!("{}.again", turned.result_id),
                result: ResultKind::Right,
                basis: Basis::Audited,
                corrects: Some(turned.result_id.clone()),
                note: "the first report was about another one".to_owned(),
                ..turned.clone()
            };
            let later = at.plus(Millis(self.chance.between(HOUR, 3 * HOUR)));
            self.think(later, Act::Report(Box::new(again)));
        }
        self.think(at, Act::Report(Box::new(turned)));
    }

    /// An id of that time.
    fn id(&mut self, at: Timestamp) -> ProposalId {
        let mut random = [0; 10];
        let (one, other) = (self.chance.number(), self.chance.number());
        let bytes = one.to_be_bytes().into_iter().chain(other.to_be_bytes());
        for (place, byte) in random.iter_mut().zip(bytes) {
            *place = byte;
        }
        let millis = u64::try_from(at.0).unwrap_or(0);
        let made = uuid::Builder::from_unix_timestamp_millis(millis, &random);
        ProposalId::from_bytes(*made.as_uuid().as_bytes())
    }
}
