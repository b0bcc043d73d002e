//! Files that agents send. A client uploads a file straight to the bucket and then refers to it in a message.
//!
//! An upload is stored under `uploads/`. The bucket's lifecycle deletes it after a day unless a message uses it.
//! Sending copies the file to the media of its interaction. The upload link stays valid a little longer, but it can't
//! change a file that was sent.

use std::sync::Arc;

use api::{AgentCaller, Body, FromPath};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloud::objects::{Head, LINK_LIFETIME, Objects};
use desk::interactions::refused;
use desk::{Limited, Located};
use domain::account::Account;
use domain::catalog::AnswerFile;
use domain::decide::Refusal;
use domain::effect::InteractionKey;
use domain::media_type::canonical;
use domain::message::{Attachment, AttachmentKind, Copy, Measures};
use engine::ports::World;
use http::StatusCode;
use jiff::Timestamp;
use measures::{FIRST, Look, MORE, Part};
use providers::{Adapter, LOOKED_AT, is_file_name};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Failure;

/// The prefix of every upload's id.
const PREFIX: &str = "upl_";

/// A file to upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpload {
    /// The file's name, as the customer sees it: 1 to 240 bytes without control characters or slashes.
    name: String,
    /// The file's media type with its parameters, such as `image/jpeg` or `audio/ogg; codecs=opus`. The types and
    /// sizes are those of the account's provider.
    #[schema(example = "image/jpeg")]
    content_type: String,
    /// The size in bytes. WhatsApp's limits: images (JPEG, PNG) 5 MB; videos (MP4, 3GPP) and audio (AAC, AMR, MP3,
    /// M4A, OGG with Opus) 16 MB; stickers (WebP) 100 KB, animated 500 KB; documents 100 MB (Twilio: 16 MB).
    size: u64,
}

/// The place to upload the file to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadPlace {
    /// The id to use as a message's `attachment`. It is valid for one day.
    id: String,
    /// The address to `PUT` the bytes to. It needs no token.
    url: String,
    /// The `Content-Type` header that the `PUT` must have: exactly the type in the request, which the address is
    /// signed for.
    content_type: String,
    /// The upload must start before this time.
    expires_at: Timestamp,
}

/// The contents of an upload's id. The id is no secret and proves nothing: it leads only to files of its own
/// interaction.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Upload {
    place: String,
    name: String,
}

impl Upload {
    fn id(&self) -> String {
        format!("{PREFIX}{}.{}", self.place, BASE64_URL_SAFE_NO_PAD.encode(&self.name))
    }

    /// Parses an id.
    pub(crate) fn parse(id: &str) -> Option<Self> {
        let (place, name) = id.strip_prefix(PREFIX)?.split_once('.')?;
        let name = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        let proper = place.len() == 26 && place.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        (proper && is_file_name(&name)).then(|| Self { place: place.to_owned(), name })
    }

    /// The object's key after the upload.
    fn uploaded(&self, key: &InteractionKey) -> String {
        format!("uploads/{}/{}/{}", key.conversation.account, key.interaction, self.place)
    }

    /// The object's key after the file was sent.
    fn kept(&self, key: &InteractionKey) -> String {
        format!("media/{}/{}/{}", key.conversation.account, key.interaction, self.place)
    }
}

/// The adapter of the account. A type that this version does not know sends nothing.
fn adapter(account: &Account) -> Result<&'static dyn Adapter, Failure> {
    providers::adapter(&account.provider.kind).ok_or(Failure::MediaType)
}

/// The kind and the media type of a file with these first bytes, if the provider takes it.
fn examine(adapter: &dyn Adapter, head: &Head, first: &[u8]) -> Result<(AttachmentKind, String), Failure> {
    if head.size == 0 {
        return Err(Failure::UploadMissing);
    }
    let declared = head.content_type.as_deref().and_then(canonical).ok_or(Failure::MediaType)?;
    Ok(providers::examine(adapter, &declared, head.size, first)?)
}

