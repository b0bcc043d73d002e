//! The caller's notifications.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::{AgentCaller, Body, Error, FromPath, Parameters};
use axum::Json;
use axum::extract::State;
use domain::effect::InteractionKey;
use domain::ids::{AccountId, InteractionId, TriggerId};
use domain::interaction::Interaction;
use domain::note::NoteKind;
use engine::ports::{Directory, Store};
use futures_util::future::try_join_all;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::KeptNote;
use utoipa::ToSchema;
use views::NotificationView;

use crate::app::App;
use crate::problem::Failure;

/// A screen of notifications.
const PAGE: i32 = 20;

/// Each one that is shown may need a read of its interaction and one of its thread.
const LONGEST_PAGE: i32 = 50;

/// New messages are counted up to here: a screen shows "20 or more". So a count is one read.
const COUNTED: i32 = 20;

/// A page of notifications.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Notifications {
    /// The notifications of the last 30 days, newest first.
    items: Vec<Notified>,
    /// Send this as `after` for the next page. Absent: this was the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// How many are unread, on all pages.
    unread: usize,
    /// The moment of this answer. `POST /notifications/read` with it as `until` marks what was shown here, and nothing
    /// that comes later.
    as_of: Timestamp,
}

/// A notification.
#[derive(Debug, Serialize, ToSchema)]
struct Notified {
    #[serde(flatten)]
    notification: NotificationView,
    /// Whether it is read: marked, or there is nothing left to see, because the thread was opened or the interaction
    /// is no longer the caller's.
    read: bool,
    /// The customer's name, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_name: Option<String>,
    /// The customer's phone number, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_phone: Option<String>,
    /// How many messages of the customer were not seen, if it is unread; 20 also stands for more.
    #[serde(skip_serializing_if = "Option::is_none")]
    new_messages: Option<usize>,
}

/// What to mark as read.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadUntil {
    /// The `as_of` of a list: what came later stays unread. Absent: everything.
    until: Option<Timestamp>,
}

/// A note's place in the list: newest first.
fn place(kept: &KeptNote) -> String {
    format!("{:015}#{}", kept.note.at.as_millisecond().max(0), kept.note.id())
}

/// The notifications of one agent, with the interactions that they are about as far as that is needed.
struct Board {
    kept: Vec<KeptNote>,
    interactions: BTreeMap<InteractionId, Interaction>,
    caller: AgentCaller,
}

impl Board {
    /// Whether the caller has nothing left to see.
    fn is_read(&self, kept: &KeptNote) -> bool {
        let own = kept.note.interaction.as_ref().and_then(|place| self.interactions.get(&place.interaction));
        let own = own.filter(|own| own.is_open() && own.agent.as_ref() == Some(&self.caller.agent));
        is_read(kept, own, self.caller.oversees())
    }
}

/// Whether there is nothing left to see of a notification. `own` is its interaction, if the caller has it. What an AI
/// agent handed over is anybody's: supervisors see it until they mark it.
fn is_read(kept: &KeptNote, own: Option<&Interaction>, oversees: bool) -> bool {
    let of_others = || kept.note.interaction.is_some() && !(oversees && kept.note.kind == NoteKind::Escalation);
    kept.marked || own.map_or_else(of_others, |own| !own.unread)
}

/// Lists the caller's notifications: new messages in own interactions whose thread is not open, transfers that nobody
/// accepted, what AI agents handed over (for supervisors too), triggers that the service switched off (for
/// supervisors), and, for admins and owners, what providers say about accounts.
///
/// There is one for each interaction, account and trigger; the next news of it replaces it and comes first again.
/// Opening the interaction's tab reads its notification too. The feed has an event `notification` for each.
#[utoipa::path(
    get, path = "/notifications", operation_id = "list_notifications", tag = "notifications",
    params(
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("limit" = Option<u32>, Query, description = "1 to 50; the default is 20")
    ),
    responses((status = OK, body = Notifications))
)]
pub(crate) async fn list(State(app): State<Arc<App>>, caller: AgentCaller, parameters: Parameters) -> Result<Json<Notifications>, Failure> {
    let limit = usize::try_from(parameters.limit(PAGE, LONGEST_PAGE)?).unwrap_or_default();
    let (after, now) = (parameters.get("after"), app.now());
    let mut kept = app.store().notes(&caller.agent, now).await?;
    let readable: BTreeSet<AccountId> = {
        let accounts = app.directory().accounts().await?;
        accounts.iter().filter(|account| caller.reads(account)).map(|account| account.id.clone()).collect()
    };
    kept.retain(|kept| kept.note.account.as_ref().map_or(caller.oversees(), |account| readable.contains(account)));
    kept.sort_by_key(|kept| std::cmp::Reverse(place(kept)));
    // Only what the agent has can be unread, and that is little, however much is kept.
    let load = app.store().presences(std::slice::from_ref(&caller.agent)).await?.remove(&caller.agent).map(|presence| presence.load);
    let load = load.unwrap_or_default();
    let from = kept.iter().position(|kept| after.is_none_or(|after| place(kept).as_str() < after)).unwrap_or(kept.len());
    let page = from..kept.len().min(from + limit);
    let wanted = |at: usize, kept: &KeptNote| {
        let place = kept.note.interaction.clone()?;
        (page.contains(&at) || (!kept.marked && load.contains(&place.interaction))).then_some(place)
    };
    let wanted: Vec<InteractionKey> = kept.iter().enumerate().filter_map(|(at, kept)| wanted(at, kept)).collect();
    let interactions = app.store().interactions_at(&wanted).await?;
    let interactions = interactions.into_iter().map(|interaction| (interaction.id.clone(), interaction)).collect();
    let board = Board { kept, interactions, caller };
    let unread = board.kept.iter().filter(|kept| !board.is_read(kept)).count();
    let next = (page.end < board.kept.len()).then(|| board.kept.get(page.end.saturating_sub(1)).map(place)).flatten();
    let shown = board.kept.get(page).unwrap_or_default().iter();
    // What was deleted is not shown.
    let shown = shown.filter(|kept| kept.note.interaction.as_ref().is_none_or(|place| board.interactions.contains_key(&place.interaction)));
    let items = try_join_all(shown.map(|kept| notified(&app, &board, kept))).await?;
    Ok(Json(Notifications { items, next, unread, as_of: now }))
}

