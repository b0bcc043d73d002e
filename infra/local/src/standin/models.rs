//! Language models: an API of chat completions (under `/ai/v1`), and Amazon Bedrock's Converse and Retrieve (under
//! `/bedrock`), as their public documentation shows them. The model here reads the JSON document of a prompt: it calls
//! `escalate` when somebody asks for a person, else it answers from the first entry of its knowledge that shares a
//! word with the question, or says that it does not know. Asked for a mood, it goes by words of thanks and of anger.
//! Faults name `provider` `OPENAI`, `BEDROCK` or `KNOWLEDGE_BASE`; `code` is the service's own. With `status` 200 the
//! `code` names a bad answer: `half`, `garbage`, `empty`, `long`, `echo`, `repeat`, `cut`, `filtered`, `refusal`,
//! `tool`, `escalate` which no words of the customer ask for, or `text:` and an answer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Fault, Shared, Silence, StandIn, bearer, reply, silent, text};

/// The key that the API of chat completions takes.
pub const MODEL_KEY: &str = "sk-stand-in-key-of-the-local-run";

const OPENAI: &str = "OPENAI";
const BEDROCK: &str = "BEDROCK";
const KNOWLEDGE_BASE: &str = "KNOWLEDGE_BASE";

/// What a model was asked.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prompted {
    /// `OPENAI`, `BEDROCK` or `KNOWLEDGE_BASE`.
    pub service: &'static str,
    /// The whole request.
    pub body: Value,
}

/// The passages of the knowledge base.
const PASSAGES: [(&str, &str); 2] = [
    ("s3://docs/delivery.md", "Delivery takes two days and costs 5 euros."),
    ("s3://docs/returns.md", "Goods can be returned within thirty days."),
];

pub(super) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ai/v1/chat/completions", post(complete))
        .route("/bedrock/model/{model}/converse", post(converse))
        .route("/bedrock/knowledgebases/{base}/retrieve", post(retrieve))
}

/// What a model says.
struct Said {
    text: String,
    /// The reason of an escalation.
    escalates: Option<String>,
}

/// Words that ask for a person.
const PERSON: [&str; 5] = ["person", "persona", "human", "operatore", "agent"];

fn words(text: &str) -> Vec<String> {
    text.to_lowercase().split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 3).map(str::to_owned).collect()
}

/// The question of a prompt, or what the customer said last.
fn asked(prompt: &Value) -> String {
    let mut said = prompt["conversation"].as_array().into_iter().flatten();
    let last = said.rfind(|line| line["from"] == "customer").map(|line| text(line, "/text"));
    prompt["question"].as_str().or(last).unwrap_or_default().to_owned()
}

/// Words of thanks, and words of anger.
const GLAD: [&str; 4] = ["thanks", "thank", "grazie", "obrigado"];
const ANGRY: [&str; 5] = ["angry", "late", "arrabbiato", "ritardo", "atrasada"];

/// Insights as a model tells them that likes to dress its answers up.
fn insights(prompt: &Value) -> String {
    let lines = prompt["conversation"].as_array().into_iter().flatten();
    let customers: Vec<&str> = lines.filter(|line| line["from"] == "customer").map(|line| text(line, "/text")).collect();
    let said = words(&customers.join(" "));
    let has = |any: &[&str]| said.iter().any(|word| any.contains(&word.as_str()));
    let sentiment = match (has(&GLAD), has(&ANGRY)) {
        (true, true) => "mixed",
        (true, false) => "positive",
        (false, true) => "negative",
        (false, false) => "neutral",
    };
    let summary = format!("The customer wrote {} times, first: {}", customers.len(), customers.first().unwrap_or(&""));
    format!("```json\n{}\n```", json!({ "sentiment": sentiment, "summary": summary }))
}

fn says(system: &str, prompt: &Value, may_escalate: bool) -> Said {
    if system.contains("`sentiment`") {
        return Said { text: insights(prompt), escalates: None };
    }
    let question = words(&asked(prompt));
    if may_escalate && question.iter().any(|word| PERSON.contains(&word.as_str())) {
        return Said { text: String::new(), escalates: Some("the customer asks for a person".to_owned()) };
    }
    let known = prompt["knowledge"].as_array().into_iter().flatten();
    let found = known
        .filter(|entry| words(&format!("{} {}", text(entry, "/title"), text(entry, "/text"))).iter().any(|word| question.contains(word)));
    let answer = match found.into_iter().next() {
        // It follows its instructions: only an agent's answer names entries.
        Some(entry) if system.contains("brackets") => format!("{} [{}]", text(entry, "/text"), entry["number"]),
        Some(entry) => text(entry, "/text").to_owned(),
        None => "I don't know.".to_owned(),
    };
    Said { text: answer, escalates: None }
}

