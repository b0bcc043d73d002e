//! Reads a callback: one event, under its one key.

use domain::account::Account;
use domain::effect::MessageRef;
use domain::inbound::{Annotated, Annotation, Elsewhere, InboundKind, InboundMessage, ReactionEmoji, StatusUpdate};
use domain::message::{Content, DeliveryError, DeliveryState, ErrorClass, Origin};
use jiff::Timestamp;
use serde_json::Value;

use super::super::json::{self, value, whole, word, words};
use super::{APP_ID, PROJECT_ID};
use crate::{ParseError, Parsed, fingerprint};

/// The known events, each by its key. Any other event is stored under its key too.
const KNOWN: &[&str] =
    &["message", "message_delivery_report", "event", "unsupported_callback", "message_submit_notification", "channel_event_notification"];

/// The keys that accompany every event.
const ENVELOPE: &[&str] = &["app_id", "project_id", "accepted_time", "event_time", "message_metadata", "correlation_id"];

/// The only channel that accounts have.
const CHANNEL: &str = "WHATSAPP";

/// Reads a verified callback. A message's event has the id of Sinch's message, a report the message's id and its
/// state.
///
/// # Errors
/// The body is not a JSON object.
pub(super) fn parse(body: &[u8], account: &Account, received_at: Timestamp) -> Result<Vec<Parsed>, ParseError> {
    let envelope = json::body(body)?;
    let raw = String::from_utf8_lossy(body);
    let reader = Reader { account, received_at, raw: &raw };
    let project = word(&envelope["project_id"]);
    let app = value(&envelope["app_id"]);
    let own_app = app.as_deref().is_none_or(|app| app == account.provider.field(APP_ID));
    let event = if own_app && !project.is_empty() && project != account.provider.field(PROJECT_ID) {
        Some(reader.other("another_project"))
    } else {
        reader.event(&envelope)
    };
    let event = event.map(|event| match app {
        Some(app) => event.at_number(app),
        None => event,
    });
    Ok(Parsed::numbered(event.into_iter().collect()))
}

/// Reads a message of the API's list ([`super::admin::missed`]) as if it had come by a callback.
pub(super) fn read_listed(message: &Value, account: &Account, received_at: Timestamp) -> Option<Parsed> {
    let raw = message.to_string();
    let parsed = Reader { account, received_at, raw: &raw }.message(message, None);
    matches!(parsed.event.kind, InboundKind::Message(_)).then_some(parsed)
}

/// The values that all events of a request have in common.
struct Reader<'a> {
    account: &'a Account,
    received_at: Timestamp,
    raw: &'a str,
}

