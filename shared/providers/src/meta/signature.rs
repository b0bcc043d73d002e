//! The proof that Meta made a request: an HMAC over the raw body with the app's secret, or the verify token for the
//! handshake.

use domain::account::{Account, Credentials};
use domain::values::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq as _};

use super::{APP_SECRET, VERIFY_TOKEN};
use crate::{VerifyError, Webhook};

/// The header of the signature. The older `X-Hub-Signature`, with SHA-1, may come with it and is ignored.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// Signs as Meta does: `sha256=` and the HMAC-SHA256 of the body in lower-case hex, keyed with the app's secret.
/// For tests and for the local stand-in.
///
/// Source: Meta, "Create a webhook endpoint"; WhatsApp-Nodejs-SDK `src/utils.ts`.
pub fn sign(body: &[u8], secret: &Secret) -> String {
    let digits: String = compute(body, secret).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

/// Checks that Meta made `webhook`, with the app secret of any of `credentials`. The comparison takes constant time
/// over all secrets.
///
/// # Errors
/// In this order: the account has no secret; the signature is missing, malformed, or does not match.
pub(super) fn verify(webhook: &Webhook<'_>, credentials: &[&Credentials]) -> Result<(), VerifyError> {
    let secrets: Vec<&Secret> = credentials.iter().filter_map(|credentials| credentials.get(APP_SECRET)).collect();
    if secrets.is_empty() {
        return Err(VerifyError::NoSecret);
    }
    let header = SIGNATURE_HEADER;
    let given = webhook.header(header).map(str::trim).filter(|given| !given.is_empty()).ok_or(VerifyError::SignatureMissing { header })?;
    let given = given.strip_prefix("sha256=").and_then(from_hex).ok_or(VerifyError::SignatureMalformed { header })?;
    let matches = secrets.iter().fold(Choice::from(0), |matches, secret| matches | compute(webhook.body, secret).ct_eq(&given));
    if bool::from(matches) { Ok(()) } else { Err(VerifyError::SignatureMismatch) }
}

/// The answer to the handshake that Meta makes when somebody saves the Receive URL there: a GET with `hub.mode`,
/// whose challenge goes back as it came.
///
/// Source: Meta, "Create a webhook endpoint".
pub(super) fn handshake(webhook: &Webhook<'_>, account: &Account) -> Option<Result<String, VerifyError>> {
    if *webhook.method != Method::GET {
        return None;
    }
    let mode = webhook.query("hub.mode")?;
    let expected = account.provider.field(VERIFY_TOKEN);
    let given = webhook.query("hub.verify_token").unwrap_or_default();
    let knows = !expected.is_empty() && bool::from(given.as_bytes().ct_eq(expected.as_bytes()));
    Some(match webhook.query("hub.challenge") {
        Some(challenge) if knows && mode == "subscribe" => Ok(challenge),
        _ => Err(VerifyError::Guard),
    })
}

fn compute(body: &[u8], secret: &Secret) -> [u8; 32] {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// 32 bytes from 64 digits in lower case, as Meta writes them.
fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let bytes = text.as_bytes();
    let mut out = [0; 32];
    if bytes.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{account, credentials};
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn check(body: &[u8], signature: Option<&[u8]>, secrets: &[&str]) -> Result<(), VerifyError> {
        let headers = signature
            .map(|signature| (HeaderName::from_static(SIGNATURE_HEADER), HeaderValue::from_bytes(signature).unwrap()))
            .into_iter()
            .collect::<HeaderMap>();
        let credentials: Vec<Credentials> = secrets.iter().map(|secret| credentials(secret)).collect();
        let webhook = Webhook { method: &Method::POST, public_url: "https://h.example/receive/meta/T", headers: &headers, body };
        verify(&webhook, &credentials.iter().collect::<Vec<_>>())
    }

    /// PYWA `tests/test_server.py`.
    #[test]
    fn the_published_vector_passes() {
        let secret = "1222e786b144d0e85b9f365372d93676";
        let body = br#"{"object":"whatsapp_business_account","entry":[{"id":"264937493375603","changes":[{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"15550953877","phone_number_id":"277321005464405"},"contacts":[{"profile":{"name":"PyWa Tests"},"wa_id":"972544401243"}],"messages":[{"from":"972544401243","id":"wamid.HBgMOTcyNTQ0NDAxMjQzFQIAEhggM0RFQTNCMEEwRTY3QzUwODYzMDc4NjQ4QzM4ODAxM0YA","timestamp":"1730231903","text":{"body":"Hey there! I am using PyWa."},"type":"text"}]},"field":"messages"}]}]}"#;
        let signature = "sha256=54edfa1d7259e0eb13c677cc7d73d1b5c86cfa12433d19156e058ab9251bc441";
        assert_eq!(sign(body, &Secret::new(secret)), signature);
        assert_eq!(check(body, Some(signature.as_bytes()), &[secret]), Ok(()));
        let mut longer = body.to_vec();
        longer.push(b'\n');
        assert_eq!(check(&longer, Some(signature.as_bytes()), &[secret]), Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn the_signature_covers_the_bytes_as_they_came_and_not_what_they_mean() {
        let (escaped, plain) = (br#"{"name":"Zo\u00eb"}"#, "{\"name\":\"Zoë\"}");
        let signature = sign(escaped, &Secret::new("s"));
        assert_eq!(check(escaped, Some(signature.as_bytes()), &["s"]), Ok(()));
        assert_eq!(check(plain.as_bytes(), Some(signature.as_bytes()), &["s"]), Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn the_previous_secret_is_accepted_during_a_rotation_the_one_before_it_and_an_empty_one_never() {
        let by = |secret: &str| sign(b"{}", &Secret::new(secret)).into_bytes();
        assert_eq!(check(b"{}", Some(&by("new")), &["new", "old"]), Ok(()));
        assert_eq!(check(b"{}", Some(&by("old")), &["new", "old"]), Ok(()));
        assert_eq!(check(b"{}", Some(&by("older")), &["new", "old"]), Err(VerifyError::SignatureMismatch));
        assert_eq!(check(b"{}", Some(&by("")), &["", "new"]), Err(VerifyError::SignatureMismatch));
        assert_eq!(check(b"{}", Some(&by("")), &[""]), Err(VerifyError::NoSecret));
        assert_eq!(check(b"{}", Some(&by("")), &[]), Err(VerifyError::NoSecret));
    }

    #[test]
    fn a_request_without_a_usable_signature_is_refused_and_says_why() {
        let header = SIGNATURE_HEADER;
        let signature = sign(b"{}", &Secret::new("s"));
        assert_eq!(check(b"{}", None, &["s"]), Err(VerifyError::SignatureMissing { header }));
        assert_eq!(check(b"{}", Some(b" "), &["s"]), Err(VerifyError::SignatureMissing { header }));
        for malformed in [
            &signature["sha256=".len()..],
            &signature[..70],
            &format!("{signature}0"),
            &signature.to_uppercase(),
            &signature.replace("sha256", "sha1"),
            &format!("sha256={}", "+0".repeat(32)),
            "sha256=",
        ] {
            assert_eq!(check(b"{}", Some(malformed.as_bytes()), &["s"]), Err(VerifyError::SignatureMalformed { header }), "{malformed}");
        }
        // A header that is not ASCII counts as missing.
        assert_eq!(check(b"{}", Some(b"sha256=\xFF"), &["s"]), Err(VerifyError::SignatureMissing { header }));
    }

    fn ask(method: &Method, query: &str, token: &str) -> Option<Result<String, VerifyError>> {
        let mut account = account();
        account.provider.fields.insert(VERIFY_TOKEN.into(), token.into());
        let url = format!("https://h.example/receive/meta/T?{query}");
        handshake(&Webhook { method, public_url: &url, headers: &HeaderMap::new(), body: b"" }, &account)
    }

    #[test]
    fn a_handshake_with_the_verify_token_gets_its_challenge_back() {
        let query = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=a%2Bb+c";
        assert_eq!(ask(&Method::GET, query, "a+b c"), Some(Ok("1158201444".into())));
        for (query, token) in [
            (query, "a+b d"),
            (query, ""),
            ("hub.mode=subscribe&hub.challenge=1&hub.verify_token=", ""),
            ("hub.mode=subscribe&hub.challenge=1", "t"),
            ("hub.mode=subscribe&hub.verify_token=t", "t"),
            ("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=t", "t"),
        ] {
            assert_eq!(ask(&Method::GET, query, token), Some(Err(VerifyError::Guard)), "{query}");
        }
        assert_eq!(ask(&Method::GET, "hub.challenge=1&hub.verify_token=t", "t"), None);
        assert_eq!(ask(&Method::GET, "", "t"), None);
        assert_eq!(ask(&Method::POST, "hub.mode=subscribe&hub.challenge=1&hub.verify_token=t", "t"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn a_signed_request_verifies_and_a_changed_one_never_does(
            body in prop::collection::vec(any::<u8>(), 1..256),
            key in "[ -~]{1,80}",
            at in any::<prop::sample::Index>(),
            flip in 0u8..8,
        ) {
            let signature = sign(&body, &Secret::new(key.clone()));
            prop_assert_eq!(check(&body, Some(signature.as_bytes()), &[&key]), Ok(()));
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= 1 << flip;
            prop_assert_eq!(check(&changed, Some(signature.as_bytes()), &[&key]), Err(VerifyError::SignatureMismatch));
            let mut other = signature.into_bytes();
            let digit = "sha256=".len() + at.index(64);
            other[digit] = if other[digit] == b'0' { b'1' } else { b'0' };
            prop_assert_eq!(check(&body, Some(&other), &[&key]), Err(VerifyError::SignatureMismatch));
        }

        #[test]
        fn arbitrary_requests_never_panic_and_never_verify(
            body in prop::collection::vec(any::<u8>(), 0..256),
            signature in prop::collection::vec(0x20u8.., 0..80),
            query in "\\PC{0,60}",
        ) {
            prop_assume!(!signature.contains(&0x7f));
            prop_assert!(check(&body, Some(&signature), &["a secret nobody guesses"]).is_err());
            prop_assert!(!matches!(ask(&Method::GET, &query, "a token nobody guesses"), Some(Ok(_))));
            let asked = ask(&Method::GET, &format!("hub.mode=subscribe&{query}"), "a token nobody guesses");
            prop_assert!(matches!(asked, Some(Err(_))));
        }
    }
}
