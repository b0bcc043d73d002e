//! Whole copies against the in-memory engine. The test sets the provider's answers.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use client::{Client, Http, Keys};
use cloud::aws::CallError;
use cloud::batch::Failure;
use cloud::egress::{self, EgressError, Fetched, Origin};
use cloud::secrets::SecretError;
use domain::account::{Account, Credentials};
use domain::effect::{Effect, MessageKey};
use domain::fixtures::{self, account};
use domain::ids::MessageId;
use domain::interaction::{Interaction, Status};
use domain::message::{Attachment, Content, Copy, Measures, Message, thumbnail_key};
use domain::values::Secret;
use engine::Engine;
use engine::jobs::MediaJob;
use engine::memory::{Fault, Memory, MemoryDirectory, VirtualWorld};
use engine::ports::{Commit, Committed, Store, World};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use providers::{Answer, Hosts, OutgoingRequest, TransportFailure};
use ulid::Ulid;

use crate::copier::{Bucket, Copier, Source};
use crate::thumbnail::tests::noise;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

type Said = Result<Fetched, EgressError>;

/// An address, its credentials with the hosts that may get them, and the size limit.
type Asked = (String, Option<egress::Credentials>, u64);

#[derive(Default)]
struct FakeSource {
    script: Mutex<VecDeque<Said>>,
    asked: Mutex<Vec<Asked>>,
}

impl Source for FakeSource {
    async fn get(&self, url: &str, credentials: Option<&egress::Credentials>, limit: u64) -> Said {
        let credentials = credentials.cloned();
        self.asked.lock().unwrap().push((url.into(), credentials, limit));
        self.script.lock().unwrap().pop_front().expect("a request that no test expects")
    }
}

#[derive(Default)]
struct FakeBucket {
    objects: Mutex<BTreeMap<String, (Vec<u8>, String)>>,
    /// What is written under keys with this end fails.
    broken: Option<&'static str>,
}

impl Bucket for FakeBucket {
    async fn put(&self, key: &str, bytes: Vec<u8>, content_type: &str) -> Result<(), CallError> {
        if self.broken.is_some_and(|end| key.ends_with(end)) {
            return Err(CallError::NoAnswer { service: "s3" });
        }
        self.objects.lock().unwrap().insert(key.into(), (bytes, content_type.into()));
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), CallError> {
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }
}

struct FakeKeys {
    cached: Result<&'static str, SecretError>,
    fresh: Mutex<Option<&'static str>>,
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

/// The provider's API, for providers that give a file's address.
#[derive(Default)]
struct FakeApi(Mutex<VecDeque<Answer>>);

impl Http for FakeApi {
    async fn call(&self, _: OutgoingRequest) -> Result<Answer, TransportFailure> {
        Ok(self.0.lock().unwrap().pop_front().expect("a request that no test expects"))
    }
}

fn client(keys: FakeKeys, answers: impl IntoIterator<Item = Answer>) -> Client<FakeApi, FakeKeys> {
    let hosts = Hosts::all(|_, address| Ok::<_, SecretError>(address.to_owned())).unwrap();
    Client::new(FakeApi(Mutex::new(answers.into_iter().collect())), keys, hosts)
}

struct Scene {
    memory: Memory,
    world: VirtualWorld,
    copier: Copier<Memory, MemoryDirectory, VirtualWorld, FakeApi, FakeKeys, FakeSource, FakeBucket>,
    job: MediaJob,
}

fn now() -> Timestamp {
    "2026-01-01T10:00:00Z".parse().unwrap()
}

fn interaction(status: Status) -> Interaction {
    fixtures::interaction(status, now())
}

fn attachment(source: &str, content_type: &str) -> Attachment {
    Attachment { source: source.into(), content_type: content_type.into(), name: None, kind: None, sha256: None, copy: Copy::Pending }
}

async fn scene(said: impl IntoIterator<Item = Said>) -> Scene {
    scene_with(attachment("https://api.twilio.com/m", "image/png"), Status::Open, said).await
}

async fn scene_with(attachment: Attachment, status: Status, said: impl IntoIterator<Item = Said>) -> Scene {
    let (memory, world) = (Memory::new(), VirtualWorld::new(now(), 1));
    memory.directory().put_account(account());
    let message = Message {
        provider_id: Some("SM1".into()),
        content: Content::Media { caption: String::new() },
        attachments: vec![attachment],
        ..fixtures::message(now())
    };
    let message_key = MessageKey { interaction: interaction(status).key(), at: message.at, message: message.id.clone() };
    let seed = Commit { messages: vec![(message, vec![])], last_inbound_at: Some(now()), ..Commit::plain(None, interaction(status)) };
    assert_eq!(memory.commit(seed).await.unwrap(), Committed::Done);
    memory.take_effects();
    let copier = Copier {
        engine: Engine { store: memory.clone(), directory: memory.directory(), world: world.clone() },
        source: FakeSource { script: Mutex::new(said.into_iter().collect()), ..FakeSource::default() },
        bucket: FakeBucket::default(),
        client: client(FakeKeys { cached: Ok("t0ken"), fresh: Mutex::new(None) }, []),
        count: |_| {},
    };
    Scene { memory, world, copier, job: MediaJob { message: message_key, index: 0 } }
}

impl Scene {
    async fn deliver(&self, received: u32) -> Result<(), Failure> {
        self.copier.handle(&self.job, received).await
    }

