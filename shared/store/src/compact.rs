//! The compact form of stored values. Pure.
//!
//! A write is charged by the item's size, and twice that in a transaction. So the values that nearly every message
//! writes are stored with short names; ids, times and Twilio's SIDs as bytes; and frequent words as their number. Any
//! value has a compact form, and [`expand`] returns exactly that value: nothing here knows the domain.

use std::collections::HashMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_dynamo::AttributeValue;
use ulid::Ulid;

/// The names, words and prefixes of form 2. `infra/items.py` reads it too.
const FORM_2: &str = include_str!("compact/form2.txt");

/// Names of up to so many bytes are short ones. A value's own name of that length is marked.
const SHORT: usize = 2;

/// Begins a name that the table does not have and that could be taken for a short one.
const OWN_NAME: char = '~';

/// What compact bytes are, by the first of them. From [`ID`] on there is one for each prefix.
const BYTES: u8 = 0;
const ID: u8 = 1;
const MILLISECONDS: u8 = 64;
const NANOSECONDS: u8 = 65;
const SID: u8 = 66;
const WORD: u8 = 67;

/// A compact value that this version can't read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unreadable;

#[derive(Debug, Default)]
struct Table {
    short: HashMap<&'static str, &'static str>,
    long: HashMap<&'static str, &'static str>,
    words: Vec<&'static str>,
    numbers: HashMap<&'static str, u8>,
    prefixes: Vec<&'static str>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut table = Table::default();
    let mut parts = FORM_2.split("\n\n").map(|part| part.lines().filter(|line| !line.starts_with('#')));
    for (short, long) in parts.next().into_iter().flatten().filter_map(|line| line.split_once(' ')) {
        table.short.insert(long, short);
        table.long.insert(short, long);
    }
    table.words = parts.next().into_iter().flatten().collect();
    table.numbers = (0..=u8::MAX).zip(&table.words).map(|(number, word)| (*word, number)).collect();
    table.prefixes = parts.next().into_iter().flatten().collect();
    table
});

/// The compact form of a value.
pub(crate) fn compact(value: AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::S(text) => bytes_of(&text).map_or(AttributeValue::S(text), AttributeValue::B),
        AttributeValue::B(bytes) => AttributeValue::B([&[BYTES], bytes.as_slice()].concat()),
        AttributeValue::L(list) => AttributeValue::L(list.into_iter().map(compact).collect()),
        AttributeValue::M(map) => AttributeValue::M(map.into_iter().map(|(name, value)| (short(name), compact(value))).collect()),
        other => other,
    }
}

/// The value of a compact form.
///
/// # Errors
/// It is none, or of a later version.
pub(crate) fn expand(value: AttributeValue) -> Result<AttributeValue, Unreadable> {
    Ok(match value {
        AttributeValue::B(bytes) => match bytes.split_first() {
            Some((&BYTES, rest)) => AttributeValue::B(rest.to_vec()),
            _ => AttributeValue::S(text_of(&bytes).ok_or(Unreadable)?),
        },
        AttributeValue::L(list) => AttributeValue::L(list.into_iter().map(expand).collect::<Result<_, _>>()?),
        AttributeValue::M(map) => {
            let whole = map.into_iter().map(|(name, value)| Ok((long(name)?, expand(value)?)));
            AttributeValue::M(whole.collect::<Result<_, Unreadable>>()?)
        }
        other => other,
    })
}

fn short(name: String) -> String {
    match TABLE.short.get(name.as_str()) {
        Some(short) => (*short).to_owned(),
        None if name.len() <= SHORT || name.starts_with(OWN_NAME) => format!("{OWN_NAME}{name}"),
        None => name,
    }
}

fn long(name: String) -> Result<String, Unreadable> {
    if let Some(own) = name.strip_prefix(OWN_NAME) {
        return Ok(own.to_owned());
    }
    match TABLE.long.get(name.as_str()) {
        Some(long) => Ok((*long).to_owned()),
        None if name.len() <= SHORT => Err(Unreadable),
        None => Ok(name),
    }
}

