//! What the end-to-end tests share: the real programs, running.

#![allow(dead_code)] // Each test binary includes this and uses a part of it.

#[path = "../../../io/tests/support/zookeeper.rs"]
pub(crate) mod zookeeper;

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use queenright_examples::dev_server;
use queenright_sim::DevServer;

use self::zookeeper::ZooKeeper;

/// Makes two tests of each function: one on the server for development, and one on a real ZooKeeper.
macro_rules! on_both_servers {
    ($($test:ident),* $(,)?) => {
        mod on_the_dev_server {
            $(#[test]
            fn $test() {
                super::$test(&crate::support::Server::development());
            })*
        }
        mod on_zookeeper {
            $(#[test]
            #[ignore = "needs ZooKeeper: make live"]
            fn $test() {
                super::$test(&crate::support::Server::real());
            })*
        }
    };
}
pub(crate) use on_both_servers;

/// How long anything may take on a slow machine, beyond what it must.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A ZooKeeper, real or not, with the same settings.
pub(crate) enum Server {
    Development(DevServer),
    Real(ZooKeeper),
}

impl Server {
    pub(crate) fn development() -> Self {
        let settings = DevServer::builder()
            .tick(zookeeper::TICK)
            .session_limits(2 * zookeeper::TICK, Duration::from_secs(60))
            .sweep(Duration::from_secs(1));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self::Development(runtime.block_on(settings.start()).unwrap())
    }

    pub(crate) fn real() -> Self {
        Self::Real(ZooKeeper::start())
    }

    /// For clients.
    pub(crate) fn connect_string(&self) -> String {
        self.address().to_string()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Development(server) => server.address(),
            Self::Real(zookeeper) => zookeeper.address(1),
        }
    }

    /// How many znodes there are.
    pub(crate) fn znode_count(&self) -> usize {
        let answers = word(self.address(), "mntr").unwrap();
        let count = answers.lines().find_map(|line| line.strip_prefix("zk_znode_count"));
        count.unwrap_or_else(|| panic!("no count in {answers}")).trim().parse().unwrap()
    }
}

/// What the server there answers to a four-letter word.
pub(crate) fn word(server: SocketAddr, word: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(word.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The program of an example, with nothing of this process's settings.
pub(crate) fn example(name: &str) -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let folder = BUILT.get_or_init(build);
    let mut command = Command::new(folder.join(name));
    command.env_remove("QUEENRIGHT_ZOOKEEPER").env_remove("QUEENRIGHT_COOKIE");
    command.env_remove(dev_server::ADDRESS_VARIABLE);
    command
}

/// Makes sure that the examples are built from the sources as they are. `cargo test` builds them with the tests, but
/// `cargo test --test boss` does not.
fn build() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let folder = profile.join("examples");
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let libraries = ["core/src", "io/src", "sim/src", "examples/src"];
    let library = libraries.map(|library| newest(&workspace.join(library))).into_iter().max().unwrap();
    let sources = [
        ("boss", "boss"),
        ("discovery", "discovery.rs"),
        ("singleton", "singleton.rs"),
        ("embed_core", "embed_core.rs"),
    ];
    let is_stale = |(name, source): (&str, &str)| {
        newest(&folder.join(name)) < library.max(newest(&workspace.join("examples").join(source)))
    };
    if sources.into_iter().any(is_stale) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--locked", "-p", "queenright-examples", "--examples"]);
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        let status = cargo.arg("--target-dir").arg(profile.parent().unwrap()).current_dir(workspace).status();
        assert!(status.unwrap().success(), "the examples do not build");
    }
    folder
}

/// When the file, or the latest of all files below the folder, was changed; the beginning of time for what is not there.
fn newest(path: &Path) -> SystemTime {
    if !path.is_dir() {
        return fs::metadata(path).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    }
    let newest = fs::read_dir(path).unwrap().map(|entry| newest(&entry.unwrap().path()));
    newest.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Runs a program to its end, without input.
pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a program wrote to standard error.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A program that runs. Dropping it kills it.
pub(crate) struct Running {
    child: Child,
    input: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
    /// All that was read so far.
    heard: Mutex<Vec<String>>,
}

impl Running {
    /// Starts a program; its standard error goes where this one's goes.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines, heard: Mutex::default() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that contains `text`, from where the last wait ended.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.hear(text, PATIENCE).unwrap_or_else(|| {
            panic!("no {text:?} within {PATIENCE:?}, but: {:#?}", self.heard.lock().unwrap())
        })
    }

    /// The next line that contains `text`, if it comes within `limit`.
    pub(crate) fn hear(&self, text: &str, limit: Duration) -> Option<String> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).ok()?;
            self.heard.lock().unwrap().push(line.clone());
            if line.contains(text) {
                return Some(line);
            }
        }
    }

    /// Presses Enter.
    pub(crate) fn press_enter(&mut self) {
        self.input.as_mut().unwrap().write_all(b"\n").unwrap();
    }

    /// Ends the program's input.
    pub(crate) fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal, by its name.
    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.pid().to_string()).status();
        assert!(status.unwrap().success(), "kill -{signal}");
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end within {PATIENCE:?}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
