//! Sends one message: check, claim, call, write down.

use std::future::Future;

use cloud::batch::Failure;
use cloud::secrets::SecretError;
use domain::account::{Account, Provider};
use domain::effect::MessageKey;
use domain::ids::AccountId;
use domain::message::{DeliveryError, DeliveryState, ErrorClass, Message};
use domain::values::Secret;
use engine::ports::{Directory, PortError, Store, World};
use engine::{Claim, Engine, EngineError, Sent};
use providers::twilio::{self, Outgoing};
use providers::{OutgoingRequest, SendOutcome, SendResult, TransportFailure};

use crate::decision;

/// How often the end of a call is written before it is given up: it is known now and never again, so once more than the SDK's own attempts.
const WRITES: u32 = 3;

/// The provider's API.
pub(crate) trait Api: Sync {
    /// Makes a request, once.
    fn call(&self, request: OutgoingRequest) -> impl Future<Output = Result<Answer, TransportFailure>> + Send;
}

/// What the provider answered.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) status: http::StatusCode,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// The accounts' credentials.
pub(crate) trait Tokens: Sync {
    /// The current one, perhaps a little old.
    fn get(&self, account: &AccountId) -> impl Future<Output = Result<Secret, SecretError>> + Send;
    /// Asked for again, or `None` when that was done a moment ago.
    fn refetch(&self, account: &AccountId) -> impl Future<Output = Result<Option<Secret>, SecretError>> + Send;
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Urls {
    /// The provider's API, without a slash at the end.
    pub(crate) api: String,
    /// This deployment as the outside sees it, without a slash at the end.
    pub(crate) public: String,
}

/// Sends messages.
pub(crate) struct Sender<S, D, W, A, T> {
    pub(crate) engine: Engine<S, D, W>,
    pub(crate) api: A,
    pub(crate) tokens: T,
    pub(crate) urls: Urls,
    /// Counts how a call or a check ended, by label.
    pub(crate) count: fn(&'static str),
}

/// Why a message could not be dealt with now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Secret(SecretError),
}

/// What a message needs to leave.
struct Prepared {
    account: Account,
    account_sid: String,
    token: Secret,
    to: domain::values::Address,
}

/// Why a message does not leave.
enum NotSent {
    /// For good.
    Never(DeliveryError),
    /// Something of ours failed before anything was claimed.
    Error(SendError),
}

impl<E: Into<SendError>> From<E> for NotSent {
    fn from(error: E) -> Self {
        NotSent::Error(error.into())
    }
}

impl From<SecretError> for NotSent {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Missing | SecretError::Malformed => NotSent::Never(refused()),
            // `Exists` is an answer to writing.
            SecretError::Call(_) | SecretError::Exists => NotSent::Error(SendError::Secret(error)),
        }
    }
}

fn refused() -> DeliveryError {
    DeliveryError { class: ErrorClass::Authentication, code: None }
}

fn of_class(class: ErrorClass) -> DeliveryError {
    DeliveryError { class, code: None }
}

impl<S: Store, D: Directory, W: World, A: Api, T: Tokens> Sender<S, D, W, A, T> {
    /// Deals with a message: afterwards it is sent, failed or in doubt, or comes back. `received` counts how often it came, from 1.
    pub(crate) async fn handle(&self, key: &MessageKey, received: u32) -> Result<(), Failure> {
        match self.send(key).await {
            Ok(None) => Ok(()),
            Ok(Some(seconds)) => Err(Failure::RetryAfter(seconds)),
            // Deleted in the meantime.
            Err(SendError::Engine(EngineError::NotFound)) => Ok(()),
            Err(error) => {
                tracing::error!(event = "send.error", message = %key.message, interaction = %key.interaction.interaction, %error);
                Err(Failure::RetryAfter(decision::own_wait(received)))
            }
        }
    }

    /// After how many seconds the message is tried again, if it is.
    async fn send(&self, key: &MessageKey) -> Result<Option<u32>, SendError> {
        let Some(message) = self.engine.store.message(key).await? else { return Ok(None) };
        let Some(before) = message.delivery.clone() else { return Ok(None) };
        // Everything that can fail without the provider fails before the claim: what a crash leaves claimed is in doubt.
        let prepared = match before.state {
            DeliveryState::Queued => match self.prepare(key, &message).await {
                Ok(prepared) => Some(prepared),
                Err(NotSent::Error(error)) => return Err(error),
                Err(NotSent::Never(error)) => return self.finish(key, &Sent::Failed { error }, None).await,
            },
            _ => None,
        };
        let claimed = self.engine.claim(key).await?;
        let (message, prepared) = match (claimed, prepared) {
            (Claim::Send(message), Some(prepared)) => (message, prepared),
            (Claim::Settled(state), _) => {
                tracing::info!(event = "send.settled", message = %key.message, ?state);
                return Ok(None);
            }
            // It went back to `queued` after we looked: certainly not sent.
            (Claim::Send(_), None) => return self.finish(key, &Sent::Later { error: of_class(ErrorClass::Temporary) }, Some(1)).await,
        };
        let result = self.call(key, &message, prepared).await;
        let (sent, wait) = decision::outcome(result, &before);
        self.finish(key, &sent, wait).await
    }

