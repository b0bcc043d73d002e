//! One interaction: reading it and its history, closing it, and what all commands on interactions share.

use api::{Body, Command, FromPath, Listed, Parameters, Reader};
use axum::Json;
use axum::extract::State;
use domain::catalog::disposition_path;
use domain::decide::{Event, Refusal};
use domain::history::HistoryEntry;
use domain::interaction::Interaction;
use domain::message::ApprovedTemplate;
use domain::template::Misfit;
use engine::Told;
use engine::ports::Directory;
use serde::Deserialize;
use utoipa::ToSchema;
use views::InteractionView;

use crate::error::owner;
use crate::{Desk, Failure, Refused};

/// Decisions on a page of the history. Most interactions have fewer in total.
const HISTORY: i32 = 100;
/// A decision takes a few kilobytes at most, so a page stays far below the 6 MB limit of a Lambda response.
const LONGEST_HISTORY: i32 = 200;

/// How to close an interaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Closing {
    /// One of the account's dispositions or of the general ones, with up to three levels separated by `/`. If none
    /// are configured: any text of 1 to 100 characters.
    disposition: Option<String>,
}

/// Returns one interaction.
///
/// Agents may read those of the accounts they belong to. Supervisors, admins and owners may read all.
#[utoipa::path(
    get, path = "/interactions/{id}", operation_id = "get_interaction", tag = "interactions", params(("id" = String, Path, description = "The interaction's id")),
    responses((status = OK, body = InteractionView), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn read(State(desk): State<Desk>, caller: Reader, FromPath(id): FromPath<String>) -> Result<Json<InteractionView>, Failure> {
    let place = desk.locate(caller, &id).await?;
    let interaction = desk.found(&place).await?;
    let summary = desk.store().summary(&interaction).await?;
    Ok(Json(InteractionView::from(&interaction).with_summary(summary)))
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
pub async fn history(
    State(desk): State<Desk>,
    caller: Reader,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<HistoryEntry>, Failure> {
    let place = desk.locate(caller, &id).await?;
    let (after, limit) = (parameters.number("after")?, parameters.limit(HISTORY, LONGEST_HISTORY)?);
    let (items, next) = desk.store().history_page(&place.key, after, limit).await?;
    Ok(Listed { items, next: next.map(|next| next.to_string()) })
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
pub async fn close(
    State(desk): State<Desk>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(closing): Body<Closing>,
) -> Result<Json<InteractionView>, Failure> {
    let agent = command.caller.agent.clone();
    let disposition = closing.disposition.map(|text| disposition_path(&text).map_err(|invalid| Failure::field("disposition", invalid.0)));
    let disposition = disposition.transpose()?;
    let by = agent.clone();
    match tell(&desk, &command, &id, Event::Close { agent, disposition: disposition.clone() }).await {
        Err(Failure::Refused(refused)) if command.caller.oversees() && matches!(refused.refusal, Refusal::NotYours { .. }) => {
            tell(&desk, &command, &id, Event::CloseForAll { by, disposition }).await
        }
        outcome => outcome,
    }
}

/// Tells the interaction in a path about an event, and shows how it is then.
///
/// # Errors
/// The caller may not see the interaction, it refuses, or a port fails.
pub async fn tell(desk: &Desk, command: &Command, id: &str, event: Event) -> Result<Json<InteractionView>, Failure> {
    let place = desk.locate_once(&command.caller, id).await?;
    let told = match desk.engine.tell_based_on(&place.key, event, command.mark(), command.basis()).await {
        Ok(told) => told,
        Err(error) => return Err(desk.missed(&command.caller, id, error).await),
    };
    let done = settle(desk, command, told).await?;
    Ok(Json(done.interaction().into()))
}

/// The outcome of a command that succeeded, now or before.
#[derive(Debug)]
pub enum Done {
    /// The command ran now. It may have created a message.
    Now(Box<Interaction>, Option<Box<domain::message::Message>>),
    /// The command ran before. This is the text of what it created.
    Before(Box<Interaction>, Option<String>),
}

impl Done {
    /// The interaction as it is now.
    pub fn interaction(&self) -> &Interaction {
        match self {
            Done::Now(interaction, _) | Done::Before(interaction, _) => interaction,
        }
    }
}

/// Translates the engine's reply for the caller.
///
/// A repeated command may be refused because of changes the first one made: a closed interaction can't be closed
/// again. The interaction, or the first command's mark, shows this.
pub async fn settle(desk: &Desk, command: &Command, told: Told) -> Result<Done, Failure> {
    match told {
        Told::Changed { interaction, message } => Ok(Done::Now(interaction, message)),
        Told::AlreadyDone(interaction) => {
            let made = desk.earlier(command, Some(&interaction)).await?;
            Ok(Done::Before(interaction, made))
        }
        // The requested state already holds.
        Told::Refused(Refusal::AlreadyYours | Refusal::NothingToDo, interaction) => Ok(Done::Now(interaction, None)),
        Told::Refused(refusal, interaction) => {
            if let Some(made) = desk.earlier(command, Some(&interaction)).await? {
                return Ok(Done::Before(interaction, Some(made)));
            }
            Err(refused(desk, refusal, Some(*interaction)).await?)
        }
    }
}

/// A refusal with details that help the caller.
pub async fn refused(desk: &Desk, refusal: Refusal, interaction: Option<Interaction>) -> Result<Failure, Failure> {
    let owner_name = match owner(&refusal) {
        Some(owner) => desk.agent(owner).await?.map(|agent| agent.name),
        None => None,
    };
    let recontact = match (&refusal, &interaction) {
        (Refusal::WindowExpired, Some(interaction)) => recontact(desk, interaction).await?.and_then(Result::ok),
        _ => None,
    };
    Ok(Failure::Refused(Box::new(Refused { refusal, interaction, owner_name, recontact })))
}

/// The account's recontact template, filled in for the customer of this interaction, or the parameters that are empty.
pub async fn recontact(desk: &Desk, interaction: &Interaction) -> Result<Option<Result<ApprovedTemplate, Vec<Misfit>>>, Failure> {
    let Some(account) = desk.directory().account(&interaction.account).await? else { return Ok(None) };
    Ok(desk.engine.recontact(&account, interaction.customer_name.as_ref(), &interaction.address).await?)
}
