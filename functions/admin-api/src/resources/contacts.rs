//! Contacts: customers, shared by all accounts.

use api::{Caller, Cursor, Error, Id, IfMatch, JsonBody, Listed, Overseer, Page, Parameters, Versioned};
use std::collections::{BTreeMap, BTreeSet};

use audit::{Entry, Shows, Subject};
use axum::extract::State;
use domain::account::{Account, List};
use domain::business::Business;
use domain::contact::{Contact, NamedBy, Place};
use domain::contact_index::Wanted;
use domain::details::{ContactField, Details};
use domain::ids::{AccountId, ContactFieldId, ContactId, ListId};
use domain::inbound::ProfileName;
use domain::values::{Address, E164};
use engine::ports::{Committed, Store};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::{App, changed};
use crate::error::ApiError;
use crate::input::{ContactInput, Errors, NewContactInput, UNKNOWN_FIELD, UNKNOWN_LIST, USER_ID};
use crate::merge::merged;
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::trail::Trail;

/// A customer.
#[derive(Serialize, ToSchema)]
#[schema(as = Contact)]
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
    /// The values of defined fields by their ids.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    fields: BTreeMap<ContactFieldId, String>,
    /// The customer's username on WhatsApp.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<ProfileName>,
    /// The customer's phone numbers (E.164).
    phones: Vec<String>,
    /// The provider's ids of the customer (BSUID).
    user_ids: Vec<String>,
    /// The ids of the contact lists that include the customer.
    lists: BTreeSet<ListId>,
    /// The ids of the accounts whose marketing messages the customer refuses.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refuses_marketing: Vec<AccountId>,
    /// Whether the customer is blocked.
    blocked: bool,
    /// When the contact was created.
    created_at: Timestamp,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

fn view(contact: Contact) -> ContactView {
    let phones = contact.addresses.iter().filter_map(Address::phone).map(|phone| phone.as_str().to_owned()).collect();
    let user_ids: BTreeSet<String> = contact.places().filter_map(|place| place.address.user_id().map(str::to_owned)).collect();
    ContactView {
        phones,
        user_ids: user_ids.into_iter().collect(),
        id: contact.id,
        name: contact.name,
        first_name: contact.details.first_name,
        last_name: contact.details.last_name,
        email: contact.details.email,
        company: contact.details.company,
        fields: contact.details.fields,
        username: contact.username,
        lists: contact.lists,
        refuses_marketing: contact.marketing.into_iter().filter(|(_, word)| word.stopped).map(|(account, _)| account).collect(),
        blocked: contact.blocked,
        created_at: contact.created_at,
        version: contact.version,
    }
}

/// The audit entry of a change. It has the names of the fields, and no data about the customer. `None` if nothing
/// changed.
pub(crate) async fn told(app: &App, by: &Caller, before: Option<&Contact>, after: &Contact) -> Result<Option<Entry>, ApiError> {
    let shown = |contact: &Contact| serde_json::to_value(view(contact.clone())).map_err(|_| Error::Encode);
    let shows = Shows { ignored: &["id", "version", "created_at"], hidden: &|_| true, names_only: true };
    let versions = (before.map(|before| before.version), Some(after.version));
    let subject = Subject { kind: "contact", id: after.id.as_str(), versions };
    let before = before.map_or(Ok(Value::Null), shown)?;
    Ok(Trail::of(app, by, subject, &before, &shown(after)?, &shows).await?.entry(&[]))
}

/// The lists in `named` that exist. Fails if one does not exist, unless it was on the contact `before`: a list that
/// was deleted since is left out.
async fn known(app: &App, named: &[ListId], before: &BTreeSet<ListId>) -> Result<BTreeSet<ListId>, ApiError> {
    let all: BTreeSet<ListId> = app.configuration().all::<List>().await?.into_iter().map(|(list, _)| list.id).collect();
    let mut errors = Errors::default();
    for (index, _) in named.iter().enumerate().filter(|(_, list)| !all.contains(*list) && !before.contains(*list)) {
        errors.add(format!("lists[{index}]"), UNKNOWN_LIST);
    }
    errors.check()?;
    Ok(named.iter().filter(|list| all.contains(*list)).cloned().collect())
}

/// The details with the defined fields that exist. Fails if one does not exist, unless the contact `before` has it: a
/// field that was deleted since is left out.
async fn defined(app: &App, mut details: Details, before: &Details) -> Result<Details, ApiError> {
    if details.fields.is_empty() {
        return Ok(details);
    }
    let all: BTreeSet<ContactFieldId> = app.configuration().all::<ContactField>().await?.into_iter().map(|(field, _)| field.id).collect();
    let mut errors = Errors::default();
    for field in details.fields.keys().filter(|field| !all.contains(*field) && !before.fields.contains_key(*field)) {
        errors.add(format!("fields.{field}"), UNKNOWN_FIELD);
    }
    errors.check()?;
    details.fields.retain(|field, _| all.contains(field));
    Ok(details)
}

