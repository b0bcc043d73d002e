//! Tests that every description passes.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

use crate::openapi::SECURITY_SCHEME;

/// An operation of a description.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// `GET`
    pub method: Method,
    /// `/accounts/{id}`, without the API's prefix.
    pub path: String,
    /// The operation, as described.
    pub value: Value,
}

/// All operations, by path and method.
pub fn operations(description: &OpenApi) -> Vec<Operation> {
    let description = serde_json::to_value(description).unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let of_method = |(method, value): (&String, &Value)| Operation {
            method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
            path: path.clone(),
            value: value.clone(),
        };
        item.as_object().unwrap().iter().map(of_method).collect::<Vec<_>>()
    };
    description["paths"].as_object().unwrap().iter().flat_map(of_path).collect()
}

/// A line an operation: method, path, body, headers, statuses. For a snapshot, so that a change of the API is seen.
pub fn listing(description: &OpenApi) -> String {
    let line = |operation: Operation| {
        let Operation { method, path, value } = operation;
        let statuses: Vec<&str> = value["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        let body = value["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str();
        let body = body.and_then(|reference| reference.rsplit('/').next()).map(|name| format!(" {name}")).unwrap_or_default();
        let takes = |name: &str| value["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == name);
        let key = if takes("Idempotency-Key") { " repeatable" } else { "" };
        let version = if takes("If-Match") { " versioned" } else { "" };
        format!("{method} {path}{body}{key}{version} {}", statuses.join(" "))
    };
    operations(description).into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The description is OpenAPI 3.1 with one bearer token, refers to no schema that it lacks, and every operation has an
/// id of its own.
pub fn is_sound(description: &OpenApi) {
    let value = serde_json::to_value(description).unwrap();
    assert_eq!(value["openapi"], "3.1.0");
    let schemes = value["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), [SECURITY_SCHEME]);
    assert_eq!(schemes[SECURITY_SCHEME]["scheme"], "bearer");
    assert_eq!(value["security"], json!([{ SECURITY_SCHEME: [] }]));
    let mut found = BTreeSet::new();
    references(&value, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        assert!(value.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let mut ids = BTreeSet::new();
    for operation in operations(description) {
        let id = operation.value["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "{} {} has the id of another operation", operation.method, operation.path);
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// Sends a request without a body.
pub async fn ask(router: &Router, method: &Method, path: &str, authorization: Option<&str>) -> (StatusCode, http::HeaderMap, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(authorization) = authorization {
        request = request.header("authorization", authorization);
    }
    let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    (parts.status, parts.headers, serde_json::from_slice(&body).unwrap_or_default())
}

/// Every operation is refused without a valid token; the description itself is served to anybody, under `server`;
/// other paths and methods are problems.
pub async fn is_guarded(router: &Router, prefix: &str, server: &str, description: &OpenApi) {
    for operation in operations(description) {
        let path = format!("{prefix}{}", operation.path.replace(['{', '}'], ""));
        for authorization in [None, Some("Basic YTpi"), Some("Bearer nonsense")] {
            let (status, headers, problem) = ask(router, &operation.method, &path, authorization).await;
            assert_eq!((status.as_u16(), &problem["type"]), (401, &json!("/problems/unauthorized")), "{} {path}", operation.method);
            assert_eq!(
                (headers["content-type"].as_bytes(), headers["cache-control"].as_bytes()),
                (&b"application/problem+json"[..], &b"no-store"[..])
            );
        }
    }
    let (status, _, served) = ask(router, &Method::GET, &format!("{prefix}/openapi.json"), None).await;
    assert_eq!((status.as_u16(), &served["openapi"], &served["servers"][0]["url"]), (200, &json!("3.1.0"), &json!(server)));
    for path in ["/", prefix, &format!("{prefix}/"), &format!("{prefix}/nothing"), "/elsewhere/openapi.json"] {
        let (status, _, problem) = ask(router, &Method::GET, path, None).await;
        assert_eq!((status.as_u16(), &problem["type"]), (404, &json!("/problems/not-found")), "{path}");
    }
    let (status, headers, problem) = ask(router, &Method::DELETE, &format!("{prefix}/openapi.json"), None).await;
    assert_eq!((status.as_u16(), &problem["type"]), (405, &json!("/problems/method-not-allowed")));
    assert_eq!(headers["allow"], "GET,HEAD");
}
