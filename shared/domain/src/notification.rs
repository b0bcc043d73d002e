//! Texts with variables, written as Mustache templates: what announces an interaction to agents, and what the plan answers by itself.
//!
//! The variables are `account.name`, `account.key`, `account.phone`, `queue.name` (inside `{{#queue}}` … `{{/queue}}`, since there may be none),
//! `contact.name`, `contact.firstName`, `contact.lastName`, `contact.mobile`, `contact.phone`, `contact.address` (the phone number, else the provider's id) and
//! `list.name`. What is unknown is empty.
//!
//! Nothing is escaped: the text goes to WhatsApp or to a screen that shows it as text, never into HTML.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

use mustache2::Data;
use mustache2::render::provider::SourceProvider;
use mustache2::render::{RenderManager, SourceCache};
use serde::{Deserialize, Serialize};

use crate::account::{Account, List};
use crate::inbound::ProfileName;
use crate::queue::Queue;
use crate::values::Address;

/// A Mustache template that parses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TextTemplate(String);

/// Where a template stops being one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {column}: {reason}")]
pub struct TemplateError {
    /// Bytes before the fault.
    pub at: usize,
    /// Which character that is, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: String,
}

impl TextTemplate {
    /// The longest template, in bytes: half of what WhatsApp takes as one text, which leaves room for what is filled in, and keeps a plan of automatic replies
    /// well within its item.
    pub const LONGEST: usize = 2_048;

    /// Reads a template.
    ///
    /// # Errors
    /// Where it stops being one.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let error = |at: usize, reason: &str| {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            TemplateError { at, column: text[..at].chars().count() + 1, reason: reason.to_owned() }
        };
        if text.len() > Self::LONGEST {
            return Err(error(Self::LONGEST, "a template has at most 2048 bytes"));
        }
        if let Some((at, reason)) = wrong_tag(text) {
            return Err(error(at, reason));
        }
        match rendered(text, Data::Null) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(refused) => Err(error(refused.source.map_or(0, |(_, place)| place.start), &refused.message)),
        }
    }

    /// The template as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What tells this text from others (32 bits of FNV-1a): few enough that an interaction can remember what it has already said.
    pub fn mark(&self) -> u32 {
        self.0.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
    }

    /// The text with everything filled in, without blanks around it, at most `most` characters long.
    pub fn render(&self, values: &Values<'_>, most: usize) -> String {
        let text = rendered(&self.0, values.data()).unwrap_or_default();
        let text: String = text.chars().map(unmasked).collect();
        let text = text.trim();
        match text.char_indices().nth(most) {
            Some((end, _)) => text[..end].trim_end().to_owned(),
            None => text.to_owned(),
        }
    }
}

impl TryFrom<String> for TextTemplate {
    type Error = TemplateError;
    fn try_from(text: String) -> Result<Self, TemplateError> {
        Self::parse(&text)
    }
}

impl From<TextTemplate> for String {
    fn from(template: TextTemplate) -> String {
        template.0
    }
}

/// Where a tag is none of those that make sense here, and why: there are no other templates to include, no other delimiters, no comments. The renderer gets to see well-formed ones only: it is made for files of the programmer's own,
/// and stumbles over characters beyond ASCII in a tag without end.
fn wrong_tag(text: &str) -> Option<(usize, &'static str)> {
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let tag = at + found;
        let (inside, closing) = match text[tag..].strip_prefix("{{{") {
            Some(inside) => (inside, "}}}"),
            None => (&text[tag + 2..], "}}"),
        };
        let Some(length) = inside.find(closing) else { return Some((tag, "this tag is never closed")) };
        let content = &inside[..length];
        let name = if closing == "}}" { content.strip_prefix(['#', '^', '/', '&']).unwrap_or(content) } else { content };
        if !name.trim_ascii().split('.').all(|part| crate::variables::VariableName::parse(part).is_ok()) {
            return Some((tag, "expected a name such as contact.name, with #, ^, / or & before it or nothing"));
        }
        at = text.len() - inside.len() + length + closing.len();
    }
    None
}

/// What the variables of a template stand for.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// The interaction's account.
    pub account: &'a Account,
    /// The queue on whose behalf it is offered.
    pub queue: Option<&'a Queue>,
    /// The account's list.
    pub list: Option<&'a List>,
    /// What the customer is called.
    pub name: Option<&'a ProfileName>,
    /// Where the customer is reached.
    pub address: &'a Address,
}

