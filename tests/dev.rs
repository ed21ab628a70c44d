//! `quorate dev` as its own banner says it is used: whatever is pasted from there works.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use quorate::transport::blackboard::Blackboard;
use quorate_core::records::{Agent, Outcome};
use quorate_core::topic::Topic;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::oracle::Log;
use crate::support::place::Place;
use crate::support::until;

/// A process that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _status = self.0.wait();
    }
}

/// `quorate dev` in an empty folder, and what it said.
struct Dev {
    folder: TempDir,
    running: Running,
    said: String,
}

impl Dev {
    fn start() -> Self {
        Self::told(&["--every", "1"])
    }

    fn told(besides: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("said");
        let child = Command::new(env!("CARGO_BIN_EXE_quorate"))
            .arg("dev")
            .args(besides)
            .current_dir(folder.path())
            .stdout(File::create(&path).unwrap())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let running = Running(child);
        let said = || fs::read_to_string(&path).unwrap();
        until("the banner", || said().contains("Ctrl-C"));
        Self {
            said: said(),
            folder,
            running,
        }
    }

    /// The line of the banner that begins so, in a shell.
    fn paste(&self, begins: &str) -> Command {
        let mut lines = self.said.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(begins)).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec {line}")]);
        shell.current_dir(self.folder.path());
        shell
    }

    fn curl(&self, name: &str, path: &str) -> Value {
        let at = self.said.find("http://").unwrap();
        let address = self.said[at..].split_whitespace().next().unwrap();
        let output = Command::new("curl")
            .args(["-s", "-H", &format!("Authorization: Bearer {name}")])
            .arg(format!("{address}{path}"))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn log(&self) -> Log {
        let file = self.folder.path().join("quorate-dev/blackboard.db");
        let board = Blackboard::open(&file).unwrap();
        let partitions = board.partitions();
        Log::at(Place::Blackboard(board), partitions)
    }

    fn agent(&self, name: &str) -> Option<Agent> {
        let rows = self.log().read(Topic::Agents, 0);
        let mut agents = rows.iter().map(|row| self.log().decode::<Agent>(row));
        agents.find(|agent| agent.agent_id.as_str() == name)
    }
}

#[test]
fn the_pasted_agent_has_a_vote_in_an_outcome() {
    let dev = Dev::start();
    let _agent = Running(dev.paste("python3 ").stdout(Stdio::null()).spawn().unwrap());
    let log = dev.log();
    until("its vote in an outcome", || {
        let outcomes = log.read(Topic::Outcomes, 0);
        let mut outcomes = outcomes.iter().map(|one| log.decode::<Outcome>(one));
        outcomes.any(|outcome| {
            let mut ballots = outcome.decision.ballots.iter();
            ballots.any(|ballot| ballot.agent_id.as_str() == "my-agent" && ballot.counted)
        })
    });
    let guest = dev.agent("my-agent").unwrap();
    assert_eq!(guest.principal, "my-agent");
    assert_eq!(guest.domains[0].authority.to_string(), "0.300000");
    assert!(guest.domains[0].prior.is_none() && guest.reviews.is_empty());
}

#[test]
fn the_pasted_lines_say_what_they_promise() {
    let mut dev = Dev::start();
    let asked = dev.paste("curl ").output().unwrap();
    let asked: Value = serde_json::from_slice(&asked.stdout).unwrap();
    assert_eq!(asked["rounds"][0]["proposal"]["domain"], "sample.refunds");
    let told = Command::new("sh")
        .args([
            "-c",
            "exec \"$0\" --blackboard quorate-dev/blackboard.db watch --count 1",
        ])
        .arg(env!("CARGO_BIN_EXE_quorate"))
        .current_dir(dev.folder.path())
        .output()
        .unwrap();
    assert!(told.status.success());
    // Told to stop it does, and what was said is there when it is started again.
    let pid = dev.running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert!(dev.running.0.wait().unwrap().success());
    assert!(!dev.log().read(Topic::Outcomes, 0).is_empty());
}

