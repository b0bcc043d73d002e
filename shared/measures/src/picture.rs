//! Pictures. A camera stores them as its sensor lies and notes how to turn them; viewers turn them.

use domain::message::Measures;

pub(crate) fn measure(first: &[u8]) -> Measures {
    let Ok(size) = imagesize::blob_size(first) else { return Measures::default() };
    let (Ok(width), Ok(height)) = (u32::try_from(size.width), u32::try_from(size.height)) else { return Measures::default() };
    let (width, height) = if lies_on_its_side(first) { (height, width) } else { (width, height) };
    Measures { width: Some(width), height: Some(height), duration: None }
}

/// Whether a JPEG is to be turned by a quarter: its Exif orientation is 5 to 8.
fn lies_on_its_side(first: &[u8]) -> bool {
    exif(first).and_then(orientation).is_some_and(|orientation| (5..=8).contains(&orientation))
}

/// The Exif notes of a JPEG, in a segment before its picture.
fn exif(jpeg: &[u8]) -> Option<&[u8]> {
    let mut rest = jpeg.strip_prefix(b"\xff\xd8")?;
    loop {
        let [0xff, marker, high, low, ..] = *rest else { return None };
        // The picture itself begins.
        if marker == 0xda {
            return None;
        }
        let segment = rest.get(4..2 + usize::from(u16::from_be_bytes([high, low])))?;
        if marker == 0xe1
            && let Some(notes) = segment.strip_prefix(b"Exif\0\0")
        {
            return Some(notes);
        }
        rest = &rest[4 + segment.len()..];
    }
}

/// The orientation in the first list of a TIFF file, which Exif notes are.
fn orientation(tiff: &[u8]) -> Option<u16> {
    const ORIENTATION: u16 = 0x0112;
    let little = match tiff.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let bytes = tiff.get(4..8)?.try_into().ok()?;
    let list = usize::try_from(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }).ok()?;
    let entries = usize::from(short(list)?);
    // An entry has 12 bytes: what it is, its type, how many, and a value.
    let at = (0..entries).map(|entry| list + 2 + 12 * entry).find(|at| short(*at) == Some(ORIENTATION))?;
    short(at + 8)
}
