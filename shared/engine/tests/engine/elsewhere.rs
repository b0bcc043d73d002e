//! What the business writes outside this deployment, the history of a number that is taken over, calls, refusals of
//! marketing, and alerts: all of it is shown or kept, and none of it rings.

use domain::decide::WRITTEN_ELSEWHERE;
use domain::effect::Notice;
use domain::ids::{AccountId, InteractionId};
use domain::inbound::{Alert, Annotated, Elsewhere, InboundAttachment, InboundEvent, InboundKind, ProfileName};
use domain::interaction::{Interaction, Status};
use domain::message::{Author, Content, DeliveryState, Message, Origin};
use domain::queue::Strategy;
use engine::ports::Store;

use crate::driver::{Job, Sim, phone};

fn said(sim: &mut Sim, id: &str, customer: u32, origin: Option<Origin>, content: Content) -> InboundEvent {
    let said = Elsewhere {
        provider_id: id.to_owned(),
        customer: phone(customer),
        alias: None,
        profile_name: Some(ProfileName("Zoë".to_owned())),
        from_customer: false,
        origin,
        sent_at: None,
        content,
        attachments: Vec::new(),
        reply_to: None,
        words: None,
        cut: false,
    };
    let mut event = sim.event(customer);
    event.id = format!("{id}-event");
    event.kind = InboundKind::Elsewhere(said);
    event
}

/// The event arrives, is delivered again, and changes nothing then.
fn arrives_twice(sim: &mut Sim, event: &InboundEvent) -> Option<String> {
    let went = sim.annotated(event);
    let before = sim.memory.messages();
    sim.jobs.extend([Job::route(event)]);
    sim.settle();
    assert_eq!(sim.memory.messages(), before);
    went
}

fn text(body: &str) -> Content {
    Content::Text { body: body.to_owned() }
}

/// The interaction as it was, apart from its version.
fn state(interaction: Interaction) -> Interaction {
    Interaction { version: 0, ..interaction }
}

fn thread(sim: &Sim, interaction: &InteractionId) -> Vec<Message> {
    sim.memory.messages().into_iter().map(|(_, message)| message).filter(|message| message.interaction == *interaction).collect()
}

#[test]
fn an_echo_joins_the_open_interaction_and_its_agent_sees_it_and_nothing_else_happens() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    sim.inactivity_timeout(10);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let before = state(sim.interaction(&interaction));
    let (timers, told) = (sim.timers.len(), sim.shown(&agents[0], &interaction).len());
    let event = said(&mut sim, "echo", 1, Some(Origin::PhoneApp), text("from the phone"));
    assert_eq!(arrives_twice(&mut sim, &event).as_deref(), Some(interaction.as_str()));
    assert_eq!(state(sim.interaction(&interaction)), before, "it is still unanswered, and no timer moves");
    assert_eq!(sim.timers.len(), timers);
    assert_eq!(sim.shown(&agents[0], &interaction)[told..], [Notice::Message]);
    let echo = thread(&sim, &interaction).into_iter().find(|message| message.origin.is_some()).unwrap();
    assert_eq!((echo.author, echo.content, echo.origin), (Author::System, text("from the phone"), Some(Origin::PhoneApp)));
    assert!(echo.delivery.is_none(), "it is never sent by us");
    assert_eq!(thread(&sim, &interaction).len(), 2);
}

#[test]
fn an_echo_neither_stops_a_ring_nor_starts_one() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let ringing = sim.writes(1);
    let event = said(&mut sim, "echo", 1, Some(Origin::PhoneApp), text("from the phone"));
    assert_eq!(sim.annotated(&event).as_deref(), Some(ringing.as_str()));
    assert_eq!(sim.rings_at(&ringing), agents);
    assert!(sim.interaction(&ringing).unread);
}

#[test]
fn an_echo_after_the_close_joins_the_closed_interaction() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    sim.close(&agents[0], &interaction).unwrap();
    let event = said(&mut sim, "echo", 1, Some(Origin::OtherSystem), text("later"));
    assert_eq!(sim.annotated(&event).as_deref(), Some(interaction.as_str()));
    assert_eq!(sim.interaction(&interaction).status, Status::Closed);
    assert_eq!(thread(&sim, &interaction).last().unwrap().content, text("later"));
    // The customer's answer opens another one.
    let next = sim.writes(1);
    assert_ne!(next, interaction);
}

