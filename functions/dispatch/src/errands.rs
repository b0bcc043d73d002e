//! What a record of the stream asks for: pure.

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord};
use domain::effect::{Audience, ConversationKey, Effect, InteractionKey, MessageKey, Notice, Timer, effect_id};
use domain::inbound::InboundEvent;
use domain::news::News;
use engine::jobs::{ArchiveJob, AssignJob, MediaJob, PushJob, SendJob, Wakeup, WebhookJob, inbound_dedup};
use engine::stream::{Grown, Owner};
use jiff::Timestamp;
use serde::Serialize;
use store::stream::{self, UnknownForm};

/// Something to send.
#[derive(Debug, PartialEq)]
pub(crate) struct Errand {
    /// The effect's id: its repetition is recognised by it.
    pub(crate) id: String,
    /// What it keeps its order with.
    pub(crate) group: String,
    /// What.
    pub(crate) job: Job,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Job {
    Route(Box<InboundEvent>),
    Assign(AssignJob),
    Send(SendJob),
    Media(MediaJob),
    Archive(ArchiveJob),
    Webhook(Box<WebhookJob>),
    Push(Box<PushJob>),
    Wakeup { at: Timestamp, job: Wakeup },
}

/// Why a record can't be handled. No contents: it is logged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the item is not of a form that this version knows")]
    Form,
    #[error("the effect {0} does not belong to this kind of item")]
    Misplaced(usize),
}

/// A record that can't be handled, as it is parked: enough to find the item and emit its version again.
#[derive(Debug, Serialize)]
pub(crate) struct Parked {
    reason: String,
    sequence_number: Option<String>,
    pk: Option<String>,
    sk: Option<String>,
}

impl Parked {
    pub(crate) fn new(record: &EventRecord, reason: &impl ToString) -> Self {
        let key = stream::key(&record.change.keys);
        Self {
            reason: reason.to_string(),
            sequence_number: record.change.sequence_number.clone(),
            pk: key.map(|(pk, _)| pk.to_owned()),
            sk: key.map(|(_, sk)| sk.to_owned()),
        }
    }
}

/// The errands of a record: none unless its version grew, so that marks, slots, backfills and restores emit nothing.
pub(crate) fn errands(record: &StreamRecord) -> Result<Vec<Errand>, Unreadable> {
    let grown = stream::grown(&record.keys, &record.old_image, &record.new_image).map_err(|UnknownForm| Unreadable::Form)?;
    let Some(Grown { item, version, effects }) = grown else { return Ok(Vec::new()) };
    let errand = |(index, effect)| errand(&item, version, index, effect).ok_or(Unreadable::Misplaced(index));
    effects.iter().enumerate().map(errand).collect()
}

fn id(owner: &Owner, version: u64, index: usize) -> String {
    match owner {
        Owner::Event(event) => inbound_dedup(event),
        Owner::Interaction(interaction) => effect_id(interaction.id.as_str(), version, index),
        Owner::Message { message, .. } => effect_id(message.id.as_str(), version, index),
        Owner::Contact(contact) => effect_id(contact.id.as_str(), version, index),
        Owner::Presence { agent, .. } => effect_id(agent.as_str(), version, index),
    }
}

