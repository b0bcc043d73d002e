//! Effects of a committed change. An effect is stored in the item whose version causes it, and the stream hands it
//! to `dispatch`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::PresenceWord;
use crate::business::Business;
use crate::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId, QueueId};
use crate::interaction::Watcher;
use crate::note::NoteKind;
use crate::notification::Notification;
use crate::plan::WebhookUrl;
use crate::queue::MissedLimit;
use crate::trigger::Happened;

/// An account and a contact: the partition of their interactions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConversationKey {
    /// The account.
    pub account: AccountId,
    /// The contact.
    pub contact: ContactId,
}

impl ConversationKey {
    /// The message group of queues that keep everything about one conversation in order.
    pub fn group(&self) -> String {
        format!("{}#{}", self.account, self.contact)
    }
}

/// The key of an interaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InteractionKey {
    /// The partition.
    #[serde(flatten)]
    pub conversation: ConversationKey,
    /// The interaction's id.
    pub interaction: InteractionId,
}

/// The key of a message.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// The key of the message's interaction.
    #[serde(flatten)]
    pub interaction: InteractionKey,
    /// The message's time in the thread.
    pub at: Timestamp,
    /// The message's id.
    pub message: MessageId,
}

impl MessageKey {
    /// The reference that a provider gets with a message, so that its reports lead to the message without a look-up.
    /// It has letters, digits, `_`, `.` and `-` only.
    pub fn reference(&self) -> MessageRef {
        MessageRef(format!(
            "{}.{}.{}.{}",
            self.interaction.conversation.contact,
            self.interaction.interaction,
            self.at.as_millisecond(),
            self.message
        ))
    }
}

/// A reference to one of our messages, as a provider keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRef(pub String);

impl MessageRef {
    /// The key of the message, if `self` is one of our references. References come from outside, so the key may name
    /// a message that does not exist.
    pub fn key(&self, account: &AccountId) -> Option<MessageKey> {
        let mut parts = self.0.split('.');
        let contact = parts.next()?.parse().ok()?;
        let interaction = parts.next()?.parse().ok()?;
        let at = Timestamp::from_millisecond(parts.next()?.parse().ok()?).ok()?;
        let message = parts.next()?.parse().ok()?;
        if parts.next().is_some() {
            return None;
        }
        let conversation = ConversationKey { account: account.clone(), contact };
        Some(MessageKey { interaction: InteractionKey { conversation, interaction }, at, message })
    }
}

/// The queue, agent or account that is asked to take a waiting interaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "id", rename_all = "snake_case")]
pub enum Target {
    /// The members of a queue.
    Queue(QueueId),
    /// One agent.
    Agent(AgentId),
    /// All agents of an account.
    Account(AccountId),
}

impl Target {
    /// The target's form in keys, and its message group in `assign.fifo`.
    pub fn key(&self) -> &str {
        match self {
            Target::Queue(id) => id.as_str(),
            Target::Agent(id) => id.as_str(),
            Target::Account(id) => id.as_str(),
        }
    }
}

/// The agents who see an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "who", rename_all = "snake_case")]
pub enum Audience {
    /// The agents of a list.
    Agents(Vec<AgentId>),
    /// Every ready member of a queue who is assigned to the interaction's account and has not rejected the
    /// interaction.
    Members {
        /// The queue.
        queue: QueueId,
        /// The agents who rejected it.
        except: Vec<AgentId>,
    },
}

impl Audience {
    /// Whether `agent` sees an offer made to this audience. `member` tells whether the agent is a member of the
    /// queue and assigned to the account.
    pub fn sees(&self, agent: &AgentId, member: impl FnOnce() -> bool) -> bool {
        match self {
            Audience::Agents(agents) => agents.contains(agent),
            Audience::Members { except, .. } => !except.contains(agent) && member(),
        }
    }
}

