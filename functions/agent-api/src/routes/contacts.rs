//! Contacts: their data, their past interactions, and conversations that an agent starts.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use api::{AgentCaller, Body, Command, Cursor, Error, FromPath, Listed, Parameters};
use axum::Json;
use axum::extract::State;
use desk::Limited;
use desk::interactions::refused;
use desk::messages::client_id;
use desk::text::short_text;
use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Identity, Place};
use domain::contact_index;
use domain::details::{ContactField, Details};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId, InteractionId, MessageId};
use domain::inbound::ProfileName;
use domain::interaction::Interaction;
use domain::message::{ApprovedTemplate, Content, Message};
use domain::template::TemplateInput;
use domain::values::{Address, E164};
use engine::ports::{Directory, Store, World};
use engine::{Start, Started};
use futures_util::future::try_join_all;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::Order;
use utoipa::ToSchema;
use views::{InteractionView, MessageView};

use super::Named;
use super::messages::{fits, listed, takes_marketing};
use super::outgoing::read_template;
use crate::app::App;
use crate::problem::Failure;

/// A screen of interactions.
const PAST: i32 = 20;
/// An interaction takes about 2 KB, so a page stays far below the 6 MB limit of a Lambda response.
const LONGEST_PAST: i32 = 100;

/// What somebody reads who looks for one contact.
const FOUND: i32 = 20;
/// Of contacts that are on no list of the caller's accounts, each is looked up by its conversations.
const LONGEST_FOUND: i32 = 50;

/// WhatsApp's profile names have at most 25 characters. Some people have longer names.
const LONGEST_NAME: usize = 100;

/// A customer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ContactView {
    /// The contact's id.
    id: ContactId,
    /// The customer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<ProfileName>,
    /// The first name.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    /// The last name.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    /// The company.
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    /// The fields that administrators define, as far as the customer has a value, sorted by name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fields: Vec<FieldValue>,
    /// The customer's username on WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<ProfileName>,
    /// The customer's phone numbers.
    phones: Vec<String>,
    /// The provider's ids of the customer (BSUID).
    user_ids: Vec<String>,
    /// The contact lists that include the customer.
    lists: Vec<Named>,
    /// Whether the customer refuses marketing messages of this account.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    refuses_marketing: bool,
    /// When the contact was created.
    created_at: Timestamp,
}

/// A contact that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FoundContact {
    /// The contact's id.
    id: ContactId,
    /// The customer's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<ProfileName>,
    /// The company.
    #[serde(skip_serializing_if = "Option::is_none")]
    company: Option<String>,
    /// The customer's phone numbers.
    phones: Vec<String>,
    /// When the contact was created.
    created_at: Timestamp,
}

impl From<Contact> for FoundContact {
    fn from(contact: Contact) -> Self {
        Self {
            phones: contact.addresses.iter().filter_map(Address::phone).map(|phone| phone.as_str().to_owned()).collect(),
            name: contact.name.or_else(|| contact.details.full_name().map(ProfileName)),
            id: contact.id,
            company: contact.details.company,
            created_at: contact.created_at,
        }
    }
}

/// A value of a defined field.
#[derive(Debug, Serialize, ToSchema)]
struct FieldValue {
    /// The field's name.
    name: String,
    /// The value.
    value: String,
}

/// A conversation that the caller starts with a contact or a phone number. The first message is a template or the
/// account's recontact template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewConversation {
    /// The id of a contact on a list of the caller's accounts or with a conversation there; 404 for any other. Give
    /// either this or `phone`.
    contact: Option<String>,
    /// A phone number (E.164). An unknown number becomes a new contact on the account's list.
    phone: Option<String>,
    /// The customer's name, used only if the contact has no name yet.
    name: Option<String>,
    /// An approved template. Give either this or `recontact`.
    template: Option<TemplateInput>,
    /// `true`: send the account's recontact template, with its parameters filled in.
    #[serde(default)]
    recontact: bool,
    /// An id that the client chooses for the message: 1 to 64 printable ASCII characters without blanks.
    client_id: Option<String>,
}