/// Creates an upload for a message of this interaction.
///
/// The types and sizes are those that the account's provider lists. 413: the file is too large for its type. 415: the
/// provider does not take this type. Both name the `provider` and the `content_type`, 413 the limit in `most`. The
/// same answers come from sending the message, if the uploaded file differs from what was announced.
///
/// 429: the caller has made as many uploads as are allowed in an hour.
#[utoipa::path(
    post, path = "/interactions/{id}/attachments", tag = "messages", request_body = NewUpload,
    params(("id" = String, Path, description = "The interaction's id")),
    responses(
        (status = CREATED, body = UploadPlace),
        (status = CONFLICT, body = api::Problem, content_type = "application/problem+json"),
        (status = PAYLOAD_TOO_LARGE, body = api::Problem, content_type = "application/problem+json"),
        (status = UNSUPPORTED_MEDIA_TYPE, body = api::Problem, content_type = "application/problem+json"),
        (status = TOO_MANY_REQUESTS, body = api::Problem, content_type = "application/problem+json")
    )
)]
pub(crate) async fn upload(
    State(app): State<Arc<App>>,
    caller: AgentCaller,
    FromPath(id): FromPath<String>,
    Body(new): Body<NewUpload>,
) -> Result<(StatusCode, Json<UploadPlace>), Failure> {
    let place = app.desk.locate(&caller, &id).await?;
    let content_type = new.check(adapter(place.account()?)?)?;
    let interaction = app.desk.found(&place).await?;
    let refusal = match &interaction.agent {
        _ if !interaction.is_open() => Some(Refusal::Closed),
        Some(agent) if *agent == caller.agent => None,
        other => Some(Refusal::NotYours { owner: other.clone() }),
    };
    if let Some(refusal) = refusal {
        return Err(refused(&app.desk, refusal, Some(interaction)).await?.into());
    }
    app.desk.count(&caller.agent, Limited::Upload).await?;
    let upload = Upload { place: app.desk.engine.world.ulid().to_string(), name: new.name };
    let expires_at = app.now() + LINK_LIFETIME;
    let url = app.desk.objects.upload_link(&upload.uploaded(&place.key), &content_type, new.size).await?;
    Ok((StatusCode::CREATED, Json(UploadPlace { id: upload.id(), url, content_type, expires_at })))
}

impl NewUpload {
    /// The media type as it was declared: the `PUT` is signed for it, so the client may send what it declared.
    fn check(&self, adapter: &dyn Adapter) -> Result<String, Failure> {
        if !is_file_name(&self.name) {
            return Err(Failure::field("name", "must have 1 to 240 bytes and no control characters or slashes"));
        }
        let content_type =
            canonical(&self.content_type).ok_or_else(|| Failure::field("content_type", "must be a type such as image/jpeg"))?;
        if self.size == 0 {
            return Err(Failure::field("size", "must be the file's length in bytes"));
        }
        providers::kind_of_file(adapter, &content_type, self.size)?;
        Ok(self.content_type.trim().to_owned())
    }
}

/// Takes an upload as the attachment for a message of its interaction.
pub(crate) async fn taken(app: &App, place: &Located, upload: &Upload) -> Result<Attachment, Failure> {
    copied(app, place, &upload.uploaded(&place.key), upload).await
}

/// Takes the file of a canned answer as the attachment for a message. A later change of the answer leaves it as it is.
pub(crate) async fn of_answer(app: &App, place: &Located, file: &AnswerFile) -> Result<Attachment, Failure> {
    // The end of its key is an id of its own, so an answer that is sent twice has one copy here.
    let id = file.key.rsplit('/').next().unwrap_or_default().to_owned();
    copied(app, place, &file.key, &Upload { place: id, name: file.name.clone() }).await
}

/// Copies the object `uploaded` to the media of the interaction.
async fn copied(app: &App, place: &Located, uploaded: &str, upload: &Upload) -> Result<Attachment, Failure> {
    let adapter = adapter(place.account()?)?;
    let kept = upload.kept(&place.key);
    // If the file was sent before, perhaps by an attempt whose response was lost, the copy already exists.
    let head = match app.desk.objects.head(&kept).await? {
        Some(head) => head,
        None => {
            let head = app.desk.objects.head(uploaded).await?.ok_or(Failure::UploadMissing)?;
            let first = app.desk.objects.start(uploaded, LOOKED_AT).await?.ok_or(Failure::UploadMissing)?;
            // Files that break a limit are not copied.
            let (_, content_type) = examine(adapter, &head, &first)?;
            if !app.desk.objects.copy(uploaded, &kept, &content_type).await? {
                return Err(Failure::UploadMissing);
            }
            // The file may have been replaced in between.
            app.desk.objects.head(&kept).await?.ok_or(Failure::UploadMissing)?
        }
    };
    // A picture, a recording or a video is measured by its beginning; of other files that would be a waste.
    let most = if head.content_type.as_deref().is_some_and(measures::has_measures) { FIRST } else { LOOKED_AT };
    let first = app.desk.objects.start(&kept, most).await?.ok_or(Failure::UploadMissing)?;
    let (kind, content_type) = examine(adapter, &head, first.get(..LOOKED_AT as usize).unwrap_or(&first))?;
    let measures = measured(&app.desk.objects, &kept, &content_type, head.size, first).await;
    Ok(attachment(upload, kept, kind, content_type, head.size, measures))
}

