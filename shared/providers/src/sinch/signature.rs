//! The signatures of both kinds of callbacks: HMAC-SHA256, keyed with a secret, over the raw body and the values of
//! one or two headers.
//!
//! A late callback is as good as a timely one. Sinch repeats a callback that was not accepted for most of a day,
//! and it is not known whether it signs the repetition anew. The id tells a repetition, as long as its event is kept
//! ([`signed_at`]).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::values::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use crate::{VerifyError, Webhook};

/// The Conversation API's signature.
pub const SIGNATURE_HEADER: &str = "x-sinch-webhook-signature";
/// The header of the nonce, which makes each signature different.
pub const NONCE_HEADER: &str = "x-sinch-webhook-signature-nonce";
/// The header of the time of signing, in Unix seconds.
pub const TIMESTAMP_HEADER: &str = "x-sinch-webhook-signature-timestamp";
/// The older API's signature.
pub const LEGACY_SIGNATURE_HEADER: &str = "sinch-whatsapp-callback-signature";
/// The header of the older API's nonce, which makes each signature different.
pub const LEGACY_NONCE_HEADER: &str = "sinch-whatsapp-callback-signature-nonce";

/// HMAC-SHA256 has 32 bytes.
type Signature = [u8; 32];

/// Signs as the Conversation API does, for tests and for the local stand-in: Base64 of the HMAC over body, nonce
/// and timestamp (Unix seconds), joined by dots.
///
/// Source: sinch-sdk-java `HmacAuthenticationValidation`, sinch-sdk-node `authorization.helper.ts`.
pub fn sign(body: &[u8], nonce: &str, timestamp: &str, secret: &Secret) -> String {
    STANDARD.encode(compute(&[body, nonce.as_bytes(), timestamp.as_bytes()], secret))
}

/// Signs as the older API does, for tests and for the local stand-in: the HMAC over body and nonce, joined by a
/// dot, here in Base64.
///
/// Source: Sinch's documentation of WhatsApp callbacks. It does not say how the result is written, so hex is
/// accepted too.
pub fn sign_legacy(body: &[u8], nonce: &str, secret: &Secret) -> String {
    STANDARD.encode(compute(&[body, nonce.as_bytes()], secret))
}

/// Checks that the Conversation API made `webhook`, with any of `secrets`. The comparison takes constant time over
/// all secrets.
///
/// # Errors
/// In this order: the account has no secret; a header is missing; the signature is malformed, or does not match.
pub(super) fn verify(webhook: &Webhook<'_>, secrets: &[&Secret]) -> Result<(), VerifyError> {
    let secrets = usable(secrets)?;
    let given = required(webhook, SIGNATURE_HEADER)?;
    let (nonce, timestamp) = (required(webhook, NONCE_HEADER)?, required(webhook, TIMESTAMP_HEADER)?);
    let given = from_base64(given).ok_or(VerifyError::SignatureMalformed { header: SIGNATURE_HEADER })?;
    matches(&[webhook.body, nonce.as_bytes(), timestamp.as_bytes()], &given, &secrets)
}

/// The time of signing, for a callback that [`verify`] accepts.
pub(super) fn signed_at(webhook: &Webhook<'_>) -> Option<Timestamp> {
    Timestamp::from_second(webhook.header(TIMESTAMP_HEADER)?.trim().parse().ok()?).ok()
}

/// Checks that the older API made `webhook`, with any of `secrets`.
///
/// # Errors
/// The same as for [`verify`].
pub(super) fn verify_legacy(webhook: &Webhook<'_>, secrets: &[&Secret]) -> Result<(), VerifyError> {
    let secrets = usable(secrets)?;
    let given = required(webhook, LEGACY_SIGNATURE_HEADER)?;
    let nonce = required(webhook, LEGACY_NONCE_HEADER)?;
    let given = from_base64(given).or_else(|| from_hex(given));
    let given = given.ok_or(VerifyError::SignatureMalformed { header: LEGACY_SIGNATURE_HEADER })?;
    matches(&[webhook.body, nonce.as_bytes()], &given, &secrets)
}

/// An empty secret would make everybody's signature valid.
fn usable<'a>(secrets: &[&'a Secret]) -> Result<Vec<&'a Secret>, VerifyError> {
    let usable: Vec<_> = secrets.iter().copied().filter(|secret| !secret.reveal().is_empty()).collect();
    if usable.is_empty() { Err(VerifyError::NoSecret) } else { Ok(usable) }
}

fn required<'a>(webhook: &Webhook<'a>, header: &'static str) -> Result<&'a str, VerifyError> {
    webhook.header(header).map(str::trim).filter(|text| !text.is_empty()).ok_or(VerifyError::SignatureMissing { header })
}

