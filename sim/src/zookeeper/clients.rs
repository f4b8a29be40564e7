//! Connections of clients: how they begin, what waits on them, how they end.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use queenright_core::wire::{ConnectRequest, ConnectResponse, ErrorCode, Request, Response, xid as xids};
use queenright_core::{Instant, SessionId, Zxid};

use super::connections::{Asked, Connection, Phase, Waiting};
use super::decide::{Course, course};
use super::leader::{Submission, Wish};
use super::links::ToLeader;
use super::server::State;
use super::service::NO_ZXID;
use super::sessions::{self, Unserved};
use super::transaction::{Origin, Ticket};
use super::{ConnectionId, Ensemble, FromServer, ServerId};

impl Ensemble {
    /// The first frame of a connection.
    pub(super) fn accept(
        &mut self,
        now: Instant,
        id: ServerId,
        conn: ConnectionId,
        address: IpAddr,
        request: &ConnectRequest,
    ) {
        let server = self.server(id);
        // The client has seen what this server has not: it must not see the past again.
        if server.as_owner().is_none() || request.last_zxid_seen > server.replica.applied {
            self.send(conn, FromServer::Close);
            return;
        }
        let timeout = self.negotiate(request.timeout_ms);
        let ticket = self.next_ticket();
        let is_new = request.session == SessionId(0);
        let session = if is_new { self.server_mut(id).next_session() } else { request.session };
        if !is_new {
            // Before the password is looked at.
            if let Some(old) = self.server(id).connections.of(session) {
                self.hang_up(id, old);
            }
            if request.password.as_deref() != Some(&sessions::password(session)[..]) {
                return self.refuse(conn, request.read_only);
            }
        }
        let phase = Phase::Opening { ticket, read_only: request.read_only, early: VecDeque::new() };
        let connection = Connection::new(session, timeout, address, phase);
        let identities = connection.identities.clone();
        self.server_mut(id).connections.insert(conn, connection);
        if is_new {
            let origin = Origin { server: id, conn, ticket };
            self.submit(now, id, Submission { origin, session, identities, wish: Wish::Open { timeout } });
        } else {
            self.validate(now, id, conn, ticket, session, timeout);
        }
    }

    /// A frame from a client whose connection is there.
    pub(super) fn take(
        &mut self,
        now: Instant,
        id: ServerId,
        conn: ConnectionId,
        xid: i32,
        request: Request,
    ) {
        let server = self.server_mut(id);
        let Some(Connection { session, timeout, identities, phase }) = server.connections.get_mut(conn)
        else {
            return;
        };
        if let Phase::Opening { early, .. } = phase {
            early.push_back((xid, request));
            return;
        }
        let (session, timeout, identities) = (*session, *timeout, identities.clone());
        server.touch(now, session, timeout);
        let follows = server.following().map(|following| (following.leader, following.term));
        let ticket = self.next_ticket();
        let submission = |wish| {
            let origin = Origin { server: id, conn, ticket };
            Submission { origin, session, identities: identities.clone(), wish }
        };
        match (course(&request, self.config.profile), request) {
            (Course::AtOnce, request) => self.answer_at_once(id, conn, xid, request),
            (Course::Write, Request::CloseSession) => {
                self.wait(id, conn, Waiting::ForLeader { ticket, asked: Asked::Close { xid } });
                self.submit(now, id, submission(Wish::Close));
            }
            (Course::Write, request) => {
                self.wait(id, conn, Waiting::ForLeader { ticket, asked: Asked::Write { xid } });
                self.submit(now, id, submission(Wish::Write(request)));
            }
            (Course::InTurn, Request::Sync { path }) if follows.is_some() => {
                self.wait(id, conn, Waiting::ForLeader { ticket, asked: Asked::Sync { xid, path } });
                if let Some((leader, term)) = follows {
                    self.tell_leader(now, id, leader, term, ToLeader::Sync { conn, ticket });
                }
            }
            (Course::InTurn, request) => {
                // Whatever a ping was sent with.
                let xid = if request == Request::Ping { xids::PING } else { xid };
                self.wait(id, conn, Waiting::ForOthers { xid, request, identities });
                self.serve_waiting(id, conn);
            }
        }
    }

