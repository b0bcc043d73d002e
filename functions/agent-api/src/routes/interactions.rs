//! Interactions: what the agent has, what is offered, and what the agent does with it.

use std::collections::BTreeSet;
use std::sync::Arc;

use api::{AgentCaller, Body, Command, Error, FromPath, Listed, Parameters};
use axum::Json;
use axum::extract::State;
use domain::catalog::disposition_path;
use domain::decide::{Event, Refusal};
use domain::effect::Target;
use domain::history::HistoryEntry;
use domain::interaction::Interaction;
use domain::message::ApprovedTemplate;
use domain::notification::Notification;
use engine::Told;
use engine::ports::{Directory, Store};
use futures_util::future::{try_join, try_join_all};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use views::InteractionView;

use super::Named;
use crate::app::App;
use crate::offers::{Beholder, Memberships};
use crate::problem::{Failure, Refused, owner};

/// Decisions on a page of the history; most interactions have fewer in all.
const HISTORY: i32 = 100;
/// A decision has a few kilobytes at most: a page stays far below the 6 MB that a Lambda may answer.
const LONGEST_HISTORY: i32 = 200;

/// What the caller has to do with.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mine {
    /// The caller's open interactions, the oldest first.
    interactions: Vec<InteractionView>,
    /// The interactions with an offer that the caller sees, the oldest first: own ones that wait for the caller to come back, and, while the caller is
    /// ready and has a free slot, others.
    offers: Vec<Offered>,
}

/// An interaction with the offer that the caller sees.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Offered {
    #[serde(flatten)]
    interaction: InteractionView,
    /// What the screen shows, and how it makes itself noticed: as in the pushed offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notification>,
    /// The queue on whose behalf it is offered, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<Named>,
}

/// How an interaction is closed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closing {
    /// One of the account's dispositions or of the general ones, up to three levels with `/` between them; any text of 1 to 100 characters when there are none.
    disposition: Option<String>,
}

/// The caller's interactions and offers.
#[utoipa::path(get, path = "/interactions", operation_id = "list_own_interactions", tag = "interactions", responses((status = OK, body = Mine)))]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<Json<Mine>, Failure> {
    let agent = &caller.agent;
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
            notification: app.engine.notification(offered).await?,
            queue: offering_queue(&app, offered).await?,
        });
    }
    Ok(Json(Mine { interactions: found.iter().filter(|found| beholder.has(found)).map(InteractionView::from).collect(), offers }))
}

/// The queue on whose behalf an interaction is offered.
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

/// One interaction of the caller's accounts; supervisors and up read all.
#[utoipa::path(
    get, path = "/interactions/{id}", operation_id = "get_interaction", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn read(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let place = app.locate(&caller, &id).await?;
    let interaction = app.store().interaction(&place.key).await?.ok_or(Error::NotFound)?;
    Ok(Json((&interaction).into()))
}

/// Every routing decision about an interaction: which step of which plan, who was considered, why not others, what a condition found, what was skipped.
#[utoipa::path(
    get, path = "/interactions/{id}/history", tag = "interactions",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("after" = Option<u64>, Query, description = "`next` of the page before"),
        ("limit" = Option<u32>, Query, description = "Decisions a page: 1 to 200, 100 unless told")
    ),
    responses((status = OK, body = Listed<HistoryEntry>, description = "The oldest first; one entry a decision."), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn history(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<HistoryEntry>, Failure> {
    let place = app.locate(&caller, &id).await?;
    let (after, limit) = (parameters.number("after")?, parameters.limit(HISTORY, LONGEST_HISTORY)?);
    let (items, next) = app.store().history_page(&place.key, after, limit).await?;
    Ok(Listed { items, next: next.map(|next| next.to_string()) })
}

/// Accepts the offer: one caller wins, the others are told who (409 `offer-gone` with `owner` and `owner_name`). Whoever has it already gets it again.
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
    tell(&app, &command, &id, Event::Accept { agent }).await
}

/// Rejects the offer; the caller is passed over for the rest of this wait.
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
    tell(&app, &command, &id, Event::Reject { agent }).await
}

