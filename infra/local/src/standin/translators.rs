//! Amazon Translate (under `/translate`, in the SDK's protocol: Smithy RPC v2 CBOR) and Google Cloud Translation
//! (under `/google-translate`, both editions, and `/google-token`), as their public documentation shows them. They
//! know the sentences of the demo;
//! anything else comes back with the target's code before it. Faults name `provider` `TRANSLATE`,
//! `GOOGLE_TRANSLATE` or `GOOGLE_TOKEN`; `code` is the exception, or Google's message.

use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::body::Bytes;
use axum::extract::{Form, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Fault, On, Shared, Silence, bearer, reply, silent, text};

/// The key that Google's stand-in takes.
pub const GOOGLE_KEY: &str = "AIzaStandInKeyOfTheLocalRun000000000000";

const AMAZON: &str = "TRANSLATE";
const GOOGLE: &str = "GOOGLE_TRANSLATE";
const TOKEN: &str = "GOOGLE_TOKEN";

/// The project and the address of the service account.
const PROJECT: &str = "stand-in-1";
const SERVICE_ACCOUNT: &str = "translator@stand-in-1.iam.gserviceaccount.com";

/// A line that a translator was asked to translate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// `TRANSLATE` or `GOOGLE_TRANSLATE`.
    pub service: &'static str,
    /// The line.
    pub text: String,
    /// The source's code; `auto` if it was to be detected.
    pub source: String,
    /// The target's code.
    pub target: String,
}

/// Codes that both know.
const CODES: [&str; 12] = ["en", "it", "pt", "pt-PT", "es", "de", "fr", "zh", "zh-TW", "no", "tl", "ja"];

/// Words that tell a language.
const WORDS: [(&str, &[&str]); 6] = [
    ("pt", &["olá", "não", "meu", "minha", "chegou", "ainda", "encomenda", "obrigado", "obrigada", "quando", "você", "pedido"]),
    ("it", &["ciao", "non", "il", "mio", "grazie", "ordine", "domani", "arriva", "quando", "è", "buongiorno", "pacco"]),
    ("es", &["hola", "mi", "gracias", "pedido", "cuándo", "llega", "todavía", "está"]),
    ("de", &["hallo", "nicht", "mein", "danke", "bestellung", "wann", "ist", "noch"]),
    ("fr", &["bonjour", "mon", "merci", "commande", "quand", "pas", "est", "encore"]),
    ("en", &["hello", "my", "the", "thanks", "order", "when", "is", "not", "yet", "has", "arrived"]),
];

/// The sentences of the demo, in Portuguese, Italian and English.
const SENTENCES: [[(&str, &str); 3]; 5] = [
    [
        ("pt", "Olá, a minha encomenda ainda não chegou."),
        ("it", "Buongiorno, il mio pacco non è ancora arrivato."),
        ("en", "Hello, my order has not arrived yet."),
    ],
    [("pt", "Quando chega o meu pedido?"), ("it", "Quando arriva il mio ordine?"), ("en", "When does my order arrive?")],
    [("pt", "Chega amanhã de manhã."), ("it", "Arriva domani mattina."), ("en", "It arrives tomorrow morning.")],
    [("pt", "Muito obrigado!"), ("it", "Grazie mille!"), ("en", "Thank you very much!")],
    [("pt", "Olá!"), ("it", "Ciao!"), ("en", "Hello!")],
];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/translate/service/AWSShineFrontendService_20170701/operation/TranslateText", post(amazon))
        .route("/google-translate/language/translate/v2", post(google))
        .route("/google-translate/v3/projects/{project}/locations/global:translateText", post(google_advanced))
        .route("/google-token/token", post(google_token))
}

/// The language that most words of the text belong to.
fn detected(text: &str) -> Option<&'static str> {
    let lower = text.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
    let counted = WORDS.iter().map(|(code, known)| (words.iter().filter(|word| known.contains(*word)).count(), *code));
    counted.filter(|(count, _)| *count > 0).max_by_key(|(count, _)| *count).map(|(_, code)| code)
}

fn translated(text: &str, source: &str, target: &str) -> String {
    if source == target {
        return text.to_owned();
    }
    let known = SENTENCES.iter().find(|sentence| sentence.iter().any(|(_, known)| *known == text));
    let found = known.and_then(|sentence| sentence.iter().find(|(code, _)| *code == target));
    found.map_or_else(|| format!("[{target}] {text}"), |(_, text)| (*text).to_owned())
}

impl Shared {
    fn note(&self, service: &'static str, text: &str, source: &str, target: &str) {
        let asked = Asked { service, text: text.to_owned(), source: source.to_owned(), target: target.to_owned() };
        self.change(|inside| inside.asked.push(asked));
    }

