//! The heart of routing: what an event makes of an interaction.
//!
//! [`open`] and [`decide`] are pure. The engine loads what they need, calls them, and commits their [`Decision`] with a condition on the version; on a
//! conflict it loads and decides again. Losing a race is a [`Refusal`], never an error.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::account::{Account, List};
use crate::agent::Presence;
use crate::catalog::Pause;
use crate::effect::{Audience, Effect, InteractionKey, Notice, Target, Timer};
use crate::footprint::{holder, occupied};
use crate::history::{Did, Fact, HistoryEntry, NoReply, PassedOver, Skip, WaitEnd, WebhookFailure};
use crate::ids::{AgentId, ContactId, InteractionId, IntervalId, MessageId, QueueId};
use crate::inbound::ProfileName;
use crate::interaction::{Heard, Inactivity, Interaction, LastMessage, Missed, Offer, Run, Stage, Status, Wait, WrapUp};
use crate::interval::{Interval, Weekday};
use crate::message::Content;
use crate::notification::{Notification, TextTemplate, Values};
use crate::plan::{ActionPlan, Guard, PlanStep, Step, When};
use crate::priority::Priority;
use crate::queue::Queue;
use crate::tag::Tag;
use crate::values::Address;
use crate::variables::{VariableName, Variables};

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
    /// The presence of the agent who acts, where that matters; for a customer's message, a merge, or when a disposition is owed, of the agent who has the
    /// interaction.
    pub presence: Option<&'a Presence>,
    /// Why nobody is being rung, when a wait is over.
    pub passed_over: &'a [PassedOver],
    /// The provider's time of the customer's latest message, on whichever interaction.
    pub last_inbound_at: Option<Timestamp>,
    /// Now.
    pub now: Timestamp,
}

/// What happened to an interaction that exists.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The customer wrote.
    MessageReceived {
        /// Which message.
        message: MessageId,
        /// Its time in the thread.
        at: Timestamp,
    },
    /// Its agent writes.
    MessageSent {
        /// Who.
        agent: AgentId,
        /// Which message.
        message: MessageId,
        /// Whether it is an approved template: the one kind that may be sent outside the service window.
        template: bool,
    },
    /// Somebody writes a note for colleagues.
    NoteAdded {
        /// Who.
        by: AgentId,
        /// Which message.
        message: MessageId,
    },
    /// Somebody changes its tags.
    Retagged {
        /// Who.
        by: AgentId,
        /// Tags that it shall have.
        add: Vec<Tag>,
        /// Tags that it shall not have.
        remove: Vec<Tag>,
    },
    /// Its agent, or a supervisor, has an AI agent answer or stops it.
    AiSwitched {
        /// Who.
        by: AgentId,
        /// Whether as a supervisor, whoever has it.
        oversees: bool,
        /// Whether it answers from now on.
        on: bool,
    },
    /// Something joins the thread that nobody has to answer.
    Noted {
        /// Which message.
        message: MessageId,
        /// The customer's new address, where that is what it says.
        moved_to: Option<Address>,
    },
    /// A newer open interaction of the same person is merged into this one, in the same transaction.
    Absorb(Box<Interaction>),
    /// It is merged into an older open interaction of the same person, in the same transaction.
    MergeInto(InteractionKey),
    /// Somebody is to be rung: what `assign` chose.
    Ring(Ring),
    /// An agent accepts the offer.
    Accept {
        /// Who.
        agent: AgentId,
    },
    /// An agent rejects the offer.
    Reject {
        /// Who.
        agent: AgentId,
    },
    /// Its agent opens the tab.
    OpenTab {
        /// Who.
        agent: AgentId,
    },
    /// Its agent closes the tab.
    CloseTab {
        /// Who.
        agent: AgentId,
    },
    /// Its agent closes it.
    Close {
        /// Who.
        agent: AgentId,
        /// With which disposition.
        disposition: Option<String>,
    },
    /// A supervisor closes it, whoever has it.
    CloseForAll {
        /// Who.
        by: AgentId,
        /// With which disposition.
        disposition: Option<String>,
    },
    /// Its agent hands it over.
    Transfer {
        /// Who.
        agent: AgentId,
        /// To an agent or a queue.
        to: Target,
    },
    /// An agent takes one that nobody has.
    Pick {
        /// Who.
        agent: AgentId,
    },
    /// A supervisor gives it to an agent.
    Reassign {
        /// Who does.
        by: AgentId,
        /// To whom.
        to: AgentId,
    },
    /// It is hidden from lists.
    Archive {
        /// By whom.
        agent: AgentId,
    },
    /// It is opened again.
    Reopen {
        /// By whom, who has it then.
        agent: AgentId,
    },
    /// An agent asks for the transcript as it stands.
    RequestTranscript {
        /// Who.
        agent: AgentId,
    },
    /// A wait is over.
    Timer(Timer),
    /// An agent paused, logged out, took the last free slot, or was taken off the queue or the account: what rings there alone rings on elsewhere.
    AgentUnavailable {
        /// Who.
        agent: AgentId,
    },
    /// Its agent was taken off the account.
    AgentLeft {
        /// Who.
        agent: AgentId,
    },
    /// The account was switched off.
    AccountDeactivated,
    /// The account was switched on.
    AccountActivated,
    /// The account is about to be deleted, with what is open.
    AccountLeaves,
    /// Another system answered a step of the plan, or did not.
    WebhookAnswered {
        /// The wait that asked.
        wait: u64,
        /// The variables that it sets, or why there are none.
        answer: Result<Vec<(VariableName, String)>, WebhookFailure>,
    },
}

