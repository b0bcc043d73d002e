//! Sends a message, reads the answer, and fetches an attachment.

use domain::media_type::essence;
use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::Address;
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::{API, MAX_TEXT, PHONE_NUMBER_ID, bearer, errors, is_number_id, template};
use crate::json as read;
use crate::{
    Authorization, Connection, MediaAddressError, MediaStep, Origin, Outgoing, OutgoingAttachment, OutgoingRequest, RateScope, RenderError,
    SendOutcome, SendResult,
};

/// The longest caption that WhatsApp accepts, in characters.
const MAX_CAPTION: usize = 1024;

/// The host that serves customers' files.
const MEDIA_HOST: &str = "lookaside.fbsbx.com";

/// Builds the request that sends a message. Make it only once: the API has no idempotency key.
///
/// # Errors
/// Meta would refuse the message. Nothing has left yet.
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
/// The message is empty or too long, its kind can't be sent, or not in this combination.
pub(crate) fn body(message: &Outgoing<'_>) -> Result<Map<String, Value>, RenderError> {
    let (kind, object) = content(message.content, message.attachment.as_ref())?;
    let mut body = Map::new();
    body.insert("messaging_product".to_owned(), "whatsapp".into());
    body.insert("recipient_type".to_owned(), "individual".into());
    match message.to {
        // The number keeps its `+`: without it Meta may read it as a number of the sender's own country.
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
///
/// # Errors
/// The same as for [`body`].
pub(crate) fn content(content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<(&'static str, Value), RenderError> {
    match (content, attachment) {
        (Content::Template(template), file) if template.wants_file() || file.is_none() => {
            Ok(("template", template::document(template, file)?))
        }
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
                // Meta refuses a formatted name alone: it requires one more part of a name.
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
        (
            Content::Button { .. }
            | Content::ListReply { .. }
            | Content::Form { .. }
            | Content::System { .. }
            | Content::Note { .. }
            | Content::Template(_)
            | Content::Unsupported { .. },
            None,
        ) => Err(RenderError::Unsupported),
    }
}

/// A file by its address. A file that WhatsApp does not accept as a picture, a video or a recording goes as a
/// document, which may be anything.
fn media(attachment: &OutgoingAttachment<'_>, caption: &str) -> Result<(&'static str, Value), RenderError> {
    let declared = essence(attachment.content_type);
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
        // These have no caption, and the agent's text must not be lost.
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

/// Reads the answer to the request of [`render`] by its code. The HTTP status differs between versions and pages of
/// the documentation.
///
/// Only an explicit refusal counts as one. Without a known code a 5xx, a redirect, a 408 or an unreadable 2xx
/// doesn't tell whether Meta accepted the message.
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

/// The result of a refusal with one of Meta's codes, or with none.
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
        // 404: this number does not exist.
        (None, _) => match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
            _ => ErrorClass::Permanent,
        },
    };
    SendResult::Failed(DeliveryError { class, code: code.map(|code| code.to_string()) })
}

/// How to fetch a file. The API gives an address for its id. The address works for five minutes and wants the token
/// again.
///
/// The token goes to Meta's own host for such files and to the origin of the API, to no other host.
///
/// Source: Meta, "Media" of the Cloud API.
///
/// # Errors
/// `source` is neither an id nor an address, or the answer holds no address.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::API_URL;
    use super::super::tests::{account, credentials};
    use super::*;
    use crate::{Hosts, Redirects};
    use domain::effect::MessageRef;
    use domain::message::{ApprovedTemplate, ContactCard, TemplateButton, TemplateButtonKind, TemplateHeader};
    use domain::values::{E164, Secret};
    use http::Method;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const API_STAND_IN: &str = "http://127.0.0.1:9999/v26.0";

    fn connected<T>(look: impl Fn(&Connection<'_>) -> T) -> T {
        let (account, credentials) = (account(), credentials("app secret"));
        let hosts = Hosts::all(|name, address| Ok::<_, ()>(if name == API { API_STAND_IN } else { address }.to_owned())).unwrap();
        look(&Connection { account: &account, credentials: &credentials, token: None, hosts: &hosts })
    }

    fn customer() -> Address {
        Address::Phone(E164::parse("+393331234567").unwrap())
    }

    fn request(
        to: &Address,
        content: &Content,
        attachment: Option<OutgoingAttachment<'_>>,
        reply_to: Option<&str>,
    ) -> Result<OutgoingRequest, RenderError> {
        let reference = MessageRef("a.b.1.c".into());
        connected(|connection| {
            render(
                connection,
                &Outgoing { to, content, attachment, reply_to, reference: &reference, status_callback: "https://h.example/s" },
            )
        })
    }

    /// The document, without the part that all have in common.
    fn sent(content: &Content, attachment: Option<OutgoingAttachment<'_>>) -> Result<Value, RenderError> {
        let request = request(&customer(), content, attachment, None)?;
        let mut body: Value = serde_json::from_slice(&request.body).unwrap();
        for (name, value) in [
            ("messaging_product", "whatsapp"),
            ("recipient_type", "individual"),
            ("to", "+393331234567"),
            ("biz_opaque_callback_data", "a.b.1.c"),
        ] {
            assert_eq!(body.as_object_mut().unwrap().remove(name).unwrap(), value);
        }
        Ok(body)
    }

    fn text(body: impl Into<String>) -> Content {
        Content::Text { body: body.into() }
    }

    fn file<'a>(kind: AttachmentKind, content_type: &'a str, name: Option<&'a str>) -> Option<OutgoingAttachment<'a>> {
        Some(OutgoingAttachment { url: "https://h.example/f", kind, content_type, name })
    }

    #[test]
    fn a_text_is_posted_as_meta_wants_it() {
        let request = request(&customer(), &text("Buongiorno è 5 & 6"), None, Some("wamid.THEIRS")).unwrap();
        assert_eq!((request.method, request.url.as_str()), (Method::POST, "http://127.0.0.1:9999/v26.0/106540352242922/messages"));
        assert_eq!(request.authorization, Authorization::Bearer(Secret::new("EAAtoken")));
        assert_eq!(
            (request.redirects, &request.headers[http::header::CONTENT_TYPE]),
            (Redirects::Refuse, &"application/json".parse().unwrap())
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({
                "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+393331234567", "type": "text",
                "text": {"body": "Buongiorno è 5 & 6", "preview_url": false}, "context": {"message_id": "wamid.THEIRS"},
                "biz_opaque_callback_data": "a.b.1.c",
            })
        );
    }

    #[test]
    fn a_customer_without_a_number_is_reached_by_business_scoped_id() {
        let request = request(&Address::Bsuid("IT.1349".into()), &text("Ciao"), None, None).unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!((&body["recipient"], body.get("to"), body.get("context")), (&json!("IT.1349"), None, None));
    }

    #[test]
    fn each_media_kind_goes_by_its_address_with_what_it_may_carry() {
        use AttachmentKind::*;
        let media = |caption: &str| Content::Media { caption: caption.into() };
        for (kind, content_type, caption, expected) in [
            (Image, "image/jpeg", "Ecco", json!({"type": "image", "image": {"link": "https://h.example/f", "caption": "Ecco"}})),
            (Image, "image/png", " ", json!({"type": "image", "image": {"link": "https://h.example/f"}})),
            (Video, "video/mp4", "Ecco", json!({"type": "video", "video": {"link": "https://h.example/f", "caption": "Ecco"}})),
            (Audio, "audio/mpeg", "", json!({"type": "audio", "audio": {"link": "https://h.example/f"}})),
            (Voice, "audio/ogg; codecs=opus", "", json!({"type": "audio", "audio": {"link": "https://h.example/f"}})),
            (Sticker, "image/webp", "", json!({"type": "sticker", "sticker": {"link": "https://h.example/f"}})),
            (
                Document,
                "application/pdf",
                "Ecco",
                json!({"type": "document", "document": {"link": "https://h.example/f", "caption": "Ecco", "filename": "f.pdf"}}),
            ),
            // WhatsApp does not accept it as a picture, video or recording.
            (Image, "image/heic", "", json!({"type": "document", "document": {"link": "https://h.example/f", "filename": "f.pdf"}})),
            (
                Video,
                "video/webm",
                "Ecco",
                json!({"type": "document", "document": {"link": "https://h.example/f", "caption": "Ecco", "filename": "f.pdf"}}),
            ),
            (Audio, "audio/wav", "", json!({"type": "document", "document": {"link": "https://h.example/f", "filename": "f.pdf"}})),
        ] {
            assert_eq!(sent(&media(caption), file(kind, content_type, Some("f.pdf"))), Ok(expected), "{kind:?} {content_type}");
        }
        assert_eq!(sent(&text("Ecco"), file(Image, "image/jpeg", None)).unwrap()["image"]["caption"], "Ecco");
        assert_eq!(sent(&media(""), file(Document, "text/plain", None)).unwrap()["document"], json!({"link": "https://h.example/f"}));
    }

    #[test]
    fn a_message_that_meta_would_refuse_never_leaves() {
        use AttachmentKind::*;
        let media = |caption: String| Content::Media { caption };
        let too_long = |limit| Err(RenderError::TextTooLong { limit });
        assert!(sent(&text("ü".repeat(MAX_TEXT)), None).is_ok());
        assert_eq!(sent(&text("ü".repeat(MAX_TEXT + 1)), None), too_long(4096));
        assert!(sent(&media("ü".repeat(MAX_CAPTION)), file(Image, "image/jpeg", None)).is_ok());
        assert_eq!(sent(&media("ü".repeat(MAX_CAPTION + 1)), file(Image, "image/jpeg", None)), too_long(1024));
        for (kind, content_type) in [(Audio, "audio/mpeg"), (Voice, "audio/ogg"), (Sticker, "image/webp")] {
            assert_eq!(sent(&media("Ecco".into()), file(kind, content_type, None)), Err(RenderError::Unsupported), "{kind:?}");
        }
        assert_eq!(sent(&text(" \n"), None), Err(RenderError::Empty));
        assert_eq!(sent(&media(String::new()), None), Err(RenderError::Empty));
        assert_eq!(sent(&Content::Contacts { cards: vec![] }, None), Err(RenderError::Empty));
        let place = Content::Location { latitude: 1.0, longitude: 2.0, label: None, address: None };
        assert_eq!(sent(&place, file(Image, "image/jpeg", None)), Err(RenderError::TooManyAttachments { limit: 0 }));
        for content in [
            Content::Button { text: "x".into(), payload: None },
            Content::ListReply { id: "x".into(), title: "x".into(), description: None },
            Content::Form { name: None, text: "x".into(), answers: "{}".into() },
            Content::System { body: "x".into() },
            // An internal note never reaches a customer.
            Content::Note { body: "x".into() },
            Content::Unsupported { kind: "x".into(), detail: None },
        ] {
            assert_eq!(sent(&content, None), Err(RenderError::Unsupported), "{content:?}");
        }
        let mut elsewhere = account();
        for id in ["", "../1", "1/2", "１", &"1".repeat(33)] {
            elsewhere.provider.fields.insert(PHONE_NUMBER_ID.into(), id.into());
            let (credentials, hosts, reference) = (credentials("s"), Hosts::default(), MessageRef("r".into()));
            let connection = Connection { account: &elsewhere, credentials: &credentials, token: None, hosts: &hosts };
            let message = Outgoing {
                to: &customer(),
                content: &text("x"),
                attachment: None,
                reply_to: None,
                reference: &reference,
                status_callback: "",
            };
            assert_eq!(render(&connection, &message), Err(RenderError::MalformedAccount), "{id}");
        }
    }

    #[test]
    fn places_contacts_and_reactions_are_sent_in_their_own_forms() {
        let place = Content::Location { latitude: 41.9, longitude: 12.5, label: Some("Roma".into()), address: None };
        assert_eq!(
            sent(&place, None).unwrap(),
            json!({"type": "location", "location": {"latitude": 41.9, "longitude": 12.5, "name": "Roma"}})
        );
        let card = ContactCard {
            name: "Anna".into(),
            phones: vec!["+39 1".into()],
            emails: vec!["a@example.com".into()],
            organization: Some("Esempio".into()),
        };
        let bare = ContactCard { name: "Bo".into(), ..ContactCard::default() };
        assert_eq!(
            sent(&Content::Contacts { cards: vec![card, bare] }, None).unwrap()["contacts"],
            json!([
                {
                    "name": {"formatted_name": "Anna", "first_name": "Anna"}, "phones": [{"phone": "+39 1"}], "emails": [{"email": "a@example.com"}],
                    "org": {"company": "Esempio"},
                },
                {"name": {"formatted_name": "Bo", "first_name": "Bo"}},
            ])
        );
        for emoji in ["👍", ""] {
            let reaction = Content::Reaction { message: "wamid.1".into(), emoji: emoji.into() };
            assert_eq!(sent(&reaction, None).unwrap(), json!({"type": "reaction", "reaction": {"message_id": "wamid.1", "emoji": emoji}}));
            // A reaction is about a message already, so it quotes none.
            let request = request(&customer(), &reaction, None, Some("wamid.1")).unwrap();
            assert_eq!(serde_json::from_slice::<Value>(&request.body).unwrap().get("context"), None);
        }
    }

    #[test]
    fn a_template_has_its_parameters_in_components() {
        let plain = ApprovedTemplate::plain("recontact_1", "it");
        let of = |template: &ApprovedTemplate| sent(&Content::Template(template.clone()), None);
        assert_eq!(of(&plain).unwrap(), json!({"type": "template", "template": {"name": "recontact_1", "language": {"code": "it"}}}));
        let full = ApprovedTemplate {
            header: Some(TemplateHeader::Document { url: Some("https://h.example/d".into()), name: Some("d.pdf".into()) }),
            body: vec!["Zoë".into(), "5".into()],
            buttons: vec![
                TemplateButton { index: 0, kind: TemplateButtonKind::QuickReply, value: "yes".into() },
                TemplateButton { index: 1, kind: TemplateButtonKind::Url, value: "42".into() },
            ],
            ..plain.clone()
        };
        assert_eq!(
            of(&full).unwrap()["template"]["components"],
            json!([
                {"type": "header", "parameters": [{"type": "document", "document": {"link": "https://h.example/d", "filename": "d.pdf"}}]},
                {"type": "body", "parameters": [{"type": "text", "text": "Zoë"}, {"type": "text", "text": "5"}]},
                {"type": "button", "sub_type": "quick_reply", "index": "0", "parameters": [{"type": "payload", "payload": "yes"}]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "42"}]},
            ])
        );
        for (header, parameter) in [
            (TemplateHeader::Text { text: "T".into(), name: None }, json!({"type": "text", "text": "T"})),
            (TemplateHeader::Image { url: Some("u".into()) }, json!({"type": "image", "image": {"link": "u"}})),
            (TemplateHeader::Video { url: Some("u".into()) }, json!({"type": "video", "video": {"link": "u"}})),
            (TemplateHeader::Document { url: Some("u".into()), name: None }, json!({"type": "document", "document": {"link": "u"}})),
        ] {
            let template = ApprovedTemplate { header: Some(header), ..plain.clone() };
            assert_eq!(of(&template).unwrap()["template"]["components"][0]["parameters"], json!([parameter]));
        }
        assert_eq!(of(&ApprovedTemplate { name: String::new(), ..plain.clone() }), Err(RenderError::MalformedTemplate));
        assert_eq!(of(&ApprovedTemplate { language: String::new(), ..plain }), Err(RenderError::MalformedTemplate));
    }

    fn classified(status: u16, body: &str) -> SendResult {
        classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: Some("7"), body: body.as_bytes() })
    }

    fn error(code: impl Into<Value>) -> String {
        json!({"error": {"message": "…", "type": "OAuthException", "code": code.into(), "fbtrace_id": "Az8"}}).to_string()
    }

    fn failed(class: ErrorClass, code: Option<&str>) -> SendResult {
        SendResult::Failed(DeliveryError { class, code: code.map(Into::into) })
    }

    fn limited(scope: RateScope) -> SendResult {
        SendResult::RateLimited { retry_after: Some(Duration::from_secs(7)), scope }
    }

    #[test]
    fn a_message_that_meta_accepted_has_its_id() {
        let expected = SendResult::Accepted { provider_id: "wamid.1".into(), state: DeliveryState::Accepted };
        for body in [
            r#"{"messaging_product":"whatsapp","contacts":[{"input":"+39","wa_id":"39"}],"messages":[{"id":"wamid.1"}]}"#,
            r#"{"messages":[{"id":"wamid.1","message_status":"held_for_quality_assessment"}]}"#,
        ] {
            assert_eq!(classified(200, body), expected);
        }
    }

    #[test]
    fn an_answer_that_does_not_tell_whether_meta_accepted_the_message_is_unknown() {
        for (status, body) in [
            (200, String::new()),
            (200, "<html>".into()),
            (200, "{}".into()),
            (200, r#"{"messages":[]}"#.into()),
            (200, r#"{"messages":[{"id":null}]}"#.into()),
            (201, error(131000)),
            (500, String::new()),
            (500, error(999_999)),
            (500, error(1)),
            (502, "<html>".into()),
            (503, error("x")),
            (307, String::new()),
            (408, String::new()),
        ] {
            assert_eq!(classified(status, &body), SendResult::Unknown, "{status} {body}");
        }
    }

    #[test]
    fn each_code_has_its_class_whatever_the_status() {
        use ErrorClass::*;
        let table: [(ErrorClass, &[u64]); 9] = [
            (WindowExpired, &[131047]),
            (Temporary, &[2, 131000, 131016, 133004]),
            (InvalidRecipient, &[131030]),
            (Undeliverable, &[131026, 131021, 130472, 131049, 131050, 131062]),
            (
                Authentication,
                &[
                    0, 190, 3, 10, 33, 200, 250, 299, 131005, 368, 131031, 130497, 131037, 131042, 131045, 133000, 133005, 133006, 133008,
                    133009, 133010, 133015,
                ],
            ),
            (Template, &[132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132068, 132069]),
            (Media, &[131052, 131053]),
            (Permanent, &[100, 131008, 131009, 131051, 135000, 137000, 131063, 131064]),
            // Waiting does not help with these.
            (RateLimited, &[131048, 133016]),
        ];
        for (class, codes) in table {
            for code in codes {
                for status in [400, 401, 404, 429, 500, 503] {
                    let expected = failed(class, Some(&code.to_string()));
                    assert_eq!(classified(status, &error(*code)), expected, "{status} {code}");
                    assert_eq!(classified(status, &error(code.to_string())), expected, "{status} {code}");
                }
            }
        }
        for code in [4, 80007, 130429, 131057] {
            for status in [400, 429, 500] {
                assert_eq!(classified(status, &error(code)), limited(RateScope::Number), "{status} {code}");
            }
        }
        assert_eq!(classified(400, &error(131056)), limited(RateScope::Recipient));
        assert_eq!(classified(400, &error(1)), failed(Temporary, Some("1")));
    }

    #[test]
    fn a_refusal_without_a_known_code_goes_by_its_status() {
        assert_eq!(classified(429, ""), limited(RateScope::Number));
        assert_eq!(classified(401, "<html>"), failed(ErrorClass::Authentication, None));
        assert_eq!(classified(403, ""), failed(ErrorClass::Authentication, None));
        assert_eq!(classified(404, ""), failed(ErrorClass::Authentication, None));
        assert_eq!(classified(400, &error(999_999)), failed(ErrorClass::Permanent, Some("999999")));
        assert_eq!(classified(400, &error(-5)), failed(ErrorClass::Permanent, None));
    }

    fn step(source: &str, resolved: Option<&[u8]>) -> Result<MediaStep, MediaAddressError> {
        connected(|connection| media_step(connection, source, resolved))
    }

    #[test]
    fn a_media_id_is_asked_for_its_address_and_the_address_for_the_file() {
        let Ok(MediaStep::Resolve(request)) = step("1003383421387256", None) else { panic!("it is asked for") };
        assert_eq!(request.url, "http://127.0.0.1:9999/v26.0/1003383421387256?phone_number_id=106540352242922");
        assert_eq!((request.method, request.authorization), (Method::GET, Authorization::Bearer(Secret::new("EAAtoken"))));
        let answer = br#"{"messaging_product":"whatsapp","url":"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1","file_size":"303833"}"#;
        let Ok(MediaStep::Fetch(request)) = step("1003383421387256", Some(answer)) else { panic!("it is fetched") };
        assert_eq!(request.url, "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1");
        assert_eq!(request.authorization, Authorization::Bearer(Secret::new("EAAtoken")));
        assert_eq!(request.redirects, Redirects::FollowWithoutCredentials);
        for nothing in [&b""[..], b"<html>", b"{}", br#"{"url":null}"#, br#"{"url":"file:///x"}"#, br#"{"url":"1003383421387256"}"#] {
            assert_eq!(step("1003383421387256", Some(nothing)), Err(MediaAddressError));
        }
    }

    #[test]
    fn nobody_can_make_us_send_the_token_elsewhere() {
        let fetched = |url: &str| match step(url, None) {
            Ok(MediaStep::Fetch(request)) => Ok(request.authorization != Authorization::None),
            Ok(MediaStep::Resolve(_)) => panic!("{url} is not an id"),
            Err(error) => Err(error),
        };
        for own in ["https://lookaside.fbsbx.com/x", "https://LOOKASIDE.fbsbx.com:443/x", "http://127.0.0.1:9999/meta/file"] {
            assert_eq!(fetched(own), Ok(true), "{own}");
        }
        for other in [
            "https://cdn.fbsbx.com/x",
            "https://evillookaside.fbsbx.com/x",
            "https://lookaside.fbsbx.com.example.com/x",
            "https://example.com/lookaside.fbsbx.com",
            "https://lookaside.fbsbx.com:8443/x",
            "http://lookaside.fbsbx.com/x",
            "http://127.0.0.1:9998/x",
            "https://127.0.0.1:9999/x",
            "https://graph.facebook.com/x",
        ] {
            assert_eq!(fetched(other), Ok(false), "{other}");
        }
        for bad in
            ["", "../1", "1/2?x", "https://lookaside.fbsbx.com@example.com/x", "https://example.com\\@lookaside.fbsbx.com/x", "ftp://x/y"]
        {
            assert_eq!(fetched(bad), Err(MediaAddressError), "{bad}");
        }
        assert!(API_URL.starts_with("https://graph.facebook.com/v"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn no_answer_makes_classify_panic(
            status in 100u16..1000,
            body in prop::collection::vec(any::<u8>(), 0..256),
            code in any::<u64>(),
            retry_after in any::<String>(),
        ) {
            let status = StatusCode::from_u16(status).unwrap();
            for body in [body, error(code).into_bytes()] {
                let _ = classify(&SendOutcome { status, retry_after: Some(&retry_after), body: &body });
                let _ = step("1", Some(&body));
            }
        }

        #[test]
        fn a_server_error_is_never_repeated_unless_meta_says_that_nothing_was_sent(status in 500u16..600, code in 0u64..200_000) {
            prop_assume!(errors::class_of(code).is_none());
            prop_assert_eq!(classified(status, &error(code)), SendResult::Unknown);
        }
    }
}
