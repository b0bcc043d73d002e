//! The Lambda `webhook`: calls other systems for Webhook steps with signed requests, and gives their answers to the
//! interaction. A failure never stops the plan.
//!
//! | case | result for the interaction |
//! |---|---|
//! | 2xx with JSON, or with nothing | the variables of the answer |
//! | no answer within 5 s, or another status | the system is called once more; then the failure, with its kind |
//! | an address in a private network, or an account without a secret | the failure: unreachable |
//! | an answer that is not JSON or longer than 16 KB | the failure: unreadable |
//! | a job whose time is over, or an interaction that waits for something else by now | nothing: the wait's timer has moved it on |
//! | a body that can't be parsed | the dead-letter queue, after the queue's tries |

mod request;

use std::time::Duration;

use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::egress::{Egress, EgressError};
use cloud::queues::Queue;
use cloud::telemetry::{self, Metric};
use domain::account::Account;
use domain::decide::Event;
use domain::history::WebhookFailure;
use domain::interaction::Interaction;
use domain::variables::VariableName;
use engine::jobs::WebhookJob;
use engine::ports::{Directory, Idempotency, Store, System, World};
use engine::{Engine, EngineError};
use lambda_runtime::Error;
use store::{Configuration, Interactions};

/// How long another system may take. A customer is waiting.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often a system is called. A repetition helps against a lost connection, but not when a system is down.
const ATTEMPTS: u32 = 2;

/// The longest answer, in bytes. An interaction stores a kilobyte of variables, so a longer answer must be
/// something else.
const ANSWER: u64 = 16 * 1024;

struct Function {
    engine: Engine<Interactions, Configuration, System>,
    egress: Egress,
    queue: Queue,
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self {
            engine: store::open_engine(aws, env)?,
            egress: Egress::from_env(env)?,
            queue: Queue::from_env(aws, env, "WEBHOOK_QUEUE_URL")?,
        })
    }

    async fn ask(&self, job: &WebhookJob) -> Result<(), EngineError> {
        let Some(interaction) = self.engine.store.interaction(&job.interaction).await? else { return Ok(()) };
        let waits = interaction.wait.as_ref().is_some_and(|wait| wait.id == job.wait);
        if !waits || job.until <= self.engine.world.now() {
            return Ok(());
        }
        let Some(account) = self.engine.directory.account(&interaction.account).await? else { return Ok(()) };
        let answer = self.answer(&account, &interaction, job).await;
        let outcome = answer.as_ref().map_or_else(|why| label(*why), |_| "answered");
        telemetry::count(Metric::PlanWebhooks, outcome, 1);
        tracing::info!(event = "webhook.asked", interaction = interaction.id.as_str(), outcome);
        let told = Event::WebhookAnswered { wait: job.wait, answer };
        self.engine.tell(&job.interaction, told, Idempotency::Guarded).await.map(|_| ())
    }

    async fn answer(
        &self,
        account: &Account,
        interaction: &Interaction,
        job: &WebhookJob,
    ) -> Result<Vec<(VariableName, String)>, WebhookFailure> {
        let mut failure = WebhookFailure::TimedOut;
        for _ in 0..ATTEMPTS {
            let now = self.engine.world.now();
            let body = request::body(account, interaction, now);
            let headers = hooks::headers(account.webhook_secrets(now), &job.id, now, &body).ok_or(WebhookFailure::Unreachable)?;
            failure = match self.egress.post_json(job.url.as_str(), headers, body, TIMEOUT, ANSWER).await {
                Ok(answer) if answer.status.is_success() => return request::variables(&answer.bytes),
                Ok(_) => WebhookFailure::Refused,
                Err(EgressError::NoAnswer) => WebhookFailure::TimedOut,
                Err(EgressError::TooLarge { .. }) => return Err(WebhookFailure::Unreadable),
                Err(EgressError::Refused(_) | EgressError::TooManyRedirects) => return Err(WebhookFailure::Unreachable),
            };
        }
        Err(failure)
    }
}

impl Consumer for Function {
    type Job = WebhookJob;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: WebhookJob, _: Delivery) -> Result<(), Failure> {
        self.ask(&job).await.map_err(|error| {
            tracing::error!(event = "webhook.failed", interaction = job.interaction.interaction.as_str(), %error);
            Failure::Retry
        })
    }
}

fn label(why: WebhookFailure) -> &'static str {
    match why {
        WebhookFailure::TimedOut => "timed_out",
        WebhookFailure::Unreachable => "unreachable",
        WebhookFailure::Refused => "refused",
        WebhookFailure::Unreadable => "unreadable",
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Function::from_env).await
}
