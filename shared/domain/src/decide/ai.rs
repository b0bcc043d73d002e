//! AI agents that answer customers, and what makes them stop.
//!
//! While an AI agent has the conversation nobody is asked. An answer that is owed gives the wait a deadline: whatever
//! becomes of the model, the wait's timer then hands over to people.

use jiff::{SignedDuration, Timestamp};

use super::Refusal;
use super::change::Change;
use crate::ai_agent::Limits;
use crate::effect::{Effect, Notice, Timer};
use crate::history::{Escalated, Fact, Said, WaitEnd};
use crate::ids::{AgentId, AiAgentId};
use crate::interaction::{Answering, Stage, Wait};
use crate::message::Author;
use crate::note::NoteKind;

/// How long an answer may take: the function that asks the model has 60 s, and half of that is for the queues on the
/// way. A customer who gets no answer by then gets a person.
pub const ANSWER_DEADLINE: SignedDuration = SignedDuration::from_secs(90);

/// An AI agent's answer.
#[derive(Clone, PartialEq, Eq)]
pub struct AiAnswer {
    /// The AI agent's name.
    pub name: String,
    /// The text that tells a customer that no person answers.
    pub disclosure: Option<String>,
    /// The answer: at most 4,096 characters.
    pub text: String,
    /// The text that the customer gets if people must take over instead.
    pub farewell: Option<String>,
    /// The AI agent's limits.
    pub limits: Limits,
}

/// An AI agent's request for a person.
#[derive(Clone, PartialEq, Eq)]
pub struct AiEscalation {
    /// The AI agent's name; `None` if it was deleted.
    pub name: Option<String>,
    /// Why.
    pub why: Escalated,
    /// Why, in the model's words.
    pub said: Option<Said>,
    /// The text that the customer gets.
    pub farewell: Option<String>,
}

/// Answers to customers never reach a log.
impl std::fmt::Debug for AiAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AiAnswer(…)")
    }
}

impl std::fmt::Debug for AiEscalation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AiEscalation").field("why", &self.why).finish_non_exhaustive()
    }
}

