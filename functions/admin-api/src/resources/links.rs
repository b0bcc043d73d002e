//! The links of a contact: why it is one customer with other contacts, or has further addresses.

use std::collections::BTreeSet;

use api::{Caller, Error, Id, JsonBody, Listed, Overseer};
use audit::{Entry, Shows, Subject};
use axum::extract::State;
use domain::account::Account;
use domain::business::Business;
use domain::contact::{Contact, Cut, Link, Origin, People, Place, Tied};
use domain::ids::{AccountId, ContactId};
use engine::ports::{Committed, Store};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{App, changed};
use crate::error::ApiError;
use crate::input::{Errors, LinkInput, UnlinkInput};
use crate::openapi::{Refusals, WriteRefusals};
use crate::trail::Trail;

/// How often a change is tried while messages of the customer change the same contacts.
const ATTEMPTS: u32 = 5;

/// Why a contact is one customer with another contact, or has a further address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ContactLink)]
pub(crate) struct LinkView {
    /// The other contact. Absent if the link is with an address.
    #[serde(skip_serializing_if = "Option::is_none")]
    contact: Option<ContactId>,
    /// The phone number that came with the link (E.164).
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// The provider's id (BSUID) that came with the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    /// Whether it holds for all accounts.
    everywhere: bool,
    /// The accounts for which it holds, if not for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<AccountId>,
    /// Where it came from.
    origin: OriginView,
    /// The account whose request showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<AccountId>,
    /// The id of the event that showed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<String>,
    /// The supervisor who confirmed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// When a supervisor cut it. The two are not linked again by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_at: Option<Timestamp>,
    /// The supervisor who cut it.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut_by: Option<String>,
}

impl LinkView {
    /// Whether nobody knows why the contact `own` has this link. A link of two contacts counts for the newer one. User
    /// ids that are told apart by business are younger than the record of origins: somebody entered them.
    pub(super) fn is_unexplained_of(&self, own: &ContactId) -> bool {
        self.origin == OriginView::Before
            && self.everywhere
            && self.cut_at.is_none()
            && self.contact.as_ref().is_none_or(|other| other < own)
    }
}

/// Where a link came from.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LinkOrigin)]
enum OriginView {
    /// A version of the connector that kept no origins made it.
    Before,
    /// A provider's request with proof of origin showed it.
    Request,
    /// A supervisor confirmed it.
    Confirmed,
}

fn view(to: &Tied, holds: Option<&Business>, origin: &Origin, cut: Option<&Cut>, accounts: &[Account]) -> LinkView {
    let (contact, place) = match to {
        Tied::Contact { contact } => (Some(contact.clone()), None),
        Tied::Address { place } => (None, Some(place)),
    };
    let (shown, account, event, by, at) = match origin {
        Origin::Before => (OriginView::Before, None, None, None, None),
        Origin::Event { account, event, at } => (OriginView::Request, Some(account.clone()), Some(event.clone()), None, Some(*at)),
        Origin::Person { by, at } => (OriginView::Confirmed, None, None, Some(by.clone()), Some(*at)),
    };
    LinkView {
        contact,
        phone: place.and_then(|place| place.address.phone()).map(|phone| phone.as_str().to_owned()),
        user_id: place.and_then(|place| place.address.user_id()).map(str::to_owned),
        everywhere: holds.is_none(),
        accounts: accounts.iter().filter(|account| holds == Some(&Business::of(account))).map(|account| account.id.clone()).collect(),
        origin: shown,
        account,
        event,
        by,
        at,
        cut_at: cut.map(|cut| cut.at),
        cut_by: cut.map(|cut| cut.by.clone()),
    }
}

/// The links of a contact: its ties, and addresses that a version without origins added.
pub(super) fn views(people: &People, id: &ContactId, accounts: &[Account]) -> Vec<LinkView> {
    let Some(contact) = people.get(id) else { return Vec::new() };
    let told: BTreeSet<&Place> =
        contact.ties.iter().filter_map(|tie| if let Tied::Address { place } = &tie.to { Some(place) } else { None }).collect();
    let more: Vec<Place> = contact.places().skip(1).filter(|place| !told.contains(place)).collect();
    let before = more.iter().map(|place| {
        let to = Tied::Address { place: place.clone() };
        view(&to, place.business.as_ref(), &Origin::Before, None, accounts)
    });
    contact.ties.iter().map(|tie| view(&tie.to, tie.holds.as_ref(), &tie.origin, tie.cut.as_ref(), accounts)).chain(before).collect()
}

async fn known(app: &App, id: &ContactId) -> Result<Contact, ApiError> {
    Ok(app.engine.store.contact(id).await?.filter(|contact| contact.erased.is_none()).ok_or(Error::NotFound)?)
}

async fn listed(app: &App, id: &ContactId) -> Result<Listed<LinkView>, ApiError> {
    known(app, id).await?;
    let people = app.engine.people(BTreeSet::from([id.clone()])).await?;
    let accounts: Vec<Account> = app.configuration().all::<Account>().await?.into_iter().map(|(account, _)| account).collect();
    Ok(Listed { items: views(&people, id, &accounts), next: None })
}

/// Lists the links of a contact, with their origin.
///
/// A link makes one customer of two contacts, or adds an address to a contact. One that a provider's request showed
/// holds for the accounts that share the provider's account with it. Links that a supervisor cut are listed too.
#[utoipa::path(get, path = "/contacts/{id}/links", tag = "contacts", params(("id" = String, Path)),
    responses((status = 200, description = "The links.", body = Listed<LinkView>), Refusals))]
