//! Sends a message, reads the answer, and fetches an attachment.

use domain::message::{ApprovedTemplate, AttachmentKind, Content, DeliveryError, DeliveryState, ErrorClass, TemplateHeader};
use domain::values::{Address, E164, Secret};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{FORM, errors, is_sid, webhook};
use crate::{
    Authorization, MediaAddressError, Origin, OutgoingAttachment, OutgoingRequest, RateScope, Redirects, RenderError, SendOutcome,
    SendResult,
};

/// The longest text that Twilio accepts, in characters. It refuses a longer one with 21617.
pub(super) const MAX_TEXT: usize = 1600;

/// A message to send.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// Twilio's API ([`super::API_URL`]), or its stand-in.
    pub(super) base_url: &'a str,
    /// `AC…`: the user of the credentials.
    pub(super) account_sid: &'a str,
    /// The password of the credentials.
    pub(super) auth_token: &'a Secret,
    /// The account's number.
    pub(super) from: &'a E164,
    /// The customer.
    pub(super) to: &'a Address,
    /// The contents.
    pub(super) content: &'a Content,
    /// The file to send with it. A WhatsApp message takes one.
    pub(super) attachment: Option<OutgoingAttachment<'a>>,
    /// The URL for Twilio's reports on the message.
    pub(super) status_callback: &'a str,
}

/// Builds the request that sends a message. Make it only once: Twilio has no idempotency key.
///
/// According to its documentation Twilio can't quote the message that is answered (a message goes without its
/// quote), send reactions, or send a caption with files other than pictures and videos. WhatsApp's recordings and
/// stickers have no captions, and it is not documented whether a document keeps its caption. Such a message is
/// refused: a file that arrives without its caption is worse than one that the agent sends again without.
///
/// # Errors
/// Twilio would refuse the message, or might drop a part of it. Nothing has left yet.
pub(super) fn render_send(message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    if !is_sid(message.account_sid) {
        return Err(RenderError::MalformedAccount);
    }
    let to = match message.to {
        Address::Phone(number) => number.as_str(),
        Address::Bsuid(id) => id,
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("From", &format!("whatsapp:{}", message.from.as_str()));
    form.append_pair("To", &format!("whatsapp:{to}"));
    for (name, value) in content(message.content, message.attachment.as_ref())? {
        form.append_pair(name, &value);
    }
    form.append_pair("StatusCallback", message.status_callback);
    Ok(OutgoingRequest {
        method: Method::POST,
        url: format!("{}/2010-04-01/Accounts/{}/Messages.json", message.base_url.trim_end_matches('/'), message.account_sid),
        headers: HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static(FORM)),
            (ACCEPT, HeaderValue::from_static("application/json")),
        ]),
        authorization: Authorization::Basic { user: message.account_sid.to_owned(), password: message.auth_token.clone() },
        body: form.finish().into_bytes(),
        redirects: Redirects::Refuse,
    })
}