impl Change<'_> {
    /// An AI agent answers only from when somebody switches it on until a person accepts.
    pub(super) fn ai_switched(&mut self, by: AgentId, oversees: bool, on: bool) -> Result<(), Refusal> {
        if oversees {
            self.still_open()?
        } else {
            self.owned_by(&by)?
        }
        let own = self.next.ai.clone();
        if on == self.next.answered_by().is_some() && on == own.is_some() {
            return Err(Refusal::NothingToDo);
        }
        let ai = match on {
            true => Some(own.or_else(|| self.context.account.answering_ai_agent.clone()).ok_or(Refusal::NoAiAgent)?),
            false => None,
        };
        if on && !self.context.account.active {
            return Err(Refusal::AccountInactive);
        }
        if on && self.is_handed_over() {
            return Err(Refusal::TransferUnderway);
        }
        self.fact(Fact::AiSwitched { agent: by.clone(), ai_agent: ai.clone() });
        let stage = self.ai_stops();
        self.next.answering.by_hand = true;
        if let Some(ai) = ai {
            if self.next.wait.is_some() {
                self.end_wait(WaitEnd::Settled);
            }
            self.next.ai = Some(ai);
            (self.next.answering.in_a_row, self.next.answering.used_up) = (0, false);
            match self.next.agent {
                Some(_) if self.next.unanswered_since.is_none() => {}
                Some(_) => self.ai_begins(Stage::AssignedAgent),
                // Once it hands over, the plan begins.
                None => self.ai_begins(Stage::Exhausted),
            }
        } else if self.next.wait.is_none() {
            self.people_take_over(stage);
        }
        self.tell_about(by);
        Ok(())
    }

    /// The AI agent gets the conversation. If the customer waits for an answer, it is owed.
    pub(super) fn ai_begins(&mut self, stage: Stage) {
        let (id, now) = (self.next.version, self.context.now);
        let until = self.next.unanswered_since.and_then(|_| now.checked_add(ANSWER_DEADLINE).ok());
        if let Some(at) = until {
            self.effects.push(Effect::Answer { wait: id });
            self.effects.push(Effect::Timer { at, timer: Timer::Wait { wait: id } });
        }
        self.fact(Fact::WaitStarted { stage: stage.clone(), queue: None, until });
        self.ai_waits(stage, until);
    }

    fn ai_waits(&mut self, stage: Stage, until: Option<Timestamp>) {
        let id = self.next.version;
        self.next.wait = Some(Wait { id, stage, targets: Vec::new(), until, rejected: Vec::new(), missed: Vec::new(), offer: None });
        self.next.answering.wait = Some(id);
        (self.next.answering.claimed, self.next.answering.outdated) = (false, false);
    }

    /// The customer wrote. Several messages before the model is asked are one question. What comes while it thinks
    /// makes its answer outdated.
    pub(super) fn ai_is_asked(&mut self) {
        match self.next.ai_wait() {
            Some(wait) if wait.until.is_some() => self.next.answering.outdated = self.next.answering.claimed,
            Some(wait) => {
                let stage = wait.stage.clone();
                self.ai_begins(stage);
            }
            None => self.ai_begins(Stage::AssignedAgent),
        }
    }

    /// Ends what an AI agent does here, without asking anybody else. Returns the stage of its wait.
    pub(super) fn ai_stops(&mut self) -> Option<Stage> {
        let stage = self.next.ai_wait().map(|wait| wait.stage.clone());
        if stage.is_some() {
            self.next.wait = None;
        }
        self.next.ai = None;
        let Answering { in_a_row, disclosed, handed_over, escalated, used_up, by_hand, .. } = self.next.answering;
        self.next.answering = Answering { in_a_row, disclosed, handed_over, escalated, used_up, by_hand, ..Answering::default() };
        stage
    }

    /// A person has the interaction from now on. Where no AI agent could ever answer, nothing is noted.
    pub(super) fn person_has_it(&mut self) {
        let account = self.context.account;
        let concerned = self.next.ai.is_some() || account.answering_ai_agent.is_some() || account.plan.ai_agents().next().is_some();
        self.ai_stops();
        (self.next.answering.in_a_row, self.next.answering.used_up) = (0, false);
        self.next.answering.by_hand |= concerned;
    }

    /// An agent has answered beside the AI agent: its own answer is not needed any more.
    pub(super) fn answered_by_person(&mut self) {
        if self.next.ai_wait().is_some() {
            self.next.wait = None;
        }
        self.next.answering.wait = None;
        self.next.answering.in_a_row = 0;
    }

    /// Marks that the model is about to be asked, so that no repetition of the job asks it again.
    pub(super) fn ai_claims(&mut self, wait: u64) -> Result<(), Refusal> {
        self.owed(wait)?;
        if self.next.answering.claimed {
            return Err(Refusal::Stale);
        }
        self.next.answering.claimed = true;
        Ok(())
    }

    fn owed(&self, wait: u64) -> Result<(Stage, AiAgentId), Refusal> {
        self.still_open()?;
        let own = self.next.ai_wait().filter(|own| own.id == wait && own.until.is_some());
        let stage = own.map(|own| own.stage.clone()).ok_or(Refusal::Stale)?;
        Ok((stage, self.next.ai.clone().ok_or(Refusal::Stale)?))
    }

    /// Sends the answer, if it still fits: the AI agent is on, no person has the interaction, and the customer has not
    /// written since the model was asked.
    pub(super) fn ai_answered(&mut self, wait: u64, answer: AiAnswer) -> Result<(), Refusal> {
        let (stage, ai_agent) = self.owed(wait)?;
        let AiAnswer { name, disclosure, text, farewell, limits } = answer;
        let why = if self.next.answering.outdated && self.next.answering.dropped < limits.dropped {
            self.fact(Fact::AiOvertaken { ai_agent });
            self.next.answering.dropped += 1;
            self.ai_begins(stage);
            return Ok(());
        } else if self.next.answering.outdated {
            Some(Escalated::Overtaken)
        } else if self.next.answering.in_a_row >= limits.in_a_row {
            Some(Escalated::Limit)
        } else if !self.window_open() {
            Some(Escalated::WindowExpired)
        } else {
            None
        };
        if let Some(why) = why {
            self.ai_escalates(AiEscalation { name: Some(name), why, said: None, farewell });
            return Ok(());
        }
        let author = Author::Ai { ai_agent: ai_agent.clone(), name };
        if let Some(disclosure) = disclosure.filter(|_| !self.next.answering.disclosed) {
            self.say(author.clone(), disclosure);
            self.next.answering.disclosed = true;
        }
        let message = self.say(author, text);
        self.fact(Fact::AiAnswered { ai_agent, message });
        self.next.answering.in_a_row += 1;
        self.next.answering.dropped = 0;
        self.next.unanswered_since = None;
        self.next.inactivity.deadline = self.context.account.settings.inactivity_timeout.map(|timeout| timeout.after(self.context.now));
        if let Some(deadline) = self.next.inactivity.deadline {
            self.arm_inactivity(deadline);
        }
        if self.next.agent.is_some() {
            self.next.wait = None;
            self.next.answering.wait = None;
        } else {
            self.ai_waits(stage, None);
        }
        self.tell_of_message(self.next.agent.iter().cloned().collect());
        Ok(())
    }

    /// The AI agent, or whoever asks its model, wants a person.
    pub(super) fn ai_asks_for_person(&mut self, wait: u64, escalation: AiEscalation) -> Result<(), Refusal> {
        self.owed(wait)?;
        self.ai_escalates(escalation);
        Ok(())
    }

    /// Hands the customer over to people. The agent who has the interaction and supervisors are notified.
    pub(super) fn ai_escalates(&mut self, AiEscalation { name, why, said, farewell }: AiEscalation) {
        let Some(ai_agent) = self.next.ai.clone() else { return };
        self.fact(Fact::AiEscalated { ai_agent: ai_agent.clone(), why, said });
        if let Some((text, name)) = farewell.zip(name).filter(|_| self.window_open()) {
            self.say(Author::Ai { ai_agent, name }, text);
            // A bot may answer this, too.
            self.next.answering.in_a_row += 1;
        }
        self.next.answering.escalated = Some(why);
        self.next.answering.used_up |= why == Escalated::Limit;
        let stage = self.ai_stops();
        self.next.answering.handed_over = true;
        let notice = Notice::Interaction { note: Some(NoteKind::Escalation) };
        if let Some(agent) = self.next.agent.clone() {
            self.tell(vec![agent], notice.clone());
        }
        self.effects.push(Effect::TellSupervisors { notice });
        self.people_take_over(stage);
    }

    /// Nobody answers any more. The plan goes on behind the step in which the AI agent had the conversation; an
    /// interaction that has an agent is that agent's again.
    fn people_take_over(&mut self, stage: Option<Stage>) {
        match (&self.next.agent, stage) {
            // The agent has seen what the customer wrote.
            (Some(_), _) if !self.next.unread => {}
            _ if !self.context.account.active => self.hold_while_inactive(),
            (Some(_), _) => self.wait_for_agent(),
            (None, Some(Stage::Step { index, plan })) => self.enter_step(index + 1, plan),
            (None, _) => self.start_plan(),
        }
    }
}
