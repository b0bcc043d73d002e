//! Checks of the documents and comments: the tests that they name exist, and their lines are short.

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

#[test]
fn the_tables_of_webhooks_name_every_recorded_request() {
    let root = local::workspace();
    let document = std::fs::read_to_string(root.join("docs/providers.md")).unwrap();
    let (_, tables) = document.split_once("\n## What becomes of each webhook\n").unwrap();
    let (tables, _) = tables.split_once("\n## ").unwrap();
    let section = |heading: &str| tables.split("\n### ").find(|section| section.starts_with(heading)).unwrap().to_owned();
    let sinch = section("`SINCH_V2`") + &section("`SINCH`\n");
    let sections = [("meta", section("`META`")), ("kaleyra", section("`META`")), ("twilio", section("`TWILIO`")), ("sinch", sinch)];
    let mut missing = Vec::new();
    for (provider, section) in sections {
        for entry in std::fs::read_dir(root.join("events").join(provider)).unwrap().flatten() {
            let name = entry.path().file_stem().unwrap().to_string_lossy().into_owned();
            if !section.contains(&format!("`{name}`")) {
                missing.push(format!("{provider}/{name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

/// A line of prose has fewer characters than this, so that it fits beside another file on a screen.
const WIDTH: usize = 120;

/// The lines of a Markdown file that are too long, tables and code blocks aside.
fn long_lines(markdown: &str) -> Vec<&str> {
    let mut code = false;
    let prose = markdown.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !fence && !code && !line.starts_with('|')
    });
    prose.filter(|line| line.chars().count() >= WIDTH).collect()
}

#[test]
fn lines_of_prose_in_the_documents_are_short() {
    let root = local::workspace();
    let documents = [root.clone(), root.join("docs")].map(|folder| std::fs::read_dir(folder).unwrap().flatten()).into_iter().flatten();
    let documents: Vec<_> =
        documents.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    assert!(documents.len() > 6, "{documents:?}");
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let long = long_lines(&text);
        assert!(long.is_empty(), "{}: {long:#?}", document.display());
    }
}

/// Folders whose comments are checked.
const COMMENTED: &[&str] = &[
    "fuzz/src",
    "functions/admin-api",
    "functions/agent-api",
    "functions/archive",
    "functions/assign",
    "functions/assist",
    "functions/assist-api",
    "functions/console/src",
    "functions/dispatch",
    "functions/media",
    "functions/push",
    "functions/realtime",
    "functions/reconcile",
    "functions/route",
    "functions/send",
    "functions/supervisor-api",
    "functions/webhook",
    "functions/worker",
    "infra/build-console",
    "infra/local",
    "shared/api",
    "shared/audit",
    "shared/client",
    "shared/cloud",
    "shared/desk",
    "shared/domain",
    "shared/engine",
    "shared/providers",
    "shared/receive",
    "shared/search",
    "shared/store",
    "shared/views",
    "tests",
];

/// The comments of Rust code that are too long, tables aside.
fn long_comments(code: &str) -> Vec<&str> {
    let comments = code.lines().filter_map(|line| {
        let text = line.trim_start();
        let comment = text.strip_prefix("///").or(text.strip_prefix("//!")).or(text.strip_prefix("//"))?;
        (!comment.trim_start().starts_with('|')).then_some(line)
    });
    comments.filter(|line| line.chars().count() >= WIDTH).collect()
}

#[test]
fn lines_of_comments_are_short() {
    let root = local::workspace();
    let mut code = String::new();
    for folder in COMMENTED {
        sources(&root.join(folder), &mut code);
    }
    let long = long_comments(&code);
    assert!(code.len() > 300_000 && long.is_empty(), "{long:#?}");
}
