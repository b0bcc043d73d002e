//! What waits on the caller's accounts for somebody to pick it.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::{AgentCaller, Parameters};
use axum::Json;
use axum::extract::State;
use domain::account::Account;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, InteractionId};
use domain::interaction::Interaction;
use engine::ports::{Directory, PortError, Store as _};
use futures_util::future::try_join_all;
use jiff::Timestamp;
use search::{ListEntry, entries};
use serde::Serialize;
use store::Interactions;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Failure;

/// A screen or two.
const SHOWN: i32 = 50;

/// Each entry reads its latest message, and the list is asked for every ten seconds.
const MOST_SHOWN: i32 = 100;

/// How many open interactions of an account are listed, the newest first: keys, of which a read unit holds 160. A
/// thousand agents have 5,000.
const MOST_OPEN: usize = 10_000;

/// How many of those that no agent has are read, the oldest first. This takes a few tenths of a second. Behind them
/// are more that wait.
const LOOKED_AT: usize = 500;

/// `DynamoDB` reads at most 100 items in one batch.
const AT_ONCE: usize = 100;

/// How long a process knows what no agent has. All desks of an account ask every ten seconds, for the same.
const KNOWN: Duration = Duration::from_secs(5);

/// The interactions that wait for an agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Waiting {
    /// The interactions that no agent has, those first whose customer has waited longest for an answer.
    items: Vec<WaitingEntry>,
    /// Whether more wait. They follow once these are served.
    more: bool,
}

/// An interaction that waits, with its latest message.
#[derive(Debug, Serialize, ToSchema)]
struct WaitingEntry {
    #[serde(flatten)]
    entry: ListEntry,
    /// When the oldest message came that nobody has answered. Absent: all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    unanswered_since: Option<Timestamp>,
}

/// Lists the interactions that no agent has, of all of the caller's accounts.
///
/// These can be picked. One that opened or was served a moment ago may be missing, or still be there.
#[utoipa::path(
    get, path = "/interactions/waiting", operation_id = "list_waiting_interactions", tag = "interactions",
    params(("limit" = Option<u32>, Query, description = "1 to 100; the default is 50")),
    responses((status = OK, body = Waiting))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller, parameters: Parameters) -> Result<Json<Waiting>, Failure> {
    let limit = usize::try_from(parameters.limit(SHOWN, MOST_SHOWN)?).unwrap_or_default();
    let accounts = app.directory().accounts().await?;
    let own = accounts.iter().filter(|account| account.agents.contains(&caller.agent));
    let places = try_join_all(own.map(|account| app.unheld.of(app.store(), account))).await?;
    let (places, left_out) = oldest(places.iter().flat_map(|places| places.iter().cloned()).collect());
    let found = try_join_all(places.chunks(AT_ONCE).map(|some| app.store().interactions_at(some))).await?;
    let mut found = longest_waiting(found.into_iter().flatten().collect());
    let more = left_out || found.len() > limit;
    found.truncate(limit);
    let since: Vec<_> = found.iter().map(|found| found.unanswered_since).collect();
    let entries = entries(app.store(), found, |_| true).await?;
    let items = entries.into_iter().zip(since).map(|(entry, unanswered_since)| WaitingEntry { entry, unanswered_since });
    Ok(Json(Waiting { items: items.collect(), more }))
}

/// The open interactions of accounts that no agent has, as they were some seconds ago.
#[derive(Debug, Default)]
pub struct Unheld(Mutex<HashMap<AccountId, Known>>);

#[derive(Debug)]
struct Known {
    asked: Instant,
    places: Arc<[InteractionKey]>,
}

impl Unheld {
    /// Those of an account. Most of the open ones have an agent, and stay with that one for long: the presences tell
    /// which, so that only those that wait are read.
    async fn of(&self, store: &Interactions, account: &Account) -> Result<Arc<[InteractionKey]>, PortError> {
        let asked = Instant::now();
        if let Some(known) = self.known(&account.id, asked) {
            return Ok(known);
        }
        // The presences first: what is taken in between is read in vain, and nothing is missed.
        let held = store.held_by(&account.agents).await?;
        let open = store.open_interactions(&account.id, None, MOST_OPEN).await?;
        let places: Arc<[InteractionKey]> = without(open, &held).into();
        if let Ok(mut known) = self.0.lock() {
            known.insert(account.id.clone(), Known { asked, places: places.clone() });
        }
        Ok(places)
    }

