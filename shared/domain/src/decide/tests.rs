use std::collections::BTreeSet;

use proptest::prelude::*;
use ulid::Ulid;

use super::*;
use crate::account::Minutes;
use crate::agent::Capacity;
use crate::agent::PresenceState;
use crate::effect::{Audience, Notice, Target, Timer};
use crate::fixtures;
use crate::footprint::{Footprint, footprint, holder, occupied};
use crate::history::NotOffered;
use crate::ids::{ContactId, InteractionId, PauseId};
use crate::insights::{InsightsSettings, Sentiment, Summary};
use crate::interaction::{Inactivity, Stage, Status};
use crate::note::NoteKind;
use crate::plan::{PlanStep, Step, WebhookUrl, When};
use crate::queue::{Strategy as Ringing, Weight};
use crate::report::Measure;
use crate::text_template::TextTemplate;
use crate::values::{Address, E164, Seconds};

const START: Timestamp = Timestamp::UNIX_EPOCH;

fn agent(number: u64) -> AgentId {
    AgentId::from_ulid(Ulid::from_parts(0, number.into()))
}

fn message(number: u64) -> MessageId {
    MessageId::from_ulid(Ulid::from_parts(0, number.into()))
}

fn seconds(seconds: i64) -> Seconds {
    Seconds::new(seconds).unwrap()
}

fn after(start: Timestamp, seconds: i64) -> Timestamp {
    start + SignedDuration::from_secs(seconds)
}

/// Whether the decision sends a message.
fn sends(decision: &Decision) -> bool {
    decision.effects.iter().any(|effect| matches!(effect, Effect::SendMessage { .. }))
}

fn address() -> Address {
    Address::Phone(E164::parse("+393330000001").unwrap())
}

/// One account with three agents, a queue of the first two, and a plan: the queue for 30 s, then the third agent
/// for 20 s.
struct Desk {
    account: Account,
    queues: BTreeMap<QueueId, Queue>,
    intervals: BTreeMap<IntervalId, Interval>,
    heard: Option<Content>,
    dispositions: Vec<String>,
    pause: Option<Pause>,
    queue: QueueId,
    presences: BTreeMap<AgentId, Presence>,
    last_inbound_at: Option<Timestamp>,
    now: Timestamp,
}

impl Desk {
    fn new() -> Self {
        let queue = QueueId::from_ulid(Ulid::from_parts(0, 1));
        let members = vec![agent(1), agent(2)];
        let known = Queue {
            id: queue.clone(),
            name: "Sales".into(),
            strategy: Ringing::Beepall,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            service_level: crate::report::ServiceLevel::default(),
            members,
        };
        let steps = vec![Step::Queue { queue: queue.clone(), timeout: seconds(30) }, Step::Agent { agent: agent(3), timeout: seconds(20) }];
        let account = Account {
            agents: vec![agent(1), agent(2), agent(3)],
            plan: ActionPlan { version: 1, steps: steps.into_iter().map(PlanStep::from).collect() },
            ..fixtures::account()
        };
        let mut presence = Presence::logged_out(agent(1), Capacity::default(), START);
        presence.chosen = PresenceState::Ready;
        Self {
            account,
            queues: BTreeMap::from([(queue.clone(), known)]),
            intervals: BTreeMap::new(),
            heard: None,
            dispositions: Vec::new(),
            pause: None,
            queue,
            presences: BTreeMap::from([(agent(1), presence)]),
            last_inbound_at: Some(START),
            now: START,
        }
    }

    fn context(&self) -> Context<'_> {
        Context {
            account: &self.account,
            running_plan: None,
            queues: &self.queues,
            intervals: &self.intervals,
            list: None,
            dispositions: &self.dispositions,
            pause: self.pause.as_ref(),
            heard: self.heard.as_ref(),
            presences: &self.presences,
            passed_over: &[],
            last_inbound_at: self.last_inbound_at,
            now: self.now,
        }
    }

    /// The presence of the first agent.
    fn presence(&mut self) -> &mut Presence {
        self.presences.get_mut(&agent(1)).unwrap()
    }

    fn open(&self) -> Decision {
        let opening = Opening {
            id: InteractionId::from_ulid(Ulid::nil()),
            contact: ContactId::from_ulid(Ulid::nil()),
            address: address(),
            name: CustomerName::default(),
            welcome: Welcome::Served,
        };
        open(opening, message(1), self.now, &self.context())
    }

    fn decide(&self, interaction: &Interaction, event: Event) -> Result<Decision, Refusal> {
        decide(interaction, event, &self.context())
    }

    /// Rings as `assign` does for a `beepall` queue.
    fn ring(&self, interaction: &Interaction) -> Interaction {
        let audience = Audience::Members { queue: self.queue.clone(), except: Vec::new() };
        let wait = interaction.wait.as_ref().unwrap();
        let ring = Ring {
            wait: wait.id,
            target: Target::Queue(self.queue.clone()),
            audience,
            until: wait.until,
            rung: Vec::new(),
            passed_over: Vec::new(),
        };
        self.decide(interaction, Event::Ring(ring)).unwrap().interaction
    }

    /// An interaction that the first agent has accepted through the queue.
    fn accepted(&self) -> Interaction {
        self.decide(&self.ring(&self.open().interaction), Event::Accept { agent: agent(1) }).unwrap().interaction
    }

    /// An accepted interaction whose tab was closed.
    fn away(&self) -> Interaction {
        self.decide(&self.accepted(), Event::CloseTab { agent: agent(1) }).unwrap().interaction
    }

    fn receive(&self, interaction: &Interaction) -> Decision {
        self.decide(interaction, Event::MessageReceived { message: message(2), at: self.now, from: address(), name: None }).unwrap()
    }
}

fn wakes(decision: &Decision) -> Vec<Target> {
    let targets = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Wake { target } => Some(target.clone()),
        _ => None,
    });
    targets.collect()
}

fn timers(decision: &Decision) -> Vec<(Timestamp, Timer)> {
    let timers = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Timer { at, timer } => Some((*at, timer.clone())),
        _ => None,
    });
    timers.collect()
}

