//! Real ZooKeeper servers from Debian's package, for live tests.
//!
//! ```no_run
//! let zookeeper = ZooKeeper::start();        // one server
//! let ensemble = ZooKeeper::ensemble();      // three
//! let config = Config::new(ensemble.connect_string());
//! ensemble.pause(1);                         // SIGSTOP
//! ```
//! Servers never outlive the test's process, however that ends: a shell holds each of them and kills it as soon as
//! the other end of the shell's input is closed.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// After so many ticks without a word of each other, servers of an ensemble give each other up.
const SYNC_LIMIT: u32 = 20;
/// The same, for an ensemble in which a test holds what they say.
pub(crate) const PATIENT_SYNC_LIMIT: u32 = 100;
/// The length of a server's clock tick: sessions may be as short as two of them, and end within one.
pub(crate) const TICK: Duration = Duration::from_millis(100);

const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";
/// Debian's jar names what it needs itself, but for the log and for TLS.
const MORE_JARS: [&str; 3] = ["slf4j-simple.jar", "netty-codec.jar", "netty-resolver.jar"];
const START_TIMEOUT: Duration = Duration::from_secs(60);
const WORD_TIMEOUT: Duration = Duration::from_secs(2);
/// Below the range from which Linux takes ports for outgoing connections.
const PORTS: std::ops::Range<u16> = 18_000..32_000;

/// One server, or an ensemble. Servers are numbered from 1. Dropping it kills them.
pub(crate) struct ZooKeeper {
    directory: PathBuf,
    /// Of the servers' JVMs, besides the usual ones, and stronger.
    properties: Vec<String>,
    servers: BTreeMap<usize, Server>,
}

struct Server {
    directory: PathBuf,
    client_port: u16,
    shell: Option<Shell>,
}

/// A port for TLS. The server reads the files whenever somebody connects.
struct Secure<'a> {
    identity: &'a str,
    authorities: &'a str,
    port: u16,
}

/// The shell that holds a server, and the server's own process id.
struct Shell {
    child: Child,
    pid: u32,
}

impl ZooKeeper {
    /// Starts one server, and waits until it serves.
    pub(crate) fn start() -> Self {
        Self::start_servers(1, None)
    }

    /// Starts one server with more properties of its JVM, `-D…`, and waits until it serves.
    pub(crate) fn start_with(properties: &[String]) -> Self {
        Self::start_servers_with(1, None, properties, SYNC_LIMIT, &mut |_, _, port| port)
    }

    /// Starts one server that also takes clients over TLS, and only those that show a certificate; `identity` is
    /// its own certificate and key, all in PEM. Gives the address for them.
    pub(crate) fn start_secure(identity: &str, authorities: &str) -> (Self, SocketAddr) {
        let secure = Secure { identity, authorities, port: free_port() };
        let address = (Ipv4Addr::LOCALHOST, secure.port).into();
        (Self::start_servers(1, Some(&secure)), address)
    }

    /// Starts an ensemble of three, and waits until all of them serve.
    pub(crate) fn ensemble() -> Self {
        Self::start_servers(3, None)
    }

    /// An ensemble of three that give each other up late. `route` tells through which port one of them reaches another
    /// one's port for followers.
    pub(crate) fn patient_ensemble(
        properties: &[String],
        route: &mut dyn FnMut(usize, usize, u16) -> u16,
    ) -> Self {
        Self::start_servers_with(3, None, properties, PATIENT_SYNC_LIMIT, route)
    }

    fn start_servers(count: usize, secure: Option<&Secure<'_>>) -> Self {
        Self::start_servers_with(count, secure, &[], SYNC_LIMIT, &mut |_, _, port| port)
    }

    fn start_servers_with(
        count: usize,
        secure: Option<&Secure<'_>>,
        properties: &[String],
        sync_limit: u32,
        route: &mut dyn FnMut(usize, usize, u16) -> u16,
    ) -> Self {
        assert!(
            Path::new(ZOOKEEPER_JAR).exists(),
            "no {ZOOKEEPER_JAR}: apt-get install -y --no-install-recommends zookeeper default-jre-headless"
        );
        let directory = unused_directory();
        let ports: Vec<[u16; 3]> = (0..count).map(|_| [free_port(), free_port(), free_port()]).collect();
        let mut quorum = |n: usize| -> String {
            let mut line = |(m, [_, peer, election]): (usize, &[u16; 3])| {
                let peer = if m == n { *peer } else { route(n, m, *peer) };
                format!("server.{m}=127.0.0.1:{peer}:{election}\n")
            };
            if count == 1 { String::new() } else { (1..).zip(&ports).map(&mut line).collect() }
        };
        let mut zookeeper = Self { directory, properties: properties.to_vec(), servers: BTreeMap::new() };
        for (n, [client_port, ..]) in (1..).zip(&ports) {
            let directory = zookeeper.directory.join(n.to_string());
            fs::create_dir_all(directory.join("data")).unwrap();
            fs::write(directory.join("data/myid"), n.to_string()).unwrap();
            let settings = format!(
                "tickTime={tick}\ninitLimit=50\nsyncLimit={sync_limit}\ndataDir={data}\n\
                 clientPort={client_port}\nclientPortAddress=127.0.0.1\nmaxClientCnxns=0\n\
                 minSessionTimeout={least}\nmaxSessionTimeout=60000\n{quorum}{secure}",
                quorum = quorum(n),
                tick = TICK.as_millis(),
                data = directory.join("data").display(),
                least = 2 * TICK.as_millis(),
                secure = secure.map(|secure| secure.settings(&directory)).unwrap_or_default(),
            );
            fs::write(directory.join("zoo.cfg"), settings).unwrap();
            zookeeper.servers.insert(n, Server { directory, client_port: *client_port, shell: None });
            zookeeper.launch(n);
        }
        for n in 1..=count {
            zookeeper.wait_until_serving(n);
        }
        zookeeper
    }