    async fn prepare(&self, key: &MessageKey, message: &Message) -> Result<Prepared, NotSent> {
        let conversation = &key.interaction.conversation;
        let head = self.engine.store.conversation(conversation).await?;
        if let Some(delivery) = &message.delivery {
            decision::may_send(delivery, head.last_inbound_at, self.engine.world.now()).map_err(NotSent::Never)?;
        }
        // Agents can't attach anything yet; what can't be sent whole isn't sent.
        if !message.attachments.is_empty() {
            return Err(NotSent::Never(of_class(ErrorClass::Media)));
        }
        let interaction = match head.open.filter(|open| open.id == key.interaction.interaction) {
            Some(open) => Some(open),
            None => self.engine.store.interaction(&key.interaction).await?,
        };
        let to = interaction.ok_or(EngineError::NotFound)?.address;
        let account = self.engine.directory.account(&conversation.account).await?;
        let account = account.ok_or(NotSent::Never(of_class(ErrorClass::Permanent)))?;
        let Provider::Twilio { account_sid } = &account.provider;
        let prepared =
            Prepared { account_sid: account_sid.clone(), token: self.token(&account.id).await?, to, account: Account::clone(&account) };
        self.render(key, message, &prepared).map_err(|error| NotSent::Never(error.delivery_error()))?;
        Ok(prepared)
    }

    /// A secret that is missing may have been written a moment ago.
    async fn token(&self, account: &AccountId) -> Result<Secret, SecretError> {
        match self.tokens.get(account).await {
            Err(error @ (SecretError::Missing | SecretError::Malformed)) => self.tokens.refetch(account).await?.ok_or(error),
            found => found,
        }
    }

    fn render(&self, key: &MessageKey, message: &Message, prepared: &Prepared) -> Result<OutgoingRequest, providers::RenderError> {
        let account = &prepared.account;
        let base = account.domain.as_ref().map_or_else(|| self.urls.public.clone(), |domain| format!("https://{domain}"));
        let callback = format!("{base}{}/status?ref={}", account.receive_path.reveal(), key.reference().0);
        twilio::render_send(&Outgoing {
            base_url: &self.urls.api,
            account_sid: &prepared.account_sid,
            auth_token: &prepared.token,
            from: &account.phone,
            to: &prepared.to,
            content: &message.content,
            media_urls: &[],
            status_callback: Some(&callback),
        })
    }

    /// Calls the provider; once more with a new secret when it refused an old one, for then it has certainly not taken the message.
    async fn call(&self, key: &MessageKey, message: &Message, mut prepared: Prepared) -> SendResult {
        let result = self.call_once(key, message, &prepared).await;
        if !matches!(&result, SendResult::Failed(error) if error.class == ErrorClass::Authentication) {
            return result;
        }
        match self.tokens.refetch(&prepared.account.id).await {
            Ok(Some(token)) if token != prepared.token => {
                prepared.token = token;
                self.call_once(key, message, &prepared).await
            }
            _ => result,
        }
    }

    async fn call_once(&self, key: &MessageKey, message: &Message, prepared: &Prepared) -> SendResult {
        let request = match self.render(key, message, prepared) {
            Ok(request) => request,
            Err(error) => return SendResult::Failed(error.delivery_error()),
        };
        match self.api.call(request).await {
            Ok(Answer { status, retry_after, body }) => {
                twilio::classify(&SendOutcome { status, retry_after: retry_after.as_deref(), body: &body })
            }
            Err(failure) => failure.result(),
        }
    }

    async fn finish(&self, key: &MessageKey, sent: &Sent, wait: Option<u32>) -> Result<Option<u32>, SendError> {
        let mut attempt = 1;
        let state = loop {
            match self.engine.sent(key, sent).await {
                Err(EngineError::Port(_) | EngineError::Busy) if attempt < WRITES => self.engine.world.pause(attempt).await,
                written => break written?,
            }
            attempt += 1;
        };
        let label = decision::label(sent);
        tracing::info!(event = "send.done", message = %key.message, interaction = %key.interaction.interaction, ?state, outcome = label, wait_seconds = wait);
        (self.count)(label);
        Ok(wait)
    }
}
