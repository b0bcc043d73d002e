//! Items of both forms, taken from the conversation that `tests/cost.rs` counts.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::HistoryEntry;
use domain::inbound::{InboundEvent, InboundKind};
use domain::interaction::Interaction;
use domain::message::{Content, Message};
use domain::values::ClientId;
use engine::stream::Owner;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::codec::{Form, Item, TOLD, data_of, effects_of, from_data, number, size_of, text, told_by};
use crate::events::RAW;
use crate::keys::{Key, Kind, kind_of};
use crate::raw::{packed, unpacked};
use crate::stream::{UnknownForm, grown};

/// As the version before wrote them.
const FORM_1: &str = include_str!("../fixtures/form1.json");

/// The same in the compact form. Stored items look like this, so the file stays as it is.
const FORM_2: &str = include_str!("../fixtures/form2.json");

fn items(file: &str) -> BTreeMap<String, Item> {
    let items: BTreeMap<String, serde_dynamo::Item> = serde_json::from_str(file).unwrap();
    items.into_iter().map(|(name, item)| (name, item.into())).collect()
}

fn key_of(item: &Item) -> Key {
    Key { pk: text(item, "pk").unwrap().to_owned(), sk: text(item, "sk").unwrap().to_owned() }
}

fn kind(item: &Item) -> Kind {
    let Key { pk, sk } = key_of(item);
    kind_of(&pk, &sk)
}

/// The item as it is written today, with the attributes that are no part of its value.
fn written(form: Form, before: &Item) -> Item {
    fn of<T: Serialize + DeserializeOwned>(form: Form, before: &Item) -> Item {
        let (data, version) = (from_data::<T>(before).unwrap(), number(before, "version").unwrap());
        form.item(key_of(before), &data, version, &effects_of(before).unwrap()).unwrap()
    }
    let mut item = match kind(before) {
        Kind::Interaction => of::<Interaction>(form, before),
        Kind::Message => of::<Message>(form, before),
        Kind::Event => of::<InboundEvent>(form, before),
        other => panic!("{other:?}"),
    };
    for (name, value) in before {
        item.entry(name.clone()).or_insert_with(|| value.clone());
    }
    if let (Form::Compact, Some(raw)) = (form, text(before, RAW)) {
        item.insert(RAW.to_owned(), packed(raw, &data_of(before).unwrap()));
    }
    item
}

fn same<T: DeserializeOwned + PartialEq + std::fmt::Debug>(one: &Item, other: &Item) {
    assert_eq!(from_data::<T>(one).unwrap(), from_data::<T>(other).unwrap());
    assert_eq!(effects_of(one).unwrap(), effects_of(other).unwrap());
}

/// What the stream shows when this item is new.
fn shown(item: &Item) -> Result<Option<engine::stream::Grown>, UnknownForm> {
    let image: serde_dynamo::Item = item.clone().into();
    grown(&image, &serde_dynamo::Item::default(), &image)
}

#[test]
fn both_forms_say_the_same_to_readers_and_to_the_stream() {
    let (before, after) = (items(FORM_1), items(FORM_2));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, before) in &before {
        for item in [&after[name], &written(Form::Compact, before), &written(Form::Plain, before)] {
            match kind(item) {
                Kind::Interaction => same::<Interaction>(before, item),
                Kind::Message => same::<Message>(before, item),
                _ => same::<InboundEvent>(before, item),
            }
            assert_eq!(shown(item), shown(before), "{name}");
            assert_eq!(shown(item).unwrap().is_some(), !effects_of(before).unwrap().is_empty(), "{name}");
        }
    }
    assert!(matches!(shown(&after["a half-routed event"]).unwrap().unwrap().item, Owner::Event(_)));
}

#[test]
fn the_plain_form_is_what_the_version_before_wrote() {
    for (name, before) in items(FORM_1) {
        let now = written(Form::Plain, &before);
        assert_eq!((&now["data"], now.get("effects"), &now["v"]), (&before["data"], before.get("effects"), &before["v"]), "{name}");
    }
}

#[test]
fn an_item_of_an_unknown_form_is_refused() {
    let mut item = items(FORM_2)["an unsent message"].clone();
    item.insert("v".to_owned(), AttributeValue::N("3".to_owned()));
    assert!(from_data::<Message>(&item).is_err() && effects_of(&item).is_err() && shown(&item) == Err(UnknownForm));
}

/// In bytes. Each unit of 1,024 bytes costs two in a transaction, so nobody may make an item larger unseen.
#[test]
fn what_a_message_writes_stays_below_a_kilobyte() {
    let limits = BTreeMap::from(SIZES);
    for (name, before) in items(FORM_1) {
        let (plain, compact) = (size_of(&before), size_of(&written(Form::Compact, &before)));
        assert!(compact <= limits[name.as_str()], "{name}: {compact} bytes, and {plain} in the plain form");
    }
    assert!(limits.values().all(|limit| *limit <= 1_024));
}