/// An effect of a committed change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Route the event that this item holds.
    Route,
    /// Send the customer the message that this item holds. The version before wrote this effect. Its messages were
    /// separate items in the stream, which keeps the order within one item only.
    Send,
    /// Send the customer a message of this interaction.
    SendMessage {
        /// The message's id.
        message: MessageId,
        /// The message's time in the thread.
        at: Timestamp,
    },
    /// Copy an attachment of the message that this item holds.
    CopyMedia {
        /// The attachment's place in the message.
        index: usize,
    },
    /// Tell the interaction that a timer has run out.
    Timer {
        /// The time at which it runs out.
        at: Timestamp,
        /// The wait that it ends.
        timer: Timer,
    },
    /// Tell an interaction that an agent stopped taking offers.
    Withdraw {
        /// The interaction that rang at the agent.
        interaction: InteractionId,
        /// The agent who stopped.
        agent: AgentId,
    },
    /// Merge two open interactions on one account, after contacts of the same person were linked; and correct the
    /// address of an interaction, after contacts were cut apart.
    Unify {
        /// One of the contacts.
        contact: ContactId,
        /// The business on whose accounts; `None` for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        business: Option<Business>,
    },
    /// Write the transcript and the log of the interaction.
    Archive,
    /// Make the insights of the interaction, which has just closed. It rides only where the account wants them then.
    /// The version before does not know this effect, and has no insights.
    Insights,
    /// Notify admins and owners of the alert that this item holds.
    Alert,
    /// Tell agents about the change.
    Push {
        /// The agents.
        to: Audience,
        /// The notice that they get.
        notice: Notice,
    },
    /// Tell the agent who has the interaction of this message about the change. Who that is turns out when the push is
    /// made: meanwhile the interaction may change hands or be merged into another.
    TellHolder {
        /// The notice that the agent gets.
        notice: Notice,
    },
    /// Tell the supervisors who watch the interaction about the change. Whether they still do turns out when the push
    /// is made. The version before does not know this effect.
    TellWatchers {
        /// The supervisors.
        watchers: Vec<Watcher>,
        /// The notice that they get.
        notice: Notice,
    },
    /// Call another system, and give the interaction its answer.
    Webhook {
        /// The wait that the answer ends.
        wait: u64,
        /// The address of the other system.
        url: WebhookUrl,
        /// The deadline. A later answer has no effect.
        until: Timestamp,
    },
    /// Let the AI agent answer the customer. The version before does not know this effect, and no AI agent answers
    /// there.
    Answer {
        /// The wait whose deadline is the answer's.
        wait: u64,
    },
    /// Tell all supervisors about the change. The version before does not know this effect.
    TellSupervisors {
        /// The notice that they get.
        notice: Notice,
    },
    /// Tell triggers what happened. It rides only in versions of interactions whose account has an active trigger for
    /// it. The version before does not know this effect, and has no triggers.
    Trigger {
        /// What happened, in order.
        happened: Vec<Happened>,
    },
    /// Count what this version of the interaction gives to reports. It is stored beside the other effects, so that the
    /// version before, which does not know it, still carries those out.
    Report,
    /// Count an offer that an agent missed. The agent is paused after as many missed offers in a row as the queue
    /// allows.
    Missed {
        /// The agent.
        agent: AgentId,
        /// The queue's limit of missed offers.
        limit: MissedLimit,
    },
    /// Decide again which agents ring for a target. Something waits for it, or an agent of it became available.
    Wake {
        /// The target.
        target: Target,
    },
}

/// The wait that a timer ends. If the wait is already over, the timer does nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum Timer {
    /// The wait that began with version `wait`.
    Wait {
        /// That version.
        wait: u64,
    },
    /// The offer that was made with version `offer`.
    Offer {
        /// That version.
        offer: u64,
    },
    /// The time for which an agent who missed the interaction is left alone, in the wait that began with version
    /// `wait`.
    Again {
        /// That version.
        wait: u64,
    },
    /// The inactivity timer armed with version `armed`.
    Inactivity {
        /// That version.
        armed: u64,
    },
}

/// A notice to agents. Together with its subject it becomes [`News`](crate::news::News).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// An interaction is offered.
    Offered {
        /// The offer's number.
        offer: u64,
        /// The deadline; `None` when the offer lasts until somebody accepts.
        until: Option<Timestamp>,
        /// The notification that the agent's screen shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<Notification>,
    },
    /// An offer ended.
    Withdrawn {
        /// The offer's number.
        offer: u64,
        /// The agent who accepted, if somebody did.
        taken_by: Option<AgentId>,
    },
    /// A message was received or sent.
    Message,
    /// The state of a message or of its attachment changed.
    MessageState,
    /// The interaction changed, e.g. its agent, its status or whether it is unread.
    Interaction {
        /// What its agent is notified of. The version before does not know it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<NoteKind>,
    },
    /// The agent's own presence changed.
    Presence,
    /// The agent's own presence changed because of this interaction: `ready` or `paused`.
    PresenceNow {
        /// The new state.
        state: PresenceWord,
    },
}

impl Notice {
    /// The interaction changed, and nobody is notified.
    pub const INTERACTION: Self = Self::Interaction { note: None };
}

/// The id of effect `index` of `version` of the item `owner`. It has letters, digits, `_` and `-` only and at most
/// 64 characters, so that it can serve as deduplication id and as schedule name.
pub fn effect_id(owner: &str, version: u64, index: usize) -> String {
    format!("{owner}-{version}-{index}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use ulid::Ulid;

    #[test]
    fn a_reference_leads_back_to_its_message() {
        let account = AccountId::from_ulid(Ulid::from_parts(1, 1));
        let key = MessageKey {
            interaction: InteractionKey {
                conversation: ConversationKey { account: account.clone(), contact: ContactId::from_ulid(Ulid::from_parts(1, 2)) },
                interaction: InteractionId::from_ulid(Ulid::from_parts(1, 3)),
            },
            at: Timestamp::from_millisecond(1_767_225_600_123).unwrap(),
            message: MessageId::from_ulid(Ulid::from_parts(1, 4)),
        };
        assert_eq!(key.reference().key(&account), Some(key));
        for foreign in
            ["", "a.b.c.d", "con_1", "…", "con_01ARZ3NDEKTSV4RRFFQ69G5FAV.int_01ARZ3NDEKTSV4RRFFQ69G5FAV.99999999999999999999.msg_x"]
        {
            assert_eq!(MessageRef(foreign.into()).key(&account), None);
        }
    }

    #[test]
    fn an_effect_id_fits_a_schedule_name() {
        let owner = InteractionId::from_ulid(Ulid::nil());
        assert!(effect_id(owner.as_str(), u64::MAX, 99).len() <= 64);
    }
}
