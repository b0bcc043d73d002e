//! Decides which offers an agent sees.

use std::collections::BTreeSet;

use domain::agent::Presence;
use domain::footprint::{WaitingRow, holder};
use domain::ids::{AccountId, AgentId, InteractionId, QueueId};
use domain::interaction::{Interaction, Offer};
use jiff::Timestamp;

/// The queues and accounts of an agent.
#[derive(Debug, Default)]
pub(crate) struct Memberships {
    pub(crate) accounts: BTreeSet<AccountId>,
    pub(crate) queues: BTreeSet<QueueId>,
}

/// An agent at a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beholder<'a> {
    pub(crate) agent: &'a AgentId,
    /// The presence; `None` if the agent never logged in.
    pub(crate) presence: Option<&'a Presence>,
    pub(crate) memberships: &'a Memberships,
    pub(crate) now: Timestamp,
}

impl Beholder<'_> {
    /// Whether the agent may accept an interaction that is not the agent's already.
    pub(crate) fn available(&self) -> bool {
        self.presence.is_some_and(Presence::available)
    }

    /// The agent's interactions.
    pub(crate) fn load(&self) -> impl Iterator<Item = &InteractionId> {
        self.presence.into_iter().flat_map(|presence| &presence.load)
    }

    /// The interactions that ring at this agent alone.
    pub(crate) fn ringing(&self) -> impl Iterator<Item = &InteractionId> {
        let ringing = self.presence.filter(|presence| presence.available()).into_iter().flat_map(|presence| &presence.ringing);
        ringing.filter(|(_, until)| **until > self.now).map(|(interaction, _)| interaction)
    }

    /// Whether a waiting row carries an offer that the agent sees.
    pub(crate) fn sees_row(&self, row: &WaitingRow) -> bool {
        let account = &row.interaction.conversation.account;
        row.offer.as_ref().is_some_and(|offer| self.available() && self.stands(offer, account))
    }

    /// Whether the agent has the interaction.
    pub(crate) fn has(&self, interaction: &Interaction) -> bool {
        holder(interaction) == Some(self.agent)
    }

    /// Whether the interaction carries an offer that the agent sees. The agent sees offers of own interactions in
    /// any presence, and any other only while the agent may accept it.
    pub(crate) fn is_offered(&self, interaction: &Interaction) -> bool {
        let offer = interaction.offer().filter(|_| interaction.is_open() && (self.has(interaction) || self.available()));
        offer.is_some_and(|offer| self.stands(offer, &interaction.account))
    }

    fn stands(&self, offer: &Offer, account: &AccountId) -> bool {
        let member = || offer_queue(offer).is_some_and(|queue| self.memberships.queues.contains(queue));
        let in_time = offer.until.is_none_or(|until| self.now < until);
        in_time && self.memberships.accounts.contains(account) && offer.audience.sees(self.agent, member)
    }
}

