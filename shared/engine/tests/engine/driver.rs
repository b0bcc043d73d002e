//! Plays what surrounds the engine: `dispatch`, `assign`, the timers and a provider, on a clock that only the test moves.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use domain::account::{Account, Minutes, Whitelist};
use domain::agent::{Agent, Capacity, Presence, PresenceState, Role};
use domain::catalog::Pause;
use domain::decide::{Event, Refusal};
use domain::effect::{Audience, Effect, InteractionKey, MessageKey, Notice, Target, Timer};
use domain::fixtures;
use domain::footprint::WaitingRow;
use domain::history::{Fact, WebhookFailure};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId, PauseId, QueueId};
use domain::inbound::{Annotated, Annotation, InboundEvent, InboundKind, InboundMessage, StatusUpdate};
use domain::interaction::{Interaction, Stage};
use domain::message::{ApprovedTemplate, Content, DeliveryError, DeliveryState, ErrorClass, Message};
use domain::plan::{ActionPlan, PlanStep, Step};
use domain::queue::{MissedLimit, Queue, Strategy, Weight};
use domain::tag::Tag;
use domain::text_template::TextTemplate;
use domain::values::{Address, E164, Seconds};
use domain::variables::VariableName;
use engine::memory::{Cause, Caused, Memory, MemoryDirectory, VirtualWorld};
use engine::ports::{Directory, Idempotency, World};
use engine::{Claim, Engine, EngineError, Reach, Sending, Sent, Start, Started, Told, Woken};
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

pub(crate) type Machine = Engine<Memory, MemoryDirectory, VirtualWorld>;

/// After what time an event comes again whose message is not there yet.
const NOT_YET: SignedDuration = SignedDuration::from_secs(15);

/// Something to carry out: the body of a queue, or a command of an agent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Job {
    Route(Box<InboundEvent>),
    Wake(Target),
    /// Because something changed in another queue.
    Related(Target),
    Timer {
        key: InteractionKey,
        at: Timestamp,
        timer: Timer,
    },
    Withdraw {
        interaction: InteractionId,
        agent: AgentId,
    },
    Send(MessageKey),
    Webhook {
        key: InteractionKey,
        wait: u64,
    },
    Missed {
        id: String,
        agent: AgentId,
        limit: MissedLimit,
    },
    Command {
        id: String,
        agent: AgentId,
        command: Command,
    },
    Unify(ContactId),
    /// An agent may have been added to, or taken off, an account or a queue.
    Reconfigured(AgentId),
}

impl Job {
    /// Jobs of one group are carried out one after the other, in order.
    pub(crate) fn group(&self) -> Option<String> {
        match self {
            Job::Route(event) => Some(format!("inbound {}", event.group())),
            Job::Wake(target) | Job::Related(target) => Some(format!("assign {}", target.key())),
            // The same queue as the wake's.
            Job::Reconfigured(agent) => Some(format!("assign {agent}")),
            Job::Send(message) => Some(format!("outbound {}", message.interaction.conversation.group())),
            Job::Timer { .. } | Job::Withdraw { .. } | Job::Webhook { .. } | Job::Missed { .. } | Job::Unify(_) | Job::Command { .. } => {
                None
            }
        }
    }
}

/// What an agent does.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    Accept(InteractionId),
    Reject(InteractionId),
    OpenTab(InteractionId),
    CloseTab(InteractionId),
    Close(InteractionId, Option<String>),
    Transfer(InteractionId, Target),
    Pick(InteractionId),
    Reassign(InteractionId, AgentId),
    Archive(InteractionId),
    Reopen(InteractionId),
    Write(InteractionId, MessageId, String),
    Note(InteractionId, MessageId),
    Tag(InteractionId, Vec<Tag>, Vec<Tag>),
    Ai(InteractionId, bool),
    Start(Address, MessageId),
    Presence(PresenceState),
    Capacity(Capacity),
}

/// What a job led to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Done; these follow.
    Done { jobs: Vec<Job>, shown: Vec<(AgentId, Seen)>, told: Option<Told> },
    /// It failed: whoever asked tries again.
    Failed(EngineError),
}

