//! Finding interactions: the list with its filters, and the advanced search, for agents and for supervisors. The APIs
//! say whose accounts are asked; everything else is the same.
//!
//! A list reads the rows of the index of lists ([`domain::row`]), newest first, from all shelves of all asked
//! accounts at once, and puts them in order. Rows may lag by a moment and don't have everything, so what is shown is
//! read from the interactions, and filtered again.

mod all;
mod find;
mod list;
mod merge;
mod query;
mod view;

pub use all::{Portion, Wanted, portion};
pub use engine::names;
pub use find::{Hits, SearchQuery, find};
pub use list::{Found, list};
pub use query::{FiltersInput, ListFilters, ListQuery};
pub use view::{LastView, ListEntry, entries, page};
