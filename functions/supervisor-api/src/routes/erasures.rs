//! Erasures: everything of a customer.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{Caller, Error, Id, Owner};
use audit::Action;
use axum::Json;
use domain::account::DeletedAccount;
use domain::contact::Contact;
use domain::ids::{AccountId, ContactId};
use domain::job::{Job, State, Task};
use domain::seek::{Matching, Seek};
use engine::ports::{Directory, Store};
use http::StatusCode;
use serde_json::json;
use store::Erased;

use super::jobs::JobView;
use crate::app::App;
use crate::error::Failure;

/// How often an erasure is tried if a contact changes at the same instant.
const ATTEMPTS: u32 = 5;

/// How many interactions are asked at once whether somebody holds them.
const PAGE: usize = 500;

/// Erases a contact, with all contacts that are linked with it.
///
/// From the answer on no address leads to them: whoever writes again is a new contact. The answer is a job that
/// deletes all of their interactions (open ones are closed), every export that may hold them, and at last the
/// contacts. It is done a quarter of an hour later, after a second look for what was on its way, and is not cancelled.
/// A repetition is answered with the same job; one that was given up begins anew. 409 `held`: an owner holds the
/// contact, one that is linked with it, or one of their interactions.
#[utoipa::path(
    post, path = "/contacts/{id}/erase", operation_id = "erase_contact", tag = "deletions",
    params(("id" = String, Path, description = "The contact's id")),
    responses((status = ACCEPTED, body = JobView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn erase(
    axum::extract::State(app): axum::extract::State<Arc<App>>,
    Owner(caller): Owner,
    Id(id): Id<ContactId>,
) -> Result<(StatusCode, Json<JobView>), Failure> {
    for _ in 0..ATTEMPTS {
        let contact = app.store().contact(&id).await?.ok_or(Error::NotFound)?;
        if let Some(job) = &contact.erased {
            let job = app.again(&caller, &id, app.store().job(job).await?).await?;
            return Ok((StatusCode::ACCEPTED, Json(job.into())));
        }
        let people = app.desk.engine.people(BTreeSet::from([id.clone()])).await.map_err(desk::Failure::from)?;
        let contacts: Vec<&Contact> = people.contacts().collect();
        let ids: Vec<ContactId> = contacts.iter().map(|contact| contact.id.clone()).collect();
        if app.holds_any_of(&ids).await? {
            return Err(Failure::Held);
        }
        let job = app.erasing(&caller, ids.clone()).await?;
        let entry = app.entry(&job.by, Action::Deleted, "contact", id.as_str(), &json!({"contacts": ids, "job": job.id}));
        match app.store().erase(&contacts, &job, &entry).await? {
            Erased::Done => {
                app.begin(&job).await;
                return Ok((StatusCode::ACCEPTED, Json(job.into())));
            }
            Erased::Held => return Err(Failure::Held),
            Erased::Changed => {}
        }
    }
    Err(desk::Failure::Busy.into())
}

impl App {
    /// A job that erases these contacts, not written yet.
    async fn erasing(&self, caller: &Caller, contacts: Vec<ContactId>) -> Result<Job, Failure> {
        let mut job = self.ordered(caller, Task::Erase { contacts: contacts.clone() }, 0).await?;
        job.place.seek = Some(Seek::of(Matching::Contacts { contacts }));
        Ok(job)
    }

    /// The job of an erasure that was ordered: `before`, or another one for the rest if that was given up.
    async fn again(&self, caller: &Caller, id: &ContactId, before: Option<Job>) -> Result<Job, Failure> {
        let contacts = match before {
            Some(job) if job.state != State::Failed => return Ok(job),
            Some(Job { task: Task::Erase { contacts }, .. }) => contacts,
            _ => vec![id.clone()],
        };
        let job = self.erasing(caller, contacts).await?;
        let entry = self.entry(&job.by, Action::Deleted, "contact", id.as_str(), &json!({"job": job.id}));
        self.store().add_job(&job, Some(&entry)).await?;
        self.begin(&job).await;
        Ok(job)
    }

    /// Whether an owner holds an interaction of these contacts.
    async fn holds_any_of(&self, contacts: &[ContactId]) -> Result<bool, Failure> {
        let deleted = self.desk.directory().all::<DeletedAccount>().await?;
        let mut accounts: BTreeSet<AccountId> = deleted.into_iter().map(|(deleted, _)| deleted.id).collect();
        accounts.extend(self.desk.directory().accounts().await?.iter().map(|account| account.id.clone()));
        for account in &accounts {
            let mut before = None;
            loop {
                let (interactions, next) = self.store().of_contacts(account, contacts, before.as_ref(), PAGE).await?;
                if self.store().holds_any(&interactions).await? {
                    return Ok(true);
                }
                match next {
                    Some(next) => before = Some(next),
                    None => break,
                }
            }
        }
        Ok(false)
    }
}
