//! Changes of single messages: sends, and copies of attachments.

use domain::effect::{Effect, MessageKey, Notice};
use domain::ids::ClaimId;
use domain::language::Rendering;
use domain::message::{Content, Copy, Delivery, DeliveryError, DeliveryState, ErrorClass, Message};
use domain::pricing::priced;

use crate::ports::{Committed, Directory, MessageCommit, PortError, Store, World};
use crate::{ATTEMPTS, Engine, EngineError};

/// How many failed calls a claim survives. It may have been written, and only this attempt knows its id: in any later
/// one the message is in doubt. Each call was tried again by the client before it failed.
const UNANSWERED: u32 = 3;

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
    /// A message as it is, or was a moment ago, for a change that rests on its version. Whether there is one is
    /// certain.
    ///
    /// # Errors
    /// The store can't be read.
    pub async fn message_lately(&self, key: &MessageKey) -> Result<Option<Message>, PortError> {
        match self.store.message_lately(key).await? {
            Some(message) => Ok(Some(message)),
            None => self.store.message(key).await,
        }
    }

    /// Claims a message durably before the call to the provider, under an id of this attempt. If another attempt has
    /// claimed it, its sender died in the call: the message becomes `unknown`, and nothing is called again. An own
    /// claim whose answer was lost is found by its id.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again. A claim that
    /// was written nevertheless is another attempt's then.
    pub async fn claim(&self, key: &MessageKey) -> Result<Claim, EngineError> {
        self.claim_known(key, None).await
    }

    /// Like [`Engine::claim`], for a caller who has read the message, perhaps too early: then its version loses, and
    /// it is read again.
    ///
    /// # Errors
    /// The same as for [`Engine::claim`].
    pub async fn claim_known(&self, key: &MessageKey, mut known: Option<Message>) -> Result<Claim, EngineError> {
        let claim = ClaimId::from_ulid(self.world.ulid());
        let mut unanswered = 0;
        for attempt in 1..=ATTEMPTS {
            match self.try_claim(key, &claim, known.take()).await {
                Ok(Some(claimed)) => return Ok(claimed),
                Ok(None) => {}
                Err(EngineError::Port(error)) if unanswered < UNANSWERED => {
                    unanswered += 1;
                    tracing::info!(event = "engine.claim_unanswered", message = %key.message, %error);
                }
                Err(error) => return Err(error),
            }
            self.world.pause(attempt).await;
        }
        Err(EngineError::Busy)
    }

    /// `None` if the write met another one, which may be an own one.
    async fn try_claim(&self, key: &MessageKey, claim: &ClaimId, known: Option<Message>) -> Result<Option<Claim>, EngineError> {
        let stored = match known {
            Some(known) => Some(known),
            None => self.store.message(key).await?,
        };
        let before = stored.ok_or(EngineError::NotFound)?;
        let Some(delivery) = &before.delivery else { return Err(EngineError::NotFound) };
        let (state, error, own) = match delivery.state {
            DeliveryState::Queued => (DeliveryState::Sending, None, Some(claim.clone())),
            DeliveryState::Sending if delivery.claim.as_ref() == Some(claim) => return Ok(Some(Claim::Send(Box::new(before)))),
            DeliveryState::Sending => (DeliveryState::Unknown, Some(DeliveryError { class: ErrorClass::OutcomeUnknown, code: None }), None),
            settled => return Ok(Some(Claim::Settled(settled))),
        };
        let attempts = delivery.attempts;
        let after = delivered(&before, Delivery { state, since: self.world.now(), error, attempts, claim: own });
        Ok(match self.write_delivery(key, &before, after.clone()).await? {
            Committed::Done if state == DeliveryState::Sending => Some(Claim::Send(Box::new(after))),
            Committed::Done => Some(Claim::Settled(state)),
            _ => None,
        })
    }

    /// Writes the outcome of sending a message. `claimed` is the message as it was claimed for that; `None` if it
    /// failed before. A status that overtook the provider's answer stays. The provider's id is stored in any case, and
    /// before the outcome: a process that dies in between leaves a message that the provider's reports still find.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn sent(&self, key: &MessageKey, claimed: Option<&Message>, outcome: &Sent) -> Result<DeliveryState, EngineError> {
        let claim = claimed.and_then(|claimed| claimed.delivery.as_ref()?.claim.clone());
        let mut known = claimed.cloned();
        let mut indexed = false;
        for attempt in 1..=ATTEMPTS {
            let provider_id = match outcome {
                Sent::Accepted { provider_id } => Some(provider_id),
                Sent::Later { .. } | Sent::Failed { .. } | Sent::Unknown => None,
            };
            let stored = match known.take() {
                Some(claimed) => Some(claimed),
                None => self.store.message(key).await?,
            };
            let Some(before) = stored else {
                // It was deleted during the call to the provider, whose id must not lead to it.
                if let Some(provider_id) = provider_id {
                    self.store.forget_provider_id(key, provider_id).await?;
                }
                return Err(EngineError::NotFound);
            };
            let Some(delivery) = before.delivery.clone() else { return Err(EngineError::NotFound) };
            if let Some(provider_id) = provider_id.filter(|id| !indexed && before.provider_id.as_ref() != Some(*id)) {
                indexed = self.indexed(key, provider_id).await?;
                if !indexed {
                    self.world.pause(attempt).await;
                    continue;
                }
            }
            let ours = claim.is_some() && delivery.state == DeliveryState::Sending && delivery.claim == claim;
            let after = self.with_outcome(&before, &delivery, ours, outcome);
            if after == before {
                return Ok(delivery.state);
            }
            let reached = after.delivery.as_ref().map_or(delivery.state, |delivery| delivery.state);
            match self.write_delivery(key, &before, after).await? {
                Committed::Done => return Ok(reached),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// The message after an outcome. Nothing moves it back but its own attempt (`ours`).
    fn with_outcome(&self, before: &Message, delivery: &Delivery, ours: bool, outcome: &Sent) -> Message {
        let unknown = DeliveryError { class: ErrorClass::OutcomeUnknown, code: None };
        let (state, error, attempts) = match outcome {
            Sent::Accepted { .. } => (DeliveryState::Accepted, None, delivery.attempts),
            // Going back to `queued` is not a step backwards for the customer: nothing was sent.
            Sent::Later { error } => (DeliveryState::Queued, Some(error.clone()), delivery.attempts + 1),
            Sent::Failed { error } => (DeliveryState::Failed, Some(error.clone()), delivery.attempts),
            Sent::Unknown => (DeliveryState::Unknown, Some(unknown), delivery.attempts),
        };
        let moves = ours || (delivery.state.moves_to(state) && state != DeliveryState::Queued);
        let mut after = before.clone();
        if moves {
            after = delivered(before, Delivery { state, since: self.world.now(), error, attempts, claim: None });
        }
        if let (Sent::Accepted { provider_id }, None) = (outcome, &before.provider_id) {
            after.provider_id = Some(provider_id.clone());
            after.version = before.version + 1;
        }
        after
    }

    /// Lets a provider's id lead to a message. False if another write of it is under way.
    pub(crate) async fn indexed(&self, key: &MessageKey, provider_id: &str) -> Result<bool, EngineError> {
        Ok(match self.store.index_provider_id(key, provider_id).await? {
            Committed::Conflict => false,
            Committed::AlreadyDone => {
                // No provider uses an id twice. If the business's own app told of the message first, its line stays.
                tracing::warn!(event = "engine.provider_id_taken", message = %key.message, interaction = %key.interaction.interaction);
                true
            }
            _ => true,
        })
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
            let effects = self.changed_in_thread(key).await?.ok_or(EngineError::NotFound)?;
            match self.store.commit_message(MessageCommit::of(key, before.version, after, effects)).await? {
                Committed::Done => return Ok(()),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// Keeps the translation of a message, unless its contents are no longer `of`: then it translates what is
    /// no longer there. Returns the message as it is now. A closed interaction's archive is made again if it is the
    /// `last` of several: an archive may hold 100 MB of files.
    ///
    /// # Errors
    /// The message does not exist, a port fails, or rivals win every attempt. It is safe to call again.
    pub async fn translated(&self, key: &MessageKey, of: &Content, translation: &Rendering, last: bool) -> Result<Message, EngineError> {
        for attempt in 1..=ATTEMPTS {
            let before = self.store.message(key).await?.ok_or(EngineError::NotFound)?;
            if before.content != *of || before.translation.as_ref() == Some(translation) {
                return Ok(before);
            }
            let after = Message { version: before.version + 1, translation: Some(translation.clone()), ..before.clone() };
            let mut effects = self.changed_in_thread(key).await?.ok_or(EngineError::NotFound)?;
            effects.retain(|effect| last || *effect != Effect::Archive);
            match self.store.commit_message(MessageCommit::of(key, before.version, after.clone(), effects)).await? {
                Committed::Done => return Ok(after),
                _ => self.world.pause(attempt).await,
            }
        }
        Err(EngineError::Busy)
    }

    /// The effects of a change of a message's contents: the agent with the thread sees it, and a closed
    /// interaction's archive is made again. `None` if the interaction was deleted.
    pub(crate) async fn changed_in_thread(&self, key: &MessageKey) -> Result<Option<Vec<Effect>>, EngineError> {
        let Some(own) = self.store.interaction(&key.interaction).await? else { return Ok(None) };
        let archive = (!own.is_open()).then_some(Effect::Archive);
        Ok(Some(archive.into_iter().chain([TOLD]).collect()))
    }

    /// Writes a delivery state: one plain write, which its version guards. Reports count a message once it has reached
    /// the customer, and again, in place of that, if more of its price is known.
    pub(crate) async fn write_delivery(&self, key: &MessageKey, before: &Message, after: Message) -> Result<Committed, EngineError> {
        let state = |message: &Message| message.delivery.as_ref().map(|delivery| delivery.state);
        let is_news = state(&after).is_some_and(|reached| reached.is_news(state(before)));
        let mut effects = if is_news { vec![TOLD] } else { Vec::new() };
        if priced(&after) != priced(before) {
            effects.push(Effect::Report);
        }
        Ok(self.store.commit_message(MessageCommit::of(key, before.version, after, effects)).await?)
    }
}

/// The agent with the thread sees the change, and so does whoever watches it.
const TOLD: Effect = Effect::TellHolder { notice: Notice::MessageState };

fn delivered(before: &Message, delivery: Delivery) -> Message {
    Message { version: before.version + 1, delivery: Some(delivery), ..before.clone() }
}
