//! Trust against golden files: whole histories, vote by vote, as another implementation saw them.
//!
//! A directory holds `votes.csv`, `truth.csv` and any number of `golden*.json`, each one run of
//! the rule over them. E, C, n, the status and trust must be equal; p, a, b and ln m to 1e-9. The
//! directory is `tests/golden`, whose data are made up, or the one that `GOLDEN` names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate_core::electorate::Standing;
use quorate_core::ids::{AgentId, Digest, Millis, Offset, ProposalId, Timestamp};
use quorate_core::millionths::{Millionths, Sum};
use quorate_core::records::{
    ApprovalsNeeded, Basis, Coordinates, Lesson, Mode, OnDecisionTimeout, Pins, Policy, ResultKind,
    Revision, Stakes, Status, TrustScore, TrustUpdate, Verdict,
};
use quorate_core::resolve::{Case, Voice, resolve};
use quorate_core::trust::{Fold, NEWCOMER_A, NEWCOMER_B, State, fold};
use serde::Deserialize;

/// One run of the rule over a directory's votes.
#[derive(Deserialize)]
struct Golden {
    half_life: Option<f64>,
    target_error: f64,
    steps: Vec<Step>,
    r#final: BTreeMap<String, Final>,
}

/// What one item came to, before its result was learnt.
#[derive(Deserialize)]
struct Step {
    item: String,
    truth: u8,
    endorse: u64,
    challenge: u64,
    n: i32,
    p: f64,
    status: Status,
}

/// An agent's record in the end.
#[derive(Deserialize)]
struct Final {
    trust: u64,
    a: i64,
    b: i64,
    ln_m: i64,
}

type Ballots = BTreeMap<String, Vec<Lesson>>;
type Scores = BTreeMap<AgentId, TrustScore>;

#[test]
fn trust_moves_exactly_as_in_the_golden_files() {
    let named = std::env::var_os("GOLDEN").map(PathBuf::from);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = named.unwrap_or(own);
    let (ballots, truth) = (read_ballots(&folder), read_truth(&folder));
    let files = golden_files(&folder);
    assert!(!files.is_empty(), "no golden*.json in {}", folder.display());
    for file in files {
        let golden: Golden = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        let steps = golden.steps.iter();
        let known: BTreeMap<_, _> = steps.map(|step| (step.item.clone(), step.truth)).collect();
        assert_eq!(
            known,
            truth,
            "{}: the run is of another truth",
            file.display()
        );
        compare(&golden, &ballots, &file.display().to_string());
        println!(
            "{}: {} items, {} agents: equal in E, C, n, status and trust; p, a, b, ln m to 1e-9",
            file.display(),
            golden.steps.len(),
            golden.r#final.len(),
        );
    }
}

fn golden_files(folder: &Path) -> Vec<PathBuf> {
    let is_golden = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with("golden") && name.ends_with(".json")
    };
    let entries = fs::read_dir(folder).expect("the directory of golden files");
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = paths.filter(is_golden).collect();
    files.sort();
    files
}

/// The votes by item; a confidence there is a probability of being right, and none means 1.
fn read_ballots(folder: &Path) -> Ballots {
    let text = fs::read_to_string(folder.join("votes.csv")).expect("votes.csv");
    let mut ballots = Ballots::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [item, agent, vote, probability, _] = fields[..] else {
            panic!("five fields are expected in `{line}`")
        };
        let confidence = match probability {
            "" => 1.0,
            text => (2.0 * text.parse::<f64>().unwrap() - 1.0).max(0.0),
        };
        ballots.entry(item.into()).or_default().push(Lesson {
            agent_id: agent.into(),
            verdict: if vote == "1" {
                Verdict::Endorse
            } else {
                Verdict::Challenge
            },
            confidence: Millionths::admit(confidence).unwrap(),
            authority: Millionths::ONE,
            a0: NEWCOMER_A,
            b0: NEWCOMER_B,
            start: None,
        });
    }
    ballots
}

/// Whether each item turned out right.
fn read_truth(folder: &Path) -> BTreeMap<String, u8> {
    let text = fs::read_to_string(folder.join("truth.csv")).expect("truth.csv");
    let pairs = text
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap());
    pairs
        .map(|(item, truth)| (item.into(), truth.parse().unwrap()))
        .collect()
}

fn compare(golden: &Golden, ballots: &Ballots, file: &str) {
    let policy = policy(golden);
    let mut scores = Scores::new();
    for step in &golden.steps {
        let at = format!("{file}, {}", step.item);
        let ballots = ballots.get(&step.item).cloned().unwrap_or_default();
        let decided = decide(&policy, &scores, &ballots);
        let learnt = learn(&policy, &mut scores, step, ballots);
        assert_eq!(
            decided,
            (step.endorse, step.challenge, step.n, step.status),
            "{at}"
        );
        let folded = (
            learnt.endorse.get(),
            learnt.challenge.get(),
            learnt.n as u64,
        );
        assert_eq!(
            folded,
            (step.endorse, step.challenge, step.n as u64),
            "{at}"
        );
        assert!((learnt.p - step.p).abs() <= 1e-9, "{at}: p is {}", learnt.p);
    }
    for (agent, expected) in &golden.r#final {
        let at = format!("{file}, {agent}");
        let newcomer = State::newcomer();
        let score = scores.get(agent.as_str());
        let state = score.map_or(newcomer, State::from);
        let trust = score.map_or_else(|| newcomer.trust(), |score| score.trust);
        assert_eq!(trust.get(), expected.trust, "{at}");
        let pairs = [
            (state.a, expected.a),
            (state.b, expected.b),
            (state.ln_m, expected.ln_m),
        ];
        assert!(
            pairs
                .iter()
                .all(|(ours, theirs)| ours.abs_diff(*theirs) <= 1),
            "{at}: {pairs:?}"
        );
    }
    let known = scores
        .keys()
        .all(|agent| golden.r#final.contains_key(agent.as_str()));
    assert!(known, "{file}: somebody learnt who did not vote");
}

