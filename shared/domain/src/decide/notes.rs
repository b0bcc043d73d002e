//! Internal notes, which the customer never sees.

use super::Refusal;
use super::change::Change;
use crate::history::Fact;
use crate::ids::{AgentId, MessageId};

impl Change<'_> {
    /// Adds a note. It changes nothing for the customer and no wait under way.
    pub(super) fn note_added(&mut self, by: AgentId, message: MessageId) -> Result<(), Refusal> {
        self.not_merged()?;
        self.fact(Fact::NoteAdded { message, agent: by.clone() });
        let mut to = vec![by];
        to.extend(self.next.agent.clone().filter(|agent| !to.contains(agent)));
        self.tell_of_message(to);
        self.archive_again();
        Ok(())
    }
}
