use jiff::SignedDuration;
use ulid::Ulid;

use super::*;
use crate::account::Account;
use crate::agent::{Capacity, Presence, PresenceState};
use crate::condition::Condition;
use crate::decide::{CustomerName, Welcome, open};
use crate::fixtures;
use crate::history::{NoReply, NotOffered, Skip, WaitEnd};
use crate::ids::{AiAgentId, ContactId, InteractionId, QueueId};
use crate::inbound::ProfileName;
use crate::interval::Interval;
use crate::message::Content;
use crate::plan::{ActionPlan, Jump, WebhookUrl, When};
use crate::queue::{Queue, Weight};
use crate::text_template::TextTemplate;
use crate::values::{Address, E164, Seconds};

const START: Timestamp = Timestamp::UNIX_EPOCH;

/// An account with two agents, of whom the first is ready, and a queue of both.
struct Desk {
    account: Account,
    queues: BTreeMap<QueueId, Queue>,
    intervals: BTreeMap<IntervalId, Interval>,
    presences: BTreeMap<AgentId, Presence>,
    answers: BTreeMap<usize, Vec<(VariableName, String)>>,
    variables: Variables,
}

fn agent(number: u128) -> AgentId {
    AgentId::from_ulid(Ulid(number))
}

fn queue() -> QueueId {
    QueueId::from_ulid(Ulid(1))
}

fn asks(seconds: i64) -> Step {
    Step::Queue { queue: queue(), timeout: Seconds::new(seconds).unwrap() }
}

fn says(text: &str) -> Step {
    Step::AutoReply { text: TextTemplate::parse(text).unwrap(), when: When::Once }
}

fn goes_if(condition: &str, then: usize) -> Step {
    Step::GotoIf { condition: Condition::parse(condition).unwrap(), then: Jump::Place(then), otherwise: None }
}

fn variable(name: &str) -> VariableName {
    VariableName::parse(name).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    START + SignedDuration::from_secs(seconds)
}

impl Desk {
    fn with(steps: Vec<Step>) -> Self {
        let members = vec![agent(1), agent(2)];
        let known = Queue {
            id: queue(),
            name: "Sales".into(),
            strategy: Strategy::Beepall,
            agent_timeout: Queue::AGENT_TIMEOUT,
            weight: Weight::default(),
            pause_after_missed: None,
            service_level: crate::report::ServiceLevel::default(),
            members: members.clone(),
        };
        let plan = ActionPlan { version: 7, steps: steps.into_iter().map(PlanStep::from).collect() };
        let mut ready = Presence::logged_out(agent(1), Capacity::default(), START);
        ready.chosen = PresenceState::Ready;
        Self {
            account: Account { agents: members, plan, ..fixtures::account() },
            queues: BTreeMap::from([(queue(), known)]),
            intervals: BTreeMap::new(),
            presences: BTreeMap::from([(agent(1), ready)]),
            answers: BTreeMap::new(),
            variables: Variables::default(),
        }
    }

    fn context<'a>(&'a self, heard: &'a Content) -> Context<'a> {
        Context {
            account: &self.account,
            running_plan: None,
            queues: &self.queues,
            intervals: &self.intervals,
            list: None,
            dispositions: &[],
            pause: None,
            heard: Some(heard),
            presences: &self.presences,
            passed_over: &[],
            last_inbound_at: None,
            now: START,
        }
    }

    fn run(&self, text: &str) -> Rehearsed {
        let heard = Content::Text { body: text.to_owned() };
        let rehearsal =
            Rehearsal { opening: opening(), message: message(), variables: self.variables.clone(), answers: &self.answers, seen_at: START };
        rehearse(rehearsal, &self.context(&heard))
    }
}

fn message() -> MessageId {
    MessageId::from_ulid(Ulid(1))
}

fn opening() -> Opening {
    Opening {
        id: InteractionId::from_ulid(Ulid(1)),
        contact: ContactId::from_ulid(Ulid(1)),
        address: Address::Phone(E164::parse("+393330000001").unwrap()),
        name: CustomerName { name: Some(ProfileName("Ada Lovelace".into())), kept: false },
        welcome: Welcome::Served,
    }
}

