//! Callers' tokens: JWTs of one OIDC issuer, verified against its key set.

use std::collections::HashMap;
use std::future::Future;

use domain::agent::Role;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::config::{ConfigError, Env};
use crate::egress;

/// How long keys are cached. A withdrawn key is refused within ten minutes. Issuers announce new ones earlier than
/// that.
const KEYS_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// How much longer the keys are used while the issuer can't be reached, so that its outage is not ours.
const KEYS_GRACE: SignedDuration = SignedDuration::from_hours(1);
/// The shortest time between two fetches. Anybody can send a token with an unknown key id, so it must not cause a
/// call each.
const REFETCH_INTERVAL: SignedDuration = SignedDuration::from_secs(30);
/// How far the clocks of issuer and function may differ.
const LEEWAY_SECONDS: i64 = 60;
/// The longest token. Cognito's tokens with all claims have some 2 KB; API Gateway passes headers of 10 KB.
const MAX_TOKEN_BYTES: usize = 10_240;
/// The longest `sub` claim that OpenID Connect allows (Core 1.0, section 2). A table's key has no room for one of
/// 2,000.
const MAX_SUBJECT_BYTES: usize = 255;

/// The caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The `sub` claim.
    pub subject: String,
    /// The caller's roles: the words of the role claim that are roles, the lowest first.
    pub roles: Vec<Role>,
}

impl Claims {
    /// The highest role.
    pub fn role(&self) -> Option<Role> {
        self.roles.last().copied()
    }

    /// Whether the caller has `role` or one that includes it.
    pub fn may(&self, role: Role) -> bool {
        self.role().is_some_and(|highest| highest >= role)
    }
}

/// Where the role of a caller comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoleSource {
    /// The record of the agent with the token's subject. A removed or demoted agent loses the rights with the next
    /// call.
    #[default]
    Record,
    /// The token alone, for companies that manage roles in their identity provider.
    Claim,
}

impl RoleSource {
    /// Reads `ROLE_SOURCE`: `record` (the default) or `claim`.
    ///
    /// # Errors
    /// It is another word.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        match env.optional("ROLE_SOURCE") {
            None | Some("record") => Ok(Self::Record),
            Some("claim") => Ok(Self::Claim),
            Some(_) => Err(ConfigError::Invalid { name: "ROLE_SOURCE", expected: "record or claim" }),
        }
    }
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It is not a token, not from this issuer or for this audience, not signed with one of its keys, or not valid
    /// now. Answer 401.
    #[error("the token was refused: {0}")]
    Refused(&'static str),
    /// The issuer's keys can't be fetched, so the token can't be checked. Answer 503.
    #[error("the issuer's keys can't be fetched")]
    NoKeys,
}

/// The token in an `Authorization` header.
pub fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

/// The source of the issuer's key set.
pub trait KeySource: Send + Sync {
    /// The key set as JSON; `None` if it can't be fetched.
    fn fetch(&self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// A key set behind a URL.
#[derive(Debug, Clone)]
pub struct HttpKeys {
    client: reqwest::Client,
    url: String,
}

impl KeySource for HttpKeys {
    async fn fetch(&self) -> Option<Vec<u8>> {
        let answer = async { self.client.get(&self.url).send().await?.error_for_status()?.bytes().await }.await;
        answer.inspect_err(|error| tracing::warn!(event = "auth.keys_unreachable", %error)).ok().map(|bytes| bytes.to_vec())
    }
}

/// The rules for tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The `iss` claim.
    pub issuer: String,
    /// The value that the `aud` claim must hold. Without it, any client of the issuer would be let in.
    pub audience: String,
    /// The claim that holds the roles: a string or an array of strings.
    pub role_claim: String,
}

impl Rules {
    fn is_cognito(&self) -> bool {
        self.issuer.starts_with("https://cognito-idp.")
    }
}

/// Verifies tokens.
pub struct Verifier<S = HttpKeys> {
    rules: Rules,
    source: S,
    keys: RwLock<Keys>,
}

#[derive(Default)]
struct Keys {
    by_id: HashMap<String, Key>,
    fetched: Option<Timestamp>,
    tried: Option<Timestamp>,
}

#[derive(Clone)]
struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Payload {
    sub: Option<String>,
    iss: Option<String>,
    exp: Option<f64>,
    nbf: Option<f64>,
    aud: Option<Value>,
    /// Cognito's: `id` or `access`.
    token_use: Option<String>,
    #[serde(flatten)]
    other: HashMap<String, Value>,
}

impl Verifier {
    /// Reads `JWT_ISSUER`, `JWT_AUDIENCE`, `JWKS_URL` and `JWT_ROLE_CLAIM`.
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        // A slash at its end is part of the issuer's name.
        env.base_url("JWT_ISSUER")?;
        let issuer = env.required("JWT_ISSUER")?.to_owned();
        let url = env.base_url_or("JWKS_URL", &format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')))?;
        let rules = Rules {
            issuer,
            audience: env.required("JWT_AUDIENCE")?.to_owned(),
            role_claim: env.optional("JWT_ROLE_CLAIM").unwrap_or("cognito:groups").to_owned(),
        };
        let client =
            egress::fixed_client().map_err(|_| ConfigError::Invalid { name: "JWKS_URL", expected: "a URL that can be fetched" })?;
        Ok(Self::new(rules, HttpKeys { client, url }))
    }
}

impl<S: KeySource> Verifier<S> {
    /// A verifier with these rules and the keys of `source`.
    pub fn new(rules: Rules, source: S) -> Self {
        Self { rules, source, keys: RwLock::default() }
    }

