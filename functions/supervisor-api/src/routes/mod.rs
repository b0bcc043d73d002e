//! The routes, and the OpenAPI document built from them.

mod deletions;
mod erasures;
mod exports;
mod holds;
mod imports;
mod jobs;
mod lists;
mod logs;
mod oversight;
mod reopening;
mod reports;
mod retention;
mod searches;
mod watch;

use std::sync::Arc;

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

#[derive(OpenApi)]
#[openapi(info(
    title = "Supervisor API",
    description = "The API for supervisors: find and read interactions of all accounts. Errors are problem documents (RFC 9457).",
    license(name = "Apache-2.0", identifier = "Apache-2.0")
))]
struct Document;

/// The API. Every path begins with `/supervisor`.
pub fn router(app: Arc<App>) -> Router {
    let public_url = app.public_url.clone();
    api::serve("/supervisor", documented(), &public_url, app)
}

/// The OpenAPI document, without the address of a deployment.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(oversight::read))
        .routes(routes!(reports::read))
        .routes(routes!(desk::presence::presence_of_agent, desk::presence::force_presence))
        .routes(routes!(lists::list))
        .routes(routes!(desk::searches::search))
        .routes(routes!(desk::searches::fields))
        .routes(routes!(searches::list))
        .routes(routes!(searches::put, searches::delete))
        .routes(routes!(desk::interactions::read, deletions::delete))
        .routes(routes!(desk::interactions::history))
        .routes(routes!(desk::interactions::close))
        .routes(routes!(desk::handover::reassign))
        .routes(routes!(desk::handover::archive))
        .routes(routes!(desk::messages::thread))
        .routes(routes!(desk::messages::attachment))
        .routes(routes!(desk::messages::attachments))
        .routes(routes!(desk::notes::note))
        .routes(routes!(desk::tags::retag))
        .routes(routes!(desk::ai::switch_ai))
        .routes(routes!(desk::language::set_language))
        .routes(routes!(desk::transcripts::read, desk::transcripts::request))
        .routes(routes!(reopening::reopen))
        .routes(routes!(watch::watch, watch::unwatch))
        .routes(routes!(logs::list))
        .routes(routes!(logs::read))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::read, jobs::cancel))
        .routes(routes!(jobs::file))
        .routes(routes!(exports::export))
        .routes(routes!(imports::upload))
        .routes(routes!(imports::order))
        .routes(routes!(deletions::preview))
        .routes(routes!(deletions::preview_matching))
        .routes(routes!(deletions::order))
        .routes(routes!(erasures::erase))
        .routes(routes!(retention::read, retention::put))
        .routes(routes!(retention::preview))
        .routes(routes!(holds::read, holds::put, holds::release))
        .routes(routes!(holds::read_contact, holds::put_contact, holds::release_contact));
    api::complete_commands(router.get_openapi_mut(), |path| path.starts_with("/interactions/{id}/") || path == "/agents/{id}/presence");
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    api::every_api!("supervisor", &[("DERIVED_TABLE", "derived"), ("JOBS_QUEUE_URL", "http://127.0.0.1:1/jobs")]);
}
