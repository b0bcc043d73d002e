//! What a history gives to count.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Counted, Facts, Measure, Quarter};
use crate::active::Active;
use crate::decide::WRITTEN_ELSEWHERE;
use crate::effect::{Audience, Target};
use crate::history::{Fact, HistoryEntry, WaitEnd};
use crate::ids::{AgentId, QueueId};
use crate::insights::Sentiment;
use crate::interaction::Stage;

/// The facts of an interaction, by the version that they belong to. `history` is all of it, in order, with the entries
/// that messages stand for ([`whole`](crate::history::whole)). What comes later changes no facts of earlier versions.
pub fn facts(history: &[HistoryEntry]) -> BTreeMap<u64, Facts> {
    let mut fold = Fold::default();
    let mut all = BTreeMap::new();
    for decision in history.chunk_by(|one, other| one.version == other.version) {
        let Some(HistoryEntry { at, version, .. }) = decision.first() else { continue };
        fold.at = *at;
        decision.iter().for_each(|entry| fold.take(&entry.fact));
        fold.keep_active_time();
        let counted = std::mem::take(&mut fold.counted);
        if !counted.is_empty() {
            all.insert(*version, Facts { quarter: Quarter::of(*at), counted });
        }
    }
    all
}

/// Whether a decision may have facts: it begins or ends a wait, a ring or a hold, opens or closes. Messages have none,
/// but for the first answer, which `first_answer` tells.
pub fn is_counted(decision: &[HistoryEntry], first_answer: bool) -> bool {
    first_answer || decision.iter().any(|entry| counts(&entry.fact))
}

fn counts(fact: &Fact) -> bool {
    match fact {
        Fact::Opened
        | Fact::Started { .. }
        | Fact::AccountInactive
        | Fact::Offered { .. }
        | Fact::OfferMissed { .. }
        | Fact::OfferWithdrawn { .. }
        | Fact::Rejected { .. }
        | Fact::Accepted { .. }
        | Fact::Picked { .. }
        | Fact::Reassigned { .. }
        | Fact::Reopened { .. }
        | Fact::ReopenedFor { .. }
        | Fact::AgentLeft { .. }
        | Fact::Unassigned { .. }
        | Fact::Merged { .. }
        | Fact::InsightsMade { .. }
        | Fact::AiEscalated { .. }
        | Fact::Closed { .. } => true,
        Fact::WaitStarted { queue, .. } => queue.is_some(),
        // Nothing rings during this one, and it belongs to no queue.
        Fact::WaitEnded { stage, .. } => !matches!(stage, Stage::Webhook { .. }),
        Fact::NotWhitelisted
        | Fact::Blocked
        | Fact::VideoStarted { .. }
        | Fact::AiAnswered { .. }
        | Fact::AiOvertaken { .. }
        | Fact::Replied { .. }
        | Fact::CloseRequested { .. }
        | Fact::CloseForgotten { .. }
        | Fact::NoteAdded { .. }
        | Fact::Retagged { .. }
        | Fact::AiSwitched { .. }
        | Fact::LanguageChosen { .. }
        | Fact::MessageReceived { .. }
        | Fact::MessageSent { .. }
        | Fact::PlanStarted { .. }
        | Fact::StepDone { .. }
        | Fact::LoopCut { .. }
        | Fact::WebhookAnswered { .. }
        | Fact::WebhookFailed { .. }
        | Fact::StageSkipped { .. }
        | Fact::Transferred { .. }
        | Fact::Returned { .. }
        | Fact::Archived { .. }
        | Fact::TabOpened { .. }
        | Fact::TabClosed { .. }
        | Fact::Noted { .. }
        | Fact::Absorbed { .. }
        | Fact::TranscriptRequested { .. } => false,
    }
}

/// A wait for a queue.
struct Waiting {
    queue: QueueId,
    since: Timestamp,
}

/// The time in which one agent has the interaction.
struct Hold {
    agent: AgentId,
    /// The queue through which the agent accepted.
    queue: Option<QueueId>,
    since: Timestamp,
    /// Since when a disposition is owed.
    wrapping_up: Option<Timestamp>,
    /// Milliseconds of wrap-up that have ended.
    wrapped_up: u64,
}

