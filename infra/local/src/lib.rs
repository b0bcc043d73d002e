//! Everything runs on this machine: the engine that stands in for AWS, the deployment of `infra/template.yaml` to it, the stand-in
//! for the provider, clients, and the demo of `cargo local`. The tests use the same parts.

// The futures of engine, store and SDK nest deeper than the compiler looks by default.
#![recursion_limit = "256"]
// It is a command that talks to a person.
#![allow(clippy::print_stdout)]

pub mod cli;
pub mod client;
pub mod demo;
pub mod deploy;
pub mod engine;
pub mod functions;
pub mod standin;

use std::path::{Path, PathBuf};
use std::time::Duration;

/// The root of the checkout.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_path_buf()
}

/// Where everything is kept that a run makes: `.local` in the checkout, ignored by git.
pub fn private_folder() -> PathBuf {
    workspace().join(".local")
}

/// An HTTP client that follows no redirects and goes through no proxy: all it talks to is on this machine.
pub fn http() -> reqwest::Client {
    // Somebody else may have installed it already; reqwest only wants that there is one.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        // Longer than the API's own limit of 30 s, so that its answer is seen.
        .timeout(Duration::from_secs(35))
        .build();
    client.unwrap_or_default()
}
