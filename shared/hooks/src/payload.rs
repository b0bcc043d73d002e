//! The body of a trigger's call. Pure.

use std::collections::BTreeMap;

use domain::account::Account;
use domain::effect::{ConversationKey, InteractionKey};
use domain::ids::{AgentId, ContactId, InteractionId, MessageId};
use domain::interaction::Interaction;
use domain::message::{Content, Message};
use domain::trigger::{Happened, MessagePlace, Trigger, TriggerCall, TriggerEvent};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use views::{InteractionView, MessageView};

/// The most bytes of a body: Standard Webhooks recommends less than 20 KB.
pub const MOST: usize = 20 * 1024 - 1;

/// The room for the message's texts, in bytes, from the usual one (see [`Message::short`]) down to what fits whatever
/// else the body holds.
const ROOMS: [usize; 4] = [4_096, 2_048, 1_024, 256];

/// The most files, reactions and the like of a message. WhatsApp's messages have one file.
const PARTS: usize = 10;

/// What a call tells.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// The call.
    pub call: &'a TriggerCall,
    /// The interaction's account.
    pub account: &'a Account,
    /// The interaction as it is now.
    pub interaction: &'a Interaction,
    /// The message that came or was written, as it is now.
    pub message: Option<&'a Message>,
    /// The name of the agent who accepted or rejected, if known.
    pub agent_name: Option<&'a str>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: Timestamp,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    /// The version of the interaction by which it happened: a greater one came later.
    version: u64,
    account: AccountOf<'a>,
    /// The interaction as it is now, with its own version.
    interaction: InteractionView,
    variables: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<AgentOf<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageView>,
}

#[derive(Serialize)]
struct AccountOf<'a> {
    id: &'a str,
    key: &'a str,
    name: &'a str,
}

#[derive(Serialize)]
struct AgentOf<'a> {
    id: &'a AgentId,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// The body of a call: `{type, timestamp, data}`, below [`MOST`] bytes. Long texts are cut, with `cut: true`.
pub fn body(told: &Told<'_>) -> Vec<u8> {
    let mut smallest = Vec::new();
    for room in ROOMS {
        smallest = written(told, told.message.map(|message| shortened(message, room)));
        if smallest.len() <= MOST {
            return smallest;
        }
    }
    smallest
}

fn written(told: &Told<'_>, message: Option<MessageView>) -> Vec<u8> {
    let Told { call: TriggerCall { version, happened, .. }, account, interaction, agent_name, .. } = told;
    let body = Body {
        r#type: happened.event.word(),
        timestamp: happened.at,
        data: Data {
            version: *version,
            account: AccountOf { id: account.id.as_str(), key: account.key.as_str(), name: &account.name },
            interaction: (*interaction).into(),
            variables: interaction.variables.iter().collect(),
            agent: happened.agent.as_ref().map(|id| AgentOf { id, name: *agent_name }),
            message,
        },
    };
    // Everything in it can be written as JSON.
    serde_json::to_vec(&body).unwrap_or_default()
}

/// The message with `room` for its texts.
fn shortened(message: &Message, room: usize) -> MessageView {
    let usual = room == ROOMS[0];
    let mut short = message.short();
    if !usual {
        let mut left = room;
        short.cut |= short.content.limit(&mut left);
        // These have no limit of their own, or none that is small.
        let lost = [short.words.take().is_some(), short.translation.take().is_some(), short.referral.take().is_some()];
        short.cut |= lost.contains(&true) | short.product.take().is_some();
        if matches!(short.content, Content::Template(_) | Content::Contacts { .. }) {
            let mut detail = short.content.readable();
            domain::message::limit(&mut detail, &mut { room });
            short.content = Content::Unsupported { kind: format!("{}_too_long", short.content.kind()), detail: Some(detail) };
            short.cut = true;
        }
    }
    let mut view = MessageView::from(&short);
    // It says something to the client that sent it, and to nobody else.
    view.client_id = None;
    view.attachments.truncate(PARTS);
    view.reactions.truncate(PARTS);
    if !usual {
        view.reactions.clear();
        for attachment in &mut view.attachments {
            attachment.name = None;
        }
    }
    view
}

