//! The two servers, as processes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Connection;

const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";
const START_LIMIT: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Model,
    Real,
}

/// A server that serves. Dropping it kills it.
pub(crate) struct Server {
    kind: Kind,
    address: SocketAddr,
    child: Child,
    directory: Option<PathBuf>,
}

impl Kind {
    /// The real one, where it is installed.
    pub(crate) fn real() -> Option<Self> {
        Path::new(ZOOKEEPER_JAR).exists().then_some(Self::Real)
    }
}

impl Server {
    /// Starts a server, and waits until it has given out a session.
    pub(crate) fn start(kind: Kind) -> Self {
        let address = free_address();
        let (mut command, directory) = match kind {
            Kind::Model => (model(address), None),
            Kind::Real => {
                let directory = directory(address.port());
                (real(address, &directory), Some(directory))
            }
        };
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self { kind, address, child: command.spawn().unwrap(), directory };
        let deadline = Instant::now() + START_LIMIT;
        while Connection::try_open(address).is_err() {
            assert!(Instant::now() < deadline, "{kind:?} does not serve");
            thread::sleep(Duration::from_micros(200));
        }
        server
    }

    pub(crate) const fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is resident of it, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

fn model(address: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_queenright-sim"));
    command.args(["zookeeper", "--listen", &address.to_string()]);
    command
}

fn real(address: SocketAddr, directory: &Path) -> Command {
    let config = directory.join("zoo.cfg");
    fs::create_dir_all(directory.join("data")).unwrap();
    let settings = format!(
        "tickTime=2000\ndataDir={}\nclientPort={}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n",
        directory.join("data").display(),
        address.port()
    );
    fs::write(&config, settings).unwrap();
    let mut command = Command::new("java");
    let main = "org.apache.zookeeper.server.quorum.QuorumPeerMain";
    command.args(["-Xmx1g", "-cp", ZOOKEEPER_JAR, main]).arg(config);
    command
}

/// On a tmpfs, if there is one.
fn directory(port: u16) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    parent.join(format!("queenright-bench-{}-{port}", std::process::id()))
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
