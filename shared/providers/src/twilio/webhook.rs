//! What a webhook says: one message or one status.
//!
//! Only what the product can't do without is demanded (`MessageSid`; of a message `From`). Twilio adds parameters and kinds without notice: nothing
//! else ever fails.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::ids::AccountId;
use domain::inbound::{InboundAttachment, InboundEvent, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::{Address, E164};
use http::Method;
use jiff::Timestamp;

use super::{FORM, SID_SHAPE, errors, is_form, is_sid};
use crate::ParseError;

/// A webhook request as it came in.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// `POST`, or `GET` if the account is so configured in Twilio.
    pub method: &'a Method,
    /// The whole URL with its query, as Twilio was configured with it: behind a proxy the public one, not what the socket saw.
    pub public_url: &'a str,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The header [`super::SIGNATURE_HEADER`].
    pub signature: Option<&'a str>,
    /// The body's bytes, untouched.
    pub body: &'a [u8],
}

/// The URL holds the account's token, the body what a customer wrote: neither shows.
impl std::fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").field("method", &self.method).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The longest text kept, in bytes: twice WhatsApp's longest (4096 characters of 4 bytes). What is longer is cut.
const TEXT_LIMIT: usize = 32 * 1024;

/// The longest address of an attachment kept, in bytes; Twilio's have about 150. A cut one fails to load, and the thread says so.
const ADDRESS_LIMIT: usize = 4 * 1024;

/// The longest other value kept, in bytes: names, labels, payloads. WhatsApp's own limits are between 20 and 1024 characters.
const VALUE_LIMIT: usize = 4 * 1024;

/// The most attachments of one message. WhatsApp sends one, Twilio's other channels up to ten; a longer list is no message of Twilio's, and each costs a
/// download.
const ATTACHMENTS_LIMIT: usize = 10;

/// Our reference is about 110 bytes; what is longer is not ours.
const REFERENCE_LIMIT: usize = 256;

/// Reads a verified webhook: a form in the body of a `POST`, or the query of a `GET`. `reference` is what our status callback URL carried.
///
/// A message becomes an event with the id `SM…`; a status becomes one with the id `SM…#delivered`, or none when the status is not known here.
///
/// # Errors
/// The body is not a form; `MessageSid` is missing or malformed; a message has no `From`, or one that is neither a phone number nor a
/// business-scoped user id.
pub fn parse(
    request: &SignedRequest<'_>,
    reference: Option<&str>,
    account: &AccountId,
    received_at: Timestamp,
) -> Result<Vec<InboundEvent>, ParseError> {
    let form = if *request.method == Method::GET {
        let url = request.public_url.split('#').next().unwrap_or_default();
        Form::read(url.split_once('?').map_or("", |(_, query)| query).as_bytes())
    } else if is_form(request.content_type) {
        Form::read(request.body)
    } else {
        return Err(ParseError::ContentType { expected: FORM });
    };

    let parameter = "MessageSid";
    let sid = form.get(parameter).ok_or(ParseError::Missing { parameter })?;
    if !is_sid(sid) {
        return Err(ParseError::Malformed { parameter, expected: SID_SHAPE });
    }
    let event = |id: String, kind| InboundEvent { account: account.clone(), id, received_at, index: 0, kind };
    match form.get("MessageStatus") {
        None | Some("received" | "receiving") => Ok(vec![event(sid.to_owned(), InboundKind::Message(read_message(&form, sid)?))]),
        Some(status) => Ok(read_status(&form, sid, status, reference)
            .map(|(name, update)| event(format!("{sid}#{name}"), InboundKind::Status(update)))
            .into_iter()
            .collect()),
    }
}

