//! The clocks: this machine's against the brokers', by which deadlines are judged.

use quorate_core::ids::{Millis, Timestamp};
use quorate_core::topic::Topic;

use super::Findings;
use crate::clock::{Clock, System};
use crate::engine::TICK;
use crate::telemetry::Ahead;
use crate::transport::kafka::{Appender, Cluster, Connection, Error};

const CHECK: &str = "clocks";
/// How far clocks may be apart.
const APART: Millis = Millis(5_000);

/// Compares this machine's clock with the newest append time that was seen: a record cannot have
/// been appended later than now. That bounds one side alone.
pub(super) fn compare(found: &mut Findings, newest: Option<Timestamp>) {
    match newest {
        Some(newest) => one_sided(found, newest, System.now()),
        None => found.note(
            CHECK,
            "no record shows the brokers' time; `--tick` measures it",
        ),
    }
}

fn one_sided(found: &mut Findings, newest: Timestamp, now: Timestamp) {
    let behind = newest.since(now);
    if behind > APART {
        let what = format!(
            "this machine is at least {} ms behind the brokers",
            behind.0
        );
        found.why(CHECK, what, "set its clock by NTP, or the brokers'");
    } else {
        let what = format!(
            "the newest record seen was appended {} ms ago by this machine's clock; whether that \
             is ahead of the brokers', `--tick` measures",
            behind.0.min(0).abs()
        );
        found.ok(CHECK, what);
    }
}

/// Measures the clock of every leader of the responses by a tick appended there.
pub(super) fn measure(
    found: &mut Findings,
    connection: &Connection,
    cluster: &Cluster,
) -> Result<(), Error> {
    let appender = Appender::open(connection)?;
    let topic = Topic::Responses;
    let partitions = cluster.partitions.get(&topic).copied();
    let mut measured = Vec::new();
    for partition in 0..partitions.unwrap_or_default() {
        appender.append(topic, partition, None, None, &[TICK])?;
        let appended = appender.settle()?;
        let ahead = appended.last().and_then(|appended| appended.ahead);
        measured.extend(ahead.map(|ahead| (partition, ahead)));
    }
    judge(found, &measured);
    Ok(())
}

fn judge(found: &mut Findings, measured: &[(i32, Ahead)]) {
    let mend = "set the clocks by NTP";
    for (partition, ahead) in measured {
        let Ahead { least, most } = ahead;
        if *least > APART || most.0 < -APART.0 {
            let what = format!(
                "the leader of responses/{partition} is between {} and {} ms ahead of this machine",
                least.0, most.0
            );
            found.why(CHECK, what, mend);
        }
    }
    if measured.is_empty() {
        return found.note(CHECK, "no tick was answered with its append time");
    }
    let apart = Ahead::apart(measured.iter().map(|(_, ahead)| *ahead)).0;
    if apart > APART.0 {
        let what = format!("leaders of the responses are at least {apart} ms apart");
        found.why(CHECK, what, mend);
    }
    if !found.ails(CHECK) {
        let what = format!(
            "{} leaders of partitions, none more than {} ms from this machine or another",
            measured.len(),
            APART.0
        );
        found.ok(CHECK, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(measured: &[(i32, Ahead)]) -> Vec<String> {
        let mut found = Findings::default();
        judge(&mut found, measured);
        let wrong = found.0.into_iter().filter(|f| f.mend.is_some());
        wrong.map(|finding| finding.what).collect()
    }

    const fn ahead(least: i64, most: i64) -> Ahead {
        Ahead {
            least: Millis(least),
            most: Millis(most),
        }
    }

    #[test]
    fn a_clock_far_from_ours_and_leaders_far_apart_are_named() {
        assert_eq!(said(&[(0, ahead(-3, 4)), (1, ahead(0, 9))]), [""; 0]);
        assert!(said(&[(0, ahead(5_001, 5_010))])[0].contains("responses/0"));
        assert!(said(&[(0, ahead(-5_010, -5_001))])[0].contains("responses/0"));
        let apart = said(&[(0, ahead(-3_000, -2_900)), (1, ahead(2_500, 2_600))]);
        assert_eq!(
            apart,
            ["leaders of the responses are at least 5400 ms apart"]
        );
        // A slow answer proves nothing.
        assert_eq!(said(&[(0, ahead(-9_000, 1))]), [""; 0]);
    }

    #[test]
    fn a_record_from_the_future_shows_that_we_are_behind() {
        let mut found = Findings::default();
        one_sided(&mut found, Timestamp(20_000), Timestamp(14_000));
        assert!(found.ails(CHECK));
        let mut found = Findings::default();
        one_sided(&mut found, Timestamp(20_000), Timestamp(19_000));
        assert!(!found.ails(CHECK));
    }
}
