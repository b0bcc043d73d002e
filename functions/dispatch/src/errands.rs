//! What a record of the stream asks for: pure.

use aws_lambda_events::event::dynamodb::{EventRecord, StreamRecord};
use engine::errands::{Errand, Misplaced};
use jiff::Timestamp;
use serde::Serialize;
use store::stream::{self, UnknownForm};

/// Why a record can't be handled. No contents: it is logged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("the item is not of a form that this version knows")]
    Form,
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
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
    let errands = grown.map(|grown| grown.errands(committed_at(record))).transpose()?;
    Ok(errands.unwrap_or_default())
}

/// When the stream got the record: right after the commit, and always before anybody reads it. A record that was made
/// by hand has no time.
fn committed_at(record: &StreamRecord) -> Option<Timestamp> {
    let ms = record.approximate_creation_date_time.timestamp_millis();
    Timestamp::from_millisecond(ms).ok().filter(|at| *at > Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::business::Business;
    use domain::contact::Contact;
    use domain::effect::{Audience, ConversationKey, Effect, InteractionKey, Notice, Target};
    use domain::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId};
    use domain::message::Message;
    use domain::news::News;
    use engine::errands::Job;
    use engine::jobs::Wakeup;
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
        assert_eq!(errands[0].group, Some(key().conversation.group()));
        assert!(matches!(&errands[2].job, Job::Push(job) if matches!(job.news, News::Message { .. })));
    }

    #[test]
    fn a_push_carries_the_time_of_its_record_and_none_if_the_record_was_made_by_hand() {
        let push = Effect::Push { to: Audience::Agents(vec![AgentId::from_ulid(Ulid::nil())]), notice: Notice::Message };
        let by_hand = record(None, image(1, std::slice::from_ref(&push)));
        let created = serde_json::json!({ "ApproximateCreationDateTime": 1_800_000_000, "SizeBytes": 1 });
        let created: StreamRecord = serde_json::from_value(created).unwrap();
        let mut streamed = by_hand.clone();
        streamed.approximate_creation_date_time = created.approximate_creation_date_time;
        for (record, expected) in [(by_hand, None), (streamed, Some(Timestamp::from_second(1_800_000_000).unwrap()))] {
            let [Errand { job: Job::Push(job), .. }] = &errands(&record).unwrap()[..] else { panic!("another errand") };
            assert_eq!(job.committed_at, expected);
        }
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
        assert!(errands.iter().all(|errand| errand.group == Some(interaction.conversation().group())));
    }

    #[test]
    fn contacts_that_were_linked_are_unified_at_once() {
        let id = ContactId::from_ulid(Ulid::from_parts(1, 1));
        let business = Business::of(&domain::fixtures::account());
        let effects = [Effect::Unify { contact: id.clone(), business: Some(business.clone()) }];
        let contact = Contact { version: 2, ..Contact::known_by(id.clone(), Timestamp::UNIX_EPOCH, []) };
        let mut item: Item = serde_dynamo::to_item(serde_json::json!({ "data": contact, "effects": effects, "version": 2 })).unwrap();
        item.insert("pk".into(), AttributeValue::S(format!("CON#{id}")));
        item.insert("sk".into(), AttributeValue::S("CON".into()));
        let errands = errands(&record(None, item)).unwrap();
        let job = Job::Wakeup { at: Timestamp::UNIX_EPOCH, job: Wakeup::Unify { contact: id.clone(), business: Some(business) } };
        assert_eq!(errands, [Errand { id: format!("{id}-2-0"), group: None, job }]);
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
        assert_eq!(errands(&record(None, image(1, &[Effect::Route]))), Err(Unreadable::Misplaced(Misplaced(0))));
    }

    #[test]
    fn a_wake_keeps_its_order_with_its_target() {
        let target = Target::Agent(AgentId::from_ulid(Ulid::nil()));
        let errands = errands(&record(None, image(1, &[Effect::Wake { target: target.clone() }]))).unwrap();
        assert_eq!(errands[0].group.as_deref(), Some(target.key()));
    }
}