impl Values<'_> {
    /// What the customer is called; empty when that is not known.
    pub fn name(&self) -> &str {
        self.name.map_or("", |name| name.0.trim())
    }

    /// The first word of the name.
    pub fn first_name(&self) -> &str {
        self.name().split_whitespace().next().unwrap_or_default()
    }

    /// The name behind its first word.
    pub fn last_name(&self) -> &str {
        self.name().split_once(char::is_whitespace).map_or("", |(_, rest)| rest.trim_start())
    }

    /// The customer's phone number; empty when there is none.
    pub fn phone(&self) -> &str {
        self.address.phone().map_or("", |phone| phone.as_str())
    }

    fn data(&self) -> Data {
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
        let mut data = HashMap::from([("account".to_owned(), map(&account)), ("contact".to_owned(), map(&contact))]);
        data.extend(self.queue.map(|queue| ("queue".to_owned(), map(&[("name", queue.name.as_str())]))));
        data.extend(self.list.map(|list| ("list".to_owned(), map(&[("name", list.name.as_str())]))));
        Data::Map(data)
    }
}

fn map(values: &[(&str, &str)]) -> Data {
    Data::Map(values.iter().map(|(name, value)| ((*name).to_owned(), Data::String(value.chars().filter_map(masked).collect()))).collect())
}

/// The four characters that Mustache escapes for HTML, each with a stand-in from Unicode's private area that takes its way through the renderer.
const ESCAPED: [(char, char); 4] = [('&', '\u{f8f0}'), ('"', '\u{f8f1}'), ('<', '\u{f8f2}'), ('>', '\u{f8f3}')];

/// A stand-in that somebody else put there means nothing to anybody, and is dropped.
fn masked(character: char) -> Option<char> {
    match ESCAPED.iter().find(|(plain, stand_in)| character == *plain || character == *stand_in) {
        Some((plain, stand_in)) if character == *plain => Some(*stand_in),
        Some(_) => None,
        None => Some(character),
    }
}

fn unmasked(character: char) -> char {
    ESCAPED.iter().find(|(_, stand_in)| *stand_in == character).map_or(character, |(plain, _)| *plain)
}

/// One template that includes no others.
struct Alone<'a>(&'a str);

impl SourceProvider for Alone<'_> {
    /// Whether it is another one.
    type Key = bool;

    fn get_src(&mut self, other: &bool) -> Result<String, Cow<'static, str>> {
        if *other { Err("there are no other templates".into()) } else { Ok(self.0.to_owned()) }
    }

    fn resolve_partial(&self, _: &bool, _: &str) -> bool {
        true
    }

    fn display_key(_: &bool) -> Cow<'_, str> {
        Cow::Borrowed("template")
    }
}

fn rendered(text: &str, data: Data) -> Result<String, mustache2::Error> {
    RenderManager::new(Alone(text), &SourceCache::default()).render(false, data)
}

/// How an account announces interactions to agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announcement {
    /// Whether it sounds.
    pub sound: bool,
    /// Whether it shakes.
    pub shake: bool,
    /// What it says.
    pub template: TextTemplate,
}

impl Announcement {
    /// What it says unless told: the account, the queue when there is one, and who wrote.
    pub const TEMPLATE: &str = "{{account.name}}{{#queue}} · {{queue.name}}{{/queue}}: \
                                {{#contact.name}}{{contact.name}}{{/contact.name}}{{^contact.name}}{{contact.address}}{{/contact.name}}";
}

impl Default for Announcement {
    fn default() -> Self {
        Self { sound: true, shake: false, template: TextTemplate(Self::TEMPLATE.to_owned()) }
    }
}

/// What an agent's screen shows with an offer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Notification {
    /// What it says.
    pub text: String,
    /// Whether it sounds.
    pub sound: bool,
    /// Whether it shakes.
    pub shake: bool,
}

impl Notification {
    /// The longest one, in characters: what fits in a corner of a screen, and rides in the interaction's item.
    const LONGEST: usize = 240;

    /// The account's announcement for one interaction.
    pub fn of(values: &Values<'_>) -> Self {
        let Announcement { sound, shake, template } = &values.account.settings.notification;
        Self { text: template.render(values, Self::LONGEST), sound: *sound, shake: *shake }
    }
}

