//! The messages of an interaction: reading, sending, attachments.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::{AgentCaller, Body, Command, Error, FromPath, Listed, Parameters};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloud::objects::LINK_LIFETIME;
use domain::account::Account;
use domain::business::Business;
use domain::contact::Identity;
use domain::effect::InteractionKey;
use domain::ids::MessageId;
use domain::message::{ApprovedTemplate, Attachment, AttachmentKind, Content, Copy, DeliveryState, Message, TemplateHeader};
use engine::ports::{Store, World};
use engine::{Sending, Told};
use futures_util::future::try_join;
use http::StatusCode;
use providers::OutgoingAttachment;
use views::MessageView;
use views::transcript::Transcript;

use super::contacts::no_recontact;
use super::interactions::{Done, recontact, settle};
use super::outgoing::{NewMessage, Wanted, not_of_interaction, of_template, unknown};
use super::{Link, attachments};
use crate::app::{App, Located};
use crate::problem::Failure;

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
        ("limit" = Option<u32>, Query, description = "1 to 200; the default is 50")
    ),
    responses((status = OK, body = Listed<MessageView>, description = "Messages, oldest first. A page may have fewer entries than `limit`: it ends at about 1 MB too."), (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"))
)]
pub(crate) async fn thread(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    parameters: Parameters,
) -> Result<Listed<MessageView>, Failure> {
    let limit = parameters.limit(PAGE, LONGEST_PAGE)?;
    let after = parameters.get("after").map(|cursor| opened(cursor, &id)).transpose()?;
    let place = app.locate(&caller, &id).await?;
    let interaction = app.store().interaction(&place.key).await?.ok_or(Error::NotFound)?;
    let page = app.store().thread(&interaction, after.as_deref(), limit).await?;
    let items = page.messages.iter().map(MessageView::from).collect();
    Ok(Listed { items, next: page.next.map(|next| BASE64_URL_SAFE_NO_PAD.encode(next)) })
}

/// The contents of a cursor in this interaction's messages.
fn opened(cursor: &str, interaction: &str) -> Result<String, Failure> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = bytes.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|key| key.contains(interaction));
    key.ok_or_else(|| Failure::field("after", "is not a cursor of this interaction"))
}

/// Sends a message to the customer.
///
/// The message is a text, an uploaded file, an approved template, a location, a reaction, or an earlier message that
/// failed, once more. Outside the 24-hour window only templates are allowed (409 `window-expired`, with the account's
/// template in `recontact`, if it has one). 404 `upload-missing`: the file was not uploaded, or its upload is more
/// than a day old. 413 and 415: the provider does not take the file. 422: a field is wrong, or a parameter of a listed
/// template is missing or superfluous; `not-sendable`: the provider can't send such a message. 409
/// `recontact-unfilled`: a parameter of the recontact template is empty for this customer, and the account sets no
/// fallback. 409 `not-failed`: the message in `again` did not fail. 409 `marketing-refused`: the provider lists the
/// template as marketing, and the customer refuses that.
#[utoipa::path(
    post, path = "/interactions/{id}/messages", tag = "messages", request_body = NewMessage,
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = CREATED, body = MessageView),
        (status = NOT_FOUND, body = api::Problem, content_type = "application/problem+json"),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = PAYLOAD_TOO_LARGE, body = api::Problem, content_type = "application/problem+json"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn send(
    State(app): State<Arc<App>>,
    command: Command,
    FromPath(id): FromPath<String>,
    Body(new): Body<NewMessage>,
) -> Result<(StatusCode, Json<MessageView>), Failure> {
    let place = app.locate(&command.caller, &id).await?;
    let (wanted, answers) = new.read(&place.account.provider)?;
    let sending = match prepare(&app, &place, wanted, answers).await {
        // The message or file that a repeated command refers to may be gone by now.
        Err(failure) => match app.earlier(&command).await?.and_then(|made| made.parse().ok()) {
            Some(made) => return Ok(created(&find(&app, &place.key, &made).await?.ok_or(Error::NotFound)?)),
            None => return Err(failure),
        },
        Ok(sending) => sending,
    };
    let agent = command.caller.agent.clone();
    let told = app.engine.send_based_on(&place.key, agent, sending, command.mark(), command.version).await?;
    Ok(created(&settled(&app, &command, &place.key, told).await?))
}

