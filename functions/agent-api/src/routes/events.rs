//! The agent's event feed, which the WebSocket also sends, and the ticket that opens a WebSocket.

use std::sync::Arc;

use api::{AgentCaller, Parameters};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use store::{Page, Reader};
use utoipa::ToSchema;
use views::AgentEvent;

use crate::app::App;
use crate::problem::Failure;

/// About as many events as a client misses in a few minutes.
const PAGE: i32 = 100;

/// An event takes 1 or 2 KB, and a message of 4096 characters adds at most 16 KB. 500 events usually fit into the 1
/// MB that one query reads.
const LONGEST_PAGE: i32 = 500;

/// Clients use a ticket at once. Half a minute is enough for a slow connection.
const TICKET_LIFETIME: SignedDuration = SignedDuration::from_secs(30);

/// As many bits as a session key: 256.
const TICKET_BYTES: usize = 32;

/// A page of the caller's feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Events {
    /// The events after `after`, oldest first. If events are missing, because they have expired (after 7 days), the
    /// page begins with `expired`: read the interactions again.
    items: Vec<FeedEntry>,
    /// Send this as `after` to get the next page. It is absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The number of the feed's last event. 0: the feed has had no events.
    last: u64,
}

/// An event of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedEntry {
    /// The event's number in the feed. Numbers rise by 1, except where events have expired.
    seq: u64,
    /// When the event happened.
    at: Timestamp,
    /// The event.
    event: AgentEvent,
}

/// A ticket that opens one WebSocket connection.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// The ticket.
    ticket: String,
    /// The address to connect to. It includes the ticket.
    url: String,
    /// When the ticket expires.
    expires_at: Timestamp,
}

/// Lists the caller's events after `after`.
///
/// A client that lost its connection catches up here. An event of an account that the caller does not belong to any
/// more is `withheld`: it keeps its number and names the interaction only. A client that was away for so long that
/// events are gone gets `expired` in their place.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "The number of the last event that the client has; the default is 0"),
        ("limit" = Option<u32>, Query, description = "1 to 500; the default is 100")
    ),
    responses((status = OK, body = Events))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller, parameters: Parameters) -> Result<Json<Events>, Failure> {
    let limit = parameters.limit(PAGE, LONGEST_PAGE)?;
    let after = parameters.number("after")?;
    let reader = Reader { agent: &caller.agent, oversees: caller.oversees() };
    let Page { events, last } = app.store().events_for(app.directory(), reader, after, limit, app.now()).await?;
    let last = match last {
        Some(last) => last,
        None => app.store().last_event(&caller.agent, app.now()).await?,
    };
    let next = events.last().filter(|shown| shown.seq < last).map(|shown| shown.seq.to_string());
    let items = events.into_iter().map(|event| FeedEntry { seq: event.seq, at: event.at, event: event.event });
    Ok(Json(Events { items: items.collect(), next, last }))
}

/// Creates a ticket for the WebSocket.
///
/// It is valid for one connection within 30 seconds.
#[utoipa::path(post, path = "/tickets", tag = "events", responses((status = CREATED, body = Ticket)))]
pub(crate) async fn ticket(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<(StatusCode, Json<Ticket>), Failure> {
    let mut secret = [0; TICKET_BYTES];
    getrandom::fill(&mut secret).map_err(|_| Failure::NoRandomness)?;
    let ticket = BASE64_URL_SAFE_NO_PAD.encode(secret);
    let hash = cloud::digest::sha256_hex(&ticket);
    // The table stores whole seconds.
    let expires_at = Timestamp::from_second((app.now() + TICKET_LIFETIME).as_second()).unwrap_or(Timestamp::MAX);
    app.store().put_ticket(&hash, &caller.agent, expires_at).await?;
    let url = format!("{}?ticket={ticket}", app.websocket_url);
    Ok((StatusCode::CREATED, Json(Ticket { ticket, url, expires_at })))
}