#[test]
fn an_interaction_tells_since_when_its_agent_has_it() {
    let mut desk = Desk::new();
    assert_eq!(desk.open().interaction.assigned_at, None);
    let accepted = desk.accepted();
    assert_eq!((accepted.agent.as_ref(), accepted.assigned_at), (Some(&agent(1)), Some(START)));
    desk.now = after(START, 60);
    // Neither a message nor the own tab changes that; another agent does.
    let away = desk.decide(&accepted, Event::CloseTab { agent: agent(1) }).unwrap().interaction;
    assert_eq!(desk.receive(&away).interaction.assigned_at, Some(START));
    let given = desk.decide(&away, Event::Reassign { by: agent(3), to: agent(2) }).unwrap().interaction;
    assert_eq!((given.agent.as_ref(), given.assigned_at), (Some(&agent(2)), Some(desk.now)));
    // It stays with whoever had it at the close. Reopened, it begins anew.
    let closed = desk.decide(&accepted, Event::Close { agent: agent(1), disposition: None }).unwrap().interaction;
    assert_eq!((closed.agent.as_ref(), closed.assigned_at), (Some(&agent(1)), Some(START)));
    let reopened = desk.decide(&closed, Event::Reopen { agent: agent(1) }).unwrap().interaction;
    assert_eq!(reopened.assigned_at, Some(desk.now));
    // Without an agent there is nothing to tell.
    desk.account.agents.retain(|member| *member != agent(1));
    let left = desk.decide(&accepted, Event::AgentLeft { agent: agent(1) }).unwrap().interaction;
    assert_eq!((left.agent, left.assigned_at), (None, None));
}

#[test]
fn the_first_message_starts_the_plan_and_wakes_its_first_queue() {
    let desk = Desk::new();
    let opened = desk.open();
    let interaction = &opened.interaction;
    assert_eq!((interaction.version, interaction.unread, interaction.unanswered_since), (1, true, Some(START)));
    assert_eq!(interaction.wait.as_ref().unwrap().stage, Stage::Step { index: 0, plan: 1 });
    assert_eq!(interaction.tried, std::slice::from_ref(&desk.queue));
    assert_eq!(wakes(&opened), [Target::Queue(desk.queue.clone())]);
    assert_eq!(timers(&opened), [(after(START, 30), Timer::Wait { wait: 1 })]);
    assert!(opened.history.iter().all(|entry| entry.version == 1));
}

#[test]
fn after_the_last_step_an_interaction_waits_without_end_for_the_queues_that_were_tried() {
    let mut desk = Desk::new();
    let first = desk.open().interaction;
    desk.now = after(START, 30);
    let second = desk.decide(&first, Event::Timer(Timer::Wait { wait: 1 })).unwrap().interaction;
    assert_eq!(second.wait.as_ref().unwrap().targets, [Target::Agent(agent(3))]);
    desk.now = after(START, 50);
    let last = desk.decide(&second, Event::Timer(Timer::Wait { wait: 2 })).unwrap();
    let wait = last.interaction.wait.as_ref().unwrap();
    assert_eq!((&wait.stage, wait.until, &wait.targets), (&Stage::Exhausted, None, &vec![Target::Queue(desk.queue.clone())]));
    assert!(timers(&last).is_empty() && last.interaction.unread);
}

#[test]
fn a_ring_is_for_one_wait_one_target_and_one_offer_at_a_time() {
    let mut desk = Desk::new();
    let opened = desk.open().interaction;
    let audience = Audience::Agents(vec![agent(1)]);
    let ring = |wait, target| {
        Event::Ring(Ring { wait, target, audience: audience.clone(), until: Some(after(START, 15)), rung: vec![], passed_over: vec![] })
    };
    let queue = || Target::Queue(desk.queue.clone());
    assert_eq!(desk.decide(&opened, ring(0, queue())), Err(Refusal::Stale));
    assert_eq!(desk.decide(&opened, ring(1, Target::Agent(agent(1)))), Err(Refusal::Stale));
    let rung = desk.decide(&opened, ring(1, queue())).unwrap();
    assert_eq!(timers(&rung), [(after(START, 15), Timer::Offer { offer: 2 })]);
    assert_eq!(desk.decide(&rung.interaction, ring(1, queue())), Err(Refusal::Stale));
    let late = ring(1, queue());
    desk.now = after(START, 30);
    assert_eq!(desk.decide(&opened, late), Err(Refusal::Stale), "the wait is over, its timer is on its way");
}

#[test]
fn a_ring_never_lasts_longer_than_its_wait() {
    let desk = Desk::new();
    let opened = desk.open().interaction;
    let ring = Ring {
        wait: 1,
        target: Target::Queue(desk.queue.clone()),
        audience: Audience::Agents(vec![agent(1)]),
        until: Some(after(START, 99)),
        rung: Vec::new(),
        passed_over: Vec::new(),
    };
    let rung = desk.decide(&opened, Event::Ring(ring)).unwrap();
    assert_eq!(rung.interaction.offer().unwrap().until, Some(after(START, 30)));
    assert!(timers(&rung).is_empty(), "the timer of the wait ends it");
}

#[test]
fn a_timer_knows_its_wait_and_its_time() {
    let mut desk = Desk::new();
    let opened = desk.open().interaction;
    let timer = |wait| Event::Timer(Timer::Wait { wait });
    desk.now = after(START, 29);
    assert_eq!(desk.decide(&opened, timer(1)), Err(Refusal::Early(after(START, 30))));
    desk.now = after(START, 30);
    assert_eq!(desk.decide(&opened, timer(0)), Err(Refusal::Stale));
    let next = desk.decide(&opened, timer(1)).unwrap().interaction;
    assert_eq!(desk.decide(&next, timer(1)), Err(Refusal::Stale));
    assert_eq!(desk.decide(&opened, Event::Timer(Timer::Offer { offer: 1 })), Err(Refusal::Stale));
}

