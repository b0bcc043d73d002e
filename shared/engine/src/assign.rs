//! Offers waiting interactions to agents: one decision at a time for each target.

use std::collections::{BTreeMap, BTreeSet};

use domain::account::Account;
use domain::agent::Presence;
use domain::assign::{Choice, Rival, rings_at_all, rosters};
use domain::decide::{Event, Ring};
use domain::effect::{Audience, Target};
use domain::footprint::{WaitingRow, footprint};
use domain::ids::{AccountId, AgentId, QueueId};
use domain::interaction::{Interaction, Offer, Stage};
use domain::queue::{Queue, Strategy};
use futures_util::future::try_join_all;
use jiff::{SignedDuration, Timestamp};

use crate::interactions::Extra;
use crate::ports::{Directory, Idempotency, Store, World};
use crate::{Engine, EngineError, Told};

/// How long a wake goes on before it leaves the rest to the next one. A backlog of thousands takes minutes. The
/// function has 30 s, of which 10 may be over before the wake begins, and its last change may take some more.
const PATIENCE: SignedDuration = SignedDuration::from_secs(15);

/// How many targets are looked at at once. Each look is one small query.
pub(crate) const AT_ONCE: usize = 16;

/// How many rows of a queue are read before anybody is looked for: as many as one read unit holds, at half a kilobyte
/// each. A shorter backlog is known whole then; a longer one is worth a look whether anybody is ready.
const FIRST: usize = 8;

/// The most targets that a sweep finds before it leaves the rest to another one: 1,000 wakes are 100 calls of the
/// queue, some two seconds.
const SWEPT: usize = 1_000;

/// The result of a wake.
#[derive(Debug, Default, PartialEq)]
pub struct Woken {
    /// How many interactions ring now that did not before.
    pub rung: usize,
    /// The offers that ring at all members of a queue, and now also at the agent who became available.
    pub joined: Vec<WaitingRow>,
    /// Other targets to wake: those of the agent who became available, the queues of an account, and this target
    /// again after a lost race or when its time was over.
    pub also: Vec<Target>,
    /// Other queues of agents who are still free here. An interaction there may have been held back for one here.
    /// Wake them as [`Reach::Near`].
    pub related: Vec<Target>,
    /// The last of the agent's or the account's targets that was looked at before the time was over. Another wake goes
    /// on after it.
    pub until: Option<Target>,
}

/// Some of the targets for which something waits.
#[derive(Debug, Default, PartialEq)]
pub struct Swept {
    /// The targets.
    pub targets: Vec<Target>,
    /// The last target that was looked at, if there are more behind it.
    pub until: Option<Target>,
}

/// How far a wake goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Something changed here, so the other queues of agents who stay free are looked at too.
    Far,
    /// Something changed in another queue. The wake goes further only if something rings now that did not before,
    /// so that two queues don't wake each other for ever.
    Near,
}