/// The provider: answers as it was told to, and remembers what it was called for.
#[derive(Debug, Default)]
pub(crate) struct FakeProvider {
    pub(crate) outcomes: VecDeque<Sent>,
    pub(crate) calls: Vec<MessageId>,
    /// What other systems answer to the plan; unless told, nothing.
    pub(crate) webhooks: VecDeque<WebhookAnswer>,
}

pub(crate) type WebhookAnswer = Result<Vec<(VariableName, String)>, WebhookFailure>;

/// What an agent was shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub(crate) interaction: Option<InteractionId>,
    pub(crate) notice: Notice,
}

pub(crate) struct Sim {
    pub(crate) memory: Memory,
    pub(crate) directory: MemoryDirectory,
    pub(crate) world: VirtualWorld,
    pub(crate) engine: Machine,
    pub(crate) jobs: VecDeque<Job>,
    pub(crate) timers: Vec<(Timestamp, Job)>,
    pub(crate) seen: BTreeMap<AgentId, Vec<Seen>>,
    pub(crate) provider: Arc<Mutex<FakeProvider>>,
    pub(crate) archived: Vec<InteractionId>,
    pub(crate) account: AccountId,
    counter: u64,
}

/// Polls a future to its end: nothing here waits for anything but its turn.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// A job under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome>>>;

pub(crate) fn start(engine: &Machine, provider: &Arc<Mutex<FakeProvider>>, job: Job) -> Running {
    let (engine, provider) = (engine.clone(), provider.clone());
    Box::pin(async move {
        match carry_out(&engine, &provider, job).await {
            Ok((jobs, shown, told)) => Outcome::Done { jobs, shown, told },
            Err(error) => Outcome::Failed(error),
        }
    })
}

fn shown(agent: &AgentId, row: WaitingRow, notice: &Notice) -> (AgentId, Seen) {
    (agent.clone(), Seen { interaction: Some(row.interaction.interaction), notice: notice.clone() })
}

type Led = (Vec<Job>, Vec<(AgentId, Seen)>, Option<Told>);

