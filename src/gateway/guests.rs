//! Guests: agents nobody vouches for, listed at their first request where `quorate dev` lets
//! them in.

use std::time::Duration;

use quorate_core::ids::AgentId;
use quorate_core::millionths::Millionths;
use quorate_core::records::{Agent, AgentKind, AgentStatus, Grant};
use quorate_core::topic::Topic;
use tokio::time::timeout;

use super::desk::{Desk, follows};
use super::refusal::{Refusal, Sort};

/// What a guest may weigh at most, in millionths: less than anybody with a record.
const AUTHORITY: u32 = 300_000;
/// How a guest is told from whoever was listed by an operator.
const MARK: &str = "guest";
/// How many there may be; those that come at once, while they are being listed, come on top.
const GUESTS_MAX: usize = 1000;
/// How many are listed at once.
pub(super) const AT_ONCE: usize = 16;
/// How long it may take until a guest that was listed is seen to be.
const SEEN: Duration = Duration::from_secs(10);

impl Desk {
    /// Sees to it that a guest is listed: what it says counts in rounds opened from then on.
    ///
    /// # Errors
    /// A [`Refusal`] if the name is that of somebody who is no guest, or the log does not answer.
    pub(super) async fn welcome(&self, name: &str) -> Result<(), Refusal> {
        if self.is_listed(name)? {
            return Ok(());
        }
        let gone = |_| Refusal::new(Sort::Away, "log_unavailable", "the gateway ends");
        let _turn = self.welcoming().acquire().await.map_err(gone)?;
        if self.is_full() {
            let detail = format!("{GUESTS_MAX} guests are here already, and stay");
            return Err(Refusal::new(Sort::Forbidden, "too_many_guests", detail));
        }
        let value = self.codec().encode(&guest(name))?;
        self.write(Topic::Agents, 0, name.to_owned(), value, None)
            .await?;
        let seen = timeout(SEEN, self.until_listed(name)).await;
        let late = || Refusal::new(Sort::Away, "log_unavailable", "the list is not read yet");
        seen.unwrap_or_else(|_| Err(late()))
    }

    fn is_full(&self) -> bool {
        let known = self.view().known();
        let guests = known.agents().filter(|agent| agent.display_name == MARK);
        guests.count() >= GUESTS_MAX
    }

    fn is_listed(&self, name: &str) -> Result<bool, Refusal> {
        let known = self.view().known();
        follows(&known)?;
        match known.agent(name) {
            None => Ok(false),
            Some(agent) if agent.display_name == MARK => Ok(true),
            Some(_) => {
                let detail = format!("`{name}` is somebody else; take another name");
                Err(Refusal::new(Sort::Forbidden, "not_yourself", detail))
            }
        }
    }

    async fn until_listed(&self, name: &str) -> Result<(), Refusal> {
        let mut news = self.view().news();
        loop {
            news.borrow_and_update();
            if self.is_listed(name)? || news.changed().await.is_err() {
                return Ok(());
            }
        }
    }
}

/// A guest as it is listed, with a say in every sample round.
fn guest(name: &str) -> Agent {
    Agent {
        agent_id: AgentId::from(name),
        kind: AgentKind::Agent,
        display_name: MARK.to_owned(),
        principal: name.to_owned(),
        model_family: None,
        domains: vec![Grant {
            domain: "sample".to_owned(),
            authority: Millionths::new(AUTHORITY).unwrap_or(Millionths::ZERO),
            prior: None,
        }],
        reviews: Vec::new(),
        public_keys: Vec::new(),
        status: AgentStatus::Active,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::gateway::told::{Fake, Told};

    #[test]
    fn there_are_so_many_guests_and_no_more() {
        let desk = Desk::open(Arc::new(Fake::default())).unwrap();
        let mut told = Told::to(desk.shared_view());
        desk.view().set_follows(true);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let mut list = |number: usize| told.agent(&guest(&format!("guest-{number}")));
        for number in 1..GUESTS_MAX {
            list(number);
        }
        // The last is not turned away, though this log takes nothing.
        let refusal = runtime.block_on(desk.welcome("last")).unwrap_err();
        assert_eq!(refusal.code, "log_unavailable");
        list(GUESTS_MAX);
        let refusal = runtime.block_on(desk.welcome("one-more")).unwrap_err();
        assert_eq!(
            (refusal.sort, &*refusal.code),
            (Sort::Forbidden, "too_many_guests")
        );
        // Who is here stays.
        runtime.block_on(desk.welcome("guest-1")).unwrap();
    }
}