/// The errand of an effect; `None` when an item of this kind can't cause it.
fn errand(owner: &Owner, version: u64, index: usize, effect: &Effect) -> Option<Errand> {
    let id = id(owner, version, index);
    let (group, job) = match (effect, owner) {
        (Effect::Route, Owner::Event(event)) => (event.group(), Job::Route(event.clone())),
        (Effect::SendMessage { message, at }, Owner::Interaction(interaction)) => {
            let message = MessageKey { interaction: interaction.key(), at: *at, message: message.clone() };
            (interaction.conversation().group(), Job::Send(SendJob { message }))
        }
        (Effect::Send, Owner::Message { key, .. }) => (key.interaction.conversation.group(), Job::Send(SendJob { message: key.clone() })),
        (Effect::CopyMedia { index }, Owner::Message { key, .. }) => {
            (id.clone(), Job::Media(MediaJob { message: key.clone(), index: *index }))
        }
        (Effect::Archive, Owner::Interaction(interaction)) => (id.clone(), Job::Archive(ArchiveJob { interaction: interaction.key() })),
        (Effect::Archive, Owner::Message { key, .. }) => (id.clone(), Job::Archive(ArchiveJob { interaction: key.interaction.clone() })),
        (Effect::Wake { target }, _) => {
            (target.key().to_owned(), Job::Assign(AssignJob { target: target.clone(), reconfigured: false, related: false }))
        }
        (Effect::Timer { at, timer }, Owner::Interaction(interaction)) => (id.clone(), wakeup(*at, interaction.key(), timer)),
        (Effect::Withdraw { interaction, agent }, Owner::Presence { .. } | Owner::Interaction(_)) => {
            // Due at once.
            let job = Wakeup::Withdraw { interaction: interaction.clone(), agent: agent.clone() };
            (id.clone(), Job::Wakeup { at: Timestamp::UNIX_EPOCH, job })
        }
        (Effect::Missed { agent, limit }, Owner::Interaction(_)) => {
            let job = Wakeup::Missed { id: id.clone(), agent: agent.clone(), limit: *limit };
            (id.clone(), Job::Wakeup { at: Timestamp::UNIX_EPOCH, job })
        }
        (Effect::Webhook { wait, url, until }, Owner::Interaction(interaction)) => {
            let job = WebhookJob { id: id.clone(), interaction: interaction.key(), wait: *wait, url: url.clone(), until: *until };
            (id.clone(), Job::Webhook(Box::new(job)))
        }
        (Effect::Unify { contact }, Owner::Contact(_)) => {
            // Due at once.
            (id.clone(), Job::Wakeup { at: Timestamp::UNIX_EPOCH, job: Wakeup::Unify { contact: contact.clone() } })
        }
        (Effect::Push { to, notice }, owner) => {
            let (group, account, news) = match owner {
                Owner::Interaction(interaction) => {
                    let news = News::of_interaction(notice, interaction)?;
                    // Presence keeps its order with presence, whatever it comes from.
                    let group = match (notice, to) {
                        (Notice::PresenceNow { .. }, Audience::Agents(agents)) => agents.first().map(ToString::to_string),
                        _ => None,
                    };
                    (group.unwrap_or_else(|| interaction.conversation().group()), Some(interaction.account.clone()), news)
                }
                Owner::Message { message, key } => {
                    let ConversationKey { account, .. } = &key.interaction.conversation;
                    (key.interaction.conversation.group(), Some(account.clone()), News::of_message(notice, message)?)
                }
                Owner::Presence { agent, state } => (agent.to_string(), None, News::Presence { state: *state }),
                Owner::Event(_) | Owner::Contact(_) => return None,
            };
            (group, Job::Push(Box::new(PushJob { id: id.clone(), to: to.clone(), account, news })))
        }
        (
            Effect::Route
            | Effect::Send
            | Effect::SendMessage { .. }
            | Effect::CopyMedia { .. }
            | Effect::Archive
            | Effect::Timer { .. }
            | Effect::Withdraw { .. }
            | Effect::Missed { .. }
            | Effect::Webhook { .. }
            | Effect::Unify { .. },
            _,
        ) => {
            return None;
        }
    };
    Some(Errand { id, group, job })
}

