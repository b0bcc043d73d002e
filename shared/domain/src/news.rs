//! News for agents: a notice together with its subject, as the subject was at that moment.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::PresenceWord;
use crate::effect::Notice;
use crate::ids::{AccountId, AgentId, InteractionId};
use crate::interaction::Interaction;
use crate::message::Message;
use crate::note::{AlertNote, NoteKind, TriggerNote};
use crate::notification::Notification;

/// An event of an agent's feed. The feed keeps what happened. What the agent sees of it depends on the accounts that
/// the agent has when it is read.
pub trait Told: Sized {
    /// The interaction whose customer the event shows; `None` if it shows nothing of a customer.
    fn shows(&self) -> Option<&InteractionId>;
    /// The account of that interaction, if the event names it.
    fn account(&self) -> Option<&AccountId>;
    /// What an agent sees instead who may not read the interaction (any more).
    fn withheld(interaction: InteractionId) -> Self;
    /// What an agent gets in the place of events that are gone, or that came too late to be told from repetitions.
    fn expired() -> Self;
    /// What takes the place of an event whose interaction was deleted.
    fn deleted(interaction: InteractionId) -> Self;
}

/// A notice with its subject. `push` turns it into the view that agents get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum News {
    /// An interaction is offered.
    Offered {
        /// The interaction.
        interaction: Box<Interaction>,
        /// The offer's number.
        offer: u64,
        /// The deadline; `None` when the offer lasts until somebody accepts.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// The text that the agent's screen shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<Notification>,
    },
    /// An offer ended.
    Withdrawn {
        /// The interaction's id.
        interaction: InteractionId,
        /// The offer's number.
        offer: u64,
        /// The agent who accepted, if somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        taken_by: Option<AgentId>,
    },
    /// A message was received or sent.
    Message {
        /// The message in its short form.
        message: Box<Message>,
    },
    /// The state of a message or of its attachment changed.
    MessageState {
        /// The message in its short form.
        message: Box<Message>,
    },
    /// The interaction changed.
    Interaction {
        /// The interaction.
        interaction: Box<Interaction>,
        /// What its agent is notified of.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<NoteKind>,
    },
    /// The provider says something about an account.
    Alert {
        /// The account.
        account: AccountId,
        /// The provider's words.
        alert: AlertNote,
        /// When it came.
        at: Timestamp,
    },
    /// The service switched off a trigger.
    TriggerDisabled {
        /// The trigger.
        trigger: TriggerNote,
        /// When.
        at: Timestamp,
    },
    /// The agent's own presence changed.
    Presence {
        /// The state at that moment.
        state: PresenceWord,
    },
    /// Something changed that `GET /me` shows. The version before does not know it: there the job fails and comes
    /// again.
    Configuration,
}

impl News {
    /// The news of `notice` about `interaction`; `None` for a notice with another subject.
    pub fn of_interaction(notice: &Notice, interaction: &Interaction) -> Option<Self> {
        match notice {
            Notice::Offered { offer, until, notification } => Some(Self::Offered {
                interaction: Box::new(interaction.clone()),
                offer: *offer,
                until: *until,
                notification: notification.clone(),
            }),
            Notice::Withdrawn { offer, taken_by } => {
                Some(Self::Withdrawn { interaction: interaction.id.clone(), offer: *offer, taken_by: taken_by.clone() })
            }
            Notice::Interaction { note } => Some(Self::Interaction { interaction: Box::new(interaction.clone()), note: *note }),
            Notice::PresenceNow { state } => Some(Self::Presence { state: *state }),
            Notice::Message | Notice::MessageState | Notice::Presence => None,
        }
    }

    /// The news of `notice` about `message`; `None` for a notice with another subject.
    pub fn of_message(notice: &Notice, message: &Message) -> Option<Self> {
        match notice {
            Notice::Message => Some(Self::Message { message: Box::new(message.short()) }),
            Notice::MessageState => Some(Self::MessageState { message: Box::new(message.short()) }),
            Notice::Offered { .. }
            | Notice::Withdrawn { .. }
            | Notice::Interaction { .. }
            | Notice::Presence
            | Notice::PresenceNow { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::message::Content;

    /// The smallest limit of a queue: 256 KiB in older queues and local engines. SQS takes 1 MiB today.
    const SMALLEST_LIMIT: usize = 256 * 1024;

    #[test]
    fn a_message_edited_often_fits_into_a_queue_and_keeps_the_time_of_its_latest_edit() {
        let mut message = fixtures::message(Timestamp::UNIX_EPOCH);
        // Characters that take six bytes each in JSON.
        let text = |n: u8| Content::Text { body: format!("{n:2}{}", "\u{1}".repeat(4094)) };
        let at = |n: u8| Timestamp::from_second(i64::from(n)).unwrap();
        for n in 1..=40 {
            assert!(message.edited(text(n), at(n)));
        }
        assert!(serde_json::to_string(&message).unwrap().len() > SMALLEST_LIMIT);
        let news = News::of_message(&Notice::MessageState, &message).unwrap();
        assert!(serde_json::to_string(&news).unwrap().len() < SMALLEST_LIMIT / 4);
        let News::MessageState { message: told } = news else { panic!("{news:?}") };
        assert!(told.cut && told.content.readable().starts_with("40\u{1}"));
        assert_eq!(told.edits.iter().map(|edit| edit.at).collect::<Vec<_>>(), [at(40)]);
    }

    #[test]
    fn a_notice_is_news_of_its_own_subject_only() {
        let (interaction, message) =
            (fixtures::interaction(crate::interaction::Status::Open, Timestamp::UNIX_EPOCH), fixtures::message(Timestamp::UNIX_EPOCH));
        for (notice, of_interaction, of_message) in [
            (Notice::Offered { offer: 1, until: None, notification: None }, true, false),
            (Notice::Withdrawn { offer: 1, taken_by: None }, true, false),
            (Notice::INTERACTION, true, false),
            (Notice::PresenceNow { state: PresenceWord::Ready }, true, false),
            (Notice::Message, false, true),
            (Notice::MessageState, false, true),
            (Notice::Presence, false, false),
        ] {
            let found = (News::of_interaction(&notice, &interaction).is_some(), News::of_message(&notice, &message).is_some());
            assert_eq!(found, (of_interaction, of_message), "{notice:?}");
        }
    }

    #[test]
    fn news_is_read_as_it_was_written() {
        let at = Timestamp::UNIX_EPOCH;
        let interaction = Box::new(fixtures::interaction(crate::interaction::Status::Open, at));
        let message = Box::new(fixtures::message(at));
        for news in [
            News::Withdrawn { interaction: interaction.id.clone(), offer: 3, taken_by: None },
            News::Offered { interaction: interaction.clone(), offer: 3, until: Some(at), notification: None },
            News::Interaction { interaction, note: None },
            News::Message { message: message.clone() },
            News::MessageState { message },
            News::Presence { state: PresenceWord::Ready },
            News::Configuration,
        ] {
            assert_eq!(serde_json::from_str::<News>(&serde_json::to_string(&news).unwrap()).unwrap(), news);
        }
    }
}