/// Opens the tab of an own interaction: it is read, and what waited for the caller waits no more.
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
    tell(&app, &command, &id, Event::OpenTab { agent }).await
}

/// Closes the tab of an own interaction; the interaction stays the caller's.
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
    tell(&app, &command, &id, Event::CloseTab { agent }).await
}

/// Closes an own interaction; supervisors and up close any. Where a disposition is mandatory and the account has a pause for it, a request without one puts the
/// caller on that pause (`wrap_up_since`) until the interaction is closed with one; without a pause it is refused (422).
#[utoipa::path(
    post, path = "/interactions/{id}/close", tag = "interactions", request_body = Closing,
    params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn close(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(closing): Body<Closing>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    let disposition = closing.disposition.map(|text| disposition_path(&text).map_err(|invalid| Failure::field("disposition", invalid.0)));
    let disposition = disposition.transpose()?;
    let by = agent.clone();
    match tell(&app, &command, &id, Event::Close { agent, disposition: disposition.clone() }).await {
        Err(Failure::Refused(refused)) if command.caller.oversees() && matches!(refused.refusal, Refusal::NotYours { .. }) => {
            tell(&app, &command, &id, Event::CloseForAll { by, disposition }).await
        }
        outcome => outcome,
    }
}

pub(crate) async fn tell(app: &App, command: &Command, id: &str, event: Event) -> Result<Json<InteractionView>, Failure> {
    let place = app.locate(&command.caller, id).await?;
    let told = app.engine.tell_based_on(&place.key, event, command.mark(), command.version).await?;
    let done = settle(app, command, told).await?;
    Ok(Json(done.interaction().into()))
}

/// What became of a command that was carried out, now or before.
#[derive(Debug)]
pub(crate) enum Done {
    /// Now; a message that came with it.
    Now(Box<Interaction>, Option<Box<domain::message::Message>>),
    /// Before; what it made.
    Before(Box<Interaction>, Option<String>),
}

impl Done {
    fn interaction(&self) -> &Interaction {
        match self {
            Done::Now(interaction, _) | Done::Before(interaction, _) => interaction,
        }
    }
}

/// What the engine's word means for the caller.
///
/// A repetition may be refused because of what the first time changed (closed is closed): the mark of the first time says so.
pub(crate) async fn settle(app: &App, command: &Command, told: Told) -> Result<Done, Failure> {
    match told {
        Told::Changed { interaction, message } => Ok(Done::Now(interaction, message)),
        Told::AlreadyDone(interaction) => Ok(Done::Before(interaction, app.earlier(command).await?)),
        // What is so already is done.
        Told::Refused(Refusal::AlreadyYours | Refusal::NothingToDo, interaction) => Ok(Done::Now(interaction, None)),
        Told::Refused(refusal, interaction) => {
            if let Some(made) = app.earlier(command).await? {
                return Ok(Done::Before(interaction, Some(made)));
            }
            Err(refused(app, refusal, Some(*interaction)).await?)
        }
    }
}

/// A refusal with what the caller may want to know of it.
pub(crate) async fn refused(app: &App, refusal: Refusal, interaction: Option<Interaction>) -> Result<Failure, Failure> {
    let owner_name = match owner(&refusal) {
        Some(owner) => app.agent(owner).await?.map(|agent| agent.name),
        None => None,
    };
    let recontact = match (&refusal, &interaction) {
        (Refusal::WindowExpired, Some(interaction)) => recontact(app, interaction).await?,
        _ => None,
    };
    Ok(Failure::Refused(Box::new(Refused { refusal, interaction, owner_name, recontact })))
}

/// The account's recontact template, as it would be sent to the customer of this interaction.
pub(crate) async fn recontact(app: &App, interaction: &Interaction) -> Result<Option<ApprovedTemplate>, Failure> {
    let Some(account) = app.directory().account(&interaction.account).await? else { return Ok(None) };
    Ok(app.engine.recontact(&account, interaction.customer_name.as_ref(), &interaction.address).await?)
}
