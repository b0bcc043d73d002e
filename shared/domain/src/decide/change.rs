//! An interaction under change: the part that the consequences of all events have in common.

use jiff::Timestamp;

use super::{Compared, Context, Decision, Refusal, Reply};
use crate::agent::Presence;
use crate::effect::{Audience, Effect, Notice, Target};
use crate::footprint::{holder, occupied};
use crate::history::{Fact, HistoryEntry};
use crate::ids::AgentId;
use crate::interaction::Interaction;

/// An interaction under change.
pub(super) struct Change<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) next: Interaction,
    pub(super) effects: Vec<Effect>,
    pub(super) message_effects: Vec<Effect>,
    pub(super) replies: Vec<Reply>,
    pub(super) history: Vec<HistoryEntry>,
    /// For each condition of the plan, in their order, the values that it was decided by.
    pub(super) compared: Vec<Vec<Compared>>,
    pub(super) presence_revision: Option<(AgentId, u64)>,
    /// The provider's time of the customer's latest message.
    pub(super) last_inbound_at: Option<Timestamp>,
}

impl<'a> Change<'a> {
    pub(super) fn of(interaction: &Interaction, context: &'a Context<'a>) -> Self {
        let mut next = interaction.clone();
        next.version += 1;
        Self {
            context,
            next,
            effects: Vec::new(),
            message_effects: Vec::new(),
            replies: Vec::new(),
            history: Vec::new(),
            compared: Vec::new(),
            presence_revision: None,
            last_inbound_at: context.last_inbound_at,
        }
    }

    /// Completes the decision. A freed slot makes an agent available, and this one place wakes that agent, whatever
    /// freed the slot. A slot that an offer kept counts too: another interaction may have been passed over for it.
    ///
    /// An interaction that waited without a ring, and no longer waits there, counts too: an agent of several queues
    /// may have been kept for it.
    pub(super) fn done(mut self, before: Option<&Interaction>) -> Decision {
        if !self.next.unread {
            self.next.unread_count = 0;
        }
        self.end_wrap_up(before);
        self.keep_assignment(before);
        self.keep_active_time(before);
        let occupied_before = before.map(occupied).unwrap_or_default();
        if let Some(wait) = before.and_then(|before| before.wait.as_ref()).filter(|wait| wait.offer.is_none()) {
            let stays = |target: &Target| self.next.is_open() && self.next.wait.as_ref().is_some_and(|wait| wait.targets.contains(target));
            let gone = wait.targets.iter().filter(|target| matches!(target, Target::Queue(_)) && !stays(target));
            gone.cloned().collect::<Vec<_>>().into_iter().for_each(|target| self.wake(target));
        }
        for target in occupied_before.difference(&occupied(&self.next)).cloned() {
            self.wake(target);
        }
        self.withdraw_elsewhere(before);
        self.tell_watchers(before);
        let Self { next: interaction, effects, message_effects, replies, history, presence_revision, .. } = self;
        Decision { interaction, effects, message_effects, replies, history, presence_revision }
    }

    /// Notes since when its agent has it, whatever gave or reopened it.
    fn keep_assignment(&mut self, before: Option<&Interaction>) {
        if self.next.agent.is_none() {
            self.next.assigned_at = None;
        } else if holder(&self.next).is_some() && before.and_then(holder) != holder(&self.next) {
            self.next.assigned_at = Some(self.context.now);
        }
    }

    /// Ends the active time of a hold, whatever ended it, and runs that of the present one.
    fn keep_active_time(&mut self, before: Option<&Interaction>) {
        if before.and_then(holder) != holder(&self.next) {
            self.next.active.passed_on();
        }
        let owed = holder(&self.next).is_some() && self.next.unanswered_since.is_some();
        self.next.active.owed(owed, self.context.now);
    }

