//! Whole sends against the in-memory engine. The test sets the provider's answers.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::{Client, Http, Keys};
use cloud::aws::CallError;
use cloud::batch::Failure;
use cloud::secrets::SecretError;
use domain::account::{Account, Credentials};
use domain::effect::{Effect, MessageKey};
use domain::fixtures::{self, account};
use domain::ids::{AgentId, MessageId};
use domain::interaction::{Interaction, Status};
use domain::message::{ApprovedTemplate, Attachment, Author, Content, Copy, Delivery, DeliveryState, ErrorClass, Measures, Message};
use domain::values::Secret;
use engine::jobs::SendJob;
use engine::memory::{Fault, Memory, MemoryDirectory, ReadFault, VirtualWorld};
use engine::ports::{Commit, Committed, Idempotency, Store};
use engine::{Engine, Sent};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use providers::{Answer, Authorization, Hosts, OutgoingRequest, TransportFailure};
use ulid::Ulid;

use crate::sender::{Files, Pauses, Sender};

type Said = Result<Answer, TransportFailure>;

/// Records each request with the message's state in the table at that moment, and answers from a list.
#[derive(Clone)]
struct FakeApi {
    memory: Memory,
    script: Arc<Mutex<VecDeque<Said>>>,
    calls: Arc<Mutex<Vec<(OutgoingRequest, DeliveryState)>>>,
}

impl Http for FakeApi {
    async fn call(&self, request: OutgoingRequest) -> Said {
        let state = self.memory.messages()[0].1.delivery.as_ref().unwrap().state;
        self.calls.lock().unwrap().push((request, state));
        self.script.lock().unwrap().pop_front().expect("a call that no test expects")
    }
}

/// The cached secret, and the result of a refetch.
#[derive(Clone)]
struct FakeKeys {
    cached: Result<&'static str, SecretError>,
    fresh: Arc<Mutex<Option<&'static str>>>,
}

fn credentials(token: &str) -> Credentials {
    Credentials::default().with("auth_token", token)
}

impl Keys for FakeKeys {
    async fn get(&self, _: &Account) -> Result<Credentials, SecretError> {
        self.cached.clone().map(credentials)
    }

    async fn refetch(&self, _: &Account) -> Result<Option<Credentials>, SecretError> {
        Ok(self.fresh.lock().unwrap().take().map(credentials))
    }
}

fn keys(cached: Result<&'static str, SecretError>, fresh: Option<&'static str>) -> FakeKeys {
    FakeKeys { cached, fresh: Arc::new(Mutex::new(fresh)) }
}

struct FakeFiles;

impl Files for FakeFiles {
    async fn link(&self, key: &str) -> Result<String, CallError> {
        Ok(format!("https://bucket.example/{key}?signed"))
    }
}

type TestSender = Sender<Memory, MemoryDirectory, VirtualWorld, FakeApi, FakeKeys, FakeFiles>;

struct Scene {
    memory: Memory,
    world: VirtualWorld,
    api: FakeApi,
    sender: Arc<TestSender>,
    key: MessageKey,
}

fn now() -> Timestamp {
    "2026-01-01T10:00:00Z".parse().unwrap()
}

fn interaction() -> Interaction {
    fixtures::interaction(Status::Open, now())
}

fn message() -> Message {
    Message {
        author: Author::Agent { agent: AgentId::from_ulid(Ulid::from_parts(1, 7)) },
        delivery: Some(Delivery { state: DeliveryState::Queued, since: now(), error: None, attempts: 0, claim: None }),
        ..fixtures::message(now())
    }
}

/// A waiting message. The customer's latest message came a minute before.
async fn scene(said: impl IntoIterator<Item = Said>) -> Scene {
    scene_with(message(), said).await
}

async fn scene_with(message: Message, said: impl IntoIterator<Item = Said>) -> Scene {
    let (memory, world) = (Memory::new(), VirtualWorld::new(now(), 1));
    memory.directory().put_account(account());
    let key = MessageKey { interaction: interaction().key(), at: message.at, message: message.id.clone() };
    let seed = Commit {
        messages: vec![(message, vec![Effect::Send])],
        last_inbound_at: Some(now() - SignedDuration::from_mins(1)),
        ..Commit::plain(None, interaction())
    };
    assert_eq!(memory.commit(seed).await.unwrap(), Committed::Done);
    memory.take_effects();
    let api = FakeApi { memory: memory.clone(), script: Arc::new(Mutex::new(said.into_iter().collect())), calls: Arc::default() };
    let sender = Sender {
        engine: Engine { store: memory.clone(), directory: memory.directory(), world: world.clone() },
        client: client_with(&api, keys(Ok("t0ken"), None)),
        files: FakeFiles,
        public_url: "https://connector.example/prod".into(),
        pauses: Pauses::default(),
        count: |_, _| {},
    };
    Scene { memory, world, api, sender: Arc::new(sender), key }
}