async fn carry_out(engine: &Machine, provider: &Mutex<FakeProvider>, job: Job) -> Result<Led, EngineError> {
    let nothing = (Vec::new(), Vec::new(), None);
    match job {
        Job::Route(event) => engine.route(&event).await.map(|()| nothing),
        Job::Wake(target) => {
            let Woken { joined, also, related, .. } = engine.wake(&target, Reach::Far).await?;
            let offered = Notice::Offered { offer: 0, until: None, notification: None };
            let shown = match &target {
                Target::Agent(agent) => joined.into_iter().map(|row| shown(agent, row, &offered)).collect(),
                Target::Queue(_) | Target::Account(_) => Vec::new(),
            };
            Ok((also.into_iter().map(Job::Wake).chain(related.into_iter().map(Job::Related)).collect(), shown, None))
        }
        Job::Related(target) => {
            let woken = engine.wake(&target, Reach::Near).await?;
            Ok((woken.also.into_iter().map(Job::Wake).chain(woken.related.into_iter().map(Job::Related)).collect(), Vec::new(), None))
        }
        Job::Timer { key, timer, .. } => {
            let told = engine.tell(&key, Event::Timer(timer.clone()), Idempotency::Guarded).await?;
            let again = match &told {
                Told::Refused(Refusal::Early(at), _) => vec![Job::Timer { key, at: *at, timer }],
                _ => Vec::new(),
            };
            Ok((again, Vec::new(), Some(told)))
        }
        Job::Withdraw { interaction, agent } => {
            let key = engine.locate(&interaction).await?;
            let told = engine.tell(&key, Event::AgentUnavailable { agent }, Idempotency::Guarded).await?;
            Ok((Vec::new(), Vec::new(), Some(told)))
        }
        Job::Unify(contact) => engine.unify(&contact).await.map(|()| nothing),
        Job::Reconfigured(agent) => {
            // `assign` was told that the configuration changed, and forgets what it had of it.
            let engine = Machine { directory: engine.directory.fresh(), ..engine.clone() };
            let released = engine.release(&agent).await?;
            let Woken { joined, also, .. } = engine.wake(&Target::Agent(agent.clone()), Reach::Far).await?;
            let (gone, offered) =
                (Notice::Withdrawn { offer: 0, taken_by: None }, Notice::Offered { offer: 0, until: None, notification: None });
            let unseen = released.unseen.into_iter().map(|row| shown(&agent, row, &gone));
            let joined = joined.into_iter().map(|row| shown(&agent, row, &offered));
            Ok((also.into_iter().map(Job::Wake).collect(), unseen.chain(joined).collect(), None))
        }
        Job::Send(key) => {
            if let Claim::Send(message) = engine.claim(&key).await? {
                let outcome = {
                    let mut provider = provider.lock().unwrap();
                    provider.calls.push(message.id.clone());
                    let provider_id = format!("SM{}", message.id);
                    provider.outcomes.pop_front().unwrap_or(Sent::Accepted { provider_id })
                };
                let state = engine.sent(&key, &outcome).await?;
                if state == DeliveryState::Queued {
                    return Ok((vec![Job::Send(key)], Vec::new(), None));
                }
            }
            Ok(nothing)
        }
        Job::Webhook { key, wait } => {
            let answer = provider.lock().unwrap().webhooks.pop_front().unwrap_or(Ok(Vec::new()));
            let told = engine.tell(&key, Event::WebhookAnswered { wait, answer }, Idempotency::Guarded).await?;
            Ok((Vec::new(), Vec::new(), Some(told)))
        }
        Job::Missed { id, agent, limit } => {
            engine.missed(&agent, limit, Idempotency::Command { id }).await?;
            Ok(nothing)
        }
        Job::Command { id, agent, command } => {
            let mark = Idempotency::Command { id };
            let (interaction, event) = match command {
                Command::Accept(interaction) => (interaction, Event::Accept { agent }),
                Command::Reject(interaction) => (interaction, Event::Reject { agent }),
                Command::OpenTab(interaction) => (interaction, Event::OpenTab { agent }),
                Command::CloseTab(interaction) => (interaction, Event::CloseTab { agent }),
                Command::Close(interaction, disposition) => (interaction, Event::Close { agent, disposition }),
                Command::Transfer(interaction, to) => (interaction, Event::Transfer { agent, to }),
                Command::Pick(interaction) => (interaction, Event::Pick { agent }),
                Command::Reassign(interaction, to) => (interaction, Event::Reassign { by: agent, to }),
                Command::Archive(interaction) => (interaction, Event::Archive { agent }),
                Command::Reopen(interaction) => (interaction, Event::Reopen { agent }),
                Command::Write(interaction, message, body) => {
                    let key = engine.locate(&interaction).await?;
                    let sending =
                        Sending { id: message, content: Content::Text { body }, attachments: Vec::new(), reply_to: None, answers: None };
                    return Ok((Vec::new(), Vec::new(), Some(engine.send(&key, agent, sending, mark).await?)));
                }
                Command::Note(interaction, message) => {
                    let key = engine.locate(&interaction).await?;
                    return Ok((Vec::new(), Vec::new(), Some(engine.note(&key, agent, message, "a note".into(), mark).await?)));
                }
                Command::Tag(interaction, add, remove) => (interaction, Event::Retagged { by: agent, add, remove }),
                Command::Ai(interaction, on) => (interaction, Event::AiSwitched { by: agent, oversees: false, on }),
                Command::Start(to, message) => {
                    let account = engine.directory.accounts().await?[0].clone();
                    let template =
                        ApprovedTemplate { name: "recontact".into(), language: "it".into(), header: None, body: vec![], buttons: vec![] };
                    let start = Start { agent, to, name: None, message, template };
                    let told = match engine.start(&account, &start, &mark).await? {
                        Started::Opened(interaction, message) => Some(Told::Changed { interaction, message: Some(message) }),
                        Started::Before | Started::Refused(_) => None,
                    };
                    return Ok((Vec::new(), Vec::new(), told));
                }
                Command::Presence(state) => {
                    engine.set_presence(&agent, state, mark).await?;
                    return Ok(nothing);
                }
                Command::Capacity(capacity) => {
                    engine.set_capacity(&agent, capacity).await?;
                    return Ok(nothing);
                }
            };
            let key = engine.locate(&interaction).await?;
            Ok((Vec::new(), Vec::new(), Some(engine.tell(&key, event, mark).await?)))
        }
    }
}

