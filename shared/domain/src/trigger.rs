//! Triggers: other systems that are told what happens to interactions.
//!
//! A commit on an account with an active trigger for one of its events carries the effect
//! [`Trigger`](crate::effect::Effect::Trigger). The function `trigger` asks the conditions and calls the other system.

mod retry;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use retry::{Answer, Health, Verdict, next_try};

use crate::account::ReplacedSecret;
use crate::decide::WRITTEN_ELSEWHERE;
use crate::effect::InteractionKey;
use crate::history::{Fact, HistoryEntry};
use crate::ids::{AccountId, AgentId, InteractionId, MessageId, TriggerId};
use crate::interaction::Interaction;
use crate::message::{Author, Content, Message, Origin};
use crate::plan::WebhookUrl;
use crate::search::SearchInput;
use crate::values::Secret;

/// What a trigger waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TriggerEvent {
    /// An interaction was opened, or a closed one opened again.
    #[serde(rename = "interaction.opened")]
    InteractionOpened,
    /// An interaction was closed, by whomever, or merged into an older one.
    #[serde(rename = "interaction.closed")]
    InteractionClosed,
    /// An agent accepted an offer.
    #[serde(rename = "offer.accepted")]
    OfferAccepted,
    /// An agent rejected an offer.
    #[serde(rename = "offer.rejected")]
    OfferRejected,
    /// A customer's message arrived.
    #[serde(rename = "message.incoming")]
    MessageIncoming,
    /// A message to the customer was written: by an agent, by the service, or elsewhere on the same number.
    #[serde(rename = "message.outgoing")]
    MessageOutgoing,
}

impl TriggerEvent {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::InteractionOpened,
        Self::InteractionClosed,
        Self::OfferAccepted,
        Self::OfferRejected,
        Self::MessageIncoming,
        Self::MessageOutgoing,
    ];

    /// The word in the configuration, and the `type` of the calls.
    pub fn word(self) -> &'static str {
        match self {
            Self::InteractionOpened => "interaction.opened",
            Self::InteractionClosed => "interaction.closed",
            Self::OfferAccepted => "offer.accepted",
            Self::OfferRejected => "offer.rejected",
            Self::MessageIncoming => "message.incoming",
            Self::MessageOutgoing => "message.outgoing",
        }
    }

    /// The event with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.word() == word)
    }
}

/// Another system that wants to know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The trigger's id.
    pub id: TriggerId,
    /// Its name.
    pub name: String,
    /// Its purpose, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it is on.
    pub active: bool,
    /// The accounts whose events it waits for; none: all accounts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// The events.
    pub events: BTreeSet<TriggerEvent>,
    /// The conditions on the interaction, which were checked.
    #[serde(default)]
    pub search: SearchInput,
    /// The other system's address.
    pub url: WebhookUrl,
    /// The key that signs the calls.
    pub secret: Secret,
    /// When it was generated.
    pub secret_set_at: Timestamp,
    /// The key before, with which calls are signed too for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_secret: Option<ReplacedSecret>,
    /// Why the service switched it off, until somebody switches it on again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
}

/// The service switched a trigger off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TriggerDisabled))]
pub struct Disabled {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub why: WhyDisabled,
}

/// Why the service switched a trigger off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WhyDisabled {
    /// No call succeeded for three days.
    Failing,
    /// The other system answered 410: it wants no more calls.
    Gone,
}

impl Trigger {
    /// The most triggers of a deployment. Every commit on the accounts asks each of them, and so does the sweep once a
    /// minute.
    pub const MOST: usize = 50;

    /// Whether it waits for `event` on the account.
    pub fn waits_for(&self, account: &AccountId, event: TriggerEvent) -> bool {
        self.active && self.events.contains(&event) && (self.accounts.is_empty() || self.accounts.contains(account))
    }

    /// The keys that sign its calls, the present one first.
    pub fn secrets(&self, now: Timestamp) -> impl Iterator<Item = &Secret> {
        let previous = self.replaced_secret.as_ref().and_then(|previous| previous.at(now));
        std::iter::once(&self.secret).chain(previous)
    }
}

/// Something that a trigger may wait for, as it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// The event.
    pub event: TriggerEvent,
    /// When.
    pub at: Timestamp,
    /// The message that came or was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessagePlace>,
    /// The agent who accepted or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
}

/// A message within its interaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessagePlace {
    /// The message's id.
    pub id: MessageId,
    /// The message's time in the thread.
    pub at: Timestamp,
}

