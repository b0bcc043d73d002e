//! Contacts that supervisors and agents look for, through the APIs and the index that stands behind them.

use std::collections::BTreeMap;

use domain::contact::Contact;
use domain::ids::ContactId;

use super::*;

impl Desk {
    /// All contacts that are in the table.
    async fn all_contacts(&self) -> BTreeMap<ContactId, Contact> {
        let mut contacts = BTreeMap::new();
        let mut after = None;
        loop {
            let part = self.deployment.store.scan_contacts(after.as_deref()).await.unwrap();
            contacts.extend(part.contacts.into_iter().map(|contact| (contact.id.clone(), contact)));
            after = part.next;
            if after.is_none() {
                return contacts;
            }
        }
    }

    /// Brings the index up to the contacts as they are, from what `known` says they were.
    async fn index(&self, known: &mut BTreeMap<ContactId, Contact>) {
        let now = self.all_contacts().await;
        for (id, after) in &now {
            if known.get(id) != Some(after) {
                self.deployment.store.index_contact(known.get(id), Some(after)).await.unwrap();
            }
        }
        for (id, before) in known.iter().filter(|(id, _)| !now.contains_key(id)) {
            assert_eq!(*id, before.id);
            self.deployment.store.index_contact(Some(before), None).await.unwrap();
        }
        *known = now;
    }

    async fn with_contact(&self, body: Value) -> Value {
        let (status, made) = self.administrator().post("/contacts", body).await;
        assert_eq!(status, 201, "{made}");
        made
    }

    /// How many items the index has.
    async fn entries(&self) -> usize {
        let mut items = self.deployment.aws.dynamodb().scan().table_name("interactions").into_paginator().items().send();
        let mut found = 0;
        while let Some(item) = items.next().await {
            let item = item.unwrap();
            let pk = item["pk"].as_s().unwrap();
            found += usize::from(["NAME#", "TAIL#", "LISTED#"].iter().any(|prefix| pk.starts_with(prefix)));
        }
        found
    }
}

/// The names on a page, in its order.
fn names(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().map(|contact| contact["name"].as_str().unwrap_or("-")).collect()
}

#[tokio::test]
async fn contacts_are_found_by_name_and_number_and_browsed_by_list() {
    let desk = Desk::open("SEEK1", 5).await;
    let (_, clients) = desk.administrator().post("/lists", json!({"name": "Clients"})).await;
    for (phone, name, lists) in [
        ("+393331000001", "Zoë Rossi", json!([clients["id"]])),
        ("+393331000002", "Ugo Rossini", json!([])),
        ("+390221000002", "Ada D'Angelo", json!([clients["id"]])),
    ] {
        desk.with_contact(json!({"phone": phone, "name": name, "lists": lists})).await;
    }
    desk.index(&mut BTreeMap::new()).await;
    let admin = desk.administrator();
    for (query, expected) in [
        ("q=ross", vec!["Zoë Rossi", "Ugo Rossini"]),
        ("q=ZOE%20ro", vec!["Zoë Rossi"]),
        ("q=d%27angelo", vec!["Ada D'Angelo"]),
        ("q=000002", vec!["Ugo Rossini", "Ada D'Angelo"]),
        ("q=%2B39%20333%20100%200002", vec!["Ugo Rossini"]),
        ("q=rossi%20ugo%20zoe", vec![]),
    ] {
        let (status, page) = admin.get(&format!("/contacts?{query}")).await;
        let (mut found, mut expected) = (names(&page), expected);
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!((status, found, page["next"].is_null()), (200, expected, true), "{query}: {page}");
    }
    let listed = admin.get(&format!("/contacts?list={}", clients["id"].as_str().unwrap())).await.1;
    assert_eq!(names(&listed), ["Ada D'Angelo", "Zoë Rossi"], "the newest first");
    assert_eq!(names(&admin.get("/contacts").await.1), ["Ada D'Angelo", "Ugo Rossini", "Zoë Rossi"]);
}