#[test]
fn accepting_takes_a_slot_and_closing_wakes_its_agent() {
    let desk = Desk::new();
    let accepted = desk.accepted();
    assert_eq!(footprint(&accepted), Footprint { open: true, holder: Some(agent(1)), ..Footprint::default() });
    let closed = desk.decide(&accepted, Event::Close { agent: agent(1), disposition: None }).unwrap();
    assert_eq!(footprint(&closed.interaction), Footprint::default());
    assert_eq!(wakes(&closed), [Target::Agent(agent(1))]);
    assert!(closed.effects.contains(&Effect::Archive));
    assert_eq!(closed.interaction.agent, Some(agent(1)), "its last agent is remembered");
}

#[test]
fn an_offer_to_one_agent_takes_a_slot_until_it_ends_and_its_end_wakes_that_agent() {
    let mut desk = Desk::new();
    let opened = desk.open().interaction;
    let until = after(START, 15);
    let ring = Ring {
        wait: 1,
        target: Target::Queue(desk.queue.clone()),
        audience: Audience::Agents(vec![agent(2)]),
        until: Some(until),
        rung: Vec::new(),
        passed_over: Vec::new(),
    };
    let rung = desk.decide(&opened, Event::Ring(ring)).unwrap().interaction;
    assert_eq!(footprint(&rung).ringing, Some((agent(2), until)));
    desk.now = until;
    let missed = desk.decide(&rung, Event::Timer(Timer::Offer { offer: 2 })).unwrap();
    assert_eq!(footprint(&missed.interaction).ringing, None);
    assert_eq!(wakes(&missed), [Target::Queue(desk.queue.clone()), Target::Agent(agent(2))]);
}

#[test]
fn an_offer_to_all_makes_room_for_the_next_when_somebody_accepts() {
    let desk = Desk::new();
    let rung = desk.ring(&desk.open().interaction);
    let accepted = desk.decide(&rung, Event::Accept { agent: agent(1) }).unwrap();
    assert_eq!(wakes(&accepted), [Target::Queue(desk.queue.clone())]);
    let except = vec![agent(1)];
    let withdrawn = Effect::Push {
        to: Audience::Members { queue: desk.queue.clone(), except },
        notice: Notice::Withdrawn { offer: 2, taken_by: Some(agent(1)) },
    };
    assert!(accepted.effects.contains(&withdrawn));
}

#[test]
fn the_wait_for_its_agent_rings_there_without_a_row_or_a_second_slot() {
    let desk = Desk::new();
    let waiting = desk.receive(&desk.away());
    let wait = waiting.interaction.wait.as_ref().unwrap();
    assert_eq!((&wait.stage, wait.until), (&Stage::AssignedAgent, Some(after(START, 10))));
    assert_eq!(waiting.interaction.offer().unwrap().audience, Audience::Agents(vec![agent(1)]));
    assert_eq!(footprint(&waiting.interaction), Footprint { open: true, holder: Some(agent(1)), ..Footprint::default() });
    assert!(wakes(&waiting).is_empty());
}

#[test]
fn the_agent_keeps_the_slot_until_the_plan_restarts() {
    let mut desk = Desk::new();
    let waiting = desk.receive(&desk.away()).interaction;
    desk.now = after(START, 10);
    let queue = desk.decide(&waiting, Event::Timer(Timer::Wait { wait: waiting.version })).unwrap().interaction;
    assert_eq!((queue.wait.as_ref().map(|wait| &wait.stage), &queue.agent), (Some(&Stage::AssignedQueue), &Some(agent(1))));
    desk.now = after(START, 20);
    let plan = desk.decide(&queue, Event::Timer(Timer::Wait { wait: queue.version })).unwrap();
    assert_eq!((plan.interaction.agent.as_ref(), &plan.interaction.accepted_via), (None, &None));
    assert!(wakes(&plan).contains(&Target::Agent(agent(1))));
    assert!(plan.history.iter().any(|entry| entry.fact == Fact::Unassigned { agent: agent(1) }));
}

/// What a decision notifies agents of.
fn notes(decision: &Decision) -> Vec<(Vec<AgentId>, NoteKind)> {
    let notes = decision.effects.iter().filter_map(|effect| match effect {
        Effect::Push { to: Audience::Agents(agents), notice: Notice::Interaction { note: Some(kind) } } => Some((agents.clone(), *kind)),
        _ => None,
    });
    notes.collect()
}

#[test]
fn an_agent_is_notified_of_the_first_message_that_was_not_seen_and_of_no_other() {
    let mut desk = Desk::new();
    assert_eq!(notes(&desk.open()), [], "it is nobody's");
    assert_eq!(notes(&desk.receive(&desk.accepted())), [], "the thread is open");
    let first = desk.receive(&desk.away());
    assert_eq!(notes(&first), [(vec![agent(1)], NoteKind::NewMessages)]);
    assert_eq!(notes(&desk.receive(&first.interaction)), []);
    // It is one push with the change of the name and of the address, not another.
    let (from, name) = (Address::Phone(E164::parse("+393330000009").unwrap()), CustomerName { name: None, kept: true });
    desk.now = after(START, 5);
    let renamed = Event::MessageReceived { message: message(3), at: desk.now, from, name: Some(name) };
    let decision = desk.decide(&desk.away(), renamed).unwrap();
    let pushes = decision.effects.iter().filter(|effect| matches!(effect, Effect::Push { notice: Notice::Interaction { .. }, .. }));
    assert_eq!((pushes.count(), notes(&decision).len()), (1, 1));
    // Read, and away again.
    let read = desk.decide(&first.interaction, Event::OpenTab { agent: agent(1) }).unwrap();
    assert_eq!(notes(&read), []);
    let away = desk.decide(&read.interaction, Event::CloseTab { agent: agent(1) }).unwrap().interaction;
    assert_eq!(notes(&desk.receive(&away)).len(), 1);
}

#[test]
fn an_agent_is_notified_of_a_transfer_that_nobody_accepted() {
    let desk = Desk::new();
    let transfer = Event::Transfer { agent: agent(1), to: Target::Agent(agent(3)) };
    let handed = desk.decide(&desk.accepted(), transfer).unwrap();
    assert_eq!(notes(&handed), []);
    let wait = handed.interaction.wait.as_ref().unwrap().id;
    let over = Desk { now: after(START, 30), ..desk }.decide(&handed.interaction, Event::Timer(Timer::Wait { wait })).unwrap();
    assert_eq!(notes(&over), [(vec![agent(1)], NoteKind::TransferReturned)]);
}