/// The queue whose members see the offer, if it is made to all of them.
fn offer_queue(offer: &Offer) -> Option<&QueueId> {
    match &offer.audience {
        domain::effect::Audience::Members { queue, .. } => Some(queue),
        domain::effect::Audience::Agents(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::agent::{Capacity, PresenceState};
    use domain::effect::{Audience, Target};
    use domain::interaction::{Stage, Status, Wait};
    use jiff::SignedDuration;
    use ulid::Ulid;

    fn agent(n: u128) -> AgentId {
        AgentId::from_ulid(Ulid::from_parts(1, n))
    }

    fn queue() -> QueueId {
        QueueId::from_ulid(Ulid::nil())
    }

    fn account() -> AccountId {
        AccountId::from_ulid(Ulid::nil())
    }

    fn now() -> Timestamp {
        Timestamp::from_second(1_767_225_600).unwrap()
    }

    fn later() -> Timestamp {
        now() + SignedDuration::from_secs(1)
    }

    fn member() -> Memberships {
        Memberships { accounts: BTreeSet::from([account()]), queues: BTreeSet::from([queue()]) }
    }

    fn presence(state: PresenceState) -> Presence {
        Presence { chosen: state, ..Presence::logged_out(agent(1), Capacity::new(1).unwrap(), now()) }
    }

    fn offered(audience: Audience, until: Option<Timestamp>, owner: Option<AgentId>) -> Interaction {
        let offer = Offer { id: 2, target: Target::Queue(queue()), audience, until };
        let wait =
            Wait { id: 1, stage: Stage::Exhausted, targets: vec![], until: None, rejected: vec![], missed: vec![], offer: Some(offer) };
        Interaction {
            id: InteractionId::from_ulid(Ulid::nil()),
            account: account(),
            agent: owner,
            unread: true,
            wait: Some(wait),
            ..domain::fixtures::interaction(Status::Open, now())
        }
    }

    fn to_queue() -> Interaction {
        offered(Audience::Members { queue: queue(), except: vec![agent(9)] }, Some(later()), None)
    }

    fn sees_it(who: u128, state: PresenceState, memberships: &Memberships, interaction: &Interaction) -> bool {
        let presence = presence(state);
        Beholder { agent: &agent(who), presence: Some(&presence), memberships, now: now() }.is_offered(interaction)
    }

    #[test]
    fn an_offer_to_a_queue_is_seen_by_its_members_who_are_on_the_account() {
        assert!(sees_it(1, PresenceState::Ready, &member(), &to_queue()));
        assert!(!sees_it(1, PresenceState::Ready, &Memberships { queues: BTreeSet::new(), ..member() }, &to_queue()));
        assert!(!sees_it(1, PresenceState::Ready, &Memberships { accounts: BTreeSet::new(), ..member() }, &to_queue()));
    }

    #[test]
    fn an_agent_who_rejected_no_longer_sees_the_offer() {
        assert!(!sees_it(9, PresenceState::Ready, &member(), &to_queue()));
    }

    #[test]
    fn an_offer_that_expired_is_not_shown() {
        let interaction = offered(Audience::Agents(vec![agent(1)]), Some(now()), None);
        assert!(!sees_it(1, PresenceState::Ready, &member(), &interaction));
        let interaction = offered(Audience::Agents(vec![agent(1)]), None, None);
        assert!(sees_it(1, PresenceState::Ready, &member(), &interaction));
        assert!(!sees_it(2, PresenceState::Ready, &member(), &interaction));
    }

    #[test]
    fn a_paused_agent_sees_the_offers_of_own_interactions_only() {
        let paused = || PresenceState::Paused { reason: "lunch".into() };
        assert!(!sees_it(1, paused(), &member(), &to_queue()));
        let own = offered(Audience::Agents(vec![agent(1)]), Some(later()), Some(agent(1)));
        assert!(sees_it(1, paused(), &member(), &own));
        assert!(sees_it(1, PresenceState::LoggedOut, &member(), &own));
    }

    #[test]
    fn an_agent_without_a_free_slot_sees_no_new_offers() {
        let mut free = presence(PresenceState::Ready);
        free.ringing.insert(InteractionId::from_ulid(Ulid::from_parts(3, 3)), later());
        let mut full = free.clone();
        full.load.insert(InteractionId::from_ulid(Ulid::from_parts(2, 2)));
        for (presence, sees) in [(free, true), (full, false)] {
            let beholder = Beholder { agent: &agent(1), presence: Some(&presence), memberships: &member(), now: now() };
            assert_eq!((beholder.is_offered(&to_queue()), beholder.ringing().count() == 1), (sees, sees));
        }
    }

    #[test]
    fn a_closed_interaction_has_no_agent_and_no_offer() {
        let mut interaction = offered(Audience::Agents(vec![agent(1)]), None, Some(agent(1)));
        interaction.status = Status::Closed;
        assert!(!sees_it(1, PresenceState::Ready, &member(), &interaction));
        let (me, memberships) = (agent(1), member());
        assert!(!Beholder { agent: &me, presence: None, memberships: &memberships, now: now() }.has(&interaction));
    }
}
