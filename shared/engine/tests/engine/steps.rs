//! The steps of the action plan that don't wait, and those that wait for another system.

use domain::account::List;
use domain::history::{Did, Fact, NoReply, Skip, WebhookFailure};
use domain::ids::{InteractionId, IntervalId, ListId};
use domain::interaction::{Stage, Status};
use domain::interval::Interval;
use domain::message::{Author, DeliveryState};
use domain::plan::{ActionPlan, PlanStep, Step};
use domain::priority::Priority;
use domain::queue::Strategy;
use domain::tag::Tag;
use domain::variables::VariableName;
use engine::ports::World;
use serde_json::{Value, json};
use ulid::Ulid;

use crate::driver::{Sim, agent_id, queue_id};

/// A plan as it is stored.
pub(crate) fn steps(steps: Value) -> Vec<PlanStep> {
    let plan: ActionPlan = serde_json::from_value(json!({"version": 1, "steps": steps})).unwrap();
    assert_eq!(plan.faults(), []);
    plan.steps
}

fn name(name: &str) -> VariableName {
    VariableName::parse(name).unwrap()
}

impl Sim {
    /// The automatic replies of an interaction, in order.
    fn replies(&self, id: &InteractionId) -> Vec<String> {
        let messages = self.memory.messages().into_iter().map(|(_, message)| message);
        messages
            .filter(|message| message.interaction == *id && message.author == Author::System)
            .map(|message| message.content.readable())
            .collect()
    }

    fn did(&self, id: &InteractionId) -> Vec<Did> {
        let done = self.facts(id).into_iter().filter_map(|fact| match fact {
            Fact::StepDone { did, .. } => Some(did),
            _ => None,
        });
        done.collect()
    }

    fn webhook(&self, answer: crate::driver::WebhookAnswer) {
        self.provider.lock().unwrap().webhooks.push_back(answer);
    }
}

#[test]
fn steps_that_do_not_wait_run_in_one_decision_until_one_waits() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 1);
    let list = ListId::from_ulid(Ulid::from_parts(1, 5));
    sim.directory.change(|config| config.lists.insert(list.clone(), List { id: list, name: "Customers".into() }));
    sim.steps(steps(json!([
        {"step": "tag", "tag": "vip"},
        {"step": "priority", "priority": 7},
        {"step": "set", "variable": "lang", "value": "it"},
        {"step": "auto_reply", "text": "{{account.name}}, {{list.name}}, {{contact.mobile}}"},
        {"step": "noop", "comment": "now people"},
        {"step": "queue", "queue": queue, "timeout": 30},
        {"step": "tag", "tag": "late"},
    ])));
    let interaction = sim.writes(1);
    let now = sim.interaction(&interaction);
    assert_eq!((now.version - 1, now.tags, now.priority), (1, vec![Tag::parse("vip").unwrap()], Priority::new(7).unwrap()));
    assert_eq!((now.variables.get("lang"), sim.step(&interaction)), ("it", Some(5)));
    assert_eq!(sim.replies(&interaction), ["Roma, Customers, +39000000001"]);
    assert_eq!(sim.rings_at(&interaction), agents);
    assert_eq!(now.inactivity.deadline, None);
}

#[test]
fn an_automatic_reply_goes_out_after_the_message_that_it_answers_and_starts_no_timer() {
    let mut sim = Sim::new();
    sim.inactivity_timeout(1);
    sim.steps(steps(json!([{"step": "auto_reply", "text": "One"}, {"step": "auto_reply", "text": "Two"}])));
    let interaction = sim.writes(1);
    let thread: Vec<_> = sim.memory.messages().into_iter().map(|(_, message)| message).collect();
    assert_eq!(thread.iter().map(|message| message.content.readable()).collect::<Vec<_>>()[1..], ["One", "Two"]);
    assert!(thread.windows(2).all(|pair| pair[0].at < pair[1].at));
    assert_eq!(thread[1].delivery.as_ref().unwrap().state, DeliveryState::Accepted);
    sim.wait(3_600);
    assert_eq!(sim.interaction(&interaction).status, Status::Open, "only what people write starts the inactivity timer");
    assert_eq!(
        sim.interaction(&interaction).unanswered_since,
        Some("2026-01-01T00:00:00Z".parse().unwrap()),
        "an automatic reply is not an answer"
    );
}

