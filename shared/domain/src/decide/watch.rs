//! Watching: a supervisor's feed carries a thread. Nothing else changes: no wait, no offer, and nothing is read.

use super::Refusal;
use super::change::Change;
use crate::effect::{Audience, Effect, Notice};
use crate::ids::AgentId;
use crate::interaction::{Interaction, Watcher};

impl Change<'_> {
    pub(super) fn watch(&mut self, by: AgentId) -> Result<(), Refusal> {
        self.still_open()?;
        let (now, presences) = (self.context.now, self.context.presences);
        self.next.watchers.retain(|watcher| watcher.agent != by && !watcher.has_ended(presences.get(&watcher.agent), now));
        if self.next.watchers.len() >= Watcher::MOST {
            return Err(Refusal::TooManyWatchers);
        }
        self.next.watchers.push(Watcher { agent: by, since: now, until: now + Watcher::LASTS });
        Ok(())
    }

    pub(super) fn unwatch(&mut self, by: &AgentId) -> Result<(), Refusal> {
        let before = self.next.watchers.len();
        self.next.watchers.retain(|watcher| watcher.agent != *by);
        if self.next.watchers.len() < before { Ok(()) } else { Err(Refusal::NothingToDo) }
    }

    /// Tells `to`, and whoever watches, about the message that comes with this change.
    pub(super) fn tell_of_message(&mut self, to: Vec<AgentId>) {
        let watchers = self.watchers_beside(&self.next, &to);
        if !to.is_empty() {
            self.message_effects.push(Effect::Push { to: Audience::Agents(to), notice: Notice::Message });
        }
        if !watchers.is_empty() {
            self.message_effects.push(Effect::TellWatchers { watchers, notice: Notice::Message });
        }
    }

    /// Shows whoever watches how the interaction is now, if that looks different. The watch of a closed interaction
    /// ends with this.
    pub(super) fn tell_watchers(&mut self, before: Option<&Interaction>) {
        let Some(before) = before.filter(|before| !before.looks_like(&self.next)) else { return };
        let watched = if self.next.is_open() { &self.next } else { before };
        let told: Vec<AgentId> = (self.effects.iter())
            .filter_map(|effect| match effect {
                Effect::Push { to: Audience::Agents(agents), notice: Notice::Interaction { .. } } => Some(agents.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        let watchers = self.watchers_beside(watched, &told);
        if !watchers.is_empty() {
            self.effects.push(Effect::TellWatchers { watchers, notice: Notice::INTERACTION });
        }
    }

    fn watchers_beside(&self, watched: &Interaction, told: &[AgentId]) -> Vec<Watcher> {
        let watchers = watched.watchers.iter().filter(|watcher| watcher.until > self.context.now && !told.contains(&watcher.agent));
        watchers.cloned().collect()
    }
}
