//! The local engine in place of AWS: MiniStack in a private virtual environment, as a process that ends with this
//! one.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::meter::Meter;

/// The three packages are pinned together. MiniStack accepts any version of the other two, but its behaviour was
/// checked with exactly these.
const PACKAGES: [&str; 3] = ["ministack==1.5.33", "cryptography==50.0.2", "aws-sam-translator==1.115.0"];

const LAUNCHER: &str = include_str!("../engine.py");
/// Beside the launcher, which imports them.
const QUERIES: &str = include_str!("../queries.py");
const SEEDING: &str = include_str!("../seeding.py");
const CLOCK: &str = include_str!("../clock.rs");

/// A running engine on 127.0.0.1. It ends when this value is dropped, or with this process, however that ends.
#[derive(Debug)]
pub struct Engine {
    /// `http://127.0.0.1:<port>`, for `AWS_ENDPOINT_URL`.
    pub endpoint: String,
    /// The port on which it listens.
    pub port: u16,
    /// The log file, with the functions' output.
    pub log: PathBuf,
    process: Process,
}

impl Engine {
    /// Prepares the engine in `dir` and starts it on a free port. The first time takes about 20 s and needs the
    /// package registry. `name` names the log file.
    ///
    /// # Errors
    /// One line for a person: Python or its venv module is missing, a package can't be installed, or the engine did
    /// not start.
    pub async fn start(dir: &Path, name: &str) -> Result<Engine> {
        Self::start_on(dir, name, None).await
    }

    /// Starts the engine like [`start`](Self::start), on a given port.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), or the port is in use.
    pub async fn start_on(dir: &Path, name: &str, port: Option<u16>) -> Result<Engine> {
        let python = prepare(dir).await?;
        Self::start_with(dir, name, &python, chosen(port)?, &[]).await
    }

    /// Starts the engine like [`start_on`](Self::start_on). Each function may do what its role allows, and nothing
    /// else. What is denied is in the log as `DENIED`.
    ///
    /// # Errors
    /// Those of [`start_on`](Self::start_on).
    pub async fn start_with_policies(dir: &Path, name: &str, port: Option<u16>) -> Result<Engine> {
        let python = prepare(dir).await?;
        Self::start_with(dir, name, &python, chosen(port)?, &[("AUTH", Path::new("true"))]).await
    }

