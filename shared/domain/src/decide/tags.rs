//! Tags that colleagues put on an interaction.

use super::Refusal;
use super::change::Change;
use crate::history::Fact;
use crate::ids::AgentId;
use crate::tag::Tag;

impl Change<'_> {
    pub(super) fn retagged(&mut self, by: AgentId, add: Vec<Tag>, remove: Vec<Tag>) -> Result<(), Refusal> {
        self.not_merged()?;
        let had = self.next.tags.clone();
        self.next.tags.retain(|tag| !remove.contains(tag));
        for tag in add {
            if !self.next.tags.contains(&tag) {
                self.next.tags.push(tag);
            }
        }
        if self.next.tags.len() > Tag::MOST {
            return Err(Refusal::TooManyTags);
        }
        let added: Vec<Tag> = self.next.tags.iter().filter(|tag| !had.contains(tag)).cloned().collect();
        let removed: Vec<Tag> = had.into_iter().filter(|tag| !self.next.tags.contains(tag)).collect();
        if added.is_empty() && removed.is_empty() {
            return Err(Refusal::NothingToDo);
        }
        self.fact(Fact::Retagged { agent: by.clone(), added, removed });
        self.tell_about(by);
        self.archive_again();
        Ok(())
    }
}