#[test]
fn a_reply_goes_out_once_always_or_on_the_first_message_only() {
    let mut sim = Sim::new();
    sim.steps(steps(json!([
        {"step": "auto_reply", "text": "once", "when": "once"},
        {"step": "auto_reply", "text": "always", "when": "always"},
        {"step": "auto_reply", "text": "first", "when": "first_message"},
    ])));
    let interaction = sim.writes(1);
    assert_eq!(sim.replies(&interaction), ["once", "always", "first"]);
    sim.wait(10);
    sim.writes(1);
    assert_eq!(sim.replies(&interaction), ["once", "always", "first", "always"]);
    let did = sim.did(&interaction);
    assert!(did.contains(&Did::NoReply { why: NoReply::SaidAlready }) && did.contains(&Did::NoReply { why: NoReply::NotTheFirstMessage }));
    // Another plan with the same text does not send it again. A new text is sent, except for `first_message`.
    sim.steps(steps(json!([
        {"step": "noop"},
        {"step": "auto_reply", "text": "once"},
        {"step": "auto_reply", "text": "new first", "when": "first_message"},
        {"step": "auto_reply", "text": "new once"},
    ])));
    sim.writes(1);
    assert_eq!(sim.replies(&interaction)[4..], ["new once"]);
}

#[test]
fn no_reply_goes_out_once_the_window_is_over() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    sim.log_out(&agents[0]);
    sim.steps(steps(
        json!([{"step": "queue", "queue": queue, "timeout": 86_399}, {"step": "auto_reply", "text": "Sorry", "when": "always"}]),
    ));
    let interaction = sim.writes(1);
    sim.wait(86_399);
    assert_eq!(sim.replies(&interaction), ["Sorry"], "a second before the end");
    sim.steps(steps(
        json!([{"step": "queue", "queue": queue, "timeout": 86_400}, {"step": "auto_reply", "text": "Sorry", "when": "always"}]),
    ));
    let late = sim.writes(2);
    sim.wait(86_400);
    assert!(sim.replies(&late).is_empty() && sim.did(&late) == [Did::NoReply { why: NoReply::WindowExpired }]);
    assert_eq!(sim.stage(&late), Some(Stage::Exhausted));
}

#[test]
fn a_repeated_decision_replies_once() {
    use crate::driver::Job;
    let mut sim = Sim::new();
    sim.steps(steps(json!([{"step": "auto_reply", "text": "Hello", "when": "always"}])));
    let event = sim.event(1);
    assert!(sim.memory.receive(&event));
    sim.memory.take_effects();
    sim.at_once(vec![Job::route(&event), Job::route(&event)]);
    sim.settle();
    let interaction = sim.memory.interactions().remove(0).id;
    assert_eq!((sim.replies(&interaction).len(), sim.provider.lock().unwrap().calls.len()), (1, 1));
}

#[test]
fn the_plan_closes_with_its_disposition_though_one_is_mandatory() {
    let mut sim = Sim::new();
    sim.change_account(|account| account.settings.mandatory_disposition = true);
    sim.steps(steps(
        json!([{"step": "auto_reply", "text": "Bye"}, {"step": "close", "disposition": "Spam"}, {"step": "tag", "tag": "never"}]),
    ));
    let first = sim.writes(1);
    let closed = sim.interaction(&first);
    assert_eq!((closed.status, closed.disposition.as_deref(), closed.tags.len()), (Status::Closed, Some("Spam"), 0));
    assert_eq!((sim.replies(&first).len(), sim.archived.as_slice()), (1, std::slice::from_ref(&first)));
    assert_ne!(sim.writes(1), first, "the next message opens another one");
}

#[test]
fn a_condition_sees_the_message_the_contact_the_variables_and_the_time() {
    let mut sim = Sim::new();
    sim.change_account(|account| account.settings.time_zone = "Asia/Tokyo".to_owned().try_into().unwrap());
    sim.steps(steps(json!([
        {"step": "goto_if", "condition": "message.text contains 'MESSAGE' && message.type = 'text'", "then": "yes", "else": "no"},
        {"label": "no", "step": "tag", "tag": "wrong"},
        {"label": "yes", "step": "goto_if", "condition": "time.hour = 9 && time.date = '2026-01-01' && time.weekday = 'thursday'", "then": 4},
        {"step": "tag", "tag": "wrong"},
        {"step": "set", "variable": "n", "value": "7"},
        {"step": "goto_if", "condition": "n > 6 && contact.mobile starts_with '+39' && account.key = 'ROMA1' && contact.name = ''", "then": "end"},
        {"step": "tag", "tag": "wrong"},
        {"label": "end", "step": "tag", "tag": "right"},
    ])));
    let interaction = sim.writes(1);
    assert_eq!(sim.interaction(&interaction).tags, [Tag::parse("right").unwrap()]);
    assert!(sim.did(&interaction).contains(&Did::GotoIf { held: true, to: 7 }));
    assert!(sim.interaction(&interaction).run.message.is_some(), "kept for the steps to come");
}

