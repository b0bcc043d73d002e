//! Features of the agent API besides messages: notes, tags, the AI switch, wrap-up, conversations that agents start,
//! past interactions and canned answers.

use domain::account::{Account, Recontact};
use domain::agent::{Agent, Capacity, Role};
use domain::catalog::{AnswerFile, CannedAnswer, Disposition, KnownTag, Pause};
use domain::contact::Marketing;
use domain::effect::MessageKey;
use domain::ids::{AccountId, AgentId, AiAgentId, CannedAnswerId, DispositionId, PauseId, TagId};
use domain::message::{DeliveryError, ErrorClass};
use domain::tag::Tag;
use domain::template::{ApprovedTemplate, ListedTemplate, TemplateCatalogue};
use domain::text_template::TextTemplate;
use engine::ports::{Committed, Idempotency, Store};
use jiff::SignedDuration;
use serde_json::{Value, json};
use store::{AuditQuery, Entity, Write};

use crate::support::fault::When;
use crate::support::{AUTH_TOKEN, sid, text, webhook};
use crate::{Caller, Desk};

impl Desk {
    /// Changes the account before the configuration is in a cache.
    async fn configure(&mut self, change: impl FnOnce(&mut Account)) {
        let (before, version) = self.deployment.configuration.get::<Account>(self.account.id.as_str()).await.unwrap().unwrap();
        let mut account = before.clone();
        change(&mut account);
        self.deployment.configuration.put(&account, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
        self.deployment.configuration.forget();
        self.account = account;
    }

    async fn add<T: Entity>(&self, entity: &T) {
        self.deployment.configuration.put(entity, Write::New, Vec::new()).await.unwrap();
    }

    /// The audit trail, newest first.
    pub(crate) async fn audit(&self) -> Vec<Value> {
        let (from, to) = (cloud::time::now() - SignedDuration::from_hours(1), cloud::time::now() + SignedDuration::from_hours(1));
        let query = AuditQuery { who: None, kind: None, of: None, from, to, after: None, limit: 100 };
        let (entries, next) = self.deployment.configuration.audit(&query).await.unwrap();
        assert_eq!(next, None);
        entries.iter().map(|entry| serde_json::to_value(entry).unwrap()).collect()
    }

    async fn add_pause(&self, name: &str) -> PauseId {
        let pause = Pause { id: PauseId::from_ulid(cloud::ids::ulid()), name: name.to_owned() };
        self.add(&pause).await;
        pause.id
    }

    /// Receives and routes a customer's message.
    async fn customer_writes(&self, message: usize, from: &str) {
        let from = format!("whatsapp:{from}");
        let request = webhook(self.account.receive_path.reveal(), "", &text(&sid(message), &from, "hello?"), Some(AUTH_TOKEN));
        assert_eq!(self.deployment.warm_receiver().handle(&request).await.status(), 200);
        self.deployment.route_inbound().await;
    }
}

/// A template of Twilio, which the account of these tests has.
const TEMPLATE: &str = "HX00000000000000000000000000000001";

fn recontact() -> Recontact {
    let name = "{{contact.name}}{{^contact.name}}cliente{{/contact.name}}";
    ApprovedTemplate { body: vec![name.into(), "{{account.name}}".into()], ..ApprovedTemplate::plain(TEMPLATE, "it") }.into()
}

async fn put(caller: &Caller, path: &str, body: Value) -> (u16, Value) {
    caller.call("PUT", path, None, Some(body)).await
}

#[tokio::test]
async fn a_note_is_shown_to_colleagues_and_never_sent() {
    let desk = Desk::open("NOTES", 5).await;
    let path = desk.accepted(1).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    let notes = format!("{path}/notes");
    let body = json!({"text": "Wants a refund"});
    let (status, first) = ben.call("POST", &notes, Some("key-1"), Some(body.clone())).await;
    assert_eq!((status, &first["content"]), (201, &json!({"type": "note", "body": "Wants a refund"})), "{first}");
    assert!(first.get("state").is_none(), "it is on its way to nobody: {first}");
    let (_, again) = ben.call("POST", &notes, Some("key-1"), Some(body.clone())).await;
    assert_eq!(again["id"], first["id"]);
    let thread = anna.get(&format!("{path}/messages")).await.1;
    assert_eq!(thread["items"].as_array().unwrap().len(), 2, "{thread}");
    // A note can't be replied to, even after the interaction is closed.
    let reply = json!({"text": "Which?", "reply_to": first["id"]});
    assert_eq!(anna.post(&format!("{path}/messages"), reply).await.0, 422);
    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
    assert_eq!(ben.post(&notes, body.clone()).await.0, 201);
    for (bad, status) in [(json!({}), 422), (json!({"text": " "}), 422), (json!({"text": "x".repeat(4097)}), 422)] {
        assert_eq!(ben.post(&notes, bad).await.0, status);
    }
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).post(&notes, body.clone()).await.0, 404);
    assert_eq!(desk.caller("stranger", &["supervisor"]).post(&notes, body).await.0, 201);
}

#[tokio::test]
async fn tags_are_added_and_removed_and_must_be_configured_ones_if_there_are_any() {
    let desk = Desk::open("TAGS1", 5).await;
    for tag in ["vip", "late"] {
        desk.add(&KnownTag { id: TagId::from_ulid(cloud::ids::ulid()), tag: Tag::parse(tag).unwrap() }).await;
    }
    let path = desk.accepted(1).await;
    let (anna, tags) = (desk.anna(), format!("{path}/tags"));
    assert_eq!(anna.get("/me").await.1["tags"].as_array().unwrap().len(), 2);
    assert_eq!(anna.post(&tags, json!({"add": ["vip", "late"]})).await.1["tags"], json!(["vip", "late"]));
    let (status, body) = anna.post(&tags, json!({"add": ["vip"], "remove": ["late"]})).await;
    assert_eq!((status, &body["tags"]), (200, &json!(["vip"])));
    // A repeated request changes nothing.
    assert_eq!(anna.post(&tags, json!({"add": ["vip"]})).await.1["version"], body["version"]);
    let (status, problem) = anna.post(&tags, json!({"add": ["golf"]})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("add[0]")));
}

