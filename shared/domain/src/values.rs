//! Values that are checked once, at the edge, and trusted everywhere else.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The reason why a value was refused, in words for the person who entered it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

macro_rules! text_value {
    ($name:ident) => {
        impl $name {
            /// The value as it is stored and shown.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<Self, Invalid> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// The account's short name on the agents' tabs: exactly five ASCII letters or digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AccountKey(String);
text_value!(AccountKey);

impl AccountKey {
    /// Accepts exactly five ASCII letters or digits.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.len() == 5 && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be exactly five ASCII letters or digits"))
        }
    }
}

/// The id that a client gives a message that it sends, to know it again. It means nothing to anybody else: two clients
/// may give the same one, and a client the same one twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(String);

/// A UUID has 36 characters, and some clients put a word before it. The id is stored with its message, and an ordinary
/// message costs no second kilobyte for it.
const LONGEST_CLIENT_ID: usize = 64;

impl ClientId {
    /// Accepts 1 to 64 printable ASCII characters without blanks. Stored ones are read without a check, since a later
    /// version may accept others.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if (1..=LONGEST_CLIENT_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Invalid("must be 1 to 64 printable ASCII characters without blanks"))
        }
    }
}

/// A phone number: `+`, then 7 to 15 digits that don't begin with 0 (E.164). Only the provider knows whether the
/// number exists.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164(String);

impl E164 {
    /// Accepts `+1234567890` or `whatsapp:+1234567890`.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let number = text.strip_prefix("whatsapp:").unwrap_or(text);
        let digits = number.strip_prefix('+').unwrap_or_default();
        let plausible = (7..=15).contains(&digits.len()) && !digits.starts_with('0');
        if plausible && digits.bytes().all(|b| b.is_ascii_digit()) {
            Ok(Self(number.to_owned()))
        } else {
            Err(Invalid("must be a phone number such as +1234567890 or whatsapp:+1234567890"))
        }
    }

    /// The number with its `+`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for E164 {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::parse(&text)
    }
}

impl From<E164> for String {
    fn from(value: E164) -> String {
        value.0
    }
}

/// Phone numbers never reach a log.
impl std::fmt::Debug for E164 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("E164(…)")
    }
}

/// A wait, from 1 second to 2147483 seconds. That is about 24.8 days, the longest time that clients' timers take: 31
/// bits of milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Seconds(u32);

impl Seconds {
    /// The longest wait.
    pub const MAX: Seconds = Seconds(2_147_483);

    /// Accepts 1 to 2147483.
    pub const fn new(seconds: i64) -> Result<Self, Invalid> {
        if seconds >= 1 && seconds <= Self::MAX.0 as i64 {
            Ok(Self(seconds as u32))
        } else {
            Err(Invalid("must be from 1 to 2147483 seconds"))
        }
    }

    /// The number of seconds.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The instant that lies this much after `instant`.
    pub fn after(self, instant: jiff::Timestamp) -> jiff::Timestamp {
        instant.saturating_add(jiff::SignedDuration::from_secs(i64::from(self.0))).unwrap_or(jiff::Timestamp::MAX)
    }
}

impl TryFrom<i64> for Seconds {
    type Error = Invalid;
    fn try_from(seconds: i64) -> Result<Self, Invalid> {
        Self::new(seconds)
    }
}

impl From<Seconds> for i64 {
    fn from(value: Seconds) -> i64 {
        i64::from(value.0)
    }
}

/// A customer's address with the provider: a phone number, or a business-scoped user id when there is none.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// A phone number.
    Phone(E164),
    /// A business-scoped user id (BSUID), as the provider writes it.
    Bsuid(String),
}

impl Address {
    /// The form in keys: `phone:+39…` or `bsuid:IT.…`.
    pub fn key(&self) -> String {
        match self {
            Address::Phone(number) => format!("phone:{}", number.as_str()),
            Address::Bsuid(id) => format!("bsuid:{id}"),
        }
    }

    /// The user id, if the address is one.
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Address::Phone(_) => None,
            Address::Bsuid(id) => Some(id),
        }
    }

    /// The number or the id, as people read it.
    pub fn text(&self) -> &str {
        match self {
            Address::Phone(number) => number.as_str(),
            Address::Bsuid(id) => id,
        }
    }

    /// The phone number, if the address is one.
    pub fn phone(&self) -> Option<&E164> {
        match self {
            Address::Phone(number) => Some(number),
            Address::Bsuid(_) => None,
        }
    }
}

/// A customer's address never reaches a log.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

/// A secret: readable in code, invisible in `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Use it only where it is sent to the provider.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl<T: Into<String>> From<T> for Secret {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A validated text that is stored and shown as it is.
macro_rules! from_text {
    ($($name:ident)*) => {$(
        impl TryFrom<String> for $name {
            type Error = $crate::values::Invalid;
            fn try_from(text: String) -> Result<Self, $crate::values::Invalid> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
pub(crate) use from_text;

/// The schema of a text that is validated: the limits that its `parse` checks.
#[cfg(feature = "openapi")]
macro_rules! text_schema {
    ($name:ident, $description:expr, |$text:ident| $limits:expr) => {
        $crate::values::text_schema!($name as stringify!($name), $description, |$text| $limits);
    };
    ($name:ident as $as:expr, $description:expr, |$text:ident| $limits:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let $text =
                    utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String).description(Some($description.trim()));
                let limited: utoipa::openapi::schema::ObjectBuilder = $limits;
                limited.build().into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                $as.into()
            }
        }
    };
}
#[cfg(feature = "openapi")]
pub(crate) use text_schema;

/// The instant `at` with the precision of stored times and of keys.
pub fn to_millisecond(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_key_is_five_letters_or_digits() {
        assert!(AccountKey::parse("ABC12").is_ok());
        for bad in ["", "ABCD", "ABCDEF", "AB-12", "ÀBC1", "AB 12"] {
            assert!(AccountKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_phone_is_taken_in_both_forms_and_stored_in_one() {
        assert_eq!(E164::parse("whatsapp:+1234567890").unwrap().as_str(), "+1234567890");
        for bad in ["1234567890", "+0123456789", "+123", "+1234567890123456", "+12345 67890", "whatsapp:", "+12345678９0"] {
            assert!(E164::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wait_is_1_to_2147483_seconds() {
        assert!(Seconds::new(0).is_err());
        assert!(Seconds::new(1).is_ok());
        assert!(Seconds::new(2_147_483).is_ok());
        assert!(Seconds::new(2_147_484).is_err());
        assert!(serde_json::from_str::<Seconds>("-5").is_err());
    }

    #[test]
    fn secrets_phones_and_addresses_do_not_show_in_debug() {
        let shown = format!("{:?} {:?} {:?}", Secret::new("s3cret"), E164::parse("+390612345678"), Address::Bsuid("IT.1".into()));
        assert!(!shown.contains("s3cret") && !shown.contains("0612") && !shown.contains("IT.1"));
    }
}
