//! How large a picture is and how long a recording plays, from the bytes of its file. Pure.
//!
//! | file | what is noted | by |
//! |---|---|---|
//! | JPEG, PNG, WebP | width and height as a viewer shows it | `imagesize`, and the direction that a camera notes |
//! | MP4 and its relatives (3GP, M4A, MOV) | duration; width and height of the picture | its header boxes |
//! | Ogg with Opus or Vorbis | duration | its first and last page |
//! | MP3, AAC (ADTS), AMR | duration | its frames; a long file's by those at its beginning |
//!
//! Files come from strangers. One that is damaged, unknown or lies beyond belief has no measures: that is no error.

mod frames;
mod mp4;
mod ogg;
mod picture;

use std::ops::Range;

use domain::media_type::essence;
use domain::message::Measures;

/// How much of a file is read first to measure it. Cameras put up to 64 KB of their own notes and a preview before
/// the size of a picture, editors some more.
pub const FIRST: u64 = 256 << 10;

/// How many times more a file is read: where the header of a video lies is known after one look or two.
pub const MORE: usize = 3;

/// The longest believed side, in pixels: that of a JPEG.
const LONGEST_SIDE: u32 = 65_535;

/// The longest believed duration, in seconds: a day. WhatsApp's 16 MB hold three hours of the narrowest recording.
const LONGEST: u32 = 86_400;

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// Where it begins in the file.
    pub at: u64,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// What can be said with what is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Look {
    /// The measures; empty if the file tells none.
    Done(Measures),
    /// They lie in these bytes of the file. The range is never empty.
    Read(Range<u64>),
}

/// Whether files of this type have measures.
pub fn has_measures(content_type: &str) -> bool {
    ["image/", "audio/", "video/"].iter().any(|top| essence(content_type).starts_with(top))
}

/// The measures of a file that is known as a whole.
pub fn measure(content_type: &str, bytes: &[u8]) -> Measures {
    match look(content_type, bytes.len() as u64, &[Part { at: 0, bytes }]) {
        Look::Done(measures) => measures,
        Look::Read(_) => Measures::default(),
    }
}

/// Measures a file of `size` bytes, of which `parts` are known; the first of them is its beginning.
pub fn look(content_type: &str, size: u64, parts: &[Part<'_>]) -> Look {
    let file = File { size, parts };
    let first = file.known(0);
    let found = match essence(content_type).split('/').next() {
        Some("image") => Ok(picture::measure(first)),
        Some("audio" | "video") if first.starts_with(b"OggS") => ogg::measure(&file),
        Some("audio" | "video") if first.get(4..8) == Some(b"ftyp") => mp4::measure(&file),
        Some("audio" | "video") => frames::measure(&file),
        _ => Ok(Measures::default()),
    };
    match found {
        Ok(measures) => Look::Done(believed(measures)),
        Err(Missing(range)) => Look::Read(range),
    }
}

/// Bytes that are needed and not known yet.
#[derive(Debug, PartialEq, Eq)]
struct Missing(Range<u64>);

/// What is known of a file.
struct File<'a> {
    size: u64,
    parts: &'a [Part<'a>],
}

impl<'a> File<'a> {
    /// What is known from there on, to the end of its part.
    fn known(&self, at: u64) -> &'a [u8] {
        let after = |part: &Part<'a>| usize::try_from(at.checked_sub(part.at)?).ok().and_then(|from| part.bytes.get(from..));
        self.parts.iter().filter_map(after).max_by_key(|bytes| bytes.len()).unwrap_or_default()
    }

    /// At least `least` bytes from there on, unless the file ends before.
    fn read(&self, at: u64, least: u64) -> Result<&'a [u8], Missing> {
        let known = self.known(at);
        let there = self.size.saturating_sub(at).min(least);
        if known.len() as u64 >= there { Ok(known) } else { Err(Missing(at..at.saturating_add(FIRST).min(self.size))) }
    }
}

/// The measures without those that are nothing or beyond belief.
fn believed(measures: Measures) -> Measures {
    let Measures { width, height, duration } = measures;
    let sides = width.zip(height).filter(|(width, height)| (1..=LONGEST_SIDE).contains(width) && (1..=LONGEST_SIDE).contains(height));
    Measures { width: sides.map(|it| it.0), height: sides.map(|it| it.1), duration: duration.filter(|it| (1..=LONGEST).contains(it)) }
}

/// `units` of which a second has `each`, in whole seconds: what players show. What is shorter than half a second
/// counts as one.
fn seconds(units: u64, each: u64) -> Option<u32> {
    if units == 0 || each == 0 {
        return None;
    }
    let rounded = (u128::from(units) + u128::from(each) / 2) / u128::from(each);
    u32::try_from(rounded.max(1)).ok()
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

fn be64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests;
