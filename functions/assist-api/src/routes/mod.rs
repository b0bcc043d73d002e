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

    api::every_api!(
        "assist",
        &[("TRANSLATION_KEY_PREFIX", "x/translation/"), ("AI_KEY_PREFIX", "x/ai/"), ("VIDEO_KEY_PREFIX", "x/video/")]
    );
}