/// Whom to ring for a waiting interaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    /// The wait that it was chosen for.
    pub wait: u64,
    /// On whose behalf.
    pub target: Target,
    /// Whom.
    pub audience: Audience,
    /// How long; never beyond the wait.
    pub until: Option<Timestamp>,
    /// Who of a queue that rings at all could take it.
    pub rung: Vec<AgentId>,
    /// Who was passed over, and why.
    pub passed_over: Vec<PassedOver>,
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

/// Why an event changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What the event refers to is over: a timer too late, an offer for a wait that ended. Nothing is owed to anybody.
    #[error("it refers to something that is over")]
    Stale,
    /// A timer came before its deadline.
    #[error("it is not due before {0}")]
    Early(Timestamp),
    /// The agent has it already.
    #[error("you have this interaction already")]
    AlreadyYours,
    /// The offer was taken, expired or was never made to this agent.
    #[error("the offer is gone")]
    OfferGone {
        /// Who has the interaction.
        owner: Option<AgentId>,
    },
    /// The interaction belongs to somebody else, or nobody.
    #[error("this interaction is not yours")]
    NotYours {
        /// Who has it.
        owner: Option<AgentId>,
    },
    /// It is closed.
    #[error("the interaction is closed")]
    Closed,
    /// The agent must be ready; to open a tab or to go on with what waits for the agent, logged in.
    #[error("you must be ready to accept, and logged in to go on")]
    NotReady,
    /// The agent has no free slot.
    #[error("you hold as many interactions as your capacity allows")]
    AtCapacity,
    /// The agent is not of the account, or not of the queue.
    #[error("you are not a member of this account or queue")]
    NotAMember,
    /// Closing needs a disposition.
    #[error("a disposition is mandatory")]
    DispositionRequired,
    /// The account does not know this disposition.
    #[error("no such disposition")]
    UnknownDisposition,
    /// It is so already.
    #[error("it is so already")]
    NothingToDo,
    /// There is no room for more tags.
    #[error("an interaction has at most {most} tags", most = Tag::MOST)]
    TooManyTags,
    /// The account has no AI agent that could answer.
    #[error("the account has no AI agent that answers customers")]
    NoAiAgent,
    /// It was based on an older version.
    #[error("the interaction changed since it was read")]
    Changed,
    /// The account does not hand interactions over in that way.
    #[error("transfers of this kind are switched off")]
    TransferOff,
    /// The customer has not written yet: there is nothing to hand over.
    #[error("the customer has not written yet")]
    NothingFromCustomer,
    /// It is being handed over already.
    #[error("it is being transferred already")]
    TransferUnderway,
    /// There is no such agent of the account or no such queue, or it is the agent who has it.
    #[error("it can't be given to this agent or queue")]
    NoSuchTarget,
    /// The account is switched off.
    #[error("the account is switched off")]
    AccountInactive,
    /// Only what is closed can be archived or opened again.
    #[error("the interaction is open")]
    StillOpen,
    /// It went on in an older one of the same person.
    #[error("it went on in another interaction")]
    MergedAway {
        /// In which.
        into: InteractionId,
    },
    /// The customer has another open interaction on the account.
    #[error("the customer has another open interaction")]
    OtherOpen {
        /// Which.
        interaction: InteractionId,
    },
    /// The 24-hour service window is over.
    #[error("the 24-hour service window is over; only an approved template may be sent")]
    WindowExpired,
}

