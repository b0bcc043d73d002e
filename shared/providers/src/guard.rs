//! The guard of an account whose provider signs nothing: every callback must carry a token, a fixed header, a user and
//! password (HTTP basic authentication), or several of them.
//!
//! An account is made with a token, unless a person enters another guard. The Receive URL that is shown carries the
//! token, so the provider needs no further setting; where its console offers headers, the token may come in one
//! instead. A header, or a user and password, is entered here and in the provider's console. Without any guard, only
//! the unguessable Receive URL protects the account, and requests prove nothing about who a customer is.

use base64::Engine as _;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::GeneralPurposeConfig;
use domain::account::{Account, Credentials, Provider};
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

use crate::{Field, Shape, VerifyError, Webhook};

const HEADER: &str = "callback_header";
const HEADER_VALUE: &str = "callback_header_value";
const USER: &str = "callback_user";
const PASSWORD: &str = "callback_password";

/// The token, and the parameter in which the Receive URL carries it. Like the URL, administrators may see it to paste
/// it.
const TOKEN: &str = "callback_token";

/// The header that may carry the token instead of the URL.
const TOKEN_HEADER: &str = "x-callback-token";

/// The fields of the guard. A provider puts them at the end of its list.
pub(crate) const FIELDS: [Field; 5] = [
    Field::optional(
        HEADER,
        "Name of a header that every callback must carry",
        Shape::Checked { check: is_header_name, expected: "the name of an HTTP header other than Authorization" },
    ),
    Field::secret(HEADER_VALUE, "Value of that header").left_out_by_default(),
    Field::optional(
        USER,
        "User that every callback must name (HTTP basic authentication)",
        Shape::Checked { check: is_user, expected: "a line without a colon" },
    ),
    Field::secret(PASSWORD, "Password of that user").left_out_by_default(),
    Field::optional(
        TOKEN,
        "Token that every callback must carry, in the header X-Callback-Token or as the URL's parameter callback_token",
        Shape::Checked { check: is_token, expected: "16 to 128 letters, digits, - or _" },
    )
    .made(),
];

