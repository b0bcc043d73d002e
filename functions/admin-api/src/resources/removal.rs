//! Deleting a contact.

use api::{Administrator, Error, Id, IfMatch};
use audit::{Shows, Subject};
use axum::extract::State;
use domain::account::{Account, DeletedAccount};
use domain::effect::ConversationKey;
use domain::ids::{AccountId, ContactId};
use engine::ports::Store;
use futures_util::future::try_join_all;
use http::StatusCode;
use serde_json::{Value, json};
use store::Removed;

use crate::app::{App, changed};
use crate::error::ApiError;
use crate::openapi::WriteRefusals;
use crate::trail::Trail;

/// How many conversations are looked at at the same time.
const AT_ONCE: usize = 16;

/// Deletes a contact that has no interactions.
///
/// It is off all lists, its addresses lead nowhere, and a customer who writes again is a new contact. 409
/// `has-interactions`: it has some, also closed ones; delete them first. `linked`: it is one customer with other
/// contacts; unlink them first. `held`: an owner keeps it.
#[utoipa::path(delete, path = "/contacts/{id}", tag = "contacts", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_contact(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<ContactId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let store = &app.engine.store;
    let contact = store.contact(&id).await?.ok_or(Error::NotFound)?;
    condition.check(contact.version)?;
    let is_tied = contact.ties.iter().any(|tie| tie.cut.is_none() && matches!(tie.to, domain::contact::Tied::Contact { .. }));
    if is_tied || contact.linked_to.is_some() || !contact.linked.is_empty() {
        return Err(ApiError::Linked);
    }
    let mut accounts: Vec<AccountId> = app.configuration().all::<Account>().await?.into_iter().map(|(account, _)| account.id).collect();
    accounts.extend(app.configuration().all::<DeletedAccount>().await?.into_iter().map(|(deleted, _)| deleted.id));
    for some in accounts.chunks(AT_ONCE) {
        let keys: Vec<_> = some.iter().map(|account| ConversationKey { account: account.clone(), contact: id.clone() }).collect();
        let conversations = try_join_all(keys.iter().map(|key| store.conversation(key))).await?;
        if conversations.iter().any(|conversation| conversation.open.is_some() || conversation.latest.is_some()) {
            return Err(ApiError::HasInteractions);
        }
    }
    // The entry names the addresses' fields, and nothing of the customer.
    let shows = Shows { ignored: &[], hidden: &|_| true, names_only: true };
    let subject = Subject { kind: "contact", id: id.as_str(), versions: (Some(contact.version), None) };
    let had = json!({"phones": contact.addresses.len(), "user_ids": contact.user_ids.len()});
    let entry = Trail::of(&app, &by, subject, &had, &Value::Null, &shows).await?.entry(&[]).ok_or(Error::Encode)?;
    match store.delete_contact(&contact, &accounts, &entry).await? {
        Removed::Done => {}
        Removed::HasInteractions => return Err(ApiError::HasInteractions),
        Removed::Held => return Err(ApiError::Held),
        Removed::Changed => return Err(Error::Changed.into()),
    }
    changed("contact", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}