    /// Verifies the token `bearer` (without that word) at `now`, and returns the caller. Accepts RS256 and ES256.
    pub async fn verify(&self, bearer: &str, now: Timestamp) -> Result<Claims, AuthError> {
        if bearer.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Refused("too long"));
        }
        let header = jsonwebtoken::decode_header(bearer).map_err(|_| AuthError::Refused("not a token, or of an unknown algorithm"))?;
        if !matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(AuthError::Refused("algorithm not accepted"));
        }
        let id = header.kid.ok_or(AuthError::Refused("no key id"))?;
        let key = self.key(&id, now).await?;
        // The algorithm is the key's, never the token's choice.
        if key.algorithm != header.alg {
            return Err(AuthError::Refused("algorithm is not the key's"));
        }
        let mut validation = Validation::new(key.algorithm);
        // The claims are checked below, against the given time.
        validation.required_spec_claims.clear();
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let token = jsonwebtoken::decode::<Payload>(bearer, &key.key, &validation).map_err(|_| AuthError::Refused("signature"))?;
        self.check(token.claims, now)
    }

    fn check(&self, claims: Payload, now: Timestamp) -> Result<Claims, AuthError> {
        let now = now.as_second() as f64;
        let leeway = LEEWAY_SECONDS as f64;
        // Written so that a NaN would be refused.
        if !claims.exp.is_some_and(|exp| exp + leeway > now) {
            return Err(AuthError::Refused("expired"));
        }
        if !claims.nbf.is_none_or(|nbf| nbf - leeway <= now) {
            return Err(AuthError::Refused("not valid yet"));
        }
        if claims.iss.as_deref() != Some(self.rules.issuer.as_str()) {
            return Err(AuthError::Refused("issuer"));
        }
        if !claims.aud.as_ref().is_some_and(|named| words(named).any(|word| word == self.rules.audience)) {
            return Err(AuthError::Refused("audience"));
        }
        // Cognito's clients hold the id token. An access token is for other services, and its scopes say for which.
        let is_id = claims.token_use.as_deref().map_or(!self.rules.is_cognito(), |purpose| purpose == "id");
        if !is_id {
            return Err(AuthError::Refused("token use"));
        }
        let subject = claims.sub.filter(|subject| !subject.is_empty()).ok_or(AuthError::Refused("no subject"))?;
        if subject.len() > MAX_SUBJECT_BYTES {
            return Err(AuthError::Refused("subject too long"));
        }
        let mut roles: Vec<Role> = claims.other.get(&self.rules.role_claim).into_iter().flat_map(words).filter_map(role).collect();
        roles.sort();
        roles.dedup();
        Ok(Claims { subject, roles })
    }

    async fn key(&self, id: &str, now: Timestamp) -> Result<Key, AuthError> {
        {
            let keys = self.keys.read().await;
            if let Some(key) = keys.by_id.get(id).filter(|_| keys.fresh(now)) {
                return Ok(key.clone());
            }
        }
        // One caller fetches. Callers that waited for it use its result.
        let mut keys = self.keys.write().await;
        let known = keys.fresh(now) && keys.by_id.contains_key(id);
        if !known && keys.may_fetch(now) {
            keys.tried = Some(now);
            match self.source.fetch().await.and_then(|bytes| parse(&bytes)) {
                Some(by_id) => (keys.by_id, keys.fetched) = (by_id, Some(now)),
                None => tracing::warn!(event = "auth.keys_not_fetched"),
            }
        }
        if !keys.usable(now) {
            return Err(AuthError::NoKeys);
        }
        keys.by_id.get(id).cloned().ok_or(AuthError::Refused("unknown key"))
    }
}

