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
        let value = self.codec().encode(&guest(name))?;
        self.write(Topic::Agents, 0, name.to_owned(), value, None)
            .await?;
        let seen = timeout(SEEN, self.until_listed(name)).await;
        let late = || Refusal::new(Sort::Away, "log_unavailable", "the list is not read yet");
        seen.unwrap_or_else(|_| Err(late()))
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
