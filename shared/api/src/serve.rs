//! Serves the routes of an API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::routing::get;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::caller::Api;
use crate::documents::Document;
use crate::error::Error;
use crate::observe::observe;

/// Serves `routes` under `prefix` (`/agent`) of `public_url`, with their description at `{prefix}/openapi.json`, which
/// needs no token unless the API's [`Documents`](crate::Documents) say otherwise. Every other path and method is a problem too.
pub fn serve<A: Api + Clone + 'static>(prefix: &str, routes: OpenApiRouter<A>, public_url: &str, app: A) -> Router {
    let (routes, mut description) = routes.split_for_parts();
    description.servers = Some(vec![Server::new(format!("{public_url}{prefix}"))]);
    let document = Arc::new(Document::new(description));
    let described = async move |State(app): State<A>, request: Request| document.answer(&mut request.into_parts().0, &app).await;
    let routes = routes.route("/openapi.json", get(described)).method_not_allowed_fallback(async || Error::MethodNotAllowed);
    Router::new().nest(prefix, routes).fallback(async || Error::NotFound).layer(from_fn(observe)).with_state(app)
}
