//! Trees for the checkers' own tests, made the way real ones are: by requests.

use std::net::{IpAddr, Ipv4Addr};

use queenright_core::wire::{Acl, ConnectRequest, Create, CreateFlags, CreateForm, Delete, Request, SetData};
use queenright_core::{Instant, SessionId};

use crate::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId, Tree};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server, and a session of its own for what no other session owns.
#[derive(Debug)]
pub(super) struct Server {
    server: Ensemble,
    connections: u64,
}

impl Server {
    pub(super) fn new() -> Self {
        let mut server = Ensemble::new(ServerConfig::default(), 1, Instant::ORIGIN);
        server.connect(
            Instant::ORIGIN,
            ServerId::FIRST,
            ConnectionId(0),
            LOCALHOST,
            ConnectRequest::new_session(10_000),
        );
        Self { server, connections: 0 }
    }

    pub(super) fn tree(&self) -> &Tree {
        self.server.tree(ServerId::FIRST)
    }

    /// A new session, and the connection on which it is.
    pub(super) fn session(&mut self) -> (SessionId, ConnectionId) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        while self.server.poll_output().is_some() {}
        self.server.connect(
            Instant::ORIGIN,
            ServerId::FIRST,
            connection,
            LOCALHOST,
            ConnectRequest::new_session(10_000),
        );
        match self.server.poll_output() {
            Some((_, FromServer::Connected(response))) => (response.session, connection),
            other => panic!("{other:?} instead of a session"),
        }
    }

    /// Creates a znode, and its parents; an ephemeral of the session on `owner`.
    pub(super) fn create(&mut self, path: &str, data: &[u8], owner: Option<ConnectionId>) {
        for (end, _) in path.match_indices('/').skip(1) {
            self.make(ConnectionId(0), &path[..end], b"", CreateFlags::PERSISTENT);
        }
        match owner {
            Some(connection) => self.make(connection, path, data, CreateFlags::EPHEMERAL),
            None => self.make(ConnectionId(0), path, data, CreateFlags::PERSISTENT),
        }
    }

    pub(super) fn set(&mut self, path: &str, data: &[u8]) {
        let set = SetData { path: path.into(), data: Some(data.into()), version: -1 };
        self.server.request(Instant::ORIGIN, ConnectionId(0), 1, Request::SetData(set));
    }

    pub(super) fn delete(&mut self, path: &str) {
        let delete = Delete { path: path.into(), version: -1 };
        self.server.request(Instant::ORIGIN, ConnectionId(0), 1, Request::Delete(delete));
    }

    fn make(&mut self, connection: ConnectionId, path: &str, data: &[u8], flags: CreateFlags) {
        let create = Create {
            form: CreateForm::Create2,
            path: path.into(),
            data: Some(data.into()),
            acl: Some(vec![Acl::open()]),
            flags,
        };
        self.server.request(Instant::ORIGIN, connection, 1, Request::Create(create));
    }
}
