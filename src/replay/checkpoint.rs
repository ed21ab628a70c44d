//! Where a replay has come, in a file: who goes on from it comes to what it would have come to.
//!
//! A history is read from its beginning again, since tables and outputs are where the choices are;
//! inputs before the checkpoint are only counted. The file is replaced as a whole, so that there is
//! always one that can be gone on from.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quorate_core::ids::{AgentId, Digest, Offset, ProposalId, Timestamp};
use quorate_core::records::{TrustScore, TrustUpdate};
use quorate_core::resolve::RULES_REVISION;
use serde::{Deserialize, Serialize};

use super::{Is, Rules};
use crate::history::{About, Error, Halfway};
use crate::transport::Stored;
use crate::wire;

/// What a checkpoint begins with.
const MAGIC: &[u8] = b"quorate replay checkpoint 2\n";
/// Who can go on from it: what is put away is of one program.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Where a replay is put away, how often, and when it is to stop.
#[derive(Clone, Debug)]
pub struct Keeping {
    /// The file.
    pub path: PathBuf,
    /// After so many records.
    pub every: i64,
    /// Set when it is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Keeping {
    /// Whether it is to stop.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A replay that is put away.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Checkpoint {
    program: String,
    revision: i32,
    rules: Digest,
    pub(super) about: About,
    /// How many records were read, and the last of them.
    pub(super) records: i64,
    last: Digest,
    pub(super) state: State,
}

/// What it had come to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) courses: BTreeMap<i32, Halfway>,
    pub(super) is: BTreeMap<ProposalId, Is>,
    pub(super) scores: Vec<TrustScore>,
    pub(super) waiting: Vec<((Timestamp, i64), TrustUpdate)>,
    pub(super) lessons: BTreeMap<i32, i64>,
    /// Scores that follow from the replayed rounds, where ballots are weighed by them.
    pub(super) trust: Vec<(Offset, TrustScore)>,
}

impl Checkpoint {
    pub(super) fn of(
        rules: &Rules,
        about: &About,
        (records, last): (i64, Digest),
        state: State,
    ) -> Result<Self, Error> {
        Ok(Self {
            program: PROGRAM.to_owned(),
            revision: RULES_REVISION,
            rules: of_rules(rules)?,
            about: about.clone(),
            records,
            last,
            state,
        })
    }

    /// The checkpoint in a file; none if there is no such file.
    pub(super) fn read(path: &Path, rules: &Rules) -> Result<Option<Self>, Error> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(disk("read", path, source)),
        };
        let unfit = |why: &str| {
            let path = path.display();
            Error::Unfit(format!("cannot go on from `{path}`: {why}"))
        };
        let unknown =
            || unfit("it is no checkpoint, or not as it was written (checkpoint_unknown)");
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(unknown)?;
        let (digest, body) = rest.split_first_chunk::<32>().ok_or_else(unknown)?;
        if wire::sha256(body) != Digest(*digest) {
            return Err(unknown());
        }
        // Who wrote it is said first, since the rest may have another form.
        let (program, _) = postcard::take_from_bytes::<String>(body).map_err(|_| unknown())?;
        let newer = "it is of another version of this program (checkpoint_version)";
        if program != PROGRAM {
            return Err(unfit(newer));
        }
        let checkpoint: Self = postcard::from_bytes(body).map_err(|_| unfit(newer))?;
        if checkpoint.revision != RULES_REVISION {
            return Err(unfit(newer));
        }
        if checkpoint.rules != of_rules(rules)? {
            return Err(unfit("it is of a replay by other rules (checkpoint_rules)"));
        }
        Ok(Some(checkpoint))
    }

    /// Puts it in a file, in place of the one before.
    pub(super) fn write(&self, path: &Path) -> Result<(), Error> {
        let body = postcard::to_allocvec(self).map_err(unwritten)?;
        let part = path.with_added_extension("part");
        let write = || {
            let mut file = std::fs::File::create(&part)?;
            file.write_all(MAGIC)?;
            file.write_all(&wire::sha256(&body).0)?;
            file.write_all(&body)?;
            file.sync_all()?;
            std::fs::rename(&part, path)
        };
        write().map_err(|source| disk("write", path, source))
    }

    /// Whether a record is the last that was read.
    pub(super) fn is_last(&self, stored: &Stored) -> Result<bool, Error> {
        Ok(self.last == mark(stored)?)
    }
}

/// What tells a record from any other.
pub(super) fn mark(stored: &Stored) -> Result<Digest, Error> {
    let bytes = postcard::to_allocvec(stored).map_err(unwritten)?;
    Ok(wire::sha256(&bytes))
}

/// The refusal of a checkpoint of another history.
pub(super) fn other_history(path: &Path) -> Error {
    let path = path.display();
    let why = "it is of another history, or of one of which something is gone by now";
    Error::Unfit(format!(
        "cannot go on from `{path}`: {why} (checkpoint_history)"
    ))
}

/// Takes a checkpoint away that nobody needs any more.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(disk("remove", path, error)),
        _ => Ok(()),
    }
}

fn of_rules(rules: &Rules) -> Result<Digest, Error> {
    let bytes = postcard::to_allocvec(rules).map_err(unwritten)?;
    Ok(wire::sha256(&bytes))
}

fn unwritten(error: postcard::Error) -> Error {
    Error::Unfit(format!("cannot put the replay away: {error}"))
}

fn disk(doing: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Disk {
        doing,
        path: path.display().to_string(),
        source,
    }
}

/// A score, by where it is kept and whose it is.
pub(super) fn place(score: &TrustScore) -> (String, AgentId) {
    (score.trust_domain.clone(), score.agent_id.clone())
}
