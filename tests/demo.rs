//! The days that `make demo` plays on `quorate dev`, and `make demo-kafka` on the broker and registry
//! of the tests: what they show is what lies on the log, their lines say so, and nothing that was
//! started outlives them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use quorate::wire::files;
use quorate_core::lint::{Severity, lint};
use serde_json::Value;

use crate::support::{House, parts};

/// What agents have to answer, in seconds: enough for a machine that has much else to do.
const ANSWER_IN: &str = "12";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const BANK: &str = "examples/bank/day.json";
const DAYS: [&str; 3] = [
    BANK,
    "examples/supply-chain/day.json",
    "examples/marketing/day.json",
];

fn day(file: &str) -> Value {
    let text = fs::read_to_string(root().join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn said(output: Output, what: &str) -> String {
    let said = String::from_utf8(output.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}\n{said}\n{complaint}");
    said
}

/// A play that was played: what it printed, and the log it left.
struct Played {
    house: House,
    days: Vec<Value>,
    said: String,
}

impl Played {
    /// The bank's day, on Kafka.
    fn on_kafka() -> Self {
        let (house, parts) = (House::bare(), parts());
        let prefix = house.prefix.clone();
        let places = [
            "--bootstrap",
            &parts.bootstrap,
            "--registry",
            &parts.registry,
        ];
        let log = [places, ["--prefix", &prefix, "--pace", "0"]].concat();
        Self::play(house, &log, crate::support::python(), &[BANK])
    }

    /// All days, on `quorate dev`.
    fn on_dev() -> Self {
        let house = House::bare_on_blackboard();
        let folder = house.file().parent().unwrap().to_str().unwrap().to_owned();
        Self::play(house, &["--dev", &folder, "--pace", "0"], "python3", &DAYS)
    }

    fn play(house: House, log: &[&str], python: &str, days: &[&str]) -> Self {
        let output = Command::new("python3")
            .arg(root().join("scripts/demo"))
            .args(log)
            .args(["--answer-in", ANSWER_IN])
            .arg(env!("CARGO_BIN_EXE_quorate"))
            .arg(python)
            .output()
            .unwrap();
        let said = said(output, "scripts/demo");
        let days = days.iter().map(|file| day(file)).collect();
        Self { house, days, said }
    }

    /// What the play has of a scene.
    fn script(&self, shows: &str) -> &Value {
        let acts = self.days.iter();
        let acts = acts.flat_map(|day| day["acts"].as_array().unwrap());
        let mut scenes = acts.flat_map(|act| act["scenes"].as_array().unwrap());
        scenes.find(|scene| scene["shows"] == shows).unwrap()
    }

    /// What was printed of a scene: from its title to the next one's.
    fn scene(&self, shows: &str) -> Scene<'_> {
        let title = self.script(shows)["title"].as_str().unwrap();
        let (_, after) = self.said.split_once(&format!("\n  {title}\n")).unwrap();
        let mut ids = after.match_indices("  round ");
        let (_, rest) = after.split_once("  round ").unwrap();
        let id = rest.lines().next().unwrap();
        let end = ids.nth(1).map_or(after.len(), |(at, _)| at);
        let told = &after[..end];
        let outcomes = self.house.records_so_far("outcomes", id);
        Scene { id, told, outcomes }
    }
}

struct Scene<'a> {
    id: &'a str,
    told: &'a str,
    outcomes: Vec<Value>,
}

