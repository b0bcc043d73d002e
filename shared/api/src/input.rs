//! The input of a request: ids in the path, parameters, a page, a JSON body.

use std::str::FromStr;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Uri;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Error;
use crate::problem::Errors;

/// The longest body, in bytes. An account with a thousand agents and two hundred dispositions has some 80 KB. The
/// longest text of any provider (4096 characters, each at most 12 bytes as a JSON escape) has 48 KB. A longer body
/// would not fit an item of 400 KB either.
pub const BODY_LIMIT: usize = 256 * 1024;

/// The default page size: as much as a screen can show.
const PAGE: i32 = 50;
/// The largest page size. A page of accounts with a thousand agents each stays below the 6 MB of a Lambda's answer.
const PAGE_MOST: i32 = 100;

/// The one id in the path. A text that is not an id of the kind is not found (404).
#[derive(Debug, Clone)]
pub struct Id<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for Id<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        id.parse().map(Self).map_err(|_| Error::NotFound)
    }
}

/// The parts of the path. A text that can't be decoded is not found (404).
#[derive(Debug)]
pub struct FromPath<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for FromPath<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let Path(place) = Path::from_request_parts(parts, state).await.map_err(|_| Error::NotFound)?;
        Ok(Self(place))
    }
}

/// The parameters of the query.
#[derive(Debug, Clone, Default)]
pub struct Parameters(Vec<(String, String)>);

/// Parameters that came another way, as the filters of a list in a body.
impl FromIterator<(String, String)> for Parameters {
    fn from_iter<T: IntoIterator<Item = (String, String)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Parameters {
    /// The parameter as it is, the last of several. An empty one counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, text)| text.as_str()).filter(|text| !text.is_empty())
    }

    /// All values of a parameter that may be given several times. Empty ones count as absent.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, text)| known == name && !text.is_empty()).map(|(_, text)| text.as_str())
    }

    /// How many entries a page may have: 1 to `most`, by default `usual`.
    ///
    /// # Errors
    /// It is out of range, or not a number.
    pub fn limit(&self, usual: i32, most: i32) -> Result<i32, Errors> {
        match self.get("limit").map(str::parse::<i32>) {
            None => Ok(usual),
            Some(Ok(limit)) if (1..=most).contains(&limit) => Ok(limit),
            Some(_) => Err(Errors::one("limit", format!("must be a whole number from 1 to {most}"))),
        }
    }

    /// A number from 0 on; 0 by default.
    ///
    /// # Errors
    /// It is not such a number.
    pub fn number(&self, name: &'static str) -> Result<u64, Errors> {
        let number = self.get(name).map_or(Ok(0), str::parse);
        number.map_err(|_| Errors::one(name, "must be a whole number from 0 on"))
    }

    /// An id.
    ///
    /// # Errors
    /// It is not an id of the kind.
    pub fn id<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Errors> {
        let id = self.get(name).map(str::parse::<T>).transpose();
        id.map_err(|_| Errors::one(name, "is not an id of that kind"))
    }

    /// `true` or `false`; `false` by default.
    ///
    /// # Errors
    /// It is another word.
    pub fn flag(&self, name: &'static str) -> Result<bool, Errors> {
        let flag = self.get(name).map_or(Ok(false), str::parse);
        flag.map_err(|_| Errors::one(name, "must be true or false"))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        pairs(&parts.uri).map(Self)
    }
}

/// The names and values of a query, in their order.
pub(crate) fn pairs(uri: &Uri) -> Result<Vec<(String, String)>, Error> {
    let query = Query::try_from_uri(uri);
    query.map(|Query(pairs)| pairs).map_err(|_| Error::BadRequest("the query can't be read".to_owned()))
}

/// The requested page of a list: `?after=&limit=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The id after which the page begins.
    pub after: Option<String>,
    /// How many entries it may have.
    pub limit: i32,
}

impl Page {
    /// Reads the parameters. `limit` is 1 to 100, by default 50. `after` is an id of the listed kind.
    ///
    /// # Errors
    /// A parameter is refused. The error names each.
    pub fn of<T: FromStr>(parameters: &Parameters) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        let limit = parameters.limit(PAGE, PAGE_MOST).unwrap_or_else(|refused| {
            errors.extend(refused);
            PAGE
        });
        let after = parameters.get("after").map(str::to_owned);
        if after.as_ref().is_some_and(|after| after.parse::<T>().is_err()) {
            errors.add("after", "must be what the page before gave as next");
        }
        errors.check().map(|()| Self { after, limit })
    }
}

