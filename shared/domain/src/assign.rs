//! Decides which agents a waiting interaction is offered to: the strategies of queues.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use crate::account::Account;
use crate::agent::{Presence, PresenceState};
use crate::decide::Ring;
use crate::effect::{Audience, Target};
use crate::footprint::WaitingRow;
use crate::history::{NotOffered, PassedOver};
use crate::ids::{AccountId, AgentId, InteractionId};
use crate::interaction::{Missed, Stage};
use crate::priority::Priority;
use crate::queue::{Queue, Strategy, Weight};

/// A target, with everything that a choice rests on.
#[derive(Debug)]
pub struct Choice<'a> {
    /// The target whose waiting interactions are looked at.
    pub target: &'a Target,
    /// The queue, if the target is one.
    pub queue: Option<&'a Queue>,
    /// The other queues of the candidates. An interaction that comes earlier there has the first claim on an agent
    /// who is in both.
    pub rivals: &'a [Rival],
    /// The accounts of the rows.
    pub accounts: &'a BTreeMap<AccountId, Account>,
    /// The agents of each account, as sets: they are looked up for each agent and row, in accounts with a thousand
    /// agents.
    pub rosters: &'a Rosters<'a>,
    /// The presences of all candidates, and of the members of a rival at all of whose members an offer rings.
    pub presences: &'a BTreeMap<AgentId, Presence>,
    /// The agent engaged last.
    pub cursor: Option<&'a AgentId>,
    /// Now.
    pub now: Timestamp,
}

/// The agents of accounts.
pub type Rosters<'a> = BTreeMap<&'a AccountId, HashSet<&'a AgentId>>;

/// The agents of each account.
pub fn rosters(accounts: &BTreeMap<AccountId, Account>) -> Rosters<'_> {
    accounts.iter().map(|(id, account)| (id, account.agents.iter().collect())).collect()
}

/// Another queue in which some of the candidates are members.
#[derive(Debug, Clone, PartialEq)]
pub struct Rival {
    /// The queue.
    pub queue: Queue,
    /// The rows that wait for it.
    pub rows: Vec<WaitingRow>,
}

/// The next offer to make.
#[derive(Debug, Clone, PartialEq)]
pub struct Next {
    /// The index of its row.
    pub row: usize,
    /// The ring.
    pub ring: Ring,
    /// The agent engaged last from now on.
    pub cursor: Option<AgentId>,
}

/// A waiting row, with its place in the order of all rows: by the weight of the queue, then the priority, then the
/// time.
struct Waiting<'a> {
    row: &'a WaitingRow,
    weight: Weight,
    /// The rival queue of the row; `None`: the target that is looked at.
    rival: Option<&'a Queue>,
    /// Its index among the rows of its target.
    index: usize,
}

impl Waiting<'_> {
    fn place(&self) -> (Reverse<Weight>, Reverse<Priority>, Timestamp, &InteractionId, bool) {
        (Reverse(self.weight), Reverse(self.row.priority), self.row.since, &self.row.interaction.interaction, self.rival.is_some())
    }
}

/// The free agents and the ringing chats, while one claim after the other is met.
struct Floor<'a> {
    presences: Cow<'a, BTreeMap<AgentId, Presence>>,
    /// The chats that ring at all members of a queue.
    chats: Vec<Chat<'a>>,
}

/// A chat that rings at all members of a queue.
struct Chat<'a> {
    queue: &'a Queue,
    account: &'a AccountId,
    /// The agents who rejected it.
    except: &'a [AgentId],
}

impl<'a> Chat<'a> {
    /// The rows that ring at all members of `queue`.
    fn of(queue: &'a Queue, rows: &'a [WaitingRow], now: Timestamp) -> impl Iterator<Item = Self> {
        let ringing = rows.iter().filter(move |row| rings_at_all(row, now));
        ringing.filter_map(move |row| match row.offer.as_ref().map(|offer| &offer.audience) {
            Some(Audience::Members { except, .. }) => Some(Self { queue, account: &row.interaction.conversation.account, except }),
            _ => None,
        })
    }
}

