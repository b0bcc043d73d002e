//! The bodies of the queues.

use domain::business::Business;
use domain::effect::{Audience, InteractionKey, MessageKey, Target, Timer};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, JobId, TriggerId};
use domain::inbound::InboundEvent;
use domain::interaction::{Interaction, Watcher};
use domain::news::News;
use domain::plan::WebhookUrl;
use domain::queue::MissedLimit;
use domain::report::{AiCall, Duty, Quarter};
use domain::screens::Screens;
use domain::trigger::{Happened, TriggerCall};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::assign::{Reach, Woken};

/// On `timers`: do something to an interaction or an agent at a set time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wakeup", rename_all = "snake_case")]
pub enum Wakeup {
    /// A wait is over at `at`.
    Timer {
        /// The interaction.
        #[serde(flatten)]
        interaction: InteractionKey,
        /// The deadline.
        at: Timestamp,
        /// The wait.
        which: Timer,
    },
    /// An agent let an offer ring out.
    Missed {
        /// The effect's id, so that it counts once.
        id: String,
        /// The agent.
        agent: AgentId,
        /// How many offers may be missed in a row.
        limit: MissedLimit,
    },
    /// A customer's contacts were linked. Two open interactions on one account become one. Or they were cut apart.
    Unify {
        /// One of the contacts.
        contact: ContactId,
        /// The business on whose accounts; `None` for all, and in jobs of the version before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        business: Option<Business>,
    },
    /// An agent's connection was lost a while ago. The agent is logged out if there has been no other since.
    Lost {
        /// The agent.
        agent: AgentId,
        /// The connection. It is forgotten now, if that has not happened yet.
        connection: String,
        /// When it was lost. A later loss has its own wake-up.
        at: Timestamp,
    },
    /// An agent's queues or accounts changed a while ago. Decisions that an older configuration has made since are
    /// checked once more.
    Reconfigured {
        /// The agent.
        agent: AgentId,
    },
    /// An agent became unavailable.
    Withdraw {
        /// The interaction that rang at the agent.
        interaction: InteractionId,
        /// The agent.
        agent: AgentId,
    },
}

impl Wakeup {
    /// The seconds until an agent whose queues or accounts changed is looked at again. For 5 s a process may know the
    /// old configuration and ring the agent by it.
    pub const LOOKED_AT_AGAIN_SECONDS: u32 = 6;
}

/// On `assign.fifo`, group = target: decide again which agents get which offers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AssignJob {
    /// The target.
    pub target: Target,
    /// Whether the configuration changed, so that the cached one must not decide.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconfigured: bool,
    /// Whether the cause is a change in another queue of the same agents ([`Reach::Near`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub related: bool,
    /// The wake goes on where another one ended, behind this one of its agent's or its account's targets. The version
    /// before does not know it and begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Target>,
    /// Not a wake: the sweep goes on behind the target. The version before does not know it and wakes the target.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sweep: bool,
}

impl AssignJob {
    /// The job after a change of a waiting interaction or of a presence.
    pub fn wake(target: Target) -> Self {
        Self { target, reconfigured: false, related: false, after: None, sweep: false }
    }

    /// The job after a change of the configuration. It must not decide with a cached configuration.
    pub fn reconfigured(target: Target) -> Self {
        Self { reconfigured: true, ..Self::wake(target) }
    }

    /// The rest of a sweep whose last target this was.
    pub fn rest_of_sweep(last: Target) -> Self {
        Self { sweep: true, ..Self::wake(last) }
    }

    /// The jobs that follow, one for each target in the result.
    pub fn then(&self, woken: &Woken) -> Vec<AssignJob> {
        let next = |target: &Target, related| Self { reconfigured: self.reconfigured, related, ..Self::wake(target.clone()) };
        let also = woken.also.iter().map(|target| next(target, false));
        let rest = woken.until.iter().map(|last| Self { after: Some(last.clone()), ..self.clone() });
        also.chain(woken.related.iter().map(|target| next(target, true))).chain(rest).collect()
    }