fn matches(parts: &[&[u8]], given: &Signature, secrets: &[&Secret]) -> Result<(), VerifyError> {
    let matches = secrets.iter().fold(Choice::from(0), |matches, secret| matches | compute(parts, secret).ct_eq(given));
    if bool::from(matches) { Ok(()) } else { Err(VerifyError::SignatureMismatch) }
}

fn compute(parts: &[&[u8]], secret: &Secret) -> Signature {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            mac.update(b".");
        }
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn from_base64(text: &str) -> Option<Signature> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

fn from_hex(text: &str) -> Option<Signature> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut signature = Signature::default();
    for (index, byte) in signature.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(signature)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    const NONCE: &str = "01FJA8B4A7BM43YGWSG9GBV067";
    const TIMESTAMP: &str = "1634579353";

    fn secret() -> Secret {
        Secret::new("foo_secret1234")
    }

    fn check_with(body: &[u8], headers: &[(&'static str, &str)], secrets: &[&Secret]) -> Result<(), VerifyError> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap()))
            .collect();
        verify(&Webhook { method: &Method::POST, public_url: "https://h.example/receive/sinch/T", headers: &headers, body }, secrets)
    }

    fn check(body: &[u8], signature: &str) -> Result<(), VerifyError> {
        check_with(body, &[(SIGNATURE_HEADER, signature), (NONCE_HEADER, NONCE), (TIMESTAMP_HEADER, TIMESTAMP)], &[&secret()])
    }

    fn check_legacy(body: &[u8], signature: &str, nonce: &str, secrets: &[&Secret]) -> Result<(), VerifyError> {
        let headers = HeaderMap::from_iter([
            (HeaderName::from_static(LEGACY_SIGNATURE_HEADER), HeaderValue::from_str(signature).unwrap()),
            (HeaderName::from_static(LEGACY_NONCE_HEADER), HeaderValue::from_str(nonce).unwrap()),
        ]);
        verify_legacy(&Webhook { method: &Method::POST, public_url: "https://h.example/receive/sinch/T", headers: &headers, body }, secrets)
    }

    /// Vectors of sinch-sdk-java `HmacAuthenticationValidationTest` and sinch-sdk-python
    /// `test_conversation_sinch_event.py`.
    #[test]
    fn published_vectors_pass() {
        let contact = r#"{"app_id":"","accepted_time":"2021-10-18T17:49:13.813615Z","project_id":"e2df3a34-a71b-4448-9db5-a8d2baad28e4","contact_create_notification":{"contact":{"id":"01FJA8B466Y0R2GNXD78MD9SM1","channel_identities":[{"channel":"SMS","identity":"48123456789","app_id":""}],"display_name":"New Test Contact","email":"new.contact@email.com","external_id":"","metadata":"","language":"EN_US"}},"message_metadata":""}"#;
        let report = r#"{"app_id":"01EB37HMH1M6SV18BSNS3G135H","accepted_time":"2020-11-17T15:09:11.659Z","project_id":"c36f3d3d-1513-2edd-ae42-11995557ff61","message_delivery_report":{"message_id":"01EQBC1A3BEK731GY4YXEN0C2R","conversation_id":"01EPYATA64TMNZ1FV02JKF12JF","status":"QUEUED_ON_CHANNEL","contact_id":"01EXA07N79THJ20WSN6AS30TMW"}}"#;
        for (body, signature) in
            [(contact, "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE="), (report, "Yc+3R1pIS78xLASybulhs8BsSo9BPB3Pr92QCUoczfk=")]
        {
            assert_eq!(sign(body.as_bytes(), NONCE, TIMESTAMP, &secret()), signature);
            assert_eq!(check(body.as_bytes(), signature), Ok(()));
            assert_eq!(check(format!("{body} ").as_bytes(), signature), Err(VerifyError::SignatureMismatch));
        }
    }

    #[test]
    fn the_previous_secret_is_accepted_during_a_rotation_and_an_empty_one_never() {
        let (current, previous, older, empty) = (Secret::new("new"), secret(), Secret::new("older"), Secret::new(""));
        let headers = |signature: &str, secrets: &[&Secret]| {
            check_with(b"{}", &[(SIGNATURE_HEADER, signature), (NONCE_HEADER, "n"), (TIMESTAMP_HEADER, "1")], secrets)
        };
        let old = sign(b"{}", "n", "1", &previous);
        assert_eq!(headers(&old, &[&current, &previous]), Ok(()));
        assert_eq!(headers(&old, &[&current]), Err(VerifyError::SignatureMismatch));
        assert_eq!(headers(&sign(b"{}", "n", "1", &older), &[&current, &previous]), Err(VerifyError::SignatureMismatch));
        assert_eq!(headers(&sign(b"{}", "n", "1", &empty), &[&empty, &current]), Err(VerifyError::SignatureMismatch));
        assert_eq!(headers(&old, &[]), Err(VerifyError::NoSecret));
        assert_eq!(headers(&old, &[&empty]), Err(VerifyError::NoSecret));
    }

    #[test]
    fn a_callback_of_long_ago_is_as_good_as_one_of_today() {
        let signature = sign(b"{}", NONCE, "1", &secret());
        let headers = [(SIGNATURE_HEADER, signature.as_str()), (NONCE_HEADER, NONCE), (TIMESTAMP_HEADER, "1")];
        assert_eq!(check_with(b"{}", &headers, &[&secret()]), Ok(()));
    }

    #[test]
    fn a_request_without_a_usable_signature_is_refused_and_says_why() {
        let signature = sign(b"{}", NONCE, TIMESTAMP, &secret());
        let all = [(SIGNATURE_HEADER, signature.as_str()), (NONCE_HEADER, NONCE), (TIMESTAMP_HEADER, TIMESTAMP)];
        assert_eq!(check_with(b"{}", &all, &[&secret()]), Ok(()));
        for missing in 0..3 {
            let headers: Vec<_> = all.iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, header)| *header).collect();
            assert_eq!(check_with(b"{}", &headers, &[&secret()]), Err(VerifyError::SignatureMissing { header: all[missing].0 }));
            let mut empty = all;
            empty[missing].1 = " ";
            assert_eq!(check_with(b"{}", &empty, &[&secret()]), Err(VerifyError::SignatureMissing { header: all[missing].0 }));
        }
        for malformed in ["not base64!", "c2hvcnQ=", &signature[..43]] {
            assert_eq!(check(b"{}", malformed), Err(VerifyError::SignatureMalformed { header: SIGNATURE_HEADER }), "{malformed}");
        }
    }

    #[test]
    fn the_older_signature_may_be_written_in_base64_or_in_hex() {
        let body = br#"{"type":"whatsapp"}"#;
        let base64 = sign_legacy(body, "n1", &secret());
        let hex: String = STANDARD.decode(&base64).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
        for signature in [&base64, &hex, &hex.to_uppercase()] {
            assert_eq!(check_legacy(body, signature, "n1", &[&secret()]), Ok(()));
            assert_eq!(check_legacy(body, signature, "n2", &[&secret()]), Err(VerifyError::SignatureMismatch));
            assert_eq!(check_legacy(b"{}", signature, "n1", &[&secret()]), Err(VerifyError::SignatureMismatch));
            assert_eq!(check_legacy(body, signature, "n1", &[&Secret::new("other"), &secret()]), Ok(()));
        }
        let malformed = Err(VerifyError::SignatureMalformed { header: LEGACY_SIGNATURE_HEADER });
        assert_eq!(check_legacy(body, &hex[..62], "n1", &[&secret()]), malformed);
        assert_eq!(check_legacy(body, &format!("+{}", &hex[1..]), "n1", &[&secret()]), malformed);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn a_signed_callback_verifies_and_a_changed_one_never_does(
            body in prop::collection::vec(any::<u8>(), 1..256),
            nonce in "[!-~]{1,40}",
            timestamp in "[0-9]{1,12}",
            key in "[ -~]{1,80}",
            at in any::<prop::sample::Index>(),
            flip in 0u8..8,
        ) {
            let secret = Secret::new(key);
            let signature = sign(&body, &nonce, &timestamp, &secret);
            let headers = [(SIGNATURE_HEADER, signature.as_str()), (NONCE_HEADER, nonce.as_str()), (TIMESTAMP_HEADER, timestamp.as_str())];
            prop_assert_eq!(check_with(&body, &headers, &[&secret]), Ok(()));
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= 1 << flip;
            prop_assert_eq!(check_with(&changed, &headers, &[&secret]), Err(VerifyError::SignatureMismatch));
            let later = format!("{timestamp}0");
            let replayed = [headers[0], headers[1], (TIMESTAMP_HEADER, later.as_str())];
            prop_assert_eq!(check_with(&body, &replayed, &[&secret]), Err(VerifyError::SignatureMismatch));
        }

        #[test]
        fn arbitrary_headers_never_panic_and_never_verify(
            body in prop::collection::vec(any::<u8>(), 0..256),
            signature in "\\PC{0,80}",
            nonce in "\\PC{0,40}",
        ) {
            let headers = [(SIGNATURE_HEADER, signature.as_str()), (NONCE_HEADER, nonce.as_str()), (TIMESTAMP_HEADER, "1")];
            prop_assert!(check_with(&body, &headers, &[&secret()]).is_err());
            let valid = "6bpJoRmFoXVjfJIVglMoJzYXxnoxRujzR4k2GOXewOE=";
            prop_assert!(check(&body, valid).is_err());
        }
    }
}
