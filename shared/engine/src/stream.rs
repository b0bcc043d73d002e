//! The records of the table's stream: items whose version grew, with the effects of that version.

use domain::agent::PresenceWord;
use domain::contact::Contact;
use domain::effect::{Effect, MessageKey};
use domain::ids::{AccountId, AgentId};
use domain::inbound::{Alert, InboundEvent};
use domain::interaction::Interaction;
use domain::message::Message;
use domain::report::Duty;
use jiff::Timestamp;

/// An item whose version grew.
#[derive(Debug, Clone, PartialEq)]
pub struct Grown {
    /// The item as it is now.
    pub item: Owner,
    /// Its version now.
    pub version: u64,
    /// The effects of this version. There is at least one.
    pub effects: Vec<Effect>,
}

/// The item that owns effects: they were written with it.
#[derive(Debug, Clone, PartialEq)]
pub enum Owner {
    /// A webhook's event.
    Event(Box<InboundEvent>),
    /// An interaction.
    Interaction(Box<Interaction>),
    /// A message and its key.
    Message {
        /// The message.
        message: Box<Message>,
        /// Its key.
        key: MessageKey,
    },
    /// A contact.
    Contact(Box<Contact>),
    /// A provider's alert about an account.
    Alert {
        /// The account.
        account: AccountId,
        /// The id of the event that brought it.
        event: String,
        /// The alert.
        alert: Box<Alert>,
        /// When it came.
        received_at: Timestamp,
    },
    /// An agent's presence.
    Presence {
        /// The agent.
        agent: AgentId,
        /// The state, as [`domain::agent::Presence::state`] gives it.
        state: PresenceWord,
        /// The revision.
        revision: u64,
        /// What the agent is up to.
        duty: Duty,
    },
}
