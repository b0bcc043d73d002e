//! Rights that end: accounts that an agent was taken off, secrets that were replaced, limits that are reached.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::contact::Contact;
use domain::ids::ContactId;
use domain::message::{Author, Message};
use engine::ports::{Committed, Directory};
use store::{Counted, Reader, Write};
use views::MessageView;

use super::*;
use crate::support::PREVIOUS_TOKEN;

impl Desk {
    /// The account without an agent, as an administrator would save it.
    async fn take_off(&self, agent: &AgentId) {
        let (before, version) = self.deployment.configuration.get::<Account>(self.account.id.as_str()).await.unwrap().unwrap();
        let mut after = before.clone();
        after.agents.retain(|other| other != agent);
        self.deployment.configuration.put(&after, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
    }

    async fn give(&self, path: &str, number: usize, signed_with: &str) -> (u16, String) {
        self.give_to(&self.deployment.receive(), path, number, signed_with).await
    }

    async fn give_to(&self, receive: &receive::Receive, path: &str, number: usize, signed_with: &str) -> (u16, String) {
        let request = webhook(path, "", &text(&sid(number), "whatsapp:+393500000001", "hello"), Some(signed_with));
        let answer = receive.handle(&request).await;
        let lambda_http::Body::Text(body) = answer.body() else { panic!("no text") };
        (answer.status().as_u16(), body.clone())
    }

    fn owner(&self) -> Caller {
        self.with_token("/admin", self.issuer.mint("owner", &["owner"], Duration::from_secs(600)).unwrap())
    }

    fn secret(&self, name: &str) -> String {
        format!("/accounts/{}/secrets/{name}", self.account.id)
    }
}

impl Caller {
    async fn at_version(&self, method: &str, path: &str, version: u64, body: Option<Value>) -> Answer {
        self.call_with(method, path, &[("if-match", format!("\"{version}\""))], body).await
    }
}

#[tokio::test]
async fn an_agent_who_was_taken_off_an_account_reads_none_of_its_texts_and_misses_no_number() {
    let desk = Desk::open("LEAVE", 5).await;
    let interaction = desk.accepted(1).await.rsplit('/').next().unwrap().parse::<InteractionId>().unwrap();
    let (store, account, agent) = (&desk.deployment.store, &desk.account.id, &desk.agents[0]);
    let now = Timestamp::now();
    let message = |id: u128| {
        let id = domain::ids::MessageId::from_ulid(ulid::Ulid(id));
        let content = Content::Text { body: "my card number".to_owned() };
        AgentEvent::Message { message: MessageView::from(&Message::new(id, interaction.clone(), now, Author::Customer, content)) }
    };
    let withdrawn = AgentEvent::Withdrawn { interaction: interaction.clone(), offer: 1, taken_by: None };
    let caused_by = |effect| store::CausedBy { effect, committed_at: Some(now) };
    store.append(agent, caused_by("one"), &message(1), Some(account), now).await.unwrap();
    // The version before did not note the account.
    store.append(agent, caused_by("two"), &message(2), None, now).await.unwrap();
    store.append(agent, caused_by("three"), &withdrawn, Some(account), now).await.unwrap();
    store
        .append(
            agent,
            caused_by("four"),
            &AgentEvent::Presence { state: PresenceWord::Ready, reason: None, since: None, by: None, by_name: None },
            None,
            now,
        )
        .await
        .unwrap();
    let feed = async |desk: &Desk, roles: &[&str]| {
        let caller = Caller { router: desk.fresh_routers()["/agent"].clone(), ..desk.caller("anna", roles) };
        let (status, page) = caller.get("/events").await;
        assert_eq!(status, 200);
        let items = page["items"].as_array().unwrap().clone();
        let numbers: Vec<u64> = items.iter().map(|item| item["seq"].as_u64().unwrap()).collect();
        assert_eq!((numbers, &page["last"]), (vec![1, 2, 3, 4], &json!(4)));
        items.into_iter().map(|item| item["event"].clone()).collect::<Vec<_>>()
    };
    let types = |events: &[Value]| events.iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(types(&feed(&desk, &["agent"]).await), ["message", "message", "withdrawn", "presence"]);
    desk.take_off(agent).await;
    let events = feed(&desk, &["agent"]).await;
    assert_eq!(types(&events), ["withheld", "withheld", "withdrawn", "presence"]);
    assert!(!events.iter().any(|event| event.to_string().contains("card")), "{events:?}");
    assert_eq!(events[0], json!({"type": "withheld", "interaction": interaction.as_str()}));
    // Supervisors read the interactions of all accounts.
    assert_eq!(types(&feed(&desk, &["supervisor"]).await), ["message", "message", "withdrawn", "presence"]);
    // What the API shows and what a socket gets come from the same place.
    let reader = Reader { agent, oversees: false };
    let configuration = store::Configuration::new(desk.deployment.aws.dynamodb(), "config", "interactions");
    let socket = store.events_for::<AgentEvent>(&configuration, reader, 0, 200, Timestamp::now()).await.unwrap().events;
    assert_eq!(serde_json::to_value(&socket[0].event).unwrap(), events[0]);
}

#[tokio::test]
async fn an_agent_who_was_just_added_to_an_account_is_told_everything_although_the_account_is_cached() {
    let desk = Desk::open("ADDED", 5).await;
    let (configuration, agent) = (&desk.deployment.configuration, &desk.agents[0]);
    desk.take_off(agent).await;
    let another = store::Configuration::new(desk.deployment.aws.dynamodb(), "config", "interactions");
    assert!(!another.may_read(agent, &desk.account.id).await.unwrap());
    let (before, version) = configuration.get::<Account>(desk.account.id.as_str()).await.unwrap().unwrap();
    configuration.put(&desk.account, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
    assert!(another.may_read(agent, &desk.account.id).await.unwrap());
    assert!(another.account(&desk.account.id).await.unwrap().unwrap().agents.contains(agent));
}

#[tokio::test]
async fn a_conversation_is_started_only_with_a_contact_of_ones_own_accounts() {
    let desk = Desk::open("KNOWN", 5).await;
    // Only the first account knows this customer.
    let path = desk.accepted(1).await;
    let (_, known) = desk.anna().get(&format!("{path}/contact")).await;
    let contact = known["id"].as_str().unwrap();
    let carl = desk.deployment.ready_agent("carl", 5).await;
    let other = desk.deployment.account("CARLS", &[carl], &desk.queue).await;
    let start = async |caller: &Caller, account: &Account, contact: &str| {
        let body = json!({"contact": contact, "template": {"name": "HX1", "language": "it"}});
        caller.post(&format!("/accounts/{}/conversations", account.id), body).await
    };
    let caller = desk.caller("carl", &["agent"]);
    let unknown = start(&caller, &other, "con_00000000000000000000000000").await;
    assert_eq!(unknown.0, 404);
    assert_eq!(start(&caller, &other, contact).await, unknown, "as if it did not exist");
    // Anna knows the customer, but not from there: her account's conversation is what she sees it by.
    let (status, refused) = start(&desk.anna(), &desk.account, contact).await;
    assert_eq!((status, &refused["type"]), (409, &json!("/problems/other-open")));
    // On a list of Carl's account, the contact is his to see.
    let id: ContactId = contact.parse().unwrap();
    let before = desk.deployment.store.contact(&id).await.unwrap().unwrap();
    let listed = Contact { lists: BTreeSet::from([other.list.clone()]), version: before.version + 1, ..before };
    assert_eq!(desk.deployment.store.replace_contact(&listed, None).await.unwrap(), Committed::Done);
    let caller = Caller { router: desk.fresh_routers()["/agent"].clone(), ..caller };
    assert_eq!(start(&caller, &other, contact).await.0, 201);
    // Supervisors see all contacts.
    let supervisor = desk.caller("carl", &["supervisor"]);
    assert_eq!(start(&supervisor, &other, contact).await.0, 409);
}

#[tokio::test]
async fn what_an_agent_does_too_often_is_refused_until_the_hour_is_over() {
    let desk = Desk::open("OFTEN", 5).await;
    let path = desk.accepted(1).await;
    let limits = desk.deployment.env_with(&[("UPLOADS_PER_HOUR", "2"), ("TRANSCRIPTS_PER_HOUR", "1"), ("CONVERSATIONS_PER_HOUR", "1")]);
    let router = desk.routers_of(&limits)["/agent"].clone();
    let anna = Caller { router: router.clone(), ..desk.anna() };
    let upload = json!({"name": "a.pdf", "content_type": "application/pdf", "size": 14});
    let uploads = format!("{path}/attachments");
    // The hour may turn between two calls, once: then the count begins anew.
    let until_refused = async |path: &str, body: &Value| {
        for done in 0..6 {
            let (status, problem) = anna.post(path, body.clone()).await;
            if status == 429 {
                return (done, problem);
            }
            assert!(status < 300 || status == 409, "{problem}");
        }
        panic!("{path} is not limited")
    };
    let (done, problem) = until_refused(&uploads, &upload).await;
    assert!((2..=4).contains(&done), "{done}");
    assert_eq!((&problem["type"], &problem["limit"]), (&json!("/problems/too-many-requests"), &json!(2)));
    let (done, _) = until_refused(&format!("{path}/transcript"), &json!({})).await;
    assert!((1..=2).contains(&done), "{done}");
    let conversation = json!({"phone": "+393500000042", "template": {"name": "HX1", "language": "it"}});
    let (done, _) = until_refused(&format!("/accounts/{}/conversations", desk.account.id), &conversation).await;
    assert!((1..=2).contains(&done), "{done}");
    // Another agent has an own count, and so has the next hour.
    let (store, now) = (&desk.deployment.store, "2026-01-01T12:59:30Z".parse::<Timestamp>().unwrap());
    let count = async |agent: usize, now| store.count(desk.agents[agent].as_str(), "upload", 1, 1, now).await.unwrap();
    assert_eq!(count(0, now).await, Counted::Within);
    assert_eq!(count(0, now).await, Counted::Over { seconds: 30 });
    assert_eq!(count(1, now).await, Counted::Within);
    assert_eq!(count(0, now + SignedDuration::from_secs(30)).await, Counted::Within);
}

#[tokio::test]
async fn a_leaked_receive_url_is_replaced_and_the_previous_one_ends() {
    let desk = Desk::open("ROTAT", 5).await;
    let (admin, path) = (desk.administrator(), desk.secret("receive_url"));
    let rotate = async |version, body| admin.at_version("POST", &format!("{path}/rotate"), version, Some(body)).await;
    let path_of = |account: &Value| {
        let url = account["receive_url"].as_str().unwrap().split('#').next().unwrap();
        url.strip_prefix(support::PUBLIC_URL).unwrap().to_owned()
    };
    let first = desk.account.receive_path.reveal().to_owned();
    assert_eq!(desk.give(&first, 1, AUTH_TOKEN).await.0, 200);
    assert_eq!(admin.post(&format!("{path}/rotate"), json!({})).await.0, 428);
    assert_eq!(rotate(7, json!({})).await.0, 412);
    assert_eq!(rotate(1, json!({"previous_valid_seconds": 604_801})).await.0, 422);
    assert_eq!(admin.at_version("POST", &format!("{}/rotate", desk.secret("auth_token")), 1, Some(json!({}))).await.0, 404);
    let (status, account) = rotate(1, json!({})).await;
    let second = path_of(&account);
    assert_eq!((status, &account["version"], second == first), (200, &json!(2), false), "{account}");
    let until: Timestamp = account["replaced_secrets"]["receive_url_until"].as_str().unwrap().parse().unwrap();
    assert!(until > Timestamp::now() + SignedDuration::from_hours(23));
    // A signature covers the address that was called, whichever it is.
    for (number, path) in [(2, &first), (3, &second)] {
        assert_eq!(desk.give(path, number, AUTH_TOKEN).await.0, 200, "{path}");
    }
    // The next rotation ends the first one, and this one keeps nothing.
    let third = path_of(&rotate(2, json!({"previous_valid_seconds": 0})).await.1);
    for (number, path, status) in [(4, &first, 404), (5, &second, 404), (6, &third, 200)] {
        assert_eq!(desk.give(path, number, AUTH_TOKEN).await.0, status, "{path}");
    }
    // A previous one is ended at once.
    let fourth = path_of(&rotate(3, json!({})).await.1);
    assert_eq!(desk.give(&third, 7, AUTH_TOKEN).await.0, 200);
    let (status, ended) = admin.at_version("DELETE", &format!("{path}/previous"), 4, None).await;
    assert_eq!((status, ended.get("replaced_secrets"), path_of(&ended)), (200, None, fourth.clone()), "{ended}");
    for (number, path, status) in [(8, &third, 404), (9, &fourth, 200)] {
        assert_eq!(desk.give(path, number, AUTH_TOKEN).await.0, status, "{path}");
    }
    let (status, same) = admin.at_version("DELETE", &format!("{path}/previous"), 5, None).await;
    assert_eq!((status, &same["version"]), (200, &json!(5)), "there is none, so nothing changes");
    // The trail says that it changed and who did it, and not what it was.
    let (_, trail) = admin.get(&format!("/audit?id={}", desk.account.id)).await;
    let changes: Vec<&Value> = trail["items"].as_array().unwrap().iter().flat_map(|entry| entry["changes"].as_array().unwrap()).collect();
    assert!(changes.contains(&&json!({"path": "receive_url", "changed": true})), "{trail}");
    assert!(!trail.to_string().contains(second.rsplit('/').next().unwrap()));
}

#[tokio::test]
async fn only_an_owner_replaces_the_proxy_token_and_the_previous_one_is_accepted_for_its_time() {
    let desk = Desk::open("PROXY", 5).await;
    let (configuration, path) = (&desk.deployment.configuration, desk.secret("proxy_token"));
    let account = Account { domain: Some("wa.example.com".to_owned()), proxy_token: "first".into(), ..desk.account.clone() };
    configuration.put(&account, Write::Replace { before: &desk.account, version: 1 }, Vec::new()).await.unwrap();
    for (method, what, body) in [("POST", "rotate", Some(json!({}))), ("DELETE", "previous", None)] {
        assert_eq!(desk.administrator().at_version(method, &format!("{path}/{what}"), 2, body).await.0, 403);
    }
    let owner = desk.owner();
    let (status, rotated) = owner.at_version("POST", &format!("{path}/rotate"), 2, Some(json!({}))).await;
    let second = rotated["proxy_token"].as_str().unwrap().to_owned();
    assert_eq!((status, second.len()), (200, 43));
    // The signature is for another address, which is told only to those who pass the proxy's token.
    let passes = async |token: &str| {
        let mut request = webhook(account.receive_path.reveal(), "", &text(&sid(1), "whatsapp:+393500000001", "hi"), Some(AUTH_TOKEN));
        request.headers_mut().insert("x-proxy-token", token.parse().unwrap());
        let answer = desk.deployment.receive().handle(&request).await;
        let lambda_http::Body::Text(body) = answer.body() else { panic!("no text") };
        !body.contains("X-Proxy-Token")
    };
    assert!(passes("first").await && passes(&second).await && !passes("third").await);
    assert_eq!(owner.at_version("DELETE", &format!("{path}/previous"), 3, None).await.0, 200);
    assert!(!passes("first").await && passes(&second).await);
    // The tokens lie in an item of their own, and not in the account's, which the API of agents may read.
    let (table, id) = (desk.deployment.aws.dynamodb(), AttributeValue::S(desk.account.id.to_string()));
    let stored = async |kind: &str| {
        let get = table.get_item().table_name("config").key("pk", AttributeValue::S(kind.to_owned())).key("sk", id.clone());
        get.send().await.unwrap().item.unwrap()["data"].as_m().unwrap().clone()
    };
    assert_eq!(stored("proxy").await["current"], AttributeValue::S(second.clone()));
    let own = stored("account").await;
    assert!(!own.contains_key("proxy_token") && !format!("{own:?}").contains(&second));
    // A version before writes its token into the account, and leaves the item as it is.
    let change = table.update_item().table_name("config").key("pk", AttributeValue::S("account".to_owned())).key("sk", id.clone());
    let change =
        change.update_expression("SET #data.proxy_token = :token, #data.version = :version").expression_attribute_names("#data", "data");
    let change = change.expression_attribute_values(":token", AttributeValue::S("third".to_owned()));
    change.expression_attribute_values(":version", AttributeValue::N("9".to_owned())).send().await.unwrap();
    assert!(passes("third").await && !passes(&second).await);
    let shown = owner.get(&format!("/accounts/{}", desk.account.id)).await.1;
    assert_eq!(shown["proxy_token"], "third");
    // The next change takes it out.
    let (status, rotated) = owner.at_version("POST", &format!("{path}/rotate"), 4, Some(json!({}))).await;
    assert_eq!(status, 200, "{rotated}");
    assert!(!stored("account").await.contains_key("proxy_token"));
    let own = stored("proxy").await;
    assert_eq!(own["previous"].as_m().unwrap()["secret"], AttributeValue::S("third".to_owned()));
    assert_eq!(own["current"], AttributeValue::S(rotated["proxy_token"].as_str().unwrap().to_owned()));
}

#[tokio::test]
async fn a_providers_previous_secret_expires_or_is_revoked_at_once() {
    let desk = Desk::open("REVOK", 5).await;
    let path = desk.account.receive_path.reveal().to_owned();
    let expired = receive::Receive::from_env(&desk.deployment.env_with(&[("PREVIOUS_SECRET_HOURS", "0")]), "twilio").unwrap();
    assert_eq!(desk.give_to(&expired, &path, 1, AUTH_TOKEN).await.0, 200);
    assert_eq!(desk.give_to(&expired, &path, 2, PREVIOUS_TOKEN).await.0, 403);
    assert_eq!(desk.give(&path, 3, PREVIOUS_TOKEN).await.0, 200, "by default it is accepted for a day");
    let (status, account) = desk.administrator().at_version("DELETE", &format!("{}/previous", desk.secret("provider")), 1, None).await;
    assert_eq!((status, account["replaced_secrets"]["provider_revoked_at"].is_string()), (200, true), "{account}");
    assert_eq!(desk.give(&path, 4, PREVIOUS_TOKEN).await.0, 403);
    assert_eq!(desk.give(&path, 5, AUTH_TOKEN).await.0, 200);
}

#[tokio::test]
async fn a_flood_of_random_tokens_costs_neither_a_read_nor_memory_each() {
    let desk = Desk::open("FLOOD", 5).await;
    let receive = desk.deployment.receive();
    let path = desk.account.receive_path.reveal().to_owned();
    assert_eq!(desk.give_to(&receive, &path, 1, AUTH_TOKEN).await.0, 200);
    desk.deployment.proxy.calls();
    for number in 0..100 {
        assert_eq!(desk.give_to(&receive, &format!("/receive/twilio/random-{number}"), 1, AUTH_TOKEN).await.0, 404);
    }
    // One read and one query in five seconds. A hundred refusals take far less than a minute.
    let calls = desk.deployment.proxy.calls();
    assert!(calls.len() <= 24, "{calls:?}");
    assert_eq!(desk.give_to(&receive, &path, 2, AUTH_TOKEN).await.0, 200);
}

#[tokio::test]
async fn a_notification_that_comes_again_does_not_bring_back_what_was_read() {
    let deployment = Deployment::new().await;
    let anna = deployment.ready_agent("anna", 5).await;
    let (store, now) = (&deployment.store, Timestamp::now());
    let interaction = domain::fixtures::interaction(domain::interaction::Status::Open, now);
    let note = |version| {
        let interaction = domain::interaction::Interaction { version, ..interaction.clone() };
        domain::note::Note::of_interaction(domain::note::NoteKind::NewMessages, &interaction, now)
    };
    let marked = async || store.notes(&anna, now).await.unwrap().iter().map(|kept| kept.marked).collect::<Vec<_>>();
    store.put_note(&anna, &note(7)).await.unwrap();
    assert_eq!(marked().await, [false]);
    assert!(store.read_note(&anna, note(7).id()).await.unwrap());
    for version in [7, 6] {
        store.put_note(&anna, &note(version)).await.unwrap();
        assert_eq!(marked().await, [true], "{version}");
    }
    store.put_note(&anna, &note(8)).await.unwrap();
    assert_eq!(marked().await, [false]);
}
