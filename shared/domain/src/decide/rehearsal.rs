//! What a run of the plan would do if nobody answered. The decisions are those of a real interaction, with a clock
//! that jumps to the end of each wait. Nothing is stored, sent or called.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::change::Change;
use super::plan::MOST_ENTERED;
use super::{Context, Event, Opening, changed, opened};
use crate::assign::why_nobody;
use crate::effect::{Effect, Target, Timer};
use crate::history::{Did, Fact, PassedOver};
use crate::ids::{AgentId, IntervalId, MessageId};
use crate::interaction::{Interaction, Stage, Wait};
use crate::notification::Notification;
use crate::plan::{Guard, PlanStep, Step};
use crate::queue::Strategy;
use crate::variables::{VariableName, Variables};

/// The customer's message and everything else that a rehearsal assumes.
#[derive(Debug)]
pub struct Rehearsal<'a> {
    /// The interaction that the message opens.
    pub opening: Opening,
    /// The message.
    pub message: MessageId,
    /// Variables that are set before the plan begins.
    pub variables: Variables,
    /// What other systems answer, by the place of the Webhook step. A step without an answer times out.
    pub answers: &'a BTreeMap<usize, Vec<(VariableName, String)>>,
    /// The time of the presences in the context.
    pub seen_at: Timestamp,
}

/// A rehearsed run.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsed {
    /// What happens, in order.
    pub lines: Vec<RunLine>,
    /// How it ends.
    pub ending: Ending,
    /// The interaction at the end.
    pub interaction: Interaction,
}

/// One thing that happens in a rehearsed run, as the history of an interaction tells it, with what the history leaves
/// out.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RunLine {
    /// When it happens.
    pub at: Timestamp,
    /// What happens.
    #[serde(flatten)]
    pub fact: Fact,
    /// Of a skipped step: its interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<IntervalId>,
    /// Of a condition: the values that it was decided by. What follows a decided `&&` or `||` is not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub compared: Vec<Compared>,
    /// Of a reply: the text that the customer gets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of a variable that is set: its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Of a Webhook step: the address that is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Of the first wait for each target: who is asked there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asked: Vec<Asked>,
}

impl From<(Timestamp, Fact)> for RunLine {
    fn from((at, fact): (Timestamp, Fact)) -> Self {
        Self { at, fact, interval: None, compared: Vec::new(), text: None, value: None, url: None, asked: Vec::new() }
    }
}

/// Replies and values may hold a customer's words.
impl fmt::Debug for RunLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunLine").field("at", &self.at).field("fact", &self.fact).finish_non_exhaustive()
    }
}

/// A value that a condition was decided by.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Compared {
    /// Its name; that of a variable begins with `variables.`.
    pub name: String,
    /// The value; empty if there is none.
    pub value: String,
}

/// The value may be a customer's words.
impl fmt::Debug for Compared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compared").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The agents of a target that is asked to take the interaction.
#[derive(Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Asked {
    /// The queue, the agent, or all agents of the account.
    pub target: Target,
    /// How a queue chooses among its members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The agents who could be rung now.
    pub available: Vec<AgentId>,
    /// The others, and why they could not be rung now.
    pub passed_over: Vec<PassedOver>,
    /// The text that an agent's screen shows with the offer.
    pub notification: String,
}

/// The notification may name a customer.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("target", &self.target).field("available", &self.available).finish_non_exhaustive()
    }
}

/// How a rehearsed run ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Ending {
    /// The interaction is closed.
    Closed {
        /// The disposition, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        disposition: Option<String>,
    },
    /// The interaction waits for one of these, without an end.
    Waits {
        /// The queues that the run asked, or all agents of the account.
        targets: Vec<Target>,
    },
}

/// Rehearses the run that a customer's message at `context.now` would start. It ends because a run enters a limited
/// number of steps, and after the last one nothing has a deadline.
pub fn rehearse(rehearsal: Rehearsal<'_>, context: &Context<'_>) -> Rehearsed {
    let Rehearsal { opening, message, variables, answers, seen_at } = rehearsal;
    let mut told = Told { lines: Vec::new(), asked: BTreeSet::new(), seen_at };
    let at = context.now;
    let mut interaction = told.note(opened(opening, variables, message, at, context), None, context);
    let mut now = at;
    for _ in 0..=MOST_ENTERED {
        let Some((event, then)) = next(&interaction, answers, now) else { break };
        now = then;
        let context = Context { now, last_inbound_at: Some(at), ..*context };
        let Ok(change) = changed(&interaction, event, &context) else { break };
        interaction = told.note(change, Some(&interaction), &context);
    }
    let ending = match &interaction.wait {
        Some(wait) if interaction.is_open() => Ending::Waits { targets: wait.targets.clone() },
        _ => Ending::Closed { disposition: interaction.disposition.clone() },
    };
    Rehearsed { lines: told.lines, ending, interaction }
}