/// A conversation that was started.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conversation {
    /// The interaction, which belongs to the caller.
    interaction: InteractionView,
    /// The message that is being sent.
    message: MessageView,
}

/// Returns the contact of an interaction that the caller may read.
#[utoipa::path(
    get, path = "/interactions/{id}/contact", tag = "contacts", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = ContactView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn contact(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
) -> Result<Json<ContactView>, Failure> {
    let place = app.desk.locate(&caller, &id).await?;
    let account = app.directory().account(&place.key.conversation.account).await?.ok_or(Error::NotFound)?;
    let business = Business::of(&account);
    let contacts = contacts_of(&app, &place.key.conversation.contact, &business).await?;
    let mut contacts = contacts.into_iter();
    let contact = contacts.next().ok_or(Error::NotFound)?;
    let mut lists = Vec::new();
    for id in &contact.lists {
        if let Some(list) = app.directory().list(id).await? {
            lists.push(Named { id: list.id.to_string(), name: list.name });
        }
    }
    let others: Vec<Contact> = contacts.collect();
    let all = || std::iter::once(&contact).chain(&others).flat_map(|contact| contact.reached_at(&business));
    let phones = all().filter_map(Address::phone).map(|phone| phone.as_str().to_owned()).collect();
    let user_ids = all().filter_map(Address::user_id).map(str::to_owned).collect();
    // Of several contacts of one customer, the older one's details come first.
    let details = others.iter().fold(contact.details.clone(), |details, newer| details.or(&newer.details));
    let fields = field_values(&app, &details).await?;
    let refuses_marketing = contact.refuses_marketing(&place.key.conversation.account);
    let name = contact.name.or_else(|| details.full_name().map(ProfileName));
    Ok(Json(ContactView {
        phones,
        user_ids,
        lists,
        refuses_marketing,
        created_at: contact.created_at,
        id: contact.id,
        name,
        first_name: details.first_name,
        last_name: details.last_name,
        email: details.email,
        company: details.company,
        fields,
        username: contact.username,
    }))
}

/// The values with the names of their fields. Those of deleted fields are left out.
async fn field_values(app: &App, details: &Details) -> Result<Vec<FieldValue>, Failure> {
    if details.fields.is_empty() {
        return Ok(Vec::new());
    }
    let defined = app.directory().all::<ContactField>().await?;
    let value = |(field, _): (ContactField, u64)| {
        let value = details.fields.get(&field.id)?.clone();
        Some(FieldValue { name: field.name, value })
    };
    let mut values: Vec<FieldValue> = defined.into_iter().filter_map(value).collect();
    values.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(values)
}

/// The customer's contacts for an account of `business`, the oldest first.
async fn contacts_of(app: &App, contact: &ContactId, business: &Business) -> Result<Vec<Contact>, Failure> {
    let Some(own) = app.store().contact(contact).await? else { return Ok(Vec::new()) };
    let person = app.desk.engine.person(&own, business).await?;
    let mut contacts = Vec::new();
    for id in person.contacts() {
        contacts.extend(if *id == own.id { Some(own.clone()) } else { app.store().contact(id).await? });
    }
    Ok(contacts)
}

/// The contact. If it was merged into an older one, the older one.
async fn owner(app: &App, id: &ContactId) -> Result<Option<Contact>, Failure> {
    let Some(contact) = app.store().contact(id).await? else { return Ok(None) };
    match &contact.linked_to {
        Some(owner) => Ok(app.store().contact(owner).await?),
        None => Ok(Some(contact)),
    }
}

/// The contact, if the caller may know it. Ids are in links and logs, so knowing one is no right.
async fn visible(app: &App, caller: &AgentCaller, id: &ContactId) -> Result<Option<Contact>, Failure> {
    let Some(contact) = owner(app, id).await? else { return Ok(None) };
    Ok(may_know(app, caller, &contact).await?.then_some(contact))
}