#[test]
fn what_is_written_to_a_customer_whom_nobody_here_knows_opens_nothing_and_is_found_in_the_past() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let first = said(&mut sim, "echo-1", 1, Some(Origin::PhoneApp), text("one"));
    let aside: InteractionId = sim.annotated(&first).unwrap().parse().unwrap();
    let found = sim.interaction(&aside);
    assert_eq!(
        (found.status, found.disposition.as_deref(), found.unread, &found.wait),
        (Status::Closed, Some(WRITTEN_ELSEWHERE), false, &None)
    );
    let second = said(&mut sim, "echo-2", 1, Some(Origin::PhoneApp), text("two"));
    assert_eq!(sim.annotated(&second).as_deref(), Some(aside.as_str()));
    assert_eq!(thread(&sim, &aside).len(), 2);
    assert!(sim.timers.is_empty());
    // The customer is the same when writing back.
    let interaction = sim.writes(1);
    assert_eq!(sim.interaction(&interaction).contact, found.contact);
    assert_eq!(sim.interaction(&interaction).status, Status::Open);
}

#[test]
fn one_of_our_own_messages_is_not_shown_twice() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let own = sim.answers(&agents[0], &interaction).unwrap();
    let event = said(&mut sim, &format!("SM{own}"), 1, Some(Origin::OtherSystem), text("the same"));
    assert_eq!(sim.annotated(&event).as_deref(), Some("-"));
    assert_eq!(thread(&sim, &interaction).len(), 2);
    // Reports on an echo change nothing either.
    let echo = said(&mut sim, "echo", 1, Some(Origin::PhoneApp), text("from the phone"));
    sim.annotated(&echo);
    let mut report = sim.report(&own, DeliveryState::Read);
    if let InboundKind::Status(status) = &mut report.kind {
        (status.reference, status.provider_id) = (None, "echo".to_owned());
    }
    let before = sim.memory.messages();
    sim.annotated(&report);
    assert_eq!((sim.memory.messages(), sim.jobs.len(), sim.memory.message_of(&sim.account, "echo").is_some()), (before, 0, true));
}

#[test]
fn a_number_that_is_taken_over_brings_its_history_into_a_closed_interaction_and_files_follow() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let open = sim.writes(1);
    let placeholder = Content::Unsupported { kind: Elsewhere::PLACEHOLDER.to_owned(), detail: None };
    let mut old = said(&mut sim, "old-1", 1, Some(Origin::History), text("Grazie"));
    if let InboundKind::Elsewhere(said) = &mut old.kind {
        (said.from_customer, said.sent_at) = (true, Some("2025-12-01T10:00:00Z".parse().unwrap()));
    }
    let file = said(&mut sim, "old-2", 1, Some(Origin::History), placeholder);
    let aside: InteractionId = sim.annotated(&old).unwrap().parse().unwrap();
    assert_eq!(sim.annotated(&file).as_deref(), Some(aside.as_str()));
    assert_ne!(aside, open);
    assert_eq!(sim.interaction(&aside).contact, sim.interaction(&open).contact);
    assert_eq!(sim.rings_at(&open), agents);
    let mut details = said(&mut sim, "old-2", 1, Some(Origin::History), Content::Media { caption: "La foto".to_owned() });
    details.id = "old-2-file".to_owned();
    if let InboundKind::Elsewhere(said) = &mut details.kind {
        let source = "24230790383178626".to_owned();
        said.attachments = vec![InboundAttachment { source, content_type: "image/jpeg".to_owned(), name: None, kind: None, sha256: None }];
    }
    assert_eq!(sim.annotated(&details).as_deref(), Some(aside.as_str()));
    let messages = thread(&sim, &aside);
    assert_eq!(messages.iter().map(|message| message.author.clone()).collect::<Vec<_>>(), [Author::Customer, Author::System]);
    assert_eq!((messages[1].content.readable().as_str(), messages[1].attachments.len()), ("La foto", 1));
    // It opens no service window: the customer wrote long ago.
    let conversation = sim.interaction(&aside).conversation();
    let heard = futures_now(sim.memory.conversation(&conversation)).last_inbound_at;
    assert_eq!(heard, sim.interaction(&open).last_message.map(|last| last.at));
}

