//! The server's end of connections: bytes in, the model behind, bytes out.
//!
//! [`Endpoint`] is what a ZooKeeper server is to its clients, without sockets and without a clock: it cuts what arrives
//! into frames, hands them to the [model](crate::zookeeper), and collects what each connection is to be sent. The dev
//! server puts it behind TCP; a simulated network or a fuzzer can do the same.
//!
//! ```text
//!   state     what happens                                      next
//!   Opening   a connect request that is accepted                Serving
//!             a connect request that is refused                 Closing
//!             a four-letter word                                Closing
//!             anything else, or nothing in time                 Closing
//!   Serving   requests; answers and events                      Serving
//!             the model closes; a frame that is none            Closing
//!             more events than the client reads                 Over
//!   Closing   all was sent, or was not in time                  Over
//!   Over      the driver closes the connection                  -
//! ```
//!
//! What a client can make the server keep is bounded, by the constants below: per connection one frame and one read of
//! the driver's, [`OUTPUT_LOW`] and one reply, [`EVENTS_MAX`] beyond that, and [`OPENING_MAX`] connections that have no
//! session. A reply is as long as what it tells of, but that of a multiRead, which may ask for the same over and over:
//! [`MULTI_READ_MAX`](crate::zookeeper::MULTI_READ_MAX) bounds it.

mod connection;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use queenright_core::Instant;
use queenright_core::wire::{self, ConnectRequest, FRAME_LEN_MAX, FourLetterWord, Frames, OpCode, Request};

use self::connection::{Connection, Phase};
use crate::zookeeper::{ConnectionId, Ensemble, FromServer, ServerId};

/// How many connections may be without a session at a time. One more is closed at once.
pub const OPENING_MAX: usize = 1024;
/// How long a connection may take to say what it wants.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest connect request, in bytes. Real servers take [`FRAME_LEN_MAX`] there, too; clients send 45.
pub const CONNECT_LEN_MAX: usize = 0x1_0000;
/// With so many bytes to send to a client, its next request waits until it has read some.
pub const OUTPUT_LOW: usize = 0x4_0000;
/// A client that leaves so many bytes unread, beside the last reply, when there is one more event for it is cut off.
pub const EVENTS_MAX: usize = 0x80_0000;
/// How long a connection that is about to be closed may take to read what is left.
pub const CLOSING_TIMEOUT: Duration = Duration::from_secs(5);

/// The servers' end of all their connections.
///
/// Inputs are [`accept`](Self::accept), [`receive`](Self::receive), [`transmitted`](Self::transmitted),
/// [`disconnect`](Self::disconnect) and [`handle_timeout`](Self::handle_timeout), each with the time, which never goes
/// back. After each of them [`poll_ready`](Self::poll_ready) names the connections for which something changed: there
/// is something to [`transmit`](Self::transmit), or it [is over](Self::is_over). Read from a connection only while the
/// endpoint [wants input](Self::wants_input) from it, and call `handle_timeout` when
/// [`poll_timeout`](Self::poll_timeout) says.
///
/// Connections that are not open are ignored everywhere, so that a driver need not keep books of its own.
///
/// ```
/// use queenright_core::Instant;
/// use queenright_sim::endpoint::Endpoint;
/// use queenright_sim::zookeeper::{ConnectionId, Ensemble, ServerConfig, ServerId};
///
/// let (now, conn) = (Instant::ORIGIN, ConnectionId(1));
/// let mut endpoint = Endpoint::new(Ensemble::new(ServerConfig::default(), 1, now));
/// endpoint.accept(now, ServerId::FIRST, conn, "127.0.0.1:4711".parse().unwrap());
/// endpoint.receive(now, conn, b"ru");
/// assert!(endpoint.transmit(conn).is_empty());
/// endpoint.receive(now, conn, b"ok");
/// assert_eq!(endpoint.poll_ready(), Some(conn));
/// assert_eq!(endpoint.transmit(conn), b"imok");
/// endpoint.transmitted(now, conn, 4);
/// assert!(endpoint.is_over(conn));
/// endpoint.disconnect(now, conn);
/// ```
#[derive(Clone, Debug)]
pub struct Endpoint {
    ensemble: Ensemble,
    connections: BTreeMap<ConnectionId, Connection>,
    /// When those that are opening or closing must have done so.
    deadlines: BTreeSet<(Instant, ConnectionId)>,
    /// Those for which something changed that the driver has not asked about.
    ready: BTreeSet<ConnectionId>,
    opening_count: usize,
    /// How many replies of a kind are to be lost.
    losses: BTreeMap<OpCode, u32>,
    traffic: Traffic,
}

/// Packets since the beginning.
#[derive(Clone, Copy, Debug)]
struct Traffic {
    received: u64,
    sent: u64,
}

impl Endpoint {
    /// The servers of an ensemble that has no connections yet.
    #[must_use]
    pub const fn new(ensemble: Ensemble) -> Self {
        Self {
            ensemble,
            connections: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            ready: BTreeSet::new(),
            opening_count: 0,
            losses: BTreeMap::new(),
            traffic: Traffic { received: 0, sent: 0 },
        }
    }

