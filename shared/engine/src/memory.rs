//! The engine's ports in memory. They do what `store` does on DynamoDB, with a clock that stands still and with
//! faults that a real table hides.
//!
//! [`Memory`] writes all or nothing under the same conditions as the table, and keeps the effects of every version
//! as the table's stream would show them ([`Memory::take_effects`]). Before each call it yields once, so that a
//! test that polls several futures can interleave them between any two calls.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use audit::Entry;
use domain::account::{Account, List};
use domain::agent::{Agent, Presence};
use domain::business::Business;
use domain::catalog::Pause;
use domain::commands::Keyed;
use domain::contact::{Contact, Identity, Link, Place, Standing};
use domain::effect::{ConversationKey, Effect, InteractionKey, MessageKey, Target};
use domain::footprint::{SlotChange, WaitingRow, footprint};
use domain::history::{HistoryEntry, entry_of, whole};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, IntervalId, JobId, ListId, MessageId, PauseId, QueueId, TriggerId};
use domain::inbound::{Alert, InboundEvent, InboundKind};
use domain::interaction::Interaction;
use domain::interval::Interval;
use domain::message::Message;
use domain::plan::ActionPlan;
use domain::queue::Queue;
use domain::removal::Gone;
use domain::report::{Dimension, Duty, Facts, Quarter, Tally};
use domain::row::Listing;
use domain::search::Document;
use domain::trigger::{Health, Tried, Trigger};
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, MessageCommit, Owned, PortError, Store, World};
use crate::ports::{DueCall, FactOf, Histories, Lists, Panel, Reports, Rows, RowsWanted, TriggerCalls, Turn};
use crate::stream::{Grown, Owner};

/// The result of a port's call.
type PortResult<T> = Result<T, PortError>;

/// A fault of a write.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// A rival's transaction is under way: nothing is written, and the answer is [`Committed::Conflict`].
    Conflict,
    /// Nothing is written, and the call fails.
    Refused,
    /// It is written, but the answer is lost, so the call fails.
    AnswerLost,
    /// It is written, and the client's own repetition meets it: the answer is [`Committed::Conflict`]. That happens to
    /// plain writes only; a transaction recognises its repetition.
    MetItself,
}

/// A fault of the next read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReadFault {
    /// Nothing.
    #[default]
    None,
    /// The table is throttled, so the call fails.
    Throttled,
    /// The reader's cache has not expired: it sees the configuration as it was when [`MemoryDirectory::hold`] was
    /// called.
    Stale,
}

/// Chooses the fault of the next read.
type ReadFaults = Box<dyn FnMut() -> ReadFault + Send>;

/// Chooses the fault of the next write. It gets the name of the [`Store`] method.
type Faults = Box<dyn FnMut(&'static str) -> Fault + Send>;

/// The configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// All accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// All queues.
    pub queues: BTreeMap<QueueId, Queue>,
    /// All agents.
    pub agents: BTreeMap<AgentId, Agent>,
    /// All intervals.
    pub intervals: BTreeMap<IntervalId, Interval>,
    /// All lists.
    pub lists: BTreeMap<ListId, List>,
    /// All pauses.
    pub pauses: BTreeMap<PauseId, Pause>,
    /// The dispositions of all accounts.
    pub dispositions: Vec<String>,
    /// Every plan that an account ever had, by account and version.
    pub plans: BTreeMap<(AccountId, u64), ActionPlan>,
    /// The triggers.
    pub triggers: Vec<Trigger>,
}

/// The head of a conversation.
#[derive(Debug, Clone, Default, PartialEq)]
struct Head {
    open: Option<InteractionId>,
    last_inbound_at: Option<Timestamp>,
}

/// A webhook's event as it is stored.
#[derive(Debug, Clone, Default, PartialEq)]
struct Stored {
    /// The provider's id, if it is a customer's message: that tells whether it was routed.
    provider_id: Option<String>,
    /// The mark of any other event.
    routed: Option<String>,
}

/// A message's place: interaction, milliseconds, id, as in the table's sort key.
type MessagePlace = (InteractionId, i64, MessageId);

/// A contact before and after a change; `None` where there was none.
pub type ContactChange = (Option<Contact>, Option<Contact>);

#[derive(Default)]
struct State {
    events: BTreeMap<(AccountId, String), Stored>,
    aliases: BTreeMap<String, Standing>,
    /// The cached aliases. They stay as they are until a fresh one is requested.
    remembered: BTreeMap<String, Standing>,
    contacts: BTreeMap<ContactId, Contact>,
    contact_changes: Vec<ContactChange>,
    heads: BTreeMap<String, Head>,
    interactions: BTreeMap<InteractionId, Interaction>,
    gone: BTreeMap<InteractionId, Gone>,
    listings: BTreeMap<InteractionId, Listing>,
    documents: BTreeMap<InteractionId, Document>,
    messages: BTreeMap<MessagePlace, (MessageKey, Message)>,
    /// The messages before their latest change, as a replica shows them that lags. One that was just written is
    /// missing there, and one that was just deleted is not.
    lagging: BTreeMap<MessagePlace, Message>,
    history: BTreeMap<(InteractionId, u64), Vec<HistoryEntry>>,
    presences: BTreeMap<AgentId, Presence>,
    audit: Vec<Entry>,
    waiting: BTreeMap<Target, BTreeMap<String, WaitingRow>>,
    cursors: BTreeMap<Target, AgentId>,
    commands: BTreeMap<String, String>,
    provider_ids: BTreeMap<(AccountId, String), MessageKey>,
    /// Ids of deleted messages: they lead nowhere and are not free.
    blank: BTreeSet<(AccountId, String)>,
    alerts: BTreeMap<(AccountId, String), Alert>,
    turn: Option<Turn>,
    picture: Option<(u64, Vec<u8>)>,
    health: BTreeMap<TriggerId, Health>,
    due: BTreeMap<(TriggerId, Timestamp, String), DueCall>,
    turns: BTreeMap<TriggerId, Timestamp>,
    tries: BTreeMap<TriggerId, BTreeMap<(Timestamp, String, u32), Tried>>,
    facts: BTreeMap<(AccountId, Quarter), BTreeMap<(String, u64), Facts>>,
    tallies: BTreeMap<(AccountId, Dimension, String, Quarter), Tally>,
    timelines: BTreeMap<AgentId, BTreeMap<(Timestamp, u64), Duty>>,
    outbox: Vec<Grown>,
    config: Config,
    /// The configuration that readers see, if it is older than the present one.
    stale: Option<Config>,
    faults: Option<Faults>,
    read_faults: Option<ReadFaults>,
}

/// Interactions and the items that belong to them, in memory. Clones share the data.
#[derive(Clone, Default)]
pub struct Memory {
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// The configuration in memory, beside the interactions, so that a commit can check membership in it.
#[derive(Debug, Clone)]
pub struct MemoryDirectory {
    memory: Memory,
    /// Whether its readers have no cache.
    fresh: bool,
}

/// A clock that stands still until it is set, and ids that a seed determines. Clones share both.
#[derive(Debug, Clone)]
pub struct VirtualWorld {
    state: Arc<Mutex<(Timestamp, u64, u64)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn throttled() -> PortError {
    PortError { operation: "read", reason: "throttled".to_owned() }
}

/// Yields once.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl VirtualWorld {
    /// A world whose clock stands at `now`.
    pub fn new(now: Timestamp, seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new((now, seed, 0))) }
    }

    /// Sets the clock.
    pub fn set(&self, now: Timestamp) {
        locked(&self.state).0 = now;
    }

    /// Moves the clock on.
    pub fn advance(&self, by: SignedDuration) {
        let mut state = locked(&self.state);
        state.0 = state.0.saturating_add(by).unwrap_or(Timestamp::MAX);
    }
}

