//! The notification that announces an interaction to agents, and the variables that templates can use.
//!
//! The variables are `account.name`, `account.key`, `account.phone`, `queue.name` (inside `{{#queue}}` …
//! `{{/queue}}`, since there may be no queue), `contact.name`, `contact.firstName`, `contact.lastName`,
//! `contact.mobile`, `contact.phone`, `contact.address` (the phone number, else the provider's id) and `list.name`.
//! An unknown value is empty.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::account::{Account, Announcement, AnnouncementStyle, List};
use crate::inbound::ProfileName;
use crate::queue::Queue;
use crate::text_template::Groups;
use crate::values::Address;

/// The values of a template's variables.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The interaction's account.
    pub account: &'a Account,
    /// The queue for which the interaction is offered.
    pub queue: Option<&'a Queue>,
    /// The account's list.
    pub list: Option<&'a List>,
    /// The customer's name.
    pub name: Option<&'a ProfileName>,
    /// The customer's address.
    pub address: &'a Address,
}

impl Values<'_> {
    /// The customer's name; empty when it is not known.
    pub fn name(&self) -> &str {
        self.name.map_or("", |name| name.0.trim())
    }

    /// The first word of the name.
    pub fn first_name(&self) -> &str {
        self.name().split_whitespace().next().unwrap_or_default()
    }

    /// The name after its first word.
    pub fn last_name(&self) -> &str {
        self.name().split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start())
    }

    /// The customer's phone number; empty when there is none.
    pub fn phone(&self) -> &str {
        self.address.phone().map_or("", |phone| phone.as_str())
    }

    /// The groups of variables that a template can use, for
    /// [`TextTemplate::render`](crate::text_template::TextTemplate::render).
    pub fn groups(&self) -> Groups<'_> {
        let address = match self.address {
            Address::Phone(number) => number.as_str(),
            Address::Bsuid(id) => id,
        };
        let account = [("name", self.account.name.as_str()), ("key", self.account.key.as_str()), ("phone", self.account.phone.as_str())];
        let contact = [
            ("name", self.name()),
            ("firstName", self.first_name()),
            ("lastName", self.last_name()),
            ("mobile", self.phone()),
            ("phone", self.phone()),
            ("address", address),
        ];
        let mut groups = vec![("account", account.to_vec()), ("contact", contact.to_vec())];
        groups.extend(self.queue.map(|queue| ("queue", vec![("name", queue.name.as_str())])));
        groups.extend(self.list.map(|list| ("list", vec![("name", list.name.as_str())])));
        groups
    }
}

/// The notification that an agent's screen shows with an offer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notification {
    /// The text.
    pub text: String,
    /// Whether the screen plays a sound.
    pub sound: bool,
    /// Whether the screen shakes the notification.
    pub shake: bool,
    /// How the screen colours the notification.
    #[serde(default)]
    pub style: AnnouncementStyle,
}

impl Notification {
    /// The longest text, in characters. It fits in a corner of a screen and is stored in the interaction's item.
    const LONGEST: usize = 240;

    /// The account's announcement, filled in for one interaction.
    pub fn of(values: &Values<'_>) -> Self {
        let Announcement { sound, shake, style, template } = &values.account.settings.notification;
        Self { text: template.render(&values.groups(), Self::LONGEST), sound: *sound, shake: *shake, style: *style }
    }
}

/// The text may name a customer, so it never reaches a log.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification").field("sound", &self.sound).field("shake", &self.shake).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::fixtures;
    use crate::ids::{ListId, QueueId};
    use crate::queue::{Strategy as Ringing, Weight};
    use crate::text_template::TextTemplate;
    use crate::values::E164;

    fn queue() -> Queue {
        Queue {
            id: QueueId::from_ulid(Ulid::nil()),
            name: "Sales".into(),
            strategy: Ringing::Beepall,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            service_level: crate::report::ServiceLevel::default(),
            members: Vec::new(),
        }
    }

    fn render(template: &str, name: Option<&str>, queue: Option<&Queue>) -> String {
        let name = name.map(|name| ProfileName(name.to_owned()));
        let (account, address) = (fixtures::account(), Address::Phone(E164::parse("+393331234567").unwrap()));
        let list = List { id: ListId::from_ulid(Ulid::nil()), name: "Customers".into() };
        let values = Values { account: &account, queue, list: Some(&list), name: name.as_ref(), address: &address };
        TextTemplate::parse(template).unwrap().render(&values.groups(), 4_096)
    }

    #[test]
    fn the_default_text_names_the_account_the_queue_if_there_is_one_and_the_sender() {
        assert_eq!(render(Announcement::TEMPLATE, Some("Ada Lovelace"), Some(&queue())), "Roma · Sales: Ada Lovelace");
        assert_eq!(render(Announcement::TEMPLATE, None, None), "Roma: +393331234567");
        let (account, address) = (fixtures::account(), Address::Bsuid("IT.1".into()));
        let values = Values { account: &account, queue: None, list: None, name: None, address: &address };
        let notification = Notification::of(&values);
        assert_eq!((notification.text.as_str(), notification.sound, notification.shake), ("Roma: IT.1", true, false));
        assert!(!format!("{notification:?}").contains("IT.1"));
    }

    #[test]
    fn a_notification_has_the_accounts_style_and_one_of_the_version_before_is_neutral() {
        let mut account = fixtures::account();
        account.settings.notification.style = AnnouncementStyle::Danger;
        let address = Address::Bsuid("IT.1".into());
        let notification = Notification::of(&Values { account: &account, queue: None, list: None, name: None, address: &address });
        assert_eq!(serde_json::to_value(&notification).unwrap()["style"], "danger");
        let before: Notification = serde_json::from_str(r#"{"text": "Roma: IT.1", "sound": true, "shake": false}"#).unwrap();
        assert_eq!(before, Notification { style: AnnouncementStyle::Neutral, ..notification });
        let before: Announcement = serde_json::from_str(r#"{"sound": false, "shake": true, "template": "x"}"#).unwrap();
        assert_eq!((before.style, before.shake), (AnnouncementStyle::Neutral, true));
    }

    #[test]
    fn every_variable_is_filled_in_and_an_unknown_one_is_empty() {
        let all =
            "{{account.key}} {{list.name}} {{contact.firstName}}|{{contact.lastName}}|{{contact.mobile}}{{contact.shoeSize}}{{nobody}}";
        assert_eq!(render(all, Some("Ada King Lovelace"), None), "ROMA1 Customers Ada|King Lovelace|+393331234567");
    }
}
