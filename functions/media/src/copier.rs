//! Copies one attachment: fetch, look, store, write down.

use std::future::Future;

use cloud::aws::CallError;
use cloud::batch::Failure;
use cloud::egress::{Credentials, EgressError, Fetched, Origin};
use cloud::secrets::SecretError;
use domain::account::Provider;
use domain::ids::AccountId;
use domain::message::{Attachment, Copy};
use domain::values::Secret;
use engine::jobs::MediaJob;
use engine::ports::{Directory, PortError, Store, World};
use engine::{Engine, EngineError};
use providers::{Authorization, twilio};

use crate::content;

/// Seconds before each further try. Twilio may answer 404 for some seconds after the webhook; an outage is mostly over in 20 minutes.
const WAITS: [u32; 4] = [5, 60, 300, 900];

/// Beyond the tries only our own table can have failed.
const LONGEST_WAIT: u32 = 900;

/// Tries at a copy. The last one writes why there is none, so that nothing ends in the dead-letter queue unseen: the queue must allow at least as many.
pub(crate) const TRIES: u32 = WAITS.len() as u32 + 1;

/// What strangers' addresses are fetched with.
pub(crate) trait Source: Sync {
    /// Gets an address.
    fn get(&self, url: &str, credentials: Option<&Credentials>, limit: u64) -> impl Future<Output = Result<Fetched, EgressError>> + Send;
}

/// Where copies go.
pub(crate) trait Bucket: Sync {
    /// Writes an object, in place of one with the same key.
    fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// The accounts' credentials.
pub(crate) trait Tokens: Sync {
    /// The current one, perhaps a little old.
    fn get(&self, account: &AccountId) -> impl Future<Output = Result<Secret, SecretError>> + Send;
    /// Asked for again, or `None` when that was done a moment ago.
    fn refetch(&self, account: &AccountId) -> impl Future<Output = Result<Option<Secret>, SecretError>> + Send;
}

/// Copies attachments.
pub(crate) struct Copier<S, D, W, F, B, T> {
    pub(crate) engine: Engine<S, D, W>,
    pub(crate) source: F,
    pub(crate) bucket: B,
    pub(crate) tokens: T,
    /// The provider's API, without a slash at the end.
    pub(crate) api_url: String,
    /// Counts how a try ended, by label.
    pub(crate) count: fn(&'static str),
}

/// Why there is no copy yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
struct NoCopy {
    /// In words for the agent.
    reason: String,
    /// Whether it may pass.
    passing: bool,
}

impl NoCopy {
    fn passing(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: true }
    }

    fn lasting(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), passing: false }
    }
}

impl From<EgressError> for NoCopy {
    fn from(error: EgressError) -> Self {
        match error {
            EgressError::NoAnswer => NoCopy::passing("the provider did not answer"),
            EgressError::Refused(why) => NoCopy::lasting(format!("the file's address is refused: {why}")),
            EgressError::TooManyRedirects => NoCopy::lasting("the file's address redirects too often"),
            EgressError::TooLarge { limit } => {
                NoCopy::lasting(format!("the file is larger than WhatsApp allows ({})", content::readable(limit)))
            }
        }
    }
}

impl From<SecretError> for NoCopy {
    fn from(error: SecretError) -> Self {
        match error {
            // Perhaps it is being written.
            SecretError::Missing | SecretError::Malformed => NoCopy::passing("the account has no credentials"),
            SecretError::Call(_) | SecretError::Exists => NoCopy::passing("the account's credentials could not be read"),
        }
    }
}

/// What a status other than success means for the file. Source: Twilio gives files for as long as they are not deleted, and is known to answer 404 for a
/// short time after the webhook.
fn check(fetched: Fetched) -> Result<Fetched, NoCopy> {
    match fetched.status.as_u16() {
        200 => Ok(fetched),
        401 | 403 => Err(NoCopy::lasting("the provider refused the account's credentials")),
        404 => Err(NoCopy::passing("the provider does not have the file")),
        410 => Err(NoCopy::lasting("the provider no longer has the file")),
        status @ (408 | 425 | 429 | 500..=599) => Err(NoCopy::passing(format!("the provider could not deliver the file ({status})"))),
        status => Err(NoCopy::lasting(format!("the provider does not deliver the file ({status})"))),
    }
}

