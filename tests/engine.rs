//! The functions on the real engine: its tables, queues and secrets, and a proxy that injects failures.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, unreachable_pub)]

mod administration;
mod corpus;
mod documents;
mod members;
mod plan;
mod races;
mod store;
mod support;
mod webhooks;

use std::time::Duration;

use cloud::queues::SendOptions;
use cloud::timers::{Plan, Timers};
use domain::agent::PresenceState;
use domain::decide::{Event, Refusal};
use domain::effect::Target;
use domain::ids::{AgentId, InteractionId};
use domain::inbound::InboundEvent;
use domain::queue::Strategy;

use engine::jobs::{AssignJob, Wakeup};
use engine::ports::{Idempotency, Store};
use engine::{Reach, Told};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::StatusCode;
use providers::Parsed;
use receive::Kept;
use support::fault::When;
use support::{AUTH_TOKEN, Deployment, PREVIOUS_TOKEN, sid, text, webhook};

const FROM: &str = "whatsapp:+393331234567";

/// One account with one queue that has no members.
async fn account_alone(deployment: &Deployment) -> domain::account::Account {
    let queue = deployment.queue(Strategy::Beepall, &[]).await;
    deployment.account("ALONE", &[], &queue).await
}

#[tokio::test]
async fn a_warm_webhook_makes_exactly_two_aws_calls() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let first = receive.handle(&webhook(account.receive_path.reveal(), "", &text(&sid(1), FROM, "one"), Some(AUTH_TOKEN))).await;
    assert_eq!(first.status(), StatusCode::OK);
    deployment.proxy.calls();
    let second = receive.handle(&webhook(account.receive_path.reveal(), "", &text(&sid(2), FROM, "two"), Some(AUTH_TOKEN))).await;
    assert_eq!(second.status(), StatusCode::OK);
    assert_eq!(deployment.proxy.calls(), ["AmazonSQS.SendMessage", "DynamoDB_20120810.PutItem"]);
}

#[tokio::test]
async fn a_warm_message_to_an_agent_who_is_there_costs_one_query_one_presence_read_and_one_transaction() {
    let deployment = Deployment::new().await;
    let (account, _, _) = conversation(&deployment, "COSTS").await;
    let receive = deployment.receive();
    let write = async |number: usize| {
        let (message, from) = (sid(number), "whatsapp:+393400000001");
        let request = webhook(account.receive_path.reveal(), "", &text(&message, from, "more"), Some(AUTH_TOKEN));
        assert_eq!(receive.handle(&request).await.status(), StatusCode::OK);
        let [event] = deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.try_into().unwrap();
        deployment.proxy.calls();
        deployment.engine.route(&event).await.unwrap();
        deployment.proxy.calls()
    };
    write(11).await;
    let calls = write(12).await;
    assert_eq!(calls, ["Query", "GetItem", "TransactWriteItems"].map(|call| format!("DynamoDB_20120810.{call}")));
}

#[tokio::test]
async fn a_wake_of_a_queue_without_a_ready_agent_does_not_read_what_waits_there() {
    let deployment = Deployment::new().await;
    let agent = deployment.ready_agent("anna", 5).await;
    let queue = deployment.queue(Strategy::Rrmemory, std::slice::from_ref(&agent)).await;
    let account = deployment.account("NIGHT", std::slice::from_ref(&agent), &queue).await;
    let pause = PresenceState::Paused { reason: "Lunch".to_owned() };
    deployment.engine.set_presence(&agent, pause, Idempotency::Guarded).await.unwrap();
    for number in 1..=3 {
        open(&deployment, &account, number).await;
    }
    let wake = async || {
        deployment.proxy.calls();
        let woken = deployment.engine.wake(&Target::Queue(queue.clone()), Reach::Far).await.unwrap();
        (woken.rung, deployment.proxy.calls().iter().filter(|call| call.ends_with(".Query")).count())
    };
    wake().await;
    // Whether anything waits at all.
    assert_eq!(wake().await, (0, 1));
    deployment.engine.set_presence(&agent, PresenceState::Ready, Idempotency::Guarded).await.unwrap();
    assert_eq!(wake().await.0, 3);
}

