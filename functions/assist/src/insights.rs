//! Insights at closing.

use std::future::Future;

use domain::ai_agent::AiAgent;
use domain::decide::{Event, InsightsCause};
use domain::effect::InteractionKey;
use domain::ids::{AccountId, AiAgentId};
use domain::insights::{Sentiment, Summary};
use domain::interaction::Interaction;
use domain::language::Language;
use domain::message::Message;
use engine::ports::{Directory, Idempotency, PortError, Store, World};
use engine::{Engine, EngineError, Told};
use jiff::Timestamp;
use models::NoInsights;

/// What insights need beside the engine.
pub(crate) trait Outside: Sync {
    /// An AI agent as it is now, with its version.
    fn ai_agent(&self, id: &AiAgentId) -> impl Future<Output = Result<Option<(AiAgent, u64)>, PortError>> + Send;
    /// The latest messages of an interaction's thread, the newest first.
    fn thread(&self, interaction: &Interaction) -> impl Future<Output = Result<Vec<Message>, PortError>> + Send;
    /// What the AI agent's model reads out of them: one call, which is paid for.
    fn insights(
        &self,
        agent: &AiAgent,
        version: u64,
        account: &AccountId,
        newest_first: &[Message],
        language: Option<&Language>,
    ) -> impl Future<Output = Result<(Sentiment, Summary), NoInsights>> + Send;
}

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are kept.
    Made,
    /// They were there, or the interaction was reopened, merged or deleted since.
    Stale,
    /// The account no longer wants them, or its AI agent is gone.
    Off,
    /// The customer wrote nothing.
    NothingSaid,
}

/// Why there are none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotMade {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Model(#[from] NoInsights),
}

impl From<PortError> for NotMade {
    fn from(error: PortError) -> Self {
        Self::Engine(error.into())
    }
}

impl NotMade {
    /// Whether the same job may succeed later although nobody changes anything.
    pub(crate) fn passes(&self) -> bool {
        match self {
            Self::Engine(_) => true,
            Self::Model(NoInsights::NoReply(why)) => why.passes(),
            Self::Model(NoInsights::NothingSaid | NoInsights::Unusable(_)) => false,
        }
    }
}

