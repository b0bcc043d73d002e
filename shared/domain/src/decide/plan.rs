//! The action plan. Its steps are carried out one after the other, until one waits or closes the interaction, or
//! the plan has run out.

use std::cell::RefCell;

use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

use super::change::Change;
use super::{Compared, Context, Refusal, Reply};
use crate::effect::{Effect, Notice, Target};
use crate::history::{Did, Fact, NoReply, Skip, WaitEnd, WebhookFailure};
use crate::ids::{InteractionId, MessageId};
use crate::interaction::{LastMessage, Stage};
use crate::interval::Weekday;
use crate::language::Language;
use crate::message::Author;
use crate::notification::Values;
use crate::plan::{ActionPlan, Guard, PlanStep, Step, When};
use crate::priority::Priority;
use crate::queue::Queue;
use crate::tag::Tag;
use crate::text_template::TextTemplate;
use crate::variables::{VariableName, Variables};

/// The most steps that one run may enter: five times the longest plan. A plan that rings the same queue again and
/// again for half a minute each ends after an hour or so. From then on the interaction waits in order for an agent
/// to become available, which serves the customer just as well.
pub(super) const MOST_ENTERED: u16 = 200;

/// The most replies of one decision: more than anybody reads at once.
const MOST_REPLIES: usize = 10;

/// The most sent replies that an interaction remembers: all of the longest plan, and some of the plan before it.
const REPLIES_REMEMBERED: usize = 64;

/// How long a step waits for another system: two attempts of 5 s each, and as much again for the queues on the way.
pub(crate) const WEBHOOK_DEADLINE: SignedDuration = SignedDuration::from_secs(20);

