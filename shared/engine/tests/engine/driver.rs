//! Simulates the engine's surroundings: `dispatch`, `assign`, the timers and a provider, on a clock that only the
//! test moves.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use domain::account::{Account, Minutes, Whitelist};
use domain::agent::{Agent, Capacity, Presence, PresenceState, PresenceWord, Role};
use domain::ai_agent::Limits;
use domain::business::Business;
use domain::catalog::Pause;
use domain::commands::Keyed;
use domain::contact::{Contact, Identity, Place};
use domain::decide::{AiAnswer, AiEscalation, Event, InsightsCause, Refusal};
use domain::effect::{Audience, Effect, InteractionKey, MessageKey, Notice, Target, Timer};
use domain::fixtures;
use domain::footprint::WaitingRow;
use domain::history::{Escalated, Fact, WebhookFailure};
use domain::ids::{AccountId, AgentId, ContactId, InteractionId, JobId, MessageId, PauseId, QueueId};
use domain::inbound::{Annotated, Annotation, Elsewhere, InboundEvent, InboundKind, InboundMessage, StatusUpdate};
use domain::insights::{Sentiment, Summary};
use domain::interaction::{Interaction, Stage};
use domain::language::Language;
use domain::message::{ApprovedTemplate, Content, DeliveryError, DeliveryState, ErrorClass, Message, Origin};
use domain::news::News;
use domain::plan::{ActionPlan, PlanStep, Step};
use domain::pricing::{Amount, Category, Charge, Currency};
use domain::queue::{Queue, Strategy, Weight};
use domain::tag::Tag;
use domain::text_template::TextTemplate;
use domain::values::{Address, E164, Seconds};
use domain::variables::VariableName;
use domain::wakes;
use engine::errands::{Errand, Job as Body};
use engine::jobs::{ArchiveJob, AssignJob, AssistJob, PushJob, Recipients, ReportJob, SendJob, TriggerJob, Wakeup};
use engine::memory::{Memory, MemoryDirectory, VirtualWorld};
use engine::ports::{Directory, Idempotency, Store, World};
use engine::stream::{Grown, Owner};
use engine::{Basis, Claim, Engine, EngineError, Released, Sending, Sent, Start, Started, Told};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use ulid::Ulid;

pub(crate) type Machine = Engine<Memory, MemoryDirectory, VirtualWorld>;

/// How long an event waits before its next attempt if its message is not there yet.
const NOT_YET: SignedDuration = SignedDuration::from_secs(15);

/// How often `send` tries to write the provider's answer.
const WRITES: u32 = 3;

/// An errand to carry out: the body of a queue, as it arrives there, or an agent's command.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Job {
    Queued(Errand),
    Command { id: String, agent: AgentId, command: Command },
    Removal(Removal),
}

/// A pass of a deletion, as the worker makes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Removal {
    pub(crate) of: Removed,
    /// Whether it is the second pass, for what came late.
    pub(crate) again: bool,
}

/// What is deleted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Removed {
    /// An interaction, which is closed first if it is open.
    Interaction(InteractionId),
    /// A customer, by one of the contacts.
    Customer(ContactId),
    /// The contacts of a customer to whom no address leads any more.
    Contacts(Vec<ContactId>),
}

impl Job {
    /// The body of a queue. It is written as JSON and read again.
    pub(crate) fn queued(errand: Errand) -> Self {
        let job = match errand.job {
            Body::Route(event) => Body::Route(Box::new(travels(&*event))),
            Body::Assign(job) => Body::Assign(travels(&job)),
            Body::Send(job) => Body::Send(travels(&job)),
            Body::Media(job) => Body::Media(travels(&job)),
            Body::Archive(job) => Body::Archive(travels(&job)),
            Body::Assist(job) => Body::Assist(travels(&job)),
            Body::Webhook(job) => Body::Webhook(Box::new(travels(&*job))),
            Body::Trigger(job) => Body::Trigger(Box::new(travels(&*job))),
            Body::Report(job) => Body::Report(travels(&job)),
            Body::Push(job) => Body::Push(Box::new(travels(&*job))),
            Body::Wakeup { at, job } => Body::Wakeup { at, job: travels(&job) },
        };
        Self::Queued(Errand { job, ..errand })
    }

    pub(crate) fn route(event: &InboundEvent) -> Self {
        Self::queued(Errand::route(event))
    }

    /// A wake-up, in which `assign` looks at the interactions that wait for a target.
    pub(crate) fn wake(target: Target) -> Self {
        Self::queued(Errand::assign("wake".into(), AssignJob::wake(target)))
    }

    /// A wake-up after an agent may have been added to an account or a queue, or removed from it.
    pub(crate) fn reconfigured(agent: &AgentId) -> Self {
        Self::queued(Errand::assign("change".into(), AssignJob::reconfigured(Target::Agent(agent.clone()))))
    }

    pub(crate) fn send(message: MessageKey) -> Self {
        Self::queued(Errand::send("send".into(), message, None))
    }

    pub(crate) fn unify(contact: ContactId) -> Self {
        Self::queued(Errand::wakeup("unify".into(), Timestamp::UNIX_EPOCH, Wakeup::Unify { contact, business: None }))
    }

