//! Processes of the operating system that play a role in a test: they can be paused and killed as nodes of one process
//! cannot.
//!
//! A child is the test's own binary, run again for one test: [`play`] finds in the environment which role it has.
//! What it has to tell are lines on its standard output that begin with [`MARK`]; it ends when its standard input does,
//! so also with its parent.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::cluster::PATIENCE;

const ROLE: &str = "QUEENRIGHT_TEST_ROLE";
const SETTINGS: &str = "QUEENRIGHT_TEST_SETTINGS";
/// Tells a child's own lines from those of the test harness around it.
const MARK: &str = "|";

/// A running child. Dropping it kills it.
pub(crate) struct Child {
    process: std::process::Child,
    lines: Receiver<String>,
}

impl Child {
    /// Runs this binary again, for the test called `entry`, which must call [`play`].
    pub(crate) fn start(entry: &str, role: &str, settings: &[&str]) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", entry])
            .env(ROLE, role)
            .env(SETTINGS, settings.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = process.stdout.take().unwrap();
        let (tell, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // The harness may have begun a line of its own.
                let Some((_, told)) = line.split_once(MARK) else { continue };
                if tell.send(told.to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    /// The rest of the next line that begins with `word`; other lines are skipped.
    pub(crate) fn line(&self, word: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => panic!("the child does not say {word:?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the child ended and did not say {word:?}"),
            };
            if let Some(rest) = line.strip_prefix(word) {
                return rest.trim().to_owned();
            }
        }
    }

    /// All lines that have arrived and were not read.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Stops it in its tracks; returns when it stands still.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
        self.wait_for_state('T');
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// `kill -9`; returns when it is dead.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        let command = format!("kill -{signal} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }

    /// All of its threads are stopped when the kernel says so of the process.
    fn wait_for_state(&self, state: char) {
        let path = format!("/proc/{}/stat", self.process.id());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let stat = fs::read_to_string(&path).unwrap();
            let now = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            if now == Some(state) {
                return;
            }
            assert!(Instant::now() < deadline, "the child does not come to state {state}: {stat}");
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The body of a test that is the entry of child processes: in a child it plays the role, and never returns.
/// Otherwise it does nothing.
pub(crate) fn play<F: Future<Output = ()>>(roles: impl FnOnce(String, Vec<String>) -> F) {
    let (Ok(role), Ok(settings)) = (std::env::var(ROLE), std::env::var(SETTINGS)) else { return };
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(roles(role, settings.lines().map(str::to_owned).collect()));
    std::process::exit(0);
}

/// Tells the parent, past the test harness, which would keep what is printed.
pub(crate) fn tell(line: &str) {
    let mut stdout = io::stdout().lock();
    // Without its parent a child has nothing left to do.
    if writeln!(stdout, "{MARK}{line}").and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}