    /// All servers, for clients.
    pub(crate) fn connect_string(&self) -> String {
        let addresses: Vec<_> = self.servers.keys().map(|&n| self.address(n).to_string()).collect();
        addresses.join(",")
    }

    /// Where server `n` takes clients.
    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.server(n).client_port).into()
    }

    /// How many servers there are, running or not.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Asks server `n` to stop, and waits until it has.
    pub(crate) fn stop(&mut self, n: usize) {
        self.signal(n, "TERM");
        self.reap(n);
    }

    /// Kills server `n`, and waits until it is dead.
    pub(crate) fn kill(&mut self, n: usize) {
        self.signal(n, "KILL");
        self.reap(n);
    }

    /// Stops server `n` in its tracks; its connections stay open.
    pub(crate) fn pause(&self, n: usize) {
        self.signal(n, "STOP");
    }

    /// Lets a paused server go on.
    pub(crate) fn resume(&self, n: usize) {
        self.signal(n, "CONT");
    }

    /// Starts a stopped or killed server with its old data, and waits until it serves.
    pub(crate) fn restart(&mut self, n: usize) {
        assert!(self.server(n).shell.is_none(), "server {n} runs");
        self.launch(n);
        self.wait_until_serving(n);
    }

    /// What server `n` answers to a four-letter word.
    pub(crate) fn word(&self, n: usize, word: &str) -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.address(n), WORD_TIMEOUT)?;
        stream.set_read_timeout(Some(WORD_TIMEOUT))?;
        stream.write_all(word.as_bytes())?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// The number of the server that leads the ensemble.
    pub(crate) fn leader(&self) -> Option<usize> {
        self.servers
            .keys()
            .copied()
            .find(|&n| self.word(n, "srvr").is_ok_and(|text| text.contains("Mode: leader")))
    }

    /// The sessions of clients that are connected to server `n`.
    pub(crate) fn sessions(&self, n: usize) -> Vec<i64> {
        let connections = self.word(n, "cons").unwrap();
        let ids = connections.split("sid=0x").skip(1).filter_map(|rest| {
            let digits = rest.split(',').next()?;
            u64::from_str_radix(digits, 16).ok().map(u64::cast_signed)
        });
        ids.collect()
    }

    /// Ends a session from outside, as its expiry would: attaches to it on server `n` and closes it.
    pub(crate) fn expire(&self, n: usize, session: i64) {
        // The server throws the owner out, who comes back at once and throws us out: whoever is quicker.
        for _ in 0..100 {
            match self.try_expire(n, session) {
                Ok(()) => return,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
                // A busy server has not answered in time; the next try finds the session, or that it has gone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("the session {session:#x} cannot be closed: {error}"),
            }
        }
        panic!("the owner of the session {session:#x} was always quicker");
    }

    fn try_expire(&self, n: usize, session: i64) -> io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&self.address(n), WORD_TIMEOUT)?;
        stream.set_read_timeout(Some(WORD_TIMEOUT))?;
        let mut handshake = Vec::new();
        handshake.extend(0_i32.to_be_bytes()); // protocol version
        handshake.extend(0_i64.to_be_bytes()); // last zxid seen
        handshake.extend(10_000_i32.to_be_bytes()); // session timeout
        handshake.extend(session.to_be_bytes());
        handshake.extend(16_i32.to_be_bytes());
        handshake.extend(password(session));
        handshake.push(0); // not read-only
        let mut close = Vec::new();
        close.extend(1_i32.to_be_bytes()); // xid
        close.extend((-11_i32).to_be_bytes()); // closeSession
        // In one write, so that there is no round trip between the two.
        let mut bytes = Vec::new();
        for frame in [&handshake, &close] {
            bytes.extend(i32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend(frame.iter());
        }
        stream.write_all(&bytes)?;
        let mut attached = [0; 4 + 4 + 4 + 8 + 4 + 16 + 1];
        stream.read_exact(&mut attached)?;
        if attached[12..20] == [0; 8] {
            return Ok(()); // There is no such session any more.
        }
        let mut closed = [0; 4 + 4 + 8 + 4];
        stream.read_exact(&mut closed)
    }

    fn server(&self, n: usize) -> &Server {
        self.servers.get(&n).unwrap_or_else(|| panic!("no server {n}"))
    }

    fn launch(&mut self, n: usize) {
        let server = self.servers.get_mut(&n).unwrap();
        let more_jars = MORE_JARS.map(|jar| format!(":/usr/share/java/{jar}"));
        let classpath = format!("{ZOOKEEPER_JAR}{}", more_jars.concat());
        let script = r#"java "$@" </dev/null >>"$LOG" 2>&1 & echo $!; read -r _; kill -KILL $! 2>/dev/null"#;
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .args([
                "-Dzookeeper.admin.enableServer=false",
                "-Dzookeeper.4lw.commands.whitelist=*",
                "-Dzookeeper.extendedTypesEnabled=true",
                "-Dznode.container.checkIntervalMs=1000",
                "-Dzookeeper.forceSync=no",
            ])
            .args(&self.properties)
            .args(["-cp", &classpath, "org.apache.zookeeper.server.quorum.QuorumPeerMain"])
            .arg(server.directory.join("zoo.cfg"))
            .env("LOG", server.directory.join("log"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = line.trim().parse().unwrap();
        server.shell = Some(Shell { child, pid });
    }

    fn wait_until_serving(&self, n: usize) {
        let deadline = Instant::now() + START_TIMEOUT;
        while !self.word(n, "srvr").is_ok_and(|text| text.contains("Mode:")) {
            if Instant::now() > deadline {
                let log = fs::read_to_string(self.server(n).directory.join("log")).unwrap_or_default();
                panic!("server {n} does not serve after {START_TIMEOUT:?}; its log:\n{log}");
            }
            thread::sleep(TICK);
        }
    }

    fn signal(&self, n: usize, signal: &str) {
        let Some(shell) = &self.server(n).shell else { panic!("server {n} does not run") };
        let command = format!("kill -{signal} {}", shell.pid);
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success(), "{command}");
    }

    fn reap(&mut self, n: usize) {
        let server = self.servers.get_mut(&n).unwrap();
        let Some(mut shell) = server.shell.take() else { return };
        // The server is the shell's child: as a zombie it still has its files, but no sockets any more.
        let status = format!("/proc/{}/stat", shell.pid);
        let deadline = Instant::now() + START_TIMEOUT;
        while fs::read_to_string(&status).is_ok_and(|text| !text.contains(") Z ")) {
            assert!(Instant::now() < deadline, "server {n} does not end");
            thread::sleep(TICK / 10);
        }
        end(&mut shell);
    }
}