    /// Jobs of one group are carried out one after the other, in order.
    pub(crate) fn group(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Queued(errand) => Some((queue_of(&errand.job), errand.group.as_deref()?)),
            Self::Command { .. } | Self::Removal(_) => None,
        }
    }

    pub(crate) fn is_route(&self) -> bool {
        matches!(self, Self::Queued(Errand { job: Body::Route(_), .. }))
    }

    /// The message, if it sends one.
    pub(crate) fn sends(&self) -> Option<&MessageKey> {
        match self {
            Self::Queued(Errand { job: Body::Send(SendJob { message, .. }), .. }) => Some(message),
            Self::Queued(_) | Self::Command { .. } | Self::Removal(_) => None,
        }
    }

    pub(crate) fn is_webhook(&self) -> bool {
        matches!(self, Self::Queued(Errand { job: Body::Webhook(_), .. }))
    }

    /// The interaction, the deadline and the wait that it ends, if it is a timer.
    pub(crate) fn timer(&self) -> Option<(&InteractionKey, Timestamp, &Timer)> {
        match self {
            Self::Queued(Errand { job: Body::Wakeup { job: Wakeup::Timer { interaction, at, which }, .. }, .. }) => {
                Some((interaction, *at, which))
            }
            Self::Queued(_) | Self::Command { .. } | Self::Removal(_) => None,
        }
    }
}

fn travels<T: Serialize + DeserializeOwned>(body: &T) -> T {
    serde_json::from_str(&serde_json::to_string(body).unwrap()).unwrap()
}

/// A command of an agent.
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
    ReopenFor(InteractionId, Option<AgentId>),
    Watch(InteractionId),
    Unwatch(InteractionId),
    Write(InteractionId, MessageId, String),
    Note(InteractionId, MessageId),
    Tag(InteractionId, Vec<Tag>, Vec<Tag>),
    Ai(InteractionId, bool),
    /// What the agent chose, or what was detected.
    Language(InteractionId, Option<Language>),
    Detected(InteractionId, Language),
    Start(Address, MessageId),
    Presence(PresenceState),
    Capacity(Capacity),
}

/// The result of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The job is done and led to these errands.
    Done { errands: Vec<Errand>, shown: Vec<(AgentId, Seen)>, told: Option<Told> },
    /// The job failed and is tried again.
    Failed(EngineError),
}

/// The provider. It answers as the test says, and remembers its calls.
#[derive(Debug, Default)]
pub(crate) struct FakeProvider {
    pub(crate) outcomes: VecDeque<Sent>,
    pub(crate) calls: Vec<MessageId>,
    /// What AI agents' models reply, a text by default.
    pub(crate) models: VecDeque<Result<String, Escalated>>,
    /// The wait of each call of a model.
    pub(crate) asked: Vec<(InteractionId, u64)>,
    /// The answers of other systems to the plan, nothing by default.
    pub(crate) webhooks: VecDeque<WebhookAnswer>,
}

pub(crate) type WebhookAnswer = Result<Vec<(VariableName, String)>, WebhookFailure>;

/// An item that an agent was shown.
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
    /// Keeps the jobs of AI agents apart instead of carrying them out.
    pub(crate) kept: Option<Vec<Job>>,
    pub(crate) account: AccountId,
    /// What triggers were told, by effect.
    pub(crate) told: BTreeMap<String, TriggerJob>,
    /// What is to be counted for reports.
    pub(crate) to_count: Vec<ReportJob>,
    /// Messages to customers by conversation, in the order in which they were committed.
    pub(crate) committed: Vec<(String, MessageId)>,
    /// The account as it was before its last change.
    changed_from: RefCell<Account>,
    /// What the stream handed over, and when.
    pub(crate) batches: Vec<(Timestamp, Grown)>,
    /// The ids that ordered queues have seen. A job that comes again under one of them is dropped.
    ids: BTreeSet<(&'static str, String)>,
    counter: u64,
}

/// Polls a future to its end. A future here waits for nothing but its turn.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return output;
        }
    }
}

/// The result once the table is not throttled.
pub(crate) fn surely<T, E, F: Future<Output = Result<T, E>>>(attempt: impl Fn() -> F) -> T {
    loop {
        if let Ok(found) = run(attempt()) {
            return found;
        }
    }
}

/// A job under way.
pub(crate) type Running = Pin<Box<dyn Future<Output = Outcome>>>;

pub(crate) fn start(engine: &Machine, provider: &Arc<Mutex<FakeProvider>>, job: Job) -> Running {
    let (engine, provider) = (engine.clone(), provider.clone());
    Box::pin(async move {
        match carry_out(&engine, &provider, job).await {
            Ok((errands, shown, told)) => Outcome::Done { errands, shown, told },
            Err(error) => Outcome::Failed(error),
        }
    })
}

fn shown(agent: &AgentId, row: WaitingRow, notice: &Notice) -> (AgentId, Seen) {
    (agent.clone(), Seen { interaction: Some(row.interaction.interaction), notice: notice.clone() })
}

type Led = (Vec<Errand>, Vec<(AgentId, Seen)>, Option<Told>);

