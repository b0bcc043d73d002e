//! The Lambda `send`: sends agents' messages to the provider, in the order of each conversation.
//!
//! | case | result |
//! |---|---|
//! | a message that waits, within the customer's 24 hours | it is claimed durably and posted once, and the provider's answer is written |
//! | a message whose 24 hours are over | failed as `window_expired`; nothing is called |
//! | a message that was claimed before | its sender died in the call: `unknown`; nothing is called |
//! | a message that is sent, failed or in doubt | nothing |
//! | the provider says "too fast" | it waits (below) for as long as the window lasts |
//! | the provider could not be reached, or had a passing fault | the same, eight times at most |
//! | no answer after the request may have left | `unknown`, until the provider's report or a person settles it |
//! | credentials missing or refused | the secret is read again, once; then failed as `authentication` |
//! | a failing table or secret store | the message comes back after 2 s and more; a message that was claimed by then is in doubt |
//! | a body that can't be read | it holds up its conversation's messages, and is set aside after some tries |
//!
//! A message that went too fast waits by visibility, and its conversation with it. The number's other messages that
//! come to this process wait too. The wait is longer if the limit was that of this one customer.

mod outcome;
mod sender;
#[cfg(test)]
mod tests;

use std::time::Duration;

use client::{Client, Web};
use cloud::aws::{Aws, CallError};
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::objects::Objects;
use cloud::queues::Queue;
use cloud::secrets::AccountSecrets;
use cloud::telemetry::{self, Metric};
use domain::account::Credentials;
use engine::jobs::SendJob;
use engine::ports::System;
use lambda_runtime::Error;
use store::{Configuration, Interactions};

use sender::{Files, Pauses, Sender};

/// How long a provider can fetch a file: Twilio holds a message back for up to four hours. The address ends earlier
/// when the role's session ends. A later fetch fails, the provider reports it, and the thread shows it.
const LINK_LIFETIME: Duration = Duration::from_hours(4);

struct Links(Objects);

impl Files for Links {
    async fn link(&self, key: &str) -> Result<String, CallError> {
        self.0.link_for(key, LINK_LIFETIME).await
    }
}

fn count(outcome: &'static str, refused_by: Option<&str>) {
    telemetry::count(Metric::Sends, outcome, 1);
    if let Some(provider) = refused_by {
        telemetry::count(Metric::SendsRefused, provider, 1);
    }
}

struct Function {
    sender: Sender<Interactions, Configuration, System, Web, AccountSecrets<Credentials>, Links>,
    queue: Queue,
}

impl Function {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        let sender = Sender {
            engine: store::open_engine(aws, env)?,
            client: Client::from_env(aws, env)?,
            files: Links(Objects::from_env(aws, env)?),
            public_url: env.base_url("PUBLIC_URL")?,
            pauses: Pauses::default(),
            count,
        };
        // A message may wait here by visibility for a day, so the queue's redrive comes late.
        let queue = Queue::from_env(aws, env, "OUTBOUND_QUEUE_URL")?.setting_aside(env.required("PARKED_QUEUE_URL")?);
        Ok(Self { sender, queue })
    }
}

impl Consumer for Function {
    type Job = SendJob;

    /// The slowest message takes 15 s at the provider and some more for its writes. The function has 60 s and must
    /// not die in a call, which would leave the message in doubt.
    const LATEST_START: Option<Duration> = Some(Duration::from_secs(35));

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: SendJob, delivery: Delivery) -> Result<(), Failure> {
        self.sender.handle(&job, delivery.receive_count).await
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Function::from_env).await
}
