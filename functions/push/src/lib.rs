//! The Lambda `push`: appends events to the agents' feeds and sends them to their sockets.
//!
//! | input | result |
//! |---|---|
//! | an event for agents | it is appended to the feed of each, then sent to each open connection; many agents at once, and one agent's failure affects no other |
//! | an event for whoever has an interaction | the same for the agent who has it now, also if it was merged into another, and for its watchers |
//! | an event for supervisors who watch an interaction | the same for those who still do: their time is not over, and they have not logged out |
//! | an event for a queue | the same for the members who are on the account and can take it |
//! | a change of the configuration | the event goes to those who see it in `GET /me`, as they are now |
//! | a repetition | nothing: each feed knows the effect's id |
//! | an effect of six days ago or more | the clients are told that they are behind: its event may have been there and expired |
//! | a connection that is "gone" in its first seconds | nothing: it is being opened, and the client asks for the events that it missed |
//! | an event of an account that the agent was taken off | it is appended; the sockets get its number without its content |
//! | an event about an interaction that was deleted, ten minutes or more after its cause | the clients are told that it was deleted |
//! | an event for an agent who was deleted | nothing is appended; sockets that are still open are closed |
//! | any other connection that is gone | it is forgotten; an agent without a connection when the grace of the settings is over is logged out |
//! | a socket that fails otherwise | nothing: the event is in the feed, and the next event shows the gap |
//! | a failing table | the job comes again after 1 s and more, for hours |
//! | a body that can't be parsed | set aside after some tries; the rest goes on |

mod job;

use std::borrow::Cow;
use std::collections::BTreeSet;

use cloud::auth::RoleSource;
use cloud::aws::Aws;
use cloud::batch::{self, Consumer, Delivery, Failure};
use cloud::config::Env;
use cloud::queues::{Queue, SendOptions};
use cloud::sockets::{Posted, Sockets};
use domain::agent::{Agent, Presence, Role};
use domain::effect::Audience;
use domain::ids::{AccountId, AgentId};
use domain::news::Told;
use domain::removal::LATE;
use domain::screens::Screens;
use engine::jobs::{Recipients, Wakeup};
use engine::ports::{Directory, PortError, Store};
use futures_util::future::join_all;
use lambda_runtime::Error;
use store::{Appended, CausedBy, Configuration, Connection, FeedEvent, Interactions};
use tokio::sync::Semaphore;
use views::AgentEvent;

use job::Job;

/// How many agents of a batch one process serves at the same time. An agent takes some 40 ms of waiting, so 300 are
/// served in half a second, over no more connections than the function can open in its first.
const AT_ONCE: usize = 32;

struct Push {
    store: Interactions,
    configuration: Configuration,
    role_source: RoleSource,
    sockets: Sockets,
    queue: Queue,
    timers: Queue,
    at_once: Semaphore,
}

impl Push {
    fn from_env(aws: &Aws, env: &Env) -> Result<Self, Error> {
        Ok(Self {
            store: Interactions::from_env(aws, env)?,
            configuration: Configuration::from_env(aws, env)?,
            role_source: RoleSource::from_env(env)?,
            sockets: Sockets::from_env(aws, env)?,
            queue: Queue::from_env(aws, env, "PUSH_QUEUE_URL")?.setting_aside(env.required("PARKED_QUEUE_URL")?),
            timers: Queue::from_env(aws, env, "TIMERS_QUEUE_URL")?,
            at_once: Semaphore::new(AT_ONCE),
        })
    }

    /// Delivers a job. Jobs of one group come one after the other, so each feed keeps their order. Within a job
    /// each agent is served separately.
    async fn deliver(&self, job: &Job) -> Result<(), PortError> {
        every(self.audience(job).await?, &self.at_once, |agent| self.serve(agent, job)).await
    }

