//! The bodies of the fuzz targets: [`election()`] is one file. This one is about `session`: bytes become what clients send, and what happens to their servers, and the
//! servers keep their contract.
//!
//! Clients send requests that are whole, damaged ones, and noise; they come back with their sessions or with those of
//! others; they read or do not. The servers, one or three, lose each other and crash. What must hold after each step:
//! no panic; the invariants of the model; no connection holds more than the bounds of [`endpoint`](crate::endpoint)
//! say. And of each connection on which only whole requests were sent: replies come in their order, none twice, and
//! with zxids that do not fall; what comes can be read. Two replies overtake others, as those of real servers do, which
//! give them as soon as they have read the request: to proofs of identity, and to what they do not serve.

mod bytes;
mod election;
mod requests;
mod wire_end;

use std::time::Duration;

pub use election::election;

use queenright_core::wire::{ConnectRequest, OpCode, Request, xid};
use queenright_core::{Instant, SessionId, Zxid};

use self::bytes::Bytes;
use self::wire_end::{Entry, WireEnd};
use crate::endpoint::{EVENTS_MAX, Endpoint, OUTPUT_LOW};
use crate::zookeeper::{ConnectionId, Ensemble, Profile, ServerConfig, ServerId};

/// How many steps a history has at most, however long the input is.
const STEPS_MAX: usize = 400;
const CLIENTS: usize = 4;
/// More deadlines at one and the same time are an endless loop.
const ROUNDS_MAX: usize = 10_000;
/// The longest reply to anything that is asked here, generously.
const REPLY_MAX: usize = 0x10_0000;
const TICK: Duration = Duration::from_millis(100);

/// Lives through the history that `data` stands for.
///
/// # Panics
/// When the endpoint or the model breaks its contract: a bug of this crate.
pub fn session(data: &[u8]) {
    let mut world = World::new(Bytes(data));
    for _ in 0..STEPS_MAX {
        if world.bytes.is_empty() {
            break;
        }
        world.step();
        world.check();
    }
    world.end();
}

struct World<'a> {
    bytes: Bytes<'a>,
    endpoint: Endpoint,
    now: Instant,
    clients: Vec<WireEnd>,
    connection_count: u64,
    /// Of sessions that there were: their ids and passwords.
    entries: Vec<Entry>,
}

impl<'a> World<'a> {
    fn new(mut bytes: Bytes<'a>) -> Self {
        let now = Instant::from_millis(1_000);
        let choice = bytes.next();
        let config = ServerConfig {
            tick: TICK,
            min_session: TICK * 2,
            max_session: TICK * 20,
            sweep: TICK * 5,
            profile: if choice.is_multiple_of(4) { Profile::V3_8 } else { Profile::V3_9 },
            super_digest: Some("super:secret".into()),
            ..ServerConfig::default()
        };
        let servers = if choice.is_multiple_of(3) { 3 } else { 1 };
        let endpoint = Endpoint::new(Ensemble::new(config, servers, now));
        let mut world =
            Self { bytes, endpoint, now, clients: Vec::new(), connection_count: 0, entries: Vec::new() };
        for _ in 0..CLIENTS {
            let client = world.accept();
            world.clients.push(client);
        }
        world
    }

    fn accept(&mut self) -> WireEnd {
        self.connection_count += 1;
        let conn = ConnectionId(self.connection_count);
        let server = self.server();
        self.endpoint.accept(self.now, server, conn, ([127, 0, 0, 1], 4711).into());
        WireEnd::new(conn)
    }

    fn server(&mut self) -> ServerId {
        let count = self.endpoint.ensemble().servers().count();
        ServerId(self.bytes.up_to(count) as u8 + 1)
    }

    fn step(&mut self) {
        let client = self.bytes.up_to(CLIENTS);
        match self.bytes.up_to(32) {
            0..=16 => self.request(client),
            17 => self.damage(client),
            18 => {
                let noise = self.bytes.take(24);
                self.send(client, noise, false);
            }
            19 => {
                let word = self
                    .bytes
                    .pick(&[b"ruok", b"mntr", b"stat", b"cons", b"dump", b"wchp", b"wchc", b"isro"]);
                self.send(client, word, false);
            }
            20..=22 => self.read(client, usize::MAX),
            23 => {
                let count = self.bytes.next().into();
                self.read(client, count);
            }
            24 => self.reconnect(client),
            25..=27 => {
                let by = TICK / 10 * self.bytes.next().into();
                self.pass(by);
            }
            28 => {
                let opcode = self.bytes.pick(OpCode::ALL);
                self.endpoint.lose_next_reply(opcode);
            }
            29 => {
                let (now, session) = (self.now, self.some_session());
                self.endpoint.change(now, |ensemble| ensemble.expire(now, session));
            }
            _ => self.fault(),
        }
    }

    /// One request or several in one piece; with a session first, where there is none.
    fn request(&mut self, client: usize) {
        let mut piece = Vec::new();
        if !self.clients[client].has_begun() {
            self.connect_request().encode(&mut piece);
        }
        for _ in 0..=self.bytes.up_to(3) {
            let request = requests::request(&mut self.bytes);
            let xid = if request == Request::Ping {
                xid::PING
            } else if matches!(request, Request::Auth { .. }) {
                xid::AUTH
            } else {
                self.clients[client].next_xid()
            };
            request.encode(xid, &mut piece);
        }
        self.send(client, &piece, true);
    }

