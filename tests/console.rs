//! The console's stories in a Chromium, against the deployed template, with each function's own rights. Where no
//! Chromium is found, they are skipped.
//!
//! One stack serves all stories, as one `cargo local` does for a person who plays them, so they take turns.

// Test helpers may panic, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use local::cli;
use local::demo::{self, Story};
use local::deploy::Deployment;
use local::engine::Engine;
use local::standin::StandIn;
use tokio::runtime::Runtime;

/// A test for each story. `every_story_is_played` fails when a file is missing here.
macro_rules! stories {
    ($($name:ident)*) => {
        const STORIES: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            play(stringify!($name));
        })*
    };
}

stories! { accounts configure connect contacts desk gap handover keyboard media screens supervise translation windows writing }

/// What the stories are played against. It ends with the process.
struct Up {
    /// Keeps the stand-in alive between the tests.
    _runtime: Runtime,
    _standin: StandIn,
    engine: Engine,
    endpoints: PathBuf,
}

impl Up {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        build_console::build(&local::workspace(), |step| println!("{step}")).unwrap();
        let (standin, engine, endpoints) = runtime.block_on(async {
            let engine = Engine::start_with_policies(&local::private_folder(), "engine-console", None).await.unwrap();
            let standin = StandIn::start_with(demo::CALLBACK_DELAY).await.unwrap();
            let deployment = Deployment::new(&engine, cli::ACCOUNT, Path::new(env!("CARGO_BIN_EXE_local")));
            let stack = deployment.with_standin(&standin.url).run().await.unwrap();
            let mut story = Story::begin();
            let demo = demo::load(&mut story, &stack, &standin).await.unwrap();
            cli::converse(&mut story, &demo, &standin).await.unwrap();
            let endpoints = local::private_folder().join("endpoints-console.json");
            std::fs::write(&endpoints, cli::endpoints(&engine, &stack, &standin, &demo).unwrap().to_string()).unwrap();
            (standin, engine, endpoints)
        });
        Self { _runtime: runtime, _standin: standin, engine, endpoints }
    }
}

/// One of the scripts of `.ci`.
fn script(name: &str) -> Command {
    let mut script = Command::new(local::workspace().join(".ci").join(name));
    script.current_dir(local::workspace());
    script
}

fn play(story: &str) {
    static UP: OnceLock<Up> = OnceLock::new();
    static TURN: Mutex<()> = Mutex::new(());
    if !script("chromium").output().unwrap().status.success() {
        println!("skipped: no Chromium is found (set CHROMIUM)");
        return;
    }
    // A story that failed has its own test; the others go on.
    let _turn = TURN.lock().unwrap_or_else(|failed| failed.into_inner());
    let up = UP.get_or_init(Up::start);
    let played = script("story").arg(story).env("ENDPOINTS", &up.endpoints).output().unwrap();
    let said = [played.stdout, played.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(played.status.success(), "{said}");
    let log = std::fs::read_to_string(&up.engine.log).unwrap();
    let denied: Vec<_> = log.lines().filter(|line| line.starts_with("DENIED")).collect();
    assert!(denied.is_empty(), "{denied:#?}");
}

#[test]
fn every_story_is_played() {
    let folder = local::workspace().join("functions/console/app/stories");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> = files.filter(|file| file.extension().is_some_and(|extension| extension == "mjs")).collect();
    let names: BTreeSet<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, STORIES.iter().copied().collect());
}