/// A place in a list that may have any characters, encoded as an opaque text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// The text for the answer.
    pub fn encoded(place: &str) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(place)
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let place = BASE64_URL_SAFE_NO_PAD.decode(text).map_err(drop)?;
        String::from_utf8(place).ok().filter(|place| !place.is_empty()).map(Self).ok_or(())
    }
}

/// A JSON body whose fields are all known. An absent body is `{}`.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        typed(&bytes(request).await?).map(Self)
    }
}

fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let value = value(if bytes.trim_ascii().is_empty() { b"{}" } else { bytes })?;
    if !value.is_object() {
        return Err(Error::BadRequest("the body is not a JSON object".to_owned()));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        let path = error.path().to_string();
        // A missing field has no place of its own. Only the parser's words name it.
        let named = message.split('`').nth(1).filter(|_| path == ".");
        Error::field(named.unwrap_or(&path), &message)
    })
}

/// A JSON body, as a value whose fields the API reads itself. Its content type must be JSON.
#[derive(Debug, Clone)]
pub struct JsonBody(pub Value);

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let named = request.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default().to_owned());
        if named.is_some_and(|named| !is_json(&named)) {
            return Err(Error::NotJson);
        }
        value(&bytes(request).await?).map(Self)
    }
}

async fn bytes(request: Request) -> Result<Bytes, Error> {
    to_bytes(request.into_body(), BODY_LIMIT).await.map_err(|_| Error::TooLarge)
}

fn value(bytes: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(bytes).map_err(|error| {
        // Only the place: the parser's own words may quote the body.
        Error::BadRequest(format!("the body is not JSON: see line {}, column {}", error.line(), error.column()))
    })
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

#[cfg(test)]
mod tests {
    use domain::ids::AgentId;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        text: String,
        #[serde(default)]
        number: Option<u8>,
    }

    fn refused(body: &str) -> serde_json::Value {
        serde_json::to_value(typed::<Example>(body.as_bytes()).unwrap_err().problem()).unwrap()
    }

    #[test]
    fn a_body_that_is_not_a_json_object_cannot_be_read() {
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
        assert_eq!(typed::<Example>(br#"{"text":"a"}"#).unwrap(), Example { text: "a".into(), number: None });
    }

    #[tokio::test]
    async fn a_body_over_256_kb_is_refused() {
        let read = async |bytes: usize| {
            let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
            Body::<Value>::from_request(Request::new(text.into()), &()).await
        };
        assert!(read(BODY_LIMIT).await.is_ok());
        assert!(matches!(read(BODY_LIMIT + 1).await, Err(Error::TooLarge)));
    }

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn a_page_has_1_to_100_entries() {
        let page = |pairs: &[(&str, &str)]| Page::of::<AgentId>(&parameters(pairs));
        assert_eq!(page(&[]), Ok(Page { after: None, limit: 50 }));
        assert!(page(&[("limit", "100"), ("after", "agt_00000000000000000000000001")]).is_ok());
        let (limit, after) = ("must be a whole number from 1 to 100", "must be what the page before gave as next");
        for bad in ["0", "101", "many"] {
            assert_eq!(page(&[("limit", bad)]), Err(Errors::one("limit", limit)), "{bad}");
        }
        assert_eq!(page(&[("after", "que_00000000000000000000000001")]), Err(Errors::one("after", after)));
        assert_eq!(page(&[("limit", "0"), ("after", "x")]).unwrap_err().iter().count(), 2);
    }

    #[test]
    fn a_parameter_may_be_given_several_times() {
        let given = parameters(&[("tags", "a"), ("limit", "1"), ("tags", ""), ("tags", "b")]);
        assert_eq!(given.all("tags").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((given.get("tags"), given.all("other").next()), (Some("b"), None));
    }

    #[test]
    fn parameters_out_of_range_are_named() {
        assert_eq!(Parameters::default().limit(50, 200).unwrap(), 50);
        assert_eq!(parameters(&[("limit", "200")]).limit(50, 200).unwrap(), 200);
        for bad in ["0", "201", "-1", "x", "1.5"] {
            assert_eq!(parameters(&[("limit", bad)]).limit(50, 200).unwrap_err().iter().next().unwrap().field, "limit", "{bad}");
        }
        assert!(parameters(&[("after", "-1")]).number("after").is_err());
        assert!(parameters(&[("attachments", "yes")]).flag("attachments").is_err());
    }

    #[test]
    fn a_body_is_json_by_its_content_type() {
        assert!(is_json("application/json") && is_json("Application/JSON; charset=utf-8") && is_json("application/merge-patch+json"));
        assert!(!is_json("application/x-www-form-urlencoded") && !is_json("text/plain") && !is_json(""));
    }
}