/// Half a kilobyte is left for the words of an ordinary message, with an id that is as long as it may be.
#[test]
fn the_id_that_a_client_gives_its_message_costs_no_unit() {
    let before = &items(FORM_1)["a message that the customer has read"];
    let message: Message = from_data(before).unwrap();
    let uuid = ClientId::parse("8c0f2a7e-5a34-4f3e-9f0e-3a2f3c1d5b6a").unwrap();
    let longest = ClientId::parse(&"x".repeat(64)).unwrap();
    let size = |client_id| {
        let item = Form::Compact.item(key_of(before), &Message { client_id, ..message.clone() }, 1, &[]).unwrap();
        assert_eq!(from_data::<Message>(&item).unwrap().events, message.events);
        size_of(&item)
    };
    let without = size(None);
    assert_eq!((size(Some(uuid)) - without, size(Some(longest)) - without), (46, 74));
    assert!(without + 74 < 1_024 / 2, "{without}");
}

const SIZES: [(&str, usize); 10] = [
    ("a customer's message", 407),
    ("a half-routed event", 480),
    ("a message that the customer has read", 418),
    ("a message with a picture", 651),
    ("an interaction that closes", 926),
    ("an interaction that is transferred", 870),
    ("an interaction that its agent has accepted", 836),
    ("an interaction that rings", 838),
    ("an interaction whose agent answers for the fifth time", 848),
    ("an unsent message", 432),
];

#[test]
fn a_history_rides_in_its_message_where_that_costs_nothing() {
    let told: Vec<HistoryEntry> = serde_json::from_value(json!([
        { "at": "2026-11-27T05:36:12.599Z", "version": 1, "fact": "opened" },
        { "at": "2026-11-27T05:36:12.599Z", "version": 1, "fact": "plan_started", "plan": 1 },
    ]))
    .unwrap();
    let before = &items(FORM_1)["a customer's message"];
    let mut message = written(Form::Compact, before);
    assert_eq!(Form::Plain.told(&told, &message).unwrap(), None, "the version before would lose it");
    assert_eq!(Form::Compact.told::<HistoryEntry>(&[], &message).unwrap(), None);
    let riding = Form::Compact.told(&told, &message).unwrap().unwrap();
    message.insert(TOLD.to_owned(), riding);
    assert_eq!(told_by::<HistoryEntry>(&message).unwrap(), told);
    assert_eq!(told_by::<HistoryEntry>(before).unwrap(), []);
    // Until 30 bytes below the next kilobyte there was room; not any more.
    message.remove(TOLD);
    message.insert("filler".to_owned(), AttributeValue::S("x".repeat(1_024 - 30 - 6 - size_of(&message))));
    assert_eq!(Form::Compact.told(&told, &message).unwrap(), None);
}

/// What `infra/items.py` shows.
fn read_by_people(items: &str) -> Value {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/items.py");
    let mut child = Command::new("python3").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(items.as_bytes()).unwrap();
    serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap()
}

/// People read stored items, and restore them, with `infra/items.py`.
#[test]
fn people_can_read_compact_items() {
    let read = read_by_people(FORM_2);
    let before: Value = serde_json::from_str(FORM_1).unwrap();
    for (name, item) in before.as_object().unwrap() {
        assert_eq!((&read[name]["data"], &read[name]["effects"]), (&item["data"], &item["effects"]), "{name}");
    }
}

#[test]
fn readers_and_people_see_what_the_provider_sent_in_either_form() {
    let before = &items(FORM_1)["a half-routed event"];
    let sent = text(before, RAW).unwrap();
    let now = written(Form::Compact, before);
    assert!(now[RAW].as_b().unwrap().as_ref().len() < 100, "{:?}", now[RAW]);
    for item in [before, &items(FORM_2)["a half-routed event"], &now] {
        assert_eq!(unpacked(&item[RAW], &data_of(item).unwrap()).as_deref(), Some(sent));
        let shown: serde_dynamo::Item = item.clone().into();
        assert_eq!(read_by_people(&serde_json::to_string(&shown).unwrap())[RAW], json!({ "S": sent }));
    }
    // JSON, with every kind of character, and a field that no version knows.
    let mut event: InboundEvent = from_data(before).unwrap();
    let said = "~è \"così\"\\ *\n\u{1f}\u{7f}🙂 & più (1+1) % ";
    let InboundKind::Message(message) = &mut event.kind else { panic!("{event:?}") };
    message.content = Content::Text { body: said.repeat(3) };
    let json = json!({ "message": { "text": { "body": said.repeat(3) }, "unknown": [1, null] } }).to_string();
    let form = format!("Body={}&Unknown=~", form_urlencoded::byte_serialize(said.repeat(3).as_bytes()).collect::<String>());
    for sent in [json, form] {
        let mut item = Form::Compact.item(key_of(before), &event, 1, &[]).unwrap();
        item.insert(RAW.to_owned(), packed(&sent, &data_of(&item).unwrap()));
        assert!(item[RAW].as_b().unwrap().as_ref().len() < 60, "{:?}", item[RAW]);
        assert_eq!(unpacked(&item[RAW], &data_of(&item).unwrap()), Some(sent.clone()));
        let shown: serde_dynamo::Item = item.into();
        assert_eq!(read_by_people(&serde_json::to_string(&shown).unwrap())[RAW], json!({ "S": sent }));
    }
}
