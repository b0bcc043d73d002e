//! Advanced search: one call of a search that is resumed until all was looked at.

use std::collections::BTreeMap;

use domain::effect::InteractionKey;
use domain::ids::{AccountId, InteractionId};
use domain::interaction::{Interaction, Status};
use domain::row::{Cursor, Filter, Listing, Position, Row, Shelf, Span, State};
use domain::search::{Document, Facts, Names, Search, Subject};
use engine::ports::{Lists, PortError, RowsWanted};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::list::AT_ONCE;
use crate::merge::{Known, Merge, Stream};

/// The rows that a shelf is asked for first. Many searches look for something recent.
const FIRST_ROUND: usize = 250;

/// Each further round asks for twice as many, up to these: about what DynamoDB reads at once, a megabyte. What was
/// read behind the last hit is read again by the next call, so a search with many hits does not read far ahead.
const LARGEST_ROUND: usize = 3_000;

/// How many candidates are read and matched before the clock is asked again.
const CHUNK: usize = 32;

/// How many candidates are sifted by their documents before the clock is asked again: two rounds of requests.
const SIFTED: usize = 2 * BATCHES * DOCUMENTS;

/// How many requests for documents are under way at once. The longest documents together are 80 MB.
const BATCHES: usize = 8;

/// The documents of a request: as many as DynamoDB reads in one batch.
const DOCUMENTS: usize = 100;

/// What a row tells of an interaction that may match.
type Candidate = (InteractionKey, Row);

/// A search that somebody asks for.
#[derive(Debug, Clone)]
pub struct SearchQuery {
    /// The search.
    pub search: Search,
    /// The place after which it goes on.
    pub after: Option<Position>,
    /// How many interactions the answer may have.
    pub limit: usize,
}

/// What one call of a search found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hits {
    /// The interactions that match now, newest first.
    pub interactions: Vec<Interaction>,
    /// The place after which the next call goes on; `None` once all was looked at.
    pub next: Option<Position>,
    /// How many interactions this call looked at.
    pub scanned: usize,
}

impl SearchQuery {
    /// What a cursor is bound to.
    fn name(search: &Search) -> String {
        format!("{search:?}")
    }

    /// The place of a cursor of this search.
    pub fn place(search: &Search, cursor: &str) -> Option<Position> {
        Cursor::read(cursor, &Self::name(search))
    }

    /// The cursor of the next call.
    pub fn next(&self, position: &Position) -> String {
        Cursor::write(position, &Self::name(&self.search))
    }
}

/// Looks for interactions of `accounts`, newest first, until it has as many as are asked for, or `is_late`. It always
/// gets on by a little, so that a client that asks on comes to the end.
///
/// The rows tell which interactions may match. If the search asks for what only messages tell, the documents of closed
/// ones leave out what does not match. What is left is read, with its messages, and matched as it is now.
///
/// # Errors
/// A table can't be read.
pub async fn find<L: Lists>(
    lists: &L,
    accounts: &[AccountId],
    names: &Names,
    query: &SearchQuery,
    is_late: impl Fn() -> bool,
) -> Result<Hits, PortError> {
    let shelves = accounts.iter().flat_map(|account| Shelf::all(account, false).chain(Shelf::all(account, true)));
    let mut merge: Merge<Shelf, Candidate> = Merge::new(shelves);
    let mut hits = Hits { interactions: Vec::new(), next: None, scanned: 0 };
    let mut reached: Option<Position> = None;
    loop {
        let most = if query.search.needs_facts() { SIFTED } else { CHUNK };
        let candidates: Vec<(Position, Candidate)> = std::iter::from_fn(|| merge.pop()).take(most).collect();
        if let Some(last) = candidates.last().map(|(last, _)| last.clone()) {
            let mut left = sifted(lists, names, &query.search, candidates).await?.into_iter().peekable();
            while left.peek().is_some() {
                let room = CHUNK.min(query.limit - hits.interactions.len());
                let (positions, places): (Vec<Position>, Vec<InteractionKey>) = left.by_ref().take(room).unzip();
                hits.interactions.extend(matching(lists, names, &query.search, &places).await?);
                if left.peek().is_some() && (hits.interactions.len() == query.limit || is_late()) {
                    hits.next = positions.last().cloned();
                    return Ok(hits);
                }
            }
            reached = Some(last);
        } else {
            match merge.horizon() {
                None => return Ok(hits),
                Some(Known::Through(horizon)) => reached = Some(horizon),
                Some(Known::All | Known::Nothing) => {}
            }
            // Nothing is known at first, so the first round is always asked.
            if reached.is_none() || !is_late() {
                let asked: Vec<_> = merge.hungry().map(|stream| ask(lists, names, query, stream)).collect();
                let scanned: Vec<usize> = stream::iter(asked).buffer_unordered(AT_ONCE).try_collect().await?;
                hits.scanned += scanned.iter().sum::<usize>();
                continue;
            }
        }
        if hits.interactions.len() == query.limit || is_late() {
            hits.next = reached.filter(|_| !merge.is_over());
            return Ok(hits);
        }
    }
}