impl Scene<'_> {
    /// Asserts status and first reason by the log, and that they were told.
    #[track_caller]
    fn came_to(&self, status: &str, reason: &str) {
        let decision = &self.outcomes[0]["decision"];
        assert_eq!(decision["status"], status, "{decision:#}");
        assert_eq!(decision["reasons"][0], reason, "{decision:#}");
        assert_eq!(decision["resolved_by"], "PROTOCOL");
        self.tells(&format!("    {status}: "));
        self.tells(reason);
        let of = |field: &str| decision[field].as_f64().unwrap();
        self.tells(&format!(
            "for {:.3}, against {:.3}; margin {:.3}, needed {:.3}",
            of("E"),
            of("C"),
            of("margin_reached"),
            of("margin_needed"),
        ));
        for ballot in decision["ballots"].as_array().unwrap() {
            self.tells(&vote(ballot));
        }
    }

    /// Asserts that a person had the last word, by the log, and that this was told.
    #[track_caller]
    fn was_ended(&self, script: &Value, status: &str) {
        assert_eq!(self.outcomes.len(), 2, "{:#?}", self.outcomes);
        let last = &self.outcomes[1];
        let decision = &last["decision"];
        assert_eq!(decision["resolved_by"], "HUMAN");
        assert_eq!(decision["status"], status);
        let reviewer = script["decision"]["reviewer"].as_str().unwrap();
        assert_eq!(last["coordinates"]["judged"][0]["reviewer"], reviewer);
        self.tells(&format!("    {reviewer} "));
        self.tells(&format!("    {status} by a person"));
        self.tells("Decision package ");
    }

    #[track_caller]
    fn tells(&self, text: &str) {
        assert!(
            self.told.contains(text),
            "`{text}` is not in\n{}",
            self.told
        );
    }

    fn ballot(&self, agent: &str) -> &Value {
        let ballots = self.outcomes[0]["decision"]["ballots"].as_array().unwrap();
        ballots.iter().find(|b| b["agent_id"] == agent).unwrap()
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// How a ballot is told.
fn vote(ballot: &Value) -> String {
    let text = |field: &str| ballot[field].as_str().unwrap();
    let says = match text("verdict") {
        "ENDORSE" => "endorses",
        "CHALLENGE" => "challenges",
        other => panic!("nobody says {other}"),
    };
    let weighed = match ballot["reason"].as_str() {
        Some("suspended") => "suspended: weighs nothing".to_owned(),
        Some("observer") => "no vote here".to_owned(),
        Some(other) => panic!("nobody is {other}"),
        None => format!(
            "{:9.2} × {:10.2} × {:5.3} = {:6.3}",
            number(&ballot["authority"]),
            number(&ballot["confidence"]),
            number(&ballot["trust"]),
            number(&ballot["weight"])
        ),
    };
    format!("    {:20}{says:12}{weighed}", text("agent_id"))
}

/// Processes whose command line holds a text.
fn running(text: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(text)).collect()
}

#[test]
fn a_day_at_a_bank_shows_what_lies_on_the_log() {
    let played = Played::on_kafka();
    assert_eq!(running(&played.house.prefix), [] as [String; 0]);
    bank(&played);
    kcat_reads_the_outcomes(&played);
}

#[test]
fn what_is_played_on_dev_shows_what_lies_in_the_file() {
    let played = Played::on_dev();
    let file = played.house.file().to_str().unwrap().to_owned();
    assert_eq!(running(&file), [] as [String; 0]);
    bank(&played);
    supply_chain(&played);
    marketing(&played);
    let (_, console) = played.said.split_once("Where people decide").unwrap();
    assert!(console.contains("/console/\n") && console.contains("Policies: "));
    explained(&played, &file);
}

fn bank(played: &Played) {
    lines_are_for_people(&played.said);

    let approval = played.scene("approval");
    approval.came_to("APPROVED", "MARGIN_MET");
    played.scene("rejection").came_to("REJECTED", "MARGIN_MET");

    let disagreement = played.scene("disagreement");
    disagreement.came_to("ESCALATED", "MARGIN_NOT_MET");
    disagreement.was_ended(played.script("disagreement"), "REJECTED");
    disagreement.tells("strongest against  compliance-checker: ");

    let stakes = played.scene("stakes");
    stakes.came_to("ESCALATED", "HIGH_STAKES");
    assert_eq!(stakes.outcomes[0]["decision"]["reasons"][1], "MARGIN_MET");
    stakes.was_ended(played.script("stakes"), "APPROVED");

    newcomer(played);
    suspension(played);
    learning(played);
    for shows in ["approval", "rejection", "learning"] {
        assert_eq!(played.scene(shows).outcomes.len(), 1, "{shows}");
    }
}

/// Companies are counted, not their agents, and who answers for safety can stop.
fn supply_chain(played: &Played) {
    let companies = played.scene("companies");
    companies.came_to("APPROVED", "MARGIN_MET");
    assert_eq!(companies.outcomes.len(), 1);

    let crowd = played.scene("crowd");
    crowd.came_to("ESCALATED", "QUORUM_NOT_MET");
    crowd.was_ended(played.script("crowd"), "REJECTED");

    let veto = played.scene("veto");
    veto.came_to("ESCALATED", "VETO");
    veto.was_ended(played.script("veto"), "REJECTED");
    veto.tells("pivotal            safety-lab: without it APPROVED");
}

/// Finance must have been heard, whatever marketing's agents weigh together.
fn marketing(played: &Played) {
    let campaign = played.scene("campaign");
    campaign.came_to("APPROVED", "MARGIN_MET");
    assert_eq!(campaign.outcomes.len(), 1);

    let unasked = played.scene("unasked");
    unasked.came_to("ESCALATED", "REQUIRED_MISSING");
    unasked.was_ended(played.script("unasked"), "REJECTED");
    unasked.tells("silent             finance-controller");
}

/// The file is still there for what the last line says, as it was printed.
fn explained(played: &Played, file: &str) {
    let (_, line) = played.said.rsplit_once("\n\n").unwrap();
    assert!(line.contains("explain") && line.contains(file), "{line}");
    let mut command = Command::new("sh");
    let output = command.args(["-c", line]).current_dir(root()).output();
    let explained = said(output.unwrap(), line);
    assert!(explained.contains("APPROVED"), "{explained}");
}

