//! Waits: the targets for which an interaction waits, and what comes next.

use jiff::Timestamp;

use super::change::Change;
use super::{Refusal, Ring};
use crate::effect::{Audience, Effect, Target, Timer};
use crate::history::{Fact, Skip, WaitEnd};
use crate::interaction::{Stage, Wait};

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
        let (wait, target) = (self.next.version, Target::Agent(agent));
        self.offer(Ring { wait, target, audience, until: Some(until), rung: Vec::new(), passed_over: Vec::new() });
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

    pub(super) fn begin_wait(&mut self, stage: Stage, targets: Vec<Target>, until: Option<Timestamp>) {
        let id = self.next.version;
        // An interaction whose plan has run out waits for everybody, and for no queue in particular.
        let queue = match targets.as_slice() {
            [Target::Queue(queue)] if stage != Stage::Exhausted => Some(queue.clone()),
            _ => None,
        };
        self.fact(Fact::WaitStarted { stage: stage.clone(), queue, until });
        if let Some(at) = until {
            self.effects.push(Effect::Timer { at, timer: Timer::Wait { wait: id } });
        }
        // Also if the account is off: it may have been switched on during this decision.
        self.effects.extend(targets.iter().cloned().map(|target| Effect::Wake { target }));
        self.next.wait = Some(Wait { id, stage, targets, until, rejected: Vec::new(), missed: Vec::new(), offer: None });
    }

    /// Ends the wait and its offer, and returns the wait's stage.
    pub(super) fn end_wait(&mut self, why: WaitEnd) -> Option<Stage> {
        let rang = self.withdraw_offer(None).is_some();
        let stage = self.next.wait.take()?.stage;
        let passed_over = if why == WaitEnd::TimedOut && !rang { self.context.passed_over.to_vec() } else { Vec::new() };
        self.fact(Fact::WaitEnded { stage: stage.clone(), why, passed_over });
        Some(stage)
    }

    /// Nobody accepted: goes on to the next stage.
    pub(super) fn advance(&mut self, why: WaitEnd) {
        let ended = self.end_wait(why);
        if ended == Some(Stage::Transfer) {
            return self.returned();
        }
        if !self.context.account.active {
            return self.hold_while_inactive();
        }
        match ended {
            Some(Stage::AssignedAgent) => self.wait_for_queue(),
            Some(Stage::AssignedQueue) => self.start_plan(),
            Some(Stage::Step { index, plan } | Stage::Webhook { index, plan }) => self.enter_step(index + 1, plan),
            Some(Stage::Exhausted | Stage::Inactive | Stage::Transfer) | None => self.start_plan(),
        }
    }

    /// Whether a wait is under way because its agent was absent. The plan runs only for interactions without an
    /// agent, and an AI agent beside an agent owes an answer.
    pub(super) fn waits_on_own_agent(&self) -> bool {
        self.next.agent.is_some() && self.next.wait.is_some() && !self.is_handed_over() && self.next.ai_wait().is_none()
    }

    /// The offer stops ringing. The wait goes on, and when it is over the interaction is held.
    pub(super) fn account_deactivated(&mut self) -> Result<(), Refusal> {
        self.still_open()?;
        let rings = self.next.wait.as_ref().is_some_and(|wait| wait.offer.is_some() && wait.stage != Stage::AssignedAgent);
        if !rings || self.context.account.active {
            return Err(Refusal::Stale);
        }
        self.fact(Fact::AccountInactive);
        self.withdraw_offer(None);
        Ok(())
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
