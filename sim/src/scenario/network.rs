//! Connections between nodes and the server: first in, first out each way; they stall or break, and never lose one message
//! and live.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use queenright_core::Instant;
use queenright_core::wire::{ConnectRequest, Request};

use crate::zookeeper::{ConnectionId, FromServer};

/// How long a message takes.
pub(super) const DELAY: Duration = Duration::from_millis(1);

/// A message to the server.
#[derive(Debug)]
pub(super) enum ToServer {
    Connect(ConnectRequest),
    Request { xid: i32, request: Request },
    End,
}

/// The direction of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    Up,
    Down,
}

#[derive(Debug, Default)]
pub(super) struct Network {
    connections: BTreeMap<ConnectionId, Connection>,
    opened: u64,
    blocked: BTreeSet<(u8, Way)>,
    /// Of nodes that are farther away than others.
    delays: BTreeMap<u8, Duration>,
}

#[derive(Debug)]
struct Connection {
    node: u8,
    /// Whether the client still uses it.
    is_used: bool,
    /// What was sent on it stands in front of the server, also when the client has left.
    is_held: bool,
    /// The answer after which it breaks, instead of being delivered.
    doomed: Option<i32>,
    up: VecDeque<(Instant, ToServer)>,
    down: VecDeque<(Instant, FromServer)>,
}

impl Network {
    pub(super) fn open(&mut self, node: u8) -> ConnectionId {
        self.opened += 1;
        let id = ConnectionId(self.opened);
        self.connections.insert(
            id,
            Connection {
                node,
                is_used: true,
                is_held: false,
                doomed: None,
                up: VecDeque::new(),
                down: VecDeque::new(),
            },
        );
        id
    }

    /// How long the messages of a node take from now on.
    pub(super) fn set_delay(&mut self, node: u8, delay: Duration) {
        self.delays.insert(node, delay);
    }

    fn delay_of(&self, id: ConnectionId) -> Duration {
        let node = self.connections.get(&id).map(|connection| connection.node);
        node.and_then(|node| self.delays.get(&node)).copied().unwrap_or(DELAY)
    }

    /// Blocks or frees a way between a node and the server.
    pub(super) fn block(&mut self, node: u8, way: Way, is_blocked: bool) {
        if is_blocked {
            self.blocked.insert((node, way));
        } else {
            self.blocked.remove(&(node, way));
        }
    }

    pub(super) fn send(&mut self, now: Instant, id: ConnectionId, message: ToServer) {
        let delay = self.delay_of(id);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.up.push_back((now.after(delay), message));
        }
    }

    /// What the server says. Gives the node whose connection must break now instead.
    pub(super) fn answer(&mut self, now: Instant, id: ConnectionId, message: FromServer) -> Option<u8> {
        let delay = self.delay_of(id);
        let connection = self.connections.get_mut(&id).filter(|connection| connection.is_used)?;
        if let FromServer::Reply { xid, .. } = &message
            && connection.doomed == Some(*xid)
        {
            return Some(connection.node);
        }
        connection.down.push_back((now.after(delay), message));
        None
    }

    /// The answer to `xid` will be lost, and the connection with it.
    pub(super) fn doom(&mut self, id: ConnectionId, xid: i32) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.doomed = Some(xid);
        }
    }

    /// What the node sends from now on, and has sent, stays under way until it is released.
    pub(super) fn hold(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_held = true;
        }
    }

    /// What was held of a node goes on.
    pub(super) fn release(&mut self, node: u8) {
        for connection in self.connections.values_mut().filter(|connection| connection.node == node) {
            connection.is_held = false;
        }
    }

    /// The client leaves. What is under way to the server is lost unless it is held; the end is noticed once a way is free.
    pub(super) fn leave(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_used = false;
            connection.down.clear();
            if !connection.is_held {
                connection.up.clear();
            }
            connection.up.push_back((now.after(DELAY), ToServer::End));
        }
    }

    /// The process at the client's end is gone, and the kernel delivers what it had been given.
    pub(super) fn finish(&mut self, now: Instant, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.is_used = false;
            connection.down.clear();
            connection.up.push_back((now.after(DELAY), ToServer::End));
        }
    }

    /// The next message under way that is not held up, and when it arrives; to nodes only if they listen.
    pub(super) fn next_for(&self, listens: impl Fn(u8) -> bool) -> Option<(Instant, ConnectionId, Way)> {
        let of = |(id, connection): (&ConnectionId, &Connection)| {
            self.next_of(*id, connection, listens(connection.node))
        };
        self.connections.iter().filter_map(of).min()
    }

    fn next_of(
        &self,
        id: ConnectionId,
        connection: &Connection,
        listens: bool,
    ) -> Option<(Instant, ConnectionId, Way)> {
        let is_free = |way| !self.blocked.contains(&(connection.node, way));
        let up = connection.up.front().filter(|_| is_free(Way::Up) && !connection.is_held);
        let down = connection.down.front().filter(|_| listens && is_free(Way::Down));
        let up = up.map(|(at, _)| (*at, id, Way::Up));
        up.into_iter().chain(down.map(|(at, _)| (*at, id, Way::Down))).min()
    }

    pub(super) fn node_of(&self, id: ConnectionId) -> Option<u8> {
        self.connections.get(&id).map(|connection| connection.node)
    }

    pub(super) fn take_up(&mut self, id: ConnectionId) -> Option<ToServer> {
        let message = self.connections.get_mut(&id)?.up.pop_front()?.1;
        if let ToServer::End = message {
            self.connections.remove(&id);
        }
        Some(message)
    }

    pub(super) fn take_down(&mut self, id: ConnectionId) -> Option<FromServer> {
        let connection = self.connections.get_mut(&id)?;
        let message = connection.down.pop_front()?.1;
        if let FromServer::Close = message {
            self.connections.remove(&id);
        }
        Some(message)
    }
}
