//! The application's page, and what a browser may do with it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use axum::response::{Html, IntoResponse as _};

use crate::app::App;

/// The line of `index.html` that names the console's own path; the true one is put in its place.
const BASE: &str = r#"<base href="/console/" />"#;

/// Said where no application was built.
const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Console</title>
<h1>The console is not built</h1><p>Run <code>cargo console</code>, then load this page again. The APIs work without it.</p></html>";

/// The content security policy. No inline script and no inline style; texts of customers can't become either, because
/// only Vue may make HTML. A browser goes to the pages' own host, to the bucket (attachments), and to the socket.
pub(crate) fn policy(bucket: &str, socket: &str) -> String {
    [
        "default-src 'none'".to_owned(),
        "script-src 'self'".to_owned(),
        "style-src 'self'".to_owned(),
        "font-src 'self'".to_owned(),
        format!("img-src 'self' blob: {bucket}"),
        format!("media-src 'self' blob: {bucket}"),
        format!("connect-src 'self' {bucket} {socket}"),
        "base-uri 'self'".to_owned(),
        "form-action 'self'".to_owned(),
        "frame-ancestors 'none'".to_owned(),
        "require-trusted-types-for 'script'".to_owned(),
        "trusted-types vue".to_owned(),
    ]
    .join("; ")
}

/// `GET /console/…`: the page, whatever the path below.
pub(crate) async fn page(State(app): State<Arc<App>>) -> Response<Body> {
    let index = app.files.get("index.html").and_then(|bytes| String::from_utf8(bytes.into_owned()).ok());
    let mut answer = match index {
        // The path holds nothing that HTML has a meaning for: it is that of an address that was parsed.
        Some(index) => Html(index.replace(BASE, &format!(r#"<base href="{}/console/" />"#, app.prefix))).into_response(),
        None => (StatusCode::NOT_FOUND, Html(NOT_BUILT)).into_response(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, app.policy.clone());
    let nothing = HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()");
    headers.insert(HeaderName::from_static("permissions-policy"), nothing);
    answer
}

/// Everything else.
pub(crate) async fn missing() -> Response<Body> {
    (StatusCode::NOT_FOUND, "Not found").into_response()
}
