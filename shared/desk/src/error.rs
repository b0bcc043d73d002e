//! Why a shared route refuses a request or fails, and the answer to it.

use api::{Error, Errors, Problem};
use axum::response::{IntoResponse, Response};
use cloud::aws::CallError;
use domain::decide::Refusal;
use domain::ids::AgentId;
use domain::interaction::Interaction;
use domain::message::ApprovedTemplate;
use engine::EngineError;
use engine::ports::PortError;
use http::StatusCode;
use views::InteractionView;

/// Why a request is refused or fails.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A refusal or failure of every API.
    #[error(transparent)]
    Kit(#[from] Error),
    /// The interaction does not allow it.
    #[error("the interaction does not allow it")]
    Refused(Box<Refused>),
    /// The bucket has no transcript.
    #[error("there is no transcript yet")]
    TranscriptNotReady,
    /// The attachment is still being copied.
    #[error("the attachment is still being copied")]
    AttachmentPending,
    /// The attachment was given up.
    #[error("the attachment could not be copied")]
    AttachmentFailed {
        /// Why.
        reason: String,
    },
    /// The caller did it too often in this hour.
    #[error("more than {most} of these in an hour: {what}")]
    TooOften {
        /// A conversation, an upload or a transcript.
        what: &'static str,
        /// How often it is allowed.
        most: u32,
        /// The seconds until it is allowed again.
        seconds: u32,
    },
    /// Only a logged-in agent can be paused.
    #[error("the agent is logged out")]
    LoggedOut,
    /// The interaction was deleted.
    #[error("the interaction was deleted")]
    Deleted,
    /// Rivals won every attempt.
    #[error("rivals won every attempt")]
    Busy,
    /// A call to AWS failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// A command that the interaction did not allow.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub refusal: Refusal,
    /// The interaction as it is now, if there is one.
    pub interaction: Option<Interaction>,
    /// The name of its agent.
    pub owner_name: Option<String>,
    /// The template that may be sent although the service window is over.
    pub recontact: Option<ApprovedTemplate>,
}

impl Failure {
    /// One field that was refused.
    pub fn field(field: &str, message: &str) -> Self {
        Error::field(field, message).into()
    }

    /// The command's key came before with another body.
    pub fn key_reused() -> Self {
        Self::Refused(Box::new(Refused { refusal: Refusal::KeyReused, interaction: None, owner_name: None, recontact: None }))
    }

    /// The answer.
    pub fn problem(&self) -> Problem {
        match self {
            Failure::Kit(error) => error.problem(),
            Failure::Refused(refused) => refused.problem(),
            Failure::TranscriptNotReady => Problem::new(StatusCode::NOT_FOUND, "transcript-not-ready", "There is no transcript yet")
                .detail("It is written when the interaction closes, or a moment after it was requested."),
            Failure::AttachmentPending => Problem::conflict("attachment-pending", "The attachment is still being copied"),
            Failure::AttachmentFailed { reason } => {
                Problem::new(StatusCode::GONE, "attachment-failed", "The attachment could not be copied").detail(reason)
            }
            Failure::TooOften { what, most, seconds } => Problem::too_many_requests(*seconds)
                .detail(format!("At most {most} in an hour. Try again after the time in Retry-After."))
                .with("limit", *most)
                .with("of", *what),
            Failure::LoggedOut => Problem::conflict("logged-out", "The agent is logged out"),
            Failure::Deleted => Problem::new(StatusCode::GONE, "deleted", "Deleted").detail("The interaction was deleted."),
            Failure::Busy | Failure::Call(_) => Problem::unavailable(),
        }
    }
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
        match error {
            EngineError::Port(error) => error.into(),
            EngineError::Busy => Self::Busy,
            // Only events wait for a message.
            EngineError::NotFound | EngineError::NoAccount(_) | EngineError::NotYet => Error::NotFound.into(),
        }
    }
}

