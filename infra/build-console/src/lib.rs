//! `cargo console`: builds the browser application of `functions/console` with Node, when its sources have changed.
//!
//! The build of the application is a step of its own, before cargo's: a build script must not use the network. The
//! build script of `console` asks [`is_current`] before it embeds what is there.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Why the application was not built: one line for a person.
#[derive(Debug)]
pub struct Error(String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The application was built.
    Built,
    /// It was there, from the present sources.
    Current,
}

/// The application's folder.
pub fn app(workspace: &Path) -> PathBuf {
    workspace.join("functions/console/app")
}

/// The folder of the built files.
pub fn dist(workspace: &Path) -> PathBuf {
    app(workspace).join("dist")
}

/// What the built files are made of, beside the folders `src` and `locales`.
const FILES: [&str; 4] = ["index.html", "package.json", "package-lock.json", "vite.config.js"];
const FOLDERS: [&str; 2] = ["src", "locales"];
/// The mark in `dist`: the hash of the sources that it was built from.
const MARK: &str = "sources";

/// Whether `dist` was built from the present sources.
pub fn is_current(workspace: &Path) -> bool {
    let found = fs::read_to_string(dist(workspace).join(MARK));
    found.is_ok_and(|found| hash(&app(workspace)).is_ok_and(|hash| found == hash))
}

/// A hash of the names and contents of all sources.
fn hash(app: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = FILES.iter().map(|file| app.join(file)).collect();
    for folder in FOLDERS {
        collect(&app.join(folder), &mut files)?;
    }
    // Types are for the checks; nothing of them is in the built files.
    files.retain(|file| !file.to_string_lossy().ends_with(".d.ts"));
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(file.strip_prefix(app).unwrap_or(&file).as_os_str().as_encoded_bytes());
        hasher.write(&fs::read(&file)?);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Builds the application unless it is current. Two processes that build it at once do it once. `tell` gets a line
/// for each step that takes long.
///
/// # Errors
/// There is no Node and none can be had, a package can't be had, or the sources do not compile.
pub fn build(workspace: &Path, tell: impl Fn(&str)) -> Result<Outcome, Error> {
    let app = app(workspace);
    let private = workspace.join(".local");
    let io = |error: io::Error| Error(format!("the console's folder can't be used: {error}"));
    fs::create_dir_all(&private).map_err(io)?;
    let lock = File::create(private.join("console.lock")).map_err(io)?;
    // Given back when the file is closed.
    lock.lock().map_err(io)?;
    if is_current(workspace) {
        return Ok(Outcome::Current);
    }
    let node = run(Command::new(workspace.join(".ci/node")), "Node can't be had")?;
    let node = node.trim();
    let wanted = fs::read_to_string(app.join("package-lock.json")).map_err(io)?;
    let mark = app.join("node_modules/.ready");
    if fs::read_to_string(&mark).ok().as_deref() != Some(wanted.as_str()) {
        tell("Installing the packages of the console …");
        let mut npm = Command::new(Path::new(node).join("npm"));
        npm.args(["ci", "--omit=dev", "--ignore-scripts", "--silent"]).current_dir(&app);
        run(with(npm, node), "the console's packages can't be had")?;
        fs::write(&mark, &wanted).map_err(io)?;
    }
    tell("Building the console …");
    let before = hash(&app).map_err(io)?;
    let mut vite = Command::new(Path::new(node).join("node"));
    vite.args(["node_modules/vite/bin/vite.js", "build", "--logLevel", "warn"]).current_dir(&app);
    run(with(vite, node), "the console does not build")?;
    fs::write(dist(workspace).join(MARK), before).map_err(io)?;
    Ok(Outcome::Built)
}

/// The command, with Node's folder first in its path.
fn with(mut command: Command, node: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{node}:{path}"));
    command
}

fn run(mut command: Command, problem: &str) -> Result<String, Error> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| Error(format!("{problem}: {error}")))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stderr, output.stdout].map(|said| String::from_utf8_lossy(&said).trim().to_owned());
    Err(Error(format!("{problem}: {}", said.join("\n").trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A workspace with the sources of an application.
    fn workspace(name: &str) -> PathBuf {
        let root = std::env::temp_dir().join(format!("build-console-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for folder in FOLDERS {
            fs::create_dir_all(app(&root).join(folder)).unwrap();
        }
        for file in FILES {
            fs::write(app(&root).join(file), file).unwrap();
        }
        fs::create_dir_all(dist(&root)).unwrap();
        fs::write(dist(&root).join(MARK), hash(&app(&root)).unwrap()).unwrap();
        root
    }

    #[test]
    fn what_was_built_is_current_until_a_source_changes() {
        let root = workspace("changes");
        assert!(is_current(&root));
        let source = app(&root).join("src/main.ts");
        fs::write(&source, "one").unwrap();
        assert!(!is_current(&root));
        fs::write(dist(&root).join(MARK), hash(&app(&root)).unwrap()).unwrap();
        assert!(is_current(&root));
        fs::rename(&source, app(&root).join("src/other.ts")).unwrap();
        assert!(!is_current(&root), "a name counts too");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn generated_types_are_no_sources() {
        let root = workspace("types");
        fs::write(app(&root).join("src/agent.d.ts"), "export {}").unwrap();
        assert!(is_current(&root));
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn without_node_the_reason_is_given() {
        let root = workspace("node");
        fs::remove_file(dist(&root).join(MARK)).unwrap();
        let error = build(&root, |_| ()).unwrap_err().to_string();
        assert!(error.starts_with("Node can't be had"), "{error}");
        fs::remove_dir_all(&root).unwrap();
    }
}