/// The times and facts of the plan's steps.
fn steps(run: &Rehearsed) -> Vec<(Timestamp, &Fact)> {
    let of_plan = |fact: &Fact| !matches!(fact, Fact::Opened | Fact::MessageReceived { .. } | Fact::PlanStarted { .. });
    run.lines.iter().filter(|line| of_plan(&line.fact)).map(|line| (line.at, &line.fact)).collect()
}

#[test]
fn a_rehearsal_begins_as_the_interaction_itself_would() {
    let desk = Desk::with(vec![says("Hello"), asks(30)]);
    let heard = Content::Text { body: "Hi".into() };
    let opened = open(opening(), message(), START, &desk.context(&heard));
    let run = desk.run("Hi");
    let facts: Vec<&Fact> = run.lines.iter().map(|line| &line.fact).take(opened.history.len()).collect();
    assert_eq!(facts, opened.history.iter().map(|entry| &entry.fact).collect::<Vec<_>>());
}

#[test]
fn each_wait_lasts_to_its_end_and_the_run_then_waits_for_the_queues_that_it_asked() {
    let run = Desk::with(vec![asks(30), Step::Noop { comment: String::new() }, asks(60)]).run("");
    let times: Vec<Timestamp> = run.lines.iter().filter(|line| matches!(line.fact, Fact::WaitStarted { .. })).map(|line| line.at).collect();
    assert_eq!(times, [START, after(30), after(90)]);
    let ended = |fact: &Fact| matches!(fact, Fact::WaitEnded { why: WaitEnd::TimedOut, .. });
    assert_eq!(run.lines.iter().filter(|line| ended(&line.fact)).count(), 2);
    assert_eq!(run.ending, Ending::Waits { targets: vec![Target::Queue(queue())] });
    // Who is asked is told once.
    let asked: Vec<&Asked> = run.lines.iter().flat_map(|line| &line.asked).collect();
    let [only] = asked[..] else { panic!("{asked:?}") };
    assert_eq!((&only.available[..], only.strategy), (&[agent(1)][..], Some(Strategy::Beepall)));
    assert_eq!(only.passed_over, [PassedOver { agent: agent(2), why: NotOffered::LoggedOut }]);
    assert_eq!(only.notification, "Roma · Sales: Ada Lovelace");
}

#[test]
fn a_condition_is_told_with_the_values_that_decided_it() {
    let mut desk = Desk::with(vec![goes_if("message.text contains 'order' && (lang = 'it' || time.hour < 9)", 2), asks(30), says("Ciao")]);
    assert!(desk.variables.set(&variable("lang"), "it"));
    let run = desk.run("My order");
    let line = run.lines.iter().find(|line| matches!(line.fact, Fact::StepDone { index: 0, .. })).unwrap();
    assert_eq!(line.fact, Fact::StepDone { index: 0, did: Did::GotoIf { held: true, to: 2 } });
    let values: Vec<(&str, &str)> = line.compared.iter().map(|compared| (compared.name.as_str(), compared.value.as_str())).collect();
    // The time decides nothing once the language did.
    assert_eq!(values, [("message.text", "My order"), ("variables.lang", "it")]);
    assert!(!format!("{run:?}").contains("My order"), "a customer's words reach no log");
    desk.variables = Variables::default();
    let otherwise = desk.run("Hello");
    let line = otherwise.lines.iter().find(|line| matches!(line.fact, Fact::StepDone { index: 0, .. })).unwrap();
    assert_eq!(line.fact, Fact::StepDone { index: 0, did: Did::GotoIf { held: false, to: 1 } });
}

#[test]
fn replies_are_filled_in_and_not_sent_once_the_window_is_over() {
    let day = Step::Queue { queue: queue(), timeout: Seconds::new(86_400).unwrap() };
    let run = Desk::with(vec![says("Hello {{contact.firstName}}"), day, says("Still there?")]).run("");
    let texts: Vec<&str> = run.lines.iter().filter_map(|line| line.text.as_deref()).collect();
    assert_eq!(texts, ["Hello Ada"]);
    let refused = Fact::StepDone { index: 2, did: Did::NoReply { why: NoReply::WindowExpired } };
    assert!(steps(&run).contains(&(after(86_400), &refused)), "{run:?}");
}