impl Shared {
    /// Notes what a service was asked. The answer waits while models are held.
    async fn prompted(&self, service: &'static str, body: &Value) {
        self.change(|inside| inside.prompted.push(Prompted { service, body: body.clone() }));
        self.until(|inside| (!inside.models_held).then_some(())).await;
    }
}

impl StandIn {
    /// What language models and knowledge bases were asked, oldest first.
    pub fn prompts(&self) -> Vec<Prompted> {
        self.shared.inside().prompted.clone()
    }

    /// While `held`, models and knowledge bases think.
    pub fn hold_models(&self, held: bool) {
        self.shared.change(|inside| inside.models_held = held);
    }

    /// Waits until models and knowledge bases were asked so often in all.
    ///
    /// # Errors
    /// They were not within `limit`.
    pub async fn wait_for_prompts(&self, limit: Duration, count: usize) -> Result<()> {
        let asked = self.wait(limit, |inside| (inside.prompted.len() >= count).then_some(())).await;
        asked.with_context(|| format!("models were not asked {count} times in {limit:?}"))
    }
}

/// A bad answer that a fault with status 200 asks for: its text, and its reason to stop with both services.
fn bad(code: &str, prompt: &Value) -> (String, &'static str, &'static str) {
    match code {
        "long" => ("x".repeat(100_000), "stop", "end_turn"),
        "echo" => (asked(prompt), "stop", "end_turn"),
        "repeat" => (last_of_company(prompt), "stop", "end_turn"),
        text if text.starts_with("text:") => (text.trim_start_matches("text:").to_owned(), "stop", "end_turn"),
        "cut" => ("We are open from".to_owned(), "length", "max_tokens"),
        "filtered" => ("No.".to_owned(), "content_filter", "guardrail_intervened"),
        _ => (String::new(), "stop", "end_turn"),
    }
}

/// What the company said last.
fn last_of_company(prompt: &Value) -> String {
    let mut said = prompt["conversation"].as_array().into_iter().flatten();
    said.rfind(|line| line["from"] == "company").map(|line| text(line, "/text")).unwrap_or_default().to_owned()
}

/// What a gateway says that has lost its service.
fn garbage() -> Response {
    (StatusCode::OK, [("content-type", "text/html")], "<html><body>It works!</body></html>").into_response()
}

/// Half of a document.
fn half(body: &Value) -> Response {
    let whole = body.to_string();
    (StatusCode::OK, [("content-type", "application/json")], whole[..whole.len() / 2].to_owned()).into_response()
}

async fn complete(State(shared): State<Arc<Shared>>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    shared.prompted(OPENAI, &body).await;
    let error =
        |status, code: &str| reply(status, &json!({ "error": { "message": "refused by the stand-in", "code": code, "type": code } }));
    let prompt: Value = serde_json::from_str(text(&body, "/messages/1/content")).unwrap_or_default();
    let completion = |message: Value, reason: &str| {
        let choice = json!({ "index": 0, "message": message, "finish_reason": reason });
        json!({ "id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": { "prompt_tokens": 120, "completion_tokens": 12, "total_tokens": 132 } })
    };
    let call = |name: &str, arguments: Value| {
        let function = json!({ "name": name, "arguments": arguments.to_string() });
        json!({ "role": "assistant", "content": null, "tool_calls": [{ "id": "call_1", "type": "function", "function": function }] })
    };
    if let Some(Fault { status, code, fault, .. }) = shared.fault_of(OPENAI) {
        let code = code.map(|code| code.0).unwrap_or_default();
        return match status {
            Some(200) if code == "half" => half(&completion(json!({ "role": "assistant", "content": "Yes." }), "stop")),
            Some(200) if code == "garbage" => garbage(),
            Some(200) if code == "escalate" => reply(200, &completion(call("escalate", json!({ "reason": "too hard" })), "tool_calls")),
            Some(200) if code == "refusal" => {
                let refused = json!({ "role": "assistant", "content": null, "refusal": "I can't help with that." });
                reply(200, &completion(refused, "stop"))
            }
            Some(200) if code == "tool" => reply(200, &completion(call("send_money", json!({ "to": "me" })), "tool_calls")),
            Some(200) => {
                let (said, reason, _) = bad(&code, &prompt);
                reply(200, &completion(json!({ "role": "assistant", "content": said }), reason))
            }
            Some(status) => error(status, &code),
            None => silent(fault.unwrap_or(Silence::Timeout)).await,
        };
    }
    if bearer(&headers) != Some(MODEL_KEY) {
        return error(401, "invalid_api_key");
    }
    if text(&body, "/model") != "small" {
        return error(404, "model_not_found");
    }
    let limited = ["max_tokens", "max_completion_tokens"].iter().any(|name| body[name].as_u64().is_some());
    if !limited {
        return error(400, "no limit of tokens");
    }
    let Said { text: said, escalates } = says(text(&body, "/messages/0/content"), &prompt, body["tools"].is_array());
    reply(
        200,
        &match escalates {
            Some(reason) => completion(call("escalate", json!({ "reason": reason })), "tool_calls"),
            None => completion(json!({ "role": "assistant", "content": said }), "stop"),
        },
    )
}