#[tokio::test]
async fn a_webhook_without_valid_proof_of_origin_is_refused_before_anything_is_written() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let message = sid(1);
    let parameters = text(&message, FROM, "hello");
    for signed_with in [None, Some("another token")] {
        let answer = receive.handle(&webhook(account.receive_path.reveal(), "", &parameters, signed_with)).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    }
    let unknown = receive.handle(&webhook("/receive/twilio/nobodys", "", &parameters, Some(AUTH_TOKEN))).await;
    let nowhere = receive.handle(&webhook("/receive/twilio/", "", &parameters, Some(AUTH_TOKEN))).await;
    assert_eq!((unknown.status(), unknown.body()), (StatusCode::NOT_FOUND, nowhere.body()));
    assert!(deployment.store.event(&account.id, &message).await.unwrap().is_none());
    assert!(deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.is_empty());
}

#[tokio::test]
async fn a_webhook_signed_with_the_previous_secret_is_accepted_during_a_rotation() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let answer =
        deployment.receive().handle(&webhook(account.receive_path.reveal(), "", &text(&sid(1), FROM, "hi"), Some(PREVIOUS_TOKEN))).await;
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_malformed_webhook_gets_an_error_that_says_what_and_nothing_is_written() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let huge = "x".repeat(providers::twilio::BODY_LIMIT);
    let message = sid(1);
    let cases: Vec<(lambda_http::Request, StatusCode, &str)> = vec![
        (
            webhook(account.receive_path.reveal(), "", &text(&message, FROM, &huge), Some(AUTH_TOKEN)),
            StatusCode::PAYLOAD_TOO_LARGE,
            "longer than",
        ),
        (webhook(account.receive_path.reveal(), "", &text("", FROM, "hi"), Some(AUTH_TOKEN)), StatusCode::BAD_REQUEST, "MessageSid"),
        (webhook(account.receive_path.reveal(), "", &text(&message, "sms:1", "hi"), Some(AUTH_TOKEN)), StatusCode::BAD_REQUEST, "From"),
        (
            {
                let mut json = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hi"), Some(AUTH_TOKEN));
                json.headers_mut().insert("content-type", "application/json".parse().unwrap());
                json
            },
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "x-www-form-urlencoded",
        ),
    ];
    for (request, status, says) in cases {
        let answer = receive.handle(&request).await;
        assert_eq!(answer.status(), status, "{says}");
        let lambda_http::Body::Text(body) = answer.body() else { panic!("{says}") };
        assert!(body.contains(says), "{body}");
    }
    assert!(deployment.store.event(&account.id, &message).await.unwrap().is_none());
    assert!(deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.is_empty());
}

#[tokio::test]
async fn the_same_webhook_twice_or_twice_at_once_is_one_message() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let message = sid(1);
    let request = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hello"), Some(AUTH_TOKEN));
    let (first, second) = tokio::join!(receive.handle(&request), receive.handle(&request));
    let third = receive.handle(&request).await;
    assert!([first, second, third].iter().all(|answer| answer.status() == StatusCode::OK));
    deployment.route_inbound().await;
    // However the queue handled the duplicates, a second routing changes nothing.
    let (event, _) = deployment.store.event(&account.id, &message).await.unwrap().unwrap();
    deployment.engine.route(&event).await.unwrap();
    assert_eq!(thread_of(&deployment, &account, &message).await, ["hello"]);
}

#[tokio::test]
async fn a_webhook_that_comes_again_after_its_message_was_routed_changes_nothing() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let message = sid(1);
    let request = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hello"), Some(AUTH_TOKEN));
    let again = async || {
        deployment.proxy.calls();
        assert_eq!(deployment.warm_receiver().handle(&request).await.status(), StatusCode::OK);
        deployment.proxy.calls()
    };
    again().await;
    deployment.route_inbound().await;
    let (event, routed) = deployment.store.event(&account.id, &message).await.unwrap().unwrap();
    let key = deployment.engine.locate(&routed.unwrap().parse().unwrap()).await.unwrap();
    deployment
        .engine
        .tell(&key, Event::CloseForAll { by: AgentId::from_ulid(ulid::Ulid::nil()), disposition: None }, Idempotency::Guarded)
        .await
        .unwrap();
    assert_eq!(again().await, ["AmazonSQS.SendMessage", "DynamoDB_20120810.PutItem"]);
    // Whenever the queue delivers it again, even long after its conversation is over.
    for _ in 0..2 {
        deployment.engine.route(&event).await.unwrap();
    }
    assert_eq!(thread_of(&deployment, &account, &message).await, ["hello"]);
    let conversation = deployment.store.conversation(&key.conversation).await.unwrap();
    assert_eq!(conversation.open, None, "nothing opens");
}