impl Change<'_> {
    /// Takes the interaction from its agent.
    pub(super) fn unassign(&mut self) {
        if let Some(agent) = self.next.agent.take() {
            self.person_has_it();
            self.next.accepted_via = None;
            self.next.tab_open = false;
            self.fact(Fact::Unassigned { agent: agent.clone() });
            self.tell(vec![agent], Notice::INTERACTION);
        }
    }

    pub(super) fn start_plan(&mut self) {
        self.unassign();
        self.ai_stops();
        self.next.tried.clear();
        self.next.run.number = self.next.run.number.saturating_add(1);
        self.next.run.entered = 0;
        let plan = self.context.account.plan.version;
        self.fact(Fact::PlanStarted { plan });
        self.enter_step(0, plan);
    }

    /// Runs the plan from the step `index` on. After the last step, the interaction waits for an agent to become
    /// available.
    pub(super) fn enter_step(&mut self, mut index: usize, version: u64) {
        let context = self.context;
        let plan = context.running_plan.filter(|plan| plan.version == version).unwrap_or(&context.account.plan);
        // Within this decision, only these decide where the plan goes. A run that reaches the same step with the
        // same ones again would loop for ever.
        let mut been: Vec<(usize, Priority, Vec<Tag>, Variables)> = Vec::new();
        while let Some(step) = plan.steps.get(index) {
            let here = (index, self.next.priority, self.next.tags.clone(), self.next.variables.clone());
            if been.contains(&here) || self.next.run.entered >= MOST_ENTERED {
                self.fact(Fact::LoopCut { index });
                break;
            }
            been.push(here);
            self.next.run.entered += 1;
            let stage = Stage::Step { index, plan: plan.version };
            let skip = self.shut(step).or_else(|| self.gone(&step.step));
            if let Some(why) = skip {
                self.fact(Fact::StageSkipped { stage, why });
                index += 1;
                continue;
            }
            match &step.step {
                Step::Queue { queue, timeout } => {
                    if !self.next.tried.contains(queue) {
                        self.next.tried.push(queue.clone());
                    }
                    return self.begin_wait(stage, vec![Target::Queue(queue.clone())], Some(timeout.after(context.now)));
                }
                Step::Agent { agent, timeout } => {
                    return self.begin_wait(stage, vec![Target::Agent(agent.clone())], Some(timeout.after(context.now)));
                }
                Step::Webhook { url } => {
                    let until = context.now.saturating_add(WEBHOOK_DEADLINE).unwrap_or(Timestamp::MAX);
                    self.begin_wait(Stage::Webhook { index, plan: plan.version }, Vec::new(), Some(until));
                    self.effects.push(Effect::Webhook { wait: self.next.version, url: url.clone(), until });
                    return;
                }
                Step::Assistant { ai_agent } => {
                    self.fact(Fact::StepDone { index, did: Did::Assistant { ai_agent: ai_agent.clone() } });
                    self.next.ai = Some(ai_agent.clone());
                    return self.ai_begins(stage);
                }
                Step::Close { disposition } => {
                    self.fact(Fact::StepDone { index, did: Did::Close });
                    return self.close(None, disposition.clone());
                }
                step => {
                    let (did, next) = self.done_at_once(step, plan, index);
                    self.fact(Fact::StepDone { index, did });
                    index = next;
                }
            }
        }
        // A queue that was deleted meanwhile has no members.
        let tried = self.next.tried.iter().filter(|queue| context.queues.contains_key(*queue)).cloned().map(Target::Queue);
        let mut targets: Vec<Target> = tried.collect();
        if targets.is_empty() {
            targets.push(Target::Account(context.account.id.clone()));
        }
        self.begin_wait(Stage::Exhausted, targets, None);
    }

    /// Carries out a step that does not wait. Returns what it did and the next step.
    fn done_at_once(&mut self, step: &Step, plan: &ActionPlan, index: usize) -> (Did, usize) {
        // A jump without a target is refused when the plan is saved. Should there be one all the same, the plan
        // goes on.
        let place = |jump| plan.place_of(jump).unwrap_or(index + 1);
        let did = match step {
            Step::GotoIf { condition, then, otherwise } => {
                let compared = RefCell::new(Vec::new());
                let held = condition.holds(&|name| {
                    let value = self.value(name);
                    compared.borrow_mut().push(Compared { name: name.to_owned(), value: value.clone() });
                    value
                });
                self.compared.push(compared.into_inner());
                let to = if held { place(then) } else { otherwise.as_ref().map_or(index + 1, place) };
                return (Did::GotoIf { held, to }, to);
            }
            Step::Goto { to } => return (Did::Goto { to: place(to) }, place(to)),
            Step::AutoReply { text, when } => match self.reply(text, *when) {
                Ok(message) => Did::AutoReply { message },
                Err(why) => Did::NoReply { why },
            },
            Step::Tag { tag } => {
                let has = self.next.tags.contains(tag);
                let room = has || self.next.tags.len() < Tag::MOST;
                if room && !has {
                    self.next.tags.push(tag.clone());
                }
                Did::Tag { tag: tag.clone(), room }
            }
            Step::Priority { priority } => {
                self.next.priority = *priority;
                Did::Priority { priority: *priority }
            }
            Step::Set { variable, value } => Did::Set { variable: variable.clone(), room: self.next.variables.set(variable, value) },
            Step::Queue { .. }
            | Step::Agent { .. }
            | Step::Assistant { .. }
            | Step::Webhook { .. }
            | Step::Close { .. }
            | Step::Noop { .. } => Did::Noop,
        };
        (did, index + 1)
    }

    /// Why a step is skipped at this time.
    fn shut(&self, step: &PlanStep) -> Option<Skip> {
        let guard = step.interval.as_ref()?;
        let Some(interval) = self.context.intervals.get(guard.interval()) else { return Some(Skip::IntervalGone) };
        match (guard, interval.matches(self.context.now)) {
            (Guard::OnlyWithin(_), true) | (Guard::OnlyOutside(_), false) => None,
            (Guard::OnlyWithin(_), false) => Some(Skip::OutsideInterval),
            (Guard::OnlyOutside(_), true) => Some(Skip::WithinInterval),
        }
    }

    /// Why a step can't be carried out any more.
    fn gone(&self, step: &Step) -> Option<Skip> {
        match step {
            Step::Queue { queue, .. } if !self.context.queues.contains_key(queue) => Some(Skip::QueueGone),
            Step::Agent { agent, .. } if !self.of_account(agent) => Some(Skip::LeftAccount),
            Step::Assistant { .. } if self.next.answering.by_hand || self.next.answered => Some(Skip::PersonHadIt),
            Step::Assistant { .. } if self.next.answering.used_up => Some(Skip::UsedUp),
            Step::Assistant { .. } if self.next.answering.handed_over => Some(Skip::HandedOver),
            _ => None,
        }
    }

    pub(super) fn reply(&mut self, template: &TextTemplate, when: When) -> Result<MessageId, NoReply> {
        let fingerprint = template.fingerprint();
        match when {
            When::FirstMessage if self.next.run.number != 1 => return Err(NoReply::NotTheFirstMessage),
            When::Once | When::FirstMessage if self.next.run.replied.contains(&fingerprint) => return Err(NoReply::SaidAlready),
            When::Once | When::FirstMessage | When::Always => {}
        }
        if !self.window_open() {
            return Err(NoReply::WindowExpired);
        }
        if self.replies.len() >= MOST_REPLIES {
            return Err(NoReply::TooMany);
        }
        // WhatsApp accepts texts of 4096 characters.
        let text = template.render(&self.values(None).groups(), 4_096);
        if text.is_empty() {
            return Err(NoReply::Empty);
        }
        if when != When::Always {
            if self.next.run.replied.len() >= REPLIES_REMEMBERED {
                self.next.run.replied.remove(0);
            }
            self.next.run.replied.push(fingerprint);
        }
        Ok(self.say(Author::System, text))
    }

    /// Adds a message that no person wrote, after the last one in the thread. It starts no inactivity timer.
    pub(super) fn say(&mut self, author: Author, text: String) -> MessageId {
        let now = self.context.now;
        let millisecond = SignedDuration::from_millis(1);
        let behind = self.next.last_message.as_ref().and_then(|last| last.at.checked_add(millisecond).ok());
        let at = behind.map_or(now, |behind| behind.max(now));
        let id = self.message_id();
        self.next.last_message = Some(LastMessage { at, from_customer: false });
        self.effects.push(Effect::SendMessage { message: id.clone(), at });
        self.replies.push(Reply { author, id: id.clone(), at, text });
        id
    }

    /// A unique message id that a repetition of this decision arrives at again: the interaction's own random part,
    /// changed by the version and by the index among its replies.
    fn message_id(&self) -> MessageId {
        let own: Ulid = self.next.id.as_str().trim_start_matches(InteractionId::PREFIX).parse().unwrap_or_default();
        let place = u128::try_from(self.replies.len()).unwrap_or_default() & 0xff;
        let random = ((own.random() & !0xff) ^ (u128::from(self.next.version) << 8)) | place;
        MessageId::from_ulid(Ulid::from_parts(u64::try_from(self.context.now.as_millisecond()).unwrap_or_default(), random))
    }

    /// The values that templates can name.
    pub(super) fn values<'c>(&'c self, queue: Option<&'c Queue>) -> Values<'c> {
        let Context { account, list, .. } = self.context;
        Values { account, queue, list: *list, name: self.next.customer_name.as_ref(), address: &self.next.address }
    }

    /// The value of a name in a condition.
    fn value(&self, name: &str) -> String {
        if let Some(variable) = name.strip_prefix("variables.") {
            return self.next.variables.get(variable).to_owned();
        }
        let (values, account, list) = (self.values(None), self.context.account, self.context.list);
        let clock = || account.settings.time_zone.clock(self.context.now);
        let heard = self.next.run.message.as_ref();
        match name {
            "account.id" => account.id.to_string(),
            "account.key" => account.key.to_string(),
            "account.name" => account.name.clone(),
            "account.phone" => account.phone.as_str().to_owned(),
            "contact.firstName" => values.first_name().to_owned(),
            "contact.id" => self.next.contact.to_string(),
            "contact.language" => self.next.language.as_ref().map_or_else(String::new, Language::to_string),
            "contact.lastName" => values.last_name().to_owned(),
            "contact.mobile" | "contact.phone" => values.phone().to_owned(),
            "contact.name" => values.name().to_owned(),
            "interaction.id" => self.next.id.to_string(),
            "interaction.priority" => self.next.priority.get().to_string(),
            "interaction.tags" => self.next.tags.iter().map(Tag::as_str).collect::<Vec<_>>().join(","),
            "list.id" => account.list.to_string(),
            "list.name" => list.map_or_else(String::new, |list| list.name.clone()),
            "message.text" => heard.map_or_else(String::new, |heard| heard.text.clone()),
            "message.type" => heard.map_or_else(String::new, |heard| heard.kind.clone()),
            "time.date" => clock().date().to_string(),
            "time.day" => clock().day().to_string(),
            "time.hour" => clock().hour().to_string(),
            "time.minute" => clock().minute().to_string(),
            "time.month" => clock().month().to_string(),
            "time.time" => format!("{:02}:{:02}", clock().hour(), clock().minute()),
            "time.weekday" => Weekday::of(clock().date()).name().to_owned(),
            _ => String::new(),
        }
    }

    /// Handles the answer of another system: sets its variables, and lets the plan go on in any case.
    pub(super) fn webhook_answered(&mut self, id: u64, answer: Result<Vec<(VariableName, String)>, WebhookFailure>) -> Result<(), Refusal> {
        let wait = self.next.wait.as_ref().filter(|wait| wait.id == id && self.next.is_open()).ok_or(Refusal::Stale)?;
        let Stage::Webhook { index, .. } = wait.stage else { return Err(Refusal::Stale) };
        match answer {
            Ok(variables) => {
                let (mut set, mut no_room) = (Vec::new(), Vec::new());
                for (name, value) in variables {
                    if self.next.variables.set(&name, &value) { set.push(name) } else { no_room.push(name) }
                }
                self.fact(Fact::WebhookAnswered { index, set, no_room });
            }
            Err(why) => self.fact(Fact::WebhookFailed { index, why }),
        }
        self.advance(WaitEnd::Settled);
        Ok(())
    }
}
