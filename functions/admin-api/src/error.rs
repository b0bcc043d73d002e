//! Why a request was refused or failed, and the answer to it.

use api::{Errors, Problem};
use axum::response::{IntoResponse, Response};
use client::{AccessError, ConverseError};
use cloud::aws::CallError;
use cloud::secrets::SecretError;
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;
use providers::FileRefusal;

use crate::users::UserPoolError;

/// Why a request was refused or failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error(transparent)]
    Kit(#[from] api::Error),
    #[error("another change came first")]
    Moved,
    #[error("an active account would have nobody to answer")]
    NoAgent { accounts: Vec<String> },
    #[error("the last owner stays")]
    LastOwner,
    #[error(transparent)]
    Users(#[from] UserPoolError),
    #[error("in use")]
    InUse { users: Vec<String> },
    #[error("the contact exists already")]
    ContactExists { contact: String },
    #[error("the contact has interactions")]
    HasInteractions,
    #[error("the contact is linked with others")]
    Linked,
    #[error("an owner holds it")]
    Held,
    #[error("open interactions")]
    OpenInteractions { count: usize, interactions: Vec<String>, closed: usize },
    #[error("the provider: {0}")]
    Provider(#[from] providers::Problem),
    #[error("asking the provider: {0}")]
    Converse(client::ConverseError),
    #[error(transparent)]
    Ingest(#[from] receive::IngestError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("no random bytes")]
    NoRandomness,
    #[error(transparent)]
    File(#[from] FileRefusal),
    #[error("nothing was uploaded")]
    UploadMissing,
    #[error(transparent)]
    Objects(#[from] CallError),
}

impl From<PortError> for ApiError {
    fn from(error: PortError) -> Self {
        api::Error::from(error).into()
    }
}

impl From<client::ConverseError> for ApiError {
    fn from(error: client::ConverseError) -> Self {
        match error.problem() {
            Some(problem) => ApiError::Provider(problem),
            None => ApiError::Converse(error),
        }
    }
}

impl From<receive::ReconcileError> for ApiError {
    fn from(error: receive::ReconcileError) -> Self {
        match error {
            receive::ReconcileError::Provider(problem) => problem.into(),
            receive::ReconcileError::Converse(error) => error.into(),
            receive::ReconcileError::Ingest(error) => error.into(),
        }
    }
}

impl From<Errors> for ApiError {
    fn from(errors: Errors) -> Self {
        api::Error::from(errors).into()
    }
}

impl ApiError {
    /// The problem document for the caller.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            ApiError::Kit(error) => error.problem(),
            ApiError::NoAgent { accounts } => Problem::conflict("no-agent", "An active account needs an agent with WhatsApp enabled, or an answering AI agent")
                .detail("Add another agent first, or switch the account off.")
                .with("accounts", accounts.clone()),
            ApiError::LastOwner => {
                Problem::conflict("last-owner", "Last owner").detail("Make another agent an owner first: there must always be one.")
            }
            ApiError::Users(UserPoolError::Mail(_)) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, "invitation-not-sent", "Invitation not sent").detail(
                    "The user pool could not send its e-mail: the day's quota is used up, or the address does not accept it. Send the same request \
                     again later, which completes it.",
                )
            }
            ApiError::Users(UserPoolError::Address) => Problem::invalid().field("email", "is not an e-mail address that the user pool accepts"),
            ApiError::Users(UserPoolError::Call(_)) => Problem::unavailable(),
            ApiError::InUse { users } => {
                Problem::conflict("in-use", "Still in use").detail("Remove it from everything listed in `users` first.").with("users", users.clone())
            }
            ApiError::ContactExists { contact } => {
                Problem::conflict("contact-exists", "The phone number or user id already belongs to a contact")
                    .with("contact", contact.clone())
            }
            ApiError::HasInteractions => Problem::conflict("has-interactions", "The contact has interactions")
                .detail("Delete its interactions first, closed ones too."),
            ApiError::Linked => Problem::conflict("linked", "The contact is one customer with other contacts").detail("Unlink them first."),
            ApiError::Held => Problem::conflict("held", "Held").detail("An owner keeps the contact."),
            ApiError::OpenInteractions { count, interactions, closed } => {
                Problem::conflict("open-interactions", "The account has open interactions")
                    .detail(match closed {
                        0 => "Close them first, or send ?close=true.",
                        _ => "Some were closed. Send the request again to close the rest.",
                    })
                    .with("count", *count)
                    .with("interactions", interactions.clone())
                    .with("closed", *closed)
            }
            ApiError::Provider(problem) => of_provider(problem),
            ApiError::Converse(ConverseError::Access(AccessError::Unreachable) | ConverseError::Transport(_) | ConverseError::TooLong) => {
                Problem::new(StatusCode::BAD_GATEWAY, "provider-unreachable", "The provider does not answer").detail("Try again later.")
            }
            ApiError::File(refusal) => of_file(refusal),
            ApiError::UploadMissing => Problem::new(StatusCode::NOT_FOUND, "upload-missing", "The file was not uploaded")
                .detail("The upload failed, or it is more than a day old."),
            ApiError::Objects(_) => Problem::unavailable(),
            ApiError::Moved => Problem::unavailable().detail("Other administrators are changing the configuration. Try again."),
            ApiError::Ingest(_)
            | ApiError::Converse(ConverseError::Access(AccessError::Secret(_)))
            | ApiError::Engine(EngineError::Port(_) | EngineError::Busy)
            | ApiError::Secret(SecretError::Call(_)) => Problem::unavailable(),
            ApiError::Engine(EngineError::NoAccount(_) | EngineError::NotFound | EngineError::NotYet)
            | ApiError::Secret(SecretError::Missing | SecretError::Exists | SecretError::Malformed)
            | ApiError::Converse(ConverseError::Access(AccessError::NoAdapter | AccessError::Refused))
            | ApiError::NoRandomness => Problem::internal(),
        }
    }
}

/// A refusal that names the provider, the type and, for a file that is too large, the limit.
fn of_file(refusal: &FileRefusal) -> Problem {
    let media_type = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "A provider does not accept this file");
    let (problem, provider, content_type) = match refusal {
        FileRefusal::Type { provider, content_type, .. } => (media_type, *provider, content_type.as_str()),
        FileRefusal::Codec { provider } => (media_type, *provider, "audio/ogg"),
        FileRefusal::TooLarge { provider, content_type, most } => {
            let large = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "attachment-too-large", "The file is too large");
            (large.with("most", *most), *provider, content_type.as_str())
        }
        FileRefusal::Content { declared, .. } => {
            return media_type.detail(refusal.to_string()).with("content_type", declared.as_str());
        }
    };
    problem.detail(refusal.to_string()).with("provider", provider).with("content_type", content_type)
}

