//! An account's open interactions, and the colleagues of its agents.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use api::{AgentCaller, FromPath, Listed, Parameters};
use axum::Json;
use axum::extract::State;
use desk::presence::PresenceView;
use domain::agent::{Agent, Presence};
use domain::ids::{AgentId, InteractionId};
use domain::interaction::Interaction;
use engine::ports::{Directory, Store};
use futures_util::future::try_join;
use serde::Serialize;
use utoipa::ToSchema;
use views::InteractionView;

use super::Named;
use crate::app::App;
use crate::problem::Failure;

/// A screen or two of interactions.
const PAGE: i32 = 50;
/// An interaction takes about 2 KB, so a page stays far below the 6 MB limit of a Lambda response.
const LONGEST_PAGE: i32 = 100;
/// DynamoDB reads at most 100 items in one batch.
const LOOKED_AT_ONCE: usize = 100;
/// How many interactions a page may read when the filter skips most of them. This takes a few tenths of a second. The
/// client then asks for the next page.
const LOOKED_AT: usize = 500;

/// The colleagues of an agent in an account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Colleagues {
    /// The account's agents with their presence, sorted by name. An interaction can be transferred to any of them.
    agents: Vec<Colleague>,
    /// All other agents, sorted by name. Interactions, events and the history may refer to them.
    others: Vec<Named>,
    /// The queues, sorted by name. An interaction can be transferred to any of them.
    queues: Vec<Named>,
}

/// An agent of the account.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Colleague {
    /// The agent's id.
    id: AgentId,
    /// The agent's name.
    name: String,
    #[serde(flatten)]
    presence: PresenceView,
}