    /// Starts the engine like [`start`](Self::start), with a clock of its own, which [`ClockAhead`] sets. Linux
    /// only. Callers of its APIs must sign tokens that outlast the time ahead.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), or `rustc` can't build the clock.
    pub async fn start_with_clock(dir: &Path, name: &str) -> Result<(Engine, ClockAhead)> {
        let python = prepare(dir).await?;
        let (source, library, file) = (dir.join("clock.rs"), dir.join("libclock.so"), dir.join(format!("{name}.ahead")));
        std::fs::write(&source, CLOCK).context("the clock's source can't be written")?;
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "--crate-type", "cdylib", "-O", "-o"]).arg(&library).arg(&source);
        let built = run(&mut rustc, "rustc").await?;
        if !built.status.success() {
            bail!("the clock can't be built: {}", text(&built).lines().next().unwrap_or_default());
        }
        let clock = ClockAhead { file };
        clock.set(0)?;
        let port = free_port(0).context("no free port on 127.0.0.1")?;
        let environment = [("LD_PRELOAD", library.as_path()), ("CLOCK_AHEAD", clock.file.as_path())];
        Ok((Self::start_with(dir, name, &python, port, &environment).await?, clock))
    }

    /// Starts the engine like [`start`](Self::start). The functions reach it through a meter.
    ///
    /// # Errors
    /// Those of [`start`](Self::start), or there is no port for the meter.
    pub async fn start_metered(dir: &Path, name: &str) -> Result<(Engine, Meter)> {
        let python = prepare(dir).await?;
        let port = chosen(None)?;
        let meter = Meter::start(&format!("http://127.0.0.1:{port}")).await?;
        let environment = [("AWS_ENDPOINT_URL", Path::new(&meter.url))];
        Ok((Self::start_with(dir, name, &python, port, &environment).await?, meter))
    }

    async fn start_with(dir: &Path, name: &str, python: &Path, port: u16, environment: &[(&str, &Path)]) -> Result<Engine> {
        let log = dir.join(format!("{name}.log"));
        let process = spawn(dir, python, port, &log, environment)?;
        let mut engine = Engine { endpoint: format!("http://127.0.0.1:{port}"), port, log, process };
        engine.wait_until_healthy().await?;
        Ok(engine)
    }

    /// One engine for all tests of a process. The first caller starts it. It ends with the process.
    ///
    /// # Errors
    /// Those of [`start`](Self::start).
    pub async fn shared() -> Result<&'static Engine> {
        static SHARED: tokio::sync::OnceCell<Engine> = tokio::sync::OnceCell::const_new();
        SHARED
            .get_or_try_init(|| async {
                // Two test binaries may run at once, so each has its own log.
                let program = std::env::current_exe().unwrap_or_default();
                let name = program.file_stem().and_then(|stem| stem.to_str()).unwrap_or("tests").to_owned();
                Engine::start(&crate::private_folder(), &format!("engine-{}", name.split('-').next().unwrap_or("tests"))).await
            })
            .await
    }

    async fn wait_until_healthy(&mut self) -> Result<()> {
        let http = crate::http();
        let started = Instant::now();
        // The engine is usually ready in half a second. A minute is for a machine that is busy compiling.
        while started.elapsed() < Duration::from_secs(60) {
            let health = http.get(format!("{}/_ministack/health", self.endpoint)).send().await;
            if health.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            if self.process.ended() {
                bail!("the engine stopped at once: {} (see {})", last_line(&self.log), self.log.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the engine did not answer in 60 s (see {})", self.log.display())
    }
}

/// The clock of an engine and of its functions.
#[derive(Debug)]
pub struct ClockAhead {
    file: PathBuf,
}

impl ClockAhead {
    /// Sets the clock this many seconds ahead of this process's clock.
    ///
    /// # Errors
    /// The clock's file can't be written.
    pub fn set(&self, seconds: i64) -> Result<()> {
        // Written beside it and then moved, so that no reader gets half a number.
        let fresh = self.file.with_extension("fresh");
        std::fs::write(&fresh, seconds.to_string()).and_then(|()| std::fs::rename(&fresh, &self.file)).context("the clock can't be set")
    }
}

/// The launcher's process. It leads a process group with the engine and its functions.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // When its stdin ends, the launcher ends the whole group. A kill from here would not.
        drop(self.0.stdin.take());
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(5) {
            if self.ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The given port, if it is free, else any free one.
fn chosen(port: Option<u16>) -> Result<u16> {
    match port {
        Some(port) => free_port(port).with_context(|| format!("port {port} on 127.0.0.1 can't be used")),
        None => free_port(0).context("no free port on 127.0.0.1"),
    }
}

/// The port, if it is free; 0 finds a free one.
fn free_port(port: u16) -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", port))?.local_addr()?.port())
}

fn spawn(dir: &Path, python: &Path, port: u16, log: &Path, environment: &[(&str, &Path)]) -> Result<Process> {
    let launcher = dir.join("engine.py");
    for (name, source) in [("queries.py", QUERIES), ("seeding.py", SEEDING), ("engine.py", LAUNCHER)] {
        // Written beside it and then moved, since another process may be reading it.
        let fresh = dir.join(format!("{port}-{name}"));
        std::fs::write(&fresh, source).and_then(|()| std::fs::rename(&fresh, dir.join(name))).context("the launcher can't be written")?;
    }
    // The engine unpacks the functions here. The launcher removes the folder.
    let temporary = dir.join("tmp").join(port.to_string());
    std::fs::create_dir_all(&temporary).context("the engine's temporary folder can't be made")?;
    let output = File::create(log).with_context(|| format!("{} can't be written", log.display()))?;
    let mut command = std::process::Command::new(python);
    command
        .arg(&launcher)
        // Functions inherit the engine's environment, so it must hold nothing of the person's own shell.
        .env_clear()
        .envs(["PATH", "HOME", "LANG"].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .env("PYTHONUNBUFFERED", "1")
        .env("TMPDIR", &temporary)
        .env("BIND_HOST", "127.0.0.1")
        // Its MQTT listener would bind every address.
        .env("IOT_MTLS_ENABLED", "0")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{port}"))
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        // A process group of its own: Ctrl-C reaches only this process, and the launcher ends exactly the processes
        // that it started.
        .process_group(0);
    Ok(Process(command.spawn().context("the engine can't be started")?))
}

/// Makes the virtual environment unless it exists, and returns its Python.
async fn prepare(dir: &Path) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).with_context(|| format!("{} can't be made", dir.display()))?;
    let venv = dir.join("venv");
    let python = venv.join("bin").join("python");
    let marker = venv.join("ready");
    let pins = PACKAGES.join("\n");
    let ready = || python.exists() && std::fs::read_to_string(&marker).is_ok_and(|found| found == pins);

    let lock = File::create(dir.join("venv.lock")).context("the lock of the engine's folder can't be made")?;
    if lock.try_lock().is_err() {
        println!("Waiting for another process that prepares the engine …");
        while lock.try_lock().is_err() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    if ready() {
        return Ok(python);
    }
    println!("Preparing the local engine ({}) in {}, once; about 20 s …", PACKAGES[0], venv.display());
    if venv.exists() {
        std::fs::remove_dir_all(&venv).with_context(|| format!("{} can't be removed", venv.display()))?;
    }
    // The newest of the three packages requires this version.
    let recent = run(Command::new("python3").args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]), "python3").await?;
    if !recent.status.success() {
        bail!("python3 is older than 3.10: install Python 3.10 or newer, with its venv module");
    }
    let made = run(Command::new("python3").args(["-m", "venv"]).arg(&venv), "python3").await?;
    if !made.status.success() {
        bail!("{}", venv_problem(&text(&made)));
    }
    println!("Installing its packages …");
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"];
    let installed = run(Command::new(&python).args(pip).args(PACKAGES), "pip").await?;
    if !installed.status.success() {
        let said = text(&installed);
        bail!("pip could not install {}: {}", PACKAGES.join(" "), said.lines().last().unwrap_or("it gave no reason"));
    }
    std::fs::write(&marker, pins).context("the engine's folder can't be written")?;
    Ok(python)
}