impl Secure<'_> {
    fn settings(&self, directory: &Path) -> String {
        let (key_store, trust_store) = (directory.join("identity.pem"), directory.join("authorities.pem"));
        fs::write(&key_store, self.identity).unwrap();
        fs::write(&trust_store, self.authorities).unwrap();
        format!(
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
             secureClientPort={}\nsecureClientPortAddress=127.0.0.1\n\
             ssl.keyStore.location={}\nssl.trustStore.location={}\n",
            self.port,
            key_store.display(),
            trust_store.display()
        )
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        for server in self.servers.values_mut() {
            if let Some(shell) = &mut server.shell {
                end(shell);
            }
        }
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Closing the shell's input makes it kill the server, paused or not, and end.
fn end(shell: &mut Shell) {
    drop(shell.child.stdin.take());
    let _ = shell.child.wait();
}

/// An address on which nobody listens, for somebody who must know it before it listens.
pub(crate) fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// A directory that nobody else has.
fn unused_directory() -> PathBuf {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("queenright-zookeeper-{}-{number}", std::process::id()))
}

fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries that run at the same time begin in different places.
    let start = std::process::id().wrapping_mul(61) % u32::from(PORTS.end - PORTS.start);
    for _ in 0..1_000 {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from((start + step) % u32::from(PORTS.end - PORTS.start)).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port among 1000");
}

/// A server derives a session's password from the id alone: with Java's `Random`, seeded with id ^ 0xB3415C00.
/// That is no secret, and it lets a test attach to a session whose owner it does not know.
fn password(session: i64) -> [u8; 16] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (session.cast_unsigned() ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut bytes = [0; 16];
    for chunk in bytes.chunks_exact_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        let next = u32::try_from((state >> 16) & u64::from(u32::MAX)).unwrap();
        chunk.copy_from_slice(&next.to_le_bytes());
    }
    bytes
}
