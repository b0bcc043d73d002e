//! All that a search finds or a list shows, for jobs: portion by portion, each account by itself.
//!
//! An account by itself has eight shelves, so what is known of them is a few megabytes, however many accounts there
//! are.

use std::collections::BTreeMap;

use domain::ids::AccountId;
use domain::interaction::Interaction;
use domain::row::Position;
use domain::search::{Names, Search};
use domain::seek::Matching;
use engine::ports::{Lists, PortError};
use jiff::Timestamp;

use crate::find::{Hits, SearchQuery, find};
use crate::list::{Found, list};
use crate::query::ListQuery;

/// What is looked for, checked.
#[derive(Debug, Clone)]
pub enum Wanted {
    /// What a search finds.
    Search(Search),
    /// What a list shows.
    List(ListQuery),
    /// What was closed before a time, on each of these accounts.
    Closed(BTreeMap<AccountId, Timestamp>),
}

impl Wanted {
    /// What `matching` looks for; `None` if its search can't be read any more, or it names contacts.
    pub fn of(matching: Matching) -> Option<Self> {
        Some(match matching {
            Matching::Search { search } => Self::Search(search.check().ok()?),
            Matching::Contacts { .. } => return None,
            Matching::Closed { before } => Self::Closed(before),
            Matching::List { account, filter, span } => Self::List(ListQuery { account, filter, span, after: None, limit: 0 }),
        })
    }
}

/// A portion of what matches in an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Portion {
    /// The interactions, newest first.
    pub interactions: Vec<Interaction>,
    /// The place after which the next portion begins; `None` once all was looked at.
    pub next: Option<Position>,
    /// How many interactions were looked at.
    pub scanned: usize,
}

/// What matches in `account` behind `after`: as many as `most`, or fewer, as a page of a list or a call of a search
/// has. It ends soon once `is_late`, and always gets on by a little.
///
/// # Errors
/// A table can't be read.
pub async fn portion<L: Lists>(
    lists: &L,
    (account, names): (&AccountId, &Names),
    wanted: &Wanted,
    after: Position,
    most: usize,
    is_late: impl Fn() -> bool,
) -> Result<Portion, PortError> {
    let accounts = std::slice::from_ref(account);
    let (search, after) = match wanted {
        Wanted::Search(search) => (search.clone(), after),
        Wanted::List(query) => {
            let query = ListQuery { after: Some(after), limit: most, ..query.clone() };
            let Found { interactions, next, scanned } = list(lists, accounts, &query).await?;
            return Ok(Portion { interactions, next, scanned });
        }
        Wanted::Closed(before) => match before.get(account) {
            // What was closed before was opened before, so a day's look reads only what is old enough.
            Some(before) => (Search::closed_before(*before), after.min(Position::before_all(*before))),
            None => return Ok(Portion { interactions: Vec::new(), next: None, scanned: 0 }),
        },
    };
    let query = SearchQuery { search, after: Some(after), limit: most };
    let Hits { interactions, next, scanned } = find(lists, accounts, names, &query, is_late).await?;
    Ok(Portion { interactions, next, scanned })
}
