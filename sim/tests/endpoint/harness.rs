//! An endpoint with clients that speak in bytes, and read them without the codec that wrote them.

use std::collections::BTreeMap;
use std::time::Duration;

use queenright_core::Instant;
use queenright_core::wire::{Acl, ConnectRequest, Create, CreateFlags, CreateForm, Read, Request};
use queenright_sim::endpoint::Endpoint;
use queenright_sim::zookeeper::{ConnectionId, Ensemble, ServerConfig, ServerId};

/// What a client asks for, in milliseconds.
pub(crate) const SESSION_MS: i32 = 10_000;

pub(crate) struct World {
    pub(crate) endpoint: Endpoint,
    pub(crate) now: Instant,
    connection_count: u64,
    /// What each client has received and nobody looked at yet.
    inboxes: BTreeMap<ConnectionId, Vec<u8>>,
}

/// A reply or notification: the header, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) xid: i32,
    pub(crate) zxid: i64,
    pub(crate) error: i32,
    pub(crate) body: Vec<u8>,
}

/// A session, as the connect response tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Session {
    pub(crate) timeout_ms: i32,
    pub(crate) id: i64,
    pub(crate) password: Vec<u8>,
    /// Whether the byte that old clients do not know is there.
    pub(crate) has_read_only: bool,
}

impl World {
    pub(crate) fn new() -> Self {
        let now = Instant::from_millis(1_000_000);
        let endpoint = Endpoint::new(Ensemble::new(ServerConfig::default(), 1, now));
        Self { endpoint, now, connection_count: 0, inboxes: BTreeMap::new() }
    }

    /// A connection of which nothing was heard.
    pub(crate) fn accept(&mut self) -> ConnectionId {
        self.connection_count += 1;
        let conn = ConnectionId(self.connection_count);
        self.endpoint.accept(self.now, ServerId::FIRST, conn, "127.0.0.1:4711".parse().unwrap());
        conn
    }

    pub(crate) fn receive(&mut self, conn: ConnectionId, bytes: &[u8]) {
        self.endpoint.receive(self.now, conn, bytes);
    }

    /// A client with a session.
    pub(crate) fn client(&mut self) -> (ConnectionId, Session) {
        let conn = self.accept();
        self.receive(conn, &connect(&ConnectRequest::new_session(SESSION_MS)));
        let session = self.session(conn);
        (conn, session)
    }

    pub(crate) fn request(&mut self, conn: ConnectionId, xid: i32, request: &Request) {
        self.receive(conn, &frame(xid, request));
    }

    /// The client reads all that is sent to it.
    pub(crate) fn read(&mut self, conn: ConnectionId) -> Vec<u8> {
        let mut bytes = self.inboxes.remove(&conn).unwrap_or_default();
        loop {
            let sent = self.endpoint.transmit(conn).to_vec();
            if sent.is_empty() {
                return bytes;
            }
            bytes.extend_from_slice(&sent);
            self.endpoint.transmitted(self.now, conn, sent.len());
        }
    }

    /// Reads, and expects a connect response only.
    pub(crate) fn session(&mut self, conn: ConnectionId) -> Session {
        let frames = frames(&self.read(conn));
        let [body] = &frames[..] else { panic!("not one frame, but {frames:?}") };
        parse_session(body)
    }

    /// Reads, and expects replies and notifications.
    pub(crate) fn messages(&mut self, conn: ConnectionId) -> Vec<Message> {
        frames(&self.read(conn)).iter().map(|body| parse_message(body)).collect()
    }

    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        self.endpoint.handle_timeout(self.now);
    }

    pub(crate) fn is_over(&self, conn: ConnectionId) -> bool {
        self.endpoint.is_over(conn)
    }

    pub(crate) fn word(&mut self, word: &[u8]) -> String {
        let conn = self.accept();
        self.receive(conn, word);
        let answer = String::from_utf8(self.read(conn)).unwrap();
        assert!(self.is_over(conn), "still open after {answer:?}");
        self.endpoint.disconnect(self.now, conn);
        answer
    }
}

pub(crate) fn connect(request: &ConnectRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(&mut bytes);
    bytes
}

pub(crate) fn frame(xid: i32, request: &Request) -> Vec<u8> {
    let mut bytes = Vec::new();
    request.encode(xid, &mut bytes);
    bytes
}

pub(crate) fn create(path: &str, data: &[u8], flags: CreateFlags) -> Request {
    let (form, data, acl) = (CreateForm::Create, Some(data.to_vec()), Some(vec![Acl::open()]));
    Request::Create(Create { form, path: path.into(), data, acl, flags })
}

pub(crate) fn get(path: &str) -> Request {
    Request::GetData(Read::plain(path))
}

pub(crate) fn parse_session(body: &[u8]) -> Session {
    Session {
        timeout_ms: int(&body[4..]),
        id: long(&body[8..]),
        password: body[20..20 + usize::try_from(int(&body[16..])).unwrap()].to_vec(),
        has_read_only: body.len() == 37,
    }
}

pub(crate) fn parse_message(body: &[u8]) -> Message {
    Message { xid: int(body), zxid: long(&body[4..]), error: int(&body[12..]), body: body[16..].to_vec() }
}

/// Cuts bytes into the bodies of frames; all of them must be whole.
pub(crate) fn frames(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while !bytes.is_empty() {
        let end = 4 + usize::try_from(int(bytes)).unwrap();
        bodies.push(bytes[4..end].to_vec());
        bytes = &bytes[end..];
    }
    bodies
}

fn int(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn long(bytes: &[u8]) -> i64 {
    i64::from_be_bytes(bytes[..8].try_into().unwrap())
}