    /// A client at `peer` has connected to `server`.
    ///
    /// # Panics
    /// When `conn` is open: each connection needs a name of its own.
    pub fn accept(&mut self, now: Instant, server: ServerId, conn: ConnectionId, peer: SocketAddr) {
        let has_room = self.opening_count < OPENING_MAX;
        let connection = Connection::new(server, peer, now.after(OPENING_TIMEOUT));
        self.deadlines.extend(connection.phase.deadline().map(|at| (at, conn)));
        let earlier = self.connections.insert(conn, connection);
        assert!(earlier.is_none(), "{conn:?} is in use");
        self.opening_count += 1;
        if !has_room {
            self.cut(now, conn);
            self.route(now);
        }
    }

    /// Bytes from a client, in pieces of any length.
    pub fn receive(&mut self, now: Instant, conn: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        match &mut connection.phase {
            Phase::Opening { frames, .. } => {
                frames.push(bytes);
                self.open(now, conn);
            }
            Phase::Serving { frames } => {
                frames.push(bytes);
                self.serve(now, conn);
            }
            Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// The connection broke, or the driver has closed it.
    pub fn disconnect(&mut self, now: Instant, conn: ConnectionId) {
        self.cut(now, conn);
        self.route(now);
        self.connections.remove(&conn);
        self.ready.remove(&conn);
    }

    /// Time has passed. Early or repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.ensemble.handle_timeout(now);
        self.route(now);
        // Each turn takes one away: what is over has no deadline.
        while let Some((_, conn)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            self.cut(now, conn);
        }
        self.route(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let connection = self.deadlines.first().map(|(at, _)| *at);
        connection.into_iter().chain(self.ensemble.poll_timeout()).min()
    }

    /// The next connection for which there is something to transmit, or that is over, since it was named last.
    pub fn poll_ready(&mut self) -> Option<ConnectionId> {
        self.ready.pop_first()
    }

    /// Whether to read from the connection: not while the client does not read, either.
    #[must_use]
    pub fn wants_input(&self, conn: ConnectionId) -> bool {
        self.connections.get(&conn).is_some_and(Connection::wants_input)
    }

    /// What is to be sent next, all of it.
    #[must_use]
    pub fn transmit(&self, conn: ConnectionId) -> &[u8] {
        self.connections.get(&conn).map_or(&[], |connection| connection.output.bytes())
    }

    /// The first `count` bytes of [`transmit`](Self::transmit) were sent.
    ///
    /// # Panics
    /// When there were not so many.
    pub fn transmitted(&mut self, now: Instant, conn: ConnectionId, count: usize) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.output.consume(count);
        match connection.phase {
            // What was held back for want of room.
            Phase::Serving { .. } => self.serve(now, conn),
            Phase::Closing { .. } if connection.output.is_empty() => self.enter(conn, Phase::Over),
            Phase::Opening { .. } | Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// Whether all was said: close the connection, and tell with [`disconnect`](Self::disconnect). Also true for
    /// connections that are not open.
    #[must_use]
    pub fn is_over(&self, conn: ConnectionId) -> bool {
        self.connections.get(&conn).is_none_or(|connection| matches!(connection.phase, Phase::Over))
    }

    /// Does something to the ensemble that no client asks for, and takes what it has to say.
    pub fn change<T>(&mut self, now: Instant, f: impl FnOnce(&mut Ensemble) -> T) -> T {
        let result = f(&mut self.ensemble);
        self.route(now);
        result
    }

    /// Breaks all connections, as if the network had: what was not sent is lost. Sessions live on.
    pub fn cut_all(&mut self, now: Instant) {
        let all: Vec<_> = self.connections.keys().copied().collect();
        for conn in all {
            self.cut(now, conn);
        }
        self.route(now);
    }

    /// Loses one reply: the next request of this type is carried out, and then its connection breaks instead of the
    /// reply. Several calls lose several. [`OpCode::Create`] stands for all four requests that create a znode.
    pub fn lose_next_reply(&mut self, to: OpCode) {
        *self.losses.entry(to).or_default() += 1;
    }

    /// The model behind.
    #[must_use]
    pub const fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }

    /// How many connections are open.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }

    fn connections_to(&self, server: ServerId) -> impl Iterator<Item = (&ConnectionId, &Connection)> {
        self.connections.iter().filter(move |(_, connection)| connection.server == server)
    }

    /// Looks whether the first frame, or word, is complete.
    fn open(&mut self, now: Instant, conn: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Phase::Opening { frames, .. } = &mut connection.phase else { return };
        let Some(head) = frames.peek() else { return };
        if let Some(word) = FourLetterWord::parse(head) {
            self.traffic.received += 1;
            let server = connection.server;
            let text = words::answer(self, server, word);
            self.send(conn, |output| output.extend_from_slice(text.as_bytes()));
            return self.hang_up(now, conn);
        }
        let is_possible = usize::try_from(i32::from_be_bytes(head)).is_ok_and(|len| len <= CONNECT_LEN_MAX);
        let request = match frames.next_frame() {
            Ok(None) if is_possible => return,
            Ok(Some(body)) if is_possible => ConnectRequest::decode(body).ok(),
            Ok(_) | Err(_) => None,
        };
        let Some(request) = request else { return self.hang_up(now, conn) };
        let (server, address) = (connection.server, connection.peer.ip());
        let frames = std::mem::replace(frames, Frames::new(FRAME_LEN_MAX));
        self.count(conn);
        self.enter(conn, Phase::Serving { frames });
        self.ensemble.connect(now, server, conn, address, request);
        self.route(now);
        // Clients need not wait for the answer.
        self.serve(now, conn);
    }

    /// Serves the requests that are complete, until there is enough to send.
    fn serve(&mut self, now: Instant, conn: ConnectionId) {
        loop {
            let Some(connection) = self.connections.get_mut(&conn) else { return };
            if !connection.wants_input() {
                return;
            }
            let Phase::Serving { frames } = &mut connection.phase else { return };
            let decoded = match frames.next_frame() {
                Ok(Some(body)) => Request::decode(body).ok(),
                Ok(None) => return,
                Err(_) => None,
            };
            let Some((xid, request)) = decoded else { return self.hang_up(now, conn) };
            self.count(conn);
            let is_lost = self.loses(&request);
            if is_lost {
                // Sent is what came before; this one's events and its reply find the connection closed.
                self.close(now, conn);
            }
            self.ensemble.request(now, conn, xid, request);
            self.route(now);
            if is_lost {
                self.hang_up(now, conn);
            }
        }
    }

    /// Takes what the model sends to the connections.
    fn route(&mut self, now: Instant) {
        while let Some((conn, message)) = self.ensemble.poll_output() {
            let Some(connection) = self.connections.get_mut(&conn) else { continue };
            if !matches!(connection.phase, Phase::Serving { .. }) {
                continue;
            }
            let unread = connection.output.len();
            match message {
                FromServer::Connected(response) => self.send(conn, |output| response.encode(output)),
                FromServer::Reply { xid, zxid, result } => {
                    self.send(conn, |output| {
                        wire::encode_reply(xid, zxid, result.as_ref().map_err(|code| *code), output)
                    });
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.reply_len = connection.output.len() - unread;
                    }
                }
                FromServer::Event(_) if unread >= EVENTS_MAX + connection.reply_len => self.cut(now, conn),
                FromServer::Event(event) => self.send(conn, |output| event.encode(output)),
                FromServer::Close => self.close(now, conn),
            }
        }
    }

    /// Notes that a packet has come.
    fn count(&mut self, conn: ConnectionId) {
        self.traffic.received += 1;
        if let Some(connection) = self.connections.get_mut(&conn) {
            connection.traffic.received += 1;
        }
    }

    /// Appends to what is sent over a connection.
    fn send(&mut self, conn: ConnectionId, encode: impl FnOnce(&mut Vec<u8>)) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        encode(connection.output.buffer());
        connection.traffic.sent += 1;
        self.traffic.sent += 1;
        self.ready.insert(conn);
    }

