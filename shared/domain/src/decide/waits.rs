//! Waits and the action plan: on whom an interaction waits, and what comes next.

use super::*;

impl Change<'_> {
    pub(super) fn hold_while_inactive(&mut self) {
        self.fact(Fact::AccountInactive);
        let account = Target::Account(self.context.account.id.clone());
        self.begin_wait(Stage::Inactive, vec![account], None);
    }

    pub(super) fn wait_for_agent(&mut self) {
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

    pub(super) fn wait_for_queue(&mut self) {
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

    pub(super) fn start_plan(&mut self) {
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
    pub(super) fn enter_step(&mut self, index: usize, version: u64) {
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

    pub(super) fn begin_wait(&mut self, stage: Stage, targets: Vec<Target>, until: Option<Timestamp>) {
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
    pub(super) fn end_wait(&mut self, why: WaitEnd) -> Option<Stage> {
        self.withdraw_offer(None);
        let stage = self.next.wait.take()?.stage;
        self.fact(Fact::WaitEnded { stage: stage.clone(), why });
        Some(stage)
    }

    /// Nobody accepted: on to what comes next.
    pub(super) fn advance(&mut self, why: WaitEnd) {
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
    pub(super) fn waits_on_own_agent(&self) -> bool {
        self.next.agent.is_some() && self.next.wait.is_some()
    }

    pub(super) fn account_activated(&mut self) -> Result<(), Refusal> {
        self.still_open()?;
        if !matches!(self.next.wait, Some(Wait { stage: Stage::Inactive, .. })) || !self.context.account.active {
            return Err(Refusal::Stale);
        }
        self.end_wait(WaitEnd::AccountActivated);
        self.wait_for_agent();
        Ok(())
    }
}
