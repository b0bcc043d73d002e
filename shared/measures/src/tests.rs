//! Real files, as other programs write them (`samples/`), and what strangers might send in their place.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_bytes!(concat!("../samples/", $name)).as_slice()
    };
}

const PICTURES: [(&str, &[u8], (u32, u32)); 6] = [
    ("image/jpeg", sample!("plain.jpg"), (60, 40)),
    // Its camera was held upright.
    ("image/jpeg", sample!("upright.jpg"), (40, 60)),
    ("image/png", sample!("picture.png"), (60, 40)),
    ("image/webp", sample!("sticker.webp"), (60, 40)),
    ("image/webp", sample!("lossy.webp"), (60, 40)),
    ("image/webp", sample!("animated.webp"), (60, 40)),
];

const RECORDINGS: [(&str, &[u8], u32); 7] = [
    ("audio/ogg; codecs=opus", sample!("voice.ogg"), 3),
    ("audio/mpeg", sample!("constant.mp3"), 2),
    ("audio/mpeg", sample!("varying.mp3"), 2),
    ("audio/aac", sample!("sound.aac"), 2),
    ("audio/mp4", sample!("sound.m4a"), 2),
    ("audio/amr", sample!("voice.amr"), 2),
    // Some phones say so.
    ("video/3gpp", sample!("voice.amr"), 2),
];

const VIDEOS: [&[u8]; 2] = [sample!("video.mp4"), sample!("streamed.mp4")];

fn sides(width: u32, height: u32) -> Measures {
    Measures { width: Some(width), height: Some(height), duration: None }
}

fn plays(seconds: u32) -> Measures {
    Measures { duration: Some(seconds), ..Measures::default() }
}

fn samples() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    let pictures = PICTURES.into_iter().map(|(kind, bytes, _)| (kind, bytes));
    let recordings = RECORDINGS.into_iter().map(|(kind, bytes, _)| (kind, bytes));
    pictures.chain(recordings).chain(VIDEOS.into_iter().map(|bytes| ("video/mp4", bytes)))
}

/// Reads a file as `agent-api` does: its first bytes, then what is asked for. Returns how often it was read.
fn read(content_type: &str, bytes: &[u8], first: usize) -> (Measures, usize) {
    let mut ranges: Vec<_> = std::iter::once(0..first.min(bytes.len())).collect();
    loop {
        let parts: Vec<_> = ranges.iter().map(|range| Part { at: range.start as u64, bytes: &bytes[range.clone()] }).collect();
        match look(content_type, bytes.len() as u64, &parts) {
            Look::Done(measures) => return (measures, ranges.len()),
            Look::Read(range) => {
                assert!(range.start < range.end && range.end <= bytes.len() as u64, "{range:?}");
                assert!(ranges.len() <= 200, "it asks for ever");
                ranges.push(range.start as usize..range.end as usize);
            }
        }
    }
}

