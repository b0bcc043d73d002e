//! What a committed change causes. Effects ride in the item whose version causes them; the stream hands them to `dispatch`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agent::PresenceWord;
use crate::ids::{AccountId, AgentId, ContactId, InteractionId, MessageId, QueueId};
use crate::notification::Notification;
use crate::plan::WebhookUrl;
use crate::queue::MissedLimit;

/// An account and a contact: the partition in which their interactions lie.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ConversationKey {
    /// The account.
    pub account: AccountId,
    /// The contact.
    pub contact: ContactId,
}

impl ConversationKey {
    /// What keeps everything about one conversation in order: a queue's message group.
    pub fn group(&self) -> String {
        format!("{}#{}", self.account, self.contact)
    }
}

/// Where an interaction lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct InteractionKey {
    /// Its partition.
    #[serde(flatten)]
    pub conversation: ConversationKey,
    /// Which one.
    pub interaction: InteractionId,
}

/// Where a message lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    /// Its interaction.
    #[serde(flatten)]
    pub interaction: InteractionKey,
    /// Its place in the thread.
    pub at: Timestamp,
    /// Which one.
    pub message: MessageId,
}

impl MessageKey {
    /// What a provider is given with a message, so that its reports lead back without a look-up: letters, digits, `_`, `.` and `-` only.
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

/// Our reference in a provider's hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRef(pub String);

impl MessageRef {
    /// Where the message lies, if `self` is one of ours. It comes from outside: the key may name a message that does not exist.
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

/// Who is asked to take a waiting interaction.
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
    /// The form in keys, and the message group of `assign.fifo`.
    pub fn key(&self) -> &str {
        match self {
            Target::Queue(id) => id.as_str(),
            Target::Agent(id) => id.as_str(),
            Target::Account(id) => id.as_str(),
        }
    }
}

/// Who sees an offer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", content = "who", rename_all = "snake_case")]
pub enum Audience {
    /// These agents.
    Agents(Vec<AgentId>),
    /// Every ready member of a queue who is of the interaction's account, but those who rejected it.
    Members {
        /// The queue.
        queue: QueueId,
        /// Who rejected.
        except: Vec<AgentId>,
    },
}

impl Audience {
    /// Whether `agent` sees an offer made to it; `member` tells of the queue's members who are of the account.
    pub fn sees(&self, agent: &AgentId, member: impl FnOnce() -> bool) -> bool {
        match self {
            Audience::Agents(agents) => agents.contains(agent),
            Audience::Members { except, .. } => !except.contains(agent) && member(),
        }
    }
}

/// Something that a committed change causes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Route the event that this item is.
    Route,
    /// Send the message that this item is to the customer. Written by the version before; its messages were items of their own to the stream, which keeps the
    /// order of one item only.
    Send,
    /// Send a message of this interaction to the customer.
    SendMessage {
        /// Which.
        message: MessageId,
        /// Its time in the thread.
        at: Timestamp,
    },
    /// Copy an attachment of the message that this item is.
    CopyMedia {
        /// Which one.
        index: usize,
    },
    /// Tell the interaction at `at`.
    Timer {
        /// The deadline.
        at: Timestamp,
        /// Which wait ended.
        timer: Timer,
    },
    /// Tell an interaction that an agent stopped taking offers.
    Withdraw {
        /// Which interaction rang there.
        interaction: InteractionId,
        /// Who stopped.
        agent: AgentId,
    },
    /// A person's contacts were linked: of two open interactions on one account make one.
    Unify {
        /// The owner of them.
        contact: ContactId,
    },
    /// Write the transcript and the log of the interaction.
    Archive,
    /// Tell agents.
    Push {
        /// Whom.
        to: Audience,
        /// What.
        notice: Notice,
    },
    /// Ask another system, and tell the interaction what it answered.
    Webhook {
        /// The wait that its answer ends.
        wait: u64,
        /// Which system.
        url: WebhookUrl,
        /// Until when an answer means anything.
        until: Timestamp,
    },
    /// An agent let an offer ring: as many of them in a row as the queue allows, and the agent is paused.
    Missed {
        /// Who.
        agent: AgentId,
        /// How many may be missed.
        limit: MissedLimit,
    },
    /// Something waits for this target, or somebody of it became available: decide again who is offered what.
    Wake {
        /// Which one.
        target: Target,
    },
}

/// Which wait a timer ends; a wait that is over makes its timer a no-op.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "timer", rename_all = "snake_case")]
pub enum Timer {
    /// The wait that began with version `wait`.
    Wait {
        /// The version.
        wait: u64,
    },
    /// The offer that was made with version `offer`.
    Offer {
        /// The version.
        offer: u64,
    },
    /// Somebody who let the interaction ring may be rung again, in the wait that began with version `wait`.
    Again {
        /// The version.
        wait: u64,
    },
    /// The inactivity timer armed with version `armed`.
    Inactivity {
        /// The version.
        armed: u64,
    },
}

/// What agents are told; with what it is about it becomes [`News`](crate::news::News).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// An interaction is offered.
    Offered {
        /// The offer.
        offer: u64,
        /// Until when; `None`: until somebody takes it.
        until: Option<Timestamp>,
        /// What the screen shows.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        notification: Option<Notification>,
    },
    /// An offer is gone.
    Withdrawn {
        /// The offer.
        offer: u64,
        /// Who took it, if somebody did.
        taken_by: Option<AgentId>,
    },
    /// A message came or went.
    Message,
    /// A message got further, or its attachment did.
    MessageState,
    /// The interaction changed: agent, status, unread.
    Interaction,
    /// The agent's own presence changed.
    Presence,
    /// The agent's own presence changed because of this interaction: `ready` or `paused`.
    PresenceNow {
        /// To what.
        state: PresenceWord,
    },
}

/// The id of effect `index` of `version` of the item `owner`: letters, digits, `_` and `-` only and at most 64 characters, so that it serves as
/// deduplication id and as schedule name alike.
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
