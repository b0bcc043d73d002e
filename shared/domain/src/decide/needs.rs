//! What a decision has to know.

use std::collections::BTreeSet;

use super::Event;
use crate::effect::{Target, Timer};
use crate::ids::{AccountId, AgentId, QueueId};
use crate::interaction::{Interaction, Stage};

/// What a decision rests on beside the account, its plan and its list. Whoever decides loads this first: nothing else is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// When the customer wrote last, since something may be sent: the service window may be over.
    pub service_window: bool,
    /// The presence of these agents.
    pub presences: BTreeSet<AgentId>,
    /// The queues that the event and the interaction name, beside those of the plan.
    pub queues: BTreeSet<QueueId>,
    /// The version of the plan whose run is under way. It may be the account's current one.
    pub running_plan: Option<u64>,
    /// The dispositions of all accounts.
    pub dispositions: bool,
    /// The pause of an agent who owes a disposition.
    pub disposition_pause: bool,
    /// Why nobody is being rung.
    pub passed_over: bool,
    /// That nobody has another open interaction with this customer.
    pub no_other_open: bool,
    /// The membership that must still hold when the decision is written.
    pub membership: Option<Membership>,
}

/// An agent who takes an interaction must be of its account, and of the queue through which it came.
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
    /// What opening an interaction with a message of `agent` needs.
    pub fn to_start(agent: &AgentId, account: &AccountId) -> Self {
        let membership = Membership { agent: agent.clone(), account: account.clone(), queue: None };
        Self { presences: BTreeSet::from([agent.clone()]), membership: Some(membership), ..Self::default() }
    }
}

/// What the decision on `event` needs. Before the interaction is read it is `None`: then the answer says what the event alone asks for, and how the
/// interaction is to be read.
pub fn needs(event: &Event, interaction: Option<&Interaction>) -> Needs {
    let mut needs = Needs::default();
    let owner = || interaction.and_then(|interaction| interaction.agent.clone());
    match event {
        // An agent who is there sees it at once.
        Event::MessageReceived { .. } | Event::Absorb(_) => {
            needs.service_window = true;
            needs.presences.extend(owner());
        }
        Event::MessageSent { .. } => {
            needs.service_window = true;
            needs.presences.extend(owner().filter(|_| waits(interaction)));
        }
        Event::Transfer { to, .. } => {
            needs.presences.extend(owner().filter(|_| waits(interaction)));
            needs.queues.extend(queue_of(to).cloned());
        }
        // The plan may go on and answer; what was handed over may go back to its agent.
        Event::Timer(Timer::Wait { .. }) | Event::Reject { .. } => {
            needs.service_window = true;
            needs.passed_over = matches!(event, Event::Timer(_)) && waits(interaction) && !rings(interaction);
            needs.presences.extend(owner().filter(|_| is_handed_over(interaction)));
        }
        Event::AccountActivated | Event::AgentLeft { .. } | Event::WebhookAnswered { .. } => needs.service_window = true,
        Event::Accept { agent } => {
            needs.presences.insert(agent.clone());
            // Taking back what is one's own needs no membership.
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
        | Event::AiSwitched { .. }
        | Event::Noted { .. }
        | Event::MergeInto(_)
        | Event::Ring(_)
        | Event::CloseTab { .. }
        | Event::Archive { .. }
        | Event::RequestTranscript { .. }
        | Event::Timer(Timer::Offer { .. } | Timer::Again { .. } | Timer::Inactivity { .. })
        | Event::AccountDeactivated
        | Event::AccountLeaves => {}
    }
    if let Some(interaction) = interaction {
        // Whatever ends that an agent owes a disposition puts the agent back to the presence before.
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

fn is_handed_over(interaction: Option<&Interaction>) -> bool {
    interaction.and_then(|interaction| interaction.wait.as_ref()).is_some_and(|wait| wait.stage == Stage::Transfer)
}

fn queue_of(target: &Target) -> Option<&QueueId> {
    match target {
        Target::Queue(queue) => Some(queue),
        Target::Agent(_) | Target::Account(_) => None,
    }
}
