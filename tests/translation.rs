//! Translation by the assist API, against the stand-ins of Amazon Translate and Google.

use std::time::Duration;

use domain::account::Translation;
use domain::language::{Language, Rendering, Translator};
use domain::message::Content;
use engine::ports::Store;
use local::standin::{Fault, GOOGLE_KEY, On, Silence};
use serde_json::{Value, json};
use store::Write;

use crate::{Caller, Desk};

const PORTUGUESE: &str = "Olá, a minha encomenda ainda não chegou.";
const ITALIAN: &str = "Buongiorno, il mio pacco non è ancora arrivato.";

impl Desk {
    /// A desk whose agents speak Italian, and Anna's interaction with a customer.
    async fn translating(key: &str, provider: Translator) -> (Self, String) {
        let mut desk = Self::open(key, 5).await;
        desk.speaks(Some(Translation { enabled: true, provider, language: Language::parse("it").unwrap() })).await;
        let path = desk.accepted(1).await;
        (desk, path)
    }

    async fn speaks(&mut self, translation: Option<Translation>) {
        let before = self.account.clone();
        self.account.settings.translation = translation;
        self.account.version += 1;
        let write = Write::Replace { before: &before, version: before.version };
        self.deployment.configuration.put(&self.account, write, Vec::new()).await.unwrap();
        self.routers = self.fresh_routers();
    }

    fn assistant(&self, subject: &str) -> Caller {
        self.with_token("/assist", self.issuer.mint(subject, &["agent"], Duration::from_secs(600)).unwrap())
    }

    /// Customer 1 writes once more. Returns the message's id.
    async fn hears(&self, path: &str, number: usize, words: &str) -> String {
        self.says(1, number, words).await;
        let (_, thread) = self.anna().get(&format!("{path}/messages?newest=true&limit=50")).await;
        let found = thread["items"].as_array().unwrap().iter().find(|item| item["content"]["body"] == words);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }

