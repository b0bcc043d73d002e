//! One page of a list.

use domain::effect::InteractionKey;
use domain::ids::{AccountId, InteractionId};
use domain::interaction::Interaction;
use domain::row::{Listing, Position, Row, Shelf, State};
use engine::ports::{Lists, PortError, RowsWanted};
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};

use crate::merge::{Known, Merge, Stream};
use crate::query::ListQuery;

/// The most rows that a page looks at: 4 MB of rows, some 512 read units, three tenths of a second. The client then
/// asks for the next page.
const MOST_ROWS: usize = 12_000;

/// The rows that are asked of a shelf first, when most of them are wanted anyway, are as many as are shown. Where a
/// filter leaves most of them out, the second round asks for so many times more, and the third for all that is left.
const SECOND_ROUND: usize = 20;

/// Pages of people have no more entries, and ask each shelf for as many, so that one round is enough. A job asks for
/// thousands at once: half as many again as each shelf should have, since the rest would be read again.
const LARGEST_PAGE: usize = 100;

/// The least that a shelf is asked for, however many there are: fewer cost as much.
const LEAST_ROWS: usize = 25;

/// How many requests run at once.
pub(crate) const AT_ONCE: usize = 16;

/// What it costs to read an interaction, in rows: a unit, and a unit reads two dozen rows.
const INTERACTION: usize = 24;

/// How many open interactions are read at once: as many as DynamoDB reads in one batch.
const OPEN_AT_ONCE: usize = 100;

/// How far an interaction's id and its time of opening may lie apart. Both are made while the same message is routed.
/// The index of open interactions sorts by ids.
const SKEW: SignedDuration = SignedDuration::from_secs(60);

/// The entries of a page, newest first, and where the next one begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The interactions as they are now.
    pub interactions: Vec<Interaction>,
    /// The place after which the next page begins; `None` once all was looked at.
    pub next: Option<Position>,
    /// How many rows were looked at.
    pub scanned: usize,
}

/// A part of an account's interactions.
#[derive(Debug)]
enum Source {
    /// The rows of a shelf.
    Rows(Shelf),
    /// The open interactions, through the last one that was read.
    Open(AccountId, Option<InteractionId>),
}

/// What may be shown.
enum Candidate {
    /// A row that matches.
    Row(InteractionKey),
    /// An interaction that was read.
    Live(Box<Interaction>),
}

/// A page of the interactions of `accounts`.
///
/// What matches throughout is on one page exactly, in the order of the times of opening, however rows change between
/// the pages: that time never changes. A page may be short, or empty, although there is more: it ends when
/// `MOST_ROWS` were looked at.
///
/// # Errors
/// A table can't be read.
pub async fn list<L: Lists>(lists: &L, accounts: &[AccountId], query: &ListQuery) -> Result<Found, PortError> {
    let sources = accounts.iter().flat_map(|account| match query.filter.state {
        // They are few, and may be anywhere among the rows.
        Some(State::Open) => vec![Source::Open(account.clone(), None)],
        state => Shelf::all(account, state == Some(State::Archived)).map(Source::Rows).collect(),
    });
    let mut merge: Merge<Source, Candidate> = Merge::new(sources);
    let streams = merge.streams.len().max(1);
    let share = (MOST_ROWS / streams).max(LEAST_ROWS);
    let first = if query.limit > LARGEST_PAGE { (query.limit * 3 / 2 / streams).max(LARGEST_PAGE) } else { query.limit };
    let rounds = Rounds { first: first.max(LEAST_ROWS).min(share), share };
    let mut found = Found { interactions: Vec::new(), next: None, scanned: 0 };
    let mut spent = 0;
    loop {
        let room = query.limit - found.interactions.len();
        let candidates: Vec<(Position, Candidate)> = std::iter::from_fn(|| merge.pop()).take(room).collect();
        if let Some((last, _)) = candidates.last() {
            let last = last.clone();
            found.interactions.extend(as_they_are(lists, query, candidates).await?);
            if found.interactions.len() == query.limit {
                found.next = Some(last).filter(|_| !merge.is_over());
                return Ok(found);
            }
            continue;
        }
        match merge.horizon() {
            None => return Ok(found),
            Some(Known::Through(horizon)) if spent >= MOST_ROWS => {
                found.next = Some(horizon);
                return Ok(found);
            }
            Some(_) => {}
        }
        let asked: Vec<_> = merge.hungry().map(|stream| ask(lists, query, rounds, stream)).collect();
        let asked: Vec<Asked> = stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
        found.scanned += asked.iter().map(|asked| asked.scanned).sum::<usize>();
        spent += asked.iter().map(|asked| asked.cost).sum::<usize>();
    }
}

