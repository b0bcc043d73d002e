//! Login, renewal and logout: a token-mediating backend. Scripts never see the refresh token.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::app::{App, origin_of};
use crate::issuer::Refusal;

/// The refresh token. As long as the user pool's: a shift of twelve hours.
const SESSION: Cookie = Cookie { name: "console-session", same_site: "Strict", max_age: 12 * 3600 };
/// The login under way: its state, its verifier, and where it leads. `Lax`, because the issuer's page sends the
/// browser back. Ten minutes are enough to find a second factor.
const LOGIN: Cookie = Cookie { name: "console-login", same_site: "Lax", max_age: 600 };

/// A cookie that only this function reads.
struct Cookie {
    name: &'static str,
    same_site: &'static str,
    /// Seconds.
    max_age: u32,
}

impl Cookie {
    /// Its name. The prefix makes a browser refuse a cookie of this name that a plain connection has set.
    fn name(&self, app: &App) -> String {
        if app.is_encrypted() { format!("__Secure-{}", self.name) } else { self.name.to_owned() }
    }

    fn set(&self, app: &App, value: &str) -> HeaderValue {
        self.line(app, value, self.max_age)
    }

    fn clear(&self, app: &App) -> HeaderValue {
        self.line(app, "", 0)
    }

    fn line(&self, app: &App, value: &str, max_age: u32) -> HeaderValue {
        let (name, same_site) = (self.name(app), self.same_site);
        let secure = if app.is_encrypted() { "; Secure" } else { "" };
        let path = format!("{}/console/session", app.prefix);
        let line = format!("{name}={value}; Path={path}; Max-Age={max_age}; HttpOnly; SameSite={same_site}{secure}");
        // Values are tokens and base64; an issuer whose token has other characters gets no session.
        HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
    }

    fn read<'a>(&self, app: &App, headers: &'a HeaderMap) -> Option<&'a str> {
        let name = self.name(app);
        let lines = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
        let mut cookies = lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        cookies.find(|(found, _)| *found == name).map(|(_, value)| value).filter(|value| !value.is_empty())
    }
}

/// An unguessable word of 256 bits, as RFC 7636 recommends.
fn word() -> Option<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// A path of the console, so that a link can't lead elsewhere after a login.
fn inside(to: Option<&str>) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
    to.filter(|to| to.starts_with('/') && !to.starts_with("//") && to.bytes().all(plain)).unwrap_or("/desk")
}

fn see_other(url: &str) -> Response {
    Redirect::to(url).into_response()
}

fn with_cookies(mut answer: Response, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    for cookie in cookies {
        answer.headers_mut().append(header::SET_COOKIE, cookie);
    }
    answer
}

fn problem(status: StatusCode, title: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, Json(json!({"type": "about:blank", "title": title, "status": status.as_u16()})).into_response()).into_response()
}

/// The address with these parameters added.
fn with_query(url: &str, parameters: &[(&str, &str)]) -> Option<String> {
    reqwest::Url::parse_with_params(url, parameters).ok().map(Into::into)
}

#[derive(Deserialize)]
pub(crate) struct Login {
    to: Option<String>,
}

