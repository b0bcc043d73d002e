//! Sends one message: checks it, claims it, calls the provider, and records the result.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use client::{Access, AccessError, Client, Http, Keys};
use cloud::aws::CallError;
use cloud::batch::Failure;
use cloud::secrets::SecretError;
use domain::account::Account;
use domain::effect::MessageKey;
use domain::ids::AccountId;
use domain::message::{Attachment, AttachmentKind, Copy, DeliveryError, DeliveryState, ErrorClass, Message};
use domain::values::Address;
use engine::jobs::SendJob;
use engine::ports::{Directory, PortError, Store, World};
use engine::{Claim, Engine, EngineError, Sent};
use jiff::{SignedDuration, Timestamp};
use providers::{Adapter, Outgoing, OutgoingAttachment, OutgoingRequest, RateScope, STATUS_SUFFIX, SendOutcome, SendResult};

use crate::outcome;

/// How often the result of a call is written before giving up. It is known now and never again, so it is tried more
/// often than the SDK does by itself.
const WRITES: u32 = 3;

/// Gives the provider access to files.
pub(crate) trait Files: Sync {
    /// A public address of an object that is valid for long enough.
    fn link(&self, key: &str) -> impl Future<Output = Result<String, CallError>> + Send;
}

/// Numbers whose provider asked for a pause, so that the messages of their other conversations don't find out one
/// by one. Each process knows only its own refusals. A pause that it doesn't know costs one refused call.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<AccountId, Timestamp>>);

impl Pauses {
    /// Holds back the account's messages until `until`.
    fn pause(&self, account: &AccountId, until: Timestamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(account.clone(), until);
    }

    /// The seconds that are left from `now`, at least one.
    fn left(&self, account: &AccountId, now: Timestamp) -> Option<u32> {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left = pauses.get(account)?.duration_since(now);
        if !left.is_positive() {
            pauses.remove(account);
            return None;
        }
        Some(u32::try_from((left.as_millis() + 999) / 1000).unwrap_or(u32::MAX))
    }
}

/// Sends messages.
pub(crate) struct Sender<S, D, W, H, K, F> {
    pub(crate) engine: Engine<S, D, W>,
    pub(crate) client: Client<H, K>,
    pub(crate) files: F,
    /// This deployment's public address, without a slash at the end.
    pub(crate) public_url: String,
    /// Numbers whose provider asked for a pause.
    pub(crate) pauses: Pauses,
    /// Counts how a call or a check ended, by label; with the provider if the account's credentials are missing or
    /// refused.
    pub(crate) count: fn(&'static str, Option<&str>),
}

/// Why a message could not be handled now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Access(AccessError),
    #[error(transparent)]
    File(CallError),
}

/// Everything that a message needs to leave.
struct Prepared {
    account: Arc<Account>,
    adapter: &'static dyn Adapter,
    access: Access,
    to: Address,
    /// The message's file, and its address for the provider.
    file: Option<(Attachment, String)>,
}

/// Why a message does not leave.
enum NotSent {
    /// It never leaves.
    Never(DeliveryError),
    /// Something of ours failed before the claim.
    Error(SendError),
}

impl<E: Into<SendError>> From<E> for NotSent {
    fn from(error: E) -> Self {
        NotSent::Error(error.into())
    }
}

impl From<AccessError> for NotSent {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Refused | AccessError::NoAdapter | AccessError::Secret(SecretError::Missing | SecretError::Malformed) => {
                NotSent::Never(of_class(ErrorClass::Authentication))
            }
            AccessError::Secret(SecretError::Call(_) | SecretError::Exists) | AccessError::Unreachable => {
                NotSent::Error(SendError::Access(error))
            }
        }
    }
}

fn of_class(class: ErrorClass) -> DeliveryError {
    DeliveryError { class, code: None }
}

impl<S: Store, D: Directory, W: World, H: Http, K: Keys, F: Files> Sender<S, D, W, H, K, F> {
    /// Handles a message. Afterwards it is sent, failed or in doubt, or it comes back. `received` counts how often
    /// it came, from 1.
    pub(crate) async fn handle(&self, job: &SendJob, received: u32) -> Result<(), Failure> {
        let key = &job.message;
        match self.send(job).await {
            Ok(None) => Ok(()),
            Ok(Some(seconds)) => Err(Failure::Wait(seconds)),
            // The message was deleted meanwhile.
            Err(SendError::Engine(EngineError::NotFound)) => Ok(()),
            Err(error) => {
                tracing::error!(event = "send.error", message = %key.message, interaction = %key.interaction.interaction, %error);
                Err(Failure::RetryAfter(outcome::own_wait(received)))
            }
        }
    }

