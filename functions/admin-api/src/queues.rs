//! Queues.

use api::Error;
use std::collections::BTreeSet;

use axum::extract::State;
use domain::account::Account;
use domain::agent::Agent;
use domain::effect::Target;
use domain::ids::{AgentId, QueueId};
use domain::queue::{MissedLimit, Queue, Strategy, Weight};
use domain::values::Seconds;
use engine::ports::Store;
use http::StatusCode;
use serde::Serialize;
use store::{Extra, Write};
use utoipa::ToSchema;

use crate::app::{App, changed, owed, settled};
use crate::error::ApiError;
use crate::input::{QueueInput, known_members};
use crate::openapi::{PageParams, Refusals, WriteRefusals};
use crate::reply::{Listed, Versioned};
use crate::request::{Administrator, Body, Id, IfMatch, Overseer, Page, Parameters};

/// A queue of agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// Its id.
    #[schema(value_type = String)]
    id: QueueId,
    /// Shown to agents.
    name: String,
    /// `beepall`, `rrmemory` or `least_recent`.
    #[schema(value_type = String)]
    strategy: Strategy,
    /// Seconds.
    #[schema(value_type = i64)]
    agent_timeout: Seconds,
    /// 0 to 10.
    #[schema(value_type = i64)]
    weight: Weight,
    /// After how many offers missed in a row an agent is paused; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pause_after_missed: Option<MissedLimit>,
    /// Ids of agents, in the order in which `rrmemory` goes through them.
    #[schema(value_type = Vec<String>)]
    members: Vec<AgentId>,
    /// Grows with every change; the `ETag`.
    version: u64,
}

fn view(queue: Queue, version: u64) -> QueueView {
    let Queue { id, name, strategy, agent_timeout, weight, pause_after_missed, members } = queue;
    QueueView { id, name, strategy, agent_timeout, weight, pause_after_missed, members, version }
}

fn queue_of(id: QueueId, input: QueueInput) -> Queue {
    let QueueInput { name, strategy, agent_timeout, weight, pause_after_missed, members } = input;
    Queue { id, name, strategy, agent_timeout, weight, pause_after_missed, members }
}

/// Writes a queue; fails when a member is not there.
async fn checked(app: &App, queue: &Queue, write: Write<'_, Queue>, extra: &[Extra]) -> Result<u64, ApiError> {
    let (configuration, mut attempts) = (app.configuration(), app.attempts());
    loop {
        let at = attempts.next().await?;
        if !queue.members.is_empty() {
            let agents: BTreeSet<AgentId> = configuration.all::<Agent>().await?.into_iter().map(|(agent, _)| agent.id).collect();
            known_members(&queue.members, &agents)?;
        }
        if let Some(version) = settled(configuration.put_at(at, queue, &write, extra).await?)? {
            return Ok(version);
        }
    }
}

/// Makes a queue.
///
/// Names need not be unique: a POST that is repeated makes a second queue.
#[utoipa::path(post, path = "/queues", tag = "queues", request_body = QueueInput,
    responses((status = 201, description = "Made.", body = QueueView, headers(("ETag" = String), ("Location" = String))), WriteRefusals))]
pub(crate) async fn create_queue(
    State(app): State<App>,
    Administrator(by): Administrator,
    Body(body): Body,
) -> Result<Versioned<QueueView>, ApiError> {
    let queue = queue_of(QueueId::from_ulid(cloud::ids::ulid()), QueueInput::parse(body, None)?);
    let version = checked(&app, &queue, Write::New, &[]).await?;
    changed("queue", "created", queue.id.as_str(), &by);
    let place = app.place("queues", queue.id.as_str());
    Ok(Versioned::made(view(queue, version), place))
}

/// The queues. Supervisors may read them too.
#[utoipa::path(get, path = "/queues", tag = "queues", params(PageParams),
    responses((status = 200, description = "A page.", body = Listed<QueueView>), Refusals))]
pub(crate) async fn list_queues(State(app): State<App>, _: Overseer, parameters: Parameters) -> Result<Listed<QueueView>, ApiError> {
    app.list(&Page::of::<QueueId>(&parameters)?, view).await
}

