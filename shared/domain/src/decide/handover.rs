//! Transfers, picks and reassignments from one agent to another, and reopening.

use super::Refusal;
use super::change::Change;
use crate::effect::{Notice, Target};
use crate::history::{Fact, WaitEnd};
use crate::ids::AgentId;
use crate::interaction::{Stage, Status, Wait};
use crate::note::NoteKind;

impl Change<'_> {
    /// Whether its agent is transferring it. The agent keeps it, sees its messages and may write until somebody
    /// accepts.
    pub(super) fn is_handed_over(&self) -> bool {
        matches!(self.next.wait, Some(Wait { stage: Stage::Transfer, .. }))
    }

    pub(super) fn transfer(&mut self, agent: AgentId, to: Target) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        let settings = &self.context.account.settings;
        let (rule, there) = match &to {
            Target::Agent(other) => (settings.transfer_to_agent, *other != agent && self.of_account(other)),
            Target::Queue(queue) => (settings.transfer_to_queue, self.context.queues.contains_key(queue)),
            Target::Account(_) => return Err(Refusal::NoSuchTarget),
        };
        if !rule.enabled {
            return Err(Refusal::TransferOff);
        }
        if !there {
            return Err(Refusal::NoSuchTarget);
        }
        if self.next.one_sided {
            return Err(Refusal::NothingFromCustomer);
        }
        // Nobody would be rung.
        if !self.context.account.active {
            return Err(Refusal::AccountInactive);
        }
        if self.is_handed_over() {
            return Err(Refusal::TransferUnderway);
        }
        // An agent who transfers is present, even with the tab closed.
        if self.waits_on_own_agent() {
            self.must_be_logged_in(&agent)?;
            self.end_wait(WaitEnd::TabOpened);
        }
        // Handing it to people is a person's decision.
        self.person_has_it();
        self.next.unread = false;
        self.next.wrap_up = None;
        self.fact(Fact::Transferred { agent: agent.clone(), to: to.clone() });
        self.begin_wait(Stage::Transfer, vec![to], Some(rule.timeout.after(self.context.now)));
        if let Some(wait) = &mut self.next.wait {
            // The transferring agent is not rung, even as a member of the queue.
            wait.rejected.push(agent.clone());
        }
        self.tell(vec![agent], Notice::INTERACTION);
        Ok(())
    }

    /// Nobody accepted the transfer. The interaction is unread in any case. But if its agent has not seen a message
    /// that came meanwhile, or has left, it must be offered again.
    pub(super) fn returned(&mut self) {
        let Some(agent) = self.next.agent.clone() else { return self.start_plan() };
        let undelivered = std::mem::replace(&mut self.next.unread, true);
        self.next.tab_open = false;
        self.fact(Fact::Returned { agent: agent.clone() });
        self.tell(vec![agent.clone()], Notice::Interaction { note: Some(NoteKind::TransferReturned) });
        if undelivered || !self.is_logged_in(&agent) || !self.of_account(&agent) {
            if self.context.account.active { self.wait_for_agent() } else { self.hold_while_inactive() }
        }
    }

    pub(super) fn pick(&mut self, agent: AgentId) -> Result<(), Refusal> {
        self.still_open()?;
        match &self.next.agent {
            Some(owner) if *owner == agent && self.next.wait.is_none() => return Err(Refusal::AlreadyYours),
            Some(owner) if *owner != agent => return Err(Refusal::NotYours { owner: Some(owner.clone()) }),
            Some(_) | None => {}
        }
        if !self.of_account(&agent) {
            return Err(Refusal::NotAMember);
        }
        if !self.context.account.active {
            return Err(Refusal::AccountInactive);
        }
        self.must_take_one_more(&agent)?;
        self.withdraw_offer(Some(&agent));
        self.next.wait = None;
        self.next.accepted_via = None;
        self.fact(Fact::Picked { agent: agent.clone() });
        self.taken(agent);
        Ok(())
    }

    pub(super) fn reassign(&mut self, by: AgentId, to: AgentId) -> Result<(), Refusal> {
        self.still_open()?;
        if self.of_account(&to) && self.next.agent.as_ref() == Some(&to) {
            return Err(Refusal::AlreadyYours);
        }
        self.can_be_given(&to)?;
        self.withdraw_offer(None);
        self.next.wait = None;
        self.person_has_it();
        self.next.accepted_via = None;
        let previous = self.next.agent.replace(to.clone());
        self.fact(Fact::Reassigned { by, to: to.clone(), previous: previous.clone() });
        self.tell(previous.into_iter().chain([to]).collect(), Notice::INTERACTION);
        self.offered_anew();
        Ok(())
    }

    /// An agent who is no longer on the account can't finish its interactions. They go on without the agent, as
    /// after a message that nobody accepted.
    pub(super) fn agent_left(&mut self, agent: &AgentId) -> Result<(), Refusal> {
        self.owned_by(agent)?;
        if self.of_account(agent) {
            return Err(Refusal::Stale);
        }
        self.fact(Fact::AgentLeft { agent: agent.clone() });
        self.withdraw_offer(None);
        self.next.wait = None;
        self.next.unread = true;
        if self.context.account.active {
            self.start_plan();
        } else {
            self.unassign();
            self.hold_while_inactive();
        }
        Ok(())
    }

    pub(super) fn archive(&mut self, agent: AgentId) -> Result<(), Refusal> {
        if self.next.is_open() {
            return Err(Refusal::StillOpen);
        }
        if self.next.archived {
            return Err(Refusal::Stale);
        }
        self.next.archived = true;
        self.fact(Fact::Archived { agent });
        Ok(())
    }

    /// The transaction ensures that the customer has no other open interaction on the account.
    pub(super) fn reopen(&mut self, agent: AgentId) -> Result<(), Refusal> {
        self.may_be_reopened()?;
        if !self.of_account(&agent) {
            return Err(Refusal::NotAMember);
        }
        self.must_take_one_more(&agent)?;
        self.opened_again();
        self.fact(Fact::Reopened { agent: agent.clone() });
        self.taken(agent);
        Ok(())
    }

    /// As after a message that nobody has seen: the agent who was given it is offered it first. Without one, the plan
    /// begins.
    pub(super) fn reopen_for(&mut self, by: AgentId, to: Option<AgentId>) -> Result<(), Refusal> {
        self.may_be_reopened()?;
        if let Some(to) = &to {
            self.can_be_given(to)?;
        }
        self.opened_again();
        self.next.agent.clone_from(&to);
        self.fact(Fact::ReopenedFor { by, to: to.clone() });
        if let Some(to) = to {
            self.person_has_it();
            self.tell(vec![to], Notice::INTERACTION);
        }
        self.offered_anew();
        Ok(())
    }

    fn may_be_reopened(&self) -> Result<(), Refusal> {
        if self.next.is_open() { Err(Refusal::StillOpen) } else { self.not_merged() }
    }

    fn opened_again(&mut self) {
        self.next.status = Status::Open;
        // The customer may have written in a later interaction.
        self.heard(None);
        self.next.closed_at = None;
        self.next.disposition = None;
        self.next.archived = false;
        self.next.accepted_via = None;
    }

    /// Whether a supervisor may give it to this agent. The transaction checks the room again.
    fn can_be_given(&self, to: &AgentId) -> Result<(), Refusal> {
        if !self.of_account(to) {
            return Err(Refusal::NoSuchTarget);
        }
        if self.context.presences.get(to).is_some_and(|presence| !presence.has_room()) {
            return Err(Refusal::AtCapacity);
        }
        Ok(())
    }

    /// Its agent, if it has one, is offered it first, and if that agent is absent it goes on.
    fn offered_anew(&mut self) {
        self.next.tab_open = false;
        self.next.unread = true;
        if self.context.account.active { self.wait_for_agent() } else { self.hold_while_inactive() }
    }

    /// Whether the agent is ready and has room for one more. The transaction checks the room again.
    fn must_take_one_more(&self, agent: &AgentId) -> Result<(), Refusal> {
        let presence = self.context.presences.get(agent).ok_or(Refusal::NotReady)?;
        if !presence.is_ready() {
            return Err(Refusal::NotReady);
        }
        if !presence.load.contains(&self.next.id) && !presence.available() {
            return Err(Refusal::AtCapacity);
        }
        Ok(())
    }

    /// Gives it to an agent who is looking at it.
    pub(super) fn taken(&mut self, agent: AgentId) {
        self.next.agent = Some(agent.clone());
        self.next.tab_open = true;
        self.next.tab_opened_at = Some(self.context.now);
        self.next.unread = false;
        self.person_has_it();
        self.tell(vec![agent], Notice::INTERACTION);
    }
}