fn client_with(api: &FakeApi, keys: FakeKeys) -> Client<FakeApi, FakeKeys> {
    let hosts = Hosts::all(|_, address| Ok::<_, SecretError>(address.to_owned())).unwrap();
    Client::new(api.clone(), keys, hosts)
}

impl Scene {
    /// Puts other credentials into the store.
    fn set_keys(&mut self, keys: FakeKeys) {
        Arc::get_mut(&mut self.sender).unwrap().client = client_with(&self.api, keys);
    }

    async fn deliver(&self) -> Result<(), Failure> {
        self.deliver_as_of(None).await
    }

    /// Delivers the job of a version that knew this time of the customer's latest message.
    async fn deliver_as_of(&self, heard_at: Option<Timestamp>) -> Result<(), Failure> {
        self.sender.handle(&SendJob { message: self.key.clone(), heard_at }, 1).await
    }

    fn message(&self) -> Message {
        self.memory.messages()[0].1.clone()
    }

    fn delivery(&self) -> Delivery {
        self.message().delivery.unwrap()
    }

    fn failed_as(&self) -> ErrorClass {
        let delivery = self.delivery();
        assert_eq!(delivery.state, DeliveryState::Failed);
        delivery.error.unwrap().class
    }

    fn calls(&self) -> Vec<(OutgoingRequest, DeliveryState)> {
        self.api.calls.lock().unwrap().clone()
    }
}

fn said(status: u16, body: &str) -> Said {
    Ok(Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, body: body.into() })
}

fn taken() -> Said {
    said(201, r#"{"sid":"SM1","status":"queued"}"#)
}

#[tokio::test]
async fn a_message_is_claimed_before_the_call_and_keeps_the_providers_id() {
    let scene = scene([taken()]).await;
    assert_eq!(scene.deliver().await, Ok(()));
    let calls = scene.calls();
    assert_eq!((calls.len(), calls[0].1), (1, DeliveryState::Sending));
    assert_eq!(scene.message().provider_id.as_deref(), Some("SM1"));
    assert_eq!(scene.delivery().state, DeliveryState::Accepted);
    assert_eq!(scene.memory.message_by_provider_id(&account().id, "SM1").await.unwrap(), Some(scene.key.clone()));
}

#[tokio::test]
async fn statuses_come_back_to_the_receive_url_with_our_reference() {
    let mut elsewhere = account();
    elsewhere.domain = Some("wa.customer.example".into());
    for (account, base) in [(account(), "https://connector.example/prod"), (elsewhere, "https://wa.customer.example")] {
        let scene = scene([taken()]).await;
        scene.memory.directory().put_account(account);
        scene.deliver().await.unwrap();
        let body = String::from_utf8(scene.calls()[0].0.body.clone()).unwrap();
        let callback = format!("{base}/receive/twilio/T0KEN/status?ref={}", scene.key.reference().0);
        let escaped = callback.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D");
        assert!(body.contains(&format!("StatusCallback={escaped}")), "{body}");
    }
}

#[tokio::test]
async fn a_job_that_knows_an_open_window_needs_no_look_at_the_conversation() {
    let minutes_ago = |minutes| Some(now() - SignedDuration::from_mins(minutes));
    // The message, and nothing else, which the writes guard.
    let reads = async |heard_at| {
        let scene = scene([taken()]).await;
        let counted = Arc::new(Mutex::new(0));
        let counter = Arc::clone(&counted);
        scene.memory.inject_reads(move || {
            *counter.lock().unwrap() += 1;
            ReadFault::None
        });
        assert_eq!(scene.deliver_as_of(heard_at).await, Ok(()));
        assert_eq!(scene.delivery().state, DeliveryState::Accepted);
        *counted.lock().unwrap()
    };
    let with = reads(minutes_ago(5)).await;
    // A job that knows nothing, or an older message, asks whether the customer has written since.
    assert_eq!((reads(None).await, reads(minutes_ago(25 * 60)).await), (with + 1, with + 1));
}

#[tokio::test]
async fn a_message_that_is_read_too_early_is_sent_once_all_the_same() {
    let stale = |scene: &Scene, on: bool| scene.memory.inject_reads(move || if on { ReadFault::Stale } else { ReadFault::None });
    // It is not there yet where it is read first.
    let late = scene([taken()]).await;
    stale(&late, true);
    assert_eq!(late.deliver().await, Ok(()));
    assert_eq!((late.calls().len(), late.delivery().state), (1, DeliveryState::Accepted));
    // Another attempt has claimed it, or is through with it, and the replica does not know.
    for through in [false, true] {
        let scene = scene([taken()]).await;
        match through {
            false => drop(scene.sender.engine.claim(&scene.key).await.unwrap()),
            true => scene.deliver().await.unwrap(),
        }
        let calls = scene.calls().len();
        stale(&scene, true);
        assert_eq!(scene.deliver().await, Ok(()));
        assert_eq!(scene.calls().len(), calls, "nothing is called again");
        assert_eq!(scene.delivery().state, if through { DeliveryState::Accepted } else { DeliveryState::Unknown });
    }
}

#[tokio::test]
async fn a_redelivery_after_success_calls_nothing() {
    let scene = scene([taken()]).await;
    scene.deliver().await.unwrap();
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.calls().len(), 1);
}