impl Choice<'_> {
    /// The first of `rows` for which an agent can be rung. The caller commits it, brings rows and presences up to
    /// date, and calls again, so that no choice rests on data that another has just changed.
    pub fn next(&self, rows: &[WaitingRow]) -> Option<Next> {
        let own = self.queue.into_iter().flat_map(|queue| Chat::of(queue, rows, self.now));
        let chats = own.chain(self.rivals.iter().flat_map(|rival| Chat::of(&rival.queue, &rival.rows, self.now))).collect();
        let mut floor = Floor { presences: Cow::Borrowed(self.presences), chats };
        let mut met = BTreeSet::new();
        for Waiting { row, rival, index, .. } in self.in_order(rows) {
            if met.contains(&row.interaction.interaction) {
                continue;
            }
            let Some(audience) = self.audience(row, rival, &floor) else { continue };
            match rival {
                None => return Some(self.ring(index, row, audience, &floor)),
                // That queue's own decision is on its way. Until then its claim stands.
                Some(queue) => {
                    met.insert(&row.interaction.interaction);
                    match audience {
                        Audience::Members { .. } => {
                            floor.chats.push(Chat { queue, account: &row.interaction.conversation.account, except: &row.rejected });
                        }
                        Audience::Agents(agents) => {
                            for agent in agents {
                                let presence = floor.presences.to_mut().get_mut(&agent);
                                presence.map(|presence| presence.ringing.insert(row.interaction.interaction.clone(), Timestamp::MAX));
                            }
                        }
                    }
                }
            }
        }
        None
    }

    /// All rows that wait for a ring, including those of the rivals, in order: the heaviest queue, the highest
    /// priority, the longest wait first.
    fn in_order<'r>(&'r self, rows: &'r [WaitingRow]) -> Vec<Waiting<'r>> {
        let waits =
            |row: &WaitingRow| row.offer.is_none() && row.until.is_none_or(|until| self.now < until) && row.stage != Stage::Inactive;
        let weight = self.queue.map(|queue| queue.weight).unwrap_or_default();
        let own = rows.iter().enumerate().map(|(index, row)| Waiting { row, weight, rival: None, index });
        let others = self.rivals.iter().flat_map(|Rival { queue, rows }| {
            rows.iter().enumerate().map(|(index, row)| Waiting { row, weight: queue.weight, rival: Some(queue), index })
        });
        let mut all: Vec<_> = own.chain(others).filter(|waiting| waits(waiting.row)).collect();
        all.sort_by(|one, other| one.place().cmp(&other.place()));
        all
    }

    /// The agents to ring for `row`, for a rival or for the target that is looked at.
    fn audience(&self, row: &WaitingRow, rival: Option<&Queue>, floor: &Floor<'_>) -> Option<Audience> {
        let account = self.accounts.get(&row.interaction.conversation.account).filter(|account| account.active)?;
        let queue = rival.or(self.queue);
        let candidates: &[AgentId] = match rival {
            Some(rival) => &rival.members,
            None => self.candidates(account),
        };
        // With a long backlog nearly no agent is free, so one cheap check finds those who are not.
        let room = |presence: &&Presence| presence.load.contains(&row.interaction.interaction) || presence.free_slots(self.now) > 0;
        let there = candidates.iter().filter_map(|agent| floor.presences.get(agent)).filter(room);
        let free: Vec<&Presence> = there.filter(|presence| self.obstacle(&presence.agent, row, account, floor).is_none()).collect();
        if free.is_empty() {
            return None;
        }
        // An interaction whose plan has run out is offered to one agent at a time: the one who became available.
        if let Some(queue) = queue.filter(|queue| queue.strategy == Strategy::Beepall && row.stage != Stage::Exhausted) {
            let own = free.iter().any(|presence| presence.load.contains(&row.interaction.interaction));
            let room = own || self.one_more_may_ring(&free, floor);
            return room.then(|| Audience::Members { queue: queue.id.clone(), except: row.rejected.clone() });
        }
        let free = match queue.map(|queue| queue.strategy) {
            Some(Strategy::LeastRecent) => {
                let longest = free.iter().map(|presence| presence.last_offered).min()?;
                free.into_iter().filter(|presence| presence.last_offered == longest).collect()
            }
            Some(Strategy::Rrmemory | Strategy::Beepall) | None => free,
        };
        // The other queue knows whose turn it is there. Here the first agent is good enough.
        let cursor = if rival.is_some() { None } else { self.cursor };
        let place = |agent: &AgentId| candidates.iter().position(|other| other == agent);
        let last = cursor.and_then(place);
        let chosen = free.iter().find(|presence| place(&presence.agent) > last).or(free.first())?;
        Some(Audience::Agents(vec![chosen.agent.clone()]))
    }

    /// Whether one more chat may ring at all members. Never more chats ring than there are free slots among the
    /// agents who can take this chat and those who see the same chats. But no agent stays idle: one more may ring
    /// if an agent sees fewer chats than the agent has free slots.
    fn one_more_may_ring(&self, free: &[&Presence], floor: &Floor<'_>) -> bool {
        let slots = |presence: &Presence| presence.free_slots(self.now);
        let seen = |agent: &AgentId| floor.chats.iter().filter(move |chat| self.sees(agent, chat)).count();
        if free.iter().any(|presence| slots(presence) > seen(&presence.agent)) {
            return true;
        }
        let chats: Vec<&Chat<'_>> =
            floor.chats.iter().filter(|chat| free.iter().any(|presence| self.sees(&presence.agent, chat))).collect();
        let there = floor.presences.values().filter(|presence| {
            let one_of_them = free.iter().any(|other| other.agent == presence.agent);
            one_of_them || (slots(presence) > 0 && chats.iter().any(|chat| self.sees(&presence.agent, chat)))
        });
        chats.len() < there.map(slots).sum()
    }

    /// Whether a chat that rings at all members of its queue rings at `agent`, if the agent has room.
    fn sees(&self, agent: &AgentId, chat: &Chat<'_>) -> bool {
        let of_account = self.rosters.get(chat.account).is_some_and(|roster| roster.contains(agent));
        of_account && chat.queue.members.contains(agent) && !chat.except.contains(agent)
    }

    fn ring(&self, index: usize, row: &WaitingRow, audience: Audience, floor: &Floor<'_>) -> Next {
        let account = self.accounts.get(&row.interaction.conversation.account);
        let considered = account.into_iter().flat_map(|account| self.candidates(account).iter().map(move |agent| (agent, account)));
        let passed_over = considered.filter_map(|(agent, account)| {
            let chosen = match &audience {
                Audience::Agents(agents) => agents.contains(agent),
                Audience::Members { .. } => true,
            };
            let why = self.obstacle(agent, row, account, floor).or((!chosen).then_some(NotOffered::NotItsTurn))?;
            Some(PassedOver { agent: agent.clone(), why })
        });
        let mut passed_over: Vec<PassedOver> = passed_over.collect();
        // First the agents who could not be rung, then those whose turn it was not.
        passed_over.sort_by_key(|passed| passed.why == NotOffered::NotItsTurn);
        let (until, cursor) = match (&audience, self.target) {
            (Audience::Members { .. }, _) => (row.until, self.cursor.cloned()),
            // An Agent step rings its agent for as long as the step lasts.
            (Audience::Agents(agents), Target::Agent(_)) => (row.until, agents.first().cloned()),
            (Audience::Agents(agents), Target::Queue(_) | Target::Account(_)) => {
                let timeout = self.queue.map_or(Queue::AGENT_TIMEOUT, |queue| queue.agent_timeout);
                (Some(timeout.after(self.now)), agents.first().cloned())
            }
        };
        let rung = match (&audience, self.queue) {
            (Audience::Members { .. }, Some(queue)) => {
                let passed = |agent: &AgentId| passed_over.iter().any(|passed| passed.agent == *agent);
                queue.members.iter().filter(|agent| !passed(agent)).cloned().collect()
            }
            _ => Vec::new(),
        };
        Next { row: index, ring: Ring { wait: row.wait, target: self.target.clone(), audience, until, rung, passed_over }, cursor }
    }

    /// All agents who might be rung, in the order of the queue.
    fn candidates<'c>(&'c self, account: &'c Account) -> &'c [AgentId] {
        match (self.target, self.queue) {
            (Target::Queue(_), Some(queue)) => &queue.members,
            (Target::Queue(_), None) => &[],
            (Target::Agent(agent), _) => std::slice::from_ref(agent),
            (Target::Account(_), _) => &account.agents,
        }
    }

    fn obstacle(&self, agent: &AgentId, row: &WaitingRow, account: &Account, floor: &Floor<'_>) -> Option<NotOffered> {
        if !self.rosters.get(&account.id).is_some_and(|roster| roster.contains(agent)) {
            return Some(NotOffered::NotOfAccount);
        }
        let presence = floor.presences.get(agent);
        match obstacle(agent, presence, &row.rejected, &row.interaction.interaction, self.now) {
            Some(NotOffered::NoFreeSlot) if self.presences.get(agent).is_some_and(|presence| presence.free_slots(self.now) > 0) => {
                return Some(NotOffered::NeededElsewhere);
            }
            Some(why) => return Some(why),
            None => {}
        }
        // An agent whose presence has changed since looks at the screen again.
        let left_alone = |missed: &Missed| missed.at.saturating_add(Missed::LEFT_ALONE).is_ok_and(|end| self.now < end);
        let back_before = |missed: &Missed| presence.is_some_and(|presence| presence.since < missed.at);
        let missed = row.missed.iter().any(|missed| missed.agent == *agent && back_before(missed) && left_alone(missed));
        missed.then_some(NotOffered::Missed)
    }
}

