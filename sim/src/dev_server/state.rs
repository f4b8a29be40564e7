//! What the server's tasks and its handle share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use queenright_core::Instant;
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout_at};

use super::clock::Clock;
use crate::endpoint::Endpoint;
use crate::zookeeper::{ConnectionId, Ensemble, ServerConfig, ServerId};

/// The only one.
pub(super) const SERVER: ServerId = ServerId::FIRST;
/// So much is read from a socket at a time.
const READ_LEN: usize = 0x1_0000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) clock: Clock,
    state: Mutex<State>,
    /// The next deadline comes earlier than the timer knows.
    earlier: Notify,
    /// The first connection has come, or the last one has gone.
    idleness: Notify,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) endpoint: Endpoint,
    pub(super) is_paused: bool,
    /// The tasks of all connections, from their first poll on.
    pub(super) tasks: BTreeMap<ConnectionId, Waker>,
    /// Where bytes are read into: one for all, for a connection that is silent needs none.
    pub(super) buffer: Box<[u8]>,
    connections_ever: u64,
    /// For when the timer is set.
    timer_at: Option<Instant>,
    /// Since when there is no connection.
    idle_since: Option<Instant>,
}

impl Shared {
    pub(super) fn new(config: ServerConfig) -> Self {
        let clock = Clock::start();
        let now = clock.now();
        let state = State {
            endpoint: Endpoint::new(Ensemble::new(config, 1, now)),
            is_paused: false,
            tasks: BTreeMap::new(),
            buffer: vec![0; READ_LEN].into(),
            connections_ever: 0,
            timer_at: None,
            idle_since: Some(now),
        };
        Self { clock, state: Mutex::new(state), earlier: Notify::new(), idleness: Notify::new() }
    }

    /// Looks at the state.
    pub(super) fn look<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        f(&self.lock())
    }

    /// Does something to the state, and wakes all whom it concerns.
    pub(super) fn change<T>(&self, f: impl FnOnce(Instant, &mut State) -> T) -> T {
        let mut state = self.lock();
        let result = f(self.clock.now(), &mut state);
        self.wake(&mut state, None);
        result
    }

    /// A client has connected: gives the connection its name.
    pub(super) fn accept(&self, peer: SocketAddr) -> ConnectionId {
        self.change(|now, state| {
            state.connections_ever += 1;
            let conn = ConnectionId(state.connections_ever);
            state.endpoint.accept(now, SERVER, conn, peer);
            conn
        })
    }

    /// The connection is gone.
    pub(super) fn forget(&self, conn: ConnectionId) {
        self.change(|now, state| {
            state.tasks.remove(&conn);
            state.endpoint.disconnect(now, conn);
        });
    }

    pub(super) fn pause(&self) {
        self.lock().is_paused = true;
    }

    pub(super) fn resume(&self) {
        self.change(|now, state| {
            state.is_paused = false;
            // First of all: a server that wakes up ends the sessions whose time has passed.
            state.endpoint.handle_timeout(now);
            state.tasks.values().for_each(Waker::wake_by_ref);
        });
        self.earlier.notify_one();
    }

    /// Calls the model at its deadlines. Never returns.
    pub(super) async fn keep_time(&self) {
        loop {
            let deadline = {
                let mut state = self.lock();
                if !state.is_paused {
                    state.endpoint.handle_timeout(self.clock.now());
                }
                state.timer_at = if state.is_paused { None } else { state.endpoint.poll_timeout() };
                self.wake(&mut state, None);
                state.timer_at
            };
            match deadline {
                // Woken up early it does nothing, and looks again.
                Some(at) => drop(timeout_at(self.clock.to_tokio(at), self.earlier.notified()).await),
                None => self.earlier.notified().await,
            }
        }
    }

    /// Waits until there was no connection for `quiet`.
    pub(super) async fn idle(&self, quiet: Duration) {
        loop {
            let change = self.idleness.notified();
            tokio::pin!(change);
            // From here on no change is missed.
            change.as_mut().enable();
            let idle_since = self.lock().idle_since;
            match idle_since {
                None => change.await,
                Some(since) if since.after(quiet) <= self.clock.now() => return,
                Some(since) => sleep_until(self.clock.to_tokio(since.after(quiet))).await,
            }
        }
    }

    /// Wakes the tasks for which something changed, but for the one of `looked_at`, which knows.
    pub(super) fn wake(&self, state: &mut State, looked_at: Option<ConnectionId>) {
        while let Some(conn) = state.endpoint.poll_ready() {
            if let Some(task) = state.tasks.get(&conn).filter(|_| looked_at != Some(conn)) {
                task.wake_by_ref();
            }
        }
        let is_earlier = match (state.endpoint.poll_timeout(), state.timer_at) {
            (Some(next), Some(timer_at)) => next < timer_at,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_earlier && !state.is_paused {
            self.earlier.notify_one();
        }
        let is_idle = state.endpoint.connection_count() == 0;
        if is_idle != state.idle_since.is_some() {
            state.idle_since = is_idle.then(|| self.clock.now());
            self.idleness.notify_waiters();
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in the model ends its thread, and with it the server; what the handle sees then is what is left.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