pub(crate) fn agent_id(number: u64) -> AgentId {
    AgentId::from_ulid(Ulid::from_parts(0, number.into()))
}

pub(crate) fn queue_id(number: u64) -> QueueId {
    QueueId::from_ulid(Ulid::from_parts(0, number.into()))
}

pub(crate) fn seconds(seconds: i64) -> Seconds {
    Seconds::new(seconds).unwrap()
}

pub(crate) fn queue_step(queue: &QueueId, timeout: i64) -> Step {
    Step::Queue { queue: queue.clone(), timeout: seconds(timeout) }
}

pub(crate) fn agent_step(agent: &AgentId, timeout: i64) -> Step {
    Step::Agent { agent: agent.clone(), timeout: seconds(timeout) }
}

pub(crate) fn phone(number: u32) -> Address {
    Address::Phone(E164::parse(&format!("+39{number:09}")).unwrap())
}

impl Sim {
    /// One active account with no agents and no plan, at the first second of 2026.
    pub(crate) fn new() -> Self {
        Self::seeded(1)
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        let memory = Memory::new();
        let directory = memory.directory();
        let world = VirtualWorld::new("2026-01-01T00:00:00Z".parse().unwrap(), seed);
        let account = AccountId::from_ulid(Ulid::from_parts(0, 1));
        directory.put_account(Account { id: account.clone(), ..fixtures::account() });
        let engine = Engine { store: memory.clone(), directory: directory.clone(), world: world.clone() };
        Self {
            memory,
            directory,
            world,
            engine,
            jobs: VecDeque::new(),
            timers: Vec::new(),
            seen: BTreeMap::new(),
            provider: Arc::default(),
            archived: Vec::new(),
            account,
            counter: 0,
        }
    }

    // Configuration.

    /// An agent of the account.
    pub(crate) fn agent(&self, number: u64) -> AgentId {
        let id = agent_id(number);
        self.directory.put_agent(Agent {
            id: id.clone(),
            name: format!("Agent {number}"),
            subject: format!("subject-{number}"),
            role: Role::Agent,
            whatsapp: true,
            capacity: Capacity::default(),
        });
        self.change_account(|account| account.agents.push(id.clone()));
        id
    }

    pub(crate) fn queue(&self, number: u64, strategy: Strategy, members: &[&AgentId]) -> QueueId {
        let id = queue_id(number);
        self.directory.put_queue(Queue {
            id: id.clone(),
            name: format!("Queue {number}"),
            strategy,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            members: members.iter().map(|member| (*member).clone()).collect(),
        });
        id
    }

    pub(crate) fn change_account(&self, change: impl FnOnce(&mut Account)) {
        let mut account = self.directory.change(|config| config.accounts[&self.account].clone());
        change(&mut account);
        self.directory.put_account(account);
    }

    pub(crate) fn plan(&self, steps: &[Step]) {
        self.steps(steps.iter().cloned().map(PlanStep::from).collect());
    }

    pub(crate) fn steps(&self, steps: Vec<PlanStep>) {
        self.change_account(|account| account.plan = ActionPlan { version: account.plan.version + 1, steps });
    }

    /// Switches the account on or off, and wakes as `admin-api` does.
    pub(crate) fn set_active(&mut self, active: bool) {
        self.change_account(|account| account.active = active);
        self.account_changed();
        self.settle();
    }

    /// What `admin-api` wakes after a change of the account.
    pub(crate) fn account_changed(&mut self) {
        let plan = self.directory.change(|config| config.accounts[&self.account].plan.clone());
        let queues = plan.queues().cloned().map(Target::Queue);
        self.jobs.extend(queues.chain(plan.agents().cloned().map(Target::Agent)).map(Job::Wake));
        let agents = self.directory.change(|config| config.agents.keys().cloned().collect::<Vec<_>>());
        self.jobs.extend(agents.into_iter().map(Job::Reconfigured));
        self.jobs.push_back(Job::Wake(Target::Account(self.account.clone())));
    }