    /// When an agent's last slot fills, other offers ringing there are withdrawn and move on.
    pub(super) fn withdraw_elsewhere(&mut self, before: Option<&Interaction>) {
        let taker = holder(&self.next).filter(|taker| before.and_then(holder) != Some(taker));
        let Some(presence) = taker.and_then(|taker| self.context.presences.get(taker)).filter(|presence| self.fills(presence)) else {
            return;
        };
        let others = presence.ringing.iter().filter(|(id, until)| **until > self.context.now && **id != self.next.id);
        let others = others.filter(|(id, _)| !presence.load.contains(*id)).map(|(id, _)| id.clone());
        let withdraw = others.map(|interaction| Effect::Withdraw { interaction, agent: presence.agent.clone() });
        self.effects.extend(withdraw);
        self.presence_revision = Some((presence.agent.clone(), presence.revision));
    }

    /// Whether the interaction takes the last slot of an agent who has this presence.
    fn fills(&self, presence: &Presence) -> bool {
        presence.load.len() + usize::from(!presence.load.contains(&self.next.id)) >= presence.capacity.get()
    }

    pub(super) fn wake(&mut self, target: Target) {
        let wake = Effect::Wake { target };
        if !self.effects.contains(&wake) {
            self.effects.push(wake);
        }
    }

    /// The customer wrote at `at`, or earlier, as the conversation knows.
    pub(super) fn heard(&mut self, at: Option<Timestamp>) {
        self.last_inbound_at = self.last_inbound_at.max(at).max(self.next.heard_at);
        self.next.heard_at = self.last_inbound_at;
    }

    pub(super) fn fact(&mut self, fact: Fact) {
        self.history.push(HistoryEntry { at: self.context.now, version: self.next.version, role: None, fact });
    }

    pub(super) fn tell(&mut self, agents: Vec<AgentId>, notice: Notice) {
        self.effects.push(Effect::Push { to: Audience::Agents(agents), notice });
    }

    pub(super) fn still_open(&self) -> Result<(), Refusal> {
        if self.next.is_open() { Ok(()) } else { Err(Refusal::Closed) }
    }

    pub(super) fn owned_by(&self, agent: &AgentId) -> Result<(), Refusal> {
        self.still_open()?;
        if self.next.agent.as_ref() == Some(agent) { Ok(()) } else { Err(Refusal::NotYours { owner: self.next.agent.clone() }) }
    }

    /// Whether its agent is logged in and has had the tab open since that login.
    pub(super) fn is_attended(&self) -> bool {
        self.next.tab_open
            && self.own_presence().is_some_and(|presence| {
                let before_login = self.next.tab_opened_at.zip(presence.logged_in_at).is_some_and(|(opened, login)| opened < login);
                presence.logged_in() && !before_login
            })
    }

    /// The presence of the agent who has it.
    fn own_presence(&self) -> Option<&Presence> {
        self.context.presences.get(self.next.agent.as_ref()?)
    }

    pub(super) fn is_logged_in(&self, agent: &AgentId) -> bool {
        self.context.presences.get(agent).is_some_and(Presence::logged_in)
    }

    /// A screen that was left open ends no wait: a logged-out agent is not present.
    pub(super) fn must_be_logged_in(&self, agent: &AgentId) -> Result<(), Refusal> {
        if self.is_logged_in(agent) { Ok(()) } else { Err(Refusal::NotReady) }
    }

    pub(super) fn of_account(&self, agent: &AgentId) -> bool {
        self.context.account.agents.contains(agent)
    }

    /// A merged interaction goes on in another one, and the refusal names it.
    pub(super) fn not_merged(&self) -> Result<(), Refusal> {
        match &self.next.merged_into {
            Some(older) => Err(Refusal::MergedAway { into: older.interaction.clone() }),
            None => Ok(()),
        }
    }

    /// Shows the interaction's new state to the agent who acted and to the agent who has it.
    pub(super) fn tell_about(&mut self, by: AgentId) {
        let mut to = vec![by];
        to.extend(self.next.agent.clone().filter(|agent| !to.contains(agent)));
        self.tell(to, Notice::INTERACTION);
    }

    /// A closed interaction's transcript and log are written again.
    pub(super) fn archive_again(&mut self) {
        if !self.next.is_open() {
            self.effects.push(Effect::Archive);
        }
    }
}