#[test]
fn a_missed_call_is_a_line_in_the_thread() {
    let (mut sim, agents, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    sim.accept(&agents[0], &interaction).unwrap();
    let call = said(&mut sim, "wacid.1", 1, None, Content::System { body: "Missed call from the customer".to_owned() });
    assert_eq!(sim.annotated(&call).as_deref(), Some(interaction.as_str()));
    assert_eq!(thread(&sim, &interaction).last().unwrap().content.readable(), "Missed call from the customer");
}

#[test]
fn a_customer_who_stops_marketing_messages_is_known_by_it_on_this_account_only() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    let contact = sim.interaction(&interaction).contact;
    let refuses = |sim: &Sim, account: &AccountId| futures_now(sim.memory.contact(&contact)).unwrap().refuses_marketing(account);
    let account = sim.interaction(&interaction).account;
    for stopped in [true, false] {
        sim.wait(1);
        let event = sim.annotation(1, Annotated::Marketing { stopped, body: format!("stopped: {stopped}") });
        assert_eq!(arrives_twice(&mut sim, &event).as_deref(), Some(interaction.as_str()));
        assert_eq!(refuses(&sim, &account), stopped);
        assert!(!refuses(&sim, &AccountId::from_ulid(ulid::Ulid::nil())));
        assert_eq!(thread(&sim, &interaction).last().unwrap().content.readable(), format!("stopped: {stopped}"));
    }
    // A refusal that arrives late doesn't count.
    let mut late = sim.annotation(1, Annotated::Marketing { stopped: true, body: "late".to_owned() });
    if let InboundKind::Annotation(annotation) = &mut late.kind {
        annotation.sent_at = Some("2020-01-01T00:00:00Z".parse().unwrap());
    }
    sim.annotated(&late);
    assert!(!refuses(&sim, &account));
    let stranger = sim.annotation(9, Annotated::Marketing { stopped: true, body: "stop".to_owned() });
    assert_eq!(sim.annotated(&stranger).as_deref(), Some("-"));
}

#[test]
fn without_proof_a_refusal_of_marketing_is_a_line_and_nothing_more() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let interaction = sim.writes(1);
    let contact = sim.interaction(&interaction).contact;
    for _ in 0..2 {
        sim.wait(1);
        let mut event = sim.annotation(1, Annotated::Marketing { stopped: true, body: "stopped".to_owned() });
        event.proven = Some(false);
        sim.annotated(&event);
    }
    let account = sim.interaction(&interaction).account;
    assert!(!futures_now(sim.memory.contact(&contact)).unwrap().refuses_marketing(&account));
    let lines = thread(&sim, &interaction).into_iter().filter(|message| message.content.readable() == "stopped").count();
    assert_eq!(lines, 1, "a claim is told once");
}

#[test]
fn an_alert_is_kept_with_its_account_once() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let alert = Alert {
        name: "account_update".to_owned(),
        event: Some("DISABLED_UPDATE".to_owned()),
        detail: "event: DISABLED_UPDATE".to_owned(),
        at: None,
        unproven: false,
    };
    let mut event = sim.event(1);
    event.kind = InboundKind::Alert(alert.clone());
    assert_eq!(arrives_twice(&mut sim, &event).as_deref(), Some("-"));
    assert_eq!(sim.memory.alerts(&event.account), [alert]);
    assert!(sim.memory.interactions().is_empty());
}

#[test]
fn an_echo_and_an_alert_that_came_without_proof_say_so() {
    for (proven, unproven) in [(None, false), (Some(true), false), (Some(false), true)] {
        let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
        let interaction = sim.writes(1);
        let mut echo = sim.echo(1, Origin::PhoneApp);
        echo.proven = proven;
        sim.annotated(&echo);
        let told: Vec<bool> =
            thread(&sim, &interaction).iter().filter(|message| message.origin.is_some()).map(|message| message.unproven).collect();
        assert_eq!(told, [unproven], "{proven:?}");
        let mut alert = sim.event(1);
        alert.kind =
            InboundKind::Alert(Alert { name: "account_update".into(), event: None, detail: String::new(), at: None, unproven: false });
        alert.proven = proven;
        sim.annotated(&alert);
        assert_eq!(sim.memory.alerts(&alert.account)[0].unproven, unproven, "{proven:?}");
    }
}

#[test]
fn a_message_that_is_sent_once_more_after_its_event_has_expired_changes_nothing() {
    let (mut sim, _, _) = Sim::desk(Strategy::Beepall, 1);
    let event = sim.event(1);
    let interaction = sim.receives(&event);
    // The table has forgotten the event, but not the message.
    let again = InboundEvent { id: format!("{}-again", event.id), ..event };
    sim.annotated(&again);
    assert_eq!(thread(&sim, &interaction).len(), 1);
}

/// The value of a future that is ready at once.
fn futures_now<T, E: std::fmt::Debug>(future: impl Future<Output = Result<T, E>>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(ready) = future.as_mut().poll(&mut context) {
            return ready.unwrap();
        }
    }
}