    /// How far it goes.
    pub fn reach(&self) -> Reach {
        if self.related { Reach::Near } else { Reach::Far }
    }

    /// The agent whose queues or accounts were changed, if that is why. A wake that goes on has released the agent.
    pub fn reconfigured_agent(&self) -> Option<&AgentId> {
        match &self.target {
            Target::Agent(agent) if self.reconfigured && self.after.is_none() => Some(agent),
            Target::Agent(_) | Target::Queue(_) | Target::Account(_) => None,
        }
    }
}

/// On `outbound.fifo`, group = conversation: send a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SendJob {
    /// The message.
    pub message: MessageKey,
    /// The provider's time of the customer's latest message, as the version knew it that caused the job; `None` if it
    /// did not, and in jobs of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard_at: Option<Timestamp>,
}

/// On `media`: copy an attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaJob {
    /// The message.
    pub message: MessageKey,
    /// The attachment's index in the message.
    pub index: usize,
}

/// On `jobs`: a step of a job of a supervisor. A job sends itself on until it is done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobStep {
    /// The job.
    pub job: JobId,
    /// The number of the step. A step with another number than the job's next one is a repetition.
    #[serde(default)]
    pub turn: u64,
}

/// On `archive`: write the transcript and the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArchiveJob {
    /// The interaction.
    pub interaction: InteractionKey,
}

/// On `assist`: let a model work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "assist", rename_all = "snake_case")]
pub enum AssistJob {
    /// Make the insights of an interaction that closed.
    Insights {
        /// The interaction.
        #[serde(flatten)]
        interaction: InteractionKey,
        /// When it closed. If it was reopened since, the job is stale.
        closed_at: Timestamp,
    },
    /// Let the AI agent answer the customer. The version before does not know it: there the job comes again.
    Answer {
        /// The interaction.
        #[serde(flatten)]
        interaction: InteractionKey,
        /// The wait whose deadline is the answer's. If it is over, the job is stale.
        wait: u64,
    },
}

/// The agents to whom a push goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Recipients {
    /// Those whom the cause of the push named.
    Audience(Audience),
    /// The agent who has an interaction when the push is made, and whoever watches it
    /// ([`followers`](crate::followers)).
    Holder {
        /// The interaction. It may have been merged into another meanwhile.
        holder_of: InteractionKey,
    },
    /// Those of these supervisors who still watch when the push is made ([`watching`](crate::watching)). The version
    /// before does not know this form: there the job fails and comes again.
    Watchers {
        /// The supervisors who watched the interaction when it changed.
        watchers: Vec<Watcher>,
    },
    /// All admins and owners. The version before does not know this form: there the job fails and comes again.
    Administrators {
        /// The account that it is about.
        administrators_of: AccountId,
    },
    /// All supervisors, admins and owners. The version before does not know this form: there the job fails and comes
    /// again.
    Supervisors {
        /// The trigger that it is about.
        supervisors_about: TriggerId,
    },
    /// The same, about an interaction of an account. The version before does not know this form: there the job fails
    /// and comes again.
    Overseers {
        /// The account.
        overseers_of: AccountId,
    },
    /// Those whose screens show a change of the configuration. The version before does not know this form: there the
    /// job fails and comes again.
    Configured {
        /// Whose.
        configured: Screens,
    },
}

impl From<Audience> for Recipients {
    fn from(audience: Audience) -> Self {
        Self::Audience(audience)
    }
}

/// On `push.fifo`, group = conversation or agent: append an event to the feeds of agents and send it to their sockets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PushJob {
    /// The effect's id, so that a repetition changes nothing.
    pub id: String,
    /// When the effect was committed, or a little later, but always before the first job of this id: its event is not
    /// in a feed for longer than since then. `None` if it is not known, and in jobs of the version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_at: Option<Timestamp>,
    /// The agents whose feeds get the event.
    pub to: Recipients,
    /// The account of an offer to a queue: only the account's agents get it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The news. `push` makes the view from it. The version before wrote the view itself, as `event`.
    pub news: News,
}

