//! The routes, and the OpenAPI document that is made of them.

mod accounts;
mod ai;
mod answers;
mod attachments;
mod contacts;
mod events;
mod handover;
mod interactions;
mod me;
mod messages;
mod notes;
mod outgoing;
mod tags;
mod transcripts;

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{DefaultBodyLimit, MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderValue, header};
use jiff::Timestamp;
use serde::Serialize;
use tracing::Instrument;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, ResponseBuilder, Server, Type};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::input::BODY_LIMIT;
use crate::problem::Failure;

/// A download that a browser can follow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Link {
    /// Saves the file; needs no token.
    pub(crate) url: String,
    /// Until when it works.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: Timestamp,
}

/// Something with a name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Named {
    /// Its id.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Agent API",
        description = "What agents do: presence, offers, interactions, messages. Refusals are problem documents (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(api::Problem, views::AgentEvent)),
    security(("bearer" = []))
)]
struct Document;

/// The API: every path begins with `/agent`.
pub fn router(app: Arc<App>) -> Router {
    let (routes, mut document) = documented().split_for_parts();
    document.servers = Some(vec![Server::new(format!("{}/agent", app.public_url))]);
    let document = Arc::new(document);
    let routes = routes
        .route("/openapi.json", get(move || async move { Json(document.as_ref()).into_response() }))
        .method_not_allowed_fallback(|| async { Failure::MethodNotAllowed })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(from_fn(observed));
    Router::new().nest("/agent", routes).fallback(|| async { Failure::NotFound }).with_state(app)
}

/// The OpenAPI document, without the address of a deployment.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(me::me))
        .routes(routes!(me::presence, me::set_presence))
        .routes(routes!(me::presence_of_agent, me::force_presence))
        .routes(routes!(interactions::list))
        .routes(routes!(interactions::read))
        .routes(routes!(interactions::history))
        .routes(routes!(interactions::accept))
        .routes(routes!(interactions::reject))
        .routes(routes!(interactions::open_tab, interactions::close_tab))
        .routes(routes!(interactions::close))
        .routes(routes!(handover::transfer))
        .routes(routes!(handover::pick))
        .routes(routes!(handover::reassign))
        .routes(routes!(handover::archive))
        .routes(routes!(handover::reopen))
        .routes(routes!(notes::note))
        .routes(routes!(tags::retag))
        .routes(routes!(ai::switch_ai))
        .routes(routes!(contacts::contact))
        .routes(routes!(contacts::past))
        .routes(routes!(contacts::start))
        .routes(routes!(accounts::interactions))
        .routes(routes!(accounts::colleagues))
        .routes(routes!(answers::list))
        .routes(routes!(messages::thread, messages::send))
        .routes(routes!(messages::attachment))
        .routes(routes!(attachments::upload))
        .routes(routes!(transcripts::read, transcripts::request))
        .routes(routes!(events::list))
        .routes(routes!(events::ticket));
    complete(router.get_openapi_mut());
    router
}

/// Adds what all operations have in common.
fn complete(document: &mut utoipa::openapi::OpenApi) {
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(bearer).into());
    for (path, item) in &mut document.paths.paths {
        let commands = [&mut item.put, &mut item.post, &mut item.delete].into_iter().flatten();
        // Tickets and places for uploads are made anew each time.
        for operation in commands.filter(|_| path != "/tickets" && !path.ends_with("/attachments")) {
            repeatable(operation);
            if path.starts_with("/interactions/{id}/") {
                based_on(operation);
            }
        }
        for operation in [&mut item.get, &mut item.put, &mut item.post, &mut item.delete].into_iter().flatten() {
            let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            let refused = ResponseBuilder::new().description("Refused or failed").content("application/problem+json", problem);
            operation.responses.responses.insert("default".to_owned(), refused.build().into());
        }
    }
}

fn repeatable(operation: &mut Operation) {
    let key = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(128)).build();
    let parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Printable ASCII. A command that is repeated with the same key within 24 hours changes nothing and is answered like the first one, \
             whatever its body.",
        ))
        .schema(Some(key))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

fn based_on(operation: &mut Operation) {
    let version = ObjectBuilder::new().schema_type(Type::Integer).build();
    let parameter = ParameterBuilder::new()
        .name("If-Match")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "The `version` that the command is based on: 409 `changed`, with the interaction as it is now, when it has another.",
        ))
        .schema(Some(version))
        .build();
    operation.parameters.get_or_insert_default().push(parameter.into());
}