async fn run(command: &mut Command, what: &str) -> Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true).output().await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => anyhow::anyhow!("{what} was not found: install Python 3.10 or newer, with its venv module"),
        _ => anyhow::anyhow!("{what} can't be started: {error}"),
    })
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout).trim(), String::from_utf8_lossy(&output.stderr).trim()).trim().to_owned()
}

/// The advice after `python3 -m venv` failed.
fn venv_problem(said: &str) -> String {
    if said.contains("ensurepip") || said.contains("No module named venv") {
        "python3 has no venv module: install it (on Debian and Ubuntu: apt install python3-venv)".to_owned()
    } else {
        format!("python3 -m venv failed: {}", said.lines().last().unwrap_or("it gave no reason"))
    }
}

fn last_line(path: &Path) -> String {
    let mut end = String::new();
    if let Ok(mut file) = File::open(path) {
        let length = file.metadata().map_or(0, |data| data.len());
        // A traceback ends with its reason. 4 KiB hold a few lines.
        let _ = file.seek(SeekFrom::Start(length.saturating_sub(4096)));
        let _ = file.read_to_string(&mut end);
    }
    end.lines().last().unwrap_or("it gave no reason").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_venv_module_is_reported_in_one_line() {
        let debian =
            "The virtual environment was not created successfully because ensurepip is not\navailable.  On Debian/Ubuntu systems, …";
        assert!(venv_problem(debian).contains("apt install python3-venv"));
        assert!(venv_problem("/usr/bin/python3: No module named venv").contains("no venv module"));
        assert_eq!(
            venv_problem("Error: [Errno 28] No space left on device"),
            "python3 -m venv failed: Error: [Errno 28] No space left on device"
        );
    }

    #[tokio::test]
    async fn a_missing_program_is_reported_in_one_line() {
        let error = run(&mut Command::new("/nowhere/python3"), "python3").await.unwrap_err().to_string();
        assert!(error.starts_with("python3 was not found") && !error.contains('\n'), "{error}");
    }

    #[tokio::test]
    async fn a_query_from_its_place_on_answers_what_the_engine_does() {
        let python = prepare(&crate::private_folder()).await.unwrap();
        let seeds = std::env::var("SEEDS").unwrap_or_else(|_| "12".to_owned());
        let test = concat!(env!("CARGO_MANIFEST_DIR"), "/queries_test.py");
        let asked = run(Command::new(python).args(["-B", test, &seeds]), "python").await.unwrap();
        assert!(asked.status.success(), "{}", text(&asked));
    }

    #[test]
    fn a_port_in_use_is_refused() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(free_port(taken.local_addr().unwrap().port()).is_err());
        assert_ne!(free_port(0).unwrap(), 0);
    }
}
