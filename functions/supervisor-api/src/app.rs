//! The state that every request works with.

use api::{Access, Api, Caller};
use audit::{Action, By, Entry, Shows, Subject, changes};
use cloud::aws::Aws;
use cloud::config::{ConfigError, Env};
use cloud::queues::Queue;
use desk::{Desk, HasDesk};
use domain::agent::Role;
use domain::job::Orderer;
use engine::ports::World;
use oversight::Board;
use serde_json::Value;
use store::{Configuration, Derived, Interactions};

use crate::error::Failure;

/// The state that every request works with.
pub struct App {
    /// What this API shares with that of agents: the engine, the bucket, the limits.
    pub desk: Desk,
    /// Who gets in.
    pub access: Access,
    /// The sums of reports.
    pub derived: Derived,
    /// The queue of jobs.
    pub jobs: Queue,
    /// The public address of the HTTP API, without a slash at the end.
    pub public_url: String,
    /// What waits and who works.
    pub board: Board,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("desk", &self.desk).field("public_url", &self.public_url).finish_non_exhaustive()
    }
}

impl Api for App {
    fn access(&self) -> &Access {
        &self.access
    }

    fn configuration(&self) -> &Configuration {
        self.desk.directory()
    }

    fn least_role(&self) -> Role {
        Role::Supervisor
    }
}

impl HasDesk for App {
    fn desk(&self) -> &Desk {
        &self.desk
    }
}

impl App {
    /// Wires the clients from the environment: the [`Desk`], the queue of jobs, the tokens' issuer and
    /// `PUBLIC_URL`.
    ///
    /// # Errors
    /// A variable is missing or can't be used.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let aws = Aws::new(env)?;
        Ok(Self {
            desk: Desk::from_env(&aws, env)?,
            access: Access::from_env(env)?,
            derived: Derived::from_env(&aws, env)?,
            jobs: Queue::from_env(&aws, env, "JOBS_QUEUE_URL")?,
            public_url: env.base_url("PUBLIC_URL")?,
            board: Board::default(),
        })
    }

    pub(crate) fn store(&self) -> &Interactions {
        self.desk.store()
    }

    /// The caller, as jobs and the audit trail name a person.
    pub(crate) async fn by(&self, caller: &Caller) -> Result<Orderer, Failure> {
        let who = caller.agent(self).await?.map_or_else(|| caller.subject.clone(), |agent| agent.to_string());
        Ok(Orderer { who, role: caller.role })
    }

    /// An entry of the audit trail about the object `id`, with what is told of the action.
    pub(crate) fn entry(&self, by: &Orderer, action: Action, kind: &str, id: &str, told: &Value) -> Entry {
        let subject = Subject { kind, id, versions: (None, None) };
        self.told(by, action, subject, &Value::Null, told)
    }

    /// An entry of the audit trail about a change of `subject`.
    pub(crate) fn told(&self, by: &Orderer, action: Action, subject: Subject<'_>, before: &Value, after: &Value) -> Entry {
        let by = By { who: by.who.clone(), role: Some(by.role) };
        let shows = Shows { ignored: &[], hidden: &|_| false, names_only: false };
        Entry::new(self.desk.engine.world.ulid(), by, action, subject, changes(before, after, &shows))
    }
}
