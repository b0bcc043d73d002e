//! Queues.

use std::collections::BTreeSet;

use api::{FromPath, OptionalIfMatch, Versioned};
use axum::extract::State;
use domain::account::Account;
use domain::agent::{Agent, Role};
use domain::effect::Target;
use domain::ids::{AgentId, QueueId};
use domain::queue::{MissedLimit, Queue, Strategy, Weight};
use domain::report::ServiceLevel;
use domain::screens::Screens;
use domain::values::Seconds;
use domain::wakes;
use engine::ports::Store;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::ApiError;
use crate::input::{Errors, QueueInput, known_members};
use crate::openapi::WriteRefusals;
use crate::resource::{Change, Resource, Writer, edit, put_in, take_out};
use crate::shells::shells;

/// A queue of agents.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueView {
    /// The queue's id.
    id: QueueId,
    /// The name that agents see.
    name: String,
    /// `beepall`, `rrmemory` or `least_recent`.
    strategy: Strategy,
    /// How long one agent is rung before the next, in seconds.
    #[schema(value_type = i64)]
    agent_timeout: Seconds,
    /// 0 to 10. Queues with a higher weight are served first.
    #[schema(value_type = i64)]
    weight: Weight,
    /// The number of consecutive missed offers after which an agent is paused. If absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pause_after_missed: Option<MissedLimit>,
    /// Within how many seconds its interactions are to be answered.
    #[schema(value_type = i64)]
    service_level: ServiceLevel,
    /// The ids of the agents, in the order that `rrmemory` follows.
    members: Vec<AgentId>,
    /// Increases with every change. The `ETag` has the same value.
    version: u64,
}

impl Resource for Queue {
    type Id = QueueId;
    type Input = QueueInput;
    type View = QueueView;
    const PLACE: &'static str = "queues";
    const READERS: Role = Role::Supervisor;
    const WRITERS: Role = Role::Admin;

    fn parse(body: Value, shown: Option<&Value>) -> Result<QueueInput, Errors> {
        QueueInput::parse(body, shown)
    }

    fn make(id: QueueId, input: &mut QueueInput, _: Option<&Self>) -> Result<Self, ApiError> {
        let QueueInput { name, strategy, agent_timeout, weight, pause_after_missed, service_level, members } = input;
        Ok(Self {
            id,
            name: name.clone(),
            strategy: *strategy,
            agent_timeout: *agent_timeout,
            weight: *weight,
            pause_after_missed: *pause_after_missed,
            service_level: *service_level,
            members: members.clone(),
        })
    }

    fn view(self, version: u64, _: &App) -> QueueView {
        let Self { id, name, strategy, agent_timeout, weight, pause_after_missed, service_level, members } = self;
        QueueView { id, name, strategy, agent_timeout, weight, pause_after_missed, service_level, members, version }
    }

    /// Checks that the members exist.
    async fn check(app: &App, change: &Change<'_, Self>) -> Result<(), ApiError> {
        if change.after.members.is_empty() {
            return Ok(());
        }
        let agents: BTreeSet<AgentId> = app.configuration().all::<Agent>().await?.into_iter().map(|(agent, _)| agent.id).collect();
        Ok(known_members(&change.after.members, &agents)?)
    }

    fn screens(before: Option<&Self>, after: Option<&Self>) -> Option<Screens> {
        Screens::of_queue(before, after)
    }

    /// Waiting interactions that could now be offered to another agent.
    fn wakes(before: &Self, after: &Self) -> Vec<Target> {
        wakes::of_queue(before, after).into_iter().collect()
    }

    /// Accounts whose plan uses the queue, and interactions that wait for it. Without the queue they could not be
    /// offered.
    async fn users(&self, app: &App) -> Result<Vec<String>, ApiError> {
        let has_it = |account: &Account| account.plan.queues().any(|queue| *queue == self.id);
        let mut users = app.accounts_with(has_it).await?;
        let waiting = app.engine.store.waiting(&Target::Queue(self.id.clone())).await?;
        users.extend(waiting.iter().map(|row| format!("interaction:{}", row.interaction.interaction)));
        Ok(users)
    }
}

shells! {
    Queue: QueueInput => QueueView, "queues", "/queues", "/queues/{id}";

    /// Lists the queues.
    ///
    /// Supervisors may read them too.
    list list_queues;

    /// Creates a queue.
    ///
    /// Names need not be unique: a repeated POST creates a second queue.
    create create_queue;

    /// Returns a queue.
    ///
    /// Supervisors may read it too.
    get get_queue;

    /// Replaces a queue.
    ///
    /// Interactions that wait in the queue are routed again.
    put put_queue;

    /// Changes fields of a queue.
    ///
    /// Interactions that wait in the queue are routed again.
    patch patch_queue;

    /// Deletes a queue.
    ///
    /// Refused (409, `in-use`) while an account's plan uses it or an interaction waits for it.
    delete delete_queue;
}

/// Adds an agent to a queue, as its last member.
///
/// An agent who is already a member keeps the same position.
#[utoipa::path(put, path = "/queues/{id}/members/{agent}", tag = "queues",
    params(("id" = String, Path), ("agent" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The queue.", body = QueueView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn put_member(
    State(app): State<App>,
    writer: Writer<Queue>,
    FromPath((queue, agent)): FromPath<(QueueId, AgentId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<QueueView>, ApiError> {
    app.load::<Agent>(agent.as_str()).await?;
    edit(&app, writer, queue, condition, |view| put_in(view, &["members"], agent.as_str())).await
}

/// Removes an agent from a queue.
///
/// If the agent is not a member, nothing changes.
#[utoipa::path(delete, path = "/queues/{id}/members/{agent}", tag = "queues",
    params(("id" = String, Path), ("agent" = String, Path), ("If-Match" = Option<String>, Header)),
    responses((status = 200, description = "The queue.", body = QueueView, headers(("ETag" = String))), WriteRefusals))]
pub(crate) async fn delete_member(
    State(app): State<App>,
    writer: Writer<Queue>,
    FromPath((queue, agent)): FromPath<(QueueId, AgentId)>,
    OptionalIfMatch(condition): OptionalIfMatch,
) -> Result<Versioned<QueueView>, ApiError> {
    edit(&app, writer, queue, condition, |view| take_out(view, &["members"], agent.as_str())).await
}
