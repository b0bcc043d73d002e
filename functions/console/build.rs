//! Embeds the built application into the shipped binary. Other profiles embed nothing: the local run serves the
//! folder itself, so that tests and checks need no Node.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-env-changed=CONSOLE");
    println!("cargo:rerun-if-changed=build.rs");
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let workspace = package.ancestors().nth(2).unwrap_or(&package).to_path_buf();
    let mut embedded = String::from("&[\n");
    if env::var("PROFILE").is_ok_and(|profile| profile == "release") && env::var("CONSOLE").is_ok_and(|wish| wish == "skip") {
        println!("cargo:warning=CONSOLE=skip: the function ships a page that says so, and not the console");
    } else if env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        println!("cargo:rerun-if-changed=app");
        if !build_console::is_current(&workspace) {
            eprintln!("the console is not built, or its sources are newer: run `cargo console` first (CONSOLE=skip ships without it)");
            std::process::exit(1);
        }
        let dist = build_console::dist(&workspace);
        add(&dist, &dist, &mut embedded);
    }
    embedded.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("embedded.rs");
    if let Err(error) = fs::write(&out, embedded) {
        eprintln!("{}: {error}", out.display());
        std::process::exit(1);
    }
}

/// Adds a line for each file below `folder`.
fn add(dist: &Path, folder: &Path, embedded: &mut String) {
    let mut paths: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add(dist, &path, embedded);
        } else if let Ok(name) = path.strip_prefix(dist) {
            let (name, path) = (name.to_string_lossy(), path.to_string_lossy());
            let _ = writeln!(embedded, "({name:?}, include_bytes!({path:?})),");
        }
    }
}
