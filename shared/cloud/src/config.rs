//! Configuration from the environment, read once when a function starts.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

/// Why a function can't start. The error names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A variable that the function needs is absent or empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has a value that can't be used.
    #[error("environment variable {name} must be {expected}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// The expected form, in words.
        expected: &'static str,
    },
}

/// The variables of the environment. An empty one counts as absent, because CloudFormation has no other way to
/// leave one out.
#[derive(Clone)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The environment of this process. Variables that aren't UTF-8 are left out.
    pub fn of_process() -> Self {
        Self(std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect())
    }

    /// An environment of exactly these variables.
    pub fn from_pairs<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The value of a required variable.
    pub fn required(&self, name: &'static str) -> Result<&str, ConfigError> {
        self.optional(name).ok_or(ConfigError::Missing(name))
    }

    /// The value of an optional variable.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).map(str::trim).filter(|value| !value.is_empty())
    }

    /// An optional variable, parsed. `expected` is the expected form in words.
    pub fn parsed<T: FromStr>(&self, name: &'static str, expected: &'static str) -> Result<Option<T>, ConfigError> {
        self.optional(name).map(|value| value.parse().map_err(|_| ConfigError::Invalid { name, expected })).transpose()
    }

    /// Whether a local engine stands in for AWS. AWS itself is always called by https.
    pub fn on_local_engine(&self) -> bool {
        self.optional("AWS_ENDPOINT_URL").is_some_and(|url| url.starts_with("http://"))
    }

    /// A required base URL (`scheme://host[:port][/prefix]`; https or wss), without a slash at its end. Tokens, keys
    /// and customers' messages go there, so only the local engine may have http or ws.
    pub fn base_url(&self, name: &'static str) -> Result<String, ConfigError> {
        let value = self.required(name)?;
        let invalid = ConfigError::Invalid { name, expected: "a URL such as https://example.com/prefix" };
        let url: reqwest::Url = value.parse().map_err(|_| invalid.clone())?;
        let encrypted = matches!(url.scheme(), "https" | "wss");
        let usable = (encrypted || self.on_local_engine() && matches!(url.scheme(), "http" | "ws")) && url.has_host();
        if usable && url.query().is_none() && url.fragment().is_none() { Ok(value.trim_end_matches('/').to_owned()) } else { Err(invalid) }
    }

    /// Like [`Env::base_url`], with a default.
    pub fn base_url_or(&self, name: &'static str, default: &str) -> Result<String, ConfigError> {
        if self.optional(name).is_some() { self.base_url(name) } else { Ok(default.to_owned()) }
    }

    /// A comma-separated list; empty if the variable is absent.
    pub fn list(&self, name: &str) -> Vec<&str> {
        self.optional(name).map(|value| value.split(',').map(str::trim).filter(|item| !item.is_empty()).collect()).unwrap_or_default()
    }
}

/// Shows only the names, because values may be credentials.
impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_variable_is_named() {
        let env = Env::from_pairs([("BUCKET", " ")]);
        assert_eq!(env.required("BUCKET"), Err(ConfigError::Missing("BUCKET")));
        assert_eq!(env.required("PUBLIC_URL").unwrap_err().to_string(), "environment variable PUBLIC_URL is not set");
    }

    #[test]
    fn a_bad_value_is_named_but_not_shown() {
        let env = Env::from_pairs([("PUBLIC_URL", "secret"), ("N", "x")]);
        let error = env.base_url("PUBLIC_URL").unwrap_err();
        assert!(!format!("{error} {error:?} {env:?}").contains("secret"));
        assert!(env.parsed::<u32>("N", "a number").is_err());
    }

    #[test]
    fn base_urls_lose_their_last_slash_and_fall_back() {
        let env = Env::from_pairs([("A", "https://example.com/x/")]);
        assert_eq!(env.base_url("A").unwrap(), "https://example.com/x");
        assert_eq!(env.base_url_or("B", "https://api.twilio.com").unwrap(), "https://api.twilio.com");
    }

    #[test]
    fn only_the_local_engine_has_addresses_without_encryption() {
        for (plain, encrypted) in [("http://example.com", "https://example.com"), ("ws://example.com/live", "wss://example.com/live")] {
            let aws = Env::from_pairs([("PLAIN", plain), ("ENCRYPTED", encrypted), ("AWS_ENDPOINT_URL", "https://vpce.example.com")]);
            assert!(aws.base_url("PLAIN").is_err() && aws.base_url_or("PLAIN", "https://x.example").is_err(), "{plain}");
            assert_eq!(aws.base_url("ENCRYPTED").unwrap(), encrypted);
            let local = Env::from_pairs([("PLAIN", plain), ("AWS_ENDPOINT_URL", "http://127.0.0.1:4701")]);
            assert_eq!(local.base_url("PLAIN").unwrap(), plain);
        }
    }

    #[test]
    fn lists_are_split_at_commas() {
        assert_eq!(Env::from_pairs([("L", "a, b,,")]).list("L"), ["a", "b"]);
        assert!(Env::from_pairs([("L", "")]).list("L").is_empty());
    }
}
