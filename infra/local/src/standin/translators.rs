//! Amazon Translate (under `/translate`, in the SDK's protocol: Smithy RPC v2 CBOR) and Google Cloud Translation
//! (under `/google-translate`), as their public documentation shows them. They know the sentences of the demo;
//! anything else comes back with the target's code before it. Faults name `provider` `TRANSLATE` or
//! `GOOGLE_TRANSLATE`; `code` is the exception, or Google's message.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Fault, On, Shared, Silence, reply, silent, text};

/// The key that Google's stand-in takes.
pub const GOOGLE_KEY: &str = "AIzaStandInKeyOfTheLocalRun000000000000";

const AMAZON: &str = "TRANSLATE";
const GOOGLE: &str = "GOOGLE_TRANSLATE";

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
    let google_code = |code: &str| if code == "zh-CN" { "zh".to_owned() } else { code.to_owned() };
    let target = google_code(&asked.target);
    if !CODES.contains(&target.as_str()) {
        return google_error(400, "Invalid Value");
    }
    let mut translations = Vec::new();
    for line in &asked.q {
        shared.note(GOOGLE, line, asked.source.as_deref().unwrap_or("auto"), &asked.target);
        let source = asked.source.clone().unwrap_or_else(|| detected(line).unwrap_or("en").to_owned());
        let mut text = translated(line, &source, &target);
        // Without it, the text is HTML.
        if asked.format != "text" {
            text = text.replace('\'', "&#39;");
        }
        let mut translation = json!({ "translatedText": text });
        if asked.source.is_none() {
            translation["detectedSourceLanguage"] = source.into();
        }
        translations.push(translation);
    }
    (StatusCode::OK, Json(json!({ "data": { "translations": translations } }))).into_response()
}
