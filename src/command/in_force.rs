//! What is in force in a table, as a list.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Output;
use super::client::Client;
use crate::gateway::in_force;
pub(super) use crate::gateway::in_force::Placed;
use crate::wire::{self, Record};

/// What is in force, by key.
pub(super) fn in_force<T>(client: &Client) -> anyhow::Result<BTreeMap<String, Placed<T>>>
where
    T: Record + DeserializeOwned,
{
    Ok(in_force::in_force(client.handle())?)
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
