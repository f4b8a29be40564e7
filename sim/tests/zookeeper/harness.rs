//! A server, its clients, and short names for what they say.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use queenright_core::op::{Change, Stat};
use queenright_core::wire::{
    Acl, AddWatchMode, Check, ConnectRequest, ConnectResponse, Create, CreateFlags, CreateForm, Delete,
    ErrorCode, MultiRequest, Read, Request, Response, SetData,
};
use queenright_core::{Instant, SessionId, Zxid};
use queenright_sim::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};

/// The tick of every server here.
pub(crate) const TICK: Duration = Duration::from_secs(2);

/// Where clients are.
pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server with everything that it has sent and nobody looked at yet.
pub(crate) struct World {
    pub(crate) server: Ensemble,
    pub(crate) now: Instant,
    inboxes: BTreeMap<ConnectionId, Vec<FromServer>>,
    connection_count: u64,
}

/// A connection, and the session that was established over it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) conn: ConnectionId,
    pub(crate) established: ConnectResponse,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) zxid: Zxid,
    pub(crate) result: Result<Response, ErrorCode>,
}

impl Client {
    pub(crate) fn session(&self) -> SessionId {
        self.established.session
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(ServerConfig { tick: TICK, ..ServerConfig::default() })
    }

    pub(crate) fn with(config: ServerConfig) -> Self {
        Self::start(config, Instant::from_millis(1_000_000))
    }

    /// One whose server starts then.
    pub(crate) fn new_at(now: Instant) -> Self {
        Self::start(ServerConfig { tick: TICK, ..ServerConfig::default() }, now)
    }

    fn start(config: ServerConfig, now: Instant) -> Self {
        let server = Ensemble::new(config, 1, now);
        Self { server, now, inboxes: BTreeMap::new(), connection_count: 0 }
    }

    /// A client with a new session of 10 s.
    pub(crate) fn client(&mut self) -> Client {
        let (conn, answers) = self.connect(ConnectRequest::new_session(10_000));
        let [FromServer::Connected(established)] = &answers[..] else { panic!("not connected: {answers:?}") };
        Client { conn, established: established.clone() }
    }

    /// Several servers, with a tick of 2 s and a patience of 5 ticks. The last one leads.
    pub(crate) fn ensemble(servers: u8) -> Self {
        let now = Instant::from_millis(1_000_000);
        let server = Ensemble::new(ServerConfig::default(), servers, now);
        Self { server, now, inboxes: BTreeMap::new(), connection_count: 0 }
    }

    /// A client of that server with a new session of 10 s.
    pub(crate) fn client_of(&mut self, server: ServerId) -> Client {
        let (conn, answers) = self.connect_to(server, ConnectRequest::new_session(10_000));
        let [FromServer::Connected(established)] = &answers[..] else { panic!("not connected: {answers:?}") };
        Client { conn, established: established.clone() }
    }

    /// A fault, or its end.
    pub(crate) fn strike(&mut self, fault: impl FnOnce(&mut Ensemble, Instant)) {
        fault(&mut self.server, self.now);
        self.drain();
    }

    /// Nothing passes between the two servers any more.
    pub(crate) fn part(&mut self, one: ServerId, other: ServerId) {
        self.strike(|servers, now| servers.cut(now, one, other));
        self.strike(|servers, now| servers.cut(now, other, one));
    }

    /// Everything passes between them again.
    pub(crate) fn heal(&mut self, one: ServerId, other: ServerId) {
        self.strike(|servers, now| servers.heal(now, one, other));
        self.strike(|servers, now| servers.heal(now, other, one));
    }

    /// A connection with that first frame, and all that it got back.
    pub(crate) fn connect(&mut self, request: ConnectRequest) -> (ConnectionId, Vec<FromServer>) {
        self.connect_to(ServerId::FIRST, request)
    }

    /// The same, to a certain server.
    pub(crate) fn connect_to(
        &mut self,
        server: ServerId,
        request: ConnectRequest,
    ) -> (ConnectionId, Vec<FromServer>) {
        self.connection_count += 1;
        let conn = ConnectionId(self.connection_count);
        self.server.connect(self.now, server, conn, LOCALHOST, request);
        self.drain();
        (conn, self.inbox_of(conn))
    }

    /// Sends a request and takes its reply. Events and closes stay in the inboxes.
    #[track_caller]
    pub(crate) fn ask(&mut self, client: &Client, request: Request) -> Reply {
        let xid = if request == Request::Ping { -2 } else { 77 };
        self.send(client, xid, request.clone());
        let inbox = self.inboxes.entry(client.conn).or_default();
        let position = inbox.iter().position(|message| matches!(message, FromServer::Reply { .. }));
        let Some(position) = position else { panic!("no reply to {request:?}, but {inbox:?}") };
        let FromServer::Reply { xid: echo, zxid, result } = inbox.remove(position) else { unreachable!() };
        assert_eq!(echo, xid);
        Reply { zxid, result }
    }

    /// Sends a request and leaves whatever comes back in the inboxes.
    pub(crate) fn send(&mut self, client: &Client, xid: i32, request: Request) {
        self.server.request(self.now, client.conn, xid, request);
        self.drain();
    }

    #[track_caller]
    pub(crate) fn ok(&mut self, client: &Client, request: Request) -> Response {
        let shown = format!("{request:?}");
        self.ask(client, request).result.unwrap_or_else(|code| panic!("{code} for {shown}"))
    }

