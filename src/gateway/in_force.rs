//! What is in force in a table: the last sound record of every key, and its offset.
//!
//! What is sound is the engine's to say, so that a list shows what rounds are resolved by.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use quorate_core::ids::{Offset, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::Tables;
use crate::transport::{Error, Handle};
use crate::wire::Record;

/// A sound record of a table.
#[derive(Clone, Debug, Serialize)]
pub struct Placed<T> {
    /// Where it lies.
    pub offset: Offset,
    /// When it was appended.
    #[serde(skip)]
    pub time: Timestamp,
    /// What it says.
    pub record: T,
}

/// Every sound record of a table that is still there, by key, oldest first.
///
/// # Errors
/// [`Error`] if the log does not answer.
pub fn history<T>(handle: &dyn Handle) -> Result<BTreeMap<String, Vec<Placed<T>>>, Error>
where
    T: Record + DeserializeOwned,
{
    let (topic, codec) = (T::KIND.topic(), handle.codec());
    let mut tables = Tables::default();
    let mut history = BTreeMap::<String, Vec<_>>::new();
    let reader = handle.reader()?;
    let (start, end) = reader.ends(topic, 0)?;
    reader.read_to(topic, 0, start, end, &mut |stored| {
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
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(history)
}

/// What is in force, by key.
///
/// # Errors
/// As [`history`].
pub fn in_force<T>(handle: &dyn Handle) -> Result<BTreeMap<String, Placed<T>>, Error>
where
    T: Record + DeserializeOwned,
{
    let last = |(key, versions): (String, Vec<_>)| Some((key, versions.into_iter().last()?));
    Ok(history(handle)?.into_iter().filter_map(last).collect())
}
