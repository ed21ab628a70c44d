//! Who is at which escalation: of the claims on the log the first stands that finds no living one
//! of somebody else, so that every gateway that reads them says the same. Nothing is decided by it.
//!
//! They are read beside everything else, and a log may be without them: a gateway goes on then.

mod follow;

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use quorate_core::ids::{Millis, ProposalId, Timestamp};
use quorate_core::records::Claim;
use quorate_core::topic::Topic;
use tokio::sync::watch;
use tokio::time::timeout;

pub(super) use self::follow::listen;
use super::access::Caller;
use super::desk::Desk;
use super::draft::Said;
use super::refusal::{Refusal, Sort};
use super::view::Known;
use crate::clock::{Clock as _, System};
use crate::wire::partition_of;

/// The longest any claim stands; whatever a record says, it is over then.
pub const LONGEST: Millis = Millis(2 * 60 * 60 * 1_000);
/// How long a claim stands where nobody says how long.
pub(super) const LASTS: Millis = Millis(15 * 60 * 1_000);
/// How long it may take until what was appended is read.
const READ: Duration = Duration::from_secs(20);
/// How many changes are made between two looks for claims that are long over.
const SWEEP: u64 = 256;

/// A claim that stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whose it is.
    pub reviewer: Box<str>,
    /// Until when, if it is neither renewed nor released.
    pub until: Timestamp,
}

/// The claims on the log.
#[derive(Debug)]
pub(super) struct Claims {
    read: RwLock<Read>,
    news: watch::Sender<u64>,
}

/// What was read of them.
#[derive(Debug)]
struct Read {
    last: BTreeMap<ProposalId, Last>,
    /// The rounds by the number of the last change of their claims.
    changes: BTreeMap<u64, ProposalId>,
    /// How many changes there were.
    count: u64,
    /// The offset to read next of each partition.
    next: BTreeMap<i32, i64>,
    /// Why none can be made; none if they can.
    lacks: Option<String>,
}

/// The claim of a round that stood last.
#[derive(Debug)]
struct Last {
    standing: Standing,
    change: u64,
}

impl Default for Claims {
    fn default() -> Self {
        let read = Read {
            last: BTreeMap::new(),
            changes: BTreeMap::new(),
            count: 0,
            next: BTreeMap::new(),
            lacks: Some("claims are not read yet".to_owned()),
        };
        Self {
            read: RwLock::new(read),
            news: watch::Sender::new(0),
        }
    }
}