/// A provider's problem as a problem of this API. The caller's token is never at fault, so none is a 401 or a 403.
pub(crate) fn of_provider(problem: &providers::Problem) -> Problem {
    use providers::Problem as P;
    let words = problem.to_string();
    match problem {
        P::NotOffered => Problem::conflict("not-offered", "The provider's API does not offer that"),
        P::CredentialsRefused => Problem::conflict("refused-credentials", "The provider refused the credentials")
            .detail("Enter the secrets again, or check in the provider's console that they are still valid."),
        P::NumberNotFound => Problem::conflict("numbers-not-found", "The provider account does not have this number")
            .detail("A number appears once it is registered for WhatsApp with this provider account. Numbers of other accounts or projects never do."),
        P::NumberFormat => Problem::conflict("wrong-number-format", "The number does not have the form that the provider wants")
            .detail("Write it as +1234567890, with its country code."),
        P::NotFound { field } => Problem::conflict("not-found-at-provider", "The provider does not know the value of one of the fields")
            .detail(&words)
            .with("field", format!("provider.{field}")),
        P::WebhookNotSet => Problem::conflict("webhook-not-set", "The provider does not send its webhooks to the Receive URL")
            .detail("A POST to the account's webhook sets it, if the provider's API supports that. A GET returns the steps for its console."),
        P::RateLimited => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "rate-limited", "The provider asks to try again later"),
        P::Unexpected { .. } => Problem::new(StatusCode::BAD_GATEWAY, "provider-error", "The provider answered something unexpected").detail(&words),
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        api::refuse(self.problem(), &self)
    }
}
