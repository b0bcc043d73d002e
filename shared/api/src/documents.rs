//! Serves an API's description. Anybody may ask for it where it is public, so it is prepared once, compressed, and not
//! sent again to a client that has it.

use std::io::Write;
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use cloud::config::{ConfigError, Env};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use utoipa::openapi::OpenApi;

use crate::caller::{Anyone, Api};
use crate::error::Error;

/// Who may read the descriptions of the APIs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Documents {
    /// Anybody.
    #[default]
    Public,
    /// Callers with a token.
    Authenticated,
    /// Nobody.
    Off,
}

impl Documents {
    /// Reads `API_DOCUMENTS`: `public` (the default), `authenticated` or `off`.
    ///
    /// # Errors
    /// It is another word.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.optional("API_DOCUMENTS") {
            None | Some("public") => Ok(Self::Public),
            Some("authenticated") => Ok(Self::Authenticated),
            Some("off") => Ok(Self::Off),
            Some(_) => Err(ConfigError::Invalid { name: "API_DOCUMENTS", expected: "public, authenticated or off" }),
        }
    }
}

/// A description, ready to be sent.
pub(crate) struct Document {
    description: OpenApi,
    prepared: OnceLock<Option<Prepared>>,
}

struct Prepared {
    plain: Vec<u8>,
    gzip: Vec<u8>,
    /// Weak, since it is the same for both encodings.
    etag: HeaderValue,
}

impl Document {
    pub(crate) fn new(description: OpenApi) -> Self {
        Self { description, prepared: OnceLock::new() }
    }

    /// The answer to a request for the document.
    pub(crate) async fn answer(&self, parts: &mut Parts, app: &impl Api) -> Result<Response, Error> {
        match app.access().documents {
            Documents::Public => {}
            Documents::Authenticated => drop(Anyone::from_request_parts(parts, app).await?),
            Documents::Off => return Err(Error::NotFound),
        }
        // Most requests of most functions never ask for it, so it is made with the first one that does.
        let prepared = self.prepared.get_or_init(|| prepare(&self.description)).as_ref().ok_or(Error::Encode)?;
        Ok(prepared.answer(&parts.headers))
    }
}

fn prepare(description: &OpenApi) -> Option<Prepared> {
    let plain = serde_json::to_vec(description).ok()?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&plain).ok()?;
    let gzip = encoder.finish().ok()?;
    let etag = format!("W/\"{}\"", &cloud::digest::sha256_hex(&plain)[..32]).parse().ok()?;
    Some(Prepared { plain, gzip, etag })
}

impl Prepared {
    fn answer(&self, headers: &HeaderMap) -> Response {
        let mut response = if has(headers, &self.etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else if takes_gzip(headers) {
            let mut response = Body::from(self.gzip.clone()).into_response();
            response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            response
        } else {
            Body::from(self.plain.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ETAG, self.etag.clone());
        headers.insert(VARY, HeaderValue::from_static("accept-encoding, authorization"));
        // A client keeps it, and asks whether it is still the same.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }
}

/// Whether the client has the document with this tag (RFC 9110, section 13.1.2).
fn has(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let own = etag.to_str().map(opaque).unwrap_or_default();
    let named = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    named.into_iter().any(|tag| tag.trim() == "*" || opaque(tag) == own)
}

/// Whether the client takes gzip (RFC 9110, section 12.5.3).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let named = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut weights = named.filter_map(|coding| {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let zero = weight.trim().strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0));
        ["gzip", "x-gzip"].contains(&name.trim().to_ascii_lowercase().as_str()).then_some(!zero)
    });
    weights.next().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::body::to_bytes;
    use utoipa::openapi::OpenApiBuilder;

    use super::*;

    fn headers(pairs: &[(http::HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    async fn body(response: Response) -> Vec<u8> {
        to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn the_document_is_compressed_for_clients_that_take_it_and_not_sent_twice() {
        let document = prepare(&OpenApiBuilder::new().build()).unwrap();
        let plain = document.answer(&HeaderMap::new());
        let etag = plain.headers()[ETAG].to_str().unwrap().to_owned();
        assert!(plain.headers().get(CONTENT_ENCODING).is_none());
        let plain = body(plain).await;
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&plain).unwrap()["openapi"], "3.1.0");
        let packed = document.answer(&headers(&[(ACCEPT_ENCODING, "br, gzip;q=0.8")]));
        assert_eq!((&packed.headers()[CONTENT_ENCODING], &packed.headers()[ETAG]), (&"gzip".parse().unwrap(), &etag.parse().unwrap()));
        let (packed, mut unpacked) = (body(packed).await, Vec::new());
        flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked, plain);
        for (tag, status) in [(etag.as_str(), 304), (&etag[2..], 304), ("\"x\", *", 304), ("\"x\"", 200), ("", 200)] {
            let answer = document.answer(&headers(&[(IF_NONE_MATCH, tag)]));
            assert_eq!((answer.status().as_u16(), body(answer).await.is_empty()), (status, status == 304), "{tag}");
        }
    }

    #[test]
    fn only_a_client_that_says_so_takes_gzip() {
        for (taken, takes) in
            [("gzip", true), ("GZIP", true), ("deflate, gzip", true), ("gzip;q=0", false), ("br", false), ("identity", false)]
        {
            assert_eq!(takes_gzip(&headers(&[(ACCEPT_ENCODING, taken)])), takes, "{taken}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn the_documents_are_public_unless_it_is_said_otherwise() {
        let read = |word: &str| Documents::from_env(&Env::from_pairs([("API_DOCUMENTS", word)]));
        assert_eq!(
            (read(""), read("authenticated"), read("off")),
            (Ok(Documents::Public), Ok(Documents::Authenticated), Ok(Documents::Off))
        );
        assert!(read("private").is_err());
    }
}