impl PushJob {
    /// Tells agents that their configuration changed. `id` is a ULID that was made before the change was written, so
    /// that the job is the same whoever sends it.
    pub fn configuration(id: &str, configured: Screens) -> Self {
        let made = Ulid::from_string(id).ok().and_then(|id| i64::try_from(id.timestamp_ms()).ok());
        Self {
            id: format!("configuration-{id}"),
            committed_at: made.and_then(|made| Timestamp::from_millisecond(made).ok()),
            to: Recipients::Configured { configured },
            account: None,
            news: News::Configuration,
        }
    }

    /// The message group of those jobs: whoever is told of several changes is told of them in their order.
    pub const CONFIGURATION: &'static str = "configuration";
}

/// On `webhook`: call another system for a Webhook step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookJob {
    /// The effect's id. The other system gets it too, and may recognise a repetition by it.
    pub id: String,
    /// The interaction.
    pub interaction: InteractionKey,
    /// The wait that the answer ends.
    pub wait: u64,
    /// The address of the other system.
    pub url: WebhookUrl,
    /// Until when an answer counts.
    pub until: Timestamp,
}

/// On `trigger`: tell other systems what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum TriggerJob {
    /// Ask the conditions of the triggers that wait for it.
    Happened {
        /// The effect's id.
        id: String,
        /// The interaction as it was then.
        interaction: Box<Interaction>,
        /// What happened.
        happened: Vec<Happened>,
    },
    /// Make a call.
    Call(TriggerCall),
    /// Make the calls of a trigger that are due, one after the other, as long as its system takes them.
    Due {
        /// The trigger.
        trigger: TriggerId,
    },
}

/// On `report`: count what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum ReportJob {
    /// Keep the facts of a version.
    Count {
        /// The interaction.
        #[serde(flatten)]
        interaction: InteractionKey,
        /// The version.
        version: u64,
        /// When the stream got it, right after the commit; `None` for a record that was made by hand, and from the
        /// version before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// Keep at what price a message reached its customer.
    Price {
        /// The message.
        message: MessageKey,
    },
    /// Keep a call of a language model.
    Ai {
        /// The account for which it was made.
        account: AccountId,
        /// The call's id.
        id: String,
        /// The call.
        call: AiCall,
    },
    /// Keep what an agent is up to from now on.
    Duty {
        /// The agent.
        agent: AgentId,
        /// The presence's revision.
        revision: u64,
        /// When the stream got it, right after the commit; `None` for a record that was made by hand, which has no
        /// time.
        at: Option<Timestamp>,
        /// What the agent is up to.
        duty: Duty,
    },
}

/// On `rollup.fifo`, group = account and quarter-hour: add up the facts of a quarter-hour. It is delayed, so that one
/// job adds up what came within a minute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RollupJob {
    /// The account.
    pub account: AccountId,
    /// The quarter-hour.
    pub quarter: Quarter,
}

impl RollupJob {
    /// The delay of the queue: a minute, in which jobs of the same quarter-hour are dropped, and the skew of two
    /// clocks. So what is dropped was written before the job runs that stays.
    pub const DELAY_SECONDS: i64 = 75;

    /// Its message group.
    pub fn group(&self) -> String {
        format!("{}#{}", self.account, self.quarter.0)
    }

    /// Its deduplication id: of those sent within a minute, one stays.
    pub fn dedup(&self, now: Timestamp) -> String {
        format!("{}#{}", self.group(), now.as_second().div_euclid(60))
    }
}

/// The deduplication id on `inbound.fifo`, group = [`InboundEvent::group`]. receive and the event's own stream
/// record share it, so that the second to come changes nothing.
pub fn inbound_dedup(event: &InboundEvent) -> String {
    format!("{}#{}", event.account, event.id)
}