/// The body with which an administrator tries out a trigger: an event that did not happen, of a customer who does not
/// exist. `data.test` is true.
pub fn sample(trigger: &Trigger, account: &Account, id: &str, now: Timestamp) -> Vec<u8> {
    let nobody = ulid::Ulid::nil();
    let event = trigger.events.first().copied().unwrap_or(TriggerEvent::MessageIncoming);
    let contact = ContactId::from_ulid(nobody);
    let interaction = InteractionId::from_ulid(nobody);
    let message = MessageId::from_ulid(nobody);
    let about_message = matches!(event, TriggerEvent::MessageIncoming | TriggerEvent::MessageOutgoing);
    let about_agent = matches!(event, TriggerEvent::OfferAccepted | TriggerEvent::OfferRejected);
    let happened = Happened {
        event,
        at: now,
        message: about_message.then(|| MessagePlace { id: message.clone(), at: now }),
        agent: about_agent.then(|| AgentId::from_ulid(nobody)),
    };
    let conversation = ConversationKey { account: account.id.clone(), contact: contact.clone() };
    let place = InteractionKey { conversation, interaction: interaction.clone() };
    let call = TriggerCall { id: id.to_owned(), trigger: trigger.id.clone(), interaction: place, version: 1, happened, attempt: 1 };
    let mut data = json!({
        "test": true,
        "version": call.version,
        "account": { "id": account.id, "key": account.key.as_str(), "name": account.name },
        "interaction": {
            "id": interaction, "account": account.id, "contact": contact, "customer_name": "Test", "status": "open", "version": 1,
            "agent": Value::Null, "unread": true, "tab_open": false, "opened_at": now,
        },
        "variables": {},
    });
    if let Some(agent) = &call.happened.agent {
        data["agent"] = json!({ "id": agent, "name": "Test" });
    }
    if about_message {
        let author = if event == TriggerEvent::MessageIncoming { json!({"kind": "customer"}) } else { json!({"kind": "system"}) };
        let content = json!({"type": "text", "body": "Test"});
        data["message"] =
            json!({ "id": message, "interaction": interaction, "at": now, "author": author, "content": content, "version": 1 });
    }
    serde_json::to_vec(&json!({ "type": event.word(), "timestamp": now, "data": data })).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use domain::interaction::Status;
    use domain::message::{CardDetail, ContactCard};
    use proptest::prelude::{Strategy, any, prop_assert, prop_oneof, proptest};
    use ulid::Ulid;

    use super::*;

    fn happened(event: TriggerEvent) -> Happened {
        Happened { event, at: Timestamp::UNIX_EPOCH, message: None, agent: Some(AgentId::from_ulid(Ulid::from_parts(1, 7))) }
    }

    fn told(message: Option<&Message>) -> Vec<u8> {
        let interaction = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH);
        let call = TriggerCall::first("int_1-2-0", 0, &fixtures::trigger().id, &interaction, &happened(TriggerEvent::OfferAccepted));
        body(&Told { call: &call, account: &fixtures::account(), interaction: &interaction, message, agent_name: Some("Anna") })
    }

    #[test]
    fn a_body_tells_type_time_version_account_interaction_agent_and_message() {
        let body: Value = serde_json::from_slice(&told(Some(&fixtures::message(Timestamp::UNIX_EPOCH)))).unwrap();
        assert_eq!((&body["type"], &body["timestamp"]), (&json!("offer.accepted"), &json!("1970-01-01T00:00:00Z")));
        let data = &body["data"];
        assert_eq!((&data["version"], &data["account"]["key"], &data["agent"]["name"]), (&json!(1), &json!("ROMA1"), &json!("Anna")));
        assert_eq!(data["message"]["content"], json!({"type": "text", "body": "Buongiorno"}));
        assert!(data["message"].get("cut").is_none());
    }

    #[test]
    fn a_long_text_is_cut_at_four_kilobytes_and_says_so() {
        let content = Content::Text { body: "x".repeat(60_000) };
        let message = Message { content, ..fixtures::message(Timestamp::UNIX_EPOCH) };
        let body: Value = serde_json::from_slice(&told(Some(&message))).unwrap();
        assert_eq!(body["data"]["message"]["content"]["body"].as_str().unwrap().len(), 4_096);
        assert_eq!(body["data"]["message"]["cut"], true);
    }

    fn contents() -> impl Strategy<Value = Content> {
        let text = || prop_oneof![".{0,80}", "[\u{1}-\u{1f}\"\\\\]{0,6000}", "🦀{0,3000}"];
        let card = |text: String| {
            let detail = CardDetail { value: text.clone(), ..CardDetail::default() };
            ContactCard { name: text.clone(), phones: vec![text; 3], details: vec![detail; 40], ..ContactCard::default() }
        };
        let cards = proptest::collection::vec(text(), 0..20);
        prop_oneof![
            text().prop_map(|body| Content::Text { body }),
            text().prop_map(|caption| Content::Media { caption }),
            text().prop_map(|text| Content::Form { name: Some(text.clone()), text: text.clone(), answers: text }),
            cards.prop_map(move |texts| Content::Contacts { cards: texts.into_iter().map(card).collect() }),
        ]
    }

    proptest! {
        #[test]
        fn no_body_is_twenty_kilobytes(content in contents(), words in proptest::option::of(".{0,4000}"), reactions in any::<u8>()) {
            let mut message = Message { content, words, ..fixtures::message(Timestamp::UNIX_EPOCH) };
            for n in 0..reactions {
                message.reacted(Some("👍"), Timestamp::from_second(i64::from(n)).unwrap());
            }
            let body = told(Some(&message));
            prop_assert!(body.len() < 20 * 1024, "{}", body.len());
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }

    #[test]
    fn a_test_is_like_a_call_and_says_that_it_is_none() {
        for event in TriggerEvent::ALL {
            let trigger = Trigger { events: [event].into(), ..fixtures::trigger() };
            let body: Value = serde_json::from_slice(&sample(&trigger, &fixtures::account(), "test", Timestamp::UNIX_EPOCH)).unwrap();
            assert_eq!((&body["type"], &body["data"]["test"]), (&json!(event.word()), &json!(true)));
            let view = |part: &str| body["data"][part].clone();
            assert!(serde_json::from_value::<InteractionView>(view("interaction")).is_ok());
            let is_of_message = event.word().starts_with("message.");
            assert_eq!(serde_json::from_value::<MessageView>(view("message")).is_ok(), is_of_message, "{body}");
        }
    }
}
