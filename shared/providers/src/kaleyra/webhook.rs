//! Reads a callback in one of three forms.
//!
//! - **V2**: Meta's change object as `meta_object`, with `extra_info` beside it; or Meta's whole envelope, in case
//!   Kaleyra passes it on.
//! - **V1**: flat texts in the query, a form or JSON, wherever the company's own callback profile puts the
//!   placeholders `<body>`, `<from>` and so on.
//!
//! Nothing in them is proven to be Kaleyra's. A V1 message has no id. Its id is made from its contents, so that a
//! repetition gets the same one.
//!
//! Sources: developers.kaleyra.io, "WhatsApp callback URL", "Create callback profile for incoming WhatsApp
//! messages" and the samples of V2 payloads. The form of times, nested values and failures in V1 is not published:
//! every unambiguous form is accepted.

use std::collections::HashMap;

use domain::ids::AccountId;
use domain::inbound::{InboundAttachment, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::Address;
use http::Method;
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde_json::Value;

use crate::json;
use crate::meta::content::{cards, content_type, place};
use crate::meta::webhook::{Reader, reference, state_of as meta_state_of};
use crate::{ParseError, Parsed, Webhook, bsuid, fingerprint, phone};

/// The form that a callback must have, in words.
const EXPECTED: &str = "a JSON object or a form";

/// The parameters that make a V1 message's id: those that a repetition repeats.
const IDENTITY: [&str; 8] = ["from", "created_at", "type", "body", "media_url", "location", "contacts", "custom_response"];

/// The parameters of a V1 message's contents. A report has none of them.
const CONTENT: [&str; 5] = ["body", "media_url", "location", "contacts", "custom_response"];

/// Reads a callback.
///
/// # Errors
/// The callback is neither JSON nor a form, or it is empty.
pub(super) fn parse(webhook: &Webhook<'_>, account: &AccountId, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    let reader = Reader { account, received_at, state_of };
    let (root, raw) = document(webhook)?;
    let mut events = if root["meta_object"].is_object() {
        passed_on(&reader, &root)
    } else if !root["entry"].is_null() {
        reader.envelope(&root)
    } else {
        flat(&reader, &root)
    };
    if let [only] = events.as_mut_slice() {
        // The raw part is the whole callback, with the parts beside the message.
        *only = Parsed { number: only.number.take(), ..Parsed::new(account, &only.event.id, received_at, only.event.kind.clone(), &raw) };
    }
    Ok(Parsed::numbered(events))
}

/// The parameters as one JSON object, and as raw text.
fn document(webhook: &Webhook<'_>) -> Result<(Value, String), ParseError> {
    let body = String::from_utf8_lossy(webhook.body);
    if *webhook.method == Method::GET || body.trim().is_empty() {
        let query = webhook.raw_query();
        return form(query.as_bytes())
            .map(|parameters| (parameters, query.to_owned()))
            .ok_or(ParseError::Unreadable { expected: EXPECTED });
    }
    let parsed = match json::read(webhook.body) {
        Some(object @ Value::Object(_)) => Some(object),
        // Some profiles send a list of one.
        Some(Value::Array(mut list)) if list.len() == 1 => list.pop().filter(Value::is_object),
        _ if webhook.content_type() == "application/x-www-form-urlencoded" => form(webhook.body),
        _ => None,
    };
    parsed.map(|parameters| (parameters, body.into_owned())).ok_or(ParseError::Unreadable { expected: EXPECTED })
}

/// A form's parameters. Of a repeated parameter the first counts.
fn form(bytes: &[u8]) -> Option<Value> {
    let mut parameters: HashMap<String, Value> = HashMap::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        parameters.entry(name.into_owned()).or_insert_with(|| value.into_owned().into());
    }
    (!parameters.is_empty()).then(|| Value::Object(parameters.into_iter().collect()))
}

/// A state of a sent message, in any case: one of Meta's, or that Kaleyra did not hand the message to Meta.
fn state_of(status: &str) -> Option<(&'static str, DeliveryState)> {
    match status.to_ascii_lowercase().as_str() {
        "not-sent" | "not_sent" | "not sent" | "notsent" => Some(("not-sent", DeliveryState::Failed)),
        other => meta_state_of(other),
    }
}

