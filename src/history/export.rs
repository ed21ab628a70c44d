//! Writes a history to a file.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use super::file::entry;
use super::{Error, History};
use crate::wire::history::{self as wire, FORMAT, FileError};

/// What was exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// How many records.
    pub records: i64,
    /// How long the file is.
    pub bytes: u64,
}

/// Writes a history to a file, which is there when all of it is; `shown` is told after each record
/// how many there are.
///
/// # Errors
/// [`Error::Disk`], [`Error::File`], or what keeps the history from being read: then there is no
/// file.
pub fn export(
    history: &mut dyn History,
    transport: &str,
    path: &Path,
    shown: &mut dyn FnMut(i64),
) -> Result<Exported, Error> {
    let about = history.about();
    let head = wire::History {
        format: FORMAT,
        program: concat!("quorate ", env!("CARGO_PKG_VERSION")).to_owned(),
        exported_at: about.read_at,
        transport: transport.to_owned(),
        prefix: about.prefix.clone(),
        partitions: about.partitions,
        from: about.range.from,
        to: about.range.to,
        parts: about.parts.clone(),
        schemas: wire::History::released(),
    };
    let named = path.display().to_string();
    let disk = |doing| {
        let path = named.clone();
        move |source| Error::Disk {
            doing,
            path,
            source,
        }
    };
    let unwritten = |source: FileError| Error::File {
        path: named.clone(),
        source,
    };
    // Whoever looks for it never finds half of it.
    let part = path.with_added_extension("part");
    let file = std::fs::File::create(&part).map_err(disk("make"))?;
    let write = || -> Result<i64, Error> {
        let mut writer = wire::Writer::begin(BufWriter::new(file), head).map_err(unwritten)?;
        let mut records = 0;
        history.each(&mut |stored| {
            records += 1;
            shown(records);
            writer.put(&entry(stored)).map_err(unwritten)
        })?;
        let (mut file, records) = writer.end().map_err(unwritten)?;
        file.flush().map_err(disk("write"))?;
        file.get_ref().sync_all().map_err(disk("write"))?;
        std::fs::rename(&part, path).map_err(disk("write"))?;
        Ok(records)
    };
    let written = write();
    if written.is_err()
        && let Err(error) = std::fs::remove_file(&part)
    {
        tracing::warn!(path = %part.display(), %error, "half a file is left");
    }
    let bytes = path.metadata().map_or(0, |found| found.len());
    Ok(Exported {
        records: written?,
        bytes,
    })
}