impl World for VirtualWorld {
    fn now(&self) -> Timestamp {
        locked(&self.state).0
    }

    /// Sorts by the clock, then by the order of the calls.
    fn ulid(&self) -> Ulid {
        let mut state = locked(&self.state);
        state.2 += 1;
        let milliseconds = u64::try_from(state.0.as_millisecond()).unwrap_or_default();
        Ulid::from_parts(milliseconds, (u128::from(state.2) << 40) | u128::from(state.1 & 0xff_ffff_ffff))
    }

    /// Does not wait, because the clock stands still.
    async fn pause(&self, _attempt: u32) {}
}

impl MemoryDirectory {
    /// Writes an account. Its plan stays known under its version.
    pub fn put_account(&self, account: Account) {
        self.change(|config| {
            config.plans.insert((account.id.clone(), account.plan.version), account.plan.clone());
            config.accounts.insert(account.id.clone(), account);
        });
    }

    /// Writes a queue.
    pub fn put_queue(&self, queue: Queue) {
        self.change(|config| drop(config.queues.insert(queue.id.clone(), queue)));
    }

    /// Writes an agent.
    pub fn put_agent(&self, agent: Agent) {
        self.change(|config| drop(config.agents.insert(agent.id.clone(), agent)));
    }

    /// Changes the configuration. Transactions see the change at once, and readers too, unless
    /// [`MemoryDirectory::hold`] was called.
    pub fn change<T>(&self, change: impl FnOnce(&mut Config) -> T) -> T {
        change(&mut locked(&self.memory.state).config)
    }

    /// From now on readers see the present configuration, as from a cache that has not expired.
    pub fn hold(&self) {
        let mut state = locked(&self.memory.state);
        state.stale = Some(state.config.clone());
    }

    /// The same directory without a cache, as a process sees it that was told of a change.
    pub fn fresh(&self) -> Self {
        Self { fresh: true, ..self.clone() }
    }

    /// Readers see the current configuration again.
    pub fn refresh(&self) {
        locked(&self.memory.state).stale = None;
    }

    async fn read<T>(&self, read: impl FnOnce(&Config) -> T) -> PortResult<T> {
        give_way().await;
        let mut state = locked(&self.memory.state);
        // Without a fault function, all readers have an old cache.
        match state.read_fault().unwrap_or(ReadFault::Stale) {
            ReadFault::Throttled => Err(throttled()),
            ReadFault::Stale if !self.fresh => Ok(read(state.stale.as_ref().unwrap_or(&state.config))),
            ReadFault::Stale | ReadFault::None => Ok(read(&state.config)),
        }
    }
}

impl Directory for MemoryDirectory {
    async fn account(&self, id: &AccountId) -> PortResult<Option<Arc<Account>>> {
        self.read(|config| config.accounts.get(id).cloned().map(Arc::new)).await
    }

    async fn accounts(&self) -> PortResult<Arc<Vec<Account>>> {
        self.read(|config| Arc::new(config.accounts.values().cloned().collect())).await
    }

    async fn queue(&self, id: &QueueId) -> PortResult<Option<Queue>> {
        self.read(|config| config.queues.get(id).cloned()).await
    }

    async fn queues(&self) -> PortResult<Arc<BTreeMap<QueueId, Queue>>> {
        self.read(|config| Arc::new(config.queues.clone())).await
    }

    async fn agents(&self) -> PortResult<Arc<BTreeMap<AgentId, Agent>>> {
        self.read(|config| Arc::new(config.agents.clone())).await
    }

    async fn intervals(&self, ids: &[IntervalId]) -> PortResult<BTreeMap<IntervalId, Interval>> {
        self.read(|config| ids.iter().filter_map(|id| Some((id.clone(), config.intervals.get(id)?.clone()))).collect()).await
    }

    async fn list(&self, id: &ListId) -> PortResult<Option<List>> {
        self.read(|config| config.lists.get(id).cloned()).await
    }

    async fn dispositions(&self) -> PortResult<Arc<Vec<String>>> {
        self.read(|config| Arc::new(config.dispositions.clone())).await
    }

    async fn pause(&self, id: &PauseId) -> PortResult<Option<Pause>> {
        self.read(|config| config.pauses.get(id).cloned()).await
    }

    async fn plan(&self, account: &AccountId, version: u64) -> PortResult<Option<ActionPlan>> {
        self.read(|config| config.plans.get(&(account.clone(), version)).cloned()).await
    }

    async fn triggers(&self) -> PortResult<Arc<Vec<Trigger>>> {
        self.read(|config| Arc::new(config.triggers.clone())).await
    }
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The configuration in which its transactions check membership.
    pub fn directory(&self) -> MemoryDirectory {
        MemoryDirectory { memory: self.clone(), fresh: false }
    }