/// The bytes that stand for a text, if there are any from which exactly this text comes back.
fn bytes_of(text: &str) -> Option<Vec<u8>> {
    word(text).or_else(|| id(text)).or_else(|| time(text)).or_else(|| sid(text)).filter(|bytes| text_of(bytes).as_deref() == Some(text))
}

fn word(text: &str) -> Option<Vec<u8>> {
    TABLE.numbers.get(text).map(|number| vec![WORD, *number])
}

fn id(text: &str) -> Option<Vec<u8>> {
    let (kind, ulid) = (ID..).zip(&TABLE.prefixes).find_map(|(kind, prefix)| Some((kind, text.strip_prefix(prefix)?)))?;
    let ulid = Ulid::from_string(ulid).ok()?;
    Some([&[kind], ulid.to_bytes().as_slice()].concat())
}

fn time(text: &str) -> Option<Vec<u8>> {
    if !text.ends_with('Z') || text.as_bytes().get(10) != Some(&b'T') {
        return None;
    }
    let at: Timestamp = text.parse().ok()?;
    // 48 bits of milliseconds reach beyond the last year that a timestamp has.
    let milliseconds = u64::try_from(at.as_millisecond()).ok().filter(|_| at.subsec_nanosecond() % 1_000_000 == 0);
    match milliseconds {
        Some(milliseconds) => Some([&[MILLISECONDS], milliseconds.to_be_bytes().get(2..)?].concat()),
        None => Some([&[NANOSECONDS], i64::try_from(at.as_nanosecond()).ok()?.to_be_bytes().as_slice()].concat()),
    }
}

/// Twilio's SIDs: two letters and 32 hexadecimal digits.
fn sid(text: &str) -> Option<Vec<u8>> {
    let (kind, number) = text.split_at_checked(2).filter(|(_, number)| number.len() == 32)?;
    let number = u128::from_str_radix(number, 16).ok()?;
    Some([&[SID], kind.as_bytes(), number.to_be_bytes().as_slice()].concat())
}

