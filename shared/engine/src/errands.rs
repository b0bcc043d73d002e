//! Maps a committed effect to the body of a queue, with its group and its id. `dispatch` and the random histories
//! of the tests run this same mapping.

use domain::effect::{Audience, ConversationKey, Effect, MessageKey, Notice, effect_id};
use domain::ids::AccountId;
use domain::inbound::InboundEvent;
use domain::news::News;
use jiff::Timestamp;

use crate::jobs::{
    ArchiveJob, AssignJob, AssistJob, MediaJob, PushJob, Recipients, ReportJob, SendJob, TriggerJob, Wakeup, WebhookJob, inbound_dedup,
};
use crate::stream::{Grown, Owner};

/// A body to send to a queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Errand {
    /// The effect's id, by which a repetition is recognised.
    pub id: String,
    /// The group. Errands of one group are carried out one after the other, in order; `None` for a queue without
    /// order.
    pub group: Option<String>,
    /// The body, which also says which queue it is for.
    pub job: Job,
}

/// The body of a queue.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// For `inbound.fifo`.
    Route(Box<InboundEvent>),
    /// For `assign.fifo`.
    Assign(AssignJob),
    /// For `outbound.fifo`.
    Send(SendJob),
    /// For `media`.
    Media(MediaJob),
    /// For `archive`.
    Archive(ArchiveJob),
    /// For `assist`.
    Assist(AssistJob),
    /// For `webhook`.
    Webhook(Box<WebhookJob>),
    /// For `trigger`.
    Trigger(Box<TriggerJob>),
    /// For `report`.
    Report(ReportJob),
    /// For `push.fifo`.
    Push(Box<PushJob>),
    /// For `timers`.
    Wakeup {
        /// When it is due. The earliest time means at once.
        at: Timestamp,
        /// The body.
        job: Wakeup,
    },
}

/// An effect's id, and when it was committed if that is known.
struct Committed {
    id: String,
    at: Option<Timestamp>,
}

/// An effect that an item of this kind can't cause.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the effect {0} does not belong to this kind of item")]
pub struct Misplaced(pub usize);

impl Errand {
    /// Routes an event. Its id is the one under which it was enqueued when it was received, so that the second to
    /// come changes nothing.
    pub fn route(event: &InboundEvent) -> Self {
        Self { id: inbound_dedup(event), group: Some(event.group()), job: Job::Route(Box::new(event.queued().into_owned())) }
    }

    /// Decides again which agents get which offers, one decision at a time for each target.
    pub fn assign(id: String, job: AssignJob) -> Self {
        Self { id, group: Some(job.target.key().to_owned()), job: Job::Assign(job) }
    }

    /// Sends a message: one after the other for each conversation.
    pub fn send(id: String, message: MessageKey, heard_at: Option<Timestamp>) -> Self {
        Self { id, group: Some(message.interaction.conversation.group()), job: Job::Send(SendJob { message, heard_at }) }
    }

    /// Pushes news to agents. News of one `group` keeps its order on their screens.
    fn push(effect: Committed, group: String, to: impl Into<Recipients>, account: Option<AccountId>, news: News) -> Self {
        let Committed { id, at: committed_at } = effect;
        let job = PushJob { id: id.clone(), committed_at, to: to.into(), account, news };
        Self { id, group: Some(group), job: Job::Push(Box::new(job)) }
    }

    /// Sends a wake-up at `at`. Timers have no order.
    pub fn wakeup(id: String, at: Timestamp, job: Wakeup) -> Self {
        Self { id, group: None, job: Job::Wakeup { at, job } }
    }

    fn unordered(id: String, job: Job) -> Self {
        Self { id, group: None, job }
    }
}

impl Grown {
    /// The errands of the version's effects. `committed_at` is the time of the version's record in the stream.
    ///
    /// # Errors
    /// One of them is an effect that an item of this kind can't cause.
    pub fn errands(&self, committed_at: Option<Timestamp>) -> Result<Vec<Errand>, Misplaced> {
        let errand = |(index, effect)| self.item.errand(self.version, index, effect, committed_at).ok_or(Misplaced(index));
        self.effects.iter().enumerate().map(errand).collect()
    }
}

