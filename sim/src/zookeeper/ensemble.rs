//! The machine: its inputs and outputs, and its deadlines.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use queenright_core::wire::{ConnectRequest, Request};
use queenright_core::{Instant, SessionId, Zxid};

use super::links::Links;
use super::log::Log;
#[cfg(feature = "mutations")]
use super::mutation::{Broken, Mutation};
use super::server::{Server, State};
use super::{ConnectionId, FromServer, Role, ServerConfig, ServerId, Tree};

/// One ZooKeeper server, or several that have elected a leader.
///
/// Inputs are [`connect`](Self::connect), [`request`](Self::request), [`disconnect`](Self::disconnect) and
/// [`handle_timeout`](Self::handle_timeout), each with the time, which never goes back. After each of them drain
/// [`poll_output`](Self::poll_output), and look at [`poll_timeout`](Self::poll_timeout) for the next deadline.
/// Deadlines that have passed are handled before anything else, whichever input comes first.
///
/// The wall clock of znodes is the time, in milliseconds: a driver whose origin is that of Unix gets real dates.
///
/// Writes go through the leader: it decides them, one after the other, a majority stores them, and each server applies
/// them later, in that order. Everything else a client's own server answers by itself, from what it has applied so far:
/// reads may be stale, but what one client sees never goes back. Requests of one connection are answered in their order,
/// but for authentication, which real servers answer at once, too.
///
/// What servers say to each other arrives at once, in the same input, unless a fault slows, cuts or holds it: the
/// embedder decides about faults, and about who leads. A server alone is its own leader for ever.
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
    /// In the order of their ids, which begin with 1.
    pub(super) servers: Vec<Server>,
    pub(super) links: Links,
    pub(super) log: Log,
    /// The one that may commit: whoever was chosen last, as long as it leads.
    pub(super) elected: Option<ServerId>,
    /// How often a leader was chosen.
    pub(super) epoch: u32,
    /// How many terms and tickets were given away.
    pub(super) terms: u64,
    pub(super) tickets: u64,
    /// Empty after each input once the driver has drained it: what bounds it is one input's worth of events.
    output: VecDeque<(ConnectionId, FromServer)>,
}

/// What can be due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A message from server to server.
    Message,
    /// The end of a session, at a leader.
    End(ServerId, SessionId),
    /// A leader's look at containers and TTL nodes.
    Sweep(ServerId),
    /// A leader's look at its followers.
    Beat(ServerId),
    /// A follower's patience.
    GiveUp(ServerId),
}

impl Ensemble {
    /// So many servers without history. The last one leads: of equals, real servers elect that with the highest id.
    ///
    /// # Panics
    /// When the configuration makes no sense: no servers, a tick or a sweep interval of zero, no ticks of patience, or a
    /// shortest session timeout that is longer than the longest.
    #[must_use]
    pub fn new(config: ServerConfig, servers: u8, now: Instant) -> Self {
        assert!(servers > 0, "an ensemble of no servers");
        assert!(!config.tick.is_zero(), "a tick of zero: sessions would never be over");
        assert!(!config.sweep.is_zero(), "a sweep interval of zero: nothing but sweeps would happen");
        assert!(config.sync_limit > 0, "followers without patience: none would ever follow");
        assert!(
            config.min_session <= config.max_session,
            "no session timeout is at least {:?} and at most {:?}",
            config.min_session,
            config.max_session
        );
        let profile = config.profile;
        let mut ensemble = Self {
            config,
            servers: (1..=servers).map(|id| Server::new(ServerId(id), profile, now)).collect(),
            links: Links::new(servers),
            log: Log::default(),
            elected: None,
            epoch: 0,
            terms: 0,
            tickets: 0,
            output: VecDeque::new(),
        };
        ensemble.elect(now, ServerId(servers));
        ensemble
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
        self.run(now);
        assert!(self.home(conn).is_none(), "{conn:?} is in use");
        self.accept(now, server, conn, address, &request);
        self.run(now);
    }