/// The places of the candidates that their documents don't leave out, in their order. What has none that tells of it
/// as it is now, an open interaction above all, stays.
async fn sifted<L: Lists>(
    lists: &L,
    names: &Names,
    search: &Search,
    candidates: Vec<(Position, Candidate)>,
) -> Result<Vec<(Position, InteractionKey)>, PortError> {
    if !search.needs_facts() {
        return Ok(candidates.into_iter().map(|(position, (place, _))| (position, place)).collect());
    }
    let mut candidates = candidates.into_iter();
    let batches = std::iter::from_fn(|| {
        let batch: Vec<(Position, Candidate)> = candidates.by_ref().take(DOCUMENTS).collect();
        (!batch.is_empty()).then_some(batch)
    });
    let batches: Vec<_> = batches.map(|batch| batch_sifted(lists, names, search, batch)).collect();
    let stay: Vec<Vec<(Position, InteractionKey)>> = stream::iter(batches).buffered(BATCHES).try_collect().await?;
    Ok(stay.into_iter().flatten().collect())
}

/// The same for as many as one request reads. Their documents are dropped with its end.
async fn batch_sifted<L: Lists>(
    lists: &L,
    names: &Names,
    search: &Search,
    batch: Vec<(Position, Candidate)>,
) -> Result<Vec<(Position, InteractionKey)>, PortError> {
    let closed = batch.iter().filter(|(_, (_, row))| row.status == Status::Closed);
    let closed: Vec<InteractionId> = closed.map(|(_, (place, _))| place.interaction.clone()).collect();
    let found = if closed.is_empty() { Vec::new() } else { lists.documents(&closed).await? };
    let documents: BTreeMap<InteractionId, Document> = found.into_iter().map(|document| (document.interaction.clone(), document)).collect();
    let stays = |(position, (place, row)): &(Position, Candidate)| {
        let Some(document) = documents.get(&place.interaction).filter(|document| document.tells_of(row)) else { return true };
        let (account, contact) = (&place.conversation.account, &place.conversation.contact);
        search.matches(&Subject { position, account, contact, row, facts: Some(&document.facts) }, names)
    };
    Ok(batch.into_iter().filter(stays).map(|(position, (place, _))| (position, place)).collect())
}

/// The interactions at these places that match as they are now, newest first.
async fn matching<L: Lists>(lists: &L, names: &Names, search: &Search, places: &[InteractionKey]) -> Result<Vec<Interaction>, PortError> {
    let live = lists.interactions_now(places).await?;
    let mut matched: BTreeMap<Position, Interaction> = BTreeMap::new();
    let mut read: Vec<(Listing, Interaction, Option<Facts>)> = Vec::new();
    let listed = live.into_iter().filter_map(|interaction| Some((Listing::of(&interaction)?, interaction)));
    if search.needs_facts() {
        let threads = stream::iter(listed).map(|(listing, interaction)| async move {
            let facts = Facts::of(&interaction, &lists.thread(&interaction).await?);
            Ok::<_, PortError>((listing, interaction, Some(facts)))
        });
        read.extend(threads.buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?);
    } else {
        read.extend(listed.map(|(listing, interaction)| (listing, interaction, None)));
    }
    for (Listing { position, row, .. }, interaction, facts) in read {
        let Interaction { account, contact, .. } = &interaction;
        let subject = Subject { position: &position, account, contact, row: &row, facts: facts.as_ref() };
        if search.matches(&subject, names) {
            matched.insert(position, interaction);
        }
    }
    Ok(matched.into_values().rev().collect())
}

/// Asks a shelf for more, and returns how many rows it looked at.
async fn ask<L: Lists>(lists: &L, names: &Names, query: &SearchQuery, stream: &mut Stream<Shelf, Candidate>) -> Result<usize, PortError> {
    let before = match &stream.known {
        Known::Through(position) => Some(position),
        Known::All | Known::Nothing => query.after.as_ref(),
    };
    let shelf = &stream.source;
    // Everything that is on the shelf.
    let filter = Filter { state: shelf.is_of_archived().then_some(State::Archived), ..Filter::default() };
    let most = 2_usize.saturating_pow(stream.rounds).saturating_mul(FIRST_ROUND).min(LARGEST_ROUND);
    let rows = lists.rows(RowsWanted { shelf, span: Span::default(), before, filter: &filter, most }).await?;
    let may_match = |(place, position, row): &(InteractionKey, Position, Row)| {
        let (account, contact) = (&place.conversation.account, &place.conversation.contact);
        query.search.may_match(&Subject { position, account, contact, row, facts: None }, names)
    };
    let found: Vec<_> = rows.found.into_iter().filter(may_match).map(|(place, position, row)| (position, (place, row))).collect();
    let scanned = rows.scanned;
    stream.feed(found, rows.through.map_or(Known::All, Known::Through));
    Ok(scanned)
}