#[test]
fn an_endless_loop_is_cut_and_reported_and_the_interaction_waits_as_after_the_plan() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Rrmemory, 1);
    sim.steps(steps(json!([
        {"label": "again", "step": "auto_reply", "text": "Loop", "when": "always"},
        {"step": "set", "variable": "a", "value": "1"},
        {"step": "goto", "to": "again"},
    ])));
    let interaction = sim.writes(1);
    assert_eq!(sim.replies(&interaction).len(), 2, "once more, since a variable had changed");
    assert!(sim.facts(&interaction).contains(&Fact::LoopCut { index: 2 }), "{:?}", sim.facts(&interaction));
    assert_eq!((sim.stage(&interaction), sim.rings_at(&interaction)), (Some(Stage::Exhausted), agents.clone()));
    // A loop that waits on its way is cut too, but later.
    sim.steps(steps(json!([{"step": "queue", "queue": queue, "timeout": 1}, {"step": "goto", "to": 0}])));
    sim.log_out(&agents[0]);
    let second = sim.writes(2);
    sim.wait(99);
    assert_eq!(sim.step(&second), Some(0));
    sim.wait(10);
    assert_eq!(sim.stage(&second), Some(Stage::Exhausted));
    assert!(sim.facts(&second).contains(&Fact::LoopCut { index: 0 }));
    sim.ready(&agents[0]);
    assert_eq!(sim.rings_at(&second), agents);
}

#[test]
fn tags_and_variables_have_a_limit() {
    let mut sim = Sim::new();
    let tags: Vec<_> = (0..Tag::MOST + 1).map(|tag| json!({"step": "tag", "tag": format!("tag {tag}")})).collect();
    sim.steps(steps(Value::Array(tags)));
    let interaction = sim.writes(1);
    assert_eq!(sim.interaction(&interaction).tags.len(), Tag::MOST);
    assert!(sim.did(&interaction).iter().any(|did| matches!(did, Did::Tag { room: false, .. })));
    let big =
        json!([{"step": "set", "variable": "a", "value": "x".repeat(512)}, {"step": "set", "variable": "b", "value": "x".repeat(512)}]);
    sim.steps(steps(big));
    let second = sim.writes(2);
    assert_eq!(sim.interaction(&second).variables.get("b"), "");
    assert!(sim.did(&second).contains(&Did::Set { variable: name("b"), room: false }));
}

#[test]
fn a_step_is_entered_only_within_or_only_outside_its_interval() {
    let mut sim = Sim::new();
    let id = IntervalId::from_ulid(Ulid::from_parts(0, 1));
    let office: Interval = serde_json::from_value(json!({
        "id": id, "name": "Office", "time_zone": "Europe/Rome", "ranges": [{"from": "09:00", "to": "17:59"}],
    }))
    .unwrap();
    sim.directory.change(|config| config.intervals.insert(id.clone(), office));
    let plan = json!([
        {"step": "auto_reply", "text": "We are closed", "interval": {"only_outside": id}},
        {"step": "tag", "tag": "open", "interval": {"only_within": id}},
        {"step": "tag", "tag": "gone", "interval": {"only_outside": IntervalId::from_ulid(Ulid::from_parts(0, 2))}},
    ]);
    sim.steps(steps(plan));
    let night = sim.writes(1);
    assert_eq!((sim.replies(&night).len(), sim.interaction(&night).tags.len()), (1, 0));
    let skipped = |index, why| Fact::StageSkipped { stage: Stage::Step { index, plan: 2 }, why };
    assert!(sim.facts(&night).contains(&skipped(1, Skip::OutsideInterval)) && sim.facts(&night).contains(&skipped(2, Skip::IntervalGone)));
    sim.world.set("2026-01-05T09:00:00Z".parse().unwrap());
    let day = sim.writes(2);
    assert_eq!((sim.replies(&day).len(), sim.interaction(&day).tags.len()), (0, 1));
    assert!(sim.facts(&day).contains(&skipped(0, Skip::WithinInterval)));
}

