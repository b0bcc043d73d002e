//! Sends a message, and reads the answer.
//!
//! A media message has no caption, but a card without buttons has a title. According to Sinch's documentation of
//! the WhatsApp channel, a card's picture or video is shown as such and its title as text with it, whichever of
//! WhatsApp's forms the card takes. Other files may become a bare link, and WhatsApp's recordings and stickers have
//! no captions at all. A caption with those is refused: a file that arrives without its caption, or as a link, is
//! worse than one that the agent sends again without.

use domain::message::{
    ApprovedTemplate, AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, TemplateButtonKind, TemplateHeader,
};
use domain::values::Address;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::super::json::{id, word};
use super::super::{MAX_TEXT, is_id};
use super::{APP_ID, PROJECT_ID, bearer, project_url};
use crate::{Connection, Outgoing, OutgoingAttachment, OutgoingRequest, RateScope, RenderError, SendOutcome, SendResult};

/// The longest caption that WhatsApp accepts, in characters.
const MAX_CAPTION: usize = 1024;

/// Builds the request that sends a message. Make it only once: the API has no idempotency key.
///
/// # Errors
/// Sinch would refuse the message, or might show it in another form than the agent wrote it.
pub(super) fn render(connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    let provider = &connection.account.provider;
    if !is_id(provider.field(PROJECT_ID)) || !is_id(provider.field(APP_ID)) {
        return Err(RenderError::MalformedAccount);
    }
    let body = json!({
        "app_id": provider.field(APP_ID),
        "recipient": {"identified_by": {"channel_identities": [{"channel": "WHATSAPP", "identity": identity(message.to)}]}},
        "message": content(message)?,
        "channel_priority_order": ["WHATSAPP"],
        // It returns as `metadata` of the reports, unlike `correlation_id`, which stays with the conversation.
        "message_metadata": message.reference.0,
    });
    Ok(OutgoingRequest::post_json(project_url(connection, "/messages:send"), bearer(connection), &body))
}

fn identity(to: &Address) -> &str {
    match to {
        Address::Phone(number) => number.as_str().trim_start_matches('+'),
        Address::Bsuid(id) => id,
    }
}

fn content(message: &Outgoing<'_>) -> Result<Value, RenderError> {
    match (message.content, &message.attachment) {
        (Content::Text { body: text } | Content::Media { caption: text }, Some(attachment)) => media(attachment, text),
        (Content::Text { body: text } | Content::Media { caption: text }, None) => {
            if text.trim().is_empty() {
                return Err(RenderError::Empty);
            }
            if text.chars().count() > MAX_TEXT {
                return Err(RenderError::TextTooLong { limit: MAX_TEXT });
            }
            Ok(json!({"text_message": {"text": text}}))
        }
        (Content::Location { latitude, longitude, label, address }, None) => {
            let mut location = json!({"coordinates": {"latitude": latitude, "longitude": longitude}});
            // Sinch requires a title.
            location["title"] =
                label.as_deref().or(address.as_deref()).map_or_else(|| format!("{latitude}, {longitude}"), str::to_owned).into();
            if let Some(address) = address {
                location["label"] = address.as_str().into();
            }
            Ok(json!({"location_message": location}))
        }
        (Content::Template(template), None) => self::template(template),
        _ => Err(RenderError::Unsupported),
    }
}

fn media(attachment: &OutgoingAttachment<'_>, caption: &str) -> Result<Value, RenderError> {
    let mut media = json!({"url": attachment.url});
    if let Some(name) = attachment.name {
        media["filename_override"] = name.into();
    }
    if caption.trim().is_empty() {
        return Ok(json!({"media_message": media}));
    }
    if caption.chars().count() > MAX_CAPTION {
        return Err(RenderError::TextTooLong { limit: MAX_CAPTION });
    }
    match attachment.kind {
        AttachmentKind::Image | AttachmentKind::Video => Ok(json!({"card_message": {"title": caption, "media_message": media}})),
        AttachmentKind::Audio | AttachmentKind::Voice | AttachmentKind::Document | AttachmentKind::Sticker => Err(RenderError::Unsupported),
    }
}

/// Parameters have keys like `body[1]text` and `button[0]url[1]text`: buttons count from 0, parameters from 1.
fn template(template: &ApprovedTemplate) -> Result<Value, RenderError> {
    if template.name.is_empty() {
        return Err(RenderError::MalformedTemplate);
    }
    let mut parameters = Map::new();
    let mut set = |key: String, value: &str| parameters.insert(key, value.into());
    match &template.header {
        Some(TemplateHeader::Text { text }) => drop(set("header[1]text".into(), text)),
        Some(TemplateHeader::Image { url }) => drop(set("header[1]image.link".into(), url)),
        Some(TemplateHeader::Video { url }) => drop(set("header[1]video.link".into(), url)),
        Some(TemplateHeader::Document { url, name }) => {
            set("header[1]document.link".into(), url);
            if let Some(name) = name {
                set("header[1]document.filename".into(), name);
            }
        }
        None => {}
    }
    for (index, value) in template.body.iter().enumerate() {
        set(format!("body[{}]text", index + 1), value);
    }
    for button in &template.buttons {
        let key = match button.kind {
            TemplateButtonKind::QuickReply => format!("button[{}]quick_reply[1]payload", button.index),
            TemplateButtonKind::Url => format!("button[{}]url[1]text", button.index),
        };
        set(key, &button.value);
    }
    let mut reference = json!({"template_id": template.name, "parameters": parameters});
    if !template.language.is_empty() {
        reference["language_code"] = template.language.as_str().into();
    }
    Ok(json!({"template_message": {"channel_template": {"WHATSAPP": reference}}}))
}

/// Reads Sinch's answer to the request of [`render`]. Many faults of a message come later, as a report.
///
/// Only an explicit refusal counts as one. A 5xx, a redirect, a 408 or an unreadable 200 doesn't tell whether Sinch
/// accepted the message.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let status = outcome.status;
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    if status.is_success() {
        return match id(&body["message_id"]) {
            Some(provider_id) => SendResult::Accepted { provider_id, state: DeliveryState::Accepted },
            None => SendResult::Unknown,
        };
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return SendResult::RateLimited { retry_after: outcome.retry_after(), scope: RateScope::Number };
    }
    if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SendResult::Unknown;
    }
    let class = match status {
        // 404: this project or app does not exist in this region.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
        _ => ErrorClass::Permanent,
    };
    // A name from a fixed list, e.g. `INVALID_ARGUMENT`. The text with it may repeat the customer's message.
    let code = Some(word(&body["error"]["status"]))
        .filter(|code| (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    SendResult::Failed(DeliveryError { class, code: code.map(ToOwned::to_owned) })
}
