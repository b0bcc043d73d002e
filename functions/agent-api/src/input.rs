//! What comes in with a request: bodies, parts of the path, parameters.

use std::collections::HashMap;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::StatusCode;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Failure;

/// The longest body, in bytes: far above the longest text of any provider (4096 characters, each at most 12 bytes as a JSON escape), far below what
/// would be felt in memory.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;

/// A JSON body whose fields are all known. An absent body is `{}`.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection: BytesRejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::TooLarge,
            _ => Failure::BadRequest("the body did not arrive"),
        })?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|_| Failure::BadRequest("the body is not JSON"))?;
    if !value.is_object() {
        return Err(Failure::BadRequest("the body is not a JSON object"));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        let path = error.path().to_string();
        // A missing field has no place of its own: it is named in the words alone.
        let named = message.split('`').nth(1).filter(|_| path == ".");
        Failure::field(named.unwrap_or(&path), &message)
    })
}

/// Parts of the path. What can't be decoded names nothing.
#[derive(Debug)]
pub(crate) struct FromPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for FromPath<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Path(place) = Path::from_request_parts(parts, state).await.map_err(|_| Failure::NotFound)?;
        Ok(Self(place))
    }
}

/// The parameters behind the `?`.
#[derive(Debug, Default)]
pub(crate) struct Parameters(HashMap<String, String>);

impl Parameters {
    /// The parameter as it is.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// How many entries a page may have: 1 to `most`, `usual` unless told.
    pub(crate) fn limit(&self, usual: i32, most: i32) -> Result<i32, Failure> {
        match self.text("limit").map(str::parse::<i32>) {
            None => Ok(usual),
            Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(Failure::field("limit", &format!("must be from 1 to {most}"))),
        }
    }

    /// A number from 0 on; 0 unless told.
    pub(crate) fn number(&self, name: &'static str) -> Result<u64, Failure> {
        let number = self.text(name).map_or(Ok(0), str::parse);
        number.map_err(|_| Failure::field(name, "must be a whole number from 0 on"))
    }

    /// An id.
    pub(crate) fn id<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        let id = self.text(name).map(str::parse::<T>).transpose();
        id.map_err(|_| Failure::field(name, "is not an id of that kind"))
    }

    /// `true` or `false`; `false` unless told.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool, Failure> {
        let flag = self.text(name).map_or(Ok(false), str::parse);
        flag.map_err(|_| Failure::field(name, "must be true or false"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let Query(parameters) =
            Query::from_request_parts(parts, state).await.map_err(|_| Failure::BadRequest("the parameters can't be read"))?;
        Ok(Self(parameters))
    }
}

/// A word or two on one line that a person entered; `most` characters.
pub(crate) fn short_text(field: &'static str, text: &str, most: usize) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::field(field, "must not be empty"));
    }
    one_line(field, text, most).map(|()| text.to_owned())
}

/// What a person wrote, on as many lines as it takes; `most` characters.
pub(crate) fn long_text(field: &'static str, text: &str, most: usize) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::field(field, "must not be empty"));
    }
    lines(field, text, most).map(|()| text.to_owned())
}

/// Refuses what is no text of one line, empty or not, with at most `most` characters: it would break logs, screens and the providers' templates.
pub(crate) fn one_line(field: &str, text: &str, most: usize) -> Result<(), Failure> {
    // Unicode's own line and paragraph separators are no control characters.
    if text.contains(|c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(Failure::field(field, "must be one line, without control characters"));
    }
    within(field, text, most)
}

/// Refuses what is no text, empty or not, with at most `most` characters: of the control characters only line breaks and tabs say something.
pub(crate) fn lines(field: &str, text: &str, most: usize) -> Result<(), Failure> {
    if text.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(Failure::field(field, "must have no control characters but line breaks and tabs"));
    }
    within(field, text, most)
}

fn within(field: &str, text: &str, most: usize) -> Result<(), Failure> {
    if text.chars().count() > most { Err(Failure::field(field, &format!("must have at most {most} characters"))) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        text: String,
        #[serde(default)]
        number: Option<u8>,
    }

    fn refused(body: &str) -> serde_json::Value {
        serde_json::to_value(parse::<Example>(body.as_bytes()).unwrap_err().problem()).unwrap()
    }

    #[test]
    fn what_is_not_a_json_object_can_not_be_read() {
        for body in ["{", "[]", "\"text\"", "{\"text\":\"a\"}}", "\u{1}"] {
            assert_eq!(refused(body)["status"], 400, "{body}");
        }
    }

    #[test]
    fn an_unknown_missing_or_wrong_field_is_named() {
        for (body, field) in
            [(r#"{"text":"a","txet":1}"#, "txet"), ("{}", "text"), ("", "text"), (r#"{"text":"a","number":300}"#, "number")]
        {
            let problem = refused(body);
            assert_eq!((&problem["status"], &problem["errors"][0]["field"]), (&422.into(), &field.into()), "{body}");
        }
        assert_eq!(parse::<Example>(br#"{"text":"a"}"#).unwrap(), Example { text: "a".into(), number: None });
    }

    #[test]
    fn control_characters_are_no_part_of_a_text_and_line_breaks_of_no_line() {
        let (short, long) = (|text: &str| short_text("name", text, 6), |text: &str| long_text("text", text, 6));
        assert_eq!((short(" Zoë\n").unwrap(), long("\ta\r\nb\tc\n").unwrap()), ("Zoë".to_owned(), "a\r\nb\tc".to_owned()));
        for bad in ["a\nb", "a\tb", "a\rb", "a\u{2028}b", "a\u{85}b"] {
            assert!(short(bad).is_err(), "{bad:?}");
        }
        for bad in ["a\0b", "\u{1b}[1m", "a\u{7f}", "a\u{9b}b", "", " ", "1234567"] {
            assert!(short(bad).is_err() && long(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        let parameters = |name: &str, value: &str| Parameters(HashMap::from([(name.to_owned(), value.to_owned())]));
        assert_eq!(Parameters::default().limit(50, 200).unwrap(), 50);
        assert_eq!(parameters("limit", "200").limit(50, 200).unwrap(), 200);
        for bad in ["0", "201", "-1", "x", "1.5"] {
            let problem = serde_json::to_value(parameters("limit", bad).limit(50, 200).unwrap_err().problem()).unwrap();
            assert_eq!(problem["errors"][0]["field"], "limit", "{bad}");
        }
        assert!(parameters("after", "-1").number("after").is_err());
        assert!(parameters("attachments", "yes").flag("attachments").is_err());
    }
}
