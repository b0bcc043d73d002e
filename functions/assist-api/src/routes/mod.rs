//! The routes, and the OpenAPI document built from them.

mod assistant;
mod insights;
mod translations;
mod video;

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

#[derive(OpenApi)]
#[openapi(info(
    title = "Assist API",
    description = "The API that helps agents and supervisors with a conversation: translations, answers, drafts, insights, video calls. Errors are problem documents (RFC 9457).",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Document;

/// The API. Every path begins with `/assist`.
pub fn router(app: Arc<App>) -> Router {
    let public_url = app.public_url.clone();
    api::serve("/assist", documented(), &public_url, app)
}

/// The OpenAPI document, without the address of a deployment.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(translations::translate))
        .routes(routes!(translations::translate_draft))
        .routes(routes!(assistant::ask))
        .routes(routes!(assistant::suggest))
        .routes(routes!(insights::make))
        .routes(routes!(video::start))
        .routes(routes!(assistant::test_ai_agent));
    // A translation that is there already is not made again; answers and drafts change nothing.
    api::complete_commands(router.get_openapi_mut(), |path| path.ends_with("/insights") || path.ends_with("/video"));
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An API that can reach neither AWS nor the issuer. Requests that are refused before anything is read need
    /// neither.
    fn app() -> App {
        App::from_env(&api::testing::nowhere(&[
            ("TRANSLATION_KEY_PREFIX", "x/translation/"),
            ("AI_KEY_PREFIX", "x/ai/"),
            ("VIDEO_KEY_PREFIX", "x/video/"),
        ]))
        .unwrap()
    }

    fn api() -> Router {
        router(Arc::new(app()))
    }

    #[test]
    fn the_document_lists_every_route() {
        insta::assert_snapshot!(api::testing::listing(&openapi()));
    }

    #[test]
    fn the_document_is_sound() {
        api::testing::is_sound(&openapi());
    }

    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        api::testing::is_committed(&openapi(), concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi/assist.json"));
    }

    #[test]
    fn every_schema_says_what_it_holds() {
        api::testing::is_typed(&openapi());
    }

    #[tokio::test]
    async fn every_route_except_the_document_requires_a_token() {
        api::testing::is_guarded(&api(), "/assist", "https://api.test/assist", &openapi()).await;
    }

    #[tokio::test]
    async fn a_parameter_that_no_operation_has_is_refused_by_name() {
        let app = App { access: api::testing::open_access(), ..app() };
        api::testing::refuses_unknown(&router(Arc::new(app)), "/assist", &openapi()).await;
    }
}