#[test]
fn a_skipped_step_names_the_interval_that_excluded_it() {
    let mut desk = Desk::with(vec![asks(30)]);
    let gone = IntervalId::from_ulid(Ulid(9));
    desk.account.plan.steps[0].interval = Some(Guard::OnlyWithin(gone.clone()));
    let run = desk.run("");
    let line = run.lines.iter().find(|line| matches!(line.fact, Fact::StageSkipped { why: Skip::IntervalGone, .. })).unwrap();
    assert_eq!(line.interval, Some(gone));
    // Nothing was asked, so the interaction waits for any agent of the account.
    assert_eq!(run.ending, Ending::Waits { targets: vec![Target::Account(desk.account.id.clone())] });
}

#[test]
fn another_system_is_not_called_and_answers_what_is_given_or_too_late() {
    let url = WebhookUrl::parse("https://crm.example.com/tier").unwrap();
    let mut desk = Desk::with(vec![Step::Webhook { url }, goes_if("tier = 'gold'", 2), Step::Close { disposition: Some("Gold".into()) }]);
    let late = desk.run("");
    assert!(late.lines.iter().any(|line| line.url.as_deref() == Some("https://crm.example.com/tier")));
    assert!(steps(&late).iter().any(|(at, fact)| *at == after(20) && matches!(fact, Fact::WaitEnded { why: WaitEnd::TimedOut, .. })));
    desk.answers.insert(0, vec![(variable("tier"), "gold".to_owned())]);
    let answered = desk.run("");
    assert!(steps(&answered).iter().any(|(at, fact)| *at == START && matches!(fact, Fact::WebhookAnswered { index: 0, .. })));
    assert!(steps(&answered).iter().any(|(_, fact)| **fact == Fact::StepDone { index: 1, did: Did::GotoIf { held: true, to: 2 } }));
    assert_eq!(answered.ending, Ending::Closed { disposition: Some("Gold".into()) });
    assert_eq!(answered.interaction.variables.get("tier"), "gold");
}

#[test]
fn an_ai_agent_that_does_not_answer_hands_over_to_the_steps_behind_it() {
    let ai_agent = AiAgentId::from_ulid(Ulid(6));
    let run = Desk::with(vec![Step::Assistant { ai_agent }, asks(30)]).run("");
    let escalated = steps(&run).into_iter().find(|(_, fact)| matches!(fact, Fact::AiEscalated { .. })).unwrap();
    assert_eq!(escalated.0, START + crate::decide::ANSWER_DEADLINE);
    assert!(run.lines.iter().any(|line| matches!(line.fact, Fact::WaitStarted { stage: Stage::Step { index: 1, .. }, .. })));
}

#[test]
fn a_plan_that_goes_round_and_round_is_cut() {
    let run = Desk::with(vec![asks(30), Step::Goto { to: Jump::Place(0) }]).run("");
    let entered = steps(&run)
        .iter()
        .filter(|(_, fact)| matches!(fact, Fact::StepDone { .. } | Fact::WaitStarted { stage: Stage::Step { .. }, .. }))
        .count();
    assert_eq!(entered, usize::from(MOST_ENTERED));
    assert!(steps(&run).iter().any(|(_, fact)| matches!(fact, Fact::LoopCut { .. })));
    assert!(matches!(run.ending, Ending::Waits { .. }));
    let still = Desk::with(vec![Step::Goto { to: Jump::Place(0) }]).run("");
    assert!(steps(&still).iter().any(|(at, fact)| *at == START && **fact == Fact::LoopCut { index: 0 }));
}

#[test]
fn a_customer_who_is_not_served_gets_what_the_account_says() {
    let desk = Desk::with(vec![asks(30)]);
    let heard = Content::Text { body: String::new() };
    let opening = Opening { welcome: Welcome::Blocked, ..opening() };
    let rehearsal = Rehearsal { opening, message: message(), variables: Variables::default(), answers: &desk.answers, seen_at: START };
    let run = rehearse(rehearsal, &desk.context(&heard));
    assert!(run.lines.iter().any(|line| line.fact == Fact::Blocked));
    assert!(matches!(run.ending, Ending::Closed { .. }), "{run:?}");
}