#[tokio::test]
async fn an_ai_agent_answers_only_while_it_is_switched_on() {
    let mut desk = Desk::open("AION1", 5).await;
    let path = desk.accepted(1).await;
    let (anna, ai) = (desk.anna(), format!("{path}/ai"));
    let (status, problem) = put(&anna, &ai, json!({"on": true})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/no-ai-agent")), "{problem}");
    let id = AiAgentId::from_ulid(cloud::ids::ulid());
    desk.configure(|account| account.answering_ai_agent = Some(id.clone())).await;
    // A new API has an empty cache.
    desk.routers = desk.fresh_routers();
    let anna = desk.anna();
    let (status, body) = put(&anna, &ai, json!({"on": true})).await;
    assert_eq!((status, &body["ai"]), (200, &json!(id.as_str())), "{body}");
    let (status, problem) = put(&desk.ben(), &ai, json!({"on": false})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/not-yours")));
    let (status, body) = put(&desk.caller("ben", &["supervisor"]), &ai, json!({"on": false})).await;
    assert_eq!((status, body.get("ai")), (200, None), "{body}");
}

#[tokio::test]
async fn an_agent_who_closes_without_a_mandatory_disposition_is_paused_until_it_is_chosen() {
    let mut desk = Desk::open("WRAP1", 5).await;
    let pause = desk.add_pause("After call").await;
    desk.add(&Disposition { id: DispositionId::from_ulid(cloud::ids::ulid()), name: "Sold/Online".into(), description: None }).await;
    desk.configure(|account| {
        account.settings.mandatory_disposition = true;
        account.settings.disposition_pause = Some(pause);
        account.settings.dispositions = vec!["Refund".into()];
    })
    .await;
    let path = desk.accepted(1).await;
    let (anna, close) = (desk.anna(), format!("{path}/close"));
    let me = anna.get("/me").await.1;
    assert_eq!((&me["accounts"][0]["dispositions"], &me["pauses"]), (&json!(["Refund", "Sold/Online"]), &json!(["After call"])));
    assert_eq!(me["accounts"][0]["disposition_pause"], "After call");
    let (status, body) = anna.post(&close, json!({})).await;
    assert_eq!((status, &body["status"], body["wrap_up_since"].is_string()), (200, &json!("open"), true), "{body}");
    let presence = anna.get("/presence").await.1;
    assert_eq!((&presence["state"], &presence["reason"]), (&json!("paused"), &json!("After call")));
    let (status, problem) = anna.post(&close, json!({"disposition": "Golf"})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("disposition")));
    let (status, body) = anna.post(&close, json!({"disposition": "Sold/Online"})).await;
    assert_eq!((status, &body["status"], &body["disposition"]), (200, &json!("closed"), &json!("Sold/Online")), "{body}");
    assert_eq!(anna.get("/presence").await.1["state"], "ready");
    // Agents choose from the configured pauses.
    let (status, problem) = put(&anna, "/presence", json!({"state": "paused", "reason": "Golf"})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("reason")));
    assert_eq!(put(&anna, "/presence", json!({"state": "paused", "reason": "After call"})).await.0, 200);
}

#[tokio::test]
async fn outside_the_window_the_recontact_template_is_offered_and_sent() {
    let mut desk = Desk::open("RECON", 5).await;
    desk.configure(|account| account.settings.recontact = Some(recontact())).await;
    let path = desk.accepted_long_ago().await;
    let (anna, messages) = (desk.anna(), format!("{path}/messages"));
    let (status, problem) = anna.post(&messages, json!({"text": "hello"})).await;
    let filled = json!({"name": TEMPLATE, "language": "it", "body": ["Zoë", "RECON"]});
    assert_eq!((status, &problem["type"], &problem["recontact"]), (409, &json!("/problems/window-expired"), &filled), "{problem}");
    let (status, message) = anna.post(&messages, json!({"recontact": true})).await;
    assert_eq!((status, &message["content"]["name"], &message["state"]), (201, &json!(TEMPLATE), &json!("queued")), "{message}");
}