/// The events of a V2 callback.
fn passed_on(reader: &Reader<'_>, root: &Value) -> Vec<Parsed> {
    let (object, extra) = (&root["meta_object"], &root["extra_info"]);
    let reported = || {
        let known = state_of(json::word(&root["status"])).is_some();
        let elements = ["statuses", "messages"].into_iter().any(|name| !json::list(&object["value"][name]).is_empty());
        (known && !elements).then(|| report(reader, root)).flatten()
    };
    if let Some(parsed) = reported() {
        return vec![parsed];
    }
    let mut events = reader.envelope(object);
    let media_url = json::value(&extra["media_url"]);
    let mut attachments: Vec<&mut InboundAttachment> = Vec::new();
    for parsed in &mut events {
        match &mut parsed.event.kind {
            InboundKind::Message(message) => {
                if message.reply_to.is_none() && !message.forwarded {
                    message.reply_to = json::id(&extra["reply_to"]);
                }
                attachments.extend(&mut message.attachments);
            }
            InboundKind::Status(status) if status.reference.is_none() => status.reference = reference(&extra["ref"]),
            _ => {}
        }
    }
    // The address of Kaleyra's copy. A file with Meta's id alone can't be fetched, and its thread says so.
    if let ([attachment], Some(url)) = (attachments.as_mut_slice(), media_url) {
        attachment.source = url;
    }
    events
}

/// Kaleyra's own report on a message that Meta never saw. It may hold Kaleyra's id, but our reference says which
/// message it is.
fn report(reader: &Reader<'_>, root: &Value) -> Option<Parsed> {
    let (name, state) = state_of(json::word(&root["status"]))?;
    let extra = &root["extra_info"];
    let given = if root["ref"].is_null() { &extra["ref"] } else { &root["ref"] };
    let reference = reference(given);
    let ids = [&root["message_id"], &extra["message_id"], &root["id"]];
    let provider_id = ids.into_iter().find_map(json::id).or_else(|| reference.clone())?;
    let code = [&root["error_code"], &root["code"]].into_iter().find_map(json::value);
    let update = StatusUpdate {
        reference,
        state,
        error: (state == DeliveryState::Failed)
            .then(|| DeliveryError { class: super::send::class_of(code.as_deref()).unwrap_or(ErrorClass::Permanent), code }),
        at: time(&json::value(&root["created_at"]).unwrap_or_default(), reader.received_at),
        recipients: Vec::new(),
        charge: None,
        provider_id,
    };
    let id = format!("{}#{name}", update.provider_id);
    Some(Parsed::new(reader.account, &id, reader.received_at, InboundKind::Status(update), &root.to_string()))
}

/// The events of a V1 callback.
fn flat(reader: &Reader<'_>, root: &Value) -> Vec<Parsed> {
    let parameters = Parameters(root);
    let written = CONTENT.iter().any(|name| parameters.get(name).is_some());
    if !written && let Some(parsed) = report(reader, root) {
        return vec![parsed];
    }
    if let Some(from) = parameters.sender() {
        return vec![message(reader, &parameters, from)];
    }
    // Some profiles put everything into one parameter.
    let nested = parameters.nested("message");
    let rows: Vec<Parsed> = json::list(&nested).iter().filter_map(|row| row_of(reader, row)).collect();
    if !rows.is_empty() {
        return rows;
    }
    // A number's quality, as Kaleyra reports it.
    if parameters.get("event").is_some() && parameters.get("display_phone_number").is_some() {
        return vec![reader.alerted("phone_number_quality_update", root, None, &root.to_string())];
    }
    let name = ["event", "type"].into_iter().find_map(|name| parameters.get(name)).unwrap_or_default();
    vec![reader.other(&name, root)]
}

/// A row that is a message in Meta's form without an id. The id is made from the row itself.
fn row_of(reader: &Reader<'_>, row: &Value) -> Option<Parsed> {
    let mut row = row.clone();
    let fields = row.as_object_mut()?;
    if !fields.contains_key("id") {
        let id = fingerprint(Value::Object(fields.clone()).to_string().as_bytes());
        fields.insert("id".to_owned(), id.into());
    }
    let parsed = reader.message(&row, std::slice::from_ref(&row), true);
    matches!(parsed.event.kind, InboundKind::Message(_)).then_some(parsed)
}

fn message(reader: &Reader<'_>, parameters: &Parameters<'_>, from: Address) -> Parsed {
    let sent_at = parameters.get("created_at").and_then(|text| time(&text, reader.received_at));
    let id = parameters.fingerprint(reader.received_at);
    let attachment = parameters.attachment();
    let content = parameters.content(attachment.is_some());
    let beside = |body: &String| !content.readable().contains(body.as_str()) && Some(body) != parameters.get("media_url").as_ref();
    let words = parameters.text("body").filter(beside);
    let message = InboundMessage {
        provider_id: id.clone(),
        from,
        alias: None,
        also: Vec::new(),
        profile_name: parameters.get("name").map(ProfileName),
        sent_at,
        content,
        attachments: attachment.into_iter().collect(),
        reply_to: parameters.get("reply_to"),
        forwarded: false,
        username: None,
        referral: None,
        product: None,
        words,
        cut: false,
    };
    Parsed::new(reader.account, &id, reader.received_at, InboundKind::Message(message), &parameters.0.to_string())
}

