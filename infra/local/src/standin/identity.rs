//! The identity provider: it publishes its own key and signs tokens with it. People log in at `/authorize` with one
//! click: authorization code with PKCE (RFC 6749, RFC 7636), discovery, renewal, revocation and logout as OpenID
//! Connect names them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use ulid::Ulid;

use super::Shared;

pub(super) const KEY_ID: &str = "stand-in";

/// The audience of the tokens, for `JwtAudience`.
pub const AUDIENCE: &str = "whatsapp-connector";

/// The people of the demo, whom the page of `/authorize` offers: subjects, each with the role of its token.
const PEOPLE: [(&str, &str); 5] =
    [("anna", "agent"), ("ben", "agent"), ("supervisor", "supervisor"), ("admin", "admin"), ("owner", "owner")];

/// How long an id token lasts, as the user pool's.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// The key of a stand-in, its published part, and who is logging in.
pub(super) struct Issuer {
    key: EncodingKey,
    keys: JwkSet,
    logins: Mutex<Logins>,
}

#[derive(Default)]
struct Logins {
    /// Codes that were given out and not yet exchanged.
    codes: HashMap<String, Asked>,
    /// Refresh tokens with their subjects.
    sessions: HashMap<String, String>,
}

impl Issuer {
    pub(super) fn new() -> Result<Self> {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        let random = aws_lc_rs::rand::SystemRandom::new();
        let Ok(document) = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random) else {
            bail!("no key for the tokens can be made");
        };
        let key = EncodingKey::from_ec_der(document.as_ref());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
        public.common.key_id = Some(KEY_ID.to_owned());
        Ok(Self { key, keys: JwkSet { keys: vec![public] }, logins: Mutex::default() })
    }

    pub(super) fn mint(&self, url: &str, subject: &str, roles: &[&str], ttl: Duration) -> Result<String> {
        let now = jiff::Timestamp::now().as_second();
        self.sign(&json!({
            "iss": url,
            "sub": subject,
            "aud": AUDIENCE,
            "cognito:groups": roles,
            "iat": now,
            "exp": now.saturating_add_unsigned(ttl.as_secs()),
        }))
    }

    pub(super) fn sign(&self, claims: &Value) -> Result<String> {
        let header = Header { kid: Some(KEY_ID.to_owned()), ..Header::new(Algorithm::ES256) };
        Ok(jsonwebtoken::encode(&header, claims, &self.key)?)
    }
}

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/.well-known/jwks.json", get(async |State(shared): State<Arc<Shared>>| Json(shared.issuer.keys.clone())))
        .route("/_standin/tokens", post(tokens))
        .route("/.well-known/openid-configuration", get(describe))
        .route("/authorize", get(authorize))
        .route("/authorize/as", get(authorize_as))
        .route("/token", post(exchange))
        .route("/revoke", post(revoke))
        .route("/logout", get(logout))
}

#[derive(Deserialize)]
struct Wanted {
    subject: String,
    #[serde(default)]
    roles: Vec<String>,
    ttl_s: Option<u64>,
}

