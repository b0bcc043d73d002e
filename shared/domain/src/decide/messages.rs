//! Messages of customers and agents.

use jiff::Timestamp;

use super::CustomerName;
use super::change::Change;
use super::{Refusal, SERVICE_WINDOW};
use crate::effect::{Audience, Effect, Notice, Timer};
use crate::history::{Fact, WaitEnd};
use crate::ids::{AgentId, MessageId};
use crate::interaction::{Heard, LastMessage, Stage, Wait};
use crate::note::NoteKind;
use crate::plan::ActionPlan;
use crate::values::Address;

impl Change<'_> {
    /// The customer is called differently from now on. Its agent sees it.
    pub(super) fn is_called(&mut self, CustomerName { name, kept }: CustomerName) {
        self.next.name_kept = kept;
        if self.next.customer_name != name {
            self.next.customer_name = name;
            self.show_change();
        }
    }

    /// An answer goes to the address that the customer wrote from last, by the provider's time. Its agent sees that
    /// it changed.
    pub(super) fn heard_from(&mut self, address: &Address, at: Timestamp) {
        // Interactions of the version before say only when the customer wrote last.
        let since = self.next.address_at.or(self.last_inbound_at);
        if since.is_some_and(|since| at < since) {
            return;
        }
        self.next.address_at = Some(at);
        self.turn_to(address.clone());
    }

    pub(super) fn turn_to(&mut self, address: Address) {
        if self.next.address != address {
            self.next.address = address;
            self.next.address_changed_at = Some(self.context.now);
            self.show_change();
        }
    }

    /// Shows the interaction's new state to its agent, once.
    pub(super) fn show_change(&mut self) {
        self.show(None);
    }

    /// The same, and notifies the agent.
    fn show(&mut self, note: Option<NoteKind>) {
        let Some(agent) = self.next.agent.clone() else { return };
        let own = Audience::Agents(vec![agent]);
        let shown = self.effects.iter_mut().find_map(|effect| match effect {
            Effect::Push { to, notice: Notice::Interaction { note } } if *to == own => Some(note),
            _ => None,
        });
        match shown {
            Some(shown) => *shown = note.or(*shown),
            None => self.effects.push(Effect::Push { to: own, notice: Notice::Interaction { note } }),
        }
    }

    pub(super) fn message_received(&mut self, message: MessageId, at: Timestamp, from: &Address) {
        self.heard_from(from, at);
        let now = self.context.now;
        // With nothing under way, an agent has handled the earlier messages without a plan. So a run from now on is
        // not about the first message.
        let wrote_before = !self.next.one_sided && self.next.last_message.is_some();
        if wrote_before && self.next.wait.is_none() && self.next.run.number == 0 {
            self.next.run.number = 1;
        }
        self.next.one_sided = false;
        self.next.inactivity.deadline = None;
        self.next.unanswered_since.get_or_insert(now);
        self.heard(Some(at));
        let asked_for = self.context.account.plan.asks_for_message() || self.context.running_plan.is_some_and(ActionPlan::asks_for_message);
        self.next.run.message = self.context.heard.filter(|_| asked_for).map(Heard::of);
        if self.next.last_message.as_ref().is_none_or(|last| last.at <= at) {
            self.next.last_message = Some(LastMessage { at, from_customer: true });
        }
        let attending = self.is_attended();
        // An agent who has left the account no longer sees it, even with an open tab.
        let there = self.next.agent.as_ref().is_some_and(|agent| attending && self.of_account(agent));
        let delivered = there && (self.next.wait.is_none() || self.is_handed_over() || self.next.ai_wait().is_some());
        self.next.answering.handed_over = false;
        self.fact(Fact::MessageReceived { message, delivered });
        self.tell_of_message(self.next.agent.iter().cloned().collect());
        self.arrived(delivered, 1);
    }

    /// Messages of the customer came. An AI agent that is on answers them; else they go to its agent or to the plan,
    /// unless its agent has seen them.
    pub(super) fn arrived(&mut self, seen: bool, messages: u32) {
        if self.next.answered_by().is_none() {
            if !seen {
                self.unread(messages);
            }
        } else if self.context.account.active {
            if !seen {
                self.next.unread_count = self.next.unread_count.saturating_add(messages);
                self.next.unread = true;
            }
            self.ai_is_asked();
        } else {
            // Nothing is routed, and an AI agent answers nobody.
            self.ai_stops();
            if !seen {
                self.unread(messages);
            }
        }
    }

    /// Messages came that its agent has not seen, or that have no agent.
    pub(super) fn unread(&mut self, messages: u32) {
        self.next.unread_count = self.next.unread_count.saturating_add(messages);
        let was_unread = std::mem::replace(&mut self.next.unread, true);
        // One notification until the agent has read it: later messages are counted when the agent looks.
        if !was_unread {
            self.show(Some(NoteKind::NewMessages));
        }
        match &self.next.wait {
            None if !self.context.account.active => self.hold_while_inactive(),
            None if self.next.agent.is_some() => self.wait_for_agent(),
            None => self.start_plan(),
            // The plan runs again once the account is on again.
            Some(Wait { stage: Stage::Exhausted, offer: None, .. }) if !self.context.account.active => {
                self.end_wait(WaitEnd::NewMessage);
                self.hold_while_inactive();
            }
            // A current offer goes on. Without one, a customer who writes again starts the plan over.
            Some(Wait { stage: Stage::Exhausted, offer: None, .. }) => {
                self.end_wait(WaitEnd::NewMessage);
                self.start_plan();
            }
            Some(_) => {}
        }
    }

    pub(super) fn message_sent(&mut self, agent: AgentId, message: MessageId, template: bool) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        if !template && !self.window_open() {
            return Err(Refusal::WindowExpired);
        }
        if self.waits_on_own_agent() {
            self.must_be_logged_in(&agent)?;
        }
        // An agent who goes on writing has not finished.
        if self.next.wrap_up.take().is_some() {
            self.fact(Fact::CloseForgotten { agent: agent.clone() });
        }
        self.fact(Fact::MessageSent { message: message.clone(), agent: agent.clone() });
        self.sent_by(agent.clone(), message);
        self.answered_by_person();
        // An agent who answers is present, even with the tab closed.
        if self.waits_on_own_agent() {
            self.next.unread = false;
            self.end_wait(WaitEnd::TabOpened);
            self.tell(vec![agent], Notice::INTERACTION);
        }
        Ok(())
    }

    /// Notes that an agent's message is on its way.
    pub(super) fn sent_by(&mut self, agent: AgentId, message: MessageId) {
        let now = self.context.now;
        self.next.last_message = Some(LastMessage { at: now, from_customer: false });
        self.next.answered = true;
        self.next.unanswered_since = None;
        self.next.active.answered(now);
        self.next.inactivity.deadline = self.context.account.settings.inactivity_timeout.map(|timeout| timeout.after(now));
        if let Some(deadline) = self.next.inactivity.deadline {
            self.arm_inactivity(deadline);
        }
        self.effects.push(Effect::SendMessage { message, at: now });
        self.tell_of_message(vec![agent]);
    }

    /// Whether free text may be sent.
    pub(super) fn window_open(&self) -> bool {
        self.last_inbound_at.is_some_and(|at| self.context.now < at + SERVICE_WINDOW)
    }

    pub(super) fn arm_inactivity(&mut self, deadline: Timestamp) {
        if self.next.inactivity.armed.is_none() {
            let armed = self.next.version;
            self.next.inactivity.armed = Some(armed);
            self.effects.push(Effect::Timer { at: deadline, timer: Timer::Inactivity { armed } });
        }
    }
}
