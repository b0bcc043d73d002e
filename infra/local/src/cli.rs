//! `cargo local`: starts everything, plays the conversation, and stays up.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use crate::demo::{self, Demo, Story};
use crate::deploy::{Deployment, Stack};
use crate::engine::Engine;
use crate::functions;
use crate::history;
use crate::standin::StandIn;

const USAGE: &str = "Usage: cargo local [--once] [--port N] [--template FILE] [--policies] [--history N]

Runs the whole product on this machine and plays a conversation through every provider.
  --once     ends after the conversations, with an error when a step failed
  --port N   the port of the local engine on 127.0.0.1; a free one by default
  --template FILE
             deploys this template, such as one that CDK made, in the place of infra/template.yaml
  --policies
             lets each function do what its role allows, and nothing else
  --history N
             adds N closed conversations of the last three months, so that lists and searches have something in them";

/// The engine's account of this run; any 12 digits. The console's stories look into its tables.
pub const ACCOUNT: &str = "000000000001";

/// The exit code for Ctrl-C, as shells use it.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    once: bool,
    port: Option<u16>,
    template: Option<PathBuf>,
    policies: bool,
    history: usize,
}

/// Runs the command with this process's arguments.
pub async fn run() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return failed(&error.into()),
    };
    let up = Cell::new(false);
    // However this ends, dropping the future drops the engine, and with it every process.
    tokio::select! {
        done = whole_run(&options, &up) => match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        _ = tokio::signal::ctrl_c() => stopped(&up),
        _ = terminate.recv() => stopped(&up),
    }
}

/// A signal is the only way to end a run that is up, so then it is a success.
fn stopped(up: &Cell<bool>) -> ExitCode {
    println!("\nStopping …");
    if up.get() { ExitCode::SUCCESS } else { ExitCode::from(INTERRUPTED) }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    // The error with its causes on one line.
    eprintln!("cargo local: {error:#}");
    ExitCode::FAILURE
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--once" => options.once = true,
            "--policies" => options.policies = true,
            "--template" => options.template = Some(arguments.next().context("--template wants a file")?.into()),
            "--port" => {
                let port = arguments.next().and_then(|port| port.parse().ok()).filter(|port| *port > 0);
                options.port = Some(port.context("--port wants a number from 1 to 65535")?);
            }
            "--history" => {
                let count = arguments.next().and_then(|count| count.parse().ok()).filter(|count| (1..=history::MOST).contains(count));
                options.history = count.with_context(|| format!("--history wants a number from 1 to {}", history::MOST))?;
            }
            "--help" | "-h" => return Ok(None),
            other => bail!("{other} is not an option"),
        }
    }
    Ok(Some(options))
}

async fn whole_run(options: &Options, up: &Cell<bool>) -> Result<()> {
    let folder = crate::private_folder();
    let program = std::env::current_exe().context("this program's own path is unknown")?;
    let mut story = Story::begin();

    // Beside everything else. A run that ends at once shows it to nobody.
    let console =
        (!options.once).then(|| tokio::task::spawn_blocking(|| build_console::build(&crate::workspace(), |step| println!("{step}"))));
    println!("Starting the local engine …");
    let engine = if options.policies {
        Engine::start_with_policies(&folder, "engine", options.port).await?
    } else {
        Engine::start_on(&folder, "engine", options.port).await?
    };
    story.tell(&format!("The engine runs at {}.", engine.endpoint));
    let standin = StandIn::start_with(demo::CALLBACK_DELAY).await?;
    story.tell(&format!("The stand-in for the providers and the identity provider runs at {}.", standin.url));
    let mut deployment = Deployment::new(&engine, ACCOUNT, &program).with_standin(&standin.url);
    if let Some(template) = &options.template {
        deployment.template.clone_from(template);
    }
    println!("Deploying {} …", deployment.template.display());
    let stack = deployment.run().await?;
    story.tell("The template is deployed.");

    let played = async {
        let demo = demo::load(&mut story, &stack, &standin).await?;
        let endpoints = Endpoints::write(&engine, &stack, &standin, &demo)?;
        converse(&mut story, &demo, &standin).await?;
        if options.history > 0 {
            println!("\nA past is added:");
            let words = format!("{} conversations of the last three months are written.", options.history);
            story.step(&words, history::load(&engine, &stack, &demo, options.history)).await?;
        }
        anyhow::Ok((demo, endpoints))
    };
    let (demo, endpoints) = match played.await {
        Ok(played) => played,
        Err(error) => {
            show_problems(&stack).await;
            return Err(error);
        }
    };
    println!("\nThe run took {:.1} s.", story.seconds());
    if options.once {
        return Ok(());
    }
    let problem = match console {
        Some(console) => console.await.context("the console's build broke off")?.err(),
        None => None,
    };
    show(&engine, &stack, &standin, &demo, &endpoints, problem.as_ref())?;
    up.set(true);
    // Waits for Ctrl-C.
    std::future::pending().await
}

/// Plays the conversations of a run: a whole one, one through each other provider, one in another language, and one
/// that an AI answers.
///
/// # Errors
/// A step failed.
pub async fn converse(story: &mut Story, demo: &Demo, standin: &StandIn) -> Result<()> {
    demo::play(story, demo, standin).await?;
    for connected in demo.accounts.iter().filter(|connected| connected.key != demo::ACCOUNT_KEY) {
        demo::exchange(story, demo, standin, connected.key).await?;
    }
    demo::abroad(story, demo, standin).await?;
    demo::answered(story, demo, standin).await
}