#[tokio::test]
async fn reconcile_leaves_routed_messages_alone_and_enqueues_the_others() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let (routed, stored, lost) = (sid(1), sid(2), sid(3));
    let store = async |message: &str| {
        let request = webhook(account.receive_path.reveal(), "", &text(message, FROM, message), Some(AUTH_TOKEN));
        assert_eq!(deployment.warm_receiver().handle(&request).await.status(), StatusCode::OK);
        deployment.store.event(&account.id, message).await.unwrap().unwrap().0
    };
    let routed = store(&routed).await;
    deployment.route_inbound().await;
    let stored = store(&stored).await;
    deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await;
    let lost = InboundEvent { id: lost, ..stored.clone() };
    let listed = [routed, stored, lost].map(|event| Parsed { event, raw: String::new(), number: None });
    deployment.proxy.calls();
    let kept = deployment.ingest().keep_unrouted(listed.into()).await.unwrap();
    assert_eq!(kept, Kept { new: 1, repeated: 2 });
    let table = ["BatchGetItem", "PutItem", "PutItem"].map(|call| format!("DynamoDB_20120810.{call}"));
    // Both are one customer's, so one follows the other.
    let queue = ["SendMessageBatch"; 2].map(|call| format!("AmazonSQS.{call}"));
    assert_eq!(deployment.proxy.calls(), [&table[..1], &queue[..], &table[1..]].concat());
}

#[tokio::test]
async fn a_message_whose_event_could_not_be_stored_is_routed_and_the_provider_comes_again_in_vain() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let message = sid(1);
    let request = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hello"), Some(AUTH_TOKEN));
    deployment.proxy.fail("DynamoDB_20120810.PutItem", When::Before);
    assert_eq!(receive.handle(&request).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    deployment.proxy.heal();
    assert!(deployment.store.event(&account.id, &message).await.unwrap().is_none());
    // The queue has it, also if the provider never comes again.
    assert_eq!(deployment.route_inbound().await, 1);
    assert_eq!(receive.handle(&request).await.status(), StatusCode::OK);
    let (event, _) = deployment.store.event(&account.id, &message).await.unwrap().unwrap();
    deployment.engine.route(&event).await.unwrap();
    assert_eq!(thread_of(&deployment, &account, &message).await, ["hello"]);
}

#[tokio::test]
async fn a_message_that_the_queue_refuses_is_stored_with_the_effect_that_enqueues_it() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let effects = async |message: &str| {
        let request = webhook(account.receive_path.reveal(), "", &text(message, FROM, "hello"), Some(AUTH_TOKEN));
        let status = deployment.warm_receiver().handle(&request).await.status();
        let items = deployment.aws.dynamodb().scan().table_name("interactions").send().await.unwrap().items.unwrap();
        let stored = items.into_iter().find(|item| item["pk"].as_s().unwrap().ends_with(message)).unwrap();
        (status, stored.contains_key("effects"))
    };
    let (refused, taken) = (sid(1), sid(2));
    deployment.proxy.fail("AmazonSQS.SendMessage", When::Before);
    assert_eq!(effects(&refused).await, (StatusCode::SERVICE_UNAVAILABLE, true));
    deployment.proxy.heal();
    assert_eq!(effects(&taken).await, (StatusCode::OK, false), "nothing is enqueued twice");
}

