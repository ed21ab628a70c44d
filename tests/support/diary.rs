//! What a processor says of itself in its log, read as proof of where it stood when it was killed.

use std::collections::BTreeSet;

use serde_json::Value;

/// Where a processor stood when it logged its last line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diary {
    /// Engines whose transaction had begun and was not committed.
    pub(crate) open: BTreeSet<String>,
    /// Partitions being restored.
    pub(crate) restoring: BTreeSet<i64>,
    /// Partitions it works on.
    pub(crate) live: BTreeSet<i64>,
    /// Why partitions were halted.
    pub(crate) halted: Vec<String>,
}

impl Diary {
    /// What these lines say; the last one may have been cut off.
    pub(crate) fn of(log: &str) -> Self {
        let mut diary = Self::default();
        for line in log.lines() {
            if let Ok(mut line) = serde_json::from_str::<Value>(line) {
                diary.note(&line["fields"].take());
            }
        }
        diary
    }

    fn note(&mut self, fields: &Value) {
        let partition = fields["partition"].as_i64();
        let text = |field: &str| fields[field].as_str().unwrap_or_default().to_owned();
        match text("message").as_str() {
            "transaction begun" => {
                self.open.insert(text("id"));
            }
            "committed" => {
                self.open.remove(&text("id"));
            }
            "restoring" => self.restoring.extend(partition),
            "restored" | "kept" => {
                let partition = partition.unwrap();
                self.restoring.remove(&partition);
                self.live.insert(partition);
            }
            "revoked" => {
                let gone = numbers(&text("partitions"));
                self.restoring.retain(|partition| !gone.contains(partition));
                self.live.retain(|partition| !gone.contains(partition));
            }
            "partition halted; the others go on" => self.halted.push(text("why")),
            "engine failed; starting over from what is committed" => {
                let end = format!("-{}", fields["number"]);
                self.open.retain(|id| !id.ends_with(&end));
            }
            _ => {}
        }
    }
}

/// The numbers of a list in brackets.
fn numbers(list: &str) -> Vec<i64> {
    let parts = list.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}
