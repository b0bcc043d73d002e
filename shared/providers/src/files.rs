//! The files that each provider takes, as its documentation lists them.

use domain::media_type::{essence, has_opus};
use domain::message::AttachmentKind;
use infer::MatcherType;

use crate::Adapter;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

/// One line of a provider's list: the types that are sent as a kind, and how large they may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRule {
    /// The kind as which such a file is sent.
    pub kind: AttachmentKind,
    /// The types; empty for any type that is neither audio nor video and in no other line.
    pub types: &'static [&'static str],
    /// The largest file, in bytes.
    pub most: u64,
}

impl FileRule {
    const fn new(kind: AttachmentKind, types: &'static [&'static str], most: u64) -> Self {
        Self { kind, types, most }
    }
}

const PICTURES: FileRule = FileRule::new(AttachmentKind::Image, &["image/jpeg", "image/png"], 5 * MB);
const VIDEOS: FileRule = FileRule::new(AttachmentKind::Video, &["video/mp4", "video/3gpp"], 16 * MB);
const RECORDINGS: FileRule =
    FileRule::new(AttachmentKind::Audio, &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"], 16 * MB);
/// Animated ones; a still one may have [`STILL_STICKER`].
const STICKERS: FileRule = FileRule::new(AttachmentKind::Sticker, &["image/webp"], 500 * KB);
const DOCUMENTS: FileRule = FileRule::new(AttachmentKind::Document, &[], 100 * MB);

/// The largest sticker that does not move, in bytes.
pub(crate) const STILL_STICKER: u64 = 100 * KB;

/// WhatsApp's own list, where a document may have any type.
///
/// Sources: Meta, "Media" of the Cloud API; Sinch, "Media message" of the Conversation API. Kaleyra hands the message
/// to Meta as it is.
pub(crate) const WHATSAPP: &[FileRule] = &[PICTURES, VIDEOS, RECORDINGS, STICKERS, DOCUMENTS];

/// Twilio's list for WhatsApp, and its one limit for all files but pictures.
///
/// Source: Twilio, "Guidance on WhatsApp Media Messages".
pub(crate) const TWILIO: &[FileRule] = &[
    PICTURES,
    FileRule::new(AttachmentKind::Video, &["video/mp4"], 16 * MB),
    FileRule::new(AttachmentKind::Audio, &["audio/ogg", "audio/amr", "audio/3gpp", "audio/aac", "audio/mpeg"], 16 * MB),
    STICKERS,
    FileRule::new(
        AttachmentKind::Document,
        &[
            "application/pdf",
            "application/msword",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "text/vcard",
            "text/x-vcard",
        ],
        16 * MB,
    ),
];

/// The list of Sinch's older API.
///
/// Source: Sinch, "Accepted media types" of the WhatsApp Business Messaging API.
pub(crate) const SINCH: &[FileRule] = &[
    PICTURES,
    VIDEOS,
    FileRule::new(AttachmentKind::Audio, &["audio/aac", "audio/mp4", "audio/amr", "audio/mpeg", "audio/ogg", "audio/opus"], 16 * MB),
    FileRule::new(AttachmentKind::Sticker, &["image/webp"], STILL_STICKER),
    FileRule::new(
        AttachmentKind::Document,
        &[
            "text/plain",
            "text/csv",
            "application/pdf",
            "application/msword",
            "application/x-tar",
            "application/rtf",
            "application/vnd.ms-powerpoint",
            "application/vnd.ms-excel",
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.oasis.opendocument.presentation",
            "application/vnd.oasis.opendocument.spreadsheet",
            "application/vnd.oasis.opendocument.text",
        ],
        100 * MB,
    ),
];

/// Why a provider does not take a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileRefusal {
    /// The type is not on the provider's list.
    #[error("{provider} does not take files of the type {content_type}. It takes {taken}.")]
    Type {
        /// The provider type.
        provider: &'static str,
        /// The file's type, without parameters.
        content_type: String,
        /// The types that it takes.
        taken: String,
    },
    /// WhatsApp plays Ogg files with the Opus codec only.
    #[error("{provider} takes audio/ogg with the Opus codec only: audio/ogg; codecs=opus.")]
    Codec {
        /// The provider type.
        provider: &'static str,
    },
    /// The file is too large.
    #[error("{provider} takes at most {most} bytes of the type {content_type}.")]
    TooLarge {
        /// The provider type.
        provider: &'static str,
        /// The file's type, without parameters.
        content_type: String,
        /// The largest file, in bytes.
        most: u64,
    },
    /// The bytes are not of the declared type.
    #[error("The file is {found}, not {declared}.")]
    Content {
        /// The declared type, without parameters.
        declared: String,
        /// What the bytes are.
        found: &'static str,
    },
}

/// The longest name of a file, in bytes: the limit of file systems (255), minus the number that a transcript puts
/// before it.
pub const LONGEST_NAME: usize = 240;

/// Whether a file that is sent to customers may have this name.
pub fn is_file_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && !name.trim().is_empty() && !name.contains(|c: char| c.is_control() || c == '/' || c == '\\')
}

