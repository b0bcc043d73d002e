//! Amazon Bedrock: Converse for models, Retrieve for knowledge bases, as plain HTTPS requests that are signed with the
//! SDK's own signer. Its clients would retry, and a model call has no token that makes a second one free. Source: the
//! service models of `bedrock-runtime` and `bedrock-agent-runtime`.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use domain::ai_agent::{AiAgent, KnowledgeBase};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::prompt::{ESCALATE, Prompt, escalate_tool};
use crate::{ModelError, Passage, Reply, Stop, Usage};

/// The name of the service in signatures, for models and knowledge bases.
const SERVICE: &str = "bedrock";
/// The longest question that knowledge bases are documented to take, in characters.
const LONGEST_QUERY: usize = 1_000;

/// The body of Converse.
pub(crate) fn body(agent: &AiAgent, prompt: &Prompt) -> Value {
    let mut inference = json!({ "maxTokens": agent.max_tokens });
    if let Some(temperature) = agent.temperature {
        inference["temperature"] = temperature.into();
    }
    let mut body = json!({
        "system": [{ "text": prompt.system }],
        "messages": [{ "role": "user", "content": [{ "text": prompt.user }] }],
        "inferenceConfig": inference,
    });
    if prompt.may_escalate {
        let (description, schema) = escalate_tool();
        let tool = json!({ "toolSpec": { "name": ESCALATE, "description": description, "inputSchema": { "json": schema } } });
        body["toolConfig"] = json!({ "tools": [tool] });
    }
    if let Some(guardrail) = &agent.guardrail {
        body["guardrailConfig"] = json!({ "guardrailIdentifier": guardrail.id, "guardrailVersion": guardrail.version });
    }
    body
}

/// The path of Converse.
pub(crate) fn path(model: &str) -> String {
    format!("/model/{}/converse", encoded(model))
}

/// The path of Retrieve.
pub(crate) fn retrieve_path(base: &KnowledgeBase) -> String {
    format!("/knowledgebases/{}/retrieve", encoded(&base.id))
}

/// The body of Retrieve.
pub(crate) fn retrieve_body(base: &KnowledgeBase, question: &str) -> Value {
    let question: String = question.chars().take(LONGEST_QUERY).collect();
    json!({
        "retrievalQuery": { "text": question },
        "retrievalConfiguration": { "vectorSearchConfiguration": { "numberOfResults": base.results } },
    })
}

/// One segment of a path (RFC 3986).
fn encoded(segment: &str) -> String {
    let mut path = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// The headers that sign a request with this body.
pub(crate) fn signed(url: &str, body: &[u8], region: &str, credentials: Credentials, at: SystemTime) -> Result<HeaderMap, ModelError> {
    let identity = credentials.into();
    let parameters =
        SigningParams::builder().identity(&identity).region(region).name(SERVICE).time(at).settings(SigningSettings::default());
    let parameters = parameters.build().map_err(|_| ModelError::Failed)?.into();
    let headers = [("content-type", "application/json")];
    let request = SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body)).map_err(|_| ModelError::Failed)?;
    let (signature, _) = sign(request, &parameters).map_err(|_| ModelError::Failed)?.into_parts();
    let mut signed = HeaderMap::new();
    signed.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in signature.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| ModelError::Failed)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| ModelError::Failed)?;
        value.set_sensitive(true);
        signed.insert(name, value);
    }
    Ok(signed)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conversed {
    output: Output,
    #[serde(default)]
    stop_reason: String,
    #[serde(default)]
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
struct Output {
    message: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    content: Vec<Block>,
}

/// A block of a kind that this version does not know, such as a thought, has neither.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    text: Option<String>,
    tool_use: Option<ToolUse>,
}