impl Keys {
    fn age(&self, now: Timestamp) -> Option<SignedDuration> {
        self.fetched.map(|fetched| now.duration_since(fetched))
    }

    fn fresh(&self, now: Timestamp) -> bool {
        self.age(now).is_some_and(|age| age < KEYS_LIFETIME)
    }

    fn usable(&self, now: Timestamp) -> bool {
        self.age(now).is_some_and(|age| age < KEYS_LIFETIME + KEYS_GRACE)
    }

    /// Whether a caller may fetch now. Without any keys every caller may: no token can be checked otherwise.
    fn may_fetch(&self, now: Timestamp) -> bool {
        !self.usable(now) || self.tried.is_none_or(|tried| now.duration_since(tried) >= REFETCH_INTERVAL)
    }
}

/// The keys of a set that can verify RS256 or ES256. Others are skipped.
fn parse(bytes: &[u8]) -> Option<HashMap<String, Key>> {
    let set: JwkSet = serde_json::from_slice(bytes).ok()?;
    Some(set.keys.iter().filter_map(usable_key).collect())
}

fn usable_key(jwk: &Jwk) -> Option<(String, Key)> {
    let id = jwk.common.key_id.clone()?;
    if matches!(jwk.common.public_key_use, Some(PublicKeyUse::Encryption)) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    let (algorithm, named) = match key.family() {
        AlgorithmFamily::Rsa => (Algorithm::RS256, KeyAlgorithm::RS256),
        AlgorithmFamily::Ec => (Algorithm::ES256, KeyAlgorithm::ES256),
        _ => return None,
    };
    jwk.common.key_algorithm.is_none_or(|algorithm| algorithm == named).then_some((id, Key { algorithm, key }))
}

