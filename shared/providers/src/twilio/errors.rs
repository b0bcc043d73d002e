//! Twilio's error codes, in the words common to all providers.

use domain::message::ErrorClass;

/// The class of a code; `None` for a code that is unknown or says nothing about a message.
///
/// Source: `twilio.com/docs/api/errors/<code>`. 11200 (our webhook was not reached) is not about a message and is
/// left out.
pub(super) fn class_of(code: u32) -> Option<ErrorClass> {
    Some(match code {
        // A free-form message outside the 24 hours; since April 2025 also a template's text sent as a body.
        63016 => ErrorClass::WindowExpired,
        // API concurrency; account over 2000 messages a second; channel or sender rate or WhatsApp's messaging
        // limit; account's daily limit.
        20429 | 63017 | 63018 | DAILY_LIMIT => ErrorClass::RateLimited,
        // Invalid `To`; no such WhatsApp user.
        21211 | 63003 => ErrorClass::InvalidRecipient,
        // The recipient unsubscribed; the recipient can't receive WhatsApp messages.
        21610 | 63024 => ErrorClass::Undeliverable,
        // Bad content variables; template missing, wrong parameters.
        21656 | 63027..=63029 => ErrorClass::Template,
        // Media too big; media could not be fetched; media exists already.
        11751 | 63019 | 63025 => ErrorClass::Media,
        // Credentials; no such sender; Twilio not invited to the business; the display name's certificate.
        20003 | 63007 | 63020 | 63022 => ErrorClass::Authentication,
        // Internal errors of the channel.
        63010 | 63012 => ErrorClass::Temporary,
        // Text too long; content refused; policy; invalid content; 63030, 63032 (experiment) and 63033 (blocked)
        // refuse this recipient.
        21617 | 63005 | 63013 | 63021 | 63030 | 63032 | 63033 => ErrorClass::Permanent,
        _ => return None,
    })
}

/// "Too many API requests": never processed, so always safe to repeat.
pub(super) const TOO_MANY_REQUESTS: u32 = 20429;

/// The account's daily limit. No try succeeds before the next day, and a message that waited for it would hold up
/// all that follow.
pub(super) const DAILY_LIMIT: u32 = 63038;