    /// From now on `faults` chooses the fault of each write.
    pub fn inject(&self, faults: impl FnMut(&'static str) -> Fault + Send + 'static) {
        locked(&self.state).faults = Some(Box::new(faults));
    }

    /// From now on `faults` chooses the fault of each read, of interactions and of the configuration.
    pub fn inject_reads(&self, faults: impl FnMut() -> ReadFault + Send + 'static) {
        locked(&self.state).read_faults = Some(Box::new(faults));
    }

    /// From now on nothing goes wrong.
    pub fn heal(&self) {
        let mut state = locked(&self.state);
        (state.faults, state.read_faults) = (None, None);
    }

    /// Takes a webhook's event, and returns whether it was new. It is written if it does not exist. A status goes to
    /// the queue alone.
    pub fn receive(&self, event: &InboundEvent) -> bool {
        let mut state = locked(&self.state);
        if matches!(event.kind, InboundKind::Status(_)) {
            state.outbox.push(Grown { item: Owner::Event(Box::new(event.clone())), version: 1, effects: vec![Effect::Route] });
            return true;
        }
        let place = (event.account.clone(), event.id.clone());
        if state.events.contains_key(&place) {
            return false;
        }
        let provider_id = match &event.kind {
            InboundKind::Message(message) => Some(message.provider_id.clone()),
            _ => None,
        };
        state.events.insert(place, Stored { provider_id, routed: None });
        if !matches!(event.kind, InboundKind::Other { .. }) {
            state.outbox.push(Grown { item: Owner::Event(Box::new(event.clone())), version: 1, effects: vec![Effect::Route] });
        }
        true
    }

    /// The alerts of an account, by event.
    pub fn alerts(&self, account: &AccountId) -> Vec<Alert> {
        let state = locked(&self.state);
        state.alerts.iter().filter(|((of, _), _)| of == account).map(|(_, alert)| alert.clone()).collect()
    }

    /// The interaction that an event went to (`-` if it belongs to none); `None` until it is routed.
    pub fn routed(&self, account: &AccountId, event: &str) -> Option<String> {
        let state = locked(&self.state);
        let Stored { provider_id, routed } = state.events.get(&(account.clone(), event.to_owned())).cloned()?;
        let place = || state.provider_ids.get(&(account.clone(), provider_id?)).map(|key| key.interaction.interaction.to_string());
        routed.or_else(place)
    }

    /// The effects since the last call, in the order in which they were written.
    pub fn take_effects(&self) -> Vec<Grown> {
        std::mem::take(&mut locked(&self.state).outbox)
    }

    /// All interactions, by id.
    pub fn interactions(&self) -> Vec<Interaction> {
        locked(&self.state).interactions.values().cloned().collect()
    }

    /// All messages with their places: by interaction, then by time.
    pub fn messages(&self) -> Vec<(MessageKey, Message)> {
        locked(&self.state).messages.values().cloned().collect()
    }

    /// The history of an interaction, oldest first.
    pub fn history(&self, interaction: &InteractionId) -> Vec<HistoryEntry> {
        let state = locked(&self.state);
        let of_it = (interaction.clone(), 0)..=(interaction.clone(), u64::MAX);
        let entries = state.history.range(of_it).flat_map(|(_, entries)| entries.clone()).collect();
        let messages = state.messages.values().filter(|(key, _)| key.interaction.interaction == *interaction);
        whole(entries, messages.filter_map(|(_, message)| entry_of(message)))
    }

    /// The audit trail, oldest first.
    pub fn audit(&self) -> Vec<Entry> {
        locked(&self.state).audit.clone()
    }

    /// All presences, by agent.
    pub fn all_presences(&self) -> Vec<Presence> {
        locked(&self.state).presences.values().cloned().collect()
    }

    /// All rows of all targets, the longest wait of each target first.
    pub fn rows(&self) -> Vec<(Target, WaitingRow)> {
        let state = locked(&self.state);
        state.waiting.iter().flat_map(|(target, rows)| rows.values().map(|row| (target.clone(), row.clone()))).collect()
    }

    /// The rows of the index of lists, by interaction.
    pub fn listings(&self) -> BTreeMap<InteractionId, Listing> {
        locked(&self.state).listings.clone()
    }

    /// The documents of closed interactions.
    pub fn documents(&self) -> BTreeMap<InteractionId, Document> {
        locked(&self.state).documents.clone()
    }

    /// Writes the document of a closed interaction, as the function `archive` does.
    pub fn archive(&self, interaction: &InteractionId) {
        let mut state = locked(&self.state);
        let Some(known) = state.interactions.get(interaction).filter(|known| !known.is_open()) else { return };
        match Document::of(known, &state.thread(known)) {
            Some(document) => drop(state.documents.insert(interaction.clone(), document)),
            None => drop(state.documents.remove(interaction)),
        }
    }

    /// Writes what the version before wrote: contacts, and addresses that lead to a customer.
    pub fn before(&self, contacts: impl IntoIterator<Item = Contact>, leads: impl IntoIterator<Item = (Place, Identity)>) {
        let mut state = locked(&self.state);
        state.contacts.extend(contacts.into_iter().map(|contact| (contact.id.clone(), contact)));
        let standing = |everywhere| Standing { everywhere, at: BTreeMap::new() };
        state.aliases.extend(leads.into_iter().map(|(place, person)| (place.key(), standing(person))));
    }

    /// The message to which a provider's id leads.
    pub fn message_of(&self, account: &AccountId, provider_id: &str) -> Option<MessageKey> {
        locked(&self.state).provider_ids.get(&(account.clone(), provider_id.to_owned())).cloned()
    }

    /// An interaction.
    pub fn interaction_of(&self, id: &InteractionId) -> Option<Interaction> {
        locked(&self.state).interactions.get(id).cloned()
    }

    /// Deletes a closed interaction as the worker does, with those that were merged into it. False if it is open,
    /// merged into another, or not there.
    pub fn delete(&self, id: &InteractionId) -> bool {
        let mut state = locked(&self.state);
        let deletable = state.interactions.get(id).filter(|known| !known.is_open() && known.merged_into.is_none()).cloned();
        let Some(interaction) = deletable else { return false };
        for key in std::iter::once(interaction.key()).chain(interaction.absorbed.clone()) {
            let Some(one) = state.interaction(&key) else { continue };
            if let Some(gone) = state.entomb(&one, Timestamp::UNIX_EPOCH) {
                while state.purge_some(&gone) {}
            }
        }
        true
    }

    /// The tombstones, by interaction.
    pub fn tombstones(&self) -> BTreeMap<InteractionId, Gone> {
        locked(&self.state).gone.clone()
    }

    /// Whether a provider's id is known and leads nowhere, because its message was deleted.
    pub fn is_blank(&self, account: &AccountId, provider_id: &str) -> bool {
        locked(&self.state).blank.contains(&(account.clone(), provider_id.to_owned()))
    }

    /// The tombstone of an interaction.
    ///
    /// # Errors
    /// An injected fault.
    pub async fn gone(&self, id: &InteractionId) -> PortResult<Option<Gone>> {
        self.read(|state| state.gone.get(id).cloned()).await
    }

    /// Replaces a closed interaction by its tombstone, if it is as it was read.
    ///
    /// # Errors
    /// An injected fault.
    pub async fn entomb(&self, interaction: &Interaction, now: Timestamp) -> PortResult<Option<Gone>> {
        self.write("entomb", Some(None), |state| Ok(state.entomb(interaction, now))).await
    }

    /// Deletes what belonged to an interaction that is gone, piece by piece.
    ///
    /// # Errors
    /// An injected fault. It is safe to call again.
    pub async fn purge(&self, gone: &Gone) -> PortResult<()> {
        while self.write("purge", None, |state| Ok(state.purge_some(gone))).await? {}
        Ok(())
    }

    /// Empties contacts that are as they were read, and cuts their addresses off. False if one was changed.
    ///
    /// # Errors
    /// An injected fault.
    pub async fn erase(&self, contacts: &[Contact], job: &JobId) -> PortResult<bool> {
        let erase = |state: &mut State| {
            if contacts.iter().any(|contact| state.contacts.get(&contact.id) != Some(contact)) {
                return Ok(false);
            }
            for contact in contacts {
                for place in contact.places() {
                    state.aliases.remove(&place.key());
                }
                state.put_contact(contact.erased_by(job));
            }
            Ok(true)
        };
        self.write("erase", Some(false), erase).await
    }

    /// All interactions of some contacts.
    ///
    /// # Errors
    /// An injected fault.
    pub async fn of_contacts(&self, contacts: &[ContactId]) -> PortResult<Vec<InteractionId>> {
        let of = |interaction: &&Interaction| contacts.contains(&interaction.contact);
        self.read(|state| state.interactions.values().filter(of).map(|interaction| interaction.id.clone()).collect()).await
    }

    /// Deletes a contact that was erased. An absent one is a success.
    ///
    /// # Errors
    /// An injected fault.
    pub async fn forget_contact(&self, id: &ContactId) -> PortResult<()> {
        self.write("forget_contact", None, |state| {
            if let Some(before) = state.contacts.remove(id) {
                state.contact_changes.push((Some(before), None));
            }
            // Addresses are remembered for a minute, and this comes a quarter of an hour after they were cut off.
            state.remembered.clear();
            Ok(())
        })
        .await
    }

    /// The provider's ids that lead to a message, or to one that is not there.
    pub fn provider_ids(&self) -> BTreeMap<(AccountId, String), MessageKey> {
        locked(&self.state).provider_ids.clone()
    }

    /// The facts that are kept for an account's reports, also those of interactions that are gone.
    pub fn kept_facts(&self, account: &AccountId) -> Vec<(String, Facts)> {
        let state = locked(&self.state);
        let own = state.facts.iter().filter(|((of, _), _)| of == account).flat_map(|(_, facts)| facts);
        own.map(|((id, _), facts)| (id.clone(), facts.clone())).collect()
    }

    /// What the stream hands to the index of contacts, once.
    pub fn take_contact_changes(&self) -> Vec<ContactChange> {
        std::mem::take(&mut locked(&self.state).contact_changes)
    }

    /// All contacts, by id.
    pub fn contacts(&self) -> Vec<Contact> {
        locked(&self.state).contacts.values().cloned().collect()
    }

    async fn read<T>(&self, read: impl FnOnce(&State) -> T) -> PortResult<T> {
        give_way().await;
        let mut state = locked(&self.state);
        // Reads of the table are consistent. Only the configuration and the aliases are cached.
        match state.read_fault() {
            Some(ReadFault::Throttled) => Err(throttled()),
            Some(ReadFault::Stale | ReadFault::None) | None => Ok(read(&state)),
        }
    }

    async fn write<T>(
        &self,
        operation: &'static str,
        conflict: Option<T>,
        write: impl FnOnce(&mut State) -> PortResult<T>,
    ) -> PortResult<T> {
        self.write_as(operation, conflict, None, write).await
    }

    /// A write, and the answer if the client's own repetition meets it.
    async fn write_as<T>(
        &self,
        operation: &'static str,
        conflict: Option<T>,
        met_itself: Option<T>,
        write: impl FnOnce(&mut State) -> PortResult<T>,
    ) -> PortResult<T> {
        give_way().await;
        let mut state = locked(&self.state);
        let fault = state.faults.as_mut().map_or(Fault::None, |faults| faults(operation));
        let failed = |reason: &str| PortError { operation, reason: reason.to_owned() };
        match (fault, conflict) {
            (Fault::Conflict, Some(conflict)) => Ok(conflict),
            (Fault::Refused | Fault::Conflict, _) => Err(failed("refused")),
            (Fault::AnswerLost, _) => write(&mut state).and(Err(failed("the answer was lost"))),
            (Fault::MetItself, _) => write(&mut state).map(|answer| met_itself.unwrap_or(answer)),
            (Fault::None, _) => write(&mut state),
        }
    }
}

/// The conditions of a transaction, each with its meaning if it does not hold.
#[derive(Default)]
struct Conditions {
    touched: BTreeSet<String>,
    twice: Option<String>,
    lost: Vec<Committed>,
}

impl Conditions {
    /// Adds the item `key` to the transaction, on the condition `holds`.
    fn item(&mut self, key: String, holds: bool, otherwise: Committed) {
        if !self.touched.insert(key.clone()) {
            self.twice = Some(key);
        }
        if !holds {
            self.lost.push(otherwise);
        }
    }