fn wakeup(at: Timestamp, interaction: InteractionKey, timer: &Timer) -> Job {
    Job::Wakeup { at, job: Wakeup::Timer { interaction, at, which: timer.clone() } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::contact::Contact;
    use domain::effect::Target;
    use domain::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId};
    use domain::message::Message;
    use serde_dynamo::{AttributeValue, Item};
    use ulid::Ulid;

    fn key() -> InteractionKey {
        let ulid = Ulid::from_parts(1, 1);
        let conversation = ConversationKey { account: AccountId::from_ulid(ulid), contact: ContactId::from_ulid(ulid) };
        InteractionKey { conversation, interaction: InteractionId::from_ulid(ulid) }
    }

    fn message() -> Message {
        Message {
            id: MessageId::from_ulid(Ulid::from_parts(1, 2)),
            interaction: key().interaction,
            version: 2,
            ..domain::fixtures::message(Timestamp::UNIX_EPOCH)
        }
    }

    fn image(version: u64, effects: &[Effect]) -> Item {
        let mut item: Item = serde_dynamo::to_item(Data2 { data: message(), effects }).unwrap();
        let ConversationKey { account, contact } = key().conversation;
        item.insert("pk".into(), AttributeValue::S(format!("CONV#{account}#{contact}")));
        item.insert("sk".into(), AttributeValue::S("MSG#x".into()));
        item.insert("version".into(), AttributeValue::N(version.to_string()));
        item
    }

    #[derive(Serialize)]
    struct Data2<'a> {
        data: Message,
        effects: &'a [Effect],
    }

    fn record(old: Option<Item>, new: Item) -> StreamRecord {
        let mut record = StreamRecord::default();
        record.keys = new.clone();
        record.new_image = new;
        record.old_image = old.unwrap_or_default();
        record
    }

    #[test]
    fn a_version_that_grew_has_its_effects_carried_out_under_derived_ids() {
        let push = Effect::Push { to: Audience::Agents(vec![AgentId::from_ulid(Ulid::nil())]), notice: Notice::Message };
        let effects = [Effect::Send, Effect::CopyMedia { index: 0 }, push];
        let errands = errands(&record(Some(image(1, &[])), image(2, &effects))).unwrap();
        let id = message().id;
        assert_eq!(errands.iter().map(|errand| errand.id.clone()).collect::<Vec<_>>(), [0, 1, 2].map(|index| format!("{id}-2-{index}")));
        assert_eq!(errands[0].group, key().conversation.group());
        assert!(matches!(&errands[2].job, Job::Push(job) if matches!(job.news, News::Message { .. })));
    }

    #[test]
    fn messages_leave_in_the_order_of_their_interactions_versions() {
        let (at, messages) = (Timestamp::UNIX_EPOCH, [3, 2].map(|place| MessageId::from_ulid(Ulid::from_parts(1, place))));
        let effects = messages.clone().map(|message| Effect::SendMessage { message, at });
        let interaction = domain::fixtures::interaction(domain::interaction::Status::Open, at);
        let mut item: Item = serde_dynamo::to_item(serde_json::json!({ "data": interaction, "effects": effects, "version": 2 })).unwrap();
        item.insert("pk".into(), AttributeValue::S(format!("CONV#{}#{}", interaction.account, interaction.contact)));
        item.insert("sk".into(), AttributeValue::S(format!("INT#{}", interaction.id)));
        let errands = errands(&record(None, item)).unwrap();
        let sent = errands.iter().map(|errand| match &errand.job {
            Job::Send(job) => job.message.message.clone(),
            other => panic!("{other:?}"),
        });
        assert_eq!(sent.collect::<Vec<_>>(), messages);
        assert!(errands.iter().all(|errand| errand.group == interaction.conversation().group()));
    }

    #[test]
    fn contacts_that_were_linked_are_unified_at_once() {
        let id = ContactId::from_ulid(Ulid::from_parts(1, 1));
        let effects = [Effect::Unify { contact: id.clone() }];
        let contact = Contact {
            id: id.clone(),
            lists: Default::default(),
            name: None,
            username: None,
            addresses: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
            version: 2,
            linked: Default::default(),
            linked_to: None,
        };
        let mut item: Item = serde_dynamo::to_item(serde_json::json!({ "data": contact, "effects": effects, "version": 2 })).unwrap();
        item.insert("pk".into(), AttributeValue::S(format!("CON#{id}")));
        item.insert("sk".into(), AttributeValue::S("CON".into()));
        let errands = errands(&record(None, item)).unwrap();
        let job = Job::Wakeup { at: Timestamp::UNIX_EPOCH, job: Wakeup::Unify { contact: id.clone() } };
        assert_eq!(errands, [Errand { id: format!("{id}-2-0"), group: format!("{id}-2-0"), job }]);
    }

    #[test]
    fn a_version_that_did_not_grow_emits_nothing() {
        let effects = [Effect::Send];
        assert_eq!(errands(&record(Some(image(2, &effects)), image(2, &effects))), Ok(Vec::new()));
        assert_eq!(errands(&record(Some(image(3, &effects)), image(2, &effects))), Ok(Vec::new()));
    }

    #[test]
    fn a_deleted_item_emits_nothing() {
        let mut deleted = record(Some(image(2, &[Effect::Send])), image(2, &[]));
        deleted.new_image = Item::default();
        assert_eq!(errands(&deleted), Ok(Vec::new()));
    }

    #[test]
    fn an_item_of_an_unknown_form_is_parked_and_names_its_key() {
        let mut new = image(2, &[Effect::Send]);
        new.insert("effects".into(), AttributeValue::L(vec![AttributeValue::S("from the future".into())]));
        assert_eq!(errands(&record(None, new)), Err(Unreadable::Form));
    }

    #[test]
    fn an_effect_on_the_wrong_kind_of_item_is_parked() {
        assert_eq!(errands(&record(None, image(1, &[Effect::Route]))), Err(Unreadable::Misplaced(0)));
    }

    #[test]
    fn a_wake_keeps_its_order_with_its_target() {
        let target = Target::Agent(AgentId::from_ulid(Ulid::nil()));
        let errands = errands(&record(None, image(1, &[Effect::Wake { target: target.clone() }]))).unwrap();
        assert_eq!(errands[0].group, target.key());
    }
}