/// The strings in a claim that is a string or an array of strings.
fn words(value: &Value) -> impl Iterator<Item = &str> {
    let (one, many) = match value {
        Value::String(word) => (Some(word.as_str()), &[][..]),
        Value::Array(words) => (None, words.as_slice()),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(many.iter().filter_map(Value::as_str))
}

fn role(word: &str) -> Option<Role> {
    match word {
        "agent" => Some(Role::Agent),
        "supervisor" => Some(Role::Supervisor),
        "admin" => Some(Role::Admin),
        "owner" => Some(Role::Owner),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://issuer.example/pool";

    struct Pair {
        id: &'static str,
        algorithm: Algorithm,
        private: EncodingKey,
    }

    fn es256(id: &'static str) -> Pair {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Pair { id, algorithm: Algorithm::ES256, private: EncodingKey::from_ec_der(pair.to_pkcs8v1().unwrap().as_ref()) }
    }

    fn rs256(id: &'static str) -> Pair {
        let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
        let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
        // The library wants PKCS #1, which follows the 26 bytes of header that PKCS #8 puts before a key of 2048
        // bits.
        let pkcs1 = &der.as_ref()[26..];
        Pair { id, algorithm: Algorithm::RS256, private: EncodingKey::from_rsa_der(pkcs1) }
    }

    impl Pair {
        fn jwk(&self) -> Value {
            let mut jwk = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
            jwk.common.key_id = Some(self.id.into());
            serde_json::to_value(jwk).unwrap()
        }

        fn sign(&self, claims: &Value) -> String {
            let header = Header { kid: Some(self.id.into()), ..Header::new(self.algorithm) };
            encode(&header, claims, &self.private).unwrap()
        }
    }

    /// An issuer whose answers can be changed and counted.
    #[derive(Clone, Default)]
    struct FakeIssuer(std::sync::Arc<Mutex<(Option<Value>, usize)>>);

    impl FakeIssuer {
        fn with(keys: &[&Pair]) -> Self {
            let issuer = Self::default();
            issuer.answer(Some(keys));
            issuer
        }

        fn answer(&self, keys: Option<&[&Pair]>) {
            self.0.lock().unwrap().0 = keys.map(|keys| json!({ "keys": keys.iter().map(|key| key.jwk()).collect::<Vec<_>>() }));
        }

        fn calls(&self) -> usize {
            self.0.lock().unwrap().1
        }
    }

    impl KeySource for FakeIssuer {
        async fn fetch(&self) -> Option<Vec<u8>> {
            let mut state = self.0.lock().unwrap();
            state.1 += 1;
            state.0.as_ref().map(|keys| keys.to_string().into_bytes())
        }
    }

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn after(seconds: i64) -> Timestamp {
        now() + SignedDuration::from_secs(seconds)
    }

    fn claims() -> Value {
        json!({ "sub": "s-1", "iss": ISSUER, "aud": "app", "exp": now().as_second() + 3600, "cognito:groups": ["agent"] })
    }

    fn claims_with(name: &str, value: Value) -> Value {
        let mut claims = claims();
        claims[name] = value;
        claims
    }

    fn claims_without(name: &str) -> Value {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        claims
    }

    fn verifier(issuer: &FakeIssuer) -> Verifier<FakeIssuer> {
        let rules = Rules { issuer: ISSUER.into(), audience: "app".into(), role_claim: "cognito:groups".into() };
        Verifier::new(rules, issuer.clone())
    }

    #[tokio::test]
    async fn tokens_signed_with_a_key_of_the_issuer_are_accepted() {
        for pair in [es256("k"), rs256("k")] {
            let issuer = FakeIssuer::with(&[&pair]);
            let accepted = verifier(&issuer).verify(&pair.sign(&claims()), now()).await;
            assert_eq!(accepted, Ok(Claims { subject: "s-1".into(), roles: vec![Role::Agent] }));
        }
    }

    #[tokio::test]
    async fn tokens_of_another_key_are_refused_also_under_a_known_id() {
        let issuer = FakeIssuer::with(&[&es256("k")]);
        let verifier = verifier(&issuer);
        assert_eq!(verifier.verify(&es256("k").sign(&claims()), now()).await, Err(AuthError::Refused("signature")));
        let rsa = rs256("k").sign(&claims());
        assert_eq!(verifier.verify(&rsa, now()).await, Err(AuthError::Refused("algorithm is not the key's")));
    }

    #[tokio::test]
    async fn a_changed_token_is_refused() {
        let pair = es256("k");
        let verifier = verifier(&FakeIssuer::with(&[&pair]));
        let (good, owner) = (pair.sign(&claims()), pair.sign(&claims_with("cognito:groups", json!(["owner"]))));
        let (good, owner): (Vec<&str>, Vec<&str>) = (good.split('.').collect(), owner.split('.').collect());
        let forged = [good[0], owner[1], good[2]].join(".");
        assert_eq!(verifier.verify(&forged, now()).await, Err(AuthError::Refused("signature")));
    }

    #[tokio::test]
    async fn unsigned_and_symmetric_tokens_are_refused() {
        let pair = es256("k");
        let issuer = FakeIssuer::with(&[&pair]);
        let verifier = verifier(&issuer);
        let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
        let none = format!("{}.{}.", base64(r#"{"alg":"none","kid":"k"}"#), base64(&claims().to_string()));
        let public = pair.jwk()["x"].as_str().unwrap().to_owned();
        let header = Header { kid: Some("k".into()), ..Header::new(Algorithm::HS256) };
        let symmetric = encode(&header, &claims(), &EncodingKey::from_secret(public.as_bytes())).unwrap();
        for token in [none, symmetric, String::new(), "a.b.c".into(), "x".repeat(MAX_TOKEN_BYTES + 1)] {
            assert!(matches!(verifier.verify(&token, now()).await, Err(AuthError::Refused(_))));
        }
        assert_eq!(issuer.calls(), 0, "none of them costs a call");
    }

    #[tokio::test]
    async fn claims_that_do_not_fit_are_refused() {
        let pair = es256("k");
        let verifier = verifier(&FakeIssuer::with(&[&pair]));
        let second = now().as_second();
        for (claims, why) in [
            (claims_with("exp", json!(second - 60)), "expired"),
            (claims_with("exp", json!("never")), "signature"),
            (claims_without("exp"), "expired"),
            (claims_with("nbf", json!(second + 61)), "not valid yet"),
            (claims_with("iss", json!("https://other.example")), "issuer"),
            (claims_without("iss"), "issuer"),
            (claims_with("aud", json!("other")), "audience"),
            (claims_without("aud"), "audience"),
            (claims_without("sub"), "no subject"),
            (claims_with("sub", json!("")), "no subject"),
            (claims_with("sub", json!("x".repeat(256))), "subject too long"),
            (claims_with("sub", json!("x".repeat(2_000))), "subject too long"),
            (claims_with("sub", json!(7)), "signature"),
        ] {
            assert_eq!(verifier.verify(&pair.sign(&claims), now()).await, Err(AuthError::Refused(why)));
        }
        for claims in [claims_with("exp", json!(second - 59)), claims_with("nbf", json!(second + 60))] {
            assert!(verifier.verify(&pair.sign(&claims), now()).await.is_ok(), "clocks may differ by a minute");
        }
        assert!(verifier.verify(&pair.sign(&claims_with("sub", json!("x".repeat(255)))), now()).await.is_ok());
        assert!(verifier.verify(&pair.sign(&claims_with("aud", json!(["x", "app"]))), now()).await.is_ok());
        // Other claims may be as long as a token may be: nothing is made of them.
        assert!(verifier.verify(&pair.sign(&claims_with("cognito:groups", json!("x".repeat(4_000)))), now()).await.is_ok());
    }

    #[tokio::test]
    async fn an_access_token_is_refused_and_cognitos_must_say_that_they_are_id_tokens() {
        let pair = es256("k");
        let of = |issuer: &str| Rules { issuer: issuer.into(), audience: "app".into(), role_claim: "cognito:groups".into() };
        let cognito = "https://cognito-idp.eu-south-1.amazonaws.com/eu-south-1_abc";
        for (issuer, token_use, accepted) in [
            (cognito, Some("id"), true),
            (cognito, Some("access"), false),
            (cognito, None, false),
            (ISSUER, None, true),
            (ISSUER, Some("id"), true),
            (ISSUER, Some("access"), false),
        ] {
            let verifier = Verifier::new(of(issuer), FakeIssuer::with(&[&pair]));
            let mut claims = claims_with("iss", json!(issuer));
            claims.as_object_mut().unwrap().extend(token_use.map(|purpose| ("token_use".to_owned(), json!(purpose))));
            let outcome = verifier.verify(&pair.sign(&claims), now()).await.map(|_| ());
            assert_eq!(outcome, if accepted { Ok(()) } else { Err(AuthError::Refused("token use")) }, "{issuer} {token_use:?}");
        }
        // Cognito's access tokens name the client in another claim, which is no audience.
        let mut access = claims_without("aud");
        access["client_id"] = json!("app");
        assert_eq!(verifier(&FakeIssuer::with(&[&pair])).verify(&pair.sign(&access), now()).await, Err(AuthError::Refused("audience")));
    }

    #[test]
    fn a_function_does_not_start_without_an_audience_or_with_keys_that_anybody_could_change_on_their_way() {
        let env = |more: &[(&'static str, &'static str)]| {
            let all = [("JWT_ISSUER", "https://issuer.example/"), ("JWT_AUDIENCE", "app")].into_iter().chain(more.iter().copied());
            Env::from_pairs(all.collect::<HashMap<_, _>>())
        };
        let verifier = Verifier::from_env(&env(&[])).unwrap();
        assert_eq!((verifier.rules.issuer.as_str(), verifier.rules.audience.as_str()), ("https://issuer.example/", "app"));
        assert_eq!(verifier.source.url, "https://issuer.example/.well-known/jwks.json");
        let refused = |more: &[(&'static str, &'static str)]| Verifier::from_env(&env(more)).err();
        assert_eq!(refused(&[("JWT_AUDIENCE", "")]), Some(ConfigError::Missing("JWT_AUDIENCE")));
        for name in ["JWT_ISSUER", "JWKS_URL"] {
            assert!(
                matches!(refused(&[(name, "http://issuer.example")]), Some(ConfigError::Invalid { name: named, .. }) if named == name),
                "{name}"
            );
        }
    }

    #[tokio::test]
    async fn roles_come_from_a_string_or_an_array_and_unknown_words_are_ignored() {
        let pair = es256("k");
        let verifier = verifier(&FakeIssuer::with(&[&pair]));
        for (value, roles) in [
            (json!("admin"), vec![Role::Admin]),
            (json!(["owner", "agent", "agent", "staff", 7]), vec![Role::Agent, Role::Owner]),
            (json!({"admin": true}), vec![]),
        ] {
            let accepted = verifier.verify(&pair.sign(&claims_with("cognito:groups", value)), now()).await.unwrap();
            assert_eq!(accepted.roles, roles);
        }
        let supervisor = Claims { subject: "s".into(), roles: vec![Role::Supervisor] };
        assert!(supervisor.may(Role::Agent) && supervisor.may(Role::Supervisor) && !supervisor.may(Role::Admin));
        assert!(!Claims { subject: "s".into(), roles: vec![] }.may(Role::Agent));
    }

    #[tokio::test]
    async fn keys_are_kept_for_ten_minutes() {
        let pair = es256("k");
        let issuer = FakeIssuer::with(&[&pair]);
        let verifier = verifier(&issuer);
        let token = pair.sign(&claims());
        for (seconds, calls) in [(0, 1), (599, 1), (600, 2), (700, 2)] {
            assert!(verifier.verify(&token, after(seconds)).await.is_ok());
            assert_eq!(issuer.calls(), calls, "at {seconds} s");
        }
    }

    #[tokio::test]
    async fn a_new_key_is_fetched_but_unknown_ids_ask_once_in_thirty_seconds() {
        let (old, new) = (es256("old"), es256("new"));
        let issuer = FakeIssuer::with(&[&old]);
        let verifier = verifier(&issuer);
        assert!(verifier.verify(&old.sign(&claims()), now()).await.is_ok());
        for seconds in [1, 29] {
            let refused = verifier.verify(&new.sign(&claims()), after(seconds)).await;
            assert_eq!((refused, issuer.calls()), (Err(AuthError::Refused("unknown key")), 1));
        }
        issuer.answer(Some(&[&old, &new]));
        assert!(verifier.verify(&new.sign(&claims()), after(30)).await.is_ok());
        assert_eq!(issuer.calls(), 2);
    }

    #[tokio::test]
    async fn an_outage_of_the_issuer_is_bridged_for_an_hour() {
        let pair = es256("k");
        let issuer = FakeIssuer::with(&[&pair]);
        let verifier = verifier(&issuer);
        let token = pair.sign(&claims_with("exp", json!(now().as_second() + 100_000)));
        assert!(verifier.verify(&token, now()).await.is_ok());
        issuer.answer(None);
        assert!(verifier.verify(&token, after(600)).await.is_ok());
        assert!(verifier.verify(&token, after(629)).await.is_ok());
        assert_eq!(issuer.calls(), 2, "an issuer that is down is called once in 30 seconds");
        assert!(verifier.verify(&token, after(4_199)).await.is_ok());
        assert_eq!(verifier.verify(&token, after(4_200)).await, Err(AuthError::NoKeys));
        issuer.answer(Some(&[&pair]));
        assert!(verifier.verify(&token, after(4_201)).await.is_ok());
    }

    #[tokio::test]
    async fn without_keys_no_token_is_judged() {
        let pair = es256("k");
        assert_eq!(verifier(&FakeIssuer::default()).verify(&pair.sign(&claims()), now()).await, Err(AuthError::NoKeys));
    }

    #[tokio::test]
    async fn keys_for_encryption_or_of_other_algorithms_are_skipped() {
        let pair = es256("k");
        let mut encryption = pair.jwk();
        encryption["use"] = json!("enc");
        let mut other = pair.jwk();
        other["alg"] = json!("ES384");
        let odd = json!({ "keys": [encryption, other, { "kty": "oct", "kid": "o", "k": "AAAA" }] });
        assert!(parse(odd.to_string().as_bytes()).unwrap().is_empty());
    }

    #[test]
    fn the_bearer_token_is_taken_from_the_header() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer abc"), Some("abc"));
        for bad in ["", "Bearer", "Bearer ", "Basic abc"] {
            assert_eq!(bearer(bad), None);
        }
    }
}