/// An MP3 from its first frame on.
fn without_tags(mp3: &'static [u8]) -> &'static [u8] {
    &mp3[mp3.windows(2).position(|two| two == [0xff, 0xf3]).unwrap()..]
}

#[test]
fn pictures_have_the_size_that_a_viewer_shows() {
    for (kind, bytes, (width, height)) in PICTURES {
        assert_eq!(measure(kind, bytes), sides(width, height), "{kind}");
    }
}

#[test]
fn recordings_say_how_long_they_play() {
    for (kind, bytes, seconds) in RECORDINGS {
        assert_eq!(measure(kind, bytes), plays(seconds), "{kind}");
    }
}

#[test]
fn videos_say_both_wherever_their_header_lies() {
    for video in VIDEOS {
        assert_eq!(measure("video/mp4", video), Measures { duration: Some(2), ..sides(160, 90) });
    }
}

#[test]
fn a_video_of_a_phone_that_is_held_upright_is_turned() {
    let mut video = VIDEOS[0].to_vec();
    let track = video.windows(4).position(|name| name == b"tkhd").unwrap();
    // The matrix begins 40 bytes into the contents: 1, 0, 0; 0, 1, 0.
    let matrix = track + 4 + 40;
    let turned: Vec<u8> = [0_u32, 0x10000, 0, 0xffff_0000, 0].into_iter().flat_map(u32::to_be_bytes).collect();
    video[matrix..matrix + 20].copy_from_slice(&turned);
    assert_eq!(measure("video/mp4", &video), Measures { duration: Some(2), ..sides(90, 160) });
}

#[test]
fn what_lies_further_on_is_asked_for_and_found_with_few_reads() {
    // The header of a video lies behind its pictures, the last page of a recording at its end.
    let long = |name: &[u8; 4], contents: usize| [((contents + 8) as u32).to_be_bytes().as_slice(), name, &vec![0; contents]].concat();
    let at = VIDEOS[0].windows(4).position(|name| name == b"mdat").unwrap() - 4;
    let video = [&VIDEOS[0][..at], &long(b"mdat", 2 << 20), &VIDEOS[0][at..]].concat();
    assert_eq!(read("video/mp4", &video, FIRST as usize), (measure("video/mp4", VIDEOS[0]), 2));
    let page = RECORDINGS[0].1.windows(4).rposition(|name| name == b"OggS").unwrap();
    let pages = RECORDINGS[0].1[page..].repeat((2 * FIRST) as usize / 20);
    let voice = [&RECORDINGS[0].1[..page], &pages].concat();
    assert!(voice.len() as u64 > 2 * FIRST);
    assert_eq!(read("audio/ogg", &voice, FIRST as usize), (plays(3), 2));
    // A cover picture before the sound.
    let cover = [b"ID3\x03\0\0\0\x40\0\0".as_slice(), &vec![0; 0x40 << 14], without_tags(RECORDINGS[1].1)].concat();
    assert_eq!(read("audio/mpeg", &cover, FIRST as usize), (plays(2), 2));
}

#[test]
fn a_long_recording_is_measured_by_its_beginning() {
    for (kind, bytes) in [("audio/aac", RECORDINGS[3].1), ("audio/mpeg", without_tags(RECORDINGS[1].1))] {
        let long = bytes.repeat(300);
        let (measures, reads) = read(kind, &long, FIRST as usize);
        let duration = measures.duration.unwrap();
        assert!((580..=680).contains(&duration) && reads == 1, "{kind}: {duration}");
    }
}

#[test]
fn what_is_neither_picture_nor_recording_has_no_measures() {
    for (kind, bytes) in samples() {
        assert_eq!(measure("application/pdf", bytes), Measures::default(), "{kind}");
        assert_eq!(measure(kind, b""), Measures::default(), "{kind}");
    }
    assert_eq!(measure("audio/ogg", b"OggS"), Measures::default());
    assert!(has_measures("Audio/OGG; codecs=opus") && !has_measures("application/pdf"));
}

#[test]
fn beyond_belief_is_nothing() {
    let mut png = PICTURES[2].1.to_vec();
    png[16..20].copy_from_slice(&70_000_u32.to_be_bytes());
    assert_eq!(measure("image/png", &png), Measures::default());
    png[16..20].copy_from_slice(&0_u32.to_be_bytes());
    assert_eq!(measure("image/png", &png), Measures::default());
    let mut voice = RECORDINGS[0].1.to_vec();
    let last = voice.windows(4).rposition(|name| name == b"OggS").unwrap();
    voice[last + 6..last + 14].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    assert_eq!(measure("audio/ogg", &voice), Measures::default());
}

proptest! {
    #[test]
    fn no_bytes_at_all_make_it_panic_or_ask_for_ever(bytes in vec(any::<u8>(), 0..3_000), which in 0_usize..15, first in 0_usize..200) {
        for (kind, sample) in samples() {
            read(kind, &bytes, first);
            // A plausible beginning leads further in.
            let head = [&sample[..sample.len().min(which * 8)], &bytes].concat();
            read(kind, &head, first);
        }
    }

    #[test]
    fn neither_does_a_real_file_that_is_cut_or_damaged(
        which in any::<prop::sample::Index>(), cut in any::<prop::sample::Index>(), first in 0_usize..2_000,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
    ) {
        let samples: Vec<_> = samples().collect();
        let (kind, sample) = samples[which.index(samples.len())];
        let mut bytes = sample[..cut.index(sample.len() + 1)].to_vec();
        for (at, byte) in damage.into_iter().filter(|_| !bytes.is_empty()).collect::<Vec<_>>() {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let (measures, _) = read(kind, &bytes, first);
        prop_assert!(measures.width.is_some() == measures.height.is_some());
        prop_assert!(measures.duration.is_none_or(|seconds| (1..=86_400).contains(&seconds)));
    }

    #[test]
    fn a_file_that_is_read_in_parts_has_the_measures_of_the_whole(which in any::<prop::sample::Index>(), first in 300_usize..8_000) {
        // Of others, what is known at first is all that is looked at.
        let samples: Vec<_> = samples().filter(|(_, bytes)| bytes.starts_with(b"OggS") || bytes[4..].starts_with(b"ftyp")).collect();
        let (kind, sample) = samples[which.index(samples.len())];
        prop_assert_eq!(read(kind, sample, first).0, measure(kind, sample));
    }
}
