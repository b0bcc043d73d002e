//! Tabs, and the end of an interaction.

use super::*;

impl Change<'_> {
    pub(super) fn tab_opened(&mut self, agent: AgentId) {
        self.next.tab_open = true;
        self.next.tab_opened_at = Some(self.context.now);
        self.next.unread = false;
        if self.waits_on_own_agent() {
            self.withdraw_offer(Some(&agent));
            self.end_wait(WaitEnd::TabOpened);
        }
        self.tell(vec![agent.clone()], Notice::Interaction);
        self.fact(Fact::TabOpened { agent });
    }

    pub(super) fn close_by_agent(&mut self, agent: AgentId, disposition: Option<String>) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        self.close_with(agent, disposition)
    }

    /// Closes with a disposition that the account allows.
    pub(super) fn close_with(&mut self, agent: AgentId, disposition: Option<String>) -> Result<(), Refusal> {
        let settings = &self.context.account.settings;
        match &disposition {
            None if settings.mandatory_disposition => return Err(Refusal::DispositionRequired),
            Some(chosen) if !settings.dispositions.is_empty() && !settings.dispositions.contains(chosen) => {
                return Err(Refusal::UnknownDisposition);
            }
            _ => {}
        }
        self.close(Some(agent), disposition);
        Ok(())
    }

    pub(super) fn close(&mut self, by: Option<AgentId>, disposition: Option<String>) {
        self.withdraw_offer(None);
        self.next.wait = None;
        self.next.status = Status::Closed;
        self.next.closed_at = Some(self.context.now);
        self.next.disposition.clone_from(&disposition);
        self.next.tab_open = false;
        self.next.unread = false;
        self.next.unanswered_since = None;
        self.next.inactivity = Inactivity::default();
        self.fact(Fact::Closed { agent: by, disposition });
        self.effects.push(Effect::Archive);
        if let Some(agent) = self.next.agent.clone() {
            self.tell(vec![agent], Notice::Interaction);
        }
    }
}
