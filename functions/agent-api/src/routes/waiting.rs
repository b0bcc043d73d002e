//! What waits on the caller's accounts for somebody to pick it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::{AgentCaller, Parameters};
use axum::Json;
use axum::extract::State;
use domain::account::Account;
use domain::effect::InteractionKey;
use domain::ids::AccountId;
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
    let known = try_join_all(own.map(|account| app.unheld.of(app.store(), account))).await?;
    let unlisted = known.iter().any(|known| known.cut);
    let (places, left_out) = oldest(known.iter().flat_map(|known| known.places.iter().cloned()).collect());
    let found = try_join_all(places.chunks(AT_ONCE).map(|some| app.store().interactions_at(some))).await?;
    let mut found = longest_waiting(found.into_iter().flatten().collect());
    let more = unlisted || left_out || found.len() > limit;
    found.truncate(limit);
    let since: Vec<_> = found.iter().map(|found| found.unanswered_since).collect();
    let entries = entries(app.store(), found, |_| true).await?;
    let items = entries.into_iter().zip(since).map(|(entry, unanswered_since)| WaitingEntry { entry, unanswered_since });
    Ok(Json(Waiting { items: items.collect(), more }))
}

/// The open interactions of accounts that no agent has, as they were some seconds ago.
#[derive(Debug, Default)]
pub struct Unheld(Mutex<HashMap<AccountId, Known>>);

#[derive(Debug, Clone)]
struct Known {
    asked: Instant,
    places: Arc<[InteractionKey]>,
    /// Whether the account has more open ones than are listed.
    cut: bool,
}

impl Unheld {
    /// Those of an account. Most of the open ones have an agent, and stay with that one for long: the presences tell
    /// which, so that only those that wait are read.
    async fn of(&self, store: &Interactions, account: &Account) -> Result<Known, PortError> {
        let asked = Instant::now();
        let kept = self.0.lock().ok().and_then(|known| known.get(&account.id).cloned());
        if let Some(known) = kept.filter(|known| asked.duration_since(known.asked) < KNOWN) {
            return Ok(known);
        }
        // The presences first: what is taken in between is read in vain, and nothing is missed.
        let held = store.held_by(&account.agents).await?;
        let open = store.open_interactions(&account.id, None, MOST_OPEN).await?;
        let cut = open.len() == MOST_OPEN;
        let places = open.into_iter().filter(|place| !held.contains(&place.interaction)).collect();
        let found = Known { asked, places, cut };
        if let Ok(mut known) = self.0.lock() {
            known.insert(account.id.clone(), found.clone());
        }
        Ok(found)
    }
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
    use cloud::testing::Stub;
    use domain::fixtures;
    use domain::ids::{AgentId, InteractionId};
    use domain::interaction::Status;
    use serde_json::{Value, json};
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

    #[tokio::test]
    async fn one_that_waits_behind_hundreds_that_agents_have_is_found_and_all_desks_ask_once() {
        let account = Account { agents: vec![AgentId::from_ulid(Ulid(1))], ..fixtures::account() };
        let place = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH).key().conversation;
        let open: Vec<Value> = (0..=600)
            .rev()
            .map(|number| {
                let pk = format!("CONV#{}#{}", place.account, place.contact);
                json!({ "pk": { "S": pk }, "sk": { "S": format!("INT#{}", id(number)) } })
            })
            .collect();
        let held: Vec<_> = (0..600).map(|number| id(number).to_string()).collect();
        let stub = Stub::start(move |call| {
            let answer = match call.operation.rsplit_once('.').unwrap().1 {
                "BatchGetItem" => json!({ "Responses": { "interactions": [{ "load": { "SS": held } }] }, "UnprocessedKeys": {} }),
                _ => json!({ "Items": open, "Count": open.len() }),
            };
            Some((200, answer.to_string()))
        })
        .await;
        let store = Interactions::new(stub.aws.dynamodb(), "interactions", "config");
        let unheld = Unheld::default();
        for _ in 0..3 {
            let found = unheld.of(&store, &account).await.unwrap();
            let found: Vec<_> = found.places.iter().map(|place| place.interaction.clone()).collect();
            assert_eq!(found, [id(600)]);
        }
        let asked: Vec<_> = stub.calls().iter().map(|call| call.operation.rsplit_once('.').unwrap().1.to_owned()).collect();
        assert_eq!(asked, ["BatchGetItem", "Query"]);
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