    fn mark(&mut self, state: &State, mark: &Idempotency) {
        match mark {
            Idempotency::Guarded => {}
            Idempotency::Event { account, id } => {
                let routed = state.events.get(&(account.clone(), id.clone())).is_some_and(|stored| stored.routed.is_some());
                self.item(format!("EVT#{account}#{id}"), !routed, Committed::AlreadyDone);
            }
            Idempotency::Command { id } | Idempotency::Keyed(Keyed { id, .. }) => {
                self.item(format!("CMD#{id}"), !state.commands.contains_key(id), Committed::AlreadyDone);
            }
        }
    }

    /// The lost conditions' outcome. DynamoDB refuses two actions on one item, so this does too.
    fn outcome(self, operation: &'static str) -> PortResult<Committed> {
        if let Some(key) = self.twice {
            return Err(PortError { operation, reason: format!("two actions on {key}") });
        }
        Ok(Committed::of_lost(&self.lost).unwrap_or(Committed::Done))
    }
}

/// Whether a presence's conditions hold.
fn allowed(change: &SlotChange, presence: Option<&Presence>, interaction: &InteractionId) -> bool {
    let Some(presence) = presence else { return false };
    let free = presence.load.len() < presence.capacity.get() || presence.load.contains(interaction);
    (!change.occupy || free) && change.revision.is_none_or(|revision| presence.revision == revision)
}

fn apply(change: &SlotChange, presence: &mut Presence, interaction: &InteractionId, now: Timestamp) {
    presence.revision += 1;
    if change.occupy {
        presence.missed = 0;
        presence.load.insert(interaction.clone());
    } else if change.release {
        presence.load.remove(interaction);
    }
    if let Some(pause) = &change.wrap {
        presence.wrapping_up.insert(interaction.clone());
        presence.wrap_up_pause.clone_from(pause);
    } else if change.unwrap {
        presence.wrapping_up.remove(interaction);
    }
    if let Some(until) = change.ring {
        presence.ringing.insert(interaction.clone(), to_millisecond(until));
        presence.last_offered = Some(to_millisecond(now));
    } else if change.unring {
        presence.ringing.remove(interaction);
    }
}

/// A presence as the stream shows it.
fn owner_of(presence: &Presence) -> Owner {
    let (agent, state) = (presence.agent.clone(), presence.state().word());
    Owner::Presence { agent, state, revision: presence.revision, duty: Duty::of(presence) }
}

/// The table keeps promoted times in milliseconds.
fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

fn place(key: &MessageKey) -> MessagePlace {
    (key.interaction.interaction.clone(), key.at.as_millisecond(), key.message.clone())
}

impl State {
    fn read_fault(&mut self) -> Option<ReadFault> {
        self.read_faults.as_mut().map(|faults| faults())
    }

    fn put_contact(&mut self, contact: Contact) {
        let before = self.contacts.insert(contact.id.clone(), contact.clone());
        self.contact_changes.push((before, Some(contact)));
    }

    /// The interaction's row goes with its item, as the indexes follow it.
    fn entomb(&mut self, interaction: &Interaction, now: Timestamp) -> Option<Gone> {
        let there = self.interaction(&interaction.key())?;
        if there.version != interaction.version {
            return None;
        }
        self.interactions.remove(&there.id);
        self.listings.remove(&there.id);
        let gone = Gone::of(&there, now);
        self.gone.insert(there.id, gone.clone());
        Some(gone)
    }

    /// Deletes a piece of what belonged to an interaction that is gone: a message, the history, the head. True if more
    /// may be left.
    fn purge_some(&mut self, gone: &Gone) -> bool {
        let InteractionKey { conversation, interaction } = &gone.key;
        if let Some((at, (key, message))) = self.messages.iter().find(|((of, ..), _)| of == interaction) {
            let (at, key, message) = (at.clone(), key.clone(), message.clone());
            let id = |id: &String| (conversation.account.clone(), id.clone());
            if let Some(provider_id) = message.provider_id.as_ref().map(id)
                && self.provider_ids.get(&provider_id) == Some(&key)
            {
                self.provider_ids.remove(&provider_id);
                self.blank.insert(provider_id);
            }
            for event in message.provider_id.iter().chain(&message.events).map(id) {
                // What the customer said is taken from it, and it counts as routed.
                self.events.entry(event).and_modify(|stored| stored.routed = Some("-".to_owned()));
            }
            self.lagging.insert(at.clone(), message);
            self.messages.remove(&at);
            return true;
        }
        self.documents.remove(interaction);
        self.history.retain(|(of, _), _| of != interaction);
        let is_left = self.interactions.values().any(|other| other.conversation() == *conversation);
        if !is_left && !self.is_open(conversation) {
            self.heads.remove(&conversation.group());
        }
        false
    }

    /// The messages of an interaction and of those that it absorbed, oldest first.
    fn thread(&self, interaction: &Interaction) -> Vec<Message> {
        let of = |id: &InteractionId| *id == interaction.id || interaction.absorbed.iter().any(|place| place.interaction == *id);
        let of_it = self.messages.iter().filter(|((id, ..), _)| of(id)).map(|((_, at, _), (_, message))| (*at, message));
        let mut messages: Vec<(i64, &Message)> = of_it.collect();
        messages.sort_by_key(|(at, message)| (*at, message.id.clone()));
        messages.into_iter().map(|(_, message)| message.clone()).collect()
    }

    fn is_open(&self, conversation: &ConversationKey) -> bool {
        self.heads.get(&conversation.group()).is_some_and(|head| head.open.is_some())
    }

