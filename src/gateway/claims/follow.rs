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
use crate::transport::{Error, Handle, Reading, Start, Stored};
use crate::wire::Codec;

/// How long one look for claims takes.
const LOOK: Duration = Duration::from_millis(50);
/// How long to wait before a log that was without claims is looked at again.
const PAUSE: Duration = Duration::from_secs(5);

/// Follows the claims on a thread of its own, which ends soon after `stop` is set; it is not waited
/// for, as a question to a log that is away may take longer than that.
pub(in crate::gateway) fn listen(
    claims: &Arc<Claims>,
    handle: &Arc<dyn Handle>,
    partitions: i32,
    stop: &Arc<AtomicBool>,
) -> io::Result<()> {
    let (claims, handle, stop) = (Arc::clone(claims), Arc::clone(handle), Arc::clone(stop));
    let follow = move || {
        let mut said = None;
        while !stop.load(Ordering::Relaxed) {
            let why = why_not(&claims, handle.as_ref(), partitions, &stop);
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

/// Follows the claims; why that came to an end.
fn why_not(claims: &Claims, handle: &dyn Handle, partitions: i32, stop: &AtomicBool) -> String {
    let followed = match handle.lacks(Topic::Claims) {
        Ok(None) => follow(claims, handle, partitions, stop),
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

fn follow(
    claims: &Claims,
    handle: &dyn Handle,
    partitions: i32,
    stop: &AtomicBool,
) -> Result<(), Error> {
    let (reader, codec) = (handle.reader()?, handle.codec());
    let mut starts = Vec::new();
    for partition in 0..partitions {
        let next = catch_up(claims, reader.as_ref(), codec, partition)?;
        starts.push((Topic::Claims, partition, Start::At(next)));
    }
    reader.go_to(&starts)?;
    claims.set_lacks(None);
    while !stop.load(Ordering::Relaxed) {
        if let Some(stored) = reader.next(LOOK)? {
            take(claims, codec, &stored);
        }
    }
    Ok(())
}

/// Reads a partition to its end; where that is.
fn catch_up(
    claims: &Claims,
    reader: &dyn Reading,
    codec: &Codec,
    partition: i32,
) -> Result<i64, Error> {
    let (start, end) = reader.ends(Topic::Claims, partition)?;
    let from = claims.next(partition).map_or(start, |next| next.max(start));
    reader.read_to(Topic::Claims, partition, from, end, &mut |stored| {
        take(claims, codec, &stored);
        Ok(ControlFlow::Continue(()))
    })?;
    claims.read_to(partition, end);
    Ok(end.max(from))
}

/// Takes a record; what is no claim only counts as read.
fn take(claims: &Claims, codec: &Codec, stored: &Stored) {
    let place = (stored.partition, stored.offset);
    let value = stored.value.as_deref().unwrap_or_default();
    match codec.decode::<Claim>(value) {
        Ok((claim, _)) if stored.key.as_deref() == Some(claim.proposal_id.as_bytes()) => {
            claims.take(&claim, stored.timestamp.unwrap_or_default(), place);
        }
        Ok(_) => claims.read_to(stored.partition, stored.offset + 1),
        Err(error) => {
            tracing::debug!(offset = stored.offset, %error, "record is no claim");
            claims.read_to(stored.partition, stored.offset + 1);
        }
    }
}