/// The contact. If it was merged into an older one, the older one, which has all addresses.
pub(crate) async fn load(app: &App, id: &ContactId) -> Result<Contact, ApiError> {
    let store = &app.engine.store;
    let contact = store.contact(id).await?.filter(|contact| contact.erased.is_none()).ok_or(Error::NotFound)?;
    match &contact.linked_to {
        Some(owner) => store.contact(owner).await?.ok_or(Error::NotFound.into()),
        None => Ok(contact),
    }
}

/// The businesses of all accounts.
async fn businesses(app: &App) -> Result<BTreeSet<Business>, ApiError> {
    Ok(app.configuration().all::<Account>().await?.iter().map(|(account, _)| Business::of(account)).collect())
}

/// The business that issued a user id: that of `account`, or the only one.
async fn issuer(app: &App, account: Option<&AccountId>) -> Result<Business, ApiError> {
    if let Some(account) = account {
        let found = app.configuration().get::<Account>(account.as_str()).await?;
        let (account, _) = found.ok_or_else(|| Errors::one("account", "does not exist"))?;
        return Ok(Business::of(&account));
    }
    let mut all = businesses(app).await?.into_iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Errors::one("account", "is required: a user id belongs to the business of an account").into()),
    }
}

/// The owner of an address where its user id was issued, or for all accounts.
async fn owner_of(app: &App, place: &Place) -> Result<Option<ContactId>, ApiError> {
    let business = place.business.clone().unwrap_or_else(|| Business::from_key(""));
    Ok(app.engine.store.contact_of(place, &business, true).await?.map(|person| person.owner))
}

/// Creates a contact for a customer who has not written yet.
///
/// Refused (409, `contact-exists`, with `contact`) if the phone number or the user id already belongs to a contact. A
/// repeated POST is refused the same way.
#[utoipa::path(post, path = "/contacts", tag = "contacts", request_body = NewContactInput,
    responses((status = 201, description = "Created.", body = ContactView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_contact(
    State(app): State<App>,
    Overseer(by): Overseer,
    JsonBody(body): JsonBody,
) -> Result<Versioned<ContactView>, ApiError> {
    let input = NewContactInput::parse(body)?;
    let details = defined(&app, input.details(), &Details::default()).await?;
    let NewContactInput { phone, user_id, account, name, lists, blocked, .. } = input;
    let name = name.or_else(|| details.full_name());
    let lists = known(&app, &lists, &BTreeSet::new()).await?;
    let mut places: Vec<Place> = phone.map(Address::Phone).iter().map(Place::before).collect();
    if let Some(user_id) = user_id {
        places.push(Place::of(&Address::Bsuid(user_id), &issuer(&app, account.as_ref()).await?));
    }
    let contact = Contact {
        lists,
        named_by: name.as_ref().map(|_| NamedBy::Person),
        name: name.map(ProfileName),
        details,
        blocked,
        ..Contact::known_by(ContactId::from_ulid(cloud::ids::ulid()), cloud::time::now(), places)
    };
    let entry = told(&app, &by, None, &contact).await?.ok_or(Error::Encode)?;
    if app.engine.store.add_contact(&contact, &entry).await? != Committed::Done {
        for place in contact.places() {
            if let Some(owner) = owner_of(&app, &place).await? {
                return Err(ApiError::ContactExists { contact: owner.to_string() });
            }
        }
        return Err(Error::Changed.into());
    }
    changed("contact", "created", contact.id.as_str(), &by);
    let place = app.place("contacts", contact.id.as_str());
    Ok(Versioned::made(view(contact), place))
}

/// Finds contacts.
///
/// By `phone` or `user_id`: whose address it is. A phone number has at most one contact, a user id at most one for
/// each business that issued it. By `q`: contacts with a name, a company or an e-mail address in which each word of
/// the text begins a word, or with a number that ends with these digits. By `list`: the contacts on it, the newest
/// first. Without any of these: all contacts, the newest first. A new contact is found by its address at once, by
/// the rest within seconds. A contact that was merged into an older one is shown as the older one.
#[utoipa::path(get, path = "/contacts", tag = "contacts",
    params(
        ("phone" = Option<String>, Query, description = "A phone number (E.164)"),
        ("user_id" = Option<String>, Query, description = "A user id"),
        ("q" = Option<String>, Query, description = "Words of a name, two letters or more, or at least the last three digits of a number"),
        ("list" = Option<String>, Query, description = "The id of a contact list"),
        PageParams
    ),
    responses((status = 200, description = "A page, which may have fewer entries than `limit`.", body = Listed<ContactView>), Refusals))]