#[tokio::test]
async fn a_recontact_template_whose_parameter_is_empty_for_the_customer_is_refused_naming_the_setting() {
    let mut desk = Desk::open("EMPTY", 5).await;
    let template = ApprovedTemplate { body: vec!["{{contact.name}}".into()], ..ApprovedTemplate::plain(TEMPLATE, "it") };
    desk.configure(|account| account.settings.recontact = Some(template.into())).await;
    let (anna, conversations) = (desk.anna(), format!("/accounts/{}/conversations", desk.account.id));
    let (status, problem) = anna.post(&conversations, json!({"phone": "+393500000045", "recontact": true})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/recontact-unfilled")), "{problem}");
    assert_eq!(problem["fields"], json!(["settings.recontact.parameters[0]"]));
    // A name on two lines is flattened.
    let body = json!({"phone": "+393500000045", "name": "Zoë     Rossi", "recontact": true});
    let (status, started) = anna.post(&conversations, body).await;
    assert_eq!((status, &started["message"]["content"]["body"]), (201, &json!(["Zoë Rossi"])), "{started}");
}

fn listed(parts: Value, status: &str) -> ListedTemplate {
    let template = json!({"name": TEMPLATE, "title": "order", "language": "it", "status": status, "parts": parts});
    serde_json::from_value(template).unwrap()
}

#[tokio::test]
async fn a_template_whose_parameters_are_not_those_that_the_provider_lists_is_refused_by_their_names() {
    let desk = Desk::open("LISTD", 5).await;
    let path = desk.accepted_long_ago().await;
    let (anna, messages) = (desk.anna(), format!("{path}/messages"));
    let keep = async |parts: Value, status: &str| {
        let catalogue = TemplateCatalogue::of(desk.account.id.clone(), cloud::time::now(), &[listed(parts, status)]);
        desk.deployment.configuration.keep_templates(&catalogue).await.unwrap();
        assert_eq!(desk.deployment.configuration.templates(&desk.account.id).await.unwrap(), Some(catalogue));
    };
    let template = |body: Value| json!({"template": {"name": TEMPLATE, "language": "it", "body": body}});
    let named = |name: &str| json!({"name": name, "text": "a"});
    keep(json!({"format": "variables", "parameters": ["first_name", "order"]}), "approved").await;
    for (body, code, message) in [
        (json!([named("first_name")]), "required", "lacks the variable order"),
        (json!([named("first_name"), named("order"), named("colour")]), "unknown-value", "the template has no variable colour"),
    ] {
        let (status, problem) = anna.post(&messages, template(body)).await;
        let expected = json!([{"field": "template.body", "code": code, "message": message}]);
        assert_eq!((status, &problem["errors"]), (422, &expected), "{problem}");
    }
    let (status, message) = anna.post(&messages, template(json!([named("order"), named("first_name")]))).await;
    assert_eq!((status, &message["content"]["body"][0]["name"]), (201, &json!("order")), "{message}");
    keep(json!({"format": "variables", "parameters": ["1"]}), "paused").await;
    let (status, problem) = anna.post(&messages, template(json!(["a"]))).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("template.name")), "{problem}");
    // It is advertising, which the customer refuses on this account.
    let advertising =
        ListedTemplate { category: "marketing".into(), ..listed(json!({"format": "variables", "parameters": ["1"]}), "approved") };
    let catalogue = TemplateCatalogue::of(desk.account.id.clone(), cloud::time::now(), &[advertising]);
    desk.deployment.configuration.keep_templates(&catalogue).await.unwrap();
    let key = desk.deployment.engine.locate(&path.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
    let contact = desk.deployment.store.contact(&key.conversation.contact).await.unwrap().unwrap();
    let phone = contact.addresses[0].phone().unwrap().as_str().to_owned();
    let refused = contact.with_marketing(&desk.account.id, Marketing { stopped: true, at: cloud::time::now() }).unwrap();
    assert_eq!(desk.deployment.store.commit_contact(&refused, &Idempotency::Guarded).await.unwrap(), Committed::Done);
    let conversations = format!("/accounts/{}/conversations", desk.account.id);
    let mut first = template(json!(["a"]));
    let written = anna.post(&messages, first.clone()).await;
    first["phone"] = json!(phone);
    for (status, problem) in [written, anna.post(&conversations, first.clone()).await] {
        assert_eq!((status, &problem["type"]), (409, &json!("/problems/marketing-refused")), "{problem}");
    }
    // Nobody has listed it: the provider decides.
    desk.deployment.configuration.drop_templates(&desk.account.id).await.unwrap();
    assert_eq!(anna.post(&messages, template(json!(["a"]))).await.0, 201);
}

#[tokio::test]
async fn a_message_that_failed_is_sent_again_as_a_new_one_that_names_it_once_for_each_key() {
    let desk = Desk::open("AGAIN", 5).await;
    let path = desk.accepted(1).await;
    let (anna, messages) = (desk.anna(), format!("{path}/messages"));
    let first = anna.post(&messages, json!({"text": "Buongiorno"})).await.1;
    let again = |key: &'static str| anna.call("POST", &messages, Some(key), Some(json!({"again": first["id"]})));
    let (status, problem) = again("too-early").await;
    assert_eq!((status, &problem["type"], &problem["state"]), (409, &json!("/problems/not-failed"), &json!("queued")), "{problem}");
    let engine = &desk.deployment.engine;
    let key = engine.locate(&path.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap();
    let place = |message: &Value| MessageKey {
        interaction: key.clone(),
        at: message["at"].as_str().unwrap().parse().unwrap(),
        message: message["id"].as_str().unwrap().parse().unwrap(),
    };
    let error = DeliveryError { class: ErrorClass::Permanent, code: None };
    engine.sent(&place(&first), None, &engine::Sent::Failed { error }).await.unwrap();
    let ((status, one), (_, two)) = tokio::join!(again("key-1"), again("key-1"));
    assert_eq!(
        (status, &one["again_of"], &one["content"], &one["state"]),
        (201, &first["id"], &first["content"], &json!("queued")),
        "{one}"
    );
    assert_eq!((&two["id"], &again("key-1").await.1["id"]), (&one["id"], &one["id"]));
    assert_ne!(one["id"], first["id"]);
    // An unknown outcome may be repeated too, and a repetition again.
    assert!(matches!(engine.claim(&place(&one)).await.unwrap(), engine::Claim::Send(_)));
    engine.sent(&place(&one), None, &engine::Sent::Unknown).await.unwrap();
    let (status, three) = anna.post(&messages, json!({"again": one["id"]})).await;
    assert_eq!((status, &three["again_of"]), (201, &one["id"]), "{three}");
    // A customer's message, and one of another interaction.
    let theirs = anna.get(&messages).await.1["items"][0]["id"].clone();
    assert_eq!(anna.post(&messages, json!({"again": theirs})).await.1["type"], json!("/problems/not-failed"));
    let other = format!("{}/messages", desk.accepted(2).await);
    let (status, problem) = anna.post(&other, json!({"again": first["id"]})).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("again")), "{problem}");
}

#[tokio::test]
async fn what_the_provider_cannot_send_is_refused_before_it_is_queued() {
    let desk = Desk::open("CANT1", 5).await;
    let path = desk.accepted(1).await;
    let anna = desk.anna();
    let theirs = anna.get(&format!("{path}/messages")).await.1["items"][0]["id"].clone();
    for body in [
        json!({"reaction": {"message": theirs, "emoji": "👍"}}),
        json!({"template": {"name": "recontact_1", "language": "it"}}),
        json!({"template": {"name": TEMPLATE, "header": {"type": "image", "url": "https://h.example/a.png"}}}),
    ] {
        let (status, problem) = anna.post(&format!("{path}/messages"), body.clone()).await;
        assert_eq!(
            (status, &problem["type"], &problem["provider"]),
            (422, &json!("/problems/not-sendable"), &json!("TWILIO")),
            "{body} {problem}"
        );
    }
    for (content_type, size, status) in
        [("text/csv", 10, 415), ("image/gif", 10, 415), ("application/pdf", 17 << 20, 413), ("application/pdf", 10, 201)]
    {
        let wanted = json!({"name": "a", "content_type": content_type, "size": size});
        let (answered, problem) = anna.post(&format!("{path}/attachments"), wanted).await;
        assert_eq!(answered, status, "{content_type} {problem}");
        assert!(status == 201 || problem["provider"] == json!("TWILIO"), "{problem}");
    }
}

