//! The program `queenright-sim`, as people use it.

#![allow(clippy::unwrap_used)] // Not known to be tests: what is not a test function.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a slow machine, beyond what it must.
const PATIENCE: Duration = Duration::from_secs(30);

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queenright-sim"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A server that runs. Dropping it kills it.
struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(arguments: &[&str]) -> Self {
        let arguments = [&["zookeeper", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut child = program(&arguments).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.split_whitespace().find_map(|word| word.trim_end_matches('.').parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("no address in {line:?}")) }
    }

    fn word(&self, word: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
    }

    fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end within {PATIENCE:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_says_where_it_listens_and_serves_there() {
    let server = Server::start(&["--tick-ms", "100", "--max-session-ms", "60000"]);
    assert_eq!(server.word("ruok").unwrap(), "imok");
    let conf = server.word("conf").unwrap();
    for line in ["tickTime=100", "minSessionTimeout=200", "maxSessionTimeout=60000"] {
        assert!(conf.lines().any(|found| found == line), "no {line} in {conf}");
    }
}

#[test]
fn signals_end_it_in_good_order() {
    for signal in ["TERM", "INT"] {
        let mut server = Server::start(&[]);
        let _client = TcpStream::connect(server.address).unwrap();
        server.signal(signal);
        assert!(server.wait().success(), "{signal}");
        assert!(server.word("ruok").is_err(), "it still listens after {signal}");
    }
}

#[test]
fn it_leaves_when_it_was_idle_for_long_enough() {
    let mut server = Server::start(&["--exit-when-idle", "1"]);
    let client = TcpStream::connect(server.address).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(server.word("ruok").unwrap(), "imok", "while somebody is connected");
    drop(client);
    let left_at = Instant::now();
    assert!(server.wait().success());
    let took = left_at.elapsed();
    assert!(took >= Duration::from_millis(990), "after {took:?}");
}

#[test]
fn wrong_usage_is_explained() {
    for (arguments, explanation) in [
        (&["zookeeper", "--listen", "0.0.0.0:0"][..], "--allow-remote"),
        (&["zookeeper", "--listen", "nonsense"], "HOST:PORT"),
        (&["zookeeper", "--tick-ms", "0"], "--tick-ms"),
        (
            &["zookeeper", "--min-session-ms", "5000", "--max-session-ms", "4000"],
            "at least 5s and at most 4s",
        ),
        (&["zookeeper", "--super", "nobody"], "USER:PASSWORD"),
        (&["nonsense"], "nonsense"),
    ] {
        let output = program(arguments).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert!(complaint.contains(explanation), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("panicked"), "{complaint}");
    }
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program(&["zookeeper", "--listen", &address]).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    let port = taken.local_addr().unwrap().port().to_string();
    assert!(complaint.contains(&port) && complaint.contains("in use"), "{complaint}");
}

#[test]
fn remote_clients_are_let_in_when_that_is_said() {
    let mut child = program(&["zookeeper", "--listen", "0.0.0.0:0", "--allow-remote"]).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let _ = child.kill();
    let _ = child.wait();
    assert!(line.contains("0.0.0.0:"), "{line}");
}
