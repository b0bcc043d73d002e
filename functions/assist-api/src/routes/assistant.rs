//! Answers agents' questions about a conversation, and drafts replies. Nothing is sent and nothing is kept.

use std::sync::Arc;
use std::time::Duration;

use api::{AgentCaller, Api, Body, Error, FromPath, Problem};
use axum::Json;
use axum::extract::{FromRequestParts, State};
use desk::text::lines;
use desk::{Limited, Located};
use domain::agent::Role;
use domain::ai_agent::AiAgent;
use domain::ids::{AgentId, AiAgentId};
use domain::interaction::Interaction;
use http::request::Parts;
use models::answer::{Answer, LONGEST_MESSAGE, cited, read};
use models::prompt::{Line, Task, conversation, knowledge, prompt};
use models::{Passage, Usage};
use serde::{Deserialize, Serialize};
use store::Order;
use tokio::time::Instant;
use utoipa::ToSchema;

use crate::app::App;
use crate::error::{Asked, Failure};

/// The HTTP API ends after 30 s. Before the model is called, and after it, some tables are read.
const TIME: Duration = Duration::from_secs(25);
/// The latest messages, of which a prompt takes what fits.
const THREAD: i32 = 100;
/// Several paragraphs. What an agent pastes from elsewhere may be that long.
const LONGEST_QUESTION: usize = 4_000;
/// An answer that an agent reads while a customer waits. Models that ignore their limit of tokens are stopped here.
const LONGEST_ANSWER: usize = 10_000;

/// A question.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// The question: at most 4,000 characters.
    #[schema(min_length = 1, max_length = 4_000, example = "What did we promise?")]
    question: String,
}

/// A question may repeat what a customer wrote, so it never reaches a log.
impl std::fmt::Debug for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Question(…)")
    }
}

impl Question {
    fn checked(&self) -> Result<&str, Failure> {
        if self.question.trim().is_empty() {
            return Err(Error::field("question", "must not be empty").into());
        }
        lines("question", &self.question, LONGEST_QUESTION)?;
        Ok(self.question.trim())
    }
}

/// The AI agent that answered.
#[derive(Serialize, ToSchema)]
pub(crate) struct AnsweredBy {
    /// Its id.
    id: AiAgentId,
    /// Its name.
    name: String,
}

impl AnsweredBy {
    fn of(agent: &AiAgent) -> Self {
        Self { id: agent.id.clone(), name: agent.name.clone() }
    }
}

/// An answer for the agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct AssistantAnswer {
    /// The answer. Numbers in brackets, such as `[1]`, name `sources`.
    answer: String,
    /// What the answer says that it rests on, in the order of the answer.
    sources: Vec<Source>,
    /// The AI agent that answered.
    ai_agent: AnsweredBy,
}

/// A text or a passage of the knowledge base.
#[derive(Serialize, ToSchema)]
pub(crate) struct Source {
    /// The number by which the answer names it.
    number: usize,
    /// Its title.
    title: String,
    /// The address of its document, where the knowledge base tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
}

/// Asks the account's AI agent about the conversation.
///
/// The answer is for the agent; nothing is sent to the customer or kept. The AI agent sees the latest messages,
/// without notes, names and numbers, and what it knows. 409 `assistant-off`: the account has no assistant. 429: the
/// model is busy, or more than the deployment allows an agent in an hour. 504 `ai-late`: no answer within 25 s.
#[utoipa::path(
    post, path = "/interactions/{id}/ask", tag = "assistant", request_body = Question,
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = AssistantAnswer),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn ask(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    Body(asked): Body<Question>,
) -> Result<Json<AssistantAnswer>, Failure> {
    let until = Instant::now() + TIME;
    let question = asked.checked()?;
    let Assisted { agent, version, interaction, said } = assisted(&app, &caller, &id).await?;
    let known = known(&app, &agent, question, until).await?;
    let prompt = prompt(&agent, Task::Question(question), &known, &said, interaction.language.as_ref()).on(&interaction.account);
    let reply = app.models.ask(&agent, version, &prompt, until).await.map_err(|why| Failure::NoReply { of: Asked::Model, why })?;
    let answer = text(read(&reply, LONGEST_ANSWER, None, None))?;
    let source = |number: usize| {
        let passage = known.get(number - 1)?;
        Some(Source { number, title: passage.title.clone(), location: passage.location.clone() })
    };
    let sources = cited(&answer, known.len()).into_iter().filter_map(source).collect();
    Ok(Json(AssistantAnswer { answer, sources, ai_agent: AnsweredBy::of(&agent) }))
}