/// How many bytes of a file are looked at. The kinds of files are known by their first 300 bytes; a tar by byte 262.
pub const LOOKED_AT: u64 = 1024;

/// The kind and the media type of a file of the type `declared` with these first bytes, if the provider takes it.
///
/// # Errors
/// The provider does not take it, or it is not what it is declared to be.
pub fn examine(adapter: &dyn Adapter, declared: &str, size: u64, first: &[u8]) -> Result<(AttachmentKind, String), FileRefusal> {
    let kind = kind_of_file(adapter, declared, size)?;
    if let Some(found) = other_content(declared, first) {
        return Err(FileRefusal::Content { declared: essence(declared), found });
    }
    check_bytes(adapter, declared, size, first)?;
    // The bytes say what the type leaves out, and WhatsApp takes Ogg files only with it.
    let named = if is_opus(first) && !has_opus(declared) { "audio/ogg; codecs=opus".to_owned() } else { declared.to_owned() };
    Ok((kind, named))
}

/// What the bytes of a file are, if they are certainly not of the declared type. Providers compare both, and people
/// open pictures and documents without a second thought.
fn other_content(declared: &str, first: &[u8]) -> Option<&'static str> {
    let declared = essence(declared);
    let timed = |kind: &str| kind.starts_with("audio/") || kind.starts_with("video/");
    let picture = declared.starts_with("image/") && declared != "image/svg+xml";
    let shown = picture || timed(&declared) || declared == "application/pdf" || declared == "application/msword";
    let shown = shown || declared.starts_with("application/vnd.");
    let Some(found) = infer::get(first) else { return picture.then_some("not a picture") };
    let kind = found.mime_type();
    // These hold documents of many types, and sound and pictures share containers.
    let container = matches!(kind, "application/zip" | "application/x-ole-storage") && declared.starts_with("application/");
    let office = found.matcher_type() == MatcherType::Doc && (declared.starts_with("application/vnd.") || declared == "application/msword");
    let same = kind == declared || (timed(kind) && timed(&declared)) || container || office;
    (shown && !same).then_some(kind)
}

/// The kind as which the provider sends a file of this type and size.
///
/// # Errors
/// The provider's list does not have the type, or a smaller limit for it.
pub fn kind_of_file(adapter: &dyn Adapter, content_type: &str, size: u64) -> Result<AttachmentKind, FileRefusal> {
    let (provider, rules, content_type) = (adapter.kind(), adapter.files(), essence(content_type));
    let timed = content_type.starts_with("audio/") || content_type.starts_with("video/");
    let named = rules.iter().find(|rule| rule.types.contains(&content_type.as_str()));
    let rule = named.or_else(|| rules.iter().find(|rule| rule.types.is_empty() && !timed));
    let Some(rule) = rule else {
        return Err(FileRefusal::Type { provider, taken: listed(rules), content_type });
    };
    if size > rule.most { Err(FileRefusal::TooLarge { provider, content_type, most: rule.most }) } else { Ok(rule.kind) }
}

/// Checks what the first bytes of a file tell beyond its type and size: the codec of a recording, and whether a
/// sticker moves.
///
/// # Errors
/// WhatsApp would refuse the file.
pub fn check_bytes(adapter: &dyn Adapter, content_type: &str, size: u64, first: &[u8]) -> Result<(), FileRefusal> {
    let provider = adapter.kind();
    match essence(content_type).as_str() {
        "audio/ogg" if !has_opus(content_type) && !is_opus(first) => Err(FileRefusal::Codec { provider }),
        "image/webp" if size > STILL_STICKER && !moves(first) => {
            Err(FileRefusal::TooLarge { provider, content_type: "image/webp".to_owned(), most: STILL_STICKER })
        }
        _ => Ok(()),
    }
}

/// Whether an Ogg file begins with the header of an Opus stream (RFC 7845, section 5.1). Its first page has one
/// segment, so the header follows 28 bytes.
pub fn is_opus(first: &[u8]) -> bool {
    first.starts_with(b"OggS") && first.get(28..36) == Some(b"OpusHead")
}

/// Whether a WebP file has the animation flag (WebP container specification, "Extended file format").
fn moves(first: &[u8]) -> bool {
    first.get(12..16) == Some(b"VP8X") && first.get(20).is_some_and(|flags| flags & 0x02 != 0)
}

