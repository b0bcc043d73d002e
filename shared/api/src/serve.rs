//! Serves the routes of an API.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn;
use axum::routing::get;
use utoipa::openapi::Server;
use utoipa_axum::router::OpenApiRouter;

use crate::caller::Api;
use crate::command::printed;
use crate::documents::Document;
use crate::error::Error;
use crate::known::Operations;
use crate::observe::observe;

/// Serves `routes` under `prefix` (`/agent`) of `public_url`, with their description at `{prefix}/openapi.json`, which
/// needs no token unless the API's [`Documents`](crate::Documents) say otherwise. Every other path and method is a
/// problem too.
pub fn serve<A: Api + Clone + 'static>(prefix: &str, routes: OpenApiRouter<A>, public_url: &str, app: A) -> Router {
    let (routes, mut description) = routes.split_for_parts();
    let path = path_of(public_url);
    let known = Operations::of(&description, &[prefix, &format!("{path}{prefix}")]);
    description.servers = Some(vec![Server::new(format!("{public_url}{prefix}"))]);
    let document = Arc::new(Document::new(description));
    let described = async move |State(app): State<A>, request: Request| document.answer(&mut request.into_parts().0, &app).await;
    let routes = routes.route("/openapi.json", get(described)).method_not_allowed_fallback(async || Error::MethodNotAllowed);
    let told = from_fn(move |request, next| known.clone().tell(request, next));
    let routes = at(prefix, path, routes).fallback(async || Error::NotFound);
    routes.layer(told).layer(from_fn(printed)).layer(from_fn(observe)).with_state(app)
}

/// The path of `public_url`, without a slash at the end.
fn path_of(public_url: &str) -> &str {
    let host = public_url.split_once("://").map_or(public_url, |(_, host)| host);
    host.find('/').map_or("", |at| &host[at..]).trim_end_matches('/')
}

/// `routes` under `prefix`, with and without `path`, that of the public address, before it. An API mapping of API
/// Gateway routes a request without its part of the path, but hands on the whole path; a proxy that strips the part
/// itself, and the API's own address, come without it.
fn at<A: Clone + Send + Sync + 'static>(prefix: &str, path: &str, routes: Router<A>) -> Router<A> {
    let router = Router::new().nest(prefix, routes.clone());
    if path.is_empty() { router } else { router.nest(&format!("{path}{prefix}"), routes) }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Path;
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;

    async fn status(public_url: &str, path: &str) -> StatusCode {
        let routes: Router = Router::new().route("/accounts/{id}", get(async |Path(id): Path<String>| assert_eq!(id, "7")));
        let router = at("/agent", path_of(public_url), routes).fallback(async || Error::NotFound);
        router.oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap().status()
    }

    #[tokio::test]
    async fn behind_an_api_mapping_requests_with_and_without_its_path_are_answered() {
        let own = "http://127.0.0.1:4701/_aws/execute-api/a1/$default";
        for public_url in ["https://x.example/wa", "https://x.example/wa/v1", "https://x.example", "https://x.example/agent", own] {
            let path = public_url.splitn(4, '/').nth(3).map_or(String::new(), |path| format!("/{path}"));
            for path in ["/agent/accounts/7".to_owned(), format!("{path}/agent/accounts/7")] {
                assert_eq!(status(public_url, &path).await, StatusCode::OK, "{public_url}: {path}");
            }
        }
        for path in ["/other/agent/accounts/7", "/wa/accounts/7", "/wa", "/wa/wa/agent/accounts/7"] {
            assert_eq!(status("https://x.example/wa", path).await, StatusCode::NOT_FOUND, "{path}");
        }
    }
}
