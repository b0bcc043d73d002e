//! Changes of single messages: sends, and copies of attachments.

use domain::effect::{Audience, Effect, MessageKey, Notice};
use domain::interaction::Interaction;
use domain::message::{Copy, Delivery, DeliveryError, DeliveryState, ErrorClass, Message};

use crate::ports::{Committed, Directory, MessageCommit, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// The result of a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The message is ours to send, now and only now.
    Send(Box<Message>),
    /// It was sent, failed or is in doubt already: call nothing.
    Settled(DeliveryState),
}

/// The outcome of a send.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    /// The provider accepted the message.
    Accepted {
        /// The provider's id.
        provider_id: String,
    },
    /// It was certainly not sent and may be tried again.
    Later {
        /// Why.
        error: DeliveryError,
    },
    /// It will not be sent.
    Failed {
        /// Why.
        error: DeliveryError,
    },
    /// Nobody knows whether it was sent.
    Unknown,
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Claims a message durably before the call to the provider. If it is claimed already, its sender died in the
    /// call: the message becomes `unknown`, and nothing is called again.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn claim(&self, key: &MessageKey) -> Result<Claim, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let before = self.store.message(key).await?.ok_or(EngineError::NotFound)?;
            let Some(delivery) = before.delivery.clone() else { return Err(EngineError::NotFound) };
            let (state, error) = match delivery.state {
                DeliveryState::Queued => (DeliveryState::Sending, None),
                DeliveryState::Sending => (DeliveryState::Unknown, Some(DeliveryError { class: ErrorClass::OutcomeUnknown, code: None })),
                settled => return Ok(Claim::Settled(settled)),
            };
            let after = self.delivered(&before, Delivery { state, since: self.world.now(), error, attempts: delivery.attempts });
            match self.write(key, &before, after.clone(), false).await? {
                Committed::Done if state == DeliveryState::Sending => return Ok(Claim::Send(Box::new(after))),
                Committed::Done => return Ok(Claim::Settled(state)),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Writes the outcome of sending a claimed message. A status that overtook the provider's answer stays. The
    /// provider's id is stored in any case.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn sent(&self, key: &MessageKey, outcome: &Sent) -> Result<DeliveryState, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let before = self.store.message(key).await?.ok_or(EngineError::NotFound)?;
            let Some(delivery) = before.delivery.clone() else { return Err(EngineError::NotFound) };
            let unknown = DeliveryError { class: ErrorClass::OutcomeUnknown, code: None };
            let (state, error, attempts) = match outcome {
                Sent::Accepted { .. } => (DeliveryState::Accepted, None, delivery.attempts),
                // Going back to `queued` is not a step backwards for the customer: nothing was sent.
                Sent::Later { error } => (DeliveryState::Queued, Some(error.clone()), delivery.attempts + 1),
                Sent::Failed { error } => (DeliveryState::Failed, Some(error.clone()), delivery.attempts),
                Sent::Unknown => (DeliveryState::Unknown, Some(unknown), delivery.attempts),
            };
            let ours = delivery.state == DeliveryState::Sending;
            let moves = ours || (delivery.state.moves_to(state) && state != DeliveryState::Queued);
            let since = self.world.now();
            let mut after = if moves { self.delivered(&before, Delivery { state, since, error, attempts }) } else { before.clone() };
            let mut index = false;
            if let Sent::Accepted { provider_id } = outcome
                && before.provider_id.is_none()
            {
                after.provider_id = Some(provider_id.clone());
                after.version = before.version + 1;
                index = true;
            }
            if after == before {
                return Ok(delivery.state);
            }
            let reached = after.delivery.as_ref().map_or(delivery.state, |delivery| delivery.state);
            match self.write(key, &before, after, index).await? {
                Committed::Done => return Ok(reached),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Writes the result of copying an attachment. After the last one of a closed interaction, its archive is made
    /// again.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn copied(&self, key: &MessageKey, index: usize, copy: &Copy) -> Result<(), EngineError> {
        for attempt in 1..=ATTEMPTS {
            let before = self.store.message(key).await?.ok_or(EngineError::NotFound)?;
            let mut after = before.clone();
            after.version += 1;
            let attachment = after.attachments.get_mut(index).ok_or(EngineError::NotFound)?;
            if attachment.copy != Copy::Pending {
                return Ok(());
            }
            attachment.copy = copy.clone();
            let effects = self.changed_in_thread(key).await?;
            match self.store.commit_message(MessageCommit::of(key, before.version, after, effects)).await? {
                Committed::Done => return Ok(()),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// The effects of a change of a message's contents: the agent with the thread sees it, and a closed
    /// interaction's archive is made again.
    pub(crate) async fn changed_in_thread(&self, key: &MessageKey) -> Result<Vec<Effect>, EngineError> {
        let own = self.store.interaction(&key.interaction).await?.ok_or(EngineError::NotFound)?;
        let archive = (!own.is_open()).then_some(Effect::Archive);
        Ok(archive.into_iter().chain(self.told_of_thread(own).await?).collect())
    }

    /// The effects of a new delivery state: the agent with the thread sees it.
    pub(crate) async fn seen_in_thread(&self, key: &MessageKey) -> Result<Vec<Effect>, EngineError> {
        let own = self.store.interaction(&key.interaction).await?.ok_or(EngineError::NotFound)?;
        Ok(self.told_of_thread(own).await?.into_iter().collect())
    }

    /// Tells the agent who has the interaction now, also if it was merged into another. The agent who wrote the
    /// message may no longer be on the account.
    async fn told_of_thread(&self, mut living: Interaction) -> Result<Option<Effect>, EngineError> {
        // Mergers lead to ever older interactions, so the loop ends.
        while let Some(into) = living.merged_into.take() {
            living = self.store.interaction(&into).await?.ok_or(EngineError::NotFound)?;
        }
        Ok(living.agent.map(|agent| Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::MessageState }))
    }

    fn delivered(&self, before: &Message, delivery: Delivery) -> Message {
        Message { version: before.version + 1, delivery: Some(delivery), ..before.clone() }
    }

    async fn write(&self, key: &MessageKey, before: &Message, after: Message, index: bool) -> Result<Committed, EngineError> {
        let state_before = before.delivery.as_ref().map(|delivery| delivery.state);
        let effects = match &after.delivery {
            Some(delivery) if delivery.state.is_news(state_before) => self.seen_in_thread(key).await?,
            _ => Vec::new(),
        };
        let commit = MessageCommit { index_provider_id: index, ..MessageCommit::of(key, before.version, after, effects) };
        Ok(self.store.commit_message(commit).await?)
    }
}