#[test]
fn two_sample_days_are_as_the_engine_decides_and_fill_every_page() {
    let dev = Dev::told(&["--sample"]);
    let token = fs::read_to_string(dev.folder.path().join("quorate-dev/you.token")).unwrap();
    let ask = |path: &str| dev.curl(token.trim(), path);
    let count = |path: &str, name: &str| {
        let told = ask(path);
        told[name]
            .as_array()
            .unwrap_or_else(|| panic!("{path}: {told}"))
            .len()
    };
    // A second implementation comes to the same, to the last record.
    let file = dev.folder.path().join("quorate-dev/blackboard.db");
    let verified = Command::new("python3")
        .args(["-m", "reference.history", "--blackboard"])
        .arg(&file)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/spec"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stdout);
    assert!(
        verified.status.success() && said.contains("\n0 broken"),
        "{said}"
    );
    assert!(count("/v1/outcomes?limit=1000", "outcomes") > 200);
    // So does a replay by the rules as they were, of rounds that had ended when it began.
    let replayed = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["replay", "--output", "json", "--blackboard"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    let replayed: Value = serde_json::from_slice(&replayed.stdout).unwrap();
    let of = |what: &str| replayed["recorded"][what].as_u64().unwrap();
    let recorded = of("approved") + of("rejected") + of("escalated");
    assert!(recorded > 200 && of("known") > 0, "{recorded}");
    let flips = replayed["flips"].as_array().unwrap();
    assert!(
        flips.iter().all(|flip| flip["from"].is_null()),
        "{flips:#?}"
    );
    for by in ["HUMAN", "TIMEOUT"] {
        let some = format!("/v1/outcomes?resolved_by={by}");
        assert!(count(&some, "outcomes") > 0, "{by}");
    }
    let waiting = ask("/v1/escalations?limit=1000")["escalations"].take();
    let due: std::collections::BTreeSet<i64> = waiting
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["due"].as_i64().unwrap())
        .collect();
    assert!(due.len() >= 8, "{waiting:#}");
    assert!(count("/v1/dead-letters/codes", "codes") >= 6);
    assert!(count("/v1/agents?status=SUSPENDED", "agents") == 1);
    for kind in ["decision", "result", "suspension", "agent", "policy"] {
        assert!(
            count(&format!("/v1/audit?kind={kind}"), "actions") > 0,
            "{kind}"
        );
    }
    let tried = ask("/v1/policies/shadow")["policies"][0].take();
    assert!(tried["wrong"]["of"].as_i64() > Some(5), "{tried:#}");
    let liar = ask("/v1/agents/wire-watcher/trust")["domains"][0].take();
    let expert = ask("/v1/agents/fraud-expert/trust")["domains"][0].take();
    let last = |track: &Value| track["steps"].as_array().unwrap().last().unwrap()["trust"].as_f64();
    assert!(
        last(&liar) < last(&expert),
        "who endorses everything is believed less"
    );
    let some = &ask("/v1/outcomes?limit=1")["outcomes"][0]["proposal_id"];
    let records = format!("/v1/rounds/{}/records", some.as_str().unwrap());
    assert!(count(&records, "records") > 3);
}

#[test]
fn a_guest_speaks_in_its_own_name_only() {
    let dev = Dev::start();
    for name in ["refund-rules", "you", "refund-desk"] {
        assert_eq!(
            dev.curl(name, "/v1/inbox")["code"],
            "not_yourself",
            "{name}"
        );
    }
    assert_eq!(dev.curl("No Name", "/v1/inbox")["code"], "unauthenticated");
    assert!(dev.agent("No Name").is_none());
    let token = fs::read_to_string(dev.folder.path().join("quorate-dev/you.token")).unwrap();
    assert_eq!(dev.curl(&token, "/v1/inbox")["code"], "role_missing");
}

#[test]
fn it_is_not_served_to_other_machines() {
    let folder = TempDir::new().unwrap();
    let refused = refused(folder.path(), "0.0.0.0:0");
    assert!(
        refused.contains("can be reached from elsewhere"),
        "{refused}"
    );
    assert!(!folder.path().join("quorate-dev").exists());
}

fn refused(folder: &Path, listen: &str) -> String {
    let answer = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["dev", "--listen", listen])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(!answer.status.success());
    String::from_utf8(answer.stderr).unwrap()
}