    /// Sends a message. Returns the delay in seconds if it is to be tried again.
    async fn send(&self, job: &SendJob) -> Result<Option<u32>, SendError> {
        let key = &job.message;
        let Some(message) = self.engine.message_lately(key).await? else { return Ok(None) };
        let Some(before) = message.delivery.clone() else { return Ok(None) };
        if before.state == DeliveryState::Queued
            && let Some(seconds) = self.pauses.left(&key.interaction.conversation.account, self.engine.world.now())
        {
            return Ok(Some(seconds));
        }
        // Everything that can fail without the provider fails before the claim, because a crash after the claim
        // leaves the message in doubt.
        let prepared = match before.state {
            DeliveryState::Queued => match self.prepare(job, &message).await {
                Ok(prepared) => Some(prepared),
                Err(NotSent::Error(error)) => return Err(error),
                Err(NotSent::Never(error)) => return self.finish(key, None, &Sent::Failed { error }, None).await,
            },
            _ => None,
        };
        let claimed = self.engine.claim_known(key, Some(message)).await?;
        let (message, prepared) = match (claimed, prepared) {
            (Claim::Send(message), Some(prepared)) => (message, prepared),
            (Claim::Settled(state), _) => {
                tracing::info!(event = "send.settled", message = %key.message, ?state);
                return Ok(None);
            }
            // It went back to `queued` after it was read, so it was certainly not sent.
            (Claim::Send(message), None) => {
                let later = Sent::Later { error: of_class(ErrorClass::Temporary) };
                return self.finish(key, Some(&message), &later, Some(1)).await;
            }
        };
        let result = self.call(key, &message, prepared).await;
        let of_number = matches!(result, SendResult::RateLimited { scope: RateScope::Number, .. });
        let (sent, wait) = outcome::of(result, &before);
        if let Some(seconds) = wait.filter(|_| of_number) {
            let until = self.engine.world.now().saturating_add(SignedDuration::from_secs(i64::from(seconds))).unwrap_or(Timestamp::MAX);
            self.pauses.pause(&key.interaction.conversation.account, until);
        }
        self.finish(key, Some(&message), &sent, wait).await
    }

    /// Checks the window by what the job says, which was true when the message was written. The window's end never
    /// moves back, so the conversation is read only if that end is over.
    async fn prepare(&self, job: &SendJob, message: &Message) -> Result<Prepared, NotSent> {
        let key = &job.message;
        let conversation = &key.interaction.conversation;
        let delivery = message.delivery.as_ref().filter(|_| !message.content.is_template());
        let may_send = |heard_at| delivery.map_or(Ok(()), |delivery| outcome::may_send(delivery, heard_at, self.engine.world.now()));
        if may_send(job.heard_at).is_err() {
            let head = self.engine.store.conversation(conversation).await?;
            may_send(head.last_inbound_at).map_err(NotSent::Never)?;
        }
        let to = match &message.to {
            Some(to) => to.clone(),
            // The version before wrote the message.
            None => self.engine.store.interaction(&key.interaction).await?.ok_or(EngineError::NotFound)?.address,
        };
        let account = self.engine.directory.account(&conversation.account).await?;
        let account = account.ok_or(NotSent::Never(of_class(ErrorClass::Permanent)))?;
        let adapter = client::adapter(&account)?;
        let file = self.file(adapter, message).await?;
        let prepared = Prepared { adapter, access: self.client.access(&account).await?, to, file, account };
        self.render(key, message, &prepared).map_err(|error| NotSent::Never(error.delivery_error()))?;
        Ok(prepared)
    }

