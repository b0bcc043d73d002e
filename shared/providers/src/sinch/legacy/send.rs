//! Sends a message, and reads the answer.

use domain::message::{
    ApprovedTemplate, AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, TemplateButtonKind, TemplateHeader,
    TemplateParameter,
};
use domain::values::Address;
use http::StatusCode;
use serde_json::{Value, json};

use super::super::json::{id, word};
use super::super::{MAX_TEXT, is_id};
use super::{ACCOUNT_SID, bearer, bot_url, webhook};
use crate::{Connection, Outgoing, OutgoingAttachment, OutgoingRequest, RateScope, RenderError, SendOutcome, SendResult};

/// The longest caption that WhatsApp accepts, in characters.
const MAX_CAPTION: usize = 1024;

/// Builds the request that sends a message. Make it only once: the API has no idempotency key.
///
/// # Errors
/// Sinch would refuse the message.
pub(super) fn render(connection: &Connection<'_>, message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    if !is_id(connection.account.provider.field(ACCOUNT_SID)) {
        return Err(RenderError::MalformedAccount);
    }
    // Business-scoped ids are newer than this API.
    let Address::Phone(number) = message.to else { return Err(RenderError::UnsupportedRecipient) };
    let body = json!({
        "to": [number.as_str().trim_start_matches('+')],
        "message": content(message.content, message.attachment.as_ref())?,
        // Only reports go there, and the address returns our reference.
        "callback": message.status_callback,
    });
    Ok(OutgoingRequest::post_json(bot_url(connection, "/messages"), bearer(connection), &body))
}

pub(super) fn content(content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
    match (content, attachment) {
        (Content::Text { body: text } | Content::Media { caption: text }, Some(attachment)) => media(attachment, text),
        (Content::Text { body: text } | Content::Media { caption: text }, None) => {
            if text.trim().is_empty() {
                return Err(RenderError::Empty);
            }
            if text.chars().count() > MAX_TEXT {
                return Err(RenderError::TextTooLong { limit: MAX_TEXT });
            }
            Ok(json!({"type": "text", "text": text, "preview_url": false}))
        }
        (Content::Location { latitude, longitude, label, address }, None) => {
            let mut location = json!({"type": "location", "lat": latitude, "lng": longitude});
            for (key, value) in [("name", label), ("address", address)] {
                if let Some(value) = value {
                    location[key] = value.as_str().into();
                }
            }
            Ok(location)
        }
        (Content::Template(template), file) if template.wants_file() || file.is_none() => self::template(template, file),
        _ => Err(RenderError::Unsupported),
    }
}

fn media(attachment: &OutgoingAttachment<'_>, caption: &str) -> Result<Value, RenderError> {
    let (kind, has_caption) = match attachment.kind {
        AttachmentKind::Image => ("image", true),
        AttachmentKind::Video => ("video", true),
        AttachmentKind::Document => ("document", true),
        AttachmentKind::Audio | AttachmentKind::Voice => ("audio", false),
        AttachmentKind::Sticker => ("sticker", false),
    };
    let mut media = json!({"type": kind, "url": attachment.url});
    if let (AttachmentKind::Document, Some(name)) = (attachment.kind, attachment.name) {
        media["filename"] = name.into();
    }
    if !caption.trim().is_empty() {
        if !has_caption {
            return Err(RenderError::Unsupported);
        }
        if caption.chars().count() > MAX_CAPTION {
            return Err(RenderError::TextTooLong { limit: MAX_CAPTION });
        }
        media["caption"] = caption.into();
    }
    Ok(media)
}

/// The buttons are a list without positions. A button without parameters would have to be listed with its kind,
/// which is not known here. Parameters have no names and are texts; places, codes to copy, flows, cards and offers are
/// newer than this API.
fn template(template: &ApprovedTemplate, file: Option<&OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
    let newer = !template.cards.is_empty() || template.offer_ends_at.is_some();
    if template.name.is_empty() || newer || template.body.iter().any(|parameter| parameter.name().is_some()) {
        return Err(RenderError::MalformedTemplate);
    }
    let link = |url: &Option<String>| url.clone().or_else(|| file.map(|file| file.url.to_owned())).ok_or(RenderError::MalformedTemplate);
    let mut header_params: Vec<&str> = Vec::new();
    let media = match &template.header {
        None => json!({"type": "text"}),
        Some(TemplateHeader::Text { text, name: None }) => {
            header_params.push(text);
            json!({"type": "text"})
        }
        Some(TemplateHeader::Image { url }) => json!({"type": "image", "url": link(url)?}),
        Some(TemplateHeader::Video { url }) => json!({"type": "video", "url": link(url)?}),
        Some(TemplateHeader::Document { url, name }) => {
            let own = file.filter(|_| url.is_none()).and_then(|file| file.name);
            let mut document = json!({"type": "document", "url": link(url)?});
            if let Some(name) = name.as_deref().or(own) {
                document["filename"] = name.into();
            }
            document
        }
        Some(TemplateHeader::Text { name: Some(_), .. } | TemplateHeader::Location { .. }) => return Err(RenderError::MalformedTemplate),
    };
    let mut buttons: Vec<_> = template.buttons.iter().collect();
    buttons.sort_by_key(|button| button.index);
    let listed = |kind| matches!(kind, TemplateButtonKind::QuickReply | TemplateButtonKind::Url);
    if (0..).zip(&buttons).any(|(place, button)| button.index != place || !listed(button.kind)) {
        return Err(RenderError::MalformedTemplate);
    }
    let button = |button: &&domain::message::TemplateButton| match button.kind {
        TemplateButtonKind::QuickReply => json!({"type": "quick_reply", "payload": button.value}),
        TemplateButtonKind::Url | TemplateButtonKind::CopyCode | TemplateButtonKind::Flow => {
            json!({"type": "url", "parameter": button.value})
        }
    };
    let mut message = json!({
        "type": "template",
        "template_name": template.name,
        "header_params": header_params,
        "body_params": template.body.iter().map(TemplateParameter::text).collect::<Vec<_>>(),
        "media": media,
    });
    if !buttons.is_empty() {
        message["buttons"] = buttons.iter().map(button).collect();
    }
    if !template.language.is_empty() {
        message["language"] = template.language.as_str().into();
    }
    Ok(message)
}

/// Reads Sinch's answer to the request of [`render`]. It has the form of a report.
///
/// Only an explicit refusal counts as one. A 5xx, a redirect, a 408 or an unreadable 201 doesn't tell whether Sinch
/// accepted the message.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let status = outcome.status;
    if status.is_success() {
        let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
        let report = &body["statuses"][0];
        let Some(provider_id) = id(&report["message_id"]) else { return SendResult::Unknown };
        return match webhook::state_of(word(&report["state"])) {
            Some((name, DeliveryState::Failed)) => SendResult::Failed(webhook::failure(name, report)),
            Some((_, state)) => SendResult::Accepted { provider_id, state },
            None => SendResult::Accepted { provider_id, state: DeliveryState::Accepted },
        };
    }
    if status == StatusCode::TOO_MANY_REQUESTS {
        return SendResult::RateLimited { retry_after: outcome.retry_after(), scope: RateScope::Number };
    }
    if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SendResult::Unknown;
    }
    let class = match status {
        // Another region also answers 401.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
        _ => ErrorClass::Permanent,
    };
    SendResult::Failed(DeliveryError { class, code: None })
}
