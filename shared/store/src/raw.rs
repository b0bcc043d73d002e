//! The part of a request that an event was read from, as the event's item keeps it in the compact form. Pure.
//!
//! A person who asks what really came gets every byte of it. But most of it the event says too, in its own form: the
//! text, the ids, the sender. So it is deflated behind a dictionary that holds what the event says, as a request would
//! write it, and phrases that providers' requests have. What both hold is stored once, and whatever else the provider
//! sent stays. [`unpacked`] returns exactly what was packed.

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::{Compress, Compression, FlushCompress, Status};
#[cfg(test)]
use flate2::{Decompress, FlushDecompress};

/// Phrases of requests. Stored events are read by them, so they stay as they are. `infra/items.py` reads the file too.
const PHRASES: &str = include_str!("raw/phrases1.txt");

/// How the dictionary writes texts, by the first byte of what is stored.
const AS_JSON: u8 = 1;
const AS_FORM: u8 = 2;

/// The longest dictionary. Deflate looks back 32 KB.
const LONGEST: usize = 32_000;

/// The shortest text that is worth a place in the dictionary: deflate repeats nothing shorter than three bytes.
const SHORTEST: usize = 4;

/// The longest part of a request that is kept is far shorter. What claims to be longer is not ours.
#[cfg(test)]
const MOST: usize = 1024 * 1024;

/// A part of a request, for the item of an event with these data in plain form. It is a text if it can't be packed.
pub(crate) fn packed(raw: &str, event: &AttributeValue) -> AttributeValue {
    let kind = if raw.starts_with(['{', '[']) { AS_JSON } else { AS_FORM };
    deflated(kind, raw.as_bytes(), &dictionary(kind, event))
        .map_or_else(|| AttributeValue::S(raw.to_owned()), |bytes| AttributeValue::B(Blob::new(bytes)))
}

/// What was packed, or stored as a text by the version before; `None` if it is of a later one.
#[cfg(test)]
pub(crate) fn unpacked(stored: &AttributeValue, event: &AttributeValue) -> Option<String> {
    let bytes = match stored {
        AttributeValue::S(raw) => return Some(raw.clone()),
        AttributeValue::B(bytes) => bytes.as_ref(),
        _ => return None,
    };
    let (kind, deflated) = bytes.split_first().filter(|(kind, _)| [AS_JSON, AS_FORM].contains(*kind))?;
    inflated(deflated, &dictionary(*kind, event))
}

fn deflated(kind: u8, raw: &[u8], dictionary: &[u8]) -> Option<Vec<u8>> {
    let mut deflate = Compress::new(Compression::best(), false);
    deflate.set_dictionary(dictionary).ok()?;
    // Where nothing repeats, deflate adds some bytes to each 16 KB.
    let mut bytes = Vec::with_capacity(raw.len() + raw.len() / 1_000 + 64);
    bytes.push(kind);
    let status = deflate.compress_vec(raw, &mut bytes, FlushCompress::Finish).ok()?;
    (status == Status::StreamEnd).then_some(bytes)
}

#[cfg(test)]
fn inflated(deflated: &[u8], dictionary: &[u8]) -> Option<String> {
    let mut inflate = Decompress::new(false);
    inflate.set_dictionary(dictionary).ok()?;
    let mut raw = Vec::with_capacity(MOST);
    let status = inflate.decompress_vec(deflated, &mut raw, FlushDecompress::Finish).ok()?;
    (status == Status::StreamEnd).then(|| String::from_utf8(raw).ok()).flatten()
}

/// The dictionary of an event: what is most likely to be repeated, and longest, comes last.
fn dictionary(kind: u8, event: &AttributeValue) -> Vec<u8> {
    let mut texts = Vec::new();
    texts_of(event, &mut texts);
    texts.sort_by_key(|text| (text.len(), *text));
    texts.dedup();
    let mut dictionary = PHRASES.as_bytes().to_vec();
    for text in texts {
        match kind {
            AS_JSON => {
                let quoted = serde_json::to_string(text).unwrap_or_default();
                dictionary.extend(quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().bytes());
            }
            _ => dictionary.extend(form_urlencoded::byte_serialize(text.as_bytes()).flat_map(str::bytes)),
        }
        dictionary.push(b'\n');
    }
    dictionary.split_off(dictionary.len().saturating_sub(LONGEST))
}

fn texts_of<'v>(value: &'v AttributeValue, texts: &mut Vec<&'v str>) {
    match value {
        AttributeValue::S(text) if text.len() >= SHORTEST => texts.push(text),
        AttributeValue::L(list) => list.iter().for_each(|value| texts_of(value, texts)),
        AttributeValue::M(map) => map.values().for_each(|value| texts_of(value, texts)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn event(texts: Vec<String>) -> AttributeValue {
        let texts = texts.into_iter().map(AttributeValue::S).collect();
        AttributeValue::M(HashMap::from([
            ("kind".to_owned(), AttributeValue::L(texts)),
            ("index".to_owned(), AttributeValue::N("7".to_owned())),
        ]))
    }

    fn size(value: &AttributeValue) -> usize {
        value.as_b().map_or(usize::MAX, |bytes| bytes.as_ref().len())
    }

    proptest! {
        #[test]
        fn what_a_provider_sent_comes_back_byte_by_byte(raw in any::<String>(), texts in proptest::collection::vec(any::<String>(), 0..4)) {
            let event = event(texts.clone());
            for raw in [raw.clone(), format!("Body={raw}&Unknown={}", texts.concat()), format!("{{\"a\": {:?}, \"b\": \"{raw}\"}}", texts)] {
                prop_assert_eq!(unpacked(&packed(&raw, &event), &event), Some(raw));
            }
        }

        #[test]
        fn no_bytes_make_a_reader_panic(bytes in any::<Vec<u8>>()) {
            drop(unpacked(&AttributeValue::B(Blob::new(bytes)), &event(Vec::new())));
        }
    }

    #[test]
    fn a_text_that_the_event_holds_is_held_once() {
        let text = "Il mio ordine è già partito? \"4711\" & altro, 100 % ".repeat(8);
        let (form, json) = (form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>(), serde_json::to_string(&text).unwrap());
        for (raw, own) in [
            (format!("SmsMessageSid=SM1&Body={form}&From=whatsapp%3A%2B39333"), 50),
            (format!("{{\"message\":{{\"text\":{{\"body\":{json}}}}}}}"), 40),
        ] {
            let with = size(&packed(&raw, &event(vec![text.clone()])));
            assert!(with < own, "{with} bytes of {}", raw.len());
        }
        // However long it is: a read of DynamoDB has no second place for it.
        let long =
            (0..4_000_u32).map(|word| word.wrapping_mul(2_654_435_761).to_string()).collect::<Vec<_>>().join(" ")[..20_000].to_owned();
        let raw = format!("Body={}", form_urlencoded::byte_serialize(long.as_bytes()).collect::<String>());
        assert!(size(&packed(&raw, &event(vec![long]))) < 300);
    }

    #[test]
    fn a_text_of_the_version_before_is_read_and_one_of_a_later_version_is_not() {
        assert_eq!(unpacked(&AttributeValue::S("Body=a".to_owned()), &event(Vec::new())), Some("Body=a".to_owned()));
        assert_eq!(unpacked(&AttributeValue::B(Blob::new([9, 1, 2])), &event(Vec::new())), None);
    }

    /// This is the fingerprint of the phrases (64 bits of FNV-1a).
    #[test]
    fn the_phrases_never_change() {
        let print = PHRASES.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        assert_eq!(print, PRINT);
    }

    const PRINT: u64 = 0xa7e7_95a5_9dfd_37e2;
}
