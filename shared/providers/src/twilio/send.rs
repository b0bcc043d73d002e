//! Sending a message, reading the answer, and fetching an attachment.

use domain::message::{Content, DeliveryError, DeliveryState, ErrorClass};
use domain::values::{Address, E164, Secret};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::{FORM, errors, is_sid, webhook};
use crate::{Authorization, MediaAddressError, Origin, OutgoingRequest, RateScope, Redirects, RenderError, SendOutcome, SendResult};

/// The longest text that Twilio takes, in characters; more is refused with 21617.
pub(super) const MAX_TEXT: usize = 1600;

/// A WhatsApp message takes one attachment.
pub(super) const MAX_ATTACHMENTS: usize = 1;

/// A message to send.
#[derive(Clone, Copy)]
pub(super) struct Outgoing<'a> {
    /// Twilio's API ([`super::API_URL`]), or what stands in for it.
    pub(super) base_url: &'a str,
    /// `AC…`: the user of the credentials.
    pub(super) account_sid: &'a str,
    /// The password of the credentials.
    pub(super) auth_token: &'a Secret,
    /// The account's number.
    pub(super) from: &'a E164,
    /// The customer.
    pub(super) to: &'a Address,
    /// Text, or media with its caption.
    pub(super) content: &'a Content,
    /// Public addresses from which Twilio fetches the attachments; at most [`MAX_ATTACHMENTS`].
    pub(super) media_urls: &'a [&'a str],
    /// Where Twilio reports how far the message got.
    pub(super) status_callback: Option<&'a str>,
}

/// Builds the request that sends a message. It may be made once only: Twilio has no idempotency key.
///
/// # Errors
/// What Twilio would refuse anyway is refused here, before anything leaves: a text over [`MAX_TEXT`], no content at all, too many
/// attachments, kinds that customers send but agents can't.
pub(super) fn render_send(message: &Outgoing<'_>) -> Result<OutgoingRequest, RenderError> {
    let text = match message.content {
        Content::Text { body } => body,
        Content::Media { caption } => caption,
        _ => return Err(RenderError::Unsupported),
    };
    if !is_sid(message.account_sid) {
        return Err(RenderError::MalformedAccount);
    }
    if text.chars().count() > MAX_TEXT {
        return Err(RenderError::TextTooLong { limit: MAX_TEXT });
    }
    if message.media_urls.len() > MAX_ATTACHMENTS {
        return Err(RenderError::TooManyAttachments { limit: MAX_ATTACHMENTS });
    }
    let has_text = !text.trim().is_empty();
    if !has_text && message.media_urls.is_empty() {
        return Err(RenderError::Empty);
    }
    let to = match message.to {
        Address::Phone(number) => number.as_str(),
        Address::Bsuid(id) => id,
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("From", &format!("whatsapp:{}", message.from.as_str()));
    form.append_pair("To", &format!("whatsapp:{to}"));
    if has_text {
        form.append_pair("Body", text);
    }
    for url in message.media_urls {
        form.append_pair("MediaUrl", url);
    }
    if let Some(url) = message.status_callback {
        form.append_pair("StatusCallback", url);
    }
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

/// Reads Twilio's answer to the request of [`render_send`].
///
/// Only an answer that says so is a refusal: a 5xx, a redirect, a 408 or a 2xx that can't be read do not tell whether the message was
/// taken.
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
            // 404: there is no such Twilio account.
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

/// What the body of a 201 says.
fn created(sid: &str, body: &Value) -> SendResult {
    let accepted = |state| SendResult::Accepted { provider_id: sid.to_owned(), state };
    match body["status"].as_str().and_then(webhook::state_of) {
        Some((name, DeliveryState::Failed)) => SendResult::Failed(webhook::failure(name, error_code(&body["error_code"]))),
        Some((_, state)) => accepted(state),
        // It has an id, so it was taken, whatever a new word for its state means.
        None => accepted(DeliveryState::Accepted),
    }
}

/// A code, documented as a number; a string of digits is as clear.
fn error_code(value: &Value) -> Option<u32> {
    match value {
        Value::String(digits) => digits.parse().ok(),
        other => other.as_u64().and_then(|code| code.try_into().ok()),
    }
}

/// Builds the request that fetches an attachment from `url`, an address that came with a webhook.
///
/// The credentials go only to Twilio itself (https, `twilio.com` and its subdomains, the default port) and to the origin of `base_url`; any
/// other host gets none. Twilio answers with a redirect to its store, which must not get them either. The caller vets where the address
/// leads.
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
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    fn render(to: &Address, content: &Content, media_urls: &[&str]) -> Result<OutgoingRequest, RenderError> {
        let from = E164::parse("whatsapp:+390612345678").unwrap();
        render_send(&Outgoing {
            base_url: "http://127.0.0.1:9999/",
            account_sid: ACCOUNT,
            auth_token: &Secret::new("s3cret"),
            from: &from,
            to,
            content,
            media_urls,
            status_callback: Some("https://h.example/receive/twilio/T0KEN/status?ref=a.b.1.c"),
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
        let request = render(&customer(), &text("Buongiorno è 5 & 6"), &[]).unwrap();
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
        let request = render(&Address::Bsuid("IT.1349".into()), &text("Ciao"), &[]).unwrap();
        assert!(form(&request).contains(&("To".into(), "whatsapp:IT.1349".into())));
    }

    #[test]
    fn an_attachment_goes_with_or_without_a_caption() {
        let request = render(&customer(), &Content::Media { caption: String::new() }, &["https://h.example/m"]).unwrap();
        let names: Vec<_> = form(&request).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["From", "To", "MediaUrl", "StatusCallback"]);
        let request = render(&customer(), &Content::Media { caption: "Ecco".into() }, &["https://h.example/m"]).unwrap();
        assert!(form(&request).contains(&("Body".into(), "Ecco".into())));
    }

    #[test]
    fn a_text_over_1600_characters_is_refused_before_it_is_sent() {
        assert!(render(&customer(), &text("ü".repeat(MAX_TEXT)), &[]).is_ok());
        let error = render(&customer(), &text("ü".repeat(MAX_TEXT + 1)), &[]).unwrap_err();
        assert_eq!(error, RenderError::TextTooLong { limit: 1600 });
        assert_eq!(error.delivery_error().class, ErrorClass::Permanent);
        assert_eq!(error.to_string(), "the text is longer than 1600 characters");
    }

    #[test]
    fn what_can_not_be_sent_is_refused() {
        assert_eq!(render(&customer(), &text(" \n"), &[]), Err(RenderError::Empty));
        let two = ["https://h.example/1", "https://h.example/2"];
        assert_eq!(render(&customer(), &text("x"), &two), Err(RenderError::TooManyAttachments { limit: 1 }));
        let button = Content::Button { text: "x".into(), payload: None };
        assert_eq!(render(&customer(), &button, &[]), Err(RenderError::Unsupported));
        let from = E164::parse("+390612345678").unwrap();
        let elsewhere = Outgoing {
            base_url: API_URL,
            account_sid: "../../v1",
            auth_token: &Secret::new("s3cret"),
            from: &from,
            to: &customer(),
            content: &text("x"),
            media_urls: &[],
            status_callback: None,
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
    fn a_message_that_twilio_took_has_its_id() {
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
    fn an_answer_that_does_not_tell_whether_the_message_was_taken_is_unknown() {
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
    fn the_daily_limit_is_a_failure_since_waiting_for_it_would_hold_up_the_next_messages() {
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
    fn a_stranger_can_not_make_us_send_the_credentials_elsewhere() {
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