/// `GET /console/session/login?to=/desk`
pub(crate) async fn login(State(app): State<Arc<App>>, Query(login): Query<Login>) -> Response {
    let failed = || see_other(&app.url("/login?problem=issuer"));
    let Ok(issuer) = app.issuer.description().await.inspect_err(|refusal| tracing::warn!(event = "login.failed", %refusal)) else {
        return failed();
    };
    let Some((state, verifier)) = word().zip(word()) else { return failed() };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    let callback = app.url("/session/callback");
    let parameters = [
        ("response_type", "code"),
        ("client_id", app.issuer.client_id.as_str()),
        ("redirect_uri", callback.as_str()),
        ("scope", issuer.scope()),
        ("state", state.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let Some(url) = with_query(&issuer.authorization_endpoint, &parameters) else { return failed() };
    let cookie = LOGIN.set(&app, &format!("{state}.{verifier}.{}", inside(login.to.as_deref())));
    with_cookies(see_other(&url), [cookie])
}

#[derive(Deserialize)]
pub(crate) struct Callback {
    code: Option<String>,
    state: Option<String>,
}

/// `GET /console/session/callback`
pub(crate) async fn callback(State(app): State<Arc<App>>, Query(callback): Query<Callback>, request: HeaderMap) -> Response {
    let back =
        |path: &str, cookies: Vec<HeaderValue>| with_cookies(see_other(&app.url(path)), cookies.into_iter().chain([LOGIN.clear(&app)]));
    let begun = LOGIN.read(&app, &request).and_then(|value| {
        let mut parts = value.splitn(3, '.');
        Some((parts.next()?, parts.next()?, parts.next()?))
    });
    let (Some((state, verifier, to)), Some(given), Some(code)) = (begun, &callback.state, &callback.code) else {
        return back("/login?problem=login", vec![]);
    };
    // The state ties the answer to the browser that asked: nobody is logged in as somebody else by a link.
    if !bool::from(state.as_bytes().ct_eq(given.as_bytes())) {
        return back("/login?problem=login", vec![]);
    }
    match app.issuer.exchange(code, verifier, &app.url("/session/callback")).await {
        Ok(tokens) => match tokens.refresh_token {
            Some(refresh) => back(inside(Some(to)), vec![SESSION.set(&app, &refresh)]),
            None => {
                tracing::error!(event = "login.failed", reason = "the issuer gives no refresh token");
                back("/login?problem=issuer", vec![])
            }
        },
        Err(refusal) => {
            tracing::warn!(event = "login.failed", %refusal);
            back(if refusal == Refusal::Invalid { "/login?problem=login" } else { "/login?problem=issuer" }, vec![])
        }
    }
}

/// Whether a page of the console itself asks. Cookies of the same site travel with requests of its other hosts too.
fn is_ours(app: &App, request: &HeaderMap) -> bool {
    let origin = request.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    origin.is_some() && origin == origin_of(&app.public_url).as_deref() && request.contains_key("x-console")
}

/// `POST /console/session/token`
pub(crate) async fn token(State(app): State<Arc<App>>, request: HeaderMap) -> Response {
    if !is_ours(&app, &request) {
        return problem(StatusCode::FORBIDDEN, "Not a page of the console");
    }
    let Some(refresh) = SESSION.read(&app, &request) else { return problem(StatusCode::UNAUTHORIZED, "Log in") };
    match app.issuer.renew(refresh).await {
        Ok(tokens) => {
            let answer = Json(json!({"id_token": tokens.id_token, "expires_in": tokens.expires_in})).into_response();
            // An issuer that rotates its refresh tokens gives a new one.
            with_cookies(answer, tokens.refresh_token.map(|refresh| SESSION.set(&app, &refresh)))
        }
        Err(Refusal::Invalid) => with_cookies(problem(StatusCode::UNAUTHORIZED, "The session has ended"), [SESSION.clear(&app)]),
        Err(refusal @ Refusal::Unavailable) => {
            tracing::warn!(event = "renewal.failed", %refusal);
            let mut answer = problem(StatusCode::SERVICE_UNAVAILABLE, "The identity provider does not answer");
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            answer
        }
    }
}

/// `POST /console/session/logout`: `{"url"}`, where the session at the issuer is ended.
pub(crate) async fn logout(State(app): State<Arc<App>>, request: HeaderMap) -> Response {
    if !is_ours(&app, &request) {
        return problem(StatusCode::FORBIDDEN, "Not a page of the console");
    }
    if let Some(refresh) = SESSION.read(&app, &request)
        && let Err(refusal) = app.issuer.revoke(refresh).await
    {
        tracing::warn!(event = "logout.failed", %refusal);
    }
    let after = app.url("/login");
    let issuer = app.issuer.description().await.ok().and_then(|issuer| issuer.end_session_endpoint);
    // OpenID Connect's name of the address to come back to, and Cognito's.
    let parameters = [("client_id", app.issuer.client_id.as_str()), ("post_logout_redirect_uri", &after), ("logout_uri", &after)];
    let url = issuer.and_then(|url| with_query(&url, &parameters)).unwrap_or(after.clone());
    with_cookies(Json(json!({ "url": url })).into_response(), [SESSION.clear(&app)])
}

#[cfg(test)]
mod tests;
