//! What happened to the agent: the feed that the socket shows too, and the ticket that opens a socket.

use std::sync::Arc;

use api::{AgentCaller, Parameters};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;
use views::AgentEvent;

use crate::app::App;
use crate::problem::Failure;

/// What a client that was away for some minutes missed.
const PAGE: i32 = 100;

/// An event has 1 KB or two, a message of 4096 characters at most 16 KB more: 500 usually fit into the 1 MB that one query reads.
const LONGEST_PAGE: i32 = 500;

/// A ticket is used at once; half a minute is a slow connection's time.
const TICKET_LIFETIME: SignedDuration = SignedDuration::from_secs(30);

/// As many bits as a session key has: 256.
const TICKET_BYTES: usize = 32;

/// A page of the caller's feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Events {
    /// The events behind `after`, the oldest first. A gap behind `after` means that events have expired (after 7 days): read the interactions anew.
    items: Vec<FeedEntry>,
    /// Send this as `after` for the next page. Absent: this was the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The number of the feed's last event; 0: there is none.
    last: u64,
}

/// An event of the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FeedEntry {
    /// Its place in the feed: the first is 1, and none is left out.
    seq: u64,
    /// When it happened.
    at: Timestamp,
    /// What happened.
    event: AgentEvent,
}

/// What opens a socket, once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ticket {
    /// The ticket.
    ticket: String,
    /// Where to connect, the ticket included.
    url: String,
    /// Until when.
    expires_at: Timestamp,
}

/// What happened to the caller behind `after`: a client that lost its connection catches up here.
#[utoipa::path(
    get, path = "/events", operation_id = "list_events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "The number of the last event that the client knows; 0 unless told"),
        ("limit" = Option<u32>, Query, description = "1 to 500, 100 unless told")
    ),
    responses((status = OK, body = Events))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller, parameters: Parameters) -> Result<Json<Events>, Failure> {
    let limit = parameters.limit(PAGE, LONGEST_PAGE)?;
    let after = parameters.number("after")?;
    let events = app.store().events_after(&caller.agent, after, limit).await?;
    let last = match events.last() {
        // A page that is not full ends with the last event, unless it was cut at 1 MB.
        Some(last) if events.len() < SURELY_WHOLE.min(usize::try_from(limit).unwrap_or_default()) => last.seq,
        _ => app.store().last_event(&caller.agent).await?,
    };
    let next = events.last().filter(|shown| shown.seq < last).map(|shown| shown.seq.to_string());
    let items = events.into_iter().map(|event| FeedEntry { seq: event.seq, at: event.at, event: event.event });
    Ok(Json(Events { items: items.collect(), next, last }))
}

/// Fewer events than this are never cut: 50 of the longest make less than 1 MB.
const SURELY_WHOLE: usize = 50;

/// A ticket for the socket: good for one connection within 30 seconds.
#[utoipa::path(post, path = "/tickets", tag = "events", responses((status = CREATED, body = Ticket)))]
pub(crate) async fn ticket(State(app): State<Arc<App>>, caller: AgentCaller) -> Result<(StatusCode, Json<Ticket>), Failure> {
    let mut secret = [0; TICKET_BYTES];
    getrandom::fill(&mut secret).map_err(|_| Failure::NoRandomness)?;
    let ticket = BASE64_URL_SAFE_NO_PAD.encode(secret);
    let hash = cloud::digest::sha256_hex(&ticket);
    // Whole seconds, as the table keeps them.
    let expires_at = Timestamp::from_second((app.now() + TICKET_LIFETIME).as_second()).unwrap_or(Timestamp::MAX);
    app.store().put_ticket(&hash, &caller.agent, expires_at).await?;
    let url = format!("{}?ticket={ticket}", app.websocket_url);
    Ok((StatusCode::CREATED, Json(Ticket { ticket, url, expires_at })))
}