/// Makes the insights of an interaction that closed at `closed_at`, unless they are there or no longer wanted. A job
/// that comes again calls the model again only if the first one could not write what it said.
pub(crate) async fn at_closing<S: Store, D: Directory, W: World>(
    engine: &Engine<S, D, W>,
    outside: &impl Outside,
    key: &InteractionKey,
    closed_at: Timestamp,
) -> Result<Outcome, NotMade> {
    let Some(interaction) = engine.store.interaction(key).await? else { return Ok(Outcome::Stale) };
    if !interaction.lacks_insights_of(closed_at) {
        return Ok(Outcome::Stale);
    }
    let Some(account) = engine.directory.account(&interaction.account).await? else { return Ok(Outcome::Off) };
    let Some(wanted) = account.settings.insights.as_ref().filter(|insights| insights.at_closing) else { return Ok(Outcome::Off) };
    let Some((agent, version)) = outside.ai_agent(&wanted.ai_agent).await? else { return Ok(Outcome::Off) };
    let thread = outside.thread(&interaction).await?;
    let (sentiment, summary) = match outside.insights(&agent, version, &account.id, &thread, account.settings.agents_language()).await {
        Err(NoInsights::NothingSaid) => return Ok(Outcome::NothingSaid),
        made => made?,
    };
    let event = Event::InsightsMade { cause: InsightsCause::Closed(closed_at), ai_agent: agent.id, sentiment, summary };
    match engine.tell(key, event, Idempotency::Guarded).await {
        Ok(Told::Changed { .. }) => Ok(Outcome::Made),
        Ok(Told::AlreadyDone(_) | Told::Refused(..)) | Err(EngineError::NotFound | EngineError::NoAccount(_)) => Ok(Outcome::Stale),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use domain::account::Account;
    use domain::decide::Decision;
    use domain::fixtures;
    use domain::history::Fact;
    use domain::insights::InsightsSettings;
    use domain::interaction::Status;
    use engine::memory::{Fault, Memory, MemoryDirectory, VirtualWorld};
    use engine::ports::Commit;
    use models::ModelError;

    use super::*;

    const CLOSED: Timestamp = Timestamp::UNIX_EPOCH;

    /// A model, and what happens while it thinks.
    struct Fake {
        memory: Memory,
        agent: Option<AiAgent>,
        says: Mutex<Vec<Result<(), NoInsights>>>,
        calls: Mutex<u32>,
        meanwhile: Mutex<Option<Interaction>>,
    }

    impl Outside for Fake {
        async fn ai_agent(&self, id: &AiAgentId) -> Result<Option<(AiAgent, u64)>, PortError> {
            Ok(self.agent.clone().filter(|agent| agent.id == *id).map(|agent| (agent, 1)))
        }

        async fn thread(&self, _: &Interaction) -> Result<Vec<Message>, PortError> {
            Ok(vec![fixtures::message(CLOSED)])
        }

        async fn insights(
            &self,
            _: &AiAgent,
            _: u64,
            _: &AccountId,
            newest_first: &[Message],
            _: Option<&Language>,
        ) -> Result<(Sentiment, Summary), NoInsights> {
            assert_eq!(newest_first.len(), 1);
            *self.calls.lock().unwrap() += 1;
            let meanwhile = self.meanwhile.lock().unwrap().take();
            if let Some(changed) = meanwhile {
                write(&self.memory, self.memory.interaction_of(&changed.id), changed).await;
            }
            self.says.lock().unwrap().pop().unwrap_or(Ok(()))?;
            Ok((Sentiment::Negative, Summary::of("The parcel is late.").unwrap()))
        }
    }

    async fn write(memory: &Memory, before: Option<Interaction>, interaction: Interaction) {
        let decision = Decision {
            interaction,
            effects: Vec::new(),
            message_effects: Vec::new(),
            replies: Vec::new(),
            history: Vec::new(),
            presence_revision: None,
        };
        memory.commit(Commit::of(before, decision, Idempotency::Guarded)).await.unwrap();
    }

    struct Desk {
        engine: Engine<Memory, MemoryDirectory, VirtualWorld>,
        fake: Fake,
        closed: Interaction,
    }

    impl Desk {
        /// An account that wants insights at closing, and an interaction that closed a second ago.
        async fn new() -> Self {
            let memory = Memory::new();
            let ai_agent = fixtures::ai_agent();
            let mut account = fixtures::account();
            account.settings.insights = Some(InsightsSettings { ai_agent: ai_agent.id.clone(), at_closing: true });
            let directory = memory.directory();
            directory.put_account(account);
            let closed = fixtures::interaction(Status::Closed, CLOSED);
            write(&memory, None, closed.clone()).await;
            let world = VirtualWorld::new(CLOSED, 1);
            world.advance(jiff::SignedDuration::from_secs(1));
            let fake = Fake {
                memory: memory.clone(),
                agent: Some(ai_agent),
                says: Mutex::default(),
                calls: Mutex::default(),
                meanwhile: Mutex::default(),
            };
            Self { engine: Engine { store: memory, directory, world }, fake, closed }
        }

        async fn job(&self) -> Result<Outcome, NotMade> {
            at_closing(&self.engine, &self.fake, &self.closed.key(), CLOSED).await
        }

        fn calls(&self) -> u32 {
            *self.fake.calls.lock().unwrap()
        }

        fn kept(&self) -> Interaction {
            self.engine.store.interaction_of(&self.closed.id).unwrap()
        }

        fn account(&self, change: impl FnOnce(&mut Account)) {
            self.engine.directory.change(|config| change(config.accounts.get_mut(&self.closed.account).unwrap()));
        }
    }

    #[tokio::test]
    async fn a_job_that_comes_again_pays_for_no_second_call() {
        let desk = Desk::new().await;
        assert_eq!(desk.job().await.unwrap(), Outcome::Made);
        assert_eq!(desk.job().await.unwrap(), Outcome::Stale);
        assert_eq!(desk.calls(), 1);
        assert_eq!(desk.kept().insights.unwrap().sentiment, Sentiment::Negative);
        let made = |fact: &Fact| matches!(fact, Fact::InsightsMade { summary, .. } if summary.as_str() == "The parcel is late.");
        assert_eq!(desk.engine.store.history(&desk.closed.id).iter().filter(|entry| made(&entry.fact)).count(), 1);
    }

    #[tokio::test]
    async fn what_is_no_longer_wanted_calls_no_model() {
        for change in [0, 1, 2] {
            let mut desk = Desk::new().await;
            match change {
                0 => desk.account(|account| account.settings.insights = None),
                1 => desk.account(|account| account.settings.insights.as_mut().unwrap().at_closing = false),
                _ => desk.fake.agent = None,
            }
            assert_eq!((desk.job().await.unwrap(), desk.calls(), desk.kept().insights), (Outcome::Off, 0, None));
        }
        let desk = Desk::new().await;
        let reopened = Interaction { status: Status::Open, closed_at: None, version: 2, ..desk.closed.clone() };
        write(&desk.engine.store, Some(desk.closed.clone()), reopened).await;
        assert_eq!((desk.job().await.unwrap(), desk.calls()), (Outcome::Stale, 0));
        let desk = Desk::new().await;
        assert!(desk.engine.store.delete(&desk.closed.id));
        assert_eq!((desk.job().await.unwrap(), desk.calls()), (Outcome::Stale, 0));
    }

    #[tokio::test]
    async fn an_interaction_that_is_reopened_while_the_model_thinks_keeps_none() {
        let desk = Desk::new().await;
        let reopened = Interaction { status: Status::Open, closed_at: None, version: 2, ..desk.closed.clone() };
        *desk.fake.meanwhile.lock().unwrap() = Some(reopened);
        assert_eq!((desk.job().await.unwrap(), desk.kept().insights), (Outcome::Stale, None));
    }

    #[tokio::test]
    async fn a_failure_leaves_the_interaction_as_it_was_and_a_later_try_completes_it() {
        let desk = Desk::new().await;
        *desk.fake.says.lock().unwrap() = vec![Err(ModelError::Busy.into())];
        assert!(desk.job().await.unwrap_err().passes());
        assert_eq!(desk.kept(), desk.closed);
        desk.engine.store.inject(|_| Fault::Refused);
        assert!(desk.job().await.unwrap_err().passes());
        assert_eq!(desk.kept(), desk.closed);
        desk.engine.store.inject(|_| Fault::AnswerLost);
        assert!(desk.job().await.unwrap_err().passes());
        desk.engine.store.heal();
        let calls = desk.calls();
        assert_eq!((desk.job().await.unwrap(), desk.calls()), (Outcome::Stale, calls), "they had been written");
    }

    #[tokio::test]
    async fn nothing_said_is_nothing_to_sum_up() {
        let desk = Desk::new().await;
        *desk.fake.says.lock().unwrap() = vec![Err(NoInsights::NothingSaid)];
        assert_eq!((desk.job().await.unwrap(), desk.kept().insights), (Outcome::NothingSaid, None));
    }
}