/// Supervisors know all contacts, and agents those on a list of one of their accounts or with a conversation there.
async fn may_know(app: &App, caller: &AgentCaller, contact: &Contact) -> Result<bool, Failure> {
    if caller.oversees() {
        return Ok(true);
    }
    let accounts = app.directory().accounts().await?;
    let own: Vec<&Account> = accounts.iter().filter(|account| caller.reads(account)).collect();
    let whitelisted = own.iter().flat_map(|account| &account.settings.whitelist).flat_map(|whitelist| &whitelist.lists);
    if own.iter().map(|account| &account.list).chain(whitelisted).any(|list| contact.lists.contains(list)) {
        return Ok(true);
    }
    let conversations = conversations(app, own.into_iter(), &contact.id, Some(contact)).await?;
    let (found, _) = app.store().past(&conversations, None, 1).await?;
    Ok(!found.is_empty())
}

/// Finds contacts by name or number.
///
/// Agents find the contacts on the lists of their accounts, and those with a conversation there. Supervisors, admins
/// and owners find all. A new contact is found within seconds.
#[utoipa::path(
    get, path = "/contacts", operation_id = "find_contacts", tag = "contacts",
    params(
        ("q" = String, Query, description = "Beginnings of words of the name, the company or the e-mail address, two letters or more; or at least the last three digits of a number"),
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 50; the default is 20")
    ),
    responses((status = OK, body = Listed<FoundContact>, description = "A page. It may have fewer entries than `limit`."))
)]
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    parameters: Parameters,
) -> Result<Listed<FoundContact>, Failure> {
    let limit = parameters.limit(FOUND, LONGEST_FOUND)?;
    let text = parameters.get("q").ok_or_else(|| Failure::field("q", "is required"))?;
    let wanted = contact_index::Wanted::typed(text).map_err(|why| Failure::field("q", why.0))?;
    let after = parameters.get("after").map(|after| after.parse::<Cursor>().ok().filter(|Cursor(place)| wanted.has_place(place)));
    if after == Some(None) {
        return Err(Failure::field("after", "must be what the page before gave as next"));
    }
    let after = after.flatten().map(|Cursor(place)| place);
    let found = app.store().find_contacts(&wanted, after.as_deref(), usize::try_from(limit).unwrap_or_default()).await?;
    let known = found.contacts.iter().map(|contact| may_know(&app, &caller, contact));
    let known = try_join_all(known).await?;
    let shown = found.contacts.into_iter().zip(known).filter(|(_, known)| *known);
    Ok(Listed { items: shown.map(|(contact, _)| contact.into()).collect(), next: found.next.as_deref().map(Cursor::encoded) })
}

/// The conversations of a customer on accounts. What shows that two contacts are one customer may hold for one
/// business only.
async fn conversations(
    app: &App,
    accounts: impl Iterator<Item = &Account>,
    id: &ContactId,
    contact: Option<&Contact>,
) -> Result<Vec<ConversationKey>, Failure> {
    let (mut conversations, mut people) = (Vec::new(), BTreeMap::new());
    for account in accounts {
        let business = Business::of(account);
        if let Entry::Vacant(vacant) = people.entry(business.clone()) {
            vacant.insert(match contact {
                Some(contact) => app.desk.engine.person(contact, &business).await?,
                None => Identity::one(id.clone()),
            });
        }
        let Some(person) = people.get(&business) else { continue };
        let of_account = |contact: &ContactId| ConversationKey { account: account.id.clone(), contact: contact.clone() };
        conversations.extend(person.contacts().map(of_account));
    }
    Ok(conversations)
}