impl Refused {
    fn problem(&self) -> Problem {
        let conflict = |slug, title| Problem::conflict(slug, title).detail(sentence(&self.refusal));
        let problem = match &self.refusal {
            Refusal::OfferGone { owner } => self.owned(Problem::conflict("offer-gone", "The offer is gone"), owner.as_ref()),
            Refusal::NotYours { owner } => self.owned(Problem::conflict("not-yours", "This interaction is not yours"), owner.as_ref()),
            Refusal::Closed => conflict("closed", "The interaction is closed"),
            Refusal::NotReady => conflict("not-ready", "You are not ready"),
            Refusal::AtCapacity => conflict("at-capacity", "You have no free slot"),
            Refusal::NotAMember => conflict("not-a-member", "You are not a member"),
            Refusal::Changed => conflict("changed", "The interaction changed since you read it"),
            Refusal::TransferOff => conflict("transfer-off", "Transfers of this kind are switched off"),
            Refusal::NothingFromCustomer => conflict("no-customer-message", "The customer has not written yet"),
            Refusal::TransferUnderway => conflict("transfer-underway", "The interaction is already being transferred"),
            Refusal::NoSuchTarget => conflict("no-such-target", "The interaction can't be given to this agent or queue"),
            Refusal::AccountInactive => conflict("account-inactive", "The account is switched off"),
            Refusal::StillOpen => conflict("still-open", "The interaction is open"),
            Refusal::MergedAway { into } => conflict("merged", "Merged into another interaction").with("other", into.to_string()),
            Refusal::OtherOpen { interaction } => {
                conflict("other-open", "The customer has another open interaction").with("other", interaction.to_string())
            }
            Refusal::WindowExpired => {
                let recontact = self.recontact.as_ref().and_then(|template| serde_json::to_value(template).ok());
                conflict("window-expired", "The 24-hour service window is over").with("recontact", recontact)
            }
            Refusal::DispositionRequired => Problem::invalid().field("disposition", "is mandatory"),
            Refusal::UnknownDisposition => Problem::invalid().field("disposition", "is not among the account's dispositions"),
            Refusal::TooManyTags => Problem::invalid().field("add", sentence(&self.refusal)),
            Refusal::KeyReused => Problem::invalid().field("Idempotency-Key", sentence(&self.refusal)),
            Refusal::TooManyWatchers => conflict("too-many-watchers", "As many supervisors watch it as may at once"),
            Refusal::CustomerBlocked => conflict("customer-blocked", "The customer is blocked"),
            Refusal::NoAiAgent => conflict("no-ai-agent", "There is no AI agent to answer"),
            // No command of this API is normally refused like this, but a rival may make one late.
            Refusal::Stale | Refusal::Early(_) | Refusal::AlreadyYours | Refusal::NothingToDo => {
                conflict("superseded", "Another change came first")
            }
        };
        match &self.interaction {
            Some(interaction) => problem.with("interaction", serde_json::to_value(InteractionView::from(interaction)).unwrap_or_default()),
            None => problem,
        }
    }

    fn owned(&self, problem: Problem, owner: Option<&AgentId>) -> Problem {
        let detail = match (owner, &self.owner_name) {
            (Some(_), Some(name)) => format!("{name} has the interaction."),
            (Some(_), None) => "Another agent has the interaction.".to_owned(),
            (None, _) => "No agent has the interaction.".to_owned(),
        };
        let problem = problem.detail(detail).with("owner", owner.map(|owner| owner.to_string()));
        problem.with("owner_name", self.owner_name.clone().filter(|_| owner.is_some()))
    }
}

/// The agent who has the interaction, as far as the refusal tells.
pub(crate) fn owner(refusal: &Refusal) -> Option<&AgentId> {
    match refusal {
        Refusal::OfferGone { owner } | Refusal::NotYours { owner } => owner.as_ref(),
        Refusal::Stale
        | Refusal::Early(_)
        | Refusal::AlreadyYours
        | Refusal::Closed
        | Refusal::NotReady
        | Refusal::AtCapacity
        | Refusal::NotAMember
        | Refusal::DispositionRequired
        | Refusal::UnknownDisposition
        | Refusal::NothingToDo
        | Refusal::TooManyTags
        | Refusal::NoAiAgent
        | Refusal::Changed
        | Refusal::TransferOff
        | Refusal::NothingFromCustomer
        | Refusal::TransferUnderway
        | Refusal::NoSuchTarget
        | Refusal::AccountInactive
        | Refusal::StillOpen
        | Refusal::MergedAway { .. }
        | Refusal::OtherOpen { .. }
        | Refusal::TooManyWatchers
        | Refusal::CustomerBlocked
        | Refusal::KeyReused
        | Refusal::WindowExpired => None,
    }
}