impl<S: Store, D: Directory, W: World, F: Source, B: Bucket, T: Tokens> Copier<S, D, W, F, B, T> {
    /// Deals with an attachment: afterwards it is copied, or given up with a reason, or comes back. `received` counts the tries, from 1.
    pub(crate) async fn handle(&self, job: &MediaJob, received: u32) -> Result<(), Failure> {
        let (label, result) = match self.settle(job, received).await {
            Ok(label) => (label, Ok(())),
            Err(Unsettled::Later(no_copy)) => {
                let wait = wait(received);
                tracing::warn!(event = "media.later", message = %job.message.message, index = job.index, wait_seconds = wait, reason = %no_copy);
                ("later", Err(Failure::RetryAfter(wait)))
            }
            Err(Unsettled::Engine(EngineError::NotFound)) => ("gone", Ok(())),
            Err(Unsettled::Engine(error)) => {
                tracing::error!(event = "media.error", message = %job.message.message, index = job.index, %error);
                ("error", Err(Failure::RetryAfter(wait(received))))
            }
        };
        (self.count)(label);
        result
    }

    async fn settle(&self, job: &MediaJob, received: u32) -> Result<&'static str, Unsettled> {
        let message = self.engine.store.message(&job.message).await?.ok_or(EngineError::NotFound)?;
        let attachment = message.attachments.get(job.index).ok_or(EngineError::NotFound)?;
        if attachment.copy != Copy::Pending {
            return Ok("done");
        }
        let (copy, label) = match self.copy(job, attachment).await {
            Ok(copy) => (copy, "stored"),
            Err(no_copy) if no_copy.passing && received < TRIES => return Err(Unsettled::Later(no_copy)),
            Err(no_copy) => {
                tracing::warn!(event = "media.failed", message = %job.message.message, index = job.index, received, reason = %no_copy);
                (Copy::Failed { reason: no_copy.reason }, "failed")
            }
        };
        self.engine.copied(&job.message, job.index, &copy).await?;
        Ok(label)
    }

    async fn copy(&self, job: &MediaJob, attachment: &Attachment) -> Result<Copy, NoCopy> {
        let fetched = self.fetch(&job.message.interaction.conversation.account, attachment).await?;
        let fetched = check(fetched)?;
        let content_type = content::stored_type(&attachment.content_type, &fetched.bytes);
        let content_type = content_type.map_err(|unfit| NoCopy::lasting(unfit.to_string()))?;
        let (key, size) = (key(job), fetched.bytes.len() as u64);
        let stored = self.bucket.put(&key, fetched.bytes, &content_type).await;
        stored.map_err(|error| {
            tracing::error!(event = "media.not_stored", message = %job.message.message, index = job.index, %error);
            NoCopy::passing("the copy could not be stored")
        })?;
        Ok(Copy::Stored { key, size, content_type })
    }

    /// Once more with a new secret when the provider refused an old one.
    async fn fetch(&self, account: &AccountId, attachment: &Attachment) -> Result<Fetched, NoCopy> {
        let unread = |_: PortError| NoCopy::passing("the account could not be read");
        let found = self.engine.directory.account(account).await.map_err(unread)?;
        let found = found.ok_or_else(|| NoCopy::lasting("the account no longer exists"))?;
        let Provider::Twilio { account_sid } = &found.provider;
        let token = self.tokens.get(account).await?;
        let fetched = self.get(account_sid, &token, attachment).await?;
        if !matches!(fetched.status.as_u16(), 401 | 403) {
            return Ok(fetched);
        }
        match self.tokens.refetch(account).await? {
            Some(fresh) if fresh != token => self.get(account_sid, &fresh, attachment).await,
            _ => Ok(fetched),
        }
    }

    async fn get(&self, account_sid: &str, token: &Secret, attachment: &Attachment) -> Result<Fetched, NoCopy> {
        let request = twilio::media_request(&self.api_url, account_sid, token, &attachment.source);
        let request = request.map_err(|_| NoCopy::lasting("the file has no web address"))?;
        let credentials = match request.authorization {
            Authorization::None => None,
            Authorization::Basic { user, password } => request.url.parse::<Origin>().ok().map(|to| Credentials { user, password, to }),
        };
        let limit = content::limit(&attachment.content_type);
        Ok(self.source.get(&request.url, credentials.as_ref(), limit).await?)
    }
}

/// Before the try that follows the try `received`.
fn wait(received: u32) -> u32 {
    WAITS.get(received.saturating_sub(1) as usize).copied().unwrap_or(LONGEST_WAIT)
}

/// Why a job is not done.
enum Unsettled {
    Later(NoCopy),
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Unsettled {
    fn from(error: E) -> Self {
        Unsettled::Engine(error.into())
    }
}

/// The object that a copy is: by its place, so that a repetition overwrites itself.
fn key(job: &MediaJob) -> String {
    let place = &job.message;
    format!("media/{}/{}/{}/{}", place.interaction.conversation.account, place.interaction.interaction, place.message, job.index)
}