    fn copy(&self) -> Copy {
        self.memory.messages()[0].1.attachments[0].copy.clone()
    }

    fn reason(&self) -> String {
        match self.copy() {
            Copy::Failed { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    fn asked(&self) -> usize {
        self.copier.source.asked.lock().unwrap().len()
    }
}

fn sent(password: &str, to: &str) -> egress::Credentials {
    let secret = egress::Authorization::Basic { user: format!("AC{}", "a".repeat(32)), password: Secret::new(password) };
    egress::Credentials { secret, to: to.parse::<Origin>().unwrap() }
}

fn said(status: u16, bytes: &[u8]) -> Said {
    let status = StatusCode::from_u16(status).unwrap();
    Ok(Fetched { status, content_type: None, content_disposition: None, retry_after: None, bytes: bytes.into() })
}

fn key_of(scene: &Scene) -> String {
    let place = &scene.job.message;
    format!("media/{}/{}/{}/0", place.interaction.conversation.account, place.interaction.interaction, place.message)
}

#[tokio::test]
async fn an_attachment_is_copied_to_the_bucket_and_the_message_says_where() {
    let scene = scene([said(200, PNG)]).await;
    assert_eq!(scene.deliver(1).await, Ok(()));
    let place = &scene.job.message;
    let key = format!("media/{}/{}/{}/0", account().id, place.interaction.interaction, place.message);
    let stored =
        Copy::Stored { key: key.clone(), size: 8, content_type: "image/png".into(), measures: Measures::default(), thumbnail: false };
    assert_eq!(scene.copy(), stored);
    assert_eq!(scene.copier.bucket.objects.lock().unwrap()[&key], (PNG.to_vec(), "image/png".to_owned()));
    assert_eq!(scene.deliver(2).await, Ok(()));
    assert_eq!(scene.asked(), 1, "a redelivery fetches nothing");
}

#[tokio::test]
async fn credentials_go_to_twilio_only_and_the_size_is_limited_by_kind() {
    for (source, origin) in [("https://api.twilio.com/m", Some("https://api.twilio.com")), ("https://cdn.example/m", None)] {
        let scene = scene_with(attachment(source, "video/mp4"), Status::Open, [said(200, PNG)]).await;
        scene.deliver(1).await.unwrap();
        let expected = origin.map(|origin| sent("t0ken", origin));
        assert_eq!(*scene.copier.source.asked.lock().unwrap(), [(source.to_owned(), expected, 16 << 20)]);
    }
}

#[tokio::test]
async fn one_503_costs_a_minute_and_not_the_attachment() {
    for passing in [said(503, b""), said(404, b""), said(429, b""), Err(EgressError::NoAnswer)] {
        let scene = scene([passing.clone(), passing, said(200, PNG)]).await;
        assert_eq!(scene.deliver(1).await, Err(Failure::RetryAfter(5)));
        assert_eq!(scene.deliver(2).await, Err(Failure::RetryAfter(60)));
        assert_eq!(scene.copy(), Copy::Pending);
        assert_eq!(scene.deliver(3).await, Ok(()));
        assert!(matches!(scene.copy(), Copy::Stored { .. }));
    }
}

#[tokio::test]
async fn a_file_is_tried_for_as_long_as_the_provider_keeps_it_and_then_the_message_says_why_there_is_no_copy() {
    for (passing, reason) in [
        (said(503, b""), "the provider could not deliver the file (503)"),
        (said(404, b""), "the provider does not have the file"),
        (said(403, b""), "the provider refused the account's credentials"),
        (Err(EgressError::NoAnswer), "the provider did not answer"),
    ] {
        let scene = scene((0..100).map(|_| passing.clone())).await;
        let mut received = 1;
        while let Err(failure) = scene.deliver(received).await {
            let Failure::RetryAfter(seconds) = failure else { panic!("{failure:?}") };
            scene.world.advance(SignedDuration::from_secs(i64::from(seconds)));
            received += 1;
        }
        assert_eq!(scene.reason(), reason);
        let tried = scene.world.now().duration_since(now());
        assert!(tried > SignedDuration::from_hours(6 * 24) && tried < SignedDuration::from_hours(7 * 24), "{tried}");
        assert!(received < 40, "{received}");
    }
}

#[tokio::test]
async fn a_file_with_another_hash_is_fetched_again_and_then_stored_as_it_came() {
    let declared =
        |bytes: &[u8]| Attachment { sha256: Some(providers::fingerprint(bytes)), ..attachment("https://api.twilio.com/m", "image/png") };
    let whole = scene_with(declared(PNG), Status::Open, [said(200, &PNG[..7]), said(200, PNG)]).await;
    assert_eq!(whole.deliver(1).await, Err(Failure::RetryAfter(5)));
    assert_eq!(whole.deliver(2).await, Ok(()));
    assert!(matches!(whole.copy(), Copy::Stored { size: 8, .. }));
    let other = scene_with(declared(b"other"), Status::Open, [said(200, PNG)]).await;
    assert_eq!(other.deliver(3).await, Ok(()));
    assert!(matches!(other.copy(), Copy::Stored { size: 8, .. }));
}

#[tokio::test]
async fn a_lasting_failure_is_given_up_at_once_with_a_reason() {
    for (answer, reason) in [
        (said(410, b""), "the provider no longer has the file"),
        (said(302, b""), "the provider does not deliver the file (302)"),
        (said(200, b""), "the file is empty"),
        (said(200, b"<html><body>"), "the file is not what it says it is"),
        (Err(EgressError::Refused("not a public address")), "the file's address is refused: not a public address"),
        (Err(EgressError::TooManyRedirects), "the file's address redirects too often"),
        (Err(EgressError::TooLarge { limit: 5 << 20 }), "the file is larger than WhatsApp allows (5 MB)"),
    ] {
        let scene = scene([answer]).await;
        assert_eq!(scene.deliver(1).await, Ok(()));
        assert_eq!(scene.reason(), reason);
        assert!(scene.copier.bucket.objects.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_invalid_address_is_never_called() {
    let scene = scene_with(attachment("file:///etc/passwd", "image/png"), Status::Open, []).await;
    assert_eq!(scene.deliver(1).await, Ok(()));
    assert_eq!(scene.reason(), "the file has no web address");
}

#[tokio::test]
async fn refused_credentials_are_read_again_once() {
    let mut scene = scene([said(401, b""), said(200, PNG)]).await;
    scene.copier.client = client(FakeKeys { cached: Ok("t0ken"), fresh: Mutex::new(Some("new")) }, []);
    assert_eq!(scene.deliver(1).await, Ok(()));
    assert!(matches!(scene.copy(), Copy::Stored { .. }));
    let asked = scene.copier.source.asked.lock().unwrap();
    let origin = "https://api.twilio.com";
    let sent: Vec<_> = asked.iter().map(|(_, credentials, _)| credentials.clone()).collect();
    assert_eq!(sent, [Some(self::sent("t0ken", origin)), Some(self::sent("new", origin))]);
}

#[tokio::test]
async fn a_failing_bucket_or_secret_is_tried_again_and_then_reported() {
    let mut scene = scene((0..2).map(|_| said(200, PNG))).await;
    scene.copier.bucket.broken = Some("");
    assert_eq!(scene.deliver(1).await, Err(Failure::RetryAfter(5)));
    scene.world.advance(SignedDuration::from_hours(8 * 24));
    assert_eq!(scene.deliver(9).await, Ok(()));
    assert_eq!(scene.reason(), "the copy could not be stored");

    let mut scene = self::scene([]).await;
    scene.copier.client = client(FakeKeys { cached: Err(SecretError::Missing), fresh: Mutex::new(None) }, []);
    assert_eq!(scene.deliver(1).await, Err(Failure::RetryAfter(5)));
    scene.world.advance(SignedDuration::from_hours(8 * 24));
    assert_eq!(scene.deliver(9).await, Ok(()));
    assert_eq!(scene.reason(), "the account has no credentials");
}

#[tokio::test]
async fn a_failing_table_brings_the_job_back() {
    let scene = scene([said(200, PNG), said(200, PNG)]).await;
    scene.memory.inject(|_| Fault::Refused);
    assert_eq!(scene.deliver(2).await, Err(Failure::RetryAfter(60)));
    scene.memory.heal();
    assert_eq!(scene.deliver(3).await, Ok(()));
    assert!(matches!(scene.copy(), Copy::Stored { .. }));
}

#[tokio::test]
async fn the_archive_of_a_closed_interaction_is_made_again_when_its_attachment_settles() {
    let scene = scene_with(attachment("https://api.twilio.com/m", "image/png"), Status::Closed, [said(200, PNG)]).await;
    scene.deliver(1).await.unwrap();
    let effects: Vec<_> = scene.memory.take_effects().into_iter().flat_map(|caused| caused.effects).collect();
    assert!(effects.contains(&Effect::Archive));
}

#[tokio::test]
async fn a_message_that_is_gone_is_done() {
    let mut scene = scene([]).await;
    scene.job.index = 7;
    assert_eq!(scene.deliver(1).await, Ok(()));
    scene.job.message.message = MessageId::from_ulid(Ulid::from_parts(1, 99));
    assert_eq!(scene.deliver(1).await, Ok(()));
}

#[tokio::test]
async fn a_copy_whose_message_was_deleted_meanwhile_is_deleted() {
    let scene = scene_with(attachment("https://api.twilio.com/m", "image/png"), Status::Closed, []).await;
    // An earlier attempt stored it and died.
    let place = &scene.job.message;
    let interaction = &place.interaction;
    let key = format!("media/{}/{}/{}/0", interaction.conversation.account, interaction.interaction, place.message);
    let objects = &scene.copier.bucket.objects;
    objects.lock().unwrap().insert(thumbnail_key(&key), (b"jpeg".to_vec(), "image/jpeg".into()));
    objects.lock().unwrap().insert(key, (b"png".to_vec(), "image/png".into()));
    assert!(scene.memory.delete(&interaction.interaction));
    scene.copier.handle(&scene.job, 2).await.unwrap();
    assert!(scene.copier.bucket.objects.lock().unwrap().is_empty());
}

/// What was stored of a picture: its measures, and the objects.
fn stored(scene: &Scene) -> (Measures, bool, Vec<String>) {
    let Copy::Stored { measures, thumbnail, .. } = scene.copy() else { panic!("{:?}", scene.copy()) };
    (measures, thumbnail, scene.copier.bucket.objects.lock().unwrap().keys().cloned().collect())
}

fn measures(width: u32, height: u32) -> Measures {
    Measures { width: Some(width), height: Some(height), duration: None }
}

#[tokio::test]
async fn a_large_picture_has_its_size_and_a_thumbnail_that_is_told_of_in_the_same_write() {
    let picture = noise(800, 600);
    let scene = scene([said(200, &picture)]).await;
    let before = scene.memory.messages()[0].1.version;
    scene.deliver(1).await.unwrap();
    let (size, thumbnail, keys) = stored(&scene);
    assert_eq!((size, thumbnail), (measures(800, 600), true));
    assert_eq!(scene.memory.messages()[0].1.version, before + 1, "one write");
    assert_eq!(keys, [key_of(&scene), thumbnail_key(&key_of(&scene))]);
    let objects = scene.copier.bucket.objects.lock().unwrap();
    assert_eq!(objects[&keys[0]], (picture, "image/png".to_owned()));
    let (small, kind) = &objects[&keys[1]];
    let size = measures::measure(kind, small);
    assert_eq!((kind.as_str(), size), ("image/jpeg", measures(320, 240)));
}

#[tokio::test]
async fn a_recording_says_how_long_it_plays() {
    let voice = include_bytes!("../../../shared/measures/samples/voice.ogg");
    let scene = scene_with(attachment("https://api.twilio.com/m", "audio/ogg; codecs=opus"), Status::Open, [said(200, voice)]).await;
    scene.deliver(1).await.unwrap();
    assert_eq!(stored(&scene), (Measures { duration: Some(3), ..Measures::default() }, false, vec![key_of(&scene)]));
}

#[tokio::test]
async fn a_thumbnail_that_can_not_be_stored_costs_nothing_else_and_is_not_tried_again() {
    let mut scene = scene([said(200, &noise(800, 600))]).await;
    scene.copier.bucket.broken = Some(".thumbnail");
    assert_eq!(scene.deliver(1).await, Ok(()));
    assert_eq!(stored(&scene), (measures(800, 600), false, vec![key_of(&scene)]));
    scene.copier.bucket.broken = None;
    assert_eq!(scene.deliver(2).await, Ok(()));
    assert_eq!((stored(&scene).1, scene.asked()), (false, 1));
}

#[tokio::test]
async fn a_try_that_dies_after_the_file_or_the_thumbnail_is_made_up_for_by_the_next_one() {
    for objects in [1, 2] {
        let picture = noise(800, 600);
        let scene = scene([said(200, &picture), said(200, &picture)]).await;
        // The message was not written.
        scene.memory.inject(|_| Fault::Refused);
        assert_eq!(scene.deliver(1).await, Err(Failure::RetryAfter(5)));
        scene.memory.heal();
        assert_eq!((scene.copy(), scene.copier.bucket.objects.lock().unwrap().len()), (Copy::Pending, 2));
        if objects == 1 {
            scene.copier.bucket.objects.lock().unwrap().remove(&thumbnail_key(&key_of(&scene)));
        }
        assert_eq!(scene.deliver(2).await, Ok(()));
        assert_eq!(stored(&scene), (measures(800, 600), true, vec![key_of(&scene), thumbnail_key(&key_of(&scene))]));
    }
}

#[tokio::test]
async fn a_picture_that_kills_the_function_is_stored_without_a_thumbnail_at_the_fourth_try() {
    for (received, made) in [(3, true), (4, false)] {
        let scene = scene([said(200, &noise(800, 600))]).await;
        assert_eq!(scene.deliver(received).await, Ok(()));
        assert_eq!((stored(&scene).0, stored(&scene).1), (measures(800, 600), made), "{received}");
    }
}

#[tokio::test]
async fn a_picture_whose_job_comes_again_is_neither_fetched_nor_made_small_again() {
    let scene = scene([said(200, &noise(800, 600))]).await;
    scene.deliver(1).await.unwrap();
    let (before, objects) = (stored(&scene), scene.copier.bucket.objects.lock().unwrap().clone());
    // A repeated webhook is the same message, so it has the same job.
    scene.deliver(2).await.unwrap();
    assert_eq!((stored(&scene), scene.asked()), (before, 1));
    assert_eq!(*scene.copier.bucket.objects.lock().unwrap(), objects);
}