/// What happened up to a decision.
#[derive(Default)]
struct Fold {
    at: Timestamp,
    /// Whether the customer has written since the interaction was opened, or opened again.
    wrote: bool,
    /// Whether anybody has had it since then.
    had: bool,
    /// Whether it ends otherwise than by a close of its own: merged, or refused by the whitelist.
    turned_away: bool,
    /// The arrival of the opening message, until a person has answered.
    opened_at: Option<Timestamp>,
    waiting: Option<Waiting>,
    /// The agents at whom it rings, and the queue for which.
    ringing: BTreeSet<AgentId>,
    rings_for: Option<QueueId>,
    hold: Option<Hold>,
    active: Active,
    /// The agent to whom the active time belongs.
    active_of: Option<AgentId>,
    /// Whether a message waits for an answer.
    unanswered: bool,
    /// Messages since the last hold ended.
    from_customer: u64,
    from_agents: u64,
    /// How the interaction was closed, until insights are made.
    closed: Option<Counted>,
    counted: Vec<Counted>,
}

impl Fold {
    fn take(&mut self, fact: &Fact) {
        match fact {
            Fact::Opened => {
                self.count(Measure::Opened);
                self.opened_at = Some(self.at);
            }
            Fact::Started { agent, .. } => {
                self.push(Counted { agent: Some(agent.clone()), ..counted(Measure::Started, 1) });
                self.from_agents += 1;
                self.had_by(agent, None);
            }
            Fact::MessageReceived { .. } => {
                self.wrote = true;
                self.unanswered = true;
                self.from_customer += 1;
            }
            Fact::MessageSent { agent, .. } => self.answered_by(agent),
            Fact::Absorbed { unanswered, answered, .. } => {
                self.unanswered |= unanswered;
                if *answered {
                    // The customer was answered there, which counts there.
                    self.opened_at = None;
                }
            }
            Fact::NotWhitelisted | Fact::Blocked => self.turned_away = true,
            // Whom an AI agent answered was not abandoned, and waits for nobody.
            Fact::AiAnswered { .. } => {
                self.had = true;
                self.unanswered = false;
            }
            Fact::WaitStarted { queue, .. } => {
                self.wait_ends(Measure::FlowedOut);
                if let Some(queue) = queue {
                    self.push(Counted { queue: Some(queue.clone()), ..counted(Measure::Queued, 1) });
                    self.waiting = Some(Waiting { queue: queue.clone(), since: self.at });
                }
            }
            Fact::WaitEnded { why, .. } => {
                match why {
                    // An agent who opens the tab takes the offer.
                    WaitEnd::TabOpened => {
                        let own = self.hold.as_ref().map(|hold| hold.agent.clone());
                        if let Some(agent) = own.filter(|agent| self.ringing.contains(agent)) {
                            self.ring_ends(&agent, Measure::Accepted);
                        }
                    }
                    WaitEnd::TimedOut => self.rings_end(Measure::Missed),
                    WaitEnd::EverybodyRejected | WaitEnd::NewMessage | WaitEnd::AccountActivated | WaitEnd::Settled => {}
                }
                self.rings_end(Measure::Withdrawn);
                self.wait_ends(Measure::FlowedOut);
            }
            Fact::Offered { target, audience, rung, .. } => {
                self.rings_end(Measure::Withdrawn);
                self.rings_for = match target {
                    Target::Queue(queue) => Some(queue.clone()),
                    Target::Agent(_) | Target::Account(_) => None,
                };
                let agents = match audience {
                    Audience::Agents(agents) => agents,
                    Audience::Members { .. } => rung,
                };
                agents.iter().for_each(|agent| self.rings_at(agent));
            }
            Fact::OfferMissed { .. } => self.rings_end(Measure::Missed),
            Fact::OfferWithdrawn { .. } | Fact::AccountInactive => self.rings_end(Measure::Withdrawn),
            Fact::Rejected { agent } => self.ring_ends(agent, Measure::Rejected),
            Fact::Accepted { agent, queue, .. } => {
                self.ring_ends(agent, Measure::Accepted);
                self.found(agent, queue.clone());
            }
            Fact::Picked { agent } => {
                if self.ringing.contains(agent) {
                    self.ring_ends(agent, Measure::Accepted);
                }
                self.found(agent, None);
            }
            Fact::Reassigned { to, .. } => self.found(to, None),
            Fact::CloseRequested { .. } => {
                if let Some(hold) = &mut self.hold {
                    hold.wrapping_up = Some(self.at);
                }
            }
            Fact::CloseForgotten { .. } | Fact::Transferred { .. } => {
                if let Some(hold) = &mut self.hold {
                    hold.end_wrap_up(self.at);
                }
            }
            Fact::AgentLeft { .. } => {
                self.rings_end(Measure::Withdrawn);
                self.wait_ends(Measure::FlowedOut);
            }
            Fact::Unassigned { .. } => self.hold_ends(None),
            Fact::Reopened { agent } => {
                self.begins_anew();
                self.had_by(agent, None);
            }
            Fact::ReopenedFor { to, .. } => {
                self.begins_anew();
                if let Some(agent) = to {
                    self.had_by(agent, None);
                }
            }
            Fact::Merged { .. } => {
                self.turned_away = true;
                self.rings_end(Measure::Withdrawn);
                self.wait_ends(Measure::FlowedOut);
            }
            Fact::Closed { disposition, .. } if self.is_aside(disposition.as_deref()) => {
                self.counted.clear();
                self.opened_at = None;
            }
            Fact::Closed { disposition, .. } => self.closed(disposition.as_ref()),
            Fact::AiEscalated { ai_agent, .. } => {
                self.push(Counted { ai_agent: Some(ai_agent.clone()), ..counted(Measure::AiEscalated, 1) });
            }
            Fact::InsightsMade { sentiment, .. } => {
                // Those that are made later, or while the conversation goes on, are no interaction more.
                if let Some(closed) = self.closed.take() {
                    let measure = match sentiment {
                        Sentiment::Positive => Measure::Positive,
                        Sentiment::Neutral => Measure::Neutral,
                        Sentiment::Negative => Measure::Negative,
                        Sentiment::Mixed => Measure::Mixed,
                    };
                    self.push(Counted { measure, ..closed });
                }
            }
            Fact::Replied { .. }
            | Fact::NoteAdded { .. }
            | Fact::Retagged { .. }
            | Fact::AiSwitched { .. }
            | Fact::LanguageChosen { .. }
            | Fact::PlanStarted { .. }
            | Fact::StepDone { .. }
            | Fact::LoopCut { .. }
            | Fact::WebhookAnswered { .. }
            | Fact::WebhookFailed { .. }
            | Fact::StageSkipped { .. }
            | Fact::Returned { .. }
            | Fact::Archived { .. }
            | Fact::VideoStarted { .. }
            | Fact::AiOvertaken { .. }
            | Fact::TabOpened { .. }
            | Fact::TabClosed { .. }
            | Fact::Noted { .. }
            | Fact::TranscriptRequested { .. } => {}
        }
    }

