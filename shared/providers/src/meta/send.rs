//! Sending a message, reading the answer, and fetching an attachment.

use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, Template, TemplateButtonKind, TemplateHeader};
use domain::values::Address;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{API, MAX_TEXT, PHONE_NUMBER_ID, bearer, errors, is_number_id, json as read};
use crate::{
    Authorization, Connection, MediaAddressError, MediaStep, Origin, Outgoing, OutgoingAttachment, OutgoingRequest, RateScope, RenderError,
    SendOutcome, SendResult,
};

/// The longest caption that WhatsApp takes, in characters.
const MAX_CAPTION: usize = 1024;

/// Where the files that customers sent are served from.
const MEDIA_HOST: &str = "lookaside.fbsbx.com";

/// Builds the request that sends a message. It may be made once only: the API has no idempotency key.
///
/// # Errors
/// What Meta would refuse anyway is refused here, before anything leaves.
pub(super) fn render(connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    let number = connection.account.provider.field(PHONE_NUMBER_ID);
    if !is_number_id(number) {
        return Err(RenderError::MalformedAccount);
    }
    let mut body = body(message)?;
    body.insert("biz_opaque_callback_data".to_owned(), message.reference.0.as_str().into());
    Ok(OutgoingRequest::post_json(format!("{}/{number}/messages", connection.hosts.get(API)), bearer(connection), &Value::Object(body)))
}

/// The document that describes a message.
///
/// Source: Meta, "Send messages" of the Cloud API.
///
/// # Errors
/// There is nothing to send, or too much of it; the kind can't be sent, or not with what is beside it.
pub(crate) fn body(message: &Outgoing<'_>) -> Result<Map<String, Value>, RenderError> {
    let (kind, object) = content(message)?;
    let mut body = Map::new();
    body.insert("messaging_product".to_owned(), "whatsapp".into());
    body.insert("recipient_type".to_owned(), "individual".into());
    match message.to {
        // With its `+`: a number without may be taken for one of the sender's own country.
        Address::Phone(number) => body.insert("to".to_owned(), number.as_str().into()),
        Address::Bsuid(id) => body.insert("recipient".to_owned(), id.as_str().into()),
    };
    if let Some(answered) = message.reply_to.filter(|id| !id.is_empty() && kind != "reaction") {
        body.insert("context".to_owned(), json!({"message_id": answered}));
    }
    body.insert("type".to_owned(), kind.into());
    body.insert(kind.to_owned(), object);
    Ok(body)
}

/// The message's type and the object under that name.
fn content(message: &Outgoing<'_>) -> Result<(&'static str, Value), RenderError> {
    match (message.content, &message.attachment) {
        (Content::Text { body: text } | Content::Media { caption: text }, Some(attachment)) => media(attachment, text),
        (Content::Text { body: text } | Content::Media { caption: text }, None) => {
            if text.trim().is_empty() {
                return Err(RenderError::Empty);
            }
            if text.chars().count() > MAX_TEXT {
                return Err(RenderError::TextTooLong { limit: MAX_TEXT });
            }
            Ok(("text", json!({"body": text, "preview_url": false})))
        }
        (_, Some(_)) => Err(RenderError::TooManyAttachments { limit: 0 }),
        (Content::Location { latitude, longitude, label, address }, None) => {
            let mut location = json!({"latitude": latitude, "longitude": longitude});
            for (name, value) in [("name", label), ("address", address)] {
                if let Some(value) = value {
                    location[name] = value.as_str().into();
                }
            }
            Ok(("location", location))
        }
        (Content::Contacts { cards }, None) => {
            if cards.is_empty() {
                return Err(RenderError::Empty);
            }
            let cards = cards.iter().map(|card| {
                // A formatted name alone is refused: one more part of a name is demanded.
                let mut shown = json!({"name": {"formatted_name": card.name, "first_name": card.name}});
                if !card.phones.is_empty() {
                    shown["phones"] = card.phones.iter().map(|phone| json!({"phone": phone})).collect();
                }
                if !card.emails.is_empty() {
                    shown["emails"] = card.emails.iter().map(|email| json!({"email": email})).collect();
                }
                if let Some(company) = &card.organization {
                    shown["org"] = json!({"company": company});
                }
                shown
            });
            Ok(("contacts", cards.collect()))
        }
        (Content::Reaction { message, emoji }, None) => Ok(("reaction", json!({"message_id": message, "emoji": emoji}))),
        (Content::Template(template), None) => Ok(("template", self::template(template)?)),
        (
            Content::Button { .. }
            | Content::ListReply { .. }
            | Content::Form { .. }
            | Content::System { .. }
            | Content::Unsupported { .. },
            None,
        ) => Err(RenderError::Unsupported),
    }
}

/// A file by its address. What WhatsApp does not take as a picture, a video or a recording goes as a document, which may be anything.
fn media(attachment: &OutgoingAttachment<'_>, caption: &str) -> Result<(&'static str, Value), RenderError> {
    let declared = attachment.content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, takes): (_, &[&str]) = match attachment.kind {
        AttachmentKind::Image => ("image", &["image/jpeg", "image/jpg", "image/png"]),
        AttachmentKind::Video => ("video", &["video/mp4", "video/3gpp"]),
        AttachmentKind::Audio | AttachmentKind::Voice => ("audio", &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"]),
        AttachmentKind::Sticker => ("sticker", &["image/webp"]),
        AttachmentKind::Document => ("document", &[]),
    };
    let kind = if takes.contains(&declared.as_str()) { kind } else { "document" };
    let mut object = json!({"link": attachment.url});
    if !caption.trim().is_empty() {
        // These have no caption, and what was written must not be lost.
        if kind == "audio" || kind == "sticker" {
            return Err(RenderError::Unsupported);
        }
        if caption.chars().count() > MAX_CAPTION {
            return Err(RenderError::TextTooLong { limit: MAX_CAPTION });
        }
        object["caption"] = caption.into();
    }
    if let Some(name) = attachment.name.filter(|name| kind == "document" && !name.is_empty()) {
        object["filename"] = name.into();
    }
    Ok((kind, object))
}

