//! Reads a webhook: one message or one status.
//!
//! It requires only the parameters that the connector can't do without: `MessageSid`, and `From` of a message.
//! Nothing else ever fails, because Twilio adds parameters and kinds without notice.

use std::borrow::Cow;
use std::collections::HashMap;

use domain::ids::AccountId;
use domain::inbound::{InboundAttachment, InboundEvent, InboundKind, InboundMessage, ProfileName, StatusUpdate};
use domain::message::{AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, Referral};
use domain::values::{Address, E164};
use http::Method;
use jiff::Timestamp;

use super::{FORM, SID_SHAPE, errors, is_form, is_sid};
use crate::json;
use crate::{ParseError, bsuid};

/// A webhook request as it came in.
#[derive(Clone, Copy)]
pub(super) struct SignedRequest<'a> {
    /// `POST`, or `GET` if the account is so configured in Twilio.
    pub(super) method: &'a Method,
    /// The whole URL with its query, as it is configured at Twilio. Behind a proxy it is the public URL, not the
    /// one that the socket saw.
    pub(super) public_url: &'a str,
    /// The header `Content-Type`.
    pub(super) content_type: Option<&'a str>,
    /// The header [`super::SIGNATURE_HEADER`].
    pub(super) signature: Option<&'a str>,
    /// The body's bytes, untouched.
    pub(super) body: &'a [u8],
}

/// Shows neither the URL, which holds the account's token, nor the body, which holds a customer's message.
impl std::fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedRequest").field("method", &self.method).field("body_bytes", &self.body.len()).finish_non_exhaustive()
    }
}

/// The longest address of an attachment that is stored, in bytes. Twilio's have about 150. A cut address fails to
/// load, and the thread says so.
const ADDRESS_LIMIT: usize = 4 * 1024;

/// The longest content type that is stored, in bytes. The longest registered one has some 80.
const TYPE_LIMIT: usize = 255;

/// The most attachments of one message. WhatsApp sends one, Twilio's other channels up to ten. A longer list is not
/// from Twilio, and each attachment costs a download.
const ATTACHMENTS_LIMIT: usize = 10;

/// The longest reference, in bytes. Ours has about 110; a longer one is not ours.
const REFERENCE_LIMIT: usize = 256;

/// Reads a verified webhook: a form in the body of a `POST`, or the query of a `GET`. `reference` comes from our
/// status callback URL.
///
/// A message becomes an event with the id `SM…`. A status becomes an event with the id `SM…#delivered`, or none if
/// the status is unknown.
///
/// # Errors
/// The body is not a form. `MessageSid` is missing or malformed. A message's `From` is missing, or is neither a
/// phone number nor a business-scoped user id.
pub(super) fn parse(
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
    let event = |id: String, kind| InboundEvent::new(account.clone(), id, received_at, kind);
    match form.get("MessageStatus") {
        None | Some("received" | "receiving") => Ok(vec![event(sid.to_owned(), InboundKind::Message(read_message(&form, sid)?))]),
        Some(status) => Ok(read_status(&form, sid, status, reference)
            .map(|(name, update)| event(format!("{sid}#{name}"), InboundKind::Status(update)))
            .into_iter()
            .collect()),
    }
}

/// Reads a message of the API's list as if it had come by a webhook. `parameters` are those that the webhook would
/// have had; `sent_at` is the list's own time. The list has no names, no replies, and no contents of places and
/// buttons.
pub(super) fn read_listed(parameters: &[(&str, &str)], sent_at: Option<Timestamp>) -> Option<InboundMessage> {
    let form = Form(parameters.iter().map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(*value))).collect());
    let sid = form.get("MessageSid").filter(|sid| is_sid(sid))?;
    Some(InboundMessage { sent_at, ..read_message(&form, sid).ok()? })
}

/// A form's parameters. Of a repeated parameter the first counts. Bytes that are not UTF-8 become U+FFFD.
struct Form<'a>(HashMap<Cow<'a, str>, Cow<'a, str>>);

