//! Which parameters each operation takes, as its description says. A request with another one is refused: a misspelled
//! filter that is ignored would list, export or delete more than somebody asked for.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use http::request::Parts;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use crate::error::Error;
use crate::input::pairs;
use crate::problem::Errors;

/// The names of the parameters of the request's operation.
#[derive(Debug, Clone)]
struct Known(Arc<[String]>);

/// The names of the parameters of all operations, by method and path, the API's prefix included.
#[derive(Debug, Clone, Default)]
pub(crate) struct Operations(Arc<HashMap<(Method, String), Known>>);

impl Operations {
    /// Those that `description` tells of, under each of `prefixes`.
    pub(crate) fn of(description: &OpenApi, prefixes: &[&str]) -> Self {
        let mut all = HashMap::new();
        for (path, item) in &description.paths.paths {
            let methods = [
                (Method::GET, &item.get),
                (Method::PUT, &item.put),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            for (method, operation) in methods {
                let Some(operation) = operation else { continue };
                let known = Known(names(operation).collect());
                for prefix in prefixes {
                    all.insert((method.clone(), format!("{prefix}{path}")), known.clone());
                }
            }
        }
        Self(Arc::new(all))
    }

    /// Tells the request what its operation takes. Whether it has anything else is for [`takes_only_known`] to say,
    /// once its caller is known: strangers get nothing but 401.
    pub(crate) async fn tell(self, mut request: Request, next: Next) -> Response {
        // Whoever answers `GET` answers `HEAD`.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let known = path.and_then(|path| self.0.get(&(method, path)).cloned());
        if let Some(known) = known {
            request.extensions_mut().insert(known);
        }
        next.run(request).await
    }
}

fn names(operation: &Operation) -> impl Iterator<Item = String> {
    operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
        RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name.clone()),
        RefOr::T(_) | RefOr::Ref(_) => None,
    })
}

/// Refuses a request with a parameter that its operation does not take.
pub(crate) fn takes_only_known(parts: &Parts) -> Result<(), Error> {
    let Some(Known(known)) = parts.extensions.get::<Known>() else { return Ok(()) };
    let mut errors = Errors::default();
    for (name, _) in pairs(&parts.uri)? {
        if !known.contains(&name) && !errors.iter().any(|error| error.field == name) {
            let takes = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
            errors.add(name, format!("is not known: this request takes {takes}"));
        }
    }
    Ok(errors.check()?)
}
