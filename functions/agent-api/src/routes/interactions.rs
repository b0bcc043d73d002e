//! Interactions: the caller's own, those offered to the caller, and the actions on them.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{AgentCaller, Command, FromPath};
use axum::Json;
use axum::extract::State;
use desk::Failure;
use desk::interactions::tell;
use domain::decide::Event;
use domain::effect::Target;
use domain::interaction::Interaction;
use domain::notification::Notification;
use engine::ports::{Directory, Store};
use futures_util::future::{try_join, try_join_all};
use search::{ListEntry, entries};
use serde::Serialize;
use utoipa::ToSchema;
use views::InteractionView;

use super::Named;
use crate::app::App;
use crate::offers::{Beholder, Memberships};

/// The caller's work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mine {
    /// The caller's open interactions with their latest messages, oldest first.
    interactions: Vec<ListEntry>,
    /// The interactions that are offered to the caller, oldest first. These include the caller's own interactions
    /// that wait for the caller to return. The others appear only while the caller is ready and has a free slot.
    offers: Vec<Offered>,
    /// The number of the last event before all this was read: `after` of the events that follow.
    seq: u64,
}

/// An interaction with its offer to the caller.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Offered {
    #[serde(flatten)]
    interaction: InteractionView,
    /// The data for the screen and the alert, as in the pushed offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notification>,
    /// The queue that the offer comes from, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Named>,
}

/// Lists the caller's interactions and offers.
#[utoipa::path(get, path = "/interactions", operation_id = "list_own_interactions", tag = "interactions", responses((status = OK, body = Mine)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<Mine>, Failure> {
    let agent = &caller.agent;
    // The number first: what happens meanwhile comes twice, and never not at all.
    let seq = app.store().last_event(agent, app.now()).await?;
    let (presences, memberships) =
        try_join(async { Ok(app.store().presences(std::slice::from_ref(agent)).await?) }, memberships(&app, &caller)).await?;
    let beholder = Beholder { agent, presence: presences.get(agent), memberships: &memberships, now: app.now() };
    let mut wanted: BTreeSet<_> = beholder.load().chain(beholder.ringing()).cloned().collect();
    if beholder.available() {
        let queues: Vec<Target> = memberships.queues.iter().cloned().map(Target::Queue).collect();
        let rows = try_join_all(queues.iter().map(|queue| app.store().waiting(queue))).await?;
        wanted.extend(rows.into_iter().flatten().filter(|row| beholder.sees_row(row)).map(|row| row.interaction.interaction));
    }
    let mut found = match wanted.is_empty() {
        true => Vec::new(),
        false => app.store().interactions(&wanted.into_iter().collect::<Vec<_>>()).await?,
    };
    // Ids sort by time.
    found.sort_by(|a, b| a.id.cmp(&b.id));
    let mut offers = Vec::new();
    for offered in found.iter().filter(|found| beholder.is_offered(found)) {
        offers.push(Offered {
            interaction: offered.into(),
            notification: app.desk.engine.notification(offered).await?,
            queue: offering_queue(&app, offered).await?,
        });
    }
    let own = found.into_iter().filter(|found| beholder.has(found)).collect();
    // The account of an open interaction is there.
    Ok(Json(Mine { interactions: entries(app.store(), own, |_| true).await?, offers, seq }))
}

/// The queue that an offer comes from.
async fn offering_queue(app: &App, interaction: &Interaction) -> Result<Option<Named>, Failure> {
    let Some(Target::Queue(id)) = interaction.offer().map(|offer| &offer.target) else { return Ok(None) };
    let queue = app.directory().queue(id).await?;
    Ok(queue.map(|queue| Named { id: queue.id.to_string(), name: queue.name }))
}

async fn memberships(app: &App, caller: &AgentCaller) -> Result<Memberships, Failure> {
    let (accounts, queues) = try_join(app.directory().accounts(), app.directory().queues()).await?;
    let accounts = accounts.iter().filter(|account| account.agents.contains(&caller.agent)).map(|account| account.id.clone());
    let queues = queues.values().filter(|queue| queue.members.contains(&caller.agent)).map(|queue| queue.id.clone());
    Ok(Memberships { accounts: accounts.collect(), queues: queues.collect() })
}

/// Accepts an offer.
///
/// Exactly one caller wins. The others get 409 `offer-gone` with the winner in `owner` and `owner_name`. A caller who
/// already has the interaction gets it again.
#[utoipa::path(
    post, path = "/interactions/{id}/accept", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn accept(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app.desk, &command, &id, Event::Accept { agent }).await
}

/// Rejects an offer.
///
/// The interaction is not offered to the caller again during this wait.
#[utoipa::path(
    post, path = "/interactions/{id}/reject", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn reject(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app.desk, &command, &id, Event::Reject { agent }).await
}

/// Opens the tab of one of the caller's interactions.
///
/// This marks the interaction as read. If it was waiting for the caller to return, it no longer waits.
#[utoipa::path(
    put, path = "/interactions/{id}/tab", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn open_tab(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app.desk, &command, &id, Event::OpenTab { agent }).await
}

/// Closes the tab of one of the caller's interactions.
///
/// The interaction stays with the caller.
#[utoipa::path(
    delete, path = "/interactions/{id}/tab", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn close_tab(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    tell(&app.desk, &command, &id, Event::CloseTab { agent }).await
}
