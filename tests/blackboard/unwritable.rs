//! A file that may only be read for a while: whoever writes is told so, whoever reads reads on, and
//! everything goes on by itself afterwards.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use quorate_core::topic::Topic;
use serde_json::json;

use super::{AGENTS, POLICIES, confined, proposed};
use crate::support::web::{Web, tokens};
use crate::support::{House, until};

/// What everybody is told.
const CODE: &str = "log_read_only";

fn mode(path: &Path, mode: u32) {
    set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn rounds(house: &House) -> i64 {
    house.count(Topic::Proposals, 2)
}

fn proposal() -> serde_json::Value {
    json!({
        "domain": "pay.out", "probability": 0.95, "stakes": "LOW",
        "action": { "type": "payment.block", "subject": "payment-1" },
    })
}

/// Everything that reads does, and everything that writes is told why not.
fn is_read_and_not_written(house: &House, web: &Web, round: &str) {
    let before = rounds(house);
    let responds = ["respond", "--agent", "expert", "--confidence", "0.9"];
    let responds = [
        &responds[..],
        &["--verdict", "endorse", "--proposal", round],
    ]
    .concat();
    for verb in [&responds[..], &["topics", "apply", "--partitions", "2"]] {
        let answer = house.call(verb);
        let complaint = String::from_utf8(answer.stderr).unwrap();
        assert!(
            !answer.status.success() && complaint.contains(CODE),
            "{verb:?}: {complaint}"
        );
    }
    web.post("desk", "/v1/proposals", &proposal())
        .problem(503, CODE);
    assert!(house.ok(&["show", round]).contains("payment-1"));
    assert!(house.ok(&["explain", round]).contains("ESCALATED"));
    assert_eq!(house.records_so_far("proposals", round).len(), 1);
    assert_eq!(web.get("desk", &format!("/v1/rounds/{round}")).status, 200);
    assert_eq!(rounds(house), before);
}

#[test]
fn a_file_that_may_only_be_read_is_read_and_written_again_when_it_may_be() {
    let test = "blackboard::unwritable::\
                a_file_that_may_only_be_read_is_read_and_written_again_when_it_may_be";
    confined::by_modes(test, |folder| {
        let path = folder.join("a place #1?%").join("bank.db");
        let place = path.parent().unwrap();
        std::fs::create_dir(place).unwrap();
        let house = House::on_blackboard_at(&path, 2, AGENTS, POLICIES);
        let processor = house.run();
        let round = proposed(&house, "CRITICAL");
        house.records("outcomes", Some(&round), 1);
        processor.stop();
        // The file, the folder, and both.
        for (of_file, of_folder) in [(0o444, 0o755), (0o644, 0o555), (0o444, 0o555)] {
            mode(&path, of_file);
            mode(place, of_folder);
            let told = house.logged(CODE);
            let (before, processor) = (rounds(&house), house.run());
            let web = house.serve(Some(&tokens(&[("desk", "agent"), ("op", "operator")])));
            is_read_and_not_written(&house, &web, &round);
            until("the processor says so", || house.logged(CODE) > told);
            mode(place, 0o755);
            mode(&path, 0o644);
            let answer = web.post("desk", "/v1/proposals?wait=30", &proposal());
            assert_eq!(answer.with(200)["state"], "admitted");
            assert_eq!(rounds(&house), before + 1);
            web.stop();
            processor.stop();
        }
    });
}
