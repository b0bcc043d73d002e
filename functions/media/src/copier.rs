//! Copies one attachment: fetches it, checks it, stores it, and records the result.

use std::future::Future;
use std::time::Duration;

use client::{Access, AccessError, Client, Http, Keys};
use cloud::aws::CallError;
use cloud::batch::Failure;
use cloud::egress::{self, Credentials, EgressError, Fetched, Origin};
use cloud::secrets::SecretError;
use domain::account::Account;
use domain::message::{Attachment, Copy, Message, thumbnail_key};
use engine::jobs::MediaJob;
use engine::ports::{Directory, Store, World};
use engine::{Engine, EngineError};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use providers::{Answer, Authorization, MediaStep, OutgoingRequest, TransportFailure};

use crate::content;
use crate::thumbnail::{self, Thumbnail};

/// The delays before the second and the next tries, in seconds. A provider may answer 404 for some seconds after
/// the webhook; an outage is mostly over in 20 minutes.
const WAITS: [u32; 6] = [5, 60, 300, 900, 3_600, 3 * 3_600];

/// The delay between later tries, in seconds. SQS hides a message for 12 hours at most, and part of that may be
/// used up.
const LONGEST_WAIT: u32 = 6 * 3_600;

/// How long a copy is tried if the provider keeps the file for longer. SQS keeps the job for 14 days. With a try
/// every 6 hours it is received about 35 times, which the queue's redrive policy must allow.
const LONGEST_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How often a file whose hash differs from the declared one is fetched. After that it is stored as it came: a
/// customer's file with a wrong hash is better than none.
const HASH_TRIES: u32 = 3;

/// How often a picture is made small. A try that dies of it, against all bounds, comes again; after that the picture
/// is stored alone.
const THUMBNAIL_TRIES: u32 = 3;

/// Fetches addresses that strangers chose.
pub(crate) trait Source: Sync {
    /// Fetches an address.
    fn get(&self, url: &str, credentials: Option<&Credentials>, limit: u64) -> impl Future<Output = Result<Fetched, EgressError>> + Send;
}

/// The store of the copies.
pub(crate) trait Bucket: Sync {
    /// Writes an object, and replaces one with the same key.
    fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> impl Future<Output = Result<(), CallError>> + Send;
    /// Deletes an object. An absent one is a success.
    fn delete(&self, key: &str) -> impl Future<Output = Result<(), CallError>> + Send;
}

/// Copies attachments.
pub(crate) struct Copier<S, D, W, H, K, F, B> {
    pub(crate) engine: Engine<S, D, W>,
    pub(crate) client: Client<H, K>,
    pub(crate) source: F,
    pub(crate) bucket: B,
    /// Counts how a try ended, by label.
    pub(crate) count: fn(&'static str),
}

/// Why there is no copy yet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
struct NoCopy {
    /// The reason in words, for the agent.
    reason: String,
    /// Whether a later try may succeed.
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

impl From<AccessError> for NoCopy {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NoAdapter => NoCopy::lasting("the account's provider is not known here"),
            AccessError::Refused => NoCopy::passing("the provider refused the account's credentials"),
            AccessError::Unreachable => NoCopy::passing("the provider did not answer"),
            // Somebody may be writing them just now.
            AccessError::Secret(SecretError::Missing | SecretError::Malformed) => NoCopy::passing("the account has no credentials"),
            AccessError::Secret(SecretError::Call(_) | SecretError::Exists) => {
                NoCopy::passing("the account's credentials could not be read")
            }
        }
    }
}

impl From<TransportFailure> for NoCopy {
    fn from(_: TransportFailure) -> Self {
        NoCopy::passing("the provider did not answer")
    }
}

/// Reads a status other than success, of the request for the address or for the file itself. Twilio is known to
/// answer 404 for a short time after the webhook. Meta's address of a file is valid for 5 minutes; the next try
/// gets a new one.
fn check(status: StatusCode) -> Result<(), NoCopy> {
    match status.as_u16() {
        200 => Ok(()),
        // Somebody may be replacing them. The file is still there when the new ones are.
        401 | 403 => Err(NoCopy::passing("the provider refused the account's credentials")),
        404 => Err(NoCopy::passing("the provider does not have the file")),
        410 => Err(NoCopy::lasting("the provider no longer has the file")),
        status @ (408 | 425 | 429 | 500..=599) => Err(NoCopy::passing(format!("the provider could not deliver the file ({status})"))),
        status => Err(NoCopy::lasting(format!("the provider does not deliver the file ({status})"))),
    }
}

