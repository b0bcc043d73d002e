//! The heart of routing: decides how an event changes an interaction.
//!
//! [`open`], [`start`] and [`decide`] are pure. The engine loads the data they need ([`needs`]), calls them, and
//! commits their [`Decision`] with a condition on the version. On a conflict it loads and decides again. Losing a
//! race is a [`Refusal`], never an error.

mod ai;
mod change;
mod event;
mod handover;
mod insights;
mod language;
mod merge;
mod messages;
mod needs;
mod notes;
mod offers;
mod opening;
mod plan;
mod refusal;
mod rehearsal;
mod start;
mod tabs;
mod tags;
mod timers;
mod waits;
mod watch;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::account::{Account, List};
use crate::agent::{Presence, Role};
use crate::catalog::Pause;
use crate::effect::Effect;
use crate::history::{Actor, Fact, HistoryEntry, PassedOver};
use crate::ids::{AgentId, IntervalId, MessageId, QueueId};
use crate::interaction::{Interaction, Status};
use crate::interval::Interval;
use crate::message::{Author, Content};
use crate::plan::ActionPlan;
use crate::queue::Queue;
use crate::variables::Variables;

pub use ai::{ANSWER_DEADLINE, AiAnswer, AiEscalation};
use change::Change;
pub use event::{Event, InsightsCause, Ring};
pub use needs::{Membership, Needs, needs};
pub use opening::{CustomerName, Opening, Welcome};
pub use refusal::Refusal;
pub use rehearsal::{Asked, Compared, Ending, Rehearsal, Rehearsed, RunLine, rehearse};

/// The disposition of an interaction that closed by itself.
pub const CLOSED_FOR_INACTIVITY: &str = "Closed for inactivity";

/// The disposition of an interaction whose account is about to be deleted.
pub const ACCOUNT_DELETED: &str = "Account deleted";
/// The disposition of an interaction that is closed because a supervisor deletes it. Reports outlive it.
pub const DELETED: &str = "Deleted";

/// The disposition of an interaction that was merged into an older one of the same person.
pub const MERGED: &str = "Merged";

/// The disposition of an interaction that was closed from the beginning: it holds what was written elsewhere while the
/// customer had no interaction.
pub const WRITTEN_ELSEWHERE: &str = "Written elsewhere";

/// The disposition of an interaction with a contact who is not on the account's whitelist.
pub const NOT_WHITELISTED: &str = "Not on the whitelist";

/// The disposition of an interaction with a customer who is blocked.
pub const BLOCKED: &str = "Blocked";

/// How long after a customer's message an agent may send free text: WhatsApp's service window.
pub const SERVICE_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The data that a decision uses beside the interaction. All of it may be slightly old: the transaction checks
/// membership and capacity again.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The interaction's account.
    pub account: &'a Account,
    /// The plan of the current run, if it is no longer the account's current plan.
    pub running_plan: Option<&'a ActionPlan>,
    /// The queues of the plan and of the interaction.
    pub queues: &'a BTreeMap<QueueId, Queue>,
    /// The intervals of the plan.
    pub intervals: &'a BTreeMap<IntervalId, Interval>,
    /// The account's list.
    pub list: Option<&'a List>,
    /// The global dispositions, loaded when an agent closes.
    pub dispositions: &'a [String],
    /// The pause of agents who owe a disposition, loaded when an agent closes.
    pub pause: Option<&'a Pause>,
    /// The content of the customer's message, if the event is one.
    pub heard: Option<&'a Content>,
    /// The presence of the agents whom the decision needs ([`Needs::presences`]).
    pub presences: &'a BTreeMap<AgentId, Presence>,
    /// The reasons why nobody is being rung, loaded when a wait is over.
    pub passed_over: &'a [PassedOver],
    /// The provider's time of the customer's latest message on any interaction.
    pub last_inbound_at: Option<Timestamp>,
    /// The current time.
    pub now: Timestamp,
}

/// The result of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// The interaction after the event.
    pub interaction: Interaction,
    /// Effects of the change.
    pub effects: Vec<Effect>,
    /// Effects that go with the event's message.
    pub message_effects: Vec<Effect>,
    /// Automatic replies to send.
    pub replies: Vec<Reply>,
    /// History entries that explain the change.
    pub history: Vec<HistoryEntry>,
    /// An agent at whom no other offer may ring any more, with the revision of the presence that was read. The
    /// commit fails if the presence has changed, since an offer that began to ring meanwhile must be withdrawn too.
    pub presence_revision: Option<(AgentId, u64)>,
}

impl Decision {
    /// Notes the role in which the caller acted. It stands with the actions of agents only, not with what followed.
    #[must_use]
    pub fn in_role(mut self, role: Option<Role>) -> Self {
        let acts = self.history.iter_mut().filter(|entry| matches!(entry.fact.actor(), Actor::Agent(_)));
        acts.for_each(|entry| entry.role = role);
        self
    }
}

/// An automatic reply, or an AI agent's message.
#[derive(Clone, PartialEq)]
pub struct Reply {
    /// The service itself, or the AI agent.
    pub author: Author,
    /// The message's id, derived from the interaction and its version.
    pub id: MessageId,
    /// The message's time in the thread, after the customer's message.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

/// Replies to customers never reach a log.
impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reply").field("id", &self.id).field("at", &self.at).finish_non_exhaustive()
    }
}

