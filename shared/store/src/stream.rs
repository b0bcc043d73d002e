//! The table's stream: reads what a record shows of an item. Pure.

use std::collections::BTreeSet;

use domain::agent::PresenceWord;
use domain::contact::Contact;
use domain::effect::{Effect, InteractionKey, MessageKey};
use domain::message::Message;
use domain::report::Duty;
use engine::stream::{Grown, Owner};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_dynamo::{AttributeValue, Item};

use crate::codec::plain;
use crate::keys::{self, Kind};

/// The item in a record has a form that this version does not know. It says nothing of the contents: it is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownForm;

/// The attributes that every item with effects has beside its data.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default)]
    version: u64,
    #[serde(default)]
    effects: Vec<Effect>,
    /// Stands for [`Effect::Report`].
    #[serde(default)]
    report: bool,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

/// The attributes of a presence that tell its state.
#[derive(Deserialize)]
struct PresenceState {
    state: PresenceWord,
    #[serde(default)]
    wrapping_up: BTreeSet<String>,
    #[serde(default)]
    load: BTreeSet<String>,
    #[serde(default)]
    capacity: u32,
    #[serde(default)]
    revision: u64,
}

/// The attribute of an alert that tells when it came.
#[derive(Deserialize)]
struct ReceivedAt {
    received_at: i64,
}

impl PresenceState {
    /// As [`domain::agent::Presence::state`] gives it.
    fn word(&self) -> PresenceWord {
        if self.state == PresenceWord::Ready && !self.wrapping_up.is_empty() { PresenceWord::Paused } else { self.state }
    }

    fn duty(&self) -> Duty {
        let load = u32::try_from(self.load.len()).unwrap_or(u32::MAX);
        Duty { state: self.state, load, capacity: self.capacity, wraps_up: !self.wrapping_up.is_empty() }
    }
}

/// The item of a record if its version grew and the new version has effects. Idempotency marks, slots, backfills and
/// restores write items without a new version, and so cause nothing. A presence is reported when it tells another
/// duty, with or without a new version. An image that the record does not have is empty.
///
/// # Errors
/// The item has an unknown form.
pub fn grown(keys: &Item, old: &Item, new: &Item) -> Result<Option<Grown>, UnknownForm> {
    let (pk, sk) = key(keys).ok_or(UnknownForm)?;
    let kind = keys::kind_of(pk, sk);
    if kind == Kind::Other || new.is_empty() {
        return Ok(None);
    }
    let new = expanded(new)?;
    let Versioned { version, mut effects, report } = read(&new)?;
    effects.extend(report.then_some(Effect::Report));
    // A version that did not grow has had its effects.
    if version <= version_of(old) {
        effects.clear();
    }
    if kind == Kind::Presence && changes_duty(old, &new)? {
        effects.push(Effect::Report);
    }
    if effects.is_empty() {
        return Ok(None);
    }
    Ok(owner(kind, (pk, sk), &new)?.map(|item| Grown { item, version, effects }))
}

/// The contact in an image; `None` if the record has no such image.
///
/// # Errors
/// The item has an unknown form.
pub fn contact(image: &Item) -> Result<Option<Contact>, UnknownForm> {
    if image.is_empty() { Ok(None) } else { data(image).map(|contact| Some(*contact)) }
}

/// The partition and sort key of a record.
pub fn key(keys: &Item) -> Option<(&str, &str)> {
    let text = |name| match keys.get(name) {
        Some(AttributeValue::S(text)) => Some(text.as_str()),
        _ => None,
    };
    text("pk").zip(text("sk"))
}

/// The item in the first form, as far as it is read here.
fn expanded(image: &Item) -> Result<Item, UnknownForm> {
    let mut image = image.clone();
    let form = image.get("v").cloned();
    for name in ["data", "effects"] {
        if let Some(value) = image.remove(name) {
            image.insert(name.to_owned(), plain(form.as_ref(), value).ok_or(UnknownForm)?);
        }
    }
    Ok(image)
}

/// The version of an item before the change; 0 if it is new or had none.
fn version_of(image: &Item) -> u64 {
    match image.get("version") {
        Some(AttributeValue::N(version)) => version.parse().unwrap_or(0),
        _ => 0,
    }
}