pub(crate) async fn list_links(State(app): State<App>, _: Overseer, Id(id): Id<ContactId>) -> Result<Listed<LinkView>, ApiError> {
    listed(&app, &id).await
}

/// Links a contact with another one for all accounts.
///
/// It confirms a link that a request showed for some accounts, or makes one, also of contacts that were unlinked. Two
/// open interactions on one account become one. If the contacts are linked for all accounts already, only a link
/// without an origin changes: it gets this one, and leaves the review (`GET /links`).
#[utoipa::path(post, path = "/contacts/{id}/links", tag = "contacts", params(("id" = String, Path)), request_body = LinkInput,
    responses((status = 200, description = "The links of the contact.", body = Listed<LinkView>), WriteRefusals))]
pub(crate) async fn link_contacts(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<ContactId>,
    JsonBody(body): JsonBody,
) -> Result<Listed<LinkView>, ApiError> {
    let LinkInput { contact: other } = LinkInput::parse(body)?;
    known(&app, &id).await?;
    if other == id || app.engine.store.contact(&other).await?.is_none() {
        return Err(Errors::one("contact", "must be the id of another contact").into());
    }
    let who = who(&app, &by).await?;
    change(
        &app,
        &by,
        &id,
        |people| {
            let origin = Origin::Person { by: who.clone(), at: cloud::time::now() };
            if people.identity(&id, None).has(&other) {
                return Ok(people.explain(&id, &other, &origin));
            }
            let link = people.confirm(&id, &other, &origin);
            link.map(Some).ok_or_else(|| Errors::one("contact", "has too many contacts and addresses together with this one").into())
        },
        &[&other],
    )
    .await
}

/// Unlinks a contact from another one, or moves one of its addresses to a contact of its own.
///
/// The two are never linked again by themselves. Threads that were merged stay merged. An open interaction whose
/// answers would go to the other customer goes on with an address of its own contact. If the contacts are also linked
/// through a third one, they are separate only once that link is cut too.
#[utoipa::path(post, path = "/contacts/{id}/unlink", tag = "contacts", params(("id" = String, Path)), request_body = UnlinkInput,
    responses((status = 200, description = "The links of the contact.", body = Listed<LinkView>), WriteRefusals))]
pub(crate) async fn unlink_contact(
    State(app): State<App>,
    Overseer(by): Overseer,
    Id(id): Id<ContactId>,
    JsonBody(body): JsonBody,
) -> Result<Listed<LinkView>, ApiError> {
    let input = UnlinkInput::parse(body)?;
    known(&app, &id).await?;
    let cut = Cut { by: who(&app, &by).await?, at: cloud::time::now() };
    let new = ContactId::from_ulid(cloud::ids::ulid());
    change(
        &app,
        &by,
        &id,
        |people| {
            let (field, from) = match &input {
                UnlinkInput::Contact(other) => ("contact", Some(Tied::Contact { contact: other.clone() })),
                UnlinkInput::Address(address) => {
                    let place = people.get(&id).and_then(|contact| contact.places().find(|place| place.address == *address));
                    (if address.phone().is_some() { "phone" } else { "user_id" }, place.map(|place| Tied::Address { place }))
                }
            };
            let link = from.and_then(|from| people.part(&id, &from, &cut, new.clone()));
            link.map(Some).ok_or_else(|| Errors::one(field, "is not linked with this contact, or is its only address").into())
        },
        &[&new],
    )
    .await
}

async fn who(app: &App, by: &Caller) -> Result<String, ApiError> {
    Ok(by.agent(app).await?.map_or_else(|| by.subject.clone(), |agent| agent.to_string()))
}

/// Decides on the present links and writes the result, until no message of the customer interferes.
async fn change(
    app: &App,
    by: &Caller,
    id: &ContactId,
    decide: impl Fn(People) -> Result<Option<Link>, ApiError>,
    others: &[&ContactId],
) -> Result<Listed<LinkView>, ApiError> {
    for _ in 0..ATTEMPTS {
        let mut ids = BTreeSet::from([id.clone()]);
        for other in others {
            let there = app.engine.store.contact(other).await?.filter(|contact| contact.erased.is_none());
            ids.extend(there.map(|contact| contact.id));
        }
        let people = app.engine.people(ids).await?;
        let before = people.get(id).cloned();
        let Some(link) = decide(people)? else { return listed(app, id).await };
        let after = link.contacts.iter().find(|contact| contact.id == *id);
        let entry = told(app, by, before.as_ref(), after).await?;
        if app.engine.store.link_told(&link, entry.as_ref()).await? != Committed::Done {
            continue;
        }
        changed("contact", "linked", id.as_str(), by);
        // At once, so that the next answer does not go to the wrong customer. The link's own effect does it again.
        for contact in std::iter::once(id).chain(others.iter().copied()) {
            if let Err(error) = app.engine.unify(contact, None).await {
                tracing::warn!(event = "admin.unify_later", contact = contact.as_str(), %error);
            }
        }
        return listed(app, id).await;
    }
    Err(Error::Changed.into())
}

/// The audit entry: that the links changed, without data about the customer.
async fn told(app: &App, by: &Caller, before: Option<&Contact>, after: Option<&Contact>) -> Result<Option<Entry>, ApiError> {
    let (Some(before), Some(after)) = (before, after) else { return Ok(None) };
    let links = |contact: &Contact| json!({"links": contact.version});
    let shows = Shows { ignored: &[], hidden: &|_| true, names_only: true };
    let subject = Subject { kind: "contact", id: after.id.as_str(), versions: (Some(before.version), Some(after.version)) };
    Ok(Trail::of(app, by, subject, &links(before), &links(after), &shows).await?.entry(&[]))
}