impl<S: Store, D: Directory, W: World, H: Http, K: Keys, F: Source, B: Bucket> Copier<S, D, W, H, K, F, B> {
    /// Handles an attachment. Afterwards it is copied, given up with a reason, or it comes back. `received` counts
    /// the tries, from 1.
    pub(crate) async fn handle(&self, job: &MediaJob, received: u32) -> Result<(), Failure> {
        let (label, result) = match self.settle(job, received).await {
            Ok(label) => (label, Ok(())),
            Err(Unsettled::Later(no_copy)) => {
                let wait = wait(received);
                tracing::warn!(event = "media.later", message = %job.message.message, index = job.index, wait_seconds = wait, reason = %no_copy);
                ("later", Err(Failure::RetryAfter(wait)))
            }
            // The message was deleted meanwhile. This attempt or an earlier one may have stored a copy.
            Err(Unsettled::Engine(EngineError::NotFound)) => match self.delete(&key(job)).await {
                Ok(()) => ("gone", Ok(())),
                Err(error) => {
                    tracing::error!(event = "media.not_deleted", message = %job.message.message, index = job.index, %error);
                    ("error", Err(Failure::RetryAfter(wait(received))))
                }
            },
            Err(Unsettled::Engine(error)) => {
                tracing::error!(event = "media.error", message = %job.message.message, index = job.index, %error);
                ("error", Err(Failure::RetryAfter(wait(received))))
            }
        };
        (self.count)(label);
        result
    }

    /// Deletes a copy and its thumbnail.
    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.bucket.delete(key).await?;
        self.bucket.delete(&thumbnail_key(key)).await
    }

    async fn settle(&self, job: &MediaJob, received: u32) -> Result<&'static str, Unsettled> {
        let message = self.engine.store.message(&job.message).await?.ok_or(EngineError::NotFound)?;
        let attachment = message.attachments.get(job.index).ok_or(EngineError::NotFound)?;
        if attachment.copy != Copy::Pending {
            return Ok("done");
        }
        let account = self.engine.directory.account(&job.message.interaction.conversation.account).await?;
        let (copy, label) = match self.copy(job, account.as_deref(), attachment, received).await {
            Ok(copy) => (copy, "stored"),
            Err(no_copy) if no_copy.passing && self.may_come_back(account.as_deref(), &message, received) => {
                return Err(Unsettled::Later(no_copy));
            }
            Err(no_copy) => {
                tracing::warn!(event = "media.failed", message = %job.message.message, index = job.index, received, reason = %no_copy);
                (Copy::Failed { reason: no_copy.reason }, "failed")
            }
        };
        self.engine.copied(&job.message, job.index, &copy).await?;
        Ok(label)
    }

    /// Whether the provider will still have the file at the next try.
    fn may_come_back(&self, account: Option<&Account>, message: &Message, received: u32) -> bool {
        let kept = account.and_then(|account| client::adapter(account).ok()).map_or(Duration::ZERO, |adapter| adapter.media_kept());
        let kept = SignedDuration::try_from(kept).unwrap_or(LONGEST_KEPT).min(LONGEST_KEPT);
        let next = SignedDuration::from_secs(i64::from(wait(received)));
        let end = message.at.saturating_add(kept).unwrap_or(Timestamp::MAX);
        self.engine.world.now().saturating_add(next).is_ok_and(|next| next < end)
    }

    async fn copy(&self, job: &MediaJob, account: Option<&Account>, attachment: &Attachment, received: u32) -> Result<Copy, NoCopy> {
        let account = account.ok_or_else(|| NoCopy::lasting("the account no longer exists"))?;
        let fetched = self.fetch(account, attachment).await?;
        check(fetched.status)?;
        let content_type = content::stored_type(&attachment.content_type, &fetched.bytes);
        let content_type = content_type.map_err(|unfit| NoCopy::lasting(unfit.to_string()))?;
        if attachment.sha256.as_ref().is_some_and(|declared| *declared != providers::fingerprint(&fetched.bytes)) {
            if received < HASH_TRIES {
                return Err(NoCopy::passing("the file came damaged"));
            }
            tracing::warn!(event = "media.hash_differs", message = %job.message.message, index = job.index);
        }
        let (key, size) = (key(job), fetched.bytes.len() as u64);
        let measures = measures::measure(&content_type, &fetched.bytes);
        let (bytes, small) = if received <= THUMBNAIL_TRIES { shrunk(&content_type, fetched.bytes).await? } else { (fetched.bytes, None) };
        let stored = self.bucket.put(&key, bytes, &content_type).await;
        stored.map_err(|error| {
            tracing::error!(event = "media.not_stored", message = %job.message.message, index = job.index, %error);
            NoCopy::passing("the copy could not be stored")
        })?;
        let thumbnail = match small {
            Some(small) => self.put_thumbnail(job, &key, small).await,
            None => false,
        };
        Ok(Copy::Stored { key, size, content_type, measures, thumbnail })
    }

    /// Stores a thumbnail beside its file. False if it can't be stored: the message does without then.
    async fn put_thumbnail(&self, job: &MediaJob, key: &str, small: Thumbnail) -> bool {
        let stored = self.bucket.put(&thumbnail_key(key), small.bytes, small.content_type).await;
        if let Err(error) = &stored {
            tracing::warn!(event = "media.no_thumbnail", message = %job.message.message, index = job.index, %error);
        }
        stored.is_ok()
    }

    /// Fetches the file, once more with new credentials if the provider refused the old ones.
    async fn fetch(&self, account: &Account, attachment: &Attachment) -> Result<Fetched, NoCopy> {
        let access = self.client.access(account).await?;
        match self.get(account, &access, attachment).await? {
            Got::File(fetched) => Ok(fetched),
            Got::Refused(status) => match self.client.renew(account, &access).await? {
                Some(other) => match self.get(account, &other, attachment).await? {
                    Got::File(fetched) => Ok(fetched),
                    Got::Refused(status) => Err(refused(status)),
                },
                None => Err(refused(status)),
            },
        }
    }

    async fn get(&self, account: &Account, access: &Access, attachment: &Attachment) -> Result<Got, NoCopy> {
        let adapter = client::adapter(account)?;
        let connection = access.connection(account, self.client.hosts());
        let no_address = |_| NoCopy::lasting("the file has no web address");
        let request = match adapter.media(&connection, &attachment.source, None).map_err(no_address)? {
            MediaStep::Fetch(request) => request,
            MediaStep::Resolve(request) => {
                let Answer { status, body, .. } = self.client.call(request).await?;
                if is_refusal(status) {
                    return Ok(Got::Refused(status));
                }
                check(status)?;
                match adapter.media(&connection, &attachment.source, Some(&body)).map_err(no_address)? {
                    MediaStep::Fetch(request) => request,
                    MediaStep::Resolve(_) => return Err(NoCopy::passing("the provider does not say where the file is")),
                }
            }
        };
        let OutgoingRequest { url, authorization, .. } = request;
        let secret = match authorization {
            Authorization::Basic { user, password } => Some(egress::Authorization::Basic { user, password }),
            Authorization::Bearer(token) => Some(egress::Authorization::Bearer(token)),
            // No provider wants its own header for files.
            Authorization::None | Authorization::Header { .. } => None,
        };
        let credentials = secret.and_then(|secret| Some(Credentials { secret, to: url.parse::<Origin>().ok()? }));
        let fetched = self.source.get(&url, credentials.as_ref(), content::limit(&attachment.content_type)).await?;
        if is_refusal(fetched.status) { Ok(Got::Refused(fetched.status)) } else { Ok(Got::File(fetched)) }
    }
}