impl Claims {
    /// The claim of a round that stands at a time, if one does.
    pub(super) fn of(&self, id: &ProposalId, now: Timestamp) -> Option<Standing> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let last = read.last.get(id)?;
        last.standing.is_living(now).then(|| last.standing.clone())
    }

    /// The rounds whose claims have changed since so many changes, what stands of each at a time,
    /// and how many changes there were by then.
    pub(super) fn since(
        &self,
        count: u64,
        now: Timestamp,
    ) -> (Vec<(ProposalId, Option<Standing>)>, u64) {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let changed = read.changes.range(count + 1..).map(|(_, id)| *id);
        let standing = |id: ProposalId| {
            let last = read.last.get(&id).map(|last| &last.standing);
            (id, last.filter(|last| last.is_living(now)).cloned())
        };
        (changed.map(standing).collect(), read.count)
    }

    /// A way to wait for more.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Whether nobody else's claim keeps out one that was appended at a time; none if it is of no
    /// round.
    fn is_free(&self, claim: &Claim, at: Timestamp) -> Option<bool> {
        let id = claim.proposal_id.parse().ok()?;
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        Some(read.is_free(id, claim, at))
    }

    /// Takes a claim, appended at a time to where it lies.
    fn take(&self, claim: &Claim, at: Timestamp, (partition, offset): (i32, i64)) {
        self.change(|read| {
            read.next.insert(partition, offset + 1);
            if let Ok(id) = claim.proposal_id.parse() {
                read.take(id, claim, at);
            }
        });
    }

    /// Says how far a partition is read where no record tells it.
    fn read_to(&self, partition: i32, offset: i64) {
        self.change(|read| {
            let next = read.next.entry(partition).or_default();
            *next = offset.max(*next);
        });
    }

    /// Says why no claims can be made, or that they can.
    fn set_lacks(&self, lacks: Option<String>) {
        self.change(|read| read.lacks = lacks);
    }

    /// Why none can be made; none if they can.
    pub(super) fn lacks(&self) -> Option<String> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.lacks.clone()
    }

    fn next(&self, partition: i32) -> Option<i64> {
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        read.next.get(&partition).copied()
    }

    fn change(&self, how: impl FnOnce(&mut Read)) {
        how(&mut self.read.write().unwrap_or_else(PoisonError::into_inner));
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Waits until a record is read.
    async fn until_read(&self, partition: i32, offset: i64) {
        let mut news = self.news();
        while self.next(partition) <= Some(offset) {
            if news.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Standing {
    /// Whether it stands at a time.
    fn is_living(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

impl Read {
    /// The rule: a living claim keeps out everybody but whose it is.
    fn take(&mut self, id: ProposalId, claim: &Claim, at: Timestamp) {
        let is_new = self.living(id, at).is_none();
        if !self.is_free(id, claim, at) || is_new && releases(claim) {
            return;
        }
        if let Some(before) = self.last.get(&id) {
            self.changes.remove(&before.change);
        }
        self.count += 1;
        let lasts = claim.lasts_ms.clamp(Millis(0), LONGEST);
        let standing = Standing {
            reviewer: claim.reviewer.as_str().into(),
            until: at.plus(lasts),
        };
        let change = self.count;
        self.changes.insert(change, id);
        self.last.insert(id, Last { standing, change });
        if self.count.is_multiple_of(SWEEP) {
            self.forget(at);
        }
    }

    fn is_free(&self, id: ProposalId, claim: &Claim, at: Timestamp) -> bool {
        let living = self.living(id, at);
        living.is_none_or(|living| *living.reviewer == *claim.reviewer)
    }

    fn living(&self, id: ProposalId, at: Timestamp) -> Option<&Standing> {
        let last = self.last.get(&id).map(|last| &last.standing);
        last.filter(|last| last.is_living(at))
    }

    /// Forgets what has been over for long: whoever follows was told by then.
    fn forget(&mut self, now: Timestamp) {
        let changes = &mut self.changes;
        self.last.retain(|_, last| {
            let is_over = now.since(last.standing.until) > LONGEST;
            if is_over {
                changes.remove(&last.change);
            }
            !is_over
        });
    }
}

/// Whether a claim gives up one.
pub(super) fn releases(claim: &Claim) -> bool {
    claim.lasts_ms <= Millis(0)
}

impl Desk {
    /// The claim of a round that stands now, if the round waits for people.
    pub(super) fn claim_of(&self, known: &Known, id: &ProposalId) -> Option<Standing> {
        let waits = known.waits_for_people(id);
        waits.then(|| self.claims().of(id, System.now())).flatten()
    }

    /// Claims an escalation for somebody, or renews a claim; until when.
    ///
    /// # Errors
    /// A [`Refusal`] if somebody else has claimed it, it does not wait, or the log does not answer.
    pub(super) async fn claim(&self, caller: &Caller, id: &str) -> Result<Standing, Refusal> {
        let id = self.waiting(id)?;
        if let Some(standing) = self.claims().of(&id, System.now())
            && *standing.reviewer != *caller.subject
        {
            return Err(already_claimed(standing));
        }
        self.say_claim(caller, id, self.claims_last()).await?;
        match self.claims().of(&id, System.now()) {
            Some(standing) if *standing.reviewer == *caller.subject => Ok(standing),
            Some(standing) => Err(already_claimed(standing)),
            None => {
                let detail = "the claim was released, or ran out, before it was read";
                Err(Refusal::new(Sort::Away, "log_unavailable", detail))
            }
        }
    }

    /// Gives up somebody's claim to an escalation, if it stands.
    ///
    /// # Errors
    /// As [`Self::claim`].
    pub(super) async fn release(&self, caller: &Caller, id: &str) -> Result<(), Refusal> {
        let id = self.waiting(id)?;
        match self.claims().of(&id, System.now()) {
            None => Ok(()),
            Some(standing) if *standing.reviewer != *caller.subject => {
                Err(already_claimed(standing))
            }
            Some(_) => self.say_claim(caller, id, Millis(0)).await,
        }
    }

    /// Gives up the claim of whoever has decided; it runs out by itself where that fails.
    pub(super) async fn release_decided(
        &self,
        caller: &Caller,
        said: Said,
        id: Option<ProposalId>,
    ) {
        let Some(id) = id.filter(|_| said == Said::Decision) else {
            return;
        };
        let standing = self.claims().of(&id, System.now());
        if standing.is_some_and(|standing| *standing.reviewer == *caller.subject)
            && let Err(refusal) = self.append_claim(caller, id, Millis(0)).await
        {
            let (round, code) = (id.to_string(), &refusal.code);
            tracing::debug!(round, code, "a claim is not released");
        }
    }

    /// A round that waits for people.
    fn waiting(&self, id: &str) -> Result<ProposalId, Refusal> {
        let known = self.view().known();
        super::desk::follows(&known)?;
        let id = id.parse().ok();
        let waiting = id.filter(|id| known.waits_for_people(id));
        let none = || {
            let detail = "no such escalation waits for anybody";
            Refusal::new(Sort::Missing, "unknown_escalation", detail)
        };
        waiting.ok_or_else(none)
    }

    /// Appends a claim and waits until it is read, and with it what was there before it.
    async fn say_claim(
        &self,
        caller: &Caller,
        id: ProposalId,
        lasts: Millis,
    ) -> Result<(), Refusal> {
        let (partition, offset) = self.append_claim(caller, id, lasts).await?;
        let read = timeout(READ, self.claims().until_read(partition, offset)).await;
        read.map_err(|_| {
            let detail = "the claim is on the log, and was not read back; ask whether it stands";
            Refusal::new(Sort::Away, "log_unavailable", detail)
        })
    }

    async fn append_claim(
        &self,
        caller: &Caller,
        id: ProposalId,
        lasts_ms: Millis,
    ) -> Result<(i32, i64), Refusal> {
        if let Some(why) = self.claims().lacks() {
            return Err(Refusal::new(Sort::Away, "claims_unavailable", why));
        }
        let claim = Claim {
            proposal_id: id.to_string(),
            reviewer: caller.subject.clone(),
            lasts_ms,
        };
        let value = self.codec().encode(&claim)?;
        let partition = partition_of(claim.proposal_id.as_bytes(), self.partitions());
        let written = self.write(Topic::Claims, partition, claim.proposal_id, value, None);
        Ok((partition, written.await?.offset))
    }
}

fn already_claimed(standing: Standing) -> Refusal {
    let detail = format!("`{}` has claimed it", standing.reviewer);
    Refusal::new(Sort::Taken, "already_claimed", detail).with_claim(standing)
}

#[cfg(test)]
mod tests;
