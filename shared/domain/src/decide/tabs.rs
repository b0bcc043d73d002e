//! Opening and closing tabs, and closing interactions.

use super::Refusal;
use super::change::Change;
use crate::agent::PresenceWord;
use crate::catalog::Pause;
use crate::effect::{Effect, Notice, Target};
use crate::history::{Fact, WaitEnd};
use crate::ids::AgentId;
use crate::interaction::{Inactivity, Interaction, Status, WrapUp};

impl Change<'_> {
    pub(super) fn tab_opened(&mut self, agent: AgentId) -> Result<(), Refusal> {
        // A client may say so as often as it likes: whenever its page is loaded, or the tab is shown again.
        if self.is_attended() && !self.next.unread && !self.waits_on_own_agent() {
            return Err(Refusal::NothingToDo);
        }
        self.next.tab_open = true;
        self.next.tab_opened_at = Some(self.context.now);
        self.next.unread = false;
        if self.waits_on_own_agent() {
            self.withdraw_offer(Some(&agent));
            self.end_wait(WaitEnd::TabOpened);
        }
        self.tell(vec![agent.clone()], Notice::INTERACTION);
        self.fact(Fact::TabOpened { agent });
        Ok(())
    }

    /// Closes the interaction for its agent. Where a disposition is mandatory and has a pause, the agent may ask to
    /// close without one. The agent is then on that pause until the disposition is given.
    pub(super) fn close_by_agent(&mut self, agent: AgentId, disposition: Option<String>) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        match self.context.pause {
            Some(pause) if disposition.is_none() && self.context.account.settings.mandatory_disposition => self.wrap_up(agent, pause),
            _ => self.close_with(agent, disposition),
        }
    }

    fn wrap_up(&mut self, agent: AgentId, pause: &Pause) -> Result<(), Refusal> {
        if self.next.wrap_up.is_some() {
            return Err(Refusal::NothingToDo);
        }
        // An agent who asks to close is there, whether or not the tab is open.
        if self.waits_on_own_agent() {
            self.must_be_logged_in(&agent)?;
            self.next.unread = false;
            self.end_wait(WaitEnd::TabOpened);
        }
        let (now, pause) = (self.context.now, pause.name.clone());
        self.fact(Fact::CloseRequested { agent: agent.clone(), pause: pause.clone() });
        // As with any pause, offers that ring at this agent alone are withdrawn and ring elsewhere.
        if let Some(presence) = self.context.presences.get(&agent) {
            let ringing = presence.ringing.iter().filter(|(interaction, until)| **until > now && **interaction != self.next.id);
            let withdrawn = ringing.map(|(interaction, _)| Effect::Withdraw { interaction: interaction.clone(), agent: agent.clone() });
            self.effects.extend(withdrawn);
            self.presence_revision = Some((agent.clone(), presence.revision));
        }
        self.next.wrap_up = Some(WrapUp { agent: agent.clone(), pause, since: now });
        self.tell(vec![agent.clone()], Notice::INTERACTION);
        self.tell(vec![agent], Notice::PresenceNow { state: PresenceWord::Paused });
        Ok(())
    }

    /// Ends the wrap-up when the interaction is closed or no longer belongs to the agent who owes the disposition.
    /// The agent is then available again, and gets a notice of it here only.
    pub(super) fn end_wrap_up(&mut self, before: Option<&Interaction>) {
        let owed = self.next.wrap_up.as_ref().filter(|wrap_up| self.next.is_open() && self.next.agent.as_ref() == Some(&wrap_up.agent));
        if owed.is_none() {
            self.next.wrap_up = None;
        }
        let Some(owed) = before.and_then(|before| before.wrap_up.as_ref()).filter(|_| self.next.wrap_up.is_none()) else { return };
        let agent = owed.agent.clone();
        let presence = self.context.presences.get(&agent);
        let another = presence.is_some_and(|presence| presence.wrapping_up.iter().any(|other| *other != self.next.id));
        if let Some(presence) = presence.filter(|_| !another) {
            let state = presence.chosen.word();
            self.tell(vec![agent.clone()], Notice::PresenceNow { state });
        }
        self.wake(Target::Agent(agent));
    }

    /// Closes with an allowed disposition: one of the account's own or a global one. If there are neither, any text
    /// is allowed.
    pub(super) fn close_with(&mut self, agent: AgentId, disposition: Option<String>) -> Result<(), Refusal> {
        let (settings, global) = (&self.context.account.settings, self.context.dispositions);
        match &disposition {
            None if settings.mandatory_disposition => return Err(Refusal::DispositionRequired),
            Some(chosen) => {
                let mut known = settings.dispositions.iter().chain(global).peekable();
                if known.peek().is_some() && !known.any(|known| known == chosen) {
                    return Err(Refusal::UnknownDisposition);
                }
            }
            None => {}
        }
        self.close(Some(agent), disposition);
        Ok(())
    }

    pub(super) fn close(&mut self, by: Option<AgentId>, disposition: Option<String>) {
        self.withdraw_offer(None);
        self.ai_stops();
        self.next.wait = None;
        self.next.status = Status::Closed;
        self.next.closed_at = Some(self.context.now);
        self.next.disposition.clone_from(&disposition);
        self.next.tab_open = false;
        self.next.unread = false;
        self.next.unanswered_since = None;
        self.next.inactivity = Inactivity::default();
        self.next.watchers.clear();
        self.fact(Fact::Closed { agent: by, disposition });
        self.effects.push(Effect::Archive);
        self.insights_at_closing();
        if let Some(agent) = self.next.agent.clone() {
            self.tell(vec![agent], Notice::INTERACTION);
        }
    }
}