fn owner(kind: Kind, (pk, sk): (&str, &str), image: &Item) -> Result<Option<Owner>, UnknownForm> {
    Ok(Some(match kind {
        Kind::Event => Owner::Event(data(image)?),
        Kind::Interaction => Owner::Interaction(data(image)?),
        Kind::Message => {
            let message: Box<Message> = data(image)?;
            let conversation = keys::conversation_at(pk).ok_or(UnknownForm)?;
            let interaction = InteractionKey { conversation, interaction: message.interaction.clone() };
            let key = MessageKey { interaction, at: message.at, message: message.id.clone() };
            Owner::Message { message, key }
        }
        Kind::Contact => Owner::Contact(data(image)?),
        Kind::Presence => {
            let agent = keys::agent_at(pk).ok_or(UnknownForm)?;
            let presence = read::<PresenceState>(image)?;
            Owner::Presence { agent, state: presence.word(), revision: presence.revision, duty: presence.duty() }
        }
        Kind::Alert => {
            let (account, event) = keys::alert_at(pk, sk).ok_or(UnknownForm)?;
            let received_at = Timestamp::from_millisecond(read::<ReceivedAt>(image)?.received_at).map_err(|_| UnknownForm)?;
            Owner::Alert { account, event: event.to_owned(), alert: data(image)?, received_at }
        }
        Kind::Other => return Ok(None),
    }))
}

/// Whether a presence tells another duty than before. Its load changes without a new version.
fn changes_duty(old: &Item, new: &Item) -> Result<bool, UnknownForm> {
    // What is taken from an agent without a presence leaves an item without a state.
    let known = |image: &Item| image.contains_key("state").then(|| read::<PresenceState>(image)).transpose();
    Ok(match (known(old)?, known(new)?) {
        (Some(before), Some(now)) => before.revision < now.revision && before.duty() != now.duty(),
        (None, now) => now.is_some(),
        (Some(_), None) => false,
    })
}

fn data<T: DeserializeOwned>(image: &Item) -> Result<Box<T>, UnknownForm> {
    read::<Data<T>>(image).map(|Data { data }| Box::new(data))
}

fn read<T: DeserializeOwned>(image: &Item) -> Result<T, UnknownForm> {
    serde_dynamo::from_item(image.clone()).map_err(|_| UnknownForm)
}

#[cfg(test)]
mod tests {
    use domain::effect::ConversationKey;
    use domain::ids::{AccountId, AgentId, ContactId, InteractionId};
    use serde::Serialize;
    use ulid::Ulid;

    use super::*;
    use crate::codec::{Form, effects_of};
    use crate::keys::Key;

    fn conversation() -> ConversationKey {
        ConversationKey { account: AccountId::from_ulid(Ulid(1)), contact: ContactId::from_ulid(Ulid(2)) }
    }

    fn keys_of(Key { pk, sk }: Key) -> Item {
        serde_dynamo::to_item(serde_json::json!({ "pk": pk, "sk": sk })).unwrap()
    }

    fn image<T: Serialize>(data: T, version: u64, effects: &[Effect]) -> Item {
        serde_dynamo::to_item(serde_json::json!({ "data": data, "version": version, "effects": effects })).unwrap()
    }

    fn message() -> (MessageKey, Message) {
        let interaction = InteractionId::from_ulid(Ulid(3));
        let message = Message { interaction: interaction.clone(), ..domain::fixtures::message(Timestamp::UNIX_EPOCH) };
        let interaction = InteractionKey { conversation: conversation(), interaction };
        (MessageKey { interaction, at: message.at, message: message.id.clone() }, message)
    }

    #[test]
    fn a_version_that_grew_is_read_with_its_item_its_key_and_its_effects() {
        let (key, message) = message();
        let grown = grown(&keys_of(keys::message(&key)), &image(&message, 1, &[]), &image(&message, 2, &[Effect::Send]));
        let item = Owner::Message { message: Box::new(message), key };
        assert_eq!(grown, Ok(Some(Grown { item, version: 2, effects: vec![Effect::Send] })));
    }

