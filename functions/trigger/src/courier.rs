//! Decides which calls are made, when, and what follows from their answers.
//!
//! Whatever dies in between: the next try of a call is kept before its job is done, so a call is made at least once,
//! under the same id. A system that is down is called by one job at a time, and what it owes the others waits in the
//! table: it takes neither the queue's room nor the function's.

use domain::agent::Agent;
use domain::ids::TriggerId;
use domain::interaction::Interaction;
use domain::message::Message;
use domain::news::News;
use domain::note::TriggerNote;
use domain::row::{Position, Row};
use domain::search::{Facts, Names, Search, Subject};
use domain::trigger::{Disabled, Happened, Health, Tried, Trigger, TriggerCall, Verdict, WhyDisabled, next_try};
use engine::jobs::{PushJob, Recipients, TriggerJob};
use engine::ports::{Directory, DueCall, Lists, PortError, Store, TriggerCalls, World};
use hooks::{Called, Told};
use jiff::{SignedDuration, Timestamp};

/// The longest delay of SQS. A call that is tried again later waits in the table.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_secs(900);

/// How long a job makes calls that are due before it leaves the rest to another one. With the last call's ten seconds
/// it stays below the function's minute.
const WORKS: SignedDuration = SignedDuration::from_secs(30);

/// How long a job has the turn at a trigger's due calls: longer than it can run.
const TURN: SignedDuration = SignedDuration::from_secs(90);

/// How many due calls are read at once. A call takes up to ten seconds.
const PORTION: usize = 10;

/// How many calls of a trigger that is off are forgotten in a round of the sweep.
const FORGOTTEN: usize = 100;

/// For how long the sweep repeats that a trigger was switched off.
const TOLD_AGAIN: SignedDuration = SignedDuration::from_mins(15);

/// The other systems, the queues and the configuration.
pub(crate) trait Outside: Send + Sync {
    /// Calls a trigger's system.
    fn call(&self, trigger: &Trigger, id: &str, body: Vec<u8>) -> impl Future<Output = Called> + Send;
    /// Sends jobs to this function's own queue, each with a delay in seconds.
    fn send(&self, jobs: Vec<(TriggerJob, u32)>) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Sends news to agents.
    fn notify(&self, job: PushJob) -> impl Future<Output = Result<(), PortError>> + Send;
    /// Switches a trigger off, unless somebody has. The trigger as it is then; `None` if it is gone, or a person has
    /// switched it off.
    fn disable(&self, id: &TriggerId, disabled: &Disabled) -> impl Future<Output = Result<Option<Trigger>, PortError>> + Send;
}

/// Makes the calls.
pub(crate) struct Courier<S, D, W, O> {
    pub(crate) store: S,
    pub(crate) directory: D,
    pub(crate) world: W,
    pub(crate) outside: O,
}

