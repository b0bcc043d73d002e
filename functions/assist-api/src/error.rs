//! Why a request is refused or fails, and the answer to it.

use api::{Error, Problem, refuse};
use axum::response::{IntoResponse, Response};
use domain::language::{Language, Translator};
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;
use models::answer::Unusable;
use models::{ModelError, NoInsights};

use crate::translate::Untranslated;
use crate::vidaoo::NoMeeting;

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
    /// The account has no AI agent that helps its agents.
    #[error("the account has no assistant")]
    AssistantOff,
    /// The customer has written nothing.
    #[error("there is nothing to answer")]
    NothingToAnswer,
    /// The account has no video calls.
    #[error("the account has no video calls")]
    VideoOff,
    /// A command with the same key is starting this call.
    #[error("the call is being started")]
    CallUnderWay,
    /// A command with the same key started a call, and nobody knows whether it has a meeting.
    #[error("nobody knows what became of the call")]
    CallUnknown,
    /// There is no meeting, or no link to it.
    #[error("no meeting: {0}")]
    NoMeeting(NoMeeting),
    /// The account has no AI agent that makes insights.
    #[error("the account has no insights")]
    InsightsOff,
    /// The customer has written nothing that a model could read.
    #[error("there is nothing to sum up")]
    NothingToSumUp,
    /// A model or a knowledge base gave no answer.
    #[error("{of:?}: {why}")]
    NoReply {
        /// What was asked.
        of: Asked,
        /// Why.
        why: ModelError,
    },
    /// The model's answer is of no use.
    #[error("the answer is of no use: {}", .0.label())]
    Unusable(Unusable),
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    /// The AI agent's model.
    Model,
    /// Its knowledge base.
    KnowledgeBase,
}

impl From<NoInsights> for Failure {
    fn from(why: NoInsights) -> Self {
        match why {
            NoInsights::NothingSaid => Self::NothingToSumUp,
            NoInsights::NoReply(why) => Self::NoReply { of: Asked::Model, why },
            NoInsights::Unusable(why) => Self::Unusable(why),
        }
    }
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
            Failure::AssistantOff => Problem::conflict("assistant-off", "The account has no assistant")
                .detail("An administrator chooses an AI agent in the account's settings (`settings.assistant`)."),
            Failure::NothingToAnswer => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing-to-answer", "Nothing to answer")
                .detail("The customer has written no text."),
            Failure::VideoOff => Problem::conflict("video-off", "Video calls are off")
                .detail("An administrator switches them on in the account's settings (`settings.video`)."),
            Failure::CallUnderWay => Problem::conflict("video-under-way", "The call is being started")
                .detail("An earlier request with this Idempotency-Key is not done yet. Send it again in a moment.")
                .after(5),
            Failure::CallUnknown => Problem::conflict("video-unknown", "It is not known what became of the call")
                .detail("There may be a meeting, but nobody got a link. Start another call, with another Idempotency-Key."),
            Failure::NoMeeting(why) => no_meeting(*why),
            Failure::InsightsOff => Problem::conflict("insights-off", "The account has no insights")
                .detail("An administrator chooses an AI agent for them in the account's settings (`settings.insights`)."),
            Failure::NothingToSumUp => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "nothing-to-sum-up", "Nothing to sum up")
                .detail("The customer has written no text."),
            Failure::NoReply { of, why } => no_reply(*of, *why),
            Failure::Unusable(why) => Problem::new(StatusCode::BAD_GATEWAY, "ai-no-answer", "The AI agent gave no usable answer")
                .detail(match why {
                    Unusable::Empty => "The model answered nothing. Ask again, or in other words.",
                    Unusable::CutOff => "The answer reached the limit of tokens. An administrator raises `max_tokens`.",
                    Unusable::TooLong => "The answer is too long. Ask for a shorter one.",
                    Unusable::Filtered => "The model or its guardrail refused. Ask in other words.",
                    Unusable::Malformed => "The answer can't be read. Ask again.",
                    Unusable::TooMuch => TOO_MUCH,
                    Unusable::Repeated => "The answer is what was said last.",
                    Unusable::Echo => "The answer is what the customer wrote.",
                })
                .with("reason", why.label()),
        }
    }
}

