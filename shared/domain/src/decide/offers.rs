//! Offers: rings, acceptances, rejections.

use super::change::Change;
use super::{Refusal, Ring};
use crate::agent::Presence;
use crate::effect::{Audience, Effect, Notice, Target, Timer};
use crate::history::{Fact, WaitEnd};
use crate::ids::AgentId;
use crate::interaction::{Offer, Stage};
use crate::notification::Notification;

impl Change<'_> {
    pub(super) fn ring(&mut self, ring: Ring) -> Result<(), Refusal> {
        let wait = self.next.wait.as_ref().filter(|wait| wait.id == ring.wait && wait.offer.is_none()).ok_or(Refusal::Stale)?;
        if !wait.targets.contains(&ring.target) || wait.until.is_some_and(|until| until <= self.context.now) {
            return Err(Refusal::Stale);
        }
        let until = match (ring.until, wait.until) {
            (Some(ring), Some(wait)) => Some(ring.min(wait)),
            (ring, wait) => ring.or(wait),
        };
        if let Some(at) = until.filter(|_| until != wait.until) {
            let offer = self.next.version;
            self.effects.push(Effect::Timer { at, timer: Timer::Offer { offer } });
        }
        self.offer(Ring { until, ..ring });
        Ok(())
    }

    pub(super) fn offer(&mut self, Ring { target, audience, until, rung, passed_over, .. }: Ring) {
        let id = self.next.version;
        self.fact(Fact::Offered { target: target.clone(), audience: audience.clone(), until, rung, passed_over });
        let queue = match &target {
            Target::Queue(queue) => self.context.queues.get(queue),
            Target::Agent(_) | Target::Account(_) => None,
        };
        let notification = Some(Notification::of(&self.values(queue)));
        self.effects.push(Effect::Push { to: audience.clone(), notice: Notice::Offered { offer: id, until, notification } });
        if let Some(wait) = &mut self.next.wait {
            wait.offer = Some(Offer { id, target, audience, until });
        }
    }

    /// Withdraws the offer from all agents who saw it, except the winner.
    pub(super) fn withdraw_offer(&mut self, taken_by: Option<&AgentId>) -> Option<Offer> {
        let offer = self.next.wait.as_mut()?.offer.take()?;
        let to = match &offer.audience {
            Audience::Agents(agents) => Audience::Agents(agents.iter().filter(|agent| Some(*agent) != taken_by).cloned().collect()),
            Audience::Members { queue, except } => {
                Audience::Members { queue: queue.clone(), except: except.iter().chain(taken_by).cloned().collect() }
            }
        };
        if to != Audience::Agents(Vec::new()) {
            self.effects.push(Effect::Push { to, notice: Notice::Withdrawn { offer: offer.id, taken_by: taken_by.cloned() } });
        }
        Some(offer)
    }

    pub(super) fn wake_targets(&mut self) {
        let targets = self.next.wait.iter().flat_map(|wait| wait.targets.iter().cloned());
        self.effects.extend(targets.map(|target| Effect::Wake { target }));
    }

    /// The current offer, if it was made to `agent` and is not over.
    pub(super) fn offer_to(&self, agent: &AgentId) -> Result<&Offer, Refusal> {
        self.still_open()?;
        let gone = || Refusal::OfferGone { owner: self.next.agent.clone() };
        let offer = self.next.offer().filter(|offer| offer.until.is_none_or(|until| self.context.now < until)).ok_or_else(gone)?;
        let seen = match &offer.audience {
            Audience::Agents(agents) => agents.contains(agent),
            Audience::Members { queue, except } => {
                let members = self.context.queues.get(queue).map(|queue| queue.members.as_slice()).unwrap_or_default();
                members.contains(agent) && self.of_account(agent) && !except.contains(agent)
            }
        };
        if seen { Ok(offer) } else { Err(gone()) }
    }

    pub(super) fn accept(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let own = self.next.agent.as_ref() == Some(&agent);
        if own && self.next.is_open() && self.next.wait.is_none() {
            return Err(Refusal::AlreadyYours);
        }
        let offer = self.offer_to(&agent)?.clone();
        let presence = self.context.presences.get(&agent).ok_or(Refusal::NotReady)?;
        if !own {
            if !self.context.account.active {
                return Err(Refusal::AccountInactive);
            }
            if !presence.is_ready() {
                return Err(Refusal::NotReady);
            }
            if !presence.load.contains(&self.next.id) && !presence.available() {
                return Err(Refusal::AtCapacity);
            }
        } else if !presence.logged_in() {
            return Err(Refusal::NotReady);
        }
        self.withdraw_offer(Some(&agent));
        self.next.wait = None;
        let previous = self.next.agent.replace(agent.clone()).filter(|previous| *previous != agent);
        let queue = match offer.target {
            Target::Queue(queue) => Some(queue),
            Target::Agent(_) | Target::Account(_) => None,
        };
        // An agent who takes back an own interaction keeps the queue that it once came through.
        if !own || queue.is_some() {
            self.next.accepted_via.clone_from(&queue);
        }
        self.next.tab_open = true;
        self.next.tab_opened_at = Some(self.context.now);
        self.next.unread = false;
        self.person_has_it();
        let told = previous.iter().cloned().chain([agent.clone()]).collect();
        self.fact(Fact::Accepted { agent, queue, previous });
        self.tell(told, Notice::INTERACTION);
        Ok(())
    }

    pub(super) fn reject(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let offer = self.offer_to(&agent)?.clone();
        self.fact(Fact::Rejected { agent: agent.clone() });
        let only_one = matches!(&offer.audience, Audience::Agents(agents) if agents.as_slice() == [agent.clone()]);
        if only_one {
            self.withdraw_offer(None);
        } else {
            self.tell(vec![agent.clone()], Notice::Withdrawn { offer: offer.id, taken_by: None });
            // An interaction that was held back because this one rang there may ring now.
            self.wake(Target::Agent(agent.clone()));
        }
        let Some(wait) = &mut self.next.wait else { return Ok(()) };
        wait.rejected.push(agent.clone());
        match wait.offer.as_mut().map(|offer| &mut offer.audience) {
            Some(Audience::Agents(agents)) => agents.retain(|other| *other != agent),
            Some(Audience::Members { except, .. }) => except.push(agent),
            None => {}
        }
        if self.everybody_rejected() {
            self.advance(WaitEnd::EverybodyRejected);
        } else if only_one {
            self.wake_targets();
        }
        Ok(())
    }

    /// Whether no agent is left who could still accept within this wait. A wait without an end goes on: another
    /// agent may come.
    pub(super) fn everybody_rejected(&self) -> bool {
        let Some(wait) = &self.next.wait else { return false };
        match wait.stage {
            Stage::AssignedAgent => true,
            Stage::Exhausted | Stage::Inactive | Stage::Webhook { .. } => false,
            Stage::AssignedQueue | Stage::Transfer | Stage::Step { .. } => wait.targets.iter().all(|target| match target {
                Target::Agent(agent) => wait.rejected.contains(agent),
                Target::Queue(queue) => self.context.queues.get(queue).is_none_or(|queue| {
                    let mut candidates = queue.members.iter().filter(|agent| self.of_account(agent));
                    candidates.all(|agent| wait.rejected.contains(agent))
                }),
                Target::Account(_) => false,
            }),
        }
    }

    pub(super) fn agent_unavailable(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let wait = self.next.wait.as_ref().filter(|wait| wait.stage != Stage::AssignedAgent).ok_or(Refusal::Stale)?;
        let alone = |offer: &&Offer| matches!(&offer.audience, Audience::Agents(agents) if agents.as_slice() == [agent.clone()]);
        let offer = wait.offer.as_ref().filter(alone).ok_or(Refusal::Stale)?;
        let is_member = match &offer.target {
            Target::Queue(queue) => self.context.queues.get(queue).is_some_and(|queue| queue.members.contains(&agent)),
            Target::Agent(_) | Target::Account(_) => true,
        };
        let takes = |presence: &Presence| presence.is_ready() && (presence.has_room() || presence.load.contains(&self.next.id));
        // The agent is back already, or this is a repetition: the present ring is right.
        if self.context.presences.get(&agent).is_some_and(takes) && is_member && self.of_account(&agent) {
            return Err(Refusal::Stale);
        }
        self.fact(Fact::OfferWithdrawn { agent });
        self.withdraw_offer(None);
        self.wake_targets();
        Ok(())
    }
}
