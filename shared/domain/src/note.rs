//! Notifications: what an agent should know, until it is read.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::effect::InteractionKey;
use crate::history::Escalated;
use crate::ids::{AccountId, TriggerId};
use crate::inbound::Alert;
use crate::interaction::Interaction;
use crate::trigger::WhyDisabled;

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
    /// An AI agent handed a customer over to people. For the agent who has the interaction, supervisors, admins and
    /// owners.
    Escalation,
    /// The service switched off a trigger. For supervisors, admins and owners.
    TriggerDisabled,
}

/// A notification. It holds nothing of a customer: what is shown is read from the interaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Why.
    pub kind: NoteKind,
    /// The account; `None` if it is about a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The interaction that it is about, unless it is about the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interaction: Option<InteractionKey>,
    /// When it was made.
    pub at: Timestamp,
    /// The time in the thread of the first message that was not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Why the AI agent handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalated: Option<Escalated>,
    /// The account's alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<AlertNote>,
    /// The trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerNote>,
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

/// A trigger that the service switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NotifiedTrigger))]
pub struct TriggerNote {
    /// Its id.
    pub id: TriggerId,
    /// Its name.
    pub name: String,
    /// Why.
    pub why: WhyDisabled,
}

impl Note {
    /// The note about an interaction, as it is now.
    pub fn of_interaction(kind: NoteKind, interaction: &Interaction, at: Timestamp) -> Self {
        Self {
            kind,
            account: Some(interaction.account.clone()),
            interaction: Some(interaction.key()),
            at,
            escalated: interaction.answering.escalated.filter(|_| kind == NoteKind::Escalation),
            from: interaction.last_message.as_ref().filter(|_| kind == NoteKind::NewMessages).map(|last| last.at),
            alert: None,
            trigger: None,
            version: interaction.version,
        }
    }

    /// The note about an account's alert, which came at `received_at`.
    pub fn of_alert(account: AccountId, alert: AlertNote, received_at: Timestamp, at: Timestamp) -> Self {
        let version = u64::try_from(received_at.as_millisecond()).unwrap_or_default();
        let account = Some(account);
        Self {
            kind: NoteKind::AccountAlert,
            account,
            interaction: None,
            at,
            from: None,
            escalated: None,
            alert: Some(alert),
            trigger: None,
            version,
        }
    }

    /// The note about a trigger that was switched off at `disabled_at`.
    pub fn of_trigger(trigger: TriggerNote, disabled_at: Timestamp, at: Timestamp) -> Self {
        let version = u64::try_from(disabled_at.as_millisecond()).unwrap_or_default();
        let (kind, trigger) = (NoteKind::TriggerDisabled, Some(trigger));
        Self { kind, account: None, interaction: None, at, from: None, escalated: None, alert: None, trigger, version }
    }

    /// Its id: there is one for each interaction, for each account and for each trigger.
    pub fn id(&self) -> &str {
        let Self { interaction, account, trigger, .. } = self;
        let of_interaction = interaction.as_ref().map(|place| place.interaction.as_str());
        let of_account = || account.as_ref().map(AccountId::as_str);
        of_interaction.or_else(of_account).or_else(|| trigger.as_ref().map(|trigger| trigger.id.as_str())).unwrap_or_default()
    }
}

impl From<&Alert> for AlertNote {
    fn from(alert: &Alert) -> Self {
        Self { name: alert.name.clone(), event: alert.event.clone() }
    }
}
