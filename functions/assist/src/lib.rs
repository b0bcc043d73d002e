//! The Lambda `assist`: lets AI agents work on conversations when no person waits for the answer of an API.
//!
//! | job | result |
//! |---|---|
//! | an answer that an AI agent owes a customer | the model is asked once; its answer is sent if it still fits, else all is answered at once or people take over |
//! | an answer that is no longer owed, or that another run has claimed | nothing; the wait's timer hands over to people |
//! | a model that is busy, late, refuses, or whose answer is of no use | people take over, with the reason |
//! | insights of an interaction that closed | the customer's mood and a summary are kept with it |
//! | the same again, or for an interaction that was reopened, merged or deleted since | nothing; the model is not called |
//! | insights that the account no longer wants, or whose AI agent is gone | nothing |
//! | a conversation in which the customer wrote nothing | nothing; the model is not called |
//! | a model of insights that is busy, late or fails | it is tried again after 30 s and more, then goes to the dead-letter queue |
//! | a model of insights that refuses the key or the request, or whose answer is of no use | nothing; the log says why, and people may ask for insights |
//! | a failing table | it is tried again, then goes to the dead-letter queue |
//! | a body that can't be parsed | the dead-letter queue, after the queue's tries |
//!
//! Closing and archiving wait for nothing here.

mod answer;
mod insights;

use std::time::Duration;

use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::queues::Queue;
use domain::ai_agent::AiAgent;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, AiAgentId, ContactId};
use domain::insights::{Sentiment, Summary};
use domain::interaction::Interaction;
use domain::language::Language;
use domain::message::Message;
use engine::Engine;
use engine::jobs::AssistJob;
use engine::ports::{PortError, System};
use jiff::Timestamp;
use lambda_runtime::Error;
use models::prompt::Prompt;
use models::{ModelError, Models, NoInsights, Passage, Reply};
use store::{Configuration, Counted, Interactions, Order};
use tokio::time::Instant;

use answer::Thinking;
use insights::{NotMade, Outside};

/// How long a model may take. The function has 60 s: before the call, and after it, some tables are read and written.
const TIME: Duration = Duration::from_secs(50);

/// The latest messages, of which a prompt takes what fits.
const THREAD: i32 = 100;

/// The delay before the second try, in seconds. Each further delay is four times as long. With the queue's ten tries
/// that makes three hours, in which most outages of a service end.
const FIRST_WAIT: u32 = 30;

/// The longest delay, in seconds.
const LONGEST_WAIT: u32 = 1_800;

/// The delay before an answer is tried again, in seconds. A table that failed is back by then, and enough of the time
/// that an answer has is left.
const ANSWER_AGAIN: u32 = 5;

/// The tables and the models.
struct World {
    store: Interactions,
    configuration: Configuration,
    models: Models,
}

impl Outside for World {
    async fn ai_agent(&self, id: &AiAgentId) -> Result<Option<(AiAgent, u64)>, PortError> {
        self.configuration.get(id.as_str()).await
    }

    async fn thread(&self, interaction: &Interaction) -> Result<Vec<Message>, PortError> {
        Ok(self.store.thread(interaction, None, THREAD, Order::NewestFirst).await?.messages)
    }

    async fn insights(
        &self,
        agent: &AiAgent,
        version: u64,
        account: &AccountId,
        newest_first: &[Message],
        language: Option<&Language>,
    ) -> Result<(Sentiment, Summary), NoInsights> {
        self.models.insights(agent, version, account, newest_first, language, Instant::now() + TIME).await
    }
}

impl Thinking for World {
    async fn retrieve(&self, agent: &AiAgent, question: &str, until: Instant) -> Result<Vec<Passage>, ModelError> {
        self.models.retrieve(agent, question, until).await
    }

    async fn ask(&self, agent: &AiAgent, version: u64, prompt: &Prompt, until: Instant) -> Result<Reply, ModelError> {
        self.models.ask(agent, version, prompt, until).await
    }

    async fn may_answer(&self, contact: &ContactId, most: u32) -> Result<bool, PortError> {
        let counted = self.store.count(contact.as_str(), "ai-answer", 1, most, cloud::time::now()).await?;
        Ok(counted == Counted::Within)
    }
}