#[tokio::test]
async fn a_redelivery_that_finds_a_claimed_message_calls_nothing_and_marks_it_unknown() {
    let scene = scene([]).await;
    scene.sender.engine.claim(&scene.key).await.unwrap();
    assert_eq!(scene.deliver().await, Ok(()));
    assert!(scene.calls().is_empty());
    assert_eq!(scene.delivery().state, DeliveryState::Unknown);
    assert_eq!(scene.deliver().await, Ok(()));
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn two_deliveries_at_once_call_the_provider_once() {
    for _ in 0..100 {
        let scene = scene([taken()]).await;
        let (one, other) = tokio::join!(scene.deliver(), scene.deliver());
        assert_eq!((one, other), (Ok(()), Ok(())));
        assert_eq!(scene.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_timeout_is_marked_and_never_repeated() {
    for unclear in [Err(TransportFailure::OutcomeUnknown), said(503, "<html>"), said(201, "")] {
        let scene = scene([unclear]).await;
        assert_eq!(scene.deliver().await, Ok(()));
        assert_eq!(scene.deliver().await, Ok(()));
        assert_eq!(scene.calls().len(), 1);
        assert_eq!(scene.delivery().state, DeliveryState::Unknown);
    }
}

#[tokio::test]
async fn a_message_is_not_sent_once_the_window_is_over() {
    let scene = scene([]).await;
    scene.world.advance(SignedDuration::from_hours(24));
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.failed_as(), ErrorClass::WindowExpired);
    assert!(scene.calls().is_empty());
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_the_message_sent_after_it() {
    let limited = Ok(Answer { status: StatusCode::TOO_MANY_REQUESTS, retry_after: Some("17".into()), body: vec![] });
    let scene = scene([limited, said(400, r#"{"code":20429}"#), taken()]).await;
    assert_eq!(scene.deliver().await, Err(Failure::Wait(17)));
    assert_eq!((scene.delivery().state, scene.delivery().attempts), (DeliveryState::Queued, 1));
    scene.world.advance(SignedDuration::from_secs(16));
    assert_eq!(scene.deliver().await, Err(Failure::Wait(1)), "the number's pause is not over: nothing is called");
    assert_eq!(scene.calls().len(), 1);
    scene.world.advance(SignedDuration::from_secs(1));
    assert_eq!(scene.deliver().await, Err(Failure::Wait(2)));
    scene.world.advance(SignedDuration::from_secs(2));
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!((scene.delivery().state, scene.delivery().attempts), (DeliveryState::Accepted, 2));
}

#[tokio::test]
async fn waiting_for_a_rate_limit_ends_with_the_window() {
    let scene = scene((0..200).map(|_| said(429, ""))).await;
    let mut receipts = 0;
    while let Err(failure) = scene.deliver().await {
        let Failure::Wait(seconds) = failure else { panic!("{failure:?}") };
        scene.world.advance(SignedDuration::from_secs(i64::from(seconds)));
        receipts += 1;
    }
    assert_eq!(scene.failed_as(), ErrorClass::RateLimited);
    assert!(receipts < 150, "far below the 1000 receipts of the queue: {receipts}");
}

#[tokio::test]
async fn an_unreachable_provider_is_tried_eight_times() {
    let scene = scene((0..8).map(|_| Err(TransportFailure::NotSent))).await;
    let mut waited = Duration::ZERO;
    while let Err(Failure::Wait(seconds)) = scene.deliver().await {
        waited += Duration::from_secs(u64::from(seconds));
    }
    assert_eq!((scene.calls().len(), waited), (8, Duration::from_secs(127)));
    assert_eq!(scene.failed_as(), ErrorClass::Temporary);
}

#[tokio::test]
async fn a_refusal_keeps_the_providers_code() {
    let scene = scene([said(400, r#"{"code":63003}"#)]).await;
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.failed_as(), ErrorClass::InvalidRecipient);
    assert_eq!(scene.delivery().error.unwrap().code.as_deref(), Some("63003"));
}

#[tokio::test]
async fn refused_credentials_are_read_again_once() {
    let mut scene = scene([said(401, r#"{"code":20003}"#), taken()]).await;
    scene.set_keys(keys(Ok("t0ken"), Some("new")));
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.delivery().state, DeliveryState::Accepted);
    let tokens: Vec<_> = scene.calls().into_iter().map(|(request, _)| request.authorization).collect();
    let basic = |password| Authorization::Basic { user: format!("AC{}", "a".repeat(32)), password: Secret::new(password) };
    assert_eq!(tokens, [basic("t0ken"), basic("new")]);
}

#[tokio::test]
async fn credentials_that_stay_refused_fail_the_message() {
    for fresh in [None, Some("t0ken")] {
        let mut scene = scene([said(401, "")]).await;
        scene.set_keys(keys(Ok("t0ken"), fresh));
        assert_eq!(scene.deliver().await, Ok(()));
        assert_eq!(scene.failed_as(), ErrorClass::Authentication);
        assert_eq!(scene.calls().len(), 1);
    }
}

#[tokio::test]
async fn a_missing_secret_fails_the_message_unless_it_was_written_a_moment_ago() {
    let mut missing = scene([]).await;
    missing.set_keys(keys(Err(SecretError::Missing), None));
    thread_local!(static REFUSED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) });
    Arc::get_mut(&mut missing.sender).unwrap().count =
        |_, refused_by| REFUSED.with_borrow_mut(|refused| refused.extend(refused_by.map(str::to_owned)));
    assert_eq!(missing.deliver().await, Ok(()));
    assert_eq!(missing.failed_as(), ErrorClass::Authentication);
    assert_eq!(REFUSED.take(), ["TWILIO"], "somebody must hear of it");

    let mut written = scene([taken()]).await;
    written.set_keys(keys(Err(SecretError::Missing), Some("new")));
    assert_eq!(written.deliver().await, Ok(()));
    assert_eq!(written.delivery().state, DeliveryState::Accepted);
}

#[tokio::test]
async fn a_failing_secret_store_leaves_the_message_unclaimed() {
    let mut scene = scene([]).await;
    scene.set_keys(keys(Err(SecretError::Call(CallError::NoAnswer { service: "secretsmanager" })), None));
    assert_eq!(scene.deliver().await, Err(Failure::RetryAfter(2)));
    assert_eq!(scene.delivery().state, DeliveryState::Queued);
}

#[tokio::test]
async fn a_claim_that_could_not_be_written_calls_nothing() {
    let scene = scene([taken()]).await;
    scene.memory.inject(|_| Fault::Refused);
    assert_eq!(scene.deliver().await, Err(Failure::RetryAfter(2)));
    assert!(scene.calls().is_empty());
    scene.memory.heal();
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.delivery().state, DeliveryState::Accepted);
}

#[tokio::test]
async fn a_message_whose_writes_lose_their_answer_in_turn_is_sent_once_and_never_unknown() {
    // The claim, the provider's id, the result, and one that does not happen.
    for place in 0..4 {
        for fault in [Fault::AnswerLost, Fault::MetItself, Fault::Conflict, Fault::Refused] {
            let scene = scene([taken()]).await;
            let mut writes = 0..;
            scene.memory.inject(move |_| if writes.next() == Some(place) { fault } else { Fault::None });
            assert_eq!(scene.deliver().await, Ok(()), "{place} {fault:?}");
            assert_eq!((scene.calls().len(), scene.delivery().state), (1, DeliveryState::Accepted), "{place} {fault:?}");
            assert_eq!(scene.memory.message_of(&account().id, "SM1"), Some(scene.key.clone()), "{place} {fault:?}");
            let told = scene.memory.take_effects().into_iter().flat_map(|grown| grown.effects).count();
            assert_eq!(told, 0, "that the provider has it is no news: {place} {fault:?}");
            assert_eq!(scene.deliver().await, Ok(()));
            assert_eq!((scene.calls().len(), scene.delivery().state), (1, DeliveryState::Accepted), "{place} {fault:?}");
        }
    }
}

#[tokio::test]
async fn the_end_of_a_call_is_written_again_when_the_first_write_fails() {
    let scene = scene([taken()]).await;
    let mut writes = 0;
    scene.memory.inject(move |_| {
        writes += 1;
        if writes == 2 { Fault::Refused } else { Fault::None }
    });
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.message().provider_id.as_deref(), Some("SM1"));
}

#[tokio::test]
async fn an_end_that_could_not_be_written_leaves_the_message_in_doubt_until_the_provider_speaks() {
    let scene = scene([taken()]).await;
    let mut writes = 0;
    scene.memory.inject(move |_| {
        writes += 1;
        if writes > 1 { Fault::Refused } else { Fault::None }
    });
    assert_eq!(scene.deliver().await, Err(Failure::RetryAfter(2)));
    scene.memory.heal();
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!((scene.calls().len(), scene.delivery().state), (1, DeliveryState::Unknown));
}

#[tokio::test]
async fn a_status_that_overtakes_the_answer_stays() {
    let scene = scene([taken()]).await;
    let memory = scene.memory.clone();
    let engine = scene.sender.engine.clone();
    engine.claim(&scene.key).await.unwrap();
    let mut read = memory.messages()[0].1.clone();
    let before = read.version;
    read.version += 1;
    read.delivery = Some(Delivery { state: DeliveryState::Read, since: now(), error: None, attempts: 0, claim: None });
    let commit = engine::ports::MessageCommit { key: scene.key.clone(), before, after: read, effects: vec![], mark: Idempotency::Guarded };
    assert_eq!(memory.commit_message(commit).await.unwrap(), Committed::Done);
    engine.sent(&scene.key, None, &Sent::Accepted { provider_id: "SM1".into() }).await.unwrap();
    assert_eq!((scene.delivery().state, scene.message().provider_id.as_deref()), (DeliveryState::Read, Some("SM1")));
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_fails_before_anything_is_called() {
    let mut long = message();
    long.content = Content::Text { body: "x".repeat(1601) };
    let scene = scene_with(long, []).await;
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.failed_as(), ErrorClass::Permanent);

    let mut attached = message();
    attached.attachments = vec![Attachment {
        source: "x".into(),
        content_type: "image/png".into(),
        name: None,
        kind: None,
        sha256: None,
        copy: Copy::Pending,
    }];
    let scene = scene_with(attached, []).await;
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.failed_as(), ErrorClass::Media);
}

#[tokio::test]
async fn a_file_goes_by_an_address_that_the_provider_can_fetch() {
    let mut attached = message();
    attached.content = Content::Media { caption: "Ecco".into() };
    let copy = Copy::Stored {
        key: "media/a/b/c".into(),
        size: 8,
        content_type: "image/png".into(),
        measures: Measures::default(),
        thumbnail: false,
    };
    attached.attachments =
        vec![Attachment { source: "x".into(), content_type: "image/png".into(), name: None, kind: None, sha256: None, copy }];
    let scene = scene_with(attached, [taken()]).await;
    assert_eq!(scene.deliver().await, Ok(()));
    let body = String::from_utf8(scene.calls()[0].0.body.clone()).unwrap();
    assert!(body.contains("MediaUrl=https%3A%2F%2Fbucket.example%2Fmedia%2Fa%2Fb%2Fc%3Fsigned"), "{body}");
}

#[tokio::test]
async fn a_template_is_sent_also_when_the_window_is_over() {
    let mut template = message();
    let name = "HX00000000000000000000000000000001".into();
    template.content = Content::Template(ApprovedTemplate { name, body: vec!["Zoe".into()], ..ApprovedTemplate::default() });
    let scene = scene_with(template, [taken()]).await;
    scene.world.advance(SignedDuration::from_hours(48));
    assert_eq!(scene.deliver().await, Ok(()));
    assert_eq!(scene.delivery().state, DeliveryState::Accepted);
}

#[tokio::test]
async fn a_message_that_is_gone_is_done() {
    let mut scene = scene([]).await;
    scene.key.message = MessageId::from_ulid(Ulid::from_parts(1, 99));
    assert_eq!(scene.deliver().await, Ok(()));
}