    async fn serve(&self, agent: AgentId, job: &Job) -> Result<(), PortError> {
        let Some(record) = self.configuration.agent(&agent).await? else {
            self.close(&agent).await;
            return Ok(());
        };
        let event = self.unless_deleted(self.as_it_is(&agent, &job.event).await?, job).await?;
        let account = job.account.as_ref().or(event.account());
        let withheld = self.withheld(&record, &event, account).await?;
        // Of an interaction that the agent may not read, or that was deleted, no note is kept.
        let note = job.note.as_ref().filter(|_| withheld.is_none() && !matches!(*event, AgentEvent::Deleted { .. }));
        if let Some(note) = note {
            self.store.put_note(&agent, note).await?;
        }
        self.append(&agent, &job.id, job, &event, account, withheld).await?;
        if let Some(note) = note.filter(|_| !matches!(*event, AgentEvent::Notification { .. })) {
            let told = AgentEvent::Notification { notification: note.into() };
            self.append(&agent, &format!("{}-note", job.id), job, &told, account, None).await?;
        }
        Ok(())
    }

    /// Appends an event to an agent's feed, under the id `effect`, and sends it to the agent's sockets.
    async fn append(
        &self,
        agent: &AgentId,
        effect: &str,
        job: &Job,
        event: &AgentEvent,
        account: Option<&AccountId>,
        withheld: Option<AgentEvent>,
    ) -> Result<(), PortError> {
        let cause = CausedBy { effect, committed_at: job.committed_at };
        if let Appended::New(mut appended) = self.store.append(agent, cause, event, account, cloud::time::now()).await? {
            if let Some(withheld) = withheld.filter(|_| appended.event.shows().is_some()) {
                appended.event = withheld;
            }
            self.post(agent, &appended).await;
        }
        Ok(())
    }

