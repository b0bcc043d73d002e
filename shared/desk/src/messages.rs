//! The messages of an interaction: reading them and their attachments.

use std::collections::BTreeMap;

use api::{Command, Error, FromPath, Listed, Parameters, Reader};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloud::objects::{LINK_LIFETIME, Objects};
use domain::effect::InteractionKey;
use domain::ids::MessageId;
use domain::interaction::Interaction;
use domain::message::{Attachment, Copy, Message, thumbnail_key};
use domain::values::ClientId;
use engine::Told;
use engine::ports::Store;
use futures_util::future::try_join;
use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use store::Order;
use utoipa::ToSchema;
use views::transcript::Transcript;
use views::{AttachmentState, MessageView};

use crate::interactions::{Done, settle};
use crate::{Desk, Failure, Link, Located};

/// A screen or two of messages.
const PAGE: i32 = 50;

/// Most messages take a few KB at most, so 200 fit into the 1 MB at which a page ends too.
const LONGEST_PAGE: i32 = 200;

/// How many messages one query reads to find a message.
const SEARCH_PAGE: i32 = 100;

/// Lists the messages of an interaction.
#[utoipa::path(
    get, path = "/interactions/{id}/messages", tag = "messages",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("after" = Option<String>, Query, description = "The `next` value of the previous page"),
        ("newest" = Option<bool>, Query, description = "`true`: newest first. A `next` value belongs to its order."),
        ("limit" = Option<u32>, Query, description = "1 to 200; the default is 50")
    ),
    responses((status = OK, body = Listed<MessageView>, description = "Messages, oldest first unless `newest`. A page may have fewer entries than `limit`: it ends at about 1 MB too."), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn thread(
    State(desk): State<Desk>,
    caller: Reader,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<MessageView>, Failure> {
    let page = page(&desk, &caller, &id, &parameters).await?;
    Ok(Listed { items: page.messages.iter().map(MessageView::from).collect(), next: page.next })
}

/// A page of an interaction's messages that the caller may read.
struct Page {
    place: Located,
    interaction: Interaction,
    messages: Vec<Message>,
    next: Option<String>,
}

async fn page(desk: &Desk, caller: &Reader, id: &str, parameters: &Parameters) -> Result<Page, Failure> {
    let limit = parameters.limit(PAGE, LONGEST_PAGE)?;
    let order = if parameters.flag("newest")? { Order::NewestFirst } else { Order::OldestFirst };
    let after = parameters.get("after").map(|cursor| opened(cursor, id)).transpose()?;
    let place = desk.locate(caller.clone(), id).await?;
    let interaction = desk.found(&place).await?;
    desk.viewed(caller, &place, &interaction).await?;
    let page = desk.store().thread(&interaction, after.as_deref(), limit, order).await?;
    let next = page.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next));
    Ok(Page { place, interaction, messages: page.messages, next })
}

/// The contents of a cursor in this interaction's messages.
fn opened(cursor: &str, interaction: &str) -> Result<String, Failure> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| key.contains(interaction));
    key.ok_or_else(|| Failure::field("after", "is not a cursor of this interaction"))
}

/// The message that a command wrote, now or before.
pub async fn settled(desk: &Desk, command: &Command, key: &InteractionKey, told: Told) -> Result<Message, Failure> {
    let message = match settle(desk, command, told).await? {
        Done::Now(_, message) => message.map(|message| *message),
        Done::Before(_, made) => match made.and_then(|made| made.parse().ok()) {
            Some(made) => find(desk, key, &made).await?,
            None => None,
        },
    };
    message.ok_or(Error::NotFound.into())
}

/// The id that a client gives a message.
pub fn client_id(text: Option<&str>) -> Result<Option<ClientId>, Error> {
    text.map(|text| ClientId::parse(text).map_err(|invalid| Error::field("client_id", invalid.0))).transpose()
}

/// The answer with a new message.
pub fn created(message: &Message) -> (StatusCode, Json<MessageView>) {
    (StatusCode::CREATED, Json(message.into()))
}

