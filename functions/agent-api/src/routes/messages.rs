//! Sending messages.

use std::sync::Arc;

use api::{AgentCaller, Body, Command, Error, FromPath};
use axum::Json;
use axum::extract::State;
use desk::Located;
use desk::interactions::recontact;
use desk::messages::{client_id, created, find, settled};
use domain::account::Account;
use domain::business::Business;
use domain::contact::Identity;
use domain::effect::InteractionKey;
use domain::ids::MessageId;
use domain::language::Rendering;
use domain::message::{ApprovedTemplate, Attachment, AttachmentKind, Content, Copy, DeliveryState, Message, TemplateHeader};
use engine::Sending;
use engine::ports::{Store, World};
use http::StatusCode;
use providers::OutgoingAttachment;
use views::MessageView;

use super::contacts::no_recontact;
use super::outgoing::{NewMessage, Wanted, not_of_interaction, of_template, unknown};
use super::{answers, attachments};
use crate::app::App;
use crate::problem::Failure;

/// Sends a message to the customer.
///
/// The message is a text, an uploaded file, a canned answer, an approved template, a location, a reaction, or an
/// earlier message that failed, once more. Outside the 24-hour window only templates are allowed (409
/// `window-expired`, with the account's template in `recontact`, if it has one). 404 `upload-missing`: the file was
/// not uploaded, or its upload is more than a day old. 413 and 415: the provider does not take the file. 422: a
/// field is wrong, or a parameter of a listed template is missing or superfluous; `not-sendable`: the provider can't
/// send such a message. 409 `recontact-unfilled`: a parameter of the recontact template is empty for this customer,
/// and the account sets no fallback. 409 `not-failed`: the message in `again` did not fail. 409 `marketing-refused`:
/// the provider lists the template as marketing, and the customer refuses that.
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
    let place = app.desk.locate_once(&command.caller, &id).await?;
    let translation = new.original(place.account()?)?;
    let client_id = client_id(new.client_id.as_deref())?;
    let (wanted, answers) = new.read(&place.account()?.provider)?;
    let sending = match prepare(&app, &command.caller, &place, wanted, answers, translation).await {
        // The message or file that a repeated command refers to may be gone by now.
        Err(failure) => {
            let interaction = app.store().interaction(&place.key).await?;
            match app.desk.earlier(&command, interaction.as_ref()).await?.and_then(|made| made.parse().ok()) {
                Some(made) => return Ok(created(&find(&app.desk, &place.key, &made).await?.ok_or(Error::NotFound)?)),
                None => return Err(failure),
            }
        }
        Ok(sending) => Sending { client_id, ..sending },
    };
    let agent = command.caller.agent.clone();
    let told = match app.desk.engine.send_based_on(&place.key, agent, sending, command.mark(), command.basis()).await {
        Ok(told) => told,
        Err(error) => return Err(app.desk.missed(&command.caller, &id, error).await.into()),
    };
    Ok(created(&settled(&app.desk, &command, &place.key, told).await?))
}

/// Prepares a message for sending: copies the file to its place, looks up the messages that it refers to, and checks
/// that the provider takes what it holds.
async fn prepare(
    app: &App,
    caller: &AgentCaller,
    place: &Located,
    wanted: Wanted,
    answers: Option<MessageId>,
    translation: Option<Rendering>,
) -> Result<Sending, Failure> {
    let key = &place.key;
    let id = MessageId::from_ulid(app.desk.engine.world.ulid());
    let reply_to = match &answers {
        Some(answered) => Some(known(app, key, answered, "reply_to").await?),
        None => None,
    };
    let sending = |content, attachments| {
        let (id, reply_to, answers, translation) = (id.clone(), reply_to.clone(), answers.clone(), translation.clone());
        Sending { attachments, reply_to, answers, translation, ..Sending::new(id, content) }
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
            let template = recontact(&app.desk, &interaction).await?.ok_or_else(no_recontact)?;
            sending(Content::Template(template.map_err(Failure::RecontactUnfilled)?), Vec::new())
        }
        Wanted::File { upload, caption } => {
            let attachment = attachments::taken(app, place, &upload).await?;
            sending(captioned(&attachment, caption)?, vec![attachment])
        }
        Wanted::Answer { answer, caption } => {
            let (file, text) = answers::chosen(app, caller, place, &answer, caption).await?;
            match file {
                Some(file) => {
                    let attachment = attachments::of_answer(app, place, &file).await?;
                    sending(captioned(&attachment, text)?, vec![attachment])
                }
                None => sending(Content::Text { body: text }, Vec::new()),
            }
        }
        Wanted::Reaction { message, emoji } => {
            let target = known(app, key, &message, "reaction.message").await?;
            Sending { answers: Some(message), ..sending(Content::Reaction { message: target, emoji }, Vec::new()) }
        }
        Wanted::Again(old) => {
            let old = find(&app.desk, key, &old).await?.ok_or_else(|| not_of_interaction("again"))?;
            again(old, id.clone())?
        }
    };
    let account = place.account()?;
    fits(account, &sending.content, &sending.attachments)?;
    if let Content::Template(template) = &sending.content
        && listed(app, account, template).await?
        && let Some(contact) = app.store().contact(&key.conversation.contact).await?
    {
        let person = app.desk.engine.person(&contact, &Business::of(account)).await?;
        takes_marketing(app, account, &person).await?;
    }
    Ok(sending)
}

/// The contents of a message with this file.
fn captioned(attachment: &Attachment, caption: String) -> Result<Content, Failure> {
    let silent = matches!(attachment.kind, Some(AttachmentKind::Audio | AttachmentKind::Voice | AttachmentKind::Sticker));
    if silent && !caption.is_empty() {
        return Err(Failure::field("caption", "is not allowed with audio or a sticker"));
    }
    Ok(Content::Media { caption })
}

/// The message `old` once more, under the id `id`. Its file is in the bucket already.
fn again(old: Message, id: MessageId) -> Result<Sending, Failure> {
    let state = old.delivery.as_ref().map(|delivery| delivery.state);
    if !matches!(state, Some(DeliveryState::Failed | DeliveryState::Unknown)) {
        return Err(Failure::NotFailed { state });
    }
    let Message { content, attachments, reply_to, answers, translation, .. } = old;
    Ok(Sending { attachments, reply_to, answers, again_of: Some(old.id), translation, ..Sending::new(id, content) })
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
        let Copy::Stored { size, content_type, .. } = &attachment.copy else { return Err(desk::Failure::AttachmentPending.into()) };
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
    find(&app.desk, key, id).await?.and_then(|message| message.provider_id).ok_or_else(|| unknown(field))
}
