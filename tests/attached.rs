//! Files of a thread: their links, a page in one call, and what is known of a file before it is loaded.

use domain::effect::{InteractionKey, MessageKey};
use domain::ids::MessageId;
use domain::inbound::InboundAttachment;
use domain::message::{AttachmentKind, Copy, Measures, thumbnail_key};

use super::*;

const PHOTO: Measures = Measures { width: Some(4_000), height: Some(3_000), duration: None };

impl Desk {
    /// A customer sends three files in one message. The first is stored, with what `media` found out.
    async fn three_files(&self, path: &str, number: usize) -> (InteractionKey, MessageKey) {
        let file = |name: &str| InboundAttachment {
            source: format!("https://api.twilio.com/{name}"),
            content_type: "image/jpeg".to_owned(),
            name: Some(name.to_owned()),
            kind: Some(AttachmentKind::Image),
            sha256: None,
        };
        let event = InboundEvent {
            account: self.account.id.clone(),
            id: sid(number),
            received_at: Timestamp::now(),
            index: 0,
            proven: Some(true),
            kind: InboundKind::Message(InboundMessage {
                provider_id: sid(number),
                from: Address::Phone(E164::parse("+393500000001").unwrap()),
                alias: None,
                also: Vec::new(),
                profile_name: None,
                sent_at: None,
                content: Content::Media { caption: String::new() },
                attachments: ["a.jpg", "b.jpg", "c.jpg"].map(file).to_vec(),
                reply_to: None,
                forwarded: false,
                username: None,
                referral: None,
                product: None,
                words: None,
                cut: false,
            }),
        };
        self.deployment.store.receive(&event, "", false).await.unwrap();
        self.deployment.engine.route(&event).await.unwrap();
        let id: InteractionId = path.rsplit('/').next().unwrap().parse().unwrap();
        let key = self.deployment.store.locate(&id).await.unwrap().unwrap();
        let (_, thread) = self.anna().get(&format!("{path}/messages?newest=true&limit=1")).await;
        let message = &thread["items"][0];
        let message = MessageKey {
            interaction: key.clone(),
            at: message["at"].as_str().unwrap().parse().unwrap(),
            message: message["id"].as_str().unwrap().parse::<MessageId>().unwrap(),
        };
        let object = format!("media/{}/{id}/{}/0", self.account.id, message.message);
        self.objects().put(&object, b"large".to_vec(), "image/jpeg").await.unwrap();
        self.objects().put(&thumbnail_key(&object), b"small".to_vec(), "image/jpeg").await.unwrap();
        let stored = Copy::Stored { key: object, size: 5, content_type: "image/jpeg".into(), measures: PHOTO, thumbnail: true };
        self.deployment.engine.copied(&message, 0, &stored).await.unwrap();
        let failed = Copy::Failed { reason: "the provider no longer has the file".into() };
        self.deployment.engine.copied(&message, 1, &failed).await.unwrap();
        (key, message)
    }
}

async fn bytes(url: &Value) -> Vec<u8> {
    reqwest::get(url.as_str().unwrap()).await.unwrap().bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn links_of_a_page_come_in_one_call_however_many_files_it_has() {
    let desk = Desk::open("LINKS", 5).await;
    let path = desk.accepted(1).await;
    let (_, message) = desk.three_files(&path, 50).await;
    let (anna, sara) = (desk.anna(), desk.overseer());
    let (status, page) = anna.get(&format!("{path}/attachments?newest=true")).await;
    assert_eq!(status, 200, "{page}");
    let [stored, failed, pending] = page["items"].as_array().unwrap().as_slice() else { panic!("{page}") };
    for (index, item) in [stored, failed, pending].into_iter().enumerate() {
        assert_eq!((&item["message"], &item["index"]), (&json!(message.message), &json!(index)));
    }
    assert_eq!(
        (&stored["state"], bytes(&stored["url"]).await, bytes(&stored["thumbnail"]).await),
        (&json!("stored"), b"large".to_vec(), b"small".to_vec())
    );
    assert_eq!((&failed["state"], &failed["reason"]), (&json!("failed"), &json!("the provider no longer has the file")));
    assert_eq!((&pending["state"], pending.get("url"), failed.get("url")), (&json!("pending"), None, None));
    // As long as the link to a single one, under the same name.
    let (_, one) = anna.get(&format!("{path}/messages/{}/attachments/0", message.message)).await;
    let lasts = |link: &Value| link["expires_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert!(lasts(&one).duration_since(lasts(stored)) < SignedDuration::from_secs(30));
    let name = |link: &Value| link["url"].as_str().unwrap().split('&').find(|it| it.starts_with("response-content")).unwrap().to_owned();
    assert_eq!((name(&one), name(&one).contains("a.jpg")), (name(stored), true));

    // Supervisors have the same, and nobody else has any.
    assert_eq!(sara.get(&format!("{path}/attachments")).await.1["items"].as_array().unwrap().len(), 3);
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).get(&format!("{path}/attachments")).await.0, 404);

    // Pages are those of the messages, also without a file. The first message is a text.
    let (_, first) = anna.get(&format!("{path}/attachments?limit=1")).await;
    let (_, messages) = anna.get(&format!("{path}/messages?limit=1")).await;
    assert_eq!((&first["items"], &first["next"]), (&json!([]), &messages["next"]));
    let next = first["next"].as_str().unwrap();
    assert_eq!(anna.get(&format!("{path}/attachments?after={next}")).await.1["items"].as_array().unwrap().len(), 3);
    assert_eq!(anna.get(&format!("{path}/attachments?limit=201")).await.0, 422);

    // Addresses are signed here: the page costs what the page of messages costs.
    let cost = async |below: &str| {
        anna.get(&format!("{path}/{below}")).await;
        desk.deployment.proxy.calls();
        anna.get(&format!("{path}/{below}")).await;
        desk.deployment.proxy.calls()
    };
    let links = cost("attachments").await;
    assert_eq!(links, cost("messages").await);
    assert_eq!(links.iter().filter(|call| call.is_empty()).count(), 0, "nothing of the bucket: {links:?}");

    let (status, problem) = (desk.closed_and_deleted(&path).await, anna.get(&format!("{path}/attachments")).await);
    assert_eq!((status, problem.0, &problem.1["type"]), (202, 410, &json!("/problems/deleted")));
}