    /// The conditions of the interaction itself.
    fn check(&self, commit: &Commit, conditions: &mut Conditions) {
        let Commit { before, after, .. } = commit;
        let (id, conversation) = (&after.id, after.conversation().group());
        let (was_open, is_open) = (before.as_ref().is_some_and(Interaction::is_open), after.is_open());
        let current = self.interactions.get(id).map(|current| current.version);
        conditions.item(format!("INT#{id}"), current == before.as_ref().map(|before| before.version), Committed::Conflict);
        if commit.heard_at_head().is_some() || was_open != is_open {
            let open = self.heads.get(&conversation).and_then(|head| head.open.as_ref());
            let holds = match (was_open, is_open) {
                (false, true) => open.is_none(),
                (true, false) => open == Some(id),
                (true, true) | (false, false) => true,
            };
            conditions.item(format!("HEAD#{conversation}"), holds, Committed::Conflict);
        }
        if !commit.history.is_empty() {
            let free = !self.history.contains_key(&(id.clone(), after.version));
            conditions.item(format!("HIS#{id}#{}", after.version), free, Committed::Conflict);
        }
    }

    /// Writes the interaction itself.
    fn apply(&mut self, commit: Commit) {
        let heard_at = commit.heard_at_head();
        let Commit { before, after, effects, history, entry, .. } = commit;
        self.audit.extend(entry);
        let (id, was_open) = (after.id.clone(), before.as_ref().is_some_and(Interaction::is_open));
        let head = self.heads.entry(after.conversation().group()).or_default();
        match (was_open, after.is_open()) {
            (false, true) => head.open = Some(id.clone()),
            (true, false) => head.open = None,
            (true, true) | (false, false) => {}
        }
        if let Some(at) = heard_at {
            head.last_inbound_at = Some(to_millisecond(at));
        }
        let old = before.as_ref().map(footprint).unwrap_or_default();
        let new = footprint(&after);
        // As on the table, only the difference is written.
        for (target, row) in &old.waiting {
            if new.waiting.get(target).is_none_or(|kept| kept.order() != row.order()) {
                self.waiting.entry(target.clone()).or_default().remove(&row.order());
            }
        }
        for (target, row) in &new.waiting {
            if old.waiting.get(target) != Some(row) {
                self.waiting.entry(target.clone()).or_default().insert(row.order(), row.clone());
            }
        }
        // The index follows each version of the item. A version without a row takes it away.
        match Listing::of(&after) {
            Some(listing) => drop(self.listings.insert(id.clone(), listing)),
            None => drop(self.listings.remove(&id)),
        }
        if !history.is_empty() {
            self.history.insert((id.clone(), after.version), history);
        }
        self.caused(Owner::Interaction(Box::new(after.clone())), after.version, effects);
        self.interactions.insert(id, after);
    }

    fn commit(&mut self, mut commit: Commit) -> PortResult<Committed> {
        let slots = commit.slots();
        let mut conditions = Conditions::default();
        self.check(&commit, &mut conditions);
        if let Some(merged) = &commit.merged {
            self.check(merged, &mut conditions);
        }
        for (agent, changes) in &slots {
            let presence = self.presences.get(agent);
            let holds = changes.iter().all(|(interaction, slots)| allowed(slots, presence, interaction));
            let occupies = changes.iter().any(|(_, slots)| slots.occupy);
            let based = changes.iter().any(|(_, change)| change.revision.is_some());
            let lost = if occupies && !based { Committed::AtCapacity } else { Committed::Conflict };
            conditions.item(format!("AGENT#{agent}"), holds, lost);
        }
        let place_of = |message: &Message| MessageKey { interaction: commit.after.key(), at: message.at, message: message.id.clone() };
        let message_keys: Vec<MessageKey> = commit.messages.iter().map(|(message, _)| place_of(message)).collect();
        for key in &message_keys {
            conditions.item(format!("MSG#{:?}", place(key)), !self.messages.contains_key(&place(key)), Committed::Conflict);
        }
        for provider_id in commit.messages.iter().filter_map(|(message, _)| message.provider_id.clone()) {
            let id = (commit.after.account.clone(), provider_id.clone());
            let known = self.provider_ids.contains_key(&id) || self.blank.contains(&id);
            conditions.item(format!("PROV#{provider_id}"), !known, Committed::AlreadyDone);
        }
        for contact in &commit.changed {
            let current = self.contacts.get(&contact.id).map(|current| current.version + 1);
            conditions.item(format!("CON#{}", contact.id), current == Some(contact.version), Committed::Conflict);
        }
        if let Some(contact) = &commit.contact {
            conditions.item(format!("CON#{}", contact.id), !self.contacts.contains_key(&contact.id), Committed::Conflict);
            for place in contact.places() {
                conditions.item(format!("ALIAS#{}", place.key()), !self.aliases.contains_key(&place.key()), Committed::Conflict);
            }
        }
        if let Some(Owned { place, business, person }) = &commit.identity {
            let owned = self.aliases.get(&place.key()).is_some_and(|standing| standing.at(business) == person);
            conditions.item(format!("ALIAS#{}", place.key()), owned, Committed::Conflict);
            for contact in person.contacts().filter(|contact| commit.after.is_open() && **contact != commit.after.contact) {
                let key = ConversationKey { account: commit.after.account.clone(), contact: contact.clone() };
                conditions.item(format!("HEAD#{}", key.group()), !self.is_open(&key), Committed::Conflict);
            }
        }
        if let Some(membership) = &commit.membership {
            let of_account =
                self.config.accounts.get(&membership.account).is_some_and(|account| account.agents.contains(&membership.agent));
            let of_queue = membership
                .queue
                .as_ref()
                .is_none_or(|queue| self.config.queues.get(queue).is_some_and(|queue| queue.members.contains(&membership.agent)));
            conditions.item("membership".to_owned(), of_account && of_queue, Committed::NotAMember);
        }
        conditions.mark(self, &commit.mark);
        match conditions.outcome("commit")? {
            Committed::Done => {}
            lost => return Ok(lost),
        }

        let now = commit.decided_at().unwrap_or(Timestamp::UNIX_EPOCH);
        for (agent, changes) in &slots {
            if let Some(presence) = self.presences.get_mut(agent) {
                let before = Duty::of(presence);
                changes.iter().for_each(|(interaction, slots)| apply(slots, presence, interaction, now));
                let effects = if Duty::of(presence) == before { Vec::new() } else { vec![Effect::Report] };
                let item = owner_of(presence);
                let version = presence.version;
                self.caused(item, version, effects);
            }
        }
        if let Some((target, agent)) = &commit.cursor {
            self.cursors.insert(target.clone(), agent.clone());
        }
        for contact in std::mem::take(&mut commit.changed) {
            self.put_contact(contact);
        }
        if let Some(contact) = commit.contact.take() {
            let standing = Standing::one(contact.id.clone());
            self.aliases.extend(contact.places().map(|place| (place.key(), standing.clone())));
            self.put_contact(contact);
        }
        self.set_mark(&commit.mark, commit.made().to_owned());
        let (messages, merged) = (std::mem::take(&mut commit.messages), commit.merged.take());
        self.apply(commit);
        for ((message, effects), key) in messages.into_iter().zip(message_keys) {
            self.caused(Owner::Message { message: Box::new(message.clone()), key: key.clone() }, message.version, effects);
            if let Some(provider_id) = message.provider_id.clone() {
                self.provider_ids.insert((key.interaction.conversation.account.clone(), provider_id), key.clone());
            }
            self.messages.insert(place(&key), (key, message));
        }
        if let Some(merged) = merged {
            self.apply(*merged);
        }
        Ok(Committed::Done)
    }

