//! The product's items in DynamoDB: typed keys, access patterns, conditional writes.
//!
//! [`Interactions`] implements the engine's store, [`Configuration`] its directory. Every item carries `v`, the
//! version of its form. Readers know both forms. Writers write the one that [`Form`] says, since functions of the
//! version before may read it.

mod calls;
mod codec;
mod commit;
mod compact;
mod config;
mod contact_index;
mod contacts;
mod documents;
mod erasure;
mod events;
mod feed;
#[cfg(test)]
mod forms_tests;
mod interactions;
mod jobs;
mod keys;
mod limits;
mod lists;
mod notes;
mod raw;
mod removal;
mod reports;
mod searches;
pub mod stream;
mod table;
mod transaction;
mod triggers;
mod undocumented;
mod unlisted;
mod wiring;

pub use codec::{Form, PortResult, effects_of, from_data};
pub use config::{AuditQuery, Configuration, Entity, Extra, Leaving, OwedWakes, Revision, Singleton, Write, Written};
pub use contact_index::FoundContacts;
pub use contacts::Removed;
pub use documents::Documents;
pub use erasure::{Erased, Erasure};
pub use events::{CommandMark, KeptAlert, Received};
pub use feed::{Appended, CausedBy, Connection, FeedEvent, Page, Reader};
pub use interactions::{Interactions, Order, ScannedContacts, Thread, after_contact, is_place};
pub use jobs::Preview;
pub use limits::Counted;
pub use notes::KeptNote;
pub use removal::{Entombed, Hold};
pub use reports::Derived;
pub use undocumented::Documented;
pub use unlisted::ScannedInteractions;
pub use wiring::open_engine;
