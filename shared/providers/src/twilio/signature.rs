//! `X-Twilio-Signature`: Base64 of HMAC-SHA1, keyed with the auth token, over the URL and all parameters of a form.
//!
//! The rules, with Twilio's own quirks, are those of its published validators (twilio-python
//! `request_validator.py`, twilio-node `webhooks.ts`). The scheme itself covers neither the order of parameters nor
//! how often a name repeats the same value.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::values::Secret;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::Method;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use super::{BODY_LIMIT, FORM, SignedRequest, is_form};
use crate::VerifyError;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "x-twilio-signature";

/// The parameter of the URL with which Twilio signs a body that is not a form: the SHA-256 of the body in
/// lower-case hex.
const BODY_HASH: &str = "bodySHA256";

/// HMAC-SHA1 has 20 bytes.
type Signature = [u8; 20];

/// Names sorted by byte value; the distinct values of each, sorted.
type Parameters<'a> = BTreeMap<Cow<'a, str>, BTreeSet<Cow<'a, str>>>;

/// Checks that Twilio made `request`, with any of `secrets` (the current auth token and, during a rotation, the
/// previous one).
///
/// The comparison takes constant time over all secrets and forms of the URL. An empty secret matches nothing.
///
/// # Errors
/// In this order: the body is longer than [`BODY_LIMIT`]; it is neither a form nor covered by `bodySHA256`; the
/// signature is missing, malformed, or does not match.
pub(super) fn verify(request: &SignedRequest<'_>, secrets: &[&Secret]) -> Result<(), VerifyError> {
    if request.body.len() > BODY_LIMIT {
        return Err(VerifyError::TooLarge { limit: BODY_LIMIT });
    }
    let body_hash = body_hash(request.public_url);
    let has_form = body_hash.is_none() && request.method != Method::GET && !request.body.is_empty();
    if has_form && !is_form(request.content_type) {
        return Err(VerifyError::ContentType { expected: FORM });
    }
    let header = SIGNATURE_HEADER;
    let given = request.signature.map(str::trim).filter(|text| !text.is_empty()).ok_or(VerifyError::SignatureMissing { header })?;
    let given: Signature =
        STANDARD.decode(given).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(VerifyError::SignatureMalformed { header })?;

    let parameters = if has_form { collect(form_urlencoded::parse(request.body)) } else { Parameters::new() };
    let mut matches = Choice::from(0);
    for url in url_variants(request.public_url) {
        for secret in secrets.iter().filter(|secret| !secret.reveal().is_empty()) {
            matches |= compute(&url, &parameters, secret).ct_eq(&given);
        }
    }
    if let Some(hash) = body_hash {
        matches &= hex(&Sha256::digest(request.body)).as_bytes().ct_eq(hash.as_bytes());
    }
    if bool::from(matches) { Ok(()) } else { Err(VerifyError::SignatureMismatch) }
}

/// Signs as Twilio does, for tests and for the local stand-in. Takes `url` exactly as it was configured (a fragment
/// is ignored) and the decoded `parameters` of the form, none for a GET and for a body that `bodySHA256` covers.
pub fn sign<'a>(url: &'a str, parameters: impl IntoIterator<Item = (&'a str, &'a str)>, secret: &Secret) -> String {
    let parameters = collect(parameters.into_iter().map(|(name, value)| (Cow::Borrowed(name), Cow::Borrowed(value))));
    STANDARD.encode(compute(without_fragment(url), &parameters, secret))
}

fn collect<'a>(pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) -> Parameters<'a> {
    let mut parameters = Parameters::new();
    for (name, value) in pairs {
        parameters.entry(name).or_default().insert(value);
    }
    parameters
}

fn compute(url: &str, parameters: &Parameters<'_>, secret: &Secret) -> Signature {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.reveal().as_bytes()).expect("a key of any length");
    mac.update(url.as_bytes());
    for (name, values) in parameters {
        for value in values {
            mac.update(name.as_bytes());
            mac.update(value.as_bytes());
        }
    }
    mac.finalize().into_bytes().into()
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// The value of `bodySHA256` in the URL's query.
fn body_hash(url: &str) -> Option<Cow<'_, str>> {
    let (_, query) = without_fragment(url).split_once('?')?;
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == BODY_HASH).map(|(_, value)| value)
}

