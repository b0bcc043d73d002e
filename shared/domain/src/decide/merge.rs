//! Lines that join a thread without needing an answer, and merges of two interactions of one customer.

use jiff::Timestamp;

use super::change::Change;
use super::{MERGED, Refusal};
use crate::effect::{Effect, InteractionKey};
use crate::history::Fact;
use crate::ids::MessageId;
use crate::interaction::{Interaction, Watcher};
use crate::tag::Tag;
use crate::values::Address;

impl Change<'_> {
    /// Adds a line. No wait begins or ends, and nothing becomes unread. A claim without proof is told once.
    pub(super) fn noted(
        &mut self,
        message: MessageId,
        at: Timestamp,
        moved_to: Option<Address>,
        claim: Option<String>,
    ) -> Result<(), Refusal> {
        self.still_open()?;
        if let Some(claim) = claim {
            if self.next.tells_claim(&claim) {
                return Err(Refusal::NothingToDo);
            }
            self.next.add_claim(&claim);
        }
        // A new number replaces a number, a new user id a user id. The other kind still leads to the customer.
        if let Some(address) = moved_to.filter(|address| address.phone().is_some() == self.next.address.phone().is_some()) {
            self.heard_from(&address, at);
        }
        self.fact(Fact::Noted { message });
        self.tell_of_message(self.next.agent.iter().cloned().collect());
        Ok(())
    }

    /// Turns to another address, since the present one is somebody else's.
    pub(super) fn readdressed(&mut self, address: Address) -> Result<(), Refusal> {
        self.still_open()?;
        self.turn_to(address);
        Ok(())
    }

    /// Adds a message that was written elsewhere. It answers nothing here: whoever has the interaction, or gets it,
    /// sees it and decides. So no wait begins or ends, nothing becomes read or unread, and no timer moves.
    pub(super) fn overheard(&mut self, message: MessageId, archive: bool) {
        self.fact(Fact::Noted { message });
        if !self.next.is_open() {
            self.effects.extend(archive.then_some(Effect::Archive));
        } else {
            self.tell_of_message(self.next.agent.iter().cloned().collect());
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
        self.heard(newer.heard_at);
        self.next.one_sided &= newer.one_sided;
        self.next.answered |= newer.answered;
        self.next.answering.by_hand |= newer.answering.by_hand;
        self.next.answering.disclosed |= newer.answering.disclosed;
        self.next.answering.used_up |= newer.answering.used_up;
        self.next.answering.in_a_row = self.next.answering.in_a_row.max(newer.answering.in_a_row);
        let (interaction, answered) = (newer.id.clone(), newer.answered);
        self.fact(Fact::Absorbed { interaction, unanswered: unanswered.is_some(), answered });
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
        // The customer may have written there last.
        if newer.address_at > self.next.address_at {
            self.next.address_at = newer.address_at;
            self.turn_to(newer.address.clone());
        }
        self.next.claims.extend(newer.claims.iter().filter(|claim| !self.next.claims.contains(claim)).copied().collect::<Vec<_>>());
        self.next.claims.truncate(Interaction::MOST_CLAIMS);
        // Whoever watched the newer one goes on here.
        let watching = |watcher: &&Watcher| !self.next.watchers.iter().any(|own| own.agent == watcher.agent);
        let watchers: Vec<Watcher> = newer.watchers.iter().filter(watching).cloned().collect();
        self.next.watchers.extend(watchers);
        self.next.watchers.truncate(Watcher::MOST);
        if self.next.customer_name.is_none() {
            (self.next.customer_name, self.next.name_kept) = (newer.customer_name.clone(), newer.name_kept);
        }
        if let Some(last) = &newer.last_message
            && self.next.last_message.as_ref().is_none_or(|own| own.at <= last.at)
        {
            self.next.last_message = Some(last.clone());
        }
        if let Some(since) = unanswered {
            self.next.inactivity.deadline = None;
            self.next.unanswered_since = Some(self.next.unanswered_since.map_or(since, |own| own.min(since)));
            // Beside an AI agent, its agent need not look at each message.
            let free = self.next.wait.is_none() && self.next.answered_by().is_none();
            let attended = self.is_attended() && free && self.next.agent.as_ref().is_some_and(|agent| self.of_account(agent));
            self.next.answering.handed_over = false;
            self.arrived(attended, newer.unread_count);
        }
        self.show_change();
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