/// `.local/endpoints.json`, for scripts; removed when the run ends.
struct Endpoints {
    path: PathBuf,
    text: String,
}

impl Endpoints {
    fn write(engine: &Engine, stack: &Stack, standin: &StandIn, demo: &Demo) -> Result<Self> {
        let text = format!("{:#}\n", endpoints(engine, stack, standin, demo)?);
        let path = crate::private_folder().join("endpoints.json");
        std::fs::write(&path, &text).with_context(|| format!("{} can't be written", path.display()))?;
        Ok(Self { path, text })
    }
}

/// Everything that a script needs: addresses, the secrets that sign webhooks, and tokens.
///
/// # Errors
/// No token can be minted.
pub fn endpoints(engine: &Engine, stack: &Stack, standin: &StandIn, demo: &Demo) -> Result<Value> {
    let agents: serde_json::Map<_, _> = demo.agents.iter().map(|agent| (agent.name.clone(), json!(agent.token))).collect();
    let receive: serde_json::Map<_, _> = demo.accounts.iter().map(|account| (account.key.to_owned(), json!(account.receive_url))).collect();
    // The provider's type, its fields including the secret ones, and the number.
    let secrets: serde_json::Map<_, _> =
        demo.accounts.iter().map(|account| (account.key.to_owned(), json!(account.customer.account))).collect();
    Ok(json!({
        "engine": engine.endpoint,
        "api": demo.agent_url,
        "admin": demo.admin_url,
        "console": format!("{}/console", stack.public_url),
        "websocket": stack.websocket_url,
        "provider_stub": standin.url,
        "receive": receive,
        "secrets": secrets,
        "tokens": {
            "owner": standin.mint("owner", &["owner"], demo::TOKENS_LIVE)?,
            "admin": demo.admin_token,
            "supervisor": standin.mint("supervisor", &["supervisor"], demo::TOKENS_LIVE)?,
            "agents": agents,
        },
    }))
}

impl Drop for Endpoints {
    fn drop(&mut self) {
        // Another run may have written its own file meanwhile.
        if std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.text) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Prints everything that a person needs to go on by hand.
fn show(
    engine: &Engine,
    stack: &Stack,
    standin: &StandIn,
    demo: &Demo,
    endpoints: &Endpoints,
    console: Option<&build_console::Error>,
) -> Result<()> {
    println!("\nEverything stays up. Ctrl-C stops it.");
    println!("  Console         {}/console/desk  (log in as anna or ben)", stack.public_url);
    if let Some(problem) = console {
        println!("                  is not built, everything else works: {problem}");
    }
    println!("  Agent API       {}  (description: {}/openapi.json)", demo.agent_url, demo.agent_url);
    println!("  Admin API       {}", demo.admin_url);
    println!("  WebSocket       {}?ticket=…  (POST {}/tickets)", stack.websocket_url, demo.agent_url);
    for account in &demo.accounts {
        println!("  {}           {}  ({})", account.key, account.receive_url, account.customer.account.kind);
    }
    println!("  Providers       {}  (GET /_standin/sent, POST /_standin/next)", standin.url);
    println!("  Engine          {}  (access key id {}, log {})", engine.endpoint, stack.account, engine.log.display());
    println!("  All endpoints   {}", endpoints.path.display());
    println!("Tokens:");
    println!("  admin  {}", demo.admin_token);
    for agent in &demo.agents {
        println!("  {}  {}", agent.name, agent.token);
    }
    println!("A customer writes. The signature is valid for exactly this body (all kinds of webhooks: README, \"Try a webhook\"):");
    println!("{}", demo.account(demo::ACCOUNT_KEY)?.customer.written("Is anybody there?")?.curl());
    println!("The agent sees it here:");
    if let Some(agent) = demo.agents.first() {
        println!("curl -s '{}/interactions' -H 'Authorization: Bearer {}'", demo.agent_url, agent.token);
    }
    Ok(())
}

/// Prints the functions' complaints after a step has failed.
async fn show_problems(stack: &Stack) {
    for function in functions::NAMES {
        let lines = stack.log(function).await.unwrap_or_default();
        let problems = lines.iter().filter(|line| ["ERROR", "WARN", "panicked"].iter().any(|word| line.contains(word)));
        for line in problems.rev().take(5) {
            eprintln!("{function}: {line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Option<Options>> {
        parse(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn options_are_read() {
        assert_eq!(parsed(&[]).unwrap(), Some(Options::default()));
        let all = ["--once", "--port", "4701", "--template", "a.json", "--policies", "--history", "5000"];
        let expected = Options { once: true, port: Some(4701), template: Some("a.json".into()), policies: true, history: 5000 };
        assert_eq!(parsed(&all).unwrap(), Some(expected));
        assert_eq!(parsed(&["--help"]).unwrap(), None);
    }

    #[test]
    fn a_wrong_option_is_named() {
        assert_eq!(parsed(&["--twice"]).unwrap_err().to_string(), "--twice is not an option");
        assert_eq!(parsed(&["--template"]).unwrap_err().to_string(), "--template wants a file");
        for count in [&["--history"][..], &["--history", "0"], &["--history", "200001"]] {
            assert!(parsed(count).unwrap_err().to_string().starts_with("--history wants"));
        }
        for port in [&["--port"][..], &["--port", "0"], &["--port", "70000"], &["--port", "x"]] {
            assert!(parsed(port).unwrap_err().to_string().starts_with("--port wants"));
        }
    }
}