#[tokio::test]
async fn an_agent_starts_a_conversation_and_gets_the_customers_reply() {
    let mut desk = Desk::open("FIRST", 2).await;
    desk.configure(|account| account.settings.recontact = Some(recontact())).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    let conversations = format!("/accounts/{}/conversations", desk.account.id);
    let body = json!({"phone": "+393500000042", "name": "Zoë", "recontact": true});
    let start = || anna.call("POST", &conversations, Some("key-1"), Some(body.clone()));
    let (one, two) = tokio::join!(start(), start());
    let three = start().await;
    for answer in [&one, &two, &three] {
        assert_eq!((answer.0, &answer.1["interaction"]["id"]), (201, &one.1["interaction"]["id"]), "{}", answer.1);
        assert_eq!(answer.1["message"]["id"], one.1["message"]["id"]);
    }
    assert_eq!(one.1["message"]["content"]["body"], json!(["Zoë", "FIRST"]));
    let (status, problem) = ben.post(&conversations, body.clone()).await;
    assert_eq!((status, &problem["type"], &problem["other"]), (409, &json!("/problems/other-open"), &one.1["interaction"]["id"]));
    // The customer replies, and Anna still has the interaction.
    desk.customer_writes(7, "+393500000042").await;
    let mine = anna.get("/interactions").await.1;
    assert_eq!((mine["interactions"].as_array().unwrap().len(), &mine["interactions"][0]["id"]), (1, &one.1["interaction"]["id"]));
    let thread = anna.get(&format!("/interactions/{}/messages", one.1["interaction"]["id"].as_str().unwrap())).await.1;
    assert_eq!(thread["items"].as_array().unwrap().len(), 2, "{thread}");
    // The request needs a template or the recontact template, an account of the caller, and a free slot.
    let other = json!({"phone": "+393500000043", "template": {"name": TEMPLATE, "language": "it"}});
    assert_eq!(anna.post(&conversations, other).await.0, 201);
    let (status, problem) = anna.post(&conversations, json!({"phone": "+393500000044", "recontact": true})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/at-capacity")), "{problem}");
    assert_eq!(anna.post(&conversations, json!({"phone": "0350", "recontact": true})).await.0, 422);
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).post(&conversations, body).await.0, 404);
}

#[tokio::test]
async fn an_agent_sees_the_contact_and_its_past_interactions() {
    let desk = Desk::open("PAST1", 5).await;
    let anna = desk.anna();
    let mut paths = Vec::new();
    for round in 0..3 {
        // All messages are from the same customer.
        desk.customer_writes(round, "+393500000001").await;
        desk.deployment.engine.wake(&domain::effect::Target::Queue(desk.queue.clone()), engine::Reach::Far).await.unwrap();
        let offers = anna.get("/interactions").await.1;
        let path = format!("/interactions/{}", offers["offers"][0]["id"].as_str().unwrap());
        assert_eq!(anna.post(&format!("{path}/accept"), json!({})).await.0, 200);
        assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.0, 200);
        paths.push(path);
    }
    let contact = anna.get(&format!("{}/contact", paths[2])).await.1;
    assert_eq!((&contact["phones"], &contact["name"]), (&json!(["+393500000001"]), &json!("Zoë Rossi")), "{contact}");
    assert_eq!(contact["lists"][0]["name"], "Customers");
    let ids = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|one| format!("/interactions/{}", one["id"].as_str().unwrap())).collect()
    };
    let page = anna.get(&format!("{}/past", paths[2])).await.1;
    assert_eq!((ids(&page), page.get("next")), (vec![paths[1].clone(), paths[0].clone()], None), "{page}");
    // The pages count the interaction in the path, although they leave it out.
    let (mut seen, mut before) = (Vec::new(), String::new());
    for _ in 0..3 {
        let page = anna.get(&format!("{}/past?limit=1{before}", paths[0])).await.1;
        seen.extend(ids(&page));
        let Some(next) = page["next"].as_str() else { break };
        before = format!("&after={next}");
    }
    assert_eq!(seen, [paths[2].clone(), paths[1].clone()]);
    // Archived interactions are hidden from lists.
    assert_eq!(anna.post(&format!("{}/archive", paths[1]), json!({})).await.0, 200);
    assert_eq!(ids(&anna.get(&format!("{}/past", paths[2])).await.1), [paths[0].clone()]);
    assert_eq!(anna.get(&format!("{}/past?after=x", paths[2])).await.0, 422);
    desk.deployment.ready_agent("stranger", 5).await;
    for part in ["contact", "past"] {
        assert_eq!(desk.caller("stranger", &["agent"]).get(&format!("{}/{part}", paths[2])).await.0, 404);
    }
}

#[tokio::test]
async fn canned_answers_of_the_account_and_general_ones_are_found_by_their_words() {
    let desk = Desk::open("CANNS", 5).await;
    let answer = |of: Option<&Account>, title: &str, text: &str| CannedAnswer {
        id: CannedAnswerId::from_ulid(cloud::ids::ulid()),
        account: of.map(|account| account.id.clone()),
        title: title.to_owned(),
        text: text.to_owned(),
        attachment: None,
    };
    let hello = "Good morning {{contact.phone}}, {{agent.name}} of {{account.name}}!";
    for one in [answer(None, "Hello", hello), answer(Some(&desk.account), "Hours", "Mornings, 9 to 12.")] {
        desk.add(&one).await;
    }
    let path = format!("/accounts/{}/canned-answers", desk.account.id);
    let found = desk.anna().get(&format!("{path}?search=MORNING")).await.1;
    let shown: Vec<_> = found["items"].as_array().unwrap().iter().map(|one| (&one["scope"], &one["title"])).collect();
    assert_eq!(shown, [(&json!("general"), &json!("Hello")), (&json!("local"), &json!("Hours"))], "{found}");
    assert_eq!(desk.anna().get(&format!("{path}?search=12%20hours")).await.1["total"], 1);
    // For an interaction the variables are filled in.
    assert!(found["items"][0].get("filled").is_none() && found["items"][0]["text"] == hello, "{found}");
    let interaction = desk.accepted(1).await.rsplit('/').next().unwrap().to_owned();
    let (status, for_customer) = desk.anna().get(&format!("{path}?search=MORNING&interaction={interaction}")).await;
    let filled = format!("Good morning +393500000001, anna of {}!", desk.account.name);
    assert_eq!((status, &for_customer["items"][0]["filled"]), (200, &json!(filled)), "{for_customer}");
    assert_eq!(for_customer["items"][1]["filled"], "Mornings, 9 to 12.");
    for nowhere in ["x", "int_01ARZ3NDEKTSV4RRFFQ69G5FAV"] {
        let (status, problem) = desk.anna().get(&format!("{path}?interaction={nowhere}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("interaction")), "{nowhere}");
    }
    assert_eq!(desk.anna().get(&format!("{path}?limit=0")).await.0, 422);
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).get(&path).await.0, 404);
    assert_eq!(desk.caller("stranger", &["agent"]).get("/interactions/waiting").await.1, json!({"items": [], "more": false}));
}

