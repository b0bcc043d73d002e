//! Switches between a person and an AI agent as the one who answers the customer.

use super::Refusal;
use super::change::Change;
use crate::history::Fact;
use crate::ids::AgentId;

impl Change<'_> {
    /// An AI agent answers only from when somebody switches it on until a person accepts.
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
}
