//! Video calls: a meeting that a provider makes, with a link for the customer and one for the agent. The call and the
//! interaction live independently: either may end first.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An account's video calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct VideoSettings {
    /// Whether agents may start calls.
    #[cfg_attr(feature = "openapi", schema(required = false, default = true))]
    pub enabled: bool,
    /// The title of the account's meetings. No other account may have it.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 100, example = "Support Rome"))]
    pub topic: String,
    /// A note for the provider's reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 1_000))]
    pub note: Option<String>,
    /// What the provider's automations read: any JSON object.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::BTreeMap<String, Value>, additional_properties, required = false))]
    pub metadata: Map<String, Value>,
}

/// A meeting: its links.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meeting {
    /// The customer's.
    pub customer: String,
    /// The host's.
    pub host: String,
}

/// Whoever has a link is in the meeting, so they never reach a log.
impl std::fmt::Debug for Meeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Meeting(…)")
    }
}

impl Meeting {
    /// The longest link, in characters. Signed links have some hundred; a message has 4,096.
    const LONGEST_LINK: usize = 2_000;

    /// A text as a link to a meeting: https, with a host, without credentials and blanks.
    pub fn link(text: &str) -> Option<String> {
        let host = text.strip_prefix("https://")?.split(['/', '?', '#']).next()?;
        let written = text.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}'));
        let named = !host.is_empty() && !host.starts_with(':') && !host.contains('@');
        (written && named && text.len() <= Self::LONGEST_LINK).then(|| text.to_owned())
    }
}

/// What is kept of a call that a command starts, so that its repetition makes no second meeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// When it began.
    pub at: jiff::Timestamp,
    /// The meeting; `None` while it is being made, and if nobody knows what became of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting: Option<Meeting>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_https_and_names_a_host() {
        for good in ["https://meet.example/7?pwd=a%20b#x", "https://meet.example", "https://meet.example:8443/a_b"] {
            assert_eq!(Meeting::link(good).as_deref(), Some(good));
        }
        for bad in [
            "",
            "https://",
            "https:///x",
            "https://:80/",
            "HTTPS://x",
            "http://x",
            "https://u@x",
            "https://x/a b",
            "https://x/\n",
            "https://x/é",
        ] {
            assert_eq!(Meeting::link(bad), None, "{bad}");
        }
        let meeting = Meeting { customer: "https://x/secret".into(), host: "https://x/host".into() };
        assert!(!format!("{meeting:?}").contains("secret"));
    }
}
