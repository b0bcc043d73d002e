//! Tests that every description passes.

// Helpers of tests are tests too.
#![allow(clippy::unwrap_used)]

mod answers;

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use cloud::auth::{AuthError, Claims, RoleSource};
use cloud::config::Env;
use domain::agent::Role;
use http::{Method, Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;
use utoipa::openapi::OpenApi;

pub use answers::Answers;

use crate::access::Access;
use crate::caller::Gate;
use crate::documents::Documents;
use crate::openapi::SECURITY_SCHEME;

/// The tests that each API has, in the module that has its `App`, `router` and `openapi`. `$name` is its prefix and
/// the name of its description, `$environment` what its environment has beside that of all. Makes the helper `app`
/// too.
#[macro_export]
macro_rules! every_api {
    ($name:literal, $environment:expr) => {
        /// An API that can reach neither AWS nor the issuer. Requests that are refused before anything is read need
        /// neither.
        fn app() -> App {
            App::from_env(&$crate::testing::nowhere($environment)).unwrap()
        }

        #[test]
        fn the_document_lists_every_route() {
            insta::assert_snapshot!($crate::testing::listing(&openapi()));
        }

        #[test]
        fn the_document_is_sound() {
            $crate::testing::is_sound(&openapi());
        }

        #[test]
        fn the_committed_document_is_the_one_that_is_served() {
            $crate::testing::is_committed(&openapi(), concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi/", $name, ".json"));
        }

        #[test]
        fn every_schema_says_what_it_holds() {
            $crate::testing::is_typed(&openapi());
        }

        #[tokio::test]
        async fn every_route_except_the_document_requires_a_token() {
            let api = router(Arc::new(app()));
            $crate::testing::is_guarded(&api, concat!("/", $name), concat!("https://api.test/", $name), &openapi()).await;
        }

        #[tokio::test]
        async fn a_parameter_that_no_operation_has_is_refused_by_name() {
            let app = App { access: $crate::testing::open_access(), ..app() };
            $crate::testing::refuses_unknown(&router(Arc::new(app)), concat!("/", $name), &openapi()).await;
        }
    };
}

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

/// The variable that has [`is_committed`] write the file anew:
/// `UPDATE_OPENAPI=1 cargo test -p agent-api -p supervisor-api -p assist-api -p admin-api committed`.
const UPDATE: &str = "UPDATE_OPENAPI";

/// The file holds this description, without the address of a deployment.
pub fn is_committed(description: &OpenApi, file: impl AsRef<Path>) {
    let file = file.as_ref();
    let text = serde_json::to_string_pretty(description).unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some_and(|value| !value.is_empty()) {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, &text).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    let differs = committed.lines().zip(text.lines()).position(|(committed, made)| committed != made);
    let line = differs.unwrap_or(committed.lines().count().min(text.lines().count())) + 1;
    assert!(committed == text, "{} differs from the code in line {line}: run the test again with {UPDATE}=1", file.display());
}

/// Every schema says what it holds: an object has members or a schema for all of them, a list has one for its
/// entries, and nothing is left open. Two may hold anything: a problem's further members belong to its kind, and an
/// audit entry has values of every field.
pub fn is_typed(description: &OpenApi) {
    let value = serde_json::to_value(description).unwrap();
    let mut open = Vec::new();
    for (name, schema) in value["components"]["schemas"].as_object().unwrap() {
        if !["Problem", "AuditChange"].contains(&name.as_str()) {
            untyped(schema, name, &mut open);
        }
    }
    let mut contents = Vec::new();
    contents_of(&value["paths"], "paths", &mut contents);
    for (place, schema) in contents {
        untyped(&schema, &place, &mut open);
    }
    assert!(open.is_empty(), "{open:#?}");
}

/// Every `schema` below `value`, with its place.
fn contents_of(value: &Value, place: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                let place = format!("{place} {name}");
                if name == "schema" { found.push((place, value.clone())) } else { contents_of(value, &place, found) }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| contents_of(value, place, found)),
        _ => {}
    }
}

fn untyped(schema: &Value, place: &str, open: &mut Vec<String>) {
    let Some(members) = schema.as_object() else { return open.push(format!("{place}: {schema}")) };
    let is = |kind: &str| match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    };
    let parts = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|name| schema[name].as_array()).flatten().collect::<Vec<_>>();
    let says_nothing = parts.is_empty() && !["$ref", "type", "enum", "const"].iter().any(|name| members.contains_key(*name));
    let has = |name: &str| members.contains_key(name);
    if says_nothing
        || (is("object") && !has("properties") && !has("additionalProperties"))
        || (is("array") && !has("items") && !has("prefixItems"))
    {
        open.push(place.to_owned());
    }
    for part in parts {
        untyped(part, place, open);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        untyped(property, &format!("{place}.{name}"), open);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(schema) = members.get(name).filter(|schema| !schema.is_boolean()) {
            untyped(schema, &format!("{place}.{name}"), open);
        }
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

/// The environment of an API that can reach neither AWS nor the issuer, and `more` of its own: for requests that are
/// refused before anything is read.
pub fn nowhere(more: &[(&str, &str)]) -> Env {
    let all = [
        ("AWS_REGION", "eu-south-1"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
        ("CONFIG_TABLE", "config"),
        ("INTERACTIONS_TABLE", "interactions"),
        ("BUCKET", "bucket"),
        ("JWT_ISSUER", "https://issuer.test"),
        ("JWT_AUDIENCE", "app"),
        ("JWKS_URL", "http://127.0.0.1:1/jwks.json"),
        ("PUBLIC_URL", "https://api.test"),
    ];
    Env::from_pairs(all.into_iter().chain(more.iter().copied()))
}

/// Takes every token for an owner's.
struct Open;

impl Gate for Open {
    fn verify<'a>(&'a self, _: &'a str, _: Timestamp) -> Pin<Box<dyn Future<Output = Result<Claims, AuthError>> + Send + 'a>> {
        Box::pin(async { Ok(Claims { subject: "owner".to_owned(), roles: vec![Role::Owner] }) })
    }
}

/// Lets in whoever has a token, as an owner, and asks nothing else for that.
pub fn open_access() -> Access {
    Access { gate: Arc::new(Open), role_source: RoleSource::Claim, documents: Documents::Public }
}

/// Every operation of an API with [`open_access`] refuses a parameter that its description does not have, with 422, by
/// name, and no other. A stranger gets 401 for it.
pub async fn refuses_unknown(router: &Router, prefix: &str, description: &OpenApi) {
    for operation in operations(description) {
        let parameters = operation.value["parameters"].as_array().into_iter().flatten();
        let known = parameters.filter(|parameter| parameter["in"] == "query").map(|parameter| parameter["name"].as_str().unwrap());
        let query: String = known.map(|name| format!("&{name}=x")).collect();
        let path = format!("{prefix}{}?nobody_knows={query}", operation.path.replace(['{', '}'], ""));
        let (status, _, problem) = ask(router, &operation.method, &path, Some("Bearer any")).await;
        let named: Vec<_> =
            problem["errors"].as_array().into_iter().flatten().map(|error| (error["field"].as_str(), error["code"].as_str())).collect();
        let expected = (422, vec![(Some("nobody_knows"), Some("unknown-field"))]);
        assert_eq!((status.as_u16(), named), expected, "{} {path}: {problem}", operation.method);
        let (status, ..) = ask(router, &operation.method, &path, None).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {path}", operation.method);
    }
}