async fn tokens(State(shared): State<Arc<Shared>>, Json(wanted): Json<Wanted>) -> Response {
    let roles: Vec<&str> = wanted.roles.iter().map(String::as_str).collect();
    // Nobody tries things out for longer than a working day.
    let ttl = Duration::from_secs(wanted.ttl_s.unwrap_or(8 * 3600));
    match shared.issuer.mint(&shared.url, &wanted.subject, &roles, ttl) {
        Ok(token) => (StatusCode::CREATED, Json(json!({ "token": token }))).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn describe(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let url = &shared.url;
    Json(json!({
        "issuer": url,
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "revocation_endpoint": format!("{url}/revoke"),
        "end_session_endpoint": format!("{url}/logout"),
        "jwks_uri": format!("{url}/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "email", "profile"],
        "code_challenge_methods_supported": ["S256"],
    }))
}

/// A login as the client asks for it.
#[derive(Clone, Deserialize)]
struct Asked {
    response_type: String,
    client_id: String,
    redirect_uri: String,
    state: String,
    code_challenge: String,
    code_challenge_method: String,
    /// Who was clicked.
    #[serde(default)]
    subject: String,
}

impl Asked {
    /// The refusal of a request that no client of ours makes. Codes leave this machine for nobody.
    fn refusal(&self) -> Option<Response> {
        let local = ["http://127.0.0.1:", "http://localhost:"].iter().any(|origin| self.redirect_uri.starts_with(origin));
        let good = self.response_type == "code" && self.client_id == AUDIENCE && self.code_challenge_method == "S256" && local;
        (!good).then(|| (StatusCode::BAD_REQUEST, "This is not a login of the console on this machine.").into_response())
    }
}

/// The page with the people.
async fn authorize(Query(asked): Query<Asked>) -> Response {
    if let Some(refusal) = asked.refusal() {
        return refusal;
    }
    let hidden = [
        ("response_type", &asked.response_type),
        ("client_id", &asked.client_id),
        ("redirect_uri", &asked.redirect_uri),
        ("state", &asked.state),
        ("code_challenge", &asked.code_challenge),
        ("code_challenge_method", &asked.code_challenge_method),
    ];
    let hidden: String = hidden.map(|(name, value)| format!(r#"<input type="hidden" name="{name}" value="{}">"#, escaped(value))).concat();
    let people: String = PEOPLE
        .map(|(subject, role)| format!(r#"<button name="subject" value="{subject}"><b>{subject}</b> <span>{role}</span></button>"#))
        .concat();
    Html(format!(
        r#"<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Log in</title>
<style>:root{{color-scheme:light dark}}body{{font:16px/24px system-ui;max-width:320px;margin:15vh auto;padding:0 16px}}
button{{display:flex;justify-content:space-between;width:100%;margin:8px 0;padding:12px 16px;font:inherit;border:1px solid #7C8783;border-radius:8px}}</style>
<h1>Who are you?</h1><p>This page stands in for the company's identity provider.</p><form action="/authorize/as">{hidden}{people}</form></html>"#
    ))
    .into_response()
}

fn escaped(value: &str) -> String {
    value.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// The click on a person.
async fn authorize_as(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    if let Some(refusal) = asked.refusal() {
        return refusal;
    }
    let code = format!("code-{}", Ulid::generate());
    let Ok(url) = reqwest::Url::parse_with_params(&asked.redirect_uri, [("code", code.as_str()), ("state", &asked.state)]) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    shared.issuer.logins.lock().unwrap_or_else(PoisonError::into_inner).codes.insert(code, asked);
    Redirect::to(url.as_str()).into_response()
}

/// A request for tokens.
#[derive(Deserialize)]
struct Exchange {
    grant_type: String,
    client_id: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    code_verifier: String,
    #[serde(default)]
    refresh_token: String,
}

async fn exchange(State(shared): State<Arc<Shared>>, Form(wanted): Form<Exchange>) -> Response {
    let refused = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    if wanted.client_id != AUDIENCE {
        return refused("invalid_client");
    }
    let (subject, session) = {
        let mut logins = shared.issuer.logins.lock().unwrap_or_else(PoisonError::into_inner);
        match wanted.grant_type.as_str() {
            "authorization_code" => {
                // A code is good once, whatever becomes of it.
                let Some(asked) = logins.codes.remove(&wanted.code) else { return refused("invalid_grant") };
                let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, wanted.code_verifier.as_bytes());
                if BASE64_URL_SAFE_NO_PAD.encode(digest) != asked.code_challenge || wanted.redirect_uri != asked.redirect_uri {
                    return refused("invalid_grant");
                }
                let session = format!("session-{}", Ulid::generate());
                logins.sessions.insert(session.clone(), asked.subject.clone());
                (asked.subject, Some(session))
            }
            "refresh_token" => match logins.sessions.get(&wanted.refresh_token) {
                Some(subject) => (subject.clone(), None),
                None => return refused("invalid_grant"),
            },
            _ => return refused("unsupported_grant_type"),
        }
    };
    let roles: Vec<_> = PEOPLE.iter().filter(|(name, _)| *name == subject).map(|(_, role)| *role).collect();
    match shared.issuer.mint(&shared.url, &subject, &roles, TOKEN_LIFETIME) {
        Ok(token) => {
            let mut answer =
                json!({"id_token": token, "access_token": token, "token_type": "Bearer", "expires_in": TOKEN_LIFETIME.as_secs()});
            if let Some(session) = session {
                answer["refresh_token"] = session.into();
            }
            Json(answer).into_response()
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

#[derive(Deserialize)]
struct Revocation {
    token: String,
}

async fn revoke(State(shared): State<Arc<Shared>>, Form(revocation): Form<Revocation>) {
    shared.issuer.logins.lock().unwrap_or_else(PoisonError::into_inner).sessions.remove(&revocation.token);
}

#[derive(Deserialize)]
struct Leaving {
    post_logout_redirect_uri: String,
}

/// There is no session of the provider's own to end.
async fn logout(Query(leaving): Query<Leaving>) -> Redirect {
    Redirect::to(&leaving.post_logout_redirect_uri)
}
