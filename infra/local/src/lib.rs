//! The local run: the engine in place of AWS, the deployment of `infra/template.yaml` to it, the stand-in for the
//! providers, clients, and the demo of `cargo local`. The tests use the same parts.

// The futures of engine, store and SDK nest deeper than the compiler's default limit.
#![recursion_limit = "256"]
// This is a command that talks to a person.
#![allow(clippy::print_stdout)]

pub mod cli;
pub mod client;
pub mod demo;
pub mod deploy;
pub mod engine;
pub mod functions;
pub mod history;
pub mod meter;
pub mod standin;
pub mod template;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// The folder for everything that a run makes: `.local` in the checkout, ignored by git.
pub fn private_folder() -> PathBuf {
    workspace().join(".local")
}

/// An HTTP client that follows no redirects and uses no proxy: everything that it calls is on this machine.
pub fn http() -> reqwest::Client {
    // The provider may be installed already. reqwest only needs one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // Nothing here speaks TLS; to read the system's roots costs every client more than its request.
        .tls_certs_only([])
        // Longer than the API's own limit of 30 s, so that its answer arrives.
        .timeout(Duration::from_secs(35))
        .build();
    client.unwrap_or_default()
}
