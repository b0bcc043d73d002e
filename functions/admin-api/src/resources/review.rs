//! Links without a recorded origin, over all contacts: a version that kept no origins made them, perhaps without
//! proof.

use std::collections::BTreeSet;

use api::{Errors, Overseer, Parameters};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::account::Account;
use domain::contact::{Contact, Origin};
use domain::ids::ContactId;
use serde::Serialize;
use utoipa::ToSchema;

use super::links::{LinkView, views};
use crate::app::App;
use crate::error::ApiError;
use crate::openapi::Refusals;

/// How many megabytes of the table a request reads. Each takes a few tens of milliseconds, so this is a second or two
/// of the API's thirty, and some 2,500 read units at most.
const PARTS: usize = 20;

/// A link whose origin nobody recorded.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnexplainedLink)]
pub(crate) struct UnexplainedView {
    /// The contact that has the link. `POST /contacts/{id}/unlink` with this id cuts it, `POST /contacts/{id}/links`
    /// confirms one with another contact.
    of: ContactId,
    /// The link.
    link: LinkView,
}

/// A page of links without a recorded origin.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = LinkReview)]
pub(crate) struct Review {
    /// The links. Each link of two contacts is listed with the newer one.
    items: Vec<UnexplainedView>,
    /// How many contacts this request looked at.
    scanned: usize,
    /// Send this as `after` to go on. Absent: all contacts were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Lists links without a recorded origin, for review.
///
/// A version that kept no origins made them, and they hold for all accounts. `GET /contacts/{id}/links` shows them
/// with the origin `before`. Cut the wrong ones and confirm the right ones: either takes a link of two contacts off
/// this list. There is no order, and contacts are looked for in the whole table: a page may have no links, or a few
/// more than `limit`, and still have a `next`.
#[utoipa::path(get, path = "/links", tag = "contacts", params(api::PageParams),
    responses((status = 200, description = "A page.", body = Review), Refusals))]
pub(crate) async fn review_links(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Json<Review>, ApiError> {
    let limit = usize::try_from(parameters.limit(50, 100)?).unwrap_or_default();
    let mut after = parameters.get("after").map(read).transpose()?;
    let accounts: Vec<Account> = app.configuration().all::<Account>().await?.into_iter().map(|(account, _)| account).collect();
    let mut review = Review::default();
    for _ in 0..PARTS {
        let part = app.engine.store.scan_contacts(after.as_deref()).await?;
        for contact in part.contacts {
            review.scanned += 1;
            review.items.extend(unexplained(&app, &contact, &accounts).await?);
            if review.items.len() >= limit {
                review.next = Some(URL_SAFE_NO_PAD.encode(store::after_contact(&contact.id)));
                return Ok(Json(review));
            }
        }
        after = part.next;
        if after.is_none() {
            break;
        }
    }
    review.next = after.map(|after| URL_SAFE_NO_PAD.encode(after));
    Ok(Json(review))
}

/// The place in the table that `next` named. It is encoded because it may be a customer's phone number.
fn read(after: &str) -> Result<String, Errors> {
    let bytes = URL_SAFE_NO_PAD.decode(after).ok();
    let place = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|place| store::is_place(place));
    place.ok_or_else(|| Errors::one("after", "must be what the page before gave as next"))
}

async fn unexplained(app: &App, contact: &Contact, accounts: &[Account]) -> Result<Vec<UnexplainedView>, ApiError> {
    if !may_have_old_links(contact) {
        return Ok(Vec::new());
    }
    let people = app.engine.people(BTreeSet::from([contact.id.clone()])).await?;
    let old = views(&people, &contact.id, accounts).into_iter().filter(|link| link.is_unexplained_of(&contact.id));
    Ok(old.map(|link| UnexplainedView { of: contact.id.clone(), link }).collect())
}

/// Whether it is worth to read the contacts that this one is linked with.
fn may_have_old_links(contact: &Contact) -> bool {
    let old = contact.ties.iter().any(|tie| tie.origin == Origin::Before && tie.cut.is_none());
    old || contact.linked_to.is_some() || contact.addresses.len() > 1
}