/// Whether a token can't be guessed and stands in a URL as it is.
fn is_token(text: &str) -> bool {
    (16..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// The query that the Receive URL of the account carries; empty without a token.
pub(crate) fn query(provider: &Provider) -> String {
    match provider.field(TOKEN) {
        "" => String::new(),
        token => format!("{TOKEN}={token}"),
    }
}

/// The header `Authorization` is reserved for basic authentication.
fn is_header_name(text: &str) -> bool {
    text.parse::<http::HeaderName>().is_ok_and(|name| name != AUTHORIZATION)
}

/// A colon ends the user's name (RFC 7617).
fn is_user(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c == ':' || c.is_control())
}

/// Checks that a request carries everything that the account demands, with any of `credentials`: the current ones
/// first. A half-entered guard, a name without its secret or the reverse, lets nobody in: somebody wanted a guard
/// and has none. The comparison takes constant time.
///
/// # Errors
/// Something is missing or wrong. The error does not say which.
pub(crate) fn verify(webhook: &Webhook<'_>, account: &Account, credentials: &[&Credentials]) -> Result<(), VerifyError> {
    let (header, user) = (account.provider.field(HEADER), account.provider.field(USER));
    let entered = |name: &str, secret: &str| !name.is_empty() || credentials.first().is_some_and(|current| current.get(secret).is_some());
    // Each secret is compared by itself: changing one must not invalidate the other.
    let known = |given: Option<&[u8]>, secret: &str| {
        let given = given.map(Sha256::digest);
        let secrets = credentials.iter().filter_map(|credentials| credentials.get(secret));
        let matches = secrets.fold(Choice::from(0), |matches, secret| {
            let expected = Sha256::digest(secret.reveal().as_bytes());
            matches | given.map_or(Choice::from(0), |given| given.as_slice().ct_eq(expected.as_slice()))
        });
        bool::from(matches)
    };
    let token = account.provider.field(TOKEN);
    if !token.is_empty() {
        let carried = webhook.header(TOKEN_HEADER).map(str::to_owned).or_else(|| webhook.query(TOKEN)).unwrap_or_default();
        if !bool::from(Sha256::digest(carried.as_bytes()).as_slice().ct_eq(Sha256::digest(token.as_bytes()).as_slice())) {
            return Err(VerifyError::Guard);
        }
    }
    if entered(header, HEADER_VALUE) {
        let given = webhook.headers.get(header).map(http::HeaderValue::as_bytes);
        if !known(given, HEADER_VALUE) {
            return Err(VerifyError::Guard);
        }
    }
    if entered(user, PASSWORD) {
        let given = basic(webhook);
        let (given_user, password) = given.as_ref().map_or((&[][..], None), |(user, password)| (&user[..], Some(&password[..])));
        let same_user = bool::from(given_user.ct_eq(user.as_bytes()));
        let same_password = known(password, PASSWORD);
        if user.is_empty() || !same_user || !same_password {
            return Err(VerifyError::Guard);
        }
    }
    Ok(())
}

/// Whether the account demands anything of its callers. `current` are its current credentials.
pub(crate) fn is_demanded(provider: &Provider, current: &Credentials) -> bool {
    let named = [TOKEN, HEADER, USER].iter().any(|name| !provider.field(name).is_empty());
    named || [HEADER_VALUE, PASSWORD].iter().any(|secret| current.get(secret).is_some())
}

/// User and password of the header `Authorization`.
fn basic(webhook: &Webhook<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    /// Padding is optional: not every client pads.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(base64::engine::DecodePaddingMode::Indifferent),
    );
    let (scheme, encoded) = webhook.header(AUTHORIZATION.as_str())?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = LENIENT.decode(encoded.trim()).ok()?;
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some((text[..colon].to_vec(), text[colon + 1..].to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
    use http::{HeaderMap, HeaderName, HeaderValue, Method};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn account(fields: &[(&str, &str)]) -> Account {
        let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Account { provider: Provider { kind: "X".into(), fields }, ..domain::fixtures::account() }
    }

    fn credentials(secrets: &[(&str, &str)]) -> Credentials {
        secrets.iter().fold(Credentials::default(), |credentials, (name, value)| credentials.with(name, *value))
    }

    fn check(headers: &[(&str, &str)], account: &Account, credentials: &[&Credentials]) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
        let webhook = Webhook { method: &Method::POST, public_url: "https://h.example/x", headers: &headers, body: b"{}" };
        match verify(&webhook, account, credentials) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error, VerifyError::Guard);
                false
            }
        }
    }

    fn basic_header(user: &str, password: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
    }

    #[test]
    fn without_a_guard_the_unguessable_url_is_enough() {
        let none = Credentials::default();
        assert!(check(&[], &account(&[]), &[&none]));
        assert!(check(&[("authorization", "Basic eDp5")], &account(&[]), &[&none]));
        assert!(check(&[], &account(&[]), &[]));
        // The guard was removed; its old value is still among the previous credentials.
        assert!(check(&[], &account(&[]), &[&none, &credentials(&[(HEADER_VALUE, "old")])]));
    }

    #[test]
    fn a_fixed_header_must_have_its_value_current_or_previous() {
        let account = account(&[(HEADER, "X-Callback-Key")]);
        let (current, previous) = (credentials(&[(HEADER_VALUE, "new")]), credentials(&[(HEADER_VALUE, "old")]));
        let both = [&current, &previous];
        assert!(check(&[("x-callback-key", "new")], &account, &both));
        assert!(check(&[("x-callback-key", "old")], &account, &both));
        assert!(!check(&[("x-callback-key", "old")], &account, &[&current]));
        assert!(!check(&[("x-callback-key", "older")], &account, &both));
        assert!(!check(&[("x-callback-key", "")], &account, &both));
        assert!(!check(&[("x-other", "new")], &account, &both));
        assert!(!check(&[], &account, &both));
    }

    #[test]
    fn a_user_must_know_the_password_current_or_previous() {
        let account = account(&[(USER, "kaleyra")]);
        let (current, previous) = (credentials(&[(PASSWORD, "new:with colon")]), credentials(&[(PASSWORD, "old")]));
        let both = [&current, &previous];
        for (given, accepted) in [
            (basic_header("kaleyra", "new:with colon"), true),
            (basic_header("kaleyra", "new:with colon").replace("Basic", "bAsIc"), true),
            (format!("Basic {}", STANDARD_NO_PAD.encode("kaleyra:old")), true),
            (basic_header("kaleyra", "older"), false),
            (basic_header("kaleyra", ""), false),
            (basic_header("Kaleyra", "old"), false),
            (basic_header("", "old"), false),
            (format!("Basic {}", STANDARD.encode("kaleyraold")), false),
            ("Bearer b2xk".to_owned(), false),
            ("Basic".to_owned(), false),
            ("Basic ???".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(check(&[("authorization", &given)], &account, &both), accepted, "{given}");
        }
        assert!(!check(&[], &account, &both));
    }

    #[test]
    fn a_token_may_come_in_the_url_or_in_a_header_and_must_be_right() {
        let account = account(&[(TOKEN, "0123456789abcdef")]);
        let none = Credentials::default();
        let check = |url: &str, header: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.extend(header.map(|value| (HeaderName::from_static(TOKEN_HEADER), HeaderValue::from_str(value).unwrap())));
            verify(&Webhook { method: &Method::POST, public_url: url, headers: &headers, body: b"{}" }, &account, &[&none]).is_ok()
        };
        let carried = format!("https://h.example/x?{}", query(&account.provider));
        assert_eq!(carried, "https://h.example/x?callback_token=0123456789abcdef");
        assert!(
            check(&carried, None) && check("https://h.example/x", Some("0123456789abcdef")) && check(&format!("{carried}&ref=1"), None)
        );
        for (url, header) in [
            ("https://h.example/x", None),
            ("https://h.example/x?callback_token=", None),
            ("https://h.example/x?callback_token=0123456789abcdeg", None),
            ("https://h.example/x", Some("0123456789abcde")),
        ] {
            assert!(!check(url, header), "{url}");
        }
        assert!(is_demanded(&account.provider, &none) && !is_demanded(&Provider { kind: "X".into(), fields: Default::default() }, &none));
        assert!(is_token("0123456789abcdef") && !is_token("0123456789abcde") && !is_token("0123456789abcde "));
    }

    #[test]
    fn header_and_password_together_are_both_demanded() {
        let account = account(&[(HEADER, "x-key"), (USER, "u")]);
        let secrets = credentials(&[(HEADER_VALUE, "h"), (PASSWORD, "p")]);
        let basic = basic_header("u", "p");
        assert!(check(&[("x-key", "h"), ("authorization", &basic)], &account, &[&secrets]));
        assert!(!check(&[("x-key", "h")], &account, &[&secrets]));
        assert!(!check(&[("authorization", &basic)], &account, &[&secrets]));
    }

    #[test]
    fn a_half_entered_guard_lets_nobody_in() {
        let basic = basic_header("u", "");
        let none = Credentials::default();
        assert!(!check(&[("x-key", "")], &account(&[(HEADER, "x-key")]), &[&none]));
        assert!(!check(&[("x-key", "")], &account(&[(HEADER, "x-key")]), &[&credentials(&[(HEADER_VALUE, "")])]));
        assert!(!check(&[("x-key", "h")], &account(&[]), &[&credentials(&[(HEADER_VALUE, "h")])]));
        assert!(!check(&[("authorization", &basic)], &account(&[(USER, "u")]), &[&none]));
        assert!(!check(&[("authorization", &basic_header("", "p"))], &account(&[]), &[&credentials(&[(PASSWORD, "p")])]));
    }

    #[test]
    fn only_names_of_headers_and_users_are_accepted() {
        assert!(is_header_name("X-Callback-Key") && is_user("kaleyra"));
        for bad in ["", "x key", "x:key", "é", "Authorization"] {
            assert!(!is_header_name(bad), "{bad}");
        }
        for bad in ["", "a:b", "a\n"] {
            assert!(!is_user(bad), "{bad}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn arbitrary_headers_never_panic_and_never_pass(value in prop::collection::vec(0x20u8..0x7f, 0..60), basic in any::<bool>()) {
            let value = String::from_utf8(value).unwrap();
            prop_assume!(value != "a value nobody guesses");
            let account = account(&[(HEADER, "x-key"), (USER, "u")]);
            let secrets = credentials(&[(HEADER_VALUE, "a value nobody guesses"), (PASSWORD, "p")]);
            let authorization = if basic { format!("Basic {value}") } else { value.clone() };
            prop_assert!(!check(&[("x-key", &value), ("authorization", &authorization)], &account, &[&secrets]));
        }
    }
}