impl Owner {
    fn id(&self, version: u64, index: usize) -> String {
        let item = match self {
            Self::Event(event) => return inbound_dedup(event),
            Self::Interaction(interaction) => interaction.id.as_str(),
            Self::Message { message, .. } => message.id.as_str(),
            Self::Contact(contact) => contact.id.as_str(),
            Self::Presence { agent, .. } => agent.as_str(),
            // The same event's errand on another queue has the same id.
            Self::Alert { account, event, .. } => return format!("{account}#{event}"),
        };
        effect_id(item, version, index)
    }

    fn errand(&self, version: u64, index: usize, effect: &Effect, committed_at: Option<Timestamp>) -> Option<Errand> {
        let id = self.id(version, index);
        let committed = |id| Committed { id, at: committed_at };
        let at_once = Timestamp::UNIX_EPOCH;
        Some(match (effect, self) {
            (Effect::Route, Self::Event(event)) => Errand::route(event),
            (Effect::SendMessage { message, at }, Self::Interaction(interaction)) => {
                let message = MessageKey { interaction: interaction.key(), at: *at, message: message.clone() };
                Errand::send(id, message, interaction.heard_at)
            }
            (Effect::Send, Self::Message { key, .. }) => Errand::send(id, key.clone(), None),
            (Effect::CopyMedia { index }, Self::Message { key, .. }) => {
                Errand::unordered(id, Job::Media(MediaJob { message: key.clone(), index: *index }))
            }
            (Effect::Archive, Self::Interaction(interaction)) => {
                Errand::unordered(id, Job::Archive(ArchiveJob { interaction: interaction.key() }))
            }
            (Effect::Archive, Self::Message { key, .. }) => {
                Errand::unordered(id, Job::Archive(ArchiveJob { interaction: key.interaction.clone() }))
            }
            (Effect::Insights, Self::Interaction(interaction)) => {
                let job = AssistJob::Insights { interaction: interaction.key(), closed_at: interaction.closed_at? };
                Errand::unordered(id, Job::Assist(job))
            }
            (Effect::Wake { target }, _) => Errand::assign(id, AssignJob::wake(target.clone())),
            (Effect::Timer { at, timer }, Self::Interaction(interaction)) => {
                Errand::wakeup(id, *at, Wakeup::Timer { interaction: interaction.key(), at: *at, which: timer.clone() })
            }
            (Effect::Withdraw { interaction, agent }, Self::Presence { .. } | Self::Interaction(_)) => {
                Errand::wakeup(id, at_once, Wakeup::Withdraw { interaction: interaction.clone(), agent: agent.clone() })
            }
            (Effect::Missed { agent, limit }, Self::Interaction(_)) => {
                Errand::wakeup(id.clone(), at_once, Wakeup::Missed { id, agent: agent.clone(), limit: *limit })
            }
            (Effect::Unify { contact, business }, Self::Contact(_)) => {
                Errand::wakeup(id, at_once, Wakeup::Unify { contact: contact.clone(), business: business.clone() })
            }
            (Effect::Webhook { wait, url, until }, Self::Interaction(interaction)) => {
                let (interaction, url) = (interaction.key(), url.clone());
                let job = WebhookJob { id: id.clone(), interaction, wait: *wait, url, until: *until };
                Errand::unordered(id, Job::Webhook(Box::new(job)))
            }
            (Effect::Answer { wait }, Self::Interaction(interaction)) => {
                Errand::unordered(id, Job::Assist(AssistJob::Answer { interaction: interaction.key(), wait: *wait }))
            }
            (Effect::TellSupervisors { notice }, Self::Interaction(interaction)) => {
                let to = Recipients::Overseers { overseers_of: interaction.account.clone() };
                let (account, news) = (interaction.account.clone(), News::of_interaction(notice, interaction)?);
                Errand::push(committed(id), interaction.conversation().group(), to, Some(account), news)
            }
            (Effect::Trigger { happened }, Self::Interaction(interaction)) => {
                let job = TriggerJob::Happened { id: id.clone(), interaction: interaction.clone(), happened: happened.clone() };
                Errand::unordered(id, Job::Trigger(Box::new(job)))
            }
            (Effect::Report, Self::Interaction(interaction)) => {
                Errand::unordered(id, Job::Report(ReportJob::Count { interaction: interaction.key(), version, at: committed_at }))
            }
            (Effect::Report, Self::Message { key, .. }) => Errand::unordered(id, Job::Report(ReportJob::Price { message: key.clone() })),
            (Effect::Push { to, notice }, Self::Interaction(interaction)) => {
                let news = News::of_interaction(notice, interaction)?;
                // News of a presence keeps its order among all news of that presence, whatever causes it.
                let own_order = match (notice, to) {
                    (Notice::PresenceNow { .. }, Audience::Agents(agents)) => agents.first().map(ToString::to_string),
                    _ => None,
                };
                let group = own_order.unwrap_or_else(|| interaction.conversation().group());
                Errand::push(committed(id), group, to.clone(), Some(interaction.account.clone()), news)
            }
            (Effect::Push { to, notice }, Self::Message { message, key }) => {
                let ConversationKey { account, .. } = &key.interaction.conversation;
                let (group, news) = (key.interaction.conversation.group(), News::of_message(notice, message)?);
                Errand::push(committed(id), group, to.clone(), Some(account.clone()), news)
            }
            (Effect::TellHolder { notice }, Self::Message { message, key }) => {
                let ConversationKey { account, .. } = &key.interaction.conversation;
                let to = Recipients::Holder { holder_of: key.interaction.clone() };
                let (group, news) = (key.interaction.conversation.group(), News::of_message(notice, message)?);
                Errand::push(committed(id), group, to, Some(account.clone()), news)
            }
            (Effect::TellWatchers { watchers, notice }, Self::Interaction(interaction)) => {
                let to = Recipients::Watchers { watchers: watchers.clone() };
                let (account, news) = (interaction.account.clone(), News::of_interaction(notice, interaction)?);
                Errand::push(committed(id), interaction.conversation().group(), to, Some(account), news)
            }
            (Effect::TellWatchers { watchers, notice }, Self::Message { message, key }) => {
                let ConversationKey { account, .. } = &key.interaction.conversation;
                let to = Recipients::Watchers { watchers: watchers.clone() };
                let (group, news) = (key.interaction.conversation.group(), News::of_message(notice, message)?);
                Errand::push(committed(id), group, to, Some(account.clone()), news)
            }
            (Effect::Alert, Self::Alert { account, alert, received_at, .. }) => {
                let to = Recipients::Administrators { administrators_of: account.clone() };
                let news = News::Alert { account: account.clone(), alert: (&**alert).into(), at: *received_at };
                Errand::push(committed(id), account.to_string(), to, Some(account.clone()), news)
            }
            (Effect::Report, Self::Presence { agent, revision, duty, .. }) => {
                let job = ReportJob::Duty { agent: agent.clone(), revision: *revision, at: committed_at, duty: *duty };
                // Its version stays when only its load changes.
                Errand::unordered(format!("{agent}-r{revision}"), Job::Report(job))
            }
            (Effect::Push { to, .. }, Self::Presence { agent, state, .. }) => {
                Errand::push(committed(id), agent.to_string(), to.clone(), None, News::Presence { state: *state })
            }
            (
                Effect::Route
                | Effect::Send
                | Effect::SendMessage { .. }
                | Effect::CopyMedia { .. }
                | Effect::Archive
                | Effect::Insights
                | Effect::Alert
                | Effect::Timer { .. }
                | Effect::Withdraw { .. }
                | Effect::Missed { .. }
                | Effect::Webhook { .. }
                | Effect::Trigger { .. }
                | Effect::Report
                | Effect::Unify { .. }
                | Effect::TellHolder { .. }
                | Effect::TellWatchers { .. }
                | Effect::TellSupervisors { .. }
                | Effect::Answer { .. }
                | Effect::Push { .. },
                _,
            ) => return None,
        })
    }
}
