//! Two rounds in which more agents speak than there is room for: one of those that are qualified,
//! one of observers.

use std::fmt::Write as _;
use std::ops::Range;

use quorate::wire::{Record, files, seal_policy};
use quorate_core::round::{OBSERVERS_MAX, QUALIFIED_MAX};
use quorate_core::topic::Topic;
use serde::Serialize;

use super::History;

/// Who speaks, with how many more than there is room for: some are refused for other reasons.
const CROWDS: [(&str, usize); 2] = [("q", QUALIFIED_MAX * 6 / 5), ("o", OBSERVERS_MAX * 6 / 5)];
/// When they are asked after they were listed, when they speak, and until when they may, in
/// milliseconds.
const ASKED: i64 = 1_000;
const SPEAK: Range<i64> = 1_200..4_500;
const DEADLINE: i64 = 5_500;
const POLICY: &str = "[[policy]]\npattern = \"crowd\"\n";

impl History {
    /// Ends with the largest rounds there may be.
    pub(crate) const fn crowded(mut self) -> Self {
        self.crowded = true;
        self
    }

    /// The crowds are listed only now: each package names the qualified who were silent.
    pub(super) fn crowd(&mut self, now: i64) {
        self.list_crowds();
        for (kind, count) in CROWDS {
            let said = self.plain("q0", "crowd", now + ASKED, now + DEADLINE, None);
            for number in 0..count {
                let at = now + self.random.within(SPEAK);
                self.answer(&said.said(), &format!("{kind}{number}"), 60, at);
            }
        }
    }

    fn list_crowds(&mut self) {
        let mut text = String::new();
        for (kind, count) in CROWDS {
            let authority = if kind == "q" { 0.9 } else { 0.0 };
            for number in 0..count {
                let named = format!("[[agent]]\nagent_id = \"{kind}{number}\"\n");
                let granted =
                    format!("domains = [{{ domain = \"crowd\", authority = {authority:?} }}]");
                let granted = if kind == "q" { granted } else { String::new() };
                writeln!(text, "{named}{granted}").unwrap();
            }
        }
        for mut policy in files::policies(POLICY).unwrap() {
            seal_policy(&mut policy).unwrap();
            self.write(Topic::Policies, &policy.pattern, &policy);
        }
        for agent in files::agents(&text).unwrap() {
            self.write(Topic::Agents, agent.agent_id.as_str(), &agent);
        }
        self.operator.settle().unwrap();
    }

    fn write<T: Record + Serialize>(&mut self, topic: Topic, key: &str, record: &T) {
        let (key, value) = (Some(key.as_bytes()), self.codec.encode(record).unwrap());
        self.operator.append(topic, 0, key, Some(&value), &[]);
    }
}