    /// The fault that waits for a request to this service.
    pub(super) fn fault_of(&self, service: &str) -> Option<Fault> {
        let mut inside = self.inside();
        let meant = |fault: &Fault| fault.on == On::Api && fault.provider.as_deref() == Some(service);
        let place = inside.next.iter().position(meant)?;
        inside.next.remove(place)
    }
}

fn exception(status: u16, kind: &str, more: &Value) -> Response {
    let mut body = json!({ "__type": format!("com.amazonaws.translate#{kind}"), "Message": "refused by the stand-in" });
    if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
        body.extend(more.clone());
    }
    cbor(status, &body)
}

/// An answer of the protocol that the SDK speaks with this service: Smithy RPC v2 CBOR.
fn cbor(status: u16, body: &Value) -> Response {
    let mut bytes = Vec::new();
    if ciborium::into_writer(body, &mut bytes).is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")], bytes).into_response()
}

async fn amazon(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    if let Some(fault) = shared.fault_of(AMAZON) {
        match (fault.status, fault.fault) {
            (Some(status), _) => {
                let code = fault.code.map_or_else(|| "InternalServerException".to_owned(), |code| code.0);
                return exception(status, &code, &Value::Null);
            }
            (None, silence) => return silent(silence.unwrap_or(Silence::Timeout)).await,
        }
    }
    let Ok(asked) = ciborium::from_reader::<Value, _>(&*body) else {
        return exception(400, "SerializationException", &Value::Null);
    };
    if !headers.contains_key("authorization") {
        return exception(403, "MissingAuthenticationTokenException", &Value::Null);
    }
    let (line, source, target) = (text(&asked, "/Text"), text(&asked, "/SourceLanguageCode"), text(&asked, "/TargetLanguageCode"));
    shared.note(AMAZON, line, source, target);
    if line.is_empty() || line.len() > 10_000 {
        return exception(400, "TextSizeLimitExceededException", &Value::Null);
    }
    let source = match source {
        "auto" => match detected(line) {
            Some(source) => source,
            None => return exception(400, "DetectedLanguageLowConfidenceException", &json!({ "DetectedLanguageCode": "en" })),
        },
        source => source,
    };
    if !CODES.contains(&source) || !CODES.contains(&target) {
        let pair = json!({ "SourceLanguageCode": source, "TargetLanguageCode": target });
        return exception(400, "UnsupportedLanguagePairException", &pair);
    }
    cbor(200, &json!({ "TranslatedText": translated(line, source, target), "SourceLanguageCode": source, "TargetLanguageCode": target }))
}

#[derive(Deserialize)]
struct Key {
    #[serde(default)]
    key: String,
}

#[derive(Deserialize)]
struct GoogleAsked {
    q: Vec<String>,
    target: String,
    source: Option<String>,
    #[serde(default)]
    format: String,
}

fn google_error(status: u16, message: &str) -> Response {
    reply(status, &json!({ "error": { "code": status, "message": message, "errors": [{ "message": message, "domain": "global" }] } }))
}

async fn google(State(shared): State<Arc<Shared>>, Query(Key { key }): Query<Key>, Json(asked): Json<GoogleAsked>) -> Response {
    if let Some(fault) = shared.fault_of(GOOGLE) {
        match (fault.status, fault.fault) {
            (Some(status), _) => return google_error(status, fault.code.as_ref().map_or("", |code| code.0.as_str())),
            (None, silence) => return silent(silence.unwrap_or(Silence::Timeout)).await,
        }
    }
    if key != GOOGLE_KEY {
        return google_error(400, "API key not valid. Please pass a valid API key.");
    }
    if asked.q.len() > 128 {
        return google_error(400, "Too many text segments");
    }
    let plain = asked.format == "text";
    match by_google(&shared, &asked.q, asked.source.as_deref(), &asked.target, plain, "detectedSourceLanguage") {
        Some(translations) => (StatusCode::OK, Json(json!({ "data": { "translations": translations } }))).into_response(),
        None => google_error(400, "Invalid Value"),
    }
}