#[tokio::test]
async fn pages_show_each_contact_once_whatever_their_size() {
    let desk = Desk::open("SEEK2", 5).await;
    let mut expected: Vec<String> = Vec::new();
    for number in 0..23 {
        // Two words of each name begin so: each contact is shown under one of them.
        let name = format!("Mario{number:02} Marini");
        desk.with_contact(json!({"phone": format!("+3933320{number:05}"), "name": name})).await;
        expected.push(name);
    }
    desk.index(&mut BTreeMap::new()).await;
    let admin = desk.administrator();
    for (query, size) in [("q=mar", 1), ("q=mar", 7), ("q=mar%20mario", 5), ("limit=9", 9), ("limit=100", 100), ("q=mar", 23)] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let (status, page) = admin.get(&format!("/contacts?{query}&limit={size}{after}")).await;
            assert_eq!(status, 200, "{page}");
            found.extend(names(&page).into_iter().map(str::to_owned));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        found.sort_unstable();
        assert_eq!(found, expected, "{query} {size}");
    }
}

#[tokio::test]
async fn a_contact_is_found_as_it_is_now_and_the_index_keeps_nothing_of_what_it_was() {
    let desk = Desk::open("SEEK3", 5).await;
    let mut known = BTreeMap::new();
    let made = desk.with_contact(json!({"phone": "+393331000001", "name": "Zoë Rossi"})).await;
    desk.index(&mut known).await;
    let before = desk.entries().await;
    assert_eq!(before, 4, "two words, a number, among all");
    let admin = desk.administrator();
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    let match_of = |version: &Value| [("if-match", format!("\"{version}\""))];
    let (status, changed) = admin.call_with("PATCH", &path, &match_of(&made["version"]), Some(json!({"name": "Ada Bianchi"}))).await;
    assert_eq!(status, 200, "{changed}");
    // The index is old for a moment: it shows nothing wrong.
    assert_eq!(names(&admin.get("/contacts?q=rossi").await.1), Vec::<&str>::new());
    desk.index(&mut known).await;
    assert_eq!((names(&admin.get("/contacts?q=bianchi").await.1), desk.entries().await), (vec!["Ada Bianchi"], before));
    // A repetition of the first version, and then of the second: the same.
    let second = known.values().next().unwrap().clone();
    let first = Contact { name: Some(ProfileName("Zoë Rossi".into())), ..second.clone() };
    desk.deployment.store.index_contact(None, Some(&first)).await.unwrap();
    desk.deployment.store.index_contact(Some(&first), Some(&second)).await.unwrap();
    assert_eq!((names(&admin.get("/contacts?q=bianchi").await.1), desk.entries().await), (vec!["Ada Bianchi"], before));
    // The old name comes back, and all three versions come again.
    let third = Contact { version: second.version + 1, ..first.clone() };
    for _ in 0..2 {
        desk.deployment.store.index_contact(None, Some(&first)).await.unwrap();
        desk.deployment.store.index_contact(Some(&first), Some(&second)).await.unwrap();
        desk.deployment.store.index_contact(Some(&second), Some(&third)).await.unwrap();
    }
    assert_eq!(desk.entries().await, before);
    desk.deployment.store.index_contact(Some(&third), Some(&second)).await.unwrap();
    let (status, _) = admin.call_with("DELETE", &path, &match_of(&changed["version"]), None).await;
    assert_eq!(status, 204);
    assert_eq!(names(&admin.get("/contacts?q=bianchi").await.1), Vec::<&str>::new());
    desk.index(&mut known).await;
    assert_eq!(desk.entries().await, 0);
}

#[tokio::test]
async fn agents_find_the_contacts_of_their_accounts_only() {
    let desk = Desk::open("SEEK4", 5).await;
    // One wrote, one is on the account's list, one is a stranger.
    desk.ring(1).await;
    desk.with_contact(json!({"phone": "+393331000001", "name": "Zoë", "lists": [desk.account.list]})).await;
    desk.with_contact(json!({"phone": "+393331000002", "name": "Zoran"})).await;
    desk.index(&mut BTreeMap::new()).await;
    assert_eq!(names(&desk.anna().get("/contacts?q=zo").await.1), ["Zoë Rossi", "Zoë"]);
    let (status, by_number) = desk.anna().get("/contacts?q=3500000001").await;
    assert_eq!((status, by_number["items"][0]["phones"][0].as_str()), (200, Some("+393500000001")), "{by_number}");
    let everybody = desk.administrator().get("/contacts?q=zo").await.1;
    assert_eq!(names(&everybody), ["Zoë Rossi", "Zoë", "Zoran"]);
    let (status, problem) = desk.caller("nobody", &["agent"]).get("/contacts?q=zo").await;
    assert_eq!(status, 403, "{problem}");
}