    pub(crate) fn inactivity_timeout(&self, minutes: i64) {
        self.change_account(|account| account.settings.inactivity_timeout = Some(Minutes::new(minutes).unwrap()));
    }

    /// A queue with these members as the only step of the plan, everybody ready.
    pub(crate) fn desk(strategy: Strategy, agents: u64) -> (Self, Vec<AgentId>, QueueId) {
        let mut sim = Self::new();
        let agents: Vec<AgentId> = (1..=agents).map(|number| sim.agent(number)).collect();
        let queue = sim.queue(1, strategy, &agents.iter().collect::<Vec<_>>());
        sim.plan(&[queue_step(&queue, 30)]);
        for agent in &agents {
            sim.ready(agent);
        }
        (sim, agents, queue)
    }

    // What happens.

    pub(crate) fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    pub(crate) fn event(&mut self, from: u32) -> InboundEvent {
        let number = self.next();
        let message = InboundMessage {
            provider_id: format!("SMin{number}"),
            from: phone(from),
            alias: None,
            profile_name: None,
            sent_at: None,
            content: Content::Text { body: format!("message {number}") },
            attachments: Vec::new(),
            reply_to: None,
            forwarded: false,
            username: None,
            referral: None,
        };
        InboundEvent {
            account: self.account.clone(),
            id: format!("SMin{number}"),
            received_at: self.world.now(),
            index: 0,
            kind: InboundKind::Message(message),
        }
    }

    /// A message from somebody known by `from`, and in the same request by `alias`.
    pub(crate) fn event_from(&mut self, from: Address, alias: Option<Address>) -> InboundEvent {
        let mut event = self.event(0);
        if let InboundKind::Message(message) = &mut event.kind {
            (message.from, message.alias) = (from, alias);
        }
        event
    }

    /// Something that customer `from` does to a message, or that happens to the customer.
    pub(crate) fn annotation(&mut self, from: u32, what: Annotated) -> InboundEvent {
        let number = self.next();
        let annotation = Annotation { provider_id: format!("note-{number}"), from: phone(from), alias: None, sent_at: None, what };
        InboundEvent {
            account: self.account.clone(),
            id: format!("note-{number}"),
            received_at: self.world.now(),
            index: 0,
            kind: InboundKind::Annotation(annotation),
        }
    }

    /// An annotation comes; tells to which interaction it went, or `-`.
    pub(crate) fn annotated(&mut self, event: &InboundEvent) -> Option<String> {
        self.memory.receive(event);
        self.settle();
        self.memory.routed(&event.account, &event.id)
    }

    /// A customer writes; tells to which interaction it went.
    pub(crate) fn writes(&mut self, from: u32) -> InteractionId {
        let event = self.event(from);
        self.receives(&event)
    }

    pub(crate) fn receives(&mut self, event: &InboundEvent) -> InteractionId {
        self.memory.receive(event);
        self.settle();
        self.memory.routed(&event.account, &event.id).unwrap().parse().unwrap()
    }

    /// The provider reports on a message.
    pub(crate) fn reports(&mut self, message: &MessageId, state: DeliveryState) {
        let event = self.report(message, state);
        self.memory.receive(&event);
        self.settle();
    }

    pub(crate) fn report(&mut self, message: &MessageId, state: DeliveryState) -> InboundEvent {
        let number = self.next();
        let (key, _) = self.message(message);
        let error = (state == DeliveryState::Failed).then_some(DeliveryError { class: ErrorClass::Permanent, code: None });
        let status = StatusUpdate { provider_id: format!("SM{message}"), reference: Some(key.reference().0), state, error, at: None };
        InboundEvent {
            account: self.account.clone(),
            id: format!("status-{number}"),
            received_at: self.world.now(),
            index: 0,
            kind: InboundKind::Status(status),
        }
    }

