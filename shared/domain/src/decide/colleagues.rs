//! What is done around the conversation and not in it: notes, tags, and who answers, a person or an AI agent.

use super::*;

impl Change<'_> {
    /// A note changes nothing for the customer, and nothing of what is under way.
    pub(super) fn note_added(&mut self, by: AgentId, message: MessageId) -> Result<(), Refusal> {
        self.not_merged()?;
        self.fact(Fact::NoteAdded { message, agent: by.clone() });
        let mut to = vec![by];
        to.extend(self.next.agent.clone().filter(|agent| !to.contains(agent)));
        self.message_effects.push(Effect::Push { to: Audience::Agents(to), notice: Notice::Message });
        self.archive_again();
        Ok(())
    }

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

    /// An AI agent answers only from when somebody says so until a person accepts.
    pub(super) fn ai_switched(&mut self, by: AgentId, oversees: bool, on: bool) -> Result<(), Refusal> {
        if oversees {
            self.still_open()?
        } else {
            self.owned_by(&by)?
        }
        let ai = match on {
            true => Some(self.next.ai.clone().or_else(|| self.context.account.answering_ai_agent.clone()).ok_or(Refusal::NoAiAgent)?),
            false => None,
        };
        if self.next.ai == ai {
            return Err(Refusal::NothingToDo);
        }
        self.next.ai.clone_from(&ai);
        self.fact(Fact::AiSwitched { agent: by.clone(), ai_agent: ai });
        self.tell_about(by);
        Ok(())
    }

    /// What was merged goes on elsewhere: there it is said.
    fn not_merged(&self) -> Result<(), Refusal> {
        match &self.next.merged_into {
            Some(older) => Err(Refusal::MergedAway { into: older.interaction.clone() }),
            None => Ok(()),
        }
    }

    /// Who did something and who has it see what it is now.
    fn tell_about(&mut self, by: AgentId) {
        let mut to = vec![by];
        to.extend(self.next.agent.clone().filter(|agent| !to.contains(agent)));
        self.tell(to, Notice::Interaction);
    }

    /// The transcript and the log of what is closed are written with it.
    fn archive_again(&mut self) {
        if !self.next.is_open() {
            self.effects.push(Effect::Archive);
        }
    }
}