/// One queue. Supervisors may read it too.
#[utoipa::path(get, path = "/queues/{id}", tag = "queues", params(("id" = String, Path)),
    responses((status = 200, description = "It.", body = QueueView, headers(("ETag" = String))), Refusals))]
pub(crate) async fn get_queue(State(app): State<App>, _: Overseer, Id(id): Id<QueueId>) -> Result<Versioned<QueueView>, ApiError> {
    let (queue, version) = app.load::<Queue>(id.as_str()).await?;
    Ok(Versioned::new(view(queue, version), version))
}

/// Whose waiting interactions may have somebody else to be offered to.
fn to_wake(before: &Queue, after: &Queue) -> Vec<Target> {
    if (&before.members, before.strategy, before.weight) == (&after.members, after.strategy, after.weight) {
        return Vec::new();
    }
    // Whoever left is free for the other queues, which may have left them to this one; at whoever came rings what rings at all of it.
    let left = before.members.iter().filter(|agent| !after.members.contains(agent));
    let came = after.members.iter().filter(|agent| !before.members.contains(agent));
    left.chain(came).cloned().map(Target::Agent).chain([Target::Queue(after.id.clone())]).collect()
}

/// Replaces a queue. What waits for it is looked at again.
#[utoipa::path(put, path = "/queues/{id}", tag = "queues", params(("id" = String, Path), ("If-Match" = String, Header)),
    request_body = QueueInput,
    responses((status = 200, description = "Replaced.", body = QueueView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_queue(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<QueueId>,
    condition: IfMatch,
    Body(body): Body,
) -> Result<Versioned<QueueView>, ApiError> {
    let (before, version) = app.load::<Queue>(id.as_str()).await?;
    condition.check(version)?;
    let shown = serde_json::to_value(view(before.clone(), version)).map_err(|_| Error::Encode)?;
    let queue = queue_of(id, QueueInput::parse(body, Some(&shown))?);
    let owed = owed(to_wake(&before, &queue));
    let extra: Vec<Extra> = owed.iter().cloned().map(Extra::Wakes).collect();
    let version = checked(&app, &queue, Write::Replace { before: &before, version }, &extra).await?;
    changed("queue", "replaced", queue.id.as_str(), &by);
    app.wake(owed).await;
    Ok(Versioned::new(view(queue, version), version))
}

/// Deletes a queue. Refused (409, `in-use`) while an account's plan has it or an interaction waits for it.
#[utoipa::path(delete, path = "/queues/{id}", tag = "queues", params(("id" = String, Path), ("If-Match" = String, Header)),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_queue(
    State(app): State<App>,
    Administrator(by): Administrator,
    Id(id): Id<QueueId>,
    condition: IfMatch,
) -> Result<StatusCode, ApiError> {
    let (queue, version) = app.load::<Queue>(id.as_str()).await?;
    condition.check(version)?;
    let mut attempts = app.attempts();
    loop {
        let at = attempts.next().await?;
        let users = users(&app, &id).await?;
        if !users.is_empty() {
            return Err(ApiError::InUse { users });
        }
        if settled(app.configuration().delete_at(at, &queue, version).await?)?.is_some() {
            break;
        }
    }
    changed("queue", "deleted", id.as_str(), &by);
    Ok(StatusCode::NO_CONTENT)
}

/// Accounts whose plan has the queue, and interactions that wait for it: without it nobody would be offered them.
async fn users(app: &App, id: &QueueId) -> Result<Vec<String>, ApiError> {
    let has_it = |account: &Account| account.plan.queues().any(|queue| queue == id);
    let accounts = app.configuration().all::<Account>().await?;
    let accounts = accounts.iter().filter(|(account, _)| has_it(account)).map(|(account, _)| format!("account:{}", account.key));
    let waiting = app.engine.store.waiting(&Target::Queue(id.clone())).await?;
    Ok(accounts.chain(waiting.iter().map(|row| format!("interaction:{}", row.interaction.interaction))).collect())
}
