//! Puts a history from a file where it can be looked into.

use std::collections::BTreeMap;

use quorate_core::topic::Topic;

use super::{Error, File, History};
use crate::transport::blackboard::Blackboard;

/// Fills a blackboard in which nothing ever was; how many records there are now. `shown` is told
/// after each how many there are.
///
/// # Errors
/// [`Error::Log`] if records were ever in it, or it cannot be written; [`Error::File`] if the file
/// cannot be relied on. Nothing is put in then.
pub fn import(
    file: &mut File,
    board: &Blackboard,
    shown: &mut dyn FnMut(i64),
) -> Result<u64, Error> {
    let parts = file.about().parts.iter();
    let end = |part: &crate::wire::history::Part| {
        Some(((Topic::named(&part.topic)?, part.partition), part.end))
    };
    let ends: BTreeMap<_, _> = parts.filter_map(end).collect();
    board.fill(&ends, |put| {
        let mut records = 0;
        file.each(&mut |stored| {
            records += 1;
            shown(records);
            Ok(put(stored)?)
        })
    })
}
