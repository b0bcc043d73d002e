//! The Lambda `admin-api`: the HTTP API under `/admin` for accounts, agents, queues, contact lists and the choices
//! for agents. Only this function writes the configuration.
//!
//! Callers carry a token with the role admin or owner. Supervisors may also read agents, queues, pauses and contacts,
//! and manage dispositions, tags and canned answers. An account's agents may read its templates. A change names the
//! version that was read (`If-Match`). A refusal lists all errors of a body at once, field by field. Errors are
//! problem documents (RFC 9457).

mod alerts;
mod app;
mod audit_route;
mod error;
mod input;
mod merge;
mod openapi;
mod providers;
mod resource;
mod resources;
mod shells;
mod trail;
mod users;

use std::sync::Arc;

use axum::Router;
use cloud::config::Env;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use api::Gate;
pub use app::App;
pub use users::{UserPool, UserPoolError};

/// Runs the Lambda.
///
/// # Errors
/// A variable of the environment is missing, or the runtime fails.
pub async fn run() -> Result<(), lambda_http::Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    // Boxed: the future's type is too deep for the compiler where one program holds several functions.
    Box::pin(lambda_http::run(router(App::from_env(&env)?))).await
}

/// The API under `/admin`.
pub fn router(app: App) -> Router {
    let public_url = Arc::clone(&app.public_url);
    api::serve("/admin", described(), &public_url, app)
}

/// The API's description, without its address.
pub fn openapi() -> OpenApi {
    described().into_openapi()
}

fn described() -> OpenApiRouter<App> {
    let mut described = routes();
    merge::describe(described.get_openapi_mut());
    openapi::complete(described.get_openapi_mut());
    described
}

fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(openapi::Description::openapi())
        .merge(resources::routes())
        .routes(routes!(providers::list_providers))
        .routes(routes!(providers::check_provider))
        .routes(routes!(providers::provider_numbers))
        .routes(routes!(providers::check_account))
        .routes(routes!(providers::account_numbers))
        .routes(routes!(providers::account_templates))
        .routes(routes!(providers::get_webhook, providers::register_webhook))
        .routes(routes!(providers::reconcile_account))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(audit_route::list_audit))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::input::Errors;

    #[test]
    fn the_description_lists_every_route() {
        insta::assert_snapshot!(api::testing::listing(&openapi()));
    }

    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        api::testing::is_committed(&openapi(), concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi/admin.json"));
    }

    #[test]
    fn every_schema_says_what_it_holds() {
        api::testing::is_typed(&openapi());
    }

    #[test]
    fn the_description_is_sound() {
        api::testing::is_sound(&openapi());
    }

    /// Whether a schema allows a value, as far as its type goes.
    fn allows(schema: &Value, value: &Value, description: &Value) -> bool {
        if let Some(reference) = schema["$ref"].as_str() {
            return allows(&description.pointer(reference.trim_start_matches('#')).unwrap().clone(), value, description);
        }
        if let Some(alternatives) = schema["oneOf"].as_array() {
            return alternatives.iter().any(|schema| allows(schema, value, description));
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        };
        let named = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        types.iter().any(|known| known == named)
    }

    #[test]
    fn the_schema_of_each_plan_step_matches_the_parser() {
        let description = serde_json::to_value(openapi()).unwrap();
        let (queue, agent) = ("que_00000000000000000000000001", "agt_00000000000000000000000001");
        let steps = [
            json!({"step": "queue", "queue": queue, "timeout": 30}),
            json!({"step": "agent", "agent": agent, "timeout": 30}),
            json!({"step": "auto_reply", "text": "Ciao", "when": "always"}),
            json!({"step": "close", "disposition": "Spam"}),
            json!({"step": "tag", "tag": "vip"}),
            json!({"step": "priority", "priority": 5}),
            json!({"step": "set", "variable": "lang", "value": "it"}),
            json!({"step": "goto_if", "condition": "lang = 'it'", "then": "end", "else": 0}),
            json!({"step": "goto_if", "condition": "lang = 'it'", "then": 0, "else": "end"}),
            json!({"step": "goto", "to": "end"}),
            json!({"step": "goto", "to": 0}),
            json!({"step": "webhook", "url": "https://crm.example.com/"}),
            json!({"step": "assistant", "ai_agent": "aia_00000000000000000000000001"}),
            json!({"step": "noop", "comment": "here"}),
        ];
        let kinds = description["components"]["schemas"]["Step"]["oneOf"].as_array().unwrap();
        for step in steps {
            let kind = kinds.iter().find(|kind| kind["properties"]["step"]["enum"] == json!([step["step"]])).unwrap();
            for (field, value) in step.as_object().unwrap() {
                assert!(allows(&kind["properties"][field], value, &description), "{field} of {step}: {}", kind["properties"][field]);
            }
            let taken = |step: &Value| {
                let mut errors = Errors::default();
                crate::input::step("plan[0]".to_owned(), step.clone(), &mut errors);
                errors.check()
            };
            assert_eq!(taken(&step), Ok(()));
        }
        // A value that is not a jump does not match the schema of a jump.
        let to = &kinds.iter().find(|kind| kind["properties"]["step"]["enum"] == json!(["goto"])).unwrap()["properties"]["to"];
        assert!(!allows(to, &json!({}), &description) && !allows(to, &json!(true), &description));
    }

    #[tokio::test]
    async fn a_parameter_that_no_operation_has_is_refused_by_name() {
        let env = api::testing::nowhere(&[
            ("ASSIGN_QUEUE_URL", "http://127.0.0.1:1/assign"),
            ("PUSH_QUEUE_URL", "http://127.0.0.1:1/push"),
            ("INBOUND_QUEUE_URL", "http://127.0.0.1:1/inbound"),
            ("SECRET_PREFIX", "x/account/"),
            ("TRANSLATION_KEY_PREFIX", "x/translation/"),
            ("AI_KEY_PREFIX", "x/ai/"),
            ("VIDEO_KEY_PREFIX", "x/video/"),
            ("WEBSOCKET_ENDPOINT", "http://127.0.0.1:1/sockets"),
        ]);
        let app = App::from_env(&env).unwrap();
        let app = App { access: api::testing::open_access(), ..app };
        api::testing::refuses_unknown(&router(app), "/admin", &openapi()).await;
    }
}