pub(super) type Parameters = Vec<(&'static str, String)>;

/// The parameters for the message's contents.
pub(super) fn content(content: &Content, attachment: Option<&OutgoingAttachment<'_>>) -> Result<Parameters, RenderError> {
    match (content, attachment) {
        (Content::Text { body: text } | Content::Media { caption: text }, attachment) => {
            if text.chars().count() > MAX_TEXT {
                return Err(RenderError::TextTooLong { limit: MAX_TEXT });
            }
            let mut parameters = Parameters::new();
            if !text.trim().is_empty() {
                parameters.push(("Body", text.clone()));
            }
            if let Some(attachment) = attachment {
                let captioned = matches!(attachment.kind, AttachmentKind::Image | AttachmentKind::Video);
                if !parameters.is_empty() && !captioned {
                    return Err(RenderError::Unsupported);
                }
                parameters.push(("MediaUrl", attachment.url.to_owned()));
            }
            if parameters.is_empty() { Err(RenderError::Empty) } else { Ok(parameters) }
        }
        (Content::Location { latitude, longitude, label, address, .. }, None) => {
            // A bar ends the coordinates. The rest is the label.
            let label = label.as_deref().or(address.as_deref()).map(|label| format!("|{}", label.replace('|', " "))).unwrap_or_default();
            Ok(vec![("PersistentAction", format!("geo:{latitude},{longitude}{label}"))])
        }
        (Content::Template(template), None) => self::template(template),
        _ => Err(RenderError::Unsupported),
    }
}

/// A content has one list of variables: those with names, and the others numbered over the header's text, the body,
/// then the buttons. A file or a place in the header is part of the content itself, or one of its variables.
fn template(template: &ApprovedTemplate) -> Result<Parameters, RenderError> {
    let content = template.name.starts_with("HX") && is_sid(&template.name);
    if !content || !template.cards.is_empty() || template.offer_ends_at.is_some() {
        return Err(RenderError::MalformedTemplate);
    }
    match &template.header {
        None | Some(TemplateHeader::Text { .. }) => {}
        Some(_) => return Err(RenderError::MalformedTemplate),
    }
    let variables = template.variables().into_iter().map(|(name, value)| (name, value.into()));
    let variables: serde_json::Map<String, Value> = variables.collect();
    let mut parameters = vec![("ContentSid", template.name.clone())];
    if !variables.is_empty() {
        parameters.push(("ContentVariables", Value::Object(variables).to_string()));
    }
    Ok(parameters)
}

/// Reads Twilio's answer to the request of [`render_send`].
///
/// Only an explicit refusal counts as one. A 5xx, a redirect, a 408 or an unreadable 2xx doesn't tell whether
/// Twilio accepted the message.
pub(super) fn classify(outcome: &SendOutcome<'_>) -> SendResult {
    let status = outcome.status;
    let body: Value = serde_json::from_slice(outcome.body).unwrap_or_default();
    if status.is_success() {
        return match body["sid"].as_str().filter(|sid| is_sid(sid)) {
            Some(sid) => created(sid, &body),
            None => SendResult::Unknown,
        };
    }
    let code = error_code(&body["code"]);
    if code == Some(errors::TOO_MANY_REQUESTS) {
        return SendResult::RateLimited { retry_after: outcome.retry_after(), scope: RateScope::Number };
    }
    if !status.is_client_error() || status == StatusCode::REQUEST_TIMEOUT {
        return SendResult::Unknown;
    }
    let class = match code.and_then(errors::class_of) {
        Some(class) => class,
        None => match status {
            StatusCode::TOO_MANY_REQUESTS => ErrorClass::RateLimited,
            // 404: this Twilio account does not exist.
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => ErrorClass::Authentication,
            _ => ErrorClass::Permanent,
        },
    };
    let rate_limited = class == ErrorClass::RateLimited || status == StatusCode::TOO_MANY_REQUESTS;
    if rate_limited && code != Some(errors::DAILY_LIMIT) {
        return SendResult::RateLimited { retry_after: outcome.retry_after(), scope: RateScope::Number };
    }
    SendResult::Failed(DeliveryError { class, code: code.map(|code| code.to_string()) })
}

/// Reads the body of a 201.
fn created(sid: &str, body: &Value) -> SendResult {
    let accepted = |state| SendResult::Accepted { provider_id: sid.to_owned(), state };
    match body["status"].as_str().and_then(webhook::state_of) {
        Some((name, DeliveryState::Failed)) => SendResult::Failed(webhook::failure(name, error_code(&body["error_code"]))),
        Some((_, state)) => accepted(state),
        // The message has an id, so Twilio accepted it, whatever a new state means.
        None => accepted(DeliveryState::Accepted),
    }
}

/// A code. It is documented as a number, but a string of digits is as clear.
fn error_code(value: &Value) -> Option<u32> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64().and_then(|code| code.try_into().ok()),
    }
}