#[tokio::test]
async fn a_canned_answer_is_sent_with_its_file_by_one_command() {
    let desk = Desk::open("CANNF", 5).await;
    let (key, bytes) = ("answers/can_x/01ARZ3NDEKTSV4RRFFQ69G5FAV", b"\x89PNG\r\n\x1a\n prices".to_vec());
    desk.objects().put(key, bytes.clone(), "image/png").await.unwrap();
    let file = AnswerFile { key: key.into(), name: "prices.png".into(), content_type: "image/png".into(), size: 15 };
    let pdf = "answers/can_y/01ARZ3NDEKTSV4RRFFQ69G5FAW";
    desk.objects().put(pdf, b"%PDF-1.7".to_vec(), "application/pdf").await.unwrap();
    let pdf = AnswerFile { key: pdf.into(), name: "terms.pdf".into(), content_type: "application/pdf".into(), size: 8 };
    let answer = |of: AccountId, text: &str, attachment: Option<&AnswerFile>| CannedAnswer {
        id: CannedAnswerId::from_ulid(cloud::ids::ulid()),
        account: Some(of),
        title: "Prices".to_owned(),
        text: text.to_owned(),
        attachment: attachment.cloned(),
    };
    let own = desk.account.id.clone();
    let whole = answer(own.clone(), "For {{contact.phone}}", Some(&file));
    let (long, plain) = (answer(own.clone(), &"x".repeat(1025), Some(&file)), answer(own, "From {{agent.name}}", None));
    let others = answer(AccountId::from_ulid(cloud::ids::ulid()), "Others", Some(&file));
    let document = answer(desk.account.id.clone(), "Our terms", Some(&pdf));
    for one in [&whole, &long, &plain, &others, &document] {
        desk.add(one).await;
    }
    let path = desk.accepted(1).await;
    let anna = desk.anna();
    let answers = format!("/accounts/{}/canned-answers", desk.account.id);
    let found = anna.get(&format!("{answers}?search=contact")).await.1;
    assert_eq!(
        found["items"][0]["attachment"],
        json!({"name": "prices.png", "content_type": "image/png", "size": 15, "captioned": true}),
        "{found}"
    );
    let (status, link) = anna.get(&format!("{answers}/{}/attachment", whole.id)).await;
    assert_eq!((status, reqwest::get(link["url"].as_str().unwrap()).await.unwrap().bytes().await.unwrap().to_vec()), (200, bytes));
    for nothing in [&plain, &others] {
        assert_eq!(anna.get(&format!("{answers}/{}/attachment", nothing.id)).await.0, 404);
    }
    let send = async |body: Value| anna.post(&format!("{path}/messages"), body).await;
    let (status, sent) = send(json!({"canned_answer": whole.id})).await;
    assert_eq!((status, &sent["content"]), (201, &json!({"type": "media", "caption": "For +393500000001"})), "{sent}");
    let shown = |sent: &Value| {
        (sent["attachments"][0]["name"].clone(), sent["attachments"][0]["kind"].clone(), sent["attachments"][0]["state"].clone())
    };
    assert_eq!(shown(&sent), (json!("prices.png"), json!("image"), json!("stored")), "{sent}");
    let (_, own_words) = send(json!({"canned_answer": whole.id, "caption": "As you asked"})).await;
    assert_eq!((&own_words["content"]["caption"], shown(&own_words)), (&json!("As you asked"), shown(&sent)), "{own_words}");
    // The interaction has its own copy, one for both.
    let id = path.rsplit('/').next().unwrap();
    let copies = desk.objects().list(&format!("media/{}/{id}/", desk.account.id), None, 10).await.unwrap().0;
    assert_eq!(copies.iter().map(|copy| copy.size).collect::<Vec<_>>(), [15]);
    let (_, text) = send(json!({"canned_answer": plain.id})).await;
    assert_eq!(text["content"], json!({"type": "text", "body": "From anna"}), "{text}");
    let refused = async |body: Value| {
        let (status, problem) = send(body).await;
        (status, problem["errors"][0]["field"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(refused(json!({"canned_answer": long.id})).await, (422, "caption".to_owned()));
    assert_eq!(refused(json!({"canned_answer": others.id})).await, (422, "canned_answer".to_owned()));
    assert_eq!(refused(json!({"canned_answer": "x"})).await, (422, "canned_answer".to_owned()));
    assert_eq!(refused(json!({"canned_answer": whole.id, "text": "x"})).await, (422, "text".to_owned()));
    // Twilio takes no caption with a document.
    let found = anna.get(&format!("{answers}?search=terms")).await.1;
    assert_eq!(found["items"][0]["attachment"]["captioned"], false, "{found}");
    assert_eq!(refused(json!({"canned_answer": document.id})).await, (422, "caption".to_owned()));
    let (status, alone) = send(json!({"canned_answer": document.id, "caption": ""})).await;
    assert_eq!((status, &alone["attachments"][0]["kind"]), (201, &json!("document")), "{alone}");
    // The answer gets another file. What was sent stays.
    desk.objects().delete(key).await.unwrap();
    let (status, again) = send(json!({"canned_answer": whole.id})).await;
    assert_eq!((status, shown(&again)), (201, shown(&sent)), "{again}");
}

#[tokio::test]
async fn an_agent_sees_all_open_interactions_of_an_account_and_picks_one_that_waits() {
    let desk = Desk::open("OPENS", 5).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    let path = format!("/accounts/{}/interactions", desk.account.id);
    assert_eq!(anna.get(&path).await, (200, json!({"items": []})));
    let mut paths = Vec::new();
    for number in 1..=5 {
        paths.push(desk.ring(number).await);
    }
    assert_eq!(anna.post(&format!("{}/accept", paths[1]), json!({})).await.0, 200);
    assert_eq!(anna.post(&format!("{}/accept", paths[3]), json!({})).await.0, 200);
    assert_eq!(anna.post(&format!("{}/close", paths[3]), json!({})).await.0, 200);
    let pages = async |query: &str| {
        let (mut seen, mut after) = (Vec::new(), String::new());
        for _ in 0..5 {
            let page = ben.get(&format!("{path}?{query}{after}")).await.1;
            seen.extend(page["items"].as_array().unwrap().iter().map(|one| format!("/interactions/{}", one["id"].as_str().unwrap())));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        seen
    };
    let (waiting, all) = ([&paths[4], &paths[2], &paths[0]], [&paths[4], &paths[2], &paths[1], &paths[0]]);
    for limit in [1, 2, 3, 4, 50] {
        assert_eq!(pages(&format!("limit={limit}")).await.iter().collect::<Vec<_>>(), all, "{limit}");
        assert_eq!(pages(&format!("waiting=true&limit={limit}")).await.iter().collect::<Vec<_>>(), waiting, "{limit}");
    }
    // One call tells what waits on all of his accounts: the longest first, with what was said last.
    ben.get("/interactions/waiting").await;
    desk.deployment.proxy.calls();
    let (status, all) = ben.get("/interactions/waiting").await;
    let calls = desk.deployment.proxy.calls();
    let called = |operation: &str| calls.iter().filter(|call| call.ends_with(operation)).count();
    // Three messages, and the interactions in one batch. What no agent has is asked for once in five seconds: by the
    // presences, and the index.
    assert_eq!(status, 200);
    assert!(matches!((called(".Query"), called(".BatchGetItem")), (3, 1) | (4, 2)), "{calls:?}");
    let items = all["items"].as_array().unwrap();
    let ids: Vec<_> = items.iter().map(|it| format!("/interactions/{}", it["id"].as_str().unwrap())).collect();
    assert_eq!((ids.iter().collect::<Vec<_>>(), &all["more"]), (vec![&paths[0], &paths[2], &paths[4]], &json!(false)), "{all}");
    assert!(items.iter().all(|it| !it["last"]["text"].is_null() && !it["unanswered_since"].is_null()), "{all}");
    let (_, some) = ben.get("/interactions/waiting?limit=2").await;
    assert_eq!((some["items"].as_array().unwrap().len(), &some["more"]), (2, &json!(true)), "{some}");
    // It was ringing, but he picks this one instead.
    let (status, picked) = ben.post(&format!("{}/pick", paths[2]), json!({})).await;
    assert_eq!((status, &picked["agent"]), (200, &json!(desk.agents[1].as_str())), "{picked}");
    assert_eq!(pages("waiting=true").await, [paths[4].clone(), paths[0].clone()]);
    let (status, problem) = anna.post(&format!("{}/pick", paths[2]), json!({})).await;
    assert_eq!((status, &problem["type"], &problem["owner_name"]), (409, &json!("/problems/not-yours"), &json!("ben")));
    for bad in ["limit=0", "limit=101", "after=x", "waiting=yes"] {
        assert_eq!(anna.get(&format!("{path}?{bad}")).await.0, 422, "{bad}");
    }
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.caller("stranger", &["agent"]).get(&path).await.0, 404);
    assert_eq!(desk.caller("stranger", &["supervisor"]).get(&format!("{path}?limit=4")).await.1["items"].as_array().unwrap().len(), 4);
    assert_eq!(anna.get("/accounts/acc_1/interactions").await.0, 404);
}

#[tokio::test]
async fn an_agent_sees_transfer_targets_and_the_names_of_ids() {
    let desk = Desk::open("NAMES", 5).await;
    desk.deployment.ready_agent("stranger", 5).await;
    desk.accepted(1).await;
    assert_eq!(put(&desk.ben(), "/presence", json!({"state": "paused", "reason": "Lunch"})).await.0, 200);
    let path = format!("/accounts/{}/colleagues", desk.account.id);
    let (status, found) = desk.anna().get(&path).await;
    assert_eq!(status, 200, "{found}");
    let shown = |one: &Value| format!("{} {} {} {}/{}", one["name"], one["state"], one["reason"], one["load"], one["capacity"]);
    let agents: Vec<String> = found["agents"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(agents, [r#""anna" "ready" null 1/5"#, r#""ben" "paused" "Lunch" 0/5"#]);
    assert_eq!((&found["agents"][0]["id"], found["agents"][0]["since"].is_string()), (&json!(desk.agents[0].as_str()), true));
    let names = |list: &Value| list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((names(&found["others"]), names(&found["queues"])), (vec!["stranger".to_owned()], vec!["Support".to_owned()]));
    assert_eq!(found["queues"][0]["id"], desk.queue.as_str());
    assert_eq!(desk.caller("stranger", &["agent"]).get(&path).await.0, 404);
    assert_eq!(desk.caller("stranger", &["supervisor"]).get(&path).await.1, found);
}

#[tokio::test]
async fn a_supervisor_sees_all_accounts_and_which_ones_are_their_own() {
    let desk = Desk::open("SEES1", 5).await;
    desk.deployment.account("SEES2", &[], &desk.queue).await;
    let accounts = async |roles: &[&str]| {
        let me = desk.caller("anna", roles).get("/me").await.1;
        let mut shown: Vec<_> =
            me["accounts"].as_array().unwrap().iter().map(|one| format!("{} {}", one["key"].as_str().unwrap(), one["member"])).collect();
        shown.sort();
        shown
    };
    assert_eq!(accounts(&["agent"]).await, ["SEES1 true"]);
    assert_eq!(accounts(&["supervisor"]).await, ["SEES1 true", "SEES2 false"]);
}

#[tokio::test]
async fn an_offer_is_listed_with_its_notification_and_its_queue() {
    let mut desk = Desk::open("SHOWN", 5).await;
    desk.configure(|account| {
        let notification = &mut account.settings.notification;
        (notification.sound, notification.shake) = (false, true);
        notification.template = TextTemplate::parse("{{contact.name}} for {{#queue}}{{queue.name}}{{/queue}} of {{account.name}}").unwrap();
    })
    .await;
    desk.routers = desk.fresh_routers();
    let path = desk.ring(1).await;
    let (anna, ben) = (desk.anna(), desk.ben());
    let offer = anna.get("/interactions").await.1["offers"][0].take();
    let shown = json!({"text": "Zoë Rossi for Support of SHOWN", "sound": false, "shake": true, "style": "neutral"});
    assert_eq!(offer["notification"], shown, "{offer}");
    assert_eq!(offer["queue"], json!({"id": desk.queue, "name": "Support"}));
    assert_eq!(offer["waits_on"], "step", "beside what is known of every interaction");
    // A transfer to an agent has no queue.
    assert_eq!(anna.post(&format!("{path}/accept"), json!({})).await.0, 200);
    assert_eq!(anna.post(&format!("{path}/transfer"), json!({"agent": desk.agents[1]})).await.0, 200);
    desk.deployment.engine.wake(&domain::effect::Target::Agent(desk.agents[1].clone()), engine::Reach::Far).await.unwrap();
    let offer = ben.get("/interactions").await.1["offers"][0].take();
    assert_eq!((&offer["notification"]["text"], offer.get("queue")), (&json!("Zoë Rossi for  of SHOWN"), None), "{offer}");
}

#[tokio::test]
async fn a_message_a_note_and_a_transcript_may_be_based_on_a_version() {
    let desk = Desk::open("BASED", 5).await;
    let path = desk.accepted(1).await;
    let anna = desk.anna();
    let version = || async { anna.get(&path).await.1["version"].clone() };
    let old = version().await;
    desk.customer_writes(2, "+393500000001").await;
    for (what, body, status) in
        [("messages", json!({"text": "hello"}), 201), ("notes", json!({"text": "a note"}), 201), ("transcript", json!({}), 202)]
    {
        let (refused, problem) = anna.post_based_on(&format!("{path}/{what}"), &old, body.clone()).await;
        assert_eq!(
            (refused, &problem["type"], &problem["interaction"]["version"]),
            (409, &json!("/problems/changed"), &version().await),
            "{what}"
        );
        // The refused request wrote nothing. With the current version it succeeds. A repeated request gets the first
        // response, although the version has changed since.
        let now = version().await;
        let headers = [("if-match", now.to_string()), ("idempotency-key", what.to_owned())];
        let (done, first) = anna.call_with("POST", &format!("{path}/{what}"), &headers, Some(body.clone())).await;
        assert_eq!(done, status, "{what}: {first}");
        assert_ne!(version().await, now, "{what}");
        let (again, second) = anna.call_with("POST", &format!("{path}/{what}"), &headers, Some(body)).await;
        assert_eq!((again, second["id"].clone()), (status, first["id"].clone()), "{what}");
    }
    let thread = anna.get(&format!("{path}/messages")).await.1;
    assert_eq!(thread["items"].as_array().unwrap().len(), 4, "two of the customer, a message and a note: {thread}");
}

#[tokio::test]
async fn a_supervisor_pauses_an_agent_or_logs_one_out_but_logs_no_agent_in() {
    let desk = Desk::open("FORCE", 5).await;
    let path = desk.ring(1).await;
    let (ben, supervisor) = (desk.ben(), desk.caller("anna", &["supervisor"]));
    let of_ben = format!("/agents/{}/presence", desk.agents[1]);
    assert_eq!(ben.get("/interactions").await.1["offers"].as_array().unwrap().len(), 1);
    let (pause, logout) = (json!({"state": "paused", "reason": "Training"}), json!({"state": "logged_out"}));
    // Only supervisors and above may do this, and not even they can make an agent ready.
    for (answer, status) in [
        (put(&desk.anna(), &of_ben, pause.clone()).await, 403),
        (desk.anna().get(&of_ben).await, 403),
        (put(&supervisor, &of_ben, json!({"state": "ready"})).await, 422),
        (put(&supervisor, &of_ben, json!({"state": "paused"})).await, 422),
        (put(&supervisor, "/agents/agt_00000000000000000000000000/presence", pause.clone()).await, 404),
        (supervisor.get("/agents/agt_00000000000000000000000000/presence").await, 404),
    ] {
        assert_eq!(answer.0, status, "{}", answer.1);
    }
    assert_eq!(supervisor.get(&of_ben).await.1["state"], "ready");

    let (status, presence) = put(&supervisor, &of_ben, pause.clone()).await;
    assert_eq!((status, &presence["state"], &presence["reason"]), (200, &json!("paused"), &json!("Training")), "{presence}");
    assert_eq!(ben.get("/presence").await.1, presence);
    assert_eq!((supervisor.get(&of_ben).await.1, ben.get("/interactions").await.1["offers"].clone()), (presence, json!([])));
    assert_eq!(ben.post(&format!("{path}/accept"), json!({})).await.1["type"], "/problems/not-ready");

    // A pause can't log in an agent who is logged out.
    let key = Some("key-1");
    assert_eq!(supervisor.call("PUT", &of_ben, key, Some(logout.clone())).await.1["state"], "logged_out");
    let (status, problem) = put(&supervisor, &of_ben, pause.clone()).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/logged-out")), "{problem}");
    assert_eq!(ben.get("/presence").await.1["state"], "logged_out");
    assert_eq!(put(&supervisor, &of_ben, logout.clone()).await.0, 200);
    assert_eq!(supervisor.call("PUT", &of_ben, key, Some(logout)).await.0, 200);
    // Each of the two changes has one entry, newest first. The agents' own changes have none.
    let told = desk.audit().await;
    let of = |entry: &Value| {
        (entry["who"].clone(), entry["role"].clone(), entry["action"].clone(), entry["of"].clone(), entry["changes"].clone())
    };
    let entry = |changes| (json!(desk.agents[0]), json!("supervisor"), json!("presence_forced"), json!(desk.agents[1]), changes);
    let (left, paused) = (
        json!([{"path": "reason", "before": "Training"}, {"path": "state", "before": "paused", "after": "logged_out"}]),
        json!([{"path": "state", "before": "ready", "after": "paused"}, {"path": "reason", "after": "Training"}]),
    );
    assert_eq!(told.iter().map(of).collect::<Vec<_>>(), [entry(left), entry(paused)]);
    // The same holds for an agent who never logged in.
    let id = AgentId::from_ulid(cloud::ids::ulid());
    let (name, subject, capacity) = ("new".to_owned(), "new".to_owned(), Capacity::default());
    let agent = Agent { id, name, subject, role: Role::Agent, whatsapp: true, capacity };
    desk.add(&agent).await;
    let of_new = format!("/agents/{}/presence", agent.id);
    assert_eq!(supervisor.get(&of_new).await.1, json!({"state": "logged_out", "capacity": 5, "load": 0}));
    assert_eq!(put(&supervisor, &of_new, pause).await.1["type"], "/problems/logged-out");
}

#[tokio::test]
async fn a_forced_presence_whose_response_is_lost_has_one_audit_entry() {
    let desk = Desk::open("FORC3", 5).await;
    let supervisor = desk.caller("anna", &["supervisor"]);
    let of_ben = format!("/agents/{}/presence", desk.agents[1]);
    let pause = json!({"state": "paused", "reason": "Training"});
    desk.deployment.proxy.fail("DynamoDB_20120810.TransactWriteItems", When::After);
    assert_eq!(supervisor.call("PUT", &of_ben, Some("key-1"), Some(pause.clone())).await.0, 503);
    desk.deployment.proxy.heal();
    assert_eq!(supervisor.call("PUT", &of_ben, Some("key-1"), Some(pause)).await.1["state"], "paused");
    assert_eq!(desk.audit().await.len(), 1);
}

#[tokio::test]
async fn a_repeated_forced_pause_succeeds_whatever_the_agent_did_since() {
    let desk = Desk::open("FORC2", 5).await;
    let (ben, supervisor) = (desk.ben(), desk.caller("anna", &["supervisor"]));
    let of_ben = format!("/agents/{}/presence", desk.agents[1]);
    let pause = json!({"state": "paused", "reason": "Training"});
    assert_eq!(supervisor.call("PUT", &of_ben, Some("key-1"), Some(pause.clone())).await.1["state"], "paused");
    assert_eq!(put(&ben, "/presence", json!({"state": "logged_out"})).await.0, 200);
    let (status, presence) = supervisor.call("PUT", &of_ben, Some("key-1"), Some(pause)).await;
    assert_eq!((status, &presence["state"]), (200, &json!("logged_out")));
}

#[tokio::test]
async fn readiness_is_checked_against_the_configuration_past_the_cache() {
    let desk = Desk::open("FRESH", 5).await;
    let anna = desk.anna();
    assert_eq!(put(&anna, "/presence", json!({"state": "paused", "reason": "Lunch"})).await.0, 200);
    // The API has the old record in its cache.
    assert_eq!(anna.get("/me").await.1["whatsapp"], true);
    let (before, version) = desk.deployment.configuration.get::<Agent>(desk.agents[0].as_str()).await.unwrap().unwrap();
    let after = Agent { whatsapp: false, ..before.clone() };
    desk.deployment.configuration.put(&after, Write::Replace { before: &before, version }, Vec::new()).await.unwrap();
    let (status, problem) = put(&anna, "/presence", json!({"state": "ready"})).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/whatsapp-disabled")), "{problem}");
}

/// Posts a request that is refused with an old version and accepted with the current one. Returns the response.
async fn only_as_it_is(caller: &Caller, path: &str, what: &str, body: Value) -> Value {
    let version = async || caller.get(path).await.1["version"].clone();
    let old = version().await;
    assert_eq!(caller.post(&format!("{path}/notes"), json!({"text": "looks at it"})).await.0, 201);
    let now = version().await;
    let (status, problem) = caller.post_based_on(&format!("{path}/{what}"), &old, body.clone()).await;
    assert_eq!(
        (status, &problem["type"], &problem["interaction"]["version"]),
        (409, &json!("/problems/changed"), &now),
        "{what}: {problem}"
    );
    assert_eq!(version().await, now, "{what}");
    let (status, done) = caller.post_based_on(&format!("{path}/{what}"), &now, body).await;
    assert_eq!(status, 200, "{what}: {done}");
    done
}

#[tokio::test]
async fn a_transfer_pick_reassignment_or_reopening_may_name_the_version_it_is_based_on() {
    let desk = Desk::open("HANDS", 5).await;
    let (anna, ben, supervisor) = (desk.anna(), desk.ben(), desk.caller("stranger", &["supervisor"]));
    desk.deployment.ready_agent("stranger", 5).await;
    let (annas, bens) = (json!(desk.agents[0].as_str()), json!(desk.agents[1].as_str()));
    let path = desk.accepted(1).await;

    let handed = only_as_it_is(&anna, &path, "transfer", json!({"agent": bens})).await;
    assert_eq!((&handed["waits_on"], &handed["agent"]), (&json!("transfer"), &annas), "she keeps it until he accepts: {handed}");
    desk.deployment.engine.wake(&domain::effect::Target::Agent(desk.agents[1].clone()), engine::Reach::Far).await.unwrap();
    assert_eq!(ben.post(&format!("{path}/accept"), json!({})).await.1["agent"], bens);

    let reassign = format!("{path}/reassign");
    assert_eq!(anna.post(&reassign, json!({"agent": annas})).await.0, 403);
    let given = only_as_it_is(&supervisor, &path, "reassign", json!({"agent": annas})).await;
    assert_eq!((&given["agent"], &given["unread"]), (&annas, &json!(true)), "{given}");

    assert_eq!(anna.post(&format!("{path}/close"), json!({})).await.1["status"], "closed");
    let reopened = only_as_it_is(&ben, &path, "reopen", json!({})).await;
    assert_eq!((&reopened["status"], &reopened["agent"]), (&json!("open"), &bens), "{reopened}");

    let waits = desk.ring(2).await;
    let picked = only_as_it_is(&anna, &waits, "pick", json!({})).await;
    assert_eq!((&picked["agent"], picked.get("waits_on")), (&annas, None), "{picked}");
}