/// What a change of an interaction tells triggers, in order: the opening first, the closing last.
///
/// A conversation from the time before the number was connected tells nothing: it happened elsewhere, and long ago. An
/// interaction that only keeps what was written elsewhere was neither opened nor closed.
pub fn happened<'m>(
    before: Option<&Interaction>,
    after: &Interaction,
    history: &[HistoryEntry],
    messages: impl Iterator<Item = &'m Message>,
    at: Timestamp,
) -> Vec<Happened> {
    let plain = |event| Happened { event, at, message: None, agent: None };
    let opens =
        |entry: &HistoryEntry| matches!(entry.fact, Fact::Opened | Fact::Started { .. } | Fact::Reopened { .. } | Fact::ReopenedFor { .. });
    // One that was put aside was never open here.
    let aside = before.is_none() && after.disposition.as_deref() == Some(WRITTEN_ELSEWHERE);
    let opened = !aside && history.iter().any(opens);
    let mut all = Vec::new();
    if opened {
        all.push(plain(TriggerEvent::InteractionOpened));
    }
    all.extend(messages.filter_map(|message| {
        let event = message_event(message)?;
        Some(Happened { message: Some(MessagePlace { id: message.id.clone(), at: message.at }), ..plain(event) })
    }));
    all.extend(history.iter().filter_map(|entry| {
        let (event, agent) = match &entry.fact {
            Fact::Accepted { agent, .. } => (TriggerEvent::OfferAccepted, agent),
            Fact::Rejected { agent } => (TriggerEvent::OfferRejected, agent),
            _ => return None,
        };
        Some(Happened { agent: Some(agent.clone()), ..plain(event) })
    }));
    // One that is not welcome is closed in the moment in which it is opened.
    if !after.is_open() && (opened || before.is_some_and(Interaction::is_open)) {
        all.push(plain(TriggerEvent::InteractionClosed));
    }
    all
}

/// The event of a message. Notes, reactions and the provider's reports are no messages between two people.
fn message_event(message: &Message) -> Option<TriggerEvent> {
    let told = !matches!(message.content, Content::Note { .. } | Content::Reaction { .. } | Content::System { .. });
    let fresh = message.origin != Some(Origin::History);
    let event = match message.author {
        Author::Customer => TriggerEvent::MessageIncoming,
        _ => TriggerEvent::MessageOutgoing,
    };
    (told && fresh).then_some(event)
}

/// A call that a trigger owes. It holds nothing of a customer: what is told is read with each try, so that nothing is
/// told of what was deleted meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerCall {
    /// The id that the other system gets. It is the same in all tries.
    pub id: String,
    /// The trigger.
    pub trigger: TriggerId,
    /// The interaction.
    pub interaction: InteractionKey,
    /// Its version by which it happened. A greater one came later.
    pub version: u64,
    /// What happened.
    pub happened: Happened,
    /// The number of the next try, from 1.
    pub attempt: u32,
}

impl TriggerCall {
    /// The first call about the event at this place of an effect. Its id follows from effect, place and trigger.
    pub fn first(effect: &str, index: usize, trigger: &TriggerId, interaction: &Interaction, happened: &Happened) -> Self {
        Self {
            id: format!("{effect}-{index}-{trigger}"),
            trigger: trigger.clone(),
            interaction: interaction.key(),
            version: interaction.version,
            happened: happened.clone(),
            attempt: 1,
        }
    }
}

/// A try of a call, as the log of its trigger keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = TriggerDelivery))]
pub struct Tried {
    /// The call's id: the header `webhook-id`, the same in all tries.
    pub id: String,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub event: TriggerEvent,
    /// The interaction.
    pub interaction: InteractionId,
    /// The number of the try, from 1.
    pub attempt: u32,
    /// What became of it.
    pub outcome: TriedOutcome,
    /// The status of the other system's answer, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// The beginning of the answer's text. Left out if it repeats words of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// When it is tried again at the earliest. Absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
}