/// The message that a command wrote, now or before.
pub(crate) async fn settled(app: &App, command: &Command, key: &InteractionKey, told: Told) -> Result<Message, Failure> {
    let message = match settle(app, command, told).await? {
        Done::Now(_, message) => message.map(|message| *message),
        Done::Before(_, made) => match made.and_then(|made| made.parse().ok()) {
            Some(made) => find(app, key, &made).await?,
            None => None,
        },
    };
    message.ok_or(Error::NotFound.into())
}

pub(crate) fn created(message: &Message) -> (StatusCode, Json<MessageView>) {
    (StatusCode::CREATED, Json(message.into()))
}

/// Prepares a message for sending: copies the file to its place, looks up the messages that it refers to, and checks
/// that the provider takes what it holds.
async fn prepare(app: &App, place: &Located, wanted: Wanted, answers: Option<MessageId>) -> Result<Sending, Failure> {
    let key = &place.key;
    let id = MessageId::from_ulid(app.engine.world.ulid());
    let reply_to = match &answers {
        Some(answered) => Some(known(app, key, answered, "reply_to").await?),
        None => None,
    };
    let sending = |content, attachments| {
        let (id, reply_to, answers) = (id.clone(), reply_to.clone(), answers.clone());
        Sending { id, content, attachments, reply_to, answers, again_of: None }
    };
    let sending = match wanted {
        Wanted::Ready(content) => sending(content, Vec::new()),
        Wanted::Template { template, upload } => {
            let attachments = match upload {
                Some(upload) => vec![header_file(&template, attachments::taken(app, place, &upload).await?)?],
                None => Vec::new(),
            };
            sending(Content::Template(template), attachments)
        }
        Wanted::Recontact => {
            let interaction = app.store().interaction(key).await?.ok_or(Error::NotFound)?;
            let template = recontact(app, &interaction).await?.ok_or_else(no_recontact)?;
            sending(Content::Template(template.map_err(Failure::RecontactUnfilled)?), Vec::new())
        }
        Wanted::File { upload, caption } => {
            let attachment = attachments::taken(app, place, &upload).await?;
            let silent = matches!(attachment.kind, Some(AttachmentKind::Audio | AttachmentKind::Voice | AttachmentKind::Sticker));
            if silent && !caption.is_empty() {
                return Err(Failure::field("caption", "is not allowed with audio or a sticker"));
            }
            sending(Content::Media { caption }, vec![attachment])
        }
        Wanted::Reaction { message, emoji } => {
            let target = known(app, key, &message, "reaction.message").await?;
            Sending { answers: Some(message), ..sending(Content::Reaction { message: target, emoji }, Vec::new()) }
        }
        Wanted::Again(old) => {
            let old = find(app, key, &old).await?.ok_or_else(|| not_of_interaction("again"))?;
            again(old, id.clone())?
        }
    };
    fits(&place.account, &sending.content, &sending.attachments)?;
    if let Content::Template(template) = &sending.content
        && listed(app, &place.account, template).await?
        && let Some(contact) = app.store().contact(&key.conversation.contact).await?
    {
        let person = app.engine.person(&contact, &Business::of(&place.account)).await?;
        takes_marketing(app, &place.account, &person).await?;
    }
    Ok(sending)
}

/// The message `old` once more, under the id `id`. Its file is in the bucket already.
fn again(old: Message, id: MessageId) -> Result<Sending, Failure> {
    let state = old.delivery.as_ref().map(|delivery| delivery.state);
    if !matches!(state, Some(DeliveryState::Failed | DeliveryState::Unknown)) {
        return Err(Failure::NotFailed { state });
    }
    let Message { content, attachments, reply_to, answers, .. } = old;
    Ok(Sending { id, content, attachments, reply_to, answers, again_of: Some(old.id) })
}

/// The file of a template's header, if it is of the header's kind.
fn header_file(template: &ApprovedTemplate, file: Attachment) -> Result<Attachment, Failure> {
    let (kind, wanted) = match &template.header {
        Some(TemplateHeader::Image { .. }) => (AttachmentKind::Image, "must be a picture (JPEG or PNG)"),
        Some(TemplateHeader::Video { .. }) => (AttachmentKind::Video, "must be a video"),
        _ => (AttachmentKind::Document, "must be a document"),
    };
    if file.kind == Some(kind) { Ok(file) } else { Err(Failure::field("template.header.attachment", wanted)) }
}

