//! Identifiers: a prefix for the kind, then a ULID, so that ids of one kind sort by the time of their creation.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// A string that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id that begins with {0}")]
pub struct NotAnId(pub &'static str);

/// The methods that ids of every kind have.
pub trait Id: Clone + std::fmt::Display + std::str::FromStr + Send + Sync + 'static {
    /// The id made of `ulid`.
    fn of(ulid: Ulid) -> Self;
    /// The id as it is stored and shown.
    fn text(&self) -> &str;
}

macro_rules! ids {
    ($($(#[doc = $doc:literal])* $name:ident $prefix:literal),* $(,)?) => {$(
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// The id made of `ulid`.
            pub fn from_ulid(ulid: Ulid) -> Self {
                Self(format!("{}{ulid}", $prefix))
            }

            /// The id as it is stored and shown.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// When it was made, to the millisecond.
            pub fn made_at(&self) -> Timestamp {
                let milliseconds = Ulid::from_string(&self.0[$prefix.len()..]).map_or(0, |ulid| ulid.timestamp_ms());
                Timestamp::from_millisecond(i64::try_from(milliseconds).unwrap_or(i64::MAX)).unwrap_or(Timestamp::MAX)
            }

            /// The ULID that it is made of; `None` if the text after the prefix is none.
            pub fn ulid(&self) -> Option<Ulid> {
                let ulid = Ulid::from_string(&self.0[$prefix.len()..]).ok()?;
                // The reader of ULIDs takes letters for digits that look alike.
                (Self::from_ulid(ulid) == *self).then_some(ulid)
            }

            /// The last of all ids that can be made in the millisecond of `at`.
            pub fn last_of(at: Timestamp) -> Self {
                Self::from_ulid(Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap_or_default(), u128::MAX))
            }
        }

        #[cfg(feature = "openapi")]
        $crate::values::text_schema!($name, concat!($($doc),*), |text| {
            text.pattern(Some(format!("^{}[0-9A-Z]{{26}}$", $prefix))).examples([format!("{}01JD5Q4Z6V3W2X1Y0ZABCDEFGH", $prefix)])
        });

        impl Id for $name {
            fn of(ulid: Ulid) -> Self {
                Self::from_ulid(ulid)
            }

            fn text(&self) -> &str {
                self.as_str()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NotAnId;
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                let ulid = text.strip_prefix($prefix).ok_or(NotAnId($prefix))?;
                if ulid.len() == 26 && ulid.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(NotAnId($prefix))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = NotAnId;
            fn try_from(text: String) -> Result<Self, NotAnId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    )*};
}

ids! {
    /// A connected WhatsApp number.
    AccountId "acc_",
    /// A person who answers customers.
    AgentId "agt_",
    /// A queue of agents.
    QueueId "que_",
    /// A contact list.
    ListId "lst_",
    /// A customer, shared by all accounts.
    ContactId "con_",
    /// One conversation, from its first message to its close.
    InteractionId "int_",
    /// One message of an interaction.
    MessageId "msg_",
    /// One attempt at sending a message.
    ClaimId "clm_",
    /// Working hours.
    IntervalId "ivl_",
    /// An artificial agent that answers customers.
    AiAgentId "aia_",
    /// A reason for being unavailable.
    PauseId "pau_",
    /// A disposition of all accounts.
    DispositionId "dsp_",
    /// A field of contacts that administrators define.
    ContactFieldId "cfd_",
    /// A tag that agents choose from.
    TagId "tag_",
    /// A prepared text.
    CannedAnswerId "can_",
    /// Work that takes longer than a request.
    JobId "job_",
    /// Another system that is told what happens.
    TriggerId "trg_",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_another_kind_is_refused() {
        let id = AgentId::from_ulid(Ulid::from_parts(1, 2));
        assert_eq!(id.as_str().parse::<AgentId>(), Ok(id.clone()));
        assert_eq!(id.as_str().parse::<QueueId>(), Err(NotAnId("que_")));
        assert!("agt_#".parse::<AgentId>().is_err());
        assert!("agt_01ARZ3NDEKTSV4RRFFQ69G5FA#".parse::<AgentId>().is_err());
    }

    #[test]
    fn an_id_tells_when_it_was_made() {
        let at = Timestamp::from_millisecond(1_700_000_000_123).unwrap();
        let id = AgentId::from_ulid(Ulid::from_parts(1_700_000_000_123, 5));
        assert_eq!(id.made_at(), at);
        assert!(id < AgentId::last_of(at) && AgentId::last_of(at).made_at() == at);
        assert!(AgentId::from_ulid(Ulid::from_parts(1_700_000_000_124, 0)) > AgentId::last_of(at));
    }

    #[test]
    fn ids_sort_by_time() {
        let ids: Vec<_> = [1, 20, 300].map(|ms| MessageId::from_ulid(Ulid::from_parts(ms, 7))).to_vec();
        assert!(ids.is_sorted());
    }
}
