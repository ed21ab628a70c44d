//! Keeps the claims read, beside everything else: a log without them, or one that does not let this
//! gateway read them, keeps it from nothing else.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use quorate_core::records::Claim;
use quorate_core::topic::Topic;

use super::Claims;
use crate::gateway::view::View;
use crate::transport::{Error, Handle, Reading, Start, Stored};

/// How long one look for claims takes.
const LOOK: Duration = Duration::from_millis(50);
/// How long to wait before a log that was without claims is looked at again.
const PAUSE: Duration = Duration::from_secs(5);

/// Follows the claims on a thread of its own, which ends soon after `stop` is set; it is not waited
/// for, as a question to a log that is away may take longer than that.
pub(in crate::gateway) fn listen(
    claims: &Arc<Claims>,
    view: &Arc<View>,
    handle: &Arc<dyn Handle>,
    partitions: i32,
    stop: &Arc<AtomicBool>,
) -> io::Result<()> {
    let (claims, view) = (Arc::clone(claims), Arc::clone(view));
    let (handle, stop) = (Arc::clone(handle), Arc::clone(stop));
    let follow = move || {
        let mut said = None;
        while !stop.load(Ordering::Relaxed) {
            let follower = Follower {
                claims: &claims,
                view: &view,
                handle: handle.as_ref(),
                partitions,
                stop: &stop,
            };
            let why = follower.why_not();
            claims.set_lacks(Some(why.clone()));
            if said.as_ref() != Some(&why) && !stop.load(Ordering::Relaxed) {
                tracing::warn!(why, "no escalation can be claimed");
                said = Some(why);
            }
            let until = Instant::now() + PAUSE;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                thread::sleep(LOOK);
            }
        }
    };
    let named = thread::Builder::new().name("claims".to_owned());
    named.spawn(follow).map(drop)
}

struct Follower<'a> {
    claims: &'a Claims,
    view: &'a View,
    handle: &'a dyn Handle,
    partitions: i32,
    stop: &'a AtomicBool,
}

impl Follower<'_> {
    /// Follows the claims; why that came to an end.
    fn why_not(&self) -> String {
        let followed = match self.handle.lacks(Topic::Claims) {
            Ok(None) => self.follow(),
            Ok(Some(why)) => return why,
            Err(error) => Err(error),
        };
        match followed {
            Ok(()) => "it ends".to_owned(),
            Err(error) => {
                let mut why = format!("the claims cannot be followed: {error}");
                let mut source = std::error::Error::source(&error);
                while let Some(error) = source {
                    why.push_str(&format!(": {error}"));
                    source = error.source();
                }
                why
            }
        }
    }

    fn follow(&self) -> Result<(), Error> {
        let reader = self.handle.reader()?;
        let mut starts = Vec::new();
        for partition in 0..self.partitions {
            let next = self.catch_up(reader.as_ref(), partition)?;
            starts.push((Topic::Claims, partition, Start::At(next)));
        }
        reader.go_to(&starts)?;
        self.claims.set_lacks(None);
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(stored) = reader.next(LOOK)? {
                self.take(&stored);
            }
        }
        Ok(())
    }

    /// Reads a partition to its end; where that is.
    fn catch_up(&self, reader: &dyn Reading, partition: i32) -> Result<i64, Error> {
        let (start, end) = reader.ends(Topic::Claims, partition)?;
        let next = self.claims.next(partition);
        let from = next.map_or(start, |next| next.max(start));
        reader.read_to(Topic::Claims, partition, from, end, &mut |stored| {
            self.take(&stored);
            Ok(ControlFlow::Continue(()))
        })?;
        self.claims.read_to(partition, end);
        Ok(end.max(from))
    }

    /// Takes a record; what is no claim only counts as read.
    fn take(&self, stored: &Stored) {
        let (partition, offset) = (stored.partition, stored.offset);
        let value = stored.value.as_deref().unwrap_or_default();
        match self.handle.codec().decode::<Claim>(value) {
            Ok((claim, _)) if stored.key.as_deref() == Some(claim.proposal_id.as_bytes()) => {
                let at = stored.timestamp.unwrap_or_default();
                // ORDER: whoever is told that a claim is read finds it among what people did.
                if let Some(stands) = self.claims.is_free(&claim, at) {
                    let place = (partition, offset);
                    self.view.take_claim(&claim, stands, at, place);
                }
                self.claims.take(&claim, at, (partition, offset));
            }
            Ok(_) => self.claims.read_to(partition, offset + 1),
            Err(error) => {
                tracing::debug!(offset, %error, "record is no claim");
                self.claims.read_to(partition, offset + 1);
            }
        }
    }
}
