//! What a blackboard takes, and what the gateway costs: over HTTP as an agent meets it.
//!
//! `scripts/bench.sh gateway` calls it (`cargo bench --bench gateway -- STAGE…`); stages are `file`,
//! `respond`, `inboxes` and `console`. A line of JSON is printed for each run, and a table of medians at the end.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot run should stop"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod client;
mod console;
mod file;
mod house;
mod inboxes;
#[path = "../kafka/meter.rs"]
#[expect(dead_code, reason = "not all of it is asked for here")]
mod meter;
#[path = "../kafka/parts.rs"]
mod parts;
mod respond;
#[path = "../kafka/running.rs"]
mod running;
#[path = "../kafka/table.rs"]
#[expect(dead_code, reason = "not all of it is asked for here")]
mod table;

use inboxes::By;
use parts::Parts;
use table::Table;

const STAGES: [&str; 4] = ["file", "respond", "inboxes", "console"];

/// A number the environment gives, or the usual one; with `SMALL=1` a little one.
fn number(name: &str, usual: usize, little: usize) -> usize {
    let small = std::env::var("SMALL").is_ok_and(|value| value == "1");
    let named = std::env::var(name).ok();
    let usual = if small { little } else { usual };
    named.map_or(usual, |text| text.parse().unwrap())
}

fn main() {
    let named: Vec<String> = std::env::args().skip(1).collect();
    // What `cargo bench` adds by itself is not a stage.
    let named = named.iter().map(String::as_str);
    let mut stages: Vec<&str> = named.filter(|name| !name.starts_with("--")).collect();
    if stages.is_empty() {
        stages = STAGES.to_vec();
    }
    let parts = stages.contains(&"respond").then(Parts::start);
    let mut table = Table::default();
    for stage in stages {
        for _ in 0..number("REPEATS", 3, 1) {
            match stage {
                "file" => file::all(&mut table),
                "console" => console::all(&mut table),
                "respond" => {
                    for log in [None, parts.as_ref()] {
                        table.add(respond::at_a_rate(log));
                    }
                }
                "inboxes" => {
                    for by in [By::Polls, By::Events] {
                        table.add(inboxes::open(by));
                    }
                }
                other => panic!("`{other}` is not one of {STAGES:?}"),
            }
        }
    }
    print!("{table}");
}