impl<'a> Form<'a> {
    fn read(bytes: &'a [u8]) -> Self {
        let mut values = HashMap::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            values.entry(name).or_insert(value);
        }
        Self(values)
    }

    /// The value, unless it is empty.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(AsRef::as_ref).filter(|value| !value.is_empty())
    }

    /// The value cut to `limit` bytes, unless it is empty.
    fn text(&self, name: &str, limit: usize) -> Option<String> {
        self.get(name).map(|value| value[..value.floor_char_boundary(limit)].to_owned())
    }

    /// A name, a label, a payload.
    fn value(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| json::shortened(value.to_owned()))
    }

    fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

fn read_message(form: &Form<'_>, sid: &str) -> Result<InboundMessage, ParseError> {
    let (from, alias) = read_sender(form)?;
    // Both name the customer's number, which may be spelled in two ways.
    let number = form.get("WaId").and_then(|digits| plain_phone(&format!("+{digits}")).ok()).map(Address::Phone);
    let also = number.into_iter().filter(|number| *number != from).collect();
    let attachments = read_attachments(form);
    let content = read_content(form, !attachments.is_empty());
    let words = form.get("Body").filter(|body| !content.readable().contains(*body)).map(ToOwned::to_owned);
    Ok(InboundMessage {
        provider_id: sid.to_owned(),
        from,
        alias,
        also,
        profile_name: form.value("ProfileName").map(ProfileName),
        // Twilio's webhook carries no time.
        sent_at: None,
        content,
        attachments,
        reply_to: form.get("OriginalRepliedMessageSid").filter(|sid| is_sid(sid)).map(ToOwned::to_owned),
        forwarded: form.is_true("Forwarded") || form.is_true("FrequentlyForwarded"),
        username: None,
        referral: read_referral(form),
        product: None,
        words,
        cut: false,
    })
}

