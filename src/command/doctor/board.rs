//! A blackboard: the file, what may be done with it, who shares it, and what lies in it.

use std::path::Path;

use quorate_core::ids::Millis;
use quorate_core::topic::Topic;

use super::records::Lying;
use super::{Doctor, Findings, records, tables};
use crate::clock::{Clock as _, System};
use crate::transport::Reading as _;
use crate::transport::blackboard::{Blackboard, Inspected, Reader};

/// Free bytes below which a disk is as good as full.
const LITTLE: u64 = 256 * 1024 * 1024;
/// Bytes written ahead of the file beyond which somebody keeps them from being taken over.
const FAR_AHEAD: u64 = 256 * 1024 * 1024;
/// How far append times may be ahead of the clock.
const AHEAD: Millis = Millis(5_000);

/// Looks at a file that is the log.
pub(super) fn look(found: &mut Findings, doctor: &Doctor, path: &Path) {
    let mend = "see that `blackboard` names the file; `quorate topics apply` makes one";
    let Some(board) = found.made("file", Blackboard::open(path), mend) else {
        return;
    };
    let mend = "see that this user may read the file";
    if let Some(stands) = found.made("file", board.inspect(), mend) {
        file(found, path, &board, &stands);
        writing(found, &board);
        space(found, path);
        topics(found, &board);
        engines(found, &stands);
        lying(found, doctor, &board);
        clock(found, &stands);
    }
    found.note(
        "brokers",
        "none, and no registry: the log is a file; nothing is ever held back by a transaction, and \
         positions are saved with a copy of the file",
    );
}

fn file(found: &mut Findings, path: &Path, board: &Blackboard, stands: &Inspected) {
    let name = path.display();
    if let Some(damage) = &stands.damage {
        let mend = "stop everybody and go on with a copy that was made before; `.recover` of the \
                    `sqlite3` shell saves what can be read";
        found.why("file", format!("`{name}` is damaged: {damage}"), mend);
    } else {
        let what = format!(
            "`{name}` has {} partitions and {} kB, none of them damaged",
            board.partitions(),
            stands.bytes / 1024
        );
        found.ok("file", what);
    }
    let check = "journal";
    if stands.journal != "wal" {
        let what = format!(
            "mode `{}`: whoever reads keeps others from writing",
            stands.journal
        );
        found.why(check, what, "run `quorate topics apply`");
    } else if stands.ahead > FAR_AHEAD {
        let what = format!(
            "{} MB are written and not taken over into the file",
            stands.ahead / 1024 / 1024
        );
        let mend = "somebody has been reading in one transaction all the while: end it";
        found.why(check, what, mend);
    } else {
        found.ok(check, format!("written ahead, {} kB", stands.ahead / 1024));
    }
}

fn writing(found: &mut Findings, board: &Blackboard) {
    let check = "writing";
    let mend = "see that this user may write the file and its folder, and that there is room; a \
                process that was stopped in the midst of a write keeps all others from it: `fuser` \
                names those that have the file open";
    if found.made(check, board.try_to_write(), mend).is_some() {
        found.ok(check, "the file can be written, and nobody holds it");
    }
}

fn space(found: &mut Findings, path: &Path) {
    let check = "space";
    let asked = rustix::fs::statvfs(path).map_err(anyhow::Error::from);
    let Some(disk) = found.made(check, asked, "see that the disk is there") else {
        return;
    };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let what = format!("{} MB are free on its disk", free / 1024 / 1024);
    if free < LITTLE {
        let mend = "make room, or keep records for a shorter time (`topics.retention_ms`); nothing \
                    can be appended once it is full";
        found.why(check, what, mend);
    } else {
        found.ok(check, what);
    }
}

fn topics(found: &mut Findings, board: &Blackboard) {
    let check = "topics";
    let reach = "see that this user may read the file";
    let Some(missing) = found.made(check, board.missing(), reach) else {
        return;
    };
    if missing.is_empty() {
        return found.ok(check, "all are there".to_owned());
    }
    for topic in missing {
        let what = format!("there is no `{topic}`, as an earlier release made the file");
        found.why(check, what, "run `quorate topics apply`");
    }
}

fn engines(found: &mut Findings, stands: &Inspected) {
    let check = "engines";
    let mut all_is_well = true;
    for share in &stands.shares {
        let (partition, behind) = (share.partition, share.behind);
        let named = share.owner.as_ref();
        let engine = stands.engines.iter().find(|one| Some(&one.name) == named);
        let (what, mend) = match (named, engine) {
            (_, Some(engine)) if engine.unseen > engine.session => (
                format!(
                    "`{}`, which owns partition {partition}, was not seen for {} ms, and its \
                     session is {} ms; {behind} records wait",
                    engine.name, engine.unseen.0, engine.session.0
                ),
                "start a processor, or see why that one stands still",
            ),
            (_, Some(_)) => continue,
            _ if behind > 0 => (
                format!("nobody owns partition {partition}, and {behind} records wait"),
                "start a processor: `quorate run`",
            ),
            _ => continue,
        };
        all_is_well = false;
        found.why(check, what, mend);
    }
    if !all_is_well {
        return;
    }
    if stands.engines.is_empty() {
        return found.note(check, "none is there, and nothing waits for one");
    }
    let owned = stands.shares.iter().filter(|share| share.owner.is_some());
    let behind: i64 = stands.shares.iter().map(|share| share.behind).sum();
    let what = format!(
        "{} share the file and own {} of {} partitions; {behind} records wait",
        stands.engines.len(),
        owned.count(),
        stands.shares.len()
    );
    found.ok(check, what);
}

/// Looks at what lies on the log.
fn lying(found: &mut Findings, doctor: &Doctor, board: &Blackboard) {
    let reach = "see that this user may read the file";
    let Some(reader) = found.made("tables", Reader::open(board), reach) else {
        return;
    };
    let (codec, name) = (board.codec(), |topic: Topic| topic.name().to_owned());
    let mut newest = None;
    let tables = tables::look(found, &reader, &name, codec, &mut newest);
    found.made("tables", tables, reach);
    let ends = reader.ends(Topic::Schemas, 0);
    if let Some((_, recorded)) = found.made("schemas", ends, reach) {
        let what = format!("built in, and {recorded} recorded by others");
        found.ok("schemas", what);
    }
    let lying = Lying {
        reader: &reader,
        name: &name,
        partitions: board.partitions(),
        codec,
        mend: "have senders put a record on the partition of its proposal's row, as in \
               docs/blackboard.md; a response that is forwarded may come too late",
    };
    let recent = records::recent(found, &lying, doctor.recent, &mut newest);
    found.made("partitioners", recent, reach);
}

fn clock(found: &mut Findings, stands: &Inspected) {
    let ahead = stands.time.since(System.now());
    if ahead > AHEAD {
        let what = format!(
            "append times are {} ms ahead of this machine's clock, and stand still until it has \
             caught up; deadlines pass that much later",
            ahead.0
        );
        let mend = "it was wrong then, or is now: set it by NTP";
        found.why("clocks", what, mend);
    } else {
        let what = "one, this machine's, and append times are not ahead of it";
        found.ok("clocks", what);
    }
}