/// Returns a download link to an attachment.
///
/// Browsers save the file and never display it. 409 `attachment-pending`: the file is still being copied. 410: the
/// copy failed for good.
#[utoipa::path(
    get, path = "/interactions/{id}/messages/{message}/attachments/{index}", tag = "messages",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("message" = String, Path, description = "The message's id"),
        ("index" = u32, Path, description = "The attachment's index in the message, starting at 0")
    ),
    responses(
        (status = OK, body = Link),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = GONE, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub async fn attachment(
    State(desk): State<Desk>,
    caller: Reader,
    FromPath((id, message, index)): FromPath<(String, String, String)>,
) -> Result<Json<Link>, Failure> {
    let message: MessageId = message.parse().map_err(|_| Error::NotFound)?;
    let index: usize = index.parse().map_err(|_| Error::NotFound)?;
    let place = desk.locate(caller.clone(), &id).await?;
    let (interaction, message) =
        try_join(async { Ok(desk.store().interaction(&place.key).await?) }, find(&desk, &place.key, &message)).await?;
    let (Some(interaction), Some(message)) = (interaction, message) else { return Err(Error::NotFound.into()) };
    desk.viewed(&caller, &place, &interaction).await?;
    let attachment = message.attachments.get(index).ok_or(Error::NotFound)?;
    let key = match &attachment.copy {
        Copy::Stored { key, .. } => key,
        Copy::Pending => return Err(Failure::AttachmentPending),
        Copy::Failed { reason } => return Err(Failure::AttachmentFailed { reason: reason.clone() }),
    };
    let expires_at = desk.now() + LINK_LIFETIME;
    let names = names(&place, &interaction, &message);
    Ok(Json(Link { url: desk.objects.link(key, name(&names, index)).await?, expires_at }))
}

/// The names of a message's files, as a browser saves them.
fn names(place: &Located, interaction: &Interaction, message: &Message) -> Vec<String> {
    let transcript = Transcript {
        account: place.account.as_deref(),
        interaction,
        messages: std::slice::from_ref(message),
        agents: &BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    transcript.files().into_iter().map(|file| file.name).collect()
}

fn name(names: &[String], index: usize) -> &str {
    names.get(index).map_or("", String::as_str)
}

/// The links to an attachment, or why there are none.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttachmentLinks {
    /// The message's id.
    pub message: MessageId,
    /// The attachment's index in the message, starting at 0.
    pub index: usize,
    /// The state of our copy. Only what is `stored` has links.
    pub state: AttachmentState,
    /// The address of the file. Browsers save it. It needs no token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The address of a small picture of it, JPEG or WebP, at most 320 pixels high and wide; absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    /// When the links expire.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Why the copy failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Returns download links to all attachments of a page of messages.
///
/// The page is that of `GET …/messages` with the same parameters; messages without attachments have no entry. A link
/// is like that of a single attachment. Of an interaction that was deleted the answer is 410.
#[utoipa::path(
    get, path = "/interactions/{id}/attachments", tag = "messages",
    params(
        ("id" = String, Path, description = "The interaction's id"),
        ("after" = Option<String>, Query, description = "A `next` value, of this route or of `GET …/messages`"),
        ("newest" = Option<bool>, Query, description = "`true`: newest message first. A `next` value belongs to its order."),
        ("limit" = Option<u32>, Query, description = "How many messages: 1 to 200; the default is 50")
    ),
    responses((status = OK, body = Listed<AttachmentLinks>, description = "Links in the order of the messages"), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub async fn attachments(
    State(desk): State<Desk>,
    caller: Reader,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<AttachmentLinks>, Failure> {
    let page = page(&desk, &caller, &id, &parameters).await?;
    let expires_at = desk.now() + LINK_LIFETIME;
    let mut items = Vec::new();
    for message in page.messages.iter().filter(|message| !message.attachments.is_empty()) {
        let names = names(&page.place, &page.interaction, message);
        for (index, attachment) in message.attachments.iter().enumerate() {
            items.push(links(&desk.objects, message, index, attachment, name(&names, index), expires_at).await?);
        }
    }
    Ok(Listed { items, next: page.next })
}

/// Makes no call: addresses are signed here.
async fn links(
    objects: &Objects,
    message: &Message,
    index: usize,
    attachment: &Attachment,
    name: &str,
    expires_at: Timestamp,
) -> Result<AttachmentLinks, Failure> {
    let none =
        |state, reason| AttachmentLinks { message: message.id.clone(), index, state, url: None, thumbnail: None, expires_at: None, reason };
    Ok(match &attachment.copy {
        Copy::Pending => none(AttachmentState::Pending, None),
        Copy::Failed { reason } => none(AttachmentState::Failed, Some(reason.clone())),
        Copy::Stored { key, thumbnail, .. } => {
            let small = if *thumbnail { Some(objects.link(&thumbnail_key(key), name).await?) } else { None };
            AttachmentLinks {
                url: Some(objects.link(key, name).await?),
                thumbnail: small,
                expires_at: Some(expires_at),
                ..none(AttachmentState::Stored, None)
            }
        }
    })
}

/// Finds a message by its id alone. Messages are sorted by time, which the id does not contain.
pub async fn find(desk: &Desk, key: &InteractionKey, id: &MessageId) -> Result<Option<Message>, Failure> {
    let Some(interaction) = desk.store().interaction(key).await? else { return Ok(None) };
    let mut after = None;
    loop {
        let page = desk.store().thread(&interaction, after.as_deref(), SEARCH_PAGE, Order::OldestFirst).await?;
        if let Some(found) = page.messages.into_iter().find(|message| message.id == *id) {
            return Ok(Some(found));
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_valid_for_its_own_interaction_only() {
        let cursor = BASE64_URL_SAFE_NO_PAD.encode("MSG#int_1#000#msg_1");
        assert_eq!(opened(&cursor, "int_1").unwrap(), "MSG#int_1#000#msg_1");
        for (cursor, interaction) in [(cursor.as_str(), "int_2"), ("MSG#int_1", "int_1"), ("!", "int_1")] {
            let problem = serde_json::to_value(opened(cursor, interaction).unwrap_err().problem()).unwrap();
            assert_eq!(problem["errors"][0]["field"], "after");
        }
    }
}