/// The measures of the object `key` that begins with `first`. Where they lie further on is read, too. A file that
/// can't be measured is sent all the same.
async fn measured(objects: &Objects, key: &str, content_type: &str, size: u64, first: Vec<u8>) -> Measures {
    let mut known = vec![(0, first)];
    for _ in 0..=MORE {
        let parts: Vec<_> = known.iter().map(|(at, bytes)| Part { at: *at, bytes }).collect();
        let range = match measures::look(content_type, size, &parts) {
            Look::Done(measures) => return measures,
            Look::Read(range) => range,
        };
        match objects.part(key, range.clone()).await {
            Ok(Some(bytes)) => known.push((range.start, bytes)),
            Ok(None) | Err(_) => break,
        }
    }
    Measures::default()
}

/// An agent's file. It has no thumbnail: `media` makes those, and does not see it.
fn attachment(upload: &Upload, key: String, kind: AttachmentKind, content_type: String, size: u64, measures: Measures) -> Attachment {
    Attachment {
        source: key.clone(),
        content_type: content_type.clone(),
        name: Some(upload.name.clone()),
        kind: Some(kind),
        sha256: None,
        copy: Copy::Stored { key, size, content_type, measures, thumbnail: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fixtures;
    use domain::interaction::Status;
    use providers::FileRefusal;
    use ulid::Ulid;

    fn new(name: &str, content_type: &str, size: u64) -> NewUpload {
        NewUpload { name: name.into(), content_type: content_type.into(), size }
    }

    fn meta() -> &'static dyn Adapter {
        providers::adapter("META").unwrap()
    }

    fn problem(failure: &Failure) -> String {
        let problem = serde_json::to_value(failure.problem()).unwrap();
        format!("{} {}", problem["status"], problem["errors"][0]["field"].as_str().or(problem["type"].as_str()).unwrap())
    }

    fn answer(new: &NewUpload) -> String {
        new.check(meta()).unwrap_or_else(|failure| problem(&failure))
    }

    #[test]
    fn a_file_may_be_as_large_as_whatsapp_accepts_and_no_larger() {
        for (content_type, most) in [
            ("image/jpeg", 5 << 20),
            ("video/mp4", 16 << 20),
            ("audio/ogg", 16 << 20),
            ("application/pdf", 100 << 20),
            ("image/gif", 100 << 20),
            ("image/webp", 500 << 10),
        ] {
            assert_eq!(answer(&new("a", content_type, most)), content_type);
            assert_eq!(answer(&new("a", content_type, most + 1)), "413 /problems/attachment-too-large");
        }
    }

    #[test]
    fn a_file_that_the_accounts_provider_does_not_list_is_refused_with_what_it_takes() {
        let twilio = providers::adapter("TWILIO").unwrap();
        for content_type in ["text/csv", "image/gif"] {
            assert!(new("a", content_type, 1).check(meta()).is_ok());
            let refused = serde_json::to_value(new("a", content_type, 1).check(twilio).unwrap_err().problem()).unwrap();
            assert_eq!((&refused["status"], &refused["type"]), (&415.into(), &"/problems/media-type".into()));
            assert_eq!((&refused["provider"], &refused["content_type"]), (&"TWILIO".into(), &content_type.into()));
            assert!(refused["detail"].as_str().unwrap().contains("It takes image/jpeg, image/png, "), "{refused}");
        }
        let refused = serde_json::to_value(new("a", "application/pdf", 17 << 20).check(twilio).unwrap_err().problem()).unwrap();
        assert_eq!((&refused["status"], &refused["provider"], &refused["most"]), (&413.into(), &"TWILIO".into(), &(16 << 20).into()));
    }

    #[test]
    fn the_address_is_signed_for_the_type_that_the_client_declared() {
        for content_type in ["IMAGE/JPEG", "image/jpg", "text/plain; charset=utf-8", "Audio/OGG; codecs=opus"] {
            assert_eq!(answer(&new("a", content_type, 1)), content_type);
        }
    }

    #[test]
    fn unsupported_types_and_invalid_names_are_refused() {
        for content_type in ["video/quicktime", "audio/wav"] {
            assert_eq!(answer(&new("a", content_type, 1)), "415 /problems/media-type");
        }
        for content_type in ["", "image", "image/", "/png", "image/p ng", "image/png\r\nx: y", "a/b/c"] {
            assert_eq!(answer(&new("a", content_type, 1)), "422 content_type", "{content_type:?}");
        }
        for name in ["", " ", "a/b", "a\\b", "a\nb", &"x".repeat(241)] {
            assert_eq!(answer(&new(name, "image/png", 1)), "422 name", "{name:?}");
        }
        assert_eq!(answer(&new("a", "image/png", 0)), "422 size");
    }

    #[test]
    fn an_upload_id_is_valid_for_its_own_interaction_only() {
        let key = fixtures::interaction(Status::Open, Timestamp::UNIX_EPOCH).key();
        let upload = Upload { place: Ulid::from_parts(1, 1).to_string(), name: "è fattura.pdf".into() };
        assert_eq!(Upload::parse(&upload.id()), Some(upload.clone()));
        let (account, interaction) = (&key.conversation.account, &key.interaction);
        assert_eq!(upload.uploaded(&key), format!("uploads/{account}/{interaction}/{}", upload.place));
        assert_eq!(upload.kept(&key), format!("media/{account}/{interaction}/{}", upload.place));
        let name = BASE64_URL_SAFE_NO_PAD.encode("a");
        let slash = BASE64_URL_SAFE_NO_PAD.encode("../a");
        for bad in [
            String::new(),
            "upl_".into(),
            format!("upl_../../transcripts/x.{name}"),
            format!("upl_{}", upload.place),
            format!("upl_{}.", upload.place),
            format!("upl_{}.{slash}", upload.place),
            format!("msg_{}.{name}", upload.place),
        ] {
            assert_eq!(Upload::parse(&bad), None, "{bad}");
        }
    }

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF";
    const PDF: &[u8] = b"%PDF-1.7";
    const ZIP: &[u8] = b"PK\x03\x04\x14\x00";
    const EXE: &[u8] = b"MZ\x90\x00";

    fn opus() -> Vec<u8> {
        [b"OggS\x00\x02".as_slice(), &[0; 22], b"OpusHead\x01\x01"].concat()
    }

    fn examined(content_type: &str, size: u64, first: &[u8]) -> Result<(AttachmentKind, String), Failure> {
        examine(meta(), &Head { size, content_type: Some(content_type.into()) }, first)
    }

    #[test]
    fn the_uploaded_file_is_checked_and_not_the_announced_one() {
        assert_eq!(examined("IMAGE/PNG", 7, PNG).unwrap(), (AttachmentKind::Image, "image/png".to_owned()));
        assert_eq!(problem(&examined("image/png", 6 << 20, PNG).unwrap_err()), "413 /problems/attachment-too-large");
        assert_eq!(problem(&examined("audio/wav", 1, b"").unwrap_err()), "415 /problems/media-type");
        assert!(matches!(examined("image/png", 0, b""), Err(Failure::UploadMissing)));
        let upload = Upload { place: Ulid::from_parts(1, 1).to_string(), name: "a.png".into() };
        let measures = Measures { width: Some(3), height: Some(2), duration: None };
        let taken = attachment(&upload, "media/x".into(), AttachmentKind::Image, "image/png".into(), 7, measures);
        assert_eq!((taken.kind, taken.source.as_str()), (Some(AttachmentKind::Image), "media/x"));
        let stored = Copy::Stored { key: "media/x".into(), size: 7, content_type: "image/png".into(), measures, thumbnail: false };
        assert_eq!(taken.copy, stored);
    }

    #[test]
    fn a_voice_note_keeps_its_codec_or_gets_it_from_its_bytes() {
        for declared in ["audio/ogg", "audio/ogg; codecs=opus", "AUDIO/ogg;codecs=opus"] {
            assert_eq!(examined(declared, 9, &opus()).unwrap(), (AttachmentKind::Audio, "audio/ogg; codecs=opus".to_owned()));
        }
        let refused = examined("audio/ogg", 9, b"OggS\x00\x02").unwrap_err();
        assert_eq!(problem(&refused), "415 /problems/media-type");
    }

    #[test]
    fn a_file_that_is_not_what_it_says_is_refused_naming_what_it_is() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        for (declared, first) in [
            ("image/jpeg", JPEG),
            ("application/pdf", PDF),
            (docx, ZIP),
            ("text/plain; charset=utf-8", b"ciao".as_slice()),
            ("application/octet-stream", EXE),
            ("video/mp4", opus().as_slice()),
        ] {
            assert!(examined(declared, 9, first).is_ok(), "{declared}");
        }
        for (declared, first, found) in [
            ("image/jpeg", PNG, "image/png"),
            ("image/jpeg", PDF, "application/pdf"),
            ("image/jpeg", b"<html>".as_slice(), "text/html"),
            ("image/png", b"ciao".as_slice(), "not a picture"),
            ("application/pdf", EXE, "application/vnd.microsoft.portable-executable"),
            (docx, EXE, "application/vnd.microsoft.portable-executable"),
            ("video/mp4", PDF, "application/pdf"),
        ] {
            let refused = examined(declared, 9, first).unwrap_err();
            assert!(
                matches!(&refused, Failure::File(FileRefusal::Content { found: other, .. }) if *other == found),
                "{declared} {refused:?}"
            );
            assert_eq!(problem(&refused), "415 /problems/media-type");
        }
    }
}
