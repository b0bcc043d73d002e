//! Who is offered what waits for a target: the strategies of queues.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::account::Account;
use crate::agent::{Presence, PresenceState};
use crate::decide::Ring;
use crate::effect::{Audience, Target};
use crate::footprint::WaitingRow;
use crate::history::{NotOffered, PassedOver};
use crate::ids::{AccountId, AgentId};
use crate::interaction::{Missed, Stage};
use crate::queue::{Queue, Strategy};

/// A target with all that a choice rests on.
#[derive(Debug)]
pub struct Choice<'a> {
    /// Whose waiting interactions are looked at.
    pub target: &'a Target,
    /// The queue, if it is one.
    pub queue: Option<&'a Queue>,
    /// The accounts of the rows.
    pub accounts: &'a BTreeMap<AccountId, Account>,
    /// The presence of all candidates.
    pub presences: &'a BTreeMap<AgentId, Presence>,
    /// Who was engaged last.
    pub cursor: Option<&'a AgentId>,
    /// Now.
    pub now: Timestamp,
}

/// The next offer to make, if there is one to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The place of its row.
    pub row: usize,
    /// Whom to ring.
    pub ring: Ring,
    /// Who is engaged last from now on.
    pub cursor: Option<AgentId>,
}

impl Choice<'_> {
    /// The first of `rows` (longest wait first) for which somebody can be rung. The caller commits it, brings rows and presences up to date, and asks again:
    /// so one choice never rests on what another has just changed.
    pub fn next(&self, rows: &[WaitingRow]) -> Option<Next> {
        let chats_to_all = rows.iter().filter(|row| self.rings_all(row)).count();
        for (index, row) in rows.iter().enumerate() {
            let waits = row.offer.is_none() && row.until.is_none_or(|until| self.now < until) && row.stage != Stage::Inactive;
            let Some(account) = self.accounts.get(&row.interaction.conversation.account).filter(|account| waits && account.active) else {
                continue;
            };
            let (mut free, mut passed_over) = (Vec::new(), Vec::new());
            for agent in self.candidates(account) {
                match self.obstacle(agent, row, account) {
                    None => free.push(agent),
                    Some(why) => passed_over.push(PassedOver { agent: agent.clone(), why }),
                }
            }
            if free.is_empty() {
                continue;
            }
            let ring = |audience, until, passed_over| Ring { wait: row.wait, target: self.target.clone(), audience, until, passed_over };
            if let Some(queue) = self.to_all(row) {
                // Never more chats ring than there are free slots.
                let free: Vec<&Presence> = free.iter().filter_map(|agent| self.presences.get(*agent)).collect();
                let slots: usize = free.iter().map(|presence| presence.free_slots(self.now)).sum();
                let own = free.iter().any(|presence| presence.load.contains(&row.interaction.interaction));
                if chats_to_all >= slots && !own {
                    continue;
                }
                let audience = Audience::Members { queue: queue.id.clone(), except: row.rejected.clone() };
                return Some(Next { row: index, ring: ring(audience, row.until, passed_over), cursor: self.cursor.cloned() });
            }
            let chosen = self.after_cursor(&free, account).clone();
            passed_over.extend(
                free.iter()
                    .filter(|agent| ***agent != chosen)
                    .map(|agent| PassedOver { agent: (*agent).clone(), why: NotOffered::NotItsTurn }),
            );
            let until = match self.target {
                // An Agent step rings its one agent for as long as it lasts.
                Target::Agent(_) => row.until,
                Target::Queue(_) | Target::Account(_) => {
                    Some(self.queue.map_or(Queue::AGENT_TIMEOUT, |queue| queue.agent_timeout).after(self.now))
                }
            };
            return Some(Next { row: index, ring: ring(Audience::Agents(vec![chosen.clone()]), until, passed_over), cursor: Some(chosen) });
        }
        None
    }

    /// Everybody who could be asked, in the order of the queue.
    fn candidates<'a>(&'a self, account: &'a Account) -> impl Iterator<Item = &'a AgentId> {
        let agents: &[AgentId] = match (self.target, self.queue) {
            (Target::Queue(_), Some(queue)) => &queue.members,
            (Target::Queue(_), None) => &[],
            (Target::Agent(agent), _) => std::slice::from_ref(agent),
            (Target::Account(_), _) => &account.agents,
        };
        agents.iter()
    }

    fn obstacle(&self, agent: &AgentId, row: &WaitingRow, account: &Account) -> Option<NotOffered> {
        if !account.agents.contains(agent) {
            return Some(NotOffered::NotOfAccount);
        }
        let Some(presence) = self.presences.get(agent) else { return Some(NotOffered::LoggedOut) };
        match presence.state {
            PresenceState::LoggedOut => return Some(NotOffered::LoggedOut),
            PresenceState::Paused { .. } => return Some(NotOffered::Paused),
            PresenceState::Ready => {}
        }
        if row.rejected.contains(agent) {
            return Some(NotOffered::Rejected);
        }
        // Whoever paused or came back since looks at the screen.
        let left_alone = |missed: &Missed| missed.at.saturating_add(Missed::LEFT_ALONE).is_ok_and(|end| self.now < end);
        if row.missed.iter().any(|missed| missed.agent == *agent && presence.since < missed.at && left_alone(missed)) {
            return Some(NotOffered::Missed);
        }
        // Who has the interaction already needs no second slot for it.
        let own = presence.load.contains(&row.interaction.interaction);
        (!own && presence.free_slots(self.now) == 0).then_some(NotOffered::NoFreeSlot)
    }

    /// The queue whose members are all rung at once. What has outlived its plan is offered to one agent at a time: to the one who became available.
    fn to_all(&self, row: &WaitingRow) -> Option<&Queue> {
        self.queue.filter(|queue| queue.strategy == Strategy::Beepall && row.stage != Stage::Exhausted)
    }

    fn rings_all(&self, row: &WaitingRow) -> bool {
        matches!(&row.offer, Some(offer) if matches!(offer.audience, Audience::Members { .. }) && offer.until.is_none_or(|until| self.now < until))
    }

    /// The first of `free` behind the one engaged last, in the order of the queue or of the account.
    fn after_cursor<'a>(&'a self, free: &[&'a AgentId], account: &'a Account) -> &'a AgentId {
        let order: Vec<&AgentId> = self.candidates(account).collect();
        let place = |agent: &AgentId| order.iter().position(|other| *other == agent);
        let last = self.cursor.and_then(place);
        let behind = free.iter().find(|agent| place(agent) > last);
        behind.or(free.first()).copied().unwrap_or(order[0])
    }
}

#[cfg(test)]
mod tests;
