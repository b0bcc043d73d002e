//! The kinds of configured things.

use std::borrow::Cow;

use domain::account::{Account, DeletedAccount, List};
use domain::agent::Agent;
use domain::ai_agent::AiAgent;
use domain::catalog::{CannedAnswer, Disposition, KnownTag, Pause};
use domain::details::ContactField;
use domain::ids::AgentId;
use domain::interval::Interval;
use domain::queue::Queue;
use domain::trigger::Trigger;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A configured thing.
pub trait Entity: Serialize + DeserializeOwned + Clone + Send + Sync {
    /// The partition of all things of this kind.
    const KIND: &'static str;
    /// Its id.
    fn id(&self) -> &str;
    /// The names that no two things of this kind may share, e.g. `account-key#ABC12`.
    fn unique_names(&self) -> Vec<String> {
        Vec::new()
    }
    /// The agents who are its members, if things of this kind have members.
    fn members(&self) -> Option<&[AgentId]> {
        None
    }
    /// The account, if it is one. Its proxy's tokens lie in an item of their own.
    fn account(&self) -> Option<&Account> {
        None
    }
    /// The account, if it is one, to be completed with its proxy's tokens.
    fn account_mut(&mut self) -> Option<&mut Account> {
        None
    }
    /// The part that its own item holds.
    fn stored(&self) -> Cow<'_, Self> {
        Cow::Borrowed(self)
    }
}

impl Entity for Account {
    const KIND: &'static str = "account";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        let topic = self.settings.video.as_ref().map(|video| format!("video-topic#{}", domain::search::fold(&video.topic)));
        std::iter::once(format!("account-key#{}", self.key)).chain(topic).collect()
    }
    fn members(&self) -> Option<&[AgentId]> {
        Some(&self.agents)
    }
    fn account(&self) -> Option<&Account> {
        Some(self)
    }
    fn account_mut(&mut self) -> Option<&mut Account> {
        Some(self)
    }
    fn stored(&self) -> Cow<'_, Self> {
        Cow::Owned(self.without_proxy_tokens())
    }
}

impl Entity for DeletedAccount {
    const KIND: &'static str = "deleted_account";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Agent {
    const KIND: &'static str = "agent";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("subject#{}", self.subject)]
    }
}

impl Entity for Queue {
    const KIND: &'static str = "queue";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn members(&self) -> Option<&[AgentId]> {
        Some(&self.members)
    }
}

impl Entity for List {
    const KIND: &'static str = "list";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Interval {
    const KIND: &'static str = "interval";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Pause {
    const KIND: &'static str = "pause";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("pause#{}", self.name.to_lowercase())]
    }
}

impl Entity for Disposition {
    const KIND: &'static str = "disposition";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("disposition#{}", self.name.to_lowercase())]
    }
}

impl Entity for KnownTag {
    const KIND: &'static str = "tag";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("tag#{}", self.tag.as_str().to_lowercase())]
    }
}

impl Entity for ContactField {
    const KIND: &'static str = "contact_field";
    fn id(&self) -> &str {
        self.id.as_str()
    }
    fn unique_names(&self) -> Vec<String> {
        vec![format!("contact_field#{}", self.name.to_lowercase())]
    }
}

impl Entity for AiAgent {
    const KIND: &'static str = "ai_agent";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for CannedAnswer {
    const KIND: &'static str = "canned_answer";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}

impl Entity for Trigger {
    const KIND: &'static str = "trigger";
    fn id(&self) -> &str {
        self.id.as_str()
    }
}