/// Each says what to do.
fn no_meeting(why: NoMeeting) -> Problem {
    let bad_gateway = |slug, title| Problem::new(StatusCode::BAD_GATEWAY, slug, title);
    match why {
        NoMeeting::NoKey => Problem::conflict("video-key-missing", "The key of the video calls is missing")
            .detail("An administrator sets Vidaoo's key for this account (PUT /admin/accounts/{id}/video/key)."),
        NoMeeting::Refused => bad_gateway("video-refused", "Vidaoo refuses the key").detail("An administrator checks the account's key."),
        NoMeeting::Busy => Problem::new(StatusCode::TOO_MANY_REQUESTS, "video-busy", "Vidaoo is busy")
            .detail("It has reached a rate limit. Try again after the time in Retry-After.")
            // Rate limits are a minute's. Half of it is long enough for most and short enough for a person.
            .after(30),
        NoMeeting::NotTaken => bad_gateway("video-not-taken", "Vidaoo does not take the request")
            .detail("An administrator checks the account's topic and metadata, and the deployment's VidaooUrl, VidaooPath and VidaooForm."),
        NoMeeting::Address => bad_gateway("video-address-refused", "Vidaoo's address is refused")
            .detail("It must be https and lead to public addresses only. The deployment's VidaooUrl is to be checked."),
        NoMeeting::Failed => bad_gateway("video-failed", "Vidaoo failed")
            .detail("It gave no usable answer. Nothing was sent to the customer. Start another call, with another Idempotency-Key."),
        NoMeeting::Unreadable => bad_gateway("video-unreadable", "Vidaoo's answer has no link")
            .detail("Nothing was sent to the customer. Vidaoo may have changed its answers: tell whoever runs this deployment."),
    }
}

/// The prompt has no room in the model.
const TOO_MUCH: &str = "The conversation and the AI agent's knowledge are longer than the model can read. An administrator shortens the \
    knowledge or chooses another model.";

/// Each says what to do.
fn no_reply(of: Asked, why: ModelError) -> Problem {
    let bad_gateway = |slug, title| Problem::new(StatusCode::BAD_GATEWAY, slug, title);
    let asked = match of {
        Asked::Model => "The model",
        Asked::KnowledgeBase => "The knowledge base",
    };
    let problem = match why {
        ModelError::Busy => Problem::new(StatusCode::TOO_MANY_REQUESTS, "ai-busy", "The AI agent is busy")
            .detail(format!("{asked} has reached a rate limit. Try again after the time in Retry-After."))
            // Rate limits are a minute's. Half of it is long enough for most and short enough for a person.
            .after(30),
        ModelError::UsedUp => bad_gateway("ai-used-up", "The AI agent's quota is used up")
            .detail(format!("{asked} is not paid for any more. An administrator looks at the service's account.")),
        ModelError::Refused => bad_gateway("ai-refused", "The AI agent is refused").detail(format!(
            "{asked} refuses the key, or this deployment's role. An administrator checks the key, or the access to the model in Bedrock."
        )),
        ModelError::NoKey => Problem::conflict("ai-key-missing", "The AI agent's key is missing")
            .detail("An administrator sets it (PUT /admin/ai-agents/{id}/key); a changed address leaves none."),
        ModelError::Unknown => bad_gateway("ai-unknown", "The model or knowledge base is not known")
            .detail(format!("{asked} is not known to the service, or not in this region. An administrator checks its id and the region.")),
        ModelError::NotTaken => bad_gateway("ai-not-taken", "The model does not take the request")
            .detail(format!("{asked} refuses a setting. An administrator leaves out the temperature, or lowers `max_tokens`.")),
        ModelError::TooLong => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "ai-too-long", "Too much for the model").detail(TOO_MUCH),
        ModelError::Address => bad_gateway("ai-address-refused", "The AI agent's address is refused")
            .detail("It must be https and lead to public addresses only. An administrator checks `base_url`."),
        ModelError::Failed => bad_gateway("ai-failed", "The AI agent failed").detail(format!("{asked} gave no usable answer. Try again.")),
        ModelError::Late => Problem::new(StatusCode::GATEWAY_TIMEOUT, "ai-late", "The AI agent took too long")
            .detail(format!("{asked} did not answer within 25 seconds. Try again.")),
    };
    problem.with("asked", if of == Asked::Model { "model" } else { "knowledge_base" })
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