    /// Carries out several jobs whose calls to the ports alternate.
    pub(crate) fn at_once(&mut self, jobs: Vec<Job>) -> Vec<Outcome> {
        let mut running: Vec<(Option<Running>, Option<Outcome>)> =
            jobs.into_iter().map(|job| (Some(start(&self.engine, &self.provider, job)), None)).collect();
        while running.iter().any(|(future, _)| future.is_some()) {
            for (future, outcome) in &mut running {
                if let Some(Poll::Ready(ready)) =
                    future.as_mut().map(|future| future.as_mut().poll(&mut Context::from_waker(Waker::noop())))
                {
                    (*future, *outcome) = (None, Some(ready));
                }
            }
        }
        running.into_iter().filter_map(|(_, outcome)| outcome).collect()
    }

    pub(crate) fn command(&mut self, agent: &AgentId, command: Command) -> Result<Interaction, Refusal> {
        let id = format!("command-{}", self.next());
        match self.try_command(&id, agent, command) {
            Ok(Some(Told::Changed { interaction, .. } | Told::AlreadyDone(interaction))) => Ok(*interaction),
            Ok(Some(Told::Refused(refusal, _))) => Err(refusal),
            Ok(None) => panic!("a command to an interaction was expected"),
            Err(error) => panic!("{error}"),
        }
    }

    /// One attempt at a command.
    pub(crate) fn try_command(&mut self, id: &str, agent: &AgentId, command: Command) -> Result<Option<Told>, EngineError> {
        let job = Job::Command { id: id.to_owned(), agent: agent.clone(), command };
        let outcome = run(start(&self.engine, &self.provider, job));
        self.settle();
        match outcome {
            Outcome::Done { told, .. } => Ok(told),
            Outcome::Failed(error) => Err(error),
        }
    }

    pub(crate) fn accept(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
        self.command(agent, Command::Accept(interaction.clone()))
    }

    pub(crate) fn reject(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
        self.command(agent, Command::Reject(interaction.clone()))
    }

    pub(crate) fn open_tab(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
        self.command(agent, Command::OpenTab(interaction.clone()))
    }

    pub(crate) fn close_tab(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
        self.command(agent, Command::CloseTab(interaction.clone()))
    }