/// The result of a request for a file.
enum Got {
    File(Fetched),
    /// The provider refused the credentials.
    Refused(StatusCode),
}

fn is_refusal(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn refused(status: StatusCode) -> NoCopy {
    check(status).err().unwrap_or_else(|| NoCopy::passing("the provider refused the account's credentials"))
}

/// The file and its thumbnail, made where it holds up no other job.
async fn shrunk(content_type: &str, bytes: Vec<u8>) -> Result<(Vec<u8>, Option<Thumbnail>), NoCopy> {
    let content_type = content_type.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        let small = thumbnail::of(&content_type, &bytes);
        (bytes, small)
    });
    // It does not panic; the runtime may be ending.
    made.await.map_err(|_| NoCopy::passing("the copy could not be stored"))
}

/// The delay after the try `received`, in seconds.
fn wait(received: u32) -> u32 {
    WAITS.get(received.saturating_sub(1) as usize).copied().unwrap_or(LONGEST_WAIT)
}

/// Why a job is not settled.
enum Unsettled {
    Later(NoCopy),
    Engine(EngineError),
}

impl<E: Into<EngineError>> From<E> for Unsettled {
    fn from(error: E) -> Self {
        Unsettled::Engine(error.into())
    }
}

/// The key of a copy. It follows from the attachment's place, so a repetition overwrites the same object.
fn key(job: &MediaJob) -> String {
    let place = &job.message;
    format!("media/{}/{}/{}/{}", place.interaction.conversation.account, place.interaction.interaction, place.message, job.index)
}
