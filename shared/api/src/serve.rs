//! Serves the routes of an API.

use std::sync::Arc;

use axum::middleware::from_fn;
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::caller::Api;
use crate::error::Error;
use crate::observe::observe;

/// Serves `routes` under `prefix` (`/agent`) of `public_url`, with their description at `{prefix}/openapi.json`,
/// which needs no token. Every other path and method is a problem too.
pub fn serve<A: Api + Clone + 'static>(prefix: &str, routes: OpenApiRouter<A>, public_url: &str, app: A) -> Router {
    let (routes, mut description) = routes.split_for_parts();
    description.servers = Some(vec![Server::new(format!("{public_url}{prefix}"))]);
    let description = Arc::new(description);
    let routes = routes
        .route("/openapi.json", get(async move || Json(Arc::clone(&description))))
        .method_not_allowed_fallback(async || Error::MethodNotAllowed);
    Router::new().nest(prefix, routes).fallback(async || Error::NotFound).layer(from_fn(observe)).with_state(app)
}