fn lines_are_for_people(said: &str) {
    assert!(!said.contains('\u{1b}'), "colour, and no terminal");
    for line in said.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

/// As sure as anybody and with full authority, it weighs less than a quarter of that.
fn newcomer(played: &Played) {
    let scene = played.scene("newcomer");
    scene.came_to("ESCALATED", "UNPROVEN");
    scene.was_ended(played.script("newcomer"), "APPROVED");
    let ballot = scene.ballot("pattern-scout");
    assert_eq!(ballot["verdict"], "ENDORSE");
    assert_eq!(ballot["counted"], true);
    assert_eq!(ballot["trust"], 0.150_844);
    assert_eq!(ballot["authority"], 1.0);
    assert!(number(&ballot["weight"]) < number(&ballot["confidence"]) / 4.0);
}

fn suspension(played: &Played) {
    let scene = played.scene("suspension");
    scene.came_to("ESCALATED", "SUSPENDED");
    scene.was_ended(played.script("suspension"), "REJECTED");
    let ballot = scene.ballot("device-signals");
    assert_eq!(ballot["reason"], "suspended");
    assert_eq!(ballot["counted"], false);
    assert_eq!(ballot["weight"], 0.0);
    // It had voted and counted before.
    let before = played.scene("stakes");
    assert_eq!(before.ballot("device-signals")["counted"], true);
    assert!(played.said.contains("duty-officer suspends device-signals"));
}

/// A wrong result moves trust down, a right one up, and the next round weighs by it.
fn learning(played: &Played) {
    let scores = played.house.records("trust", None, 4);
    let told = |agent: &str, from: &Scene<'_>, way: &str| {
        let score = scores.iter().find(|score| score["agent_id"] == agent);
        let after = number(&score.unwrap()["trust"]);
        let before = number(&from.ballot(agent)["trust"]);
        assert_eq!(after > before, way == "▲", "{agent}: {before} to {after}");
        let line = format!("    trust of {agent:20} {before:.3} → {after:.3} {way}\n");
        assert!(played.said.contains(&line), "{line}{}", played.said);
        after
    };
    let wrong = played.scene("stakes");
    let lowered = told("fraud-expert", &wrong, "▼");
    told("device-signals", &wrong, "▼");
    let right = played.scene("newcomer");
    let raised = told("pattern-scout", &right, "▲");
    told("customer-voice", &right, "▲");
    let scene = played.scene("learning");
    scene.came_to("ESCALATED", "MARGIN_NOT_MET");
    assert_eq!(number(&scene.ballot("fraud-expert")["trust"]), lowered);
    assert_eq!(number(&scene.ballot("pattern-scout")["trust"]), raised);
}

/// The line as it was printed, in a shell.
fn kcat_reads_the_outcomes(played: &Played) {
    let (_, from) = played.said.split_once("    kcat ").unwrap();
    let (line, _) = from.split_once("\n\n").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("kcat {line}")])
        .current_dir(root())
        .output()
        .unwrap();
    let read = said(output, line);
    let read: Vec<Value> = read
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended = [
        ("approval", 1),
        ("rejection", 1),
        ("disagreement", 2),
        ("stakes", 2),
        ("newcomer", 2),
        ("suspension", 2),
        ("learning", 1),
    ];
    assert_eq!(read.len(), 11);
    for (shows, count) in ended {
        let scene = played.scene(shows);
        let of_round = read.iter().filter(|one| one["proposal_id"] == scene.id);
        let statuses: Vec<_> = of_round.map(|one| &one["decision"]["status"]).collect();
        let on_log: Vec<_> = scene
            .outcomes
            .iter()
            .map(|one| &one["decision"]["status"])
            .collect();
        assert_eq!((statuses.len(), &statuses), (count, &on_log), "{shows}");
    }
}

#[test]
fn the_days_own_files_lint_without_errors_or_warnings() {
    let days = DAYS.map(day);
    let read = |kind: &str| -> Vec<String> {
        let files = days.iter().flat_map(|day| day[kind].as_array().unwrap());
        let read = |file: &Value| fs::read_to_string(root().join(file.as_str().unwrap())).unwrap();
        files.map(read).collect()
    };
    let agents = read("agents").join("\n");
    let agents = files::agents(&agents).unwrap();
    let policies = files::policies(&read("policies").join("\n")).unwrap();
    for policy in &policies {
        let findings = lint(policy, &policies, &agents, &[]);
        let serious: Vec<_> = findings
            .iter()
            .filter(|finding| finding.severity > Severity::Note)
            .collect();
        assert!(serious.is_empty(), "{}: {serious:#?}", policy.pattern);
    }
}