/// An interaction that is about to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Its id.
    pub id: InteractionId,
    /// With whom.
    pub contact: ContactId,
    /// Where answers go.
    pub address: Address,
    /// What the customer is called.
    pub customer_name: Option<ProfileName>,
    /// Whether the account talks to the customer: its whitelist may say no.
    pub welcome: bool,
}

impl Opening {
    fn interaction(self, context: &Context<'_>) -> Interaction {
        Interaction {
            id: self.id,
            account: context.account.id.clone(),
            contact: self.contact,
            address: self.address,
            customer_name: self.customer_name,
            version: 0,
            status: Status::Open,
            opened_at: context.now,
            closed_at: None,
            archived: false,
            disposition: None,
            agent: None,
            accepted_via: None,
            tab_open: false,
            tab_opened_at: None,
            unread: false,
            wrap_up: None,
            one_sided: false,
            wait: None,
            unanswered_since: None,
            tried: Vec::new(),
            last_message: None,
            inactivity: Inactivity::default(),
            tags: Vec::new(),
            priority: Priority::default(),
            variables: Variables::default(),
            ai: None,
            run: Run::default(),
            absorbed: Vec::new(),
            merged_into: None,
        }
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

/// Whether taking the interaction leaves its agent, whose presence this is, without a free slot.
pub fn fills(before: Option<&Interaction>, after: &Interaction, presence: &Presence) -> bool {
    let takes = holder(after) == Some(&presence.agent) && before.and_then(holder) != Some(&presence.agent);
    takes && presence.load.len() + usize::from(!presence.load.contains(&after.id)) >= presence.capacity.get()
}

/// An interaction under change.
struct Change<'a> {
    context: &'a Context<'a>,
    next: Interaction,
    effects: Vec<Effect>,
    message_effects: Vec<Effect>,
    replies: Vec<Reply>,
    history: Vec<HistoryEntry>,
    /// The provider's time of the customer's latest message.
    last_inbound_at: Option<Timestamp>,
}

impl<'a> Change<'a> {
    fn of(interaction: &Interaction, context: &'a Context<'a>) -> Self {
        let mut next = interaction.clone();
        next.version += 1;
        Self {
            context,
            next,
            effects: Vec::new(),
            message_effects: Vec::new(),
            replies: Vec::new(),
            history: Vec::new(),
            last_inbound_at: context.last_inbound_at,
        }
    }

