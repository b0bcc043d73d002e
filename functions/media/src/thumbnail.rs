//! Small pictures of customers' pictures, so that a thread shows them without loading megabytes. Pure.

use std::io::Cursor;
use std::panic::catch_unwind;

use domain::media_type::essence;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::PngDecoder;
use image::codecs::webp::{WebPDecoder, WebPEncoder};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageResult, Limits, RgbaImage};

/// The longest side, in pixels: what a thread shows of a picture.
const SIDE: u32 = 320;

/// The largest thumbnail, in bytes. A JPEG of this size on the screen has 10 to 30 KB. A picture that is no larger
/// needs none.
const MOST: usize = 48 << 10;

/// The largest file that is looked at, in bytes: twice WhatsApp's limit for pictures. A document may be a picture of
/// 100 MB.
const MOST_FILE: usize = 10 << 20;

/// How much a picture may take decoded, in bytes: 25 million pixels without transparency, which is as much as phones
/// take and more than WhatsApp keeps. A progressive JPEG needs three times that for a moment. So the two files that
/// are in memory at a time take less than a half of it, and the slowest picture takes a second or two.
const MOST_DECODED: u64 = 75_000_000;

/// From 1 to 100. Below, faces get blocks.
const QUALITY: u8 = 75;

/// A thumbnail.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Thumbnail {
    pub(crate) bytes: Vec<u8>,
    pub(crate) content_type: &'static str,
}

/// The thumbnail of a file that is stored with this type. None of what is no picture, moves, is small already, is too
/// large to be decoded here, or is damaged.
pub(crate) fn of(content_type: &str, bytes: &[u8]) -> Option<Thumbnail> {
    if !(MOST + 1..=MOST_FILE).contains(&bytes.len()) {
        return None;
    }
    attempt(content_type, bytes)
}

/// Nobody has proved that the decoders never panic, and the picture itself is worth more than its thumbnail.
fn attempt(content_type: &str, bytes: &[u8]) -> Option<Thumbnail> {
    catch_unwind(|| small(content_type, bytes, MOST_DECODED).ok().flatten()).ok().flatten().filter(|small| small.bytes.len() <= MOST)
}

/// `most` is how much it may take decoded, in bytes.
fn small(content_type: &str, bytes: &[u8], most: u64) -> ImageResult<Option<Thumbnail>> {
    let file = Cursor::new(bytes);
    let whole = match essence(content_type).as_str() {
        "image/jpeg" => decoded(JpegDecoder::new(file)?, most)?,
        "image/png" => {
            let decoder = PngDecoder::with_limits(file, limits(most))?;
            if decoder.is_apng()? { None } else { decoded(decoder, most)? }
        }
        "image/webp" => {
            let decoder = WebPDecoder::new(file)?;
            if decoder.has_animation() { None } else { decoded(decoder, most)? }
        }
        _ => None,
    };
    let Some((whole, orientation)) = whole else { return Ok(None) };
    let mut small = whole.thumbnail(SIDE, SIDE);
    drop(whole);
    small.apply_orientation(orientation);
    encoded(&small).map(Some)
}

fn limits(most: u64) -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(most);
    limits
}

/// The picture, and how to turn it; `None` if it is too large.
fn decoded(mut decoder: impl ImageDecoder, most: u64) -> ImageResult<Option<(DynamicImage, Orientation)>> {
    if decoder.total_bytes() > most {
        return Ok(None);
    }
    decoder.set_limits(limits(most))?;
    let orientation = decoder.orientation()?;
    Ok(Some((DynamicImage::from_decoder(decoder)?, orientation)))
}

/// A JPEG, or what can be seen through as a WebP.
fn encoded(small: &DynamicImage) -> ImageResult<Thumbnail> {
    let mut bytes = Vec::new();
    if small.color().has_alpha() && is_seen_through(&small.to_rgba8()) {
        small.to_rgba8().write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?;
        return Ok(Thumbnail { bytes, content_type: "image/webp" });
    }
    small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(Thumbnail { bytes, content_type: "image/jpeg" })
}