async fn carry_out(engine: &Machine, provider: &Mutex<FakeProvider>, job: Job) -> Result<Led, EngineError> {
    match job {
        Job::Queued(errand) => consume(engine, provider, errand).await,
        Job::Command { id, agent, command } => obey(engine, id, agent, command).await,
        Job::Removal(removal) => remove(engine, &removal).await.map(|()| (Vec::new(), Vec::new(), None)),
    }
}

/// Deletes as the worker does: the tombstone first, then what belonged to it. Done again it goes on.
async fn remove(engine: &Machine, removal: &Removal) -> Result<(), EngineError> {
    match &removal.of {
        Removed::Interaction(id) => remove_one(engine, id, removal.again, false).await,
        Removed::Customer(contact) => {
            for _ in 0..5 {
                let there = engine.store.contact(contact).await?;
                if there.is_none_or(|there| there.erased.is_some()) {
                    return Ok(());
                }
                let people: Vec<Contact> = engine.people(BTreeSet::from([contact.clone()])).await?.contacts().cloned().collect();
                let job = JobId::from_ulid(Ulid::from_parts(0, 1));
                if engine.store.erase(&people, &job).await? {
                    return Ok(());
                }
            }
            Err(EngineError::Busy)
        }
        Removed::Contacts(contacts) => {
            for id in engine.store.of_contacts(contacts).await? {
                remove_one(engine, &id, removal.again, true).await?;
            }
            // Those of a pass that died too.
            for gone in engine.store.tombstones().values().filter(|gone| contacts.contains(&gone.key.conversation.contact)) {
                engine.store.purge(gone).await?;
            }
            if removal.again {
                for contact in contacts {
                    engine.store.forget_contact(contact).await?;
                }
            }
            Ok(())
        }
    }
}

async fn remove_one(engine: &Machine, id: &InteractionId, again: bool, merged_too: bool) -> Result<(), EngineError> {
    for _ in 0..5 {
        let living = match engine.store.locate(id).await?.filter(|_| !again) {
            Some(key) => engine.store.interaction(&key).await?,
            None => None,
        };
        let Some(interaction) = living else {
            let Some(gone) = engine.store.gone(id).await? else { return Ok(()) };
            for key in &gone.absorbed {
                if let Some(absorbed) = engine.store.interaction(key).await? {
                    engine.store.entomb(&absorbed, engine.world.now()).await?.ok_or(EngineError::Busy)?;
                }
                if let Some(absorbed) = engine.store.gone(&key.interaction).await? {
                    engine.store.purge(&absorbed).await?;
                }
            }
            return Ok(engine.store.purge(&gone).await?);
        };
        if interaction.merged_into.is_some() && !merged_too {
            return Ok(());
        }
        if interaction.is_open() {
            match engine.tell(&interaction.key(), Event::Removed, Idempotency::Guarded).await {
                Ok(Told::Refused(Refusal::Closed, _) | Told::Changed { .. } | Told::AlreadyDone(_)) | Err(EngineError::NotFound) => {}
                Ok(Told::Refused(refusal, _)) => panic!("a deletion is refused: {refusal:?}"),
                Err(error) => return Err(error),
            }
            continue;
        }
        engine.store.entomb(&interaction, engine.world.now()).await?;
    }
    Err(EngineError::Busy)
}

/// Runs the function behind a queue on a body.
async fn consume(engine: &Machine, provider: &Mutex<FakeProvider>, errand: Errand) -> Result<Led, EngineError> {
    let nothing = (Vec::new(), Vec::new(), None);
    match errand.job {
        Body::Route(event) => engine.route(&event).await.map(|()| nothing),
        Body::Assign(job) => assign(engine, &errand.id, &job).await,
        Body::Wakeup { job, .. } => wake_up(engine, errand.id, job).await,
        Body::Send(SendJob { message: key, heard_at }) => {
            let known = engine.message_lately(&key).await?;
            if let Claim::Send(message) = engine.claim_known(&key, known).await? {
                let outcome = {
                    let mut provider = provider.lock().unwrap();
                    provider.calls.push(message.id.clone());
                    // The id that its reports name.
                    let accepted = Sent::Accepted { provider_id: format!("SM{}", message.id) };
                    provider.outcomes.pop_front().unwrap_or(accepted)
                };
                let state = written(engine, &key, &message, &outcome).await?;
                if state == DeliveryState::Queued {
                    return Ok((vec![Errand::send(errand.id, key, heard_at)], Vec::new(), None));
                }
            }
            Ok(nothing)
        }
        Body::Webhook(job) => {
            let answer = provider.lock().unwrap().webhooks.pop_front().unwrap_or(Ok(Vec::new()));
            let event = Event::WebhookAnswered { wait: job.wait, answer };
            Ok((Vec::new(), Vec::new(), Some(engine.tell(&job.interaction, event, Idempotency::Guarded).await?)))
        }
        // As the function `assist` does once the model has answered.
        Body::Assist(AssistJob::Insights { interaction, closed_at }) => {
            let summary = Summary::of("The customer asked something.").unwrap();
            let (cause, ai_agent) = (InsightsCause::Closed(closed_at), fixtures::ai_agent().id);
            let event = Event::InsightsMade { cause, ai_agent, sentiment: Sentiment::Neutral, summary };
            Ok((Vec::new(), Vec::new(), Some(engine.tell(&interaction, event, Idempotency::Guarded).await?)))
        }
        Body::Assist(AssistJob::Answer { interaction, wait }) => {
            Ok((Vec::new(), Vec::new(), Some(answered(engine, provider, &interaction, wait).await?)))
        }
        body @ (Body::Push(_) | Body::Archive(_) | Body::Media(_) | Body::Trigger(_) | Body::Report(_)) => {
            panic!("{body:?} is taken up as soon as it is sent")
        }
    }
}