pub(crate) async fn find_contacts(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Listed<ContactView>, ApiError> {
    let given: Vec<&str> = ["phone", "user_id", "q", "list"].into_iter().filter(|name| parameters.get(name).is_some()).collect();
    if let [_, second, ..] = given[..] {
        return Err(Errors::one(second, "can't be combined: give one of phone, user_id, q and list").into());
    }
    let address = match (parameters.get("phone"), parameters.get("user_id")) {
        (Some(phone), _) => Address::Phone(E164::parse(phone).map_err(|invalid| Errors::one("phone", invalid.0))?),
        // No user id is longer, and a long value would become a key.
        (None, Some(id)) if id.len() > USER_ID => return Err(Errors::one("user_id", "is too long").into()),
        (None, Some(id)) => Address::Bsuid(id.to_owned()),
        (None, None) => return sought(&app, &parameters).await,
    };
    // A user id may be known to several businesses, as different customers.
    let mut places = BTreeSet::from([Place::before(&address)]);
    places.extend(businesses(&app).await?.iter().map(|business| Place::of(&address, business)));
    let mut owners = Vec::new();
    for place in &places {
        owners.extend(owner_of(&app, place).await?.filter(|owner| !owners.contains(owner)));
    }
    let mut items = Vec::new();
    for owner in &owners {
        items.push(view(load(&app, owner).await?));
    }
    Ok(Listed { items, next: None })
}

/// The contacts that the index leads to.
async fn sought(app: &App, parameters: &Parameters) -> Result<Listed<ContactView>, ApiError> {
    let wanted = match parameters.get("q") {
        Some(text) => Wanted::typed(text).map_err(|invalid| Errors::one("q", invalid.0))?,
        None => Wanted::Listed(parameters.id::<ListId>("list")?),
    };
    let Page { after, limit } = Page::of::<Cursor>(parameters)?;
    let after = after.and_then(|after| after.parse::<Cursor>().ok()).map(|Cursor(place)| place);
    if after.as_ref().is_some_and(|place| !wanted.has_place(place)) {
        return Err(Errors::one("after", "belongs to another search").into());
    }
    let most = usize::try_from(limit).unwrap_or_default();
    let found = app.engine.store.find_contacts(&wanted, after.as_deref(), most).await?;
    Ok(Listed { items: found.contacts.into_iter().map(view).collect(), next: found.next.as_deref().map(Cursor::encoded) })
}

/// Returns a contact.
///
/// A contact that was merged into an older one is returned as the older one.
#[utoipa::path(get, path = "/contacts/{id}", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, description = "The contact.", body = ContactView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_contact(State(app): State<App>, _: Overseer, Id(id): Id<ContactId>) -> Result<Versioned<ContactView>, ApiError> {
    let contact = load(&app, &id).await?;
    let version = contact.version;
    Ok(Versioned::new(view(contact), version))
}

/// Replaces a contact's name, details and lists, and whether the customer is blocked.
///
/// The addresses do not change. A list that was deleted since is left out.
#[utoipa::path(put, path = "/contacts/{id}", tag = "contacts", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = ContactInput,
    responses((status = 200, description = "Changed.", body = ContactView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_contact(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<ContactId>,
    condition: IfMatch,
    JsonBody(body): JsonBody,
) -> Result<Versioned<ContactView>, ApiError> {
    change(&app, &by, &id, &condition, true, |_| body).await
}

/// Changes fields of a contact: its name, its details, its lists, and whether the customer is blocked.
#[utoipa::path(patch, path = "/contacts/{id}", tag = "contacts", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body(content = ContactInput, content_type = "application/merge-patch+json"),
    responses((status = 200, description = "Changed.", body = ContactView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn patch_contact(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<ContactId>,
    condition: IfMatch,
    JsonBody(patch): JsonBody,
) -> Result<Versioned<ContactView>, ApiError> {
    change(&app, &by, &id, &condition, false, |shown| merged(shown.clone(), &patch)).await
}

/// Applies `body` to the present view and writes the result: `always`, or only if it differs.
async fn change(
    app: &App,
    by: &Caller,
    id: &ContactId,
    condition: &IfMatch,
    always: bool,
    body: impl FnOnce(&Value) -> Value,
) -> Result<Versioned<ContactView>, ApiError> {
    let before = load(app, id).await?;
    condition.check(before.version)?;
    let shown = serde_json::to_value(view(before.clone())).map_err(|_| Error::Encode)?;
    let input = ContactInput::parse(body(&shown), &shown)?;
    let details = defined(app, input.details(), &before.details).await?;
    let ContactInput { name, lists, blocked, .. } = input;
    let name = name.or_else(|| details.full_name()).map(ProfileName);
    let lists = known(app, &lists, &before.lists).await?;
    if !always && (&name, &lists, &details, blocked) == (&before.name, &before.lists, &before.details, before.blocked) {
        let version = before.version;
        return Ok(Versioned::new(view(before), version));
    }
    let version = before.version + 1;
    // From now on the customer's profile does not change the name, unless a person takes it away.
    let named_by = if name == before.name { before.named_by } else { name.as_ref().map(|_| NamedBy::Person) };
    let contact = Contact { name, named_by, lists, details, blocked, version, ..before.clone() };
    let entry = told(app, by, Some(&before), &contact).await?;
    if app.engine.store.replace_contact(&contact, entry.as_ref()).await? != Committed::Done {
        return Err(Error::Changed.into());
    }
    changed("contact", "replaced", contact.id.as_str(), by);
    Ok(Versioned::new(view(contact), version))
}