#[derive(Deserialize)]
struct ToolUse {
    name: String,
    #[serde(default)]
    input: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tokens {
    #[serde(default)]
    input_tokens: u64,
    #[serde(default)]
    output_tokens: u64,
}

/// Reads the answer of Converse.
pub(crate) fn reply(bytes: &[u8]) -> Result<Reply, ModelError> {
    let Conversed { output, stop_reason, usage } = serde_json::from_slice(bytes).map_err(|_| ModelError::Failed)?;
    let (mut text, mut calls) = (String::new(), Vec::new());
    for block in output.message.content {
        text.push_str(block.text.as_deref().unwrap_or_default());
        calls.extend(block.tool_use.map(|call| (call.name, call.input)));
    }
    let stop = match stop_reason.as_str() {
        "end_turn" | "stop_sequence" => Stop::End,
        "tool_use" => Stop::Tool,
        "max_tokens" => Stop::Length,
        "guardrail_intervened" | "content_filtered" => Stop::Filtered,
        "malformed_model_output" | "malformed_tool_use" => Stop::Malformed,
        "model_context_window_exceeded" => Stop::TooMuch,
        _ => Stop::Unknown,
    };
    let usage = usage.map_or_else(Usage::default, |tokens| Usage { input: tokens.input_tokens, output: tokens.output_tokens });
    Ok(Reply { text, calls, stop, usage })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retrieved {
    retrieval_results: Vec<Found>,
}

#[derive(Deserialize)]
struct Found {
    #[serde(default)]
    content: FoundText,
    #[serde(default)]
    location: Value,
}

#[derive(Default, Deserialize)]
struct FoundText {
    #[serde(default)]
    text: String,
}

/// Reads the answer of Retrieve. Passages without a text, such as pictures, are left out.
pub(crate) fn passages(bytes: &[u8]) -> Result<Vec<Passage>, ModelError> {
    let Retrieved { retrieval_results } = serde_json::from_slice(bytes).map_err(|_| ModelError::Failed)?;
    let with_text = retrieval_results.into_iter().filter(|found| !found.content.text.trim().is_empty());
    Ok(with_text.map(|found| passage(found.content.text, &found.location)).collect())
}

fn passage(text: String, location: &Value) -> Passage {
    // Each kind of source has a field of its own, in which an address lies.
    let sources = location.as_object().into_iter().flat_map(|kinds| kinds.values());
    let address = sources.filter_map(|source| source["uri"].as_str().or(source["url"].as_str())).next().map(str::to_owned);
    let last = address.as_deref().and_then(|address| address.trim_end_matches('/').rsplit('/').next());
    Passage { title: last.unwrap_or_default().to_owned(), location: address, text }
}

/// What a refusal means. `kind` is the header `x-amzn-ErrorType`.
pub(crate) fn failure(status: StatusCode, kind: &str, bytes: &[u8]) -> ModelError {
    let body: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let message = body["message"].as_str().unwrap_or_default().to_ascii_lowercase();
    match kind.split([':', '#']).next().unwrap_or_default() {
        "ThrottlingException" | "ModelNotReadyException" => ModelError::Busy,
        "ServiceQuotaExceededException" => ModelError::UsedUp,
        "AccessDeniedException" | "UnrecognizedClientException" | "ExpiredTokenException" => ModelError::Refused,
        "ResourceNotFoundException" => ModelError::Unknown,
        "ModelTimeoutException" => ModelError::Late,
        // One exception for all that is wrong with a request.
        "ValidationException" if message.contains("model identifier is invalid") => ModelError::Unknown,
        "ValidationException" if message.contains("too long") || message.contains("too many input tokens") => ModelError::TooLong,
        "ValidationException" => ModelError::NotTaken,
        _ => match status.as_u16() {
            429 => ModelError::Busy,
            401 | 403 => ModelError::Refused,
            404 => ModelError::Unknown,
            _ => ModelError::Failed,
        },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use domain::ai_agent::{Guardrail, ModelProvider};
    use domain::fixtures::ai_agent;

    use super::*;

    fn agent() -> AiAgent {
        AiAgent { provider: ModelProvider::Bedrock, base_url: None, ..ai_agent() }
    }

    fn prompt(may_escalate: bool) -> Prompt {
        Prompt { system: "rules".into(), user: "{}".into(), may_escalate, account: None }
    }

    #[test]
    fn every_request_has_a_limit_of_tokens_and_no_tool_but_escalate() {
        let guarded = AiAgent { guardrail: Some(Guardrail { id: "gr1".into(), version: "2".into() }), temperature: Some(0.0), ..agent() };
        let asked = body(&guarded, &prompt(true));
        assert_eq!(asked["inferenceConfig"], json!({"maxTokens": 800, "temperature": 0.0}));
        assert_eq!(asked["guardrailConfig"], json!({"guardrailIdentifier": "gr1", "guardrailVersion": "2"}));
        let tools = asked["toolConfig"]["tools"].as_array().unwrap();
        assert_eq!((tools.len(), &tools[0]["toolSpec"]["name"]), (1, &json!("escalate")));
        let asked = body(&agent(), &prompt(false));
        assert_eq!(asked["inferenceConfig"], json!({"maxTokens": 800}));
        assert!(asked.get("toolConfig").is_none() && asked.get("guardrailConfig").is_none());
    }

    #[test]
    fn an_arn_is_one_segment_of_the_path() {
        assert_eq!(path("eu.amazon.nova-lite-v1:0"), "/model/eu.amazon.nova-lite-v1%3A0/converse");
        assert_eq!(path("arn:aws:bedrock:x:1:inference-profile/y"), "/model/arn%3Aaws%3Abedrock%3Ax%3A1%3Ainference-profile%2Fy/converse");
    }

    #[test]
    fn a_request_is_signed_for_its_region_and_body() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let of = |body: &[u8], region| {
            let credentials = Credentials::new("AKIAEXAMPLE", "s3cret", Some("t0ken".to_owned()), None, "test");
            let url = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/a%3A0/converse";
            signed(url, body, region, credentials, at).unwrap()
        };
        let headers = of(b"{}", "eu-west-1");
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.contains("Credential=AKIAEXAMPLE/20270115/eu-west-1/bedrock/aws4_request"), "{authorization}");
        assert!(headers["x-amz-security-token"] == "t0ken" && headers["content-type"] == "application/json");
        assert_ne!(headers["authorization"], of(b"{ }", "eu-west-1")["authorization"]);
        assert_ne!(headers["authorization"], of(b"{}", "eu-west-2")["authorization"]);
        assert!(!format!("{headers:?}").contains("AKIA"), "credentials never show");
    }

    #[test]
    fn each_reason_to_stop_is_known() {
        for (reason, stop) in [
            ("end_turn", Stop::End),
            ("stop_sequence", Stop::End),
            ("tool_use", Stop::Tool),
            ("max_tokens", Stop::Length),
            ("guardrail_intervened", Stop::Filtered),
            ("content_filtered", Stop::Filtered),
            ("malformed_model_output", Stop::Malformed),
            ("malformed_tool_use", Stop::Malformed),
            ("model_context_window_exceeded", Stop::TooMuch),
            ("new", Stop::Unknown),
        ] {
            let body = json!({
                "output": {"message": {"role": "assistant", "content": [{"reasoningContent": {}}, {"text": "Ye"}, {"text": "s"},
                    {"toolUse": {"toolUseId": "1", "name": "escalate", "input": {"reason": "x"}}}]}},
                "stopReason": reason, "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
            });
            let read = reply(body.to_string().as_bytes()).unwrap();
            assert_eq!((read.text.as_str(), read.stop, read.usage), ("Yes", stop, Usage { input: 7, output: 3 }));
            assert_eq!(read.calls, [("escalate".to_owned(), json!({"reason": "x"}))]);
        }
        for broken in ["", "{}", r#"{"output": {}}"#, r#"{"output": {"message": {"conte"#] {
            assert_eq!(reply(broken.as_bytes()), Err(ModelError::Failed), "{broken}");
        }
    }

    #[test]
    fn passages_have_the_name_of_their_document() {
        let body = json!({"retrievalResults": [
            {"content": {"text": "9 to 18"}, "location": {"type": "S3", "s3Location": {"uri": "s3://docs/hours.md"}}, "score": 0.9},
            {"content": {"text": "By train"}, "location": {"type": "WEB", "webLocation": {"url": "https://example.com/how/"}}},
            {"content": {"text": " "}},
            {"content": {"text": "Free"}},
        ]});
        let found = passages(body.to_string().as_bytes()).unwrap();
        let shown: Vec<_> = found.iter().map(|passage| (passage.title.as_str(), passage.location.as_deref())).collect();
        assert_eq!(shown, [("hours.md", Some("s3://docs/hours.md")), ("how", Some("https://example.com/how/")), ("", None)]);
        assert_eq!(passages(b"{}"), Err(ModelError::Failed));
        let asked = retrieve_body(&KnowledgeBase { id: "KB12345678".into(), results: 3 }, &"è".repeat(2_000));
        assert_eq!(asked["retrievalQuery"]["text"].as_str().unwrap().chars().count(), LONGEST_QUERY);
    }

    #[test]
    fn each_refusal_is_told_from_the_others() {
        for (status, kind, message, why) in [
            (429, "ThrottlingException", "", ModelError::Busy),
            (429, "ModelNotReadyException:http://internal", "", ModelError::Busy),
            (403, "AccessDeniedException", "", ModelError::Refused),
            (404, "ResourceNotFoundException", "", ModelError::Unknown),
            (408, "ModelTimeoutException", "", ModelError::Late),
            (400, "ValidationException", "The provided model identifier is invalid.", ModelError::Unknown),
            (400, "ValidationException", "Input is too long for requested model.", ModelError::TooLong),
            (400, "ValidationException", "temperature", ModelError::NotTaken),
            (424, "ModelErrorException", "", ModelError::Failed),
            (503, "", "", ModelError::Failed),
            (403, "", "", ModelError::Refused),
        ] {
            let body = json!({ "message": message });
            assert_eq!(failure(StatusCode::from_u16(status).unwrap(), kind, body.to_string().as_bytes()), why, "{status} {kind}");
        }
    }
}