impl Reader<'_> {
    /// The event, or `None` if there is nothing worth storing.
    fn event(&self, envelope: &Value) -> Option<Parsed> {
        let at = json::instant(&envelope["event_time"], self.received_at);
        let accepted = json::instant(&envelope["accepted_time"], self.received_at);
        let keys = || envelope.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
        let key = keys().find(|key| KNOWN.contains(key)).or_else(|| keys().find(|key| !ENVELOPE.contains(key))).unwrap_or("nothing");
        let event = &envelope[key];
        match key {
            "message" => Some(self.message(event, at.or(accepted))),
            "message_delivery_report" => Some(self.report(event, at.or(accepted))),
            "event" => self.contact_event(event, at.or(accepted)),
            "unsupported_callback" => Some(self.unsupported(event, at.or(accepted))),
            "message_submit_notification" => Some(self.submitted(event, at.or(accepted))),
            "channel_event_notification" => Some(self.alert(event, at.or(accepted))),
            _ => Some(self.other(key)),
        }
    }

    fn other(&self, name: &str) -> Parsed {
        Parsed::other(&self.account.id, self.received_at, name, self.raw)
    }

    fn parsed(&self, id: &str, kind: InboundKind) -> Parsed {
        Parsed::new(&self.account.id, id, self.received_at, kind, self.raw)
    }

    /// Sinch's id. Without one, an id that a repetition of the callback gets too.
    fn id(&self, id: &Value) -> String {
        json::id(id).unwrap_or_else(|| fingerprint(self.raw.as_bytes()))
    }

    fn message(&self, message: &Value, at: Option<Timestamp>) -> Parsed {
        let identity = &message["channel_identity"];
        if word(&message["direction"]) == "TO_CONTACT" {
            return self.other("message_to_contact");
        }
        if word(&identity["channel"]) != CHANNEL {
            return self.other("message_of_another_channel");
        }
        let Some(from) = json::address(&identity["identity"]) else { return self.other("message_of_nobody") };
        let contact_message = &message["contact_message"];
        let id = self.id(&message["id"]);
        let (content, attachment) = read_content(contact_message);
        let words = json::beside(contact_message, &content);
        let answered = json::id(&contact_message["reply_to"]["message_id"]);
        let kind = InboundKind::Message(InboundMessage {
            provider_id: id.clone(),
            from,
            alias: None,
            also: Vec::new(),
            // The callback has none, and the name of the API's contact may come from another channel or from a
            // person.
            profile_name: None,
            sent_at: at.or_else(|| json::instant(&message["accept_time"], self.received_at)),
            content,
            attachments: attachment.into_iter().collect(),
            reply_to: answered.or_else(|| json::id(&contact_message["choice_response_message"]["message_id"])),
            forwarded: false,
            username: None,
            referral: None,
            product: None,
            words,
            cut: false,
        });
        self.parsed(&id, kind)
    }

    /// A message that Sinch has no form for is still a customer's message.
    fn unsupported(&self, callback: &Value, at: Option<Timestamp>) -> Parsed {
        let (identity, channel) = (&callback["channel_identity"], word(&callback["channel"]));
        let channel = if channel.is_empty() { word(&identity["channel"]) } else { channel };
        let from = json::address(&identity["identity"]).or_else(|| json::address(identity));
        let (Some(id), Some(from), CHANNEL) = (json::id(&callback["id"]), from, channel) else {
            return self.other("unsupported_callback");
        };
        let payload = callback["payload"].as_str().and_then(|payload| json::read(payload.as_bytes())).unwrap_or_default();
        let kind = [&payload["type"], &payload["message"]["type"], &payload["messages"][0]["type"]].into_iter().find_map(value);
        let kind = InboundKind::Message(InboundMessage {
            provider_id: id.clone(),
            from,
            alias: None,
            also: Vec::new(),
            profile_name: None,
            sent_at: at,
            content: Content::Unsupported { kind: kind.unwrap_or_else(|| "unknown".to_owned()), detail: words(&payload) },
            attachments: Vec::new(),
            reply_to: None,
            forwarded: false,
            username: None,
            referral: None,
            product: None,
            words: None,
            cut: false,
        });
        self.parsed(&id, kind)
    }

    /// A message that was sent through the app. Ours carry our reference; any other one comes from another system.
    fn submitted(&self, notification: &Value, at: Option<Timestamp>) -> Parsed {
        let identity = &notification["channel_identity"];
        let ours = value(&notification["metadata"]).and_then(|reference| MessageRef(reference).key(&self.account.id)).is_some();
        let customer = json::address(&identity["identity"]).filter(|_| word(&identity["channel"]) == CHANNEL && !ours);
        let (Some(id), Some(customer)) = (json::id(&notification["message_id"]), customer) else {
            return self.other("message_submit_notification");
        };
        let submitted = &notification["submitted_message"];
        let (content, attachment) = read_content(submitted);
        let kind = InboundKind::Elsewhere(Elsewhere {
            provider_id: id.clone(),
            customer,
            alias: None,
            profile_name: None,
            from_customer: false,
            origin: Some(Origin::OtherSystem),
            sent_at: at,
            words: json::beside(submitted, &content),
            content,
            attachments: attachment.into_iter().collect(),
            reply_to: None,
            cut: false,
        });
        self.parsed(&format!("{id}#submitted"), kind)
    }

    /// What WhatsApp says about the number, e.g. that its quality changed.
    fn alert(&self, notification: &Value, at: Option<Timestamp>) -> Parsed {
        let event = &notification["channel_event"];
        let kind = InboundKind::Alert(crate::alert("channel_event_notification", event, at));
        self.parsed(&fingerprint(self.raw.as_bytes()), kind)
    }

    /// A typing event is not stored: it is over before it could be shown.
    fn contact_event(&self, event: &Value, at: Option<Timestamp>) -> Option<Parsed> {
        let contact_event = &event["contact_event"];
        if !contact_event["composing_event"].is_null() || !contact_event["composing_end_event"].is_null() {
            return None;
        }
        let reaction = &event["contact_message_event"]["reaction_event"];
        let identity = &event["channel_identity"];
        let whole = (json::id(&reaction["message_id"]), json::address(&identity["identity"]), word(&identity["channel"]));
        let (Some(message), Some(from), CHANNEL) = whole else { return Some(self.other("event")) };
        let id = self.id(&event["id"]);
        let emoji = value(&reaction["emoji"]).filter(|_| word(&reaction["action"]) != "REACTION_ACTION_UNREACT").map(ReactionEmoji);
        let annotation = Annotation {
            provider_id: id.clone(),
            from,
            alias: None,
            also: Vec::new(),
            sent_at: at.or_else(|| json::instant(&event["accept_time"], self.received_at)),
            what: Annotated::Reaction { message, emoji },
        };
        Some(self.parsed(&id, InboundKind::Annotation(annotation)))
    }

    fn report(&self, report: &Value, at: Option<Timestamp>) -> Parsed {
        let channel = word(&report["channel_identity"]["channel"]);
        let ours = channel.is_empty() || channel == CHANNEL;
        let (Some(message), Some((name, state)), true) = (json::id(&report["message_id"]), state_of(word(&report["status"])), ours) else {
            return self.other("message_delivery_report");
        };
        let update = StatusUpdate {
            provider_id: message.clone(),
            reference: value(&report["metadata"]).filter(|reference| reference.len() <= json::REFERENCE_LIMIT),
            state,
            error: (state == DeliveryState::Failed).then(|| failure(&report["reason"])),
            at,
            recipients: json::address(&report["channel_identity"]["identity"]).into_iter().collect(),
            charge: None,
        };
        self.parsed(&format!("{message}#{name}"), InboundKind::Status(update))
    }
}