/// The function, with its clients.
pub struct Function {
    engine: Engine<Interactions, Configuration, System>,
    outside: World,
    queue: Queue,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function(…)")
    }
}

impl Function {
    /// Wires the clients from the environment: the tables, the models and `ASSIST_QUEUE_URL`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let engine = store::open_engine(aws, env)?;
        let outside = World { store: engine.store.clone(), configuration: engine.directory.clone(), models: Models::from_env(aws, env)? };
        Ok(Self { engine, outside, queue: Queue::from_env(aws, env, "ASSIST_QUEUE_URL")? })
    }
}

impl Consumer for Function {
    type Job = AssistJob;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: AssistJob, delivery: Delivery) -> Result<(), Failure> {
        match job {
            AssistJob::Insights { interaction, closed_at } => self.insights(&interaction, closed_at, delivery).await,
            AssistJob::Answer { interaction, wait } => self.answer(&interaction, wait, delivery).await,
        }
    }
}

impl Function {
    /// Nothing of a failure is lost: the next try finds what was written, and the wait's timer hands over to people.
    async fn answer(&self, key: &InteractionKey, wait: u64, delivery: Delivery) -> Result<(), Failure> {
        let interaction = key.interaction.as_str();
        match answer::answer(&self.engine, &self.outside, key, wait).await {
            Ok(outcome) => {
                tracing::info!(event = "assist.answer", interaction, wait, ?outcome);
                Ok(())
            }
            Err(error) => {
                tracing::error!(event = "assist.no_answer", interaction, wait, receive_count = delivery.receive_count, %error);
                Err(Failure::RetryAfter(ANSWER_AGAIN))
            }
        }
    }

    async fn insights(&self, key: &InteractionKey, closed_at: Timestamp, delivery: Delivery) -> Result<(), Failure> {
        let interaction = key.interaction.as_str();
        match insights::at_closing(&self.engine, &self.outside, key, closed_at).await {
            Ok(outcome) => {
                tracing::info!(event = "assist.insights", interaction, ?outcome);
                Ok(())
            }
            Err(why) => {
                let again = why.passes();
                tracing::error!(event = "assist.no_insights", interaction, receive_count = delivery.receive_count, again, error = %why);
                failure(&why, delivery.receive_count).map_or(Ok(()), Err)
            }
        }
    }
}

/// What happens to a job that was not done: `None` if it is given up.
fn failure(why: &NotMade, received: u32) -> Option<Failure> {
    why.passes().then(|| Failure::RetryAfter(wait(received)))
}

/// The delay after the try `received`, in seconds.
fn wait(received: u32) -> u32 {
    4_u32.saturating_pow(received.saturating_sub(1)).saturating_mul(FIRST_WAIT).min(LONGEST_WAIT)
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Function::from_env).await
}

#[cfg(test)]
mod tests {
    use models::ModelError;
    use models::answer::Unusable;

    use super::*;

    #[test]
    fn tries_are_further_apart_each_time() {
        assert_eq!([1, 2, 3, 4, 99].map(wait), [30, 120, 480, 1_800, 1_800]);
        let tries: u32 = (1..10).map(wait).sum();
        assert!((3 * 3_600..4 * 3_600).contains(&tries), "{tries}");
    }

    #[test]
    fn only_what_may_pass_by_itself_is_tried_again() {
        let of = |why: NoInsights| failure(&why.into(), 1);
        for passing in [ModelError::Busy, ModelError::Late, ModelError::Failed] {
            assert_eq!(of(passing.into()), Some(Failure::RetryAfter(30)));
        }
        for lasting in [ModelError::Refused, ModelError::NoKey, ModelError::UsedUp, ModelError::TooLong, ModelError::Unknown] {
            assert_eq!(of(lasting.into()), None);
        }
        assert_eq!(of(Unusable::Malformed.into()), None);
        let port = PortError { operation: "read", reason: "down".into() };
        assert_eq!(failure(&engine::EngineError::Port(port).into(), 2), Some(Failure::RetryAfter(120)));
    }
}