    async fn translated(&self, path: &str, messages: Value) -> Value {
        let body = if messages.is_null() { json!({}) } else { json!({ "messages": messages }) };
        let (status, answer) = self.assistant("anna").post(&format!("{path}/translations"), body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    fn fails(&self, service: &str, status: u16, code: &str) {
        let fault =
            Fault { provider: Some(service.to_owned()), on: On::Api, status: Some(status), code: Some(code.into()), ..Fault::default() };
        self.issuer.next(fault);
    }
}

#[tokio::test]
async fn a_message_is_translated_once_and_keeps_its_translation() {
    let (desk, path) = Desk::translating("ONCE1", Translator::Aws).await;
    let id = desk.hears(&path, 100, PORTUGUESE).await;
    let answer = desk.translated(&path, json!([id])).await;
    let translation = json!({ "text": ITALIAN, "language": "it", "from": "pt", "by": "AWS" });
    assert_eq!(answer, json!({ "items": [{ "message": id, "translation": translation }], "language": "pt" }));
    // Nothing but the text leaves.
    let asked = desk.issuer.translations();
    assert_eq!(asked.len(), 1);
    assert_eq!((asked[0].text.as_str(), asked[0].source.as_str(), asked[0].target.as_str()), (PORTUGUESE, "auto", "it"));
    // It is paid once, whoever asks.
    assert_eq!(desk.translated(&path, json!([id, id])).await, answer);
    assert_eq!(desk.issuer.translations().len(), 1);
    let (_, thread) = desk.anna().get(&format!("{path}/messages?newest=true")).await;
    assert_eq!((&thread["items"][0]["translation"], &thread["items"][1]["translation"]), (&translation, &Value::Null));
    let (_, interaction) = desk.anna().get(&path).await;
    assert_eq!(interaction["language"], "pt");
    // The agents' language is on their accounts.
    assert_eq!(desk.anna().get("/me").await.1["accounts"][0]["translation"], "it");
    // The search finds the words of the translation.
    let conditions = json!([{ "field": "text", "operator": "contains", "value": "pacco" }]);
    let (status, found) = desk.anna().post("/search", json!({ "search": { "conditions": conditions } })).await;
    assert_eq!((status, found["items"].as_array().map(Vec::len)), (200, Some(1)), "{found}");
}

#[tokio::test]
async fn without_ids_the_customers_latest_messages_are_translated() {
    let (desk, path) = Desk::translating("LATES", Translator::Aws).await;
    let mut ids = Vec::new();
    for (number, words) in [(100, "Olá!"), (101, "Quando chega o meu pedido?"), (102, "Muito obrigado!")] {
        ids.push(desk.hears(&path, number, words).await);
    }
    assert_eq!(desk.anna().post(&format!("{path}/messages"), json!({ "text": "Ciao" })).await.0, 201);
    assert_eq!(desk.anna().post(&format!("{path}/notes"), json!({ "text": "Un cliente" })).await.0, 201);
    let answer = desk.translated(&path, Value::Null).await;
    let items = answer["items"].as_array().unwrap();
    let texts: Vec<&str> = items.iter().map(|item| item["translation"]["text"].as_str().unwrap_or_default()).collect();
    // The first message says "hello", which is English.
    assert_eq!(texts, ["Grazie mille!", "Quando arriva il mio ordine?", "Ciao!", "[it] hello"], "{answer}");
    // The only one that is long enough to tell the language.
    assert_eq!(answer["language"], "pt");
    assert_eq!(desk.translated(&path, Value::Null).await["items"], json!([]));
}

#[tokio::test]
async fn line_breaks_stay_and_the_longest_line_tells_the_language() {
    let (desk, path) = Desk::translating("LINES", Translator::Aws).await;
    let id = desk.hears(&path, 100, "Olá!\n\nOlá, a minha encomenda ainda não chegou.\nOlá!").await;
    let answer = desk.translated(&path, json!([id])).await;
    assert_eq!(answer["items"][0]["translation"]["text"], format!("Ciao!\n\n{ITALIAN}\nCiao!"));
    let sources: Vec<String> = desk.issuer.translations().into_iter().map(|asked| asked.source).collect();
    assert_eq!(sources, ["auto", "pt"], "each distinct line once, and only the first is detected");
}

#[tokio::test]
async fn a_draft_is_translated_shown_and_sent_with_what_the_agent_wrote() {
    let (desk, path) = Desk::translating("DRAFT", Translator::Aws).await;
    let drafts = format!("{path}/drafts");
    let (status, problem) = desk.assistant("anna").post(&drafts, json!({ "text": "Arriva domani mattina." })).await;
    assert_eq!((status, &problem["type"]), (422, &json!("/problems/language-unknown")));
    let id = desk.hears(&path, 100, PORTUGUESE).await;
    desk.translated(&path, json!([id])).await;
    let (status, draft) = desk.assistant("anna").post(&drafts, json!({ "text": "Arriva domani mattina." })).await;
    let original = json!({ "text": "Arriva domani mattina.", "translated_to": "pt" });
    assert_eq!((status, &draft), (200, &json!({ "text": "Chega amanhã de manhã.", "original": original })));
    assert_eq!(desk.issuer.translations().last().unwrap().source, "it", "nothing is detected");
    let (status, sent) = desk.anna().post(&format!("{path}/messages"), draft).await;
    assert_eq!(status, 201, "{sent}");
    assert_eq!(sent["content"]["body"], "Chega amanhã de manhã.");
    let kept = json!({ "text": "Arriva domani mattina.", "language": "it", "from": "pt", "by": "AWS" });
    assert_eq!(sent["translation"], kept);
    // Into a language that is named, and into the agents' own, which needs no translator.
    let (_, english) = desk.assistant("anna").post(&drafts, json!({ "text": "Grazie mille!", "to": "en" })).await;
    assert_eq!(english["text"], "Thank you very much!");
    let before = desk.issuer.translations().len();
    let (_, same) = desk.assistant("anna").post(&drafts, json!({ "text": "Grazie mille!", "to": "it-CH" })).await;
    assert_eq!((&same["text"], desk.issuer.translations().len()), (&json!("Grazie mille!"), before));
}

#[tokio::test]
async fn an_agents_choice_of_the_language_stays_until_it_is_taken_back() {
    let (desk, path) = Desk::translating("CHOSE", Translator::Aws).await;
    let language = format!("{path}/language");
    let put = async |code: Value| desk.anna().call("PUT", &language, None, Some(json!({ "language": code }))).await;
    let (status, chosen) = put(json!("ES")).await;
    assert_eq!((status, &chosen["language"]), (200, &json!("es")));
    let id = desk.hears(&path, 100, PORTUGUESE).await;
    let answer = desk.translated(&path, json!([id])).await;
    assert_eq!((&answer["language"], desk.issuer.translations()[0].source.as_str()), (&json!("es"), "es"));
    assert_eq!(put(Value::Null).await.1["language"], Value::Null);
    let id = desk.hears(&path, 101, "Quando chega o meu pedido? Obrigada!").await;
    assert_eq!(desk.translated(&path, json!([id])).await["language"], "pt");
    let (status, problem) = put(json!("portuguese")).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("language")));
    let (_, history) = desk.anna().get(&format!("{path}/history?limit=200")).await;
    let chosen: Vec<&Value> = history["items"].as_array().unwrap().iter().filter(|entry| entry["fact"] == "language_chosen").collect();
    assert_eq!((chosen.len(), &chosen[0]["language"]), (2, &json!("es")), "{history}");
    // A colleague who does not have the interaction may not.
    assert_eq!(desk.ben().call("PUT", &language, None, Some(json!({ "language": "en" }))).await.1["type"], "/problems/not-yours");
}

