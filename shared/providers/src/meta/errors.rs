//! Meta's error codes, in the words common to all providers.
//!
//! They come with a refused request and with the report of a failed message. Only the code counts: Meta itself
//! advises against relying on the HTTP status.

use domain::message::{DeliveryError, ErrorClass};
use serde_json::Value;

use crate::json;

/// The class of a code; `None` for an unknown code.
///
/// Source: Meta, "Error codes" of the Cloud API.
pub(crate) fn class_of(code: u64) -> Option<ErrorClass> {
    Some(match code {
        131047 => ErrorClass::WindowExpired,
        // Calls of the app; calls of the business account; throughput of the number; throughput of the pair; the
        // number's quality ([`SPAM`]); the number is being upgraded; registrations ([`REGISTRATIONS`]).
        4 | 80007 | 130429 | PAIR | SPAM | 131057 | REGISTRATIONS => ErrorClass::RateLimited,
        // Unknown request or server error; service unavailable; unknown error; service down; server out of order.
        UNKNOWN | 2 | 131000 | 131016 | 133004 => ErrorClass::Temporary,
        // The recipient is not on the list of the test number.
        131030 => ErrorClass::InvalidRecipient,
        // Can't be delivered; sender is recipient; part of an experiment; WhatsApp's own judgement; the recipient
        // stopped marketing; not reachable by this id.
        131026 | 131021 | 130472 | 131049 | 131050 | 131062 => ErrorClass::Undeliverable,
        // The number was deleted; credentials, permissions, locks, payment, country, display name, certificate,
        // registration.
        33
        | 0
        | 190
        | 3
        | 10
        | 200..=299
        | 131005
        | 368
        | 131031
        | 130497
        | 131037
        | 131042
        | 131045
        | 133000
        | 133005..=133010
        | 133015 => ErrorClass::Authentication,
        // The template's number of parameters, text, language, policy or format; it is paused; it is disabled; the
        // form that it opens.
        132000 | 132001 | 132005 | 132007 | 132008 | 132012 | 132015 | 132016 | 132068 | 132069 => ErrorClass::Template,
        131052 | 131053 => ErrorClass::Media,
        // Parameters, unsupported kinds, and others that no repetition changes.
        100 | 131008 | 131009 | 131051 | 135000 | 137000 | 131063 | 131064 => ErrorClass::Permanent,
        _ => return None,
    })
}

/// Too many messages to this one customer.
pub(crate) const PAIR: u64 = 131056;

/// Too many customers blocked or reported the number. That may last for long, and a message that waited for it
/// would hold up all that follow.
pub(crate) const SPAM: u64 = 131048;

/// Too many registrations of the number. That has nothing to do with messages, so waiting does not help.
pub(crate) const REGISTRATIONS: u64 = 133016;

/// An unknown error, for bad requests as well as faults of the server. Only with a 4xx was nothing done.
pub(crate) const UNKNOWN: u64 = 1;

/// The reason of a failure, from its list of errors.
pub(crate) fn failure(errors: &Value) -> DeliveryError {
    let code = json::list(errors).first().and_then(|error| json::number(&error["code"]));
    DeliveryError { class: code.and_then(class_of).unwrap_or(ErrorClass::Permanent), code: code.map(|code| code.to_string()) }
}
