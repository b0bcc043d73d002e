//! Commands, timers and rings meet their interaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::{Account, List};
use domain::agent::Presence;
use domain::assign::why_nobody;
use domain::catalog::Pause;
use domain::contact::Identity;
use domain::decide::{self, Context, Decision, Event, Refusal, Reply};
use domain::effect::{Effect, InteractionKey, Target, Timer};
use domain::history::PassedOver;
use domain::ids::{AgentId, InteractionId, IntervalId, MessageId, QueueId};
use domain::inbound::ProfileName;
use domain::interaction::{Interaction, Stage};
use domain::interval::Interval;
use domain::message::{ApprovedTemplate, Attachment, Author, Content, Delivery, DeliveryState, Message};
use domain::notification::{Notification, Values};
use domain::plan::ActionPlan;
use domain::queue::Queue;
use domain::values::Address;
use jiff::Timestamp;

use crate::ports::{Commit, Committed, Conversation, Directory, Idempotency, Membership, Store, World};
use crate::route::to_millisecond;
use crate::{ATTEMPTS, Engine, EngineError};

/// What became of something that an interaction was told.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// It changed.
    Changed {
        /// As it is now.
        interaction: Box<Interaction>,
        /// The message that came with it.
        message: Option<Box<Message>>,
    },
    /// It did not, because an earlier attempt of the same command did it.
    AlreadyDone(Box<Interaction>),
    /// It did not, and why.
    Refused(Refusal, Box<Interaction>),
}

/// A message that an agent sends.
#[derive(Debug, Clone, PartialEq)]
pub struct Sending {
    /// Its id, chosen by the caller, so that a repetition names the same message.
    pub id: MessageId,
    /// What it holds.
    pub content: Content,
    /// A file that goes with it, already in the bucket.
    pub attachments: Vec<Attachment>,
    /// The provider's id of the message that it answers.
    pub reply_to: Option<String>,
    /// Our id of the message that it answers or reacts to.
    pub answers: Option<MessageId>,
}

/// What else a change rests on and writes.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    pub(crate) sending: Option<Sending>,
    pub(crate) presence_revision: Option<(AgentId, u64)>,
    pub(crate) cursor: Option<(Target, AgentId)>,
    /// The version that the event is based on.
    pub(crate) based_on: Option<u64>,
}

/// The configuration that a decision needs.
pub(crate) struct Facts {
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    pub(crate) intervals: BTreeMap<IntervalId, Interval>,
    pub(crate) list: Option<List>,
    pub(crate) running_plan: Option<ActionPlan>,
    /// The dispositions of all accounts; only who closes needs them.
    pub(crate) dispositions: Arc<Vec<String>>,
    /// The pause of who owes a disposition; only who closes needs it.
    pub(crate) pause: Option<Pause>,
    /// Why nobody is being rung; only the end of a wait needs it.
    pub(crate) passed_over: Vec<PassedOver>,
}

