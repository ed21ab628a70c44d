//! Which records of a partition were refused for want of their schema, as its dead letters say: its
//! owner alone writes them, with the positions.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use quorate_core::records::DeadLetter;
use quorate_core::reject::Reject;
use quorate_core::topic::Topic;

use super::{Error, Reading, Stored};
use crate::wire::Codec;

/// Offsets of a topic's partition that were refused for their schema, by the dead letters from an
/// offset up to another, exclusive.
pub(super) fn refused_for_schema(
    reader: &dyn Reading,
    codec: &Codec,
    of: &Stored,
    from: i64,
    end: i64,
) -> Result<BTreeSet<i64>, Error> {
    let mut refused = BTreeSet::new();
    let (topic, partition) = (of.topic.name(), of.partition);
    reader.read_to(Topic::DeadLetters, partition, from, end, &mut |stored| {
        let value = stored.value.as_deref().unwrap_or_default();
        let decoded = codec.decode::<DeadLetter>(value);
        let (letter, _) = decoded.map_err(|why| {
            let at = stored.offset;
            let why = format!("dead letter at offset {at}: it cannot be read: {why}");
            Error::halted(partition, why)
        })?;
        let for_schema = letter.reason == Reject::UnknownSchema.code();
        if for_schema && letter.topic == topic && letter.partition == partition {
            refused.insert(letter.offset.0);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(refused)
}