#[tokio::test]
async fn a_failure_between_write_and_queue_is_completed_by_the_providers_retry() {
    for (target, when) in
        [("AmazonSQS.SendMessage", When::Before), ("AmazonSQS.SendMessage", When::After), ("DynamoDB_20120810.PutItem", When::After)]
    {
        let deployment = Deployment::new().await;
        let account = account_alone(&deployment).await;
        let receive = deployment.receive();
        let message = sid(1);
        let request = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hello"), Some(AUTH_TOKEN));
        deployment.proxy.fail(target, when);
        assert_eq!(receive.handle(&request).await.status(), StatusCode::SERVICE_UNAVAILABLE, "{target} {when:?}");
        deployment.proxy.heal();
        assert_eq!(receive.handle(&request).await.status(), StatusCode::OK);
        assert_eq!(deployment.route_inbound().await, 1, "{target} {when:?}");
        assert_eq!(thread_of(&deployment, &account, &message).await, ["hello"]);
    }
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_found_by_its_retry() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let message = sid(1);
    let request = webhook(account.receive_path.reveal(), "", &text(&message, FROM, "hello"), Some(AUTH_TOKEN));
    assert_eq!(deployment.receive().handle(&request).await.status(), StatusCode::OK);
    let [event] = deployment.drain::<InboundEvent>("INBOUND_QUEUE_URL").await.try_into().unwrap();
    deployment.proxy.fail("DynamoDB_20120810.TransactWriteItems", When::After);
    assert!(deployment.engine.route(&event).await.is_err());
    deployment.proxy.heal();
    deployment.engine.route(&event).await.unwrap();
    assert_eq!(thread_of(&deployment, &account, &message).await, ["hello"]);
}

#[tokio::test]
async fn a_hundred_customers_with_two_first_messages_at_the_same_instant_open_a_hundred_interactions() {
    let deployment = Deployment::new().await;
    let account = account_alone(&deployment).await;
    let receive = deployment.receive();
    let customers: Vec<String> = (0..100).map(|number| format!("whatsapp:+3933300{number:05}")).collect();
    for (number, from) in customers.iter().enumerate() {
        let (one, two) = (sid(2 * number), sid(2 * number + 1));
        let first = webhook(account.receive_path.reveal(), "", &text(&one, from, "first"), Some(AUTH_TOKEN));
        let second = webhook(account.receive_path.reveal(), "", &text(&two, from, "second"), Some(AUTH_TOKEN));
        let (first, second) = tokio::join!(receive.handle(&first), receive.handle(&second));
        assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
    }
    let mut opened = std::collections::BTreeSet::new();
    for number in 0..customers.len() {
        let one = deployment.store.event(&account.id, &sid(2 * number)).await.unwrap().unwrap().0;
        let two = deployment.store.event(&account.id, &sid(2 * number + 1)).await.unwrap().unwrap().0;
        // The test bypasses the queue, which would serialise the messages: the transaction alone must be enough.
        let (one, two) = tokio::join!(deployment.engine.route(&one), deployment.engine.route(&two));
        one.unwrap();
        two.unwrap();
        let first = interaction_of(&deployment, &account, &sid(2 * number)).await;
        let second = interaction_of(&deployment, &account, &sid(2 * number + 1)).await;
        assert_eq!(first, second);
        opened.insert(first);
    }
    assert_eq!(opened.len(), 100);
}

#[tokio::test]
async fn a_status_that_comes_late_repeated_or_out_of_order_never_moves_a_message_back() {
    let deployment = Deployment::new().await;
    let (account, interaction, agent) = conversation(&deployment, "STATE").await;
    let key = deployment.engine.locate(&interaction).await.unwrap();
    let sending = engine::Sending::new(
        domain::ids::MessageId::from_ulid(cloud::ids::ulid()),
        domain::message::Content::Text { body: "Good morning".into() },
    );
    let told = deployment.engine.send(&key, agent, sending, Idempotency::Command { id: "c1".into() }).await.unwrap();
    let Told::Changed { message: Some(message), .. } = told else { panic!("{told:?}") };
    let place = domain::effect::MessageKey { interaction: key.clone(), at: message.at, message: message.id.clone() };
    assert!(matches!(deployment.engine.claim(&place).await.unwrap(), engine::Claim::Send(_)));
    let receive = deployment.receive();
    let reference = place.reference().0;
    // Delivered and read arrive before the provider's own response, and sent arrives last.
    for state in ["delivered", "read", "delivered", "sent"] {
        let parameters = [("MessageSid", "SMout"), ("MessageStatus", state)];
        let path = format!("{}/status", account.receive_path.reveal());
        deployment.proxy.calls();
        let answer = receive.handle(&webhook(&path, &format!("?ref={reference}"), &parameters, Some(AUTH_TOKEN))).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let calls = deployment.proxy.calls();
        assert!(state == "delivered" || calls == ["AmazonSQS.SendMessage"], "once it is warm: {calls:?}");
        assert!(!calls.iter().any(|call| call.ends_with("PutItem")), "{calls:?}");
    }
    deployment.route_inbound().await;
    assert_eq!(deployment.store.event(&account.id, "SMout#read").await.unwrap(), None, "no item remembers it");
    deployment.engine.sent(&place, None, &engine::Sent::Accepted { provider_id: "SMout".into() }).await.unwrap();
    let message = deployment.store.message(&place).await.unwrap().unwrap();
    assert_eq!(message.delivery.unwrap().state, domain::message::DeliveryState::Read);
    assert_eq!(message.provider_id.as_deref(), Some("SMout"));
    // Without our reference, the provider's id identifies the same message.
    assert_eq!(deployment.store.message_by_provider_id(&account.id, "SMout").await.unwrap(), Some(place));
}

