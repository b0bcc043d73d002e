//! Recordings that are frame after frame, each of which says how long it is: MP3, AAC (ADTS) and AMR.
//!
//! Sources: ISO/IEC 11172-3 and 13818-3 (MPEG audio), 13818-7 (ADTS), RFC 4867 (AMR's file form).

use domain::message::Measures;

use crate::{File, Missing, be32, seconds};

/// The longest frame of all, in bytes: ADTS has 13 bits for it.
const LONGEST_FRAME: u64 = 8_191;

/// A frame: its length in bytes, and the samples in it, of which a second has `rate`.
struct Frame {
    bytes: usize,
    samples: u64,
    rate: u64,
}

pub(crate) fn measure(file: &File<'_>) -> Result<Measures, Missing> {
    let first = file.known(0);
    let duration = if let Some(frames) = first.strip_prefix(b"#!AMR\n") {
        played(frames, file.size.saturating_sub(6), |frame| amr(frame, &NARROW))
    } else if let Some(frames) = first.strip_prefix(b"#!AMR-WB\n") {
        played(frames, file.size.saturating_sub(9), |frame| amr(frame, &WIDE))
    } else {
        // They may hold a picture of any size.
        let tags = tags(first);
        let frames = file.read(tags, LONGEST_FRAME)?;
        let size = file.size.saturating_sub(tags);
        counted(frames).or_else(|| played(frames, size, mpeg)).or_else(|| played(frames, size, adts))
    };
    Ok(Measures { duration, ..Measures::default() })
}

/// The duration of the frames with which `bytes` begin. If the file goes on, its other frames are taken to be alike:
/// what is before `size` plays as long as what is known, byte for byte.
fn played(bytes: &[u8], size: u64, frame: impl Fn(&[u8]) -> Option<Frame>) -> Option<u32> {
    let (mut at, mut samples, mut rate) = (0, 0_u64, 0);
    while let Some(found) = bytes.get(at..).and_then(&frame) {
        if found.bytes == 0 || at + found.bytes > bytes.len() {
            break;
        }
        at += found.bytes;
        samples += found.samples;
        rate = found.rate;
    }
    // One frame may be chance.
    if at == 0 || bytes.get(at..).is_some_and(|rest| rest.len() > at) {
        return None;
    }
    let goes_on = size > bytes.len() as u64;
    let all = if goes_on { u128::from(samples) * u128::from(size) / at as u128 } else { samples.into() };
    seconds(u64::try_from(all).ok()?, rate)
}

/// How many bytes a frame of each mode has, with its head. Those that are not used have none.
const NARROW: [usize; 16] = [13, 14, 16, 18, 20, 21, 27, 32, 6, 0, 0, 0, 0, 0, 0, 1];
const WIDE: [usize; 16] = [18, 24, 33, 37, 41, 47, 51, 59, 61, 6, 0, 0, 0, 0, 1, 1];

/// Each frame has 20 milliseconds.
fn amr(frame: &[u8], lengths: &[usize; 16]) -> Option<Frame> {
    let mode = usize::from(frame.first()? >> 3 & 0x0f);
    Some(Frame { bytes: lengths[mode], samples: 1, rate: 50 })
}

/// How many bytes the tags before the sound take (ID3v2). Its length has 7 bits a byte.
fn tags(first: &[u8]) -> u64 {
    let Some(head) = first.get(..10).filter(|head| head.starts_with(b"ID3")) else { return 0 };
    let length = head[6..].iter().fold(0, |length, byte| length << 7 | u64::from(byte & 0x7f));
    let foot = if head[5] & 0x10 == 0 { 0 } else { 10 };
    10 + length + foot
}

const RATES: [u32; 3] = [44_100, 48_000, 32_000];
/// Thousands of bits a second of layer III, by number; of MPEG 1, and of 2 and 2.5.
const BITS_1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const BITS_2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// A frame of MPEG audio, layer III.
fn mpeg(frame: &[u8]) -> Option<Frame> {
    let head = be32(frame, 0)?;
    let version = head >> 19 & 3;
    if head >> 21 != 0x7ff || version == 1 || head >> 17 & 3 != 1 {
        return None;
    }
    let first = version == 3;
    let bits = *(if first { BITS_1 } else { BITS_2 }).get((head >> 12 & 15) as usize)? * 1_000;
    // MPEG 2 halves the rate, 2.5 once more.
    let rate = *RATES.get((head >> 10 & 3) as usize)? >> [2, 0, 1, 0][version as usize];
    let samples = if first { 1_152 } else { 576 };
    let bytes = samples / 8 * bits / rate + (head >> 9 & 1);
    (bits > 0).then_some(Frame { bytes: bytes as usize, samples: samples.into(), rate: rate.into() })
}

/// The duration by the count of frames that encoders put into the first one, if they vary in length.
fn counted(frames: &[u8]) -> Option<u32> {
    let first = mpeg(frames)?;
    let inside = frames.get(..first.bytes)?;
    let tag = inside.windows(4).position(|name| matches!(name, b"Xing" | b"Info"))?;
    let has_count = be32(inside, tag + 4)? & 1 == 1;
    let count = be32(inside, tag + 8).filter(|_| has_count)?;
    seconds(u64::from(count) * first.samples, first.rate)
}

const AAC_RATES: [u64; 13] = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

fn adts(frame: &[u8]) -> Option<Frame> {
    let head = frame.get(..7)?;
    if head[0] != 0xff || head[1] & 0xf6 != 0xf0 {
        return None;
    }
    let rate = *AAC_RATES.get(usize::from(head[2] >> 2 & 0x0f))?;
    let bytes = usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5] >> 5);
    let blocks = u64::from(head[6] & 3) + 1;
    (bytes >= head.len()).then_some(Frame { bytes, samples: 1_024 * blocks, rate })
}