#[tokio::test]
async fn a_file_is_measured_when_it_is_stored_or_sent() {
    let desk = Desk::open("MEASU", 5).await;
    let path = desk.accepted(1).await;
    desk.three_files(&path, 50).await;
    let anna = desk.anna();
    let (_, thread) = anna.get(&format!("{path}/messages?newest=true&limit=1")).await;
    let [photo, failed, _] = thread["items"][0]["attachments"].as_array().unwrap().as_slice() else { panic!("{thread}") };
    assert_eq!((&photo["width"], &photo["height"], photo.get("duration")), (&json!(4_000), &json!(3_000), None));
    assert_eq!(failed.get("width"), None);

    // An agent's video, whose header lies behind more than is read at first.
    let video = include_bytes!("../shared/measures/samples/video.mp4").as_slice();
    let at = video.windows(4).position(|name| name == b"mdat").unwrap() - 4;
    let long = [(1_u32 << 20).to_be_bytes().as_slice(), b"mdat", &vec![0; (1 << 20) - 8]].concat();
    let video = [&video[..at], &long, &video[at..]].concat();
    let voice = include_bytes!("../shared/measures/samples/voice.ogg").to_vec();
    for (name, content_type, bytes, measured) in [
        ("a.mp4", "video/mp4", video, json!([160, 90, 2])),
        ("a.ogg", "audio/ogg", voice, json!([null, null, 3])),
        ("a.jpg", "image/jpeg", include_bytes!("../shared/measures/samples/upright.jpg").to_vec(), json!([40, 60, null])),
        // It is a picture as far as its first bytes go, and is sent.
        ("b.jpg", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF".to_vec(), json!([null, null, null])),
    ] {
        let wanted = json!({"name": name, "content_type": content_type, "size": bytes.len()});
        let (status, upload) = anna.post(&format!("{path}/attachments"), wanted).await;
        assert_eq!(status, 201, "{upload}");
        let put = reqwest::Client::new().put(upload["url"].as_str().unwrap()).header("content-type", content_type);
        assert!(put.body(bytes).send().await.unwrap().status().is_success());
        let (status, sent) = anna.post(&format!("{path}/messages"), json!({"attachment": upload["id"]})).await;
        assert_eq!(status, 201, "{sent}");
        let file = &sent["attachments"][0];
        assert_eq!(json!([file["width"], file["height"], file["duration"]]), measured, "{sent}");
    }
    // They have no thumbnail.
    let (_, page) = anna.get(&format!("{path}/attachments?newest=true&limit=1")).await;
    assert_eq!((&page["items"][0]["state"], page["items"][0].get("thumbnail")), (&json!("stored"), None), "{page}");
}

impl Desk {
    async fn closed_and_deleted(&self, path: &str) -> u16 {
        assert_eq!(self.anna().post(&format!("{path}/close"), json!({"disposition": "Sold"})).await.0, 200);
        self.overseer().call("DELETE", path, None, None).await.0
    }
}