/// Why an agent of the account can't be rung for an interaction, as far as the agent alone tells.
fn obstacle(
    agent: &AgentId,
    presence: Option<&Presence>,
    rejected: &[AgentId],
    interaction: &InteractionId,
    now: Timestamp,
) -> Option<NotOffered> {
    let Some(presence) = presence else { return Some(NotOffered::LoggedOut) };
    match presence.state() {
        PresenceState::LoggedOut => Some(NotOffered::LoggedOut),
        PresenceState::Paused { .. } => Some(NotOffered::Paused),
        PresenceState::Ready if rejected.contains(agent) => Some(NotOffered::Rejected),
        // An agent who has the interaction already needs no second slot for it.
        PresenceState::Ready if presence.load.contains(interaction) || presence.free_slots(now) > 0 => None,
        PresenceState::Ready => Some(NotOffered::NoFreeSlot),
    }
}

/// Why none of `candidates` is being rung for `interaction`. `rejected` are the agents who rejected it in this
/// wait.
pub fn why_nobody(
    candidates: &[AgentId],
    account: &Account,
    presences: &BTreeMap<AgentId, Presence>,
    rejected: &[AgentId],
    interaction: &InteractionId,
    now: Timestamp,
) -> Vec<PassedOver> {
    let why = |agent: &AgentId| match account.agents.contains(agent) {
        true => obstacle(agent, presences.get(agent), rejected, interaction, now),
        false => Some(NotOffered::NotOfAccount),
    };
    candidates.iter().filter_map(|agent| why(agent).map(|why| PassedOver { agent: agent.clone(), why })).collect()
}

/// Whether `row` rings at all members of a queue.
pub fn rings_at_all(row: &WaitingRow, now: Timestamp) -> bool {
    matches!(&row.offer, Some(offer) if matches!(offer.audience, Audience::Members { .. }) && offer.until.is_none_or(|until| now < until))
}

#[cfg(test)]
mod tests;