    #[track_caller]
    pub(crate) fn error(&mut self, client: &Client, request: Request) -> ErrorCode {
        let shown = format!("{request:?}");
        match self.ask(client, request).result {
            Ok(response) => panic!("{response:?} for {shown}"),
            Err(code) => code,
        }
    }

    /// The path that a create made.
    #[track_caller]
    pub(crate) fn created(&mut self, client: &Client, request: Request) -> String {
        match self.ok(client, request) {
            Response::Create { path } | Response::Create2 { path, .. } => path,
            other => panic!("not created: {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn stat(&self, path: &str) -> Stat {
        self.server.tree(ServerId::FIRST).get(path).unwrap_or_else(|| panic!("no {path}")).stat()
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.server.tree(ServerId::FIRST).get(path).is_some()
    }

    /// Time passes, and the server handles every deadline in it at its time.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now.after(time);
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
        self.server.handle_timeout(self.now);
        self.drain();
    }

    pub(crate) fn disconnect(&mut self, client: &Client) {
        self.server.disconnect(self.now, client.conn);
        self.drain();
    }

    pub(crate) fn expire(&mut self, session: SessionId) {
        self.server.expire(self.now, session);
        self.drain();
    }

    /// Another connection for the session of `client`.
    #[track_caller]
    pub(crate) fn reattach(&mut self, client: &Client) -> Client {
        self.reattach_to(ServerId::FIRST, client)
    }

    /// The same, to a certain server.
    #[track_caller]
    pub(crate) fn reattach_to(&mut self, server: ServerId, client: &Client) -> Client {
        let (conn, answers) = self.connect_to(server, ConnectRequest::reattach(&client.established, Zxid(0)));
        match answers.into_iter().next() {
            Some(FromServer::Connected(established)) if !established.is_refusal() => {
                Client { conn, established }
            }
            other => panic!("not reattached: {other:?}"),
        }
    }

    /// All that `client` got since the last look, in order.
    pub(crate) fn inbox(&mut self, client: &Client) -> Vec<FromServer> {
        self.inbox_of(client.conn)
    }

    /// The events among it.
    pub(crate) fn events(&mut self, client: &Client) -> Vec<(Change, String)> {
        let inbox = self.inbox(client).into_iter();
        inbox
            .map(|message| match message {
                FromServer::Event(event) => (event.change, event.path),
                other => panic!("not an event: {other:?}"),
            })
            .collect()
    }

    fn inbox_of(&mut self, conn: ConnectionId) -> Vec<FromServer> {
        self.inboxes.remove(&conn).unwrap_or_default()
    }

    fn drain(&mut self) {
        while let Some((conn, message)) = self.server.poll_output() {
            self.inboxes.entry(conn).or_default().push(message);
        }
        self.server.check_invariants();
    }
}

pub(crate) fn event(change: Change, path: &str) -> (Change, String) {
    (change, path.into())
}

pub(crate) fn create(path: &str) -> Request {
    create_as(path, CreateFlags::PERSISTENT)
}

pub(crate) fn create_as(path: &str, flags: CreateFlags) -> Request {
    Request::Create(creation(path, flags))
}

pub(crate) fn create_for(path: &str, acl: &[Acl]) -> Request {
    Request::Create(Create { acl: Some(acl.into()), ..creation(path, CreateFlags::PERSISTENT) })
}

pub(crate) fn container(path: &str) -> Request {
    Request::Create(Create { form: CreateForm::Container, ..creation(path, CreateFlags::CONTAINER) })
}

pub(crate) fn creation(path: &str, flags: CreateFlags) -> Create {
    let acl = Some(vec![Acl::open()]);
    Create { form: CreateForm::Create, path: path.into(), data: Some(Vec::new()), acl, flags }
}

pub(crate) fn delete(path: &str) -> Request {
    Request::Delete(deletion(path, -1))
}

pub(crate) fn deletion(path: &str, version: i32) -> Delete {
    Delete { path: path.into(), version }
}

pub(crate) fn set(path: &str, data: &str) -> Request {
    Request::SetData(setting(path, data, -1))
}

pub(crate) fn setting(path: &str, data: &str, version: i32) -> SetData {
    SetData { path: path.into(), data: Some(data.into()), version }
}

pub(crate) fn check(path: &str, version: i32) -> MultiRequest {
    MultiRequest::Check(Check { path: path.into(), version })
}

pub(crate) fn set_acl(path: &str, acl: &[Acl], version: i32) -> Request {
    Request::SetAcl { path: path.into(), acl: Some(acl.into()), version }
}

pub(crate) fn get(path: &str) -> Request {
    Request::GetData(Read::plain(path))
}

pub(crate) fn exists(path: &str) -> Request {
    Request::Exists(Read::plain(path))
}

pub(crate) fn list(path: &str) -> Request {
    Request::GetChildren(Read::plain(path))
}

pub(crate) fn watch_data(path: &str) -> Request {
    Request::GetData(Read::watching(path))
}

pub(crate) fn watch_exists(path: &str) -> Request {
    Request::Exists(Read::watching(path))
}

pub(crate) fn watch_children(path: &str) -> Request {
    Request::GetChildren(Read::watching(path))
}

pub(crate) fn watch_always(path: &str) -> Request {
    Request::AddWatch { path: path.into(), mode: AddWatchMode::Persistent }
}

pub(crate) fn watch_below(path: &str) -> Request {
    Request::AddWatch { path: path.into(), mode: AddWatchMode::PersistentRecursive }
}

pub(crate) fn log_in(proof: &str) -> Request {
    Request::Auth { scheme: "digest".into(), auth: Some(proof.into()) }
}
