//! Reading JSON that a provider may change: a number where a text is expected is as clear as the text, and the reverse; what is neither is absent.

use domain::inbound::InboundAttachment;
use domain::message::{AttachmentKind, Content};
use domain::values::Address;
use jiff::Timestamp;
use serde_json::Value;

use crate::{ParseError, bsuid, phone};

/// The longest text kept, in bytes: twice WhatsApp's longest (4096 characters of 4 bytes). What is longer is cut.
pub(super) const TEXT_LIMIT: usize = 32 * 1024;

/// The longest other value kept, in bytes: names, labels, payloads, addresses of files.
pub(super) const VALUE_LIMIT: usize = 4 * 1024;

/// Our reference is about 110 bytes; what is longer is not ours.
pub(super) const REFERENCE_LIMIT: usize = 256;

/// The longest id of the provider's that is kept, in bytes; today's have 26 to 80.
const ID_LIMIT: usize = 512;

/// The body of a webhook. Bytes that are not UTF-8 become U+FFFD: a broken name must not cost the message.
///
/// # Errors
/// It is no JSON object.
pub(super) fn body(bytes: &[u8]) -> Result<Value, ParseError> {
    let unreadable = ParseError::Unreadable { expected: "a JSON object" };
    let value: Value = serde_json::from_str(&String::from_utf8_lossy(bytes)).map_err(|_| unreadable)?;
    if value.is_object() { Ok(value) } else { Err(unreadable) }
}

/// A text that is not empty, cut to `limit` bytes.
pub(super) fn text(value: &Value, limit: usize) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then(|| text[..text.floor_char_boundary(limit)].to_owned())
}

/// A name, a label, a payload.
pub(super) fn value(value: &Value) -> Option<String> {
    text(value, VALUE_LIMIT)
}

/// An id.
pub(super) fn id(value: &Value) -> Option<String> {
    text(value, ID_LIMIT)
}

/// A word out of a fixed list: a kind, a state, a code.
pub(super) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether it says yes.
pub(super) fn yes(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| word(value).eq_ignore_ascii_case("true"))
}

/// An ISO 8601 instant.
pub(super) fn instant(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

/// A customer: a phone number with or without `+`, or a business-scoped user id.
pub(super) fn address(value: &Value) -> Option<Address> {
    let text = id(value)?;
    phone(&text).map(Address::Phone).or_else(|| bsuid(&text))
}

/// Degrees within `limit` of zero.
pub(super) fn degrees(value: &Value, limit: f64) -> Option<f64> {
    let degrees = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (degrees.abs() <= limit).then_some(degrees)
}

/// A place, if it is one.
pub(super) fn place(latitude: &Value, longitude: &Value, label: &Value, address: &Value) -> Option<Content> {
    Some(Content::Location {
        latitude: degrees(latitude, 90.0)?,
        longitude: degrees(longitude, 180.0)?,
        label: value(label),
        address: value(address),
    })
}

/// An attachment whose type is told by its address or its name only; `None` when it has no address.
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

/// Of what nobody knows the type.
pub(super) const UNTYPED: &str = "application/octet-stream";

/// The type that the ending of an address or a file's name tells, for the kinds of files that WhatsApp has.
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
    fn a_number_is_as_clear_as_its_text_and_what_is_neither_is_absent() {
        assert_eq!(value(&json!(12)).as_deref(), Some("12"));
        assert_eq!(value(&json!("12")).as_deref(), Some("12"));
        for absent in [json!(null), json!(""), json!([]), json!({}), json!(true)] {
            assert_eq!(value(&absent), None);
        }
        assert_eq!(degrees(&json!("41.9"), 90.0), Some(41.9));
        assert_eq!(degrees(&json!(91), 90.0), None);
        assert_eq!(degrees(&json!("NaN"), 90.0), None);
        assert!(yes(&json!(true)) && yes(&json!("true")) && !yes(&json!("no")) && !yes(&json!(1)));
    }

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
