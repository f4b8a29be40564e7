//! The model server and the native client on a simulated network.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use queenright::port::{Connection, Host, Listener, Network, ZooKeeper};
use queenright_core::{Instant, SessionId};
use queenright_sim::endpoint::Endpoint;
use queenright_sim::zookeeper::{ConnectionId, Ensemble, ServerConfig, ServerId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, watch};
use turmoil::net::{TcpListener, TcpStream};

use crate::stage::Stage;
use crate::support::zookeeper::TICK;

/// Where the server listens undisturbed, and disturbed.
pub(crate) const STRAIGHT: &str = "zookeeper:2181";
pub(crate) const DISTURBED: &str = "zookeeper:2182";

/// In simulated time, which costs little.
const SIMULATION_MAX: Duration = Duration::from_secs(600);
/// Messages under way on one connection.
const TCP_CAPACITY: usize = 4_096;

/// What passes on the disturbed way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Open,
    /// Connections stay, and nothing passes.
    Stalled,
    /// Connections are closed, and so is every new one.
    Cut,
}

/// The server, as seen from everywhere.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    mode: watch::Sender<Mode>,
    bytes_from_clients: AtomicUsize,
    entropy: AtomicU64,
}

struct State {
    endpoint: Endpoint,
    connection_count: u64,
    tasks: BTreeMap<ConnectionId, Arc<Notify>>,
}

/// Runs a scenario in a world of its own.
pub(crate) fn run<F: Future<Output = ()> + 'static>(scenario: impl FnOnce(Stage) -> F) {
    run_with(|port| port, scenario);
}

/// The same, on ports that something was done to.
pub(crate) fn run_with<F: Future<Output = ()> + 'static>(
    wrap: fn(Box<dyn ZooKeeper>) -> Box<dyn ZooKeeper>,
    scenario: impl FnOnce(Stage) -> F,
) {
    let config = ServerConfig { tick: TICK, ..ServerConfig::default() };
    let endpoint = Endpoint::new(Ensemble::new(config, 1, Instant::ORIGIN));
    let state = State { endpoint, connection_count: 0, tasks: BTreeMap::new() };
    let world = World(Arc::new(Shared {
        state: Mutex::new(state),
        mode: watch::Sender::new(Mode::Open),
        bytes_from_clients: AtomicUsize::new(0),
        entropy: AtomicU64::new(1),
    }));
    let mut simulation = turmoil::Builder::new()
        .simulation_duration(SIMULATION_MAX)
        .tcp_capacity(TCP_CAPACITY)
        .max_message_latency(Duration::from_millis(5))
        .build();
    let server = world.clone();
    simulation.host("zookeeper", move || serve(server.clone()));
    let acting = scenario(Stage::simulated(world, wrap));
    simulation.client("client", async move {
        acting.await;
        Ok(())
    });
    simulation.run().unwrap();
}

impl World {
    pub(crate) fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.clone())
    }

    pub(crate) fn host(&self) -> Arc<dyn Host> {
        Arc::new(self.clone())
    }

    pub(crate) fn disturb(&self, mode: Mode) {
        self.0.mode.send_replace(mode);
    }

    pub(crate) fn bytes_from_clients(&self) -> usize {
        self.0.bytes_from_clients.load(Ordering::Relaxed)
    }

    pub(crate) fn expire(&self, session: SessionId) {
        self.change(|endpoint| endpoint.change(now(), |ensemble| ensemble.expire(now(), session)));
    }

    pub(crate) fn session_count(&self) -> usize {
        self.lock().endpoint.ensemble().sessions().count()
    }

    /// Does something to the server, and lets the connections that it concerns go on.
    fn change<T>(&self, act: impl FnOnce(&mut Endpoint) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state.endpoint);
        while let Some(conn) = state.endpoint.poll_ready() {
            if let Some(task) = state.tasks.get(&conn) {
                task.notify_one();
            }
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }
}

/// One clock for all: skew has no place in this contract.
fn now() -> Instant {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    Instant::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap())
}

impl Host for World {
    fn now(&self) -> Instant {
        now()
    }

    fn entropy(&self) -> u128 {
        u128::from(self.0.entropy.fetch_add(1, Ordering::Relaxed))
    }
}

impl Network for World {
    fn bind<'a>(&'a self, _: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Listener>>> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Connection>>> {
        Box::pin(async move { Ok(Box::new(TcpStream::connect(address).await?) as Box<dyn Connection>) })
    }
}

async fn serve(world: World) -> turmoil::Result {
    let straight = TcpListener::bind(("0.0.0.0", 2181)).await?;
    let disturbed = TcpListener::bind(("0.0.0.0", 2182)).await?;
    // Its sender stays here: this way never changes.
    let (_open, always_open) = watch::channel(Mode::Open);
    loop {
        tokio::select! {
            biased;
            accepted = straight.accept() => {
                tokio::spawn(attend(world.clone(), accepted?.0, always_open.clone()));
            }
            accepted = disturbed.accept() => {
                tokio::spawn(attend(world.clone(), accepted?.0, world.0.mode.subscribe()));
            }
            () = tokio::time::sleep(TICK / 10) => {
                world.change(|endpoint| endpoint.handle_timeout(now()));
            }
        }
    }
}

/// One connection, to its end.
async fn attend(world: World, mut socket: TcpStream, mut mode: watch::Receiver<Mode>) {
    let task = Arc::new(Notify::new());
    let conn = {
        let mut state = world.lock();
        state.connection_count += 1;
        let conn = ConnectionId(state.connection_count);
        state.tasks.insert(conn, Arc::clone(&task));
        let Ok(peer) = socket.peer_addr() else { return };
        state.endpoint.accept(now(), ServerId::FIRST, conn, peer);
        conn
    };
    // An error is the end of the connection, too.
    let _ = converse(&world, conn, &mut socket, &task, &mut mode).await;
    world.change(|endpoint| endpoint.disconnect(now(), conn));
    world.lock().tasks.remove(&conn);
}

async fn converse(
    world: &World,
    conn: ConnectionId,
    socket: &mut TcpStream,
    task: &Notify,
    mode: &mut watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    // What came and was held up.
    let mut stalled: Vec<u8> = Vec::new();
    loop {
        let current = *mode.borrow_and_update();
        if current == Mode::Cut {
            return Ok(());
        }
        if current == Mode::Open {
            if !stalled.is_empty() {
                world.change(|endpoint| endpoint.receive(now(), conn, &std::mem::take(&mut stalled)));
            }
            let output = world.lock().endpoint.transmit(conn).to_vec();
            if !output.is_empty() {
                socket.write_all(&output).await?;
                world.change(|endpoint| endpoint.transmitted(now(), conn, output.len()));
                continue;
            }
            if world.lock().endpoint.is_over(conn) {
                return Ok(());
            }
        }
        tokio::select! {
            biased;
            changed = mode.changed() => if changed.is_err() { return Ok(()) },
            () = task.notified(), if current == Mode::Open => {}
            read = socket.read(&mut buffer) => {
                let len = read?;
                if len == 0 {
                    return Ok(());
                }
                world.0.bytes_from_clients.fetch_add(len, Ordering::Relaxed);
                match current {
                    Mode::Open => world.change(|endpoint| endpoint.receive(now(), conn, &buffer[..len])),
                    Mode::Stalled | Mode::Cut => stalled.extend_from_slice(&buffer[..len]),
                }
            }
        }
    }
}