    fn link(&mut self, link: &Link) -> PortResult<Committed> {
        let mut conditions = Conditions::default();
        for contact in &link.contacts {
            let current = self.contacts.get(&contact.id).map(|current| current.version + 1);
            conditions.item(format!("CON#{}", contact.id), current == Some(contact.version), Committed::Conflict);
        }
        for contact in &link.added {
            conditions.item(format!("CON#{}", contact.id), !self.contacts.contains_key(&contact.id), Committed::Conflict);
        }
        for (place, _) in &link.known {
            conditions.item(format!("ALIAS#{}", place.key()), true, Committed::Conflict);
        }
        for (place, _) in &link.new {
            conditions.item(format!("ALIAS#{}", place.key()), !self.aliases.contains_key(&place.key()), Committed::Conflict);
        }
        match conditions.outcome("link")? {
            Committed::Done => {}
            lost => return Ok(lost),
        }
        for contact in link.contacts.iter().chain(&link.added).cloned() {
            if contact.id == link.carrier {
                self.caused(Owner::Contact(Box::new(contact.clone())), contact.version, link.effects.clone());
            }
            self.put_contact(contact);
        }
        self.aliases.extend(link.known.iter().chain(&link.new).map(|(place, standing)| (place.key(), standing.clone())));
        Ok(Committed::Done)
    }

    fn commit_message(&mut self, commit: MessageCommit) -> PortResult<Committed> {
        let MessageCommit { key, before, after, effects, mark } = commit;
        let mut conditions = Conditions::default();
        let current = self.messages.get(&place(&key)).filter(|(known, _)| *known == key).map(|(_, message)| message.version);
        conditions.item("message".to_owned(), current == Some(before), Committed::Conflict);
        conditions.mark(self, &mark);
        match conditions.outcome("commit_message")? {
            Committed::Done => {}
            lost => return Ok(lost),
        }
        self.set_mark(&mark, after.interaction.to_string());
        self.caused(Owner::Message { message: Box::new(after.clone()), key: key.clone() }, after.version, effects);
        if let Some((_, former)) = self.messages.insert(place(&key), (key.clone(), after)) {
            self.lagging.insert(place(&key), former);
        }
        Ok(Committed::Done)
    }

    /// Load, rings and owed dispositions belong to the interactions' commits, so this write leaves them alone. But
    /// a decision on the old state must fail, and this write must notice a ring that began since the presence was
    /// read. The revision covers both.
    fn commit_presence(&mut self, presence: &Presence, effects: &[Effect], mark: &Idempotency) -> PortResult<Committed> {
        let mut conditions = Conditions::default();
        let current = self.presences.get(&presence.agent);
        let unchanged = current.is_none_or(|current| current.version + 1 == presence.version && current.revision == presence.revision);
        conditions.item("presence".to_owned(), unchanged, Committed::Conflict);
        conditions.mark(self, mark);
        match conditions.outcome("commit_presence")? {
            Committed::Done => {}
            lost => return Ok(lost),
        }
        let mut after = Presence { revision: presence.revision + 1, since: to_millisecond(presence.since), ..presence.clone() };
        match current {
            Some(current) => {
                after.load.clone_from(&current.load);
                after.ringing.clone_from(&current.ringing);
                after.last_offered = current.last_offered;
                after.wrapping_up.clone_from(&current.wrapping_up);
                after.wrap_up_pause.clone_from(&current.wrap_up_pause);
            }
            None => {
                after.load.clear();
                after.ringing.clear();
                after.last_offered = None;
                after.wrapping_up.clear();
                after.wrap_up_pause.clear();
            }
        }
        let mut effects = effects.to_vec();
        effects.extend((current.map(Duty::of) != Some(Duty::of(&after))).then_some(Effect::Report));
        let item = owner_of(&after);
        self.presences.insert(presence.agent.clone(), after);
        self.set_mark(mark, presence.agent.to_string());
        self.caused(item, presence.version, effects);
        Ok(Committed::Done)
    }

    fn commit_contact(&mut self, contact: &Contact, mark: &Idempotency) -> PortResult<Committed> {
        let mut conditions = Conditions::default();
        let current = self.contacts.get(&contact.id).map(|current| current.version + 1);
        conditions.item(format!("CON#{}", contact.id), current == Some(contact.version), Committed::Conflict);
        conditions.mark(self, mark);
        match conditions.outcome("commit_contact")? {
            Committed::Done => {}
            lost => return Ok(lost),
        }
        self.put_contact(contact.clone());
        self.set_mark(mark, contact.id.to_string());
        Ok(Committed::Done)
    }

    fn set_mark(&mut self, mark: &Idempotency, made: String) {
        match mark {
            Idempotency::Guarded => {}
            Idempotency::Event { account, id } => self.events.entry((account.clone(), id.clone())).or_default().routed = Some(made),
            Idempotency::Command { id } | Idempotency::Keyed(Keyed { id, .. }) => drop(self.commands.insert(id.clone(), made)),
        }
    }

    fn caused(&mut self, item: Owner, version: u64, effects: Vec<Effect>) {
        if !effects.is_empty() {
            self.outbox.push(Grown { item, version, effects });
        }
    }

    fn interaction(&self, key: &InteractionKey) -> Option<Interaction> {
        self.interactions.get(&key.interaction).filter(|interaction| interaction.key() == *key).cloned()
    }
}

impl Store for Memory {
    async fn contact_of(&self, place: &Place, business: &Business, fresh: bool) -> PortResult<Option<Identity>> {
        give_way().await;
        let (mut state, key) = (locked(&self.state), place.key());
        if state.read_fault() == Some(ReadFault::Throttled) {
            return Err(throttled());
        }
        if !fresh && let Some(known) = state.remembered.get(&key) {
            return Ok(Some(known.at(business).clone()));
        }
        let found = state.aliases.get(&key).cloned();
        if let Some(found) = &found {
            state.remembered.insert(key, found.clone());
        }
        Ok(found.map(|found| found.at(business).clone()))
    }

    async fn contact(&self, id: &ContactId) -> PortResult<Option<Contact>> {
        self.read(|state| state.contacts.get(id).cloned()).await
    }

    async fn link(&self, link: &Link) -> PortResult<Committed> {
        self.write("link", Some(Committed::Conflict), |state| state.link(link)).await
    }

    async fn conversation(&self, key: &ConversationKey) -> PortResult<Conversation> {
        self.read(|state| {
            let head = state.heads.get(&key.group());
            let open = head.and_then(|head| head.open.clone());
            let open = open.and_then(|interaction| state.interaction(&InteractionKey { conversation: key.clone(), interaction }));
            let own = |interaction: &&Interaction| open.is_none() && interaction.conversation() == *key;
            let latest = state.interactions.values().rev().find(own).cloned();
            let heard_at = open.as_ref().and_then(|open| open.heard_at);
            Conversation { last_inbound_at: head.and_then(|head| head.last_inbound_at).max(heard_at), open, latest }
        })
        .await
    }

    async fn locate(&self, id: &InteractionId) -> PortResult<Option<InteractionKey>> {
        self.read(|state| state.interactions.get(id).map(Interaction::key)).await
    }

    async fn interaction(&self, key: &InteractionKey) -> PortResult<Option<Interaction>> {
        self.read(|state| state.interaction(key)).await
    }

    async fn was_deleted(&self, id: &InteractionId) -> PortResult<bool> {
        self.read(|state| state.gone.contains_key(id)).await
    }

    async fn open_interactions(
        &self,
        account: &AccountId,
        before: Option<&InteractionId>,
        limit: usize,
    ) -> PortResult<Vec<InteractionKey>> {
        self.read(|state| {
            let older = state.interactions.values().rev().filter(|found| before.is_none_or(|before| found.id < *before));
            older.filter(|found| found.account == *account && found.is_open()).map(Interaction::key).take(limit).collect()
        })
        .await
    }