/// Lists the customer's other interactions.
///
/// Agents see those on their own accounts. Supervisors, admins and owners see those on all accounts.
#[utoipa::path(
    get, path = "/interactions/{id}/past", tag = "contacts",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 100; the default is 20")
    ),
    responses(
        (status = OK, body = Listed<InteractionView>, description = "Interactions, newest first. The list leaves out the interaction in the path and archived ones. A page may have fewer entries than `limit`."),
        (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn past(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<InteractionView>, Failure> {
    let limit = parameters.limit(PAST, LONGEST_PAST)?;
    let after = parameters.id::<InteractionId>("after")?;
    let place = app.desk.locate(&caller, &id).await?;
    let contact = app.store().contact(&place.key.conversation.contact).await?;
    let accounts = app.directory().accounts().await?;
    let readable = accounts.iter().filter(|account| caller.reads(account));
    let conversations = conversations(&app, readable, &place.key.conversation.contact, contact.as_ref()).await?;
    let (found, next) = app.store().past(&conversations, after.as_ref(), limit).await?;
    let shown = found.iter().filter(|found| found.id != place.key.interaction && !found.archived);
    Ok(Listed { items: shown.map(InteractionView::from).collect(), next: next.map(|next| next.to_string()) })
}

/// Starts a conversation with an approved template.
///
/// The new interaction belongs to the caller. The caller must be logged in (a pause is allowed), have a free slot, and
/// belong to the account.
///
/// 409: `other-open` (the customer has an open interaction on the account, named in `other`), `not-ready`,
/// `at-capacity`, `account-inactive`, `marketing-refused`. 429: the caller has started as many conversations as are
/// allowed in an hour.
#[utoipa::path(
    post, path = "/accounts/{id}/conversations", tag = "contacts", request_body = NewConversation,
    params(("id" = String, Path, description = "The account's id")),
    responses(
        (status = CREATED, body = Conversation),
        (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn start(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(new): Body<NewConversation>,
) -> Result<(StatusCode, Json<Conversation>), Failure> {
    let id: AccountId = id.parse().map_err(|_| Error::NotFound)?;
    let account = app.directory().account(&id).await?.filter(|account| account.agents.contains(&command.caller.agent));
    let account = account.ok_or(Error::NotFound)?;
    tracing::Span::current().record("account", account.id.as_str());
    let client_id = client_id(new.client_id.as_deref())?;
    let wanted = new.read()?;
    let (to, name) = match wanted.whom {
        Whom::Contact(id) => {
            let contact = visible(&app, &command.caller, &id).await?.ok_or(Error::NotFound)?;
            let to = contact.reached_at(&Business::of(&account)).next();
            let to = to.ok_or_else(|| Failure::field("contact", "has no address that this account can write to"))?.clone();
            (to, contact.name)
        }
        Whom::Phone(phone, name) => (Address::Phone(phone), name),
    };
    let template = match wanted.template {
        Some(template) => template,
        None => {
            let filled = app.desk.engine.recontact(&account, name.as_ref(), &to).await?.ok_or_else(no_recontact)?;
            filled.map_err(Failure::RecontactUnfilled)?
        }
    };
    if let Err(refused) = sendable(&app, &account, &template, &to).await {
        // The list may have changed since the first attempt of a repeated command.
        return match earlier(&app, &command).await? {
            Some((interaction, message)) => Ok(opened(&interaction, &message)),
            None => Err(refused),
        };
    }
    app.desk.count(&command.caller.agent, Limited::Conversation).await?;
    let message = MessageId::from_ulid(app.desk.engine.world.ulid());
    let start = Start { agent: command.caller.agent.clone(), role: Some(command.caller.role), to, name, message, template, client_id };
    let refusal = match app.desk.engine.start(&account, &start, &command.mark()).await? {
        Started::Opened(interaction, message) => return Ok(opened(&interaction, &message)),
        Started::Before => None,
        Started::Refused(refusal) => Some(refusal),
    };
    // A repeated command finds the interaction that the first one opened. Its idempotency mark shows this.
    match (earlier(&app, &command).await?, refusal) {
        (Some((interaction, message)), _) => Ok(opened(&interaction, &message)),
        (None, Some(refusal)) => Err(refused(&app.desk, refusal, None).await?.into()),
        (None, None) => Err(Error::NotFound.into()),
    }
}

async fn sendable(app: &App, account: &Account, template: &ApprovedTemplate, to: &Address) -> Result<(), Failure> {
    fits(account, &Content::Template(template.clone()), &[])?;
    let business = Business::of(account);
    if listed(app, account, template).await?
        && let Some(person) = app.store().contact_of(&Place::of(to, &business), &business, true).await?
    {
        takes_marketing(app, account, &person).await?;
    }
    Ok(())
}

/// The account has no recontact template.
pub(crate) fn no_recontact() -> Failure {
    Failure::field("recontact", "the account has no recontact template")
}

fn opened(interaction: &Interaction, message: &Message) -> (StatusCode, Json<Conversation>) {
    (StatusCode::CREATED, Json(Conversation { interaction: interaction.into(), message: message.into() }))
}

/// The interaction and the message that an earlier attempt of this command created.
async fn earlier(app: &App, command: &Command) -> Result<Option<(Interaction, Message)>, Failure> {
    let Some(id) = app.desk.earlier(command, None).await?.and_then(|made| made.parse::<InteractionId>().ok()) else { return Ok(None) };
    let Some(key) = app.store().locate(&id).await? else { return Ok(None) };
    let Some(interaction) = app.store().interaction(&key).await? else { return Ok(None) };
    let first = app.store().thread(&interaction, None, 1, Order::OldestFirst).await?.messages.into_iter().next();
    Ok(first.map(|message| (interaction, message)))
}

/// The requested conversation.
#[derive(Debug)]
struct Wanted {
    whom: Whom,
    /// `None`: the account's recontact template.
    template: Option<ApprovedTemplate>,
}

#[derive(Debug)]
enum Whom {
    Contact(ContactId),
    Phone(E164, Option<ProfileName>),
}

impl NewConversation {
    fn read(self) -> Result<Wanted, Failure> {
        let whom = match (self.contact, self.phone) {
            (Some(contact), None) if self.name.is_none() => {
                Whom::Contact(contact.parse().map_err(|_| Failure::field("contact", "must be the id of a contact"))?)
            }
            (Some(_), None) => return Err(Failure::field("name", "is allowed only with phone")),
            (None, Some(phone)) => {
                let name = self.name.map(|name| short_text("name", &name, LONGEST_NAME)).transpose()?;
                Whom::Phone(E164::parse(&phone).map_err(|why| Failure::field("phone", why.0))?, name.map(ProfileName))
            }
            (Some(_), Some(_)) => return Err(Failure::field("phone", "must be absent when contact is given")),
            (None, None) => return Err(Failure::field("phone", "is required, or contact")),
        };
        let template = match (self.template, self.recontact) {
            (Some(template), false) => match read_template(template)? {
                (template, None) => Some(template),
                // There is no interaction yet to upload a file to.
                (_, Some(_)) => return Err(Failure::field("template.header.attachment", "is not possible here: give an address")),
            },
            (None, true) => None,
            (Some(_), true) => return Err(Failure::field("recontact", "must be absent when template is given")),
            (None, false) => return Err(Failure::field("template", "is required, or recontact")),
        };
        Ok(Wanted { whom, template })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(body: Value) -> Result<Wanted, String> {
        serde_json::from_value::<NewConversation>(body).unwrap().read().map_err(|failure| {
            let problem = serde_json::to_value(failure.problem()).unwrap();
            assert_eq!(problem["status"], 422);
            problem["errors"][0]["field"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_new_conversation_needs_one_customer_and_one_template() {
        assert!(read(json!({"phone": "+393331234567", "name": "Zoë", "template": {"name": "hello", "language": "it"}})).is_ok());
        assert!(read(json!({"contact": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV", "recontact": true})).unwrap().template.is_none());
        for (body, field) in [
            (json!({"recontact": true}), "phone"),
            (json!({"phone": "+393331234567", "contact": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV", "recontact": true}), "phone"),
            (json!({"phone": "0333", "recontact": true}), "phone"),
            (json!({"phone": "+393331234567", "name": "x".repeat(101), "recontact": true}), "name"),
            (json!({"phone": "+393331234567", "name": "Zo\u{0}", "recontact": true}), "name"),
            (json!({"contact": "zoë", "recontact": true}), "contact"),
            (json!({"contact": "con_01ARZ3NDEKTSV4RRFFQ69G5FAV", "name": "Zoë", "recontact": true}), "name"),
            (json!({"phone": "+393331234567"}), "template"),
            (json!({"phone": "+393331234567", "recontact": true, "template": {"name": "hello"}}), "recontact"),
            (json!({"phone": "+393331234567", "template": {"name": " "}}), "template.name"),
        ] {
            assert_eq!(read(body.clone()).unwrap_err(), field, "{body}");
        }
    }
}