#[tokio::test]
async fn each_failure_of_a_translator_is_its_own_problem_and_says_what_to_do() {
    let (desk, path) = Desk::translating("FAILS", Translator::Aws).await;
    let id = desk.hears(&path, 100, PORTUGUESE).await;
    for (status, code, kind) in [
        (400, "TextSizeLimitExceededException", "/problems/text-too-long"),
        (400, "UnsupportedLanguagePairException", "/problems/language-unsupported"),
        (400, "DetectedLanguageLowConfidenceException", "/problems/language-unclear"),
        (400, "AccessDeniedException", "/problems/translator-refused"),
        (400, "ResourceNotFoundException", "/problems/translator-failed"),
    ] {
        desk.fails("TRANSLATE", status, code);
        let answer = desk.translated(&path, json!([id])).await;
        let (problem, translation) = (&answer["items"][0]["problem"], &answer["items"][0]["translation"]);
        assert_eq!((&problem["type"], translation), (&json!(kind), &Value::Null), "{code}: {answer}");
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 20), "{problem}");
    }
    // Throttling and a dropped connection are tried once more.
    desk.fails("TRANSLATE", 400, "TooManyRequestsException");
    assert_eq!(desk.translated(&path, json!([id])).await["items"][0]["translation"]["text"], ITALIAN);
    let again = desk.hears(&path, 101, "Quando chega o meu pedido?").await;
    for _ in 0..2 {
        desk.fails("TRANSLATE", 400, "TooManyRequestsException");
    }
    let (status, draft) = desk.assistant("anna").post(&format!("{path}/drafts"), json!({ "text": "Ciao", "to": "pt" })).await;
    assert_eq!((status, &draft["type"]), (429, &json!("/problems/translator-busy")));
    desk.issuer.next(Fault { provider: Some("TRANSLATE".to_owned()), on: On::Api, fault: Some(Silence::Closed), ..Fault::default() });
    assert_eq!(desk.translated(&path, json!([again])).await["items"][0]["translation"]["text"], "Quando arriva il mio ordine?");
    // One that is not clear does not keep the others from their translation.
    let unclear = desk.hears(&path, 102, "hmm").await;
    let clear = desk.hears(&path, 103, "Muito obrigado!").await;
    desk.issuer.next(Fault { provider: Some("TRANSLATE".to_owned()), on: On::Message, ..Fault::default() });
    let answer = desk.translated(&path, json!([unclear, clear])).await;
    // The language is known from before, so even the short one is translated.
    assert_eq!(answer["items"][0]["translation"]["from"], "pt", "{answer}");
    assert_eq!(answer["items"][1]["translation"]["text"], "Grazie mille!");
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_nothing_is_sent() {
    let (mut desk, path) = Desk::translating("WRONG", Translator::Aws).await;
    let other = desk.ring(2).await;
    let (_, thread) = desk.anna().get(&format!("{other}/messages")).await;
    let foreign = thread["items"][0]["id"].clone();
    let own = desk.hears(&path, 100, PORTUGUESE).await;
    let translations = format!("{path}/translations");
    for (body, field) in [
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": vec![own.clone(); 51] }), "messages"),
        (json!({ "messages": [own, "x"] }), "messages[1]"),
        (json!({ "messages": [own, foreign] }), "messages[1]"),
    ] {
        let (status, problem) = desk.assistant("anna").post(&translations, body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    for (body, field) in
        [(json!({ "text": " " }), "text"), (json!({ "text": "x".repeat(10_001) }), "text"), (json!({ "text": "x", "to": "italian" }), "to")]
    {
        let (status, problem) = desk.assistant("anna").post(&format!("{path}/drafts"), body).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!(field)), "{problem}");
    }
    // Bytes, not characters.
    let (status, problem) = desk.assistant("anna").post(&format!("{path}/drafts"), json!({ "text": "à".repeat(5_001), "to": "pt" })).await;
    assert_eq!((status, &problem["type"]), (413, &json!("/problems/text-too-long")));
    let note = desk.anna().post(&format!("{path}/notes"), json!({ "text": "nota" })).await.1["id"].clone();
    let answer = desk.translated(&path, json!([note])).await;
    assert_eq!(answer["items"][0]["problem"]["type"], "/problems/nothing-to-translate");
    // Strangers see nothing; a switched-off account translates nothing.
    desk.deployment.ready_agent("stranger", 5).await;
    assert_eq!(desk.assistant("stranger").post(&translations, json!({})).await.0, 404);
    assert_eq!(desk.assistant("nobody").post(&translations, json!({})).await.0, 403);
    let off = desk.account.settings.translation.clone().map(|translation| Translation { enabled: false, ..translation });
    for translation in [off, None] {
        desk.speaks(translation).await;
        for (route, body) in [("translations", json!({})), ("drafts", json!({ "text": "Ciao", "to": "pt" }))] {
            let (status, problem) = desk.assistant("anna").post(&format!("{path}/{route}"), body).await;
            assert_eq!((status, &problem["type"]), (409, &json!("/problems/translation-off")), "{route}");
        }
        let original = json!({ "text": "Olá", "original": { "text": "Ciao", "translated_to": "pt" } });
        let (status, problem) = desk.anna().post(&format!("{path}/messages"), original).await;
        assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("original")));
    }
    assert_eq!(desk.issuer.translations(), []);
}