impl<S, D, W, O> Courier<S, D, W, O>
where
    S: Store + Lists + TriggerCalls,
    D: Directory,
    W: World,
    O: Outside,
{
    /// Carries out a job of the queue.
    pub(crate) async fn carry_out(&self, job: &TriggerJob) -> Result<(), PortError> {
        match job {
            TriggerJob::Happened { id, interaction, happened } => self.ask(id, interaction, happened).await,
            TriggerJob::Call(call) => self.take_up(call).await,
            TriggerJob::Due { trigger } => self.make_due(trigger).await,
        }
    }

    /// Sends a job for each trigger with calls that are due, and forgets those of triggers that are off. Returns for
    /// how many triggers something was due.
    pub(crate) async fn sweep(&self) -> Result<usize, PortError> {
        let now = self.world.now();
        let mut jobs = Vec::new();
        for trigger in self.directory.triggers().await?.iter() {
            if !trigger.active {
                // Whoever switched it off may have died before telling anybody. A repetition changes nothing.
                if trigger.disabled.as_ref().is_some_and(|disabled| now.duration_since(disabled.at) < TOLD_AGAIN) {
                    self.tell(trigger).await?;
                }
                for due in self.store.due(&trigger.id, Timestamp::MAX, FORGOTTEN).await? {
                    self.store.drop_due(&due).await?;
                }
            } else if !self.store.due(&trigger.id, now, 1).await?.is_empty() && self.rests(&trigger.id, now).await?.is_none() {
                jobs.push((TriggerJob::Due { trigger: trigger.id.clone() }, 0));
            }
        }
        let due = jobs.len();
        if due > 0 {
            self.outside.send(jobs).await?;
        }
        Ok(due)
    }

    async fn rests(&self, trigger: &TriggerId, now: Timestamp) -> Result<Option<Timestamp>, PortError> {
        Ok(self.store.health(trigger).await?.and_then(|health| health.rests(now)))
    }

    /// Asks the conditions, and sends a job for each call.
    async fn ask(&self, effect: &str, interaction: &Interaction, happened: &[Happened]) -> Result<(), PortError> {
        let triggers = self.directory.triggers().await?;
        let mut asked = Asked { interaction, names: None, thread: None };
        let mut jobs = Vec::new();
        for (index, event) in happened.iter().enumerate() {
            for trigger in triggers.iter().filter(|trigger| trigger.waits_for(&interaction.account, event.event)) {
                if self.holds(trigger, event, &mut asked).await? {
                    jobs.push((TriggerJob::Call(TriggerCall::first(effect, index, &trigger.id, interaction, event)), 0));
                }
            }
        }
        if jobs.is_empty() { Ok(()) } else { self.outside.send(jobs).await }
    }

    async fn holds(&self, trigger: &Trigger, event: &Happened, asked: &mut Asked<'_>) -> Result<bool, PortError> {
        let Ok(search) = trigger.search.check() else {
            // It was checked when it was saved, perhaps by a later version.
            tracing::error!(event = "trigger.conditions_unreadable", trigger = trigger.id.as_str());
            return Ok(false);
        };
        let interaction = asked.interaction;
        let names = match asked.names.take() {
            Some(names) => names,
            None => engine::names(&self.directory, &[]).await?,
        };
        let facts = match (search.needs_facts(), &asked.thread) {
            (false, _) => None,
            (true, Some(thread)) => Some(facts(interaction, thread, event)),
            (true, None) => {
                let thread = self.store.thread(interaction).await?;
                let facts = facts(interaction, &thread, event);
                asked.thread = Some(thread);
                Some(facts)
            }
        };
        let holds = matches(&search, interaction, facts.as_ref(), &names);
        asked.names = Some(names);
        Ok(holds)
    }

    async fn trigger(&self, id: &TriggerId) -> Result<Option<Trigger>, PortError> {
        Ok(self.directory.triggers().await?.iter().find(|trigger| trigger.id == *id).cloned())
    }

    /// Makes a call, unless its system rests. Then it waits in the table.
    async fn take_up(&self, call: &TriggerCall) -> Result<(), PortError> {
        let Some(trigger) = self.trigger(&call.trigger).await? else { return Ok(()) };
        if !trigger.active {
            // The job that switched it off may have died before it told anybody.
            return self.tell(&trigger).await;
        }
        let (now, health) = (self.world.now(), self.store.health(&trigger.id).await?);
        if health.as_ref().is_some_and(|health| health.rests(now).is_some()) {
            return self.store.put_due(&DueCall { at: now, call: call.clone() }).await;
        }
        self.attempt(&trigger, call, health.as_ref()).await
    }

    /// Makes the due calls of a trigger, one after the other, as long as its system does not rest.
    async fn make_due(&self, id: &TriggerId) -> Result<(), PortError> {
        let now = self.world.now();
        let until = now.saturating_add(TURN).unwrap_or(Timestamp::MAX);
        if !self.store.take_turn_at(id, now, until).await? {
            return Ok(());
        }
        let made = self.make_some(id, now).await;
        self.store.end_turn_at(id).await?;
        if made? { self.outside.send(vec![(TriggerJob::Due { trigger: id.clone() }, 0)]).await } else { Ok(()) }
    }

    /// Whether there is more to do at once.
    async fn make_some(&self, id: &TriggerId, began: Timestamp) -> Result<bool, PortError> {
        loop {
            let due = self.store.due(id, self.world.now(), PORTION).await?;
            if due.is_empty() {
                return Ok(false);
            }
            for due in due {
                let now = self.world.now();
                let Some(trigger) = self.trigger(id).await?.filter(|trigger| trigger.active) else { return Ok(false) };
                let health = self.store.health(id).await?;
                if health.as_ref().is_some_and(|health| health.rests(now).is_some()) {
                    return Ok(false);
                }
                if now.duration_since(began) >= WORKS {
                    return Ok(true);
                }
                self.attempt(&trigger, &due.call, health.as_ref()).await?;
                // Its next try is kept by now.
                self.store.drop_due(&due).await?;
            }
        }
    }

    /// Makes a call, and keeps what follows from its answer.
    async fn attempt(&self, trigger: &Trigger, call: &TriggerCall, health: Option<&Health>) -> Result<(), PortError> {
        let Some(Ready { body, personal }) = self.body(call).await? else { return Ok(()) };
        let called = self.outside.call(trigger, &call.id, body).await;
        let now = self.world.now();
        let next_at = match called.answer.verdict() {
            Verdict::Delivered => {
                if health.is_some() {
                    self.store.put_health(&trigger.id, None).await?;
                }
                None
            }
            Verdict::Gone => {
                self.disable(trigger, WhyDisabled::Gone, now).await?;
                None
            }
            Verdict::Failed(wish) => {
                let health = Health::after_failure(health, now, wish);
                self.store.put_health(&trigger.id, Some(&health)).await?;
                match health.gives_up(now) {
                    Some(why) => {
                        self.disable(trigger, why, now).await?;
                        None
                    }
                    None => self.try_again(call, &health, now).await?,
                }
            }
        };
        let answer = Some(called.text.clone()).filter(|text| !text.is_empty() && !personal.iter().any(|own| text.contains(own.as_str())));
        let tried = Tried {
            id: call.id.clone(),
            at: now,
            event: call.happened.event,
            interaction: call.interaction.interaction.clone(),
            attempt: call.attempt,
            outcome: called.outcome,
            status: called.status(),
            ms: called.ms,
            answer,
            next_at,
        };
        tracing::info!(
            event = "trigger.called",
            trigger = trigger.id.as_str(),
            interaction = tried.interaction.as_str(),
            attempt = tried.attempt,
            outcome = ?tried.outcome,
            status = tried.status,
            time_ms = tried.ms
        );
        self.store.note_try(&trigger.id, &tried).await
    }

    /// Keeps the next try of a call that failed. Returns when it is; `None`: it was the last one.
    async fn try_again(&self, call: &TriggerCall, health: &Health, now: Timestamp) -> Result<Option<Timestamp>, PortError> {
        let Some(wait) = next_try(&call.id, call.attempt) else { return Ok(None) };
        let next = TriggerCall { attempt: call.attempt + 1, ..call.clone() };
        let at = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        let at = health.rests(now).map_or(at, |rests| at.max(rests));
        match u32::try_from(at.duration_since(now).as_secs()) {
            Ok(seconds) if wait <= LONGEST_DELAY && health.rests(now).is_none() => {
                self.outside.send(vec![(TriggerJob::Call(next), seconds)]).await?;
            }
            _ => self.store.put_due(&DueCall { at, call: next }).await?,
        }
        Ok(Some(at))
    }

    /// What the call tells now; `None` if it has nothing to tell any more.
    async fn body(&self, call: &TriggerCall) -> Result<Option<Ready>, PortError> {
        let Some(interaction) = self.store.interaction(&call.interaction).await? else { return Ok(None) };
        let Some(account) = self.directory.account(&interaction.account).await? else { return Ok(None) };
        let message = match &call.happened.message {
            Some(place) => {
                let key = domain::effect::MessageKey { interaction: call.interaction.clone(), at: place.at, message: place.id.clone() };
                let Some(message) = self.store.message(&key).await? else { return Ok(None) };
                Some(message)
            }
            None => None,
        };
        let agents = self.directory.agents().await?;
        let agent: Option<&Agent> = call.happened.agent.as_ref().and_then(|agent| agents.get(agent));
        let told = Told {
            call,
            account: &account,
            interaction: &interaction,
            message: message.as_ref(),
            agent_name: agent.map(|agent| agent.name.as_str()),
        };
        Ok(Some(Ready { body: hooks::body(&told), personal: personal(&interaction, message.as_ref()) }))
    }

    async fn disable(&self, trigger: &Trigger, why: WhyDisabled, now: Timestamp) -> Result<(), PortError> {
        let disabled = self.outside.disable(&trigger.id, &Disabled { at: now, why }).await?;
        match disabled {
            Some(trigger) => {
                self.store.put_health(&trigger.id, None).await?;
                self.tell(&trigger).await
            }
            None => Ok(()),
        }
    }

    /// Notifies people that the service switched a trigger off. The id follows from when it did, so that a repetition
    /// changes nothing.
    async fn tell(&self, trigger: &Trigger) -> Result<(), PortError> {
        let Some(Disabled { at, why }) = trigger.disabled else { return Ok(()) };
        let note = TriggerNote { id: trigger.id.clone(), name: trigger.name.clone(), why };
        let job = PushJob {
            id: format!("{}-{}", trigger.id, at.as_millisecond()),
            committed_at: Some(at),
            to: Recipients::Supervisors { supervisors_about: trigger.id.clone() },
            account: None,
            news: News::TriggerDisabled { trigger: note, at },
        };
        self.outside.notify(job).await
    }
}

