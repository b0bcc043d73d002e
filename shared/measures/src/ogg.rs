//! Ogg files: a page says how many samples end with it, and the first one how many a second has.
//!
//! Sources: RFC 3533 (pages), RFC 7845 (Opus), the Vorbis I specification.

use domain::message::Measures;

use crate::{File, Missing, seconds};

/// A page's head, without the list of its segments.
const HEAD: usize = 27;
/// The longest page, in bytes: a head, 255 segments and their lengths.
const LONGEST_PAGE: u64 = 27 + 255 + 255 * 255;
/// A page on which no packet ends says this instead of a position.
const NONE: u64 = u64::MAX;

pub(crate) fn measure(file: &File<'_>) -> Result<Measures, Missing> {
    let none = Measures::default();
    let first = file.read(0, LONGEST_PAGE)?;
    let Some((stream, skipped, rate)) = stream(first) else { return Ok(none) };
    let tail = file.read(file.size.saturating_sub(LONGEST_PAGE), LONGEST_PAGE)?;
    let last = tail.windows(HEAD).rev().find_map(|page| end(page, stream));
    Ok(Measures { duration: last.and_then(|last| seconds(last.saturating_sub(skipped), rate)), ..none })
}

/// The first stream: its number, the samples to leave out at its beginning, and how many a second has.
fn stream(first: &[u8]) -> Option<([u8; 4], u64, u64)> {
    let number = first.get(14..18)?.try_into().ok()?;
    let packet = first.get(HEAD + usize::from(*first.get(26)?)..)?;
    if packet.starts_with(b"OpusHead") {
        let skipped = u16::from_le_bytes(packet.get(10..12)?.try_into().ok()?);
        return Some((number, skipped.into(), 48_000));
    }
    let rate = packet.strip_prefix(b"\x01vorbis")?.get(5..9)?.try_into().ok()?;
    Some((number, 0, u32::from_le_bytes(rate).into()))
}

/// The samples until the end of the page of this stream that begins with `head`.
fn end(head: &[u8], stream: [u8; 4]) -> Option<u64> {
    let is_page = head.starts_with(b"OggS\0") && head.get(14..18) == Some(&stream);
    let end = u64::from_le_bytes(head.get(6..14)?.try_into().ok()?);
    (is_page && end != NONE).then_some(end)
}