/// The contents of a customer's message.
fn read_content(message: &Value) -> (Content, Option<domain::inbound::InboundAttachment>) {
    let unsupported = |kind: &str, detail: Option<String>| Content::Unsupported { kind: kind.to_owned(), detail };
    let known = |key: &&str| !message[*key].is_null();
    let keys = [
        "text_message",
        "media_message",
        "media_card_message",
        "location_message",
        "choice_response_message",
        "product_response_message",
        "channel_specific_message",
        "fallback_message",
    ];
    let Some(key) = keys.into_iter().find(known) else {
        let unknown = message.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).find(|key| *key != "reply_to");
        return (unsupported(unknown.unwrap_or("unknown"), words(message)), None);
    };
    let part = &message[key];
    let content = match key {
        "text_message" => Content::Text { body: whole(&part["text"]).unwrap_or_default() },
        "media_message" | "media_card_message" => {
            let caption = whole(&part["caption"]).unwrap_or_default();
            return match json::untyped_attachment(&part["url"], &part["filename_override"]) {
                Some(attachment) => (Content::Media { caption }, Some(attachment)),
                None => (unsupported(key, words(part)), None),
            };
        }
        "location_message" => {
            let coordinates = &part["coordinates"];
            json::place(&coordinates["latitude"], &coordinates["longitude"], &part["title"], &part["label"], &part["url"])
                .unwrap_or_else(|| unsupported(key, words(part)))
        }
        "choice_response_message" => {
            let payload = value(&part["postback_data"]);
            Content::Button { text: label(payload.as_deref(), json::id(&part["message_id"])), payload }
        }
        "product_response_message" => unsupported("order", order(part)),
        "channel_specific_message" => match &part["message"]["nfm_reply"] {
            Value::Null => unsupported(&value(&part["message_type"]).unwrap_or_else(|| key.to_owned()), words(part)),
            reply => Content::Form {
                name: value(&reply["name"]),
                text: whole(&reply["body"]).unwrap_or_default(),
                answers: whole(&reply["response_json"]).unwrap_or_default(),
            },
        },
        _ => {
            let fault = value(&part["reason"]["description"]);
            unsupported(key, words(part).into_iter().chain(fault).reduce(|words, fault| format!("{words}\n{fault}")))
        }
    };
    (content, None)
}

/// The label of the button that the customer pressed. The callback holds only the button's payload, which by
/// default is the message's id and the label.
fn label(payload: Option<&str>, message: Option<String>) -> String {
    let payload = payload.unwrap_or_default();
    let default = message.and_then(|message| payload.strip_prefix(&message)?.strip_prefix('_').map(ToOwned::to_owned));
    default.unwrap_or_else(|| payload.to_owned())
}

