//! The Lambda `console`: the browser application for agents, under `/console`, and its login.
//!
//! | request | does |
//! |---|---|
//! | `GET /console` | leads to the desk |
//! | `GET /console/assets/…` | a file of the application, compressed at build; its name changes with its contents |
//! | `GET /console/…` | the application's page; what it shows is for the browser |
//! | `GET /console/session/login?to=` | leads to the issuer: authorization code with PKCE |
//! | `GET /console/session/callback` | exchanges the code; the refresh token becomes a cookie that no script can read |
//! | `POST /console/session/token` | a new id token |
//! | `POST /console/session/logout` | ends the session here, and says where it is ended at the issuer |
//!
//! The function has no rights and reads no table. Id tokens pass through it to the browser, which holds them in memory
//! and calls the APIs with them. Both `POST`s want the pages' own `Origin` and the header `X-Console`, which another
//! site's page can't send.

mod app;
mod files;
mod issuer;
mod page;
mod session;

pub use app::{App, router};
pub use files::Files;

use std::sync::Arc;

use cloud::config::Env;

/// Runs the Lambda.
///
/// # Errors
/// A variable of the environment is missing, or the runtime fails.
pub async fn run(files: Files) -> Result<(), lambda_http::Error> {
    let env = Env::of_process();
    cloud::telemetry::init(&env);
    let app = App::from_env(&env, files)?;
    lambda_http::run(router(Arc::new(app))).await
}
