//! Compares the built-in schemas, `acp.schemas` and the registry: an id means what all say alike.
//!
//! What `acp.schemas` says stands. A registry that contradicts it has lost or re-issued its ids:
//! nothing is misread for it, but somebody has to restore it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::records::SchemaEntry;
use serde::Serialize;

use super::schemas::is_of;
use super::{COMPATIBILITY, Error, Registry};
use crate::transport::error::chain;
use crate::wire::{Kind, schemas};

/// How often a running processor compares.
const EVERY: Duration = Duration::from_secs(300);
/// How long it waits for a registry that does not answer, before it asks again.
const AGAIN: Duration = Duration::from_secs(10);
/// How soon it sees that it is to stop.
const LOOK: Duration = Duration::from_millis(50);

/// How to mend a subject that was not registered.
const REGISTER: &str = "run `quorate schemas register`";
/// How to mend ids that are not what they were.
const RESTORE: &str = "it has lost or issued anew its ids: restore it; records by recorded ids are \
    still read by `acp.schemas`, but nobody else can read them";

/// What is wrong with a subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What differs.
    pub what: String,
    /// How to mend it.
    pub mend: &'static str,
}

/// A subject, as the program, the log and the registry have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// The registry's subject.
    pub subject: String,
    /// The id that `acp.schemas` records for the built-in schema, if it does.
    pub id: Option<i32>,
    /// What differs; empty: nothing.
    pub differences: Vec<Difference>,
}

impl Compared {
    fn differs(&mut self, what: impl Into<String>, mend: &'static str) {
        let what = what.into();
        self.differences.push(Difference { what, mend });
    }
}

/// Compares every subject, and why the registry could not be asked about all, if so.
pub async fn compare(
    prefix: &str,
    entries: &[SchemaEntry],
    registry: &Registry,
) -> (Vec<Compared>, Option<Error>) {
    let mut failed = None;
    let mut all = Vec::new();
    for &kind in Kind::ALL {
        let mut compared = recorded(kind, prefix, entries);
        if failed.is_none() {
            failed = ask(&mut compared, kind, entries, registry).await.err();
        }
        all.push(compared);
    }
    (all, failed)
}

/// What the log has of a subject, compared with what is built in.
fn recorded(kind: Kind, prefix: &str, entries: &[SchemaEntry]) -> Compared {
    let subject = kind.subject(prefix);
    let of_subject = |entry: &&SchemaEntry| entry.subject == subject;
    let ours = |entry: &&SchemaEntry| entry.fingerprint.0 == schemas::fingerprint(kind);
    let entry = entries.iter().rev().filter(of_subject).find(ours);
    let mut compared = Compared {
        id: entry.map(|entry| entry.schema_id),
        subject: subject.clone(),
        differences: Vec::new(),
    };
    if entry.is_none() {
        let what = "this program's schema is not in `acp.schemas`";
        compared.differs(what, REGISTER);
    }
    let mut first: BTreeMap<i32, &SchemaEntry> = BTreeMap::new();
    for entry in entries {
        let before = first.entry(entry.schema_id).or_insert(entry);
        if before.fingerprint != entry.fingerprint && entry.subject == subject {
            let (id, other) = (entry.schema_id, &before.subject);
            compared.differs(
                format!("`acp.schemas` records id {id} for `{other}`, then another schema for it"),
                RESTORE,
            );
        }
    }
    compared
}

/// What the registry has of a subject.
async fn ask(
    compared: &mut Compared,
    kind: Kind,
    entries: &[SchemaEntry],
    registry: &Registry,
) -> Result<(), Error> {
    let mut asked = BTreeMap::new();
    for entry in entries.iter().filter(|e| e.subject == compared.subject) {
        asked.insert(entry.schema_id, entry);
    }
    for (id, entry) in &asked {
        match registry.schema(*id).await? {
            None => compared.differs(format!("id {id} is unknown to the registry"), RESTORE),
            Some(given) if !is_of(entry, &given) => compared.differs(
                format!("id {id} is another schema in the registry than recorded"),
                RESTORE,
            ),
            Some(_) => {}
        }
    }
    match registry.newest(&compared.subject).await? {
        None => compared.differs("the registry has no such subject", REGISTER),
        Some((id, _)) if asked.contains_key(&id) => {}
        Some((id, given)) => {
            let fit = schemas::fits(&given, kind.schema()).is_ok();
            let mend = if fit { REGISTER } else { RESTORE };
            let what = format!("its newest schema, id {id}, is not in `acp.schemas`");
            compared.differs(what, mend);
        }
    }
    let level = registry.level(&compared.subject).await?;
    if level.as_deref() != Some(COMPATIBILITY) {
        let level = level.as_deref().unwrap_or("no level of its own");
        let what = format!("the subject has {level}, not {COMPATIBILITY}");
        compared.differs(what, REGISTER);
    }
    Ok(())
}

/// Compares again and again until told to stop, and says in the log what differs.
pub(super) fn watch(
    prefix: &str,
    entries: &[SchemaEntry],
    registry: &Registry,
    runtime: &tokio::runtime::Handle,
    stop: &AtomicBool,
) {
    while !stop.load(Ordering::Relaxed) {
        // However long the registry takes over it.
        let compared = runtime.block_on(async {
            tokio::select! {
                compared = compare(prefix, entries, registry) => Some(compared),
                () = told(stop) => None,
            }
        });
        let Some((all, failed)) = compared else {
            return;
        };
        for Compared {
            subject,
            differences,
            ..
        } in &all
        {
            for Difference { what, mend } in differences {
                tracing::error!(subject, what, mend, "schemas differ; `acp.schemas` stands");
            }
        }
        if let Some(error) = &failed {
            let why = chain(error);
            tracing::warn!(why, "the registry does not answer; `acp.schemas` stands");
        }
        let until = Instant::now() + if failed.is_some() { AGAIN } else { EVERY };
        while Instant::now() < until && !stop.load(Ordering::Relaxed) {
            thread::sleep(LOOK);
        }
    }
}

/// Waits until told to stop.
async fn told(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use quorate_core::ids::Bytes;

    use super::*;

    fn entry(kind: Kind, id: i32) -> SchemaEntry {
        SchemaEntry {
            subject: kind.subject("acp."),
            schema_id: id,
            fingerprint: Bytes(schemas::fingerprint(kind).to_vec()),
            schema: kind.schema().to_owned(),
        }
    }

    #[test]
    fn what_is_not_recorded_or_recorded_twice_under_an_id_is_named() {
        let entries = [entry(Kind::Outcome, 7), entry(Kind::Round, 7)];
        let what = |kind| {
            let compared = recorded(kind, "acp.", &entries);
            let all = compared.differences.into_iter();
            (compared.id, all.map(|d| d.what).collect::<Vec<_>>())
        };
        assert_eq!(what(Kind::Outcome), (Some(7), Vec::new()));
        let (id, differences) = what(Kind::Round);
        assert_eq!(id, Some(7));
        assert!(differences[0].contains("id 7 for `acp.outcomes-value`"));
        let (id, differences) = what(Kind::Proposal);
        assert_eq!(id, None);
        assert!(differences[0].contains("not in `acp.schemas`"));
    }
}