#[tokio::test]
async fn googles_key_is_written_never_shown_and_a_new_one_is_used_at_once() {
    let (mut desk, path) = Desk::translating("GOOGL", Translator::Google).await;
    let id = desk.hears(&path, 100, "Quando chega o meu pedido?\nL'encomenda").await;
    let problem = async |desk: &Desk| desk.translated(&path, json!([id])).await["items"][0]["problem"]["type"].clone();
    assert_eq!(problem(&desk).await, "/problems/translation-key-missing");
    let key = format!("/accounts/{}/translation/key", desk.account.id);
    let admin = desk.administrator();
    let put = async |value: &str| {
        let version = desk.deployment.configuration.get::<domain::account::Account>(desk.account.id.as_str()).await.unwrap().unwrap().1;
        admin.call_with("PUT", &key, &[("if-match", format!("\"{version}\""))], Some(json!({ "key": value }))).await
    };
    assert_eq!(put("a key").await.1["errors"][0]["field"], "key");
    let (status, shown) = put("AIzaRevoked").await;
    assert_eq!(status, 200, "{shown}");
    assert!(!shown.to_string().contains("AIzaRevoked") && shown["translation_key_set_at"].is_string(), "{shown}");
    desk.routers = desk.fresh_routers();
    assert_eq!(problem(&desk).await, "/problems/translator-refused");
    let admin = desk.administrator();
    let version = shown["version"].as_u64().unwrap();
    let right = json!({ "key": GOOGLE_KEY });
    let (status, shown) = admin.call_with("PUT", &key, &[("if-match", format!("\"{version}\""))], Some(right)).await;
    assert_eq!(status, 200, "{shown}");
    // A change that comes too late (412) leaves the key as it is.
    let late = json!({ "key": "AIzaTooLate" });
    assert_eq!(admin.call_with("PUT", &key, &[("if-match", format!("\"{version}\""))], Some(late)).await.0, 412);
    desk.routers = desk.fresh_routers();
    desk.fails("GOOGLE_TRANSLATE", 403, "User Rate Limit Exceeded");
    assert_eq!(problem(&desk).await, "/problems/translator-busy");
    let answer = desk.translated(&path, json!([id])).await;
    // Plain text both ways: no entities.
    assert_eq!(answer["items"][0]["translation"]["text"], "Quando arriva il mio ordine?\n[it] L'encomenda", "{answer}");
    assert_eq!(answer["items"][0]["translation"]["by"], "GOOGLE");
    // The audit trail tells of it, without the key.
    let (_, audit) = desk.administrator().get("/audit?limit=100").await;
    assert!(audit.to_string().contains("translation_key_set_at"), "{audit}");
    assert!(!audit.to_string().contains(GOOGLE_KEY) && !audit.to_string().contains("AIzaRevoked"));
    let version = shown["version"].as_u64().unwrap();
    let (status, shown) = desk.administrator().call_with("DELETE", &key, &[("if-match", format!("\"{version}\""))], None).await;
    assert_eq!((status, &shown["translation_key_set_at"]), (200, &Value::Null), "{shown}");
}

