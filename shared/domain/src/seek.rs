//! What a job looks for among all interactions, and how far it has looked.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, ContactId};
use crate::row::{Filter, Span};
use crate::search::SearchInput;

/// The interactions that somebody wants, without naming them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Matching {
    /// All that an advanced search finds.
    Search {
        /// The search, which was checked.
        search: SearchInput,
    },
    /// All that a list with these filters shows.
    List {
        /// One account; `None` for all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
        /// The filters.
        filter: Filter,
        /// When they were opened.
        span: Span,
    },
    /// All that were closed before a time, on these accounts.
    Closed {
        /// The time, for each account.
        before: BTreeMap<AccountId, Timestamp>,
    },
    /// All of a customer, whenever they were opened.
    Contacts {
        /// The customer's contacts.
        contacts: Vec<ContactId>,
    },
}

impl Matching {
    /// Whether it looks into the interactions of `account`.
    pub fn is_in(&self, account: &AccountId) -> bool {
        match self {
            Self::Search { .. } | Self::Contacts { .. } => true,
            Self::Closed { before } => before.contains_key(account),
            Self::List { account: wanted, .. } => wanted.as_ref().is_none_or(|wanted| wanted == account),
        }
    }
}

/// A search for the interactions of a job: account by account, in each from the newest on. What was opened after the
/// job was ordered is left out, so that it comes to an end; of a customer nothing can be opened then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seek {
    /// What it looks for; `None` once all of it is found. A search may name a customer, so it is not kept longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matching: Option<Matching>,
    /// The account that was looked into last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The place in it after which it goes on ([`Position::key`](crate::row::Position::key)); `None` once it has
    /// looked through that account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many interactions it has looked at.
    pub scanned: u64,
    /// How many of those that it found were open.
    pub open: u64,
}

impl Seek {
    /// A search that begins.
    pub fn of(matching: Matching) -> Self {
        Self { matching: Some(matching), account: None, after: None, scanned: 0, open: 0 }
    }
}