/// Builds the request that fetches an attachment from `url`, an address from a webhook.
///
/// The credentials go only to Twilio itself (https, `twilio.com` and its subdomains, the default port) and to the
/// origin of `base_url`. Any other host gets none. Twilio answers with a redirect to its store, which must not get
/// them either. The caller checks where the address leads.
///
/// # Errors
/// `url` is not an http or https URL.
pub(super) fn media_request(
    base_url: &str,
    account_sid: &str,
    auth_token: &Secret,
    url: &str,
) -> Result<OutgoingRequest, MediaAddressError> {
    let is_web =
        ["https://", "http://"].iter().any(|scheme| url.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme)));
    if !is_web {
        return Err(MediaAddressError);
    }
    let trusted = Origin::parse(url).is_some_and(|origin| origin.is_under("twilio.com") || Origin::parse(base_url) == Some(origin));
    let authorization =
        if trusted { Authorization::Basic { user: account_sid.to_owned(), password: auth_token.clone() } } else { Authorization::None };
    Ok(OutgoingRequest {
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        authorization,
        body: Vec::new(),
        redirects: Redirects::FollowWithoutCredentials,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::API_URL;
    use super::*;
    use domain::message::{TemplateButton, TemplateButtonKind, TemplateParameter};
    use domain::template::{Degrees, ParameterValue};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn render(to: &Address, content: &Content, attachment: Option<AttachmentKind>) -> Result<OutgoingRequest, RenderError> {
        let from = E164::parse("whatsapp:+390612345678").unwrap();
        let file = |kind| OutgoingAttachment { url: "https://h.example/m", kind, content_type: "application/octet-stream", name: None };
        render_send(&Outgoing {
            base_url: "http://127.0.0.1:9999/",
            account_sid: ACCOUNT,
            auth_token: &Secret::new("s3cret"),
            from: &from,
            to,
            content,
            attachment: attachment.map(file),
            status_callback: "https://h.example/receive/twilio/T0KEN/status?ref=a.b.1.c",
        })
    }

    fn customer() -> Address {
        Address::Phone(E164::parse("+393331234567").unwrap())
    }

    fn text(body: impl Into<String>) -> Content {
        Content::Text { body: body.into() }
    }

    fn form(request: &OutgoingRequest) -> Vec<(String, String)> {
        form_urlencoded::parse(&request.body).into_owned().collect()
    }

    fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    #[test]
    fn a_text_is_posted_as_twilio_wants_it() {
        let request = render(&customer(), &text("Buongiorno è 5 & 6"), None).unwrap();
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.url, format!("http://127.0.0.1:9999/2010-04-01/Accounts/{ACCOUNT}/Messages.json"));
        assert_eq!(request.headers[CONTENT_TYPE], FORM);
        assert_eq!(request.authorization, Authorization::Basic { user: ACCOUNT.into(), password: Secret::new("s3cret") });
        assert_eq!(request.redirects, Redirects::Refuse);
        assert_eq!(
            form(&request),
            pairs([
                ("From", "whatsapp:+390612345678"),
                ("To", "whatsapp:+393331234567"),
                ("Body", "Buongiorno è 5 & 6"),
                ("StatusCallback", "https://h.example/receive/twilio/T0KEN/status?ref=a.b.1.c"),
            ])
        );
    }

    #[test]
    fn a_customer_without_a_number_is_reached_by_business_scoped_id() {
        let request = render(&Address::Bsuid("IT.1349".into()), &text("Ciao"), None).unwrap();
        assert!(form(&request).contains(&("To".into(), "whatsapp:IT.1349".into())));
    }

    #[test]
    fn a_picture_or_a_video_goes_with_its_caption_and_other_files_without() {
        use AttachmentKind::{Audio, Document, Image, Sticker, Video, Voice};
        let media = |caption: &str, kind| {
            let form = form(&render(&customer(), &Content::Media { caption: caption.into() }, Some(kind))?);
            Ok(form[2..form.len() - 1].to_vec())
        };
        for kind in [Image, Video, Audio, Voice, Document, Sticker] {
            assert_eq!(media(" ", kind), Ok(pairs([("MediaUrl", "https://h.example/m")])));
        }
        for kind in [Image, Video] {
            assert_eq!(media("Ecco", kind), Ok(pairs([("Body", "Ecco"), ("MediaUrl", "https://h.example/m")])));
        }
        for kind in [Audio, Voice, Document, Sticker] {
            assert_eq!(media("Ecco", kind), Err(RenderError::Unsupported));
        }
    }

    #[test]
    fn a_place_goes_as_an_action_with_its_label() {
        let place = |label: Option<&str>, address: Option<&str>| {
            let (label, address) = (label.map(Into::into), address.map(Into::into));
            let content = Content::Location { latitude: 41.9, longitude: -12.5, label, address, url: None };
            let form = form(&render(&customer(), &content, None).unwrap());
            assert_eq!((form.len(), form[2].0.as_str()), (4, "PersistentAction"));
            form[2].1.clone()
        };
        assert_eq!(place(Some("Roma"), Some("Via 1")), "geo:41.9,-12.5|Roma");
        assert_eq!(place(None, Some("Via 1|2")), "geo:41.9,-12.5|Via 1 2");
        assert_eq!(place(None, None), "geo:41.9,-12.5");
    }

    fn template() -> ApprovedTemplate {
        ApprovedTemplate {
            name: "HX00000000000000000000000000000001".into(),
            language: "it".into(),
            header: Some(TemplateHeader::Text { text: "Ciao".into(), name: None }),
            body: vec!["Zoë \"Z\"".into(), "5".into()],
            buttons: vec![
                TemplateButton { index: 1, kind: TemplateButtonKind::Url, value: "abc".into() },
                TemplateButton { index: 0, kind: TemplateButtonKind::QuickReply, value: "yes".into() },
            ],
            ..ApprovedTemplate::default()
        }
    }

    #[test]
    fn a_template_goes_by_its_id_with_its_parameters_numbered_over_all_parts() {
        let request = render(&customer(), &Content::Template(template()), None).unwrap();
        let form = form(&request);
        assert_eq!(form[2], ("ContentSid".into(), "HX00000000000000000000000000000001".into()));
        assert_eq!(form[3].0, "ContentVariables");
        let variables: Value = serde_json::from_str(&form[3].1).unwrap();
        assert_eq!(variables, serde_json::json!({"1": "Ciao", "2": "Zoë \"Z\"", "3": "5", "4": "yes", "5": "abc"}));
        let named = TemplateParameter::new(Some("code".into()), ParameterValue::Text("A".into()));
        let named = ApprovedTemplate { header: None, body: vec!["Zoë".into(), named], buttons: vec![], ..template() };
        let form = self::form(&render(&customer(), &Content::Template(named), None).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&form[3].1).unwrap(), serde_json::json!({"1": "Zoë", "code": "A"}));
        let bare = ApprovedTemplate { header: None, body: vec![], buttons: vec![], ..template() };
        assert_eq!(self::form(&render(&customer(), &Content::Template(bare), None).unwrap()).len(), 4);
    }

    #[test]
    fn a_template_that_twilios_form_cannot_hold_is_refused() {
        let render = |template| render(&customer(), &Content::Template(template), None);
        for name in ["", "recontact_1", "HX../x", "SM00000000000000000000000000000001"] {
            assert_eq!(render(ApprovedTemplate { name: name.into(), ..template() }), Err(RenderError::MalformedTemplate), "{name}");
        }
        let url = || "https://h.example/m".to_owned();
        for header in [
            TemplateHeader::Image { url: Some(url()) },
            TemplateHeader::Video { url: Some(url()) },
            TemplateHeader::Document { url: Some(url()), name: None },
            TemplateHeader::Location { latitude: Degrees(41.9), longitude: Degrees(12.5), label: None, address: None },
        ] {
            assert_eq!(render(ApprovedTemplate { header: Some(header), ..template() }), Err(RenderError::MalformedTemplate));
        }
    }

    #[test]
    fn a_text_over_1600_characters_is_refused_before_it_is_sent() {
        assert!(render(&customer(), &text("ü".repeat(MAX_TEXT)), None).is_ok());
        let error = render(&customer(), &text("ü".repeat(MAX_TEXT + 1)), None).unwrap_err();
        assert_eq!(error, RenderError::TextTooLong { limit: 1600 });
        assert_eq!(error.delivery_error().class, ErrorClass::Permanent);
        assert_eq!(error.to_string(), "the text is longer than 1600 characters");
    }

    #[test]
    fn a_message_that_cannot_be_sent_is_refused() {
        assert_eq!(render(&customer(), &text(" \n"), None), Err(RenderError::Empty));
        assert_eq!(render(&customer(), &Content::Media { caption: String::new() }, None), Err(RenderError::Empty));
        let button = Content::Button { text: "x".into(), payload: None };
        assert_eq!(render(&customer(), &button, None), Err(RenderError::Unsupported));
        // An internal note never reaches a customer.
        assert_eq!(render(&customer(), &Content::Note { body: "x".into() }, None), Err(RenderError::Unsupported));
        let reaction = Content::Reaction { message: "SM1".into(), emoji: "👍".into() };
        assert_eq!(render(&customer(), &reaction, None), Err(RenderError::Unsupported));
        let from = E164::parse("+390612345678").unwrap();
        let elsewhere = Outgoing {
            base_url: API_URL,
            account_sid: "../../v1",
            auth_token: &Secret::new("s3cret"),
            from: &from,
            to: &customer(),
            content: &text("x"),
            attachment: None,
            status_callback: "https://h.example/s",
        };
        assert_eq!(render_send(&elsewhere), Err(RenderError::MalformedAccount));
    }

    fn classified(status: u16, body: &str) -> SendResult {
        classify(&SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.as_bytes() })
    }

    fn failed(class: ErrorClass, code: Option<&str>) -> SendResult {
        SendResult::Failed(DeliveryError { class, code: code.map(ToOwned::to_owned) })
    }

    #[test]
    fn a_message_that_twilio_accepted_has_its_id() {
        let accepted = |state| SendResult::Accepted { provider_id: "SM1".into(), state };
        for (body, state) in [
            (r#"{"sid":"SM1","status":"queued","error_code":null}"#, DeliveryState::Accepted),
            (r#"{"sid":"SM1","status":"accepted"}"#, DeliveryState::Accepted),
            (r#"{"sid":"SM1","status":"sent"}"#, DeliveryState::Sent),
            (r#"{"sid":"SM1","status":"something new"}"#, DeliveryState::Accepted),
            (r#"{"sid":"SM1"}"#, DeliveryState::Accepted),
        ] {
            assert_eq!(classified(201, body), accepted(state), "{body}");
        }
        assert_eq!(
            classified(201, r#"{"sid":"SM1","status":"failed","error_code":63003}"#),
            failed(ErrorClass::InvalidRecipient, Some("63003"))
        );
    }

    #[test]
    fn an_answer_that_does_not_tell_whether_twilio_accepted_the_message_is_unknown() {
        for (status, body) in [
            (201, ""),
            (201, "<html>"),
            (201, "{}"),
            (201, r#"{"sid":null}"#),
            (201, r#"{"sid":"SM 1 #"}"#),
            (200, "[]"),
            (500, r#"{"code":20500,"status":500}"#),
            (502, "<html>"),
            (503, r#"{"code":20503}"#),
            (504, ""),
            (307, ""),
            (408, ""),
        ] {
            assert_eq!(classified(status, body), SendResult::Unknown, "{status} {body}");
        }
    }

    #[test]
    fn too_many_requests_are_always_safe_to_repeat() {
        let limited = |retry_after| SendResult::RateLimited { retry_after, scope: RateScope::Number };
        for (status, body) in
            [(429, ""), (429, r#"{"code":20429}"#), (400, r#"{"code":20429}"#), (503, r#"{"code":20429}"#), (400, r#"{"code":63018}"#)]
        {
            assert_eq!(classified(status, body), limited(None), "{status} {body}");
        }
        for (header, wait) in [("3", Some(3)), (" 17 ", Some(17)), ("Thu, 01 Jan 2026 00:00:00 GMT", None), ("-1", None), ("", None)] {
            let outcome = SendOutcome { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some(header), body: b"" };
            assert_eq!(classify(&outcome), limited(wait.map(Duration::from_secs)), "{header}");
        }
    }

    #[test]
    fn the_daily_limit_is_a_failure_because_waiting_would_hold_up_the_next_messages() {
        assert_eq!(classified(429, r#"{"code":63038}"#), failed(ErrorClass::RateLimited, Some("63038")));
    }

    #[test]
    fn each_code_has_its_class() {
        use ErrorClass::*;
        for (code, class) in [
            (63016, WindowExpired),
            (63003, InvalidRecipient),
            (21211, InvalidRecipient),
            (63024, Undeliverable),
            (21610, Undeliverable),
            (63005, Permanent),
            (63013, Permanent),
            (63021, Permanent),
            (63030, Permanent),
            (63032, Permanent),
            (63033, Permanent),
            (21617, Permanent),
            (63007, Authentication),
            (63020, Authentication),
            (63022, Authentication),
            (20003, Authentication),
            (63010, Temporary),
            (63012, Temporary),
            (63019, Media),
            (63025, Media),
            (11751, Media),
            (63027, Template),
            (63028, Template),
            (63029, Template),
            (21656, Template),
        ] {
            let shown = code.to_string();
            for body in [format!(r#"{{"code":{code},"message":"…","status":400}}"#), format!(r#"{{"code":"{code}"}}"#)] {
                assert_eq!(classified(400, &body), failed(class, Some(&shown)), "{body}");
            }
        }
        for code in [63017, 63018, 20429] {
            assert_eq!(
                classified(400, &format!(r#"{{"code":{code}}}"#)),
                SendResult::RateLimited { retry_after: None, scope: RateScope::Number }
            );
        }
    }

    #[test]
    fn a_refusal_without_a_known_code_goes_by_its_status() {
        assert_eq!(classified(401, ""), failed(ErrorClass::Authentication, None));
        assert_eq!(classified(403, "<html>"), failed(ErrorClass::Authentication, None));
        assert_eq!(classified(404, r#"{"code":20404}"#), failed(ErrorClass::Authentication, Some("20404")));
        assert_eq!(classified(400, r#"{"code":99999}"#), failed(ErrorClass::Permanent, Some("99999")));
        assert_eq!(classified(400, r#"{"code":-5}"#), failed(ErrorClass::Permanent, None));
    }

    fn media(url: &str) -> Result<OutgoingRequest, MediaAddressError> {
        media_request("http://127.0.0.1:9999", ACCOUNT, &Secret::new("s3cret"), url)
    }

    #[test]
    fn an_attachment_at_twilio_is_fetched_with_credentials_that_stay_behind_on_a_redirect() {
        for url in [
            "https://api.twilio.com/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1",
            "https://twilio.com/x",
            "https://API.Twilio.com:443/x?y#z",
            "HTTPS://mcs.us1.twilio.com",
            "http://127.0.0.1:9999/2010-04-01/x",
        ] {
            let request = media(url).unwrap();
            assert_eq!(request.authorization, Authorization::Basic { user: ACCOUNT.into(), password: Secret::new("s3cret") }, "{url}");
            assert_eq!((request.method, request.redirects), (Method::GET, Redirects::FollowWithoutCredentials));
            assert_eq!(request.url, url);
        }
    }

    #[test]
    fn a_stranger_cannot_make_us_send_the_credentials_elsewhere() {
        for url in [
            "https://example.com/api.twilio.com",
            "https://eviltwilio.com/x",
            "https://twilio.com.example.com/x",
            "https://api.twilio.com@example.com/x",
            "https://api.twilio.com:443@example.com/x",
            "https://example.com\\.twilio.com/x",
            "https://example.com\\@api.twilio.com/x",
            "https://example.com%2f.twilio.com/x",
            "https://example.com\t.twilio.com/x",
            "https://example.com#.twilio.com/x",
            "https://example.com?.twilio.com/x",
            "https://user:pass@api.twilio.com/x",
            "https:///api.twilio.com/x",
            "https://api.twilio.com:8443/x",
            "https://api.twilio。com/x",
            "http://api.twilio.com/x",
            "https://127.0.0.1:9999/x",
            "http://127.0.0.1:9998/x",
            "http://127.0.0.1/x",
        ] {
            assert_eq!(media(url).unwrap().authorization, Authorization::None, "{url}");
        }
        for url in
            ["", "ftp://api.twilio.com/x", "file:///etc/passwd", "api.twilio.com/x", "//api.twilio.com/x", " https://api.twilio.com/x", "é"]
        {
            assert_eq!(media(url), Err(MediaAddressError), "{url}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn no_answer_makes_classify_panic(
            status in 100u16..1000,
            body in prop::collection::vec(any::<u8>(), 0..256),
            retry_after in any::<String>(),
        ) {
            let outcome = SendOutcome { status: StatusCode::from_u16(status).unwrap(), retry_after: Some(&retry_after), body: &body };
            let _ = classify(&outcome);
        }

        #[test]
        fn a_server_error_is_never_repeated_unless_twilio_says_it_is_safe(status in 500u16..600, code in 0u32..100_000) {
            prop_assume!(code != 20429);
            prop_assert_eq!(classified(status, &format!(r#"{{"code":{code}}}"#)), SendResult::Unknown);
        }

        #[test]
        fn credentials_never_leave_for_another_host(
            host in "[a-z0-9.@:\\\\%/?#-]{0,24}",
            tail in "(|/x|\\.twilio\\.com/x|@api\\.twilio\\.com/x)",
        ) {
            let url = format!("https://{host}{tail}");
            let request = media(&url).unwrap();
            if request.authorization != Authorization::None {
                let authority: http::uri::Authority = url.parse::<http::Uri>().unwrap().into_parts().authority.unwrap();
                prop_assert!(authority.host() == "twilio.com" || authority.host().ends_with(".twilio.com"));
            }
        }
    }
}