    /// Whether it was closed from the beginning, for a message that was written elsewhere. That is no conversation.
    fn is_aside(&self, disposition: Option<&str>) -> bool {
        disposition == Some(WRITTEN_ELSEWHERE) && !self.wrote && self.opened_at == Some(self.at)
    }

    fn push(&mut self, counted: Counted) {
        self.counted.push(counted);
    }

    fn count(&mut self, measure: Measure) {
        self.push(counted(measure, 1));
    }

    fn since(&self, then: Timestamp) -> u64 {
        milliseconds(then, self.at)
    }

    fn answered_by(&mut self, agent: &AgentId) {
        self.from_agents += 1;
        self.unanswered = false;
        self.active.answered(self.at);
        if let Some(opened_at) = self.opened_at.take() {
            let queue = self.hold.as_ref().and_then(|hold| hold.queue.clone());
            let waited = counted(Measure::FirstResponse, self.since(opened_at));
            self.push(Counted { queue, agent: Some(agent.clone()), ..waited });
        }
    }

    fn wait_ends(&mut self, measure: Measure) {
        if let Some(Waiting { queue, since }) = self.waiting.take() {
            self.push(Counted { queue: Some(queue), ..counted(measure, self.since(since)) });
        }
    }

    fn rings_at(&mut self, agent: &AgentId) {
        if self.ringing.insert(agent.clone()) {
            self.push(Counted { queue: self.rings_for.clone(), agent: Some(agent.clone()), ..counted(Measure::Offered, 1) });
        }
    }