/// A form's parameters; of a repeated one the first counts. Bytes that are not UTF-8 become U+FFFD.
struct Form<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Form<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            values.entry(name).or_insert(value);
        }
        Self(values)
    }

    /// The value, if it is not empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref).filter(|value| !value.is_empty())
    }

    /// The value, if it is not empty, cut to `limit` bytes.
    fn text(&self, name: &str, limit: usize) -> Option<String> {
        self.get(name).map(|value| value[..value.floor_char_boundary(limit)].to_owned())
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn read_message(form: &Form<'_>, sid: &str) -> Result<InboundMessage, ParseError> {
    let (from, alias) = read_sender(form)?;
    let attachments = read_attachments(form);
    Ok(InboundMessage {
        provider_id: sid.to_owned(),
        from,
        alias,
        profile_name: form.text("ProfileName", VALUE_LIMIT).map(ProfileName),
        // Twilio's webhook carries no time.
        sent_at: None,
        content: read_content(form, !attachments.is_empty()),
        attachments,
        reply_to: form.get("OriginalRepliedMessageSid").filter(|sid| is_sid(sid)).map(ToOwned::to_owned),
        forwarded: form.is_true("Forwarded") || form.is_true("FrequentlyForwarded"),
    })
}

/// The phone number where there is one, and the business-scoped user id beside it.
fn read_sender(form: &Form<'_>) -> Result<(Address, Option<Address>), ParseError> {
    let parameter = "From";
    let expected = "whatsapp: and a phone number or a business-scoped user id";
    let from = form.get(parameter).ok_or(ParseError::Missing { parameter })?;
    // Without the prefix it is a text message or a call: answering it on WhatsApp would reach somebody else, or nobody.
    let from = from.strip_prefix("whatsapp:").ok_or(ParseError::Malformed { parameter, expected })?;
    let other = form.get("ExternalUserId").map(|id| id.strip_prefix("whatsapp:").unwrap_or(id)).and_then(bsuid);
    if let Ok(phone) = plain_phone(from) {
        return Ok((Address::Phone(phone), other));
    }
    let id = bsuid(from).ok_or(ParseError::Malformed { parameter, expected })?;
    match form.get("WaId").and_then(|digits| plain_phone(&format!("+{digits}")).ok()) {
        Some(phone) => Ok((Address::Phone(phone), Some(id))),
        None => Ok((id, None)),
    }
}

/// A phone number without any prefix ([`E164::parse`] would take a second `whatsapp:`).
fn plain_phone(text: &str) -> Result<E164, domain::values::Invalid> {
    if text.starts_with('+') { E164::parse(text) } else { Err(domain::values::Invalid("must begin with +")) }
}

/// A business-scoped user id: an ISO country, a dot, and up to 128 letters or digits, for a parent id in two parts (`IT.ENT.118…`). At most 140
/// characters, Twilio's own limit.
fn bsuid(text: &str) -> Option<Address> {
    let (country, id) = text.split_once('.')?;
    let shaped = text.len() <= 140
        && country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && id.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    shaped.then(|| Address::Bsuid(text.to_owned()))
}

/// What counts is which addresses are there, not `NumMedia`: a wrong number must neither lose an attachment nor make one up.
fn read_attachments(form: &Form<'_>) -> Vec<InboundAttachment> {
    (0..ATTACHMENTS_LIMIT)
        .filter_map(|index| {
            Some(InboundAttachment {
                source: form.text(&format!("MediaUrl{index}"), ADDRESS_LIMIT)?,
                content_type: form
                    .text(&format!("MediaContentType{index}"), VALUE_LIMIT)
                    .unwrap_or_else(|| "application/octet-stream".to_owned()),
                name: None,
            })
        })
        .collect()
}

/// By what is there rather than by `MessageType`, whose values are not all published.
fn read_content(form: &Form<'_>, has_attachments: bool) -> Content {
    let body = form.text("Body", TEXT_LIMIT);
    let kind = form.get("MessageType");
    if has_attachments {
        return Content::Media { caption: body.unwrap_or_default() };
    }
    if let (Some(latitude), Some(longitude)) = (degrees(form, "Latitude", 90.0), degrees(form, "Longitude", 180.0)) {
        let (label, address) = (form.text("Label", VALUE_LIMIT), form.text("Address", VALUE_LIMIT));
        return Content::Location { latitude, longitude, label, address };
    }
    let (button, payload) = (form.text("ButtonText", VALUE_LIMIT), form.text("ButtonPayload", VALUE_LIMIT));
    if button.is_some() || payload.is_some() {
        return Content::Button { text: button.or(body).unwrap_or_default(), payload };
    }
    let (id, title) = (form.text("ListId", VALUE_LIMIT), form.text("ListTitle", VALUE_LIMIT));
    if id.is_some() || title.is_some() {
        return Content::ListReply { id: id.unwrap_or_default(), title: title.or(body).unwrap_or_default() };
    }
    match (body, kind) {
        (Some(body), _) => Content::Text { body },
        (None, Some("text")) => Content::Text { body: String::new() },
        (None, _) => Content::Unsupported { kind: form.text("MessageType", VALUE_LIMIT).unwrap_or_else(|| "unknown".to_owned()) },
    }
}

/// Degrees within `limit` of zero.
fn degrees(form: &Form<'_>, name: &str, limit: f64) -> Option<f64> {
    form.get(name)?.trim().parse().ok().filter(|degrees: &f64| degrees.abs() <= limit)
}

fn read_status(form: &Form<'_>, sid: &str, status: &str, reference: Option<&str>) -> Option<(&'static str, StatusUpdate)> {
    let (name, state) = state_of(status)?;
    let error = (state == DeliveryState::Failed).then(|| failure(name, form.get("ErrorCode").and_then(|code| code.parse().ok())));
    let reference = reference.filter(|reference| !reference.is_empty() && reference.len() <= REFERENCE_LIMIT).map(ToOwned::to_owned);
    // Twilio's callback carries no time.
    Some((name, StatusUpdate { provider_id: sid.to_owned(), reference, state, error, at: None }))
}

/// One of Twilio's states of a sent message, and ours for it.
pub(super) fn state_of(status: &str) -> Option<(&'static str, DeliveryState)> {
    Some(match status {
        "queued" => ("queued", DeliveryState::Accepted),
        "accepted" => ("accepted", DeliveryState::Accepted),
        "scheduled" => ("scheduled", DeliveryState::Accepted),
        "sending" => ("sending", DeliveryState::Accepted),
        "sent" => ("sent", DeliveryState::Sent),
        "delivered" => ("delivered", DeliveryState::Delivered),
        "read" => ("read", DeliveryState::Read),
        "failed" => ("failed", DeliveryState::Failed),
        "undelivered" => ("undelivered", DeliveryState::Failed),
        "canceled" => ("canceled", DeliveryState::Failed),
        _ => return None,
    })
}

/// The reason of a failure: by its code, else by how far the message had got.
pub(super) fn failure(status: &str, code: Option<u32>) -> DeliveryError {
    let code = code.filter(|code| *code != 0);
    let fallback = if status == "undelivered" { ErrorClass::Undeliverable } else { ErrorClass::Permanent };
    DeliveryError { class: code.and_then(errors::class_of).unwrap_or(fallback), code: code.map(|code| code.to_string()) }
}