    async fn message(&self, key: &MessageKey) -> PortResult<Option<Message>> {
        self.read(|state| state.messages.get(&place(key)).filter(|(known, _)| known == key).map(|(_, message)| message.clone())).await
    }

    async fn message_lately(&self, key: &MessageKey) -> PortResult<Option<Message>> {
        give_way().await;
        let mut state = locked(&self.state);
        let fault = state.read_fault();
        let now = || state.messages.get(&place(key)).filter(|(known, _)| known == key).map(|(_, message)| message.clone());
        match fault {
            Some(ReadFault::Throttled) => Err(throttled()),
            Some(ReadFault::Stale) => Ok(state.lagging.get(&place(key)).cloned()),
            Some(ReadFault::None) | None => Ok(now()),
        }
    }

    async fn message_by_provider_id(&self, account: &AccountId, provider_id: &str) -> PortResult<Option<MessageKey>> {
        self.read(|state| state.provider_ids.get(&(account.clone(), provider_id.to_owned())).cloned()).await
    }

    async fn presences(&self, agents: &[AgentId]) -> PortResult<BTreeMap<AgentId, Presence>> {
        self.read(|state| agents.iter().filter_map(|agent| Some((agent.clone(), state.presences.get(agent)?.clone()))).collect()).await
    }

    async fn waiting(&self, target: &Target) -> PortResult<Vec<WaitingRow>> {
        self.read(|state| state.waiting.get(target).map(|rows| rows.values().cloned().collect()).unwrap_or_default()).await
    }

    async fn first_waiting(&self, target: &Target, most: usize) -> PortResult<(Vec<WaitingRow>, bool)> {
        self.read(|state| match state.waiting.get(target) {
            Some(rows) => (rows.values().take(most).cloned().collect(), rows.len() > most),
            None => (Vec::new(), false),
        })
        .await
    }

    async fn anything_waits(&self, target: &Target) -> PortResult<bool> {
        self.read(|state| state.waiting.get(target).is_some_and(|rows| !rows.is_empty())).await
    }

    async fn anything_waited(&self, target: &Target) -> PortResult<bool> {
        self.anything_waits(target).await
    }

    async fn cursor(&self, target: &Target) -> PortResult<Option<AgentId>> {
        self.read(|state| state.cursors.get(target).cloned()).await
    }

    async fn commit(&self, commit: Commit) -> PortResult<Committed> {
        self.write("commit", Some(Committed::Conflict), |state| state.commit(commit)).await
    }

    async fn commit_message(&self, commit: MessageCommit) -> PortResult<Committed> {
        let met_itself = (commit.mark == Idempotency::Guarded).then_some(Committed::Conflict);
        self.write_as("commit_message", Some(Committed::Conflict), met_itself, |state| state.commit_message(commit)).await
    }

    async fn index_provider_id(&self, key: &MessageKey, provider_id: &str) -> PortResult<Committed> {
        self.write("index_provider_id", Some(Committed::Conflict), |state| {
            let place = (key.interaction.conversation.account.clone(), provider_id.to_owned());
            if state.blank.contains(&place) {
                return Ok(Committed::AlreadyDone);
            }
            let there = state.provider_ids.entry(place).or_insert_with(|| key.clone());
            Ok(if there == key { Committed::Done } else { Committed::AlreadyDone })
        })
        .await
    }

    async fn forget_provider_id(&self, key: &MessageKey, provider_id: &str) -> PortResult<()> {
        self.write("forget_provider_id", None, |state| {
            let place = (key.interaction.conversation.account.clone(), provider_id.to_owned());
            if state.provider_ids.get(&place) == Some(key) {
                state.provider_ids.remove(&place);
                state.blank.insert(place);
            }
            Ok(())
        })
        .await
    }

    async fn commit_presence(&self, presence: &Presence, effects: &[Effect], mark: &Idempotency) -> PortResult<Committed> {
        self.write("commit_presence", Some(Committed::Conflict), |state| state.commit_presence(presence, effects, mark)).await
    }

    async fn commit_contact(&self, contact: &Contact, mark: &Idempotency) -> PortResult<Committed> {
        self.write("commit_contact", Some(Committed::Conflict), |state| state.commit_contact(contact, mark)).await
    }

    async fn keep_alert(&self, event: &InboundEvent, alert: &Alert) -> PortResult<()> {
        self.write("keep_alert", None, |state| {
            let place = (event.account.clone(), event.id.clone());
            let known = state.alerts.insert(place.clone(), alert.clone()).is_some();
            if !known && !alert.unproven {
                let (account, event_id) = place.clone();
                let (alert, received_at) = (Box::new(alert.clone()), event.received_at);
                state.caused(Owner::Alert { account, event: event_id, alert, received_at }, 1, vec![Effect::Alert]);
            }
            state.events.entry(place).or_default().routed.get_or_insert_with(|| "-".to_owned());
            Ok(())
        })
        .await
    }

    async fn commit_forced_presence(
        &self,
        presence: &Presence,
        effects: &[Effect],
        mark: &Idempotency,
        entry: &Entry,
    ) -> PortResult<Committed> {
        let commit = |state: &mut State| {
            let outcome = state.commit_presence(presence, effects, mark)?;
            if outcome == Committed::Done {
                state.audit.push(entry.clone());
            }
            Ok(outcome)
        };
        self.write("commit_forced_presence", Some(Committed::Conflict), commit).await
    }

    async fn settle(&self, event: &InboundEvent) -> PortResult<()> {
        self.write("settle", None, |state| {
            let stored = state.events.entry((event.account.clone(), event.id.clone())).or_default();
            stored.routed.get_or_insert_with(|| "-".to_owned());
            Ok(())
        })
        .await
    }
}

impl Lists for Memory {
    async fn rows(&self, wanted: RowsWanted<'_>) -> PortResult<Rows> {
        let RowsWanted { shelf, span, before, filter, most } = wanted;
        self.read(|state| {
            let of_shelf = state.listings.values().filter(|listing| listing.shelf == *shelf);
            let mut rows: Vec<&Listing> = of_shelf
                .filter(|listing| span.has(listing.position.opened_at()) && before.is_none_or(|before| listing.position < *before))
                .collect();
            rows.sort_by(|one, other| other.position.cmp(&one.position));
            let more = rows.len() > most;
            rows.truncate(most);
            let through = rows.last().filter(|_| more).map(|last| last.position.clone());
            let scanned = rows.len();
            let matching = rows.into_iter().filter(|listing| filter.matches(&listing.row));
            let place = |listing: &Listing| state.interactions.get(listing.position.interaction()).map(Interaction::key);
            let found = matching.filter_map(|listing| Some((place(listing)?, listing.position.clone(), listing.row.clone())));
            Rows { found: found.collect(), through, scanned }
        })
        .await
    }

    async fn open_now(&self, account: &AccountId, before: Option<&InteractionId>, most: usize) -> PortResult<Vec<InteractionKey>> {
        self.open_interactions(account, before, most).await
    }

    async fn interactions_now(&self, places: &[InteractionKey]) -> PortResult<Vec<Interaction>> {
        self.read(|state| places.iter().filter_map(|place| state.interactions.get(&place.interaction).cloned()).collect()).await
    }

    async fn thread(&self, interaction: &Interaction) -> PortResult<Vec<Message>> {
        self.read(|state| state.thread(interaction)).await
    }

    async fn documents(&self, interactions: &[InteractionId]) -> PortResult<Vec<Document>> {
        self.read(|state| interactions.iter().filter_map(|id| state.documents.get(id).cloned()).collect()).await
    }