#[tokio::test]
async fn a_translation_of_words_that_were_edited_meanwhile_is_not_kept() {
    let (desk, path) = Desk::translating("EDITS", Translator::Aws).await;
    desk.hears(&path, 100, PORTUGUESE).await;
    let key = desk.deployment.store.locate(&path.rsplit('/').next().unwrap().parse().unwrap()).await.unwrap().unwrap();
    let interaction = desk.deployment.store.interaction(&key).await.unwrap().unwrap();
    let thread = desk.deployment.store.thread(&interaction, None, 50, store::Order::NewestFirst).await.unwrap();
    let message = thread.messages.first().unwrap().clone();
    let place = domain::effect::MessageKey { interaction: key, at: message.at, message: message.id.clone() };
    let rendering = Rendering {
        text: ITALIAN.to_owned(),
        language: Language::parse("it").unwrap(),
        from: Some(Language::parse("pt").unwrap()),
        by: Translator::Aws,
    };
    let old = Content::Text { body: "before the edit".to_owned() };
    let kept = desk.deployment.engine.translated(&place, &old, &rendering, true).await.unwrap();
    assert_eq!((kept.translation, kept.version), (None, message.version));
    // Twice is once.
    for _ in 0..2 {
        let kept = desk.deployment.engine.translated(&place, &message.content, &rendering, true).await.unwrap();
        assert_eq!((kept.translation.as_ref(), kept.version), (Some(&rendering), message.version + 1));
    }
    let mut edited = desk.deployment.store.message(&place).await.unwrap().unwrap();
    assert!(edited.edited(Content::Text { body: "Outra coisa".to_owned() }, message.at));
    assert_eq!(edited.translation, None);
}

#[tokio::test]
async fn the_archive_of_a_closed_interaction_is_made_again_once_for_all_its_translations() {
    let (desk, path) = Desk::translating("ARCHV", Translator::Aws).await;
    for (number, words) in [(100, "Olá!"), (101, "Quando chega o meu pedido?"), (102, "Muito obrigado!")] {
        desk.hears(&path, number, words).await;
    }
    assert_eq!(desk.anna().post(&format!("{path}/close"), json!({})).await.0, 200);
    let answer = desk.translated(&path, Value::Null).await;
    assert!(answer["items"].as_array().unwrap().iter().all(|item| item["translation"].is_object()), "{answer}");
    let request = desk.deployment.aws.dynamodb().scan().table_name("interactions").consistent_read(true);
    let items = request.send().await.unwrap().items.unwrap_or_default();
    let archives = |item: &&std::collections::HashMap<_, _>| {
        let is_message =
            item.get("sk").and_then(|sk: &aws_sdk_dynamodb::types::AttributeValue| sk.as_s().ok()).is_some_and(|sk| sk.starts_with("MSG#"));
        is_message && store::effects_of(item).unwrap().contains(&domain::effect::Effect::Archive)
    };
    assert_eq!(items.iter().filter(archives).count(), 1);
}

