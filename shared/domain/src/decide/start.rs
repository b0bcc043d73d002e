//! Interactions that begin without routing: with a contact who is not served, or with an agent's message.

use jiff::Timestamp;

use super::change::Change;
use super::{BLOCKED, NOT_WHITELISTED, Refusal};
use crate::history::{Did, Fact};
use crate::ids::{AgentId, MessageId};
use crate::interaction::LastMessage;
use crate::plan::When;

impl Change<'_> {
    /// Stores the message, and nothing more.
    pub(super) fn blocked(&mut self, message: MessageId, at: Timestamp) {
        self.kept(message, at);
        self.fact(Fact::Blocked);
        self.close(None, Some(BLOCKED.to_owned()));
    }

    fn kept(&mut self, message: MessageId, at: Timestamp) {
        self.next.address_at = Some(at);
        self.heard(Some(at));
        self.next.last_message = Some(LastMessage { at, from_customer: true });
        self.fact(Fact::MessageReceived { message, delivered: false });
    }

    /// Stores the message and sends the predefined reply, and nothing more.
    pub(super) fn not_whitelisted(&mut self, message: MessageId, at: Timestamp) {
        self.kept(message, at);
        self.fact(Fact::NotWhitelisted);
        if let Some(whitelist) = &self.context.account.settings.whitelist {
            let did = match self.reply(&whitelist.reply, When::Always) {
                Ok(message) => Did::AutoReply { message },
                Err(why) => Did::NoReply { why },
            };
            self.fact(Fact::Replied { did });
        }
        self.close(None, Some(NOT_WHITELISTED.to_owned()));
    }

    /// The transaction ensures that the customer has no open interaction on the account, and that there is room.
    pub(super) fn started(&mut self, agent: AgentId, message: MessageId) -> Result<(), Refusal> {
        if !self.of_account(&agent) {
            return Err(Refusal::NotAMember);
        }
        if !self.context.account.active {
            return Err(Refusal::AccountInactive);
        }
        // An agent on a pause may write to customers: a pause only keeps incoming work away.
        let presence = self.context.presences.get(&agent).filter(|presence| presence.logged_in());
        if !presence.ok_or(Refusal::NotReady)?.has_room() {
            return Err(Refusal::AtCapacity);
        }
        self.fact(Fact::Started { agent: agent.clone(), message: message.clone() });
        self.next.one_sided = true;
        self.sent_by(agent.clone(), message);
        self.taken(agent);
        Ok(())
    }
}