    async fn latest_message(&self, interaction: &Interaction) -> PortResult<Option<Message>> {
        let Some(last) = &interaction.last_message else { return Ok(None) };
        let of = |id: &InteractionId| *id == interaction.id || interaction.absorbed.iter().any(|place| place.interaction == *id);
        self.read(|state| {
            let known = state.messages.iter().filter(|((id, at, _), _)| of(id) && *at <= last.at.as_millisecond());
            known.max_by_key(|((_, at, id), _)| (*at, id.clone())).map(|(_, (_, message))| message.clone())
        })
        .await
    }
}

impl Panel for Memory {
    async fn turn(&self) -> PortResult<Option<Turn>> {
        give_way().await;
        Ok(locked(&self.state).turn.clone())
    }

    async fn take_turn(&self, seen: Option<&Turn>, next: &Turn) -> PortResult<bool> {
        give_way().await;
        let mut state = locked(&self.state);
        let is_as_seen = state.turn.as_ref() == seen;
        if is_as_seen {
            state.turn = Some(next.clone());
        }
        Ok(is_as_seen)
    }

    async fn kept_picture(&self) -> PortResult<Option<(u64, Vec<u8>)>> {
        give_way().await;
        Ok(locked(&self.state).picture.clone())
    }

    async fn keep_picture(&self, turn: &Turn, picture: Vec<u8>) -> PortResult<()> {
        give_way().await;
        let mut state = locked(&self.state);
        if state.picture.as_ref().is_none_or(|(number, _)| *number < turn.number) {
            state.picture = Some((turn.number, picture));
        }
        Ok(())
    }
}

impl Histories for Memory {
    async fn whole_history(&self, interaction: &InteractionKey) -> PortResult<Vec<HistoryEntry>> {
        self.read(|_| ()).await?;
        Ok(self.history(&interaction.interaction))
    }

    async fn message_now(&self, message: &MessageKey) -> PortResult<Option<Message>> {
        Store::message(self, message).await
    }

    async fn is_gone(&self, interaction: &InteractionId) -> PortResult<bool> {
        self.read(|state| state.gone.contains_key(interaction)).await
    }
}

impl Reports for Memory {
    async fn put_facts(&self, account: &AccountId, of: FactOf<'_>, facts: &Facts) -> PortResult<()> {
        let key = match of {
            FactOf::Version(interaction, version) => (interaction.to_string(), version),
            FactOf::Message(message) => (message.to_string(), 0),
            FactOf::Ai(call) => (call.to_owned(), 0),
        };
        let write = |state: &mut State| {
            state.facts.entry((account.clone(), facts.quarter)).or_default().insert(key, facts.clone());
            Ok(())
        };
        self.write("keep facts", None, write).await
    }

    async fn facts(&self, account: &AccountId, quarter: Quarter) -> PortResult<Vec<Facts>> {
        let key = (account.clone(), quarter);
        self.read(|state| state.facts.get(&key).into_iter().flat_map(|facts| facts.values().cloned()).collect()).await
    }

    async fn put_tally(&self, account: &AccountId, quarter: Quarter, of: (Dimension, &str), tally: &Tally) -> PortResult<()> {
        let key = (account.clone(), of.0, of.1.to_owned(), quarter);
        let write = |state: &mut State| {
            let kept = state.tallies.entry(key).or_default();
            if kept.facts() <= tally.facts() {
                kept.clone_from(tally);
            }
            Ok(())
        };
        self.write("keep a tally", None, write).await
    }

    async fn put_duty(&self, agent: &AgentId, at: Timestamp, revision: u64, duty: Duty) -> PortResult<()> {
        let write = |state: &mut State| {
            state.timelines.entry(agent.clone()).or_default().insert((to_millisecond(at), revision), duty);
            Ok(())
        };
        self.write("keep a line", None, write).await
    }

    async fn timeline(&self, agent: &AgentId, span: std::ops::Range<Timestamp>) -> PortResult<Vec<(Timestamp, Duty)>> {
        let found = |state: &State| {
            let Some(lines) = state.timelines.get(agent) else { return Vec::new() };
            let before = lines.range(..(span.start, 0)).next_back();
            let within = lines.range((span.start, 0)..(span.end, 0));
            before.into_iter().chain(within).map(|((at, _), duty)| (*at, *duty)).collect()
        };
        self.read(found).await
    }

    async fn tallies(
        &self,
        account: &AccountId,
        dimension: Dimension,
        span: std::ops::Range<Quarter>,
    ) -> PortResult<Vec<(String, Quarter, Tally)>> {
        let wanted = |(of, kind, _, quarter): &&(AccountId, Dimension, String, Quarter)| {
            of == account && *kind == dimension && span.contains(quarter)
        };
        let found = |state: &State| {
            let keys = state.tallies.iter().filter(|(key, _)| wanted(key));
            keys.map(|((_, _, value, quarter), tally)| (value.clone(), *quarter, tally.clone())).collect()
        };
        self.read(found).await
    }
}

impl TriggerCalls for Memory {
    async fn health(&self, trigger: &TriggerId) -> PortResult<Option<Health>> {
        self.read(|state| state.health.get(trigger).cloned()).await
    }

    async fn put_health(&self, trigger: &TriggerId, health: Option<&Health>) -> PortResult<()> {
        let write = |state: &mut State| {
            match health {
                Some(health) => state.health.insert(trigger.clone(), health.clone()),
                None => state.health.remove(trigger),
            };
            Ok(())
        };
        self.write("keep the health", None, write).await
    }

    async fn put_due(&self, due: &DueCall) -> PortResult<()> {
        let due = DueCall { at: to_millisecond(due.at), call: due.call.clone() };
        let key = (due.call.trigger.clone(), due.at, due.call.id.clone());
        let write = |state: &mut State| {
            state.due.insert(key, due);
            Ok(())
        };
        self.write("keep a call", None, write).await
    }

    async fn due(&self, trigger: &TriggerId, now: Timestamp, most: usize) -> PortResult<Vec<DueCall>> {
        let is_due = |due: &&DueCall| due.call.trigger == *trigger && due.at <= to_millisecond(now);
        self.read(|state| state.due.values().filter(is_due).take(most).cloned().collect()).await
    }

    async fn drop_due(&self, due: &DueCall) -> PortResult<()> {
        let key = (due.call.trigger.clone(), to_millisecond(due.at), due.call.id.clone());
        let write = |state: &mut State| {
            state.due.remove(&key);
            Ok(())
        };
        self.write("forget a call", None, write).await
    }

    async fn take_turn_at(&self, trigger: &TriggerId, now: Timestamp, until: Timestamp) -> PortResult<bool> {
        let write = |state: &mut State| {
            let is_free = state.turns.get(trigger).is_none_or(|taken| *taken <= now);
            if is_free {
                state.turns.insert(trigger.clone(), until);
            }
            Ok(is_free)
        };
        self.write("take the turn", Some(false), write).await
    }

    async fn end_turn_at(&self, trigger: &TriggerId) -> PortResult<()> {
        let write = |state: &mut State| {
            state.turns.remove(trigger);
            Ok(())
        };
        self.write("end the turn", None, write).await
    }

    async fn note_try(&self, trigger: &TriggerId, tried: &Tried) -> PortResult<()> {
        let key = (to_millisecond(tried.at), tried.id.clone(), tried.attempt);
        let write = |state: &mut State| {
            state.tries.entry(trigger.clone()).or_default().insert(key, tried.clone());
            Ok(())
        };
        self.write("note a try", None, write).await
    }

    async fn tries(&self, trigger: &TriggerId, most: usize) -> PortResult<Vec<Tried>> {
        self.read(|state| state.tries.get(trigger).into_iter().flat_map(|tries| tries.values().rev()).take(most).cloned().collect()).await
    }
}
