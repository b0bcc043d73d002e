//! A new interaction, before any event.

use super::Context;
use crate::active::Active;
use crate::commands::Commands;
use crate::ids::{ContactId, InteractionId};
use crate::inbound::ProfileName;
use crate::interaction::{Answering, Inactivity, Interaction, Run, Status};
use crate::priority::Priority;
use crate::values::Address;
use crate::variables::Variables;

/// What a customer is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CustomerName {
    /// The name, if one is known.
    pub name: Option<ProfileName>,
    /// Whether a person chose it, so that the customer's profile no longer changes it.
    pub kept: bool,
}

/// Whether an account serves a customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Welcome {
    /// It does.
    Served,
    /// Its whitelist refuses the customer, who gets the predefined reply.
    NotWhitelisted,
    /// The customer is blocked and gets no reply.
    Blocked,
}

/// An interaction that is about to be opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// Its id.
    pub id: InteractionId,
    /// The contact.
    pub contact: ContactId,
    /// The address for answers.
    pub address: Address,
    /// The customer's name.
    pub name: CustomerName,
    /// Whether the account serves the customer.
    pub welcome: Welcome,
}

impl Opening {
    pub(super) fn interaction(self, context: &Context<'_>) -> Interaction {
        Interaction {
            id: self.id,
            account: context.account.id.clone(),
            contact: self.contact,
            address: self.address,
            address_at: None,
            address_changed_at: None,
            customer_name: self.name.name,
            name_kept: self.name.kept,
            claims: Vec::new(),
            version: 0,
            status: Status::Open,
            opened_at: context.now,
            closed_at: None,
            archived: false,
            disposition: None,
            agent: None,
            assigned_at: None,
            accepted_via: None,
            tab_open: false,
            tab_opened_at: None,
            unread: false,
            unread_count: 0,
            wrap_up: None,
            answered: false,
            one_sided: false,
            wait: None,
            unanswered_since: None,
            active: Active::default(),
            tried: Vec::new(),
            last_message: None,
            heard_at: None,
            inactivity: Inactivity::default(),
            tags: Vec::new(),
            priority: Priority::default(),
            variables: Variables::default(),
            ai: None,
            answering: Answering::default(),
            run: Run::default(),
            language: None,
            language_kept: false,
            insights: None,
            absorbed: Vec::new(),
            merged_into: None,
            watchers: Vec::new(),
            commands: Some(Commands::default()),
        }
    }
}