    /// The leader has said whether there is the session that `conn` wants.
    pub(super) fn finish_opening(
        &mut self,
        now: Instant,
        id: ServerId,
        conn: ConnectionId,
        ticket: Ticket,
        valid: bool,
    ) {
        let Some(connection) = self.server_mut(id).connections.get_mut(conn) else { return };
        let Phase::Opening { ticket: awaited, read_only, early } = &mut connection.phase else { return };
        if *awaited != ticket {
            return;
        }
        let (read_only, early) = (*read_only, std::mem::take(early));
        let (session, timeout) = (connection.session, connection.timeout);
        if !valid {
            self.drop_connection(id, conn);
            return self.refuse(conn, read_only);
        }
        connection.phase = Phase::open();
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: milliseconds(timeout),
            session,
            password: sessions::password(session).into(),
            // Never read-only; a client that does not know the field gets none.
            read_only: read_only.map(|_| false),
        };
        self.send(conn, FromServer::Connected(response));
        for (xid, request) in early {
            self.take(now, id, conn, xid, request);
        }
    }

    /// `server` has applied all that was committed when the leader got the sync.
    pub(super) fn finish_sync(&mut self, id: ServerId, conn: ConnectionId, ticket: Ticket) {
        if let Some(Asked::Sync { xid, path }) = self.next_answered(id, conn, ticket) {
            self.reply(id, conn, xid, Ok(Response::Sync { path }));
            self.serve_waiting(id, conn);
        }
    }

    /// `server` has applied the write of `ticket`, with this answer if there is one.
    pub(super) fn finish_write(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        ticket: Ticket,
        answer: Option<Result<Response, ErrorCode>>,
    ) {
        let Some(asked) = self.next_answered(id, conn, ticket) else { return };
        match (asked, answer) {
            // Closed, so that a client whose request took long cannot take the session back from where it is by now
            // (ZOOKEEPER-710).
            (_, Some(Err(ErrorCode::SESSION_MOVED))) => self.hang_up(id, conn),
            (Asked::Close { xid }, _) => {
                self.reply(id, conn, xid, Ok(Response::CloseSession));
                self.hang_up(id, conn);
            }
            (Asked::Write { xid } | Asked::Sync { xid, .. }, Some(answer)) => {
                self.reply(id, conn, xid, answer);
                self.serve_waiting(id, conn);
            }
            (Asked::Write { .. } | Asked::Sync { .. }, None) => self.serve_waiting(id, conn),
        }
    }

    /// The connection is no more: its watches go, and what waits on it is not answered.
    pub(super) fn drop_connection(&mut self, id: ServerId, conn: ConnectionId) {
        let server = self.server_mut(id);
        server.connections.remove(conn);
        server.replica.watches.forget(conn);
    }

    pub(super) fn reply(
        &mut self,
        id: ServerId,
        conn: ConnectionId,
        xid: i32,
        result: Result<Response, ErrorCode>,
    ) {
        let zxid = self.server(id).replica.applied;
        self.reply_at(conn, xid, zxid, result);
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

    /// Serves what waits on `conn` until the first request that is at the leader.
    fn serve_waiting(&mut self, id: ServerId, conn: ConnectionId) {
        loop {
            let server = self.server_mut(id);
            let Some(session) = server.connections.get(conn).map(|connection| connection.session) else {
                return;
            };
            let Some(waiting) = server.connections.waiting(conn) else { return };
            let Some(Waiting::ForOthers { .. }) = waiting.front() else { return };
            let Some(Waiting::ForOthers { xid, request, identities }) = waiting.pop_front() else { return };
            // Only a leader knows, and only of its own clients' requests.
            let checked = match server.as_owner() {
                Some(owner) => {
                    server.leader_mut().map_or(Ok(()), |leader| leader.sessions.check(session, owner))
                }
                None => return,
            };
            match checked {
                Ok(()) => {
                    let result = self.serve(id, conn, session, request, &identities);
                    self.reply(id, conn, xid, result);
                }
                Err(Unserved::Expired) => self.reply(id, conn, xid, Err(ErrorCode::SESSION_EXPIRED)),
                Err(Unserved::Moved) => self.hang_up(id, conn),
            }
        }
    }

    fn validate(
        &mut self,
        now: Instant,
        id: ServerId,
        conn: ConnectionId,
        ticket: Ticket,
        session: SessionId,
        timeout: Duration,
    ) {
        let Some(owner) = self.server(id).as_owner() else { return };
        match &mut self.server_mut(id).state {
            State::Leading(leader) => {
                let valid = leader.sessions.take_up(now, session, timeout, owner);
                self.finish_opening(now, id, conn, ticket, valid);
            }
            State::Following(following) => {
                let leader = following.leader;
                let message = ToLeader::Validate { conn, ticket, session, timeout };
                self.tell_leader(now, id, leader, owner.term, message);
            }
            State::Looking | State::Down => {}
        }
    }

    /// Takes the first request off the queue of `conn`, which the leader has answered. `None` when the connection is
    /// gone.
    ///
    /// # Panics
    /// When another one is first: the leader must answer in order.
    fn next_answered(&mut self, id: ServerId, conn: ConnectionId, ticket: Ticket) -> Option<Asked> {
        let waiting = self.server_mut(id).connections.waiting(conn)?;
        match waiting.pop_front() {
            Some(Waiting::ForLeader { ticket: first, asked }) if first == ticket => Some(asked),
            other => panic!("{ticket:?} of {conn:?} is answered before {other:?}"),
        }
    }

    fn wait(&mut self, id: ServerId, conn: ConnectionId, request: Waiting) {
        if let Some(waiting) = self.server_mut(id).connections.waiting(conn) {
            waiting.push_back(request);
        }
    }

    /// A session that is over, or a password that is wrong: the client cannot tell.
    fn refuse(&mut self, conn: ConnectionId, read_only: Option<bool>) {
        let response = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session: SessionId(0),
            password: [0; 16].into(),
            read_only: read_only.map(|_| false),
        };
        self.send(conn, FromServer::Connected(response));
        self.send(conn, FromServer::Close);
    }

    /// A proof of identity, or what no server serves.
    fn answer_at_once(&mut self, id: ServerId, conn: ConnectionId, xid: i32, request: Request) {
        if let Request::Auth { scheme, auth } = request {
            return self.authenticate(id, conn, xid, &scheme, auth.as_deref());
        }
        if !matches!(request, Request::Garbled { .. }) {
            self.reply_at(conn, xid, NO_ZXID, Err(ErrorCode::UNIMPLEMENTED));
        }
        self.hang_up(id, conn);
    }

    fn next_ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    fn negotiate(&self, timeout_ms: i32) -> Duration {
        let wanted = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        wanted.clamp(self.config.min_session, self.config.max_session)
    }
}

fn milliseconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
