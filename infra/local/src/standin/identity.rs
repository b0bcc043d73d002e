//! The identity provider: it publishes its own key and signs tokens with it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;

pub(super) const KEY_ID: &str = "stand-in";

/// The audience of the tokens, for `JwtAudience`.
pub const AUDIENCE: &str = "whatsapp-connector";

/// The key of a stand-in, and its published part.
pub(super) struct Issuer {
    key: EncodingKey,
    keys: JwkSet,
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
        Ok(Self { key, keys: JwkSet { keys: vec![public] } })
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