/// Whether the time of a wake was enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Enough,
    Over,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Offers the interactions that wait for `target`, for some 15 s and at least one. Calls for one target must
    /// not overlap: the queue's message group ensures that.
    ///
    /// # Errors
    /// A port fails. It is safe to call again.
    pub async fn wake(&self, target: &Target, reach: Reach) -> Result<Woken, EngineError> {
        self.wake_after(target, reach, None).await
    }

    /// Like [`Engine::wake`]. With `after`, it goes on where another wake of the same target ended ([`Woken::until`]).
    ///
    /// # Errors
    /// A port fails. It is safe to call again.
    pub async fn wake_after(&self, target: &Target, reach: Reach, after: Option<&Target>) -> Result<Woken, EngineError> {
        let mut woken = Woken::default();
        let until = self.patience();
        // What waits here was offered by the wake that goes on.
        if after.is_none() && self.offer_waiting(target, until, &mut woken).await? == Time::Over {
            woken.also.push(target.clone());
            return Ok(woken);
        }
        match target {
            Target::Agent(agent) => self.agent_available(agent, after, until, &mut woken).await?,
            Target::Account(account) => self.account_available(account, after, until, &mut woken).await?,
            Target::Queue(queue) if reach == Reach::Far || woken.rung > 0 => self.free_for_others(queue, &mut woken).await?,
            Target::Queue(_) => {}
        }
        Ok(woken)
    }

    /// The other queues that share a member with `queue` for whom `shares` holds, if something waits there or rings
    /// at all members.
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

    /// Agents who are not needed here may be needed in their other queues, which left them to this one.
    async fn free_for_others(&self, id: &QueueId, woken: &mut Woken) -> Result<(), EngineError> {
        let Some(queue) = self.directory.queue(id).await? else { return Ok(()) };
        // Most queues share nobody, which the configuration tells.
        let shares = |other: &Queue| other.id != queue.id && other.members.iter().any(|agent| queue.members.contains(agent));
        if !self.directory.queues().await?.values().any(shares) {
            return Ok(());
        }
        let presences = self.store.presences(&queue.members).await?;
        let now = self.world.now();
        let free = |agent: &AgentId| presences.get(agent).is_some_and(|presence| presence.free_slots(now) > 0);
        // Only then are the other queues of those agents read.
        let mut related = self.rivals(&queue, free).await?;
        related.retain(|rival| rival.rows.iter().any(|row| row.offer.is_none()));
        woken.related.extend(related.into_iter().map(|rival| Target::Queue(rival.queue.id)));
        Ok(())
    }

    /// The targets behind `after` for which something waits, as many as there is time for. The sweep wakes them.
    ///
    /// # Errors
    /// A port fails.
    pub async fn waiting_targets(&self, after: Option<&Target>) -> Result<Swept, EngineError> {
        let until = self.patience();
        let queues = self.directory.queues().await?;
        let accounts = self.directory.accounts().await?;
        let agents = self.directory.agents().await?;
        let all: BTreeSet<Target> = (queues.keys().cloned().map(Target::Queue))
            .chain(accounts.iter().map(|account| Target::Account(account.id.clone())))
            .chain(agents.keys().cloned().map(Target::Agent))
            .filter(|target| after.is_none_or(|after| target > after))
            .collect();
        let all: Vec<Target> = all.into_iter().collect();
        let mut swept = Swept::default();
        for some in all.chunks(AT_ONCE) {
            let looks = try_join_all(some.iter().map(|target| self.store.anything_waited(target))).await?;
            swept.targets.extend(some.iter().zip(looks).filter(|(_, waits)| *waits).map(|(target, _)| target.clone()));
            if self.time(until) == Time::Over || swept.targets.len() >= SWEPT {
                swept.until = some.last().filter(|last| all.last() != Some(*last)).cloned();
                break;
            }
        }
        Ok(swept)
    }

    /// Until when a wake may go on that begins now.
    pub(crate) fn patience(&self) -> Timestamp {
        self.world.now().saturating_add(PATIENCE).unwrap_or(Timestamp::MAX)
    }

    /// Checks the time. It is called after each change, so that each wake makes at least one, however slow they
    /// are.
    fn time(&self, until: Timestamp) -> Time {
        if self.world.now() < until { Time::Enough } else { Time::Over }
    }

    async fn offer_waiting(&self, target: &Target, until: Timestamp, woken: &mut Woken) -> Result<Time, EngineError> {
        // The backlog of an account that is off may be long, and each of its interactions sends a wake, so it isn't
        // even read.
        if let Target::Account(id) = target
            && !self.is_active(id).await?
        {
            return Ok(Time::Enough);
        }
        let queue = match target {
            Target::Queue(id) => self.directory.queue(id).await?,
            Target::Agent(_) | Target::Account(_) => None,
        };
        let mut rows = match &queue {
            Some(queue) => self.rows_of(target, queue).await?,
            None => self.store.waiting(target).await?,
        };
        if rows.is_empty() {
            return Ok(Time::Enough);
        }
        let queue = queue.as_ref();
        let mut accounts = BTreeMap::new();
        self.know_accounts(&rows, &mut accounts).await?;
        let candidates: BTreeSet<AgentId> = match (target, queue) {
            (Target::Queue(_), queue) => queue.iter().flat_map(|queue| queue.members.iter().cloned()).collect(),
            (Target::Agent(agent), _) => BTreeSet::from([agent.clone()]),
            (Target::Account(id), _) => accounts.get(id).iter().flat_map(|account| account.agents.iter().cloned()).collect(),
        };
        let mut presences = self.store.presences(&candidates.into_iter().collect::<Vec<_>>()).await?;
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
            // The members of another queue tell how many slots there are for chats that ring at all of them.
            if rival.rows.iter().any(|row| row.offer.is_some()) {
                let unknown: Vec<AgentId> = rival.queue.members.iter().filter(|agent| !presences.contains_key(agent)).cloned().collect();
                presences.extend(self.store.presences(&unknown).await?);
            }
        }
        let rosters = rosters(&accounts);
        // An offer to all members takes no turns, and nobody's turn comes where nobody is ready or everything rings.
        let takes_turns = |row: &WaitingRow| {
            let at_once = queue.is_some_and(|queue| queue.strategy == Strategy::Beepall) && row.stage != Stage::Exhausted;
            row.offer.is_none() && !at_once
        };
        let mut cursor = match presences.values().any(Presence::is_ready) && rows.iter().any(takes_turns) {
            true => self.store.cursor(target).await?,
            false => None,
        };
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
                    // An interaction that waits in several queues rings for one of them.
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
                // Another commit changed the interaction or the agent. It sends its own wake if one is owed. The
                // agent is read again.
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

    /// What waits in a queue; nothing if nothing can change, whatever waits: nobody is ready. At night a queue's
    /// backlog grows, and each of its customers sends a wake, which would read all of it. Agents who are ready but
    /// full don't count as nobody, since an interaction rings at its own agent without a second slot.
    async fn rows_of(&self, target: &Target, queue: &Queue) -> Result<Vec<WaitingRow>, EngineError> {
        let (first, more) = self.store.first_waiting(target, FIRST).await?;
        if !more {
            return Ok(first);
        }
        // Offers of an account that is off end, whoever is there.
        let all_on = self.directory.accounts().await?.iter().all(|account| account.active);
        if all_on && !self.store.presences(&queue.members).await?.values().any(Presence::is_ready) {
            return Ok(Vec::new());
        }
        Ok(self.store.waiting(target).await?)
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

    /// Stops the offers of accounts that are off; `None` if there were none.
    async fn silence(
        &self,
        rows: &[WaitingRow],
        accounts: &BTreeMap<AccountId, Account>,
        until: Timestamp,
    ) -> Result<Option<Time>, EngineError> {
        let is_off = |row: &&WaitingRow| accounts.get(&row.interaction.conversation.account).is_some_and(|account| !account.active);
        let mut time = None;
        for row in rows.iter().filter(|row| row.offer.is_some()).filter(is_off) {
            self.tell_if_there(&row.interaction, Event::AccountDeactivated).await?;
            time = Some(self.time(until));
            if time == Some(Time::Over) {
                break;
            }
        }
        Ok(time)
    }

    /// Routes the interactions that came in while their account was off.
    async fn activate(&self, rows: &[WaitingRow], accounts: &BTreeMap<AccountId, Account>, until: Timestamp) -> Result<Time, EngineError> {
        for row in rows.iter().filter(|row| row.stage == Stage::Inactive) {
            if accounts.get(&row.interaction.conversation.account).is_some_and(|account| account.active) {
                self.tell_if_there(&row.interaction, Event::AccountActivated).await?;
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

    /// An account was switched on, or its agents changed: wakes the queues in which its interactions wait, also
    /// those that its present plan no longer names.
    async fn account_available(
        &self,
        id: &AccountId,
        after: Option<&Target>,
        until: Timestamp,
        woken: &mut Woken,
    ) -> Result<(), EngineError> {
        if !self.is_active(id).await? {
            return Ok(());
        }
        let queues = self.directory.queues().await?;
        for target in queues.keys().cloned().map(Target::Queue).filter(|target| after.is_none_or(|after| target > after)) {
            let rows = self.store.waiting(&target).await?;
            if rows.iter().any(|row| row.offer.is_none() && row.interaction.conversation.account == *id) {
                woken.also.push(target.clone());
            }
            if self.time(until) == Time::Over {
                woken.until = Some(target);
                break;
            }
        }
        Ok(())
    }

    /// An agent became available: wakes the agent's targets, and offers to all members of a queue ring at this
    /// agent too.
    async fn agent_available(
        &self,
        agent: &AgentId,
        after: Option<&Target>,
        until: Timestamp,
        woken: &mut Woken,
    ) -> Result<(), EngineError> {
        let presence = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent);
        let Some(presence) = presence.filter(|presence| presence.is_ready()) else { return Ok(()) };
        // Without a free slot an agent can still take back an own interaction.
        let takes = |row: &WaitingRow| presence.available() || presence.load.contains(&row.interaction.interaction);
        let now = self.world.now();
        let accounts = self.directory.accounts().await?;
        let of_account = |id: &AccountId| accounts.iter().any(|account| account.id == *id && account.agents.contains(agent));
        let behind = |target: &Target| after.is_none_or(|after| target > after);
        for queue in self.directory.queues().await?.values().filter(|queue| queue.members.contains(agent)) {
            let target = Target::Queue(queue.id.clone());
            if !behind(&target) {
                continue;
            }
            let rows = self.store.waiting(&target).await?;
            if rows.iter().any(|row| row.offer.is_none() && takes(row)) {
                woken.also.push(target.clone());
            }
            let rings = |row: &WaitingRow| match &row.offer {
                Some(Offer { audience: Audience::Members { except, .. }, until, .. }) => {
                    !except.contains(agent) && until.is_none_or(|until| now < until) && takes(row)
                }
                _ => false,
            };
            woken.joined.extend(rows.into_iter().filter(|row| rings(row) && of_account(&row.interaction.conversation.account)));
            if self.time(until) == Time::Over {
                woken.until = Some(target);
                return Ok(());
            }
        }
        if presence.available() {
            for target in
                accounts.iter().filter(|account| account.agents.contains(agent)).map(|account| Target::Account(account.id.clone()))
            {
                if !behind(&target) {
                    continue;
                }
                if self.store.anything_waits(&target).await? {
                    woken.also.push(target.clone());
                }
                if self.time(until) == Time::Over {
                    woken.until = Some(target);
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The agent, if the ring is at a single one.
fn alone(ring: &Ring) -> Option<&AgentId> {
    match &ring.audience {
        Audience::Agents(agents) => agents.first(),
        Audience::Members { .. } => None,
    }
}

/// Updates a presence as the commit of a ring did.
fn rings_at(presence: &mut Presence, interaction: &Interaction, now: Timestamp) {
    if let Some((_, until)) = footprint(interaction).ringing {
        presence.ringing.insert(interaction.id.clone(), until);
        presence.last_offered = Some(now);
        presence.revision += 1;
    }
}