/// Fails if the account's provider would refuse the contents, or drop a part of them.
pub(crate) fn fits(account: &Account, content: &Content, files: &[Attachment]) -> Result<(), Failure> {
    let adapter = providers::adapter(&account.provider.kind).ok_or(Failure::MediaType)?;
    let mut file = None;
    for attachment in files {
        let Copy::Stored { size, content_type, .. } = &attachment.copy else { return Err(Failure::AttachmentPending) };
        let kind = providers::kind_of_file(adapter, content_type, *size)?;
        // The address is made when the message leaves.
        file = Some(OutgoingAttachment { url: "https://h.example/f", kind, content_type, name: attachment.name.as_deref() });
    }
    adapter.fits(content, file.as_ref()).map_err(|error| Failure::Unsendable { provider: adapter.kind(), error })
}

/// Fails if the provider lists the template with other parameters, or not as approved. A template that is not in the
/// list may be sent, and so may any while nobody has listed the templates for a day: then the provider checks it.
/// Returns whether the template is listed as marketing.
pub(crate) async fn listed(app: &App, account: &Account, template: &ApprovedTemplate) -> Result<bool, Failure> {
    let Some(catalogue) = app.directory().templates(&account.id).await? else { return Ok(false) };
    let Some(listed) = catalogue.find(&template.name, &template.language, app.now()) else { return Ok(false) };
    let misfits = listed.parts.misfits(template);
    if !listed.is_approved() {
        return Err(Failure::field("template.name", &format!("the provider lists this template as {}", listed.status)));
    }
    if misfits.is_empty() { Ok(listed.is_marketing()) } else { Err(of_template(misfits)) }
}

/// Fails if the customer refuses the account's marketing messages.
pub(crate) async fn takes_marketing(app: &App, account: &Account, person: &Identity) -> Result<(), Failure> {
    let owner = app.store().contact(&person.owner).await?;
    let refuses = owner.is_some_and(|owner| owner.refuses_marketing(&account.id));
    if refuses { Err(Failure::MarketingRefused) } else { Ok(()) }
}

/// The provider's id of a message of this interaction. `field` names the input field.
async fn known(app: &App, key: &InteractionKey, id: &MessageId, field: &'static str) -> Result<String, Failure> {
    find(app, key, id).await?.and_then(|message| message.provider_id).ok_or_else(|| unknown(field))
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
pub(crate) async fn attachment(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath((id, message, index)): FromPath<(String, String, String)>,
) -> Result<Json<Link>, Failure> {
    let message: MessageId = message.parse().map_err(|_| Error::NotFound)?;
    let index: usize = index.parse().map_err(|_| Error::NotFound)?;
    let place = app.locate(&caller, &id).await?;
    let (interaction, message) =
        try_join(async { Ok(app.store().interaction(&place.key).await?) }, find(&app, &place.key, &message)).await?;
    let (Some(interaction), Some(message)) = (interaction, message) else { return Err(Error::NotFound.into()) };
    let attachment = message.attachments.get(index).ok_or(Error::NotFound)?;
    let key = match &attachment.copy {
        Copy::Stored { key, .. } => key,
        Copy::Pending => return Err(Failure::AttachmentPending),
        Copy::Failed { reason } => return Err(Failure::AttachmentFailed { reason: reason.clone() }),
    };
    let messages = [message.clone()];
    let transcript = Transcript {
        account: Some(place.account.as_ref()),
        interaction: &interaction,
        messages: &messages,
        agents: &BTreeMap::new(),
        left_out: BTreeMap::new(),
    };
    let name = transcript.files().into_iter().nth(index).map(|file| file.name).unwrap_or_default();
    let expires_at = app.now() + LINK_LIFETIME;
    Ok(Json(Link { url: app.objects.link(key, &name).await?, expires_at }))
}

/// Finds a message by its id alone. Messages are sorted by time, which the id does not contain.
async fn find(app: &App, key: &InteractionKey, id: &MessageId) -> Result<Option<Message>, Failure> {
    let Some(interaction) = app.store().interaction(key).await? else { return Ok(None) };
    let mut after = None;
    loop {
        let page = app.store().thread(&interaction, after.as_deref(), SEARCH_PAGE).await?;
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