#[tokio::test]
async fn a_redelivered_message_that_was_claimed_is_marked_unknown_and_not_sent_again() {
    let deployment = Deployment::new().await;
    let (_, interaction, agent) = conversation(&deployment, "CLAIM").await;
    let key = deployment.engine.locate(&interaction).await.unwrap();
    let sending =
        engine::Sending::new(domain::ids::MessageId::from_ulid(cloud::ids::ulid()), domain::message::Content::Text { body: "once".into() });
    let Told::Changed { message: Some(message), .. } =
        deployment.engine.send(&key, agent, sending, Idempotency::Command { id: "c2".into() }).await.unwrap()
    else {
        panic!()
    };
    let place = domain::effect::MessageKey { interaction: key, at: message.at, message: message.id };
    assert!(matches!(deployment.engine.claim(&place).await.unwrap(), engine::Claim::Send(_)));
    let again = deployment.engine.claim(&place).await.unwrap();
    assert_eq!(again, engine::Claim::Settled(domain::message::DeliveryState::Unknown));
    assert_eq!(deployment.engine.claim(&place).await.unwrap(), again);
}

#[tokio::test]
async fn a_hundred_offers_accepted_by_two_agents_at_the_same_instant_have_one_winner_each() {
    let deployment = Deployment::new().await;
    let agents = [deployment.ready_agent("anna", 100).await, deployment.ready_agent("ben", 100).await];
    let queue = deployment.queue(Strategy::Beepall, &agents).await;
    let account = deployment.account("RACES", &agents, &queue).await;
    for number in 0..100 {
        let interaction = open(&deployment, &account, number).await;
        deployment.engine.wake(&Target::Queue(queue.clone()), Reach::Far).await.unwrap();
        let key = deployment.engine.locate(&interaction).await.unwrap();
        let accept = |agent: usize| {
            let event = Event::Accept { agent: agents[agent].clone() };
            deployment.engine.tell(&key, event, Idempotency::Command { id: format!("{number}-{agent}") })
        };
        let (anna, ben) = tokio::join!(accept(0), accept(1));
        let (winner, loser) = match (anna.unwrap(), ben.unwrap()) {
            (Told::Changed { .. }, loser) => (0, loser),
            (loser, Told::Changed { .. }) => (1, loser),
            both => panic!("nobody won: {both:?}"),
        };
        let Told::Refused(Refusal::OfferGone { owner }, _) = loser else { panic!("two winners: {loser:?}") };
        assert_eq!(owner, Some(agents[winner].clone()));
    }
    let presences = deployment.store.presences(&agents).await.unwrap();
    assert_eq!(presences.values().map(|presence| presence.load.len()).sum::<usize>(), 100);
}

#[tokio::test]
async fn an_agent_with_one_slot_who_accepts_two_offers_at_the_same_instant_gets_one() {
    let deployment = Deployment::new().await;
    for round in 0..100 {
        let one_slot = deployment.ready_agent(&format!("anna{round}"), 1).await;
        let other = deployment.ready_agent(&format!("ben{round}"), 1).await;
        let queue = deployment.queue(Strategy::Beepall, &[one_slot.clone(), other.clone()]).await;
        let account = deployment.account(&format!("S{round:04}"), &[one_slot.clone(), other], &queue).await;
        let first = open(&deployment, &account, 2 * round).await;
        let second = open(&deployment, &account, 2 * round + 1).await;
        deployment.engine.wake(&Target::Queue(queue), engine::Reach::Far).await.unwrap();
        let accept = async |interaction: &InteractionId| {
            let key = deployment.engine.locate(interaction).await.unwrap();
            let mark = Idempotency::Command { id: interaction.to_string() };
            deployment.engine.tell(&key, Event::Accept { agent: one_slot.clone() }, mark).await.unwrap()
        };
        let (one, two) = tokio::join!(accept(&first), accept(&second));
        let won = [&one, &two].into_iter().filter(|told| matches!(told, Told::Changed { .. })).count();
        assert_eq!(won, 1, "{one:?} {two:?}");
        let presence = deployment.store.presences(std::slice::from_ref(&one_slot)).await.unwrap();
        assert_eq!(presence[&one_slot].load.len(), 1);
    }
}

