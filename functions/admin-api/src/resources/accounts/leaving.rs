//! Deleting an account: it stops opening interactions, its open ones are closed, then it is deleted.

use std::collections::{BTreeMap, HashSet};

use api::{Error, Id, IfMatch, Parameters};
use axum::extract::State;
use domain::account::Account;
use domain::agent::Agent;
use domain::decide::{Event, Refusal};
use domain::effect::{InteractionKey, Target};
use domain::ids::{AccountId, AgentId, InteractionId};
use domain::queue::Queue;
use engine::ports::{Idempotency, Store, World};
use engine::{EngineError, Told};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use jiff::SignedDuration;
use store::{Extra, Leaving};

use super::secrets::{forget_secret, hash, path_token};
use super::translation::forget_key;
use super::video::forget_video_key;
use crate::app::{App, changed, written};
use crate::error::ApiError;
use crate::input::Errors;
use crate::openapi::WriteRefusals;
use crate::resource::{Stored, Writer};
use crate::resources::canned_answers::forget_answers;

/// How many queries run at once to find open interactions. They take a few milliseconds each, so thousands of agents
/// fit into the API's 30 s.
const QUERIES: usize = 16;

/// How many interactions one query of the index reads: far more than administrators close by hand.
const INDEXED: usize = 1000;

/// How many interactions a request closes. [`CLOSING`] run at once and each takes a tenth of a second, which makes
/// three of the API's 30 seconds.
const CLOSED: usize = 200;

/// How many closes run at once. Closes for one agent compete for that agent's presence, and with more of them most
/// would lose the race.
const CLOSING: usize = 8;

/// How long an account may take to leave. The function ends after 29 s, and clocks differ a little. If the function
/// dies in between, customers wait no longer than this.
const LEAVES: SignedDuration = SignedDuration::from_secs(60);

/// How many interactions a refusal names. It counts all of them.
const NAMED: usize = 10;

/// Deletes an account.
///
/// `confirm` must repeat the account's key (422 otherwise). Refused (409, `open-interactions`) while the account has
/// open interactions, unless `close` is `true`. With `close`, the system first closes up to 200 of them per request.
/// The response is 409 while some are left, and a repeated request continues. Messages from customers wait until the
/// deletion succeeds or fails. The account's secret can be restored in Secrets Manager for seven days. Its canned
/// answers are deleted too.
#[utoipa::path(delete, path = "/accounts/{id}", tag = "accounts",
    params(("id" = String, Path), ("If-Match" = String, Header), ("confirm" = String, Query, description = "The account's key."),
        ("close" = Option<bool>, Query, description = "Whether to close its open interactions.")),
    responses((status = 204, description = "Deleted."), WriteRefusals))]
