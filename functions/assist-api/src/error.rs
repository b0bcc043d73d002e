//! Why a request is refused or fails, and the answer to it.

use api::{Error, Problem, refuse};
use axum::response::{IntoResponse, Response};
use domain::language::{Language, Translator};
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;

use crate::translate::Untranslated;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A refusal or failure of every API.
    #[error(transparent)]
    Kit(#[from] Error),
    /// A refusal or failure of what this API shares.
    #[error(transparent)]
    Desk(#[from] desk::Failure),
    /// The account's translation is off.
    #[error("the account's translation is off")]
    Off,
    /// Nobody knows which language the customer speaks.
    #[error("the customer's language is not known")]
    LanguageUnknown,
    /// The translator gave no translation.
    #[error("{by:?} gave no translation: {why}")]
    Untranslated {
        /// The translator.
        by: Translator,
        /// Why.
        why: Untranslated,
    },
}

impl From<PortError> for Failure {
    fn from(error: PortError) -> Self {
        Error::Port(error).into()
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        desk::Failure::from(error).into()
    }
}

impl Failure {
    /// The answer.
    pub(crate) fn problem(&self) -> Problem {
        match self {
            Failure::Kit(error) => error.problem(),
            Failure::Desk(failure) => failure.problem(),
            Failure::Off => Problem::conflict("translation-off", "Translation is off")
                .detail("An administrator switches it on in the account's settings, with a provider and the agents' language."),
            Failure::LanguageUnknown => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "language-unknown", "The customer's language is not known")
                    .detail("Translate a message of the customer, set the language (PUT …/language), or name it in `to`.")
            }
            Failure::Untranslated { by, why } => problem(*by, why),
        }
    }
}

/// Each says what to do.
pub(crate) fn problem(by: Translator, why: &Untranslated) -> Problem {
    let name = match by {
        Translator::Aws => "Amazon Translate",
        Translator::Google => "Google Cloud Translation",
    };
    let unprocessable = |slug, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, slug, title);
    let bad_gateway = |slug, title| Problem::new(StatusCode::BAD_GATEWAY, slug, title);
    match why {
        Untranslated::Nothing => unprocessable("nothing-to-translate", "Nothing to translate").detail("It has no text, or the customer never sees it."),
        Untranslated::TooLong => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "text-too-long", "The text is too long")
            .detail("At most 10,000 bytes are translated. Translate a part of it as a draft."),
        Untranslated::Unsupported { from, to } => {
            let from = from.as_ref().map_or_else(|| "its language".to_owned(), Language::to_string);
            unprocessable("language-unsupported", "The language is not supported").detail(format!("{name} does not translate {from} to {to}."))
        }
        Untranslated::Unclear { detected } => unprocessable("language-unclear", "The language is not clear")
            .detail("The text is too short or mixed. Set the customer's language (PUT …/language) and try again.")
            .with("detected", detected.as_ref().map(Language::to_string)),
        // A quota a minute or a second: half a minute is long enough for the one and short enough for a person.
        Untranslated::Busy => Problem::new(StatusCode::TOO_MANY_REQUESTS, "translator-busy", "The translator is busy")
            .detail(format!("{name} has reached a quota. Try again after the time in Retry-After."))
            .after(30),
        Untranslated::NoKey => Problem::conflict("translation-key-missing", "The translation's key is missing")
            .detail("An administrator sets Google's key for this account."),
        Untranslated::Refused => match by {
            Translator::Aws => bad_gateway("translator-refused", "The translator refuses")
                .detail("The function lacks the right translate:TranslateText or comprehend:DetectDominantLanguage, or its region lacks the service (TranslateRegion)."),
            Translator::Google => bad_gateway("translator-refused", "The translator refuses")
                .detail("Google refuses the account's key. An administrator checks that it is right and may use the Cloud Translation API."),
        },
        Untranslated::Failed => bad_gateway("translator-failed", "The translator failed").detail(format!("{name} gave no usable answer. Try again.")),
        Untranslated::Late => Problem::new(StatusCode::GATEWAY_TIMEOUT, "translator-late", "The translator took too long")
            .detail("What was translated is kept. Ask again for the rest."),
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        refuse(self.problem(), &self)
    }
}
