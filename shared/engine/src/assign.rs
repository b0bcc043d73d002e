//! Who is offered what waits: one decision at a time per target.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::agent::Presence;
use domain::assign::{Choice, Rival, rings_at_all, rosters};
use domain::decide::{Event, Ring};
use domain::effect::{Audience, Target};
use domain::footprint::{WaitingRow, footprint};
use domain::ids::{AccountId, AgentId, QueueId};
use domain::interaction::{Interaction, Offer, Stage};
use domain::queue::Queue;
use jiff::{SignedDuration, Timestamp};

use crate::interactions::Extra;
use crate::ports::{Directory, Idempotency, Store, World};
use crate::{Engine, EngineError, Told};

/// How long a wake goes on before it leaves the rest to the next one: a backlog of thousands takes minutes, the function has 30 s, of which 10 may be over before
/// it begins, and the change that it ends with may take some more.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// What a wake did.
#[derive(Debug, Default, PartialEq)]
pub struct Woken {
    /// How many interactions ring now that did not before.
    pub rung: usize,
    /// What rings at everybody of a queue already, and now also at the agent who became available.
    pub joined: Vec<WaitingRow>,
    /// Other targets to wake: those that the agent who became available belongs to, the queues of an account, and this one again after a lost race or when its
    /// time was over.
    pub also: Vec<Target>,
    /// Other queues of agents who are still free here: what waits there may have been kept waiting for what waited here. To be woken as [`Reach::Near`].
    pub related: Vec<Target>,
}

/// How far a wake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Something changed here: the other queues of agents who stay free are looked at too.
    Far,
    /// Something changed in another queue: only if something rings now that did not before, so that two queues don't wake each other for ever.
    Near,
}