/// The parameters of a V1 profile.
struct Parameters<'a>(&'a Value);

impl Parameters<'_> {
    /// The value, if there is one. An unfilled placeholder counts as absent. Nested values come as JSON or as JSON
    /// text.
    fn text(&self, name: &str) -> Option<String> {
        let value = match &self.0[name] {
            nested @ (Value::Object(_) | Value::Array(_)) => nested.to_string(),
            plain => json::whole(plain)?,
        };
        let empty = matches!(value.trim(), "" | "null" | "{}" | "[]") || value == format!("<{name}>");
        (!empty).then_some(value)
    }

    fn get(&self, name: &str) -> Option<String> {
        self.text(name).map(json::shortened)
    }

    fn nested(&self, name: &str) -> Value {
        self.text(name).and_then(|text| json::read(text.as_bytes())).unwrap_or_default()
    }

    /// The customer.
    fn sender(&self) -> Option<Address> {
        ["from", "mobile"].into_iter().find_map(|name| {
            let text = self.get(name)?;
            let text = text.trim();
            // An unencoded `+` in a query is a space.
            phone(text).map(Address::Phone).or_else(|| bsuid(text))
        })
    }

    fn kind(&self) -> String {
        self.get("type").unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The same callback has the same id however often it comes. Without a time, nothing tells a repetition from a
    /// customer who writes the same again. Then two within a minute count as one, so at most a hasty "ok" is lost.
    fn fingerprint(&self, received_at: Timestamp) -> String {
        let mut identity: Vec<String> = IDENTITY.iter().map(|name| self.text(name).unwrap_or_default()).collect();
        if self.get("created_at").is_none() {
            identity.push((received_at.as_second() / 60).to_string());
        }
        fingerprint(Value::from(identity).to_string().as_bytes())
    }

    fn attachment(&self) -> Option<InboundAttachment> {
        let source = self.get("media_url")?;
        let kind = match self.kind().as_str() {
            "image" => Some(AttachmentKind::Image),
            "video" => Some(AttachmentKind::Video),
            "audio" => Some(AttachmentKind::Audio),
            "voice" => Some(AttachmentKind::Voice),
            "document" => Some(AttachmentKind::Document),
            "sticker" => Some(AttachmentKind::Sticker),
            _ => None,
        };
        let content_type = content_type(&self.get("mime_type").unwrap_or_default().into());
        Some(InboundAttachment { source, content_type, name: None, kind, sha256: None })
    }

    fn content(&self, has_attachment: bool) -> Content {
        let body = self.text("body");
        if has_attachment {
            let caption = body.filter(|body| Some(body) != self.get("media_url").as_ref());
            return Content::Media { caption: caption.unwrap_or_default() };
        }
        let location = self.nested("location");
        if let Some(place) = place(&location) {
            return place;
        }
        if let Some(cards) = cards(&self.nested("contacts")) {
            return cards;
        }
        let kind = self.kind();
        let payload = self.get("custom_response");
        match (kind.as_str(), body) {
            ("button" | "interactive", Some(body)) => Content::Button { text: body, payload },
            (_, Some(body)) => Content::Text { body },
            (_, None) => match payload {
                Some(payload) => Content::Button { text: payload.clone(), payload: Some(payload) },
                None => Content::Unsupported { kind: if kind.is_empty() { "unknown".to_owned() } else { kind }, detail: None },
            },
        }
    }
}

/// A time in seconds or milliseconds since 1970, or with its zone in one of the usual forms. A time without a zone
/// could be hours off, so it is ignored.
fn time(text: &str, received_at: Timestamp) -> Option<Timestamp> {
    let text = text.trim();
    let at = match text.parse::<i64>() {
        Ok(number) => [Timestamp::from_second(number), Timestamp::from_millisecond(number)]
            .into_iter()
            .flatten()
            .find_map(|at| json::plausible(at, received_at)),
        Err(_) => text.parse().ok().or_else(|| rfc2822::parse(text).ok().map(|at| at.timestamp())),
    };
    at.and_then(|at| json::plausible(at, received_at))
}