    pub(crate) fn close(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<Interaction, Refusal> {
        self.command(agent, Command::Close(interaction.clone(), None))
    }

    /// The agent writes; tells which message that is.
    pub(crate) fn answers(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<MessageId, Refusal> {
        let id = MessageId::from_ulid(self.world.ulid());
        self.command(agent, Command::Write(interaction.clone(), id.clone(), "an answer".into())).map(|_| id)
    }

    /// An agent writes to customer `to` first.
    pub(crate) fn starts(&mut self, agent: &AgentId, to: u32) -> Result<Interaction, Refusal> {
        let account = run(self.engine.directory.accounts()).unwrap()[0].clone();
        let template = ApprovedTemplate { name: "recontact".into(), language: "it".into(), header: None, body: vec![], buttons: vec![] };
        let message = MessageId::from_ulid(self.world.ulid());
        let start = Start { agent: agent.clone(), to: phone(to), name: None, message, template };
        let mark = Idempotency::Command { id: format!("start-{}", self.next()) };
        let started = run(self.engine.start(&account, &start, &mark)).unwrap();
        assert!(
            matches!(started, Started::Refused(_))
                || run(self.engine.start(&account, &start, &mark)).unwrap() == {
                    // Again it finds what it opened; the caller looks for its mark.
                    let Started::Opened(interaction, _) = &started else { unreachable!() };
                    Started::Refused(Refusal::OtherOpen { interaction: interaction.id.clone() })
                }
        );
        self.settle();
        match started {
            Started::Opened(interaction, _) => Ok(*interaction),
            Started::Refused(refusal) => Err(refusal),
            Started::Before => panic!("it was the first time"),
        }
    }

    /// Agents must give a disposition, and are on a pause until they do.
    pub(crate) fn mandatory_disposition(&self) {
        let pause = Pause { id: PauseId::from_ulid(Ulid::from_parts(0, 1)), name: "After-call work".into() };
        self.change_account(|account| {
            account.settings.mandatory_disposition = true;
            account.settings.disposition_pause = Some(pause.id.clone());
        });
        self.directory.change(|config| config.pauses.insert(pause.id.clone(), pause));
    }

    /// Only contacts of the account's list are talked to.
    pub(crate) fn whitelist(&self, enabled: bool) {
        self.change_account(|account| {
            let reply = TextTemplate::parse("We do not know {{contact.mobile}}.").unwrap();
            account.settings.whitelist = Some(Whitelist { enabled, lists: vec![account.list.clone()], reply });
        });
    }

    fn presence_is(&mut self, agent: &AgentId, state: PresenceState) {
        let id = format!("presence-{}", self.next());
        self.try_command(&id, agent, Command::Presence(state)).unwrap();
    }

    pub(crate) fn ready(&mut self, agent: &AgentId) {
        self.presence_is(agent, PresenceState::Ready);
    }

    pub(crate) fn pause(&mut self, agent: &AgentId) {
        self.presence_is(agent, PresenceState::Paused { reason: "lunch".into() });
    }

    pub(crate) fn log_out(&mut self, agent: &AgentId) {
        self.presence_is(agent, PresenceState::LoggedOut);
    }

    /// Before the story begins.
    pub(crate) fn give_capacity(&self, agent: &AgentId, capacity: Capacity) {
        run(self.engine.set_capacity(agent, capacity)).unwrap();
    }

    pub(crate) fn capacity(&mut self, agent: &AgentId, slots: i64) {
        let id = format!("capacity-{}", self.next());
        self.try_command(&id, agent, Command::Capacity(Capacity::new(slots).unwrap())).unwrap();
    }

    // Carrying out.

    /// What the stream hands to `dispatch`.
    pub(crate) fn pump(&mut self) {
        for Caused { by, version, effects } in self.memory.take_effects() {
            for (index, effect) in effects.into_iter().enumerate() {
                let id = format!("{by:?} {version} {index}");
                self.dispatch(&by, id, effect);
            }
        }
    }

    fn dispatch(&mut self, by: &Cause, id: String, effect: Effect) {
        match (by, effect) {
            (Cause::Interaction(key), Effect::Webhook { wait, .. }) => self.jobs.push_back(Job::Webhook { key: key.clone(), wait }),
            (_, Effect::Missed { agent, limit }) => self.jobs.push_back(Job::Missed { id, agent, limit }),
            (Cause::Event(event), Effect::Route) => self.jobs.push_back(Job::Route(event.clone())),
            (Cause::Interaction(key), Effect::SendMessage { message, at }) => {
                self.jobs.push_back(Job::Send(MessageKey { interaction: key.clone(), at, message }));
            }
            (Cause::Interaction(key), Effect::Timer { at, timer }) => {
                self.timers.push((at, Job::Timer { key: key.clone(), at, timer }));
            }
            (_, Effect::Withdraw { interaction, agent }) => self.jobs.push_back(Job::Withdraw { interaction, agent }),
            (Cause::Contact(_), Effect::Unify { contact }) => self.jobs.push_back(Job::Unify(contact)),
            (_, Effect::Wake { target }) => self.jobs.push_back(Job::Wake(target)),
            (Cause::Interaction(key), Effect::Archive) => self.archived.push(key.interaction.clone()),
            (Cause::Message(key), Effect::Archive) => self.archived.push(key.interaction.interaction.clone()),
            (by, Effect::Push { to, notice }) => {
                let interaction = match by {
                    Cause::Interaction(key) => Some(key.interaction.clone()),
                    Cause::Message(key) => Some(key.interaction.interaction.clone()),
                    Cause::Event(_) | Cause::Presence(_) | Cause::Contact(_) => None,
                };
                for agent in self.expand(&to, matches!(notice, Notice::Offered { .. })) {
                    self.seen.entry(agent).or_default().push(Seen { interaction: interaction.clone(), notice: notice.clone() });
                }
            }
            (by, effect) => panic!("{effect:?} of {by:?}"),
        }
    }

    /// Who is meant: of a queue's members those of the account, for an offer only who is ready.
    pub(crate) fn expand(&self, audience: &Audience, only_ready: bool) -> Vec<AgentId> {
        match audience {
            Audience::Agents(agents) => agents.clone(),
            Audience::Members { queue, except } => {
                let (account, queue) =
                    self.directory.change(|config| (config.accounts[&self.account].clone(), config.queues[queue].clone()));
                let members = queue.members.into_iter().filter(|agent| account.agents.contains(agent) && !except.contains(agent));
                let there = |agent: &AgentId| self.presence(agent).is_some_and(|presence| presence.is_ready());
                members.filter(|agent| !only_ready || there(agent)).collect()
            }
        }
    }

    /// Takes up what a job led to. A failed one is tried again, as its queue or its client would.
    pub(crate) fn led_to(&mut self, job: Job, outcome: Outcome) -> Option<Told> {
        match outcome {
            Outcome::Done { jobs, shown, told } => {
                for job in jobs {
                    match job {
                        Job::Timer { at, .. } => self.timers.push((at, job)),
                        job => self.jobs.push_back(job),
                    }
                }
                for (agent, seen) in shown {
                    self.seen.entry(agent).or_default().push(seen);
                }
                told
            }
            // Given back: it comes again after a while.
            Outcome::Failed(EngineError::NotYet) => {
                self.timers.push((self.world.now() + NOT_YET, job));
                None
            }
            // Before later ones of its group.
            Outcome::Failed(_) => {
                self.jobs.push_front(job);
                None
            }
        }
    }

    /// Carries out everything that is to be done now.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.pump();
            let Some(job) = self.jobs.pop_front() else { return };
            let outcome = run(start(&self.engine, &self.provider, job.clone()));
            self.led_to(job, outcome);
        }
        panic!("it never settles");
    }