/// The interactions of these candidates that match now, in order.
async fn as_they_are<L: Lists>(
    lists: &L,
    query: &ListQuery,
    candidates: Vec<(Position, Candidate)>,
) -> Result<Vec<Interaction>, PortError> {
    let (mut live, mut places) = (Vec::new(), Vec::new());
    for (_, candidate) in candidates {
        match candidate {
            Candidate::Live(interaction) => live.push(*interaction),
            Candidate::Row(place) => places.push(place),
        }
    }
    if !places.is_empty() {
        live.extend(lists.interactions_now(&places).await?);
    }
    let mut live: Vec<(Position, Interaction)> = live.into_iter().filter_map(|live| Some((query.shows(&live)?, live))).collect();
    live.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(live.into_iter().map(|(_, interaction)| interaction).collect())
}

/// The rows that a source is asked for.
#[derive(Clone, Copy)]
struct Rounds {
    /// In the first round.
    first: usize,
    /// In all rounds together.
    share: usize,
}

/// What it took to ask a source.
struct Asked {
    /// The rows or interactions that were looked at.
    scanned: usize,
    /// What that costs, in rows.
    cost: usize,
}

/// Asks a source for more.
async fn ask<L: Lists>(lists: &L, query: &ListQuery, rounds: Rounds, stream: &mut Stream<Source, Candidate>) -> Result<Asked, PortError> {
    let Rounds { first, share } = rounds;
    let second = (query.limit * SECOND_ROUND).clamp(LEAST_ROWS, share);
    let most = match stream.rounds {
        0 => first,
        1 => second,
        _ => share.saturating_sub(first + second).max(LEAST_ROWS),
    };
    let before = match &stream.known {
        Known::Through(position) => Some(position),
        Known::All | Known::Nothing => query.after.as_ref(),
    };
    match &mut stream.source {
        Source::Rows(shelf) => {
            let wanted = RowsWanted { shelf, span: query.span, before, filter: &query.filter, most };
            let rows = lists.rows(wanted).await?;
            let known = rows.through.map_or(Known::All, Known::Through);
            stream.feed(rows.found.into_iter().map(|(place, position, _): (_, _, Row)| (position, Candidate::Row(place))), known);
            Ok(Asked { scanned: rows.scanned, cost: rows.scanned })
        }
        Source::Open(account, read_to) => {
            let latest = [query.after.as_ref().map(Position::opened_at), query.span.until].into_iter().flatten().min();
            let newest = read_to.clone().or_else(|| latest.map(|latest| InteractionId::last_of(later(latest))));
            let most = most.min(OPEN_AT_ONCE);
            let places = lists.open_now(account, newest.as_ref(), most).await?;
            let rest =
                places.last().filter(|_| places.len() == most).map(|last| (last.interaction.clone(), later(last.interaction.made_at())));
            let known = match rest {
                Some((last, through)) if query.span.from.is_none_or(|from| from <= through) => {
                    *read_to = Some(last);
                    Known::Through(Position::before_all(through))
                }
                _ => Known::All,
            };
            let scanned = places.len();
            let live = lists.interactions_now(&places).await?.into_iter();
            let live = live.filter_map(|live| Some((query.shows(&live)?, Candidate::Live(Box::new(live)))));
            // Those from before the cursor were on an earlier page.
            let after = query.after.as_ref();
            let live: Vec<_> = live.filter(|(position, _)| after.is_none_or(|after| position < after)).collect();
            stream.feed(live, known);
            Ok(Asked { scanned, cost: scanned * INTERACTION })
        }
    }
}

/// The latest instant at which an interaction may have been opened whose id was made at `at`, and the other way round.
fn later(at: Timestamp) -> Timestamp {
    at.saturating_add(SKEW).unwrap_or(Timestamp::MAX)
}

impl ListQuery {
    /// The place of an interaction, if the list shows it.
    fn shows(&self, interaction: &Interaction) -> Option<Position> {
        let Listing { position, row, .. } = Listing::of(interaction)?;
        (self.span.has(interaction.opened_at) && self.filter.matches(&row)).then_some(position)
    }
}
