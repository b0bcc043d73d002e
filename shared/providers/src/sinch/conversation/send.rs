//! Sends a message, and reads the answer.
//!
//! A media message has no caption, but a card without buttons has a title. According to Sinch's documentation of
//! the WhatsApp channel, a card's picture or video is shown as such and its title as text with it, whichever of
//! WhatsApp's forms the card takes. Other files may become a bare link, and WhatsApp's recordings and stickers have
//! no captions at all. A caption with those is refused: a file that arrives without its caption, or as a link, is
//! worse than one that the agent sends again without.

use domain::message::{
    ApprovedTemplate, AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, TemplateButton, TemplateButtonKind,
    TemplateHeader, TemplateParameter,
};
use domain::template::{NamedParameter, ParameterValue};
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
        "message": content(message.content, message.attachment.as_ref())?,
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
        (Content::Template(template), file) if template.wants_file() || file.is_none() => self::template(template, file),
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

/// Parameters have keys like `body[1]text` and `button[0]url[1]text`: buttons and cards count from 0, parameters from
/// 1. The last part of a key is a property of the parameter in Meta's document.
///
/// Source: Sinch, "WhatsApp template support".
fn template(template: &ApprovedTemplate, file: Option<&OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
    if template.name.is_empty() || template.offer_ends_at.is_some() {
        return Err(RenderError::MalformedTemplate);
    }
    let mut parameters = Map::new();
    part("", template.header.as_ref(), &template.body, &template.buttons, file, &mut parameters)?;
    for (index, card) in template.cards.iter().enumerate() {
        part(&format!("carousel[{index}]"), card.header.as_ref(), &card.body, &card.buttons, None, &mut parameters)?;
    }
    let mut reference = json!({"template_id": template.name, "parameters": parameters});
    if !template.language.is_empty() {
        reference["language_code"] = template.language.as_str().into();
    }
    Ok(json!({"template_message": {"channel_template": {"WHATSAPP": reference}}}))
}

fn part(
    path: &str,
    header: Option<&TemplateHeader>,
    body: &[TemplateParameter],
    buttons: &[TemplateButton],
    file: Option<&OutgoingAttachment<'_>>,
    parameters: &mut Map<String, Value>,
) -> Result<(), RenderError> {
    let mut set = |key: String, value: &str| drop(parameters.insert(format!("{path}{key}"), value.into()));
    let link = |url: &Option<String>| url.clone().or_else(|| file.map(|file| file.url.to_owned())).ok_or(RenderError::MalformedTemplate);
    match header {
        Some(TemplateHeader::Text { text, name }) => {
            set("header[1]text".into(), text);
            name.iter().for_each(|name| set("header[1]parameter_name".into(), name));
        }
        Some(TemplateHeader::Image { url }) => set("header[1]image.link".into(), &link(url)?),
        Some(TemplateHeader::Video { url }) => set("header[1]video.link".into(), &link(url)?),
        Some(TemplateHeader::Document { url, name }) => {
            set("header[1]document.link".into(), &link(url)?);
            let own = file.filter(|_| url.is_none()).and_then(|file| file.name);
            if let Some(name) = name.as_deref().or(own) {
                set("header[1]document.filename".into(), name);
            }
        }
        Some(TemplateHeader::Location { latitude, longitude, label, address }) => {
            set("header[1]location.latitude".into(), &latitude.0.to_string());
            set("header[1]location.longitude".into(), &longitude.0.to_string());
            label.iter().for_each(|label| set("header[1]location.name".into(), label));
            address.iter().for_each(|address| set("header[1]location.address".into(), address));
        }
        None => {}
    }
    for (number, parameter) in (1..).zip(body) {
        let mut of_body = |key: &str, value: &str| set(format!("body[{number}]{key}"), value);
        if let Some(name) = parameter.name() {
            of_body("parameter_name", name);
        }
        match parameter {
            TemplateParameter::Full(NamedParameter { value: ParameterValue::Currency(money), .. }) => {
                of_body("currency.fallback_value", &money.fallback);
                of_body("currency.code", &money.code);
                of_body("currency.amount_1000", &money.amount_1000.to_string());
            }
            TemplateParameter::Full(NamedParameter { value: ParameterValue::DateTime(date), .. }) => {
                of_body("date_time.fallback_value", &date.fallback);
            }
            TemplateParameter::Plain(text) | TemplateParameter::Full(NamedParameter { value: ParameterValue::Text(text), .. }) => {
                of_body("text", text);
            }
        }
    }
    for button in buttons {
        let key = match button.kind {
            TemplateButtonKind::QuickReply => format!("button[{}]quick_reply[1]payload", button.index),
            TemplateButtonKind::Url => format!("button[{}]url[1]text", button.index),
            TemplateButtonKind::CopyCode => format!("button[{}]copy_code[1]coupon_code", button.index),
            // The keys of a flow's parameters are not documented.
            TemplateButtonKind::Flow => return Err(RenderError::MalformedTemplate),
        };
        set(key, &button.value);
    }
    Ok(())
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
