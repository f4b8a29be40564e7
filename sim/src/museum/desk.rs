//! One native client at one server, for what lies between the two: credentials, and where paths begin.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use queenright_core::op::{CreateMode, ErrorCode, Op, OpError, Outcome, Reply, Version};
use queenright_core::wire::client::{Break, Client, Config, Credentials, Output};
use queenright_core::wire::{Acl, AuthId, Permissions, Request as Record, Response};
use queenright_core::{Input, Instant, Path, Request, RequestId, Zxid};

use crate::checkers::Violation;
use crate::zookeeper::{ConnectionId, Ensemble, FromServer, ServerConfig, ServerId};

const CHROOT: &str = "/app/a";
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Desk {
    now: Instant,
    client: Client,
    server: Ensemble,
    connection: Option<ConnectionId>,
    connections: u64,
    /// Credentials get through on this many connections.
    proofs: u64,
    requests: u64,
    inputs: Vec<Input>,
}

impl Desk {
    fn new(config: Config, proofs: u64) -> Self {
        let now = Instant::ORIGIN;
        Self {
            now,
            client: Client::new(now, config),
            server: Ensemble::new(ServerConfig::default(), 1, now),
            connection: None,
            connections: 0,
            proofs,
            requests: 0,
            inputs: Vec::new(),
        }
    }

    /// Lets a second pass, and everything that happens in it.
    fn run(&mut self) {
        for _ in 0..100 {
            self.now = self.now.after(Duration::from_millis(10));
            self.client.handle_timeout(self.now);
            self.exchange();
        }
    }

    fn exchange(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Connect { request, .. } => {
                    self.connections += 1;
                    let connection = ConnectionId(self.connections);
                    self.connection = Some(connection);
                    self.server.connect(self.now, ServerId::FIRST, connection, LOCALHOST, request);
                }
                Output::Send { xid, request: Record::Auth { .. } } if self.connections > self.proofs => {
                    self.client.handle_reply(self.now, xid, Zxid(0), Ok(Response::Auth));
                }
                Output::Send { xid, request } => {
                    if let Some(connection) = self.connection {
                        self.server.request(self.now, connection, xid, request);
                    }
                }
                Output::Disconnect { .. } => {
                    if let Some(connection) = self.connection.take() {
                        self.server.disconnect(self.now, connection);
                    }
                }
                Output::Input(input) => self.inputs.push(input),
                Output::Closed => {}
            }
            self.hear();
        }
    }

    fn hear(&mut self) {
        while let Some((connection, message)) = self.server.poll_output() {
            if Some(connection) != self.connection {
                continue;
            }
            match message {
                FromServer::Connected(response) => self.client.handle_connected(self.now, response),
                FromServer::Reply { xid, zxid, result } => {
                    self.client.handle_reply(self.now, xid, zxid, result);
                }
                FromServer::Event(event) => self.client.handle_event(self.now, event),
                FromServer::Close => {
                    self.connection = None;
                    self.client.handle_break(self.now, Break::Transport);
                }
            }
        }
    }

    fn break_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.server.disconnect(self.now, connection);
        }
        self.client.handle_break(self.now, Break::Transport);
        self.run();
    }

    /// What the server says to an operation.
    fn ask(&mut self, op: Op) -> Outcome {
        self.requests += 1;
        let id = RequestId(self.requests);
        let session_epoch = self.client.session_epoch();
        self.client.submit(self.now, Request { id, session_epoch, op });
        self.run();
        let answer = self.inputs.iter().find_map(|input| match input {
            Input::Response { request, outcome, .. } if *request == id => Some(outcome.clone()),
            Input::Response { .. } | Input::Session(_) | Input::Watch { .. } | Input::Host(_) => None,
        });
        answer.unwrap_or(Err(OpError::Unknown))
    }

    fn create(&mut self, path: &str) -> Outcome {
        self.ask(Op::Create { path: self::path(path), data: b"1".into(), mode: CreateMode::Persistent })
    }
}