/// A draft for the agent.
#[derive(Serialize, ToSchema)]
pub(crate) struct SuggestedReply {
    /// The text, for the agent to read, change and send.
    text: String,
    /// The AI agent that wrote it.
    ai_agent: AnsweredBy,
}

/// Drafts the agent's next message.
///
/// Nothing is sent and nothing is kept. 422 `nothing-to-answer`: the customer has written nothing that can be
/// answered. Other problems are those of `ask`.
#[utoipa::path(
    post, path = "/interactions/{id}/suggest", tag = "assistant",
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = OK, body = SuggestedReply),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn suggest(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
) -> Result<Json<SuggestedReply>, Failure> {
    let until = Instant::now() + TIME;
    let Assisted { agent, version, interaction, said } = assisted(&app, &caller, &id).await?;
    let last_of = |customers: bool| said.iter().rev().find(|line| line.is_customers() == customers).map(|line| line.text.as_str());
    let customers = last_of(true).ok_or(Failure::NothingToAnswer)?;
    let known = known(&app, &agent, customers, until).await?;
    let prompt = prompt(&agent, Task::Suggestion, &known, &said, interaction.language.as_ref()).on(&interaction.account);
    let reply = app.models.ask(&agent, version, &prompt, until).await.map_err(|why| Failure::NoReply { of: Asked::Model, why })?;
    let text = text(read(&reply, LONGEST_MESSAGE, last_of(false), Some(customers)))?;
    Ok(Json(SuggestedReply { text, ai_agent: AnsweredBy::of(&agent) }))
}

/// What a question is asked about, and whom.
struct Assisted {
    agent: AiAgent,
    version: u64,
    interaction: Interaction,
    said: Vec<Line>,
}

/// The interaction, if the caller sees it, and its account's assistant. One question of the caller is counted.
async fn assisted(app: &App, caller: &AgentCaller, id: &str) -> Result<Assisted, Failure> {
    let place = app.desk.locate(caller, id).await?;
    let (agent, version) = assistant(app, &place).await?;
    let interaction = app.desk.found(&place).await?;
    count(app, &caller.agent).await?;
    let thread = app.desk.store().thread(&interaction, None, THREAD, Order::NewestFirst).await?;
    Ok(Assisted { agent, version, interaction, said: conversation(&thread.messages) })
}

async fn assistant(app: &App, place: &Located) -> Result<(AiAgent, u64), Failure> {
    let chosen = place.account()?.settings.assistant.as_ref().ok_or(Failure::AssistantOff)?;
    // One that was deleted this second is as good as none.
    app.desk.directory().get::<AiAgent>(chosen.as_str()).await?.ok_or(Failure::AssistantOff)
}

async fn count(app: &App, agent: &AgentId) -> Result<(), Failure> {
    Ok(app.desk.count(agent, Limited::Question).await?)
}

async fn known(app: &App, agent: &AiAgent, question: &str, until: Instant) -> Result<Vec<Passage>, Failure> {
    let retrieved = app.models.retrieve(agent, question, until).await;
    Ok(knowledge(agent, retrieved.map_err(|why| Failure::NoReply { of: Asked::KnowledgeBase, why })?))
}

fn text(answer: Answer) -> Result<String, Failure> {
    match answer {
        Answer::Text(text) => Ok(text),
        Answer::Unusable(why) => Err(Failure::Unusable(why)),
        // The tool was not offered.
        Answer::Escalate { .. } => Err(Failure::Unusable(models::answer::Unusable::Malformed)),
    }
}

/// What a customer who asked this would get, and why.
#[derive(Serialize, ToSchema)]
pub(crate) struct AiAgentTest {
    /// The messages that a customer would get at first contact, in order.
    messages: Vec<String>,
    /// Why it would hand over to a person. Absent if it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    escalation: Option<TestedEscalation>,
    /// What it knew about the question, as the model saw it.
    retrieved: Vec<Retrieved>,
    /// The tokens that the answer cost.
    tokens: Tokens,
}

