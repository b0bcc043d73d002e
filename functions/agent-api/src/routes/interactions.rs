//! Interactions: the caller's own, those offered to the caller, and the actions on them.

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
use domain::template::Misfit;
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

/// Decisions on a page of the history. Most interactions have fewer in total.
const HISTORY: i32 = 100;
/// A decision takes a few kilobytes at most, so a page stays far below the 6 MB limit of a Lambda response.
const LONGEST_HISTORY: i32 = 200;

/// The caller's work.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mine {
    /// The caller's open interactions, oldest first.
    interactions: Vec<InteractionView>,
    /// The interactions that are offered to the caller, oldest first. These include the caller's own interactions
    /// that wait for the caller to return. The others appear only while the caller is ready and has a free slot.
    offers: Vec<Offered>,
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

/// How to close an interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Closing {
    /// One of the account's dispositions or of the general ones, with up to three levels separated by `/`. If none
    /// are configured: any text of 1 to 100 characters.
    disposition: Option<String>,
}

/// Lists the caller's interactions and offers.
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

/// Returns one interaction.
///
/// Agents may read those of the accounts they belong to. Supervisors, admins and owners may read all.
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

/// Lists the routing decisions about an interaction.
///
/// Each entry shows the plan and the step, the agents considered, why others were not, the result of a condition, and
/// skipped steps.
#[utoipa::path(
    get, path = "/interactions/{id}/history", tag = "interactions",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("after" = Option<u64>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "Decisions per page: 1 to 200; the default is 100")
    ),
    responses((status = OK, body = Listed<HistoryEntry>, description = "One entry per decision, oldest first."), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
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
    tell(&app, &command, &id, Event::Accept { agent }).await
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
    tell(&app, &command, &id, Event::Reject { agent }).await
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
    tell(&app, &command, &id, Event::OpenTab { agent }).await
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
    tell(&app, &command, &id, Event::CloseTab { agent }).await
}

/// Closes an interaction.
///
/// Agents close their own interactions. Supervisors, admins and owners may close any. An account may require a
/// disposition. If it also has a pause for this case, a request without a disposition puts the caller on that pause
/// (`wrap_up_since`) until the interaction is closed with one. Otherwise the request is refused (422).
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

/// The outcome of a command that succeeded, now or before.
#[derive(Debug)]
pub(crate) enum Done {
    /// The command ran now. It may have created a message.
    Now(Box<Interaction>, Option<Box<domain::message::Message>>),
    /// The command ran before. This is the text of what it created.
    Before(Box<Interaction>, Option<String>),
}

impl Done {
    fn interaction(&self) -> &Interaction {
        match self {
            Done::Now(interaction, _) | Done::Before(interaction, _) => interaction,
        }
    }
}

/// Translates the engine's reply for the caller.
///
/// A repeated command may be refused because of changes the first one made: a closed interaction can't be closed
/// again. The first command's idempotency mark shows this.
pub(crate) async fn settle(app: &App, command: &Command, told: Told) -> Result<Done, Failure> {
    match told {
        Told::Changed { interaction, message } => Ok(Done::Now(interaction, message)),
        Told::AlreadyDone(interaction) => Ok(Done::Before(interaction, app.earlier(command).await?)),
        // The requested state already holds.
        Told::Refused(Refusal::AlreadyYours | Refusal::NothingToDo, interaction) => Ok(Done::Now(interaction, None)),
        Told::Refused(refusal, interaction) => {
            if let Some(made) = app.earlier(command).await? {
                return Ok(Done::Before(interaction, Some(made)));
            }
            Err(refused(app, refusal, Some(*interaction)).await?)
        }
    }
}

/// A refusal with details that help the caller.
pub(crate) async fn refused(app: &App, refusal: Refusal, interaction: Option<Interaction>) -> Result<Failure, Failure> {
    let owner_name = match owner(&refusal) {
        Some(owner) => app.agent(owner).await?.map(|agent| agent.name),
        None => None,
    };
    let recontact = match (&refusal, &interaction) {
        (Refusal::WindowExpired, Some(interaction)) => recontact(app, interaction).await?.and_then(Result::ok),
        _ => None,
    };
    Ok(Failure::Refused(Box::new(Refused { refusal, interaction, owner_name, recontact })))
}

/// The account's recontact template, filled in for the customer of this interaction, or the parameters that are empty.
pub(crate) async fn recontact(app: &App, interaction: &Interaction) -> Result<Option<Result<ApprovedTemplate, Vec<Misfit>>>, Failure> {
    let Some(account) = app.directory().account(&interaction.account).await? else { return Ok(None) };
    Ok(app.engine.recontact(&account, interaction.customer_name.as_ref(), &interaction.address).await?)
}