    /// A freed slot makes somebody available: that is said in one place, whatever freed it. A slot that an offer kept counts too: something else may have
    /// been passed over for it.
    ///
    /// So does what waited with nobody ringing, and waits there no more: an agent of several queues may have been kept for it.
    fn done(mut self, before: Option<&Interaction>) -> Decision {
        self.end_wrap_up(before);
        let occupied_before = before.map(occupied).unwrap_or_default();
        if let Some(wait) = before.and_then(|before| before.wait.as_ref()).filter(|wait| wait.offer.is_none()) {
            let stays = |target: &Target| self.next.is_open() && self.next.wait.as_ref().is_some_and(|wait| wait.targets.contains(target));
            let gone = wait.targets.iter().filter(|target| matches!(target, Target::Queue(_)) && !stays(target));
            gone.cloned().collect::<Vec<_>>().into_iter().for_each(|target| self.wake(target));
        }
        for target in occupied_before.difference(&occupied(&self.next)).cloned() {
            self.wake(target);
        }
        self.withdraw_elsewhere(before);
        let Self { next: interaction, effects, message_effects, replies, history, .. } = self;
        Decision { interaction, effects, message_effects, replies, history }
    }

    /// Who has no slot left can take nothing of what else rings there: it rings on elsewhere.
    fn withdraw_elsewhere(&mut self, before: Option<&Interaction>) {
        let Some(presence) = self.context.presence.filter(|presence| fills(before, &self.next, presence)) else { return };
        let others = presence.ringing.iter().filter(|(id, until)| **until > self.context.now && **id != self.next.id);
        let others = others.filter(|(id, _)| !presence.load.contains(*id)).map(|(id, _)| id.clone());
        let withdraw = others.map(|interaction| Effect::Withdraw { interaction, agent: presence.agent.clone() });
        self.effects.extend(withdraw);
    }

    fn wake(&mut self, target: Target) {
        let wake = Effect::Wake { target };
        if !self.effects.contains(&wake) {
            self.effects.push(wake);
        }
    }

    fn fact(&mut self, fact: Fact) {
        self.history.push(HistoryEntry { at: self.context.now, version: self.next.version, fact });
    }

    fn tell(&mut self, agents: Vec<AgentId>, notice: Notice) {
        self.effects.push(Effect::Push { to: Audience::Agents(agents), notice });
    }

    fn still_open(&self) -> Result<(), Refusal> {
        if self.next.is_open() { Ok(()) } else { Err(Refusal::Closed) }
    }

    fn owned_by(&self, agent: &AgentId) -> Result<(), Refusal> {
        self.still_open()?;
        if self.next.agent.as_ref() == Some(agent) { Ok(()) } else { Err(Refusal::NotYours { owner: self.next.agent.clone() }) }
    }

    /// Whether its agent is logged in and has had the tab open since.
    fn is_attended(&self) -> bool {
        self.next.tab_open
            && self.context.presence.is_some_and(|presence| {
                let before_login = self.next.tab_opened_at.zip(presence.logged_in_at).is_some_and(|(opened, login)| opened < login);
                presence.logged_in() && !before_login
            })
    }

    fn is_logged_in(&self, agent: &AgentId) -> bool {
        self.context.presence.is_some_and(|presence| presence.agent == *agent && presence.logged_in())
    }

    /// A screen that was left open ends no wait: whoever is logged out is not there.
    fn must_be_logged_in(&self, agent: &AgentId) -> Result<(), Refusal> {
        if self.is_logged_in(agent) { Ok(()) } else { Err(Refusal::NotReady) }
    }

    fn of_account(&self, agent: &AgentId) -> bool {
        self.context.account.agents.contains(agent)
    }

    // Messages.