    fn known(&self, account: &AccountId, now: Instant) -> Option<Arc<[InteractionKey]>> {
        let known = self.0.lock().ok()?;
        let Known { asked, places } = known.get(account)?;
        (now.duration_since(*asked) < KNOWN).then(|| places.clone())
    }
}

/// Those of the open interactions that nobody holds.
fn without(mut open: Vec<InteractionKey>, held: &BTreeSet<InteractionId>) -> Vec<InteractionKey> {
    open.retain(|place| !held.contains(&place.interaction));
    open
}

/// The oldest of these, as many as are looked at, and whether others are left out. Ids sort by time.
fn oldest(mut places: Vec<InteractionKey>) -> (Vec<InteractionKey>, bool) {
    places.sort_by(|one, other| one.interaction.cmp(&other.interaction));
    let left_out = places.len() > LOOKED_AT;
    places.truncate(LOOKED_AT);
    (places, left_out)
}

/// Those that no agent has, the one first whose customer has waited longest for an answer. The index lags by a moment:
/// the interaction itself tells whether it is open.
fn longest_waiting(mut found: Vec<Interaction>) -> Vec<Interaction> {
    found.retain(|found| found.is_open() && found.agent.is_none());
    let since = |it: &Interaction| (it.unanswered_since.unwrap_or(it.opened_at), it.id.clone());
    found.sort_by_key(since);
    found
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use domain::ids::{AgentId, InteractionId};
    use domain::interaction::Status;
    use ulid::Ulid;

    use super::*;

    fn id(number: u128) -> InteractionId {
        InteractionId::from_ulid(Ulid(number))
    }

    #[test]
    fn whoever_has_waited_longest_for_an_answer_comes_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let open = |number, opened: i64, unanswered: Option<i64>| Interaction {
            id: id(number),
            unanswered_since: unanswered.map(at),
            ..fixtures::interaction(Status::Open, at(opened))
        };
        let has = Interaction { agent: Some(AgentId::from_ulid(Ulid(1))), ..open(5, 1, None) };
        let closed = Interaction { id: id(6), ..fixtures::interaction(Status::Closed, at(0)) };
        // The first one was answered, by an AI agent or from elsewhere, and its customer has written again.
        let found =
            longest_waiting(vec![open(1, 10, Some(60)), open(2, 20, Some(20)), has, open(3, 30, None), closed, open(4, 30, Some(30))]);
        assert_eq!(found.into_iter().map(|it| it.id).collect::<Vec<_>>(), [id(2), id(3), id(4), id(1)]);
    }

    #[test]
    fn one_that_waits_behind_hundreds_that_agents_have_is_looked_at() {
        let key =
            |number: u128| InteractionKey { interaction: id(number), ..fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH).key() };
        let held = (0..600).map(id).collect();
        let (places, left_out) = oldest(without((0..=600).rev().map(key).collect(), &held));
        assert_eq!((places, left_out), (vec![key(600)], false));
    }

    #[test]
    fn of_more_than_are_looked_at_the_oldest_are_kept_and_the_rest_is_told_of() {
        let key = |number: usize| InteractionKey {
            interaction: id(number as u128),
            ..fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH).key()
        };
        let (all, left_out) = oldest((0..LOOKED_AT).rev().map(key).collect());
        assert_eq!((all.len(), all.first().cloned(), left_out), (LOOKED_AT, Some(key(0)), false));
        let (some, left_out) = oldest((0..=LOOKED_AT).rev().map(key).collect());
        assert_eq!((some.len(), some.last().cloned(), left_out), (LOOKED_AT, Some(key(LOOKED_AT - 1)), true));
    }
}