/// Writes the outcome of a send, as `send` does: only this attempt knows it, so a lost answer is asked for again.
async fn written(engine: &Machine, key: &MessageKey, claimed: &Message, outcome: &Sent) -> Result<DeliveryState, EngineError> {
    for _ in 1..WRITES {
        match engine.sent(key, Some(claimed), outcome).await {
            Err(EngineError::Port(_) | EngineError::Busy) => {}
            written => return written,
        }
    }
    engine.sent(key, Some(claimed), outcome).await
}

/// Asks an AI agent's model, as `assist` does: after the claim, once.
async fn answered(engine: &Machine, provider: &Mutex<FakeProvider>, interaction: &InteractionKey, wait: u64) -> Result<Told, EngineError> {
    let claimed = match engine.tell(interaction, Event::AiClaims { wait }, Idempotency::Guarded).await? {
        Told::Changed { interaction, .. } => interaction,
        told => return Ok(told),
    };
    let reply = {
        let mut provider = provider.lock().unwrap();
        provider.asked.push((interaction.interaction.clone(), wait));
        provider.models.pop_front().unwrap_or(Ok("an answer".into()))
    };
    // It thinks, and others go on.
    let mut thoughts = 3;
    std::future::poll_fn(|_| {
        thoughts -= 1;
        if thoughts > 0 { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let name = "Bot".to_owned();
    let event = match reply {
        Ok(text) => {
            let text = format!("{text} to version {}", claimed.version);
            let answer = AiAnswer { name, disclosure: Some("I am a bot.".into()), text, farewell: None, limits: Limits::default() };
            Event::AiAnswered { wait, answer: Box::new(answer) }
        }
        Err(why) => {
            let farewell = Some("A colleague goes on.".to_owned());
            let escalation = AiEscalation { name: Some(name), why, said: None, farewell };
            Event::AiEscalates { wait, escalation: Box::new(escalation) }
        }
    };
    match engine.tell(interaction, event.clone(), Idempotency::Guarded).await {
        Err(EngineError::Port(_) | EngineError::Busy) => engine.tell(interaction, event, Idempotency::Guarded).await,
        told => told,
    }
}

async fn assign(engine: &Machine, id: &str, job: &AssignJob) -> Result<Led, EngineError> {
    let (offered, gone) = (Notice::Offered { offer: 0, until: None, notification: None }, Notice::Withdrawn { offer: 0, taken_by: None });
    // `assign` was told that the configuration changed, and drops its copy of it.
    let directory = if job.reconfigured { engine.directory.fresh() } else { engine.directory.clone() };
    let engine = Machine { directory, ..engine.clone() };
    let (mut errands, mut seen) = (Vec::new(), Vec::new());
    if let Some(agent) = job.reconfigured_agent() {
        let released = engine.release(agent).await?;
        seen.extend(released.unseen.into_iter().map(|row| shown(agent, row, &gone)));
        if released.unfinished {
            return Ok((vec![Errand::assign(format!("{id}-rest"), job.clone())], seen, None));
        }
        let again = engine.world.now() + SignedDuration::from_secs(Wakeup::LOOKED_AT_AGAIN_SECONDS.into());
        errands.push(Errand::wakeup(format!("{id}-again"), again, Wakeup::Reconfigured { agent: agent.clone() }));
    }
    let mut woken = engine.wake_after(&job.target, job.reach(), job.after.as_ref()).await?;
    if let Target::Agent(agent) = &job.target {
        seen.extend(std::mem::take(&mut woken.joined).into_iter().map(|row| shown(agent, row, &offered)));
    }
    errands.extend(job.then(&woken).into_iter().enumerate().map(|(index, job)| Errand::assign(format!("{id}-{index}"), job)));
    Ok((errands, seen, None))
}

async fn wake_up(engine: &Machine, errand: String, wakeup: Wakeup) -> Result<Led, EngineError> {
    let nothing = (Vec::new(), Vec::new(), None);
    match &wakeup {
        Wakeup::Timer { interaction, which, .. } => {
            let told = engine.tell(interaction, Event::Timer(which.clone()), Idempotency::Guarded).await?;
            let again = match &told {
                Told::Refused(Refusal::Early(at), _) => vec![Errand::wakeup(errand, *at, wakeup)],
                _ => Vec::new(),
            };
            Ok((again, Vec::new(), Some(told)))
        }
        Wakeup::Missed { id, agent, limit } => {
            engine.missed(agent, *limit, Idempotency::Command { id: id.clone() }).await.map(|()| nothing)
        }
        Wakeup::Unify { contact, business } => engine.unify(contact, business.as_ref()).await.map(|()| nothing),
        Wakeup::Withdraw { interaction, agent } => {
            let key = engine.locate(interaction).await?;
            let told = engine.tell(&key, Event::AgentUnavailable { agent: agent.clone() }, Idempotency::Guarded).await?;
            Ok((Vec::new(), Vec::new(), Some(told)))
        }
        Wakeup::Reconfigured { agent } => {
            let engine = Machine { directory: engine.directory.fresh(), ..engine.clone() };
            let again = |released: Released| {
                if released.unfinished { vec![Errand::wakeup(errand, engine.world.now(), wakeup.clone())] } else { Vec::new() }
            };
            engine.release(agent).await.map(|released| (again(released), Vec::new(), None))
        }
        Wakeup::Lost { .. } => panic!("nobody is connected here"),
    }
}

async fn obey(engine: &Machine, id: String, agent: AgentId, command: Command) -> Result<Led, EngineError> {
    let nothing = (Vec::new(), Vec::new(), None);
    let mark = Idempotency::Keyed(Keyed { id, body: 0 });
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
        Command::ReopenFor(interaction, to) => (interaction, Event::ReopenFor { by: agent, to }),
        Command::Watch(interaction) => (interaction, Event::Watch { by: agent }),
        Command::Unwatch(interaction) => (interaction, Event::Unwatch { by: agent }),
        Command::Write(interaction, message, body) => {
            let key = engine.locate(&interaction).await?;
            let sending = Sending::new(message, Content::Text { body });
            return Ok((Vec::new(), Vec::new(), Some(engine.send(&key, agent, sending, mark).await?)));
        }
        Command::Note(interaction, message) => {
            let key = engine.locate(&interaction).await?;
            return Ok((Vec::new(), Vec::new(), Some(engine.note(&key, agent, message, "a note".into(), mark).await?)));
        }
        Command::Tag(interaction, add, remove) => (interaction, Event::Retagged { by: agent, add, remove }),
        Command::Language(interaction, language) => (interaction, Event::LanguageChosen { by: agent, oversees: false, language }),
        Command::Detected(interaction, language) => (interaction, Event::LanguageDetected { language }),
        Command::Ai(interaction, on) => (interaction, Event::AiSwitched { by: agent, oversees: false, on }),
        Command::Start(to, message) => {
            let account = engine.directory.accounts().await?[0].clone();
            let template = ApprovedTemplate::plain("recontact", "it");
            let start = Start { agent, role: None, to, name: None, message, template, client_id: None };
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
    let told = match event {
        Event::Watch { .. } | Event::Unwatch { .. } => {
            let basis = Basis { role: Some(Role::Supervisor), ..Basis::default() };
            engine.watch(&key, event, mark, basis, engine.world.ulid()).await?
        }
        event => engine.tell(&key, event, mark).await?,
    };
    Ok((Vec::new(), Vec::new(), Some(told)))
}

fn queue_of(body: &Body) -> &'static str {
    match body {
        Body::Route(_) => "inbound",
        Body::Assign(_) => "assign",
        Body::Send(_) => "outbound",
        Body::Media(_) => "media",
        Body::Archive(_) => "archive",
        Body::Assist(_) => "assist",
        Body::Webhook(_) => "webhook",
        Body::Trigger(_) => "trigger",
        Body::Report(_) => "report",
        Body::Push(_) => "push",
        Body::Wakeup { .. } => "timers",
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
        let known = Account { id: account.clone(), ..fixtures::account() };
        directory.put_account(known.clone());
        let engine = Engine { store: memory.clone(), directory: directory.clone(), world: world.clone() };
        Self {
            memory,
            directory,
            world,
            engine,
            jobs: VecDeque::new(),
            timers: Vec::new(),
            seen: BTreeMap::new(),
            batches: Vec::new(),
            provider: Arc::default(),
            archived: Vec::new(),
            kept: None,
            account,
            told: BTreeMap::new(),
            to_count: Vec::new(),
            committed: Vec::new(),
            changed_from: RefCell::new(known),
            ids: BTreeSet::new(),
            counter: 0,
        }
    }

    // The configuration.

    /// Another account without agents and plan: of the first account's business (`own`), or of another one.
    pub(crate) fn another(&self, number: u64, business: &str) -> AccountId {
        let id = AccountId::from_ulid(Ulid::from_parts(0, number.into()));
        let mut account =
            Account { id: id.clone(), agents: Vec::new(), ..self.directory.change(|config| config.accounts[&self.account].clone()) };
        account.plan = ActionPlan { version: 1, steps: Vec::new() };
        if business != "own" {
            account.provider.fields.insert("account_sid".to_owned(), business.to_owned());
        }
        self.directory.put_account(account);
        id
    }

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
            service_level: domain::report::ServiceLevel::default(),
            members: members.iter().map(|member| (*member).clone()).collect(),
        });
        id
    }

    pub(crate) fn change_account(&self, change: impl FnOnce(&mut Account)) {
        let mut account = self.directory.change(|config| config.accounts[&self.account].clone());
        self.changed_from.replace(account.clone());
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

    /// Wakes what `admin-api` wakes after the last change of the account.
    pub(crate) fn account_changed(&mut self) {
        let after = self.directory.change(|config| config.accounts[&self.account].clone());
        let targets = wakes::of_account(&self.changed_from.borrow(), &after);
        self.reconfigured(targets);
    }

    /// Changes a queue, and wakes as `admin-api` does.
    pub(crate) fn change_queue(&mut self, queue: &QueueId, change: impl FnOnce(&mut Queue)) {
        let (before, after) = self.directory.change(|config| {
            let queue = config.queues.get_mut(queue).unwrap();
            let before = queue.clone();
            change(queue);
            (before, queue.clone())
        });
        self.reconfigured(wakes::of_queue(&before, &after));
    }

    fn reconfigured(&mut self, targets: BTreeSet<Target>) {
        let change = self.next();
        for (index, target) in targets.into_iter().enumerate() {
            self.enqueue(Errand::assign(format!("change-{change}-{index}"), AssignJob::reconfigured(target)));
        }
    }

    pub(crate) fn inactivity_timeout(&self, minutes: i64) {
        self.change_account(|account| account.settings.inactivity_timeout = Some(Minutes::new(minutes).unwrap()));
    }

    /// Sets up a queue with these members as the only step of the plan, with every member ready.
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

    // The events.

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
            also: Vec::new(),
            profile_name: None,
            sent_at: None,
            content: Content::Text { body: format!("message {number}") },
            attachments: Vec::new(),
            reply_to: None,
            forwarded: false,
            username: None,
            referral: None,
            product: None,
            words: None,
            cut: false,
        };
        InboundEvent {
            account: self.account.clone(),
            id: format!("SMin{number}"),
            received_at: self.world.now(),
            index: 0,
            proven: Some(true),
            kind: InboundKind::Message(message),
        }
    }

    /// A message from a customer known by `from`, and in the same request by `alias`.
    pub(crate) fn event_from(&mut self, from: Address, alias: Option<Address>) -> InboundEvent {
        let mut event = self.event(0);
        if let InboundKind::Message(message) = &mut event.kind {
            (message.from, message.alias) = (from, alias);
        }
        event
    }

    /// Customer `from` does something to a message, or something happens to the customer.
    pub(crate) fn annotation(&mut self, from: u32, what: Annotated) -> InboundEvent {
        let number = self.next();
        let annotation =
            Annotation { provider_id: format!("note-{number}"), from: phone(from), alias: None, also: Vec::new(), sent_at: None, what };
        InboundEvent {
            account: self.account.clone(),
            id: format!("note-{number}"),
            received_at: self.world.now(),
            index: 0,
            proven: Some(true),
            kind: InboundKind::Annotation(annotation),
        }
    }

    /// The business writes to customer `to` outside this deployment.
    pub(crate) fn echo(&mut self, to: u32, origin: Origin) -> InboundEvent {
        let number = self.next();
        let said = Elsewhere {
            provider_id: format!("echo-{number}"),
            customer: phone(to),
            alias: None,
            profile_name: None,
            from_customer: false,
            origin: Some(origin),
            sent_at: None,
            content: Content::Text { body: format!("echo {number}") },
            attachments: Vec::new(),
            reply_to: None,
            words: None,
            cut: false,
        };
        InboundEvent {
            account: self.account.clone(),
            id: format!("echo-{number}"),
            received_at: self.world.now(),
            index: 0,
            proven: Some(true),
            kind: InboundKind::Elsewhere(said),
        }
    }

    /// An annotation arrives. Returns its interaction, or `-`.
    pub(crate) fn annotated(&mut self, event: &InboundEvent) -> Option<String> {
        self.memory.receive(event);
        self.settle();
        self.memory.routed(&event.account, &event.id)
    }

    /// A customer writes. Returns the message's interaction.
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
        let (key, _) = self.message(message);
        let mut report = self.report_on(&self.account.clone(), &format!("SM{message}"), state);
        if let InboundKind::Status(status) = &mut report.kind {
            status.reference = Some(key.reference().0);
        }
        report
    }

    /// A report that tells the provider's id alone.
    pub(crate) fn report_on(&mut self, account: &AccountId, provider_id: &str, state: DeliveryState) -> InboundEvent {
        let number = self.next();
        let error = (state == DeliveryState::Failed).then_some(DeliveryError { class: ErrorClass::Permanent, code: None });
        let provider_id = provider_id.to_owned();
        let status = StatusUpdate { provider_id, reference: None, state, error, at: None, recipients: Vec::new(), charge: charge(number) };
        InboundEvent {
            account: account.clone(),
            id: format!("status-{number}"),
            received_at: self.world.now(),
            index: 0,
            proven: Some(true),
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

    /// The agent writes. Returns the message's id.
    pub(crate) fn answers(&mut self, agent: &AgentId, interaction: &InteractionId) -> Result<MessageId, Refusal> {
        let id = MessageId::from_ulid(self.world.ulid());
        self.command(agent, Command::Write(interaction.clone(), id.clone(), "an answer".into())).map(|_| id)
    }

    /// An agent writes to customer `to` first.
    pub(crate) fn starts(&mut self, agent: &AgentId, to: u32) -> Result<Interaction, Refusal> {
        let account = run(self.engine.directory.accounts()).unwrap()[0].clone();
        let template = ApprovedTemplate::plain("recontact", "it");
        let message = MessageId::from_ulid(self.world.ulid());
        let start = Start { agent: agent.clone(), role: None, to: phone(to), name: None, message, template, client_id: None };
        let mark = Idempotency::Command { id: format!("start-{}", self.next()) };
        let started = run(self.engine.start(&account, &start, &mark)).unwrap();
        assert!(
            matches!(started, Started::Refused(_))
                || run(self.engine.start(&account, &start, &mark)).unwrap() == {
                    // A repetition finds the interaction that it opened. The caller looks for its mark.
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

    /// Makes dispositions mandatory, with a pause until they are given.
    pub(crate) fn mandatory_disposition(&self) {
        let pause = Pause { id: PauseId::from_ulid(Ulid::from_parts(0, 1)), name: "After-call work".into() };
        self.change_account(|account| {
            account.settings.mandatory_disposition = true;
            account.settings.disposition_pause = Some(pause.id.clone());
        });
        self.directory.change(|config| config.pauses.insert(pause.id.clone(), pause));
    }

    /// Sets a whitelist with the account's list, in force or not.
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

    /// Sets an agent's capacity before the test begins.
    pub(crate) fn give_capacity(&self, agent: &AgentId, capacity: Capacity) {
        run(self.engine.set_capacity(agent, capacity)).unwrap();
    }

    pub(crate) fn capacity(&mut self, agent: &AgentId, slots: i64) {
        let id = format!("capacity-{}", self.next());
        self.try_command(&id, agent, Command::Capacity(Capacity::new(slots).unwrap())).unwrap();
    }

    // Carrying out.

    /// Takes what the stream hands to `dispatch`.
    pub(crate) fn pump(&mut self) {
        for grown in self.memory.take_effects() {
            if let Owner::Interaction(interaction) = &grown.item {
                let group = interaction.conversation().group();
                let sent = grown.effects.iter().filter_map(|effect| match effect {
                    Effect::SendMessage { message, .. } => Some((group.clone(), message.clone())),
                    _ => None,
                });
                self.committed.extend(sent);
            }
            for errand in grown.errands(Some(self.world.now())).unwrap() {
                // Acts as an ordered queue does for five minutes: no id is used again, then or later.
                if errand.group.is_none() || self.ids.insert((queue_of(&errand.job), errand.id.clone())) {
                    self.enqueue(errand);
                }
            }
            self.batches.push((self.world.now(), grown));
        }
    }

    /// The stream hands over again what it did from one place on, when the queues have forgotten the ids. Feeds
    /// recognise their events themselves, which they play in histories of their own.
    pub(crate) fn pump_again(&mut self, from: usize, count: usize) {
        let again: Vec<(Timestamp, Grown)> = self.batches.iter().skip(from).take(count).cloned().collect();
        for (at, grown) in again {
            for errand in grown.errands(Some(at)).unwrap().into_iter().filter(|errand| !matches!(errand.job, Body::Push(_))) {
                self.enqueue(errand);
            }
        }
    }

    /// A queue takes a body. Timers wait, and bodies that only look at the engine's work are handled at once.
    pub(crate) fn enqueue(&mut self, errand: Errand) {
        let job = Job::queued(errand);
        match &job {
            Job::Queued(Errand { job: Body::Push(push), .. }) => self.pushed(push),
            // Files are copied outside the engine.
            Job::Queued(Errand { job: Body::Media(_), .. }) => {}
            Job::Queued(Errand { job: Body::Archive(ArchiveJob { interaction }), .. }) => {
                self.memory.archive(&interaction.interaction);
                self.archived.push(interaction.interaction.clone())
            }
            Job::Queued(Errand { job: Body::Report(job), .. }) => self.to_count.push(job.clone()),
            Job::Queued(Errand { job: Body::Assist(AssistJob::Answer { .. }), .. }) if self.kept.is_some() => {
                self.kept.get_or_insert_default().push(job);
            }
            // Other systems are called outside the engine. The same effect twice is one.
            Job::Queued(Errand { id, job: Body::Trigger(told), .. }) => {
                if let Some(before) = self.told.insert(id.clone(), (**told).clone()) {
                    assert_eq!(before, **told, "an effect tells something else the second time");
                }
            }
            Job::Queued(Errand { job: Body::Wakeup { at, .. }, .. }) if *at > self.world.now() => self.timers.push((*at, job)),
            _ => self.jobs.push_back(job),
        }
    }

    fn pushed(&mut self, PushJob { to, news, .. }: &PushJob) {
        let (interaction, notice) = match news {
            News::Offered { interaction, offer, until, notification } => {
                (Some(&interaction.id), Notice::Offered { offer: *offer, until: *until, notification: notification.clone() })
            }
            News::Withdrawn { interaction, offer, taken_by } => {
                (Some(interaction), Notice::Withdrawn { offer: *offer, taken_by: taken_by.clone() })
            }
            News::Message { message } => (Some(&message.interaction), Notice::Message),
            News::MessageState { message } => (Some(&message.interaction), Notice::MessageState),
            News::Interaction { interaction, .. } => (Some(&interaction.id), Notice::INTERACTION),
            News::Presence { state } => (None, Notice::PresenceNow { state: *state }),
            // Nobody is an admin here.
            News::Alert { .. } | News::TriggerDisabled { .. } | News::Configuration => return,
        };
        let seen = Seen { interaction: interaction.cloned(), notice };
        let agents = match to {
            Recipients::Audience(audience) => self.expand(audience, matches!(news, News::Offered { .. })),
            Recipients::Holder { holder_of } => surely(|| engine::followers(&self.memory, holder_of, self.world.now())),
            Recipients::Administrators { .. }
            | Recipients::Supervisors { .. }
            | Recipients::Overseers { .. }
            | Recipients::Configured { .. } => Vec::new(),
            Recipients::Watchers { watchers } => surely(|| engine::watching(&self.memory, watchers, self.world.now())),
        };
        if let News::MessageState { message } = news
            && let Some(living) = self.living(&message.interaction)
        {
            let now: Vec<AgentId> = living.agent.into_iter().collect();
            let (holder, others) = agents.split_at(now.len());
            assert_eq!(holder, now, "the state of a message goes to the agent who has its interaction now");
            let watching = |agent: &AgentId| living.watchers.iter().any(|watcher| watcher.agent == *agent);
            assert!(others.iter().all(watching), "and to nobody else but its watchers");
        }
        for agent in agents {
            self.seen.entry(agent).or_default().push(seen.clone());
        }
    }

    /// The interaction that goes on with this one: itself, or the one that it was merged into. `None` if it was
    /// deleted.
    fn living(&self, interaction: &InteractionId) -> Option<Interaction> {
        let mut living = self.memory.interaction_of(interaction)?;
        while let Some(into) = &living.merged_into {
            living = self.memory.interaction_of(&into.interaction)?;
        }
        Some(living)
    }

    /// The agents of an audience: for a queue, its members of the account, and for an offer only the ready ones.
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

    /// Takes the result of a job. A failed job is tried again, as its queue or its client would.
    pub(crate) fn led_to(&mut self, job: Job, outcome: Outcome) -> Option<Told> {
        match outcome {
            Outcome::Done { errands, shown, told } => {
                errands.into_iter().for_each(|errand| self.enqueue(errand));
                for (agent, seen) in shown {
                    self.seen.entry(agent).or_default().push(seen);
                }
                told
            }
            // It is about something that was deleted. `route` and `send` drop such a job, and every API says so.
            // `webhook` looks first when it comes again, and `assign` tries anything again.
            Outcome::Failed(EngineError::NotFound) if !matches!(job, Job::Queued(Errand { job: Body::Assign(_), .. })) => None,
            // The job goes back to its queue and comes again after a while.
            Outcome::Failed(EngineError::NotYet) => {
                self.timers.push((self.world.now() + NOT_YET, job));
                None
            }
            // It comes before later jobs of its group.
            Outcome::Failed(_) => {
                self.jobs.push_front(job);
                None
            }
        }
    }

    /// Carries out everything that is due now.
    pub(crate) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.pump();
            let Some(job) = self.jobs.pop_front() else { return };
            let outcome = run(start(&self.engine, &self.provider, job.clone()));
            self.led_to(job, outcome);
        }
        panic!("it never settles");
    }

    /// Moves the clock forwards and carries out everything that falls due meanwhile.
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

    // The visible results.

    /// The business of an account.
    pub(crate) fn business(&self, account: &AccountId) -> Business {
        self.directory.change(|config| Business::of(&config.accounts[account]))
    }

    /// The customer of an address, for an account.
    pub(crate) fn person_at(&self, account: &AccountId, address: &Address) -> Option<Identity> {
        let business = self.business(account);
        run(self.memory.contact_of(&Place::of(address, &business), &business, true)).unwrap()
    }

    /// The customer of an address.
    pub(crate) fn person(&self, address: &Address) -> Option<Identity> {
        self.person_at(&self.account, address)
    }

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

    /// Whether `state` is the latest of the agent's own presence that the agent was told.
    pub(crate) fn is_told_of_presence(&self, agent: &AgentId, state: PresenceWord) -> bool {
        let told = self.seen.get(agent).into_iter().flatten().rev().find(|seen| matches!(seen.notice, Notice::PresenceNow { .. }));
        told.is_some_and(|seen| seen.notice == Notice::PresenceNow { state })
    }

    /// The items about an interaction that an agent was shown, in order.
    pub(crate) fn shown(&self, agent: &AgentId, id: &InteractionId) -> Vec<Notice> {
        let seen = self.seen.get(agent).map(Vec::as_slice).unwrap_or_default();
        seen.iter().filter(|seen| seen.interaction.as_ref() == Some(id)).map(|seen| seen.notice.clone()).collect()
    }
}

/// What a provider may say about the price, this time so, another time otherwise, or nothing.
fn charge(number: u64) -> Option<Charge> {
    let charge = Charge { category: Some(Category::Utility), ..Charge::default() };
    match number % 5 {
        0 => Some(charge),
        1 => Some(Charge { category: Some(Category::Service), free: true, ..charge }),
        2 => Some(Charge { category: None, stated: Some((Amount::of_millionths(5_000), Currency::EUR)), ..charge }),
        _ => None,
    }
}