/// Lists an account's open interactions.
///
/// Agents see the accounts they belong to. Supervisors, admins and owners see all accounts.
#[utoipa::path(
    get, path = "/accounts/{id}/interactions", tag = "interactions",
    params(
        ("id" = String, Path, description = "The account's id"),
        ("waiting" = Option<bool>, Query, description = "`true`: only interactions that no agent has. These can be picked."),
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 100; the default is 50")
    ),
    responses(
        (status = OK, body = Listed<InteractionView>, description = "Interactions, newest first. The list may lag by a moment after an interaction opens or closes. A page may have fewer entries than `limit`."),
        (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn interactions(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<InteractionView>, Failure> {
    let limit = usize::try_from(parameters.limit(PAGE, LONGEST_PAGE)?).unwrap_or_default();
    let (waiting, mut after) = (parameters.flag("waiting")?, parameters.id::<InteractionId>("after")?);
    let account = app.account(&caller, &id).await?;
    let mut page = Page { waiting, limit, shown: Vec::new(), looked_at: 0 };
    let next = loop {
        let places = app.store().open_interactions(&account.id, after.as_ref(), page.step()).await?;
        let found = app.store().interactions_at(&places).await?;
        match page.add(places.into_iter().map(|place| place.interaction).collect(), found) {
            ControlFlow::Continue(last) => after = Some(last),
            ControlFlow::Break(next) => break next,
        }
    };
    Ok(Listed { items: page.shown.iter().map(InteractionView::from).collect(), next: next.map(|next| next.to_string()) })
}

/// A page while it is being filled.
struct Page {
    waiting: bool,
    limit: usize,
    shown: Vec<Interaction>,
    looked_at: usize,
}

impl Page {
    /// How many interactions to read at once. The filter skips most interactions that an agent already has.
    fn step(&self) -> usize {
        if self.waiting { LOOKED_AT_ONCE } else { self.limit }
    }

    /// Adds one batch: the ids in the index, newest first, and the interactions found for them. Returns the id to
    /// continue after, or the start of the next page.
    fn add(&mut self, ids: Vec<InteractionId>, mut found: Vec<Interaction>) -> ControlFlow<Option<InteractionId>, InteractionId> {
        self.looked_at += ids.len();
        // The index lags by a moment. The interaction itself shows whether it is open.
        found.retain(|found| found.is_open() && (!self.waiting || found.agent.is_none()));
        found.sort_by(|one, other| other.id.cmp(&one.id));
        let room = self.limit - self.shown.len();
        let left_over = found.len() > room;
        self.shown.extend(found.into_iter().take(room));
        if left_over {
            return ControlFlow::Break(self.shown.last().map(|last| last.id.clone()));
        }
        let read_to = if ids.len() == self.step() { ids.into_iter().last() } else { None };
        match read_to {
            Some(last) if self.shown.len() < self.limit && self.looked_at < LOOKED_AT => ControlFlow::Continue(last),
            read_to => ControlFlow::Break(read_to),
        }
    }
}

/// Lists an account's agents and queues as transfer targets.
///
/// The response also gives the names for all ids in interactions, events and the history. Agents may ask for the
/// accounts they belong to. Supervisors, admins and owners may ask for any account.
#[utoipa::path(
    get, path = "/accounts/{id}/colleagues", tag = "agent", params(("id" = String, Path, description = "The account's id")),
    responses((status = OK, body = Colleagues), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn colleagues(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
) -> Result<Json<Colleagues>, Failure> {
    let account = app.account(&caller, &id).await?;
    let (all, queues) = try_join(app.directory().agents(), app.directory().queues()).await?;
    let of_account: BTreeSet<&AgentId> = account.agents.iter().collect();
    let (members, others): (Vec<&Agent>, Vec<&Agent>) = all.values().partition(|agent| of_account.contains(&agent.id));
    let ids: Vec<AgentId> = members.iter().map(|agent| agent.id.clone()).collect();
    let presences = app.store().presences(&ids).await?;
    let mut agents: Vec<Colleague> = (members.into_iter())
        .map(|agent| {
            let never = || PresenceView::from(&Presence::logged_out(agent.id.clone(), agent.capacity, app.now()));
            let presence = presences.get(&agent.id).map_or_else(never, PresenceView::from);
            Colleague { id: agent.id.clone(), name: agent.name.clone(), presence }
        })
        .collect();
    agents.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    let others = by_name(others.into_iter().map(|agent| Named { id: agent.id.to_string(), name: agent.name.clone() }));
    let queues = by_name(queues.values().map(|queue| Named { id: queue.id.to_string(), name: queue.name.clone() }));
    Ok(Json(Colleagues { agents, others, queues }))
}

fn by_name(all: impl Iterator<Item = Named>) -> Vec<Named> {
    let mut all: Vec<Named> = all.collect();
    all.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::interaction::Status;
    use jiff::Timestamp;
    use ulid::Ulid;

    fn id(number: u128) -> InteractionId {
        InteractionId::from_ulid(Ulid::from_parts(1, number))
    }

    /// Pages of 10 through interactions `1..=count`. `free` selects the interactions that no agent has. `closed`
    /// selects those that have just been closed. Returns the numbers on each page and how many batches were read for
    /// it.
    fn pages(count: u128, waiting: bool, free: fn(u128) -> bool, closed: fn(u128) -> bool) -> Vec<(Vec<u128>, usize)> {
        let interaction = |number| Interaction {
            id: id(number),
            agent: (!free(number)).then(|| AgentId::from_ulid(Ulid::nil())),
            ..domain::fixtures::interaction(if closed(number) { Status::Closed } else { Status::Open }, Timestamp::UNIX_EPOCH)
        };
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let (mut page, mut reads) = (Page { waiting, limit: 10, shown: Vec::new(), looked_at: 0 }, 0);
            let next = loop {
                reads += 1;
                let older = (1..=count).rev().filter(|number| after.as_ref().is_none_or(|after| id(*number) < *after));
                let numbers: Vec<u128> = older.take(page.step()).collect();
                // A batch returns its items in any order.
                let found = numbers.iter().rev().copied().map(interaction).collect();
                match page.add(numbers.into_iter().map(id).collect(), found) {
                    ControlFlow::Continue(last) => after = Some(last),
                    ControlFlow::Break(next) => break next,
                }
            };
            let number = |shown: Interaction| (1..=count).find(|number| id(*number) == shown.id).unwrap();
            pages.push((page.shown.into_iter().map(number).collect(), reads));
            match next {
                Some(next) => after = Some(next),
                None => return pages,
            }
        }
    }

    #[test]
    fn pages_show_each_interaction_once_whatever_the_filter() {
        let all = |pages: Vec<(Vec<u128>, usize)>| pages.into_iter().flat_map(|(shown, _)| shown).collect::<Vec<_>>();
        for count in [0, 1, 9, 10, 11, 20, 21, 99, 100, 101, 250] {
            assert_eq!(all(pages(count, false, |_| false, |_| false)), (1..=count).rev().collect::<Vec<_>>(), "{count}");
            let found = all(pages(count, true, |number| number % 3 == 0, |number| number == 6));
            assert_eq!(found, (1..=count).rev().filter(|number| number % 3 == 0 && *number != 6).collect::<Vec<_>>(), "{count}");
        }
    }

    #[test]
    fn a_page_without_matches_reads_500_and_leaves_the_rest_to_the_next() {
        assert_eq!(pages(1001, true, |number| number == 1, |_| false), [(vec![], 5), (vec![], 5), (vec![1], 1)]);
    }
}
