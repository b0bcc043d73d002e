//! The heart of routing: what an event makes of an interaction.
//!
//! [`open`] and [`decide`] are pure. The engine loads what they need, calls them, and commits their [`Decision`] with a condition on the version; on a
//! conflict it loads and decides again. Losing a race is a [`Refusal`], never an error.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::account::Account;
use crate::agent::{Presence, PresenceState};
use crate::effect::{Audience, Effect, Notice, Target, Timer};
use crate::footprint::occupied;
use crate::history::{Fact, HistoryEntry, PassedOver, Skip, WaitEnd};
use crate::ids::{AgentId, ContactId, InteractionId, MessageId, QueueId};
use crate::inbound::ProfileName;
use crate::interaction::{Inactivity, Interaction, LastMessage, Offer, Stage, Status, Wait};
use crate::plan::{ActionPlan, Step};
use crate::queue::Queue;
use crate::values::Address;

/// The disposition of an interaction that closed by itself.
pub const CLOSED_FOR_INACTIVITY: &str = "Closed for inactivity";

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
    /// The presence of the agent who accepts or stopped taking offers; for a customer's message, of the agent who has the interaction.
    pub presence: Option<&'a Presence>,
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
    },
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
    /// An agent asks for the transcript as it stands.
    RequestTranscript {
        /// Who.
        agent: AgentId,
    },
    /// A wait is over.
    Timer(Timer),
    /// An agent paused or logged out: what rings there alone rings on elsewhere.
    AgentUnavailable {
        /// Who.
        agent: AgentId,
    },
    /// The account was switched on.
    AccountActivated,
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
    /// Why.
    pub history: Vec<HistoryEntry>,
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
    /// The agent must be ready.
    #[error("you must be ready to accept")]
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
}

/// Opens an interaction with the customer's first message.
pub fn open(opening: Opening, message: MessageId, at: Timestamp, context: &Context<'_>) -> Decision {
    let interaction = Interaction {
        id: opening.id,
        account: context.account.id.clone(),
        contact: opening.contact,
        address: opening.address,
        customer_name: opening.customer_name,
        version: 0,
        status: Status::Open,
        opened_at: context.now,
        closed_at: None,
        disposition: None,
        agent: None,
        accepted_via: None,
        tab_open: false,
        unread: true,
        wait: None,
        unanswered_since: None,
        tried: Vec::new(),
        last_message: None,
        inactivity: Inactivity::default(),
    };
    let mut change = Change::of(&interaction, context);
    change.fact(Fact::Opened);
    change.message_received(message, at);
    change.done(&BTreeSet::new())
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
        Event::MessageSent { agent, message } => change.message_sent(agent, message)?,
        Event::Ring(ring) => change.ring(ring)?,
        Event::Accept { agent } => change.accept(agent)?,
        Event::Reject { agent } => change.reject(agent)?,
        Event::OpenTab { agent } => {
            change.owned_by(&agent)?;
            change.tab_opened(agent);
        }
        Event::CloseTab { agent } => {
            change.owned_by(&agent)?;
            change.next.tab_open = false;
            change.fact(Fact::TabClosed { agent });
        }
        Event::Close { agent, disposition } => change.close_by_agent(agent, disposition)?,
        Event::RequestTranscript { agent } => {
            change.fact(Fact::TranscriptRequested { agent });
            change.effects.push(Effect::Archive);
        }
        Event::Timer(timer) => change.timer(&timer)?,
        Event::AgentUnavailable { agent } => change.agent_unavailable(agent)?,
        Event::AccountActivated => change.account_activated()?,
    }
    Ok(change.done(&occupied(interaction)))
}

/// An interaction under change.
struct Change<'a> {
    context: &'a Context<'a>,
    next: Interaction,
    effects: Vec<Effect>,
    message_effects: Vec<Effect>,
    history: Vec<HistoryEntry>,
}

impl<'a> Change<'a> {
    fn of(interaction: &Interaction, context: &'a Context<'a>) -> Self {
        let mut next = interaction.clone();
        next.version += 1;
        Self { context, next, effects: Vec::new(), message_effects: Vec::new(), history: Vec::new() }
    }

