//! The rows of exports: what a supervisor wants to know of an interaction or a contact, with names beside ids.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::{Account, List};
use domain::agent::Agent;
use domain::contact::Contact;
use domain::details::ContactField;
use domain::effect::Target;
use domain::ids::{AccountId, AgentId, ContactFieldId, ListId, QueueId};
use domain::insights::Summary;
use domain::interaction::Interaction;
use domain::message::{Author, Message};
use domain::queue::Queue;
use jiff::Timestamp;

/// How much of a text stands in a cell. A row can still be read, and the transcript has all.
const TEXT: usize = 1_000;

/// The names behind ids.
pub(crate) struct Names {
    pub(crate) accounts: Arc<Vec<Account>>,
    pub(crate) agents: Arc<BTreeMap<AgentId, Agent>>,
    pub(crate) queues: Arc<BTreeMap<QueueId, Queue>>,
    pub(crate) lists: BTreeMap<ListId, List>,
    /// The defined fields of contacts.
    pub(crate) fields: BTreeMap<ContactFieldId, ContactField>,
}

impl Names {
    fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    fn agent(&self, id: &AgentId) -> String {
        self.agents.get(id).map_or_else(|| id.to_string(), |agent| agent.name.clone())
    }

    fn queue(&self, id: &QueueId) -> String {
        self.queues.get(id).map_or_else(|| id.to_string(), |queue| queue.name.clone())
    }

    fn field(&self, id: &ContactFieldId) -> String {
        self.fields.get(id).map_or_else(|| id.to_string(), |field| field.name.clone())
    }

    fn list(&self, id: &ListId) -> String {
        self.lists.get(id).map_or_else(|| id.to_string(), |list| list.name.clone())
    }
}

/// What a row tells of a thread.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Digest {
    from_customer: u64,
    from_agents: u64,
    first: Option<Said>,
    last: Option<Said>,
    /// The summary of its insights.
    summary: Option<Summary>,
}

#[derive(Debug, Clone, PartialEq)]
struct Said {
    at: Timestamp,
    by: String,
    text: String,
}

impl Digest {
    /// What is told before the first message.
    pub(crate) fn with(summary: Option<Summary>) -> Self {
        Self { summary, ..Self::default() }
    }

    /// Takes in the next message of the thread. Notes for colleagues are not part of the conversation.
    pub(crate) fn add(&mut self, message: &Message) {
        if message.content.is_note() {
            return;
        }
        let by = match &message.author {
            Author::Customer => "customer".to_owned(),
            Author::Agent { .. } => "agent".to_owned(),
            Author::System => "system".to_owned(),
            Author::Ai { name, .. } => format!("ai: {name}"),
        };
        match &message.author {
            Author::Customer => self.from_customer += 1,
            Author::Agent { .. } => self.from_agents += 1,
            Author::System | Author::Ai { .. } => {}
        }
        let said = Said { at: message.at, by, text: beginning(&message.content.readable()) };
        self.first.get_or_insert_with(|| said.clone());
        self.last = Some(said);
    }
}