#[test]
fn another_system_sets_variables_and_the_plan_goes_on() {
    let (mut sim, _, queue) = Sim::desk(Strategy::Beepall, 1);
    let plan = json!([
        {"step": "webhook", "url": "https://crm.example.com/lookup"},
        {"step": "goto_if", "condition": "tier = 'gold'", "then": 3},
        {"step": "tag", "tag": "plain"},
        {"step": "queue", "queue": queue, "timeout": 30},
    ]);
    sim.steps(steps(plan));
    sim.webhook(Ok(vec![(name("tier"), "gold".into()), (name("big"), "x".repeat(2_000))]));
    let interaction = sim.writes(1);
    assert_eq!((sim.step(&interaction), sim.interaction(&interaction).tags.len()), (Some(3), 0));
    let answered = Fact::WebhookAnswered { index: 0, set: vec![name("tier")], no_room: vec![name("big")] };
    assert!(sim.facts(&interaction).contains(&answered));
    for why in [WebhookFailure::TimedOut, WebhookFailure::Unreachable, WebhookFailure::Refused, WebhookFailure::Unreadable] {
        sim.webhook(Err(why));
    }
    for customer in 2..6 {
        let interaction = sim.writes(customer);
        assert_eq!((sim.step(&interaction), sim.interaction(&interaction).tags.len()), (Some(3), 1), "failing never stops the plan");
    }
}

#[test]
fn another_system_that_never_answers_does_not_stop_the_plan() {
    use crate::driver::Job;
    let (mut sim, _, queue) = Sim::desk(Strategy::Beepall, 1);
    sim.steps(steps(json!([{"step": "webhook", "url": "https://crm.example.com"}, {"step": "queue", "queue": queue, "timeout": 30}])));
    let event = sim.event(1);
    sim.memory.receive(&event);
    sim.pump();
    let route = sim.jobs.pop_front().filter(Job::is_route).unwrap();
    sim.at_once(vec![route]);
    sim.pump();
    let lost: Vec<Job> = sim.jobs.drain(..).filter(Job::is_webhook).collect();
    let interaction = sim.memory.interactions().remove(0).id;
    assert_eq!(sim.stage(&interaction), Some(Stage::Webhook { index: 0, plan: 3 }));
    sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::Webhook { index: 0, plan: 3 }), "a message joins what is under way");
    sim.wait(20);
    assert_eq!(sim.step(&interaction), Some(1));
    let before = sim.interaction(&interaction);
    sim.jobs.extend(lost);
    sim.settle();
    assert_eq!(sim.interaction(&interaction), before, "an answer that comes too late changes nothing");
}

#[test]
fn a_run_keeps_the_version_of_its_plan_also_while_another_system_is_asked() {
    let (mut sim, agents, queue) = Sim::desk(Strategy::Beepall, 1);
    sim.log_out(&agents[0]);
    sim.steps(steps(json!([{"step": "queue", "queue": queue, "timeout": 5}, {"step": "tag", "tag": "old"}])));
    let interaction = sim.writes(1);
    sim.steps(steps(json!([{"step": "noop"}, {"step": "tag", "tag": "new"}])));
    sim.wait(5);
    assert_eq!(sim.interaction(&interaction).tags, [Tag::parse("old").unwrap()]);
    sim.writes(1);
    assert_eq!(sim.interaction(&interaction).tags.len(), 2, "the next run takes the plan of today");
}

#[test]
fn one_decision_sends_a_limited_number_of_replies() {
    let mut sim = Sim::new();
    let many: Vec<_> = (0..40).map(|text| json!({"step": "auto_reply", "text": format!("text {text}")})).collect();
    sim.steps(steps(Value::Array(many)));
    let interaction = sim.writes(1);
    assert_eq!(sim.replies(&interaction).len(), 10);
    assert!(sim.did(&interaction).contains(&Did::NoReply { why: NoReply::TooMany }));
}

#[test]
fn the_pushed_offer_carries_the_rendered_notification() {
    use domain::effect::Notice;
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.change_account(|account| account.settings.notification.shake = true);
    let interaction = sim.writes(7);
    let shown = sim.shown(&agents[0], &interaction);
    let Some(Notice::Offered { notification: Some(notification), .. }) = shown.first() else { panic!("{shown:?}") };
    assert_eq!((notification.text.as_str(), notification.sound, notification.shake), ("Roma · Queue 1: +39000000007", true, true));
}

#[test]
fn a_plan_of_steps_that_all_lead_nowhere_waits_for_everybody() {
    let mut sim = Sim::new();
    let agent = sim.agent(1);
    sim.plan(&[
        Step::Queue { queue: queue_id(9), timeout: Step::TIMEOUT },
        Step::Agent { agent: agent_id(9), timeout: Step::TIMEOUT },
        Step::Noop { comment: String::new() },
    ]);
    let interaction = sim.writes(1);
    assert_eq!(sim.stage(&interaction), Some(Stage::Exhausted));
    sim.ready(&agent);
    assert_eq!(sim.rings_at(&interaction), [agent]);
    assert!(sim.world.now() > jiff::Timestamp::UNIX_EPOCH);
}
