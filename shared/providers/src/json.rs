//! Reads JSON as tolerantly as its meaning allows. A number in place of a text is as clear as the text, and the
//! reverse. A value that is neither counts as absent.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::ParseError;

mod forgiving;
mod words;

pub(crate) use words::{beside, words};

/// The longest value that is stored, in bytes: names, labels, payloads. WhatsApp's own limits are between 20 and 1024
/// characters. A longer one is cut and ends in an ellipsis.
pub(crate) const VALUE_LIMIT: usize = 4 * 1024;

/// The longest provider id that is stored, in bytes. Today's ids have 16 to about 100.
const ID_LIMIT: usize = 512;

/// Clocks differ. A date that lies further in the future than this is ignored: it would keep the 24-hour window
/// open.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_hours(1);

/// The body of a webhook. Bytes that are not UTF-8 become U+FFFD: a broken name must not lose the message.
///
/// # Errors
/// The body is not a JSON object.
pub(crate) fn object(bytes: &[u8]) -> Result<Value, ParseError> {
    read(bytes).filter(Value::is_object).ok_or(ParseError::Unreadable { expected: "a JSON object" })
}

/// A JSON document; `None` if not even a person could read it.
pub(crate) fn read(bytes: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(bytes);
    serde_json::from_str(&text).ok().or_else(|| forgiving::read(&text))
}

/// A text that is not empty, whole. What people write is limited where an event is made ([`crate::Parsed::new`]).
pub(crate) fn whole(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

/// A text that is not empty, cut to `limit` bytes. A cut is not shown: kinds, states and ids.
pub(crate) fn text(value: &Value, limit: usize) -> Option<String> {
    whole(value).map(|text| text[..text.floor_char_boundary(limit)].to_owned())
}

/// A name, a label, a payload.
pub(crate) fn value(value: &Value) -> Option<String> {
    whole(value).map(shortened)
}

/// A value of at most [`VALUE_LIMIT`] bytes. A longer one is cut and ends in an ellipsis.
pub(crate) fn shortened(mut text: String) -> String {
    if text.len() > VALUE_LIMIT {
        text.truncate(text.floor_char_boundary(VALUE_LIMIT - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// An id.
pub(crate) fn id(value: &Value) -> Option<String> {
    text(value, ID_LIMIT)
}

/// A word out of a fixed list: a kind, a state.
pub(crate) fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether the value is true.
pub(crate) fn yes(value: &Value) -> bool {
    value.as_bool().unwrap_or_else(|| word(value).eq_ignore_ascii_case("true"))
}

/// A code of digits.
pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// The elements of a list. An object in place of a list counts as its only element.
pub(crate) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(elements) => elements,
        Value::Object(_) => std::slice::from_ref(value),
        _ => &[],
    }
}

/// Unix seconds.
pub(crate) fn seconds(value: &Value, received_at: Timestamp) -> Option<Timestamp> {
    let seconds = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())?;
    plausible(Timestamp::from_second(seconds).ok()?, received_at)
}

/// The date, unless it is later than the request (plus the skew of clocks) or older than WhatsApp.
pub(crate) fn plausible(at: Timestamp, received_at: Timestamp) -> Option<Timestamp> {
    /// 1 January 2009, in Unix seconds.
    const BEFORE_WHATSAPP: i64 = 1_230_768_000;
    let latest = received_at.saturating_add(CLOCK_SKEW).unwrap_or(Timestamp::MAX);
    (at.as_second() >= BEFORE_WHATSAPP && at <= latest).then_some(at)
}

/// Degrees within `limit` of zero.
pub(crate) fn degrees(value: &Value, limit: f64) -> Option<f64> {
    let degrees = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (degrees.abs() <= limit).then_some(degrees)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_number_reads_as_its_text_and_any_other_value_as_absent() {
        assert_eq!(value(&json!(12)).as_deref(), Some("12"));
        assert_eq!(value(&json!("12")).as_deref(), Some("12"));
        for absent in [json!(null), json!(""), json!([]), json!({}), json!(true)] {
            assert_eq!(value(&absent), None);
        }
        assert_eq!((number(&json!(7)), number(&json!("7")), number(&json!(-7)), number(&json!("x"))), (Some(7), Some(7), None, None));
        assert_eq!((degrees(&json!("41.9"), 90.0), degrees(&json!(91), 90.0), degrees(&json!("NaN"), 90.0)), (Some(41.9), None, None));
        assert!(yes(&json!(true)) && yes(&json!("true")) && !yes(&json!("no")) && !yes(&json!(1)));
        assert_eq!((list(&json!([1, 2])).len(), list(&json!({"a": 1})).len(), list(&json!("x")).len()), (2, 1, 0));
    }

    #[test]
    fn a_time_is_unix_seconds_and_nonsense_is_none() {
        let received_at: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let at = |value| seconds(&value, received_at);
        let expected: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(at(json!("1767225600")), Some(expected));
        assert_eq!(at(json!(1_767_225_600)), Some(expected));
        assert_eq!(at(json!(" 1767225600 ")), Some(expected));
        for nonsense in [
            json!(null),
            json!("yesterday"),
            json!(""),
            json!(-1),
            json!(0),
            json!(i64::MAX),
            json!(1.5),
            json!({}),
            // Milliseconds; an hour and a second after the request.
            json!(1_767_225_600_000_i64),
            json!(received_at.as_second() + 3601),
        ] {
            assert_eq!(at(nonsense.clone()), None, "{nonsense}");
        }
        assert!(at(json!(received_at.as_second() + 60)).is_some());
    }

    #[test]
    fn a_body_is_an_object_whatever_its_bytes() {
        assert_eq!(object(b"{\"a\":\"x\xFF\"}").unwrap()["a"], "x\u{fffd}");
        for bad in [&b""[..], b"[]", b"1", b"null", b"\"x\"", b"{", b"{}{}", b"\xFF", &[b'['; 100_000]] {
            assert_eq!(object(bad), Err(ParseError::Unreadable { expected: "a JSON object" }));
        }
        // What nobody could have written by hand costs only itself.
        let deep = format!("{{\"b\":2,\"a\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
        assert_eq!(object(deep.as_bytes()).unwrap()["b"], 2);
    }

    #[test]
    fn a_value_that_is_cut_says_so() {
        let long = value(&json!("ü".repeat(4_000))).unwrap();
        assert!(long.len() <= VALUE_LIMIT && long.ends_with("ü…"));
        assert_eq!(value(&json!("x".repeat(VALUE_LIMIT))).unwrap(), "x".repeat(VALUE_LIMIT));
        assert_eq!(whole(&json!("x".repeat(1 << 20))).map(|text| text.len()), Some(1 << 20));
    }
}
