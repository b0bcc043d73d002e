//! Sending a message, and reading the answer.

use domain::message::{DeliveryError, DeliveryState, ErrorClass};
use http::StatusCode;
use serde_json::{Value, json};

use super::{ACCOUNT_SID, api_key, is_segment, path};
use crate::json as read;
use crate::meta::{errors, send};
use crate::{Connection, Outgoing, OutgoingRequest, RateScope, RenderError, SendOutcome, SendResult};

/// Builds the request that sends a message, by V2: Meta's document, and our reference beside it. It may be made once only: the API has no idempotency key.
///
/// Source: developers.kaleyra.io, "WhatsApp API V2".
///
/// # Errors
/// What Meta would refuse anyway; an account id that is none.
pub(super) fn render(connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    if !is_segment(connection.account.provider.field(ACCOUNT_SID)) {
        return Err(RenderError::MalformedAccount);
    }
    // The number's `+`, which some would take for a space.
    let number = connection.account.phone.as_str().replace('+', "%2B");
    let body = json!({
        "messaging_object": send::body(message)?,
        "extra_info": {"ref": message.reference.0, "ref1": "", "ref2": "", "wa_source": "api"},
    });
    Ok(OutgoingRequest::post_json(path(connection, &format!("{number}/messages")), api_key(connection), &body))
}

/// Where the message's id may be: the exact answer is not published.
const IDS: [&str; 6] = ["/data/message_id", "/data/0/message_id", "/messages/0/id", "/data/messages/0/id", "/message_id", "/id"];

/// Where a code may be: Kaleyra's own, or one of Meta's passed on.
const CODES: [&str; 6] = ["/code", "/error/code", "/errors/0/code", "/data/code", "/error_code", "/data/error/code"];

/// Reads the answer to the request of [`render`].
///
/// Only an answer that says so is a refusal: without a known code a 5xx, a redirect, a 408 or a 2xx that can't be read do not tell whether the message was
/// taken. Which of our messages a report is about is told by our reference, not by the id of this answer.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    let code = code_of(&body);
    let class = class_of(code.as_deref());
    if outcome.status.is_success() {
        let id = IDS.iter().filter_map(|path| body.pointer(path)).find_map(read::id);
        return match (id, class) {
            (Some(provider_id), None) => SendResult::Accepted { provider_id, state: DeliveryState::Accepted },
            (None, Some(class)) => refused(outcome, class, code),
            // It says nothing, or both.
            (None, None) | (Some(_), Some(_)) => SendResult::Unknown,
        };
    }
    match (class, code.as_deref().and_then(of_meta)) {
        (Some(class), None) => refused(outcome, class, code),
        // One of Meta's codes, or none: the status tells what is left to tell.
        (_, number) => match send::refused(outcome, number) {
            SendResult::Failed(error) => SendResult::Failed(DeliveryError { code, ..error }),
            other => other,
        },
    }
}

fn refused(outcome: &SendOutcome<'_>, class: ErrorClass, code: Option<String>) -> SendResult {
    if outcome.status == StatusCode::TOO_MANY_REQUESTS {
        return SendResult::RateLimited { retry_after: outcome.retry_after(), scope: RateScope::Number };
    }
    SendResult::Failed(DeliveryError { class, code })
}

/// The code of an answer, in upper case.
fn code_of(body: &Value) -> Option<String> {
    CODES.iter().filter_map(|path| body.pointer(path)).find_map(read::value).map(|code| code.trim().to_ascii_uppercase())
}

/// The class of a code that says what went wrong; `None` for success and for what is not known.
///
/// Source: developers.kaleyra.io, "WhatsApp API V2: error codes for send message"; reports repeat Meta's codes.
pub(super) fn class_of(code: Option<&str>) -> Option<ErrorClass> {
    Some(match code?.to_ascii_uppercase().as_str() {
        // SID or key; no balance; unauthorized, or the number is not approved.
        "RBC001" | "E110" | "WA401" => ErrorClass::Authentication,
        // The account's limit of the day: there is nothing to gain before the next one.
        "WAV2101" => ErrorClass::RateLimited,
        "WA400" => ErrorClass::Permanent,
        // "Internal": Kaleyra's own advice is to send it again, after 5, 10 and 15 minutes.
        "WA500" => ErrorClass::Temporary,
        other => return of_meta(other).and_then(errors::class_of),
    })
}

/// One of Meta's codes. Its short ones can't be told from an HTTP status that is written in the same place.
fn of_meta(code: &str) -> Option<u64> {
    code.parse().ok().filter(|code| *code > 999)
}

/// Whether an answer of any kind says that SID or key are wrong.
pub(super) fn is_unauthorized(body: &Value) -> bool {
    matches!(code_of(body).as_deref(), Some("RBC001" | "WA401"))
}