/// Whether the time of a wake was enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Enough,
    Over,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Looks at what waits for `target` and offers it, for some 15 s and at least one of it. Calls for one target must not overlap: the queue's message group
    /// sees to that.
    ///
    /// # Errors
    /// When a port fails; calling again is safe.
    pub async fn wake(&self, target: &Target, reach: Reach) -> Result<Woken, EngineError> {
        let mut woken = Woken::default();
        let until = self.world.now().saturating_add(PATIENCE).unwrap_or(Timestamp::MAX);
        if self.offer_waiting(target, until, &mut woken).await? == Time::Over {
            woken.also.push(target.clone());
            return Ok(woken);
        }
        match target {
            Target::Agent(agent) => self.agent_available(agent, &mut woken).await?,
            Target::Account(account) => self.account_available(account, &mut woken).await?,
            Target::Queue(queue) if reach == Reach::Far || woken.rung > 0 => self.free_for_others(queue, &mut woken).await?,
            Target::Queue(_) => {}
        }
        Ok(woken)
    }

    /// The other queues that share a member with `queue` for whom `shares` holds, where something waits or rings at all.
    async fn rivals(&self, queue: &Queue, shares: impl Fn(&AgentId) -> bool) -> Result<Vec<Rival>, EngineError> {
        let now = self.world.now();
        let mut rivals = Vec::new();
        for other in self.directory.queues().await?.values().filter(|other| other.id != queue.id) {
            if !other.members.iter().any(|agent| queue.members.contains(agent) && shares(agent)) {
                continue;
            }
            let mut rows = self.store.waiting(&Target::Queue(other.id.clone())).await?;
            rows.retain(|row| row.offer.is_none() || rings_at_all(row, now));
            if !rows.is_empty() {
                rivals.push(Rival { queue: other.clone(), rows });
            }
        }
        Ok(rivals)
    }

    /// Agents whom nobody here needs may be needed in their other queues, whose own decisions left them to this one.
    async fn free_for_others(&self, id: &QueueId, woken: &mut Woken) -> Result<(), EngineError> {
        let Some(queue) = self.directory.queue(id).await? else { return Ok(()) };
        let mut others = self.rivals(&queue, |_| true).await?;
        others.retain(|rival| rival.rows.iter().any(|row| row.offer.is_none()));
        if others.is_empty() {
            return Ok(());
        }
        let presences = self.store.presences(&queue.members).await?;
        let now = self.world.now();
        let free = |agent: &AgentId| presences.get(agent).is_some_and(|presence| presence.free_slots(now) > 0);
        let related = others.into_iter().filter(|rival| rival.queue.members.iter().any(free));
        woken.related.extend(related.map(|rival| Target::Queue(rival.queue.id)));
        Ok(())
    }

    /// Every target for which something may wait: what the sweep wakes.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn waiting_targets(&self) -> Result<Vec<Target>, EngineError> {
        let mut found = Vec::new();
        let queues = self.directory.queues().await?;
        let accounts = self.directory.accounts().await?;
        let agents = self.directory.agents().await?;
        let all = (queues.keys().cloned().map(Target::Queue))
            .chain(accounts.iter().map(|account| Target::Account(account.id.clone())))
            .chain(agents.keys().cloned().map(Target::Agent));
        for target in all {
            if self.store.anything_waits(&target).await? {
                found.push(target);
            }
        }
        Ok(found)
    }

    /// The time is looked at behind each change, so that however slow they are each wake makes one.
    fn time(&self, until: Timestamp) -> Time {
        if self.world.now() < until { Time::Enough } else { Time::Over }
    }

    async fn offer_waiting(&self, target: &Target, until: Timestamp, woken: &mut Woken) -> Result<Time, EngineError> {
        // The backlog of an account that is off may be long, and each of it sends a wake: it isn't even read.
        if let Target::Account(id) = target
            && !self.is_active(id).await?
        {
            return Ok(Time::Enough);
        }
        let mut rows = self.store.waiting(target).await?;
        if rows.is_empty() {
            return Ok(Time::Enough);
        }
        let queue = match target {
            Target::Queue(id) => self.directory.queue(id).await?,
            Target::Agent(_) | Target::Account(_) => None,
        };
        let queue = queue.as_ref();
        let mut accounts = BTreeMap::new();
        self.know_accounts(&rows, &mut accounts).await?;
        let candidates: BTreeSet<AgentId> = match (target, queue) {
            (Target::Queue(_), queue) => queue.iter().flat_map(|queue| queue.members.iter().cloned()).collect(),
            (Target::Agent(agent), _) => BTreeSet::from([agent.clone()]),
            (Target::Account(id), _) => accounts.get(id).iter().flat_map(|account| account.agents.iter().cloned()).collect(),
        };
        let mut presences = self.store.presences(&candidates.into_iter().collect::<Vec<_>>()).await?;
        let mut cursor = self.store.cursor(target).await?;
        match self.silence(&rows, &accounts, until).await? {
            None => {}
            Some(Time::Enough) => rows = self.store.waiting(target).await?,
            Some(Time::Over) => return Ok(Time::Over),
        }
        if self.activate(&rows, &accounts, until).await? == Time::Over {
            return Ok(Time::Over);
        }
        let mut rivals = match queue {
            Some(queue) if rows.iter().any(|row| row.offer.is_none()) => {
                let now = self.world.now();
                self.rivals(queue, |agent| presences.get(agent).is_some_and(|presence| presence.free_slots(now) > 0)).await?
            }
            _ => Vec::new(),
        };
        for rival in &rivals {
            self.know_accounts(&rival.rows, &mut accounts).await?;
            // How many slots there are for what rings at all of another queue, its own members tell.
            if rival.rows.iter().any(|row| row.offer.is_some()) {
                let unknown: Vec<AgentId> = rival.queue.members.iter().filter(|agent| !presences.contains_key(agent)).cloned().collect();
                presences.extend(self.store.presences(&unknown).await?);
            }
        }
        let rosters = rosters(&accounts);
        loop {
            let (cursor_then, now) = (cursor.as_ref(), self.world.now());
            let choice = Choice {
                target,
                queue,
                rivals: &rivals,
                accounts: &accounts,
                rosters: &rosters,
                presences: &presences,
                cursor: cursor_then,
                now,
            };
            let Some(next) = choice.next(&rows) else { return Ok(Time::Enough) };
            let key = rows[next.row].interaction.clone();
            let alone = alone(&next.ring);
            let extra = Extra {
                presence_revision: alone.and_then(|agent| presences.get(agent)).map(|presence| (presence.agent.clone(), presence.revision)),
                cursor: next.cursor.clone().filter(|engaged| cursor.as_ref() != Some(engaged)).map(|engaged| (target.clone(), engaged)),
                ..Extra::default()
            };
            let alone = alone.cloned();
            match self.change(&key, &Event::Ring(next.ring), Idempotency::Guarded, extra).await {
                Ok(Told::Changed { interaction, .. }) => {
                    woken.rung += 1;
                    // What waits in several queues rings on behalf of one.
                    rivals.iter_mut().for_each(|rival| rival.rows.retain(|row| row.interaction.interaction != interaction.id));
                    cursor = next.cursor;
                    if let Some(presence) = alone.and_then(|agent| presences.get_mut(&agent)) {
                        rings_at(presence, &interaction, self.world.now());
                    }
                    match footprint(&interaction).waiting.remove(target) {
                        Some(row) => rows[next.row] = row,
                        None => drop(rows.remove(next.row)),
                    }
                }
                // Somebody else changed the interaction or the agent: their commit sends a wake of its own where one is owed; the agent is read again.
                Ok(Told::Refused(..) | Told::AlreadyDone(_)) | Err(EngineError::NotFound | EngineError::NoAccount(_)) => {
                    rows.remove(next.row);
                    if let Some(agent) = alone {
                        presences.extend(self.store.presences(&[agent]).await?);
                        woken.also.push(target.clone());
                    }
                }
                Err(error) => return Err(error),
            }
            if self.time(until) == Time::Over {
                return Ok(Time::Over);
            }
        }
    }

    async fn know_accounts(&self, rows: &[WaitingRow], accounts: &mut BTreeMap<AccountId, Account>) -> Result<(), EngineError> {
        for id in rows.iter().map(|row| &row.interaction.conversation.account).collect::<BTreeSet<_>>() {
            if !accounts.contains_key(id)
                && let Some(account) = self.directory.account(id).await?
            {
                accounts.insert(id.clone(), (*account).clone());
            }
        }
        Ok(())
    }

    /// What rings stops once its account is off; `None` when nothing did.
    async fn silence(
        &self,
        rows: &[WaitingRow],
        accounts: &BTreeMap<AccountId, Account>,
        until: Timestamp,
    ) -> Result<Option<Time>, EngineError> {
        let is_off = |row: &&WaitingRow| accounts.get(&row.interaction.conversation.account).is_some_and(|account| !account.active);
        let mut time = None;
        for row in rows.iter().filter(|row| row.offer.is_some()).filter(is_off) {
            self.tell(&row.interaction, Event::AccountDeactivated, Idempotency::Guarded).await?;
            time = Some(self.time(until));
            if time == Some(Time::Over) {
                break;
            }
        }
        Ok(time)
    }

    /// Interactions that came in while their account was off go their way once it is on.
    async fn activate(&self, rows: &[WaitingRow], accounts: &BTreeMap<AccountId, Account>, until: Timestamp) -> Result<Time, EngineError> {
        for row in rows.iter().filter(|row| row.stage == Stage::Inactive) {
            if accounts.get(&row.interaction.conversation.account).is_some_and(|account| account.active) {
                self.tell(&row.interaction, Event::AccountActivated, Idempotency::Guarded).await?;
                if self.time(until) == Time::Over {
                    return Ok(Time::Over);
                }
            }
        }
        Ok(Time::Enough)
    }

    async fn is_active(&self, account: &AccountId) -> Result<bool, EngineError> {
        Ok(self.directory.account(account).await?.is_some_and(|account| account.active))
    }

    /// An account was switched on, or has other agents: what waits in queues is looked at, also in those that its plan of today no longer names.
    async fn account_available(&self, id: &AccountId, woken: &mut Woken) -> Result<(), EngineError> {
        if !self.is_active(id).await? {
            return Ok(());
        }
        for queue in self.directory.queues().await?.keys() {
            let target = Target::Queue(queue.clone());
            if self.store.waiting(&target).await?.iter().any(|row| row.offer.is_none() && row.interaction.conversation.account == *id) {
                woken.also.push(target);
            }
        }
        Ok(())
    }

    /// An agent became available: the targets that the agent belongs to are looked at, and what rings at all of a queue rings here too.
    async fn agent_available(&self, agent: &AgentId, woken: &mut Woken) -> Result<(), EngineError> {
        let presence = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
        let Some(presence) = presence.filter(|presence| presence.is_ready()) else { return Ok(()) };
        // With no free slot an agent can still take back what is the agent's own.
        let takes = |row: &WaitingRow| presence.available() || presence.load.contains(&row.interaction.interaction);
        let now = self.world.now();
        let accounts = self.directory.accounts().await?;
        let of_account = |id: &AccountId| accounts.iter().any(|account| account.id == *id && account.agents.contains(agent));
        for queue in self.directory.queues().await?.values().filter(|queue| queue.members.contains(agent)) {
            let target = Target::Queue(queue.id.clone());
            let rows = self.store.waiting(&target).await?;
            if rows.iter().any(|row| row.offer.is_none() && takes(row)) {
                woken.also.push(target);
            }
            let rings = |row: &WaitingRow| match &row.offer {
                Some(Offer { audience: Audience::Members { except, .. }, until, .. }) => {
                    !except.contains(agent) && until.is_none_or(|until| now < until) && takes(row)
                }
                _ => false,
            };
            woken.joined.extend(rows.into_iter().filter(|row| rings(row) && of_account(&row.interaction.conversation.account)));
        }
        if !presence.available() {
            return Ok(());
        }
        for account in accounts.iter().filter(|account| account.agents.contains(agent)) {
            let target = Target::Account(account.id.clone());
            if self.store.anything_waits(&target).await? {
                woken.also.push(target);
            }
        }
        Ok(())
    }
}

/// The agent, if the ring is at one alone.
fn alone(ring: &Ring) -> Option<&AgentId> {
    match &ring.audience {
        Audience::Agents(agents) => agents.first(),
        Audience::Members { .. } => None,
    }
}

/// Brings a presence to what the commit of a ring has made of it.
fn rings_at(presence: &mut Presence, interaction: &Interaction, now: Timestamp) {
    if let Some((_, until)) = footprint(interaction).ringing {
        presence.ringing.insert(interaction.id.clone(), until);
        presence.last_offered = Some(now);
        presence.revision += 1;
    }
}
