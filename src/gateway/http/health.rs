//! Whether the house is well, as a gateway sees it: one check of each thing, in words and numbers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use quorate_core::ids::Millis;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::Gateway;
use super::history::json as told;
use crate::clock::{Clock as _, System};
use crate::gateway::lag::Lag;
use crate::gateway::refusal::Refusal;
use crate::gateway::view::{Known, Pending};

/// How long past its time may be what processors do by themselves.
const GRACE: Millis = Millis(5_000);
/// How long ago the dead letters are told of.
const LATELY: Millis = Millis(60 * 60 * 1_000);
/// How many records processors may be behind in a partition.
const BEHIND: i64 = 1_000;

/// Whether the house is well.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always the same, in the same order.
    checks: Vec<Check>,
}

/// Whether one thing is well.
#[derive(Debug, Serialize, ToSchema)]
struct Check {
    /// What is looked at: `log`, `rounds`, `escalations`, `dead_letters`, `processors`, `claims` or
    /// `operates`.
    name: &'static str,
    state: CheckState,
    /// In words.
    detail: String,
    /// In numbers, as `docs/http.md` has them; null where they are not known.
    #[schema(value_type = Option<Object>)]
    value: Value,
}

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
enum CheckState {
    /// Nothing is to be done.
    Ok,
    /// Somebody should look at it.
    Warn,
    /// It does not work.
    Fail,
}

use CheckState::{Fail, Ok as Well, Warn};

/// Whether the house is well.
pub(super) async fn health(State(gateway): State<Arc<Gateway>>) -> Result<Response, Refusal> {
    let behind = gateway.desk.lags().await;
    let mut checks = seen(&gateway.desk.view().known());
    checks.push(processors(behind));
    checks.push(claims(gateway.desk.claims().lacks()));
    checks.push(operates(gateway.operates));
    told(&Health { checks })
}

fn check(name: &'static str, state: CheckState, detail: String, value: Value) -> Check {
    Check {
        name,
        state,
        detail,
        value,
    }
}

/// What is seen of the log.
fn seen(known: &Known) -> Vec<Check> {
    let follows = known.follows();
    let mut checks = vec![log(follows, known.silent_for())];
    if follows {
        let now = System.now();
        checks.push(rounds(&known.open_rounds(now)));
        checks.push(escalations(&known.escalated_rounds(now)));
        let since = now.plus(Millis(-LATELY.0));
        checks.push(dead_letters(&known.refused_since(since)));
    } else {
        checks.extend(["rounds", "escalations", "dead_letters"].map(|name| {
            let detail = "not known while the log is not followed".to_owned();
            check(name, Warn, detail, Value::Null)
        }));
    }
    checks
}

fn log(follows: bool, silent_for: Option<Duration>) -> Check {
    let silent_ms = silent_for.map(|span| span.as_millis());
    let value = json!({ "follows": follows, "silent_ms": silent_ms });
    let detail = match silent_for {
        _ if follows => "read to its end, and followed".to_owned(),
        None => "not read to its end yet".to_owned(),
        Some(silent) => format!(
            "cannot be followed; last known to be read to its end {} s ago",
            silent.as_secs()
        ),
    };
    check("log", if follows { Well } else { Fail }, detail, value)
}

fn rounds(open: &Pending) -> Check {
    let Pending {
        count,
        overdue,
        most_overdue,
        ..
    } = *open;
    let value = json!({
        "open": count, "overdue": overdue, "longest_overdue_ms": most_overdue,
    });
    let late = most_overdue > GRACE;
    let detail = if late {
        let seconds = most_overdue.0 / 1_000;
        format!(
            "{overdue} of {count} open rounds are past their deadline, the first by {seconds} s: \
             look whether a processor runs"
        )
    } else {
        format!("{count} open, none past its deadline for long")
    };
    check("rounds", if late { Warn } else { Well }, detail, value)
}

fn escalations(waiting: &Pending) -> Check {
    let Pending {
        count,
        overdue,
        most_overdue,
        longest_wait,
    } = *waiting;
    let value = json!({
        "waiting": count, "overdue": overdue, "longest_overdue_ms": most_overdue,
        "longest_wait_ms": longest_wait,
    });
    let late = most_overdue > GRACE;
    let detail = if late {
        format!(
            "{overdue} of {count} that wait for people are overdue: look whether a processor runs"
        )
    } else if count == 0 {
        "none waits for people".to_owned()
    } else {
        format!("{count} wait for people; none is overdue for long")
    };
    check("escalations", if late { Warn } else { Well }, detail, value)
}