fn exception(status: u16, kind: &str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [("x-amzn-errortype", kind.to_owned())], Json(json!({ "message": message }))).into_response()
}

/// Whether a request is signed for Bedrock.
fn is_signed(headers: &HeaderMap) -> bool {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    authorization.starts_with("AWS4-HMAC-SHA256 ") && authorization.contains("/bedrock/aws4_request")
}

async fn converse(State(shared): State<Arc<Shared>>, Path(model): Path<String>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else { return exception(400, "SerializationException", "") };
    shared.prompted(BEDROCK, &body).await;
    let prompt: Value = serde_json::from_str(text(&body, "/messages/0/content/0/text")).unwrap_or_default();
    let conversed = |content: Value, reason: &str| {
        json!({ "output": { "message": { "role": "assistant", "content": content } }, "stopReason": reason,
            "usage": { "inputTokens": 120, "outputTokens": 12, "totalTokens": 132 }, "metrics": { "latencyMs": 5 } })
    };
    let call = |name: &str, input: Value| json!([{ "toolUse": { "toolUseId": "1", "name": name, "input": input } }]);
    if let Some(Fault { status, code, fault, .. }) = shared.fault_of(BEDROCK) {
        let code = code.map(|code| code.0).unwrap_or_default();
        return match status {
            Some(200) if code == "half" => half(&conversed(json!([{ "text": "Yes." }]), "end_turn")),
            Some(200) if code == "garbage" => garbage(),
            Some(200) if code == "escalate" => reply(200, &conversed(call("escalate", json!({ "reason": "too hard" })), "tool_use")),
            Some(200) if code == "tool" => reply(200, &conversed(call("send_money", json!({})), "tool_use")),
            Some(200) => {
                let (said, _, reason) = bad(&code, &prompt);
                reply(200, &conversed(json!([{ "text": said }]), reason))
            }
            Some(status) => exception(status, &code, ""),
            None => silent(fault.unwrap_or(Silence::Timeout)).await,
        };
    }
    if !is_signed(&headers) {
        return exception(403, "MissingAuthenticationTokenException", "");
    }
    if model != "eu.amazon.nova-lite-v1:0" {
        return exception(400, "ValidationException", "The provided model identifier is invalid.");
    }
    let Said { text: said, escalates } = says(text(&body, "/system/0/text"), &prompt, body["toolConfig"].is_object());
    reply(
        200,
        &match escalates {
            Some(reason) => conversed(call("escalate", json!({ "reason": reason })), "tool_use"),
            None => conversed(json!([{ "text": said }]), "end_turn"),
        },
    )
}

async fn retrieve(State(shared): State<Arc<Shared>>, Path(base): Path<String>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    shared.prompted(KNOWLEDGE_BASE, &body).await;
    if let Some(Fault { status, code, fault, .. }) = shared.fault_of(KNOWLEDGE_BASE) {
        return match status {
            Some(status) => exception(status, &code.map(|code| code.0).unwrap_or_default(), ""),
            None => silent(fault.unwrap_or(Silence::Timeout)).await,
        };
    }
    if !is_signed(&headers) {
        return exception(403, "MissingAuthenticationTokenException", "");
    }
    if base != "KB12345678" {
        return exception(404, "ResourceNotFoundException", "");
    }
    let most = body["retrievalConfiguration"]["vectorSearchConfiguration"]["numberOfResults"].as_u64().unwrap_or(5);
    let asked = words(text(&body, "/retrievalQuery/text"));
    let found = PASSAGES.iter().filter(|(_, passage)| words(passage).iter().any(|word| asked.contains(word)));
    let found = found.take(usize::try_from(most).unwrap_or(usize::MAX)).map(|(uri, passage)| {
        json!({ "content": { "type": "TEXT", "text": passage }, "location": { "type": "S3", "s3Location": { "uri": uri } }, "score": 0.8 })
    });
    reply(200, &json!({ "retrievalResults": found.collect::<Vec<_>>() }))
}
