//! What does not go as it should: an agent is suspended, a record is none, an id is used twice.

use quorate_core::ids::{Offset, Timestamp};
use quorate_core::records::{Agent, AgentStatus, Control};
use quorate_core::topic::Topic;

use super::super::cast::SCENES;
use super::Days;
use crate::engine::CONTROL;
use crate::transport::Entry;

impl Days<'_> {
    /// Suspends an agent, as `quorate suspend` does it, or gives it back.
    pub(super) fn stand(
        &mut self,
        name: &str,
        status: AgentStatus,
        reason: &str,
        at: Timestamp,
    ) -> anyhow::Result<()> {
        let mut listed = self.client.table::<Agent>(Topic::Agents)?;
        let Some(agent) = listed.remove(name.as_bytes()) else {
            return Ok(());
        };
        let written = self.client.append(&[(name, Agent { status, ..agent })])?;
        let row = written
            .first()
            .map(|place| place.offset)
            .unwrap_or_default();
        if status == AgentStatus::Active {
            return Ok(());
        }
        let control = Control {
            control_id: self.id(at).to_string(),
            agent_id: Some(name.to_owned()),
            pattern: None,
            table_offset: Offset(row),
            operator: "duty-officer".to_owned(),
            reason: reason.to_owned(),
        };
        let value = self.client.codec().encode(&control)?;
        self.client.handle().append(&[Entry {
            topic: Topic::Responses,
            partition: 0,
            key: None,
            value: Some(&value),
            headers: &[CONTROL],
        }])?;
        Ok(())
    }

    pub(super) fn garble(&self) -> anyhow::Result<()> {
        let key = self.last.map(|id| id.to_string()).unwrap_or_default();
        self.client.handle().append(&[Entry {
            topic: Topic::Responses,
            partition: 0,
            key: Some(key.as_bytes()),
            value: Some(b"{\"verdict\": \"ENDORSE\"}"),
            headers: &[],
        }])?;
        Ok(())
    }

    pub(super) fn conflict(&mut self, at: Timestamp) -> anyhow::Result<()> {
        let (Some(id), Some(scene)) = (self.last, SCENES.first()) else {
            return Ok(());
        };
        let proposer = scene.proposers.first().copied().unwrap_or_default();
        let subject = u64::try_from(at.0 % 1_000).unwrap_or(0);
        let id = id.to_string();
        let proposal = self.proposal(scene, subject, &id, proposer);
        self.client.append(&[(&id, proposal)])?;
        Ok(())
    }
}
