//! Sends a message, and reads the answer.

use domain::message::{DeliveryError, DeliveryState, ErrorClass};
use http::StatusCode;
use serde_json::{Value, json};

use super::{ACCOUNT_SID, api_key, is_segment, path};
use crate::json as read;
use crate::meta::{errors, send};
use crate::{Connection, Outgoing, OutgoingRequest, RateScope, RenderError, SendOutcome, SendResult};

/// Builds the request that sends a message by V2: Meta's document, with our reference. Make it only once: the API
/// has no idempotency key.
///
/// Source: developers.kaleyra.io, "WhatsApp API V2".
///
/// # Errors
/// Meta would refuse the message, or the account's id is malformed.
pub(super) fn render(connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    if !is_segment(connection.account.provider.field(ACCOUNT_SID)) {
        return Err(RenderError::MalformedAccount);
    }
    // Encodes the number's `+`, which some servers read as a space.
    let number = connection.account.phone.as_str().replace('+', "%2B");
    let body = json!({
        "messaging_object": send::body(message)?,
        "extra_info": {"ref": message.reference.0, "ref1": "", "ref2": "", "wa_source": "api"},
    });
    Ok(OutgoingRequest::post_json(path(connection, &format!("{number}/messages")), api_key(connection), &body))
}

/// The places where the message's id may be. The exact answer is not published.
const IDS: [&str; 6] = ["/data/message_id", "/data/0/message_id", "/messages/0/id", "/data/messages/0/id", "/message_id", "/id"];

/// The places where a code may be: Kaleyra's own, or one of Meta's.
const CODES: [&str; 6] = ["/code", "/error/code", "/errors/0/code", "/data/code", "/error_code", "/data/error/code"];

/// Reads the answer to the request of [`render`].
///
/// Only an explicit refusal counts as one. Without a known code a 5xx, a redirect, a 408 or an unreadable 2xx
/// doesn't tell whether Kaleyra accepted the message. Reports are matched by our reference, not by the id of this
/// answer.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    let code = code_of(&body);
    let class = class_of(code.as_deref());
    if outcome.status.is_success() {
        let id = IDS.iter().filter_map(|path| body.pointer(path)).find_map(read::id);
        return match (id, class) {
            (Some(provider_id), None) => SendResult::Accepted { provider_id, state: DeliveryState::Accepted },
            (None, Some(class)) => refused(outcome, class, code),
            // The answer holds neither an id nor a code, or both.
            (None, None) | (Some(_), Some(_)) => SendResult::Unknown,
        };
    }
    match (class, code.as_deref().and_then(of_meta)) {
        (Some(class), None) => refused(outcome, class, code),
        // One of Meta's codes, or none. Without a code the status decides.
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

/// The class of a code; `None` for success and for an unknown code.
///
/// Source: developers.kaleyra.io, "WhatsApp API V2: error codes for send message"; reports repeat Meta's codes.
pub(super) fn class_of(code: Option<&str>) -> Option<ErrorClass> {
    Some(match code?.to_ascii_uppercase().as_str() {
        // SID or key; no balance; unauthorized, or the number is not approved.
        "RBC001" | "E110" | "WA401" => ErrorClass::Authentication,
        // The account's daily limit. No try succeeds before the next day.
        "WAV2101" => ErrorClass::RateLimited,
        "WA400" => ErrorClass::Permanent,
        // "Internal": Kaleyra advises to send the message again after 5, 10 and 15 minutes.
        "WA500" => ErrorClass::Temporary,
        other => return of_meta(other).and_then(errors::class_of),
    })
}

/// One of Meta's codes. A short one can't be told from an HTTP status in the same place.
fn of_meta(code: &str) -> Option<u64> {
    code.parse().ok().filter(|code| *code > 999)
}

/// Whether an answer says that the SID or the key is wrong.
pub(super) fn is_unauthorized(body: &Value) -> bool {
    matches!(code_of(body).as_deref(), Some("RBC001" | "WA401"))
}
