//! Why a request is refused or fails, and the answer to it.

use api::{Error, Errors, Problem};
use axum::response::{IntoResponse, Response};
use cloud::aws::CallError;
use domain::message::DeliveryState;
use domain::template::Misfit;
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;
use providers::{FileRefusal, RenderError};

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A refusal or failure of every API.
    #[error(transparent)]
    Kit(#[from] Error),
    /// A refusal or failure of the routes that this API shares.
    #[error(transparent)]
    Desk(#[from] desk::Failure),
    /// The caller may not take interactions.
    #[error("WhatsApp is switched off for the caller")]
    NotEnabled,
    /// The account's provider does not take the file.
    #[error(transparent)]
    File(#[from] FileRefusal),
    /// There is no provider that would take a file of this type.
    #[error("no provider accepts files of this type")]
    MediaType,
    /// The provider can't send a message with these contents.
    #[error("{provider} can't send this message: {error}")]
    Unsendable { provider: &'static str, error: RenderError },
    /// The recontact template has parameters that are empty for this customer.
    #[error("the recontact template can't be filled in")]
    RecontactUnfilled(Vec<Misfit>),
    /// The template is marketing, and the customer refuses that.
    #[error("the customer refuses marketing messages")]
    MarketingRefused,
    /// Only a message that failed is sent again.
    #[error("the message did not fail")]
    NotFailed { state: Option<DeliveryState> },
    /// The upload's id leads to no file.
    #[error("nothing was uploaded")]
    UploadMissing,
    /// There are no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

impl Failure {
    pub(crate) fn field(field: &str, message: &str) -> Self {
        Error::field(field, message).into()
    }

    /// The answer.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Failure::Kit(error) => error.problem(),
            Failure::Desk(failure) => failure.problem(),
            Failure::NotEnabled => Problem::conflict("whatsapp-disabled", "WhatsApp is switched off for you, so you can't be ready"),
            Failure::File(refusal) => of_file(refusal),
            Failure::MediaType => media_type(),
            Failure::Unsendable { provider, error } => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "not-sendable", "The provider can't send this message")
                    .detail(error.to_string())
                    .with("provider", *provider)
            }
            Failure::RecontactUnfilled(misfits) => {
                let fields: Vec<String> = misfits.iter().map(|misfit| of_recontact(&misfit.field)).collect();
                Problem::conflict("recontact-unfilled", "The recontact template can't be filled in for this customer")
                    .detail(
                        "A parameter is empty. Give it a fallback in the account's settings, such as \
                         {{contact.name}}{{^contact.name}}customer{{/contact.name}}.",
                    )
                    .with("fields", fields)
            }
            Failure::MarketingRefused => Problem::conflict("marketing-refused", "The customer refuses marketing messages")
                .detail("The provider would not deliver a template of the category marketing. Choose another one."),
            Failure::NotFailed { state } => Problem::conflict("not-failed", "The message did not fail")
                .detail("Only a message that failed, or whose outcome is unknown, can be sent again.")
                .with("state", state.and_then(|state| serde_json::to_value(state).ok())),
            Failure::UploadMissing => Problem::new(StatusCode::NOT_FOUND, "upload-missing", "The file was not uploaded")
                .detail("The upload failed, or it is more than a day old."),
            Failure::NoRandomness => Problem::internal(),
        }
    }
}

/// The account's setting that is a field of the recontact template.
fn of_recontact(field: &str) -> String {
    match field.strip_prefix("body") {
        Some(rest) => format!("settings.recontact.parameters{rest}"),
        None => format!("settings.recontact.{field}"),
    }
}

fn media_type() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media-type", "The provider does not accept this file")
}

/// A refusal that names the provider, the type and, for a file that is too large, the limit.
fn of_file(refusal: &FileRefusal) -> Problem {
    let (problem, provider, content_type) = match refusal {
        FileRefusal::Type { provider, content_type, .. } => (media_type(), provider, content_type.as_str()),
        FileRefusal::Codec { provider } => (media_type(), provider, "audio/ogg"),
        FileRefusal::TooLarge { provider, content_type, most } => {
            let large = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "attachment-too-large", "The file is too large");
            (large.with("most", *most), provider, content_type.as_str())
        }
        FileRefusal::Content { declared, .. } => {
            return media_type().detail(refusal.to_string()).with("content_type", declared.as_str());
        }
    };
    problem.detail(refusal.to_string()).with("provider", *provider).with("content_type", content_type)
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        api::refuse(self.problem(), &self)
    }
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Error::from(error).into()
    }
}

impl From<Errors> for Failure {
    fn from(errors: Errors) -> Self {
        Error::from(errors).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        desk::Failure::from(error).into()
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        desk::Failure::from(error).into()
    }
}
