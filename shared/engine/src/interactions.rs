//! Commands, timers and rings meet their interaction.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::decide::{self, Context, Decision, Event, Refusal};
use domain::effect::{InteractionKey, Target};
use domain::ids::{AgentId, MessageId, QueueId};
use domain::interaction::{Interaction, Stage};
use domain::message::{Attachment, Author, Content, Delivery, DeliveryState, Message};
use domain::plan::{ActionPlan, Step};
use domain::queue::Queue;
use jiff::Timestamp;

use crate::ports::{Commit, Committed, Conversation, Directory, Mark, Membership, Store, World};
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
}

/// The configuration that a decision needs.
pub(crate) struct Facts {
    pub(crate) queues: BTreeMap<QueueId, Queue>,
    pub(crate) running_plan: Option<ActionPlan>,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Tells an interaction `event`; `mark` makes that idempotent.
    ///
    /// # Errors
    /// When it is not there, a port fails or rivals win every attempt; calling again is safe.
    pub async fn tell(&self, key: &InteractionKey, event: Event, mark: Mark) -> Result<Told, EngineError> {
        self.change(key, &event, mark, Extra::default()).await
    }

    /// Sends a message of `agent`: written with state `queued`, in the same transaction as the interaction's change.
    ///
    /// # Errors
    /// As [`Engine::tell`].
    pub async fn send(&self, key: &InteractionKey, agent: AgentId, sending: Sending, mark: Mark) -> Result<Told, EngineError> {
        let event = Event::MessageSent { agent, message: sending.id.clone(), template: sending.content.is_template() };
        self.change(key, &event, mark, Extra { sending: Some(sending), ..Extra::default() }).await
    }

    pub(crate) async fn change(&self, key: &InteractionKey, event: &Event, mark: Mark, extra: Extra) -> Result<Told, EngineError> {
        let account_id = &key.conversation.account;
        let account = self.directory.account(account_id).await?.ok_or_else(|| EngineError::NoAccount(account_id.clone()))?;
        for attempt in 1..=ATTEMPTS {
            let now = self.world.now();
            let (before, last_inbound_at) = self.load(key, event).await?;
            let facts = self.facts(&account, Some(&before)).await?;
            let presences = match acting(event) {
                Some(agent) => self.store.presences(std::slice::from_ref(agent)).await?,
                None => BTreeMap::new(),
            };
            let context = Context {
                account: &account,
                running_plan: facts.running_plan.as_ref(),
                queues: &facts.queues,
                presence: presences.values().next(),
                last_inbound_at,
                now,
            };
            let decision = match decide::decide(&before, event.clone(), &context) {
                Ok(decision) => decision,
                Err(refusal) => return Ok(Told::Refused(refusal, Box::new(before))),
            };
            let after = decision.interaction.clone();
            let commit = self.commit_of(before, decision, event, &mark, &extra, now);
            let message = commit.message.as_ref().map(|(message, _)| Box::new(message.clone()));
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

    /// The interaction; only sending needs the conversation's head too.
    async fn load(&self, key: &InteractionKey, event: &Event) -> Result<(Interaction, Option<Timestamp>), EngineError> {
        if let Event::MessageSent { .. } = event {
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
        mark: &Mark,
        extra: &Extra,
        now: Timestamp,
    ) -> Commit {
        let message = extra.sending.as_ref().map(|sending| {
            let author = match event {
                Event::MessageSent { agent, .. } => Author::Agent { agent: agent.clone() },
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
                delivery: Some(Delivery { state: DeliveryState::Queued, since: now, error: None, attempts: 0 }),
            };
            (message, decision.message_effects.clone())
        });
        let membership = match event {
            Event::Accept { agent } if before.agent.as_ref() != Some(agent) => {
                Some(Membership { agent: agent.clone(), account: before.account.clone(), queue: decision.interaction.accepted_via.clone() })
            }
            _ => None,
        };
        Commit {
            before: Some(before),
            after: decision.interaction,
            effects: decision.effects,
            history: decision.history,
            message,
            contact: None,
            identity: None,
            last_inbound_at: None,
            mark: mark.clone(),
            membership,
            presence_revision: extra.presence_revision.clone(),
            cursor: extra.cursor.clone(),
            merged: None,
        }
    }

    /// The queues of the account's plan and of the interaction, and the plan that runs where it is an older one.
    pub(crate) async fn facts(&self, account: &Account, interaction: Option<&Interaction>) -> Result<Facts, EngineError> {
        let running = match interaction.and_then(|interaction| interaction.wait.as_ref()).map(|wait| &wait.stage) {
            Some(Stage::Step { plan, .. }) if *plan != account.plan.version => self.directory.plan(&account.id, *plan).await?,
            _ => None,
        };
        let of_plan = |plan: &ActionPlan| {
            let queues = plan.steps.iter().filter_map(|step| match step {
                Step::Queue { queue, .. } => Some(queue.clone()),
                Step::Agent { .. } => None,
            });
            queues.collect::<Vec<_>>()
        };
        let mut wanted = of_plan(&account.plan);
        wanted.extend(running.iter().flat_map(of_plan));
        if let Some(interaction) = interaction {
            wanted.extend(interaction.accepted_via.clone());
            wanted.extend(interaction.tried.iter().cloned());
        }
        let mut queues = BTreeMap::new();
        for id in wanted {
            if !queues.contains_key(&id)
                && let Some(queue) = self.directory.queue(&id).await?
            {
                queues.insert(id, queue);
            }
        }
        Ok(Facts { queues, running_plan: running })
    }
}

/// Whose presence a decision needs.
fn acting(event: &Event) -> Option<&AgentId> {
    match event {
        Event::Accept { agent } | Event::AgentUnavailable { agent } => Some(agent),
        Event::MessageReceived { .. }
        | Event::MessageSent { .. }
        | Event::Noted { .. }
        | Event::Absorb(_)
        | Event::MergeInto(_)
        | Event::Ring(_)
        | Event::Reject { .. }
        | Event::OpenTab { .. }
        | Event::CloseTab { .. }
        | Event::Close { .. }
        | Event::RequestTranscript { .. }
        | Event::Timer(_)
        | Event::AccountActivated => None,
    }
}