    /// Lets time pass, and everything happen that is due meanwhile.
    pub(crate) fn wait(&mut self, seconds: i64) {
        let end = self.world.now() + SignedDuration::from_secs(seconds);
        self.settle();
        while let Some(index) = self.next_timer().filter(|index| self.timers[*index].0 <= end) {
            let (at, job) = self.timers.remove(index);
            if at > self.world.now() {
                self.world.set(at);
            }
            self.jobs.push_back(job);
            self.settle();
        }
        self.world.set(end);
    }

    pub(crate) fn next_timer(&self) -> Option<usize> {
        (0..self.timers.len()).min_by_key(|index| self.timers[*index].0)
    }

    // What can be seen.

    pub(crate) fn interaction(&self, id: &InteractionId) -> Interaction {
        self.memory.interactions().into_iter().find(|interaction| interaction.id == *id).unwrap()
    }

    pub(crate) fn presence(&self, agent: &AgentId) -> Option<Presence> {
        self.memory.all_presences().into_iter().find(|presence| presence.agent == *agent)
    }

    pub(crate) fn message(&self, id: &MessageId) -> (MessageKey, Message) {
        self.memory.messages().into_iter().find(|(_, message)| message.id == *id).unwrap()
    }

    pub(crate) fn delivery(&self, id: &MessageId) -> DeliveryState {
        self.message(id).1.delivery.unwrap().state
    }

    /// The agents on whose screens it rings now.
    pub(crate) fn rings_at(&self, id: &InteractionId) -> Vec<AgentId> {
        let interaction = self.interaction(id);
        let now = self.world.now();
        let standing = interaction.offer().filter(|offer| offer.until.is_none_or(|until| now < until));
        standing.map(|offer| self.expand(&offer.audience, true)).unwrap_or_default()
    }

    pub(crate) fn stage(&self, id: &InteractionId) -> Option<Stage> {
        self.interaction(id).wait.map(|wait| wait.stage)
    }

    pub(crate) fn step(&self, id: &InteractionId) -> Option<usize> {
        match self.stage(id) {
            Some(Stage::Step { index, .. }) => Some(index),
            _ => None,
        }
    }

    pub(crate) fn facts(&self, id: &InteractionId) -> Vec<Fact> {
        self.memory.history(id).into_iter().map(|entry| entry.fact).collect()
    }

    /// What an agent was shown of an interaction, in order.
    pub(crate) fn shown(&self, agent: &AgentId, id: &InteractionId) -> Vec<Notice> {
        let seen = self.seen.get(agent).map(Vec::as_slice).unwrap_or_default();
        seen.iter().filter(|seen| seen.interaction.as_ref() == Some(id)).map(|seen| seen.notice.clone()).collect()
    }
}
