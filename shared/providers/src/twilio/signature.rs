//! `X-Twilio-Signature`: Base64 of HMAC-SHA1, keyed with the auth token, over the URL and all parameters of a form.
//!
//! The rules, with Twilio's own quirks, are those of its published validators (twilio-python `request_validator.py`, twilio-node `webhooks.ts`).
//! What the scheme itself does not cover: the order of parameters and how often a name repeats the same value.

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

/// The parameter of the URL with which Twilio signs a body that is not a form: the SHA-256 of the body in lower-case hex.
const BODY_HASH: &str = "bodySHA256";

/// HMAC-SHA1 has 20 bytes.
type Signature = [u8; 20];

/// Names sorted by byte value; the distinct values of each, sorted.
type Parameters<'a> = BTreeMap<Cow<'a, str>, BTreeSet<Cow<'a, str>>>;

/// Checks that Twilio made `request`, with any of `secrets` (the current auth token and, during a rotation, the previous one).
///
/// How long it takes does not tell which secret or which form of the URL came close. An empty secret matches nothing.
///
/// # Errors
/// In this order: the body is over [`BODY_LIMIT`]; it is neither a form nor covered by `bodySHA256`; the signature is missing, has not the shape of
/// one, or does not match.
pub fn verify(request: &SignedRequest<'_>, secrets: &[&Secret]) -> Result<(), VerifyError> {
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

/// Signs as Twilio does: `url` exactly as it was configured (a fragment is ignored) with the decoded `parameters` of the form; none for a GET and for a
/// body that `bodySHA256` covers. For tests and for the local stand-in.
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

/// The forms in which Twilio may have signed the URL: as it is, without its port, with the scheme's default port when it names none; each also with
/// apostrophes of the query percent-encoded.
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
    if url.split_once('?').is_some_and(|(_, query)| query.contains('\'')) {
        let encoded: Vec<_> = variants
            .iter()
            .filter_map(|variant| variant.split_once('?'))
            .map(|(path, query)| Cow::Owned(format!("{path}?{}", query.replace('\'', "%27"))))
            .collect();
        variants.extend(encoded);
    }
    variants
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}