fn dead_letters(codes: &BTreeMap<String, u64>) -> Check {
    let count: u64 = codes.values().sum();
    let value = json!({ "last_hour": count, "codes": codes });
    if count == 0 {
        let detail = "nothing was refused in the last hour".to_owned();
        return check("dead_letters", Well, detail, value);
    }
    let mut most: Vec<_> = codes.iter().collect();
    most.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named: Vec<_> = most
        .iter()
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    let detail = format!("refused in the last hour: {}", named.join(", "));
    check("dead_letters", Warn, detail, value)
}

fn processors(behind: Result<Arc<[Lag]>, String>) -> Check {
    let lags = match behind {
        Ok(lags) => lags,
        Err(why) => {
            let detail = format!("the log does not say how far they are: {why}");
            return check("processors", Fail, detail, Value::Null);
        }
    };
    let partition = |lag: &Lag| {
        json!({
            "topic": lag.topic.name(), "partition": lag.partition, "behind": lag.records,
            "is_new": lag.is_new,
        })
    };
    let partitions: Vec<_> = lags.iter().map(partition).collect();
    let all: i64 = lags.iter().map(|lag| lag.records).sum();
    let value = json!({ "behind": all, "partitions": partitions });
    let most = lags.iter().max_by_key(|lag| lag.records);
    let unread = lags.iter().find(|lag| lag.is_new && lag.records > 0);
    let (state, detail) = match (unread, most) {
        (Some(lag), _) => {
            let place = format!("{} {}", lag.topic.name(), lag.partition);
            (
                Warn,
                format!("none has read anything of {place}: look whether one runs"),
            )
        }
        (None, Some(lag)) if lag.records > BEHIND => {
            let place = format!("{} {}", lag.topic.name(), lag.partition);
            (
                Warn,
                format!("{all} records behind, most in {place}: {}", lag.records),
            )
        }
        _ => (Well, format!("{all} records behind")),
    };
    check("processors", state, detail, value)
}

fn claims(lacks: Option<String>) -> Check {
    let value = json!({ "works": lacks.is_none() });
    match lacks {
        None => check("claims", Well, "can be made".to_owned(), value),
        Some(why) => check("claims", Warn, format!("cannot be made: {why}"), value),
    }
}

fn operates(operates: bool) -> Check {
    let detail = if operates {
        "operators suspend and resume by way of this gateway"
    } else {
        "operators suspend and resume by the command line alone (`gateway.operates`)"
    };
    let value = json!({ "operates": operates });
    check("operates", Well, detail.to_owned(), value)
}

#[cfg(test)]
mod tests {
    use quorate_core::topic::Topic;

    use super::*;

    fn lag(records: i64, is_new: bool) -> Result<Arc<[Lag]>, String> {
        Ok(Arc::new([Lag {
            topic: Topic::Responses,
            partition: 3,
            records,
            is_new,
        }]))
    }

    #[test]
    fn processors_far_behind_or_not_to_be_asked_are_not_well() {
        assert_eq!(processors(lag(BEHIND, false)).state, Well);
        let behind = processors(lag(BEHIND + 1, false));
        assert_eq!(behind.state, Warn);
        assert!(behind.detail.contains("responses 3"), "{}", behind.detail);
        assert_eq!(processors(lag(1, true)).state, Warn, "nobody ever read it");
        assert_eq!(processors(lag(0, true)).state, Well, "nothing was said yet");
        assert_eq!(processors(Err("away".to_owned())).state, Fail);
    }

    #[test]
    fn what_is_overdue_for_a_moment_is_well() {
        let of = |most_overdue| Pending {
            count: 2,
            overdue: 1,
            most_overdue,
            longest_wait: Millis(120_000),
        };
        let late = of(Millis(GRACE.0 + 1));
        assert_eq!(
            (rounds(&of(GRACE)).state, rounds(&late).state),
            (Well, Warn)
        );
        let both = (escalations(&of(GRACE)).state, escalations(&late).state);
        assert_eq!(both, (Well, Warn));
    }

    #[test]
    fn a_log_that_is_not_followed_fails_and_nothing_is_told_of_it() {
        let view = crate::gateway::view::View::default();
        let checks = seen(&view.known());
        let states: Vec<_> = checks.iter().map(|check| check.state).collect();
        assert_eq!(states, [Fail, Warn, Warn, Warn]);
        assert!(checks.iter().skip(1).all(|check| check.value.is_null()));
        view.set_follows(true);
        let checks = seen(&view.known());
        assert!(checks.iter().all(|check| check.state == Well));
    }

    #[test]
    fn claims_that_cannot_be_made_say_why() {
        let check = claims(Some("no topic".to_owned()));
        assert_eq!(check.state, Warn);
        assert!(check.detail.contains("no topic"));
    }
}