    /// The event, unless its interaction was deleted while the job was on its way for long. What comes sooner is found
    /// by the deletion's second pass, so that most events need no read.
    async fn unless_deleted<'e>(&self, event: Cow<'e, AgentEvent>, job: &Job) -> Result<Cow<'e, AgentEvent>, PortError> {
        let is_late = job.committed_at.is_none_or(|at| cloud::time::now().duration_since(at) > LATE);
        let Some(interaction) = event.shows().filter(|_| is_late).cloned() else { return Ok(event) };
        let gone = self.store.gone(&interaction).await?;
        Ok(gone.map_or(event, |_| Cow::Owned(AgentEvent::deleted(interaction))))
    }

    /// What an agent who may not read the interaction gets instead of the event. The configuration is cached, so this
    /// reads nothing for most events.
    async fn withheld(&self, agent: &Agent, event: &AgentEvent, account: Option<&AccountId>) -> Result<Option<AgentEvent>, PortError> {
        let (Some(interaction), Some(account)) = (event.shows(), account) else { return Ok(None) };
        let oversees = self.role_source == RoleSource::Record && agent.role >= Role::Supervisor;
        let reads = oversees || self.configuration.may_read(&agent.id, account).await?;
        Ok((!reads).then(|| AgentEvent::withheld(interaction.clone())))
    }

    /// Closes the sockets of an agent who was deleted, which `admin-api` could not close. If this fails, they get
    /// nothing all the same.
    async fn close(&self, agent: &AgentId) {
        let closed = async {
            for Connection { id, .. } in self.store.connections(agent).await? {
                let closed = self.sockets.close(&id).await;
                closed.map_err(|error| PortError { operation: "close", reason: error.to_string() })?;
                self.store.disconnect(agent, &id).await?;
            }
            Ok::<_, PortError>(())
        };
        if let Err(error) = closed.await {
            tracing::warn!(event = "push.not_closed", %agent, %error);
        }
    }

    /// A presence event with the presence as it is now, and the name of whoever forced it. Several changes may be on
    /// their way, and the last event that an agent receives must be true.
    async fn as_it_is<'e>(&self, agent: &AgentId, event: &'e AgentEvent) -> Result<Cow<'e, AgentEvent>, PortError> {
        let AgentEvent::Presence { .. } = event else { return Ok(Cow::Borrowed(event)) };
        let Some(presence) = self.store.presences(std::slice::from_ref(agent)).await?.remove(agent) else {
            return Ok(Cow::Borrowed(event));
        };
        let mut now = AgentEvent::of_presence(&presence);
        if let AgentEvent::Presence { by: Some(by), by_name, .. } = &mut now
            && let Ok(by) = by.parse()
        {
            *by_name = self.configuration.agent(&by).await?.map(|agent| agent.name);
        }
        Ok(Cow::Owned(now))
    }

    /// The agents whose feeds get the event. An offer to a queue goes to the members who are on the account, did
    /// not reject it, and can take it now. Its withdrawal goes to all members who are logged in.
    async fn audience(&self, job: &Job) -> Result<Vec<AgentId>, PortError> {
        let (queue, except) = match &job.to {
            Recipients::Audience(Audience::Agents(agents)) => return Ok(agents.clone()),
            Recipients::Audience(Audience::Members { queue, except }) => (queue, except),
            Recipients::Holder { holder_of } => return engine::followers(&self.store, holder_of, cloud::time::now()).await,
            Recipients::Administrators { .. } => return self.with_role(Role::Admin).await,
            Recipients::Supervisors { .. } | Recipients::Overseers { .. } => return self.with_role(Role::Supervisor).await,
            Recipients::Watchers { watchers } => return engine::watching(&self.store, watchers, cloud::time::now()).await,
            Recipients::Configured { configured } => return self.shown_to(configured).await,
        };
        let Some(queue) = self.configuration.queue(queue).await? else { return Ok(Vec::new()) };
        let account = match &job.account {
            Some(id) => self.configuration.account(id).await?,
            None => None,
        };
        let of_account = |agent: &AgentId| account.as_ref().is_none_or(|account| account.agents.contains(agent));
        let members: Vec<AgentId> = queue.members.into_iter().filter(|agent| of_account(agent) && !except.contains(agent)).collect();
        let presences = self.store.presences(&members).await?;
        let takes = |presence: &Presence| match &job.event {
            // An agent who has the interaction already needs no second slot for it.
            AgentEvent::Offered { interaction, .. } => {
                presence.available() || (presence.is_ready() && presence.load.contains(&interaction.id))
            }
            _ => presence.logged_in(),
        };
        Ok(members.into_iter().filter(|agent| presences.get(agent).is_some_and(takes)).collect())
    }

    /// The agents whose screens show a change of the configuration. What is cached may be from before it.
    async fn shown_to(&self, screens: &Screens) -> Result<Vec<AgentId>, PortError> {
        self.configuration.renew().await?;
        let told: BTreeSet<AgentId> = match screens {
            Screens::Everybody => self.configuration.agents().await?.keys().cloned().collect(),
            Screens::Agents(agents) => agents.iter().cloned().collect(),
            Screens::Account { account, left } => {
                let members = self.configuration.account(account).await?.map(|account| account.agents.clone());
                let overseers = self.with_role(Role::Supervisor).await?;
                members.into_iter().flatten().chain(overseers).chain(left.iter().cloned()).collect()
            }
            Screens::Queue { queue, left } => {
                let members = self.configuration.queue(queue).await?.map(|queue| queue.members);
                members.into_iter().flatten().chain(left.iter().cloned()).collect()
            }
        };
        Ok(told.into_iter().collect())
    }

    /// The agents with this role or a higher one.
    async fn with_role(&self, role: Role) -> Result<Vec<AgentId>, PortError> {
        let agents = self.configuration.agents().await?;
        Ok(agents.values().filter(|agent| agent.role >= role).map(|agent| agent.id.clone()).collect())
    }

    /// Sends an event to an agent's sockets. The feed is the truth and a socket a convenience: after a failure the
    /// client catches up, and nothing is appended twice.
    async fn post(&self, agent: &AgentId, event: &FeedEvent<AgentEvent>) {
        let sent = async {
            let bytes = serde_json::to_vec(event).map_err(|error| PortError { operation: "encode", reason: error.to_string() })?;
            let connections = self.store.connections(agent).await?;
            join_all(connections.iter().map(|connection| self.post_to(connection, bytes.clone())))
                .await
                .into_iter()
                .collect::<Result<(), PortError>>()
        };
        if let Err(error) = sent.await {
            tracing::warn!(event = "push.not_posted", %agent, %error);
        }
    }

    async fn post_to(&self, connection: &Connection, bytes: Vec<u8>) -> Result<(), PortError> {
        match self.sockets.post(&connection.id, bytes).await {
            Ok(Posted::Sent) => Ok(()),
            Ok(Posted::Gone) if connection.is_opening(cloud::time::now()) => {
                tracing::info!(event = "push.connection_opening", agent = %connection.agent);
                Ok(())
            }
            Ok(Posted::Gone) => self.lost(connection).await,
            Err(error) => Err(PortError { operation: "post", reason: error.to_string() }),
        }
    }

    /// Handles a lost connection as if API Gateway had reported its end. If this fails, the next event finds the
    /// connection again.
    async fn lost(&self, Connection { id, agent, .. }: &Connection) -> Result<(), PortError> {
        let at = cloud::time::now();
        let lost = Wakeup::Lost { agent: agent.clone(), connection: id.clone(), at };
        let sent = self.timers.send(&lost, SendOptions::delayed(self.configuration.connection_grace().await)).await;
        sent.map_err(|error| PortError { operation: "lost", reason: error.to_string() })?;
        self.store.lose(agent, id, at).await?;
        tracing::info!(event = "push.connection_gone", %agent);
        Ok(())
    }
}