/// What became of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TriedOutcome {
    /// The other system took it.
    Delivered,
    /// The other system answered with another status than 2xx.
    Refused,
    /// No answer within the time.
    NoAnswer,
    /// The address is not one of the public Internet, or not https.
    BadAddress,
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::fixtures;
    use crate::interaction::Status;

    fn at() -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn entry(fact: Fact) -> HistoryEntry {
        HistoryEntry { at: at(), version: 1, role: None, fact }
    }

    fn agent() -> AgentId {
        AgentId::from_ulid(Ulid::from_parts(1, 9))
    }

    fn events(before: Option<Status>, after: Status, facts: &[Fact], messages: &[Message]) -> Vec<&'static str> {
        let before = before.map(|status| fixtures::interaction(status, at()));
        let history: Vec<HistoryEntry> = facts.iter().cloned().map(entry).collect();
        let all = happened(before.as_ref(), &fixtures::interaction(after, at()), &history, messages.iter(), at());
        all.iter().map(|happened| happened.event.word()).collect()
    }

    #[test]
    fn an_event_is_written_as_it_is_parsed() {
        for event in TriggerEvent::ALL {
            assert_eq!(serde_json::to_value(event).unwrap(), event.word());
            assert_eq!(TriggerEvent::parse(event.word()), Some(event));
        }
        assert_eq!(TriggerEvent::parse("interaction"), None);
    }

    #[test]
    fn a_change_tells_the_opening_first_and_the_closing_last() {
        use Status::{Closed, Open};
        let incoming = fixtures::message(at());
        let reply = Message { author: Author::System, ..incoming.clone() };
        let refused = events(None, Closed, &[Fact::Opened, Fact::NotWhitelisted], &[incoming.clone(), reply]);
        assert_eq!(refused, ["interaction.opened", "message.incoming", "message.outgoing", "interaction.closed"]);
        assert_eq!(events(Some(Open), Open, &[], std::slice::from_ref(&incoming)), ["message.incoming"]);
        let accepted = Fact::Accepted { agent: agent(), queue: None, previous: None };
        assert_eq!(events(Some(Open), Open, &[accepted], &[]), ["offer.accepted"]);
        assert_eq!(events(Some(Open), Open, &[Fact::Rejected { agent: agent() }], &[]), ["offer.rejected"]);
        assert_eq!(events(Some(Open), Closed, &[], &[]), ["interaction.closed"]);
        assert_eq!(events(Some(Closed), Open, &[Fact::Reopened { agent: agent() }], &[]), ["interaction.opened"]);
        // A closed one that is archived, or that hears a late message.
        assert_eq!(events(Some(Closed), Closed, &[Fact::Archived { agent: agent() }], &[]), Vec::<&str>::new());
    }

    #[test]
    fn what_was_put_aside_was_neither_opened_nor_closed() {
        let aside = Interaction { disposition: Some(WRITTEN_ELSEWHERE.to_owned()), ..fixtures::interaction(Status::Closed, at()) };
        let history = [entry(Fact::Opened), entry(Fact::Closed { agent: None, disposition: aside.disposition.clone() })];
        let by_phone = Message { author: Author::System, origin: Some(Origin::PhoneApp), ..fixtures::message(at()) };
        let told = happened(None, &aside, &history, std::iter::once(&by_phone), at());
        assert_eq!(told.iter().map(|happened| happened.event).collect::<Vec<_>>(), [TriggerEvent::MessageOutgoing]);
    }

    #[test]
    fn notes_reactions_reports_and_the_time_before_tell_nothing() {
        let message = fixtures::message(at());
        let note = Message { author: Author::Agent { agent: agent() }, content: Content::Note { body: "x".into() }, ..message.clone() };
        let report = Message { author: Author::System, content: Content::System { body: "x".into() }, ..message.clone() };
        let reaction = Message { content: Content::Reaction { message: "m".into(), emoji: "👍".into() }, ..message.clone() };
        let synced = Message { origin: Some(Origin::History), ..message.clone() };
        for silent in [note, report, reaction, synced] {
            assert_eq!(events(None, Status::Closed, &[], &[silent]), Vec::<&str>::new());
        }
        let by_phone = Message { author: Author::System, origin: Some(Origin::PhoneApp), ..message };
        assert_eq!(events(Some(Status::Open), Status::Open, &[], &[by_phone]), ["message.outgoing"]);
    }

    #[test]
    fn a_trigger_waits_for_its_events_on_its_accounts_while_it_is_on() {
        let account = fixtures::account().id;
        let other = AccountId::from_ulid(Ulid::from_parts(1, 8));
        let all = fixtures::trigger();
        let (opened, closed) = (TriggerEvent::InteractionOpened, TriggerEvent::InteractionClosed);
        let one = Trigger { accounts: vec![account.clone()], events: BTreeSet::from([opened]), ..all.clone() };
        let off = Trigger { active: false, ..all.clone() };
        for (trigger, account, event, expected) in [
            (&all, &other, closed, true),
            (&one, &account, opened, true),
            (&one, &account, closed, false),
            (&one, &other, opened, false),
            (&off, &account, opened, false),
        ] {
            assert_eq!(trigger.waits_for(account, event), expected);
        }
    }

    #[test]
    fn calls_are_signed_with_the_replaced_key_too_until_its_time() {
        let until = Timestamp::from_second(60).unwrap();
        let trigger = Trigger { replaced_secret: Some(ReplacedSecret { secret: "whsec_b2xk".into(), until }), ..fixtures::trigger() };
        assert_eq!(trigger.secrets(Timestamp::from_second(59).unwrap()).count(), 2);
        assert_eq!(trigger.secrets(until).collect::<Vec<_>>(), [&trigger.secret]);
    }
}
