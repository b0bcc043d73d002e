//! A new interaction, before any event.

use super::Context;
use crate::ids::{ContactId, InteractionId};
use crate::inbound::ProfileName;
use crate::interaction::{Inactivity, Interaction, Run, Status};
use crate::priority::Priority;
use crate::values::Address;
use crate::variables::Variables;

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
    pub customer_name: Option<ProfileName>,
    /// Whether the account serves the customer: its whitelist may refuse.
    pub welcome: bool,
}

impl Opening {
    pub(super) fn interaction(self, context: &Context<'_>) -> Interaction {
        Interaction {
            id: self.id,
            account: context.account.id.clone(),
            contact: self.contact,
            address: self.address,
            customer_name: self.customer_name,
            version: 0,
            status: Status::Open,
            opened_at: context.now,
            closed_at: None,
            archived: false,
            disposition: None,
            agent: None,
            accepted_via: None,
            tab_open: false,
            tab_opened_at: None,
            unread: false,
            wrap_up: None,
            one_sided: false,
            wait: None,
            unanswered_since: None,
            tried: Vec::new(),
            last_message: None,
            inactivity: Inactivity::default(),
            tags: Vec::new(),
            priority: Priority::default(),
            variables: Variables::default(),
            ai: None,
            run: Run::default(),
            absorbed: Vec::new(),
            merged_into: None,
        }
    }
}
