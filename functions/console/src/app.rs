//! What the function is made of, and its routes.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::map_response_with_state;
use axum::response::{Redirect, Response};
use axum::routing::{get, post};
use cloud::config::{ConfigError, Env};
use cloud::egress;

use crate::files::{self, Files};
use crate::issuer::Issuer;
use crate::{page, session};

/// Why the function can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The environment.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No HTTP client can be made.
    #[error("there is no HTTP client")]
    Client,
}

/// The function's state.
#[derive(Debug)]
pub struct App {
    pub(crate) files: Files,
    pub(crate) issuer: Issuer,
    /// `https://host[/prefix]`.
    pub(crate) public_url: String,
    /// The path of `public_url`: empty or `/prefix`.
    pub(crate) prefix: String,
    /// The content security policy of the page.
    pub(crate) policy: HeaderValue,
}

impl App {
    /// Reads the environment.
    ///
    /// # Errors
    /// A variable is missing, or no client can be made.
    pub fn from_env(env: &Env, files: Files) -> Result<Self, StartError> {
        let public_url = env.base_url("PUBLIC_URL")?;
        let client = egress::fixed_client().map_err(|_| StartError::Client)?;
        let issuer = Issuer::new(env.base_url("JWT_ISSUER")?, env.required("CONSOLE_CLIENT_ID")?.to_owned(), client);
        let invalid = |name| ConfigError::Invalid { name, expected: "an address" };
        let bucket = origin_of(&env.base_url("BUCKET_ORIGIN")?).ok_or(invalid("BUCKET_ORIGIN"))?;
        let socket = origin_of(&env.base_url("WEBSOCKET_URL")?).ok_or(invalid("WEBSOCKET_URL"))?;
        let policy = HeaderValue::try_from(page::policy(&bucket, &socket)).map_err(|_| invalid("BUCKET_ORIGIN"))?;
        let prefix = origin_of(&public_url).map(|origin| public_url.split_at(origin.len()).1.to_owned()).ok_or(invalid("PUBLIC_URL"))?;
        Ok(Self { files, issuer, public_url, prefix, policy })
    }

    /// The address of a path of the console.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/console{path}", self.public_url)
    }

    /// Whether browsers reach the console by https. Only this machine's own console is reached without.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.public_url.starts_with("https://")
    }
}

/// `scheme://host[:port]` of an address.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    Some(format!("{scheme}://{host}"))
}

/// The function's routes, with and without the path of the public address before them.
pub fn router(app: Arc<App>) -> Router {
    let routes: Router<Arc<App>> = Router::new()
        .route("/console", get(home))
        .route("/console/", get(home))
        .route("/console/session/login", get(session::login))
        .route("/console/session/callback", get(session::callback))
        .route("/console/session/token", post(session::token))
        .route("/console/session/logout", post(session::logout))
        .route("/console/session/{*rest}", get(page::missing))
        .route("/console/assets/{*path}", get(files::asset))
        .route("/console/{*path}", get(page::page))
        .fallback(page::missing);
    let router = if app.prefix.is_empty() { routes } else { Router::new().nest(&app.prefix, routes.clone()).merge(routes) };
    router.layer(map_response_with_state(app.clone(), with_headers)).with_state(app)
}

async fn home(axum::extract::State(app): axum::extract::State<Arc<App>>) -> Redirect {
    Redirect::to(&app.url("/desk"))
}

/// What holds for every answer.
async fn with_headers(axum::extract::State(app): axum::extract::State<Arc<App>>, mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    if app.is_encrypted() {
        // A year, as browsers' lists of such hosts ask.
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    // Only the files of the application may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}