/// Why an AI agent hands over.
#[derive(Serialize, ToSchema)]
pub(crate) struct TestedEscalation {
    /// `phrase`: the question has a phrase that asks for a person, so that the model was not called. `model`: the
    /// model decided it.
    by: EscalatedBy,
    /// Why, in the model's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// What makes an AI agent hand over.
#[derive(Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EscalatedBy {
    /// A phrase that asks for a person.
    Phrase,
    /// The model.
    Model,
}

/// A text or a passage that the model saw.
#[derive(Serialize, ToSchema)]
pub(crate) struct Retrieved {
    /// Its title.
    title: String,
    /// The address of its document, where the knowledge base tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// The text.
    text: String,
}

/// The tokens of a call.
#[derive(Serialize, ToSchema)]
#[schema(as = AiTokens)]
pub(crate) struct Tokens {
    /// Of the prompt.
    input: u64,
    /// Of the answer.
    output: u64,
}

/// Asks an AI agent what a customer might ask, for administrators.
///
/// The model is called as it would be for a customer, and the answer shows what was retrieved. Nothing is sent. An
/// administrator needs an agent's record too, since the calls are counted.
#[utoipa::path(
    post, path = "/ai-agents/{id}/test", tag = "assistant", request_body = Question,
    params(("id" = String, Path, description = "The AI agent's id")),
    responses(
        (status = OK, body = AiAgentTest),
        (status = NOT_FOUND, body = Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = Problem, content_type = "application/problem+json"),
        (status = BAD_GATEWAY, body = Problem, content_type = "application/problem+json"),
        (status = GATEWAY_TIMEOUT, body = Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn test_ai_agent(
    State(app): State<Arc<App>>,
    TryingOut(by): TryingOut,
    FromPath(id): FromPath<String>,
    Body(asked): Body<Question>,
) -> Result<Json<AiAgentTest>, Failure> {
    let until = Instant::now() + TIME;
    let question = asked.checked()?;
    let id: AiAgentId = id.parse().map_err(|_| Error::NotFound)?;
    let (agent, version) = app.desk.directory().get::<AiAgent>(id.as_str()).await?.ok_or(Error::NotFound)?;
    let handover = || agent.escalation.message.iter().cloned().collect();
    if agent.escalation.is_asked_for(question) {
        let escalation = Some(TestedEscalation { by: EscalatedBy::Phrase, reason: None });
        return Ok(Json(AiAgentTest { messages: handover(), escalation, retrieved: Vec::new(), tokens: Tokens { input: 0, output: 0 } }));
    }
    count(&app, &by).await?;
    let known = known(&app, &agent, question, until).await?;
    let prompt = prompt(&agent, Task::Customer, &known, &[Line::of_customer(question)], None);
    let reply = app.models.ask(&agent, version, &prompt, until).await.map_err(|why| Failure::NoReply { of: Asked::Model, why })?;
    let (messages, escalation) = match read(&reply, LONGEST_MESSAGE, None, Some(question)) {
        Answer::Text(text) => (agent.disclosure.iter().cloned().chain([text]).collect(), None),
        Answer::Escalate { reason } => (handover(), Some(TestedEscalation { by: EscalatedBy::Model, reason: Some(reason) })),
        Answer::Unusable(why) => return Err(Failure::Unusable(why)),
    };
    let shown = |Passage { title, location, text }| Retrieved { title, location, text };
    let Usage { input, output } = reply.usage;
    Ok(Json(AiAgentTest { messages, escalation, retrieved: known.into_iter().map(shown).collect(), tokens: Tokens { input, output } }))
}

/// An administrator with an agent's record, whose calls are counted.
pub(crate) struct TryingOut(AgentId);

impl<A: Api> FromRequestParts<A> for TryingOut {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &A) -> Result<Self, Error> {
        let AgentCaller { agent, role } = AgentCaller::from_request_parts(parts, app).await?;
        if role >= Role::Admin { Ok(Self(agent)) } else { Err(Error::Forbidden) }
    }
}
