//! The data that a decision needs.

use std::collections::BTreeSet;

use super::Event;
use crate::effect::{Target, Timer};
use crate::ids::{AccountId, AgentId, QueueId};
use crate::interaction::{Interaction, Stage};

/// The data that a decision needs beside the account, its plan and its list. The caller loads it first, and the
/// decision reads nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// When the customer wrote last: the decision may send something, and the service window may be over, or it keeps
    /// that time.
    pub service_window: bool,
    /// The presences of these agents.
    pub presences: BTreeSet<AgentId>,
    /// The queues that the event and the interaction name, beside those of the plan.
    pub queues: BTreeSet<QueueId>,
    /// The version of the plan whose run is under way. It may be the account's current one.
    pub running_plan: Option<u64>,
    /// The dispositions of all accounts.
    pub dispositions: bool,
    /// The pause of an agent who owes a disposition.
    pub disposition_pause: bool,
    /// The reasons why nobody is being rung.
    pub passed_over: bool,
    /// Proof that the customer has no other open interaction.
    pub no_other_open: bool,
    /// The membership that must still hold when the decision is written.
    pub membership: Option<Membership>,
}

/// The membership of an agent who takes an interaction: the agent must be on its account, and in the queue through
/// which it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The agent.
    pub agent: AgentId,
    /// The account.
    pub account: AccountId,
    /// The queue, if it came through one.
    pub queue: Option<QueueId>,
}

impl Needs {
    /// The needs of opening an interaction with a message of `agent`.
    pub fn to_start(agent: &AgentId, account: &AccountId) -> Self {
        let membership = Membership { agent: agent.clone(), account: account.clone(), queue: None };
        Self { presences: BTreeSet::from([agent.clone()]), membership: Some(membership), ..Self::default() }
    }
}

/// The needs of the decision on `event`. Before the interaction is read, `interaction` is `None`. The result then
/// holds the needs of the event alone, and says how to read the interaction.
pub fn needs(event: &Event, interaction: Option<&Interaction>) -> Needs {
    let mut needs = Needs::default();
    let owner = || interaction.and_then(|interaction| interaction.agent.clone());
    match event {
        // An agent who is present sees it at once.
        Event::MessageReceived { .. } | Event::Absorb(_) => {
            needs.service_window = true;
            needs.presences.extend(owner());
        }
        Event::MessageSent { .. } | Event::VideoStarted { .. } => {
            needs.service_window = true;
            needs.presences.extend(owner().filter(|_| waits(interaction)));
        }
        Event::Transfer { to, .. } => {
            needs.presences.extend(owner().filter(|_| waits(interaction)));
            needs.queues.extend(queue_of(to).cloned());
        }
        // The plan may go on and reply, or a transfer may return to its agent.
        Event::Timer(Timer::Wait { .. }) | Event::Reject { .. } => {
            needs.service_window = true;
            needs.passed_over = matches!(event, Event::Timer(_)) && waits(interaction) && !rings(interaction);
            needs.presences.extend(owner().filter(|_| is_handed_over(interaction) || is_answered(interaction)));
        }
        // The plan goes on, or its agent may be there.
        Event::AiSwitched { .. } | Event::AiAnswered { .. } | Event::AiEscalates { .. } => {
            needs.service_window = true;
            needs.presences.extend(owner());
        }
        Event::AccountActivated | Event::AgentLeft { .. } | Event::WebhookAnswered { .. } => needs.service_window = true,
        Event::Accept { agent } => {
            needs.presences.insert(agent.clone());
            // An agent who takes back an own interaction needs no membership.
            needs.membership = interaction.filter(|interaction| interaction.agent.as_ref() != Some(agent)).map(|interaction| Membership {
                agent: agent.clone(),
                account: interaction.account.clone(),
                queue: interaction.offer().and_then(|offer| queue_of(&offer.target)).cloned(),
            });
        }
        Event::Pick { agent } | Event::Reassign { to: agent, .. } => {
            needs.presences.insert(agent.clone());
            needs.membership = membership(interaction, agent);
        }
        Event::Reopen { agent } => {
            needs.presences.insert(agent.clone());
            needs.membership = membership(interaction, agent);
            needs.no_other_open = true;
            needs.service_window = true;
        }
        Event::ReopenFor { to, .. } => {
            needs.presences.extend(to.clone());
            needs.membership = to.as_ref().and_then(|to| membership(interaction, to));
            needs.no_other_open = true;
            needs.service_window = true;
        }
        // Watches that have ended make room.
        Event::Watch { .. } => {
            let watchers = interaction.into_iter().flat_map(|interaction| &interaction.watchers);
            needs.presences.extend(watchers.map(|watcher| watcher.agent.clone()));
        }
        Event::OpenTab { agent } | Event::AgentUnavailable { agent } => drop(needs.presences.insert(agent.clone())),
        Event::Close { agent, .. } => {
            needs.presences.insert(agent.clone());
            needs.dispositions = true;
            needs.disposition_pause = true;
        }
        Event::CloseForAll { .. } => needs.dispositions = true,
        Event::NoteAdded { .. }
        | Event::Retagged { .. }
        | Event::AiClaims { .. }
        | Event::LanguageChosen { .. }
        | Event::LanguageDetected { .. }
        | Event::InsightsMade { .. }
        | Event::Noted { .. }
        | Event::Readdressed { .. }
        | Event::Overheard { .. }
        | Event::MergeInto(_)
        | Event::Ring(_)
        | Event::CloseTab { .. }
        | Event::Archive { .. }
        | Event::RequestTranscript { .. }
        | Event::Unwatch { .. }
        | Event::Timer(Timer::Offer { .. } | Timer::Again { .. } | Timer::Inactivity { .. })
        | Event::AccountDeactivated
        | Event::AccountLeaves
        | Event::Removed => {}
    }
    if let Some(interaction) = interaction {
        // When an agent no longer owes a disposition, the agent returns to the presence before.
        needs.presences.extend(interaction.wrap_up.iter().map(|wrap_up| wrap_up.agent.clone()));
        needs.queues.extend(interaction.accepted_via.iter().chain(&interaction.tried).cloned());
        needs.queues.extend(interaction.wait.iter().flat_map(|wait| &wait.targets).filter_map(queue_of).cloned());
        needs.running_plan = interaction.wait.as_ref().and_then(|wait| match wait.stage {
            Stage::Step { plan, .. } | Stage::Webhook { plan, .. } => Some(plan),
            Stage::AssignedAgent | Stage::AssignedQueue | Stage::Transfer | Stage::Exhausted | Stage::Inactive => None,
        });
    }
    needs
}

fn membership(interaction: Option<&Interaction>, agent: &AgentId) -> Option<Membership> {
    interaction.map(|interaction| Membership { agent: agent.clone(), account: interaction.account.clone(), queue: None })
}

fn waits(interaction: Option<&Interaction>) -> bool {
    interaction.is_some_and(|interaction| interaction.wait.is_some())
}

fn rings(interaction: Option<&Interaction>) -> bool {
    interaction.is_some_and(|interaction| interaction.offer().is_some())
}

fn is_answered(interaction: Option<&Interaction>) -> bool {
    interaction.is_some_and(|interaction| interaction.ai_wait().is_some())
}

fn is_handed_over(interaction: Option<&Interaction>) -> bool {
    interaction.and_then(|interaction| interaction.wait.as_ref()).is_some_and(|wait| wait.stage == Stage::Transfer)
}

fn queue_of(target: &Target) -> Option<&QueueId> {
    match target {
        Target::Queue(queue) => Some(queue),
        Target::Agent(_) | Target::Account(_) => None,
    }
}
