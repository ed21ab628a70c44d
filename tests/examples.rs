//! The example policies and agents: they parse, are sound, lint without an error, and their rounds
//! come to what `docs/decision.md` says, number for number.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate::wire::files;
use quorate_core::electorate;
use quorate_core::ids::Digest;
use quorate_core::lint::{Severity, lint};
use quorate_core::millionths::Millionths;
use quorate_core::policy::governing;
use quorate_core::records::{Agent, DecisionPart, Policy, Reason, Stakes, Status, Verdict};
use quorate_core::resolve::{Case, Voice, resolve};

use Verdict::{Abstain, Challenge, Endorse};

const EXAMPLES: [&str; 4] = ["bank-loan", "fraud", "marketing", "supply-chain"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn policies(example: &str) -> Vec<Policy> {
    files::policies(&read(&format!("config/policies/{example}.toml")))
        .unwrap_or_else(|error| panic!("{example}: {error}"))
}

fn agents(example: &str) -> Vec<Agent> {
    files::agents(&read(&format!("config/agents/{example}.toml")))
        .unwrap_or_else(|error| panic!("{example}: {error}"))
}

/// A round of an example: who proposes in which domain, and what everybody says how sure.
struct Told<'a> {
    example: &'a str,
    domain: &'a str,
    proposer: &'a str,
    said: &'a [(&'a str, Verdict, u32)],
}

impl Told<'_> {
    fn decide(&self) -> DecisionPart {
        self.decide_under(|_| {})
    }

    fn decide_under(&self, change: impl FnOnce(&mut Policy)) -> DecisionPart {
        let (policies, agents) = (policies(self.example), agents(self.example));
        let mut policy = governing(policies.iter(), self.domain).unwrap().clone();
        change(&mut policy);
        let agent = |id: &str| {
            let mut agents = agents.iter();
            agents.find(|agent| agent.agent_id.as_str() == id).unwrap()
        };
        let voice = |&(id, verdict, percent): &(&str, Verdict, u32)| Voice {
            agent_id: id.into(),
            response_digest: Digest::default(),
            verdict,
            confidence: Millionths::new(percent * 10_000).unwrap(),
            standing: Arc::new(electorate::standing(
                agent(id),
                self.domain,
                &policy,
                None,
                None,
            )),
            suspended: false,
        };
        let proposer = agent(self.proposer);
        resolve(&Case {
            proposal_digest: Digest::default(),
            policy: &policy,
            stakes: Stakes::Medium,
            proposer: &proposer.agent_id,
            proposer_principal: &proposer.principal,
            voices: &self.said.iter().map(voice).collect::<Vec<_>>(),
            pattern_suspended: false,
            input_lost: false,
        })
    }
}

/// Asserts status and first reason, and that the page has the row with the round's numbers.
#[track_caller]
fn assert_told(round: &str, decision: &DecisionPart, status: Status, reason: Reason) {
    let row = format!(
        "| {round} | {} | {} | {} | {} | {} |",
        decision.endorse,
        decision.challenge,
        decision.margin_reached,
        decision.margin_needed,
        symbols(decision)
    );
    assert_eq!(
        (decision.status, decision.reasons.first()),
        (status, Some(&reason)),
        "{row}"
    );
    assert!(
        read("docs/decision.md").contains(&row),
        "docs/decision.md lacks the row\n{row}"
    );
}

fn symbols(decision: &DecisionPart) -> String {
    let symbol = |value| match value {
        Ok(serde_json::Value::String(symbol)) => symbol,
        other => panic!("{other:?}"),
    };
    let reasons = decision
        .reasons
        .iter()
        .map(|reason| symbol(serde_json::to_value(reason)));
    let reasons = reasons.collect::<Vec<_>>().join(", ");
    format!(
        "{}: {reasons}",
        symbol(serde_json::to_value(decision.status))
    )
}

#[test]
fn every_file_of_an_example_has_its_counterpart() {
    for folder in ["policies", "agents"] {
        let files: BTreeSet<PathBuf> = fs::read_dir(root().join("config").join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into())
            .collect();
        let expected = EXAMPLES.map(|example| PathBuf::from(format!("{example}.toml")));
        assert_eq!(files, expected.into(), "config/{folder}");
    }
}

#[test]
fn every_example_lints_without_errors_or_warnings() {
    for example in EXAMPLES {
        let (policies, agents) = (policies(example), agents(example));
        for policy in &policies {
            let findings = lint(policy, &policies, &agents, &[]);
            let pattern = &policy.pattern;
            let serious: Vec<_> = findings
                .iter()
                .filter(|finding| finding.severity > Severity::Note)
                .collect();
            assert!(serious.is_empty(), "{pattern}: {serious:#?}");
        }
    }
}

#[test]
fn all_examples_can_be_in_force_together() {
    let policies: Vec<_> = EXAMPLES.into_iter().flat_map(policies).collect();
    let agents: Vec<_> = EXAMPLES.into_iter().flat_map(agents).collect();
    let patterns: BTreeSet<_> = policies.iter().map(|policy| &policy.pattern).collect();
    let ids: BTreeSet<_> = agents.iter().map(|agent| &agent.agent_id).collect();
    assert_eq!((patterns.len(), ids.len()), (policies.len(), agents.len()));
    for policy in &policies {
        let findings = lint(policy, &policies, &agents, &[]);
        assert!(
            findings.iter().all(|f| f.severity < Severity::Error),
            "{findings:#?}"
        );
    }
}

