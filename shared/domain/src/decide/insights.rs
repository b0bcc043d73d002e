//! The customer's mood and the summary of the conversation.

use super::change::Change;
use super::{ACCOUNT_DELETED, DELETED, InsightsCause, MERGED, NOT_WHITELISTED, Refusal};
use crate::effect::{Effect, Notice};
use crate::history::Fact;
use crate::ids::AiAgentId;
use crate::insights::{Insights, Sentiment, Summary};
use crate::interaction::Interaction;

/// Dispositions of conversations that nobody sums up: they go on elsewhere, never began, or are about to be deleted.
const NOT_SUMMED_UP: [&str; 4] = [MERGED, NOT_WHITELISTED, ACCOUNT_DELETED, DELETED];

impl Interaction {
    /// Whether insights that were asked for by the closing at `closed_at` are still to be made: it has been closed
    /// since then, and they are not there yet.
    pub fn lacks_insights_of(&self, closed_at: jiff::Timestamp) -> bool {
        self.closed_at == Some(closed_at) && self.merged_into.is_none() && self.insights.is_none_or(|made| made.at < closed_at)
    }
}

impl Change<'_> {
    /// Asks for insights if the account wants them at closing, and the customer has written.
    pub(super) fn insights_at_closing(&mut self) {
        let wanted = self.context.account.settings.insights.as_ref().is_some_and(|insights| insights.at_closing);
        let left_out = self.next.disposition.as_deref().is_some_and(|disposition| NOT_SUMMED_UP.contains(&disposition));
        if wanted && !left_out && !self.next.one_sided {
            self.effects.push(Effect::Insights);
        }
    }

    /// Keeps them, in place of earlier ones. The history has all of them, so a closed interaction's log is written
    /// again.
    pub(super) fn insights_made(
        &mut self,
        cause: InsightsCause,
        ai_agent: AiAgentId,
        sentiment: Sentiment,
        summary: Summary,
    ) -> Result<(), Refusal> {
        self.not_merged()?;
        let by = match cause {
            InsightsCause::Asked(by) => Some(by),
            InsightsCause::Closed(at) if !self.next.lacks_insights_of(at) => return Err(Refusal::Stale),
            InsightsCause::Closed(_) => None,
        };
        self.next.insights = Some(Insights { sentiment, at: self.context.now, version: self.next.version });
        self.fact(Fact::InsightsMade { agent: by.clone(), ai_agent, sentiment, summary });
        match by {
            Some(by) => self.tell_about(by),
            None => self.tell(self.next.agent.iter().cloned().collect(), Notice::INTERACTION),
        }
        self.archive_again();
        Ok(())
    }
}
