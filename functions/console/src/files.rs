//! The files of the application: compressed when it was built, under names that change with their contents.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use axum::response::IntoResponse as _;

use crate::app::App;
use crate::page;

/// The application as it was built: names below `dist` and contents. Empty in a development build.
static EMBEDDED: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// In this program.
    Embedded,
    /// In a folder, read with each request: for the local run.
    Folder(PathBuf),
}

impl Files {
    /// A file by its name below `dist`.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'static, [u8]>> {
        // No name of ours has more than these, and nothing leaves the folder by them.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.');
        if !name.bytes().all(plain) || name.contains("..") || name.starts_with('/') {
            return None;
        }
        match self {
            Self::Embedded => EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, bytes)| Cow::Borrowed(*bytes)),
            Self::Folder(folder) => std::fs::read(folder.join(name)).ok().map(Cow::Owned),
        }
    }
}

/// The compressed forms that a build makes, the better one first: what a browser calls it, and its ending.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Whether the browser takes this encoding. `q=0` refuses one.
fn takes(headers: &HeaderMap, encoding: &str) -> bool {
    let wanted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    wanted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let refused = |part: &str| part.strip_prefix("q=").and_then(|q| q.parse::<f32>().ok()).is_some_and(|q| q == 0.0);
        parts.next() == Some(encoding) && !parts.any(refused)
    })
}

/// The media type by the ending.
fn media_type(name: &str) -> Option<&'static str> {
    Some(match name.rsplit('.').next()? {
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" => "application/json",
        "svg" => "image/svg+xml",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

/// `GET /console/assets/…`
pub(crate) async fn asset(State(app): State<Arc<App>>, Path(path): Path<String>, request: HeaderMap) -> Response<Body> {
    let name = format!("assets/{path}");
    let Some((kind, plain)) = media_type(&name).zip(app.files.get(&name)) else { return page::missing().await };
    let mut compressed = ENCODINGS.iter().filter(|(encoding, _)| takes(&request, encoding));
    let found = compressed.find_map(|(encoding, ending)| Some((*encoding, app.files.get(&format!("{name}{ending}"))?)));
    let (encoding, bytes) = found.map_or((None, plain), |(encoding, bytes)| (Some(encoding), bytes));
    let mut answer = Body::from(bytes.into_owned()).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))])
    }

    #[test]
    fn an_encoding_is_taken_when_it_is_named_and_not_refused() {
        assert!(takes(&accepting("gzip, deflate, br, zstd"), "br") && takes(&accepting("br;q=0.5"), "br"));
        assert!(!takes(&accepting("gzip, br;q=0"), "br") && !takes(&HeaderMap::new(), "gzip"));
    }

    #[test]
    fn no_name_leaves_the_folder() {
        let files = Files::Folder(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"));
        assert!(files.get("files.rs").is_some());
        for name in ["../Cargo.toml", "/etc/passwd", "x/../../Cargo.toml", "a\\b", "%2e%2e/Cargo.toml"] {
            assert!(files.get(name).is_none(), "{name}");
        }
    }
}
