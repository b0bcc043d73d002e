//! The Lambda `worker`: carries out the jobs of supervisors.

use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::queues::Queue;
use engine::jobs::JobStep;
use lambda_runtime::Error;

struct Worker {
    queue: Queue,
}

impl Worker {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self { queue: Queue::from_env(aws, env, "JOBS_QUEUE_URL")? })
    }
}

impl Consumer for Worker {
    type Job = JobStep;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, JobStep { job }: JobStep, _: Delivery) -> Result<(), Failure> {
        tracing::warn!(event = "job.unknown", %job);
        Err(Failure::Hopeless)
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Worker::from_env).await
}
