//! Decides which files may be stored, how large they may be and with which type. Pure.

use domain::media_type::essence;
use infer::MatcherType;

const KB: u64 = 1 << 10;
const MB: u64 = 1 << 20;

/// The type of a file that a browser would run, or that is unknown. Such a file can only be saved.
const OPAQUE: &str = "application/octet-stream";

/// Types that a browser runs. They are stored too, but as [`OPAQUE`].
const RUN_BY_BROWSERS: [&str; 7] =
    ["text/html", "text/xml", "text/javascript", "application/xhtml+xml", "application/xml", "application/javascript", "image/svg+xml"];

/// The longest declared type that is stored: twice the longest registered one.
const LONGEST_TYPE: usize = 256;

/// WhatsApp's limit for a declared type, in bytes. Source: Meta's Cloud API, "Supported Media Types".
pub(crate) fn limit(declared: &str) -> u64 {
    let base = essence(declared);
    match base.split('/').next().unwrap_or_default() {
        // WebP is a sticker: 500 KB animated, 100 KB still.
        "image" if base == "image/webp" => 500 * KB,
        "image" => 5 * MB,
        "audio" | "video" => 16 * MB,
        // Documents.
        _ => 100 * MB,
    }
}

/// A limit in words.
pub(crate) fn readable(bytes: u64) -> String {
    if bytes < MB { format!("{} KB", bytes / KB) } else { format!("{} MB", bytes / MB) }
}

/// Why a file is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// A program or a page that claims to be a picture, a recording or a document.
    #[error("the file is not what it says it is")]
    Disguised,
}

/// The type to store a file with: the type of its bytes if that says more than the declared one.
pub(crate) fn stored_type(declared: &str, bytes: &[u8]) -> Result<String, Unfit> {
    if bytes.is_empty() {
        return Err(Unfit::Empty);
    }
    let base = essence(declared);
    let Some(found) = infer::get(bytes) else { return Ok(harmless(declared)) };
    let kind = found.mime_type();
    if kind == base {
        return Ok(harmless(declared));
    }
    let can_run = matches!(found.matcher_type(), MatcherType::App | MatcherType::Text) || kind == "application/x-shockwave-flash";
    match can_run {
        true if is_shown(&base) => Err(Unfit::Disguised),
        true => Ok(harmless(declared)),
        false if declared_knows_better(&base, kind) => Ok(harmless(declared)),
        false => Ok(kind.to_owned()),
    }
}

/// Whether a viewer opens files of this type, so that a person opens them without a second thought.
fn is_shown(base: &str) -> bool {
    let media = ["image/", "audio/", "video/"].iter().any(|top| base.starts_with(top));
    let office = base.starts_with("application/vnd.openxmlformats")
        || base.starts_with("application/vnd.oasis")
        || base.starts_with("application/vnd.ms-");
    let svg = base == "image/svg+xml"; // SVG is XML, and is stored as opaque
    (media && !svg) || office || base == "application/pdf" || base == "application/msword"
}

/// Whether the declared type says more: the bytes only tell the container, or not which of two types it holds.
fn declared_knows_better(base: &str, found: &str) -> bool {
    let container = matches!(found, "application/zip" | "application/x-ole-storage" | "application/octet-stream");
    let timed = |kind: &str| kind.starts_with("audio/") || kind.starts_with("video/");
    (container && base.starts_with("application/")) || (timed(base) && timed(found))
}

/// The declared type in a form that is safe in a header, unless a browser would run it.
fn harmless(declared: &str) -> String {
    let base = essence(declared);
    let token = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let well_formed = base.split_once('/').is_some_and(|(top, sub)| token(top) && token(sub));
    let printable = declared.len() <= LONGEST_TYPE && declared.bytes().all(|b| (b' '..=b'~').contains(&b));
    if !well_formed || !printable || RUN_BY_BROWSERS.contains(&&*base) { OPAQUE.to_owned() } else { declared.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF";
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
    const PDF: &[u8] = b"%PDF-1.7";
    const OGG: &[u8] = b"OggS\x00\x02";
    const MP4: &[u8] = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41";
    const EXE: &[u8] = b"MZ\x90\x00";
    const ELF: &[u8] = b"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x3e\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00";
    const HTML: &[u8] = b"<html><script>alert(1)</script>";
    const ZIP: &[u8] = b"PK\x03\x04\x14\x00";

    #[test]
    fn each_kind_has_whatsapps_limit() {
        for (declared, limit_in_words) in [
            ("image/jpeg", "5 MB"),
            ("image/webp", "500 KB"),
            ("audio/ogg; codecs=opus", "16 MB"),
            ("VIDEO/mp4", "16 MB"),
            ("application/pdf", "100 MB"),
            ("", "100 MB"),
        ] {
            assert_eq!(readable(limit(declared)), limit_in_words, "{declared}");
        }
    }

    #[test]
    fn a_file_of_its_declared_type_keeps_that_type() {
        for (declared, bytes) in
            [("image/jpeg", JPEG), ("application/pdf", PDF), ("audio/ogg; codecs=opus", OGG), ("video/mp4", MP4), ("text/plain", b"ciao")]
        {
            assert_eq!(stored_type(declared, bytes), Ok(declared.to_owned()));
        }
    }

    #[test]
    fn a_file_of_another_harmless_type_is_stored_with_its_real_type() {
        assert_eq!(stored_type("image/jpeg", PNG).as_deref(), Ok("image/png"));
        assert_eq!(stored_type("application/octet-stream", PDF).as_deref(), Ok("application/pdf"));
        assert_eq!(stored_type("image/jpeg", PDF).as_deref(), Ok("application/pdf"));
    }

    #[test]
    fn a_container_does_not_hide_the_declared_type() {
        let docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(stored_type(docx, ZIP).as_deref(), Ok(docx));
        assert_eq!(stored_type("audio/mp4", MP4).as_deref(), Ok("audio/mp4"));
    }

    #[test]
    fn a_page_or_a_program_that_claims_to_be_a_picture_or_a_document_is_not_stored() {
        for declared in ["image/jpeg", "audio/ogg", "video/mp4", "application/pdf", "application/msword", "application/vnd.ms-excel"] {
            for bytes in [HTML, EXE, ELF, b"#!/bin/sh\nrm -rf /".as_slice()] {
                assert_eq!(stored_type(declared, bytes), Err(Unfit::Disguised), "{declared}");
            }
        }
    }

    #[test]
    fn a_file_that_a_browser_would_run_can_only_be_saved() {
        for declared in ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml", "text/javascript"] {
            for bytes in [HTML, b"<?xml version=\"1.0\"?><svg/>".as_slice(), b"alert(1)"] {
                assert_eq!(stored_type(declared, bytes).as_deref(), Ok(OPAQUE), "{declared}");
            }
        }
        // A program that is declared as such is a document like any other.
        assert_eq!(stored_type("application/octet-stream", EXE).as_deref(), Ok(OPAQUE));
        assert_eq!(stored_type("text/plain", b"MZ is a prefix").as_deref(), Ok("text/plain"));
    }

    #[test]
    fn a_declared_type_cannot_break_out_of_a_header() {
        for declared in ["", "image", "image/", "a/b\r\nX: y", "image/jpeg\0", "é/x", "image/j peg", &"a/".repeat(200)] {
            assert_eq!(stored_type(declared, b"ciao").as_deref(), Ok(OPAQUE), "{declared:?}");
        }
    }

    #[test]
    fn an_empty_file_is_refused() {
        assert_eq!(stored_type("image/jpeg", b""), Err(Unfit::Empty));
    }
}
