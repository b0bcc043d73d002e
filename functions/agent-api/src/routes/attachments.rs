//! Files that agents send. A client uploads a file straight to the bucket and then refers to it in a message.
//!
//! An upload is stored under `uploads/`. The bucket's lifecycle deletes it after a day unless a message uses it.
//! Sending copies the file to the media of its interaction. The upload link stays valid a little longer, but it can't
//! change a file that was sent.

use std::sync::Arc;

use api::{AgentCaller, Body, Error, FromPath};
use axum::Json;
use axum::extract::State;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use cloud::objects::{Head, LINK_LIFETIME};
use domain::decide::Refusal;
use domain::effect::InteractionKey;
use domain::message::{Attachment, AttachmentKind, Copy};
use engine::ports::{Store, World};
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::interactions::refused;
use crate::app::App;
use crate::limits::Limited;
use crate::problem::Failure;

/// The longest name, in bytes: the limit of file systems (255), minus the number that a transcript puts before it.
const LONGEST_NAME: usize = 240;

/// The longest type: two parts of 127 characters each, as RFC 6838 allows.
const LONGEST_TYPE: usize = 255;

/// The prefix of every upload's id.
const PREFIX: &str = "upl_";

/// A file to upload.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUpload {
    /// The file's name, as the customer sees it: 1 to 240 bytes without control characters or slashes.
    name: String,
    /// The file's media type, such as `image/jpeg`.
    #[schema(example = "image/jpeg")]
    content_type: String,
    /// The size in bytes. Limits: images (JPEG, PNG) 5 MB; videos (MP4, 3GPP) and audio (AAC, AMR, MP3, M4A, OGG) 16
    /// MB; stickers (WebP) 100 KB. Any other file is sent as a document of up to 100 MB.
    size: u64,
}

/// The place to upload the file to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UploadPlace {
    /// The id to use as a message's `attachment`. It is valid for one day.
    id: String,
    /// The address to `PUT` the bytes to. It needs no token.
    url: String,
    /// The `Content-Type` header that the `PUT` must have.
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
        (proper && is_name(&name)).then(|| Self { place: place.to_owned(), name })
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

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && !name.trim().is_empty() && !name.contains(|c: char| c.is_control() || c == '/' || c == '\\')
}

/// The largest file of a kind that WhatsApp accepts, in bytes.
fn limit(kind: AttachmentKind) -> u64 {
    match kind {
        AttachmentKind::Image => 5 << 20,
        AttachmentKind::Video | AttachmentKind::Audio | AttachmentKind::Voice => 16 << 20,
        AttachmentKind::Document => 100 << 20,
        // Animated stickers may have 500 KB, but the type does not show whether a sticker is animated.
        AttachmentKind::Sticker => 100 << 10,
    }
}

/// The kind of attachment for this media type. WhatsApp accepts only some types of video and audio.
fn kind_of(content_type: &str) -> Result<AttachmentKind, Failure> {
    let kind = AttachmentKind::of_type(content_type);
    let taken = match kind {
        AttachmentKind::Video => matches!(content_type, "video/mp4" | "video/3gpp"),
        AttachmentKind::Audio | AttachmentKind::Voice => {
            matches!(content_type, "audio/aac" | "audio/amr" | "audio/mpeg" | "audio/mp4" | "audio/ogg")
        }
        AttachmentKind::Image | AttachmentKind::Document | AttachmentKind::Sticker => true,
    };
    if taken { Ok(kind) } else { Err(Failure::MediaType) }
}

/// `type/subtype` in lower case, without parameters.
fn essence(content_type: &str) -> Option<String> {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let (family, subtype) = essence.split_once('/')?;
    (essence.len() <= LONGEST_TYPE && token(family) && token(subtype)).then_some(essence)
}

fn fits(content_type: &str, size: u64) -> Result<AttachmentKind, Failure> {
    let kind = kind_of(content_type)?;
    if size > limit(kind) { Err(Failure::AttachmentTooLarge { most: limit(kind) }) } else { Ok(kind) }
}

/// Creates an upload for a message of this interaction.
///
/// 413: the file is larger than WhatsApp accepts for its kind. 415: WhatsApp does not accept this media type. 429: the
/// caller has made as many uploads as are allowed in an hour.
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
    let place = app.locate(&caller, &id).await?;
    let content_type = new.check()?;
    let interaction = app.store().interaction(&place.key).await?.ok_or(Error::NotFound)?;
    let refusal = match &interaction.agent {
        _ if !interaction.is_open() => Some(Refusal::Closed),
        Some(agent) if *agent == caller.agent => None,
        other => Some(Refusal::NotYours { owner: other.clone() }),
    };
    if let Some(refusal) = refusal {
        return Err(refused(&app, refusal, Some(interaction)).await?);
    }
    app.count(&caller.agent, Limited::Upload).await?;
    let upload = Upload { place: app.engine.world.ulid().to_string(), name: new.name };
    let expires_at = app.now() + LINK_LIFETIME;
    let url = app.objects.upload_link(&upload.uploaded(&place.key), &content_type, new.size).await?;
    Ok((StatusCode::CREATED, Json(UploadPlace { id: upload.id(), url, content_type, expires_at })))
}

