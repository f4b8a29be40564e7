//! The machine.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use queenright_core::wire::{ConnectRequest, ConnectResponse, ErrorCode, Request, Response, WatchedEvent};
use queenright_core::{Instant, SessionId, Zxid, wire};

use super::connections::{Connection, Connections};
use super::prepare::Author;
use super::read::View;
use super::replica::{Applied, Notice, Replica};
use super::service::NO_ZXID;
use super::sessions::{self, Sessions};
use super::transaction::{Change, Transaction};
use super::{ConnectionId, FromServer, Owner, Profile, ServerConfig, ServerId, Tree, acl};

/// A ZooKeeper server.
///
/// Inputs are [`connect`](Self::connect), [`request`](Self::request), [`disconnect`](Self::disconnect) and
/// [`handle_timeout`](Self::handle_timeout), each with the time, which never goes back. After each of them drain
/// [`poll_output`](Self::poll_output), and look at [`poll_timeout`](Self::poll_timeout) for the next deadline.
/// Deadlines that have passed are handled before anything else, whichever input comes first.
///
/// The wall clock of znodes is the time, in milliseconds: a driver whose origin is that of Unix gets real dates.
///
/// ```
/// use queenright_core::Instant;
/// use queenright_core::wire::{Acl, ConnectRequest, Create, CreateFlags, CreateForm, Request, Response};
/// use queenright_sim::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};
///
/// let (now, conn, localhost) = (Instant::ORIGIN, ConnectionId(1), [127, 0, 0, 1].into());
/// let mut server = Ensemble::new(ServerConfig::default(), 1, now);
/// server.connect(now, ServerId::FIRST, conn, localhost, ConnectRequest::new_session(10_000));
/// let Some((_, FromServer::Connected(session))) = server.poll_output() else { panic!("refused") };
/// assert_eq!(session.timeout_ms, 10_000);
///
/// let create = Create {
///     form: CreateForm::Create,
///     path: "/greeting".into(),
///     data: Some(b"hello".into()),
///     acl: Some(vec![Acl::open()]),
///     flags: CreateFlags::EPHEMERAL,
/// };
/// server.request(now, conn, 1, Request::Create(create));
/// let Some((_, FromServer::Reply { result, .. })) = server.poll_output() else { panic!("no reply") };
/// assert_eq!(result, Ok(Response::Create { path: "/greeting".into() }));
/// assert_eq!(server.tree(ServerId::FIRST).get("/greeting").unwrap().data(), b"hello");
/// ```
#[derive(Clone, Debug)]
pub struct Ensemble {
    pub(super) config: ServerConfig,
    pub(super) replica: Replica,
    pub(super) sessions: Sessions,
    pub(super) connections: Connections,
    pub(super) sweep_at: Instant,
    /// Empty after each input once the driver has drained it: what bounds it is one input's worth of events.
    output: VecDeque<(ConnectionId, FromServer)>,
}

impl Ensemble {
    /// Servers without history.
    ///
    /// # Panics
    /// When `servers` is not 1: there is no more than one as yet. When the configuration makes no sense: a tick or a sweep interval of zero, or a shortest session timeout that
    /// is longer than the longest.
    #[must_use]
    pub fn new(config: ServerConfig, servers: u8, now: Instant) -> Self {
        assert_eq!(servers, 1, "an ensemble of {servers} servers");
        assert!(!config.tick.is_zero(), "a tick of zero: sessions would never be over");
        assert!(!config.sweep.is_zero(), "a sweep interval of zero: nothing but sweeps would happen");
        assert!(
            config.min_session <= config.max_session,
            "no session timeout is at least {:?} and at most {:?}",
            config.min_session,
            config.max_session
        );
        Self {
            replica: Replica::new(config.profile),
            sessions: Sessions::new(config.tick),
            connections: Connections::default(),
            sweep_at: now.after(config.sweep),
            output: VecDeque::new(),
            config,
        }
    }

