//! The customer's language.

use super::Refusal;
use super::change::Change;
use crate::history::Fact;
use crate::ids::AgentId;
use crate::language::Language;

impl Change<'_> {
    /// A person's choice stays, whatever is detected later.
    pub(super) fn language_chosen(&mut self, by: AgentId, oversees: bool, language: Option<Language>) -> Result<(), Refusal> {
        if oversees {
            self.still_open()?;
        } else {
            self.owned_by(&by)?;
        }
        let kept = language.is_some();
        if self.next.language_kept == kept && (!kept || self.next.language == language) {
            return Err(Refusal::NothingToDo);
        }
        self.next.language_kept = kept;
        self.next.language.clone_from(&language);
        self.fact(Fact::LanguageChosen { agent: by.clone(), language });
        self.tell_about(by);
        Ok(())
    }

    /// What was detected last holds, unless a person chose. It is no decision of anybody, so the history does not
    /// tell.
    pub(super) fn language_detected(&mut self, language: Language) -> Result<(), Refusal> {
        self.still_open()?;
        if self.next.language_kept || self.next.language.as_ref() == Some(&language) {
            return Err(Refusal::NothingToDo);
        }
        self.next.language = Some(language);
        Ok(())
    }
}
