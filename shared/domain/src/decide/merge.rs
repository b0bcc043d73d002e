//! Lines that join a thread without needing an answer, and merges of two interactions of one customer.

use super::change::Change;
use super::{MERGED, Refusal};
use crate::effect::{Audience, Effect, InteractionKey, Notice};
use crate::history::Fact;
use crate::ids::MessageId;
use crate::interaction::Interaction;
use crate::tag::Tag;
use crate::values::Address;

impl Change<'_> {
    /// Adds a line. No wait begins or ends, and nothing becomes unread.
    pub(super) fn noted(&mut self, message: MessageId, moved_to: Option<Address>) -> Result<(), Refusal> {
        self.still_open()?;
        // A new number replaces a number, a new user id a user id. The other kind still leads to the customer.
        if let Some(address) = moved_to.filter(|address| address.phone().is_some() == self.next.address.phone().is_some()) {
            self.next.address = address;
        }
        self.fact(Fact::Noted { message });
        if let Some(agent) = self.next.agent.clone() {
            self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Message });
        }
        Ok(())
    }

    /// Adds a message that was written elsewhere. It answers nothing here: whoever has the interaction, or gets it,
    /// sees it and decides. So no wait begins or ends, nothing becomes read or unread, and no timer moves.
    pub(super) fn overheard(&mut self, message: MessageId, archive: bool) {
        self.fact(Fact::Noted { message });
        if !self.next.is_open() {
            self.effects.extend(archive.then_some(Effect::Archive));
        } else if let Some(agent) = self.next.agent.clone() {
            self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Message });
        }
    }

    /// Absorbs a newer interaction of the same customer. Its unanswered messages count as if they had come here
    /// now.
    pub(super) fn absorb(&mut self, newer: &Interaction) -> Result<(), Refusal> {
        self.still_open()?;
        if self.next.merged_into.is_some() || self.next.id == newer.id || self.next.absorbed.contains(&newer.key()) {
            return Err(Refusal::Stale);
        }
        let unanswered = newer.unanswered_since;
        self.next.one_sided &= newer.one_sided;
        self.fact(Fact::Absorbed { interaction: newer.id.clone(), unanswered: unanswered.is_some() });
        self.next.absorbed.extend(newer.absorbed.iter().cloned());
        self.next.absorbed.push(newer.key());
        // Its tags and variables stay with the customer, and its replies count as sent.
        let tags: Vec<Tag> = newer.tags.iter().filter(|tag| !self.next.tags.contains(tag)).cloned().collect();
        self.next.tags.extend(tags);
        self.next.tags.truncate(Tag::MOST);
        self.next.priority = self.next.priority.max(newer.priority);
        self.next.run.replied.extend(&newer.run.replied);
        self.next.run.replied.sort_unstable();
        self.next.run.replied.dedup();
        if let Some(last) = &newer.last_message
            && self.next.last_message.as_ref().is_none_or(|own| own.at <= last.at)
        {
            self.next.last_message = Some(last.clone());
        }
        if let Some(since) = unanswered {
            self.next.inactivity.deadline = None;
            self.next.unanswered_since = Some(self.next.unanswered_since.map_or(since, |own| own.min(since)));
            let there = self.is_attended();
            let attended = there && self.next.wait.is_none() && self.next.agent.as_ref().is_some_and(|agent| self.of_account(agent));
            if !attended {
                self.unread();
            }
        }
        if let Some(agent) = self.next.agent.clone() {
            let told = Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Interaction };
            if !self.effects.contains(&told) {
                self.effects.push(told);
            }
        }
        Ok(())
    }

    /// Ends this interaction, which goes on in the older one. The system closes it, so no disposition is needed.
    pub(super) fn merge_into(&mut self, older: InteractionKey) -> Result<(), Refusal> {
        self.still_open()?;
        self.fact(Fact::Merged { into: older.interaction.clone() });
        self.next.merged_into = Some(older);
        self.close(None, Some(MERGED.to_owned()));
        Ok(())
    }
}