/// It names a customer.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notification").field("sound", &self.sound).field("shake", &self.shake).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ulid::Ulid;

    use super::*;
    use crate::fixtures;
    use crate::ids::{ListId, QueueId};
    use crate::queue::{Strategy as Ringing, Weight};
    use crate::values::E164;

    fn queue() -> Queue {
        Queue {
            id: QueueId::from_ulid(Ulid::nil()),
            name: "Sales".into(),
            strategy: Ringing::Beepall,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            members: Vec::new(),
        }
    }

    fn render(template: &str, name: Option<&str>, queue: Option<&Queue>) -> String {
        let name = name.map(|name| ProfileName(name.to_owned()));
        let (account, address) = (fixtures::account(), Address::Phone(E164::parse("+393331234567").unwrap()));
        let list = List { id: ListId::from_ulid(Ulid::nil()), name: "Customers".into() };
        let values = Values { account: &account, queue, list: Some(&list), name: name.as_ref(), address: &address };
        TextTemplate::parse(template).unwrap().render(&values, 4_096)
    }

    #[test]
    fn the_default_names_the_account_the_queue_when_there_is_one_and_the_sender() {
        assert_eq!(render(Announcement::TEMPLATE, Some("Ada Lovelace"), Some(&queue())), "Roma · Sales: Ada Lovelace");
        assert_eq!(render(Announcement::TEMPLATE, None, None), "Roma: +393331234567");
        let (account, address) = (fixtures::account(), Address::Bsuid("IT.1".into()));
        let values = Values { account: &account, queue: None, list: None, name: None, address: &address };
        let notification = Notification::of(&values);
        assert_eq!((notification.text.as_str(), notification.sound, notification.shake), ("Roma: IT.1", true, false));
        assert!(!format!("{notification:?}").contains("IT.1"));
    }

    #[test]
    fn every_variable_is_filled_in_and_what_is_unknown_is_empty() {
        let all =
            "{{account.key}} {{list.name}} {{contact.firstName}}|{{contact.lastName}}|{{contact.mobile}}{{contact.shoeSize}}{{nobody}}";
        assert_eq!(render(all, Some("Ada King Lovelace"), None), "ROMA1 Customers Ada|King Lovelace|+393331234567");
    }

    #[test]
    fn nothing_is_escaped_and_nothing_that_a_customer_is_called_is_a_template() {
        assert_eq!(render("{{contact.name}} & {{{contact.name}}}", Some("<b>\"D'A\u{f8f0}&\""), None), "<b>\"D'A&\" & <b>\"D'A&\"");
        assert_eq!(render("{{contact.name}}", Some("{{account.name}}"), None), "{{account.name}}");
        assert_eq!(render("{{& contact.name }}", Some("<A>"), None), "<A>");
    }

    #[test]
    fn a_template_that_does_not_parse_is_refused_with_the_place() {
        for (text, at, column) in [
            ("Hi {{contact.name", 3, 4),
            ("è {{#queue}}x", 3, 3),
            ("x {{/queue}}", 2, 3),
            ("{{#a}}{{/b}}", 6, 7),
            ("{{=<% %>=}}", 0, 1),
            ("{{> other}}", 0, 1),
            ("a {{contact name}}", 2, 3),
            ("{{}}", 0, 1),
            ("{{d𐴴", 0, 1),
        ] {
            let error = TextTemplate::parse(text).unwrap_err();
            assert_eq!((error.at, error.column), (at, column), "{text}: {error}");
        }
        assert_eq!(TextTemplate::parse("Hi {{contact.name").unwrap_err().to_string(), "at character 4: this tag is never closed");
        assert_eq!(TextTemplate::parse(&"x".repeat(TextTemplate::LONGEST + 1)).unwrap_err().at, TextTemplate::LONGEST);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        let (account, address) = (fixtures::account(), Address::Bsuid("IT.1".into()));
        let values = Values { account: &account, queue: None, list: None, name: None, address: &address };
        assert_eq!(TextTemplate::parse("èèèè").unwrap().render(&values, 3), "èèè");
    }

    proptest! {
        #[test]
        fn any_text_is_a_template_or_refused_within_itself(text in any::<String>()) {
            match TextTemplate::parse(&text) {
                Ok(_) => { render(&text, Some("Ada"), Some(&queue())); }
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }

        /// Texts of which most begin like a template.
        #[test]
        fn anything_like_a_template_is_one_or_refused(pieces in proptest::collection::vec(0..16_usize, 0..16)) {
            const PIECES: [&str; 16] =
                ["{{", "}}", "{{{", "}}}", "#queue", "/queue", "^queue", "!", ">x", "=", "contact.name", "&", " ", "\n", "è", "{{=<% %>=}}"];
            let text: String = pieces.into_iter().map(|piece| PIECES[piece]).collect();
            match TextTemplate::parse(&text) {
                Ok(_) => { render(&text, Some("Ada"), Some(&queue())); }
                Err(error) => prop_assert!(text.is_char_boundary(error.at)),
            }
        }
    }
}
