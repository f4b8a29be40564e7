//! A TCP relay that can misbehave: for breaking connections without touching client or server.

#![allow(dead_code)] // Each test binary includes this file and uses a part of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, tcp};
use tokio::sync::watch;

/// Forwards connections to one server. It runs on a thread of its own, so it outlives the runtime under test.
pub(crate) struct Relay {
    address: SocketAddr,
    state: watch::Sender<State>,
    connection_count: Arc<AtomicUsize>,
    bytes_from_clients: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    mode: Mode,
    /// Connections from before the last cut are closed, however soon it was healed.
    cut_count: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Open,
    /// Connections stay, and nothing passes.
    Stalled,
    /// Connections are closed, and so is every new one.
    Cut,
    /// The relay ends.
    Over,
}

impl Relay {
    /// Listens on a free port of the loopback, and forwards to `server`.
    pub(crate) fn to(server: SocketAddr) -> Self {
        let (state, states) = watch::channel(State { mode: Mode::Open, cut_count: 0 });
        let connection_count = Arc::new(AtomicUsize::new(0));
        let bytes_from_clients = Arc::new(AtomicUsize::new(0));
        let (tell, told) = std::sync::mpsc::channel();
        let counts = (Arc::clone(&connection_count), Arc::clone(&bytes_from_clients));
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                serve(listener, server, states, counts).await;
            });
        });
        Self { address: told.recv().unwrap(), state, connection_count, bytes_from_clients }
    }

    /// Where clients should connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were accepted so far.
    pub(crate) fn connection_count(&self) -> usize {
        self.connection_count.load(Ordering::Relaxed)
    }

    /// How many bytes clients have sent so far, those that a stall keeps from the server included.
    pub(crate) fn bytes_from_clients(&self) -> usize {
        self.bytes_from_clients.load(Ordering::Relaxed)
    }

    /// Nothing passes any more, and nobody is told.
    pub(crate) fn stall(&self) {
        self.enter(Mode::Stalled);
    }

    /// Closes all connections; new ones are closed at once.
    pub(crate) fn cut(&self) {
        self.enter(Mode::Cut);
    }

    /// Everything passes again; what was stalled goes on.
    pub(crate) fn heal(&self) {
        self.enter(Mode::Open);
    }

    fn enter(&self, mode: Mode) {
        self.state.send_modify(|state| {
            state.mode = mode;
            state.cut_count += usize::from(mode == Mode::Cut);
        });
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.enter(Mode::Over);
    }
}

async fn serve(
    listener: TcpListener,
    server: SocketAddr,
    mut states: watch::Receiver<State>,
    (connection_count, bytes_from_clients): (Arc<AtomicUsize>, Arc<AtomicUsize>),
) {
    let connection_states = states.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                connection_count.fetch_add(1, Ordering::Relaxed);
                let bytes = Arc::clone(&bytes_from_clients);
                let cut_count = connection_states.borrow().cut_count;
                let weather = Weather { states: connection_states.clone(), cut_count };
                tokio::spawn(relay(client, server, weather, bytes));
            }
            over = states.wait_for(|state| state.mode == Mode::Over) => {
                drop(over);
                return;
            }
        }
    }
}

async fn relay(
    client: TcpStream,
    server: SocketAddr,
    mut weather: Weather,
    bytes_from_client: Arc<AtomicUsize>,
) {
    if weather.passes().await.is_none() {
        return;
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let bytes_from_server = AtomicUsize::new(0);
    // When one direction ends, the connection does.
    tokio::select! {
        () = forward(client_reads, server_writes, weather.clone(), &bytes_from_client) => {}
        () = forward(server_reads, client_writes, weather, &bytes_from_server) => {}
    }
}

async fn forward(
    mut from: tcp::OwnedReadHalf,
    mut to: tcp::OwnedWriteHalf,
    mut weather: Weather,
    bytes: &AtomicUsize,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let len = tokio::select! {
            read = from.read(&mut buffer) => match read {
                Ok(0) | Err(_) => return,
                Ok(len) => {
                    bytes.fetch_add(len, Ordering::Relaxed);
                    len
                }
            },
            () = weather.broken() => return,
        };
        if weather.passes().await.is_none() || to.write_all(&buffer[..len]).await.is_err() {
            return;
        }
    }
}

/// The relay's state, as one connection feels it.
#[derive(Clone)]
struct Weather {
    states: watch::Receiver<State>,
    /// How many cuts there had been when it began.
    cut_count: usize,
}

impl Weather {
    /// Waits while stalled; `None` when the connection must go.
    async fn passes(&mut self) -> Option<()> {
        let State { mode, cut_count } =
            *self.states.wait_for(|state| state.mode != Mode::Stalled).await.ok()?;
        (mode == Mode::Open && cut_count == self.cut_count).then_some(())
    }

    async fn broken(&mut self) {
        let born_after = self.cut_count;
        let is_over = |state: &State| state.mode == Mode::Over || state.cut_count > born_after;
        // An error is the end of the relay.
        drop(self.states.wait_for(is_over).await);
    }
}
