//! The heart of routing: what an event makes of an interaction.
//!
//! [`open`], [`start`] and [`decide`] are pure. The engine loads what they need ([`needs`]), calls them, and commits their [`Decision`] with a
//! condition on the version; on a conflict it loads and decides again. Losing a race is a [`Refusal`], never an error.

mod ai;
mod change;
mod event;
mod handover;
mod merge;
mod messages;
mod needs;
mod notes;
mod offers;
mod opening;
mod plan;
mod refusal;
mod start;
mod tabs;
mod tags;
mod timers;
mod waits;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::account::{Account, List};
use crate::agent::Presence;
use crate::catalog::Pause;
use crate::effect::Effect;
use crate::history::{Fact, HistoryEntry, PassedOver};
use crate::ids::{AgentId, IntervalId, MessageId, QueueId};
use crate::interaction::Interaction;
use crate::interval::Interval;
use crate::message::Content;
use crate::plan::ActionPlan;
use crate::queue::Queue;

use change::Change;
pub use event::{Event, Ring};
pub use needs::{Membership, Needs, needs};
pub use opening::Opening;
pub use refusal::Refusal;

/// The disposition of an interaction that closed by itself.
pub const CLOSED_FOR_INACTIVITY: &str = "Closed for inactivity";

/// The disposition of an interaction whose account is about to be deleted.
pub const ACCOUNT_DELETED: &str = "Account deleted";

/// The disposition of an interaction that went on in an older one of the same person.
pub const MERGED: &str = "Merged";

/// The disposition of an interaction with somebody who is on none of the account's lists.
pub const NOT_WHITELISTED: &str = "Not on the whitelist";

/// How long after a customer's message free text may be sent: the service window of WhatsApp.
pub const SERVICE_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What a decision rests on beside the interaction itself. All of it may be a little old: membership and capacity are checked again by the transaction.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The interaction's account.
    pub account: &'a Account,
    /// The plan of the run that is under way, where it is no longer the account's current one.
    pub running_plan: Option<&'a ActionPlan>,
    /// The queues of the plan and of the interaction.
    pub queues: &'a BTreeMap<QueueId, Queue>,
    /// The intervals of the plan.
    pub intervals: &'a BTreeMap<IntervalId, Interval>,
    /// The list of the account.
    pub list: Option<&'a List>,
    /// The dispositions of all accounts, for who closes.
    pub dispositions: &'a [String],
    /// The pause of who owes a disposition, for who closes.
    pub pause: Option<&'a Pause>,
    /// What the customer wrote, where that is what happened.
    pub heard: Option<&'a Content>,
    /// The presence of the agents whom the decision asks about ([`Needs::presences`]).
    pub presences: &'a BTreeMap<AgentId, Presence>,
    /// Why nobody is being rung, when a wait is over.
    pub passed_over: &'a [PassedOver],
    /// The provider's time of the customer's latest message, on whichever interaction.
    pub last_inbound_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// What an event makes of an interaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The interaction as it is from now on.
    pub interaction: Interaction,
    /// What that causes.
    pub effects: Vec<Effect>,
    /// What the message that came with the event causes.
    pub message_effects: Vec<Effect>,
    /// What is answered automatically.
    pub replies: Vec<Reply>,
    /// Why.
    pub history: Vec<HistoryEntry>,
    /// An agent at whom nothing else may ring any more: the presence must be as it was read, since what has begun to ring there meanwhile has to be withdrawn
    /// too.
    pub presence_revision: Option<(AgentId, u64)>,
}

/// An automatic reply: a message of the service itself.
#[derive(Clone, PartialEq)]
pub struct Reply {
    /// The message's id, which follows from the interaction and its version.
    pub id: MessageId,
    /// Its place in the thread: behind what the customer wrote.
    pub at: Timestamp,
    /// What it says.
    pub text: String,
}

/// What is said to customers never reaches a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Opens an interaction with the customer's first message.
pub fn open(opening: Opening, message: MessageId, at: Timestamp, context: &Context<'_>) -> Decision {
    let welcome = opening.welcome;
    // Nobody has seen it yet; that it is unread is nobody's news.
    let interaction = Interaction { unread: true, ..opening.interaction(context) };
    let mut change = Change::of(&interaction, context);
    change.fact(Fact::Opened);
    if welcome {
        change.message_received(message, at);
    } else {
        change.not_welcome(message, at);
    }
    change.done(None)
}

/// Opens an interaction with an agent's message, which must be an approved template; the agent has it then.
///
/// # Errors
/// A [`Refusal`] when the agent may not, or has no room for it.
pub fn start(opening: Opening, agent: AgentId, message: MessageId, context: &Context<'_>) -> Result<Decision, Refusal> {
    let interaction = opening.interaction(context);
    let mut change = Change::of(&interaction, context);
    change.started(agent, message)?;
    Ok(change.done(None))
}

/// What `event` makes of `interaction`.
///
/// # Errors
/// A [`Refusal`] when it changes nothing.
pub fn decide(interaction: &Interaction, event: Event, context: &Context<'_>) -> Result<Decision, Refusal> {
    let mut change = Change::of(interaction, context);
    match event {
        Event::MessageReceived { message, at } => {
            change.still_open()?;
            change.message_received(message, at);
        }
        Event::MessageSent { agent, message, template } => change.message_sent(agent, message, template)?,
        Event::NoteAdded { by, message } => change.note_added(by, message)?,
        Event::Retagged { by, add, remove } => change.retagged(by, add, remove)?,
        Event::AiSwitched { by, oversees, on } => change.ai_switched(by, oversees, on)?,
        Event::Noted { message, moved_to } => change.noted(message, moved_to)?,
        Event::Absorb(newer) => change.absorb(&newer)?,
        Event::MergeInto(older) => change.merge_into(older)?,
        Event::Ring(ring) => change.ring(ring)?,
        Event::Accept { agent } => change.accept(agent)?,
        Event::Reject { agent } => change.reject(agent)?,
        Event::OpenTab { agent } => {
            change.owned_by(&agent)?;
            change.must_be_logged_in(&agent)?;
            change.tab_opened(agent);
        }
        Event::CloseTab { agent } => {
            change.owned_by(&agent)?;
            change.next.tab_open = false;
            change.fact(Fact::TabClosed { agent });
        }
        Event::Close { agent, disposition } => change.close_by_agent(agent, disposition)?,
        Event::CloseForAll { by, disposition } => {
            change.still_open()?;
            change.close_with(by, disposition)?;
        }
        Event::Transfer { agent, to } => change.transfer(agent, to)?,
        Event::Pick { agent } => change.pick(agent)?,
        Event::Reassign { by, to } => change.reassign(by, to)?,
        Event::Archive { agent } => change.archive(agent)?,
        Event::Reopen { agent } => change.reopen(agent)?,
        Event::RequestTranscript { agent } => {
            change.fact(Fact::TranscriptRequested { agent });
            change.effects.push(Effect::Archive);
        }
        Event::Timer(timer) => change.timer(&timer)?,
        Event::AgentUnavailable { agent } => change.agent_unavailable(agent)?,
        Event::AgentLeft { agent } => change.agent_left(&agent)?,
        Event::AccountDeactivated => change.account_deactivated()?,
        Event::AccountActivated => change.account_activated()?,
        Event::AccountLeaves => {
            change.still_open()?;
            change.close(None, Some(ACCOUNT_DELETED.to_owned()));
        }
        Event::WebhookAnswered { wait, answer } => change.webhook_answered(wait, answer)?,
    }
    Ok(change.done(Some(interaction)))
}