/// The translations of Google's answers, which name a detected language `detected_as`; `None` for an unknown target.
fn by_google(shared: &Shared, lines: &[String], from: Option<&str>, to: &str, plain: bool, detected_as: &str) -> Option<Vec<Value>> {
    let google_code = |code: &str| if code == "zh-CN" { "zh".to_owned() } else { code.to_owned() };
    let target = google_code(to);
    if !CODES.contains(&target.as_str()) {
        return None;
    }
    let mut translations = Vec::new();
    for line in lines {
        shared.note(GOOGLE, line, from.unwrap_or("auto"), to);
        let source = from.map_or_else(|| detected(line).unwrap_or("en").to_owned(), str::to_owned);
        let mut text = translated(line, &source, &target);
        // Without it, the text is HTML.
        if !plain {
            text = text.replace('\'', "&#39;");
        }
        let mut translation = json!({ "translatedText": text });
        if from.is_none() {
            translation[detected_as] = source.into();
        }
        translations.push(translation);
    }
    Some(translations)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AdvancedAsked {
    contents: Vec<String>,
    target_language_code: String,
    source_language_code: Option<String>,
    #[serde(default)]
    mime_type: String,
}

async fn google_advanced(
    State(shared): State<Arc<Shared>>,
    Path(project): Path<String>,
    headers: HeaderMap,
    Json(asked): Json<AdvancedAsked>,
) -> Response {
    if let Some(fault) = shared.fault_of(GOOGLE) {
        match (fault.status, fault.fault) {
            (Some(status), _) => return google_error(status, fault.code.as_ref().map_or("", |code| code.0.as_str())),
            (None, silence) => return silent(silence.unwrap_or(Silence::Timeout)).await,
        }
    }
    let known = bearer(&headers).is_some_and(|token| shared.inside().google_tokens.contains(token));
    if !known || project != PROJECT {
        return google_error(if known { 403 } else { 401 }, "Request had invalid authentication credentials.");
    }
    let AdvancedAsked { contents, target_language_code: to, source_language_code: from, mime_type } = asked;
    match by_google(&shared, &contents, from.as_deref(), &to, mime_type == "text/plain", "detectedLanguageCode") {
        Some(translations) => (StatusCode::OK, Json(json!({ "translations": translations }))).into_response(),
        None => google_error(400, "Target language is invalid."),
    }
}

/// The key of the service account: made anew for each stand-in, since a key in the repository would alarm scanners.
pub(super) struct ServiceKey {
    pair: KeyPair,
}

impl ServiceKey {
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self { pair: KeyPair::generate(KeySize::Rsa2048)? })
    }

    /// The account's key file, as a person downloads it. Its `token_uri` leads nowhere, since nobody may follow it.
    pub(super) fn file(&self) -> anyhow::Result<String> {
        let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&self.pair)?;
        let body = BASE64_STANDARD.encode(der.as_ref());
        let lines: Vec<&str> = (0..body.len()).step_by(64).map(|at| &body[at..(at + 64).min(body.len())]).collect();
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let file = json!({
            "type": "service_account", "project_id": PROJECT, "private_key_id": "1", "private_key": pem,
            "client_email": SERVICE_ACCOUNT, "token_uri": "https://127.0.0.1:1/token",
        });
        Ok(file.to_string())
    }

    /// Whether a proof is signed with the key, for Google, with the one right that is needed.
    fn proves(&self, assertion: &str) -> bool {
        let part = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let read = || {
            let (signed, signature) = assertion.rsplit_once('.')?;
            let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.pair.public_key().as_ref());
            key.verify(signed.as_bytes(), &part(signature)?).ok()?;
            let (header, claims) = signed.split_once('.')?;
            let (header, claims): (Value, Value) =
                (serde_json::from_slice(&part(header)?).ok()?, serde_json::from_slice(&part(claims)?).ok()?);
            let now = jiff::Timestamp::now().as_second();
            let (from, until) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
            let names = [
                (&header["alg"], "RS256"),
                (&claims["iss"], SERVICE_ACCOUNT),
                (&claims["aud"], "https://oauth2.googleapis.com/token"),
                (&claims["scope"], "https://www.googleapis.com/auth/cloud-translation"),
            ];
            Some(names.iter().all(|(value, name)| *value == name) && from <= now + 60 && now < until && until <= from + 3_600)
        };
        read().unwrap_or(false)
    }
}

#[derive(Deserialize)]
struct TokenAsked {
    grant_type: String,
    assertion: String,
}

async fn google_token(State(shared): State<Arc<Shared>>, Form(asked): Form<TokenAsked>) -> Response {
    shared.change(|inside| inside.token_requests += 1);
    if let Some(Fault { status, fault, .. }) = shared.fault_of(TOKEN) {
        return match status {
            Some(status) => reply(status, &json!({ "error": "temporarily_unavailable" })),
            None => silent(fault.unwrap_or(Silence::Timeout)).await,
        };
    }
    if asked.grant_type != "urn:ietf:params:oauth:grant-type:jwt-bearer" || !shared.service_key.proves(&asked.assertion) {
        return reply(400, &json!({ "error": "invalid_grant", "error_description": "Invalid JWT Signature." }));
    }
    let token = format!("ya29.stand-in-{}", ulid::Ulid::generate());
    shared.change(|inside| inside.google_tokens.insert(token.clone()));
    reply(200, &json!({ "access_token": token, "expires_in": 3_599, "token_type": "Bearer" }))
}
