//! Reads the JSON that the callbacks of both APIs have in common, in addition to [`crate::json`].

use domain::inbound::InboundAttachment;
use domain::message::{AttachmentKind, Content};
use domain::values::Address;
use jiff::Timestamp;
use serde_json::Value;

pub(super) use crate::json::{beside, id, object as body, read, value, whole, word, words, yes};
use crate::json::{degrees, plausible};
use crate::{bsuid, phone};

/// The longest reference, in bytes. Ours has about 110; a longer one is not ours.
pub(super) const REFERENCE_LIMIT: usize = 256;

/// An ISO 8601 instant, unless it is impossible.
pub(super) fn instant(value: &Value, received_at: Timestamp) -> Option<Timestamp> {
    plausible(value.as_str()?.parse().ok()?, received_at)
}

/// A customer: a phone number with or without `+`, or a business-scoped user id.
pub(super) fn address(value: &Value) -> Option<Address> {
    let text = id(value)?;
    phone(&text).map(Address::Phone).or_else(|| bsuid(&text))
}

/// A place, if the values make one.
pub(super) fn place(latitude: &Value, longitude: &Value, label: &Value, address: &Value, url: &Value) -> Option<Content> {
    Some(Content::Location {
        latitude: degrees(latitude, 90.0)?,
        longitude: degrees(longitude, 180.0)?,
        label: value(label),
        address: value(address),
        url: value(url),
    })
}

/// An attachment whose type only its address or its name tells; `None` if it has no address.
pub(super) fn untyped_attachment(url: &Value, name: &Value) -> Option<InboundAttachment> {
    let source = value(url)?;
    let name = value(name);
    let declared = name.as_deref().and_then(type_of).or_else(|| type_of(&source));
    Some(InboundAttachment {
        source,
        content_type: declared.unwrap_or(UNTYPED).to_owned(),
        name,
        kind: declared.map(AttachmentKind::of_type),
        sha256: None,
    })
}

/// The type of a file of unknown type.
pub(super) const UNTYPED: &str = "application/octet-stream";

/// The type by the extension of an address or a file's name, for the kinds of files that WhatsApp has.
fn type_of(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next()?;
    let (_, ending) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "webp" => "image/webp",
        "mp4" => "video/mp4",
        "3gp" => "video/3gpp",
        "ogg" | "oga" | "opus" => "audio/ogg",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "aac" => "audio/aac",
        "amr" => "audio/amr",
        "pdf" => "application/pdf",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "vcf" => "text/vcard",
        "txt" => "text/plain",
        "csv" => "text/csv",
        "zip" => "application/zip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_type_of_a_file_is_what_its_ending_says_or_unknown() {
        for (url, content_type, kind) in [
            ("https://m.example/a/IMG_1.jpg", "image/jpeg", Some(AttachmentKind::Image)),
            ("https://m.example/a/v.OGG?x=.pdf#y", "audio/ogg", Some(AttachmentKind::Audio)),
            ("https://m.example/s.webp", "image/webp", Some(AttachmentKind::Sticker)),
            ("https://m.example/f.pdf", "application/pdf", Some(AttachmentKind::Document)),
            ("https://m.example.mp4/f", UNTYPED, None),
            ("https://m.example/f", UNTYPED, None),
            ("https://m.example/f.exe", UNTYPED, None),
        ] {
            let attachment = untyped_attachment(&json!(url), &json!(null)).unwrap();
            assert_eq!((attachment.content_type.as_str(), attachment.kind), (content_type, kind), "{url}");
        }
        let named = untyped_attachment(&json!("https://m.example/f"), &json!("fattura.pdf")).unwrap();
        assert_eq!((named.name.as_deref(), named.content_type.as_str()), (Some("fattura.pdf"), "application/pdf"));
        assert_eq!(untyped_attachment(&json!(""), &json!("x.pdf")), None);
    }
}