#[test]
fn an_absent_agent_can_still_be_reached_within_the_wait() {
    let mut desk = Desk::new();
    let away = desk.away();
    desk.presence().chosen = PresenceState::LoggedOut;
    let waiting = desk.receive(&away).interaction;
    assert_eq!(desk.decide(&waiting, Event::AgentUnavailable { agent: agent(1) }), Err(Refusal::Stale), "the offer stands");
    assert_eq!(desk.decide(&waiting, Event::Accept { agent: agent(1) }), Err(Refusal::NotReady));
    desk.presence().chosen = PresenceState::Paused { reason: "lunch".into() };
    assert!(desk.decide(&waiting, Event::Accept { agent: agent(1) }).is_ok());
}

#[test]
fn a_free_text_needs_a_customers_message_of_the_last_24_hours() {
    let mut desk = Desk::new();
    let accepted = desk.accepted();
    let send = || Event::MessageSent { agent: agent(1), message: message(9), template: false };
    desk.now = START + SERVICE_WINDOW - SignedDuration::from_secs(1);
    let sent = desk.decide(&accepted, send()).unwrap();
    assert!(sends(&sent));
    assert_eq!(sent.interaction.unanswered_since, None);
    desk.now = START + SERVICE_WINDOW;
    assert_eq!(desk.decide(&accepted, send()), Err(Refusal::WindowExpired));
    desk.last_inbound_at = None;
    assert_eq!(desk.decide(&accepted, send()), Err(Refusal::WindowExpired));
    // An approved template needs no such message.
    let template = Event::MessageSent { agent: agent(1), message: message(9), template: true };
    assert!(sends(&desk.decide(&accepted, template.clone()).unwrap()));
    assert_eq!(desk.decide(&Interaction { agent: None, ..accepted }, template), Err(Refusal::NotYours { owner: None }));
}

#[test]
fn the_inactivity_timer_moves_with_the_last_answer_and_stops_for_the_customer() {
    let mut desk = Desk::new();
    desk.account.settings.inactivity_timeout = Some(Minutes::new(1).unwrap());
    let send = |desk: &Desk, interaction: &Interaction| {
        desk.decide(interaction, Event::MessageSent { agent: agent(1), message: message(9), template: false }).unwrap()
    };
    let fire = |desk: &Desk, interaction: &Interaction| {
        let armed = interaction.inactivity.armed.unwrap();
        desk.decide(interaction, Event::Timer(Timer::Inactivity { armed })).unwrap()
    };
    let first = send(&desk, &desk.accepted());
    assert_eq!(timers(&first).len(), 1);
    desk.now = after(START, 30);
    let second = send(&desk, &first.interaction);
    assert!(timers(&second).is_empty(), "one timer for each interaction");
    desk.now = after(START, 60);
    let again = fire(&desk, &second.interaction);
    assert_eq!(timers(&again)[0].0, after(START, 90));
    let answered = desk.receive(&again.interaction).interaction;
    desk.now = after(START, 90);
    let stopped = fire(&desk, &answered).interaction;
    assert!(stopped.is_open() && stopped.inactivity == Inactivity::default());
    let closed = fire(&desk, &again.interaction).interaction;
    assert_eq!((closed.status, closed.disposition.as_deref()), (Status::Closed, Some(CLOSED_FOR_INACTIVITY)));
}

#[test]
fn a_reply_to_the_first_message_goes_to_no_later_one_also_where_an_agent_wrote_first() {
    let mut desk = Desk::new();
    let reply = Step::AutoReply { text: TextTemplate::parse("Good morning").unwrap(), when: When::FirstMessage };
    desk.account.plan.steps.insert(0, reply.into());
    let opening = Opening {
        id: InteractionId::from_ulid(Ulid::nil()),
        contact: ContactId::from_ulid(Ulid::nil()),
        address: address(),
        name: CustomerName::default(),
        welcome: Welcome::Served,
    };
    let started = start(opening, agent(1), message(9), &desk.context()).unwrap().interaction;
    let close_tab = |desk: &Desk, open: &Interaction| desk.decide(open, Event::CloseTab { agent: agent(1) }).unwrap().interaction;
    // Nobody accepts, so the plan runs.
    let run = |desk: &mut Desk, waiting: &Decision| {
        let (at, timer) = timers(waiting).pop().unwrap();
        desk.now = at;
        let run = desk.decide(&waiting.interaction, Event::Timer(timer)).unwrap();
        assert!(run.history.iter().any(|entry| matches!(entry.fact, Fact::PlanStarted { .. })));
        run.replies.len()
    };
    let unseen = desk.receive(&close_tab(&desk, &started));
    assert_eq!(run(&mut desk, &unseen), 1, "the first message");
    desk.now = START;
    let seen = desk.receive(&started).interaction;
    let unseen = desk.receive(&close_tab(&desk, &seen));
    assert_eq!(run(&mut desk, &unseen), 0, "the second message");
    // A message that comes while the first one waits is answered with it.
    desk.now = START;
    let mut waiting = desk.receive(&close_tab(&desk, &started));
    waiting.interaction = desk.receive(&waiting.interaction).interaction;
    assert_eq!(run(&mut desk, &waiting), 1);
}

#[test]
fn the_open_interactions_of_a_leaving_account_are_closed_by_the_system_whatever_is_mandatory() {
    let mut desk = Desk::new();
    desk.account.settings.mandatory_disposition = true;
    for open in [desk.open().interaction, desk.accepted()] {
        let decision = desk.decide(&open, Event::AccountLeaves).unwrap();
        let closed = &decision.interaction;
        assert_eq!((closed.status, closed.disposition.as_deref(), &closed.wait), (Status::Closed, Some(ACCOUNT_DELETED), &None));
        let fact = Fact::Closed { agent: None, disposition: Some(ACCOUNT_DELETED.to_owned()) };
        assert!(decision.history.iter().any(|entry| entry.fact == fact));
        assert!(decision.effects.contains(&Effect::Archive));
    }
}