impl NewUpload {
    /// The media type without parameters.
    fn check(&self) -> Result<String, Failure> {
        if !is_name(&self.name) {
            return Err(Failure::field("name", "must have 1 to 240 bytes and no control characters or slashes"));
        }
        let content_type =
            essence(&self.content_type).ok_or_else(|| Failure::field("content_type", "must be a type such as image/jpeg"))?;
        if self.size == 0 {
            return Err(Failure::field("size", "must be the file's length in bytes"));
        }
        fits(&content_type, self.size)?;
        Ok(content_type)
    }
}

/// Takes an upload as the attachment for a message of its interaction.
pub(crate) async fn taken(app: &App, key: &InteractionKey, upload: &Upload) -> Result<Attachment, Failure> {
    let kept = upload.kept(key);
    // If the file was sent before, perhaps by an attempt whose response was lost, the copy already exists.
    let head = match app.objects.head(&kept).await? {
        Some(head) => head,
        None => {
            let uploaded = upload.uploaded(key);
            let head = app.objects.head(&uploaded).await?.ok_or(Failure::UploadMissing)?;
            // Files that break a limit are not copied.
            attachment(upload, kept.clone(), &head)?;
            if !app.objects.copy(&uploaded, &kept).await? {
                return Err(Failure::UploadMissing);
            }
            // The file may have been replaced in between.
            app.objects.head(&kept).await?.ok_or(Failure::UploadMissing)?
        }
    };
    attachment(upload, kept, &head)
}

fn attachment(upload: &Upload, key: String, head: &Head) -> Result<Attachment, Failure> {
    let content_type = head.content_type.as_deref().and_then(essence).ok_or(Failure::MediaType)?;
    let kind = fits(&content_type, head.size)?;
    if head.size == 0 {
        return Err(Failure::UploadMissing);
    }
    Ok(Attachment {
        source: key.clone(),
        content_type: content_type.clone(),
        name: Some(upload.name.clone()),
        kind: Some(kind),
        sha256: None,
        copy: Copy::Stored { key, size: head.size, content_type },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::fixtures;
    use domain::interaction::Status;
    use ulid::Ulid;

    fn new(name: &str, content_type: &str, size: u64) -> NewUpload {
        NewUpload { name: name.into(), content_type: content_type.into(), size }
    }

    fn answer(new: &NewUpload) -> String {
        match new.check() {
            Ok(content_type) => content_type,
            Err(failure) => {
                let problem = serde_json::to_value(failure.problem()).unwrap();
                format!("{} {}", problem["status"], problem["errors"][0]["field"].as_str().or(problem["type"].as_str()).unwrap())
            }
        }
    }

    #[test]
    fn a_file_may_be_as_large_as_whatsapp_accepts_and_no_larger() {
        for (content_type, most) in [
            ("image/jpeg", 5 << 20),
            ("video/mp4", 16 << 20),
            ("audio/ogg", 16 << 20),
            ("application/pdf", 100 << 20),
            ("image/gif", 100 << 20),
            ("image/webp", 100 << 10),
        ] {
            assert_eq!(answer(&new("a", content_type, most)), content_type);
            assert_eq!(answer(&new("a", content_type, most + 1)), "413 /problems/attachment-too-large");
        }
    }

    #[test]
    fn unsupported_types_and_invalid_names_are_refused() {
        assert_eq!(answer(&new("a", "Audio/OGG; codecs=opus", 1)), "audio/ogg");
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

    #[test]
    fn the_uploaded_file_is_checked_and_not_the_announced_one() {
        let upload = Upload { place: Ulid::from_parts(1, 1).to_string(), name: "a.png".into() };
        let head = |size, content_type: &str| Head { size, content_type: Some(content_type.into()) };
        let taken = attachment(&upload, "media/x".into(), &head(7, "image/png")).unwrap();
        assert_eq!((taken.kind, taken.source.as_str()), (Some(AttachmentKind::Image), "media/x"));
        assert_eq!(taken.copy, Copy::Stored { key: "media/x".into(), size: 7, content_type: "image/png".into() });
        assert!(matches!(attachment(&upload, "k".into(), &head(6 << 20, "image/png")), Err(Failure::AttachmentTooLarge { .. })));
        assert!(matches!(attachment(&upload, "k".into(), &head(1, "audio/wav")), Err(Failure::MediaType)));
        assert!(matches!(attachment(&upload, "k".into(), &head(0, "image/png")), Err(Failure::UploadMissing)));
    }
}