/// Opens an interaction with the customer's first message.
pub fn open(opening: Opening, message: MessageId, at: Timestamp, context: &Context<'_>) -> Decision {
    opened(opening, Variables::default(), message, at, context).done(None)
}

/// The change that opens an interaction, which has `variables` already.
fn opened<'a>(opening: Opening, variables: Variables, message: MessageId, at: Timestamp, context: &'a Context<'a>) -> Change<'a> {
    let (welcome, from) = (opening.welcome, opening.address.clone());
    // Nobody has seen the new interaction yet, so agents need no notice that it is unread.
    let interaction = Interaction { unread: true, variables, ..opening.interaction(context) };
    let mut change = Change::of(&interaction, context);
    change.fact(Fact::Opened);
    match welcome {
        Welcome::Served => change.message_received(message, at, &from),
        Welcome::NotWhitelisted => change.not_whitelisted(message, at),
        Welcome::Blocked => change.blocked(message, at),
    }
    change
}

/// Makes an interaction that was closed from the beginning, for a message that was written outside this deployment
/// while the customer had no interaction. Nobody is told, and nothing waits.
pub fn aside(opening: Opening, message: MessageId, at: Timestamp, context: &Context<'_>) -> Decision {
    let interaction = Interaction {
        status: Status::Closed,
        opened_at: at.min(context.now),
        closed_at: Some(context.now),
        disposition: Some(WRITTEN_ELSEWHERE.to_owned()),
        ..opening.interaction(context)
    };
    let mut change = Change::of(&interaction, context);
    change.fact(Fact::Opened);
    change.fact(Fact::Closed { agent: None, disposition: Some(WRITTEN_ELSEWHERE.to_owned()) });
    change.overheard(message, false);
    change.done(None)
}

/// Opens an interaction with an agent's message, which must be an approved template. That agent then has the
/// interaction.
///
/// # Errors
/// Returns a [`Refusal`] when the agent may not open it, or has no free slot.
pub fn start(opening: Opening, agent: AgentId, message: MessageId, context: &Context<'_>) -> Result<Decision, Refusal> {
    let interaction = opening.interaction(context);
    let mut change = Change::of(&interaction, context);
    change.started(agent, message)?;
    Ok(change.done(None))
}

/// Decides how `event` changes `interaction`.
///
/// # Errors
/// Returns a [`Refusal`] when the event changes nothing.
pub fn decide(interaction: &Interaction, event: Event, context: &Context<'_>) -> Result<Decision, Refusal> {
    Ok(changed(interaction, event, context)?.done(Some(interaction)))
}

/// The change that `event` makes.
fn changed<'a>(interaction: &Interaction, event: Event, context: &'a Context<'a>) -> Result<Change<'a>, Refusal> {
    let mut change = Change::of(interaction, context);
    match event {
        Event::MessageReceived { message, at, from, name } => {
            change.still_open()?;
            if let Some(name) = name {
                change.is_called(name);
            }
            change.message_received(message, at, &from);
        }
        Event::MessageSent { agent, message, template } => change.message_sent(agent, message, template)?,
        Event::VideoStarted { agent, message } => {
            change.message_sent(agent.clone(), message.clone(), false)?;
            change.fact(Fact::VideoStarted { agent, message });
        }
        Event::NoteAdded { by, message } => change.note_added(by, message)?,
        Event::Retagged { by, add, remove } => change.retagged(by, add, remove)?,
        Event::LanguageChosen { by, oversees, language } => change.language_chosen(by, oversees, language)?,
        Event::LanguageDetected { language } => change.language_detected(language)?,
        Event::InsightsMade { cause, ai_agent, sentiment, summary } => change.insights_made(cause, ai_agent, sentiment, summary)?,
        Event::AiSwitched { by, oversees, on } => change.ai_switched(by, oversees, on)?,
        Event::Noted { message, at, moved_to, claim } => change.noted(message, at, moved_to, claim)?,
        Event::Readdressed { address } => change.readdressed(address)?,
        Event::Overheard { message, archive } => change.overheard(message, archive),
        Event::Absorb(newer) => change.absorb(&newer)?,
        Event::MergeInto(older) => change.merge_into(older)?,
        Event::Ring(ring) => change.ring(ring)?,
        Event::Accept { agent } => change.accept(agent)?,
        Event::Reject { agent } => change.reject(agent)?,
        Event::OpenTab { agent } => {
            change.owned_by(&agent)?;
            change.must_be_logged_in(&agent)?;
            change.tab_opened(agent)?;
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
        Event::ReopenFor { by, to } => change.reopen_for(by, to)?,
        Event::Watch { by } => change.watch(by)?,
        Event::Unwatch { by } => change.unwatch(&by)?,
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
        Event::Removed => {
            change.still_open()?;
            change.close(None, Some(DELETED.to_owned()));
        }
        Event::AiClaims { wait } => change.ai_claims(wait)?,
        Event::AiAnswered { wait, answer } => change.ai_answered(wait, *answer)?,
        Event::AiEscalates { wait, escalation } => change.ai_asks_for_person(wait, *escalation)?,
        Event::WebhookAnswered { wait, answer } => change.webhook_answered(wait, answer)?,
    }
    Ok(change)
}