/// What the conditions of one event are asked on. It is read once.
struct Asked<'a> {
    interaction: &'a Interaction,
    names: Option<Names>,
    thread: Option<Vec<Message>>,
}

/// A body, and what of it is a customer's own.
struct Ready {
    body: Vec<u8>,
    personal: Vec<String>,
}

/// The facts as of the event: without messages that came since.
fn facts(interaction: &Interaction, thread: &[Message], event: &Happened) -> Facts {
    let then: Vec<Message> = thread.iter().filter(|message| message.id.made_at() <= event.at).cloned().collect();
    Facts::of(interaction, &then)
}

fn matches(search: &Search, interaction: &Interaction, facts: Option<&Facts>, names: &Names) -> bool {
    // One that was merged into another has no place in lists, and is told all the same.
    let position = Position::of(interaction.opened_at, &interaction.id);
    let row = Row::of(interaction);
    let Interaction { account, contact, .. } = interaction;
    search.matches(&Subject { position: &position, account, contact, row: &row, facts }, names)
}

/// What an answer must not repeat in the log, which outlives the customer's erasure by some days.
fn personal(interaction: &Interaction, message: Option<&Message>) -> Vec<String> {
    let name = interaction.customer_name.as_ref().map(|name| name.0.clone());
    let texts = [name, Some(interaction.address.text().to_owned()), message.map(|message| message.content.readable())];
    texts.into_iter().flatten().filter(|text| !text.is_empty()).collect()
}
