//! OpenAI's API of chat completions, which many services and servers speak. Source: OpenAI's API reference, "Chat" and
//! "Error codes".

use domain::ai_agent::AiAgent;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::prompt::{ESCALATE, Prompt, escalate_tool};
use crate::{ModelError, Reply, Stop, Usage};

/// The body of a request.
pub(crate) fn body(agent: &AiAgent, prompt: &Prompt) -> Value {
    let mut body = json!({
        "model": agent.model,
        "messages": [{ "role": "system", "content": prompt.system }, { "role": "user", "content": prompt.user }],
    });
    body[limit_field(agent.base_url.as_deref().unwrap_or_default())] = agent.max_tokens.into();
    if let Some(temperature) = agent.temperature {
        body["temperature"] = temperature.into();
    }
    if prompt.may_escalate {
        let (description, parameters) = escalate_tool();
        body["tools"] =
            json!([{ "type": "function", "function": { "name": ESCALATE, "description": description, "parameters": parameters } }]);
    }
    body
}

/// OpenAI's own models refuse the older name; most other servers know no other.
fn limit_field(base_url: &str) -> &'static str {
    let host = base_url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default();
    let is_openais = host == "api.openai.com" || host.ends_with(".openai.azure.com");
    if is_openais { "max_completion_tokens" } else { "max_tokens" }
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Choice {
    message: Said,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    /// A text, or a list of parts.
    #[serde(default)]
    content: Value,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
struct Call {
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    name: String,
    /// JSON, as a text.
    #[serde(default)]
    arguments: String,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
}

/// Reads a completion.
pub(crate) fn reply(bytes: &[u8]) -> Result<Reply, ModelError> {
    let completion: Completion = serde_json::from_slice(bytes).map_err(|_| ModelError::Failed)?;
    let Choice { message, finish_reason } = completion.choices.into_iter().next().ok_or(ModelError::Failed)?;
    let text = match &message.content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    };
    let calls = message.tool_calls.unwrap_or_default().into_iter();
    let calls = calls.map(|Call { function }| (function.name, serde_json::from_str(&function.arguments).unwrap_or(Value::Null)));
    let stop = match finish_reason.as_deref() {
        _ if message.refusal.is_some_and(|refusal| !refusal.is_empty()) => Stop::Filtered,
        Some("stop") => Stop::End,
        Some("tool_calls" | "function_call") => Stop::Tool,
        Some("length") => Stop::Length,
        Some("content_filter") => Stop::Filtered,
        _ => Stop::Unknown,
    };
    let usage =
        completion.usage.map_or_else(Usage::default, |tokens| Usage { input: tokens.prompt_tokens, output: tokens.completion_tokens });
    Ok(Reply { text, calls: calls.collect(), stop, usage })
}

/// What a refusal means. 429 stands for a rate limit and for an account without credit; only the code tells.
pub(crate) fn failure(status: StatusCode, bytes: &[u8]) -> ModelError {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let code = body["error"]["code"].as_str().or(body["error"]["type"].as_str()).unwrap_or_default();
    match status.as_u16() {
        429 if code == "insufficient_quota" => ModelError::UsedUp,
        402 => ModelError::UsedUp,
        429 => ModelError::Busy,
        401 | 403 => ModelError::Refused,
        404 => ModelError::Unknown,
        400 if code == "model_not_found" => ModelError::Unknown,
        400 if code == "context_length_exceeded" => ModelError::TooLong,
        413 => ModelError::TooLong,
        400 | 422 => ModelError::NotTaken,
        408 | 504 => ModelError::Late,
        _ => ModelError::Failed,
    }
}

#[cfg(test)]
mod tests {
    use domain::fixtures::ai_agent;

    use super::*;

    fn prompt(may_escalate: bool) -> Prompt {
        Prompt { system: "rules".into(), user: "{}".into(), may_escalate, account: None }
    }

    #[test]
    fn every_request_has_a_limit_of_tokens_and_no_tool_but_escalate() {
        let mut agent = ai_agent();
        let asked = body(&agent, &prompt(true));
        assert_eq!((&asked["max_tokens"], &asked["tools"].as_array().unwrap().len()), (&json!(800), &1));
        assert_eq!(asked["tools"][0]["function"]["name"], "escalate");
        assert!(asked.get("temperature").is_none() && body(&agent, &prompt(false)).get("tools").is_none());
        agent.base_url = Some("https://api.openai.com/v1".into());
        agent.temperature = Some(0.2);
        let asked = body(&agent, &prompt(false));
        assert_eq!((&asked["max_completion_tokens"], &asked["temperature"]), (&json!(800), &json!(0.2)));
        assert!(asked.get("max_tokens").is_none());
        assert_eq!(limit_field("https://api.openai.com.evil.example/v1"), "max_tokens");
    }

    #[test]
    fn a_completion_is_read_in_each_of_its_forms() {
        let read = |message: Value, reason: &str| {
            let body =
                json!({"choices": [{"message": message, "finish_reason": reason}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}});
            reply(body.to_string().as_bytes()).unwrap()
        };
        let text = read(json!({"role": "assistant", "content": "Yes."}), "stop");
        assert_eq!((text.text.as_str(), text.stop, text.usage), ("Yes.", Stop::End, Usage { input: 7, output: 3 }));
        assert_eq!(read(json!({"content": [{"type": "text", "text": "Y"}, {"type": "text", "text": "es"}]}), "stop").text, "Yes");
        let call = |arguments: &str| json!({"content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "escalate", "arguments": arguments}}]});
        assert_eq!(read(call("{\"reason\": \"x\"}"), "tool_calls").calls, [("escalate".to_owned(), json!({"reason": "x"}))]);
        assert_eq!(read(call("{\"reas"), "tool_calls").calls, [("escalate".to_owned(), Value::Null)]);
        assert_eq!(read(json!({"content": null, "refusal": "I can't help"}), "stop").stop, Stop::Filtered);
        for (reason, stop) in [("length", Stop::Length), ("content_filter", Stop::Filtered), ("new", Stop::Unknown)] {
            assert_eq!(read(json!({"content": "x"}), reason).stop, stop);
        }
        assert_eq!(reply(br#"{"choices": [{"message": {}}]}"#).unwrap().stop, Stop::Unknown);
        for broken in ["", "{", "{}", "[]", r#"{"choices": []}"#, r#"{"choices": [{"mess"#, "<html>"] {
            assert_eq!(reply(broken.as_bytes()), Err(ModelError::Failed), "{broken}");
        }
    }

    #[test]
    fn a_refused_key_is_told_from_a_rate_limit_and_from_no_credit() {
        for (status, code, why) in [
            (429, "rate_limit_exceeded", ModelError::Busy),
            (429, "insufficient_quota", ModelError::UsedUp),
            (401, "invalid_api_key", ModelError::Refused),
            (404, "model_not_found", ModelError::Unknown),
            (400, "context_length_exceeded", ModelError::TooLong),
            (400, "unsupported_value", ModelError::NotTaken),
            (408, "", ModelError::Late),
            (500, "", ModelError::Failed),
            (302, "", ModelError::Failed),
        ] {
            let body = json!({"error": {"code": code, "message": "the customer's words"}});
            assert_eq!(failure(StatusCode::from_u16(status).unwrap(), body.to_string().as_bytes()), why, "{status} {code}");
        }
        assert_eq!(failure(StatusCode::BAD_GATEWAY, b"<html>"), ModelError::Failed);
    }
}