/// Characters that a query may hold in either form. Twilio signs some of them as they are and then asks for the URL
/// with them percent-encoded; what stands between may change them again.
///
/// Sources: twilio-node's pull requests 621 (`@`, `:`) and 1061 (`'`).
const EITHER_WAY: [(&str, [&str; 2]); 3] = [("'", ["%27", "%27"]), (":", ["%3A", "%3a"]), ("@", ["%40", "%40"])];

/// The forms in which Twilio may have signed the URL: as it is, without its port, or with the scheme's default port
/// if it names none. Each form also with the query's apostrophes, or all of [`EITHER_WAY`], percent-encoded or not.
fn url_variants(url: &str) -> Vec<Cow<'_, str>> {
    let url = without_fragment(url);
    let mut variants = vec![Cow::Borrowed(url)];
    if let Some((scheme, rest)) = url.split_once("://") {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        // The port follows the last colon after any `user:password@` and after the `]` of an IPv6 address.
        let host_at = authority.rfind('@').map_or(0, |at| at + 1);
        let address_end = authority[host_at..].rfind(']').map_or(host_at, |at| host_at + at);
        let default_port = if scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        variants.push(Cow::Owned(match authority[address_end..].rfind(':') {
            Some(colon) => format!("{scheme}://{}{path}", &authority[..address_end + colon]),
            None => format!("{scheme}://{authority}:{default_port}{path}"),
        }));
    }
    let as_written = variants.clone();
    for rewrite in [encoded, decoded] {
        for characters in [&EITHER_WAY[..1], &EITHER_WAY[1..], &EITHER_WAY[..]] {
            for variant in &as_written {
                let Some((path, query)) = variant.split_once('?') else { continue };
                let other = Cow::Owned(format!("{path}?{}", rewrite(query, characters)));
                if !variants.contains(&other) {
                    variants.push(other);
                }
            }
        }
    }
    variants
}

fn encoded(query: &str, characters: &[(&str, [&str; 2])]) -> String {
    characters.iter().fold(query.to_owned(), |query, (plain, [code, _])| query.replace(plain, code))
}