    /// Closes a connection from this side, once the client has read what is there; its session lives on.
    fn hang_up(&mut self, now: Instant, conn: ConnectionId) {
        self.close(now, conn);
        self.ensemble.disconnect(now, conn);
        self.route(now);
    }

    /// Breaks a connection, whatever was still to be sent. What the model sends next is not taken yet.
    fn cut(&mut self, now: Instant, conn: ConnectionId) {
        self.enter(conn, Phase::Over);
        self.ensemble.disconnect(now, conn);
    }

    /// Begins to close a connection that the model has done with.
    fn close(&mut self, now: Instant, conn: ConnectionId) {
        let Some(connection) = self.connections.get(&conn) else { return };
        match connection.phase {
            Phase::Opening { .. } | Phase::Serving { .. } if connection.output.is_empty() => {
                self.enter(conn, Phase::Over);
            }
            Phase::Opening { .. } | Phase::Serving { .. } => {
                self.enter(conn, Phase::Closing { deadline: now.after(CLOSING_TIMEOUT) });
            }
            Phase::Closing { .. } | Phase::Over => {}
        }
    }

    /// The only place where a connection's phase changes, and what hangs on it.
    fn enter(&mut self, conn: ConnectionId, phase: Phase) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let left = std::mem::replace(&mut connection.phase, phase);
        if let Some(deadline) = left.deadline() {
            self.deadlines.remove(&(deadline, conn));
        }
        if let Some(deadline) = connection.phase.deadline() {
            self.deadlines.insert((deadline, conn));
        }
        if matches!(left, Phase::Opening { .. }) {
            self.opening_count -= 1;
        }
        if matches!(connection.phase, Phase::Over) {
            connection.output.clear();
            self.ready.insert(conn);
        }
    }

    /// Whether the reply to this request is to be lost.
    fn loses(&mut self, request: &Request) -> bool {
        let is_create = matches!(request, Request::Create(_));
        let kind = if is_create { Some(OpCode::Create) } else { request.opcode().ok() };
        let Some(left) = kind.and_then(|kind| self.losses.get_mut(&kind)) else { return false };
        let is_lost = *left > 0;
        *left = left.saturating_sub(1);
        is_lost
    }
}