    #[test]
    fn a_report_stands_beside_the_effects_and_comes_after_them() {
        let interaction = domain::fixtures::interaction(domain::interaction::Status::Open, Timestamp::UNIX_EPOCH);
        for (form, effects) in [(Form::Plain, vec![Effect::Archive, Effect::Report]), (Form::Compact, vec![Effect::Report])] {
            let item = form.item(keys::interaction(&interaction.key()), &interaction, 2, &effects).unwrap();
            let known: Vec<_> = item.get("effects").into_iter().flat_map(|known| known.as_l().unwrap()).collect();
            assert_eq!(known.len(), effects.len() - 1, "the version before finds only what it knows");
            assert_eq!(effects_of(&item).unwrap(), effects);
            let image = item.into_iter().map(|(name, value)| (name, AttributeValue::from(value)));
            let image = Item::from(image.collect::<std::collections::HashMap<_, _>>());
            assert_eq!(grown(&image, &Item::default(), &image).unwrap().unwrap().effects, effects);
        }
    }

    #[test]
    fn a_version_that_did_not_grow_shows_nothing() {
        let (key, message) = message();
        let (keys, new) = (keys_of(keys::message(&key)), image(&message, 2, &[Effect::Send]));
        assert_eq!(grown(&keys, &new, &new), Ok(None));
        assert_eq!(grown(&keys, &image(&message, 3, &[]), &new), Ok(None));
    }

    #[test]
    fn a_deleted_item_and_an_item_that_can_not_have_effects_show_nothing() {
        let (key, message) = message();
        let old = image(&message, 2, &[Effect::Send]);
        assert_eq!(grown(&keys_of(keys::message(&key)), &old, &Item::default()), Ok(None));
        assert_eq!(grown(&keys_of(keys::command("c")), &Item::default(), &old), Ok(None));
    }

    #[test]
    fn an_item_of_an_unknown_form_is_an_error() {
        let (key, message) = message();
        let mut new = image(&message, 2, &[Effect::Send]);
        new.insert("effects".into(), AttributeValue::L(vec![AttributeValue::S("from the future".into())]));
        assert_eq!(grown(&keys_of(keys::message(&key)), &Item::default(), &new), Err(UnknownForm));
        assert_eq!(grown(&Item::default(), &Item::default(), &new), Err(UnknownForm));
    }

    fn presence(revision: u64, load: &[&str], wrapping_up: &[&str], effects: &[Effect]) -> Item {
        let new = serde_json::json!({ "state": "ready", "capacity": 5, "revision": revision, "version": 1, "effects": effects });
        let mut new: Item = serde_dynamo::to_item(new).unwrap();
        for (name, set) in [("load", load), ("wrapping_up", wrapping_up)] {
            if !set.is_empty() {
                new.insert(name.into(), AttributeValue::Ss(set.iter().map(|id| (*id).to_owned()).collect()));
            }
        }
        new
    }

    #[test]
    fn a_presence_is_read_with_the_state_that_agents_see_and_what_the_agent_is_up_to() {
        let agent = AgentId::from_ulid(Ulid(4));
        let keys = keys_of(keys::presence(&agent));
        for (wrapping_up, state) in [(&[][..], PresenceWord::Ready), (&["int"][..], PresenceWord::Paused)] {
            let shown = grown(&keys, &Item::default(), &presence(1, &["int"], wrapping_up, &[Effect::Archive])).unwrap().unwrap();
            let duty = Duty { state: PresenceWord::Ready, load: 1, capacity: 5, wraps_up: !wrapping_up.is_empty() };
            assert_eq!(shown.item, Owner::Presence { agent: agent.clone(), state, revision: 1, duty });
            assert_eq!(shown.effects, [Effect::Archive, Effect::Report]);
        }
    }

    #[test]
    fn a_load_that_changes_is_reported_without_the_effects_of_its_version_and_a_ring_is_not() {
        let keys = keys_of(keys::presence(&AgentId::from_ulid(Ulid(4))));
        let before = presence(1, &[], &[], &[Effect::Archive]);
        let shown = grown(&keys, &before, &presence(2, &["int"], &[], &[Effect::Archive])).unwrap().unwrap();
        assert_eq!(shown.effects, [Effect::Report]);
        assert_eq!(grown(&keys, &before, &presence(2, &[], &[], &[Effect::Archive])), Ok(None));
        let stateless: Item = serde_dynamo::to_item(serde_json::json!({ "revision": 1 })).unwrap();
        assert_eq!(grown(&keys, &Item::default(), &stateless), Ok(None));
    }
}