/// An order in words: number, product and price.
fn order(part: &Value) -> Option<String> {
    let products = part["products"].as_array().into_iter().flatten().filter_map(|product| {
        let price = match (value(&product["item_price"]), value(&product["currency"])) {
            (Some(price), Some(currency)) => format!(" ({price} {currency})"),
            _ => String::new(),
        };
        Some(format!("{} × {}{price}", value(&product["quantity"]).unwrap_or_else(|| "1".to_owned()), value(&product["id"])?))
    });
    // The customer's words are in `title` (Python SDK) or in `text` (Node SDK).
    let (title, text) = (whole(&part["title"]), whole(&part["text"]));
    let text = text.filter(|text| Some(text) != title.as_ref());
    let catalog = value(&part["catalog_id"]).map(|catalog| format!("catalogue {catalog}"));
    let parts: Vec<_> = title.into_iter().chain(text).chain(products).chain(catalog).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// A state of a sent message, in Sinch's words and in ours. A message that is queued on the channel has left Sinch
/// and is on its way to the customer.
fn state_of(status: &str) -> Option<(&'static str, DeliveryState)> {
    Some(match status {
        "QUEUED" => ("QUEUED", DeliveryState::Accepted),
        "QUEUED_ON_CHANNEL" => ("QUEUED_ON_CHANNEL", DeliveryState::Sent),
        "DELIVERED" => ("DELIVERED", DeliveryState::Delivered),
        "READ" => ("READ", DeliveryState::Read),
        "FAILED" => ("FAILED", DeliveryState::Failed),
        _ => return None,
    })
}

/// The reason of a failure: its sub-code if that says more, otherwise its code.
fn failure(reason: &Value) -> DeliveryError {
    let (code, sub_code) = (word(&reason["code"]), word(&reason["sub_code"]));
    let class = class_of(sub_code).or_else(|| class_of(code)).unwrap_or(ErrorClass::Permanent);
    DeliveryError { class, code: value(&reason["code"]) }
}

/// The class of `reason.code` or `reason.sub_code`.
///
/// Source: sinch-sdk-node `models/v1/reason`. A missing report (`DELIVERY_REPORT_TIME_OUT`) says nothing about the
/// message.
fn class_of(code: &str) -> Option<ErrorClass> {
    Some(match code {
        "OUTSIDE_ALLOWED_SENDING_WINDOW" => ErrorClass::WindowExpired,
        "RATE_LIMITED" => ErrorClass::RateLimited,
        "RECIPIENT_NOT_REACHABLE" | "RECIPIENT_NOT_OPTED_IN" | "DELIVERY_REJECTED_DUE_TO_POLICY" | "CHANNEL_REJECT" | "MESSAGE_EXPIRED" => {
            ErrorClass::Undeliverable
        }
        "RECIPIENT_INVALID_CHANNEL_IDENTITY" | "CONTACT_NOT_FOUND" | "NO_CHANNEL_IDENTITY_FOR_CONTACT" => ErrorClass::InvalidRecipient,
        "MEDIA_TYPE_UNSUPPORTED" | "MEDIA_TOO_LARGE" | "MEDIA_NOT_REACHABLE" | "ATTACHMENT_REJECTED" | "MEDIA_TYPE_UNDETERMINED" => {
            ErrorClass::Media
        }
        "TEMPLATE_NOT_FOUND" | "TEMPLATE_INSUFFICIENT_PARAMETERS" | "TEMPLATE_NON_EXISTING_LANGUAGE_OR_VERSION" => ErrorClass::Template,
        "CHANNEL_FAILURE" | "INTERNAL_ERROR" | "DELIVERY_TIMED_OUT" | "UNKNOWN" => ErrorClass::Temporary,
        "DELIVERY_REPORT_TIME_OUT" => ErrorClass::OutcomeUnknown,
        "CHANNEL_BAD_CONFIGURATION"
        | "CHANNEL_CONFIGURATION_MISSING"
        | "UNKNOWN_APP"
        | "INACTIVE_CREDENTIAL"
        | "INACTIVE_SENDER"
        | "NO_PERMISSION"
        | "NO_CHANNELS_LEFT"
        | "NO_PROFILE_AVAILABLE" => ErrorClass::Authentication,
        "BAD_REQUEST" | "UNSUPPORTED_OPERATION" | "MESSAGE_SPLIT_REQUIRED" => ErrorClass::Permanent,
        _ => return None,
    })
}