#[tokio::test]
async fn a_wait_up_to_15_minutes_comes_by_sqs_and_a_longer_one_by_a_schedule() {
    let deployment = Deployment::new().await;
    let scheduler = deployment.aws.scheduler();
    scheduler.create_schedule_group().name("timers").send().await.unwrap();
    let timers = Timers::from_env(&deployment.aws, &deployment.env).unwrap();
    let now = Timestamp::now();
    let job = |name: &str| AssignJob::wake(Target::Agent(format!("agt_{name:0>26}").parse().unwrap()));
    let by_queue = timers.arm("by-queue", now + SignedDuration::from_secs(1), now, &job("QUEUE")).await.unwrap();
    assert!(matches!(by_queue, Plan::Delay { .. }));
    // The clock is 15 minutes behind. The schedule is due two minutes before its deadline, so it fires in two
    // seconds.
    let at = now + SignedDuration::from_secs(122);
    let by_schedule = timers.arm("by-schedule", at, now - SignedDuration::from_secs(900), &job("SCHEDULE")).await.unwrap();
    assert!(matches!(by_schedule, Plan::Schedule { .. }));
    // Arming the same timer again makes no second one.
    timers.arm("by-schedule", at, now - SignedDuration::from_secs(900), &job("SCHEDULE")).await.unwrap();
    let mut came = Vec::new();
    while came.len() < 2 && now.duration_until(Timestamp::now()) < SignedDuration::from_secs(30) {
        came.extend(deployment.drain::<AssignJob>("TIMERS_QUEUE_URL").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(came, [job("QUEUE"), job("SCHEDULE")]);
    // The schedule deletes itself.
    let left = scheduler.list_schedules().group_name("timers").send().await.unwrap();
    assert!(left.schedules().is_empty());
}

#[tokio::test]
async fn a_schedule_that_cannot_deliver_its_timer_ends_among_the_dead_letters() {
    let deployment = Deployment::new().await;
    let scheduler = deployment.aws.scheduler();
    scheduler.create_schedule_group().name("timers").send().await.unwrap();
    let dead_letters = "arn:aws:sqs:us-east-1:000000000000:dead-letters";
    let env = deployment.env_with(&[("SCHEDULES_DEAD_LETTER_ARN", dead_letters)]);
    let timers = Timers::from_env(&deployment.aws, &env).unwrap();
    let now = Timestamp::now();
    let job = AssignJob::wake(Target::Agent(format!("agt_{:0>26}", "A").parse().unwrap()));
    timers.arm("far", now + SignedDuration::from_hours(1), now, &job).await.unwrap();
    let made = scheduler.get_schedule().group_name("timers").name("far").send().await.unwrap();
    let target = made.target().unwrap();
    assert_eq!(target.dead_letter_config().and_then(|config| config.arn()), Some(dead_letters));
}

#[tokio::test]
async fn an_agent_without_a_connection_since_losing_the_last_one_is_logged_out() {
    let deployment = Deployment::new().await;
    let agent = deployment.ready_agent("anna", 5).await;
    let store = &deployment.store;
    let now = Timestamp::from_millisecond(Timestamp::now().as_millisecond()).unwrap();
    let connect = async |id: &str| {
        let expires_at = now + SignedDuration::from_hours(2);
        let connection = ::store::Connection { id: id.to_owned(), agent: agent.clone(), opened_at: now, expires_at };
        store.connect(&connection).await.unwrap();
    };
    connect("one").await;
    connect("two").await;
    store.lose(&agent, "one", now).await.unwrap();
    assert!(!store.is_gone(&agent, now, now).await.unwrap(), "another is open");
    let later = now + SignedDuration::from_secs(5);
    store.lose(&agent, "two", later).await.unwrap();
    assert!(!store.is_gone(&agent, now, later).await.unwrap(), "the later loss has a wake-up of its own");
    assert!(store.is_gone(&agent, later, later).await.unwrap());
    connect("three").await;
    assert!(!store.is_gone(&agent, later, later).await.unwrap());
    assert!(store.is_gone(&agent, later, now + SignedDuration::from_hours(3)).await.unwrap(), "a connection ends after two hours");
}

#[tokio::test]
async fn a_poisoned_record_goes_to_the_dead_letter_queue_and_the_rest_of_its_batch_goes_on() {
    let deployment = Deployment::new().await;
    let record = |id: &str, body: &str| {
        serde_json::json!({ "messageId": id, "receiptHandle": id, "body": body, "attributes": {}, "messageAttributes": {},
            "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:timers", "awsRegion": "us-east-1" })
    };
    let good = cloud::envelope::Envelope::new(Wakeup::Withdraw {
        interaction: InteractionId::from_ulid(cloud::ids::ulid()),
        agent: domain::ids::AgentId::from_ulid(cloud::ids::ulid()),
    });
    let good = serde_json::to_string(&good).unwrap();
    let batch =
        serde_json::json!({ "Records": [record("poison", "not json"), record("good", &good), record("future", r#"{"v":99,"job":{}}"#)] });
    let handled = std::sync::Mutex::new(Vec::new());
    let response = cloud::batch::each(serde_json::from_value(batch).unwrap(), &deployment.queues["TIMERS_QUEUE_URL"], |job: Wakeup, _| {
        handled.lock().unwrap().push(job);
        async { Ok(()) }
    })
    .await;
    let failed: Vec<_> = response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
    assert_eq!(failed, ["poison", "future"]);
    assert_eq!(handled.lock().unwrap().len(), 1);
    // Sending through the real queue keeps the envelope.
    deployment.send_raw("MEDIA_QUEUE_URL", &"job", SendOptions::default()).await;
    assert_eq!(deployment.drain::<String>("MEDIA_QUEUE_URL").await, ["job"]);
}

/// Opens an interaction with customer `number`.
async fn open(deployment: &Deployment, account: &domain::account::Account, number: usize) -> InteractionId {
    let from = format!("whatsapp:+3934{number:08}");
    let message = format!("{}{}", account.key, sid(number));
    let request = webhook(account.receive_path.reveal(), "", &text(&message, &from, "hello"), Some(AUTH_TOKEN));
    assert_eq!(deployment.warm_receiver().handle(&request).await.status(), StatusCode::OK);
    deployment.route_inbound().await;
    interaction_of(deployment, account, &message).await
}

/// A conversation with an interaction that an agent has accepted.
async fn conversation(deployment: &Deployment, key: &str) -> (domain::account::Account, InteractionId, domain::ids::AgentId) {
    let agent = deployment.ready_agent("anna", 5).await;
    let queue = deployment.queue(Strategy::Rrmemory, std::slice::from_ref(&agent)).await;
    let account = deployment.account(key, std::slice::from_ref(&agent), &queue).await;
    let interaction = open(deployment, &account, 1).await;
    deployment.engine.wake(&Target::Queue(queue), engine::Reach::Far).await.unwrap();
    let place = deployment.engine.locate(&interaction).await.unwrap();
    let mark = Idempotency::Command { id: format!("accept {key}") };
    let told = deployment.engine.tell(&place, Event::Accept { agent: agent.clone() }, mark).await.unwrap();
    assert!(matches!(told, Told::Changed { .. }), "{told:?}");
    (account, interaction, agent)
}

async fn interaction_of(deployment: &Deployment, account: &domain::account::Account, message: &str) -> InteractionId {
    let (_, routed) = deployment.store.event(&account.id, message).await.unwrap().unwrap();
    routed.unwrap().parse().unwrap()
}

/// The texts in the interaction of a message.
async fn thread_of(deployment: &Deployment, account: &domain::account::Account, message: &str) -> Vec<String> {
    let interaction = interaction_of(deployment, account, message).await;
    let key = deployment.engine.locate(&interaction).await.unwrap();
    let interaction = deployment.store.interaction(&key).await.unwrap().unwrap();
    deployment.store.all_messages(&interaction).await.unwrap().iter().map(|message| message.content.readable()).collect()
}
