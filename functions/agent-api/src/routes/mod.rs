//! The routes, and the OpenAPI document built from them.

mod accounts;
mod answers;
mod attachments;
mod contacts;
mod events;
mod handover;
mod interactions;
mod lists;
mod me;
mod messages;
mod notifications;
mod outgoing;
mod queues;
mod waiting;

use std::sync::Arc;

use axum::Router;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
pub use waiting::Unheld;

/// An id with its name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Named {
    /// The id.
    pub(crate) id: String,
    /// The name.
    pub(crate) name: String,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Agent API",
        description = "The API for agents: presence, offers, interactions and messages. Errors are problem documents (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(views::AgentEvent))
)]
struct Document;

/// The API. Every path begins with `/agent`.
pub fn router(app: Arc<App>) -> Router {
    let public_url = app.public_url.clone();
    api::serve("/agent", documented(), &public_url, app)
}

/// The OpenAPI document, without the address of a deployment.
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

fn documented() -> OpenApiRouter<Arc<App>> {
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(me::me))
        .routes(routes!(me::presence, me::set_presence))
        .routes(routes!(desk::presence::presence_of_agent, desk::presence::force_presence))
        .routes(routes!(queues::list))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::read))
        .routes(routes!(notifications::read_all))
        .routes(routes!(interactions::list))
        .routes(routes!(lists::list))
        .routes(routes!(waiting::list))
        .routes(routes!(desk::searches::search))
        .routes(routes!(desk::searches::fields))
        .routes(routes!(desk::interactions::read))
        .routes(routes!(desk::interactions::history))
        .routes(routes!(interactions::accept))
        .routes(routes!(interactions::reject))
        .routes(routes!(interactions::open_tab, interactions::close_tab))
        .routes(routes!(desk::interactions::close))
        .routes(routes!(handover::transfer))
        .routes(routes!(handover::pick))
        .routes(routes!(desk::handover::reassign))
        .routes(routes!(desk::handover::archive))
        .routes(routes!(handover::reopen))
        .routes(routes!(desk::notes::note))
        .routes(routes!(desk::tags::retag))
        .routes(routes!(desk::ai::switch_ai))
        .routes(routes!(desk::language::set_language))
        .routes(routes!(contacts::find))
        .routes(routes!(contacts::contact))
        .routes(routes!(contacts::past))
        .routes(routes!(contacts::start))
        .routes(routes!(accounts::interactions))
        .routes(routes!(accounts::colleagues))
        .routes(routes!(answers::list))
        .routes(routes!(answers::file))
        .routes(routes!(desk::messages::thread, messages::send))
        .routes(routes!(desk::messages::attachment))
        .routes(routes!(desk::messages::attachments, attachments::upload))
        .routes(routes!(desk::transcripts::read, desk::transcripts::request))
        .routes(routes!(events::list))
        .routes(routes!(events::ticket));
    // Every call makes a new ticket or upload.
    api::complete_commands(router.get_openapi_mut(), |path| {
        // Reading notifications twice changes nothing.
        path != "/tickets" && path != "/search" && !path.ends_with("/attachments") && !path.starts_with("/notifications")
    });
    router
}

#[cfg(test)]
mod tests {
    use super::*;

    api::every_api!("agent", &[("WEBSOCKET_URL", "wss://ws.test/live")]);
}