    fn message_received(&mut self, message: MessageId, at: Timestamp) {
        let now = self.context.now;
        // With nothing under way an agent has dealt with what came before, without a plan: a run from now on is not about the first message.
        let wrote_before = !self.next.one_sided && self.next.last_message.is_some();
        if wrote_before && self.next.wait.is_none() && self.next.run.number == 0 {
            self.next.run.number = 1;
        }
        self.next.one_sided = false;
        self.next.inactivity.deadline = None;
        self.next.unanswered_since.get_or_insert(now);
        self.last_inbound_at = self.last_inbound_at.max(Some(at));
        let asked_for = self.context.account.plan.asks_for_message() || self.context.running_plan.is_some_and(ActionPlan::asks_for_message);
        self.next.run.message = self.context.heard.filter(|_| asked_for).map(Heard::of);
        if self.next.last_message.as_ref().is_none_or(|last| last.at <= at) {
            self.next.last_message = Some(LastMessage { at, from_customer: true });
        }
        let attending = self.is_attended();
        // Who has left the account no longer sees it, tab or no tab.
        let there = self.next.agent.as_ref().is_some_and(|agent| attending && self.of_account(agent));
        let delivered = there && (self.next.wait.is_none() || self.is_handed_over());
        self.fact(Fact::MessageReceived { message, delivered });
        if let Some(agent) = self.next.agent.clone() {
            self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Message });
        }
        if !delivered {
            self.unread();
        }
    }

    /// Something came that its agent has not seen, or for which there is no agent.
    fn unread(&mut self) {
        let was_unread = std::mem::replace(&mut self.next.unread, true);
        if let Some(agent) = self.next.agent.clone().filter(|_| !was_unread) {
            self.tell(vec![agent], Notice::Interaction);
        }
        match &self.next.wait {
            None if !self.context.account.active => self.hold_while_inactive(),
            None if self.next.agent.is_some() => self.wait_for_agent(),
            None => self.start_plan(),
            // The plan is owed to the customer once the account is on again.
            Some(Wait { stage: Stage::Exhausted, offer: None, .. }) if !self.context.account.active => {
                self.end_wait(WaitEnd::NewMessage);
                self.hold_while_inactive();
            }
            // What already rings goes on; with nothing ringing, a customer who writes again starts the plan over.
            Some(Wait { stage: Stage::Exhausted, offer: None, .. }) => {
                self.end_wait(WaitEnd::NewMessage);
                self.start_plan();
            }
            Some(_) => {}
        }
    }

    fn message_sent(&mut self, agent: AgentId, message: MessageId, template: bool) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        if !template && !self.window_open() {
            return Err(Refusal::WindowExpired);
        }
        if self.waits_on_own_agent() {
            self.must_be_logged_in(&agent)?;
        }
        // Who writes on has not finished.
        if self.next.wrap_up.take().is_some() {
            self.fact(Fact::CloseForgotten { agent: agent.clone() });
        }
        self.fact(Fact::MessageSent { message: message.clone(), agent: agent.clone() });
        self.sent_by(agent.clone(), message);
        // Who answers is there, whatever the tab says.
        if self.waits_on_own_agent() {
            self.next.unread = false;
            self.end_wait(WaitEnd::TabOpened);
            self.tell(vec![agent], Notice::Interaction);
        }
        Ok(())
    }

    /// A message of an agent is on its way.
    fn sent_by(&mut self, agent: AgentId, message: MessageId) {
        let now = self.context.now;
        self.next.last_message = Some(LastMessage { at: now, from_customer: false });
        self.next.unanswered_since = None;
        self.next.inactivity.deadline = self.context.account.settings.inactivity_timeout.map(|timeout| timeout.after(now));
        if let Some(deadline) = self.next.inactivity.deadline {
            self.arm_inactivity(deadline);
        }
        self.effects.push(Effect::SendMessage { message, at: now });
        self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Message });
    }

    /// Whether free text may be sent.
    fn window_open(&self) -> bool {
        self.last_inbound_at.is_some_and(|at| self.context.now < at + SERVICE_WINDOW)
    }

    fn arm_inactivity(&mut self, deadline: Timestamp) {
        if self.next.inactivity.armed.is_none() {
            let armed = self.next.version;
            self.next.inactivity.armed = Some(armed);
            self.effects.push(Effect::Timer { at: deadline, timer: Timer::Inactivity { armed } });
        }
    }
}

mod colleagues;
mod handover;
mod merge;
mod offers;
mod plan;
mod start;
mod tabs;
mod timers;
mod waits;

#[cfg(test)]
mod tests;
