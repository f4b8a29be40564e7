//! What the hosts of a simulation and its loop share: the servers, the time, the trace.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use queenright_core::{Instant, SessionId};
use tokio::sync::Notify;

use super::failure::Broken;
use super::fault::Place;
use crate::endpoint::Endpoint;
use crate::explorer::trace::{Trace, Tracing};
use crate::timeline::{Recording, What};
use crate::zookeeper::{ConnectionId, Ensemble, ServerConfig, ServerId};

/// Shared by everything that runs in one simulation, all of it on one thread.
pub(super) struct Shared {
    pub(super) seed: u64,
    /// The time of the loop, for whoever asks from outside a host.
    elapsed_nanos: AtomicU64,
    state: Mutex<State>,
}

pub(super) struct State {
    pub(super) endpoint: Endpoint,
    pub(super) trace: Trace,
    /// The first thing that was wrong.
    pub(super) broken: Option<Broken>,
    /// Nodes that are to be started again, and when.
    pub(super) restarts: BTreeMap<u8, Duration>,
    /// How often each node was started.
    pub(super) lives: BTreeMap<u8, u32>,
    /// Nodes whose service has ended well.
    pub(super) done: std::collections::BTreeSet<u8>,
    /// Open connections of nodes: which server, which node, and whom to wake.
    connections: BTreeMap<ConnectionId, Connection>,
    connection_count: u64,
    /// What a timeline is drawn of, if one is wanted.
    pub(super) recording: Option<Recording>,
    /// The numbers that connections have in it, by who dialled.
    numbers: BTreeMap<SocketAddr, u64>,
    /// The servers' time: hosts run one after the other, each from the beginning of a tick to its end.
    server_now: Instant,
}

struct Connection {
    server: ServerId,
    node: Option<u8>,
    task: Arc<Notify>,
}

impl Shared {
    pub(super) fn new(seed: u64, config: ServerConfig, servers: u8, tracing: Tracing) -> Self {
        let state = State {
            endpoint: Endpoint::new(Ensemble::new(config, servers, Instant::ORIGIN)),
            trace: Trace::new(tracing),
            broken: None,
            restarts: BTreeMap::new(),
            lives: BTreeMap::new(),
            done: std::collections::BTreeSet::new(),
            connections: BTreeMap::new(),
            connection_count: 0,
            recording: None,
            numbers: BTreeMap::new(),
            server_now: Instant::ORIGIN,
        };
        Self { seed, elapsed_nanos: AtomicU64::new(0), state: Mutex::new(state) }
    }

    /// Time since the beginning of the simulation, by nobody's clock.
    pub(super) fn elapsed(&self) -> Duration {
        let outside = || Duration::from_nanos(self.elapsed_nanos.load(Ordering::Relaxed));
        turmoil::sim_elapsed().unwrap_or_else(outside)
    }

    pub(super) fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    pub(super) fn set_elapsed(&self, elapsed: Duration) {
        let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_nanos.store(nanos, Ordering::Relaxed);
    }

    /// Writes down that something happened.
    pub(super) fn note(
        &self,
        what: &impl Hash,
        text: impl FnOnce(&mut dyn std::fmt::Write) -> std::fmt::Result,
    ) {
        let now = self.now();
        self.lock().trace.note(now, what, text);
    }

    /// Something is wrong. The first one counts.
    pub(super) fn fail(&self, property: &str, detail: impl Into<String>) {
        let (at, detail) = (self.elapsed(), detail.into());
        self.note(&property, |line| write!(line, "WRONG {property}: {detail}"));
        self.lock().broken.get_or_insert_with(|| Broken { property: property.to_owned(), detail, at });
    }

    /// Does something to the servers, and wakes the connections that it concerns.
    pub(super) fn change<T>(&self, act: impl FnOnce(Instant, &mut Endpoint) -> T) -> T {
        let now = self.now();
        let mut state = self.lock();
        state.server_now = state.server_now.max(now);
        let now = state.server_now;
        let result = act(now, &mut state.endpoint);
        state.wake();
        state.look();
        result
    }

    /// Writes down what happened, if a timeline is wanted.
    pub(super) fn record(&self, what: impl FnOnce() -> What) {
        let now = self.now();
        if let Some(recording) = &mut self.lock().recording {
            recording.begin_step();
            recording.push(now, what());
        }
    }

    /// Whether a timeline is wanted.
    pub(super) fn is_recorded(&self) -> bool {
        self.lock().recording.is_some()
    }

    /// The number of a connection, which both of its ends find by who dialled.
    pub(super) fn number_of(&self, dialler: SocketAddr) -> u64 {
        let mut state = self.lock();
        let next = state.numbers.len() as u64;
        *state.numbers.entry(dialler).or_insert(next)
    }

    /// A client has connected.
    pub(super) fn accept(&self, server: ServerId, peer: SocketAddr) -> (ConnectionId, Arc<Notify>) {
        let node = match turmoil::reverse_lookup(peer.ip()).as_deref().and_then(Place::named) {
            Some(Place::Node(node)) => Some(node),
            Some(Place::Server(_)) | None => None,
        };
        let task = Arc::new(Notify::new());
        let conn = {
            let mut state = self.lock();
            state.connection_count += 1;
            let conn = ConnectionId(state.connection_count);
            state.connections.insert(conn, Connection { server, node, task: Arc::clone(&task) });
            conn
        };
        self.change(|now, endpoint| endpoint.accept(now, server, conn, peer));
        (conn, task)
    }

    pub(super) fn disconnect(&self, conn: ConnectionId) {
        self.change(|now, endpoint| endpoint.disconnect(now, conn));
        self.lock().connections.remove(&conn);
    }

    /// The sessions that `node` uses.
    pub(super) fn sessions_of(&self, node: u8) -> Vec<SessionId> {
        let state = self.lock();
        let ensemble = state.endpoint.ensemble();
        let is_of_node = |session: &SessionId| {
            ensemble.servers().any(|server| {
                let conn = ensemble.connection_of(server, *session);
                conn.and_then(|conn| state.connections.get(&conn))
                    .is_some_and(|connection| connection.server == server && connection.node == Some(node))
            })
        };
        ensemble.sessions().filter(is_of_node).collect()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // What a panic leaves behind is only looked at.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes down what servers have applied.
    fn look(&mut self) {
        let Some(recording) = &mut self.recording else { return };
        let ensemble = self.endpoint.ensemble();
        for server in ensemble.servers() {
            recording.look(self.server_now, server.0 - 1, ensemble.tree(server));
        }
    }

    fn wake(&mut self) {
        while let Some(conn) = self.endpoint.poll_ready() {
            if let Some(connection) = self.connections.get(&conn) {
                connection.task.notify_one();
            }
        }
    }
}