impl Facts {
    /// What a decision about `account` rests on.
    pub(crate) fn context<'a>(
        &'a self,
        account: &'a Account,
        presence: Option<&'a Presence>,
        last_inbound_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Context<'a> {
        Context {
            account,
            running_plan: self.running_plan.as_ref(),
            queues: &self.queues,
            intervals: &self.intervals,
            list: self.list.as_ref(),
            dispositions: &self.dispositions,
            pause: self.pause.as_ref(),
            heard: None,
            presence,
            passed_over: &self.passed_over,
            last_inbound_at,
            now,
        }
    }
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Tells an interaction `event`; `mark` makes that idempotent.
    ///
    /// # Errors
    /// When it is not there, a port fails or rivals win every attempt; calling again is safe.
    pub async fn tell(&self, key: &InteractionKey, event: Event, mark: Idempotency) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra::default()).await
    }

    /// As [`Engine::tell`], but only if the interaction has still the version that the event is based on; refused as [`Refusal::Changed`] otherwise.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn tell_based_on(
        &self,
        key: &InteractionKey,
        event: Event,
        mark: Idempotency,
        version: Option<u64>,
    ) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra { based_on: version, ..Extra::default() }).await
    }

    /// Sends a message of `agent`: written with state `queued`, in the same transaction as the interaction's change.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn send(&self, key: &InteractionKey, agent: AgentId, sending: Sending, mark: Idempotency) -> Result<Told, EngineError> {
        self.send_based_on(key, agent, sending, mark, None).await
    }

    /// As [`Engine::send`], but only if the interaction has still the version that the message is based on; refused as [`Refusal::Changed`] otherwise.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn send_based_on(
        &self,
        key: &InteractionKey,
        agent: AgentId,
        sending: Sending,
        mark: Idempotency,
        version: Option<u64>,
    ) -> Result<Told, EngineError> {
        let event = Event::MessageSent { agent, message: sending.id.clone(), template: sending.content.is_template() };
        self.change(key, &event, mark, Extra { sending: Some(sending), based_on: version, ..Extra::default() }).await
    }

    /// Adds a note of `by` to the thread, for colleagues only.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn note(
        &self,
        key: &InteractionKey,
        by: AgentId,
        id: MessageId,
        text: String,
        mark: Idempotency,
    ) -> Result<Told, EngineError> {
        self.note_based_on(key, by, id, text, mark, None).await
    }

    /// As [`Engine::note`], but only if the interaction has still the version that the note is based on; refused as [`Refusal::Changed`] otherwise.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn note_based_on(
        &self,
        key: &InteractionKey,
        by: AgentId,
        id: MessageId,
        text: String,
        mark: Idempotency,
        version: Option<u64>,
    ) -> Result<Told, EngineError> {
        let event = Event::NoteAdded { by, message: id.clone() };
        let content = Content::Note { body: text };
        let sending = Sending { id, content, attachments: Vec::new(), reply_to: None, answers: None };
        self.change(key, &event, mark, Extra { sending: Some(sending), based_on: version, ..Extra::default() }).await
    }

    /// The approved template by which agents of `account` write to a customer whose service window is over, filled in; `None` where none is configured.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn recontact(
        &self,
        account: &Account,
        name: Option<&ProfileName>,
        address: &Address,
    ) -> Result<Option<ApprovedTemplate>, EngineError> {
        let Some(recontact) = &account.settings.recontact else { return Ok(None) };
        let list = self.directory.list(&account.list).await?;
        Ok(Some(recontact.filled(&Values { account, queue: None, list: list.as_ref(), name, address })))
    }

    /// What an agent's screen shows with the offer of `interaction` that stands; `None` when there is none any more.
    ///
    /// # Errors
    /// When a port fails.
    pub async fn notification(&self, interaction: &Interaction) -> Result<Option<Notification>, EngineError> {
        let (Some(account), Some(offer)) = (self.directory.account(&interaction.account).await?, interaction.offer()) else {
            return Ok(None);
        };
        let queue = match &offer.target {
            Target::Queue(queue) => self.directory.queue(queue).await?,
            Target::Agent(_) | Target::Account(_) => None,
        };
        let list = self.directory.list(&account.list).await?;
        let (name, address) = (interaction.customer_name.as_ref(), &interaction.address);
        Ok(Some(Notification::of(&Values { account: &account, queue: queue.as_ref(), list: list.as_ref(), name, address })))
    }

    pub(crate) async fn change(&self, key: &InteractionKey, event: &Event, mark: Idempotency, extra: Extra) -> Result<Told, EngineError> {
        let account_id = &key.conversation.account;
        let account = self.directory.account(account_id).await?.ok_or_else(|| EngineError::NoAccount(account_id.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let (before, last_inbound_at) = self.load(key, event).await?;
            if extra.based_on.is_some_and(|version| version != before.version) {
                return Ok(Told::Refused(Refusal::Changed, Box::new(before)));
            }
            let mut facts = self.facts(&account, Some(&before)).await?;
            if let Event::Transfer { to: Target::Queue(id), .. } = event
                && let Some(queue) = self.directory.queue(id).await?
            {
                facts.queues.insert(id.clone(), queue);
            }
            let identity = match event {
                Event::Reopen { .. } => match self.alone(&before).await? {
                    Ok(identity) => identity,
                    Err(other) => return Ok(Told::Refused(Refusal::OtherOpen { interaction: other }, Box::new(before))),
                },
                _ => None,
            };
            if let Event::Close { .. } | Event::CloseForAll { .. } = event {
                facts.dispositions = self.directory.dispositions().await?;
                facts.pause = match &account.settings.disposition_pause {
                    Some(pause) => self.directory.pause(pause).await?,
                    None => None,
                };
            }
            if let Event::Timer(Timer::Wait { .. }) = event {
                facts.passed_over = self.why_nobody(&before, &account, &facts, now).await?;
            }
            let returns = before.wait.as_ref().is_some_and(|wait| wait.stage == Stage::Transfer);
            let owes = before.wrap_up.is_some();
            let goes_on = |event: &Event| matches!(event, Event::MessageSent { .. } | Event::Transfer { .. }) && before.wait.is_some();
            let receives = match event {
                Event::Reassign { to, .. } if !owes => Some(to),
                _ => None,
            };
            let holder = before.agent.as_ref().filter(|_| returns || owes || goes_on(event));
            let presences = match acting(event).or(receives).or(holder) {
                Some(agent) => self.store.presences(std::slice::from_ref(agent)).await?,
                None => BTreeMap::new(),
            };
            let context = facts.context(&account, presences.values().next(), last_inbound_at, now);
            let decision = match decide::decide(&before, event.clone(), &context) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Told::Refused(refusal, Box::new(before))),
            };
            let after = decision.interaction.clone();
            // What has begun to ring since the presence was read must be withdrawn too.
            let pauses = |presence: &Presence| {
                before.wrap_up.is_none() && after.wrap_up.as_ref().is_some_and(|wrap_up| wrap_up.agent == presence.agent)
            };
            let withdraws = |presence: &&Presence| pauses(presence) || decide::fills(Some(&before), &after, presence);
            let withdrawn = presences.values().find(withdraws).map(|presence| (presence.agent.clone(), presence.revision));
            let mut commit = self.commit_of(before, decision, event, &mark, &extra, now);
            commit.identity = identity;
            commit.presence_revision = commit.presence_revision.or(withdrawn);
            let written = commit.messages.iter().find(|(message, _)| matches!(message.author, Author::Agent { .. }));
            let message = written.map(|(message, _)| Box::new(message.clone()));
            let refused = |refusal| async move {
                let current = self.store.interaction(key).await?.ok_or(EngineError::NotFound)?;
                Ok(Told::Refused(refusal, Box::new(current)))
            };
            match self.store.commit(commit).await? {
                Committed::Done => return Ok(Told::Changed { interaction: Box::new(after), message }),
                Committed::AlreadyDone => {
                    let current = self.store.interaction(key).await?.ok_or(EngineError::NotFound)?;
                    return Ok(Told::AlreadyDone(Box::new(current)));
                }
                Committed::AtCapacity => return refused(Refusal::AtCapacity).await,
                Committed::NotAMember => return refused(Refusal::NotAMember).await,
                // A ring rests on a presence that was read before: whoever chose must choose again.
                Committed::Conflict if extra.presence_revision.is_some() => return refused(Refusal::Stale).await,
                Committed::Conflict => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Why nobody is being rung for an interaction that waits, if that is so: what its history says when the wait is over.
    async fn why_nobody(
        &self,
        interaction: &Interaction,
        account: &Account,
        facts: &Facts,
        now: Timestamp,
    ) -> Result<Vec<PassedOver>, EngineError> {
        let Some(wait) = interaction.wait.as_ref().filter(|wait| wait.offer.is_none()) else { return Ok(Vec::new()) };
        let members = |queue| facts.queues.get(queue).map(|queue: &Queue| queue.members.as_slice()).unwrap_or_default();
        let candidates = wait.targets.iter().flat_map(|target| match target {
            Target::Queue(queue) => members(queue),
            Target::Agent(agent) => std::slice::from_ref(agent),
            Target::Account(_) => account.agents.as_slice(),
        });
        let candidates: Vec<AgentId> = candidates.cloned().collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let presences = self.store.presences(&candidates).await?;
        Ok(why_nobody(&candidates, account, &presences, &wait.rejected, &interaction.id, now))
    }

    /// What opening a closed interaction again rests on: whose the customer's address is, so that none of that person's contacts has an open interaction; or the
    /// one that is open.
    async fn alone(&self, closed: &Interaction) -> Result<Result<Option<(Address, Identity)>, InteractionId>, EngineError> {
        let Some(person) = self.store.contact_of(&closed.address, true).await? else { return Ok(Ok(None)) };
        let (_, conversation) = self.conversation_with(&closed.account, &person).await?;
        let own = self.store.conversation(&closed.conversation()).await?;
        match conversation.open.or(own.open) {
            Some(other) if other.id != closed.id => Ok(Err(other.id)),
            _ => Ok(Ok(Some((closed.address.clone(), person)))),
        }
    }

    /// The interaction; only what may send something needs the conversation's head too.
    async fn load(&self, key: &InteractionKey, event: &Event) -> Result<(Interaction, Option<Timestamp>), EngineError> {
        if may_send(event) {
            let Conversation { open, last_inbound_at } = self.store.conversation(&key.conversation).await?;
            if let Some(open) = open.filter(|open| open.id == key.interaction) {
                return Ok((open, last_inbound_at));
            }
        }
        Ok((self.store.interaction(key).await?.ok_or(EngineError::NotFound)?, None))
    }

    pub(crate) fn commit_of(
        &self,
        before: Interaction,
        decision: Decision,
        event: &Event,
        mark: &Idempotency,
        extra: &Extra,
        now: Timestamp,
    ) -> Commit {
        let written = extra.sending.as_ref().map(|sending| {
            let author = match event {
                Event::MessageSent { agent, .. } | Event::NoteAdded { by: agent, .. } => Author::Agent { agent: agent.clone() },
                _ => Author::Customer,
            };
            let message = Message {
                id: sending.id.clone(),
                interaction: before.id.clone(),
                version: 1,
                at: to_millisecond(now),
                provider_id: None,
                author,
                content: sending.content.clone(),
                attachments: sending.attachments.clone(),
                reply_to: sending.reply_to.clone(),
                answers: sending.answers.clone(),
                forwarded: false,
                referral: None,
                reactions: Vec::new(),
                edits: Vec::new(),
                deleted_at: None,
                delivery: (!sending.content.is_note()).then_some(Delivery {
                    state: DeliveryState::Queued,
                    since: now,
                    error: None,
                    attempts: 0,
                }),
            };
            (message, decision.message_effects.clone())
        });
        let messages = written.into_iter().chain(replies(&decision)).collect();
        let membership = match event {
            Event::Accept { agent } if before.agent.as_ref() != Some(agent) => {
                Some(Membership { agent: agent.clone(), account: before.account.clone(), queue: decision.interaction.accepted_via.clone() })
            }
            Event::Pick { agent } | Event::Reopen { agent } | Event::Reassign { to: agent, .. } => {
                Some(Membership { agent: agent.clone(), account: before.account.clone(), queue: None })
            }
            _ => None,
        };
        Commit {
            before: Some(before),
            after: decision.interaction,
            effects: decision.effects,
            history: decision.history,
            messages,
            contact: None,
            listed: None,
            identity: None,
            last_inbound_at: None,
            mark: mark.clone(),
            membership,
            presence_revision: extra.presence_revision.clone(),
            cursor: extra.cursor.clone(),
            merged: None,
        }
    }

    /// The queues and intervals of the account's plan and of the interaction, the account's list, and the plan that runs where it is an older one.
    pub(crate) async fn facts(&self, account: &Account, interaction: Option<&Interaction>) -> Result<Facts, EngineError> {
        let running = match interaction.and_then(|interaction| interaction.wait.as_ref()).map(|wait| &wait.stage) {
            Some(Stage::Step { plan, .. } | Stage::Webhook { plan, .. }) if *plan != account.plan.version => {
                self.directory.plan(&account.id, *plan).await?
            }
            _ => None,
        };
        let plans = || std::iter::once(&account.plan).chain(&running);
        let mut wanted: Vec<QueueId> = plans().flat_map(ActionPlan::queues).cloned().collect();
        let intervals: Vec<IntervalId> = plans().flat_map(ActionPlan::intervals).cloned().collect();
        if let Some(interaction) = interaction {
            wanted.extend(interaction.accepted_via.clone());
            wanted.extend(interaction.tried.iter().cloned());
            let targets = interaction.wait.iter().flat_map(|wait| &wait.targets);
            wanted.extend(targets.filter_map(|target| if let Target::Queue(queue) = target { Some(queue.clone()) } else { None }));
        }
        let mut queues = BTreeMap::new();
        for id in wanted {
            if !queues.contains_key(&id)
                && let Some(queue) = self.directory.queue(&id).await?
            {
                queues.insert(id, queue);
            }
        }
        let intervals = if intervals.is_empty() { BTreeMap::new() } else { self.directory.intervals(&intervals).await? };
        let list = self.directory.list(&account.list).await?;
        Ok(Facts { queues, intervals, list, running_plan: running, dispositions: Arc::default(), pause: None, passed_over: Vec::new() })
    }
}

/// Whether a decision may send something: then it must know whether the 24-hour window is open.
fn may_send(event: &Event) -> bool {
    match event {
        Event::MessageSent { .. }
        | Event::Timer(Timer::Wait { .. })
        | Event::Reject { .. }
        | Event::AccountActivated
        | Event::AgentLeft { .. }
        | Event::WebhookAnswered { .. } => true,
        Event::MessageReceived { .. }
        | Event::Ring(_)
        | Event::Accept { .. }
        | Event::OpenTab { .. }
        | Event::CloseTab { .. }
        | Event::Close { .. }
        | Event::CloseForAll { .. }
        | Event::AccountLeaves
        | Event::Transfer { .. }
        | Event::Pick { .. }
        | Event::Reassign { .. }
        | Event::Archive { .. }
        | Event::Reopen { .. }
        | Event::RequestTranscript { .. }
        | Event::Timer(_)
        | Event::AgentUnavailable { .. }
        | Event::NoteAdded { .. }
        | Event::Retagged { .. }
        | Event::AiSwitched { .. }
        | Event::Noted { .. }
        | Event::AccountDeactivated
        | Event::Absorb(_)
        | Event::MergeInto(_) => false,
    }
}

/// The automatic replies of a decision as messages to be sent.
pub(crate) fn replies(decision: &Decision) -> Vec<(Message, Vec<Effect>)> {
    let message = |reply: &Reply| Message {
        id: reply.id.clone(),
        interaction: decision.interaction.id.clone(),
        version: 1,
        at: to_millisecond(reply.at),
        provider_id: None,
        author: Author::System,
        content: Content::Text { body: reply.text.clone() },
        attachments: Vec::new(),
        reply_to: None,
        answers: None,
        forwarded: false,
        referral: None,
        reactions: Vec::new(),
        edits: Vec::new(),
        deleted_at: None,
        delivery: Some(Delivery { state: DeliveryState::Queued, since: reply.at, error: None, attempts: 0 }),
    };
    decision.replies.iter().map(|reply| (message(reply), Vec::new())).collect()
}

/// Whose presence a decision needs.
fn acting(event: &Event) -> Option<&AgentId> {
    match event {
        Event::Accept { agent }
        | Event::AgentUnavailable { agent }
        | Event::Pick { agent }
        | Event::Reopen { agent }
        | Event::OpenTab { agent }
        | Event::Close { agent, .. } => Some(agent),
        Event::MessageReceived { .. }
        | Event::MessageSent { .. }
        | Event::Noted { .. }
        | Event::Absorb(_)
        | Event::MergeInto(_)
        | Event::Ring(_)
        | Event::Reject { .. }
        | Event::CloseTab { .. }
        | Event::CloseForAll { .. }
        | Event::AccountLeaves
        | Event::Transfer { .. }
        | Event::Reassign { .. }
        | Event::Archive { .. }
        | Event::RequestTranscript { .. }
        | Event::NoteAdded { .. }
        | Event::Retagged { .. }
        | Event::AiSwitched { .. }
        | Event::Timer(_)
        | Event::AgentLeft { .. }
        | Event::AccountDeactivated
        | Event::AccountActivated
        | Event::WebhookAnswered { .. } => None,
    }
}
