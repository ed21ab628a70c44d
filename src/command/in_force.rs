//! What is in force in a table: the last sound record of every key, and its offset.
//!
//! What is sound is the engine's to say, so that a list shows what rounds are resolved by.

use std::collections::BTreeMap;

use quorate_core::ids::{Offset, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Output;
use super::client::Client;
use crate::engine::Tables;
use crate::wire::{self, Record};

/// A sound record of a table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Placed<T> {
    /// Where it lies.
    pub(super) offset: Offset,
    /// When it was appended.
    #[serde(skip)]
    pub(super) time: Timestamp,
    /// What it says.
    pub(super) record: T,
}

/// Every sound record of a table that is still there, by key, oldest first.
pub(super) fn history<T>(client: &Client) -> anyhow::Result<BTreeMap<String, Vec<Placed<T>>>>
where
    T: Record + DeserializeOwned,
{
    let (topic, codec) = (T::KIND.topic(), client.codec());
    let mut tables = Tables::default();
    let mut history = BTreeMap::<String, Vec<_>>::new();
    client.scan(topic, 0, |stored| {
        let (key, value) = (stored.key.as_deref(), stored.value.as_deref());
        let offset = Offset(stored.offset);
        let time = stored.timestamp.unwrap_or_default();
        if let Err(reject) = tables.apply(codec, topic, offset, time, key, value) {
            tracing::warn!(%topic, offset = stored.offset, %reject, "table record passed over");
        } else if let (Some(Ok(key)), Some(value)) = (key.map(std::str::from_utf8), value)
            && let Ok((record, _)) = codec.decode::<T>(value)
        {
            let versions = history.entry(key.to_owned()).or_default();
            versions.push(Placed {
                offset,
                time,
                record,
            });
        }
    })?;
    Ok(history)
}

/// What is in force, by key.
pub(super) fn in_force<T>(client: &Client) -> anyhow::Result<BTreeMap<String, Placed<T>>>
where
    T: Record + DeserializeOwned,
{
    let last = |(key, versions): (String, Vec<_>)| Some((key, versions.into_iter().last()?));
    Ok(history(client)?.into_iter().filter_map(last).collect())
}

/// Prints what is in force: a line each for people, or everything for machines.
pub(super) fn list<T>(
    client: &Client,
    output: Output,
    line: impl Fn(&T) -> String,
) -> anyhow::Result<()>
where
    T: Record + DeserializeOwned + Serialize,
{
    let in_force = in_force::<T>(client)?;
    if output == Output::Json {
        let records: Vec<_> = in_force.values().collect();
        super::answer(&wire::json::to_string_pretty(&records)?)?;
        return Ok(());
    }
    for Placed { offset, record, .. } in in_force.values() {
        super::answer(&format!("{}  @{}", line(record), offset.0))?;
    }
    Ok(())
}