/// What the round comes to with the trust in force: E, C, n and the status.
fn decide(policy: &Policy, scores: &Scores, ballots: &[Lesson]) -> (u64, u64, i32, Status) {
    let voices: Vec<Voice> = ballots.iter().map(|ballot| voice(scores, ballot)).collect();
    let decision = resolve(&Case {
        proposal_digest: Digest::default(),
        policy,
        stakes: Stakes::Low,
        proposer: &"nobody".into(),
        proposer_principal: "nobody",
        voices: &voices,
        pattern_suspended: false,
        input_lost: false,
    });
    (
        decision.endorse.get(),
        decision.challenge.get(),
        decision.n,
        decision.status,
    )
}

fn voice(scores: &Scores, ballot: &Lesson) -> Voice {
    let score = scores.get(&ballot.agent_id);
    Voice {
        agent_id: ballot.agent_id.clone(),
        response_digest: Digest::default(),
        verdict: ballot.verdict,
        confidence: ballot.confidence,
        standing: Arc::new(Standing {
            qualified: true,
            authority: ballot.authority,
            trust: score.map_or_else(|| State::newcomer().trust(), |score| score.trust),
            trust_revision: score.map_or(0, |score| score.revision),
            principal: ballot.agent_id.as_str().into(),
            model_family: None,
            required: 0,
            veto: false,
            a0: ballot.a0,
            b0: ballot.b0,
            start: None,
        }),
        suspended: false,
    }
}

/// Folds the item's result into the scores.
fn learn(policy: &Policy, scores: &mut Scores, step: &Step, ballots: Vec<Lesson>) -> Fold {
    let update = TrustUpdate {
        trust_domain: policy.trust_domain.clone(),
        proposal_id: ProposalId::from_bytes([0; 16]),
        result_id: step.item.clone(),
        result_digest: Digest::default(),
        reporter: "truth.csv".into(),
        result: if step.truth == 1 {
            ResultKind::Right
        } else {
            ResultKind::Wrong
        },
        basis: Basis::Observed,
        corrects: None,
        half_life: policy.half_life,
        decision_digest: Digest::default(),
        outcome: nowhere(),
        result_offset: Offset(0),
        result_time: Timestamp(0),
        agents_offset: Offset(0),
        ballots,
    };
    let fold = fold(&update, (0, Offset(0)), |agent| scores.get(agent));
    for score in &fold.scores {
        scores.insert(score.agent_id.clone(), score.clone());
    }
    fold
}

fn nowhere() -> Coordinates {
    Coordinates {
        partition: 0,
        proposal_offset: Offset(0),
        proposal_time: Timestamp(0),
        deadline: Timestamp(0),
        closing_offset: Offset(0),
        closing_time: Timestamp(0),
        closed_early: false,
        pins: Pins::NONE,
        superseded: vec![],
        judged: vec![],
        traceparent: None,
    }
}

/// A number of a golden file that is whole, or made so.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the files hold small numbers"
)]
const fn whole(x: f64) -> i32 {
    x as i32
}

/// The evidence margin alone: no gate that the golden files know nothing of.
fn policy(golden: &Golden) -> Policy {
    let error = golden.target_error;
    let unit = (1e6 * ((1.0 - error) / error).ln() / 99_f64.ln() - 1e-9).ceil();
    Policy {
        pattern: "golden".into(),
        quorum_margin: None,
        target_error: Some(Millionths::admit(error).unwrap()),
        evidence_unit: Sum::new(u64::try_from(whole(unit)).unwrap()),
        min_responders: 1,
        min_weight: Millionths::ZERO,
        min_confidence: Millionths::ZERO,
        escalate_at_stakes: Stakes::High,
        stakes_floor: vec![],
        proposer_counts: true,
        required_domains: vec![],
        veto_domains: vec![],
        max_share_per_principal: Millionths::ONE,
        max_share_per_model_family: Millionths::ONE,
        deadline_default: Millis(60_000),
        deadline_min: Millis(1_000),
        deadline_max: Millis(604_800_000),
        revision: Revision::Last,
        early_close: false,
        approvals_needed: ApprovalsNeeded {
            low: 1,
            medium: 1,
            high: 1,
            critical: 2,
        },
        decision_deadline: Millis(259_200_000),
        on_decision_timeout: OnDecisionTimeout::Reject,
        reporters: None,
        self_report: false,
        result_window: Millis(2_592_000_000),
        max_open_per_proposer: 100,
        action_types: None,
        mode: Mode::Live,
        trust_domain: "golden".into(),
        half_life: golden.half_life.map(whole),
        digest: Digest::default(),
    }
}
