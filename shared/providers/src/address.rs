//! Addresses as providers write them: those of customers, and web addresses.

use domain::values::{Address, E164};

/// A phone number with or without its `+`, as `wa_id` and `from` carry it.
pub fn phone(text: &str) -> Option<E164> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    // `E164::parse` would accept a second prefix.
    if digits.bytes().all(|b| b.is_ascii_digit()) { E164::parse(&format!("+{digits}")).ok() } else { None }
}

/// A business-scoped user id: an ISO country, a dot, and up to 128 letters or digits. A parent id has two such
/// parts (`IT.ENT.118…`). At most 140 characters, Twilio's own limit.
pub fn bsuid(text: &str) -> Option<Address> {
    let (country, id) = text.split_once('.')?;
    let shaped = text.len() <= 140
        && country.len() == 2
        && country.bytes().all(|b| b.is_ascii_uppercase())
        && id.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    shaped.then(|| Address::Bsuid(text.to_owned()))
}

/// Scheme, host and port of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Whether it is https.
    pub https: bool,
    /// The host, in lower case.
    pub host: String,
    /// The port; the scheme's default if none is written.
    pub port: u16,
}

impl Origin {
    /// Deliberately strict: parsers disagree about user names, backslashes, escapes and control characters in an
    /// authority. An address with any of them has no origin that could be trusted.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = rest.split(['/', '?', '#']).next()?;
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, if https { 443 } else { 80 }),
        };
        let plain = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        plain.then(|| Self { https, host: host.to_ascii_lowercase(), port })
    }

    /// Whether it is `domain` or a host under it, by https on the usual port. Only there may credentials for that
    /// provider go.
    pub fn is_under(&self, domain: &str) -> bool {
        let host = self.host.as_str();
        self.https && self.port == 443 && (host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')))
    }
}