    /// An agent who came to a queue that rings all members at once was not named when the offer was made, and yet
    /// answers it.
    fn ring_ends(&mut self, agent: &AgentId, measure: Measure) {
        self.rings_at(agent);
        self.ringing.remove(agent);
        self.push(Counted { queue: self.rings_for.clone(), agent: Some(agent.clone()), ..counted(measure, 1) });
    }

    fn rings_end(&mut self, measure: Measure) {
        for agent in self.ringing.clone() {
            self.ring_ends(&agent, measure);
        }
    }

    /// The wait found an agent.
    fn found(&mut self, agent: &AgentId, queue: Option<QueueId>) {
        self.rings_end(Measure::Withdrawn);
        self.wait_ends(Measure::Answered);
        self.had_by(agent, queue);
    }

    /// Whoever has it already goes on with it, and keeps the queue that it once came through.
    fn had_by(&mut self, agent: &AgentId, queue: Option<QueueId>) {
        self.had = true;
        match &mut self.hold {
            Some(hold) if hold.agent == *agent => {
                if queue.is_some() {
                    hold.queue = queue;
                }
            }
            _ => {
                self.hold_ends(None);
                let agent = agent.clone();
                self.hold = Some(Hold { agent, queue, since: self.at, wrapping_up: None, wrapped_up: 0 });
            }
        }
    }

    fn hold_ends(&mut self, disposition: Option<&String>) {
        let Some(mut hold) = self.hold.take() else { return };
        hold.end_wrap_up(self.at);
        let total = self.since(hold.since);
        // What is owed now is not answered any more.
        let active = std::mem::take(&mut self.active).held;
        self.active_of = None;
        let of_hold =
            Counted { queue: hold.queue, agent: Some(hold.agent), disposition: disposition.cloned(), ..counted(Measure::Handled, total) };
        for (measure, value) in [(Measure::WrapUp, hold.wrapped_up), (Measure::Active, active)] {
            if value > 0 {
                self.push(Counted { measure, value, ..of_hold.clone() });
            }
        }
        self.messages_of(&of_hold);
        self.push(of_hold);
    }

    fn messages_of(&mut self, of: &Counted) {
        let messages = [
            (Measure::CustomerMessages, std::mem::take(&mut self.from_customer)),
            (Measure::AgentMessages, std::mem::take(&mut self.from_agents)),
        ];
        for (measure, value) in messages {
            if value > 0 {
                self.push(Counted { measure, value, ..of.clone() });
            }
        }
    }

    fn closed(&mut self, disposition: Option<&String>) {
        self.rings_end(Measure::Withdrawn);
        self.wait_ends(Measure::AbandonedInQueue);
        let (agent, queue) = self.hold.as_ref().map(|hold| (hold.agent.clone(), hold.queue.clone())).unzip();
        let closed = Counted { queue: queue.flatten(), agent, disposition: disposition.cloned(), ..counted(Measure::Closed, 1) };
        self.hold_ends(disposition);
        // Without a hold they belong to nobody.
        self.messages_of(&closed);
        self.closed = Some(closed.clone());
        self.push(closed);
        if self.wrote && !self.had && !self.turned_away {
            self.count(Measure::Abandoned);
        }
        self.unanswered = false;
    }

    fn begins_anew(&mut self) {
        self.count(Measure::Reopened);
        (self.wrote, self.had, self.turned_away, self.opened_at) = (false, false, false, None);
        self.closed = None;
    }

    /// As [`Active`] is kept in the interaction itself, at the end of each decision.
    fn keep_active_time(&mut self) {
        let holder = self.hold.as_ref().map(|hold| hold.agent.clone());
        if holder != self.active_of {
            self.active.passed_on();
            self.active.ended = 0;
            self.active_of.clone_from(&holder);
        }
        self.active.owed(holder.is_some() && self.unanswered, self.at);
    }
}

impl Hold {
    fn end_wrap_up(&mut self, at: Timestamp) {
        if let Some(since) = self.wrapping_up.take() {
            self.wrapped_up += milliseconds(since, at);
        }
    }
}

fn counted(measure: Measure, value: u64) -> Counted {
    Counted::of(measure, value)
}

fn milliseconds(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or_default()
}