fn decoded(query: &str, characters: &[(&str, [&str; 2])]) -> String {
    characters.iter().fold(query.to_owned(), |query, (plain, [upper, lower])| query.replace(upper, plain).replace(lower, plain))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const FORM_UTF8: &str = "application/x-www-form-urlencoded; charset=utf-8";
    const CALL: [(&str, &str); 5] = [
        ("CallSid", "CA1234567890ABCDE"),
        ("Caller", "+14158675309"),
        ("Digits", "1234"),
        ("From", "+14158675309"),
        ("To", "+18005551212"),
    ];
    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn token() -> Secret {
        Secret::new("12345")
    }

    fn form(parameters: &[(&str, &str)]) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
    }

    fn check(url: &str, content_type: &str, body: &[u8], signature: &str) -> Result<(), VerifyError> {
        check_with(&Method::POST, url, Some(content_type), body, Some(signature), &[&token()])
    }

    fn check_with(
        method: &Method,
        public_url: &str,
        content_type: Option<&str>,
        body: &[u8],
        signature: Option<&str>,
        secrets: &[&Secret],
    ) -> Result<(), VerifyError> {
        verify(&SignedRequest { method, public_url, content_type, signature, body }, secrets)
    }

    /// URL, parameters, signature.
    type Vector<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

    /// Vectors of twilio-python `tests/unit/test_request_validator.py` and twilio-node `spec/validation.spec.js`;
    /// token `12345`.
    #[test]
    fn published_vectors_of_forms_pass() {
        let repeated = [("Sid", "CA123"), ("SidAccount", "AC123"), ("Digits", "5678"), ("Digits", "1234"), ("Digits", "1234")];
        let addresses = [("MessagingBinding.Address", "+1325xxxxxxx"), ("MessagingBinding.Address", "+1415xxxxxxx")];
        let reversed = [addresses[1], addresses[0]];
        let vectors: [Vector<'_>; 11] = [
            (URL, &CALL, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("https://mycompany.com:443/myapp.php?foo=1&bar=2", &CALL, "kvajT1Ptam85bY51eRf/AJRuM3w="),
            ("http://mycompany.com:80/myapp.php?foo=1&bar=2", &CALL, "0ZXoZLH/DfblKGATFgpif+LLRf4="),
            ("http://mycompany.com:1234/myapp.php?foo=1&bar=2", &CALL, "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            ("https://user:pass@mycompany.com/myapp.php?foo=1&bar=2", &CALL, "CukzLTc1tT5dXEDIHm/tKBanW10="),
            ("https://user:pass@mycompany.com:443/myapp.php?foo=1&bar=2", &CALL, "ZQFR1PTIZXF2MXB8ZnKCvnnA+rI="),
            ("https://user@mycompany.com/myapp.php?foo=1&bar=2", &CALL, "2YRLlVAflCqxaNicjMpJcSTgzSs="),
            (URL, &repeated, "IK+Dwps556ElfBT0I3Rgjkr1wJU="),
            (URL, &addresses, "83O6e2vORAoJHUNzJjDWN1jz+BA="),
            (URL, &reversed, "83O6e2vORAoJHUNzJjDWN1jz+BA="),
            ("https://mycompany.com/myapp.php?foo=1&bar=2&Body=It%27s+amazing", &CALL, "TfZzewPq8wqrGlMfyAud8+/IvJ0="),
        ];
        for (url, parameters, signature) in vectors {
            assert_eq!(sign(url, parameters.iter().copied(), &token()), signature, "{url}");
            assert_eq!(check(url, FORM_UTF8, &form(parameters), signature), Ok(()), "{url}");
        }
    }

    #[test]
    fn published_vectors_of_other_bodies_pass() {
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        let body = br#"{"property": "value", "boolean": true}"#;
        let long = format!("{URL}&bodySHA256={hash}");
        let short = format!("https://mycompany.com/myapp.php?bodySHA256={hash}");
        let empty =
            "https://mycompany.com:443/myapp.php?foo=1&bar=2&bodySHA256=44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
        for (url, body, signature) in [
            (long.as_str(), &body[..], "a9nBmqA0ju/hNViExpshrM61xv4="),
            (short.as_str(), &body[..], "y77kIzt2vzLz71DgmJGsen2scGs="),
            (empty, b"{}", "Ldidvp12m26NI7eqEvxnEpkd9Hc="),
            (&empty.replace(":443", ""), b"{}", "Ldidvp12m26NI7eqEvxnEpkd9Hc="),
            (empty, b"{}", "rw/jVviOgicj2+kHZULvebnA4ag="),
        ] {
            assert_eq!(check(url, "application/json", body, signature), Ok(()), "{url}");
            let mut other = body.to_vec();
            other.push(b' ');
            assert_eq!(check(url, "application/json", &other, signature), Err(VerifyError::SignatureMismatch), "{url}");
        }
    }

    #[test]
    fn the_port_may_be_written_or_not() {
        for (signed, received) in [
            ("https://h.example/p?a=1", "https://h.example:443/p?a=1"),
            ("https://h.example:443/p?a=1", "https://h.example/p?a=1"),
            ("http://h.example:80/p", "http://h.example/p"),
            ("https://u:p@h.example:443/p", "https://u:p@h.example/p"),
            ("https://u:p@h.example/p", "https://u:p@h.example:443/p"),
            ("https://h.example/p", "https://h.example:8443/p"),
            ("https://[::1]:443/p", "https://[::1]/p"),
            ("https://[::1]/p", "https://[::1]:443/p"),
            ("https://h.example:443", "https://h.example"),
        ] {
            let signature = sign(signed, CALL, &token());
            assert_eq!(check(received, FORM_UTF8, &form(&CALL), &signature), Ok(()), "{signed} {received}");
        }
        let elsewhere = sign("https://h.example:8443/p", CALL, &token());
        assert_eq!(check("https://h.example/p", FORM_UTF8, &form(&CALL), &elsewhere), Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn an_apostrophe_of_the_query_may_come_decoded_and_the_fragment_does_not_count() {
        let signature = "TfZzewPq8wqrGlMfyAud8+/IvJ0=";
        for url in [
            "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It's+amazing",
            "https://mycompany.com:443/myapp.php?foo=1&bar=2&Body=It's+amazing",
            "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It%27s+amazing#rc=3&rp=ct,rt,5xx&tt=15000",
        ] {
            assert_eq!(check(url, FORM_UTF8, &form(&CALL), signature), Ok(()), "{url}");
        }
        assert_eq!(sign(&format!("{URL}#rc=3"), CALL, &token()), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
    }

    #[test]
    fn a_get_is_signed_by_its_url_alone() {
        let url = "https://h.example/p?MessageSid=SM1&From=whatsapp%3A%2B393331234567";
        let signature = sign(url, [], &token());
        assert_eq!(check_with(&Method::GET, url, None, b"", Some(&signature), &[&token()]), Ok(()));
        let tampered = url.replace("SM1", "SM2");
        let outcome = check_with(&Method::GET, &tampered, None, b"", Some(&signature), &[&token()]);
        assert_eq!(outcome, Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn characters_that_come_percent_encoded_may_have_been_signed_as_they_are_and_the_other_way_round() {
        // twilio-node `spec/validation.spec.js`, "should validate urls with special characters".
        let published = "dsq4Ehbj6cs+KdTkpF5sSSplOWw=";
        let sent = "https://mycompany.com/myapp.php?foo=1&bar=2&Body=It%27s+amazing";
        assert_eq!(check(sent, FORM_UTF8, &form(&CALL), published), Ok(()));

        let get = |url: &str, signature: &str| check_with(&Method::GET, url, None, b"", Some(signature), &[&token()]);
        let raw = "https://h.example/p?From=whatsapp:%2B393331234567&Caller=sip:12@10.0.0.1&Body=L'Aquila";
        let half = "https://h.example/p?From=whatsapp%3A%2B393331234567&Caller=sip%3A12%4010.0.0.1&Body=L'Aquila";
        let coded = "https://h.example/p?From=whatsapp%3A%2B393331234567&Caller=sip%3A12%4010.0.0.1&Body=L%27Aquila";
        let lower = "https://h.example/p?From=whatsapp%3a%2B393331234567&Caller=sip%3a12%4010.0.0.1&Body=L%27Aquila";
        for (signed, sent) in [(raw, coded), (raw, half), (raw, lower), (half, coded), (coded, raw), (coded, half), (half, raw)] {
            assert_eq!(get(sent, &sign(signed, [], &token())), Ok(()), "{signed} as {sent}");
            let with_port = signed.replace("h.example", "h.example:443");
            assert_eq!(get(sent, &sign(&with_port, [], &token())), Ok(()), "{with_port} as {sent}");
        }
        // Only the spelling may differ, never what the address says.
        for other in [raw.replace("12@", "13@"), raw.replace('+', "%2B").replace("h.example", "h.example%27"), raw.replace(':', "")] {
            assert_eq!(get(&other, &sign(raw, [], &token())), Err(VerifyError::SignatureMismatch), "{other}");
        }
    }

    #[test]
    fn the_previous_secret_is_accepted_during_a_rotation_and_an_empty_one_never() {
        let (current, previous, empty) = (Secret::new("new"), token(), Secret::new(""));
        let body = form(&CALL);
        let check = |signature: &str, secrets: &[&Secret]| check_with(&Method::POST, URL, Some(FORM_UTF8), &body, Some(signature), secrets);
        let old = sign(URL, CALL, &previous);
        assert_eq!(check(&old, &[&current, &previous]), Ok(()));
        assert_eq!(check(&old, &[&current]), Err(VerifyError::SignatureMismatch));
        assert_eq!(check(&old, &[]), Err(VerifyError::SignatureMismatch));
        assert_eq!(check(&sign(URL, CALL, &empty), &[&empty, &current]), Err(VerifyError::SignatureMismatch));
    }

    #[test]
    fn a_request_without_a_usable_signature_is_refused_and_says_why() {
        let body = form(&CALL);
        let check = |content_type, signature| check_with(&Method::POST, URL, content_type, &body, signature, &[&token()]);
        let header = SIGNATURE_HEADER;
        assert_eq!(check(Some(FORM_UTF8), None), Err(VerifyError::SignatureMissing { header }));
        assert_eq!(check(Some(FORM_UTF8), Some(" ")), Err(VerifyError::SignatureMissing { header }));
        for malformed in ["not base64!", "RSOYDt4T1cUTdK1PDd93/VVr8B8", "RSOYDt4T", "RSOYDt4T1cUTdK1PDd93/VVr8B9="] {
            assert_eq!(check(Some(FORM_UTF8), Some(malformed)), Err(VerifyError::SignatureMalformed { header }), "{malformed}");
        }
        for other in [None, Some("application/json"), Some("application/x-www-form-urlencoded-2")] {
            assert_eq!(check(other, Some("RSOYDt4T1cUTdK1PDd93/VVr8B8=")), Err(VerifyError::ContentType { expected: FORM }));
        }
        assert_eq!(check(Some("Application/X-WWW-Form-Urlencoded"), Some("RSOYDt4T1cUTdK1PDd93/VVr8B8=")), Ok(()));
        let long = vec![b'a'; BODY_LIMIT + 1];
        let outcome = check_with(&Method::POST, URL, Some(FORM_UTF8), &long, None, &[&token()]);
        assert_eq!(outcome, Err(VerifyError::TooLarge { limit: BODY_LIMIT }));
    }

    fn parameters() -> impl Strategy<Value = Vec<(String, String)>> {
        prop::collection::vec(("[A-Za-z0-9]{1,12}", any::<String>()), 0..8)
    }

    fn borrowed(parameters: &[(String, String)]) -> impl Iterator<Item = (&str, &str)> {
        parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn encoded(parameters: &[(String, String)]) -> Vec<u8> {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish().into_bytes()
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn what_was_signed_verifies_whatever_the_order_of_the_parameters(
            secret in "[0-9a-f]{1,80}",
            path in "[a-z0-9/]{0,20}",
            query in "[a-z0-9=&'%+]{0,20}",
            parameters in parameters().prop_shuffle(),
        ) {
            let url = format!("https://h.example/{path}?{query}");
            let secret = Secret::new(secret);
            let signature = sign(&url, borrowed(&parameters), &secret);
            let mut other_order = parameters.clone();
            other_order.reverse();
            for order in [&parameters, &other_order] {
                let outcome = check_with(&Method::POST, &url, Some(FORM_UTF8), &encoded(order), Some(&signature), &[&secret]);
                prop_assert_eq!(outcome, Ok(()));
            }
        }

        #[test]
        fn a_tampered_request_is_refused(
            parameters in parameters(),
            name in "[A-Za-z0-9]{1,12}",
            value in any::<String>(),
            other in any::<String>(),
            extra in "[a-z0-9]{1,8}",
            at in any::<prop::sample::Index>(),
            flip in 0u8..8,
        ) {
            prop_assume!(value != other);
            // A parameter with a unique name, so that changing it always changes the signed text.
            let mut genuine: Vec<_> = parameters.into_iter().filter(|(other, _)| *other != name).collect();
            genuine.push((name.clone(), value));
            let signature = sign(URL, borrowed(&genuine), &token());
            let refused = |url: &str, parameters: &[(String, String)], signature: &str| {
                check(url, FORM_UTF8, &encoded(parameters), signature) == Err(VerifyError::SignatureMismatch)
            };

            let mut changed = genuine.clone();
            changed.last_mut().unwrap().1 = other;
            prop_assert!(refused(URL, &changed, &signature));
            prop_assert!(refused(URL, &genuine[..genuine.len() - 1], &signature));
            let mut added = genuine.clone();
            added.push((format!("{name}{extra}"), "1".to_owned()));
            prop_assert!(refused(URL, &added, &signature));
            let (longer, elsewhere) = (format!("{URL}{extra}"), URL.replace("mycompany", &format!("mycompany{extra}")));
            prop_assert!(refused(&longer, &genuine, &signature));
            prop_assert!(refused(&elsewhere, &genuine, &signature));
            let mut bytes = STANDARD.decode(&signature).unwrap();
            let index = at.index(bytes.len());
            bytes[index] ^= 1 << flip;
            prop_assert!(refused(URL, &genuine, &STANDARD.encode(bytes)));
        }

        #[test]
        fn arbitrary_bytes_never_panic_and_never_verify(
            url in any::<String>(),
            body in prop::collection::vec(any::<u8>(), 0..512),
            content_type in prop::option::of(any::<String>()),
            signature in prop::option::of(any::<String>()),
            get in any::<bool>(),
        ) {
            let method = if get { Method::GET } else { Method::POST };
            let outcome = check_with(&method, &url, content_type.as_deref(), &body, signature.as_deref(), &[&token()]);
            prop_assert!(outcome.is_err());
            let form = check_with(&method, &url, Some(FORM), &body, Some("RSOYDt4T1cUTdK1PDd93/VVr8B8="), &[&token()]);
            prop_assert_eq!(form, Err(VerifyError::SignatureMismatch));
        }
    }
}