    /// A connection from `address` to `server`, and its first frame: the beginning of a session, or a client that comes
    /// back.
    ///
    /// # Panics
    /// When `conn` is in use: each connection needs a name of its own. When there is no such server.
    pub fn connect(
        &mut self,
        now: Instant,
        server: ServerId,
        conn: ConnectionId,
        address: IpAddr,
        request: ConnectRequest,
    ) {
        self.run_deadlines(now);
        require(server);
        assert!(self.connections.get(conn).is_none(), "{conn:?} is in use");
        // The client has seen what this server has not: it must not see the past again.
        if request.last_zxid_seen > self.replica.applied {
            self.send(conn, FromServer::Close);
            return;
        }
        let timeout = self.negotiate(request.timeout_ms);
        let session = if request.session == SessionId(0) {
            self.commit(now, Vec::new());
            Some(self.sessions.open(now, timeout))
        } else {
            self.reattach(now, &request, timeout)
        };
        let refused = session.is_none();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: if refused { 0 } else { milliseconds(timeout) },
            session: session.unwrap_or(SessionId(0)),
            password: session.map_or([0; 16], sessions::password).into(),
            // Never read-only; a client that does not know the field gets none.
            read_only: request.read_only.map(|_| false),
        };
        self.send(conn, FromServer::Connected(response));
        match session {
            Some(session) => self.connections.insert(conn, Connection::new(session, timeout, address)),
            None => self.send(conn, FromServer::Close),
        }
    }

    /// A frame from a client. Ignored when the connection is closed: it crossed with [`FromServer::Close`].
    pub fn request(&mut self, now: Instant, conn: ConnectionId, xid: i32, request: Request) {
        self.run_deadlines(now);
        let Some(connection) = self.connections.get(conn) else { return };
        let (session, timeout) = (connection.session, connection.timeout);
        self.sessions.touch(now, session, timeout);
        self.serve(now, conn, session, xid, request);
    }

    /// The connection broke. Its watches are gone, and its session lives on until its timeout.
    pub fn disconnect(&mut self, now: Instant, conn: ConnectionId) {
        self.run_deadlines(now);
        self.drop_connection(conn);
    }

    /// Time has passed. Early or repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_deadlines(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: the end of a session whose client is silent, or the next
    /// sweep while there are containers or TTL nodes.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let session = self.sessions.next_end().map(|(at, _)| at);
        let sweep = self.replica.tree.sweepable().next().map(|_| self.sweep_at);
        session.into_iter().chain(sweep).min()
    }

    /// The next thing to send. Drain it to `None` after each input.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, FromServer)> {
        self.output.pop_front()
    }

    /// Ends a session by force, as if its timeout were over. Nothing happens when it is over already.
    pub fn expire(&mut self, now: Instant, session: SessionId) {
        self.run_deadlines(now);
        self.end_silent_session(now, session);
    }

    /// The znodes, as `server` has them.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn tree(&self, server: ServerId) -> &Tree {
        require(server);
        &self.replica.tree
    }

    /// The last transaction that `server` has applied.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn last_zxid(&self, server: ServerId) -> Zxid {
        require(server);
        self.replica.applied
    }

    /// The sessions that are not over, in the order in which they began.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.sessions.iter()
    }

    /// The connection to `server` that `session` uses, if it has one.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn connection_of(&self, server: ServerId, session: SessionId) -> Option<ConnectionId> {
        require(server);
        self.connections.of(session)
    }

    /// All watches on the data of znodes that clients of `server` have: path and connection, in order.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn data_watches(&self, server: ServerId) -> impl Iterator<Item = (&str, ConnectionId)> {
        require(server);
        self.replica.watches.data()
    }

    /// How many watches clients of `server` have, those on children included.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn watch_count(&self, server: ServerId) -> usize {
        require(server);
        self.replica.watches.count()
    }

    /// What the server was configured with.
    #[must_use]
    pub const fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// The next transaction: applies it, and tells those who watch.
    pub(super) fn commit(&mut self, now: Instant, changes: Vec<Change>) -> Applied {
        let zxid = Zxid(self.replica.applied.0 + 1);
        let mut applied = self.replica.apply(Transaction { zxid, time_ms: wall_clock_ms(now), changes });
        for notice in applied.notices.drain(..) {
            self.tell(zxid, notice);
        }
        applied
    }

    /// Ends `session`: its ephemerals go, all in one transaction.
    pub(super) fn end_session(&mut self, now: Instant, session: SessionId) {
        let ephemerals =
            self.replica.tree.ephemerals(session).map(|path| Change::Delete { path: path.into() });
        let changes = ephemerals.collect();
        self.sessions.close(session);
        self.commit(now, changes);
    }

    pub(super) fn reply(&mut self, conn: ConnectionId, xid: i32, result: Result<Response, ErrorCode>) {
        self.reply_at(conn, xid, self.replica.applied, result);
    }

    pub(super) fn reply_at(
        &mut self,
        conn: ConnectionId,
        xid: i32,
        zxid: Zxid,
        result: Result<Response, ErrorCode>,
    ) {
        self.send(conn, FromServer::Reply { xid, zxid, result });
    }

    pub(super) fn send(&mut self, conn: ConnectionId, message: FromServer) {
        self.output.push_back((conn, message));
    }

    /// Closes the connection from this side; its session lives on.
    pub(super) fn hang_up(&mut self, conn: ConnectionId) {
        self.drop_connection(conn);
        self.send(conn, FromServer::Close);
    }

    /// Who asks over `conn`; nobody, when it is closed.
    pub(super) fn author(&self, conn: ConnectionId, session: SessionId) -> Author<'_> {
        let identities = self.connections.get(conn).map_or(&[][..], |connection| &connection.identities);
        Author { session, identities }
    }

    /// The tree as it is seen over `conn`.
    pub(super) fn view(&self, conn: ConnectionId) -> View<'_> {
        let identities = self.connections.get(conn).map_or(&[][..], |connection| &connection.identities);
        View { tree: &self.replica.tree, identities, profile: self.config.profile }
    }

    fn drop_connection(&mut self, conn: ConnectionId) {
        self.connections.remove(conn);
        self.replica.watches.forget(conn);
    }

    /// The session that a client comes back to, unless it is over or the password is wrong. An open connection of
    /// that session is closed in any case, before the password is looked at.
    fn reattach(&mut self, now: Instant, request: &ConnectRequest, timeout: Duration) -> Option<SessionId> {
        let session = request.session;
        if let Some(old) = self.connections.of(session) {
            self.hang_up(old);
        }
        let proven = request.password.as_deref() == Some(&sessions::password(session)[..]);
        (proven && self.sessions.touch(now, session, timeout)).then_some(session)
    }

    fn negotiate(&self, timeout_ms: i32) -> Duration {
        let wanted = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        wanted.clamp(self.config.min_session, self.config.max_session)
    }

    /// Handles all deadlines up to `now`, in their order.
    fn run_deadlines(&mut self, now: Instant) {
        // Each turn ends a session or moves the sweep beyond `now`, so this ends.
        loop {
            let session = self.sessions.next_end().filter(|(at, _)| *at <= now);
            match session {
                Some((at, session)) if at <= self.sweep_at => self.end_silent_session(now, session),
                _ if self.sweep_at <= now => self.sweep(now),
                Some((_, session)) => self.end_silent_session(now, session),
                None => return,
            }
        }
    }

    /// Ends a session whose client is not there to be answered. The client hears nothing but the end of its
    /// connection: real servers close it before they would have sent the events.
    fn end_silent_session(&mut self, now: Instant, session: SessionId) {
        if !self.sessions.contains(session) {
            return;
        }
        let connection = self.connections.of(session);
        if let Some(conn) = connection {
            self.hang_up(conn);
        }
        self.end_session(now, session);
    }

    /// Removes the containers and TTL nodes that have had their time, each in a transaction of its own.
    fn sweep(&mut self, now: Instant) {
        let now_ms = wall_clock_ms(now);
        let is_over = |path: &&std::sync::Arc<str>| {
            self.replica.tree.get(path).is_some_and(|znode| match znode.owner() {
                Owner::Nobody | Owner::Session(_) => false,
                // A container that never had a child is still waiting for its first.
                Owner::Children => znode.children.is_empty() && znode.children_created > 0,
                Owner::Ttl(ttl) => znode.children.is_empty() && now_ms - znode.modified_ms > ttl,
            })
        };
        let paths: Vec<_> = self.replica.tree.sweepable().filter(is_over).cloned().collect();
        for path in paths {
            self.commit(now, vec![Change::Delete { path }]);
        }
        let passed = now.since(self.sweep_at).as_nanos() / self.config.sweep.as_nanos() + 1;
        let intervals = u32::try_from(passed).unwrap_or(u32::MAX);
        self.sweep_at = self.sweep_at.after(self.config.sweep.saturating_mul(intervals));
    }

    /// Tells those who watch and may read. Who may not has lost its one-shot watch all the same.
    fn tell(&mut self, zxid: Zxid, notice: Notice) {
        let Notice { happening, path, acl, watchers } = notice;
        let zxid = match self.config.profile {
            Profile::V3_8 => NO_ZXID,
            Profile::V3_9 => zxid,
        };
        for conn in watchers {
            let identities = self.view(conn).identities;
            if acl::is_permitted(&acl, wire::Permissions::READ, identities) {
                let event = WatchedEvent { change: happening, path: path.as_ref().into(), zxid };
                self.send(conn, FromServer::Event(event));
            }
        }
    }
}

/// Panics when there is no such server.
fn require(server: ServerId) {
    assert_eq!(server, ServerId::FIRST, "there is no such server");
}

fn wall_clock_ms(now: Instant) -> i64 {
    i64::try_from(now.as_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