    /// The message's file with an address for it. A message that can't be sent whole isn't sent, nor one whose file
    /// the provider would refuse: the account's provider may be another than when the file was taken.
    async fn file(&self, adapter: &dyn Adapter, message: &Message) -> Result<Option<(Attachment, String)>, NotSent> {
        let unfit = || NotSent::Never(of_class(ErrorClass::Media));
        match message.attachments.as_slice() {
            [] => Ok(None),
            [attachment] => {
                let Copy::Stored { key, size, content_type, .. } = &attachment.copy else { return Err(unfit()) };
                if let Err(refusal) = providers::kind_of_file(adapter, content_type, *size) {
                    tracing::warn!(event = "send.file_refused", message = %message.id, %refusal);
                    return Err(unfit());
                }
                let url = self.files.link(key).await.map_err(|error| NotSent::Error(SendError::File(error)))?;
                Ok(Some((attachment.clone(), url)))
            }
            _ => Err(unfit()),
        }
    }

    fn render(&self, key: &MessageKey, message: &Message, prepared: &Prepared) -> Result<OutgoingRequest, providers::RenderError> {
        let account = &prepared.account;
        let base = account.domain.as_ref().map_or_else(|| self.public_url.clone(), |domain| format!("https://{domain}"));
        let reference = key.reference();
        let guard = prepared.adapter.receive_query(&account.provider);
        let guard = if guard.is_empty() { guard } else { format!("&{guard}") };
        let status_callback = format!("{base}{}{STATUS_SUFFIX}?ref={}{guard}", account.receive_path.reveal(), reference.0);
        let attachment = prepared.file.as_ref().map(|(attachment, url)| OutgoingAttachment {
            url,
            kind: attachment.kind.unwrap_or_else(|| AttachmentKind::of_type(&attachment.content_type)),
            content_type: &attachment.content_type,
            name: attachment.name.as_deref(),
        });
        let outgoing = Outgoing {
            to: &prepared.to,
            content: &message.content,
            attachment,
            reply_to: message.reply_to.as_deref(),
            reference: &reference,
            status_callback: &status_callback,
        };
        prepared.adapter.render_send(&prepared.access.connection(account, self.client.hosts()), &outgoing)
    }

    /// Calls the provider. If it refuses the credentials or the token, calls once more with new ones: the provider
    /// has certainly not accepted the message then.
    async fn call(&self, key: &MessageKey, message: &Message, mut prepared: Prepared) -> SendResult {
        let result = self.call_once(key, message, &prepared).await;
        if !matches!(&result, SendResult::Failed(error) if error.class == ErrorClass::Authentication) {
            return result;
        }
        match self.client.renew(&prepared.account, &prepared.access).await {
            Ok(Some(access)) => {
                prepared.access = access;
                self.call_once(key, message, &prepared).await
            }
            Ok(None) | Err(_) => result,
        }
    }

    async fn call_once(&self, key: &MessageKey, message: &Message, prepared: &Prepared) -> SendResult {
        let request = match self.render(key, message, prepared) {
            Ok(request) => request,
            Err(error) => return SendResult::Failed(error.delivery_error()),
        };
        match self.client.call(request).await {
            Ok(answer) => prepared.adapter.classify(&SendOutcome::of(&answer)),
            Err(failure) => failure.result(),
        }
    }

    /// The account whose credentials the message failed for, if it did.
    async fn refused_by(&self, key: &MessageKey, sent: &Sent) -> Option<Arc<Account>> {
        if !matches!(sent, Sent::Failed { error } if error.class == ErrorClass::Authentication) {
            return None;
        }
        let account = self.engine.directory.account(&key.interaction.conversation.account).await;
        account.ok().flatten()
    }

    async fn finish(&self, key: &MessageKey, claimed: Option<&Message>, sent: &Sent, wait: Option<u32>) -> Result<Option<u32>, SendError> {
        let mut attempt = 1;
        let state = loop {
            match self.engine.sent(key, claimed, sent).await {
                Err(EngineError::Port(_) | EngineError::Busy) if attempt < WRITES => self.engine.world.pause(attempt).await,
                written => break written?,
            }
            attempt += 1;
        };
        let label = outcome::label(sent);
        tracing::info!(event = "send.done", message = %key.message, interaction = %key.interaction.interaction, ?state, outcome = label, wait_seconds = wait);
        let refused_by = self.refused_by(key, sent).await;
        (self.count)(label, refused_by.as_deref().map(|account| account.provider.kind.as_str()));
        Ok(wait)
    }
}