    fn damage(&mut self, client: usize) {
        let mut piece = Vec::new();
        match self.bytes.one_in(3) {
            true => self.connect_request().encode(&mut piece),
            false => requests::request(&mut self.bytes).encode(1, &mut piece),
        }
        for _ in 0..=self.bytes.up_to(3) {
            let at = self.bytes.up_to(piece.len());
            piece[at] = self.bytes.next();
        }
        if self.bytes.one_in(4) {
            piece.truncate(self.bytes.up_to(piece.len()));
        }
        self.send(client, &piece, false);
    }

    fn connect_request(&mut self) -> ConnectRequest {
        let timeout_ms = i32::from(self.bytes.next()) * 20 - 100;
        let mut request = ConnectRequest::new_session(timeout_ms);
        let some = self.bytes.up_to(8);
        if let Some(entry) = self.entries.get(some) {
            (request.session, request.password) = (entry.session, Some(entry.password.clone()));
        }
        match self.bytes.up_to(8) {
            0 => request.last_zxid_seen = Zxid(self.bytes.next().into()),
            1 => request.password = None,
            2 => request.read_only = None,
            3 => request.session = SessionId(self.bytes.next().into()),
            _ => {}
        }
        request
    }

    fn some_session(&mut self) -> SessionId {
        let some = self.bytes.up_to(8);
        self.entries.get(some).map_or(SessionId(1), |entry| entry.session)
    }

    fn send(&mut self, client: usize, piece: &[u8], is_whole: bool) {
        let conn = self.clients[client].conn;
        // Drivers do not read before they are asked to.
        if self.endpoint.wants_input(conn) {
            self.clients[client].has_sent(is_whole);
            self.endpoint.receive(self.now, conn, piece);
        }
    }

    fn read(&mut self, client: usize, most: usize) {
        let conn = self.clients[client].conn;
        let sent = self.endpoint.transmit(conn);
        let sent = sent[..most.min(sent.len())].to_vec();
        self.endpoint.transmitted(self.now, conn, sent.len());
        if let Some(entry) = self.clients[client].receive(&sent) {
            self.entries.truncate(7);
            self.entries.insert(0, entry);
        }
    }

    fn reconnect(&mut self, client: usize) {
        self.endpoint.disconnect(self.now, self.clients[client].conn);
        self.clients[client] = self.accept();
    }

    fn pass(&mut self, by: Duration) {
        let until = self.now.after(by);
        let mut rounds = 0;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            rounds += 1;
            assert!(rounds <= ROUNDS_MAX, "deadlines without end: {at}");
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = until;
        self.endpoint.handle_timeout(until);
    }

    fn fault(&mut self) {
        let (now, one, other) = (self.now, self.server(), self.server());
        let (kind, delay) = (self.bytes.up_to(9), TICK / 50 * self.bytes.next().into());
        self.endpoint.change(now, |ensemble| match kind {
            0 if one != other => ensemble.cut(now, one, other),
            1 | 2 if one != other => ensemble.heal(now, one, other),
            3 if one != other => ensemble.delay(now, one, other, delay),
            4 => ensemble.hold(now, one),
            5 => ensemble.release(now, one),
            6 => ensemble.crash(now, one),
            7 => ensemble.restart(now, one),
            // Refused where no majority can be reached.
            _ => drop(ensemble.set_leader(now, one)),
        });
    }

    fn check(&mut self) {
        self.endpoint.ensemble().check_invariants();
        while self.endpoint.poll_ready().is_some() {}
        for client in 0..CLIENTS {
            let conn = self.clients[client].conn;
            let waiting = self.endpoint.transmit(conn).len();
            assert!(waiting <= EVENTS_MAX + OUTPUT_LOW + REPLY_MAX, "{conn:?} is to be sent {waiting} bytes");
            if self.endpoint.is_over(conn) {
                assert_eq!(waiting, 0, "{conn:?} is over, and there is something to send");
                self.reconnect(client);
            }
        }
        assert_eq!(self.endpoint.connection_count(), CLIENTS);
    }

    /// Everybody reads what is left and goes, and all sessions end.
    fn end(&mut self) {
        for client in 0..CLIENTS {
            while !self.endpoint.transmit(self.clients[client].conn).is_empty() {
                self.read(client, usize::MAX);
            }
            self.endpoint.disconnect(self.now, self.clients[client].conn);
        }
        assert_eq!(self.endpoint.connection_count(), 0);
        let servers: Vec<_> = self.endpoint.ensemble().servers().collect();
        let now = self.now;
        for one in &servers {
            for other in servers.iter().filter(|other| *other != one) {
                self.endpoint.change(now, |ensemble| ensemble.heal(now, *one, *other));
                // Who hears nothing of the others for too long gives them up, and nobody here chooses another leader.
                self.endpoint.change(now, |ensemble| ensemble.delay(now, *one, *other, Duration::ZERO));
            }
            self.endpoint.change(now, |ensemble| ensemble.restart(now, *one));
            self.endpoint.change(now, |ensemble| ensemble.release(now, *one));
        }
        let elected = self.endpoint.change(now, |ensemble| ensemble.set_leader(now, ServerId::FIRST));
        assert!(elected.is_ok(), "all are up and connected, and there is no majority");
        self.pass(TICK * 100);
        self.endpoint.ensemble().check_invariants();
        assert_eq!(self.endpoint.ensemble().sessions().count(), 0, "all clients are gone, and sessions stay");
        for server in servers {
            assert_eq!(
                self.endpoint.ensemble().watch_count(server),
                0,
                "all clients are gone, and watches stay"
            );
        }
    }
}