#[test]
fn every_example_has_reporters_and_two_reviewers_for_critical_stakes() {
    for example in EXAMPLES {
        let agents = agents(example);
        for policy in policies(example) {
            let two = agents
                .iter()
                .filter(|agent| electorate::may_review(agent, &policy.pattern, Stakes::Critical));
            assert!(two.count() >= 2, "{example}");
            assert!(
                policy
                    .reporters
                    .is_some_and(|reporters| !reporters.is_empty()),
                "{example}"
            );
        }
    }
}

fn loan<'a>(said: &'a [(&'a str, Verdict, u32)]) -> Told<'a> {
    Told {
        example: "bank-loan",
        domain: "lending",
        proposer: "loan-desk",
        said,
    }
}

#[test]
fn a_loan_is_granted_when_all_three_align_and_escalates_when_one_does_not() {
    let all = loan(&[
        ("loan-desk", Endorse, 90),
        ("credit-scorer", Endorse, 90),
        ("customer-advocate", Endorse, 80),
        ("compliance-checker", Endorse, 90),
    ]);
    assert_told(
        "all three endorse",
        &all.decide(),
        Status::Approved,
        Reason::MarginMet,
    );
    let against = loan(&[
        ("credit-scorer", Endorse, 90),
        ("customer-advocate", Endorse, 80),
        ("compliance-checker", Challenge, 90),
    ]);
    let (escalated, reason) = (Status::Escalated, Reason::MarginNotMet);
    assert_told(
        "compliance challenges",
        &against.decide(),
        escalated,
        reason,
    );
    let relaxed = against.decide_under(|p| p.quorum_margin = Millionths::new(340_000));
    assert_told("the same at a margin of 0.34", &relaxed, escalated, reason);
}

#[test]
fn a_loan_needs_each_of_the_three_heard_and_an_abstention_is_heard() {
    let silent = loan(&[
        ("credit-scorer", Endorse, 90),
        ("compliance-checker", Endorse, 90),
    ])
    .decide();
    assert_told(
        "customer experience is silent",
        &silent,
        Status::Escalated,
        Reason::RequiredMissing,
    );
    let abstains = loan(&[
        ("credit-scorer", Endorse, 90),
        ("customer-advocate", Abstain, 0),
        ("compliance-checker", Endorse, 90),
    ]);
    let decision = abstains.decide();
    assert_told(
        "customer experience abstains",
        &decision,
        Status::Approved,
        Reason::MarginMet,
    );
}

#[test]
fn a_loan_that_all_three_challenge_is_rejected() {
    let rejected = loan(&[
        ("credit-scorer", Challenge, 90),
        ("customer-advocate", Challenge, 80),
        ("compliance-checker", Challenge, 90),
    ]);
    let decision = rejected.decide();
    assert_told(
        "all three challenge",
        &decision,
        Status::Rejected,
        Reason::MarginMet,
    );
}

#[test]
fn the_fraud_expert_carries_against_a_weak_doubt_but_not_under_the_evidence_margin() {
    let said = [
        ("fraud-expert", Endorse, 95),
        ("customer-voice", Challenge, 40),
    ];
    let told = |domain| Told {
        example: "fraud",
        domain,
        proposer: "fraud-expert",
        said: &said,
    };
    let blocked = told("fraud.payments").decide();
    assert_told(
        "block: expert against a weak doubt",
        &blocked,
        Status::Approved,
        Reason::MarginMet,
    );
    let closed = told("fraud.accounts").decide();
    let round = "close the account: the same two";
    assert_told(round, &closed, Status::Escalated, Reason::MarginNotMet);
}

#[test]
fn two_who_agree_meet_the_evidence_margin() {
    let told = Told {
        example: "fraud",
        domain: "fraud.accounts",
        proposer: "fraud-expert",
        said: &[
            ("fraud-expert", Endorse, 95),
            ("device-signals", Endorse, 90),
        ],
    };
    let decision = told.decide();
    assert_told(
        "close the account: two agree",
        &decision,
        Status::Approved,
        Reason::MarginMet,
    );
}

#[test]
fn the_fraud_expert_alone_does_not_decide() {
    let told = Told {
        example: "fraud",
        domain: "fraud.payments",
        proposer: "fraud-expert",
        said: &[("fraud-expert", Endorse, 95)],
    };
    let decision = told.decide();
    assert_told(
        "block: nobody answers",
        &decision,
        Status::Escalated,
        Reason::QuorumNotMet,
    );
}

#[test]
fn a_block_the_expert_and_customer_experience_challenge_is_rejected() {
    let told = Told {
        example: "fraud",
        domain: "fraud.payments",
        proposer: "device-signals",
        said: &[
            ("device-signals", Endorse, 50),
            ("fraud-expert", Challenge, 90),
            ("customer-voice", Challenge, 80),
        ],
    };
    let round = "block: expert and customer care challenge";
    assert_told(round, &told.decide(), Status::Rejected, Reason::MarginMet);
}

fn campaign<'a>(said: &'a [(&'a str, Verdict, u32)]) -> Told<'a> {
    Told {
        example: "marketing",
        domain: "marketing",
        proposer: "campaign-planner",
        said,
    }
}

#[test]
fn equals_split_two_to_one_escalate() {
    let split = campaign(&[
        ("campaign-planner", Endorse, 90),
        ("sales-forecast", Endorse, 90),
        ("finance-controller", Challenge, 90),
    ]);
    let round = "marketing and sales against finance";
    assert_told(
        round,
        &split.decide(),
        Status::Escalated,
        Reason::MarginNotMet,
    );
}

#[test]
fn a_second_agent_of_marketing_adds_nothing_against_finance() {
    let crowd = campaign(&[
        ("campaign-planner", Endorse, 90),
        ("audience-insight", Endorse, 90),
        ("finance-controller", Challenge, 90),
    ]);
    let round = "two of marketing against finance, capped";
    assert_told(round, &crowd.decide(), Status::Escalated, Reason::Tie);
}

#[test]
fn a_campaign_all_departments_want_is_launched_and_one_only_its_planner_wants_is_not() {
    let agreed = campaign(&[
        ("campaign-planner", Endorse, 90),
        ("sales-forecast", Endorse, 90),
        ("finance-controller", Endorse, 60),
    ]);
    let decision = agreed.decide();
    assert_told(
        "all three departments endorse",
        &decision,
        Status::Approved,
        Reason::MarginMet,
    );
    let unwanted = campaign(&[
        ("campaign-planner", Endorse, 30),
        ("sales-forecast", Challenge, 90),
        ("finance-controller", Challenge, 90),
    ]);
    let round = "an unsure planner, two against";
    assert_told(
        round,
        &unwanted.decide(),
        Status::Rejected,
        Reason::MarginMet,
    );
}

fn supply<'a>(said: &'a [(&'a str, Verdict, u32)]) -> Told<'a> {
    Told {
        example: "supply-chain",
        domain: "supply",
        proposer: "norra-planner",
        said,
    }
}

#[test]
fn companies_that_agree_reroute_and_a_crowd_of_one_company_is_capped() {
    let agreed = supply(&[
        ("norra-planner", Endorse, 90),
        ("norra-forecast", Endorse, 90),
        ("kupfer-sales", Endorse, 90),
        ("hanse-dispatch", Endorse, 80),
    ]);
    let decision = agreed.decide();
    assert_told(
        "three companies agree, one capped",
        &decision,
        Status::Approved,
        Reason::MarginMet,
    );
    let crowd = supply(&[
        ("norra-planner", Endorse, 90),
        ("norra-forecast", Endorse, 90),
        ("kupfer-sales", Challenge, 90),
        ("hanse-dispatch", Endorse, 80),
    ]);
    let round = "manufacturer and carrier against the supplier";
    assert_told(
        round,
        &crowd.decide(),
        Status::Escalated,
        Reason::MarginNotMet,
    );
}

#[test]
fn one_other_company_is_too_few() {
    let two = supply(&[
        ("norra-planner", Endorse, 90),
        ("kupfer-sales", Endorse, 90),
    ]);
    let decision = two.decide();
    assert_told(
        "only one other company answers",
        &decision,
        Status::Escalated,
        Reason::QuorumNotMet,
    );
}

#[test]
fn the_laboratory_bars_what_companies_agree_on() {
    let barred = supply(&[
        ("norra-planner", Endorse, 90),
        ("kupfer-sales", Endorse, 90),
        ("hanse-dispatch", Endorse, 80),
        ("safety-lab", Challenge, 60),
    ]);
    let decision = barred.decide();
    assert_told(
        "the laboratory challenges",
        &decision,
        Status::Escalated,
        Reason::Veto,
    );
}

#[test]
fn what_supplier_and_laboratory_challenge_is_rejected() {
    let rejected = supply(&[
        ("norra-planner", Endorse, 30),
        ("kupfer-sales", Challenge, 90),
        ("safety-lab", Challenge, 90),
    ]);
    let round = "supplier and laboratory against an unsure plan";
    assert_told(
        round,
        &rejected.decide(),
        Status::Rejected,
        Reason::MarginMet,
    );
}

#[test]
fn every_case_in_examples_resolves_from_the_command_line() {
    for (file, status) in [("block-payment", "APPROVED"), ("grant-loan", "ESCALATED")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{file}.json"));
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_quorate"))
            .arg("resolve")
            .arg(path)
            .output()
            .unwrap();
        let words = String::from_utf8(run.stdout).unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        assert!(words.starts_with(status), "{file}: {words}");
    }
}

#[test]
fn a_reader_who_has_had_enough_of_an_answer_is_no_failure() {
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args([
            "policies",
            "lint",
            "config/policies/fraud.toml",
            "--output",
            "json",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(run.stdout.take());
    let ended = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.is_empty(), "{said}");
    assert!(ended.status.success());
}