/// The refusal's own words as a sentence.
fn sentence(refusal: &Refusal) -> String {
    let text = refusal.to_string();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    use domain::ids::InteractionId;
    use domain::interaction::Status;

    use jiff::Timestamp;
    use serde_json::Value;
    use ulid::Ulid;

    fn anna() -> AgentId {
        AgentId::from_ulid(Ulid::from_parts(1, 1))
    }

    fn answer(refusal: Refusal) -> Value {
        let interaction = Interaction {
            version: 7,
            agent: Some(anna()),
            tab_open: true,
            ..domain::fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH)
        };
        let recontact = ApprovedTemplate { body: vec!["Zoë".into()], ..ApprovedTemplate::plain("hello", "it") };
        let refused = Refused { refusal, interaction: Some(interaction), owner_name: Some("Anna".into()), recontact: Some(recontact) };
        serde_json::to_value(Failure::Refused(Box::new(refused)).problem()).unwrap()
    }

    #[test]
    fn an_offer_that_is_gone_names_the_agent_who_has_it() {
        let problem = answer(Refusal::OfferGone { owner: Some(anna()) });
        assert_eq!(problem["type"], "/problems/offer-gone");
        assert_eq!(problem["status"], 409);
        assert_eq!(problem["owner"], anna().as_str());
        assert_eq!(problem["owner_name"], "Anna");
        assert_eq!(problem["detail"], "Anna has the interaction.");
        assert_eq!(problem["interaction"]["version"], 7);
    }

    #[test]
    fn an_offer_without_an_owner_names_none() {
        let problem = answer(Refusal::OfferGone { owner: None });
        assert_eq!((&problem["owner"], &problem["owner_name"]), (&Value::Null, &Value::Null));
        assert!(problem.as_object().unwrap().contains_key("owner"));
    }

    #[test]
    fn outside_the_window_the_recontact_template_is_offered() {
        let problem = answer(Refusal::WindowExpired);
        assert_eq!(problem["recontact"], serde_json::json!({"name": "hello", "language": "it", "body": ["Zoë"]}));
        assert!(answer(Refusal::Closed).get("recontact").is_none());
    }

    #[test]
    fn every_refusal_has_its_answer() {
        let answers: Vec<_> = [
            Refusal::OfferGone { owner: None },
            Refusal::NotYours { owner: None },
            Refusal::Closed,
            Refusal::NotReady,
            Refusal::AtCapacity,
            Refusal::NotAMember,
            Refusal::WindowExpired,
            Refusal::DispositionRequired,
            Refusal::UnknownDisposition,
            Refusal::TooManyTags,
            Refusal::NoAiAgent,
            Refusal::Stale,
            Refusal::Changed,
            Refusal::TransferOff,
            Refusal::NothingFromCustomer,
            Refusal::TransferUnderway,
            Refusal::NoSuchTarget,
            Refusal::AccountInactive,
            Refusal::StillOpen,
            Refusal::MergedAway { into: InteractionId::from_ulid(Ulid::nil()) },
            Refusal::OtherOpen { interaction: InteractionId::from_ulid(Ulid::nil()) },
            Refusal::TooManyWatchers,
            Refusal::KeyReused,
            Refusal::CustomerBlocked,
        ]
        .map(|refusal| {
            let problem = answer(refusal);
            format!(
                "{} {} {}",
                problem["status"],
                problem["type"].as_str().unwrap(),
                problem["errors"][0]["field"].as_str().unwrap_or_default()
            )
        })
        .to_vec();
        let answers: Vec<_> = answers.iter().map(|answer| answer.trim_end()).collect();
        assert_eq!(
            answers,
            [
                "409 /problems/offer-gone",
                "409 /problems/not-yours",
                "409 /problems/closed",
                "409 /problems/not-ready",
                "409 /problems/at-capacity",
                "409 /problems/not-a-member",
                "409 /problems/window-expired",
                "422 /problems/invalid disposition",
                "422 /problems/invalid disposition",
                "422 /problems/invalid add",
                "409 /problems/no-ai-agent",
                "409 /problems/superseded",
                "409 /problems/changed",
                "409 /problems/transfer-off",
                "409 /problems/no-customer-message",
                "409 /problems/transfer-underway",
                "409 /problems/no-such-target",
                "409 /problems/account-inactive",
                "409 /problems/still-open",
                "409 /problems/merged",
                "409 /problems/other-open",
                "409 /problems/too-many-watchers",
                "422 /problems/invalid Idempotency-Key",
                "409 /problems/customer-blocked",
            ]
        );
    }

    #[test]
    fn internal_failures_are_a_503_with_retry_after() {
        let failures = [
            Failure::from(EngineError::Busy),
            Failure::from(PortError { operation: "Query", reason: "table conversations".into() }),
            Failure::from(CallError::NoAnswer { service: "s3" }),
        ];
        for failure in failures {
            let answer = failure.into_response();
            assert_eq!((answer.status(), answer.headers()["retry-after"].as_bytes()), (StatusCode::SERVICE_UNAVAILABLE, b"1".as_slice()));
        }
    }
}