fn template(template: &Template) -> Result<Value, RenderError> {
    if template.name.is_empty() || template.language.is_empty() {
        return Err(RenderError::MalformedTemplate);
    }
    let mut components: Vec<Value> = Vec::new();
    if let Some(header) = &template.header {
        let parameter = match header {
            TemplateHeader::Text { text } => json!({"type": "text", "text": text}),
            TemplateHeader::Image { url } => json!({"type": "image", "image": {"link": url}}),
            TemplateHeader::Video { url } => json!({"type": "video", "video": {"link": url}}),
            TemplateHeader::Document { url, name: None } => json!({"type": "document", "document": {"link": url}}),
            TemplateHeader::Document { url, name: Some(name) } => {
                json!({"type": "document", "document": {"link": url, "filename": name}})
            }
        };
        components.push(json!({"type": "header", "parameters": [parameter]}));
    }
    if !template.body.is_empty() {
        let parameters: Vec<Value> = template.body.iter().map(|text| json!({"type": "text", "text": text})).collect();
        components.push(json!({"type": "body", "parameters": parameters}));
    }
    for button in &template.buttons {
        let (kind, parameter) = match button.kind {
            TemplateButtonKind::QuickReply => ("quick_reply", json!({"type": "payload", "payload": button.value})),
            TemplateButtonKind::Url => ("url", json!({"type": "text", "text": button.value})),
        };
        components.push(json!({"type": "button", "sub_type": kind, "index": button.index.to_string(), "parameters": [parameter]}));
    }
    let mut object = json!({"name": template.name, "language": {"code": template.language}});
    if !components.is_empty() {
        object["components"] = components.into();
    }
    Ok(object)
}

/// Reads the answer to the request of [`render`]: by the code in it, not by the HTTP status, which differs over versions and pages.
///
/// Only an answer that says so is a refusal: without a known code a 5xx, a redirect, a 408 or a 2xx that can't be read do not tell whether the message was
/// taken.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    if outcome.status.is_success() {
        return match read::id(&body["messages"][0]["id"]) {
            Some(provider_id) => SendResult::Accepted { provider_id, state: DeliveryState::Accepted },
            None => SendResult::Unknown,
        };
    }
    refused(outcome, read::number(&body["error"]["code"]))
}

/// What a refusal with one of Meta's codes, or with none, means.
pub(crate) fn refused(outcome: &SendOutcome<'_>, code: Option<u64>) -> SendResult {
    let status = outcome.status;
    let class = code.and_then(errors::class_of).filter(|_| code != Some(errors::UNKNOWN) || status.is_client_error());
    let limited = |scope| SendResult::RateLimited { retry_after: outcome.retry_after(), scope };
    let class = match (class, code) {
        (_, Some(errors::PAIR)) => return limited(RateScope::Recipient),
        (Some(ErrorClass::RateLimited), Some(errors::SPAM | errors::REGISTRATIONS)) => ErrorClass::RateLimited,
        (Some(ErrorClass::RateLimited), _) => return limited(RateScope::Number),
        (Some(class), _) => class,
        (None, _) if status == StatusCode::TOO_MANY_REQUESTS => return limited(RateScope::Number),
        (None, _) if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT => return SendResult::Unknown,
        // 404: there is no such number.
        (None, _) => match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
            _ => ErrorClass::Permanent,
        },
    };
    SendResult::Failed(DeliveryError { class, code: code.map(|code| code.to_string()) })
}

/// How to get a file: its id first asks for an address, which serves for five minutes and wants the token again.
///
/// The token goes to Meta's own host of such files and to the origin of the API, no other.
///
/// Source: Meta, "Media" of the Cloud API.
///
/// # Errors
/// It is neither an id nor an address, or there is no address in the answer.
pub(super) fn media_step(connection: &Connection<'_>, source: &str, resolved: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
    let api = connection.hosts.get(API);
    if let Some(answer) = resolved {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        return fetch(connection, read::word(&answer["url"]));
    }
    if !is_media_id(source) {
        return fetch(connection, source);
    }
    let number = connection.account.provider.field(PHONE_NUMBER_ID);
    let query = if is_number_id(number) { format!("?phone_number_id={number}") } else { String::new() };
    Ok(MediaStep::Resolve(OutgoingRequest::get(format!("{api}/{source}{query}"), bearer(connection))))
}

fn fetch(connection: &Connection<'_>, url: &str) -> Result<MediaStep, MediaAddressError> {
    let origin = Origin::parse(url).ok_or(MediaAddressError)?;
    let trusted = origin.is_under(MEDIA_HOST) || Origin::parse(connection.hosts.get(API)) == Some(origin);
    let authorization = if trusted { bearer(connection) } else { Authorization::None };
    Ok(MediaStep::Fetch(OutgoingRequest::fetch(url, authorization)))
}

/// Whether `text` can be a segment of a path; today's ids are digits.
fn is_media_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}