fn text_of(bytes: &[u8]) -> Option<String> {
    let (kind, rest) = bytes.split_first()?;
    match *kind {
        MILLISECONDS => {
            let milliseconds = <[u8; 6]>::try_from(rest).ok()?.into_iter().fold(0, |all, byte| (all << 8) | i64::from(byte));
            Timestamp::from_millisecond(milliseconds).ok().map(|at| at.to_string())
        }
        NANOSECONDS => {
            let nanoseconds = i64::from_be_bytes(rest.try_into().ok()?);
            Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().map(|at| at.to_string())
        }
        SID => {
            let (kind, number) = rest.split_first_chunk::<2>()?;
            Some(format!("{}{:032x}", std::str::from_utf8(kind).ok()?, u128::from_be_bytes(number.try_into().ok()?)))
        }
        WORD => match rest {
            [number] => TABLE.words.get(usize::from(*number)).map(|word| (*word).to_owned()),
            _ => None,
        },
        kind => {
            let prefix = TABLE.prefixes.get(usize::from(kind.checked_sub(ID)?))?;
            Some(format!("{prefix}{}", Ulid::from_bytes(rest.try_into().ok()?)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn texts() -> impl Strategy<Value = String> {
        let id = (0..TABLE.prefixes.len(), any::<u128>()).prop_map(|(kind, ulid)| format!("{}{}", TABLE.prefixes[kind], Ulid(ulid)));
        let ids = prop_oneof![id.clone(), id.clone().prop_map(|id| id.to_lowercase()), id.prop_map(|id| id.replace(['0', '1'], "O"))];
        let times = prop_oneof![
            any::<i64>().prop_filter_map("a time", |at| Timestamp::from_nanosecond(i128::from(at)).ok()),
            (-377_705_023_201..253_402_207_200_i64).prop_filter_map("a time", |at| Timestamp::from_second(at).ok()),
            (0..1_900_000_000_000_i64).prop_filter_map("a time", |at| Timestamp::from_millisecond(at).ok()),
        ];
        let times = prop_oneof![times.clone().prop_map(|at| at.to_string()), times.prop_map(|at| format!("{at:.9}"))];
        prop_oneof![
            any::<String>(),
            (0..TABLE.words.len()).prop_map(|word| TABLE.words[word].to_owned()),
            ids,
            times,
            "[A-Za-z]{2}[0-9a-f]{32}",
            "[é+A-Z]{1,2}[0-9A-F+]{32}",
        ]
    }

    fn names() -> impl Strategy<Value = String> {
        let known: Vec<&str> = TABLE.short.iter().flat_map(|(long, short)| [*long, *short]).collect();
        prop_oneof![(0..known.len()).prop_map(move |name| known[name].to_owned()), "~?[a-zA-Z0-9é~]{0,3}", any::<String>()]
    }

    fn values() -> impl Strategy<Value = AttributeValue> {
        let leaf = prop_oneof![
            texts().prop_map(AttributeValue::S),
            any::<i64>().prop_map(|number| AttributeValue::N(number.to_string())),
            any::<bool>().prop_map(AttributeValue::Bool),
            Just(AttributeValue::Null(true)),
            any::<Vec<u8>>().prop_map(AttributeValue::B),
            proptest::collection::vec(texts(), 1..3).prop_map(AttributeValue::Ss),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(AttributeValue::L),
                proptest::collection::hash_map(names(), inner, 0..6).prop_map(AttributeValue::M),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_comes_back_from_its_compact_form(value in values()) {
            prop_assert_eq!(expand(compact(value.clone())), Ok(value));
        }

        #[test]
        fn no_bytes_make_a_reader_fail_otherwise_than_with_an_error(bytes in any::<Vec<u8>>()) {
            drop(expand(AttributeValue::B(bytes)));
        }
    }

    #[test]
    fn ids_times_sids_and_words_are_bytes() {
        let length = |text: &str| match compact(AttributeValue::S(text.to_owned())) {
            AttributeValue::B(bytes) => bytes.len(),
            other => panic!("{other:?}"),
        };
        assert_eq!(length("int_01M8DR1RVT0GJQT4GC4XC1T7AW"), 17);
        assert_eq!(length("2026-11-27T05:36:05.895Z"), 7);
        assert_eq!(length("2026-11-27T05:36:05.895123Z"), 9);
        assert_eq!(length("SM01a21b80e2ed1abf40196e476fe1a18c"), 19);
        assert_eq!(length("tell_holder"), 2);
    }

    #[test]
    fn what_a_later_version_wrote_is_refused() {
        let later = [vec![], vec![0xff, 1], vec![WORD, 255], vec![ID, 1, 2], vec![MILLISECONDS]];
        assert!(later.into_iter().all(|bytes| expand(AttributeValue::B(bytes)) == Err(Unreadable)));
        let name = AttributeValue::M(HashMap::from([("!!".to_owned(), AttributeValue::Bool(true))]));
        assert_eq!(expand(name), Err(Unreadable));
    }

    /// Stored items are read by the table, so it must stay as it is. This is its fingerprint (64 bits of FNV-1a).
    #[test]
    fn the_table_of_form_2_never_changes() {
        let lines = FORM_2.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
        let print = lines.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
        assert_eq!(print, 0xee1e_de72_e80e_19ab);
    }

    #[test]
    fn the_table_names_nothing_twice() {
        let pairs: Vec<_> = FORM_2.split("\n\n").next().unwrap().lines().filter_map(|line| line.split_once(' ')).collect();
        let pairs: Vec<_> = pairs.into_iter().filter(|(short, _)| *short != "#").collect();
        assert_eq!((pairs.len(), pairs.len()), (TABLE.short.len(), TABLE.long.len()));
        assert!(pairs.iter().all(|(short, _)| short.len() <= SHORT && short.is_ascii()));
        assert_eq!(TABLE.words.iter().collect::<HashSet<_>>().len(), TABLE.words.len());
        assert!(TABLE.words.len() <= 256 && TABLE.prefixes.len() < usize::from(MILLISECONDS));
    }
}