#[test]
fn messages_are_counted_until_their_agent_sees_them() {
    let desk = Desk::new();
    let count = |decision: &Decision| decision.interaction.unread_count;
    let opened = desk.open();
    let again = desk.receive(&opened.interaction);
    assert_eq!((count(&opened), count(&again)), (1, 2), "nobody has it yet");
    let accepted = desk.accepted();
    assert_eq!((accepted.unread_count, count(&desk.receive(&accepted))), (0, 0), "its tab is open");
    let waits = desk.receive(&desk.receive(&desk.away()).interaction);
    assert_eq!(count(&waits), 2);
    assert_eq!(count(&desk.decide(&waits.interaction, Event::OpenTab { agent: agent(1) }).unwrap()), 0);
    let answered = Event::MessageSent { agent: agent(1), message: message(3), template: false };
    assert_eq!(count(&desk.decide(&waits.interaction, answered).unwrap()), 0, "whoever answers has seen it");
    assert_eq!(count(&desk.decide(&waits.interaction, Event::Close { agent: agent(1), disposition: None }).unwrap()), 0);
    // Another agent gets it with what was not seen.
    let moved = desk.decide(&waits.interaction, Event::Reassign { by: agent(2), to: agent(3) }).unwrap();
    assert_eq!((moved.interaction.unread, count(&moved)), (true, 2));
    let handed = desk.decide(&accepted, Event::Reassign { by: agent(2), to: agent(3) }).unwrap();
    assert_eq!((handed.interaction.unread, count(&handed)), (true, 0), "unread without a message");
}

#[test]
fn a_merged_interaction_brings_its_unseen_messages() {
    let desk = Desk::new();
    let newer = Interaction { id: InteractionId::from_ulid(Ulid::from_parts(0, 9)), ..desk.receive(&desk.open().interaction).interaction };
    let absorbed = |older: &Interaction| desk.decide(older, Event::Absorb(Box::new(newer.clone()))).unwrap().interaction.unread_count;
    assert_eq!((absorbed(&desk.open().interaction), absorbed(&desk.away())), (3, 2));
    assert_eq!(absorbed(&desk.accepted()), 0, "its agent sees them come");
}

#[test]
fn nothing_moves_a_closed_interaction() {
    let desk = Desk::new();
    let closed = desk.decide(&desk.accepted(), Event::Close { agent: agent(1), disposition: None }).unwrap().interaction;
    let agent = agent(1);
    for (event, refusal) in [
        (Event::MessageReceived { message: message(2), at: START, from: address(), name: None }, Refusal::Closed),
        (Event::MessageSent { agent: agent.clone(), message: message(2), template: false }, Refusal::Closed),
        (Event::Accept { agent: agent.clone() }, Refusal::Closed),
        (Event::Reject { agent: agent.clone() }, Refusal::Closed),
        (Event::OpenTab { agent: agent.clone() }, Refusal::Closed),
        (Event::Close { agent: agent.clone(), disposition: None }, Refusal::Closed),
        (Event::Timer(Timer::Wait { wait: 1 }), Refusal::Stale),
        (Event::AgentUnavailable { agent }, Refusal::Stale),
        (Event::AccountActivated, Refusal::Closed),
        (Event::AccountLeaves, Refusal::Closed),
        (Event::Removed, Refusal::Closed),
    ] {
        assert_eq!(desk.decide(&closed, event), Err(refusal));
    }
}