/// The customer's addresses: the phone number if there is one, and the business-scoped user id with it.
fn read_sender(form: &Form<'_>) -> Result<(Address, Option<Address>), ParseError> {
    let parameter = "From";
    let expected = "whatsapp: and a phone number or a business-scoped user id";
    let from = form.get(parameter).ok_or(ParseError::Missing { parameter })?;
    // Without the prefix it is a text message or a call. An answer on WhatsApp would reach somebody else, or
    // nobody.
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

/// A phone number without any prefix ([`E164::parse`] would accept a second `whatsapp:`).
fn plain_phone(text: &str) -> Result<E164, domain::values::Invalid> {
    if text.starts_with('+') { E164::parse(text) } else { Err(domain::values::Invalid("must begin with +")) }
}

/// Reads the addresses that are there, whatever `NumMedia` says: a wrong number must neither lose an attachment nor
/// invent one.
fn read_attachments(form: &Form<'_>) -> Vec<InboundAttachment> {
    let files = (0..ATTACHMENTS_LIMIT).filter_map(|index| {
        let source = form.text(&format!("MediaUrl{index}"), ADDRESS_LIMIT)?;
        Some((source, form.text(&format!("MediaContentType{index}"), TYPE_LIMIT)))
    });
    let files: Vec<_> = files.collect();
    let alone = files.len() == 1;
    let attachment = |(source, content_type): (String, Option<String>)| InboundAttachment {
        source,
        kind: attachment_kind(form.get("MessageType").filter(|_| alone), content_type.as_deref()),
        content_type: content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
        name: None,
        sha256: None,
    };
    files.into_iter().map(attachment).collect()
}

/// The kind of a file, by its content type. `MessageType` speaks of the whole message, so it counts only for a file
/// that is alone, and only as far as the file's type agrees: a picture may come as a document, but not as a video.
/// Not all its values are published.
fn attachment_kind(message: Option<&str>, content_type: Option<&str>) -> Option<AttachmentKind> {
    let family = |name: &str| content_type.is_none_or(|of| of.starts_with(name) || of == "application/octet-stream");
    let told = match message {
        Some("image") if family("image/") => Some(AttachmentKind::Image),
        Some("video") if family("video/") => Some(AttachmentKind::Video),
        Some("audio") if family("audio/") => Some(AttachmentKind::Audio),
        Some("voice") if family("audio/") => Some(AttachmentKind::Voice),
        Some("document") => Some(AttachmentKind::Document),
        Some("sticker") if family("image/") => Some(AttachmentKind::Sticker),
        _ => None,
    };
    told.or_else(|| content_type.filter(|of| *of != "application/octet-stream").map(AttachmentKind::of_type))
}

/// The advertisement that the customer clicked.
fn read_referral(form: &Form<'_>) -> Option<Referral> {
    let text = |name| form.value(name);
    let referral = Referral {
        source_type: text("ReferralSourceType"),
        source_id: text("ReferralSourceId"),
        source_url: text("ReferralSourceUrl"),
        headline: text("ReferralHeadline"),
        body: text("ReferralBody"),
        media_url: text("ReferralMediaUrl"),
        click_id: text("ReferralCtwaClid"),
    };
    (referral != Referral::default()).then_some(referral)
}

/// Reads the contents by the parameters that are there, not by `MessageType`: not all its values are published.
fn read_content(form: &Form<'_>, has_attachments: bool) -> Content {
    let body = form.get("Body").map(ToOwned::to_owned);
    let kind = form.get("MessageType");
    if has_attachments {
        return Content::Media { caption: body.unwrap_or_default() };
    }
    if let (Some(latitude), Some(longitude)) = (degrees(form, "Latitude", 90.0), degrees(form, "Longitude", 180.0)) {
        let (label, address) = (form.value("Label"), form.value("Address"));
        return Content::Location { latitude, longitude, label, address, url: None };
    }
    let (button, payload) = (form.value("ButtonText"), form.value("ButtonPayload"));
    if button.is_some() || payload.is_some() {
        return Content::Button { text: button.or(body).unwrap_or_default(), payload };
    }
    let (id, title) = (form.value("ListId"), form.value("ListTitle"));
    if id.is_some() || title.is_some() {
        return Content::ListReply { id: id.unwrap_or_default(), title: title.or(body).unwrap_or_default(), description: None };
    }
    match (body, kind) {
        (Some(body), _) => Content::Text { body },
        (None, Some("text")) => Content::Text { body: String::new() },
        (None, _) => Content::Unsupported { kind: form.value("MessageType").unwrap_or_else(|| "unknown".to_owned()), detail: None },
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
    // Twilio's callback carries no time. A masked number is none.
    let named = ["To", "ExternalUserId"].into_iter().filter_map(|name| {
        let address = form.get(name)?.strip_prefix("whatsapp:")?;
        plain_phone(address).map(Address::Phone).ok().or_else(|| bsuid(address))
    });
    let (provider_id, recipients) = (sid.to_owned(), named.collect());
    // The callback tells no price; the list of messages does (`missed`).
    Some((name, StatusUpdate { provider_id, reference, state, error, at: None, recipients, charge: None }))
}

/// A state of a sent message, in Twilio's words and in ours.
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

/// The reason of a failure: by its code, otherwise by how far the message had got.
pub(super) fn failure(status: &str, code: Option<u32>) -> DeliveryError {
    let code = code.filter(|code| *code != 0);
    let fallback = if status == "undelivered" { ErrorClass::Undeliverable } else { ErrorClass::Permanent };
    DeliveryError { class: code.and_then(errors::class_of).unwrap_or(fallback), code: code.map(|code| code.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use domain::ids::AccountId;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const REFERENCE: &str = "con_1.int_2.3.msg_4";

    fn account() -> AccountId {
        "acc_01ARZ3NDEKTSV4RRFFQ69G5FAV".parse().unwrap()
    }

    fn received_at() -> Timestamp {
        "2026-11-20T10:00:00Z".parse().unwrap()
    }

    fn parse_fixture(fixture: &Fixture) -> Result<Vec<InboundEvent>, ParseError> {
        let request = SignedRequest {
            method: &fixture.method,
            public_url: &format!("https://h.example{}", fixture.target),
            content_type: fixture.header("Content-Type"),
            signature: None,
            body: &fixture.body,
        };
        parse(&request, Some(REFERENCE), &account(), received_at())
    }

    fn fixture(name: &str) -> Fixture {
        Fixture::load("twilio", name).unwrap()
    }

    fn message_of(fixture: &Fixture) -> InboundMessage {
        let mut events = parse_fixture(fixture).unwrap();
        assert_eq!(events.len(), 1);
        match events.remove(0).kind {
            InboundKind::Message(message) => message,
            _ => panic!("{} is a message", fixture.name),
        }
    }

    fn status_of(fixture: &Fixture) -> (String, StatusUpdate) {
        let mut events = parse_fixture(fixture).unwrap();
        assert_eq!(events.len(), 1);
        let event = events.remove(0);
        match event.kind {
            InboundKind::Status(status) => (event.id, status),
            _ => panic!("{} is a status", fixture.name),
        }
    }

    fn phone() -> Address {
        Address::Phone(E164::parse("+393331234567").unwrap())
    }

    fn user_id() -> Address {
        Address::Bsuid("IT.13491208655302741918".into())
    }

    /// Describes contents in words, because `Debug` of `Content` shows nothing.
    fn words(content: &Content) -> String {
        serde_json::to_string(content).unwrap()
    }

    #[test]
    fn every_recorded_request_is_read_and_its_signature_verifies() {
        let secret = domain::values::Secret::new("0123456789abcdef0123456789abcdef");
        let fixtures = Fixture::all("twilio").unwrap();
        assert!(fixtures.len() >= 21);
        for fixture in fixtures {
            assert_eq!(parse_fixture(&fixture).unwrap().len(), 1, "{}", fixture.name);
            let fixture = fixture.with_token("T0KEN");
            let url = format!("https://h.example{}", fixture.target);
            let parameters = fixture.parameters();
            let signature = super::super::sign(&url, parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())), &secret);
            let request = SignedRequest {
                method: &fixture.method,
                public_url: &url,
                content_type: fixture.header("content-type"),
                signature: Some(&signature),
                body: &fixture.body,
            };
            assert_eq!(super::super::signature::verify(&request, &[&secret]), Ok(()), "{}", fixture.name);
        }
    }

    #[test]
    fn a_text_becomes_one_event_with_the_providers_id() {
        let events = parse_fixture(&fixture("text")).unwrap();
        let [event] = &events[..] else { panic!("one event") };
        assert_eq!(event.id, "SM00000000000000000000000000000001");
        assert_eq!((&event.account, event.received_at, event.index), (&account(), received_at(), 0));
        let message = message_of(&fixture("text"));
        assert_eq!(message.provider_id, event.id);
        assert_eq!(message.from, phone());
        assert_eq!(message.alias, None);
        assert_eq!(message.profile_name, Some(ProfileName("Zoë Rossi".into())));
        assert_eq!(message.content, Content::Text { body: "Buongiorno, può aiutarmi? Il mio ordine è 5 & 6".into() });
        assert!(!message.forwarded && message.reply_to.is_none() && message.attachments.is_empty() && message.sent_at.is_none());
    }

    #[test]
    fn an_image_keeps_its_caption_and_all_its_attachments() {
        let message = message_of(&fixture("image"));
        assert_eq!(message.content, Content::Media { caption: "La ricevuta".into() });
        let [attachment] = &message.attachments[..] else { panic!("one attachment") };
        assert_eq!(attachment.content_type, "image/jpeg");
        assert!(
            attachment.source.starts_with("https://api.twilio.com/") && attachment.source.ends_with("ME00000000000000000000000000000002")
        );

        let two = fixture("image").with("NumMedia", "2").with("MediaUrl1", "https://api.twilio.com/2").without("Body");
        let message = message_of(&two);
        assert_eq!(message.content, Content::Media { caption: String::new() });
        assert_eq!(message.attachments[1].source, "https://api.twilio.com/2");
        assert_eq!(message.attachments[1].content_type, "application/octet-stream");
    }

    #[test]
    fn each_kind_of_file_is_kept_as_what_it_is() {
        for (name, kind, content_type, caption) in [
            ("image", Some(AttachmentKind::Image), "image/jpeg", "La ricevuta"),
            ("video", Some(AttachmentKind::Video), "video/mp4", ""),
            ("audio", Some(AttachmentKind::Audio), "audio/ogg", ""),
            ("document", Some(AttachmentKind::Document), "application/pdf", "la fattura"),
            ("sticker", Some(AttachmentKind::Sticker), "image/webp", ""),
            ("contact-card", Some(AttachmentKind::Document), "text/vcard", ""),
        ] {
            let message = message_of(&fixture(name));
            let [attachment] = &message.attachments[..] else { panic!("one attachment") };
            assert_eq!((attachment.kind, attachment.content_type.as_str()), (kind, content_type), "{name}");
            assert_eq!(message.content, Content::Media { caption: caption.into() }, "{name}");
        }
    }

    #[test]
    fn each_file_of_a_message_has_a_kind_of_its_own() {
        let kinds = |fixture: &Fixture| message_of(fixture).attachments.iter().map(|file| file.kind).collect::<Vec<_>>();
        use AttachmentKind::*;
        assert_eq!(kinds(&fixture("two-files")), [Some(Image), Some(Video)]);
        for (message, content_type, kind) in [
            ("document", "image/jpeg", Some(Document)),
            ("voice", "audio/ogg; codecs=opus", Some(Voice)),
            ("audio", "audio/mpeg", Some(Audio)),
            ("sticker", "image/webp", Some(Sticker)),
            ("image", "video/mp4", Some(Video)),
            ("video", "application/pdf", Some(Document)),
            ("hologram", "image/png", Some(Image)),
            ("image", "application/octet-stream", Some(Image)),
            ("hologram", "application/octet-stream", None),
        ] {
            let one = fixture("image").with("MessageType", message).with("MediaContentType0", content_type);
            assert_eq!(kinds(&one), [kind], "{message} {content_type}");
        }
    }

    #[test]
    fn words_beside_a_place_or_a_button_are_kept() {
        let words = |fixture: &Fixture| message_of(fixture).words;
        assert_eq!(words(&fixture("location").with("Body", "Ci vediamo qui")).as_deref(), Some("Ci vediamo qui"));
        assert_eq!(words(&fixture("button").with("Body", "Altro")).as_deref(), Some("Altro"));
        for name in ["text", "image", "location", "button", "list", "document"] {
            assert_eq!(words(&fixture(name)), None, "{name}");
        }
    }

    #[test]
    fn a_reply_names_its_message_and_a_customer_from_an_advertisement_names_it() {
        assert_eq!(message_of(&fixture("reply")).reply_to.as_deref(), Some("SM00000000000000000000000000000064"));
        let referral = message_of(&fixture("referral")).referral.unwrap();
        assert_eq!((referral.source_type.as_deref(), referral.source_id.as_deref()), (Some("ad"), Some("120208")));
        assert_eq!((referral.headline.as_deref(), referral.body.as_deref()), (Some("Saldi"), Some("Tutto a metà")));
        assert_eq!(referral.click_id.as_deref(), Some("AfeX"));
    }

    #[test]
    fn a_wrong_number_of_media_neither_loses_an_attachment_nor_makes_one_up() {
        for number in ["0", "99999999999999999999", "-1", "x", ""] {
            assert_eq!(message_of(&fixture("image").with("NumMedia", number)).attachments.len(), 1, "{number}");
            assert_eq!(message_of(&fixture("text").with("NumMedia", number)).attachments.len(), 0, "{number}");
        }
        let many = (0..40).fold(fixture("text"), |fixture, index| fixture.with(&format!("MediaUrl{index}"), "https://api.twilio.com/x"));
        assert_eq!(message_of(&many).attachments.len(), ATTACHMENTS_LIMIT);
    }

    #[test]
    fn a_location_a_button_and_a_list_reply_keep_what_they_hold() {
        assert_eq!(
            message_of(&fixture("location")).content,
            Content::Location {
                latitude: 41.9,
                longitude: 12.5,
                label: Some("Roma".into()),
                address: Some("Via del Corso 1, Roma".into()),
                url: None,
            }
        );
        let button = message_of(&fixture("button"));
        assert_eq!(button.content, Content::Button { text: "Sì".into(), payload: Some("yes".into()) });
        assert_eq!(button.reply_to.as_deref(), Some("MM00000000000000000000000000000028"));
        assert_eq!(
            message_of(&fixture("list")).content,
            Content::ListReply { id: "row_1".into(), title: "Assistenza".into(), description: None }
        );
        assert!(message_of(&fixture("forwarded")).forwarded);
    }

    #[test]
    fn an_invalid_location_is_unsupported_but_not_refused() {
        for latitude in ["91", "NaN", "inf", "north", ""] {
            let content = message_of(&fixture("location").with("Latitude", latitude)).content;
            assert_eq!(content, Content::Unsupported { kind: "location".into(), detail: None }, "{latitude}");
        }
    }

    #[test]
    fn an_unknown_kind_is_kept_as_text_if_it_has_a_body_else_as_unsupported() {
        assert_eq!(message_of(&fixture("unsupported")).content, Content::Unsupported { kind: "order".into(), detail: None });
        let untyped = message_of(&fixture("unsupported").without("MessageType"));
        assert_eq!(untyped.content, Content::Unsupported { kind: "unknown".into(), detail: None });
        let reaction = message_of(&fixture("text").with("MessageType", "reaction").with("Body", "👍"));
        assert_eq!(reaction.content, Content::Text { body: "👍".into() });
        assert_eq!(message_of(&fixture("text").with("Body", "")).content, Content::Text { body: String::new() });
    }

    #[test]
    fn a_customer_is_known_by_phone_and_by_business_scoped_id() {
        let message = message_of(&fixture("bsuid"));
        assert_eq!((message.from, message.alias), (user_id(), None));
        let message = message_of(&fixture("phone-and-bsuid"));
        assert_eq!((message.from, message.alias), (phone(), Some(user_id())));
        let message = message_of(&fixture("bsuid").with("WaId", "393331234567"));
        assert_eq!((message.from, message.alias), (phone(), Some(user_id())));
        let message = message_of(&fixture("bsuid").with("From", "whatsapp:IT.ENT.11815799212886844830"));
        assert_eq!(message.from, Address::Bsuid("IT.ENT.11815799212886844830".into()));
        let message = message_of(&fixture("phone-and-bsuid").with("ExternalUserId", "whatsapp:#"));
        assert_eq!(message.alias, None);
    }

    #[test]
    fn a_status_moves_the_message_it_names() {
        for (name, word, state) in [
            ("status-sent", "sent", DeliveryState::Sent),
            ("status-delivered", "delivered", DeliveryState::Delivered),
            ("status-read", "read", DeliveryState::Read),
        ] {
            let (id, status) = status_of(&fixture(name));
            assert_eq!(id, format!("SM00000000000000000000000000000064#{word}"));
            assert_eq!((status.state, status.error), (state, None));
            assert_eq!(status.provider_id, "SM00000000000000000000000000000064");
            assert_eq!(status.reference.as_deref(), Some(REFERENCE));
        }
        for word in ["queued", "accepted", "scheduled", "sending"] {
            assert_eq!(status_of(&fixture("status-sent").with("MessageStatus", word)).1.state, DeliveryState::Accepted);
        }
    }

    #[test]
    fn a_failure_has_its_reason_as_far_as_it_is_known() {
        let (id, status) = status_of(&fixture("status-undelivered"));
        assert_eq!(id, "SM00000000000000000000000000000064#undelivered");
        assert_eq!(status.state, DeliveryState::Failed);
        assert_eq!(status.error, Some(DeliveryError { class: ErrorClass::WindowExpired, code: Some("63016".into()) }));
        let (id, status) = status_of(&fixture("status-failed"));
        assert_eq!(id, "SM00000000000000000000000000000064#failed");
        assert_eq!(status.error, Some(DeliveryError { class: ErrorClass::InvalidRecipient, code: Some("63003".into()) }));
        for (word, code, class, shown) in [
            ("failed", "63003", ErrorClass::InvalidRecipient, Some("63003")),
            ("undelivered", "99999", ErrorClass::Undeliverable, Some("99999")),
            ("failed", "99999", ErrorClass::Permanent, Some("99999")),
            ("canceled", "", ErrorClass::Permanent, None),
            ("undelivered", "0", ErrorClass::Undeliverable, None),
            ("failed", "not a code", ErrorClass::Permanent, None),
        ] {
            let (_, status) = status_of(&fixture("status-undelivered").with("MessageStatus", word).with("ErrorCode", code));
            assert_eq!(status.error, Some(DeliveryError { class, code: shown.map(ToOwned::to_owned) }), "{word} {code}");
        }
    }

    #[test]
    fn an_unknown_status_makes_no_event() {
        for word in ["partially_delivered", "teleported", "#"] {
            assert_eq!(parse_fixture(&fixture("status-sent").with("MessageStatus", word)), Ok(vec![]), "{word}");
        }
    }

    #[test]
    fn a_message_may_carry_the_status_received() {
        assert_eq!(message_of(&fixture("text").with("MessageStatus", "received")).from, phone());
    }

    #[test]
    fn a_get_is_read_from_its_query() {
        let text = fixture("text");
        let url = format!("https://h.example/receive/twilio/T0KEN?{}#rc=3", String::from_utf8(text.body.clone()).unwrap());
        let request = SignedRequest { method: &Method::GET, public_url: &url, content_type: None, signature: None, body: b"" };
        assert_eq!(parse(&request, Some(REFERENCE), &account(), received_at()), parse_fixture(&text));
    }

    #[test]
    fn a_refusal_names_the_missing_parameter_and_echoes_no_value() {
        let missing = |parameter| Err(ParseError::Missing { parameter });
        assert_eq!(parse_fixture(&fixture("text").without("MessageSid")), missing("MessageSid"));
        assert_eq!(parse_fixture(&fixture("text").with("MessageSid", "")), missing("MessageSid"));
        assert_eq!(parse_fixture(&fixture("status-sent").without("MessageSid")), missing("MessageSid"));
        assert_eq!(parse_fixture(&fixture("text").without("From")), missing("From"));
        for sid in ["SM#1", "SM 1", &"S".repeat(65), "SM\u{e9}"] {
            let error = parse_fixture(&fixture("text").with("MessageSid", sid)).unwrap_err();
            assert!(matches!(error, ParseError::Malformed { parameter: "MessageSid", .. }));
            assert!(!error.to_string().contains(sid));
        }
        for from in
            ["+393331234567", "whatsapp:", "whatsapp:393331234567", "whatsapp:whatsapp:+393331234567", "whatsapp:IT.#", "whatsapp:it.1"]
        {
            let error = parse_fixture(&fixture("text").with("From", from)).unwrap_err();
            assert!(matches!(error, ParseError::Malformed { parameter: "From", .. }), "{from}");
            assert!(!error.to_string().contains("3933"));
        }
        let mut json = fixture("text");
        json.headers = vec![("Content-Type".into(), "application/json".into())];
        assert_eq!(parse_fixture(&json), Err(ParseError::ContentType { expected: FORM }));
    }

    #[test]
    fn extra_parameters_change_nothing_texts_are_whole_and_long_names_are_cut() {
        let plain = parse_fixture(&fixture("text"));
        assert_eq!(parse_fixture(&fixture("text").with("SomethingNew", "1")), plain);
        let long = message_of(&fixture("text").with("Body", &"ü".repeat(65_536)).with("ProfileName", &"z".repeat(9_000)));
        assert_eq!(long.content.readable(), "ü".repeat(65_536));
        let name = long.profile_name.unwrap().0;
        assert!(name.len() == 4 * 1024 && name.ends_with("z…"));
    }

    #[test]
    fn bytes_that_are_not_utf8_become_replacement_characters() {
        let mut broken = fixture("text");
        broken.body.extend_from_slice(b"&Label=%FF\xFE");
        assert_eq!(message_of(&broken).from, phone());
        let mut body = fixture("text").without("Body");
        body.body.extend_from_slice(b"&Body=a%FFb");
        assert_eq!(words(&message_of(&body).content), r#"{"type":"text","body":"a�b"}"#);
    }

    #[test]
    fn a_reference_that_cannot_be_ours_is_dropped() {
        let fixture = fixture("status-sent");
        let request = SignedRequest {
            method: &Method::POST,
            public_url: "https://h.example/",
            content_type: Some(FORM),
            signature: None,
            body: &fixture.body,
        };
        for reference in [None, Some(""), Some(&*"x".repeat(REFERENCE_LIMIT + 1))] {
            let events = parse(&request, reference, &account(), received_at()).unwrap();
            assert!(matches!(&events[0].kind, InboundKind::Status(StatusUpdate { reference: None, .. })));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_bytes_never_panic(
            body in prop::collection::vec(any::<u8>(), 0..1024),
            reference in any::<String>(),
            public_url in any::<String>(),
        ) {
            for method in [Method::GET, Method::POST] {
                let (method, public_url, body) = (&method, &public_url, &body);
                let request = SignedRequest { method, public_url, content_type: Some(FORM), signature: None, body };
                let _ = parse(&request, Some(&reference), &account(), received_at());
            }
        }

        #[test]
        fn a_signed_message_with_any_contents_is_stored_under_a_safe_id(
            body in any::<String>(),
            kind in any::<String>(),
            extra in prop::collection::hash_map(
                "(Latitude|Longitude|Button(Text|Payload)|ListId|NumMedia|MediaUrl[0-9]|WaId|ExternalUserId|OriginalRepliedMessageSid|[A-Z]{3})",
                any::<String>(),
                0..8,
            ),
        ) {
            let message = fixture("text").with("Body", &body).with("MessageType", &kind);
            let message = extra.iter().fold(message, |message, (name, value)| message.with(name, value));
            let events = parse_fixture(&message).unwrap();
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(events[0].id.as_str(), "SM00000000000000000000000000000001");
            prop_assert!(matches!(&events[0].kind, InboundKind::Message(message) if message.from == phone()));
            // The event is stored and queued as JSON.
            let stored = serde_json::to_string(&events[0]).unwrap();
            let read: InboundEvent = serde_json::from_str(&stored).unwrap();
            prop_assert_eq!(serde_json::to_string(&read).unwrap(), stored);
        }

        #[test]
        fn event_ids_are_safe_in_keys(sid in any::<String>(), status in any::<String>()) {
            let changed = fixture("status-sent").with("MessageSid", &sid).with("MessageStatus", &status);
            for fixture in [changed, fixture("text").with("MessageSid", &sid)] {
                for event in parse_fixture(&fixture).unwrap_or_default() {
                    let id = event.id.replacen('#', "", 1);
                    prop_assert!(id.len() <= 80 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
                }
            }
        }
    }
}