async fn notified(app: &App, board: &Board, kept: &KeptNote) -> Result<Notified, Failure> {
    let (note, read) = (&kept.note, board.is_read(kept));
    let interaction = note.interaction.as_ref().and_then(|place| board.interactions.get(&place.interaction));
    let new_messages = match (note.kind, &note.interaction, note.from) {
        (NoteKind::NewMessages, Some(place), Some(from)) if !read => Some(app.store().heard_since(place, from, COUNTED).await?),
        _ => None,
    };
    Ok(Notified {
        notification: note.into(),
        read,
        customer_name: interaction.and_then(|interaction| interaction.customer_name.as_ref()).map(|name| name.0.clone()),
        customer_phone: interaction.and_then(|interaction| interaction.address.phone()).map(|phone| phone.as_str().to_owned()),
        new_messages,
    })
}

/// Marks a notification as read.
///
/// The interaction stays unread. Later messages of it come with another notification once its tab was opened.
#[utoipa::path(
    post, path = "/notifications/{id}/read", operation_id = "read_notification", tag = "notifications",
    params(("id" = String, Path, description = "The notification's id")),
    responses((status = NO_CONTENT, description = "It is read"), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn read(State(app): State<Arc<App>>, caller: AgentCaller, FromPath(id): FromPath<String>) -> Result<StatusCode, Failure> {
    let is_id = id.parse::<InteractionId>().is_ok() || id.parse::<AccountId>().is_ok() || id.parse::<TriggerId>().is_ok();
    if !is_id || !app.store().read_note(&caller.agent, &id).await? {
        return Err(Error::NotFound.into());
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Marks all notifications as read, or those up to a moment.
#[utoipa::path(
    post, path = "/notifications/read", operation_id = "read_notifications", tag = "notifications", request_body = ReadUntil,
    responses((status = NO_CONTENT, description = "They are read"))
)]
pub(crate) async fn read_all(State(app): State<Arc<App>>, caller: AgentCaller, Body(body): Body<ReadUntil>) -> Result<StatusCode, Failure> {
    // A moment to come would hide what is not there yet.
    let until = body.until.map_or_else(|| app.now(), |until| until.min(app.now()));
    app.store().read_notes(&caller.agent, until).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use domain::fixtures;
    use domain::interaction::Status;
    use domain::note::Note;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn supervisors_see_what_an_ai_agent_handed_over_until_they_mark_it() {
        let interaction = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH);
        let note = |kind| Note {
            kind,
            account: Some(interaction.account.clone()),
            interaction: Some(interaction.key()),
            at: Timestamp::UNIX_EPOCH,
            from: None,
            escalated: None,
            alert: None,
            trigger: None,
            version: 1,
        };
        let kept = |kind, marked| KeptNote { note: note(kind), marked };
        assert!(!is_read(&kept(NoteKind::Escalation, false), None, true));
        assert!(is_read(&kept(NoteKind::Escalation, true), None, true));
        assert!(is_read(&kept(NoteKind::Escalation, false), None, false), "another agent has it now");
        assert!(is_read(&kept(NoteKind::NewMessages, false), None, true), "another agent has it now");
        for unread in [false, true] {
            let own = Interaction { unread, ..interaction.clone() };
            assert_eq!(is_read(&kept(NoteKind::Escalation, false), Some(&own), true), !unread);
        }
    }
}
