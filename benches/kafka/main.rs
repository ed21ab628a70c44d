//! What a processor does on a real broker, beside the peer and beside a bare reader.
//!
//! `scripts/bench.sh` calls it (`cargo bench --bench kafka -- STAGE…`); stages are `drain`, `live`,
//! `silence` and `restart`. Runs of one stage are interleaved; a line of JSON is printed for each,
//! and a table of medians at the end.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a bench that cannot run should stop"
)]
#![expect(clippy::cast_precision_loss, reason = "figures for people")]

mod drain;
mod house;
mod live;
mod load;
mod meter;
mod mover;
mod parts;
mod peer;
mod progress;
mod reader;
mod restart;
mod rounds;
mod running;
mod sizes;
mod table;

use parts::Parts;
use sizes::Sizes;
use table::Table;

const STAGES: [&str; 4] = ["drain", "live", "silence", "restart"];

fn main() {
    let named: Vec<String> = std::env::args().skip(1).collect();
    // What `cargo bench` adds by itself is not a stage.
    let named: Vec<&str> = named
        .iter()
        .map(String::as_str)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let stages = if named.is_empty() {
        STAGES.to_vec()
    } else {
        named
    };
    let sizes = Sizes::of_this_run();
    let parts = Parts::start();
    let peer = peer::Peer::beside(&parts);
    let mut table = Table::default();
    if stages.contains(&"drain") {
        // A broker that has just started compiles itself first, at the cost of whoever comes first.
        let little = sizes.to_warm_up();
        drain::ours(&drain::filled(&parts, &little), &little);
    }
    for stage in stages {
        for _ in 0..sizes.repeats {
            match stage {
                "drain" => {
                    let house = drain::filled(&parts, &sizes);
                    table.add(reader::bare(&house));
                    table.add(drain::ours(&house, &sizes));
                    table.add(mover::bare(&house, &sizes));
                    table.extend(peer.as_ref().map(|peer| peer.drain(&sizes)));
                }
                "live" => {
                    table.add(live::under_load(&parts, &sizes));
                    table.extend(peer.as_ref().map(|peer| peer.live(&sizes)));
                }
                "silence" => table.add(live::silence(&parts, &sizes)),
                "restart" => {
                    table.add(restart::ours(&parts, &sizes));
                    table.extend(peer.as_ref().map(|peer| peer.restart(&sizes)));
                }
                other => panic!("`{other}` is not one of {STAGES:?}"),
            }
        }
    }
    print!("{table}");
}