/// The types of a list, for a person.
fn listed(rules: &[FileRule]) -> String {
    let any = rules.iter().any(|rule| rule.types.is_empty()).then_some("documents of any other type but audio and video");
    rules.iter().flat_map(|rule| rule.types).copied().chain(any).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ADAPTERS;

    fn kind(provider: &str, content_type: &str, size: u64) -> Result<AttachmentKind, FileRefusal> {
        kind_of_file(crate::adapter(provider).unwrap(), content_type, size)
    }

    #[test]
    fn each_provider_takes_the_types_of_its_own_list_and_no_others() {
        use AttachmentKind::*;
        // TWILIO, META, KALEYRA and SINCH_V2 alike, SINCH.
        for (content_type, expected) in [
            ("image/jpeg", [Some(Image), Some(Image), Some(Image)]),
            ("image/png", [Some(Image), Some(Image), Some(Image)]),
            ("image/webp", [Some(Sticker), Some(Sticker), Some(Sticker)]),
            ("image/gif", [None, Some(Document), None]),
            ("text/csv", [None, Some(Document), Some(Document)]),
            ("text/plain; charset=utf-8", [None, Some(Document), Some(Document)]),
            ("text/vcard", [Some(Document), Some(Document), None]),
            ("application/pdf", [Some(Document), Some(Document), Some(Document)]),
            ("application/zip", [None, Some(Document), None]),
            ("application/vnd.ms-excel", [None, Some(Document), Some(Document)]),
            ("video/mp4", [Some(Video), Some(Video), Some(Video)]),
            ("video/3gpp", [None, Some(Video), Some(Video)]),
            ("video/quicktime", [None, None, None]),
            ("audio/ogg; codecs=opus", [Some(Audio), Some(Audio), Some(Audio)]),
            ("audio/mp4", [None, Some(Audio), Some(Audio)]),
            ("audio/opus", [None, None, Some(Audio)]),
            ("audio/wav", [None, None, None]),
        ] {
            let found = ["TWILIO", "META", "SINCH"].map(|provider| kind(provider, content_type, 1).ok());
            assert_eq!(found, expected, "{content_type}");
            for same in ["KALEYRA", "SINCH_V2"] {
                assert_eq!(kind(same, content_type, 1).ok(), expected[1], "{same} {content_type}");
            }
        }
    }

    #[test]
    fn each_provider_has_its_own_limits() {
        for (provider, content_type, most) in [
            ("TWILIO", "image/jpeg", 5 * MB),
            ("TWILIO", "application/pdf", 16 * MB),
            ("TWILIO", "video/mp4", 16 * MB),
            ("META", "application/pdf", 100 * MB),
            ("META", "audio/mpeg", 16 * MB),
            ("META", "image/webp", 500 * KB),
            ("SINCH", "image/webp", 100 * KB),
            ("SINCH", "text/csv", 100 * MB),
        ] {
            assert!(kind(provider, content_type, most).is_ok(), "{provider} {content_type}");
            let refused =
                FileRefusal::TooLarge { provider: crate::adapter(provider).unwrap().kind(), content_type: content_type.into(), most };
            assert_eq!(kind(provider, content_type, most + 1), Err(refused));
        }
    }

    #[test]
    fn a_refusal_names_the_provider_the_type_and_what_it_takes() {
        let refused = kind("TWILIO", "TEXT/CSV; charset=utf-8", 1).unwrap_err().to_string();
        assert!(
            refused.starts_with("TWILIO does not take files of the type text/csv. It takes image/jpeg, image/png, video/mp4,"),
            "{refused}"
        );
        let refused = kind("META", "video/quicktime", 1).unwrap_err().to_string();
        assert!(refused.ends_with("image/webp, documents of any other type but audio and video."), "{refused}");
        let refused = kind("TWILIO", "application/pdf", 17 * MB).unwrap_err().to_string();
        assert_eq!(refused, "TWILIO takes at most 16777216 bytes of the type application/pdf.");
    }

    #[test]
    fn an_ogg_file_is_taken_with_opus_only_by_its_name_or_by_its_bytes() {
        let mut opus = b"OggS\x00\x02".to_vec();
        opus.resize(28, 0);
        opus.extend(b"OpusHead\x01\x01");
        let mut vorbis = opus[..28].to_vec();
        vorbis.extend(b"\x01vorbis\x00");
        for adapter in ADAPTERS {
            assert_eq!(check_bytes(*adapter, "audio/ogg", 99, &opus), Ok(()));
            assert_eq!(check_bytes(*adapter, "audio/ogg; codecs=opus", 99, b"OggS"), Ok(()));
            let refused = Err(FileRefusal::Codec { provider: adapter.kind() });
            assert_eq!(check_bytes(*adapter, "audio/ogg", 99, &vorbis), refused);
            assert_eq!(check_bytes(*adapter, "audio/ogg; codecs=vorbis", 99, &vorbis), refused);
            assert_eq!(check_bytes(*adapter, "audio/ogg", 99, b""), refused);
            assert_eq!(check_bytes(*adapter, "audio/mpeg", 99, &vorbis), Ok(()));
        }
    }

    #[test]
    fn a_sticker_over_100_kb_must_move() {
        let webp = |flags: u8| [b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00".as_slice(), &[flags, 0, 0, 0]].concat();
        let meta = crate::adapter("META").unwrap();
        assert_eq!(check_bytes(meta, "image/webp", 101 * KB, &webp(0x02)), Ok(()));
        assert_eq!(check_bytes(meta, "image/webp", 100 * KB, &webp(0x10)), Ok(()));
        let refused = FileRefusal::TooLarge { provider: "META", content_type: "image/webp".into(), most: STILL_STICKER };
        assert_eq!(check_bytes(meta, "image/webp", 101 * KB, &webp(0x10)), Err(refused.clone()));
        assert_eq!(check_bytes(meta, "image/webp", 101 * KB, b"RIFF\x00\x00\x00\x00WEBPVP8 "), Err(refused));
    }
}