    /// A freed slot makes somebody available: that is said in one place, whatever freed it. A slot that an offer kept counts too: something else may have
    /// been passed over for it.
    fn done(mut self, occupied_before: &BTreeSet<Target>) -> Decision {
        for target in occupied_before.difference(&occupied(&self.next)).cloned() {
            let wake = Effect::Wake { target };
            if !self.effects.contains(&wake) {
                self.effects.push(wake);
            }
        }
        Decision { interaction: self.next, effects: self.effects, message_effects: self.message_effects, history: self.history }
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

    fn of_account(&self, agent: &AgentId) -> bool {
        self.context.account.agents.contains(agent)
    }

    // Messages.

    fn message_received(&mut self, message: MessageId, at: Timestamp) {
        let now = self.context.now;
        self.next.inactivity.deadline = None;
        self.next.unanswered_since.get_or_insert(now);
        if self.next.last_message.as_ref().is_none_or(|last| last.at <= at) {
            self.next.last_message = Some(LastMessage { at, from_customer: true });
        }
        let attending = self.next.tab_open && self.context.presence.is_some_and(Presence::logged_in);
        // Who has left the account no longer sees it, tab or no tab.
        let there = self.next.agent.as_ref().is_some_and(|agent| attending && self.of_account(agent));
        let delivered = there && self.next.wait.is_none();
        self.fact(Fact::MessageReceived { message, delivered });
        if let Some(agent) = self.next.agent.clone() {
            self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent]), notice: Notice::Message });
        }
        if delivered {
            return;
        }
        let was_unread = std::mem::replace(&mut self.next.unread, true);
        if let Some(agent) = self.next.agent.clone().filter(|_| !was_unread) {
            self.tell(vec![agent], Notice::Interaction);
        }
        match &self.next.wait {
            None if !self.context.account.active => self.hold_while_inactive(),
            None if self.next.agent.is_some() => self.wait_for_agent(),
            None => self.start_plan(),
            // What already rings goes on; with nothing ringing, a customer who writes again starts the plan over.
            Some(Wait { stage: Stage::Exhausted, offer: None, .. }) if self.context.account.active => {
                self.end_wait(WaitEnd::NewMessage);
                self.start_plan();
            }
            Some(_) => {}
        }
    }

    fn message_sent(&mut self, agent: AgentId, message: MessageId) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        let now = self.context.now;
        if self.context.last_inbound_at.is_none_or(|at| at + SERVICE_WINDOW <= now) {
            return Err(Refusal::WindowExpired);
        }
        self.fact(Fact::MessageSent { message, agent: agent.clone() });
        self.next.last_message = Some(LastMessage { at: now, from_customer: false });
        self.next.unanswered_since = None;
        self.next.inactivity.deadline = self.context.account.settings.inactivity_timeout.map(|timeout| timeout.after(now));
        if let Some(deadline) = self.next.inactivity.deadline {
            self.arm_inactivity(deadline);
        }
        self.message_effects.push(Effect::Send);
        self.message_effects.push(Effect::Push { to: Audience::Agents(vec![agent.clone()]), notice: Notice::Message });
        // Who answers is there, whatever the tab says.
        if self.waits_on_own_agent() {
            self.next.unread = false;
            self.end_wait(WaitEnd::TabOpened);
            self.tell(vec![agent], Notice::Interaction);
        }
        Ok(())
    }

    fn arm_inactivity(&mut self, deadline: Timestamp) {
        if self.next.inactivity.armed.is_none() {
            let armed = self.next.version;
            self.next.inactivity.armed = Some(armed);
            self.effects.push(Effect::Timer { at: deadline, timer: Timer::Inactivity { armed } });
        }
    }

    // Waits.

    fn hold_while_inactive(&mut self) {
        self.fact(Fact::AccountInactive);
        let account = Target::Account(self.context.account.id.clone());
        self.begin_wait(Stage::Inactive, vec![account], None);
    }

    fn wait_for_agent(&mut self) {
        let Some(agent) = self.next.agent.clone() else { return self.start_plan() };
        if !self.of_account(&agent) {
            self.fact(Fact::StageSkipped { stage: Stage::AssignedAgent, why: Skip::LeftAccount });
            return self.start_plan();
        }
        let until = self.context.account.settings.wait_for_assigned_agent.after(self.context.now);
        self.begin_wait(Stage::AssignedAgent, Vec::new(), Some(until));
        let audience = Audience::Agents(vec![agent.clone()]);
        self.offer(Target::Agent(agent), audience, Some(until), Vec::new());
    }

    fn wait_for_queue(&mut self) {
        let skip = match (&self.next.agent, &self.next.accepted_via) {
            (Some(agent), Some(queue)) => match self.context.queues.get(queue) {
                Some(known) if known.members.contains(agent) => Ok(queue.clone()),
                _ => Err(Skip::LeftQueue),
            },
            _ => Err(Skip::NoQueue),
        };
        match skip {
            Ok(queue) => {
                let until = self.context.account.settings.wait_for_assigned_queue.after(self.context.now);
                self.begin_wait(Stage::AssignedQueue, vec![Target::Queue(queue)], Some(until));
            }
            Err(why) => {
                self.fact(Fact::StageSkipped { stage: Stage::AssignedQueue, why });
                self.start_plan();
            }
        }
    }

    fn start_plan(&mut self) {
        if let Some(agent) = self.next.agent.take() {
            self.next.accepted_via = None;
            self.next.tab_open = false;
            self.fact(Fact::Unassigned { agent: agent.clone() });
            self.tell(vec![agent], Notice::Interaction);
        }
        self.next.tried.clear();
        let plan = self.context.account.plan.version;
        self.fact(Fact::PlanStarted { plan });
        self.enter_step(0, plan);
    }

    /// Enters the first step from `index` on that can wait for somebody; behind the last one, waits for whoever becomes available.
    fn enter_step(&mut self, index: usize, version: u64) {
        let context = self.context;
        let plan = context.running_plan.filter(|plan| plan.version == version).unwrap_or(&context.account.plan);
        for (index, step) in plan.steps.iter().enumerate().skip(index) {
            let stage = Stage::Step { index, plan: plan.version };
            let (target, timeout) = match step {
                Step::Queue { queue, timeout } => {
                    if !context.queues.contains_key(queue) {
                        self.fact(Fact::StageSkipped { stage, why: Skip::QueueGone });
                        continue;
                    }
                    if !self.next.tried.contains(queue) {
                        self.next.tried.push(queue.clone());
                    }
                    (Target::Queue(queue.clone()), timeout)
                }
                Step::Agent { agent, timeout } => {
                    if !self.of_account(agent) {
                        self.fact(Fact::StageSkipped { stage, why: Skip::LeftAccount });
                        continue;
                    }
                    (Target::Agent(agent.clone()), timeout)
                }
            };
            return self.begin_wait(stage, vec![target], Some(timeout.after(context.now)));
        }
        let targets = match self.next.tried.as_slice() {
            [] => vec![Target::Account(context.account.id.clone())],
            tried => tried.iter().cloned().map(Target::Queue).collect(),
        };
        self.begin_wait(Stage::Exhausted, targets, None);
    }

    fn begin_wait(&mut self, stage: Stage, targets: Vec<Target>, until: Option<Timestamp>) {
        let id = self.next.version;
        self.fact(Fact::WaitStarted { stage: stage.clone(), until });
        if let Some(at) = until {
            self.effects.push(Effect::Timer { at, timer: Timer::Wait { wait: id } });
        }
        // Also when the account is off: it may have been switched on while this was decided.
        self.effects.extend(targets.iter().cloned().map(|target| Effect::Wake { target }));
        self.next.wait = Some(Wait { id, stage, targets, until, rejected: Vec::new(), offer: None });
    }

    /// Ends the wait and its offer; returns what it was waiting on.
    fn end_wait(&mut self, why: WaitEnd) -> Option<Stage> {
        self.withdraw_offer(None);
        let stage = self.next.wait.take()?.stage;
        self.fact(Fact::WaitEnded { stage: stage.clone(), why });
        Some(stage)
    }

    /// Nobody accepted: on to what comes next.
    fn advance(&mut self, why: WaitEnd) {
        let ended = self.end_wait(why);
        if !self.context.account.active {
            return self.hold_while_inactive();
        }
        match ended {
            Some(Stage::AssignedAgent) => self.wait_for_queue(),
            Some(Stage::AssignedQueue) => self.start_plan(),
            Some(Stage::Step { index, plan }) => self.enter_step(index + 1, plan),
            Some(Stage::Exhausted | Stage::Inactive) | None => self.start_plan(),
        }
    }

    /// Whether a wait is under way because its agent was not there: the plan runs for nobody's interactions only.
    fn waits_on_own_agent(&self) -> bool {
        self.next.agent.is_some() && self.next.wait.is_some()
    }

    fn account_activated(&mut self) -> Result<(), Refusal> {
        self.still_open()?;
        if !matches!(self.next.wait, Some(Wait { stage: Stage::Inactive, .. })) || !self.context.account.active {
            return Err(Refusal::Stale);
        }
        self.end_wait(WaitEnd::AccountActivated);
        self.wait_for_agent();
        Ok(())
    }

    // Offers.

    fn ring(&mut self, ring: Ring) -> Result<(), Refusal> {
        let wait = self.next.wait.as_ref().filter(|wait| wait.id == ring.wait && wait.offer.is_none()).ok_or(Refusal::Stale)?;
        if !wait.targets.contains(&ring.target) || wait.until.is_some_and(|until| until <= self.context.now) {
            return Err(Refusal::Stale);
        }
        let until = match (ring.until, wait.until) {
            (Some(ring), Some(wait)) => Some(ring.min(wait)),
            (ring, wait) => ring.or(wait),
        };
        if let Some(at) = until.filter(|_| until != wait.until) {
            let offer = self.next.version;
            self.effects.push(Effect::Timer { at, timer: Timer::Offer { offer } });
        }
        self.offer(ring.target, ring.audience, until, ring.passed_over);
        Ok(())
    }

    fn offer(&mut self, target: Target, audience: Audience, until: Option<Timestamp>, passed_over: Vec<PassedOver>) {
        let id = self.next.version;
        self.fact(Fact::Offered { target: target.clone(), audience: audience.clone(), until, passed_over });
        self.effects.push(Effect::Push { to: audience.clone(), notice: Notice::Offered { offer: id, until } });
        if let Some(wait) = &mut self.next.wait {
            wait.offer = Some(Offer { id, target, audience, until });
        }
    }

    /// Takes the offer back from everybody who saw it, but from the winner.
    fn withdraw_offer(&mut self, taken_by: Option<&AgentId>) -> Option<Offer> {
        let offer = self.next.wait.as_mut()?.offer.take()?;
        let to = match &offer.audience {
            Audience::Agents(agents) => Audience::Agents(agents.iter().filter(|agent| Some(*agent) != taken_by).cloned().collect()),
            Audience::Members { queue, except } => {
                Audience::Members { queue: queue.clone(), except: except.iter().chain(taken_by).cloned().collect() }
            }
        };
        if to != Audience::Agents(Vec::new()) {
            self.effects.push(Effect::Push { to, notice: Notice::Withdrawn { offer: offer.id, taken_by: taken_by.cloned() } });
        }
        Some(offer)
    }

    fn wake_targets(&mut self) {
        let targets = self.next.wait.iter().flat_map(|wait| wait.targets.iter().cloned());
        self.effects.extend(targets.map(|target| Effect::Wake { target }));
    }

    /// The standing offer, if it was made to `agent` and is not over.
    fn offer_to(&self, agent: &AgentId) -> Result<&Offer, Refusal> {
        self.still_open()?;
        let gone = || Refusal::OfferGone { owner: self.next.agent.clone() };
        let offer = self.next.offer().filter(|offer| offer.until.is_none_or(|until| self.context.now < until)).ok_or_else(gone)?;
        let seen = match &offer.audience {
            Audience::Agents(agents) => agents.contains(agent),
            Audience::Members { queue, except } => {
                let members = self.context.queues.get(queue).map(|queue| queue.members.as_slice()).unwrap_or_default();
                members.contains(agent) && self.of_account(agent) && !except.contains(agent)
            }
        };
        if seen { Ok(offer) } else { Err(gone()) }
    }

    fn accept(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let own = self.next.agent.as_ref() == Some(&agent);
        if own && self.next.is_open() && self.next.wait.is_none() {
            return Err(Refusal::AlreadyYours);
        }
        let offer = self.offer_to(&agent)?.clone();
        let presence = self.context.presence.ok_or(Refusal::NotReady)?;
        if !own {
            if presence.state != PresenceState::Ready {
                return Err(Refusal::NotReady);
            }
            if !presence.load.contains(&self.next.id) && !presence.available() {
                return Err(Refusal::AtCapacity);
            }
        } else if !presence.logged_in() {
            return Err(Refusal::NotReady);
        }
        self.withdraw_offer(Some(&agent));
        self.next.wait = None;
        let previous = self.next.agent.replace(agent.clone()).filter(|previous| *previous != agent);
        let queue = match offer.target {
            Target::Queue(queue) => Some(queue),
            Target::Agent(_) | Target::Account(_) => None,
        };
        // Who takes an own interaction back keeps the queue that it once came through.
        if !own || queue.is_some() {
            self.next.accepted_via.clone_from(&queue);
        }
        self.next.tab_open = true;
        self.next.unread = false;
        let told = previous.iter().cloned().chain([agent.clone()]).collect();
        self.fact(Fact::Accepted { agent, queue, previous });
        self.tell(told, Notice::Interaction);
        Ok(())
    }

    fn reject(&mut self, agent: AgentId) -> Result<(), Refusal> {
        let offer = self.offer_to(&agent)?.clone();
        self.fact(Fact::Rejected { agent: agent.clone() });
        let only_one = matches!(&offer.audience, Audience::Agents(agents) if agents.as_slice() == [agent.clone()]);
        if only_one {
            self.withdraw_offer(None);
        } else {
            self.tell(vec![agent.clone()], Notice::Withdrawn { offer: offer.id, taken_by: None });
        }
        let Some(wait) = &mut self.next.wait else { return Ok(()) };
        wait.rejected.push(agent.clone());
        match wait.offer.as_mut().map(|offer| &mut offer.audience) {
            Some(Audience::Agents(agents)) => agents.retain(|other| *other != agent),
            Some(Audience::Members { except, .. }) => except.push(agent),
            None => {}
        }
        if self.everybody_rejected() {
            self.advance(WaitEnd::EverybodyRejected);
        } else if only_one {
            self.wake_targets();
        }
        Ok(())
    }

    /// Whether nobody is left who could still say yes within this wait. One that has no end goes on: somebody else may come.
    fn everybody_rejected(&self) -> bool {
        let Some(wait) = &self.next.wait else { return false };
        match wait.stage {
            Stage::AssignedAgent => true,
            Stage::Exhausted | Stage::Inactive => false,
            Stage::AssignedQueue | Stage::Step { .. } => wait.targets.iter().all(|target| match target {
                Target::Agent(agent) => wait.rejected.contains(agent),
                Target::Queue(queue) => self.context.queues.get(queue).is_none_or(|queue| {
                    let mut candidates = queue.members.iter().filter(|agent| self.of_account(agent));
                    candidates.all(|agent| wait.rejected.contains(agent))
                }),
                Target::Account(_) => false,
            }),
        }
    }

    fn agent_unavailable(&mut self, agent: AgentId) -> Result<(), Refusal> {
        // Back already, or told twice: what rings there now rings rightly.
        if self.context.presence.is_some_and(|presence| presence.state == PresenceState::Ready) {
            return Err(Refusal::Stale);
        }
        let wait = self.next.wait.as_ref().filter(|wait| wait.stage != Stage::AssignedAgent).ok_or(Refusal::Stale)?;
        match wait.offer.as_ref().map(|offer| &offer.audience) {
            Some(Audience::Agents(agents)) if agents.as_slice() == [agent.clone()] => {}
            _ => return Err(Refusal::Stale),
        }
        self.fact(Fact::OfferWithdrawn { agent });
        self.withdraw_offer(None);
        self.wake_targets();
        Ok(())
    }

    // Timers.

    fn timer(&mut self, timer: &Timer) -> Result<(), Refusal> {
        if !self.next.is_open() {
            return Err(Refusal::Stale);
        }
        let due = |at: Timestamp| if self.context.now < at { Err(Refusal::Early(at)) } else { Ok(()) };
        match timer {
            Timer::Wait { wait: id } => {
                let wait = self.next.wait.as_ref().filter(|wait| wait.id == *id).ok_or(Refusal::Stale)?;
                due(wait.until.ok_or(Refusal::Stale)?)?;
                self.advance(WaitEnd::TimedOut);
            }
            Timer::Offer { offer: id } => {
                let offer = self.next.offer().filter(|offer| offer.id == *id).ok_or(Refusal::Stale)?;
                due(offer.until.ok_or(Refusal::Stale)?)?;
                let audience = offer.audience.clone();
                self.fact(Fact::OfferMissed { audience });
                self.withdraw_offer(None);
                self.wake_targets();
            }
            Timer::Inactivity { armed } => {
                if self.next.inactivity.armed != Some(*armed) {
                    return Err(Refusal::Stale);
                }
                match self.next.inactivity.deadline {
                    // Switched off since.
                    Some(_) if self.context.account.settings.inactivity_timeout.is_none() => self.next.inactivity = Inactivity::default(),
                    Some(deadline) if self.context.now < deadline => {
                        self.next.inactivity.armed = None;
                        self.arm_inactivity(deadline);
                    }
                    // Nothing closes while somebody is being asked to take it: the end of that wait is early enough to look again.
                    Some(_) if self.next.wait.is_some() => {
                        let until = self.next.wait.as_ref().and_then(|wait| wait.until);
                        let again = until.unwrap_or(self.context.now).max(self.context.now + SignedDuration::from_mins(1));
                        self.next.inactivity.armed = None;
                        self.arm_inactivity(again);
                    }
                    Some(_) => self.close(None, Some(CLOSED_FOR_INACTIVITY.to_owned())),
                    None => self.next.inactivity.armed = None,
                }
            }
        }
        Ok(())
    }

    // Tabs and the end.

    fn tab_opened(&mut self, agent: AgentId) {
        self.next.tab_open = true;
        self.next.unread = false;
        if self.waits_on_own_agent() {
            self.withdraw_offer(Some(&agent));
            self.end_wait(WaitEnd::TabOpened);
        }
        self.tell(vec![agent.clone()], Notice::Interaction);
        self.fact(Fact::TabOpened { agent });
    }

    fn close_by_agent(&mut self, agent: AgentId, disposition: Option<String>) -> Result<(), Refusal> {
        self.owned_by(&agent)?;
        let settings = &self.context.account.settings;
        match &disposition {
            None if settings.mandatory_disposition => return Err(Refusal::DispositionRequired),
            Some(chosen) if !settings.dispositions.is_empty() && !settings.dispositions.contains(chosen) => {
                return Err(Refusal::UnknownDisposition);
            }
            _ => {}
        }
        self.close(Some(agent), disposition);
        Ok(())
    }

    fn close(&mut self, by: Option<AgentId>, disposition: Option<String>) {
        self.withdraw_offer(None);
        self.next.wait = None;
        self.next.status = Status::Closed;
        self.next.closed_at = Some(self.context.now);
        self.next.disposition.clone_from(&disposition);
        self.next.tab_open = false;
        self.next.unread = false;
        self.next.unanswered_since = None;
        self.next.inactivity = Inactivity::default();
        self.fact(Fact::Closed { agent: by, disposition });
        self.effects.push(Effect::Archive);
        if let Some(agent) = self.next.agent.clone() {
            self.tell(vec![agent], Notice::Interaction);
        }
    }
}

#[cfg(test)]
mod tests;