#[tokio::test]
async fn an_agent_translates_so_much_in_an_hour() {
    let (desk, path) = Desk::translating("LIMIT", Translator::Aws).await;
    let ids = [desk.hears(&path, 100, "Olá!").await, desk.hears(&path, 101, "Muito obrigado!").await];
    let url = desk.issuer.url.clone();
    let env = desk.deployment.env_with(&[("TRANSLATIONS_PER_HOUR", "2"), ("TRANSLATE_URL", &format!("{url}/translate"))]);
    let mut assist = assist_api::App::from_env(&env).unwrap();
    let rules = desk.deployment.env_with(&[
        ("JWT_ISSUER", &url),
        ("JWKS_URL", &desk.issuer.jwks_url()),
        ("JWT_AUDIENCE", local::standin::AUDIENCE),
    ]);
    assist.access.gate = std::sync::Arc::new(cloud::auth::Verifier::from_env(&rules).unwrap());
    let anna = Caller { router: assist_api::router(std::sync::Arc::new(assist)), ..desk.assistant("anna") };
    let translations = format!("{path}/translations");
    assert_eq!(anna.post(&translations, json!({ "messages": ids })).await.0, 200);
    // What is translated already costs nothing and counts for nothing.
    assert_eq!(anna.post(&translations, json!({ "messages": ids })).await.0, 200);
    let (status, problem) = anna.post(&format!("{path}/drafts"), json!({ "text": "Ciao", "to": "pt" })).await;
    assert_eq!((status, &problem["of"]), (429, &json!("translation")));
}

#[tokio::test]
async fn a_service_account_translates_by_the_advanced_edition_with_a_token_that_is_kept() {
    let (mut desk, path) = Desk::translating("GOOG3", Translator::Google).await;
    let file = desk.issuer.service_account().unwrap();
    let key = format!("/accounts/{}/translation/key", desk.account.id);
    let tag = ("if-match", format!("\"{}\"", desk.account.version));
    let put = async |key_file: &str| {
        desk.administrator().call_with("PUT", &key, std::slice::from_ref(&tag), Some(json!({ "key": key_file }))).await
    };
    let (status, problem) = put(&file.replace("private_key\"", "secret_key\"")).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("key")), "{problem}");
    let (status, shown) = put(&file).await;
    assert!(status == 200 && !shown.to_string().contains("PRIVATE KEY"), "{shown}");
    desk.routers = desk.fresh_routers();
    let id = desk.hears(&path, 100, PORTUGUESE).await;
    let answer = desk.translated(&path, json!([id])).await;
    let translation = json!({ "text": ITALIAN, "language": "it", "from": "pt", "by": "GOOGLE" });
    assert_eq!(answer["items"][0]["translation"], translation, "{answer}");
    let (status, draft) = desk.assistant("anna").post(&format!("{path}/drafts"), json!({ "text": "L'ordine", "to": "pt" })).await;
    assert_eq!((status, &draft["text"]), (200, &json!("[pt] L'ordine")), "no entity stands for the apostrophe");
    assert_eq!(desk.issuer.token_requests(), 1, "the token is kept");

    let drafted = async || desk.assistant("anna").post(&format!("{path}/drafts"), json!({ "text": "Ciao", "to": "pt" })).await;
    for (status, message, answer, kind) in [
        (403, "User Rate Limit Exceeded", 429, "translator-busy"),
        (403, "Daily Limit Exceeded", 429, "translator-busy"),
        (500, "", 502, "translator-failed"),
        (403, "Cloud Translation API has not been used in project", 502, "translator-refused"),
    ] {
        desk.fails("GOOGLE_TRANSLATE", status, message);
        let (got, problem) = drafted().await;
        assert_eq!((got, &problem["type"]), (answer, &json!(format!("/problems/{kind}"))), "{status} {message}");
    }
    // The last refusal was of the token, which is not used again.
    for (status, answer, kind) in [(429, 429, "translator-busy"), (503, 502, "translator-failed"), (400, 502, "translator-refused")] {
        desk.fails("GOOGLE_TOKEN", status, "");
        let (got, problem) = drafted().await;
        assert_eq!((got, &problem["type"]), (answer, &json!(format!("/problems/{kind}"))), "{status}");
    }
    assert_eq!(drafted().await.0, 200);
}