pub(crate) async fn delete_account(
    State(app): State<App>,
    writer: Writer<Account>,
    Id(id): Id<AccountId>,
    condition: IfMatch,
    parameters: Parameters,
) -> Result<StatusCode, ApiError> {
    let stored = Stored::<Account>::load(&app, &writer, &id, Some(&condition)).await?;
    let (entry, owed) = stored.deleted(&app, writer.by()).await?;
    let Stored { before: account, version, .. } = stored;
    if parameters.get("confirm") != Some(account.key.as_str()) {
        return Err(Errors::one("confirm", "must be the account's key: send ?confirm=<key>").into());
    }
    let close = match parameters.get("close") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Errors::one("close", "must be true or false").into()),
    };
    let until = app.engine.world.now() + LEAVES;
    let leaving = app.configuration().leave(&id, cloud::ids::ulid().to_string(), until).await?;
    if let Err(refused) = leave(&app, &account, version, &leaving, &entry, close).await {
        // If the response was lost, the account may be gone. Otherwise it becomes usable again after a minute.
        if !matches!(refused, ApiError::Kit(Error::Port(_))) {
            app.configuration().stay(&leaving).await?;
        }
        return Err(refused);
    }
    app.pay(owed).await;
    changed("account", "deleted", id.as_str(), writer.by());
    forget_secret(&app, &id, false).await;
    if account.translation_key_set_at.is_some() {
        forget_key(&app, &id).await;
    }
    if account.video_key_set_at.is_some() {
        forget_video_key(&app, &id).await;
    }
    forget_answers(&app, writer.by(), &id).await;
    // It only spares the provider messages, and nobody asks for it any more.
    if let Err(error) = app.configuration().drop_templates(&id).await {
        tracing::warn!(event = "admin.templates_left", account = id.as_str(), %error);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes an account that no longer opens interactions, if none is open.
async fn leave(app: &App, account: &Account, version: u64, leaving: &Leaving, entry: &[Extra], close: bool) -> Result<(), ApiError> {
    let mut open = open_interactions(app, &account.id).await?;
    let mut closed = HashSet::new();
    if close && !open.is_empty() {
        closed = close_some(app, &open).await?;
        open = open_interactions(app, &account.id).await?;
        open.retain(|open| !closed.contains(&open.interaction));
    }
    if !open.is_empty() {
        let interactions = open.iter().take(NAMED).map(|open| open.interaction.to_string()).collect();
        return Err(ApiError::OpenInteractions { count: open.len(), interactions, closed: closed.len() });
    }
    let previous = account.replaced.receive_token.iter().map(|previous| previous.hash.clone());
    let tokens: Vec<String> = previous.chain([hash(path_token(account))]).collect();
    written(app.configuration().delete_account(account, version, &tokens, leaving, entry).await?).map(drop)
}

/// Closes interactions of an account that is leaving, as many as a request has time for, and returns those it closed.
async fn close_some(app: &App, open: &[InteractionKey]) -> Result<HashSet<InteractionId>, ApiError> {
    let closing = stream::iter(open.iter().take(CLOSED).cloned()).map(|key| async move {
        match app.engine.tell(&key, Event::AccountLeaves, Idempotency::Guarded).await {
            Ok(Told::Changed { .. } | Told::AlreadyDone(_) | Told::Refused(Refusal::Closed, _)) | Err(EngineError::NotFound) => {
                Ok(Some(key.interaction))
            }
            // A repeated request finds it again.
            Ok(Told::Refused(..)) | Err(EngineError::Busy) => Ok(None),
            Err(error) => Err(error),
        }
    });
    let closed: Vec<Option<InteractionId>> = closing.buffer_unordered(CLOSING).try_collect().await?;
    Ok(closed.into_iter().flatten().collect())
}

/// The open interactions of an account. Each counts towards an agent's load or has a waiting row, or both. The
/// exceptions are those that wait for another system. They are in the index, which lags by a moment and would not be
/// enough alone.
async fn open_interactions(app: &App, id: &AccountId) -> Result<Vec<InteractionKey>, ApiError> {
    let (agents, queues) = tokio::try_join!(app.configuration().all::<Agent>(), app.configuration().all::<Queue>())?;
    let agents: Vec<AgentId> = agents.into_iter().map(|(agent, _)| agent.id).collect();
    // Queues of older plan versions count too, because a running plan keeps its version.
    let targets = queues.into_iter().map(|(queue, _)| Target::Queue(queue.id)).chain(agents.iter().cloned().map(Target::Agent));
    let targets: Vec<Target> = targets.chain([Target::Account(id.clone())]).collect();
    let store = &app.engine.store;
    let waiting = stream::iter(targets).map(|target| async move { store.waiting(&target).await });
    let waiting: Vec<_> = waiting.buffer_unordered(QUERIES).try_collect().await?;
    let rows = waiting.into_iter().flatten().map(|row| row.interaction).filter(|row| row.conversation.account == *id);
    let mut open: BTreeMap<InteractionId, InteractionKey> = rows.map(|row| (row.interaction.clone(), row)).collect();
    // An agent who was removed from the account may still hold an interaction.
    let presences = store.presences(&agents).await?;
    let held: HashSet<InteractionId> = presences.into_values().flat_map(|presence| presence.load).collect();
    let held = store.interactions(&held.into_iter().collect::<Vec<_>>()).await?;
    let indexed = store.interactions_at(&store.open_interactions(id, None, INDEXED).await?).await?;
    let found = held.into_iter().chain(indexed).filter(|held| held.account == *id && held.is_open());
    open.extend(found.map(|held| (held.id.clone(), held.key())));
    Ok(open.into_values().collect())
}
