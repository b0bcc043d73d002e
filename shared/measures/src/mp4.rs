//! The family of MP4: boxes within boxes, of which `moov` tells about the whole file. It may lie at its end.
//!
//! Source: ISO/IEC 14496-12, `mvhd` and `tkhd`.

use domain::message::Measures;

use crate::{File, Missing, be32, be64, seconds};

/// How many boxes a file may have before `moov`. Files have a handful; this ends the walk through a malicious one.
const BEFORE: usize = 64;
/// How many tracks are looked at: sound, picture, and what a camera adds.
const TRACKS: usize = 16;

pub(crate) fn measure(file: &File<'_>) -> Result<Measures, Missing> {
    let mut at = 0;
    for _ in 0..BEFORE {
        if at >= file.size {
            break;
        }
        let Some(found) = head(file.read(at, 16)?, file.size - at) else { break };
        if found.name == *b"moov" {
            // Of a header that is longer than a part, what is known is enough: it begins with what is wanted.
            let known = file.read(at, found.size.min(crate::FIRST))?;
            let end = usize::try_from(found.size).unwrap_or(usize::MAX).min(known.len());
            return Ok(movie(known.get(found.head..end).unwrap_or_default()));
        }
        at = at.saturating_add(found.size);
    }
    Ok(Measures::default())
}

/// A box: how long it is with its head, how long that is, and its name.
struct Head {
    size: u64,
    head: usize,
    name: [u8; 4],
}

/// The head of the box with which `bytes` begin. `left` is how much of the file follows.
fn head(bytes: &[u8], left: u64) -> Option<Head> {
    let name = bytes.get(4..8)?.try_into().ok()?;
    let (size, head) = match be32(bytes, 0)? {
        // It goes to the end of the file.
        0 => (left, 8),
        1 => (be64(bytes, 8)?, 16),
        size => (size.into(), 8),
    };
    (size >= head as u64).then_some(Head { size, head, name })
}

/// The boxes in a box, with their contents, as far as they are known.
fn children(mut bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let found = head(bytes, bytes.len() as u64)?;
        let end = usize::try_from(found.size).unwrap_or(usize::MAX).min(bytes.len());
        let contents = bytes.get(found.head..end)?;
        bytes = &bytes[end..];
        Some((found.name, contents))
    })
}

fn movie(moov: &[u8]) -> Measures {
    let duration = children(moov).find(|(name, _)| name == b"mvhd").and_then(|(_, header)| duration(header));
    let tracks = children(moov).filter(|(name, _)| name == b"trak").take(TRACKS);
    let headers = tracks.filter_map(|(_, track)| children(track).find(|(name, _)| name == b"tkhd"));
    let sides = headers.filter_map(|(_, header)| sides(header)).next();
    Measures { width: sides.map(|it| it.0), height: sides.map(|it| it.1), duration }
}

/// The duration in `mvhd`. A file that is written while it is recorded has none there.
fn duration(header: &[u8]) -> Option<u32> {
    let (units, each) = match header.first()? {
        0 => (be32(header, 16).filter(|units| *units != u32::MAX)?.into(), be32(header, 12)?),
        1 => (be64(header, 24).filter(|units| *units != u64::MAX)?, be32(header, 20)?),
        _ => return None,
    };
    seconds(units, each.into())
}

/// Width and height in `tkhd`, as a player shows them; none of a track without a picture. Both are numbers with 16
/// bits behind the point, after a matrix that says how to turn the picture.
fn sides(header: &[u8]) -> Option<(u32, u32)> {
    let matrix = match header.first()? {
        0 => 40,
        1 => 52,
        _ => return None,
    };
    let (width, height) = (be32(header, matrix + 36)? >> 16, be32(header, matrix + 40)? >> 16);
    // A phone that is held upright turns by a quarter: what is to the right goes down.
    let turned = be32(header, matrix)? == 0 && be32(header, matrix + 16)? == 0;
    let (width, height) = if turned { (height, width) } else { (width, height) };
    (width > 0 && height > 0).then_some((width, height))
}