/// Serves every agent, as many at once as there are permits. The first error is returned after all agents are
/// served.
async fn every<F, Fut>(agents: Vec<AgentId>, at_once: &Semaphore, serve: F) -> Result<(), PortError>
where
    F: Fn(AgentId) -> Fut,
    Fut: Future<Output = Result<(), PortError>>,
{
    let served = agents.into_iter().map(|agent| async {
        // The semaphore is never closed. Without a permit, at worst many calls run at once.
        let _permit = at_once.acquire().await;
        serve(agent).await
    });
    join_all(served).await.into_iter().collect()
}

impl Consumer for Push {
    type Job = Job;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    async fn consume(&self, job: Job, _: Delivery) -> Result<(), Failure> {
        self.deliver(&job).await.map_err(|error| {
            tracing::error!(event = "push.failed", effect = job.id, %error);
            Failure::Retry
        })
    }
}

/// Runs the Lambda.
///
/// # Errors
/// The environment is incomplete, or the runtime ends.
pub async fn run() -> Result<(), Error> {
    batch::run(Push::from_env).await
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn agents(number: u64) -> Vec<AgentId> {
        (0..number).map(|number| AgentId::from_ulid(ulid::Ulid::from_parts(1, u128::from(number)))).collect()
    }

    #[tokio::test]
    async fn a_failure_for_one_agent_keeps_nothing_from_the_others() {
        let (served, all) = (Mutex::new(Vec::new()), agents(5));
        let outcome = every(all.clone(), &Semaphore::new(2), async |agent| {
            tokio::task::yield_now().await;
            if agent == all[1] {
                return Err(PortError { operation: "append", reason: "throttled".to_owned() });
            }
            served.lock().unwrap().push(agent);
            Ok(())
        })
        .await;
        assert_eq!(outcome.unwrap_err().operation, "append");
        assert_eq!(served.into_inner().unwrap(), [&all[0], &all[2], &all[3], &all[4]].map(Clone::clone));
    }

    #[tokio::test]
    async fn agents_are_served_at_the_same_time_up_to_a_limit() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let serve = async |_| {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::Relaxed);
            Ok(())
        };
        every(agents(300), &Semaphore::new(AT_ONCE), serve).await.unwrap();
        assert_eq!(most.into_inner(), AT_ONCE);
    }
}
