//! An AI agent answers a customer.
//!
//! 1. The claim is written: from now on no repetition of the job asks the model for this wait.
//! 2. The model is asked once.
//! 3. The answer is written, and with it the effect that sends it, if the AI agent is still on, no person has the
//!    interaction and the customer has not written since. Whatever else came out hands over to people.
//!
//! A job that comes again after the first step does nothing. The model may have been asked and paid for, and an answer
//! to a question that nobody asks any more helps nobody: the wait's timer hands over to people.

use std::future::Future;
use std::time::Duration;

use domain::ai_agent::AiAgent;
use domain::decide::{AiAnswer, AiEscalation, Event};
use domain::effect::InteractionKey;
use domain::history::{Escalated, Said};
use domain::ids::ContactId;
use domain::interaction::Interaction;
use domain::message::{Author, Content, Message};
use engine::ports::{Directory, Idempotency, PortError, Store, World};
use engine::{Engine, EngineError, Told};
use models::answer::{Answer, LONGEST_MESSAGE, Unusable, read};
use models::prompt::{Line, Prompt, Task, conversation, knowledge, prompt};
use models::{ModelError, Passage, Reply};
use tokio::time::Instant;

use crate::insights::Outside;

/// The time that is left for writing the answer before the wait is over.
const MARGIN: Duration = Duration::from_secs(5);

/// What an answer needs beside the engine.
pub(crate) trait Thinking: Outside {
    /// What the AI agent's knowledge base has about a question.
    fn retrieve(&self, agent: &AiAgent, question: &str, until: Instant) -> impl Future<Output = Result<Vec<Passage>, ModelError>> + Send;
    /// What the AI agent's model replies: one call, which is paid for.
    fn ask(&self, agent: &AiAgent, version: u64, prompt: &Prompt, until: Instant)
    -> impl Future<Output = Result<Reply, ModelError>> + Send;
    /// Counts an answer to a contact. False if there were `most` in this hour: two bots that face each other, in as
    /// many interactions as they like, stop here.
    fn may_answer(&self, contact: &ContactId, most: u32) -> impl Future<Output = Result<bool, PortError>> + Send;
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The answer is on its way, or another one is owed since the customer went on writing.
    Answered,
    /// People take over.
    Escalated(Escalated),
    /// No answer is owed any more, or another run of the job has claimed it.
    Stale,
}

/// Answers what the customer of an interaction has written, if `wait` still owes it.
pub(crate) async fn answer<S: Store, D: Directory, W: World>(
    engine: &Engine<S, D, W>,
    outside: &impl Thinking,
    key: &InteractionKey,
    wait: u64,
) -> Result<Outcome, EngineError> {
    let Some(claimed) = told(engine, key, Event::AiClaims { wait }).await? else { return Ok(Outcome::Stale) };
    let left = claimed.ai_wait().and_then(|own| own.until).map(|until| engine.world.now().duration_until(until));
    let left = left.and_then(|left| Duration::try_from(left).ok()).unwrap_or_default();
    let until = Instant::now() + left.saturating_sub(MARGIN);
    let (event, outcome) = match thought(outside, &claimed, until).await {
        Ok(answer) => (Event::AiAnswered { wait, answer: Box::new(answer) }, Outcome::Answered),
        Err(escalation) => {
            let outcome = Outcome::Escalated(escalation.why);
            (Event::AiEscalates { wait, escalation: Box::new(escalation) }, outcome)
        }
    };
    // Only this run knows the answer, so a write whose own answer is lost is tried again. If it had been done, the
    // wait that owed it is over.
    let written = match told(engine, key, event.clone()).await {
        Err(EngineError::Port(_) | EngineError::Busy) => told(engine, key, event).await,
        written => written,
    };
    Ok(written?.map_or(Outcome::Stale, |_| outcome))
}

