//! The peer: the same job for another stream processor, if `QUORATE_PEER` names a copy of its
//! directory, built. It is driven by its own `lib.sh`, on the broker that ours runs on.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::parts::Parts;
use super::sizes::Sizes;
use super::table::Run;

/// A copy of the peer's directory, and where its broker is.
#[derive(Debug)]
pub(crate) struct Peer<'a> {
    directory: PathBuf,
    parts: &'a Parts,
}

impl<'a> Peer<'a> {
    pub(crate) fn beside(parts: &'a Parts) -> Option<Self> {
        let Some(directory) = std::env::var_os("QUORATE_PEER") else {
            eprintln!("no peer: QUORATE_PEER_DIR does not name one");
            return None;
        };
        let directory = PathBuf::from(directory);
        Some(Self { directory, parts })
    }

    /// Runs lines of shell after `lib.sh`; the last line of JSON they print.
    fn shell(&self, sizes: &Sizes, lines: &str) -> Value {
        let script = format!(
            "export ROOT=$PWD; . ./lib.sh; mkdir -p results; N={}; BS={}; BROKER_PID={}; \
             BEST='--layout agg --cache-mb 256 --threads {}'; {lines}",
            sizes.rounds, self.parts.bootstrap, self.parts.broker, sizes.engines
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(&self.directory)
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = said
            .lines()
            .rfind(|line| line.starts_with('{'))
            .unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|_| panic!("the peer says `{said}`"))
    }

    pub(crate) fn drain(&self, sizes: &Sizes) -> Run {
        let said = self.shell(
            sizes,
            "peer load --proposals $N --expected results/expected.json >&2; \
             drain eos $BEST --guarantee eos",
        );
        let number = numbers(&said, "drain");
        assert_eq!(
            said.pointer("/count/matches_oracle"),
            Some(&Value::Bool(true)),
            "{said}"
        );
        Run::new("drain", "peer")
            .with("responses/s", number("responses_per_s"))
            .with("CPU µs a response", number("cpu_us_per_response"))
            .with(
                "broker CPU µs a response",
                number("broker_cpu_us_per_response"),
            )
            .with("peak MB", number("peak_rss_mb"))
            .with("start to end s", number("total_s"))
            .with("others' cores", number("other_cores"))
    }

    pub(crate) fn live(&self, sizes: &Sizes) -> Run {
        let lines = format!(
            "live eos 2000 {} {} $BEST --guarantee eos --linger 5",
            sizes.seconds, sizes.warm
        );
        let said = self.shell(sizes, &lines);
        let number = numbers(&said, "live");
        Run::new("live", "peer")
            .with("p50 ms", number("p50_ms"))
            .with("p90 ms", number("p90_ms"))
            .with("p99 ms", number("p99_ms"))
            .with("max ms", number("max_ms"))
            .with("cores", number("streams_cores"))
            .with("broker cores", number("broker_cores"))
            .with("peak MB", number("streams_rss_mb"))
    }

    pub(crate) fn restart(&self, sizes: &Sizes) -> Run {
        let said = self.shell(sizes, "recovery eos $BEST --guarantee eos");
        let number = numbers(&said, "drain");
        let gap = said
            .get("kill_to_restart_ms")
            .and_then(Value::as_f64)
            .unwrap()
            / 1e3;
        Run::new("restart", "peer")
            .with("kill to first record s", gap + number("first_record_s"))
            .with("kill to all partitions s", gap + number("restore_end_s"))
            .with("peak MB", number("peak_rss_mb"))
    }
}

fn numbers<'v>(said: &'v Value, part: &'v str) -> impl Fn(&str) -> f64 {
    move |name| {
        let found = said.get(part).and_then(|part| part.get(name));
        found
            .and_then(Value::as_f64)
            .unwrap_or_else(|| panic!("no `{name}` in {said}"))
    }
}
