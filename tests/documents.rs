//! The documents name what is there.

use std::path::Path;

/// All Rust sources below `folder`.
fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_table_of_providers_names_exists() {
    let root = local::workspace();
    let document = std::fs::read_to_string(root.join("docs/providers.md")).unwrap();
    let mut code = String::new();
    for folder in ["shared", "functions", "tests"] {
        sources(&root.join(folder), &mut code);
    }
    // Names of tests are sentences.
    let sentence =
        |name: &&str| name.split('_').count() > 4 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let named: Vec<_> = document.split('`').filter(sentence).collect();
    assert!(named.len() > 60, "{} tests are named", named.len());
    let missing: Vec<_> = named.into_iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
