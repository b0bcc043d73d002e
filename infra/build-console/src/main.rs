//! `cargo console`; see the library.

// This is a command that talks to a person.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::ExitCode;

use build_console::{Outcome, build, dist};

fn main() -> ExitCode {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.ancestors().nth(2).unwrap_or(package);
    match build(workspace, |step| println!("{step}")) {
        Ok(Outcome::Built) => println!("The console is in {}.", dist(workspace).display()),
        Ok(Outcome::Current) => println!("The console is current."),
        Err(error) => {
            eprintln!("cargo console: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
