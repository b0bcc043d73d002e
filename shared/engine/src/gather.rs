//! Load: reads the data that a decision needs, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::account::{Account, List};
use domain::agent::Presence;
use domain::assign::why_nobody;
use domain::catalog::Pause;
use domain::decide::{Context, Needs};
use domain::effect::{InteractionKey, Target};
use domain::history::PassedOver;
use domain::ids::{AgentId, IntervalId, QueueId};
use domain::interaction::Interaction;
use domain::interval::Interval;
use domain::plan::ActionPlan;
use domain::queue::Queue;
use jiff::Timestamp;

use crate::ports::{Conversation, Directory, Store, World};
use crate::{Engine, EngineError};

/// The data of a decision beside the account and the interaction.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    queues: BTreeMap<QueueId, Queue>,
    intervals: BTreeMap<IntervalId, Interval>,
    list: Option<List>,
    running_plan: Option<ActionPlan>,
    dispositions: Arc<Vec<String>>,
    pause: Option<Pause>,
    presences: BTreeMap<AgentId, Presence>,
    passed_over: Vec<PassedOver>,
}

impl Facts {
    /// The presences that the decision needs.
    pub(crate) fn presences(&self) -> &BTreeMap<AgentId, Presence> {
        &self.presences
    }

    /// The context of a decision about `account`.
    pub(crate) fn context<'a>(&'a self, account: &'a Account, last_inbound_at: Option<Timestamp>, now: Timestamp) -> Context<'a> {
        Context {
            account,
            running_plan: self.running_plan.as_ref(),
            queues: &self.queues,
            intervals: &self.intervals,
            list: self.list.as_ref(),
            dispositions: &self.dispositions,
            pause: self.pause.as_ref(),
            heard: None,
            presences: &self.presences,
            passed_over: &self.passed_over,
            last_inbound_at,
            now,
        }
    }
}

impl<S: Store, D: Directory, W: World> Engine<S, D, W> {
    /// Reads an interaction. Its conversation's head says when the customer wrote last. It is read, in the same
    /// request, only if the `service_window` matters.
    pub(crate) async fn load(&self, key: &InteractionKey, service_window: bool) -> Result<(Interaction, Option<Timestamp>), EngineError> {
        if service_window {
            let Conversation { open, last_inbound_at, .. } = self.store.conversation(&key.conversation).await?;
            if let Some(open) = open.filter(|open| open.id == key.interaction) {
                return Ok((open, last_inbound_at));
            }
        }
        Ok((self.store.interaction(key).await?.ok_or(EngineError::NotFound)?, None))
    }

    /// Gathers the data for a decision about `interaction`: the account's list, the queues and intervals of its
    /// plan and of the running plan, and everything in `needs`. Only presences are read from the table, in one
    /// request. The rest is cached configuration.
    pub(crate) async fn gather(
        &self,
        account: &Account,
        needs: &Needs,
        interaction: Option<&Interaction>,
        now: Timestamp,
    ) -> Result<Facts, EngineError> {
        let mut facts = Facts { list: self.directory.list(&account.list).await?, ..Facts::default() };
        if let Some(version) = needs.running_plan.filter(|version| *version != account.plan.version) {
            facts.running_plan = self.directory.plan(&account.id, version).await?;
        }
        let plans = || std::iter::once(&account.plan).chain(&facts.running_plan);
        let intervals: Vec<IntervalId> = plans().flat_map(ActionPlan::intervals).cloned().collect();
        for id in plans().flat_map(ActionPlan::queues).chain(&needs.queues) {
            if !facts.queues.contains_key(id)
                && let Some(queue) = self.directory.queue(id).await?
            {
                facts.queues.insert(id.clone(), queue);
            }
        }
        if !intervals.is_empty() {
            facts.intervals = self.directory.intervals(&intervals).await?;
        }
        if needs.dispositions {
            facts.dispositions = self.directory.dispositions().await?;
        }
        if let Some(pause) = account.settings.disposition_pause.as_ref().filter(|_| needs.disposition_pause) {
            facts.pause = self.directory.pause(pause).await?;
        }
        if let Some(interaction) = interaction.filter(|_| needs.passed_over) {
            facts.passed_over = self.why_nobody(interaction, account, &facts.queues, now).await?;
        }
        if !needs.presences.is_empty() {
            let agents: Vec<AgentId> = needs.presences.iter().cloned().collect();
            facts.presences = self.store.presences(&agents).await?;
        }
        Ok(facts)
    }

    /// The reasons why nobody is being rung for a waiting interaction, for its history at the end of the wait.
    async fn why_nobody(
        &self,
        interaction: &Interaction,
        account: &Account,
        queues: &BTreeMap<QueueId, Queue>,
        now: Timestamp,
    ) -> Result<Vec<PassedOver>, EngineError> {
        let Some(wait) = &interaction.wait else { return Ok(Vec::new()) };
        let members = |queue| queues.get(queue).map(|queue: &Queue| queue.members.as_slice()).unwrap_or_default();
        let candidates = wait.targets.iter().flat_map(|target| match target {
            Target::Queue(queue) => members(queue),
            Target::Agent(agent) => std::slice::from_ref(agent),
            Target::Account(_) => account.agents.as_slice(),
        });
        let candidates: Vec<AgentId> = candidates.cloned().collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let presences = self.store.presences(&candidates).await?;
        Ok(why_nobody(&candidates, account, &presences, &wait.rejected, &interaction.id, now))
    }
}