fn path(text: &str) -> Path {
    Path::new(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn wrong(property: &'static str, what: &Outcome) -> Violation {
    Violation::new(property, format!("{what:?}"))
}

/// A znode that only its creator may touch, before and behind a reconnect.
fn proves_itself(proofs: u64) -> Result<(), Violation> {
    let creator =
        Acl { permissions: Permissions::ALL, id: AuthId { scheme: "auth".into(), id: String::new() } };
    let credentials = vec![Credentials { scheme: "digest".into(), auth: b"user:secret".into() }];
    let mut desk = Desk::new(Config { credentials, acl: vec![creator], ..Config::new(1) }, proofs);
    desk.run();
    let created = desk.create("/own");
    if created.is_err() {
        return Err(wrong("access", &created));
    }
    desk.break_connection();
    let set = desk.ask(Op::SetData { path: path("/own"), data: b"2".into(), version: Version::Any });
    if set.is_ok() { Ok(()) } else { Err(wrong("access", &set)) }
}

pub(super) fn credentials_are_proven_again() -> Result<(), Violation> {
    proves_itself(u64::MAX)
}

pub(super) fn credentials_are_proven_once() -> Result<(), Violation> {
    proves_itself(1)
}

/// A znode directly below the chroot, in an ensemble that has never heard of it.
fn finds_its_chroot(mut desk: Desk, prefix: &str) -> Result<(), Violation> {
    desk.run();
    let created = desk.create(&format!("{prefix}/x"));
    match &created {
        Ok(Reply::Created { .. }) if desk.server.tree(ServerId::FIRST).get("/app/a/x").is_some() => Ok(()),
        Err(OpError::Refused(ErrorCode::NoNode)) | Ok(_) | Err(_) => Err(wrong("chroot", &created)),
    }
}

/// A client that arms watches again after a reconnect by itself.
fn arming_again() -> Config {
    Config { rearms: true, ..Config::new(1) }
}

fn at_chroot() -> Desk {
    Desk::new(Config { chroot: Some(path(CHROOT)), ..arming_again() }, u64::MAX)
}

pub(super) fn chroot_is_made() -> Result<(), Violation> {
    finds_its_chroot(at_chroot(), "")
}

pub(super) fn chroot_is_missing() -> Result<(), Violation> {
    finds_its_chroot(Desk::new(Config::new(1), u64::MAX), CHROOT)
}

/// What is created, and what is told of it, has the name under which it was asked for; also behind a reconnect.
fn names_match(mut desk: Desk, prefix: &str) -> Result<(), Violation> {
    desk.run();
    if !prefix.is_empty() {
        desk.create("/app")
            .and_then(|_| desk.create(CHROOT))
            .map_err(|error| wrong("access", &Err(error)))?;
    }
    let asked = path("/x");
    let created = desk.create(&format!("{prefix}{asked}"));
    match &created {
        Ok(Reply::Created { path, .. }) if *path == asked => {}
        Ok(_) | Err(_) => return Err(wrong("chroot", &created)),
    }
    let watched = desk.ask(Op::GetData { path: asked.clone(), watch: true });
    desk.break_connection();
    let set = desk.ask(Op::SetData { path: asked.clone(), data: b"2".into(), version: Version::Any });
    if watched.is_err() || set.is_err() {
        return Err(wrong("access", &set));
    }
    let is_told = desk.inputs.iter().any(|input| match input {
        Input::Watch { event, .. } => event.path == asked,
        Input::Response { .. } | Input::Session(_) | Input::Host(_) => false,
    });
    if is_told {
        Ok(())
    } else {
        Err(Violation::new("chroot", "its event was told under another name, or not"))
    }
}

pub(super) fn paths_come_back_as_they_went() -> Result<(), Violation> {
    names_match(at_chroot(), "")
}

pub(super) fn paths_come_back_longer() -> Result<(), Violation> {
    names_match(Desk::new(arming_again(), u64::MAX), CHROOT)
}