#[tokio::test]
async fn a_search_that_can_not_be_is_refused_by_the_name_of_its_parameter() {
    let desk = Desk::open("SEEK5", 5).await;
    let long = "x".repeat(101);
    let other = BASE64_URL_SAFE_NO_PAD.encode("rossi#con_00000000000000000000000001");
    for (query, field) in [
        ("q=a".to_owned(), "q"),
        ("q=12".to_owned(), "q"),
        ("q=%21".to_owned(), "q"),
        (format!("q={long}"), "q"),
        ("q=zoe&list=lst_00000000000000000000000001".to_owned(), "list"),
        ("phone=%2B393331000001&q=zoe".to_owned(), "q"),
        ("list=VIP".to_owned(), "list"),
        ("q=zoe&after=%21".to_owned(), "after"),
        (format!("q=zoe&after={other}"), "after"),
        ("q=zoe&limit=101".to_owned(), "limit"),
    ] {
        let (status, problem) = desk.administrator().get(&format!("/contacts?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}: {problem}");
    }
    for (query, field) in
        [("q=a".to_owned(), "q"), (String::new(), "q"), (format!("q=zoe&after={other}"), "after"), ("q=zoe&limit=51".into(), "limit")]
    {
        let (status, problem) = desk.anna().get(&format!("/contacts?{query}")).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{query}: {problem}");
    }
}

#[tokio::test]
async fn a_blocked_customer_rings_nowhere_and_nobody_starts_a_conversation() {
    let desk = Desk::open("BLOCK", 5).await;
    let phone = "+393500000007";
    let made = desk.with_contact(json!({"phone": phone, "name": "Zoë Rossi", "blocked": true})).await;
    assert_eq!(made["blocked"], true);
    let (anna, admin) = (desk.anna(), desk.administrator());
    let kept = desk.ring(7).await;
    let sara = desk.caller("sara", &["supervisor"]).with_base(&desk, "/supervisor");
    let (status, kept) = sara.get(&kept).await;
    assert_eq!((status, &kept["status"], &kept["disposition"]), (200, &json!("closed"), &json!("Blocked")), "{kept}");
    assert_eq!(anna.get("/interactions").await.1["offers"], json!([]));
    let conversations = format!("/accounts/{}/conversations", desk.account.id);
    let template = json!({"phone": phone, "template": {"name": "HX00000000000000000000000000000001", "language": "it"}});
    let (status, problem) = anna.post(&conversations, template).await;
    assert_eq!((status, &problem["type"]), (409, &json!("/problems/customer-blocked")), "{problem}");
    let path = format!("/contacts/{}", made["id"].as_str().unwrap());
    let (_, now) = admin.get(&path).await;
    let version = [("if-match", format!("\"{}\"", now["version"]))];
    let (status, freed) = admin.call_with("PATCH", &path, &version, Some(json!({"blocked": false}))).await;
    assert_eq!((status, &freed["blocked"], &freed["name"]), (200, &json!(false), &json!("Zoë Rossi")), "{freed}");
    let again = desk.ring(8).await;
    assert_eq!(anna.get(&again).await.1["status"], "open", "another customer");
    let (message, from) = (sid(9), format!("whatsapp:{phone}"));
    let request = webhook(desk.account.receive_path.reveal(), "", &text(&message, &from, "hello"), Some(AUTH_TOKEN));
    assert_eq!(desk.deployment.warm_receiver().handle(&request).await.status(), 200);
    let (event, _) = desk.deployment.store.event(&desk.account.id, &message).await.unwrap().unwrap();
    desk.deployment.engine.route(&event).await.unwrap();
    desk.deployment.engine.wake(&Target::Queue(desk.queue.clone()), Reach::Far).await.unwrap();
    assert_eq!(anna.get("/interactions").await.1["offers"].as_array().unwrap().len(), 2);
}