fn is_seen_through(picture: &RgbaImage) -> bool {
    picture.pixels().any(|pixel| pixel.0[3] < u8::MAX)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use image::{ImageFormat, Rgb, RgbImage, Rgba};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Pixels that no compression makes small, always the same.
    fn pixels(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let mixed = (x * 7_919 + y * 104_729).wrapping_mul(2_654_435_761);
            Rgb([(x % 256) as u8, (y % 256) as u8, (mixed >> 24) as u8])
        })
    }

    fn written(picture: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        picture.into().write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    /// A PNG that is larger than a thumbnail.
    pub(crate) fn noise(width: u32, height: u32) -> Vec<u8> {
        written(pixels(width, height), ImageFormat::Png)
    }

    fn sides(small: &Thumbnail) -> (u32, u32) {
        let small = image::load_from_memory(&small.bytes).unwrap();
        (small.width(), small.height())
    }

    #[test]
    fn pictures_of_all_kinds_are_made_small_and_keep_their_shape() {
        for (format, content_type) in
            [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "IMAGE/WebP; x=y")]
        {
            let shapes = [(1_200, 800, (320, 213)), (800, 1_200, (213, 320)), (8_000, 80, (320, 3)), (80, 10_000, (3, 320))];
            // Other kinds are made small in the same way.
            let tried = if format == ImageFormat::Png { shapes.len() } else { 1 };
            for (width, height, shape) in shapes.into_iter().take(tried) {
                let picture = written(pixels(width, height), format);
                let Some(small) = of(content_type, &picture) else { panic!("{content_type}, {width} x {height}: {}", picture.len()) };
                assert_eq!((small.content_type, sides(&small)), ("image/jpeg", shape), "{content_type}");
                assert!(small.bytes.len() <= MOST, "{}", small.bytes.len());
            }
        }
    }

    #[test]
    fn a_photo_is_turned_as_its_camera_was_held() {
        let jpeg = written(pixels(1_200, 800), ImageFormat::Jpeg);
        // Exif: orientation 6, to be turned right by a quarter.
        let notes = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".as_slice();
        let turned = [&jpeg[..2], notes, &jpeg[2..]].concat();
        assert_eq!(sides(&of("image/jpeg", &turned).unwrap()), (213, 320));
        let measures = measures::measure("image/jpeg", &turned);
        assert_eq!((measures.width, measures.height), (Some(800), Some(1_200)), "the thread reserves the same shape");
    }

    #[test]
    fn what_can_be_seen_through_stays_so() {
        let mut picture = DynamicImage::from(pixels(600, 600)).to_rgba8();
        let opaque = of("image/png", &written(picture.clone(), ImageFormat::Png)).unwrap();
        assert_eq!(opaque.content_type, "image/jpeg");
        for pixel in picture.pixels_mut().step_by(2) {
            *pixel = Rgba([0, 0, 0, 0]);
        }
        for pixel in picture.pixels_mut() {
            // Few colours, as a sticker has.
            pixel.0[2] = 0;
        }
        let through = of("image/png", &written(picture, ImageFormat::Png));
        assert_eq!(through.as_ref().map(|it| it.content_type), Some("image/webp"));
    }

    #[test]
    fn small_files_moving_pictures_and_other_files_have_none() {
        assert_eq!(of("image/png", &noise(40, 40)), None);
        assert_eq!(of("application/pdf", &noise(800, 600)), None);
        assert_eq!(of("image/gif", &noise(800, 600)), None);
        assert_eq!(of("image/jpeg", &noise(800, 600)), None, "it is a PNG");
    }

    #[test]
    fn a_picture_that_is_too_large_to_be_decoded_is_left_alone() {
        for (format, content_type) in
            [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "image/webp")]
        {
            // Few bytes, and many pixels.
            let bomb = written(RgbImage::new(1_000, 1_000), format);
            assert!(bomb.len() < 60_000, "{}", bomb.len());
            assert_eq!(small(content_type, &bomb, 2_999_999).unwrap(), None);
            assert!(small(content_type, &bomb, 3_000_000).unwrap().is_some(), "{content_type}");
        }
        let large = [noise(800, 600), vec![0; MOST_FILE]].concat();
        assert_eq!(of("image/png", &large), None);
    }

    /// The bytes where the sizes are lie, one after the other.
    #[test]
    fn a_lie_about_the_size_has_a_thumbnail_or_none() {
        for (format, content_type) in
            [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "image/webp")]
        {
            let picture = written(pixels(40, 30), format);
            let sizes = picture.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap_or_default();
            for at in sizes..sizes + 32 {
                let mut lying = picture.clone();
                lying[at] = 0xff;
                attempt(content_type, &lying);
            }
        }
    }

    proptest! {
        #[test]
        fn damaged_pictures_have_a_thumbnail_or_none(
            which in 0_usize..3, cut in any::<prop::sample::Index>(), damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..30),
        ) {
            let (format, content_type) =
                [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg"), (ImageFormat::WebP, "image/webp")][which];
            let mut bytes = written(pixels(40, 30), format);
            bytes.truncate(bytes.len() - cut.index(bytes.len() / 3));
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            // Those that are too small for one lead just as far in.
            if let Some(small) = attempt(content_type, &bytes) {
                prop_assert!(small.bytes.len() <= MOST);
            }
        }

        #[test]
        fn neither_do_bytes_of_chance(bytes in vec(any::<u8>(), 0..2_000)) {
            for (content_type, magic) in [("image/png", b"\x89PNG\r\n\x1a\n".as_slice()), ("image/jpeg", b"\xff\xd8\xff"), ("image/webp", b"RIFF....WEBP")] {
                attempt(content_type, &bytes);
                attempt(content_type, &[magic, &bytes].concat());
            }
        }
    }
}
