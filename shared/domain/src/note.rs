//! Notifications: what an agent should know, until it is read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::InteractionKey;
use crate::ids::AccountId;
use crate::inbound::Alert;
use crate::interaction::Interaction;

/// Why an agent is notified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotificationKind))]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// The customer of an own interaction wrote while its thread was not open.
    NewMessages,
    /// Nobody accepted a transfer: the interaction is the agent's again.
    TransferReturned,
    /// The provider says something about an account. For admins and owners.
    AccountAlert,
}

/// A notification. It holds nothing of a customer: what is shown is read from the interaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Why.
    pub kind: NoteKind,
    /// The account.
    pub account: AccountId,
    /// The interaction that it is about, unless it is about the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<InteractionKey>,
    /// When it was made.
    pub at: Timestamp,
    /// The time in the thread of the first message that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// The account's alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertNote>,
    /// It grows with what happens to the interaction or the account, and only a greater one replaces the note.
    pub version: u64,
}

/// The provider's words for an alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotifiedAlert))]
pub struct AlertNote {
    /// The provider's name of the kind, e.g. `account_update`.
    pub name: String,
    /// What happened, in the provider's word, e.g. `DISABLED_UPDATE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
}

impl Note {
    /// The note about an interaction, as it is now.
    pub fn of_interaction(kind: NoteKind, interaction: &Interaction, at: Timestamp) -> Self {
        Self {
            kind,
            account: interaction.account.clone(),
            interaction: Some(interaction.key()),
            at,
            from: interaction.last_message.as_ref().filter(|_| kind == NoteKind::NewMessages).map(|last| last.at),
            alert: None,
            version: interaction.version,
        }
    }

    /// The note about an account's alert, which came at `received_at`.
    pub fn of_alert(account: AccountId, alert: AlertNote, received_at: Timestamp, at: Timestamp) -> Self {
        let version = u64::try_from(received_at.as_millisecond()).unwrap_or_default();
        Self { kind: NoteKind::AccountAlert, account, interaction: None, at, from: None, alert: Some(alert), version }
    }

    /// Its id: there is one for each interaction, and one for each account.
    pub fn id(&self) -> &str {
        self.interaction.as_ref().map_or_else(|| self.account.as_str(), |place| place.interaction.as_str())
    }
}

impl From<&Alert> for AlertNote {
    fn from(alert: &Alert) -> Self {
        Self { name: alert.name.clone(), event: alert.event.clone() }
    }
}