/// The interaction after an event; `None` if nothing is owed any more.
async fn told<S: Store, D: Directory, W: World>(
    engine: &Engine<S, D, W>,
    key: &InteractionKey,
    event: Event,
) -> Result<Option<Interaction>, EngineError> {
    match engine.tell(key, event, Idempotency::Guarded).await {
        Ok(Told::Changed { interaction, .. }) => Ok(Some(*interaction)),
        Ok(Told::AlreadyDone(_) | Told::Refused(..)) | Err(EngineError::NotFound | EngineError::NoAccount(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The answer, or why a person is needed.
async fn thought(outside: &impl Thinking, interaction: &Interaction, until: Instant) -> Result<AiAnswer, AiEscalation> {
    let nameless = |why| AiEscalation { name: None, why, said: None, farewell: None };
    let id = interaction.ai.as_ref().ok_or_else(|| nameless(Escalated::Gone))?;
    let known = outside.ai_agent(id).await.map_err(|error| {
        tracing::warn!(event = "assist.no_ai_agent", interaction = interaction.id.as_str(), %error);
        nameless(Escalated::Failed)
    })?;
    let (agent, version) = known.ok_or_else(|| nameless(Escalated::Gone))?;
    let farewell = agent.escalation.message.clone();
    match reply(outside, interaction, &agent, version, until).await {
        Ok(text) => Ok(AiAnswer { name: agent.name, disclosure: agent.disclosure, text, farewell, limits: agent.limits }),
        Err((why, said)) => Err(AiEscalation { name: Some(agent.name), why, said, farewell }),
    }
}

async fn reply(
    outside: &impl Thinking,
    interaction: &Interaction,
    agent: &AiAgent,
    version: u64,
    until: Instant,
) -> Result<String, (Escalated, Option<Said>)> {
    let plainly = |why| (why, None);
    let failed = |error: PortError| {
        tracing::warn!(event = "assist.not_read", interaction = interaction.id.as_str(), %error);
        plainly(Escalated::Failed)
    };
    let refused = |error: ModelError| {
        tracing::info!(event = "assist.no_reply", interaction = interaction.id.as_str(), error = error.label());
        plainly(if error == ModelError::Late { Escalated::Late } else { Escalated::Failed })
    };
    if interaction.answering.in_a_row >= agent.limits.in_a_row {
        return Err(plainly(Escalated::Limit));
    }
    let thread = outside.thread(interaction).await.map_err(failed)?;
    let said = conversation(&thread);
    let question = question(&thread, &said).ok_or(plainly(Escalated::Unreadable))?;
    if agent.escalation.is_asked_for(&question) {
        return Err(plainly(Escalated::Phrase));
    }
    if !outside.may_answer(&interaction.contact, agent.limits.an_hour).await.map_err(failed)? {
        return Err(plainly(Escalated::Limit));
    }
    let until = until.min(Instant::now() + Duration::from_secs(agent.limits.seconds.into()));
    let retrieved = outside.retrieve(agent, &question, until).await.map_err(refused)?;
    let prompt = prompt(agent, Task::Customer, &knowledge(agent, retrieved), &said, interaction.language.as_ref());
    let prompt = prompt.on(&interaction.account);
    let reply = outside.ask(agent, version, &prompt, until).await.map_err(refused)?;
    let last_of = |customers: bool| said.iter().rev().find(|line| line.is_customers() == customers).map(|line| line.text.as_str());
    match read(&reply, LONGEST_MESSAGE, last_of(false), last_of(true)) {
        Answer::Text(text) => Ok(text),
        Answer::Escalate { reason } => Err((Escalated::Model, Some(Said(reason)))),
        Answer::Unusable(why) => {
            tracing::info!(event = "assist.unusable", interaction = interaction.id.as_str(), why = why.label());
            Err(plainly(match why {
                Unusable::Filtered => Escalated::Refused,
                Unusable::Repeated => Escalated::Repeated,
                Unusable::Empty | Unusable::CutOff | Unusable::TooLong | Unusable::Malformed | Unusable::TooMuch | Unusable::Echo => {
                    Escalated::Unusable
                }
            }))
        }
    }
}

/// What the customer wrote since the company's last message, or last at all: the phone's clock may be behind. `None`
/// if the newest of it has nothing that a model can read.
fn question(newest_first: &[Message], said: &[Line]) -> Option<String> {
    let asks = |message: &&Message| message.author == Author::Customer && !matches!(message.content, Content::Reaction { .. });
    let newest = newest_first.iter().find(asks)?;
    if conversation(std::slice::from_ref(newest)).is_empty() {
        return None;
    }
    let since: Vec<&str> = said.iter().rev().take_while(|line| line.is_customers()).map(|line| line.text.as_str()).collect();
    let last = || said.iter().rev().find(|line| line.is_customers()).map(|line| line.text.as_str());
    let texts: Vec<&str> = if since.is_empty() { last().into_iter().collect() } else { since.into_iter().rev().collect() };
    (!texts.is_empty()).then(|| texts.join("\n"))
}

#[cfg(test)]
mod tests;