/// What happens next if nobody answers, and when; `None` if nothing does.
fn next(interaction: &Interaction, answers: &BTreeMap<usize, Vec<(VariableName, String)>>, now: Timestamp) -> Option<(Event, Timestamp)> {
    let wait = interaction.wait.as_ref().filter(|_| interaction.is_open())?;
    let given = match &wait.stage {
        Stage::Webhook { index, .. } => answers.get(index),
        _ => None,
    };
    match given {
        Some(variables) => Some((Event::WebhookAnswered { wait: wait.id, answer: Ok(variables.clone()) }, now)),
        None => Some((Event::Timer(Timer::Wait { wait: wait.id }), wait.until?)),
    }
}

/// What was told so far.
struct Told {
    lines: Vec<RunLine>,
    /// The targets whose agents were told. An account has a thousand, and a plan may ask them again and again.
    asked: BTreeSet<Target>,
    seen_at: Timestamp,
}

impl Told {
    /// Tells of a decision, and returns the interaction after it.
    fn note(&mut self, mut change: Change<'_>, before: Option<&Interaction>, context: &Context<'_>) -> Interaction {
        let mut compared = std::mem::take(&mut change.compared).into_iter();
        let decision = change.done(before);
        let steps = &context.account.plan.steps;
        let text_of = |message: &MessageId| decision.replies.iter().find(|reply| reply.id == *message).map(|reply| reply.text.clone());
        for entry in decision.history {
            let mut line = RunLine::from((entry.at, entry.fact));
            match &line.fact {
                Fact::StageSkipped { stage: Stage::Step { index, .. }, .. } => {
                    line.interval = steps.get(*index).and_then(|step| step.interval.as_ref()).map(Guard::interval).cloned();
                }
                Fact::StepDone { did: Did::GotoIf { .. }, .. } => line.compared = compared.next().unwrap_or_default(),
                Fact::StepDone { did: Did::AutoReply { message }, .. } | Fact::Replied { did: Did::AutoReply { message } } => {
                    line.text = text_of(message);
                }
                Fact::StepDone { index, did: Did::Set { .. } } => {
                    line.value = steps.get(*index).and_then(|PlanStep { step, .. }| match step {
                        Step::Set { value, .. } => Some(value.clone()),
                        _ => None,
                    });
                }
                Fact::WaitStarted { .. } => {
                    line.url = decision.effects.iter().find_map(|effect| match effect {
                        Effect::Webhook { url, .. } => Some(url.as_str().to_owned()),
                        _ => None,
                    });
                    if let Some(wait) = &decision.interaction.wait {
                        line.asked = self.asked(&decision.interaction, wait, context);
                    }
                }
                _ => {}
            }
            self.lines.push(line);
        }
        decision.interaction
    }

    /// The agents of the targets that were not asked before.
    fn asked(&mut self, interaction: &Interaction, wait: &Wait, context: &Context<'_>) -> Vec<Asked> {
        let new: Vec<&Target> = wait.targets.iter().filter(|target| self.asked.insert((*target).clone())).collect();
        let asked = new.into_iter().map(|target| {
            let queue = match target {
                Target::Queue(queue) => context.queues.get(queue),
                Target::Agent(_) | Target::Account(_) => None,
            };
            let candidates = match target {
                Target::Queue(_) => queue.map(|queue| queue.members.as_slice()).unwrap_or_default(),
                Target::Agent(agent) => std::slice::from_ref(agent),
                Target::Account(_) => &context.account.agents,
            };
            let passed_over = why_nobody(candidates, context.account, context.presences, &[], &interaction.id, self.seen_at);
            let passed: BTreeSet<&AgentId> = passed_over.iter().map(|passed| &passed.agent).collect();
            Asked {
                target: target.clone(),
                strategy: queue.map(|queue| queue.strategy),
                available: candidates.iter().filter(|agent| !passed.contains(agent)).cloned().collect(),
                notification: Notification::of(&Change::of(interaction, context).values(queue)).text,
                passed_over,
            }
        });
        asked.collect()
    }
}

#[cfg(test)]
mod tests;