/// A step of a random history; the numbers choose among agents, seconds and the timers that are due.
fn steps() -> impl Strategy<Value = Vec<(u8, u64, i64)>> {
    prop::collection::vec((0..14_u8, 1..4_u64, 0..15_i64), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// In every order of events, a decision leaves a consistent state.
    #[test]
    fn every_decision_leaves_a_next_event(steps in steps()) {
        let mut desk = Desk::new();
        desk.account.settings.inactivity_timeout = Some(Minutes::new(1).unwrap());
        let mut decision = desk.open();
        let mut pending = timers(&decision);
        let mut load = BTreeSet::new();
        for (what, who, passed) in steps {
            desk.now = after(desk.now, passed);
            let before = decision.interaction.clone();
            let mut presence = Presence::logged_out(agent(who), Capacity::default(), START);
            presence.chosen = if what == 13 { PresenceState::LoggedOut } else { PresenceState::Ready };
            presence.load.clone_from(&load);
            desk.presences = BTreeMap::from([(agent(who), presence)]);
            let agent = agent(who);
            let event = match what {
                0 | 1 => Event::MessageReceived { message: message(who), at: desk.now, from: address(), name: None },
                2 => Event::MessageSent { agent, message: message(who), template: false },
                3..=5 => {
                    let Some(wait) = &before.wait else { continue };
                    let Some(target) = wait.targets.first().cloned() else { continue };
                    let audience = match &target {
                        Target::Queue(queue) if what == 3 => Audience::Members { queue: queue.clone(), except: wait.rejected.clone() },
                        _ => Audience::Agents(vec![agent]),
                    };
                    Event::Ring(Ring { wait: wait.id, target, audience, until: Some(after(desk.now, 5)), rung: Vec::new(), passed_over: Vec::new() })
                }
                6 => Event::Accept { agent },
                7 => Event::Reject { agent },
                8 => Event::OpenTab { agent },
                9 => Event::CloseTab { agent },
                10 => Event::AgentUnavailable { agent },
                11 => {
                    desk.account.active = !desk.account.active;
                    Event::AccountActivated
                }
                _ => {
                    let Some(place) = pending.iter().position(|(at, _)| *at <= desk.now) else { continue };
                    Event::Timer(pending.remove(place).1)
                }
            };
            let Ok(next) = desk.decide(&before, event) else { continue };
            let now = &next.interaction;
            prop_assert_eq!(now.version, before.version + 1);
            pending.extend(timers(&next));
            prop_assert!(now.unread || now.unread_count == 0, "messages of a read interaction are unseen");
            if let Some(wait) = &now.wait {
                prop_assert!(now.unread, "a read interaction must not be offered");
                let ends = wait.until.is_none_or(|until| pending.contains(&(until, Timer::Wait { wait: wait.id })));
                prop_assert!(ends, "nothing ends the wait");
                let own = matches!(wait.stage, Stage::AssignedAgent | Stage::AssignedQueue);
                prop_assert!(wait.stage == Stage::Inactive || own == now.agent.is_some());
                prop_assert_eq!(wait.stage == Stage::AssignedAgent, wait.targets.is_empty());
                if let Some(offer) = &wait.offer {
                    prop_assert!(wait.until.is_none() || offer.until.is_some_and(|until| Some(until) <= wait.until));
                    let ends = offer.until.is_none_or(|until| offer.until == wait.until || pending.contains(&(until, Timer::Offer { offer: offer.id })));
                    prop_assert!(ends, "nothing ends the offer");
                } else if wait.stage != Stage::AssignedAgent && before.wait.as_ref().is_none_or(|old| old.id != wait.id || old.offer.is_some()) {
                    // It waits anew, or it stopped ringing, so `assign` must look at it.
                    prop_assert!(wait.targets.iter().all(|target| wakes(&next).contains(target)));
                }
            } else if now.is_open() {
                prop_assert!(now.agent.is_some() && !now.unread, "nobody is asked");
            }
            for freed in occupied(&before).difference(&occupied(now)) {
                prop_assert!(wakes(&next).contains(freed), "a slot was freed and nobody was woken");
            }
            let rows = footprint(now).waiting;
            prop_assert_eq!(rows.len(), now.wait.as_ref().map_or(0, |wait| wait.targets.len()));
            load = now.agent.iter().filter(|_| now.is_open()).map(|_| now.id.clone()).collect();
            decision = next;
        }
    }
}

/// An agent of several queues may have been kept for it: see `assign::Rival`.
#[test]
fn an_interaction_that_stops_waiting_without_a_ring_wakes_its_queue() {
    let mut desk = Desk::new();
    let opened = desk.open().interaction;
    desk.now = after(START, 30);
    let next = desk.decide(&opened, Event::Timer(Timer::Wait { wait: 1 })).unwrap();
    assert!(wakes(&next).contains(&Target::Queue(desk.queue.clone())), "{:?}", next.effects);
}

#[test]
fn an_automatic_reply_gets_the_same_id_in_a_repetition_of_the_decision() {
    let mut desk = Desk::new();
    let reply = |text: &str| Step::AutoReply { text: TextTemplate::parse(text).unwrap(), when: When::Always };
    desk.account.plan.steps = vec![reply("One").into(), reply("Two").into()];
    let ids = |decision: Decision| decision.replies.into_iter().map(|reply| reply.id).collect::<Vec<_>>();
    let (once, again) = (ids(desk.open()), ids(desk.open()));
    assert_eq!(once, again);
    assert!(once.len() == 2 && once[0] < once[1]);
}

/// An event of any kind that the desk can play.
fn any_event(what: u8, who: u64, desk: &Desk, before: &Interaction) -> Option<Event> {
    let (agent_id, wait) = (agent, before.wait.as_ref());
    let agent = agent_id(who);
    let id = wait.map_or(0, |wait| wait.id);
    Some(match what {
        0 | 1 => Event::MessageReceived { message: message(who), at: desk.now, from: address(), name: None },
        2 => Event::MessageSent { agent, message: message(who), template: false },
        3..=6 => {
            let target = wait?.targets.first().cloned()?;
            let audience = match &target {
                Target::Queue(queue) if what == 3 => Audience::Members { queue: queue.clone(), except: Vec::new() },
                _ => Audience::Agents(vec![agent]),
            };
            Event::Ring(Ring { wait: id, target, audience, until: None, rung: Vec::new(), passed_over: Vec::new() })
        }
        7..=10 => Event::Accept { agent },
        11 => Event::Reject { agent },
        12 => Event::OpenTab { agent },
        13 => Event::CloseTab { agent },
        14 | 15 => Event::Close { agent, disposition: None },
        16 => Event::Close { agent, disposition: Some("Sold".into()) },
        17 => Event::CloseForAll { by: agent, disposition: Some("Sold".into()) },
        18 => Event::Transfer { agent, to: Target::Queue(desk.queue.clone()) },
        19 => Event::Transfer { agent, to: Target::Agent(agent_id(3)) },
        20 => Event::Pick { agent },
        21 | 22 => Event::Reassign { by: agent_id(1), to: agent },
        23 => Event::Reopen { agent },
        24 => Event::AgentUnavailable { agent },
        25 => Event::AgentLeft { agent },
        26 => Event::Timer(Timer::Offer { offer: wait?.offer.as_ref()?.id }),
        27 => Event::WebhookAnswered { wait: id, answer: Ok(Vec::new()) },
        28 => Event::AccountActivated,
        29 => Event::AccountDeactivated,
        30 => Event::Absorb(Box::new(Interaction { id: InteractionId::from_ulid(Ulid::from_parts(0, 9)), ..before.clone() })),
        31 => Event::MergeInto(Interaction { id: InteractionId::from_ulid(Ulid::from_parts(0, 9)), ..before.clone() }.key()),
        32 => Event::AccountLeaves,
        35 => Event::Removed,
        33 => Event::NoteAdded { by: agent, message: message(who) },
        34 => Event::Timer(Timer::Inactivity { armed: before.inactivity.armed? }),
        _ => Event::Timer(Timer::Wait { wait: id }),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    /// Data beyond the needs of a decision changes nothing, so nobody has to load it.
    #[test]
    fn a_decision_rests_on_nothing_that_it_did_not_ask_for(
        steps in prop::collection::vec((0..40_u8, 1..4_u64, 0..15_i64, 0..6_u8), 1..50),
        (replies, webhook, owed, outside) in any::<(bool, bool, bool, bool)>(),
    ) {
        let mut desk = Desk::new();
        desk.account.settings.inactivity_timeout = Some(Minutes::new(1).unwrap());
        desk.account.settings.mandatory_disposition = owed;
        desk.pause = Some(Pause { id: PauseId::from_ulid(Ulid::nil()), name: "After-call work".into() });
        desk.dispositions = vec!["Sold".into()];
        if replies {
            let text = TextTemplate::parse("Please wait.").unwrap();
            desk.account.plan.steps.insert(0, Step::AutoReply { text, when: When::Always }.into());
        }
        if webhook {
            desk.account.plan.steps.push(Step::Webhook { url: WebhookUrl::parse("https://example.com").unwrap() }.into());
        }
        if outside {
            // A transfer may go to a queue that the plan does not name.
            desk.queue = QueueId::from_ulid(Ulid::from_parts(0, 7));
            let mut queue = desk.queues.values().next().unwrap().clone();
            queue.id = desk.queue.clone();
            desk.queues.insert(queue.id.clone(), queue);
        }
        let mut before = desk.open().interaction;
        for (what, who, passed, state) in steps {
            desk.now = after(desk.now, passed);
            desk.presences = (1..4).map(|number| {
                let mut presence = Presence::logged_out(agent(number), Capacity::new(1 + i64::from(state) / 3).unwrap(), START);
                presence.chosen = match (number == who, state) {
                    (true, 0) => PresenceState::LoggedOut,
                    (true, 1) => PresenceState::Paused { reason: "lunch".into() },
                    _ => PresenceState::Ready,
                };
                presence.load.extend(holder(&before).filter(|holder| **holder == presence.agent).map(|_| before.id.clone()));
                presence.wrapping_up.extend(before.wrap_up.iter().filter(|owed| owed.agent == presence.agent).map(|_| before.id.clone()));
                presence.ringing.insert(InteractionId::from_ulid(Ulid::from_parts(0, 8)), after(desk.now, 60));
                (presence.agent.clone(), presence)
            }).collect();
            let Some(event) = any_event(what, who, &desk, &before) else { continue };
            if matches!(event, Event::AgentLeft { .. }) && state == 0 {
                desk.account.agents.retain(|other| *other != agent(who));
            }
            if matches!(event, Event::AccountActivated | Event::AccountDeactivated) {
                desk.account.active = matches!(event, Event::AccountActivated);
            }
            let (asked, first) = (needs(&event, Some(&before)), needs(&event, None));
            prop_assert_eq!(first.service_window, asked.service_window, "it is known before the interaction is read");
            let passed_over = [PassedOver { agent: agent(1), why: NotOffered::Paused }];
            let everything = Context { passed_over: &passed_over, ..desk.context() };
            let of_plan = |id: &QueueId| desk.account.plan.queues().any(|queue| queue == id);
            let queues = desk.queues.clone().into_iter().filter(|(id, _)| asked.queues.contains(id) || of_plan(id)).collect();
            let presences = desk.presences.clone().into_iter().filter(|(agent, _)| asked.presences.contains(agent)).collect();
            let asked_for = Context {
                queues: &queues,
                presences: &presences,
                dispositions: if asked.dispositions { everything.dispositions } else { &[] },
                pause: everything.pause.filter(|_| asked.disposition_pause),
                passed_over: if asked.passed_over { &passed_over } else { &[] },
                last_inbound_at: everything.last_inbound_at.filter(|_| asked.service_window),
                ..everything
            };
            let decided = decide(&before, event.clone(), &everything);
            prop_assert_eq!(&decided, &decide(&before, event.clone(), &asked_for), "{:?}", event);
            let Ok(decision) = decided else { continue };
            let taken = holder(&decision.interaction).filter(|agent| holder(&before) != Some(agent));
            if let (Some(membership), Event::Accept { .. }) = (&asked.membership, &event) {
                prop_assert_eq!(&membership.queue, &decision.interaction.accepted_via);
            }
            prop_assert!(taken.is_none() || taken == asked.membership.as_ref().map(|membership| &membership.agent), "{:?}", event);
            before = decision.interaction;
        }
    }
}

/// Every wait for a queue is answered, flows out or is abandoned, or goes on. Every ring is accepted, rejected, missed
/// or withdrawn, or goes on. Only decisions that say so have facts. The active time is that of the interaction.
fn check_facts(history: &[HistoryEntry], marked: &BTreeSet<u64>, now: &Interaction) -> Result<(), TestCaseError> {
    let facts = crate::report::facts(history);
    prop_assert!(facts.keys().all(|version| marked.contains(version)), "{:?} of {:?}", facts.keys(), marked);
    let mut all = crate::report::Tally::default();
    facts.values().flat_map(|facts| &facts.counted).for_each(|counted| all.add(counted));
    let count = |measures: &[Measure]| measures.iter().map(|measure| all.count(*measure)).sum::<u64>();
    let waits = now.wait.as_ref().is_some_and(|wait| wait.stage != Stage::Exhausted && matches!(wait.targets[..], [Target::Queue(_)]));
    let ended = count(&[Measure::Answered, Measure::FlowedOut, Measure::AbandonedInQueue]);
    prop_assert_eq!(all.count(Measure::Queued), ended + u64::from(waits), "waits");
    let rings = match now.offer().map(|offer| &offer.audience) {
        Some(Audience::Agents(agents)) => agents.len() as u64,
        // The desk names nobody when it rings all members.
        Some(Audience::Members { .. }) | None => 0,
    };
    let ended = count(&[Measure::Accepted, Measure::Rejected, Measure::Missed, Measure::Withdrawn]);
    prop_assert_eq!(all.count(Measure::Offered), ended + rings, "rings");
    prop_assert_eq!(all.total(Measure::Active), now.active.ended, "active time");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_laws_of_the_reports_hold_after_every_decision(
        steps in prop::collection::vec((0..40_u8, 1..4_u64, 0..15_i64, 0..6_u8), 1..50),
        owed in any::<bool>(),
    ) {
        let mut desk = Desk::new();
        desk.account.settings.mandatory_disposition = owed;
        desk.pause = Some(Pause { id: PauseId::from_ulid(Ulid::nil()), name: "After-call work".into() });
        let opened = desk.open();
        let (mut before, mut history, mut marked) = (opened.interaction, opened.history, BTreeSet::from([1]));
        for (what, who, passed, state) in steps {
            desk.now = after(desk.now, passed);
            for presence in desk.presences.values_mut() {
                presence.load = holder(&before).filter(|holder| **holder == presence.agent).map(|_| before.id.clone()).into_iter().collect();
            }
            let Some(event) = any_event(what, who, &desk, &before) else { continue };
            if matches!(event, Event::AgentLeft { .. }) && state == 0 {
                desk.account.agents.retain(|other| *other != agent(who));
            }
            if matches!(event, Event::AccountActivated | Event::AccountDeactivated) {
                desk.account.active = matches!(event, Event::AccountActivated);
            }
            let Ok(decision) = desk.decide(&before, event) else { continue };
            let first_answer = decision.interaction.answered && !before.answered;
            if crate::report::is_counted(&decision.history, first_answer) {
                marked.insert(decision.interaction.version);
            }
            history.extend(decision.history);
            before = decision.interaction;
            check_facts(&history, &marked, &before)?;
        }
    }
}

/// The event of insights that were made.
fn insights_made(cause: InsightsCause) -> Event {
    let (sentiment, summary) = (Sentiment::Negative, Summary::of("The parcel is late.").unwrap());
    Event::InsightsMade { cause, ai_agent: fixtures::ai_agent().id, sentiment, summary }
}

#[test]
fn insights_are_asked_for_at_closing_where_the_account_wants_them_and_the_customer_wrote() {
    let mut desk = Desk::new();
    let close = || Event::Close { agent: agent(1), disposition: None };
    let asks = |desk: &Desk, interaction: &Interaction, event| desk.decide(interaction, event).unwrap().effects.contains(&Effect::Insights);
    let accepted = desk.accepted();
    assert!(!asks(&desk, &accepted, close()), "off");
    let wanted = |at_closing| Some(InsightsSettings { ai_agent: fixtures::ai_agent().id, at_closing });
    desk.account.settings.insights = wanted(false);
    assert!(!asks(&desk, &accepted, close()), "on request only");
    desk.account.settings.insights = wanted(true);
    assert!(asks(&desk, &accepted, close()));
    assert!(!asks(&desk, &Interaction { one_sided: true, ..accepted.clone() }, close()), "only the agent wrote");
    for unheard in [Event::AccountLeaves, Event::Removed] {
        assert!(!asks(&desk, &accepted, unheard), "about to be deleted");
    }
}

#[test]
fn insights_of_a_closing_are_kept_once_and_those_of_the_next_closing_take_their_place() {
    let mut desk = Desk::new();
    let close =
        |desk: &Desk, open: &Interaction| desk.decide(open, Event::Close { agent: agent(1), disposition: None }).unwrap().interaction;
    let closed = close(&desk, &desk.accepted());
    let first = closed.closed_at.unwrap();
    desk.now = after(START, 5);
    let made = desk.decide(&closed, insights_made(InsightsCause::Closed(first))).unwrap();
    let kept = made.interaction.insights.unwrap();
    assert_eq!((kept.sentiment, kept.at, kept.version), (Sentiment::Negative, desk.now, closed.version + 1));
    assert!(matches!(&made.history[..], [HistoryEntry { fact: Fact::InsightsMade { agent: None, .. }, .. }]));
    assert!(made.effects.contains(&Effect::Archive), "the log tells them");
    assert!(!made.effects.contains(&Effect::Insights), "and they cause no others");
    let again = insights_made(InsightsCause::Closed(first));
    assert_eq!(desk.decide(&made.interaction, again.clone()), Err(Refusal::Stale));

    desk.now = after(START, 10);
    let reopened = desk.decide(&made.interaction, Event::Reopen { agent: agent(1) }).unwrap().interaction;
    assert_eq!(reopened.insights, made.interaction.insights, "they stay until there are others");
    assert_eq!(desk.decide(&reopened, again.clone()), Err(Refusal::Stale));
    desk.now = after(START, 20);
    let closed = close(&desk, &reopened);
    assert_eq!(desk.decide(&closed, again), Err(Refusal::Stale), "those of the first closing come too late");
    let newer = desk.decide(&closed, insights_made(InsightsCause::Closed(desk.now))).unwrap().interaction;
    assert_eq!(newer.insights.unwrap().version, newer.version);
}

#[test]
fn people_ask_for_insights_of_open_and_closed_interactions_as_often_as_they_like() {
    let desk = Desk::new();
    let open = desk.accepted();
    let asked = |interaction: &Interaction| desk.decide(interaction, insights_made(InsightsCause::Asked(agent(2))));
    let made = asked(&open).unwrap();
    assert!(made.interaction.insights.is_some() && !made.effects.contains(&Effect::Archive));
    let told = [agent(2), agent(1)];
    let shows = |effect: &Effect| matches!(effect, Effect::Push { to: Audience::Agents(to), .. } if *to == told);
    assert!(made.effects.iter().any(shows), "{:?}", made.effects);
    assert!(asked(&made.interaction).is_ok());
    let merged = Interaction { status: Status::Closed, merged_into: Some(open.key()), ..open.clone() };
    assert!(matches!(asked(&merged), Err(Refusal::MergedAway { .. })));
}

#[test]
fn a_video_call_sends_its_link_as_the_agents_own_message_with_the_same_rules() {
    let mut desk = Desk::new();
    let accepted = desk.accepted();
    let starts = |desk: &Desk, by: u64| desk.decide(&accepted, Event::VideoStarted { agent: agent(by), message: message(9) });
    let started = starts(&desk, 1).unwrap();
    assert!(sends(&started) && started.interaction.answered);
    let told = [Fact::MessageSent { message: message(9), agent: agent(1) }, Fact::VideoStarted { agent: agent(1), message: message(9) }];
    assert_eq!(started.history.iter().map(|entry| entry.fact.clone()).collect::<Vec<_>>(), told);
    assert!(matches!(starts(&desk, 2), Err(Refusal::NotYours { .. })));
    desk.now = after(START, 24 * 3_600);
    assert_eq!(starts(&desk, 1), Err(Refusal::WindowExpired));
}
