//! Makes insights on request: the customer's mood and a summary, which the interaction keeps.

use std::sync::Arc;
use std::time::Duration;

use api::{Command, FromPath, Problem};
use axum::Json;
use axum::extract::State;
use desk::Limited;
use desk::interactions::settle;
use domain::ai_agent::AiAgent;
use domain::decide::{Event, InsightsCause};
use store::Order;
use tokio::time::Instant;
use views::InteractionView;

use crate::app::App;
use crate::error::Failure;

/// The HTTP API ends after 30 s. Before the model is called, and after it, some tables are read and written.
const TIME: Duration = Duration::from_secs(25);
/// The latest messages, of which a prompt takes what fits.
const THREAD: i32 = 100;

/// Tells the customer's mood and sums the conversation up.
///
/// The account's AI agent for insights reads the latest messages, without notes, names and numbers. The result is kept
/// with the interaction, in place of an earlier one; the history has all of them. Whoever may read the interaction may
/// ask, whether it is open or closed. A repeated request with the same `Idempotency-Key` asks the model only once. 409
/// `insights-off`: the account has no AI agent for it. 422 `nothing-to-sum-up`: the customer has written no text. 429:
/// the model is busy, or more than the deployment allows an agent in an hour. 504 `ai-late`: no answer within 25 s.
#[utoipa::path(
    post, path = "/interactions/{id}/insights", tag = "insights",
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = InteractionView),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn make(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
) -> Result<Json<InteractionView>, Failure> {
    let until = Instant::now() + TIME;
    let place = app.desk.locate(&command.caller, &id).await?;
    let settings = &place.account()?.settings;
    let interaction = app.desk.found(&place).await?;
    if app.desk.earlier(&command, Some(&interaction)).await?.is_some() {
        let summary = app.desk.store().summary(&interaction).await?;
        return Ok(Json(InteractionView::from(&interaction).with_summary(summary)));
    }
    let chosen = settings.insights.as_ref().ok_or(Failure::InsightsOff)?;
    // One that was deleted this second is as good as none.
    let (agent, version) = app.desk.directory().get::<AiAgent>(chosen.ai_agent.as_str()).await?.ok_or(Failure::InsightsOff)?;
    app.desk.count(&command.caller.agent, Limited::Question).await?;
    let thread = app.desk.store().thread(&interaction, None, THREAD, Order::NewestFirst).await?;
    let language = settings.agents_language();
    let (sentiment, summary) = app.models.insights(&agent, version, &interaction.account, &thread.messages, language, until).await?;
    let cause = InsightsCause::Asked(command.caller.agent.clone());
    let event = Event::InsightsMade { cause, ai_agent: agent.id, sentiment, summary };
    let told = app.desk.engine.tell_based_on(&place.key, event, command.mark(), command.basis()).await?;
    let done = settle(&app.desk, &command, told).await?;
    let summary = app.desk.store().summary(done.interaction()).await?;
    Ok(Json(InteractionView::from(done.interaction()).with_summary(summary)))
}