    /// A frame from a client. Ignored when the connection is closed: it crossed with [`FromServer::Close`].
    pub fn request(&mut self, now: Instant, conn: ConnectionId, xid: i32, request: Request) {
        self.run(now);
        if let Some(server) = self.home(conn) {
            self.take(now, server, conn, xid, request);
            self.run(now);
        }
    }

    /// The connection broke. Its watches are gone, and its session lives on until its timeout.
    pub fn disconnect(&mut self, now: Instant, conn: ConnectionId) {
        self.run(now);
        if let Some(server) = self.home(conn) {
            self.drop_connection(server, conn);
        }
    }

    /// Time has passed. Early or repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run(now);
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due: the end of a session whose client is silent; the next sweep
    /// while there are containers or TTL nodes; among several servers, the arrival of a message, and each half tick, when
    /// a leader looks after its followers.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let matters = |due| match due {
            Due::Sweep(server) => self.tree(server).sweepable().next().is_some(),
            Due::Message | Due::End(..) | Due::Beat(_) | Due::GiveUp(_) => true,
        };
        self.next_due(matters).map(|(at, _)| at)
    }

    /// The next thing to send. Drain it to `None` after each input.
    pub fn poll_output(&mut self) -> Option<(ConnectionId, FromServer)> {
        self.output.pop_front()
    }

    /// Ends a session by force, as if its timeout were over. Nothing happens when it is over already, or when nobody
    /// leads.
    pub fn expire(&mut self, now: Instant, session: SessionId) {
        self.run(now);
        if let Some(leader) = self.elected {
            self.end_session(now, leader, session);
            self.run(now);
        }
    }

    /// The next child that is created at `path` gets the sequence number `next`, if it is a sequential one. Costs a
    /// transaction. Tells whether there is such a znode, and a leader that knows it.
    pub fn preset_sequence(&mut self, now: Instant, path: &str, next: i32) -> bool {
        self.run(now);
        let Some(leader) = self.elected else { return false };
        let proposed = self.change_by_itself(now, leader, |draft| draft.set_counter(path, next));
        self.run(now);
        proposed
    }

    /// Breaks a rule on all servers, from now on.
    #[cfg(feature = "mutations")]
    pub fn break_rule(&mut self, rule: Mutation) {
        for server in &mut self.servers {
            server.replica.tree.broken = Broken(Some(rule));
        }
    }

    /// All servers, in order.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> + Clone {
        self.servers.iter().map(|server| server.id)
    }

    /// What `server` does.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn role(&self, server: ServerId) -> Role {
        match self.server(server).state {
            State::Leading(_) if self.servers.len() == 1 => Role::Standalone,
            State::Leading(_) => Role::Leading,
            State::Following(_) => Role::Following,
            State::Looking => Role::Looking,
            State::Down => Role::Down,
        }
    }

    /// The leader, if there is one that may commit. A deposed one that has not noticed is none.
    #[must_use]
    pub const fn leader(&self) -> Option<ServerId> {
        self.elected
    }

    /// The znodes, as `server` has them.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn tree(&self, server: ServerId) -> &Tree {
        &self.server(server).replica.tree
    }

    /// The server that has applied most; the first of several.
    #[must_use]
    pub fn newest(&self) -> ServerId {
        self.most_advanced().id
    }

    /// The last transaction that `server` has applied.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn last_zxid(&self, server: ServerId) -> Zxid {
        self.server(server).replica.applied
    }

    /// The sessions that are not over, in the order of their ids: as the leader knows, or else the server that has
    /// applied most.
    pub fn sessions(&self) -> impl Iterator<Item = SessionId> {
        let server = self.elected.map_or_else(|| self.most_advanced(), |leader| self.server(leader));
        let (leading, looking) = match &server.state {
            State::Leading(leader) => (Some(leader.sessions.iter()), None),
            State::Following(_) | State::Looking | State::Down => {
                (None, Some(server.replica.sessions.keys().copied()))
            }
        };
        leading.into_iter().flatten().chain(looking.into_iter().flatten())
    }

    /// The connection to `server` that `session` uses, if it has one.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn connection_of(&self, server: ServerId, session: SessionId) -> Option<ConnectionId> {
        self.server(server).connections.of(session)
    }

    /// All watches on the data of znodes that clients of `server` have: path and connection, in order.
    ///
    /// # Panics
    /// When there is no such server.
    pub fn data_watches(&self, server: ServerId) -> impl Iterator<Item = (&str, ConnectionId)> {
        self.server(server).replica.watches.data()
    }

    /// How many watches clients of `server` have, those on children included.
    ///
    /// # Panics
    /// When there is no such server.
    #[must_use]
    pub fn watch_count(&self, server: ServerId) -> usize {
        self.server(server).replica.watches.count()
    }

    /// What the servers were configured with.
    #[must_use]
    pub const fn config(&self) -> &ServerConfig {
        &self.config
    }

    /// Handles all that is due up to `now`, in its order; what servers say meanwhile, too.
    pub(super) fn run(&mut self, now: Instant) {
        // Each turn takes a message out of a finite exchange, ends a session, or moves a deadline beyond `now`.
        while let Some((_, due)) = self.next_due(|_| true).filter(|(at, _)| *at <= now) {
            match due {
                Due::Message => self.deliver(now),
                Due::End(server, session) => self.end_session(now, server, session),
                Due::Sweep(server) => self.sweep(now, server),
                Due::Beat(server) => self.beat(now, server),
                Due::GiveUp(server) => self.look_for_leader(now, server),
            }
        }
        self.forget_log();
    }

    pub(super) fn send(&mut self, conn: ConnectionId, message: FromServer) {
        self.output.push_back((conn, message));
    }

    /// Panics when there is no such server.
    pub(super) fn server(&self, id: ServerId) -> &Server {
        let server = usize::from(id.0).checked_sub(1).and_then(|index| self.servers.get(index));
        server.unwrap_or_else(|| panic!("there is no {id:?}"))
    }

    /// Panics when there is no such server.
    pub(super) fn server_mut(&mut self, id: ServerId) -> &mut Server {
        let server = usize::from(id.0).checked_sub(1).and_then(|index| self.servers.get_mut(index));
        server.unwrap_or_else(|| panic!("there is no {id:?}"))
    }

    /// How long a server waits for a word of another before it gives it up.
    pub(super) fn patience(&self) -> Duration {
        self.config.tick.saturating_mul(self.config.sync_limit)
    }

    /// The server to which `conn` leads.
    fn home(&self, conn: ConnectionId) -> Option<ServerId> {
        let server = self.servers.iter().find(|server| server.connections.get(conn).is_some());
        server.map(|server| server.id)
    }

    /// The earliest deadline of those that matter, of several at one time the first by its kind.
    fn next_due(&self, matters: impl Fn(Due) -> bool) -> Option<(Instant, Due)> {
        let mut next = self.links.next_due().map(|at| (at, Due::Message));
        let mut consider = |at: Instant, due: Due| {
            if next.is_none_or(|next| (at, due) < next) && matters(due) {
                next = Some((at, due));
            }
        };
        for Server { id, state, .. } in &self.servers {
            match state {
                State::Leading(leader) => {
                    if let Some((at, session)) = leader.sessions.next_end() {
                        consider(at, Due::End(*id, session));
                    }
                    consider(leader.sweep_at, Due::Sweep(*id));
                    if let Some(at) = leader.beat_at {
                        consider(at, Due::Beat(*id));
                    }
                }
                State::Following(following) => {
                    consider(following.heard_at.after(self.patience()), Due::GiveUp(*id));
                }
                State::Looking | State::Down => {}
            }
        }
        next
    }
}