fn beginning(text: &str) -> String {
    match text.char_indices().nth(TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first row of an export of interactions.
pub(crate) const INTERACTION: [&str; 28] = [
    "interaction",
    "account",
    "account_key",
    "status",
    "archived",
    "opened_at",
    "closed_at",
    "agent",
    "queue",
    "contact",
    "contact_name",
    "contact_address",
    "tags",
    "disposition",
    "priority",
    "unread",
    "variables",
    "messages_from_customer",
    "messages_from_agents",
    "first_message_at",
    "first_message_by",
    "first_message",
    "last_message_at",
    "last_message_by",
    "last_message",
    "merged_into",
    "sentiment",
    "summary",
];

/// The row of an interaction.
pub(crate) fn of_interaction(interaction: &Interaction, digest: &Digest, names: &Names) -> [String; 28] {
    let account = names.account(&interaction.account);
    let waits_for = interaction.wait.iter().flat_map(|wait| &wait.targets).find_map(|target| match target {
        Target::Queue(queue) => Some(queue),
        Target::Agent(_) | Target::Account(_) => None,
    });
    let at = |said: &Option<Said>| said.as_ref().map_or_else(String::new, |said| said.at.to_string());
    let by = |said: &Option<Said>| said.as_ref().map_or_else(String::new, |said| said.by.clone());
    let text = |said: &Option<Said>| said.as_ref().map_or_else(String::new, |said| said.text.clone());
    let status = if interaction.is_open() { "open" } else { "closed" };
    [
        interaction.id.to_string(),
        account.map_or_else(|| interaction.account.to_string(), |account| account.name.clone()),
        account.map_or_else(String::new, |account| account.key.as_str().to_owned()),
        status.to_owned(),
        interaction.archived.to_string(),
        interaction.opened_at.to_string(),
        interaction.closed_at.map_or_else(String::new, |at| at.to_string()),
        interaction.agent.as_ref().map_or_else(String::new, |agent| names.agent(agent)),
        interaction.accepted_via.as_ref().or(waits_for).map_or_else(String::new, |queue| names.queue(queue)),
        interaction.contact.to_string(),
        interaction.customer_name.as_ref().map_or_else(String::new, |name| name.0.clone()),
        interaction.address.text().to_owned(),
        joined(interaction.tags.iter().map(|tag| tag.as_str().to_owned())),
        interaction.disposition.clone().unwrap_or_default(),
        interaction.priority.get().to_string(),
        interaction.unread.to_string(),
        serde_json::to_string(&interaction.variables).ok().filter(|json| json != "{}").unwrap_or_default(),
        digest.from_customer.to_string(),
        digest.from_agents.to_string(),
        at(&digest.first),
        by(&digest.first),
        text(&digest.first),
        at(&digest.last),
        by(&digest.last),
        text(&digest.last),
        interaction.merged_into.as_ref().map_or_else(String::new, |into| into.interaction.to_string()),
        interaction.insights.map_or_else(String::new, |insights| insights.sentiment.name().to_owned()),
        digest.summary.as_ref().map_or_else(String::new, |summary| summary.as_str().to_owned()),
    ]
}

/// The first row of an export of contacts.
pub(crate) const CONTACT: [&str; 14] = [
    "contact",
    "name",
    "phones",
    "user_ids",
    "username",
    "lists",
    "created_at",
    "linked_to",
    "first_name",
    "last_name",
    "email",
    "company",
    "fields",
    "blocked",
];

/// The row of a contact.
pub(crate) fn of_contact(contact: &Contact, names: &Names) -> [String; 14] {
    let phones = contact.addresses.iter().filter(|address| address.phone().is_some());
    let older = contact.addresses.iter().filter(|address| address.phone().is_none()).map(|address| address.text().to_owned());
    let details = &contact.details;
    let name = |name: &Option<domain::inbound::ProfileName>| name.as_ref().map_or_else(String::new, |name| name.0.clone());
    [
        contact.id.to_string(),
        name(&contact.name),
        joined(phones.map(|address| address.text().to_owned())),
        joined(older.chain(contact.user_ids.iter().map(|id| id.id.text().to_owned()))),
        name(&contact.username),
        joined(contact.lists.iter().map(|list| names.list(list))),
        contact.created_at.to_string(),
        contact.linked_to.as_ref().map_or_else(String::new, ToString::to_string),
        details.first_name.clone().unwrap_or_default(),
        details.last_name.clone().unwrap_or_default(),
        details.email.clone().unwrap_or_default(),
        details.company.clone().unwrap_or_default(),
        joined(details.fields.iter().map(|(field, value)| format!("{}: {value}", names.field(field)))),
        if contact.blocked { "yes" } else { "" }.to_owned(),
    ]
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::contact::Place;
    use domain::details::Details;
    use domain::fixtures;
    use domain::ids::ContactId;
    use domain::insights::{Insights, Sentiment};
    use domain::interaction::Status;
    use domain::message::Content;
    use domain::values::{Address, E164};

    use super::*;

    pub(crate) fn names() -> Names {
        let accounts = Arc::new(vec![fixtures::account()]);
        Names { accounts, agents: Arc::default(), queues: Arc::default(), lists: BTreeMap::new(), fields: BTreeMap::new() }
    }

    #[test]
    fn a_contacts_row_tells_what_is_noted_of_the_customer() {
        let field = ContactField { id: ContactFieldId::from_ulid(ulid::Ulid(1)), name: "Number".to_owned() };
        let gone = ContactFieldId::from_ulid(ulid::Ulid(2));
        let names = Names { fields: BTreeMap::from([(field.id.clone(), field.clone())]), ..names() };
        let values = [(field.id.clone(), "4711".to_owned()), (gone.clone(), "x".to_owned())];
        let details = Details { email: Some("zoe@example.com".to_owned()), fields: BTreeMap::from(values), ..Details::default() };
        let place = Place::before(&Address::Phone(E164::parse("+393331234567").unwrap()));
        let known = Contact::known_by(ContactId::from_ulid(ulid::Ulid(3)), Timestamp::UNIX_EPOCH, [place]);
        let contact = Contact { details, blocked: true, ..known };
        let row = of_contact(&contact, &names);
        let cells: BTreeMap<&str, &str> = CONTACT.into_iter().zip(row.iter().map(String::as_str)).collect();
        assert_eq!((cells["phones"], cells["email"], cells["blocked"]), ("+393331234567", "zoe@example.com", "yes"));
        assert_eq!(cells["fields"], format!("Number: 4711; {gone}: x"));
    }

    #[test]
    fn a_row_names_the_account_and_tells_the_ends_of_the_conversation() {
        let at = Timestamp::UNIX_EPOCH;
        let insights = Some(Insights { sentiment: Sentiment::Mixed, at, version: 2 });
        let interaction = Interaction { insights, ..fixtures::interaction(Status::Closed, at) };
        let ada = Author::Ai { ai_agent: fixtures::ai_agent().id, name: "Ada".to_owned() };
        let mut digest = Digest::with(Summary::of("Asked for a refund.").ok());
        let message = fixtures::message(at);
        let note = Message { content: Content::Note { body: "secret".to_owned() }, ..message.clone() };
        let long = Message { content: Content::Text { body: "é".repeat(TEXT + 1) }, author: ada, ..message.clone() };
        [&message, &long, &note].into_iter().for_each(|message| digest.add(message));
        let row = of_interaction(&interaction, &digest, &names());
        let cells: BTreeMap<&str, &str> = INTERACTION.into_iter().zip(row.iter().map(String::as_str)).collect();
        assert_eq!((cells["account"], cells["account_key"], cells["status"]), ("Roma", "ROMA1", "closed"));
        assert_eq!((cells["contact_address"], cells["messages_from_customer"], cells["messages_from_agents"]), ("+393331234567", "1", "0"));
        assert_eq!((cells["first_message"], cells["first_message_by"], cells["last_message_by"]), ("Buongiorno", "customer", "ai: Ada"));
        assert_eq!((cells["sentiment"], cells["summary"]), ("mixed", "Asked for a refund."));
        assert_eq!(cells["last_message"].chars().count(), TEXT + 1);
        assert!(cells["last_message"].ends_with('…') && !row.concat().contains("secret"));
    }
}