/// One line a request, and ids in every line that is written meanwhile.
async fn observed(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let empty = tracing::field::Empty;
    let span = tracing::info_span!("request", method = %request.method(), route, agent = empty, account = empty, interaction = empty);
    async move {
        let began = Instant::now();
        let mut response = next.run(request).await;
        // What agents see is theirs alone and changes at any moment.
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(event = "agent_api.answered", status = response.status().as_u16(), duration_ms);
        response
    }
    .instrument(span)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use cloud::config::Env;
    use http::Method;
    use serde_json::Value;
    use tower::ServiceExt;

    /// An API whose AWS and issuer can't be reached: what is refused before anything is read needs neither.
    fn api() -> Router {
        let env = Env::from_pairs([
            ("AWS_REGION", "eu-south-1"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
            ("CONFIG_TABLE", "config"),
            ("INTERACTIONS_TABLE", "interactions"),
            ("BUCKET", "bucket"),
            ("JWT_ISSUER", "https://issuer.test"),
            ("JWKS_URL", "http://127.0.0.1:1/jwks.json"),
            ("PUBLIC_URL", "https://api.test"),
            ("WEBSOCKET_URL", "wss://ws.test/live"),
        ]);
        router(Arc::new(App::from_env(&env).unwrap()))
    }

    async fn answer(request: http::request::Builder) -> (Response<()>, Value) {
        let answer = api().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap_or_default())
    }

    fn request(method: Method, path: &str) -> http::request::Builder {
        http::Request::builder().method(method).uri(path)
    }

    #[tokio::test]
    async fn the_document_is_served_to_anybody_and_tells_the_address() {
        let (answer, document) = answer(request(Method::GET, "/agent/openapi.json")).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["servers"][0]["url"], "https://api.test/agent");
    }

    #[test]
    fn the_document_lists_every_route() {
        let document = serde_json::to_value(openapi()).unwrap();
        let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| {
                let answers: Vec<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
                let body = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
                let takes =
                    |name: &str| operation["parameters"].as_array().into_iter().flatten().any(|parameter| parameter["name"] == name);
                let key = if takes("Idempotency-Key") { " repeatable" } else { "" };
                let version = if takes("If-Match") { " versioned" } else { "" };
                let body = body.rsplit('/').next().unwrap_or_default();
                format!("{} {path} {body}{key}{version} {}", method.to_uppercase(), answers.join(" "))
            })
        });
        insta::assert_snapshot!(operations.map(|line| line.replace("  ", " ")).collect::<Vec<_>>().join("\n"));
    }

    #[test]
    fn the_document_refers_to_nothing_that_it_lacks() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| references(member, found));
                }
                Value::Array(members) => members.iter().for_each(|member| references(member, found)),
                _ => {}
            }
        }
        let document = serde_json::to_value(openapi()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
    }

    #[tokio::test]
    async fn every_other_route_wants_a_token() {
        let document = serde_json::to_value(openapi()).unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for method in item.as_object().unwrap().keys() {
                let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
                for authorization in [None, Some("Basic YTpi"), Some("Bearer nonsense")] {
                    let mut request = request(method.clone(), &format!("/agent{}", path.replace(['{', '}'], "")));
                    if let Some(authorization) = authorization {
                        request = request.header("authorization", authorization);
                    }
                    let (answer, problem) = answer(request).await;
                    assert_eq!((answer.status().as_u16(), &problem["type"]), (401, &"/problems/unauthorized".into()), "{method} {path}");
                    assert_eq!(answer.headers()["content-type"], "application/problem+json");
                }
            }
        }
    }

    #[tokio::test]
    async fn unknown_paths_and_methods_are_problems_too() {
        for path in ["/", "/agent", "/agent/", "/agent/nothing", "/admin/accounts"] {
            let (answer, problem) = answer(request(Method::GET, path)).await;
            assert_eq!((answer.status().as_u16(), &problem["type"]), (404, &"/problems/not-found".into()), "{path}");
        }
        let (answer, problem) = answer(request(Method::DELETE, "/agent/presence")).await;
        assert_eq!((answer.status().as_u16(), &problem["type"]), (405, &"/problems/method-not-allowed".into()));
        assert_eq!(answer.headers()["allow"], "GET,HEAD,PUT");
    }

    #[tokio::test]
    async fn a_body_over_256_kb_is_refused() {
        let echo = |crate::input::Body(value): crate::input::Body<Value>| async move { Json(value) };
        let api: Router = Router::new().route("/", axum::routing::post(echo)).layer(DefaultBodyLimit::max(BODY_LIMIT));
        let send = |bytes: usize| {
            let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes - 8));
            api.clone().oneshot(request(Method::POST, "/").body(Body::from(text)).unwrap())
        };
        assert_eq!(send(BODY_LIMIT).await.unwrap().status(), 200);
        let refused = send(BODY_LIMIT + 1).await.unwrap();
        assert_eq!(
            (refused.status().as_u16(), refused.headers()["content-type"].as_bytes()),
            (413, b"application/problem+json".as_slice())
        );
    }
}
